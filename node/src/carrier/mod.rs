//! What the bytes between nodes go over (wire.md 7): TCP, TLS, Unix sockets, or anything else that keeps
//! them in order.
//!
//! A [`Carrier`] listens and connects. What it gives, a [`Stream`], is any `AsyncRead + AsyncWrite`; the handshake, the
//! frames and the ticks on it are the node's affair, and the same for all. Every node of a cluster uses the same one.
//!
//! ```
//! use std::sync::Arc;
//! use crabnode::{NodeConfig, carrier::{IpFamily, Tcp}};
//!
//! // `erl -proto_dist inet6_tcp`
//! let mut config = NodeConfig::new("rust@localhost");
//! config.carrier = Arc::new(Tcp { family: IpFamily::V6, ..Tcp::default() });
//! ```

use std::{
    fmt,
    io::{self, Read},
    net::IpAddr,
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

pub use handshake::{LengthPrefix, NodeName};

mod tcp;
pub use tcp::{IpFamily, SocketOptions, Tcp};
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::Unix;

/// A future that a carrier gives.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the bytes between nodes go over.
pub trait Carrier: fmt::Debug + Send + Sync + 'static {
    /// Starts to listen. The error becomes a [`StartError::Listen`](crate::StartError::Listen), or, where the carrier
    /// does without EPMD, a [`StartError::Carrier`](crate::StartError::Carrier).
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Connects to a node, up to where the handshake of distribution begins. The node drops the future after
    /// `net_setuptime`.
    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>>;

    /// How a handshake's frames say their length (wire.md 2): two bytes, as over TCP, unless this says otherwise.
    fn length_prefix(&self) -> LengthPrefix {
        LengthPrefix::U16
    }

    /// Whether EPMD says at which port a node listens: yes, unless this says otherwise. A node on a carrier that finds
    /// its peers by their names alone neither registers nor asks.
    fn uses_epmd(&self) -> bool {
        true
    }

    /// The TCP under it, if there is one: what was set for it can be kept for another carrier.
    fn tcp(&self) -> Option<&Tcp> {
        None
    }
}

/// What accepts the connections of other nodes.
pub trait Listener: Send {
    /// The port for EPMD; anything where the carrier does without it.
    fn port(&self) -> u16;

    /// The next connection. It must be cancellation safe: a dropped future loses none.
    ///
    /// After an error the node waits 100 ms and calls it again.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>>;
}

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct ListenAt<'a> {
    /// The node's own name.
    pub name: &'a NodeName,
    /// `inet_dist_use_interface`; unspecified for all.
    pub address: IpAddr,
    /// `inet_dist_listen_min` and `inet_dist_listen_max`, of which the first free port is used; nothing for any.
    pub ports: Option<&'a RangeInclusive<u16>>,
}

/// Where to connect to.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The node.
    pub name: &'a NodeName,
    /// Its port as EPMD knows it, or another [`Discovery`](crate::Discovery); 0 where the carrier does without it.
    pub port: u16,
    /// Its address, where a function says where nodes are; otherwise that of its host.
    pub address: Option<IpAddr>,
}

/// A connection that has come in, and is not ready yet.
pub struct Incoming {
    /// Who it is from, for the log.
    pub from: String,
    /// What the carrier has to do first, such as a handshake of its own. Others are accepted meanwhile. The node drops
    /// it after `net_setuptime`.
    pub stream: BoxFuture<'static, io::Result<Stream>>,
}

/// A connection that a carrier has made.
///
/// Dropping it closes the connection.
pub struct Stream {
    io: Transport,
    is_buffered: bool,
    hang_up: Option<HangUp>,
}

/// Closes a connection from outside.
pub(crate) type HangUp = Box<dyn FnOnce() + Send>;

enum Transport {
    Tcp(TcpStream),
    Other(Box<dyn Io>),
}

impl Transport {
    fn as_io(&mut self) -> &mut dyn Io {
        match self {
            Self::Tcp(stream) => stream,
            Self::Other(io) => io,
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Stream {
    /// A connection over anything that reads and writes.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { io: Transport::Other(Box::new(io)), is_buffered: true, hang_up: None }
    }

    fn tcp(stream: TcpStream) -> Self {
        Self { io: Transport::Tcp(stream), is_buffered: false, hang_up: None }
    }

    /// What it has taken is on its way: it need not be flushed.
    #[must_use]
    pub fn unbuffered(mut self) -> Self {
        self.is_buffered = false;
        self
    }

    /// What closes the connection at once, for both sides, while it is being read and written. A node that leaves does
    /// so on all of its connections at the same time; without it each is closed when its task comes to it.
    #[must_use]
    pub fn on_hang_up(mut self, hang_up: impl FnOnce() + Send + 'static) -> Self {
        self.hang_up = Some(Box::new(hang_up));
        self
    }

    pub(crate) fn take_hang_up(&mut self) -> Option<HangUp> {
        self.hang_up.take()
    }

    /// Reads what the system has, without the runtime. Only where it is TCP, and nothing lies between.
    pub(crate) fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.io {
            Transport::Tcp(stream) => (&*SockRef::from(stream)).read(bytes),
            Transport::Other(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether what was written waits for a flush.
    pub(crate) fn is_buffered(&self) -> bool {
        self.is_buffered
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("from", &self.from).finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.io.as_io()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.as_io()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.as_io()).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Other(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.as_io()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.as_io()).poll_shutdown(context)
    }
}
