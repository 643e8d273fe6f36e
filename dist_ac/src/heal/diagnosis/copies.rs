//! Several copies of an application: all but one stop.

use std::time::{Duration, Instant};

use etf::{Atom, Term};

use super::{Finding, LASTS, ORPHAN_LASTS, OURS_LASTS, Treatment, started, waits::go_on};
use crate::{
    engine::{appl::AppId, wire::Message},
    heal::{
        Act, Conflict, Copy, Fault, Healer,
        healer::{Attention, Seen},
        view::Place,
    },
};

/// Two copies that were first seen so shortly after one another count as equally old.
const AGE_DIFFERENCE: Duration = Duration::from_secs(5);

impl Healer {
    /// L1, L3: all copies at stock nodes but one stop. A copy of ours is the business of its own node, unless that lasts:
    /// then what each was told of the other got lost.
    pub(super) fn conflict(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        let stock = |node: &&&Atom| self.nodes[**node].ours.is_none();
        let stock: Vec<&Atom> = copies.iter().filter(stock).copied().collect();
        let (stock, lasts) = if stock.len() == 1 { (copies.to_vec(), OURS_LASTS) } else { (stock, LASTS) };
        // Copies that cannot see each other are two clusters.
        let reached = |node: &&Atom| stock.iter().all(|other| other == node || self.connected(node, other));
        let stock: Vec<&Atom> = stock.iter().filter(|node| reached(node)).copied().collect();
        if stock.len() < 2 {
            return Vec::new();
        }
        // One that cannot be told goes on.
        let is_deaf = |node: &&Atom| self.nodes[*node].ours.is_none() && self.nodes[*node].is_deaf(now);
        let deaf: Vec<&Atom> = stock.iter().copied().filter(is_deaf).collect();
        let winner = match deaf.as_slice() {
            [] => self.config.winner(&self.describe(now, app, &stock)),
            [deaf] => (*deaf).clone(),
            deaf => self.config.winner(&self.describe(now, app, deaf)),
        };
        // Of several of these all but one have to listen first; beside a copy of ours, which does not stop for one that may
        // yet stop for it, each has to.
        let beside_ours = stock.iter().any(|node| self.nodes[*node].ours.is_some());
        let others = deaf.into_iter().filter(|node| beside_ours || **node != winner);
        let waits = others.filter_map(|node| Some((node, self.waits(node)?)));
        let waits = waits.filter(|(_, wait)| wait.app != app);
        let mut all: Vec<Finding> =
            waits.map(|(node, wait)| go_on(Fault::Copies, wait.app, node, wait.other)).collect();
        if beside_ours && !all.is_empty() {
            return all;
        }
        let losers = stock.into_iter().filter(|node| **node != winner);
        let answered = losers.filter(|node| {
            let seen = &self.nodes[*node];
            // One that does not know this node by then is none of ours.
            let known = seen.stock(&self.me).is_some() || lasts == OURS_LASTS;
            seen.ours.is_some() || (known && matches!(seen.dist_ac, Attention::Answered(_)))
        });
        all.extend(answered.map(|node| match self.untold(node, app) {
            Some(restart_type) => restart(app, node, &winner, lasts.max(ORPHAN_LASTS), restart_type),
            None => Finding {
                fault: Fault::Copies,
                act: Act::Stop { app: app.clone(), node: node.clone(), winner: winner.clone() },
                lasts,
                treatments: vec![started(node, app, &winner)],
            },
        }));
        all
    }

    /// L17: copies at stock nodes that are as [`untold`](Self::untold), and that their own `dist_ac` has forgotten besides, as
    /// somebody else's stop came late.
    pub(super) fn disowned(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Vec<Finding> {
        let winner = match copies {
            [] => return Vec::new(),
            [runner] => (*runner).clone(),
            _ => self.config.winner(&self.describe(now, app, copies)),
        };
        let mut all = Vec::new();
        for (node, seen) in &self.nodes {
            let Some((_, controller, _)) = seen.stock(&self.me) else { continue };
            let runs =
                controller.running.get(app) == Some(&Place::Here) && !controller.starting.contains(app);
            let Some(restart_type) = self.untold(node, app) else { continue };
            if runs && seen.id(app) == Some(&AppId::Undefined) && self.connected(node, &winner) {
                all.push(restart(app, node, &winner, ORPHAN_LASTS, restart_type));
            }
        }
        all
    }

    /// The restart type of a copy at a stock node whose `dist_ac` has not decided about it since it was started there, and
    /// keeps the news of other copies for then: it was stopped and started while a decision from before went on.
    fn untold(&self, node: &Atom, app: &Atom) -> Option<&Term> {
        let (dist_ac, controller, _) = self.nodes[node].stock(&self.me)?;
        if dist_ac.started.contains(app) { None } else { controller.started.get(app) }
    }

    pub(super) fn describe(&self, now: Instant, app: &Atom, copies: &[&Atom]) -> Conflict {
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
}

/// The copy at `node` stops, and the start after that hears of the winner first. Its `dist_ac` is told first that nothing
/// runs there, or it would tell all others that nothing runs anywhere.
fn restart(app: &Atom, node: &Atom, winner: &Atom, lasts: Duration, restart_type: &Term) -> Finding {
    let forget = Treatment::Send { node: node.clone(), message: Message::AppStopped { app: app.clone() } };
    let again =
        Treatment::Restart { node: node.clone(), app: app.clone(), restart_type: restart_type.clone() };
    Finding {
        fault: Fault::Copies,
        act: Act::Restart { app: app.clone(), node: node.clone(), winner: winner.clone() },
        lasts,
        treatments: vec![forget, started(node, app, winner), again],
    }
}
