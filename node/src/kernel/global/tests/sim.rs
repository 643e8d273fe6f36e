//! A cluster of engines in virtual time: links that delay but keep their order, nodes that come, go and come again.
//! One seed makes one run.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
    time::{Duration, Instant},
};

use etf::{Atom, Pid, Term};

use super::super::{
    api::{
        Address, Answer, CallResult, Config, Input, Output, QuestionId, Request, RequestId, ResolveResult,
        Role, Warning,
    },
    backoff::Rng,
    client::{self, Client, Outcome, Retries},
    engine::Engine,
    resolve::{Effect, Plan, plan},
    wire::LockId,
};

use super::noise::assert_well_formed;

pub(super) type NodeNo = usize;

/// A connection; the greater, the later.
type Conn = u64;

#[derive(Debug, Clone)]
enum Packet {
    Up,
    Down(Conn),
    Send { to: Address, term: Term },
    Call { key: i64, from: Pid, request: Term },
    Reply { key: i64, result: CallResult },
    Monitor { id: QuestionId, pid: Pid },
    Demonitor { id: QuestionId },
    Died { id: QuestionId },
    Kill(Pid),
    Resolve { key: i64, method: Term, name: Term, pid1: Pid, pid2: Pid },
    Resolved { key: i64, result: ResolveResult },
}

#[derive(Debug)]
enum Event {
    Packet {
        from: NodeNo,
        to: NodeNo,
        incarnations: (u32, u32),
        conn: Conn,
        packet: Packet,
    },
    /// Something of a node itself.
    Local {
        node: NodeNo,
        incarnation: u32,
        input: Input,
    },
    ClientTimer {
        node: NodeNo,
        incarnation: u32,
        client: usize,
    },
    Dialled {
        dial: u64,
    },
}

/// An attempt to connect.
#[derive(Debug)]
struct Dial {
    from: NodeNo,
    to: NodeNo,
    incarnation: u32,
    /// By the engine, which is to be answered.
    asked: bool,
}

struct Queued(Instant, u64, Event);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Whose call it is.
#[derive(Debug, Clone)]
enum Caller {
    Engine { id: QuestionId },
    Client { client: usize, id: QuestionId },
}

pub(super) struct Node {
    pub(super) name: Atom,
    pub(super) engine: Engine,
    pub(super) alive: bool,
    pub(super) incarnation: u32,
    next_pid: u32,
    pub(super) processes: HashSet<Pid>,
    /// Who monitors our processes.
    watchers: Vec<(NodeNo, QuestionId, Pid)>,
    /// What we monitor elsewhere, and over which connection.
    monitors: BTreeMap<QuestionId, (NodeNo, Conn)>,
    calls: BTreeMap<i64, (NodeNo, Conn, Caller)>,
    resolves: BTreeMap<i64, (NodeNo, Conn, QuestionId)>,
    pub(super) answers: BTreeMap<RequestId, Answer>,
    pub(super) warnings: Vec<Warning>,
    pub(super) messages: Vec<(Pid, Term)>,
    clients: Vec<(Client, Pid, Option<Outcome>)>,
    timer: Option<Instant>,
}

pub(super) struct World {
    start: Instant,
    pub(super) now: Instant,
    pub(super) rng: Rng,
    events: BinaryHeap<Reverse<Queued>>,
    seq: u64,
    pub(super) nodes: Vec<Node>,
    conns: BTreeMap<(NodeNo, NodeNo), Conn>,
    next_conn: Conn,
    next_key: i64,
    dials: BTreeMap<u64, Dial>,
    /// Packets that wait for a connection.
    waiting: HashMap<(NodeNo, NodeNo), Vec<Packet>>,
    /// When the last packet of a link arrives.
    last: HashMap<(NodeNo, NodeNo), Instant>,
    /// What was under way when this connection of a link broke is lost.
    broken: HashMap<(NodeNo, NodeNo), Conn>,
    /// Pairs that cannot connect.
    pub(super) blocked: BTreeSet<(NodeNo, NodeNo)>,
    pub(super) delay_ms_max: u64,
    next_request: RequestId,
    configure: fn(&mut Config, NodeNo),
}

#[expect(clippy::disallowed_methods, reason = "an origin for virtual time; any will do")]
pub(super) fn epoch() -> Instant {
    Instant::now()
}

pub(super) fn node_name(no: NodeNo) -> Atom {
    Atom::from(format!("{}@h{}", char::from(b'a' + u8::try_from(no).unwrap()), no % 2).as_str())
}

fn pair(a: NodeNo, b: NodeNo) -> (NodeNo, NodeNo) {
    (a.min(b), a.max(b))
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize) -> Self {
        Self::configured(seed, nodes, |_, _| {})
    }

    pub(super) fn configured(seed: u64, nodes: usize, configure: fn(&mut Config, NodeNo)) -> Self {
        let now = epoch();
        let mut world = Self {
            start: now,
            now,
            rng: Rng::new(seed),
            events: BinaryHeap::new(),
            seq: 0,
            nodes: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            next_key: 1,
            dials: BTreeMap::new(),
            waiting: HashMap::new(),
            last: HashMap::new(),
            broken: HashMap::new(),
            blocked: BTreeSet::new(),
            delay_ms_max: 20,
            next_request: 1,
            configure,
        };
        for no in 0..nodes {
            let node = world.boot(no, 1);
            world.nodes.push(node);
        }
        world
    }

    fn boot(&mut self, no: NodeNo, incarnation: u32) -> Node {
        let name = node_name(no);
        // Numbers that do not follow the order of the nodes.
        let base = 10 + u32::try_from(self.rng.below(50)).unwrap();
        let pid = |id| Pid::new(name.clone(), id, 0, incarnation);
        let mut config = Config::new(name.clone(), pid(base), pid(base + 1), pid(base + 2));
        config.seed = self.rng.next();
        config.creation_ext = i64::try_from(self.rng.next() >> 8).unwrap();
        (self.configure)(&mut config, no);
        Node {
            name: name.clone(),
            engine: Engine::new(config),
            alive: true,
            incarnation,
            next_pid: 100,
            processes: HashSet::new(),
            watchers: Vec::new(),
            monitors: BTreeMap::new(),
            calls: BTreeMap::new(),
            resolves: BTreeMap::new(),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            messages: Vec::new(),
            clients: Vec::new(),
            timer: None,
        }
    }

    /// The virtual time that has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(super) fn no(&self, name: &Atom) -> Option<NodeNo> {
        self.nodes.iter().position(|node| &node.name == name)
    }

    pub(super) fn is_connected(&self, a: NodeNo, b: NodeNo) -> bool {
        self.conns.contains_key(&pair(a, b))
    }

    pub(super) fn spawn(&mut self, no: NodeNo) -> Pid {
        let node = &mut self.nodes[no];
        node.next_pid += 1;
        let pid = Pid::new(node.name.clone(), node.next_pid, 0, node.incarnation);
        node.processes.insert(pid.clone());
        pid
    }

    pub(super) fn is_alive(&self, pid: &Pid) -> bool {
        self.no(pid.node()).is_some_and(|no| {
            let node = &self.nodes[no];
            node.alive && (node.processes.contains(pid) || self.is_role(no, pid))
        })
    }

    fn is_role(&self, no: NodeNo, pid: &Pid) -> bool {
        let config = &self.nodes[no].engine.config;
        [&config.name_server, &config.locker, &config.registrar].contains(&pid)
    }

    pub(super) fn kill(&mut self, pid: &Pid) {
        let Some(no) = self.no(pid.node()) else { return };
        if !self.nodes[no].processes.remove(pid) {
            return;
        }
        let (dead, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.nodes[no].watchers)
            .into_iter()
            .partition(|(_, _, watched)| watched == pid);
        self.nodes[no].watchers = rest;
        for (watcher, id, _) in dead {
            if watcher == no {
                self.local(no, 1, Input::Down { id });
            } else {
                self.packet(no, watcher, Packet::Died { id });
            }
        }
    }

    pub(super) fn connect(&mut self, a: NodeNo, b: NodeNo) {
        let possible = self.nodes[a].alive && self.nodes[b].alive && !self.blocked.contains(&pair(a, b));
        if a == b || !possible || self.is_connected(a, b) {
            return;
        }
        self.conns.insert(pair(a, b), self.next_conn);
        self.next_conn += 1;
        for (from, to) in [(a, b), (b, a)] {
            self.packet(from, to, Packet::Up);
        }
        for (from, to) in [(a, b), (b, a)] {
            for packet in self.waiting.remove(&(from, to)).unwrap_or_default() {
                self.post(from, to, packet);
            }
        }
        // Attempts of both sides end with the one that succeeded.
        let ended: Vec<u64> = self
            .dials
            .iter()
            .filter(|(_, dial)| pair(dial.from, dial.to) == pair(a, b))
            .map(|(id, _)| *id)
            .collect();
        for dial in ended.iter().filter_map(|id| self.dials.remove(id)).collect::<Vec<_>>() {
            self.dialled(dial);
        }
    }

    pub(super) fn cut(&mut self, a: NodeNo, b: NodeNo) {
        if let Some(conn) = self.conns.remove(&pair(a, b)) {
            for (from, to) in [(a, b), (b, a)] {
                if self.rng.below(2) == 0 {
                    self.broken.insert((from, to), conn);
                }
                self.arrive(from, to, conn, Packet::Down(conn));
            }
        }
    }

    pub(super) fn cut_all(&mut self) {
        for (a, b) in self.conns.keys().copied().collect::<Vec<_>>() {
            self.cut(a, b);
        }
    }

    pub(super) fn crash(&mut self, no: NodeNo) {
        for other in 0..self.nodes.len() {
            self.cut(no, other);
            self.waiting.remove(&(no, other));
        }
        self.nodes[no].alive = false;
        self.nodes[no].processes.clear();
    }

    pub(super) fn restart(&mut self, no: NodeNo) {
        let incarnation = self.nodes[no].incarnation + 1;
        self.nodes[no] = self.boot(no, incarnation);
    }

    pub(super) fn request(&mut self, no: NodeNo, request: Request) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        self.handle(no, Input::Request { id, request });
        id
    }

    pub(super) fn register(&mut self, no: NodeNo, name: &'static str) -> Pid {
        self.register_with(no, name, None)
    }

    pub(super) fn register_with(&mut self, no: NodeNo, name: &'static str, method: Option<Term>) -> Pid {
        let pid = self.spawn(no);
        self.request(no, Request::Register { name: Term::atom(name), pid: pid.clone(), method });
        pid
    }

    pub(super) fn set_lock(
        &mut self,
        no: NodeNo,
        id: LockId,
        nodes: &[NodeNo],
        retries: Retries,
        trans: bool,
    ) -> (usize, Pid) {
        let nodes = nodes.iter().map(|n| node_name(*n)).collect();
        let own = node_name(no);
        let seed = self.rng.next();
        let client = if trans {
            Client::trans(id, nodes, retries, own, seed)
        } else {
            Client::set_lock(id, nodes, retries, own, seed)
        };
        let pid = self.spawn(no);
        self.nodes[no].clients.push((client, pid.clone(), None));
        let at = self.nodes[no].clients.len() - 1;
        self.drive_client(no, at);
        (at, pid)
    }

    pub(super) fn del_lock(&mut self, no: NodeNo, id: LockId, nodes: &[NodeNo], pid: &Pid) -> usize {
        let client = Client::del_lock(id, nodes.iter().map(|n| node_name(*n)).collect());
        self.nodes[no].clients.push((client, pid.clone(), None));
        let at = self.nodes[no].clients.len() - 1;
        self.drive_client(no, at);
        at
    }

    pub(super) fn outcome(&self, no: NodeNo, client: usize) -> Option<Outcome> {
        self.nodes[no].clients[client].2
    }

    /// Whoever has got a lock ends, and with him the lock.
    pub(super) fn end_holders(&mut self) {
        let done = |clients: &[(Client, Pid, Option<Outcome>)]| {
            clients
                .iter()
                .filter(|(_, _, outcome)| outcome.is_some())
                .map(|(_, pid, _)| pid.clone())
                .collect()
        };
        let pids: Vec<Vec<Pid>> = self.nodes.iter().map(|node| done(&node.clients)).collect();
        for pid in pids.concat() {
            self.kill(&pid);
        }
    }

    /// The processes of a node that still wait for a lock.
    pub(super) fn waiting_for_locks(&self, no: NodeNo) -> usize {
        let node = &self.nodes[no];
        let waits = |pid: &Pid, outcome: &Option<Outcome>| outcome.is_none() && node.processes.contains(pid);
        node.clients.iter().filter(|(_, pid, outcome)| waits(pid, outcome)).count()
    }

    pub(super) fn whereis(&self, no: NodeNo, name: &'static str) -> Option<Pid> {
        self.nodes[no].engine.whereis(&Term::atom(name)).cloned()
    }

    /// Runs for so long in virtual time.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.events.peek().is_some_and(|Reverse(Queued(at, ..))| *at <= end) {
            if let Some(Reverse(Queued(at, _, event))) = self.events.pop() {
                self.now = at;
                self.event(event);
            }
        }
        self.now = end;
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    fn at(&mut self, time: Instant, event: Event) {
        self.seq += 1;
        self.events.push(Reverse(Queued(time, self.seq, event)));
    }

    fn local(&mut self, node: NodeNo, ms: u64, input: Input) {
        let incarnation = self.nodes[node].incarnation;
        self.at(self.now + Duration::from_millis(ms), Event::Local { node, incarnation, input });
    }

    /// Over the connection there is; otherwise it is lost.
    fn packet(&mut self, from: NodeNo, to: NodeNo, packet: Packet) {
        if let Some(conn) = self.conns.get(&pair(from, to)).copied() {
            self.arrive(from, to, conn, packet);
        }
    }

    fn arrive(&mut self, from: NodeNo, to: NodeNo, conn: Conn, packet: Packet) {
        let delay = Duration::from_micros(100 + self.rng.below(self.delay_ms_max * 1000));
        let at = (self.now + delay).max(self.last.get(&(from, to)).copied().unwrap_or(self.now));
        self.last.insert((from, to), at);
        let incarnations = (self.nodes[from].incarnation, self.nodes[to].incarnation);
        self.at(at, Event::Packet { from, to, incarnations, conn, packet });
    }

    /// Over a connection that is made for it if there is none.
    fn post(&mut self, from: NodeNo, to: NodeNo, packet: Packet) {
        let Some(conn) = self.conns.get(&pair(from, to)).copied() else {
            let waiting = self.waiting.entry((from, to)).or_default();
            waiting.push(packet);
            if waiting.len() == 1 {
                self.dial(from, to, false);
            }
            return;
        };
        let node = &mut self.nodes[from];
        match &packet {
            Packet::Call { key, .. } => {
                if let Some(call) = node.calls.get_mut(key) {
                    call.1 = conn;
                }
            }
            Packet::Resolve { key, .. } => {
                if let Some(resolve) = node.resolves.get_mut(key) {
                    resolve.1 = conn;
                }
            }
            Packet::Monitor { id, .. } => {
                if let Some(monitor) = node.monitors.get_mut(id) {
                    monitor.1 = conn;
                }
            }
            _ => {}
        }
        self.packet(from, to, packet);
    }

    fn dial(&mut self, from: NodeNo, to: NodeNo, asked: bool) {
        let incarnation = self.nodes[from].incarnation;
        let time = self.now + Duration::from_millis(1 + self.rng.below(100));
        let dial = self.seq;
        self.seq += 1;
        self.dials.insert(dial, Dial { from, to, incarnation, asked });
        self.at(time, Event::Dialled { dial });
    }

    fn dialled(&mut self, Dial { from, to, incarnation, asked }: Dial) {
        if self.nodes[from].incarnation != incarnation || !self.nodes[from].alive {
            return;
        }
        self.connect(from, to);
        let ok = self.is_connected(from, to);
        if asked {
            self.handle(from, Input::ConnectResult { node: node_name(to), ok });
        }
        if !ok {
            for packet in self.waiting.remove(&(from, to)).unwrap_or_default() {
                self.undeliverable(from, to, packet);
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Packet { from, to, incarnations, conn, packet } => {
                let lost = self.broken.get(&(from, to)).is_some_and(|broken| conn <= *broken);
                let there = self.nodes[to].alive && self.nodes[to].incarnation == incarnations.1;
                if there && (!lost || matches!(packet, Packet::Up | Packet::Down(_))) {
                    self.receive(from, to, packet);
                }
            }
            Event::Local { node, incarnation, input } => {
                if self.nodes[node].incarnation == incarnation && self.nodes[node].alive {
                    if input == Input::Timer {
                        self.nodes[node].timer = None;
                    }
                    self.handle(node, input);
                }
            }
            Event::ClientTimer { node, incarnation, client } => {
                if self.nodes[node].incarnation == incarnation && self.nodes[node].alive {
                    self.client_input(node, client, client::Input::Timer);
                }
            }
            Event::Dialled { dial } => {
                if let Some(dial) = self.dials.remove(&dial) {
                    self.dialled(dial);
                }
            }
        }
    }

    fn undeliverable(&mut self, from: NodeNo, to: NodeNo, packet: Packet) {
        match packet {
            Packet::Call { key, .. } => self.call_done(from, key, to, CallResult::Down),
            Packet::Monitor { id, .. } if self.nodes[from].monitors.remove(&id).is_some() => {
                self.handle(from, Input::Down { id });
            }
            Packet::Resolve { key, .. } => {
                self.resolve_done(from, key, ResolveResult::BadRpc(Term::atom("nodedown")));
            }
            _ => {}
        }
    }

    fn receive(&mut self, from: NodeNo, to: NodeNo, packet: Packet) {
        match packet {
            Packet::Up => self.handle(to, Input::NodeUp { node: node_name(from) }),
            Packet::Down(conn) => self.connection_down(from, to, conn),
            Packet::Send { to: Address::NameServer(_), term } => {
                let input = match term.as_tuple() {
                    Some([tag, cast]) if tag.is_atom("$gen_cast") => Input::Cast(cast.clone()),
                    _ => Input::Info(term),
                };
                self.handle(to, input);
            }
            Packet::Send { to: Address::Pid(pid), term } => self.message(to, &pid, term),
            Packet::Call { key, from: pid, request } => {
                self.handle(to, Input::Call { from: pid, tag: Term::Int(key), request });
            }
            Packet::Reply { key, result } => self.call_done(to, key, from, result),
            Packet::Monitor { id, pid } => {
                if self.is_role(to, &pid) || self.nodes[to].processes.contains(&pid) {
                    self.nodes[to].watchers.push((from, id, pid));
                } else {
                    self.packet(to, from, Packet::Died { id });
                }
            }
            Packet::Demonitor { id } => self.nodes[to].watchers.retain(|w| (w.0, w.1) != (from, id)),
            Packet::Died { id } => {
                if self.nodes[to].monitors.remove(&id).is_some() {
                    self.handle(to, Input::Down { id });
                }
            }
            Packet::Kill(pid) => self.kill(&pid),
            Packet::Resolve { key, method, name, pid1, pid2 } => {
                let result = match plan(&node_name(to), &method) {
                    Plan::Native(native) => {
                        let (result, effects) = native.resolve(&name, &pid1, &pid2);
                        for effect in effects {
                            self.effect(to, effect);
                        }
                        ResolveResult::Value(result)
                    }
                    Plan::Call(_) | Plan::BadMethod => ResolveResult::Value(Term::atom("undef")),
                };
                self.packet(to, from, Packet::Resolved { key, result });
            }
            Packet::Resolved { key, result } => self.resolve_done(to, key, result),
        }
    }

    fn connection_down(&mut self, from: NodeNo, to: NodeNo, conn: Conn) {
        let node = &mut self.nodes[to];
        node.watchers.retain(|(watcher, ..)| *watcher != from);
        let gone = |(no, over): (NodeNo, Conn)| no == from && over != 0 && over <= conn;
        let monitors: Vec<_> = node.monitors.iter().filter(|(_, m)| gone(**m)).map(|(id, _)| *id).collect();
        let calls: Vec<_> =
            node.calls.iter().filter(|(_, c)| gone((c.0, c.1))).map(|(key, _)| *key).collect();
        let resolves: Vec<_> =
            node.resolves.iter().filter(|(_, r)| gone((r.0, r.1))).map(|(key, _)| *key).collect();
        for id in monitors {
            self.nodes[to].monitors.remove(&id);
            self.handle(to, Input::Down { id });
        }
        for key in calls {
            self.call_done(to, key, from, CallResult::Down);
        }
        for key in resolves {
            self.resolve_done(to, key, ResolveResult::BadRpc(Term::atom("nodedown")));
        }
        self.handle(to, Input::NodeDown { node: node_name(from) });
    }

    fn message(&mut self, no: NodeNo, pid: &Pid, term: Term) {
        let config = &self.nodes[no].engine.config;
        if pid == &config.locker {
            self.handle(no, Input::LockerMessage(term));
        } else if pid == &config.registrar {
            self.handle(no, Input::RegistrarMessage(term));
        } else {
            self.nodes[no].messages.push((pid.clone(), term));
        }
    }

    fn call_done(&mut self, no: NodeNo, key: i64, by: NodeNo, result: CallResult) {
        match self.nodes[no].calls.remove(&key) {
            Some((_, _, Caller::Engine { id })) => {
                self.handle(no, Input::CallReply { id, node: node_name(by), result });
            }
            Some((_, _, Caller::Client { client, id })) => {
                self.client_input(no, client, client::Input::CallReply { id, node: node_name(by), result });
            }
            None => {}
        }
    }

    fn resolve_done(&mut self, no: NodeNo, key: i64, result: ResolveResult) {
        if let Some((_, _, id)) = self.nodes[no].resolves.remove(&key) {
            self.handle(no, Input::ResolveResult { id, result });
        }
    }

    fn effect(&mut self, no: NodeNo, effect: Effect) {
        match effect {
            Effect::Kill(pid) => self.kill_from(no, pid),
            Effect::Send { to, term } => self.send_from(no, Address::Pid(to), true, term),
        }
    }

    fn kill_from(&mut self, no: NodeNo, pid: Pid) {
        match self.no(pid.node()) {
            Some(at) if at == no => self.kill(&pid),
            Some(at) => self.post(no, at, Packet::Kill(pid)),
            None => {}
        }
    }

    fn send_from(&mut self, no: NodeNo, to: Address, connect: bool, term: Term) {
        let node = match &to {
            Address::NameServer(node) => node.clone(),
            Address::Pid(pid) => pid.node().clone(),
        };
        match self.no(&node) {
            Some(at) if at == no => {
                if let Address::Pid(pid) = to {
                    self.message(no, &pid, term);
                }
            }
            Some(at) if connect => self.post(no, at, Packet::Send { to, term }),
            Some(at) => self.packet(no, at, Packet::Send { to, term }),
            None => {}
        }
    }

    pub(super) fn handle(&mut self, no: NodeNo, input: Input) {
        self.nodes[no].engine.handle(self.now, input).unwrap();
        while let Some(output) = self.nodes[no].engine.poll_output() {
            self.output(no, output);
        }
        if let Some(at) = self.nodes[no].engine.poll_timeout()
            && self.nodes[no].timer.is_none_or(|timer| at < timer)
        {
            self.nodes[no].timer = Some(at);
            let incarnation = self.nodes[no].incarnation;
            self.at(at, Event::Local { node: no, incarnation, input: Input::Timer });
        }
    }

    fn output(&mut self, no: NodeNo, output: Output) {
        assert_well_formed(&output);
        match output {
            Output::Send { to, connect, term, .. } => self.send_from(no, to, connect, term),
            Output::MultiCall { from, id, nodes, connect, request } => {
                let config = &self.nodes[no].engine.config;
                let pid = match from {
                    Role::NameServer => &config.name_server,
                    Role::Locker => &config.locker,
                    Role::Registrar => &config.registrar,
                }
                .clone();
                for node in nodes {
                    self.call(no, &node, pid.clone(), request.clone(), connect, Caller::Engine { id });
                }
            }
            Output::Reply { to, tag, term } => {
                let key = tag.as_int().unwrap();
                let Some(at) = self.no(to.node()) else { return };
                let result = CallResult::Reply(term);
                if at == no {
                    self.call_done(no, key, no, result);
                } else {
                    self.packet(no, at, Packet::Reply { key, result });
                }
            }
            Output::Monitor { id, pid } => match self.no(pid.node()) {
                Some(at) if at == no && self.is_alive(&pid) => self.nodes[no].watchers.push((no, id, pid)),
                Some(at) if at != no => {
                    self.nodes[no].monitors.insert(id, (at, 0));
                    self.post(no, at, Packet::Monitor { id, pid });
                }
                _ => self.local(no, 0, Input::Down { id }),
            },
            Output::Demonitor { id, pid } => {
                if self.nodes[no].monitors.remove(&id).is_some() {
                    if let Some(at) = self.no(pid.node()) {
                        self.packet(no, at, Packet::Demonitor { id });
                    }
                } else {
                    self.nodes[no].watchers.retain(|w| (w.0, w.1) != (no, id));
                }
            }
            Output::Link(_) | Output::Unlink(_) => {}
            Output::Kill(pid) => self.kill_from(no, pid),
            Output::Connect { node } => match self.no(&node) {
                Some(at) => self.dial(no, at, true),
                None => self.local(no, 5, Input::ConnectResult { node, ok: false }),
            },
            Output::Disconnect { node } => {
                if let Some(at) = self.no(&node) {
                    self.cut(no, at);
                }
            }
            Output::RunResolver { id, node, method, name, pid1, pid2 } => {
                let key = self.key();
                match self.no(&node) {
                    Some(at) if at != no => {
                        self.nodes[no].resolves.insert(key, (at, 0, id));
                        self.post(no, at, Packet::Resolve { key, method, name, pid1, pid2 });
                    }
                    _ => {
                        let result = ResolveResult::Value(Term::atom("undef"));
                        self.local(no, 1, Input::ResolveResult { id, result });
                    }
                }
            }
            Output::CheckAlive { id, pid } => {
                let alive = self.is_alive(&pid);
                self.local(no, 0, Input::Alive { id, alive });
            }
            Output::Answer { id, answer } => {
                assert_eq!(self.nodes[no].answers.insert(id, answer), None, "answered twice");
            }
            Output::Warn(warning) => {
                assert!(
                    !matches!(warning, Warning::Malformed { .. } | Warning::UnexpectedCall { .. }),
                    "{warning}"
                );
                self.nodes[no].warnings.push(warning);
            }
        }
    }

    fn key(&mut self) -> i64 {
        self.next_key += 1;
        self.next_key
    }

    fn call(&mut self, no: NodeNo, node: &Atom, from: Pid, request: Term, connect: bool, caller: Caller) {
        let key = self.key();
        let at = self.no(node).unwrap();
        self.nodes[no].calls.insert(key, (at, 0, caller));
        if at == no {
            self.handle(no, Input::Call { from, tag: Term::Int(key), request });
        } else if connect || self.is_connected(no, at) {
            self.post(no, at, Packet::Call { key, from, request });
        } else {
            self.call_done(no, key, at, CallResult::Down);
        }
    }

    fn client_input(&mut self, no: NodeNo, client: usize, input: client::Input) {
        let now = self.now;
        if self.nodes[no].processes.contains(&self.nodes[no].clients[client].1) {
            self.nodes[no].clients[client].0.handle(now, input);
            self.drive_client(no, client);
        }
    }

    fn drive_client(&mut self, no: NodeNo, client: usize) {
        while let Some(output) = self.nodes[no].clients[client].0.poll_output() {
            match output {
                client::Output::Probe(id) => {
                    let allowed = self.nodes[no].engine.allows(&id);
                    self.client_input(no, client, client::Input::Probed { allowed });
                }
                client::Output::MultiCall { id, nodes, request } => {
                    let pid = self.nodes[no].clients[client].1.clone();
                    for node in nodes {
                        let caller = Caller::Client { client, id };
                        self.call(no, &node, pid.clone(), request.clone(), true, caller);
                    }
                }
                client::Output::Run => self.client_input(no, client, client::Input::Ran),
                client::Output::Done(outcome) => self.nodes[no].clients[client].2 = Some(outcome),
            }
        }
        if let Some(at) = self.nodes[no].clients[client].0.poll_timeout() {
            let incarnation = self.nodes[no].incarnation;
            self.at(at, Event::ClientTimer { node: no, incarnation, client });
        }
    }

    /// What keeps these nodes from being one partition with nothing under way, if anything.
    pub(super) fn unsettled(&self, members: &[NodeNo]) -> Option<String> {
        for &no in members {
            let others: Vec<NodeNo> = members.iter().copied().filter(|n| *n != no).collect();
            if let Some(why) = self.not_settled_with(no, &others) {
                return Some(why);
            }
            let (own, first) = (self.names_of(no), self.names_of(members[0]));
            if own != first {
                return Some(format!("{} has {own:?} and not {first:?}", self.nodes[no].name));
            }
        }
        None
    }

    fn names_of(&self, no: NodeNo) -> Vec<String> {
        let entries = self.nodes[no].engine.names.iter();
        let mut names: Vec<String> =
            entries.map(|e| format!("{} {:?} {:?}", e.name.name, e.name.pid, e.reg_node)).collect();
        names.sort();
        names
    }

    /// What keeps one node from having just these for its partition, with nothing under way, if anything.
    pub(super) fn not_settled_with(&self, no: NodeNo, others: &[NodeNo]) -> Option<String> {
        let engine = &self.nodes[no].engine;
        let own = &self.nodes[no].name;
        let others: Vec<Atom> = others.iter().map(|n| node_name(*n)).collect();
        let mut known: Vec<Atom> = engine.known().cloned().collect();
        known.sort();
        if known != others {
            return Some(format!("{own} knows {known:?} and not {others:?}"));
        }
        if let Some(missing) = others.iter().find(|n| !engine.synced.contains(*n)) {
            return Some(format!("{own} is not in sync with {missing}"));
        }
        if !engine.sessions.is_empty() || !engine.pending.is_empty() || !engine.pre_connect.is_empty() {
            return Some(format!(
                "{own} has sessions {:?}, pending {:?}, early {:?}",
                engine.sessions, engine.pending, engine.pre_connect
            ));
        }
        if engine.locks.len() != 0 {
            return Some(format!("{own} has locks {:?}", engine.locks));
        }
        if let Some(dead) = engine.names.iter().find(|e| !self.is_alive(&e.name.pid)) {
            return Some(format!("{own} has a dead {dead:?}"));
        }
        if !engine.is_quiet() {
            return Some(format!("{own} is busy: {:?} {:?}", engine.locker, engine.registrar));
        }
        None
    }

    /// The state of all nodes, for a failure's message.
    pub(super) fn dump(&self) -> String {
        self.nodes
            .iter()
            .map(|node| {
                let e = &node.engine;
                format!(
                    "\n{}: up {:?} known {:?} synced {:?} pending {:?} early {:?} removing {:?} connecting {:?}\n\
                     sessions {:?}\n{:?}\n{:?}\n{:?} warnings {:?}\n",
                    node.name, e.up, e.known, e.synced, e.pending, e.pre_connect, e.removing, e.connecting,
                    e.sessions, e.locks, e.locker, e.registrar, node.warnings
                )
            })
            .collect()
    }

    /// Runs until these nodes are one partition; fails after so many seconds of virtual time.
    #[track_caller]
    pub(super) fn settle(&mut self, members: &[NodeNo], secs: u64) {
        for _ in 0..secs * 4 {
            if self.unsettled(members).is_none() {
                return;
            }
            self.run_ms(250);
        }
        if let Some(why) = self.unsettled(members) {
            panic!("{why}");
        }
    }
}
