//! Messages that come in several frames (wire.md 4.4).
//!
//! The first has the header, the control message and how many there are; the others have the payload's further
//! bytes, counting down to 1. Those of several messages may come in turn, in between frames that are whole.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use etf::Atom;

use crate::{ControlMessage, Limits};

/// The messages of a connection that are not complete.
#[derive(Debug)]
pub(crate) struct Assembly {
    open: HashMap<u64, Partial>,
    /// How much the limit counts of all that is here.
    bytes: usize,
    bytes_max: usize,
    count_max: u64,
    age_max: Duration,
    /// The time, as it was told last.
    now: Option<Instant>,
    /// When to look next for messages that are too old: not later than the first is.
    look_at: Option<Instant>,
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
    /// When that came, if it was told.
    came: Option<Instant>,
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
    /// Our limit: a message of more fragments than any that could come to its end.
    #[error("a message in {count} fragments, more than {max}")]
    TooMany {
        /// How many there were to be.
        count: u64,
        /// [`Limits::fragment_count_max`].
        max: u64,
    },
    /// Our limit: too much is begun and not complete.
    #[error("incomplete messages of more than {max} bytes")]
    TooManyBytes {
        /// [`Limits::fragments_bytes_max`].
        max: usize,
    },
    /// Our limit: a message has waited too long for its next fragment.
    #[error(
        "message {sequence} has waited {} s for fragment {expected}, more than {} s",
        waited.as_secs(), max.as_secs()
    )]
    TooOld {
        /// The message's sequence number.
        sequence: u64,
        /// The fragment that did not come.
        expected: u64,
        /// How long ago the last one came.
        waited: Duration,
        /// [`Limits::fragment_age_max`].
        max: Duration,
    },
}

/// What a message that is begun counts beside its payload, in bytes: about what it takes.
const PARTIAL_BYTES: usize = 512;

impl Assembly {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            open: HashMap::new(),
            bytes: 0,
            bytes_max: limits.fragments_bytes_max,
            count_max: limits.fragment_count_max,
            age_max: limits.fragment_age_max,
            now: None,
            look_at: None,
        }
    }

    /// Tells the time of what comes next.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = Some(now);
    }

    /// When to call [`Assembly::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Refuses a message that has waited too long.
    ///
    /// A look finds it up to an eighth of the limit late, so that looking costs little however many there are. One
    /// that comes later than that says that this node was stopped, and what the peer sent may still be unread:
    /// then the next look counts.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), FragmentError> {
        self.now = Some(now);
        let Some(look_at) = self.look_at.filter(|look_at| now >= *look_at) else { return Ok(()) };
        let (max, pause) = (self.age_max, self.age_max / 8);
        let was_stopped = now > look_at + pause;
        let oldest =
            self.open.iter().filter_map(|(sequence, partial)| Some((partial.came?, *sequence))).min();
        let Some((came, sequence)) = oldest else {
            self.look_at = None;
            return Ok(());
        };
        let waited = now.saturating_duration_since(came);
        if waited >= max && !was_stopped {
            let expected = self.open.get(&sequence).map_or(0, |partial| partial.at - 1);
            return Err(FragmentError::TooOld { sequence, expected, waited, max });
        }
        self.look_at = came.checked_add(max).map(|due| due.max(now + pause));
        Ok(())
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
        if count > self.count_max {
            return Err(FragmentError::TooMany { count, max: self.count_max });
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
        let came = self.now;
        self.open.insert(sequence, Partial { control, atoms, payload: payload.to_vec(), at: count, came });
        if self.look_at.is_none() {
            self.look_at = came.and_then(|came| came.checked_add(self.age_max));
        }
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
        (partial.at, partial.came) = (fragment, self.now);
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
