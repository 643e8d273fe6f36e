//! Bytes that no peer should send, and every small damage to good ones. What broke other codecs is in
//! `robustness.rs`.

use bytes::Bytes;
use crabnode_etf::{
    Closure, DecodeErrorReason, DecodeLimits, Fun, Pid, Port, Record, Reference, Term, decode, decode_bare,
    encode, text::parse_term, tuple,
};

fn limits() -> DecodeLimits {
    DecodeLimits::default()
}

fn decoded(bytes: &[u8]) -> Result<Term, DecodeErrorReason> {
    decode(&Bytes::copy_from_slice(bytes), &limits()).map_err(|e| e.reason)
}

fn truncated(bytes: &[u8]) {
    let reason = decoded(bytes).unwrap_err();
    assert!(matches!(reason, DecodeErrorReason::Truncated { .. }), "{bytes:?}: {reason:?}");
}

#[test]
fn record_of_four_billion() {
    truncated(&[131, 67, 255, 255, 255, 255, 0, 119, 0, 119, 0]);
}

/// Each header alone could be true, all together not.
#[test]
fn nested_headers_that_share_the_input() {
    let mut bytes = vec![131];
    for _ in 0..1000 {
        bytes.extend_from_slice(&[108, 0, 0, 0x10, 0]);
    }
    bytes.resize(bytes.len() + 0x1000, 106);
    truncated(&bytes);
}

#[test]
fn duplicate_keys_are_refused() {
    let map = [116, 0, 0, 0, 2, 97, 1, 97, 2, 97, 1, 97, 3];
    assert_eq!(decoded(&[&[131][..], &map].concat()), Err(DecodeErrorReason::DuplicateKey));
    let bare = decode_bare(&Bytes::copy_from_slice(&map), 0, &[], &limits());
    assert_eq!(bare.unwrap_err().reason, DecodeErrorReason::DuplicateKey);
}

#[test]
fn tags_that_are_not_for_the_wire() {
    for tag in *b"HIJKLN" {
        assert_eq!(decoded(&[131, tag, 0, 0, 0, 0]), Err(DecodeErrorReason::InternalTag { tag }));
    }
    assert_eq!(decoded(&[131, 117, 0, 0, 0, 0]), Err(DecodeErrorReason::OldFun));
    assert_eq!(decoded(&[]), Err(DecodeErrorReason::Truncated { needed: 1, left: 0 }));
    assert_eq!(decoded(&[130, 106]), Err(DecodeErrorReason::NoVersion { found: 130 }));
}

/// One of every tag.
fn corpus() -> Vec<Vec<u8>> {
    let node = crabnode_etf::Atom::from("a@b");
    let pid = Pid::new(node.clone(), 1, 2, 3);
    let closure = Closure {
        arity: 1,
        uniq: [7; 16],
        index: 1,
        module: "m".into(),
        old_index: 2,
        old_uniq: 100_000,
        creator: pid.clone(),
        free: [1.into(), Term::atom("x")].into(),
    };
    let record = Record::new(1, "m", "r", [("f".into(), 1.into())]);
    let mut all: Vec<Vec<u8>> = [
        parse_term(
            "[0, 255, 256, -1, 4294967296, -18446744073709551616, 1.5, ok, \"string\", [a | b], [], {}]",
        ),
        parse_term(
            "{#{a => 1, 2 => [b], 2.0 => #{}}, <<>>, <<\"a longer binary, kept as a slice\">>, <<1, 5:3>>}",
        ),
        parse_term("[fun lists:map/2, 'é日', {{{}}}]"),
        Ok(tuple!(pid, Port::new(node.clone(), 1 << 40, 3), Reference::new(node, 3, &[1, 2, 3]).unwrap())),
        Ok(Fun::Closure(closure).into()),
        Ok(Term::Record(Box::new(record))),
        Ok(Term::tuple(vec![Term::NIL; 256])),
        Ok(parse_term(&format!("1{}", "0".repeat(700))).unwrap()),
    ]
    .map(|term| encode(&term.unwrap()))
    .into();
    let float = [&[131, 99][..], b"1.50000000000000000000e+00", &[0; 5]].concat();
    let old = b"\x83\x68\x06\x64\0\x03abc\x73\x01\xe9\x67\x77\x01n\0\0\0\x01\0\0\0\x02\x03\x66\x77\x01n\0\0\0\x01\x03\
        \x72\0\x02\x77\x01n\x03\0\0\0\x01\0\0\0\x02\x65\x77\x01n\0\0\0\x01\x03";
    let zlib = "83500000009C789CCB616060902B674E4C4A1E74441600E06631B5";
    let zlib =
        (0..zlib.len() / 2).map(|i| u8::from_str_radix(&zlib[2 * i..2 * i + 2], 16).unwrap()).collect();
    all.extend([float, old.to_vec(), zlib]);
    all
}

#[test]
fn corpus_is_good() {
    for bytes in corpus() {
        decoded(&bytes).unwrap();
    }
}

#[test]
fn every_truncation_is_an_error() {
    for bytes in corpus() {
        for end in 0..bytes.len() {
            assert!(decoded(&bytes[..end]).is_err(), "{bytes:?} up to {end}");
        }
    }
}

/// A changed byte may well give another term; that must be whole then.
#[test]
fn every_changed_byte_is_an_error_or_a_term() {
    for bytes in corpus() {
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            for byte in 0..=255 {
                changed[at] = byte;
                if let Ok(term) = decoded(&changed) {
                    assert_eq!(decoded(&encode(&term)), Ok(term));
                }
            }
        }
    }
}
