use etf::{Atom, Pid, Reference, Term, tuple};

use super::*;
use crate::{Inbound, Limits, MonitorTarget, Received};

#[test]
fn a_frame_is_its_length_and_its_body() {
    let pid = |node| Pid::new(Atom::from_static(node), 1, 2, 3);
    let signal = Signal::Link { from: pid("a@h"), to: pid("b@h") };
    let mut out = BytesMut::new();
    let encoded = encode_signal(&signal, DistFlags::MANDATORY_26, &mut out).unwrap();
    assert_eq!(encoded, Encoded::Frame { op: Op::Link, bytes: 46 });
    let mut expected = vec![0, 0, 0, 42, 112, 131, 104, 3, 97, 1];
    for node in [b"a@h", b"b@h"] {
        expected.extend_from_slice(&[88, 119, 3]);
        expected.extend_from_slice(node);
        expected.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    }
    assert_eq!(out, expected);
}

/// The second time nothing is spelled out.
#[test]
fn atoms_are_sent_once() {
    let pid = |node| Pid::new(Atom::from_static(node), 1, 2, 3);
    let signal = Signal::Link { from: pid("a@h"), to: pid("b@h") };
    let (mut outbound, mut out) = (Outbound::new(DistFlags::OFFERED), Segments::new());
    let frame = |outbound: &mut Outbound, out: &mut Segments| {
        out.clear();
        let _ = outbound.handle(&signal).unwrap();
        outbound.poll_output(out);
        out.chunks().flatten().copied().collect::<Vec<u8>>()
    };
    let first = frame(&mut outbound, &mut out);
    assert_eq!(first[..8], [0, 0, 0, 49, 131, 68, 2, 0x88]);
    assert_eq!((first.windows(3).filter(|text| *text == b"a@h").count(), first.len()), (1, 53));
    let second = frame(&mut outbound, &mut out);
    assert_eq!(second[..8], [0, 0, 0, 41, 131, 68, 2, 0]);
    assert_eq!(second[11..18], [104, 3, 97, 1, 88, 82, 0]);
}

#[test]
fn nobody_of_another_life_of_the_peer_is_unlinked_from() {
    let pid = |node, creation| Pid::new(Atom::from_static(node), 1, 2, creation);
    let (from, id) = (pid("a@h", 3), std::num::NonZeroU64::MIN);
    let signals = |to: Pid| {
        let (from, reason, token) = (from.clone(), Term::atom("over"), None);
        [
            Signal::Link { from: from.clone(), to: to.clone() },
            Signal::Unlink { id: Some(id), from: from.clone(), to: to.clone() },
            Signal::UnlinkAck { id, from: from.clone(), to: to.clone() },
            Signal::Exit { from, to, reason, token },
        ]
    };
    // A peer whose creation is not known is sent all.
    for (known, of_pid, are_sent) in [(7, 7, true), (7, 8, false), (7, 0, false), (0, 8, true)] {
        let mut outbound = Outbound::new(DistFlags::OFFERED).with_peer_creation(known);
        let sent = signals(pid("b@h", of_pid)).map(|signal| match outbound.handle(&signal).unwrap() {
            Encoded::Frame { .. } => true,
            Encoded::Withheld(why) => {
                assert_eq!(why, Withheld::Incarnation);
                false
            }
        });
        assert_eq!(sent, [true, are_sent, are_sent, are_sent], "{known} {of_pid}");
    }
}

/// What the peer was not told it does not know.
#[test]
fn atoms_of_a_message_that_is_not_sent_are_sent_later() {
    let pid = |node| Pid::new(Atom::from_static(node), 1, 2, 3);
    let send = |message| Signal::Send {
        from: Some(pid("a@h")),
        to: pid("b@h"),
        message,
        token: None,
        priority: false,
    };
    let (mut outbound, mut out) = (Outbound::new(DistFlags::OFFERED), Segments::new());
    let too_large = Term::tuple(vec![Term::atom("late"); etf::EncodeError::TUPLE_ARITY_MAX + 1]);
    assert!(matches!(outbound.handle(&send(too_large)), Err(EncodeError::Term(_))));
    assert!(outbound.is_empty());
    let late = send(Term::atom("late"));
    let _ = outbound.handle(&late).unwrap();
    outbound.poll_output(&mut out);
    let mut inbound = Inbound::new("b@h".into(), "a@h".into(), DistFlags::OFFERED, Limits::default());
    out.chunks().for_each(|chunk| inbound.handle(chunk));
    assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(late))));
}

#[test]
fn a_tick_is_four_zeros() {
    let mut out = BytesMut::from(&b"x"[..]);
    encode_tick(&mut out);
    assert_eq!(out, &b"x\0\0\0\0"[..]);
}

/// The connection goes on without it.
#[test]
fn a_term_that_no_beam_takes_is_not_sent() {
    let pid = |node| Pid::new(Atom::from_static(node), 1, 2, 3);
    let arity = etf::EncodeError::TUPLE_ARITY_MAX + 1;
    let message = Term::tuple(vec![Term::NIL; arity]);
    let signal =
        Signal::Send { from: Some(pid("a@h")), to: pid("b@h"), message, token: None, priority: false };
    let mut out = BytesMut::from(&b"x"[..]);
    let error = encode_signal(&signal, DistFlags::OFFERED, &mut out);
    assert_eq!(error, Err(etf::EncodeError::TupleArity { arity }.into()));
    assert_eq!(out, &b"x"[..]);
}

fn sent(sender: u32, number: usize, bytes: usize) -> Signal {
    let message = Term::tuple([number.into(), Term::binary(vec![7; bytes]), Term::atom("end")]);
    let from = Some(Pid::new(Atom::from_static("a@h"), sender, 0, 3));
    let to = Pid::new(Atom::from_static("b@h"), 1, 0, 3);
    Signal::Send { from, to, message, token: None, priority: false }
}

/// What arrives of signals, in which order, and how many bytes each write had.
fn arrives(signals: &[Signal], flags: DistFlags) -> (Vec<Signal>, Vec<usize>) {
    let mut outbound = Outbound::new(flags);
    let mut inbound = Inbound::new("b@h".into(), "a@h".into(), flags, Limits::default());
    let (mut received, mut writes) = (Vec::new(), Vec::new());
    for signal in signals {
        let before = outbound.len();
        let Ok(Encoded::Frame { bytes, .. }) = outbound.handle(signal) else { panic!("not sent") };
        assert_eq!(outbound.len(), before + bytes);
    }
    let mut out = Segments::new();
    while outbound.poll_output(&mut out) {
        writes.push(out.len());
        out.chunks().for_each(|chunk| inbound.handle(chunk));
        out.clear();
        while let Some(Received::Signal(signal)) = inbound.poll_output().unwrap() {
            received.push(signal);
        }
    }
    assert!(outbound.is_empty());
    (received, writes)
}

#[test]
fn a_long_message_leaves_room_for_others_and_none_for_its_sender() {
    let large = 20 << 20;
    let signals = [
        sent(1, 0, large),
        sent(2, 0, 10),
        sent(1, 1, 10),
        sent(1, 2, large),
        sent(3, 0, large),
        sent(1, 3, 5000),
        sent(2, 1, 5000),
    ];
    let (received, writes) = arrives(&signals, DistFlags::OFFERED);
    let order: Vec<usize> =
        received.iter().map(|signal| signals.iter().position(|sent| sent == signal).unwrap()).collect();
    assert_eq!(order[..2], [1, 6], "those of the second sender are first");
    let place = |number| order.iter().position(|&n| n == number).unwrap();
    assert!([0, 2, 3, 5].map(place).is_sorted(), "the first sender's in their order: {order:?}");
    assert_eq!(order.len(), signals.len());
    assert!(writes.iter().all(|&bytes| bytes < 2 * Outbound::FRAGMENT_BYTES), "{writes:?}");
}

#[test]
fn an_end_that_is_told_by_name_comes_behind_what_its_own_process_sent() {
    let (own, watcher) =
        (Pid::new(Atom::from_static("a@h"), 1, 0, 3), Pid::new(Atom::from_static("b@h"), 1, 0, 3));
    let reference = Reference::new(Atom::from_static("b@h"), 3, &[1]).expect("a word");
    let end = Signal::MonitorExit {
        from: MonitorTarget::Name(Atom::from_static("name")),
        sender: Some(own),
        to: watcher,
        reference,
        reason: Term::atom("normal"),
    };
    // The shorter message of another sender, begun later, is done first.
    let signals = [sent(1, 0, 20 << 20), sent(2, 0, 3 << 20), end];
    let (received, _) = arrives(&signals, DistFlags::OFFERED);
    let place = |nth: usize| received.iter().position(|signal| *signal == signals[nth]);
    assert_eq!((place(1), place(0)), (Some(0), Some(1)));
    assert!(matches!(received[2], Signal::MonitorExit { .. }), "{:?}", received[2]);
}

#[test]
fn without_fragments_all_go_as_they_come() {
    let signals = [sent(1, 0, 5 << 20), sent(2, 0, 10), sent(1, 1, 10)];
    for missing in [DistFlags::FRAGMENTS, DistFlags::FRAGMENTS.with(DistFlags::DIST_HDR_ATOM_CACHE)] {
        let (received, writes) = arrives(&signals, DistFlags::OFFERED.without(missing));
        assert!(received == signals);
        assert_eq!(writes.len(), 1);
    }
}

/// The payload is shared up to the socket.
#[test]
fn a_large_binary_is_not_copied() {
    for bytes in [100_000, 30 << 20] {
        let signal = sent(1, 0, bytes);
        let Signal::Send { message, .. } = &signal else { unreachable!() };
        let binary = message.as_tuple().unwrap()[1].as_binary().unwrap().as_ptr_range();
        let mut outbound = Outbound::new(DistFlags::OFFERED);
        let _ = outbound.handle(&signal).unwrap();
        let (mut out, mut shared) = (Segments::new(), 0);
        while outbound.poll_output(&mut out) {
            let in_binary = out.chunks().filter(|chunk| binary.contains(&chunk.as_ptr()));
            shared += in_binary.map(<[u8]>::len).sum::<usize>();
            out.clear();
        }
        // But for the end of the last fragment, if that is short.
        assert!(shared + Segments::SHARED_BYTES_MIN > bytes, "{shared} of {bytes}");
    }
}

/// Flows that share templates' places, atoms that push each other out of the cache, and messages that cannot be sent.
#[test]
fn what_goes_an_old_way_is_read_as_what_goes_a_new_one() {
    let pid = |node, id| Pid::new(Atom::from_static(node), id, 0, 3);
    let (mut outbound, mut out) = (Outbound::new(DistFlags::OFFERED), Segments::new());
    let mut inbound = Inbound::new("b@h".into(), "a@h".into(), DistFlags::OFFERED, Limits::default());
    let mut sent = Vec::new();
    for n in 0..5000_u32 {
        let atom = Atom::from(&*format!("atom{}", n / 7 * 13 % 900));
        let message = Term::tuple([Term::from(n), Term::Atom(atom), Term::atom("ok")]);
        // Four in a row go the same way.
        let (way, token, priority) = (n / 4, None, n % 97 == 0);
        let from = pid("a@h", way % 5);
        let signal = match way % 3 {
            0 => Signal::RegSend { from, to: ["x", "y"][way as usize % 2].into(), message, token, priority },
            _ => Signal::Send { from: Some(from), to: pid("b@h", n / 50 % 20), message, token, priority },
        };
        if n == 2501 {
            let too_large = Term::tuple(vec![Term::atom("late"); etf::EncodeError::TUPLE_ARITY_MAX + 1]);
            let mut signal = signal.clone();
            if let Signal::Send { message, .. } | Signal::RegSend { message, .. } = &mut signal {
                *message = too_large;
            }
            assert!(outbound.handle(&signal).is_err());
        }
        let before = outbound.len();
        let Ok(Encoded::Frame { bytes, .. }) = outbound.handle(&signal) else { panic!("{signal:?}") };
        assert_eq!(outbound.len() - before, bytes);
        sent.push(signal);
    }
    outbound.poll_output(&mut out);
    out.chunks().for_each(|chunk| inbound.handle(chunk));
    for signal in sent {
        assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(signal))));
    }
    assert_eq!(inbound.poll_output(), Ok(None));
}

/// Whatever the messages of a process refer to, what arrives is what was sent, and by either way to read it.
#[test]
fn messages_of_one_flow_arrive_whatever_atoms_they_have() {
    let (from, to) = (Pid::new(Atom::from("a@h"), 1, 2, 3), Pid::new(Atom::from("b@h"), 1, 0, 3));
    let (name, blob) = (Atom::from("sink"), |bytes| Term::binary(vec![7; bytes]));
    let messages = [
        Term::from(1),
        tuple!(atom "x", 2),
        tuple!(atom "y", 3),
        tuple!(atom "x", atom "y", blob(5000), atom "a@h"),
        tuple!(atom "sink", blob(20_000), blob(3000)),
        tuple!(atom "y", blob(Outbound::WHOLE_BYTES_MAX)),
    ];
    // Each several times, and in turns.
    let order =
        [0, 0, 0, 1, 1, 1, 2, 2, 1, 2, 1, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 4, 4, 4, 5, 3, 3, 5, 5, 3, 1, 1, 1];
    for flags in [DistFlags::OFFERED, DistFlags::MANDATORY_26 | DistFlags::SEND_SENDER] {
        for is_read_again in [false, true] {
            let mut outbound = Outbound::new(flags);
            let mut inbound = Inbound::new("b@h".into(), "a@h".into(), flags, Limits::default());
            let (mut out, mut again) = (Segments::new(), 0);
            for (at, message) in order.iter().map(|&at| &messages[at]).enumerate() {
                let to = if at % 13 == 5 { PlainTo::Name(&name) } else { PlainTo::Pid(&to) };
                let send = PlainSend { from: &from, to, message };
                let before = outbound.len();
                let Ok(Encoded::Frame { bytes, .. }) = outbound.handle_plain(&send) else {
                    panic!("not sent")
                };
                assert_eq!(outbound.len(), before + bytes);
                let mut received = Vec::new();
                while outbound.poll_output(&mut out) {
                    out.chunks().for_each(|chunk| inbound.handle(chunk));
                    out.clear();
                    if is_read_again && let Some(message) = inbound.poll_again() {
                        again += 1;
                        received.push(PlainSend { message: &message, ..send }.to_signal());
                    }
                    while let Some(Received::Signal(signal)) = inbound.poll_output().unwrap() {
                        received.push(signal);
                    }
                }
                assert_eq!(received, [send.to_signal()], "{at}");
            }
            assert_eq!(again > 0, is_read_again && flags == DistFlags::OFFERED);
        }
    }
}

/// A message that cannot be encoded leaves nothing behind, where the header is known before.
#[test]
fn a_message_of_a_flow_that_cannot_be_sent_leaves_nothing() {
    let (from, to) = (Pid::new(Atom::from("a@h"), 1, 2, 3), Pid::new(Atom::from("b@h"), 1, 0, 3));
    let send = |message| PlainSend { from: &from, to: PlainTo::Pid(&to), message };
    let too_large = Term::tuple(vec![Term::atom("late"); etf::EncodeError::TUPLE_ARITY_MAX + 1]);
    let (small, late) = (tuple!(atom "x"), tuple!(atom "late"));
    let (mut outbound, mut out) = (Outbound::new(DistFlags::OFFERED), Segments::new());
    for _ in 0..5 {
        let _ = outbound.handle_plain(&send(&small)).unwrap();
    }
    let before = outbound.len();
    assert!(matches!(outbound.handle_plain(&send(&too_large)), Err(EncodeError::Term(_))));
    assert_eq!(outbound.len(), before);
    for message in [&small, &late, &late, &small] {
        let _ = outbound.handle_plain(&send(message)).unwrap();
    }
    outbound.poll_output(&mut out);
    let mut inbound = Inbound::new("b@h".into(), "a@h".into(), DistFlags::OFFERED, Limits::default());
    out.chunks().for_each(|chunk| inbound.handle(chunk));
    for message in [[&small; 6].as_slice(), &[&late, &late, &small]].concat() {
        assert_eq!(inbound.poll_output(), Ok(Some(Received::Signal(send(message).to_signal()))));
    }
    assert_eq!(inbound.poll_output(), Ok(None));
}
