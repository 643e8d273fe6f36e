//! Who says that it runs an application, and does not: contests, crossings, copies that are none.

use super::*;

#[test]
fn a_stock_node_that_does_not_run_what_it_says_is_not_stood_by_for() {
    let asked = |b: &mut Rig| {
        std::iter::from_fn(|| b.engine.poll_output())
            .any(|output| matches!(output, Output::AskRunning { node } if node == "c"))
    };
    let said = |running: Option<&str>| Input::Running {
        node: atom("c"),
        apps: running.map(|app| vec![atom("kernel"), atom(app)]),
    };
    let mut b = standby("b", "[c,b]", &["c"], "c");
    assert!(!asked(&mut b));
    for answer in [said(Some("app1")), said(None)] {
        b.message("{dist_ac_app_started,c,app1,ok}");
        b.wait(1000);
        assert!(asked(&mut b));
        b.input(answer);
        b.wait(60_000);
        assert!(!asked(&mut b));
    }
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.wait(1000);
    assert!(asked(&mut b));
    b.input(said(Some("other")));
    assert_eq!(b.id(), "{distributed,c}", "somebody may have taken over from it");
    b.wait(1000);
    assert!(asked(&mut b));
    b.input(said(Some("other")));
    assert_eq!(b.take(), ["AC change start_it"], "c goes first, but believes that it runs there");
}

#[test]
fn of_a_stock_node_that_is_blocked_its_application_controller_says_what_runs_there() {
    let said = |app: &str| Input::Running { node: atom("c"), apps: Some(vec![atom("kernel"), atom(app)]) };
    let mut b = standby("b", "[c,b]", &["c"], "c");
    b.wait(60_000);
    assert_eq!(b.take(), ["c info"], "whether it still runs it");
    for running in ["app1", "other"] {
        for _ in 0..2 {
            b.wait(60_000);
            b.wait(1000);
            b.input(said(running));
            b.wait(1000);
            b.input(said(running));
        }
    }
    assert_eq!(b.take(), ["AC change start_it"]);
}

#[test]
fn a_stock_node_that_knows_us_from_before_says_what_runs_there_when_asked() {
    let mut b = Rig::new("b", vec![distribution("app1", 1000, "[c,b]"), distribution("app2", 1000, "[b]")]);
    b.input(Input::Go);
    b.take();
    b.start("app2");
    b.run("app2");
    b.node_up("c");
    b.take();
    b.input(Input::Known { node: atom("c"), nodes: Some(vec![atom("b"), atom("c")]) });
    assert_eq!(b.take(), ["c info"], "no introduction, which it would answer without end (L12)");
    b.says("c", "local");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app2,ok}"]);
    b.start("app1");
    assert_eq!(b.take(), ["AC start {started,c}"], "c goes first, and may run it, as it has said then too");
}

/// Now a and the losers are asked, and say it.
fn asked_where_it_runs_says_a(c: &mut Rig, losers: &[&str]) {
    c.take();
    c.wait(1000);
    let asked = ["a"].iter().chain(losers).map(|node| format!("{node} info"));
    assert_eq!(c.take(), asked.collect::<Vec<_>>());
    for loser in losers {
        c.says(loser, "{distributed,a}");
    }
    c.says("a", "local");
    assert_eq!((c.take(), c.id()), (vec!["AC change {started,a}".to_owned()], "{distributed,a}".to_owned()));
}

#[test]
fn where_two_say_shortly_after_each_other_that_they_run_it_both_are_asked() {
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "b");
    c.message("{dist_ac_app_started,a,app1,ok}");
    // From before it gave way to a, on another link; said twice, as to somebody who was just met.
    for _ in 0..2 {
        c.message("{dist_ac_app_started,b,app1,ok}");
        assert_eq!(c.id(), "{distributed,b}");
    }
    asked_where_it_runs_says_a(&mut c, &["b"]);
    c.wait(50_000);
    assert_eq!(c.take(), [""; 0], "that is settled");
}

#[test]
fn of_two_members_that_are_met_and_say_that_they_run_it_both_are_asked() {
    let mut c = Rig::up("c", "[a,b,c]", &["a", "b"]);
    c.message("{crabnode_dist_ac,a,true,[{app1,undefined}],[],self}");
    // From before it gave way to a, on another link; and whoever gave way knew only later that we are there.
    c.message("{crabnode_dist_ac,b,true,[{app1,undefined}],[],self}");
    c.take();
    c.wait(1000);
    assert_eq!(c.take(), ["a info", "b info"]);
    c.says("b", "{distributed,a}");
    c.says("a", "local");
    c.start("app1");
    assert_eq!((c.take(), c.id()), (vec!["AC start {started,a}".to_owned()], "{distributed,a}".to_owned()));
    // The same where it is started here before that is known.
    let mut c = Rig::up("c", "[a,b,c]", &["a", "b"]);
    for node in ["a", "b"] {
        c.message(&format!("{{crabnode_dist_ac,{node},true,[{{app1,undefined}}],[],self}}"));
    }
    c.start("app1");
    assert_eq!(c.id(), "{distributed,b}");
    asked_where_it_runs_says_a(&mut c, &["b"]);
}

#[test]
fn a_loser_whose_news_comes_while_two_others_are_about_to_be_asked_is_asked_too() {
    let mut c = standby("c", "[a,b,d,c]", &["a", "b", "d"], "a");
    for node in ["a", "b", "d"] {
        c.message(&format!("{{crabnode_dist_ac,{node},true,[],[],self}}"));
    }
    c.wait(6000);
    // Its link was lost and is back: it has met a, which goes on.
    c.message("{crabnode_dist_ac,b,true,[{app1,undefined}],[],self}");
    // So has this one, and has said it to a slow link before that.
    c.message("{dist_ac_app_started,d,app1,ok}");
    assert_eq!(c.id(), "{distributed,d}");
    asked_where_it_runs_says_a(&mut c, &["b", "d"]);
}

#[test]
fn where_a_member_that_is_met_runs_what_another_has_just_started_both_are_asked() {
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "a");
    c.message("{crabnode_dist_ac,a,true,[{app1,undefined}],[],self}");
    // It gives way to a, and says so to whoever it knows: not yet to this one.
    c.message("{crabnode_dist_ac,b,true,[{app1,undefined}],[],self}");
    assert_eq!(c.id(), "{distributed,b}");
    asked_where_it_runs_says_a(&mut c, &["b"]);
}

#[test]
fn what_the_old_runner_said_before_it_was_told_to_give_way_counts_no_more() {
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "b");
    c.message("{crabnode_dist_ac,a,true,[],[],self}");
    c.message("{dist_ac_app_started,a,app1,ok}");
    c.wait(1000);
    c.says("a", "local");
    c.takeover(1);
    c.run("app1");
    // The last answer: a has not read yet that it runs here.
    c.says("b", "{distributed,a}");
    c.message("{crabnode_dist_ac,a,true,[{app1,undefined}],[],self}");
    assert_eq!(c.id(), "local", "it is about to give way, and both would");
    c.take();
    c.message("{crabnode_dist_ac,a,true,[],[],self}");
    assert_eq!(c.id(), "local");
}

#[test]
fn a_stock_node_that_was_asked_before_we_took_over_gives_way() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.wait(60_000);
    assert_eq!(b.take(), ["a info"], "whether it still runs it");
    b.takeover(1);
    b.run("app1");
    // Its answer from before is behind the end of our start, and it has not read our M6.
    b.says("a", "local");
    assert_eq!(b.id(), "local");
    b.take();
    b.says("a", "{distributed,b}");
    assert_eq!(b.id(), "local");
}

#[test]
fn an_m6_that_crosses_ours_does_not_stop_the_copy_here() {
    let mut a = Rig::up("a", "[a,b,c]", &["b", "c"]);
    a.start("app1");
    a.run("app1");
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.id(), "local", "b has not read of this copy: its own is about to stop");
    let m6 = ["c {dist_ac_app_started,a,app1,ok}", "b {dist_ac_app_started,a,app1,ok}"];
    assert_eq!(a.take(), [&["AC start start_it"], &m6[..], &m6[..]].concat());
    assert_eq!(a.take(), [m6[0]], "now b has read both, and c may have heard of b last");
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.take(), ["AC change {started,b}"], "b knows of this copy, and has taken over");
}

#[test]
fn a_takeover_at_once_is_obeyed_and_a_copy_that_has_stopped_already_found_out() {
    let mut a = Rig::up("a", "[a,b]", &["b"]);
    a.start("app1");
    a.run("app1");
    a.take();
    a.input(Input::HasRead { node: atom("b") });
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!((a.id(), a.take()), ("{distributed,b}".into(), vec!["AC change {started,b}".into()]));
    // The end of a start of its own lay behind our M6, which has stopped that copy.
    for _ in 0..2 {
        a.wait(1000);
        a.input(Input::Running { node: atom("b"), apps: Some(vec![atom("kernel")]) });
    }
    assert_eq!(a.take().last().map(String::as_str), Some("AC change start_it"));
}

#[test]
fn a_node_that_was_blocked_reads_our_m6_before_its_own_start() {
    let mut a = Rig::up("a", "[a,b]", &["b"]);
    a.start("app1");
    a.run("app1");
    a.wait(5000);
    a.input(Input::HasRead { node: atom("b") });
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.id(), "local", "that it has started it was behind our M6 in its mailbox");
    a.wait(5000);
    for _ in 0..3 {
        a.input(Input::HasRead { node: atom("b") });
        a.wait(10);
    }
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.id(), "{distributed,b}");
}

#[test]
fn who_is_said_to_run_it_and_is_gone_already_has_died() {
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "a");
    c.node_down("b");
    c.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(c.id(), "{failover,b}", "a gave way to it, and had not heard yet");
    let mut a = runner("a", "[a,b]", &["b"]);
    a.node_down("b");
    a.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(a.id(), "local");
}

/// a had said it before it gave way to b, and may not run it any more, so that it has no failover of its own.
#[test]
fn where_one_of_two_that_are_asked_dies_what_the_other_says_decides_it() {
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "b");
    c.message("{dist_ac_app_started,a,app1,ok}");
    c.message("{dist_ac_new_permission,a,app1,false,false}");
    assert_eq!(c.id(), "{distributed,a}");
    c.take();
    c.wait(1000);
    assert_eq!(c.take(), ["a info", "b info"]);
    c.says("a", "{distributed,b}");
    c.node_down("b");
    assert_eq!(c.id(), "{distributed,a}");
    c.wait(1000);
    assert_eq!(c.take(), ["a info"], "it may be about to start it");
    c.says("a", "undefined");
    assert_eq!(c.take(), ["AC change start_it"]);
}

/// The last one that was heard of may run it again when it is back, and has not said so: nothing counts against another.
#[test]
fn what_a_runner_had_said_before_it_died_is_no_doubt_of_the_next() {
    let next = |d: &mut Rig| {
        d.message("{crabnode_dist_ac,e,true,[],[app1],self}");
        d.call(2, Request::Permit { app: atom("app1"), permission: true, only_loaded: false, locked: true });
        d.take();
        d.message("{crabnode_dist_ac,e,true,[{app1,undefined}],[],self}");
        assert_eq!(d.take(), ["AC change {started,e}", "AC change {takeover,e,undefined}"], "d goes first");
    };
    // It may not run it, so that it has no failover of its own.
    let stands_by = |runner: &str| {
        let mut d = Rig::up("d", "[d,c,e]", &["c", "e"]);
        d.permit(1, false);
        d.message(&format!("{{dist_ac_app_started,{runner},app1,ok}}"));
        d.start("app1");
        assert_eq!(d.id(), format!("{{distributed,{runner}}}"));
        d
    };
    let back = |d: &mut Rig| {
        assert_eq!(d.id(), "undefined");
        d.meet("c", "[{appl,app1,undefined,1000,LIST,[{PEER,true}]}]", "[d,c,e]", "[]");
    };
    let mut d = stands_by("c");
    d.node_down("c");
    back(&mut d);
    next(&mut d);
    // It was gone already when a third node said that it runs there.
    let mut d = stands_by("e");
    d.node_down("c");
    d.message("{dist_ac_app_started,c,app1,ok}");
    back(&mut d);
    next(&mut d);
}

#[test]
fn a_runner_of_our_own_kind_that_asks_and_does_not_run_it_is_not_stood_by_for() {
    let mut b = Rig::up("b", "[b,a]", &["a"]);
    b.message("{crabnode_dist_ac,a,true,[{app1,undefined}],[],self}");
    b.message("{dist_ac_app_started,a,app1,ok}");
    b.call(1, Request::DistributionChanged(vec![distribution("app1", 1000, "[a,b]")]));
    b.start("app1");
    b.call(2, Request::DistributionChanged(vec![distribution("app1", 1000, "[b,a]")]));
    assert_eq!(b.id(), "{distributed,a}");
    b.take();
    b.message("{crabnode_dist_ac,a,false,[{app1,undefined}],[],self}");
    assert_eq!(b.id(), "{distributed,a}", "it does run it");
    b.message("{crabnode_dist_ac,a,false,[],[],self}");
    assert_eq!(b.take(), ["AC change start_it"]);
}
