//! Counting system calls, all of them, without holding them up: `perf` counts in the kernel.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

/// Counts the system calls of a process from its start to its end.
pub(super) struct Counter {
    perf: Child,
    input: ChildStdin,
}

impl Counter {
    /// Nothing where `perf` is missing or may not count.
    pub(super) fn start(process: u32) -> Option<Self> {
        // While `cat` runs perf counts, and `cat` runs as soon as it gives a line back.
        let mut perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &process.to_string()])
            .args(["--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = perf.stdin.take()?;
        let mut line = String::new();
        input.write_all(b"counting\n").ok()?;
        let answered = BufReader::new(perf.stdout.take()?).read_line(&mut line);
        if !matches!(answered, Ok(1..)) {
            // It has ended by itself.
            let _ = perf.wait();
            return None;
        }
        Some(Self { perf, input })
    }

    /// How many there were.
    pub(super) fn stop(self) -> Option<u64> {
        drop(self.input);
        let output = self.perf.wait_with_output().ok()?;
        // Such as `12345,,raw_syscalls:sys_enter,...`.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
    }
}
