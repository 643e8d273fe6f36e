//! Walking the bytes of a term without building it (wire.md 8).
//!
//! A [`Cursor`] is a place in the bytes of a term, in front of a term. Each getter reads the term there, if it is of
//! the kind that is asked for, and moves behind it; otherwise it says what was expected and what is there, and the
//! cursor stays. Texts and binaries are borrowed from the bytes. Nothing is allocated but for large integers, old
//! atoms in Latin-1, identifiers, and terms that are asked for as such.
//!
//! ```
//! use crabnode_etf::{cursor::Cursor, encode, term};
//!
//! let bytes = encode(&term!({reply, [{1, <<"one">>}, {2, <<"two">>}], #{more => false}}));
//! let mut cursor = Cursor::stored(&bytes)?;
//! cursor.tuple_of(3)?;
//! cursor.expect_atom("reply")?;
//! let mut names = Vec::new();
//! cursor.for_each(|cursor| {
//!     cursor.tuple_of(2)?;
//!     names.push((cursor.int()?, cursor.str()?));
//!     Ok(())
//! })?;
//! assert_eq!(names, [(1, "one"), (2, "two")]);
//! for _ in 0..cursor.map()? {
//!     let key = cursor.atom()?;
//!     assert_eq!((&*key, cursor.bool()?), ("more", false));
//! }
//! cursor.end()?;
//! # Ok::<(), crabnode_etf::DecodeError>(())
//! ```
//!
//! A tuple, list or map is read by its header, which says how many terms follow, and then term by term. What is of
//! no interest is passed by [`Cursor::skip`].

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    Atom, BigInt, DecodeError, DecodeErrorReason, DecodeLimits, Float, Pid, Port, Reference, Term,
    decode::{
        decode_bare, inflate,
        reader::{self, AtomText, PidParts, Reader, ReferenceParts, error, no_term, past_empty_lists},
        short::utf8,
    },
    tag,
};

mod kind;
pub use kind::Kind;
mod path;
pub use path::{PathSegment, TermPath};
mod skip;

type Result<T, E = DecodeError> = std::result::Result<T, E>;

/// A place in the bytes of a term. See the [module](self).
///
/// A clone is another place in the same bytes: to come back to, or to look ahead from.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    reader: Reader<'a>,
}

/// What a list starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListStart<'a> {
    /// It is `[]`, and read with that.
    Nil,
    /// It is a list of these integers, all below 256, and read with that.
    Bytes(&'a [u8]),
    /// So many elements follow, at least one, and then the tail: `[]` or a list as a rule, which goes on there.
    Cells(usize),
}

/// A process identifier that lies in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidRef<'a> {
    /// The name of its node.
    pub node: Cow<'a, str>,
    /// As [`Pid::id`].
    pub id: u32,
    /// As [`Pid::serial`].
    pub serial: u32,
    /// As [`Pid::creation`].
    pub creation: u32,
}

/// A reference that lies in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRef<'a> {
    /// The name of its node.
    pub node: Cow<'a, str>,
    /// As [`Reference::creation`].
    pub creation: u32,
    words: [u32; Reference::WORDS_MAX],
    len: usize,
}

impl ReferenceRef<'_> {
    /// As [`Reference::words`].
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words[..self.len]
    }
}

/// The bytes of a stored term, inflated if they are compressed: what [`Cursor::stored`] takes.
pub fn inflated<'a>(input: &'a [u8], limits: &DecodeLimits) -> Result<Cow<'a, [u8]>> {
    if input.get(..2) != Some(&[tag::VERSION, tag::COMPRESSED]) {
        return Ok(input.into());
    }
    let (mut inflated, used) = inflate(input, 2, limits)?;
    if used < input.len() {
        let bytes = input.len() - used;
        return Err(DecodeError::new(used, DecodeErrorReason::TrailingBytes { bytes }));
    }
    inflated.insert(0, tag::VERSION);
    Ok(inflated.into())
}

impl<'a> Cursor<'a> {
    /// In front of a stored term, as `term_to_binary/1` makes it: 131 first. One that is compressed has to be
    /// [`inflated`] before.
    pub fn stored(input: &'a [u8]) -> Result<Self> {
        match input {
            [tag::VERSION, ..] => Ok(Self { reader: Reader::new(input, 1, None) }),
            [found, ..] => Err(DecodeError::new(0, DecodeErrorReason::NoVersion { found: *found })),
            [] => Err(DecodeError::new(0, DecodeErrorReason::Truncated { needed: 1, left: 0 })),
        }
    }

    /// In front of a term of a distribution message, as [`decode_bare`] takes it.
    ///
    /// # Panics
    /// When `at` is past the end.
    #[must_use]
    pub fn bare(input: &'a [u8], at: usize, atoms: &'a [Atom]) -> Self {
        Self { reader: Reader::new(input, at, Some(atoms)) }
    }

    /// Where in the bytes it is.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.reader.at()
    }

    /// Checks that nothing follows.
    pub fn end(&self) -> Result<()> {
        match self.reader.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::new(self.offset(), DecodeErrorReason::TrailingBytes { bytes })),
        }
    }

    /// What the next term is.
    pub fn peek(&self) -> Result<Kind> {
        let offset = self.offset();
        let Some(&tag) = past_empty_lists(self.reader.rest).first() else {
            return Err(DecodeError::new(offset, DecodeErrorReason::Truncated { needed: 1, left: 0 }));
        };
        Kind::of(tag).ok_or_else(|| DecodeError::new(offset, no_term(tag)))
    }

    // --- Numbers --------------------------------------------------------------------------------------------

    /// An integer of 64 bits.
    #[inline]
    pub fn int(&mut self) -> Result<i64> {
        let (int, len) = match self.reader.rest.first_chunk() {
            Some(&[tag::SMALL_INTEGER, int, _, _, _]) => (i64::from(int), 2),
            Some(&[tag::INTEGER, a, b, c, d]) => (i64::from(i32::from_be_bytes([a, b, c, d])), 5),
            _ => return self.rare_int("an integer of 64 bits", |term| term.as_int()),
        };
        self.reader.rest = &self.reader.rest[len..];
        Ok(int)
    }

    /// An integer of 64 bits that is not negative.
    pub fn u64(&mut self) -> Result<u64> {
        self.rare_int("an integer of 64 bits without a sign", Term::as_u64)
    }

    /// An integer of any size.
    pub fn bigint(&mut self) -> Result<BigInt> {
        self.rare_int("an integer", |term| match term {
            Term::Int(int) => Some((*int).into()),
            Term::BigInt(big) => Some(big.as_bigint().clone()),
            _ => None,
        })
    }

    #[cold]
    fn rare_int<T>(&mut self, expected: &'static str, take: impl FnOnce(&Term) -> Option<T>) -> Result<T> {
        self.read(expected, |reader, offset, tag| {
            let term = match tag {
                tag::SMALL_INTEGER => Term::Int(reader.u8()?.into()),
                tag::INTEGER => Term::Int(reader.u32()?.cast_signed().into()),
                tag::SMALL_BIG | tag::LARGE_BIG => {
                    let is_small = tag == tag::SMALL_BIG;
                    let len = if is_small { reader.u8()?.into() } else { reader.u32()? as usize };
                    reader.big(offset, len, DecodeLimits::default().bigint_bytes_max)?
                }
                _ => return Ok(None),
            };
            Ok(take(&term))
        })
    }

    /// A float.
    pub fn float(&mut self) -> Result<Float> {
        self.read("a float", |reader, offset, tag| {
            Ok(match tag {
                tag::NEW_FLOAT => Some(reader.float(offset)?),
                tag::FLOAT => Some(reader.float_text(offset)?),
                _ => None,
            })
        })
    }

    // --- Atoms ----------------------------------------------------------------------------------------------

    /// An atom's text, which is borrowed unless it is in Latin-1 and not ASCII.
    #[inline]
    pub fn atom(&mut self) -> Result<Cow<'a, str>> {
        self.read("an atom", |reader, offset, tag| {
            if !is_atom_tag(tag) {
                return Ok(None);
            }
            reader.atom_of(offset, tag).map(|atom| Some(text_of(atom)))
        })
    }

    /// Whether the next term is this atom.
    #[inline]
    #[must_use]
    pub fn is_atom(&self, text: &str) -> bool {
        self.after_atom(text).is_some()
    }

    /// This atom.
    #[inline]
    pub fn expect_atom(&mut self, text: &'static str) -> Result<()> {
        if let [tag::SMALL_ATOM_UTF8, len, rest @ ..] = self.reader.rest
            && usize::from(*len) == text.len()
            && let Some(rest) = rest.strip_prefix(text.as_bytes())
        {
            self.reader.rest = rest;
            return Ok(());
        }
        self.expect_other_atom(text)
    }

    /// An atom in another form than the usual one.
    #[inline(never)]
    fn expect_other_atom(&mut self, text: &'static str) -> Result<()> {
        match self.after_atom(text) {
            Some(rest) => {
                self.reader.rest = rest;
                Ok(())
            }
            None => Err(self.unexpected(text)),
        }
    }

    /// What follows this atom, if it is next.
    #[inline]
    fn after_atom(&self, text: &str) -> Option<&'a [u8]> {
        match past_empty_lists(self.reader.rest) {
            [tag::SMALL_ATOM_UTF8, len, rest @ ..] if usize::from(*len) == text.len() => {
                rest.strip_prefix(text.as_bytes())
            }
            [tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM | tag::ATOM_CACHE_REF, ..] => {
                let mut other = self.clone();
                let is_same = other.atom().ok()? == text;
                is_same.then_some(other.reader.rest)
            }
            _ => None,
        }
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool> {
        for (text, value) in [("true", true), ("false", false)] {
            if let Some(rest) = self.after_atom(text) {
                self.reader.rest = rest;
                return Ok(value);
            }
        }
        Err(self.unexpected("true or false"))
    }

    // --- Binaries -------------------------------------------------------------------------------------------

    /// A binary's bytes.
    #[inline]
    pub fn binary(&mut self) -> Result<&'a [u8]> {
        self.read("a binary", |reader, offset, tag| match tag {
            tag::BINARY => {
                let len = reader.u32()? as usize;
                reader.take(len).map(Some)
            }
            tag::BIT_BINARY => match reader.bit_string(offset)? {
                (bytes, 8) => Ok(Some(bytes)),
                _ => Ok(None),
            },
            _ => Ok(None),
        })
    }

    /// A binary that is UTF-8: a string of Elixir.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str> {
        let start = self.reader.rest;
        let bytes = self.binary()?;
        utf8(bytes).ok_or_else(|| {
            self.reader.rest = start;
            self.unexpected("a binary of UTF-8")
        })
    }

    /// A bit string: its bytes, and how many bits of the last one count, 1 to 8; 8 for `<<>>`. Bits that do not count
    /// may be anything.
    pub fn bit_string(&mut self) -> Result<(&'a [u8], u8)> {
        self.read("a bit string", |reader, offset, tag| match tag {
            tag::BINARY => {
                let len = reader.u32()? as usize;
                reader.take(len).map(|bytes| Some((bytes, 8)))
            }
            tag::BIT_BINARY => reader.bit_string(offset).map(Some),
            _ => Ok(None),
        })
    }

    // --- Identifiers and funs -------------------------------------------------------------------------------

    /// A process identifier.
    pub fn pid(&mut self) -> Result<Pid> {
        self.read("a pid", |reader, offset, tag| {
            if !matches!(tag, tag::NEW_PID | tag::PID) {
                return Ok(None);
            }
            let parts = reader.pid_of(offset, tag, node)?;
            Ok(Some(Pid::new(parts.node, parts.id, parts.serial, parts.creation)))
        })
    }

    /// A process identifier, with the name of its node borrowed.
    #[inline]
    pub fn pid_ref(&mut self) -> Result<PidRef<'a>> {
        self.read("a pid", |reader, offset, tag| {
            if !matches!(tag, tag::NEW_PID | tag::PID) {
                return Ok(None);
            }
            let PidParts { node, id, serial, creation } = reader.pid_of(offset, tag, node_ref)?;
            Ok(Some(PidRef { node, id, serial, creation }))
        })
    }

    /// A reference, with the name of its node borrowed.
    #[inline]
    pub fn reference_ref(&mut self) -> Result<ReferenceRef<'a>> {
        self.read("a reference", |reader, offset, tag| {
            if !matches!(tag, tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE) {
                return Ok(None);
            }
            let ReferenceParts { node, creation, words, len } = reader.reference_of(offset, tag, node_ref)?;
            Ok(Some(ReferenceRef { node, creation, words, len }))
        })
    }

    /// A port identifier.
    pub fn port(&mut self) -> Result<Port> {
        self.read("a port", |reader, _, tag| {
            if !matches!(tag, tag::V4_PORT | tag::NEW_PORT | tag::PORT) {
                return Ok(None);
            }
            let parts = reader.port_of(tag, node)?;
            Ok(Some(Port::new(parts.node, parts.id, parts.creation)))
        })
    }

    /// A reference.
    pub fn reference(&mut self) -> Result<Reference> {
        self.read("a reference", |reader, offset, tag| {
            if !matches!(tag, tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE) {
                return Ok(None);
            }
            let parts = reader.reference_of(offset, tag, node)?;
            Ok(Reference::new(parts.node, parts.creation, &parts.words[..parts.len]))
        })
    }

    /// An external fun: its module, function and arity.
    pub fn export(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>, u8)> {
        let start = self.reader.rest;
        let export = self.export_parts();
        if export.is_err() {
            self.reader.rest = start;
        }
        export
    }

    fn export_parts(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>, u8)> {
        self.read("an external fun", |_, _, tag| Ok((tag == tag::EXPORT).then_some(())))?;
        let (module, function) = (self.atom()?, self.atom()?);
        let (offset, arity) = (self.offset(), self.reader.int().map_err(|error| *error)?);
        let bad = |_| DecodeError::new(offset, DecodeErrorReason::ExportArity { arity });
        Ok((module, function, u8::try_from(arity).map_err(bad)?))
    }

    // --- What holds terms -----------------------------------------------------------------------------------

    /// The start of a tuple: how many terms follow.
    #[inline]
    pub fn tuple(&mut self) -> Result<usize> {
        if let [tag::SMALL_TUPLE, arity, rest @ ..] = self.reader.rest
            && rest.len() >= usize::from(*arity)
        {
            self.reader.rest = rest;
            return Ok((*arity).into());
        }
        self.read("a tuple", |reader, offset, tag| {
            let arity = match tag {
                tag::SMALL_TUPLE => reader.u8()?.into(),
                tag::LARGE_TUPLE => reader.tuple_arity(offset)?,
                _ => return Ok(None),
            };
            reader.check_left(offset, arity)?;
            Ok(Some(arity))
        })
    }

    /// The start of a tuple of so many terms.
    #[inline]
    pub fn tuple_of(&mut self, arity: usize) -> Result<()> {
        if let [tag::SMALL_TUPLE, found, rest @ ..] = self.reader.rest
            && usize::from(*found) == arity
            && arity <= rest.len()
        {
            self.reader.rest = rest;
            return Ok(());
        }
        self.other_tuple_of(arity)
    }

    #[inline(never)]
    fn other_tuple_of(&mut self, arity: usize) -> Result<()> {
        let start = self.reader.rest;
        match self.tuple() {
            Ok(found) if found == arity => Ok(()),
            Ok(_) => {
                self.reader.rest = start;
                Err(self.unexpected("a tuple of another size"))
            }
            Err(error) => Err(error),
        }
    }

    /// The start of a map: how many keys, each with its value after it, follow. They are in no order, and whether
    /// one comes twice is not checked.
    #[inline]
    pub fn map(&mut self) -> Result<usize> {
        self.read("a map", |reader, offset, tag| {
            if tag != tag::MAP {
                return Ok(None);
            }
            let len = reader.u32()? as usize;
            reader.check_left(offset, 2 * len)?;
            Ok(Some(len))
        })
    }

    /// The start of a list, in whichever of its forms. [`Cursor::for_each`] knows them all.
    #[inline]
    pub fn list(&mut self) -> Result<ListStart<'a>> {
        self.read("a list", |reader, offset, tag| {
            Ok(Some(match tag {
                tag::NIL => ListStart::Nil,
                tag::LIST => {
                    let len = reader.u32()? as usize;
                    reader.check_left(offset, len + 1)?;
                    ListStart::Cells(len)
                }
                tag::STRING => {
                    let len = reader.u16()?.into();
                    ListStart::Bytes(reader.take(len)?)
                }
                _ => return Ok(None),
            }))
        })
    }

    /// `[]`, as at the end of a list.
    #[inline]
    pub fn nil(&mut self) -> Result<()> {
        self.read("[]", |_, _, tag| Ok((tag == tag::NIL).then_some(())))
    }

    /// Goes through a proper list, and calls `read` in front of each element, which it has to read or skip. After an
    /// error the cursor is where that left it.
    #[inline]
    pub fn for_each(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            match self.list()? {
                ListStart::Nil => return Ok(()),
                ListStart::Bytes(bytes) => {
                    for &byte in bytes {
                        let integer = &INTEGERS[usize::from(byte)];
                        read(&mut Self { reader: Reader::new(integer, 0, None) })?;
                    }
                    return Ok(());
                }
                ListStart::Cells(len) => {
                    for _ in 0..len {
                        read(self)?;
                    }
                }
            }
        }
    }

    /// In front of the value of an atom key of the map that is next, or nothing if it has no such key. This cursor
    /// stays where it is.
    pub fn get(&self, key: &str) -> Result<Option<Self>> {
        let mut cursor = self.clone();
        for _ in 0..cursor.map()? {
            let is_key = cursor.is_atom(key);
            cursor.skip()?;
            if is_key {
                return Ok(Some(cursor));
            }
            cursor.skip()?;
        }
        Ok(None)
    }

    // --- Any term -------------------------------------------------------------------------------------------

    /// Passes over the next term, whatever it is, and checks it: all that [`decode`](crate::decode()) does, but for
    /// limits and for keys that come twice. It takes neither stack nor heap for the term's levels.
    pub fn skip(&mut self) -> Result<()> {
        let mut reader = self.reader.clone();
        skip::skip(&mut reader).map_err(|error| *error)?;
        self.reader = reader;
        Ok(())
    }

    /// The bytes of the next term, passed over as by [`Cursor::skip`]. Without a 131, they are what
    /// [`Cursor::bare`] takes.
    pub fn raw(&mut self) -> Result<&'a [u8]> {
        let start = self.reader.rest;
        self.skip()?;
        Ok(&start[..start.len() - self.reader.rest.len()])
    }

    /// The next term, as [`decode_bare`] builds it; of a copy of its bytes, so that it keeps no others alive.
    pub fn term(&mut self, limits: &DecodeLimits) -> Result<Term> {
        let (start, offset) = (self.reader.rest, self.offset());
        let bytes = self.raw()?;
        let atoms = self.reader.atoms.unwrap_or_default();
        let decoded = decode_bare(&Bytes::copy_from_slice(bytes), 0, atoms, limits);
        decoded.map(|(term, _)| term).map_err(|error| {
            self.reader.rest = start;
            DecodeError { offset: offset + error.offset, ..error }
        })
    }

    /// Reads a term by its tag; nothing says that it is of another kind.
    #[inline(always)]
    fn read<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&mut Reader<'a>, usize, u8) -> reader::Result<Option<T>>,
    ) -> Result<T> {
        let start = self.reader.rest;
        self.reader.rest = past_empty_lists(start);
        let offset = self.offset();
        let result = self.reader.u8().and_then(|tag| read(&mut self.reader, offset, tag));
        match result {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                self.reader.rest = start;
                Err(self.unexpected(expected))
            }
            Err(error) => {
                self.reader.rest = start;
                Err(*error)
            }
        }
    }

    #[cold]
    fn unexpected(&self, expected: &'static str) -> DecodeError {
        match self.peek() {
            Ok(found) => DecodeError::new(self.offset(), DecodeErrorReason::Unexpected { expected, found }),
            Err(error) => error,
        }
    }
}

fn node(reader: &mut Reader<'_>) -> reader::Result<Atom> {
    let offset = reader.at();
    let tag = reader.u8()?;
    reader.atom_of(offset, tag).map(AtomText::to_atom)
}

#[inline]
fn node_ref<'a>(reader: &mut Reader<'a>) -> reader::Result<Cow<'a, str>> {
    // The usual form. So short, it has no more characters than an atom may.
    if let [tag::SMALL_ATOM_UTF8, len, rest @ ..] = reader.rest
        && let Some((text, rest)) = rest.split_at_checked(usize::from(*len))
        && let Some(text) = utf8(text)
    {
        reader.rest = rest;
        return Ok(Cow::Borrowed(text));
    }
    let offset = reader.at();
    let tag = reader.u8()?;
    reader.atom_of(offset, tag).map(text_of)
}

fn text_of(atom: AtomText<'_>) -> Cow<'_, str> {
    match atom {
        AtomText::Utf8(text) => Cow::Borrowed(text),
        AtomText::Cached(atom) => Cow::Borrowed(atom.as_str()),
        AtomText::Latin1(bytes) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

fn is_atom_tag(tag: u8) -> bool {
    matches!(tag, tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 | tag::ATOM_CACHE_REF)
}

/// Every byte as an integer, for lists that are written as strings.
static INTEGERS: [[u8; 2]; 256] = {
    let mut all = [[tag::SMALL_INTEGER, 0]; 256];
    let mut byte = 0;
    while byte < 256 {
        all[byte][1] = byte.to_le_bytes()[0];
        byte += 1;
    }
    all
};

impl<'a> Reader<'a> {
    /// What follows the tag of a bit string: its bytes, and how many bits of the last one count.
    fn bit_string(&mut self, offset: usize) -> reader::Result<(&'a [u8], u8)> {
        let len = self.u32()? as usize;
        let last_bits = self.u8()?;
        match (len, last_bits) {
            // Only OTP 25 and before read an empty one (wire.md 8, tag 77).
            (0, 0) => Ok((&[], 8)),
            (1.., 1..=8) => self.take(len).map(|bytes| (bytes, last_bits)),
            _ => Err(error(offset, DecodeErrorReason::BitCount { bytes: len, last_bits })),
        }
    }

    /// What follows the tag of a large tuple.
    fn tuple_arity(&mut self, offset: usize) -> reader::Result<usize> {
        match self.u32()? {
            arity @ ..=crate::decode::TUPLE_ARITY_MAX => Ok(arity as usize),
            arity => Err(error(offset, DecodeErrorReason::TupleArity { arity })),
        }
    }
}

#[cfg(test)]
mod tests;
