use std::{collections::hash_map::DefaultHasher, iter, thread};

use super::*;
use crate::DecodeLimits;

#[test]
fn a_term_takes_32_bytes() {
    assert!(size_of::<Term>() <= 32, "{}", size_of::<Term>());
}

#[test]
fn integers_have_one_form() {
    assert_eq!(Term::from(BigInt::from(5)), Term::Int(5));
    assert_eq!(Term::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert!(matches!(Term::from(1_u64 << 63), Term::BigInt(_)));
}

#[test]
fn lists_have_one_form() {
    let list = |head: &[i64], tail| Term::list_with_tail(head.iter().copied().map(Term::Int).collect(), tail);
    assert_eq!(list(&[], 1.into()), Term::Int(1));
    assert_eq!(list(&[1], list(&[2], Term::NIL)), vec![1.into(), 2.into()].into());
    let improper = list(&[1], list(&[2], 3.into()));
    let Term::ImproperList(parts) = &improper else { panic!("{improper}") };
    assert_eq!((parts.head(), parts.tail()), (&[1.into(), 2.into()][..], &3.into()));
}

/// As deep as the decoder lets a term be, all that is done with terms fits an eighth of the stack of a usual thread,
/// in a build without optimisation.
#[test]
fn terms_of_the_greatest_depth_need_little_stack() {
    let levels = DecodeLimits::default().depth_max;
    let closure = |free| {
        let creator = Pid::new(Atom::from("a"), 0, 0, 0);
        let (uniq, module) = ([0; 16], Atom::from("m"));
        let free = [free].into();
        Fun::Closure(Closure { arity: 0, uniq, index: 0, module, old_index: 0, old_uniq: 0, creator, free })
    };
    let record = |value| {
        let fields = vec![("f".into(), value)];
        Record::new(0, "m", "r", fields)
    };
    let wraps: [&(dyn Fn(Term) -> Term + Sync); 6] = [
        &|term| Term::tuple(vec![term]),
        &|term| Term::list_with_tail(vec![term], 1.into()),
        &|term| Term::Map([(1.into(), term)].into_iter().collect()),
        &|term| Term::Map([(term, 1.into())].into_iter().collect()),
        &|term| closure(term).into(),
        &|term| Term::Record(Box::new(record(term))),
    ];
    // The first kind all the way; the others as far as shows that they take no stack either.
    for (wrap, levels) in wraps.into_iter().zip([levels].into_iter().chain(iter::repeat(100_000))) {
        let work = || {
            let term = (0..levels).fold(Term::NIL, |term, _| wrap(term));
            let copy = term.clone();
            assert!(term == copy && term.cmp(&copy).is_eq());
            term.hash(&mut DefaultHasher::new());
            assert!(!term.to_string().is_empty());
            let bytes = crate::encode(&term).into();
            assert_eq!(crate::decode(&bytes, &DecodeLimits::default()), Ok(term));
        };
        thread::scope(|scope| {
            thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, work).unwrap().join().unwrap();
        });
    }
}
