//! Binaries and bit strings.

use std::{fmt, hash::Hash, hash::Hasher, ops::Deref, sync::Arc};

use bytes::Bytes;

use crate::decode::short::Short;

/// A binary.
///
/// Short ones are stored inline; longer ones are a slice of the buffer they were decoded from, or of the
/// [`Bytes`] they were made of, and are never copied by a clone.
#[derive(Clone)]
pub struct Binary(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Binary::INLINE_MAX] },
    Shared { owner: Arc<Bytes>, start: u32, len: u32 },
}

impl Binary {
    /// The longest binary that is stored inline, in bytes: what fits into a [`Term`](crate::Term) of 32.
    pub const INLINE_MAX: usize = 22;

    /// A copy of the bytes.
    #[must_use]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Bytes::copy_from_slice(bytes).into())
    }

    fn inline(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; Self::INLINE_MAX];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "at most 22")]
        let len = bytes.len() as u8;
        Some(Self(Repr::Inline { len, bytes: all }))
    }

    /// A binary of at most [`Self::INLINE_MAX`] bytes, given as words.
    #[inline]
    pub(crate) fn from_short([a, b, c]: Short, len: usize) -> Self {
        let ([a, b], c) = ([a, b].map(u64::to_le_bytes), c.to_le_bytes());
        let mut bytes = [0; Self::INLINE_MAX];
        bytes[..8].copy_from_slice(&a);
        bytes[8..16].copy_from_slice(&b);
        bytes[16..].copy_from_slice(&c[..Self::INLINE_MAX - 16]);
        #[expect(clippy::cast_possible_truncation, reason = "at most 22")]
        let len = len as u8;
        Self(Repr::Inline { len, bytes })
    }

    /// A slice of a shared buffer: copied if short, else kept as a slice, which keeps the buffer alive.
    ///
    /// # Panics
    /// When the range is not inside `owner`, or lies past 4 GiB.
    pub(crate) fn slice_of(owner: &Arc<Bytes>, range: std::ops::Range<usize>) -> Self {
        let bytes = &owner[range.clone()];
        Self::inline(bytes).unwrap_or_else(|| {
            let start = u32::try_from(range.start).expect("terms are decoded from at most 4 GiB");
            let len = u32::try_from(bytes.len()).expect("terms are decoded from at most 4 GiB");
            Self(Repr::Shared { owner: Arc::clone(owner), start, len })
        })
    }

    /// The bytes if they are stored inline, with what fills up their place, and how many count.
    #[inline]
    pub(crate) fn as_inline(&self) -> Option<(&[u8; Self::INLINE_MAX], u8)> {
        match &self.0 {
            Repr::Inline { len, bytes } => Some((bytes, *len)),
            Repr::Shared { .. } => None,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared { owner, start, len } => &owner[*start as usize..][..*len as usize],
        }
    }

    /// The bytes as a [`Bytes`], without a copy unless they are stored inline.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Inline { .. } => Bytes::copy_from_slice(self.as_slice()),
            Repr::Shared { owner, start, len } => owner.slice(*start as usize..(*start + *len) as usize),
        }
    }

    /// The bytes as UTF-8 text, which is what Elixir calls a string.
    #[must_use]
    pub fn as_utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.as_slice()).ok()
    }
}

/// # Panics
/// For 4 GiB or more, which no peer could receive.
impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        Self::slice_of(&Arc::new(bytes), 0..len)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl From<&str> for Binary {
    fn from(text: &str) -> Self {
        Self::copy_from_slice(text.as_bytes())
    }
}

impl Deref for Binary {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Binary {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Binary {}

impl Hash for Binary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Binary").field(&bytes::Bytes::copy_from_slice(self)).finish()
    }
}

/// A bit string whose length is not a whole number of bytes; a whole one is a [`Binary`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BitString {
    bytes: Binary,
    last_bits: u8,
}

impl BitString {
    /// A bit string of `bytes`, of whose last one the upper `last_bits` (1 to 7) count.
    /// Nothing for other counts or no bytes. Bits that do not count are cleared, as the BEAM does.
    #[must_use]
    pub fn new(bytes: &[u8], last_bits: u8) -> Option<Self> {
        if !(1..=7).contains(&last_bits) {
            return None;
        }
        let mut bytes = bytes.to_vec();
        *bytes.last_mut()? &= 0xffu8 << (8 - last_bits);
        Some(Self { bytes: bytes.into(), last_bits })
    }

    /// The bytes; of the last one the upper [`BitString::last_bits`] count, the others are 0.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The same.
    pub(crate) fn as_binary(&self) -> &Binary {
        &self.bytes
    }

    /// How many bits of the last byte count, 1 to 7.
    #[must_use]
    pub fn last_bits(&self) -> u8 {
        self.last_bits
    }
}
