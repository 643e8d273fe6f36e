//! Terms that share memory, changed and taken apart in any order: they are as terms that share none, and what is wrong
//! with memory is seen by AddressSanitizer.
//!
//! The first byte says how many of those after it are steps; what is left are the terms.
#![no_main]

use bytes::Bytes;
use crabnode_fuzz::limits;
use etf::{Decoder, Elements, Term, decode};
use libfuzzer_sys::fuzz_target;

/// How many terms are at hand, at most: few, so that steps meet the same ones.
const TERMS_MAX: usize = 8;

fuzz_target!(|data: &[u8]| {
    let Some((&count, rest)) = data.split_first() else { return };
    let Some((steps, input)) = rest.split_at_checked(usize::from(count)) else { return };
    let input = Bytes::copy_from_slice(input);
    let mut decoder = Decoder::new(limits());
    let Ok(first) = decoder.decode(&input) else {
        assert!(decode(&input, &limits()).is_err());
        return;
    };
    // Of each term one as it was decoded, and one that has all its memory for itself.
    let mut pairs = vec![(first.clone(), first)];
    for &step in steps {
        let (what, which) = (step % 16, usize::from(step / 16) % pairs.len());
        match what {
            0 => {
                let term = decoder.decode(&input).expect("it was decoded before");
                pairs.push((term.clone(), term));
            }
            1 => {
                let (own, shared) = pairs.swap_remove(which);
                pairs.push((shared.clone(), shared));
                drop(own);
            }
            2 => drop(pairs.swap_remove(which)),
            3..6 => {
                // An element moves to another term.
                let (own, shared) = pairs.swap_remove(which);
                let mut parts = (parts(own), parts(shared));
                if let (Some(own), Some(shared)) = (parts.0.pop(), parts.1.pop()) {
                    pairs.push((own, shared));
                }
                pairs.push((Term::Tuple(parts.0), Term::Tuple(parts.1)));
            }
            6..8 => {
                let (own, shared) = pairs.swap_remove(which);
                if let Some((to_own, to_shared)) = pairs.first_mut() {
                    add(to_own, own);
                    add(to_shared, shared);
                } else {
                    pairs.push((own, shared));
                }
            }
            8 => {
                let (own, shared) = &mut pairs[which];
                for term in [own, shared] {
                    if let Term::Tuple(elements) | Term::List(elements) = term {
                        elements.reverse();
                    }
                }
            }
            9 => {
                let (own, shared) = pairs.swap_remove(which);
                match (<[Term; 2]>::try_from(parts(own)), <[Term; 2]>::try_from(parts(shared))) {
                    (Ok([a, b]), Ok([c, d])) => {
                        drop(c);
                        pairs.push((b, d));
                        drop(a);
                    }
                    (Err(own), Err(shared)) => pairs.push((Term::List(own), Term::List(shared))),
                    _ => panic!("they have as many elements"),
                }
            }
            10 => {
                let (own, shared) = pairs.swap_remove(which);
                let half = |elements: Elements| elements.into_iter().step_by(2).collect::<Elements>();
                pairs.push((Term::List(half(parts(own))), Term::List(half(parts(shared)))));
            }
            11 => {
                let (own, shared) = &mut pairs[which];
                for term in [own, shared] {
                    if let Term::Tuple(elements) | Term::List(elements) = term
                        && let Some(last) = elements.last_mut()
                    {
                        *last = Term::list(vec![Term::atom("changed"); 3]);
                    }
                }
            }
            _ => decoder = Decoder::new(limits()),
        }
        for (own, shared) in &pairs {
            assert_eq!(own, shared);
        }
        if pairs.len() > TERMS_MAX {
            drop(pairs.remove(0));
        }
        if pairs.is_empty() {
            return;
        }
    }
});

fn parts(term: Term) -> Elements {
    match term {
        Term::Tuple(elements) | Term::List(elements) => elements,
        Term::Map(map) => map.into_iter().flat_map(|(key, value)| [key, value]).collect(),
        Term::ImproperList(list) => {
            let (head, tail) = list.into_parts();
            head.into_iter().chain([tail]).collect()
        }
        other => Elements::from([other]),
    }
}

fn add(to: &mut Term, term: Term) {
    if let Term::Tuple(elements) | Term::List(elements) = to
        && elements.len() < 200
    {
        elements.push(term);
    }
}
