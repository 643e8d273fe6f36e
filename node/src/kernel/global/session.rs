//! Sessions: how two nodes that connect merge their partitions (cluster-services.md 1.4, 1.6).
//!
//! One peer's session, as this node sees it:
//!
//! ```text
//!                         nodeup: init_connect ►
//!  (none) ───────────────────────────────────────► opened
//!     ▲                                              │ ◄ init_connect; init_connect_ack ►; the locker may begin
//!     │                                              ▼
//!     │                                            pending
//!     │                lock_is_set: exchange ►  ┌────┴─────┐  ◄ exchange
//!     │                                         ▼          ▼             (in either order)
//!     │                                      locked    his names
//!     │                                         └────┬─────┘
//!     │                                              ▼
//!     │                                          resolving: conflicts, one by one
//!     │                            resolved ►   ┌────┴─────┐  ◄ resolved
//!     │                                         ▼          ▼             (in either order)
//!     │                                       my ops    his ops
//!     │                                         └────┬─────┘
//!     └─────────────── new_nodes ► old members; known, synced; locks released
//! ```
//!
//! `nodedown`, `in_sync`, `cancel_connect` and an `init_connect` that does not fit end a session from every state;
//! the last two begin a new one at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use etf::{Atom, Pid, Term};

use super::{
    Engine,
    api::{Address, Output, QuestionId, ResolveResult, Role, Warning},
    locker::Candidate,
    locks::Authority,
    resolve::{self, Effect, Plan},
    wire::{Cast, Info, Name, NameExt, NodeVsn, Op, Tag, VSN_OLDEST, VSN_VERIFY_CONNECT},
};

/// The most `init_connect` that wait for their connection. They come at most one a connection, which is not up yet.
const PRE_CONNECT_MAX: usize = 4096;

/// How long after its `init_connect` a session is acknowledged, if it is not over by then. Nobody waits for it: it only
/// shows where two sessions have missed each other. But where it comes when a third has ended the session, by making both
/// members of one partition, OTP 27 and later forget the names that they have just learnt of our processes. Shorter than
/// the lockers take, longer than the third.
const ACK_DELAY: Duration = Duration::from_millis(100);

/// One peer's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) my_tag: Tag,
    /// From his `init_connect`.
    his: Option<His>,
    names: Names,
    ops: Ops,
}

#[derive(Debug)]
struct His {
    tag: Tag,
    /// The version that both speak.
    vsn: u32,
    /// In whose name our locker has locked `global`.
    requester: Option<Term>,
}

/// The two halves that the resolver needs.
#[derive(Debug)]
enum Names {
    Nothing,
    Locked,
    His(Vec<Name>),
    Resolving(Resolver),
    Done,
}

/// The two halves that end a session.
#[derive(Debug)]
enum Ops {
    Nothing,
    Mine(Vec<Op>),
    His { ops: Vec<Op>, known: Vec<NodeVsn>, names_ext: Vec<NameExt> },
}

/// Compares his names with ours. Other events are handled meanwhile: users' locks stay usable.
#[derive(Debug, Default)]
struct Resolver {
    todo: VecDeque<Name>,
    ops: Vec<Op>,
    resolved: Vec<Op>,
    waiting: Option<Box<Conflict>>,
}

#[derive(Debug)]
struct Conflict {
    id: QuestionId,
    theirs: Name,
    ours: Name,
}

/// An `init_connect` that came before its connection.
#[derive(Debug)]
pub(super) struct PreConnect {
    vsn: u32,
    tag: Tag,
    locker: Pid,
}

impl Engine {
    pub(super) fn node_up(&mut self, node: Atom) {
        self.up.insert(node.clone());
        // A mark of an earlier connection.
        self.removing.remove(&node);
        if self.connecting.remove(&node).is_some() {
            self.monitor_unreached(&node);
            self.send_in_sync(&node);
        }
        if self.config.connect_all {
            self.begin(&node);
        }
        if self.early_in_sync.remove(&node) {
            self.in_sync(node);
        }
    }

    /// Makes us known to a peer that is neither known nor in a session.
    fn begin(&mut self, node: &Atom) {
        if self.known.contains_key(node) || self.sessions.contains_key(node) {
            return;
        }
        let my_tag = Tag::new(self.next_unique());
        let cast = Cast::InitConnect {
            vsn: self.config.vsn,
            tag: my_tag.clone(),
            node: self.config.node.clone(),
            locker: self.config.locker.clone(),
        };
        let session = Session { my_tag, his: None, names: Names::Nothing, ops: Ops::Nothing };
        self.sessions.insert(node.clone(), session);
        self.send_cast(Role::NameServer, node, false, &cast);
        if let Some(PreConnect { vsn, tag, locker }) = self.pre_connect.remove(node) {
            self.init_connect(node.clone(), vsn, tag, locker);
        }
    }

    pub(super) fn init_connect(&mut self, node: Atom, his_vsn: u32, his_tag: Tag, locker: Pid) {
        if his_vsn < VSN_OLDEST || node == self.config.node {
            return self.warn(Warning::IllegalVersion { node, vsn: his_vsn });
        }
        if self.pending.contains_key(&node) {
            return self.init_connect_again(node, his_vsn, his_tag, locker);
        }
        let Some(session) = self.sessions.get_mut(&node) else {
            if self.pre_connect.len() >= PRE_CONNECT_MAX && !self.pre_connect.contains_key(&node) {
                let what = "the table of early init_connect";
                return self.warn(Warning::Full { what, max: PRE_CONNECT_MAX });
            }
            self.pre_connect.insert(node, PreConnect { vsn: his_vsn, tag: his_tag, locker });
            return;
        };
        let vsn = his_vsn.min(self.config.vsn);
        let my_tag = session.my_tag.clone();
        session.his = Some(His { tag: his_tag.clone(), vsn, requester: None });
        self.locker_add(Candidate {
            node: node.clone(),
            locker,
            vsn,
            my_tag: my_tag.clone(),
            his_tag: his_tag.clone(),
        });
        if vsn >= VSN_VERIFY_CONNECT {
            self.unacknowledged.push(node.clone());
        }
        self.pending.insert(node, his_vsn);
    }

    /// Acknowledges those who have begun, if that is not over meanwhile.
    pub(super) fn acknowledge(&mut self, now: Instant) {
        for node in std::mem::take(&mut self.unacknowledged) {
            self.acks.settle(&node);
            self.acks.add(now + ACK_DELAY, node);
        }
        while let Some(node) = self.acks.due(now) {
            let Some(session) = self.sessions.get(&node) else { continue };
            let Some(his) = &session.his else { continue };
            let (your_tag, my_tag) = (his.tag.clone(), session.my_tag.clone());
            let own = self.config.node.clone();
            self.send_info(&node, &Info::InitConnectAck { node: own, your_tag, my_tag });
        }
    }

    /// He has begun anew in the middle of a session, which is over with that; his new one is one with ours. Had he
    /// thrown away what he knows of ours, he would have cancelled it, or his connection would be another.
    ///
    /// OTP 27 cancels his new one and begins anew itself. Between two nodes that do the same that goes on for ever where
    /// messages are slow, for each new beginning meets another.
    fn init_connect_again(&mut self, node: Atom, his_vsn: u32, his_tag: Tag, locker: Pid) {
        if his_vsn.min(self.config.vsn) < VSN_VERIFY_CONNECT {
            self.out.push_back(Output::Disconnect { node: node.clone() });
            return self.warn(Warning::OutOfSync { node, vsn: his_vsn });
        }
        let Some(session) = self.sessions.get_mut(&node) else { return };
        (session.his, session.names, session.ops) = (None, Names::Nothing, Ops::Nothing);
        let my_tag = session.my_tag.clone();
        self.locker_cancel(&node, &my_tag, Vec::new());
        self.pending.remove(&node);
        self.init_connect(node, his_vsn, his_tag, locker);
    }

    pub(super) fn init_connect_ack(&mut self, node: &Atom, your_tag: &Tag, my_tag: Tag) {
        // Else he has acknowledged what we began before: he will hear of the session that we have now, if there is one.
        let Some(session) = self.sessions.get(node).filter(|session| &session.my_tag == your_tag) else {
            return;
        };
        if session.his.as_ref().is_none_or(|his| his.tag != my_tag) {
            self.send_cancel_connect(node, my_tag);
            self.restart(node);
        }
    }

    pub(super) fn cancel_connect(&mut self, node: &Atom, tag: &Tag) {
        if self.current(node, tag) {
            // He has given the session up himself, and need not be told.
            self.pending.remove(node);
            self.restart(node);
        }
    }

    /// Ends a session and begins the next.
    fn restart(&mut self, node: &Atom) {
        let was = self.end_session(node);
        if was && self.up.contains(node) {
            self.begin(node);
        }
    }

    /// Ends a session for good: the peer does not keep to the protocol.
    pub(super) fn give_up(&mut self, node: &Atom) {
        self.end_session(node);
    }

    /// Ends a session, telling the peer if he is in it; false if there was none.
    fn end_session(&mut self, node: &Atom) -> bool {
        let pending = self.pending.remove(node);
        self.pre_connect.remove(node);
        let Some(session) = self.sessions.remove(node) else { return false };
        self.locker_cancel(node, &session.my_tag, Vec::new());
        let verifies = pending.is_some_and(|vsn| vsn.min(self.config.vsn) >= VSN_VERIFY_CONNECT);
        if let Some(his) = session.his
            && verifies
            && self.up.contains(node)
        {
            self.send_cancel_connect(node, his.tag);
        }
        true
    }

    /// Forgets all about a node.
    pub(super) fn forget(&mut self, node: &Atom) {
        self.end_session(node);
        self.locker_forget(node);
        let was_member = self.known.remove(node).is_some();
        self.synced.remove(node);
        if self.connecting.remove(node).is_some() {
            self.forget_unreached(node);
        }
        if was_member {
            self.restart_exchanges();
        }
    }

    /// Begins those sessions anew in which we have told our names, and not yet who our members are: the names of one that
    /// is a member no more are gone here, and must not come to stay there.
    fn restart_exchanges(&mut self) {
        let told = |session: &Session| {
            let Some(his) = &session.his else { return false };
            let before_the_end = matches!(session.ops, Ops::Nothing | Ops::His { .. });
            his.vsn >= VSN_VERIFY_CONNECT && his.requester.is_some() && before_the_end
        };
        let stale = self.sessions.iter().filter(|(_, session)| told(session));
        for node in stale.map(|(node, _)| node.clone()).collect::<Vec<_>>() {
            self.restart(&node);
        }
    }

    fn send_cancel_connect(&mut self, node: &Atom, tag: Tag) {
        let own = self.config.node.clone();
        self.send_info(node, &Info::CancelConnect { node: own, tag });
    }

    /// Whether it is the tag of the session under way.
    fn current(&self, node: &Atom, tag: &Tag) -> bool {
        self.sessions.get(node).is_some_and(|session| &session.my_tag == tag)
    }

    /// The locker has both partitions: tell the peer our names.
    pub(super) fn lock_is_set(&mut self, node: &Atom, tag: &Tag, requester: Term) {
        self.settle_losses();
        let names = self.names.all();
        let session = self.sessions.get_mut(node).filter(|session| &session.my_tag == tag);
        let Some((session, his_tag)) = session.and_then(|session| {
            let his = session.his.as_mut()?;
            his.requester = Some(requester);
            let his_tag = his.tag.clone();
            Some((session, his_tag))
        }) else {
            return self.locker_cancel(node, tag, Vec::new());
        };
        match std::mem::replace(&mut session.names, Names::Locked) {
            Names::His(todo) => {
                session.names = Names::Resolving(Resolver { todo: todo.into(), ..Resolver::default() });
            }
            Names::Nothing | Names::Locked => {}
            later @ (Names::Resolving(_) | Names::Done) => session.names = later,
        }
        let cast = Cast::Exchange { node: self.config.node.clone(), names, tag: his_tag };
        self.send_cast(Role::NameServer, node, false, &cast);
        self.resolve(node);
    }

    pub(super) fn exchange(&mut self, node: &Atom, names: Vec<Name>, tag: &Tag) {
        if !self.current(node, tag) {
            return self.locker_cancel(node, tag, Vec::new());
        }
        let Some(session) = self.sessions.get_mut(node) else { return };
        match &session.names {
            Names::Nothing => session.names = Names::His(names),
            Names::Locked => {
                session.names = Names::Resolving(Resolver { todo: names.into(), ..Resolver::default() });
                self.resolve(node);
            }
            Names::His(_) | Names::Resolving(_) | Names::Done => {}
        }
    }

    /// Goes through his names as far as no resolve function elsewhere is to be waited for.
    fn resolve(&mut self, node: &Atom) {
        loop {
            let Some(Session { names: Names::Resolving(resolver), .. }) = self.sessions.get_mut(node) else {
                return;
            };
            if resolver.waiting.is_some() {
                return;
            }
            let Some(theirs) = resolver.todo.pop_front() else { break };
            match self.names.get(&theirs.name) {
                None => resolver.ops.push(Op::Insert(theirs)),
                Some(entry) if entry.name.pid == theirs.pid => {}
                // The smaller node resolves, and the other learns the outcome.
                Some(_) if &self.config.node > node => {}
                Some(entry) => {
                    let ours = entry.name.clone();
                    self.conflict(node, theirs, ours);
                }
            }
        }
        let Some(session) = self.sessions.get_mut(node) else { return };
        if let Names::Resolving(resolver) = std::mem::replace(&mut session.names, Names::Done) {
            self.exchange_ops(node, resolver.ops, resolver.resolved);
        }
    }

    /// Two processes with one name: its resolve function is run where our process is.
    fn conflict(&mut self, node: &Atom, theirs: Name, ours: Name) {
        let own = self.config.node.clone();
        let at = ours.pid.node().clone();
        let plan = if at == own { resolve::plan(&own, &ours.method) } else { Plan::Call(at) };
        match plan {
            Plan::Native(method) => {
                let (result, effects) = method.resolve(&ours.name, &theirs.pid, &ours.pid);
                for effect in effects {
                    self.effect(effect, &ours.name);
                }
                self.settle(node, theirs, ours, ResolveResult::Value(result));
            }
            Plan::Call(at) => {
                let id = self.next_question();
                self.out.push_back(Output::RunResolver {
                    id,
                    node: at,
                    method: ours.method.clone(),
                    name: ours.name.clone(),
                    pid1: theirs.pid.clone(),
                    pid2: ours.pid.clone(),
                });
                if let Some(Session { names: Names::Resolving(resolver), .. }) = self.sessions.get_mut(node) {
                    resolver.waiting = Some(Box::new(Conflict { id, theirs, ours }));
                }
            }
            Plan::BadMethod => {
                let result = ResolveResult::Value(Term::atom("badfun"));
                self.settle(node, theirs, ours, result);
            }
        }
    }

    fn effect(&mut self, effect: Effect, name: &Term) {
        let output = match effect {
            Effect::Kill(pid) => {
                self.warn(Warning::Terminating { name: name.clone(), pid: pid.clone() });
                Output::Kill(pid)
            }
            Effect::Send { to, term } => {
                Output::Send { from: Role::NameServer, to: Address::Pid(to), connect: true, term }
            }
        };
        self.out.push_back(output);
    }

    pub(super) fn resolve_result(&mut self, id: QuestionId, result: ResolveResult) {
        let asked = self.sessions.iter_mut().find_map(|(node, session)| match &mut session.names {
            Names::Resolving(resolver) if resolver.waiting.as_ref().is_some_and(|c| c.id == id) => {
                resolver.waiting.take().map(|conflict| (node.clone(), conflict))
            }
            _ => None,
        });
        // The session may be over.
        if let Some((node, conflict)) = asked {
            let Conflict { theirs, ours, .. } = *conflict;
            self.settle(&node, theirs, ours, result);
            self.resolve(&node);
        }
    }

    /// What the resolve function's result means for both partitions.
    fn settle(&mut self, node: &Atom, theirs: Name, ours: Name, result: ResolveResult) {
        let name = ours.name.clone();
        let mut warning = None;
        let (op, resolved) = match result {
            ResolveResult::Value(Term::Pid(pid)) if pid == theirs.pid => (Some(Op::Insert(theirs)), None),
            ResolveResult::Value(Term::Pid(pid)) if pid == ours.pid => (None, Some(Op::Insert(ours))),
            ResolveResult::Value(result) => {
                if !result.is_atom("none") {
                    warning = Some(Warning::ResolverReturned { name: name.clone(), result });
                }
                (Some(Op::Delete(name.clone())), Some(Op::Delete(name)))
            }
            ResolveResult::BadRpc(reason) => {
                warning = Some(Warning::ResolverUnreachable { name, reason });
                (Some(Op::Insert(theirs)), None)
            }
        };
        if let Some(Session { names: Names::Resolving(resolver), .. }) = self.sessions.get_mut(node) {
            resolver.ops.extend(op);
            resolver.resolved.extend(resolved);
        }
        if let Some(warning) = warning {
            self.warn(warning);
        }
    }

    /// Our half of the outcome.
    fn exchange_ops(&mut self, node: &Atom, ops: Vec<Op>, resolved: Vec<Op>) {
        let tag = self.sessions.get(node).map(|session| session.my_tag.clone());
        self.settle_losses();
        if self.sessions.get(node).map(|session| &session.my_tag) != tag.as_ref() {
            return;
        }
        let known = self.known.iter().map(|(node, vsn)| (node.clone(), *vsn)).collect();
        let names_ext = self.names.all_ext();
        let Some(session) = self.sessions.get_mut(node) else { return };
        let Some(his_tag) = session.his.as_ref().map(|his| his.tag.clone()) else { return };
        let his_ops = match std::mem::replace(&mut session.ops, Ops::Nothing) {
            Ops::His { ops, known, names_ext } => Some((ops, known, names_ext)),
            Ops::Nothing | Ops::Mine(_) => None,
        };
        let cast =
            Cast::Resolved { node: self.config.node.clone(), ops: resolved, known, names_ext, tag: his_tag };
        if his_ops.is_none() {
            session.ops = Ops::Mine(ops.clone());
        }
        self.send_cast(Role::NameServer, node, false, &cast);
        if let Some((his_ops, known, names_ext)) = his_ops {
            self.merge(node, ops, his_ops, known, &names_ext);
        }
    }

    /// The peer's half.
    pub(super) fn resolved(
        &mut self,
        node: &Atom,
        ops: Vec<Op>,
        known: Vec<NodeVsn>,
        names_ext: Vec<NameExt>,
        tag: &Tag,
    ) {
        if !self.current(node, tag) {
            return self.locker_cancel(node, tag, Vec::new());
        }
        let Some(session) = self.sessions.get_mut(node) else { return };
        match std::mem::replace(&mut session.ops, Ops::Nothing) {
            Ops::Nothing => session.ops = Ops::His { ops, known, names_ext },
            Ops::Mine(mine) => self.merge(node, mine, ops, known, &names_ext),
            first @ Ops::His { .. } => session.ops = first,
        }
    }

    /// Both halves are here: the partitions become one.
    fn merge(
        &mut self,
        node: &Atom,
        mine: Vec<Op>,
        his: Vec<Op>,
        his_known: Vec<NodeVsn>,
        names_ext: &[NameExt],
    ) {
        let Some(session) = self.sessions.remove(node) else { return };
        let Some(His { vsn, requester: Some(requester), .. }) = session.his else { return };
        let ops: Vec<Op> = mine.into_iter().chain(his).collect();
        let nodes: Vec<NodeVsn> = std::iter::once((node.clone(), 0))
            .chain(his_known.iter().cloned())
            .map(|(n, vsn)| if vsn == 0 { (n.clone(), self.node_vsn(&n)) } else { (n, vsn) })
            .collect();
        let old_members: Vec<Atom> = self.known.keys().cloned().collect();

        self.apply_ops(&ops, names_ext, &requester);
        self.wake_syncs(node);
        for (other, _) in &his_known {
            // We are one partition with them by now: they need not be told of the end of a session.
            self.pending.remove(other);
            self.end_session(other);
        }
        self.pending.remove(node);
        self.pre_connect.remove(node);
        let cast = Cast::NewNodes {
            node: self.config.node.clone(),
            ops,
            names_ext: names_ext.to_vec(),
            nodes: nodes.clone(),
            vsn,
            requester,
        };
        let told = old_members.into_iter().map(|member| (member, cast.clone())).collect();
        self.locker_cancel(node, &session.my_tag, told);
        self.add_to_known(nodes);
        self.synced.insert(node.clone());
        self.sync_others(his_known.into_iter().map(|(node, _)| node).collect());
    }

    /// A member of our partition has merged it with another.
    pub(super) fn new_nodes(
        &mut self,
        ops: &[Op],
        names_ext: &[NameExt],
        nodes: Vec<NodeVsn>,
        requester: &Term,
    ) {
        // Who tells it was a member when it took the lock here. If it is none any more the lock is gone, and its names
        // cannot come in: then its members must not either. OTP takes those.
        if !self.locks.authorizes(Authority::Requester(requester)) {
            return self.warn(Warning::LockLost { nodes: nodes.into_iter().map(|(node, _)| node).collect() });
        }
        self.settle_losses();
        let added = self.add_to_known(nodes);
        self.apply_ops(ops, names_ext, requester);
        self.sync_others(added);
    }

    /// Gives back those that are new. A node can be told of twice.
    fn add_to_known(&mut self, nodes: Vec<NodeVsn>) -> Vec<Atom> {
        let mut added = Vec::new();
        for (node, vsn) in nodes {
            if node == self.config.node {
                continue;
            }
            match self.known.get_mut(&node) {
                Some(known) if *known == 0 => *known = vsn,
                Some(_) => {}
                None => {
                    self.known.insert(node.clone(), vsn);
                    added.push(node);
                }
            }
        }
        added
    }

    /// Connects to members that others brought, and tells them that we have the same names.
    fn sync_others(&mut self, nodes: Vec<Atom>) {
        for node in nodes {
            if node == self.config.node || self.connecting.contains_key(&node) {
                continue;
            }
            if self.up.contains(&node) {
                self.send_in_sync(&node);
            } else {
                self.connecting.insert(node.clone(), self.config.connect_retries);
                self.out.push_back(Output::Connect { node });
            }
        }
    }

    fn send_in_sync(&mut self, node: &Atom) {
        let cast = Cast::InSync { node: self.config.node.clone() };
        self.send_cast(Role::NameServer, node, false, &cast);
    }

    pub(super) fn connect_result(&mut self, node: &Atom, ok: bool) {
        // Not there: it has come up or been forgotten meanwhile.
        let Some(retries) = self.connecting.get_mut(node) else { return };
        if ok {
            self.connecting.remove(node);
            self.monitor_unreached(node);
            self.send_in_sync(node);
        } else if *retries > 0 {
            *retries -= 1;
            self.out.push_back(Output::Connect { node: node.clone() });
        } else {
            let own = self.config.node.clone();
            self.warn(Warning::ConnectFailed { own, node: node.clone() });
            self.lose(node);
        }
    }

    pub(super) fn in_sync(&mut self, node: Atom) {
        if !self.up.contains(&node) {
            if self.config.grouped && self.early_in_sync.len() < PRE_CONNECT_MAX {
                self.early_in_sync.insert(node);
            }
            return;
        }
        // It is a member: it need not be told of the end of its session.
        self.pending.remove(&node);
        self.end_session(&node);
        self.wake_syncs(&node);
        self.synced.insert(node);
    }
}
