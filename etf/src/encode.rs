//! Terms to bytes of the external term format (wire.md 8), as OTP 26 and later write them.
//!
//! A term comes in two forms, which differ in more than the first byte. Stored, as `term_to_binary` makes it, it
//! starts with 131, and [`EncodeOptions`] are what `term_to_binary/2` has: compressed, for older readers, local. In a
//! distribution message (wire.md 4.2) it has no 131, nothing is compressed, and ports are written as every release
//! reads them. [`encode`] and [`encode_stored_into`] write the one form, [`encode_into`] and [`try_encode_into`] the
//! other.
//!
//! Maps are written in map-key order, so equal terms have equal bytes: those of `term_to_binary/2` with
//! `deterministic`.
//!
//! Writing takes no stack for the levels of a term.

mod buffer;
pub use buffer::EncodeBuffer;
mod compress;
mod error;
pub use error::EncodeError;
mod form;
pub use form::AtomTable;
use form::{Bare, Cached, Stored};
mod options;
pub use options::{EncodeOptions, MinorVersion};
mod segments;
pub use segments::{Mark, Segments};
mod stack;
mod writer;
use writer::Writer;

use std::cell::RefCell;

use crate::{Term, tag};

/// The term as `erlang:term_to_binary/1` stores it: 131 first, not compressed.
///
/// [`EncodeOptions`] has what `term_to_binary/2` can be told.
///
/// # Panics
/// As [`encode_stored_into`].
#[must_use]
pub fn encode(term: &Term) -> Vec<u8> {
    let mut out = Vec::new();
    encode_stored_into(term, &mut out);
    out
}

/// Appends the bytes of [`encode`]: into a buffer that is used again and again nothing is allocated.
///
/// Every term has an encoding. What is larger than any BEAM takes (see [`EncodeError`]) is written all the same, and
/// read back by [`decode`](crate::decode()) only where its limits allow it.
///
/// # Panics
/// For a tuple, list or map of 2^32 elements, which would have taken 128 GiB of memory.
pub fn encode_stored_into(term: &Term, out: &mut impl EncodeBuffer) {
    let _larger_than_a_beam_takes = Writer::new(out, Stored).write(&[tag::VERSION], term);
}

/// Appends the term without a leading 131, as it stands in a distribution message.
///
/// The bytes are those of [`encode`] but for ports with a number below 2^28. In here they get the tag that every
/// release reads: OTP 23 closes the connection on the newer one.
///
/// Into [`Segments`] large binaries are not copied.
///
/// What is larger than any BEAM takes is written all the same, and a BEAM closes the connection it comes on. Such a
/// term can only have been built here; where that could be, use [`try_encode_into`], which costs no more.
///
/// # Panics
/// For a tuple, list or map of 2^32 elements, which would have taken 128 GiB of memory.
pub fn encode_into(term: &Term, out: &mut impl EncodeBuffer) {
    let _larger_than_a_beam_takes = Writer::new(out, Bare).write(&[], term);
}

/// As [`encode_into`], but refuses what every BEAM refuses. Of such a term nothing is left in the buffer.
///
/// # Panics
/// For a tuple, list or map of 2^32 elements, which would have taken 128 GiB of memory.
pub fn try_encode_into(term: &Term, out: &mut impl EncodeBuffer) -> Result<(), EncodeError> {
    Writer::new(out, Bare).write_or_rewind(&[], term)
}

/// As [`try_encode_into`], for a message with a distribution header: atoms that `atoms` gives a number for are written
/// as references to it.
///
/// # Panics
/// For a tuple, list or map of 2^32 elements, which would have taken 128 GiB of memory.
pub fn try_encode_cached_into(
    term: &Term,
    atoms: &mut impl AtomTable,
    out: &mut impl EncodeBuffer,
) -> Result<(), EncodeError> {
    Writer::new(out, Cached(&RefCell::new(atoms))).write_or_rewind(&[], term)
}

#[cfg(test)]
mod tests;
