//! What this process takes of the machine, as Linux tells it.

use std::{
    fs,
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use interop_tests::clock::now;

/// Resident memory over time, by a thread of its own: whoever waits for something else meanwhile misses nothing.
pub(crate) struct Memory {
    end: mpsc::Sender<()>,
    samples: JoinHandle<Vec<(Instant, u64)>>,
}

impl Memory {
    pub(crate) fn watch() -> Self {
        let (end, ended) = mpsc::channel();
        let samples = thread::spawn(move || {
            let mut samples = Vec::new();
            while ended.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
                samples.push((now(), resident_bytes()));
            }
            samples
        });
        Self { end, samples }
    }

    /// All that was seen.
    pub(crate) fn end(self) -> Vec<(Instant, u64)> {
        drop(self.end);
        self.samples.join().expect("it does not panic")
    }
}

/// Resident memory, in bytes.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Open files, sockets and the like.
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux has /proc").count()
}

/// The time that the process had a processor.
pub(crate) fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    // Behind the name, which may have spaces: the state, ten numbers, then the times in user and in system mode.
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    // Linux counts 100 in a second for programs, whatever it counts by itself.
    Duration::from_millis(ticks * 10)
}
