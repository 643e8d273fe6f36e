//! The one place that asks the machine for the time, for randomness, and for tasks.
//!
//! Everything else takes them as arguments, so that a test can choose them.
#![expect(clippy::disallowed_methods, reason = "this is the lawful place")]

use std::{
    future::Future,
    sync::Mutex,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{runtime::Handle, task::JoinSet};

/// The time that tokio's timers use, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, for people to read.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time of day in microseconds since 1970.
pub(crate) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Random bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done without.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A random number.
pub(crate) fn random_u64() -> u64 {
    u64::from_ne_bytes(random_bytes())
}

/// A random challenge or the like.
pub(crate) fn random_u32() -> u32 {
    u32::from_ne_bytes(random_bytes())
}

/// The creation of a node that no EPMD gives one: 0 to 3 are left to old nodes.
pub(crate) fn random_creation() -> u32 {
    random_u32().max(4)
}

/// The tasks of one node: what it starts ends with it.
pub(crate) struct Tasks {
    handle: Handle,
    set: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    /// Tasks on the runtime that the caller is in.
    pub(crate) fn new() -> Self {
        Self { handle: Handle::current(), set: Mutex::new(Some(JoinSet::new())) }
    }

    /// Starts a task, unless the node has ended.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().expect("nothing panics while it holds this lock");
        if let Some(set) = set.as_mut() {
            while set.try_join_next().is_some() {}
            set.spawn_on(future, &self.handle);
        }
    }

    /// Starts a task that ends by itself, and that nobody waits for: a process, of which the registry knows.
    pub(crate) fn spawn_detached(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(future));
    }

    /// Ends every task at its next await, starts no more, and returns when they are gone.
    pub(crate) async fn end(&self) {
        let set = self.set.lock().expect("nothing panics while it holds this lock").take();
        // The tasks are dropped outside the lock: what they own may try to spawn as it goes.
        if let Some(mut set) = set {
            set.shutdown().await;
        }
    }
}
