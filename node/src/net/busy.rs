//! Whether a connection goes on asking for bytes, or lets its thread sleep.
//!
//! To wake a sleeping thread takes longer than a short message; to keep it awake takes the time of a core. So a
//! connection stays awake only after it has sent something, for the answer or the next question, where messages have
//! followed each other closely; and stops where that was in vain. A stream that comes in is better read in large pieces.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A message is expected if the last one went within this many times the time that we would wait: what a woken thread
/// answers comes that much later than what one answers that was awake.
const CLOSE: u32 = 4;

/// After this many waits in vain, one after the other, there are none for a while.
const VAIN_MAX: u32 = 8;

/// For this many messages, or batches of them.
const REST: u32 = 64;

/// Asking takes less than this. What is longer, somebody else had the core: a peer, for as long as a message takes; a
/// virtual machine that was stopped for a moment; or who computes.
const GONE: Duration = Duration::from_micros(50);

/// A core that is gone for so long within [`WINDOW`] is wanted by others.
const WANTED: Duration = Duration::from_micros(500);
const WINDOW: Duration = Duration::from_millis(10);

/// For so long nothing waits on a core that is wanted: who sleeps is put before others when woken, who waits is not.
const YIELD: Duration = Duration::from_millis(100);

/// Asking takes longer than this. Where it seems not to, the clock stands still, as that of a test may until there is
/// nothing to do.
const ASKING: Duration = Duration::from_nanos(250);

/// The one of a node's connections that stays awake. Each that does is asked in turn with what there is to do, so more
/// than one would slow down the others.
#[derive(Debug, Default)]
pub(crate) struct Awake(AtomicBool);

/// One connection's part.
pub(super) struct BusyPoll<'a> {
    awake: &'a Awake,
    /// How long to wait for the next message; zero for never.
    wait: Duration,
    /// When something last went, and whether something has come since.
    wrote: Instant,
    has_read: bool,
    /// Whether that is followed by a wait that goes on.
    is_awake: bool,
    vain: u32,
    /// For how many messages it sleeps, and until when.
    rest: u32,
    asleep_until: Instant,
    /// How often it has asked since something went.
    asks: u32,
    /// When it last asked while awake, and how long the core was gone since the window began.
    asked: Instant,
    window: Instant,
    gone: Duration,
}

impl<'a> BusyPoll<'a> {
    pub(super) fn new(awake: &'a Awake, wait: Duration, now: Instant) -> Self {
        Self {
            awake,
            wait,
            wrote: now,
            has_read: false,
            is_awake: false,
            vain: 0,
            rest: 0,
            asleep_until: now,
            asks: 0,
            asked: now,
            window: now,
            gone: Duration::ZERO,
        }
    }

    /// Whether it ever waits. Where not, the rest need not be called.
    pub(super) fn is_on(&self) -> bool {
        !self.wait.is_zero()
    }

    /// Messages went.
    pub(super) fn wrote(&mut self, now: Instant) {
        let is_close = now.saturating_duration_since(self.wrote) < self.wait * CLOSE;
        (self.wrote, self.has_read, self.asked, self.asks) = (now, false, now, 0);
        if self.is_awake {
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
        } else if is_close && now >= self.asleep_until {
            self.is_awake = !self.awake.0.swap(true, Ordering::Relaxed);
        }
    }

    /// Messages came.
    pub(super) fn read(&mut self, now: Instant) {
        (self.has_read, self.asked) = (true, now);
    }

    /// Whether to ask again at once.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        if self.is_awake && self.is_core_wanted(now) {
            self.asleep_until = now + YIELD;
            self.sleep();
        }
        self.asks = self.asks.saturating_add(1);
        let waited = now.saturating_duration_since(self.wrote).max(ASKING * self.asks);
        if self.is_awake && waited >= self.wait {
            self.vain = if self.has_read { 0 } else { self.vain + 1 };
            if self.vain >= VAIN_MAX {
                (self.vain, self.rest) = (0, REST);
            }
            self.sleep();
        }
        self.is_awake
    }

    fn is_core_wanted(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.window) >= WINDOW {
            (self.window, self.gone) = (now, Duration::ZERO);
        }
        let since = now.saturating_duration_since(self.asked);
        self.asked = now;
        if since >= GONE {
            self.gone += since;
        }
        self.gone >= WANTED
    }

    fn sleep(&mut self) {
        if std::mem::take(&mut self.is_awake) {
            self.awake.0.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for BusyPoll<'_> {
    fn drop(&mut self) {
        self.sleep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_micros(50);
    const CLOSE_BY: Duration = Duration::from_micros(20);

    fn start() -> Instant {
        crate::clock::now()
    }

    /// As a task does that is alone on its core.
    fn asks(busy: &mut BusyPoll<'_>, from: Instant, pause: Duration) {
        for step in 0..=10 {
            busy.goes_on(from + pause * step / 10);
        }
    }

    #[test]
    fn it_stays_awake_between_messages_that_follow_closely_and_no_longer_than_asked() {
        let (awake, mut now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WAIT, now);
        now += Duration::from_secs(1);
        busy.wrote(now);
        assert!(!busy.goes_on(now), "nothing says that more is to come");
        now += WAIT * 3;
        busy.wrote(now);
        assert!(busy.goes_on(now));
        assert!(busy.goes_on(now + WAIT - Duration::from_nanos(1)));
        assert!(!busy.goes_on(now + WAIT));
        assert!(!busy.goes_on(now), "it sleeps until there is work");
    }

    #[test]
    fn it_rests_where_it_waited_in_vain() {
        let (awake, mut now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WAIT, now);
        let mut waits = 0;
        for _ in 0..(VAIN_MAX + REST) * 10 {
            now += WAIT * 2;
            busy.wrote(now);
            waits += u32::from(busy.goes_on(now));
            asks(&mut busy, now, WAIT);
        }
        assert_eq!(waits, VAIN_MAX * 10);
    }

    #[test]
    fn what_only_comes_keeps_nobody_awake() {
        let (awake, mut now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WAIT, now);
        busy.wrote(now);
        for _ in 0..=(WAIT.as_micros() / CLOSE_BY.as_micros()) {
            assert!(busy.goes_on(now));
            now += CLOSE_BY;
            busy.read(now);
        }
        assert!((0..1_000).all(|step| {
            busy.read(now + CLOSE_BY * step);
            !busy.goes_on(now + CLOSE_BY * step)
        }));
    }

    #[test]
    fn it_does_not_rest_where_a_wait_is_worth_it_now_and_then() {
        let (awake, mut now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WAIT, now);
        for round in 0..1_000 {
            if round % VAIN_MAX == 0 {
                busy.read(now);
            }
            asks(&mut busy, now, WAIT * 2);
            now += WAIT * 2;
            busy.wrote(now);
            assert!(busy.goes_on(now), "{round}");
        }
    }

    #[test]
    fn it_leaves_its_core_to_who_wants_it_for_longer() {
        let (awake, mut now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WANTED * 2, now);
        let mut after = |busy: &mut BusyPoll<'_>, time| {
            busy.wrote(now);
            now += time;
            busy.goes_on(now)
        };
        // A moment now and then is none's wish.
        for _ in 0..100 {
            assert!(after(&mut busy, GONE * 2));
            assert!((0..1_000).all(|_| after(&mut busy, CLOSE_BY)));
        }
        assert!(!after(&mut busy, WANTED));
        let slept = (1..).take_while(|_| !after(&mut busy, CLOSE_BY)).count();
        assert_eq!(slept, (YIELD.as_micros() / CLOSE_BY.as_micros()) as usize);
        // Nor are many moments.
        let moments = (1..).take_while(|_| after(&mut busy, GONE * 2)).count();
        assert_eq!(moments, (WANTED.as_micros() / (GONE * 2).as_micros()) as usize - 1);
    }

    #[test]
    fn one_connection_of_a_node_is_awake_at_a_time() {
        let (awake, now) = (Awake::default(), start());
        let mut one = BusyPoll::new(&awake, WAIT, now);
        let mut other = BusyPoll::new(&awake, WAIT, now);
        one.wrote(now + CLOSE_BY);
        other.wrote(now + CLOSE_BY);
        assert!(one.goes_on(now + CLOSE_BY));
        assert!(!other.goes_on(now + CLOSE_BY));
        drop(one);
        other.wrote(now + CLOSE_BY);
        assert!(other.goes_on(now + CLOSE_BY));
    }

    #[test]
    fn a_clock_that_stands_still_keeps_nobody_awake() {
        let (awake, now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, WAIT, now);
        busy.wrote(now);
        let asks = (0..1_000).take_while(|_| busy.goes_on(now)).count();
        assert_eq!(asks, 199);
    }

    #[test]
    fn no_time_to_wait_is_no_wait() {
        let (awake, now) = (Awake::default(), start());
        let mut busy = BusyPoll::new(&awake, Duration::ZERO, now);
        assert!(!busy.is_on());
        busy.wrote(now);
        assert!(!busy.goes_on(now));
    }
}
