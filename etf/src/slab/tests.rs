use std::{sync::Arc, thread};

use super::*;
use crate::{Atom, Pid};

/// A term that is counted by what it shares.
fn counted(shared: &Arc<Atom>) -> Term {
    Term::Pid(Pid::new(Arc::clone(shared), 1, 2, 3))
}

fn shared() -> Arc<Atom> {
    Arc::new(Atom::from("a@b"))
}

/// A piece of so many counted terms.
fn piece(slab: &mut Slab, terms: usize, shared: &Arc<Atom>) -> Slots {
    let mut piece = slab.take(terms, 1000);
    piece.fill_with(|| counted(shared));
    piece
}

fn others(shared: &Arc<Atom>) -> usize {
    Arc::strong_count(shared) - 1
}

#[test]
fn pieces_do_not_overlap() {
    let mut slab = Slab::new();
    let mut pieces: Vec<Slots> = (0..500).map(|at| slab.take(1 + at % PIECE_TERMS_MAX, 1 << 20)).collect();
    for (at, piece) in pieces.iter_mut().enumerate() {
        assert_eq!(piece.len(), 1 + at % PIECE_TERMS_MAX);
        assert!(piece.iter().all(|term| *term == FILLER));
        piece.fill_with(|| Term::from(at as u64));
    }
    drop(slab);
    for (at, piece) in pieces.iter().enumerate() {
        assert!(piece.iter().all(|term| *term == Term::from(at as u64)), "{at}");
    }
}

#[test]
fn every_term_is_dropped_once() {
    let shared = shared();
    let mut slab = Slab::new();
    let [a, b, c, d, e] = [3, 4, 5, 6, 7].map(|terms| piece(&mut slab, terms, &shared));
    assert_eq!(others(&shared), 25);
    drop(a);
    assert_eq!(others(&shared), 22);
    drop(slab);
    assert_eq!(others(&shared), 22);
    let b = b.into_vec();
    assert_eq!((b.len(), others(&shared)), (4, 22));
    let mut taken = c.into_terms();
    assert_eq!(taken.next(), Some(counted(&shared)));
    assert_eq!(others(&shared), 21);
    drop(taken);
    assert_eq!(others(&shared), 17);
    let mut releases = Releases::new();
    d.into_terms().finish(&mut releases);
    e.into_terms().finish(&mut releases);
    assert_eq!(others(&shared), 4);
    drop(b);
    assert_eq!(others(&shared), 0);
}

#[test]
fn only_the_last_piece_grows_and_only_into_room() {
    let mut slab = Slab::new();
    let mut first = slab.take(2, 1000);
    assert!(slab.lengthen(&mut first));
    assert_eq!(first.len(), 3);
    let mut second = slab.take(2, 1000);
    assert!(!slab.lengthen(&mut first));
    let mut grown = 0;
    while slab.lengthen(&mut second) {
        grown += 1;
    }
    assert_eq!((second.len(), 3 + 2 + grown), (FIRST_SLOTS - 3, FIRST_SLOTS));
    assert!(second.iter().all(|term| *term == FILLER));
    let mut own = Slots::from_vec(vec![FILLER]);
    assert!(!slab.lengthen(&mut own));
    assert!(!Slab::new().lengthen(&mut second));
}

#[test]
fn a_block_is_no_larger_than_can_be_asked_for() {
    let mut slab = Slab::new();
    for _ in 0..3 {
        let piece = slab.take(2, 1);
        assert_eq!((piece.len(), slab.slots, slab.next), (2, 3, 2));
    }
    for _ in 0..100 {
        drop(slab.take(64, usize::MAX - 64));
    }
    assert_eq!(slab.slots as usize, SLOTS_MAX);
}

#[test]
fn plain_counts_until_terms_may_change() {
    let shared = shared();
    let mut slab = Slab::new();
    let mut piece = slab.take(2, 10);
    piece.set_plain();
    assert!(piece.is_plain());
    assert_eq!(piece.len(), 2);
    piece[0] = counted(&shared);
    assert!(!piece.is_plain());
    drop(piece);
    assert_eq!(others(&shared), 0);

    let mut plain = slab.take(2, 10);
    plain.set_plain();
    plain.release_plain(&mut Releases::new());
    let mut own = Slots::from_vec(vec![FILLER; 3]);
    own.set_plain();
    own.release_plain(&mut Releases::new());
}

#[test]
fn memory_of_their_own_is_that_of_the_vector() {
    let shared = shared();
    let mut terms = Vec::with_capacity(10);
    terms.push(counted(&shared));
    let pointer = terms.as_ptr();
    let slots = Slots::from_vec(terms);
    assert_eq!(slots.len(), 1);
    let terms = slots.into_vec();
    assert_eq!((terms.as_ptr(), terms.capacity()), (pointer, 10));
    drop(Slots::from_vec(terms));
    assert_eq!(others(&shared), 0);
    assert!(Slots::new().into_vec().is_empty());
    drop(Slots::from_vec(Vec::with_capacity(5)));
}

/// The pieces of a block are given up on many threads, while it is still handed out of.
#[test]
fn pieces_go_to_other_threads() {
    let shared = shared();
    for _ in 0..200 {
        let mut slab = Slab::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                let pieces: Vec<_> = (0..20).map(|_| piece(&mut slab, 3, &shared)).collect();
                scope.spawn(move || {
                    pieces
                        .iter()
                        .flat_map(|terms| terms.iter())
                        .for_each(|term| assert!(term.as_pid().is_some()))
                });
            }
        });
        drop(slab);
        assert_eq!(others(&shared), 0);
    }
}

/// Short terms fill a block before there is another, and none shares that of a large one.
#[test]
fn terms_one_after_the_other_share_blocks() {
    let shared = shared();
    let mut slab = Slab::for_many();
    let mut pieces = Vec::new();
    for _ in 0..2 * MANY_SLOTS / 4 {
        let mut piece = slab.take(4, 0);
        piece.fill_with(|| counted(&shared));
        pieces.push(piece);
        slab.end_term();
    }
    let mut blocks: Vec<_> = pieces.iter().map(|piece| piece.memory).collect();
    blocks.dedup();
    assert_eq!(blocks.len(), 2);
    for _ in 0..10 {
        pieces.push(piece(&mut slab, PIECE_TERMS_MAX, &shared));
    }
    assert!(slab.slots > MANY_SLOTS);
    slab.end_term();
    let after = piece(&mut slab, 4, &shared);
    assert_eq!(slab.slots, MANY_SLOTS);
    assert!(pieces.iter().all(|piece| piece.memory != after.memory));
    slab.forget();
    pieces.push(after);
    assert_eq!(others(&shared), pieces.iter().map(|piece| piece.len()).sum::<usize>());
    drop(pieces);
    assert_eq!(others(&shared), 0);
    drop(piece(&mut slab, 1, &shared));
    assert_eq!(others(&shared), 0);
}
