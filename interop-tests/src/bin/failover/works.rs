//! The works.

use interop_tests::Otp;

use crate::Measure;

mod heal;
mod kill;
mod row;
mod sequences;

/// A work: its name, and what does it and prints what it found.
type Work = (&'static str, fn(&Otp, &Measure) -> Result<(), String>);

const WORKS: &[Work] = &[
    ("kill", kill::run),
    ("heal-self", heal::own),
    ("heal-cluster", heal::cluster),
    ("l8", sequences::l8),
    ("l9", sequences::l9),
    ("row", row::run),
];

pub(crate) fn run(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let wanted: Vec<&Work> = WORKS.iter().filter(|(name, _)| name.contains(&measure.only)).collect();
    if wanted.is_empty() {
        return Err(format!("no work has `{}` in its name", measure.only));
    }
    let mut failures = Vec::new();
    for (name, work) in wanted {
        eprintln!("bench: {name}");
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("\n{name} begins at a load of {}", load.split(' ').next().unwrap_or("unknown"));
        if let Err(failure) = work(otp, measure) {
            println!("{name} has failed: {failure}");
            failures.push(format!("{name}: {failure}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}
