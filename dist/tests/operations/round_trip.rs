//! What is right arrives, and is written again as it was.

use std::{cell::RefCell, collections::BTreeSet};

use bytes::BytesMut;
use crabnode_dist::{EncodeError, Encoded, OPS, Op, Outbound, Received, Signal, encode_signal};
use etf::{Segments, Term};
use handshake::DistFlags;
use proptest::{collection::vec, prelude::*};

use crate::{
    frames::{FORMS, Form, first, inbound, read, rest},
    values::{config, term, tuple_of},
};

/// What a peer agreed to that is written to by this operation.
fn flags_for(op: Op, form: Form) -> DistFlags {
    let all = form.flags();
    match op {
        Op::Exit | Op::ExitTt | Op::Exit2 | Op::Exit2Tt | Op::MonitorPExit => {
            all.without(DistFlags::EXIT_PAYLOAD)
        }
        Op::Unlink => all.without(DistFlags::UNLINK_ID),
        Op::AliasSend | Op::AliasSendTt => all.without(DistFlags::ALTACT_SIG),
        _ => all,
    }
}

/// A message of any operation: its tuple and its payload.
fn message() -> impl Strategy<Value = (Op, Term, Option<Term>)> {
    proptest::sample::select(OPS).prop_flat_map(|row| message_of(row.op))
}

fn message_of(op: Op) -> impl Strategy<Value = (Op, Term, Option<Term>)> {
    (tuple_of(op), term())
        .prop_map(move |(tuple, payload)| (op, Term::tuple(tuple), op.has_payload().then_some(payload)))
}

fn signal_of(form: Form, (_, control, payload): &(Op, Term, Option<Term>)) -> Signal {
    let (signals, error) = read(form.flags(), &[form.body(control, payload.as_ref())]);
    assert_eq!(error, None, "{control}");
    let [signal] = signals.try_into().expect("one signal");
    signal
}

#[test]
fn every_operation_is_read_in_every_form_and_written_as_it_was() {
    for row in OPS {
        proptest!(config(), |(message in message_of(row.op))| {
            let signal = signal_of(Form::Plain, &message);
            for form in FORMS {
                prop_assert_eq!(&signal_of(form, &message), &signal, "{:?}", form);
            }
            for form in [Form::Plain, Form::Header] {
                let (op, control, payload) = &message;
                let mut out = BytesMut::new();
                let encoded = encode_signal(&signal, flags_for(*op, form), &mut out);
                let bytes = out.len();
                prop_assert_eq!(encoded, Ok(Encoded::Frame { op: *op, bytes }));
                prop_assert_eq!(&out[4..], &form.body(control, payload.as_ref())[..]);
            }
        });
    }
}

#[test]
fn every_operation_with_a_payload_is_read_of_fragments_cut_anywhere() {
    for row in OPS.iter().filter(|row| row.payload) {
        let strategy = (message_of(row.op), any::<[prop::sample::Index; 2]>(), 1..u64::MAX);
        proptest!(config(), |((message, cuts, sequence) in strategy)| {
            let parts = Form::Atoms.parts(&message.1, message.2.as_ref());
            let mut cuts = cuts.map(|cut| cut.index(parts.payload.len() + 1));
            cuts.sort_unstable();
            let (a, rest_of) = parts.payload.split_at(cuts[0]);
            let (b, c) = rest_of.split_at(cuts[1] - cuts[0]);
            let bodies = [
                first(sequence, 3, &[&parts.head, &parts.control, a]),
                rest(sequence, 2, b),
                rest(sequence, 1, c),
            ];
            let (signals, error) = read(DistFlags::OFFERED, &bodies);
            prop_assert_eq!(error, None);
            prop_assert_eq!(signals, vec![signal_of(Form::Plain, &message)]);
        });
    }
}

/// What may be agreed on of headers, caches and fragments.
const FORMS_AGREED: [DistFlags; 4] = [
    DistFlags::OFFERED,
    DistFlags::OFFERED.without(DistFlags::FRAGMENTS),
    DistFlags::OFFERED.without(DistFlags::DIST_HDR_ATOM_CACHE),
    DistFlags::OFFERED.without(DistFlags::FRAGMENTS).without(DistFlags::DIST_HDR_ATOM_CACHE),
];

/// Without these every operation of old is said.
const NEW: DistFlags = DistFlags::SEND_SENDER
    .with(DistFlags::EXIT_PAYLOAD)
    .with(DistFlags::UNLINK_ID)
    .with(DistFlags::ALTACT_SIG);

#[test]
fn a_whole_connection_arrives_by_any_chunks_and_every_operation_is_among_them() {
    let said = RefCell::new(BTreeSet::new());
    let strategy = (vec(message(), 1..60), 1..200_usize);
    proptest!(config(), |((messages, chunk) in strategy)| {
        // What is read as one signal is the peer's, so it may be said as the peer's too.
        let signals: Vec<_> = messages.iter().map(|message| signal_of(Form::Plain, message)).collect();
        for flags in FORMS_AGREED.into_iter().flat_map(|flags| [flags, flags.without(NEW)]) {
            let (mut outbound, mut inbound) = (Outbound::new(flags), inbound(flags));
            let (mut sent, mut bytes, mut out) = (Vec::new(), Vec::new(), Segments::new());
            for signal in &signals {
                match outbound.handle(signal) {
                    Ok(Encoded::Frame { op, .. }) => {
                        said.borrow_mut().insert(op);
                        sent.push(arrives_as(signal, flags));
                    }
                    Ok(Encoded::Withheld(_)) => prop_assert!(!flags.contains(NEW), "{:?}", signal),
                    // The operation of old has none to give.
                    Err(EncodeError::UnlinkWithoutId) => {
                        let has_none = matches!(signal, Signal::Unlink { id: None, .. });
                        prop_assert!(has_none && flags.contains(DistFlags::UNLINK_ID));
                    }
                    Err(error) => panic!("{signal:?}: {error}"),
                }
                while outbound.poll_output(&mut out) {
                    out.chunks().for_each(|chunk| bytes.extend_from_slice(chunk));
                    out.clear();
                }
            }
            let mut received = Vec::new();
            for chunk in bytes.chunks(chunk) {
                inbound.handle(chunk);
                while let Some(came) = inbound.poll_output().expect("our own bytes") {
                    received.push(came);
                }
            }
            let sent: Vec<_> = sent.into_iter().map(Received::Signal).collect();
            prop_assert_eq!(received, sent, "{}", flags);
        }
    });
    assert_eq!(said.into_inner(), OPS.iter().map(|row| row.op).collect(), "each of them was said");
}

/// What operations of old leave out.
fn arrives_as(signal: &Signal, flags: DistFlags) -> Signal {
    let mut signal = signal.clone();
    let is_new = flags.contains(NEW);
    match &mut signal {
        Signal::Send { from, priority, .. } if !is_new => (*from, *priority) = (None, false),
        Signal::RegSend { priority, .. }
        | Signal::AliasSend { priority, .. }
        | Signal::Exit2 { priority, .. }
            if !is_new =>
        {
            *priority = false;
        }
        Signal::Unlink { id, .. } if !is_new => *id = None,
        _ => {}
    }
    signal
}
