//! What an EPMD is to its clients, byte for byte: items 1 to 11 of wire.md 12, and the rules of wire.md 1.2 that none of
//! them names. Each is put to ours and to OTP's alike.

use std::{io::Write, net::TcpStream, process::Command, time::Duration};

use interop_tests::{
    Otp,
    clock::{pause, wait_for},
};

mod epmd_support;
use epmd_support::{
    Epmd, OURS, REFUSED, SOON, V6_LOOPBACK, alive, alive_of, each_epmd, each_epmd_with, registration_reply,
    request, reset, rest, stays_open,
};

/// Enough for what was written before to arrive by itself.
const APART: Duration = Duration::from_millis(15);

fn still_answers(epmd: &Epmd) {
    assert_eq!(epmd.ask(b"znobody"), b"w\x01", "{}", epmd.what);
}

#[test]
fn item_01_registered_until_closed_and_listed_newest_first() {
    each_epmd(|epmd| {
        let (a, _) = epmd.lease("a");
        let (_b, _) = epmd.lease("b");
        epmd.has(&["b", "a"]);
        let listed = Command::new(Otp::newest().epmd())
            .args(["-port", &epmd.port().to_string(), "-names"])
            .output()
            .expect("OTP has an epmd");
        let wanted = format!(
            "epmd: up and running on port {} with data:\nname b at port 4711\nname a at port 4711\n",
            epmd.port()
        );
        assert_eq!(String::from_utf8_lossy(&listed.stdout), wanted, "{}", epmd.what);
        drop(a);
        epmd.has(&["b"]);
    });
}

#[test]
fn item_02_the_same_over_ipv6() {
    each_epmd(|epmd| {
        let mut lease = epmd.dial_at(V6_LOOPBACK);
        lease.write_all(&request(&alive(b"a", b""))).expect("sends");
        assert_eq!(registration_reply(&mut lease)[..2], *b"v\0", "{}", epmd.what);
        epmd.has(&["a"]);
        let mut asker = epmd.dial_at(V6_LOOPBACK);
        asker.write_all(&request(b"za")).expect("sends");
        assert_eq!(rest(&mut asker), b"w\0\x12\x67M\0\0\x06\0\x05\0\x01a\0\0", "{}", epmd.what);
        drop(lease);
        epmd.has(&[]);
    });
}

#[test]
fn item_03_a_duplicate_is_refused_and_the_first_survives() {
    each_epmd(|epmd| {
        let (mut first, _) = epmd.lease("a");
        let (mut second, reply) = epmd.register(&alive(b"a", b"other"));
        assert_eq!(reply, REFUSED, "{}", epmd.what);
        assert!(stays_open(&mut second), "{}: closing is the client's", epmd.what);
        drop(second);
        assert!(stays_open(&mut first), "{}", epmd.what);
        assert_eq!(epmd.ask(b"za"), b"w\0\x12\x67M\0\0\x06\0\x05\0\x01a\0\0", "{}", epmd.what);
        // One of an old version is refused in the old way.
        let (_, reply) = epmd.register(&alive_of(5, b"a", b""));
        assert_eq!(reply, b"y\x01\0\x63", "{}", epmd.what);
    });
}

#[test]
fn item_04_names_of_255_characters_of_any_script() {
    each_epmd(|epmd| {
        for (name, times) in
            [("\u{e5}\u{3042}\u{1f980}", 1), ("x", 254), ("\u{1f980}", 254), ("x", 255), ("\u{1f980}", 255)]
        {
            let name = name.repeat(times);
            let (lease, _) = epmd.lease(&name);
            epmd.has(&[&name]);
            let reply = epmd.ask(&[b"z", name.as_bytes()].concat());
            let found = [b"w\0\x12\x67M\0\0\x06\0\x05", &request(name.as_bytes())[..], b"\0\0"].concat();
            // OTP's (23 to 29) registers such a name, and then does not let anyone ask for it.
            let wanted = if times == 255 && epmd.what != OURS { Vec::new() } else { found };
            assert!(reply == wanted, "{}: {name}: {}", epmd.what, reply.escape_ascii());
            drop(lease);
            epmd.has(&[]);
        }
        // Neither blanks nor the character between name and host are EPMD's business.
        drop(epmd.lease("a b@c"));
        epmd.has(&[]);
        for name in [&b"x".repeat(256)[..], "\u{1f980}".repeat(256).as_bytes(), b"a\xff", b"\xed\xa0\x80"] {
            let (_, reply) = epmd.register(&alive(name, b""));
            assert_eq!(reply, REFUSED, "{}: {}", epmd.what, name.escape_ascii());
        }
        epmd.has(&[]);
    });
}

#[test]
fn item_05_a_lookup_returns_port_and_extra_and_closes() {
    each_epmd(|epmd| {
        let mut leases = Vec::new();
        for (name, extra) in [("a", &b""[..]), ("b", b"extra"), ("c", b"\0x\0\0"), ("d", &[7; 1020])] {
            let (lease, reply) = epmd.register(&alive(name.as_bytes(), extra));
            assert_eq!(reply[..2], *b"v\0", "{}", epmd.what);
            leases.push(lease);
            let wanted =
                [b"w\0\x12\x67M\0\0\x06\0\x05", &request(name.as_bytes())[..], &request(extra)].concat();
            assert_eq!(epmd.ask(format!("z{name}").as_bytes()), wanted, "{}", epmd.what);
            // Old clients end the name with a zero byte.
            assert_eq!(epmd.ask(format!("z{name}\0").as_bytes()), wanted, "{}", epmd.what);
        }
        assert_eq!(epmd.ask(b"ze"), b"w\x01", "{}", epmd.what);
    });
}

#[test]
fn item_06_requests_may_dribble_in() {
    each_epmd(|epmd| {
        let (_lease, _) = epmd.lease("a");
        let wanted = epmd.ask(b"za");
        for piece in [1, 2, 3] {
            let mut stream = epmd.dial();
            for bytes in request(b"za").chunks(piece) {
                stream.write_all(bytes).expect("sends");
                pause(APART);
            }
            assert_eq!(rest(&mut stream), wanted, "{}: {piece} at once", epmd.what);
        }
        // Some never come to an end, and stop nobody.
        let half: Vec<TcpStream> = [&b""[..], b"\0", b"\0\x09", b"\0\x09za"]
            .into_iter()
            .map(|bytes| {
                let mut stream = epmd.dial();
                stream.write_all(bytes).expect("sends");
                stream
            })
            .collect();
        assert_eq!(epmd.ask(b"za"), wanted, "{}", epmd.what);
        drop(half);
        let mut lease = epmd.dial();
        for byte in request(&alive(b"slow", b"x")) {
            lease.write_all(&[byte]).expect("sends");
            pause(Duration::from_millis(2));
        }
        assert_eq!(registration_reply(&mut lease)[..2], *b"v\0", "{}", epmd.what);
        epmd.has(&["slow", "a"]);
    });
}

#[test]
fn item_07_bad_requests_are_closed_quietly() {
    each_epmd(|epmd| {
        let short: Vec<Vec<u8>> = (0..14).map(|size| request(&alive(b"", b"")[..size.min(13)])).collect();
        let bad = [
            b"\0\0".to_vec(),
            b"\0\0n".to_vec(),
            b"\x0b\xf2".to_vec(),
            b"\xff\xff".to_vec(),
            [b"\xff\xff", &[b'n'; 4000][..]].concat(),
            request(b"q"),
            request(b"\0"),
            request(&alive(b"", b"")),
            request(&alive(b"a\0b", b"")),
            request(&alive(b"\0", b"")),
            request(b"z"),
            request(b"z\0"),
            request(b"za\0b"),
            request(b"za\0\0"),
            request(b"z\xff"),
            request(&[b"z", &b"x".repeat(256)[..]].concat()),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ];
        for request in bad.iter().chain(&short) {
            assert_eq!(epmd.reply_to(request), b"", "{}: {}", epmd.what, request.escape_ascii());
        }
        // Nor do those harm who say nothing at all.
        drop(epmd.dial());
        reset(epmd.dial());
        epmd.has(&[]);
        still_answers(epmd);
    });
}

#[test]
fn item_08_lengths_that_lie_reach_nothing() {
    each_epmd(|epmd| {
        let (_lease, _) = epmd.lease("a");
        let head = b"x\x12\x67M\0\0\x06\0\x05";
        let lies: [&[u8]; 6] = [
            b"\0\x03ab\0\0",
            b"\xff\xffab\0\0",
            b"\0\x02ab\0\x01",
            b"\0\x02ab\xff\xff",
            b"\0\x02ab\0",
            b"\x80\0ab\0\0",
        ];
        for lie in lies {
            let reply = epmd.ask(&[head, lie].concat());
            assert_eq!(reply, b"", "{}: {}", epmd.what, lie.escape_ascii());
        }
        for (name, extra) in [(300, 0), (1021, 0), (2000, 0), (1, 1021), (1, 3000), (1500, 1500)] {
            let body = alive(&vec![b'x'; name], &vec![b'y'; extra]);
            let (_, reply) = epmd.register(&body);
            assert_eq!(reply, REFUSED, "{}: {name} and {extra} bytes", epmd.what);
        }
        // The longest request there is, and one more byte.
        let longest = epmd.ask(&[b"n", &[0; 3056][..]].concat());
        assert!(longest.ends_with(b"name a at port 4711\n"), "{}", epmd.what);
        assert_eq!(epmd.ask(&[b"n", &[0; 3057][..]].concat()), b"", "{}", epmd.what);
        epmd.has(&["a"]);
    });
}

#[test]
fn item_09_strangers_may_ask_and_nothing_else() {
    each_epmd_with(&["-relaxed_command_check"], |epmd| {
        let (mut lease, _) = epmd.lease("a");
        let as_stranger = |body: &[u8]| {
            let mut stream = epmd.dial_as_stranger();
            stream.write_all(&request(body)).expect("sends");
            rest(&mut stream)
        };
        for body in [&alive(b"b", b"")[..], b"k", b"sa", b"d"] {
            assert_eq!(as_stranger(body), b"", "{}: {}", epmd.what, body.escape_ascii());
        }
        assert_eq!(as_stranger(b"za"), epmd.ask(b"za"), "{}", epmd.what);
        assert_eq!(as_stranger(b"n"), epmd.ask(b"n"), "{}", epmd.what);
        assert!(stays_open(&mut lease), "{}", epmd.what);
        epmd.has(&["a"]);
    });
}

#[test]
fn item_10_not_killed_while_nodes_are_registered() {
    each_epmd(|epmd| {
        let (lease, _) = epmd.lease("a");
        assert_eq!(epmd.ask(b"k"), b"NO", "{}", epmd.what);
        assert_eq!(epmd.ask(b"sa"), b"", "{}: not relaxed", epmd.what);
        epmd.has(&["a"]);
        drop(lease);
        epmd.has(&[]);
        assert_eq!(epmd.ask(b"k"), b"OK", "{}", epmd.what);
        let status = epmd.process.process().wait_for_exit(SOON).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", epmd.what);
    });
}

#[test]
fn item_11_a_client_gone_before_its_reply_leaves_no_ghost() {
    each_epmd(|epmd| {
        for _ in 0..50 {
            let mut stream = epmd.dial();
            stream.write_all(&request(&alive(b"ghost", b""))).expect("sends");
            reset(stream);
        }
        epmd.has(&[]);
        // A stock EPMD may yet read the request of one that is gone.
        let lease = wait_for(SOON, || {
            let (stream, reply) = epmd.register(&alive(b"ghost", b""));
            (reply[..2] == *b"v\0").then_some(stream)
        });
        let _lease = lease.unwrap_or_else(|| panic!("{}: the name is not free", epmd.what));
        epmd.has(&["ghost"]);
    });
}

#[test]
fn rule_2_one_request_a_connection() {
    each_epmd(|epmd| {
        let (_lease, _) = epmd.lease("a");
        assert_eq!(epmd.reply_to(&[request(b"n"), request(b"n")].concat()), b"", "{}", epmd.what);
        assert_eq!(epmd.reply_to(&[&request(b"n")[..], b"\0"].concat()), b"", "{}", epmd.what);
        epmd.has(&["a"]);
    });
}

#[test]
fn rule_3_whoever_does_not_ask_in_time_is_closed_and_a_lease_is_not() {
    each_epmd_with(&["-packet_timeout", "1"], |epmd| {
        let (mut lease, _) = epmd.lease("a");
        let mut silent = epmd.dial();
        let mut half = epmd.dial();
        half.write_all(b"\0\x09z").expect("sends");
        // OTP's looks every five seconds.
        for stream in [&mut silent, &mut half] {
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has the option");
            assert_eq!(rest(stream), b"", "{}", epmd.what);
        }
        assert!(stays_open(&mut lease), "{}", epmd.what);
        epmd.has(&["a"]);
    });
}

#[test]
fn rule_6_any_byte_on_a_lease_ends_it() {
    each_epmd(|epmd| {
        let (mut lease, _) = epmd.lease("a");
        let (_other, _) = epmd.lease("b");
        lease.write_all(b"?").expect("sends");
        assert_eq!(rest(&mut lease), b"", "{}", epmd.what);
        epmd.has(&["b"]);
    });
}

#[test]
fn rule_7_each_life_of_a_node_has_its_creation() {
    each_epmd(|epmd| {
        let (lease, first) = epmd.lease("a");
        drop(lease);
        epmd.has(&[]);
        // Others come and go in between.
        for name in ["b", "c"] {
            drop(epmd.lease(name));
        }
        epmd.has(&[]);
        let (lease, second) = epmd.lease("a");
        assert_eq!(second, first + 1, "{}", epmd.what);
        drop(lease);
        epmd.has(&[]);
        // An old node has one of three.
        let (_lease, reply) = epmd.register(&alive_of(5, b"a", b""));
        let third = u8::try_from((first + 2) % 3 + 1).expect("1 to 3");
        assert_eq!(reply, [b'y', 0, 0, third], "{}", epmd.what);
    });
}

#[test]
fn a_relaxed_server_unregisters_and_dies_with_its_nodes() {
    each_epmd_with(&["-relaxed_command_check"], |epmd| {
        let (mut a, _) = epmd.lease("a");
        let (mut b, _) = epmd.lease("b");
        assert_eq!(epmd.ask(b"sa"), b"STOPPED", "{}", epmd.what);
        assert_eq!(rest(&mut a), b"", "{}", epmd.what);
        epmd.has(&["b"]);
        assert_eq!(epmd.ask(b"sa"), b"NOEXISTSTOPPED", "{}", epmd.what);
        assert_eq!(epmd.ask(b"k"), b"OK", "{}", epmd.what);
        assert_eq!(rest(&mut b), b"", "{}", epmd.what);
        epmd.process.process().wait_for_exit(SOON).expect("it ends");
    });
}
