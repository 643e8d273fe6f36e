//! The application controller: which applications are loaded, started and running on this node (dist_ac.md 4).
//!
//! A value like the engine. What a stock controller does by waiting, stopping a master, is an output here, answered
//! by [`Input::Stopped`]; until then everything about that one application waits in a queue of its own, so that the
//! order of events of an application stays that of a stock node while the others go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use etf::{Atom, Pid, Term, tuple};

use super::{
    RestartType, StartType,
    environment::{Environment, Parameters},
    spec::{KEYS, Spec},
};
use crate::exchange::{CallId, Change, FromController, StartReply, ToController};

mod api;
pub use api::{Input, Loadable, Output, Report, Request};
#[cfg(test)]
mod tests;

/// How many events of one application wait for its stop; more are refused. Each is a call of a person or a message
/// of `dist_ac`, so there are never many.
pub const DEFERRED_MAX: usize = 1000;

/// The applications that the node itself is.
const OWN: [&str; 2] = ["kernel", "stdlib"];

/// Where a started application runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Running {
    /// `{distributed, Node}`; nothing is `{distributed, []}`.
    Distributed(Option<Atom>),
    /// A library: nothing to run.
    Library,
    /// Here.
    Local(Option<Pid>),
}

#[derive(Debug, Clone)]
struct Starting {
    app: Atom,
    restart_type: RestartType,
    start_type: StartType,
}

/// What a stop was for.
#[derive(Debug, Clone)]
enum AfterStop {
    /// `application:stop`.
    Called(CallId),
    /// `dist_ac` ordered it.
    NotRun,
    /// `permit(false)` of an application without `dist_ac`.
    Permit(CallId),
    /// It runs there now.
    StandBy(Atom),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Controller {
    me: Atom,
    available: BTreeMap<Atom, Spec>,
    /// Why those cannot be loaded that are there and not in order.
    unloadable: BTreeMap<Atom, Term>,
    loaded: BTreeMap<Atom, Spec>,
    env: Environment,
    loading: Vec<(Atom, CallId)>,
    starting: Vec<Starting>,
    /// Everybody who waits for a start; a start of `dist_ac` has no caller.
    start_requests: Vec<(Atom, Option<CallId>)>,
    /// Starts asked for while `permit` was false.
    start_p_false: Vec<(Atom, RestartType)>,
    /// Newest first.
    running: Vec<(Atom, Running)>,
    started: Vec<(Atom, RestartType)>,
    control: BTreeSet<Atom>,
    stopping: BTreeMap<Atom, (AfterStop, VecDeque<Input>)>,
    weight: i64,
    outputs: VecDeque<Output>,
}

impl Controller {
    /// A controller with the applications that the node can load by name, and the parameters of the configuration.
    /// `kernel` and `stdlib` are loaded: the node itself is both. They run from [`Input::Booted`] on.
    #[must_use]
    pub fn new(me: Atom, available: Vec<Spec>, configured: Vec<(Atom, Parameters)>) -> Self {
        let mut controller = Self {
            me,
            available: available.into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
            unloadable: BTreeMap::new(),
            loaded: BTreeMap::new(),
            env: Environment::new(configured),
            loading: Vec::new(),
            starting: Vec::new(),
            start_requests: Vec::new(),
            start_p_false: Vec::new(),
            running: Vec::new(),
            started: Vec::new(),
            control: BTreeSet::new(),
            stopping: BTreeMap::new(),
            weight: 0,
            outputs: VecDeque::new(),
        };
        for name in OWN {
            let name = Atom::from_static(name);
            let mut spec = Spec::new(name.clone());
            spec.description = Term::charlist("crabnode");
            spec.vsn = Term::charlist(env!("CARGO_PKG_VERSION"));
            controller.env.load(&name, &[]);
            controller.loaded.insert(name, spec);
        }
        controller
    }

    /// An application whose load fails for this reason: its `.app` file cannot be read.
    pub fn put_unloadable(&mut self, app: Atom, reason: Term) {
        self.unloadable.insert(app, reason);
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: Input) {
        if let Some(app) = input.app()
            && let Some((_, deferred)) = self.stopping.get_mut(app)
        {
            match input {
                Input::Stopped { app } => return self.on_stopped(&app),
                // Its stop is ordered, and will be reported.
                Input::Exited { .. } => return,
                Input::Call { call, .. } if deferred.len() >= DEFERRED_MAX => {
                    let reply = tuple!(atom "error", atom "system_limit");
                    return self.outputs.push_back(Output::Reply { call, reply });
                }
                input => return deferred.push_back(input),
            }
        }
        match input {
            Input::Booted => {
                for name in OWN {
                    self.put_running(&Atom::from_static(name), Running::Library);
                    self.put_started(&Atom::from_static(name), RestartType::Permanent);
                }
            }
            Input::Call { call, request } => self.on_call(call, request),
            Input::DistAc(message) => self.on_dist_ac(message),
            Input::Exited { app, reason } => self.on_exited(app, reason),
            Input::Started { app, result } => self.on_started(app, result),
            Input::Stopped { app } => self.on_stopped(&app),
        }
        self.check_weight();
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The environments: reading them is no call in a stock node either.
    #[must_use]
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// The specification of a loaded application.
    #[must_use]
    pub fn spec(&self, app: &str) -> Option<&Spec> {
        self.loaded.get(app)
    }

    /// `application:loaded_applications/0`.
    #[must_use]
    pub fn loaded_applications(&self) -> Term {
        Term::List(self.loaded.values().map(Spec::summary).collect())
    }

    /// `application:which_applications/0`: what runs on this very node.
    #[must_use]
    pub fn which_applications(&self) -> Term {
        let local = self.running.iter().filter(|(_, running)| running.is_local());
        Term::List(local.filter_map(|(app, _)| self.loaded.get(app)).map(Spec::summary).collect())
    }

    /// `application:get_key/2`.
    #[must_use]
    pub fn key(&self, app: &str, key: &str) -> Option<Term> {
        let spec = self.loaded.get(app)?;
        if key == "env" {
            let pairs = self.env.all(app).iter().map(|(key, value)| tuple!(key.clone(), value.clone()));
            return Some(pairs.collect::<Vec<_>>().into());
        }
        spec.key(key)
    }

    /// `application:get_all_key/1`.
    #[must_use]
    pub fn all_keys(&self, app: &str) -> Option<Term> {
        self.loaded.get(app)?;
        let pairs = KEYS.iter().filter_map(|key| Some(tuple!(Term::atom(key), self.key(app, key)?)));
        Some(pairs.collect::<Vec<_>>().into())
    }

    /// The applications that run here and have something to stop, in the order in which a node that goes down stops
    /// them: the last one started first.
    #[must_use]
    pub fn shutdown_order(&self) -> Vec<Atom> {
        let local = self.running.iter().filter(|(_, running)| matches!(running, Running::Local(_)));
        local.map(|(app, _)| app.clone()).collect()
    }

    fn on_call(&mut self, call: CallId, request: Request) {
        let reply = match request {
            Request::Info => self.info(),
            Request::IsRunning(app) => self.is_in_running(&app).into(),
            Request::Load(loadable) => return self.load_called(call, &loadable),
            Request::Permit { app, permission } => return self.permit(call, &app, permission),
            Request::SetEnv { values, persistent } => {
                for (app, key, value) in values {
                    self.env.set(&app, key, value, persistent);
                }
                Term::atom("ok")
            }
            Request::Start { app, restart_type } => return self.start_called(call, &app, &restart_type),
            Request::StartType(app) => match self.starting.iter().find(|starting| starting.app == app) {
                Some(starting) => starting.start_type.to_term(),
                None => Term::atom("local"),
            },
            Request::Stop(app) => return self.stop_called(call, &app),
            Request::Unload(app) => self.unload_called(&app),
            Request::UnsetEnv { app, key, persistent } => {
                self.env.unset(&app, &key, persistent);
                Term::atom("ok")
            }
            Request::WhichApplications => self.which_applications(),
        };
        self.reply(call, reply);
    }

    fn load_called(&mut self, call: CallId, loadable: &Loadable) {
        match self.load_new(loadable) {
            Ok(app) if self.control.contains(&app) => {
                let permission = !self.is_forbidden(&app);
                self.loading.push((app.clone(), call));
                self.tell(FromController::LoadRequest { app, permission });
            }
            Ok(_) => self.reply(call, Term::atom("ok")),
            Err(reason) => self.reply(call, tuple!(atom "error", reason)),
        }
    }

    fn load_new(&mut self, loadable: &Loadable) -> Result<Atom, Term> {
        let (name, given) = match loadable {
            Loadable::Name(name) => (name.clone(), Term::from(name)),
            Loadable::Spec(term) => match term.as_tuple() {
                Some([tag, Term::Atom(name), _]) if tag.is_atom("application") => {
                    (name.clone(), term.clone())
                }
                _ => return Err(tuple!(atom "bad_application", term.clone())),
            },
        };
        if self.loaded.contains_key(&name) {
            return Err(tuple!(atom "already_loaded", given));
        }
        let spec = match loadable {
            Loadable::Name(name) => self.find_available(name)?,
            Loadable::Spec(term) => Spec::from_term(term)?,
        };
        self.load(spec)?;
        Ok(name)
    }

    fn find_available(&self, name: &Atom) -> Result<Spec, Term> {
        self.available.get(name).cloned().ok_or_else(|| {
            if let Some(reason) = self.unloadable.get(name) {
                return reason.clone();
            }
            let file = Term::charlist(&format!("{}.app", name.as_str()));
            tuple!(Term::charlist("no such file or directory"), file)
        })
    }

    /// Loads an application, and those it includes.
    fn load(&mut self, spec: Spec) -> Result<(), Term> {
        let included = spec.included_applications.clone();
        self.env.load(&spec.name, &spec.env);
        self.loaded.insert(spec.name.clone(), spec);
        for app in included {
            if !self.loaded.contains_key(&app) {
                let spec = self.find_available(&app)?;
                self.load(spec)?;
            }
        }
        Ok(())
    }

    fn unload_called(&mut self, app: &Atom) -> Term {
        if self.is_in_running(app) {
            return tuple!(atom "error", tuple!(atom "running", app));
        }
        if !self.loaded.contains_key(app) {
            return tuple!(atom "error", tuple!(atom "not_loaded", app));
        }
        self.unload(app);
        self.tell_if_controlled(app, FromController::Unloaded { app: app.clone() });
        Term::atom("ok")
    }

    fn unload(&mut self, app: &Atom) {
        self.env.unload(app);
        let Some(spec) = self.loaded.remove(app) else { return };
        for included in spec.included_applications {
            self.unload(&included);
        }
    }

    fn start_called(&mut self, call: CallId, app: &Atom, restart_type: &Term) {
        if self.start_requests.iter().any(|(name, _)| name == app) {
            return self.start_requests.push((app.clone(), Some(call))); // It is being started already.
        }
        let restart_type = match self.may_start(app, restart_type) {
            Ok(restart_type) => restart_type,
            Err(reason) => {
                // Not if it was refused for another reason, such as its restart type.
                if self.stands_by(app) && reason == tuple!(atom "already_started", app) {
                    self.tell_if_controlled(app, FromController::StartRefused { app: app.clone() });
                }
                return self.reply(call, tuple!(atom "error", reason));
            }
        };
        let request = FromController::StartRequest { app: app.clone() };
        let controlled = self.tell_if_controlled(app, request);
        if !controlled && self.is_forbidden(app) {
            self.start_p_false.insert(0, (app.clone(), restart_type));
            return self.reply(call, Term::atom("ok"));
        }
        self.starting.insert(0, Starting { app: app.clone(), restart_type, start_type: StartType::Normal });
        self.start_requests.push((app.clone(), Some(call)));
        if !controlled {
            self.spawn(app, StartType::Normal);
        }
    }

    /// Its dependencies have to be started, not running: what may run is asked when it is really started here.
    fn may_start(&self, app: &Atom, restart_type: &Term) -> Result<RestartType, Term> {
        let restart_type = RestartType::from_term(restart_type)
            .ok_or_else(|| tuple!(atom "invalid_restart_type", restart_type.clone()))?;
        let spec = self.loaded.get(app).ok_or_else(|| tuple!(atom "not_loaded", app))?;
        if self.is_in_running(app) {
            return Err(tuple!(atom "already_started", app));
        }
        let missing = spec
            .applications
            .iter()
            .find(|name| self.restart_type(name).is_none() && !spec.is_optional(name));
        match missing {
            Some(name) => Err(tuple!(atom "not_started", name)),
            None => Ok(restart_type),
        }
    }

    fn stop_called(&mut self, call: CallId, app: &Atom) {
        if self.is_in_running(app) {
            return self.stop(app, AfterStop::Called(call));
        }
        if self.restart_type(app).is_none() {
            return self.reply(call, tuple!(atom "error", tuple!(atom "not_started", app)));
        }
        self.after_stop(app, AfterStop::Called(call));
    }

    fn permit(&mut self, call: CallId, app: &Atom, permission: bool) {
        let ok = Term::atom("ok");
        if !self.loaded.contains_key(app) {
            return self.reply(call, tuple!(atom "error", tuple!(atom "not_loaded", app)));
        }
        let is_starting = self.starting.iter().any(|starting| starting.app == *app);
        let restart_type = self.restart_type(app);
        if self.control.contains(app) {
            self.set_permission(app, permission);
            let distributed = Term::atom("distributed_application");
            let reply = if is_starting || restart_type.is_some() {
                distributed
            } else {
                tuple!(distributed, atom "only_loaded")
            };
            return self.reply(call, reply);
        }
        let is_running = self.is_in_running(app);
        if is_running {
            // A stock node keeps the permission as it was here.
            return if permission { self.reply(call, ok) } else { self.stop(app, AfterStop::Permit(call)) };
        }
        self.set_permission(app, permission);
        let waiting = self.start_p_false.iter().position(|(name, _)| name == app);
        let waiting = waiting.map(|at| self.start_p_false.remove(at).1);
        let restart_type = match (is_starting, waiting, restart_type) {
            (false, Some(restart_type), _) | (_, None, Some(restart_type)) if permission => restart_type,
            _ => return self.reply(call, ok),
        };
        self.started.retain(|(name, _)| name != app);
        self.starting.insert(0, Starting { app: app.clone(), restart_type, start_type: StartType::Normal });
        self.start_requests.push((app.clone(), Some(call)));
        self.spawn(app, StartType::Normal);
    }

    fn on_dist_ac(&mut self, message: ToController) {
        match message {
            ToController::Change { app, change } => self.on_change(app, change),
            ToController::ControlApplication { app } => {
                self.control.insert(app);
            }
            ToController::LoadReply { app, result } => {
                let Some(at) = self.loading.iter().position(|(name, _)| *name == app) else { return };
                let (_, call) = self.loading.remove(at);
                let reply = match result {
                    Ok(()) => Term::atom("ok"),
                    Err(reason) => {
                        self.unload(&app);
                        tuple!(atom "error", reason)
                    }
                };
                self.reply(call, reply);
            }
            ToController::StartReply { app, reply } => self.on_start_reply(app, reply),
        }
    }

    fn on_start_reply(&mut self, app: Atom, reply: StartReply) {
        let Some(at) = self.starting.iter().position(|starting| starting.app == app) else {
            return; // Somebody stopped it before the decision.
        };
        match reply {
            StartReply::StartIt => self.spawn(&app, self.starting[at].start_type.clone()),
            StartReply::Takeover(node) => {
                let start_type = StartType::Takeover(node);
                self.starting[at].start_type = start_type.clone();
                self.spawn(&app, start_type);
            }
            StartReply::Started(node) => {
                let starting = self.starting.remove(at);
                self.put_running(&app, Running::Distributed(Some(node.clone())));
                self.put_started(&app, starting.restart_type);
                self.report(Report::Started { app: app.clone(), node });
                self.reply_requests(&app, &Term::atom("ok"));
            }
            StartReply::NotStarted => {
                let starting = self.starting.remove(at);
                self.put_started(&app, starting.restart_type);
                self.reply_requests(&app, &Term::atom("ok"));
            }
            StartReply::Error(reason) => {
                let starting = self.starting.remove(at);
                self.reply_requests(&app, &tuple!(atom "error", reason.clone()));
                if starting.restart_type == RestartType::Permanent {
                    self.halt(reason);
                }
            }
        }
    }

    fn on_change(&mut self, app: Atom, change: Change) {
        let running = self.running.iter().find(|(name, _)| *name == app).map(|(_, running)| running.clone());
        let Some((running, _)) = running.zip(self.restart_type(&app)) else {
            return self.on_early_change(&app, change);
        };
        let runs_here = matches!(running, Running::Local(_));
        match change {
            Change::Started(node) => self.stop(&app, AfterStop::StandBy(node)),
            Change::StopIt => self.stop(&app, AfterStop::NotRun),
            Change::NotRunning => self.running.retain(|(name, _)| *name != app),
            Change::Failover(_) | Change::StartIt | Change::Takeover { .. } if runs_here => {
                self.tell_if_controlled(&app, FromController::Run { app: app.clone(), result: Ok(()) });
            }
            Change::StartIt => self.restart(&app, None, StartType::Normal),
            Change::Takeover { from, restart_type } => {
                self.restart(&app, restart_type, StartType::Takeover(from));
            }
            Change::Failover(node) => {
                // For older applications: one without the key is started as if nothing had happened before.
                let phases = self.loaded.get(&app).is_some_and(|spec| spec.start_phases.is_some());
                self.restart(&app, None, if phases { StartType::Failover(node) } else { StartType::Normal });
            }
        }
    }

    /// An order about an application that is not both running and started.
    fn on_early_change(&mut self, app: &Atom, change: Change) {
        match change {
            Change::StartIt if self.loaded.contains_key(app) && self.may_restart(app) => {
                self.restart(app, None, StartType::Normal);
            }
            // It was stopped by hand while a caller of `permit` waited for the lock. A stock controller stands by again, and refuses
            // the next start (dist_ac.md 6, L22).
            Change::Started(_) if !self.is_started(app) => {}
            Change::Started(node) => {
                self.running.retain(|(name, _)| name != app);
                self.running.insert(0, (app.clone(), Running::Distributed(Some(node))));
            }
            // A stock node drops these as well, and its `dist_ac` waits for ever. Told that nothing runs, ours does
            // not.
            Change::Failover(_) | Change::StartIt | Change::Takeover { .. } => {
                let reason = tuple!(atom "not_started", app);
                self.tell_if_controlled(app, FromController::Run { app: app.clone(), result: Err(reason) });
            }
            Change::StopIt => {
                self.tell_if_controlled(app, FromController::NotRun { app: app.clone() });
            }
            Change::NotRunning => {}
        }
    }

    fn stands_by(&self, app: &Atom) -> bool {
        self.running.iter().any(|(name, at)| name == app && matches!(at, Running::Distributed(_)))
    }

    /// It was started, or is being started, and neither runs here nor stands by.
    fn may_restart(&self, app: &Atom) -> bool {
        !self.is_in_running(app) && self.is_started(app)
    }

    fn is_started(&self, app: &Atom) -> bool {
        self.starting.iter().any(|starting| starting.app == *app) || self.restart_type(app).is_some()
    }

    /// A start of `dist_ac`, or one that it repeats.
    fn restart(&mut self, app: &Atom, restart_type: Option<RestartType>, start_type: StartType) {
        if self.start_requests.iter().any(|(name, _)| name == app) {
            return; // It is being started already.
        }
        let old = self.restart_type(app);
        let restart_type = restart_type.or(old).unwrap_or(RestartType::Temporary);
        if !self.starting.iter().any(|starting| starting.app == *app) {
            self.starting
                .insert(0, Starting { app: app.clone(), restart_type, start_type: start_type.clone() });
        }
        self.start_requests.push((app.clone(), None));
        self.spawn(app, start_type);
    }

    /// Starts an application here, if what it depends on runs; standing by for another node counts as running.
    fn spawn(&mut self, app: &Atom, start_type: StartType) {
        let Some(spec) = self.loaded.get(app) else {
            return self.start_failed(app, tuple!(atom "not_loaded", app), false);
        };
        if spec.start.is_none() {
            return self.start_succeeded(app, Running::Library);
        }
        let missing =
            spec.applications.iter().find(|name| !self.is_in_running(name) && !spec.is_optional(name));
        if let Some(name) = missing {
            let reason = tuple!(atom "not_running", name);
            return self.start_failed(app, reason, false);
        }
        self.outputs.push_back(Output::StartMaster { app: app.clone(), start_type });
    }

    fn on_started(&mut self, app: Atom, result: Result<Option<Pid>, Term>) {
        match result {
            Ok(pid) => self.start_succeeded(&app, Running::Local(pid)),
            Err(reason) => self.start_failed(&app, reason, true),
        }
    }

    fn start_succeeded(&mut self, app: &Atom, running: Running) {
        let Some(at) = self.starting.iter().position(|starting| starting.app == *app) else { return };
        let starting = self.starting.remove(at);
        self.report(Report::Started { app: app.clone(), node: self.me.clone() });
        self.put_running(app, running);
        self.put_started(app, starting.restart_type);
        self.reply_requests(app, &Term::atom("ok"));
        self.check_weight();
        self.tell_if_controlled(app, FromController::Run { app: app.clone(), result: Ok(()) });
    }

    fn start_failed(&mut self, app: &Atom, reason: Term, report: bool) {
        let Some(at) = self.starting.iter().position(|starting| starting.app == *app) else { return };
        let restart_type = self.starting.remove(at).restart_type;
        self.reply_requests(app, &tuple!(atom "error", reason.clone()));
        self.tell_if_controlled(app, FromController::Run { app: app.clone(), result: Err(reason.clone()) });
        if report {
            self.report(Report::Exited { app: app.clone(), reason: reason.clone(), restart_type });
        }
        let fatal = match restart_type {
            RestartType::Permanent => true,
            RestartType::Temporary => false,
            RestartType::Transient => !is_normal_exit(&reason),
        };
        if fatal {
            self.halt(tuple!(atom "application_start_failure", app, reason));
        }
    }

    fn on_exited(&mut self, app: Atom, reason: Term) {
        self.running.retain(|(name, _)| *name != app);
        self.check_weight();
        self.tell_if_controlled(&app, FromController::Stopped { app: app.clone() });
        let Some(restart_type) = self.restart_type(&app) else { return };
        self.report(Report::Exited { app: app.clone(), reason: reason.clone(), restart_type });
        let harmless = match restart_type {
            RestartType::Permanent => false,
            RestartType::Temporary => true,
            RestartType::Transient => reason.is_atom("normal"),
        };
        if !harmless {
            self.halt(tuple!(atom "application_terminated", app, reason));
        }
    }

    /// Stops what runs here of an application, and then goes on.
    fn stop(&mut self, app: &Atom, after: AfterStop) {
        let running = self.running.iter().find(|(name, _)| name == app).map(|(_, running)| running);
        match running {
            Some(Running::Local(_)) => {
                self.stopping.insert(app.clone(), (after, VecDeque::new()));
                self.outputs.push_back(Output::StopMaster { app: app.clone() });
            }
            Some(Running::Library) => {
                self.report_stopped(app);
                self.after_stop(app, after);
            }
            Some(Running::Distributed(_)) | None => self.after_stop(app, after),
        }
    }

    fn on_stopped(&mut self, app: &Atom) {
        let Some((after, deferred)) = self.stopping.remove(app) else { return };
        self.report_stopped(app);
        let called = matches!(after, AfterStop::Called(_));
        self.after_stop(app, after);
        self.check_weight();
        for input in deferred {
            // Somebody took over while it was stopped by hand: it is not started here any more, and does not stand by. A
            // stock controller does, and refuses the next start (dist_ac.md 6, L22).
            let stands_by =
                matches!(input, Input::DistAc(ToController::Change { change: Change::Started(_), .. }));
            if !(called && stands_by) {
                self.handle(input);
            }
        }
    }

    fn after_stop(&mut self, app: &Atom, after: AfterStop) {
        match after {
            AfterStop::Called(call) => {
                self.running.retain(|(name, _)| name != app);
                self.started.retain(|(name, _)| name != app);
                self.check_weight();
                self.tell_if_controlled(app, FromController::Stopped { app: app.clone() });
                self.reply(call, Term::atom("ok"));
            }
            AfterStop::NotRun => {
                self.put_running(app, Running::Distributed(None));
                self.check_weight();
                self.tell_if_controlled(app, FromController::NotRun { app: app.clone() });
            }
            AfterStop::Permit(call) => {
                self.running.retain(|(name, _)| name != app);
                self.reply(call, Term::atom("ok"));
            }
            AfterStop::StandBy(node) => {
                self.running.retain(|(name, _)| name != app);
                self.running.insert(0, (app.clone(), Running::Distributed(Some(node))));
            }
        }
    }

    fn info(&self) -> Term {
        let call = |(app, call): &(Atom, CallId)| tuple!(app, call.0);
        let started: Vec<Term> = self.started.iter().map(|(app, kind)| tuple!(app, kind.to_term())).collect();
        let forbidden: Vec<Term> =
            self.start_p_false.iter().map(|(app, kind)| tuple!(app, kind.to_term(), atom "normal")).collect();
        let running: Vec<Term> = self.running.iter().map(|(app, at)| tuple!(app, at.to_term())).collect();
        let starting: Vec<Term> = self
            .starting
            .iter()
            .map(|one| tuple!(&one.app, one.restart_type.to_term(), one.start_type.to_term()))
            .collect();
        Term::list(vec![
            tuple!(atom "loaded", self.loaded_applications()),
            tuple!(atom "loading", self.loading.iter().map(call).collect::<Vec<_>>()),
            tuple!(atom "started", started),
            tuple!(atom "start_p_false", forbidden),
            tuple!(atom "running", running),
            tuple!(atom "starting", starting),
        ])
    }

    /// Whether `kernel permissions` forbids it.
    fn is_forbidden(&self, app: &Atom) -> bool {
        let entry = tuple!(app, false);
        let permissions = self.env.value("kernel", &Term::atom("permissions"));
        permissions.and_then(Term::as_list).is_some_and(|list| list.contains(&entry))
    }

    fn set_permission(&mut self, app: &Atom, permission: bool) {
        let key = Term::atom("permissions");
        let mut list = vec![tuple!(app, permission)];
        let old = self.env.value("kernel", &key).and_then(Term::as_list).unwrap_or_default();
        let is_other =
            |entry: &&Term| entry.as_tuple().and_then(<[Term]>::first).and_then(Term::as_atom) != Some(app);
        list.extend(old.iter().filter(is_other).cloned());
        self.env.set(&Atom::from("kernel"), key, list.into(), false);
    }

    fn is_in_running(&self, app: &Atom) -> bool {
        self.running.iter().any(|(name, _)| name == app)
    }

    /// The restart type of a started application.
    fn restart_type(&self, app: &Atom) -> Option<RestartType> {
        self.started.iter().find(|(name, _)| name == app).map(|(_, restart_type)| *restart_type)
    }

    fn put_running(&mut self, app: &Atom, running: Running) {
        match self.running.iter_mut().find(|(name, _)| name == app) {
            Some(entry) => entry.1 = running,
            None => self.running.insert(0, (app.clone(), running)),
        }
    }

    fn put_started(&mut self, app: &Atom, restart_type: RestartType) {
        match self.started.iter_mut().find(|(name, _)| name == app) {
            Some(entry) => entry.1 = restart_type,
            None => self.started.insert(0, (app.clone(), restart_type)),
        }
    }

    fn reply(&mut self, call: CallId, reply: Term) {
        self.outputs.push_back(Output::Reply { call, reply });
    }

    fn reply_requests(&mut self, app: &Atom, reply: &Term) {
        let requests: Vec<_> = self.start_requests.extract_if(.., |(name, _)| name == app).collect();
        for (_, call) in requests {
            if let Some(call) = call {
                self.reply(call, reply.clone());
            }
        }
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }

    fn report_stopped(&mut self, app: &Atom) {
        if let Some(restart_type) = self.restart_type(app) {
            let reason = Term::atom("stopped");
            self.report(Report::Exited { app: app.clone(), reason, restart_type });
        }
    }

    fn halt(&mut self, reason: Term) {
        self.outputs.push_back(Output::Halt { reason });
    }

    fn tell(&mut self, message: FromController) {
        self.outputs.push_back(Output::DistAc(message));
    }

    /// Tells `dist_ac`, if the application is under its control; says whether it is.
    fn tell_if_controlled(&mut self, app: &Atom, message: FromController) -> bool {
        let controlled = self.control.contains(app);
        if controlled {
            self.tell(message);
        }
        controlled
    }

    /// Tells `dist_ac` how many applications run here, whenever that has changed.
    fn check_weight(&mut self) {
        let local = self.running.iter().filter(|(_, running)| running.is_local()).count();
        let weight = i64::try_from(local).unwrap_or(i64::MAX);
        if weight != self.weight {
            self.weight = weight;
            self.tell(FromController::RunningApplications(weight));
        }
    }
}

impl Running {
    fn is_local(&self) -> bool {
        !matches!(self, Self::Distributed(_))
    }

    fn to_term(&self) -> Term {
        match self {
            Self::Distributed(Some(node)) => tuple!(atom "distributed", node),
            Self::Distributed(None) => tuple!(atom "distributed", Term::NIL),
            Self::Library | Self::Local(None) => Term::atom("undefined"),
            Self::Local(Some(pid)) => pid.into(),
        }
    }
}

/// `{{'EXIT', normal}, Call}`: a `start` function that called `exit(normal)`.
fn is_normal_exit(reason: &Term) -> bool {
    let Some([cause, _call]) = reason.as_tuple() else { return false };
    matches!(cause.as_tuple(), Some([exit, normal]) if exit.is_atom("EXIT") && normal.is_atom("normal"))
}
