//! Erlang terms.
#![forbid(unsafe_code)]

mod atom;
pub use atom::{Atom, AtomTooLong};
mod binary;
pub use binary::{Binary, BitString};
mod ids;
pub use ids::{Pid, Port, Reference};
mod map;
pub use map::Map;
mod term;
pub use num_bigint::BigInt;
pub use term::{Big, Closure, Float, Fun, ImproperList, Record, Term};
pub mod text;
