//! A started program whose output is kept, and which ends with the value that stands for it.

use std::{
    fmt::Display,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::clock::{now, wait_for};

/// Lines kept of one program, so that one that prints without end cannot take the memory. A test reads far fewer.
const LINES_MAX: usize = 100_000;

/// A started program.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, with nothing on its stdin and its output kept. `name` is for messages.
    ///
    /// # Panics
    /// Where the program cannot be started.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Self {
        let name = name.into();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start {:?}: {error}", command.get_program()));
        let lines = Arc::default();
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stdout| keep(stdout, &lines)));
        readers.extend(child.stderr.take().map(|stderr| keep(stderr, &lines)));
        Self { name, child, lines, readers, status: None }
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that was printed so far, stdout and stderr together.
    pub fn output(&self) -> String {
        self.lines().join("\n")
    }

    /// The lines printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line for which `pick` has a value, waiting for it up to `limit`.
    ///
    /// # Errors
    /// Says that the line did not come, or that the program ended without it, with what it printed.
    pub fn wait_for_line<T>(
        &mut self,
        limit: Duration,
        what: &str,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let mut ended = false;
        let found = wait_for(limit, || {
            // Asked before the lines are read: what it printed last is there once it has ended.
            ended = self.status().is_some();
            let found = self.lines().iter().find_map(|line| pick(line));
            if found.is_none() && ended { Some(None) } else { found.map(Some) }
        });
        found.flatten().ok_or_else(|| {
            let why = if ended { "ended before" } else { "did not come to" };
            self.say(format_args!("{why} {what}"))
        })
    }

    /// The exit status, if it has ended. What it printed is in [`Process::lines`] then.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                // Nothing to wait for, unless a program that it started holds its output open.
                let _ = wait_for(Duration::from_secs(10), || {
                    self.readers.iter().all(JoinHandle::is_finished).then_some(())
                });
            }
        }
        self.status
    }

    /// Waits up to `limit` for the program to end by itself.
    ///
    /// # Errors
    /// Says that it has not ended, with what it printed.
    pub fn wait_for_exit(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        wait_for(limit, || self.status())
            .ok_or_else(|| self.say(format_args!("has not ended after {limit:?}")))
    }

    /// SIGKILL, and waits for the end. The value says when it was sent.
    pub fn kill9(&mut self) -> std::time::Instant {
        let at = now();
        // An error means that it has ended before.
        let _ = self.child.kill();
        self.status = self.child.wait().ok().or(self.status);
        at
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&mut self, name: &str) {
        if self.status().is_none() {
            let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
            assert!(status.is_ok_and(|status| status.success()), "cannot send {name} to {}", self.name);
        }
    }

    /// A message about this program with what it printed.
    pub fn say(&self, what: impl Display) -> String {
        let output = self.output();
        let output = if output.is_empty() { "nothing".to_owned() } else { format!("\n{output}") };
        format!("{} {what}; it printed: {output}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn keep(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    // Ends when the program closes its output. Not joined: a grandchild may hold the pipe open longer.
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                lines.push(text);
            }
            line.clear();
        }
    })
}
