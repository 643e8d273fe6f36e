//! The table of names (cluster-services.md 1.1).

use std::collections::{BTreeMap, HashMap};

use etf::{Atom, Pid, Term};

use super::wire::{Name, NameExt};

/// A registered name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// The member that registered it for a process of a hidden node.
    pub(super) reg_node: Option<Atom>,
}

/// Every member holds the same names, so there is no limit here: refusing one would part the views. It is as big as
/// what the members register, some 400 bytes a name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In the order of registration, so that the same events give the same messages.
    entries: BTreeMap<u64, Entry>,
    by_name: HashMap<Term, u64>,
    by_pid: HashMap<Pid, Vec<Term>>,
    next: u64,
}

impl Names {
    pub(super) fn get(&self, name: &Term) -> Option<&Entry> {
        self.entries.get(self.by_name.get(name)?)
    }

    /// Inserts a name that is not there.
    pub(super) fn insert(&mut self, entry: Entry) {
        let at = self.next;
        self.next += 1;
        self.by_name.insert(entry.name.name.clone(), at);
        self.by_pid.entry(entry.name.pid.clone()).or_default().push(entry.name.name.clone());
        self.entries.insert(at, entry);
    }

    pub(super) fn remove(&mut self, name: &Term) -> Option<Entry> {
        let entry = self.entries.remove(&self.by_name.remove(name)?)?;
        if let Some(names) = self.by_pid.get_mut(&entry.name.pid) {
            names.retain(|n| n != name);
            if names.is_empty() {
                self.by_pid.remove(&entry.name.pid);
            }
        }
        Some(entry)
    }

    /// The names of a process.
    pub(super) fn of_pid(&self, pid: &Pid) -> &[Term] {
        self.by_pid.get(pid).map_or(&[], Vec::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn all(&self) -> Vec<Name> {
        self.iter().map(|entry| entry.name.clone()).collect()
    }

    pub(super) fn all_ext(&self) -> Vec<NameExt> {
        self.iter()
            .filter_map(|entry| {
                let reg_node = entry.reg_node.clone()?;
                Some(NameExt { name: entry.name.name.clone(), pid: entry.name.pid.clone(), reg_node })
            })
            .collect()
    }
}
