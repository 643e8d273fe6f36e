//! What a simulated cluster is made of, and what can happen to it.

use std::collections::BTreeSet;

use crabnode_dist_ac::{
    application::spec::{Spec, StartSpec},
    engine::appl::{Distribution, Nodes, RestartTime},
    heal::Heal,
};
use etf::{Atom, Term};

/// How the world behaves.
#[derive(Debug, Clone)]
pub struct World {
    pub nodes: usize,
    /// The nodes whose `dist_ac` is the model of OTP's; the others are ours.
    pub stock: BTreeSet<usize>,
    pub apps: Vec<App>,
    /// Nodes of ours that heal stock nodes as well (`cluster`); the others heal what concerns them (`self`).
    pub healers: BTreeSet<usize>,
    /// Longest delay of a message, in milliseconds.
    pub delay_max: u64,
    /// Longest start and stop of an application, in milliseconds.
    pub start_max: u64,
    /// Percent of starts that fail.
    pub failing: u64,
}

#[derive(Debug, Clone)]
pub struct App {
    pub name: Atom,
    pub restart_time: u64,
    pub tiers: Vec<Vec<usize>>,
    pub phases: bool,
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
    /// From now on so many percent of the starts fail.
    Failing {
        percent: u64,
    },
}

impl World {
    /// All nodes ours, short delays, and nothing fails.
    pub fn new(nodes: usize, apps: Vec<App>) -> Self {
        let (stock, healers) = (BTreeSet::new(), BTreeSet::new());
        Self { nodes, stock, apps, healers, delay_max: 5, start_max: 20, failing: 0 }
    }

    pub fn with_stock(mut self, nodes: &[usize]) -> Self {
        self.stock.extend(nodes);
        self
    }

    pub fn is_stock(&self, node: usize) -> bool {
        self.stock.contains(&node)
    }

    /// How much a node of ours heals.
    pub fn heal(&self, node: usize) -> Heal {
        if self.healers.contains(&node) { Heal::Cluster } else { Heal::Own }
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

    pub fn distribution(&self) -> Distribution {
        let restart_time = RestartTime::Millis(self.restart_time);
        Distribution { app: self.name.clone(), restart_time, nodes: self.nodes() }
    }

    pub fn spec(&self) -> Spec {
        let mut spec = Spec::new(self.name.clone());
        spec.start = Some(StartSpec { module: Atom::from("mod"), args: Term::NIL });
        spec.start_phases = self.phases.then(Vec::new);
        spec.applications = vec![Atom::from("kernel"), Atom::from("stdlib")];
        spec
    }
}

/// The name of a node: `a@h` is the first.
pub fn name(node: usize) -> Atom {
    Atom::from(format!("{}@h", (b'a' + u8::try_from(node).unwrap()) as char).as_str())
}

pub fn index(node: &Atom) -> usize {
    usize::from(node.as_str().as_bytes()[0] - b'a')
}

/// A link, smaller index first.
pub fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
