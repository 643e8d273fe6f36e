//! Three nodes and the links between them: what can happen, and what comes of it.

use std::time::Instant;

use crabnode_dist_ac::engine::wire::Message;

use crate::{
    node::{Config, Event, Master, NODES, Parcel},
    tables::{EMPTY, Facts, Tables, fold},
};

/// A cluster that is left alone has settled after far fewer steps.
const SETTLED_AFTER: usize = 1000;

/// Longer than any wait for something that is not over, and shorter than the time between two such questions.
const QUIET_MS: u32 = 20_000;

/// No node.
const DEAD: u32 = u32::MAX;

/// What people and accidents may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Nodes where it may be started, one bit each.
    pub starts: u8,
    pub kills: u8,
    /// A node that boots may start it again.
    pub boots: u8,
    pub takeovers: u8,
    /// Calls of `permit(false)`. Each may be followed by `permit(true)`.
    pub permits: u8,
    /// Each may be followed by a start.
    pub stops: u8,
    pub crashes: u8,
    /// Starts that fail.
    pub failures: u8,
    /// Links that are lost, one at a time; each may come back.
    pub cuts: u8,
    /// Nodes that lose all their links at once.
    pub isolations: u8,
}

impl Budget {
    pub const fn of_each(count: u8) -> Self {
        let (kills, boots, takeovers, permits, stops) = (count, count, count, count, count);
        let (crashes, failures, cuts, isolations) = (count, count, count, count);
        Self { starts: 0, kills, boots, takeovers, permits, stops, crashes, failures, cuts, isolations }
    }
}

/// What has happened so far, as far as the checks have to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    pub died: bool,
    pub lost_link: bool,
    /// By hand, `takeover` and `permit`; or a start failed, and it was started elsewhere.
    pub moved: bool,
    /// Two nodes started it at the same moment: whose start ends last goes on with it.
    pub crossed: bool,
    /// It was stopped or crashed, so that it may run nowhere until somebody starts it.
    pub stopped: bool,
}

/// How one end sees a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Down,
    Up,
    /// It is gone, and the news of that is on its way.
    Stale,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    nodes: [u32; 3],
    /// From, to: first in, first out.
    wires: [[u32; 3]; 3],
    sights: [[Sight; 3]; 3],
    /// Links that are lost, smaller node first.
    cut: [[bool; 3]; 3],
    /// Copies from which somebody else has taken over.
    taken_over: [bool; 3],
    /// Nodes that may be permitted again.
    forbidden: [bool; 3],
    pub past: Past,
    pub budget: Budget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Deliver {
        from: usize,
        to: usize,
    },
    /// The connection is lost with all that is on the wire before the news of it.
    Break {
        from: usize,
        to: usize,
    },
    At(usize, Event),
    /// Nothing is on its way, and time goes by.
    Wait(u32),
    Kill(usize),
    Boot(usize),
    Cut(usize, usize),
    Heal(usize, usize),
    Isolate(usize),
}

/// Whether nothing happens any more; but members of ours ask the stock node that they stand by for now and then whether it
/// still runs it.
pub fn is_quiet(own: &[Action]) -> bool {
    match own {
        [] => true,
        [Action::Wait(millis)] => *millis >= QUIET_MS,
        _ => false,
    }
}

/// What a search needs besides the state of a cluster.
pub struct Context {
    pub tables: Tables,
    pub config: Config,
    now: Instant,
}

impl Context {
    pub fn new(config: Config) -> Self {
        #[expect(clippy::disallowed_methods, reason = "time is counted from some instant")]
        let now = Instant::now();
        Self { tables: Tables::new(), config, now }
    }
}

impl Cluster {
    /// Three nodes that boot at the same time.
    pub fn booting(context: &mut Context) -> Self {
        let mut cluster = Self {
            nodes: [DEAD; 3],
            wires: [[EMPTY; 3]; 3],
            sights: [[Sight::Down; 3]; 3],
            cut: [[false; 3]; 3],
            taken_over: [false; 3],
            forbidden: [false; 3],
            past: Past::default(),
            budget: Budget::of_each(0),
        };
        for node in 0..3 {
            cluster.boot(context, node);
        }
        cluster
    }

    /// Three nodes that know each other, to which this has happened, one thing after the other.
    pub fn settled(context: &mut Context, story: &[Action]) -> Self {
        let mut cluster = Self::booting(context);
        cluster.settle(context);
        for action in story {
            cluster.budget = Budget { starts: 0b111, ..Budget::of_each(1) };
            cluster = cluster.after(context, *action).expect("one thing alone");
            cluster.settle(context);
        }
        cluster
    }

    /// One order of events among all, until nothing is left to happen.
    fn settle(&mut self, context: &mut Context) {
        for _ in 0..SETTLED_AFTER {
            let actions = self.own_actions(context);
            if is_quiet(&actions) {
                return;
            }
            let action = actions[0];
            *self = self.after(context, action).expect("one thing after the other");
        }
        panic!("it never comes to rest: {:?}\n{}", self.own_actions(context), self.dump(context));
    }

    /// All of it, as a number that depends on that one.
    pub fn hash(&self, key: u64) -> u64 {
        let words = self
            .bytes()
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
            .fold(key, |hash, word| fold(hash ^ word, 0x9E37_79B9_7F4A_7C15));
        fold(words ^ key, 0xD6E8_FEB8_6659_FD93)
    }

    fn bytes(&self) -> [u8; 96] {
        let mut key = [0; 96];
        let words = self.nodes.iter().chain(self.wires.iter().flatten());
        for (place, word) in key.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let Past { died, lost_link, moved, crossed, stopped } = self.past;
        let Budget { starts, kills, boots, takeovers, permits, stops, crashes, failures, cuts, isolations } =
            self.budget;
        let sights = self.sights.iter().flatten().map(|sight| *sight as u8);
        let flags = self.cut.iter().flatten().chain(&self.taken_over).chain(&self.forbidden);
        let past = [died, lost_link, moved, crossed, stopped].map(u8::from);
        let budget = [starts, kills, boots, takeovers, permits, stops, crashes, failures, cuts, isolations];
        let bytes = sights.chain(flags.map(|flag| u8::from(*flag))).chain(past).chain(budget);
        for (place, byte) in key[48..].iter_mut().zip(bytes) {
            *place = byte;
        }
        key
    }

    pub fn alive(&self) -> impl Iterator<Item = usize> {
        (0..3).filter(|node| self.nodes[*node] != DEAD)
    }

    /// What is to be known of a node that lives.
    pub fn facts(&self, context: &Context, node: usize) -> Facts {
        context.tables.facts(self.nodes[node])
    }

    pub fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cut[one.min(other)][one.max(other)]
    }

    fn is_connected(&self, node: usize) -> bool {
        let mut others = self.alive().filter(|other| *other != node && !self.is_cut(node, *other));
        others.all(|other| self.sights[node][other] == Sight::Up)
    }

    fn is_alive(&self, node: usize) -> bool {
        self.nodes[node] != DEAD
    }

    /// What happens by itself, sooner or later.
    pub fn own_actions(&self, context: &Context) -> Vec<Action> {
        let mut actions = Vec::new();
        let (mut silent, mut next) = (true, None::<u32>);
        for (from, wires) in self.wires.iter().enumerate() {
            for (to, wire) in wires.iter().enumerate().filter(|(_, wire)| **wire != EMPTY) {
                silent = false;
                actions.push(Action::Deliver { from, to });
                if context.tables.on_wire(*wire)[1..].contains(&context.tables.node_down) {
                    actions.push(Action::Break { from, to });
                }
            }
        }
        for node in self.alive() {
            let facts = self.facts(context, node);
            match facts.master {
                Master::Starting => actions.push(Action::At(node, Event::MasterStarted)),
                Master::Stopping => actions.push(Action::At(node, Event::MasterStopped)),
                Master::Down | Master::Up => {}
            }
            // A node that starts it before it is connected to anybody starts a second copy: the startup synchronisation is
            // there for that. Where links are lost it may be what it likes, as copies meet all the same.
            let alone = self.past.lost_link && facts.stock.is_none();
            if !facts.go && (alone || self.is_connected(node)) {
                actions.push(Action::At(node, Event::Go));
            }
            match facts.due {
                Some(0) => {
                    silent = false;
                    actions.push(Action::At(node, Event::Timeout));
                }
                Some(due) => next = Some(next.map_or(due, |next| next.min(due))),
                None => {}
            }
        }
        actions.extend(next.filter(|_| silent).map(Action::Wait));
        actions
    }

    /// What people and accidents may do now.
    pub fn budgeted(&self, context: &Context) -> Vec<Action> {
        let (budget, mut actions) = (&self.budget, Vec::new());
        for node in 0..3 {
            let at = |event| Action::At(node, event);
            if !self.is_alive(node) {
                actions.extend((budget.boots > 0).then_some(Action::Boot(node)));
                continue;
            }
            let facts = self.facts(context, node);
            let mut may = |able: bool, action| actions.extend(able.then_some(action));
            may(budget.starts & 1 << node != 0 && facts.go && !facts.started, at(Event::Start));
            may(budget.kills > 0, Action::Kill(node));
            let stands_by = matches!(facts.knows, crate::tables::Knows::RunsAt(_));
            may(budget.takeovers > 0 && stands_by, at(Event::Takeover));
            may(budget.permits > 0 && facts.started && facts.permitted, at(Event::Permit(false)));
            may(self.forbidden[node] && !facts.permitted, at(Event::Permit(true)));
            may(budget.stops > 0 && facts.started, at(Event::Stop));
            may(budget.crashes > 0 && facts.master == Master::Up, at(Event::Crash));
            may(budget.failures > 0 && facts.master == Master::Starting, at(Event::MasterFailed));
            may(budget.isolations > 0, Action::Isolate(node));
            for other in (0..node).filter(|other| self.is_alive(*other)) {
                may(budget.cuts > 0 && !self.is_cut(other, node), Action::Cut(other, node));
                may(self.is_cut(other, node), Action::Heal(other, node));
            }
        }
        actions
    }

    /// The cluster after that; or what must not be.
    pub fn after(mut self, context: &mut Context, action: Action) -> Result<Self, String> {
        match action {
            Action::Deliver { from, to } => self.deliver(context, from, to)?,
            Action::Break { from, to } => {
                let (tables, wire) = (&mut context.tables, &mut self.wires[from][to]);
                let lost = tables.on_wire(*wire).iter().position(|parcel| *parcel == tables.node_down);
                *wire = tables.skip(*wire, lost.expect("a connection that is gone"));
                self.deliver(context, from, to)?;
            }
            Action::At(node, event) => {
                self.pay(node, event);
                self.handle(context, node, event)?;
            }
            Action::Wait(millis) => {
                for node in self.alive().collect::<Vec<_>>() {
                    self.handle(context, node, Event::Wait(millis))?;
                }
            }
            Action::Kill(node) => {
                self.budget.kills -= 1;
                self.past.died = true;
                self.kill(context, node);
            }
            Action::Boot(node) => {
                self.budget.boots -= 1;
                self.budget.starts |= 1 << node;
                self.boot(context, node);
            }
            Action::Cut(one, other) => {
                self.budget.cuts -= 1;
                self.cut(context, one, other);
            }
            Action::Isolate(node) => {
                self.budget.isolations -= 1;
                for other in (0..3).filter(|other| *other != node) {
                    self.cut(context, node.min(other), node.max(other));
                }
            }
            Action::Heal(one, other) => {
                self.cut[one][other] = false;
                self.connect(context, one, other);
            }
        }
        Ok(self)
    }

    fn pay(&mut self, node: usize, event: Event) {
        let (budget, past) = (&mut self.budget, &mut self.past);
        match event {
            Event::Start => budget.starts &= !(1 << node),
            Event::Takeover => (budget.takeovers, past.moved) = (budget.takeovers - 1, true),
            Event::Permit(false) => {
                (budget.permits, past.moved) = (budget.permits - 1, true);
                self.forbidden[node] = true;
            }
            Event::Permit(true) => self.forbidden[node] = false,
            Event::Stop => {
                (budget.stops, past.stopped) = (budget.stops - 1, true);
                budget.starts |= 1 << node;
            }
            Event::Crash => (budget.crashes, past.stopped) = (budget.crashes - 1, true),
            Event::MasterFailed => (budget.failures, past.moved) = (budget.failures - 1, true),
            _ => {}
        }
    }

    fn deliver(&mut self, context: &mut Context, from: usize, to: usize) -> Result<(), String> {
        let tables = &mut context.tables;
        let parcel = tables.on_wire(self.wires[from][to])[0];
        self.wires[from][to] = tables.skip(self.wires[from][to], 1);
        match tables.parcel_at(parcel) {
            Parcel::NodeUp => self.sights[to][from] = Sight::Up,
            Parcel::NodeDown => self.sights[to][from] = Sight::Down,
            _ => {}
        }
        self.handle(context, to, Event::Parcel(from, parcel))
    }

    fn handle(&mut self, context: &mut Context, node: usize, event: Event) -> Result<(), String> {
        let before = self.facts(context, node).master;
        let step = context.tables.step(self.nodes[node], event);
        self.nodes[node] = step.node;
        for (to, parcel) in step.sends.iter() {
            if self.sights[node][*to] == Sight::Up && self.is_alive(*to) {
                self.wires[node][*to] = context.tables.push(self.wires[node][*to], *parcel);
            }
        }
        let up = |at: &usize| *at != node && self.facts(context, *at).master == Master::Up;
        let others: Vec<usize> = self.alive().filter(up).collect();
        match self.facts(context, node).master {
            Master::Up if before != Master::Up => others.iter().for_each(|at| self.taken_over[*at] = true),
            Master::Up => {}
            _ => self.taken_over[node] = false,
        }
        if step.halts {
            return Err(format!("{} halts", NODES[node]));
        }
        let starting = |at: &usize| *at != node && self.facts(context, *at).master == Master::Starting;
        self.past.crossed |=
            step.starts_afresh && (self.alive().any(|at| starting(&at)) || !others.is_empty());
        let second = others.iter().find(|at| !self.taken_over[**at] && !self.is_excused(context, **at, node));
        match second {
            // A stock node knows what it knew before it was blocked.
            Some(at) if step.starts_afresh && context.config.stock.is_none() => {
                Err(format!("{} starts it, and it is up at {}", NODES[node], NODES[*at]))
            }
            _ => Ok(()),
        }
    }

    /// Whether a node need not know that it is up elsewhere: a link was lost; or, after a death, somebody asks for a takeover
    /// at one node while another one fails over, and the news of the one is on its way to the other. Nobody is asked before
    /// a failover, so it is too late for that. Once quiet there is one copy all the same.
    fn is_excused(&self, context: &Context, runner: usize, node: usize) -> bool {
        let tables = &context.tables;
        let mut coming =
            tables.on_wire(self.wires[runner][node]).iter().map(|parcel| tables.parcel_at(*parcel));
        let news = |parcel: &Parcel| matches!(parcel, Parcel::Message(Message::AppStarted { .. }));
        self.past.lost_link || (self.past.died && self.past.moved && coming.any(news))
    }

    fn boot(&mut self, context: &mut Context, node: usize) {
        self.nodes[node] = context.tables.boot(node, &context.config, context.now);
        for other in (0..3).filter(|other| *other != node && self.is_alive(*other)).collect::<Vec<_>>() {
            if !self.is_cut(node, other) {
                self.connect(context, node, other);
            }
        }
    }

    fn kill(&mut self, context: &mut Context, node: usize) {
        self.nodes[node] = DEAD;
        (self.taken_over[node], self.forbidden[node]) = (false, false);
        for other in (0..3).filter(|other| *other != node).collect::<Vec<_>>() {
            self.wires[other][node] = EMPTY;
            self.sights[node][other] = Sight::Down;
            self.disconnect(context, node, other);
        }
    }

    fn cut(&mut self, context: &mut Context, one: usize, other: usize) {
        self.cut[one][other] = true;
        self.past.lost_link = true;
        self.disconnect(context, one, other);
        self.disconnect(context, other, one);
    }

    fn connect(&mut self, context: &mut Context, one: usize, other: usize) {
        let tables = &mut context.tables;
        self.wires[one][other] = tables.push(self.wires[one][other], tables.node_up);
        self.wires[other][one] = tables.push(self.wires[other][one], tables.node_up);
    }

    /// What was sent still arrives, or a part of that; then the news that the connection is gone. One of which the
    /// receiver does not know yet never was.
    fn disconnect(&mut self, context: &mut Context, from: usize, to: usize) {
        if !self.is_alive(to) {
            return;
        }
        let (tables, wire) = (&mut context.tables, &mut self.wires[from][to]);
        let parcels = tables.on_wire(*wire);
        if let Some(new) = parcels.iter().rposition(|parcel| *parcel == tables.node_up) {
            let kept = parcels[..new].to_vec();
            *wire = tables.wire(&kept);
        } else if self.sights[to][from] == Sight::Up {
            *wire = tables.push(*wire, tables.node_down);
            self.sights[to][from] = Sight::Stale;
        }
    }

    /// What an action is about, and everybody as they are.
    pub fn describe(&self, context: &Context, action: Action) -> String {
        let tables = &context.tables;
        match action {
            Action::Deliver { from, to } => {
                let parcel = tables.parcel_at(tables.on_wire(self.wires[from][to])[0]);
                format!("{} < {} {parcel:?}", NODES[to], NODES[from])
            }
            Action::Break { from, to } => format!("{} < {} breaks", NODES[to], NODES[from]),
            Action::At(node, event) => format!("{} {event:?}", NODES[node]),
            other => format!("{other:?}"),
        }
    }

    pub fn dump(&self, context: &Context) -> String {
        let nodes =
            self.alive().map(|node| format!("{}: {:#?}\n", NODES[node], self.state_of(context, node)));
        nodes.collect()
    }

    fn state_of<'a>(&self, context: &'a Context, node: usize) -> &'a crate::node::Node {
        context.tables.node(self.nodes[node])
    }
}
