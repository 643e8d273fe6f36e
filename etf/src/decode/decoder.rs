//! Decoding one term after the other of the same sender.

use bytes::Bytes;

use super::{Asked, Result, bare, names::Memory, no_trailing, stored_prefix};
use crate::{Atom, DecodeError, DecodeLimits, Term};

/// Decodes the terms of one sender, whose messages have the same short atoms and the same nodes again and again: those
/// are remembered, and found faster than read, and the identifiers of all its terms share their node's name.
///
/// It decides nothing: each term is what [`decode`](crate::decode) and its like make of the same bytes, with the same
/// errors. It takes at most 4 KiB, however long it is used.
///
/// ```
/// use bytes::Bytes;
/// use crabnode_etf::{DecodeLimits, Decoder, Term};
///
/// let mut decoder = Decoder::new(DecodeLimits::default());
/// for _ in 0..2 {
///     let bytes = Bytes::from_static(&[131, 119, 5, b'h', b'e', b'l', b'l', b'o']);
///     assert_eq!(decoder.decode(&bytes)?, Term::atom("hello"));
/// }
/// # Ok::<(), crabnode_etf::DecodeError>(())
/// ```
pub struct Decoder {
    limits: DecodeLimits,
    memory: Memory,
}

impl Decoder {
    /// One that has read nothing. Its limits are for each term.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self { limits, memory: Memory::of_many_terms() }
    }

    /// The limits for each term.
    #[must_use]
    pub fn limits(&self) -> &DecodeLimits {
        &self.limits
    }

    /// As [`decode`](crate::decode): a stored term.
    pub fn decode(&mut self, input: &Bytes) -> Result<Term, DecodeError> {
        no_trailing(input, self.decode_prefix(input)?)
    }

    /// As [`decode_prefix`](crate::decode_prefix): the stored term that `input` starts with, and how many bytes it took.
    pub fn decode_prefix(&mut self, input: &Bytes) -> Result<(Term, usize), DecodeError> {
        stored_prefix(input, &self.limits, Asked::default(), &mut self.memory)
    }

    /// As [`decode_bare`](crate::decode_bare): a term of a distribution message, and where it ends.
    pub fn decode_bare(
        &mut self,
        input: &Bytes,
        at: usize,
        atoms: &[Atom],
    ) -> Result<(Term, usize), DecodeError> {
        bare(input, at, atoms, &self.limits, &mut self.memory)
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
