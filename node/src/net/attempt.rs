//! The handle by which an attempt at a connection, or the connection it became, is ended from outside.

use std::sync::{Arc, Mutex};

use etf::Term;
use socket2::{SockRef, Socket};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
};

/// See the module.
#[derive(Clone)]
pub(crate) struct Attempt(Arc<Shared>);

struct Shared {
    reason: Mutex<Option<Term>>,
    /// The connection's socket once it is up, until it ends.
    socket: Mutex<Option<Socket>>,
    aborted: Notify,
    ended: watch::Sender<bool>,
}

impl Attempt {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            reason: Mutex::default(),
            socket: Mutex::default(),
            aborted: Notify::new(),
            ended: watch::Sender::new(false),
        }))
    }

    /// Asks it to end for a reason. The first reason counts.
    pub(crate) fn abort(&self, reason: Term) {
        self.0.reason.lock().expect("nothing panics while it holds this lock").get_or_insert(reason);
        self.0.aborted.notify_one();
    }

    /// The connection is up, over this stream.
    pub(crate) fn set_up(&self, stream: &TcpStream) {
        // Without a second handle (no file descriptors left) the connection ends a moment later than others.
        *self.0.socket.lock().expect("nothing panics while it holds this lock") =
            SockRef::from(stream).try_clone().ok();
    }

    /// Ends the connection for the peer at this very moment; here it ends by [`Attempt::abort`].
    pub(crate) fn hang_up(&self) {
        if let Some(socket) = &*self.0.socket.lock().expect("nothing panics while it holds this lock") {
            // An error means that it is over already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Whether it shall end.
    pub(crate) fn is_aborted(&self) -> bool {
        self.0.reason.lock().expect("nothing panics while it holds this lock").is_some()
    }

    /// Returns the reason once it shall end.
    pub(crate) async fn aborted(&self) -> Term {
        loop {
            let notified = self.0.aborted.notified();
            if let Some(reason) = &*self.0.reason.lock().expect("nothing panics while it holds this lock") {
                return reason.clone();
            }
            notified.await;
        }
    }

    /// It has ended.
    pub(crate) fn set_ended(&self) {
        *self.0.socket.lock().expect("nothing panics while it holds this lock") = None;
        self.0.ended.send_replace(true);
    }

    /// Returns once it has ended.
    pub(crate) async fn ended(&self) {
        let mut ended = self.0.ended.subscribe();
        // An error would mean that the sender is gone, and it is in `self`.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}
