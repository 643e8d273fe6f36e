//! The way out to one other node: a queue that exists before the connection does, and outlives nothing.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use dist::{EncodeError, Encoded, Op, Outbound, PlainSend, Signal, Withheld};
use etf::{Atom, Pid, Segments};
use handshake::DistFlags;
use tokio::sync::watch;

use super::{
    Bells,
    pressure::{BusySender, Pressure},
    stats::{Counters, Facts, LinkInfo},
};
use crate::{ConnectError, peers::ConnectionId};

/// How many signals may wait for a connection that is being made, of [`RouteLimits::bytes_max`] bytes together at
/// most. A sender that can wait does so before.
const WAITING_MAX: usize = 65_536;

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in the queue.
    Queued,
    /// The peer could not understand it: nothing was queued, and the connection stays.
    Withheld(Withheld),
    /// The connection is gone: nothing was queued.
    Lost,
}

/// Why a message was not queued yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// As much waits as should: [`RouteLimits::busy_bytes`].
    Budget,
    /// The sender's last message is still going out in fragments. That of another sender is nothing to wait for:
    /// between its fragments there is room.
    OwnFragments,
}

/// See the module.
pub(crate) struct Route {
    pub(crate) node: Atom,
    state: Mutex<State>,
    /// Those of the task of the connection. Who queues the first signal rings.
    bells: Arc<Bells>,
    /// More waits than may: the link must give the connection up, also while a write waits for the peer.
    is_overrun: AtomicBool,
    /// Whether the connection came about; `None` until that is known.
    outcome: watch::Sender<Option<Result<(), ConnectError>>>,
    /// A number that changes when the queue falls below the limit or the route closes.
    drained: watch::Sender<u64>,
    /// Held by the sender that is the next to have room: they go on in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    pressure: Pressure,
    counters: Counters,
    limits: RouteLimits,
}

/// What was taken out of a queue since its connection is up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Signals.
    pub(crate) messages: u64,
    /// Fragments.
    pub(crate) fragments: u64,
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
        facts: Facts,
        out: Box<Outbound>,
        /// How many signals were put into it.
        messages: u64,
        overrun: bool,
        /// By how much the limit is raised for a message that is longer, until the queue is below it again.
        over: usize,
    },
    Closed,
}

impl Route {
    pub(crate) fn new(node: Atom, limits: RouteLimits, events: BusySender) -> Arc<Self> {
        Arc::new(Self {
            pressure: Pressure::new(node.clone(), events),
            turn: tokio::sync::Mutex::default(),
            counters: Counters::new(),
            node,
            state: Mutex::new(State::Connecting { waiting: VecDeque::new(), bytes: 0 }),
            bells: Arc::default(),
            is_overrun: AtomicBool::new(false),
            outcome: watch::Sender::new(None),
            drained: watch::Sender::new(0),
            limits,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// Queues a signal. Never waits.
    pub(crate) fn push(&self, signal: &Signal) -> Pushed {
        self.push_into(&mut self.lock(), signal, false)
    }

    /// Queues a message as soon as there is room for it, and not before. Dropping the future before it is done
    /// leaves nothing queued.
    ///
    /// Room is where at most [`RouteLimits::busy_bytes`] wait, so a message may go past that by its own length, as
    /// on the BEAM; and where less than half of [`RouteLimits::bytes_max`] waits in all, fragments included.
    pub(crate) async fn send(&self, signal: &Signal) -> Pushed {
        if let Ok(pushed) = self.offer(signal, true) {
            return pushed;
        }
        let (mut drained, mut turn) = (self.drained.subscribe(), None);
        loop {
            drained.mark_unchanged();
            match self.offer(signal, false) {
                Ok(pushed) => return pushed,
                Err(Wait::Budget) if turn.is_none() => {
                    turn = Some(self.turn.lock().await);
                    continue;
                }
                Err(Wait::Budget) => {}
                // Who waits for itself alone is in nobody's way.
                Err(Wait::OwnFragments) => turn = None,
            }
            if drained.changed().await.is_err() {
                return Pushed::Lost;
            }
        }
    }

    /// Queues a message, of parts that stay with the caller, if the connection is up and has room for it. Where it does
    /// not nothing is queued, and who asked goes the usual way, which says why.
    pub(crate) fn offer_plain(&self, send: &PlainSend<'_>) -> bool {
        let mut state = self.lock();
        self.wait(&state, Some(send.from)).is_none()
            && matches!(&*state, State::Up { overrun: false, .. })
            && self.push_up(&mut state, true, |out| out.handle_plain(send)) == Pushed::Queued
    }

    /// Queues a message if there is room for it. Nothing is queued where this gives nothing.
    pub(crate) fn try_send(&self, signal: &Signal) -> Option<Pushed> {
        self.offer(signal, true).ok()
    }

    /// Looks and queues under one lock, so that of many senders that wait only one finds the last room.
    /// A send that looks again is counted no second time.
    fn offer(&self, signal: &Signal, is_first: bool) -> Result<Pushed, Wait> {
        let mut state = self.lock();
        let wait = self.wait(&state, signal.from());
        let Some(wait) = wait else { return Ok(self.push_into(&mut state, signal, true)) };
        if wait == Wait::Budget {
            // Under the lock: `take` says the opposite under it too.
            self.pressure.busy(signal.from(), is_first);
        }
        Err(wait)
    }

    /// One message may be longer than all that may wait, as on the BEAM: that of a sender that has waited for room, or
    /// where nothing else waits.
    fn push_into(&self, state: &mut State, signal: &Signal, has_room: bool) -> Pushed {
        match state {
            State::Closed => Pushed::Lost,
            State::Connecting { waiting, .. } if waiting.len() >= WAITING_MAX => Pushed::Lost,
            State::Connecting { waiting, bytes } => {
                // What the peer can be sent is not known yet. The size hardly differs.
                let mut encoded = Outbound::new(DistFlags::OFFERED);
                if let Err(error) = encoded.handle(signal) {
                    tracing::error!(peer = self.node.as_str(), %error, "a signal cannot be sent");
                    return Pushed::Lost;
                }
                let is_alone = has_room || *bytes == 0;
                if !is_alone && *bytes + encoded.len() > self.limits.bytes_max {
                    return Pushed::Lost;
                }
                *bytes += encoded.len();
                waiting.push_back(signal.clone());
                Pushed::Queued
            }
            State::Up { .. } => self.push_up(state, has_room, |out| out.handle(signal)),
        }
    }

    /// The same where the connection is up, for what `put` puts.
    #[inline]
    fn push_up(
        &self,
        state: &mut State,
        has_room: bool,
        put: impl FnOnce(&mut Outbound) -> Result<Encoded, EncodeError>,
    ) -> Pushed {
        let State::Up { flags, out, overrun: overrun @ false, messages, over, .. } = state else {
            return Pushed::Lost;
        };
        let (was_empty, before) = (out.is_empty(), out.len());
        match put(out) {
            Ok(Encoded::Frame { .. }) => {}
            Ok(Encoded::Withheld(withheld)) => return Pushed::Withheld(withheld),
            Err(error) => {
                tracing::error!(peer = self.node.as_str(), %error, "a signal cannot be sent");
                return Pushed::Lost;
            }
        }
        if (has_room || was_empty) && out.len() > self.limits.bytes_max {
            *over = out.len() - before;
        }
        if out.len() > self.limits.bytes_max + *over {
            // Nothing goes out of it any more.
            (*overrun, **out) = (true, Outbound::new(*flags));
            self.is_overrun.store(true, Ordering::Release);
            self.bells.ring();
            return Pushed::Lost;
        }
        *messages += 1;
        // Otherwise the link is about to take what there is.
        if was_empty {
            self.bells.ring();
        }
        Pushed::Queued
    }

    /// The connection is there: what waited is encoded for it, in order. What could not be, and why not, so that
    /// those who sent it can be told as if it had not waited.
    pub(crate) fn up(&self, id: ConnectionId, flags: DistFlags, facts: Facts) -> Vec<(Signal, Pushed)> {
        let mut state = self.lock();
        let State::Connecting { waiting, .. } = &mut *state else { return Vec::new() };
        let (mut unsent, mut messages) = (Vec::new(), 0);
        let mut out = Box::new(Outbound::new(flags).with_peer_creation(facts.creation));
        for signal in std::mem::take(waiting) {
            let encoded = out.handle(&signal);
            messages += u64::from(matches!(encoded, Ok(Encoded::Frame { .. })));
            match encoded {
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
        let over = if out.len() > self.limits.bytes_max { out.len() } else { 0 };
        *state = State::Up { id, flags, facts, out, messages, overrun: false, over };
        drop(state);
        self.bells.ring();
        self.outcome.send_replace(Some(Ok(())));
        self.pressure.free();
        self.drained.send_modify(|n| *n += 1);
        unsent
    }

    /// The connection is gone, or never came about. The signals that waited for it.
    pub(crate) fn close(&self, error: ConnectError) {
        let before = std::mem::replace(&mut *self.lock(), State::Closed);
        self.pressure.free();
        if matches!(before, State::Connecting { .. }) {
            self.outcome.send_replace(Some(Err(error)));
        }
        self.bells.ring();
        self.drained.send_modify(|n| *n += 1);
    }

    /// Takes what is to be written, leaving an empty buffer, and says how much that makes in all. Nothing when
    /// there is nothing.
    pub(crate) fn take(&self, into: &mut Segments) -> Option<Taken> {
        let taken = match &mut *self.lock() {
            State::Up { out, messages, over, .. } if !out.is_empty() => {
                out.poll_output(into);
                if out.len() <= self.limits.bytes_max {
                    *over = 0;
                }
                if self.has_room(out) {
                    self.pressure.free();
                }
                Taken { messages: *messages, fragments: out.fragments() }
            }
            _ => return None,
        };
        // Who waited may go on while this is written.
        if self.drained.receiver_count() > 0 {
            self.drained.send_modify(|n| *n += 1);
        }
        Some(taken)
    }

    /// How many bytes wait to be taken.
    pub(crate) fn queued_bytes(&self) -> usize {
        match &*self.lock() {
            State::Connecting { bytes, .. } => *bytes,
            State::Up { out, .. } => out.len(),
            State::Closed => 0,
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The numbers of the connection, if it is up.
    pub(crate) fn info(&self) -> Option<LinkInfo> {
        let (facts, queued_bytes) = match &*self.lock() {
            State::Up { facts, out, .. } => (facts.clone(), out.len()),
            State::Connecting { .. } | State::Closed => return None,
        };
        Some(self.counters.info(facts, queued_bytes, self.pressure.sends()))
    }

    /// Whether more waits than may.
    pub(crate) fn is_overrun(&self) -> bool {
        self.is_overrun.load(Ordering::Acquire)
    }

    /// They ring when there is something to write, or the connection is to be given up.
    pub(crate) fn bells(&self) -> &Arc<Bells> {
        &self.bells
    }

    /// What a message of this sender has to wait for.
    fn wait(&self, state: &State, from: Option<&Pid>) -> Option<Wait> {
        match state {
            State::Connecting { waiting, bytes } => {
                let is_full = *bytes > self.limits.busy_bytes || waiting.len() >= WAITING_MAX;
                is_full.then_some(Wait::Budget)
            }
            State::Up { out, .. } if from.is_some_and(|from| out.is_fragmenting(from)) => {
                Some(Wait::OwnFragments)
            }
            State::Up { out, .. } => (!self.has_room(out)).then_some(Wait::Budget),
            State::Closed => None,
        }
    }

    fn has_room(&self, out: &Outbound) -> bool {
        out.ready_len() <= self.limits.busy_bytes && out.len() <= self.limits.bytes_max / 2
    }

    /// Returns once a sender need not wait, or the route is closed. For what is several signals, the last of which
    /// is long: another may be quicker and take the room.
    pub(crate) async fn ready(&self, from: &Pid) {
        let mut drained = self.drained.subscribe();
        loop {
            drained.mark_unchanged();
            if self.wait(&self.lock(), Some(from)).is_none() || drained.changed().await.is_err() {
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
        if let State::Up { facts, .. } = &*self.lock() { Some(facts.visible) } else { None }
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
mod tests;
