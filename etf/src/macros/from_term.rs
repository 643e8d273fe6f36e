//! Rust types that patterns bind.

use num_traits::ToPrimitive;

use crate::{Atom, BigInt, Binary, BitString, Fun, Map, Pid, Port, Record, Reference, Term};

/// A type that a pattern of [`match_term!`](crate::match_term) can bind: `(name: Type)`.
///
/// | type | takes |
/// |---|---|
/// | integers, [`BigInt`] | an integer in the type's range |
/// | `f64` | a float |
/// | `bool` | `true`, `false` |
/// | `&str` | a binary of UTF-8 |
/// | `String` | a binary of UTF-8, a charlist |
/// | `&[u8]` | a binary |
/// | `&[Term]`, `Vec<Term>` | a proper list |
/// | [`Atom`], [`Pid`], [`Map`] and other kinds of terms, and references to them | that kind |
/// | [`Term`], `&Term` | any term |
/// | `Option` | `nil` and `undefined` as `None`, else what the type in it takes |
///
/// Whole structs and enums are what the module `serde` is for.
pub trait FromTerm<'a>: Sized {
    /// The value that a term stands for, if it is one of this type.
    fn from_term(term: &'a Term) -> Option<Self>;

    /// The value that a list's tail stands for: the elements that are left of it, and what follows them in an
    /// improper list.
    fn from_tail(elements: &'a [Term], end: Option<&'a Term>) -> Option<Self> {
        match (elements, end) {
            ([], Some(end)) => Self::from_term(end),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($int:ident $to:ident)*) => {$(
        impl FromTerm<'_> for $int {
            fn from_term(term: &Term) -> Option<Self> {
                match term {
                    Term::Int(int) => Self::try_from(*int).ok(),
                    Term::BigInt(big) => big.as_bigint().$to(),
                    _ => None,
                }
            }
        }
    )*};
}
integers! {
    i8 to_i8 i16 to_i16 i32 to_i32 i64 to_i64 i128 to_i128 isize to_isize
    u8 to_u8 u16 to_u16 u32 to_u32 u64 to_u64 u128 to_u128 usize to_usize
}

macro_rules! kinds {
    ($($kind:ty: $pattern:pat => $value:expr;)*) => {$(
        impl<'a> FromTerm<'a> for &'a $kind {
            fn from_term(term: &'a Term) -> Option<Self> {
                match term {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        }

        impl<'a> FromTerm<'a> for $kind {
            fn from_term(term: &'a Term) -> Option<Self> {
                <&'a $kind>::from_term(term).cloned()
            }
        }
    )*};
}
kinds! {
    Atom: Term::Atom(atom) => atom;
    Binary: Term::Binary(binary) => binary;
    BitString: Term::BitString(bits) => bits;
    Fun: Term::Fun(fun) => fun;
    Map: Term::Map(map) => map;
    Pid: Term::Pid(pid) => pid;
    Port: Term::Port(port) => port;
    Record: Term::Record(record) => record;
    Reference: Term::Reference(reference) => reference;
}

impl FromTerm<'_> for BigInt {
    fn from_term(term: &Term) -> Option<Self> {
        match term {
            Term::Int(int) => Some((*int).into()),
            Term::BigInt(big) => Some(big.as_bigint().clone()),
            _ => None,
        }
    }
}

impl FromTerm<'_> for f64 {
    fn from_term(term: &Term) -> Option<Self> {
        if let Term::Float(float) = term { Some(float.get()) } else { None }
    }
}

impl FromTerm<'_> for bool {
    fn from_term(term: &Term) -> Option<Self> {
        term.as_bool()
    }
}

impl<'a> FromTerm<'a> for &'a str {
    fn from_term(term: &'a Term) -> Option<Self> {
        term.as_binary()?.as_utf8()
    }
}

impl FromTerm<'_> for String {
    fn from_term(term: &Term) -> Option<Self> {
        term.as_text()
    }
}

impl<'a> FromTerm<'a> for &'a [u8] {
    fn from_term(term: &'a Term) -> Option<Self> {
        term.as_binary().map(Binary::as_slice)
    }
}

impl<'a> FromTerm<'a> for &'a [Term] {
    fn from_term(term: &'a Term) -> Option<Self> {
        term.as_list()
    }

    fn from_tail(elements: &'a [Term], end: Option<&'a Term>) -> Option<Self> {
        if end.is_none() { Some(elements) } else { None }
    }
}

impl<'a> FromTerm<'a> for Vec<Term> {
    fn from_term(term: &'a Term) -> Option<Self> {
        term.as_list().map(<[Term]>::to_vec)
    }

    fn from_tail(elements: &'a [Term], end: Option<&'a Term>) -> Option<Self> {
        <&[Term]>::from_tail(elements, end).map(<[Term]>::to_vec)
    }
}

impl<'a> FromTerm<'a> for &'a Term {
    fn from_term(term: &'a Term) -> Option<Self> {
        Some(term)
    }
}

impl<'a> FromTerm<'a> for Term {
    fn from_term(term: &'a Term) -> Option<Self> {
        Some(term.clone())
    }

    fn from_tail(elements: &'a [Term], end: Option<&'a Term>) -> Option<Self> {
        Some(Self::list_with_tail(elements.to_vec(), end.map_or(Self::NIL, Self::clone)))
    }
}

impl<'a, T: FromTerm<'a>> FromTerm<'a> for Option<T> {
    fn from_term(term: &'a Term) -> Option<Self> {
        if term.is_atom("nil") || term.is_atom("undefined") {
            return Some(None);
        }
        T::from_term(term).map(Some)
    }
}

/// What is left of a tuple or list that is matched from its start.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    elements: &'a [Term],
    /// What follows the elements in an improper list.
    end: Option<&'a Term>,
}

impl<'a> Cells<'a> {
    /// All of a tuple.
    #[must_use]
    pub fn of_tuple(elements: &'a [Term]) -> Self {
        Self { elements, end: None }
    }

    /// All of a list, proper or not.
    #[must_use]
    pub fn of_list(term: &'a Term) -> Option<Self> {
        match term {
            Term::List(elements) => Some(Self { elements, end: None }),
            Term::ImproperList(list) => Some(Self { elements: list.head(), end: Some(list.tail()) }),
            _ => None,
        }
    }

    /// The next element, and what is left then.
    #[must_use]
    pub fn split_first(self) -> Option<(&'a Term, Self)> {
        let (first, elements) = self.elements.split_first()?;
        Some((first, Self { elements, ..self }))
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_end(self) -> bool {
        self.elements.is_empty() && self.end.is_none()
    }

    /// The elements that are left of a proper list.
    #[must_use]
    pub fn proper(self) -> Option<&'a [Term]> {
        self.tail()
    }

    /// What follows the last element of an improper list, if that is all that is left.
    #[must_use]
    pub fn improper(self) -> Option<&'a Term> {
        self.tail()
    }

    /// What is left, as a value.
    #[must_use]
    pub fn tail<T: FromTerm<'a>>(self) -> Option<T> {
        T::from_tail(self.elements, self.end)
    }
}
