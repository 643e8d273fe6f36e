//! The server: a drop-in for OTP's `epmd` (wire.md 1.2, 1.3).
//!
//! Every connection is a task of its own and asks one question; a registration's connection stays open as its
//! lease. All tasks belong to [`EpmdServer::run`] and end with it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::client::EPMD_PORT_DEFAULT;
use crate::message::{
    Alive2, Alive2Reply, DumpReply, KILL_NO, KILL_OK, NamesReply, Port2Reply, Request, STOP_NOEXIST,
    STOP_STOPPED,
};
use crate::registry::{LeaseId, RegisterError, Registry};

/// Most addresses to listen on: OTP's limit.
const LISTENERS_MAX: usize = 16;

/// Connections the system may hold ready for us: OTP's backlog.
const BACKLOG: i32 = 128;

/// How long to wait after accepting failed, which it does while the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a name that is taken may still become free before its next owner is refused. A node that is started
/// again at once may be heard before the end of its former life.
const TAKEN_PATIENCE: Duration = Duration::from_millis(20);

/// The creation in a refusal: OTP's number.
const REFUSED_CREATION: u32 = 99;

/// How a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The port on every address. Default [`EPMD_PORT_DEFAULT`]; 0 lets the system choose, for tests.
    pub port: u16,
    /// Where to listen; loopback is added. Default empty: everywhere. At most 16 in all.
    pub addresses: Vec<IpAddr>,
    /// Lets clients on this host end the server while nodes are registered, and unregister nodes. Default false.
    pub relaxed: bool,
    /// How long a connection may take to ask and be answered. Default 60 s, as in OTP. Bytes that dribble in do
    /// not extend it.
    pub packet_timeout: Duration,
    /// Most connections at once, registered nodes included; each is a file descriptor. Default 512, which is
    /// half of what a process has by default, since the server may run inside a node. At the limit the oldest
    /// connection that is not a lease gives way; if all are leases, the new one is closed.
    pub connections_max: usize,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            port: EPMD_PORT_DEFAULT,
            addresses: Vec::new(),
            relaxed: false,
            packet_timeout: Duration::from_secs(60),
            connections_max: 512,
        }
    }
}

/// A text is no IP address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot parse IP address {0:?}")]
pub struct BadAddress(pub String);

/// The addresses in a list such as that of `ERL_EPMD_ADDRESS`, between commas or spaces.
pub fn parse_addresses(list: &str) -> Result<Vec<IpAddr>, BadAddress> {
    list.split([',', ' '])
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| BadAddress(text.to_owned())))
        .collect()
}

/// An EPMD that listens.
#[derive(Debug)]
pub struct EpmdServer {
    listeners: Vec<TcpListener>,
    port: u16,
    shared: Arc<Shared>,
    killed: mpsc::Receiver<()>,
}

impl EpmdServer {
    /// Listens. An error of kind [`AddrInUse`](io::ErrorKind::AddrInUse) means that an EPMD runs already, most
    /// likely. Must be called inside a tokio runtime.
    pub fn bind(config: ServerConfig) -> io::Result<EpmdServer> {
        let mut port = config.port;
        let mut listeners = Vec::new();
        for (address, is_needed) in wanted_addresses(&config.addresses)? {
            match listen(SocketAddr::new(address, port)) {
                Ok(listener) => {
                    // With port 0 the first address chooses for all.
                    port = listener.local_addr()?.port();
                    listeners.push(listener);
                }
                Err(error) if is_needed || error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => debug!(%address, %error, "not listening"),
            }
        }
        let (kill, killed) = mpsc::channel(1);
        let shared = Arc::new(Shared { config, port, state: Mutex::default(), kill });
        Ok(EpmdServer { listeners, port, shared, killed })
    }

    /// The port it listens on.
    pub fn local_port(&self) -> u16 {
        self.port
    }

    /// Serves until a client ends the server by a kill request. Dropping the call ends it too, and closes
    /// every connection.
    pub async fn run(mut self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = accept(&self.listeners) => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(ticket) = Ticket::new(&self.shared) {
                            connections.spawn(serve(ticket, stream, peer));
                        }
                    }
                    Err(error) => {
                        warn!(%error, "accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                Some(()) = self.killed.recv() => {
                    info!("killed by request");
                    return;
                }
            }
        }
    }
}

/// Where to listen, and whether a failure there is one of the server (wire.md 1.2, rule 9).
fn wanted_addresses(addresses: &[IpAddr]) -> io::Result<Vec<(IpAddr, bool)>> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut wanted: Vec<(IpAddr, bool)> = if addresses.is_empty() {
        // A host may be without IPv6.
        vec![(any[0], true), (any[1], false)]
    } else {
        addresses.iter().map(|address| (*address, true)).collect()
    };
    for (loopback, any) in loopback.into_iter().zip(any) {
        if !wanted.iter().any(|(address, _)| *address == loopback || *address == any) {
            wanted.push((loopback, false));
        }
    }
    if wanted.len() > LISTENERS_MAX {
        let what = format!("cannot listen on more than {LISTENERS_MAX} IP addresses");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(wanted)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two servers share a port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// What all connections of a server see.
#[derive(Debug)]
struct Shared {
    config: ServerConfig,
    port: u16,
    /// Held for table look-ups only, never across an await.
    state: Mutex<State>,
    kill: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    registry: Registry,
    /// Every open connection, oldest first.
    connections: BTreeMap<LeaseId, Open>,
    connections_made: u64,
}

#[derive(Debug)]
struct Open {
    is_lease: bool,
    /// Closes it from outside; its task notices when this is dropped.
    _closer: oneshot::Sender<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the table")
    }
}

/// A place among the connections, and the registration if there is one; both end when it is dropped.
#[derive(Debug)]
struct Ticket {
    id: LeaseId,
    shared: Arc<Shared>,
    closed: oneshot::Receiver<()>,
}

impl Ticket {
    /// None if the server is full of leases.
    fn new(shared: &Arc<Shared>) -> Option<Ticket> {
        let mut state = shared.state();
        if state.connections.len() >= shared.config.connections_max {
            let Some((&oldest, _)) = state.connections.iter().find(|(_, open)| !open.is_lease) else {
                warn!(connections_max = shared.config.connections_max, "full of leases, connection refused");
                return None;
            };
            debug!(connection = oldest.0, "full, oldest connection closed");
            state.connections.remove(&oldest);
        }
        state.connections_made += 1;
        let id = LeaseId(state.connections_made);
        let (closer, closed) = oneshot::channel();
        state.connections.insert(id, Open { is_lease: false, _closer: closer });
        drop(state);
        Some(Ticket { id, shared: shared.clone(), closed })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.connections.remove(&self.id);
        state.registry.unregister(self.id);
    }
}

/// One connection from start to end.
async fn serve(mut ticket: Ticket, mut stream: TcpStream, peer: SocketAddr) {
    let packet_timeout = ticket.shared.config.packet_timeout;
    let is_local = stream.local_addr().is_ok_and(|own| is_local(peer.ip(), own.ip()));
    let connection = Connection { shared: &ticket.shared, id: ticket.id, is_local };
    let answered = tokio::select! {
        answered = timeout(packet_timeout, connection.answer(&mut stream)) => answered,
        _ = &mut ticket.closed => return,
    };
    let wait = match answered {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => return debug!(%peer, %error, "connection broke"),
        Err(_) => return debug!(%peer, "no whole request in time"),
    };
    // Any byte on a lease ends it, as its end does (wire.md 1.2, rule 6).
    let mut byte = [0];
    match wait {
        Next::Close => {
            // Only tidiness: the peer sees the end before the socket goes.
            let _ = stream.shutdown().await;
        }
        Next::HoldLease => tokio::select! {
            _ = stream.read(&mut byte) => {}
            _ = &mut ticket.closed => {}
        },
        Next::HoldRefused => tokio::select! {
            _ = timeout(packet_timeout, stream.read(&mut byte)) => {}
            _ = &mut ticket.closed => {}
        },
    }
}

/// What becomes of a connection after its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Close,
    /// It is the lease of a registration.
    HoldLease,
    /// Its registration was refused; OTP leaves closing to the client.
    HoldRefused,
}

struct Connection<'a> {
    shared: &'a Shared,
    id: LeaseId,
    is_local: bool,
}

impl Connection<'_> {
    /// Reads the request and replies, or does not.
    async fn answer(&self, stream: &mut TcpStream) -> io::Result<Next> {
        let Some(request) = read_request(stream).await? else { return Ok(Next::Close) };
        if !self.is_local && is_for_locals(&request) {
            debug!(?request, "request refused, it is not from this host");
            return Ok(Next::Close);
        }
        debug!(?request, "request");
        let reply = match request {
            Request::Alive2(alive) => {
                let (reply, next) = self.register(&alive).await;
                stream.write_all(&reply.encode()).await?;
                return Ok(next);
            }
            Request::Port2 { name } => self.port2(&name).encode(),
            Request::Names => self.names().encode(),
            Request::Dump => self.dump().encode(),
            Request::Kill => return self.kill(stream).await,
            Request::Stop { name } => match self.stop(&name) {
                Some(reply) => reply,
                None => return Ok(Next::Close),
            },
        };
        stream.write_all(&reply).await?;
        Ok(Next::Close)
    }

    async fn register(&self, alive: &Alive2) -> (Alive2Reply, Next) {
        let mut result = self.try_register(alive);
        if result == Err(RegisterError::Taken) {
            sleep(TAKEN_PATIENCE).await;
            result = self.try_register(alive);
        }
        let (result, creation, next) = match result {
            Ok(creation) => (0, creation, Next::HoldLease),
            Err(error) => {
                info!(name = %alive.name.escape_ascii(), %error, "registration refused");
                (1, REFUSED_CREATION, Next::HoldRefused)
            }
        };
        let reply = if alive.takes_big_creation() {
            Alive2Reply::Big { result, creation }
        } else if result == 0 {
            // Old nodes have creations 1 to 3 only.
            Alive2Reply::Small { result, creation: (creation % 3 + 1) as u16 }
        } else {
            Alive2Reply::Small { result, creation: creation as u16 }
        };
        (reply, next)
    }

    fn try_register(&self, alive: &Alive2) -> Result<u32, RegisterError> {
        let mut state = self.shared.state();
        // Its place may have been taken from it meanwhile; then its task is about to end.
        let creation = state.registry.register(self.id, alive, unix_secs())?;
        if let Some(open) = state.connections.get_mut(&self.id) {
            open.is_lease = true;
        }
        Ok(creation)
    }

    fn port2(&self, name: &str) -> Port2Reply {
        match self.shared.state().registry.lookup(name) {
            Some(node) => Port2Reply::Found(node.clone()),
            None => Port2Reply::NotFound { result: 1 },
        }
    }

    fn names(&self) -> NamesReply {
        let state = self.shared.state();
        let nodes = state.registry.active().map(|known| (known.node.name.clone(), known.node.port)).collect();
        NamesReply { epmd_port: u32::from(self.shared.port), nodes }
    }

    fn dump(&self) -> DumpReply {
        let state = self.shared.state();
        let mut text = String::new();
        for known in state.registry.active() {
            text += &DumpReply::active_line(&known.node.name, known.node.port, known.lease.0);
        }
        for known in state.registry.remembered() {
            text += &DumpReply::old_line(&known.node.name, known.node.port, known.lease.0);
        }
        DumpReply { epmd_port: u32::from(self.shared.port), text: text.into() }
    }

    async fn kill(&self, stream: &mut TcpStream) -> io::Result<Next> {
        if !self.shared.config.relaxed && !self.shared.state().registry.is_empty() {
            stream.write_all(KILL_NO).await?;
            return Ok(Next::Close);
        }
        // The end comes whether the client hears of it or not.
        let told = stream.write_all(KILL_OK).await;
        let _ = stream.shutdown().await;
        // A full channel means the same was asked before.
        let _ = self.shared.kill.try_send(());
        told.map(|()| Next::Close)
    }

    /// None if the request is not to be answered.
    fn stop(&self, name: &[u8]) -> Option<Bytes> {
        if !self.shared.config.relaxed {
            return None;
        }
        let mut state = self.shared.state();
        match state.registry.unregister_name(name) {
            Some(lease) => {
                state.connections.remove(&lease);
                Some(Bytes::from_static(STOP_STOPPED))
            }
            // OTP's server says both, and its clients know it so.
            None => Some([STOP_NOEXIST, STOP_STOPPED].concat().into()),
        }
    }
}

/// The one request of a connection, or None if there is none to be answered.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut received = BytesMut::with_capacity(128);
    loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
        let request = match Request::size(&received) {
            Ok(None) => continue,
            Ok(Some(size)) if received.len() < size => continue,
            Ok(Some(size)) if received.len() > size => Err(crate::message::RequestError::Trailing),
            Ok(Some(_)) => Request::parse(&received[2..]),
            Err(error) => Err(error),
        };
        return match request {
            Ok(request) => Ok(Some(request)),
            Err(error) => {
                debug!(%error, "request not answered");
                Ok(None)
            }
        };
    }
}

/// What only clients on this host may ask (wire.md 1.2, rule 8).
fn is_for_locals(request: &Request) -> bool {
    match request {
        Request::Alive2(_) | Request::Dump | Request::Kill | Request::Stop { .. } => true,
        Request::Names | Request::Port2 { .. } => false,
    }
}

fn is_local(peer: IpAddr, own: IpAddr) -> bool {
    peer.to_canonical().is_loopback() || peer == own
}

#[expect(clippy::disallowed_methods, reason = "the server is a driver; a name's first creation is the time")]
fn unix_secs() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_lists() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            parse_addresses("127.0.0.1, ::1  10.0.0.1"),
            Ok(vec![ip("127.0.0.1"), ip("::1"), ip("10.0.0.1")])
        );
        assert_eq!(parse_addresses(" ,"), Ok(vec![]));
        assert_eq!(parse_addresses("127.0.0.1,host"), Err(BadAddress("host".into())));
    }

    #[test]
    fn loopback_is_always_wanted() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let wanted = |list: &[&str]| {
            let list: Vec<IpAddr> = list.iter().map(|text| ip(text)).collect();
            wanted_addresses(&list)
                .map(|list| list.into_iter().map(|(a, n)| (a.to_string(), n)).collect::<Vec<_>>())
        };
        let expect =
            |list: &[(&str, bool)]| list.iter().map(|(a, n)| (a.to_string(), *n)).collect::<Vec<_>>();
        assert_eq!(wanted(&[]).unwrap(), expect(&[("0.0.0.0", true), ("::", false)]));
        assert_eq!(
            wanted(&["10.0.0.1"]).unwrap(),
            expect(&[("10.0.0.1", true), ("127.0.0.1", false), ("::1", false)])
        );
        assert_eq!(wanted(&["127.0.0.1"]).unwrap(), expect(&[("127.0.0.1", true), ("::1", false)]));
        let many: Vec<String> = (1..=15).map(|last| format!("10.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(wanted(&many[..14]).is_ok());
        assert_eq!(wanted(&many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn local_peers() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, own, local) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.9.9.9", "10.0.0.1", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.2", "10.0.0.1", false),
            ("fe80::1", "fe80::2", false),
        ] {
            assert_eq!(is_local(ip(peer), ip(own)), local, "{peer} at {own}");
        }
    }
}
