//! Random clusters, and random lives that they lead.

use crabnode_dist_ac::engine::appl::AppId;

use crate::sim::{App, Call, Op, Rng, Sim, World, name};

/// What may happen in a life, and to whom.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub stock: Stock,
    /// Takeovers and permissions.
    pub moves: bool,
    /// Crashes, failing starts, and stops everywhere; each with a start everywhere after it.
    pub stops: bool,
    /// Links go down and come back: cuts, flaps, splits.
    pub links: bool,
    /// Some of ours heal the others with `cluster`, and one of those lives in the end.
    pub healed: bool,
}

/// How many members are stock nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    None,
    One,
    /// At least two, and at least one of ours.
    Several,
}

/// A cluster that has been through something, and was left alone for a while after it.
pub struct Life {
    pub kind: &'static Kind,
    pub sim: Sim,
    /// Messages that each node had sent in the middle of the quiet time.
    pub sent_before: Vec<u64>,
    /// How long that was, up to the end.
    pub quiet_seconds: u64,
    /// How many things happened.
    pub events: u64,
    /// Nodes of ours that did not answer a call at once, and when.
    pub deaf: Vec<(usize, u64)>,
    /// It was given up, because messages would not end.
    pub stormy: bool,
}

/// How long the cluster is left alone: longer than the waits that our engine has, of which there can be several one after
/// the other where stock nodes are blocked.
const QUIET_MS: u64 = 400_000;

/// The same where somebody heals: he asks every node every second, so it is as long as his waits and no longer.
const QUIET_HEALED_MS: u64 = 200_000;

impl Life {
    pub fn live(kind: &'static Kind, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let world = world(kind, &mut rng);
        let mut story = Story { kind, world: &world, ops: Vec::new(), end: 0, interrupted: 0 };
        let events = rng.between(0, 12);
        story.write(&mut rng, events);
        let (mut ops, quiet_from) = (story.ops, story.end);
        ops.sort_by_key(|(at, _)| *at);
        let events = ops.len() as u64;
        let mut sim = Sim::new(seed ^ 0xABCD, world);
        sim.steps_max = 300_000;
        let mut life = Self {
            kind,
            sim,
            sent_before: Vec::new(),
            quiet_seconds: 0,
            events,
            deaf: Vec::new(),
            stormy: false,
        };
        for (at, op) in ops {
            life.run_until(at);
            life.sim.at(at, op);
            life.ask();
        }
        let mut quiet = if kind.healed { QUIET_HEALED_MS } else { QUIET_MS };
        life.run_until(quiet_from + quiet / 2);
        life.sent_before = life.sim.sent.clone();
        life.run_until(quiet_from + quiet);
        // Who waits for many is told about one after the other, with a longer wait each time.
        if kind.healed && life.sim.alive().into_iter().any(|node| life.is_blocked(node)) {
            quiet *= 2;
            life.run_until(quiet_from + quiet);
        }
        life.quiet_seconds = quiet / 1000;
        life.ask();
        life
    }

    pub fn apps(&self) -> std::ops::Range<usize> {
        0..self.sim.world.apps.len()
    }

    /// Living nodes that may run it.
    pub fn candidates(&self, app: usize) -> Vec<usize> {
        self.sim.alive().into_iter().filter(|node| self.sim.may_run(*node, app)).collect()
    }

    /// Several stock nodes do to each other what they like, and one that is blocked runs, stops and tells nothing. One
    /// alone can be: it waits for a node that it elected before another one booted, and that elected the other one
    /// (dist_ac.md 6, L6).
    pub fn is_up_to_stock(&self) -> bool {
        let blocked = |node: &usize| self.is_blocked(*node);
        !self.kind.healed && (self.kind.stock == Stock::Several || self.sim.alive().iter().any(blocked))
    }

    /// Somebody at a stock node who called `permit` or `takeover` waits for ever, and holds the lock meanwhile that every
    /// start needs, and every boot (dist_ac.md 1.3, L18): nothing that `dist_ac` reads makes him give it back.
    pub fn is_up_to_a_person(&self) -> bool {
        self.kind.healed && (self.sim.is_locked_by_caller() || self.waits_for_a_start())
    }

    /// A stock node waits for one where a start was refused, so that somebody has to start it there again (L6).
    fn waits_for_a_start(&self) -> bool {
        let stock = self.sim.alive().into_iter().filter(|node| !self.is_ours(*node));
        let mut awaited = stock.filter_map(|node| self.sim.stock(node).awaited());
        awaited.any(|(app, node)| {
            let app = self.sim.world.apps.iter().position(|other| other.name == *app);
            let node = self.sim.alive().into_iter().find(|other| name(*other) == *node);
            app.zip(node).is_some_and(|(app, node)| self.is_refused(node, app))
        })
    }

    /// A caller at a node of ours waits for the weight of a stock node, or for its start, and the start there was refused: it
    /// takes no part before somebody starts it there (L6), and it does not say so.
    pub fn awaits_a_start(&self, app: usize) -> bool {
        let alive = self.sim.alive();
        let waits = |node: &usize| self.is_ours(*node) && self.start_waits(*node, app);
        let refused = |node: &usize| !self.is_ours(*node) && self.is_refused(*node, app);
        alive.iter().any(waits) && alive.iter().any(refused)
    }

    /// Its last start was answered with an error at every node of ours that may run it: for them it is not started. What
    /// failed at stock nodes nobody else tries again (dist_ac.md 6, L19). Others of ours may wait for one of them, as it goes
    /// before them: for what it is to start somebody has to start there (L6).
    pub fn has_failed(&self, app: usize) -> bool {
        let ours: Vec<usize> = self.candidates(app).into_iter().filter(|node| self.is_ours(*node)).collect();
        let list = self.sim.world.apps[app].nodes();
        let failed: Vec<usize> = ours.iter().copied().filter(|node| self.start_failed(*node, app)).collect();
        let best = failed.iter().map(|node| list.rank(&name(*node))).min();
        let behind = |node: &usize| best.is_some_and(|best| best <= list.rank(&name(*node)));
        let over = |node: &usize| failed.contains(node) || (behind(node) && self.start_waits(*node, app));
        self.kind.healed && !failed.is_empty() && ours.iter().all(over)
    }

    fn start_failed(&self, node: usize, app: usize) -> bool {
        let start = format!("Start {{ app: {}", self.sim.world.apps[app].name);
        let starts = |call: &&Call| call.node == node && call.what.starts_with(&start);
        let reply = self.sim.calls.iter().rfind(starts).and_then(|call| self.sim.reply(node, call.number));
        let error = reply.and_then(|reply| reply.as_tuple()).and_then(|reply| reply.get(1));
        // One of a start that failed is {Node, Reason}, and one of a start that was refused {already_started, App}.
        let by = error.and_then(|error| error.as_tuple()?.first()?.as_atom().cloned());
        by.is_some_and(|by| (0..self.sim.world.nodes).any(|node| name(node) == by))
    }

    fn start_waits(&self, node: usize, app: usize) -> bool {
        let start = format!("Start {{ app: {}", self.sim.world.apps[app].name);
        self.sim.unanswered().iter().any(|call| call.node == node && call.what.starts_with(&start))
    }

    /// It was stopped at a node, and the start after that was refused: the news of a start came in between, so the
    /// application controller takes it for running elsewhere, and `dist_ac` was never asked (dist_ac.md 6, L22).
    pub fn is_refused(&self, node: usize, app: usize) -> bool {
        let app_name = &self.sim.world.apps[app].name;
        let told = match self.is_ours(node) {
            true => self.sim.id(node, app) != AppId::Undefined,
            false => self.sim.stock(node).is_started(app_name),
        };
        self.kind.healed && !told && !self.start_waits(node, app)
    }

    /// A stock node that serves nothing.
    pub fn is_blocked(&self, node: usize) -> bool {
        !self.is_ours(node) && self.sim.stock(node).is_blocked()
    }

    pub fn is_ours(&self, node: usize) -> bool {
        !self.sim.world.is_stock(node)
    }

    fn run_until(&mut self, until: u64) {
        // Stock nodes can send to each other without end (dist_ac.md 6, L12 and L13).
        self.stormy |= !self.sim.try_run_until(until);
    }

    /// Calls every node of ours.
    fn ask(&mut self) {
        for node in self.sim.alive() {
            if self.is_ours(node) && !self.sim.answers(node) {
                self.deaf.push((node, self.sim.now()));
            }
        }
    }
}

/// Two to six nodes, one to four applications, each with a random priority list of some or all nodes.
fn world(kind: &Kind, rng: &mut Rng) -> World {
    let least = if kind.stock == Stock::Several { 3 } else { 2 };
    let nodes = usize::try_from(rng.between(least, 6)).unwrap();
    let count = rng.between(1, 4);
    let apps = (0..count).map(|number| {
        let mut tiers: Vec<Vec<usize>> = Vec::new();
        for node in shuffled(nodes, rng) {
            match tiers.last_mut() {
                Some(tier) if rng.chance(40) => tier.push(node),
                _ => tiers.push(vec![node]),
            }
        }
        let tiers: Vec<&[usize]> = tiers.iter().map(Vec::as_slice).collect();
        let mut app = App::new(&format!("app{number}"), rng.between(0, 3000), &tiers);
        app.phases = rng.chance(30);
        app
    });
    let mut world = World::new(nodes, apps.collect());
    world.delay_max = rng.between(1, 50);
    world.start_max = rng.between(1, 300);
    let stock = match kind.stock {
        Stock::None => 0,
        Stock::One => 1,
        Stock::Several => usize::try_from(rng.between(2, nodes as u64 - 1)).unwrap(),
    };
    world.stock = shuffled(nodes, rng).into_iter().take(stock).collect();
    if kind.healed {
        let ours: Vec<usize> = (0..nodes).filter(|node| !world.is_stock(*node)).collect();
        let sure = ours[rng.below(ours.len())];
        world.healers = ours.into_iter().filter(|node| *node == sure || rng.chance(40)).collect();
    }
    world
}

fn shuffled(nodes: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..nodes).collect();
    for at in (1..nodes).rev() {
        order.swap(at, rng.below(at + 1));
    }
    order
}

struct Story<'a> {
    kind: &'a Kind,
    world: &'a World,
    ops: Vec<(u64, Op)>,
    /// When the last thing happens.
    end: u64,
    /// When the last interruption is over. One in the middle of another could stop it at the runner alone, and a start
    /// at those that stand by would be refused, as at stock nodes (dist_ac.md 6, L22).
    interrupted: u64,
}

impl Story<'_> {
    /// Boots everybody and starts everything; then lets things happen.
    fn write(&mut self, rng: &mut Rng, events: u64) {
        let (nodes, apps) = (self.world.nodes, self.world.apps.len());
        for node in 0..nodes {
            let at = rng.between(0, 500);
            self.boot(rng, at, node);
        }
        let mut dead = vec![false; nodes];
        let mut at = 4000;
        for _ in 0..events {
            at += rng.between(1, 4000);
            let (node, app) = (rng.below(nodes), rng.below(apps));
            match rng.between(0, 11) {
                _ if dead[node] => {
                    dead[node] = false;
                    self.boot(rng, at, node);
                }
                0..=4 => {
                    dead[node] = true;
                    self.put(at, Op::Kill { node });
                }
                5 | 6 if self.kind.moves => self.put(at, Op::Takeover { node, app }),
                7 if self.kind.moves => {
                    self.put(at, Op::Permit { node, app, permission: false });
                    self.put(at + rng.between(1, 6000), Op::Permit { node, app, permission: true });
                }
                8 | 9 if self.kind.links => self.lose_links(rng, at),
                10 | 11 if self.kind.stops && at > self.interrupted => self.interrupt(rng, at, node, app),
                _ => {}
            }
        }
        // Whoever is dead stays dead, but for a healer; cut links are whole at the end.
        if let Some(healer) = self.world.healers.first()
            && self.world.healers.iter().all(|node| dead[*node])
        {
            self.boot(rng, at + 1000, *healer);
        }
        let end = self.end.max(at) + 1;
        for one in 0..nodes {
            for other in 0..one {
                self.put(end, Op::Heal { one, other });
            }
        }
    }

    fn put(&mut self, at: u64, op: Op) {
        self.end = self.end.max(at);
        self.ops.push((at, op));
    }

    fn boot(&mut self, rng: &mut Rng, at: u64, node: usize) {
        // A stock node that is ready before it is connected stays a stranger for ever (dist_ac.md 2.5); one of ours
        // starts what others run, and settles it with them when it meets them.
        let alone = self.kind.links && !self.world.is_stock(node);
        let connected = if alone { 0 } else { 2 * self.world.delay_max };
        let go_after = connected + rng.between(0, 300);
        self.put(at, Op::Boot { node, go_after });
        for app in 0..self.world.apps.len() {
            self.put(at + go_after + rng.between(1, 1000), Op::Start { node, app });
        }
    }

    /// One link, or all between two halves; for a moment, or for longer than the restart time.
    fn lose_links(&mut self, rng: &mut Rng, at: u64) {
        let nodes = self.world.nodes;
        let back = at + if rng.chance(30) { rng.between(1, 300) } else { rng.between(1, 6000) };
        let split = rng.chance(40);
        let half: Vec<bool> = (0..nodes).map(|_| rng.chance(50)).collect();
        let (first, second) = (rng.below(nodes), rng.below(nodes));
        for one in 0..nodes {
            for other in 0..one {
                let chosen = (one, other) == (first, second) || (other, one) == (first, second);
                if if split { half[one] != half[other] } else { chosen } {
                    self.put(at, Op::Cut { one, other });
                    self.put(back, Op::Heal { one, other });
                }
            }
        }
    }

    /// Something after which nobody starts it by himself; so it is stopped and started everywhere.
    fn interrupt(&mut self, rng: &mut Rng, at: u64, node: usize, app: usize) {
        let mut after = at;
        match rng.between(0, 2) {
            0 => self.put(at, Op::Crash { node, app }),
            1 => {
                after = at + rng.between(500, 4000);
                self.put(at, Op::Failing { percent: 100 });
                self.put(after, Op::Failing { percent: 0 });
            }
            _ => {}
        }
        let apps = if after > at { 0..self.world.apps.len() } else { app..app + 1 };
        for app in apps {
            for node in 0..self.world.nodes {
                // Twice: a node that is told where it runs now while it stops it stands by again, and a start there
                // would be refused as the second one, as at a stock node.
                self.put(after + 1 + rng.between(0, 500), Op::Stop { node, app });
                self.put(after + 1001 + rng.between(0, 500), Op::Stop { node, app });
                self.put(after + 2500 + rng.between(0, 500), Op::Start { node, app });
            }
        }
        self.interrupted = after + 3000;
    }
}
