use std::num::NonZeroU64;

use bytes::BytesMut;
use etf::Segments;
use handshake::DistFlags;
use proptest::prelude::*;

use super::*;
use crate::control::tests::{
    any_atom, any_monitor_target, any_pid, any_reply_flags, any_request, any_signal_target, any_term,
    any_token, pid_of, reference_of,
};
use crate::{EncodeError, Encoded, Inbound, Limits, Op, Outbound, Received, encode_signal};

const OWN: &str = "own@host";
const PEER: &str = "peer@host";
const ALL: DistFlags = DistFlags::OFFERED;

fn any_signal() -> impl Strategy<Value = Signal> {
    let peer = || pid_of(PEER);
    let own = || pid_of(OWN);
    let reference = || reference_of(PEER);
    let target = || any_monitor_target(pid_of(OWN).boxed());
    prop_oneof![
        // Priority goes with a sender only: operation 37 has one.
        (peer(), any_pid(), any_term(), any_token(), any::<bool>()).prop_map(
            |(from, to, message, token, priority)| {
                Signal::Send { from: Some(from), to, message, token, priority }
            }
        ),
        (any_pid(), any_term(), any_token()).prop_map(|(to, message, token)| Signal::Send {
            from: None,
            to,
            message,
            token,
            priority: false
        }),
        (peer(), any_atom(), any_term(), any_token(), any::<bool>()).prop_map(
            |(from, to, message, token, priority)| Signal::RegSend { from, to, message, token, priority }
        ),
        (peer(), reference_of(OWN), any_term(), any_token(), any::<bool>()).prop_map(
            |(from, to, message, token, priority)| Signal::AliasSend { from, to, message, token, priority }
        ),
        (peer(), own()).prop_map(|(from, to)| Signal::Link { from, to }),
        (any::<NonZeroU64>(), peer(), own()).prop_map(|(id, from, to)| Signal::Unlink {
            id: Some(id),
            from,
            to
        }),
        (any::<NonZeroU64>(), peer(), own()).prop_map(|(id, from, to)| Signal::UnlinkAck { id, from, to }),
        (peer(), own(), any_term(), any_token()).prop_map(|(from, to, reason, token)| Signal::Exit {
            from,
            to,
            reason,
            token
        }),
        (peer(), any_signal_target(), any_term(), any_token(), any::<bool>()).prop_map(
            |(from, to, reason, token, priority)| Signal::Exit2 { from, to, reason, token, priority }
        ),
        (peer(), target(), reference()).prop_map(|(from, to, reference)| Signal::Monitor {
            from,
            to,
            reference
        }),
        (peer(), target(), reference()).prop_map(|(from, to, reference)| Signal::Demonitor {
            from,
            to,
            reference
        }),
        (any_monitor_target(pid_of(PEER).boxed()), own(), reference_of(OWN), any_term()).prop_map(
            |(from, to, reference, reason)| {
                Signal::MonitorExit { from, sender: None, to, reference, reason }
            }
        ),
        (any_request(PEER), any_term()).prop_map(|(request, args)| Signal::SpawnRequest { request, args }),
        (
            reference_of(OWN),
            own(),
            any_reply_flags(),
            prop::result::maybe_ok(pid_of(PEER), any_atom()),
            any_token()
        )
            .prop_map(|(request_id, to, flags, result, token)| Signal::SpawnReply {
                request_id,
                to,
                flags,
                result,
                token
            }),
        (any_pid(), any_pid()).prop_map(|(leader, member)| Signal::GroupLeader { leader, member }),
    ]
}

fn inbound(flags: DistFlags) -> Inbound {
    Inbound::new(Atom::from_static(OWN), Atom::from_static(PEER), flags, Limits::default())
}

fn received(flags: DistFlags, bytes: &[u8]) -> Signal {
    let mut inbound = inbound(flags);
    inbound.handle(bytes);
    let Ok(Some(Received::Signal(signal))) = inbound.poll_output() else { panic!("no signal") };
    assert_eq!(inbound.poll_output(), Ok(None));
    signal
}

/// What of a signal arrives where the flags do not suffice for all of it.
fn degraded(mut signal: Signal, flags: DistFlags) -> Signal {
    let drop_token = |token: &mut Option<SeqToken>| {
        if !flags.contains(DistFlags::BIG_SEQTRACE_LABELS) {
            *token = token.take().filter(SeqToken::has_small_label);
        }
    };
    let has_altact = flags.contains(DistFlags::ALTACT_SIG);
    match &mut signal {
        Signal::Send { from, token, priority, .. } => {
            drop_token(token);
            *priority &= has_altact;
            if !*priority && !flags.contains(DistFlags::SEND_SENDER) {
                *from = None;
            }
        }
        Signal::RegSend { token, priority, .. }
        | Signal::AliasSend { token, priority, .. }
        | Signal::Exit2 { token, priority, .. } => {
            drop_token(token);
            *priority &= has_altact;
        }
        Signal::Unlink { id, .. } if !flags.contains(DistFlags::UNLINK_ID) => *id = None,
        Signal::Exit { token, .. } | Signal::SpawnReply { token, .. } => drop_token(token),
        Signal::SpawnRequest { request, .. } => drop_token(&mut request.token),
        _ => {}
    }
    signal
}

/// The flag without which an operation may not be said; nothing for those that every node knows, and for the
/// answers to what the peer said itself.
fn flag_of(op: Op) -> Option<DistFlags> {
    Some(match op {
        Op::SendSender | Op::SendSenderTt => DistFlags::SEND_SENDER,
        Op::MonitorP | Op::DemonitorP | Op::MonitorPExit => {
            DistFlags::DIST_MONITOR.with(DistFlags::DIST_MONITOR_NAME)
        }
        Op::PayloadMonitorPExit => {
            DistFlags::DIST_MONITOR.with(DistFlags::DIST_MONITOR_NAME).with(DistFlags::EXIT_PAYLOAD)
        }
        Op::PayloadExit | Op::PayloadExitTt | Op::PayloadExit2 | Op::PayloadExit2Tt => {
            DistFlags::EXIT_PAYLOAD
        }
        Op::SpawnRequest | Op::SpawnRequestTt => DistFlags::SPAWN,
        Op::AliasSend | Op::AliasSendTt => DistFlags::ALIAS,
        Op::UnlinkId => DistFlags::UNLINK_ID,
        Op::AltactSigSend => DistFlags::ALTACT_SIG,
        _ => return None,
    })
}

fn some_flags() -> impl Strategy<Value = DistFlags> {
    any::<u64>().prop_map(|bits| DistFlags::from_bits(bits & ALL.bits()))
}

proptest! {
    #[test]
    fn a_signal_arrives_as_it_was_sent(signal in any_signal()) {
        let mut bytes = BytesMut::new();
        let encoded = encode_signal(&signal, ALL, &mut bytes);
        let is_sent = matches!(encoded, Ok(Encoded::Frame { .. }));
        prop_assert!(is_sent);
        prop_assert_eq!(received(ALL, &bytes), signal);
    }

    #[test]
    fn whatever_was_agreed_a_signal_arrives_or_is_withheld(signal in any_signal(), flags in some_flags()) {
        let mut bytes = BytesMut::from(&b"before"[..]);
        match encode_signal(&signal, flags, &mut bytes).expect("no misuse") {
            Encoded::Withheld(_) => prop_assert_eq!(&bytes[..], b"before"),
            Encoded::Frame { op, bytes: count } => {
                prop_assert_eq!(bytes.len(), count + 6);
                prop_assert!(flag_of(op).is_none_or(|flag| flags.contains(flag)), "{} with {}", op, flags);
                prop_assert_eq!(received(flags, &bytes[6..]), degraded(signal, flags));
            }
        }
    }
}

fn peer() -> Pid {
    Pid::new(Atom::from_static(PEER), 1, 0, 7)
}

fn own() -> Pid {
    Pid::new(Atom::from_static(OWN), 2, 0, 7)
}

fn third() -> Pid {
    Pid::new(Atom::from_static("third@host"), 3, 0, 7)
}

fn own_reference() -> Reference {
    Reference::new(Atom::from_static(OWN), 7, &[1]).unwrap()
}

fn op_of(signal: &Signal, flags: DistFlags) -> Result<Op, NotSent> {
    signal.to_wire(flags).map(|(control, payload)| {
        assert_eq!(payload.is_some(), control.op().has_payload());
        control.op()
    })
}

#[test]
fn each_missing_flag_has_its_fall_back() {
    let token = Some(SeqToken::new(etf::tuple!(1, 5, 1, peer(), 0)));
    let without = |flag| ALL.without(flag);
    let bare = DistFlags::MANDATORY_23;

    let send =
        |token, priority| Signal::Send { from: Some(peer()), to: own(), message: Term::NIL, token, priority };
    assert_eq!(op_of(&send(None, false), ALL), Ok(Op::SendSender));
    assert_eq!(op_of(&send(token.clone(), false), ALL), Ok(Op::SendSenderTt));
    assert_eq!(op_of(&send(None, false), without(DistFlags::SEND_SENDER)), Ok(Op::Send));
    assert_eq!(op_of(&send(token.clone(), false), bare), Ok(Op::SendTt));
    assert_eq!(op_of(&send(None, true), ALL), Ok(Op::AltactSigSend));
    assert_eq!(op_of(&send(None, true), without(DistFlags::ALTACT_SIG)), Ok(Op::SendSender));
    let no_sender = Signal::Send { from: None, to: own(), message: Term::NIL, token: None, priority: true };
    assert_eq!(op_of(&no_sender, ALL), Ok(Op::Send));

    let alias = Signal::AliasSend {
        from: peer(),
        to: own_reference(),
        message: Term::NIL,
        token: None,
        priority: false,
    };
    assert_eq!(op_of(&alias, ALL), Ok(Op::AltactSigSend));
    assert_eq!(op_of(&alias, without(DistFlags::ALTACT_SIG)), Ok(Op::AliasSend));
    assert_eq!(op_of(&alias, bare), Err(NotSent::Withheld(Withheld::Alias)));

    let exit = |token| Signal::Exit { from: peer(), to: own(), reason: Term::NIL, token };
    assert_eq!(op_of(&exit(None), ALL), Ok(Op::PayloadExit));
    assert_eq!(op_of(&exit(token.clone()), ALL), Ok(Op::PayloadExitTt));
    assert_eq!(op_of(&exit(None), bare), Ok(Op::Exit));
    assert_eq!(op_of(&exit(token.clone()), bare), Ok(Op::ExitTt));

    let exit2 = |to, priority| Signal::Exit2 { from: peer(), to, reason: Term::NIL, token: None, priority };
    let to_pid = || SignalTarget::Pid(own());
    assert_eq!(op_of(&exit2(to_pid(), false), ALL), Ok(Op::PayloadExit2));
    assert_eq!(op_of(&exit2(to_pid(), true), ALL), Ok(Op::AltactSigSend));
    assert_eq!(op_of(&exit2(to_pid(), true), bare), Ok(Op::Exit2));
    let to_alias = || SignalTarget::Alias(own_reference());
    assert_eq!(op_of(&exit2(to_alias(), false), ALL), Ok(Op::AltactSigSend));
    let withheld = Err(NotSent::Withheld(Withheld::ExitToAlias));
    assert_eq!(op_of(&exit2(to_alias(), false), without(DistFlags::ALTACT_SIG)), withheld);

    let target = || MonitorTarget::Pid(own());
    let monitor = Signal::Monitor { from: peer(), to: target(), reference: own_reference() };
    let demonitor = Signal::Demonitor { from: peer(), to: target(), reference: own_reference() };
    let down = Signal::MonitorExit {
        from: MonitorTarget::Pid(peer()),
        sender: None,
        to: own(),
        reference: own_reference(),
        reason: Term::NIL,
    };
    for flag in [DistFlags::DIST_MONITOR, DistFlags::DIST_MONITOR_NAME] {
        for signal in [&monitor, &demonitor, &down] {
            assert_eq!(op_of(signal, without(flag)), Err(NotSent::Withheld(Withheld::Monitors)));
        }
    }
    assert_eq!(op_of(&monitor, ALL), Ok(Op::MonitorP));
    assert_eq!(op_of(&demonitor, ALL), Ok(Op::DemonitorP));
    assert_eq!(op_of(&down, ALL), Ok(Op::PayloadMonitorPExit));
    assert_eq!(op_of(&down, without(DistFlags::EXIT_PAYLOAD)), Ok(Op::MonitorPExit));

    let unlink = |id| Signal::Unlink { id: NonZeroU64::new(id), from: peer(), to: own() };
    assert_eq!(op_of(&unlink(9), ALL), Ok(Op::UnlinkId));
    assert_eq!(op_of(&unlink(9), bare), Ok(Op::Unlink));
    assert_eq!(op_of(&unlink(0), bare), Ok(Op::Unlink));
    assert_eq!(op_of(&unlink(0), ALL), Err(NotSent::UnlinkWithoutId));
    let mut out = BytesMut::new();
    assert_eq!(encode_signal(&unlink(0), ALL, &mut out), Err(EncodeError::UnlinkWithoutId));
    assert!(out.is_empty());

    let request = SpawnRequest {
        request_id: own_reference(),
        from: peer(),
        group_leader: peer(),
        mfa: crate::Mfa { module: Atom::from_static("m"), function: Atom::from_static("f"), arity: 0 },
        options: Ok(crate::SpawnOptions::default()),
        token,
    };
    let spawn = Signal::SpawnRequest { request: Box::new(request), args: Term::NIL };
    assert_eq!(op_of(&spawn, ALL), Ok(Op::SpawnRequestTt));
    assert_eq!(op_of(&spawn, bare), Err(NotSent::Withheld(Withheld::Spawn)));
}

#[test]
fn a_token_with_a_large_label_stays_here_if_the_peer_cannot_take_it() {
    let op = |label: Term, flags| {
        let token = Some(SeqToken::new(etf::tuple!(1, label, 1, peer(), 0)));
        let signal = Signal::RegSend {
            from: peer(),
            to: Atom::from_static("name"),
            message: Term::NIL,
            token,
            priority: false,
        };
        op_of(&signal, flags).unwrap()
    };
    let small_only = ALL.without(DistFlags::BIG_SEQTRACE_LABELS);
    assert_eq!(op(((1 << 27) - 1).into(), small_only), Op::RegSendTt);
    assert_eq!(op((1 << 27).into(), small_only), Op::RegSend);
    assert_eq!(op(Term::atom("label"), small_only), Op::RegSend);
    assert_eq!(op(Term::atom("label"), ALL), Op::RegSendTt);
}

#[test]
fn operations_that_were_not_agreed_on_are_understood() {
    // OTP 25 to 29 do the same with SPAWN_REQUEST, EXIT and ALIAS_SEND (wire.md 3).
    let exit = Signal::Exit { from: peer(), to: own(), reason: Term::NIL, token: None };
    // In the same form of frames, which is not a matter of operations.
    let header = DistFlags::DIST_HDR_ATOM_CACHE;
    for said in [ALL, DistFlags::MANDATORY_23.with(header)] {
        for agreed in [ALL, DistFlags::MANDATORY_23.with(header)] {
            let mut bytes = BytesMut::new();
            let _ = encode_signal(&exit, said, &mut bytes).unwrap();
            assert_eq!(received(agreed, &bytes), exit);
        }
    }
}

#[test]
fn who_speaks_for_another_node_is_refused() {
    let (own_node, peer_node) = (Atom::from_static(OWN), Atom::from_static(PEER));
    let check = |signal: Signal| signal.check_ends(&own_node, &peer_node);
    let foreign_sender = Err(EndsError::ForeignSender { node: Atom::from_static("third@host") });
    let foreign_receiver = Err(EndsError::ForeignReceiver { node: Atom::from_static("third@host") });
    let id = NonZeroU64::MIN;

    let of_two_pids: [fn(Pid, Pid) -> Signal; 7] = [
        |from, to| Signal::Link { from, to },
        |from, to| Signal::Unlink { id: None, from, to },
        |from, to| Signal::UnlinkAck { id: NonZeroU64::MIN, from, to },
        |from, to| Signal::Exit { from, to, reason: Term::NIL, token: None },
        |from, to| Signal::Exit2 {
            from,
            to: SignalTarget::Pid(to),
            reason: Term::NIL,
            token: None,
            priority: false,
        },
        |from, to| Signal::Monitor { from, to: MonitorTarget::Pid(to), reference: own_reference() },
        |from, to| Signal::MonitorExit {
            from: MonitorTarget::Pid(from),
            sender: None,
            to,
            reference: own_reference(),
            reason: Term::NIL,
        },
    ];
    for signal in of_two_pids {
        assert_eq!(check(signal(peer(), own())), Ok(()));
        assert_eq!(check(signal(third(), own())), foreign_sender);
        assert_eq!(check(signal(peer(), third())), foreign_receiver);
        // Its own pids sent back to a peer are no better.
        assert!(check(signal(own(), peer())).is_err());
    }
    let old_creation = Pid::new(Atom::from_static(OWN), 2, 0, 6);
    assert_eq!(check(Signal::Unlink { id: Some(id), from: peer(), to: old_creation }), Ok(()));

    let send =
        Signal::Send { from: Some(third()), to: third(), message: Term::NIL, token: None, priority: false };
    assert_eq!(check(send), Ok(()), "dropped by the router, as on the BEAM");
    assert_eq!(check(Signal::GroupLeader { leader: third(), member: own() }), Ok(()));

    let reply = |request_id, result| Signal::SpawnReply {
        request_id,
        to: own(),
        flags: SpawnReplyFlags::NONE,
        result,
        token: None,
    };
    let third_reference = Reference::new(Atom::from_static("third@host"), 7, &[1]).unwrap();
    assert_eq!(check(reply(own_reference(), Ok(peer()))), Ok(()));
    assert_eq!(check(reply(own_reference(), Err(Atom::from_static("badopt")))), Ok(()));
    assert_eq!(check(reply(own_reference(), Ok(third()))), foreign_sender);
    assert_eq!(check(reply(third_reference, Ok(peer()))), foreign_receiver);
}

/// Also where it is started while another's long message goes out in fragments, behind which others may wait.
#[test]
fn a_spawn_reply_comes_before_all_that_the_new_process_says() {
    let new = Pid::new(Atom::from_static(OWN), 9, 0, 3);
    let to = Pid::new(Atom::from_static(PEER), 1, 0, 3);
    let long = Signal::Send {
        from: Some(own()),
        to: to.clone(),
        message: Term::binary(vec![7; Outbound::WHOLE_BYTES_MAX + 1]),
        token: None,
        priority: false,
    };
    let reply = Signal::SpawnReply {
        request_id: Reference::new(Atom::from_static(PEER), 3, &[1, 2, 3]).unwrap(),
        to: to.clone(),
        flags: SpawnReplyFlags::MONITOR,
        result: Ok(new.clone()),
        token: None,
    };
    let end = Signal::Exit { from: new, to, reason: Term::atom("done"), token: None };
    let (mut outbound, mut out) = (Outbound::new(ALL), Segments::new());
    let mut inbound = Inbound::new(PEER.into(), OWN.into(), ALL, Limits::default());
    for signal in [&long, &reply, &end] {
        assert!(matches!(outbound.handle(signal), Ok(Encoded::Frame { .. })));
    }
    let mut received = Vec::new();
    while outbound.poll_output(&mut out) {
        out.chunks().for_each(|chunk| inbound.handle(chunk));
        out.clear();
        while let Some(Received::Signal(signal)) = inbound.poll_output().unwrap() {
            received.push(signal);
        }
    }
    assert!(received == [reply, end, long]);
}
