//! Reading numbers, texts and identifiers, without building terms.

use num_bigint::{BigInt, Sign};

use crate::{Atom, DecodeError, DecodeErrorReason, Float, Reference, Term, decode::short::utf8, tag};

/// An error is boxed on its way out, so that what is good fits registers.
pub(crate) type Result<T, E = Box<DecodeError>> = std::result::Result<T, E>;

/// Input and a place in it.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    /// All the input.
    bytes: &'a [u8],
    /// What is left of them.
    pub(crate) rest: &'a [u8],
    /// What the distribution header says, or nothing in a stored term.
    pub(crate) atoms: Option<&'a [Atom]>,
}

/// The checked text of an atom.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AtomText<'a> {
    /// Spelled out in UTF-8.
    Utf8(&'a str),
    /// Spelled out in Latin-1, and not ASCII.
    Latin1(&'a [u8]),
    /// One of the header's.
    Cached(&'a Atom),
}

/// A pid, with its node's name as the caller wants it.
pub(crate) struct PidParts<N> {
    pub(crate) node: N,
    pub(crate) id: u32,
    pub(crate) serial: u32,
    pub(crate) creation: u32,
}

/// A port.
pub(crate) struct PortParts<N> {
    pub(crate) node: N,
    pub(crate) id: u64,
    pub(crate) creation: u32,
}

/// A reference.
pub(crate) struct ReferenceParts<N> {
    pub(crate) node: N,
    pub(crate) creation: u32,
    /// Of which the first `len` count.
    pub(crate) words: [u32; Reference::WORDS_MAX],
    pub(crate) len: usize,
}

impl<'a> Reader<'a> {
    /// `atoms` are those of the distribution header; nothing for a stored term.
    ///
    /// # Panics
    /// When `at` is past the end.
    pub(crate) fn new(bytes: &'a [u8], at: usize, atoms: Option<&'a [Atom]>) -> Self {
        Self { bytes, rest: &bytes[at..], atoms }
    }

    /// The offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.bytes.len() - self.rest.len()
    }

    /// The input from there on.
    ///
    /// # Panics
    /// When the offset is past the end.
    pub(crate) fn from(&self, offset: usize) -> &'a [u8] {
        &self.bytes[offset..]
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().copied().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().copied().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().copied().map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated(self.at(), N)),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated(self.at(), len)),
        }
    }

    /// Refuses what starts at `offset` unless so many bytes are left from here on.
    #[inline]
    pub(crate) fn check_left(&self, offset: usize, needed: usize) -> Result<()> {
        if needed > self.rest.len() { Err(self.truncated(offset, needed)) } else { Ok(()) }
    }

    #[cold]
    pub(crate) fn truncated(&self, offset: usize, needed: usize) -> Box<DecodeError> {
        error(offset, DecodeErrorReason::Truncated { needed, left: self.rest.len() })
    }

    /// An integer where the format has one of at most 32 bits as a term.
    pub(crate) fn int(&mut self) -> Result<i32> {
        let offset = self.at();
        match self.u8()? {
            tag::SMALL_INTEGER => Ok(i32::from(self.u8()?)),
            tag::INTEGER => Ok(self.u32()?.cast_signed()),
            tag => Err(error(offset, DecodeErrorReason::NotAnInteger { tag })),
        }
    }

    pub(crate) fn float(&mut self, offset: usize) -> Result<Float> {
        let value = f64::from_bits(self.u64()?);
        Float::new(value).ok_or_else(|| error(offset, DecodeErrorReason::FloatNotFinite))
    }

    pub(crate) fn float_text(&mut self, offset: usize) -> Result<Float> {
        let bytes = self.take(31)?;
        let bad = || error(offset, DecodeErrorReason::FloatText);
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| bad())?;
        // What `sys_chars_to_double` takes; Rust's own grammar is wider ("inf", "1", ".5").
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').ok_or_else(bad)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = |text| str::strip_prefix(text, ['+', '-']).unwrap_or(text);
        if !(digits(unsigned(whole)) && digits(fraction) && digits(unsigned(exponent))) {
            return Err(bad());
        }
        let value = text.parse().map_err(|_| bad())?;
        Float::new(value).ok_or_else(|| error(offset, DecodeErrorReason::FloatNotFinite))
    }

    /// An integer of so many bytes after its sign.
    pub(crate) fn big(&mut self, offset: usize, len: usize, bytes_max: usize) -> Result<Term> {
        if len > bytes_max {
            let reason = DecodeErrorReason::IntegerTooLarge { bytes: len, max: bytes_max };
            return Err(error(offset, reason));
        }
        let sign = if self.u8()? == 0 { Sign::Plus } else { Sign::Minus };
        let magnitude = self.take(len)?;
        if magnitude.iter().skip(8).any(|&byte| byte != 0) {
            return Ok(BigInt::from_bytes_le(sign, magnitude).into());
        }
        let mut low = [0; 8];
        low[..len.min(8)].copy_from_slice(&magnitude[..len.min(8)]);
        let low = i128::from(u64::from_le_bytes(low));
        let value = if sign == Sign::Minus { -low } else { low };
        Ok(i64::try_from(value).map_or_else(|_| BigInt::from(value).into(), Term::Int))
    }

    /// What follows an atom's tag.
    pub(crate) fn atom_of(&mut self, offset: usize, tag: u8) -> Result<AtomText<'a>> {
        let len = match tag {
            tag::ATOM | tag::ATOM_UTF8 => usize::from(self.u16()?),
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(self.u8()?),
            tag::ATOM_CACHE_REF => return self.cached_atom(offset).map(AtomText::Cached),
            tag => return Err(error(offset, DecodeErrorReason::NotAnAtom { tag })),
        };
        let bytes = self.take(len)?;
        let (text, chars) = match (tag, utf8(bytes)) {
            (tag::ATOM | tag::SMALL_ATOM, Some(ascii)) if ascii.is_ascii() => (AtomText::Utf8(ascii), len),
            (tag::ATOM | tag::SMALL_ATOM, _) => (AtomText::Latin1(bytes), len),
            // As many characters as bytes are the most there can be.
            (_, Some(text)) if len <= Atom::CHARS_MAX => (AtomText::Utf8(text), len),
            (_, Some(text)) => (AtomText::Utf8(text), text.chars().count()),
            (_, None) => return Err(error(offset, DecodeErrorReason::AtomNotUtf8)),
        };
        if chars > Atom::CHARS_MAX {
            return Err(error(offset, DecodeErrorReason::AtomTooLong { chars }));
        }
        Ok(text)
    }

    pub(crate) fn cached_atom(&mut self, offset: usize) -> Result<&'a Atom> {
        let index = self.u8()?;
        let reason = match self.atoms {
            Some(atoms) => match atoms.get(usize::from(index)) {
                Some(atom) => return Ok(atom),
                None => DecodeErrorReason::AtomCacheRef { index, atoms: atoms.len() },
            },
            None => DecodeErrorReason::AtomCacheRefInStored,
        };
        Err(error(offset, reason))
    }

    /// What follows a pid's tag, its node read by `node`.
    pub(crate) fn pid_of<N>(
        &mut self,
        offset: usize,
        tag: u8,
        node: impl FnOnce(&mut Self) -> Result<N>,
    ) -> Result<PidParts<N>> {
        if !matches!(tag, tag::NEW_PID | tag::PID) {
            return Err(error(offset, DecodeErrorReason::NotAPid { tag }));
        }
        let node = node(self)?;
        if tag == tag::NEW_PID
            && let Some((words, rest)) = self.rest.split_first_chunk::<12>()
        {
            self.rest = rest;
            let [id, serial, creation] = [0, 1, 2].map(|at| be_word(words, at));
            return Ok(PidParts { node, id, serial, creation });
        }
        let (id, serial) = (self.u32()?, self.u32()?);
        let creation = if tag == tag::NEW_PID { self.u32()? } else { self.old_creation()? };
        Ok(PidParts { node, id, serial, creation })
    }

    /// What follows a port's tag.
    pub(crate) fn port_of<N>(
        &mut self,
        tag: u8,
        node: impl FnOnce(&mut Self) -> Result<N>,
    ) -> Result<PortParts<N>> {
        let node = node(self)?;
        let id = if tag == tag::V4_PORT { self.u64()? } else { u64::from(self.u32()?) };
        let creation = if tag == tag::PORT { self.old_creation()? } else { self.u32()? };
        Ok(PortParts { node, id, creation })
    }

    /// What follows a reference's tag.
    pub(crate) fn reference_of<N>(
        &mut self,
        offset: usize,
        tag: u8,
        node: impl FnOnce(&mut Self) -> Result<N>,
    ) -> Result<ReferenceParts<N>> {
        let len = if tag == tag::REFERENCE { 1 } else { usize::from(self.u16()?) };
        let max = if tag == tag::NEWER_REFERENCE { Reference::WORDS_MAX } else { OLD_REFERENCE_WORDS_MAX };
        if !(1..=max).contains(&len) {
            return Err(error(offset, DecodeErrorReason::ReferenceWords { words: len, max }));
        }
        let node = node(self)?;
        let mut words = [0; Reference::WORDS_MAX];
        let creation = match tag {
            tag::NEWER_REFERENCE => self.u32()?,
            tag::NEW_REFERENCE => self.old_creation()?,
            _ => 0,
        };
        let words_at = self.at();
        for (word, bytes) in words.iter_mut().zip(self.take(4 * len)?.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        if tag != tag::NEWER_REFERENCE && words[0] >= OLD_REFERENCE_WORD_END {
            return Err(error(words_at, DecodeErrorReason::ReferenceWord { word: words[0] }));
        }
        let creation = if tag == tag::REFERENCE { self.old_creation()? } else { creation };
        Ok(ReferenceParts { node, creation, words, len })
    }

    /// A creation of the tags from before OTP 23, which had two bits for it.
    fn old_creation(&mut self) -> Result<u32> {
        let offset = self.at();
        match self.u8()? {
            creation @ 0..=3 => Ok(u32::from(creation)),
            creation => Err(error(offset, DecodeErrorReason::OldCreation { creation })),
        }
    }
}

impl AtomText<'_> {
    /// The atom.
    pub(crate) fn to_atom(self) -> Atom {
        match self {
            Self::Utf8(text) => Atom::from_checked(text),
            Self::Latin1(bytes) => {
                Atom::from_checked(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>())
            }
            Self::Cached(atom) => atom.clone(),
        }
    }
}

/// One of three words.
#[inline(always)]
fn be_word(bytes: &[u8; 12], at: usize) -> u32 {
    u32::from_be_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]])
}

/// Headers of lists of no elements say nothing (wire.md 8); few write them at all.
pub(crate) fn past_empty_lists(mut bytes: &[u8]) -> &[u8] {
    while let [tag::LIST, 0, 0, 0, 0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Why a tag starts no term.
pub(crate) fn no_term(tag: u8) -> DecodeErrorReason {
    match tag {
        tag::ATOM_CACHE_REF => DecodeErrorReason::AtomCacheRefInStored,
        tag::LOCAL => DecodeErrorReason::LocalTerm,
        tag::OLD_FUN => DecodeErrorReason::OldFun,
        tag::VERSION => DecodeErrorReason::VersionInside,
        tag::COMPRESSED => DecodeErrorReason::CompressedInside,
        tag if tag::INTERNAL.contains(&tag) => DecodeErrorReason::InternalTag { tag },
        tag => DecodeErrorReason::UnknownTag { tag },
    }
}

/// That what starts at `offset` is bad.
#[cold]
pub(crate) fn error(offset: usize, reason: DecodeErrorReason) -> Box<DecodeError> {
    Box::new(DecodeError::new(offset, reason))
}

/// The tags 114 and 101 are from before references could be longer (wire.md 8).
const OLD_REFERENCE_WORDS_MAX: usize = 5;
/// In their first word 18 bits count.
const OLD_REFERENCE_WORD_END: u32 = 1 << 18;
