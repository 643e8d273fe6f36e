//! Accepts connections from other nodes.

use std::{sync::Arc, time::Duration};

use handshake::{Acceptor, HandshakeError, NodeName, Stage, Verdict};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Attempt, session, session::SessionError};
use crate::{
    carrier::{Incoming, Listener, Stream},
    clock,
    node::Inner,
    peers::ConnectionId,
};

/// Accepts for as long as the node lives. A handshake never holds up the next one.
pub(crate) async fn listen(inner: Arc<Inner>, mut listener: Box<dyn Listener>) {
    let half_open = Arc::new(Semaphore::new(inner.config.half_open_max));
    loop {
        // A stranger waits in the system's queue while too many others are in their handshake.
        let Ok(permit) = Arc::clone(&half_open).acquire_owned().await else { return };
        let incoming = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that is gone already: neither ends the listener.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let task = Arc::clone(&inner);
        inner.tasks.spawn(async move {
            accept(task, incoming, permit).await;
        });
    }
}

/// How long the listener waits after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn accept(inner: Arc<Inner>, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let Incoming { from: address, stream } = incoming;
    let (id, attempt) = inner.new_attempt();
    let ready = tokio::select! {
        _ = attempt.aborted() => None,
        ready = tokio::time::timeout(inner.config.net_setuptime, stream) => Some(ready),
    };
    match ready {
        Some(Ok(Ok(stream))) => accept_on(&inner, stream, address, id, attempt, permit).await,
        Some(Ok(Err(error))) => {
            tracing::warn!(%address, %error, "a connection attempt was refused");
            inner.attempt_failed(None, id, None);
        }
        Some(Err(_)) => {
            tracing::debug!(%address, "a connection attempt was not ready in time");
            inner.attempt_failed(None, id, None);
        }
        None => inner.attempt_failed(None, id, None),
    }
}

async fn accept_on(
    inner: &Arc<Inner>,
    mut stream: Stream,
    address: String,
    id: ConnectionId,
    attempt: Attempt,
    permit: OwnedSemaphorePermit,
) {
    let challenge = inner.new_challenge();
    let machine =
        Acceptor::new(clock::now(), inner.identity(), inner.cookies(), challenge, inner.handshake_config());
    let mut arbiter = Arbiter { inner, id, peer: None };
    let result = session::accept(&mut stream, machine, &attempt, &mut arbiter).await;
    let peer = arbiter.peer;
    inner.forget_challenge(challenge);
    drop(permit);
    match (result, peer) {
        (Ok(established), _) => inner.run_connection(stream, id, attempt, established).await,
        (Err(error), peer) => {
            match &error {
                SessionError::Aborted => {}
                SessionError::Handshake(error) if is_everyday(inner, peer.as_ref(), error) => {
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
