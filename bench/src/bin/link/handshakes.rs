//! Handshakes of nodes that are no more than a connection.

#![expect(clippy::disallowed_methods, reason = "a driver of handshakes asks the clock")]

use std::{net::Ipv4Addr, time::Instant};

use handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, Creation, DistFlags, Established,
    HandshakeConfig, Initiator, InitiatorInput, InitiatorOutput, LocalIdentity, NodeName, Verdict,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::COOKIE;

/// The creation of every such node.
pub(crate) const CREATION: u32 = 4;

/// Any number: nobody is here to guess it.
const CHALLENGE: u32 = 17;

/// Connects a hidden node to another.
pub(crate) async fn dial(own: &str, peer: NodeName, port: u16) -> (TcpStream, Established) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it listens");
    stream.set_nodelay(true).expect("an option");
    let config = HandshakeConfig::default();
    let mut machine = Initiator::new(Instant::now(), identity(own), peer, cookie(), CHALLENGE, config);
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                InitiatorOutput::Send(bytes) => stream.write_all(&bytes).await.expect("it reads"),
                InitiatorOutput::AskAlive => {
                    machine.handle(Instant::now(), InitiatorInput::AliveAnswer(true)).expect("an answer");
                }
                InitiatorOutput::Established(established) => return (stream, established),
            }
        }
        let mut buffer = [0; 1024];
        let size = stream.read(&mut buffer).await.expect("it answers");
        assert!(size > 0, "it refused the link");
        machine.handle(Instant::now(), InitiatorInput::Bytes(&buffer[..size])).expect("a handshake");
    }
}

/// Takes a connection for a hidden node.
pub(crate) async fn accept(own: &str, stream: &mut TcpStream) -> Established {
    stream.set_nodelay(true).expect("an option");
    let (cookies, config) = (CookieBook::new(cookie()), HandshakeConfig::default());
    let mut machine = Acceptor::new(Instant::now(), identity(own), cookies, CHALLENGE, config);
    loop {
        while let Some(output) = machine.poll_output() {
            let answer = match output {
                AcceptorOutput::Send(bytes) => {
                    stream.write_all(&bytes).await.expect("it reads");
                    continue;
                }
                AcceptorOutput::AskVerdict { .. } => AcceptorInput::Verdict(Verdict::Ok),
                AcceptorOutput::AskName { .. } => AcceptorInput::Verdict(Verdict::NotAllowed),
                AcceptorOutput::CloseOldLink => AcceptorInput::OldLinkDown,
                AcceptorOutput::Established(established) => return established,
            };
            machine.handle(Instant::now(), answer).expect("an answer");
        }
        let mut buffer = [0; 1024];
        let size = stream.read(&mut buffer).await.expect("it says more");
        assert!(size > 0, "it gave up");
        machine.handle(Instant::now(), AcceptorInput::Bytes(&buffer[..size])).expect("a handshake");
    }
}

fn identity(own: &str) -> LocalIdentity {
    LocalIdentity {
        name: own.parse().expect("a node's name"),
        creation: Creation(CREATION),
        flags: DistFlags::OFFERED.without(DistFlags::PUBLISHED),
    }
}

fn cookie() -> Cookie {
    Cookie::new(COOKIE).expect("a cookie")
}
