//! Which child is started and ended when: a supervisor without its process.
//!
//! What is asked of the driver is done one at a time, in order, and its outcome comes back before anything else does, as
//! OTP's supervisor does nothing else while it starts or ends a child.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use etf::{Pid, Term, tuple};

use super::{AutoShutdown, ChildSpec, Restart, Shutdown, Strategy, SupervisorSpec, term};
use crate::Args;

/// See the module. `C` is who is to be answered.
pub(super) struct Engine<C> {
    strategy: Strategy,
    intensity: usize,
    period: Duration,
    auto_shutdown: AutoShutdown,
    /// In the order in which they are started; the one that all are like with [`Strategy::SimpleOneForOne`].
    children: Vec<Child>,
    /// Those of [`Strategy::SimpleOneForOne`]: each with the arguments that it is started again with.
    dynamic: HashMap<Pid, Args>,
    /// The same of which the last start failed, by the pid that they had before.
    dynamic_restarting: HashMap<Pid, Args>,
    /// When children were started again, within the period.
    restarts: VecDeque<Instant>,
    doing: Option<Doing<C>>,
    outputs: VecDeque<Output<C>>,
}

struct Child {
    spec: ChildSpec,
    at: At,
}

#[derive(Debug, Clone, PartialEq)]
enum At {
    Running(Pid),
    Stopped,
    /// Its last start failed, and will be tried again.
    Restarting,
}

/// What happens to a supervisor.
#[derive(Debug)]
pub(super) enum Input<C> {
    /// It begins.
    Init,
    /// The child that was to be started has started, or is not needed for now, or has not.
    Started(Result<Option<Pid>, Term>),
    /// What was to be stopped is gone.
    Stopped,
    /// A process that is linked with it has ended.
    Exit { pid: Pid, reason: Term },
    /// It is asked for something.
    Call { call: C, request: Request },
    /// A failed start is to be tried again.
    TryAgain(Term),
    /// It ends.
    Terminate,
}

/// What it can be asked.
#[derive(Debug)]
pub(super) enum Request {
    WhichChildren,
    CountChildren,
    Start(ChildSpec),
    /// The same of [`Strategy::SimpleOneForOne`].
    StartDynamic(Args),
    /// Whether it is a pid of which there is no process, beside the id.
    Terminate {
        id: Term,
        is_gone: bool,
    },
    Restart(Term),
    Delete(Term),
    Spec(Term),
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output<C> {
    /// Start a child; answered by [`Input::Started`].
    Start { spec: ChildSpec, args: Args },
    /// End a process; answered by [`Input::Stopped`].
    Stop { pid: Pid, shutdown: Shutdown },
    /// The same of many at once.
    StopAll { pids: Vec<Pid>, shutdown: Shutdown },
    /// Answer a call.
    Reply { call: C, reply: Term },
    /// Come back with [`Input::TryAgain`], behind what waits already.
    TryAgain(Term),
    /// The supervisor has begun.
    Ready,
    /// It has not, and nothing of it is left.
    Failed(Term),
    /// It is to end, for this reason.
    End(Term),
    /// It has ended.
    Terminated,
    /// For the log.
    Report { what: &'static str, id: Term, reason: Term },
}

/// What the driver is doing.
enum Doing<C> {
    /// It starts the first of these.
    Starting {
        ids: VecDeque<Term>,
        why: Why<C>,
    },
    Adding {
        call: C,
        spec: ChildSpec,
    },
    AddingDynamic {
        call: C,
        args: Args,
    },
    RestartingDynamic {
        old: Pid,
        args: Args,
    },
    /// It stops the last of these.
    Stopping {
        ids: Vec<Term>,
        then: Then<C>,
    },
    StoppingDynamic {
        call: C,
        pid: Pid,
    },
    StoppingAll,
}

enum Why<C> {
    Init,
    Restart,
    Asked(C),
}

enum Then<C> {
    Fail(Term),
    Restart { ids: VecDeque<Term> },
    Reply(C),
    Terminate,
}

impl<C> Engine<C> {
    /// The error is what is wrong with the specification.
    pub(super) fn new(spec: SupervisorSpec) -> Result<Self, Term> {
        let SupervisorSpec { strategy, intensity, period, auto_shutdown, children } = spec;
        let mut engine = Self {
            strategy,
            intensity,
            period,
            auto_shutdown,
            children: Vec::new(),
            dynamic: HashMap::new(),
            dynamic_restarting: HashMap::new(),
            restarts: VecDeque::new(),
            doing: None,
            outputs: VecDeque::new(),
        };
        if engine.is_simple() && children.len() != 1 {
            let specs: Vec<Term> = children.iter().map(term::of_spec).collect();
            return Err(tuple!(atom "bad_start_spec", specs));
        }
        for spec in children {
            engine.check(&spec).map_err(|error| tuple!(atom "start_spec", error))?;
            if engine.find(&spec.id).is_some() {
                let error = tuple!(atom "duplicate_child_name", spec.id);
                return Err(tuple!(atom "start_spec", error));
            }
            engine.children.push(Child { spec, at: At::Stopped });
        }
        Ok(engine)
    }

    pub(super) fn is_simple(&self) -> bool {
        self.strategy == Strategy::SimpleOneForOne
    }

    /// Says what happened, and when. What was to be done before must have been done.
    pub(super) fn handle(&mut self, now: Instant, input: Input<C>) {
        match input {
            Input::Init if self.is_simple() => self.outputs.push_back(Output::Ready),
            Input::Init => {
                let ids = self.children.iter().map(|child| child.spec.id.clone()).collect();
                self.start(ids, Why::Init);
            }
            Input::Started(result) => self.started(result),
            Input::Stopped => self.stopped(),
            Input::Exit { pid, reason } => self.exited(now, &pid, &reason),
            Input::Call { call, request } => self.call(call, request),
            Input::TryAgain(id) => self.try_again(now, &id),
            Input::Terminate if self.is_simple() => self.stop_all(),
            Input::Terminate => {
                let ids = self.children.iter().map(|child| child.spec.id.clone()).collect();
                self.stop(ids, Then::Terminate);
            }
        }
    }

    /// What is to be done next.
    pub(super) fn poll_output(&mut self) -> Option<Output<C>> {
        self.outputs.pop_front()
    }

    // --- Starting -----------------------------------------------------------------------------------------

    /// Starts these, in this order, and then answers for it.
    fn start(&mut self, ids: VecDeque<Term>, why: Why<C>) {
        let Some(child) = ids.front().and_then(|id| self.find(id)) else {
            match why {
                Why::Init => self.outputs.push_back(Output::Ready),
                Why::Restart => {}
                Why::Asked(_) => {
                    unreachable!("what is asked for is one, and is answered when it has started")
                }
            }
            return;
        };
        let spec = self.children[child].spec.clone();
        self.outputs.push_back(Output::Start { spec, args: Args::new() });
        self.doing = Some(Doing::Starting { ids, why });
    }

    fn started(&mut self, result: Result<Option<Pid>, Term>) {
        match self.doing.take() {
            Some(Doing::Starting { ids, why }) => self.started_one(ids, why, result),
            Some(Doing::Adding { call, spec }) => {
                let reply = match result {
                    Ok(pid) => {
                        let reply = ok_pid(pid.as_ref());
                        if pid.is_some() || spec.restart != Restart::Temporary {
                            self.children.push(Child { spec, at: pid.map_or(At::Stopped, At::Running) });
                        }
                        reply
                    }
                    Err(reason) => {
                        let is_started =
                            matches!(reason.as_tuple(), Some([tag, _]) if tag.is_atom("already_started"));
                        let reason = if is_started { reason } else { tuple!(reason, term::record_of(&spec)) };
                        error(reason)
                    }
                };
                self.outputs.push_back(Output::Reply { call, reply });
            }
            Some(Doing::AddingDynamic { call, args }) => {
                let reply = match result {
                    Ok(pid) => {
                        let reply = ok_pid(pid.as_ref());
                        if let Some(pid) = pid {
                            self.add_dynamic(pid, args);
                        }
                        reply
                    }
                    Err(reason) => error(reason),
                };
                self.outputs.push_back(Output::Reply { call, reply });
            }
            Some(Doing::RestartingDynamic { old, args }) => match result {
                Ok(pid) => {
                    if let Some(pid) = pid {
                        self.add_dynamic(pid, args);
                    }
                }
                Err(reason) => {
                    self.report("start_error", Term::atom("undefined"), reason);
                    let again = restarting(&old);
                    self.dynamic_restarting.insert(old, args);
                    self.outputs.push_back(Output::TryAgain(again));
                }
            },
            _ => unreachable!("nothing else is started"),
        }
    }

    fn started_one(&mut self, mut ids: VecDeque<Term>, why: Why<C>, result: Result<Option<Pid>, Term>) {
        let id = ids.pop_front().expect("one of them has been started");
        let at = self.find(&id).expect("a child that is being started is there");
        match (result, why) {
            (Ok(pid), Why::Asked(call)) => {
                self.outputs.push_back(Output::Reply { call, reply: ok_pid(pid.as_ref()) });
                self.children[at].at = pid.map_or(At::Stopped, At::Running);
            }
            (Ok(None), why) if self.children[at].spec.restart == Restart::Temporary => {
                self.children.remove(at);
                self.start(ids, why);
            }
            (Ok(pid), why) => {
                self.children[at].at = pid.map_or(At::Stopped, At::Running);
                self.start(ids, why);
            }
            (Err(reason), Why::Asked(call)) => {
                self.outputs.push_back(Output::Reply { call, reply: error(reason) });
            }
            (Err(reason), Why::Init) => {
                self.report("start_error", id.clone(), reason.clone());
                let failed = tuple!(atom "failed_to_start_child", id, reason);
                let ids = self.children.iter().map(|child| child.spec.id.clone()).collect();
                self.stop(ids, Then::Fail(tuple!(atom "shutdown", failed)));
            }
            // Other messages come first: one of them may say not to try again.
            (Err(reason), Why::Restart) => {
                self.report("start_error", id.clone(), reason);
                self.children[at].at = At::Restarting;
                self.outputs.push_back(Output::TryAgain(id));
            }
        }
    }

    /// The arguments of a temporary child are not needed any more.
    fn add_dynamic(&mut self, pid: Pid, args: Args) {
        let is_temporary = self.children[0].spec.restart == Restart::Temporary;
        self.dynamic.insert(pid, if is_temporary { Args::new() } else { args });
    }

    // --- Stopping -----------------------------------------------------------------------------------------

    /// Stops those of these that run, the last first, and then goes on.
    fn stop(&mut self, mut ids: Vec<Term>, then: Then<C>) {
        while let Some(id) = ids.last() {
            if let Some(child) = self.find(id).map(|at| &self.children[at])
                && let At::Running(pid) = &child.at
            {
                let (pid, shutdown) = (pid.clone(), child.spec.shutdown);
                self.outputs.push_back(Output::Stop { pid, shutdown });
                self.doing = Some(Doing::Stopping { ids, then });
                return;
            }
            self.forget(&ids.pop().expect("it is the last"));
        }
        match then {
            Then::Fail(reason) => self.outputs.push_back(Output::Failed(reason)),
            Then::Restart { ids } => {
                // Temporary ones are not started again.
                let ids = ids.into_iter().filter(|id| self.find(id).is_some()).collect();
                self.start(ids, Why::Restart);
            }
            Then::Reply(call) => {
                self.outputs.push_back(Output::Reply { call, reply: Term::atom("ok") });
            }
            Then::Terminate => self.outputs.push_back(Output::Terminated),
        }
    }

    fn stopped(&mut self) {
        match self.doing.take() {
            Some(Doing::Stopping { mut ids, then }) => {
                self.forget(&ids.pop().expect("one of them has been stopped"));
                self.stop(ids, then);
            }
            Some(Doing::StoppingDynamic { call, pid }) => {
                self.dynamic.remove(&pid);
                self.outputs.push_back(Output::Reply { call, reply: Term::atom("ok") });
            }
            Some(Doing::StoppingAll) => self.outputs.push_back(Output::Terminated),
            _ => unreachable!("nothing else is stopped"),
        }
    }

    fn stop_all(&mut self) {
        let (pids, shutdown) =
            (self.dynamic.drain().map(|(pid, _)| pid).collect(), self.children[0].spec.shutdown);
        self.outputs.push_back(Output::StopAll { pids, shutdown });
        self.doing = Some(Doing::StoppingAll);
    }

    /// A child does not run any more; a temporary one is none any more.
    fn forget(&mut self, id: &Term) {
        let Some(at) = self.find(id) else { return };
        if self.children[at].spec.restart == Restart::Temporary {
            self.children.remove(at);
        } else {
            self.children[at].at = At::Stopped;
        }
    }

    // --- Restarting ---------------------------------------------------------------------------------------

    fn exited(&mut self, now: Instant, pid: &Pid, reason: &Term) {
        if self.is_simple() {
            let Some(args) = self.dynamic.remove(pid) else { return };
            if self.is_restarted(0, reason) {
                self.restart_dynamic(now, pid, args);
            } else {
                self.end_with(0);
            }
            return;
        }
        let Some(at) = self.children.iter().position(|child| matches!(&child.at, At::Running(p) if p == pid))
        else {
            return;
        };
        if self.is_restarted(at, reason) {
            self.children[at].at = At::Stopped;
            return self.restart(now, at);
        }
        // Whether it was significant is known as long as it is there.
        self.children[at].at = At::Stopped;
        self.end_with(at);
        self.forget(&self.children[at].spec.id.clone());
    }

    /// Whether a child that ended so is to be started again; if not, or if that is not as it should be, it is in the
    /// log.
    fn is_restarted(&mut self, at: usize, reason: &Term) -> bool {
        let (restart, is_normal) = (self.children[at].spec.restart, is_normal(reason));
        if restart == Restart::Permanent || !is_normal {
            let id = self.children[at].spec.id.clone();
            self.report("child_terminated", id, reason.clone());
        }
        match restart {
            Restart::Permanent => true,
            Restart::Transient => !is_normal,
            Restart::Temporary => false,
        }
    }

    /// A child has ended that is not started again, which may be the end of the supervisor.
    fn end_with(&mut self, at: usize) {
        let is_over = match self.auto_shutdown {
            _ if !self.children[at].spec.significant => false,
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant if self.is_simple() => {
                self.dynamic.is_empty() && self.dynamic_restarting.is_empty()
            }
            AutoShutdown::AllSignificant => {
                !self.children.iter().any(|child| child.spec.significant && child.at != At::Stopped)
            }
        };
        if is_over {
            self.outputs.push_back(Output::End(Term::atom("shutdown")));
        }
    }

    fn restart(&mut self, now: Instant, at: usize) {
        let id = self.children[at].spec.id.clone();
        if !self.may_restart(now) {
            return self.give_up(id);
        }
        let first = match self.strategy {
            Strategy::OneForAll => 0,
            Strategy::RestForOne => at,
            Strategy::OneForOne | Strategy::SimpleOneForOne => {
                return self.start(VecDeque::from([id]), Why::Restart);
            }
        };
        let ids: Vec<Term> = self.children[first..].iter().map(|child| child.spec.id.clone()).collect();
        self.stop(ids.clone(), Then::Restart { ids: ids.into() });
    }

    fn restart_dynamic(&mut self, now: Instant, old: &Pid, args: Args) {
        if !self.may_restart(now) {
            return self.give_up(old.into());
        }
        let spec = self.children[0].spec.clone();
        self.outputs.push_back(Output::Start { spec, args: args.clone() });
        self.doing = Some(Doing::RestartingDynamic { old: old.clone(), args });
    }

    fn try_again(&mut self, now: Instant, id: &Term) {
        if self.is_simple() {
            let old = match id.as_tuple() {
                Some([tag, Term::Pid(old)]) if tag.is_atom("restarting") => old,
                _ => return,
            };
            if let Some(args) = self.dynamic_restarting.remove(old) {
                self.restart_dynamic(now, old, args);
            }
            return;
        }
        // It may have been stopped or started meanwhile.
        if let Some(at) = self.find(id).filter(|at| self.children[*at].at == At::Restarting) {
            self.children[at].at = At::Stopped;
            self.restart(now, at);
        }
    }

    fn give_up(&mut self, id: Term) {
        self.report("shutdown", id, Term::atom("reached_max_restart_intensity"));
        self.outputs.push_back(Output::End(Term::atom("shutdown")));
    }

    /// Counts a restart, and says whether it is still one of those that are allowed.
    fn may_restart(&mut self, now: Instant) -> bool {
        self.restarts.push_back(now);
        while self.restarts.front().is_some_and(|first| now.duration_since(*first) > self.period) {
            self.restarts.pop_front();
        }
        self.restarts.len() <= self.intensity
    }

    // --- Calls --------------------------------------------------------------------------------------------

    fn call(&mut self, call: C, request: Request) {
        let simple = || error(Term::atom("simple_one_for_one"));
        let reply = match request {
            Request::WhichChildren => self.which_children(),
            Request::CountChildren => self.count_children(),
            Request::Start(spec) => match self.may_start(&spec) {
                Ok(()) => {
                    self.outputs.push_back(Output::Start { spec: spec.clone(), args: Args::new() });
                    self.doing = Some(Doing::Adding { call, spec });
                    return;
                }
                Err(reason) => error(reason),
            },
            Request::StartDynamic(args) => {
                let spec = self.children[0].spec.clone();
                self.outputs.push_back(Output::Start { spec, args: args.clone() });
                self.doing = Some(Doing::AddingDynamic { call, args });
                return;
            }
            Request::Terminate { id, is_gone } if self.is_simple() => match id {
                Term::Pid(pid) if self.dynamic.contains_key(&pid) => {
                    let shutdown = self.children[0].spec.shutdown;
                    self.outputs.push_back(Output::Stop { pid: pid.clone(), shutdown });
                    self.doing = Some(Doing::StoppingDynamic { call, pid });
                    return;
                }
                Term::Pid(pid) if self.dynamic_restarting.remove(&pid).is_some() || is_gone => {
                    Term::atom("ok")
                }
                Term::Pid(_) => error(Term::atom("not_found")),
                _ => simple(),
            },
            Request::Restart(_) | Request::Delete(_) if self.is_simple() => simple(),
            Request::Spec(_) if self.is_simple() => tuple!(atom "ok", term::of_spec(&self.children[0].spec)),
            Request::Terminate { id, .. }
            | Request::Restart(id)
            | Request::Delete(id)
            | Request::Spec(id)
                if self.find(&id).is_none() =>
            {
                drop(id);
                error(Term::atom("not_found"))
            }
            Request::Terminate { id, .. } => return self.stop(vec![id], Then::Reply(call)),
            Request::Restart(id) => match self.at(&id) {
                At::Running(_) => error(Term::atom("running")),
                At::Restarting => error(Term::atom("restarting")),
                At::Stopped => return self.start(VecDeque::from([id]), Why::Asked(call)),
            },
            Request::Delete(id) => match self.at(&id) {
                At::Running(_) => error(Term::atom("running")),
                At::Restarting => error(Term::atom("restarting")),
                At::Stopped => {
                    self.children.retain(|child| child.spec.id != id);
                    Term::atom("ok")
                }
            },
            Request::Spec(id) => {
                let at = self.find(&id).expect("it was looked for");
                tuple!(atom "ok", term::of_spec(&self.children[at].spec))
            }
        };
        self.outputs.push_back(Output::Reply { call, reply });
    }

    fn may_start(&self, spec: &ChildSpec) -> Result<(), Term> {
        self.check(spec)?;
        match self.find(&spec.id).map(|at| &self.children[at].at) {
            None => Ok(()),
            Some(At::Running(pid)) => Err(tuple!(atom "already_started", pid)),
            Some(At::Stopped | At::Restarting) => Err(Term::atom("already_present")),
        }
    }

    /// Whether such a child may be this supervisor's.
    fn check(&self, spec: &ChildSpec) -> Result<(), Term> {
        let bad = |key: &'static str, value: &'static str| {
            let pairs = [tuple!(Term::atom(key), Term::atom(value)), tuple!(atom "significant", true)];
            Err(tuple!(atom "bad_combination", Term::list(pairs)))
        };
        match (spec.significant, spec.restart, self.auto_shutdown) {
            (true, _, AutoShutdown::Never) => bad("auto_shutdown", "never"),
            (true, Restart::Permanent, _) => bad("restart", "permanent"),
            _ => Ok(()),
        }
    }

    fn which_children(&self) -> Term {
        let row = |id: Term, spec: &ChildSpec, at: &At| {
            let pid = match at {
                At::Running(pid) => pid.into(),
                At::Stopped => Term::atom("undefined"),
                At::Restarting => Term::atom("restarting"),
            };
            tuple!(id, pid, term::kind(spec), term::modules(spec))
        };
        if self.is_simple() {
            let spec = &self.children[0].spec;
            let running = self.dynamic.keys().map(|pid| At::Running(pid.clone()));
            let all = running.chain(self.dynamic_restarting.keys().map(|_| At::Restarting));
            return all.map(|at| row(Term::atom("undefined"), spec, &at)).collect::<Vec<_>>().into();
        }
        // As OTP's: the one that was started last is first.
        let rows = self.children.iter().rev();
        rows.map(|child| row(child.spec.id.clone(), &child.spec, &child.at)).collect::<Vec<_>>().into()
    }

    fn count_children(&self) -> Term {
        let (specs, active, all, supervisors) = if self.is_simple() {
            let all = self.dynamic.len() + self.dynamic_restarting.len();
            (1, self.dynamic.len(), all, if self.children[0].spec.supervisor { all } else { 0 })
        } else {
            let active = self.children.iter().filter(|child| matches!(child.at, At::Running(_))).count();
            let supervisors = self.children.iter().filter(|child| child.spec.supervisor).count();
            (self.children.len(), active, self.children.len(), supervisors)
        };
        Term::list(vec![
            tuple!(atom "specs", specs),
            tuple!(atom "active", active),
            tuple!(atom "supervisors", supervisors),
            tuple!(atom "workers", all - supervisors),
        ])
    }

    /// What it keeps, for `sys:get_state`.
    pub(super) fn state(&self) -> Term {
        let strategy = term::strategy(self.strategy);
        let counts = [self.intensity, usize::try_from(self.period.as_secs()).unwrap_or(usize::MAX)];
        let [intensity, period] = counts.map(Term::from);
        tuple!(atom "state", strategy, intensity, period, self.restarts.len(), self.which_children())
    }

    fn at(&self, id: &Term) -> &At {
        self.find(id).map_or(&At::Stopped, |at| &self.children[at].at)
    }

    fn find(&self, id: &Term) -> Option<usize> {
        self.children.iter().position(|child| child.spec.id == *id)
    }

    fn report(&mut self, what: &'static str, id: Term, reason: Term) {
        self.outputs.push_back(Output::Report { what, id, reason });
    }
}

fn error(reason: Term) -> Term {
    tuple!(atom "error", reason)
}

fn ok_pid(pid: Option<&Pid>) -> Term {
    tuple!(atom "ok", pid.map_or(Term::atom("undefined"), Term::from))
}

fn restarting(old: &Pid) -> Term {
    tuple!(atom "restarting", old)
}

fn is_normal(reason: &Term) -> bool {
    reason.is_atom("normal")
        || reason.is_atom("shutdown")
        || matches!(reason.as_tuple(), Some([tag, _]) if tag.is_atom("shutdown"))
}

#[cfg(test)]
mod tests;
