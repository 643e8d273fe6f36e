//! The way out to one other node: a queue that exists before the connection does, and outlives nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use dist::{Encoded, Op, Outbound, Signal, Withheld};
use etf::{Atom, Pid, Segments};
use handshake::DistFlags;
use tokio::sync::{Notify, watch};

use crate::{ConnectError, peers::ConnectionId};

/// How many signals may wait for a connection that is being made, of [`RouteLimits::bytes_max`] bytes together at
/// most. A sender that can wait does so before.
const WAITING_MAX: usize = 65_536;

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in the queue.
    Queued,
    /// It is in the queue, which has more than it should: wait before the next.
    Busy,
    /// The peer could not understand it: nothing was queued, and the connection stays.
    Withheld(Withheld),
    /// The connection is gone: nothing was queued.
    Lost,
}

/// See the module.
pub(crate) struct Route {
    pub(crate) node: Atom,
    state: Mutex<State>,
    /// The link has something to write.
    wake: Notify,
    /// More waits than may: the link must give the connection up, also while a write waits for the peer.
    overrun: Notify,
    /// Whether the connection came about; `None` until that is known.
    outcome: watch::Sender<Option<Result<(), ConnectError>>>,
    /// A number that changes when the queue falls below the limit or the route closes.
    drained: watch::Sender<u64>,
    limits: RouteLimits,
}

/// How much may wait in the queue of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteLimits {
    /// Above this many bytes senders wait, as the BEAM's do above `+zdbbl`.
    pub(crate) busy_bytes: usize,
    /// Above this many bytes the connection is given up: what does not wait (exits, replies of services) has
    /// piled up behind a peer that does not read. What a single write has taken is not counted.
    pub(crate) bytes_max: usize,
}

enum State {
    /// `bytes` is what `waiting` takes when it is encoded.
    Connecting {
        waiting: VecDeque<Signal>,
        bytes: usize,
    },
    Up {
        id: ConnectionId,
        flags: DistFlags,
        visible: bool,
        out: Box<Outbound>,
        overrun: bool,
    },
    Closed,
}

impl Route {
    pub(crate) fn new(node: Atom, limits: RouteLimits) -> Arc<Self> {
        Arc::new(Self {
            node,
            state: Mutex::new(State::Connecting { waiting: VecDeque::new(), bytes: 0 }),
            wake: Notify::new(),
            overrun: Notify::new(),
            outcome: watch::Sender::new(None),
            drained: watch::Sender::new(0),
            limits,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// Queues a signal. Never waits.
    pub(crate) fn push(&self, signal: Signal) -> Pushed {
        match &mut *self.lock() {
            State::Closed => Pushed::Lost,
            State::Connecting { waiting, .. } if waiting.len() >= WAITING_MAX => Pushed::Lost,
            State::Connecting { waiting, bytes } => {
                // What the peer can be sent is not known yet. The size hardly differs.
                let mut encoded = Outbound::new(DistFlags::OFFERED);
                if let Err(error) = encoded.handle(&signal) {
                    tracing::error!(peer = self.node.as_str(), %error, "a signal cannot be sent");
                    return Pushed::Lost;
                }
                if *bytes + encoded.len() > self.limits.bytes_max {
                    return Pushed::Lost;
                }
                *bytes += encoded.len();
                waiting.push_back(signal);
                Pushed::Busy
            }
            State::Up { overrun: true, .. } => Pushed::Lost,
            State::Up { flags, out, overrun, .. } => {
                match out.handle(&signal) {
                    Ok(Encoded::Frame { .. }) => {}
                    Ok(Encoded::Withheld(withheld)) => return Pushed::Withheld(withheld),
                    Err(error) => {
                        tracing::error!(peer = self.node.as_str(), %error, "a signal cannot be sent");
                        return Pushed::Lost;
                    }
                }
                let bytes = out.len();
                if bytes > self.limits.bytes_max {
                    (*overrun, **out) = (true, Outbound::new(*flags));
                    self.overrun.notify_one();
                    return Pushed::Lost;
                }
                self.wake.notify_one();
                if self.is_busy(out, signal.from()) { Pushed::Busy } else { Pushed::Queued }
            }
        }
    }

    /// The connection is there: what waited is encoded for it, in order. What could not be, and why not, so that
    /// those who sent it can be told as if it had not waited.
    pub(crate) fn up(&self, id: ConnectionId, flags: DistFlags, visible: bool) -> Vec<(Signal, Pushed)> {
        let mut state = self.lock();
        let State::Connecting { waiting, .. } = &mut *state else { return Vec::new() };
        let (mut out, mut unsent) = (Box::new(Outbound::new(flags)), Vec::new());
        for signal in std::mem::take(waiting) {
            match out.handle(&signal) {
                // Nobody will acknowledge it.
                Ok(Encoded::Frame { op: Op::Unlink, .. }) => unsent.push((signal, Pushed::Queued)),
                Ok(Encoded::Frame { .. }) => {}
                Ok(Encoded::Withheld(withheld)) => unsent.push((signal, Pushed::Withheld(withheld))),
                Err(error) => {
                    tracing::error!(peer = self.node.as_str(), %error, "a signal cannot be sent");
                    unsent.push((signal, Pushed::Lost));
                }
            }
        }
        *state = State::Up { id, flags, visible, out, overrun: false };
        drop(state);
        self.wake.notify_one();
        self.outcome.send_replace(Some(Ok(())));
        self.drained.send_modify(|n| *n += 1);
        unsent
    }

    /// The connection is gone, or never came about. The signals that waited for it.
    pub(crate) fn close(&self, error: ConnectError) {
        let before = std::mem::replace(&mut *self.lock(), State::Closed);
        if matches!(before, State::Connecting { .. }) {
            self.outcome.send_replace(Some(Err(error)));
        }
        self.wake.notify_one();
        self.drained.send_modify(|n| *n += 1);
    }

    /// Takes what is to be written, leaving an empty buffer. False when there is nothing.
    pub(crate) fn take(&self, into: &mut Segments) -> bool {
        match &mut *self.lock() {
            State::Up { out, .. } if !out.is_empty() => {
                out.poll_output(into);
            }
            _ => return false,
        }
        // Who waited may go on while this is written.
        if self.drained.receiver_count() > 0 {
            self.drained.send_modify(|n| *n += 1);
        }
        true
    }

    /// Returns once more waits than may.
    pub(crate) async fn overrun(&self) {
        self.overrun.notified().await;
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether a sender has to wait: the queue is long, or its last message is still going out. That of another
    /// sender is nothing to wait for: between its fragments there is room.
    fn is_busy(&self, out: &Outbound, from: Option<&Pid>) -> bool {
        out.ready_len() > self.limits.busy_bytes || from.is_some_and(|from| out.is_fragmenting(from))
    }

    /// Returns once a sender need not wait, or the route is closed.
    pub(crate) async fn ready(&self, from: &Pid) {
        let mut drained = self.drained.subscribe();
        loop {
            drained.mark_unchanged();
            let busy = match &*self.lock() {
                State::Connecting { .. } => true,
                State::Up { out, .. } => self.is_busy(out, Some(from)),
                State::Closed => false,
            };
            if !busy || drained.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until it is known whether there is a connection.
    pub(crate) async fn connected(&self) -> Result<(), ConnectError> {
        let mut outcome = self.outcome.subscribe();
        match outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            _ => Err(ConnectError::Stopped),
        }
    }

    /// Whether the connection is up, and if so whether it is visible.
    pub(crate) fn is_up(&self) -> Option<bool> {
        if let State::Up { visible, .. } = &*self.lock() { Some(*visible) } else { None }
    }

    /// Whether the peer answers an unlink; one that is not connected yet is taken to.
    pub(crate) fn acknowledges_unlinks(&self) -> bool {
        match &*self.lock() {
            State::Up { flags, .. } => flags.contains(DistFlags::UNLINK_ID),
            State::Connecting { .. } | State::Closed => true,
        }
    }

    pub(crate) fn is_connecting(&self) -> bool {
        matches!(&*self.lock(), State::Connecting { .. })
    }

    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        if let State::Up { id, .. } = &*self.lock() { Some(*id) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use etf::{Pid, Term};

    use super::*;
    use crate::peers::Peers;

    const FLAGS: DistFlags = DistFlags::OFFERED;

    fn route(bytes_max: usize) -> Arc<Route> {
        Route::new("b@h".into(), RouteLimits { busy_bytes: 1000, bytes_max })
    }

    fn id() -> ConnectionId {
        Peers::new("a@h".parse().expect("a node name")).connection_id()
    }

    fn message(bytes: usize) -> Signal {
        let to = Pid::new(Atom::from("b@h"), 1, 0, 1);
        Signal::Send { from: None, to, message: Term::binary(vec![0; bytes]), token: None, priority: false }
    }

    #[test]
    fn what_waits_for_a_connection_is_limited_in_bytes() {
        let route = route(10_000);
        assert_eq!(route.push(message(6000)), Pushed::Busy);
        assert_eq!(route.push(message(6000)), Pushed::Lost);
        assert_eq!(route.push(message(3000)), Pushed::Busy, "a smaller one still fits");
        assert_eq!(route.up(id(), FLAGS, true), []);
        let mut out = Segments::new();
        assert!(route.take(&mut out));
        assert!((9000..10_000).contains(&out.len()), "{}", out.len());
        assert!(!route.take(&mut out));
    }

    #[tokio::test]
    async fn a_queue_above_its_limit_is_given_up_at_once() {
        let route = route(10_000);
        assert_eq!(route.up(id(), FLAGS, true), []);
        assert_eq!(route.push(message(500)), Pushed::Queued);
        assert_eq!(route.push(message(1000)), Pushed::Busy);
        assert_eq!(route.push(message(10_000)), Pushed::Lost);
        route.overrun().await;
        assert_eq!(route.push(message(1)), Pushed::Lost);
        assert!(!route.take(&mut Segments::new()), "nothing of it is kept");
    }

    #[test]
    fn what_the_peer_cannot_be_sent_comes_back_from_the_wait() {
        let (from, to) = (Pid::new(Atom::from("a@h"), 1, 0, 1), Pid::new(Atom::from("b@h"), 1, 0, 1));
        let unlink = Signal::Unlink { id: std::num::NonZeroU64::new(1), from, to };
        let route = route(10_000);
        assert_eq!(route.push(unlink.clone()), Pushed::Busy);
        let unsent = route.up(id(), FLAGS.without(DistFlags::UNLINK_ID), true);
        assert_eq!(unsent, [(unlink, Pushed::Queued)], "sent, and nobody will acknowledge it");
    }
}
