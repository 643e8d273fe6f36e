//! The reference traces of dist_ac.md 1.4, one test a line, with the spec `[{app1,1000,[a,b,c]}]`.

use super::*;

const LIST: &str = "[a,b,c]";

fn load(rig: &mut Rig) {
    rig.controller(FromController::LoadRequest { app: atom("app1"), permission: true });
}

/// `a` runs it, and `b` and `c` stand by.
fn runner() -> Rig {
    let mut rig = Rig::up("a", LIST, &["b", "c"]);
    rig.start("app1");
    rig.run("app1");
    rig.take();
    rig
}

/// `me` stands by for another node.
fn standby(me: &str, list: &str, peers: &[&str], runner: &str) -> Rig {
    let mut rig = Rig::up(me, list, peers);
    rig.message(&format!("{{dist_ac_app_started,{runner},app1,ok}}"));
    rig.start("app1");
    assert_eq!(rig.take(), [format!("AC start {{started,{runner}}}")]);
    rig
}

#[test]
fn load_at_a() {
    let mut a = Rig::up("a", LIST, &["b", "c"]);
    load(&mut a);
    assert_eq!(
        a.take(),
        [
            "b {dist_ac_app_loaded,a,app1,[a,b,c],true,false}",
            "c {dist_ac_app_loaded,a,app1,[a,b,c],true,false}",
            "AC load ok"
        ]
    );
    let mut b = Rig::up("b", LIST, &["a", "c"]);
    b.message("{dist_ac_app_loaded,a,app1,[a,b,c],true,false}");
    assert_eq!(b.take(), ["a {dist_ac_app_loaded,b,app1,[a,b,c],true,true}"]);
    b.message("{dist_ac_app_loaded,a,app1,[a,b,c],true,true}");
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn start_a_b_c() {
    let mut a = Rig::up("a", LIST, &["b", "c"]);
    a.controller(FromController::StartRequest { app: atom("app1") });
    let lock = Output::Lock { lock: Lock::Start, nodes: vec![atom("a")], retry: false };
    assert_eq!(a.engine.poll_output(), Some(lock));
    a.input(Input::Locked { lock: Lock::Start, granted: true });
    assert_eq!(a.take(), ["AC start start_it"]);
    assert_eq!(a.id(), "run_waiting");
    a.run("app1");
    assert_eq!(
        a.take(),
        ["b {dist_ac_app_started,a,app1,ok}", "c {dist_ac_app_started,a,app1,ok}"]
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    let mut b = Rig::up("b", LIST, &["a", "c"]);
    b.start("app1");
    assert_eq!(b.take(), [""; 0], "it waits for a");
    b.message("{dist_ac_app_started,a,app1,ok}");
    assert_eq!(b.take(), ["AC start {started,a}"]);
    assert_eq!(b.id(), "{distributed,a}");
}

#[test]
fn a_refused_lock_is_asked_for_again() {
    let mut a = Rig::up("a", LIST, &[]);
    a.controller(FromController::StartRequest { app: atom("app1") });
    a.input(Input::Locked { lock: Lock::Start, granted: false });
    a.take();
    a.wait(99);
    assert_eq!(a.engine.poll_output(), None);
    a.wait(1);
    assert!(matches!(a.engine.poll_output(), Some(Output::Lock { lock: Lock::Start, .. })));
}

#[test]
fn halt_a() {
    let mut b = standby("b", LIST, &["a", "c"], "a");
    b.node_down("a");
    assert_eq!(b.take(), [""; 0]);
    assert_eq!(b.id(), "{failover,a}");
    b.wait(999);
    assert_eq!(b.take(), [""; 0], "not before its time");
    b.wait(1);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
    b.run("app1");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,ok}"]);

    let mut c = standby("c", LIST, &["a", "b"], "a");
    c.node_down("a");
    c.wait(1000);
    assert_eq!(c.take(), [""; 0], "it waits for b");
    c.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(c.take(), ["AC change {started,b}"]);
    assert_eq!(c.id(), "{distributed,b}");
}

#[test]
fn a_reboots() {
    let mut a = Rig::new("a", vec![distribution("app1", 1000, LIST)]);
    a.input(Input::Go);
    a.node_up("b");
    a.take();
    a.input(Input::Known { node: atom("b"), nodes: Some(vec![atom("b"), atom("c")]) });
    let lock = Output::Lock { lock: Lock::SyncDacs, nodes: vec![atom("a"), atom("b")], retry: true };
    assert_eq!(a.engine.poll_output(), Some(lock));
    a.input(Input::Locked { lock: Lock::SyncDacs, granted: true });
    assert_eq!(a.take(), ["b {dist_ac_new_node,1,a,[{appl,app1,undefined,1000,[a,b,c],[{a,true}]}],[]}"]);
    a.message("{dist_ac_new_node,1,b,[{appl,app1,local,1000,[a,b,c],[{c,true},{b,true}]}],[{b,app1}]}");
    let outputs: Vec<Output> = std::iter::from_fn(|| a.engine.poll_output()).collect();
    assert!(outputs.contains(&Output::Unlock { lock: Lock::SyncDacs }));
    a.start("app1");
    assert_eq!(a.take(), ["AC start {takeover,b}"]);

    let mut b = standby("b", LIST, &["a", "c"], "a");
    b.node_down("a");
    b.wait(1000);
    b.run("app1");
    b.node_up("a");
    b.take();
    let introduction = "{dist_ac_new_node,1,a,[{appl,app1,undefined,1000,[a,b,c],[{a,true}]}],[]}";
    b.message(introduction);
    assert_eq!(
        b.take(),
        ["a {dist_ac_new_node,1,b,[{appl,app1,local,1000,[a,b,c],[{c,true},{b,true}]}],[{b,app1}]}"]
    );
    b.input(Input::Known { node: atom("a"), nodes: Some(vec![atom("b"), atom("a")]) });
    assert_eq!(b.take(), [""; 0], "it knows us already");

    let mut c = standby("c", LIST, &["a", "b"], "b");
    c.node_down("a");
    c.node_up("a");
    c.take();
    c.message(introduction);
    assert_eq!(
        c.take(),
        ["a {dist_ac_new_node,1,c,[{appl,app1,{distributed,b},1000,[a,b,c],[{b,true},{c,true}]}],[]}"]
    );
}

#[test]
fn start_at_a_again() {
    let mut a = Rig::up("a", LIST, &["c"]);
    let appls = "[{appl,app1,local,1000,LIST,[{PEER,true}]}]";
    a.meet("b", appls, LIST, "[{b,app1}]");
    a.take();
    a.start("app1");
    assert_eq!(a.take(), ["AC start {takeover,b}"]);
    a.run("app1");
    assert_eq!(a.take(), ["b {dist_ac_app_started,a,app1,ok}", "c {dist_ac_app_started,a,app1,ok}"]);

    let mut b = Rig::up("b", LIST, &["a", "c"]);
    b.start("app1");
    b.run("app1");
    b.take();
    b.message("{dist_ac_app_started,a,app1,ok}");
    assert_eq!(b.take(), ["AC change {started,a}"], "b's copy stops now");
}

#[test]
fn takeover_at_c() {
    let mut c = standby("c", LIST, &["a", "b"], "a");
    let restart_type = RestartType::Permanent;
    c.call(7, Request::Takeover { app: atom("app1"), restart_type, locked: false });
    c.wait(0);
    // The first introductions have no patience to run out: nobody is left to meet.
    let nodes = vec![atom("a"), atom("b"), atom("c")];
    let lock = Output::Lock { lock: Lock::Call(CallId(7)), nodes, retry: true };
    assert_eq!(c.engine.poll_output(), Some(lock));
    c.input(Input::Locked { lock: Lock::Call(CallId(7)), granted: true });
    assert_eq!(c.take(), ["AC change {takeover,a,permanent}"]);
    assert_eq!(c.id(), "takeover");
    c.run("app1");
    let mut outputs: Vec<Output> = std::iter::from_fn(|| c.engine.poll_output()).collect();
    outputs.retain(|output| !matches!(output, Output::AskRead { .. } | Output::Event(_)));
    let started = |node: &str| {
        let message = Message::AppStarted { node: atom("c"), app: atom("app1"), result: Ok(()) };
        Output::Send { node: atom(node), message }
    };
    assert_eq!(
        outputs,
        [
            started("b"),
            started("a"),
            Output::Unlock { lock: Lock::Call(CallId(7)) },
            Output::Reply { call: CallId(7), reply: Term::atom("ok") },
        ]
    );
}

#[test]
fn permit_false_a() {
    let mut a = runner();
    a.permit(1, false);
    assert_eq!(
        a.take(),
        ["b {dist_ac_new_permission,a,app1,false,true}", "c {dist_ac_new_permission,a,app1,false,true}"]
    );
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.take(), ["AC change {started,b}", "call 1 ok"]);

    let mut b = standby("b", LIST, &["a", "c"], "a");
    b.message("{dist_ac_new_permission,a,app1,false,true}");
    assert_eq!(b.take(), ["AC change {takeover,a,undefined}"]);
    b.run("app1");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,ok}", "a {dist_ac_app_started,b,app1,ok}"]);

    let mut c = standby("c", LIST, &["a", "b"], "a");
    c.message("{dist_ac_new_permission,a,app1,false,true}");
    assert_eq!(c.take(), ["AC change {started,a}"], "it is for b to move it");
}

#[test]
fn permit_true_a() {
    let mut a = runner();
    a.permit(1, false);
    a.message("{dist_ac_app_started,b,app1,ok}");
    a.take();
    a.permit(2, true);
    assert_eq!(
        a.take(),
        [
            "b {dist_ac_new_permission,a,app1,true,false}",
            "c {dist_ac_new_permission,a,app1,true,false}",
            "AC change {takeover,b,undefined}"
        ]
    );
    a.run("app1");
    assert_eq!(
        a.take(),
        ["c {dist_ac_app_started,a,app1,ok}", "b {dist_ac_app_started,a,app1,ok}", "call 2 ok"]
    );
}

#[test]
fn permit_false_a_with_nobody_else_permitted() {
    let mut a = runner();
    a.message("{dist_ac_new_permission,b,app1,false,false}");
    a.message("{dist_ac_new_permission,c,app1,false,false}");
    a.permit(1, false);
    assert_eq!(
        a.take(),
        [
            "b {dist_ac_new_permission,a,app1,false,true}",
            "c {dist_ac_new_permission,a,app1,false,true}",
            "AC change stop_it"
        ]
    );
    a.controller(FromController::NotRun { app: atom("app1") });
    assert_eq!(a.take(), ["c {dist_ac_app_stopped,app1}", "b {dist_ac_app_stopped,app1}", "call 1 ok"]);
    assert_eq!(a.id(), "undefined");
}

#[test]
fn stop_at_the_runner_and_at_a_standby_and_unload() {
    let mut a = runner();
    a.controller(FromController::Stopped { app: atom("app1") });
    assert_eq!(a.take(), ["c {dist_ac_app_stopped,app1}", "b {dist_ac_app_stopped,app1}"]);

    let mut b = standby("b", LIST, &["a", "c"], "a");
    b.controller(FromController::Stopped { app: atom("app1") });
    assert_eq!(b.take(), [""; 0]);
    b.start("app1");
    assert_eq!(b.take(), ["AC start {started,a}"], "still standby");
    b.controller(FromController::Stopped { app: atom("app1") });
    b.controller(FromController::Unloaded { app: atom("app1") });
    assert_eq!(b.take(), ["a {dist_ac_app_unloaded,b,app1}", "c {dist_ac_app_unloaded,b,app1}"]);
}

#[test]
fn a_tuple_decides_by_weight() {
    let list = "[a,{b,c}]";
    let mut b = standby("b", list, &["a", "c"], "a");
    b.controller(FromController::RunningApplications(3));
    b.node_down("a");
    b.wait(1000);
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,3,b}"]);
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(b.take(), [""; 0], "c is lighter: wait for it");
    b.message("{dist_ac_app_started,c,app1,ok}");
    assert_eq!(b.take(), ["AC change {started,c}"]);

    let mut c = standby("c", list, &["a", "b"], "a");
    c.node_down("a");
    c.wait(1000);
    assert_eq!(c.take(), ["b {dist_ac_weight,app1,2,c}"]);
    c.message("{dist_ac_weight,app1,3,b}");
    assert_eq!(c.take(), ["AC change {failover,a,undefined}"]);
    c.run("app1");
    assert_eq!(c.take(), ["b {dist_ac_app_started,c,app1,ok}"]);
}

#[test]
fn every_candidate_is_asked_and_a_tie_goes_to_the_smaller_name() {
    let list = "[jc1,{jc2,jc3},jc4]";
    let mut jc2 = standby("jc2", list, &["jc1", "jc3", "jc4"], "jc1");
    jc2.node_down("jc1");
    jc2.wait(1000);
    assert_eq!(jc2.take(), ["jc3 {dist_ac_weight,app1,2,jc2}", "jc4 {dist_ac_weight,app1,2,jc2}"]);
    jc2.message("{dist_ac_weight,app1,2,jc3}");
    assert_eq!(jc2.take(), [""; 0]);
    jc2.message("{dist_ac_weight,app1,2,jc4}");
    assert_eq!(jc2.take(), ["AC change {failover,jc1,undefined}"]);
    jc2.run("app1");
    assert_eq!(
        jc2.take(),
        ["jc4 {dist_ac_app_started,jc2,app1,ok}", "jc3 {dist_ac_app_started,jc2,app1,ok}"]
    );

    let mut jc4 = standby("jc4", list, &["jc1", "jc2", "jc3"], "jc1");
    jc4.node_down("jc1");
    jc4.wait(1000);
    assert_eq!(jc4.take(), ["jc2 {dist_ac_weight,app1,2,jc4}", "jc3 {dist_ac_weight,app1,2,jc4}"]);
    jc4.message("{dist_ac_weight,app1,2,jc2}");
    jc4.message("{dist_ac_weight,app1,2,jc3}");
    assert_eq!(jc4.take(), [""; 0], "it takes part and cannot win");
}
