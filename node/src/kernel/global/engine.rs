//! The engine: its state, and who handles which event.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use etf::{Atom, Pid, Term};

use super::{
    acquire::{Gather, Replies},
    api::{
        Address, Answer, CallResult, Config, Error, Input, Output, QuestionId, Request, RequestId, Role,
        Warning,
    },
    backoff::Rng,
    locker::Locker,
    locks::Locks,
    names::Names,
    partition::{Lost, Waiting},
    registrar::{Op, Registrar},
    resolve,
    session::{PreConnect, Session},
    tables::Monitors,
    wire::{Call, Cast, Info, LockId, ParseError},
};

/// The most callers that wait in `sync` at a time.
pub(super) const SYNCS_MAX: usize = 10_000;

/// The `global` member of one node, without sockets, clock or tasks.
///
/// Every event is handed to [`handle`](Self::handle); then [`poll_output`](Self::poll_output) is emptied, in order,
/// and `handle` is called with [`Input::Timer`] when [`poll_timeout`](Self::poll_timeout) comes. One engine acts for
/// three processes, see [`Role`].
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) rng: Rng,
    /// Tags, operation ids and question ids: all only have to be new and growing.
    next_unique: i64,
    pub(super) out: VecDeque<Output>,

    pub(super) locks: Locks,
    pub(super) names: Names,
    pub(super) monitors: Monitors,
    pub(super) whereis_waiting: Vec<(Term, Pid, Term)>,

    /// Nodes with a visible connection.
    pub(super) up: BTreeSet<Atom>,
    /// The other members of our partition, with their versions.
    pub(super) known: BTreeMap<Atom, u32>,
    /// Those whose `init_connect` we accepted.
    pub(super) pending: BTreeMap<Atom, u32>,
    /// Those that we left out, until their connection is gone.
    pub(super) removing: BTreeSet<Atom>,
    /// Those known to have the same names.
    pub(super) synced: BTreeSet<Atom>,
    pub(super) sessions: BTreeMap<Atom, Session>,
    pub(super) pre_connect: BTreeMap<Atom, PreConnect>,
    /// Those of our group that said they are in sync before they were up for us.
    pub(super) early_in_sync: BTreeSet<Atom>,
    /// Members to connect to before `in_sync` can be sent, with the tries left.
    pub(super) connecting: BTreeMap<Atom, u32>,
    pub(super) lost: Lost,
    /// To be left out because another has lost them.
    pub(super) losses: Waiting,
    /// Asked to close their connections.
    pub(super) removals: Waiting,
    /// Members for one side only.
    pub(super) strangers: Waiting,
    /// Sessions to be acknowledged: those of this moment, and the others.
    pub(super) unacknowledged: Vec<Atom>,
    pub(super) acks: Waiting,
    pub(super) syncs: Vec<Sync>,
    pub(super) disconnects: Vec<Disconnecting>,

    pub(super) locker: Locker,
    pub(super) registrar: Registrar,
    locker_call: Option<Gather>,
    registrar_call: Option<Gather>,
}

/// Who gets an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplyTo {
    /// A request of the local API.
    Request(RequestId),
    /// A call to the name server.
    Caller { pid: Pid, tag: Term },
}

/// Somebody in `sync`.
#[derive(Debug)]
pub(super) struct Sync {
    reply_to: ReplyTo,
    waiting: BTreeSet<Atom>,
}

/// Somebody in `disconnect`.
#[derive(Debug)]
pub(super) struct Disconnecting {
    reply_to: ReplyTo,
    nodes: Vec<Atom>,
    waiting: BTreeSet<Atom>,
}

impl Engine {
    /// A member that knows no other node yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed);
        // Room for 2^62 more; not the same in each incarnation, so that a late message of the last one shows.
        #[expect(clippy::cast_possible_wrap, reason = "40 bits")]
        let next_unique = (rng.next() >> 24) as i64;
        Self {
            config,
            rng,
            next_unique,
            out: VecDeque::new(),
            locks: Locks::default(),
            names: Names::default(),
            monitors: Monitors::default(),
            whereis_waiting: Vec::new(),
            up: BTreeSet::new(),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
            removing: BTreeSet::new(),
            synced: BTreeSet::new(),
            sessions: BTreeMap::new(),
            pre_connect: BTreeMap::new(),
            early_in_sync: BTreeSet::new(),
            connecting: BTreeMap::new(),
            lost: Lost::default(),
            losses: Waiting::default(),
            removals: Waiting::default(),
            strangers: Waiting::default(),
            unacknowledged: Vec::new(),
            acks: Waiting::default(),
            syncs: Vec::new(),
            disconnects: Vec::new(),
            locker: Locker::default(),
            registrar: Registrar::default(),
            locker_call: None,
            registrar_call: None,
        }
    }

    /// Takes an event in. Only a request of the local API can fail; it then gets no other answer. What peers do
    /// wrong is an [`Output::Warn`].
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        match input {
            Input::NodeUp { node } => self.node_up(node),
            Input::NodeDown { node } => self.node_down(&node),
            Input::Call { from, tag, request } => self.call(from, tag, request),
            Input::Cast(term) => self.cast(term),
            Input::Info(term) => self.info(now, term),
            Input::LockerMessage(term) => self.locker_message(term),
            Input::RegistrarMessage(term) => self.unexpected(Role::Registrar, term),
            Input::CallReply { id, node, result } => self.call_reply(id, &node, result),
            Input::Down { id } => self.pid_down(id),
            Input::Alive { id, alive } => self.registrar_alive(id, alive),
            Input::ResolveResult { id, result } => self.resolve_result(id, result),
            Input::ConnectResult { node, ok } => self.connect_result(&node, ok),
            Input::Request { id, request } => self.request(id, request)?,
            Input::PrepareShutdown => {
                self.config.connect_all = false;
                self.config.prevent_overlapping_partitions = false;
            }
            Input::Timer => {}
        }
        self.drive(now);
        Ok(())
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to hand in [`Input::Timer`] if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = [&self.losses, &self.removals, &self.strangers, &self.acks].map(Waiting::wake);
        [self.locker.wake(), self.registrar.wake()].into_iter().chain(waiting).flatten().min()
    }

    /// The process of a name, from the local table alone (`global:whereis_name/1`). When it is one of this node, the
    /// caller should see that it still lives: the news of its death may be under way.
    #[must_use]
    pub fn whereis(&self, name: &Term) -> Option<&Pid> {
        self.names.get(name).map(|entry| &entry.name.pid)
    }

    /// All names (`global:registered_names/0`).
    pub fn registered_names(&self) -> impl Iterator<Item = &Term> {
        self.names.iter().map(|entry| &entry.name.name)
    }

    /// Whether the lock would be given here: what a [`Client`](super::client::Client) asks before it asks others.
    #[must_use]
    pub fn allows(&self, id: &LockId) -> bool {
        self.locks.allows(id)
    }

    /// The other members of this node's partition.
    pub fn known(&self) -> impl Iterator<Item = &Atom> {
        self.known.keys()
    }

    fn cast(&mut self, term: Term) {
        match Cast::parse(&term) {
            Ok(Cast::InitConnect { vsn, tag, node, locker }) => self.init_connect(node, vsn, tag, locker),
            Ok(Cast::LockSet { locker, set, tag, .. }) => self.lock_set(locker, set, tag),
            Ok(Cast::Exchange { node, names, tag }) => self.exchange(&node, names, &tag),
            Ok(Cast::Resolved { node, ops, known, names_ext, tag }) => {
                self.resolved(&node, ops, known, names_ext, &tag);
            }
            Ok(Cast::NewNodes { ops, names_ext, nodes, requester, .. }) => {
                self.new_nodes(&ops, &names_ext, nodes, &requester);
            }
            Ok(Cast::InSync { node }) => self.in_sync(node),
            Ok(Cast::AsyncDel) => {}
            Err(error) => self.bad_message(error, term),
        }
    }

    fn info(&mut self, now: Instant, term: Term) {
        match Info::parse(&term) {
            Ok(Info::InitConnectAck { node, your_tag, my_tag }) => {
                self.init_connect_ack(&node, &your_tag, my_tag);
            }
            Ok(Info::CancelConnect { node, tag }) => self.cancel_connect(&node, &tag),
            Ok(Info::LostConnection(lost)) => self.lost_connection(now, lost),
            Ok(Info::RemoveConnection { node }) => self.remove_connection(&node),
            Ok(Info::Whereis { name, from, tag }) => self.ask_whereis(name, from, tag),
            Err(error) => self.bad_message(error, term),
        }
    }

    /// Old peers, and those who do not know us, send `lock_set` straight to the locker.
    fn locker_message(&mut self, term: Term) {
        match Cast::parse(&term) {
            Ok(Cast::LockSet { locker, set, tag, .. }) => self.lock_set(locker, set, tag),
            _ => self.unexpected(Role::Locker, term),
        }
    }

    fn bad_message(&mut self, error: ParseError, term: Term) {
        match error {
            ParseError::Unexpected => self.unexpected(Role::NameServer, term),
            ParseError::Malformed { what, node } => {
                // Whoever waits for this message would wait with the whole partition locked.
                if let Some(node) = &node {
                    self.give_up(node);
                }
                self.warn(Warning::Malformed { what, node });
            }
        }
    }

    fn unexpected(&mut self, role: Role, term: Term) {
        self.warn(Warning::Unexpected { role, term });
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.out.push_back(Output::Warn(warning));
    }

    fn request(&mut self, id: RequestId, request: Request) -> Result<(), Error> {
        let op = match request {
            Request::Register { name, pid, method } => {
                Op::Register { name: resolve::name(name, pid, method)?, again: false }
            }
            Request::ReRegister { name, pid, method } => {
                Op::Register { name: resolve::name(name, pid, method)?, again: true }
            }
            Request::RegisterExternal { name, pid, method } => {
                Op::RegisterExternal { name: resolve::name(name, pid, method)? }
            }
            Request::Unregister { name } if self.names.get(&name).is_none() => {
                self.answer(&ReplyTo::Request(id), Answer::Ok);
                return Ok(());
            }
            Request::Unregister { name } => Op::Unregister { name },
            Request::Sync { nodes } => {
                if self.syncs.len() >= SYNCS_MAX {
                    return Err(Error::TooManyRequests { max: SYNCS_MAX });
                }
                self.sync(ReplyTo::Request(id), nodes);
                return Ok(());
            }
            Request::Disconnect => {
                self.disconnect_all(ReplyTo::Request(id));
                return Ok(());
            }
        };
        self.registrar_enqueue(id, op)
    }

    pub(super) fn answer(&mut self, to: &ReplyTo, answer: Answer) {
        self.out.push_back(match to {
            ReplyTo::Request(id) => Output::Answer { id: *id, answer },
            ReplyTo::Caller { pid, tag } => {
                let term = match answer {
                    Answer::Yes => Term::atom("yes"),
                    Answer::No => Term::atom("no"),
                    Answer::Ok => Term::atom("ok"),
                    Answer::Nodes(nodes) => Term::List(nodes.into_iter().map(Term::Atom).collect()),
                };
                Output::Reply { to: pid.clone(), tag: tag.clone(), term }
            }
        });
    }

    /// Waits until each of these nodes is in sync or gone.
    pub(super) fn sync(&mut self, reply_to: ReplyTo, nodes: Vec<Atom>) {
        let waiting: BTreeSet<Atom> =
            nodes.into_iter().filter(|n| self.up.contains(n) && !self.synced.contains(n)).collect();
        if waiting.is_empty() {
            self.answer(&reply_to, Answer::Ok);
        } else if self.syncs.len() >= SYNCS_MAX {
            self.warn(Warning::Full { what: "the queue of sync", max: SYNCS_MAX });
        } else {
            self.syncs.push(Sync { reply_to, waiting });
        }
    }

    /// A node is in sync, or gone: those who wait for it go on.
    pub(super) fn wake_syncs(&mut self, node: &Atom) {
        for mut sync in std::mem::take(&mut self.syncs) {
            sync.waiting.remove(node);
            if sync.waiting.is_empty() {
                self.answer(&sync.reply_to, Answer::Ok);
            } else {
                self.syncs.push(sync);
            }
        }
    }

    /// Drops all visible connections at once, and tells nobody of a loss.
    pub(super) fn disconnect_all(&mut self, reply_to: ReplyTo) {
        let nodes: Vec<Atom> = self.up.iter().cloned().collect();
        if nodes.is_empty() {
            self.answer(&reply_to, Answer::Nodes(nodes));
            return;
        }
        for node in &nodes {
            self.removing.insert(node.clone());
            self.forget(node);
            self.out.push_back(Output::Disconnect { node: node.clone() });
        }
        let waiting = nodes.iter().cloned().collect();
        self.disconnects.push(Disconnecting { reply_to, nodes, waiting });
    }

    /// A connection is gone: those who asked for that are answered.
    pub(super) fn wake_disconnects(&mut self, node: &Atom) {
        for mut disconnecting in std::mem::take(&mut self.disconnects) {
            disconnecting.waiting.remove(node);
            if disconnecting.waiting.is_empty() {
                self.answer(&disconnecting.reply_to, Answer::Nodes(disconnecting.nodes));
            } else {
                self.disconnects.push(disconnecting);
            }
        }
    }

    /// A cast to another name server. Those of a session mean nothing on another connection, so they open none.
    pub(super) fn send_cast(&mut self, from: Role, node: &Atom, connect: bool, cast: &Cast) {
        let term = cast.to_cast(self.node_vsn(node));
        self.out.push_back(Output::Send { from, to: Address::NameServer(node.clone()), connect, term });
    }

    /// A message to another name server, if its node is connected.
    pub(super) fn send_info(&mut self, node: &Atom, info: &Info) {
        let to = Address::NameServer(node.clone());
        self.out.push_back(Output::Send { from: Role::NameServer, to, connect: false, term: info.to_term() });
    }

    /// The protocol version of a node; 0 if not known.
    pub(super) fn node_vsn(&self, node: &Atom) -> u32 {
        if node == &self.config.node {
            return self.config.vsn;
        }
        self.known.get(node).or_else(|| self.pending.get(node)).copied().unwrap_or(0)
    }

    pub(super) fn next_unique(&mut self) -> i64 {
        self.next_unique += 1;
        self.next_unique
    }

    pub(super) fn next_question(&mut self) -> QuestionId {
        self.next_unique().unsigned_abs()
    }

    /// Calls the name servers of these nodes as the locker or the registrar. This node's own answer is there at
    /// once; when it is the only one, [`drive`](Self::drive) goes on with it.
    pub(super) fn call_as(&mut self, role: Role, nodes: Vec<Atom>, call: &Call) {
        let id = self.next_question();
        let mut gather = Gather::new(id, nodes);
        let own = self.config.node.clone();
        if gather.waiting().contains(&own) {
            let from = match role {
                Role::NameServer => self.config.name_server.clone(),
                Role::Locker => self.config.locker.clone(),
                Role::Registrar => self.config.registrar.clone(),
            };
            let reply = self.serve(&from, call);
            gather.answer(&own, Some(reply));
        }
        // A member learnt from others may not be connected yet. One that was and is not is no member of ours any more.
        let (coming, others): (Vec<Atom>, Vec<Atom>) =
            gather.waiting().iter().cloned().partition(|node| self.is_coming(node));
        for (nodes, connect) in [(others, false), (coming, true)] {
            if !nodes.is_empty() {
                let request = call.to_term();
                self.out.push_back(Output::MultiCall { from: role, id, nodes, connect, request });
            }
        }
        let slot = if role == Role::Locker { &mut self.locker_call } else { &mut self.registrar_call };
        debug_assert!(slot.is_none(), "each process makes one call at a time");
        *slot = Some(gather);
    }

    /// Whether it is a member that there is no connection to yet.
    pub(super) fn is_coming(&self, node: &Atom) -> bool {
        self.known.contains_key(node) && !self.up.contains(node)
    }

    fn call_reply(&mut self, id: QuestionId, node: &Atom, result: CallResult) {
        let reply = match result {
            CallResult::Reply(term) => Some(term),
            CallResult::Down => None,
        };
        let calls = [&mut self.locker_call, &mut self.registrar_call];
        if let Some(gather) = calls.into_iter().flatten().find(|gather| gather.id == id) {
            gather.answer(node, reply);
        }
    }

    /// Goes on as far as possible without new events.
    fn drive(&mut self, now: Instant) {
        self.losses_due(now);
        self.strangers_due(now);
        self.acknowledge(now);
        self.drive_processes(now);
        // All of these leave nodes out.
        self.removals_due(now);
    }

    /// The same for the locker and the registrar.
    fn drive_processes(&mut self, now: Instant) {
        loop {
            if let Some(replies) = take_done(&mut self.locker_call) {
                self.locker_replies(replies);
            } else if let Some(replies) = take_done(&mut self.registrar_call) {
                self.registrar_replies(now, replies);
            } else if !self.locker_next(now) && !self.registrar_next(now) {
                return;
            }
        }
    }

    /// Whether no process of ours has anything under way.
    #[cfg(test)]
    pub(super) fn is_quiet(&self) -> bool {
        self.locker_call.is_none() && self.registrar_call.is_none() && self.poll_timeout().is_none()
    }
}

fn take_done(call: &mut Option<Gather>) -> Option<Replies> {
    if !call.as_ref()?.is_done() {
        return None;
    }
    call.take().map(Gather::into_replies)
}
