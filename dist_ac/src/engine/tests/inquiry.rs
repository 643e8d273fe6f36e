//! Whom a decision asks, whom it goes on without, and who is taken back.

use super::*;

/// c has lost the tie to b, which is a stock node.
fn c_waits_for_b() -> Rig {
    let mut c = standby("c", "[a,{b,c}]", &["a", "b"], "a");
    c.node_down("a");
    c.wait(1000);
    assert_eq!(c.take(), ["b {dist_ac_weight,app1,2,c}"]);
    c.message("{dist_ac_weight,app1,2,b}");
    assert_eq!(c.take(), [""; 0]);
    c
}

fn b_says(rig: &mut Rig, id: &str) {
    rig.says("b", id);
}

#[test]
fn l9_a_chosen_node_that_stands_by_for_us_will_not_start_it() {
    let mut c = c_waits_for_b();
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    b_says(&mut c, "{distributed,c}");
    assert_eq!(c.take(), ["AC change {failover,a,undefined}"]);
    c.run("app1");
    assert_eq!(c.take(), ["b {dist_ac_app_started,c,app1,ok}"]);
    assert_eq!(c.id(), "local");
}

#[test]
fn l9_whose_weight_does_not_come_may_stand_by_for_us() {
    let mut c = standby("c", "[a,{b,c}]", &["a", "b"], "a");
    c.node_down("a");
    c.wait(1000);
    c.take();
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    b_says(&mut c, "{failover,a}");
    assert_eq!(c.take(), [""; 0]);
    c.wait(2000);
    assert_eq!(c.take(), ["b info"]);
    b_says(&mut c, "{distributed,c}");
    assert_eq!(c.take(), ["AC change {failover,a,undefined}"]);
}

#[test]
fn l9_a_chosen_node_may_take_its_time() {
    let mut c = c_waits_for_b();
    let mut asked = 0;
    for _ in 0..80 {
        c.wait(1000);
        for line in c.take() {
            assert_eq!(line, "b info");
            asked += 1;
            for id in ["run_waiting", "{failover,a}", "{distributed,a}"] {
                b_says(&mut c, id);
            }
        }
    }
    assert_eq!(asked, 5, "four times in half a minute, then once a minute");
    assert_eq!(c.take(), [""; 0]);
    c.message("{dist_ac_app_started,b,app1,ok}");
    // An answer that comes late.
    b_says(&mut c, "{distributed,c}");
    assert_eq!((c.take(), c.id()), (vec!["AC change {started,b}".to_owned()], "{distributed,b}".to_owned()));
}

/// It was told of a copy there after it had lost that node, and hears of no death any more.
#[test]
fn l9_a_chosen_node_that_stands_by_for_one_that_is_gone_is_left_out() {
    for (known, line) in [("[a,b,c]", None), ("[b,c]", Some("AC change {failover,a,undefined}"))] {
        let mut c = c_waits_for_b();
        c.wait(1000);
        assert_eq!(c.take(), ["b info"]);
        c.says_knowing("b", "{distributed,a}", known);
        assert_eq!(c.take().first().map(String::as_str), line, "it knows {known}");
    }
}

/// c is the only one of the first that is there; where b keeps the question for a start of its own, it would never be moved.
#[test]
fn a_start_does_not_wait_for_ever_where_it_is_to_be_taken_over() {
    let mut c = Rig::up("c", "[{a,c},{b,d}]", &["b", "d"]);
    c.message("{dist_ac_app_started,d,app1,ok}");
    c.start("app1");
    c.message("{dist_ac_weight,app1,3,d}");
    c.take();
    let mut seconds = 0;
    let line = loop {
        c.wait(1000);
        seconds += 1;
        assert!(seconds < 60);
        if c.take().contains(&"b info".to_owned()) {
            c.says_not_started("b", "[{a,c},{b,d}]");
        }
        if let Some(line) = c.take().pop() {
            break line;
        }
    };
    assert_eq!((seconds, line.as_str()), (15, "AC start {takeover,d}"), "four questions");
}

/// d was to start it, and could not; b waited for that, and waits for nothing now. It keeps the question for a round of its own.
#[test]
fn l19_a_node_whose_failover_came_to_nothing_is_left_out() {
    let mut c = Rig::up("c", "[a,{b,c}]", &["b"]);
    c.start("app1");
    let mut lines = c.take();
    for second in 0..120 {
        c.wait(1000);
        lines.extend(c.take());
        if lines.last().is_some_and(|line| line == "b info") {
            c.says("b", "{failover,a}");
            lines.push(format!("{second}"));
        }
    }
    lines.retain(|line| line != "b info");
    assert_eq!(lines, ["b {dist_ac_weight,app1,2,c}", "0", "2", "6", "AC start start_it"]);
}

/// b is a stock node: only its record has said that it starts, and nothing will say that it does not any more.
#[test]
fn a_stock_node_that_was_starting_it_when_it_was_met_and_gave_up_is_not_waited_for() {
    let mut c = Rig::up("c", "[{b,c},a]", &[]);
    c.meet("b", "[{appl,app1,run_waiting,1000,LIST,[{PEER,true}]}]", "[{b,c},a]", "[]");
    c.take();
    c.start("app1");
    c.message("{dist_ac_weight,app1,9,b}");
    c.take();
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    // It heard of a start at a, to which there is no connection from here.
    c.says("b", "{distributed,a}");
    assert_eq!(c.take(), ["AC start start_it"]);
}

/// b was never started, and would wait for ever for somebody to do so.
#[test]
fn a_failover_does_not_wait_for_ever_for_a_node_where_it_was_not_started() {
    let says = |c: &mut Rig| c.says_not_started("b", "[a,{b,c}]");
    let mut c = standby("c", "[a,{b,c}]", &["a", "b"], "a");
    c.node_down("a");
    c.wait(1000);
    c.take();
    let mut seconds = 0;
    let line = loop {
        c.wait(1000);
        seconds += 1;
        match c.take().pop() {
            Some(line) if line == "b info" => says(&mut c),
            Some(line) => break line,
            None => {}
        }
        if let Some(line) = c.take().pop() {
            break line;
        }
    };
    assert_eq!((seconds, line.as_str()), (15, "AC change {failover,a,undefined}"), "four questions");
    // Who starts it by hand waits, as on stock nodes, until it is started everywhere.
    let mut c = Rig::up("c", "[{b,c}]", &["b"]);
    c.start("app1");
    c.take();
    for _ in 0..300 {
        c.wait(1000);
        if c.take() == ["b info"] {
            says(&mut c);
        }
    }
    assert_eq!(c.id(), "undefined");
}

/// It had our question before it was started, and kept it for a round of its own.
#[test]
fn a_runner_that_has_forgotten_our_question_is_asked_again() {
    let mut c = Rig::up("c", "[{b,c}]", &["b"]);
    c.start("app1");
    assert_eq!(c.take(), ["b {dist_ac_weight,app1,2,c}"]);
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.says("b", "local");
    assert_eq!(c.take(), ["AC start {started,b}"], "in one tuple it stays where it is");
    let mut c = Rig::up("c", "[{c,d},b]", &["b", "d"]);
    c.start("app1");
    c.take();
    c.message("{dist_ac_weight,app1,3,d}");
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.says("b", "local");
    assert_eq!(c.take(), ["b {dist_ac_weight,app1,2,c}"]);
    c.message("{dist_ac_weight,app1,3,b}");
    assert_eq!(c.take(), ["AC start {takeover,b}"]);
}

#[test]
fn l9_who_stands_by_for_one_that_was_left_out_is_left_out_too() {
    let mut c = Rig::up("c", "[d,b,c]", &["b", "d"]);
    c.start("app1");
    c.wait(1000);
    assert_eq!(c.take(), ["d info"]);
    c.says("d", "undefined");
    assert_eq!(c.take(), [""; 0], "d has forgotten it: b is next");
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.says("b", "{distributed,d}");
    assert_eq!(c.take(), ["d info"]);
    c.says("d", "local");
    assert_eq!(c.take(), [""; 0], "its application controller is asked, which knows better");
    c.wait(1000);
    c.input(Input::Running { node: atom("d"), apps: Some(vec![atom("kernel")]) });
    assert_eq!(c.take(), ["AC start start_it"]);
}

#[test]
fn a_start_elsewhere_is_not_waited_for_where_that_node_is_blocked() {
    let starting = "[{appl,app1,run_waiting,1000,[c,b],[{b,true}]}]";
    let c_waits_for_the_start_at_b = || {
        let mut c = Rig::new("c", vec![distribution("app1", 1000, "[c,b]")]);
        c.input(Input::Go);
        c.meet("b", starting, "", "[]");
        c.take();
        c.start("app1");
        assert_eq!(c.take(), [""; 0]);
        c
    };
    let mut c = c_waits_for_the_start_at_b();
    for _ in 0..300 {
        c.wait(1000);
        if !c.take().is_empty() {
            c.says("b", "run_waiting");
        }
    }
    assert_eq!(c.id(), "undefined", "a start may take its time");
    c.message("{dist_ac_app_started,b,app1,{error,failed}}");
    assert_ne!(c.id(), "undefined");
    let mut c = c_waits_for_the_start_at_b();
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    c.wait(30_000);
    assert_eq!(
        c.take().last().map(String::as_str),
        Some("AC start start_it"),
        "what it starts meets the copy here"
    );
}

/// It was told to start it before, and decides no more before it is stopped and started there: it would never answer.
#[test]
fn l22_a_chosen_node_that_has_forgotten_it_is_left_out() {
    let mut c = c_waits_for_b();
    c.wait(1000);
    assert_eq!(c.take(), ["b info"]);
    b_says(&mut c, "undefined");
    assert_eq!(c.take(), ["AC change {failover,a,undefined}"]);
}

#[test]
fn l9_a_chosen_node_that_stands_by_for_a_third_one_makes_us_ask_that_one() {
    for (id, expected) in [("local", "AC change {started,d}"), ("undefined", "AC change start_it")] {
        let mut c = standby("c", "[a,b,c]", &["a", "b", "d"], "a");
        c.message("{dist_ac_app_stopped,app1}");
        assert_eq!(c.take(), ["a info"]);
        c.message("{dist_ac_new_permission,a,app1,false,false}");
        c.permit(1, true);
        assert_eq!(c.take().len(), 2, "M4 alone: b goes first");
        c.wait(1000);
        assert_eq!(c.take(), ["b info"]);
        c.says("b", "{distributed,d}");
        assert_eq!(c.take(), ["d info"]);
        c.says("d", id);
        assert!(c.take().contains(&expected.to_owned()));
    }
}

#[test]
fn l6_a_stock_node_that_answers_nothing_is_left_out() {
    let mut c = c_waits_for_b();
    let mut lines = Vec::new();
    for _ in 0..31 {
        c.wait(1000);
        // Of what runs there somebody else may speak as well.
        c.message("{dist_ac_app_started,b,app2,ok}");
        lines.append(&mut c.take());
    }
    assert_eq!(lines, ["b info", "AC change {failover,a,undefined}"], "one question is enough");
    c.run("app1");
    c.take();
    // It was not for this application, and goes on: then it is a candidate again.
    c.message("{dist_ac_app_started,b,app1,ok}");
    c.message("{dist_ac_app_stopped,app1}");
    c.says("b", "undefined");
    c.permit(1, true);
    assert_eq!(c.take().last().map(String::as_str), Some("b {dist_ac_weight,app1,2,c}"));
}

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
