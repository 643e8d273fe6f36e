//! Why a question to an EPMD got no answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::message::ReplyError;

/// Why a question to an EPMD got no answer, sorted by whose fault it is.
#[derive(Debug, Error)]
pub enum EpmdError {
    /// Its reply is none.
    #[error("EPMD at {address}: {error}")]
    BadReply {
        /// Which EPMD.
        address: SocketAddr,
        /// What is wrong with the reply.
        error: ReplyError,
    },
    /// Its reply is longer than replies are.
    #[error("EPMD at {address} replies with more than {max} bytes")]
    ReplyTooLong {
        /// Which EPMD.
        address: SocketAddr,
        /// How many bytes are taken.
        max: usize,
    },
    /// It closed without a reply: the request is not for us to make.
    #[error("EPMD at {address} closed the connection without a reply")]
    Closed {
        /// Which EPMD.
        address: SocketAddr,
    },
    /// Another node has the name.
    #[error("the name {name} is registered already with the EPMD at {address}")]
    NameTaken {
        /// Which EPMD.
        address: SocketAddr,
        /// The name we asked for.
        name: String,
    },
    /// The name cannot be asked for: it is empty, too long or has a zero byte.
    #[error("{name:?} is no name for a node")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// The host has no address.
    #[error("no address for host {host}")]
    UnknownHost {
        /// The host as given.
        host: String,
        /// What the resolver says, if it is more than "nothing".
        source: Option<io::Error>,
    },
    /// Nothing answers at that address: most likely no EPMD runs there.
    #[error("no EPMD at {address}: {source}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke.
    #[error("connection to EPMD at {address} broke: {source}")]
    Broken {
        /// Which EPMD.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No answer in time.
    #[error("EPMD does not answer within {0:?}")]
    Timeout(
        /// How long we waited.
        Duration,
    ),
}

impl EpmdError {
    /// True if no EPMD runs where we asked, so that one might be started.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, EpmdError::Unreachable { .. })
    }
}

/// The text given for EPMD's port is no port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no port for EPMD: a number from 1 to 65535 is")]
pub struct BadPort(pub String);
