//! A cluster in one value: engines and controllers that exchange messages over links with random delays, on virtual
//! time, from one seed.
//!
//! What it models: each link is first in, first out; a nodeup comes before the first and a nodedown after the last
//! message of a connection; global locks are all or nothing and die with their holder; applications take time to
//! start and to stop.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::{Duration, Instant},
};

use crabnode_dist_ac::{
    application::{
        controller::{self, Controller, Loadable},
        spec::{Spec, StartSpec},
    },
    engine::{
        self, Engine, Event, Lock, Request,
        appl::{AppId, Distribution, Nodes, RestartTime},
        wire::Message,
    },
    exchange::CallId,
};
use etf::{Atom, Term, tuple};

/// A small generator of random numbers: xorshift, from one seed.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From `low` to `high`, both possible.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 11) % (high - low + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.between(0, all.len() as u64 - 1)).unwrap()]
    }
}

#[derive(Debug, Clone)]
pub enum Op {
    /// A node boots; its startup synchronisation takes so long.
    Boot {
        node: usize,
        go_after: u64,
    },
    /// A node dies, and the others notice.
    Kill {
        node: usize,
    },
    /// `application:load` and `application:start`, as one.
    Start {
        node: usize,
        app: usize,
    },
    Stop {
        node: usize,
        app: usize,
    },
    Takeover {
        node: usize,
        app: usize,
    },
    Permit {
        node: usize,
        app: usize,
        permission: bool,
    },
    /// The application dies by itself.
    Crash {
        node: usize,
        app: usize,
    },
    /// The link between two nodes goes down.
    Cut {
        one: usize,
        other: usize,
    },
    /// It comes back.
    Heal {
        one: usize,
        other: usize,
    },
}

#[derive(Debug, Clone)]
enum What {
    Deliver { to: usize, from: usize, epoch: u64, parcel: Parcel },
    NodeUp { at: usize, node: usize, epoch: u64 },
    NodeDown { at: usize, node: usize, epoch: u64 },
    Go { node: usize, life: u64 },
    Wake { node: usize, life: u64 },
    LockTry { node: usize, life: u64, lock: Lock, nodes: Vec<usize>, retry: bool },
    Unlock { node: usize, life: u64, lock: Lock },
    MasterStarted { node: usize, life: u64, app: usize },
    MasterStopped { node: usize, life: u64, app: usize },
    Op(Op),
}

#[derive(Debug, Clone)]
enum Parcel {
    Message(Message),
    Probe,
    Known(Vec<Atom>),
}

struct Entry {
    at: u64,
    order: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

pub struct Node {
    pub engine: Engine,
    pub controller: Controller,
    life: u64,
    /// Connected nodes, with the number of the connection, as this node sees it.
    links: BTreeMap<usize, u64>,
    /// Applications that run here, or are on their way up or down.
    pub masters: BTreeSet<usize>,
    pub halted: Option<Term>,
    /// Calls that were answered.
    pub replies: BTreeMap<u64, Term>,
    pub events: Vec<Event>,
}

#[derive(Clone)]
pub struct App {
    pub name: Atom,
    pub restart_time: u64,
    pub tiers: Vec<Vec<usize>>,
    pub phases: bool,
}

/// How the world behaves.
#[derive(Clone)]
pub struct World {
    pub nodes: usize,
    pub apps: Vec<App>,
    /// Longest delay of a message, in milliseconds.
    pub delay_max: u64,
    /// Longest start and stop of an application, in milliseconds.
    pub start_max: u64,
    /// Percent of starts that fail.
    pub failing: u64,
}

pub struct Sim {
    pub world: World,
    pub rng: Rng,
    base: Instant,
    now: u64,
    order: u64,
    queue: BinaryHeap<Entry>,
    pub nodes: Vec<Option<Node>>,
    lives: u64,
    epochs: u64,
    /// The current connection of each pair, smaller index first.
    connected: BTreeMap<(usize, usize), u64>,
    /// When the last parcel of a link arrives.
    arrivals: BTreeMap<(usize, usize), u64>,
    /// On each node: who holds the lock of `dist_ac` there.
    locks: Vec<Vec<(usize, u64, Lock)>>,
    next_call: u64,
    pub sent: u64,
    pub log: Vec<String>,
    /// `(time, node, app, runs)`
    pub history: Vec<(u64, usize, usize, bool)>,
}

pub fn name(node: usize) -> Atom {
    Atom::from(format!("{}@h", (b'a' + u8::try_from(node).unwrap()) as char).as_str())
}

fn index(node: &Atom) -> usize {
    usize::from(node.as_str().as_bytes()[0] - b'a')
}

impl Sim {
    pub fn new(seed: u64, world: World) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time counts from some instant")]
        let base = Instant::now();
        Self {
            rng: Rng::new(seed),
            base,
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            nodes: (0..world.nodes).map(|_| None).collect(),
            lives: 0,
            epochs: 0,
            connected: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            locks: vec![Vec::new(); world.nodes],
            next_call: 0,
            sent: 0,
            log: Vec::new(),
            history: Vec::new(),
            world,
        }
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    pub fn at(&mut self, at: u64, op: Op) {
        self.schedule(at, What::Op(op));
    }

    /// Runs until that time.
    pub fn run_until(&mut self, until: u64) {
        let mut steps = 0u64;
        while self.queue.peek().is_some_and(|entry| entry.at <= until) {
            let entry = self.queue.pop().unwrap();
            self.now = entry.at;
            self.step(entry.what);
            steps += 1;
            assert!(steps < 2_000_000, "the cluster never comes to rest");
        }
        self.now = until;
    }

    /// Nodes where the application runs or starts.
    pub fn running(&self, app: usize) -> Vec<usize> {
        let runs = |node: &usize| self.nodes[*node].as_ref().is_some_and(|node| node.masters.contains(&app));
        (0..self.world.nodes).filter(runs).collect()
    }

    pub fn alive(&self) -> Vec<usize> {
        (0..self.world.nodes).filter(|node| self.nodes[*node].is_some()).collect()
    }

    pub fn id(&self, node: usize, app: usize) -> AppId {
        self.nodes[node].as_ref().unwrap().engine.id(&self.world.apps[app].name).unwrap().clone()
    }

    pub fn may_run(&self, node: usize, app: usize) -> bool {
        let app = &self.world.apps[app].name;
        self.nodes[node].as_ref().is_some_and(|state| state.engine.permission(app) == Some(true))
    }

    pub fn call(&mut self, node: usize, request: controller::Request) -> u64 {
        self.next_call += 1;
        let call = CallId(self.next_call);
        if let Some(state) = &mut self.nodes[node] {
            state.controller.handle(controller::Input::Call { call, request });
            self.drain(node);
        }
        self.next_call
    }

    pub fn reply(&self, node: usize, call: u64) -> Option<&Term> {
        self.nodes[node].as_ref()?.replies.get(&call)
    }

    pub fn dump(&self) -> String {
        let mut text = self.log.join("\n");
        for node in self.alive() {
            let state = self.nodes[node].as_ref().unwrap();
            text += &format!("\n{}: {:?}", name(node), state.engine);
        }
        text
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    fn schedule(&mut self, at: u64, what: What) {
        self.order += 1;
        self.queue.push(Entry { at, order: self.order, what });
    }

    fn later(&mut self, low: u64, high: u64, what: What) {
        let at = self.now + self.rng.between(low, high.max(low));
        self.schedule(at, what);
    }

    fn note(&mut self, text: String) {
        let now = self.now;
        self.log.push(format!("{now:>7} {text}"));
    }

    /// In order behind everything that is on its way along this link.
    fn along(&mut self, from: usize, to: usize, what: What) {
        let last = self.arrivals.get(&(from, to)).copied().unwrap_or(0);
        let at = last.max(self.now + self.rng.between(1, self.world.delay_max));
        self.arrivals.insert((from, to), at);
        self.schedule(at, what);
    }

    fn node(&mut self, node: usize, life: u64) -> Option<&mut Node> {
        self.nodes[node].as_mut().filter(|state| state.life == life)
    }

    fn step(&mut self, what: What) {
        match what {
            What::Op(op) => self.op(op),
            What::Deliver { to, from, epoch, parcel } => self.deliver(to, from, epoch, parcel),
            What::NodeUp { at, node, epoch } => {
                let current = self.connected.get(&pair(at, node)) == Some(&epoch);
                let Some(state) = self.nodes[at].as_mut().filter(|_| current) else { return };
                state.links.insert(node, epoch);
                self.handle(at, engine::Input::NodeUp { node: name(node), hidden: false });
            }
            What::NodeDown { at, node, epoch } => {
                let Some(state) = self.nodes[at].as_mut() else { return };
                if state.links.get(&node) == Some(&epoch) {
                    state.links.remove(&node);
                    self.note(format!("{} nodedown {}", name(at), name(node)));
                    self.handle(at, engine::Input::NodeDown { node: name(node) });
                }
            }
            What::Go { node, life } => {
                if self.node(node, life).is_some() {
                    self.handle(node, engine::Input::Go);
                    self.control(node, controller::Input::Booted);
                }
            }
            What::Wake { node, life } => {
                let now = self.instant();
                let due = |state: &mut Node| state.engine.poll_timeout().is_some_and(|at| at <= now);
                if self.node(node, life).is_some_and(due) {
                    self.handle(node, engine::Input::Timeout);
                }
            }
            What::LockTry { node, life, lock, nodes, retry } => self.lock(node, life, lock, nodes, retry),
            What::Unlock { node, life, lock } => {
                for table in &mut self.locks {
                    table.retain(|held| *held != (node, life, lock));
                }
            }
            What::MasterStarted { node, life, app } => {
                if self.node(node, life).is_none() {
                    return;
                }
                let fails = self.rng.chance(self.world.failing);
                let name = self.world.apps[app].name.clone();
                let result = if fails { Err(Term::atom("failed")) } else { Ok(None) };
                if fails {
                    self.nodes[node].as_mut().unwrap().masters.remove(&app);
                    self.history.push((self.now, node, app, false));
                }
                self.note(format!("{} {name} start {}", crate::sim::name(node), !fails));
                self.control(node, controller::Input::Started { app: name, result });
            }
            What::MasterStopped { node, life, app } => {
                if self.node(node, life).is_none() {
                    return;
                }
                self.nodes[node].as_mut().unwrap().masters.remove(&app);
                self.history.push((self.now, node, app, false));
                let app = self.world.apps[app].name.clone();
                self.note(format!("{} {app} stopped", name(node)));
                self.control(node, controller::Input::Stopped { app });
            }
        }
    }

    fn op(&mut self, op: Op) {
        self.note(format!("{op:?}"));
        match op {
            Op::Boot { node, go_after } => self.boot(node, go_after),
            Op::Kill { node } => self.kill(node),
            Op::Start { node, app } => {
                let name = self.world.apps[app].name.clone();
                self.call(node, controller::Request::Load(Loadable::Name(name.clone())));
                let restart_type = Term::atom("temporary");
                self.call(node, controller::Request::Start { app: name, restart_type });
            }
            Op::Stop { node, app } => {
                let name = self.world.apps[app].name.clone();
                self.call(node, controller::Request::Stop(name));
            }
            Op::Takeover { node, app } => {
                let app = self.world.apps[app].name.clone();
                let restart_type = crabnode_dist_ac::application::RestartType::Temporary;
                self.call_engine(node, Request::Takeover { app, restart_type, locked: false });
            }
            Op::Permit { node, app, permission } => {
                let app = self.world.apps[app].name.clone();
                let call = self.call(node, controller::Request::Permit { app: app.clone(), permission });
                let Some(reply) = self.reply(node, call).cloned() else { return };
                let only_loaded = reply.as_tuple().is_some();
                if reply.is_atom("distributed_application")
                    || (only_loaded && reply.as_tuple().unwrap()[0].is_atom("distributed_application"))
                {
                    let request = Request::Permit { app, permission, only_loaded, locked: false };
                    self.call_engine(node, request);
                }
            }
            Op::Crash { node, app } => {
                let Some(state) = &mut self.nodes[node] else { return };
                let here = state.controller.shutdown_order().contains(&self.world.apps[app].name);
                if here && state.masters.remove(&app) {
                    self.history.push((self.now, node, app, false));
                    let app = self.world.apps[app].name.clone();
                    self.control(node, controller::Input::Exited { app, reason: Term::atom("crashed") });
                }
            }
            Op::Cut { one, other } => self.disconnect(one, other),
            Op::Heal { one, other } => {
                if self.nodes[one].is_some() && self.nodes[other].is_some() {
                    self.connect(one, other);
                }
            }
        }
    }

    pub fn call_engine(&mut self, node: usize, request: Request) -> u64 {
        self.next_call += 1;
        let call = self.next_call;
        if self.nodes[node].is_some() {
            self.handle(node, engine::Input::Call { call: CallId(call), request });
        }
        call
    }

    fn boot(&mut self, node: usize, go_after: u64) {
        if self.nodes[node].is_some() {
            return;
        }
        self.lives += 1;
        let life = self.lives;
        let distributed = self.world.apps.iter().map(App::distribution).collect();
        let specs = self.world.apps.iter().map(App::spec).collect();
        self.nodes[node] = Some(Node {
            engine: Engine::new(name(node), distributed, &BTreeMap::new()),
            controller: Controller::new(name(node), specs, Vec::new()),
            life,
            links: BTreeMap::new(),
            masters: BTreeSet::new(),
            halted: None,
            replies: BTreeMap::new(),
            events: Vec::new(),
        });
        self.drain(node);
        for other in 0..self.world.nodes {
            if other != node && self.nodes[other].is_some() {
                self.connect(node, other);
            }
        }
        self.later(go_after, go_after, What::Go { node, life });
    }

    fn kill(&mut self, node: usize) {
        let Some(state) = self.nodes[node].take() else { return };
        for app in state.masters {
            self.history.push((self.now, node, app, false));
        }
        for table in &mut self.locks {
            table.retain(|(holder, _, _)| *holder != node);
        }
        self.locks[node].clear();
        for other in 0..self.world.nodes {
            self.disconnect(node, other);
        }
    }

    fn connect(&mut self, one: usize, other: usize) {
        if self.connected.contains_key(&pair(one, other)) {
            return;
        }
        self.epochs += 1;
        let epoch = self.epochs;
        self.connected.insert(pair(one, other), epoch);
        self.along(other, one, What::NodeUp { at: one, node: other, epoch });
        self.along(one, other, What::NodeUp { at: other, node: one, epoch });
    }

    fn disconnect(&mut self, one: usize, other: usize) {
        let Some(epoch) = self.connected.remove(&pair(one, other)) else { return };
        self.along(other, one, What::NodeDown { at: one, node: other, epoch });
        self.along(one, other, What::NodeDown { at: other, node: one, epoch });
    }

    fn deliver(&mut self, to: usize, from: usize, epoch: u64, parcel: Parcel) {
        let Some(state) = &mut self.nodes[to] else { return };
        if state.links.get(&from) != Some(&epoch) {
            return;
        }
        match parcel {
            Parcel::Message(message) => {
                self.note(format!("{} < {:?}", name(to), message.to_term()));
                // What cannot be read on the other side is not sent here either.
                let message = Message::from_term(&message.to_term()).unwrap();
                self.handle(to, engine::Input::Message(message));
            }
            Parcel::Probe => {
                let known = state.engine.known().to_vec();
                self.send(to, from, Parcel::Known(known));
            }
            Parcel::Known(nodes) => {
                self.handle(to, engine::Input::Known { node: name(from), nodes: Some(nodes) });
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, parcel: Parcel) {
        let Some(epoch) = self.nodes[from].as_ref().and_then(|state| state.links.get(&to)).copied() else {
            return;
        };
        self.sent += 1;
        self.along(from, to, What::Deliver { to, from, epoch, parcel });
    }

    fn lock(&mut self, node: usize, life: u64, lock: Lock, nodes: Vec<usize>, retry: bool) {
        if self.node(node, life).is_none() {
            return;
        }
        let mine = (node, life, lock);
        let same = |held: &(usize, u64, Lock)| *held == mine || (lock == Lock::SyncDacs && held.2 == lock);
        let alive: Vec<usize> = nodes.iter().copied().filter(|at| self.nodes[*at].is_some()).collect();
        let granted = alive.iter().all(|at| self.locks[*at].iter().all(same));
        if granted {
            for at in alive {
                self.locks[at].push(mine);
            }
        } else if retry {
            return self.later(50, 250, What::LockTry { node, life, lock, nodes, retry });
        }
        self.handle(node, engine::Input::Locked { lock, granted });
    }

    fn handle(&mut self, node: usize, input: engine::Input) {
        let now = self.instant();
        let Some(state) = &mut self.nodes[node] else { return };
        state.engine.handle(now, input.clone()).unwrap_or_else(|error| panic!("{error} on {input:?}"));
        self.drain(node);
    }

    fn control(&mut self, node: usize, input: controller::Input) {
        let Some(state) = &mut self.nodes[node] else { return };
        state.controller.handle(input);
        self.drain(node);
    }

    /// Does what the two machines of a node want done.
    fn drain(&mut self, node: usize) {
        let life = self.nodes[node].as_ref().unwrap().life;
        loop {
            let now = self.instant();
            let state = self.nodes[node].as_mut().unwrap();
            if let Some(output) = state.controller.poll_output() {
                self.controller_output(node, life, output, now);
            } else if let Some(output) = state.engine.poll_output() {
                self.engine_output(node, life, output);
            } else {
                break;
            }
        }
        let state = self.nodes[node].as_ref().unwrap();
        if let Some(at) = state.engine.poll_timeout() {
            let millis = u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap();
            self.schedule(millis.max(self.now), What::Wake { node, life });
        }
    }

    fn controller_output(&mut self, node: usize, life: u64, output: controller::Output, now: Instant) {
        let start_max = self.world.start_max;
        match output {
            controller::Output::DistAc(notice) => {
                let state = self.nodes[node].as_mut().unwrap();
                state.engine.handle(now, engine::Input::Controller(notice)).unwrap();
            }
            controller::Output::Halt { reason } => {
                self.nodes[node].as_mut().unwrap().halted = Some(reason);
            }
            controller::Output::Reply { call, reply } => {
                self.nodes[node].as_mut().unwrap().replies.insert(call.0, reply);
            }
            controller::Output::Report(_) => {}
            controller::Output::StartMaster { app, start_type } => {
                self.note(format!("{} {app} starts {:?}", name(node), start_type.to_term()));
                let app = self.app(&app);
                assert!(self.nodes[node].as_mut().unwrap().masters.insert(app), "started twice");
                self.history.push((self.now, node, app, true));
                self.later(1, start_max, What::MasterStarted { node, life, app });
            }
            controller::Output::StopMaster { app } => {
                let app = self.app(&app);
                self.later(1, start_max, What::MasterStopped { node, life, app });
            }
        }
    }

    fn engine_output(&mut self, node: usize, life: u64, output: engine::Output) {
        match output {
            engine::Output::Controller(message) => {
                let state = self.nodes[node].as_mut().unwrap();
                state.controller.handle(controller::Input::DistAc(message));
            }
            engine::Output::Event(event) => {
                self.note(format!("{} {event:?}", name(node)));
                self.nodes[node].as_mut().unwrap().events.push(event);
            }
            engine::Output::Lock { lock, nodes, retry } => {
                let nodes = nodes.iter().map(index).collect();
                let most = self.world.delay_max * 2;
                self.later(0, most, What::LockTry { node, life, lock, nodes, retry });
            }
            engine::Output::Probe { node: to } => self.send(node, index(&to), Parcel::Probe),
            engine::Output::Reply { call, reply } => {
                self.note(format!("{} call {} answered {reply:?}", name(node), call.0));
                self.nodes[node].as_mut().unwrap().replies.insert(call.0, reply);
            }
            engine::Output::Send { node: to, message } => {
                self.send(node, index(&to), Parcel::Message(message));
            }
            engine::Output::TookControl => {}
            engine::Output::Unlock { lock } => {
                let most = self.world.delay_max;
                self.later(0, most, What::Unlock { node, life, lock });
            }
        }
    }

    fn app(&self, name: &Atom) -> usize {
        self.world.apps.iter().position(|app| app.name == *name).unwrap()
    }
}

impl App {
    pub fn new(name: &str, restart_time: u64, tiers: &[&[usize]]) -> Self {
        Self {
            name: Atom::from(name),
            restart_time,
            tiers: tiers.iter().map(|tier| tier.to_vec()).collect(),
            phases: false,
        }
    }

    pub fn nodes(&self) -> Nodes {
        let tier = |tier: &Vec<usize>| match tier.as_slice() {
            [one] => Term::from(name(*one)),
            many => Term::Tuple(many.iter().map(|node| Term::from(name(*node))).collect()),
        };
        Nodes::from_term(&Term::List(self.tiers.iter().map(tier).collect())).unwrap()
    }

    fn distribution(&self) -> Distribution {
        let restart_time = RestartTime::Millis(self.restart_time);
        Distribution { app: self.name.clone(), restart_time, nodes: self.nodes() }
    }

    fn spec(&self) -> Spec {
        let mut spec = Spec::new(self.name.clone());
        spec.start = Some(StartSpec { module: Atom::from("mod"), args: Term::NIL });
        spec.start_phases = self.phases.then(Vec::new);
        spec.applications = vec![Atom::from("kernel"), Atom::from("stdlib")];
        spec
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

/// `{error, Reason}`.
#[allow(dead_code)]
pub fn error(reason: Term) -> Term {
    tuple!(atom "error", reason)
}
