//! Any bytes before a cursor: it finds what decoding finds, passes over what decoding takes, and stays on a fault.
#![no_main]

use bytes::Bytes;
use crabnode_fuzz::limits;
use etf::{
    DecodeError, DecodeErrorReason, Term,
    cursor::{Cursor, ListStart, inflated},
    decode,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let decoded = decode(&Bytes::copy_from_slice(data), &limits());
    if let Err(error) = &decoded {
        assert!(error.path(data).to_string().starts_with("root"));
    }
    let Ok(plain) = inflated(data, &limits()) else {
        assert!(decoded.is_err());
        return;
    };
    let Ok(cursor) = Cursor::stored(&plain) else {
        assert!(decoded.is_err());
        return;
    };
    let mut after = cursor.clone();
    let skipped = after.skip().and_then(|()| after.end());
    match &decoded {
        Ok(term) => {
            assert_eq!(skipped, Ok(()));
            let mut walk = cursor.clone();
            finds(&mut walk, term).expect("decoding took it");
            assert_eq!(walk.end(), Ok(()));
            assert_eq!(cursor.clone().term(&limits()).as_ref(), Ok(term));
        }
        // What the cursor does not look at.
        Err(DecodeError {
            reason: DecodeErrorReason::DuplicateKey | DecodeErrorReason::TooManyElements { .. },
            ..
        }) => {}
        Err(error) => assert!(skipped.is_err(), "{error}"),
    }
    any_getter(cursor);
});

/// That getters give the parts of the term that decoding built.
fn finds(cursor: &mut Cursor<'_>, term: &Term) -> Result<(), DecodeError> {
    match term {
        Term::Int(int) => match cursor.clone().u64() {
            Ok(value) => assert_eq!((i64::try_from(value), cursor.int()?), (Ok(*int), *int)),
            Err(_) => assert_eq!(cursor.int()?, *int),
        },
        Term::BigInt(big) => assert_eq!(&cursor.bigint()?, big.as_bigint()),
        Term::Float(float) => assert_eq!(cursor.float()?, *float),
        Term::Atom(atom) => {
            assert!(cursor.is_atom(atom));
            assert_eq!(cursor.atom()?, atom.as_str());
        }
        Term::Reference(reference) => assert_eq!(&cursor.reference()?, reference),
        Term::Port(port) => assert_eq!(&cursor.port()?, port),
        Term::Pid(pid) => assert_eq!(&cursor.pid()?, pid),
        Term::Binary(binary) => assert_eq!(cursor.binary()?, binary.as_slice()),
        Term::BitString(bits) => assert_eq!(cursor.bit_string()?.1, bits.last_bits()),
        Term::Tuple(elements) => {
            cursor.tuple_of(elements.len())?;
            for element in elements {
                finds(cursor, element)?;
            }
        }
        Term::Map(map) => {
            for _ in 0..cursor.map()? {
                let key = cursor.term(&limits())?;
                finds(cursor, map.get(&key).expect("decoding found it"))?;
            }
        }
        Term::List(elements) => {
            let mut rest = elements.iter();
            cursor.for_each(|cursor| finds(cursor, rest.next().expect("there are as many")))?;
            assert_eq!(rest.len(), 0);
        }
        Term::ImproperList(list) => {
            let mut rest = list.head().iter();
            while rest.len() > 0 {
                let ListStart::Cells(cells) = cursor.list()? else { panic!("its tail is no list") };
                for _ in 0..cells {
                    finds(cursor, rest.next().expect("there are as many"))?;
                }
            }
            finds(cursor, list.tail())?;
        }
        Term::Fun(_) | Term::Record(_) => cursor.skip()?,
    }
    Ok(())
}

/// Getters that are not for what is there leave the cursor where it is.
fn any_getter(mut cursor: Cursor<'_>) {
    while cursor.end().is_err() {
        let at = cursor.offset();
        let moved = [
            cursor.int().is_ok(),
            cursor.offset() == at && cursor.export().is_ok(),
            cursor.offset() == at && cursor.str().is_ok(),
            cursor.offset() == at && cursor.bool().is_ok(),
            cursor.offset() == at && cursor.tuple().is_ok(),
            cursor.offset() == at && cursor.map().is_ok(),
            cursor.offset() == at && cursor.list().is_ok(),
            cursor.offset() == at && cursor.skip().is_ok(),
        ];
        assert_eq!(cursor.offset() > at, moved.contains(&true));
        if cursor.offset() == at {
            return;
        }
    }
}
