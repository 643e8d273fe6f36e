//! System calls for each small message on a busy link, all that there are: of reading and writing, of waiting and waking.

use std::time::Duration;

use super::system_calls::Counter;
use crate::{
    Failure,
    bench::{
        bars::Bar,
        lab::{
            Kind::{Beam, Rust},
            Lab, Pair, Pairing,
        },
        works::{Rounds, median, sorted},
    },
};

const PAIRS: [Pairing; 4] = [(Beam, Beam), (Rust, Rust), (Rust, Beam), (Beam, Rust)];

/// How long messages are sent while it is counted.
const ROUND: Duration = Duration::from_millis(600);

/// The most system calls for a message, on each side.
const LIMIT: f64 = 0.02;

pub(super) fn measure(lab: &mut Lab, rounds: usize) -> Result<Vec<Bar>, Failure> {
    println!("system-calls: for each small message on a busy link; medians of {rounds} rounds");
    println!("{:24} {:>12} {:>20} {:>12} {:>20}", "", "out", "spread", "in", "spread");
    let mut pairs = PAIRS.iter().map(|&(from, to)| lab.pair(from, to)).collect::<Result<Vec<_>, _>>()?;
    let mut all = vec![(Rounds::new(), Rounds::new()); PAIRS.len()];
    for _ in 0..rounds {
        for (pair, (out, input)) in pairs.iter_mut().zip(&mut all) {
            let (sent, received) = round(pair)?;
            out.push(sent);
            input.push(received);
        }
    }
    let mut bars = Vec::new();
    for ((from, to), (out, input)) in PAIRS.iter().zip(all) {
        let (out, input) = (sorted(out), sorted(input));
        let spread = |rounds: &Rounds| format!("{:.4} to {:.4}", rounds[0], rounds[rounds.len() - 1]);
        println!(
            "{:24} {:>12} {:>20} {:>12} {:>20}",
            format!("{} to {}", from.name(), to.name()),
            format!("{:.4}", median(&out)),
            spread(&out),
            format!("{:.4}", median(&input)),
            spread(&input),
        );
        for (kind, side, rounds) in [(from, "out", &out), (to, "in", &input)] {
            if *kind == Rust {
                let name = format!("system-calls-{}-{}-{side}", from.name(), to.name()).to_lowercase();
                bars.push(Bar { name, value: median(rounds), limit: LIMIT, is_floor: false });
            }
        }
    }
    Ok(bars)
}

/// System calls for each message, of the sender and of the receiver. What cannot be counted is no number.
fn round(pair: &mut Pair) -> Result<(f64, f64), Failure> {
    // It also finds out how many messages that takes.
    pair.round("small", ROUND)?;
    let counters = [pair.from.id(), pair.to.id()].map(Counter::start);
    let count = pair.again("small")?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let [sent, received] = counters
        .map(|counter| counter.and_then(Counter::stop).map_or(f64::NAN, |calls| calls as f64 / count as f64));
    Ok((sent, received))
}
