//! A cluster in one value: members and controllers that exchange messages over links with random delays, on virtual
//! time, from one seed. A member is our engine, or a model of OTP's `dist_ac`.
//!
//! What it models: each link is first in, first out; a nodeup comes before the first and a nodedown after the last
//! message of a connection; global locks are all or nothing and die with their holder; applications take time to
//! start and to stop.
//!
//! | file | what |
//! |---|---|
//! | `world.rs` | what the cluster is made of, and what can happen to it |
//! | `member.rs` | a node: its `dist_ac` and its application controller |
//! | `dist_ac.rs` | either `dist_ac` |
//! | `stock/` | the model of OTP's `dist_ac` |
//! | `network.rs` | links, what travels along them, global locks |
//! | `healing.rs` | the healers of our nodes |
//! | `drive.rs` | what happens is done, and what the members want done |

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, Instant},
};

use crabnode_dist_ac::{
    application::{StartType, controller},
    engine::{Input, Lock, Request, appl::AppId},
    exchange::CallId,
};
use etf::Term;

mod dist_ac;
mod drive;
mod healing;
mod member;
mod network;
mod rng;
pub mod stock;
mod world;

use healing::Asked;
pub use member::Node;
use network::{Parcel, Wanted};
pub use rng::Rng;
pub use world::{App, Op, World, name};

/// More steps than any run needs in which the members come to rest; a story of ten minutes takes some 50,000.
const STEPS_MAX: u64 = 2_000_000;

/// Something that was put off.
#[derive(Debug, Clone)]
enum What {
    Deliver { to: usize, from: usize, epoch: u64, parcel: Parcel },
    NodeUp { at: usize, node: usize, epoch: u64 },
    NodeDown { at: usize, node: usize, epoch: u64 },
    Go { node: usize, life: u64 },
    Wake { node: usize, life: u64 },
    Question { node: usize, life: u64, number: u64 },
    GiveUp { node: usize, life: u64, number: u64 },
    LockTry { node: usize, life: u64, lock: Lock, nodes: Vec<usize>, retry: bool },
    Unlock { node: usize, life: u64, lock: Lock },
    MasterStarted { node: usize, life: u64, app: usize },
    MasterStopped { node: usize, life: u64, app: usize },
    Op(Op),
}

/// Something that happened to an application at a node.
#[derive(Debug, Clone)]
pub struct Change {
    pub at: u64,
    pub node: usize,
    pub app: usize,
    pub step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Starts(StartType),
    Up,
    /// It stopped, crashed, failed to start, or its node died.
    Down,
}

/// A call of `application`, by somebody at a node.
#[derive(Debug, Clone)]
pub struct Call {
    pub number: u64,
    pub at: u64,
    pub node: usize,
    pub life: u64,
    pub what: String,
}

pub struct Sim {
    pub world: World,
    pub rng: Rng,
    base: Instant,
    now: u64,
    order: u64,
    /// By time, and then in the order in which they were put off.
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    put_off: BTreeMap<u64, What>,
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
    /// Calls of `get_known_nodes` and `info` by a peer: who asked whom, over which connection, and what for.
    probes: BTreeMap<u64, (usize, usize, u64, Wanted)>,
    /// Questions of healers that are not answered yet.
    questions: BTreeMap<u64, Asked>,
    /// Messages sent by each node.
    pub sent: Vec<u64>,
    pub log: Vec<String>,
    pub history: Vec<Change>,
    pub calls: Vec<Call>,
    steps: u64,
    pub steps_max: u64,
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
            put_off: BTreeMap::new(),
            nodes: (0..world.nodes).map(|_| None).collect(),
            lives: 0,
            epochs: 0,
            connected: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            locks: vec![Vec::new(); world.nodes],
            next_call: 0,
            probes: BTreeMap::new(),
            questions: BTreeMap::new(),
            sent: vec![0; world.nodes],
            log: Vec::new(),
            history: Vec::new(),
            calls: Vec::new(),
            steps: 0,
            steps_max: STEPS_MAX,
            world,
        }
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    pub fn at(&mut self, at: u64, op: Op) {
        self.schedule(at, What::Op(op));
    }

    /// Runs until that time. Panics if the cluster does not come to rest.
    pub fn run_until(&mut self, until: u64) {
        assert!(self.try_run_until(until), "the cluster never comes to rest\n{}", self.dump());
    }

    /// Runs until that time; stops before it, and says so, after [`Sim::steps_max`] steps.
    pub fn try_run_until(&mut self, until: u64) -> bool {
        while let Some(Reverse((at, order))) = self.queue.peek().copied().filter(|next| next.0.0 <= until) {
            if self.steps >= self.steps_max {
                return false;
            }
            self.queue.pop();
            self.now = at;
            self.steps += 1;
            let what = self.put_off.remove(&order).unwrap();
            self.step(what);
        }
        self.now = until;
        true
    }

    /// Nodes where the application runs, starts or stops.
    pub fn running(&self, app: usize) -> Vec<usize> {
        let runs = |node: &usize| self.nodes[*node].as_ref().is_some_and(|node| node.masters.contains(&app));
        (0..self.world.nodes).filter(runs).collect()
    }

    pub fn alive(&self) -> Vec<usize> {
        (0..self.world.nodes).filter(|node| self.nodes[*node].is_some()).collect()
    }

    /// What a node knows of an application.
    pub fn id(&self, node: usize, app: usize) -> AppId {
        self.nodes[node].as_ref().unwrap().member.id(&self.world.apps[app].name).unwrap().clone()
    }

    pub fn may_run(&self, node: usize, app: usize) -> bool {
        let app = &self.world.apps[app].name;
        self.nodes[node].as_ref().is_some_and(|state| state.member.permission(app) == Some(true))
    }

    /// The model of OTP's `dist_ac` at a node.
    pub fn stock(&self, node: usize) -> &stock::Stock {
        self.nodes[node].as_ref().unwrap().member.stock().expect("a stock node")
    }

    /// Whether somebody who called takeover or permit at a stock node holds the lock of `dist_ac`, which every start
    /// needs, and so do those who boot.
    pub fn is_locked_by_caller(&self) -> bool {
        let caller = |(node, _, lock): &(usize, u64, Lock)| {
            self.world.is_stock(*node) && matches!(lock, Lock::Call(_))
        };
        self.locks.iter().flatten().any(caller)
    }

    pub fn is_connected(&self, one: usize, other: usize) -> bool {
        self.connected.contains_key(&world::pair(one, other))
    }

    /// A call of the application controller; gives its number.
    pub fn call(&mut self, node: usize, request: controller::Request) -> u64 {
        let call = self.new_call(node, format!("{request:?}"));
        self.control(node, controller::Input::Call { call, request });
        call.0
    }

    /// A call of `dist_ac`; gives its number.
    pub fn call_engine(&mut self, node: usize, request: Request) -> u64 {
        let call = self.new_call(node, format!("{request:?}"));
        self.handle(node, Input::Call { call, request });
        call.0
    }

    /// Whether a node answers a call of its `dist_ac` at once.
    pub fn answers(&mut self, node: usize) -> bool {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.handle(node, Input::Call { call, request: Request::KnownNodes });
        self.nodes[node].as_mut().is_some_and(|state| state.replies.remove(&call.0).is_some())
    }

    pub fn reply(&self, node: usize, call: u64) -> Option<&Term> {
        self.nodes[node].as_ref()?.replies.get(&call)
    }

    /// Calls without an answer, of callers that still live.
    pub fn unanswered(&self) -> Vec<&Call> {
        let open = |call: &&Call| {
            let node = self.nodes[call.node].as_ref().filter(|node| node.life == call.life);
            node.is_some_and(|node| !node.replies.contains_key(&call.number))
        };
        self.calls.iter().filter(open).collect()
    }

    /// Everything that happened, and what everybody knows. Of a long log what stock nodes weigh without end is left out.
    pub fn dump(&self) -> String {
        let is_told = |line: &&String| self.log.len() <= 3000 || !line.contains("{dist_ac_weight,");
        let log: Vec<&str> = self.log.iter().filter(is_told).map(String::as_str).collect();
        let last = log.len().saturating_sub(3000);
        let mut text = log[last..].join("\n");
        for node in self.alive() {
            let state = self.nodes[node].as_ref().unwrap();
            let mut controller = state.controller.clone();
            controller
                .handle(controller::Input::Call { call: CallId(0), request: controller::Request::Info });
            let info = std::iter::from_fn(|| controller.poll_output()).last();
            text += &format!("\n{}: {:?}\n{0}: {info:?}", name(node), state.member);
        }
        text
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    fn schedule(&mut self, at: u64, what: What) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.put_off.insert(self.order, what);
    }

    fn later(&mut self, low: u64, high: u64, what: What) {
        let at = self.now + self.rng.between(low, high.max(low));
        self.schedule(at, what);
    }

    fn note(&mut self, text: String) {
        let now = self.now;
        self.log.push(format!("{now:>7} {text}"));
    }

    fn changed(&mut self, node: usize, app: usize, step: Step) {
        self.history.push(Change { at: self.now, node, app, step });
    }

    fn node(&mut self, node: usize, life: u64) -> Option<&mut Node> {
        self.nodes[node].as_mut().filter(|state| state.life == life)
    }
}
