//! Loading and unloading, here and at peers: M2 and M3 (dist_ac.md 2.1).

use std::time::Instant;

use etf::{Atom, Term, tuple};

use super::{
    App, CallId, Engine, Event, FOREIGN_APPS_MAX, Message,
    appl::{Distribution, Nodes, RestartTime},
};
use crate::exchange::ToController;

impl Engine {
    /// `application:load/2`, after the application controller loaded it.
    pub(super) fn load_spec(&mut self, now: Instant, call: CallId, app: Atom, spec: &Term, permission: bool) {
        let ok = Term::atom("ok");
        if !spec.is_atom("default") {
            match parse_spec(&app, spec) {
                Err(error) => return self.reply(call, tuple!(atom "error", error)),
                Ok(distribution) if distribution.nodes.is_empty() => return self.reply(call, ok),
                Ok(distribution) => self.replace(distribution),
            }
        }
        let Some(at) = self.find(&app) else { return self.reply(call, ok) };
        if self.apps[at].nodes.is_empty() {
            return self.reply(call, ok); // Not distributed after all.
        }
        let reply = match self.load(now, at, permission) {
            Ok(()) => ok,
            Err(reason) => tuple!(atom "error", reason),
        };
        self.reply(call, reply);
    }

    /// Loads here, and tells everybody who may run it. An error leaves it unannounced: two different priority lists
    /// would each kill a stock node, so the later one gives way (dist_ac.md 6, L15).
    pub(super) fn load(&mut self, now: Instant, at: usize, permission: bool) -> Result<(), Term> {
        let (me, name, nodes) = (self.me.clone(), self.apps[at].name.clone(), self.apps[at].nodes.clone());
        let announced: Vec<(Atom, Nodes, bool)> = self
            .dist_loaded
            .iter()
            .filter(|((app, _), _)| *app == name)
            .map(|((_, node), (nodes, permission))| (node.clone(), nodes.clone(), *permission))
            .collect();
        if let Some((node, ..)) = announced.iter().find(|(_, his, _)| !his.same_as(&nodes)) {
            self.event(Event::DistributionMismatch { app: name.clone(), node: node.clone() });
            self.apps[at].run.retain(|(entry, _)| *entry != me);
            // Peers may count on it since an introduction: not permitted, rather than not loaded, which would make
            // their own starts fail (dist_ac.md 6, L16).
            let message =
                Message::NewPermission { node: me, app: name.clone(), permission: false, is_running: false };
            self.send_to_candidates(at, &message);
            return Err(tuple!(atom "distribution_mismatch", name, node));
        }
        let app = &mut self.apps[at];
        app.set_permission(&me, Some(permission));
        for (node, _, permission) in &announced {
            app.set_permission(node, Some(*permission));
        }
        for node in nodes.flat() {
            self.dist_loaded.remove(&(name.clone(), node.clone()));
            if let Some(weight) = self.early_weights.remove(&(name.clone(), node.clone())) {
                self.apps[at].ballots.adopt(now, node.clone(), weight);
            }
            if node != me {
                let he_knows_me = announced.iter().any(|(known, ..)| *known == node);
                if !he_knows_me && self.is_ours(&node) {
                    self.apps[at].load_told.insert(node.clone());
                }
                let (node_, app, nodes) = (me.clone(), name.clone(), nodes.clone());
                self.send(&node, Message::AppLoaded { node: node_, app, nodes, permission, he_knows_me });
            }
        }
        self.evaluate(now, at);
        Ok(())
    }

    /// Whether members of ours that may run it know that it is loaded here. One that does not may start it just now, by a
    /// failover in which this node has no part; its answer comes behind the news of that.
    pub(super) fn knows_of_load(&self, at: usize) -> bool {
        let app = &self.apps[at];
        let owes = |node: &Atom| matches!(app.permission_of(node), Some(Some(_)));
        !app.load_told.iter().any(owes)
    }

    pub(super) fn unload(&mut self, at: usize) {
        let (me, name) = (self.me.clone(), self.apps[at].name.clone());
        if self.apps[at].permission_of(&me).is_some() {
            self.send_to_candidates(at, &Message::AppUnloaded { node: me, app: name });
        }
        let app = &mut self.apps[at];
        app.run.clear();
        app.started = false;
        app.load_told.clear();
        app.end_failover();
        self.drop_decision(at);
        self.set_id(at, super::AppId::Undefined);
    }

    /// M2.
    pub(super) fn on_app_loaded(
        &mut self,
        now: Instant,
        node: Atom,
        app: Atom,
        nodes: Nodes,
        permission: bool,
        he_knows_me: bool,
    ) {
        let me = self.me.clone();
        let loaded = self.find(&app).filter(|at| matches!(self.apps[*at].permission_of(&me), Some(Some(_))));
        let Some(at) = loaded else {
            let key = (app, node);
            if self.dist_loaded.len() < FOREIGN_APPS_MAX || self.dist_loaded.contains_key(&key) {
                self.dist_loaded.insert(key, (nodes, permission));
            } else {
                let (app, node) = key;
                let message = Message::AppLoaded { node, app, nodes, permission, he_knows_me };
                self.ignore(message, "too many applications");
            }
            return;
        };
        if !self.apps[at].nodes.same_as(&nodes) {
            return self.event(Event::DistributionMismatch { app, node });
        }
        self.apps[at].set_permission(&node, Some(permission));
        self.apps[at].load_told.remove(&node);
        // Before go an answer would make this node a candidate that starts nothing; M4 follows at go.
        if !he_knows_me && self.go {
            let permission = self.apps[at].permits(&me);
            let nodes = self.apps[at].nodes.clone();
            self.send(&node, Message::AppLoaded { node: me, app, nodes, permission, he_knows_me: true });
        }
        self.evaluate(now, at);
    }

    /// M3.
    pub(super) fn on_app_unloaded(&mut self, now: Instant, node: &Atom, app: &Atom) {
        self.dist_loaded.remove(&(app.clone(), node.clone()));
        if let Some(at) = self.find(app) {
            self.apps[at].set_permission(node, None);
            self.evaluate(now, at);
        }
    }

    fn replace(&mut self, Distribution { app, restart_time, nodes }: Distribution) {
        let run = nodes.flat().into_iter().map(|node| (node, None)).collect();
        let entry = App::new(app.clone(), restart_time, nodes, run);
        match self.find(&app) {
            Some(at) => {
                self.drop_decision(at);
                self.apps[at] = entry;
            }
            None => {
                self.apps.push(entry);
                self.tell(ToController::ControlApplication { app });
            }
        }
    }
}

/// `{App, Nodes}` or `{App, Time, Nodes}` with a time of at least 0; or the reason of the error.
fn parse_spec(app: &Atom, spec: &Term) -> Result<Distribution, Term> {
    let bad = || tuple!(atom "bad_distribution_spec", spec.clone());
    let (restart_time, list) = match spec.as_tuple() {
        Some([name, nodes]) if name.as_atom() == Some(app) => (0, nodes),
        Some([name, time, nodes]) if name.as_atom() == Some(app) => (time.as_u64().ok_or_else(bad)?, nodes),
        _ => return Err(bad()),
    };
    let nodes = Nodes::from_term(list).ok_or_else(|| tuple!(atom "badarg", list.clone()))?;
    Ok(Distribution { app: app.clone(), restart_time: RestartTime::Millis(restart_time), nodes })
}
