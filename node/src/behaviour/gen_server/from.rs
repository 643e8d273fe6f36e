//! Who waits for an answer (cluster-services 2.1).

use std::{convert::From as ConvertFrom, mem, sync::Arc};

use dist::{Signal, Withheld};
use etf::{Pid, Reference, Term, tuple};

use crate::{
    Context, Message,
    net::Pushed,
    process::{Process, process_key},
    router::Way,
};

/// `From`: who called, and by what the caller knows the answer. [`Context::reply`] takes it, at once or later, in the
/// process that was called or in any other of its node.
///
/// A clone answers the same call; the caller takes the first answer.
#[derive(Debug, Clone, PartialEq)]
pub struct From {
    pid: Pid,
    tag: Term,
}

/// What should say who called does not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0} is no {{Pid, Tag}}")]
pub struct NotFrom(pub Term);

impl From {
    /// The process that called.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// What its answer begins with. Its form is the caller's affair, and differs between releases.
    #[must_use]
    pub fn tag(&self) -> &Term {
        &self.tag
    }

    /// Of a term that is not needed any more, without a copy of the tag.
    pub(crate) fn parse(mut term: Term) -> Result<Self, NotFrom> {
        if let Term::Tuple(elements) = &mut term
            && let [pid @ Term::Pid(_), tag] = &mut elements[..]
            && let Term::Pid(pid) = mem::replace(pid, Term::NIL)
        {
            return Ok(Self { pid, tag: mem::replace(tag, Term::NIL) });
        }
        Err(NotFrom(term))
    }

    /// The alias that the answer goes to, if there is one. One of another node than the caller's can not be reached
    /// there: a node may have lent it out.
    fn alias(&self) -> Option<&Reference> {
        let alias = alias_in(&self.tag).or_else(|| match &self.tag {
            // `[[alias|Ref]|MonitorRef]`, of a `multi_call` of OTP 27 and later.
            Term::ImproperList(list) => match (list.head(), list.tail()) {
                ([inner], Term::Reference(_)) => alias_in(inner),
                _ => None,
            },
            _ => None,
        });
        alias.filter(|alias| alias.node() == self.pid.node())
    }
}

/// The reference in `[alias|Ref]`.
pub(crate) fn alias_in(term: &Term) -> Option<&Reference> {
    let Term::ImproperList(list) = term else { return None };
    match (list.head(), list.tail()) {
        ([word], Term::Reference(alias)) if word.is_atom("alias") => Some(alias),
        _ => None,
    }
}

impl TryFrom<Term> for From {
    type Error = NotFrom;

    fn try_from(term: Term) -> Result<Self, NotFrom> {
        Self::parse(term)
    }
}

impl TryFrom<&Term> for From {
    type Error = NotFrom;

    fn try_from(term: &Term) -> Result<Self, NotFrom> {
        match term.as_tuple() {
            Some([Term::Pid(pid), tag]) => Ok(Self { pid: pid.clone(), tag: tag.clone() }),
            _ => Err(NotFrom(term.clone())),
        }
    }
}

impl ConvertFrom<&From> for From {
    fn from(from: &From) -> Self {
        from.clone()
    }
}

impl ConvertFrom<From> for Term {
    fn from(From { pid, tag }: From) -> Self {
        tuple!(pid, tag)
    }
}

impl ConvertFrom<&From> for Term {
    fn from(from: &From) -> Self {
        from.clone().into()
    }
}

impl Context {
    /// `gen_server:reply(From, Reply)`: answers a call, in whatever form its caller waits for the answer.
    ///
    /// `from` is a [`From`], or the term `{Pid, Tag}` of a `'$gen_call'`. Does not wait; a term that is no `From` is
    /// ignored, since nobody could be waiting for it.
    pub fn reply(&self, from: impl TryInto<From>, reply: impl Into<Term>) {
        let Ok(from) = from.try_into() else { return };
        if self.waits_here(&from) {
            self.reply_here(from, reply.into(), None);
        } else {
            self.reply_there(from, reply.into());
        }
    }

    /// The same over a connection that is there: where it was lost, the caller was told so, and waits no more.
    pub(crate) fn reply_noconnect(&self, from: impl TryInto<From>, reply: Term) {
        let Ok(from) = from.try_into() else { return };
        if self.waits_here(&from) {
            self.reply_here(from, reply, None);
        } else {
            let way = self.inner().way_if_any(from.pid.node());
            self.reply_by(way, from, reply);
        }
    }

    /// The same for who answers many calls, often of the same process.
    pub(crate) fn answer(&mut self, from: From, reply: Term) {
        if !self.waits_here(&from) {
            return self.reply_there(from, reply);
        }
        let key = from.alias().and_then(|alias| self.inner().registry.owner_key(alias));
        let near = key.and_then(|wanted| self.take_near(|pid| process_key(pid) == wanted));
        if let Some(caller) = self.reply_here(from, reply, near) {
            self.keep_near(caller);
        }
    }

    /// Whether the caller is a process of this node that waits by an alias.
    fn waits_here(&self, from: &From) -> bool {
        from.pid.node() == self.inner().node_atom() && from.alias().is_some()
    }

    /// Answers such a process: `near`, if it is known, else it is looked up. Who it was, if it waits still.
    fn reply_here(&self, from: From, reply: Term, near: Option<Arc<Process>>) -> Option<Arc<Process>> {
        let token = self.process().seq_trace.sending(self.pid());
        let caller = near.or_else(|| self.inner().registry.owner(from.alias()?))?;
        {
            let mut signals = caller.signals();
            let (signals, alias) = (signals.as_mut()?, from.alias()?);
            if signals.aliased(alias)?.reply {
                signals.unalias(alias);
            }
            // Under the lock: nothing comes by the alias once it is gone.
            caller.deliver_traced(Message::Term(tuple!(from.tag, reply)), token.map(Box::new));
        }
        Some(caller)
    }

    fn reply_there(&self, from: From, reply: Term) {
        self.reply_by(self.inner().way(from.pid.node()), from, reply);
    }

    fn reply_by(&self, way: Way, from: From, reply: Term) {
        let (inner, own) = (self.inner(), self.pid());
        let token = self.process().seq_trace.sending(own);
        let (alias, From { pid, tag }) = (from.alias().cloned(), from);
        let (own, message, priority) = (own.clone(), tuple!(tag, reply), false);
        let signal = match alias {
            Some(to) => Signal::AliasSend { from: own, to, message, token, priority },
            None => Signal::Send { from: Some(own), to: pid.clone(), message, token, priority },
        };
        match way {
            Way::Here => inner.receive(signal),
            Way::Over(route) => {
                // A peer that has no aliases cannot have meant one: its process gets the answer.
                if let (Pushed::Withheld(Withheld::Alias), Signal::AliasSend { from, message, token, .. }) =
                    (route.push(&signal), signal)
                {
                    route.push(&Signal::Send { from: Some(from), to: pid, message, token, priority });
                }
            }
            Way::Nowhere => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use etf::Atom;

    use super::*;

    fn pid(node: &'static str) -> Pid {
        Pid::new(Atom::from_static(node), 1, 0, 1)
    }

    fn reference(node: &'static str, n: u32) -> Reference {
        Reference::new(Atom::from_static(node), 1, &[n, 2, 3]).expect("three words")
    }

    fn improper(head: Term, tail: &Reference) -> Term {
        Term::list_with_tail(vec![head], tail.into())
    }

    /// The five forms, and whether their answer goes to an alias (cluster-services 2.1).
    #[test]
    fn every_form_of_a_tag_is_echoed_to_where_its_caller_waits() {
        let (plain, monitor) = (reference("a@h", 1), reference("a@h", 2));
        let alias = improper(Term::atom("alias"), &plain);
        let forms = [
            (Term::from(&plain), None),
            (alias.clone(), Some(&plain)),
            (tuple!(&plain, atom "b@h"), None),
            (improper(alias, &monitor), Some(&plain)),
            (tuple!(atom "$gen_request_id", &plain), None),
        ];
        for (tag, wanted) in forms {
            let term = tuple!(&pid("a@h"), tag.clone());
            let from = From::try_from(&term).expect("a pid and a tag");
            assert_eq!((from.tag(), from.alias()), (&tag, wanted), "{tag}");
            assert_eq!(Term::from(&from), term);
            assert_eq!(From::parse(term), Ok(from));
        }
    }

    #[test]
    fn an_alias_of_another_node_is_not_followed() {
        let tag = improper(Term::atom("alias"), &reference("b@h", 1));
        let from = From::parse(tuple!(&pid("a@h"), tag)).expect("a pid and a tag");
        assert_eq!(from.alias(), None);
    }

    #[test]
    fn what_is_no_caller_is_given_back() {
        for term in [Term::atom("a"), tuple!(atom "a", 1), tuple!(&pid("a@h")), tuple!(&pid("a@h"), 1, 2)] {
            assert_eq!(From::parse(term.clone()), Err(NotFrom(term.clone())));
            assert_eq!(From::try_from(&term), Err(NotFrom(term)));
        }
    }
}
