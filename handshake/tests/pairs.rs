//! Initiator and acceptor against each other in memory, and each against a peer of hand-made bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crabnode_handshake::message::{
    Ack, AnyName, Challenge, Complement, MessageError, MessageKind, Name, OldName, Reply, Status, StatusReply,
};
use crabnode_handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, CookieRefusal, Creation, DistFlags,
    Established, HandshakeConfig, HandshakeError, Initiator, InitiatorInput, InitiatorOutput, LengthPrefix,
    LocalIdentity, NodeName, NodeNameError, Stage, Verdict,
};
use proptest::prelude::*;

const SETUP_TIME: Duration = Duration::from_secs(7);
const OUR_CHALLENGE: u32 = 0x8000_0011;
const PEER_CHALLENGE: u32 = 0x7fff_ff22;

#[expect(clippy::disallowed_methods, reason = "any instant will do; it passes only where a test adds to it")]
fn start() -> Instant {
    Instant::now()
}

fn node(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn cookie(text: &str) -> Cookie {
    Cookie::new(text).unwrap()
}

fn identity(name: &str, creation: u32) -> LocalIdentity {
    LocalIdentity { name: node(name), creation: Creation(creation), flags: DistFlags::OFFERED }
}

fn dial_with(now: Instant, config: HandshakeConfig) -> Initiator {
    Initiator::new(now, identity("a@h", 10), node("b@h"), cookie("secret"), OUR_CHALLENGE, config)
}

fn dial(now: Instant) -> Initiator {
    dial_with(now, HandshakeConfig::default())
}

fn accept_with(now: Instant, config: HandshakeConfig) -> Acceptor {
    Acceptor::new(now, identity("b@h", 20), CookieBook::new(cookie("secret")), OUR_CHALLENGE, config)
}

fn accept(now: Instant) -> Acceptor {
    accept_with(now, HandshakeConfig::default())
}

fn framed(message: Bytes) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), &message[..]].concat()
}

fn name(text: &str) -> Vec<u8> {
    framed(Name { flags: DistFlags::OFFERED, creation: Creation(10), name: text.into() }.encode())
}

fn challenge(name: &str, flags: DistFlags) -> Vec<u8> {
    let message = Challenge { flags, challenge: PEER_CHALLENGE, creation: Creation(20), name: name.into() };
    framed(message.encode())
}

fn reply(cookie_text: &str) -> Vec<u8> {
    let digest = cookie(cookie_text).digest(OUR_CHALLENGE);
    framed(Reply { challenge: PEER_CHALLENGE, digest }.encode())
}

fn ack(cookie_text: &str) -> Vec<u8> {
    framed(Ack { digest: cookie(cookie_text).digest(OUR_CHALLENGE) }.encode())
}

/// The bytes of every `Send` that is out, joined; any other output ends the test.
fn sent_by_initiator(machine: &mut Initiator) -> Vec<u8> {
    std::iter::from_fn(|| machine.poll_output())
        .flat_map(|output| match output {
            InitiatorOutput::Send(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn sent_by_acceptor(machine: &mut Acceptor) -> Vec<u8> {
    std::iter::from_fn(|| machine.poll_output())
        .flat_map(|output| match output {
            AcceptorOutput::Send(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// An initiator that has sent its name, and is given `bytes`.
fn dialled(bytes: &[u8]) -> (Initiator, Result<(), HandshakeError>) {
    let now = start();
    let mut machine = dial(now);
    sent_by_initiator(&mut machine);
    let result = machine.handle(now, InitiatorInput::Bytes(bytes));
    (machine, result)
}

/// An acceptor that was given a good name and has asked for the verdict.
fn named(now: Instant) -> Acceptor {
    let mut machine = accept(now);
    machine.handle(now, AcceptorInput::Bytes(&name("a@h"))).unwrap();
    assert_eq!(machine.poll_output(), Some(AcceptorOutput::AskVerdict { peer: node("a@h") }));
    assert_eq!(machine.poll_output(), None);
    machine
}

/// What the shells of two connected machines saw.
#[derive(Debug, Default)]
struct Seen {
    alive_asked: usize,
    old_closed: usize,
    at_initiator: Option<Established>,
    at_acceptor: Option<Established>,
}

/// Runs both to the end, with the bytes between them cut into pieces of `piece` bytes.
fn run(
    a: &mut Initiator,
    b: &mut Acceptor,
    verdict: Verdict,
    piece: usize,
) -> (Seen, Result<(), HandshakeError>, Result<(), HandshakeError>) {
    let now = start();
    let mut seen = Seen::default();
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    let (mut result_a, mut result_b) = (Ok(()), Ok(()));
    loop {
        let mut idle = true;
        while let Some(output) = a.poll_output() {
            idle = false;
            match output {
                InitiatorOutput::Send(bytes) => to_b.extend_from_slice(&bytes),
                InitiatorOutput::AskAlive => {
                    seen.alive_asked += 1;
                    result_a = a.handle(now, InitiatorInput::AliveAnswer(true));
                }
                InitiatorOutput::Established(established) => seen.at_initiator = Some(established),
            }
        }
        while let Some(output) = b.poll_output() {
            idle = false;
            match output {
                AcceptorOutput::Send(bytes) => to_a.extend_from_slice(&bytes),
                AcceptorOutput::AskVerdict { .. } | AcceptorOutput::AskName { .. } => {
                    result_b = b.handle(now, AcceptorInput::Verdict(verdict.clone()));
                }
                AcceptorOutput::CloseOldLink => {
                    seen.old_closed += 1;
                    result_b = b.handle(now, AcceptorInput::OldLinkDown);
                }
                AcceptorOutput::Established(established) => seen.at_acceptor = Some(established),
            }
        }
        for bytes in std::mem::take(&mut to_b).chunks(piece) {
            idle = false;
            if result_b.is_ok() {
                result_b = b.handle(now, AcceptorInput::Bytes(bytes));
            }
        }
        for bytes in std::mem::take(&mut to_a).chunks(piece) {
            idle = false;
            if result_a.is_ok() {
                result_a = a.handle(now, InitiatorInput::Bytes(bytes));
            }
        }
        if idle {
            return (seen, result_a, result_b);
        }
    }
}

// --- Pairs ---

#[test]
fn two_of_us_connect() {
    for prefix in [LengthPrefix::U16, LengthPrefix::U32] {
        for verdict in [Verdict::Ok, Verdict::OkSimultaneous, Verdict::Alive] {
            for piece in [1, 2, 3, 7, 4096] {
                let config = HandshakeConfig { prefix, ..HandshakeConfig::default() };
                let (mut a, mut b) = (dial_with(start(), config), accept_with(start(), config));
                let (seen, result_a, result_b) = run(&mut a, &mut b, verdict.clone(), piece);
                assert_eq!((result_a, result_b), (Ok(()), Ok(())));
                let is_alive = usize::from(verdict == Verdict::Alive);
                assert_eq!((seen.alive_asked, seen.old_closed), (is_alive, is_alive));
                assert_eq!((a.poll_timeout(), b.poll_timeout()), (None, None));

                let (at_a, at_b) = (seen.at_initiator.unwrap(), seen.at_acceptor.unwrap());
                assert_eq!((at_a.peer.as_str(), at_a.peer_creation), ("b@h", Creation(20)));
                assert_eq!((at_b.peer.as_str(), at_b.peer_creation), ("a@h", Creation(10)));
                assert_eq!((at_a.flags, at_b.flags), (DistFlags::OFFERED, DistFlags::OFFERED));
                assert_eq!((at_a.peer_flags, at_b.peer_flags), (DistFlags::OFFERED, DistFlags::OFFERED));
                assert_eq!((at_a.given, at_b.given), (None, None));
                assert!(at_a.leftover.is_empty() && at_b.leftover.is_empty());
            }
        }
    }
}

#[test]
fn a_verdict_against_the_peer_ends_both() {
    let ends = |verdict: Verdict| {
        let (mut a, mut b) = (dial(start()), accept(start()));
        let (seen, result_a, result_b) = run(&mut a, &mut b, verdict.clone(), 4096);
        assert_eq!(result_b, Err(HandshakeError::Refused { peer: "a@h".into(), verdict }));
        assert!(seen.at_initiator.is_none() && seen.at_acceptor.is_none());
        result_a
    };
    let peer = node("b@h");
    assert_eq!(ends(Verdict::Nok), Err(HandshakeError::Nok { peer: peer.clone() }));
    assert_eq!(ends(Verdict::NotAllowed), Err(HandshakeError::NotAllowed { peer, lacking: DistFlags::NONE }));
    // No byte comes, so the initiator still waits.
    assert_eq!(ends(Verdict::CloseSilently), Ok(()));
}

#[test]
fn different_cookies_are_found_out_by_both() {
    let mut a = dial(start());
    let other = CookieBook::new(cookie("other"));
    let mut c = Acceptor::new(start(), identity("b@h", 20), other, OUR_CHALLENGE, HandshakeConfig::default());
    let (seen, result_a, result_c) = run(&mut a, &mut c, Verdict::Ok, 4096);
    assert!(seen.at_initiator.is_none() && seen.at_acceptor.is_none());
    assert_eq!(result_a, Ok(()));
    let refused = |peer: &str, who| Err(HandshakeError::WrongCookie { peer: node(peer), who });
    assert_eq!(result_c, refused("a@h", CookieRefusal::WeRefuse));
    // The acceptor closes without a word.
    assert_eq!(c.poll_output(), None);
    assert_eq!(a.handle(start(), InitiatorInput::Eof), refused("b@h", CookieRefusal::TheyRefused));

    // A cookie for this very peer goes before the acceptor's own.
    let mut book = CookieBook::new(cookie("other"));
    book.set(node("a@h"), cookie("secret"));
    let mut b = Acceptor::new(start(), identity("b@h", 20), book, 1, HandshakeConfig::default());
    let (seen, ..) = run(&mut dial(start()), &mut b, Verdict::Ok, 4096);
    assert!(seen.at_initiator.is_some() && seen.at_acceptor.is_some());
}

#[test]
fn a_node_without_a_name_gets_one() {
    let config = HandshakeConfig::default();
    let peer = node("b@h");
    let mut a = Initiator::new_nameless(
        start(),
        "h",
        DistFlags::OFFERED,
        peer,
        cookie("secret"),
        OUR_CHALLENGE,
        config,
    );
    let mut b = accept(start());
    let given = Verdict::OkNamed { name: node("XYZ@h"), creation: Creation(99) };
    let (seen, result_a, result_b) = run(&mut a, &mut b, given, 5);
    assert_eq!((result_a, result_b), (Ok(()), Ok(())));
    let (at_a, at_b) = (seen.at_initiator.unwrap(), seen.at_acceptor.unwrap());
    let given = at_a.given.unwrap();
    assert_eq!((given.name.as_str(), given.creation), ("XYZ@h", Creation(99)));
    assert_eq!((at_b.peer.as_str(), at_b.peer_creation), ("XYZ@h", Creation(99)));
    // Hidden on both sides, and the request is not a capability.
    let agreed = DistFlags::OFFERED.without(DistFlags::PUBLISHED);
    assert_eq!((at_a.flags, at_b.flags), (agreed, agreed));
    assert!(at_a.peer_flags.contains(DistFlags::NAME_ME), "BEAM nodes insist on it in the challenge");
    assert_eq!(at_b.peer_flags, agreed);
}

// --- The initiator ---

#[test]
fn the_initiators_bytes() {
    let now = start();
    let mut machine = dial(now);
    let flags = DistFlags::OFFERED.bits().to_be_bytes();
    let expected = [b"\0\x12N", &flags[..], b"\0\0\0\x0a\0\x03a@h"].concat();
    assert_eq!(sent_by_initiator(&mut machine), expected);

    machine.handle(now, InitiatorInput::Bytes(b"\0\x03sok")).unwrap();
    assert_eq!(sent_by_initiator(&mut machine), b"");
    assert_eq!(machine.peer_challenge(), None);
    machine.handle(now, InitiatorInput::Bytes(&challenge("b@h", DistFlags::OFFERED))).unwrap();
    assert_eq!((machine.challenge(), machine.peer_challenge()), (OUR_CHALLENGE, Some(PEER_CHALLENGE)));
    // MD5 of "secret2147483426".
    let digest = cookie("secret").digest(PEER_CHALLENGE);
    assert_eq!(sent_by_initiator(&mut machine), [&b"\0\x15r\x80\0\0\x11"[..], &digest].concat());
}

#[test]
fn bytes_behind_the_ack_are_kept() {
    let now = start();
    let all = [
        framed(Status::Ok.encode()),
        challenge("b@h", DistFlags::OFFERED),
        ack("secret"),
        vec![0; 4],
        vec![7; 100_000],
    ]
    .concat();
    let (mut machine, result) = dialled(&all);
    assert_eq!(result, Ok(()));
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
    let [InitiatorOutput::Send(_), InitiatorOutput::Established(established)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(established.leftover.len(), 100_004);
    // The machine is done, and says so.
    let done = Err(HandshakeError::Misused { stage: Stage::Done });
    assert_eq!(machine.handle(now, InitiatorInput::Bytes(b"x")), done);
}

#[test]
fn flags_are_agreed_after_expansion() {
    let short = DistFlags::MANDATORY_25_DIGEST | DistFlags::V4_NC | DistFlags::from_bits(1 << 63);
    let all = [framed(Status::Ok.encode()), challenge("b@h", short), ack("secret")].concat();
    let (mut machine, result) = dialled(&all);
    assert_eq!(result, Ok(()));
    let Some(InitiatorOutput::Established(established)) = std::iter::from_fn(|| machine.poll_output()).last()
    else {
        panic!("not established");
    };
    let expected = DistFlags::MANDATORY_25 | DistFlags::MANDATORY_25_DIGEST | DistFlags::V4_NC;
    assert_eq!(established.flags, expected);
    assert_eq!(established.peer_flags, expected | DistFlags::from_bits(1 << 63));
}

#[test]
fn statuses_an_initiator_gets() {
    let peer = node("b@h");
    let refused = |status: Status| {
        let (mut machine, result) = dialled(&framed(status.encode()));
        assert_eq!(sent_by_initiator(&mut machine), b"");
        result.unwrap_err()
    };
    assert_eq!(refused(Status::Nok), HandshakeError::Nok { peer: peer.clone() });
    let lacking = DistFlags::NONE;
    assert_eq!(refused(Status::NotAllowed), HandshakeError::NotAllowed { peer: peer.clone(), lacking });
    let status = Bytes::from_static(b"never heard");
    let unexpected = HandshakeError::UnexpectedStatus { peer: peer.clone(), status: status.clone() };
    assert_eq!(refused(Status::Unknown(status)), unexpected);
    // We have a name.
    let named = Status::Named { name: "x@h".into(), creation: Creation(5) };
    assert!(matches!(refused(named), HandshakeError::UnexpectedStatus { .. }));

    let config = HandshakeConfig::default();
    let old = LocalIdentity { flags: DistFlags::MANDATORY_25, ..identity("a@h", 10) };
    let mut machine = Initiator::new(start(), old, peer.clone(), cookie("secret"), 1, config);
    let result = machine.handle(start(), InitiatorInput::Bytes(&framed(Status::NotAllowed.encode())));
    let lacking = DistFlags::V4_NC | DistFlags::UNLINK_ID;
    assert_eq!(result, Err(HandshakeError::NotAllowed { peer, lacking }));
}

#[test]
fn statuses_a_nameless_initiator_gets() {
    let dial = |status: Status| {
        let mut machine = Initiator::new_nameless(
            start(),
            "h",
            DistFlags::OFFERED,
            node("b@h"),
            cookie("secret"),
            1,
            HandshakeConfig::default(),
        );
        let sent = sent_by_initiator(&mut machine);
        let Ok(AnyName::New(name)) = AnyName::parse(&sent[2..]) else { panic!("{sent:?}") };
        assert_eq!((name.name.as_str(), name.creation), ("h", Creation::UNKNOWN));
        assert!(name.flags.contains(DistFlags::NAME_ME) && !name.flags.contains(DistFlags::PUBLISHED));
        machine.handle(start(), InitiatorInput::Bytes(&framed(status.encode())))
    };
    let named = |name: &str| Status::Named { name: name.into(), creation: Creation(5) };
    assert_eq!(dial(named("x@h")), Ok(()));
    assert!(matches!(dial(named("x@other")), Err(HandshakeError::HostMismatch { .. })));
    assert!(matches!(dial(named("x")), Err(HandshakeError::BadName(NodeNameError::NoAt(_)))));
    assert!(matches!(dial(Status::NotAllowed), Err(HandshakeError::NotAllowed { .. })));
    for status in [Status::Ok, Status::OkSimultaneous, Status::Nok, Status::Alive] {
        assert!(matches!(dial(status), Err(HandshakeError::UnexpectedStatus { .. })));
    }
}

#[test]
fn alive_is_asked_of_our_own_node() {
    let now = start();
    // The challenge may not come before the answer, but if it does, it waits.
    let both = [framed(Status::Alive.encode()), challenge("b@h", DistFlags::OFFERED)].concat();
    let (mut machine, result) = dialled(&both);
    assert_eq!(result, Ok(()));
    assert_eq!(machine.poll_output(), Some(InitiatorOutput::AskAlive));
    assert_eq!(machine.poll_output(), None);
    machine.handle(now, InitiatorInput::AliveAnswer(true)).unwrap();
    assert!(sent_by_initiator(&mut machine).starts_with(b"\0\x05strue\0\x15r"));

    let (mut machine, _) = dialled(&framed(Status::Alive.encode()));
    assert_eq!(machine.poll_output(), Some(InitiatorOutput::AskAlive));
    let result = machine.handle(now, InitiatorInput::AliveAnswer(false));
    assert_eq!(result, Err(HandshakeError::Superseded));
    assert_eq!(sent_by_initiator(&mut machine), b"\0\x06sfalse");
}

#[test]
fn the_challenge_must_be_that_of_the_node_called() {
    let ok = framed(Status::Ok.encode());
    let (mut machine, result) = dialled(&[ok.clone(), challenge("c@h", DistFlags::OFFERED)].concat());
    let (expected, got) = (node("b@h"), "c@h".to_owned());
    assert_eq!(result, Err(HandshakeError::NameMismatch { expected, got }));
    assert_eq!(sent_by_initiator(&mut machine), b"", "our proof is not for strangers");

    let flags = DistFlags::OFFERED.without(DistFlags::BIG_CREATION | DistFlags::MANDATORY_25_DIGEST);
    let (mut machine, result) = dialled(&[ok, challenge("b@h", flags)].concat());
    let missing = DistFlags::BIG_CREATION;
    assert_eq!(result, Err(HandshakeError::MissingFlags { peer: "b@h".into(), missing }));
    assert_eq!(sent_by_initiator(&mut machine), b"");
}

#[test]
fn a_wrong_ack_is_refused() {
    let all = [framed(Status::Ok.encode()), challenge("b@h", DistFlags::OFFERED), ack("other")].concat();
    let (_, result) = dialled(&all);
    let who = CookieRefusal::WeRefuse;
    assert_eq!(result, Err(HandshakeError::WrongCookie { peer: node("b@h"), who }));
    // Our own proof sent back is none of theirs.
    let echoed = framed(Ack { digest: cookie("secret").digest(PEER_CHALLENGE) }.encode());
    let all = [framed(Status::Ok.encode()), challenge("b@h", DistFlags::OFFERED), echoed].concat();
    assert!(matches!(dialled(&all).1, Err(HandshakeError::WrongCookie { .. })));
}

// --- The acceptor ---

#[test]
fn the_acceptors_bytes() {
    let now = start();
    let mut machine = named(now);
    machine.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
    let flags = DistFlags::OFFERED.bits().to_be_bytes();
    let expected = [b"\0\x03sok\0\x16N", &flags[..], b"\x80\0\0\x11\0\0\0\x14\0\x03b@h"].concat();
    assert_eq!(sent_by_acceptor(&mut machine), expected);

    machine.handle(now, AcceptorInput::Bytes(&reply("secret"))).unwrap();
    let digest = cookie("secret").digest(PEER_CHALLENGE);
    let Some(AcceptorOutput::Send(sent)) = machine.poll_output() else { panic!("no ack") };
    assert_eq!(&sent[..], [&b"\0\x11a"[..], &digest].concat());
    assert!(matches!(machine.poll_output(), Some(AcceptorOutput::Established(_))));
}

#[test]
fn an_old_name_is_complemented() {
    let now = start();
    let flags = 0x1_01df_7fbc_u64; // OTP 23.2
    let old = |flags_low| framed(OldName { flags_low, name: "a@h".into() }.encode());
    let complement = framed(Complement { flags_high: (flags >> 32) as u32, creation: Creation(10) }.encode());

    let mut machine = accept(now);
    machine.handle(now, AcceptorInput::Bytes(&old(flags as u32))).unwrap();
    machine.poll_output().expect("the question");
    machine.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
    assert!(sent_by_acceptor(&mut machine).starts_with(b"\0\x03sok\0\x16N"));
    machine.handle(now, AcceptorInput::Bytes(&[complement, reply("secret")].concat())).unwrap();
    let Some(AcceptorOutput::Established(established)) = std::iter::from_fn(|| machine.poll_output()).last()
    else {
        panic!("not established");
    };
    assert_eq!(established.peer_creation, Creation(10));
    assert_eq!(established.peer_flags, DistFlags::from_bits(flags));

    // Without the complement there is no creation, so the reply cannot come.
    let mut machine = accept(now);
    machine.handle(now, AcceptorInput::Bytes(&old(flags as u32))).unwrap();
    machine.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
    let error = MessageError::WrongTag { expected: MessageKind::Complement, got: b'r' };
    assert_eq!(
        machine.handle(now, AcceptorInput::Bytes(&reply("secret"))),
        Err(HandshakeError::BadMessage { stage: Stage::Complement, error })
    );

    // A node before OTP 23 does not know what follows.
    let mut machine = accept(now);
    let low = DistFlags::from_bits(flags).without(DistFlags::HANDSHAKE_23).bits() as u32;
    let result = machine.handle(now, AcceptorInput::Bytes(&old(low)));
    let missing = DistFlags::HANDSHAKE_23;
    assert_eq!(result, Err(HandshakeError::MissingFlags { peer: "a@h".into(), missing }));
    assert_eq!(sent_by_acceptor(&mut machine), b"\0\x0csnot_allowed");
}

#[test]
fn missing_flags_are_answered_before_the_verdict() {
    for row in DistFlags::TABLE.iter().filter(|row| row.mandatory_since == Some(23)) {
        let missing = DistFlags::from_bits(1 << row.bit);
        let flags = DistFlags::OFFERED.without(missing | DistFlags::MANDATORY_25_DIGEST);
        let name = Name { flags, creation: Creation(10), name: "a@h".into() };
        let mut machine = accept(start());
        let result = machine.handle(start(), AcceptorInput::Bytes(&framed(name.encode())));
        assert_eq!(result, Err(HandshakeError::MissingFlags { peer: "a@h".into(), missing }));
        assert_eq!(sent_by_acceptor(&mut machine), b"\0\x0csnot_allowed");
    }
}

#[test]
fn bad_names_are_answered_or_not() {
    let given = |text: &str| {
        let mut machine = accept(start());
        let result = machine.handle(start(), AcceptorInput::Bytes(&name(text)));
        (result.unwrap_err(), sent_by_acceptor(&mut machine))
    };
    let nok = b"\0\x04snok".to_vec();
    assert_eq!(given("b@h"), (HandshakeError::OwnName(node("b@h")), nok.clone()));
    let (error, sent) = given("a.b@h");
    assert!(matches!(error, HandshakeError::BadName(NodeNameError::AliveCharacter(_))));
    assert_eq!(sent, nok);
    for text in ["", "a", "@h", "a@", "a@h@i", &format!("{}@h", "a".repeat(254))] {
        let (error, sent) = given(text);
        assert!(matches!(error, HandshakeError::BadName(_)), "{text}: {error}");
        assert_eq!(sent, b"", "{text}");
    }
}

#[test]
fn alive_true_replaces_the_old_link() {
    let now = start();
    let mut machine = named(now);
    machine.handle(now, AcceptorInput::Verdict(Verdict::Alive)).unwrap();
    assert_eq!(sent_by_acceptor(&mut machine), b"\0\x06salive");
    machine.handle(now, AcceptorInput::Bytes(&framed(StatusReply::True.encode()))).unwrap();
    assert!(sent_by_acceptor(&mut machine).starts_with(b"\0\x16N"));
    machine.handle(now, AcceptorInput::Bytes(&reply("secret"))).unwrap();
    assert_eq!(machine.poll_output(), Some(AcceptorOutput::CloseOldLink));
    assert_eq!(machine.poll_output(), None, "no ack while the old link stands");
    assert!(machine.poll_timeout().is_some());
    machine.handle(now, AcceptorInput::OldLinkDown).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
    assert!(matches!(&outputs[..], [AcceptorOutput::Send(_), AcceptorOutput::Established(_)]));
}

#[test]
fn alive_leaves_the_old_link_to_who_cannot_prove_itself() {
    let now = start();
    let alive = || {
        let mut machine = named(now);
        machine.handle(now, AcceptorInput::Verdict(Verdict::Alive)).unwrap();
        machine
    };
    let mut machine = alive();
    let result = machine.handle(now, AcceptorInput::Bytes(&framed(StatusReply::False.encode())));
    assert_eq!(result, Err(HandshakeError::Superseded));

    let mut machine = alive();
    machine.handle(now, AcceptorInput::Bytes(&framed(StatusReply::True.encode()))).unwrap();
    let result = machine.handle(now, AcceptorInput::Bytes(&reply("other")));
    assert!(matches!(result, Err(HandshakeError::WrongCookie { .. })));
    assert!(
        !std::iter::from_fn(|| machine.poll_output()).any(|output| output == AcceptorOutput::CloseOldLink)
    );
}

#[test]
fn verdicts_that_do_not_fit_are_the_drivers_fault() {
    let now = start();
    let misused = |stage| Err(HandshakeError::Misused { stage });
    let given = Verdict::OkNamed { name: node("x@h"), creation: Creation(5) };
    assert_eq!(named(now).handle(now, AcceptorInput::Verdict(given)), misused(Stage::Verdict));
    assert_eq!(accept(now).handle(now, AcceptorInput::Verdict(Verdict::Ok)), misused(Stage::Name));
    assert_eq!(named(now).handle(now, AcceptorInput::OldLinkDown), misused(Stage::Verdict));
    assert_eq!(dial(now).handle(now, InitiatorInput::AliveAnswer(true)), misused(Stage::Status));

    let nameless = Name {
        flags: DistFlags::OFFERED | DistFlags::NAME_ME,
        creation: Creation::UNKNOWN,
        name: "far".into(),
    };
    let asked = || {
        let mut machine = accept(now);
        machine.handle(now, AcceptorInput::Bytes(&framed(nameless.encode()))).unwrap();
        assert_eq!(machine.poll_output(), Some(AcceptorOutput::AskName { host: "far".into() }));
        machine
    };
    assert_eq!(asked().handle(now, AcceptorInput::Verdict(Verdict::Ok)), misused(Stage::Verdict));
    let elsewhere = Verdict::OkNamed { name: node("x@h"), creation: Creation(5) };
    assert_eq!(asked().handle(now, AcceptorInput::Verdict(elsewhere)), misused(Stage::Verdict));
    let mut machine = asked();
    assert!(machine.handle(now, AcceptorInput::Verdict(Verdict::NotAllowed)).is_err());
    assert_eq!(sent_by_acceptor(&mut machine), b"\0\x0csnot_allowed");
}

// --- Time, ends, limits ---

#[test]
fn every_stage_has_its_time() {
    let now = start();
    let almost = now + SETUP_TIME - Duration::from_millis(1);
    let timeout = |stage| Err(HandshakeError::Timeout { stage });

    let mut a = dial(now);
    assert_eq!(a.poll_timeout(), Some(now + SETUP_TIME));
    assert_eq!(a.handle(almost, InitiatorInput::Timeout), Ok(()));
    assert_eq!(a.handle(now + SETUP_TIME, InitiatorInput::Timeout), timeout(Stage::Status));
    assert_eq!(a.poll_timeout(), None);
    // It stays in its error.
    assert_eq!(a.handle(now, InitiatorInput::Bytes(b"\0\x03sok")), timeout(Stage::Status));

    // The reply starts the time again.
    let mut a = dial(now);
    let both = [framed(Status::Ok.encode()), challenge("b@h", DistFlags::OFFERED)].concat();
    a.handle(almost, InitiatorInput::Bytes(&both)).unwrap();
    assert_eq!(a.poll_timeout(), Some(almost + SETUP_TIME));
    assert_eq!(a.handle(almost + SETUP_TIME, InitiatorInput::Timeout), timeout(Stage::Ack));

    let mut b = accept(now);
    b.handle(almost, AcceptorInput::Bytes(&name("a@h"))).unwrap();
    assert_eq!(b.poll_timeout(), Some(now + SETUP_TIME), "bytes alone win no time");
    assert_eq!(b.handle(now + SETUP_TIME, AcceptorInput::Timeout), timeout(Stage::Verdict));
    let mut b = named(now);
    b.handle(almost, AcceptorInput::Verdict(Verdict::Alive)).unwrap();
    assert_eq!(b.poll_timeout(), Some(almost + SETUP_TIME));
    b.handle(almost, AcceptorInput::Bytes(&framed(StatusReply::True.encode()))).unwrap();
    assert_eq!(b.handle(almost + SETUP_TIME, AcceptorInput::Timeout), timeout(Stage::Reply));
}

#[test]
fn ends_are_told_by_stage() {
    let now = start();
    let closed = |stage| Err(HandshakeError::PeerClosed { stage });
    assert_eq!(dial(now).handle(now, InitiatorInput::Eof), closed(Stage::Status));
    let (mut a, _) = dialled(&framed(Status::Ok.encode()));
    assert_eq!(a.handle(now, InitiatorInput::Eof), closed(Stage::Challenge));
    assert_eq!(accept(now).handle(now, AcceptorInput::Eof), closed(Stage::Name));
    let mut b = named(now);
    b.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
    assert_eq!(b.handle(now, AcceptorInput::Eof), closed(Stage::Reply));
}

#[test]
fn every_truncation_ends_without_a_connection() {
    let now = start();
    let to_a = [framed(Status::Ok.encode()), challenge("b@h", DistFlags::OFFERED), ack("secret")].concat();
    for end in 0..to_a.len() {
        let (mut a, result) = dialled(&to_a[..end]);
        assert_eq!(result, Ok(()));
        assert!(a.handle(now, InitiatorInput::Eof).is_err());
        sent_by_initiator(&mut a);
    }
    let to_b = [name("a@h"), reply("secret")].concat();
    for end in 0..to_b.len() {
        let mut b = accept(now);
        b.handle(now, AcceptorInput::Bytes(&to_b[..end])).unwrap();
        if b.poll_output().is_some() {
            b.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
        }
        assert!(b.handle(now, AcceptorInput::Eof).is_err());
        sent_by_acceptor(&mut b);
    }
}

#[test]
fn bad_first_bytes_are_refused_without_a_word() {
    for (bytes, is_message) in [
        (&b"\0\0"[..], true),
        (b"\0\x01X", true),
        (b"\0\x02N\0", true),
        (b"\x08\x01", false),
        (b"GET / HTTP/1.1\r\n", false),
    ] {
        let mut machine = accept(start());
        let error = machine.handle(start(), AcceptorInput::Bytes(bytes)).unwrap_err();
        match error {
            HandshakeError::BadMessage { stage: Stage::Name, .. } => assert!(is_message),
            HandshakeError::TooLong { max: 2048, .. } => assert!(!is_message),
            other => panic!("{other}"),
        }
        assert_eq!(sent_by_acceptor(&mut machine), b"");
    }
}

#[test]
fn nothing_piles_up_while_an_answer_is_awaited() {
    let now = start();
    let mut machine = named(now);
    let mut taken = 0;
    let error = loop {
        match machine.handle(now, AcceptorInput::Bytes(&[0; 100])) {
            Ok(()) => taken += 100,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HandshakeError::TooLong { .. }));
    assert!(taken <= 2050, "{taken}");
}

#[test]
fn debug_shows_no_cookie() {
    let machines = format!("{:?} {:?}", dial(start()), accept(start()));
    assert!(!machines.contains("secret"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), piece in 1usize..500) {
        let now = start();
        let (mut a, mut b) = (dial(now), named(now));
        b.handle(now, AcceptorInput::Verdict(Verdict::Ok)).unwrap();
        let mut c = accept(now);
        for bytes in bytes.chunks(piece) {
            let _ = a.handle(now, InitiatorInput::Bytes(bytes));
            let _ = b.handle(now, AcceptorInput::Bytes(bytes));
            let _ = c.handle(now, AcceptorInput::Bytes(bytes));
        }
        let established = |output| matches!(output, Some(InitiatorOutput::Established(_)));
        while let Some(output) = a.poll_output() {
            prop_assert!(!established(Some(output)));
        }
    }

    /// A peer's good bytes with one bit turned: an error, a wait or a connection, never a panic; and a connection
    /// only if the turned bit is in no proof.
    #[test]
    fn turned_bits_never_panic(at: prop::sample::Index, bit in 0u8..8) {
        let now = start();
        let mut bytes = [name("a@h"), reply("secret")].concat();
        let reply_at = name("a@h").len();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut machine = accept(now);
        let mut result = machine.handle(now, AcceptorInput::Bytes(&bytes));
        let mut is_established = false;
        while let Some(output) = machine.poll_output() {
            match output {
                AcceptorOutput::AskVerdict { .. } => {
                    result = machine.handle(now, AcceptorInput::Verdict(Verdict::Ok));
                }
                AcceptorOutput::Established(_) => is_established = true,
                AcceptorOutput::Send(_) | AcceptorOutput::AskName { .. } | AcceptorOutput::CloseOldLink => {}
            }
        }
        // Length, tag and challenge are the first seven bytes of the reply; the digest is behind.
        prop_assert!(!is_established || at < reply_at + 7);
        prop_assert!(!is_established || result.is_ok());
    }
}
