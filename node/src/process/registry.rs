//! The processes of one node: by number, by registered name, by alias.

use std::{
    num::NonZeroU64,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use etf::{Atom, Pid, Reference};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{AliasOptions, Process};

/// A process's number and serial, which tell it from every other of this incarnation.
type Number = u64;

/// See the module.
pub(crate) struct Registry {
    node: Arc<Atom>,
    creation: u32,
    numbers: AtomicU64,
    references: AtomicU64,
    unlinks: AtomicU64,
    processes: RwLock<FxHashMap<Number, Arc<Process>>>,
    names: RwLock<FxHashMap<Atom, Pid>>,
    aliases: Mutex<FxHashMap<Reference, (Pid, AliasOptions)>>,
    /// Which processes may have a link, a monitor or a request with a node: never too few.
    concerned: Mutex<FxHashMap<Atom, FxHashSet<Number>>>,
}

/// Pids of up to 15 bits of number and 13 of serial are what every release accepts (wire.md 3, V4_NC).
const NUMBER_BITS: u32 = 15;

impl Registry {
    pub(crate) fn new(node: Arc<Atom>, creation: u32) -> Self {
        Self {
            node,
            creation,
            numbers: AtomicU64::new(1),
            references: AtomicU64::new(1),
            unlinks: AtomicU64::new(1),
            processes: RwLock::default(),
            names: RwLock::default(),
            aliases: Mutex::default(),
            concerned: Mutex::default(),
        }
    }

    /// A pid that no process of this incarnation has had.
    pub(crate) fn new_pid(&self) -> Pid {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "masked, and wrapping is what the serial is for")]
        let (id, serial) = ((n & ((1 << NUMBER_BITS) - 1)) as u32, (n >> NUMBER_BITS) as u32);
        Pid::new(Arc::clone(&self.node), id, serial, self.creation)
    }

    /// A reference that this incarnation has not given before.
    pub(crate) fn new_reference(&self) -> Reference {
        let n = self.references.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let words = [(n & 0x3_ffff) as u32, (n >> 18) as u32, (n >> 50) as u32];
        Reference::new(Arc::clone(&self.node), self.creation, &words).expect("three words")
    }

    /// An id for an unlink; never 0, which kills the connection (wire.md 5, op 35).
    pub(crate) fn new_unlink_id(&self) -> NonZeroU64 {
        NonZeroU64::new(self.unlinks.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MIN)
    }

    /// Whether the pid is one of this node and of this incarnation.
    pub(crate) fn is_ours(&self, pid: &Pid) -> bool {
        *pid.node() == *self.node && pid.creation == self.creation
    }

    pub(crate) fn insert(&self, process: Arc<Process>) {
        let mut processes = self.processes.write().unwrap_or_else(PoisonError::into_inner);
        processes.insert(number(&process.pid), process);
    }

    pub(crate) fn remove(&self, process: &Process) {
        let number = number(&process.pid);
        self.processes.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.names.write().unwrap_or_else(PoisonError::into_inner).retain(|_, pid| *pid != process.pid);
        lock(&self.aliases).retain(|_, (pid, _)| *pid != process.pid);
        lock(&self.concerned).retain(|_, numbers| {
            numbers.remove(&number);
            !numbers.is_empty()
        });
    }

    /// The live process of a pid of this incarnation.
    pub(crate) fn get(&self, pid: &Pid) -> Option<Arc<Process>> {
        if !self.is_ours(pid) {
            return None;
        }
        self.processes.read().unwrap_or_else(PoisonError::into_inner).get(&number(pid)).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.processes.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Process>> {
        self.processes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Gives a live process a name. False if the name is taken, or the process has one or is gone; and for
    /// `undefined`, which is what a process without a name has for one.
    pub(crate) fn register(&self, name: &Atom, pid: &Pid) -> bool {
        if name.as_str() == "undefined" {
            return false;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a process that ends takes its names away after it has left the table.
        if names.contains_key(name) || names.values().any(|p| p == pid) || self.get(pid).is_none() {
            return false;
        }
        names.insert(name.clone(), pid.clone());
        true
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<Atom> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(crate) fn name_of(&self, pid: &Pid) -> Option<Atom> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.iter().find(|(_, p)| *p == pid).map(|(name, _)| name.clone())
    }

    pub(crate) fn alias(&self, reference: Reference, pid: Pid, options: AliasOptions) {
        lock(&self.aliases).insert(reference, (pid, options));
    }

    /// Whether it was one of this process, and now is none.
    pub(crate) fn unalias(&self, reference: &Reference, pid: &Pid) -> bool {
        let mut aliases = lock(&self.aliases);
        let is_owner = aliases.get(reference).is_some_and(|(owner, _)| owner == pid);
        is_owner && aliases.remove(reference).is_some()
    }

    /// Delivers a message to the process behind an alias. The alias stays while that is done.
    pub(crate) fn with_aliased(&self, reference: &Reference, deliver: impl FnOnce(&Pid, AliasOptions)) {
        let mut aliases = lock(&self.aliases);
        if let Some((pid, options)) = aliases.get(reference) {
            deliver(pid, *options);
            if options.reply {
                aliases.remove(reference);
            }
        }
    }

    pub(crate) fn aliased(&self, reference: &Reference) -> Option<(Pid, AliasOptions)> {
        lock(&self.aliases).get(reference).cloned()
    }

    /// A process is about to have something to do with a node.
    pub(crate) fn concern(&self, node: &Atom, pid: &Pid) {
        if *node != *self.node {
            lock(&self.concerned).entry(node.clone()).or_default().insert(number(pid));
        }
    }

    /// The processes that may have something to do with a node, forgetting that they do.
    pub(crate) fn take_concerned(&self, node: &str) -> Vec<Arc<Process>> {
        let numbers = lock(&self.concerned).remove(node).unwrap_or_default();
        let processes = self.processes.read().unwrap_or_else(PoisonError::into_inner);
        numbers.iter().filter_map(|number| processes.get(number).cloned()).collect()
    }
}

fn number(pid: &Pid) -> Number {
    u64::from(pid.serial) << 32 | u64::from(pid.id)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
