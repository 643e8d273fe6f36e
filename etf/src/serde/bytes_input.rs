//! Tokens from bytes of the external term format (wire.md 8).

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    Atom, DecodeErrorReason, DecodeLimits, Reference,
    decode::{
        reader::{no_term, past_empty_lists},
        short::utf8,
    },
    decode_bare,
    serde::{
        error::{Error, Segment},
        token::{Input, Result, Token, segment_of},
    },
    tag,
};

/// Bytes as they are read.
///
/// What comes all the time, a small integer or a short text, has a way of its own past the tokens: one look at five
/// bytes says what it is and where it ends.
pub(super) struct BytesInput<'a, 'de> {
    /// All of them.
    input: &'a [u8],
    /// The same, where it lives as long as what is read may borrow from it. What was inflated does not.
    borrowed: Option<&'de [u8]>,
    /// What is still to be read.
    rest: &'a [u8],
    /// How much there was when the last token started.
    last: usize,
    limits: &'a DecodeLimits,
    elements_left: usize,
    atoms_left: usize,
}

impl<'a, 'de> BytesInput<'a, 'de> {
    /// Reads from `at`, and lends what it reads.
    pub(super) fn lending(input: &'de [u8], at: usize, limits: &'a DecodeLimits) -> Self
    where
        'de: 'a,
    {
        Self { borrowed: Some(input), ..Self::copying(input, at, limits) }
    }

    /// Reads from `at`, and gives copies.
    pub(super) fn copying(input: &'a [u8], at: usize, limits: &'a DecodeLimits) -> Self {
        let rest = &input[at..];
        let (elements_left, atoms_left) = (limits.elements_max, limits.atoms_max);
        Self { input, borrowed: None, rest, last: rest.len(), limits, elements_left, atoms_left }
    }

    /// Where what comes next starts.
    pub(super) fn position(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[cold]
    #[inline(never)]
    fn error(&self, reason: DecodeErrorReason) -> Error {
        Error::new(reason.into()).at(self.offset())
    }

    #[cold]
    #[inline(never)]
    fn truncated(&self, needed: usize) -> Error {
        let reason = DecodeErrorReason::Truncated { needed, left: self.rest.len() };
        Error::new(reason.into()).at(Some(self.position()))
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated(N)),
        }
    }

    #[inline(always)]
    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline(always)]
    fn u16(&mut self) -> Result<usize> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    #[inline(always)]
    fn u32(&mut self) -> Result<usize> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    /// Bytes to look at.
    #[inline(always)]
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated(len)),
        }
    }

    /// Bytes to keep.
    #[inline(always)]
    fn blob(&mut self, len: usize) -> Result<Cow<'de, [u8]>> {
        let start = self.position();
        let bytes = self.take(len)?;
        Ok(match self.borrowed {
            Some(all) => Cow::Borrowed(&all[start..start + len]),
            None => Cow::Owned(bytes.to_vec()),
        })
    }

    #[inline(always)]
    fn utf8_atom(&mut self, len: usize) -> Result<Token<'de>> {
        self.count_atom()?;
        let bytes = self.blob(len)?;
        let text = match bytes {
            Cow::Borrowed(bytes) => utf8(bytes).map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        };
        let Some(text) = text else { return Err(self.error(DecodeErrorReason::AtomNotUtf8)) };
        if len > Atom::CHARS_MAX {
            let chars = text.chars().count();
            if chars > Atom::CHARS_MAX {
                return Err(self.error(DecodeErrorReason::AtomTooLong { chars }));
            }
        }
        Ok(Token::Atom(text))
    }

    #[inline(always)]
    fn count_atom(&mut self) -> Result<()> {
        match self.atoms_left.checked_sub(1) {
            Some(left) => {
                self.atoms_left = left;
                Ok(())
            }
            None => Err(self.error(DecodeErrorReason::TooManyAtoms { max: self.limits.atoms_max })),
        }
    }

    /// Counts elements that are announced, each of which takes `bytes_each` or more.
    #[inline(always)]
    fn count(&mut self, elements: usize, bytes_each: usize) -> Result<usize> {
        let needed = elements.saturating_mul(bytes_each);
        if needed > self.rest.len() {
            return Err(self.truncated(needed));
        }
        match self.elements_left.checked_sub(elements) {
            Some(left) => {
                self.elements_left = left;
                Ok(elements)
            }
            None => Err(self.error(DecodeErrorReason::TooManyElements { max: self.limits.elements_max })),
        }
    }

    fn latin1_atom(&mut self, len: usize) -> Result<Token<'de>> {
        self.count_atom()?;
        let bytes = self.blob(len)?;
        if len > Atom::CHARS_MAX {
            return Err(self.error(DecodeErrorReason::AtomTooLong { chars: len }));
        }
        Ok(Token::Atom(match bytes {
            Cow::Borrowed(bytes) if bytes.is_ascii() => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => unreachable!("ASCII is UTF-8"),
            },
            bytes => bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
        }))
    }

    #[inline(always)]
    fn big(&mut self, len: usize) -> Result<Token<'de>> {
        if len > self.limits.bigint_bytes_max {
            let max = self.limits.bigint_bytes_max;
            return Err(self.error(DecodeErrorReason::IntegerTooLarge { bytes: len, max }));
        }
        let negative = self.u8()? != 0;
        let magnitude = self.take(len)?;
        if len <= 8 {
            let mut low = [0; 8];
            low[..len].copy_from_slice(magnitude);
            let low = u64::from_le_bytes(low);
            let int = if negative { -i128::from(low) } else { i128::from(low) };
            return Ok(i64::try_from(int).map_or(Token::Wide(int), Token::Int));
        }
        let (low, high) = magnitude.split_at(len.min(16));
        if high.iter().any(|&byte| byte != 0) {
            return Ok(Token::Other("an integer of more than 128 bits"));
        }
        let mut all = [0; 16];
        all[..low.len()].copy_from_slice(low);
        let all = u128::from_le_bytes(all);
        Ok(match (i128::try_from(all), negative) {
            (Ok(int), false) => i64::try_from(int).map_or(Token::Wide(int), Token::Int),
            (Ok(int), true) => i64::try_from(-int).map_or(Token::Wide(-int), Token::Int),
            (Err(_), false) => Token::WideUnsigned(all),
            (Err(_), true) if all == 1 << 127 => Token::Wide(i128::MIN),
            (Err(_), true) => Token::Other("an integer of more than 128 bits"),
        })
    }

    /// What follows the header of a list of no elements: such a list is its tail.
    #[cold]
    #[inline(never)]
    fn tail(&mut self) -> Result<Token<'de>> {
        self.rest = past_empty_lists(self.rest);
        self.next()
    }

    /// Tags that are not worth room where the usual ones are read.
    #[cold]
    #[inline(never)]
    fn rare(&mut self, tag: u8) -> Result<Token<'de>> {
        Ok(match tag {
            tag::LARGE_BIG => {
                let len = self.u32()?;
                return self.big(len);
            }
            tag::ATOM_UTF8 => {
                let len = self.u16()?;
                return self.utf8_atom(len);
            }
            tag::ATOM => {
                let len = self.u16()?;
                return self.latin1_atom(len);
            }
            tag::SMALL_ATOM => {
                let len = usize::from(self.u8()?);
                return self.latin1_atom(len);
            }
            tag::LARGE_TUPLE => {
                let arity = self.u32()?;
                Token::Tuple(self.count(arity, 1)?)
            }
            tag::BIT_BINARY => {
                let len = self.u32()?;
                match (len, self.u8()?) {
                    (0, 0) => Token::Binary(Cow::Borrowed(&[])),
                    (1.., 8) => Token::Binary(self.blob(len)?),
                    (1.., 1..=7) => Token::Other("a bit string"),
                    (bytes, last_bits) => {
                        return Err(self.error(DecodeErrorReason::BitCount { bytes, last_bits }));
                    }
                }
            }
            // Rare enough to go the long way round: its text has a grammar of its own.
            tag::FLOAT => {
                let text = Bytes::from([&[tag], self.take(31)?].concat());
                let (float, _) =
                    decode_bare(&text, 0, &[], self.limits).map_err(|error| self.error(error.reason))?;
                let crate::Term::Float(float) = float else { unreachable!("the tag is a float's") };
                Token::Float(float.get())
            }
            tag::NEW_PID | tag::PID => Token::Other("a pid"),
            tag::V4_PORT | tag::NEW_PORT | tag::PORT => Token::Other("a port"),
            tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => Token::Other("a reference"),
            tag::NEW_FUN | tag::EXPORT => Token::Other("a fun"),
            tag::RECORD => Token::Other("a native record"),
            tag => return Err(self.error(no_term(tag))),
        })
    }

    /// The input from the tail of a list of no elements on, if that is what comes next.
    #[cold]
    #[inline(never)]
    fn tail_ahead(&self) -> Option<Self> {
        let tail = past_empty_lists(self.rest);
        let at = self.input.len() - tail.len();
        (tail.len() < self.rest.len()).then(|| Self::copying(self.input, at, self.limits))
    }

    /// Passes over one term, or a part of one. Its parts that are terms themselves are still owed.
    fn skip_one(&mut self, owed: &mut usize) -> Result<()> {
        self.last = self.rest.len();
        let tag = self.u8()?;
        let len = match tag {
            tag::NIL => 0,
            tag::SMALL_INTEGER => 1,
            tag::INTEGER => 4,
            tag::NEW_FLOAT => 8,
            tag::FLOAT => 31,
            tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM => usize::from(self.u8()?),
            tag::ATOM_UTF8 | tag::ATOM | tag::STRING => self.u16()?,
            tag::BINARY => self.u32()?,
            tag::BIT_BINARY => self.u32()? + 1,
            tag::SMALL_BIG => usize::from(self.u8()?) + 1,
            tag::LARGE_BIG => self.u32()? + 1,
            tag::SMALL_TUPLE => {
                *owed += usize::from(self.u8()?);
                0
            }
            tag::LARGE_TUPLE => {
                *owed += self.u32()?;
                0
            }
            tag::LIST => {
                *owed += self.u32()? + 1;
                0
            }
            tag::MAP => {
                *owed += self.u32()? * 2;
                0
            }
            tag::NEW_PID => self.node_and(12)?,
            tag::PID => self.node_and(9)?,
            tag::V4_PORT => self.node_and(12)?,
            tag::NEW_PORT => self.node_and(8)?,
            tag::PORT | tag::REFERENCE => self.node_and(5)?,
            tag::NEWER_REFERENCE | tag::NEW_REFERENCE => {
                let words = self.u16()?;
                if words > Reference::WORDS_MAX {
                    let max = Reference::WORDS_MAX;
                    return Err(self.error(DecodeErrorReason::ReferenceWords { words, max }));
                }
                self.node_and(words * 4 + if tag == tag::NEWER_REFERENCE { 4 } else { 1 })?
            }
            tag::EXPORT => {
                *owed += 3;
                0
            }
            tag::NEW_FUN => {
                self.take(4 + 1 + 16 + 4)?;
                // The module, the two numbers and the creator are terms as the free variables are.
                *owed += self.u32()? + 4;
                0
            }
            tag::RECORD => {
                *owed += self.u32()? * 2 + 2;
                1
            }
            tag => return Err(self.error(no_term(tag))),
        };
        self.take(len)?;
        Ok(())
    }

    /// Text after a header of so many bytes.
    #[inline(always)]
    fn lend_text(&mut self, header: usize, len: usize) -> Option<&'de str> {
        let start = self.position() + header;
        let text = utf8(self.borrowed?.get(start..start + len)?)?;
        self.last = self.rest.len();
        self.rest = &self.rest[header + len..];
        Some(text)
    }

    /// Passes over a node's name, and gives the length of what follows it.
    fn node_and(&mut self, len: usize) -> Result<usize> {
        let tag = self.u8()?;
        let name = match tag {
            tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM => usize::from(self.u8()?),
            tag::ATOM_UTF8 | tag::ATOM => self.u16()?,
            tag => return Err(self.error(DecodeErrorReason::NotAnAtom { tag })),
        };
        self.take(name)?;
        Ok(len)
    }
}

impl<'a, 'de> Input<'de> for BytesInput<'a, 'de> {
    type Mark = usize;
    type Key = &'a [u8];

    #[inline]
    fn next(&mut self) -> Result<Token<'de>> {
        self.last = self.rest.len();
        Ok(match self.u8()? {
            tag::SMALL_INTEGER => Token::Int(i64::from(self.u8()?)),
            tag::INTEGER => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            tag::SMALL_BIG => {
                let len = usize::from(self.u8()?);
                return self.big(len);
            }
            tag::NEW_FLOAT => {
                let float = f64::from_be_bytes(self.array()?);
                if !float.is_finite() {
                    return Err(self.error(DecodeErrorReason::FloatNotFinite));
                }
                Token::Float(float)
            }
            tag::SMALL_ATOM_UTF8 => {
                let len = usize::from(self.u8()?);
                return self.utf8_atom(len);
            }
            tag::BINARY => {
                let len = self.u32()?;
                Token::Binary(self.blob(len)?)
            }
            tag::SMALL_TUPLE => {
                let arity = usize::from(self.u8()?);
                Token::Tuple(self.count(arity, 1)?)
            }
            tag::LIST => match self.u32()? {
                0 => return self.tail(),
                len => Token::List(self.count(len, 1)?),
            },
            tag::STRING => match self.u16()? {
                0 => Token::Nil,
                len => {
                    self.count(len, 1)?;
                    Token::Bytes(self.blob(len)?)
                }
            },
            tag::NIL => Token::Nil,
            tag::MAP => {
                let len = self.u32()?;
                Token::Map(self.count(len, 2)?)
            }
            tag => return self.rare(tag),
        })
    }

    fn skip(&mut self) -> Result<()> {
        let mut owed = 1;
        while owed > 0 {
            owed -= 1;
            let before = owed;
            self.skip_one(&mut owed)?;
            // Every term that is owed takes a byte, so this ends.
            self.count(owed - before, 1)?;
            if owed > self.rest.len() {
                return Err(self.truncated(owed));
            }
        }
        Ok(())
    }

    fn raw(&mut self) -> Result<Cow<'de, [u8]>> {
        let start = self.rest;
        self.skip()?;
        let len = start.len() - self.rest.len();
        self.rest = start;
        self.blob(len)
    }

    #[inline]
    fn is_atom(&self, texts: &[&str]) -> bool {
        let text = match self.rest {
            [tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM, len, rest @ ..] => rest.get(..usize::from(*len)),
            [tag::ATOM_UTF8 | tag::ATOM, high, low, rest @ ..] => {
                rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
            }
            [tag::LIST, ..] => return self.tail_ahead().is_some_and(|tail| tail.is_atom(texts)),
            _ => None,
        };
        text.is_some_and(|found| texts.iter().any(|text| text.as_bytes() == found))
    }

    #[inline(always)]
    fn is_atom_starting(&self, len: u8, first: u8) -> bool {
        match self.rest {
            [tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM, found, start, ..] => (*found, *start) == (len, first),
            [tag::ATOM_UTF8 | tag::ATOM, 0, found, start, ..] => (*found, *start) == (len, first),
            [tag::LIST, ..] => self.tail_ahead().is_some_and(|tail| tail.is_atom_starting(len, first)),
            _ => false,
        }
    }

    #[inline(always)]
    fn small_int(&mut self) -> Option<i64> {
        let (int, len) = match *self.rest.first_chunk()? {
            [tag::SMALL_INTEGER, int, _, _, _] => (i64::from(int), 2),
            [tag::INTEGER, a, b, c, d] => (i64::from(i32::from_be_bytes([a, b, c, d])), 5),
            _ => return None,
        };
        self.last = self.rest.len();
        self.rest = &self.rest[len..];
        Some(int)
    }

    #[inline(always)]
    fn short_binary(&mut self) -> Option<&'de str> {
        let &[tag::BINARY, 0, 0, 0, len] = self.rest.first_chunk()? else { return None };
        self.lend_text(5, usize::from(len))
    }

    #[inline(always)]
    fn short_atom(&mut self) -> Option<&'de str> {
        let &[tag::SMALL_ATOM_UTF8, len] = self.rest.first_chunk()? else { return None };
        let atoms_left = self.atoms_left.checked_sub(1)?;
        let text = self.lend_text(2, usize::from(len))?;
        self.atoms_left = atoms_left;
        Some(text)
    }

    #[inline(always)]
    fn small_tuple_of(&mut self, arity: usize) -> bool {
        let Some(&[tag::SMALL_TUPLE, found]) = self.rest.first_chunk() else { return false };
        let left = self.elements_left.checked_sub(arity);
        let (true, Some(left)) = (usize::from(found) == arity, left) else { return false };
        self.elements_left = left;
        self.last = self.rest.len();
        self.rest = &self.rest[2..];
        true
    }

    #[inline]
    fn mark(&self) -> usize {
        self.position()
    }

    fn is_any_atom(&self) -> bool {
        let atoms = [tag::SMALL_ATOM_UTF8, tag::SMALL_ATOM, tag::ATOM_UTF8, tag::ATOM];
        past_empty_lists(self.rest).first().is_some_and(|tag| atoms.contains(tag))
    }

    fn key(&self) -> Result<&'a [u8]> {
        let mut ahead = Self::copying(self.input, self.position(), self.limits);
        ahead.skip()?;
        Ok(&self.rest[..self.rest.len() - ahead.rest.len()])
    }

    #[cold]
    fn segment(&self, mark: usize) -> Segment {
        let mut key = Self::copying(self.input, mark, self.limits);
        let decoded = key
            .raw()
            .ok()
            .and_then(|bytes| decode_bare(&Bytes::copy_from_slice(&bytes), 0, &[], self.limits).ok());
        match decoded {
            Some((term, _)) => segment_of(&term),
            None => Segment::Key("?".into()),
        }
    }

    fn offset(&self) -> Option<usize> {
        Some(self.input.len() - self.last)
    }

    fn elements_left(&self) -> usize {
        self.rest.len()
    }
}
