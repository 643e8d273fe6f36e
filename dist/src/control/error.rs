//! What can be wrong with a control message.

use crate::{Arity, Op};

/// A control message that breaks the protocol. The connection ends with it (wire.md 10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The control term is no tuple, or an empty one.
    #[error("the control message is no tuple with an operation")]
    NotATuple,
    /// The operation is no small integer.
    #[error("the operation of the control message is no number")]
    OpNotANumber,
    /// No release has this operation.
    #[error("unknown operation {number}")]
    UnknownOp {
        /// The number on the wire.
        number: i64,
    },
    /// The tuple has too few or too many elements.
    #[error("{op} has {got} elements, not {expected}")]
    Arity {
        /// The operation.
        op: Op,
        /// How many elements there are.
        got: usize,
        /// How many there must be.
        expected: Arity,
    },
    /// An element is of another type.
    #[error("element {element} of {op} is no {expected}")]
    Type {
        /// The operation.
        op: Op,
        /// Which element, counted from 1 as Erlang counts.
        element: usize,
        /// What it must be.
        expected: Kind,
    },
    /// An ALTACT_SIG_SEND to an alias and to a name at once.
    #[error("{} to an alias and to a name at once", Op::AltactSigSend)]
    AliasAndName,
}

/// What an element of a control tuple must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pid.
    Pid,
    /// An atom.
    Atom,
    /// A reference.
    Reference,
    /// A pid or a registered name.
    PidOrName,
    /// A pid, or an atom that says what went wrong.
    PidOrError,
    /// `{Module, Function, Arity}`.
    Mfa,
    /// An unlink id: 1 to 2⁶⁴ − 1.
    UnlinkId,
    /// Flags of a spawn reply: 0 to 2²⁷ − 1.
    SpawnReplyFlags,
    /// A non-negative integer.
    Flags,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pid => "pid",
            Self::Atom => "atom",
            Self::Reference => "reference",
            Self::PidOrName => "pid or name",
            Self::PidOrError => "pid or error atom",
            Self::Mfa => "{Module, Function, Arity}",
            Self::UnlinkId => "integer of 1 to 2^64-1",
            Self::SpawnReplyFlags => "integer of 0 to 2^27-1",
            Self::Flags => "non-negative integer",
        })
    }
}
