//! Numbers of one connection: for the API, and for whatever recorder of the crate `metrics` the program has
//! installed. Their names are in docs/metrics.md.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant, SystemTime},
};

use etf::Atom;
use metrics::{Counter, Gauge, Unit};

use super::{Route, route::Taken};
use crate::clock;

/// A connection and its numbers, as of one moment; see [`Node::links`](crate::Node::links).
///
/// Numbers start at 0 with the connection, after its handshake. A *message* here is any signal: what a process sent,
/// but links, monitors, exits and their like too; one in fragments is one. Ticks are none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInfo {
    /// The node at the other end.
    pub node: Atom,
    /// Which incarnation of that node it is.
    pub creation: u32,
    /// Whether both nodes are visible.
    pub visible: bool,
    /// When the handshake was done, by the clock on the wall.
    pub up_since: SystemTime,
    /// Messages that were read and were complete.
    pub received_messages: u64,
    /// Bytes that were read, with the lengths of frames, ticks and headers; with TLS what was in its records.
    pub received_bytes: u64,
    /// Fragments that were read, of messages of more than one.
    pub received_fragments: u64,
    /// Messages that were taken out of the queue to be written.
    pub sent_messages: u64,
    /// Bytes that the carrier has taken; with TLS as they were before it.
    pub sent_bytes: u64,
    /// Fragments that were taken out of the queue, of messages of more than one.
    pub sent_fragments: u64,
    /// Bytes that wait: in the queue, and of the write that is under way. What the system's socket buffers hold is
    /// not among them.
    pub queued_bytes: u64,
    /// How often a message waited for room, or was refused by [`Context::try_send`](crate::Context::try_send).
    pub busy_sends: u64,
    /// How long ago the peer's last tick was read; nothing before the first. A peer that has other things to say
    /// sends no ticks.
    pub last_tick_received: Option<Duration>,
    /// How long ago our last tick was put before the next write; nothing before the first.
    pub last_tick_sent: Option<Duration>,
    /// The last round trip that was measured, by [`Node::ping`](crate::Node::ping), which says how. Nothing before
    /// the first: ticks have no answer, and nothing else on a connection that we did not ask for tells a round trip.
    pub round_trip: Option<Duration>,
}

/// What a [`LinkInfo`] is made of. Written by the connection's own task, but for the round trip.
pub(crate) struct Counters {
    start: Instant,
    received_messages: AtomicU64,
    received_bytes: AtomicU64,
    received_fragments: AtomicU64,
    sent_messages: AtomicU64,
    sent_bytes: AtomicU64,
    sent_fragments: AtomicU64,
    /// What is left of the write that is under way.
    writing_bytes: AtomicU64,
    /// Nanoseconds from `start`, and 0 for never.
    tick_received: AtomicU64,
    tick_sent: AtomicU64,
    /// Nanoseconds, and 0 for never.
    round_trip: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let zero = AtomicU64::default;
        Self {
            start: clock::now(),
            received_messages: zero(),
            received_bytes: zero(),
            received_fragments: zero(),
            sent_messages: zero(),
            sent_bytes: zero(),
            sent_fragments: zero(),
            writing_bytes: zero(),
            tick_received: zero(),
            tick_sent: zero(),
            round_trip: zero(),
        }
    }

    pub(crate) fn set_round_trip(&self, node: &Atom, time: Duration) {
        self.round_trip.store(nanos(time), Relaxed);
        metrics::histogram!(ROUND_TRIP, PEER => node.as_str().to_owned()).record(time.as_secs_f64());
    }

    /// Fills in what is here.
    pub(crate) fn info(&self, facts: Facts, queued_bytes: usize, busy_sends: u64) -> LinkInfo {
        let Facts { node, creation, visible, up_since } = facts;
        let since_start = clock::now().duration_since(self.start);
        let ago = |at: &AtomicU64| {
            let at = at.load(Relaxed);
            (at > 0).then(|| since_start.saturating_sub(Duration::from_nanos(at)))
        };
        let round_trip = self.round_trip.load(Relaxed);
        LinkInfo {
            node,
            creation,
            visible,
            up_since,
            received_messages: self.received_messages.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            received_fragments: self.received_fragments.load(Relaxed),
            sent_messages: self.sent_messages.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            sent_fragments: self.sent_fragments.load(Relaxed),
            queued_bytes: queued_bytes as u64 + self.writing_bytes.load(Relaxed),
            busy_sends,
            last_tick_received: ago(&self.tick_received),
            last_tick_sent: ago(&self.tick_sent),
            round_trip: (round_trip > 0).then(|| Duration::from_nanos(round_trip)),
        }
    }
}

/// What does not change while a connection lasts.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) node: Atom,
    pub(crate) creation: u32,
    pub(crate) visible: bool,
    pub(crate) up_since: SystemTime,
}

fn nanos(duration: Duration) -> u64 {
    // At least 1, which is not "never"; 584 years at the most.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

const PEER: &str = "peer";
const LINKS: &str = "crabnode_links";
const RECEIVED_MESSAGES: &str = "crabnode_link_received_messages_total";
const RECEIVED_BYTES: &str = "crabnode_link_received_bytes_total";
const RECEIVED_FRAGMENTS: &str = "crabnode_link_received_fragments_total";
const RECEIVED_TICKS: &str = "crabnode_link_received_ticks_total";
const SENT_MESSAGES: &str = "crabnode_link_sent_messages_total";
const SENT_BYTES: &str = "crabnode_link_sent_bytes_total";
const SENT_FRAGMENTS: &str = "crabnode_link_sent_fragments_total";
const SENT_TICKS: &str = "crabnode_link_sent_ticks_total";
const QUEUED_BYTES: &str = "crabnode_link_queued_bytes";
const BUSY_SENDS: &str = "crabnode_link_busy_sends_total";
const ROUND_TRIP: &str = "crabnode_link_round_trip_seconds";

/// Tells the program's recorder what the numbers mean.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_gauge!(LINKS, Unit::Count, "connections to other nodes");
    describe_counter!(RECEIVED_MESSAGES, Unit::Count, "signals received");
    describe_counter!(RECEIVED_BYTES, Unit::Bytes, "bytes read, without those of TLS");
    describe_counter!(RECEIVED_FRAGMENTS, Unit::Count, "fragments received");
    describe_counter!(RECEIVED_TICKS, Unit::Count, "ticks received");
    describe_counter!(SENT_MESSAGES, Unit::Count, "signals taken out of the queue to be written");
    describe_counter!(SENT_BYTES, Unit::Bytes, "bytes written, without those of TLS");
    describe_counter!(SENT_FRAGMENTS, Unit::Count, "fragments taken out of the queue to be written");
    describe_counter!(SENT_TICKS, Unit::Count, "ticks sent");
    describe_gauge!(QUEUED_BYTES, Unit::Bytes, "bytes that wait to be written");
    describe_counter!(BUSY_SENDS, Unit::Count, "messages that waited for room in the queue, or were refused");
    describe_histogram!(ROUND_TRIP, Unit::Seconds, "round trips that were measured by a ping");
}

/// A message waited for room, or was refused.
pub(crate) fn count_busy_send(node: &Atom) {
    metrics::counter!(BUSY_SENDS, PEER => node.as_str().to_owned()).increment(1);
}

/// Counts what the task of a connection does. The connection is up for as long as this lives.
pub(crate) struct Meter<'a> {
    route: &'a Route,
    counters: &'a Counters,
    taken: Taken,
    fragments_in: u64,
    handles: Box<Handles>,
}

/// What the recorder keeps for one connection.
struct Handles {
    links: Gauge,
    received_messages: Counter,
    received_bytes: Counter,
    received_fragments: Counter,
    received_ticks: Counter,
    sent_messages: Counter,
    sent_bytes: Counter,
    sent_fragments: Counter,
    sent_ticks: Counter,
    queued_bytes: Gauge,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(route: &'a Route) -> Self {
        let peer = || route.node.as_str().to_owned();
        let handles = Handles {
            links: metrics::gauge!(LINKS),
            received_messages: metrics::counter!(RECEIVED_MESSAGES, PEER => peer()),
            received_bytes: metrics::counter!(RECEIVED_BYTES, PEER => peer()),
            received_fragments: metrics::counter!(RECEIVED_FRAGMENTS, PEER => peer()),
            received_ticks: metrics::counter!(RECEIVED_TICKS, PEER => peer()),
            sent_messages: metrics::counter!(SENT_MESSAGES, PEER => peer()),
            sent_bytes: metrics::counter!(SENT_BYTES, PEER => peer()),
            sent_fragments: metrics::counter!(SENT_FRAGMENTS, PEER => peer()),
            sent_ticks: metrics::counter!(SENT_TICKS, PEER => peer()),
            queued_bytes: metrics::gauge!(QUEUED_BYTES, PEER => peer()),
        };
        handles.links.increment(1);
        let (counters, taken) = (route.counters(), Taken::default());
        Self { route, counters, taken, fragments_in: 0, handles: Box::new(handles) }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.counters.received_bytes.fetch_add(bytes as u64, Relaxed);
        self.handles.received_bytes.increment(bytes as u64);
    }

    /// So many messages and ticks were in what was read, and so many fragments came since the start.
    pub(crate) fn received(&mut self, messages: u64, ticks: u64, fragments: u64) {
        if messages > 0 {
            self.counters.received_messages.fetch_add(messages, Relaxed);
            self.handles.received_messages.increment(messages);
        }
        if ticks > 0 {
            self.counters.tick_received.store(self.now(), Relaxed);
            self.handles.received_ticks.increment(ticks);
        }
        if fragments > self.fragments_in {
            self.counters.received_fragments.store(fragments, Relaxed);
            self.handles.received_fragments.increment(fragments - self.fragments_in);
            self.fragments_in = fragments;
        }
    }

    /// What was taken out of the queue since the start.
    pub(crate) fn took(&mut self, taken: Taken, writing_bytes: usize) {
        self.counters.writing_bytes.store(writing_bytes as u64, Relaxed);
        self.counters.sent_messages.store(taken.messages, Relaxed);
        self.counters.sent_fragments.store(taken.fragments, Relaxed);
        self.handles.sent_messages.increment(taken.messages - self.taken.messages);
        self.handles.sent_fragments.increment(taken.fragments - self.taken.fragments);
        self.taken = taken;
    }

    pub(crate) fn wrote(&self, bytes: usize, left_bytes: usize) {
        self.counters.sent_bytes.fetch_add(bytes as u64, Relaxed);
        self.counters.writing_bytes.store(left_bytes as u64, Relaxed);
        self.handles.sent_bytes.increment(bytes as u64);
        if left_bytes == 0 {
            self.look_at_queue();
        }
    }

    pub(crate) fn sent_tick(&self) {
        self.counters.tick_sent.store(self.now(), Relaxed);
        self.handles.sent_ticks.increment(1);
    }

    /// Tells the recorder how much waits. Also to be called now and then while a write waits for the peer.
    pub(crate) fn look_at_queue(&self) {
        let bytes = self.route.queued_bytes() as u64 + self.counters.writing_bytes.load(Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; it is exact up to 8 PiB")]
        self.handles.queued_bytes.set(bytes as f64);
    }

    fn now(&self) -> u64 {
        nanos(clock::now().duration_since(self.counters.start))
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.handles.links.decrement(1);
        self.handles.queued_bytes.set(0);
    }
}
