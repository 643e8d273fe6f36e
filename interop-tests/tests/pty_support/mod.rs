//! A program at a terminal.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{process::Command, time::Duration};

use interop_tests::clock::wait_for;
use rexpect::{
    process::WaitStatus,
    session::{Options, PtySession, spawn_with_options},
};

/// How long a program may take to print something, on a machine that is busy with other tests, in milliseconds.
const SOON_MS: u64 = 20_000;

/// A program at a terminal of its own. It ends with this value.
pub(crate) struct Terminal(PtySession);

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Self {
        command.env("TERM", "xterm");
        let options = Options::new().timeout_ms(Some(SOON_MS)).strip_ansi_escape_codes(true);
        Self(spawn_with_options(command, options).expect("it can be started"))
    }

    /// Waits until the program has printed this, behind what it was seen to print before.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) {
        if let Err(error) = self.0.exp_string(text) {
            panic!("{text:?} has not come: {error}");
        }
    }

    /// Whether the program prints this within so long, behind what it was seen to print before. If not, what it has
    /// printed meanwhile is seen as well.
    pub(crate) fn is_seen_within(&mut self, limit: Duration, text: &str) -> bool {
        let mut seen = String::new();
        let found = wait_for(limit, || {
            while let Some(character) = self.0.try_read() {
                seen.push(character);
                if seen.ends_with(text) {
                    return Some(());
                }
            }
            None
        });
        found.is_some()
    }

    /// Gives the program these keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.0.send(keys).expect("it reads");
        self.0.flush().expect("it reads");
    }

    /// Waits for its end, and gives its exit status.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        self.0.exp_eof().expect("it ends");
        match self.0.process().wait() {
            Ok(WaitStatus::Exited(_, status)) => Some(status),
            _ => None,
        }
    }
}
