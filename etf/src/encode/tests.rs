use bytes::BytesMut;

use super::*;
use crate::{BigInt, Map, tuple};

// The golden bytes of every kind of term stand beside the decoder, which they test too.

fn bare(term: &Term) -> Vec<u8> {
    let mut out = BytesMut::from(&b"before"[..]);
    encode_into(term, &mut out);
    assert_eq!(&out[..6], b"before");
    out[6..].to_vec()
}

#[test]
fn bare_terms_have_no_version() {
    let term = tuple!(atom "a", vec![Term::from(1_000)]);
    assert_eq!(bare(&term), encode(&term)[1..]);
}

#[test]
fn lists_of_bytes_are_strings_up_to_65535() {
    let list = |len| Term::list(vec![Term::Int(7); len]);
    assert_eq!(encode(&list(65_535))[..5], [131, 107, 0xff, 0xff, 7]);
    assert_eq!(encode(&list(65_536))[..8], [131, 108, 0, 1, 0, 0, 97, 7]);
    assert_eq!(encode(&list(65_536)).last(), Some(&106));
    assert_eq!(encode(&vec![256.into()].into())[1], 108);
    assert_eq!(encode(&vec![(-1).into()].into())[1], 108);
    let improper = Term::list_with_tail(vec![1.into()], 2.into());
    assert_eq!(encode(&improper), [131, 108, 0, 0, 0, 1, 97, 1, 97, 2]);
}

#[test]
fn tuples_of_256_are_large() {
    let tuple = |len| encode(&Term::tuple(vec![Term::NIL; len]));
    assert_eq!(tuple(255)[..3], [131, 104, 255]);
    assert_eq!(tuple(256)[..6], [131, 105, 0, 0, 1, 0]);
}

#[test]
fn integers_are_as_short_as_can_be() {
    let power = |exponent: u32| Term::from(BigInt::from(2).pow(exponent));
    assert_eq!(encode(&power(31))[..4], [131, 110, 4, 0]);
    assert_eq!(encode(&power(40))[..4], [131, 110, 6, 0]);
    assert_eq!(encode(&power(64))[..4], [131, 110, 9, 0]);
    assert_eq!(encode(&power(255 * 8 - 1))[..4], [131, 110, 255, 0]);
    assert_eq!(encode(&power(255 * 8))[..7], [131, 111, 0, 0, 1, 0, 0]);
    assert_eq!(encode(&(-256).into())[1..], [98, 0xff, 0xff, 0xff, 0]);
}

#[test]
fn maps_are_written_in_the_order_of_their_keys() {
    let map: Map = [("b", 2), ("a", 1)].map(|(k, v)| (Term::Atom(k.into()), v.into())).into_iter().collect();
    assert_eq!(encode(&map.into()), *b"\x83\x74\0\0\0\x02\x77\x01a\x61\x01\x77\x01b\x61\x02");
}

/// OTP 26 and later store every port under the newer tag, but a distribution message may go to OTP 23.
#[test]
fn ports_go_out_as_every_release_reads_them() {
    let port = |id| Term::from(Port::new(Atom::from("a"), id, 3));
    assert_eq!(encode(&port(5)), [131, 120, 119, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3]);
    assert_eq!(bare(&port(5)), [89, 119, 1, b'a', 0, 0, 0, 5, 0, 0, 0, 3]);
    assert_eq!(bare(&port((1 << 28) - 1))[0], 89);
    assert_eq!(bare(&port(1 << 28))[0], 120);
}
