//! The processes of one node: by number, by registered name, by alias.

use std::{
    array,
    num::NonZeroU64,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use etf::{Atom, Pid, Reference};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;

use super::{AliasOptions, Process, Signals, signals::End};

/// The lower half of a process's number and serial, which tells it from every other that lives.
type Key = u32;

/// So many locks share the table, so that threads which start and end processes seldom want the same one.
const SHARDS: usize = 32;

/// See the module.
pub(crate) struct Registry {
    node: Arc<Atom>,
    creation: u32,
    numbers: AtomicU64,
    references: AtomicU64,
    unlinks: AtomicU64,
    processes: [RwLock<FxHashMap<Key, Arc<Process>>>; SHARDS],
    count: AtomicUsize,
    /// The node ends: no process runs any more.
    halted: AtomicBool,
    /// The last one has ended.
    emptied: Notify,
    names: RwLock<FxHashMap<Atom, Pid>>,
    /// Which processes may have a link, a monitor or a request with a node: never too few.
    concerned: Mutex<FxHashMap<Atom, FxHashSet<Key>>>,
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
            processes: array::from_fn(|_| RwLock::default()),
            count: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
            emptied: Notify::new(),
            names: RwLock::default(),
            concerned: Mutex::default(),
        }
    }

    /// A pid that no process of this incarnation has had.
    pub(crate) fn new_pid(&self) -> Pid {
        loop {
            let n = self.numbers.fetch_add(1, Ordering::Relaxed);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "masked, and wrapping is what the serial is for"
            )]
            let (id, serial) = ((n & ((1 << NUMBER_BITS) - 1)) as u32, (n >> NUMBER_BITS) as u32);
            let pid = Pid::new(Arc::clone(&self.node), id, serial, self.creation);
            // After four thousand million processes one that still lives may have the key.
            if n <= u64::from(Key::MAX) || (key(&pid) != 0 && self.by_key(key(&pid)).is_none()) {
                return pid;
            }
        }
    }

    /// A pid of this node that no process has, for what nobody in particular sends.
    pub(crate) fn nobody(&self) -> Pid {
        Pid::new(Arc::clone(&self.node), 0, 0, self.creation)
    }

    /// A reference that this incarnation has not given before.
    pub(crate) fn new_reference(&self) -> Reference {
        self.reference(0)
    }

    /// The same for a process. It says which one, so that an alias needs no table of its own.
    pub(crate) fn new_reference_of(&self, pid: &Pid) -> Reference {
        self.reference(key(pid))
    }

    fn reference(&self, key: Key) -> Reference {
        let n = self.references.fetch_add(1, Ordering::Relaxed);
        // 50 bits are enough for a million a second in 35 years.
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let words = [(n & 0x3_ffff) as u32, (n >> 18) as u32, key];
        Reference::new(Arc::clone(&self.node), self.creation, &words).expect("three words")
    }

    /// An id for an unlink; never 0, which kills the connection (wire.md 5, op 35).
    pub(crate) fn new_unlink_id(&self) -> NonZeroU64 {
        NonZeroU64::new(self.unlinks.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MIN)
    }

    /// Whether the pid is one of this node and of this incarnation.
    pub(crate) fn is_ours(&self, pid: &Pid) -> bool {
        pid.creation == self.creation && *pid.node() == *self.node
    }

    fn shard(&self, key: Key) -> &RwLock<FxHashMap<Key, Arc<Process>>> {
        &self.processes[key as usize % SHARDS]
    }

    pub(crate) fn insert(&self, process: Arc<Process>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let key = key(&process.pid);
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).insert(key, process);
    }

    /// Takes a process that has ended out of all tables.
    pub(crate) fn remove(&self, pid: &Pid, end: &End) {
        let key = key(pid);
        let removed = self.shard(key).write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        if end.has_name {
            self.names.write().unwrap_or_else(PoisonError::into_inner).retain(|_, named| named != pid);
        }
        if !end.concerns.is_empty() {
            let mut concerned = lock(&self.concerned);
            for node in &end.concerns {
                if let Some(keys) = concerned.get_mut(node) {
                    keys.remove(&key);
                    if keys.is_empty() {
                        concerned.remove(node);
                    }
                }
            }
        }
        if removed.is_some() && self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }

    /// From now on every process ends at its next await, and a new one before it begins.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        for process in self.all() {
            process.wake();
        }
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// Returns once there is no process.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn by_key(&self, key: Key) -> Option<Arc<Process>> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// The process of a pid of this incarnation, as long as it has not ended.
    pub(crate) fn get(&self, pid: &Pid) -> Option<Arc<Process>> {
        if !self.is_ours(pid) {
            return None;
        }
        self.by_key(key(pid)).filter(|process| (process.pid.id, process.pid.serial) == (pid.id, pid.serial))
    }

    /// The same, for who would begin something with it: not one that was told to end.
    pub(crate) fn living(&self, pid: &Pid) -> Option<Arc<Process>> {
        self.get(pid).filter(|process| !process.is_exiting())
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Process>> {
        let mut all = Vec::with_capacity(self.len());
        for shard in &self.processes {
            all.extend(shard.read().unwrap_or_else(PoisonError::into_inner).values().cloned());
        }
        all
    }

    /// Gives a live process a name. False if the name is taken, or the process has one or is gone; and for
    /// `undefined`, which is what a process without a name has for one.
    pub(crate) fn register(&self, name: &Atom, pid: &Pid) -> bool {
        if name.as_str() == "undefined" {
            return false;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let Some(process) = self.get(pid) else { return false };
        // Under both locks: a process that ends takes its name away after it has lost its signals.
        match &mut *process.signals() {
            Some(signals) if !signals.has_name && !names.contains_key(name) => signals.has_name = true,
            _ => return false,
        }
        names.insert(name.clone(), pid.clone());
        true
    }

    /// Takes a name away. Whether somebody had it.
    pub(crate) fn unregister(&self, name: &str) -> bool {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let Some(pid) = names.remove(name) else { return false };
        if let Some(process) = self.get(&pid)
            && let Some(signals) = &mut *process.signals()
        {
            signals.has_name = false;
        }
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

    /// The process that an alias would be of. Whether it is one it knows itself.
    pub(crate) fn owner(&self, alias: &Reference) -> Option<Arc<Process>> {
        self.owner_key(alias).and_then(|key| self.by_key(key))
    }

    /// What tells that process from all others that live.
    pub(crate) fn owner_key(&self, alias: &Reference) -> Option<Key> {
        let is_ours = alias.creation() == self.creation && *alias.node() == *self.node;
        alias.words().get(2).filter(|_| is_ours).copied()
    }

    /// Does something with the process behind an alias. The alias stays while that is done: nothing comes by it once it
    /// is gone.
    pub(crate) fn with_aliased(
        &self,
        alias: &Reference,
        then: impl FnOnce(&Process, &mut Signals, AliasOptions),
    ) {
        let Some(process) = self.owner(alias) else { return };
        process.with_signals(|signals| {
            if let Some(options) = signals.aliased(alias) {
                if options.reply {
                    signals.unalias(alias);
                }
                then(&process, signals, options);
            }
        });
    }

    /// A process is about to have something to do with a node.
    pub(crate) fn concern(&self, signals: &mut Signals, node: &Atom, pid: &Pid) {
        if *node != *self.node && signals.concern(node) {
            lock(&self.concerned).entry(node.clone()).or_default().insert(key(pid));
        }
    }

    /// The processes that may have something to do with a node, forgetting that they do.
    pub(crate) fn take_concerned(&self, node: &str) -> Vec<Arc<Process>> {
        let keys = lock(&self.concerned).remove(node).unwrap_or_default();
        keys.iter().filter_map(|key| self.by_key(*key)).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
pub(crate) fn key(pid: &Pid) -> Key {
    (u64::from(pid.serial) << NUMBER_BITS | u64::from(pid.id)) as Key
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
