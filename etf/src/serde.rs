//! Terms to and from Rust types, by serde.
//!
//! ```
//! use crabnode_etf::{Pid, serde::{from_bytes, to_vec}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "snake_case")]
//! enum Request<'a> {
//!     Stop,
//!     Put(&'a str, i64),
//!     Search { text: &'a str, limit: Option<u32> },
//! }
//!
//! // {put, <<"answer">>, 42}
//! let bytes = to_vec(&Request::Put("answer", 42))?;
//! assert_eq!(bytes, b"\x83\x68\x03\x77\x03put\x6d\0\0\0\x06answer\x61\x2a");
//! // The text is not copied: it lies in `bytes`.
//! assert_eq!(from_bytes::<Request>(&bytes)?, Request::Put("answer", 42));
//!
//! // What is wrong is said with its place: in the bytes, and in the value.
//! let error = from_bytes::<Vec<(Pid, u8)>>(b"\x83\x6c\0\0\0\x01\x68\x02\x61\x01\x61\x02\x6a").unwrap_err();
//! assert_eq!(error.to_string(), "at byte 8, root[0][0]: expected a pid, found 1");
//! # Ok::<(), crabnode_etf::serde::Error>(())
//! ```
//!
//! # What stands for what
//!
//! | Rust | is written as | and read from |
//! |---|---|---|
//! | integers up to 128 bits | an integer | an integer in the type's range |
//! | `f32`, `f64` | a float; an error if not finite | a float or an integer |
//! | `bool` | `true`, `false` | the same |
//! | `String`, `&str` | a binary, see [`Options::strings`] | a UTF-8 binary, a charlist, an atom that is not `nil` or `undefined` |
//! | `char` | its code point | a code point, or text of one character |
//! | bytes (`serde_bytes`, [`bytes`], [`Binary`](crate::Binary)) | a binary | a binary, a list of bytes |
//! | `Option` | `nil`, see [`Options::none`], or the value | `nil`, `undefined`, or the value |
//! | `()` | `ok` | `ok`, `nil`, `undefined`, `{}`, `[]` |
//! | tuple, array | a tuple | a tuple or a list of that size |
//! | `Vec`, set | a list | a list, a tuple, a binary as its bytes |
//! | map | a map | a map, a list of properties; Elixir's `__struct__` is passed over |
//! | struct | a map, see [`Options::structs`] | a map whose keys are atoms, binaries or charlists; a list of properties; a record |
//! | newtype struct | what it holds | the same |
//! | unit struct | an atom | the same |
//! | enum: unit variant | an atom | an atom, or text |
//! | enum: newtype variant | `{tag, Value}`, the bare tag if it holds `()` | the same |
//! | enum: tuple variant | `{tag, A, B}` | the same |
//! | enum: struct variant | `{tag, #{field => Value}}` | the same, also with a list of properties |
//! | `Result` | `{ok, Value}`, `{error, Reason}`; `Ok(())` is `ok` | the same |
//! | [`Term`], [`Atom`](crate::Atom), [`Pid`](crate::Pid), ... | itself | itself |
//!
//! Names are written as they are; `#[serde(rename_all = "snake_case")]` makes them Erlang's. A list of properties is
//! what Elixir calls a keyword list: `[{Key, Value}, Flag]`, where of several with one key the first counts.
//! Elixir's own structs for dates and times, ranges and sets are in [`elixir`].
//!
//! An enum reads structs of several modules, as exceptions are, by `#[serde(tag = "__struct__")]` and variants with
//! `#[serde(rename = "Elixir.ArgumentError")]`.
//!
//! `#[serde(flatten)]` and untagged enums look at a value before it is known what it is for: pids and the like are
//! errors in there, atoms are text, and `Term` reads as in a format for people.
//!
//! # Limits
//!
//! Reading keeps to [`Options::limits`] and [`Options::nesting_max`], and never makes room for more than the bytes
//! that are there could hold, so what it costs is bounded by the input and the type.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::{DecodeErrorReason, DecodeLimits, Term, decode::inflate, decode_bare, tag};

mod bytes_input;
use bytes_input::BytesInput;
pub mod elixir;
mod error;
pub use error::{Error, ErrorReason, Segment};
mod options;
pub use options::{Absent, Names, Options, Strings, Structs};
mod read;
use read::Reader;
mod terms;
pub use terms::{bigint, bytes, charlist};
mod token;
use token::Result;
mod tree_input;
use tree_input::TreeInput;
mod write;
use write::Writer;

/// Reads a value from a stored term: 131 first, compressed or not, and nothing after, as [`decode`](crate::decode).
///
/// Strings and bytes are borrowed where the type borrows. A compressed term has nothing to lend, so there a type
/// that must borrow (`&str`) is an error; one that may (`Cow<str>`) is not.
pub fn from_bytes<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T> {
    Options::default().from_bytes(input)
}

/// Reads a value from a term.
pub fn from_term<'de, T: Deserialize<'de>>(term: &'de Term) -> Result<T> {
    Options::default().from_term(term)
}

/// The value as a stored term: 131 first, not compressed, as [`encode`](crate::encode).
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Options::default().to_vec(value)
}

/// Writes the value as a stored term.
pub fn to_writer<T: Serialize + ?Sized>(writer: impl Write, value: &T) -> Result<()> {
    Options::default().to_writer(writer, value)
}

/// The value as a term.
pub fn to_term<T: Serialize + ?Sized>(value: &T) -> Result<Term> {
    Options::default().to_term(value)
}

/// Reading and writing with these options; as the functions of the same names.
impl Options {
    /// Reads a value from a stored term, see [`from_bytes`].
    pub fn from_bytes<'de, T: Deserialize<'de>>(&self, input: &'de [u8]) -> Result<T> {
        let at_start = |reason: DecodeErrorReason| Error::new(reason.into()).at(Some(0));
        // Places are kept as those of terms are, see `decode`.
        let max = self.limits.bytes_max.min(u32::MAX as usize);
        if input.len() > max {
            return Err(at_start(DecodeErrorReason::TooManyBytes { bytes: input.len(), max }));
        }
        match input {
            [tag::VERSION, tag::COMPRESSED, ..] => {
                let (inflated, used) = inflate(input, 2, &self.limits)
                    .map_err(|error| Error::new(error.reason.into()).at(Some(error.offset)))?;
                if used < input.len() {
                    let reason = DecodeErrorReason::TrailingBytes { bytes: input.len() - used };
                    return Err(Error::new(reason.into()).at(Some(used)));
                }
                let reader = Reader::new(BytesInput::copying(&inflated, 0, &self.limits), self);
                read_all(reader, inflated.len()).map_err(Error::in_inflated)
            }
            [tag::VERSION, ..] => {
                read_all(Reader::new(BytesInput::lending(input, 1, &self.limits), self), input.len())
            }
            [found, ..] => Err(at_start(DecodeErrorReason::NoVersion { found: *found })),
            [] => Err(at_start(DecodeErrorReason::Truncated { needed: 1, left: 0 })),
        }
    }

    /// Reads a value from a term, see [`from_term`].
    pub fn from_term<'de, T: Deserialize<'de>>(&self, term: &'de Term) -> Result<T> {
        Reader::new(TreeInput::new(term), self).read()
    }

    /// The value as a stored term, see [`to_vec`].
    pub fn to_vec<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(128);
        self.to_buffer(&mut out, value)?;
        Ok(out)
    }

    /// Appends the value as a stored term to a buffer, which keeps its room for the next. What is appended before an
    /// error is taken away again.
    pub fn to_buffer<T: Serialize + ?Sized>(&self, out: &mut Vec<u8>, value: &T) -> Result<()> {
        let before = out.len();
        out.push(tag::VERSION);
        let result = value.serialize(&mut Writer::new(out, self));
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// Writes the value as a stored term, see [`to_writer`]. Nothing is written if the value has no term.
    pub fn to_writer<T: Serialize + ?Sized>(&self, mut writer: impl Write, value: &T) -> Result<()> {
        let bytes = self.to_vec(value)?;
        writer.write_all(&bytes).map_err(|error| Error::new(ErrorReason::Io(error)))
    }

    /// The value as a term, see [`to_term`].
    pub fn to_term<T: Serialize + ?Sized>(&self, value: &T) -> Result<Term> {
        let bytes = self.to_vec(value)?.into();
        let all = DecodeLimits {
            elements_max: usize::MAX,
            atoms_max: usize::MAX,
            bytes_max: usize::MAX,
            bigint_bytes_max: usize::MAX,
            ..DecodeLimits::default()
        };
        let (term, _) = decode_bare(&bytes, 1, &[], &all).map_err(|error| Error::new(error.reason.into()))?;
        Ok(term)
    }
}

fn read_all<'de, T: Deserialize<'de>>(mut reader: Reader<'_, BytesInput<'_, 'de>>, end: usize) -> Result<T> {
    let value = reader.read()?;
    match end - reader.input.position() {
        0 => Ok(value),
        bytes => {
            let reason = DecodeErrorReason::TrailingBytes { bytes };
            Err(Error::new(reason.into()).at(Some(reader.input.position())))
        }
    }
}
