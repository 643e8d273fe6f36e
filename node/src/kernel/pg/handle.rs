//! `pg` for the programs of this node.

use std::{sync::Arc, time::Duration};

use etf::{Atom, Pid, Reference, Term};

use super::{
    engine::{Answer, MEMBERSHIPS_MAX, Request},
    service::{self, Shared},
    wire::{Change, pids},
};
use crate::{Context, Message, Node};

/// A scope of this node: groups of processes that are shared with the scopes of that name elsewhere.
///
/// A clone is another handle to the same. The scope runs as long as its process, whether there are handles or not.
#[derive(Clone)]
pub struct Scope(Arc<Shared>);

/// Why something cannot be done with a scope.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PgError {
    /// The name is registered already: by a scope, or by another process.
    #[error("{scope} is the name of {pid:?} already")]
    AlreadyStarted {
        /// The name.
        scope: Atom,
        /// Who has it.
        pid: Pid,
    },
    /// Nothing can be registered by that name.
    #[error("{scope} is no name")]
    BadName {
        /// The name.
        scope: Atom,
    },
    /// The scope has ended. Its groups ended with it; [`start`] starts another, without members.
    #[error("the scope {scope} has ended")]
    Stopped {
        /// Its name.
        scope: Atom,
    },
    /// A process of another node: each node says who of its own is in a group.
    #[error("{pid:?} is no process of this node")]
    NoLocal {
        /// The process.
        pid: Pid,
    },
    /// One scope of a node has a million memberships at most.
    #[error("the scope {scope} has as many memberships as it may, {MEMBERSHIPS_MAX}")]
    Full {
        /// Its name.
        scope: Atom,
    },
}

/// What became of [`Scope::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// `ok`: some of the processes were in the group, and are one time less.
    Ok,
    /// `not_joined`: none of them was.
    NotJoined,
}

/// `pg:start(Scope)`: starts a scope on this node, and joins those of that name on the nodes that are connected.
///
/// Any atom can be a name, if nothing is registered by it. To link a process to the scope, as `pg:start_link/1` does,
/// call [`Context::link`] with [`Scope::pid`].
pub fn start(node: &Node, scope: impl Into<Atom>) -> Result<Scope, PgError> {
    service::start(node.inner(), &scope.into()).map(Scope)
}

/// The scope of that name, if it runs on this node.
#[must_use]
pub fn scope(node: &Node, scope: &str) -> Option<Scope> {
    node.inner().pg.get(scope).map(Scope)
}

impl Scope {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Atom {
        &self.0.name
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.0.pid
    }

    /// `pg:join(Scope, Group, Pids)`: processes of this node join a group, which need not be there. One that is in it
    /// already is in it once more. They leave it by [`Scope::leave`], or by their end.
    ///
    /// Other nodes know of it a little later. Dropping the future may leave it done or not.
    pub async fn join(&self, group: &Term, pids: &[Pid]) -> Result<(), PgError> {
        let change = Change { group: group.clone(), join: pids.to_vec(), leave: Vec::new() };
        self.update(vec![change]).await.map(|_| ())
    }

    /// `pg:leave(Scope, Group, Pids)`: each leaves the group once, if it is in it.
    ///
    /// Dropping the future may leave it done or not.
    pub async fn leave(&self, group: &Term, pids: &[Pid]) -> Result<Left, PgError> {
        self.update(vec![Change { group: group.clone(), join: Vec::new(), leave: pids.to_vec() }]).await
    }

    /// Several joins and leaves, one after the other; nobody of this node sees some of them done and others not. If
    /// one cannot be done, none is. Whether anybody left who was to.
    ///
    /// Dropping the future may leave all of it done or none.
    pub async fn update(&self, changes: Vec<Change>) -> Result<Left, PgError> {
        match self.0.request(Request::Update(changes)).await? {
            Answer::Updated { left } => Ok(if left { Left::Ok } else { Left::NotJoined }),
            Answer::NoLocal(pid) => Err(PgError::NoLocal { pid }),
            _ => Err(PgError::Full { scope: self.name().clone() }),
        }
    }

    /// `pg:get_members(Scope, Group)`: the processes of all nodes in a group, each as often as it has joined, in no
    /// particular order. From this node's own table, without asking anyone; nobody once the scope has ended.
    #[must_use]
    pub fn get_members(&self, group: &Term) -> Vec<Pid> {
        self.0.engine().map(|engine| engine.members(group)).unwrap_or_default()
    }

    /// `pg:get_local_members(Scope, Group)`: those of this node.
    #[must_use]
    pub fn get_local_members(&self, group: &Term) -> Vec<Pid> {
        self.0.engine().map(|engine| engine.local_members(group)).unwrap_or_default()
    }

    /// `pg:which_groups(Scope)`: the groups that somebody is in, sorted.
    #[must_use]
    pub fn which_groups(&self) -> Vec<Term> {
        self.0.engine().map(|engine| engine.groups().cloned().collect()).unwrap_or_default()
    }

    /// `pg:which_local_groups(Scope)`: the groups that a process of this node is in, sorted.
    #[must_use]
    pub fn which_local_groups(&self) -> Vec<Term> {
        self.0.engine().map(|engine| engine.local_groups().cloned().collect()).unwrap_or_default()
    }

    /// `pg:monitor(Scope, Group)`: who is in the group, and from now on a message for everyone who joins or leaves, of
    /// whichever node; [`Subscription::event`] reads it. It ends by [`Scope::demonitor`], or with the process.
    pub async fn monitor(
        &self,
        context: &Context,
        group: &Term,
    ) -> Result<(Subscription, Vec<Pid>), PgError> {
        let (subscription, now) = self.subscribe(context, Some(group.clone())).await?;
        Ok((subscription, now.into_iter().flat_map(|(_, pids)| pids).collect()))
    }

    /// `pg:monitor_scope(Scope)`: the same for all groups.
    pub async fn monitor_scope(
        &self,
        context: &Context,
    ) -> Result<(Subscription, Vec<(Term, Vec<Pid>)>), PgError> {
        self.subscribe(context, None).await
    }

    async fn subscribe(
        &self,
        context: &Context,
        group: Option<Term>,
    ) -> Result<(Subscription, Vec<(Term, Vec<Pid>)>), PgError> {
        let (reference, pid) = (context.make_ref(), context.pid().clone());
        let request = Request::Subscribe { reference, pid, group };
        match self.0.request(request).await? {
            Answer::Subscribed { reference, now } => Ok((Subscription { reference }, now)),
            _ => Err(PgError::Stopped { scope: self.name().clone() }),
        }
    }

    /// `pg:demonitor(Scope, Ref)`: ends a subscription, and takes what it has sent out of the process's mailbox.
    /// Whether there was one: not if the scope was started anew.
    pub async fn demonitor(&self, context: &mut Context, subscription: Subscription) -> bool {
        let request = Request::Unsubscribe(subscription.reference.clone());
        let ended = self.0.request(request).await == Ok(Answer::Unsubscribed(true));
        let of_it = |message: &Message| subscription.event(message);
        while context.receive_match_timeout(Some(Duration::ZERO), of_it).await.is_some() {}
        ended
    }

    /// Ends the scope on this node, as `gen_server:stop(Scope)`: its members here leave it everywhere. The default
    /// scope of [`NodeConfig::start_pg`](crate::NodeConfig::start_pg) is started anew.
    ///
    /// Returns when it has ended. Dropping the future leaves it ending.
    pub async fn stop(&self, context: &mut Context) {
        let monitor = context.monitor(self.pid());
        let from = etf::tuple!(context.pid(), &monitor.reference);
        let terminate = etf::tuple!(atom "terminate", atom "normal");
        context.send_now(self.pid(), etf::tuple!(atom "system", from, terminate));
        let down = context.receive_match(|message| match message {
            Message::Down { reference, .. } if *reference == monitor.reference => Some(()),
            _ => None,
        });
        down.await;
        let answer = |message: &Message| {
            let [tag, _] = message.as_term()?.as_tuple()? else { return None };
            (tag.as_reference() == Some(&monitor.reference)).then_some(())
        };
        context.receive_match_timeout(Some(Duration::ZERO), answer).await;
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scope").field(self.name()).finish()
    }
}

/// What [`Scope::monitor`] has set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// What its messages carry.
    pub reference: Reference,
}

/// What happens in a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `{Ref, join, Group, Pids}`.
    Join {
        /// The group.
        group: Term,
        /// Who has joined.
        pids: Vec<Pid>,
    },
    /// `{Ref, leave, Group, Pids}`.
    Leave {
        /// The group.
        group: Term,
        /// Who has left.
        pids: Vec<Pid>,
    },
}

impl Subscription {
    /// What a message tells, if it is of this subscription.
    #[must_use]
    pub fn event(&self, message: &Message) -> Option<Event> {
        let [Term::Reference(reference), action, group, who] = message.as_term()?.as_tuple()? else {
            return None;
        };
        let (group, pids) = (group.clone(), pids(who)?);
        match action.as_atom().filter(|_| *reference == self.reference)?.as_str() {
            "join" => Some(Event::Join { group, pids }),
            "leave" => Some(Event::Leave { group, pids }),
            _ => None,
        }
    }
}
