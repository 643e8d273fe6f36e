//! Random terms between ours and running OTP releases: bytes, order and equality are the same.
//!
//! Every run has the same terms, unless `CRABNODE_TEST_SEED` is another number, or `random`.

extern crate etf as crabnode_etf;

use bytes::Bytes;
use etf::{DecodeLimits, EncodeOptions, Fun, MinorVersion, Term, decode, encode_into};
use interop_tests::{Compared, ErlTerms, Otp};
use proptest::{collection::vec, prelude::*};

#[path = "../../etf/tests/common/mod.rs"]
mod common;
use common::{Reach, term, term_within};
mod peer_support;
use peer_support::each_release;
mod term_support;
use term_support::{
    Comparable, Random, comparable, has_own_order, is_refused_before_27, large_map, loosened, seed,
};

const MINOR_VERSIONS: [(u8, MinorVersion); 3] =
    [(0, MinorVersion::V0), (1, MinorVersion::V1), (2, MinorVersion::V2)];

/// As for a reader of this release. OTP 23 does not know the tag that newer ones write for a port, but that which
/// ports have in messages.
fn write(otp: &Otp, term: &Term, minor_version: MinorVersion) -> Vec<u8> {
    if otp.number() == 23 {
        let mut bytes = vec![131];
        encode_into(term, &mut bytes);
        return bytes;
    }
    EncodeOptions { minor_version, ..Default::default() }.encode(term)
}

fn read(bytes: &[u8]) -> Term {
    let bytes = Bytes::copy_from_slice(bytes);
    decode(&bytes, &DecodeLimits::default()).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"))
}

/// The versions in which ours is asked to write for this release.
fn minor_versions(otp: &Otp) -> &'static [(u8, MinorVersion)] {
    if otp.number() == 23 { &MINOR_VERSIONS[2..] } else { &MINOR_VERSIONS }
}

/// Whether `-0.0` is another term than `0.0`.
fn tells_zeros(otp: &Otp) -> bool {
    otp.number() >= 27
}

/// The term, not longer than helps, and its bytes where they start to differ.
fn difference(term: &Term, ours: &[u8], theirs: &[u8]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let part = |bytes: &[u8]| {
        format!("{:02x?}", &bytes[at.saturating_sub(20).min(bytes.len())..bytes.len().min(at + 20)])
    };
    let text: String = term.to_string().chars().take(2000).collect();
    format!("{text}\nfrom byte {at} on, ours {}, theirs {}", part(ours), part(theirs))
}

fn comparable_in(otp: &Otp) -> Comparable {
    Comparable {
        signed_zero_keys: tells_zeros(otp),
        records: otp.number() >= 29,
        // Up to OTP 25 their order is another where keys have certain hashes: that of small maps with the same keys
        // is as here, and of large ones in OTP 27.
        large_maps: otp.number() >= 26,
    }
}

/// Whether this release reads the term.
fn takes(otp: &Otp, term: &Term) -> bool {
    tells_zeros(otp) || !is_refused_before_27(term)
}

/// Whether every node of this release writes the term with its keys in the same order.
fn is_written_alike(otp: &Otp, term: &Term) -> bool {
    otp.number() < 26 || !has_own_order(term)
}

#[test]
fn terms_are_written_as_otp_writes_them() {
    let seed = seed();
    each_release(|otp| {
        let mut random = Random::new(seed);
        let reach = Reach {
            record_flags_max: (otp.number() >= 29).then_some(1),
            // From OTP 26 on a fun does not know who made it.
            creators: otp.number() < 26,
            wide: otp.number() > 23,
        };
        let mut terms = random.take(term_within(reach), 3000);
        let map_keys = vec((comparable(comparable_in(otp)), any::<u8>().prop_map(Term::from)), 2..20);
        let maps = map_keys.prop_map(|entries| Term::Map(entries.into_iter().collect()));
        terms.extend(random.take(maps, 1000));
        terms.retain(|term| takes(otp, term) && is_written_alike(otp, term));
        assert!(terms.len() > 3500, "{}", terms.len());
        let mut erl = ErlTerms::start(otp);
        for &(number, minor_version) in minor_versions(otp) {
            let ours: Vec<_> = terms.iter().map(|term| write(otp, term, minor_version)).collect();
            let theirs = erl.rewrite(number, &ours);
            assert_eq!(theirs.len(), ours.len());
            let all: Vec<_> = terms.iter().zip(ours).zip(theirs).collect();
            same_bytes(
                otp,
                &mut erl,
                all.into_iter().map(|((term, ours), theirs)| (term.clone(), ours, theirs)),
            );
        }
    });
}

#[test]
fn terms_of_otp_are_read_and_written_the_same() {
    let seed = seed();
    each_release(|otp| {
        let mut erl = ErlTerms::start(otp);
        for &(number, minor_version) in minor_versions(otp) {
            let all = erl.random(seed, 2000, number);
            assert_eq!(all.len(), 2000);
            let all = all.into_iter().map(|[theirs, compressed]| {
                let term = read(&theirs);
                assert_eq!(read(&compressed), term);
                let ours = write(otp, &term, minor_version);
                (term, ours, theirs)
            });
            let all: Vec<_> = all.filter(|(term, ..)| is_written_alike(otp, term)).collect();
            assert!(all.len() > 1900, "{}", all.len());
            same_bytes(otp, &mut erl, all.into_iter());
        }
    });
}

/// Terms with our bytes and theirs.
fn same_bytes(otp: &Otp, erl: &mut ErlTerms, all: impl ExactSizeIterator<Item = (Term, Vec<u8>, Vec<u8>)>) {
    let count = all.len();
    let (mut terms, mut others) = (Vec::new(), Vec::new());
    for (term, ours, theirs) in all {
        if ours == theirs {
            continue;
        }
        let what = difference(&term, &ours, &theirs);
        assert!(!theirs.is_empty(), "refused: {what}");
        // Without `deterministic`, which OTP 23 does not have, large maps are in another order, and up to OTP 25
        // ports have in stored terms the tag that they have in messages.
        assert!(otp.number() < 26, "{what}");
        others.push([ours, theirs]);
        terms.push(term);
    }
    assert!(others.len() < count / 2, "most terms have neither: {} of {count}", others.len());
    for ((term, pair), compared) in terms.iter().zip(&others).zip(erl.compare(&others)) {
        assert!(compared.identical, "{}", difference(term, &pair[0], &pair[1]));
    }
}

#[test]
fn ten_thousand_terms_sort_as_lists_sort_does() {
    let seed = seed();
    each_release(|otp| {
        let mut random = Random::new(seed);
        let mut terms = random.take(comparable(comparable_in(otp)), 10_000);
        terms.retain(|term| takes(otp, term));
        assert!(terms.len() > 9_900, "{}", terms.len());
        let bytes: Vec<_> = terms.iter().map(|term| write(otp, term, MinorVersion::V2)).collect();
        let theirs = ErlTerms::start(otp).sort(&bytes);
        let mut ours: Vec<usize> = (0..terms.len()).collect();
        // Both are stable: what is `==` keeps its order.
        ours.sort_by(|&a, &b| match tells_zeros(otp) {
            true => terms[a].cmp_erlang(&terms[b]),
            false => terms[a].cmp_before_27(&terms[b]),
        });
        for (place, (&ours, &theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(ours == theirs, "at {place}: ours {}, theirs {}", terms[ours], terms[theirs]);
        }
        assert_eq!(ours.len(), theirs.len());
        // `Ord` is a refinement of it.
        terms.sort();
        for pair in terms.windows(2) {
            assert!(pair[0].cmp_erlang(&pair[1]).is_le(), "{} and {}", pair[0], pair[1]);
        }
    });
}

#[test]
fn pairs_compare_as_in_otp() {
    let seed = seed();
    each_release(|otp| {
        let mut random = Random::new(seed);
        // A term and what may be equal to it, and two that are near each other in order.
        let pairs = comparable(comparable_in(otp)).prop_flat_map(|term| (Just(term.clone()), loosened(term)));
        let mut pairs = random.take(pairs, 10_000);
        let mut more = random.take(comparable(comparable_in(otp)), 10_000);
        if comparable_in(otp).large_maps {
            more.extend(random.take(large_map(comparable_in(otp)), 2000));
        }
        pairs.extend(more.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        pairs.retain(|(a, b)| takes(otp, a) && takes(otp, b));
        let bytes: Vec<_> =
            pairs.iter().map(|(a, b)| [a, b].map(|term| write(otp, term, MinorVersion::V2))).collect();
        let mut seen = [0; 3];
        for ((a, b), theirs) in pairs.iter().zip(ErlTerms::start(otp).compare(&bytes)) {
            let (identical, order) = match tells_zeros(otp) {
                true => (a == b, a.cmp_erlang(b)),
                false => (a.eq_before_27(b), a.cmp_before_27(b)),
            };
            let ours = Compared { identical, equal: order.is_eq(), less: order.is_lt() };
            assert!(ours == theirs, "{a} and {b}: ours {ours:?}, theirs {theirs:?}");
            seen[usize::from(ours.equal) + usize::from(identical)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "different, equal, identical: {seen:?}");
    });
}

/// The codec of another project, as far as it goes.
#[test]
fn terms_are_those_of_eetf() {
    let mut random = Random::new(seed());
    let mut held = 0;
    for term in random.take(term(), 2000) {
        let bytes = etf::encode(&term);
        let Ok(theirs) = eetf::Term::try_from(&term) else { continue };
        held += 1;
        let read = eetf::Term::decode(&bytes[..]).unwrap_or_else(|error| panic!("{term}: {error}"));
        assert_eq!(Term::try_from(read).as_ref(), Ok(&term));
        // It writes a list of integers as bytes where all are below 256, so that negative ones get lost.
        if has_negative_list(&term) {
            continue;
        }
        let mut written = Vec::new();
        theirs.encode(&mut written).unwrap_or_else(|error| panic!("{term}: {error}"));
        assert_eq!(decode(&written.into(), &DecodeLimits::default()).as_ref(), Ok(&term));
    }
    assert!(held > 1000, "{held}");
}

fn has_negative_list(term: &Term) -> bool {
    let any = |terms: &[Term]| terms.iter().any(has_negative_list);
    match term {
        Term::List(elements) => {
            let small = |element: &Term| {
                element.as_int().is_some_and(|int| (i64::from(i32::MIN)..256).contains(&int))
            };
            elements.iter().all(small) && elements.iter().any(|element| element.as_int() < Some(0))
                || any(elements)
        }
        Term::Tuple(elements) => any(elements),
        Term::ImproperList(list) => any(list.head()) || has_negative_list(list.tail()),
        Term::Map(map) => map.iter().any(|(key, value)| has_negative_list(key) || has_negative_list(value)),
        Term::Fun(fun) => match &**fun {
            Fun::Closure(closure) => any(&closure.free),
            Fun::Export { .. } => false,
        },
        _ => false,
    }
}
