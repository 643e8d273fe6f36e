//! The decision of dist_ac.md 2.2, the rules for a node that does not block (2.4), introductions (2.5), and the faults of
//! section 6 that are not shared, each by its number.

use super::*;

#[test]
fn decisions() {
    // The list, whom this node (b) has met, who runs it, and what comes of a start request.
    for (list, peers, running, expected) in [
        ("[b,a]", &["a"][..], None, "AC start start_it"),
        ("[b,a]", &["a"], Some("a"), "AC start {takeover,a}"),
        ("[a,b]", &[], None, "AC start start_it"),
        ("[a,b]", &["a"], Some("a"), "AC start {started,a}"),
        ("[a,b]", &["a"], None, "waits"),
        ("[{a,b}]", &["a"], Some("a"), "AC start {started,a}"),
        ("[{a,b}]", &["a"], None, "a {dist_ac_weight,app1,2,b}"),
        ("[{a,b},c]", &["a", "c"], Some("c"), "a {dist_ac_weight,app1,2,b} + c {dist_ac_weight,app1,2,b}"),
        ("[{b,x}]", &[], None, "AC start start_it"),
        ("[{x,y},b]", &[], None, "AC start start_it"),
        ("[{x,y},a,b]", &["a"], None, "a {dist_ac_weight,app1,2,b}"),
        ("[a]", &["a"], None, "waits"),
        ("[a]", &["a"], Some("a"), "AC start {started,a}"),
        ("[a]", &[], None, "AC start not_started"),
    ] {
        let mut b = Rig::up("b", list, peers);
        if let Some(running) = running {
            b.message(&format!("{{dist_ac_app_started,{running},app1,ok}}"));
        }
        b.start("app1");
        let lines = b.take();
        let outcome = if lines.is_empty() { "waits".to_owned() } else { lines.join(" + ") };
        assert_eq!(outcome, expected, "{list}, met {peers:?}, runs at {running:?}");
    }
}

#[test]
fn a_connected_node_that_has_not_loaded_it_makes_the_start_fail() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    b.message("{dist_ac_app_unloaded,a,app1}");
    b.start("app1");
    assert_eq!(b.take(), ["AC start {error,{app_not_loaded,app1,[a]}}"]);
    b.node_down("a");
    b.start("app1");
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn the_death_of_the_awaited_node_decides_again() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    b.start("app1");
    assert_eq!(b.take(), [""; 0]);
    b.node_down("a");
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn a_failed_start_of_the_awaited_node_is_told_to_the_caller() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    b.start("app1");
    b.message("{dist_ac_app_started,a,app1,{error,bad}}");
    assert_eq!(b.take(), ["AC start {error,{a,bad}}"]);
}

#[test]
fn weights_are_answered_once_and_crossing_questions_are_answers() {
    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "a");
    b.node_down("a");
    b.message("{dist_ac_weight,app1,5,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,2,b}"], "at once, though it has not begun to decide");
    b.controller(FromController::RunningApplications(9));
    b.wait(1000);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"], "the weight that was told counts");
    b.message("{dist_ac_weight,app1,5,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,0,b}"], "it has elected itself");
}

#[test]
fn a_weight_of_zero_is_no_question() {
    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "a");
    b.message("{dist_ac_weight,app1,0,c}");
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn who_asks_again_after_our_start_is_told_that_we_were_elected() {
    let mut b = standby("b", "[{a,d},{b,c}]", &["a", "c"], "a");
    b.node_down("a");
    b.wait(1000);
    b.message("{dist_ac_weight,app1,2,c}");
    b.controller(FromController::RunningApplications(3));
    b.run("app1");
    b.take();
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,0,b}"], "c holds a round for each tuple");
    b.wait(10_000);
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,3,b}"]);
}

#[test]
fn l4_a_failed_takeover_leaves_the_old_copy_alone() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.takeover(1);
    b.take();
    b.run_error("app1");
    assert_eq!(b.take(), ["call 1 {error,failed}"], "nothing to a: it would stop its copy");
    assert_eq!(b.id(), "{distributed,a}");

    let mut a = runner("a", "[a,b]", &["b"]);
    a.message("{dist_ac_app_started,b,app1,{error,bad}}");
    assert_eq!(a.take(), ["b {dist_ac_app_started,a,app1,ok}"], "it goes on, and b learns it");
    assert_eq!(a.id(), "local");
}

#[test]
fn l4_with_the_old_copy_gone_the_failure_is_told() {
    let mut b = standby("b", "[a,b,c]", &["a", "c"], "a");
    b.takeover(1);
    b.node_down("a");
    b.take();
    b.run_error("app1");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,{error,failed}}", "call 1 {error,failed}"]);
    assert_eq!(b.id(), "undefined");
}

#[test]
fn who_left_it_to_a_better_place_moves_it_when_that_one_dies() {
    let mut b = Rig::up("b", "[a,b,c]", &["a", "c"]);
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.start("app1");
    assert_eq!(b.take(), ["AC start {started,c}"], "it is for a to take it over");
    b.node_down("a");
    assert_eq!(b.take(), ["AC change {takeover,c,undefined}"]);

    let mut b = Rig::up("b", "[a,b,c]", &["a", "c"]);
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.start("app1");
    b.message("{dist_ac_app_started,a,app1,ok}");
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.take();
    b.node_down("a");
    assert_eq!(b.take(), [""; 0], "a has had it, and c took it by hand");
}

#[test]
fn l9_who_asks_for_weights_does_not_run_it() {
    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "c");
    b.node_down("a");
    b.take();
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,2,b}", "AC change start_it"]);
}

#[test]
fn l9_an_echo_of_our_own_weight_proves_nothing() {
    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "a");
    b.message("{dist_ac_weight,app1,2,c}");
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.take();
    b.message("{dist_ac_weight,app1,3,c}");
    assert_eq!(b.take(), ["c {dist_ac_weight,app1,2,b}"]);
    assert_eq!(b.id(), "{distributed,c}");
}

#[test]
fn a_weight_of_our_own_kind_that_does_not_come_is_asked_for_again() {
    let mut b = Rig::up("b", "[{b,c}]", &["c"]);
    b.message("{crabnode_dist_ac,c,true,[],[],self}");
    b.start("app1");
    let question = ["c {dist_ac_weight,app1,2,b}"];
    assert_eq!(b.take(), question);
    b.wait(999);
    assert_eq!(b.take(), [""; 0]);
    b.wait(1);
    assert_eq!(b.take(), [question[0], "c info"], "c took the first one for an echo");
    b.message("{dist_ac_weight,app1,3,c}");
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn l10_errors_before_the_own_start_are_not_remembered() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    b.message("{dist_ac_app_started,a,app1,{error,bad}}");
    b.start("app1");
    assert_eq!(b.take(), [""; 0], "it waits for a, and does not believe that a runs it");
}

/// 0 would say that it starts here, which nobody answers.
#[test]
fn a_weight_that_is_not_known_yet_is_not_nothing() {
    let mut b = Rig::new("b", vec![distribution("app1", 1000, "[{a,b}]")]);
    b.input(Input::Go);
    b.meet("a", "[{appl,app1,undefined,1000,[{a,b}],[{a,true}]}]", "", "[]");
    b.take();
    b.controller(FromController::RunningApplications(0));
    b.message("{dist_ac_weight,app1,3,a}");
    assert_eq!(b.take(), ["a {dist_ac_weight,app1,1,b}"]);
}

#[test]
fn l11_every_application_hears_of_a_death() {
    let mut b = Rig::up_with_two("b", ["[a,c]", "[a,b]"], &["a", "c"]);
    b.message("{dist_ac_app_started,a,app2,ok}");
    b.start("app2");
    b.start("app1");
    b.take();
    assert_eq!(b.engine.apps[0].decision.as_ref().map(|one| one.waiting.clone()), Some(start::Waiting::Any));
    b.node_down("a");
    b.wait(1000);
    assert_eq!(b.take()[0], "AC change {failover,a,undefined}");
}

#[test]
fn l12_an_answer_is_never_answered() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    b.message("{dist_ac_new_node,1,a,[{appl,app1,undefined,1000,[a,b],[{a,true}]}],[]}");
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn l13_answers_are_bounded() {
    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "a");
    let asked = |b: &mut Rig| {
        for _ in 0..1000 {
            b.message("{dist_ac_weight,app1,2,c}");
        }
        b.take().len()
    };
    assert_eq!(
        asked(&mut b),
        4 + 1,
        "2 for each tuple and 2 more, in a second; and a question whether it serves"
    );
    b.wait(1000);
    assert_eq!(
        b.take(),
        ["c {dist_ac_weight,app1,2,b}"],
        "it says nothing else: the last one may have been a question"
    );
    assert_eq!(asked(&mut b), 4, "it was not");
    b.wait(1000);
    assert_eq!(b.take(), [""; 0]);

    let mut b = standby("b", "[a,{b,c}]", &["a", "c"], "a");
    assert_eq!(asked(&mut b), 4 + 1);
    b.says("c", "{distributed,a}");
    b.wait(1000);
    assert_eq!(b.take(), [""; 0], "it serves, and so waits for nothing");
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(b.take().len(), 1);
}

/// It had our question before it was started there, and forgot it; then it asks, and is blocked.
#[test]
fn an_answer_that_comes_late_may_be_a_question() {
    for serves in [false, true] {
        let mut d = Rig::up("d", "[{d,e,b}]", &["b", "e"]);
        d.start("app1");
        assert_eq!(d.take(), ["e {dist_ac_weight,app1,2,d}", "b {dist_ac_weight,app1,2,d}"]);
        d.wait(999);
        d.message("{dist_ac_weight,app1,3,e}");
        assert_eq!(d.take(), [""; 0], "an answer");
        let mut d = Rig::up("d", "[{d,e,b}]", &["b", "e"]);
        d.start("app1");
        d.wait(1000);
        d.take();
        d.says("e", "undefined");
        d.message("{dist_ac_weight,app1,3,e}");
        assert_eq!(d.take(), ["e info"]);
        d.message("{dist_ac_app_started,b,app1,ok}");
        d.take();
        if serves {
            d.says("e", "undefined");
        }
        d.wait(1000);
        let sent = d.take().into_iter().filter(|line| line == "e {dist_ac_weight,app1,2,d}").count();
        assert_eq!(sent, usize::from(!serves));
    }
}

#[test]
fn a_question_finds_an_answer_where_it_runs_elsewhere() {
    let mut b = Rig::up_with_two("b", ["[{b,c},a]", "[{b,c}]"], &["a", "c"]);
    b.message("{dist_ac_app_started,a,app1,ok}");
    b.take();
    b.start("app1");
    assert_eq!(b.take().len(), 2, "a round of weights: who takes over from a?");
    b.message("{dist_ac_weight,app2,2,c}");
    b.take();
    b.message("{dist_ac_weight,app1,2,c}");
    assert_eq!(
        b.take()[0],
        "c {dist_ac_weight,app1,2,b}",
        "it looks for the newest one of b, which is for app2"
    );
}

#[test]
fn l15_a_different_priority_list_is_refused_and_nobody_dies() {
    let mut b = Rig::up("b", "[a,{b,c}]", &["a", "c"]);
    b.message("{dist_ac_app_loaded,a,app1,[a,{c,b}],true,false}");
    assert_eq!(b.take().len(), 1, "the order in a tuple does not matter");
    b.message("{dist_ac_app_loaded,a,app1,[a,b,c],true,false}");
    let mismatch = Event::DistributionMismatch { app: atom("app1"), node: atom("a") };
    assert_eq!(b.events(), [mismatch], "and no answer");

    b.controller(FromController::Unloaded { app: atom("app1") });
    b.take();
    b.message("{dist_ac_app_loaded,a,app1,[b,a],true,false}");
    b.controller(FromController::LoadRequest { app: atom("app1"), permission: true });
    assert_eq!(
        b.take(),
        [
            "a {dist_ac_new_permission,b,app1,false,false}",
            "c {dist_ac_new_permission,b,app1,false,false}",
            "AC load {error,{distribution_mismatch,app1,a}}"
        ]
    );
}

#[test]
fn l17_a_late_stop_does_not_make_a_running_copy_forgotten() {
    let mut a = runner("a", "[a,b]", &["b"]);
    a.message("{dist_ac_app_stopped,app1}");
    assert_eq!(a.id(), "local");
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.message("{dist_ac_app_stopped,app1}");
    assert_eq!(b.id(), "undefined");
    assert_eq!(b.take(), ["a info"]);
    b.wait(5000);
    b.node_down("a");
    b.wait(5000);
    assert_eq!(b.take(), [""; 0], "stopped on purpose: nobody starts it");
}

/// After a netsplit c was told that a runs it, and b, which ran it too, that it is to stop.
#[test]
fn l17_one_of_two_copies_stops() {
    let appl = |id: &str| format!("[{{appl,app1,{id},1000,[a,b,c],[{{a,true}},{{b,true}},{{c,true}}]}}]");
    let info = |id: &str| {
        let info = format!("{{state,{},[],[],[a,b,c],[app1],[],[],[],[],[]}}", appl(id));
        Input::Info { node: atom("a"), info: etf::text::parse_term(&info).expect("a term") }
    };
    let mut c = standby("c", "[a,b,c]", &["a", "b"], "a");
    for (id, wanted) in [("local", "{distributed,a}"), ("undefined", "undefined")] {
        c.message("{dist_ac_app_stopped,app1}");
        assert_eq!(c.take(), ["a info"]);
        assert_eq!(c.id(), "undefined");
        c.input(info(id));
        assert_eq!(c.id(), wanted);
        c.take();
    }
    c.input(info("local"));
    assert_eq!(c.id(), "undefined", "what was not asked for may be old");
}

#[test]
fn l18_a_second_death_counts_from_then() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.node_down("a");
    b.wait(600);
    b.meet("a", "[{appl,app1,local,1000,LIST,[{PEER,true}]}]", "[a,b]", "[{a,app1}]");
    assert_eq!(b.id(), "{distributed,a}", "a short flap moves nothing (L2)");
    b.node_down("a");
    b.take();
    b.wait(600);
    assert_eq!(b.take(), [""; 0]);
    b.wait(400);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
}

#[test]
fn l22_what_runs_elsewhere_is_not_waited_for() {
    let mut c = Rig::up("c", "[a,b,c]", &["a", "b"]);
    c.message("{dist_ac_app_started,b,app1,ok}");
    c.start("app1");
    assert_eq!(c.take(), ["AC start {started,b}"], "a would be elected, and need never act");
}

#[test]
fn l22_a_start_that_was_refused_where_nobody_runs_it_any_more_is_done_all_the_same() {
    let mut c = standby("c", "[b,c]", &["b"], "b");
    let refused = || FromController::StartRefused { app: atom("app1") };
    c.controller(refused());
    assert_eq!(c.take(), [""; 0], "it runs");
    c.message("{dist_ac_app_stopped,app1}");
    c.take();
    c.engine.heal.level = crate::heal::Heal::Off;
    c.controller(refused());
    assert_eq!(c.take(), [""; 0], "as at a stock node");
    c.engine.heal.level = crate::heal::Heal::Own;
    // Long after, so that it did not die with b.
    c.wait(6_000);
    c.node_down("b");
    c.take();
    c.controller(refused());
    assert_eq!(c.take(), ["AC change start_it"]);
    c.controller(refused());
    assert_eq!(c.take(), [""; 0], "it starts");
}

#[test]
fn an_introduction_is_answered_before_this_node_is_ready_and_it_comes_as_no_candidate() {
    let mut b = Rig::new("b", vec![distribution("app1", 1000, "[a,b]")]);
    b.node_up("a");
    b.message("{dist_ac_new_node,1,a,[{appl,app1,undefined,1000,[a,b],[{a,true}]}],[]}");
    assert_eq!(b.take(), ["a {dist_ac_new_node,1,b,[],[]}"]);
    b.input(Input::Go);
    assert_eq!(b.take(), ["AC control app1", "a {dist_ac_new_permission,b,app1,true,false}"]);
}

#[test]
fn a_start_waits_for_members_that_may_not_know_that_it_is_loaded_here() {
    for answers in ["an answer", "a start, an answer", "death", "silence"] {
        let mut a = Rig::new("a", vec![distribution("app1", 1000, "[a,c]")]);
        a.input(Input::Go);
        a.message("{crabnode_dist_ac,c,false,[],[],self}");
        a.meet("c", "[{appl,app1,{failover,b},1000,LIST,[{PEER,true}]}]", "[a,c]", "[]");
        a.message("{crabnode_dist_ac,c,true,[],[],self}");
        a.take();
        a.controller(FromController::LoadRequest { app: atom("app1"), permission: true });
        a.start("app1");
        let told = ["c {dist_ac_app_loaded,a,app1,[a,c],true,false}", "AC load ok"];
        assert_eq!(a.take(), told, "c may be failing over, without this node");
        match answers {
            "death" => a.node_down("c"),
            "silence" => a.wait(10_000),
            _ => {
                if answers == "a start, an answer" {
                    a.message("{dist_ac_app_started,c,app1,ok}");
                }
                a.message("{dist_ac_app_loaded,c,app1,[a,c],true,true}");
            }
        }
        let start =
            if answers == "a start, an answer" { "AC start {takeover,c}" } else { "AC start start_it" };
        assert!(a.take().contains(&start.to_owned()), "{answers}");
    }
}

#[test]
fn a_node_without_dist_ac_is_no_peer() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.node_up("a");
    assert_eq!(b.take(), ["a get_known_nodes"]);
    b.start("app1");
    assert_eq!(b.take(), [""; 0], "a may run it, and has not been met");
    b.input(Input::Known { node: atom("a"), nodes: None });
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn a_hidden_node_is_no_peer() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.input(Input::NodeUp { node: atom("a"), hidden: true });
    b.start("app1");
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn a_start_does_not_wait_for_ever_for_a_peer_that_says_nothing() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.node_up("a");
    b.start("app1");
    b.take();
    b.wait(9_999);
    assert_eq!(b.take(), [""; 0]);
    b.wait(1);
    assert_eq!(b.take(), ["AC start start_it"]);
}

#[test]
fn running_applications_are_told_after_an_own_introduction() {
    let mut b = runner("b", "[b,a]", &[]);
    b.meet("a", "[{appl,app1,undefined,1000,LIST,[{PEER,true}]}]", "[b,a]", "[]");
    let lines = b.take();
    assert_eq!(lines.last().map(String::as_str), Some("a {dist_ac_app_started,b,app1,ok}"));
}

#[test]
fn two_copies_that_meet_become_one() {
    let record = "[{appl,app1,local,1000,LIST,[{PEER,true}]}]";
    let mut a = runner("a", "[a,b]", &[]);
    a.meet("b", record, "[a,b]", "[{b,app1}]");
    let lines = a.take();
    assert!(lines.contains(&"b {dist_ac_app_started,a,app1,ok}".to_owned()), "{lines:?}");
    assert_eq!(a.id(), "local");

    let mut b = Rig::up("b", "[a,b]", &["c"]);
    b.start("app1");
    b.run("app1");
    b.take();
    b.meet("a", record, "[a,b]", "[{a,app1}]");
    let lines = b.take();
    assert!(lines.contains(&"AC change {started,a}".to_owned()), "{lines:?}");
    assert!(lines.contains(&"c {dist_ac_app_started,a,app1,ok}".to_owned()), "{lines:?}");
}

#[test]
fn nodes_of_our_kind_never_answer_each_other_without_end() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.node_up("a");
    b.input(Input::Known { node: atom("a"), nodes: Some(vec![]) });
    b.input(Input::Locked { lock: Lock::SyncDacs, granted: true });
    b.take();
    b.message("{crabnode_dist_ac,a,false,[],[],self}");
    b.message("{dist_ac_new_node,1,a,[{appl,app1,undefined,1000,[a,b],[{a,true}]}],[]}");
    assert_eq!(b.take(), [""; 0], "the two introductions crossed: each is the other's answer");
}

#[test]
fn the_lock_is_not_waited_for_nor_held_for_ever() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.node_up("a");
    b.input(Input::Known { node: atom("a"), nodes: Some(vec![]) });
    b.take();
    b.wait(5000);
    assert_eq!(b.take(), ["a {dist_ac_new_node,1,b,[{appl,app1,undefined,1000,[a,b],[{b,true}]}],[]}"]);
    b.input(Input::Locked { lock: Lock::SyncDacs, granted: true });
    b.wait(5000);
    let outputs: Vec<Output> = std::iter::from_fn(|| b.engine.poll_output()).collect();
    assert_eq!(outputs, [Output::Unlock { lock: Lock::SyncDacs }]);
}

#[test]
fn what_was_not_asked_for_is_an_error_and_changes_nothing() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    for lock in [Lock::Start, Lock::SyncDacs, Lock::Call(CallId(1))] {
        let error = b.engine.handle(b.now, Input::Locked { lock, granted: true });
        assert_eq!(error, Err(Error::UnexpectedLock { lock }));
    }
    let unknown = FromController::Run { app: atom("nope"), result: Ok(()) };
    let error = b.engine.handle(b.now, Input::Controller(unknown));
    assert_eq!(error, Err(Error::UnknownApplication { app: atom("nope") }));
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn load_with_a_specification() {
    let mut b = Rig::up("b", "[a,b]", &["a"]);
    let mut load = |spec: &str| {
        let spec = etf::text::parse_term(spec).expect("a term");
        b.call(1, Request::LoadApplication { app: atom("app2"), spec, permission: true });
        b.take()
    };
    assert_eq!(load("{app2,infinity,[]}"), ["call 1 {error,{bad_distribution_spec,{app2,infinity,[]}}}"]);
    assert_eq!(load("{app3,[a]}"), ["call 1 {error,{bad_distribution_spec,{app3,[a]}}}"]);
    assert_eq!(load("{app2,5,foo}"), ["call 1 {error,{badarg,foo}}"]);
    assert_eq!(load("{app2,[]}"), ["call 1 ok"], "a local application");
    assert_eq!(
        load("{app2,5,[a,b]}"),
        ["AC control app2", "a {dist_ac_app_loaded,b,app2,[a,b],true,false}", "call 1 ok"]
    );
    b.start("app2");
    assert_eq!(b.take(), ["AC start {error,{app_not_loaded,app2,[a]}}"], "a has not answered");
    b.message("{dist_ac_app_loaded,a,app2,[a,b],true,true}");
    b.start("app2");
    assert_eq!(b.take(), [""; 0], "and now a is waited for");
}

#[test]
fn what_was_taken_over_during_an_ordered_stop_is_taken_back_and_not_started_afresh() {
    let mut a = runner("a", "[a,b]", &["b"]);
    a.message("{dist_ac_new_permission,b,app1,false,false}");
    a.permit(1, false);
    assert_eq!(a.take(), ["b {dist_ac_new_permission,a,app1,false,true}", "AC change stop_it"]);
    a.message("{dist_ac_app_started,b,app1,ok}");
    a.controller(FromController::NotRun { app: atom("app1") });
    assert_eq!(a.take(), ["AC change {started,b}", "call 1 ok"]);
    assert_eq!(a.id(), "{distributed,b}");
    a.permit(2, true);
    assert_eq!(
        a.take(),
        ["b {dist_ac_new_permission,a,app1,true,false}", "AC change {takeover,b,undefined}"]
    );
}

#[test]
fn a_start_request_that_meets_an_own_start_is_answered() {
    let mut b = Rig::up("b", "[b]", &[]);
    b.controller(FromController::StartRequest { app: atom("app1") });
    b.permit(1, true);
    assert_eq!(b.take(), ["AC change start_it"], "dropped by the controller, which waits for an answer");
    b.input(Input::Locked { lock: Lock::Start, granted: true });
    assert_eq!(b.take(), ["AC start start_it"]);
    b.run("app1");
    assert_eq!(b.take(), ["call 1 ok"]);
}

#[test]
fn what_info_says() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    b.call(1, Request::Info);
    assert_eq!(
        b.take(),
        [
            "call 1 {state,[{appl,app1,{distributed,a},1000,[a,b],[{a,true},{b,true}]}],[],[],[a,b],[app1],[],[],\
          [],[],[]}"
        ]
    );
    b.call(2, Request::KnownNodes);
    b.call(3, Request::Nodes(atom("app1")));
    assert_eq!(b.take(), ["call 2 [a,b]", "call 3 [a,b]"]);
}

#[test]
fn a_changed_distribution_moves_nothing() {
    let mut b = standby("b", "[a,b]", &["a"], "a");
    let new = vec![distribution("app1", 10, "[b,a]"), distribution("other", 0, "[b]")];
    b.call(1, Request::DistributionChanged(new));
    assert_eq!(b.take(), ["call 1 ok"]);
    b.node_down("a");
    b.wait(10);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
    assert_eq!(b.engine.id(&atom("other")), None);
}
