//! The server: a drop-in for OTP's `epmd` (wire.md 1.2, 1.3), which drives a [`Machine`] on tokio.
//!
//! A lookup that comes with its connection is answered at once. Every other connection is a task of its own, which reads,
//! and writes what the machine says. All tasks belong to [`EpmdServer::run`] and end with it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::accept::{Accepted, Listeners};
use crate::client::EPMD_PORT_DEFAULT;
use crate::listen;
use crate::machine::{Input, Machine, Now, Output, Rules, Then};
use crate::registry::ConnectionId;

/// How long to wait after accepting failed, which it does while the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes read at once: nearly every request is far shorter.
const READ_BYTES: usize = 512;

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
    /// connection that is not a lease gives way. Leases get seven of eight, so that lookups are always answered:
    /// a registration beyond that is closed without reply.
    pub connections_max: usize,
    /// How long to wait before each connection is accepted. Default 0; more is for tests of clients.
    pub delay_accept: Duration,
    /// How long to wait before each reply. Default 0; more is for tests of clients.
    pub delay_write: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            port: EPMD_PORT_DEFAULT,
            addresses: Vec::new(),
            relaxed: false,
            packet_timeout: Duration::from_secs(60),
            connections_max: 512,
            delay_accept: Duration::ZERO,
            delay_write: Duration::ZERO,
        }
    }
}

/// An EPMD that listens.
#[derive(Debug)]
pub struct EpmdServer {
    listeners: Listeners,
    delay_accept: Duration,
    shared: Arc<Shared>,
}

impl EpmdServer {
    /// Listens. An error of kind [`AddrInUse`](io::ErrorKind::AddrInUse) means that an EPMD runs already, most
    /// likely. Must be called inside a tokio runtime.
    pub fn bind(config: ServerConfig) -> io::Result<EpmdServer> {
        EpmdServer::new(&config, listen::listen_at(&config.addresses, config.port)?)
    }

    /// Serves on listeners that someone else has made, such as systemd, of which at most 16 are taken. The
    /// config's port and addresses are not used; the server says it is at the first listener's port. Must be
    /// called inside a tokio runtime.
    pub fn from_listeners(
        config: &ServerConfig,
        listeners: Vec<std::net::TcpListener>,
    ) -> io::Result<EpmdServer> {
        EpmdServer::new(config, listen::take(listeners)?)
    }

    fn new(
        config: &ServerConfig,
        (listeners, port): (Vec<std::net::TcpListener>, u16),
    ) -> io::Result<EpmdServer> {
        let rules = Rules {
            port,
            relaxed: config.relaxed,
            packet_timeout: config.packet_timeout,
            connections_max: config.connections_max,
        };
        let state = State {
            machine: Machine::new(rules),
            mailboxes: HashMap::new(),
            connections_made: 0,
            wakes_at: None,
        };
        let shared = Shared {
            port,
            delay_write: config.delay_write,
            state: Mutex::new(state),
            sooner: Notify::new(),
            ended: Notify::new(),
        };
        let listeners = Listeners::new(listeners)?;
        Ok(EpmdServer { listeners, delay_accept: config.delay_accept, shared: Arc::new(shared) })
    }

    /// The port it listens on.
    pub fn local_port(&self) -> u16 {
        self.shared.port
    }

    /// Serves until a client ends the server by a kill request. Dropping the call ends it too, and closes
    /// every connection.
    pub async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.accept() => match accepted {
                    Ok((accepted, peer, first)) => {
                        if !self.delay_accept.is_zero() {
                            sleep(self.delay_accept).await;
                        }
                        connections.spawn(serve(self.shared.clone(), accepted, peer, first));
                    }
                    Err(error) => {
                        warn!(%error, "accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = self.shared.due() => self.shared.tell(Input::Timeout),
                () = self.shared.ended.notified() => {
                    info!("killed by request");
                    return;
                }
            }
        }
    }

    /// A connection that is not answered yet, and what was read of it. Cancellation safe.
    async fn accept(&self) -> io::Result<(Accepted, SocketAddr, Vec<u8>)> {
        loop {
            let (accepted, peer) = self.listeners.accept().await?;
            if !self.delay_accept.is_zero() {
                return Ok((accepted, peer, Vec::new()));
            }
            if let Some((accepted, first)) = self.shared.answer_at_once(accepted, peer) {
                return Ok((accepted, peer, first));
            }
        }
    }
}

/// What all connections of a server see.
#[derive(Debug)]
struct Shared {
    port: u16,
    delay_write: Duration,
    /// Held while the machine is told something, never across an await.
    state: Mutex<State>,
    /// The machine is due before the time that was waited for.
    sooner: Notify,
    /// A client has ended the server.
    ended: Notify,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    /// What the machine wants of each connection. At most a reply and a close each, so none grows.
    mailboxes: HashMap<ConnectionId, mpsc::UnboundedSender<Output>>,
    connections_made: u64,
    /// When [`Shared::due`] looks again.
    wakes_at: Option<Instant>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the machine")
    }

    fn open(&self, peer: IpAddr, own: IpAddr) -> (ConnectionId, mpsc::UnboundedReceiver<Output>) {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.connections_made += 1;
        let connection = ConnectionId(state.connections_made);
        state.mailboxes.insert(connection, sender);
        self.handle(&mut state, Input::Opened { connection, peer, own });
        (connection, mailbox)
    }

    /// Answers a lookup that has come with its connection, as most have where there are many: without a task, and
    /// without waiting for the socket to be ready. Otherwise gives what it has read.
    fn answer_at_once(&self, accepted: Accepted, peer: SocketAddr) -> Option<(Accepted, Vec<u8>)> {
        let mut bytes = [0; READ_BYTES];
        let Ok(size @ 1..) = accepted.read(&mut bytes) else { return Some((accepted, Vec::new())) };
        let bytes = &bytes[..size];
        let reply = self.delay_write.is_zero().then(|| self.state().machine.answer_at_once(bytes)).flatten();
        let Some(reply) = reply else { return Some((accepted, bytes.to_vec())) };
        if let Err(error) = accepted.finish(&reply) {
            debug!(%peer, %error, "connection broke");
        }
        None
    }

    fn tell(&self, input: Input<'_>) {
        self.handle(&mut self.state(), input);
    }

    fn handle(&self, state: &mut State, input: Input<'_>) {
        state.machine.handle(now(), input);
        while let Some(output) = state.machine.poll_output() {
            match output {
                Output::Reply { connection, .. } | Output::Close { connection } => {
                    // Without its mailbox it has ended meanwhile.
                    if let Some(mailbox) = state.mailboxes.get(&connection) {
                        let _ = mailbox.send(output);
                    }
                }
                // Its asker passes it on once it has its reply.
                Output::End => {
                    if let Input::Received { connection, .. } = input
                        && let Some(mailbox) = state.mailboxes.get(&connection)
                    {
                        let _ = mailbox.send(output);
                    }
                }
            }
        }
        let due = state.machine.poll_timeout();
        if due.is_some_and(|due| state.wakes_at.is_none_or(|wakes_at| due < wakes_at)) {
            self.sooner.notify_one();
        }
    }

    /// Returns when the machine has waited for long enough.
    async fn due(&self) {
        loop {
            let due = {
                let mut state = self.state();
                state.wakes_at = state.machine.poll_timeout();
                state.wakes_at
            };
            match due {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => return,
                    () = self.sooner.notified() => {}
                },
            }
        }
    }
}

/// One connection from start to end.
async fn serve(shared: Arc<Shared>, accepted: Accepted, peer: SocketAddr, first: Vec<u8>) {
    let opened = accepted.into_stream().and_then(|stream| Ok((stream.local_addr()?.ip(), stream)));
    let (own, mut stream) = match opened {
        Ok(opened) => opened,
        Err(error) => return debug!(%peer, %error, "connection broke"),
    };
    let (id, mut mailbox) = shared.open(peer.ip(), own);
    let open = Open { shared: &shared, id };
    if !first.is_empty() {
        shared.tell(Input::Received { connection: id, bytes: &first });
    }
    drop(first);
    let mut bytes = [0; READ_BYTES];
    loop {
        let step = tokio::select! {
            biased;
            Some(output) = mailbox.recv() => open.act(&mut stream, &mut mailbox, output).await,
            read = stream.read(&mut bytes) => match read {
                Ok(size @ 1..) => {
                    shared.tell(Input::Received { connection: id, bytes: &bytes[..size] });
                    ControlFlow::Continue(())
                }
                Ok(0) => ControlFlow::Break(()),
                Err(error) => {
                    debug!(%peer, %error, "connection broke");
                    ControlFlow::Break(())
                }
            },
        };
        if step.is_break() {
            return;
        }
    }
}

/// A connection the machine knows of. It hears of its end when this is dropped.
struct Open<'a> {
    shared: &'a Shared,
    id: ConnectionId,
}

impl Open<'_> {
    async fn act(
        &self,
        stream: &mut TcpStream,
        mailbox: &mut mpsc::UnboundedReceiver<Output>,
        output: Output,
    ) -> ControlFlow<()> {
        let Output::Reply { bytes, then, .. } = output else { return ControlFlow::Break(()) };
        if !self.shared.delay_write.is_zero() {
            sleep(self.shared.delay_write).await;
        }
        // Nothing follows a reply but the connection's close, since a peer may take nothing, or the server's end, which
        // the peer that asked for it hears of first.
        let mut is_last = false;
        let sent = {
            let mut write = pin!(stream.write_all(&bytes));
            loop {
                tokio::select! {
                    biased;
                    sent = &mut write => break sent.is_ok(),
                    Some(next) = mailbox.recv() => match next {
                        Output::End => is_last = true,
                        Output::Close { .. } | Output::Reply { .. } => break false,
                    },
                }
            }
        };
        match then {
            Then::Hold if sent => ControlFlow::Continue(()),
            Then::Hold | Then::Close => {
                if is_last || mailbox.try_recv() == Ok(Output::End) {
                    // The client sees the end of its reply before every socket goes.
                    let _ = stream.shutdown().await;
                    self.shared.ended.notify_one();
                }
                ControlFlow::Break(())
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.mailboxes.remove(&self.id);
        self.shared.handle(&mut state, Input::Closed { connection: self.id });
    }
}

#[expect(clippy::disallowed_methods, reason = "the server is a driver: it asks the clocks")]
fn now() -> Now {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Now { instant: Instant::now(), unix_secs: since.map_or(0, |since| since.as_secs()) }
}
