//! Small messages beside a long one on the same link: how long the slowest of them takes, there and back.

use crate::{
    Failure,
    bench::{
        bars::Bar,
        lab::{
            Kind::{Beam, Rust},
            Lab, Pairing,
        },
        works::{Rounds, median, sorted},
    },
};

const PAIRS: [Pairing; 4] = [(Beam, Beam), (Rust, Rust), (Rust, Beam), (Beam, Rust)];

/// How many long messages each round has, one after the other.
const LONG_MESSAGES: u64 = 3;

/// The most milliseconds that a small message may wait, in any round.
const LIMIT: f64 = 20.0;

pub(super) fn measure(lab: &mut Lab, rounds: usize) -> Result<Vec<Bar>, Failure> {
    println!(
        "beside: an echo each millisecond beside {LONG_MESSAGES} messages of 64 MiB; the slowest of each of {rounds} rounds"
    );
    println!("{:24} {:>12} {:>12} {:>12}", "", "median", "least", "most");
    let mut pairs = PAIRS.iter().map(|&(from, to)| lab.pair(from, to)).collect::<Result<Vec<_>, _>>()?;
    let mut all = vec![Rounds::new(); PAIRS.len()];
    for _ in 0..rounds {
        for (pair, slowest) in pairs.iter_mut().zip(&mut all) {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            slowest.push(pair.ask("beside", LONG_MESSAGES)? as f64 / 1e6);
        }
    }
    let mut bars = Vec::new();
    for ((from, to), slowest) in PAIRS.iter().zip(all) {
        let slowest = sorted(slowest);
        let (least, most) = (slowest[0], slowest[slowest.len() - 1]);
        let millis = |value: f64| format!("{value:.1} ms");
        println!(
            "{:24} {:>12} {:>12} {:>12}",
            format!("{} to {}", from.name(), to.name()),
            millis(median(&slowest)),
            millis(least),
            millis(most),
        );
        // Where the BEAM receives, what waits does so in the BEAM, whoever sends.
        if *to == Rust {
            let name = format!("beside-{}-{}-slowest-ms", from.name(), to.name()).to_lowercase();
            bars.push(Bar { name, value: most, limit: LIMIT, is_floor: false });
        }
    }
    Ok(bars)
}
