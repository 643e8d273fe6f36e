//! The table of locks (cluster-services.md 1.1, 1.3).

use std::collections::HashMap;

use etf::{Pid, Term};

use super::wire::LockId;

/// The most resources that are locked at a time. Each costs some 300 bytes, so a runaway peer costs at most
/// 300 MB; real programs hold a handful. Past it `set_lock` is answered `false`, as if somebody held the lock.
pub(super) const LOCKS_MAX: usize = 1 << 20;

/// How `set_lock` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// Somebody else holds it.
    Refused,
    /// The table is full.
    Full,
    /// The process held it already.
    Held,
    /// The process is a new holder.
    Added,
}

#[derive(Debug)]
struct Lock {
    requester: Term,
    /// Never empty; each process once.
    holders: Vec<Pid>,
}

#[derive(Debug, Default)]
pub(super) struct Locks {
    table: HashMap<Term, Lock>,
    by_pid: HashMap<Pid, Vec<Term>>,
    /// Whether `global` was last freed by the death of its holder: what that holder's messages would still
    /// register must not go in.
    global_lock_down: bool,
}

impl Locks {
    /// Whether `set_lock` would succeed.
    pub(super) fn allows(&self, id: &LockId) -> bool {
        self.table.get(&id.resource).is_none_or(|lock| lock.requester == id.requester)
    }

    pub(super) fn set(&mut self, id: &LockId, pid: &Pid) -> Set {
        let full = self.table.len() >= LOCKS_MAX;
        match self.table.get_mut(&id.resource) {
            Some(lock) if lock.requester != id.requester => return Set::Refused,
            Some(lock) if lock.holders.contains(pid) => return Set::Held,
            Some(lock) => lock.holders.push(pid.clone()),
            None if full => return Set::Full,
            None => {
                let lock = Lock { requester: id.requester.clone(), holders: vec![pid.clone()] };
                self.table.insert(id.resource.clone(), lock);
            }
        }
        self.by_pid.entry(pid.clone()).or_default().push(id.resource.clone());
        Set::Added
    }

    /// Takes the process off the lock; true if it was on it.
    pub(super) fn del(&mut self, id: &LockId, pid: &Pid) -> bool {
        if self.table.get(&id.resource).is_none_or(|lock| lock.requester != id.requester) {
            return false;
        }
        let held = self.release(&id.resource, pid, false);
        if held && let Some(resources) = self.by_pid.get_mut(pid) {
            resources.retain(|resource| resource != &id.resource);
            if resources.is_empty() {
                self.by_pid.remove(pid);
            }
        }
        held
    }

    /// Takes a dead process off all its locks.
    pub(super) fn pid_down(&mut self, pid: &Pid) {
        for resource in self.by_pid.remove(pid).unwrap_or_default() {
            self.release(&resource, pid, true);
        }
    }

    fn release(&mut self, resource: &Term, pid: &Pid, down: bool) -> bool {
        let Some(lock) = self.table.get_mut(resource) else { return false };
        let Some(at) = lock.holders.iter().position(|holder| holder == pid) else { return false };
        lock.holders.remove(at);
        if lock.holders.is_empty() {
            self.table.remove(resource);
            if resource.is_atom("global") {
                self.global_lock_down = down;
            }
        }
        true
    }

    /// Whether the process holds any lock.
    pub(super) fn holds_any(&self, pid: &Pid) -> bool {
        self.by_pid.contains_key(pid)
    }

    pub(super) fn is_global_set(&self) -> bool {
        self.table.contains_key(&Term::atom("global"))
    }

    pub(super) fn is_global_lock_down(&self) -> bool {
        self.global_lock_down
    }

    /// Whether a name that comes under this authority may go in (cluster-services.md 1.3, lock check after insert).
    pub(super) fn authorizes(&self, authority: Authority<'_>) -> bool {
        match (self.table.get(&Term::atom("global")), authority) {
            (Some(lock), Authority::Holder(pid)) => lock.holders.contains(pid),
            (Some(lock), Authority::Requester(requester)) => lock.requester == *requester,
            (None, _) => !self.global_lock_down,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// In whose right a name is inserted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Authority<'a> {
    /// The process that asks must hold the lock.
    Holder(&'a Pid),
    /// The lock must be held in this name.
    Requester(&'a Term),
}

#[cfg(test)]
mod tests {
    use etf::Atom;

    use super::*;

    fn pid(id: u32) -> Pid {
        Pid::new(Atom::from_static("a@h"), id, 0, 1)
    }

    fn global(requester: i64) -> LockId {
        LockId::global(Term::Int(requester))
    }

    #[test]
    fn holders_of_one_requester_share_a_lock() {
        let mut locks = Locks::default();
        assert_eq!(locks.set(&global(1), &pid(1)), Set::Added);
        assert_eq!(locks.set(&global(1), &pid(2)), Set::Added);
        assert_eq!(locks.set(&global(1), &pid(2)), Set::Held);
        assert_eq!(locks.set(&global(2), &pid(2)), Set::Refused);
        assert!(!locks.del(&global(2), &pid(1)), "another requester's lock");
        assert!(!locks.del(&global(1), &pid(3)), "not a holder");
        assert!(locks.del(&global(1), &pid(1)));
        assert!(locks.is_global_set());
        assert!(locks.del(&global(1), &pid(2)));
        assert!(!locks.is_global_set());
        assert_eq!(locks.len(), 0);
        assert!(!locks.holds_any(&pid(1)));
    }

    #[test]
    fn resources_are_equal_only_exactly() {
        let mut locks = Locks::default();
        let float = Term::Float(etf::Float::new(1.0).unwrap());
        locks.set(&LockId { resource: Term::Int(1), requester: Term::Int(1) }, &pid(1));
        let id = LockId { resource: float, requester: Term::Int(2) };
        assert_eq!(locks.set(&id, &pid(1)), Set::Added);
        locks.pid_down(&pid(1));
        assert_eq!(locks.len(), 0);
    }

    #[test]
    fn a_dead_holder_bars_its_late_names() {
        let mut locks = Locks::default();
        let requester = Term::Int(1);
        assert!(locks.authorizes(Authority::Holder(&pid(1))), "free and never lost");
        locks.set(&global(1), &pid(1));
        assert!(locks.authorizes(Authority::Holder(&pid(1))));
        assert!(!locks.authorizes(Authority::Holder(&pid(2))));
        assert!(locks.authorizes(Authority::Requester(&requester)));
        assert!(!locks.authorizes(Authority::Requester(&Term::Int(2))));
        locks.pid_down(&pid(1));
        assert!(!locks.authorizes(Authority::Holder(&pid(1))), "it died with the lock");
        locks.set(&global(2), &pid(2));
        locks.del(&global(2), &pid(2));
        assert!(locks.authorizes(Authority::Holder(&pid(1))), "freed in order since");
    }
}
