//! What we make of the golden bytes of every release: the same terms, the same bytes, the same text (wire.md 8).

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use etf::{
    DecodeError, DecodeErrorReason, DecodeLimits, DecodeOptions, Term, decode_bare, decode_prefix, encode,
    encode_into, text::parse_term,
};
use interop_tests::golden::{Case, Made, RELEASES, cases, cases_of};

/// What some release takes and we refuse, and why.
const REFUSED_HERE: [(&str, &str); 2] = [
    ("reference of no words", "it names nothing, and no release writes it"),
    ("compressed with bytes after the term", "what follows a term is not lost in silence, inflated or not"),
];

/// What some release refuses and we take, and why.
const TAKEN_HERE: [(&str, &str); 4] = [
    ("BIT_BINARY_EXT 77 of nothing", "OTP 23 and 25 read <<>>"),
    ("MAP_EXT 116 with zeros of both signs", "two keys since OTP 27"),
    ("PID_EXT 103 large id", "ids have 32 bits since OTP 24"),
    ("NEW_PORT_EXT 89 of 32 bits", "numbers have more than 28 bits since OTP 24"),
];

fn read(case: &Case) -> Result<(Term, usize), DecodeError> {
    decode_prefix(&Bytes::copy_from_slice(&case.bytes), &DecodeLimits::default())
}

fn is_among(case: &Case, names: &[(&str, &str)]) -> bool {
    names.iter().any(|(name, _)| case.name == *name)
}

fn is_local(case: &Case) -> bool {
    matches!(&case.made, Made::Written(written) if written.local)
}

/// The cases that we can read, with their terms.
fn readable() -> impl Iterator<Item = (Case, Term)> {
    let cases = cases().into_iter().filter(|case| case.normal.is_some());
    let cases = cases.filter(|case| !is_local(case) && !is_among(case, &REFUSED_HERE));
    cases.map(|case| match read(&case) {
        Ok((term, _)) => (case, term),
        Err(error) => panic!("OTP {}, {}: {error}", case.release, case.name),
    })
}

/// All that differs, not only the first.
fn assert_none(differ: &[String]) {
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn what_a_release_refuses_is_refused() {
    let mut differ = Vec::new();
    for case in cases() {
        let ours = read(&case).map(|(term, _)| term);
        let refused = case.normal.is_none();
        if is_local(&case) {
            // By the runtime that wrote it, it is read; by others not.
            assert_eq!(
                ours.map_err(|error| error.reason),
                Err(DecodeErrorReason::LocalTerm),
                "{}",
                case.name
            );
        } else if ours.is_err() != refused
            && !is_among(&case, if refused { &TAKEN_HERE } else { &REFUSED_HERE })
        {
            differ.push(format!(
                "OTP {}, {}: refused there: {refused}, here {ours:?}",
                case.release, case.name
            ));
        }
    }
    assert_none(&differ);
}

/// An exception that no longer holds goes: we still refuse, or take, and some release does not.
#[test]
fn exceptions_are_true() {
    for (exceptions, taken) in [(&REFUSED_HERE[..], false), (&TAKEN_HERE[..], true)] {
        for (name, why) in exceptions {
            let of_name: Vec<Case> = cases().into_iter().filter(|case| case.name == *name).collect();
            assert!(of_name.iter().all(|case| read(case).is_ok() == taken), "{name}: {why}");
            assert!(of_name.iter().any(|case| case.normal.is_some() != taken), "{name}: no release differs");
        }
    }
}

/// As the release itself writes them after reading, in its newest form.
#[test]
fn terms_are_written_as_the_release_writes_them() {
    let mut differ = Vec::new();
    for (case, term) in readable() {
        let normal = case.normal.as_deref().expect("it is readable");
        let back = etf::decode(&Bytes::copy_from_slice(normal), &DecodeLimits::default());
        assert_eq!(back.as_ref(), Ok(&term), "OTP {}, {}", case.release, case.name);
        let ours = encode(&term);
        let other_form = case.release < 26 && has_port(&term) || case.release < 25 && has_large_map(&term);
        if ours != normal && !other_form {
            differ.push(format!("OTP {}, {}: {ours:02x?}, there {normal:02x?}", case.release, case.name));
        }
    }
    assert_none(&differ);
}

/// Up to OTP 25 ports have the older tag where it has room for their number.
fn has_port(term: &Term) -> bool {
    any(term, &|term| matches!(term, Term::Port(_)))
}

/// Without `deterministic` these are in the order of their hashes.
fn has_large_map(term: &Term) -> bool {
    any(term, &|term| term.as_map().is_some_and(|map| map.len() > 32))
}

fn has_map(term: &Term) -> bool {
    any(term, &|term| term.as_map().is_some_and(|map| map.len() > 1))
}

/// Whether it is so of any term in it.
fn any(term: &Term, is_so: &dyn Fn(&Term) -> bool) -> bool {
    is_so(term)
        || match term {
            Term::Tuple(elements) | Term::List(elements) => elements.iter().any(|term| any(term, is_so)),
            Term::ImproperList(list) => list.head().iter().chain([list.tail()]).any(|term| any(term, is_so)),
            Term::Map(map) => map.iter().any(|(key, value)| any(key, is_so) || any(value, is_so)),
            Term::Record(record) => record.fields().any(|(_, value)| any(value, is_so)),
            Term::Fun(fun) => match &**fun {
                etf::Fun::Closure(closure) => closure.free.iter().any(|term| any(term, is_so)),
                etf::Fun::Export { .. } => false,
            },
            Term::Int(_)
            | Term::BigInt(_)
            | Term::Float(_)
            | Term::Atom(_)
            | Term::Reference(_)
            | Term::Port(_)
            | Term::Pid(_)
            | Term::Binary(_)
            | Term::BitString(_) => false,
        }
}

/// With the same options, byte for byte. What is compressed is only as good as another's compressor, so that reads
/// back and is about as short.
#[test]
fn options_give_the_bytes_that_the_release_gives() {
    let mut differ = Vec::new();
    let mut compared = 0;
    for (case, term) in readable() {
        let Made::Written(written) = &case.made else { continue };
        let ours = written.ours.encode(&term);
        if written.ours.compressed > 0 {
            assert_eq!(
                etf::decode(&ours.clone().into(), &DecodeLimits::default()),
                Ok(term),
                "{}",
                case.name
            );
            if ours.len() > case.bytes.len() + case.bytes.len() / 4 + 16 {
                differ.push(format!(
                    "OTP {}, {}: {} bytes, there {}",
                    case.release,
                    case.name,
                    ours.len(),
                    case.bytes.len()
                ));
            }
            continue;
        }
        if written.deterministic || !(has_map(&term) || case.release < 26 && has_port(&term)) {
            compared += 1;
            if ours != case.bytes {
                differ.push(format!(
                    "OTP {}, {} {}: {ours:02x?}, there {:02x?}",
                    case.release, case.name, written.options, case.bytes
                ));
            }
        }
    }
    assert_none(&differ);
    assert!(compared > 600, "only {compared} cases had bytes to compare");
}

#[test]
fn texts_read_as_the_term_and_are_printed_the_same() {
    let mut differ = Vec::new();
    let mut printed = 0;
    for (case, term) in readable() {
        let Some(text) = &case.text else { continue };
        let label = format!("OTP {}, {}", case.release, case.name);
        match parse_term(text) {
            Ok(read) if read == term => {}
            // OTP 23 prints both zeros alike.
            Ok(read) if case.release == 23 && text == "0.0" && read.cmp_erlang(&term).is_eq() => {}
            // No text has them: io_lib writes a native record as no release reads it.
            _ if matches!(term, Term::Record(_)) => {}
            other => differ.push(format!("{label}: {text} reads as {other:?}")),
        }
        // What we print is what the newest release prints.
        if case.release >= 27 {
            printed += 1;
            if term.to_string() != *text {
                differ.push(format!("{label}: {text} is printed as {term}"));
            }
        }
    }
    assert_none(&differ);
    assert!(printed > 300, "only {printed} texts");
}

/// Every row of the table of wire.md 8 is the first tag of some case of every release that can have it.
#[test]
fn every_tag_is_there() {
    let read: &[u8] = &[
        99, 100, 115, 103, 102, 89, 101, 114, 98, 110, 111, 118, 105, 107, 108, 77, 116, 113, 90, 117, 82,
        68, 80,
    ];
    let written: &[u8] = &[
        97, 98, 70, 99, 100, 118, 119, 88, 90, 104, 105, 106, 107, 108, 109, 77, 110, 111, 116, 112, 113, 80,
    ];
    for release in RELEASES {
        let cases = cases_of(release);
        let newer: &[u8] = match release {
            23 => &[89],
            25 => &[120],
            27 => &[120, 121],
            _ => &[120, 121, 67],
        };
        let has = |by_hand: bool, tag: u8| {
            cases.iter().any(|case| (case.made == Made::ByHand) == by_hand && case.bytes.get(1) == Some(&tag))
        };
        for &tag in read {
            assert!(has(true, tag), "OTP {release} reads no {tag}");
        }
        for &tag in written.iter().chain(newer) {
            assert!(has(false, tag), "OTP {release} writes no {tag}");
        }
    }
}

/// `binary_to_term/2` with `used` says how far the term went; `decode` wants no more bytes than that.
#[test]
fn bytes_after_the_term_are_counted() {
    for (case, term) in readable() {
        let mut longer = case.bytes.clone();
        let (_, used) = read(&case).expect("it is readable");
        longer.truncate(used);
        assert_eq!(
            etf::decode(&longer.clone().into(), &DecodeLimits::default()),
            Ok(term.clone()),
            "{}",
            case.name
        );
        longer.push(0);
        let options = DecodeOptions::default();
        assert_eq!(options.decode_prefix(&longer.clone().into()), Ok((term, used)), "{}", case.name);
        let error = options.decode(&longer.into()).expect_err("one byte too many");
        assert_eq!(error.reason, DecodeErrorReason::TrailingBytes { bytes: 1 }, "{}", case.name);
    }
}

/// In a distribution message (wire.md 4.2) the same bytes stand without a 131, and nothing is compressed or local.
#[test]
fn messages_have_the_same_terms_bare() {
    let limits = DecodeLimits::default();
    for (case, term) in readable() {
        let label = format!("OTP {}, {}", case.release, case.name);
        let input = Bytes::copy_from_slice(&case.bytes);
        let bare = decode_bare(&input, 1, &[], &limits);
        if case.bytes[1] == 80 {
            let reason = bare.expect_err(&label).reason;
            assert_eq!(reason, DecodeErrorReason::CompressedInside, "{label}");
        } else {
            let (_, used) = read(&case).expect("it is readable");
            assert_eq!(bare, Ok((term.clone(), used)), "{label}");
        }
        // A 131 in there is no term's start.
        assert!(decode_bare(&input, 0, &[], &limits).is_err(), "{label}");
        let mut message = BytesMut::new();
        encode_into(&term, &mut message);
        let end = message.len();
        assert_eq!(decode_bare(&message.freeze(), 0, &[], &limits), Ok((term, end)), "{label}");
    }
    for case in cases().into_iter().filter(is_local) {
        let bare = decode_bare(&case.bytes.clone().into(), 1, &[], &limits);
        assert_eq!(bare.map_err(|error| error.reason), Err(DecodeErrorReason::LocalTerm), "{}", case.name);
    }
}

/// Nothing before a term's end is a whole term.
#[test]
fn every_truncation_is_an_error() {
    let mut seen = BTreeSet::new();
    for (case, _) in readable().filter(|(case, _)| seen.insert(case.bytes.clone())) {
        let (_, used) = read(&case).expect("it is readable");
        // Of long ones not all: each takes the whole time again.
        for end in (0..used).filter(|end| used < 500 || end % (used / 50) == 0) {
            let cut = Bytes::copy_from_slice(&case.bytes[..end]);
            let decoded = decode_prefix(&cut, &DecodeLimits::default());
            assert!(decoded.is_err(), "OTP {}, {} up to {end}: {decoded:?}", case.release, case.name);
        }
    }
}
