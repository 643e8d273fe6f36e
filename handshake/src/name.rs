//! Node names and creations: who a node is, and which life of it (wire.md 2.1, 2.7).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A node's name `alive@host`, checked: the alive part is `[0-9A-Za-z_-]+`, there is one `@`, the host is not
/// empty and has only the characters `!` to `ÿ` (names travel as Latin-1), and all of it is at most
/// [`NodeName::CHARS_MAX`] characters. A clone is cheap. The order is the order of atoms, which decides who
/// wins a simultaneous connect.
#[derive(Clone)]
pub struct NodeName {
    full: Arc<str>,
    at: usize,
}

impl NodeName {
    /// Longest name, in characters: the longest an atom may be.
    pub const CHARS_MAX: usize = 255;

    /// The name of `alive` on `host`.
    pub fn new(alive: &str, host: &str) -> Result<NodeName, NodeNameError> {
        format!("{alive}@{host}").parse()
    }

    /// The whole name, `alive@host`.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The part before the `@`, the name epmd knows.
    pub fn alive(&self) -> &str {
        &self.full[..self.at]
    }

    /// The part after the `@`.
    pub fn host(&self) -> &str {
        &self.full[self.at + 1..]
    }

    /// True for a long name: its host has a dot or is an IP address. Nodes with long and with short names do
    /// not connect to each other (wire.md 1.4).
    pub fn is_long(&self) -> bool {
        self.host().contains('.') || self.host().parse::<IpAddr>().is_ok()
    }
}

/// Why a text is no node name. Each carries the text as given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeNameError {
    /// There is no `@`.
    #[error("node name {0:?} has no '@': it must be alive@host")]
    NoAt(String),
    /// There is more than one `@`.
    #[error("node name {0:?} has more than one '@'")]
    ManyAt(String),
    /// Nothing before the `@`.
    #[error("node name {0:?} has nothing before the '@'")]
    EmptyAlive(String),
    /// Nothing after the `@`.
    #[error("node name {0:?} has no host after the '@'")]
    EmptyHost(String),
    /// Before the `@` there is a character other than a letter, a digit, `_` or `-`.
    #[error("node name {0:?}: only letters, digits, '_' and '-' may stand before the '@'")]
    AliveCharacter(String),
    /// The host has a space, a control character or one beyond Latin-1.
    #[error("node name {0:?}: its host has a character that no host name has")]
    HostCharacter(String),
    /// Longer than [`NodeName::CHARS_MAX`] characters.
    #[error("node name of {0} characters is too long: at most {max} are allowed", max = NodeName::CHARS_MAX)]
    TooLong(usize),
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<NodeName, NodeNameError> {
        let characters = text.chars().count();
        if characters > Self::CHARS_MAX {
            return Err(NodeNameError::TooLong(characters));
        }
        let owned = || text.to_owned();
        let (alive, host) = text.split_once('@').ok_or_else(|| NodeNameError::NoAt(owned()))?;
        if host.contains('@') {
            return Err(NodeNameError::ManyAt(owned()));
        }
        if alive.is_empty() {
            return Err(NodeNameError::EmptyAlive(owned()));
        }
        if host.is_empty() {
            return Err(NodeNameError::EmptyHost(owned()));
        }
        if !host.chars().all(|c| ('!'..='\u{ff}').contains(&c)) {
            return Err(NodeNameError::HostCharacter(owned()));
        }
        // Last, because a peer with this fault alone gets an answer (`nok`), with the others none.
        if !alive.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(NodeNameError::AliveCharacter(owned()));
        }
        Ok(NodeName { full: text.into(), at: alive.len() })
    }
}

impl PartialEq for NodeName {
    fn eq(&self, other: &NodeName) -> bool {
        self.full == other.full
    }
}

impl Eq for NodeName {}

impl Hash for NodeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for NodeName {
    fn partial_cmp(&self, other: &NodeName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodeName {
    fn cmp(&self, other: &NodeName) -> Ordering {
        self.full.cmp(&other.full)
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for NodeName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Which life of a node: a number that differs each time a node of one name starts, and that is part of the
/// identity of its pids, ports and references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Creation(pub u32);

impl Creation {
    /// "Not known"; also what a node that asks for a name says.
    pub const UNKNOWN: Creation = Creation(0);

    /// The least creation of a node: 0 to 3 are left to old nodes.
    pub const MIN: Creation = Creation(4);

    /// A creation made of a random number: the number, lifted to at least [`Creation::MIN`].
    pub fn from_random(random: u32) -> Creation {
        Creation(random.max(Self::MIN.0))
    }
}

impl fmt::Display for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let name: NodeName = "a_b-1@host.example".parse().unwrap();
        assert_eq!((name.alive(), name.host()), ("a_b-1", "host.example"));
        assert!(name.is_long());
        assert_eq!(NodeName::new("a_b-1", "host.example").unwrap(), name);
        assert!(!NodeName::new("a", "host").unwrap().is_long());
        assert!(NodeName::new("a", "::1").unwrap().is_long());
        assert_eq!(name.to_string(), "a_b-1@host.example");
    }

    #[test]
    fn refused() {
        type E = NodeNameError;
        type Fault = fn(String) -> E;
        let cases: [(&str, Fault); 9] = [
            ("a", E::NoAt),
            ("", E::NoAt),
            ("a@b@c", E::ManyAt),
            ("@b", E::EmptyAlive),
            ("a@", E::EmptyHost),
            ("a.b@c", E::AliveCharacter),
            ("é@c", E::AliveCharacter),
            ("a@b c", E::HostCharacter),
            ("a@\u{100}", E::HostCharacter),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<NodeName>(), Err(error(text.into())));
        }
    }

    #[test]
    fn length_counts_characters() {
        let host = "é".repeat(253);
        assert!(NodeName::new("a", &host).is_ok());
        assert_eq!(NodeName::new("ab", &host), Err(NodeNameError::TooLong(256)));
    }

    #[test]
    fn order_is_bytewise() {
        let name = |text: &str| text.parse::<NodeName>().unwrap();
        assert!(name("a@h") < name("b@h"));
        assert!(name("Z@h") < name("a@h"));
        assert!(name("a1@h") < name("a@h"), "'1' sorts before '@'");
    }

    #[test]
    fn random_creations_avoid_the_old_range() {
        assert_eq!(Creation::from_random(0), Creation(4));
        assert_eq!(Creation::from_random(u32::MAX), Creation(u32::MAX));
    }
}
