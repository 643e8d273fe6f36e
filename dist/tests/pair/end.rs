//! One end: what a driver does with the machines, without a socket.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crabnode_dist::{
    Encoded, Inbound, Limits, NodedownReason, Outbound, Received, Signal, TICK, TickConfig, TickVerdict,
    Ticker,
};
use etf::{Atom, Segments};
use handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, Creation, DistFlags, Established,
    HandshakeConfig, Initiator, InitiatorInput, InitiatorOutput, LocalIdentity, Verdict,
};

/// What an end says once it is up.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Signal(Signal),
    /// Frames as they are, for forms that ours does not choose.
    Bytes(Vec<u8>),
}

/// What an end tells its node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Up,
    Heard(Signal),
    /// The last: nothing comes after it.
    Down(Down),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// The handshake was not done, so there is no nodedown: there was no nodeup.
    NeverUp,
    Nodedown(NodedownReason),
}

/// What two ends are started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) flags: DistFlags,
    pub(crate) ticks: TickConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self { flags: DistFlags::OFFERED, ticks: TickConfig::default() }
    }
}

pub(crate) struct End {
    own: Atom,
    ticks: TickConfig,
    script: Vec<Say>,
    stage: Stage,
    /// What is to be written.
    out: VecDeque<u8>,
    /// When what happened.
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) ticks_sent: u32,
    pub(crate) last_read: Instant,
}

enum Stage {
    Dials(Box<Initiator>),
    Accepts(Box<Acceptor>),
    Up(Box<Link>),
    Over,
}

struct Link {
    inbound: Inbound,
    outbound: Outbound,
    ticker: Ticker,
}

const COOKIE: &str = "a cookie of both";

impl End {
    pub(crate) fn dials(now: Instant, own: &Atom, peer: &Atom, setup: Setup, script: Vec<Say>) -> Self {
        let peer = peer.as_str().parse().expect("a node name");
        let cookie = Cookie::new(COOKIE).expect("a cookie");
        let local = identity(own, setup);
        let machine = Initiator::new(now, local, peer, cookie, 0x5eed_0001, HandshakeConfig::default());
        let mut end = Self::new(now, own, setup, script, Stage::Dials(Box::new(machine)));
        end.poll_handshake(now);
        end
    }

    pub(crate) fn accepts(now: Instant, own: &Atom, setup: Setup, script: Vec<Say>) -> Self {
        let cookies = CookieBook::new(Cookie::new(COOKIE).expect("a cookie"));
        let local = identity(own, setup);
        let machine = Acceptor::new(now, local, cookies, 0x5eed_0002, HandshakeConfig::default());
        Self::new(now, own, setup, script, Stage::Accepts(Box::new(machine)))
    }

    fn new(now: Instant, own: &Atom, setup: Setup, script: Vec<Say>, stage: Stage) -> Self {
        let (own, ticks) = (own.clone(), setup.ticks);
        let (out, events) = (VecDeque::new(), Vec::new());
        Self { own, ticks, script, stage, out, events, ticks_sent: 0, last_read: now }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }

    pub(crate) fn heard(&self) -> Vec<&Signal> {
        let signal = |(_, event): &'_ (Instant, Event)| matches!(event, Event::Heard(_));
        let heard = self.events.iter().filter(|event| signal(event));
        heard
            .map(|(_, event)| if let Event::Heard(signal) = event { signal } else { unreachable!() })
            .collect()
    }

    pub(crate) fn down(&self) -> Option<(Instant, Down)> {
        self.events.iter().find_map(|(at, event)| match event {
            Event::Down(down) => Some((*at, *down)),
            Event::Up | Event::Heard(_) => None,
        })
    }

    pub(crate) fn has_something_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Bytes for the wire, at most so many.
    pub(crate) fn write(&mut self, now: Instant, max: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.out.drain(..max.min(self.out.len())).collect();
        if let (Stage::Up(link), false) = (&mut self.stage, bytes.is_empty()) {
            link.ticker.wrote(now);
        }
        self.fill();
        bytes
    }

    /// Bytes of the wire.
    pub(crate) fn read(&mut self, now: Instant, bytes: &[u8]) {
        self.last_read = now;
        match &mut self.stage {
            Stage::Dials(machine) => {
                if machine.handle(now, InitiatorInput::Bytes(bytes)).is_err() {
                    return self.end(now, Down::NeverUp);
                }
                self.poll_handshake(now);
            }
            Stage::Accepts(machine) => {
                if machine.handle(now, AcceptorInput::Bytes(bytes)).is_err() {
                    return self.end(now, Down::NeverUp);
                }
                self.poll_handshake(now);
            }
            Stage::Up(link) => {
                link.ticker.received(now);
                link.inbound.received(now);
                link.inbound.handle(bytes);
                self.hear(now);
            }
            Stage::Over => {}
        }
    }

    /// The wire is gone.
    pub(crate) fn eof(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Dials(machine) => {
                machine.handle(now, InitiatorInput::Eof).expect_err("it cannot go on");
                self.end(now, Down::NeverUp);
            }
            Stage::Accepts(machine) => {
                machine.handle(now, AcceptorInput::Eof).expect_err("it cannot go on");
                self.end(now, Down::NeverUp);
            }
            Stage::Up(_) => self.end(now, Down::Nodedown(NodedownReason::ConnectionClosed)),
            Stage::Over => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Dials(machine) => machine.poll_timeout(),
            Stage::Accepts(machine) => machine.poll_timeout(),
            Stage::Up(link) => {
                link.ticker.poll_timeout().into_iter().chain(link.inbound.poll_timeout()).min()
            }
            Stage::Over => None,
        }
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        let down = match &mut self.stage {
            Stage::Dials(machine) => {
                machine.handle(now, InitiatorInput::Timeout).is_err().then_some(Down::NeverUp)
            }
            Stage::Accepts(machine) => {
                machine.handle(now, AcceptorInput::Timeout).is_err().then_some(Down::NeverUp)
            }
            Stage::Up(link) => match link.ticker.handle_timeout(now, self.out.len()) {
                TickVerdict::Dead => Some(Down::Nodedown(NodedownReason::NetTickTimeout)),
                TickVerdict::SendTick => {
                    self.ticks_sent += 1;
                    self.out.extend(TICK);
                    None
                }
                TickVerdict::Nothing => {
                    let late = link.inbound.handle_timeout(now).err();
                    late.map(|error| Down::Nodedown(error.nodedown_reason()))
                }
            },
            Stage::Over => None,
        };
        if let Some(down) = down {
            self.end(now, down);
        }
    }

    fn poll_handshake(&mut self, now: Instant) {
        let established = loop {
            match &mut self.stage {
                Stage::Dials(machine) => match machine.poll_output() {
                    Some(InitiatorOutput::Send(bytes)) => self.out.extend(&bytes[..]),
                    Some(InitiatorOutput::Established(established)) => break established,
                    Some(InitiatorOutput::AskAlive) => panic!("there is no other connection"),
                    None => return,
                },
                Stage::Accepts(machine) => match machine.poll_output() {
                    Some(AcceptorOutput::Send(bytes)) => self.out.extend(&bytes[..]),
                    Some(AcceptorOutput::AskVerdict { .. }) => {
                        machine.handle(now, AcceptorInput::Verdict(Verdict::Ok)).expect("it goes on");
                    }
                    Some(AcceptorOutput::Established(established)) => break established,
                    Some(other) => panic!("nobody asked for {other:?}"),
                    None => return,
                },
                Stage::Up(_) | Stage::Over => return,
            }
        };
        self.up(now, &established);
    }

    fn up(&mut self, now: Instant, established: &Established) {
        self.events.push((now, Event::Up));
        let (peer, flags) = (Atom::from(established.peer.as_str()), established.flags);
        let mut inbound = Inbound::new(self.own.clone(), peer, flags, Limits::default());
        let mut outbound = Outbound::new(flags);
        for say in &self.script {
            match say {
                Say::Signal(signal) => {
                    let encoded = outbound.handle(signal).expect("what can be said");
                    assert!(matches!(encoded, Encoded::Frame { .. }), "{signal:?}: {encoded:?}");
                }
                Say::Bytes(bytes) => {
                    take_all(&mut outbound, &mut self.out);
                    self.out.extend(bytes);
                }
            }
        }
        inbound.received(now);
        inbound.handle(&established.leftover);
        let ticker = Ticker::new(now, self.ticks, !flags.contains(DistFlags::PUBLISHED));
        self.stage = Stage::Up(Box::new(Link { inbound, outbound, ticker }));
        self.fill();
        self.hear(now);
    }

    fn hear(&mut self, now: Instant) {
        while let Stage::Up(link) = &mut self.stage {
            match link.inbound.poll_output() {
                Ok(Some(Received::Signal(signal))) => self.events.push((now, Event::Heard(signal))),
                Ok(Some(Received::Tick)) => {}
                Ok(None) => return,
                Err(error) => self.end(now, Down::Nodedown(error.nodedown_reason())),
            }
        }
    }

    /// Takes from the queue when what was taken before is written.
    fn fill(&mut self) {
        if let (Stage::Up(link), true) = (&mut self.stage, self.out.is_empty()) {
            let mut segments = Segments::new();
            link.outbound.poll_output(&mut segments);
            segments.chunks().for_each(|chunk| self.out.extend(chunk));
        }
    }

    fn end(&mut self, now: Instant, down: Down) {
        self.events.push((now, Event::Down(down)));
        self.stage = Stage::Over;
        self.out.clear();
    }
}

fn take_all(outbound: &mut Outbound, out: &mut VecDeque<u8>) {
    let mut segments = Segments::new();
    while outbound.poll_output(&mut segments) {
        segments.chunks().for_each(|chunk| out.extend(chunk));
        segments.clear();
    }
}

fn identity(own: &Atom, setup: Setup) -> LocalIdentity {
    let name = own.as_str().parse().expect("a node name");
    LocalIdentity { name, creation: Creation(7), flags: setup.flags }
}

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
