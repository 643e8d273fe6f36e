//! The handle by which an attempt at a connection, or the connection it became, is ended from outside.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use etf::Term;
use tokio::sync::{Notify, watch};

use super::Bells;
use crate::carrier::HangUp;

/// See the module.
#[derive(Clone)]
pub(crate) struct Attempt(Arc<Shared>);

struct Shared {
    reason: Mutex<Option<Term>>,
    /// What closes the connection from outside once it is up, until it ends.
    hang_up: Mutex<Option<HangUp>>,
    is_aborted: AtomicBool,
    aborted: Notify,
    /// Those of the connection, once it is up.
    bells: OnceLock<Arc<Bells>>,
    ended: watch::Sender<bool>,
}

impl Attempt {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            reason: Mutex::default(),
            hang_up: Mutex::default(),
            is_aborted: AtomicBool::new(false),
            aborted: Notify::new(),
            bells: OnceLock::new(),
            ended: watch::Sender::new(false),
        }))
    }

    /// Asks it to end for a reason. The first reason counts.
    pub(crate) fn abort(&self, reason: Term) {
        {
            let mut first = self.0.reason.lock().expect("nothing panics while it holds this lock");
            first.get_or_insert(reason);
            self.0.is_aborted.store(true, Ordering::Release);
        }
        self.0.aborted.notify_one();
        if let Some(bells) = self.0.bells.get() {
            bells.ring();
        }
    }

    /// From now on [`Attempt::abort`] rings them too. Whoever says so looks at [`Attempt::reason`] afterwards.
    pub(crate) fn wakes(&self, bells: &Arc<Bells>) {
        // Under the lock: either the reason is seen afterwards, or the bells are.
        let _reason = self.0.reason.lock().expect("nothing panics while it holds this lock");
        self.0.bells.get_or_init(|| Arc::clone(bells));
    }

    /// The connection is up, and this closes it from outside.
    pub(crate) fn set_up(&self, hang_up: Option<HangUp>) {
        *self.0.hang_up.lock().expect("nothing panics while it holds this lock") = hang_up;
    }

    /// Ends the connection for the peer at this very moment; here it ends by [`Attempt::abort`].
    pub(crate) fn hang_up(&self) {
        let hang_up = self.0.hang_up.lock().expect("nothing panics while it holds this lock").take();
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }

    /// Whether it shall end.
    pub(crate) fn is_aborted(&self) -> bool {
        self.0.is_aborted.load(Ordering::Acquire)
    }

    /// The reason if it shall end.
    pub(crate) fn reason(&self) -> Option<Term> {
        if !self.is_aborted() {
            return None;
        }
        self.0.reason.lock().expect("nothing panics while it holds this lock").clone()
    }

    /// Returns the reason once it shall end.
    pub(crate) async fn aborted(&self) -> Term {
        loop {
            let notified = self.0.aborted.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            notified.await;
        }
    }

    /// It has ended.
    pub(crate) fn set_ended(&self) {
        *self.0.hang_up.lock().expect("nothing panics while it holds this lock") = None;
        self.0.ended.send_replace(true);
    }

    /// Returns once it has ended.
    pub(crate) async fn ended(&self) {
        let mut ended = self.0.ended.subscribe();
        // An error would mean that the sender is gone, and it is in `self`.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}
