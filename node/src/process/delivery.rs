//! Messages that came together for one process: one lock and one wake-up for all of them.

use std::sync::Arc;

use etf::{Atom, Pid, Term};

use super::{Arrived, Message, Process, Registry, Token};

/// How many are held back at most. What one read brings is a thousand short ones or so.
const MESSAGES_MAX: usize = 1024;

/// See the module. Whoever puts messages in calls [`Delivery::finish`] before anything else is done that the receiver
/// could see, and before waiting.
#[derive(Default)]
pub(crate) struct Delivery {
    to: Option<(Address, Arc<Process>)>,
    messages: Vec<Arrived>,
}

#[derive(PartialEq)]
enum Address {
    Pid(Pid),
    Name(Atom),
}

impl Delivery {
    /// A message for a process of this incarnation; for any other it is dropped.
    pub(crate) fn for_pid(&mut self, registry: &Registry, to: Pid, message: Term, token: Token) {
        if !matches!(&self.to, Some((Address::Pid(pid), _)) if *pid == to) {
            self.finish();
            self.to = registry.get(&to).map(|process| (Address::Pid(to), process));
        }
        self.push(message, token);
    }

    /// A message for whoever has a name now.
    pub(crate) fn for_name(&mut self, registry: &Registry, to: Atom, message: Term, token: Token) {
        if !matches!(&self.to, Some((Address::Name(name), _)) if *name == to) {
            self.finish();
            let process = registry.whereis(&to).and_then(|pid| registry.get(&pid));
            self.to = process.map(|process| (Address::Name(to), process));
        }
        self.push(message, token);
    }

    /// A message for whom the last one was for.
    pub(crate) fn again(&mut self, message: Term) {
        self.push(message, None);
    }

    fn push(&mut self, message: Term, token: Token) {
        let Some((_, process)) = &self.to else { return };
        self.messages.push((Message::Term(message), token));
        if self.messages.len() >= MESSAGES_MAX {
            process.deliver_batch(&mut self.messages);
        }
    }

    /// Puts what there is into the mailbox.
    pub(crate) fn finish(&mut self) {
        let Some((_, process)) = self.to.take() else { return };
        if !self.messages.is_empty() {
            process.deliver_batch(&mut self.messages);
        }
    }

    /// Gives the memory back that was kept for the next messages.
    pub(crate) fn shrink(&mut self) {
        self.messages.shrink_to(0);
    }
}
