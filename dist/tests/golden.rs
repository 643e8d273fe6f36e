//! What OTP put on the wire: every operation is read as the signal it means, and written byte for byte alike.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use bytes::BytesMut;
use crabnode_dist::{
    Encoded, Inbound, Limits, Mfa, MonitorOptions, MonitorTarget, OPS, Received, SeqToken, Signal,
    SignalTarget, SpawnOptions, SpawnReplyFlags, SpawnRequest, encode_signal,
};
use etf::{Atom, Pid, Reference, Term, tuple};
use handshake::DistFlags;

const OWN: Atom = Atom::from_static("rust@127.0.0.1");
const PEER: Atom = Atom::from_static("cap@127.0.0.1");

/// What OTP 25 agreed on in the first group.
const ALL_25: DistFlags = DistFlags::from_bits(0xd_07df_7fbc & !0x80_2000);
const OLD: DistFlags =
    ALL_25.without(DistFlags::SEND_SENDER).without(DistFlags::EXIT_PAYLOAD).without(DistFlags::UNLINK_ID);
const ALL_28: DistFlags = ALL_25.with(DistFlags::ALTACT_SIG);

const CREATION: u32 = 0x6b00_e260;
const OLD_CREATION: u32 = 0x6b00_e261;

fn own() -> Pid {
    Pid::new(OWN, 77, 3, 0x1122_3344)
}

fn own_reference() -> Reference {
    Reference::new(OWN, 0x1122_3344, &[1, 2, 3]).unwrap()
}

fn peer(id: u32) -> Pid {
    Pid::new(PEER, id, 0, CREATION)
}

fn old_peer(id: u32) -> Pid {
    Pid::new(PEER, id, 0, OLD_CREATION)
}

/// The pid of a process that never was.
fn dead(creation: u32) -> Pid {
    Pid::new(PEER, 9999, 9, creation)
}

fn peer_reference(words: [u32; 3]) -> Reference {
    Reference::new(PEER, CREATION, &words).unwrap()
}

fn token(serial: i64, from: Pid, last: i64) -> Option<SeqToken> {
    Some(SeqToken::new(tuple!(1, 17, serial, from, last)))
}

fn mfa(module: &'static str, function: &'static str, arity: i64) -> Mfa {
    Mfa { module: Atom::from_static(module), function: Atom::from_static(function), arity }
}

fn id(id: u64) -> NonZeroU64 {
    NonZeroU64::new(id).unwrap()
}

/// The name of each frame, the flags it was sent under, and what it means.
fn expected() -> Vec<(&'static str, DistFlags, Signal)> {
    let send = |from, message, token| Signal::Send { from, to: own(), message, token, priority: false };
    let exit2 = |from, token| Signal::Exit2 {
        from,
        to: SignalTarget::Pid(own()),
        reason: Term::atom("kill"),
        token,
        priority: false,
    };
    let name = |name| MonitorTarget::Name(Atom::from_static(name));
    let pid_monitor = || peer_reference([0xd8a4, 0xa5f8_0001, 0x6aa4_fbb8]);
    let name_monitor = || peer_reference([0xd8a5, 0xa5f8_0001, 0x6aa4_fbb8]);
    let spawn = |request_id, from, mfa, options, args, token| {
        let request = SpawnRequest {
            request_id: peer_reference(request_id),
            from,
            group_leader: peer(71),
            mfa,
            options: Ok(options),
            token,
        };
        Signal::SpawnRequest { request: Box::new(request), args }
    };
    let reply = |flags, result, token| Signal::SpawnReply {
        request_id: own_reference(),
        to: own(),
        flags,
        result,
        token,
    };
    let some_name = Atom::from_static("some_name");
    vec![
        ("send_sender", ALL_25, send(Some(peer(85)), Term::atom("hello"), None)),
        (
            "reg_send",
            ALL_25,
            Signal::RegSend {
                from: peer(85),
                to: some_name.clone(),
                message: tuple!(atom "hi", 1),
                token: None,
                priority: false,
            },
        ),
        (
            "alias_send",
            ALL_25,
            Signal::AliasSend {
                from: peer(85),
                to: own_reference(),
                message: Term::atom("via_alias"),
                token: None,
                priority: false,
            },
        ),
        ("link", ALL_25, Signal::Link { from: peer(88), to: own() }),
        ("unlink_id", ALL_25, Signal::Unlink { id: Some(id(1)), from: peer(88), to: own() }),
        (
            "payload_exit",
            ALL_25,
            Signal::Exit { from: peer(89), to: own(), reason: Term::atom("boom"), token: None },
        ),
        ("payload_exit2", ALL_25, exit2(peer(85), None)),
        (
            "monitor_p",
            ALL_25,
            Signal::Monitor { from: peer(90), to: MonitorTarget::Pid(own()), reference: pid_monitor() },
        ),
        (
            "demonitor_p",
            ALL_25,
            Signal::Demonitor { from: peer(90), to: MonitorTarget::Pid(own()), reference: pid_monitor() },
        ),
        (
            "monitor_p_name",
            ALL_25,
            Signal::Monitor { from: peer(90), to: name("nm"), reference: name_monitor() },
        ),
        (
            "demonitor_p_name",
            ALL_25,
            Signal::Demonitor { from: peer(90), to: name("nm"), reference: name_monitor() },
        ),
        ("group_leader", ALL_25, Signal::GroupLeader { leader: peer(85), member: own() }),
        (
            "spawn_request_options",
            ALL_25,
            spawn(
                [0xd8a6, 0xa5f9_0001, 0x6aa4_fbb8],
                peer(91),
                mfa("m", "f", 2),
                SpawnOptions {
                    link: true,
                    monitor: Some(MonitorOptions::default()),
                    tuning: vec![tuple!(atom "priority", atom "high"), tuple!(atom "min_heap_size", 1000)],
                    unknown: vec![],
                },
                Term::list(vec![Term::atom("a"), 1.into()]),
                None,
            ),
        ),
        (
            "spawn_request",
            ALL_25,
            spawn(
                [0xd8a7, 0xa5f8_0001, 0x6aa4_fbb8],
                peer(91),
                mfa("erpc", "execute_call", 1),
                SpawnOptions { monitor: Some(MonitorOptions::default()), ..SpawnOptions::default() },
                Term::list(vec![1.into()]),
                None,
            ),
        ),
        ("send_sender_tt", ALL_25, send(Some(peer(92)), Term::atom("traced"), token(1, peer(92), 0))),
        (
            "reg_send_tt",
            ALL_25,
            Signal::RegSend {
                from: peer(92),
                to: Atom::from_static("tr_name"),
                message: Term::atom("traced_reg"),
                token: token(2, peer(92), 0),
                priority: false,
            },
        ),
        (
            "spawn_request_tt",
            ALL_25,
            spawn(
                [0xd8aa, 0xa5f8_0001, 0x6aa4_fbb8],
                peer(92),
                mfa("m", "g", 0),
                SpawnOptions::default(),
                Term::NIL,
                token(4, peer(92), 0),
            ),
        ),
        (
            "alias_send_tt",
            ALL_25,
            Signal::AliasSend {
                from: peer(93),
                to: own_reference(),
                message: Term::atom("tr_alias"),
                token: token(1, peer(93), 0),
                priority: false,
            },
        ),
        (
            "payload_exit_tt",
            ALL_25,
            Signal::Exit {
                from: peer(94),
                to: own(),
                reason: Term::atom("traced_boom"),
                token: token(1, peer(94), 0),
            },
        ),
        (
            "payload_monitor_p_exit",
            ALL_25,
            Signal::MonitorExit {
                from: MonitorTarget::Pid(dead(CREATION)),
                sender: None,
                to: own(),
                reference: own_reference(),
                reason: Term::atom("noproc"),
            },
        ),
        (
            "payload_monitor_p_exit_name",
            ALL_25,
            Signal::MonitorExit {
                from: name("nobody"),
                sender: None,
                to: own(),
                reference: own_reference(),
                reason: Term::atom("noproc"),
            },
        ),
        ("unlink_id_ack", ALL_25, Signal::UnlinkAck { id: id(5), from: dead(CREATION), to: own() }),
        ("spawn_reply_error", ALL_25, reply(SpawnReplyFlags::NONE, Err(Atom::from_static("badopt")), None)),
        (
            "spawn_reply",
            ALL_25,
            reply(SpawnReplyFlags::LINK.with(SpawnReplyFlags::MONITOR), Ok(peer(95)), None),
        ),
        (
            "spawn_reply_tt",
            ALL_25,
            // The token is the node's, which has no process of its own to name.
            reply(
                SpawnReplyFlags::NONE,
                Err(Atom::from_static("badopt")),
                Some(SeqToken::new(tuple!(1, 17, 4, PEER, 3))),
            ),
        ),
        ("send", OLD, send(None, Term::atom("hello"), None)),
        ("unlink", OLD, Signal::Unlink { id: None, from: old_peer(88), to: own() }),
        (
            "exit",
            OLD,
            Signal::Exit { from: old_peer(89), to: own(), reason: Term::atom("boom"), token: None },
        ),
        ("exit2", OLD, exit2(old_peer(85), None)),
        (
            "monitor_p_exit",
            OLD,
            Signal::MonitorExit {
                from: MonitorTarget::Pid(dead(OLD_CREATION)),
                sender: None,
                to: own(),
                reference: own_reference(),
                reason: Term::atom("noproc"),
            },
        ),
        ("send_tt", OLD, send(None, Term::atom("traced"), token(1, old_peer(92), 0))),
        (
            "exit_tt",
            OLD,
            Signal::Exit {
                from: old_peer(94),
                to: own(),
                reason: Term::atom("traced_boom"),
                token: token(1, old_peer(94), 0),
            },
        ),
        ("exit2_tt", OLD, exit2(peer(85), token(1, peer(85), 0))),
        ("payload_exit2_tt", ALL_25, exit2(peer(85), token(1, peer(85), 0))),
        (
            "altact_send_priority",
            ALL_28,
            Signal::Send {
                from: Some(peer(85)),
                to: own(),
                message: Term::atom("hello"),
                token: None,
                priority: true,
            },
        ),
        (
            "altact_send_priority_name",
            ALL_28,
            Signal::RegSend {
                from: peer(85),
                to: some_name,
                message: Term::atom("hello"),
                token: None,
                priority: true,
            },
        ),
        (
            "altact_alias_send",
            ALL_28,
            Signal::AliasSend {
                from: peer(85),
                to: own_reference(),
                message: Term::atom("via_alias"),
                token: None,
                priority: false,
            },
        ),
        (
            "altact_alias_send_token",
            ALL_28,
            Signal::AliasSend {
                from: peer(85),
                to: own_reference(),
                message: Term::atom("via_alias"),
                token: token(1, peer(85), 0),
                priority: false,
            },
        ),
        (
            "altact_exit2_priority",
            ALL_28,
            Signal::Exit2 {
                from: peer(85),
                to: SignalTarget::Pid(own()),
                reason: Term::atom("kill"),
                token: None,
                priority: true,
            },
        ),
        (
            "altact_exit2_alias",
            ALL_28,
            Signal::Exit2 {
                from: peer(85),
                to: SignalTarget::Alias(own_reference()),
                reason: Term::atom("kill"),
                token: None,
                priority: false,
            },
        ),
    ]
}

fn golden() -> BTreeMap<&'static str, Vec<u8>> {
    [include_str!("golden/otp25.txt"), include_str!("golden/by_hand.txt")]
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a line is a name and bytes"))
        .map(|(name, hex)| (name, unhex(hex)))
        .collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn inbound() -> Inbound {
    Inbound::new(OWN, PEER, ALL_25, Limits::default())
}

#[test]
fn every_golden_frame_is_expected_and_the_other_way_round() {
    let mut names: Vec<_> = expected().into_iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    assert_eq!(names, golden().into_keys().collect::<Vec<_>>());
}

#[test]
fn frames_of_otp_are_read_as_what_they_mean() {
    let golden = golden();
    for (name, _, signal) in expected() {
        let mut inbound = inbound();
        inbound.handle(&golden[name]);
        assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(signal))), "{name}");
        assert_eq!(inbound.poll_output(), Ok(None), "{name}");
    }
}

#[test]
fn signals_are_written_as_otp_writes_them() {
    let golden = golden();
    let mut ops = Vec::new();
    for (name, flags, signal) in expected() {
        let mut out = BytesMut::new();
        let encoded = encode_signal(&signal, flags, &mut out).unwrap();
        assert_eq!(out, golden[name], "{name}");
        let Encoded::Frame { op, bytes } = encoded else { panic!("{name} was withheld") };
        assert_eq!(bytes, out.len());
        ops.push(op);
    }
    ops.sort_unstable();
    ops.dedup();
    assert_eq!(ops, OPS.iter().map(|row| row.op).collect::<Vec<_>>(), "golden bytes of every operation");
}

#[test]
fn no_truncated_frame_is_taken_for_a_message() {
    for (name, frame) in golden() {
        let body = &frame[4..];
        for cut in 1..body.len() {
            let mut inbound = inbound();
            inbound.handle(&u32::try_from(cut).unwrap().to_be_bytes());
            inbound.handle(&body[..cut]);
            let error = inbound.poll_output().expect_err(name);
            assert_eq!(error.frame_start, body[..cut.min(64)]);
        }
    }
}

#[test]
fn no_flipped_bit_makes_a_panic() {
    for (_, frame) in golden() {
        for at in 4..frame.len() {
            for bit in 0..8 {
                let mut frame = frame.clone();
                frame[at] ^= 1 << bit;
                let mut inbound = inbound();
                inbound.handle(&frame);
                if let Err(error) = inbound.poll_output() {
                    // The log line is made for each of these too.
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
