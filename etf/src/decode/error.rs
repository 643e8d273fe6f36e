//! Why bytes are no term.

use crate::{Atom, cursor::Kind};

/// Bytes that are no term, or one that goes past a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}{}: {reason}", if *.inflated { " of the inflated term" } else { "" })]
pub struct DecodeError {
    /// Where: the offset of the term, or of the part of it, that is at fault.
    pub offset: usize,
    /// Whether the offset counts from the start of the inflated bytes of a compressed term.
    pub inflated: bool,
    /// Why.
    pub reason: DecodeErrorReason,
}

impl DecodeError {
    pub(crate) fn new(offset: usize, reason: DecodeErrorReason) -> Self {
        Self { offset, inflated: false, reason }
    }

    pub(super) fn in_inflated(self) -> Self {
        Self { inflated: true, ..self }
    }
}

/// What is wrong with the bytes.
///
/// First what no Erlang node would write, then what ours does not take, then limits of [`crate::DecodeLimits`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorReason {
    /// The input ends inside a term.
    #[error("the input ends too early: {left} bytes are left where {needed} or more are needed")]
    Truncated {
        /// How many bytes are needed at least.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A stored term does not start with 131.
    #[error("a stored term starts with 131, this with {found}")]
    NoVersion {
        /// The first byte.
        found: u8,
    },
    /// There are bytes after the term.
    #[error("{bytes} bytes follow the term")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// No term starts with this byte.
    #[error("there is no tag {tag}")]
    UnknownTag {
        /// The byte.
        tag: u8,
    },
    /// Another kind of term than was asked for ([`crate::cursor`]).
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was asked for.
        expected: &'static str,
        /// What there is.
        found: Kind,
    },
    /// An atom that is not UTF-8 though its tag says so.
    #[error("an atom is not UTF-8")]
    AtomNotUtf8,
    /// An atom of more characters than any may have.
    #[error("an atom of {chars} characters; the limit is {max}", max = Atom::CHARS_MAX)]
    AtomTooLong {
        /// How many it has.
        chars: usize,
    },
    /// An atom cache reference to a place that the header does not fill.
    #[error("atom cache reference {index}, but the header names {atoms} atoms")]
    AtomCacheRef {
        /// The place.
        index: u8,
        /// How many there are.
        atoms: usize,
    },
    /// Another term where the format has an atom.
    #[error("tag {tag} where an atom must stand")]
    NotAnAtom {
        /// The tag.
        tag: u8,
    },
    /// Another term where the format has an integer of at most 32 bits.
    #[error("tag {tag} where an integer of at most 32 bits must stand")]
    NotAnInteger {
        /// The tag.
        tag: u8,
    },
    /// Another term where the format has a pid.
    #[error("tag {tag} where a pid must stand")]
    NotAPid {
        /// The tag.
        tag: u8,
    },
    /// A float that is infinite or not a number.
    #[error("a float that is not finite")]
    FloatNotFinite,
    /// The text of an old float is none.
    #[error("the text of a float is malformed")]
    FloatText,
    /// A tuple of more than 16,777,215 elements.
    #[error("a tuple of {arity} elements; the limit is 16777215")]
    TupleArity {
        /// How many it has.
        arity: u32,
    },
    /// An external fun of an impossible arity.
    #[error("an external fun of arity {arity}")]
    ExportArity {
        /// The arity.
        arity: i32,
    },
    /// A closure over more than 255 values.
    #[error("a closure over {free} values; the limit is 255")]
    FreeVariables {
        /// How many.
        free: u32,
    },
    /// A bit string with an impossible count of bits in its last byte.
    #[error("a bit string of {bytes} bytes with {last_bits} bits in the last")]
    BitCount {
        /// How many bytes it has.
        bytes: usize,
        /// How many bits of the last one count.
        last_bits: u8,
    },
    /// A creation past 3 under a tag that has two bits for it.
    #[error("creation {creation} under an old tag, which has two bits for it")]
    OldCreation {
        /// The creation.
        creation: u8,
    },
    /// A reference without words or with too many.
    #[error("a reference of {words} words; there may be 1 to {max}")]
    ReferenceWords {
        /// How many it has.
        words: usize,
        /// How many its tag allows.
        max: usize,
    },
    /// A first word past 18 bits under a tag that has no more.
    #[error("reference word {word} under an old tag, which has 18 bits for it")]
    ReferenceWord {
        /// The word.
        word: u32,
    },
    /// A map with the same key twice.
    #[error("a map has the same key twice")]
    DuplicateKey,
    /// A 131 where a term inside another, or of a distribution message, must start.
    #[error("131 inside a term")]
    VersionInside,
    /// A compressed term inside another, or in a distribution message.
    #[error("a compressed term where none may be")]
    CompressedInside,
    /// The zlib stream of a compressed term is damaged.
    #[error("the zlib stream is damaged")]
    Zlib,
    /// A compressed term does not inflate to the size it declares.
    #[error("a compressed term does not inflate to the {declared} bytes it declares")]
    InflatedSize {
        /// The size.
        declared: usize,
    },
    /// An atom cache reference in a stored term, which has no header.
    #[error("an atom cache reference in a stored term")]
    AtomCacheRefInStored,
    /// A term that only the runtime that wrote it can read (`term_to_binary` with `local`), where there is no
    /// [`crate::LocalKey`] to read it by.
    #[error("a local term, which only the runtime that wrote it can read")]
    LocalTerm,
    /// A local term that another program wrote, or this one with another [`crate::LocalKey`], or that was changed.
    #[error("a local term of another runtime, or a damaged one")]
    ForeignLocalTerm,
    /// An atom that is not among those of [`crate::Known`].
    #[error("the atom '{atom}' is not known", atom = .atom.as_str())]
    UnknownAtom {
        /// The atom.
        atom: Atom,
    },
    /// An external fun that is not among those of [`crate::Known`].
    #[error("the function {}:{}/{arity} is not known", .module.as_str(), .function.as_str())]
    UnknownFunction {
        /// Its module.
        module: Atom,
        /// Its name.
        function: Atom,
        /// How many arguments it takes.
        arity: u8,
    },
    /// A tag that the BEAM has for itself and never sends.
    #[error("tag {tag}, which the BEAM keeps to itself")]
    InternalTag {
        /// The tag.
        tag: u8,
    },
    /// A closure in the form from before OTP 23.
    #[error("a closure in the form from before OTP 23")]
    OldFun,
    /// Deeper than [`crate::DecodeLimits::depth_max`].
    #[error("nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// More terms than [`crate::DecodeLimits::elements_max`].
    #[error("more than {max} terms")]
    TooManyElements {
        /// The limit.
        max: usize,
    },
    /// More atoms than [`crate::DecodeLimits::atoms_max`].
    #[error("more than {max} atoms")]
    TooManyAtoms {
        /// The limit.
        max: usize,
    },
    /// More input than [`crate::DecodeLimits::bytes_max`].
    #[error("{bytes} bytes; the limit is {max}")]
    TooManyBytes {
        /// How many there are.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More than [`crate::DecodeLimits::inflated_bytes_max`].
    #[error("a compressed term of {bytes} bytes; the limit is {max}")]
    InflatedTooLarge {
        /// How many it says it has.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An integer of more than [`crate::DecodeLimits::bigint_bytes_max`].
    #[error("an integer of {bytes} bytes; the limit is {max}")]
    IntegerTooLarge {
        /// How many it has.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
