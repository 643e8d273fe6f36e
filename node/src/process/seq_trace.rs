//! Sequential tracing: the token that a process got with its last message, and sends on with whatever it sends
//! (`seq_trace`, wire.md 5).
//!
//! A token is `{Flags, Label, Serial, From, LastCount}`. As on a BEAM the message that is received sets it, also to
//! none; each signal that goes out under it counts one up, so that who reads the traces of all nodes can put what they
//! tell in order. Here it is told by `tracing`: while a token holds, the process runs in a span `seq_trace`, with the
//! label, the serial and the sender of the message as fields.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use dist::SeqToken;
use etf::{Pid, Term};
use tracing::Span;

/// A message's token; in a box, since nearly none has one.
pub(crate) type Token = Option<Box<SeqToken>>;

/// See the module.
#[derive(Default)]
pub(crate) struct SeqTrace {
    /// Whether there is a token: who has none does not pay for the lock.
    is_on: AtomicBool,
    /// In a box, since nearly no process ever has one.
    state: Mutex<Option<Box<State>>>,
}

#[derive(Default)]
struct State {
    token: Token,
    /// The highest serial seen or given.
    clock: u64,
    /// The serial of the message received last.
    last: u64,
    span: Option<Span>,
}

impl SeqTrace {
    /// A message was received with this token. Whether the process is in another span from now on.
    pub(crate) fn received(&self, token: &Token) -> bool {
        if token.is_none() && !self.is_on() {
            return false;
        }
        let mut state = self.state();
        let state = state.get_or_insert_default();
        if state.token == *token {
            return false;
        }
        if let Some(serial) = token.as_ref().and_then(|token| fields(token)?[2].as_u64()) {
            state.last = serial;
            state.clock = state.clock.max(serial);
        }
        state.token.clone_from(token);
        self.is_on.store(token.is_some(), Ordering::Relaxed);
        let had_span = state.span.take().is_some();
        state.span = token.as_ref().map(|token| span(token)).filter(|span| !span.is_disabled());
        had_span || state.span.is_some()
    }

    /// Whether what it sends is traced.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The token of a signal that the process `own` sends.
    pub(crate) fn sending(&self, own: &Pid) -> Option<SeqToken> {
        if !self.is_on() {
            return None;
        }
        let mut state = self.state();
        let state = state.as_mut()?;
        let token = state.token.as_mut()?;
        // One of another shape is passed on as it came.
        if let Some([flags, label, ..]) = fields(token) {
            state.clock += 1;
            let counted = [flags.clone(), label.clone(), state.clock.into(), own.into(), state.last.into()];
            **token = SeqToken::new(Term::tuple(counted));
        }
        Some(SeqToken::clone(token))
    }

    /// The token as it is.
    pub(crate) fn token(&self) -> Option<SeqToken> {
        if self.is_on() { self.state().as_ref()?.token.as_deref().cloned() } else { None }
    }

    /// The span in which the process runs now.
    pub(crate) fn span(&self) -> Option<Span> {
        if self.is_on() { self.state().as_ref()?.span.clone() } else { None }
    }

    fn state(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fields(token: &SeqToken) -> Option<&[Term; 5]> {
    token.as_term().as_tuple()?.try_into().ok()
}

fn span(token: &SeqToken) -> Span {
    match fields(token) {
        Some([_flags, label, serial, from, _last]) => {
            tracing::info_span!("seq_trace", %label, %serial, %from)
        }
        None => tracing::info_span!("seq_trace", label = %token.as_term()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etf::{Atom, tuple};

    fn pid(id: u32) -> Pid {
        Pid::new(Atom::from("a@h"), id, 0, 1)
    }

    fn token(serial: u64, from: u32, last: u64) -> Token {
        Some(Box::new(SeqToken::new(tuple!(7, atom "label", serial, &pid(from), last))))
    }

    #[test]
    fn each_signal_counts_one_up() {
        let trace = SeqTrace::default();
        assert_eq!(trace.sending(&pid(1)), None);
        trace.received(&token(5, 9, 2));
        assert_eq!(trace.sending(&pid(1)), token(6, 1, 5).map(|token| *token));
        assert_eq!(trace.sending(&pid(1)), token(7, 1, 5).map(|token| *token));
        // A message of before does not set the clock back.
        trace.received(&token(3, 9, 2));
        assert_eq!(trace.sending(&pid(1)), token(8, 1, 3).map(|token| *token));
        trace.received(&None);
        assert_eq!(trace.sending(&pid(1)), None);
    }

    #[test]
    fn a_token_of_another_shape_is_passed_on() {
        let trace = SeqTrace::default();
        let odd = SeqToken::new(Term::atom("odd"));
        trace.received(&Some(Box::new(odd.clone())));
        assert_eq!(trace.sending(&pid(1)), Some(odd));
    }
}
