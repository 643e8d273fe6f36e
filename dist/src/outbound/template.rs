//! Control messages that are sent again and again.
//!
//! Most messages of a connection go from the same processes to the same ones, and then differ in their payload alone.
//! The bytes of such a control message are kept, and the slots of the atoms that they refer to: as long as the peer's
//! cache has the same atoms there, they are good for the next message as they are.

use etf::{Atom, Pid, Segments, Term};

use crate::{Op, Signal, cache::OutCache};

/// How many are kept, each at a place that sender and receiver say: some hundred bytes each, once there was a message.
const TEMPLATES: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Templates(Vec<Template>);

/// What a message is made of that may have a template.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow<'a> {
    pub(super) from: &'a Pid,
    to: To<'a>,
    pub(super) message: &'a Term,
}

#[derive(Debug, Clone, Copy)]
enum To<'a> {
    Pid(&'a Pid),
    Name(&'a Atom),
}

#[derive(Debug, Clone, PartialEq)]
enum OwnTo {
    Pid(Pid),
    Name(Atom),
}

#[derive(Debug, Default, Clone)]
struct Template {
    /// Nothing in an empty place.
    flow: Option<(Pid, OwnTo, Op)>,
    control: Vec<u8>,
    slots: Vec<u8>,
    /// [`OutCache::changes`] when all of the slots had these atoms.
    changes: u64,
}

impl<'a> Flow<'a> {
    /// Nothing for what is no plain message from a process to another, or carries a token.
    pub(super) fn of(signal: &'a Signal) -> Option<Self> {
        match signal {
            Signal::Send { from: Some(from), to, message, token: None, priority: false } => {
                Some(Self { from, to: To::Pid(to), message })
            }
            Signal::RegSend { from, to, message, token: None, priority: false } => {
                Some(Self { from, to: To::Name(to), message })
            }
            _ => None,
        }
    }

    fn place(&self) -> usize {
        let to = match self.to {
            To::Pid(pid) => pid.id as usize,
            To::Name(name) => name.len(),
        };
        (self.from.id as usize ^ to) % TEMPLATES
    }

    fn is(&self, (from, to, _): &(Pid, OwnTo, Op)) -> bool {
        let is_to = match (self.to, to) {
            (To::Pid(pid), OwnTo::Pid(own)) => pid == own,
            (To::Name(name), OwnTo::Name(own)) => name == own,
            _ => false,
        };
        is_to && self.from == from
    }
}

impl Templates {
    /// Begins a message in the cache and writes the control message, if it is known. What operation it is.
    pub(super) fn put(&self, flow: &Flow<'_>, cache: &mut OutCache, control: &mut Segments) -> Option<Op> {
        let template = self.0.get(flow.place())?;
        let known = template.flow.as_ref().filter(|known| flow.is(known))?;
        if template.changes != cache.changes() {
            return None;
        }
        cache.begin();
        cache.refer(&template.slots);
        control.put_slice(&template.control);
        Some(known.2)
    }

    /// Remembers a control message that was just written, before its payload is.
    pub(super) fn learn(&mut self, flow: &Flow<'_>, op: Op, cache: &OutCache, control: &Segments) {
        if self.0.is_empty() {
            self.0 = vec![Template::default(); TEMPLATES];
        }
        let template = &mut self.0[flow.place()];
        if !template.flow.as_ref().is_some_and(|known| flow.is(known)) {
            let to = match flow.to {
                To::Pid(pid) => OwnTo::Pid(pid.clone()),
                To::Name(name) => OwnTo::Name(name.clone()),
            };
            template.flow = Some((flow.from.clone(), to, op));
        }
        template.control.clear();
        control.chunks().for_each(|chunk| template.control.extend_from_slice(chunk));
        template.slots.clear();
        template.slots.extend(cache.slots());
        template.changes = cache.changes();
    }
}
