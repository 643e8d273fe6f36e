//! Random terms that are near each other: where the order of terms is decided late.

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

use etf::{Atom, BigInt, BitString, Closure, Float, Fun, Map, Pid, Port, Record, Reference, Term};
use proptest::{
    collection::vec,
    prelude::*,
    sample::subsequence,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// What random terms of a test are made from: the same number at each run, or that of `CRABNODE_TEST_SEED`, which may
/// be `random`.
///
/// It is said, and stands in the output of a test that fails.
pub(crate) fn seed() -> u64 {
    let seed = match env::var("CRABNODE_TEST_SEED").as_deref() {
        Ok("random") => RandomState::new().hash_one(()),
        Ok(seed) => seed.parse().expect("CRABNODE_TEST_SEED is a number or `random`"),
        Err(_) => 1,
    };
    eprintln!("CRABNODE_TEST_SEED={seed} repeats this");
    seed
}

/// Where random terms come from.
pub(crate) struct Random(TestRunner);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let bytes = [seed.to_be_bytes(); 4].concat();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    pub(crate) fn take<T>(&mut self, strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
        let mut value = || strategy.new_tree(&mut self.0).expect("nothing is refused often").current();
        (0..count).map(|_| value()).collect()
    }
}

/// What terms there may be besides those that every release has.
#[derive(Clone, Copy)]
pub(crate) struct Comparable {
    /// `-0.0` in the keys of maps.
    pub(crate) signed_zero_keys: bool,
    /// Native records.
    pub(crate) records: bool,
    /// Maps of more than 32 keys.
    pub(crate) large_maps: bool,
}

/// A term from few kinds and few values of each, so that many are equal up to their last part.
pub(crate) fn comparable(with: Comparable) -> BoxedStrategy<Term> {
    let key = leaf(with.signed_zero_keys);
    let keys = prop_oneof![
        3 => key.clone(),
        1 => vec(key.clone(), 0..3).prop_map(Term::tuple),
        1 => vec(key.clone(), 0..3).prop_map(Term::list),
        1 => vec((key.clone(), key), 0..2).prop_map(map),
    ];
    let holder = leaf(true).prop_recursive(3, 16, 3, move |inner| {
        let closure = (0..2_u8, vec(inner.clone(), 0..3)).prop_map(|(which, free)| closure(which, free));
        let rare = match with.records {
            true => prop_oneof![closure, record(inner.clone().boxed())].boxed(),
            false => closure.boxed(),
        };
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Term::tuple),
            vec(inner.clone(), 0..3).prop_map(Term::list),
            (vec(inner.clone(), 0..3), inner.clone())
                .prop_map(|(head, tail)| Term::list_with_tail(head, tail)),
            vec((keys.clone(), inner), 0..4).prop_map(map),
            rare,
        ]
    });
    match with.large_maps {
        true => prop_oneof![60 => holder, 1 => large_map(with)].boxed(),
        false => holder.boxed(),
    }
}

/// A map of more keys than the BEAM keeps flat, where another way of comparing begins. Many have the same size.
pub(crate) fn large_map(with: Comparable) -> BoxedStrategy<Term> {
    let common = (0..35_i64).map(|int| (Term::Int(100 + int), Term::NIL)).collect::<Vec<_>>();
    // References that differ in words of 0 at the end alone are equal, and have different hashes: as keys of large maps
    // they are not taken for one another.
    let is_key = |key: &Term| !matches!(key, Term::Reference(reference) if reference.words().ends_with(&[0]));
    let key = leaf(with.signed_zero_keys).prop_filter("a key", is_key);
    vec((key, leaf(true)), 0..4).prop_map(move |entries| map([common.clone(), entries].concat())).boxed()
}

fn record(inner: BoxedStrategy<Term>) -> BoxedStrategy<Term> {
    let name = || prop_oneof![Just("a"), Just("b")].prop_map(Atom::from);
    let names = subsequence(["a", "b", "c"].map(Atom::from).to_vec(), 0..3).prop_shuffle();
    (0..2_u8, name(), name(), names, vec(inner, 3))
        .prop_map(|(flags, module, name, names, values)| {
            Term::Record(Box::new(Record::new(flags, module, name, names.into_iter().zip(values))))
        })
        .boxed()
}

fn map(entries: Vec<(Term, Term)>) -> Term {
    Term::Map(entries.into_iter().collect())
}

fn leaf(signed_zero: bool) -> BoxedStrategy<Term> {
    let node = || prop_oneof![Just("a@b"), Just("a@c"), Just("é@ж")].prop_map(Atom::from);
    let creation = || prop_oneof![Just(0_u32), Just(1), Just(4), Just(u32::MAX)];
    let ids = prop_oneof![
        (node(), 0..3_u32, 0..3_u32, creation())
            .prop_map(|(node, id, serial, creation)| Pid::new(node, id, serial, creation).into()),
        (node(), 0..3_u64, creation()).prop_map(|(node, id, creation)| Port::new(node, id, creation).into()),
        (node(), creation(), vec(0..3_u32, 1..4)).prop_map(|(node, creation, words)| {
            Reference::new(node, creation, &words).expect("of one to three words").into()
        }),
    ];
    let name = || {
        prop_oneof![
            Just(""),
            Just("a"),
            Just("aa"),
            Just("b"),
            Just("ab"),
            Just("é"),
            Just("ж"),
            Just("\u{1F980}")
        ]
        .prop_map(Atom::from)
    };
    prop_oneof![
        6 => number(signed_zero),
        2 => name().prop_map(Term::Atom),
        1 => "[ab]{24,30}".prop_map(|text| Term::Atom(Atom::from(text.as_str()))),
        3 => ids,
        1 => (name(), name(), 0..3_u8).prop_map(|(module, function, arity)| Fun::Export { module, function, arity }.into()),
        1 => vec(prop_oneof![Just(0_u8), Just(128), Just(255)], 0..4).prop_map(Term::binary),
        1 => (vec(prop_oneof![Just(0_u8), Just(128), Just(255)], 1..4), 1..8_u8)
            .prop_map(|(bytes, bits)| BitString::new(&bytes, bits).expect("of bytes and bits").into()),
        1 => vec(0..3_u8, 0..3).prop_map(|bytes| Term::list(bytes.into_iter().map(Term::from).collect::<Vec<_>>())),
        1 => prop_oneof![Just(Term::NIL), Just(Term::tuple([])), Just(Term::Map(Map::new()))],
    ]
    .boxed()
}

/// Integers and floats around each other at every size: where floats have no fractions any more, where integers
/// take two words, and where there are no floats.
fn number(signed_zero: bool) -> BoxedStrategy<Term> {
    let exponent = prop_oneof![
        Just(0),
        Just(1),
        Just(52),
        Just(53),
        Just(54),
        58..66_u32,
        Just(127),
        Just(1023),
        Just(1030)
    ];
    let int = (exponent.clone(), -2..=2_i8, any::<bool>()).prop_map(|(exponent, off, negative)| {
        let int = (BigInt::from(1) << exponent) + off;
        Term::from(if negative { -int } else { int })
    });
    let float = (exponent, -2..=2_i8, any::<bool>()).prop_map(|(exponent, off, negative)| {
        let mut float = 2_f64.powi(exponent.min(1023).try_into().expect("small"));
        for _ in 0..off.unsigned_abs() {
            float = if off < 0 { float.next_down() } else { float.next_up() };
        }
        Float::new(if negative { -float } else { float }).expect("finite").into()
    });
    let zero = if signed_zero { -0.0 } else { 0.0 };
    let small = prop_oneof![
        (-2..3_i64).prop_map(Term::from),
        (-4..5_i8).prop_map(|half| Float::new(f64::from(half) / 2.0).expect("finite").into()),
        Just(Float::new(zero).expect("finite").into()),
        Just(Float::new(f64::MIN_POSITIVE / 2.0).expect("finite").into()),
    ];
    prop_oneof![int, float, small].boxed()
}

/// Funs of one module. Which fun it is says everything but what it holds.
fn closure(which: u8, free: Vec<Term>) -> Term {
    let (index, old) = (u32::from(which), i32::from(which));
    // As those from OTP 26 on write it, which do not know who made a fun.
    let creator = Pid::new(Atom::from("nonode@nohost"), 0, 0, 0);
    let (uniq, module) = ([which; 16], Atom::from("m"));
    let (old_index, old_uniq, free) = (old, old + 100, free.into());
    Fun::Closure(Closure { arity: which, uniq, index, module, old_index, old_uniq, creator, free }).into()
}

/// A copy in which some numbers are the other number of the same value: often `==` and not `=:=`.
pub(crate) fn loosened(term: Term) -> BoxedStrategy<Term> {
    // Bits that say which; a third of the copies stay as they are.
    prop_oneof![Just(0), any::<u64>(), any::<u64>().prop_map(|bits| bits & (bits >> 7) & (bits >> 13))]
        .prop_map(move |bits| {
            let mut bits = bits;
            let changed = changed(&term, &mut |number| {
                bits = bits.rotate_right(1);
                if bits & 1 == 1 { other_number(number) } else { number.clone() }
            });
            // A map that would lose a key stays.
            changed.unwrap_or_else(|| term.clone())
        })
        .boxed()
}

fn other_number(number: &Term) -> Term {
    match number {
        Term::Float(float) if float.get() == 0.0 => Float::new(-float.get()).expect("finite").into(),
        #[expect(clippy::cast_possible_truncation, reason = "so small, and whole")]
        Term::Float(float) if float.get().abs() < 1e18 && float.get().fract() == 0.0 => {
            Term::from(float.get() as i64)
        }
        #[expect(clippy::cast_precision_loss, reason = "what is lost makes them unequal, which is as well")]
        Term::Int(int) => Float::new(*int as f64).expect("finite").into(),
        other => other.clone(),
    }
}

/// Whether a key of a map in the term has an order that each OTP 26 or later has for itself: maps in keys go by their
/// atom keys, and those by the node's table of atoms.
pub(crate) fn has_own_order(term: &Term) -> bool {
    held(term).into_iter().any(has_own_order) || {
        let Term::Map(map) = term else { return false };
        map.iter().any(|(key, _)| has_map_of_atoms(key))
    }
}

fn has_map_of_atoms(term: &Term) -> bool {
    held(term).into_iter().any(has_map_of_atoms) || {
        let Term::Map(map) = term else { return false };
        (2..=32).contains(&map.len()) && map.iter().any(|(key, _)| matches!(key, Term::Atom(_)))
    }
}

/// What a term has directly in it.
fn held(term: &Term) -> Vec<&Term> {
    match term {
        Term::Tuple(elements) => elements.iter().collect(),
        Term::List(elements) => elements.iter().collect(),
        Term::ImproperList(list) => list.head().iter().chain([list.tail()]).collect(),
        Term::Map(map) => map.iter().flat_map(|(key, value)| [key, value]).collect(),
        Term::Fun(fun) => match &**fun {
            Fun::Closure(closure) => closure.free.iter().collect(),
            Fun::Export { .. } => Vec::new(),
        },
        Term::Record(record) => record.fields().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    }
}

/// Whether a map in the term has two keys that are one before OTP 27, which refuses such a map.
pub(crate) fn is_refused_before_27(term: &Term) -> bool {
    let changed = changed(term, &mut |number| match number {
        Term::Float(float) if float.get() == 0.0 => Float::new(0.0).expect("finite").into(),
        other => other.clone(),
    });
    changed.is_none()
}

/// The term with other numbers. Nothing if two keys of a map become one.
fn changed(term: &Term, number: &mut impl FnMut(&Term) -> Term) -> Option<Term> {
    Some(match term {
        Term::Int(_) | Term::BigInt(_) | Term::Float(_) => number(term),
        Term::Tuple(elements) => Term::tuple(all_changed(elements, number)?),
        Term::List(elements) => Term::list(all_changed(elements, number)?),
        Term::ImproperList(list) => {
            let head = all_changed(list.head(), number)?;
            Term::list_with_tail(head, changed(list.tail(), number)?)
        }
        Term::Map(map) => {
            let mut copy = Map::new();
            for (key, value) in map.iter() {
                copy.insert(changed(key, number)?, changed(value, number)?);
            }
            if copy.len() < map.len() {
                return None;
            }
            Term::Map(copy)
        }
        Term::Fun(fun) => match &**fun {
            Fun::Closure(closure) => {
                Fun::Closure(Closure { free: all_changed(&closure.free, number)?.into(), ..closure.clone() })
                    .into()
            }
            Fun::Export { .. } => term.clone(),
        },
        Term::Record(record) => {
            let (names, values): (Vec<_>, Vec<_>) =
                record.fields().map(|(name, value)| (name.clone(), value.clone())).unzip();
            let fields = names.into_iter().zip(all_changed(&values, number)?);
            let (module, name) = (record.module.clone(), record.name.clone());
            Term::Record(Box::new(Record::new(record.flags, module, name, fields)))
        }
        Term::Atom(_)
        | Term::Reference(_)
        | Term::Port(_)
        | Term::Pid(_)
        | Term::Binary(_)
        | Term::BitString(_) => term.clone(),
    })
}

fn all_changed(terms: &[Term], number: &mut impl FnMut(&Term) -> Term) -> Option<Vec<Term>> {
    terms.iter().map(|term| changed(term, number)).collect()
}
