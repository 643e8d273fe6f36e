//! From the bytes of a connection to signals.

use std::time::Instant;

use std::mem;

use bytes::{Bytes, BytesMut};
use etf::{Atom, DecodeError, Decoder, Input, Term};
use handshake::DistFlags;
use tracing::{debug, trace};

use crate::cache::InCache;
use crate::fragment::{Assembly, Partial};
use crate::frame::{Frame, Frames};
use crate::header::{Form, Start};
use crate::{
    BodyError, ControlError, ControlMessage, EndsError, FragmentError, FrameTooLong, HeaderError, Limits,
    NodedownReason, Op, PayloadMissing, Signal, header,
};

mod again;
use again::Again;

/// What a connection's bytes say, from the first byte after the handshake on.
///
/// Bytes go in by [`Inbound::handle`] or straight from the socket into [`Inbound::read_buffer`]; after either,
/// [`Inbound::poll_output`] is called until it gives nothing. A message is decoded when it is polled and not
/// before, so what waits here are bytes, and their memory is bounded by the frame limit and by how much the
/// caller reads at once. Whether the peer lives is the [`Ticker`](crate::Ticker)'s affair; the only timeout here is
/// that of messages of which fragments are missing, for a caller that tells the time by [`Inbound::received`].
///
/// Any error ends the connection (wire.md 10): the position in the stream may be lost, and a peer that breaks
/// one rule cannot be relied upon for the next. Signals before the broken message have come out by then; after
/// it every poll gives the same error.
#[derive(Debug)]
pub struct Inbound {
    own: Atom,
    peer: Atom,
    decoder: Decoder,
    /// The elements of the control message at hand; kept for its memory.
    elements: Vec<Term>,
    /// The short frame at hand; kept for its memory.
    short: Vec<u8>,
    frames: Frames,
    form: Form,
    /// Whether the peer may send fragments.
    has_fragments: bool,
    cache: InCache,
    assembly: Assembly,
    again: Again,
    /// How many fragments came.
    fragments: u64,
    /// What the references in the message at hand stand for; kept for its memory.
    atoms: Vec<Atom>,
    failed: Option<InboundError>,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The peer lives, and says no more.
    Tick,
    /// A signal.
    Signal(Signal),
}

/// Why a connection has to end, with what a log line needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}{}", self.in_operation())]
pub struct InboundError {
    /// What is wrong.
    #[source]
    pub fault: Fault,
    /// The operation, if the message came so far.
    pub op: Option<Op>,
    /// The first bytes of the frame, at most [`InboundError::START_BYTES_MAX`]; with its length in front only
    /// if that was too large.
    pub frame_start: Vec<u8>,
}

/// What is wrong with bytes that came in, in the order in which it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Our limit: the frame is too long.
    #[error(transparent)]
    FrameTooLong(#[from] FrameTooLong),
    /// Bad bytes: the body is not of the form agreed on.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The peer broke the rules: its distribution header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The peer broke the rules, or our limits: its fragments.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// Bad bytes, or our limits: the control message is no term.
    #[error("the control message: {0}")]
    ControlTerm(#[source] DecodeError),
    /// The peer broke the rules: the control message is no known operation, or not of its shape.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The peer broke the rules: the operation's payload is missing.
    #[error(transparent)]
    PayloadMissing(#[from] PayloadMissing),
    /// Bad bytes, or our limits: the payload is no term.
    #[error("the payload: {0}")]
    PayloadTerm(#[source] DecodeError),
    /// The peer broke the rules: it speaks for another node, or to one.
    #[error(transparent)]
    Ends(#[from] EndsError),
}

impl InboundError {
    /// How many bytes of a broken frame are kept for the log.
    pub const START_BYTES_MAX: usize = 64;

    /// What `monitor_node` and its like are told.
    #[must_use]
    pub fn nodedown_reason(&self) -> NodedownReason {
        match self.fault {
            Fault::FrameTooLong(_) => NodedownReason::Emsgsize,
            Fault::Body(_)
            | Fault::Header(_)
            | Fault::Fragment(_)
            | Fault::ControlTerm(_)
            | Fault::Control(_)
            | Fault::PayloadMissing(_)
            | Fault::PayloadTerm(_)
            | Fault::Ends(_) => NodedownReason::Killed,
        }
    }

    fn in_operation(&self) -> String {
        self.op.map_or_else(String::new, |op| format!(", in {op}"))
    }
}

impl Inbound {
    /// The start of a connection of the node `own` to `peer`, with the agreed flags. Bytes that came with the
    /// handshake's last message are the first to be handled.
    #[must_use]
    pub fn new(own: Atom, peer: Atom, flags: DistFlags, limits: Limits) -> Self {
        Self {
            own,
            peer,
            frames: Frames::new(limits.frame_bytes_max),
            form: Form::of(flags),
            has_fragments: flags.contains(DistFlags::FRAGMENTS),
            cache: InCache::default(),
            assembly: Assembly::new(&limits),
            again: Again::default(),
            fragments: 0,
            atoms: Vec::new(),
            decoder: Decoder::new(limits.decode),
            elements: Vec::new(),
            short: Vec::new(),
            failed: None,
        }
    }

    /// Takes bytes that arrived. They are looked at in [`Inbound::poll_output`].
    pub fn handle(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.frames.push(bytes);
        }
    }

    /// The buffer to append arriving bytes to, in place of [`Inbound::handle`] and its copy. It has room for
    /// 64 KiB; for the rest of a frame of up to 2 MiB, which is then in one place from the start; or for as much again as has
    /// arrived of a longer one. What is in it must not be touched.
    pub fn read_buffer(&mut self) -> &mut BytesMut {
        self.frames.read_buffer()
    }

    /// What is polled next was read at `now`. Without this nothing is ever too old.
    pub fn received(&mut self, now: Instant) {
        self.assembly.set_now(now);
    }

    /// When to call [`Inbound::handle_timeout`]; nothing while no message is incomplete.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.assembly.poll_timeout()
    }

    /// Looks for messages that wait too long for their fragments, [`Limits::fragment_age_max`]. As with a message
    /// that is broken the connection has to end.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), InboundError> {
        self.decoder.shrink();
        self.assembly.handle_timeout(now).map_err(|error| {
            let error = InboundError { fault: error.into(), op: None, frame_start: Vec::new() };
            self.failed = Some(error.clone());
            self.frames.clear();
            error
        })
    }

    /// How many fragments came so far, of messages of more than one.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.fragments
    }

    /// What the next whole frame says; nothing until more bytes come.
    pub fn poll_output(&mut self) -> Result<Option<Received>, InboundError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.next();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.frames.clear();
        }
        result
    }

    /// The message in the next frame, if that is whole, and the message goes the way of the last signal that was given:
    /// from the same process to the same one, with no token and no priority. Nothing where any of this is not so, and
    /// then [`Inbound::poll_output`] has to be asked. It gives the same; but this costs less.
    pub fn poll_again(&mut self) -> Option<Term> {
        if self.failed.is_some() {
            return None;
        }
        let body = self.frames.next_short()?;
        let (op, _, payload_at) = self.again.way(body, self.cache.changes())?;
        // What is wrong with it is found again by who asks as usual.
        let (message, _) = self.decoder.decode_bare(body, payload_at, &self.atoms).ok()?;
        self.frames.skip_short();
        trace!(%op, "recv signal");
        Some(message)
    }

    fn next(&mut self) -> Result<Option<Received>, InboundError> {
        loop {
            let frame = self.frames.next(&mut self.short);
            let signal = match &frame {
                Ok(None) => return Ok(None),
                Ok(Some(Frame::Tick)) => return Ok(Some(Received::Tick)),
                Ok(Some(Frame::Body(body))) => self.signal_of(body.into())?,
                Ok(Some(Frame::Short)) => {
                    let short = mem::take(&mut self.short);
                    let signal = self.signal_of(short[..].into());
                    if short.capacity() <= SHORT_KEPT_MAX {
                        self.short = short;
                    }
                    signal?
                }
                Err(too_long) => {
                    let start = self.frames.peek(InboundError::START_BYTES_MAX);
                    return Err(InboundError {
                        fault: (*too_long).into(),
                        op: None,
                        frame_start: start.to_vec(),
                    });
                }
            };
            if let Some(signal) = signal {
                return Ok(Some(Received::Signal(signal)));
            }
        }
    }

    fn signal_of(&mut self, body: Input<'_>) -> Result<Option<Signal>, InboundError> {
        let mut op = None;
        self.body(body, &mut op).map_err(|fault| {
            let body = body.bytes();
            let start = &body[..body.len().min(InboundError::START_BYTES_MAX)];
            InboundError { fault, op, frame_start: start.to_vec() }
        })
    }

    /// The signal that a body completes; nothing for a fragment that is not the last.
    fn body(&mut self, input: Input<'_>, op_seen: &mut Option<Op>) -> Result<Option<Signal>, Fault> {
        let body = input.bytes();
        if self.form == Form::PassThrough {
            let control_at = header::control_at(body)?;
            self.atoms.clear();
            let (control, control_end) = self.control(input, control_at, op_seen)?;
            let payload_at = match control.op().has_payload() {
                true => header::payload_at(body, control_end)?,
                false => None,
            };
            return self.signal(control, payload_at.map(|at| (input, at))).map(Some);
        }
        if let Some((op, way, payload_at)) = self.again.way(body, self.cache.changes()) {
            *op_seen = Some(op);
            if payload_at == body.len() {
                return Err(PayloadMissing { op }.into());
            }
            let message = self.decoder.decode_bare(input, payload_at, &self.atoms);
            trace!(%op, "recv signal");
            return Ok(Some(way.signal(message.map_err(Fault::PayloadTerm)?.0)));
        }
        let start = header::start(body)?;
        if !self.has_fragments && !matches!(start, Ok(Start::Whole { .. })) {
            return Err(BodyError::FragmentNotAgreed.into());
        }
        let (header_at, fragmented) = match start? {
            Start::Whole { header_at } => (header_at, None),
            Start::First { sequence, count, header_at } => {
                self.assembly.check_start(sequence, count)?;
                (header_at, (count > 1).then_some((sequence, count)))
            }
            Start::Rest { sequence, fragment, payload_at } => {
                self.fragments += 1;
                let done = self.assembly.go_on(sequence, fragment, &body[payload_at..])?;
                let Some(Partial { control, atoms, payload, .. }) = done else { return Ok(None) };
                *op_seen = Some(control.op());
                self.atoms = atoms;
                self.again.forget();
                return self.signal(control, Some(((&Bytes::from(payload)).into(), 0))).map(Some);
            }
        };
        let changes = self.cache.changes();
        let control_at = self.cache.read_header(body, header_at, &mut self.atoms)?;
        let (control, control_end) = self.control(input, control_at, op_seen)?;
        if let Some((sequence, count)) = fragmented {
            self.fragments += 1;
            let atoms = std::mem::take(&mut self.atoms);
            self.again.forget();
            self.assembly.start(sequence, count, (control, atoms, &body[control_end..]))?;
            return Ok(None);
        }
        let payload_at = (control_end < body.len()).then_some((input, control_end));
        let op = control.op();
        let signal = self.signal(control, payload_at)?;
        // An atom that is new is not the next time, and then the header is another.
        if self.cache.changes() == changes {
            self.again.came(&body[..control_end], changes, op, &signal);
        } else {
            self.again.forget();
        }
        Ok(Some(signal))
    }

    /// The control message that starts there, and where it ends.
    fn control(
        &mut self,
        body: Input<'_>,
        at: usize,
        op_seen: &mut Option<Op>,
    ) -> Result<(ControlMessage, usize), Fault> {
        let end = self.decoder.decode_tuple(body, at, &self.atoms, &mut self.elements);
        let end = end.map_err(Fault::ControlTerm)?.ok_or(ControlError::NotATuple)?;
        let control = ControlMessage::from_elements(&mut self.elements)?;
        *op_seen = Some(control.op());
        log_unknown(&control);
        Ok((control, end))
    }

    /// The signal of a control message and of its payload, which starts there.
    fn signal(
        &mut self,
        control: ControlMessage,
        payload: Option<(Input<'_>, usize)>,
    ) -> Result<Signal, Fault> {
        let op = control.op();
        let payload = if op.has_payload() {
            let (bytes, at) = payload.ok_or(PayloadMissing { op })?;
            // What follows the last term is ignored, as the BEAM does (wire.md 4.2).
            let (payload, _end) =
                self.decoder.decode_bare(bytes, at, &self.atoms).map_err(Fault::PayloadTerm)?;
            Some(payload)
        } else {
            None
        };
        let signal = Signal::from_wire(control, payload)?;
        signal.check_ends(&self.own, &self.peer)?;
        trace!(%op, "recv signal");
        Ok(signal)
    }
}

/// More memory than this is not kept for short frames, in bytes: most are shorter, and a connection may be idle.
const SHORT_KEPT_MAX: usize = 4 << 10;

/// Values of later releases are kept and told of, not refused.
fn log_unknown(control: &ControlMessage) {
    match control {
        ControlMessage::AltactSigSend { unknown_flags, .. } if *unknown_flags != 0 => {
            debug!(flags = format_args!("{unknown_flags:#x}"), "unknown flags in ALTACT_SIG_SEND");
        }
        ControlMessage::SpawnRequest(request) => match &request.options {
            Ok(options) if !options.unknown.is_empty() => {
                debug!(options = ?options.unknown, "unknown options in SPAWN_REQUEST");
            }
            _ => {}
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests;
