//! Random terms of every kind. `interop-tests` has this file too, to ask running OTP releases about such terms.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeSet;

use crabnode_etf::{Atom, BigInt, BitString, Closure, Float, Fun, Pid, Port, Record, Reference, Term};
use proptest::{collection::vec, prelude::*};

/// A term that Erlang's text form has a form for that reads back.
pub(crate) fn textual_term() -> impl Strategy<Value = Term> {
    nested(textual_leaf())
}

/// What terms may hold that not every OTP release takes.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    /// The largest byte of flags of a native record, if there are any.
    pub(crate) record_flags_max: Option<u8>,
    /// Whether closures say who made them.
    pub(crate) creators: bool,
    /// Whether identifiers use all bits that their encoding has, and references more than three words.
    pub(crate) wide: bool,
}

impl Reach {
    /// What the format has.
    const ALL: Self = Self { record_flags_max: Some(u8::MAX), creators: true, wide: true };
}

/// Any term.
pub(crate) fn term() -> impl Strategy<Value = Term> {
    term_within(Reach::ALL)
}

/// Any pid.
pub(crate) fn pid() -> impl Strategy<Value = Pid> {
    pid_within(Reach::ALL)
}

/// Any term that a release takes.
pub(crate) fn term_within(reach: Reach) -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![3 => textual_leaf(), 1 => identifier(reach)];
    nested(leaf.boxed())
        .prop_flat_map(move |term| prop_oneof![4 => Just(term.clone()), 1 => holder(term, reach)])
}

fn nested(leaf: BoxedStrategy<Term>) -> impl Strategy<Value = Term> {
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Term::tuple),
            vec(inner.clone(), 0..5).prop_map(Term::list),
            (vec(inner.clone(), 0..4), inner.clone())
                .prop_map(|(head, tail)| Term::list_with_tail(head, tail)),
            vec((inner.clone(), inner), 0..6).prop_map(|entries| Term::Map(entries.into_iter().collect())),
        ]
    })
}

fn textual_leaf() -> BoxedStrategy<Term> {
    prop_oneof![
        any::<i64>().prop_map(Term::Int),
        any::<i16>().prop_map(Term::from),
        (any::<bool>(), vec(any::<u8>(), 0..300)).prop_map(|(negative, bytes)| {
            let mut int = BigInt::default();
            for byte in bytes {
                int = (int << 8) + byte;
            }
            Term::from(if negative { -int } else { int })
        }),
        any::<f64>().prop_filter_map("finite", Float::new).prop_map(Term::Float),
        (-100_000..100_000_i32).prop_map(|i| Float::new(f64::from(i) / 100.0).unwrap().into()),
        atom().prop_map(Term::Atom),
        text().prop_map(|text| Term::charlist(&text)),
        text().prop_map(|text| Term::binary(text.as_str())),
        vec(any::<u8>(), 0..60).prop_map(Term::binary),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Term::List(bytes.into_iter().map(Term::from).collect())),
        (vec(any::<u8>(), 1..40), 1..8_u8)
            .prop_map(|(bytes, bits)| BitString::new(&bytes, bits).unwrap().into()),
        (atom(), atom(), any::<u8>()).prop_map(|(module, function, arity)| Fun::Export {
            module,
            function,
            arity
        }
        .into()),
    ]
    .boxed()
}

fn identifier(reach: Reach) -> BoxedStrategy<Term> {
    let (bits, words_max) = if reach.wide { (64, 5) } else { (28, 3) };
    prop_oneof![
        pid_within(reach).prop_map(Term::Pid),
        (node(), any::<u64>(), any::<u32>()).prop_map(move |(node, id, creation)| Port::new(
            node,
            id >> (64 - bits),
            creation
        )
        .into()),
        (node(), any::<u32>(), vec(any::<u32>(), 1..=words_max)).prop_map(
            move |(node, creation, mut words)| {
                words[0] >>= if reach.wide { 0 } else { 32 - 18 };
                Reference::new(node, creation, &words).unwrap().into()
            }
        ),
    ]
    .boxed()
}

/// Kinds that hold terms and come rarely.
fn holder(inner: Term, reach: Reach) -> BoxedStrategy<Term> {
    let creator = match reach.creators {
        true => pid_within(reach).boxed(),
        false => Just(Pid::new(Atom::from("nonode@nohost"), 0, 0, 0)).boxed(),
    };
    let closure =
        (any::<[u8; 16]>(), any::<i32>(), any::<u32>(), atom(), creator, vec(Just(inner.clone()), 0..3));
    let closure = closure.prop_map(|(uniq, old, index, module, creator, free)| {
        let (arity, old_index, old_uniq, free) = (uniq[0], old, old.wrapping_mul(31), free.into());
        Fun::Closure(Closure { arity, uniq, index, module, old_index, old_uniq, creator, free }).into()
    });
    let Some(flags_max) = reach.record_flags_max else { return closure.boxed() };
    let fields = vec((atom(), Just(inner)), 0..3);
    let record = (0..=flags_max, atom(), atom(), fields).prop_map(|(flags, module, name, mut fields)| {
        let mut names = BTreeSet::new();
        fields.retain(|(name, _)| names.insert(name.clone()));
        Term::Record(Box::new(Record::new(flags, module, name, fields)))
    });
    prop_oneof![record, closure].boxed()
}

fn pid_within(reach: Reach) -> impl Strategy<Value = Pid> {
    let (id_bits, serial_bits) = if reach.wide { (32, 32) } else { (15, 13) };
    (node(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(move |(node, id, serial, creation)| {
        Pid::new(node, id >> (32 - id_bits), serial >> (32 - serial_bits), creation)
    })
}

fn node() -> impl Strategy<Value = Atom> {
    prop_oneof![Just(Atom::from("a@b")), Just(Atom::from("c@d")), atom()]
}

fn atom() -> impl Strategy<Value = Atom> {
    prop_oneof![
        4 => "[a-z][a-zA-Z0-9_@]{0,30}",
        2 => text(),
        1 => "[éß-ÿ][a-zà-ÿ]{0,4}",
        1 => prop_oneof![Just("end"), Just("maybe"), Just("fun"), Just("true")].prop_map(str::to_owned),
        1 => "\\PC{200,255}",
    ]
    .prop_map(|text| Atom::from(text.as_str()))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "\\PC{0,20}", vec(any::<char>(), 0..20).prop_map(|c| c.into_iter().collect())]
}
