//! What may not be sent.

/// A term that every BEAM refuses: it would close the connection on which the term comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A tuple of more than [`Self::TUPLE_ARITY_MAX`] elements.
    #[error("a tuple of {arity} elements; the limit is {max}", max = Self::TUPLE_ARITY_MAX)]
    TupleArity {
        /// How many it has.
        arity: usize,
    },
    /// An integer whose magnitude has more than [`Self::INTEGER_BYTES_MAX`].
    #[error("an integer of {bytes} bytes; the limit is {max}", max = Self::INTEGER_BYTES_MAX)]
    IntegerTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// A closure over more than [`Self::FREE_VARIABLES_MAX`] values.
    #[error("a closure over {free} values; the limit is {max}", max = Self::FREE_VARIABLES_MAX)]
    FreeVariables {
        /// How many.
        free: usize,
    },
}

impl EncodeError {
    /// The elements of the largest tuple that a BEAM has.
    pub const TUPLE_ARITY_MAX: usize = (1 << 24) - 1;
    /// The bytes of the largest integer that OTP 26 and later take; older ones took 4 MiB less 8 bytes.
    pub const INTEGER_BYTES_MAX: usize = 524_280;
    /// How many values a BEAM's closure has at most.
    pub const FREE_VARIABLES_MAX: usize = 255;
}
