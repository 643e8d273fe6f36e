//! Pieces of a lock on several nodes that the locker, the registrar and clients share (cluster-services.md 1.5, 1.8).

use etf::{Atom, Term};

use super::{
    api::QuestionId,
    wire::{Call, LockId},
};

/// The answers to one call on several nodes; nothing where the node or its name server is gone.
pub(super) type Replies = Vec<(Atom, Option<Term>)>;

/// A call under way on several nodes.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    pub(super) id: QuestionId,
    waiting: Vec<Atom>,
    replies: Replies,
}

impl Gather {
    /// Each node is called once, however often it is named.
    pub(super) fn new(id: QuestionId, nodes: Vec<Atom>) -> Self {
        let mut waiting = nodes;
        waiting.sort();
        waiting.dedup();
        Self { id, waiting, replies: Vec::new() }
    }

    pub(super) fn waiting(&self) -> &[Atom] {
        &self.waiting
    }

    pub(super) fn answer(&mut self, node: &Atom, reply: Option<Term>) {
        if let Some(at) = self.waiting.iter().position(|n| n == node) {
            let node = self.waiting.remove(at);
            self.replies.push((node, reply));
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn into_replies(self) -> Replies {
        self.replies
    }
}

/// What to do next to lock some nodes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make this call, and hand in its replies.
    Call(Vec<Atom>, Call),
    /// All are locked; on those that are down there is nothing to lock, and nothing to unlock later.
    Locked { taken: Vec<Atom> },
    /// One refused, and none is locked.
    Refused,
}

/// One try to set a lock on some nodes at once, taking it back where one refuses.
///
/// ```text
///  start ── own table refuses ──────────────────────────────► Refused
///    └─ set_lock on all ─┬─ all true or down ───────────────► Locked
///                        └─ one false ─ del_lock where true ► Refused
/// ```
#[derive(Debug)]
pub(super) struct SetLockOnNodes {
    id: LockId,
    undoing: bool,
}

impl SetLockOnNodes {
    /// `own_allows`: whether this node's own table would give the lock. When it would not, and there are other nodes
    /// as well, they need not be asked.
    pub(super) fn start(id: LockId, nodes: Vec<Atom>, own: &Atom, own_allows: bool) -> (Self, Step) {
        let step = if nodes.is_empty() {
            Step::Locked { taken: Vec::new() }
        } else if nodes.len() > 1 && !own_allows && nodes.contains(own) {
            Step::Refused
        } else {
            Step::Call(nodes, Call::SetLock(id.clone()))
        };
        (Self { id, undoing: false }, step)
    }

    pub(super) fn replies(&mut self, replies: Replies) -> Step {
        if self.undoing {
            return Step::Refused;
        }
        // Anything but `true` is a refusal, so that a peer's nonsense is never taken for a lock.
        let refused = replies.iter().any(|(_, reply)| reply.as_ref().is_some_and(|r| !r.is_atom("true")));
        let taken: Vec<Atom> = replies
            .into_iter()
            .filter(|(_, r)| r.as_ref().is_some_and(|r| r.is_atom("true")))
            .map(|(n, _)| n)
            .collect();
        match (refused, taken.is_empty()) {
            (false, _) => Step::Locked { taken },
            (true, true) => Step::Refused,
            (true, false) => {
                self.undoing = true;
                Step::Call(taken, Call::DelLock(self.id.clone()))
            }
        }
    }
}

/// The node to lock first and unlock last: it puts all contenders of a partition in a row.
pub(super) fn boss(nodes: &[Atom]) -> Option<&Atom> {
    nodes.iter().max()
}

/// Takes the boss out.
pub(super) fn split_boss(mut nodes: Vec<Atom>) -> (Vec<Atom>, Option<Atom>) {
    let boss = boss(&nodes).cloned();
    nodes.retain(|node| Some(node) != boss.as_ref());
    (nodes, boss)
}
