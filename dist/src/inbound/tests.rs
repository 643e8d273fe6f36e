use std::time::Duration;

use bytes::BytesMut;
use etf::{Pid, Term, encode_into, tuple};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{TICK, encode_signal, encode_tick};

const OWN: Atom = Atom::from_static("own@host");
const PEER: Atom = Atom::from_static("peer@host");

/// What two nodes agree on of which one knows no headers.
const PASS_THROUGH: DistFlags =
    DistFlags::OFFERED.without(DistFlags::DIST_HDR_ATOM_CACHE).without(DistFlags::FRAGMENTS);

fn inbound() -> Inbound {
    Inbound::new(OWN, PEER, PASS_THROUGH, Limits::default())
}

fn peer() -> Pid {
    Pid::new(PEER, 1, 0, 7)
}

fn own() -> Pid {
    Pid::new(OWN, 2, 0, 7)
}

fn link() -> Signal {
    Signal::Link { from: peer(), to: own() }
}

fn send(message: Term) -> Signal {
    Signal::Send { from: Some(peer()), to: own(), message, token: None, priority: false }
}

fn bytes_of(signal: &Signal) -> BytesMut {
    bytes_of_with(signal, PASS_THROUGH)
}

fn bytes_of_with(signal: &Signal, flags: DistFlags) -> BytesMut {
    let mut out = BytesMut::new();
    let _ = encode_signal(signal, flags, &mut out).unwrap();
    out
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// A body in pass-through form.
fn body(terms: &[Term]) -> Vec<u8> {
    let mut out = BytesMut::from(&[112][..]);
    for term in terms {
        out.extend_from_slice(&[131]);
        encode_into(term, &mut out);
    }
    out.to_vec()
}

fn fault_of(body: &[u8]) -> InboundError {
    let mut inbound = inbound();
    inbound.handle(&framed(body));
    inbound.poll_output().expect_err("a fault")
}

#[test]
fn ticks_and_signals_come_out_in_order() {
    let mut inbound = inbound();
    let mut bytes = BytesMut::new();
    encode_tick(&mut bytes);
    bytes.extend_from_slice(&bytes_of(&link()));
    encode_tick(&mut bytes);
    for byte in &bytes[..] {
        inbound.handle(std::slice::from_ref(byte));
    }
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Tick)));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(link()))));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Tick)));
    assert_eq!(inbound.poll_output(), Ok(None));
}

#[test]
fn the_read_buffer_is_as_good_as_handle() {
    let mut inbound = inbound();
    let bytes = bytes_of(&link());
    let (first, second) = bytes.split_at(20);
    inbound.read_buffer().extend_from_slice(first);
    assert_eq!(inbound.poll_output(), Ok(None));
    inbound.read_buffer().extend_from_slice(second);
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(link()))));
}

#[test]
fn an_error_comes_after_what_was_before_it_and_stays() {
    let mut inbound = inbound();
    inbound.handle(&bytes_of(&link()));
    inbound.handle(&framed(b"rubbish"));
    inbound.handle(&bytes_of(&link()));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(link()))));
    let error = inbound.poll_output().unwrap_err();
    assert_eq!(error.fault, Fault::Body(BodyError::NotPassThrough { found: b'r' }));
    assert_eq!(error.frame_start, b"rubbish");
    inbound.handle(&TICK);
    assert_eq!(inbound.poll_output(), Err(error));
}

#[test]
fn bodies_of_another_form_are_refused() {
    let not_pass_through = |found| Fault::Body(BodyError::NotPassThrough { found });
    assert_eq!(fault_of(&[131, 68, 0, 104, 3]).fault, not_pass_through(131));
    assert_eq!(fault_of(&[0]).fault, not_pass_through(0));
    assert_eq!(fault_of(&[112]).fault, Fault::Body(BodyError::Truncated { bytes: 1 }));
    assert_eq!(fault_of(&[112, 104, 3]).fault, Fault::Body(BodyError::NoVersion { at: 1, found: 104 }));
    // Compressed terms are for files.
    assert!(matches!(fault_of(&[112, 131, 80, 0, 0, 0, 1, 0]).fault, Fault::ControlTerm(_)));
    // A reference into an atom cache that was not agreed on.
    assert!(matches!(fault_of(&[112, 131, 104, 1, 82, 0]).fault, Fault::ControlTerm(_)));
}

#[test]
fn a_fault_is_told_with_its_operation_and_the_first_64_bytes() {
    let control = tuple!(22, peer(), own());
    let mut bytes = body(&[control.clone(), Term::binary(vec![0; 100])]);
    bytes.truncate(bytes.len() - 1);
    let error = fault_of(&bytes);
    assert!(matches!(error.fault, Fault::PayloadTerm(_)), "{error}");
    assert_eq!(error.op, Some(Op::SendSender));
    assert_eq!(error.frame_start, bytes[..64]);
    assert_eq!(error.nodedown_reason(), NodedownReason::Killed);

    let error = fault_of(&body(&[control]));
    assert_eq!(error.fault, Fault::PayloadMissing(PayloadMissing { op: Op::SendSender }));

    let error = fault_of(&body(&[tuple!(5, peer(), own())]));
    assert_eq!(error.fault, Fault::Control(ControlError::UnknownOp { number: 5 }));
    assert_eq!(error.op, None);

    let third = Pid::new(Atom::from_static("third@host"), 1, 0, 7);
    let error = fault_of(&body(&[tuple!(1, third, own())]));
    assert!(matches!(error.fault, Fault::Ends(_)), "{error}");
    assert_eq!(error.to_string(), "the sender is on third@host, which is not the peer, in LINK (1)");
}

#[test]
fn a_frame_past_the_limit_is_emsgsize_at_its_first_four_bytes() {
    let mut inbound = inbound();
    inbound.handle(&[0xff; 4]);
    let error = inbound.poll_output().unwrap_err();
    assert_eq!(error.fault, Fault::FrameTooLong(FrameTooLong { bytes: 0xffff_ffff, max: 128 << 20 }));
    assert_eq!(error.nodedown_reason(), NodedownReason::Emsgsize);
    assert_eq!(error.frame_start, [0xff; 4]);
}

#[test]
fn what_follows_the_last_term_is_ignored() {
    let mut inbound = inbound();
    let mut with_payload = body(&[tuple!(22, peer(), own()), Term::atom("hello")]);
    with_payload.extend_from_slice(b"rubbish");
    inbound.handle(&framed(&with_payload));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(send(Term::atom("hello"))))));
    let without = body(&[tuple!(1, peer(), own()), Term::atom("hello")]);
    inbound.handle(&framed(&without));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(link()))));
}

#[test]
fn a_long_binary_is_a_slice_of_its_frame() {
    let signal = send(Term::binary(vec![7; 100_000]));
    let mut inbound = inbound();
    inbound.handle(&bytes_of(&signal));
    let Ok(Some(Received::Signal(Signal::Send { message, .. }))) = inbound.poll_output() else {
        panic!("no message")
    };
    let binary = message.as_binary().expect("a binary").to_bytes();
    assert_eq!(binary.as_ptr(), message.as_binary().unwrap().as_slice().as_ptr());
    assert_eq!(binary.len(), 100_000);
    // It holds its frame's block and the connection's buffer has moved on.
    drop(message);
    assert!(binary.try_into_mut().is_ok());
}

#[test]
fn unknown_flags_and_options_are_no_error() {
    let mut inbound = inbound();
    inbound.handle(&framed(&body(&[tuple!(37, 1 << 20, peer(), own()), Term::atom("hello")])));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(send(Term::atom("hello"))))));
}

fn with_headers() -> Inbound {
    Inbound::new(OWN, PEER, DistFlags::OFFERED, Limits::default())
}

/// The first fragment of a message to us, with a header of one atom.
fn first(sequence: u64, count: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::from(&[131, 69][..]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&[1, 8, 7, 2, b'o', b'k']);
    encode_into(&tuple!(22, peer(), own()), &mut out);
    out.extend_from_slice(payload);
    framed(&out)
}

fn rest(sequence: u64, fragment: u64, payload: &[u8]) -> Vec<u8> {
    framed(&[&[131, 70][..], &sequence.to_be_bytes(), &fragment.to_be_bytes(), payload].concat())
}

fn fragment_fault(frames: &[Vec<u8>]) -> Fault {
    let mut inbound = with_headers();
    inbound.handle(&frames.concat());
    loop {
        if let Err(error) = inbound.poll_output() {
            return error.fault;
        }
    }
}

#[test]
fn fragments_of_several_messages_come_in_turn() {
    // {ok, <<1,2,3>>}, of which the atom is in the header; split at every byte.
    let payload = [104, 2, 82, 0, 109, 0, 0, 0, 3, 1, 2, 3];
    let message = tuple!(atom "ok", Term::binary(vec![1, 2, 3]));
    for cut in 0..=payload.len() {
        let (a, b) = payload.split_at(cut);
        let mut inbound = with_headers();
        let frames = [
            first(5, 3, a),
            first(6, 2, &payload),
            rest(5, 2, &[]),
            TICK.to_vec(),
            bytes_of_with(&link(), DistFlags::OFFERED).to_vec(),
            rest(5, 1, b),
            first(7, 1, &payload),
            rest(6, 1, b"ignored"),
        ];
        inbound.handle(&frames.concat());
        assert_eq!(inbound.poll_output(), Ok(Some(Received::Tick)));
        assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(link()))));
        for _ in 0..3 {
            assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(send(message.clone())))), "{cut}");
        }
        assert_eq!(inbound.poll_output(), Ok(None));
    }
}

#[test]
fn fragments_that_break_the_rules_are_refused() {
    use FragmentError as Error;
    let fault = |frames: &[Vec<u8>]| match fragment_fault(frames) {
        Fault::Fragment(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(&[first(5, 0, &[])]), Error::NoFragments);
    assert_eq!(fault(&[first(0, 2, &[])]), Error::SequenceZero);
    assert_eq!(fault(&[first(5, 2, &[]), first(5, 2, &[])]), Error::Again { sequence: 5 });
    assert_eq!(fault(&[rest(5, 1, &[])]), Error::NotStarted { sequence: 5 });
    let too_many = Error::TooMany { count: (1 << 20) + 1, max: 1 << 20 };
    assert_eq!(fault(&[first(5, (1 << 20) + 1, &[])]), too_many);
    let out_of_order = |found, expected| Error::OutOfOrder { sequence: 5, found, expected };
    assert_eq!(fault(&[first(5, 3, &[]), rest(5, 1, &[])]), out_of_order(1, 2));
    assert_eq!(fault(&[first(5, 3, &[]), rest(5, 3, &[])]), out_of_order(3, 2));
    assert_eq!(fault(&[first(5, 2, &[]), rest(5, 0, &[])]), out_of_order(0, 1));
    assert_eq!(fault(&[framed(&[131, 70, 0, 0])]), Error::Truncated { bytes: 4 });
    let mut link_in_two = first(5, 2, &[]);
    let op_at = link_in_two.iter().position(|&byte| byte == 22).unwrap();
    link_in_two[op_at] = 1;
    assert_eq!(fault(&[link_in_two]), Error::NoPayload { count: 2 });

    let mut limited = Inbound::new(
        OWN,
        PEER,
        DistFlags::OFFERED,
        Limits { fragments_bytes_max: 100_000, ..Limits::default() },
    );
    limited.handle(&first(5, 1 << 20, &[0; 60_000]));
    assert_eq!(limited.poll_output(), Ok(None));
    limited.handle(&first(6, 1 << 20, &[0; 60_000]));
    let error = limited.poll_output().unwrap_err();
    assert_eq!(error.fault, Error::TooManyBytes { max: 100_000 }.into());

    // Without the flag there are none, and without either flag there is no header.
    let mut unfragmented =
        Inbound::new(OWN, PEER, DistFlags::OFFERED.without(DistFlags::FRAGMENTS), Limits::default());
    unfragmented.handle(&first(5, 1, &[106]));
    assert_eq!(unfragmented.poll_output().unwrap_err().fault, BodyError::FragmentNotAgreed.into());
    assert_eq!(fragment_fault(&[framed(b"pq")]), BodyError::NoHeader { found: *b"pq" }.into());
    assert_eq!(fragment_fault(&[framed(&[131])]), BodyError::Truncated { bytes: 1 }.into());
    let empty_slot = HeaderError::EmptySlot { slot: 7 };
    assert_eq!(fragment_fault(&[framed(&[131, 68, 1, 0, 7])]), empty_slot.into());
}

#[expect(clippy::disallowed_methods, reason = "any instant does: only differences count")]
fn start() -> Instant {
    Instant::now()
}

const SECOND: Duration = Duration::from_secs(1);

/// Limits with messages that may wait 80 s for a fragment; a look may be 10 s late.
fn aging() -> Inbound {
    let limits = Limits { fragment_age_max: 80 * SECOND, ..Limits::default() };
    Inbound::new(OWN, PEER, DistFlags::OFFERED, limits)
}

fn receive(inbound: &mut Inbound, now: Instant, bytes: &[u8]) {
    inbound.received(now);
    inbound.handle(bytes);
    drain(inbound);
}

#[test]
fn a_message_whose_next_fragment_does_not_come_ends_the_connection() {
    let (mut inbound, start) = (aging(), start());
    assert_eq!(inbound.poll_timeout(), None);
    receive(&mut inbound, start, &first(5, 4, &[]));
    assert_eq!(inbound.poll_timeout(), Some(start + 80 * SECOND));
    assert_eq!(inbound.handle_timeout(start + 79 * SECOND), Ok(()));
    // Each fragment is a new start: nothing is wrong with a slow one.
    receive(&mut inbound, start + 79 * SECOND, &rest(5, 3, &[]));
    assert_eq!(inbound.handle_timeout(start + 80 * SECOND), Ok(()));
    let due = start + 159 * SECOND;
    assert_eq!(inbound.poll_timeout(), Some(due));
    // Other messages do not help this one.
    receive(&mut inbound, start + 150 * SECOND, &first(6, 2, &[]));
    let waits = |waited| FragmentError::TooOld { sequence: 5, expected: 2, waited, max: 80 * SECOND };
    let error = inbound.handle_timeout(due).unwrap_err();
    assert_eq!(error.fault, waits(80 * SECOND).into());
    assert_eq!(error.to_string(), "message 5 has waited 80 s for fragment 2, more than 80 s");
    assert_eq!(error.nodedown_reason(), NodedownReason::Killed);
    inbound.handle(&rest(5, 2, &[]));
    assert_eq!(inbound.poll_output(), Err(error), "it stays so");
}

#[test]
fn a_message_that_is_complete_is_waited_for_no_more() {
    let (mut inbound, start) = (aging(), start());
    receive(&mut inbound, start, &first(5, 2, &[]));
    receive(&mut inbound, start + 10 * SECOND, &first(6, 2, &[]));
    receive(&mut inbound, start + 20 * SECOND, &rest(5, 1, &[106]));
    // The look finds nothing, and says when the other is due.
    assert_eq!(inbound.handle_timeout(start + 80 * SECOND), Ok(()));
    assert_eq!(inbound.poll_timeout(), Some(start + 90 * SECOND));
    receive(&mut inbound, start + 85 * SECOND, &rest(6, 1, &[106]));
    assert_eq!(inbound.handle_timeout(start + 90 * SECOND), Ok(()));
    assert_eq!(inbound.poll_timeout(), None);
    assert_eq!(inbound.fragments(), 4);
}

#[test]
fn a_node_that_was_stopped_itself_reads_before_it_blames() {
    let (mut inbound, start) = (aging(), start());
    receive(&mut inbound, start, &first(5, 3, &[]));
    // Stopped for an hour, and the timer is seen before the bytes.
    let woke = start + 3600 * SECOND;
    assert_eq!(inbound.handle_timeout(woke), Ok(()));
    assert_eq!(inbound.poll_timeout(), Some(woke + 10 * SECOND));
    let mut silent = aging();
    receive(&mut silent, start, &first(5, 3, &[]));
    assert_eq!(silent.handle_timeout(woke), Ok(()));
    receive(&mut inbound, woke + SECOND, &rest(5, 2, &[]));
    assert_eq!(inbound.handle_timeout(woke + 10 * SECOND), Ok(()));
    assert!(silent.handle_timeout(woke + 10 * SECOND).is_err(), "nothing came meanwhile");
}

#[test]
fn looking_for_old_messages_is_rare_however_they_are_staggered() {
    let (mut inbound, start) = (aging(), start());
    // When the last fragment of each came: a hundredth of a second apart.
    let mut came: Vec<Instant> = (0..500).map(|n| start + n * SECOND / 100).collect();
    for (sequence, at) in (1..).zip(&came) {
        receive(&mut inbound, *at, &first(sequence, 100, &[]));
    }
    let mut next = vec![99; came.len()];
    let mut looks = 0;
    // Each that is due goes on just in time.
    while let Some(at) = inbound.poll_timeout().filter(|at| *at < start + 120 * SECOND) {
        for n in 0..came.len() {
            if came[n] + 80 * SECOND <= at {
                receive(&mut inbound, at, &rest(n as u64 + 1, next[n], &[]));
                (came[n], next[n]) = (at, next[n] - 1);
            }
        }
        looks += 1;
        assert_eq!(inbound.handle_timeout(at), Ok(()));
    }
    assert!((2..=5).contains(&looks), "{looks}");
}

fn drain(inbound: &mut Inbound) -> usize {
    let mut signals = 0;
    while let Ok(Some(received)) = inbound.poll_output() {
        signals += usize::from(matches!(received, Received::Signal(_)));
    }
    signals
}

proptest! {
    #[test]
    fn random_bytes_make_no_panic_and_keep_no_memory(bytes in vec(any::<u8>(), 0..10_000)) {
        let mut inbound = inbound();
        for chunk in bytes.chunks(1000) {
            inbound.handle(chunk);
            drain(&mut inbound);
        }
        prop_assert!(inbound.read_buffer().capacity() <= 256 << 10);
    }

    #[test]
    fn random_bodies_make_no_panic(
        bodies in vec(prop_oneof![
            vec(any::<u8>(), 1..200),
            vec(any::<u8>(), 1..200).prop_map(|tail| [&[112, 131, 104][..], &tail].concat()),
            (68..71_u8, vec(any::<u8>(), 1..200)).prop_map(|(tag, tail)| [&[131, tag][..], &tail].concat()),
        ], 1..10)
    ) {
        for body in bodies {
            for mut inbound in [inbound(), with_headers()] {
                inbound.handle(&framed(&body));
                drain(&mut inbound);
            }
        }
    }

    #[test]
    fn broken_frames_make_no_panic(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        let mut bytes = bytes_of(&send(tuple!(atom "a", vec![Term::from(1), Term::binary("b")], 1i64 << 40)));
        let end = bytes.len();
        bytes[at % end] = byte;
        bytes.truncate(end - cut % end);
        let mut inbound = inbound();
        inbound.handle(&bytes);
        prop_assert!(drain(&mut inbound) <= 1);
    }
}
