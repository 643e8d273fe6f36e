//! The server without I/O: what becomes of each connection (wire.md 1.2).
//!
//! [`Machine::handle`] takes what happens on connections, [`Machine::poll_output`] gives what is to be done on them,
//! [`Machine::poll_timeout`] says when to come back with [`Input::Timeout`].
//!
//! A connection asks one question. After a reply it closes, but for a registration's: that one is held as its lease.
//!
//! Nothing that a relay on this host can pass on harms anyone. To us its clients are local, and yet all they can do
//! beside asking is to register names: a name that is taken stays with its owner, registrations leave room for
//! lookups, and unless the server is [relaxed](Rules::relaxed) nobody unregisters a node or ends a server that has one.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tracing::{debug, info, warn};

use crate::message::{
    Alive2, Alive2Reply, DumpReply, KILL_NO, KILL_OK, NamesReply, PORT2_REQ, Port2Reply, REQUEST_BYTES_MAX,
    Request, RequestError, STOP_NOEXIST, STOP_STOPPED,
};
use crate::registry::{ConnectionId, RegisterError, Registry};

/// How long a name that is taken may still become free before its next owner is refused. A node that is started
/// again at once may be heard before the end of its former life.
pub const TAKEN_PATIENCE: Duration = Duration::from_millis(20);

/// One connection in this many is never a registration's, so that registrations cannot keep lookups out.
const LOOKUP_SHARE: usize = 8;

/// The creation in a refusal: OTP's number.
const REFUSED_CREATION: u32 = 99;

/// What a [`Machine`] goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The port it says it listens at. OTP's clients demand that it is the one they called.
    pub port: u16,
    /// Lets clients on this host end the server while nodes are registered, and unregister nodes.
    pub relaxed: bool,
    /// How long a connection may take to ask and to take its reply. Bytes that dribble in do not extend it.
    pub packet_timeout: Duration,
    /// Most connections at once. At the limit the oldest one that is no registration's gives way.
    pub connections_max: usize,
}

/// The time, twice: for limits, and for creations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For limits.
    pub instant: Instant,
    /// Whole seconds since 1970.
    pub unix_secs: u64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Someone has connected.
    Opened {
        /// A number that no connection had before, greater than all of them.
        connection: ConnectionId,
        /// Who.
        peer: IpAddr,
        /// The address of ours it has connected to.
        own: IpAddr,
    },
    /// Bytes have come.
    Received {
        /// From here.
        connection: ConnectionId,
        /// Any number of them.
        bytes: &'a [u8],
    },
    /// The connection is gone: by an [`Output::Reply`] that ends it, by the peer, or by an error.
    Closed {
        /// This one.
        connection: ConnectionId,
    },
    /// What [`Machine::poll_timeout`] said has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes, in one write: OTP's clients want the start of a reply in one segment (wire.md 1.3).
    Reply {
        /// To here.
        connection: ConnectionId,
        /// The whole reply.
        bytes: Bytes,
        /// What comes then.
        then: Then,
    },
    /// Close the connection at once, whatever waits to be sent on it. The machine has forgotten it.
    Close {
        /// This one.
        connection: ConnectionId,
    },
    /// Someone has ended the server.
    End,
}

/// What comes after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Close the connection and say so ([`Input::Closed`]).
    Close,
    /// Go on reading: the connection is a lease, or OTP leaves closing it to the client.
    Hold,
}

/// An EPMD as a value.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    registry: Registry,
    connections: HashMap<ConnectionId, Connection>,
    /// When connections that are no leases are closed; or, of those that wait for a name, refused.
    deadlines: BTreeSet<(Instant, ConnectionId)>,
    /// Those that wait for a name, the first first.
    waiting: VecDeque<ConnectionId>,
    outputs: VecDeque<Output>,
    /// So many connections are leases.
    leases: usize,
}

#[derive(Debug)]
struct Connection {
    is_local: bool,
    /// Its entry among the deadlines. None for a lease.
    deadline: Option<Instant>,
    /// When it is closed, once it no longer waits for a name.
    closes_at: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The request so far.
    Asking(BytesMut),
    /// The name is taken, but may become free.
    Waiting(Alive2),
    Lease,
    /// The registration was refused; OTP leaves closing to the client.
    Refused,
    /// The reply is on its way.
    Closing,
}

impl Machine {
    /// An EPMD that knows nobody.
    pub fn new(rules: Rules) -> Machine {
        Machine {
            rules,
            registry: Registry::new(),
            connections: HashMap::new(),
            deadlines: BTreeSet::new(),
            waiting: VecDeque::new(),
            outputs: VecDeque::new(),
            leases: 0,
        }
    }

    /// What it knows.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How many connections there are, leases included.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Takes what has happened. What is said of an unknown connection is ignored: it was closed meanwhile.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Opened { connection, peer, own } => {
                self.opened(now.instant, connection, is_local(peer, own));
            }
            Input::Received { connection, bytes } => self.received(now, connection, bytes),
            Input::Closed { connection } => {
                self.forget(connection);
                self.retry_waiting(now);
            }
            Input::Timeout => self.time_passed(now),
        }
    }

    /// The reply to a lookup that is all that a connection has said, after which it is closed. Nothing needs to be
    /// remembered of such a connection, so nobody needs to tell of it; and as it is over at once, no limit is about it.
    /// None for all else, and for what is no request.
    pub fn answer_at_once(&self, bytes: &[u8]) -> Option<Bytes> {
        if bytes.get(2) != Some(&PORT2_REQ) {
            return None;
        }
        let Ok(Some(Request::Port2 { name })) = whole_request(bytes) else { return None };
        debug!(name, "lookup");
        Some(self.port2(&name).encode())
    }

    /// What is to be done next; None when all is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next connection is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn opened(&mut self, now: Instant, connection: ConnectionId, is_local: bool) {
        if self.connections.len() >= self.rules.connections_max {
            let Some(&(_, oldest)) = self.deadlines.first() else {
                warn!(connections_max = self.rules.connections_max, "full of leases, connection refused");
                return self.outputs.push_back(Output::Close { connection });
            };
            debug!(connection = oldest.0, "full, oldest connection closed");
            self.close(oldest);
        }
        let closes_at = now + self.rules.packet_timeout;
        let stage = Stage::Asking(BytesMut::new());
        self.deadlines.insert((closes_at, connection));
        let opened = Connection { is_local, deadline: Some(closes_at), closes_at, stage };
        self.connections.insert(connection, opened);
    }

    fn received(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Stage::Asking(received) = &mut connection.stage else {
            // Any byte on a lease ends it (rule 6); behind another request none is allowed either (rule 2).
            if !matches!(connection.stage, Stage::Closing) {
                self.close(id);
                self.retry_waiting(now);
            }
            return;
        };
        if received.len() + bytes.len() > 2 + REQUEST_BYTES_MAX {
            debug!(connection = id.0, "more bytes than a request may have");
            return self.close(id);
        }
        // A request that comes in one piece, which is nearly every one, is read where it lies.
        let request = if received.is_empty() {
            whole_request(bytes)
        } else {
            received.extend_from_slice(bytes);
            whole_request(received)
        };
        match request {
            Ok(None) => {
                if received.is_empty() {
                    received.extend_from_slice(bytes);
                }
            }
            Ok(Some(request)) if !connection.is_local && is_for_locals(&request) => {
                debug!(connection = id.0, ?request, "request refused, it is not from this host");
                self.close(id);
            }
            Ok(Some(request)) => {
                debug!(connection = id.0, ?request, "request");
                self.answer(now, id, request);
            }
            Err(error) => {
                debug!(connection = id.0, %error, "request not answered");
                self.close(id);
            }
        }
    }

    fn answer(&mut self, now: Now, id: ConnectionId, request: Request) {
        let reply = match request {
            Request::Alive2(alive) => return self.register(now, id, alive, true),
            Request::Port2 { name } => self.port2(&name).encode(),
            Request::Names => self.names().encode(),
            Request::Dump => self.dump().encode(),
            Request::Kill if !self.rules.relaxed && !self.registry.is_empty() => Bytes::from_static(KILL_NO),
            Request::Kill => {
                self.reply(id, Bytes::from_static(KILL_OK), Stage::Closing, Then::Close);
                return self.outputs.push_back(Output::End);
            }
            Request::Stop { .. } if !self.rules.relaxed => return self.close(id),
            Request::Stop { name } => match self.registry.unregister_name(&name) {
                Some(lease) => {
                    self.close(lease);
                    self.retry_waiting(now);
                    Bytes::from_static(STOP_STOPPED)
                }
                // OTP's server says both, and its clients know it so.
                None => [STOP_NOEXIST, STOP_STOPPED].concat().into(),
            },
        };
        self.reply(id, reply, Stage::Closing, Then::Close);
    }

    /// Registers, or refuses; or waits for the name if it `may_wait`.
    fn register(&mut self, now: Now, id: ConnectionId, alive: Alive2, may_wait: bool) {
        if self.leases >= self.leases_max() {
            warn!(leases = self.leases, "full of leases, registration refused");
            return self.close(id);
        }
        match self.registry.register(id, &alive, now.unix_secs) {
            Ok(creation) => {
                info!(name = %alive.name.escape_ascii(), port = alive.port, creation, "registered");
                self.leases += 1;
                self.reply(id, alive_reply(&alive, Some(creation)), Stage::Lease, Then::Hold);
                self.set_deadline(id, None);
            }
            Err(RegisterError::Taken) if may_wait => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stage = Stage::Waiting(alive);
                    let refused_at = (now.instant + TAKEN_PATIENCE).min(connection.closes_at);
                    self.waiting.push_back(id);
                    self.set_deadline(id, Some(refused_at));
                }
            }
            Err(error) => {
                info!(name = %alive.name.escape_ascii(), %error, "registration refused");
                self.reply(id, alive_reply(&alive, None), Stage::Refused, Then::Hold);
                let closes_at = self.connections.get(&id).map(|connection| connection.closes_at);
                self.set_deadline(id, closes_at);
            }
        }
    }

    fn leases_max(&self) -> usize {
        self.rules.connections_max - self.rules.connections_max.div_ceil(LOOKUP_SHARE)
    }

    fn reply(&mut self, id: ConnectionId, bytes: Bytes, stage: Stage, then: Then) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = stage;
            self.outputs.push_back(Output::Reply { connection: id, bytes, then });
        }
    }

    /// A name may have become free.
    fn retry_waiting(&mut self, now: Now) {
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { return };
            self.resolve_waiting(now, id, true);
        }
    }

    fn resolve_waiting(&mut self, now: Now, id: ConnectionId, may_wait: bool) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // Taken out for as long as it is looked at.
        match std::mem::replace(&mut connection.stage, Stage::Refused) {
            Stage::Waiting(alive) if may_wait && self.registry.has(&alive.name) => {
                connection.stage = Stage::Waiting(alive);
                self.waiting.push_back(id);
            }
            Stage::Waiting(alive) => self.register(now, id, alive, false),
            stage => connection.stage = stage,
        }
    }

    fn time_passed(&mut self, now: Now) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now.instant
        {
            let waits = |connection: &Connection| matches!(connection.stage, Stage::Waiting(_));
            if self.connections.get(&id).is_some_and(waits) {
                self.waiting.retain(|waiting| *waiting != id);
                self.resolve_waiting(now, id, false);
            } else {
                debug!(connection = id.0, "not done in time");
                self.close(id);
            }
        }
    }

    fn close(&mut self, id: ConnectionId) {
        if self.forget(id) {
            self.outputs.push_back(Output::Close { connection: id });
        }
    }

    /// Whether it was known.
    fn forget(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.remove(&id) else { return false };
        if let Some(at) = connection.deadline {
            self.deadlines.remove(&(at, id));
        }
        match connection.stage {
            Stage::Lease => {
                self.leases -= 1;
                self.registry.unregister(id);
            }
            Stage::Waiting(_) => self.waiting.retain(|waiting| *waiting != id),
            Stage::Asking(_) | Stage::Refused | Stage::Closing => {}
        }
        true
    }

    fn set_deadline(&mut self, id: ConnectionId, deadline: Option<Instant>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Some(at) = connection.deadline {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
        connection.deadline = deadline;
    }

    fn port2(&self, name: &str) -> Port2Reply {
        match self.registry.lookup(name) {
            Some(node) => Port2Reply::Found(node.clone()),
            None => Port2Reply::NotFound { result: 1 },
        }
    }

    fn names(&self) -> NamesReply {
        let nodes = self.registry.active().map(|known| (known.node.name.clone(), known.node.port)).collect();
        NamesReply { epmd_port: u32::from(self.rules.port), nodes }
    }

    fn dump(&self) -> DumpReply {
        let mut text = String::new();
        for known in self.registry.active() {
            text += &DumpReply::active_line(&known.node.name, known.node.port, known.lease.0);
        }
        for known in self.registry.remembered() {
            text += &DumpReply::old_line(&known.node.name, known.node.port, known.lease.0);
        }
        DumpReply { epmd_port: u32::from(self.rules.port), text: text.into() }
    }
}

/// The request at the front, if all of it is there and nothing behind it (rules 1 and 2).
fn whole_request(received: &[u8]) -> Result<Option<Request>, RequestError> {
    match Request::size(received)? {
        None => Ok(None),
        Some(size) if received.len() < size => Ok(None),
        Some(size) if received.len() > size => Err(RequestError::Trailing),
        Some(_) => Request::parse(&received[2..]).map(Some),
    }
}

/// Without a creation, a refusal.
fn alive_reply(alive: &Alive2, creation: Option<u32>) -> Bytes {
    let result = u8::from(creation.is_none());
    let reply = match creation {
        _ if alive.takes_big_creation() => {
            Alive2Reply::Big { result, creation: creation.unwrap_or(REFUSED_CREATION) }
        }
        // Old nodes have creations 1 to 3 only.
        Some(creation) => Alive2Reply::Small { result, creation: (creation % 3 + 1) as u16 },
        None => Alive2Reply::Small { result, creation: REFUSED_CREATION as u16 },
    };
    reply.encode()
}

/// What only clients on this host may ask (rule 8).
fn is_for_locals(request: &Request) -> bool {
    match request {
        Request::Alive2(_) | Request::Dump | Request::Kill | Request::Stop { .. } => true,
        Request::Names | Request::Port2 { .. } => false,
    }
}

fn is_local(peer: IpAddr, own: IpAddr) -> bool {
    let (peer, own) = (peer.to_canonical(), own.to_canonical());
    peer.is_loopback() || peer == own
}

#[cfg(test)]
mod tests;
