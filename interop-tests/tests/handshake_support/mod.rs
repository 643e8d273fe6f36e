//! A node that says bytes of the handshake, right and wrong ones, so that ours and those of OTP can be told the same.
//! It writes and reads them by itself, from what wire.md 2 says, and only the digest is our code's.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use handshake::Cookie;
use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode, clock::wait_for};

/// Longest wait for what should come at once.
pub const SOON: Duration = Duration::from_secs(10);

/// What every release to test against demands of a peer, and no more: frames then have no header, and messages go by
/// the oldest operations.
pub const PLAIN: u64 = 0x4_0307_0f94;

/// The offer of OTP 29, visible.
pub const FULL: u64 = 0x6d_07df_7fbd;

pub const PUBLISHED: u64 = 1;
pub const NAME_ME: u64 = 1 << 33;
pub const MANDATORY_25_DIGEST: u64 = 1 << 26;
pub const HANDSHAKE_23: u64 = 1 << 24;

/// What is told the bytes: a started `b@localhost`, of a release or ours, with a process `echo` that answers
/// `{Pid, Term}` with `{echo, Term}` to the pid.
pub struct Subject {
    pub what: String,
    /// None for ours.
    pub release: Option<u32>,
    pub node: Running,
    pub cluster: Cluster,
    pub port: u16,
}

pub enum Running {
    Erl(ErlNode),
    Ours(RustNode),
}

/// Runs the test with `crabnode peer`, and with an `erl` of every release, which say whether the test is right.
pub fn each_subject(test: impl Fn(&mut Subject) + Sync) {
    each_subject_with("[].", test);
}

/// The same, with this `sys.config`.
pub fn each_subject_with(config: &str, test: impl Fn(&mut Subject) + Sync) {
    let mut kinds: Vec<Option<Otp>> = Otp::available().into_iter().map(Some).collect();
    kinds.push(None);
    let failed: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = kinds
            .iter()
            .map(|kind| {
                let what = kind.as_ref().map_or("crabnode".into(), |otp| format!("OTP {}", otp.number()));
                let test = &test;
                let run = move || test(&mut Subject::start(kind.as_ref(), config));
                let thread = thread::Builder::new().name(what.clone());
                (what, thread.spawn_scoped(scope, run).expect("a thread can be started"))
            })
            .collect();
        running.into_iter().filter_map(|(what, thread)| thread.join().err().map(|_| what)).collect()
    });
    assert!(failed.is_empty(), "failed with {failed:?}");
}

impl Subject {
    fn start(otp: Option<&Otp>, config: &str) -> Self {
        let cluster = Cluster::new(otp.unwrap_or(&Otp::newest()));
        let config = Some(cluster.write("subject.config", config));
        let spec = NodeSpec { config, ..NodeSpec::default() };
        let Some(otp) = otp else {
            let peer = cluster.peer_with("b", &spec);
            let port = peer.port();
            return Self { what: "crabnode".into(), release: None, port, node: Running::Ours(peer), cluster };
        };
        let mut erl = cluster.erl_with(otp, "b", &spec);
        erl.eval(
            "Echo = fun Loop() -> receive {P, T} -> P ! {echo, T}, Loop() end end,
             register(echo, spawn(Echo))",
        );
        let port = erl.eval("element(2, erl_epmd:port_please(\"b\", \"localhost\"))");
        Self {
            what: format!("OTP {}", otp.number()),
            release: Some(otp.number()),
            port: port.parse().expect("a port"),
            node: Running::Erl(erl),
            cluster,
        }
    }

    /// The flags without which it lets nobody in.
    pub fn mandatory(&self) -> u64 {
        match self.release {
            None | Some(..=24) => 0x5_0184,
            Some(25) => 0x107_0f94,
            Some(26..) => PLAIN,
        }
    }

    pub fn dial(&self) -> Raw {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        Raw::new(stream.unwrap_or_else(|error| panic!("{}: {error}", self.what)))
    }

    /// Dials and says this name, as `ALIVE@localhost`.
    pub fn say_name(&self, alive: &str, flags: u64) -> Raw {
        let mut raw = self.dial();
        raw.send(&name(flags, 7, &at_localhost(alive)));
        raw
    }

    /// Dials and connects under this name.
    pub fn join(&self, alive: &str, flags: u64) -> Raw {
        let mut raw = self.say_name(alive, flags);
        assert_eq!(raw.recv_text(), "sok", "{}", self.what);
        self.prove(&mut raw);
        raw
    }

    /// From the challenge of the subject to its ack.
    pub fn prove(&self, raw: &mut Raw) {
        let challenge = raw.recv_challenge();
        raw.send(&reply(self.cookie().digest(challenge.challenge), OUR_CHALLENGE));
        assert_eq!(raw.recv(), Some(ack(self.cookie().digest(OUR_CHALLENGE))), "{}", self.what);
    }

    pub fn cookie(&self) -> Cookie {
        Cookie::new(self.cluster.cookie()).expect("a cookie")
    }

    /// Has it send a message to a process of this node, for which it must connect to it; `by` is a connection that
    /// it has, made with [`PLAIN`].
    pub fn reach_out(&self, by: &mut Raw, alive: &str) {
        by.send_frame(&to_echo(&at_localhost(alive), 1));
    }
}

/// The challenge of our side, wherever a test does not look at it closer: its decimal form is of 10 digits.
pub const OUR_CHALLENGE: u32 = 0xfedc_ba98;

pub fn at_localhost(alive: &str) -> String {
    format!("{alive}@localhost")
}

/// `N flags creation nlen name`.
pub fn name(flags: u64, creation: u32, name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).expect("a name is short");
    let parts: [&[u8]; 5] =
        [b"N", &flags.to_be_bytes(), &creation.to_be_bytes(), &length.to_be_bytes(), name.as_bytes()];
    parts.concat()
}

/// `N flags challenge creation nlen name`.
pub fn challenge(flags: u64, challenge: u32, creation: u32, name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).expect("a name is short");
    let parts: [&[u8]; 6] = [
        b"N",
        &flags.to_be_bytes(),
        &challenge.to_be_bytes(),
        &creation.to_be_bytes(),
        &length.to_be_bytes(),
        name.as_bytes(),
    ];
    parts.concat()
}

/// `n 5 flags name`, as OTP 23 says it to a node whose version it does not know.
pub fn old_name(flags: u64, name: &str) -> Vec<u8> {
    let low = flags as u32;
    [b"n\0\x05", &low.to_be_bytes()[..], name.as_bytes()].concat()
}

/// `c flags_high creation`.
pub fn complement(flags: u64, creation: u32) -> Vec<u8> {
    let high = (flags >> 32) as u32;
    [b"c", &high.to_be_bytes()[..], &creation.to_be_bytes()].concat()
}

/// `r challenge digest`.
pub fn reply(digest: [u8; 16], challenge: u32) -> Vec<u8> {
    [b"r", &challenge.to_be_bytes()[..], &digest].concat()
}

/// `a digest`.
pub fn ack(digest: [u8; 16]) -> Vec<u8> {
    [b"a", &digest[..]].concat()
}

/// A message as it is framed in the handshake.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message is short");
    [&length.to_be_bytes(), message].concat()
}

/// The same after the handshake.
pub fn framed_4(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message is short");
    [&length.to_be_bytes(), message].concat()
}

/// The frame, without its length, of `{Pid, n}` to the process `echo`; the pid is of this node.
pub fn to_echo(node: &str, n: u8) -> Vec<u8> {
    let node_length = u8::try_from(node.len()).expect("a name is short");
    // Number 9, serial 0, creation 7.
    let pid = [b"\x58\x77", &[node_length][..], node.as_bytes(), b"\0\0\0\x09\0\0\0\0\0\0\0\x07"].concat();
    let control = [b"\x68\x04\x61\x06", &pid[..], b"\x77\0\x77\x04echo"].concat();
    [b"p\x83", &control[..], b"\x83\x68\x02", &pid, b"\x61", &[n]].concat()
}

/// A connection of which each byte is said and seen.
pub struct Raw {
    stream: TcpStream,
}

/// The other side's challenge message, which is all there was in its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub flags: u64,
    pub challenge: u32,
    pub creation: u32,
    pub name: String,
}

impl Raw {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).expect("a socket has the option");
        stream.set_nodelay(true).expect("a socket has the option");
        Self { stream }
    }

    pub fn send(&mut self, message: &[u8]) {
        self.send_bytes(&framed(message));
    }

    pub fn send_frame(&mut self, message: &[u8]) {
        self.send_bytes(&framed_4(message));
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the other side reads");
    }

    /// The next message of a handshake; none where the other side has closed.
    pub fn recv(&mut self) -> Option<Vec<u8>> {
        let length = self.read(2)?;
        self.read(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }

    /// The same as text: of a status that is all there is.
    pub fn recv_text(&mut self) -> String {
        let message = self.recv().expect("it was to answer, and has closed");
        String::from_utf8_lossy(&message).into_owned()
    }

    pub fn recv_challenge(&mut self) -> Challenge {
        let message = self.recv().expect("it was to send a challenge, and has closed");
        let (flags, rest) = numbers(&message, b'N');
        let (challenge, rest) = rest.split_first_chunk().expect("a challenge");
        let (creation, rest) = rest.split_first_chunk().expect("a creation");
        let (length, name) = rest.split_first_chunk().expect("a length");
        assert_eq!(usize::from(u16::from_be_bytes(*length)), name.len(), "{}", message.escape_ascii());
        Challenge {
            flags,
            challenge: u32::from_be_bytes(*challenge),
            creation: u32::from_be_bytes(*creation),
            name: String::from_utf8_lossy(name).into_owned(),
        }
    }

    /// The next frame after the handshake that is no tick.
    pub fn recv_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let length = self.read(4)?;
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            if length > 0 {
                return self.read(length as usize);
            }
        }
    }

    /// Waits for `{echo, n}`, to whichever of our processes.
    pub fn echoes(&mut self, n: u8) {
        let wanted = [b"\x83\x68\x02\x77\x04echo\x61", &[n][..]].concat();
        while let Some(frame) = self.recv_frame() {
            if frame.ends_with(&wanted) {
                return;
            }
        }
        panic!("the other side has closed before it echoed {n}");
    }

    /// The other side closes, and says nothing more.
    pub fn is_closed(&mut self) {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => {}
            Ok(_) => panic!("it was to close, and says {byte:?}"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("it was to close: {error}"),
        }
    }

    /// The other side says nothing for this long, and does not close.
    pub fn is_silent(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a socket has the option");
        let read = self.stream.read(&mut [0]);
        assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        self.stream.set_read_timeout(Some(SOON)).expect("a socket has the option");
    }

    /// So many bytes; none where the other side has closed before the first.
    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                None
            }
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

/// The flags behind the tag, and what follows.
pub fn numbers(message: &[u8], tag: u8) -> (u64, &[u8]) {
    assert_eq!(message.first(), Some(&tag), "{}", message.escape_ascii());
    let (flags, rest) = message[1..].split_first_chunk().expect("flags");
    (u64::from_be_bytes(*flags), rest)
}

/// A listener that EPMD knows as several nodes of version 6.
pub struct Fakes {
    listener: TcpListener,
    leases: Vec<TcpStream>,
}

impl Fakes {
    pub fn register(cluster: &Cluster, names: &[String]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket has the mode");
        let port = listener.local_addr().expect("bound").port();
        let lease = |name: &String| {
            let request =
                [b"x", &port.to_be_bytes()[..], b"H\0\0\x06\0\x05", &framed(name.as_bytes()), &framed(b"")];
            let mut epmd = TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.epmd_port())).expect("an EPMD");
            epmd.write_all(&framed(&request.concat())).expect("it reads");
            let mut reply = [0; 2];
            epmd.read_exact(&mut reply).expect("it answers");
            assert_eq!(reply, *b"v\0", "{name}");
            epmd
        };
        Self { listener, leases: names.iter().map(lease).collect() }
    }

    /// The next connection, and its name message, of the form that a peer of version 6 is sent.
    pub fn accept(&self) -> (Raw, Vec<u8>) {
        let accepted = wait_for(SOON, || match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot accept: {error}"),
        });
        let stream = accepted.expect("somebody comes");
        stream.set_nonblocking(false).expect("a socket has the mode");
        let mut raw = Raw::new(stream);
        let name = raw.recv().expect("it says its name");
        (raw, name)
    }
}
