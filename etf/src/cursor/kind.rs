//! What a term is, by its tag.

use std::fmt;

use crate::tag;

/// What a term is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An integer of at most 32 bits.
    Integer,
    /// An integer written with its length, as those of more than 32 bits are.
    BigInteger,
    /// A float.
    Float,
    /// An atom.
    Atom,
    /// A reference.
    Reference,
    /// An external fun, `fun M:F/A`.
    Export,
    /// A closure.
    Closure,
    /// A port.
    Port,
    /// A process identifier.
    Pid,
    /// A tuple.
    Tuple,
    /// A native record of OTP 29.
    Record,
    /// A map.
    Map,
    /// `[]`.
    Nil,
    /// A list that is not empty, proper or not.
    List,
    /// A binary.
    Binary,
    /// A bit string, of whole bytes or not.
    BitString,
}

impl Kind {
    /// What a tag starts; nothing if no term starts with it.
    pub(super) fn of(tag: u8) -> Option<Self> {
        Some(match tag {
            tag::SMALL_INTEGER | tag::INTEGER => Self::Integer,
            tag::SMALL_BIG | tag::LARGE_BIG => Self::BigInteger,
            tag::FLOAT | tag::NEW_FLOAT => Self::Float,
            tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 | tag::ATOM_CACHE_REF => {
                Self::Atom
            }
            tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => Self::Reference,
            tag::EXPORT => Self::Export,
            tag::NEW_FUN => Self::Closure,
            tag::V4_PORT | tag::NEW_PORT | tag::PORT => Self::Port,
            tag::NEW_PID | tag::PID => Self::Pid,
            tag::SMALL_TUPLE | tag::LARGE_TUPLE => Self::Tuple,
            tag::RECORD => Self::Record,
            tag::MAP => Self::Map,
            tag::NIL => Self::Nil,
            tag::STRING | tag::LIST => Self::List,
            tag::BINARY => Self::Binary,
            tag::BIT_BINARY => Self::BitString,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer | Self::BigInteger => "an integer",
            Self::Float => "a float",
            Self::Atom => "an atom",
            Self::Reference => "a reference",
            Self::Export => "an external fun",
            Self::Closure => "a closure",
            Self::Port => "a port",
            Self::Pid => "a pid",
            Self::Tuple => "a tuple",
            Self::Record => "a native record",
            Self::Map => "a map",
            Self::Nil => "[]",
            Self::List => "a list",
            Self::Binary => "a binary",
            Self::BitString => "a bit string",
        })
    }
}
