//! Why a handshake ended without a connection, sorted by whose fault it is.

use bytes::Bytes;
use thiserror::Error;

use crate::acceptor::Verdict;
use crate::flags::DistFlags;
use crate::message::MessageError;
use crate::name::{NodeName, NodeNameError};

/// Why a handshake ended without a connection. Carry out the outputs that are left, then close the socket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    // Bad bytes.
    /// A message that cannot be read.
    #[error("bad handshake message while waiting for {stage}: {error}")]
    BadMessage {
        /// What we waited for.
        stage: Stage,
        /// What is wrong with it.
        error: MessageError,
    },
    /// A frame, or bytes sent ahead of their time, beyond the limit.
    #[error("{size} handshake bytes at once, at most {max} are taken")]
    TooLong {
        /// How many bytes.
        size: usize,
        /// How many are allowed.
        max: usize,
    },

    // The peer broke the rules.
    /// The peer calls itself something that is no node name.
    #[error("the peer gives a bad name: {0}")]
    BadName(#[from] NodeNameError),
    /// The peer claims our own name.
    #[error("the peer claims our own name {0}")]
    OwnName(NodeName),
    /// Another node answers than the one we called.
    #[error("called {expected}, but {got:?} answers")]
    NameMismatch {
        /// Whom we called.
        expected: NodeName,
        /// Who says it answers.
        got: String,
    },
    /// The peer named us on another host than ours.
    #[error("asked for a name on host {expected:?}, got {got}")]
    HostMismatch {
        /// Our host.
        expected: String,
        /// The name we got.
        got: NodeName,
    },
    /// A status that does not exist, or that cannot come here.
    #[error("{peer} answers with unexpected status {status:?}")]
    UnexpectedStatus {
        /// Whom we called.
        peer: NodeName,
        /// The status' text.
        status: Bytes,
    },

    // One side cannot prove the cookie.
    /// The cookies differ.
    #[error("{}", wrong_cookie(.peer, *.who))]
    WrongCookie {
        /// The other node, by the name it gives or that we called.
        peer: NodeName,
        /// Which side noticed.
        who: CookieRefusal,
    },

    // The peer cannot.
    /// The peer lacks flags we demand.
    #[error("{peer} lacks mandatory flags: {missing}")]
    MissingFlags {
        /// The name the peer gives, as it came.
        peer: String,
        /// What it lacks.
        missing: DistFlags,
    },

    // One side does not want to.
    /// The peer's own attempt to connect to us goes on instead of this one. No failure: wait for that one.
    #[error("{peer} connects to us itself")]
    Nok {
        /// Whom we called.
        peer: NodeName,
    },
    /// The peer answers `not_allowed`: it lists who may connect, or it demands a flag.
    #[error("{}", not_allowed(.peer, *.lacking))]
    NotAllowed {
        /// Whom we called.
        peer: NodeName,
        /// What current OTP releases demand and we do not offer; empty if flags are not the reason.
        lacking: DistFlags,
    },
    /// The verdict on the peer was not to go on.
    #[error("refused {peer}: {verdict:?}")]
    Refused {
        /// The name the peer gives, as it came.
        peer: String,
        /// The verdict.
        verdict: Verdict,
    },
    /// The attempt is no longer its own side's current one, so `alive` was answered with `false`.
    #[error("the attempt was given up by the side that made it")]
    Superseded,

    // Nobody's fault, or the network's.
    /// The peer closed the connection.
    #[error("connection closed by the peer while waiting for {stage}")]
    PeerClosed {
        /// What we waited for.
        stage: Stage,
    },
    /// What we waited for did not come in time.
    #[error("handshake timed out while waiting for {stage}")]
    Timeout {
        /// What we waited for.
        stage: Stage,
    },

    // The driver's.
    /// The machine was given an answer it had not asked for, or anything after it was done.
    #[error("input does not fit a handshake that waits for {stage}")]
    Misused {
        /// What the machine waits for.
        stage: Stage,
    },
}

/// Who found the cookies to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieRefusal {
    /// The peer closed the connection right after our proof. Most likely it has another cookie; that it was
    /// stopped just then looks the same.
    TheyRefused,
    /// The peer's proof is wrong.
    WeRefuse,
}

/// What a machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The acceptor's proof.
    Ack,
    /// Whether our attempt is still current.
    AliveAnswer,
    /// The acceptor's name and challenge.
    Challenge,
    /// The rest of an old initiator's flags.
    Complement,
    /// Nothing: the handshake is done.
    Done,
    /// The initiator's name.
    Name,
    /// The end of the old connection to this peer.
    OldLinkDown,
    /// The initiator's proof.
    Reply,
    /// The acceptor's status.
    Status,
    /// Whether the initiator still means this attempt.
    StatusReply,
    /// Our own node's verdict on the peer.
    Verdict,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::Ack => "the challenge ack",
            Stage::AliveAnswer => "the state of our own attempt",
            Stage::Challenge => "the challenge",
            Stage::Complement => "the complement",
            Stage::Done => "nothing more",
            Stage::Name => "the peer's name",
            Stage::OldLinkDown => "the old connection's end",
            Stage::Reply => "the challenge reply",
            Stage::Status => "the status",
            Stage::StatusReply => "the status reply",
            Stage::Verdict => "the verdict on the peer",
        })
    }
}

fn wrong_cookie(peer: &NodeName, who: CookieRefusal) -> String {
    match who {
        CookieRefusal::TheyRefused => {
            format!("{peer} closed the connection on our challenge reply: most likely it has another cookie")
        }
        CookieRefusal::WeRefuse => format!("{peer} has another cookie: invalid challenge digest"),
    }
}

fn not_allowed(peer: &NodeName, lacking: DistFlags) -> String {
    if lacking.is_empty() {
        format!("{peer} does not allow us to connect")
    } else {
        format!("{peer} does not allow us to connect; flags it may demand and we lack: {lacking}")
    }
}
