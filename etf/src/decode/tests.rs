use bytes::Bytes;

use super::*;
use crate::{BigInt, Float, encode, tuple};

fn limits() -> DecodeLimits {
    DecodeLimits::default()
}

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn stored(text: &str) -> Result<Term, DecodeErrorReason> {
    decode(&hex(text), &limits()).map_err(|e| e.reason)
}

fn bytes_of(head: &[u8], rest: &[u8]) -> Bytes {
    Bytes::from([head, rest].concat())
}

fn node() -> Atom {
    Atom::from("a@b")
}

/// Written by `term_to_binary(T, [{minor_version, 2}])` of OTP 25, which is how 26 and later write.
#[test]
fn golden_both_ways() {
    let big = |text: &str| Term::from(text.parse::<BigInt>().unwrap());
    let goldens: [(&str, Term); 31] = [
        ("836100", 0.into()),
        ("8361FF", 255.into()),
        ("836200000100", 256.into()),
        ("8362FFFFFFFF", (-1).into()),
        ("836280000000", i32::MIN.into()),
        ("83627FFFFFFF", i32::MAX.into()),
        ("836E040000000080", 2_147_483_648_i64.into()),
        ("836E0900000000000000000001", big("18446744073709551616")),
        ("836E0901000000000000000001", big("-18446744073709551616")),
        ("836E08000000000000000080", big("9223372036854775808")),
        ("836E08010000000000000080", i64::MIN.into()),
        ("83463FF8000000000000", Float::new(1.5).unwrap().into()),
        ("83468000000000000000", Float::new(-0.0).unwrap().into()),
        ("8377026F6B", Term::atom("ok")),
        ("836B000161", Term::charlist("a")),
        ("836A", Term::NIL),
        ("836C0000000361016102620000012C6A", vec![1.into(), 2.into(), 300.into()].into()),
        ("836C0000000262FFFFFFFF62FFFFFED46A", vec![(-1).into(), (-300).into()].into()),
        ("836C00000001770161770162", Term::list_with_tail(vec![Term::atom("a")], Term::atom("b"))),
        ("836800", Term::tuple(vec![])),
        ("8368027701616101", tuple!(atom "a", 1)),
        (
            "83740000000277016161017701626102",
            Term::Map([(Term::atom("a"), 1.into()), (Term::atom("b"), 2.into())].into_iter().collect()),
        ),
        (
            "8374000000026101770161463FF0000000000000770162",
            Term::Map(
                [(1.into(), Term::atom("a")), (Float::new(1.0).unwrap().into(), Term::atom("b"))]
                    .into_iter()
                    .collect(),
            ),
        ),
        ("836D00000003616263", Term::binary("abc")),
        ("834D0000000103A0", BitString::new(&[0xa0], 3).unwrap().into()),
        ("837177056C6973747377036D61706102", Term::export("lists", "map", 2)),
        ("836D00000000", Term::binary("")),
        ("836C0000000162000001006A", vec![256.into()].into()),
        ("836C000000016A6A", vec![Term::NIL].into()),
        ("837702C3A9", Term::atom("é")),
        ("837706E697A5E69CAC", Term::atom("日本")),
    ];
    for (text, term) in goldens {
        assert_eq!(decode(&hex(text), &limits()), Ok(term.clone()), "{text}");
        assert_eq!(Bytes::from(encode(&term)), hex(text), "{text}");
    }
}

#[test]
fn identifiers_both_ways() {
    let pid = "83 58 7703614062 00000056 00000001 00000007";
    assert_eq!(stored(pid), Ok(Pid::new(node(), 0x56, 1, 7).into()));
    let port = "83 78 7703614062 0000000100000002 00000007";
    assert_eq!(stored(port), Ok(Port::new(node(), 0x1_0000_0002, 7).into()));
    let reference = "83 5A 0003 7703614062 00000007 00000001 00000002 00000003";
    assert_eq!(stored(reference), Ok(Reference::new(node(), 7, &[1, 2, 3]).unwrap().into()));
    for text in [pid, port, reference] {
        assert_eq!(Bytes::from(encode(&stored(text).unwrap())), hex(text));
    }
}

#[test]
fn old_tags_decode() {
    let a = "7703614062";
    let pid = Term::from(Pid::new(node(), 1, 2, 3));
    assert_eq!(stored(&format!("83 67 {a} 00000001 00000002 03")), Ok(pid));
    assert_eq!(stored(&format!("83 66 {a} 00000001 03")), Ok(Port::new(node(), 1, 3).into()));
    assert_eq!(stored(&format!("83 59 {a} 00000001 00000009")), Ok(Port::new(node(), 1, 9).into()));
    let reference = Term::from(Reference::new(node(), 1, &[0xffff]).unwrap());
    assert_eq!(stored(&format!("83 65 {a} 0000ffff 01")), Ok(reference.clone()));
    assert_eq!(stored(&format!("83 72 0001 {a} 01 0000ffff")), Ok(reference));
    assert_eq!(stored("83 64 0002 e962"), Ok(Term::atom("éb")));
    assert_eq!(stored("83 73 01 e9"), Ok(Term::atom("é")));
    let mut float = vec![131, 99];
    float.extend_from_slice(b"1.50000000000000000000e+00\0\0\0\0\0");
    assert_eq!(decode(&float.into(), &limits()), Ok(Float::new(1.5).unwrap().into()));
}

#[test]
fn old_tags_keep_their_small_fields() {
    let a = "7703614062";
    let creation = DecodeErrorReason::OldCreation { creation: 4 };
    assert_eq!(stored(&format!("83 67 {a} 00000001 00000002 04")), Err(creation.clone()));
    assert_eq!(stored(&format!("83 66 {a} 00000001 04")), Err(creation.clone()));
    assert_eq!(stored(&format!("83 65 {a} 0000ffff 04")), Err(creation));
    let word = DecodeErrorReason::ReferenceWord { word: 1 << 18 };
    assert_eq!(stored(&format!("83 72 0001 {a} 01 00040000")), Err(word.clone()));
    assert_eq!(stored(&format!("83 65 {a} 00040000 01")), Err(word));
}

#[test]
fn float_text_is_checked() {
    for text in ["1e5", "inf", "nan", ".5", "1.", "1.5x", "--1.0", "1.0e", ""] {
        let mut bytes = vec![131, 99];
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(33, 0);
        let reason = decode(&bytes.into(), &limits()).unwrap_err().reason;
        assert_eq!(reason, DecodeErrorReason::FloatText, "{text}");
    }
    let mut bytes = b"\x83c1.0e400".to_vec();
    bytes.resize(33, 0);
    assert_eq!(decode(&bytes.into(), &limits()).unwrap_err().reason, DecodeErrorReason::FloatNotFinite);
    assert_eq!(stored("83 46 7ff0000000000000"), Err(DecodeErrorReason::FloatNotFinite));
    assert_eq!(stored("83 46 7ff8000000000001"), Err(DecodeErrorReason::FloatNotFinite));
}

#[test]
fn reference_words() {
    let a = "7703614062 00000001";
    let five = "00000001".repeat(5);
    assert!(stored(&format!("83 5A 0005 {a} {five}")).is_ok());
    let words = |words| DecodeErrorReason::ReferenceWords { words, max: 5 };
    assert_eq!(stored(&format!("83 5A 0006 {a} {five} 00000001")), Err(words(6)));
    assert_eq!(stored(&format!("83 5A 0000 {a}")), Err(words(0)));
}

/// `term_to_binary(g:f(x, [1000]))` of OTP 25, where `f(X, Y) -> fun(A) -> {X, Y, A} end.`
#[test]
fn closure_both_ways_whatever_its_size_says() {
    let body = "01 CA21B3614C49E0E02D835567E45FFEB4 00000000 00000002 770167 6100 6206510D9B \
                58 7707676F6C6440766D 00000009 00000000 6B00E1BE 770178 6C00000001 62000003E8 6A";
    let term = stored(&format!("83 70 0000004B {body}")).unwrap();
    let Term::Fun(fun) = &term else { panic!("{term:?}") };
    let Fun::Closure(closure) = &**fun else { panic!("{term:?}") };
    assert_eq!((closure.arity, closure.index, closure.old_index), (1, 0, 0));
    assert_eq!((closure.module.as_str(), closure.old_uniq), ("g", 105_975_195));
    assert_eq!(*closure.free, [Term::atom("x"), vec![1000.into()].into()]);
    assert_eq!(closure.creator, Pid::new(Atom::from("gold@vm"), 9, 0, 0x6b00_e1be));
    assert_eq!(Bytes::from(encode(&term)), hex(&format!("83 70 0000004B {body}")));
    assert_eq!(stored(&format!("83 70 00000001 {body}")), Ok(term));
}

/// `term_to_binary(#nr:pair{a = 7})` of OTP 29 (rivals' survey of tag 67).
#[test]
fn record_both_ways() {
    let text = "83 43 00000002 00 77026E72 770470616972 770161 770162 6107 6102";
    let field = |name: &str, value: i64| (Atom::from(name), Term::Int(value));
    let fields = vec![field("a", 7), field("b", 2)];
    let record = Record::new(0, "nr", "pair", fields);
    let term = Term::Record(Box::new(record));
    assert_eq!(stored(text), Ok(term.clone()));
    assert_eq!(Bytes::from(encode(&term)), hex(text));
    assert!(matches!(stored("83 43 00000000 01 77026E72 770470616972"), Ok(Term::Record(r)) if r.flags == 1));
}

#[test]
fn integers_are_normalised() {
    assert_eq!(stored("83 6E 00 00"), Ok(0.into()));
    assert_eq!(stored("83 6E 00 01"), Ok(0.into()));
    assert_eq!(stored("83 6E 01 02 09"), Ok((-9).into()));
    assert_eq!(stored("83 6F 0000000C 00 050000000000000000000000"), Ok(5.into()));
    assert_eq!(stored("83 6F 00000008 01 0000000000000080"), Ok(i64::MIN.into()));
    assert_eq!(stored("83 62 00000005"), Ok(5.into()));
}

#[test]
fn bit_binaries() {
    assert_eq!(stored("83 4D 00000001 03 FF"), Ok(BitString::new(&[0xe0], 3).unwrap().into()));
    assert_eq!(stored("83 4D 00000001 08 41"), Ok(Term::binary("A")));
    assert_eq!(stored("83 4D 00000000 00"), Ok(Term::binary("")));
    let bad = |bytes, last_bits| Err(DecodeErrorReason::BitCount { bytes, last_bits });
    assert_eq!(stored("83 4D 00000001 00 41"), bad(1, 0));
    assert_eq!(stored("83 4D 00000001 09 41"), bad(1, 9));
    assert_eq!(stored("83 4D 00000000 03"), bad(0, 3));
}

#[test]
fn atoms_are_255_characters() {
    let atom = |tag: u8, char: &str, chars: u16| {
        let text = char.repeat(usize::from(chars));
        let len = u16::try_from(text.len()).unwrap().to_be_bytes();
        decode(&bytes_of(&[131, tag, len[0], len[1]], text.as_bytes()), &limits()).map_err(|e| e.reason)
    };
    assert_eq!(atom(118, "𝄞", 255), Ok(Atom::from("𝄞".repeat(255).as_str()).into()));
    assert_eq!(atom(118, "𝄞", 256), Err(DecodeErrorReason::AtomTooLong { chars: 256 }));
    assert_eq!(atom(100, "a", 256), Err(DecodeErrorReason::AtomTooLong { chars: 256 }));
    assert_eq!(stored("83 77 01 E9"), Err(DecodeErrorReason::AtomNotUtf8));
    assert_eq!(encode(&atom(118, "𝄞", 255).unwrap())[1..4], [118, 0x03, 0xfc]);
}

#[test]
fn lists_in_tails_are_one_list() {
    // [1 | [2 | [3 | []]]], an empty cell in between, and "45" at the end.
    let text = "83 6C 00000001 6101 6C 00000001 6102 6C 00000000 6C 00000001 6103 6B 0002 0405";
    let ints: Vec<Term> = (1..=5).map(Term::Int).collect();
    assert_eq!(stored(text), Ok(ints.into()));
    assert_eq!(stored("83 6C 00000000 6109"), Ok(9.into()));
    let improper = Term::list_with_tail(vec![1.into(), 2.into()], 3.into());
    assert_eq!(stored("83 6C 00000001 6101 6C 00000001 6102 6103"), Ok(improper));

    let mut long = vec![131];
    for _ in 0..1_000_000 {
        long.extend_from_slice(&[108, 0, 0, 0, 1, 97, 1]);
    }
    long.push(106);
    assert_eq!(decode(&long.into(), &limits()).unwrap().as_list().unwrap().len(), 1_000_000);
}

#[test]
fn cached_atoms() {
    let atoms = [Atom::from("zero"), Atom::from("n@h")];
    let input = Bytes::from_static(&[9, 104, 2, 82, 0, 88, 82, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 106]);
    let (term, end) = decode_bare(&input, 1, &atoms, &limits()).unwrap();
    assert_eq!(term, tuple!(atom "zero", Pid::new(atoms[1].clone(), 1, 2, 3)));
    assert_eq!(end, 20);
    let error = decode_bare(&input, 1, &atoms[..1], &limits()).unwrap_err();
    assert_eq!(error, DecodeError::new(6, DecodeErrorReason::AtomCacheRef { index: 1, atoms: 1 }));
}

#[test]
fn distribution_terms_have_no_version_and_no_compression() {
    let bare = |bytes: &'static [u8]| {
        decode_bare(&Bytes::from_static(bytes), 0, &[], &limits()).map_err(|e| e.reason)
    };
    assert_eq!(bare(&[131, 106]), Err(DecodeErrorReason::VersionInside));
    assert_eq!(bare(&[80, 0, 0, 0, 1]), Err(DecodeErrorReason::CompressedInside));
    assert_eq!(bare(&[82, 0]), Err(DecodeErrorReason::AtomCacheRef { index: 0, atoms: 0 }));
    assert_eq!(bare(&[106, 1]), Ok((Term::NIL, 1)));
    assert!(decode_bare(&Bytes::new(), 1, &[], &limits()).is_err());
}

#[test]
fn long_binaries_are_slices_and_short_ones_are_not() {
    let mut bytes = vec![131, 104, 2, 109, 0, 0, 1, 0];
    bytes.extend(0..=255);
    bytes.extend_from_slice(&[109, 0, 0, 0, 3, 1, 2, 3]);
    let input = Bytes::from(bytes);
    let term = decode(&input, &limits()).unwrap();
    let [Term::Binary(long), Term::Binary(short)] = term.as_tuple().unwrap() else { panic!() };
    assert_eq!(long.as_slice().as_ptr(), input[8..].as_ptr());
    assert_eq!(short.as_slice(), [1, 2, 3]);
    assert!(!input.as_ptr_range().contains(&short.as_slice().as_ptr()));
}

#[test]
fn pids_share_their_nodes() {
    let pid = |node: &str, id| Term::from(Pid::new(Atom::from(node), id, 0, 1));
    let list = Term::List((0..10).map(|id| pid(if id % 2 == 0 { "a@h" } else { "b@h" }, id)).collect());
    let decoded = decode(&encode(&list).into(), &limits()).unwrap();
    assert_eq!(decoded, list);
    let pids: Vec<&Pid> = decoded.as_list().unwrap().iter().map(|t| t.as_pid().unwrap()).collect();
    for pid in &pids[2..] {
        let first = if pid.id % 2 == 0 { pids[0] } else { pids[1] };
        assert!(Arc::ptr_eq(&pid.node_shared(), &first.node_shared()));
    }
}

#[test]
fn prefix_and_trailing_bytes() {
    let input = hex("83 6101 83 6102");
    assert_eq!(decode_prefix(&input, &limits()), Ok((1.into(), 3)));
    let error = decode(&input, &limits()).unwrap_err();
    assert_eq!(error, DecodeError::new(3, DecodeErrorReason::TrailingBytes { bytes: 3 }));
    assert_eq!(error.to_string(), "at byte 3: 3 bytes follow the term");
}

mod compressed {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn compressed(term: &[u8], size: u32) -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(term).unwrap();
        [&[131, 80][..], &size.to_be_bytes(), &zlib.finish().unwrap()].concat()
    }

    #[test]
    fn inflates() {
        let list = Term::List((0..100_000).map(Term::Int).collect());
        let bare = &encode(&list)[1..];
        let size = u32::try_from(bare.len()).unwrap();
        let bytes = compressed(bare, size);
        assert_eq!(decode(&bytes.clone().into(), &limits()), Ok(list.clone()));

        let more = [&bytes[..], &[1, 2]].concat();
        assert_eq!(decode_prefix(&more.into(), &limits()), Ok((list, bytes.len())));

        for size in [0, size - 1, size + 1] {
            let wrong = decode(&compressed(bare, size).into(), &limits()).unwrap_err();
            assert_eq!(wrong.reason, DecodeErrorReason::InflatedSize { declared: size as usize });
        }
        for end in [2, 5, 6, 10, bytes.len() / 2, bytes.len() - 1] {
            let cut = decode(&bytes[..end].to_vec().into(), &limits()).unwrap_err().reason;
            assert!(matches!(cut, DecodeErrorReason::Truncated { .. }), "{cut:?}");
        }
        let mut bad = bytes.clone();
        bad[6] ^= 0xff;
        assert_eq!(decode(&bad.into(), &limits()).unwrap_err().reason, DecodeErrorReason::Zlib);
    }

    /// `term_to_binary(lists:duplicate(30, abc), [compressed, {minor_version, 2}])` of OTP 25.
    #[test]
    fn golden() {
        let text = "83500000009C789CCB616060902B674E4C4A1E74441600E06631B5";
        let list = Term::list(vec![Term::atom("abc"); 30]);
        assert_eq!(decode(&hex(text), &limits()), Ok(list));
    }

    /// A zlib stream a thousandth of its content, that declares 10 bytes, and one that declares the truth.
    #[test]
    fn bombs_cost_little() {
        let zeros = vec![0; 4 << 20];
        let mut bytes = compressed(&zeros, 10);
        let reason = DecodeErrorReason::InflatedSize { declared: 10 };
        assert_eq!(decode(&bytes.clone().into(), &limits()).unwrap_err().reason, reason);
        bytes[2..6].copy_from_slice(&(1_u32 << 30).to_be_bytes());
        let reason = DecodeErrorReason::InflatedTooLarge { bytes: 1 << 30, max: 64 << 20 };
        assert_eq!(decode(&bytes.into(), &limits()).unwrap_err().reason, reason);
    }

    #[test]
    fn errors_inside_say_so() {
        let error = decode(&compressed(&[104, 1, 255], 3).into(), &limits()).unwrap_err();
        let reason = DecodeErrorReason::UnknownTag { tag: 255 };
        assert_eq!(error, DecodeError { offset: 2, inflated: true, reason });
        assert_eq!(error.to_string(), "at byte 2 of the inflated term: there is no tag 255");
        let error = decode(&compressed(&[106, 106], 2).into(), &limits()).unwrap_err();
        assert_eq!(error.reason, DecodeErrorReason::TrailingBytes { bytes: 1 });
    }
}

mod limit {
    use super::*;

    fn refused(bytes: &[u8], limits: &DecodeLimits) -> DecodeErrorReason {
        decode(&Bytes::copy_from_slice(bytes), limits).unwrap_err().reason
    }

    #[test]
    fn elements() {
        let limits = DecodeLimits { elements_max: 4, ..limits() };
        assert!(decode(&encode(&tuple!(1, 2, 3)).into(), &limits).is_ok());
        let max = DecodeErrorReason::TooManyElements { max: 4 };
        assert_eq!(refused(&encode(&tuple!(1, 2, 3, 4)), &limits), max);
        assert_eq!(refused(&encode(&Term::charlist("four")), &limits), max);
        let nested = tuple!(1, tuple!(2, 3));
        assert_eq!(refused(&encode(&nested), &limits), max);
    }

    #[test]
    fn atoms() {
        let limits = DecodeLimits { atoms_max: 2, ..limits() };
        assert!(decode(&encode(&tuple!(atom "a", atom "b")).into(), &limits).is_ok());
        let three = encode(&tuple!(atom "a", atom "b", atom "c"));
        assert_eq!(refused(&three, &limits), DecodeErrorReason::TooManyAtoms { max: 2 });
    }

    #[test]
    fn bytes() {
        let limits = DecodeLimits { bytes_max: 5, ..limits() };
        assert!(decode(&Bytes::from_static(&[131, 104, 1, 97, 1]), &limits).is_ok());
        let reason = DecodeErrorReason::TooManyBytes { bytes: 6, max: 5 };
        assert_eq!(refused(&[131, 104, 2, 97, 1, 106], &limits), reason);
    }

    #[test]
    fn integer_bytes() {
        let big = |bytes: u32| {
            let mut all = vec![131, 111];
            all.extend_from_slice(&bytes.to_be_bytes());
            all.push(0);
            all.resize(all.len() + bytes as usize, 1);
            all
        };
        assert!(decode(&big(524_280).into(), &limits()).is_ok());
        let reason = DecodeErrorReason::IntegerTooLarge { bytes: 524_281, max: 524_280 };
        assert_eq!(refused(&big(524_281), &limits()), reason);
    }

    #[test]
    fn depth() {
        let nested = |open: &[u8], close: &[u8], levels: usize| {
            [&[131][..], &open.repeat(levels), &[106], &close.repeat(levels)].concat()
        };
        let kinds: [(&[u8], &[u8]); 4] = [
            (&[104, 1], &[]),
            (&[108, 0, 0, 0, 1], &[106]),
            (&[116, 0, 0, 0, 1, 106], &[]),
            (&[116, 0, 0, 0, 1], &[106]),
        ];
        // Above and below what is read by recursion.
        for ((open, close), max) in kinds.into_iter().flat_map(|kind| [0, 10, 1000].map(|max| (kind, max))) {
            let limits = || DecodeLimits { depth_max: max, ..DecodeLimits::default() };
            let read = decode(&nested(open, close, max).into(), &limits());
            assert_eq!(read.err(), None, "{open:?} {max}");
            let too_deep = DecodeErrorReason::TooDeep { max };
            assert_eq!(refused(&nested(open, close, max + 1), &limits()), too_deep);
        }
    }
}
