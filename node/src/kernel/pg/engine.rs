//! One scope as a value: what other scopes and this node's programs say goes in, what is to be said comes out.
//!
//! OTP's scopes end when they are told that somebody leaves a group who never joined it, as far as they know. So what
//! a peer is told is kept to what it must know already: nothing before all that we have was sent to it, and after
//! that each change once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use etf::{Atom, Pid, Reference, Term, tuple};

use super::{
    members::Members,
    wire::{Change, Groups, Said, pid_list},
};

/// How many memberships one node may have in a scope. A membership takes some 100 bytes with its keys, and what a peer
/// says must not take the memory of this node. What is more is not taken, which is logged.
pub(super) const MEMBERSHIPS_MAX: usize = 1 << 20;

/// How many scope processes of one node may be known at once. It is one; two for a moment, where the scope was started
/// anew and the end of the old one is not told yet.
const PEERS_PER_NODE_MAX: usize = 4;

/// Stands for a monitor.
pub(super) type MonitorId = u64;

/// What comes in.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// The scope has started; these nodes are connected and visible.
    Started { nodes: Vec<Atom> },
    /// A visible node is connected.
    NodeUp { node: Atom },
    /// A message.
    Message(Term),
    /// What came as a cast.
    Cast(Term),
    /// What is monitored has ended, or its node is lost.
    Down(MonitorId),
}

/// What goes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    /// To the scope of this name on a node, if that is connected.
    Discover { node: Atom, term: Term },
    /// To a process, if its node is connected.
    Send { to: Pid, term: Term },
    /// Say when this process ends.
    Monitor { id: MonitorId, pid: Pid },
    /// That is not wanted any more.
    Demonitor(MonitorId),
}

/// What a program of this node wants.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// Processes of this node join and leave groups.
    Update(Vec<Change>),
    /// The process is to hear what happens in a group, or in all.
    Subscribe { reference: Reference, pid: Pid, group: Option<Term> },
    /// Not any more.
    Unsubscribe(Reference),
}

/// What it is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// That was done. Whether anybody left who was to.
    Updated { left: bool },
    /// A process is none of this node.
    NoLocal(Pid),
    /// There would be more than [`MEMBERSHIPS_MAX`].
    Full,
    /// What there is now, of the group or of all.
    Subscribed { reference: Reference, now: Groups },
    /// Whether there was such a subscription.
    Unsubscribed(bool),
}

/// A scope of another node.
#[derive(Debug)]
struct Peer {
    /// Whether it was sent all that we have, and so is told of changes.
    synced: bool,
    groups: BTreeSet<Term>,
    memberships: usize,
}

/// A process of this node that is in some group.
#[derive(Debug)]
struct Local {
    monitor: MonitorId,
    /// How often it is in each.
    groups: BTreeMap<Term, usize>,
}

/// Who is in a group, by who has said so. There is no empty one.
#[derive(Debug, Default)]
struct Group {
    local: Members,
    remote: BTreeMap<Pid, Members>,
}

#[derive(Debug)]
struct Subscriber {
    pid: Pid,
    monitor: MonitorId,
    group: Option<Term>,
}

/// Whose end a monitor tells.
#[derive(Debug)]
enum Watched {
    Member(Pid),
    Peer(Pid),
    Subscriber(Reference),
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Join,
    Leave,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Engine {
    /// The scope's own process.
    own: Pid,
    local: BTreeMap<Pid, Local>,
    local_memberships: usize,
    peers: BTreeMap<Pid, Peer>,
    groups: BTreeMap<Term, Group>,
    subscribers: BTreeMap<Reference, Subscriber>,
    /// Who hears of one group; of all is `None`.
    listening: BTreeMap<Option<Term>, BTreeSet<Reference>>,
    watched: BTreeMap<MonitorId, Watched>,
    monitors: MonitorId,
    outputs: VecDeque<Output>,
}

impl Engine {
    pub(super) fn new(own: Pid) -> Self {
        Self {
            own,
            local: BTreeMap::new(),
            local_memberships: 0,
            peers: BTreeMap::new(),
            groups: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            listening: BTreeMap::new(),
            watched: BTreeMap::new(),
            monitors: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what has happened. There is nothing that waits for a time.
    pub(super) fn handle(&mut self, input: Input) {
        match input {
            Input::Started { nodes } => nodes.into_iter().for_each(|node| self.discover(node)),
            Input::NodeUp { node } => self.discover(node),
            Input::Message(message) => self.said(Said::parse(&message), &message),
            Input::Cast(cast) => self.said(Said::parse_cast(&cast), &cast),
            Input::Down(id) => match self.watched.remove(&id) {
                Some(Watched::Member(pid)) => self.member_down(&pid),
                Some(Watched::Peer(peer)) => self.peer_down(&peer),
                Some(Watched::Subscriber(reference)) => {
                    self.take_subscriber(&reference);
                }
                None => {}
            },
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Does what a program of this node wants.
    pub(super) fn request(&mut self, request: Request) -> Answer {
        match request {
            Request::Update(changes) => self.update(changes),
            Request::Subscribe { reference, pid, group } => self.subscribe(reference, pid, group),
            Request::Unsubscribe(reference) => match self.take_subscriber(&reference) {
                Some(subscriber) => {
                    self.unwatch(subscriber.monitor);
                    Answer::Unsubscribed(true)
                }
                None => Answer::Unsubscribed(false),
            },
        }
    }

    /// Everybody in a group.
    pub(super) fn members(&self, group: &Term) -> Vec<Pid> {
        self.groups.get(group).map(Group::all).unwrap_or_default()
    }

    /// Those of this node.
    pub(super) fn local_members(&self, group: &Term) -> Vec<Pid> {
        self.groups.get(group).map(|group| group.local.iter().cloned().collect()).unwrap_or_default()
    }

    /// The groups that somebody is in.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Term> {
        self.groups.keys()
    }

    /// The groups that a process of this node is in.
    pub(super) fn local_groups(&self) -> impl Iterator<Item = &Term> {
        self.groups.iter().filter(|(_, group)| !group.local.is_empty()).map(|(name, _)| name)
    }

    // --- Other scopes -------------------------------------------------------------------------------------

    fn discover(&mut self, node: Atom) {
        let term = Said::Discover(self.own.clone()).into_term();
        self.outputs.push_back(Output::Discover { node, term });
    }

    fn said(&mut self, said: Option<Said>, message: &Term) {
        match said {
            Some(Said::Discover(peer)) => self.discovered(peer),
            Some(Said::Sync(peer, groups)) => self.sync(peer, groups),
            Some(Said::Join(peer, group, pids)) => {
                // One that we do not know is not connected any more, and will say it again when it is.
                if self.peers.contains_key(&peer) {
                    self.remote_join(&peer, &group, &pids);
                }
            }
            Some(Said::Leave(peer, pids, groups)) => {
                for group in groups {
                    self.remote_leave(&peer, &group, &pids);
                }
            }
            Some(Said::Update(peer, changes)) => {
                if self.peers.contains_key(&peer) {
                    for Change { group, join, leave } in changes {
                        self.remote_join(&peer, &group, &join);
                        self.remote_leave(&peer, &group, &leave);
                    }
                }
            }
            None => tracing::debug!(%message, "a scope of pg does not know this message"),
        }
    }

    fn discovered(&mut self, peer: Pid) {
        if peer == self.own {
            return;
        }
        let known = self.peers.contains_key(&peer);
        if !known && !self.meet(&peer) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.synced = true;
        }
        let mut groups: BTreeMap<&Term, Vec<Pid>> = BTreeMap::new();
        for (pid, local) in &self.local {
            for (group, times) in &local.groups {
                groups.entry(group).or_default().extend(std::iter::repeat_n(pid, *times).cloned());
            }
        }
        let groups: Groups = groups.into_iter().map(|(group, pids)| (group.clone(), pids)).collect();
        let sync = Said::Sync(self.own.clone(), groups).into_term();
        self.outputs.push_back(Output::Send { to: peer.clone(), term: sync });
        if !known {
            let term = Said::Discover(self.own.clone()).into_term();
            self.outputs.push_back(Output::Send { to: peer, term });
        }
    }

    /// Begins to know a scope. False if there are too many of its node.
    fn meet(&mut self, peer: &Pid) -> bool {
        if self.peers.keys().filter(|other| other.node() == peer.node()).count() >= PEERS_PER_NODE_MAX {
            tracing::warn!(?peer, "a node has too many scopes of one name: this one is not known");
            return false;
        }
        self.watch(peer.clone(), Watched::Peer(peer.clone()));
        let new = Peer { synced: false, groups: BTreeSet::new(), memberships: 0 };
        self.peers.insert(peer.clone(), new);
        true
    }

    /// What the peer says is all there is of it.
    fn sync(&mut self, peer: Pid, groups: Groups) {
        if peer == self.own || (!self.peers.contains_key(&peer) && !self.meet(&peer)) {
            return;
        }
        let mut now: BTreeMap<Term, Members> = BTreeMap::new();
        for (group, pids) in groups {
            let members = now.entry(group).or_default();
            pids.iter().for_each(|pid| members.add(pid));
        }
        let before = self.peers.get(&peer).map(|peer| peer.groups.clone()).unwrap_or_default();
        for group in before {
            let members = self.groups.get(&group).and_then(|group| group.remote.get(&peer));
            let gone = members.map(|members| members.without(now.get(&group).unwrap_or(&Members::default())));
            self.remote_leave(&peer, &group, &gone.unwrap_or_default());
        }
        for (group, members) in now {
            let before = self.groups.get(&group).and_then(|group| group.remote.get(&peer));
            let new = members.without(before.unwrap_or(&Members::default()));
            self.remote_join(&peer, &group, &new);
        }
    }

    fn remote_join(&mut self, from: &Pid, name: &Term, pids: &[Pid]) {
        let Some(peer) = self.peers.get_mut(from).filter(|_| !pids.is_empty()) else { return };
        if peer.memberships + pids.len() > MEMBERSHIPS_MAX {
            tracing::warn!(node = %from.node(), "a scope has too many members: some are not taken");
            return;
        }
        peer.memberships += pids.len();
        peer.groups.insert(name.clone());
        let members = self.groups.entry(name.clone()).or_default().remote.entry(from.clone()).or_default();
        pids.iter().for_each(|pid| members.add(pid));
        self.notify(Action::Join, name, pids.to_vec());
    }

    fn remote_leave(&mut self, from: &Pid, name: &Term, pids: &[Pid]) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let Some(group) = self.groups.get_mut(name) else { return };
        let Some(members) = group.remote.get_mut(from) else { return };
        let left: Vec<Pid> = pids.iter().filter(|pid| members.remove(pid)).cloned().collect();
        peer.memberships -= left.len();
        if members.is_empty() {
            peer.groups.remove(name);
            group.remote.remove(from);
        }
        self.drop_if_empty(name);
        self.notify(Action::Leave, name, left);
    }

    fn peer_down(&mut self, from: &Pid) {
        let Some(peer) = self.peers.remove(from) else { return };
        for name in peer.groups {
            let members = self.groups.get_mut(&name).and_then(|group| group.remote.remove(from));
            self.drop_if_empty(&name);
            let left = members.map(|members| members.iter().cloned().collect());
            self.notify(Action::Leave, &name, left.unwrap_or_default());
        }
    }

    fn broadcast(&mut self, said: Said) {
        let term = said.into_term();
        let synced = self.peers.iter().filter(|(_, peer)| peer.synced).map(|(pid, _)| pid);
        self.outputs.extend(synced.map(|to| Output::Send { to: to.clone(), term: term.clone() }));
    }

    // --- This node's processes ----------------------------------------------------------------------------

    fn update(&mut self, changes: Vec<Change>) -> Answer {
        let pids = || changes.iter().flat_map(|change| change.join.iter().chain(&change.leave));
        if let Some(pid) = pids().find(|pid| pid.node() != self.own.node()) {
            return Answer::NoLocal(pid.clone());
        }
        let joins: usize = changes.iter().map(|change| change.join.len()).sum();
        if self.local_memberships.saturating_add(joins) > MEMBERSHIPS_MAX {
            return Answer::Full;
        }
        let mut any_left = false;
        for Change { group, join, leave } in changes {
            self.join(&group, join);
            any_left |= self.leave(&group, &leave);
        }
        Answer::Updated { left: any_left }
    }

    fn join(&mut self, name: &Term, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        for pid in &pids {
            if !self.local.contains_key(pid) {
                let monitor = self.watch(pid.clone(), Watched::Member(pid.clone()));
                self.local.insert(pid.clone(), Local { monitor, groups: BTreeMap::new() });
            }
            let groups = self.local.get_mut(pid).map(|local| &mut local.groups);
            *groups.expect("it was put there").entry(name.clone()).or_default() += 1;
            self.groups.entry(name.clone()).or_default().local.add(pid);
        }
        self.local_memberships += pids.len();
        self.broadcast(Said::Join(self.own.clone(), name.clone(), pids.clone()));
        self.notify(Action::Join, name, pids);
    }

    /// Whether anybody left.
    fn leave(&mut self, name: &Term, pids: &[Pid]) -> bool {
        let left: Vec<Pid> = pids.iter().filter(|pid| self.leave_one(name, pid)).cloned().collect();
        if left.is_empty() {
            return false;
        }
        self.drop_if_empty(name);
        self.broadcast(Said::Leave(self.own.clone(), left.clone(), vec![name.clone()]));
        self.notify(Action::Leave, name, left);
        true
    }

    fn leave_one(&mut self, name: &Term, pid: &Pid) -> bool {
        let Some(local) = self.local.get_mut(pid) else { return false };
        match local.groups.get_mut(name) {
            None => return false,
            Some(1) => drop(local.groups.remove(name)),
            Some(times) => *times -= 1,
        }
        let monitor = local.groups.is_empty().then_some(local.monitor);
        if let Some(monitor) = monitor {
            self.local.remove(pid);
            self.unwatch(monitor);
        }
        self.local_memberships -= 1;
        self.groups.get_mut(name).is_some_and(|group| group.local.remove(pid))
    }

    /// A member has ended: it leaves all its groups at once, each as often as it is in it.
    fn member_down(&mut self, pid: &Pid) {
        let Some(local) = self.local.remove(pid) else { return };
        let mut all = Vec::new();
        for (name, times) in local.groups {
            self.local_memberships -= times;
            for _ in 0..times {
                self.groups.get_mut(&name).map(|group| group.local.remove(pid));
            }
            self.drop_if_empty(&name);
            self.notify(Action::Leave, &name, vec![pid.clone(); times]);
            all.extend(std::iter::repeat_n(name, times));
        }
        self.broadcast(Said::Leave(self.own.clone(), vec![pid.clone()], all));
    }

    fn drop_if_empty(&mut self, name: &Term) {
        if self.groups.get(name).is_some_and(|group| group.local.is_empty() && group.remote.is_empty()) {
            self.groups.remove(name);
        }
    }

    // --- Subscribers --------------------------------------------------------------------------------------

    fn subscribe(&mut self, reference: Reference, pid: Pid, group: Option<Term>) -> Answer {
        let now = match &group {
            Some(group) => vec![(group.clone(), self.members(group))],
            None => self.groups.iter().map(|(name, group)| (name.clone(), group.all())).collect(),
        };
        let monitor = self.watch(pid.clone(), Watched::Subscriber(reference.clone()));
        self.listening.entry(group.clone()).or_default().insert(reference.clone());
        self.subscribers.insert(reference.clone(), Subscriber { pid, monitor, group });
        Answer::Subscribed { reference, now }
    }

    fn take_subscriber(&mut self, reference: &Reference) -> Option<Subscriber> {
        let subscriber = self.subscribers.remove(reference)?;
        if let Some(others) = self.listening.get_mut(&subscriber.group) {
            others.remove(reference);
            if others.is_empty() {
                self.listening.remove(&subscriber.group);
            }
        }
        Some(subscriber)
    }

    fn notify(&mut self, action: Action, group: &Term, pids: Vec<Pid>) {
        if pids.is_empty() || self.listening.is_empty() {
            return;
        }
        let (pids, action) = (pid_list(pids), Term::atom(action.as_str()));
        let of_all = self.listening.get(&None).into_iter().flatten();
        let of_one = self.listening.get(&Some(group.clone())).into_iter().flatten();
        for reference in of_all.chain(of_one) {
            let Some(subscriber) = self.subscribers.get(reference) else { continue };
            let term = tuple!(reference, action.clone(), group.clone(), pids.clone());
            self.outputs.push_back(Output::Send { to: subscriber.pid.clone(), term });
        }
    }

    // --- Monitors -----------------------------------------------------------------------------------------

    fn watch(&mut self, pid: Pid, watched: Watched) -> MonitorId {
        self.monitors += 1;
        self.watched.insert(self.monitors, watched);
        self.outputs.push_back(Output::Monitor { id: self.monitors, pid });
        self.monitors
    }

    fn unwatch(&mut self, id: MonitorId) {
        self.watched.remove(&id);
        self.outputs.push_back(Output::Demonitor(id));
    }
}

impl Group {
    fn all(&self) -> Vec<Pid> {
        let remote = self.remote.values().flat_map(Members::iter);
        self.local.iter().chain(remote).cloned().collect()
    }
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
        }
    }
}
