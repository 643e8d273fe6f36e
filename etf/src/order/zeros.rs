//! `0.0` and `-0.0`: one float up to OTP 26, two from 27 on (wire.md 9).
//!
//! Everything else here has them as two. What differs before is what `=:=` says of them, and so whether they are one
//! key of a map; `==` and sorting take them as one in every release.

use std::{borrow::Cow, cmp::Ordering, mem, slice};

use crate::{
    Elements, Float, Term,
    elements::{elements, shell},
};

/// As releases before OTP 27 compare, which takes longer where there is a `-0.0` in the terms.
impl Term {
    /// `=:=` up to OTP 26, where `0.0 =:= -0.0` holds. `Eq` is that of OTP 27 and later.
    ///
    /// ```
    /// use crabnode_etf::text::parse_term;
    ///
    /// let (a, b) = (parse_term("#{0.0 => x}")?, parse_term("#{-0.0 => x}")?);
    /// assert!(a != b && a.eq_before_27(&b));
    /// assert!(!parse_term("1")?.eq_before_27(&parse_term("1.0")?));
    /// # Ok::<(), crabnode_etf::text::TextError>(())
    /// ```
    #[must_use]
    pub fn eq_before_27(&self, other: &Self) -> bool {
        self == other || self.without_negative_zeros() == other.without_negative_zeros()
    }

    /// `<` and `==` up to OTP 26, as [`Term::cmp_erlang`] is those of OTP 27 and later. They differ for maps with
    /// `0.0` or `-0.0` in keys alone.
    #[must_use]
    pub fn cmp_before_27(&self, other: &Self) -> Ordering {
        self.without_negative_zeros().cmp_erlang(&other.without_negative_zeros())
    }

    /// The term with `0.0` for every `-0.0` in it: equal to that of another exactly where OTP 26 has `=:=`. Keep
    /// terms in this form in a `HashMap` that is to tell them apart as such a node does.
    ///
    /// Of a map with both as keys, which no such node can have, the entry of `0.0` is left.
    #[must_use]
    pub fn without_negative_zeros(&self) -> Cow<'_, Self> {
        if has_negative_zero(self) { Cow::Owned(copy(self)) } else { Cow::Borrowed(self) }
    }
}

fn is_negative_zero(term: &Term) -> bool {
    matches!(term, Term::Float(float) if *float == Float::NEGATIVE_ZERO)
}

fn has_negative_zero(term: &Term) -> bool {
    let mut work = vec![slice::from_ref(term)];
    while let Some(terms) = work.pop() {
        for term in terms {
            if is_negative_zero(term) {
                return true;
            }
            work.extend(
                elements(term).filter(|elements| !elements.is_empty()).map(|elements| elements.as_slice()),
            );
        }
    }
    false
}

/// Copies without taking stack for each level.
fn copy(term: &Term) -> Term {
    let mut open: Vec<Copying<'_>> = Vec::new();
    let mut copying = Copying { of: None, rest: slice::from_ref(term).iter(), copies: Vec::new() };
    loop {
        if let Some(term) = copying.rest.next() {
            match elements(term) {
                Some(elements) => {
                    let inner = Copying { of: Some(term), rest: elements.iter(), copies: Vec::new() };
                    open.push(mem::replace(&mut copying, inner));
                }
                None if is_negative_zero(term) => copying.copies.push(Float::ZERO.into()),
                None => copying.copies.push(shell(term, Elements::new())),
            }
            continue;
        }
        let Copying { of, mut copies, .. } = copying;
        let (Some(of), Some(outer)) = (of, open.pop()) else { return copies.pop().expect("the one copied") };
        copying = outer;
        copying.copies.push(match of {
            // Other keys, another order, and perhaps one less.
            Term::Map(_) => {
                let mut copies = copies.into_iter();
                let entries = std::iter::from_fn(|| copies.next().zip(copies.next()));
                Term::Map(entries.collect())
            }
            of => shell(of, copies.into()),
        });
    }
}

struct Copying<'a> {
    /// What these are the elements of; nothing for the term that was asked for.
    of: Option<&'a Term>,
    rest: slice::Iter<'a, Term>,
    copies: Vec<Term>,
}
