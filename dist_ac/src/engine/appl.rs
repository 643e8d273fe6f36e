//! What a distributed application is to its peers: the `Appl` record and its parts (dist_ac.md 0).

use std::time::Duration;

use etf::{Atom, Term};

/// One place of the priority list: a node, or nodes of equal priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tier {
    /// This node.
    One(Atom),
    /// Any of these nodes: the one with the fewest running applications.
    Any(Vec<Atom>),
}

impl Tier {
    /// The nodes of this place.
    #[must_use]
    pub fn members(&self) -> &[Atom] {
        match self {
            Self::One(node) => std::slice::from_ref(node),
            Self::Any(nodes) => nodes,
        }
    }
}

/// The priority list of an application: `[node() | {node(), ...}]`, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes(Vec<Tier>);

impl Nodes {
    /// The list of an Erlang term, or nothing where an element is no node and no tuple of nodes.
    #[must_use]
    pub fn from_term(term: &Term) -> Option<Self> {
        let tier = |element: &Term| match element {
            Term::Atom(node) => Some(Tier::One(node.clone())),
            Term::Tuple(nodes) => {
                nodes.iter().map(|node| node.as_atom().cloned()).collect::<Option<_>>().map(Tier::Any)
            }
            _ => None,
        };
        term.as_list()?.iter().map(tier).collect::<Option<_>>().map(Self)
    }

    /// The list as an Erlang term.
    #[must_use]
    pub fn to_term(&self) -> Term {
        let tier = |tier: &Tier| match tier {
            Tier::One(node) => Term::from(node),
            Tier::Any(nodes) => Term::Tuple(nodes.iter().map(Term::from).collect()),
        };
        Term::List(self.0.iter().map(tier).collect())
    }

    /// The places, best first.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.0
    }

    /// Whether no node is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every node named, best first, each once.
    #[must_use]
    pub fn flat(&self) -> Vec<Atom> {
        let mut all: Vec<Atom> = Vec::new();
        for node in self.0.iter().flat_map(Tier::members) {
            if !all.contains(node) {
                all.push(node.clone());
            }
        }
        all
    }

    /// Whether the node is named.
    #[must_use]
    pub fn contains(&self, node: &Atom) -> bool {
        self.0.iter().any(|tier| tier.members().contains(node))
    }

    /// The place of a node: 0 is the best; a node that is not named comes after all that are.
    #[must_use]
    pub fn rank(&self, node: &Atom) -> usize {
        self.0.iter().position(|tier| tier.members().contains(node)).unwrap_or(self.0.len())
    }

    /// How many places hold several nodes: so often a stock node asks for weights in one decision.
    #[must_use]
    pub fn tuples(&self) -> usize {
        self.0.iter().filter(|tier| matches!(tier, Tier::Any(_))).count()
    }

    /// Whether two nodes were given the same list: elements in the same order, the members of a tuple in any
    /// (dist_ac.md 1.1, M2).
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Tier, &Tier)| match (ours, theirs) {
            (Tier::One(a), Tier::One(b)) => a == b,
            (Tier::Any(a), Tier::Any(b)) => sorted(a) == sorted(b),
            _ => false,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

fn sorted(nodes: &[Atom]) -> Vec<&Atom> {
    let mut all: Vec<_> = nodes.iter().collect();
    all.sort();
    all
}

/// How long after the runner's death a standby waits before it starts the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartTime {
    /// So many milliseconds.
    Millis(u64),
    /// It never does.
    Infinity,
}

impl RestartTime {
    /// As a duration; nothing for `infinity`.
    #[must_use]
    pub fn as_duration(self) -> Option<Duration> {
        match self {
            Self::Millis(millis) => Some(Duration::from_millis(millis)),
            Self::Infinity => None,
        }
    }

    /// The time of an Erlang term: an integer of 0 or more, or `infinity`.
    #[must_use]
    pub fn from_term(term: &Term) -> Option<Self> {
        if term.is_atom("infinity") { Some(Self::Infinity) } else { term.as_u64().map(Self::Millis) }
    }

    /// As an Erlang term.
    #[must_use]
    pub fn to_term(self) -> Term {
        match self {
            Self::Millis(millis) => millis.into(),
            Self::Infinity => Term::atom("infinity"),
        }
    }
}

/// One entry of `kernel distributed`: `{App, Nodes}` or `{App, RestartTime, Nodes}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// The application.
    pub app: Atom,
    /// The wait after the runner's death; 0 where none is given.
    pub restart_time: RestartTime,
    /// Who may run it.
    pub nodes: Nodes,
}

/// What a node knows about who runs an application: the `Id` of the record (dist_ac.md 0).
///
/// ```text
///               start request, elected          ac_application_run ok
///   Undefined ──────────────────► RunWaiting ─────────────────► Local
///    ▲  ▲ │ M6 ok from N                ▲                       │   M6 ok from N
///    │  │ └────────────► Distributed(N) │ timer, elected        ▼
///    │  └── M7 ─────────── │  │  │ ▲    │                  Distributed(N)
///    │      nodedown N ◄───┘  │  │ └────┼─ M6 ok from N
///    │                        │  └─► Failover(N) (own permission, after nodedown N)
///    └── start failed ── Takeover ◄ application:takeover/2
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AppId {
    /// Nobody is known to run it.
    #[default]
    Undefined,
    /// The application controller was told to start it; its result is awaited.
    RunWaiting,
    /// It runs here.
    Local,
    /// It runs there, and this node stands by.
    Distributed(Atom),
    /// That node died with it; the timer runs, or the negotiation is not over.
    Failover(Atom),
    /// `application:takeover/2` is under way here.
    Takeover,
}

impl AppId {
    /// What an Erlang term says, or nothing where it is no `Id`.
    #[must_use]
    pub fn from_term(term: &Term) -> Option<Self> {
        Some(match (term.as_atom().map(Atom::as_str), term.as_tuple()) {
            (Some("undefined"), _) => Self::Undefined,
            (Some("run_waiting"), _) => Self::RunWaiting,
            (Some("local"), _) => Self::Local,
            (Some("takeover"), _) => Self::Takeover,
            (_, Some([tag, Term::Atom(node)])) if tag.is_atom("distributed") => {
                Self::Distributed(node.clone())
            }
            (_, Some([tag, Term::Atom(node)])) if tag.is_atom("failover") => Self::Failover(node.clone()),
            _ => return None,
        })
    }

    /// As an Erlang term.
    #[must_use]
    pub fn to_term(&self) -> Term {
        match self {
            Self::Undefined => Term::atom("undefined"),
            Self::RunWaiting => Term::atom("run_waiting"),
            Self::Local => Term::atom("local"),
            Self::Distributed(node) => etf::tuple!(atom "distributed", node),
            Self::Failover(node) => etf::tuple!(atom "failover", node),
            Self::Takeover => Term::atom("takeover"),
        }
    }
}

/// What a node has said of its permission to run an application; `None` is `undefined`: it has not loaded it.
pub type Run = Vec<(Atom, Option<bool>)>;

/// `Run` as an Erlang term.
pub(super) fn run_to_term(run: &Run) -> Term {
    let entry = |(node, permission): &(Atom, Option<bool>)| {
        etf::tuple!(node, permission.map_or(Term::atom("undefined"), Term::from))
    };
    Term::List(run.iter().map(entry).collect())
}

/// The `Appl` record as a peer sends it: `{appl, Name, Id, RestartTime, Nodes, Run}`.
///
/// Only the name and `Run` are ever used by a receiver (dist_ac.md 1.1, the merge rule), so the other fields
/// stay the terms they came as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appl {
    /// The application.
    pub name: Atom,
    /// The sender's [`AppId`].
    pub id: Term,
    /// The sender's [`RestartTime`].
    pub restart_time: Term,
    /// The sender's [`Nodes`].
    pub nodes: Term,
    /// The permissions that the sender knows.
    pub run: Run,
}
