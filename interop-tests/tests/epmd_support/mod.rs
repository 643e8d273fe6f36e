//! A client of EPMDs that says bytes, right and wrong ones, so that ours and OTP's can be told the same.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use interop_tests::{EpmdProcess, Otp, clock::wait_for};
use socket2::{Domain, Socket, Type};

/// Longest wait for what should come at once.
pub const SOON: Duration = Duration::from_secs(20);

/// What ours is called in messages.
pub const OURS: &str = "crabnode epmd";

/// A running EPMD, and which one.
pub struct Epmd {
    pub what: &'static str,
    pub process: EpmdProcess,
}

/// Runs the test with ours, and with OTP's, which says whether the test is right.
pub fn each_epmd(test: impl Fn(&mut Epmd)) {
    each_epmd_with(&[], test);
}

/// The same, started with these options.
pub fn each_epmd_with(options: &[&str], test: impl Fn(&mut Epmd)) {
    let stock = EpmdProcess::stock_with(&Otp::newest(), options);
    test(&mut Epmd { what: "OTP's epmd", process: stock });
    test(&mut Epmd { what: OURS, process: EpmdProcess::crabnode_with(options) });
}

/// A request: its length and its body.
pub fn request(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a request is short");
    [&length.to_be_bytes(), body].concat()
}

/// The body of a registration: of a visible node of version 6, at port 4711.
pub fn alive(name: &[u8], extra: &[u8]) -> Vec<u8> {
    alive_of(6, name, extra)
}

/// The same of a node of this version.
pub fn alive_of(version: u8, name: &[u8], extra: &[u8]) -> Vec<u8> {
    // A name and extra have their length in front as a request has.
    [&b"x\x12\x67M\0\0"[..], &[version], b"\0\x05", &request(name), &request(extra)].concat()
}

/// What a refusal is: result 1, creation 99.
pub const REFUSED: &[u8] = b"v\x01\0\0\0\x63";

impl Epmd {
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    pub fn dial(&self) -> TcpStream {
        self.dial_at(Ipv4Addr::LOCALHOST.into())
    }

    pub fn dial_at(&self, address: IpAddr) -> TcpStream {
        let address = SocketAddr::new(address, self.port());
        let stream = TcpStream::connect_timeout(&address, SOON);
        with_limits(stream.unwrap_or_else(|error| panic!("{}: {error}", self.what)))
    }

    /// A connection to 127.0.0.1 that comes from the address of this host in its network, and so not from
    /// loopback, nor from the address it goes to.
    pub fn dial_as_stranger(&self) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(host_address(), 0).into()).expect("an address of this host");
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port())).into()).expect("connects");
        with_limits(socket.into())
    }

    /// What comes back for these bytes until the server closes.
    pub fn reply_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.dial();
        // It may close before it has taken them all.
        let _ = stream.write_all(bytes);
        rest(&mut stream)
    }

    /// What comes back for this request until the server closes.
    pub fn ask(&self, body: &[u8]) -> Vec<u8> {
        self.reply_to(&request(body))
    }

    /// Sends a registration; the connection and the reply.
    pub fn register(&self, body: &[u8]) -> (TcpStream, Vec<u8>) {
        let mut stream = self.dial();
        stream.write_all(&request(body)).expect("sends");
        let reply = registration_reply(&mut stream);
        (stream, reply)
    }

    /// Registers a name, which must be free; the lease and the creation.
    pub fn lease(&self, name: &str) -> (TcpStream, u32) {
        let (stream, reply) = self.register(&alive(name.as_bytes(), b""));
        match reply[..] {
            [b'v', 0, a, b, c, d] => (stream, u32::from_be_bytes([a, b, c, d])),
            _ => panic!("{}: {name}: {}", self.what, reply.escape_ascii()),
        }
    }

    /// What NAMES says behind the port.
    pub fn names(&self) -> String {
        let reply = self.ask(b"n");
        assert_eq!(reply[..4], u32::from(self.port()).to_be_bytes(), "{}", self.what);
        String::from_utf8(reply[4..].to_vec()).expect("names are UTF-8")
    }

    /// Waits until these names are registered, newest first, all at port 4711.
    pub fn has(&self, names: &[&str]) {
        let wanted: String = names.iter().map(|name| format!("name {name} at port 4711\n")).collect();
        let mut last = String::new();
        let reached = wait_for(SOON, || {
            last = self.names();
            (last == wanted).then_some(())
        });
        assert!(reached.is_some(), "{}: {last:?}, not {wanted:?}", self.what);
    }
}

/// The reply to a registration.
pub fn registration_reply(stream: &mut TcpStream) -> Vec<u8> {
    let mut reply = vec![0];
    stream.read_exact(&mut reply).expect("a reply");
    reply.resize(if reply[0] == b'v' { 6 } else { 4 }, 0);
    stream.read_exact(&mut reply[1..]).expect("a whole reply");
    reply
}

/// What comes until the server closes.
///
/// # Panics
/// Where it does not close.
pub fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        // It had not read all that was sent.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("not closed, after {}: {error}", bytes.escape_ascii()),
    }
}

/// Whether the connection is open, and nothing comes on it for a moment.
pub fn stays_open(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket has the option");
    let read = stream.read(&mut [0]);
    stream.set_read_timeout(Some(SOON)).expect("a socket has the option");
    read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// Closes a connection by a reset.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket has the option");
}

fn with_limits(stream: TcpStream) -> TcpStream {
    let set = || -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.set_write_timeout(Some(SOON))
    };
    set().expect("a socket has the options");
    stream
}

/// The address of this host that is not loopback. Nothing is sent to find it.
fn host_address() -> IpAddr {
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    let address = found.map(|address| address.ip());
    match address {
        Ok(address) if !address.is_loopback() => address,
        _ => panic!(
            "this test needs an IPv4 address that is not loopback, and this host has none: {address:?}"
        ),
    }
}

pub const V6_LOOPBACK: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
