//! Stock nodes that are blocked: what they are told, and what those are who wait for them.

use super::*;

#[test]
fn l8_the_loser_is_told_what_the_winner_cannot_say() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c"]);
    rig.mesh();
    rig.says("b", "{distributed,a}", "[b,c,r]");
    rig.says("c", "{distributed,a}", "[b,c,r]");
    rig.run(1_500);
    rig.blocked("b", HERE, "");
    rig.blocked("c", "{app1,{distributed,a}},", "");
    assert_eq!(rig.sent(1_300), ["c {dist_ac_app_started,b,app1,ok}"], "within a period and a short wait");
    rig.blocked("c", "{app1,{distributed,b}},", "");
    assert_eq!(rig.sent(19_000), [""; 0]);
}

#[test]
fn a_blocked_node_that_may_be_starting_it_is_left_alone() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c"]);
    rig.mesh();
    rig.says("b", "local", "[b,c,r]");
    rig.blocked("c", "", "{app1,temporary,{takeover,b},undefined}");
    assert_eq!(rig.sent(30_000), [""; 0]);
    // One that boots has no kernel yet.
    rig.stock[1].2 = "[{started,[{app1,temporary}]},{running,[]},{starting,[]}]".into();
    assert_eq!(rig.sent(30_000), [""; 0]);
    // And one whose application controller does not answer either says nothing at all.
    rig.stock[1].2 = "timeout".into();
    assert_eq!(rig.sent(30_000), [""; 0]);
}

#[test]
fn a_blocked_node_is_asked_once_in_a_while() {
    let mut rig = Rig::new(Heal::Cluster, &["b"]);
    rig.blocked("b", "", "");
    let mut questions = 0;
    let end = rig.now + Duration::from_secs(300);
    while let Some(at) = rig.healer.poll_timeout().filter(|at| *at <= end) {
        rig.now = at.max(rig.now);
        rig.healer.handle(rig.now, Input::Timeout);
        while let Some(output) = rig.healer.poll_output() {
            let Output::Ask { node, question, limit } = output else { continue };
            if question == Question::DistAc && node == "b" {
                assert!(limit >= Duration::from_secs(60));
                questions += 1;
            } else {
                rig.answer(node, question);
            }
        }
    }
    assert_eq!(questions, 1, "the first is still there to be answered");
}

#[test]
fn l9_who_waits_for_the_weight_of_the_runner_gets_it_once() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c"]);
    rig.list = "[a,{b,c}]";
    rig.mesh();
    rig.says("b", "local", "[b,c,r]");
    rig.stock[0].1 = rig.stock[0].1.take().map(|info| info.replace(LIST, rig.list));
    rig.blocked("c", "{app1,{distributed,a}},", "");
    let weights = |sent: Vec<String>| sent.iter().filter(|line| line.contains("weight")).count();
    rig.waiting.1 = "reply app1 b";
    assert_eq!(weights(rig.sent(20_000)), 0, "it waits for a start, and was told");
    rig.waiting = ("collect_answers/4", "[] app1 b [a]");
    let sent = rig.sent(2_500);
    assert!(sent.contains(&"c {dist_ac_weight,app1,0,b}".to_owned()), "{sent:?}");
    assert_eq!(weights(rig.sent(20_000)), 0);
    for doubt in ["app1", "app1 b r", "app2 b", "b"] {
        rig.waiting.1 = doubt;
        assert_eq!(weights(rig.sent(40_000)), 0, "it is not certain for whom it waits: {doubt}");
    }
}

#[test]
fn l9_the_weight_of_one_that_forgot_it_does_not_elect_it() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c", "d"]);
    rig.mesh();
    rig.says("b", "local", "[b,c,d,r]");
    rig.says("d", "{distributed,b}", "[b,c,d,r]");
    rig.blocked("c", "", "");
    rig.waiting = ("collect_answers/4", "[] app1 d []");
    let sent = rig.sent(4_000);
    assert!(sent.contains(&"c {dist_ac_weight,app1,16777216,d}".to_owned()), "{sent:?}");
}

#[test]
fn l9_of_two_copies_either_ends_the_wait_for_a_weight() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c", "d"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,c,d,r]");
    rig.says("b", "local", "[a,b,c,d,r]");
    rig.says("d", "{distributed,b}", "[a,b,c,d,r]");
    rig.blocked("c", "", "");
    rig.waiting = ("collect_answers/4", "[] app1 d []");
    let sent = rig.sent(4_000);
    assert!(sent.contains(&"c {dist_ac_weight,app1,16777216,d}".to_owned()), "{sent:?}");
}

#[test]
fn l9_who_waits_for_another_than_the_runner_hears_of_both() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c", "d"]);
    rig.mesh();
    rig.says("b", "local", "[b,c,d,r]");
    rig.says("d", "{distributed,b}", "[b,c,d,r]");
    rig.blocked("c", "", "");
    rig.stock[1].2 = rig.stock[1].2.replace("{kernel,permanent}", "{app1,temporary},{kernel,permanent}");
    rig.waiting = ("wait_dist_start/7", "req app1 d");
    let sent = rig.sent(10_000);
    let both = ["c {dist_ac_app_started,d,app1,ok}", "c {dist_ac_app_started,b,app1,ok}"];
    assert!(sent.windows(2).any(|two| two == both), "{sent:?}");
}

/// a and b wait for each other: for the start, or for the weight, of what this says.
fn deadlock(functions: &'static str, a: &'static str, b: &'static str) -> Rig {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.blocked("a", "", a);
    rig.blocked("b", "", b);
    // Each finds the other among these, and the names of both would leave a doubt.
    rig.waiting = (functions, "[] a b app1");
    rig
}

#[test]
fn l7_one_of_two_that_wait_for_each_other_goes_on() {
    for function in ["wait_dist_start/7", "collect_answers/4"] {
        let mut rig = deadlock(function, "{app1,t,n,x}", "{app1,t,n,x}");
        assert_eq!(rig.sent(2_500), [""; 0], "it may yet end by itself");
        rig.stock[1].2 = rig.stock[1].2.replace("{app1,t,n,x}", "");
        assert_eq!(rig.sent(1_800), ["a nodedown b"], "{function}");
        assert_eq!(rig.sent(20_000), [""; 0], "it is told once");
    }
}

#[test]
fn l7_what_the_other_may_be_starting_is_waited_for() {
    let mut rig = deadlock("wait_dist_start/7", "{app1,t,n,x}", "{app1,t,n,x}");
    assert_eq!(rig.sent(60_000), [""; 0]);
    // Its `dist_ac` says that it has not come to that.
    rig.waiting.1 = "a b app1 {state,[{appl,app1,undefined,1000,[a,b],[]}],[],[],[a,b],[],[],[],[],[],[]}";
    assert_eq!(rig.sent(3_000), ["a nodedown b"]);
}

#[test]
fn l7_one_that_boots_is_not_starting_it() {
    let mut rig = deadlock("collect_answers/4", "", "");
    rig.healer.handle(rig.now, Input::NodeUp { node: atom("c"), hidden: false });
    rig.stock.push(("c", None, controller("", "{app1,t,n,x}"), "[a,b,r]".into()));
    rig.mesh();
    rig.boots = Some("c");
    assert_eq!(rig.sent(6_000), ["a nodedown b"]);
}

#[test]
fn l7_who_waits_for_one_that_waits_for_nobody_is_left_alone() {
    let mut rig = deadlock("wait_dist_start/7", "{app1,t,n,x}", "");
    rig.stock[1].1 = Some(info("undefined", "[{b,true}]", "[a,b,r]", "[]"));
    assert_eq!(rig.sent(60_000), [""; 0], "b has only to be told to start it");
    rig.blocked("b", "", "");
    rig.waiting.0 = "wait_dist_start2/6";
    assert_eq!(rig.sent(60_000), [""; 0]);
}

#[test]
fn l7_who_collects_in_a_ring_for_what_runs_gets_the_weight() {
    let mut rig = deadlock("collect_answers/4", "", "");
    rig.blocked("a", HERE, "");
    let sent = rig.sent(5_000);
    assert!(sent.contains(&"b {dist_ac_weight,app1,0,a}".to_owned()), "{sent:?}");
    assert!(!sent.iter().any(|line| line.contains("nodedown")), "nobody starts a second copy: {sent:?}");
}

#[test]
fn l2_who_waits_for_a_standby_hears_of_the_runner_that_it_took_for_dead() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,c,r]");
    rig.says("c", "{distributed,a}", "[a,b,c,r]");
    rig.blocked("b", "{app1,{distributed,a}},", "");
    rig.waiting = ("wait_dist_start/7", "req app1 c");
    let sent = rig.sent(5_000);
    let both = ["b {dist_ac_app_started,c,app1,ok}", "b {dist_ac_app_started,a,app1,ok}"];
    assert!(sent.windows(2).any(|two| two == both), "{sent:?}");
}

#[test]
fn l22_who_waits_for_one_that_forgot_it_goes_on() {
    for id in ["undefined", "{distributed,b}", "local"] {
        let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
        rig.mesh();
        rig.says("a", id, "[a,b,r]");
        rig.stock[0].2 = controller("", "");
        rig.blocked("b", "", "{app1,t,n,x}");
        rig.waiting.0 = "collect_answers/4";
        rig.waiting.1 =
            "req app1 a {state,[{appl,app1,undefined,1000,[a,b],[]}],[],[],[a,b],[],[],[],[],[],[]}";
        assert_eq!(rig.sent(3_000), [""; 0], "it may yet answer");
        assert_eq!(rig.sent(5_000), ["b nodedown a"], "{id}");
    }
    // The same of ours, where a start was refused after a stop.
    let mut rig = deadlock("collect_answers/4", "", "");
    rig.stock[0].1 = Some(info("undefined", "[{a,true}]", "[a,b,r]", "[]"));
    rig.waiting.1 = "req app1 r";
    assert_eq!(rig.sent(60_000), [""; 0], "it has only to be told");
    rig.member.1 = "[app1]";
    assert_eq!(rig.sent(5_000), ["b nodedown r"]);
    // One of ours that waits itself, for a node which waits for the lock of a caller at the first one.
    let mut rig = deadlock("wait_dist_start/7", "", "");
    rig.stock[0].1 = Some(info("undefined", "[{a,true}]", "[a,b,r]", "[]"));
    rig.waiting.1 = "req app1 r";
    assert_eq!(rig.sent(90_000), [""; 0], "nobody has started it there yet (L6)");
    rig.controller.1 = "{app1,temporary,normal}";
    assert_eq!(rig.sent(55_000), [""; 0], "it may yet go on");
    assert_eq!(rig.sent(10_000), ["b nodedown r"]);
    // One that stands by could take over, but for the lock that one holds who boots.
    for boots in [None, Some("c")] {
        let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
        rig.mesh();
        rig.says("a", "{distributed,d}", "[a,b,c,r]");
        rig.blocked("b", "{app1,{distributed,d}},", "");
        rig.waiting = ("collect_answers/4", "req app1 a");
        if boots.is_some() {
            rig.blocked("c", "", "");
        }
        rig.boots = boots;
        let sent = rig.sent(10_000);
        assert_eq!(sent.contains(&"b nodedown a".to_owned()), boots.is_some(), "{sent:?}");
    }
    // One that was never told to start it has only to be told.
    let mut rig = deadlock("collect_answers/4", "", "{app1,t,n,x}");
    rig.stock[0].1 = Some(info("undefined", "[{a,true}]", "[a,b,r]", "[]"));
    assert_eq!(rig.sent(60_000), [""; 0]);
}

#[test]
fn l22_a_blocked_runner_goes_on_without_one_that_will_not_start_it() {
    let runs_it_and_waits_for = |other: &'static str| {
        let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
        rig.mesh();
        rig.says("a", "{distributed,b}", "[a,b,r]");
        rig.blocked("b", HERE, "");
        rig.waiting = ("wait_dist_start/7", other);
        rig
    };
    // The news of its own start is behind what it waits for, and whoever else may run it has heard that it runs there.
    let mut rig = runs_it_and_waits_for("req app1 r");
    let is_blocked = |sent: Vec<String>| !sent.iter().any(|line| line == "b nodedown r");
    assert!(is_blocked(rig.sent(60_000)), "one of ours that was not told to start it may yet be");
    rig.member.1 = "[app1]";
    assert!(is_blocked(rig.sent(19_000)), "it may settle itself");
    assert!(!is_blocked(rig.sent(5_000)));
    // One that runs it as well tells that itself, and one of the copies stops.
    let mut rig = runs_it_and_waits_for("req app1 a");
    rig.says("a", "local", "[a,b,r]");
    let sent = rig.sent(60_000);
    assert!(!sent.iter().any(|line| line.contains("nodedown")), "{sent:?}");
}

#[test]
fn l6_one_of_ours_that_waits_for_a_blocked_runner_hears_of_it() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "{distributed,b}", "[a,b,r]");
    rig.blocked("b", HERE, "");
    rig.waiting = ("wait_dist_start/7", "req app2 r");
    assert_eq!(rig.sent(19_000), [""; 0], "it may be on its way");
    assert_eq!(
        rig.sent(30_000),
        ["r {dist_ac_app_started,b,app1,ok}"],
        "once is enough where it was not started"
    );
}

#[test]
fn who_waits_for_one_that_boots_goes_on() {
    let mut rig = deadlock("collect_answers/4", "", "");
    rig.blocked("a", "", "{app1,t,n,x}");
    rig.boots = Some("a");
    assert_eq!(rig.sent(3_000), [""; 0], "its first introductions may take a moment");
    assert_eq!(rig.sent(5_000), ["b nodedown a"]);
}

#[test]
fn one_that_boots_goes_on_without_one_that_waits_for_a_start_which_waits_for_it() {
    // c boots and holds the lock. b waits for a, which has told its application controller to start it; but that has a request
    // of its own open, and the request waits for the lock.
    let rig = |variables: &'static str, runs: &str| {
        let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
        rig.mesh();
        rig.says("a", "run_waiting", "[a,b,r]");
        rig.stock[0].2 = controller("", "{app1,temporary,normal}");
        rig.blocked("b", runs, "{app1,temporary,normal}");
        rig.blocked("c", "", "");
        rig.waiting = ("wait_dist_start/7", "req app1 a");
        rig.introductions = Some(("c", variables));
        rig
    };
    let other = "{app2,undefined},";
    // Two that run nothing would answer each other without end (L12): b goes on instead.
    let mut idle = rig("b", "");
    assert_eq!(idle.sent(59_000), [""; 0]);
    assert_eq!(idle.sent(5_000), ["b nodedown a"]);
    assert_eq!(rig("d", other).sent(90_000), [""; 0], "it waits for another");
    let mut rig = rig("b", other);
    rig.healer.lists.insert(atom("app2"), Nodes::from_term(&term("[b,c]")).expect("a list"));
    assert_eq!(rig.sent(59_000), [""; 0], "a start may take its time");
    assert_eq!(rig.sent(5_000), ["c nodedown b"]);
}

#[test]
fn l19_who_waits_for_one_whose_failover_came_to_nothing_goes_on() {
    let mut rig = deadlock("collect_answers/4", "", "{app1,t,n,x}");
    rig.stock[0].1 =
        Some(info("{failover,c}", "[{a,true}]", "[a,b,r]", "[app1]").replace(",1000,", ",9000,"));
    assert_eq!(rig.sent(11_000), [""; 0], "it may yet try it");
    assert_eq!(rig.sent(30_000), ["b nodedown a"]);
}

#[test]
fn l11_who_stands_by_for_one_that_is_down_hears_of_it_again() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("b", "{distributed,c}", "[a,b,c,r]");
    rig.says("a", "{failover,c}", "[a,b,r]");
    rig.healer.handle(rig.now, Input::Member { node: atom("a"), heal: Heal::Own });
    assert_eq!(rig.sent(19_000), [""; 0], "one of ours may yet start it");
    assert_eq!(rig.sent(3_000), ["b nodedown c"]);
}

#[test]
fn who_waits_for_anybody_for_a_minute_starts_nothing() {
    // Its application controller was told to start it when it had a request of its own, which waits.
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "undefined", "[a,b,r]");
    rig.stock[0].2 = controller("{app1,{distributed,b}},", "");
    rig.blocked("b", "", "{app1,temporary,normal}");
    let state = "req app1 {state,[{appl,app1,run_waiting,1000,[a,b],[]}],[],[],[a,b],[app1],[],[],[],[],[]}";
    rig.anybody = Some(("b", state));
    assert_eq!(rig.sent(59_000), [""; 0], "it may start it");
    let taken = ["b {dist_ac_app_started,a,app1,ok}", "a {dist_ac_app_started,b,app1,ok}"];
    let sent = rig.sent(5_000);
    assert_eq!(sent[..2], taken);
    assert_eq!(sent[2..], ["a takeover(app1,temporary)"]);
}

#[test]
fn l10_who_waits_for_anybody_hears_of_the_runner() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.blocked("b", "", "{app1,t,n,x}");
    rig.waiting = ("wait_dist_start2/6", "req app1 b");
    let sent = rig.sent(5_000);
    assert!(sent.contains(&"b {dist_ac_app_started,a,app1,ok}".to_owned()), "{sent:?}");
}

#[test]
fn who_waits_for_one_that_waits_for_anybody_goes_on() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.blocked("a", "", "{app1,t,n,x}");
    rig.blocked("b", "", "{app1,t,n,x}");
    rig.says("a", "undefined", "[a,b,r]");
    rig.run(1_000);
    rig.blocked("a", "", "{app1,t,n,x}");
    rig.waiting = ("collect_answers/4", "req app1 a");
    rig.anybody = Some(("a", "req app1"));
    let sent = rig.sent(60_000);
    assert_eq!(sent.first().map(String::as_str), Some("b nodedown a"), "{sent:?}");
}

#[test]
fn a_copy_that_waits_for_the_start_of_the_other_hears_of_it() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.blocked("b", HERE, "");
    rig.waiting = ("wait_dist_start/7", "req app1 a");
    assert_eq!(rig.sent(3_000), [""; 0], "it may be on its way");
    let sent = rig.sent(5_000);
    assert!(sent.iter().any(|line| line == "b {dist_ac_app_started,a,app1,ok}"), "{sent:?}");
    assert!(!sent.iter().any(|line| line.starts_with("a ")), "{sent:?}");
}

#[test]
fn l7_a_copy_that_waits_for_one_that_stands_by_goes_on() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "{distributed,b}", "[a,b,r]");
    rig.blocked("b", HERE, "");
    rig.waiting = ("wait_dist_start/7", "req app1 a");
    rig.remote = "[{b,app1}]".to_owned();
    assert_eq!(rig.sent(19_000), [""; 0], "it may yet take over");
    assert_eq!(rig.sent(4_000), ["b nodedown a"]);
}
