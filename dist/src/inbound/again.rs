//! Messages that come the way of the one before.
//!
//! A process that sends many messages to another says the same header and the same control message each time, as long
//! as no atom is new. From the third time on they are compared, and not read.

use etf::{Atom, Pid, Term};

use crate::{Op, Signal};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// The header and the control message of the last message, if it had no new atom and is of the kind.
    head: Vec<u8>,
    /// [`InCache::changes`](crate::cache::InCache::changes) then.
    changes: u64,
    /// What they say, once they came twice.
    way: Option<(Op, Way)>,
}

/// From a process to another.
#[derive(Debug)]
pub(super) enum Way {
    Pid(Option<Pid>, Pid),
    Name(Pid, Atom),
}

impl Way {
    /// A message that goes this way.
    pub(super) fn signal(&self, message: Term) -> Signal {
        let (token, priority) = (None, false);
        match self {
            Self::Pid(from, to) => {
                let (from, to) = (from.clone(), to.clone());
                Signal::Send { from, to, message, token, priority }
            }
            Self::Name(from, to) => {
                let (from, to) = (from.clone(), to.clone());
                Signal::RegSend { from, to, message, token, priority }
            }
        }
    }
}

impl Again {
    /// The operation, and where the payload starts, if the header and the control message at the start of `body` are
    /// those of the last message. Its atoms are those of this one then.
    pub(super) fn way(&self, body: &[u8], changes: u64) -> Option<(Op, &Way, usize)> {
        let (op, way) = self.way.as_ref()?;
        let is_same = self.changes == changes && body.starts_with(&self.head);
        is_same.then_some((*op, way, self.head.len()))
    }

    /// The next message is none that went this way.
    pub(super) fn forget(&mut self) {
        self.head.clear();
        self.way = None;
    }

    /// A message came whose header and control message are `head`, and after them the cache has changed so often.
    pub(super) fn came(&mut self, head: &[u8], changes: u64, op: Op, signal: &Signal) {
        if self.changes == changes && self.head == head {
            self.way = match signal {
                Signal::Send { from, to, token: None, priority: false, .. } => {
                    Some((op, Way::Pid(from.clone(), to.clone())))
                }
                Signal::RegSend { from, to, token: None, priority: false, .. } => {
                    Some((op, Way::Name(from.clone(), to.clone())))
                }
                _ => None,
            };
            return;
        }
        self.forget();
        if head.len() <= HEAD_BYTES_MAX {
            self.head.extend_from_slice(head);
            self.changes = changes;
        }
    }
}

/// What is longer than this is not compared: sixteen atoms and two pids are shorter.
const HEAD_BYTES_MAX: usize = 256;
