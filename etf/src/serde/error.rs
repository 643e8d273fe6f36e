//! Why a value and a term do not go together.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    io,
};

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

use crate::{Atom, DecodeErrorReason};

/// A term that a Rust type does not take, or a Rust value that no term stands for.
///
/// It says where: the offset in the bytes, and the way there through the value, as `root.field[2]`.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: ErrorReason,
    offset: Option<usize>,
    inflated: bool,
    /// From the innermost outwards, as it is gathered.
    path: Vec<Segment>,
}

/// One step of the way to an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// The value of a key that is text: the field of a struct.
    Field(String),
    /// The value of another key, as Erlang prints that.
    Key(String),
    /// An element of a list or tuple, from 0.
    Index(usize),
}

/// What is wrong: first the faults of the one who wrote the bytes, then those of the one who asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorReason {
    /// The bytes are no term, or one past a limit of [`Options::limits`](super::Options::limits).
    #[error(transparent)]
    Bytes(#[from] DecodeErrorReason),
    /// The term nests values deeper than [`Options::nesting_max`](super::Options::nesting_max).
    #[error("values nested deeper than {max}")]
    Nesting {
        /// The limit.
        max: usize,
    },
    /// The term is of another kind than the type.
    #[error("expected {expected}, found {found}")]
    Shape {
        /// What the type takes.
        expected: String,
        /// What there is.
        found: String,
    },
    /// An Elixir struct of another module.
    #[error("expected a struct of {expected}, found one of {found}")]
    Struct {
        /// The module that the type is for.
        expected: String,
        /// The module that the term names.
        found: String,
    },
    /// A field that the type needs is not there.
    #[error("the field {field} is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// The type itself says so: a number out of its range, a variant or field that it does not have.
    #[error("{0}")]
    Value(String),

    /// A float that is infinite or not a number, which Erlang does not have.
    #[error("a float that is not finite")]
    FloatNotFinite,
    /// The name of a field or variant, or a key, that is longer than an atom may be.
    #[error("an atom of {chars} characters; the limit is {max}", max = Atom::CHARS_MAX)]
    AtomTooLong {
        /// How many it has.
        chars: usize,
    },
    /// A map with the same key twice, for which a BEAM would close the connection.
    #[error("a map has the same key twice")]
    DuplicateKey,
    /// More elements, fields or bytes than the format has room for.
    #[error("{len} elements, fields or bytes; the limit is {max}")]
    TooLong {
        /// How many there are.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The value announced another number of elements than it has.
    #[error("a value announced {announced} elements and had {found}")]
    Length {
        /// How many it announced.
        announced: usize,
        /// How many came.
        found: usize,
    },
    /// Writing the bytes failed.
    #[error("{0}")]
    Io(io::Error),
}

impl Error {
    pub(super) fn new(reason: ErrorReason) -> Self {
        Self(Box::new(Inner { reason, offset: None, inflated: false, path: Vec::new() }))
    }

    /// A term of another kind.
    #[cold]
    pub(super) fn shape(expected: &dyn Expected, found: impl Into<String>) -> Self {
        Self::new(ErrorReason::Shape { expected: expected.to_string(), found: found.into() })
    }

    #[cold]
    pub(super) fn expected(expected: &str, found: impl Into<String>) -> Self {
        Self::new(ErrorReason::Shape { expected: expected.into(), found: found.into() })
    }

    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> &ErrorReason {
        &self.0.reason
    }

    /// Where in the bytes the term at fault starts; nothing for a value that was written or a term that was not
    /// read from bytes.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// Whether the offset counts from the start of the inflated bytes of a compressed term.
    #[must_use]
    pub fn is_in_inflated(&self) -> bool {
        self.0.inflated
    }

    /// The way from the whole value to what is at fault.
    pub fn path(&self) -> impl ExactSizeIterator<Item = &Segment> {
        self.0.path.iter().rev()
    }

    /// Says where, unless something further in already has.
    #[cold]
    pub(super) fn at(mut self, offset: Option<usize>) -> Self {
        self.0.offset = self.0.offset.or(offset);
        self
    }

    #[cold]
    pub(super) fn in_inflated(mut self) -> Self {
        self.0.inflated = true;
        self
    }

    /// Says one more step of the way, from inside outwards.
    #[cold]
    pub(super) fn inside(mut self, segment: Segment) -> Self {
        self.0.path.push(segment);
        self
    }
}

/// `at byte 12, root.users[2].name: expected a string, found the atom none`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reason, offset, inflated, path } = &*self.0;
        if let Some(offset) = offset {
            write!(f, "at byte {offset}{}, ", if *inflated { " of the inflated term" } else { "" })?;
        }
        if offset.is_some() || !path.is_empty() {
            f.write_str("root")?;
            for segment in path.iter().rev() {
                write!(f, "{segment}")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{reason}")
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => {
                f.write_char('.')?;
                f.write_str(name)
            }
            Self::Key(key) => write!(f, "[{key}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.reason {
            ErrorReason::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorReason::Value(message.to_string()))
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::shape(expected, found.to_string())
    }

    #[cold]
    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Self::shape(expected, format!("{len} elements"))
    }

    #[cold]
    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorReason::MissingField { field })
    }
}

impl ser::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorReason::Value(message.to_string()))
    }
}

/// Text for a message, cut where it is long.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    /// Enough to know it again.
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}
