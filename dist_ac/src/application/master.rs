//! The application master: runs one application, from its `start` to its last process (dist_ac.md 4).
//!
//! ```text
//! start ── ok ──► start phases, in their order ── all ok ──► running
//!   └─ error        └─ error                                  │ its top process ends: prep_stop, stop
//!                                                             │ a stop is ordered:
//!                                                             ▼ prep_stop, exit(Top, shutdown), wait, stop
//!                                           every process with the application's group leader is killed
//! ```
//! That group leader is a process of its own, which passes on what they print: the master runs the application's
//! callbacks, which print too.
//!
//! Only after the last phase does the application count as started; until then a copy that it takes over from goes on.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use crabnode::{Context, Message, SpawnOptions};
use etf::{Atom, Pid, Term, tuple};
use tokio::sync::watch;

use super::{StartType, spec::Spec};
use crate::service::Applications;

/// An application in Rust: the callbacks of OTP's behaviour of that name.
///
/// All run in a process of their own, the application's master, whose [`Context`] they get. It has a group leader of its
/// own, as has every process that it starts, and those that they start: they are killed when the application has stopped.
pub trait Application: Send + Sync + 'static {
    /// `start/2`: starts the application's top process, linked with the context's process, usually by
    /// [`supervisor::start_link`](crabnode::supervisor::start_link).
    fn start(
        &self,
        context: &mut Context,
        start: Start,
    ) -> impl Future<Output = Result<Started, Term>> + Send;

    /// `start_phase/3`, for each start phase that the specification lists, after `start`; `start.args` are the
    /// phase's. By default nothing.
    fn start_phase(
        &self,
        _: &mut Context,
        _phase: Atom,
        _start: Start,
    ) -> impl Future<Output = Result<(), Term>> + Send {
        async { Ok(()) }
    }

    /// `prep_stop/1`: the application is about to stop. Gives the state for [`stop`](Self::stop).
    fn prep_stop(&self, _: &mut Context, state: Term) -> impl Future<Output = Term> + Send {
        async { state }
    }

    /// `stop/1`: the application has stopped.
    fn stop(&self, _: &mut Context, _state: Term) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a starting application is told.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its name.
    pub app: Atom,
    /// Why it is started.
    pub start_type: StartType,
    /// The arguments of the `mod` key, or of the phase.
    pub args: Term,
    /// The applications of this node, for its environment.
    pub applications: Applications,
}

/// A started application.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its top process, linked with the master.
    pub pid: Pid,
    /// What `prep_stop` and `stop` get.
    pub state: Term,
}

impl Started {
    /// An application without a state.
    #[must_use]
    pub fn new(pid: Pid) -> Self {
        Self { pid, state: Term::NIL }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Application`] behind a pointer.
pub(crate) trait Program: Send + Sync {
    fn start<'a>(&'a self, context: &'a mut Context, start: Start) -> Boxed<'a, Result<Started, Term>>;
    fn start_phase<'a>(
        &'a self,
        context: &'a mut Context,
        phase: Atom,
        start: Start,
    ) -> Boxed<'a, Result<(), Term>>;
    fn prep_stop<'a>(&'a self, context: &'a mut Context, state: Term) -> Boxed<'a, Term>;
    fn stop<'a>(&'a self, context: &'a mut Context, state: Term) -> Boxed<'a, ()>;
}

impl<A: Application> Program for A {
    fn start<'a>(&'a self, context: &'a mut Context, start: Start) -> Boxed<'a, Result<Started, Term>> {
        Box::pin(Application::start(self, context, start))
    }

    fn start_phase<'a>(
        &'a self,
        context: &'a mut Context,
        phase: Atom,
        start: Start,
    ) -> Boxed<'a, Result<(), Term>> {
        Box::pin(Application::start_phase(self, context, phase, start))
    }

    fn prep_stop<'a>(&'a self, context: &'a mut Context, state: Term) -> Boxed<'a, Term> {
        Box::pin(Application::prep_stop(self, context, state))
    }

    fn stop<'a>(&'a self, context: &'a mut Context, state: Term) -> Boxed<'a, ()> {
        Box::pin(Application::stop(self, context, state))
    }
}

/// The programs of a node.
#[derive(Default)]
pub(crate) struct Programs {
    /// By their applications' names. These go before those of modules.
    pub(crate) applications: BTreeMap<Atom, Arc<dyn Program>>,
    /// By the names of the callback modules that specifications give.
    pub(crate) modules: BTreeMap<Atom, Arc<dyn Program>>,
}

impl Programs {
    fn get(&self, app: &Atom, module: &Atom) -> Option<&Arc<dyn Program>> {
        self.applications.get(app).or_else(|| self.modules.get(module))
    }
}

/// One thing to do after `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Call `start_phase` of an application.
    Phase { app: Atom, module: Atom, phase: Atom, args: Term },
    /// The start fails here, for this reason.
    Fail(Term),
}

/// The start phases of an application, and with `application_starter` of those that it includes, in their order.
pub(crate) fn steps(spec: &Spec, loaded: &dyn Fn(&Atom) -> Option<Spec>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (phase, _) in spec.start_phases.iter().flatten() {
        // The list is finite: loading an application that includes itself would not have ended.
        phase_steps(spec, phase, loaded, &mut steps);
    }
    steps
}

fn phase_steps(spec: &Spec, phase: &Atom, loaded: &dyn Fn(&Atom) -> Option<Spec>, steps: &mut Vec<Step>) {
    let Some((module, _, includes)) = callback(spec) else { return };
    match &spec.start_phases {
        None => return steps.push(Step::Fail(tuple!(atom "start_phases_undefined", &spec.name))),
        Some(phases) => {
            if let Some((_, args)) = phases.iter().find(|(name, _)| name == phase) {
                let (app, phase, args) = (spec.name.clone(), phase.clone(), args.clone());
                steps.push(Step::Phase { app, module, phase, args });
            }
        }
    }
    if includes {
        for app in &spec.included_applications {
            if let Some(included) = loaded(app) {
                phase_steps(&included, phase, loaded, steps);
            }
        }
    }
}

/// The callback module and its arguments, and whether included applications take part in the phases:
/// `{mod, {application_starter, [Module, Args]}}`.
fn callback(spec: &Spec) -> Option<(Atom, Term, bool)> {
    let start = spec.start.as_ref()?;
    if start.module == "application_starter"
        && let Some([Term::Atom(module), args]) = start.args.as_list()
    {
        return Some((module.clone(), args.clone(), true));
    }
    Some((start.module.clone(), start.args.clone(), false))
}

/// What one master has to know.
pub(crate) struct Job {
    pub(crate) spec: Spec,
    pub(crate) steps: Vec<Step>,
    pub(crate) start_type: StartType,
    pub(crate) programs: Arc<Programs>,
    pub(crate) applications: Applications,
    /// Says `true` once it is to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

/// A master's process, from start to end. The result of the start goes to `started`; what is returned is the reason
/// of the end.
pub(crate) async fn run<F>(mut context: Context, job: Job, started: F) -> Term
where
    F: AsyncFnOnce(Result<(), Term>),
{
    context.trap_exit(true);
    let leader = lead_group(&context);
    let mut job = job;
    let result = start(&mut context, &job).await;
    let (pid, state) = match result {
        Ok(Started { pid, state }) => (pid, state),
        Err(reason) => {
            kill_group(&context, &leader);
            started(Err(reason)).await;
            return Term::atom("normal");
        }
    };
    started(Ok(())).await;
    let reason = tokio::select! {
        reason = exit_of(&mut context, &pid) => Some(reason),
        // The sender is gone only with the node.
        _ = job.stop.wait_for(|stop| *stop) => None,
    };
    let program = callback(&job.spec).and_then(|(module, ..)| job.programs.get(&job.spec.name, &module));
    let program = program.cloned().expect("it has started");
    let state = program.prep_stop(&mut context, state).await;
    if reason.is_none() {
        context.exit(&pid, Term::atom("shutdown"));
        exit_of(&mut context, &pid).await;
    }
    program.stop(&mut context, state).await;
    kill_group(&context, &leader);
    reason.unwrap_or_else(|| Term::atom("normal"))
}

async fn start(context: &mut Context, job: &Job) -> Result<Started, Term> {
    let app = &job.spec.name;
    let Some((module, args, _)) = callback(&job.spec) else { return Err(tuple!(atom "not_loaded", app)) };
    let start_type = job.start_type.to_term();
    let call = tuple!(&module, atom "start", vec![start_type.clone(), args.clone()]);
    let Some(program) = job.programs.get(app, &module) else {
        let frame = tuple!(&module, atom "start", vec![start_type, args], Term::NIL);
        let exit = tuple!(atom "EXIT", tuple!(atom "undef", vec![frame]));
        return Err(tuple!(atom "bad_return", tuple!(call, exit)));
    };
    let started = program.start(context, job.start(app, args)).await;
    let started = started.map_err(|reason| tuple!(reason, call))?;
    for step in &job.steps {
        let result = match step {
            Step::Fail(reason) => Err(reason.clone()),
            Step::Phase { app, module, phase, args } => {
                let arguments = vec![phase.into(), start_type.clone(), args.clone()];
                let call = tuple!(module, atom "start_phase", arguments);
                match job.programs.get(app, module) {
                    Some(program) => program
                        .start_phase(context, phase.clone(), job.start(app, args.clone()))
                        .await
                        .map_err(|reason| tuple!(reason, call)),
                    None => Err(tuple!(atom "undef", call)),
                }
            }
        };
        if let Err(reason) = result {
            // The top process goes before its group is killed, so that it can put its own things in order.
            context.exit(&started.pid, Term::atom("shutdown"));
            exit_of(context, &started.pid).await;
            return Err(reason);
        }
    }
    Ok(started)
}

impl Job {
    fn start(&self, app: &Atom, args: Term) -> Start {
        let (start_type, applications) = (self.start_type.clone(), self.applications.clone());
        Start { app: app.clone(), start_type, args, applications }
    }
}

/// The reason for which the top process ended.
async fn exit_of(context: &mut Context, pid: &Pid) -> Term {
    let exit = |message: &Message| match message {
        Message::Exit { from, reason } if from == pid => Some(reason.clone()),
        _ => None,
    };
    context.receive_match(exit).await
}

/// Starts the application's group leader: what the master and its processes print goes on to where the master's went.
fn lead_group(context: &Context) -> Pid {
    let outer = context.group_leader();
    let options = SpawnOptions { group_leader: Some(outer.clone()), ..SpawnOptions::default() };
    let leader = context.spawn_link(options, |leader| pass_on(leader, outer));
    let leader = leader.expect("no name was given that could be taken");
    context.set_group_leader(&leader, context.pid());
    leader
}

/// The receiver answers to whoever has asked.
async fn pass_on(mut context: Context, outer: Pid) {
    loop {
        match context.receive().await {
            Message::Term(term) if is_io_request(&term) => context.send(&outer, term).await,
            _ => {}
        }
    }
}

/// `{io_request, From, ReplyAs, Request}` (cluster-services.md 2.9).
fn is_io_request(term: &Term) -> bool {
    matches!(term.as_tuple(), Some([tag, _, _, _]) if tag.is_atom("io_request"))
}

/// Kills every process that the application has left, and its group leader.
fn kill_group(context: &Context, leader: &Pid) {
    let node = context.node();
    let is_in_group = |pid: &Pid| node.process_info(pid).is_some_and(|info| info.group_leader == *leader);
    for pid in node.processes() {
        if pid != *context.pid() && is_in_group(&pid) {
            context.exit(&pid, Term::atom("kill"));
        }
    }
    context.exit(leader, Term::atom("kill"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::spec::StartSpec;

    fn spec(name: &str, starter: bool, included: &[&str], phases: Option<&[&str]>) -> Spec {
        let mut spec = Spec::new(Atom::from(name));
        let module = Term::from(Atom::from(format!("{name}_app").as_str()));
        spec.start = Some(if starter {
            StartSpec { module: Atom::from("application_starter"), args: Term::list(vec![module, Term::NIL]) }
        } else {
            StartSpec { module: module.as_atom().cloned().expect("an atom"), args: Term::NIL }
        });
        spec.included_applications = included.iter().map(|name| Atom::from(*name)).collect();
        spec.start_phases =
            phases.map(|phases| phases.iter().map(|phase| (Atom::from(*phase), Term::NIL)).collect());
        spec
    }

    fn order(main: &Spec, others: &[Spec]) -> Vec<String> {
        let steps = steps(main, &|name| others.iter().find(|spec| spec.name == *name).cloned());
        let name = |step: &Step| match step {
            Step::Phase { app, phase, .. } => format!("{app} {phase}"),
            Step::Fail(reason) => reason.to_string(),
        };
        steps.iter().map(name).collect()
    }

    #[test]
    fn phases_run_in_the_order_of_the_application() {
        let main = spec("main", false, &["inc"], Some(&["init", "go"]));
        assert_eq!(order(&main, &[spec("inc", false, &[], None)]), ["main init", "main go"]);
        assert!(order(&spec("main", false, &[], None), &[]).is_empty());
    }

    #[test]
    fn with_application_starter_each_phase_runs_in_the_included_applications_too() {
        let main = spec("main", true, &["one", "two"], Some(&["init", "some", "go"]));
        let others = [
            spec("one", true, &["deep"], Some(&["init", "go"])),
            spec("deep", false, &[], Some(&["go"])),
            spec("two", false, &["never"], Some(&["some"])),
        ];
        let expected = ["main init", "one init", "main some", "two some", "main go", "one go", "deep go"];
        assert_eq!(order(&main, &others), expected);
    }

    #[test]
    fn an_included_application_must_have_phases() {
        let main = spec("main", true, &["inc"], Some(&["init"]));
        let expected = ["main init", "{start_phases_undefined,inc}"];
        assert_eq!(order(&main, &[spec("inc", false, &[], None)]), expected);
    }
}
