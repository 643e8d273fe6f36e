//! Erlang's order of terms (wire.md 9).
//!
//! number < atom < reference < fun < port < pid < tuple < record < map < `[]` < list < bit string
//!
//! There are two orders. *Erlang's* compares numbers by value, so `1 == 1.0`; it orders terms but does not tell
//! all of them apart. The *exact* one, which Erlang has for the keys of maps, puts every integer before every
//! float and `-0.0` before `0.0`, and is equal only for what `=:=` says is equal. Comparing keeps its own stack,
//! so deep terms take heap and not stack.
//!
//! One thing has no order that all nodes share: two maps with the same number of keys, at least two and at most 32,
//! that lie in keys of maps. OTP 26 and later compare their atom keys by the node's own table of atoms there; here,
//! as up to OTP 25, it is by their text.

use std::{cmp::Ordering, slice};

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed};

use crate::{BitString, Closure, Fun, Map, Pid, Port, Record, Reference, Term};

mod zeros;

impl Term {
    /// Erlang's order: `Less` where Erlang says `<`, `Equal` where it says `==`, so also for `1` and `1.0`, and for
    /// `0.0` and `-0.0`.
    ///
    /// Sorting by it (`sort_by`, which is stable) is `lists:sort/1` of OTP 29; before, that may have terms which are
    /// `==` in another order.
    #[must_use]
    pub fn cmp_erlang(&self, other: &Self) -> Ordering {
        compare(self, other, false)
    }

    /// The order of keys in a map, in which `maps:iterator(Map, ordered)` goes through it: as Erlang's, but every
    /// integer before every float, and `-0.0` before `0.0` as in OTP 27 and later. `Equal` exactly where `Eq` says
    /// so.
    #[must_use]
    pub fn cmp_exact(&self, other: &Self) -> Ordering {
        compare(self, other, true)
    }
}

/// Erlang's order, and between terms that are `==` but not `=:=` the integer before the float and `-0.0` before
/// `0.0`: sorting gives what `lists:sort/1` may give, and `Equal` is what `Eq` says.
impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_erlang(other).then_with(|| compare_exact(self, other))
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Erlang's order: by serial, then number, then node.
impl Ord for Pid {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |pid: &Self| (pid.serial, pid.id);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.node().cmp(other.node()))
            .then_with(|| self.creation.cmp(&other.creation))
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Erlang's order: by node, then creation, then number.
impl Ord for Port {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.node(), self.creation, self.id).cmp(&(other.node(), other.creation, other.id))
    }
}

impl PartialOrd for Port {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Erlang's order: by node, then creation, then the words from the last to the first.
impl Ord for Reference {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.node(), self.creation())
            .cmp(&(other.node(), other.creation()))
            .then_with(|| self.all_words().iter().rev().cmp(other.all_words().iter().rev()))
    }
}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of map keys; `Equal` exactly where `Eq` says so.
pub(crate) fn compare_exact(a: &Term, b: &Term) -> Ordering {
    compare(a, b, true)
}

fn compare(a: &Term, b: &Term, exact: bool) -> Ordering {
    let mut comparer = Comparer { stack: Vec::new(), exact };
    let mut order = comparer.terms(a, b);
    while order == Ordering::Equal {
        let Some(work) = comparer.stack.pop() else { break };
        order = comparer.work(work);
    }
    order
}

struct Comparer<'a> {
    /// What is still to be compared once all before was equal; the last comes first.
    stack: Vec<Work<'a>>,
    /// Whether an integer and a float differ even at the same value.
    exact: bool,
}

enum Work<'a> {
    Pair(&'a Term, &'a Term),
    Terms(slice::Iter<'a, Term>, slice::Iter<'a, Term>),
    Lists(List<'a>, List<'a>),
    Keys(Entries<'a>, Entries<'a>),
    Values(Entries<'a>, Entries<'a>),
    /// The keys of a map are done; what follows is not compared exactly.
    Loosen,
}

type Entries<'a> = slice::Iter<'a, [Term; 2]>;

struct List<'a> {
    elements: slice::Iter<'a, Term>,
    /// Nothing for `[]`.
    tail: Option<&'a Term>,
}

impl<'a> Comparer<'a> {
    /// Compares two terms up to the first sub-terms that have sub-terms of their own; from there on the stack
    /// says what is left, so this never calls itself deeper than once.
    fn terms(&mut self, a: &'a Term, b: &'a Term) -> Ordering {
        match (a, b) {
            (Term::Int(a), Term::Int(b)) => a.cmp(b),
            (Term::Atom(a), Term::Atom(b)) => a.cmp(b),
            (Term::Tuple(a), Term::Tuple(b)) => {
                a.len().cmp(&b.len()).then_with(|| self.slices(a.iter(), b.iter()))
            }
            (Term::Binary(a), Term::Binary(b)) => a.as_slice().cmp(b.as_slice()),
            (Term::Pid(a), Term::Pid(b)) => a.cmp(b),
            (Term::Reference(a), Term::Reference(b)) => a.cmp(b),
            (Term::Port(a), Term::Port(b)) => a.cmp(b),
            (Term::Fun(a), Term::Fun(b)) => self.funs(a, b),
            (Term::Map(a), Term::Map(b)) => self.maps(a, b),
            (Term::Record(a), Term::Record(b)) => self.records(a, b),
            (Term::Binary(_) | Term::BitString(_), Term::Binary(_) | Term::BitString(_)) => {
                Bits::of(a).cmp(&Bits::of(b))
            }
            _ => match (rank(a), rank(b)) {
                (Rank::Number, Rank::Number) => numbers(a, b, self.exact),
                (Rank::List, Rank::List) => self.lists(List::of(a), List::of(b)),
                (a, b) => a.cmp(&b),
            },
        }
    }

    fn work(&mut self, work: Work<'a>) -> Ordering {
        match work {
            Work::Pair(a, b) => self.terms(a, b),
            Work::Terms(a, b) => self.slices(a, b),
            Work::Lists(a, b) => self.lists(a, b),
            Work::Keys(mut a, mut b) => {
                while let (Some(x), Some(y)) = (a.next(), b.next()) {
                    let depth = self.stack.len();
                    self.stack.push(Work::Keys(a.clone(), b.clone()));
                    let order = self.terms(&x[0], &y[0]);
                    if order != Ordering::Equal || self.stack.len() > depth + 1 {
                        return order;
                    }
                    self.stack.pop();
                }
                Ordering::Equal
            }
            Work::Values(mut a, mut b) => match (a.next(), b.next()) {
                (Some(x), Some(y)) => {
                    self.stack.push(Work::Values(a, b));
                    self.terms(&x[1], &y[1])
                }
                _ => Ordering::Equal,
            },
            Work::Loosen => {
                self.exact = false;
                Ordering::Equal
            }
        }
    }

    /// Compares pair by pair. A pair that has sub-terms, and the rest, it leaves for later.
    fn slices(&mut self, mut a: slice::Iter<'a, Term>, mut b: slice::Iter<'a, Term>) -> Ordering {
        while let (Some(x), Some(y)) = (a.next(), b.next()) {
            if has_sub_terms(x) {
                self.stack.push(Work::Terms(a, b));
                self.stack.push(Work::Pair(x, y));
                return Ordering::Equal;
            }
            let order = self.terms(x, y);
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    fn lists(&mut self, mut a: List<'a>, mut b: List<'a>) -> Ordering {
        loop {
            match (a.elements.next(), b.elements.next()) {
                (Some(x), Some(y)) => {
                    if has_sub_terms(x) {
                        self.stack.push(Work::Lists(a, b));
                        self.stack.push(Work::Pair(x, y));
                        return Ordering::Equal;
                    }
                    let order = self.terms(x, y);
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                // A tail against more list: as term against list.
                (None, Some(_)) => return a.tail.map_or(Rank::Nil, rank).cmp(&Rank::List),
                (Some(_), None) => return Rank::List.cmp(&b.tail.map_or(Rank::Nil, rank)),
                (None, None) => {
                    return match (a.tail, b.tail) {
                        (Some(x), Some(y)) => {
                            self.stack.push(Work::Pair(x, y));
                            Ordering::Equal
                        }
                        (x, y) => x.map_or(Rank::Nil, rank).cmp(&y.map_or(Rank::Nil, rank)),
                    };
                }
            }
        }
    }

    /// By size, then keys, then values. Keys are always compared exactly.
    fn maps(&mut self, a: &'a Map, b: &'a Map) -> Ordering {
        let size = a.len().cmp(&b.len());
        if size == Ordering::Equal {
            self.stack.push(Work::Values(a.entries().iter(), b.entries().iter()));
            if !self.exact {
                self.exact = true;
                self.stack.push(Work::Loosen);
            }
            self.stack.push(Work::Keys(a.entries().iter(), b.entries().iter()));
        }
        size
    }

    /// Local ones first. Erlang stops at the values; between funs that it takes for one unless they are
    /// identical (a module's old and new code) the rest decides.
    fn funs(&mut self, a: &'a Fun, b: &'a Fun) -> Ordering {
        match (a, b) {
            (Fun::Closure(a), Fun::Closure(b)) => {
                let key = |fun: &'a Closure| (&fun.module, fun.index, fun.old_uniq, fun.free.len());
                let identity = |fun: &'a Closure| (fun.uniq, fun.arity, fun.old_index);
                key(a)
                    .cmp(&key(b))
                    .then_with(|| identity(a).cmp(&identity(b)))
                    .then_with(|| self.slices(a.free.iter(), b.free.iter()))
            }
            (
                Fun::Export { module, function, arity },
                Fun::Export { module: module_b, function: function_b, arity: arity_b },
            ) => (module, function, arity).cmp(&(module_b, function_b, arity_b)),
            (Fun::Closure(_), Fun::Export { .. }) => Ordering::Less,
            (Fun::Export { .. }, Fun::Closure(_)) => Ordering::Greater,
        }
    }

    /// By definition, then values. OTP 29 has definitions in this order, though its documentation says nothing.
    fn records(&mut self, a: &'a Record, b: &'a Record) -> Ordering {
        (&a.module, &a.name, a.flags, a.names.len())
            .cmp(&(&b.module, &b.name, b.flags, b.names.len()))
            .then_with(|| a.names.cmp(&b.names))
            .then_with(|| {
                self.stack.push(Work::Terms(a.values.iter(), b.values.iter()));
                Ordering::Equal
            })
    }
}

impl<'a> List<'a> {
    fn of(term: &'a Term) -> Self {
        match term {
            Term::List(elements) => Self { elements: elements.iter(), tail: None },
            Term::ImproperList(list) => Self { elements: list.head().iter(), tail: Some(list.tail()) },
            other => Self { elements: [].iter(), tail: Some(other) },
        }
    }
}

/// The kinds of terms, in Erlang's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number,
    Atom,
    Reference,
    Fun,
    Port,
    Pid,
    Tuple,
    Record,
    Map,
    Nil,
    List,
    Bits,
}

fn rank(term: &Term) -> Rank {
    match term {
        Term::Int(_) | Term::BigInt(_) | Term::Float(_) => Rank::Number,
        Term::Atom(_) => Rank::Atom,
        Term::Reference(_) => Rank::Reference,
        Term::Fun(_) => Rank::Fun,
        Term::Port(_) => Rank::Port,
        Term::Pid(_) => Rank::Pid,
        Term::Tuple(_) => Rank::Tuple,
        Term::Record(_) => Rank::Record,
        Term::Map(_) => Rank::Map,
        Term::List(elements) if elements.is_empty() => Rank::Nil,
        Term::List(_) | Term::ImproperList(_) => Rank::List,
        Term::Binary(_) | Term::BitString(_) => Rank::Bits,
    }
}

fn has_sub_terms(term: &Term) -> bool {
    matches!(
        term,
        Term::Fun(_)
            | Term::Tuple(_)
            | Term::Record(_)
            | Term::Map(_)
            | Term::List(_)
            | Term::ImproperList(_)
    )
}

fn numbers(a: &Term, b: &Term, exact: bool) -> Ordering {
    match (a, b) {
        (Term::Float(a), Term::Float(b)) if exact => a.get().total_cmp(&b.get()),
        (Term::Float(a), Term::Float(b)) => a.get().partial_cmp(&b.get()).expect("a float is a number"),
        (Term::Float(_), _) if exact => Ordering::Greater,
        (_, Term::Float(_)) if exact => Ordering::Less,
        (Term::Float(a), Term::Int(b)) => int_float(*b, a.get()).reverse(),
        (Term::Float(a), Term::BigInt(b)) => big_float(b.as_bigint(), a.get()).reverse(),
        (Term::Int(a), Term::Float(b)) => int_float(*a, b.get()),
        (Term::BigInt(a), Term::Float(b)) => big_float(a.as_bigint(), b.get()),
        (Term::Int(a), Term::Int(b)) => a.cmp(b),
        // A big integer lies outside the range of the others, on the side of its sign.
        (Term::Int(_), Term::BigInt(b)) if b.as_bigint().is_negative() => Ordering::Greater,
        (Term::Int(_), _) => Ordering::Less,
        (Term::BigInt(a), Term::BigInt(b)) => a.as_bigint().cmp(b.as_bigint()),
        (Term::BigInt(a), _) if a.as_bigint().is_negative() => Ordering::Less,
        (Term::BigInt(_), _) => Ordering::Greater,
        _ => unreachable!("only numbers have this rank"),
    }
}

/// 2^63, the first float past every `i64`.
const I64_END: f64 = 9_223_372_036_854_775_808.0;

/// By value and not by conversion, which would round: 2^53 + 1 is more than the float 2^53.
fn int_float(int: i64, float: f64) -> Ordering {
    if float >= I64_END {
        return Ordering::Less;
    }
    if float < -I64_END {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range")]
    let order = int.cmp(&(whole as i64));
    order.then_with(|| whole.partial_cmp(&float).expect("a float is a number"))
}

fn big_float(big: &BigInt, float: f64) -> Ordering {
    if (-I64_END..I64_END).contains(&float) {
        return if big.is_negative() { Ordering::Less } else { Ordering::Greater };
    }
    // So large a float is whole.
    big.cmp(&BigInt::from_f64(float).expect("a float is finite"))
}

/// A binary or bit string as a string of bits.
struct Bits<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Bits<'a> {
    fn of(term: &'a Term) -> Self {
        match term {
            Term::Binary(binary) => Self { bytes: binary, len: binary.len() * 8 },
            Term::BitString(bits) => {
                let bytes = BitString::as_slice(bits);
                Self { bytes, len: bytes.len() * 8 - 8 + usize::from(bits.last_bits()) }
            }
            _ => unreachable!("only these have this rank"),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.len.min(other.len);
        let (whole, rest) = (common / 8, common % 8);
        self.bytes[..whole]
            .cmp(&other.bytes[..whole])
            .then_with(|| match rest {
                0 => Ordering::Equal,
                _ => (self.bytes[whole] >> (8 - rest)).cmp(&(other.bytes[whole] >> (8 - rest))),
            })
            .then_with(|| self.len.cmp(&other.len))
    }
}

#[cfg(test)]
mod tests;
