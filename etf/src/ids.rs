//! What names something on a node: process identifiers, ports and references.
//!
//! Each carries its node's name and creation, so two incarnations of a node are never confused
//! (wire.md 2.7). The node's name is shared: cloning an identifier copies no text.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::Atom;

/// A process identifier.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pid {
    node: Arc<Atom>,
    /// The process number.
    pub id: u32,
    /// How often the process number has wrapped.
    pub serial: u32,
    /// The incarnation of the node.
    pub creation: u32,
}

impl Pid {
    /// A process identifier of a node.
    #[must_use]
    pub fn new(node: impl Into<Arc<Atom>>, id: u32, serial: u32, creation: u32) -> Self {
        Self { node: node.into(), id, serial, creation }
    }

    /// The name of the node that the process lives on.
    #[must_use]
    pub fn node(&self) -> &Atom {
        &self.node
    }

    /// The same name, to share with another identifier.
    #[must_use]
    pub fn node_shared(&self) -> Arc<Atom> {
        Arc::clone(&self.node)
    }
}

/// As Erlang shows a pid of another node, with the node's name where the BEAM has an index of its own.
impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", InId(&self.node), self.id, self.serial)
    }
}

/// A port identifier.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Port {
    node: Arc<Atom>,
    /// The port number; 28 bits from nodes without V4_NC.
    pub id: u64,
    /// The incarnation of the node.
    pub creation: u32,
}

impl Port {
    /// A port identifier of a node.
    #[must_use]
    pub fn new(node: impl Into<Arc<Atom>>, id: u64, creation: u32) -> Self {
        Self { node: node.into(), id, creation }
    }

    /// The name of the node that the port is on.
    #[must_use]
    pub fn node(&self) -> &Atom {
        &self.node
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Port<{}.{}>", InId(&self.node), self.id)
    }
}

/// A reference: one to five words, unique on its node.
///
/// As for the BEAM, words that are missing count as 0: references that differ only in that are equal.
#[derive(Clone)]
pub struct Reference(Repr);

#[derive(Clone)]
enum Repr {
    /// The usual one, stored inline.
    Three { node: Arc<Atom>, creation: u32, words: [u32; 3] },
    /// One of other lengths, such as the five words of an alias.
    Other(Arc<Other>),
}

struct Other {
    node: Arc<Atom>,
    creation: u32,
    len: u8,
    words: [u32; Reference::WORDS_MAX],
}

impl Reference {
    /// The most words in a reference (wire.md 8, tag 90: six are refused by every release).
    pub const WORDS_MAX: usize = 5;

    /// A reference of a node, or nothing for no words or more than five.
    #[must_use]
    pub fn new(node: impl Into<Arc<Atom>>, creation: u32, words: &[u32]) -> Option<Self> {
        if let Ok(words) = <[u32; 3]>::try_from(words) {
            return Some(Self(Repr::Three { node: node.into(), creation, words }));
        }
        if words.is_empty() || words.len() > Self::WORDS_MAX {
            return None;
        }
        let mut all = [0; Self::WORDS_MAX];
        all[..words.len()].copy_from_slice(words);
        #[expect(clippy::cast_possible_truncation, reason = "at most five")]
        let len = words.len() as u8;
        Some(Self(Repr::Other(Arc::new(Other { node: node.into(), creation, len, words: all }))))
    }

    /// The name of the node that made the reference.
    #[must_use]
    pub fn node(&self) -> &Atom {
        match &self.0 {
            Repr::Three { node, .. } => node,
            Repr::Other(other) => &other.node,
        }
    }

    /// The incarnation of that node.
    #[must_use]
    pub fn creation(&self) -> u32 {
        match &self.0 {
            Repr::Three { creation, .. } => *creation,
            Repr::Other(other) => other.creation,
        }
    }

    /// The words, as they stand on the wire.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        match &self.0 {
            Repr::Three { words, .. } => words,
            Repr::Other(other) => &other.words[..usize::from(other.len)],
        }
    }

    /// The words, with 0 for each that is missing.
    pub(crate) fn all_words(&self) -> [u32; Self::WORDS_MAX] {
        match &self.0 {
            Repr::Three { words: [a, b, c], .. } => [*a, *b, *c, 0, 0],
            Repr::Other(other) => other.words,
        }
    }

    fn identity(&self) -> (&Atom, u32, [u32; Self::WORDS_MAX]) {
        (self.node(), self.creation(), self.all_words())
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        // The words first: they tell nearly all references apart. Two names that are shared are not looked at.
        match (&self.0, &other.0) {
            (
                Repr::Three { node, creation, words },
                Repr::Three { node: others, creation: other_creation, words: other_words },
            ) => words == other_words && creation == other_creation && node == others,
            _ => self.identity() == other.identity(),
        }
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref<{}", InId(self.node()))?;
        for word in self.words().iter().rev() {
            write!(f, ".{word}")?;
        }
        f.write_str(">")
    }
}

/// A node's name inside an identifier's text: as it is, for `a@my-host` should not need quotes there, unless it has
/// control characters. What a peer calls itself must not break or forge a line of a log.
struct InId<'a>(&'a Atom);

impl fmt::Display for InId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        if name.contains(char::is_control) { write!(f, "{}", self.0) } else { f.write_str(name) }
    }
}
