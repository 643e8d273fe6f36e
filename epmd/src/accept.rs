//! Taking connections, so that one which is answered at once costs four system calls: to accept, to read, to write, and
//! to close. To wait on it would take two more.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

/// What a server listens at.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<system::Listener>);

impl Listeners {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(listeners: Vec<std::net::TcpListener>) -> io::Result<Listeners> {
        listeners.into_iter().map(system::Listener::new).collect::<io::Result<_>>().map(Listeners)
    }

    /// A connection. Cancellation safe.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        std::future::poll_fn(|context| {
            for listener in &self.0 {
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A connection on which nothing was done yet. It does not block.
#[derive(Debug)]
pub(crate) struct Accepted(system::Stream);

impl Accepted {
    /// Reads what has come with it; [`io::ErrorKind::WouldBlock`] if that is nothing.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }

    /// Sends all there is to say, and closes.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<()> {
        // It has room for far more, so otherwise the peer is gone.
        if self.0.send_last(bytes)? < bytes.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    /// To be waited on.
    pub(crate) fn into_stream(self) -> io::Result<TcpStream> {
        self.0.into_tokio()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Accepted, Context, Poll, Read, SocketAddr, TcpStream, io};

    use std::os::fd::OwnedFd;

    use rustix::net::{SendFlags, SocketFlags, acceptfrom_with, send};
    use tokio::io::Interest;

    /// To tokio it is a stream that becomes readable: its listener gives only connections that are waited on.
    #[derive(Debug)]
    pub(super) struct Listener(TcpStream);

    impl Listener {
        pub(super) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
            TcpStream::from_std(OwnedFd::from(listener).into()).map(Self)
        }

        pub(super) fn poll_accept(
            &self,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<(Accepted, SocketAddr)>> {
            loop {
                std::task::ready!(self.0.poll_read_ready(context))?;
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let accepted = self.0.try_io(Interest::READABLE, || Ok(acceptfrom_with(&self.0, flags)?));
                match accepted {
                    Ok((stream, peer)) => {
                        let peer = peer.and_then(|peer| peer.try_into().ok());
                        let peer = peer.ok_or(io::ErrorKind::NotConnected)?;
                        return Poll::Ready(Ok((Accepted(Stream(stream.into())), peer)));
                    }
                    // It is not ready any more; that is known now.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    #[derive(Debug)]
    pub(super) struct Stream(std::net::TcpStream);

    impl Stream {
        pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
            (&self.0).read(into)
        }

        /// What is sent and the end go out in one segment.
        pub(super) fn send_last(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(send(&self.0, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        }

        pub(super) fn into_tokio(self) -> io::Result<TcpStream> {
            TcpStream::from_std(self.0)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Accepted, Context, Poll, Read, SocketAddr, TcpStream, io};

    use std::io::Write;

    use socket2::SockRef;
    use tokio::net::TcpListener;

    #[derive(Debug)]
    pub(super) struct Listener(TcpListener);

    impl Listener {
        pub(super) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
            TcpListener::from_std(listener).map(Self)
        }

        pub(super) fn poll_accept(
            &self,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<(Accepted, SocketAddr)>> {
            self.0.poll_accept(context).map_ok(|(stream, peer)| (Accepted(Stream(stream)), peer))
        }
    }

    #[derive(Debug)]
    pub(super) struct Stream(TcpStream);

    impl Stream {
        pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
            (&*SockRef::from(&self.0)).read(into)
        }

        pub(super) fn send_last(&self, bytes: &[u8]) -> io::Result<usize> {
            (&*SockRef::from(&self.0)).write(bytes)
        }

        pub(super) fn into_tokio(self) -> io::Result<TcpStream> {
            Ok(self.0)
        }
    }
}
