//! Signals in any order: what one side says by the flags agreed on, the other understands, in that order for each
//! sender; no operation goes out that the peer has no flag for.
#![no_main]

use std::num::NonZeroU64;

use bytes::Bytes;
use dist::{
    ControlMessage, Encoded, Inbound, Limits, Mfa, MonitorOptions, MonitorTarget, Op, Outbound, Received,
    SeqToken, Signal, SignalTarget, SpawnOptions, SpawnReplyFlags, SpawnRequest,
};
use etf::{Atom, DecodeLimits, Pid, Reference, Segments, Term, decode_prefix};
use handshake::DistFlags;
use libfuzzer_sys::fuzz_target;

/// Who speaks, and who listens.
const OWN: Atom = Atom::from_static("a@h");
const PEER: Atom = Atom::from_static("b@h");

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let flags = DistFlags::from_bits(u64::from_be_bytes([
        0,
        0,
        0,
        input.byte(),
        input.byte(),
        input.byte(),
        input.byte(),
        input.byte(),
    ]));
    let (mut outbound, mut out) = (Outbound::new(flags), Segments::new());
    let mut inbound = Inbound::new(PEER, OWN, flags, Limits::default());
    while !input.0.is_empty() {
        if let Some(control) = input.control() {
            let again = ControlMessage::from_term(control.to_term()).expect("it was read from such a term");
            assert_eq!(again, control);
        }
        let signal = input.signal();
        let bytes = match outbound.handle(&signal) {
            Ok(Encoded::Frame { op, bytes }) => {
                assert!(may_say(op, flags), "{op} is said to a peer with {:?}", flags.names());
                bytes
            }
            Ok(Encoded::Withheld(_)) => {
                assert!(signal.to_wire(flags).is_err());
                assert!(outbound.is_empty());
                continue;
            }
            Err(_) => {
                assert!(outbound.is_empty());
                continue;
            }
        };
        assert!(outbound.poll_output(&mut out));
        assert_eq!(out.len(), bytes);
        out.chunks().for_each(|chunk| inbound.handle(chunk));
        out.clear();
        let (control, payload) = signal.to_wire(flags).expect("it was sent");
        let wanted = Signal::from_wire(control, payload.cloned()).expect("its payload is there");
        match inbound.poll_output() {
            Ok(Some(Received::Signal(heard))) => assert_eq!(heard, wanted, "{signal:?}"),
            other => panic!("{signal:?} is understood as {other:?}"),
        }
        assert_eq!(inbound.poll_output(), Ok(None));
    }
});

/// Whether the flags have the operation; those of before any flag are always there.
fn may_say(op: Op, flags: DistFlags) -> bool {
    let needs = match op {
        Op::MonitorP | Op::DemonitorP | Op::MonitorPExit => {
            DistFlags::DIST_MONITOR.with(DistFlags::DIST_MONITOR_NAME)
        }
        Op::SendSender | Op::SendSenderTt => DistFlags::SEND_SENDER,
        Op::PayloadExit | Op::PayloadExitTt | Op::PayloadExit2 | Op::PayloadExit2Tt => {
            DistFlags::EXIT_PAYLOAD
        }
        Op::PayloadMonitorPExit => DistFlags::EXIT_PAYLOAD.with(DistFlags::DIST_MONITOR),
        Op::SpawnRequest | Op::SpawnRequestTt => DistFlags::SPAWN,
        Op::AliasSend | Op::AliasSendTt => DistFlags::ALIAS,
        Op::UnlinkId => DistFlags::UNLINK_ID,
        Op::AltactSigSend => DistFlags::ALTACT_SIG,
        // OTP 26 and later, which have UNLINK_ID, end the connection at it.
        Op::Unlink => return !flags.contains(DistFlags::UNLINK_ID),
        // Answers to what the peer sent, which has them then.
        Op::SpawnReply | Op::SpawnReplyTt | Op::UnlinkIdAck => DistFlags::NONE,
        Op::Link | Op::Send | Op::Exit | Op::RegSend | Op::GroupLeader | Op::Exit2 => DistFlags::NONE,
        Op::SendTt | Op::ExitTt | Op::RegSendTt | Op::Exit2Tt => DistFlags::NONE,
    };
    flags.contains(needs)
}

/// What is left of the input; behind its end all is zero.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// A control message of a term of the input itself.
    fn control(&mut self) -> Option<ControlMessage> {
        let bytes = Bytes::copy_from_slice(self.0);
        let (term, used) = decode_prefix(&bytes, &DecodeLimits::default()).ok()?;
        self.0 = &self.0[used..];
        let control = ControlMessage::from_term(term).ok()?;
        Some(control)
    }

    /// A term of the input, or a small one.
    fn term(&mut self) -> Term {
        let byte = self.byte();
        let bytes = Bytes::copy_from_slice(self.0);
        match decode_prefix(&bytes, &DecodeLimits::default()) {
            Ok((term, used)) if byte & 1 == 0 => {
                self.0 = &self.0[used..];
                term
            }
            _ => match byte >> 1 {
                0 => Term::NIL,
                1 => Term::atom("normal"),
                2 => Term::atom("a@h"),
                length => Term::binary(vec![length; usize::from(length)]),
            },
        }
    }

    fn atom(&mut self) -> Atom {
        match self.byte() % 4 {
            0 => Atom::from_static("name"),
            1 => Atom::from_static(""),
            2 => OWN,
            n => Atom::from(format!("atom{n}_{}", self.byte()).as_str()),
        }
    }

    fn own(&mut self) -> Pid {
        Pid::new(OWN, self.byte().into(), 0, 4)
    }

    fn theirs(&mut self) -> Pid {
        Pid::new(PEER, self.byte().into(), 0, 5)
    }

    fn reference(&mut self, node: Atom) -> Reference {
        let words = [self.byte().into(), 1, 2, 3, 4];
        let count = usize::from(self.byte() % 5) + 1;
        Reference::new(node, 4, &words[..count]).expect("one to five words")
    }

    fn token(&mut self) -> Option<SeqToken> {
        self.byte().is_multiple_of(4).then(|| SeqToken::new(self.term()))
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn monitored(&mut self, theirs: bool) -> MonitorTarget {
        match (self.flag(), theirs) {
            (false, _) => MonitorTarget::Name(self.atom()),
            (true, true) => MonitorTarget::Pid(self.theirs()),
            (true, false) => MonitorTarget::Pid(self.own()),
        }
    }

    fn signal(&mut self) -> Signal {
        let what = self.byte();
        let (from, to, priority) = (self.own(), self.theirs(), self.flag());
        match what % 15 {
            0 => {
                let from = self.flag().then_some(from);
                Signal::Send { from, to, message: self.term(), token: self.token(), priority }
            }
            1 => {
                Signal::RegSend { from, to: self.atom(), message: self.term(), token: self.token(), priority }
            }
            2 => {
                let to = self.reference(PEER);
                Signal::AliasSend { from, to, message: self.term(), token: self.token(), priority }
            }
            3 => Signal::Link { from, to },
            4 => Signal::Unlink { id: NonZeroU64::new(self.byte().into()), from, to },
            5 => Signal::UnlinkAck { id: NonZeroU64::MAX, from, to },
            6 => Signal::Exit { from, to, reason: self.term(), token: self.token() },
            7..=8 => {
                let to = match self.byte() % 3 {
                    0 => SignalTarget::Pid(to),
                    1 => SignalTarget::Name(self.atom()),
                    _ => SignalTarget::Alias(self.reference(PEER)),
                };
                Signal::Exit2 { from, to, reason: self.term(), token: self.token(), priority }
            }
            9 => Signal::Monitor { from, to: self.monitored(true), reference: self.reference(OWN) },
            10 => Signal::Demonitor { from, to: self.monitored(true), reference: self.reference(OWN) },
            11 => {
                let (from, reference) = (self.monitored(false), self.reference(PEER));
                Signal::MonitorExit { from, sender: None, to, reference, reason: self.term() }
            }
            12 => {
                let options = SpawnOptions {
                    link: self.flag(),
                    monitor: self.flag().then(MonitorOptions::default),
                    ..SpawnOptions::default()
                };
                let request = SpawnRequest {
                    request_id: self.reference(OWN),
                    group_leader: from.clone(),
                    from,
                    mfa: Mfa { module: self.atom(), function: self.atom(), arity: self.byte().into() },
                    options: Ok(options),
                    token: self.token(),
                };
                Signal::SpawnRequest { request: Box::new(request), args: self.term() }
            }
            13 => {
                let result = if self.flag() { Ok(from) } else { Err(self.atom()) };
                let flags = SpawnReplyFlags::LINK;
                Signal::SpawnReply {
                    request_id: self.reference(PEER),
                    to,
                    flags,
                    result,
                    token: self.token(),
                }
            }
            _ => Signal::GroupLeader { leader: from, member: to },
        }
    }
}
