use etf::{Atom, Reference};

use super::*;
use crate::{clock, supervisor::Starting};

/// An engine, and a driver that does what it wants at once, with what a test says comes of it.
struct Rig {
    engine: Engine<u32>,
    now: Instant,
    /// What was done, in order: `+a` is a start, `-a` a stop.
    done: Vec<String>,
    /// Children whose next starts fail, and how often.
    failing: HashMap<Term, usize>,
    /// Children whose start is ignored.
    ignored: Vec<Term>,
    running: HashMap<Pid, Term>,
    pids: u32,
    replies: HashMap<u32, Term>,
    calls: u32,
    again: VecDeque<Term>,
    ended: Option<Term>,
}

impl Rig {
    fn new(spec: SupervisorSpec) -> Self {
        let mut rig = Self::idle(spec);
        rig.handle(Input::Init);
        rig
    }

    fn idle(spec: SupervisorSpec) -> Self {
        Self {
            engine: Engine::new(spec).expect("a good specification"),
            now: clock::now(),
            done: Vec::new(),
            failing: HashMap::new(),
            ignored: Vec::new(),
            running: HashMap::new(),
            pids: 0,
            replies: HashMap::new(),
            calls: 0,
            again: VecDeque::new(),
            ended: None,
        }
    }

    fn handle(&mut self, input: Input<u32>) {
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll_output() {
            let input = match output {
                Output::Start { spec, args } => Input::Started(self.start(&spec, &args)),
                Output::Stop { pid, .. } => {
                    self.stop(&pid);
                    Input::Stopped
                }
                Output::StopAll { pids, .. } => {
                    pids.iter().for_each(|pid| self.stop(pid));
                    Input::Stopped
                }
                Output::Reply { call, reply } => {
                    self.replies.insert(call, reply);
                    continue;
                }
                Output::TryAgain(id) => {
                    self.again.push_back(id);
                    continue;
                }
                Output::Failed(reason) | Output::End(reason) => {
                    self.ended = Some(reason);
                    continue;
                }
                Output::Ready | Output::Terminated | Output::Report { .. } => continue,
            };
            self.engine.handle(self.now, input);
        }
    }

    fn start(&mut self, spec: &ChildSpec, args: &[Term]) -> Result<Option<Pid>, Term> {
        let id = args.first().unwrap_or(&spec.id);
        if let Some(left) = self.failing.get_mut(id).filter(|left| **left > 0) {
            *left -= 1;
            self.done.push(format!("!{id}"));
            return Err(Term::atom("nope"));
        }
        if self.ignored.contains(id) {
            return Ok(None);
        }
        self.pids += 1;
        let pid = Pid::new(Atom::from_static("a@h"), self.pids, 0, 1);
        self.running.insert(pid.clone(), id.clone());
        self.done.push(format!("+{id}"));
        Ok(Some(pid))
    }

    fn stop(&mut self, pid: &Pid) {
        let id = self.running.remove(pid).expect("it runs");
        self.done.push(format!("-{id}"));
    }

    fn pid(&self, id: &'static str) -> Pid {
        let found = self.running.iter().find(|(_, i)| i.is_atom(id));
        found.map(|(pid, _)| pid.clone()).unwrap_or_else(|| panic!("{id} does not run"))
    }

    /// A child ends by itself.
    fn exits(&mut self, id: &'static str, reason: &'static str) -> String {
        let pid = self.pid(id);
        self.running.remove(&pid);
        self.done.clear();
        self.handle(Input::Exit { pid, reason: Term::atom(reason) });
        self.done.join(" ")
    }

    fn call(&mut self, request: Request) -> Term {
        self.calls += 1;
        let call = self.calls;
        self.done.clear();
        self.handle(Input::Call { call, request });
        self.replies.remove(&call).expect("it is answered")
    }

    fn try_again(&mut self) -> String {
        let id = self.again.pop_front().expect("something is to be tried again");
        self.done.clear();
        self.handle(Input::TryAgain(id));
        self.done.join(" ")
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn which(&mut self) -> String {
        let rows = self.call(Request::WhichChildren);
        let row = |row: &Term| {
            let [id, pid, ..] = row.as_tuple().expect("a row") else { panic!("four parts") };
            format!("{id}:{}", if pid.as_pid().is_some() { "pid".into() } else { pid.to_string() })
        };
        rows.as_list().expect("a list").iter().map(row).collect::<Vec<_>>().join(" ")
    }
}

fn child(id: &'static str) -> ChildSpec {
    ChildSpec::worker(id, |_| -> Starting<'_> { unreachable!("the rig starts") })
}

fn dynamic() -> ChildSpec {
    ChildSpec::dynamic(|_, _| -> Starting<'_> { unreachable!("the rig starts") })
}

fn abc() -> Vec<ChildSpec> {
    vec![child("a"), child("b"), child("c")]
}

fn terminate(id: &'static str) -> Request {
    Request::Terminate { id: Term::atom(id), is_gone: false }
}

fn error(reason: &'static str) -> Term {
    super::error(Term::atom(reason))
}

#[test]
fn children_start_in_order_and_end_in_the_reverse_one() {
    let mut rig = Rig::new(SupervisorSpec::one_for_one(abc()));
    assert_eq!(rig.done, ["+a", "+b", "+c"]);
    assert_eq!(rig.which(), "c:pid b:pid a:pid");
    rig.done.clear();
    rig.handle(Input::Terminate);
    assert_eq!(rig.done, ["-c", "-b", "-a"]);
}

#[test]
fn a_child_that_does_not_start_ends_those_before_it() {
    let mut rig = Rig::idle(SupervisorSpec::one_for_one(abc()));
    rig.failing.insert(Term::atom("c"), 1);
    rig.handle(Input::Init);
    assert_eq!(rig.done, ["+a", "+b", "!c", "-b", "-a"]);
    let failed = tuple!(atom "failed_to_start_child", atom "c", atom "nope");
    assert_eq!(rig.ended, Some(tuple!(atom "shutdown", failed)));
}

#[test]
fn each_strategy_starts_its_own_again() {
    let restarted = |spec: SupervisorSpec| Rig::new(spec).exits("b", "boom");
    assert_eq!(restarted(SupervisorSpec::one_for_one(abc())), "+b");
    assert_eq!(restarted(SupervisorSpec::rest_for_one(abc())), "-c +b +c");
    assert_eq!(restarted(SupervisorSpec::one_for_all(abc())), "-c -a +a +b +c");
}

#[test]
fn temporary_siblings_are_ended_and_not_started_again() {
    let children =
        vec![child("a").restart(Restart::Temporary), child("b"), child("c").restart(Restart::Temporary)];
    let mut rig = Rig::new(SupervisorSpec::one_for_all(children));
    assert_eq!(rig.exits("b", "boom"), "-c -a +b");
    assert_eq!(rig.which(), "b:pid");
}

#[test]
fn the_kind_of_restart_decides() {
    let one = |restart| {
        let spec =
            SupervisorSpec { intensity: 9, ..SupervisorSpec::one_for_one(vec![child("a").restart(restart)]) };
        Rig::new(spec)
    };
    for reason in ["normal", "shutdown", "boom"] {
        assert_eq!(one(Restart::Permanent).exits("a", reason), "+a");
        assert_eq!(one(Restart::Temporary).exits("a", reason), "");
        let restarts = if reason == "boom" { "+a" } else { "" };
        assert_eq!(one(Restart::Transient).exits("a", reason), restarts);
    }
    let mut transient = one(Restart::Transient);
    transient.exits("a", "normal");
    assert_eq!(transient.which(), "a:undefined", "its specification stays");
    let mut temporary = one(Restart::Temporary);
    temporary.exits("a", "boom");
    assert_eq!(temporary.which(), "", "and this one's does not");
}

#[test]
fn restarts_are_counted_within_the_period_only() {
    let spec = SupervisorSpec { intensity: 2, ..SupervisorSpec::one_for_one(abc()) };
    let mut rig = Rig::new(spec);
    for _ in 0..4 {
        assert_eq!(rig.exits("a", "boom"), "+a");
        rig.later(3);
    }
    assert_eq!((rig.exits("b", "boom"), &rig.ended), ("+b".into(), &None), "two in five seconds");
    assert_eq!(rig.exits("c", "boom"), "", "and a third");
    assert_eq!(rig.ended, Some(Term::atom("shutdown")));
    rig.done.clear();
    rig.handle(Input::Terminate);
    assert_eq!(rig.done, ["-b", "-a"]);
}

#[test]
fn no_intensity_is_no_restart() {
    let mut rig = Rig::new(SupervisorSpec { intensity: 0, ..SupervisorSpec::one_for_one(abc()) });
    assert_eq!(rig.exits("a", "boom"), "");
    assert_eq!(rig.ended, Some(Term::atom("shutdown")));
}

#[test]
fn a_failed_restart_is_tried_again_and_counts() {
    let mut rig = Rig::new(SupervisorSpec { intensity: 3, ..SupervisorSpec::one_for_one(abc()) });
    rig.failing.insert(Term::atom("b"), 2);
    assert_eq!(rig.exits("b", "boom"), "!b");
    assert_eq!(rig.which(), "c:pid b:restarting a:pid");
    assert_eq!(rig.call(Request::Restart(Term::atom("b"))), error("restarting"));
    assert_eq!(rig.call(Request::Delete(Term::atom("b"))), error("restarting"));
    assert_eq!(rig.try_again(), "!b");
    assert_eq!(rig.try_again(), "+b");
    assert_eq!((rig.again.len(), &rig.ended), (0, &None));
    assert_eq!(rig.exits("b", "boom"), "", "the fourth");
    assert_eq!(rig.ended, Some(Term::atom("shutdown")));
}

#[test]
fn a_child_that_is_terminated_is_not_tried_again() {
    let mut rig = Rig::new(SupervisorSpec::one_for_one(abc()));
    rig.failing.insert(Term::atom("b"), 1);
    rig.exits("b", "boom");
    assert_eq!(rig.call(terminate("b")), Term::atom("ok"));
    assert_eq!(rig.try_again(), "");
    assert_eq!(rig.which(), "c:pid b:undefined a:pid");
}

#[test]
fn a_failed_restart_of_all_begins_anew_from_the_one_that_failed() {
    let mut rig = Rig::new(SupervisorSpec { intensity: 9, ..SupervisorSpec::one_for_all(abc()) });
    rig.failing.insert(Term::atom("b"), 1);
    assert_eq!(rig.exits("c", "boom"), "-b -a +a !b");
    assert_eq!(rig.which(), "c:undefined b:restarting a:pid");
    assert_eq!(rig.try_again(), "-a +a +b +c");

    let mut rig = Rig::new(SupervisorSpec { intensity: 9, ..SupervisorSpec::rest_for_one(abc()) });
    rig.failing.insert(Term::atom("c"), 1);
    assert_eq!(rig.exits("b", "boom"), "-c +b !c");
    assert_eq!(rig.try_again(), "+c");
}

#[test]
fn children_come_and_go_when_asked() {
    let mut rig = Rig::new(SupervisorSpec::one_for_one(abc()));
    let (d, b) = (|| child("d"), || Term::atom("b"));
    let started = rig.call(Request::Start(d()));
    assert_eq!(started, tuple!(atom "ok", rig.pid("d")));
    assert_eq!(rig.call(Request::Start(d())), super::error(tuple!(atom "already_started", rig.pid("d"))));
    assert_eq!(rig.call(Request::Restart(b())), error("running"));
    assert_eq!(rig.call(Request::Delete(b())), error("running"));
    assert_eq!(rig.call(terminate("b")), Term::atom("ok"));
    assert_eq!(rig.done, ["-b"]);
    assert_eq!(rig.call(terminate("b")), Term::atom("ok"), "once more is no error");
    assert_eq!(rig.call(Request::Start(child("b"))), error("already_present"));
    let restarted = rig.call(Request::Restart(b()));
    assert_eq!(restarted, tuple!(atom "ok", rig.pid("b")));
    rig.call(terminate("b"));
    assert_eq!(rig.call(Request::Delete(b())), Term::atom("ok"));
    assert_eq!(rig.which(), "d:pid c:pid a:pid");
    for request in [Request::Restart(b()), Request::Delete(b()), terminate("b"), Request::Spec(b())] {
        assert_eq!(rig.call(request), error("not_found"));
    }
    let spec = rig.call(Request::Spec(Term::atom("a")));
    assert_eq!(spec, tuple!(atom "ok", term::of_spec(&child("a"))));
}

#[test]
fn a_child_that_does_not_start_when_asked_is_not_kept() {
    let mut rig = Rig::new(SupervisorSpec::one_for_one(abc()));
    rig.failing.insert(Term::atom("d"), 1);
    let reason = tuple!(atom "nope", term::record_of(&child("d")));
    assert_eq!(rig.call(Request::Start(child("d"))), super::error(reason));
    assert_eq!(rig.which(), "c:pid b:pid a:pid");
    rig.call(terminate("a"));
    rig.failing.insert(Term::atom("a"), 1);
    assert_eq!(rig.call(Request::Restart(Term::atom("a"))), error("nope"));
    assert_eq!(rig.which(), "c:pid b:pid a:undefined");
}

#[test]
fn a_start_that_is_ignored_keeps_the_specification_unless_it_is_temporary() {
    let children = vec![child("a"), child("b").restart(Restart::Temporary), child("c")];
    let mut rig = Rig::idle(SupervisorSpec::one_for_one(children));
    rig.ignored = vec![Term::atom("a"), Term::atom("b")];
    rig.handle(Input::Init);
    assert_eq!((rig.which(), &rig.ended), ("c:pid a:undefined".into(), &None));
}

#[test]
fn children_are_counted() {
    let supervisor = || ChildSpec::supervisor("s", |_| -> Starting<'_> { unreachable!("the rig starts") });
    let mut rig = Rig::new(SupervisorSpec::one_for_one(vec![child("a"), child("b"), supervisor()]));
    rig.call(terminate("a"));
    let counts = |specs: i64, active: i64, supervisors: i64, workers: i64| {
        let row = |what: &'static str, count: i64| tuple!(Term::atom(what), count);
        let rows = [("specs", specs), ("active", active), ("supervisors", supervisors), ("workers", workers)];
        Term::list(rows.map(|(what, count)| row(what, count)))
    };
    assert_eq!(rig.call(Request::CountChildren), counts(3, 2, 1, 2));
    let mut rig = Rig::new(SupervisorSpec::simple_one_for_one(dynamic()));
    assert_eq!(rig.call(Request::CountChildren), counts(1, 0, 0, 0));
    rig.call(Request::StartDynamic(vec![Term::atom("x")]));
    assert_eq!(rig.call(Request::CountChildren), counts(1, 1, 0, 1));
}

#[test]
fn dynamic_children_are_known_by_their_pids() {
    let mut rig = Rig::new(SupervisorSpec::simple_one_for_one(dynamic().restart(Restart::Transient)));
    assert_eq!(rig.done, [""; 0]);
    for name in ["x", "y"] {
        let started = rig.call(Request::StartDynamic(vec![Term::atom(name)]));
        assert_eq!(started, tuple!(atom "ok", rig.pid(name)));
    }
    assert_eq!(rig.exits("x", "boom"), "+x", "with the arguments that it had");
    let simple = error("simple_one_for_one");
    for request in [terminate("x"), Request::Restart(Term::atom("x")), Request::Delete(Term::atom("x"))] {
        assert_eq!(rig.call(request), simple);
    }
    let stop = |pid: &Pid, is_gone| Request::Terminate { id: pid.into(), is_gone };
    let (x, other) = (rig.pid("x"), Pid::new(Atom::from_static("a@h"), 99, 0, 1));
    assert_eq!(rig.call(stop(&x, false)), Term::atom("ok"));
    assert_eq!(rig.done, ["-x"]);
    assert_eq!(rig.call(stop(&other, false)), error("not_found"));
    assert_eq!(rig.call(stop(&other, true)), Term::atom("ok"));
    assert_eq!(rig.which(), "undefined:pid");
    rig.done.clear();
    rig.handle(Input::Terminate);
    assert_eq!(rig.done, ["-y"]);
}

#[test]
fn a_dynamic_child_whose_restart_fails_is_tried_again_by_the_pid_it_had() {
    let mut rig = Rig::new(SupervisorSpec {
        intensity: 9,
        ..SupervisorSpec::simple_one_for_one(dynamic().restart(Restart::Permanent))
    });
    rig.call(Request::StartDynamic(vec![Term::atom("x")]));
    rig.failing.insert(Term::atom("x"), 2);
    assert_eq!(rig.exits("x", "boom"), "!x");
    assert_eq!(rig.which(), "undefined:restarting");
    assert_eq!(rig.try_again(), "!x");
    assert_eq!(rig.try_again(), "+x");
    assert_eq!(rig.which(), "undefined:pid");
}

#[test]
fn a_significant_child_that_is_started_again_takes_nobody_along() {
    let spec = SupervisorSpec {
        auto_shutdown: AutoShutdown::AnySignificant,
        intensity: 9,
        ..SupervisorSpec::one_for_one(vec![child("a").restart(Restart::Transient).significant(), child("b")])
    };
    let mut rig = Rig::new(spec);
    assert_eq!(rig.exits("b", "normal"), "+b");
    assert_eq!(rig.exits("a", "boom"), "+a");
    assert_eq!(rig.ended, None);
    assert_eq!(rig.exits("a", "normal"), "");
    assert_eq!(rig.ended, Some(Term::atom("shutdown")));
}

#[test]
fn the_first_or_the_last_significant_end_counts() {
    let significant = |id| child(id).restart(Restart::Temporary).significant();
    let spec = |auto_shutdown| SupervisorSpec {
        auto_shutdown,
        ..SupervisorSpec::one_for_one(vec![significant("a"), significant("b"), child("c")])
    };
    let shutdown = Some(Term::atom("shutdown"));
    let mut any = Rig::new(spec(AutoShutdown::AnySignificant));
    any.exits("a", "boom");
    assert_eq!(any.ended, shutdown);
    let mut all = Rig::new(spec(AutoShutdown::AllSignificant));
    all.exits("a", "normal");
    assert_eq!(all.ended, None);
    all.exits("b", "boom");
    assert_eq!(all.ended, shutdown);
    // One that is terminated when asked does not count.
    let mut asked = Rig::new(spec(AutoShutdown::AnySignificant));
    asked.call(terminate("a"));
    assert_eq!(asked.ended, None);
}

#[test]
fn bad_specifications_are_refused_as_by_otp() {
    let refused = |spec| Engine::<u32>::new(spec).err().expect("it is bad");
    let twice = SupervisorSpec::one_for_one(vec![child("a"), child("a")]);
    assert_eq!(refused(twice), tuple!(atom "start_spec", tuple!(atom "duplicate_child_name", atom "a")));
    let pairs = |key: &'static str, value: &'static str| {
        let pairs = [tuple!(Term::atom(key), Term::atom(value)), tuple!(atom "significant", true)];
        tuple!(atom "start_spec", tuple!(atom "bad_combination", Term::list(pairs)))
    };
    let temporary = child("a").restart(Restart::Temporary).significant();
    assert_eq!(refused(SupervisorSpec::one_for_one(vec![temporary])), pairs("auto_shutdown", "never"));
    let permanent = SupervisorSpec {
        auto_shutdown: AutoShutdown::AnySignificant,
        ..SupervisorSpec::one_for_one(vec![child("a").significant()])
    };
    assert_eq!(refused(permanent), pairs("restart", "permanent"));
    let none = SupervisorSpec { strategy: Strategy::SimpleOneForOne, ..SupervisorSpec::one_for_one(vec![]) };
    assert_eq!(refused(none), tuple!(atom "bad_start_spec", Term::NIL));
}

#[test]
fn strangers_are_nothing_to_it() {
    let mut rig = Rig::new(SupervisorSpec::one_for_one(abc()));
    rig.done.clear();
    let pid = Pid::new(Atom::from_static("a@h"), 99, 0, 1);
    rig.handle(Input::Exit { pid, reason: Term::atom("boom") });
    rig.handle(Input::TryAgain(Term::atom("a")));
    let reference = Reference::new(Atom::from_static("a@h"), 1, &[1]).expect("one word");
    rig.handle(Input::TryAgain(reference.into()));
    assert_eq!((rig.done.len(), &rig.ended), (0, &None));
}
