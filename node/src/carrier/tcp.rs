//! TCP, over IPv4 or IPv6 (`inet_tcp` and `inet6_tcp`).

use std::{
    io,
    net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{BoxFuture, Carrier, Destination, Incoming, ListenAt, Listener, Stream};

/// TCP. The default is what `erl` does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tcp {
    /// Which addresses of a host are used.
    pub family: IpFamily,
    /// How many connections the system holds until they are accepted (`backlog`). Default 128, as OTP's.
    pub backlog: Option<u32>,
    /// Of the listener and of what it accepts (`inet_dist_listen_options`).
    pub listen: SocketOptions,
    /// Of connections to others (`inet_dist_connect_options`).
    pub connect: SocketOptions,
}

/// Which addresses of a host are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpFamily {
    /// All of them: those of IPv4 alone to listen at, unless `listen_address` is another.
    #[default]
    Any,
    /// `inet6_tcp` and `inet6_tls`.
    V6,
}

/// Options of sockets, named as those of `inet:setopts/2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOptions {
    /// Small messages are sent at once. Default true, as OTP's.
    pub nodelay: bool,
    /// Whether the system asks a peer that is silent; the ticks do so anyway. Default false.
    pub keepalive: bool,
    /// How long a peer is silent before it is asked, where `keepalive` is on; the system's default without it.
    pub keepidle: Option<Duration>,
    /// The size of the system's buffer for sending, in bytes; the system's default without it.
    pub sndbuf: Option<usize>,
    /// The size of the system's buffer for receiving, in bytes; the system's default without it.
    pub recbuf: Option<usize>,
    /// The type of service of IPv4 packets.
    pub tos: Option<u8>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { nodelay: true, keepalive: false, keepidle: None, sndbuf: None, recbuf: None, tos: None }
    }
}

const BACKLOG: u32 = 128;

impl Tcp {
    pub(super) async fn connect_to(&self, to: Destination<'_>) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = match to.address {
            Some(address) => vec![(address, to.port).into()],
            None => lookup_host((to.name.host(), to.port)).await?.collect(),
        };
        let mut last = None;
        for address in
            addresses.into_iter().filter(|address| self.family == IpFamily::Any || address.is_ipv6())
        {
            match self.connect_to_one(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let no_address = || {
            let kind = io::ErrorKind::AddrNotAvailable;
            match self.family {
                IpFamily::Any => io::Error::new(kind, "the host has no address"),
                IpFamily::V6 => io::Error::new(kind, "the host has no IPv6 address"),
            }
        };
        Err(last.unwrap_or_else(no_address))
    }

    async fn connect_to_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
        self.connect.set(SockRef::from(&socket), address)?;
        without_pacing(SockRef::from(&socket), address);
        socket.connect(address).await
    }

    pub(super) fn bind(&self, at: ListenAt<'_>) -> io::Result<TcpAccept> {
        let ports = at.ports.cloned().unwrap_or(0..=0);
        let address = match self.family {
            IpFamily::V6 if at.address.is_unspecified() => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpFamily::V6 if at.address.is_ipv4() => {
                let what = format!("{} is no IPv6 address", at.address);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            IpFamily::Any | IpFamily::V6 => at.address,
        };
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the range is empty");
        for port in ports {
            match self.bind_one(SocketAddr::new(address, port)) {
                Ok(accept) => return Ok(accept),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_one(&self, address: SocketAddr) -> io::Result<TcpAccept> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // What is accepted has these from the listener.
        self.listen.set(SockRef::from(&socket), address)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(self.backlog.unwrap_or(BACKLOG)).unwrap_or(i32::MAX))?;
        let listener = TcpListener::from_std(socket.into())?;
        let port = listener.local_addr()?.port();
        Ok(TcpAccept { listener, port, options: self.listen.clone() })
    }
}

impl SocketOptions {
    fn set(&self, socket: SockRef<'_>, address: SocketAddr) -> io::Result<()> {
        socket.set_tcp_nodelay(self.nodelay)?;
        if self.keepalive {
            let mut keepalive = TcpKeepalive::new();
            if let Some(idle) = self.keepidle {
                keepalive = keepalive.with_time(idle);
            }
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if let Some(bytes) = self.sndbuf {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.recbuf {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(tos) = self.tos.filter(|_| address.is_ipv4()) {
            socket.set_tos_v4(tos.into())?;
        }
        Ok(())
    }
}

/// A connection that stays on this host has nothing to congest. Where the system's algorithm is BBR it would be paced all the
/// same, and long messages take twice as long and more; Reno, which every Linux has, sends what the window allows.
#[cfg(target_os = "linux")]
fn without_pacing(socket: SockRef<'_>, peer: SocketAddr) {
    if peer.ip().to_canonical().is_loopback()
        && let Err(error) = socket.set_tcp_congestion(b"reno")
    {
        tracing::debug!(%error, %peer, "the system's congestion control stays");
    }
}

#[cfg(not(target_os = "linux"))]
fn without_pacing(_: SockRef<'_>, _: SocketAddr) {}

/// A listener, and what its connections get.
pub(super) struct TcpAccept {
    listener: TcpListener,
    pub(super) port: u16,
    options: SocketOptions,
}

impl TcpAccept {
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, address) = self.listener.accept().await?;
        // Not every system hands this one down from the listener.
        if let Err(error) = stream.set_nodelay(self.options.nodelay) {
            tracing::debug!(%error, %address, "no TCP_NODELAY");
        }
        without_pacing(SockRef::from(&stream), address);
        Ok((stream, address))
    }
}

/// What closes the connection of this socket from outside.
pub(super) fn hang_up(stream: &TcpStream) -> impl FnOnce() + Send + 'static {
    // Without a second handle (no file descriptors left) the connection ends a moment later than others.
    let socket = SockRef::from(stream).try_clone().ok();
    move || {
        if let Some(socket) = socket {
            // An error means that it is over already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn stream_of(stream: TcpStream) -> Stream {
    let hang_up = hang_up(&stream);
    Stream::tcp(stream).on_hang_up(hang_up)
}

impl Carrier for Tcp {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(self.bind(at)?) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move { Ok(stream_of(self.connect_to(to).await?)) })
    }

    fn tcp(&self) -> Option<&Tcp> {
        Some(self)
    }
}

impl Listener for TcpAccept {
    fn port(&self) -> u16 {
        self.port
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, address) = TcpAccept::accept(self).await?;
            let stream = Box::pin(async move { Ok(stream_of(stream)) });
            Ok(Incoming { from: address.to_string(), stream })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(name: &handshake::NodeName, address: IpAddr) -> ListenAt<'_> {
        ListenAt { name, address, ports: None }
    }

    /// Item 30 of wire.md 12, the options of sockets: on both ends of a connection.
    #[tokio::test]
    async fn options_are_set_on_all_sockets() {
        let options = SocketOptions {
            keepalive: true,
            keepidle: Some(Duration::from_secs(77)),
            recbuf: Some(40_000),
            tos: Some(16),
            ..SocketOptions::default()
        };
        let off = SocketOptions { nodelay: false, ..SocketOptions::default() };
        for (listen, connect) in [(options.clone(), off.clone()), (off, options)] {
            let tcp = Tcp { listen: listen.clone(), connect: connect.clone(), ..Tcp::default() };
            let name = "a@127.0.0.1".parse().expect("a node's name");
            let mut listener = tcp.bind(at(&name, Ipv4Addr::LOCALHOST.into())).expect("a port is free");
            let to = Destination { name: &name, port: listener.port, address: None };
            let (connected, accepted) = tokio::join!(tcp.connect_to(to), listener.accept());
            let (accepted, _) = accepted.expect("it was accepted");
            for (stream, wanted) in [(&connected.expect("it listens"), connect), (&accepted, listen)] {
                let socket = SockRef::from(stream);
                assert_eq!(socket.tcp_nodelay().expect("an option"), wanted.nodelay);
                assert_eq!(socket.keepalive().expect("an option"), wanted.keepalive);
                if let Some(idle) = wanted.keepidle {
                    assert_eq!(socket.tcp_keepalive_time().expect("an option"), idle);
                    assert_eq!(socket.tos_v4().expect("an option"), 16);
                    // Linux doubles it.
                    assert!((40_000..=80_000).contains(&socket.recv_buffer_size().expect("an option")));
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_stays_on_this_host_is_not_paced() {
        let tcp = Tcp::default();
        let name = "a@127.0.0.1".parse().expect("a node's name");
        let mut listener = tcp.bind(at(&name, Ipv4Addr::UNSPECIFIED.into())).expect("a port is free");
        let to = Destination { name: &name, port: listener.port, address: None };
        let (connected, accepted) = tokio::join!(tcp.connect_to(to), listener.accept());
        for stream in [connected.expect("it listens"), accepted.expect("it was accepted").0] {
            let algorithm = SockRef::from(&stream).tcp_congestion().expect("an option");
            assert!(algorithm.starts_with(b"reno"), "{algorithm:?}");
        }
    }

    #[tokio::test]
    async fn ipv6_alone_is_used_where_it_is_asked_for() {
        let tcp = Tcp { family: IpFamily::V6, ..Tcp::default() };
        let name = "a@::1".parse();
        let name: handshake::NodeName =
            name.unwrap_or_else(|_| "a@localhost".parse().expect("a node's name"));
        let mut listener = tcp.bind(at(&name, Ipv4Addr::UNSPECIFIED.into())).expect("a port is free");
        let to = Destination { name: &name, port: listener.port, address: None };
        let (connected, accepted) = tokio::join!(tcp.connect_to(to), listener.accept());
        assert!(connected.expect("it listens").peer_addr().expect("an address").is_ipv6());
        assert!(accepted.expect("it was accepted").1.is_ipv6());

        let v4 = "a@127.0.0.1".parse().expect("a node's name");
        let error = tcp.connect_to(Destination { name: &v4, ..to }).await.expect_err("no IPv6 address");
        assert_eq!(error.to_string(), "the host has no IPv6 address");
        let error = tcp.bind(at(&v4, Ipv4Addr::LOCALHOST.into())).map(|_| ()).expect_err("no IPv6 address");
        assert_eq!(error.to_string(), "127.0.0.1 is no IPv6 address");
    }
}
