use super::*;
use crate::application::spec::StartSpec;

struct Rig {
    controller: Controller,
    calls: u64,
}

fn atom(text: &str) -> Atom {
    Atom::from(text)
}

fn spec(name: &str, needs: &[&str]) -> Spec {
    let mut spec = Spec::new(atom(name));
    spec.applications = needs.iter().map(|name| atom(name)).collect();
    spec.start = Some(StartSpec { module: atom("mod"), args: Term::NIL });
    spec
}

impl Rig {
    /// A node that has booted, with `app1`, and `app2` that needs it, and `lib`.
    fn new() -> Self {
        let mut lib = spec("lib", &[]);
        lib.start = None;
        let specs = vec![spec("app1", &["kernel"]), spec("app2", &["app1"]), lib];
        let mut rig = Self { controller: Controller::new(atom("a"), specs, Vec::new()), calls: 0 };
        rig.input(Input::Booted);
        rig.take();
        rig
    }

    /// The same with `app1` loaded and under the control of `dist_ac`.
    fn controlled() -> Self {
        let mut rig = Self::new();
        rig.dist_ac(ToController::ControlApplication { app: atom("app1") });
        rig.load("app1");
        assert_eq!(rig.take(), ["DAC load true"]);
        rig.dist_ac(ToController::LoadReply { app: atom("app1"), result: Ok(()) });
        assert_eq!(rig.take(), ["1 ok"]);
        rig
    }

    fn input(&mut self, input: Input) {
        self.controller.handle(input);
    }

    fn dist_ac(&mut self, message: ToController) {
        self.input(Input::DistAc(message));
    }

    fn call(&mut self, request: Request) {
        self.calls += 1;
        self.input(Input::Call { call: CallId(self.calls), request });
    }

    fn load(&mut self, app: &str) {
        self.call(Request::Load(Loadable::Name(atom(app))));
    }

    fn start(&mut self, app: &str, restart_type: &'static str) {
        self.call(Request::Start { app: atom(app), restart_type: Term::atom(restart_type) });
    }

    fn started(&mut self, app: &str) {
        self.input(Input::Started { app: atom(app), result: Ok(None) });
    }

    fn failed(&mut self, app: &str, reason: Term) {
        self.input(Input::Started { app: atom(app), result: Err(reason) });
    }

    fn change(&mut self, change: Change) {
        self.dist_ac(ToController::Change { app: atom("app1"), change });
    }

    fn reply(&mut self, reply: StartReply) {
        self.dist_ac(ToController::StartReply { app: atom("app1"), reply });
    }

    /// What is to be done, a line each: `1 ok` answers the first call. Reports and weights are left out.
    fn take(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.controller.poll_output() {
            match output {
                Output::DistAc(FromController::RunningApplications(_)) | Output::Report(_) => {}
                Output::DistAc(notice) => lines.push(match notice {
                    FromController::LoadRequest { permission, .. } => format!("DAC load {permission}"),
                    FromController::NotRun { .. } => "DAC not_run".into(),
                    FromController::Run { result, .. } => format!("DAC run {}", result.is_ok()),
                    FromController::StartRefused { .. } => "DAC start_refused".into(),
                    FromController::StartRequest { .. } => "DAC start".into(),
                    FromController::Stopped { .. } => "DAC stopped".into(),
                    FromController::Unloaded { .. } => "DAC unloaded".into(),
                    FromController::RunningApplications(_) => unreachable!("matched above"),
                }),
                Output::Halt { reason } => lines.push(format!("halt {reason}")),
                Output::Reply { call, reply } => lines.push(format!("{} {reply}", call.0)),
                Output::StartMaster { app, start_type } => {
                    lines.push(format!("start {app} {}", start_type.to_term()));
                }
                Output::StopMaster { app } => lines.push(format!("stop {app}")),
            }
        }
        lines
    }

    fn running(&self) -> String {
        let list = self.controller.which_applications();
        let names = list.as_list().unwrap_or_default().iter().map(|entry| match entry.as_tuple() {
            Some([name, ..]) => name.to_string(),
            _ => panic!("a summary is a tuple"),
        });
        names.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn an_application_without_dist_ac_starts_here() {
    let mut rig = Rig::new();
    assert_eq!(rig.running(), "stdlib kernel");
    rig.load("app1");
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["1 ok", "start app1 normal"]);
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), [""; 0], "it is being started already");
    rig.started("app1");
    assert_eq!(rig.take(), ["2 ok", "3 ok"]);
    assert_eq!(rig.running(), "app1 stdlib kernel");
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["4 {error,{already_started,app1}}"]);
    rig.call(Request::Unload(atom("app1")));
    rig.call(Request::Stop(atom("app1")));
    assert_eq!(rig.take(), ["5 {error,{running,app1}}", "stop app1"]);
    rig.input(Input::Stopped { app: atom("app1") });
    assert_eq!(rig.take(), ["6 ok"]);
    rig.call(Request::Stop(atom("app1")));
    rig.call(Request::Unload(atom("app1")));
    rig.call(Request::Unload(atom("app1")));
    assert_eq!(rig.take(), ["7 {error,{not_started,app1}}", "8 ok", "9 {error,{not_loaded,app1}}"]);
}

#[test]
fn errors_are_those_of_otp() {
    let mut rig = Rig::new();
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["1 {error,{not_loaded,app1}}"]);
    rig.load("nope");
    rig.load("app2");
    rig.load("app2");
    assert_eq!(
        rig.take(),
        ["2 {error,{\"no such file or directory\",\"nope.app\"}}", "3 ok", "4 {error,{already_loaded,app2}}"]
    );
    rig.start("app2", "sometimes");
    rig.start("app2", "temporary");
    assert_eq!(rig.take(), ["5 {error,{invalid_restart_type,sometimes}}", "6 {error,{not_started,app1}}"]);
    rig.call(Request::Load(Loadable::Spec(Term::atom("x"))));
    assert_eq!(rig.take(), ["7 {error,{bad_application,x}}"]);
}

#[test]
fn a_started_dependency_that_does_not_run_fails_the_start_later() {
    let mut rig = Rig::controlled();
    rig.load("app2");
    rig.start("app1", "temporary");
    rig.reply(StartReply::NotStarted);
    assert_eq!(rig.take(), ["2 ok", "DAC start", "3 ok"]);
    rig.start("app2", "temporary");
    assert_eq!(rig.take(), ["4 {error,{not_running,app1}}"]);
    rig.change(Change::Started(atom("b")));
    rig.start("app2", "temporary");
    assert_eq!(rig.take(), ["start app2 normal"], "standing by counts as running");
}

#[test]
fn a_library_just_runs() {
    let mut rig = Rig::new();
    rig.load("lib");
    rig.start("lib", "permanent");
    assert_eq!(rig.take(), ["1 ok", "2 ok"]);
    assert_eq!(rig.running(), "lib stdlib kernel");
    assert!(rig.controller.shutdown_order().is_empty(), "nothing to stop");
    rig.call(Request::Stop(atom("lib")));
    assert_eq!(rig.take(), ["3 ok"]);
}

#[test]
fn what_the_decision_about_a_start_does() {
    for (reply, lines, running) in [
        (StartReply::StartIt, &["start app1 normal"][..], "stdlib kernel"),
        (StartReply::Takeover(atom("b")), &["start app1 {takeover,b}"], "stdlib kernel"),
        (StartReply::Started(atom("b")), &["2 ok"], "stdlib kernel"),
        (StartReply::NotStarted, &["2 ok"], "stdlib kernel"),
        (StartReply::Error(Term::atom("bad")), &["2 {error,bad}"], "stdlib kernel"),
    ] {
        let mut rig = Rig::controlled();
        rig.start("app1", "temporary");
        assert_eq!(rig.take(), ["DAC start"]);
        rig.reply(reply.clone());
        assert_eq!(rig.take(), lines, "{reply:?}");
        assert_eq!(rig.running(), running);
    }
    let mut rig = Rig::controlled();
    rig.start("app1", "permanent");
    rig.reply(StartReply::Error(Term::atom("bad")));
    assert_eq!(rig.take(), ["DAC start", "2 {error,bad}", "halt bad"]);
}

/// `app1` stands by for b.
fn standby() -> Rig {
    let mut rig = Rig::controlled();
    rig.start("app1", "temporary");
    rig.reply(StartReply::Started(atom("b")));
    rig.take();
    rig
}

/// `app1` runs here.
fn local(restart_type: &'static str) -> Rig {
    let mut rig = Rig::controlled();
    rig.start("app1", restart_type);
    rig.reply(StartReply::StartIt);
    rig.started("app1");
    rig.take();
    rig
}

#[test]
fn a_start_at_a_standby_is_refused_and_dist_ac_hears_of_it() {
    let mut rig = standby();
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["DAC start_refused", "3 {error,{already_started,app1}}"]);
    // Who asks for something else does not want it started.
    rig.start("app1", "forever");
    assert_eq!(rig.take(), ["4 {error,{invalid_restart_type,forever}}"]);
    // What runs here is started.
    let mut rig = local("temporary");
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["3 {error,{already_started,app1}}"]);
}

#[test]
fn orders_to_a_standby() {
    for (change, lines) in [
        (Change::StartIt, &["start app1 normal"][..]),
        (Change::Takeover { from: atom("b"), restart_type: None }, &["start app1 {takeover,b}"]),
        (Change::Failover(atom("b")), &["start app1 normal"]),
        (Change::Started(atom("c")), &[]),
        (Change::StopIt, &["DAC not_run"]),
        (Change::NotRunning, &[]),
    ] {
        let mut rig = standby();
        rig.change(change.clone());
        assert_eq!(rig.take(), lines, "{change:?}");
    }
    let mut rig = standby();
    rig.change(Change::NotRunning);
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["DAC start"], "it may be started again");
}

#[test]
fn failover_is_told_only_to_applications_with_start_phases() {
    let mut rig = standby();
    rig.controller.loaded.get_mut("app1").expect("loaded").start_phases = Some(Vec::new());
    rig.change(Change::Failover(atom("b")));
    assert_eq!(rig.take(), ["start app1 {failover,b}"]);
}

#[test]
fn orders_to_a_runner() {
    for change in [
        Change::StartIt,
        Change::Failover(atom("b")),
        Change::Takeover { from: atom("b"), restart_type: None },
    ] {
        let mut rig = local("temporary");
        rig.change(change);
        assert_eq!(rig.take(), ["DAC run true"], "it runs already");
    }
    let mut rig = local("temporary");
    rig.change(Change::StopIt);
    assert_eq!(rig.take(), ["stop app1"]);
    rig.input(Input::Stopped { app: atom("app1") });
    assert_eq!(rig.take(), ["DAC not_run"]);
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["DAC start_refused", "3 {error,{already_started,app1}}"]);
}

#[test]
fn everything_about_an_application_waits_for_its_stop_and_the_others_go_on() {
    let mut rig = local("temporary");
    rig.change(Change::Started(atom("b")));
    rig.start("app1", "temporary");
    rig.change(Change::Failover(atom("b")));
    rig.load("lib");
    assert_eq!(rig.take(), ["stop app1", "4 ok"]);
    rig.input(Input::Exited { app: atom("app1"), reason: Term::atom("crash") });
    assert_eq!(rig.take(), [""; 0], "it was going down anyway");
    rig.input(Input::Stopped { app: atom("app1") });
    let refused = "3 {error,{already_started,app1}}";
    assert_eq!(rig.take(), ["DAC start_refused", refused, "start app1 normal"]);
}

#[test]
fn what_is_taken_over_while_it_is_stopped_by_hand_can_be_started_again() {
    let mut rig = local("temporary");
    rig.call(Request::Stop(atom("app1")));
    rig.change(Change::Started(atom("b")));
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["stop app1"]);
    rig.input(Input::Stopped { app: atom("app1") });
    assert_eq!(rig.take(), ["DAC stopped", "3 ok", "DAC start"]);
}

/// A caller of `permit` waited for the lock meanwhile, and had `dist_ac` decide.
#[test]
fn what_is_said_to_run_elsewhere_after_it_was_stopped_by_hand_can_be_started_again() {
    let mut rig = local("temporary");
    rig.call(Request::Stop(atom("app1")));
    rig.input(Input::Stopped { app: atom("app1") });
    rig.take();
    rig.change(Change::Started(atom("b")));
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["DAC start"]);
}

#[test]
fn a_takeover_may_change_the_restart_type() {
    let mut rig = standby();
    rig.change(Change::Takeover { from: atom("b"), restart_type: Some(RestartType::Permanent) });
    rig.started("app1");
    assert_eq!(rig.take(), ["start app1 {takeover,b}", "DAC run true"]);
    rig.input(Input::Exited { app: atom("app1"), reason: Term::atom("crash") });
    assert_eq!(rig.take(), ["DAC stopped", "halt {application_terminated,app1,crash}"]);
}

#[test]
fn how_an_application_may_end() {
    let normal = || Term::atom("normal");
    let crash = || Term::atom("crash");
    for (restart_type, reason, halts) in [
        ("temporary", normal(), false),
        ("temporary", crash(), false),
        ("transient", normal(), false),
        ("transient", crash(), true),
        ("permanent", normal(), true),
        ("permanent", crash(), true),
    ] {
        let mut rig = local(restart_type);
        rig.input(Input::Exited { app: atom("app1"), reason: reason.clone() });
        let mut expected = vec!["DAC stopped".to_owned()];
        if halts {
            expected.push(format!("halt {{application_terminated,app1,{reason}}}"));
        }
        assert_eq!(rig.take(), expected, "{restart_type} {reason}");
        if !halts {
            rig.start("app1", restart_type);
            assert_eq!(rig.take(), ["DAC start"], "it may be started again");
        }
    }
}

#[test]
fn how_a_start_may_fail() {
    let exit_normal = tuple!(tuple!(atom "EXIT", atom "normal"), atom "call");
    let bad = tuple!(atom "bad", atom "call");
    for (restart_type, reason, halts) in [
        ("temporary", &bad, false),
        ("transient", &exit_normal, false),
        ("transient", &bad, true),
        ("permanent", &exit_normal, true),
    ] {
        let mut rig = Rig::controlled();
        rig.start("app1", restart_type);
        rig.reply(StartReply::StartIt);
        rig.take();
        rig.failed("app1", reason.clone());
        let mut expected = vec![format!("2 {{error,{reason}}}"), "DAC run false".to_owned()];
        if halts {
            expected.push(format!("halt {{application_start_failure,app1,{reason}}}"));
        }
        assert_eq!(rig.take(), expected, "{restart_type} {reason}");
    }
}

#[test]
fn permissions_of_a_local_application() {
    let mut rig = Rig::new();
    let permit = |rig: &mut Rig, permission| rig.call(Request::Permit { app: atom("app1"), permission });
    permit(&mut rig, false);
    rig.load("app1");
    permit(&mut rig, false);
    rig.start("app1", "temporary");
    assert_eq!(rig.take(), ["1 {error,{not_loaded,app1}}", "2 ok", "3 ok", "4 ok"], "nothing runs");
    permit(&mut rig, true);
    assert_eq!(rig.take(), ["start app1 normal"]);
    rig.started("app1");
    assert_eq!(rig.take(), ["5 ok"]);
    permit(&mut rig, false);
    assert_eq!(rig.take(), ["stop app1"]);
    rig.input(Input::Stopped { app: atom("app1") });
    assert_eq!(rig.take(), ["6 ok"]);
    permit(&mut rig, true);
    assert_eq!(rig.take(), ["start app1 normal"], "it was started, so it starts again");
}

#[test]
fn permissions_of_a_distributed_application_are_for_dist_ac() {
    let mut rig = Rig::controlled();
    rig.call(Request::Permit { app: atom("app1"), permission: false });
    assert_eq!(rig.take(), ["2 {distributed_application,only_loaded}"]);
    rig.start("app1", "temporary");
    rig.call(Request::Permit { app: atom("app1"), permission: true });
    assert_eq!(rig.take(), ["DAC start", "4 distributed_application"]);
    rig.call(Request::Unload(atom("app1")));
    rig.take();
    rig.call(Request::SetEnv {
        values: vec![(atom("kernel"), Term::atom("permissions"), vec![tuple!(atom "app1", false)].into())],
        persistent: false,
    });
    rig.load("app1");
    assert_eq!(rig.take(), ["6 ok", "DAC load false"]);
}

#[test]
fn a_refused_load_is_undone() {
    let mut rig = Rig::new();
    rig.dist_ac(ToController::ControlApplication { app: atom("app1") });
    rig.load("app1");
    let result = Err(Term::atom("mismatch"));
    rig.dist_ac(ToController::LoadReply { app: atom("app1"), result });
    assert_eq!(rig.take(), ["DAC load true", "1 {error,mismatch}"]);
    assert!(rig.controller.spec("app1").is_none());
}

#[test]
fn included_applications_are_loaded_and_unloaded_with_theirs() {
    let mut main = spec("main", &[]);
    main.included_applications = vec![atom("inc")];
    let mut controller = Controller::new(atom("a"), vec![main, spec("inc", &[])], Vec::new());
    let call = |controller: &mut Controller, request| {
        controller.handle(Input::Call { call: CallId(1), request });
    };
    call(&mut controller, Request::Load(Loadable::Name(atom("main"))));
    assert!(controller.spec("inc").is_some());
    call(&mut controller, Request::Unload(atom("main")));
    assert!(controller.spec("inc").is_none());
}

#[test]
fn what_goes_down_first_was_started_last() {
    let mut rig = Rig::new();
    for app in ["app1", "app2"] {
        rig.load(app);
        rig.start(app, "temporary");
        rig.started(app);
    }
    assert_eq!(rig.controller.shutdown_order(), [atom("app2"), atom("app1")]);
}

#[test]
fn the_weight_is_what_runs_here() {
    let mut rig = Rig::controlled();
    rig.start("app1", "temporary");
    rig.reply(StartReply::StartIt);
    rig.started("app1");
    let weights = std::iter::from_fn(|| rig.controller.poll_output());
    let weights: Vec<i64> = weights
        .filter_map(|output| match output {
            Output::DistAc(FromController::RunningApplications(weight)) => Some(weight),
            _ => None,
        })
        .collect();
    assert_eq!(weights, [3], "kernel, stdlib and app1");
}
