//! Who is to start an application (dist_ac.md 2.2): everything here that waits, waits with the whole process.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crabnode_dist_ac::{
    engine::{
        Lock, Output,
        appl::{AppId, Tier},
        wire::Message,
    },
    exchange::{CallId, Change, FromController, StartReply},
};
use etf::{Atom, Term, tuple};

use super::{Mail, Stock, Wait, state::State};

/// A start request that is refused its lock is repeated after so long.
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// A decision under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub(super) app: Atom,
    /// Those that may run it, as of the beginning, without the ones that went down since.
    permitted: Vec<Atom>,
    then: Then,
}

/// What goes on afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// A local start request: the controller is answered, and the lock of the process given back.
    Request,
    /// Its own initiative: the timer, or M4 of a node that is not permitted any more.
    Own,
    /// A caller of `permit(true)`. If another node is to run it, the process forgets what it decided.
    Permit { call: CallId, before: Box<State> },
}

/// A round of weights, at one tuple of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    tier: usize,
    /// Whose weight is still missing; the first is waited for.
    missing: VecDeque<Atom>,
    answers: Vec<(i64, Atom)>,
}

/// What a walk along the list comes to.
enum Found {
    Already(Atom),
    Elect(Atom),
    NoPermission,
    NotStarted,
    /// It blocks in a round.
    Asks(Round),
}

impl Round {
    pub(super) fn awaited(&self) -> Option<&Atom> {
        self.missing.front()
    }
}

impl Stock {
    /// `ac_start_application_req`, with the lock on the own node or without.
    pub(super) fn on_start_lock(&mut self, now: Instant, app: Atom, granted: bool) {
        if granted {
            return self.decide(app, Then::Request);
        }
        let again = Mail::Controller(FromController::StartRequest { app });
        self.timers.push((now + LOCK_RETRY, again));
    }

    /// `start_appl`.
    pub(super) fn decide(&mut self, app: Atom, then: Then) {
        let Some(appl) = self.state.appl(&app) else {
            return self.go_on(&app, then, Err(tuple!(atom "unknown_application", &app)));
        };
        if appl.id == AppId::Local {
            return self.go_on(&app, then, Ok(false));
        }
        let undefined: Vec<&Atom> =
            appl.run.iter().filter(|(_, permission)| permission.is_none()).map(|(node, _)| node).collect();
        if undefined.iter().any(|node| self.connected.contains(*node)) {
            let nodes: Vec<Term> = undefined.into_iter().map(Term::from).collect();
            return self.go_on(&app, then, Err(tuple!(atom "app_not_loaded", &app, nodes)));
        }
        let permitted = appl.run.iter().filter(|(_, permission)| *permission == Some(true));
        let permitted = permitted.map(|(node, _)| node.clone()).collect();
        self.start_distributed(Decision { app, permitted, then });
    }

    fn start_distributed(&mut self, decision: Decision) {
        let Some(appl) = self.state.appl(&decision.app) else { return };
        let candidates: Vec<Atom> =
            appl.flat_nodes().into_iter().filter(|node| decision.permitted.contains(node)).collect();
        let found = if candidates.contains(&self.me) {
            self.walk(&decision, &candidates, 0)
        } else {
            match self.state.remote_started(&decision.app) {
                Some(node) => Found::Already(node.clone()),
                None if candidates.is_empty() => Found::NoPermission,
                None => Found::NotStarted,
            }
        };
        self.on_found(decision, found);
    }

    /// `find_start_node`, from that place of the list on.
    fn walk(&mut self, decision: &Decision, candidates: &[Atom], from: usize) -> Found {
        let Some(appl) = self.state.appl(&decision.app) else { return Found::NotStarted };
        let (id, tiers) = (appl.id.clone(), appl.nodes.tiers().to_vec());
        let remote = self.state.remote_started(&decision.app).cloned();
        for (place, tier) in tiers.iter().enumerate().skip(from) {
            match tier {
                Tier::One(node) if !candidates.contains(node) => {}
                Tier::One(node) => {
                    let already = id == AppId::Distributed(node.clone()) || remote.as_ref() == Some(node);
                    return if already { Found::Already(node.clone()) } else { Found::Elect(node.clone()) };
                }
                Tier::Any(members) => {
                    let standby = match &id {
                        AppId::Distributed(node) => Some(node),
                        _ => None,
                    };
                    let runner = remote.as_ref().or(standby);
                    let inside = |node: &&Atom| members.contains(node) && candidates.contains(node);
                    if let Some(node) = runner.filter(inside) {
                        return Found::Already(node.clone());
                    }
                    match self.ask_weights(decision, candidates, place) {
                        Ok(answers) => match self.find_alive(answers, members) {
                            Some(node) => return Found::Elect(node),
                            None => continue,
                        },
                        Err(round) => return Found::Asks(round),
                    }
                }
            }
        }
        Found::NotStarted
    }

    /// Sends the own weight to all candidates, and collects theirs.
    fn ask_weights(
        &mut self,
        decision: &Decision,
        candidates: &[Atom],
        tier: usize,
    ) -> Result<Vec<(i64, Atom)>, Round> {
        let weight = self.cached_weight(&decision.app);
        let message = Message::Weight { app: decision.app.clone(), weight, node: self.me.clone() };
        self.send_all(candidates, &message);
        let missing = candidates.iter().filter(|node| **node != self.me).cloned().collect();
        self.collect(decision, Round { tier, missing, answers: vec![(weight, self.me.clone())] })
    }

    /// `collect_answers`. A weight that came before is found by its node alone: if the newest one of that node is
    /// for another application, it is not found, and the process waits for one more.
    fn collect(&mut self, decision: &Decision, mut round: Round) -> Result<Vec<(i64, Atom)>, Round> {
        while let Some(node) = round.missing.front().cloned() {
            match self.state.tmp_locals.iter().find(|(_, _, from)| *from == node) {
                Some((app, weight, _)) if *app == decision.app => {
                    round.answers.push((*weight, node));
                    round.missing.pop_front();
                }
                _ => {
                    self.monitor(&node);
                    return Err(round);
                }
            }
        }
        Ok(round.answers)
    }

    fn find_alive(&self, mut answers: Vec<(i64, Atom)>, members: &[Atom]) -> Option<Atom> {
        answers.sort_by(|(one, a), (other, b)| (one, a.as_str()).cmp(&(other, b.as_str())));
        let alive = |node: &Atom| members.contains(node) && self.state.known.contains(node);
        answers.into_iter().map(|(_, node)| node).find(alive)
    }

    /// A weight, or the death of the node it was to come from.
    pub(super) fn on_weight_collected(&mut self, decision: Decision, mut round: Round, mail: Mail) {
        let Some(node) = round.missing.pop_front() else { return };
        self.demonitor(&node);
        if let Mail::Peer(Message::Weight { weight, .. }) = mail {
            round.answers.push((weight, node));
        }
        let tier = round.tier;
        let found = match self.collect(&decision, round) {
            Err(round) => Found::Asks(round),
            Ok(answers) => {
                let Some(appl) = self.state.appl(&decision.app) else { return };
                let candidates: Vec<Atom> =
                    appl.flat_nodes().into_iter().filter(|node| decision.permitted.contains(node)).collect();
                let members = appl.nodes.tiers()[tier].members().to_vec();
                match self.find_alive(answers, &members) {
                    Some(node) => Found::Elect(node),
                    None => self.walk(&decision, &candidates, tier + 1),
                }
            }
        };
        self.on_found(decision, found);
    }

    fn on_found(&mut self, decision: Decision, found: Found) {
        let id = self.state.appl(&decision.app).map(|appl| appl.id.clone()).unwrap_or_default();
        match found {
            Found::Elect(node) if node == self.me => self.start_here(decision, id),
            Found::Already(node) => self.started_there(decision, node),
            Found::Elect(node) if id == AppId::Distributed(node.clone()) => {
                self.started_there(decision, node)
            }
            Found::Elect(node) => {
                self.monitor(&node);
                self.wait = Wait::Starter(decision, node);
            }
            Found::NotStarted => self.wait = Wait::Anybody(decision),
            Found::NoPermission => {
                if decision.is_reply() {
                    self.start_reply(&decision.app, StartReply::NotStarted);
                } else {
                    self.change(&decision.app, Change::StopIt);
                }
                self.decided(decision, AppId::Undefined, false);
            }
            Found::Asks(round) => self.wait = Wait::Weight(decision, round),
        }
    }

    fn start_here(&mut self, decision: Decision, id: AppId) {
        let app = &decision.app;
        match id {
            AppId::Failover(node) if !decision.is_reply() => self.change(app, Change::Failover(node)),
            AppId::Distributed(from) if !decision.is_reply() => {
                self.change(app, Change::Takeover { from, restart_type: None });
            }
            _ if decision.is_reply() => {
                let from = self.state.remote_started(app).cloned();
                self.start_reply(app, from.map_or(StartReply::StartIt, StartReply::Takeover));
            }
            _ => self.change(app, Change::StartIt),
        }
        self.decided(decision, AppId::RunWaiting, true);
    }

    fn started_there(&mut self, decision: Decision, node: Atom) {
        if decision.is_reply() {
            self.start_reply(&decision.app, StartReply::Started(node.clone()));
        } else {
            self.change(&decision.app, Change::Started(node.clone()));
        }
        self.decided(decision, AppId::Distributed(node), false);
    }

    /// In `wait_dist_start`: the result of the elected node, its question, or its death.
    pub(super) fn on_start_there(&mut self, decision: Decision, node: Atom, mail: Mail) {
        self.demonitor(&node);
        match mail {
            Mail::Peer(Message::AppStarted { result, .. }) => self.on_start_result(decision, node, result),
            Mail::NodeDown(node) => self.without(decision, &node),
            _ => {
                let weight = self.cached_weight(&decision.app);
                let message = Message::Weight { app: decision.app.clone(), weight, node: self.me.clone() };
                self.send(&node, message);
                self.monitor(&node);
                self.wait = Wait::Starter(decision, node);
            }
        }
    }

    /// In `wait_dist_start2`: anybody's result, or anybody's death, of which no other application hears
    /// (dist_ac.md 6, L11).
    pub(super) fn on_start_anywhere(&mut self, decision: Decision, mail: Mail) {
        match mail {
            Mail::Peer(Message::AppStarted { node, result, .. }) => {
                self.on_start_result(decision, node, result);
            }
            Mail::NodeDown(node) => self.without(decision, &node),
            _ => self.wait = Wait::Anybody(decision),
        }
    }

    fn on_start_result(&mut self, decision: Decision, node: Atom, result: Result<(), Term>) {
        match result {
            Ok(()) => self.started_there(decision, node),
            Err(reason) => {
                if decision.is_reply() {
                    self.start_reply(&decision.app, StartReply::Error(tuple!(node, reason)));
                }
                let id = self.state.appl(&decision.app).map(|appl| appl.id.clone()).unwrap_or_default();
                self.decided(decision, id, false);
            }
        }
    }

    fn without(&mut self, mut decision: Decision, node: &Atom) {
        decision.permitted.retain(|permitted| permitted != node);
        self.start_distributed(decision);
    }

    fn decided(&mut self, decision: Decision, id: AppId, waits: bool) {
        let Decision { app, then, .. } = decision;
        self.state.set_id(&app, id);
        self.state.tmp_locals.retain(|(name, _, _)| *name != app);
        self.state.tmp_weights.retain(|(name, _)| *name != app);
        self.state.forget_remote_started(&app);
        if !self.state.is_started(&app) {
            self.state.started.insert(0, app.clone());
        }
        self.go_on(&app, then, Ok(waits));
    }

    /// Back in the main loop. `result`: an error, or whether a start was ordered here.
    fn go_on(&mut self, app: &Atom, then: Then, result: Result<bool, Term>) {
        self.wait = Wait::MainLoop;
        match (then, result) {
            (Then::Request, result) => {
                if let Err(reason) = result {
                    self.start_reply(app, StartReply::Error(reason));
                }
                self.outputs.push_back(Output::Unlock { lock: Lock::Start });
            }
            (Then::Own, _) => {}
            (Then::Permit { call, .. }, Ok(true)) => {
                self.unlock_call(call);
                self.state.t_reqs.insert(0, (app.clone(), call));
            }
            (Then::Permit { call, before }, Ok(false)) => {
                self.state = *before;
                self.reply(call, Term::atom("ok"));
            }
            (Then::Permit { call, .. }, Err(reason)) => {
                self.crashed = true;
                self.reply(call, tuple!(atom "error", reason));
            }
        }
    }

    pub(super) fn cached_weight(&self, app: &Atom) -> i64 {
        let promised = self.state.tmp_weights.iter().find(|(name, _)| name == app);
        promised.map_or(self.weight, |(_, weight)| *weight)
    }
}

impl Decision {
    /// For a caller of `permit`.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.then, Then::Permit { .. })
    }

    fn is_reply(&self) -> bool {
        self.then == Then::Request
    }
}
