//! A shell whose input is no terminal: a file, or another program.

use std::io::{BufRead, Write};

use crabnode::io::{Input, Line, Read};
use tokio::sync::mpsc;

use super::Wish;

/// How many lines are read ahead.
const LINES_MAX: usize = 16;

/// How long a line may be, in bytes: more than any program that is written by hand.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Lines of stdin.
pub(super) struct Pipe {
    lines: mpsc::Receiver<String>,
    wishes: mpsc::Sender<Wish>,
}

/// Reads stdin in a thread of its own, for that blocks.
pub(super) fn start(wishes: mpsc::Sender<Wish>) -> Pipe {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match std::io::Read::take(&mut stdin, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if sender.blocking_send(line).is_err() {
                        break;
                    }
                }
            }
        }
    });
    Pipe { lines, wishes }
}

impl Input for Pipe {
    async fn read(&mut self, prompt: &str, read: Read) -> Line {
        let shown = match read {
            Read::Expression { continued: true } => "",
            Read::Expression { continued: false } | Read::Line | Read::Password => prompt,
        };
        // As `erl` does, so that its output can be told apart. Whoever has closed stdout wants none.
        let mut out = std::io::stdout();
        let _ = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        match (self.lines.recv().await, read) {
            (Some(line), _) => Line::Text(line),
            (None, Read::Line | Read::Password) => Line::Eof,
            // Not the end of the input: a shell of OTP 25 takes its node with it at that.
            (None, Read::Expression { .. }) => {
                let _ = self.wishes.send(Wish::Leave).await;
                Line::Terminated
            }
        }
    }
}
