//! What can be seen of senders that wait for a connection: OTP's `busy_dist_port` (wire.md 6).

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etf::{Atom, Pid};
use tokio::sync::broadcast::{self, error::RecvError};

use super::stats::count_busy_send;
use crate::clock;

/// How many events are kept for a subscriber that does not read them. At a saturated link there may be some hundred
/// in a second; they are for people and for counting, so the oldest can go.
const EVENTS_MAX: usize = 256;

/// What happened to the byte budget of a connection, [`NodeConfig::busy_bytes`](crate::NodeConfig::busy_bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusyEvent {
    /// The budget is spent and a sender waits, or was refused by [`Context::try_send`](crate::Context::try_send).
    /// What `erlang:system_monitor(Pid, [busy_dist_port])` tells; but once for a connection, not for each sender,
    /// until it is [`BusyEvent::Free`] again.
    Busy {
        /// The node at the other end.
        node: Atom,
        /// The first sender that waits.
        sender: Pid,
    },
    /// There is room again, or the connection is gone. The BEAM has no such event.
    Free {
        /// The node at the other end.
        node: Atom,
        /// How long there was none.
        after: Duration,
        /// How many sends waited or were refused meanwhile.
        sends: u64,
    },
    /// The subscriber was slow: the oldest events are lost.
    Missed {
        /// How many.
        events: u64,
    },
}

/// A subscription to [`BusyEvent`]s, of all connections of a node; see [`Node::busy_events`](crate::Node::busy_events).
///
/// It holds the newest 256 events for its owner.
#[derive(Debug)]
pub struct BusyEvents(broadcast::Receiver<BusyEvent>);

impl BusyEvents {
    /// The next event; nothing when the node is no more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<BusyEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(events)) => Some(BusyEvent::Missed { events }),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Where the connections of a node say that they are busy.
#[derive(Debug, Clone)]
pub(crate) struct BusySender(broadcast::Sender<BusyEvent>);

impl BusySender {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(EVENTS_MAX))
    }

    pub(crate) fn subscribe(&self) -> BusyEvents {
        BusyEvents(self.0.subscribe())
    }

    fn send(&self, event: BusyEvent) {
        // An error means that nobody listens.
        let _ = self.0.send(event);
    }
}

/// Whether senders wait for one connection.
pub(crate) struct Pressure {
    node: Atom,
    episode: Mutex<Option<Episode>>,
    /// Whether there is one: nearly always there is none, and then nobody pays for the lock.
    is_busy: AtomicBool,
    /// How many sends there were in all that found it so.
    sends: AtomicU64,
    events: BusySender,
}

struct Episode {
    since: Instant,
    sends: u64,
}

impl Pressure {
    pub(crate) fn new(node: Atom, events: BusySender) -> Self {
        Self {
            node,
            episode: Mutex::default(),
            is_busy: AtomicBool::new(false),
            sends: AtomicU64::default(),
            events,
        }
    }

    /// How many sends found the budget spent.
    pub(crate) fn sends(&self) -> u64 {
        self.sends.load(Relaxed)
    }

    /// A send found the budget spent, for the first time or again.
    pub(crate) fn busy(&self, sender: Option<&Pid>, is_first: bool) {
        if is_first {
            self.sends.fetch_add(1, Relaxed);
            count_busy_send(&self.node);
        }
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(episode) = &mut *episode {
            episode.sends += u64::from(is_first);
            return;
        }
        *episode = Some(Episode { since: clock::now(), sends: 1 });
        self.is_busy.store(true, Relaxed);
        tracing::debug!(peer = self.node.as_str(), ?sender, "busy_dist_port");
        // Only messages wait, and they have a sender.
        if let Some(sender) = sender {
            self.events.send(BusyEvent::Busy { node: self.node.clone(), sender: sender.clone() });
        }
    }

    /// There is room in the budget.
    pub(crate) fn free(&self) {
        if !self.is_busy.swap(false, Relaxed) {
            return;
        }
        let Some(Episode { since, sends }) =
            self.episode.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let after = clock::now().duration_since(since);
        tracing::debug!(peer = self.node.as_str(), ?after, sends, "not busy any more");
        self.events.send(BusyEvent::Free { node: self.node.clone(), after, sends });
    }
}
