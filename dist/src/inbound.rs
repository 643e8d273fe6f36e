//! From the bytes of a connection to signals.

use bytes::{Bytes, BytesMut};
use etf::{Atom, DecodeError, decode_bare};
use handshake::DistFlags;
use tracing::{debug, trace};

use crate::frame::{Frame, Frames};
use crate::{
    BodyError, ControlError, ControlMessage, EndsError, FrameTooLong, HeaderAgreed, Limits, NodedownReason,
    Op, PayloadMissing, Signal, header,
};

/// What a connection's bytes say, from the first byte after the handshake on.
///
/// Bytes go in by [`Inbound::handle`] or straight from the socket into [`Inbound::read_buffer`]; after either,
/// [`Inbound::poll_output`] is called until it gives nothing. A message is decoded when it is polled and not
/// before, so what waits here are bytes, and their memory is bounded by the frame limit and by how much the
/// caller reads at once. There are no timeouts: whether the peer lives is the [`Ticker`](crate::Ticker)'s affair.
///
/// Any error ends the connection (wire.md 10): the position in the stream may be lost, and a peer that breaks
/// one rule cannot be relied upon for the next. Signals before the broken message have come out by then; after
/// it every poll gives the same error.
#[derive(Debug)]
pub struct Inbound {
    own: Atom,
    peer: Atom,
    limits: Limits,
    frames: Frames,
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
    pub fn new(own: Atom, peer: Atom, flags: DistFlags, limits: Limits) -> Result<Self, HeaderAgreed> {
        header::check_flags(flags)?;
        let frames = Frames::new(limits.frame_bytes_max);
        Ok(Self { own, peer, limits, frames, failed: None })
    }

    /// Takes bytes that arrived. They are looked at in [`Inbound::poll_output`].
    pub fn handle(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.frames.push(bytes);
        }
    }

    /// The buffer to append arriving bytes to, in place of [`Inbound::handle`] and its copy. It has room for
    /// 64 KiB, or for as much again as has arrived of a longer frame. What is in it must not be touched.
    pub fn read_buffer(&mut self) -> &mut BytesMut {
        self.frames.read_buffer()
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

    fn next(&mut self) -> Result<Option<Received>, InboundError> {
        match self.frames.next() {
            Ok(None) => Ok(None),
            Ok(Some(Frame::Tick)) => Ok(Some(Received::Tick)),
            Ok(Some(Frame::Body(body))) => {
                let mut op = None;
                let signal = self.signal(&body, &mut op).map_err(|fault| {
                    let start = &body[..body.len().min(InboundError::START_BYTES_MAX)];
                    InboundError { fault, op, frame_start: start.to_vec() }
                })?;
                Ok(Some(Received::Signal(signal)))
            }
            Err(too_long) => {
                let start = self.frames.peek(InboundError::START_BYTES_MAX);
                Err(InboundError { fault: too_long.into(), op: None, frame_start: start.to_vec() })
            }
        }
    }

    fn signal(&self, body: &Bytes, op_seen: &mut Option<Op>) -> Result<Signal, Fault> {
        let control_at = header::control_at(body)?;
        let (control, control_end) =
            decode_bare(body, control_at, &[], &self.limits.decode).map_err(Fault::ControlTerm)?;
        let control = ControlMessage::from_term(control)?;
        let op = control.op();
        *op_seen = Some(op);
        log_unknown(&control);
        let payload = if op.has_payload() {
            let payload_at = header::payload_at(body, control_end)?.ok_or(PayloadMissing { op })?;
            // What follows the last term is ignored, as the BEAM does (wire.md 4.2).
            let (payload, _end) =
                decode_bare(body, payload_at, &[], &self.limits.decode).map_err(Fault::PayloadTerm)?;
            Some(payload)
        } else {
            None
        };
        let signal = Signal::from_wire(control, payload)?;
        signal.check_ends(&self.own, &self.peer)?;
        trace!(%op, bytes = body.len(), "recv signal");
        Ok(signal)
    }
}

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
