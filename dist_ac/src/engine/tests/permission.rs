//! Permissions, given and taken back while something else goes on.

use super::*;

#[test]
fn who_may_run_it_again_asks_our_own_kind_first_who_starts_it() {
    for (starting, expected) in [("[]", vec!["AC change start_it"]), ("[app1]", vec![])] {
        let mut b = Rig::up("b", "[b,c]", &["c"]);
        b.message("{crabnode_dist_ac,c,true,[],[],self}");
        b.start("app1");
        b.run("app1");
        b.controller(FromController::Stopped { app: atom("app1") });
        b.take();
        b.permit(1, true);
        assert_eq!(b.take(), ["c {dist_ac_new_permission,b,app1,true,false}"], "c may be starting it");
        b.message(&format!("{{crabnode_dist_ac,c,true,[],{starting},self}}"));
        assert_eq!(b.take(), expected);
    }
}

#[test]
fn who_may_not_run_it_any_more_tells_our_own_kind_that_it_starts_it() {
    let mut b = Rig::up("b", "[b,c]", &["c"]);
    b.message("{crabnode_dist_ac,c,true,[],[],self}");
    b.start("app1");
    while b.engine.poll_output().is_some() {}
    b.permit(1, false);
    let sent: Vec<String> = std::iter::from_fn(|| b.engine.poll_output())
        .filter_map(|output| match output {
            Output::Send { message, .. } => Some(message.to_term().to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        sent,
        ["{crabnode_dist_ac,b,true,[],[app1],self}", "{dist_ac_new_permission,b,app1,false,false}"]
    );
}

#[test]
fn l23_permit_false_during_the_start_moves_it_afterwards() {
    let mut a = Rig::up("a", "[a,b]", &["b"]);
    a.start("app1");
    a.permit(1, false);
    assert_eq!(a.take(), ["AC start start_it", "b {dist_ac_new_permission,a,app1,false,false}"]);
    a.run("app1");
    assert_eq!(
        a.take(),
        ["b {dist_ac_app_started,a,app1,ok}", "b {dist_ac_new_permission,a,app1,false,true}"]
    );
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.take(), ["AC change {started,b}", "call 1 ok"]);
}

#[test]
fn a_node_that_may_not_run_it_does_not_fail_over() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.permit(1, false);
    b.take();
    b.node_down("a");
    assert_eq!(b.take(), ["AC change not_running"]);
    assert_eq!(b.id(), "undefined");
    b.permit(2, true);
    assert_eq!(b.take(), ["a {dist_ac_new_permission,b,app1,true,false}", "AC change start_it"]);
}

#[test]
fn callers_of_permit_do_not_wait_for_the_dead() {
    let mut a = runner("a", "[a,b,c]", &["b", "c"]);
    a.permit(1, false);
    a.take();
    a.node_down("b");
    assert_eq!(a.take(), [""; 0]);
    a.node_down("c");
    assert_eq!(a.take(), ["AC change stop_it"]);
    a.controller(FromController::NotRun { app: atom("app1") });
    assert_eq!(a.take(), ["call 1 ok"]);
}

#[test]
fn who_took_the_permission_back_does_not_wait_once_it_is_given_again() {
    let mut a = runner("a", "[a,b]", &["b"]);
    a.permit(1, false);
    assert_eq!(
        a.take(),
        ["b {dist_ac_new_permission,a,app1,false,true}"],
        "b is to take over, if it starts it"
    );
    a.permit(2, true);
    assert_eq!(a.take(), ["b {dist_ac_new_permission,a,app1,true,true}", "call 1 ok", "call 2 ok"]);
}

#[test]
fn what_is_started_while_permit_waits_for_its_lock_is_started_by_it() {
    let mut a = Rig::up("a", "[a]", &[]);
    a.permit(1, false);
    a.start("app1");
    assert_eq!(a.take(), ["call 1 ok", "AC start not_started"]);
    let app = atom("app1");
    a.call(2, Request::Permit { app, permission: true, only_loaded: true, locked: true });
    assert_eq!(a.take(), ["AC change start_it"]);
}

#[test]
fn what_may_run_again_while_it_stops_is_started_again() {
    let mut a = runner("a", "[a,b]", &["b"]);
    a.message("{dist_ac_new_permission,b,app1,false,false}");
    a.permit(1, false);
    assert_eq!(a.take(), ["b {dist_ac_new_permission,a,app1,false,true}", "AC change stop_it"]);
    a.permit(2, true);
    assert_eq!(a.take(), ["b {dist_ac_new_permission,a,app1,true,true}", "call 2 ok"]);
    a.controller(FromController::NotRun { app: atom("app1") });
    assert_eq!(a.take(), ["b {dist_ac_app_stopped,app1}", "call 1 ok", "AC change start_it"]);
}

#[test]
fn who_comes_while_it_stops_because_nobody_may_run_it_is_told_that_it_has_to_move() {
    let mut a = runner("a", "[a,b,c]", &["b", "c"]);
    a.message("{dist_ac_new_permission,b,app1,false,false}");
    a.message("{dist_ac_new_permission,c,app1,false,false}");
    a.permit(1, false);
    a.take();
    // It hears that it runs here, and stands by.
    a.message("{dist_ac_new_permission,b,app1,true,false}");
    assert_eq!(a.take(), [""; 0], "it stops already");
    a.controller(FromController::NotRun { app: atom("app1") });
    let moved = "b {dist_ac_new_permission,a,app1,false,true}";
    assert_eq!(
        a.take(),
        ["c {dist_ac_app_stopped,app1}", "b {dist_ac_app_stopped,app1}", moved, "call 1 ok"]
    );

    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.message("{dist_ac_app_stopped,app1}");
    b.message("{dist_ac_new_permission,a,app1,false,true}");
    assert_eq!(b.take(), ["a info", "AC change start_it"]);
}
