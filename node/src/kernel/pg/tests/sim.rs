//! A cluster of scopes in virtual time: processes that join, leave and die, scopes and nodes that end and come again,
//! links that delay, break and heal. One seed makes one run.
//!
//! `CRABNODE_SIM_SEEDS=100000 cargo test --release -p crabnode --lib pg::tests::sim` runs that many;
//! `CRABNODE_TEST_SEED=17` runs one again.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    env,
    hash::{BuildHasher, RandomState},
};

use etf::{Atom, Pid, Reference, Term};

use super::{
    super::{
        engine::{Answer, Engine, Input, MonitorId, Output, Request},
        members::Members,
        wire::{self, Change},
    },
    stock::Stock,
};

type NodeNo = usize;
type Conn = u64;

/// The runs of every test, beside a new one.
const SEEDS: u64 = 300;
const GROUPS: u64 = 4;
const DELAY_MAX: u64 = 30;

#[derive(Debug)]
enum Event {
    Up(Conn),
    Down(Conn),
    Packet(Conn, Packet),
    /// A monitor of a node's own tells of an end.
    Ended(Pid, MonitorId),
}

#[derive(Debug)]
enum Packet {
    ToName(Term),
    ToPid(Pid, Term),
    Monitor { by: Pid, id: MonitorId, pid: Pid },
    Demonitor { by: Pid, id: MonitorId },
    Died { by: Pid, id: MonitorId },
}

struct Scope {
    pid: Pid,
    engine: Engine,
    stock: Stock,
    /// What it monitors: of another node, by the connection that it was asked over.
    monitors: BTreeMap<MonitorId, (Pid, Option<(NodeNo, Conn)>)>,
    /// Who hears of all that happens in it, and what that has come to.
    subscriber: Pid,
    heard: BTreeMap<Term, Members>,
}

struct Node {
    name: Atom,
    incarnation: u32,
    next_pid: u32,
    processes: BTreeSet<Pid>,
    /// Who is in which groups, and how often: what ought to be known everywhere.
    truth: BTreeMap<Term, Members>,
    scope: Option<Scope>,
    /// The connections, as this side sees them.
    links: BTreeMap<NodeNo, Conn>,
    /// Who monitors its scope from elsewhere.
    watchers: Vec<(NodeNo, Pid, MonitorId)>,
}

struct World {
    now: u64,
    random: u64,
    order: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    bodies: BTreeMap<usize, (NodeNo, NodeNo, Event)>,
    nodes: Vec<Node>,
    conns: BTreeMap<(NodeNo, NodeNo), Conn>,
    next: u64,
    /// When the last thing that one node hears of another comes.
    last: BTreeMap<(NodeNo, NodeNo), u64>,
}

impl World {
    fn new(seed: u64, count: usize) -> Self {
        let node = |no: usize| Node {
            name: Atom::from(format!("n{no}@h").as_str()),
            incarnation: 1,
            next_pid: 0,
            processes: BTreeSet::new(),
            truth: BTreeMap::new(),
            scope: None,
            links: BTreeMap::new(),
            watchers: Vec::new(),
        };
        let mut world = Self {
            now: 0,
            random: seed,
            order: 0,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            nodes: (0..count).map(node).collect(),
            conns: BTreeMap::new(),
            next: 1,
            last: BTreeMap::new(),
        };
        (0..count).for_each(|no| world.start_scope(no));
        world
    }

    /// splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("less than the bound")
    }

    fn new_pid(&mut self, no: NodeNo) -> Pid {
        let node = &mut self.nodes[no];
        node.next_pid += 1;
        Pid::new(node.name.clone(), node.next_pid, 0, node.incarnation)
    }

    // --- Links --------------------------------------------------------------------------------------------

    /// Something that a node hears of another, after all that it was to hear of that one before.
    fn post(&mut self, from: NodeNo, to: NodeNo, event: Event) {
        let delay = self.below(usize::try_from(DELAY_MAX).expect("small")) as u64;
        let at = (self.now + delay).max(self.last.get(&(from, to)).copied().unwrap_or(0));
        self.last.insert((from, to), at);
        self.order += 1;
        let id = usize::try_from(self.order).expect("not that many");
        self.events.push(Reverse((at, self.order, id)));
        self.bodies.insert(id, (from, to, event));
    }

    fn connect(&mut self, a: NodeNo, b: NodeNo) {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || self.conns.contains_key(&(a, b)) {
            return;
        }
        self.next += 1;
        self.conns.insert((a, b), self.next);
        self.post(a, b, Event::Up(self.next));
        self.post(b, a, Event::Up(self.next));
    }

    fn cut(&mut self, a: NodeNo, b: NodeNo) {
        let (a, b) = (a.min(b), a.max(b));
        let Some(conn) = self.conns.remove(&(a, b)) else { return };
        for (from, to) in [(a, b), (b, a)] {
            if self.below(2) == 0 {
                // What is under way is lost.
                self.bodies.retain(|_, (f, t, event)| {
                    (*f, *t) != (from, to) || !matches!(event, Event::Packet(c, _) if *c == conn)
                });
            }
            self.post(from, to, Event::Down(conn));
        }
    }

    fn send(&mut self, from: NodeNo, to: NodeNo, packet: Packet) -> bool {
        let Some(conn) = self.nodes[from].links.get(&to).copied() else { return false };
        // The other side may be gone already, without this one knowing.
        if self.conns.get(&(from.min(to), from.max(to))) == Some(&conn) {
            self.post(from, to, Event::Packet(conn, packet));
        }
        true
    }

    fn no_of(&self, node: &Atom) -> NodeNo {
        self.nodes.iter().position(|n| n.name == *node).expect("a node of the cluster")
    }

    // --- Scopes and processes -----------------------------------------------------------------------------

    fn start_scope(&mut self, no: NodeNo) {
        if self.nodes[no].scope.is_some() {
            return;
        }
        let (pid, subscriber) = (self.new_pid(no), self.new_pid(no));
        let mut engine = Engine::new(pid.clone());
        let nodes = self.nodes[no].links.keys().map(|other| self.nodes[*other].name.clone()).collect();
        engine.handle(Input::Started { nodes });
        let reference = Reference::new(self.nodes[no].name.clone(), 1, &[1, 2, 3]).expect("three words");
        let subscribe = Request::Subscribe { reference, pid: subscriber.clone(), group: None };
        let answer = engine.request(subscribe);
        assert!(matches!(answer, Answer::Subscribed { now, .. } if now.is_empty()));
        self.nodes[no].scope = Some(Scope {
            pid,
            engine,
            stock: Stock::default(),
            monitors: BTreeMap::new(),
            subscriber,
            heard: BTreeMap::new(),
        });
        self.carry_out(no);
    }

    fn stop_scope(&mut self, no: NodeNo) {
        if self.nodes[no].scope.take().is_none() {
            return;
        }
        self.nodes[no].truth.clear();
        for (watcher, by, id) in std::mem::take(&mut self.nodes[no].watchers) {
            self.send(no, watcher, Packet::Died { by, id });
        }
    }

    fn crash(&mut self, no: NodeNo) {
        for other in 0..self.nodes.len() {
            self.cut(no, other);
        }
        let node = &mut self.nodes[no];
        (node.scope, node.incarnation) = (None, node.incarnation + 1);
        node.processes.clear();
        node.truth.clear();
        node.watchers.clear();
        node.links.clear();
        // What was on its way to the old one does not come to the new one.
        self.bodies.retain(|_, (_, to, _)| *to != no);
    }

    fn kill(&mut self, no: NodeNo, pid: &Pid) {
        self.nodes[no].processes.remove(pid);
        self.nodes[no].truth.retain(|_, members| {
            while members.remove(pid) {}
            !members.is_empty()
        });
        let Some(scope) = &self.nodes[no].scope else { return };
        let ended: Vec<MonitorId> =
            scope.monitors.iter().filter(|(_, (p, _))| p == pid).map(|(id, _)| *id).collect();
        let by = scope.pid.clone();
        for id in ended {
            self.post(no, no, Event::Ended(by.clone(), id));
        }
    }

    fn update(&mut self, no: NodeNo, changes: Vec<Change>) {
        let node = &mut self.nodes[no];
        let Some(scope) = &mut node.scope else { return };
        let answer = scope.engine.request(Request::Update(changes.clone()));
        let mut any_left = false;
        for Change { group, join, leave } in changes {
            let members = node.truth.entry(group).or_default();
            join.iter().for_each(|pid| members.add(pid));
            // A dead one that joins is out again before anyone rests.
            let left = leave.iter().filter(|pid| members.remove(pid)).count();
            any_left |= left > 0;
        }
        let processes = &node.processes;
        node.truth.retain(|_, members| {
            *members = members
                .iter()
                .filter(|pid| processes.contains(pid))
                .cloned()
                .collect::<Vec<_>>()
                .iter()
                .collect();
            !members.is_empty()
        });
        if let Answer::Updated { left } = answer {
            assert!(left || !any_left, "somebody left, and nobody is told");
        } else {
            panic!("all of them are of this node: {answer:?}");
        }
        self.carry_out(no);
    }

    fn carry_out(&mut self, no: NodeNo) {
        while let Some(output) = self.nodes[no].scope.as_mut().and_then(|scope| scope.engine.poll_output()) {
            match output {
                Output::Discover { node, term } => {
                    let to = self.no_of(&node);
                    self.send(no, to, Packet::ToName(term));
                }
                Output::Send { to, term } => {
                    if self.nodes[no].scope.as_ref().is_some_and(|scope| scope.subscriber == to) {
                        self.hear(no, &term);
                        continue;
                    }
                    let other = self.no_of(to.node());
                    assert_ne!(other, no, "nobody else here is told anything: {term}");
                    self.send(no, other, Packet::ToPid(to, term));
                }
                Output::Monitor { id, pid } => self.monitor(no, id, pid),
                Output::Demonitor(id) => {
                    let Some(scope) = &mut self.nodes[no].scope else { continue };
                    let by = scope.pid.clone();
                    if let Some((_, Some((other, _)))) = scope.monitors.remove(&id) {
                        self.send(no, other, Packet::Demonitor { by, id });
                    }
                }
            }
        }
    }

    fn monitor(&mut self, no: NodeNo, id: MonitorId, pid: Pid) {
        let other = self.no_of(pid.node());
        let conn = self.nodes[no].links.get(&other).copied();
        let is_dead = if other == no { !self.is_alive(no, &pid) } else { conn.is_none() };
        let over = (other != no).then_some(other).zip(conn);
        let Some(scope) = &mut self.nodes[no].scope else { return };
        scope.monitors.insert(id, (pid.clone(), over));
        let by = scope.pid.clone();
        if is_dead {
            self.post(no, no, Event::Ended(by, id));
        } else if other != no {
            self.send(no, other, Packet::Monitor { by, id, pid });
        }
    }

    fn is_alive(&self, no: NodeNo, pid: &Pid) -> bool {
        let node = &self.nodes[no];
        let is_scopes = |scope: &Scope| scope.pid == *pid || scope.subscriber == *pid;
        node.processes.contains(pid) || node.scope.as_ref().is_some_and(is_scopes)
    }

    /// The subscriber's own view, from nothing but what it is told.
    fn hear(&mut self, no: NodeNo, term: &Term) {
        let Some([_, action, group, who]) = term.as_tuple() else { panic!("{term} is no event") };
        let Some(scope) = &mut self.nodes[no].scope else { return };
        let members = scope.heard.entry(group.clone()).or_default();
        for pid in wire::pids(who).expect("a list of pids") {
            if action.is_atom("join") {
                members.add(&pid);
            } else {
                assert!(members.remove(&pid), "{pid:?} leaves {group} and was not in it");
            }
        }
        if members.is_empty() {
            scope.heard.remove(group);
        }
    }

    // --- Time ---------------------------------------------------------------------------------------------

    fn run(&mut self, until: Option<u64>) {
        while let Some(Reverse((at, _, id))) = self.events.peek().copied() {
            if until.is_some_and(|until| at > until) {
                break;
            }
            self.events.pop();
            self.now = at;
            if let Some((from, to, event)) = self.bodies.remove(&id) {
                self.event(from, to, event);
                self.carry_out(to);
            }
        }
        self.now = until.unwrap_or(self.now);
    }

    fn event(&mut self, from: NodeNo, to: NodeNo, event: Event) {
        match event {
            Event::Up(conn) => {
                self.nodes[to].links.insert(from, conn);
                let node = self.nodes[from].name.clone();
                self.input(to, Input::NodeUp { node });
            }
            Event::Down(conn) => {
                if self.nodes[to].links.get(&from) == Some(&conn) {
                    self.nodes[to].links.remove(&from);
                }
                self.nodes[to].watchers.retain(|(watcher, ..)| *watcher != from);
                let Some(scope) = &self.nodes[to].scope else { return };
                let lost = scope.monitors.iter().filter(|(_, (_, over))| *over == Some((from, conn)));
                for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.ended(to, id);
                }
            }
            Event::Packet(conn, packet) => {
                if self.nodes[to].links.get(&from) == Some(&conn) {
                    self.packet(from, to, packet);
                }
            }
            Event::Ended(by, id) => {
                if self.is_scope(to, &by) {
                    self.ended(to, id);
                }
            }
        }
    }

    fn packet(&mut self, from: NodeNo, to: NodeNo, packet: Packet) {
        match packet {
            Packet::ToName(term) => self.message(to, term),
            Packet::ToPid(pid, term) if self.is_scope(to, &pid) => self.message(to, term),
            Packet::ToPid(..) => {}
            Packet::Monitor { by, id, pid } if self.is_alive(to, &pid) => {
                self.nodes[to].watchers.push((from, by, id));
            }
            Packet::Monitor { by, id, .. } => {
                self.send(to, from, Packet::Died { by, id });
            }
            Packet::Demonitor { by, id } => {
                self.nodes[to].watchers.retain(|(_, watcher, i)| (watcher, *i) != (&by, id));
            }
            Packet::Died { by, id } => {
                if self.is_scope(to, &by) {
                    self.ended(to, id);
                }
            }
        }
    }

    fn is_scope(&self, no: NodeNo, pid: &Pid) -> bool {
        self.nodes[no].scope.as_ref().is_some_and(|scope| scope.pid == *pid)
    }

    fn input(&mut self, no: NodeNo, input: Input) {
        if let Some(scope) = &mut self.nodes[no].scope {
            scope.engine.handle(input);
        }
    }

    fn message(&mut self, no: NodeNo, term: Term) {
        let Some(scope) = &mut self.nodes[no].scope else { return };
        scope.stock.receive(&term);
        let input = match term.as_tuple() {
            Some([tag, cast]) if tag.is_atom("$gen_cast") => Input::Cast(cast.clone()),
            _ => Input::Message(term),
        };
        self.input(no, input);
    }

    fn ended(&mut self, no: NodeNo, id: MonitorId) {
        let Some(scope) = &mut self.nodes[no].scope else { return };
        // An end that was under way when the monitor was taken back is not told.
        let Some((pid, _)) = scope.monitors.remove(&id) else { return };
        scope.stock.down(&pid);
        scope.engine.handle(Input::Down(id));
    }

    // --- What must hold -----------------------------------------------------------------------------------

    /// Each scope knows exactly who is in the groups of its own node and of those that it is connected with.
    fn assert_agreed(&self, seed: u64) {
        for (no, node) in self.nodes.iter().enumerate() {
            let Some(scope) = &node.scope else { continue };
            let mut seen = BTreeSet::new();
            for group in groups() {
                let truth = |no: &NodeNo| {
                    let members = self.nodes[*no].truth.get(&group);
                    members.map(|members| members.iter().cloned().collect::<Vec<_>>()).unwrap_or_default()
                };
                let mut elsewhere: Vec<Pid> = node.links.keys().flat_map(truth).collect();
                elsewhere.sort();
                let mut all = [truth(&no), elsewhere.clone()].concat();
                all.sort();
                let mut members = scope.engine.members(&group);
                members.sort();
                assert_eq!(members, all, "seed {seed}: {} sees {group}", node.name);
                assert_eq!(scope.engine.local_members(&group), truth(&no), "seed {seed}");
                assert_eq!(scope.stock.members(&group), elsewhere, "seed {seed}: a scope of OTP");
                let heard = scope.heard.get(&group).cloned().unwrap_or_default();
                assert_eq!(heard, all.iter().collect(), "seed {seed}: what is told of {group}");
                if !all.is_empty() {
                    seen.insert(group);
                }
            }
            assert_eq!(scope.engine.groups().cloned().collect::<BTreeSet<_>>(), seen, "seed {seed}");
            let others = node.links.keys().filter(|other| self.nodes[**other].scope.is_some()).count();
            let watched = scope.monitors.values().filter(|(_, over)| over.is_some()).count();
            assert_eq!(watched, others, "seed {seed}: each scope there is monitored once");
        }
    }
}

fn groups() -> impl Iterator<Item = Term> {
    (0..GROUPS).map(|n| if n == 0 { Term::atom("plain") } else { etf::tuple!(atom "group", n) })
}

fn some_group(world: &mut World) -> Term {
    let nth = world.below(usize::try_from(GROUPS).expect("few"));
    groups().nth(nth).expect("less than there are")
}

/// Some processes of a node, some of them twice, and now and then a dead one.
fn some_pids(world: &mut World, no: NodeNo) -> Vec<Pid> {
    let mut pids = Vec::new();
    for _ in 0..=world.below(3) {
        let existing = world.nodes[no].processes.len();
        match world.below(10) {
            0 => pids.push(world.new_pid(no)),
            1..=3 => {
                let pid = world.new_pid(no);
                world.nodes[no].processes.insert(pid.clone());
                pids.push(pid);
            }
            _ if existing > 0 => {
                let nth = world.below(existing);
                pids.extend(world.nodes[no].processes.iter().nth(nth).cloned());
            }
            _ => {}
        }
    }
    pids
}

fn step(world: &mut World) {
    let count = world.nodes.len();
    let (no, other) = (world.below(count), world.below(count));
    match world.below(100) {
        0..30 => {
            let (group, join) = (some_group(world), some_pids(world, no));
            world.update(no, vec![Change { group, join, leave: Vec::new() }]);
        }
        30..50 => {
            let (group, leave) = (some_group(world), some_pids(world, no));
            world.update(no, vec![Change { group, join: Vec::new(), leave }]);
        }
        50..55 => {
            let mut changes = Vec::new();
            for _ in 0..=world.below(3) {
                let (group, join, leave) = (some_group(world), some_pids(world, no), some_pids(world, no));
                changes.push(Change { group, join, leave });
            }
            world.update(no, changes);
        }
        55..70 => {
            let existing = world.nodes[no].processes.len();
            if existing > 0 {
                let nth = world.below(existing);
                let pid = world.nodes[no].processes.iter().nth(nth).cloned().expect("there are that many");
                world.kill(no, &pid);
            }
        }
        70..82 => world.connect(no, other),
        82..90 => world.cut(no, other),
        90..93 => world.stop_scope(no),
        93..98 => world.start_scope(no),
        _ => world.crash(no),
    }
}

fn play(seed: u64) {
    let count = 2 + World::new(seed, 0).below(4);
    let mut world = World::new(seed, count);
    for round in 0..3 {
        for _ in 0..60 {
            step(&mut world);
            let time = world.now + world.below(15) as u64;
            world.run(Some(time));
        }
        if round < 2 {
            for no in 0..count {
                world.start_scope(no);
            }
        }
        // Quiet: what is under way arrives, and nothing new begins.
        world.run(None);
        world.assert_agreed(seed);
    }
}

#[test]
fn whoever_is_connected_agrees_after_quiet() {
    if let Ok(seed) = env::var("CRABNODE_TEST_SEED")
        && let Ok(seed) = seed.parse()
    {
        return play(seed);
    }
    let count = env::var("CRABNODE_SIM_SEEDS").ok().and_then(|count| count.parse().ok());
    (0..count.unwrap_or(SEEDS)).for_each(play);
    let new = RandomState::new().hash_one(0);
    eprintln!("CRABNODE_TEST_SEED={new} repeats this");
    play(new);
}
