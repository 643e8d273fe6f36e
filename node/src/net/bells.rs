//! Who has woken the task of a connection.
//!
//! A message that goes out wakes it, and one that comes in, and the timer. Each time to ask the socket and the timer too
//! whether there is something costs as much as the message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use atomic_waker::AtomicWaker;

/// The task, and what can wake it.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    task: AtomicWaker,
    socket: AtomicBool,
    timer: AtomicBool,
}

impl Bells {
    /// From now on this task is woken. A task is woken once; then it has to say so again.
    pub(crate) fn wake_me(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Wakes the task; what for, it sees by itself.
    pub(crate) fn ring(&self) {
        self.task.wake();
    }
}

/// What rings for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Socket,
    Timer,
}

/// One source's part of the bells.
pub(super) struct Bell {
    bells: Arc<Bells>,
    source: Source,
    waker: Waker,
}

struct Ringer(Arc<Bells>, Source);

impl Bell {
    pub(super) fn new(bells: &Arc<Bells>, source: Source) -> Self {
        let waker = Waker::from(Arc::new(Ringer(Arc::clone(bells), source)));
        let bell = Self { bells: Arc::clone(bells), source, waker };
        // Nobody has asked yet.
        bell.set();
        bell
    }

    /// What the source is to wake.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// The source is to be asked at the next chance.
    pub(super) fn set(&self) {
        self.bells.flag(self.source).store(true, Ordering::Release);
    }

    /// Whether it is to be asked; from now on it is not.
    pub(super) fn take(&self) -> bool {
        let flag = self.bells.flag(self.source);
        flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Acquire)
    }
}

impl Bells {
    fn flag(&self, source: Source) -> &AtomicBool {
        match source {
            Source::Socket => &self.socket,
            Source::Timer => &self.timer,
        }
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.flag(self.1).store(true, Ordering::Release);
        self.0.ring();
    }
}
