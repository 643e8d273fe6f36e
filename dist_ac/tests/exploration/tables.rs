//! Every node, parcel and wire that was ever seen, once each, under a number; and what each node does about each event.
//!
//! A cluster is then a handful of numbers. It gets into very many states, but each of its nodes into few, so most steps
//! are looked up here and no engine is asked.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    rc::Rc,
};

use crabnode_dist_ac::engine::appl::AppId;

use crate::{
    node::{Config, Event, Master, Node, Parcel, index},
    stock::{Stock, Wait},
};

/// What the search and its checks ask of a node again and again.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub master: Master,
    pub go: bool,
    pub started: bool,
    pub permitted: bool,
    pub knows: Knows,
    /// It is a stock node, and whether it is blocked.
    pub stock: Option<Blocked>,
    /// Callers wait: for a start, for something else.
    pub callers: (bool, bool),
    /// When a timer is due, in milliseconds from now.
    pub due: Option<u32>,
}

/// How a stock node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    No,
    Yes,
    /// It waits for the weight of this one.
    Weight(usize),
}

/// What a node knows of who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knows {
    RunsHere,
    RunsAt(usize),
    Other,
}

/// What comes of an event at a node.
#[derive(Debug, Clone)]
pub struct Step {
    pub node: u32,
    pub sends: Rc<[(usize, u32)]>,
    pub starts_afresh: bool,
    pub halts: bool,
}

/// A wire on which nothing is.
pub const EMPTY: u32 = 0;

pub struct Tables {
    hashers: [RandomState; 2],
    nodes: Vec<(Node, Facts)>,
    /// By a hash of 128 bits.
    node_numbers: HashMap<[u64; 2], u32>,
    parcels: Vec<Parcel>,
    parcel_numbers: HashMap<String, u32>,
    wires: Vec<Box<[u32]>>,
    wire_numbers: HashMap<Box<[u32]>, u32>,
    /// By wire and parcel.
    pushed: Quick<u32>,
    /// By wire and count.
    skipped: Quick<u32>,
    /// By node and event.
    steps: Quick<Step>,
    pub node_up: u32,
    pub node_down: u32,
}

impl Tables {
    pub fn new() -> Self {
        let mut tables = Self {
            hashers: [RandomState::new(), RandomState::new()],
            nodes: Vec::new(),
            node_numbers: HashMap::new(),
            parcels: Vec::new(),
            parcel_numbers: HashMap::new(),
            wires: Vec::new(),
            wire_numbers: HashMap::new(),
            pushed: Quick::default(),
            skipped: Quick::default(),
            steps: Quick::default(),
            node_up: 0,
            node_down: 0,
        };
        assert_eq!(tables.wire(&[]), EMPTY);
        tables.node_up = tables.parcel(Parcel::NodeUp);
        tables.node_down = tables.parcel(Parcel::NodeDown);
        tables
    }

    pub fn boot(&mut self, node: usize, config: &Config, now: std::time::Instant) -> u32 {
        self.intern(Node::new(node, config, now))
    }

    pub fn facts(&self, node: u32) -> Facts {
        self.nodes[node as usize].1
    }

    pub fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize].0
    }

    pub fn parcel_at(&self, number: u32) -> &Parcel {
        &self.parcels[number as usize]
    }

    pub fn on_wire(&self, wire: u32) -> &[u32] {
        &self.wires[wire as usize]
    }

    /// How many nodes and steps of nodes there are.
    pub fn sizes(&self) -> (usize, usize) {
        (self.nodes.len(), self.steps.len())
    }

    pub fn step(&mut self, number: u32, event: Event) -> Step {
        let key = pair(number, event.code());
        if let Some(step) = self.steps.get(&key) {
            return step.clone();
        }
        let mut node = self.node(number).clone();
        let parcel = match event {
            Event::Parcel(_, parcel) => Some(self.parcel_at(parcel)),
            _ => None,
        };
        let outcome = node.handle(event, parcel);
        let sends = outcome.sends.into_iter().map(|(to, parcel)| (to, self.parcel(parcel))).collect();
        let (starts_afresh, halts) = (outcome.starts_afresh, outcome.halts);
        let step = Step { node: self.intern(node), sends, starts_afresh, halts };
        self.steps.insert(key, step.clone());
        step
    }

    pub fn wire(&mut self, parcels: &[u32]) -> u32 {
        if let Some(number) = self.wire_numbers.get(parcels) {
            return *number;
        }
        let number = next(self.wires.len());
        self.wires.push(parcels.into());
        self.wire_numbers.insert(parcels.into(), number);
        number
    }

    /// With one more at the end.
    pub fn push(&mut self, wire: u32, parcel: u32) -> u32 {
        if let Some(number) = self.pushed.get(&pair(wire, parcel)) {
            return *number;
        }
        let parcels = [self.on_wire(wire), &[parcel]].concat();
        let number = self.wire(&parcels);
        self.pushed.insert(pair(wire, parcel), number);
        number
    }

    /// Without so many at the front.
    pub fn skip(&mut self, wire: u32, count: usize) -> u32 {
        let key = pair(wire, next(count));
        if let Some(number) = self.skipped.get(&key) {
            return *number;
        }
        let rest = self.on_wire(wire)[count..].to_vec();
        let number = self.wire(&rest);
        self.skipped.insert(key, number);
        number
    }

    fn intern(&mut self, node: Node) -> u32 {
        let key = node.key();
        let hash = [self.hashers[0].hash_one(&key), self.hashers[1].hash_one(&key)];
        if let Some(number) = self.node_numbers.get(&hash) {
            return *number;
        }
        let number = next(self.nodes.len());
        let facts = facts(&node);
        self.nodes.push((node, facts));
        self.node_numbers.insert(hash, number);
        number
    }

    fn parcel(&mut self, parcel: Parcel) -> u32 {
        let key = format!("{parcel:?}");
        let number = next(self.parcels.len());
        let parcels = &mut self.parcels;
        *self.parcel_numbers.entry(key).or_insert_with(|| {
            parcels.push(parcel);
            number
        })
    }
}

/// By two numbers in one. Most of the time goes into looking up, and the tests are not optimised.
type Quick<T> = HashMap<u64, T, BuildHasherDefault<Mixed>>;

fn pair(one: u32, other: u32) -> u64 {
    u64::from(one) << 32 | u64::from(other)
}

/// Two numbers in one.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = fold(number, 0x9E37_79B9_7F4A_7C15);
    }
}

/// All bits of both count in all bits of the result.
pub fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = [product as u64, (product >> 64) as u64];
    halves[0] ^ halves[1]
}

fn next(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than that")
}

fn facts(node: &Node) -> Facts {
    Facts {
        master: node.master,
        go: node.go,
        started: node.started,
        permitted: node.is_permitted(),
        knows: match node.id() {
            AppId::Local => Knows::RunsHere,
            AppId::Distributed(node) => Knows::RunsAt(index(&node)),
            _ => Knows::Other,
        },
        stock: node.stock().map(blocked),
        callers: node.callers(),
        due: node.due(),
    }
}

fn blocked(stock: &Stock) -> Blocked {
    match (stock.waits_for(), stock.awaited()) {
        (Wait::Weight(..), Some((_, node))) => Blocked::Weight(index(node)),
        _ if stock.is_blocked() => Blocked::Yes,
        _ => Blocked::No,
    }
}
