//! A link and nothing else: what the other side can do at most.
//!
//! `small TARGET COUNT` writes the bytes of one message over and over; `connect TARGET COUNT` looks it up and does the
//! handshake, and has no node to tell of it. As a target it counts frames, and decodes those that are not the same as the
//! one before.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use bytes::Buf;
use dist::{Encoded, Inbound, Limits, Outbound, Received, Signal};
use epmd::{EpmdClient, Registration};
use etf::{Atom, Pid, Segments, Term, term, tuple};
use handshake::{DistFlags, Established};
use tokio::{
    net::TcpListener,
    task::{JoinSet, block_in_place},
};

use crate::{
    asked,
    handshakes::{self, CREATION},
};

/// How many bytes are written or read at once.
const CHUNK_BYTES: usize = 256 << 10;

pub(crate) async fn run(own: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let port = std::env::var("ERL_EPMD_PORT").ok();
    let epmd = EpmdClient::new(epmd::port_from_env(port.as_deref()).expect("a port"));
    let (alive, _) = own.split_once('@').expect("NAME@HOST");
    let registration = Registration {
        name: alive.to_owned(),
        port: listener.local_addr().expect("it listens").port(),
        hidden: true,
    };
    let _lease = epmd.register(&registration).await.expect("nobody has the name");
    let mut accepting = JoinSet::new();
    accepting.spawn(serve(own.to_owned(), listener));
    println!("ready");
    let mut links: HashMap<String, Link> = HashMap::new();
    while let Some((method, target, count)) = asked().await {
        if method == "connect" {
            println!("{}", connect(own, &epmd, &target, count).await.as_nanos());
            continue;
        }
        assert_eq!(method, "small", "the other method");
        if !links.contains_key(&target) {
            let (stream, established) = dial(own, &epmd, &target).await;
            links.insert(target.clone(), Link::new(own, stream, &established));
        }
        let link = links.get_mut(&target).expect("it is there by now");
        println!("{}", block_in_place(|| link.blast(count)).as_nanos());
    }
}

async fn dial(own: &str, epmd: &EpmdClient, target: &str) -> (tokio::net::TcpStream, Established) {
    let (alive, _) = target.split_once('@').expect("NAME@HOST");
    let found = epmd.lookup("localhost", alive).await.expect("it answers").expect("it is registered");
    handshakes::dial(own, target.parse().expect("a node's name"), found.port).await
}

/// From nothing to a connection, so many times.
async fn connect(own: &str, epmd: &EpmdClient, target: &str, count: u64) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        let link = dial(own, epmd, target).await;
        took += start.elapsed();
        drop(link);
        // The other side needs a moment to see it.
        tokio::time::sleep(Duration::from_millis(6)).await;
    }
    took
}

async fn serve(own: String, listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let established = handshakes::accept(&own, &mut stream).await;
        let link = Link::new(&own, stream, &established);
        thread::spawn(move || link.count());
    }
}

struct Link {
    stream: TcpStream,
    own: Pid,
    inbound: Inbound,
    flags: DistFlags,
    outbound: Outbound,
}

impl Link {
    fn new(own: &str, stream: tokio::net::TcpStream, established: &Established) -> Self {
        let stream = stream.into_std().expect("it is nobody else's");
        stream.set_nonblocking(false).expect("an option");
        let (own, peer) = (Atom::from(own), Atom::from(established.peer.as_str()));
        let mut inbound = Inbound::new(own.clone(), peer, established.flags, Limits::default());
        inbound.handle(&established.leftover);
        let flags = established.flags;
        Self { stream, own: Pid::new(own, 7, 0, CREATION), inbound, flags, outbound: Outbound::new(flags) }
    }

    /// Writes so many messages, and waits until all have come.
    fn blast(&mut self, count: u64) -> Duration {
        let small = term!({small, 12345, <<"text">>});
        let start = Instant::now();
        // The first message brings its atoms, the others refer to them.
        let (first, next) = (self.frame("sink", &small), self.frame("sink", &small));
        let chunk = next.repeat(CHUNK_BYTES / next.len());
        self.stream.write_all(&first).expect("it reads");
        let mut left = next.len() * usize::try_from(count - 1).expect("few enough");
        while left > 0 {
            let now = left.min(chunk.len());
            self.stream.write_all(&chunk[..now]).expect("it reads");
            left -= now;
        }
        let sync = self.frame("sink", &tuple!(self.own.clone(), atom "sync"));
        self.stream.write_all(&sync).expect("it reads");
        loop {
            while let Some(received) = self.inbound.poll_output().expect("it keeps the rules") {
                if let Received::Signal(Signal::Send { message, .. }) = received {
                    assert_eq!(message, tuple!(atom "sink", count));
                    return start.elapsed();
                }
            }
            let mut buffer = [0; 1024];
            let size = self.stream.read(&mut buffer).expect("it answers");
            assert!(size > 0, "it keeps the link");
            self.inbound.handle(&buffer[..size]);
        }
    }

    fn frame(&mut self, to: &str, message: &Term) -> Vec<u8> {
        let (from, to, message) = (self.own.clone(), to.into(), message.clone());
        self.bytes(&Signal::RegSend { from, to, message, token: None, priority: false })
    }

    fn bytes(&mut self, signal: &Signal) -> Vec<u8> {
        let encoded = self.outbound.handle(signal).expect("it can be sent");
        assert!(matches!(encoded, Encoded::Frame { .. }), "a message is for every peer");
        let mut out = Segments::new();
        self.outbound.poll_output(&mut out);
        out.copy_to_bytes(out.remaining()).to_vec()
    }

    /// Counts messages, and answers who asks how many there were, until the link ends.
    fn count(mut self) {
        assert!(
            self.flags.contains(DistFlags::DIST_HDR_ATOM_CACHE),
            "frames of one message are the same then"
        );
        let (mut buffer, mut filled) = (vec![0; CHUNK_BYTES], 0);
        let (mut before, mut received) = (Vec::new(), 0_u64);
        while let Ok(size @ 1..) = self.stream.read(&mut buffer[filled..]) {
            filled += size;
            let mut at = 0;
            while let Some(length) = buffer[at..filled].first_chunk() {
                let end = at + 4 + u32::from_be_bytes(*length) as usize;
                if end > filled {
                    break;
                }
                let frame = &buffer[at..end];
                at = end;
                if frame == before {
                    received += 1;
                    continue;
                }
                before.clear();
                before.extend_from_slice(frame);
                self.inbound.handle(frame);
                while let Some(what) = self.inbound.poll_output().expect("it keeps the rules") {
                    let Received::Signal(Signal::RegSend { message, .. }) = what else { continue };
                    if let Some([Term::Pid(asker), _]) = message.as_tuple() {
                        let (from, to) = (Some(self.own.clone()), asker.clone());
                        let message = tuple!(atom "sink", received);
                        let answer =
                            self.bytes(&Signal::Send { from, to, message, token: None, priority: false });
                        self.stream.write_all(&answer).expect("it reads");
                        received = 0;
                        // Asking again is not a message.
                        before.clear();
                    } else {
                        received += 1;
                    }
                }
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
        }
    }
}
