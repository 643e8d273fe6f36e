use etf::{Atom, Pid, Term};

use super::*;

#[test]
fn a_frame_is_its_length_and_its_body() {
    let pid = |node| Pid::new(Atom::from_static(node), 1, 2, 3);
    let signal = Signal::Link { from: pid("a@h"), to: pid("b@h") };
    let mut out = BytesMut::new();
    let encoded = encode_signal(&signal, DistFlags::OFFERED, &mut out).unwrap();
    assert_eq!(encoded, Encoded::Frame { op: Op::Link, bytes: 46 });
    let mut expected = vec![0, 0, 0, 42, 112, 131, 104, 3, 97, 1];
    for node in [b"a@h", b"b@h"] {
        expected.extend_from_slice(&[88, 119, 3]);
        expected.extend_from_slice(node);
        expected.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    }
    assert_eq!(out, expected);
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
