//! How often decoding allocates. A program of its own, so that counting does not slow what `bench-etf` measures.
//!
//! Reads the payload `list` from the folder it is given, and says what it counted by lines `NAME VALUE`.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]

use std::{alloc::System, env, fs, path::Path};

use bytes::Bytes;
use etf::{Atom, DecodeLimits, Pid, Term};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let dir = env::args_os().nth(1).expect("usage: bench-etf-allocations DIR");
    let path = Path::new(&dir).join("list.etf");
    let list = Bytes::from(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    let (term, allocations) = decode(&list);
    println!("tuples-and-lists {}", tuples_and_lists(&term));
    println!("list {allocations}");

    let atoms = ["ok", "error", "undefined", "a_text_of_23_characters"].map(Atom::from_static);
    let (a, b) = (Atom::from_static("a@example"), Atom::from_static("b@example"));
    let nodes = [a, b].map(std::sync::Arc::new);
    println!("integers {}", for_each_more(Term::from));
    println!("atoms {}", for_each_more(|number| Term::from(&atoms[number as usize % atoms.len()])));
    println!(
        "pids {}",
        for_each_more(|number| Pid::new(nodes[number as usize % 2].clone(), number, 0, 1).into())
    );
}

/// The term, and how often decoding it allocated or grew what it had.
fn decode(bytes: &Bytes) -> (Term, usize) {
    let limits = DecodeLimits::default();
    let region = Region::new(ALLOCATOR);
    let term = etf::decode(bytes, &limits).expect("it is a term");
    let stats = region.change();
    (term, stats.allocations + stats.reallocations)
}

fn tuples_and_lists(term: &Term) -> usize {
    let elements = term.as_list().or(term.as_tuple()).unwrap_or_default();
    usize::from(!elements.is_empty()) + elements.iter().map(tuples_and_lists).sum::<usize>()
}

/// How often a list of 2,000 such terms allocates more than one of 1,000.
fn for_each_more(term: impl Fn(u32) -> Term) -> usize {
    let allocations = |count: u32| {
        let list = Term::from((0..count).map(&term).collect::<Vec<_>>());
        decode(&etf::encode(&list).into()).1
    };
    allocations(2_000) - allocations(1_000)
}
