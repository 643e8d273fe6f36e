//! The cursor beside decoding, with any terms and any bytes.

use bytes::Bytes;
use crabnode_etf::{
    Atom, BitString, DecodeError, DecodeErrorReason, DecodeLimits, Map, Term,
    cursor::{Cursor, Kind, ListStart},
    decode, encode,
};
use proptest::prelude::*;

mod common;

/// The term that is next, built of what the getters say.
fn built(cursor: &mut Cursor<'_>) -> Result<Term, DecodeError> {
    Ok(match cursor.peek()? {
        Kind::Integer | Kind::BigInteger => cursor.bigint()?.into(),
        Kind::Float => cursor.float()?.into(),
        Kind::Atom => Atom::try_new(cursor.atom()?).expect("it was checked").into(),
        Kind::Reference => cursor.reference()?.into(),
        Kind::Pid => cursor.pid()?.into(),
        Kind::Port => cursor.port()?.into(),
        Kind::Binary => Term::binary(cursor.binary()?),
        Kind::BitString => match cursor.bit_string()? {
            (bytes, 8) => Term::binary(bytes),
            (bytes, last_bits) => BitString::new(bytes, last_bits).expect("1 to 7 bits").into(),
        },
        Kind::Tuple => {
            let mut elements = Vec::new();
            for _ in 0..cursor.tuple()? {
                elements.push(built(cursor)?);
            }
            Term::tuple(elements)
        }
        Kind::Map => {
            let mut map = Map::new();
            for _ in 0..cursor.map()? {
                let key = built(cursor)?;
                map.insert(key, built(cursor)?);
            }
            map.into()
        }
        Kind::Nil | Kind::List => match cursor.list()? {
            ListStart::Nil => Term::NIL,
            ListStart::Bytes(bytes) => bytes.iter().map(|&byte| byte.into()).collect::<Vec<Term>>().into(),
            ListStart::Cells(len) => {
                let mut elements = Vec::new();
                for _ in 0..len {
                    elements.push(built(cursor)?);
                }
                Term::list_with_tail(elements, built(cursor)?)
            }
        },
        _ => cursor.term(&DecodeLimits::default())?,
    })
}

fn skipped(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut cursor = Cursor::stored(bytes)?;
    cursor.skip()?;
    cursor.end()
}

/// That skipping finds fault with the same bytes as decoding, but for what it does not look at.
fn check(bytes: &[u8]) {
    let decoded = decode(&Bytes::copy_from_slice(bytes), &DecodeLimits::default());
    let skipped = skipped(bytes);
    match &decoded {
        Ok(term) if bytes.get(1) != Some(&80) => {
            assert_eq!(skipped, Ok(()));
            let mut cursor = Cursor::stored(bytes).expect("a stored term");
            assert_eq!(built(&mut cursor).as_ref(), Ok(term));
            assert_eq!(cursor.end(), Ok(()));
        }
        Err(error) if !is_looked_over(&error.reason) => assert!(skipped.is_err(), "{error}"),
        _ => {}
    }
    if let Err(error) = &decoded {
        let _no_panic = error.path(bytes).to_string();
    }
    // Nor do getters of other kinds panic.
    let Ok(mut cursor) = Cursor::stored(bytes) else { return };
    while cursor.end().is_err() {
        let before = cursor.offset();
        let _any =
            (cursor.clone().int(), cursor.clone().atom(), cursor.clone().str(), cursor.clone().export());
        let opened = cursor.tuple().is_ok() || cursor.map().is_ok() || cursor.list().is_ok();
        if !opened && cursor.skip().is_err() {
            return;
        }
        assert!(cursor.offset() > before);
    }
}

fn is_looked_over(reason: &DecodeErrorReason) -> bool {
    matches!(reason, DecodeErrorReason::DuplicateKey) || matches!(reason, DecodeErrorReason::TooDeep { .. })
}

proptest! {
    #[test]
    fn a_walk_builds_what_decoding_builds(term in common::term()) {
        check(&encode(&term));
    }

    #[test]
    fn changed_bytes_are_found_by_both(term in common::term(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = encode(&term);
        let at = at % bytes.len();
        check(&bytes[..at]);
        bytes[at] = byte;
        check(&bytes);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        check(&[&[131][..], &bytes].concat());
    }
}
