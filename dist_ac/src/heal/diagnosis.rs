//! What is wrong with stock nodes, and what mends it: the tools T1 to T4 of dist_ac.md 6, and the repairs made of them.
//!
//! Nothing is done about an application that is on the move, nor at a node that does not answer; and nothing that would
//! make two nodes answer each other without end: an introduction is forged only where one of the two runs a
//! distributed application (L12), and a weight only to a node
//! that waits for it (L13).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use etf::{Atom, Term};

use super::{
    Act, Fault, Healer,
    healer::{Attention, Seen},
    view::{Awaited, Controller, DistAc, Place},
};
use crate::engine::{
    appl::AppId,
    wire::{Message, VERSION},
};

mod copies;
mod waits;

use waits::go_on;

/// What is seen in two rounds, so far apart, is no message on its way.
const LASTS: Duration = Duration::from_millis(150);

/// For so long a runner may be missed that nobody takes for dead: it starts, or the news of it is on the way.
const ORPHAN_LASTS: Duration = Duration::from_secs(3);

/// Members of ours settle what concerns them by then, and if not, they do not know of it.
const OURS_LASTS: Duration = Duration::from_secs(20);

/// A node that is blocked for so long may be so for ever.
const DEAF_AFTER: Duration = Duration::from_secs(60);

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
    Restart { node: Atom, app: Atom, restart_type: Term },
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

    /// What one of ours says, if its application controller was asked: somebody may wait for it.
    fn ours(&self) -> Option<(&DistAc, &Controller)> {
        match (&self.dist_ac, &self.controller, self.ours) {
            (Attention::Answered(dist_ac), Some(controller), Some(_)) => Some((dist_ac, controller)),
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

    /// Whether it may wait for the news that a node has started it: it waits for a start, and both are among its variables.
    fn may_wait_for(&self, app: &Atom, node: &Atom) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| {
            waiting.awaits == Awaited::Start && waiting.names.contains(app) && waiting.names.contains(node)
        })
    }

    /// Whether it is of ours and is to start it, and waits for a third node to say something.
    fn waits_for_others(&self, app: &Atom) -> bool {
        let requested = self.controller.as_ref().is_some_and(|controller| controller.starting.contains(app));
        self.ours.is_some() && requested && self.id(app) == Some(&AppId::Undefined)
    }

    /// Its `dist_ac` has been blocked for so long that it may be so for ever.
    fn is_deaf(&self, now: Instant) -> bool {
        matches!(self.dist_ac, Attention::Blocked(since) if since + DEAF_AFTER <= now)
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
            all.extend(self.kept_by_boots(app));
            let moving: Vec<&Atom> =
                self.nodes.keys().filter(|node| self.may_start(now, node, app)).collect();
            let only_ours = moving.iter().all(|node| self.nodes[*node].ours.is_some());
            let moving = !moving.is_empty();
            // Whatever starts soon is over by then, and one of ours may wait for a lock.
            let lasts = if copies.is_empty() && !moving { ORPHAN_LASTS } else { OURS_LASTS };
            let forgotten = self.forgotten(app, &copies, lasts);
            if !moving {
                all.extend(self.disowned(now, app, &copies));
            }
            match copies.as_slice() {
                // What starts may wait for just that.
                [_, _, ..] if moving => {
                    let later = |finding| Finding { lasts: OURS_LASTS, ..finding };
                    all.extend(self.conflict(now, app, &copies).into_iter().map(later));
                }
                [_, _, ..] => all.extend(self.conflict(now, app, &copies)),
                [] if moving && only_ours => all.extend(self.unheard(app)),
                _ if moving => {}
                [runner] => all.extend(self.beliefs(app, runner)),
                // A takeover would wait for the lock of one that waits.
                [] if forgotten.is_empty() => all.extend(self.orphan(now, app)),
                [] => {}
            }
            all.extend(forgotten);
        }
        all
    }

    fn runners(&self, app: &Atom) -> Vec<&Atom> {
        self.nodes.iter().filter(|(_, seen)| seen.runs(app)).map(|(node, _)| node).collect()
    }

    /// Whether it may be about to run at a node. One that waits for another's start, or anybody's, or for a weight, is not; nor
    /// one that has been blocked in something else for a minute.
    fn may_start(&self, now: Instant, node: &Atom, app: &Atom) -> bool {
        let seen = &self.nodes[node];
        let anybody = seen.waits_for_anybody(app);
        let waits = self.waits(node).is_some_and(|wait| wait.app == app) || anybody;
        let waits = (waits || seen.is_deaf(now)) && !seen.starts(app);
        // What it had told its application controller before has long been done by then, or was dropped.
        let waits = waits || (anybody && seen.is_deaf(now));
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
            // Not started, or it waits for the news of the start, which a runner that is blocked does not tell.
            let untold = !dist_ac.started.contains(app);
            let unheard = ours
                && !dist_ac.heard.contains(app)
                && matches!(self.nodes[runner].dist_ac, Attention::Blocked(_));
            if (untold && !unheard) || !self.connected(node, runner) {
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
                lasts: match ours {
                    true if untold => OURS_LASTS,
                    true => ORPHAN_LASTS,
                    false => LASTS,
                },
                treatments: vec![started(node, app, runner)],
            });
        }
        all
    }

    /// Whether it was started at a node of ours.
    fn ours_started(&self, node: &Atom, app: &Atom) -> bool {
        self.nodes.get(node).is_some_and(|seen| match &seen.dist_ac {
            Attention::Answered(dist_ac) => seen.ours.is_some() && dist_ac.started.contains(app),
            Attention::Blocked(_) | Attention::Unknown => false,
        })
    }

    /// L11: a stock node stands by for one that is down, and took the news of that for another decision. It hears again, as a
    /// member of ours that is to start it waits for it.
    fn unheard(&self, app: &Atom) -> Vec<Finding> {
        let stands_by = |(node, seen): (&Atom, &Seen)| {
            let (_, _, nodes) = seen.stock(&self.me)?;
            let Some(AppId::Distributed(by)) = seen.id(app) else { return None };
            let is_down = !nodes.contains(by) && !self.nodes.contains_key(by) && by != node;
            is_down.then(|| Finding { lasts: OURS_LASTS, ..go_on(Fault::Orphan, app, node, by) })
        };
        self.nodes.iter().filter_map(stands_by).collect()
    }

    /// L9, L11, L22: it runs nowhere, and the best node that stands by for somebody takes it over.
    fn orphan(&self, now: Instant, app: &Atom) -> Option<Finding> {
        let stock: BTreeSet<&Atom> =
            self.nodes.iter().filter(|(_, seen)| seen.ours.is_none()).map(|(node, _)| node).collect();
        let readable = |node: &&Atom| {
            let seen = &self.nodes[*node];
            let waits = !self.may_start(now, node, app);
            seen.controller.as_ref().is_some_and(|controller| waits || !controller.starting.contains(app))
        };
        let list = &self.lists[app];
        if !stock.iter().filter(|node| list.contains(node)).all(readable) {
            return None;
        }
        for node in list.flat() {
            let Some(seen) = self.nodes.get(&node) else { continue };
            let (dist_ac, controller, nodes) = match (seen.stock(&self.me), seen.ours()) {
                (Some((dist_ac, controller, nodes)), _) => (dist_ac, controller, Some(nodes)),
                (None, Some((dist_ac, controller))) => (dist_ac, controller, None),
                (None, None) => continue,
            };
            let Some(state) = dist_ac.apps.get(app).filter(|state| state.permits(&node)) else { continue };
            let (believed, gave_way) = match (&state.id, controller.running.get(app)) {
                (AppId::Distributed(believed), _) if nodes.is_some() => (believed, false),
                // It was stopped for another's, and the news of its own start came after that.
                (AppId::Local, Some(Place::At(believed))) if nodes.is_some() => (believed, true),
                // It was stopped there, and started again where it may not run.
                (AppId::Undefined, Some(Place::At(believed)))
                    if dist_ac.started.contains(app) && self.nodes.contains_key(believed) =>
                {
                    (believed, true)
                }
                _ => continue,
            };
            let Some(restart_type) = controller.started.get(app) else { continue };
            // Where it was stopped on purpose it stays stopped.
            let stock = |seen: &&Seen| seen.ours.is_none();
            let is_gone = || nodes.is_some_and(|nodes| !nodes.contains(believed));
            let meant = match self.nodes.get(believed).filter(stock).and_then(|seen| seen.controller.as_ref())
            {
                Some(controller) => controller.started.contains_key(app) || controller.starting.contains(app),
                None => is_gone() || self.ours_started(believed, app),
            };
            if meant {
                // It takes over from where it believes it to run.
                let belief = gave_way.then(|| started(&node, app, believed));
                // Who waits for that, and holds a lock meanwhile which it needs, hears of it in advance.
                let waits = self.nodes.iter().filter(|(waits, seen)| {
                    **waits != node && (seen.waits_for_anybody(app) || seen.may_wait_for(app, &node))
                });
                let news = waits.map(|(waits, _)| started(waits, app, &node));
                let restart_type = restart_type.clone();
                let take_over = Treatment::TakeOver { node: node.clone(), app: app.clone(), restart_type };
                return Some(Finding {
                    fault: Fault::Orphan,
                    act: Act::TakeOver { app: app.clone(), node: node.clone() },
                    // Members of ours may yet decide it.
                    lasts: if nodes.is_some() { ORPHAN_LASTS } else { OURS_LASTS },
                    treatments: news.chain(belief).chain([take_over]).collect(),
                });
            }
        }
        None
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
