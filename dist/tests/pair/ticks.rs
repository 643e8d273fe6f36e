//! Who is alive, in virtual time.

use std::time::Duration;

use crabnode_dist::{NodedownReason, TickConfig};
use etf::Term;
use handshake::DistFlags;

use crate::{
    dialogue::{HEARD, dialogue, message, pair},
    end::{Down, Say, Setup},
    wire::{Loss, LossKind, Weather},
};

const SECOND: Duration = Duration::from_secs(1);

fn setup(ticktime_secs: u64, intensity: u32, flags: DistFlags) -> Setup {
    let ticks = TickConfig::new(Duration::from_secs(ticktime_secs), intensity).expect("what OTP allows");
    Setup { flags, ticks }
}

const HIDDEN: DistFlags = DistFlags::OFFERED.without(DistFlags::PUBLISHED);

#[test]
fn who_has_nothing_to_say_lives_and_ticks_no_more_than_it_must() {
    for flags in [DistFlags::OFFERED, HIDDEN] {
        for (ticktime, intensity) in [(60, 4), (4, 4), (8, 50), (1, 1000), (3600, 4)] {
            let weather = Weather { delay_max: Duration::from_millis(100), ..Weather::default() };
            let setup = setup(ticktime, intensity, flags);
            let mut pair = pair(setup, [vec![], vec![]], weather);
            let until = pair.start + 100 * setup.ticks.ticktime();
            pair.run_until(until);
            for end in &pair.ends {
                assert!(end.is_up(), "{ticktime} {intensity}: {:?}", end.events);
                let intervals = 100 * intensity;
                let few = end.ticks_sent.abs_diff(intervals);
                // A delay of the other's ticks shifts those that answer them.
                assert!(few <= intervals / 10, "{ticktime} {intensity}: {} ticks", end.ticks_sent);
            }
        }
    }
}

/// One byte each millisecond, for much longer than the ticktime: bytes are life.
#[test]
fn who_reads_slowly_lives() {
    for slow in [[Some(1), None], [None, Some(1)], [Some(1), Some(1)]] {
        for capacity in [16, 4_096] {
            // In one frame, which takes ten ticktimes; and then the dialogue.
            let script = |of| {
                let long = Say::Signal(message(of, 9, Term::binary(vec![7; 40_000])));
                [vec![long], dialogue(of)].concat()
            };
            let weather = Weather { read_per_ms: slow, capacity, chunk_max: 100, ..Weather::default() };
            let mut pair = pair(setup(4, 4, HIDDEN), [script(0), script(1)], weather);
            pair.run(|pair| pair.ends.iter().all(|end| end.heard().len() == HEARD + 1));
            assert!(pair.now - pair.start > 40 * SECOND);
            let then = pair.now + 40 * SECOND;
            pair.run_until(then);
            assert!(pair.ends.iter().all(super::end::End::is_up), "{slow:?} {capacity}");
        }
    }
}

/// From T to T + I after the last byte, whatever T and K, hidden or not, and whether one direction is silent or both.
#[test]
fn who_says_nothing_for_a_ticktime_is_dead_within_an_interval() {
    for (ticktime, intensity) in [(60, 4), (4, 4), (8, 50), (10, 1000)] {
        for flags in [DistFlags::OFFERED, HIDDEN] {
            for kind in [LossKind::Silent, LossKind::SilentOneWay] {
                let setup = setup(ticktime, intensity, flags);
                // After the handshake and some ticks.
                let loss = Loss { of: 0, at: 0, kind };
                let mut fair = pair(setup, [dialogue(0), dialogue(1)], Weather::default());
                let until = fair.start + 3 * setup.ticks.ticktime();
                fair.run_until(until);
                let loss = Loss { at: fair.written()[0], ..loss };
                let weather = Weather { loss: Some(loss), ..Weather::default() };
                let mut pair = pair(setup, [dialogue(0), dialogue(1)], weather);
                pair.run(|pair| pair.ends.iter().all(super::end::End::is_over));
                let (when, down) = pair.ends[1].down().expect("it is down");
                assert_eq!(down, Down::Nodedown(NodedownReason::NetTickTimeout));
                let silence = when - pair.ends[1].last_read;
                let (t, i) = (setup.ticks.ticktime(), setup.ticks.interval());
                assert!((t..=t + i).contains(&silence), "{ticktime} {intensity}: {silence:?}");
                let (_, other) = pair.ends[0].down().expect("it is down");
                let expected = match kind {
                    LossKind::SilentOneWay => NodedownReason::ConnectionClosed,
                    _ => NodedownReason::NetTickTimeout,
                };
                assert_eq!(other, Down::Nodedown(expected));
                assert!(pair.ends.iter().all(|end| end.heard().len() == HEARD));
            }
        }
    }
}
