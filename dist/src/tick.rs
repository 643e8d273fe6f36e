//! Whether the peer lives, and how it learns that we do (wire.md 6).

use std::time::{Duration, Instant};

/// How soon a silent peer counts as dead. All nodes of a cluster must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickConfig {
    ticktime: Duration,
    intensity: u32,
}

/// A [`TickConfig`] that OTP would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TickConfigError {
    /// A ticktime of less than a second, or of more than [`TickConfig::TICKTIME_MAX`].
    #[error("net_ticktime is {} s; it must be 1 to {} s", .0.as_secs_f64(), TickConfig::TICKTIME_MAX.as_secs())]
    Ticktime(Duration),
    /// An intensity outside of 4 to 1000.
    #[error("net_tickintensity is {0}; it must be 4 to 1000")]
    Intensity(u32),
}

impl TickConfig {
    /// The longest ticktime: what a timer of the BEAM can count, 2^32 milliseconds or 49 days. Also, a time
    /// far enough off cannot be told.
    pub const TICKTIME_MAX: Duration = Duration::from_secs(4_294_967);

    /// `net_ticktime` T and `net_tickintensity` K: the connection is watched every T/K, and a peer that says
    /// nothing for T is dead. Defaults 60 s and 4. A shorter time finds dead peers sooner, and takes peers for
    /// dead that are only stopped or slow.
    pub const fn new(ticktime: Duration, intensity: u32) -> Result<Self, TickConfigError> {
        if ticktime.as_secs() == 0 || ticktime.as_secs() > Self::TICKTIME_MAX.as_secs() {
            return Err(TickConfigError::Ticktime(ticktime));
        }
        if intensity < 4 || intensity > 1000 {
            return Err(TickConfigError::Intensity(intensity));
        }
        Ok(Self { ticktime, intensity })
    }

    /// T: how long a peer may say nothing.
    #[must_use]
    pub const fn ticktime(self) -> Duration {
        self.ticktime
    }

    /// I = T/K: how long we may say nothing.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.ticktime / self.intensity
    }
}

impl Default for TickConfig {
    fn default() -> Self {
        Self { ticktime: Duration::from_secs(60), intensity: 4 }
    }
}

/// The ticktime of a node, which may be on its way from one to another (`net_kernel:set_net_ticktime/2`).
///
/// All nodes must have the same, and nobody changes it on all of them at one moment. So there is a transition in
/// which a node is as talkative as the shorter of the two asks for and as patient as the longer one; every node has
/// to be told of the change before the transition of the first is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticktime {
    /// Where it goes.
    config: TickConfig,
    /// Where it comes from, and until when.
    from: Option<(TickConfig, Instant)>,
}

/// What came of a wish to change the ticktime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicktimeChange {
    /// It was so already.
    Unchanged,
    /// The transition has begun.
    Initiated,
    /// The transition to this one is not over: nothing was changed.
    OngoingTo(Duration),
}

impl Ticktime {
    /// The longest transition: as the longest ticktime.
    pub const TRANSITION_MAX: Duration = TickConfig::TICKTIME_MAX;

    /// One that stays.
    #[must_use]
    pub const fn new(config: TickConfig) -> Self {
        Self { config, from: None }
    }

    /// Begins a change, with the intensity as it is. A transition longer than [`Ticktime::TRANSITION_MAX`] is cut.
    pub fn set(
        &mut self,
        now: Instant,
        ticktime: Duration,
        transition: Duration,
    ) -> Result<TicktimeChange, TickConfigError> {
        let config = TickConfig::new(ticktime, self.config.intensity)?;
        if let Some(to) = self.ongoing(now) {
            return Ok(TicktimeChange::OngoingTo(to));
        }
        if config == self.config {
            return Ok(TicktimeChange::Unchanged);
        }
        let until = now + transition.min(Self::TRANSITION_MAX);
        *self = Self { config, from: Some((self.config, until)) };
        Ok(TicktimeChange::Initiated)
    }

    /// The ticktime, or the one that it goes to.
    #[must_use]
    pub const fn ticktime(self) -> Duration {
        self.config.ticktime
    }

    /// What it goes to, while a transition is under way.
    #[must_use]
    pub fn ongoing(self, now: Instant) -> Option<Duration> {
        self.from.is_some_and(|(_, until)| now < until).then_some(self.config.ticktime)
    }
}

/// Watches one connection in both directions.
///
/// *Out:* a tick is due when nothing was written for I, so the peer hears from us at least that often. (The
/// BEAM looks at fixed times and so may leave 2 I; it needs to hear from us within T, that is 4 I.) Bytes that
/// wait to be written make a tick pointless: they will be heard first. To a hidden peer a tick is due also when
/// nothing was *received* for I, because a simple node may speak only when spoken to, and only a tick makes it.
///
/// *In:* any byte is life; the BEAM counts whole frames, which takes a peer for dead that is still pushing a
/// long one. Nothing for T makes a peer suspect, and if after another I/4 there is still nothing it is dead: T
/// to T+I after the last byte, as on the BEAM. The second look is for our own sake. A process that was stopped
/// for longer than T wakes to an expired timer and unread bytes, and has that time to read them.
///
/// A tick that is sent is counted as written, also if the caller does not say so by [`Ticker::wrote`].
#[derive(Debug, Clone)]
pub struct Ticker {
    /// How long the peer may say nothing.
    patience: Duration,
    /// How long we may.
    interval: Duration,
    /// When a transition is over, and what holds then.
    then: Option<(Instant, TickConfig)>,
    peer_hidden: bool,
    received: Instant,
    wrote: Instant,
    /// When a hidden peer last had no need of a tick: something was received, or a tick was sent.
    answered: Instant,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Suspect { since: Instant },
    Dead,
}

/// What is to be done.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickVerdict {
    /// Nothing; ask again at [`Ticker::poll_timeout`].
    Nothing,
    /// Write a tick, before anything else.
    SendTick,
    /// Close the connection, with [`NodedownReason::NetTickTimeout`](crate::NodedownReason::NetTickTimeout).
    Dead,
}

impl Ticker {
    /// Watches a connection whose handshake was done at `now`.
    ///
    /// `peer_hidden` is about the connection: true unless both sides set PUBLISHED.
    #[must_use]
    pub fn new(now: Instant, config: TickConfig, peer_hidden: bool) -> Self {
        Self {
            patience: config.ticktime,
            interval: config.interval(),
            then: None,
            peer_hidden,
            received: now,
            wrote: now,
            answered: now,
            life: Life::Alive,
        }
    }

    /// The node's ticktime changes.
    pub fn set_ticktime(&mut self, ticktime: Ticktime) {
        let Ticktime { config, from } = ticktime;
        (self.patience, self.interval) = (config.ticktime, config.interval());
        self.then = from.map(|(from, until)| {
            self.patience = self.patience.max(from.ticktime);
            self.interval = self.interval.min(from.interval());
            (until, config)
        });
    }

    /// Bytes were written to the socket.
    pub fn wrote(&mut self, now: Instant) {
        self.wrote = now;
    }

    /// Bytes were read from the socket.
    pub fn received(&mut self, now: Instant) {
        self.received = now;
        self.answered = now;
        if self.life != Life::Dead {
            self.life = Life::Alive;
        }
    }

    /// When to call [`Ticker::handle_timeout`] if nothing else happens; nothing once the peer is dead.
    /// It moves on with every write and read, so a driver does best to look at it when its timer fires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let look_at_peer = match self.life {
            Life::Alive => self.received + self.patience,
            Life::Suspect { since } => since + self.grace(),
            Life::Dead => return None,
        };
        let next = look_at_peer.min(self.tick_at());
        Some(self.then.map_or(next, |(until, _)| next.min(until)))
    }

    /// What is to be done at `now`. `pending_bytes` are those that wait to be written.
    ///
    /// Bytes that can be read are to be read, and told by [`Ticker::received`], before this is called.
    pub fn handle_timeout(&mut self, now: Instant, pending_bytes: usize) -> TickVerdict {
        if let Some((_, config)) = self.then.take_if(|(until, _)| now >= *until) {
            (self.patience, self.interval) = (config.ticktime, config.interval());
        }
        self.look_at_peer(now);
        if self.life == Life::Dead {
            return TickVerdict::Dead;
        }
        if now < self.tick_at() {
            return TickVerdict::Nothing;
        }
        let hidden_needs_it = self.peer_hidden && now >= self.answered + self.interval;
        self.wrote = now;
        if pending_bytes > 0 && !hidden_needs_it {
            // The next look is in I: if those bytes still wait then, they will still be heard before a tick.
            return TickVerdict::Nothing;
        }
        self.answered = now;
        TickVerdict::SendTick
    }

    fn look_at_peer(&mut self, now: Instant) {
        match self.life {
            Life::Alive if now >= self.received + self.patience => {
                self.life = Life::Suspect { since: now };
            }
            Life::Suspect { since } if now >= since + self.grace() => self.life = Life::Dead,
            Life::Alive | Life::Suspect { .. } | Life::Dead => {}
        }
    }

    fn tick_at(&self) -> Instant {
        let since = if self.peer_hidden { self.wrote.min(self.answered) } else { self.wrote };
        since + self.interval
    }

    /// How long after T we look again before we call a peer dead.
    fn grace(&self) -> Duration {
        self.interval / 4
    }
}

#[cfg(test)]
mod tests;
