//! What this process takes of the machine, as Linux tells it.

use std::{fs, time::Duration};

/// Resident memory, in bytes.
pub(crate) fn resident_bytes() -> u64 {
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
