//! Rounds and medians.

use std::time::Duration;

use crate::{Failure, bench::program::Program};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// The rounds of which the median counts.
    pub(crate) rounds: usize,
    /// How long a round takes at least.
    pub(crate) round: Duration,
    /// How long each program does the work before it is measured.
    pub(crate) warm_up: Duration,
}

/// One method's way to do a work.
pub(crate) struct Entry {
    /// As its program knows it.
    pub(crate) method: &'static str,
    /// Which of the programs does it.
    pub(crate) program: usize,
    /// How often it is done in a round.
    count: u64,
    rounds: Vec<f64>,
}

impl Entry {
    pub(crate) fn new(method: &'static str, program: usize) -> Self {
        Self { method, program, count: 1, rounds: Vec::new() }
    }

    /// Nanoseconds for doing it once, the median of all rounds.
    pub(crate) fn median(&self) -> f64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_by(f64::total_cmp);
        rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Does a work without measuring it, and finds out how often it has to be done in a round.
pub(crate) fn warm_up(
    programs: &mut [Program],
    payload: &str,
    entries: &mut [Entry],
    effort: Effort,
) -> Result<(), Failure> {
    for entry in entries {
        loop {
            let took = programs[entry.program].measure(entry.method, payload, entry.count)?;
            if took >= effort.warm_up {
                entry.count = times(entry.count, effort.round.as_secs_f64() / took.as_secs_f64());
                break;
            }
            // At most tenfold, as the first times are slow.
            let factor = effort.warm_up.as_secs_f64() / took.as_secs_f64().max(1e-9);
            entry.count = times(entry.count, (1.2 * factor).clamp(2.0, 10.0));
        }
    }
    Ok(())
}

/// Measures a work: a round of each, and again from the start.
pub(crate) fn rounds(
    programs: &mut [Program],
    payload: &str,
    entries: &mut [Entry],
    effort: Effort,
) -> Result<(), Failure> {
    for _ in 0..effort.rounds {
        for entry in entries.iter_mut() {
            let took = loop {
                let took = programs[entry.program].measure(entry.method, payload, entry.count)?;
                if took >= effort.round {
                    break took;
                }
                // Faster than it was: that was no whole round.
                entry.count = times(entry.count, 1.1 * effort.round.as_secs_f64() / took.as_secs_f64());
            };
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            entry.rounds.push(took.as_nanos() as f64 / entry.count as f64);
        }
    }
    Ok(())
}

fn times(count: u64, factor: f64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of what fits seconds, and a positive factor"
    )]
    let count = (count as f64 * factor).ceil() as u64;
    count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let mut entry = Entry::new("decode.term", 0);
        entry.rounds = vec![9.0, 1.0, 3.0, 500.0, 2.0];
        assert_eq!(entry.median(), 3.0);
    }
}
