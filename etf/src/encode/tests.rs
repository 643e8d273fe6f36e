use bytes::BytesMut;

use super::*;
use crate::{
    Atom, BigInt, Closure, DecodeLimits, Float, Fun, LocalKey, Map, Pid, Port, Reference, decode,
    text::parse_term, tuple,
};

// The golden bytes of every kind of term stand beside the decoder, which they test too.

fn bare(term: &Term) -> Vec<u8> {
    let mut out = BytesMut::from(&b"before"[..]);
    encode_into(term, &mut out);
    assert_eq!(&out[..6], b"before");
    out[6..].to_vec()
}

fn list(elements: Vec<Term>) -> Term {
    elements.into()
}

#[test]
fn bare_terms_have_no_version() {
    let term = tuple!(atom "a", vec![Term::from(1_000)]);
    assert_eq!(bare(&term), encode(&term)[1..]);
}

#[test]
fn lists_of_bytes_are_strings_up_to_65535() {
    let sevens = |len| list(vec![Term::Int(7); len]);
    assert_eq!(encode(&sevens(65_535))[..5], [131, 107, 0xff, 0xff, 7]);
    assert_eq!(encode(&sevens(65_536))[..8], [131, 108, 0, 1, 0, 0, 97, 7]);
    assert_eq!(encode(&sevens(65_536)).last(), Some(&106));
    assert_eq!(encode(&list(vec![256.into()]))[1], 108);
    assert_eq!(encode(&list(vec![(-1).into()]))[1], 108);
    assert_eq!(
        encode(&list(vec![1.into(), 300.into()])),
        [131, 108, 0, 0, 0, 2, 97, 1, 98, 0, 0, 1, 44, 106]
    );
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
    assert_eq!(encode(&i64::MIN.into()), [131, 110, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(encode(&i64::MAX.into())[..4], [131, 110, 8, 0]);
    assert_eq!(encode(&(i64::from(i32::MIN) - 1).into()), [131, 110, 4, 1, 1, 0, 0, 0x80]);
}

#[test]
fn atoms_of_every_length_are_written_whole() {
    for len in 0..=255 {
        let text = "abcdefghijklmnopqrstuvwxyz".repeat(10)[..len].to_owned();
        let bytes = bare(&Term::Atom(text.as_str().into()));
        assert_eq!(bytes[..2], [119, u8::try_from(len).unwrap()]);
        assert_eq!(bytes[2..], *text.as_bytes());
    }
    let long = bare(&Term::Atom("é".repeat(255).as_str().into()));
    assert_eq!(long[..3], [118, 1, 254]);
    assert_eq!(long[3..], *"é".repeat(255).as_bytes());
}

#[test]
fn maps_are_written_in_the_order_of_their_keys() {
    let map: Map = [("b", 2), ("a", 1)].map(|(k, v)| (Term::Atom(k.into()), v.into())).into_iter().collect();
    assert_eq!(encode(&map.into()), *b"\x83\x74\0\0\0\x02\x77\x01a\x61\x01\x77\x01b\x61\x02");
}

/// Literally what OTP 25, 27 and 29 write with `deterministic` and `{minor_version, 2}`.
#[test]
fn maps_have_the_bytes_of_deterministic() {
    let text =
        "#{1 => a, 1.0 => b, -1.5 => c, -5 => d, a => e, 0.0 => f, b => g, [] => h, {} => i, <<>> => j,
        [1.0] => k, [2] => l, #{} => m, 1180591620717411303424 => n, -0.5 => o}";
    let expected: &[&[u8]] = &[
        &[131, 116, 0, 0, 0, 15],
        &[98, 255, 255, 255, 251, 119, 1, 100],
        &[97, 1, 119, 1, 97],
        &[110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 119, 1, 110],
        &[70, 191, 248, 0, 0, 0, 0, 0, 0, 119, 1, 99],
        &[70, 191, 224, 0, 0, 0, 0, 0, 0, 119, 1, 111],
        &[70, 0, 0, 0, 0, 0, 0, 0, 0, 119, 1, 102],
        &[70, 63, 240, 0, 0, 0, 0, 0, 0, 119, 1, 98],
        &[119, 1, 97, 119, 1, 101],
        &[119, 1, 98, 119, 1, 103],
        &[104, 0, 119, 1, 105],
        &[116, 0, 0, 0, 0, 119, 1, 109],
        &[106, 119, 1, 104],
        &[107, 0, 1, 2, 119, 1, 108],
        &[108, 0, 0, 0, 1, 70, 63, 240, 0, 0, 0, 0, 0, 0, 106, 119, 1, 107],
        &[109, 0, 0, 0, 0, 119, 1, 106],
    ];
    assert_eq!(encode(&parse_term(text).unwrap()), expected.concat());
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

/// What each `minor_version` of OTP 29 writes.
#[test]
fn minor_versions_are_those_of_term_to_binary() {
    let version = |minor_version| EncodeOptions { minor_version, ..Default::default() };
    let [v0, v1, v2] = [MinorVersion::V0, MinorVersion::V1, MinorVersion::V2].map(version);
    let float = |value| Term::Float(Float::new(value).unwrap());
    for (value, text) in [
        (1.5, "1.50000000000000000000e+00"),
        (-0.0, "-0.00000000000000000000e+00"),
        (1.0e300, "1.00000000000000005250e+300"),
        (-2.5e-7, "-2.49999999999999988687e-07"),
        (f64::MIN_POSITIVE, "2.22507385850720138309e-308"),
        (5e-324, "4.94065645841246544177e-324"),
        (f64::MAX, "1.79769313486231570815e+308"),
    ] {
        let bytes = v0.encode(&float(value));
        assert_eq!(bytes[..2], [131, 99]);
        assert_eq!(bytes[2..].len(), 31);
        assert_eq!(bytes[2..].trim_ascii_end().split(|&b| b == 0).next(), Some(text.as_bytes()));
        assert_eq!(v1.encode(&float(value)), encode(&float(value)));
    }
    for (atom, latin1) in [("abc", &b"d\0\x03abc"[..]), ("é", b"d\0\x01\xe9"), ("α", b"w\x02\xce\xb1")] {
        let atom = Term::Atom(atom.into());
        assert_eq!(v0.encode(&atom)[1..], *latin1);
        assert_eq!(v1.encode(&atom)[1..], *latin1);
        assert_eq!(v2.encode(&atom), encode(&atom));
    }
    let node = Atom::from("é@h");
    let pid = Term::from(Pid::new(node.clone(), 1, 2, 3));
    assert_eq!(v1.encode(&pid), *b"\x83Xd\0\x03\xe9@h\0\0\0\x01\0\0\0\x02\0\0\0\x03");
    let long = v1.encode(&Term::Atom("é".repeat(255).as_str().into()));
    assert_eq!((&long[1..4], long.len()), (&[100, 0, 255][..], 4 + 255));
    for term in [pid, Port::new(node.clone(), 5, 3).into(), Reference::new(node, 3, &[1, 2]).unwrap().into()]
    {
        assert_eq!(v2.encode(&term), encode(&term));
    }
}

/// The sizes at which OTP changes over, for a list of so many atoms `a`.
#[test]
fn compressing_is_used_unless_it_makes_longer() {
    let options = |compressed| EncodeOptions { compressed, ..Default::default() };
    let len = |n, level| options(level).encode(&list(vec![Term::atom("a"); n])).len();
    for level in [1, 6, 9, 200] {
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(|n| len(n, level)), [10, 13, 16, 19, 22, 24, 24]);
        let long = options(level).encode(&list(vec![Term::atom("a"); 1000]));
        assert_eq!(long[..6], [131, 80, 0, 0, 0x0b, 0xbe]);
        assert!(long.len() < 60, "{}", long.len());
    }
    assert_eq!(len(1000, 0), 3007);
    // Noise does not become shorter, nor does what is too short for the header.
    let noise =
        (0..999u64).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_pow(3).to_be_bytes()[0]);
    let noise = Term::binary(noise.collect::<Vec<_>>());
    assert_eq!(options(9).encode(&noise).len(), encode(&noise).len());
    assert_eq!(options(9).encode(&Term::NIL), [131, 106]);
    let mut out = b"before".to_vec();
    options(6).encode_stored_into(&list(vec![Term::atom("a"); 1000]), &mut out);
    assert_eq!(out[..8], *b"before\x83P");
}

#[test]
fn local_terms_leave_out_the_own_node() {
    let key = LocalKey::new([1; 16], Atom::from("a@b"), 5);
    let options = |key| EncodeOptions { local: Some(key), ..Default::default() };
    let id = |node: &str, creation| Term::from(Pid::new(Atom::from(node), 1, 2, creation));
    let own = options(key.clone()).encode(&id("a@b", 5));
    assert_eq!(own[..2], [131, 121]);
    assert_eq!(own[6..], [88, 106, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0]);
    // Others, and those of an earlier incarnation, stay as they are.
    for other in [id("a@c", 5), id("a@b", 4)] {
        assert_eq!(options(key.clone()).encode(&other)[6..], encode(&other)[1..]);
    }
    let node = Atom::from("a@b");
    let port = options(key.clone()).encode(&Port::new(node.clone(), 7, 5).into());
    assert_eq!(port[6..], [120, 106, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0]);
    let reference = options(key.clone()).encode(&Reference::new(node.clone(), 5, &[9]).unwrap().into());
    assert_eq!(reference[6..], [90, 0, 1, 106, 0, 0, 0, 0, 0, 0, 0, 9]);
    // The hash is of the secret and the term.
    let with_other_secret = options(LocalKey::new([2; 16], node, 5)).encode(&id("a@b", 5));
    assert_eq!(own[6..], with_other_secret[6..]);
    assert_ne!(own[2..6], with_other_secret[2..6]);
    assert_ne!(own[2..6], port[2..6]);
    assert!(!format!("{key:?}").contains('1'), "{key:?}");
}

fn closure(free: Vec<Term>) -> Term {
    let creator = Pid::new(Atom::from("a@b"), 1, 2, 3);
    let module = Atom::from("m");
    let closure = Closure {
        arity: 1,
        uniq: [9; 16],
        index: 2,
        module,
        old_index: 3,
        old_uniq: 400,
        creator,
        free: free.into(),
    };
    Fun::Closure(closure).into()
}

#[test]
fn what_no_beam_takes_is_refused_where_asked_for() {
    let huge = Term::from(BigInt::from(2).pow(8 * 524_280));
    let largest = Term::from(BigInt::from(2).pow(8 * 524_280 - 1));
    let arity = EncodeError::TUPLE_ARITY_MAX + 1;
    let blob = Term::binary(vec![1; 5000]);
    for (term, error) in [
        (huge, EncodeError::IntegerTooLarge { bytes: 524_281 }),
        (closure(vec![Term::NIL; 256]), EncodeError::FreeVariables { free: 256 }),
        (Term::tuple(vec![Term::NIL; arity]), EncodeError::TupleArity { arity }),
    ] {
        let term = tuple!(blob.clone(), vec![term], blob.clone());
        let mut out = BytesMut::from(&b"before"[..]);
        assert_eq!(try_encode_into(&term, &mut out), Err(error));
        assert_eq!(&out[..], b"before");
        let mut segments = Segments::new();
        encode_into(&blob, &mut segments);
        assert_eq!(try_encode_into(&term, &mut segments), Err(error));
        assert_eq!(segments.chunks().count(), 2);
        assert_eq!(segments.len(), 5005);
        // It is written all the same where nobody asks.
        assert_eq!(encode(&term).len(), 1 + bare(&term).len());
    }
    for term in [largest, closure(vec![Term::NIL; 255]), blob] {
        let mut out = BytesMut::new();
        assert_eq!(try_encode_into(&term, &mut out), Ok(()));
        assert_eq!(out, bare(&term));
    }
}

/// So deep that recursion would not do.
#[test]
fn deep_terms_are_written_without_recursion() {
    const LEVELS: usize = 1_000_000;
    let mut term = Term::atom("x");
    let mut bytes = Vec::new();
    for _ in 0..LEVELS {
        bytes.extend_from_slice(&[104, 1]);
        term = Term::tuple([term]);
    }
    bytes.extend_from_slice(&[119, 1, b'x']);
    assert!(bare(&term) == bytes);
}

/// Each kind with sub-terms, deeper than is written by recursion.
#[test]
fn every_kind_may_lie_deep() {
    let limits = DecodeLimits::default();
    let mut term = tuple!(Term::charlist("x"), Term::NIL, Map::new());
    for i in 0..100 {
        let map: Map = [(Term::from(i), term.clone()), (Term::atom("k"), i.into())].into_iter().collect();
        term = match i % 6 {
            0 => tuple!(1, term, 2),
            1 => list(vec![1.into(), term]),
            2 => Term::list_with_tail(vec![term], 5.into()),
            3 => map.into(),
            4 => closure(vec![term, 5.into()]),
            _ => {
                let (names, values) = (vec!["a".into(), "b".into()], vec![term, 5.into()].into());
                let record = crate::Record { flags: 1, module: "m".into(), name: "r".into(), names, values };
                Term::Record(Box::new(record))
            }
        };
        assert_eq!(decode(&encode(&term).into(), &limits), Ok(term.clone()));
    }
}
