//! Any bytes: a term or an error, within the promised memory. A term is written in every way, and read back the same.
#![no_main]

use std::{
    cmp::Ordering,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use bytes::Bytes;
use crabnode_fuzz::{limits, within_memory};
use etf::{
    Atom, DecodeOptions, EncodeOptions, Known, LocalKey, MinorVersion, Segments, Term, decode, decode_bare,
    encode, encode_into, encode_stored_into, try_encode_into,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let input = Bytes::copy_from_slice(data);
    let stored = within_memory(data, || decode(&input, &limits()));
    if let Ok(term) = &stored {
        written_stored(term);
        written_bare(term);
        compared(term);
        // It has a text, whatever it is.
        assert!(!term.to_string().contains('\n'));
    }
    safe(&input, stored.as_ref().ok());

    // Inside a message: no 131, atoms by their place in a cache.
    let at = usize::from(data.first() == Some(&131));
    let cache = ["ok", "a@b", "\u{e9}"].map(Atom::from);
    if let Ok((term, end)) = within_memory(&data[at..], || decode_bare(&input, at, &cache, &limits())) {
        assert!(at < end && end <= data.len());
        written_bare(&term);
        // What a stored term takes, a message takes too, but for local and compressed ones; and not the other
        // way round, since it may have atoms of the cache.
        if let Ok(stored) = &stored {
            assert_eq!((stored, data.len()), (&term, end));
        }
    }
});

fn written_stored(term: &Term) {
    let bytes = encode(term);
    let back = decode(&bytes.clone().into(), &limits()).expect("what was written reads back");
    assert_eq!(&back, term);
    assert_eq!(hash(&back), hash(term));
    assert_eq!(encode(&back), bytes);

    let mut again = bytes.clone();
    encode_stored_into(term, &mut again);
    assert_eq!(again[bytes.len()..], bytes);

    // How hard to compress is all the same here; so that every level comes up, it is by the length.
    let level = u8::try_from(bytes.len() % 10).expect("a digit");
    let key = LocalKey::new([7; 16], Atom::from("a@b"), 1);
    for minor_version in [MinorVersion::V0, MinorVersion::V1, MinorVersion::V2] {
        for local in [None, Some(key.clone())] {
            let options = EncodeOptions { compressed: 0, minor_version, local: local.clone() };
            let plain = options.encode(term);
            let short = EncodeOptions { compressed: level, ..options }.encode(term);
            assert!(short.len() <= plain.len());
            let reader = DecodeOptions { limits: limits(), safe: None, local };
            for bytes in [plain, short] {
                if bytes.len() < crabnode_fuzz::INFLATED_BYTES_MAX {
                    assert_eq!(reader.decode(&bytes.into()).as_ref(), Ok(term));
                }
            }
        }
    }
}

fn written_bare(term: &Term) {
    let (mut bytes, mut segments, mut checked) = (Vec::new(), Segments::new(), Vec::new());
    encode_into(term, &mut bytes);
    encode_into(term, &mut segments);
    assert_eq!(segments.chunks().collect::<Vec<_>>().concat(), bytes);
    assert_eq!(try_encode_into(term, &mut checked), Ok(()), "what was read may be sent");
    assert_eq!(checked, bytes);
    let len = bytes.len();
    let back = decode_bare(&bytes.into(), 0, &[], &limits()).expect("what was written reads back");
    assert_eq!((&back.0, back.1), (term, len));
}

/// Each sub-term of the first level against the next.
fn compared(term: &Term) {
    let copy = term.clone();
    assert!(copy == *term && copy.cmp(term) == Ordering::Equal);
    let Some(elements) = term.as_tuple().or_else(|| term.as_list()) else { return };
    for pair in elements.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert_eq!(a.cmp(b), b.cmp(a).reverse());
        assert_eq!(a.cmp_erlang(b), b.cmp_erlang(a).reverse());
        assert_eq!(a.cmp(b) == Ordering::Equal, a == b);
        assert!(a.cmp_erlang(b) == Ordering::Equal || a.cmp_erlang(b) == a.cmp(b));
        assert!(a != b || hash(a) == hash(b));
    }
    let mut sorted = elements.to_vec();
    sorted.sort();
    assert!(sorted.is_sorted());
}

/// Where all names are known, `safe` changes nothing; where none are, a term that is read has none.
fn safe(input: &Bytes, term: Option<&Term>) {
    let options = DecodeOptions { limits: limits(), safe: Some(Known::default()), local: None };
    if let Ok(read) = options.decode(input) {
        assert_eq!(Some(&read), term);
        assert!(!matches!(read, Term::Atom(_) | Term::Pid(_)));
    }
}

fn hash(term: &Term) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(term)
}
