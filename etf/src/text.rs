//! Erlang's own text form of terms, both ways.

use std::fmt;

use crate::{Atom, Term};

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(i) => write!(f, "{i}"),
            Self::Atom(a) => write!(f, "{a}"),
            Self::Pid(p) => write!(f, "{p:?}"),
            Self::Reference(r) => write!(f, "{r:?}"),
            Self::Tuple(t) => f.debug_set().entries(t).finish(),
            Self::List(t) => f.debug_list().entries(t).finish(),
            _ => f.write_str("?"),
        }
    }
}
