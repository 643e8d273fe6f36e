//! For what stock nodes wait that are blocked, and what gets them out of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etf::Atom;

use super::{DEAF_AFTER, Finding, ORPHAN_LASTS, Treatment, started};
use crate::{
    engine::{appl::AppId, wire::Message},
    heal::{
        Act, Fault, Healer,
        healer::{Attention, Seen},
        view::{Awaited, Controller, Place},
    },
};

/// A node that waits for a weight is waiting for so long, and not because the answer is on its way.
const WEIGHS_LASTS: Duration = Duration::from_secs(1);

/// The weight of a node that is not to be elected: more applications than any node runs.
const NOT_ELECTED: i64 = 1 << 24;

/// For what a blocked node waits.
pub(super) struct Wait<'a> {
    pub(super) app: &'a Atom,
    pub(super) other: &'a Atom,
    collects: bool,
}

impl Healer {
    /// L8: a blocked node gets the news that the runner, blocked as well, cannot send. Where it is blocked for another
    /// reason the message is read later, and says nothing new. A node that may be starting it is left alone, for a late
    /// message would stop its copy; but not one that is seen to wait for another's start.
    pub(super) fn wedged(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
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
            // A copy here stops if it is that start which the node waits for: it has missed the news of it.
            let here = place == Some(&Place::Here);
            let missed = wait.as_ref().is_some_and(|wait| wait.other == runner);
            if (here && !missed) || !self.connected(node, runner) {
                continue;
            }
            // It takes the news from the one that it waits for alone, and hears of the runner right behind.
            let other = wait.map(|wait| wait.other).filter(|other| *other != runner);
            let news = other.into_iter().chain([runner]).map(|from| started(node, app, from));
            all.push(Finding {
                fault: Fault::Wedged,
                act: Act::StandBy { app: app.clone(), node: node.clone(), runner: runner.clone() },
                lasts: if here { ORPHAN_LASTS } else { Duration::ZERO },
                treatments: news.collect(),
            });
        }
        all
    }

    /// For what a blocked stock node waits, if its variables leave no doubt.
    pub(super) fn waits(&self, node: &Atom) -> Option<Wait<'_>> {
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
    pub(super) fn deadlocks(&self) -> Vec<Finding> {
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
    pub(super) fn reborn(&self, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
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

    /// A node that boots holds the lock which a start needs, and waits for the introduction of one that waits for that very
    /// start. `dist_ac` there thinks that it has ordered it, which the application controller dropped, as a request of its own
    /// waits for the lock. Whoever boots goes on without the one that waits, and is introduced to it when that is over, if
    /// it runs something, so that neither takes the other's answer for a question (L12). If not, the one that waits goes on.
    pub(super) fn kept_by_boots(&self, app: &Atom) -> Vec<Finding> {
        let mut all = Vec::new();
        for node in self.nodes.keys() {
            let Some(Wait { other, .. }) = self.waits(node).filter(|wait| wait.app == app && !wait.collects)
            else {
                continue;
            };
            let requested = self.nodes[other].stock(&self.me).is_some_and(|(_, controller, _)| {
                self.nodes[other].id(app) == Some(&AppId::RunWaiting) && controller.starting.contains(app)
            });
            let runs = |controller: &Controller| {
                self.lists.keys().any(|app| controller.running.get(app) == Some(&Place::Here))
            };
            if !requested {
                continue;
            }
            let waits = |(boots, seen): &(&Atom, &Seen)| {
                let names = seen.waiting.as_ref().is_some_and(|waiting| waiting.names.contains(node));
                seen.boots() && names && self.connected(boots, node)
            };
            let boots: Vec<&Atom> = self.nodes.iter().filter(waits).map(|(boots, _)| boots).collect();
            let runs = self.nodes[node].controller.as_ref().is_some_and(runs);
            let acts: Vec<(&Atom, &Atom)> = match boots.as_slice() {
                [] => Vec::new(),
                boots if runs => boots.iter().map(|boots| (*boots, node)).collect(),
                _ => vec![(node, other)],
            };
            all.extend(acts.into_iter().map(|(node, without)| Finding {
                lasts: DEAF_AFTER,
                ..go_on(Fault::Wedged, app, node, without)
            }));
        }
        all
    }

    /// Whether a blocked node decides for a caller that holds the lock of all nodes.
    fn locks(&self, node: &Atom) -> bool {
        self.nodes[node].waiting.as_ref().is_some_and(|waiting| waiting.locks)
    }

    /// A node waits for another that has long been told to start it, and will not: it runs nowhere any more, and has
    /// forgotten that it was to do something about it. It is waited for by nobody who knows that. Where there are copies it
    /// is one of them that waits, as the news of its own start did not get to it before: the others hear of a copy.
    pub(super) fn forgotten(&self, app: &Atom, copies: &[&Atom], lasts: Duration) -> Vec<Finding> {
        let mut all = Vec::new();
        for node in self.nodes.keys().filter(|node| copies.is_empty() || copies.contains(node)) {
            let Some(Wait { other, .. }) = self.waits(node).filter(|wait| wait.app == app) else { continue };
            if copies.contains(&other) {
                continue;
            }
            let seen = &self.nodes[other];
            let Some((dist_ac, controller, _)) = seen.stock(&self.me) else {
                // One of ours that stands by for a node which does not run it starts nothing; nor one where the start after
                // a stop was refused, as the news of a start came in between (L22).
                let refused = seen.id(app) == Some(&AppId::Undefined) && self.ours_started(other, app);
                let idle = refused || matches!(seen.id(app), Some(AppId::Distributed(_)));
                // Nor does a stock node that waits for whoever does.
                if (seen.ours.is_some() && idle) || seen.waits_for_anybody(app) {
                    all.push(Finding { lasts, ..go_on(Fault::Wedged, app, node, other) });
                } else if seen.waits_for_others(app) && copies.is_empty() {
                    // That one may wait for a lock which somebody at the first node has.
                    all.push(Finding { lasts: DEAF_AFTER, ..go_on(Fault::Wedged, app, node, other) });
                }
                continue;
            };
            let idle = match self.nodes[other].id(app) {
                // It is told that it was stopped, and takes it for running.
                Some(AppId::Local) => true,
                // A request that waits for its lock waits for this node, or for one that waits for it.
                Some(AppId::Undefined) => dist_ac.started.contains(app) || controller.starting.contains(app),
                // Nobody runs it. It could take over, but not where the one that waits holds a lock meanwhile, or one that boots.
                Some(AppId::Distributed(_)) => {
                    let starting = |seen: &Controller| seen.starting.contains(app);
                    let boots = self.nodes.values().any(Seen::boots);
                    let runs = copies.contains(&node);
                    let locks =
                        self.locks(node) || self.nodes[node].controller.as_ref().is_some_and(starting);
                    runs || boots || locks
                }
                // It tried, and whoever was to start it failed: it tries nothing again (L19).
                Some(AppId::Failover(_)) => true,
                _ => false,
            };
            if idle {
                let lasts = lasts.saturating_add(dist_ac.apps[app].pending());
                all.push(Finding { lasts, ..go_on(Fault::Wedged, app, node, other) });
            }
        }
        all
    }

    /// L9: a node waits for a weight of one that had its question before it was to answer, and forgot it; and somebody
    /// runs it. A weight that nobody waits for is never forgotten (L13), so it has to be certain who waits for what.
    pub(super) fn weighs(&self, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
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
}

/// `node` goes on without `other`.
pub(super) fn go_on(fault: Fault, app: &Atom, node: &Atom, other: &Atom) -> Finding {
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
