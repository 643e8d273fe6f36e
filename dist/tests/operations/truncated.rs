//! Every cut of every operation in every form.

use crabnode_dist::{Fault, InboundError, NodedownReason, OPS, Received};
use etf::{Term, tuple};
use handshake::DistFlags;

use crate::{
    frames::{FORMS, Form, first, framed, inbound, read, rest},
    places::right_tuple,
};

/// A payload with what terms are made of.
fn payload() -> Term {
    let list = vec![Term::atom("long_atom"), Term::from(1_i64 << 40), Term::binary(vec![7; 80])];
    tuple!(atom "ok", list, i64::MAX)
}

fn messages() -> impl Iterator<Item = (Term, Option<Term>)> {
    OPS.iter().map(|row| (Term::tuple(right_tuple(row.op)), row.payload.then(payload)))
}

/// It is the peer's fault, and the log can show what came.
fn assert_blames_the_peer(error: &InboundError, body: &[u8]) {
    assert_eq!(error.nodedown_reason(), NodedownReason::Killed);
    assert_eq!(error.frame_start, body[..body.len().min(InboundError::START_BYTES_MAX)]);
    assert!(!error.to_string().is_empty());
}

#[test]
fn a_frame_that_ends_too_early_is_refused_and_says_where() {
    for (control, payload) in messages() {
        for form in FORMS {
            let whole = form.body(&control, payload.as_ref());
            let parts = form.parts(&control, payload.as_ref());
            let control_at = whole.len() - parts.control.len() - parts.payload.len();
            let payload_at = control_at + parts.control.len();
            assert_eq!(read(form.flags(), std::slice::from_ref(&whole)).1, None, "{control}");
            // A body of no bytes is a tick.
            for cut in 1..whole.len() {
                let body = whole[..cut].to_vec();
                let (signals, error) = read(form.flags(), std::slice::from_ref(&body));
                assert_eq!(signals, [], "{form:?} {control} cut at {cut}");
                let error = error.unwrap_or_else(|| panic!("{form:?} {control} cut at {cut} is taken"));
                assert_blames_the_peer(&error, &body);
                let is_right = match &error.fault {
                    // Of the start of a term without a header the version is looked at first.
                    Fault::Body(_) => {
                        cut < control_at.max(3) || (form == Form::Plain && cut <= payload_at + 1)
                    }
                    Fault::Header(_) => form != Form::Plain && (2..control_at).contains(&cut),
                    Fault::ControlTerm(_) => (control_at..payload_at).contains(&cut),
                    Fault::PayloadMissing(_) => cut == payload_at,
                    Fault::PayloadTerm(_) => cut > payload_at,
                    _ => false,
                };
                assert!(is_right, "{form:?} {control} cut at {cut} of {}: {error}", whole.len());
                let knows_op = cut >= payload_at;
                assert_eq!(error.op.is_some(), knows_op, "{error}");
            }
        }
    }
}

#[test]
fn a_stream_that_ends_too_early_delivers_nothing_and_blames_nobody() {
    for (control, payload) in messages() {
        for form in FORMS {
            let whole = framed(&form.body(&control, payload.as_ref()));
            let mut by_byte = inbound(form.flags());
            for (at, byte) in whole.iter().enumerate() {
                assert_eq!(by_byte.poll_output(), Ok(None), "{form:?} {control} after {at} bytes");
                by_byte.handle(&[*byte]);
            }
            assert!(matches!(by_byte.poll_output(), Ok(Some(Received::Signal(_)))));
            assert_eq!(by_byte.poll_output(), Ok(None));
        }
    }
}

#[test]
fn a_fragment_that_ends_too_early_is_refused_at_the_latest_when_the_message_is_put_together() {
    for (control, payload) in messages().filter(|(_, payload)| payload.is_some()) {
        let parts = Form::Atoms.parts(&control, payload.as_ref());
        let (a, b) = parts.payload.split_at(parts.payload.len() / 2);
        let start = first(9, 2, &[&parts.head, &parts.control, a]);
        let end = rest(9, 1, b);
        assert_eq!(read(DistFlags::OFFERED, &[start.clone(), end.clone()]).1, None);
        for cut in 1..start.len() {
            let (signals, error) = read(DistFlags::OFFERED, &[start[..cut].to_vec(), end.clone()]);
            assert_eq!(signals, [], "{control} cut at {cut}");
            let error = error.unwrap_or_else(|| panic!("{control} cut at {cut} is taken"));
            let is_whole = cut >= start.len() - a.len();
            assert_eq!(matches!(error.fault, Fault::PayloadTerm(_)), is_whole, "{control} at {cut}: {error}");
            assert_eq!(error.nodedown_reason(), NodedownReason::Killed);
        }
        for cut in 1..end.len() {
            let (signals, error) = read(DistFlags::OFFERED, &[start.clone(), end[..cut].to_vec()]);
            assert_eq!(signals, [], "{control} cut at {cut}");
            let error = error.unwrap_or_else(|| panic!("{control} cut at {cut} is taken"));
            let is_whole = cut >= end.len() - b.len();
            assert_eq!(matches!(error.fault, Fault::PayloadTerm(_)), is_whole, "{control} at {cut}: {error}");
            assert_eq!(error.op.is_some(), is_whole, "{error}");
        }
    }
}
