//! The term.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{Atom, Binary, BitString, Elements, Map, Pid, Port, Reference};

/// An Erlang term.
///
/// `Eq` and `Hash` are Erlang's exact equality (`=:=`, as OTP 27 and later have it: `0.0` and `-0.0` differ), and
/// `Ord` is its order of terms. [`Term::cmp_erlang`] is `==` and `<`, [`Term::cmp_exact`] the order of keys in a map,
/// and [`Term::eq_before_27`] is `=:=` of older releases.
///
/// Nothing that is done with a term takes more stack the deeper it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not.
    BigInt(Big),
    /// A float.
    Float(Float),
    /// An atom.
    Atom(Atom),
    /// A reference.
    Reference(Reference),
    /// A fun.
    Fun(Box<Fun>),
    /// A port.
    Port(Port),
    /// A process identifier.
    Pid(Pid),
    /// A tuple.
    Tuple(Elements),
    /// A native record of OTP 29.
    Record(Box<Record>),
    /// A map.
    Map(Map),
    /// A proper list; `[]` is the empty one. A charlist is a list of integers.
    List(Elements),
    /// A list whose tail is no list.
    ImproperList(ImproperList),
    /// A binary; Elixir's strings are these.
    Binary(Binary),
    /// A bit string that is not a whole number of bytes.
    BitString(Box<BitString>),
}

/// An integer outside the range of `i64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Big(Box<BigInt>);

impl Big {
    /// The value.
    #[must_use]
    pub fn as_bigint(&self) -> &BigInt {
        &self.0
    }
}

/// A finite float. Equality is by bits, so `0.0` and `-0.0` differ.
#[derive(Debug, Clone, Copy)]
pub struct Float(f64);

impl Float {
    pub(crate) const ZERO: Self = Self(0.0);
    pub(crate) const NEGATIVE_ZERO: Self = Self(-0.0);

    /// The float, or nothing for an infinity or not-a-number, which Erlang does not have.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A list whose tail is not a list, such as the call tag `[alias|Ref]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImproperList {
    /// The elements, at least one, and then the tail.
    flat: Elements,
}

impl ImproperList {
    /// The elements before the tail; never none.
    #[must_use]
    pub fn head(&self) -> &[Term] {
        &self.flat[..self.flat.len() - 1]
    }

    /// The tail; never a list.
    #[must_use]
    pub fn tail(&self) -> &Term {
        self.flat.last().expect("it has a tail")
    }

    /// The elements and then the tail.
    pub(crate) fn as_flat(&self) -> &[Term] {
        &self.flat
    }

    pub(crate) fn elements(&self) -> &Elements {
        &self.flat
    }

    pub(crate) fn into_elements(self) -> Elements {
        self.flat
    }

    /// Those of another improper list.
    pub(crate) fn from_elements(flat: Elements) -> Self {
        Self { flat }
    }

    /// Both, to build on.
    #[must_use]
    pub fn into_parts(mut self) -> (Vec<Term>, Term) {
        let tail = self.flat.pop().expect("it has a tail");
        (self.flat.into_vec(), tail)
    }
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fun {
    /// `fun M:F/A`.
    Export {
        /// The module.
        module: Atom,
        /// The function.
        function: Atom,
        /// How many arguments it takes.
        arity: u8,
    },
    /// A closure: opaque here, and given back as it came (wire.md 8, tag 112).
    Closure(Closure),
}

/// A closure made on a BEAM node.
///
/// As for the BEAM, its creator is no part of its identity: the same fun made by two processes is equal.
#[derive(Debug, Clone)]
pub struct Closure {
    /// How many arguments it takes.
    pub arity: u8,
    /// The MD5 of its module's code.
    pub uniq: [u8; 16],
    /// Its number in the module.
    pub index: u32,
    /// The module.
    pub module: Atom,
    /// Its number in the module, as older releases count.
    pub old_index: i32,
    /// The hash of its parse tree.
    pub old_uniq: i32,
    /// The process that made it.
    pub creator: Pid,
    /// The values that it closes over; at most 255.
    pub free: Elements,
}

impl Closure {
    /// Its identity, but for the values.
    pub(crate) fn code(&self) -> impl Eq + Hash {
        (&self.module, self.index, self.old_index, self.old_uniq, &self.uniq, self.arity)
    }
}

impl PartialEq for Closure {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code() && self.free == other.free
    }
}

impl Eq for Closure {}

impl Hash for Closure {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code().hash(state);
        self.free.hash(state);
    }
}

/// A native record (OTP 29, wire.md 8, tag 67).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whether the definition is exported.
    pub flags: u8,
    /// The module that defines it.
    pub module: Atom,
    /// The record's name.
    pub name: Atom,
    /// The names of its fields, in the order of the definition.
    pub(crate) names: Vec<Atom>,
    /// As many values.
    pub(crate) values: Elements,
}

impl Record {
    /// A record with its fields, in the order of the definition.
    pub fn new(
        flags: u8,
        module: impl Into<Atom>,
        name: impl Into<Atom>,
        fields: impl IntoIterator<Item = (Atom, Term)>,
    ) -> Self {
        let (names, values): (Vec<Atom>, Vec<Term>) = fields.into_iter().unzip();
        Self { flags, module: module.into(), name: name.into(), names, values: values.into() }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Term> {
        self.fields().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    /// The fields, in the order of the definition.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&Atom, &Term)> + DoubleEndedIterator {
        self.names.iter().zip(&self.values)
    }

    /// The fields, to build on.
    pub fn into_fields(self) -> impl ExactSizeIterator<Item = (Atom, Term)> + DoubleEndedIterator {
        self.names.into_iter().zip(self.values)
    }

    /// All but the values.
    pub(crate) fn definition(&self) -> impl Eq + Hash {
        (self.flags, &self.module, &self.name, &self.names)
    }
}

impl Term {
    /// The empty list.
    pub const NIL: Self = Self::List(Elements::new());

    /// An atom of a text in the program itself.
    #[must_use]
    pub const fn atom(text: &'static str) -> Self {
        Self::Atom(Atom::from_static(text))
    }

    /// A tuple, of an array or a `Vec`.
    pub fn tuple(elements: impl Into<Elements>) -> Self {
        Self::Tuple(elements.into())
    }

    /// A proper list, of an array or a `Vec`.
    pub fn list(elements: impl Into<Elements>) -> Self {
        Self::List(elements.into())
    }

    /// A binary.
    pub fn binary(bytes: impl Into<Binary>) -> Self {
        Self::Binary(bytes.into())
    }

    /// A charlist: the list of the text's code points.
    #[must_use]
    pub fn charlist(text: &str) -> Self {
        Self::List(text.chars().map(|c| Self::Int(i64::from(u32::from(c)))).collect())
    }

    /// A list with a tail: `[head... | tail]`, proper when the tail is a list.
    #[must_use]
    pub fn list_with_tail(mut head: Vec<Term>, tail: Term) -> Self {
        if head.is_empty() {
            return tail;
        }
        match tail {
            Self::List(rest) => {
                head.extend(rest);
                Self::list(head)
            }
            Self::ImproperList(rest) => {
                head.extend(rest.flat);
                Self::ImproperList(ImproperList { flat: head.into() })
            }
            tail => {
                head.push(tail);
                Self::ImproperList(ImproperList { flat: head.into() })
            }
        }
    }

    /// The external fun `fun Module:Function/Arity`.
    #[must_use]
    pub fn export(module: &'static str, function: &'static str, arity: u8) -> Self {
        Self::Fun(Box::new(Fun::Export {
            module: Atom::from_static(module),
            function: Atom::from_static(function),
            arity,
        }))
    }

    /// The atom, if it is one.
    #[must_use]
    pub fn as_atom(&self) -> Option<&Atom> {
        if let Self::Atom(atom) = self { Some(atom) } else { None }
    }

    /// Whether it is this atom.
    #[must_use]
    pub fn is_atom(&self, text: &str) -> bool {
        self.as_atom().is_some_and(|atom| atom.as_str() == text)
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(int) = self { Some(*int) } else { None }
    }

    /// The integer as a `u64`, if it is one that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(int) => u64::try_from(*int).ok(),
            Self::BigInt(big) => big.as_bigint().to_u64(),
            _ => None,
        }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_atom()?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The pid, if it is one.
    #[must_use]
    pub fn as_pid(&self) -> Option<&Pid> {
        if let Self::Pid(pid) = self { Some(pid) } else { None }
    }

    /// The reference, if it is one.
    #[must_use]
    pub fn as_reference(&self) -> Option<&Reference> {
        if let Self::Reference(reference) = self { Some(reference) } else { None }
    }

    /// A tuple's elements, for slice patterns: `if let Some([tag, pid]) = term.as_tuple()`.
    #[must_use]
    pub fn as_tuple(&self) -> Option<&[Term]> {
        if let Self::Tuple(elements) = self { Some(elements) } else { None }
    }

    /// A proper list's elements.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Term]> {
        if let Self::List(elements) = self { Some(elements) } else { None }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The binary, if it is one.
    #[must_use]
    pub fn as_binary(&self) -> Option<&Binary> {
        if let Self::Binary(binary) = self { Some(binary) } else { None }
    }

    /// A charlist or a UTF-8 binary as text: what Erlang calls chardata, without nesting.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Binary(binary) => binary.as_utf8().map(str::to_owned),
            Self::List(elements) => {
                elements.iter().map(|e| char::from_u32(u32::try_from(e.as_int()?).ok()?)).collect()
            }
            _ => None,
        }
    }
}

impl From<BigInt> for Term {
    fn from(value: BigInt) -> Self {
        match value.to_i64() {
            Some(int) => Self::Int(int),
            None => Self::BigInt(Big(Box::new(value))),
        }
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Term {
            fn from(value: $int) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )*};
}
from_int!(i8, u8, i16, u16, i32, u32, i64);

impl From<u64> for Term {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| BigInt::from(value).into(), Self::Int)
    }
}

impl From<usize> for Term {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl From<bool> for Term {
    fn from(value: bool) -> Self {
        Self::atom(if value { "true" } else { "false" })
    }
}

macro_rules! from_part {
    ($($variant:ident($part:ty)),*) => {$(
        impl From<$part> for Term {
            fn from(value: $part) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
from_part!(
    Float(Float),
    Atom(Atom),
    Reference(Reference),
    Port(Port),
    Pid(Pid),
    Map(Map),
    List(Elements),
    Binary(Binary)
);

/// A proper list.
impl From<Vec<Term>> for Term {
    fn from(elements: Vec<Term>) -> Self {
        Self::list(elements)
    }
}

impl From<&Atom> for Term {
    fn from(value: &Atom) -> Self {
        Self::Atom(value.clone())
    }
}

impl From<&Pid> for Term {
    fn from(value: &Pid) -> Self {
        Self::Pid(value.clone())
    }
}

impl From<&Reference> for Term {
    fn from(value: &Reference) -> Self {
        Self::Reference(value.clone())
    }
}

impl From<Bytes> for Term {
    fn from(value: Bytes) -> Self {
        Self::Binary(value.into())
    }
}

impl From<Fun> for Term {
    fn from(value: Fun) -> Self {
        Self::Fun(Box::new(value))
    }
}

impl From<BitString> for Term {
    fn from(value: BitString) -> Self {
        Self::BitString(Box::new(value))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tuple of anything that becomes a term: `tuple!(atom "ok", pid, 5)` reads like `{ok, Pid, 5}`.
///
/// A bare word after `atom` may be any string literal; every other element goes through `Term::from`.
#[macro_export]
macro_rules! tuple {
    (@one [$($done:expr),*]) => { $crate::Term::tuple(vec![$($done),*]) };
    (@one [$($done:expr),*] atom $a:literal $(, $($rest:tt)*)?) => {
        $crate::tuple!(@one [$($done,)* $crate::Term::atom($a)] $($($rest)*)?)
    };
    (@one [$($done:expr),*] $e:expr $(, $($rest:tt)*)?) => {
        $crate::tuple!(@one [$($done,)* $crate::Term::from($e)] $($($rest)*)?)
    };
    ($($all:tt)*) => { $crate::tuple!(@one [] $($all)*) };
}

#[cfg(test)]
mod tests;
