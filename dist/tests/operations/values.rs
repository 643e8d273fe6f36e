//! Random control tuples.

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

use crabnode_dist::Op;
use etf::{Atom, Pid, Reference, Term, tuple};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed},
};

use crate::{
    frames::{OWN, PEER},
    places::{Place, places},
};

/// Random values that are the same at each run, or those of `CRABNODE_TEST_SEED`, which may be `random`.
pub(crate) fn config() -> Config {
    let seed = match env::var("CRABNODE_TEST_SEED").as_deref() {
        Ok("random") => RandomState::new().hash_one(()),
        Ok(seed) => seed.parse().expect("CRABNODE_TEST_SEED is a number or `random`"),
        Err(_) => 1,
    };
    eprintln!("CRABNODE_TEST_SEED={seed} repeats this");
    Config { rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::with_cases(64) }
}

/// A tuple of the operation, right at every place.
pub(crate) fn tuple_of(op: Op) -> BoxedStrategy<Vec<Term>> {
    if op == Op::AltactSigSend {
        return altact().boxed();
    }
    let number = Just(Term::from(i64::from(op.number()))).boxed();
    let fields = places(op).iter().enumerate().map(|(at, place)| match (op, at) {
        // Where old nodes had a cookie.
        (Op::Send | Op::SendTt, 0) | (Op::RegSend | Op::RegSendTt, 1) => Just(Term::atom("")).boxed(),
        (Op::SpawnRequest | Op::SpawnRequestTt, 4) => options().boxed(),
        _ => of_place(*place),
    });
    std::iter::once(number).chain(fields).collect::<Vec<_>>().boxed()
}

/// Of 37 only what has no operation of its own: with priority, to an alias, or an exit to one.
fn altact() -> impl Strategy<Value = Vec<Term>> {
    let targets = prop_oneof![
        pid_of(OWN).prop_map(|to| (0, Term::Pid(to), true)),
        reference_of(OWN).prop_map(|to| (4, Term::Reference(to), false)),
        atom().prop_map(|to| (8, Term::Atom(to), true)),
    ];
    (targets, any::<bool>(), any::<bool>(), pid_of(PEER), proptest::option::of(term())).prop_map(
        |((target, to, has_lower), priority, exit, from, token)| {
            let priority = priority || has_lower;
            let flags = i64::from(priority) | i64::from(token.is_some()) << 1 | target | i64::from(exit) << 4;
            let mut tuple = vec![37.into(), flags.into(), from.into(), to];
            tuple.extend(token);
            tuple
        },
    )
}

/// Options in the order in which they are written.
fn options() -> impl Strategy<Value = Term> {
    let monitor = prop_oneof![
        Just(Term::atom("monitor")),
        term().prop_map(|tag| tuple!(atom "monitor", vec![tuple!(atom "tag", tag)])),
    ];
    let tuning = any::<i64>().prop_map(|words| tuple!(atom "min_heap_size", words));
    // Options with a number are known to nobody.
    let unknown = any::<i64>().prop_map(|int| tuple!(int, atom "x"));
    (any::<bool>(), proptest::option::of(monitor), vec(tuning, 0..3), vec(unknown, 0..3)).prop_map(
        |(link, monitor, tuning, unknown)| {
            let link = link.then(|| Term::atom("link"));
            Term::list(monitor.into_iter().chain(link).chain(tuning).chain(unknown).collect::<Vec<_>>())
        },
    )
}

fn of_place(place: Place) -> BoxedStrategy<Term> {
    let name = || atom().prop_map(Term::Atom);
    let pid = |node| pid_of(node).prop_map(Term::Pid);
    let reference = |node| reference_of(node).prop_map(Term::Reference);
    match place {
        Place::Pid => prop_oneof![pid(OWN), pid(PEER), pid(Atom::from_static("third@host"))].boxed(),
        Place::PeerPid => pid(PEER).boxed(),
        Place::OwnPid => pid(OWN).boxed(),
        Place::PeerPidOrName | Place::PeerPidOrError => {
            prop_oneof![pid(PEER).boxed(), name().boxed()].boxed()
        }
        Place::OwnPidOrName => prop_oneof![pid(OWN).boxed(), name().boxed()].boxed(),
        Place::Atom => name().boxed(),
        Place::Ref | Place::PeerRef => reference(PEER).boxed(),
        Place::OwnRef => reference(OWN).boxed(),
        Place::Mfa => (atom(), atom(), any::<i64>()).prop_map(|(m, f, arity)| tuple!(m, f, arity)).boxed(),
        Place::UnlinkId => {
            prop_oneof![1..=9_u64, any::<u64>().prop_map(|id| id.max(1))].prop_map(Term::from).boxed()
        }
        Place::ReplyFlags => (0..1_i64 << 27).prop_map(Term::from).boxed(),
        Place::AltactFlags => panic!("the flags of 37 go with its other places"),
        Place::Any => term().boxed(),
    }
}

fn pid_of(node: Atom) -> impl Strategy<Value = Pid> {
    any::<(u32, u32, u32)>()
        .prop_map(move |(id, serial, creation)| Pid::new(node.clone(), id, serial, creation))
}

fn reference_of(node: Atom) -> impl Strategy<Value = Reference> {
    (any::<u32>(), vec(any::<u32>(), 1..=Reference::WORDS_MAX)).prop_map(move |(creation, words)| {
        Reference::new(node.clone(), creation, &words).expect("one to five words")
    })
}

fn atom() -> impl Strategy<Value = Atom> {
    // Also those whose bytes are more than 255.
    prop_oneof![9 => "[a-z_ü]{0,20}", 1 => "[€日]{80,90}"]
        .prop_map(|text| Atom::try_new(text).expect("at most 255 characters"))
}

pub(crate) fn term() -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Term::Int),
        any::<u64>().prop_map(Term::from),
        any::<f64>().prop_filter_map("finite", etf::Float::new).prop_map(Term::from),
        atom().prop_map(Term::Atom),
        pid_of(PEER).prop_map(Term::Pid),
        reference_of(OWN).prop_map(Term::Reference),
        vec(any::<u8>(), 0..100).prop_map(Term::binary),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Term::tuple),
            vec(inner.clone(), 0..4).prop_map(Term::list),
            (vec(inner.clone(), 1..3), inner).prop_map(|(head, tail)| Term::list_with_tail(head, tail)),
        ]
    })
}
