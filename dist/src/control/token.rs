//! Sequential trace tokens.

use etf::Term;

/// A sequential trace token: `{Flags, Label, Serial, From, LastCount}` (wire.md 5).
///
/// It is passed through as it came, whatever its shape: a token is never a reason to end a connection. (In the
/// reply to a refused spawn request, OTP 25 puts its node's name where the pid belongs.) Who sends on behalf of
/// a traced process adds one to the serial first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeqToken(Term);

impl SeqToken {
    /// The token of a term.
    #[must_use]
    pub const fn new(term: Term) -> Self {
        Self(term)
    }

    /// The term.
    #[must_use]
    pub const fn as_term(&self) -> &Term {
        &self.0
    }

    /// The label, if the token is of the usual shape.
    #[must_use]
    pub fn label(&self) -> Option<&Term> {
        match self.0.as_tuple()? {
            [_flags, label, _serial, _from, _last_count] => Some(label),
            _ => None,
        }
    }

    /// Whether a node without BIG_SEQTRACE_LABELS can take the token: its label must be an integer that is
    /// immediate even on a 32-bit BEAM, which leaves 28 bits.
    pub(crate) fn has_small_label(&self) -> bool {
        self.label().and_then(Term::as_int).is_some_and(|label| (-(1 << 27)..1 << 27).contains(&label))
    }
}

impl From<SeqToken> for Term {
    fn from(token: SeqToken) -> Self {
        token.0
    }
}
