//! Erlang terms.
#![forbid(unsafe_code)]

mod atom;
pub use atom::{Atom, AtomTooLong};
mod binary;
pub use binary::{Binary, BitString};
mod decode;
pub use decode::{DecodeError, DecodeErrorReason, decode, decode_bare, decode_prefix};
mod encode;
pub use encode::{encode, encode_into};
mod ids;
pub use ids::{Pid, Port, Reference};
mod limits;
pub use limits::DecodeLimits;
mod map;
pub use map::Map;
mod order;
mod tag;
mod term;
pub use num_bigint::BigInt;
pub use term::{Big, Closure, Float, Fun, ImproperList, Record, Term};
pub mod text;
