//! A peer of which a test has every byte in its hand.

use dist::{Encoded, Inbound, Received, Signal, encode_signal};
use handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, Creation, DistFlags, Established,
    HandshakeConfig, Initiator, InitiatorInput, InitiatorOutput, LocalIdentity, Verdict,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a hidden peer offers: `global` leaves it alone.
pub(crate) fn hidden() -> DistFlags {
    DistFlags::OFFERED.without(DistFlags::PUBLISHED)
}

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) established: Established,
    inbound: Inbound,
}

impl Wire {
    /// Connects to a node as the node of this name.
    pub(crate) async fn dial(port: u16, node: &str, own: &str, flags: DistFlags) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the node listens");
        let peer = node.parse().expect("a node name");
        let mut machine =
            Initiator::new(now(), identity(own, flags), peer, cookie(), 17, HandshakeConfig::default());
        loop {
            while let Some(output) = machine.poll_output() {
                match output {
                    InitiatorOutput::Send(bytes) => stream.write_all(&bytes).await.expect("the node reads"),
                    InitiatorOutput::AskAlive => {
                        machine.handle(now(), InitiatorInput::AliveAnswer(true)).expect("goes on");
                    }
                    InitiatorOutput::Established(established) => return Self::new(stream, established, own),
                }
            }
            let bytes = read(&mut stream).await;
            machine.handle(now(), InitiatorInput::Bytes(&bytes)).expect("the node agrees");
        }
    }

    /// Tells the next attempt of a node `nok`.
    pub(crate) async fn nok(listener: &TcpListener, own: &str) {
        let (mut stream, _) = listener.accept().await.expect("the node connects");
        let cookies = CookieBook::new(cookie());
        let mut machine =
            Acceptor::new(now(), identity(own, hidden()), cookies, 17, HandshakeConfig::default());
        loop {
            let bytes = read(&mut stream).await;
            machine.handle(now(), AcceptorInput::Bytes(&bytes)).expect("the node agrees");
            if let Some(AcceptorOutput::AskVerdict { .. }) = machine.poll_output() {
                machine.handle(now(), AcceptorInput::Verdict(Verdict::Nok)).expect_err("refused");
            }
            if let Some(AcceptorOutput::Send(bytes)) = machine.poll_output() {
                return stream.write_all(&bytes).await.expect("the node reads");
            }
        }
    }

    /// Takes the connection of a node as the node of this name.
    pub(crate) async fn accept(listener: &TcpListener, own: &str, flags: DistFlags) -> Self {
        let (mut stream, _) = listener.accept().await.expect("the node connects");
        let cookies = CookieBook::new(cookie());
        let mut machine = Acceptor::new(now(), identity(own, flags), cookies, 17, HandshakeConfig::default());
        loop {
            while let Some(output) = machine.poll_output() {
                match output {
                    AcceptorOutput::Send(bytes) => stream.write_all(&bytes).await.expect("the node reads"),
                    AcceptorOutput::AskVerdict { .. } => {
                        machine.handle(now(), AcceptorInput::Verdict(Verdict::Ok)).expect("goes on");
                    }
                    AcceptorOutput::Established(established) => return Self::new(stream, established, own),
                    other => panic!("unexpected: {other:?}"),
                }
            }
            let bytes = read(&mut stream).await;
            machine.handle(now(), AcceptorInput::Bytes(&bytes)).expect("the node agrees");
        }
    }

    fn new(stream: TcpStream, established: Established, own: &str) -> Self {
        let peer = established.peer.as_str().into();
        let mut inbound = Inbound::new(own.into(), peer, established.flags, dist::Limits::default());
        inbound.handle(&established.leftover);
        Self { stream, established, inbound }
    }

    pub(crate) async fn send(&mut self, signal: &Signal) {
        let mut out = bytes::BytesMut::new();
        let encoded = encode_signal(signal, self.established.flags, &mut out).expect("can be said");
        assert!(matches!(encoded, Encoded::Frame { .. }), "{encoded:?}");
        self.stream.write_all(&out).await.expect("the node reads");
    }

    /// The next signal; nothing once the node has closed.
    pub(crate) async fn receive(&mut self) -> Option<Signal> {
        loop {
            match self.inbound.poll_output().expect("the node keeps to the protocol") {
                Some(Received::Signal(signal)) => return Some(signal),
                Some(Received::Tick) => {}
                None => match self.stream.read_buf(self.inbound.read_buffer()).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                },
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let n = stream.read(&mut buffer).await.expect("the node speaks");
    assert_ne!(n, 0, "the node closed during the handshake");
    buffer.truncate(n);
    buffer
}

fn identity(name: &str, flags: DistFlags) -> LocalIdentity {
    LocalIdentity { name: name.parse().expect("a node name"), creation: Creation(9), flags }
}

fn cookie() -> Cookie {
    Cookie::new("test").expect("a cookie")
}

#[expect(clippy::disallowed_methods, reason = "a test is its own driver")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
