//! The main loop of the process, and its boot.

use std::{collections::VecDeque, time::Instant};

use crabnode_dist_ac::{
    engine::{
        Lock, Output, Request,
        appl::{AppId, Distribution},
        wire::{Message, VERSION},
    },
    exchange::{CallId, Change, FromController, ToController},
};
use etf::{Atom, Term, tuple};

use super::{Mail, Stock, Wait, decide::Then};

impl Stock {
    pub(super) fn take_control(&mut self) {
        for app in self.state.appls.iter().map(|appl| appl.name.clone()).collect::<Vec<_>>() {
            self.tell(ToController::ControlApplication { app });
        }
        self.outputs.push_back(Output::TookControl);
        self.subscribed = true;
        let nodes = std::iter::once(&self.me).chain(&self.connected).cloned().collect();
        self.outputs.push_back(Output::Lock { lock: Lock::SyncDacs, nodes, retry: true });
        self.wait = Wait::SyncLock;
    }

    /// `sync_dacs`, once it has the lock.
    pub(super) fn introduce(&mut self) {
        let nodes: VecDeque<Atom> = self.connected.iter().cloned().collect();
        for node in &nodes {
            let (me, appls) = (self.me.clone(), self.state.records());
            self.send(node, Message::NewNode { version: VERSION, node: me, appls, started: Vec::new() });
        }
        self.state.known = vec![self.me.clone()];
        self.await_introductions(nodes);
    }

    pub(super) fn on_introduction(&mut self, mut nodes: VecDeque<Atom>, mail: Mail) {
        let Some(node) = nodes.pop_front() else { return };
        self.demonitor(&node);
        if let Mail::Peer(Message::NewNode { appls, started, .. }) = mail {
            self.state.merge(&node, &appls);
            self.state.known.insert(0, node);
            self.state.remote_started.extend(started);
        }
        self.await_introductions(nodes);
    }

    fn await_introductions(&mut self, nodes: VecDeque<Atom>) {
        if let Some(node) = nodes.front().cloned() {
            self.monitor(&node);
            self.wait = Wait::Introductions(nodes);
            return;
        }
        self.wait = Wait::MainLoop;
        self.outputs.push_back(Output::Unlock { lock: Lock::SyncDacs });
        self.synced = true;
        self.let_callers_go();
    }

    pub(super) fn on_mail(&mut self, now: Instant, mail: Mail) {
        match mail {
            Mail::Call(call, request) => self.on_request(call, request),
            Mail::Controller(notice) => self.on_controller(notice),
            Mail::Go => {}
            Mail::NodeDown(node) => self.lose(now, &node),
            Mail::Peer(message) => self.on_message(message),
            Mail::RestartTimeOver(app) => {
                if matches!(self.id(&app), Some(AppId::Failover(_))) {
                    self.decide(app, Then::Own);
                }
            }
        }
    }

    fn on_request(&mut self, call: CallId, request: Request) {
        let ok = Term::atom("ok");
        let reply = match request {
            Request::DistributionChanged(changed) => {
                for Distribution { app, restart_time, nodes } in changed {
                    if let Some(appl) = self.state.appl_mut(&app) {
                        (appl.restart_time, appl.nodes) = (restart_time, nodes);
                    }
                }
                ok
            }
            Request::Info => self.state.info(),
            Request::KnownNodes => self.state.known.iter().map(Term::from).collect::<Vec<_>>().into(),
            Request::LoadApplication { .. } => ok,
            Request::Nodes(app) => {
                let nodes = self.state.appl(&app).map(|appl| appl.flat_nodes()).unwrap_or_default();
                let alive = nodes.iter().filter(|node| self.state.known.contains(node));
                alive.map(Term::from).collect::<Vec<_>>().into()
            }
            Request::Permit { app, permission, only_loaded, .. } => {
                return self.permit(call, app, permission, only_loaded);
            }
            Request::Takeover { app, restart_type, .. } => match self.id(&app).cloned() {
                Some(AppId::Distributed(from)) => {
                    self.change(&app, Change::Takeover { from, restart_type: Some(restart_type) });
                    self.state.set_id(&app, AppId::Takeover);
                    return self.state.t_reqs.insert(0, (app, call));
                }
                Some(AppId::Local) => tuple!(atom "error", tuple!(atom "already_running_locally", app)),
                _ => tuple!(atom "error", tuple!(atom "not_running_distributed", app)),
            },
        };
        self.reply(call, reply);
    }

    fn permit(&mut self, call: CallId, app: Atom, permission: bool, only_loaded: bool) {
        let me = self.me.clone();
        let ok = Term::atom("ok");
        let Some(appl) = self.state.appl_mut(&app) else {
            return self.reply(call, tuple!(atom "error", tuple!(atom "not_loaded", app)));
        };
        appl.set_permission(&me, Some(permission));
        let (id, nodes) = (appl.id.clone(), appl.flat_nodes());
        let able: Vec<Atom> =
            appl.run.iter().filter(|(_, able)| *able == Some(true)).map(|(node, _)| node.clone()).collect();
        let is_running = id == AppId::Local;
        let message = Message::NewPermission { node: me, app: app.clone(), permission, is_running };
        self.send_all(&nodes, &message);
        match (permission, id) {
            _ if only_loaded => self.reply(call, ok),
            (false, AppId::Undefined | AppId::Distributed(_)) | (true, AppId::Local) => self.reply(call, ok),
            (false, _) if able.is_empty() => {
                self.change(&app, Change::StopIt);
                self.state.s_reqs.insert(0, (app, call));
            }
            (false, _) => self.state.p_reqs.insert(0, (call, app, able)),
            (true, _) => {
                let before = Box::new(self.state.clone());
                self.decide(app, Then::Permit { call, before });
            }
        }
    }

    fn on_controller(&mut self, notice: FromController) {
        match notice {
            FromController::LoadRequest { app, permission } => self.load(app, permission),
            FromController::NotRun { app } => self.on_not_running(&app, true),
            FromController::Run { app, result } => self.on_run(&app, result),
            FromController::RunningApplications(_) => {}
            // OTP's application controller does not tell.
            FromController::StartRefused { .. } => {}
            FromController::StartRequest { app } => {
                let nodes = vec![self.me.clone()];
                self.outputs.push_back(Output::Lock { lock: Lock::Start, nodes, retry: false });
                self.wait = Wait::StartLock(app);
            }
            FromController::Stopped { app } => self.on_not_running(&app, false),
            FromController::Unloaded { app } => {
                let Some(appl) = self.state.appl_mut(&app) else { return };
                appl.id = AppId::Undefined;
                appl.run.clear();
                let nodes = appl.flat_nodes();
                self.send_all(&nodes, &Message::AppUnloaded { node: self.me.clone(), app });
            }
        }
    }

    fn load(&mut self, app: Atom, permission: bool) {
        let me = self.me.clone();
        if let Some(appl) = self.state.appl_mut(&app) {
            appl.set_permission(&me, Some(permission));
            let (list, nodes) = (appl.nodes.clone(), appl.flat_nodes());
            // Whoever announced it before is known here already: all have the same configuration.
            let (app, he_knows_me) = (app.clone(), false);
            self.send_all(
                &nodes,
                &Message::AppLoaded { node: me, app, nodes: list, permission, he_knows_me },
            );
        }
        self.tell(ToController::LoadReply { app, result: Ok(()) });
    }

    fn on_run(&mut self, app: &Atom, result: Result<(), Term>) {
        let id = if result.is_ok() { AppId::Local } else { AppId::Undefined };
        let reply = match &result {
            Ok(()) => Term::atom("ok"),
            Err(reason) => tuple!(atom "error", reason.clone()),
        };
        let message = Message::AppStarted { node: self.me.clone(), app: app.clone(), result };
        let known = self.state.known.clone();
        self.send_all(&known, &message);
        self.state.set_id(app, id);
        self.answer_starts(app, &reply);
    }

    fn answer_starts(&mut self, app: &Atom, reply: &Term) {
        let done: Vec<_> = self.state.t_reqs.extract_if(.., |(name, _)| name == app).collect();
        for (_, call) in done {
            self.reply(call, reply.clone());
        }
    }

    fn on_not_running(&mut self, app: &Atom, ordered: bool) {
        self.answer_starts(app, &tuple!(atom "error", atom "stopped"));
        let done: Vec<_> = self.state.s_reqs.extract_if(.., |(name, _)| name == app).collect();
        for (_, call) in done {
            self.reply(call, Term::atom("ok"));
        }
        match self.id(app).cloned() {
            Some(AppId::Local) => {
                let known = self.state.known.clone();
                self.send_all(&known, &Message::AppStopped { app: app.clone() });
            }
            Some(AppId::Distributed(node)) => self.state.remote_started.insert(0, (node, app.clone())),
            _ => {}
        }
        self.state.set_id(app, AppId::Undefined);
        if !ordered {
            self.state.started.retain(|name| name != app);
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            // An introduction, or an answer that says that nothing runs there: they look the same (dist_ac.md 6, L12).
            Message::NewNode { node, appls, started, .. } if started.is_empty() => {
                let local = self.state.appls.iter().filter(|appl| appl.id == AppId::Local);
                let started = local.map(|appl| (self.me.clone(), appl.name.clone())).collect();
                let (me, own) = (self.me.clone(), self.state.records());
                self.send(&node, Message::NewNode { version: VERSION, node: me, appls: own, started });
                self.state.merge(&node, &appls);
                self.state.known.insert(0, node);
            }
            Message::NewNode { .. } | Message::Status { .. } => {}
            Message::AppLoaded { node, app, permission, he_knows_me, .. } => {
                let me = self.me.clone();
                let Some(appl) = self.state.appl_mut(&app) else { return };
                let mine = appl.permits(&me);
                appl.set_permission(&node, Some(permission));
                if !he_knows_me {
                    let (nodes, he_knows_me) = (appl.nodes.clone(), true);
                    let answer = Message::AppLoaded { node: me, app, nodes, permission: mine, he_knows_me };
                    self.send(&node, answer);
                }
            }
            Message::AppUnloaded { node, app } => {
                if let Some(appl) = self.state.appl_mut(&app) {
                    appl.set_permission(&node, None);
                }
            }
            Message::NewPermission { node, app, permission, is_running } => {
                let me = self.me.clone();
                let Some(appl) = self.state.appl_mut(&app) else { return };
                appl.set_permission(&node, Some(permission));
                if !permission && is_running && appl.permits(&me) {
                    self.decide(app, Then::Own);
                }
            }
            Message::Weight { app, weight, node } => self.on_weight(app, weight, node),
            Message::AppStarted { node, app, result } => self.on_app_started(node, &app, &result),
            Message::AppStopped { app } => {
                self.state.set_id(&app, AppId::Undefined);
                self.state.forget_remote_started(&app);
            }
        }
    }

    fn on_weight(&mut self, app: Atom, weight: i64, node: Atom) {
        match self.id(&app) {
            Some(AppId::RunWaiting) => {
                self.send(&node, Message::Weight { app, weight: 0, node: self.me.clone() });
            }
            None | Some(AppId::Undefined | AppId::Failover(_)) => {
                self.state.tmp_locals.insert(0, (app, weight, node));
            }
            Some(AppId::Local | AppId::Distributed(_) | AppId::Takeover) => {
                let own = self.cached_weight(&app);
                self.send(&node, Message::Weight { app: app.clone(), weight: own, node: self.me.clone() });
                self.state.tmp_weights.retain(|(name, _)| *name != app);
                self.state.tmp_weights.push((app, own));
            }
        }
    }

    /// The controller is told even of a start that failed, and stops a copy here for it (dist_ac.md 6, L4). Before
    /// the local start even a failed one is remembered as a place where it runs (L10).
    fn on_app_started(&mut self, node: Atom, app: &Atom, result: &Result<(), Term>) {
        if self.state.appl(app).is_none() || !self.state.is_started(app) {
            return self.state.remote_started.insert(0, (node, app.clone()));
        }
        self.change(app, Change::Started(node.clone()));
        let id = if result.is_ok() { AppId::Distributed(node) } else { AppId::Undefined };
        self.state.set_id(app, id);
        self.state.tmp_weights.retain(|(name, _)| name != app);
        let done: Vec<_> = self.state.p_reqs.extract_if(.., |(_, name, _)| name == app).collect();
        for (call, ..) in done {
            self.reply(call, Term::atom("ok"));
        }
    }

    fn lose(&mut self, now: Instant, node: &Atom) {
        let me = self.me.clone();
        let mut timers = Vec::new();
        let mut idle = Vec::new();
        for appl in &mut self.state.appls {
            if appl.id == AppId::Distributed(node.clone()) {
                if appl.permits(&me) {
                    appl.id = AppId::Failover(node.clone());
                    if let Some(wait) = appl.restart_time.as_duration() {
                        timers.push((now + wait, Mail::RestartTimeOver(appl.name.clone())));
                    }
                } else {
                    appl.id = AppId::Undefined;
                    idle.push(appl.name.clone());
                }
            }
            appl.run.retain(|(name, _)| name != node);
        }
        for app in idle {
            self.change(&app, Change::NotRunning);
        }
        self.state.remote_started.retain(|(runner, _)| runner != node);
        self.lose_awaited(node);
        if let Some(at) = self.state.known.iter().position(|known| known == node) {
            self.state.known.remove(at);
        }
        self.timers.extend(timers.into_iter().rev());
    }

    /// Callers of `permit(false)` that waited for this node. Of several, every second one is passed over
    /// (dist_ac.md 6, L18).
    fn lose_awaited(&mut self, node: &Atom) {
        let mut kept = Vec::new();
        for (at, (call, app, mut nodes)) in std::mem::take(&mut self.state.p_reqs).into_iter().enumerate() {
            if at % 2 == 0 {
                nodes.retain(|awaited| awaited != node);
            }
            if nodes.is_empty() {
                self.change(&app, Change::StopIt);
                self.state.s_reqs.insert(0, (app, call));
            } else {
                kept.insert(0, (call, app, nodes));
            }
        }
        self.state.p_reqs = kept;
    }
}
