//! What is decoded gives all its memory back, whatever is done with it. A program of its own: it counts what the
//! allocator is asked for.

use std::{alloc::System, thread};

use bytes::Bytes;
use crabnode_etf::{DecodeLimits, Decoder, Elements, Term, decode, encode};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod common;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that were asked for and not given back.
fn kept(work: impl FnOnce()) -> isize {
    let region = Region::new(ALLOCATOR);
    work();
    let stats = region.change();
    stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
}

/// The elements of all terms in a term, taken apart in many ways.
fn take_apart(term: Term, turn: usize) {
    let mut elements = match term {
        Term::Tuple(elements) | Term::List(elements) => elements,
        Term::Map(map) => {
            for (at, (key, value)) in map.into_iter().enumerate().take(2 + turn % 3) {
                take_apart(key, turn + at);
                take_apart(value, turn + at + 1);
            }
            return;
        }
        other => return drop(other.clone()),
    };
    match turn % 6 {
        0 => {
            for (at, term) in elements.into_iter().enumerate().take(2) {
                take_apart(term, turn + at + 1);
            }
        }
        1 => {
            let last = elements.pop();
            elements.push(Term::binary(vec![b'x'; 100]));
            elements.extend(last);
            elements.reverse();
            drop(elements.clone());
        }
        2 => {
            let half: Vec<Term> =
                elements.iter_mut().step_by(2).map(|term| std::mem::replace(term, Term::NIL)).collect();
            drop(elements);
            drop(half);
        }
        3 => match <[Term; 2]>::try_from(elements) {
            Ok([a, b]) => {
                take_apart(b, turn + 1);
                drop(a);
            }
            Err(elements) => drop(elements.into_vec()),
        },
        4 => drop(thread::spawn(move || elements.len()).join()),
        _ => drop(Elements::from(&elements[..])),
    }
}

#[test]
fn terms_give_their_memory_back() {
    // Threads keep something for themselves when the first one starts.
    drop(thread::spawn(|| ()).join());
    let mut runner = TestRunner::deterministic();
    for turn in 0..3000 {
        let term = common::term().new_tree(&mut runner).expect("nothing is refused often").current();
        let bytes = Bytes::from(encode(&term));
        drop(term);
        let limits = DecodeLimits::default();
        let mut decoder = Decoder::new(limits.clone());
        drop(decoder.decode(&bytes));
        let kept = kept(|| {
            let read = || decode(&bytes, &limits).expect("our own bytes");
            drop(read());
            take_apart(read(), turn);
            take_apart(decoder.decode(&bytes).expect("our own bytes"), turn + 1);
            let cut = bytes.slice(..bytes.len() * (turn % 97) / 100);
            drop(decode(&cut, &limits));
        });
        // The decoder remembers up to two names of nodes and 64 short atoms, which take their place in a table.
        assert!(kept <= 2048, "{kept} bytes are kept of {bytes:?}");
        assert!(kept_without_decoder(&bytes, turn) == 0, "of {bytes:?}");
    }
}

fn kept_without_decoder(bytes: &Bytes, turn: usize) -> isize {
    let limits = DecodeLimits::default();
    kept(|| {
        let term = decode(bytes, &limits).expect("our own bytes");
        let other = term.clone();
        take_apart(term, turn + 2);
        assert_eq!(encode(&other).len(), bytes.len());
        drop(other);
        drop(decode(&bytes.slice(..bytes.len() - 1), &limits));
    })
}
