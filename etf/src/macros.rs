//! Terms written and matched as Erlang writes them.

mod build;
mod matching;

mod from_term;
pub use from_term::FromTerm;

/// What the macros expand to. No part of the interface.
#[doc(hidden)]
pub mod private {
    use crate::{Float, Term};

    pub use super::from_term::Cells;

    /// A literal of the program.
    #[derive(Debug)]
    pub struct Literal<T>(pub T);

    impl From<Literal<i64>> for Term {
        fn from(Literal(value): Literal<i64>) -> Self {
            value.into()
        }
    }

    impl From<Literal<f64>> for Term {
        fn from(Literal(value): Literal<f64>) -> Self {
            Float::new(value).expect("a literal float that Erlang has").into()
        }
    }

    impl From<Literal<&str>> for Term {
        fn from(Literal(text): Literal<&str>) -> Self {
            Self::charlist(text)
        }
    }

    /// A part of a binary that is written out.
    pub trait Segment {
        /// Puts it at the end.
        fn add_to(&self, bytes: &mut Vec<u8>);
    }

    impl Segment for Literal<u8> {
        fn add_to(&self, bytes: &mut Vec<u8>) {
            bytes.push(self.0);
        }
    }

    impl Segment for Literal<&str> {
        fn add_to(&self, bytes: &mut Vec<u8>) {
            bytes.extend_from_slice(self.0.as_bytes());
        }
    }

    /// Whether a term is what a value becomes.
    pub fn is_equal(term: &Term, value: impl Into<Term>) -> bool {
        *term == value.into()
    }

    /// What follows a part of a binary that is written out, if the binary starts with that.
    #[must_use]
    pub fn after<'a>(bytes: &'a [u8], segment: &impl Segment) -> Option<&'a [u8]> {
        let mut head = Vec::new();
        segment.add_to(&mut head);
        bytes.strip_prefix(&head[..])
    }
}
