//! What is wrong with stock nodes, and what mends it: the tools T1 to T4 of dist_ac.md 6, and the repairs made of them.
//!
//! Nothing is done about an application that is on the move, nor at a node that does not answer; and nothing that would
//! make two nodes answer each other without end: an introduction is forged only where one of the two runs a
//! distributed application (L12), and a weight only to a node
//! that waits for it (L13).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use etf::{Atom, Term};

use super::{
    Act, Conflict, Copy, Fault, Healer,
    healer::{Attention, Seen},
    view::{Awaited, Controller, DistAc, Place},
};
use crate::engine::{
    appl::AppId,
    wire::{Message, VERSION},
};

/// What is seen in two rounds, so far apart, is no message on its way.
const LASTS: Duration = Duration::from_millis(150);

/// For so long a runner may be missed that nobody takes for dead: it starts, or the news of it is on the way.
const ORPHAN_LASTS: Duration = Duration::from_secs(3);

/// A node that waits for a weight is waiting for so long, and not because the answer is on its way.
const WEIGHS_LASTS: Duration = Duration::from_secs(1);

/// Members of ours settle what concerns them by then, and if not, they do not know of it.
const OURS_LASTS: Duration = Duration::from_secs(20);

/// Two copies that were first seen so shortly after one another count as equally old.
const AGE_DIFFERENCE: Duration = Duration::from_secs(5);

/// The weight of a node that is not to be elected: more applications than any node runs.
const NOT_ELECTED: i64 = 1 << 24;

/// For what a blocked node waits.
struct Wait<'a> {
    app: &'a Atom,
    other: &'a Atom,
    collects: bool,
}

/// Something that is wrong, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) fault: Fault,
    pub(super) act: Act,
    /// It has to be seen for so long first.
    pub(super) lasts: Duration,
    pub(super) treatments: Vec<Treatment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Treatment {
    NodeDown { node: Atom, down: Atom },
    Send { node: Atom, message: Message },
    TakeOver { node: Atom, app: Atom, restart_type: Term },
}

impl DistAc {
    /// Whether something starts here, or is about to.
    pub(super) fn is_moving(&self) -> bool {
        let moving = |id: &AppId| matches!(id, AppId::RunWaiting | AppId::Takeover | AppId::Failover(_));
        self.apps.values().any(|app| moving(&app.id))
    }
}

impl Seen {
    /// What a stock node says, if it has said everything. Before it knows this node it may yet turn out to be of ours.
    fn stock(&self, me: &Atom) -> Option<(&DistAc, &Controller, &[Atom])> {
        match (&self.dist_ac, &self.controller, &self.nodes, self.ours) {
            (Attention::Answered(dist_ac), Some(controller), Some(nodes), None)
                if dist_ac.known.contains(me) =>
            {
                Some((dist_ac, controller, nodes))
            }
            _ => None,
        }
    }

    /// What a node of either kind says of an application.
    fn id(&self, app: &Atom) -> Option<&AppId> {
        match &self.dist_ac {
            Attention::Answered(dist_ac) => dist_ac.apps.get(app).map(|app| &app.id),
            _ => None,
        }
    }

    /// Whether it runs there. A `dist_ac` that is blocked does not know it yet; the application controller does. It also
    /// knows better where news of another's start crossed the end of the own one: `dist_ac` had it stopped, and then took
    /// it for running.
    fn runs(&self, app: &Atom) -> bool {
        match (&self.dist_ac, &self.controller) {
            (Attention::Answered(_), Some(controller)) if self.ours.is_none() => {
                self.id(app) == Some(&AppId::Local) && controller.running.get(app) == Some(&Place::Here)
            }
            (Attention::Answered(_), _) => self.id(app) == Some(&AppId::Local),
            (Attention::Blocked(_), Some(controller)) => controller.running.get(app) == Some(&Place::Here),
            _ => false,
        }
    }

    /// Whether it is being started there for certain, as far as that can be seen. Of a blocked node the application
    /// controller names requests as well that wait for `dist_ac`, whose own state tells the two apart.
    fn starts(&self, app: &Atom) -> bool {
        if self.boots() {
            return false;
        }
        let state = self.waiting.as_ref().and_then(|waiting| waiting.state.as_ref());
        match (&self.dist_ac, state.and_then(|state| state.apps.get(app))) {
            (Attention::Blocked(_), Some(app)) => {
                matches!(app.id, AppId::RunWaiting | AppId::Takeover | AppId::Local)
            }
            _ => self.may_start(app),
        }
    }

    /// Whether it takes the news of a start of this application from anybody, and from nobody else anything.
    fn waits_for_anybody(&self, app: &Atom) -> bool {
        self.waiting
            .as_ref()
            .is_some_and(|waiting| waiting.awaits == Awaited::Anybody && waiting.names.contains(app))
    }

    /// Whether it is blocked in its first introductions.
    fn boots(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.awaits == Awaited::Peers)
    }

    /// Whether it may be about to run there.
    fn may_start(&self, app: &Atom) -> bool {
        match &self.dist_ac {
            Attention::Answered(_) => {
                let moving = matches!(self.id(app), Some(AppId::RunWaiting | AppId::Takeover));
                // Members of ours decide again by themselves.
                let pending = self.ours.is_some() && matches!(self.id(app), Some(AppId::Failover(_)));
                moving || pending
            }
            Attention::Blocked(_) => {
                self.controller.as_ref().is_none_or(|controller| controller.starting.contains(app))
            }
            Attention::Unknown => false,
        }
    }
}

impl Healer {
    /// Keeps what is worth to know in later rounds.
    pub(super) fn remember(&mut self, now: Instant) {
        for seen in self.nodes.values() {
            let told = match &seen.dist_ac {
                Attention::Answered(dist_ac) => Some(dist_ac),
                Attention::Blocked(_) => seen.waiting.as_ref().and_then(|waiting| waiting.state.as_ref()),
                Attention::Unknown => None,
            };
            for (app, state) in told.into_iter().flat_map(|dist_ac| &dist_ac.apps) {
                self.lists.insert(app.clone(), state.nodes.clone());
            }
        }
        for app in self.lists.keys() {
            for (node, seen) in &self.nodes {
                let key = (app.clone(), node.clone());
                if seen.runs(app) {
                    self.since.entry(key).or_insert(now);
                } else if seen.dist_ac != Attention::Unknown {
                    self.since.remove(&key);
                }
            }
        }
    }

    /// All that is wrong, in the order in which it is to be mended: nodes are introduced while both still run a copy,
    /// for then neither takes the answer for a question.
    pub(super) fn findings(&self, now: Instant) -> Vec<Finding> {
        let mut all = self.strangers();
        all.extend(self.forgotten_members());
        all.extend(self.deadlocks());
        for app in self.lists.keys() {
            let copies: Vec<&Atom> = self.runners(app);
            all.extend(self.wedged(now, app, &copies));
            all.extend(self.weighs(app, &copies));
            all.extend(self.reborn(app, &copies));
            let moving = self.nodes.keys().any(|node| self.may_start(node, app));
            match copies.as_slice() {
                // Whatever starts soon is over by then, and one of ours may wait for a lock.
                [] if moving => all.extend(self.forgotten(app, OURS_LASTS)),
                _ if moving => {}
                [] => {
                    let forgotten = self.forgotten(app, ORPHAN_LASTS);
                    // A takeover would wait for the lock of one that waits.
                    if forgotten.is_empty() {
                        all.extend(self.orphan(app));
                    }
                    all.extend(forgotten);
                }
                [runner] => all.extend(self.beliefs(app, runner)),
                _ => all.extend(self.conflict(now, app, &copies)),
            }
        }
        all
    }

    fn runners(&self, app: &Atom) -> Vec<&Atom> {
        self.nodes.iter().filter(|(_, seen)| seen.runs(app)).map(|(node, _)| node).collect()
    }

    /// Whether it may be about to run at a node. One that waits for another's start, or for its weight, is not.
    fn may_start(&self, node: &Atom, app: &Atom) -> bool {
        let seen = &self.nodes[node];
        let waits = self.waits(node).is_some_and(|wait| wait.app == app) && !seen.starts(app);
        seen.may_start(app) && !waits && !seen.boots()
    }

    /// Whether two nodes are connected, as each of them that is a stock node says.
    fn connected(&self, one: &Atom, other: &Atom) -> bool {
        let says = |node: &Atom, other: &Atom| {
            let Some(seen) = self.nodes.get(node) else { return false };
            seen.ours.is_some() || seen.nodes.as_ref().is_some_and(|nodes| nodes.contains(other))
        };
        one != other && says(one, other) && says(other, one)
    }

    /// L1: pairs of stock nodes that do not know each other. An introduction makes the receiver answer to the node it
    /// seems to come from, and one that runs nothing answers what looks like an introduction again. So the first of
    /// the two is one that runs something, and its answer ends it (dist_ac.md 6, L1 and L12).
    fn strangers(&self) -> Vec<Finding> {
        let stock: Vec<(&Atom, &DistAc)> =
            self.nodes.iter().filter_map(|(node, seen)| Some((node, seen.stock(&self.me)?.0))).collect();
        let mut all = Vec::new();
        for (at, (one, his)) in stock.iter().enumerate() {
            for (other, its) in &stock[at + 1..] {
                let share = his.apps.iter().any(|(app, state)| {
                    its.apps.contains_key(app) && state.nodes.contains(one) && state.nodes.contains(other)
                });
                let knows = (his.known.contains(other), its.known.contains(one));
                if !share || knows == (true, true) || !self.connected(one, other) {
                    continue;
                }
                let introductions = match (knows, his.local() > 0, its.local() > 0) {
                    // What is sent to whom: one speaks for itself to the other, or the other way round.
                    ((false, false), true, true) => vec![(*one, *his, *other), (*other, *its, *one)],
                    ((false, false), true, false) => vec![(*one, *his, *other)],
                    ((false, false), false, true) => vec![(*other, *its, *one)],
                    // The receiver has to run something: the node it answers knows it already.
                    ((true, false), _, true) => vec![(*one, *his, *other)],
                    ((false, true), true, _) => vec![(*other, *its, *one)],
                    // As soon as one of them runs something.
                    _ => continue,
                };
                let treatments =
                    introductions.into_iter().map(|(from, dist_ac, to)| introduction(from, dist_ac, to));
                all.push(Finding {
                    fault: Fault::Strangers,
                    act: Act::Introduce { one: (*one).clone(), other: (*other).clone() },
                    lasts: LASTS,
                    treatments: treatments.collect(),
                });
            }
        }
        all
    }

    /// Members of ours that a stock node has forgotten: it was to go on without one, and read that when it waited no more.
    /// The member knows nothing of it. It never answers an answer, so that it does not matter what runs where.
    fn forgotten_members(&self) -> Vec<Finding> {
        let answered = |ours: bool| {
            let all = self.nodes.iter().filter(move |(_, seen)| seen.ours.is_some() == ours);
            all.filter_map(|(node, seen)| match &seen.dist_ac {
                Attention::Answered(dist_ac) => Some((node, dist_ac)),
                Attention::Blocked(_) | Attention::Unknown => None,
            })
        };
        let mut all = Vec::new();
        for (member, his) in answered(true) {
            for (stock, its) in answered(false) {
                let shared = his.apps.keys().any(|app| its.apps.contains_key(app));
                let forgotten = his.known.contains(stock) && !its.known.contains(member);
                if shared && forgotten && self.connected(member, stock) {
                    all.push(Finding {
                        fault: Fault::Strangers,
                        act: Act::Introduce { one: member.clone(), other: stock.clone() },
                        lasts: ORPHAN_LASTS,
                        treatments: vec![introduction(member, his, stock)],
                    });
                }
            }
        }
        all
    }

    /// L1, L3: all copies at stock nodes but one stop. A copy of ours is the business of its own node, unless that lasts:
    /// then what each was told of the other got lost.
    fn conflict(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        let stock = |node: &&&Atom| self.nodes[**node].ours.is_none();
        let stock: Vec<&Atom> = copies.iter().filter(stock).copied().collect();
        let (stock, lasts) = if stock.len() == 1 { (copies.to_vec(), OURS_LASTS) } else { (stock, LASTS) };
        // Copies that cannot see each other are two clusters.
        let reached = |node: &&Atom| stock.iter().all(|other| other == node || self.connected(node, other));
        let stock: Vec<&Atom> = stock.iter().filter(|node| reached(node)).copied().collect();
        if stock.len() < 2 {
            return Vec::new();
        }
        let winner = self.config.winner(&self.describe(now, app, &stock));
        let losers = stock.into_iter().filter(|node| **node != winner);
        let answered = losers.filter(|node| {
            let seen = &self.nodes[*node];
            // One that does not know this node by then is none of ours.
            let known = seen.stock(&self.me).is_some() || lasts == OURS_LASTS;
            seen.ours.is_some() || (known && matches!(seen.dist_ac, Attention::Answered(_)))
        });
        answered
            .map(|node| Finding {
                fault: Fault::Copies,
                act: Act::Stop { app: app.clone(), node: node.clone(), winner: winner.clone() },
                lasts,
                treatments: vec![started(node, app, &winner)],
            })
            .collect()
    }

    fn describe(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Conflict {
        let since = |node: &Atom| self.since.get(&(app.clone(), node.clone())).copied().unwrap_or(now);
        let ages: Vec<Instant> = copies.iter().map(|node| since(node)).collect();
        let (first, last) =
            (ages.iter().min().copied().unwrap_or(now), ages.iter().max().copied().unwrap_or(now));
        let known = last.duration_since(first) >= AGE_DIFFERENCE;
        let list = &self.lists[app];
        let permitted = |node: &Atom| {
            let says = |seen: &Seen| match &seen.dist_ac {
                Attention::Answered(dist_ac) => dist_ac.apps.get(app).map(|app| app.permits(node)),
                _ => None,
            };
            says(&self.nodes[node]).unwrap_or(true)
        };
        let copies = copies.iter().map(|node| Copy {
            node: (*node).clone(),
            permitted: permitted(node),
            rank: list.rank(node),
            since: if known { self.config.time_of_day(since(node)) } else { None },
        });
        Conflict::new(app.clone(), copies.collect())
    }

    /// L2 and all else that leaves a node with a wrong belief: it stands by for the one that runs it.
    fn beliefs(&self, app: &Atom, runner: &Atom) -> Vec<Finding> {
        let mut all = Vec::new();
        for (node, seen) in &self.nodes {
            let ours = seen.ours.is_some();
            let dist_ac = match (&seen.dist_ac, seen.stock(&self.me)) {
                (Attention::Answered(dist_ac), _) if ours => dist_ac,
                (_, Some((dist_ac, _, _))) => dist_ac,
                _ => continue,
            };
            if !dist_ac.started.contains(app) || !self.connected(node, runner) {
                continue;
            }
            let fault = match seen.id(app) {
                Some(AppId::Failover(_)) => Fault::Flap,
                Some(AppId::Undefined) => Fault::Belief,
                // It was stopped there, and is taken for running.
                Some(AppId::Local) if node != runner => Fault::Belief,
                Some(AppId::Distributed(other)) if other != runner => Fault::Belief,
                _ => continue,
            };
            all.push(Finding {
                fault,
                act: Act::StandBy { app: app.clone(), node: node.clone(), runner: runner.clone() },
                // Ours ask by themselves.
                lasts: if ours { ORPHAN_LASTS } else { LASTS },
                treatments: vec![started(node, app, runner)],
            });
        }
        all
    }

    /// L8: a blocked node gets the news that the runner, blocked as well, cannot send. Where it is blocked for another
    /// reason the message is read later, and says nothing new. A node that may be starting it is left alone, for a late
    /// message would stop its copy; but not one that is seen to wait for another's start.
    fn wedged(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        let mut all = Vec::new();
        for (node, seen) in &self.nodes {
            // Of several copies that one is news which it waits for: the others are no business of a blocked node.
            let awaited = self.waits(node).filter(|wait| wait.app == app && !wait.collects);
            let runner = match (copies, awaited) {
                ([runner], _) => (*runner).clone(),
                ([_, ..], Some(wait)) if copies.contains(&wait.other) => wait.other.clone(),
                ([_, ..], Some(_)) => self.config.winner(&self.describe(now, app, copies)),
                _ => continue,
            };
            let runner = &runner;
            let (Attention::Blocked(_), Some(controller), None) =
                (&seen.dist_ac, &seen.controller, seen.ours)
            else {
                continue;
            };
            // One that boots waits for its startup synchronisation.
            let booted = controller.running.contains_key("kernel");
            let place = controller.running.get(app);
            let wait = self.waits(node).filter(|wait| wait.app == app && !wait.collects);
            // Who waits may stand by for it since before: it was taken for dead, and is back.
            let told = wait.is_none()
                && !seen.waits_for_anybody(app)
                && matches!(place, Some(Place::At(at)) if at == runner);
            let failed_over = seen.waits_for_anybody(app)
                || controller.started.contains_key(app) && !controller.starting.contains(app);
            let concerned = self.lists[app].contains(node) && (failed_over || wait.is_some());
            if node == runner || !booted || told || !concerned {
                continue;
            }
            if place == Some(&Place::Here) || !self.connected(node, runner) {
                continue;
            }
            // It takes the news from the one that it waits for alone, and hears of the runner right behind.
            let other = wait.map(|wait| wait.other).filter(|other| *other != runner);
            let news = other.into_iter().chain([runner]).map(|from| started(node, app, from));
            all.push(Finding {
                fault: Fault::Wedged,
                act: Act::StandBy { app: app.clone(), node: node.clone(), runner: runner.clone() },
                lasts: Duration::ZERO,
                treatments: news.collect(),
            });
        }
        all
    }

    /// For what a blocked stock node waits, if its variables leave no doubt.
    fn waits(&self, node: &Atom) -> Option<Wait<'_>> {
        let seen = self.nodes.get(node)?;
        let (Attention::Blocked(_), Some(waiting), Some(controller), None) =
            (&seen.dist_ac, &seen.waiting, &seen.controller, seen.ours)
        else {
            return None;
        };
        if !matches!(waiting.awaits, Awaited::Start | Awaited::Weight) {
            return None;
        }
        let mut apps = self.lists.keys().filter(|app| waiting.names.contains(*app));
        let mut others = self.nodes.keys().filter(|other| *other != node && waiting.names.contains(*other));
        let ((Some(app), None), (Some(other), None)) =
            ((apps.next(), apps.next()), (others.next(), others.next()))
        else {
            return None;
        };
        let clear = controller.running.contains_key("kernel") && self.connected(node, other);
        clear.then_some(Wait { app, other, collects: waiting.awaits == Awaited::Weight })
    }

    /// L7: each waits for the next, and the last for the first. Nothing that anybody asks of them can end that, for none
    /// of them reads it. One goes on without the one that it waits for, and starts it if it is the next that may: for
    /// that one decision it takes the other for dead. When the other gets to it, it takes it over if it goes first.
    fn deadlocks(&self) -> Vec<Finding> {
        let waits: BTreeMap<&Atom, Wait<'_>> =
            self.nodes.keys().filter_map(|node| Some((node, self.waits(node)?))).collect();
        let mut all = Vec::new();
        for ring in self.rings(&waits) {
            // Where one of them collects weights for what runs already, that one is told instead.
            let runs = |node: &&Atom| {
                let runners = self.runners(waits[*node].app);
                waits[*node].collects && !runners.is_empty() && !runners.contains(node)
            };
            if let Some(node) = ring.iter().copied().find(|node| runs(node)) {
                let Wait { app, other, .. } = waits[node];
                all.push(weigh(app, node, other, &self.runners(app)));
                continue;
            }
            let startable = |node: &&Atom| {
                let Wait { app, .. } = waits[*node];
                let elsewhere = |(at, seen): (&Atom, &Seen)| at != *node && seen.starts(app);
                self.lists[app].contains(node)
                    && self.runners(app).is_empty()
                    && !self.nodes.iter().any(elsewhere)
            };
            let mut able: Vec<&Atom> = ring.into_iter().filter(startable).collect();
            able.sort_by_key(|node| (self.lists[waits[*node].app].rank(node), waits[*node].app, *node));
            let Some(node) = able.first().copied() else { continue };
            let Wait { app, other, .. } = waits[node];
            let (node, without) = (node.clone(), other.clone());
            all.push(Finding {
                fault: Fault::Deadlock,
                act: Act::GoOn { app: app.clone(), node: node.clone(), without: without.clone() },
                lasts: WEIGHS_LASTS,
                treatments: vec![Treatment::NodeDown { node, down: without }],
            });
        }
        all
    }

    /// Nodes of which each waits for the next, and the last for the first; each ring once.
    fn rings<'a>(&self, waits: &BTreeMap<&'a Atom, Wait<'a>>) -> Vec<Vec<&'a Atom>> {
        let mut all = Vec::new();
        for first in waits.keys() {
            let mut ring = vec![*first];
            while let Some(next) = ring.last().and_then(|last| waits.get(last)).map(|wait| wait.other)
                && !ring.contains(&next)
            {
                ring.push(next);
            }
            let closed =
                ring.last().and_then(|last| waits.get(last)).is_some_and(|wait| wait.other == *first);
            if closed && ring.iter().all(|node| node >= first) {
                all.push(ring);
            }
        }
        all
    }

    /// A node waits for another that boots: what it asked was asked of an earlier life of that one, or waits behind the
    /// introductions, which wait for this node.
    fn reborn(&self, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        let mut all = Vec::new();
        for node in self.nodes.keys() {
            let Some(Wait { other, collects, .. }) = self.waits(node).filter(|wait| wait.app == app) else {
                continue;
            };
            let seen = &self.nodes[other];
            // One of ours that needs a lock to start it: that of the node itself, or of one that boots and is not let go on.
            let locked = seen.ours.is_some()
                && seen.id(app) == Some(&AppId::Undefined)
                && (self.locks(node) || self.nodes.values().any(Seen::boots));
            // Who waits for a start hears of the runner.
            if (seen.boots() || locked) && (collects || copies.is_empty()) {
                all.push(go_on(Fault::Wedged, app, node, other));
            }
        }
        all
    }

    /// Whether a blocked node decides for a caller that holds the lock of all nodes.
    fn locks(&self, node: &Atom) -> bool {
        self.nodes[node].waiting.as_ref().is_some_and(|waiting| waiting.locks)
    }

    /// Whether it was started at a node of ours.
    fn ours_started(&self, node: &Atom, app: &Atom) -> bool {
        self.nodes.get(node).is_some_and(|seen| match &seen.dist_ac {
            Attention::Answered(dist_ac) => seen.ours.is_some() && dist_ac.started.contains(app),
            Attention::Blocked(_) | Attention::Unknown => false,
        })
    }

    /// A node waits for another that has long been told to start it, and will not: it runs nowhere any more, and has
    /// forgotten that it was to do something about it. It is waited for by nobody who knows that.
    fn forgotten(&self, app: &Atom, lasts: Duration) -> Vec<Finding> {
        let mut all = Vec::new();
        for node in self.nodes.keys() {
            let Some(Wait { other, .. }) = self.waits(node).filter(|wait| wait.app == app) else { continue };
            let seen = &self.nodes[other];
            let Some((dist_ac, controller, _)) = seen.stock(&self.me) else {
                // One of ours that stands by for a node which does not run it starts nothing; nor one where the start after
                // a stop was refused, as the news of a start came in between (L22).
                let refused = seen.id(app) == Some(&AppId::Undefined) && self.ours_started(other, app);
                if seen.ours.is_some() && (refused || matches!(seen.id(app), Some(AppId::Distributed(_)))) {
                    all.push(Finding { lasts, ..go_on(Fault::Wedged, app, node, other) });
                }
                continue;
            };
            let idle = match self.nodes[other].id(app) {
                // It is told that it was stopped, and takes it for running.
                Some(AppId::Local) => true,
                // A request that waits for its lock waits for this node, or for one that waits for it.
                Some(AppId::Undefined) => dist_ac.started.contains(app) || controller.starting.contains(app),
                // Nobody runs it. It could take over, but not where the one that waits holds a lock meanwhile.
                Some(AppId::Distributed(_)) => {
                    let starting = |seen: &Controller| seen.starting.contains(app);
                    self.locks(node) || self.nodes[node].controller.as_ref().is_some_and(starting)
                }
                _ => false,
            };
            if idle {
                all.push(Finding { lasts, ..go_on(Fault::Wedged, app, node, other) });
            }
        }
        all
    }

    /// L9: a node waits for a weight of one that had its question before it was to answer, and forgot it; and somebody
    /// runs it. A weight that nobody waits for is never forgotten (L13), so it has to be certain who waits for what.
    fn weighs(&self, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        if copies.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for node in self.nodes.keys() {
            let Some(Wait { other, .. }) = self.waits(node).filter(|wait| wait.collects && wait.app == app)
            else {
                continue;
            };
            // One that is blocked as well has yet to answer.
            if !matches!(self.nodes[other].dist_ac, Attention::Answered(_)) {
                continue;
            }
            all.push(weigh(app, node, other, copies));
        }
        all
    }

    /// L9, L11: it runs nowhere, and the best node that stands by for somebody takes it over.
    fn orphan(&self, app: &Atom) -> Option<Finding> {
        let stock: BTreeSet<&Atom> =
            self.nodes.iter().filter(|(_, seen)| seen.ours.is_none()).map(|(node, _)| node).collect();
        let readable = |node: &&Atom| {
            let seen = &self.nodes[*node];
            let waits = !self.may_start(node, app);
            seen.controller.as_ref().is_some_and(|controller| waits || !controller.starting.contains(app))
        };
        let list = &self.lists[app];
        if !stock.iter().filter(|node| list.contains(node)).all(readable) {
            return None;
        }
        for node in list.flat() {
            let Some(seen) = self.nodes.get(&node) else { continue };
            let Some((dist_ac, controller, nodes)) = seen.stock(&self.me) else { continue };
            let Some(state) = dist_ac.apps.get(app).filter(|state| state.permits(&node)) else { continue };
            let AppId::Distributed(believed) = &state.id else { continue };
            let Some(restart_type) = controller.started.get(app) else { continue };
            // Where it was stopped on purpose it stays stopped.
            let meant = match self.nodes.get(believed).and_then(|seen| seen.controller.as_ref()) {
                Some(controller) => controller.started.contains_key(app) || controller.starting.contains(app),
                None => !nodes.contains(believed) || self.ours_started(believed, app),
            };
            if meant {
                return Some(Finding {
                    fault: Fault::Orphan,
                    act: Act::TakeOver { app: app.clone(), node: node.clone() },
                    lasts: ORPHAN_LASTS,
                    treatments: vec![Treatment::TakeOver {
                        node: node.clone(),
                        app: app.clone(),
                        restart_type: restart_type.clone(),
                    }],
                });
            }
        }
        None
    }
}

/// `node` goes on without `other`.
fn go_on(fault: Fault, app: &Atom, node: &Atom, other: &Atom) -> Finding {
    Finding {
        fault,
        act: Act::GoOn { app: app.clone(), node: node.clone(), without: other.clone() },
        lasts: ORPHAN_LASTS,
        treatments: vec![Treatment::NodeDown { node: node.clone(), down: other.clone() }],
    }
}

/// T5: the weight of `other`, for which `node` waits.
fn weigh(app: &Atom, node: &Atom, other: &Atom, runners: &[&Atom]) -> Finding {
    let weight = if runners.contains(&other) { 0 } else { NOT_ELECTED };
    let message = Message::Weight { app: app.clone(), weight, node: other.clone() };
    Finding {
        fault: Fault::Wedged,
        act: Act::Weigh { app: app.clone(), node: node.clone(), other: other.clone() },
        lasts: WEIGHS_LASTS,
        treatments: vec![Treatment::Send { node: node.clone(), message }],
    }
}

/// T1: it runs at `runner`. A copy at `node` stops.
fn started(node: &Atom, app: &Atom, runner: &Atom) -> Treatment {
    let message = Message::AppStarted { node: runner.clone(), app: app.clone(), result: Ok(()) };
    Treatment::Send { node: node.clone(), message }
}

/// T3: what `from` would say to `to` if it had just booted. An application without an own entry in `Run` is left out: it
/// would make the receiver's starts fail (dist_ac.md 1.1).
fn introduction(from: &Atom, dist_ac: &DistAc, to: &Atom) -> Treatment {
    let own = |app: &&super::view::App| {
        app.record.run.iter().any(|(node, permission)| node == from && permission.is_some())
    };
    let appls = dist_ac.apps.values().filter(own).map(|app| app.record.clone()).collect();
    let message = Message::NewNode { version: VERSION, node: from.clone(), appls, started: Vec::new() };
    Treatment::Send { node: to.clone(), message }
}
