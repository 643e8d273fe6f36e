//! The death of a node, and the restart time after it (dist_ac.md 2.3).

use std::time::Instant;

use etf::Atom;

use super::{AppId, Engine, Event};
use crate::exchange::Change;

impl Engine {
    /// Every application at once, whatever it is doing: a stock node that waits for one application loses the news for
    /// all others (dist_ac.md 6, L11).
    pub(super) fn on_node_down(&mut self, now: Instant, node: &Atom) {
        self.peers.remove(node);
        self.known.retain(|known| known != node);
        self.remote_started.retain(|_, runner| runner != node);
        self.dist_loaded.retain(|(_, loader), _| loader != node);
        self.early_weights.retain(|(_, asker), _| asker != node);
        for at in 0..self.apps.len() {
            self.lose(now, at, node);
        }
        self.check_introductions(now);
        self.evaluate_all(now);
    }

    fn lose(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = &mut self.apps[at];
        app.run.retain(|(name, _)| name != node);
        app.ballots.forget(node);
        app.yielding.remove(node);
        app.load_told.remove(node);
        app.asked.remove(node);
        // When it is back it says anew what runs there.
        app.heard.take_if(|(heard, _)| heard == node);
        if let Some(own) = &mut app.own_start {
            own.previous.take_if(|previous| previous == node);
        }
        if app.id == AppId::Distributed(node.clone()) {
            self.lose_runner(now, at, node);
        } else if self.stopped_with(now, at, node) {
            self.rescue_stopped(now, at, node);
        }
        self.lose_contestant(now, at, node);
        self.lose_awaited(at, node);
        self.set_starter(now, at, node, false);
        let app = &mut self.apps[at];
        if app.deferred_to.take_if(|deferred| deferred == node).is_some()
            && matches!(app.id, AppId::Distributed(_))
            && app.started
        {
            self.begin(now, at, false, None);
        }
    }

    /// A third node has said that it runs there, and had not heard yet that the node is gone.
    pub(super) fn lose_absent(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = &mut self.apps[at];
        app.heard.take_if(|(heard, _)| heard == node);
        if self.remote_started.get(&app.name) == Some(node) {
            self.remote_started.remove(&app.name);
        }
        if app.id == AppId::Distributed(node.clone()) {
            self.lose_runner(now, at, node);
        }
    }

    pub(super) fn lose_runner(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = &mut self.apps[at];
        if app.own_start.is_some() {
            // The own start goes on, and nobody else runs it any more.
            return self.set_id(at, AppId::RunWaiting);
        }
        if !app.permits(&self.me) {
            self.change(at, Change::NotRunning);
            return self.set_id(at, AppId::Undefined);
        }
        let (name, restart_time) = (app.name.clone(), app.restart_time);
        app.failover_at = restart_time.as_duration().map(|wait| now + wait);
        // A move that was under way is settled by the timer instead, so that nothing starts before it.
        if self.apps[at].decision.as_ref().is_some_and(|decision| !decision.reply) {
            self.drop_decision(at);
        }
        self.set_id(at, AppId::Failover(node.clone()));
        self.event(Event::FailoverPending { app: name, node: node.clone(), restart_time });
    }

    /// Callers of `permit(false)` waited for one of several nodes to take over; with the last one gone it stops.
    fn lose_awaited(&mut self, at: usize, node: &Atom) {
        let app = &mut self.apps[at];
        for (_, awaited) in &mut app.waiting_permit {
            awaited.retain(|name| name != node);
        }
        let alone: Vec<_> = app.waiting_permit.extract_if(.., |(_, awaited)| awaited.is_empty()).collect();
        if !alone.is_empty() {
            app.waiting_stop.extend(alone.into_iter().map(|(call, _)| call));
            self.change(at, Change::StopIt);
        }
    }

    /// `internal_restart_appl`.
    pub(super) fn on_restart_time_over(&mut self, now: Instant, at: usize) {
        if self.begin_rescue(now, at) || matches!(self.apps[at].id, AppId::Failover(_)) {
            self.begin(now, at, false, None);
        }
    }
}
