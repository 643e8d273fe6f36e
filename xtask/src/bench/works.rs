//! Works: rounds of the same by several pairs of processes, in turns.

use std::time::Duration;

use crate::{
    Failure,
    bench::{
        bars::Bar,
        lab::{Alone, Kind, Lab, Pair, Pairing},
        program,
    },
};

/// A work: what is done, by whom and to whom, in the order in which they take turns.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) pairs: &'static [Pairing],
    /// How many bytes are moved each time, if that is what it is about.
    pub(crate) bytes: u64,
    /// Whether how the threads were placed matters, so that each round has fresh processes and there are more.
    pub(crate) is_bimodal: bool,
}

/// What else the machine does falsifies what comes.
pub(crate) fn begin(work: &str) {
    eprintln!("bench: {work}");
    println!("\n{work} begins at a load of {}", program::load());
}

/// Nanoseconds for doing it once, of each round, sorted.
pub(crate) type Rounds = Vec<f64>;

pub(crate) fn measure(
    lab: &mut Lab,
    work: &Work,
    rounds: usize,
    round: Duration,
) -> Result<Vec<Rounds>, Failure> {
    let mut all = vec![Rounds::new(); work.pairs.len()];
    let mut pairs: Vec<Option<Pair>> = work.pairs.iter().map(|_| None).collect();
    for _ in 0..rounds {
        for (at, &(from, to)) in work.pairs.iter().enumerate() {
            if work.is_bimodal {
                pairs[at] = None;
            }
            let pair = match &mut pairs[at] {
                Some(pair) => pair,
                none => none.insert(lab.pair(from, to)?),
            };
            all[at].push(pair.round(work.method, round)?);
        }
    }
    Ok(all.into_iter().map(sorted).collect())
}

pub(crate) fn sorted(mut rounds: Rounds) -> Rounds {
    rounds.sort_by(f64::total_cmp);
    rounds
}

pub(crate) fn median(rounds: &[f64]) -> f64 {
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn print(work: &Work, rounds: usize, all: &[Rounds]) {
    println!("{}: medians of {rounds} rounds, and from the fastest to the slowest", work.name);
    println!("{:24} {:>12} {:>26} {:>12}", "", "each", "spread", if work.bytes > 0 { "MB/s" } else { "1/s" });
    for ((from, to), rounds) in work.pairs.iter().zip(all) {
        let each = median(rounds);
        let spread = match &rounds[..] {
            [first, .., last] => format!("{first:.0} to {last:.0} ns"),
            _ => String::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = if work.bytes > 0 { work.bytes as f64 * 1e3 / each } else { 1e9 / each };
        let pair = format!("{} to {}", from.name(), to.name());
        println!("{pair:24} {:>12} {spread:>26} {rate:>12.0}", format!("{each:.0} ns"));
    }
}

/// What one pair takes at most of another's time, by their names: the bars of a work.
pub(crate) type Ratio = (&'static str, Pairing, Pairing, f64);

/// The bars of a work that are ratios.
pub(crate) fn ratios(work: &Work, all: &[Rounds], ratios: &[Ratio]) -> Vec<Bar> {
    let of = |pair: Pairing| work.pairs.iter().position(|known| *known == pair).map(|at| median(&all[at]));
    let pair_name =
        |(from, to): Pairing| format!("{}-{}", from.name(), to.name()).replace(' ', "-").to_lowercase();
    let wanted = ratios.iter().filter(|(name, ..)| *name == work.name);
    wanted
        .filter_map(|&(name, ours, rival, limit)| {
            let value = of(ours)? / of(rival)?;
            let name = format!("{name}-{}/{}", pair_name(ours), pair_name(rival));
            Some(Bar { name, value, limit, is_floor: false })
        })
        .collect()
}

/// Rounds of what processes do without another, each kind by itself, in turns; with fresh processes each round. Prints
/// them.
pub(crate) fn measure_alone(
    lab: &mut Lab,
    name: &str,
    method: &str,
    kinds: &[Kind],
    rounds: usize,
    round: Duration,
) -> Result<Vec<f64>, Failure> {
    let mut all = vec![Rounds::new(); kinds.len()];
    for _ in 0..rounds {
        for (kind, all) in kinds.iter().zip(&mut all) {
            let mut alone: Alone = lab.alone(*kind)?;
            all.push(alone.round(method, round)?);
        }
    }
    println!("{name}: medians of {rounds} rounds, and from the fastest to the slowest");
    println!("{:24} {:>12} {:>26} {:>12}", "", "each", "spread", "1/s");
    let mut medians = Vec::new();
    for (kind, rounds) in kinds.iter().zip(all) {
        let rounds = sorted(rounds);
        let each = median(&rounds);
        let spread = format!("{:.0} to {:.0} ns", rounds[0], rounds[rounds.len() - 1]);
        println!("{:24} {:>12} {spread:>26} {:>12.0}", kind.name(), format!("{each:.0} ns"), 1e9 / each);
        medians.push(each);
    }
    Ok(medians)
}
