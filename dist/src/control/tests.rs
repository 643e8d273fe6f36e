use bytes::{Bytes, BytesMut};
use etf::{BigInt, DecodeLimits, Float, decode_bare, encode_into, tuple};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::OPS;

pub(crate) fn any_pid() -> impl Strategy<Value = Pid> {
    pid_of("peer@host").boxed().prop_union(pid_of("third@host").boxed())
}

pub(crate) fn pid_of(node: &'static str) -> impl Strategy<Value = Pid> {
    any::<(u32, u32, u32)>()
        .prop_map(move |(id, serial, creation)| Pid::new(Atom::from_static(node), id, serial, creation))
}

pub(crate) fn reference_of(node: &'static str) -> impl Strategy<Value = Reference> {
    (any::<u32>(), vec(any::<u32>(), 1..=Reference::WORDS_MAX)).prop_map(move |(creation, words)| {
        Reference::new(Atom::from_static(node), creation, &words).expect("one to five words")
    })
}

pub(crate) fn any_atom() -> impl Strategy<Value = Atom> {
    "[a-z_ü]{0,20}".prop_map(|text| Atom::try_new(text).expect("short"))
}

pub(crate) fn any_term() -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Term::Int),
        any_atom().prop_map(Term::Atom),
        any_pid().prop_map(Term::Pid),
        vec(any::<u8>(), 0..40).prop_map(Term::binary),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Term::tuple), vec(inner, 0..4).prop_map(Term::list)]
    })
}

pub(crate) fn any_token() -> impl Strategy<Value = Option<SeqToken>> {
    option::of(any_term().prop_map(SeqToken::new))
}

pub(crate) fn any_monitor_target(pid: BoxedStrategy<Pid>) -> impl Strategy<Value = MonitorTarget> {
    prop_oneof![pid.prop_map(MonitorTarget::Pid), any_atom().prop_map(MonitorTarget::Name)]
}

pub(crate) fn any_reply_flags() -> impl Strategy<Value = SpawnReplyFlags> {
    (0..=u64::from(SpawnReplyFlags::MAX)).prop_map(|bits| SpawnReplyFlags::from_bits(bits).expect("in range"))
}

pub(crate) fn any_options() -> impl Strategy<Value = Result<SpawnOptions, BadSpawnOptions>> {
    let mode = prop_oneof![
        Just(AliasMode::ExplicitUnalias),
        Just(AliasMode::Demonitor),
        Just(AliasMode::ReplyDemonitor)
    ];
    // Options with a number are known to nobody.
    let unknown = || vec(any::<i64>().prop_map(|int| tuple!(int, atom "x")), 0..3);
    let monitor = (option::of(any_term()), option::of(mode), unknown())
        .prop_map(|(tag, alias, unknown)| MonitorOptions { tag, alias, unknown });
    let tuning = vec(any::<i64>().prop_map(|words| tuple!(atom "min_heap_size", words)), 0..3);
    let good = (any::<bool>(), option::of(monitor), tuning, unknown())
        .prop_map(|(link, monitor, tuning, unknown)| Ok(SpawnOptions { link, monitor, tuning, unknown }));
    prop_oneof![9 => good, 1 => any::<i64>().prop_map(|int| Err(BadSpawnOptions(int.into())))]
}

pub(crate) fn any_request(node: &'static str) -> impl Strategy<Value = Box<SpawnRequest>> {
    let mfa = (any_atom(), any_atom(), any::<i64>()).prop_map(|(module, function, arity)| Mfa {
        module,
        function,
        arity,
    });
    (reference_of(node), pid_of(node), any_pid(), mfa, any_options(), any_token()).prop_map(
        |(request_id, from, group_leader, mfa, options, token)| {
            Box::new(SpawnRequest { request_id, from, group_leader, mfa, options, token })
        },
    )
}

fn any_control() -> impl Strategy<Value = ControlMessage> {
    let pid = any_pid;
    let reference = || reference_of("own@host");
    let target = || any_monitor_target(any_pid().boxed());
    let id = any::<NonZeroU64>;
    prop_oneof![
        (pid(), pid()).prop_map(|(from, to)| ControlMessage::Link { from, to }),
        (pid(), any_token()).prop_map(|(to, token)| ControlMessage::Send { to, token }),
        (pid(), pid(), any_token(), any_term()).prop_map(|(from, to, token, reason)| ControlMessage::Exit {
            from,
            to,
            token,
            reason
        }),
        (pid(), pid()).prop_map(|(from, to)| ControlMessage::Unlink { from, to }),
        (pid(), any_atom(), any_token()).prop_map(|(from, to, token)| ControlMessage::RegSend {
            from,
            to,
            token
        }),
        (pid(), pid()).prop_map(|(leader, member)| ControlMessage::GroupLeader { leader, member }),
        (pid(), pid(), any_token(), any_term()).prop_map(|(from, to, token, reason)| ControlMessage::Exit2 {
            from,
            to,
            token,
            reason
        }),
        (pid(), target(), reference()).prop_map(|(from, to, reference)| ControlMessage::MonitorP {
            from,
            to,
            reference
        }),
        (pid(), target(), reference()).prop_map(|(from, to, reference)| ControlMessage::DemonitorP {
            from,
            to,
            reference
        }),
        (target(), pid(), reference(), any_term()).prop_map(|(from, to, reference, reason)| {
            ControlMessage::MonitorPExit { from, to, reference, reason }
        }),
        (pid(), pid(), any_token()).prop_map(|(from, to, token)| ControlMessage::SendSender {
            from,
            to,
            token
        }),
        (pid(), pid(), any_token()).prop_map(|(from, to, token)| ControlMessage::PayloadExit {
            from,
            to,
            token
        }),
        (pid(), pid(), any_token()).prop_map(|(from, to, token)| ControlMessage::PayloadExit2 {
            from,
            to,
            token
        }),
        (target(), pid(), reference())
            .prop_map(|(from, to, reference)| ControlMessage::PayloadMonitorPExit { from, to, reference }),
        any_request("peer@host").prop_map(ControlMessage::SpawnRequest),
        (reference(), pid(), any_reply_flags(), prop::result::maybe_ok(pid(), any_atom()), any_token())
            .prop_map(|(request_id, to, flags, result, token)| ControlMessage::SpawnReply {
                request_id,
                to,
                flags,
                result,
                token
            }),
        (pid(), reference(), any_token()).prop_map(|(from, to, token)| ControlMessage::AliasSend {
            from,
            to,
            token
        }),
        (id(), pid(), pid()).prop_map(|(id, from, to)| ControlMessage::UnlinkId { id, from, to }),
        (id(), pid(), pid()).prop_map(|(id, from, to)| ControlMessage::UnlinkIdAck { id, from, to }),
        (any::<(bool, bool, u64)>(), pid(), any_signal_target(), any_token()).prop_map(
            |((priority, exit, flags), from, to, token)| ControlMessage::AltactSigSend {
                priority,
                exit,
                from,
                to,
                token,
                unknown_flags: flags & !altact::KNOWN
            }
        ),
    ]
}

pub(crate) fn any_signal_target() -> impl Strategy<Value = SignalTarget> {
    prop_oneof![
        pid_of("own@host").prop_map(SignalTarget::Pid),
        reference_of("own@host").prop_map(SignalTarget::Alias),
        any_atom().prop_map(SignalTarget::Name)
    ]
}

proptest! {
    #[test]
    fn a_message_survives_its_own_tuple(message in any_control()) {
        let term = message.to_term();
        let size = term.as_tuple().expect("a tuple").len();
        prop_assert!(message.op().row().arity.allows(size));
        prop_assert_eq!(ControlMessage::from_term(term), Ok(message));
    }

    #[test]
    fn a_message_survives_its_own_bytes(message in any_control()) {
        let mut bytes = BytesMut::new();
        encode_into(&message.to_term(), &mut bytes);
        let bytes = bytes.freeze();
        let (term, end) = decode_bare(&bytes, 0, &[], &DecodeLimits::default()).expect("our own bytes");
        prop_assert_eq!(end, bytes.len());
        prop_assert_eq!(ControlMessage::from_term(term), Ok(message));
    }

    #[test]
    fn no_tuple_makes_a_panic(number in 0i64..40, elements in vec(any_term(), 0..8)) {
        let tuple = std::iter::once(Term::Int(number)).chain(elements).collect();
        if let Err(error) = ControlMessage::from_term(Term::Tuple(tuple)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_truncation_is_a_term(message in any_control()) {
        let mut bytes = BytesMut::new();
        encode_into(&message.to_term(), &mut bytes);
        for cut in 0..bytes.len() {
            let cut = Bytes::copy_from_slice(&bytes[..cut]);
            prop_assert!(decode_bare(&cut, 0, &[], &DecodeLimits::default()).is_err());
        }
    }
}

/// What each element of each operation must be, after wire.md 5: `p`id, `a`tom, `r`eference, pid or `n`ame,
/// `m`fa, unlink `i`d, spawn reply `f`lags, pid or `e`rror, flags of 37 `g`, `*` anything.
const SHAPES: &[(Op, &str)] = &[
    (Op::Link, "pp"),
    (Op::Send, "*p"),
    (Op::Exit, "pp*"),
    (Op::Unlink, "pp"),
    (Op::RegSend, "p*a"),
    (Op::GroupLeader, "pp"),
    (Op::Exit2, "pp*"),
    (Op::SendTt, "*p*"),
    (Op::ExitTt, "pp**"),
    (Op::RegSendTt, "p*a*"),
    (Op::Exit2Tt, "pp**"),
    (Op::MonitorP, "pnr"),
    (Op::DemonitorP, "pnr"),
    (Op::MonitorPExit, "npr*"),
    (Op::SendSender, "pp"),
    (Op::SendSenderTt, "pp*"),
    (Op::PayloadExit, "pp"),
    (Op::PayloadExitTt, "pp*"),
    (Op::PayloadExit2, "pp"),
    (Op::PayloadExit2Tt, "pp*"),
    (Op::PayloadMonitorPExit, "npr"),
    (Op::SpawnRequest, "rppm*"),
    (Op::SpawnRequestTt, "rppm**"),
    (Op::SpawnReply, "rpfe"),
    (Op::SpawnReplyTt, "rpfe*"),
    (Op::AliasSend, "pr"),
    (Op::AliasSendTt, "pr*"),
    (Op::UnlinkId, "ipp"),
    (Op::UnlinkIdAck, "ipp"),
    (Op::AltactSigSend, "gpp"),
];

/// One of each kind of term, with the letters of what it may stand for.
fn specimens() -> Vec<(&'static str, Term)> {
    let pid = || Pid::new(Atom::from_static("peer@host"), 1, 2, 3);
    let reference = Reference::new(Atom::from_static("own@host"), 4, &[5]).unwrap();
    let two_to = |bits: u32| Term::from(BigInt::from(1u8) << bits);
    vec![
        ("pne*", pid().into()),
        ("ane*", Term::atom("name")),
        ("r*", reference.into()),
        ("m*", tuple!(atom "m", atom "f", 300)),
        ("*", tuple!(atom "m", atom "f")),
        ("*", tuple!(atom "m", atom "f", atom "a")),
        ("*", tuple!(1, atom "f", 0)),
        ("fg*", 0.into()),
        ("if*", 7.into()),
        ("*", Term::from(-1)),
        ("if*", ((1 << 27) - 1).into()),
        ("i*", (1 << 27).into()),
        ("i*", u64::MAX.into()),
        ("*", two_to(64)),
        ("*", Term::from(-BigInt::from(u64::MAX))),
        ("*", Float::new(1.0).unwrap().into()),
        ("*", Term::NIL),
        ("*", Term::list(vec![pid().into()])),
        ("*", Term::list_with_tail(vec![pid().into()], Term::atom("tail"))),
        ("*", Term::binary("peer")),
        ("*", Term::Map(etf::Map::new())),
        ("*", Term::export("m", "f", 1)),
        ("*", Term::tuple(vec![])),
    ]
}

fn right(kind: char) -> Term {
    let fits = specimens().into_iter().find(|(kinds, _)| kinds.contains(kind));
    fits.expect("there is a specimen of each kind").1
}

fn tuple_of(op: Op, kinds: &str) -> Vec<Term> {
    std::iter::once(op.number().into()).chain(kinds.chars().map(right)).collect()
}

#[test]
fn every_operation_has_a_shape() {
    let shaped: Vec<_> = SHAPES.iter().map(|(op, _)| *op).collect();
    assert_eq!(shaped, OPS.iter().map(|row| row.op).collect::<Vec<_>>());
    for (op, kinds) in SHAPES {
        let message = ControlMessage::from_term(Term::tuple(tuple_of(*op, kinds)));
        assert_eq!(message.map(|message| message.op()), Ok(*op));
    }
}

#[test]
fn every_wrong_number_of_elements_is_refused() {
    for (op, kinds) in SHAPES {
        let all = tuple_of(*op, kinds);
        for got in 1..12 {
            let mut tuple = all.clone();
            tuple.resize(got, Term::atom("more"));
            let result = ControlMessage::from_term(Term::tuple(tuple));
            let expected = op.row().arity;
            if expected.allows(got) {
                assert!(result.is_ok(), "{op} with {got}: {result:?}");
            } else {
                assert_eq!(result, Err(ControlError::Arity { op: *op, got, expected }));
            }
        }
    }
}

#[test]
fn every_wrong_type_of_every_element_is_refused_and_told() {
    for (op, kinds) in SHAPES {
        for (at, kind) in kinds.chars().enumerate() {
            for (fits, term) in specimens() {
                if *op == Op::AltactSigSend && kind == 'g' {
                    continue; // Its flags decide about the other elements: a test of its own.
                }
                let mut tuple = tuple_of(*op, kinds);
                tuple[at + 1] = term.clone();
                match ControlMessage::from_term(Term::tuple(tuple)) {
                    Ok(_) => assert!(fits.contains(kind), "{op} took {term} as {kind}"),
                    Err(ControlError::Type { op: said, element, .. }) => {
                        assert!(!fits.contains(kind), "{op} did not take {term} as {kind}");
                        assert_eq!((said, element), (*op, at + 2));
                    }
                    Err(other) => panic!("{op}, {term} as {kind}: {other}"),
                }
            }
        }
    }
}

#[test]
fn flags_of_altact_decide_what_the_receiver_is() {
    let to = [("pid", right('p')), ("alias", right('r')), ("name", right('a')), ("list", Term::NIL)];
    for flags in 0..64u64 {
        for (kind, to) in &to {
            for token in [false, true] {
                let mut tuple = vec![37.into(), flags.into(), right('p'), to.clone()];
                tuple.extend(token.then(|| Term::atom("token")));
                let result = ControlMessage::from_term(Term::tuple(tuple));
                let wanted = match (flags & 4 != 0, flags & 8 != 0) {
                    (false, false) => "pid",
                    (true, false) => "alias",
                    (false, true) => "name",
                    (true, true) => "none",
                };
                let fits = wanted == *kind && (token || flags & 2 == 0);
                assert_eq!(result.is_ok(), fits, "{flags} {kind} {token}: {result:?}");
                if let Ok(ControlMessage::AltactSigSend { priority, exit, token, unknown_flags, .. }) = result
                {
                    assert_eq!(priority, flags & 1 != 0);
                    assert_eq!(token.is_some(), flags & 2 != 0, "without the flag the element is ignored");
                    assert_eq!(exit, flags & 16 != 0);
                    assert_eq!(unknown_flags, flags & 32);
                }
            }
        }
    }
}

#[test]
fn flags_of_altact_may_be_of_any_size_but_not_negative() {
    let message =
        |flags: Term| ControlMessage::from_term(Term::tuple(vec![37.into(), flags, right('p'), right('p')]));
    let unknown = |flags: Term| match message(flags) {
        Ok(ControlMessage::AltactSigSend { priority: true, unknown_flags, .. }) => unknown_flags,
        other => panic!("{other:?}"),
    };
    assert_eq!(unknown((u64::MAX - 30).into()), u64::MAX - 31);
    assert_eq!(unknown(((BigInt::from(1u8) << 200u32) + 33u8).into()), 32);
    for negative in [BigInt::from(-1), BigInt::from(-1) << 200u32] {
        let error = ControlError::Type { op: Op::AltactSigSend, element: 2, expected: Kind::Flags };
        assert_eq!(message(negative.into()), Err(error));
    }
}

#[test]
fn what_is_no_operation_is_refused() {
    let refused = |term| ControlMessage::from_term(term).unwrap_err();
    assert_eq!(refused(Term::atom("link")), ControlError::NotATuple);
    assert_eq!(refused(Term::list(vec![1.into()])), ControlError::NotATuple);
    assert_eq!(refused(Term::tuple(vec![])), ControlError::NotATuple);
    assert_eq!(refused(tuple!(atom "link", 1, 2)), ControlError::OpNotANumber);
    assert_eq!(refused(tuple!(BigInt::from(u64::MAX), 1, 2)), ControlError::OpNotANumber);
    for number in [-1, 0, 5, 9, 17, 38, 255, i64::MAX] {
        assert_eq!(refused(tuple!(number, 1, 2)), ControlError::UnknownOp { number });
    }
}

#[test]
fn an_unlink_of_id_0_is_refused() {
    for op in [Op::UnlinkId, Op::UnlinkIdAck] {
        let tuple = Term::tuple(vec![op.number().into(), 0.into(), right('p'), right('p')]);
        let error = ControlError::Type { op, element: 2, expected: Kind::UnlinkId };
        assert_eq!(ControlMessage::from_term(tuple), Err(error));
    }
}

#[test]
fn the_place_of_the_cookie_is_not_looked_at() {
    let Ok(ControlMessage::Send { .. }) = ControlMessage::from_term(tuple!(2, atom "cookie", right('p')))
    else {
        panic!("SEND with a cookie")
    };
    let tuple = tuple!(6, right('p'), atom "cookie", atom "name");
    let Ok(ControlMessage::RegSend { .. }) = ControlMessage::from_term(tuple) else {
        panic!("REG_SEND with a cookie")
    };
}

#[test]
fn spawn_options_are_sorted_by_who_must_know_them() {
    let list = Term::list(vec![
        Term::atom("link"),
        tuple!(atom "monitor", vec![tuple!(atom "tag", 5), tuple!(atom "alias", atom "reply_demonitor")]),
        tuple!(atom "priority", atom "high"),
        Term::atom("reply"),
        tuple!(atom "async_dist", true),
        tuple!(atom "monitor", atom "no_list"),
        tuple!(atom "monitor", vec![tuple!(atom "alias", atom "never")]),
        Term::atom("priority"),
    ]);
    let options = SpawnOptions::from_term(list).unwrap();
    let monitor =
        MonitorOptions { tag: Some(5.into()), alias: Some(AliasMode::ReplyDemonitor), unknown: vec![] };
    assert_eq!(options.monitor, Some(monitor));
    assert!(options.link);
    assert_eq!(options.tuning, [tuple!(atom "priority", atom "high"), tuple!(atom "async_dist", true)]);
    let unknown = [
        Term::atom("reply"),
        tuple!(atom "monitor", atom "no_list"),
        tuple!(atom "monitor", vec![tuple!(atom "alias", atom "never")]),
        Term::atom("priority"),
    ];
    assert_eq!(options.unknown, unknown);
}

#[test]
fn spawn_reply_flags_have_27_bits() {
    assert!(SpawnReplyFlags::from_bits((1 << 27) - 1).is_ok());
    assert_eq!(SpawnReplyFlags::from_bits(1 << 27), Err(SpawnReplyFlagsError { bits: 1 << 27 }));
}
