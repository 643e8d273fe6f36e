//! The wire is lost at every byte.

use std::time::Duration;

use crabnode_dist::{NodedownReason, Signal};

use crate::{
    dialogue::{HEARD, dialogue, pair},
    end::{Down, End, Event, Setup},
    wire::{Loss, LossKind, Pair, Weather},
};

/// What was said and how much of it, where nothing is lost.
struct Recording {
    heard: [Vec<Signal>; 2],
    /// How many bytes each end writes in all.
    written: [usize; 2],
}

fn record() -> Recording {
    let mut pair = pair(Setup::default(), [dialogue(0), dialogue(1)], Weather::default());
    pair.run(|pair| pair.ends.iter().all(|end| end.heard().len() == HEARD));
    for end in &pair.ends {
        assert!(end.is_up(), "{:?}", end.events.last());
        assert!(!end.has_something_to_write());
    }
    let heard = pair.ends.each_ref().map(|end| end.heard().into_iter().cloned().collect());
    Recording { heard, written: pair.written() }
}

/// What holds at the end of every loss: up at most once and first, down exactly once and last, and what was heard is
/// what was said first, each once and whole.
fn assert_ended_well(end: &End, all: &[Signal], what: &str) {
    let is = |wanted: fn(&Event) -> bool| end.events.iter().filter(|(_, event)| wanted(event)).count();
    assert!(end.is_over(), "{what}: {:?}", end.events.last());
    assert_eq!(is(|event| matches!(event, Event::Down(_))), 1, "{what}: down once");
    assert!(matches!(end.events.last(), Some((_, Event::Down(_)))), "{what}: down last");
    let ups = is(|event| matches!(event, Event::Up));
    let (_, down) = end.down().expect("it is down");
    assert_eq!(down == Down::NeverUp, ups == 0, "{what}: {down:?} after {ups} ups");
    assert!(ups == 0 || matches!(end.events.first(), Some((_, Event::Up))), "{what}: up first, and once");
    let heard: Vec<Signal> = end.heard().into_iter().cloned().collect();
    assert!(heard.len() <= all.len() && heard == all[..heard.len()], "{what}: heard {heard:?}");
    assert_eq!(end.poll_timeout(), None, "{what}: nothing is waited for any more");
    assert!(!end.has_something_to_write(), "{what}");
}

fn lose(weather: Weather, loss: Loss, recording: &Recording) -> Pair {
    let what = format!("{loss:?}");
    let weather = Weather { loss: Some(loss), ..weather };
    let mut pair = pair(Setup::default(), [dialogue(0), dialogue(1)], weather);
    pair.run(|pair| pair.ends.iter().all(End::is_over));
    for (end, all) in pair.ends.iter().zip(&recording.heard) {
        assert_ended_well(end, all, &what);
    }
    pair
}

fn each_byte(recording: &Recording) -> impl Iterator<Item = (usize, usize)> {
    let written = recording.written;
    (0..2).flat_map(move |of| (0..=written[of]).map(move |at| (of, at)))
}

#[test]
fn at_every_byte_both_ends_learn_of_it_once_and_what_arrived_whole_is_heard() {
    let recording = record();
    assert_eq!(recording.heard.each_ref().map(Vec::len), [HEARD; 2]);
    // So many bytes that every part of the dialogue is there.
    assert!(recording.written.iter().all(|bytes| (1_000..10_000).contains(bytes)), "{:?}", recording.written);
    let mut last = [0; 2];
    for (of, at) in each_byte(&recording) {
        let kind = LossKind::Closed;
        let pair = lose(Weather::default(), Loss { of, at, kind }, &recording);
        // What went before the loss is heard; one byte more never makes it less.
        let heard = pair.ends[1 - of].heard().len();
        let (before, is_first) = (last[of], at == 0);
        assert!(is_first || (before..=before + 1).contains(&heard), "{of} {at}: {heard} after {before}");
        last[of] = heard;
        for end in &pair.ends {
            let (_, down) = end.down().expect("it is down");
            assert!(matches!(down, Down::NeverUp | Down::Nodedown(NodedownReason::ConnectionClosed)));
        }
    }
    assert_eq!(last, [HEARD; 2], "with every byte there is nothing lost");
}

#[test]
fn at_every_byte_with_what_was_on_the_way_and_in_small_pieces() {
    let recording = record();
    for (of, at) in each_byte(&recording) {
        let seed = (at * 2 + of) as u64;
        // In turn: what goes wrong does so at more than one byte.
        let (kind, chunk_max) =
            [(LossKind::Reset, 64), (LossKind::Closed, 7), (LossKind::Reset, 1)][(at + of) % 3];
        let weather = Weather {
            seed,
            chunk_max,
            delay_max: Duration::from_millis(5),
            capacity: 200,
            ..Weather::default()
        };
        lose(weather, Loss { of, at, kind }, &recording);
    }
}

/// Nobody is told: a handshake ends with its time, a connection with its ticks.
#[test]
fn at_every_byte_and_in_silence_it_is_found_out_in_time() {
    let recording = record();
    for (of, at) in each_byte(&recording) {
        for kind in [LossKind::Silent, LossKind::SilentOneWay] {
            let pair = lose(Weather::default(), Loss { of, at, kind }, &recording);
            let mut found_out = Vec::new();
            for end in &pair.ends {
                let (when, down) = end.down().expect("it is down");
                let silence = when - end.last_read.max(pair.start);
                let (from, to) = match down {
                    // A stage has 7 s; an end that has said its last word waits for nothing.
                    Down::NeverUp => (Duration::ZERO, Duration::from_secs(7)),
                    Down::Nodedown(NodedownReason::NetTickTimeout) => {
                        (Duration::from_secs(60), Duration::from_secs(75))
                    }
                    // The other one has found out, and its closing came through.
                    Down::Nodedown(NodedownReason::ConnectionClosed) if kind == LossKind::SilentOneWay => {
                        (Duration::ZERO, Duration::from_secs(75))
                    }
                    Down::Nodedown(other) => panic!("{of} {at} {kind:?}: {other}"),
                };
                assert!((from..=to).contains(&silence), "{of} {at} {kind:?}: {down:?} after {silence:?}");
                found_out.push(down);
            }
            // One end at least has found out by itself.
            let closed = Down::Nodedown(NodedownReason::ConnectionClosed);
            assert_ne!(found_out, [closed, closed]);
        }
    }
}
