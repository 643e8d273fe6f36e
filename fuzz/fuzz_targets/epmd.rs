//! What happens to an EPMD, in any order: connections from here and elsewhere, bytes in any pieces, ends, and time that
//! passes. It answers for those it knows and for nobody else, keeps to its limits, and its table is right.
//!
//! The input is steps, each a byte and what it takes from those behind it.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use epmd::{
    machine::{Input, Machine, Now, Output, Rules, Then},
    message::{Alive2Reply, DumpReply, KILL_NO, KILL_OK, NamesReply, Port2Reply, STOP_STOPPED},
    registry::ConnectionId,
};
use libfuzzer_sys::fuzz_target;

/// Few, so that the limit is met.
const CONNECTIONS_MAX: usize = 9;

/// Names for registrations, few so that they meet, among them bad ones.
const NAMES: [&[u8]; 8] = [b"a", b"b", b"c", b"d", b"e", b"f", b"\xff", b""];

/// A connection as those at its ends see it.
struct Seen {
    is_local: bool,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Silent,
    Lease,
    Refused,
    Ending,
}

struct World {
    machine: Machine,
    now: Now,
    relaxed: bool,
    open: BTreeMap<u64, Seen>,
    made: u64,
    ended: bool,
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let relaxed = first % 2 == 1;
    let rules = Rules {
        port: 4369,
        relaxed,
        packet_timeout: Duration::from_secs(60),
        connections_max: CONNECTIONS_MAX,
    };
    // Only differences count.
    let now = Now { instant: start(), unix_secs: u64::from(first) };
    let open = BTreeMap::new();
    let mut world = World { machine: Machine::new(rules), now, relaxed, open, made: 0, ended: false };
    while let Some((&step, behind)) = rest.split_first() {
        rest = world.step(step, behind);
        world.check();
        if world.ended {
            return;
        }
    }
});

#[expect(clippy::disallowed_methods, reason = "any instant to count from")]
fn start() -> Instant {
    Instant::now()
}

impl World {
    /// Returns what is left of the input.
    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        let connection =
            ConnectionId(self.open.keys().nth(usize::from(step / 8) % CONNECTIONS_MAX).map_or(1, |id| *id));
        match step % 8 {
            0 | 1 => {
                self.made += 1;
                let connection = ConnectionId(self.made);
                let is_local = step.is_multiple_of(8);
                let peer = if is_local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(10, 0, 0, 2) };
                let own = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
                self.open.insert(self.made, Seen { is_local, stage: Stage::Silent });
                self.handle(Input::Opened { connection, peer: peer.into(), own });
                rest
            }
            2 => {
                self.open.remove(&connection.0);
                self.handle(Input::Closed { connection });
                rest
            }
            3 => {
                let (&after, rest) = rest.split_first().unwrap_or((&1, rest));
                self.now.instant += Duration::from_millis(u64::from(after) * 100);
                self.now.unix_secs += u64::from(after / 10);
                self.handle(Input::Timeout);
                rest
            }
            4 => {
                // A registration in one piece.
                let (&name, rest) = rest.split_first().unwrap_or((&0, rest));
                let name_bytes = NAMES[usize::from(name) % NAMES.len()];
                let version = if name < 128 { 6 } else { 5 };
                let body = [
                    &[b'x', 0x12, 0x67, b'M', 0, 0, version, 0, 5, 0][..],
                    &[name_bytes.len() as u8],
                    name_bytes,
                    &[0, 0],
                ];
                self.receive(connection, &framed(&body.concat()));
                rest
            }
            5 => {
                let (&what, rest) = rest.split_first().unwrap_or((&0, rest));
                let name = NAMES[usize::from(what / 8) % NAMES.len()];
                let body = match what % 8 {
                    0 => b"n".to_vec(),
                    1 => b"d".to_vec(),
                    2 => b"k".to_vec(),
                    3 => [b"s", name].concat(),
                    _ => [b"z", name].concat(),
                };
                self.receive(connection, &framed(&body));
                rest
            }
            what => {
                // Any bytes, with their length in front or without.
                let (&size, rest) = rest.split_first().unwrap_or((&0, rest));
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(size)));
                let bytes = if what == 6 { framed(bytes) } else { bytes.to_vec() };
                self.receive(connection, &bytes);
                rest
            }
        }
    }

    fn receive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.handle(Input::Received { connection, bytes });
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let had_nodes = !self.machine.registry().is_empty();
        self.machine.handle(self.now, input);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Reply { connection, bytes, then } => {
                    let seen =
                        self.open.get_mut(&connection.0).expect("a reply is for a connection that is open");
                    assert!(seen.stage == Stage::Silent, "one reply a connection");
                    seen.stage = stage_after(&bytes, then, seen.is_local);
                }
                Output::Close { connection } => {
                    self.open.remove(&connection.0).expect("only what is open is closed");
                }
                Output::End => {
                    assert!(self.relaxed || !had_nodes, "it does not end while nodes are registered");
                    self.ended = true;
                }
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.machine.connections(), self.open.len());
        assert!(self.open.len() <= CONNECTIONS_MAX);
        let registry = self.machine.registry();
        let registered: BTreeSet<u64> = registry.active().map(|node| node.lease.0).collect();
        let leases: BTreeSet<u64> =
            self.open.iter().filter(|(_, seen)| seen.stage == Stage::Lease).map(|(id, _)| *id).collect();
        assert_eq!(registered, leases);
        assert!(leases.len() < CONNECTIONS_MAX, "there is room for lookups");
        let names: BTreeSet<&str> = registry.active().map(|node| node.node.name.as_str()).collect();
        assert_eq!(names.len(), leases.len(), "a name has one owner");
        assert!(registry.active().chain(registry.remembered()).all(|node| node.creation >= 4));
        assert!(registry.remembered().all(|node| !names.contains(node.node.name.as_str())));
        // Whoever holds no lease is closed in time.
        let due = self.machine.poll_timeout();
        assert_eq!(due.is_some(), self.open.len() > leases.len());
        assert!(due.is_none_or(|due| due <= self.now.instant + Duration::from_secs(60)));
    }
}

/// What a connection is after this reply, which must be one that clients read.
fn stage_after(reply: &Bytes, then: Then, is_local: bool) -> Stage {
    match then {
        Then::Hold => {
            assert!(is_local, "only clients on this host register");
            let reply = Alive2Reply::parse(reply).expect("a reply to a registration");
            if reply.result() == 0 { Stage::Lease } else { Stage::Refused }
        }
        Then::Close => {
            let is_word = [KILL_OK, KILL_NO, STOP_STOPPED, b"NOEXISTSTOPPED"].contains(&&reply[..]);
            let is_list = NamesReply::parse(reply).is_ok() || DumpReply::parse(reply).is_ok();
            assert!(is_word || is_list || Port2Reply::parse(reply).is_ok());
            assert!(is_local || !is_word, "strangers only ask");
            Stage::Ending
        }
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes(), body].concat()
}
