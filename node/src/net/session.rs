//! Drives the handshake over a stream (wire.md 2).

use std::{io, time::Instant};

use handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Established, HandshakeError, Initiator, InitiatorInput,
    InitiatorOutput, NodeName, Verdict,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Attempt;
use crate::clock;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Handshake(HandshakeError),
    #[error(transparent)]
    Io(io::Error),
    #[error("the peer put a challenge of our own to us: it does not know the cookie")]
    Reflected,
    #[error("the attempt was given up")]
    Aborted,
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What the handshake asks of the node.
pub(crate) trait Arbiter {
    /// A peer has said its name.
    fn verdict(&mut self, peer: &NodeName) -> Verdict;
    /// A peer without a name asks for one on its host (wire.md 2.6).
    fn name_for(&mut self, host: &str) -> Verdict;
    /// We dialled and were told `alive`: does this attempt still count?
    fn is_current(&mut self) -> bool;
    /// A proven attempt replaces a connection: close that, and return when it is gone.
    fn close_old(&mut self) -> impl Future<Output = ()> + Send;
    /// Whether a challenge that we are asked to answer is one that we ourselves have given on another socket.
    fn is_own_challenge(&mut self, challenge: u32) -> bool;
}

/// Something that happened while a handshake waited.
enum Happened {
    Read(usize),
    Timeout,
    Aborted,
}

async fn happened<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut [u8],
    timeout: Option<Instant>,
    attempt: &Attempt,
) -> io::Result<Happened> {
    let deadline = timeout.map(tokio::time::Instant::from_std);
    let sleep = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = attempt.aborted() => Ok(Happened::Aborted),
        read = stream.read(buffer) => read.map(Happened::Read),
        () = sleep => Ok(Happened::Timeout),
    }
}

/// Plays the part of the node that dialled.
pub(crate) async fn initiate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut machine: Initiator,
    attempt: &Attempt,
    arbiter: &mut impl Arbiter,
) -> Result<Established, SessionError> {
    let mut buffer = [0; 1024];
    let mut result = Ok(());
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                InitiatorOutput::Send(bytes) => {
                    // A peer that does not know the cookie could have us answer our own challenge (wire.md 2.8).
                    if machine.peer_challenge().is_some_and(|challenge| arbiter.is_own_challenge(challenge)) {
                        return Err(SessionError::Reflected);
                    }
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                }
                InitiatorOutput::AskAlive => {
                    let answer = InitiatorInput::AliveAnswer(arbiter.is_current());
                    result = result.and(machine.handle(clock::now(), answer));
                }
                InitiatorOutput::Established(established) => return Ok(established),
            }
        }
        if let Err(error) = result {
            let _ = stream.shutdown().await;
            return Err(SessionError::Handshake(error));
        }
        let input = match happened(stream, &mut buffer, machine.poll_timeout(), attempt).await? {
            Happened::Aborted => return Err(SessionError::Aborted),
            Happened::Timeout => InitiatorInput::Timeout,
            Happened::Read(0) => InitiatorInput::Eof,
            Happened::Read(n) => InitiatorInput::Bytes(&buffer[..n]),
        };
        result = machine.handle(clock::now(), input);
    }
}

/// Plays the part of the node that was dialled.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut machine: Acceptor,
    attempt: &Attempt,
    arbiter: &mut impl Arbiter,
) -> Result<Established, SessionError> {
    let mut buffer = [0; 1024];
    let mut result = Ok(());
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                AcceptorOutput::Send(bytes) => {
                    // A peer that does not know the cookie could have us answer our own challenge (wire.md 2.8).
                    if machine.peer_challenge().is_some_and(|challenge| arbiter.is_own_challenge(challenge)) {
                        return Err(SessionError::Reflected);
                    }
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                }
                AcceptorOutput::AskVerdict { peer } => {
                    let verdict = AcceptorInput::Verdict(arbiter.verdict(&peer));
                    result = result.and(machine.handle(clock::now(), verdict));
                }
                AcceptorOutput::AskName { host } => {
                    let verdict = AcceptorInput::Verdict(arbiter.name_for(&host));
                    result = result.and(machine.handle(clock::now(), verdict));
                }
                AcceptorOutput::CloseOldLink => {
                    arbiter.close_old().await;
                    result = result.and(machine.handle(clock::now(), AcceptorInput::OldLinkDown));
                }
                AcceptorOutput::Established(established) => return Ok(established),
            }
        }
        if let Err(error) = result {
            let _ = stream.shutdown().await;
            return Err(SessionError::Handshake(error));
        }
        let input = match happened(stream, &mut buffer, machine.poll_timeout(), attempt).await? {
            Happened::Aborted => return Err(SessionError::Aborted),
            Happened::Timeout => AcceptorInput::Timeout,
            Happened::Read(0) => AcceptorInput::Eof,
            Happened::Read(n) => AcceptorInput::Bytes(&buffer[..n]),
        };
        result = machine.handle(clock::now(), input);
    }
}
