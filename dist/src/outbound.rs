//! From signals to the bytes of a connection.

use std::{collections::VecDeque, mem};

use bytes::BytesMut;
use etf::{Mark, Pid, Segments, Term};
use handshake::DistFlags;
use tracing::trace;

use crate::cache::OutCache;
use crate::frame::{FRAME_BYTES_MAX_BEAM, LENGTH_BYTES, TICK};
use crate::header::{self, Form};
use crate::{FrameTooLong, NotSent, Op, Signal, Withheld};

mod template;
use template::Templates;
pub use template::{PlainSend, PlainTo};

/// What became of a signal.
#[must_use = "a withheld signal may be owed a local answer, such as `notsup` for a spawn request"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// It was appended as a frame.
    Frame {
        /// The operation that carries it.
        op: Op,
        /// How many bytes were appended.
        bytes: usize,
    },
    /// The peer could not understand it; nothing was appended.
    Withheld(Withheld),
}

/// Why a signal cannot be encoded. Nothing was appended, and the connection is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Misuse: see [`NotSent::UnlinkWithoutId`].
    #[error("{}", NotSent::UnlinkWithoutId)]
    UnlinkWithoutId,
    /// The message is longer than any BEAM takes; it would close the connection with `emsgsize`.
    #[error(transparent)]
    FrameTooLong(#[from] FrameTooLong),
    /// A term is larger than any BEAM takes; it would close the connection.
    #[error(transparent)]
    Term(#[from] etf::EncodeError),
}

/// What we say on a connection, from the first byte after the handshake on: a queue of frames.
///
/// Signals go in by [`Outbound::handle`], bytes come out by [`Outbound::poll_output`] and must be written in that
/// order. How much may wait here is the caller's affair, who asks [`Outbound::len`].
///
/// A message of more than [`Outbound::WHOLE_BYTES_MAX`] goes out in fragments, if the peer takes them, between which
/// there is room for what others send. What its own sender sends meanwhile waits behind it: between two processes
/// nothing overtakes (wire.md 4.4).
#[derive(Debug)]
pub struct Outbound {
    flags: DistFlags,
    /// The incarnation of the peer, if it is known.
    creation: Option<u32>,
    form: Form,
    /// Whether the peer remembers atoms.
    has_cache: bool,
    templates: Templates,
    /// The terms of the message at hand; kept for their memory.
    control: Segments,
    payload: Segments,
    /// What goes out next.
    ready: Segments,
    framer: Framer,
}

/// Makes frames of encoded messages.
#[derive(Debug)]
struct Framer {
    has_fragments: bool,
    cache: OutCache,
    /// Messages of which fragments are to follow, the next one first.
    fragmented: VecDeque<Fragmented>,
    /// How many bytes of messages are in `fragmented`.
    fragmented_bytes: usize,
    /// The number of the last fragmented message.
    sequence: u64,
    /// How many fragments there were.
    fragments: u64,
}

/// A message of which fragments are to follow.
#[derive(Debug)]
struct Fragmented {
    /// Who sends it.
    from: Option<Pid>,
    sequence: u64,
    /// The number of the next fragment.
    next: usize,
    rest: Segments,
    /// What the sender said after it.
    held: VecDeque<Held>,
}

/// A message that waits for its turn. It refers to no cached atom, so that others may overtake it.
#[derive(Debug)]
struct Held {
    from: Option<Pid>,
    control: Segments,
    payload: Segments,
}

impl Held {
    fn bytes(&self) -> usize {
        self.control.len() + self.payload.len()
    }
}

impl Outbound {
    /// The longest payload, in bytes, that is in one frame if the peer takes fragments: 2 MiB.
    ///
    /// On a network of 1 Gbit/s that is 17 ms. A BEAM cuts at 64 KiB; but each cut costs both sides system calls,
    /// and the receiver has to put the pieces together again.
    pub const WHOLE_BYTES_MAX: usize = 2 << 20;
    /// How many bytes of a payload are in a fragment: 256 KiB.
    pub const FRAGMENT_BYTES: usize = 256 << 10;

    /// The start of a connection with these agreed flags.
    #[must_use]
    pub fn new(flags: DistFlags) -> Self {
        Self {
            flags,
            creation: None,
            form: Form::of(flags),
            has_cache: flags.contains(DistFlags::DIST_HDR_ATOM_CACHE),
            templates: Templates::default(),
            control: Segments::new(),
            payload: Segments::new(),
            ready: Segments::new(),
            framer: Framer {
                has_fragments: flags.contains(DistFlags::FRAGMENTS),
                cache: OutCache::default(),
                fragmented: VecDeque::new(),
                fragmented_bytes: 0,
                sequence: 0,
                fragments: 0,
            },
        }
    }

    /// The same, to a peer of this creation, as its handshake says it; 0 is one that is not known.
    ///
    /// What a BEAM would end the connection at is then withheld: see [`Withheld::Incarnation`].
    #[must_use]
    pub fn with_peer_creation(self, creation: u32) -> Self {
        Self { creation: Some(creation).filter(|creation| *creation != 0), ..self }
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len() + self.framer.fragmented_bytes
    }

    /// How many bytes wait that go out before all that is queued now, fragments aside.
    #[must_use]
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Whether a message of this sender is going out in fragments, behind which its next one would wait.
    #[must_use]
    pub fn is_fragmenting(&self, from: &Pid) -> bool {
        self.framer.fragmented.iter().any(|message| message.from.as_ref() == Some(from))
    }

    /// How many fragments went out so far, of messages of more than one.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.framer.fragments
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Queues a signal, by the operation that the agreed flags allow. After an error the queue is as before.
    pub fn handle(&mut self, signal: &Signal) -> Result<Encoded, EncodeError> {
        // What goes the way of one before has its control message ready.
        let flow = PlainSend::of(signal).filter(|_| self.has_templates());
        if let Some(flow) = &flow
            && let Some(encoded) = self.put_again(flow)?
        {
            return Ok(encoded);
        }
        if self.creation.is_some_and(|creation| is_for_another_life(signal, creation)) {
            return Ok(Encoded::Withheld(Withheld::Incarnation));
        }
        let (control, payload) = match signal.to_wire(self.flags) {
            Ok(wire) => wire,
            Err(NotSent::Withheld(withheld)) => return Ok(Encoded::Withheld(withheld)),
            Err(NotSent::UnlinkWithoutId) => return Err(EncodeError::UnlinkWithoutId),
        };
        let (op, before, from) = (control.op(), self.len(), signal.from());
        let control = control.to_term();
        // What says no sender may be that of any.
        let is_ahead = |message: &Fragmented| from.is_none() || message.from.as_ref() == from;
        match self.framer.fragmented.iter().rposition(is_ahead) {
            Some(ahead) => self.framer.hold(ahead, &control, payload, from)?,
            None if self.form == Form::PassThrough => self.put_pass_through(&control, payload)?,
            None => self.put_with_header(&control, payload, from, flow.map(|flow| (flow, op)))?,
        }
        let bytes = self.len() - before;
        trace!(%op, bytes, "send signal");
        Ok(Encoded::Frame { op, bytes })
    }

    /// Queues a message, as [`Outbound::handle`] does; but what goes the way of one before is not copied on its way.
    pub fn handle_plain(&mut self, send: &PlainSend<'_>) -> Result<Encoded, EncodeError> {
        if self.has_templates()
            && let Some(encoded) = self.put_again(send)?
        {
            return Ok(encoded);
        }
        self.handle(&send.to_signal())
    }

    fn has_templates(&self) -> bool {
        self.has_cache && self.framer.fragmented.is_empty()
    }

    /// Takes what is to be written next: all that is whole, and a fragment. False if there is nothing. `into` must
    /// be empty; its memory is used for what comes next.
    pub fn poll_output(&mut self, into: &mut Segments) -> bool {
        debug_assert!(into.is_empty(), "what was taken before is written");
        into.clear();
        mem::swap(&mut self.ready, into);
        if let Some(message) = self.framer.fragmented.pop_front() {
            self.framer.put_fragment(message, into);
        }
        !into.is_empty()
    }

    fn put_pass_through(&mut self, control: &Term, payload: Option<&Term>) -> Result<(), EncodeError> {
        let out = &mut self.ready;
        let start = out.mark();
        out.put_slice(&[0; LENGTH_BYTES]);
        header::put_start(out);
        let mut put = etf::try_encode_into(control, out);
        if let Some(payload) = payload {
            header::put_payload_start(out);
            put = put.and_then(|()| etf::try_encode_into(payload, out));
        }
        put.map_err(EncodeError::from)
            .and_then(|()| Ok(end_frame(start, out)?))
            .inspect_err(|_| out.rewind(start))
    }

    fn put_with_header(
        &mut self,
        control: &Term,
        payload: Option<&Term>,
        from: Option<&Pid>,
        flow: Option<(PlainSend<'_>, Op)>,
    ) -> Result<(), EncodeError> {
        self.control.clear();
        self.framer.cache.begin();
        encode(self.has_cache, &mut self.framer.cache, control, &mut self.control)?;
        if let Some((flow, op)) = flow {
            self.templates.learn(&flow, op, &self.framer.cache, &self.control);
        }
        self.put_payload(payload, from)
    }

    /// The message of a control message that is known; nothing if it is not.
    fn put_again(&mut self, flow: &PlainSend<'_>) -> Result<Option<Encoded>, EncodeError> {
        let Some((op, template)) = self.templates.begin(flow, &mut self.framer.cache) else {
            return Ok(None);
        };
        let (before, start) = (self.ready.len(), self.ready.mark());
        self.control.clear();
        self.payload.clear();
        if let Some(head) = template.head() {
            self.ready.put_slice(head);
            let payload = self.ready.mark();
            let put = encode(true, &mut self.framer.cache, flow.message, &mut self.ready);
            put.inspect_err(|_| self.ready.rewind(start))?;
            if template.is_right(&self.framer.cache)
                && self.ready.len_since(payload) <= Self::WHOLE_BYTES_MAX as u64
            {
                end_frame(start, &mut self.ready)?;
                let bytes = self.ready.len() - before;
                trace!(%op, bytes, "send signal");
                return Ok(Some(Encoded::Frame { op, bytes }));
            }
            // The payload is right, and belongs behind another header.
            self.ready.move_back(payload, &mut self.payload);
            self.ready.rewind(start);
        } else {
            encode(true, &mut self.framer.cache, flow.message, &mut self.payload)?;
        }
        template.put_control(&mut self.control);
        template.learn_head(&self.framer.cache);
        self.put_message(Some(flow.from))?;
        // Of a message in fragments all but the first are to follow, and none was before it.
        let bytes = self.ready.len() - before + self.framer.fragmented_bytes;
        trace!(%op, bytes, "send signal");
        Ok(Some(Encoded::Frame { op, bytes }))
    }

    /// Puts the message of which the control message is written.
    fn put_payload(&mut self, payload: Option<&Term>, from: Option<&Pid>) -> Result<(), EncodeError> {
        self.payload.clear();
        if let Some(term) = payload {
            encode(self.has_cache, &mut self.framer.cache, term, &mut self.payload)?;
        }
        self.put_message(from)
    }

    /// Puts the message of which both parts are written.
    fn put_message(&mut self, from: Option<&Pid>) -> Result<(), EncodeError> {
        let put = self.framer.put_message(from, &mut self.control, &mut self.payload, &mut self.ready);
        // A buffer that grew for a long message is not kept for good.
        if self.payload.capacity() > KEEP_BYTES_MAX {
            self.payload = Segments::new();
        }
        Ok(put.inspect_err(|_| self.framer.cache.take_back())?)
    }
}

impl Framer {
    /// Puts a message's frame, or its first fragment, and keeps the others. The header is that of the cache's
    /// message. `control` and `payload` are empty afterwards.
    fn put_message(
        &mut self,
        from: Option<&Pid>,
        control: &mut Segments,
        payload: &mut Segments,
        out: &mut Segments,
    ) -> Result<(), FrameTooLong> {
        let start = out.mark();
        out.put_slice(&[0; LENGTH_BYTES]);
        let is_fragmented = self.has_fragments && payload.len() > Outbound::WHOLE_BYTES_MAX;
        if is_fragmented {
            let fragments = payload.len().div_ceil(Outbound::FRAGMENT_BYTES);
            self.sequence += 1;
            self.fragments += 1;
            // Nothing of the payload is in the first.
            header::put_first_fragment_start(self.sequence, fragments as u64 + 1, out);
            let rest = mem::take(payload);
            self.fragmented_bytes += rest.len();
            let (from, sequence, held) = (from.cloned(), self.sequence, VecDeque::new());
            self.fragmented.push_back(Fragmented { from, sequence, next: fragments, rest, held });
        } else {
            header::put_header_start(out);
        }
        self.cache.put_header(out);
        out.append(control);
        out.append(payload);
        end_frame(start, out).inspect_err(|_| out.rewind(start))
    }

    /// Keeps a message behind a fragmented one.
    fn hold(
        &mut self,
        ahead: usize,
        control: &Term,
        payload: Option<&Term>,
        from: Option<&Pid>,
    ) -> Result<(), EncodeError> {
        let mut held = Held { from: from.cloned(), control: Segments::new(), payload: Segments::new() };
        etf::try_encode_into(control, &mut held.control)?;
        if let Some(payload) = payload {
            etf::try_encode_into(payload, &mut held.payload)?;
        }
        self.fragmented_bytes += held.bytes();
        self.fragmented[ahead].held.push_back(held);
        Ok(())
    }

    fn put_fragment(&mut self, mut message: Fragmented, out: &mut Segments) {
        let bytes = message.rest.len().min(Outbound::FRAGMENT_BYTES);
        let start = out.mark();
        out.put_slice(&[0; LENGTH_BYTES]);
        header::put_fragment_start(message.sequence, message.next as u64, out);
        message.rest.move_front(bytes, out);
        self.fragmented_bytes -= bytes;
        end_frame(start, out).expect("a fragment is short");
        self.fragments += 1;
        message.next -= 1;
        if message.next > 0 {
            self.fragmented.push_back(message);
            return;
        }
        // Its sender goes on, up to the next long message.
        while let Some(mut held) = message.held.pop_front() {
            self.fragmented_bytes -= held.bytes();
            self.cache.begin();
            let before = self.fragmented.len();
            let from = held.from.take();
            if let Err(error) = self.put_message(from.as_ref(), &mut held.control, &mut held.payload, out) {
                tracing::error!(%error, "a message that waited is not sent");
            }
            if self.fragmented.len() > before
                && let Some(next) = self.fragmented.back_mut()
            {
                next.held = message.held;
                return;
            }
        }
    }
}

/// Encodes a term of the cache's message. After an error the message is taken back.
fn encode(has_cache: bool, cache: &mut OutCache, term: &Term, out: &mut Segments) -> Result<(), EncodeError> {
    let put = match has_cache {
        true => etf::try_encode_cached_into(term, cache, out),
        false => etf::try_encode_into(term, out),
    };
    Ok(put.inspect_err(|_| cache.take_back())?)
}

/// Whether a signal is for a process of another life of the peer than this one, and such that a BEAM takes it for an error
/// of ours: it has lost its links with that life, and so have we, but for those made since (wire.md 5.5).
fn is_for_another_life(signal: &Signal, creation: u32) -> bool {
    match signal {
        Signal::Unlink { to, .. } | Signal::UnlinkAck { to, .. } | Signal::Exit { to, .. } => {
            to.creation != creation
        }
        Signal::Send { .. }
        | Signal::RegSend { .. }
        | Signal::AliasSend { .. }
        | Signal::Link { .. }
        | Signal::Exit2 { .. }
        | Signal::Monitor { .. }
        | Signal::Demonitor { .. }
        | Signal::MonitorExit { .. }
        | Signal::GroupLeader { .. }
        | Signal::SpawnRequest { .. }
        | Signal::SpawnReply { .. } => false,
    }
}

/// How many bytes of memory are kept for the next message.
const KEEP_BYTES_MAX: usize = 256 << 10;

/// Fills in a frame's length.
fn end_frame(start: Mark, out: &mut Segments) -> Result<(), FrameTooLong> {
    let bytes = usize::try_from(out.len_since(start)).expect("it is in memory") - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES_MAX_BEAM);
    let length = length.ok_or(FrameTooLong { bytes, max: FRAME_BYTES_MAX_BEAM })?;
    out.overwrite(start, &length.to_be_bytes());
    Ok(())
}

/// Appends a signal as one frame that is good at any time of a connection with these agreed flags: it spells out its
/// atoms, and rests on no other. For tools and tests; [`Outbound`] writes less.
pub fn encode_signal(signal: &Signal, flags: DistFlags, out: &mut BytesMut) -> Result<Encoded, EncodeError> {
    let mut outbound = Outbound { has_cache: false, ..Outbound::new(flags) };
    outbound.framer.has_fragments = false;
    let encoded = outbound.handle(signal)?;
    outbound.ready.chunks().for_each(|chunk| out.extend_from_slice(chunk));
    Ok(encoded)
}

/// Appends a tick.
pub fn encode_tick(out: &mut BytesMut) {
    out.extend_from_slice(&TICK);
}

#[cfg(test)]
mod tests;
