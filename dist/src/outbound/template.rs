//! Control messages that are sent again and again.
//!
//! Most messages of a connection go from the same processes to the same ones, and then differ in their payload alone.
//! The bytes of such a control message are kept, and the slots of the atoms that they refer to: as long as the peer's
//! cache has the same atoms there, they are good for the next message as they are. Where the last two messages referred
//! to the same atoms in their payload too, so does the next, as a rule: then even its header is known before the payload
//! is written.

use etf::{Atom, Pid, Segments, Term};

use crate::{Op, Signal, cache::OutCache, frame::LENGTH_BYTES, header};

/// How many are kept, each at a place that sender and receiver say: some hundred bytes each, once there was a message.
const TEMPLATES: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Templates(Vec<Template>);

/// A message from a process to another with nothing special about it: a [`Signal::Send`] or [`Signal::RegSend`] without
/// a token and without priority, of parts that stay with the caller.
#[derive(Debug, Clone, Copy)]
pub struct PlainSend<'a> {
    /// The sender.
    pub from: &'a Pid,
    /// The receiver.
    pub to: PlainTo<'a>,
    /// The message.
    pub message: &'a Term,
}

/// Who a [`PlainSend`] is for.
#[derive(Debug, Clone, Copy)]
pub enum PlainTo<'a> {
    /// A process of the peer.
    Pid(&'a Pid),
    /// A registered name.
    Name(&'a Atom),
}

#[derive(Debug, Clone, PartialEq)]
enum OwnTo {
    Pid(Pid),
    Name(Atom),
}

#[derive(Debug, Default, Clone)]
pub(super) struct Template {
    /// Nothing in an empty place.
    flow: Option<(Pid, OwnTo, Op)>,
    control: Vec<u8>,
    slots: Vec<u8>,
    /// [`OutCache::changes`] when all of the slots had these atoms.
    changes: u64,
    /// The slots that the last message referred to, with those of its payload.
    all_slots: Vec<u8>,
    /// All that stood before the payload of the last message, its length left open, if the one before it had the same.
    head: Vec<u8>,
}

impl<'a> PlainSend<'a> {
    /// Nothing for what is no plain message from a process to another, or carries a token.
    pub(super) fn of(signal: &'a Signal) -> Option<Self> {
        match signal {
            Signal::Send { from: Some(from), to, message, token: None, priority: false } => {
                Some(Self { from, to: PlainTo::Pid(to), message })
            }
            Signal::RegSend { from, to, message, token: None, priority: false } => {
                Some(Self { from, to: PlainTo::Name(to), message })
            }
            _ => None,
        }
    }

    /// The same as a signal of its own.
    #[must_use]
    pub fn to_signal(&self) -> Signal {
        let (from, message, token, priority) = (self.from.clone(), self.message.clone(), None, false);
        match self.to {
            PlainTo::Pid(to) => Signal::Send { from: Some(from), to: to.clone(), message, token, priority },
            PlainTo::Name(to) => Signal::RegSend { from, to: to.clone(), message, token, priority },
        }
    }

    fn place(&self) -> usize {
        let to = match self.to {
            PlainTo::Pid(pid) => pid.id as usize,
            PlainTo::Name(name) => name.len(),
        };
        (self.from.id as usize ^ to) % TEMPLATES
    }

    fn is(&self, (from, to, _): &(Pid, OwnTo, Op)) -> bool {
        let is_to = match (self.to, to) {
            (PlainTo::Pid(pid), OwnTo::Pid(own)) => pid == own,
            (PlainTo::Name(name), OwnTo::Name(own)) => name == own,
            _ => false,
        };
        is_to && self.from == from
    }
}

impl Templates {
    /// Begins a message in the cache, if its control message is known. What operation it is.
    pub(super) fn begin(
        &mut self,
        flow: &PlainSend<'_>,
        cache: &mut OutCache,
    ) -> Option<(Op, &mut Template)> {
        let template = self.0.get_mut(flow.place())?;
        let op = template.flow.as_ref().filter(|known| flow.is(known))?.2;
        if template.changes != cache.changes() {
            return None;
        }
        cache.begin();
        cache.refer(&template.slots);
        Some((op, template))
    }

    /// Remembers a control message that was just written, before its payload is.
    pub(super) fn learn(&mut self, flow: &PlainSend<'_>, op: Op, cache: &OutCache, control: &Segments) {
        if self.0.is_empty() {
            self.0 = vec![Template::default(); TEMPLATES];
        }
        let template = &mut self.0[flow.place()];
        if !template.flow.as_ref().is_some_and(|known| flow.is(known)) {
            let to = match flow.to {
                PlainTo::Pid(pid) => OwnTo::Pid(pid.clone()),
                PlainTo::Name(name) => OwnTo::Name(name.clone()),
            };
            template.flow = Some((flow.from.clone(), to, op));
        }
        template.control.clear();
        control.chunks().for_each(|chunk| template.control.extend_from_slice(chunk));
        template.slots.clear();
        template.slots.extend(cache.slots());
        template.changes = cache.changes();
        template.all_slots.clear();
        template.head.clear();
    }
}

impl Template {
    pub(super) fn put_control(&self, out: &mut Segments) {
        out.put_slice(&self.control);
    }

    /// What stands before the payload, if that refers to the atoms it did before.
    pub(super) fn head(&self) -> Option<&[u8]> {
        (!self.head.is_empty()).then_some(&self.head[..])
    }

    /// Whether the payload, which is written now, does.
    pub(super) fn is_right(&self, cache: &OutCache) -> bool {
        cache.refers_to(&self.all_slots)
    }

    /// The cache's message is written.
    pub(super) fn learn_head(&mut self, cache: &OutCache) {
        self.head.clear();
        if !cache.refers_to(&self.all_slots) {
            self.all_slots.clear();
            self.all_slots.extend(cache.slots());
            return;
        }
        let mut head = Segments::new();
        head.put_slice(&[0; LENGTH_BYTES]);
        header::put_header_start(&mut head);
        cache.put_header(&mut head);
        self.put_control(&mut head);
        head.chunks().for_each(|chunk| self.head.extend_from_slice(chunk));
    }
}
