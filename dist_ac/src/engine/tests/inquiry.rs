//! Whom a decision asks, whom it goes on without, and who is taken back.

use super::*;

#[test]
fn one_that_is_left_out_and_runs_it_after_all_is_taken_back() {
    let mut c = Rig::up("c", "[b,{c,d}]", &["b", "d"]);
    c.start("app1");
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.says("b", "undefined");
    assert_eq!(c.take(), ["d {dist_ac_weight,app1,2,c}"], "b has forgotten it: who of the others?");
    let said = |app: &str| Input::Running { node: atom("b"), apps: Some(vec![atom("kernel"), atom(app)]) };
    for running in ["other", "other", "app1"] {
        c.says("b", "local");
        c.take();
        assert_eq!(c.id(), "undefined", "it was not to be believed before");
        c.wait(1000);
        c.input(said(running));
    }
    assert_eq!(c.take(), ["AC start {started,b}"]);
}

#[test]
fn l9_a_question_that_was_kept_for_a_round_that_never_came_is_asked_again() {
    let mut d = Rig::up("d", "[{a,b},c,d]", &["a", "c"]);
    d.start("app1");
    assert_eq!(d.take(), ["a {dist_ac_weight,app1,2,d}", "c {dist_ac_weight,app1,2,d}"]);
    d.message("{dist_ac_weight,app1,3,c}");
    d.wait(1000);
    assert_eq!(d.take(), ["a info"]);
    d.says("a", "{distributed,c}");
    assert_eq!(d.take(), ["c info"]);
    d.says("c", "local");
    assert_eq!(d.take(), ["a {dist_ac_weight,app1,2,d}"], "now that it stands by it answers");
    d.message("{dist_ac_weight,app1,2,a}");
    assert_eq!(d.take(), ["AC start {started,c}"]);
}

#[test]
fn l22_one_of_ours_that_does_nothing_more_about_it_is_left_out_in_the_end() {
    let mut c = Rig::up("c", "[b,c]", &["b"]);
    c.message("{crabnode_dist_ac,b,true,[],[],self}");
    c.start("app1");
    c.take();
    for second in 1..15 {
        c.wait(1000);
        if !c.take().is_empty() {
            c.says("b", "undefined");
            assert_eq!(c.take(), [""; 0], "after {second} s it may be about to try again");
        }
    }
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.says("b", "undefined");
    assert_eq!(c.take(), ["AC start start_it"]);
}

/// It may be held by somebody at a stock node who waits for this very start.
#[test]
fn a_start_does_not_wait_for_ever_for_its_lock() {
    let mut a = Rig::up("a", "[a]", &[]);
    a.controller(FromController::StartRequest { app: atom("app1") });
    for _ in 0..300 {
        a.input(Input::Locked { lock: Lock::Start, granted: false });
        assert_eq!(a.take(), [""; 0]);
        a.wait(100);
    }
    a.input(Input::Locked { lock: Lock::Start, granted: false });
    let unlock = Output::Unlock { lock: Lock::Start };
    assert!(!a.engine.outputs.contains(&unlock), "it was never held");
    assert_eq!(a.take(), ["AC start start_it"]);
}
