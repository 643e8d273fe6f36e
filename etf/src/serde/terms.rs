//! Terms and their parts as values of serde.
//!
//! Between this format's own reader and writer they go exactly: an atom stays one, a pid is a pid. In other formats
//! they are what those can hold. One for machines (`is_human_readable` says no) carries the bytes of the external
//! term format, from which the same term is read back. One for people carries the nearest it has: JSON shows a
//! tuple as an array, an atom or a binary as a string, a pid as Erlang prints it; what is read back from there is
//! lists, binaries and maps.

use std::fmt;

use ::bytes::Bytes;
use num_traits::ToPrimitive;
use serde::{
    de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor},
    ser::{Serialize, SerializeMap, SerializeSeq, Serializer},
};

use crate::{
    Atom, BigInt, Binary, BitString, DecodeLimits, Float, Fun, Map, Pid, Port, Record, Reference, Term,
    decode_bare, encode,
};

/// The newtype that holds the bytes of a term, without a leading 131.
pub(super) const TERM: &str = "\0crabnode_etf::Term";
/// The newtype that holds the text of an atom.
pub(super) const ATOM: &str = "\0crabnode_etf::Atom";
/// The newtype that holds the bytes of a binary.
pub(super) const BINARY: &str = "\0crabnode_etf::Binary";

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TERM, &InTerm(self))
    }
}

/// What is inside the newtype.
struct InTerm<'a>(&'a Term);

impl Serialize for InTerm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            ForPeople { term: self.0, levels: LEVELS_MAX }.serialize(serializer)
        } else {
            serializer.serialize_bytes(&encode(self.0)[1..])
        }
    }
}

/// How deep a term may be that goes to a format for people: serde works by recursion, and a level takes some 2 KB of
/// stack in an unoptimised build. What reads JSON takes no more than this either, as a rule.
const LEVELS_MAX: usize = 128;

/// A term in a format that has numbers, strings, lists and maps.
struct ForPeople<'a> {
    term: &'a Term,
    /// How deep it may be.
    levels: usize,
}

impl Serialize for ForPeople<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(levels) = self.levels.checked_sub(1) else {
            let message = format_args!("a term of more than {LEVELS_MAX} levels");
            return Err(serde::ser::Error::custom(message));
        };
        let inner = |term| ForPeople { term, levels };
        match self.term {
            Term::Int(int) => serializer.serialize_i64(*int),
            Term::BigInt(big) => match (big.as_bigint().to_i128(), big.as_bigint().to_u128()) {
                (Some(int), _) => serializer.serialize_i128(int),
                (None, Some(int)) => serializer.serialize_u128(int),
                (None, None) => serializer.collect_str(big.as_bigint()),
            },
            Term::Float(float) => serializer.serialize_f64(float.get()),
            Term::Atom(atom) => match atom.as_str() {
                "true" => serializer.serialize_bool(true),
                "false" => serializer.serialize_bool(false),
                "nil" | "undefined" | "null" => serializer.serialize_unit(),
                text => serializer.serialize_str(text),
            },
            Term::Tuple(elements) => serializer.collect_seq(elements.iter().map(inner)),
            Term::List(elements) => serializer.collect_seq(elements.iter().map(inner)),
            Term::ImproperList(list) => {
                let mut seq = serializer.serialize_seq(Some(list.head().len() + 1))?;
                for element in list.head().iter().chain([list.tail()]) {
                    seq.serialize_element(&inner(element))?;
                }
                seq.end()
            }
            Term::Map(map) => {
                let mut entries = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map.iter() {
                    entries.serialize_entry(&KeyForPeople(key), &inner(value))?;
                }
                entries.end()
            }
            Term::Record(record) => {
                serializer.collect_map(record.fields().map(|(name, value)| (name, inner(value))))
            }
            Term::Binary(binary) => BytesForPeople(binary).serialize(serializer),
            term
            @ (Term::BitString(_) | Term::Fun(_) | Term::Pid(_) | Term::Port(_) | Term::Reference(_)) => {
                serializer.collect_str(term)
            }
        }
    }
}

/// A key: text where it is, else as Erlang prints it.
struct KeyForPeople<'a>(&'a Term);

impl Serialize for KeyForPeople<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Term::Int(int) => serializer.serialize_i64(*int),
            Term::Atom(atom) => serializer.serialize_str(atom),
            term => match term.as_text() {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.collect_str(term),
            },
        }
    }
}

struct BytesForPeople<'a>(&'a [u8]);

impl Serialize for BytesForPeople<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0).ok() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_bytes(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TERM, FromBytes)
    }
}

/// Reads the bytes of a term, or in a format for people whatever there is.
struct FromBytes;

impl<'de> Visitor<'de> for FromBytes {
    type Value = Term;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a term in the external term format")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Term, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(FromPeople)
        } else {
            deserializer.deserialize_byte_buf(self)
        }
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Term, E> {
        decode_whole(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Term, E> {
        decode_whole(bytes.into())
    }

    /// Formats that have no bytes give lists of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Term, A::Error> {
        decode_whole(BytesOf("bytes").visit_seq(seq)?.to_bytes())
    }
}

fn decode_whole<E: de::Error>(bytes: Bytes) -> Result<Term, E> {
    let (term, end) = decode_bare(&bytes, 0, &[], &DecodeLimits::default()).map_err(E::custom)?;
    match bytes.len() - end {
        0 => Ok(term),
        left => Err(E::custom(format_args!("{left} bytes follow the term"))),
    }
}

/// The term nearest to what a format for people has.
struct FromPeople;

impl<'de> Visitor<'de> for FromPeople {
    type Value = Term;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything that a term stands for")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Term, E> {
        Ok(BigInt::from(value).into())
    }

    fn visit_u128<E>(self, value: u128) -> Result<Term, E> {
        Ok(BigInt::from(value).into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Term, E> {
        let float = Float::new(value);
        float.map(Term::from).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &"a finite float"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Term, E> {
        Ok(Term::binary(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Term, E> {
        Ok(Term::binary(value))
    }

    fn visit_none<E>(self) -> Result<Term, E> {
        Ok(Term::atom("nil"))
    }

    fn visit_unit<E>(self) -> Result<Term, E> {
        Ok(Term::atom("nil"))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Term, D::Error> {
        Term::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Term, D::Error> {
        Term::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Term, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<Term>()? {
            elements.push(element);
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Term, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<Term, Term>()? {
            entries.push(entry);
        }
        Ok(Term::Map(entries.into_iter().collect()))
    }
}

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(ATOM, self.as_str())
    }
}

impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ATOM, AtomVisitor)
    }
}

struct AtomVisitor;

impl<'de> Visitor<'de> for AtomVisitor {
    type Value = Atom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an atom")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Atom, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Atom, E> {
        Atom::try_new(text).map_err(E::custom)
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BINARY, &InBinary(self))
    }
}

struct InBinary<'a>(&'a [u8]);

impl Serialize for InBinary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            BytesForPeople(self.0).serialize(serializer)
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesOf("a binary"))
    }
}

/// Bytes in whatever form a format has them; says what is expected.
pub(super) struct BytesOf(pub(super) &'static str);

impl<'de> Visitor<'de> for BytesOf {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Binary, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Binary, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let float = f64::deserialize(deserializer)?;
        Self::new(float)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Float(float), &"a float that is finite"))
    }
}

/// Types that are a kind of term and nothing else: they go as terms.
macro_rules! kinds_of_term {
    ($($kind:ty: $what:literal, $pattern:pat => $value:expr;)*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Term::from(self.clone()).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Term::deserialize(deserializer)? {
                    $pattern => Ok($value),
                    other => Err(not_a($what, &other)),
                }
            }
        }
    )*};
}
kinds_of_term! {
    BitString: "a bit string", Term::BitString(bits) => *bits;
    Fun: "a fun", Term::Fun(fun) => *fun;
    Map: "a map", Term::Map(map) => map;
    Pid: "a pid", Term::Pid(pid) => pid;
    Port: "a port", Term::Port(port) => port;
    Record: "a native record", Term::Record(record) => *record;
    Reference: "a reference", Term::Reference(reference) => reference;
}

fn not_a<E: de::Error>(expected: &str, found: &Term) -> E {
    let found = found.to_string();
    E::invalid_type(de::Unexpected::Other(&super::error::cut(&found)), &expected)
}

impl From<Record> for Term {
    fn from(value: Record) -> Self {
        Self::Record(Box::new(value))
    }
}

/// `#[serde(with = "crabnode_etf::serde::bigint")]`: integers of any size, for [`BigInt`].
pub mod bigint {
    use super::{BigInt, Deserialize, Deserializer, Serialize, Serializer, Term, not_a};

    /// Writes the integer.
    pub fn serialize<S: Serializer>(value: &BigInt, serializer: S) -> Result<S::Ok, S::Error> {
        Term::from(value.clone()).serialize(serializer)
    }

    /// Reads an integer of any size.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BigInt, D::Error> {
        match Term::deserialize(deserializer)? {
            Term::Int(int) => Ok(int.into()),
            Term::BigInt(big) => Ok(big.as_bigint().clone()),
            other => Err(not_a("an integer", &other)),
        }
    }
}

/// `#[serde(with = "crabnode_etf::serde::bytes")]`: a `Vec<u8>`, or anything else that bytes become, as a binary.
///
/// Without it serde takes a `Vec<u8>` for a list of numbers, and that is what is written; a binary is read either way.
pub mod bytes {
    use super::{BINARY, BytesOf, Deserializer, InBinary, Serializer};

    /// Writes a binary.
    pub fn serialize<S: Serializer>(value: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BINARY, &InBinary(value.as_ref()))
    }

    /// Reads a binary or a list of bytes.
    pub fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        Ok(deserializer.deserialize_byte_buf(BytesOf("a binary"))?.to_vec().into())
    }
}

/// `#[serde(with = "crabnode_etf::serde::charlist")]`: a string as a list of code points, whatever
/// [`Options::strings`](super::Options::strings) says.
pub mod charlist {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Term};

    /// Writes a list of code points.
    pub fn serialize<S: Serializer>(value: impl AsRef<str>, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(value.as_ref());
        }
        Term::charlist(value.as_ref()).serialize(serializer)
    }

    /// Reads text in any form.
    pub fn deserialize<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}
