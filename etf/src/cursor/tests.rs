use super::*;
use crate::{encode, term, text::parse_term};

fn bytes(text: &str) -> Vec<u8> {
    encode(&parse_term(text).unwrap())
}

fn at<'a>(bytes: &'a [u8]) -> Cursor<'a> {
    Cursor::stored(bytes).unwrap()
}

#[test]
fn getters_read_what_they_are_for_and_nothing_else() {
    let texts =
        ["5", "-70000", "18446744073709551616", "1.5", "ok", "<<\"text\">>", "<<1, 5:3>>", "[]", "{}", "#{}"];
    for text in texts {
        let bytes = bytes(text);
        let cursor = at(&bytes);
        let kind = cursor.peek().unwrap();
        type Getter = for<'a> fn(&mut Cursor<'a>) -> Result<()>;
        let getters: [(Getter, &[Kind]); 12] = [
            (|c| c.int().map(drop), &[Kind::Integer]),
            (|c| c.bigint().map(drop), &[Kind::Integer, Kind::BigInteger]),
            (|c| c.float().map(drop), &[Kind::Float]),
            (|c| c.atom().map(drop), &[Kind::Atom]),
            (|c| c.binary().map(drop), &[Kind::Binary]),
            (|c| c.str().map(drop), &[Kind::Binary]),
            (|c| c.bit_string().map(drop), &[Kind::Binary, Kind::BitString]),
            (|c| c.pid().map(drop), &[]),
            (|c| c.list().map(drop), &[Kind::Nil]),
            (|c| c.nil(), &[Kind::Nil]),
            (|c| c.tuple().map(drop), &[Kind::Tuple]),
            (|c| c.map().map(drop), &[Kind::Map]),
        ];
        for (get, kinds) in getters {
            let mut cursor = cursor.clone();
            let got = get(&mut cursor);
            if kinds.contains(&kind) {
                assert_eq!((got, cursor.end()), (Ok(()), Ok(())), "{text}");
            } else {
                let error = got.unwrap_err();
                assert!(
                    matches!(error.reason, DecodeErrorReason::Unexpected { found, .. } if found == kind),
                    "{text}: {error}"
                );
                assert_eq!(cursor.offset(), 1, "it stays");
            }
        }
    }
}

#[test]
fn integers_of_every_form() {
    for int in [0, 255, 256, -1, i64::from(i32::MIN), i64::from(i32::MAX) + 1, i64::MAX, i64::MIN] {
        assert_eq!(at(&encode(&int.into())).int(), Ok(int));
        assert_eq!(at(&encode(&int.into())).bigint(), Ok(int.into()));
        assert_eq!(at(&encode(&int.into())).u64().ok(), u64::try_from(int).ok());
    }
    assert_eq!(at(&encode(&u64::MAX.into())).u64(), Ok(u64::MAX));
    assert!(at(&encode(&u64::MAX.into())).int().is_err());
    // Larger than need be.
    assert_eq!(at(&[131, 110, 3, 1, 5, 0, 0]).int(), Ok(-5));
    assert_eq!(at(&[131, 97]).int().unwrap_err().reason, DecodeErrorReason::Truncated { needed: 1, left: 0 });
}

#[test]
fn atoms_of_every_form() {
    for bytes in [
        &[131, 119, 2, 0xc3, 0xa9][..],
        &[131, 118, 0, 2, 0xc3, 0xa9],
        &[131, 115, 1, 0xe9],
        &[131, 100, 0, 1, 0xe9],
    ] {
        let mut cursor = at(bytes);
        assert!(cursor.is_atom("é") && !cursor.is_atom("e"));
        assert_eq!(cursor.clone().atom().unwrap(), "é");
        assert_eq!(cursor.expect_atom("é"), Ok(()));
        assert_eq!(cursor.end(), Ok(()));
    }
    let atoms = [Atom::from("ok")];
    let mut cursor = Cursor::bare(&[104, 2, 82, 0, 82, 1], 0, &atoms);
    cursor.tuple_of(2).unwrap();
    assert_eq!(cursor.expect_atom("ok"), Ok(()));
    let error = cursor.atom().unwrap_err();
    assert_eq!((error.offset, error.reason), (4, DecodeErrorReason::AtomCacheRef { index: 1, atoms: 1 }));
    let error = at(&bytes("ok")).expect_atom("error").unwrap_err();
    assert_eq!(error.to_string(), "at byte 1: expected error, found an atom");
    assert_eq!((at(&bytes("true")).bool(), at(&bytes("false")).bool()), (Ok(true), Ok(false)));
}

#[test]
fn lists_of_every_form_are_gone_through() {
    let ints = |bytes: &[u8]| {
        let (mut cursor, mut ints) = (at(bytes), Vec::new());
        cursor.for_each(|cursor| {
            ints.push(cursor.int()?);
            Ok(())
        })?;
        cursor.end().map(|()| ints)
    };
    assert_eq!(ints(&bytes("[]")), Ok(vec![]));
    assert_eq!(ints(&bytes("\"ab\"")), Ok(vec![97, 98]));
    assert_eq!(ints(&bytes("[1, 300]")), Ok(vec![1, 300]));
    // A list in the tail of a list, one of no cells, and a string after them.
    let cells = [131, 108, 0, 0, 0, 1, 97, 1, 108, 0, 0, 0, 0, 107, 0, 2, 2, 3];
    assert_eq!(ints(&cells), Ok(vec![1, 2, 3]));
    // A list of no cells is its tail, whatever that is.
    let mut tail = at(&[131, 108, 0, 0, 0, 0, 108, 0, 0, 0, 0, 97, 5]);
    assert_eq!((tail.peek(), tail.int(), tail.end()), (Ok(Kind::Integer), Ok(5), Ok(())));
    assert!(at(&[131, 108, 0, 0, 0, 0, 119, 1, b'a']).is_atom("a"));
    let improper = ints(&bytes("[1 | 2]")).unwrap_err();
    assert_eq!(improper.to_string(), "at byte 8: expected a list, found an integer");
    let (improper, mut cursor) = (bytes("[a | b]"), Cursor::stored(&[131, 106]).unwrap());
    assert_eq!(cursor.list(), Ok(ListStart::Nil));
    cursor = at(&improper);
    assert_eq!(cursor.list(), Ok(ListStart::Cells(1)));
    assert_eq!((cursor.expect_atom("a"), cursor.expect_atom("b"), cursor.end()), (Ok(()), Ok(()), Ok(())));
}

#[test]
fn what_holds_terms_says_how_many() {
    let bytes = encode(&term!({a, #{b => [1, 2], c => {}}, <<"d">>}));
    let mut cursor = at(&bytes);
    assert_eq!(
        cursor.tuple_of(2).unwrap_err().to_string(),
        "at byte 1: expected a tuple of another size, found a tuple"
    );
    cursor.tuple_of(3).unwrap();
    cursor.skip().unwrap();
    let map = cursor.clone();
    let mut c = map.get("c").unwrap().unwrap();
    assert_eq!(c.tuple(), Ok(0));
    assert!(map.get("d").unwrap().is_none());
    assert_eq!(cursor.raw().unwrap(), &encode(&term!(#{b => [1, 2], c => {}}))[1..]);
    assert_eq!(map.clone().term(&DecodeLimits::default()), Ok(term!(#{b => [1, 2], c => {}})));
    assert_eq!((cursor.str(), cursor.end()), (Ok("d"), Ok(())));
}

#[test]
fn headers_that_promise_too_much_are_refused() {
    for bytes in [
        &[131, 104, 3, 106][..],
        &[131, 105, 255, 255, 255, 255],
        &[131, 105, 0, 0, 1, 0, 106],
        &[131, 108, 255, 255, 255, 255],
        &[131, 116, 255, 255, 255, 255],
        &[131, 67, 255, 255, 255, 255, 0],
        &[131, 109, 255, 255, 255, 255],
        &[131, 77, 255, 255, 255, 255, 1],
    ] {
        let getters: [fn(&mut Cursor<'_>) -> Result<()>; 4] = [
            |cursor| cursor.tuple().map(drop),
            |cursor| cursor.list().map(drop),
            |cursor| cursor.map().map(drop),
            |cursor| cursor.skip(),
        ];
        for get in getters {
            let mut cursor = at(bytes);
            assert!(get(&mut cursor).is_err(), "{bytes:?}");
            assert_eq!(cursor.offset(), 1);
        }
    }
    // A million levels, each of which is owed.
    let deep = [&[131][..], &[104, 1].repeat(1_000_000), &[106]].concat();
    assert_eq!(at(&deep).skip(), Ok(()));
}

#[test]
fn compressed_terms_are_inflated_first() {
    let term =
        term!([<<"abc">>, <<"abc">>, <<"abc">>, <<"abc">>, <<"abc">>, <<"abc">>, <<"abc">>, <<"abc">>]);
    let compressed = crate::EncodeOptions { compressed: 9, ..Default::default() }.encode(&term);
    assert_eq!(compressed[1], tag::COMPRESSED);
    assert_eq!(at(&compressed).skip().unwrap_err().reason, DecodeErrorReason::CompressedInside);
    let limits = DecodeLimits::default();
    let plain = inflated(&compressed, &limits).unwrap();
    assert_eq!(at(&plain).term(&limits), Ok(term));
    assert!(matches!(inflated(&plain, &limits), Ok(Cow::Borrowed(_))));
    assert!(inflated(&compressed[..compressed.len() - 1], &limits).is_err());
    assert!(inflated(&[&compressed[..], &[1]].concat(), &limits).is_err());
}

#[test]
fn errors_of_decoding_have_a_path() {
    let path = |bytes: &[u8]| {
        let error = crate::decode(&bytes.to_vec().into(), &DecodeLimits::default()).unwrap_err();
        error.path(bytes).to_string()
    };
    // The last byte of each is a tag that there is not.
    let broken = |text: &str| {
        let mut bytes = bytes(text);
        let bad = bytes.windows(5).position(|five| five == [119, 3, b'b', b'a', b'd']).unwrap();
        bytes[bad] = 1;
        path(&bytes)
    };
    assert_eq!(broken("bad"), "root");
    assert_eq!(broken("{ok, [1, 2, bad]}"), "root[1][2]");
    assert_eq!(broken("[a | bad]"), "root.tail");
    assert_eq!(broken("[#{name => {1, bad}}]"), "root[0][name][1]");
    assert_eq!(broken("#{<<\"k\">> => 1, {bad} => 2}"), "root.key[0][0]");
    assert_eq!(broken("{[{}, {1}, []], bad}"), "root[1]");
    // Nothing is wrong with the keys but that they are the same.
    assert_eq!(path(&[131, 104, 1, 116, 0, 0, 0, 2, 97, 1, 106, 97, 1, 106]), "root[0]");
    // The input ends in the second element.
    assert_eq!(path(&[131, 104, 3, 97, 1, 109, 0, 0, 0, 2, 0]), "root[1]");
    let record = [131, 67, 0, 0, 0, 1, 0, 119, 1, b'm', 119, 1, b'r', 119, 1, b'f', 1];
    assert_eq!(path(&record), "root.f");
    let long = "k".repeat(100);
    assert_eq!(broken(&format!("#{{<<\"{long}\">> => bad}}")), "root[key 0]");

    let term = term!({x, [<<"abcabcabcabcabcabcabcabcabcabcabcabc">>, bad]});
    let mut plain = encode(&term);
    let at = plain.len() - 6;
    plain[at] = 1;
    let mut compressed = vec![131, 80];
    compressed.extend_from_slice(&u32::try_from(plain.len() - 1).unwrap().to_be_bytes());
    let mut encoder = flate2::write::ZlibEncoder::new(compressed, flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &plain[1..]).unwrap();
    assert_eq!(path(&encoder.finish().unwrap()), "root[1][1]");
}
