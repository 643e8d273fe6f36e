//! The states that three nodes with one application can get into: all orders in which messages arrive, starts and
//! stops end, and timers go off, with a bounded number of starts, takeovers and deaths. The nearest states come first,
//! and so many of them as the time of a test allows: `SIM_STATES=n` explores more.
//!
//! A breadth-first search over values: engines, controllers, and what is on its way. Time stands still; the restart
//! time is 0, so its end is an event like any other, and waits that are limited by time never end. Locks are granted
//! at once to everybody, so that nothing hides behind them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    time::Instant,
};

use crabnode_dist_ac::{
    application::{
        RestartType, StartType,
        controller::{self, Controller, Loadable},
        spec::{Spec, StartSpec},
    },
    engine::{
        self, Engine, Request,
        appl::{AppId, Distribution, Nodes, RestartTime},
        wire::Message,
    },
    exchange::CallId,
};
use etf::{Atom, Term};

/// States of one search: some seconds, without optimisation.
const STATES_MAX: usize = 1_000;

const NODES: [&str; 3] = ["a", "b", "c"];

/// What people and accidents may still do.
#[derive(Debug, Clone, Default)]
struct Budget {
    /// Nodes where it is not started yet.
    starts: BTreeSet<usize>,
    takeovers: usize,
    kills: usize,
}

#[derive(Debug, Clone)]
struct Member {
    engine: Engine,
    controller: Controller,
    started: bool,
    master: Master,
}

/// The application at one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Master {
    Down,
    Starting,
    Up,
    Stopping,
}

/// On its way along a link.
#[derive(Debug, Clone)]
enum Parcel {
    NodeUp,
    NodeDown,
    Message(Message),
    Probe,
    Known(Vec<Atom>),
    AskRead,
    Read,
}

#[derive(Debug, Clone)]
enum Action {
    Deliver { from: usize, to: usize },
    MasterStarted(usize),
    MasterStopped(usize),
    Timer(usize),
    Start(usize),
    Takeover(usize),
    Kill(usize),
}

#[derive(Debug, Clone)]
struct World {
    list: Nodes,
    members: Vec<Option<Member>>,
    /// Each link is first in, first out.
    wires: BTreeMap<(usize, usize), VecDeque<Parcel>>,
    /// What a node sees: the connected ones.
    links: BTreeSet<(usize, usize)>,
    budget: Budget,
    now: Instant,
}

#[test]
fn starts_and_a_takeover() {
    for list in ["[a,b,c]", "[a,{b,c}]", "[{a,b,c}]"] {
        let budget = Budget { starts: (0..3).collect(), takeovers: 1, ..Budget::default() };
        explore(list, &[], budget);
    }
}

#[test]
fn starts_and_a_death() {
    for list in ["[a,b,c]", "[a,{b,c}]"] {
        let budget = Budget { starts: (0..3).collect(), kills: 1, ..Budget::default() };
        explore(list, &[], budget);
    }
}

#[test]
fn deaths_of_a_running_cluster() {
    for list in ["[a,b,c]", "[a,{b,c}]", "[{a,b,c}]"] {
        explore(list, &[0, 1, 2], Budget { kills: 2, takeovers: 1, ..Budget::default() });
    }
}

/// All states from that one: a settled cluster that has started it at these nodes.
fn explore(list: &str, started: &[usize], budget: Budget) {
    let most = std::env::var("SIM_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(STATES_MAX);
    let hasher = RandomState::new();
    let first = World::settled(list, started, budget);
    let mut seen = HashSet::from([hasher.hash_one(first.key())]);
    let mut queue = VecDeque::from([first]);
    let mut quiet = 0;
    while let Some(world) = queue.pop_front() {
        let own = world.own_actions();
        if own.is_empty() {
            quiet += 1;
            world.check_quiet();
        }
        for action in own.into_iter().chain(world.budgeted()) {
            let mut next = world.clone();
            next.act(&action);
            if seen.insert(hasher.hash_one(next.key())) {
                queue.push_back(next);
            }
        }
        if seen.len() >= most {
            break;
        }
    }
    let left = queue.len();
    eprintln!("{list}, started at {started:?}: {} states, {quiet} quiet, {left} not looked into", seen.len());
    assert!(quiet > 0);
}

impl World {
    /// Three nodes that know each other, and have started it in this order.
    fn settled(list: &str, started: &[usize], budget: Budget) -> Self {
        #[expect(clippy::disallowed_methods, reason = "time stands still at some instant")]
        let now = Instant::now();
        let list = Nodes::from_term(&etf::text::parse_term(list).unwrap()).unwrap();
        let members = vec![None, None, None];
        let (wires, links) = (BTreeMap::new(), BTreeSet::new());
        let mut world = Self { list, members, wires, links, budget: Budget::default(), now };
        for node in 0..3 {
            world.boot(node);
            world.settle();
        }
        for node in started {
            world.start(*node);
            world.settle();
        }
        world.budget = budget;
        world
    }

    /// One order of events among all, until nothing is left to happen.
    fn settle(&mut self) {
        while let Some(action) = self.own_actions().first().cloned() {
            self.act(&action);
        }
    }

    fn key(&self) -> String {
        format!("{:?} {:?} {:?} {:?}", self.members, self.wires, self.links, self.budget)
    }

    /// What happens by itself, sooner or later.
    fn own_actions(&self) -> Vec<Action> {
        let wires = self.wires.iter().filter(|(_, wire)| !wire.is_empty());
        let mut actions: Vec<Action> =
            wires.map(|((from, to), _)| Action::Deliver { from: *from, to: *to }).collect();
        for (node, member) in self.alive() {
            match member.master {
                Master::Starting => actions.push(Action::MasterStarted(node)),
                Master::Stopping => actions.push(Action::MasterStopped(node)),
                Master::Down | Master::Up => {}
            }
            if member.engine.poll_timeout().is_some_and(|at| at <= self.now) {
                actions.push(Action::Timer(node));
            }
        }
        actions
    }

    fn budgeted(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for node in 0..3 {
            let Some(member) = &self.members[node] else {
                continue;
            };
            if self.budget.starts.contains(&node) {
                actions.push(Action::Start(node));
            }
            let standby = matches!(member.engine.id(&app()), Some(AppId::Distributed(_)));
            if self.budget.takeovers > 0 && standby {
                actions.push(Action::Takeover(node));
            }
            if self.budget.kills > 0 {
                actions.push(Action::Kill(node));
            }
        }
        actions
    }

    fn alive(&self) -> impl Iterator<Item = (usize, &Member)> {
        self.members.iter().enumerate().filter_map(|(node, member)| Some((node, member.as_ref()?)))
    }

    /// Nothing happens by itself any more.
    fn check_quiet(&self) {
        let running: Vec<usize> =
            self.alive().filter(|(_, member)| member.master == Master::Up).map(|(node, _)| node).collect();
        assert!(running.len() <= 1, "runs at {running:?}: {self:#?}");
        // Whoever waits for one that was never told to start it waits rightly.
        if !self.alive().all(|(_, member)| member.started) || self.alive().next().is_none() {
            return;
        }
        let [runner] = running[..] else { panic!("runs nowhere: {self:#?}") };
        for (node, member) in self.alive() {
            let expected =
                if node == runner { AppId::Local } else { AppId::Distributed(Atom::from(NODES[runner])) };
            assert_eq!(member.engine.id(&app()), Some(&expected), "{}: {self:#?}", NODES[node]);
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Deliver { from, to } => self.deliver(from, to),
            Action::MasterStarted(node) => {
                self.set_master(node, Master::Up);
                self.control(node, controller::Input::Started { app: app(), result: Ok(None) });
            }
            Action::MasterStopped(node) => {
                self.set_master(node, Master::Down);
                self.control(node, controller::Input::Stopped { app: app() });
            }
            Action::Timer(node) => self.engine(node, engine::Input::Timeout),
            Action::Start(node) => {
                self.budget.starts.remove(&node);
                self.start(node);
            }
            Action::Takeover(node) => {
                self.budget.takeovers -= 1;
                let restart_type = RestartType::Temporary;
                let request = Request::Takeover { app: app(), restart_type, locked: false };
                self.engine(node, engine::Input::Call { call: CallId(9), request });
            }
            Action::Kill(node) => {
                self.budget.kills -= 1;
                self.kill(node);
            }
        }
    }

    fn start(&mut self, node: usize) {
        self.members[node].as_mut().unwrap().started = true;
        let load = controller::Request::Load(Loadable::Name(app()));
        self.control(node, controller::Input::Call { call: CallId(1), request: load });
        let start = controller::Request::Start { app: app(), restart_type: Term::atom("temporary") };
        self.control(node, controller::Input::Call { call: CallId(2), request: start });
    }

    fn boot(&mut self, node: usize) {
        let restart_time = RestartTime::Millis(0);
        let distribution = Distribution { app: app(), restart_time, nodes: self.list.clone() };
        let mut spec = Spec::new(app());
        spec.start = Some(StartSpec { module: Atom::from("mod"), args: Term::NIL });
        let me = Atom::from(NODES[node]);
        self.members[node] = Some(Member {
            engine: Engine::new(me.clone(), vec![distribution], &BTreeMap::new()),
            controller: Controller::new(me, vec![spec], Vec::new()),
            started: false,
            master: Master::Down,
        });
        for other in
            (0..3).filter(|other| *other != node && self.members[*other].is_some()).collect::<Vec<_>>()
        {
            self.put(node, other, Parcel::NodeUp);
            self.put(other, node, Parcel::NodeUp);
        }
        self.engine(node, engine::Input::Go);
        self.control(node, controller::Input::Booted);
    }

    /// What it sent still arrives, or a part of that: both are orders of this search, as a death may come earlier.
    fn kill(&mut self, node: usize) {
        self.members[node] = None;
        for other in (0..3).filter(|other| *other != node) {
            self.wires.remove(&(other, node));
            self.links.remove(&(node, other));
            if self.members[other].is_some() {
                self.put(node, other, Parcel::NodeDown);
            }
        }
    }

    fn put(&mut self, from: usize, to: usize, parcel: Parcel) {
        self.wires.entry((from, to)).or_default().push_back(parcel);
    }

    fn deliver(&mut self, from: usize, to: usize) {
        let Some(parcel) = self.wires.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return };
        let node = Atom::from(NODES[from]);
        match parcel {
            Parcel::NodeUp => {
                self.links.insert((to, from));
                self.engine(to, engine::Input::NodeUp { node, hidden: false });
            }
            Parcel::NodeDown => {
                if self.links.remove(&(to, from)) {
                    self.engine(to, engine::Input::NodeDown { node });
                }
            }
            Parcel::Message(message) => self.engine(to, engine::Input::Message(message)),
            Parcel::Probe => {
                let known = self.members[to].as_ref().map(|member| member.engine.known().to_vec());
                self.put(to, from, Parcel::Known(known.unwrap_or_default()));
            }
            Parcel::AskRead => self.put(to, from, Parcel::Read),
            Parcel::Read => self.engine(to, engine::Input::HasRead { node }),
            Parcel::Known(nodes) => self.engine(to, engine::Input::Known { node, nodes: Some(nodes) }),
        }
    }

    fn set_master(&mut self, node: usize, master: Master) {
        self.members[node].as_mut().unwrap().master = master;
    }

    fn engine(&mut self, node: usize, input: engine::Input) {
        let now = self.now;
        let Some(member) = &mut self.members[node] else { return };
        member.engine.handle(now, input).unwrap();
        self.drain(node);
    }

    fn control(&mut self, node: usize, input: controller::Input) {
        let Some(member) = &mut self.members[node] else { return };
        member.controller.handle(input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        let now = self.now;
        loop {
            let member = self.members[node].as_mut().unwrap();
            if let Some(output) = member.controller.poll_output() {
                self.controller_output(node, output);
            } else if let Some(output) = member.engine.poll_output() {
                match output {
                    engine::Output::Controller(message) => {
                        member.controller.handle(controller::Input::DistAc(message));
                    }
                    engine::Output::Lock { lock, .. } => {
                        member.engine.handle(now, engine::Input::Locked { lock, granted: true }).unwrap();
                    }
                    engine::Output::AskRead { node: to } => self.send(node, &to, Parcel::AskRead),
                    engine::Output::Probe { node: to } => self.send(node, &to, Parcel::Probe),
                    engine::Output::Send { node: to, message } => {
                        self.send(node, &to, Parcel::Message(message));
                    }
                    // Nobody answers `info`.
                    engine::Output::AskInfo { .. }
                    | engine::Output::AskRunning { .. }
                    | engine::Output::Event(_)
                    | engine::Output::Reply { .. }
                    | engine::Output::TookControl
                    | engine::Output::Unlock { .. } => {}
                }
            } else {
                return;
            }
        }
    }

    fn controller_output(&mut self, node: usize, output: controller::Output) {
        let now = self.now;
        match output {
            controller::Output::DistAc(notice) => {
                let member = self.members[node].as_mut().unwrap();
                member.engine.handle(now, engine::Input::Controller(notice)).unwrap();
            }
            controller::Output::StartMaster { start_type, .. } => {
                // Nothing is started afresh while it is up elsewhere. After a death it may be, for a moment: the
                // restart time is 0, and news of a start may come later than that of the death before it.
                let up = |(_, member): &(usize, &Member)| member.master == Master::Up;
                let all_live = self.members.iter().all(Option::is_some);
                if all_live && !matches!(start_type, StartType::Takeover(_)) {
                    assert!(
                        !self.alive().any(|entry| up(&entry)),
                        "{} starts a second one: {self:#?}",
                        NODES[node]
                    );
                }
                self.set_master(node, Master::Starting);
            }
            controller::Output::StopMaster { .. } => self.set_master(node, Master::Stopping),
            controller::Output::Halt { reason } => panic!("{} halts: {reason:?}", NODES[node]),
            controller::Output::Reply { .. } | controller::Output::Report(_) => {}
        }
    }

    fn send(&mut self, from: usize, to: &Atom, parcel: Parcel) {
        let to = NODES.iter().position(|name| to.as_str() == *name).unwrap();
        if self.links.contains(&(from, to)) && self.members[to].is_some() {
            self.put(from, to, parcel);
        }
    }
}

fn app() -> Atom {
    Atom::from("app")
}
