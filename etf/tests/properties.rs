//! What holds for every term: it is read back from what is written, as bytes and as text, and the order is one.

use crabnode_etf::{
    DecodeLimits, DecodeOptions, EncodeOptions, LocalKey, MinorVersion, Segments, Term, decode, decode_bare,
    encode, encode_into, encode_stored_into, text::parse_term, try_encode_into,
};
use proptest::{collection::vec, prelude::*};

mod common;
use common::{pid, term, textual_term};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_read_back(term in term()) {
        let limits = DecodeLimits::default();
        let bytes = encode(&term);
        prop_assert_eq!(decode(&bytes.clone().into(), &limits), Ok(term.clone()));
        // There is one encoding, so it is the same after a round.
        prop_assert_eq!(encode(&decode(&bytes.into(), &limits).unwrap()), encode(&term));

        let mut message = bytes::BytesMut::from(&[9, 9][..]);
        encode_into(&term, &mut message);
        let end = message.len();
        message.extend_from_slice(&[106, 106]);
        prop_assert_eq!(decode_bare(&message.freeze(), 2, &[], &limits), Ok((term, end)));
    }

    /// However it is written, it is the same term.
    #[test]
    fn every_way_of_writing_reads_back(
        term in term(),
        blob in vec(any::<u8>(), 0..6000),
        compressed in 0..=9u8,
        minor_version in prop_oneof![Just(MinorVersion::V0), Just(MinorVersion::V1), Just(MinorVersion::V2)],
        own in pid(),
    ) {
        let limits = DecodeLimits::default();
        let term = Term::tuple([term.clone(), Term::binary(blob), own.clone().into(), term]);
        let bytes = encode(&term);
        let mut again = bytes.clone();
        encode_stored_into(&term, &mut again);
        prop_assert_eq!(&again[bytes.len()..], &bytes[..]);

        let options = EncodeOptions { compressed, minor_version, ..Default::default() };
        let other = options.encode(&term);
        prop_assert_eq!(decode(&other.clone().into(), &limits), Ok(term.clone()));
        let plain = EncodeOptions { compressed: 0, ..options }.encode(&term);
        prop_assert!(other.len() <= plain.len());
        let local = Some(LocalKey::new([7; 16], own.node_shared(), own.creation));
        let bytes = EncodeOptions { compressed, minor_version, local: local.clone() }.encode(&term);
        prop_assert_eq!(DecodeOptions { local, ..Default::default() }.decode(&bytes.into()), Ok(term.clone()));

        let (mut message, mut segments) = (bytes::BytesMut::new(), Segments::new());
        encode_into(&term, &mut message);
        encode_into(&term, &mut segments);
        prop_assert_eq!(segments.chunks().collect::<Vec<_>>().concat(), message.to_vec());
        let mut checked = Vec::new();
        prop_assert_eq!(try_encode_into(&term, &mut checked), Ok(()));
        prop_assert_eq!(checked, message.to_vec());
    }

    #[test]
    fn text_reads_back(term in textual_term()) {
        let text = term.to_string();
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(parse_term(&text), Ok(term));
    }

    #[test]
    fn order_is_total_and_agrees_with_equality(mut terms in vec(term(), 0..12)) {
        terms.sort();
        for (i, a) in terms.iter().enumerate() {
            for b in &terms[i..] {
                prop_assert!(a <= b && !a.cmp_erlang(b).is_gt(), "{} and {}", a, b);
                prop_assert_eq!(a.cmp(b).is_eq(), a == b);
                prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
            }
        }
    }

    #[test]
    fn maps_find_what_they_hold(entries in vec((textual_term(), any::<u8>()), 0..40)) {
        let map: crabnode_etf::Map = entries.iter().map(|(k, v)| (k.clone(), Term::from(*v))).collect();
        for (key, _) in &entries {
            let last = entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| Term::from(*v));
            prop_assert_eq!(map.get(key), last.as_ref());
        }
        let mut other = crabnode_etf::Map::new();
        for (key, value) in &entries {
            other.insert(key.clone(), Term::from(*value));
        }
        prop_assert_eq!(map, other);
    }

    #[test]
    fn any_bytes_are_a_term_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let mut stored = vec![131];
        stored.extend_from_slice(&bytes);
        let _ = decode(&stored.into(), &DecodeLimits::default());
        let _ = decode_bare(&bytes.into(), 0, &["a".into()], &DecodeLimits::default());
    }

    #[test]
    fn any_text_is_a_term_or_an_error(text in "[ -~\\n]{0,80}|\\PC{0,40}|[\\[\\]{}<>#,|:/\"'~$a1.\\\\ ]{0,40}") {
        if let Ok(term) = parse_term(&text) {
            prop_assert_eq!(parse_term(&term.to_string()), Ok(term));
        }
    }
}
