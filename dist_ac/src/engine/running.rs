//! What came of starts and stops, here and at peers: M6 and M7 (dist_ac.md 2.3).

use std::time::Instant;

use etf::{Atom, Term, tuple};

use super::{AppId, Engine, Event, FOREIGN_APPS_MAX, Message, start::Waiting};
use crate::exchange::Change;

impl Engine {
    /// `ac_application_run`: an ordered start ended. M6 goes to every introduced node, as any of them may wait for it.
    pub(super) fn on_run(&mut self, now: Instant, at: usize, result: Result<(), Term>) {
        let own = self.apps[at].own_start.take();
        match result {
            Ok(()) => self.on_run_ok(now, at, own),
            Err(reason) => self.on_run_error(now, at, own, reason),
        }
    }

    fn on_run_ok(&mut self, now: Instant, at: usize, own: Option<super::OwnStart>) {
        let (me, name) = (self.me.clone(), self.apps[at].name.clone());
        let previous = own.and_then(|own| own.previous);
        self.apps[at].since = self.heal.time_of_day(now);
        if self.better_starter(at) {
            self.apps[at].unannounced = true;
        } else {
            self.announce(at, previous.as_ref());
        }
        self.remote_started.remove(&name);
        self.drop_decision(at);
        let app = &mut self.apps[at];
        app.started = true;
        // Whoever says now that it runs there has to settle that with this copy.
        app.heard = None;
        app.end_failover();
        app.ballots.reset();
        let waiting = std::mem::take(&mut app.waiting_run);
        let unpermitted = std::mem::take(&mut app.waiting_permit_start);
        let permitted = app.permits(&me);
        self.set_id(at, AppId::Local);
        self.reply_all(waiting, &Term::atom("ok"));
        if !permitted && !unpermitted.is_empty() {
            // permit(false) came during the start. Its M4 said that nothing runs here, so nobody moved it (L23).
            let message = Message::NewPermission { node: me, app: name, permission: false, is_running: true };
            self.send_to_candidates(at, &message);
            for call in unpermitted {
                self.unpermit_running(at, call);
            }
        } else {
            self.reply_all(unpermitted, &Term::atom("ok"));
        }
        self.evaluate(now, at);
    }

    fn on_run_error(&mut self, now: Instant, at: usize, own: Option<super::OwnStart>, reason: Term) {
        let (me, name) = (self.me.clone(), self.apps[at].name.clone());
        let own = own.unwrap_or(super::OwnStart { reply: false, previous: None, failover: None });
        let error = Err(reason.clone());
        if matches!(self.apps[at].id, AppId::Distributed(_)) {
            // Somebody else started it meanwhile: this failure is nobody's business, but those who wait for its end.
            self.broadcast_status();
        } else if let Some(previous) = own.previous {
            // The old copy lives on. An M6 error would stop it, and the application would run nowhere (L4).
            self.apps[at].started &= !own.reply;
            if self.apps[at].started {
                self.set_id(at, AppId::Distributed(previous.clone()));
            } else {
                self.remote_started.insert(name, previous.clone());
                self.set_id(at, AppId::Undefined);
            }
            self.release_waiting(at, &previous);
            // Those who wait for its end because they met us in the middle of it.
            self.broadcast_status();
        } else {
            self.broadcast(&Message::AppStarted { node: me, app: name, result: error });
            // The application controller knows nothing of a local request that failed.
            self.apps[at].started &= !own.reply;
            self.failed_to_fail_over(now, at, own.failover);
        }
        let app = &mut self.apps[at];
        app.ballots.reset();
        let waiting = std::mem::take(&mut app.waiting_run);
        let unpermitted = std::mem::take(&mut app.waiting_permit_start);
        self.reply_all(waiting, &tuple!(atom "error", reason));
        self.reply_all(unpermitted, &Term::atom("ok"));
    }

    /// `ac_application_not_run`, an ordered stop is done, or `ac_application_stopped`: `application:stop`, or it
    /// died by itself.
    pub(super) fn on_not_running(&mut self, now: Instant, at: usize, ordered: bool) {
        self.drop_decision(at);
        let name = self.apps[at].name.clone();
        match self.apps[at].id.clone() {
            AppId::Local if !self.apps[at].unannounced => {
                self.broadcast(&Message::AppStopped { app: name });
                if ordered {
                    self.offer(at);
                }
            }
            AppId::Distributed(node) if !ordered => {
                self.remote_started.insert(name, node);
            }
            _ => {}
        }
        // Somebody may have taken it over during an ordered stop: then this node stands by.
        let stands_by = ordered && matches!(self.apps[at].id, AppId::Distributed(_));
        let app = &mut self.apps[at];
        // The application controller has forgotten it, but not its start, and will say what came of that.
        let goes_on = app.own_start.take_if(|_| !ordered);
        let starts = goes_on.is_some() && matches!(app.id, AppId::RunWaiting | AppId::Takeover);
        let started = app.own_start.take().is_some() | std::mem::take(&mut app.unannounced);
        app.own_start = goes_on;
        app.end_failover();
        app.yielding.clear();
        app.started &= ordered;
        let (run, stop) = (std::mem::take(&mut app.waiting_run), std::mem::take(&mut app.waiting_stop));
        let permits = std::mem::take(&mut app.waiting_permit).into_iter().map(|(call, _)| call);
        let done: Vec<_> =
            stop.into_iter().chain(permits).chain(std::mem::take(&mut app.waiting_permit_start)).collect();
        if !stands_by && !starts {
            self.set_id(at, AppId::Undefined);
        }
        if started {
            // Nobody hears of the end of that start in any other way.
            self.broadcast_status();
        }
        self.reply_all(run, &tuple!(atom "error", atom "stopped"));
        self.reply_all(done, &Term::atom("ok"));
        // permit(true) came while it stopped for permit(false), and was answered as if it ran.
        if ordered && !stands_by && self.apps[at].started && self.apps[at].permits(&self.me) {
            self.begin(now, at, false, None);
        }
    }

    /// It has stopped for `permit(false)`, as nobody else was there to run it. Whoever has come meanwhile took it for running,
    /// and is told once more that it has to move.
    fn offer(&mut self, at: usize) {
        let (me, app) = (self.me.clone(), &self.apps[at]);
        if app.waiting_stop.is_empty() || app.permits(&me) {
            return;
        }
        let name = app.name.clone();
        for node in app.able() {
            let app = name.clone();
            let message =
                Message::NewPermission { node: me.clone(), app, permission: false, is_running: true };
            self.send(&node, message);
        }
    }

    /// M6.
    pub(super) fn on_app_started(&mut self, now: Instant, node: Atom, app: Atom, result: Result<(), Term>) {
        if node == self.me {
            return self.ignore(Message::AppStarted { node, app, result }, "this node knows best");
        }
        // No sign that it serves: others say so as well, and where it does it answers what it was asked.
        let Some(at) = self.find(&app) else {
            if result.is_ok() {
                self.remember_started(&app, &node);
            }
            return;
        };
        match result {
            // It had not heard of this copy: it won against a third one (dist_ac.md 6, L3). Or somebody else says so, and
            // it may be another start there.
            Ok(()) if self.apps[at].id == AppId::Local && self.apps[at].yielding.contains(&node) => {
                self.apps[at].starters.remove(&node);
                self.contest_between(now, at, &[&node]);
            }
            // Told by a third node that has not heard yet that it is gone.
            Ok(()) if self.apps[at].id == AppId::Local && !self.peers.contains_key(&node) => {}
            Ok(()) if self.apps[at].id == AppId::Local && self.crosses(at, &node) => {
                self.set_starter(now, at, &node, false);
                self.stay(now, at, node);
            }
            Ok(()) => {
                self.apps[at].starters.remove(&node);
                self.contest(now, at, &node);
                self.suspect(now, at, &node);
                self.apps[at].heard = Some((node.clone(), now));
                self.on_started_there(now, at, &node);
                self.pass_on(now, at, &node);
                if !self.peers.contains_key(&node) {
                    self.lose_absent(now, at, &node);
                }
            }
            Err(reason) => {
                self.set_starter(now, at, &node, false);
                self.on_failed_there(now, at, node, reason);
            }
        }
    }

    /// A peer starts it, or does not any more; what waited for that goes on.
    pub(super) fn set_starter(&mut self, now: Instant, at: usize, node: &Atom, starts: bool) {
        let app = &mut self.apps[at];
        if starts {
            app.starters.insert(node.clone());
        } else if app.starters.remove(node) {
            let silent = app.unannounced && !self.better_starter(at);
            if silent {
                self.apps[at].unannounced = false;
                self.announce(at, None);
            }
            self.evaluate(now, at);
        }
    }

    /// M6: it runs here. It stops any other copy, and is meant to in a takeover. But one that was started in the belief
    /// that there is no other may have met one meanwhile: then the better place goes on, and peers of our own kind
    /// learn of this copy in time to say so.
    fn announce(&mut self, at: usize, previous: Option<&Atom>) {
        self.set_id(at, AppId::Local);
        match previous {
            None => self.broadcast_status(),
            // Taken over from there: it still runs there until it has heard of it. Somebody else may have started it
            // since that node died.
            Some(previous) => {
                if self.is_ours(previous) {
                    self.apps[at].yielding.insert(previous.clone());
                }
                self.broadcast_arrival(at, previous);
            }
        }
        let (me, app) = (self.me.clone(), self.apps[at].name.clone());
        self.broadcast(&Message::AppStarted { node: me, app, result: Ok(()) });
    }

    /// Whether a peer of our own kind that goes before this node is starting it too. Two copies that report at
    /// the same time would each stop for the other.
    fn better_starter(&self, at: usize) -> bool {
        self.apps[at].starters.iter().any(|node| self.is_ours(node) && self.beats(at, node, &self.me))
    }

    /// Whether one node is to start it rather than the other: who may run it, by the priority list, by name.
    fn beats(&self, at: usize, one: &Atom, other: &Atom) -> bool {
        let app = &self.apps[at];
        let place = |node: &Atom| (!app.permits(node), app.nodes.rank(node));
        (place(one), one) < (place(other), other)
    }

    /// A failed takeover is told to nobody, and some may wait for its result: they hear from the copy that goes on. A
    /// stock node takes only what seems to come from this one, and has to learn then that it was not so; in between it
    /// forgets the two entries that one which has not started the application makes of it (dist_ac.md 6, L4, L9).
    fn release_waiting(&mut self, at: usize, previous: &Atom) {
        let (me, app) = (self.me.clone(), self.apps[at].name.clone());
        let started =
            |node: &Atom| Message::AppStarted { node: node.clone(), app: app.clone(), result: Ok(()) };
        for node in self.known.clone() {
            if node == me || node == *previous {
                continue;
            }
            if !self.is_ours(&node) {
                self.send(&node, started(&me));
                self.send(&node, Message::AppStopped { app: app.clone() });
                self.send(&node, Message::AppStopped { app: app.clone() });
            }
            self.send(&node, started(previous));
        }
    }

    /// The own start failed, and nobody else runs it. If it was to bring the application back there is another try.
    fn failed_to_fail_over(&mut self, now: Instant, at: usize, dead: Option<Atom>) {
        let me = self.me.clone();
        let rescue = dead.is_some() || self.apps[at].rescue.is_some();
        self.set_id(at, AppId::Undefined);
        if rescue
            && self.retry(now, at, &me)
            && let Some(dead) = dead
        {
            self.set_id(at, AppId::Failover(dead));
        }
    }

    pub(super) fn on_started_there(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = &self.apps[at];
        if app.started || app.decision.is_some() {
            self.started_elsewhere(now, at, node);
        } else {
            let name = app.name.clone();
            self.remember_started(&name, node);
        }
        self.end_round(at);
    }

    /// A peer could not start it. A stock node stops its own copy for that; here nothing that runs is touched.
    fn on_failed_there(&mut self, now: Instant, at: usize, node: Atom, reason: Term) {
        let app = &self.apps[at];
        let name = app.name.clone();
        if let Some(decision) = &app.decision {
            if decision.waiting == Waiting::Any || decision.waiting == Waiting::Node(node.clone()) {
                let failover = !decision.reply && matches!(app.id, AppId::Failover(_));
                let again = failover || app.rescue.is_some();
                self.decision_failed(at, tuple!(&node, reason));
                if again {
                    self.retry(now, at, &node);
                }
            } else {
                self.evaluate(now, at);
            }
            return;
        }
        self.end_round(at);
        let app = &self.apps[at];
        if app.own_start.is_some() {
            return; // It goes on, and its result counts.
        }
        match &app.id {
            AppId::Local => {
                // It failed to take over from here. Peers believe now that nobody runs it: tell them (L4).
                let me = self.me.clone();
                self.broadcast(&Message::AppStarted { node: me, app: name.clone(), result: Ok(()) });
                self.event(Event::FailedTakeoverIgnored { app: name, node, reason });
            }
            // Not started here: a failure says nothing about where it runs (L10).
            _ if !app.started => {}
            _ => {
                let before = app.id.clone();
                self.change(at, Change::Started(node.clone()));
                self.apps[at].failover_at = None;
                self.set_id(at, AppId::Undefined);
                let again = before != AppId::Undefined || self.apps[at].rescue.is_some();
                // A copy of ours that goes on says so before that time.
                if again && self.retry(now, at, &node) && matches!(before, AppId::Failover(_)) {
                    self.set_id(at, before);
                }
            }
        }
    }

    /// M7. It names no node, so it counts only where another node was believed to run it: a late one must not make a
    /// running copy forgotten (dist_ac.md 6, L17). And it may be one of two copies that has stopped, of which the other
    /// goes on: the node that was believed to run it is asked.
    pub(super) fn on_app_stopped(&mut self, now: Instant, app: Atom) {
        let remembered = self.remote_started.remove(&app);
        let Some(at) = self.find(&app) else { return };
        self.end_round(at);
        self.apps[at].heard = None;
        let believed = match self.apps[at].id.clone() {
            AppId::Distributed(node) => Some(node),
            _ => remembered,
        };
        if let Some(own) = &mut self.apps[at].own_start {
            own.previous = None;
        }
        if let AppId::Distributed(node) = self.apps[at].id.clone() {
            self.apps[at].stopped = Some((node, now));
            self.set_id(at, AppId::Undefined);
        }
        if let Some(node) = believed.filter(|node| self.peers.contains_key(node)) {
            self.doubt(now, at, &node);
        }
        self.evaluate(now, at);
    }

    /// It runs there: whoever waits here is released, and a copy here stops.
    pub(super) fn started_elsewhere(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = &mut self.apps[at];
        app.end_failover();
        if app.id != AppId::Distributed(node.clone()) {
            app.deferred_to = None;
        }
        app.yielding.clear();
        let silent = std::mem::take(&mut app.unannounced);
        let gives_way = app.id == AppId::Local;
        let permits = std::mem::take(&mut app.waiting_permit).into_iter().map(|(call, _)| call).collect();
        let decision = app.decision.as_ref().map(|decision| (decision.reply, &decision.waiting));
        match decision {
            Some((_, Waiting::Any | Waiting::Node(_))) => self.decided_elsewhere(at, node),
            // It is still open whether this node goes before that one.
            Some((true, Waiting::Introductions | Waiting::Starter(_) | Waiting::Weights)) => {
                let name = app.name.clone();
                self.remember_started(&name, node);
            }
            None | Some((false, Waiting::Introductions | Waiting::Starter(_) | Waiting::Weights)) => {
                self.change(at, Change::Started(node.clone()));
                self.set_id(at, AppId::Distributed(node.clone()));
            }
        }
        if gives_way {
            // That one may give way at the same time.
            self.contest_between(now, at, &[node]);
            if silent {
                // To all others that was a start, whose M6 will not come.
                self.broadcast_status();
            } else if self.is_ours(node) {
                self.send_status(node, true);
            }
        }
        self.reply_all(permits, &Term::atom("ok"));
        self.evaluate(now, at);
    }

    /// A start result was seen: the weights told before have served, unless a decision still needs them.
    pub(super) fn end_round(&mut self, at: usize) {
        let app = &mut self.apps[at];
        if app.decision.is_none() {
            app.ballots.reset();
        }
    }

    /// It runs there, and was not started here. Newest wins, and there is one entry for an application (L9).
    pub(super) fn remember_started(&mut self, app: &Atom, node: &Atom) {
        if self.remote_started.len() < FOREIGN_APPS_MAX || self.remote_started.contains_key(app) {
            self.remote_started.insert(app.clone(), node.clone());
        } else {
            let message = Message::AppStarted { node: node.clone(), app: app.clone(), result: Ok(()) };
            self.ignore(message, "too many applications");
        }
    }

    /// `permit(false)` of an application that runs here: somebody else takes it over, or it stops.
    pub(super) fn unpermit_running(&mut self, at: usize, call: super::CallId) {
        let app = &mut self.apps[at];
        let able = app.able();
        if able.is_empty() {
            app.waiting_stop.push(call);
            self.change(at, Change::StopIt);
        } else {
            app.waiting_permit.push((call, able));
        }
    }
}

impl super::App {
    /// Who may run it, as far as that is known.
    fn able(&self) -> Vec<Atom> {
        let able = self.run.iter().filter(|(_, permission)| *permission == Some(true));
        able.map(|(node, _)| node.clone()).collect()
    }

    /// It runs, or is to run no more: what was to bring it back is over.
    pub(super) fn end_failover(&mut self) {
        self.failover_at = None;
        self.rescue = None;
        self.stopped = None;
    }
}
