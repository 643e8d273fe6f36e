//! `application:permit/2`, here and at peers: M4 (dist_ac.md 2.3).

use std::time::Instant;

use etf::{Atom, Term, tuple};

use super::{AppId, CallId, Engine, Event, Message};

impl Engine {
    /// The new permission is told first, whatever comes of it.
    pub(super) fn permit(
        &mut self,
        now: Instant,
        call: CallId,
        app: &Atom,
        permission: bool,
        only_loaded: bool,
    ) {
        let Some(at) = self.find(app) else {
            return self.reply(call, tuple!(atom "error", tuple!(atom "not_loaded", app)));
        };
        let me = self.me.clone();
        // The application controller said so before the lock was there; it may have been started since.
        let state = &self.apps[at];
        let only_loaded =
            only_loaded && !state.started && state.decision.is_none() && state.own_start.is_none();
        self.change_permission(at, &me, permission);
        let is_running = self.apps[at].id == AppId::Local;
        if self.apps[at].own_start.is_some() && !permission {
            // Peers of ours that wait for this start must not take the place for free.
            self.broadcast_status();
        }
        let message = Message::NewPermission { node: me, app: app.clone(), permission, is_running };
        self.send_to_candidates(at, &message);
        let ok = Term::atom("ok");
        if only_loaded {
            self.reply(call, ok);
        } else if permission {
            // Nobody has to take it over any more.
            let unpermitted = std::mem::take(&mut self.apps[at].waiting_permit).into_iter();
            self.reply_all(unpermitted.map(|(call, _)| call).collect(), &ok);
            self.ask_starters(at);
            self.begin(now, at, false, Some(call));
        } else {
            match self.apps[at].id {
                AppId::Local => self.unpermit_running(at, call),
                AppId::RunWaiting | AppId::Takeover => self.apps[at].waiting_permit_start.push(call),
                AppId::Distributed(_) | AppId::Failover(_) | AppId::Undefined => self.reply(call, ok),
            }
        }
        self.evaluate(now, at);
        // A stock node keeps the lock while it waits. But the one it waits for may be a node that is about to be
        // started, and its start needs that lock: then both would wait for ever.
        self.release_call(call);
    }

    /// Nobody is known to run it. But somebody of our own kind may have started it just now, when this node was no candidate:
    /// that one is to say so first.
    fn ask_starters(&mut self, at: usize) {
        if !matches!(self.apps[at].id, AppId::Undefined | AppId::Failover(_)) {
            return;
        }
        for node in self.apps[at].nodes.flat() {
            self.confirm_again(&node);
        }
    }

    /// M4.
    pub(super) fn on_new_permission(
        &mut self,
        now: Instant,
        node: &Atom,
        app: &Atom,
        permission: bool,
        is_running: bool,
    ) {
        let Some(at) = self.find(app) else { return };
        let me = self.me.clone();
        self.change_permission(at, node, permission);
        let app = &mut self.apps[at];
        let to_move = !permission && is_running && app.permits(&me) && app.started;
        if to_move {
            self.begin(now, at, false, None);
        } else {
            self.evaluate(now, at);
        }
    }

    fn change_permission(&mut self, at: usize, node: &Atom, permission: bool) {
        let app = &mut self.apps[at];
        if app.permission_of(node) != Some(Some(permission)) {
            app.set_permission(node, Some(permission));
            let app = app.name.clone();
            self.event(Event::PermissionChanged { app, node: node.clone(), permission });
        }
    }
}
