//! A program at a terminal.

use std::process::Command;

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
