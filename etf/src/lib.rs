//! Erlang terms: the external term format both ways, Erlang's order, and Erlang's text.
//!
//! [`Term`] is the value. It takes 32 bytes; small integers, floats, atoms up to 23 bytes and pids allocate nothing
//! of their own, and binaries are slices of the bytes they were decoded from.
//!
//! ```
//! use crabnode_etf::{DecodeLimits, Term, decode, encode, text::parse_term, tuple};
//!
//! // Terms are built by hand, ...
//! let reply = tuple!(atom "ok", Term::binary("answer"), 42);
//! // ... read from text and printed as Erlang does, ...
//! assert_eq!(reply, parse_term("{ok, <<\"answer\">>, 42}")?);
//! assert_eq!(reply.to_string(), "{ok,<<\"answer\">>,42}");
//! // ... written as `term_to_binary` does, and read within limits that no sender can get around.
//! let bytes = encode(&reply);
//! assert_eq!(decode(&bytes.into(), &DecodeLimits::default())?, reply);
//! // Taking them apart is matching on slices.
//! let Some([tag, _, answer]) = reply.as_tuple() else { panic!() };
//! assert!(tag.is_atom("ok") && answer.as_int() == Some(42));
//! // `Ord` is Erlang's order, `Eq` its `=:=`.
//! assert!(Term::from(1_000_000) < Term::atom("a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | To | use |
//! |---|---|
//! | read a stored term (131 first) | [`decode`], [`decode_prefix`], [`DecodeOptions`] as for `binary_to_term/2` |
//! | read a term of a distribution message | [`decode_bare`] |
//! | read one term after the other from the same sender | [`Decoder`] |
//! | read without building terms | [`cursor`] |
//! | refuse new atoms and funs, as `binary_to_term/2` with `safe` | [`DecodeOptions`] with [`Known`] |
//! | read and write what only this node may read (`local`) | [`DecodeOptions`], [`EncodeOptions`], [`LocalKey`] |
//! | write a stored term | [`encode`], [`encode_stored_into`], [`EncodeOptions`] as for `term_to_binary/2` |
//! | write a term of a distribution message | [`encode_into`], [`try_encode_into`] |
//! | write large binaries without a copy | either, into [`Segments`] |
//! | compare | `Ord` and `Eq`, [`Term::cmp_erlang`] for `==`, [`Term::eq_before_27`] for `=:=` of older releases |
//! | write down, match | [`term!`], [`match_term!`], [`matches_term!`], [`let_term!`] |
//! | go to and from Rust types | [`serde`][serde-module] |
//! | print | `Display`, with `{:#}` on several lines |
//! | read text, `sys.config`, `.app` | [`text::consult`], [`text::consult_bytes`], [`text::parse_term`] |
//!
//! Feature `serde`, on by default: the module [`serde`][serde-module]. Feature `eetf`: conversions to and from the terms
//! of the `eetf` crate.
//!
#![cfg_attr(feature = "serde", doc = "[serde-module]: mod@serde")]
#![cfg_attr(not(feature = "serde"), doc = "[serde-module]: https://docs.rs/crabnode-etf")]
#![deny(unsafe_code)]

mod atom;
pub use atom::{Atom, AtomTooLong};
mod binary;
pub use binary::{Binary, BitString};
pub mod cursor;
mod decode;
pub use decode::{
    DecodeError, DecodeErrorReason, DecodeOptions, Decoder, Input, Known, decode, decode_bare, decode_prefix,
};
#[cfg(feature = "eetf")]
mod eetf;
#[cfg(feature = "eetf")]
pub use crate::eetf::EetfError;
mod elements;
pub use elements::Elements;
mod encode;
pub use encode::{
    AtomTable, EncodeBuffer, EncodeError, EncodeOptions, Mark, MinorVersion, Segments, encode, encode_into,
    encode_stored_into, try_encode_cached_into, try_encode_into,
};
mod ids;
pub use ids::{Pid, Port, Reference};
mod limits;
pub use limits::DecodeLimits;
mod local;
pub use local::LocalKey;
mod macros;
pub use macros::FromTerm;
#[doc(hidden)]
pub use macros::private as __macros;
mod map;
pub use map::{Map, MapIntoIter};
mod order;
#[cfg(feature = "serde")]
pub mod serde;
mod slab;
mod tag;
mod term;
pub use num_bigint::BigInt;
pub use term::{Big, Closure, Float, Fun, ImproperList, Record, Term};
pub mod text;
