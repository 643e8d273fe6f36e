//! Decoding one term after the other of the same sender.

use bytes::Bytes;

use super::{Asked, Input, Memory, Result, bare, bare_tuple, no_trailing, stored_prefix};
use crate::{Atom, DecodeError, DecodeLimits, Term};

/// Decodes the terms of one sender, whose messages have the same short atoms and the same nodes again and again: those
/// are remembered, and found faster than read, and the identifiers of all its terms share their node's name.
///
/// Short terms that come one after the other share memory, in blocks of 4 KiB: one that is kept for long keeps its block.
///
/// It decides nothing: each term is what [`decode`](crate::decode) and its like make of the same bytes, with the same
/// errors. It takes at most 8 KiB, however long it is used.
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

    /// Gives back the memory that was kept for the next terms, for when none may come for long. What is remembered of
    /// names stays.
    pub fn shrink(&mut self) {
        self.memory.slab.forget();
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
        let decoded = stored_prefix(input, &self.limits, Asked::default(), &mut self.memory);
        self.memory.slab.end_term();
        decoded
    }

    /// As [`decode_bare`](crate::decode_bare): a term of a distribution message, and where it ends.
    pub fn decode_bare<'a>(
        &mut self,
        input: impl Into<Input<'a>>,
        at: usize,
        atoms: &[Atom],
    ) -> Result<(Term, usize), DecodeError> {
        let decoded = bare(input.into(), at, atoms, &self.limits, &mut self.memory);
        self.memory.slab.end_term();
        decoded
    }
}

impl Decoder {
    /// As [`Self::decode_bare`], for a term that should be a tuple and is taken apart at once, as control messages
    /// are: its elements are put at the end of a buffer, which can be used again. Gives where the term ends; nothing
    /// where it is no tuple, and then nothing is put there either, nor after an error.
    pub fn decode_tuple<'a>(
        &mut self,
        input: impl Into<Input<'a>>,
        at: usize,
        atoms: &[Atom],
        elements: &mut Vec<Term>,
    ) -> Result<Option<usize>, DecodeError> {
        let before = elements.len();
        let result = bare_tuple(input.into(), at, atoms, &self.limits, &mut self.memory, elements);
        self.memory.slab.end_term();
        if !matches!(result, Ok(Some(_))) {
            elements.truncate(before);
        }
        result
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_bare, encode_into, term, text::parse_term};

    /// A tuple in a buffer is the tuple, and what is wrong with it is the same.
    #[test]
    fn a_tuple_in_a_buffer_is_the_tuple() {
        let cache = ["ok", "a@b"].map(Atom::from);
        let large = Term::tuple((0..300).map(Term::from).collect::<Vec<_>>());
        let texts = [
            "{6,{a,[b|c]},'',sink}",
            "{}",
            "{{}}",
            "[a]",
            "a",
            "#{a => {b}}",
            "{\"abc\",<<1,2>>,<<\"a binary that does not fit a term\">>,<<\"and another one that does not\">>}",
        ];
        let terms = texts.map(|text| parse_term(text).expect("a term")).into_iter().chain([large]);
        let mut all: Vec<Vec<u8>> = terms
            .map(|term| {
                let mut bytes = Vec::new();
                encode_into(&term, &mut bytes);
                bytes
            })
            .collect();
        all.push(vec![104, 2, 82, 1, 88, 82, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        let narrow = DecodeLimits { depth_max: 1, elements_max: 5, ..DecodeLimits::default() };
        let none = DecodeLimits { depth_max: 0, ..DecodeLimits::default() };
        for limits in [DecodeLimits::default(), narrow, none] {
            let mut decoder = Decoder::new(limits.clone());
            for bytes in &all {
                for end in 0..=bytes.len() {
                    let input = Bytes::copy_from_slice(&bytes[..end]);
                    let mut elements = vec![term!(before)];
                    let got = match end % 2 {
                        0 => decoder.decode_tuple(&input, 0, &cache, &mut elements),
                        _ => decoder.decode_tuple(&input[..], 0, &cache, &mut elements),
                    };
                    match decode_bare(&input, 0, &cache, &limits) {
                        Ok((Term::Tuple(tuple), end)) => {
                            assert_eq!((got, &elements[1..]), (Ok(Some(end)), &tuple[..]));
                        }
                        Ok(_) => assert_eq!((got, elements.len()), (Ok(None), 1)),
                        Err(error) => assert_eq!((got, elements.len()), (Err(error), 1)),
                    }
                }
            }
        }
    }
}
