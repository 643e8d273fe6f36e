//! A node of a test that is bytes alone: it shakes hands with any flags, and says what no node would.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::{Bytes, BytesMut};
use dist::{Inbound, Limits, Received, Signal};
use etf::{Atom, DecodeLimits, Pid, Reference, Term};
use handshake::{
    Cookie, Creation, DistFlags, Established, HandshakeConfig, Initiator, InitiatorInput, InitiatorOutput,
    LocalIdentity,
};
use interop_tests::{
    Cluster, ErlNode,
    clock::{now, wait_for},
};

use crate::peer_support::SOON;

/// What a hidden node of ours offers: nobody's `nodes()` change, and `global` does not stir.
pub(crate) const HIDDEN: DistFlags = DistFlags::OFFERED.without(DistFlags::PUBLISHED);

/// The frames of such a connection have no header, so that a test reads and writes its operations as they are.
pub(crate) const PLAIN: DistFlags =
    HIDDEN.without(DistFlags::DIST_HDR_ATOM_CACHE).without(DistFlags::FRAGMENTS);

/// A node that knows the cookie.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) node: Atom,
    pub(crate) creation: u32,
    pub(crate) peer: Atom,
    pub(crate) established: Established,
    inbound: Inbound,
    /// What came and was not looked at, for those who look at frames themselves.
    frames: BytesMut,
}

/// A message as it is on a connection without headers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plain {
    pub(crate) op: i64,
    pub(crate) control: Vec<Term>,
    pub(crate) payload: Option<Term>,
}

impl Wire {
    /// Connects under a name of its own.
    pub(crate) fn connect(cluster: &Cluster, peer: &str, port: u16, flags: DistFlags) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self::connect_as(cluster, &format!("wire{number}@localhost"), number + 4, peer, port, flags)
    }

    /// Connects under this name.
    pub(crate) fn connect_as(
        cluster: &Cluster,
        node: &str,
        creation: u32,
        peer: &str,
        port: u16,
        flags: DistFlags,
    ) -> Self {
        let name = node.parse().expect("a node name");
        let local = LocalIdentity { name, creation: Creation(creation), flags };
        let mut stream = connect(port);
        let cookie = Cookie::new(cluster.cookie()).expect("a cookie");
        let to = peer.parse().expect("a node name");
        let mut machine = Initiator::new(now(), local, to, cookie, creation, HandshakeConfig::default());
        let established = loop {
            let mut established = None;
            while let Some(output) = machine.poll_output() {
                match output {
                    InitiatorOutput::Send(bytes) => stream.write_all(&bytes).expect("the peer reads"),
                    // An earlier connection under the name may not be gone yet.
                    InitiatorOutput::AskAlive => {
                        machine.handle(now(), InitiatorInput::AliveAnswer(true)).expect("the peer has asked")
                    }
                    InitiatorOutput::Established(done) => established = Some(done),
                }
            }
            if let Some(established) = established {
                break established;
            }
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).expect("the peer answers");
            let input =
                if length == 0 { InitiatorInput::Eof } else { InitiatorInput::Bytes(&buffer[..length]) };
            machine.handle(now(), input).expect("the peer does as it should");
        };
        let (own, peer) = (Atom::from(node), Atom::from(peer));
        let mut inbound = Inbound::new(own.clone(), peer.clone(), established.flags, Limits::default());
        inbound.handle(&established.leftover);
        let frames = BytesMut::from(&established.leftover[..]);
        Self { stream, node: own, creation, peer, established, inbound, frames }
    }

    /// Connects to a stock node.
    pub(crate) fn to_erl(cluster: &Cluster, erl: &mut ErlNode, flags: DistFlags) -> Self {
        let alive = erl.node().split('@').next().expect("a name has a first part").to_owned();
        let port = erl.eval(&format!("element(2, erl_epmd:port_please(\"{alive}\", \"localhost\"))"));
        Self::connect(cluster, erl.node(), port.parse().expect("a port"), flags)
    }

    /// A process of ours.
    pub(crate) fn pid(&self, number: u32) -> Pid {
        Pid::new(self.node.clone(), number, 0, self.creation)
    }

    /// A process of the peer, or of another life of it.
    pub(crate) fn their_pid(&self, number: u32, creation: u32) -> Pid {
        Pid::new(self.peer.clone(), number, 0, creation)
    }

    /// A reference of ours.
    pub(crate) fn reference(&self, number: u32) -> Reference {
        Reference::new(self.node.clone(), self.creation, &[number, 1, 1]).expect("three words")
    }

    /// The signal as a frame, by the operation that the agreed flags allow.
    pub(crate) fn encode(&self, signal: &Signal) -> Vec<u8> {
        let mut out = BytesMut::new();
        let encoded = dist::encode_signal(signal, self.established.flags, &mut out).expect("a short message");
        assert!(matches!(encoded, dist::Encoded::Frame { .. }), "{signal:?}: {encoded:?}");
        out.to_vec()
    }

    pub(crate) fn send(&mut self, signal: &Signal) {
        let frame = self.encode(signal);
        self.send_bytes(&frame);
    }

    /// A message to a registered name.
    pub(crate) fn send_to(&mut self, name: &str, from: &Pid, message: Term) {
        let (from, to) = (from.clone(), Atom::from(name));
        self.send(&Signal::RegSend { from, to, message, token: None, priority: false });
    }

    /// Bytes as they are. That the peer has closed is not seen here but in what it says.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// A frame with this body.
    pub(crate) fn send_body(&mut self, body: &[u8]) {
        self.send_bytes(&framed(body));
    }

    /// A control tuple, and the payload behind it, in the form that was agreed.
    pub(crate) fn send_control(&mut self, control: &Term, payload: Option<&Term>) {
        let body = if self.established.flags == self.established.flags.without(HEADERS) {
            let mut body = vec![112];
            body.extend(etf::encode(control));
            body.extend(payload.map(etf::encode).unwrap_or_default());
            body
        } else {
            let mut body = vec![131, 68, 0];
            body.extend(bare(control));
            body.extend(payload.map(bare).unwrap_or_default());
            body
        };
        self.send_body(&body);
    }

    /// The next signal. Where the peer closes, it is said with the reason.
    pub(crate) fn try_recv(&mut self) -> io::Result<Signal> {
        loop {
            match self.inbound.poll_output() {
                Ok(Some(Received::Signal(signal))) => return Ok(signal),
                Ok(Some(Received::Tick)) => {}
                Ok(None) => {
                    let mut buffer = vec![0; 1 << 16];
                    match self.stream.read(&mut buffer)? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        length => self.inbound.handle(&buffer[..length]),
                    }
                }
                Err(error) => panic!("{} sent what is no signal: {error}", self.peer),
            }
        }
    }

    /// The next signal.
    pub(crate) fn recv(&mut self) -> Signal {
        self.try_recv().unwrap_or_else(|error| panic!("nothing comes of {}: {error}", self.peer))
    }

    /// The next message, whatever carries it, that is for this process.
    pub(crate) fn recv_message(&mut self, pid: &Pid) -> Term {
        loop {
            if let Signal::Send { to, message, .. } = self.recv()
                && to == *pid
            {
                return message;
            }
        }
    }

    /// The next operation of a connection without headers, past ticks. Not to be mixed with [`Wire::recv`].
    pub(crate) fn recv_plain(&mut self) -> Plain {
        loop {
            let body = self.recv_body();
            if body.is_empty() {
                continue;
            }
            assert_eq!(body[0], 112, "a body without a header");
            let rest = body.slice(1..);
            let limits = DecodeLimits::default();
            let (control, end) = etf::decode_prefix(&rest, &limits).expect("a control message");
            let control = control.as_tuple().expect("a tuple").to_vec();
            let op = control[0].as_int().expect("its number");
            let payload =
                (end < rest.len()).then(|| etf::decode(&rest.slice(end..), &limits).expect("a payload"));
            return Plain { op, control, payload };
        }
    }

    /// The next operation that is none of the services' affairs.
    pub(crate) fn recv_plain_of(&mut self, ops: &[i64]) -> Plain {
        loop {
            let plain = self.recv_plain();
            if ops.contains(&plain.op) {
                return plain;
            }
        }
    }

    /// The body of the next frame, empty for a tick. Not to be mixed with [`Wire::recv`].
    pub(crate) fn recv_body(&mut self) -> Bytes {
        self.try_recv_body()
            .expect("the peer says something")
            .unwrap_or_else(|| panic!("{} closes the connection", self.peer))
    }

    /// The same; nothing where the peer closes.
    pub(crate) fn try_recv_body(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(length) = self.frames.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.frames.len() >= 4 + length {
                    let mut frame = self.frames.split_to(4 + length);
                    return Ok(Some(frame.split_off(4).freeze()));
                }
            }
            let mut buffer = vec![0; 1 << 16];
            match self.stream.read(&mut buffer)? {
                0 => return Ok(None),
                length => self.frames.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// Whether the peer closes by itself, within [`SOON`] twice.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return true,
                Err(_) => return false,
            }
        }
    }

    /// Whether the peer answers on this connection still.
    pub(crate) fn is_open(&mut self) -> bool {
        let from = self.pid(1);
        let word = Term::tuple([Term::from(&from), Term::atom("still_there")]);
        self.send_to("echo", &from, word);
        let answer = Term::tuple([Term::atom("echo"), Term::atom("still_there")]);
        loop {
            match self.try_recv() {
                Ok(Signal::Send { message, .. }) if message == answer => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

/// A flag of either makes frames have headers.
pub(crate) const HEADERS: DistFlags = DistFlags::DIST_HDR_ATOM_CACHE.with(DistFlags::FRAGMENTS);

/// A body with its length in front.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).expect("a short body").to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// The bytes of a term as it is behind a header: without the version in front.
pub(crate) fn bare(term: &Term) -> Vec<u8> {
    etf::encode(term)[1..].to_vec()
}

/// Connects to a port of this machine.
pub(crate) fn connect(port: u16) -> TcpStream {
    // Its limit of strangers at once may be reached: those before us are being dropped.
    let stream = wait_for(SOON * 2, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    let stream = stream.unwrap_or_else(|| panic!("nobody listens at port {port} any more"));
    stream.set_read_timeout(Some(SOON * 2)).expect("a socket has the option");
    stream
}

/// Says that nothing more comes, and waits until the other end has closed too: it has read all that it wanted.
pub(crate) fn finish(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}
