//! How a process ends, and how a function fails.

use etf::{Atom, Term, tuple};

/// What a process's body may return: the reason that its links and monitors are given.
pub trait IntoExit {
    /// The exit reason.
    fn into_exit(self) -> Term;
}

/// `normal`.
impl IntoExit for () {
    fn into_exit(self) -> Term {
        Term::atom("normal")
    }
}

/// The term itself.
impl IntoExit for Term {
    fn into_exit(self) -> Term {
        self
    }
}

/// `normal`, or the error.
impl<E: IntoExit> IntoExit for Result<(), E> {
    fn into_exit(self) -> Term {
        match self {
            Ok(()) => Term::atom("normal"),
            Err(error) => error.into_exit(),
        }
    }
}

/// How an Erlang function can fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Exception {
    /// `throw(Term)`.
    Throw(Term),
    /// `exit(Reason)`.
    Exit(Term),
    /// `error(Reason)`, with its stack: a list of `{M, F, ArityOrArgs, Info}`.
    Error {
        /// Why.
        reason: Term,
        /// Where.
        stack: Term,
    },
}

impl Exception {
    /// `error(badarg)` without a stack.
    #[must_use]
    pub fn badarg() -> Self {
        Self::error(Term::atom("badarg"))
    }

    /// `error(Reason)` without a stack.
    #[must_use]
    pub fn error(reason: impl Into<Term>) -> Self {
        Self::Error { reason: reason.into(), stack: Term::NIL }
    }

    /// What calling a function that does not exist gives: the stack is the call itself
    /// (cluster-services.md 2.5).
    #[must_use]
    pub fn undef(module: &Atom, function: &Atom, args: Vec<Term>) -> Self {
        let frame = tuple!(module, function, args, Term::NIL);
        Self::Error { reason: Term::atom("undef"), stack: Term::list(vec![frame]) }
    }

    /// An error without a stack is of this function, with its arity or its arguments.
    pub(crate) fn of_function(self, module: &Atom, function: &Atom, shown: Term) -> Self {
        match self {
            Self::Error { reason, stack } if stack == Term::NIL => {
                let frame = tuple!(module, function, shown, Term::NIL);
                Self::Error { reason, stack: Term::list(vec![frame]) }
            }
            other => other,
        }
    }

    /// The exit reason of a process whose body failed so.
    #[must_use]
    pub fn into_reason(self) -> Term {
        match self {
            Self::Throw(term) => tuple!(tuple!(atom "nocatch", term), Term::NIL),
            Self::Exit(reason) => reason,
            Self::Error { reason, stack } => tuple!(reason, stack),
        }
    }
}

impl IntoExit for Exception {
    fn into_exit(self) -> Term {
        self.into_reason()
    }
}
