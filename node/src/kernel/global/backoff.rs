//! Random numbers, and the random waits between tries at a lock (cluster-services.md 1.8).

use std::time::Duration;

/// A small generator (splitmix64): good enough to break ties, and the same numbers from the same seed.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`; 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// How long to wait after so many tries: 1 ms up to 125 ms · 2^times, and never more than 8 s.
    pub(super) fn backoff(&mut self, times: u32) -> Duration {
        let most_ms = if times > 5 { 8000 } else { (1000 << times) / 8 };
        Duration::from_millis(1 + self.below(most_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_in_their_bounds() {
        let mut rng = Rng::new(7);
        for (times, most_ms) in [(0, 125), (1, 250), (5, 4000), (6, 8000), (u32::MAX, 8000)] {
            for _ in 0..200 {
                let wait = rng.backoff(times).as_millis();
                assert!((1..=most_ms).contains(&wait), "{times} tries: {wait} ms");
            }
        }
    }
}
