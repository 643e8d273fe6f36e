//! The server's table of names, without I/O (wire.md 1.2, rules 4 to 7).
//!
//! A name that is no longer registered is remembered with its creation, so that the node's next life gets
//! another one.

use std::collections::VecDeque;

use thiserror::Error;

use crate::message::{Alive2, NAME_BYTES_MAX, NodeEntry, checked_name};

/// How many names that are no longer registered are remembered, oldest forgotten first: as many as OTP
/// remembers. Each holds at most 1 KiB.
pub const REMEMBERED_MAX: usize = 1000;

/// The least creation: 0 to 3 are left to old nodes.
const CREATION_MIN: u32 = 4;

/// A connection to the server, by its number; and so whose registration one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The names that are registered, and those remembered.
#[derive(Debug, Default)]
pub struct Registry {
    /// Oldest first.
    active: Vec<Registered>,
    /// Longest unregistered first.
    remembered: VecDeque<Registered>,
}

/// A registration, or what is remembered of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The node.
    pub node: NodeEntry,
    /// Which life of the node.
    pub creation: u32,
    /// Whose registration it is, or was.
    pub lease: ConnectionId,
}

/// Why a registration is refused; the client is told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The name is not UTF-8, or too long.
    #[error("bad node name")]
    BadName,
    /// The extra data is too long.
    #[error("{0} bytes of extra data, at most {max} are allowed", max = NAME_BYTES_MAX)]
    ExtraTooLong(usize),
    /// Another node has the name.
    #[error("the name is registered already")]
    Taken,
}

impl Registry {
    /// An empty table.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Registers the node for `lease` and returns its creation. A name never seen gets the time in whole seconds
    /// since 1970 plus one; a remembered one gets one more than it had. The number of registrations is the
    /// caller's to limit.
    pub fn register(
        &mut self,
        lease: ConnectionId,
        request: &Alive2,
        unix_secs: u64,
    ) -> Result<u32, RegisterError> {
        let name = checked_name(&request.name).ok_or(RegisterError::BadName)?;
        if request.extra.len() > NAME_BYTES_MAX {
            return Err(RegisterError::ExtraTooLong(request.extra.len()));
        }
        if self.lookup(name).is_some() {
            return Err(RegisterError::Taken);
        }
        let known = self.remembered.iter().position(|old| old.node.name == name);
        let creation = match known.and_then(|at| self.remembered.remove(at)) {
            Some(old) => old.creation.wrapping_add(1).max(CREATION_MIN),
            None => (unix_secs as u32).wrapping_add(1).max(CREATION_MIN),
        };
        let node = NodeEntry {
            name: name.to_owned(),
            port: request.port,
            node_type: request.node_type,
            protocol: request.protocol,
            high: request.high,
            low: request.low,
            extra: request.extra.clone(),
        };
        self.active.push(Registered { node, creation, lease });
        Ok(creation)
    }

    /// Ends the registration of `lease`, if it has one.
    pub fn unregister(&mut self, lease: ConnectionId) {
        if let Some(at) = self.active.iter().position(|node| node.lease == lease) {
            self.remember(at);
        }
    }

    /// Ends the registration of `name`, if it has one, and says whose it was.
    pub fn unregister_name(&mut self, name: &[u8]) -> Option<ConnectionId> {
        let at = self.active.iter().position(|node| node.node.name.as_bytes() == name)?;
        Some(self.remember(at))
    }

    /// The registered node of this name.
    pub fn lookup(&self, name: &str) -> Option<&NodeEntry> {
        self.active.iter().map(|node| &node.node).find(|node| node.name == name)
    }

    /// True if a node of this name is registered.
    pub fn has(&self, name: &[u8]) -> bool {
        self.active.iter().any(|node| node.node.name.as_bytes() == name)
    }

    /// The registered nodes, newest first.
    pub fn active(&self) -> impl Iterator<Item = &Registered> {
        self.active.iter().rev()
    }

    /// The nodes remembered, in the order they left.
    pub fn remembered(&self) -> impl Iterator<Item = &Registered> {
        self.remembered.iter()
    }

    /// True if no node is registered.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    fn remember(&mut self, at: usize) -> ConnectionId {
        let left = self.active.remove(at);
        let lease = left.lease;
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(left);
        lease
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::NodeType;

    fn alive(name: &[u8]) -> Alive2 {
        Alive2 {
            port: 4711,
            node_type: NodeType::Normal,
            protocol: 0,
            high: 6,
            low: 5,
            name: Bytes::copy_from_slice(name),
            extra: Bytes::new(),
        }
    }

    fn names(registry: &Registry) -> Vec<&str> {
        registry.active().map(|node| node.node.name.as_str()).collect()
    }

    #[test]
    fn newest_is_first() {
        let mut registry = Registry::new();
        registry.register(ConnectionId(1), &alive(b"a"), 100).unwrap();
        registry.register(ConnectionId(2), &alive(b"b"), 100).unwrap();
        assert_eq!(names(&registry), ["b", "a"]);
        assert_eq!(registry.lookup("a").unwrap().port, 4711);
        registry.unregister(ConnectionId(1));
        assert_eq!(names(&registry), ["b"]);
        assert_eq!(registry.lookup("a"), None);
    }

    #[test]
    fn creation_is_the_time_at_first_and_then_one_more() {
        let mut registry = Registry::new();
        assert_eq!(registry.register(ConnectionId(1), &alive(b"a"), 1_700_000_000), Ok(1_700_000_001));
        assert_eq!(registry.register(ConnectionId(2), &alive(b"b"), 1_700_000_000), Ok(1_700_000_001));
        registry.unregister(ConnectionId(1));
        assert_eq!(registry.register(ConnectionId(3), &alive(b"a"), 1_800_000_000), Ok(1_700_000_002));
        assert_eq!(registry.remembered().count(), 0);
    }

    #[test]
    fn creation_wraps_to_four() {
        let mut registry = Registry::new();
        assert_eq!(registry.register(ConnectionId(1), &alive(b"a"), u64::from(u32::MAX) - 1), Ok(u32::MAX));
        registry.unregister(ConnectionId(1));
        assert_eq!(registry.register(ConnectionId(2), &alive(b"a"), 0), Ok(4));
        assert_eq!(registry.register(ConnectionId(3), &alive(b"b"), 0), Ok(4));
    }

    #[test]
    fn a_taken_name_stays_with_the_first() {
        let mut registry = Registry::new();
        registry.register(ConnectionId(1), &alive(b"a"), 100).unwrap();
        assert_eq!(registry.register(ConnectionId(2), &alive(b"a"), 100), Err(RegisterError::Taken));
        // The end of the refused connection takes nothing away.
        registry.unregister(ConnectionId(2));
        assert_eq!(names(&registry), ["a"]);
        assert_eq!(registry.unregister_name(b"a"), Some(ConnectionId(1)));
        assert_eq!(registry.unregister_name(b"a"), None);
        assert!(registry.is_empty());
    }

    #[test]
    fn names_are_checked() {
        let mut registry = Registry::new();
        let mut register = |name: &[u8]| registry.register(ConnectionId(1), &alive(name), 100);
        assert_eq!(register(b"\xff"), Err(RegisterError::BadName));
        assert_eq!(register(&b"x".repeat(256)), Err(RegisterError::BadName));
        // Neither `@` nor blanks are EPMD's business.
        for name in ["å@ b", &"\u{1f980}".repeat(255)] {
            assert!(register(name.as_bytes()).is_ok());
        }
        let long = Alive2 { extra: Bytes::from(vec![0; 1021]), ..alive(b"e") };
        assert_eq!(registry.register(ConnectionId(9), &long, 100), Err(RegisterError::ExtraTooLong(1021)));
    }

    #[test]
    fn memory_of_names_is_limited() {
        let mut registry = Registry::new();
        for number in 0..=REMEMBERED_MAX as u64 {
            let lease = ConnectionId(number);
            registry.register(lease, &alive(number.to_string().as_bytes()), 100).unwrap();
            registry.unregister(lease);
        }
        assert_eq!(registry.remembered().count(), REMEMBERED_MAX);
        assert_eq!(registry.remembered().next().unwrap().node.name, "1");
    }
}
