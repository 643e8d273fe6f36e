//! Accepts connections from other nodes.

use std::{io, net::SocketAddr, sync::Arc};

use handshake::{Acceptor, HandshakeError, NodeName, Stage, Verdict};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{session, session::SessionError};
use crate::{NodeConfig, StartError, clock, node::Inner, peers::ConnectionId};

/// How many connections the system may hold for us until we accept them, as OTP's default.
const BACKLOG: i32 = 128;

/// A listener on the first free port of the range, or on one that the system chooses.
pub(crate) fn bind(config: &NodeConfig) -> Result<TcpListener, StartError> {
    let ports = config.listen_ports.clone().unwrap_or(0..=0);
    let fail = |source| StartError::Listen {
        address: config.listen_address,
        ports: match &config.listen_ports {
            Some(ports) => format!("{} to {}", ports.start(), ports.end()),
            None => "any".into(),
        },
        source,
    };
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the range is empty");
    for port in ports {
        match bind_one(SocketAddr::new(config.listen_address, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(fail(last))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts for as long as the node lives. A handshake never holds up the next one.
pub(crate) async fn listen(inner: Arc<Inner>, listener: TcpListener) {
    let half_open = Arc::new(Semaphore::new(inner.config.half_open_max));
    loop {
        // A stranger waits in the system's queue while too many others are in their handshake.
        let Ok(permit) = Arc::clone(&half_open).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that is gone already: neither ends the listener.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let task = Arc::clone(&inner);
        inner.tasks.spawn(async move {
            let permit = permit;
            accept(task, stream, address, permit).await;
        });
    }
}

async fn accept(
    inner: Arc<Inner>,
    mut stream: TcpStream,
    address: SocketAddr,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %address, "no TCP_NODELAY");
    }
    let (id, attempt) = inner.new_attempt();
    let challenge = inner.new_challenge();
    let machine =
        Acceptor::new(clock::now(), inner.identity(), inner.cookies(), challenge, inner.handshake_config());
    let mut arbiter = Arbiter { inner: &inner, id, peer: None };
    let result = session::accept(&mut stream, machine, &attempt, &mut arbiter).await;
    let peer = arbiter.peer;
    inner.forget_challenge(challenge);
    drop(permit);
    match (result, peer) {
        (Ok(established), _) => inner.run_connection(stream, id, attempt, established).await,
        (Err(error), peer) => {
            match &error {
                SessionError::Aborted => {}
                SessionError::Handshake(error) if is_everyday(&inner, peer.as_ref(), error) => {
                    tracing::debug!(%address, %error, "a connection attempt came to nothing");
                }
                SessionError::Handshake(error) => {
                    tracing::warn!(%address, peer = peer.as_ref().map(NodeName::as_str), %error, "a connection attempt was refused");
                }
                SessionError::Reflected => tracing::error!(%address, "the peer put our own challenge to us"),
                SessionError::Io(error) => {
                    tracing::debug!(%address, %error, "a connection attempt broke off")
                }
            }
            inner.attempt_failed(peer.as_ref(), id, None);
        }
    }
}

/// Whether nobody need be told: the rival attempt of a node that we are connecting to ourselves, or have a connection
/// and an attempt of already; and whoever leaves without a word, as those who look whether a port is open do.
fn is_everyday(inner: &Inner, peer: Option<&NodeName>, error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Refused { verdict: Verdict::Nok | Verdict::CloseSilently, .. } => {
            peer.is_some_and(|peer| peer.as_str() != inner.node_atom().as_str())
        }
        HandshakeError::PeerClosed { stage: Stage::Name } => true,
        _ => false,
    }
}

struct Arbiter<'a> {
    inner: &'a Arc<Inner>,
    id: ConnectionId,
    peer: Option<NodeName>,
}

impl session::Arbiter for Arbiter<'_> {
    fn verdict(&mut self, peer: &NodeName) -> Verdict {
        self.peer = Some(peer.clone());
        self.inner.arbitrate(peer, self.id)
    }

    fn name_for(&mut self, host: &str) -> Verdict {
        let Some((name, creation)) = self.inner.invent_name(host) else { return Verdict::NotAllowed };
        match self.verdict(&name) {
            Verdict::Ok => Verdict::OkNamed { name, creation },
            other => other,
        }
    }

    fn is_current(&mut self) -> bool {
        false
    }

    async fn close_old(&mut self) {
        if let Some(peer) = &self.peer {
            self.inner.close_replaced(peer, self.id).await;
        }
    }

    fn is_own_challenge(&mut self, challenge: u32) -> bool {
        self.inner.is_own_challenge(challenge)
    }
}
