//! The distributed application controller, `dist_ac`: which node runs which application (dist_ac.md 0-2).
//!
//! A value without sockets, clocks and tasks: [`Engine::handle`] takes what happened, [`Engine::poll_output`] gives
//! what to do about it, [`Engine::poll_timeout`] says when to call again although nothing happened.
//!
//! Messages and answers are those of stock OTP. What differs is that nothing here blocks: a stock `dist_ac` that
//! decides about one application sits in a selective receive and serves nothing else, here each application has a
//! decision of its own, and every event only makes it look again (dist_ac.md 2.4).
//!
//! | file | events |
//! |---|---|
//! | `inquiry.rs` | a node that is waited for and says nothing |
//! | `introduce.rs` | nodeup, M1, the answer of `get_known_nodes` |
//! | `load.rs` | load and unload here, M2, M3 |
//! | `start.rs` | start requests, M5, the decision |
//! | `running.rs` | how starts and stops here ended, M6, M7 |
//! | `node_down.rs` | nodedown, the restart timer |
//! | `takeover.rs` | `application:takeover/2` |
//! | `phantom.rs` | a stock node says that it runs it, and does not |
//! | `permission.rs` | `application:permit/2`, M4 |
//! | `conflict.rs` | it runs here and there |
//! | `contest.rs` | it is said to run there, and may not |
//! | `crossing.rs` | M6 of two nodes at the same moment |
//! | `rescue.rs` | it runs nowhere, and stock nodes let it be |

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant, SystemTime},
};

use etf::{Atom, Term, tuple};

use crate::{
    exchange::{CallId, Change, FromController, StartReply, ToController},
    heal::HealConfig,
};

mod api;
pub use api::{Error, Event, Input, Lock, Output, Request};
pub mod appl;
mod conflict;
mod contest;
mod crossing;
mod inquiry;
mod introduce;
mod load;
mod node_down;
mod permission;
mod phantom;
mod rescue;
mod running;
mod start;
mod takeover;
pub mod wire;

use appl::{AppId, Appl, Distribution, Nodes, RestartTime, Run};
use contest::Contest;
use introduce::Peer;
use phantom::Suspect;
use rescue::Rescue;
use start::{Ballots, Decision};
use wire::Message;

#[cfg(test)]
mod tests;

/// How many applications a node may be told about that it has not configured: each costs two names.
pub const FOREIGN_APPS_MAX: usize = 4096;

/// Waits of a local start request for peers that have not answered their introduction, or the news of the load. A stock
/// node waits without end; a peer that is still inside its own startup synchronisation runs nothing, and one that hangs
/// must not keep the application down for ever.
pub const INTRODUCTION_PATIENCE: Duration = Duration::from_secs(10);

/// The state of one distributed application here: the `appl` record, and what a stock node keeps in the stack of a
/// blocked process.
#[derive(Debug, Clone)]
struct App {
    name: Atom,
    restart_time: RestartTime,
    nodes: Nodes,
    run: Run,
    id: AppId,
    /// Started here by a local request, with a decision made since.
    started: bool,
    /// Under way where this node does not know yet who is to run it.
    decision: Option<Decision>,
    /// A start that the application controller was told to make, with its result to come. `id` may say something
    /// else meanwhile: an M6 of a peer overwrites it, and the own start still wins later (dist_ac.md 2.3).
    own_start: Option<OwnStart>,
    ballots: Ballots,
    /// Peers that are starting it: they were met in the middle of it, and their M6 is awaited.
    starters: BTreeSet<Atom>,
    /// Who has last said that it started it, and when.
    heard: Option<(Atom, Instant)>,
    /// Nodes that are asked whether they run it.
    contest: Option<Contest>,
    /// The stock node that is believed to run it, and when that is asked next.
    checked: Option<(Atom, Instant)>,
    /// A stock node that said that it runs it, and is to be asked whether it does.
    suspect: Option<Suspect>,
    /// How often peers of our own kind were asked whether it still runs there, and since when.
    asked: BTreeMap<Atom, (u32, Instant)>,
    /// It runs here, and nobody was told: a starter that goes before this node may be done first.
    unannounced: bool,
    /// Who was told that it is loaded here, and has not answered.
    load_told: BTreeSet<Atom>,
    /// It runs here, and these peers of our own kind, where it runs too, are to give way: what they said before
    /// they knew of this copy must not stop it.
    yielding: BTreeSet<Atom>,
    /// Since when it runs here.
    since: Option<SystemTime>,
    /// Who ran it until it stopped, and when that was.
    stopped: Option<(Atom, Instant)>,
    /// It runs nowhere, and members of ours decide alone.
    rescue: Option<Rescue>,
    /// Who was told to stop its copy, and when.
    told: Option<(Atom, Instant)>,
    /// When the restart time of a dead runner is over.
    failover_at: Option<Instant>,
    /// It runs elsewhere, and this one was to move it.
    deferred_to: Option<Atom>,
    /// Callers that wait for the own start (`t_reqs`).
    waiting_run: Vec<CallId>,
    /// Callers that wait for the own stop (`s_reqs`).
    waiting_stop: Vec<CallId>,
    /// Callers of `permit(false)`, with the nodes of which one has to start it (`p_reqs`).
    waiting_permit: Vec<(CallId, Vec<Atom>)>,
    /// Callers of `permit(false)` during the own start: it is looked at again when that ended (L23).
    waiting_permit_start: Vec<CallId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnStart {
    /// The start of a local request, whose caller the application controller answers.
    reply: bool,
    /// Who runs it until this start is done. While that copy lives a failed start is nobody's business (L4).
    previous: Option<Atom>,
    /// The dead node that ran it before.
    failover: Option<Atom>,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Engine {
    me: Atom,
    go: bool,
    /// In the order of the configuration, later ones at the end.
    apps: Vec<App>,
    /// Connected nodes.
    peers: BTreeMap<Atom, Peer>,
    /// Introduced nodes, newest first, and this one.
    known: Vec<Atom>,
    /// Who runs an application that was not started here. A stock node keeps a list in which old entries stay
    /// (dist_ac.md 6, L9).
    remote_started: BTreeMap<Atom, Atom>,
    /// Loads announced to us of applications that are not loaded here: by application and node.
    dist_loaded: BTreeMap<(Atom, Atom), (Nodes, bool)>,
    /// Weights for applications that are not loaded here.
    early_weights: BTreeMap<(Atom, Atom), i64>,
    weight: i64,
    sync_lock: SyncLock,
    /// Until when takeover and permit wait for the first introductions.
    sync_until: Option<Instant>,
    start_lock: StartLock,
    /// Calls of takeover and permit that wait for the first introductions or for their lock, and those that hold it.
    calls: BTreeMap<CallId, LockedCall>,
    heal: HealConfig,
    outputs: VecDeque<Output>,
}

/// Where the lock `sync_dacs` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SyncLock {
    Free,
    /// Asked for; without it after that time.
    Asked(Instant),
    /// Held until every introduction is answered, or until that time.
    Held(Instant),
    /// Asked for, and the wait for it given up.
    Late,
}

/// Where the own lock for start requests is.
#[derive(Debug, Clone, Default)]
struct StartLock {
    asked: bool,
    requests: Vec<Atom>,
    again_at: Option<Instant>,
    /// Since when it is refused.
    refused_since: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LockedCall {
    Waiting(Request),
    Asked(Request),
    Held,
}

impl Engine {
    /// The machine of the node `me`, with `kernel distributed` and, for each of those applications, what
    /// `kernel permissions` says of it.
    #[must_use]
    pub fn new(me: Atom, distributed: Vec<Distribution>, permissions: &BTreeMap<Atom, bool>) -> Self {
        let mut engine = Self {
            known: vec![me.clone()],
            me,
            go: false,
            apps: Vec::new(),
            peers: BTreeMap::new(),
            remote_started: BTreeMap::new(),
            dist_loaded: BTreeMap::new(),
            early_weights: BTreeMap::new(),
            weight: 0,
            sync_lock: SyncLock::Free,
            sync_until: None,
            start_lock: StartLock::default(),
            calls: BTreeMap::new(),
            heal: HealConfig::default(),
            outputs: VecDeque::new(),
        };
        for Distribution { app, restart_time, nodes } in distributed {
            // Configured applications count as loaded from boot on (dist_ac.md 0).
            let permission = permissions.get(&app).copied().unwrap_or(true);
            let run = vec![(engine.me.clone(), Some(permission))];
            engine.apps.push(App::new(app, restart_time, nodes, run));
        }
        engine
    }

    /// The same machine, which heals as this says. Without it, it heals [`Own`](crate::heal::Heal::Own).
    #[must_use]
    pub fn with_heal(mut self, heal: HealConfig) -> Self {
        self.heal = heal;
        self
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        match input {
            Input::Call { call, request } => self.on_call(now, call, request),
            Input::Controller(notice) => self.on_controller(now, notice)?,
            Input::Go => self.on_go(now),
            Input::HasRead { node } => self.on_has_read(now, &node),
            Input::Info { node, info } => self.on_info(now, &node, &info),
            Input::Known { node, nodes } => self.on_known(now, &node, nodes.as_deref()),
            Input::Locked { lock, granted } => self.on_locked(now, lock, granted)?,
            Input::Message(message) => self.on_message(now, message),
            Input::NodeDown { node } => self.on_node_down(now, &node),
            Input::NodeUp { node, hidden } => self.on_node_up(now, node, hidden),
            Input::Running { node, apps } => self.on_running_there(now, &node, apps.as_deref()),
            Input::Timeout => self.on_timeout(now),
        }
        self.ask_readers(now);
        self.watch_beliefs(now);
        Ok(())
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Timeout`] if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sync_lock = match self.sync_lock {
            SyncLock::Asked(at) | SyncLock::Held(at) => Some(at),
            SyncLock::Free | SyncLock::Late => None,
        };
        let due = |app: &App| {
            let asked = [app.contest_due(), app.suspect_due(), app.check_due()];
            [app.failover_at, app.patience_ends(), app.ignored_due()].into_iter().chain(asked)
        };
        let apps = self.apps.iter().flat_map(due);
        let fixed = [sync_lock, self.sync_until, self.start_lock.again_at];
        apps.chain(fixed).flatten().min()
    }

    /// What this node knows of an application, or nothing if it is not distributed here.
    #[must_use]
    pub fn id(&self, app: &Atom) -> Option<&AppId> {
        self.find(app).map(|at| &self.apps[at].id)
    }

    /// Whether this node may run an application; nothing if it is not loaded here.
    #[must_use]
    pub fn permission(&self, app: &Atom) -> Option<bool> {
        self.find(app).and_then(|at| self.apps[at].permission_of(&self.me)).flatten()
    }

    /// The introduced nodes, and this one.
    #[must_use]
    pub fn known(&self) -> &[Atom] {
        &self.known
    }

    fn on_call(&mut self, now: Instant, call: CallId, request: Request) {
        match request {
            Request::DistributionChanged(distributions) => {
                for Distribution { app, restart_time, nodes } in distributions {
                    if let Some(at) = self.find(&app) {
                        (self.apps[at].restart_time, self.apps[at].nodes) = (restart_time, nodes);
                    }
                }
                self.reply(call, Term::atom("ok"));
            }
            Request::KnownNodes => {
                let known = self.known.iter().map(Term::from).collect::<Vec<_>>();
                self.reply(call, known.into());
            }
            Request::Info => {
                let info = self.info();
                self.reply(call, info);
            }
            Request::LoadApplication { app, spec, permission } => {
                self.load_spec(now, call, app, &spec, permission)
            }
            Request::Nodes(app) => {
                let nodes = self.alive_nodes(&app).iter().map(Term::from).collect::<Vec<_>>();
                self.reply(call, nodes.into());
            }
            request @ (Request::Permit { .. } | Request::Takeover { .. }) => {
                let locked = matches!(request, Request::Permit { locked, .. } | Request::Takeover { locked, .. } if locked);
                if locked {
                    self.locked_call(now, call, request);
                } else {
                    self.calls.insert(call, LockedCall::Waiting(request));
                    self.lock_calls();
                }
            }
        }
    }

    fn on_controller(&mut self, now: Instant, notice: FromController) -> Result<(), Error> {
        let app = match &notice {
            FromController::RunningApplications(weight) => {
                self.weight = *weight;
                return Ok(());
            }
            FromController::LoadRequest { app, .. }
            | FromController::NotRun { app }
            | FromController::Run { app, .. }
            | FromController::StartRefused { app }
            | FromController::StartRequest { app }
            | FromController::Stopped { app }
            | FromController::Unloaded { app } => app,
        };
        let at = self.find(app).ok_or_else(|| Error::UnknownApplication { app: app.clone() })?;
        match notice {
            FromController::LoadRequest { app, permission } => {
                let result = self.load(now, at, permission);
                self.tell(ToController::LoadReply { app, result });
            }
            FromController::NotRun { .. } => self.on_not_running(now, at, true),
            FromController::Run { result, .. } => self.on_run(now, at, result),
            FromController::RunningApplications(_) => {}
            FromController::StartRefused { .. } => self.start_again(now, at),
            FromController::StartRequest { app } => self.request_start(app),
            FromController::Stopped { .. } => self.on_not_running(now, at, false),
            FromController::Unloaded { .. } => self.unload(at),
        }
        Ok(())
    }

    fn on_locked(&mut self, now: Instant, lock: Lock, granted: bool) -> Result<(), Error> {
        let unexpected = Error::UnexpectedLock { lock };
        match lock {
            Lock::Call(call) => match self.calls.get_mut(&call) {
                Some(state @ LockedCall::Asked(_)) => {
                    let LockedCall::Asked(request) = std::mem::replace(state, LockedCall::Held) else {
                        return Err(unexpected);
                    };
                    self.locked_call(now, call, request);
                }
                _ => return Err(unexpected),
            },
            Lock::Start if self.start_lock.asked => self.on_start_lock(now, granted),
            Lock::Start => return Err(unexpected),
            Lock::SyncDacs => match self.sync_lock {
                SyncLock::Asked(_) | SyncLock::Late => self.on_sync_lock(now),
                SyncLock::Free | SyncLock::Held(_) => return Err(unexpected),
            },
        }
        Ok(())
    }

    fn on_message(&mut self, now: Instant, message: Message) {
        match message {
            Message::NewNode { node, appls, started, .. } => self.on_new_node(now, node, &appls, &started),
            Message::AppLoaded { node, app, nodes, permission, he_knows_me } => {
                self.on_app_loaded(now, node, app, nodes, permission, he_knows_me);
            }
            Message::AppUnloaded { node, app } => self.on_app_unloaded(now, &node, &app),
            Message::NewPermission { node, app, permission, is_running } => {
                self.on_new_permission(now, &node, &app, permission, is_running);
            }
            Message::Weight { app, weight, node } => self.on_weight(now, app, weight, node),
            Message::AppStarted { node, app, result } => self.on_app_started(now, node, app, result),
            Message::AppStopped { app } => self.on_app_stopped(now, app),
            Message::Status { node, met, running, starting, .. } => {
                self.on_status(now, &node, met, &running, &starting);
            }
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.start_lock.again_at) {
            self.start_lock.again_at = None;
            self.ask_start_lock();
        }
        self.on_introduce_timeout(now);
        // In reverse order of the configuration, as a stock node starts its timers (dist_ac.md 2.3).
        for at in (0..self.apps.len()).rev() {
            if due(self.apps[at].failover_at) {
                self.apps[at].failover_at = None;
                self.on_restart_time_over(now, at);
            }
            if due(self.apps[at].patience_ends()) {
                self.evaluate(now, at);
            }
            if due(self.apps[at].ignored_due()) {
                self.answer_ignored(now, at);
            }
            if due(self.apps[at].suspect_due()) {
                self.ask_suspect(at);
            }
            if due(self.apps[at].contest_due()) {
                self.ask_contestants(now, at);
            }
            if due(self.apps[at].check_due()) {
                self.check_belief(now, at);
            }
        }
    }

    /// The nodes on which to lock a takeover: the known ones that may run it (`get_nodes`).
    fn alive_nodes(&self, app: &Atom) -> Vec<Atom> {
        let nodes = self.find(app).map(|at| self.apps[at].nodes.flat()).unwrap_or_default();
        nodes.into_iter().filter(|node| self.known.contains(node)).collect()
    }

    /// This node and every visible one.
    fn all_nodes(&self) -> Vec<Atom> {
        let visible = self.peers.iter().filter(|(_, peer)| !peer.hidden).map(|(node, _)| node.clone());
        std::iter::once(self.me.clone()).chain(visible).collect()
    }

    /// Asks for the locks of calls, once the first introductions are over: an introduction of this node has to get
    /// its lock first, or the two would wait for each other (dist_ac.md 1.3).
    fn lock_calls(&mut self) {
        if !self.go || self.sync_until.is_some() {
            return;
        }
        let waiting: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, state)| matches!(state, LockedCall::Waiting(_)))
            .map(|(call, _)| *call)
            .collect();
        for call in waiting {
            let Some(LockedCall::Waiting(request)) = self.calls.remove(&call) else { continue };
            let nodes = match &request {
                Request::Takeover { app, .. } => self.alive_nodes(app),
                _ => self.all_nodes(),
            };
            self.calls.insert(call, LockedCall::Asked(request));
            self.outputs.push_back(Output::Lock { lock: Lock::Call(call), nodes, retry: true });
        }
    }

    fn locked_call(&mut self, now: Instant, call: CallId, request: Request) {
        match request {
            Request::Permit { app, permission, only_loaded, .. } => {
                self.permit(now, call, &app, permission, only_loaded);
            }
            Request::Takeover { app, restart_type, .. } => self.takeover(call, &app, restart_type),
            // Only these two are called under a lock.
            _ => self.reply(call, tuple!(atom "error", atom "badarg")),
        }
    }

    /// Answers a call and gives its lock back.
    fn reply(&mut self, call: CallId, reply: Term) {
        self.release_call(call);
        self.outputs.push_back(Output::Reply { call, reply });
    }

    /// Gives the lock of a call back, if it holds one.
    fn release_call(&mut self, call: CallId) {
        if self.calls.remove(&call) == Some(LockedCall::Held) {
            self.outputs.push_back(Output::Unlock { lock: Lock::Call(call) });
        }
    }

    fn reply_all(&mut self, calls: Vec<CallId>, reply: &Term) {
        for call in calls {
            self.reply(call, reply.clone());
        }
    }

    fn find(&self, app: &Atom) -> Option<usize> {
        self.apps.iter().position(|known| known.name == *app)
    }

    fn tell(&mut self, message: ToController) {
        self.outputs.push_back(Output::Controller(message));
    }

    fn change(&mut self, at: usize, change: Change) {
        let app = self.apps[at].name.clone();
        self.tell(ToController::Change { app, change });
    }

    fn start_reply(&mut self, at: usize, reply: StartReply) {
        let app = self.apps[at].name.clone();
        self.tell(ToController::StartReply { app, reply });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn ignore(&mut self, message: Message, why: &'static str) {
        self.event(Event::Ignored { message, why });
    }

    fn set_id(&mut self, at: usize, id: AppId) {
        let app = &mut self.apps[at];
        if app.id != id {
            app.id = id.clone();
            let app = app.name.clone();
            self.event(Event::Moved { app, id });
        }
    }

    fn send(&mut self, node: &Atom, message: Message) {
        let running = match &message {
            Message::AppStarted { node, app, result: Ok(()) } if *node == self.me => Some(app.clone()),
            _ => None,
        };
        self.outputs.push_back(Output::Send { node: node.clone(), message });
        if let Some(app) = running {
            self.told_running(node, app);
        }
    }

    /// To every introduced node.
    fn broadcast(&mut self, message: &Message) {
        let others: Vec<Atom> = self.known.iter().filter(|node| **node != self.me).cloned().collect();
        for node in others {
            self.send(&node, message.clone());
        }
    }

    /// To every node of the priority list.
    fn send_to_candidates(&mut self, at: usize, message: &Message) {
        for node in self.apps[at].nodes.flat() {
            if node != self.me {
                self.send(&node, message.clone());
            }
        }
    }

    /// The applications as a peer is told of them: each with an own entry in `Run`, or not at all. One without would
    /// make every start on a stock node fail with `app_not_loaded` (dist_ac.md 1.1).
    fn appls(&self) -> Vec<Appl> {
        let loaded = self.apps.iter().filter(|app| app.permission_of(&self.me).is_some());
        loaded.map(App::record).collect()
    }

    /// What `dist_ac:info()` answers: the `state` record of a stock node.
    fn info(&self) -> Term {
        let pairs =
            |calls: &dyn Fn(&App) -> Vec<Term>| Term::List(self.apps.iter().flat_map(calls).collect());
        let call = |call: &CallId| Term::from(call.0);
        let all: Vec<Term> = self.apps.iter().map(|app| app.record().to_term()).collect();
        let locals = pairs(&|app| {
            app.ballots.weights().map(|(node, weight)| tuple!(&app.name, weight, node)).collect()
        });
        let remote: Vec<Term> = self.remote_started.iter().map(|(app, node)| tuple!(node, app)).collect();
        let known: Vec<Term> = self.known.iter().map(Term::from).collect();
        let started: Vec<Term> =
            self.apps.iter().filter(|app| app.started).map(|app| (&app.name).into()).collect();
        let weights =
            pairs(&|app| app.ballots.own().map(|weight| tuple!(&app.name, weight)).into_iter().collect());
        let loaded: Vec<Term> = self
            .dist_loaded
            .iter()
            .map(|((app, node), (nodes, permission))| tuple!(tuple!(app, node), nodes.to_term(), *permission))
            .collect();
        let t_reqs = pairs(&|app| app.waiting_run.iter().map(|id| tuple!(&app.name, call(id))).collect());
        let s_reqs = pairs(&|app| app.waiting_stop.iter().map(|id| tuple!(&app.name, call(id))).collect());
        let p_reqs = pairs(&|app| {
            let nodes = |nodes: &[Atom]| nodes.iter().map(Term::from).collect::<Vec<_>>();
            let waiting = app.waiting_permit.iter();
            waiting.map(|(id, on)| tuple!(call(id), &app.name, false, nodes(on))).collect()
        });
        tuple!(
            atom "state", all, locals, remote, known, started, weights, loaded, t_reqs, s_reqs, p_reqs
        )
    }
}

impl App {
    fn new(name: Atom, restart_time: RestartTime, nodes: Nodes, run: Run) -> Self {
        Self {
            name,
            restart_time,
            nodes,
            run,
            id: AppId::Undefined,
            started: false,
            decision: None,
            own_start: None,
            ballots: Ballots::default(),
            starters: BTreeSet::new(),
            heard: None,
            contest: None,
            checked: None,
            suspect: None,
            asked: BTreeMap::new(),
            unannounced: false,
            load_told: BTreeSet::new(),
            yielding: BTreeSet::new(),
            since: None,
            stopped: None,
            rescue: None,
            told: None,
            failover_at: None,
            deferred_to: None,
            waiting_run: Vec::new(),
            waiting_stop: Vec::new(),
            waiting_permit: Vec::new(),
            waiting_permit_start: Vec::new(),
        }
    }

    /// What a node has said of its permission: nothing, `Some(None)` for "not loaded", or the permission.
    fn permission_of(&self, node: &Atom) -> Option<Option<bool>> {
        self.run.iter().find(|(name, _)| name == node).map(|(_, permission)| *permission)
    }

    fn permits(&self, node: &Atom) -> bool {
        self.permission_of(node) == Some(Some(true))
    }

    /// Replaces a node's entry in its place, or puts a new one first, as `keyreplaceadd` of a stock node does.
    fn set_permission(&mut self, node: &Atom, permission: Option<bool>) {
        match self.run.iter_mut().find(|(name, _)| name == node) {
            Some(entry) => entry.1 = permission,
            None => self.run.insert(0, (node.clone(), permission)),
        }
    }

    /// The record as a peer is told it.
    fn record(&self) -> Appl {
        Appl {
            name: self.name.clone(),
            id: self.id.to_term(),
            restart_time: self.restart_time.to_term(),
            nodes: self.nodes.to_term(),
            run: self.run.clone(),
        }
    }
}
