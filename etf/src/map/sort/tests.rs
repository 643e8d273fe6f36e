use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{Map, text::parse_term, tuple};

fn entries(keys: Vec<Term>) -> Vec<[Term; 2]> {
    keys.into_iter().zip(0_i64..).map(|(key, value)| [key, value.into()]).collect()
}

/// Sorts as comparing does, keeps each value with its key, and finds every key that is there twice.
fn check(keys: Vec<Term>) {
    let mut expected = entries(keys.clone());
    expected.sort_by(|[a, _], [b, _]| compare_exact(a, b));
    let unique = expected.is_sorted_by(|[a, _], [b, _]| a != b);
    let mut sorted = entries(keys);
    assert_eq!(sort_unique(&mut sorted), unique);
    if unique {
        assert_eq!(sorted, expected);
    }
}

fn key() -> impl Strategy<Value = Term> {
    prop_oneof![
        any::<i64>().prop_map(Term::Int),
        (0..40_i64).prop_map(Term::Int),
        any::<i64>().prop_map(|int| Term::from(crate::BigInt::from(int) << 40)),
        (-20..20_i32).prop_map(|i| crate::Float::new(f64::from(i) / 4.0).unwrap().into()),
        "[a-c]{0,12}".prop_map(|text| Term::Atom(text.as_str().into())),
        text_key(),
        (vec(any::<u8>(), 1..4), 1..8_u8)
            .prop_map(|(bytes, bits)| crate::BitString::new(&bytes, bits).unwrap().into()),
        vec(0..3_i64, 0..3).prop_map(|ints| Term::List(ints.into_iter().map(Term::Int).collect())),
        vec(0..3_i64, 0..3).prop_map(|ints| Term::Tuple(ints.into_iter().map(Term::Int).collect())),
        (0..3_u32, 0..3_u32).prop_map(|(id, serial)| crate::Pid::new(
            crate::Atom::from("n@h"),
            id,
            serial,
            1
        )
        .into()),
        Just(Term::Map(Map::new())),
    ]
}

/// Binaries that share their beginnings, and some that differ in zeros at the end alone.
fn text_key() -> impl Strategy<Value = Term> {
    prop_oneof![Just(""), Just("k_"), Just("a longer beginning than a word_")]
        .prop_flat_map(|start| {
            (Just(start), "[0-2\\x00]{0,3}")
                .prop_map(|(start, end)| Term::binary(format!("{start}{end}").as_str()))
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_keys(keys in vec(key(), 0..80)) {
        check(keys);
    }

    #[test]
    fn binary_keys(keys in vec(text_key(), 0..80)) {
        check(keys);
    }

    #[test]
    fn keys_that_are_mostly_unique(mut keys in vec(key(), 0..200)) {
        keys.sort();
        keys.dedup();
        let len = keys.len().max(1);
        keys.rotate_left(len / 3);
        keys.iter_mut().rev().step_by(2).for_each(|key| *key = tuple!(std::mem::replace(key, Term::NIL)));
        check(keys);
    }
}

#[test]
fn many_keys_of_each_kind() {
    let shuffled = |key: &dyn Fn(i64) -> Term| (0..5000).map(|i| key(i * 7919 % 5000)).collect::<Vec<_>>();
    check(shuffled(&Term::Int));
    check(shuffled(&|i| Term::Int((i - 2500) << 40)));
    check(shuffled(&|i| Term::binary(format!("key_{i:05}").as_str())));
    check(shuffled(&|i| Term::binary(format!("{i} and a text that makes them long").as_str())));
    check(shuffled(&|i| Term::binary(format!("a text that makes them long and {i}").as_str())));
    check(shuffled(&|i| Term::Atom(format!("atom_{i}").as_str().into())));
    check(shuffled(&|i| tuple!(i, Term::binary("x"))));
    check(shuffled(&|i| if i % 2 == 0 { Term::Int(i) } else { Term::binary(format!("{i}").as_str()) }));
    // One twice.
    check(shuffled(&|i| Term::binary(format!("key_{:05}", if i == 4000 { 17 } else { i }).as_str())));
    check(vec![parse_term("<<\"the same\">>").unwrap(); 100]);
}
