//! Erlang's own text form of terms, both ways.
//!
//! Printing is what `io:format("~tp")` gives on one line in a runtime started with `+pc unicode`: lists of printable
//! characters as strings, everything else spelled out. Maps are in the order of their keys, as `~tkp` has them from
//! OTP 26 on; without `k` a map prints in whatever order its node keeps it. Words are quoted as by OTP 27 and later.
//!
//! Reading is `file:consult/1`'s grammar of OTP 29, which is that of `sys.config` and `.app` files; it takes what older
//! releases take as well, but for strings that start with three quotes, which are what they are since OTP 27.
//!
//! ```
//! use crabnode_etf::text::{TextError, consult, parse_term};
//!
//! let term = parse_term("{ok, [\"m8ball\", <<1, 5:3>>], #{k => 1.0e3}}.")?;
//! assert_eq!(term.to_string(), r#"{ok,["m8ball",<<1,5:3>>],#{k => 1.0e3}}"#);
//!
//! let error = consult("{a, b}.\n[a b].").unwrap_err();
//! assert_eq!(error.to_string(), "line 2, column 4: expected ',', '|' or ']', found b");
//! # Ok::<(), TextError>(())
//! ```
//!
//! [`format()`] is `io_lib:format/2`, and [`Style`] the other ways in which that writes terms.
//!
//! Pids, ports, references and closures print as Erlang shows them, with the name of their node for its number
//! (`<a@b.91.0>`), and as in Erlang that text does not read back.

mod bits;
mod chardata;
pub use chardata::{Encoding, to_text as chardata_to_text};
mod depth;
mod encoding;
pub use encoding::consult_bytes;
mod error;
pub use error::{TextError, TextErrorReason};
mod format;
pub use format::{FIELD_COLUMNS_MAX, FormatError, format};
mod lex;
mod number;
mod parse;
pub use parse::{DEPTH_MAX, consult, parse_term};
mod pretty;
mod print;
mod style;
pub use style::{Strings, Style};

/// Words that are no atoms unless quoted, in the order of the alphabet. `else` and `maybe` are words since OTP 27;
/// before, they were printed plain, and both forms are read.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond",
    "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse", "receive", "rem", "try",
    "when", "xor",
];

#[cfg(test)]
mod tests;
