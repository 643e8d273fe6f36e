//! Warnings of the engine in the log: so many, and so long, that a peer that sends nonsense cannot fill the disk, nor
//! keep the name server busy with writing.

use std::{
    fmt::{self, Write as _},
    time::{Duration, Instant},
};

use etf::Atom;

use super::api::Warning;

/// The most lines a second. Everything that happens in a cluster of some hundred nodes fits.
const LINES_MAX: u32 = 200;

/// The most bytes of a warning: a line to read. A term of a peer may be as long as a message.
const BYTES_MAX: usize = 1000;

const SECOND: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Log {
    since: Option<Instant>,
    lines: u32,
    dropped: u64,
}

impl Log {
    pub(super) fn warn(&mut self, now: Instant, node: &Atom, warning: &Warning) {
        if !self.has_room(now) {
            return;
        }
        let dropped = std::mem::take(&mut self.dropped);
        let text = shortened(warning);
        if dropped > 0 {
            tracing::warn!(node = node.as_str(), dropped, "{text}");
        } else {
            tracing::warn!(node = node.as_str(), "{text}");
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= SECOND) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_MAX {
            self.dropped += 1;
            return false;
        }
        self.lines += 1;
        true
    }
}

/// The text, as far as it goes into the limit. What is behind is not even made.
fn shortened(warning: &Warning) -> String {
    let mut text = Bounded(String::new());
    if write!(text, "{warning}").is_err() {
        text.0.push('…');
    }
    text.0
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = BYTES_MAX - self.0.len();
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| more.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&more[..end]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use etf::Term;

    use super::*;
    use crate::kernel::global::api::Role;

    fn unexpected(term: Term) -> Warning {
        Warning::Unexpected { role: Role::NameServer, term }
    }

    #[test]
    fn a_long_term_is_cut() {
        let text = shortened(&unexpected(Term::List(vec![Term::atom("ä"); 10_000].into())));
        assert!((BYTES_MAX - 3..=BYTES_MAX + 3).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with('…'));
        assert!(!shortened(&unexpected(Term::Int(1))).ends_with('…'));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time; any will do")]
    fn a_flood_is_counted_and_not_written() {
        let (mut log, now) = (Log::default(), Instant::now());
        let written = (0..1000).filter(|_| log.has_room(now)).count();
        assert_eq!((written, log.dropped), (LINES_MAX as usize, 1000 - u64::from(LINES_MAX)));
        assert!(log.has_room(now + SECOND));
    }
}
