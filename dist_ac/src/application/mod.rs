//! Applications on this node: what they are, which of them are loaded and run, and how one is started and stopped
//! (dist_ac.md 4).

use etf::{Atom, Term, tuple};

pub mod controller;
pub mod environment;
pub(crate) mod files;
pub mod master;
pub mod spec;

/// What happens to the node when an application terminates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartType {
    /// The node goes down with it.
    Permanent,
    /// Nothing.
    Temporary,
    /// The node goes down with it, unless its reason is `normal`.
    Transient,
}

impl RestartType {
    /// The restart type of a term.
    #[must_use]
    pub fn from_term(term: &Term) -> Option<Self> {
        match term.as_atom()?.as_str() {
            "permanent" => Some(Self::Permanent),
            "temporary" => Some(Self::Temporary),
            "transient" => Some(Self::Transient),
            _ => None,
        }
    }

    /// As an Erlang term.
    #[must_use]
    pub fn to_term(self) -> Term {
        Term::atom(match self {
            Self::Permanent => "permanent",
            Self::Temporary => "temporary",
            Self::Transient => "transient",
        })
    }
}

/// Why an application is started: what its `start` function is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartType {
    /// `{failover, Node}`: it ran there, and that node died.
    Failover(Atom),
    /// `normal`.
    Normal,
    /// `{takeover, Node}`: it still runs there, and is stopped there once this start is done.
    Takeover(Atom),
}

impl StartType {
    /// The start type of a term. `local`, which a process is told that is started again later, is none.
    #[must_use]
    pub fn from_term(term: &Term) -> Option<Self> {
        match term.as_tuple() {
            None => term.is_atom("normal").then_some(Self::Normal),
            Some([tag, Term::Atom(node)]) if tag.is_atom("failover") => Some(Self::Failover(node.clone())),
            Some([tag, Term::Atom(node)]) if tag.is_atom("takeover") => Some(Self::Takeover(node.clone())),
            Some(_) => None,
        }
    }

    /// As an Erlang term.
    #[must_use]
    pub fn to_term(&self) -> Term {
        match self {
            Self::Failover(node) => tuple!(atom "failover", node),
            Self::Normal => Term::atom("normal"),
            Self::Takeover(node) => tuple!(atom "takeover", node),
        }
    }
}
