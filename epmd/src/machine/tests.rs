use super::*;
use crate::message::NodeType;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A machine, its time, and what it said.
struct Epmd {
    machine: Machine,
    now: Now,
    made: u64,
}

#[derive(Debug, PartialEq)]
enum Said {
    Reply(u64, Bytes, Then),
    Close(u64),
    End,
}

fn rules() -> Rules {
    Rules { port: 4369, relaxed: false, packet_timeout: TIMEOUT, connections_max: 8 }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Epmd {
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn new(rules: Rules) -> Epmd {
        let now = Now { instant: Instant::now(), unix_secs: 100 };
        Epmd { machine: Machine::new(rules), now, made: 0 }
    }

    fn open_from(&mut self, peer: &str) -> u64 {
        self.made += 1;
        let connection = ConnectionId(self.made);
        let (peer, own) = (address(peer), address("10.0.0.1"));
        self.machine.handle(self.now, Input::Opened { connection, peer, own });
        self.made
    }

    fn open(&mut self) -> u64 {
        self.open_from("127.0.0.1")
    }

    fn receive(&mut self, connection: u64, bytes: &[u8]) -> Vec<Said> {
        self.machine.handle(self.now, Input::Received { connection: ConnectionId(connection), bytes });
        self.said()
    }

    fn closed(&mut self, connection: u64) -> Vec<Said> {
        self.machine.handle(self.now, Input::Closed { connection: ConnectionId(connection) });
        self.said()
    }

    fn after(&mut self, pause: Duration) -> Vec<Said> {
        self.now.instant += pause;
        self.machine.handle(self.now, Input::Timeout);
        self.said()
    }

    fn said(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.machine.poll_output())
            .map(|output| match output {
                Output::Reply { connection, bytes, then } => Said::Reply(connection.0, bytes, then),
                Output::Close { connection } => Said::Close(connection.0),
                Output::End => Said::End,
            })
            .collect()
    }

    /// A connection that has registered.
    fn lease(&mut self, name: &str) -> u64 {
        let connection = self.open();
        let said = self.receive(connection, &register(name));
        assert!(matches!(&said[..], [Said::Reply(_, reply, Then::Hold)] if reply[1] == 0), "{said:?}");
        connection
    }

    fn names(&mut self) -> String {
        let asker = self.open_from("192.0.2.7");
        let said = self.receive(asker, b"\0\x01n");
        self.closed(asker);
        match &said[..] {
            [Said::Reply(_, reply, Then::Close)] => String::from_utf8_lossy(&reply[4..]).into_owned(),
            other => panic!("{other:?}"),
        }
    }
}

fn register(name: &str) -> Bytes {
    Request::Alive2(Alive2 {
        port: 4711,
        node_type: NodeType::Normal,
        protocol: 0,
        high: 6,
        low: 6,
        name: Bytes::copy_from_slice(name.as_bytes()),
        extra: Bytes::new(),
    })
    .encode()
}

fn refusal() -> Bytes {
    Bytes::from_static(b"v\x01\0\0\0\x63")
}

#[test]
fn a_lease_lasts_until_a_byte_or_the_end() {
    let mut epmd = Epmd::new(rules());
    let a = epmd.lease("a");
    assert_eq!(epmd.after(TIMEOUT * 10), [], "a lease has no limit");
    assert_eq!(epmd.names(), "name a at port 4711\n");
    assert_eq!(epmd.receive(a, b"?"), [Said::Close(a)]);
    assert_eq!(epmd.names(), "");
    let a = epmd.lease("a");
    assert_eq!(epmd.closed(a), []);
    assert_eq!(epmd.names(), "");
    assert_eq!(epmd.machine.connections(), 0);
    assert_eq!(epmd.machine.poll_timeout(), None);
}

#[test]
fn a_name_is_registered_again_with_the_next_creation() {
    let mut epmd = Epmd::new(rules());
    for creation in [101u8, 102, 103] {
        let a = epmd.open();
        let reply = Bytes::from(vec![b'v', 0, 0, 0, 0, creation]);
        assert_eq!(epmd.receive(a, &register("a")), [Said::Reply(a, reply, Then::Hold)]);
        assert_eq!(epmd.closed(a), []);
        epmd.now.unix_secs += 1000;
    }
}

#[test]
fn a_taken_name_is_refused_after_a_moment_and_the_refused_one_is_closed_in_time() {
    let mut epmd = Epmd::new(rules());
    let first = epmd.lease("a");
    let second = epmd.open();
    assert_eq!(epmd.receive(second, &register("a")), []);
    assert_eq!(epmd.machine.poll_timeout(), Some(epmd.now.instant + TAKEN_PATIENCE));
    assert_eq!(epmd.after(TAKEN_PATIENCE), [Said::Reply(second, refusal(), Then::Hold)]);
    assert_eq!(epmd.after(TIMEOUT - TAKEN_PATIENCE), [Said::Close(second)]);
    assert_eq!(epmd.names(), "name a at port 4711\n");
    assert_eq!(epmd.closed(first), []);
}

#[test]
fn a_name_that_becomes_free_goes_to_the_first_who_waits_for_it() {
    let mut epmd = Epmd::new(rules());
    let first = epmd.lease("a");
    let (second, third) = (epmd.open(), epmd.open());
    assert_eq!(epmd.receive(second, &register("a")), []);
    assert_eq!(epmd.receive(third, &register("a")), []);
    let reply = Bytes::from_static(b"v\0\0\0\0\x66");
    assert_eq!(epmd.closed(first), [Said::Reply(second, reply, Then::Hold)]);
    assert_eq!(epmd.after(TAKEN_PATIENCE), [Said::Reply(third, refusal(), Then::Hold)]);
    // A byte while it waits is one behind the request.
    let fourth = epmd.open();
    assert_eq!(epmd.receive(fourth, &register("a")), []);
    assert_eq!(epmd.receive(fourth, b"?"), [Said::Close(fourth)]);
    assert_eq!(epmd.after(TAKEN_PATIENCE), []);
}

#[test]
fn a_request_may_dribble_in_but_not_for_ever() {
    let mut epmd = Epmd::new(rules());
    let asker = epmd.open();
    for byte in [&b"\0"[..], b"\x01"] {
        assert_eq!(epmd.receive(asker, byte), []);
        assert_eq!(epmd.after(TIMEOUT / 4), []);
    }
    let reply = Bytes::from_static(b"\0\0\x11\x11");
    assert_eq!(epmd.receive(asker, b"n"), [Said::Reply(asker, reply, Then::Close)]);
    // Nor does the reply wait longer for its taker.
    assert_eq!(epmd.after(TIMEOUT / 2), [Said::Close(asker)]);

    let slow = epmd.open();
    assert_eq!(epmd.receive(slow, b"\0\x09"), []);
    assert_eq!(epmd.after(TIMEOUT - Duration::from_millis(1)), []);
    assert_eq!(epmd.receive(slow, b"n"), []);
    assert_eq!(epmd.after(Duration::from_millis(1)), [Said::Close(slow)]);
}

#[test]
fn more_bytes_than_a_request_has_are_closed_and_not_kept() {
    let mut epmd = Epmd::new(rules());
    for pieces in [
        &[&b"\0\x01nn"[..]][..],
        &[b"\0", b"\x01nn"],
        &[b"\0\0"],
        &[b"\x0b\xf2"],
        &[b"\x0b", &[0; 4000]],
        &[&[0xff; 10_000]],
    ] {
        let asker = epmd.open();
        let mut said = Vec::new();
        for piece in pieces {
            assert_eq!(said, []);
            said = epmd.receive(asker, piece);
        }
        assert_eq!(said, [Said::Close(asker)]);
    }
    assert_eq!(epmd.machine.connections(), 0);
}

#[test]
fn strangers_may_only_ask() {
    let mut epmd = Epmd::new(Rules { relaxed: true, ..rules() });
    let _a = epmd.lease("a");
    for request in [&register("b")[..], b"\0\x01d", b"\0\x01k", b"\0\x02sa"] {
        let stranger = epmd.open_from("10.0.0.2");
        assert_eq!(epmd.receive(stranger, request), [Said::Close(stranger)]);
    }
    let stranger = epmd.open_from("10.0.0.2");
    assert!(matches!(&epmd.receive(stranger, b"\0\x02za")[..], [Said::Reply(_, _, Then::Close)]));
    // The host's own address is no stranger's.
    let own = epmd.open_from("10.0.0.1");
    assert!(matches!(&epmd.receive(own, &register("b"))[..], [Said::Reply(_, _, Then::Hold)]));
}

#[test]
fn only_a_relaxed_server_stops_nodes_or_dies_with_them() {
    let mut epmd = Epmd::new(rules());
    let a = epmd.lease("a");
    let asker = epmd.open();
    assert_eq!(epmd.receive(asker, b"\0\x02sa"), [Said::Close(asker)]);
    let asker = epmd.open();
    let no = Said::Reply(asker, Bytes::from_static(b"NO"), Then::Close);
    assert_eq!(epmd.receive(asker, b"\0\x01k"), [no]);
    epmd.closed(a);
    let asker = epmd.open();
    let ok = Said::Reply(asker, Bytes::from_static(b"OK"), Then::Close);
    assert_eq!(epmd.receive(asker, b"\0\x01k"), [ok, Said::End]);

    let mut epmd = Epmd::new(Rules { relaxed: true, ..rules() });
    let a = epmd.lease("a");
    let asker = epmd.open();
    let stopped = Said::Reply(asker, Bytes::from_static(b"STOPPED"), Then::Close);
    assert_eq!(epmd.receive(asker, b"\0\x02sa"), [Said::Close(a), stopped]);
    let asker = epmd.open();
    let unknown = Said::Reply(asker, Bytes::from_static(b"NOEXISTSTOPPED"), Then::Close);
    assert_eq!(epmd.receive(asker, b"\0\x02sa"), [unknown]);
    let _b = epmd.lease("b");
    let asker = epmd.open();
    assert!(matches!(&epmd.receive(asker, b"\0\x01k")[..], [Said::Reply(..), Said::End]));
}

#[test]
fn the_oldest_that_is_no_lease_gives_way_and_leases_leave_room() {
    let mut epmd = Epmd::new(rules());
    let idle: Vec<u64> = (0..8).map(|_| epmd.open()).collect();
    assert_eq!(epmd.said(), []);
    let _ninth = epmd.open();
    assert_eq!(epmd.said(), [Said::Close(idle[0])]);

    let mut epmd = Epmd::new(rules());
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        epmd.lease(name);
    }
    let eighth = epmd.open();
    assert_eq!(epmd.receive(eighth, &register("h")), [Said::Close(eighth)]);
    assert!(epmd.names().starts_with("name g at port 4711\n"));
}

#[test]
fn local_peers() {
    for (peer, own, local) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.9.9.9", "10.0.0.1", true),
        ("::1", "::1", true),
        ("::ffff:127.0.0.1", "::1", true),
        ("10.0.0.1", "10.0.0.1", true),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("10.0.0.2", "10.0.0.1", false),
        ("fe80::1", "fe80::2", false),
    ] {
        assert_eq!(is_local(address(peer), address(own)), local, "{peer} at {own}");
    }
}

#[test]
fn a_lookup_that_is_all_there_is_needs_no_connection() {
    let mut epmd = Epmd::new(rules());
    epmd.lease("a");
    let asker = epmd.open_from("192.0.2.7");
    for request in [&b"\0\x02za"[..], b"\0\x02zb"] {
        let asker = epmd.open_from("192.0.2.7");
        let said = epmd.receive(asker, request);
        epmd.closed(asker);
        let reply = epmd.machine.answer_at_once(request).expect("it is a lookup");
        assert_eq!(said, [Said::Reply(asker, reply, Then::Close)]);
    }
    // Another question, less than one, more than one, no name.
    for request in [&b"\0\x01n"[..], b"", b"\0\x02z", b"\0\x02zaa", b"\0\x02z\xff"] {
        assert_eq!(epmd.machine.answer_at_once(request), None, "{request:?}");
    }
    assert_eq!((epmd.machine.connections(), epmd.closed(asker)), (2, vec![]));
}
