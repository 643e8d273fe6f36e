//! The client: find a node, list nodes, register one's own (wire.md 1.1, 1.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::{BadPort, EpmdError};
use crate::message::{
    Alive2, Alive2Reply, DumpReply, KILL_NO, KILL_OK, NamesReply, NodeEntry, NodeType, Port2Reply, Request,
    STOP_STOPPED, checked_name,
};

/// EPMD's port unless told otherwise.
pub const EPMD_PORT_DEFAULT: u16 = 4369;

/// Longest reply about one node, in bytes: name and extra of at most 1020 each, and their 14 bytes of frame,
/// rounded up.
const NODE_REPLY_BYTES_MAX: usize = 4096;

/// Longest list of nodes, in bytes: a thousand nodes with the longest names.
const LIST_REPLY_BYTES_MAX: usize = 1 << 20;

/// The only version of the distribution protocol we speak, OTP's 23 and later.
const DIST_VERSION: u16 = 6;

/// EPMD's port: `value` is that of `ERL_EPMD_PORT`, if set.
pub fn port_from_env(value: Option<&str>) -> Result<u16, BadPort> {
    match value {
        None => Ok(EPMD_PORT_DEFAULT),
        Some(text) => match text.trim().parse() {
            Ok(port) if port != 0 => Ok(port),
            _ => Err(BadPort(text.to_owned())),
        },
    }
}

/// How to reach EPMDs. Each question is a connection of its own, closed when the call ends or is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpmdClient {
    /// The port of every EPMD asked, here and elsewhere. Default [`EPMD_PORT_DEFAULT`].
    pub port: u16,
    /// How long one question may take, from the host's name to the reply's end. Default 10 s, as in OTP.
    pub timeout: Duration,
    /// Whether IPv6 goes first: this host's own EPMD is asked at ::1, not 127.0.0.1, and another host's at its
    /// IPv6 addresses before the others. Default false. For nodes on `inet6_tcp` or `inet6_tls`.
    pub ipv6: bool,
}

/// What a node registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The node's name, without `@host`.
    pub name: String,
    /// Where the node listens.
    pub port: u16,
    /// True for a hidden node.
    pub hidden: bool,
}

/// A registration that holds: EPMD forgets the node as soon as this is dropped.
#[derive(Debug)]
pub struct Lease {
    stream: TcpStream,
    creation: u32,
}

/// What an EPMD says to [`EpmdClient::kill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillAnswer {
    /// It ends.
    Killed,
    /// It does not, for nodes are registered.
    LiveNodes,
}

/// What an EPMD says to [`EpmdClient::stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopAnswer {
    /// The node is no longer registered.
    Stopped,
    /// It never was.
    NotRegistered,
}

impl Default for EpmdClient {
    fn default() -> EpmdClient {
        EpmdClient::new(EPMD_PORT_DEFAULT)
    }
}

impl EpmdClient {
    /// A client for EPMDs on `port`.
    pub fn new(port: u16) -> EpmdClient {
        EpmdClient { port, timeout: Duration::from_secs(10), ipv6: false }
    }

    /// Where the node `alive@host` listens, by the EPMD on `host`; None if it is not registered there.
    pub async fn lookup(&self, host: &str, alive: &str) -> Result<Option<NodeEntry>, EpmdError> {
        Ok(self.locate(host, alive).await?.map(|(entry, _)| entry))
    }

    /// The same, and at which of the host's addresses its EPMD has said so. The node itself is there as a rule: OTP
    /// asks and connects at one address.
    pub async fn locate(&self, host: &str, alive: &str) -> Result<Option<(NodeEntry, IpAddr)>, EpmdError> {
        self.in_time(async {
            let request = port2(alive)?;
            let connection = self.dial_host(host).await?;
            let address = connection.address.ip();
            Ok(connection.port2_reply(&request).await?.map(|entry| (entry, address)))
        })
        .await
    }

    /// Where the node `alive` listens, by the EPMD at this address.
    pub async fn lookup_at(&self, address: IpAddr, alive: &str) -> Result<Option<NodeEntry>, EpmdError> {
        self.in_time(async {
            let request = port2(alive)?;
            let connection = self.dial(address).await?;
            connection.port2_reply(&request).await
        })
        .await
    }

    /// The names and ports of the nodes on `host`, newest first.
    pub async fn names(&self, host: &str) -> Result<Vec<(String, u16)>, EpmdError> {
        self.in_time(async {
            let connection = self.dial_host(host).await?;
            let address = connection.address;
            let reply = connection.ask(&Request::Names, LIST_REPLY_BYTES_MAX).await?;
            let reply = NamesReply::parse(&reply).map_err(|error| EpmdError::BadReply { address, error })?;
            Ok(reply.nodes)
        })
        .await
    }

    /// Everything the EPMD on this host knows, as text for people.
    pub async fn dump(&self) -> Result<String, EpmdError> {
        self.in_time(async {
            let connection = self.dial(self.loopback()).await?;
            let address = connection.address;
            let reply = connection.ask(&Request::Dump, LIST_REPLY_BYTES_MAX).await?;
            let reply = DumpReply::parse(&reply).map_err(|error| EpmdError::BadReply { address, error })?;
            Ok(String::from_utf8_lossy(&reply.text).replace('\0', ""))
        })
        .await
    }

    /// Registers a node with the EPMD on this host. Dropping the call registers nothing.
    pub async fn register(&self, registration: &Registration) -> Result<Lease, EpmdError> {
        self.register_at(self.loopback(), registration).await
    }

    /// Registers a node with the EPMD at this address of this host: `::1` for one that serves IPv6 alone.
    pub async fn register_at(
        &self,
        address: IpAddr,
        registration: &Registration,
    ) -> Result<Lease, EpmdError> {
        self.in_time(async {
            let request = registration.request()?;
            let connection = self.dial(address).await?;
            connection.alive2_reply(&request, registration).await
        })
        .await
    }

    /// Ends the EPMD on this host.
    pub async fn kill(&self) -> Result<KillAnswer, EpmdError> {
        self.in_time(async {
            let connection = self.dial(self.loopback()).await?;
            let address = connection.address;
            let reply = connection.ask(&Request::Kill, NODE_REPLY_BYTES_MAX).await?;
            match &reply[..] {
                KILL_OK => Ok(KillAnswer::Killed),
                KILL_NO => Ok(KillAnswer::LiveNodes),
                _ => Err(bad_reply(address, &reply)),
            }
        })
        .await
    }

    /// Unregisters the node `alive` from the EPMD on this host, which must have been started relaxed; else it
    /// [closes](EpmdError::Closed).
    pub async fn stop(&self, alive: &str) -> Result<StopAnswer, EpmdError> {
        self.in_time(async {
            let name = checked(alive)?;
            let connection = self.dial(self.loopback()).await?;
            let address = connection.address;
            let request = Request::Stop { name: Bytes::copy_from_slice(name.as_bytes()) };
            let reply = connection.ask(&request, NODE_REPLY_BYTES_MAX).await?;
            match &reply[..] {
                STOP_STOPPED => Ok(StopAnswer::Stopped),
                // OTP sends both words for an unknown name.
                b"NOEXIST" | b"NOEXISTSTOPPED" => Ok(StopAnswer::NotRegistered),
                _ => Err(bad_reply(address, &reply)),
            }
        })
        .await
    }

    async fn in_time<T>(&self, question: impl Future<Output = Result<T, EpmdError>>) -> Result<T, EpmdError> {
        timeout(self.timeout, question).await.unwrap_or(Err(EpmdError::Timeout(self.timeout)))
    }

    /// Where this host's own EPMD is asked.
    fn loopback(&self) -> IpAddr {
        match self.ipv6 {
            false => IpAddr::V4(Ipv4Addr::LOCALHOST),
            true => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    /// Connects to the first of the host's addresses that answers; IPv4 first, as that is where OTP's nodes
    /// are unless told otherwise.
    async fn dial_host(&self, host: &str) -> Result<Connection, EpmdError> {
        // Whose address nobody need be asked for (RFC 6761, 6.3).
        if host == "localhost"
            && let Ok(connection) = self.dial(self.loopback()).await
        {
            return Ok(connection);
        }
        let unknown = |source| EpmdError::UnknownHost { host: host.to_owned(), source };
        let found = lookup_host((host, self.port)).await.map_err(|source| unknown(Some(source)))?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        addresses.sort_by_key(|address| address.is_ipv6() != self.ipv6);
        let mut result = Err(unknown(None));
        for address in addresses {
            result = self.dial(address).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn dial(&self, address: IpAddr) -> Result<Connection, EpmdError> {
        let address = SocketAddr::new(address, self.port);
        match TcpStream::connect(address).await {
            Ok(stream) => Ok(Connection { stream, address }),
            Err(source) => Err(EpmdError::Unreachable { address, source }),
        }
    }
}

fn checked(name: &str) -> Result<&str, EpmdError> {
    checked_name(name.as_bytes()).ok_or_else(|| EpmdError::BadName { name: name.to_owned() })
}

fn port2(alive: &str) -> Result<Request, EpmdError> {
    Ok(Request::Port2 { name: checked(alive)?.to_owned() })
}

fn bad_reply(address: SocketAddr, reply: &[u8]) -> EpmdError {
    EpmdError::BadReply { address, error: crate::message::ReplyError { size: reply.len() } }
}

impl Registration {
    fn request(&self) -> Result<Request, EpmdError> {
        let name = checked(&self.name)?;
        Ok(Request::Alive2(Alive2 {
            port: self.port,
            node_type: if self.hidden { NodeType::Hidden } else { NodeType::Normal },
            protocol: 0,
            high: DIST_VERSION,
            low: DIST_VERSION,
            name: Bytes::copy_from_slice(name.as_bytes()),
            extra: Bytes::new(),
        }))
    }
}

impl Lease {
    /// The creation EPMD gave the node.
    pub fn creation(&self) -> u32 {
        self.creation
    }

    /// Returns once the registration is lost: EPMD ended, or broke the connection. Dropping the call loses
    /// nothing.
    pub async fn lost(&self) {
        let mut byte = [0];
        loop {
            if self.stream.readable().await.is_err() {
                return;
            }
            match self.stream.try_read(&mut byte) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                // EPMD says nothing after its reply, so a byte is no EPMD's. An end or an error is the end.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// A connection on which one question is asked.
struct Connection {
    stream: TcpStream,
    address: SocketAddr,
}

impl Connection {
    async fn port2_reply(self, request: &Request) -> Result<Option<NodeEntry>, EpmdError> {
        let address = self.address;
        let reply = self.ask(request, NODE_REPLY_BYTES_MAX).await?;
        match Port2Reply::parse(&reply).map_err(|error| EpmdError::BadReply { address, error })? {
            Port2Reply::Found(node) => Ok(Some(node)),
            Port2Reply::NotFound { .. } => Ok(None),
        }
    }

    async fn alive2_reply(
        mut self,
        request: &Request,
        registration: &Registration,
    ) -> Result<Lease, EpmdError> {
        let address = self.address;
        let broken = |source| broken(address, source);
        let bad = |error| EpmdError::BadReply { address, error };
        self.stream.write_all(&request.encode()).await.map_err(broken)?;
        let mut reply = [0; 6];
        self.stream.read_exact(&mut reply[..1]).await.map_err(broken)?;
        let size = Alive2Reply::size(reply[0]).map_err(bad)?;
        self.stream.read_exact(&mut reply[1..size]).await.map_err(broken)?;
        let reply = Alive2Reply::parse(&reply[..size]).map_err(bad)?;
        if reply.result() != 0 {
            // The result says nothing more; with a good name, that it is taken is what is left.
            return Err(EpmdError::NameTaken { address, name: registration.name.clone() });
        }
        Ok(Lease { stream: self.stream, creation: reply.creation() })
    }

    /// Sends the request and reads to the end: the server closes behind its reply.
    async fn ask(mut self, request: &Request, bytes_max: usize) -> Result<Bytes, EpmdError> {
        let address = self.address;
        self.stream.write_all(&request.encode()).await.map_err(|source| broken(address, source))?;
        let mut reply = BytesMut::new();
        while self.stream.read_buf(&mut reply).await.map_err(|source| broken(address, source))? > 0 {
            if reply.len() > bytes_max {
                return Err(EpmdError::ReplyTooLong { address, max: bytes_max });
            }
        }
        if reply.is_empty() { Err(EpmdError::Closed { address }) } else { Ok(reply.freeze()) }
    }
}

fn broken(address: SocketAddr, source: std::io::Error) -> EpmdError {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => EpmdError::Closed { address },
        _ => EpmdError::Broken { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_of_the_environment() {
        assert_eq!(port_from_env(None), Ok(4369));
        assert_eq!(port_from_env(Some("5000")), Ok(5000));
        for bad in ["", "0", "65536", "epmd"] {
            assert_eq!(port_from_env(Some(bad)), Err(BadPort(bad.into())));
        }
    }
}
