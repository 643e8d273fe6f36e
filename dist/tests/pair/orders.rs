//! Whatever the wire does short of losing bytes, everything arrives, whole, once and in its sender's order.

use std::time::Duration;

use crabnode_dist::{Outbound, Signal};
use etf::{Term, tuple};
use handshake::DistFlags;

use crate::{
    dialogue::{HEARD, dialogue, message, pair, pid},
    end::{End, Say, Setup},
    wire::{Pair, Weather},
};

fn both_heard(count: usize) -> impl FnMut(&Pair) -> bool {
    move |pair| pair.ends.iter().all(|end| end.heard().len() >= count)
}

fn heard(end: &End) -> Vec<Signal> {
    end.heard().into_iter().cloned().collect()
}

#[test]
fn in_every_weather_the_same_is_heard() {
    let mut fair = pair(Setup::default(), [dialogue(0), dialogue(1)], Weather::default());
    fair.run(both_heard(HEARD));
    for seed in 0..500 {
        let weather = Weather {
            seed,
            chunk_max: [1, 2, 5, 64, 1_000, usize::MAX][seed as usize % 6],
            delay_max: Duration::from_millis([0, 1, 30, 900][seed as usize % 4]),
            capacity: [1, 10, 300, 1 << 16][seed as usize / 3 % 4],
            ..Weather::default()
        };
        let mut pair = pair(Setup::default(), [dialogue(0), dialogue(1)], weather);
        pair.run(both_heard(HEARD));
        for (end, fair) in pair.ends.iter().zip(&fair.ends) {
            assert!(end.is_up(), "seed {seed}");
            assert_eq!(heard(end), heard(fair), "seed {seed}");
        }
        let then = pair.now + Duration::from_secs(600);
        pair.run_until(then);
        assert!(
            pair.ends.iter().all(|end| end.is_up() && end.heard().len() == HEARD),
            "seed {seed}: no more"
        );
    }
}

/// Messages of several senders, some of them so long that they go in fragments.
fn numbered(of: usize, lengths: &[(u32, usize)]) -> Vec<Say> {
    let one = |(n, (sender, bytes)): (usize, &(u32, usize))| {
        let number = i64::try_from(n).expect("few");
        Say::Signal(message(of, *sender, tuple!(number, Term::binary(vec![7; *bytes]))))
    };
    lengths.iter().enumerate().map(one).collect()
}

#[test]
fn fragments_of_several_senders_keep_each_senders_order() {
    let long = Outbound::WHOLE_BYTES_MAX + 1;
    let lengths = [
        (1, 5),
        (2, long + 100_000),
        (3, long),
        (1, 6),
        (2, 7),
        (3, 8),
        (2, long),
        (1, 900),
        (2, 0),
        (3, Outbound::FRAGMENT_BYTES),
    ];
    for seed in 0..12 {
        let weather = Weather {
            seed,
            chunk_max: [100_000, 1 << 20][seed as usize % 2],
            delay_max: Duration::from_millis(3),
            capacity: [1 << 16, 1 << 20][seed as usize / 2 % 2],
            ..Weather::default()
        };
        let flags = match seed % 3 {
            0 => DistFlags::OFFERED,
            1 => DistFlags::OFFERED.without(DistFlags::DIST_HDR_ATOM_CACHE),
            _ => DistFlags::OFFERED.without(DistFlags::FRAGMENTS),
        };
        let setup = Setup { flags, ..Setup::default() };
        let mut pair = pair(setup, [numbered(0, &lengths), numbered(1, &lengths)], weather);
        pair.run(both_heard(lengths.len()));
        for (of, end) in pair.ends.iter().enumerate() {
            assert!(end.is_up());
            for sender in 1..=3 {
                let said: Vec<_> = numbered(1 - of, &lengths)
                    .into_iter()
                    .filter_map(|say| match say {
                        Say::Signal(signal) => Some(signal),
                        Say::Bytes(_) => None,
                    })
                    .filter(|signal| signal.from() == Some(&pid(1 - of, sender)))
                    .collect();
                let heard: Vec<_> = heard(end)
                    .into_iter()
                    .filter(|signal| signal.from() == Some(&pid(1 - of, sender)))
                    .collect();
                assert!(heard == said, "seed {seed}: sender {sender}");
            }
            // Short messages of others are not behind the long ones.
            let first_long = heard(end).iter().position(|signal| signal.from() == Some(&pid(1 - of, 2)));
            let is_fragmented = flags.contains(DistFlags::FRAGMENTS);
            assert_eq!(first_long > Some(2), is_fragmented, "seed {seed}: {first_long:?}");
        }
    }
}
