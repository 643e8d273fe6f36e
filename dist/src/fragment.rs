//! Messages that come in several frames (wire.md 4.4).
//!
//! The first has the header, the control message and how many there are; the others have the payload's further
//! bytes, counting down to 1. Those of several messages may come in turn, in between frames that are whole.

use std::collections::HashMap;

use etf::Atom;

use crate::{ControlMessage, Limits};

/// The messages of a connection that are not complete.
#[derive(Debug)]
pub(crate) struct Assembly {
    open: HashMap<u64, Partial>,
    /// How much the limit counts of all that is here.
    bytes: usize,
    bytes_max: usize,
}

/// A message of which fragments are missing.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) control: ControlMessage,
    /// What the header's references stand for, in the payload as well.
    pub(crate) atoms: Vec<Atom>,
    pub(crate) payload: Vec<u8>,
    /// The number of the last fragment; the next has one less.
    at: u64,
}

/// Fragments that break the rules, or our limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// The frame ends before the fragment's numbers.
    #[error("a fragment of {bytes} bytes ends before its numbers")]
    Truncated {
        /// How long the body is.
        bytes: usize,
    },
    /// A message of no fragments, which would crash a BEAM.
    #[error("a fragmented message of no fragments")]
    NoFragments,
    /// Sequence 0, which a BEAM takes for a message that is not fragmented.
    #[error("fragments with the sequence number 0")]
    SequenceZero,
    /// A second first fragment of a message that is not complete.
    #[error("message {sequence} starts again before it is complete")]
    Again {
        /// The message's sequence number.
        sequence: u64,
    },
    /// A fragment of a message that did not start.
    #[error("a fragment of message {sequence}, which did not start")]
    NotStarted {
        /// The message's sequence number.
        sequence: u64,
    },
    /// A fragment that is not the next one.
    #[error("fragment {found} of message {sequence}, where {expected} comes next")]
    OutOfOrder {
        /// The message's sequence number.
        sequence: u64,
        /// Which came.
        found: u64,
        /// Which should have.
        expected: u64,
    },
    /// Several fragments for an operation that has nothing to go on with.
    #[error("an operation without a payload in {count} fragments")]
    NoPayload {
        /// How many there were to be.
        count: u64,
    },
    /// Our limit: too much is begun and not complete.
    #[error("incomplete messages of more than {max} bytes")]
    TooManyBytes {
        /// [`Limits::fragments_bytes_max`].
        max: usize,
    },
}

/// What a message that is begun counts beside its payload, in bytes: about what it takes.
const PARTIAL_BYTES: usize = 512;

impl Assembly {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { open: HashMap::new(), bytes: 0, bytes_max: limits.fragments_bytes_max }
    }

    /// Whether a message of so many fragments may start.
    pub(crate) fn check_start(&self, sequence: u64, count: u64) -> Result<(), FragmentError> {
        if count == 0 {
            return Err(FragmentError::NoFragments);
        }
        // A single fragment is a whole message whatever its sequence.
        if count > 1 && sequence == 0 {
            return Err(FragmentError::SequenceZero);
        }
        if self.open.contains_key(&sequence) {
            return Err(FragmentError::Again { sequence });
        }
        Ok(())
    }

    /// Starts a message of more than one fragment, for which [`Assembly::check_start`] has said yes.
    pub(crate) fn start(
        &mut self,
        sequence: u64,
        count: u64,
        (control, atoms, payload): (ControlMessage, Vec<Atom>, &[u8]),
    ) -> Result<(), FragmentError> {
        if !control.op().has_payload() {
            return Err(FragmentError::NoPayload { count });
        }
        self.grow(PARTIAL_BYTES + payload.len())?;
        self.open.insert(sequence, Partial { control, atoms, payload: payload.to_vec(), at: count });
        Ok(())
    }

    /// Goes on with a message, and gives it out if it is complete.
    pub(crate) fn go_on(
        &mut self,
        sequence: u64,
        fragment: u64,
        payload: &[u8],
    ) -> Result<Option<Partial>, FragmentError> {
        let Some(partial) = self.open.get_mut(&sequence) else {
            return Err(FragmentError::NotStarted { sequence });
        };
        let expected = partial.at - 1;
        if fragment != expected {
            return Err(FragmentError::OutOfOrder { sequence, found: fragment, expected });
        }
        partial.at = fragment;
        // By doubling: memory is taken as bytes arrive, not for what the first fragment promised.
        partial.payload.extend_from_slice(payload);
        self.grow(payload.len())?;
        if fragment > 1 {
            return Ok(None);
        }
        let partial = self.open.remove(&sequence);
        let done = partial.as_ref().map_or(0, |partial| PARTIAL_BYTES + partial.payload.len());
        self.bytes -= done;
        Ok(partial)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), FragmentError> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            return Err(FragmentError::TooManyBytes { max: self.bytes_max });
        }
        Ok(())
    }
}
