//! What is decoded: bytes that terms may keep, or bytes that they may not.

use bytes::Bytes;

/// Bytes to decode.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Bytes that a term may keep: its binaries are slices of them.
    Shared(&'a Bytes),
    /// Bytes that are used again: the first binary that is not short enough to lie in its term copies all of them.
    /// For short messages, most of which have none such.
    Borrowed(&'a [u8]),
}

impl<'a> Input<'a> {
    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Borrowed(bytes) => bytes,
        }
    }

    pub(super) fn to_shared(self) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.clone(),
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

impl<'a> From<&'a Bytes> for Input<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Shared(bytes)
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}
