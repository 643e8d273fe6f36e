//! The wire between two ends, and the time on it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::end::{End, MILLISECOND};

/// How the wire behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Where chunk sizes, delays and turns come from.
    pub(crate) seed: u64,
    /// How many bytes are written or read at once, at the most.
    pub(crate) chunk_max: usize,
    /// How long bytes are on the way, at the most. They keep their order.
    pub(crate) delay_max: Duration,
    /// How many bytes are on the way before a writer waits.
    pub(crate) capacity: usize,
    /// How many bytes the ends, in their order, read in a millisecond, if they are slow.
    pub(crate) read_per_ms: [Option<usize>; 2],
    pub(crate) loss: Option<Loss>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            seed: 1,
            chunk_max: usize::MAX,
            delay_max: Duration::ZERO,
            capacity: 1 << 20,
            read_per_ms: [None; 2],
            loss: None,
        }
    }
}

/// The wire is lost before this byte of what this end writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) of: usize,
    pub(crate) at: usize,
    pub(crate) kind: LossKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossKind {
    /// What is on the way arrives, and then both ends learn of it.
    Closed,
    /// What is on the way is lost, and both learn of it.
    Reset,
    /// Nothing arrives any more, and nobody learns of it.
    Silent,
    /// As silent, but only for what this end writes.
    SilentOneWay,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// When the last of each chunk arrives.
    on_the_way: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// How many bytes were taken from the writer.
    taken: usize,
    arrived: VecDeque<u8>,
    /// Nothing goes in any more.
    is_lost: bool,
    /// When the slow reader reads next.
    read_at: Option<Instant>,
}

/// Two ends and the wire between them. Pipe 0 is from end 0 to end 1.
pub(crate) struct Pair {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    pipes: [Pipe; 2],
    weather: Weather,
    random: u64,
    is_closed: bool,
}

impl Pair {
    pub(crate) fn new(start: Instant, ends: [End; 2], weather: Weather) -> Self {
        let random = weather.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pair =
            Self { start, now: start, ends, pipes: Default::default(), weather, random, is_closed: false };
        if let Some(Loss { at: 0, .. }) = weather.loss {
            pair.lose();
        }
        pair
    }

    /// How many bytes each end has written.
    pub(crate) fn written(&self) -> [usize; 2] {
        [self.pipes[0].taken, self.pipes[1].taken]
    }

    /// Goes on until a time, or until nothing can happen any more.
    pub(crate) fn run_until(&mut self, until: Instant) {
        self.run(|pair| pair.now >= until);
    }

    pub(crate) fn run(&mut self, mut is_done: impl FnMut(&Self) -> bool) {
        // A step moves a byte, a timer or the time: what takes more than this goes in circles.
        for _ in 0..STEPS_MAX {
            if is_done(self) {
                return;
            }
            if self.step() {
                continue;
            }
            let Some(next) = self.next_time() else { return };
            assert!(next > self.now, "the time goes on");
            self.now = next;
        }
        panic!("no end of it: {:?}", self.ends.each_ref().map(|end| end.events.last()));
    }

    /// Something that is due now. Which comes first is the seed's choice, but that what can be read is read before a
    /// timer is looked at.
    fn step(&mut self) -> bool {
        let first = usize::from(self.random() % 2 == 1);
        let ends = [first, 1 - first];
        self.arrive();
        ends.into_iter().any(|end| self.write(end))
            || ends.into_iter().any(|end| self.read(end))
            || ends.into_iter().any(|end| self.timeout(end))
            || ends.into_iter().any(|end| self.close(end))
    }

    fn write(&mut self, end: usize) -> bool {
        let room =
            self.weather.capacity.saturating_sub(self.pipes[end].bytes + self.pipes[end].arrived.len());
        if room == 0 || !self.ends[end].has_something_to_write() {
            return false;
        }
        let max = self.chunk().min(room);
        let mut bytes = self.ends[end].write(self.now, max);
        let delay = self.delay();
        let taken = self.pipes[end].taken;
        let lost_at = self.weather.loss.filter(|loss| loss.of == end).map(|loss| loss.at);
        self.pipes[end].taken += bytes.len();
        let reaches = lost_at.is_some_and(|at| taken < at && taken + bytes.len() >= at);
        if let Some(at) = lost_at {
            bytes.truncate(at.saturating_sub(taken));
        }
        let pipe = &mut self.pipes[end];
        if !pipe.is_lost && !bytes.is_empty() {
            pipe.bytes += bytes.len();
            let after = pipe.on_the_way.back().map_or(self.now, |(at, _)| *at);
            pipe.on_the_way.push_back((after.max(self.now + delay), bytes));
        }
        if reaches {
            self.lose();
        }
        true
    }

    /// The loss happens.
    fn lose(&mut self) {
        let loss = self.weather.loss.expect("there is one");
        match loss.kind {
            LossKind::Closed => {}
            LossKind::Reset => self.pipes.iter_mut().for_each(|pipe| {
                pipe.on_the_way.clear();
                pipe.arrived.clear();
                pipe.bytes = 0;
            }),
            LossKind::SilentOneWay => {
                self.pipes[loss.of].is_lost = true;
                return;
            }
            LossKind::Silent => {
                self.pipes.iter_mut().for_each(|pipe| pipe.is_lost = true);
                return;
            }
        }
        self.pipes.iter_mut().for_each(|pipe| pipe.is_lost = true);
        self.is_closed = true;
    }

    fn arrive(&mut self) {
        for pipe in &mut self.pipes {
            while pipe.on_the_way.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, bytes) = pipe.on_the_way.pop_front().expect("it is there");
                pipe.bytes -= bytes.len();
                pipe.arrived.extend(bytes);
            }
        }
    }

    fn read(&mut self, end: usize) -> bool {
        let (per_ms, chunk) = (self.weather.read_per_ms[end], self.chunk());
        let pipe = &mut self.pipes[1 - end];
        if pipe.arrived.is_empty() || self.ends[end].is_over() {
            return false;
        }
        if per_ms.is_some() && pipe.read_at.is_some_and(|at| at > self.now) {
            return false;
        }
        pipe.read_at = Some(self.now + MILLISECOND);
        let count = per_ms.unwrap_or(chunk).min(pipe.arrived.len());
        let bytes: Vec<u8> = pipe.arrived.drain(..count).collect();
        self.ends[end].read(self.now, &bytes);
        true
    }

    fn timeout(&mut self, end: usize) -> bool {
        let is_due = self.ends[end].poll_timeout().is_some_and(|at| at <= self.now);
        if is_due {
            self.ends[end].timeout(self.now);
        }
        is_due
    }

    /// An end learns that the wire is lost or that the other has closed, when it has read all.
    fn close(&mut self, end: usize) -> bool {
        let other_closed = self.ends[1 - end].is_over() && !self.pipes[1 - end].is_lost;
        let pipe = &self.pipes[1 - end];
        let has_read = pipe.arrived.is_empty() && pipe.on_the_way.is_empty();
        if self.ends[end].is_over() || !has_read || !(self.is_closed || other_closed) {
            return false;
        }
        self.ends[end].eof(self.now);
        true
    }

    fn next_time(&self) -> Option<Instant> {
        let arrivals = self.pipes.iter().filter_map(|pipe| pipe.on_the_way.front().map(|(at, _)| *at));
        let timers = self.ends.iter().filter_map(End::poll_timeout);
        let reads = (0..2).filter_map(|end| {
            let pipe = &self.pipes[1 - end];
            let waits = !pipe.arrived.is_empty() && !self.ends[end].is_over();
            pipe.read_at.filter(|_| waits && self.weather.read_per_ms[end].is_some())
        });
        arrivals.chain(timers).chain(reads).min()
    }

    fn chunk(&mut self) -> usize {
        match self.weather.chunk_max {
            1 | usize::MAX => self.weather.chunk_max,
            max => 1 + usize::try_from(self.random()).expect("64 bits") % max,
        }
    }

    fn delay(&mut self) -> Duration {
        let max = u64::try_from(self.weather.delay_max.as_micros()).expect("short");
        Duration::from_micros(self.random() % (max + 1))
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

const STEPS_MAX: usize = 10_000_000;
