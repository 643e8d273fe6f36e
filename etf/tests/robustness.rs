//! Inputs that abort, hang or lose data in other codecs: one test each.

use std::thread;

use bytes::Bytes;
use crabnode_etf::{
    Atom, BitString, DecodeErrorReason, DecodeLimits, Map, Port, Record, Term, decode, decode_prefix, encode,
    text::parse_term, tuple,
};
use flate2::{Compress, Compression, FlushCompress};

/// What decoding makes of it. Serde reads bytes by ways of its own and must come to the same.
fn decoded(bytes: &[u8]) -> Result<Term, DecodeErrorReason> {
    let decoded = decode(&Bytes::copy_from_slice(bytes), &DecodeLimits::default());
    #[cfg(feature = "serde")]
    {
        use crabnode_etf::serde::from_bytes;

        let by_serde = from_bytes::<Term>(bytes).ok();
        assert!(by_serde.as_ref() == decoded.as_ref().ok(), "{by_serde:?} by serde, not {decoded:?}");
        // What nobody asked for is passed over.
        assert!(from_bytes::<serde::de::IgnoredAny>(bytes).is_ok() || decoded.is_err());
    }
    decoded.map_err(|error| error.reason)
}

/// More is promised than there is: nothing may be allocated for it.
fn assert_truncated(bytes: &[u8]) {
    let reason = decoded(bytes).unwrap_err();
    assert!(matches!(reason, DecodeErrorReason::Truncated { .. }), "{bytes:?}: {reason:?}");
}

fn assert_round_trip(bytes: &[u8], term: &Term) {
    assert_eq!(decoded(bytes).as_ref(), Ok(term));
    assert_eq!(encode(term), bytes);
}

/// So little stack that recursion for each level ends in an abort long before 200,000.
fn on_a_small_stack(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(128 << 10);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

/// All that is done with a term, however deep, and none of it by recursion.
fn assert_deep(bytes: Vec<u8>) {
    on_a_small_stack(move || {
        let term = decoded(&bytes).unwrap();
        assert_eq!(encode(&term), bytes);
        let copy = term.clone();
        assert!(copy == term);
        assert!(copy.cmp(&term).is_eq());
        assert!(copy.cmp_erlang(&term).is_eq());
        let deeper = Term::tuple([term.clone()]);
        assert!(deeper != term);
        drop(term);
        assert_eq!(encode(&copy), bytes);
    });
}

#[test]
fn distribution_header_alone() {
    assert_eq!(decoded(&[131, 68]), Err(DecodeErrorReason::UnknownTag { tag: 68 }));
}

#[test]
fn atom_cache_reference_without_header() {
    assert_eq!(decoded(&[131, 82, 0]), Err(DecodeErrorReason::AtomCacheRefInStored));
}

#[test]
fn list_of_four_billion() {
    assert_truncated(&[131, 108, 255, 255, 255, 255]);
    assert_truncated(&[131, 108, 255, 255, 255, 255, 97, 1, 106]);
}

#[test]
fn tuple_of_four_billion() {
    let reason = DecodeErrorReason::TupleArity { arity: u32::MAX };
    assert_eq!(decoded(&[131, 105, 255, 255, 255, 255]), Err(reason));
    // The largest that there may be.
    assert_truncated(&[131, 105, 0, 255, 255, 255]);
}

#[test]
fn map_of_four_billion() {
    assert_truncated(&[131, 116, 255, 255, 255, 255]);
    assert_truncated(&[131, 116, 255, 255, 255, 255, 97, 1, 97, 1]);
}

#[test]
fn binary_of_four_billion() {
    assert_truncated(&[131, 109, 255, 255, 255, 255]);
    assert_truncated(&[131, 77, 255, 255, 255, 255, 1, 0]);
}

#[test]
fn integer_of_four_billion_bytes() {
    let max = DecodeLimits::default().bigint_bytes_max;
    let reason = DecodeErrorReason::IntegerTooLarge { bytes: u32::MAX as usize, max };
    assert_eq!(decoded(&[131, 111, 255, 255, 255, 255, 0]), Err(reason));
}

#[test]
fn closure_over_four_billion() {
    let mut bytes = vec![131, 112, 0, 0, 0, 50, 1];
    bytes.extend_from_slice(&[0; 20]);
    bytes.extend_from_slice(&[255; 4]);
    bytes.extend_from_slice(b"\x77\x01m\x61\0\x61\0\x58\x77\x01n\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(decoded(&bytes), Err(DecodeErrorReason::FreeVariables { free: u32::MAX }));
}

#[test]
fn a_million_nested_tuples() {
    let mut bytes = vec![131];
    bytes.extend_from_slice(&[104, 1].repeat(1_000_000));
    bytes.push(106);
    assert_deep(bytes.clone());
    bytes.splice(1..1, [104, 1]);
    on_a_small_stack(|| assert_eq!(decoded(&bytes), Err(DecodeErrorReason::TooDeep { max: 1_000_000 })));
}

#[test]
fn two_hundred_thousand_nested_lists() {
    let mut bytes = vec![131];
    bytes.extend_from_slice(&[108, 0, 0, 0, 1].repeat(200_000));
    bytes.extend_from_slice(&[106].repeat(200_001));
    assert_deep(bytes);
}

/// Lists that end too early: what was read is dropped, which takes no stack either.
#[test]
fn two_hundred_thousand_open_lists() {
    let mut bytes = vec![131];
    bytes.extend_from_slice(&[108, 0, 0, 0, 1].repeat(200_000));
    on_a_small_stack(|| assert_truncated(&bytes));
}

/// A binary of so many MiB of zeros, compressed to a thousandth, that says it inflates to `declared` bytes.
fn compressed_zeros(mebibytes: u32, declared: u32) -> Vec<u8> {
    let len = mebibytes << 20;
    let mut bytes = [&[131, 80][..], &declared.to_be_bytes(), &[0x78, 0xda]].concat();
    // A stored block with the binary's tag and length, blocks of a MiB each, an empty last block.
    bytes.extend_from_slice(&[0, 5, 0, 250, 255, 109]);
    bytes.extend_from_slice(&len.to_be_bytes());
    let mut mebibyte = Vec::with_capacity(8 << 10);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate.compress_vec(&[0; 1 << 20], &mut mebibyte, FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), 1 << 20);
    (0..mebibytes).for_each(|_| bytes.extend_from_slice(&mebibyte));
    bytes.extend_from_slice(&[1, 0, 0, 255, 255]);
    // The checksum (RFC 1950).
    let (mut a, mut b) = (1, 0);
    for byte in [&[109][..], &len.to_be_bytes()].concat() {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b = (b + len % 65_521 * a) % 65_521;
    bytes.extend_from_slice(&((b << 16) | a).to_be_bytes());
    bytes
}

#[test]
fn a_gigabyte_compressed_to_one_megabyte_that_declares_10_bytes() {
    // The stream is a good one: two of them are a term.
    let two = compressed_zeros(2, (2 << 20) + 5);
    assert_eq!(decoded(&two), Ok(Term::binary(vec![0; 2 << 20])));

    let mut bytes = compressed_zeros(1 << 10, 10);
    assert!((1 << 20..3 << 19).contains(&bytes.len()), "{} bytes", bytes.len());
    assert_eq!(decoded(&bytes), Err(DecodeErrorReason::InflatedSize { declared: 10 }));
    // The truth helps as little.
    let len = (1 << 30) + 5;
    bytes[2..6].copy_from_slice(&u32::to_be_bytes(len));
    let max = DecodeLimits::default().inflated_bytes_max;
    assert_eq!(decoded(&bytes), Err(DecodeErrorReason::InflatedTooLarge { bytes: len as usize, max }));
}

#[test]
fn bit_binary_of_no_bits_in_its_last_byte() {
    let reason = DecodeErrorReason::BitCount { bytes: 1, last_bits: 0 };
    assert_eq!(decoded(&[131, 77, 0, 0, 0, 1, 0, 255]), Err(reason));
}

#[test]
fn bit_binary_of_nine_bits_in_its_last_byte() {
    let reason = DecodeErrorReason::BitCount { bytes: 1, last_bits: 9 };
    assert_eq!(decoded(&[131, 77, 0, 0, 0, 1, 9, 255]), Err(reason));
    // The bits between those two are good.
    for bits in 1..=7 {
        let term = BitString::new(&[255], bits).unwrap().into();
        assert_eq!(decoded(&[131, 77, 0, 0, 0, 1, bits, 255]), Ok(term));
    }
    assert_eq!(decoded(&[131, 77, 0, 0, 0, 1, 8, 255]), Ok(Term::binary(&[255][..])));
}

#[test]
fn latin1_atom() {
    assert_eq!(decoded(&[131, 115, 1, 0xe9]), Ok(Term::atom("é")));
}

#[test]
fn integer_and_float_keys_are_two() {
    let entries = [(1.into(), Term::atom("int")), (parse_term("1.0").unwrap(), Term::atom("float"))];
    let map = Term::Map(entries.into_iter().collect::<Map>());
    assert_eq!(map.as_map().map(Map::len), Some(2));
    assert_round_trip(b"\x83\x74\0\0\0\x02\x61\x01\x77\x03int\x46\x3f\xf0\0\0\0\0\0\0\x77\x05float", &map);
    assert_eq!(parse_term("#{1 => int, 1.0 => float}"), Ok(map));
}

#[test]
fn negative_integers_are_no_bytes() {
    let list = Term::list([(-1).into(), (-300).into()]);
    assert_round_trip(b"\x83\x6c\0\0\0\x02\x62\xff\xff\xff\xff\x62\xff\xff\xfe\xd4\x6a", &list);
}

/// Longer than STRING_EXT can say.
#[test]
fn charlist_of_70000() {
    let list = Term::list(vec![Term::Int(97); 70_000]);
    let bytes = [b"\x83\x6c\0\x01\x11\x70", &b"\x61\x61".repeat(70_000)[..], b"\x6a"].concat();
    assert_round_trip(&bytes, &list);
}

#[test]
fn local_term() {
    assert_eq!(decoded(&[131, 121, 1, 2, 3, 4, 106]), Err(DecodeErrorReason::LocalTerm));
}

#[test]
fn port_of_64_bits() {
    let port = Port::new(Atom::from("a@b"), u64::MAX, 7);
    let bytes = b"\x83\x78\x77\x03a@b\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x07";
    assert_round_trip(bytes, &port.into());
}

#[test]
fn native_record() {
    let fields = [("a".into(), 7.into()), ("b".into(), tuple!(2))];
    let record = Term::Record(Box::new(Record::new(1, "nr", "pair", fields)));
    let bytes = b"\x83\x43\0\0\0\x02\x01\x77\x02nr\x77\x04pair\x77\x01a\x77\x01b\x61\x07\x68\x01\x61\x02";
    assert_round_trip(bytes, &record);
}

#[test]
fn trailing_bytes() {
    assert_eq!(decoded(&[131, 106, 0]), Err(DecodeErrorReason::TrailingBytes { bytes: 1 }));
    // Who wants them asks for them.
    let prefix = decode_prefix(&Bytes::from_static(&[131, 106, 0]), &DecodeLimits::default());
    assert_eq!(prefix, Ok((Term::NIL, 2)));
}
