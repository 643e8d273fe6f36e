//! What terms hold: other terms, however deep these lie in each other.
//!
//! All that has to be done for every term in a term is done here with a stack of its own, in the heap. A term may come
//! from a peer, and its depth is the peer's choice.

use std::{
    array,
    hash::{Hash, Hasher},
    mem,
    ops::{Deref, DerefMut},
    slice, vec,
};

use crate::{
    Closure, Fun, ImproperList, Map, Record, Term,
    slab::{FILLER, PIECE_TERMS_MAX, Releases, Slab, Slots},
};

/// The terms in a tuple, a list or another term: a slice that can be changed and grow, and that takes no stack for each
/// level when it is dropped, cloned, compared or hashed.
///
/// It is made of an array or a `Vec` by `into`, and becomes a `Vec` by [`Elements::into_vec`]:
///
/// ```
/// use crabnode_etf::{Elements, Term};
///
/// let mut elements = Elements::from(vec![Term::atom("a"), 1.into()]);
/// elements.push(2.into());
/// elements[1] = 3.into();
/// assert_eq!(Term::Tuple(elements).to_string(), "{a,3,2}");
/// ```
///
/// A decoded term with few elements shares its memory, in blocks of at most 32 KiB, with others of the same message; and
/// a short one that came by a [`Decoder`](crate::Decoder), in blocks of 4 KiB, with those that came before and after. One
/// that is kept for long keeps its block; a clone of it does not.
pub struct Elements(Slots);

impl Elements {
    /// No terms.
    #[must_use]
    pub const fn new() -> Self {
        Self(Slots::new())
    }

    /// So many terms, to be replaced by others; not many more than `terms_left` will be asked for after them.
    #[inline]
    pub(crate) fn fillers(slab: &mut Slab, terms: usize, terms_left: usize) -> Self {
        if terms == 0 || terms > PIECE_TERMS_MAX {
            return Self::own_fillers(terms);
        }
        Self(slab.take(terms, terms_left))
    }

    #[inline(never)]
    fn own_fillers(terms: usize) -> Self {
        (0..terms).map(|_| FILLER).collect()
    }

    /// Adds terms to be replaced by others.
    pub(crate) fn add_fillers(&mut self, slab: &mut Slab, terms: usize) {
        if terms != 1 || !slab.lengthen(&mut self.0) {
            self.with_vec(|all| all.resize_with(all.len() + terms, || FILLER));
        }
    }

    /// Says that none of them needs dropping, which counts until they may be changed.
    #[inline]
    pub(crate) fn set_plain(&mut self) {
        self.0.set_plain();
    }

    /// The terms.
    #[must_use]
    pub fn as_slice(&self) -> &[Term] {
        self
    }

    /// Adds a term at the end.
    pub fn push(&mut self, term: Term) {
        self.with_vec(|all| all.push(term));
    }

    /// Takes the last term.
    pub fn pop(&mut self) -> Option<Term> {
        self.with_vec(Vec::pop)
    }

    /// Puts a term in front of the one at `at`, or at the end.
    ///
    /// # Panics
    /// When `at` is past the end.
    pub fn insert(&mut self, at: usize, term: Term) {
        self.with_vec(|all| all.insert(at, term));
    }

    /// Takes the term at `at`; those after it move up.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&mut self, at: usize) -> Term {
        self.with_vec(|all| all.remove(at))
    }

    /// Drops the terms of which `keep` says no.
    pub fn retain(&mut self, keep: impl FnMut(&Term) -> bool) {
        self.with_vec(|all| all.retain(keep));
    }

    fn with_vec<T>(&mut self, change: impl FnOnce(&mut Vec<Term>) -> T) -> T {
        let mut all = mem::take(self).into_vec();
        let result = change(&mut all);
        *self = all.into();
        result
    }

    /// The terms, which are moved if they share their memory.
    #[must_use]
    pub fn into_vec(self) -> Vec<Term> {
        self.into_slots().into_vec()
    }

    #[inline]
    fn into_slots(mut self) -> Slots {
        let slots = mem::replace(&mut self.0, Slots::new());
        // Nothing is left to drop.
        mem::forget(self);
        slots
    }
}

impl Default for Elements {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Elements {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_plain() && !self.0.is_empty() {
            self.drop_terms();
        }
    }
}

impl Elements {
    #[inline(never)]
    fn drop_terms(&mut self) {
        let mut deep = Deep { later: Vec::new(), releases: Releases::new() };
        deep.drop_all(mem::replace(&mut self.0, Slots::new()), RECURSION_LEVELS);
        while let Some(terms) = deep.later.pop() {
            deep.drop_all(terms, RECURSION_LEVELS);
        }
    }
}

/// How many levels are dropped and copied by recursion, which is faster. They take some 20 KiB of stack in an
/// unoptimised build.
const RECURSION_LEVELS: usize = 32;

struct Deep {
    /// What lies deeper.
    later: Vec<Slots>,
    releases: Releases,
}

impl Deep {
    /// Drops terms and what lies in them, but for what lies deeper than so many levels.
    fn drop_all(&mut self, terms: Slots, levels: usize) {
        let mut terms = terms.into_terms();
        for term in terms.by_ref() {
            self.drop_term(term, levels);
        }
        terms.finish(&mut self.releases);
    }

    #[inline(always)]
    fn drop_term(&mut self, term: Term, levels: usize) {
        let inner = match term {
            Term::Tuple(elements) | Term::List(elements) => elements,
            Term::Int(_) | Term::Float(_) => return,
            // Each by itself, which is inlined: what drops any term is not.
            Term::Atom(atom) => {
                drop(atom);
                return;
            }
            Term::Binary(binary) => {
                drop(binary);
                return;
            }
            Term::Pid(pid) => {
                drop(pid);
                return;
            }
            Term::Map(map) => map.into_elements(),
            Term::ImproperList(list) => list.into_elements(),
            Term::Record(record) => record.values,
            Term::Fun(fun) => match *fun {
                Fun::Closure(closure) => closure.free,
                Fun::Export { .. } => return,
            },
            Term::BigInt(_) | Term::Reference(_) | Term::Port(_) | Term::BitString(_) => return,
        };
        let inner = inner.into_slots();
        if inner.is_plain() {
            inner.release_plain(&mut self.releases);
            return;
        }
        if inner.is_empty() {
            return;
        }
        if levels == 0 {
            self.later.push(inner);
        } else {
            self.drop_all(inner, levels - 1);
        }
    }
}

impl Clone for Elements {
    fn clone(&self) -> Self {
        copy_all(self, RECURSION_LEVELS)
    }
}

fn copy_all(terms: &Elements, levels: usize) -> Elements {
    if levels == 0 {
        return copy_deep(terms);
    }
    let mut copies = Vec::with_capacity(terms.len());
    for term in terms {
        copies.push(match term {
            Term::Tuple(elements) => Term::Tuple(copy_all(elements, levels - 1)),
            Term::List(elements) => Term::List(copy_all(elements, levels - 1)),
            Term::Map(map) => Term::Map(Map::from_elements(copy_all(map.elements(), levels - 1))),
            term => {
                let inner = elements(term).map(|inner| copy_all(inner, levels - 1));
                shell(term, inner.unwrap_or_default())
            }
        });
    }
    copies.into()
}

/// The same without taking stack for each level.
fn copy_deep(terms: &Elements) -> Elements {
    let mut open: Vec<Copying<'_>> = Vec::new();
    let mut copying = Copying::new(None, terms);
    loop {
        // Terms without others in them, one after the other.
        let next = copying.rest.find(|&term| {
            let is_flat = !has_elements(term);
            if is_flat {
                copying.copies.push(shell(term, Elements::new()));
            }
            !is_flat
        });
        if let Some(term) = next {
            let elements = elements(term).expect("it has some");
            open.push(mem::replace(&mut copying, Copying::new(Some(term), elements)));
            continue;
        }
        let Copying { of, copies, .. } = copying;
        match (of, open.pop()) {
            (Some(of), Some(outer)) => {
                copying = outer;
                copying.copies.push(shell(of, copies.into()));
            }
            _ => return copies.into(),
        }
    }
}

/// Elements that are copied.
struct Copying<'a> {
    /// What they are the elements of; nothing for those that were asked for.
    of: Option<&'a Term>,
    rest: slice::Iter<'a, Term>,
    copies: Vec<Term>,
}

impl<'a> Copying<'a> {
    fn new(of: Option<&'a Term>, elements: &'a Elements) -> Self {
        Self { of, rest: elements.iter(), copies: Vec::with_capacity(elements.len()) }
    }
}

impl PartialEq for Elements {
    fn eq(&self, other: &Self) -> bool {
        let mut work = Vec::new();
        let mut next = Some((self, other));
        while let Some((a, b)) = next {
            if a.len() != b.len() {
                return false;
            }
            for (a, b) in a.iter().zip(b.iter()) {
                match (elements(a), elements(b)) {
                    (Some(inner_a), Some(inner_b)) => {
                        if !is_same_shell(a, b) {
                            return false;
                        }
                        if !inner_a.is_empty() || !inner_b.is_empty() {
                            work.push((inner_a, inner_b));
                        }
                    }
                    (None, None) if a == b => {}
                    _ => return false,
                }
            }
            next = work.pop();
        }
        true
    }
}

impl Eq for Elements {}

impl Hash for Elements {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut work = Vec::new();
        let mut next = Some(self);
        while let Some(terms) = next {
            terms.len().hash(state);
            for term in terms.iter() {
                match elements(term) {
                    Some(inner) => {
                        hash_shell(term, state);
                        work.push(inner);
                    }
                    None => term.hash(state),
                }
            }
            next = work.pop();
        }
    }
}

/// What a term holds, if it is of a kind that holds others.
pub(crate) fn elements(term: &Term) -> Option<&Elements> {
    match term {
        Term::Tuple(elements) | Term::List(elements) => Some(elements),
        Term::ImproperList(list) => Some(list.elements()),
        Term::Map(map) => Some(map.elements()),
        Term::Record(record) => Some(&record.values),
        Term::Fun(fun) => match &**fun {
            Fun::Closure(closure) => Some(&closure.free),
            Fun::Export { .. } => None,
        },
        Term::Int(_)
        | Term::BigInt(_)
        | Term::Float(_)
        | Term::Atom(_)
        | Term::Reference(_)
        | Term::Port(_)
        | Term::Pid(_)
        | Term::Binary(_)
        | Term::BitString(_) => None,
    }
}

fn has_elements(term: &Term) -> bool {
    elements(term).is_some_and(|elements| !elements.is_empty())
}

/// The same term with other elements in it.
pub(crate) fn shell(of: &Term, elements: Elements) -> Term {
    match of {
        Term::Tuple(_) => Term::Tuple(elements),
        Term::List(_) => Term::List(elements),
        Term::ImproperList(_) => Term::ImproperList(ImproperList::from_elements(elements)),
        Term::Map(_) => Term::Map(Map::from_elements(elements)),
        Term::Record(record) => Term::Record(Box::new(Record {
            flags: record.flags,
            module: record.module.clone(),
            name: record.name.clone(),
            names: record.names.clone(),
            values: elements,
        })),
        Term::Fun(fun) => Term::Fun(Box::new(match &**fun {
            Fun::Closure(closure) => Fun::Closure(closure_over(closure, elements)),
            Fun::Export { module, function, arity } => {
                Fun::Export { module: module.clone(), function: function.clone(), arity: *arity }
            }
        })),
        Term::Int(int) => Term::Int(*int),
        Term::BigInt(big) => Term::BigInt(big.clone()),
        Term::Float(float) => Term::Float(*float),
        Term::Atom(atom) => Term::Atom(atom.clone()),
        Term::Reference(reference) => Term::Reference(reference.clone()),
        Term::Port(port) => Term::Port(port.clone()),
        Term::Pid(pid) => Term::Pid(pid.clone()),
        Term::Binary(binary) => Term::Binary(binary.clone()),
        Term::BitString(bits) => Term::BitString(bits.clone()),
    }
}

fn closure_over(closure: &Closure, free: Elements) -> Closure {
    let Closure { arity, uniq, index, old_index, old_uniq, .. } = *closure;
    let (module, creator) = (closure.module.clone(), closure.creator.clone());
    Closure { arity, uniq, index, module, old_index, old_uniq, creator, free }
}

/// Whether two terms that hold others are equal if these are.
fn is_same_shell(a: &Term, b: &Term) -> bool {
    match (a, b) {
        (Term::Record(a), Term::Record(b)) => a.definition() == b.definition(),
        (Term::Fun(a), Term::Fun(b)) => match (&**a, &**b) {
            (Fun::Closure(a), Fun::Closure(b)) => a.code() == b.code(),
            _ => false,
        },
        _ => mem::discriminant(a) == mem::discriminant(b),
    }
}

fn hash_shell(term: &Term, state: &mut impl Hasher) {
    mem::discriminant(term).hash(state);
    match term {
        Term::Record(record) => record.definition().hash(state),
        Term::Fun(fun) => {
            if let Fun::Closure(closure) = &**fun {
                closure.code().hash(state);
            }
        }
        _ => {}
    }
}

impl Deref for Elements {
    type Target = [Term];

    #[inline]
    fn deref(&self) -> &[Term] {
        &self.0
    }
}

impl DerefMut for Elements {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Term] {
        &mut self.0
    }
}

impl From<Vec<Term>> for Elements {
    fn from(terms: Vec<Term>) -> Self {
        Self(Slots::from_vec(terms))
    }
}

impl<const N: usize> From<[Term; N]> for Elements {
    fn from(terms: [Term; N]) -> Self {
        Vec::from(terms).into()
    }
}

impl From<&[Term]> for Elements {
    fn from(terms: &[Term]) -> Self {
        terms.to_vec().into()
    }
}

/// So many terms, or the elements back if they are more or fewer.
impl<const N: usize> TryFrom<Elements> for [Term; N] {
    type Error = Elements;
    fn try_from(elements: Elements) -> Result<Self, Elements> {
        if elements.len() != N {
            return Err(elements);
        }
        let mut terms = elements.into_slots().into_terms();
        Ok(array::from_fn(|_| terms.next().expect("there are as many")))
    }
}

impl From<Elements> for Vec<Term> {
    fn from(elements: Elements) -> Self {
        elements.into_vec()
    }
}

impl FromIterator<Term> for Elements {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        terms.into_iter().collect::<Vec<_>>().into()
    }
}

impl Extend<Term> for Elements {
    fn extend<I: IntoIterator<Item = Term>>(&mut self, terms: I) {
        self.with_vec(|all| all.extend(terms));
    }
}

impl IntoIterator for Elements {
    type Item = Term;
    type IntoIter = vec::IntoIter<Term>;
    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<'a> IntoIterator for &'a Elements {
    type Item = &'a Term;
    type IntoIter = slice::Iter<'a, Term>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Elements {
    type Item = &'a mut Term;
    type IntoIter = slice::IterMut<'a, Term>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl std::fmt::Debug for Elements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
