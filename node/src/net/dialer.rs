//! Connects to other nodes.

use std::{io, sync::Arc, time::Duration};

use handshake::{HandshakeError, Initiator, NodeName, Verdict};

use super::{Attempt, session, session::SessionError};
use crate::{
    ConnectError,
    carrier::Stream,
    clock,
    discovery::{self, Found},
    node::Inner,
    peers::ConnectionId,
};

/// How long a node that was told `nok` waits for the peer's own attempt before it asks again; twice as long each
/// time, and no longer than `net_setuptime` in all.
const NOK_PAUSE: Duration = Duration::from_millis(100);

impl Inner {
    /// Makes the connection that a route waits for, unless one is under way already.
    pub(crate) async fn dial(self: Arc<Self>, peer: NodeName) {
        let Some((id, attempt)) = self.new_dial(&peer) else { return };
        let until = clock::now() + self.config.net_setuptime;
        let (mut dialled, mut pause) = (self.dial_once(&peer, id, &attempt).await, NOK_PAUSE);
        // Told `nok`, which is no failure: the peer's own attempt wins, and is on its way (cluster-services.md 0).
        // But what stood in our way may also have been an attempt of ours that is over and that the peer has
        // not done with yet, or one of its own that comes to nothing. So we ask again while we wait.
        while let Err(Failed::Nok) = dialled
            && self.yield_to(&peer, id)
        {
            if clock::now() >= until {
                let (node, seconds) = (peer.as_str().into(), self.config.net_setuptime.as_secs());
                dialled = Err(ConnectError::NeverCame { node, seconds }.into());
                break;
            }
            dialled = match tokio::time::timeout(pause, attempt.aborted()).await {
                Ok(_) => Err(Failed::Aborted),
                Err(_) => match self.dial_once(&peer, id, &attempt).await {
                    Err(Failed::Error(_)) => Err(Failed::Nok),
                    dialled => dialled,
                },
            };
            pause *= 2;
        }
        match dialled {
            Ok((stream, established)) => self.run_connection(stream, id, attempt, established).await,
            // Nok, and yet nothing to wait for: the peer's attempt has come.
            Err(Failed::Aborted | Failed::Nok) => {
                self.attempt_failed(Some(&peer), id, Some(ConnectError::Stopped));
            }
            Err(Failed::Error(error)) => {
                tracing::debug!(%error, "no connection");
                self.attempt_failed(Some(&peer), id, Some(error));
            }
        }
    }

    async fn dial_once(
        self: &Arc<Self>,
        peer: &NodeName,
        id: ConnectionId,
        attempt: &Attempt,
    ) -> Result<(Stream, handshake::Established), Failed> {
        let mut challenge = None;
        let dialled = self.try_dial(peer, id, attempt, &mut challenge).await;
        if let Some(challenge) = challenge {
            self.forget_challenge(challenge);
        }
        dialled
    }

    async fn try_dial(
        self: &Arc<Self>,
        peer: &NodeName,
        id: ConnectionId,
        attempt: &Attempt,
        used_challenge: &mut Option<u32>,
    ) -> Result<(Stream, handshake::Established), Failed> {
        let node: etf::Atom = peer.as_str().into();
        let found = match self.config.carrier.uses_epmd() {
            true => until_aborted(attempt, discovery::find(&self.config, self.epmd_port, peer)).await??,
            false => Found { port: 0, address: None, is_guess: false },
        };
        let port = found.port;
        let connecting = found.connect(&*self.config.carrier, peer);
        let connect = async {
            match tokio::time::timeout(self.config.net_setuptime, connecting).await {
                Ok(result) => result,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        };
        let failed = |error: io::Error| match port {
            0 => ConnectError::Carrier { node: node.clone(), reason: error.to_string() },
            port => ConnectError::Tcp { node: node.clone(), port, reason: error.to_string() },
        };
        let mut stream = until_aborted(attempt, connect).await?.map_err(failed)?;
        let challenge = self.new_challenge();
        *used_challenge = Some(challenge);
        let machine = Initiator::new(
            clock::now(),
            self.identity(),
            peer.clone(),
            self.cookies().cookie_for(peer).clone(),
            challenge,
            self.handshake_config(),
        );
        let mut arbiter = Arbiter { inner: self, id, peer };
        match session::initiate(&mut stream, machine, attempt, &mut arbiter).await {
            Ok(established) => Ok((stream, established)),
            Err(SessionError::Aborted) => Err(Failed::Aborted),
            Err(SessionError::Handshake(HandshakeError::Nok { .. })) => Err(Failed::Nok),
            Err(SessionError::Handshake(error)) => {
                tracing::warn!(peer = peer.as_str(), %error, "the handshake failed");
                Err(ConnectError::Handshake { node, reason: error.to_string() }.into())
            }
            Err(error @ (SessionError::Reflected | SessionError::Io(_))) => {
                Err(ConnectError::Handshake { node, reason: error.to_string() }.into())
            }
        }
    }
}

enum Failed {
    Aborted,
    Nok,
    Error(ConnectError),
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self::Error(error)
    }
}

async fn until_aborted<T>(attempt: &Attempt, future: impl Future<Output = T>) -> Result<T, Failed> {
    tokio::select! {
        _ = attempt.aborted() => Err(Failed::Aborted),
        output = future => Ok(output),
    }
}

struct Arbiter<'a> {
    inner: &'a Arc<Inner>,
    id: ConnectionId,
    peer: &'a NodeName,
}

impl session::Arbiter for Arbiter<'_> {
    /// Only the node that was dialled is asked; we would refuse.
    fn verdict(&mut self, _: &NodeName) -> Verdict {
        Verdict::NotAllowed
    }

    fn name_for(&mut self, _: &str) -> Verdict {
        Verdict::NotAllowed
    }

    fn is_current(&mut self) -> bool {
        self.inner.is_current_dial(self.peer, self.id)
    }

    async fn close_old(&mut self) {}

    fn is_own_challenge(&mut self, challenge: u32) -> bool {
        self.inner.is_own_challenge(challenge)
    }
}
