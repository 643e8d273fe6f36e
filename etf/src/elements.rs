//! What terms hold: other terms, however deep these lie in each other.
//!
//! All that has to be done for every term in a term is done here with a stack of its own, in the heap. A term may come
//! from a peer, and its depth is the peer's choice.

use std::{
    hash::{Hash, Hasher},
    mem,
    ops::{Deref, DerefMut},
    slice, vec,
};

use crate::{Closure, Fun, ImproperList, Map, Record, Term};

/// The terms in a tuple, a list or another term: a `Vec<Term>` that takes no stack for each level when it is dropped,
/// cloned, compared or hashed.
///
/// It is used as that `Vec`, and made of one by `into`:
///
/// ```
/// use crabnode_etf::{Elements, Term};
///
/// let mut elements = Elements::from(vec![Term::atom("a"), 1.into()]);
/// elements.push(2.into());
/// assert_eq!(Term::Tuple(elements).to_string(), "{a,1,2}");
/// ```
#[derive(Default)]
pub struct Elements(Vec<Term>);

impl Elements {
    /// No terms.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The terms.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Term> {
        let terms = mem::take(&mut self.0);
        // Nothing is left to drop.
        mem::forget(self);
        terms
    }
}

impl Drop for Elements {
    fn drop(&mut self) {
        // Terms that hold no others are left to the vector itself.
        if !self.0.iter().any(|term| elements(term).is_some()) {
            return;
        }
        let mut deep = Vec::new();
        drop_all(mem::take(&mut self.0), RECURSION_LEVELS, &mut deep);
        while let Some(terms) = deep.pop() {
            drop_all(terms, RECURSION_LEVELS, &mut deep);
        }
    }
}

/// How many levels are dropped and copied by recursion, which is faster. They take some 20 KiB of stack in an
/// unoptimised build.
const RECURSION_LEVELS: usize = 32;

/// Drops terms and what lies in them, but for what lies deeper than so many levels.
fn drop_all(terms: Vec<Term>, levels: usize, deep: &mut Vec<Vec<Term>>) {
    for term in terms {
        let inner = match term {
            Term::Tuple(elements) | Term::List(elements) => elements.into_vec(),
            Term::Int(_) | Term::Float(_) => continue,
            // Each by itself, which is inlined: what drops any term is not.
            Term::Atom(atom) => {
                drop(atom);
                continue;
            }
            Term::Binary(binary) => {
                drop(binary);
                continue;
            }
            Term::Pid(pid) => {
                drop(pid);
                continue;
            }
            Term::Map(map) => map.into_elements().into_vec(),
            Term::ImproperList(list) => list.into_elements().into_vec(),
            Term::Record(record) => record.values.into_vec(),
            Term::Fun(fun) => match *fun {
                Fun::Closure(closure) => closure.free.into_vec(),
                Fun::Export { .. } => continue,
            },
            Term::BigInt(_) | Term::Reference(_) | Term::Port(_) | Term::BitString(_) => continue,
        };
        if inner.is_empty() {
            continue;
        }
        if levels == 0 {
            deep.push(inner);
        } else {
            drop_all(inner, levels - 1, deep);
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
    Elements(copies)
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
                copying.copies.push(shell(of, Elements(copies)));
            }
            _ => return Elements(copies),
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
    type Target = Vec<Term>;
    fn deref(&self) -> &Vec<Term> {
        &self.0
    }
}

impl DerefMut for Elements {
    fn deref_mut(&mut self) -> &mut Vec<Term> {
        &mut self.0
    }
}

impl From<Vec<Term>> for Elements {
    fn from(terms: Vec<Term>) -> Self {
        Self(terms)
    }
}

impl<const N: usize> From<[Term; N]> for Elements {
    fn from(terms: [Term; N]) -> Self {
        Self(Vec::from(terms))
    }
}

impl From<&[Term]> for Elements {
    fn from(terms: &[Term]) -> Self {
        Self(terms.to_vec())
    }
}

/// So many terms, or the elements back if they are more or fewer.
impl<const N: usize> TryFrom<Elements> for [Term; N] {
    type Error = Elements;
    fn try_from(elements: Elements) -> Result<Self, Elements> {
        elements.into_vec().try_into().map_err(Elements)
    }
}

impl From<Elements> for Vec<Term> {
    fn from(elements: Elements) -> Self {
        elements.into_vec()
    }
}

impl FromIterator<Term> for Elements {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        Self(terms.into_iter().collect())
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
        self.0.iter()
    }
}

impl std::fmt::Debug for Elements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
