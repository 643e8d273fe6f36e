//! What `term_to_binary/2` can be told.

use crate::{
    EncodeBuffer, LocalKey, Term,
    encode::{compress, form::Custom, writer::Writer},
    tag,
};

/// How a stored term is written: the options of `erlang:term_to_binary/2`.
///
/// The default writes the bytes of [`encode`](crate::encode). There is nothing for `deterministic`, because
/// maps are always written in the order that it asks for.
///
/// ```
/// use crabnode_etf::{EncodeOptions, MinorVersion, Term, encode};
///
/// let term = Term::list(vec![Term::atom("a"); 100]);
/// let short = EncodeOptions { compressed: EncodeOptions::COMPRESSED, ..Default::default() };
/// assert!(short.encode(&term).len() < 50);
/// let old = EncodeOptions { minor_version: MinorVersion::V1, ..Default::default() };
/// assert_eq!(old.encode(&Term::atom("é")), [131, 100, 0, 1, 0xe9]);
/// assert_eq!(encode(&Term::atom("é")), [131, 119, 2, 0xc3, 0xa9]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncodeOptions {
    /// How hard to try to make it shorter, 1 to 9; 0, the default, does not. More counts as 9.
    ///
    /// A term that does not become shorter, or at least no longer, is written as it is.
    pub compressed: u8,
    /// For which readers.
    pub minor_version: MinorVersion,
    /// Whether it is for this program alone, and then what tells it from others.
    pub local: Option<LocalKey>,
}

/// The versions of the format that OTP still writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum MinorVersion {
    /// Floats are text (tag 99) and atoms Latin-1 where it has all their characters (tag 100).
    V0,
    /// Atoms are Latin-1 where it has all their characters (tag 100). What OTP 25 and earlier write.
    V1,
    /// Atoms are UTF-8. What OTP 26 and later write.
    #[default]
    V2,
}

impl EncodeOptions {
    /// The level that `compressed` without a number means.
    pub const COMPRESSED: u8 = 6;

    /// The term as `erlang:term_to_binary/2` stores it.
    ///
    /// # Panics
    /// As [`encode_stored_into`](crate::encode_stored_into()).
    #[must_use]
    pub fn encode(&self, term: &Term) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_stored_into(term, &mut out);
        out
    }

    /// Appends the bytes of [`Self::encode`].
    ///
    /// # Panics
    /// As [`encode_stored_into`](crate::encode_stored_into()).
    pub fn encode_stored_into(&self, term: &Term, out: &mut Vec<u8>) {
        if *self == Self::default() {
            return super::encode_stored_into(term, out);
        }
        out.push(tag::VERSION);
        let start = out.len();
        if let Some(key) = &self.local {
            out.extend_from_slice(&[tag::LOCAL, 0, 0, 0, 0]);
            let term_at = out.len();
            self.write(term, out);
            let hash = key.hash(&out[term_at..]);
            out[term_at - hash.len()..term_at].copy_from_slice(&hash);
        } else {
            self.write(term, out);
        }
        if self.compressed > 0 {
            compress::compress(out, start, self.compressed);
        }
    }

    fn write(&self, term: &Term, out: &mut impl EncodeBuffer) {
        let form = Custom { minor_version: self.minor_version, local: self.local.as_ref() };
        let _larger_than_a_beam_takes = Writer::new(out, form).write(&[], term);
    }
}
