//! What two nodes say to each other in these tests.

use std::{num::NonZeroU64, time::Instant};

use bytes::BytesMut;
use crabnode_dist::{MonitorTarget, Signal, SignalTarget};
use etf::{Atom, Pid, Reference, Term, tuple};

use crate::{
    end::{End, Say, Setup},
    frames::{OWN, PEER, first, framed, rest},
    wire::{Pair, Weather},
};

/// The names of the two, by number.
pub(crate) const NAMES: [Atom; 2] = [PEER, OWN];

/// Any time does: only differences count.
#[expect(clippy::disallowed_methods, reason = "the only look at a clock: the time of these tests is virtual")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn pair(setup: Setup, scripts: [Vec<Say>; 2], weather: Weather) -> Pair {
    let now = start();
    let [a, b] = scripts;
    let dials = End::dials(now, &NAMES[0], &NAMES[1], setup, a);
    let accepts = End::accepts(now, &NAMES[1], setup, b);
    Pair::new(now, [dials, accepts], weather)
}

pub(crate) fn pid(of: usize, number: u32) -> Pid {
    Pid::new(NAMES[of].clone(), number, 0, 7)
}

pub(crate) fn message(of: usize, sender: u32, message: Term) -> Signal {
    Signal::Send { from: Some(pid(of, sender)), to: pid(1 - of, 1), message, token: None, priority: false }
}

/// The first fragment of a message from a sender, in the form of a BEAM, and the others.
fn fragments(of: usize, sender: u32, message: &Term, sizes: &[usize]) -> Vec<Vec<u8>> {
    let bare = |term: &Term| {
        let mut out = BytesMut::new();
        etf::encode_into(term, &mut out);
        out
    };
    let control = bare(&tuple!(22, pid(of, sender), pid(1 - of, 1)));
    let payload = bare(message);
    let (count, mut at, mut frames) = (sizes.len() as u64 + 1, 0_usize, Vec::new());
    for (n, size) in sizes.iter().copied().chain([usize::MAX]).enumerate() {
        let part = &payload[at..payload.len().min(at.saturating_add(size))];
        at += part.len();
        let body = match n as u64 {
            0 => first(u64::from(sender), count, &[&[0], &control, part]),
            n => rest(u64::from(sender), count - n, part),
        };
        frames.push(framed(&body));
    }
    frames
}

/// Links, monitors, messages by pid and name, atoms new and known, fragments of two senders in turn with a whole
/// message between, an exit and the end of what was monitored; said by each end about its own processes.
pub(crate) fn dialogue(of: usize) -> Vec<Say> {
    let (own, theirs) = (|number| pid(of, number), |number| pid(1 - of, number));
    let reference = Reference::new(NAMES[of].clone(), 7, &[1, 2, 3]).expect("three words");
    let their_reference = Reference::new(NAMES[1 - of].clone(), 7, &[1, 2, 3]).expect("three words");
    let name = || MonitorTarget::Name(Atom::from_static("named"));
    let long = |n: u8| tuple!(atom "long", Term::binary(vec![n; 90]));
    let mut script: Vec<Say> = [
        Signal::Link { from: own(1), to: theirs(1) },
        Signal::Monitor { from: own(1), to: MonitorTarget::Pid(theirs(2)), reference: reference.clone() },
        Signal::Monitor { from: own(1), to: name(), reference: reference.clone() },
        message(of, 3, tuple!(atom "first", Term::binary("some bytes"))),
        Signal::RegSend {
            from: own(3),
            to: Atom::from_static("named"),
            message: Term::atom("first"),
            token: None,
            priority: false,
        },
        message(of, 3, tuple!(atom "second", atom "first")),
    ]
    .map(Say::Signal)
    .into();
    let (a, b) = (fragments(of, 4, &long(4), &[0, 30, 40]), fragments(of, 5, &long(5), &[50, 1]));
    script.extend([&a[0], &b[0], &a[1]].map(|frame| Say::Bytes(frame.clone())));
    script.push(Say::Signal(message(of, 6, Term::atom("between"))));
    script.extend([&b[1], &a[2], &b[2], &a[3]].map(|frame| Say::Bytes(frame.clone())));
    let last = [
        Signal::Unlink { id: NonZeroU64::new(1), from: own(1), to: theirs(1) },
        Signal::Demonitor { from: own(1), to: name(), reference },
        Signal::Exit { from: own(2), to: theirs(2), reason: Term::atom("boom"), token: None },
        Signal::MonitorExit {
            from: MonitorTarget::Pid(own(2)),
            sender: None,
            to: theirs(1),
            reference: their_reference,
            reason: long(9),
        },
        Signal::Exit2 {
            from: own(3),
            to: SignalTarget::Pid(theirs(3)),
            reason: Term::atom("kill"),
            token: None,
            priority: false,
        },
    ];
    script.extend(last.map(Say::Signal));
    script
}

/// How many signals the other end hears of [`dialogue`].
pub(crate) const HEARD: usize = 14;
