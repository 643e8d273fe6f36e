//! What this node mends by itself, each fault by its number (dist_ac.md 6).

use super::*;
use crate::heal::{Act, Fault, Heal, HealConfig, Repair, WinnerRule};

fn standby(list: &str, peers: &[&str]) -> Rig {
    let mut rig = Rig::up("b", list, peers);
    rig.message("{dist_ac_app_started,a,app1,ok}");
    rig.start("app1");
    rig.take();
    rig
}

/// `a` and `b` are equals, and `b` runs it since that second.
fn runner(since: Option<u64>) -> Rig {
    let mut rig = Rig::up("b", "[{a,b}]", &[]);
    rig.engine.heal.clock = since.map(|since| (rig.now, SystemTime::UNIX_EPOCH + Duration::from_secs(since)));
    rig.start("app1");
    rig.run("app1");
    rig.take();
    rig
}

fn level(rig: &mut Rig, level: Heal, dry_run: bool) {
    rig.engine.heal = HealConfig { level, dry_run, ..HealConfig::default() };
}

/// A member of ours comes back, and says since when it runs it too.
fn meet_ours(rig: &mut Rig, peer: &str, since: &str) {
    rig.node_up(peer);
    rig.message(&format!("{{crabnode_dist_ac,{peer},false,[],[],self}}"));
    rig.message(&format!("{{dist_ac_new_node,1,{peer},[{{appl,app1,local,1000,[],[{{{peer},true}}]}}],[]}}"));
    rig.take();
    rig.message(&format!("{{crabnode_dist_ac,{peer},true,[{{app1,{since}}}],[],self}}"));
}

/// A member that is up, and has met others of our own kind.
fn among_ours(me: &str, list: &str, peers: &[&str]) -> Rig {
    let mut rig = Rig::up(me, list, peers);
    for peer in peers {
        rig.message(&format!("{{crabnode_dist_ac,{peer},true,[],[],self}}"));
    }
    rig.take();
    rig
}

#[test]
fn l5_a_stop_just_before_the_death_of_the_node_is_a_failover() {
    for list in ["[a,c,b]", "[a,{b,c}]", "[{a,b,c}]"] {
        let mut b = standby(list, &["a", "c"]);
        b.message("{dist_ac_app_stopped,app1}");
        b.wait(4_900);
        b.node_down("a");
        let start = Act::Start { app: atom("app1"), after: Some(Duration::from_secs(1)) };
        let repair = Repair { fault: Fault::StoppedWithNode, act: start, dry_run: false };
        assert!(b.events().contains(&Event::Repair(repair)));
        assert_eq!(b.id(), "{failover,a}");
        b.wait(999);
        assert_eq!(b.take(), [""; 0]);
        b.wait(1);
        assert_eq!(
            b.take(),
            ["AC change {failover,a,undefined}"],
            "{list}: c has forgotten it, and is not asked"
        );
        b.run("app1");
        assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,ok}"]);
    }
}

#[test]
fn l5_members_of_ours_decide_among_themselves() {
    let mut b = standby("[a,c,d,b]", &["a", "c", "d"]);
    b.message("{crabnode_dist_ac,d,true,[],[],self}");
    b.message("{dist_ac_app_stopped,app1}");
    assert_eq!(b.take(), ["a info"]);
    b.node_down("a");
    b.wait(1000);
    assert_eq!(b.take(), [""; 0], "d goes before b");
    b.message("{dist_ac_app_started,d,app1,ok}");
    assert_eq!(b.take(), ["AC change {started,d}"]);
    b.wait(60_000);
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn l5_is_left_where_nothing_is_mended() {
    for (heal, dry_run) in [(Heal::Off, false), (Heal::Own, true)] {
        let mut b = standby("[a,b]", &["a"]);
        level(&mut b, heal, dry_run);
        b.message("{dist_ac_app_stopped,app1}");
        b.node_down("a");
        let reported =
            b.events().iter().any(|event| matches!(event, Event::Repair(repair) if repair.dry_run));
        assert_eq!(reported, dry_run);
        b.wait(60_000);
        assert_eq!(b.take(), [""; 0]);
        assert_eq!(b.id(), "undefined");
    }
}

/// OTP's application controller forgets the application, and goes on with its start; so does ours.
#[test]
fn a_failover_goes_on_when_it_is_stopped_meanwhile_and_is_not_tried_again() {
    let fails_over = || {
        let mut b = standby("[a,b,c]", &["a", "c"]);
        b.node_down("a");
        b.wait(1000);
        assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
        b.controller(FromController::Stopped { app: atom("app1") });
        assert_eq!((b.take(), b.id()), (vec![], "run_waiting".to_owned()));
        b.message("{dist_ac_weight,app1,3,c}");
        assert_eq!(b.take(), ["c {dist_ac_weight,app1,0,b}"], "who starts it there has to know");
        b
    };
    let mut b = fails_over();
    b.run("app1");
    assert_eq!(
        (b.take(), b.id()),
        (vec!["c {dist_ac_app_started,b,app1,ok}".to_owned()], "local".to_owned())
    );
    let mut b = fails_over();
    b.run_error("app1");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,{error,failed}}"]);
    b.wait(100_000);
    assert_eq!((b.take(), b.id()), (vec![], "undefined".to_owned()));
}

#[test]
fn a_takeover_that_is_stopped_meanwhile_and_fails_leaves_it_where_it_was() {
    let mut b = standby("[a,b]", &["a"]);
    b.takeover(1);
    b.controller(FromController::Stopped { app: atom("app1") });
    assert_eq!((b.take().pop(), b.id()), (Some("call 1 {error,stopped}".to_owned()), "takeover".to_owned()));
    b.run_error("app1");
    assert_eq!((b.take(), b.id()), (vec![], "undefined".to_owned()), "it does not stand by any more");
    b.start("app1");
    assert_eq!(b.take(), ["AC start {started,a}"]);
}

#[test]
fn l19_a_failed_failover_is_tried_again_after_longer_and_longer_waits() {
    let mut b = standby("[a,b]", &["a"]);
    b.node_down("a");
    b.wait(1000);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
        b.run_error("app1");
        assert_eq!(b.id(), "{failover,a}");
        b.wait(wait * 1000 - 1);
        assert_eq!(b.take(), [""; 0], "after {wait} s");
        b.wait(1);
    }
    b.run("app1");
    assert_eq!(b.id(), "local");
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
    b.wait(600_000);
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn l19_a_stock_node_that_failed_is_not_waited_for() {
    let mut b = standby("[a,c,b]", &["a", "c"]);
    b.node_down("a");
    b.wait(1000);
    assert_eq!(b.take(), [""; 0], "c is elected");
    b.message("{dist_ac_app_started,c,app1,{error,bad}}");
    b.wait(1000);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"]);
}

#[test]
fn l19_who_failed_lets_the_others_go_first() {
    let mut b = standby("[a,b,d]", &["a", "d"]);
    b.message("{crabnode_dist_ac,d,true,[],[],self}");
    b.node_down("a");
    b.wait(1000);
    b.run_error("app1");
    b.take();
    b.wait(1000);
    assert_eq!(b.take(), [""; 0], "it is for d");
    b.message("{dist_ac_app_started,d,app1,{error,bad}}");
    b.wait(2000);
    assert_eq!(b.take(), ["AC change {failover,a,undefined}"], "all have failed: from the beginning");
}

#[test]
fn l4_who_makes_it_good_does_not_wait_for_one_of_ours_where_it_was_not_started() {
    let mut b = standby("[a,d,b,c]", &["a", "c", "d"]);
    b.message("{crabnode_dist_ac,d,true,[],[],self}");
    b.message("{dist_ac_app_started,c,app1,{error,bad}}");
    b.take();
    let mut seconds = 0;
    let line = loop {
        b.wait(1000);
        seconds += 1;
        assert!(seconds < 60);
        if b.take().contains(&"d info".to_owned()) {
            b.says_not_started("d", "[a,d,b,c]");
        }
        if let Some(line) = b.take().pop() {
            break line;
        }
    };
    assert_eq!((seconds, line.as_str()), (16, "AC change start_it"));
}

#[test]
fn a_start_that_fails_is_not_repeated_by_anybody() {
    let mut b = Rig::up("b", "[b,a]", &["a"]);
    b.start("app1");
    b.run_error("app1");
    b.take();
    b.wait(600_000);
    assert_eq!(b.take(), [""; 0]);
}

#[test]
fn l4_a_takeover_that_fails_and_stops_the_old_copy_is_made_good() {
    let mut b = standby("[a,b,c]", &["a", "c"]);
    b.message("{dist_ac_app_started,c,app1,{error,bad}}");
    assert_eq!(b.take(), ["AC change {started,c}"]);
    b.wait(1000);
    assert_eq!(b.take(), ["AC change start_it"]);

    let mut b = standby("[a,b,c]", &["a", "c"]);
    b.message("{dist_ac_app_started,c,app1,{error,bad}}");
    b.message("{dist_ac_app_started,a,app1,ok}");
    b.take();
    b.wait(59_000);
    assert_eq!(b.take(), [""; 0], "a is of ours, and goes on");
}

#[test]
fn l4_who_waits_for_a_takeover_that_failed_hears_of_the_old_copy() {
    let mut b = standby("[a,b]", &["a", "c", "d"]);
    b.message("{crabnode_dist_ac,d,true,[],[],self}");
    b.takeover(1);
    b.take();
    b.run_error("app1");
    assert_eq!(
        b.take(),
        [
            "d {dist_ac_app_started,a,app1,ok}",
            "c {dist_ac_app_started,b,app1,ok}",
            "c {dist_ac_app_stopped,app1}",
            "c {dist_ac_app_stopped,app1}",
            "c {dist_ac_app_started,a,app1,ok}",
            "call 1 {error,failed}"
        ]
    );
}

#[test]
fn l1_of_two_equal_copies_the_older_goes_on_as_both_know() {
    for (own, his, winner) in [
        (Some(5), "6000", "b"),
        (Some(5), "4000", "a"),
        (Some(5), "5000", "a"),
        (Some(5), "undefined", "b"),
        (None, "6000", "a"),
        (None, "undefined", "a"),
    ] {
        let mut b = runner(own);
        meet_ours(&mut b, "a", his);
        assert_eq!(b.id(), if winner == "b" { "local" } else { "{distributed,a}" }, "{own:?} and {his}");
    }
}

#[test]
fn l1_the_priority_list_goes_before_the_age() {
    let mut b = Rig::up("b", "[a,b]", &[]);
    b.engine.heal.clock = Some((b.now, SystemTime::UNIX_EPOCH));
    b.start("app1");
    b.run("app1");
    meet_ours(&mut b, "a", "6000");
    assert_eq!(b.id(), "{distributed,a}");
}

#[test]
fn l1_a_rule_of_the_user_goes_before_all() {
    let mut b = runner(None);
    b.engine.heal.winner = Some(WinnerRule::new(|conflict| Some(conflict.copies[1].node.clone())));
    meet_ours(&mut b, "a", "undefined");
    assert_eq!(b.id(), "local");
}

#[test]
fn l1_with_healing_off_or_in_a_dry_run_both_copies_go_on() {
    for (heal, dry_run) in [(Heal::Off, false), (Heal::Own, true), (Heal::Cluster, true)] {
        let mut b = runner(None);
        level(&mut b, heal, dry_run);
        let record = "[{appl,app1,local,1000,LIST,[{PEER,true}]}]";
        b.meet("a", record, "[{a,b}]", "[{a,app1}]");
        let (mut left, mut lines) = (0, Vec::new());
        while let Some(output) = b.engine.poll_output() {
            match output {
                Output::Event(Event::ConflictLeft { winner, loser, .. }) => {
                    assert_eq!((winner, loser), (atom("a"), atom("b")));
                    left += 1;
                }
                Output::Send { node, message: Message::AppStarted { .. } } => lines.push(node),
                Output::Controller(message) => panic!("{message:?}"),
                _ => {}
            }
        }
        assert_eq!((left, lines), (1, vec![]));
        assert_eq!(b.id(), "local");
    }
}

#[test]
fn l1_who_was_taken_over_from_just_before_hides_no_conflict() {
    let mut a = among_ours("a", "[a,b,c]", &["b", "c"]);
    a.message("{dist_ac_app_started,c,app1,ok}");
    a.start("app1");
    a.run("app1");
    a.take();
    a.message("{crabnode_dist_ac,b,true,[{app1,undefined}],[],self}");
    assert_eq!(a.take(), ["c {dist_ac_app_started,a,app1,ok}", "b {dist_ac_app_started,a,app1,ok}"]);
}

#[test]
fn l1_a_bystander_does_not_ask_two_owners_without_end() {
    let mut c = among_ours("c", "[a,b,c]", &["a", "b"]);
    c.message("{dist_ac_app_started,a,app1,ok}");
    c.start("app1");
    c.take();
    let mut asked = 0;
    for _ in 0..50 {
        for node in ["b", "a"] {
            c.message(&format!("{{crabnode_dist_ac,{node},true,[{{app1,undefined}}],[],self}}"));
            asked += std::iter::from_fn(|| c.engine.poll_output())
                .filter(|output| matches!(output, Output::Send { message: Message::Status { .. }, .. }))
                .count();
        }
    }
    assert!((1..=10).contains(&asked), "asked {asked} times");
}

/// What this node sends to a peer, in order.
fn sent(rig: &mut Rig, peer: &str) -> Vec<Message> {
    let outputs: Vec<Output> = std::iter::from_fn(|| rig.engine.poll_output()).collect();
    let to_peer = |output| match output {
        Output::Send { node, message } if node == peer => Some(message),
        _ => None,
    };
    outputs.into_iter().filter_map(to_peer).collect()
}

/// c takes over from a, which dies before it hears of that; b fails over, and both are up at the same moment.
#[test]
fn l1_a_takeover_that_crosses_a_failover_leaves_one_copy() {
    for c_hears_of_the_death in [false, true] {
        let [mut b, mut c] = ["b", "c"].map(|me| {
            let peer = if me == "b" { "c" } else { "b" };
            let mut rig = among_ours(me, "[a,b,c]", &["a", peer]);
            rig.message("{dist_ac_app_started,a,app1,ok}");
            rig.start("app1");
            rig.take();
            rig
        });
        c.takeover(1);
        b.node_down("a");
        b.wait(1_000);
        if c_hears_of_the_death {
            c.node_down("a");
        }
        b.take();
        c.take();
        b.run("app1");
        c.run("app1");
        for _ in 0..5 {
            let (to_c, to_b) = (sent(&mut b, "c"), sent(&mut c, "b"));
            to_c.into_iter().for_each(|message| c.input(Input::Message(message)));
            to_b.into_iter().for_each(|message| b.input(Input::Message(message)));
        }
        assert_eq!((b.id(), c.id()), ("local".into(), "{distributed,b}".into()), "{c_hears_of_the_death}");
    }
}

/// b takes over from c, which had just given way to d; later c takes over by hand.
#[test]
fn l1_who_had_given_way_already_may_take_over_later() {
    let mut b = among_ours("b", "[b,c,d]", &["c", "d"]);
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.start("app1");
    b.message("{dist_ac_app_started,d,app1,ok}");
    b.run("app1");
    assert_eq!(b.id(), "local");
    b.message("{dist_ac_app_started,c,app1,ok}");
    assert_eq!(b.id(), "local", "c had not heard of this copy");
    b.take();
    b.message("{dist_ac_app_started,c,app1,ok}");
    assert_eq!(b.id(), "{distributed,c}", "now it has");
}

#[test]
fn l1_of_two_that_give_way_to_each_other_one_starts_it_again() {
    let mut b = among_ours("b", "[b,c]", &["c"]);
    b.start("app1");
    b.run("app1");
    b.take();
    b.message("{dist_ac_app_started,c,app1,ok}");
    assert_eq!(b.take(), ["AC change {started,c}"]);
    b.wait(999);
    assert_eq!(b.take(), [""; 0]);
    b.wait(1);
    for _ in 0..2 {
        assert_eq!(b.take(), ["c info"]);
        b.says("c", "{distributed,b}");
        b.wait(1000);
    }
    assert_eq!(b.take(), ["AC change start_it"]);
}

/// b has forgotten c, and so has not told it that it stopped.
#[test]
fn a_stock_node_that_no_longer_runs_it_is_found_out() {
    let mut c = Rig::up("c", "[b,c]", &["b"]);
    c.start("app1");
    c.message("{dist_ac_app_started,b,app1,ok}");
    c.wait(2000);
    c.take();
    c.wait(57_999);
    assert_eq!(c.take(), [""; 0]);
    c.wait(1);
    for _ in 0..2 {
        assert_eq!(c.take(), ["b info"]);
        c.says("b", "undefined");
        c.wait(1000);
    }
    assert_eq!(
        (c.take().last().map(String::as_str), c.id().as_str()),
        (Some("AC change start_it"), "run_waiting")
    );
}

/// It moves from b to a while c asks: b has stopped it when c's second question comes, but a had not started it at the first.
#[test]
fn two_that_name_each_other_are_asked_again() {
    let mut c = among_ours("c", "[a,{b,c}]", &["a", "b"]);
    c.message("{dist_ac_app_started,a,app1,ok}");
    c.start("app1");
    c.message("{dist_ac_app_started,b,app1,ok}");
    c.take();
    c.wait(1000);
    assert_eq!(c.take(), ["a info", "b info"]);
    c.says("a", "{distributed,b}");
    c.says("b", "{distributed,a}");
    c.wait(999);
    assert_eq!(c.take(), [""; 0], "what is under way arrives");
    c.wait(1);
    assert_eq!(c.take(), ["a info", "b info"]);
    c.says("b", "{distributed,a}");
    c.says("a", "local");
    assert_eq!((c.take(), c.id()), (vec!["AC change {started,a}".to_owned()], "{distributed,a}".to_owned()));
}

#[test]
fn l1_who_gave_way_asks_the_winner_once() {
    let mut b = among_ours("b", "[b,c]", &["c", "d"]);
    b.start("app1");
    b.run("app1");
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.wait(1000);
    assert_eq!(b.take().last().map(String::as_str), Some("c info"));
    b.says("c", "{distributed,d}");
    assert_eq!(b.take(), ["d info"], "it moved on");
    b.says("d", "local");
    assert_eq!((b.take(), b.id()), (vec!["AC change {started,d}".to_owned()], "{distributed,d}".to_owned()));
    assert_eq!(b.engine.poll_timeout(), None);
}

#[test]
fn l1_a_copy_that_was_to_give_way_and_goes_on_is_met_again() {
    let mut b = among_ours("b", "[b,c]", &["c"]);
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.start("app1");
    b.run("app1");
    b.message("{dist_ac_app_started,c,app1,ok}");
    b.take();
    b.wait(1000);
    assert_eq!(b.take(), ["c info"]);
    b.says("c", "local");
    assert!(matches!(sent(&mut b, "c").as_slice(), [Message::Status { met: false, .. }]), "since when?");
    b.message("{crabnode_dist_ac,c,true,[{app1,undefined}],[],self}");
    assert_eq!(b.take(), ["c {dist_ac_app_started,b,app1,ok}"]);
}

#[test]
fn who_takes_over_tells_our_own_kind_before() {
    let mut b = among_ours("b", "[a,c,b]", &["a", "c"]);
    b.message("{dist_ac_app_started,a,app1,ok}");
    b.start("app1");
    b.take();
    b.takeover(1);
    let starting = vec![atom("app1")];
    assert!(sent(&mut b, "c").iter().any(
        |message| matches!(message, Message::Status { met: true, starting: all, .. } if *all == starting)
    ));

    let mut c = among_ours("c", "[a,c,b]", &["a", "b"]);
    c.message("{dist_ac_app_started,a,app1,ok}");
    c.start("app1");
    c.message("{crabnode_dist_ac,b,true,[],[app1],self}");
    c.take();
    c.node_down("a");
    c.wait(1000);
    assert_eq!(c.take(), [""; 0], "b is starting it");
    c.message("{dist_ac_app_started,b,app1,ok}");
    assert_eq!(c.take(), ["AC change {started,b}", "AC change {takeover,b,undefined}"], "c goes before b");
}

#[test]
fn l3_two_stock_copies_that_a_standby_meets_become_one() {
    let record = "[{appl,app1,local,1000,LIST,[{PEER,true}]}]";
    let mut b = standby("[a,c,b]", &["a"]);
    b.wait(6_000);
    b.meet("c", record, "[a,c,b]", "[{c,app1}]");
    let lines = b.take();
    assert_eq!(lines.last().map(String::as_str), Some("c {dist_ac_app_started,a,app1,ok}"), "{lines:?}");
    // Who took over from a meanwhile says so to c too, but maybe before this.
    b.message("{dist_ac_app_started,d,app1,ok}");
    assert!(b.take().contains(&"c {dist_ac_app_started,d,app1,ok}".to_owned()));

    let mut b = standby("[c,a,b]", &["a"]);
    b.wait(6_000);
    b.meet("c", record, "[c,a,b]", "[{c,app1}]");
    let lines = b.take();
    assert!(lines.contains(&"a {dist_ac_app_started,c,app1,ok}".to_owned()), "{lines:?}");
    assert_eq!(b.id(), "{distributed,c}");
}
