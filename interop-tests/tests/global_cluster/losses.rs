//! Items 16, 21, 22 and 23: nodes and connections that are lost, and peers that are slow or say what does not fit.

use std::time::Duration;

use crabnode::{Dest, Term, etf::Map, tuple};
use interop_tests::{
    NodeSpec,
    clock::{now, pause},
};

use crate::{
    members::{Members, atom, atoms, t},
    peer_support::each_release,
};

const FOUR: [&str; 4] = ["a", "b", "r", "s"];

#[test]
fn losses_in_a_cluster_of_four() {
    each_release(|otp| {
        let mut members = Members::joined(otp, &["a", "b"], &["r", "s"]);
        item_16_who_dies_in_the_middle_leaves_no_lock(&mut members);
        members.nothing_is_wrong_but_for(&["dying", "victim"]);
        item_22_disconnect_leaves_the_others_together(&members);
        // OTP 23 takes what is said in another session's name for a word about the present one.
        if members.otp.number() >= 25 {
            item_23_stale_tags_change_nothing(&members);
        }
        if members.otp.number() >= 25 {
            item_21_a_lost_connection_leaves_no_overlap(&members);
        }
        members.nothing_crashed();
    });
}

/// Names can be registered, and soon.
#[track_caller]
fn works(members: &Members, nodes: &[&str]) {
    let started = now();
    for by in nodes {
        let pid = members.sleeper(by);
        assert!(members.register(by, &t("works"), &pid), "by {by}");
        members.all_have(nodes, &t("works"), Some(&pid));
        members.global(nodes[0], "unregister_name", vec![t("works")]);
        members.kill(&pid);
    }
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
}

fn item_16_who_dies_in_the_middle_leaves_no_lock(members: &mut Members) {
    // The negotiation begins some 200 ms after the two have met, and takes but a few.
    for (delay, to) in [(0, "a"), (100, "r"), (190, "b"), (205, "a"), (220, "s"), (300, "r"), (1300, "a")] {
        let spec = NodeSpec::args(["--connect", &format!("{to}@localhost")]);
        let mut dying = members.cluster.peer_with("dying", &spec);
        pause(Duration::from_millis(delay));
        dying.kill9();
        drop(dying);
        works(members, &["r", "a"]);
    }
    // A stock node that meets one of ours, twice.
    for delay in [200, 400] {
        members.add_erl("victim", &NodeSpec::default());
        members.connect("victim", "r");
        pause(Duration::from_millis(delay));
        members.stop("victim");
        works(members, &["s", "b"]);
    }
    members.are_one(&FOUR);
}

fn item_22_disconnect_leaves_the_others_together(members: &Members) {
    let left = members.runtime.block_on(members.node("r").global().disconnect());
    assert_eq!(Term::List(left.into_iter().map(Term::Atom).collect()), atoms(&["a", "b", "s"]));
    members.are_one(&["a", "b", "s"]);
    members.are_alone(&["r"]);
    pause(Duration::from_millis(300));
    members.are_one(&["a", "b", "s"]);
    members.join(&FOUR);
    // `global:disconnect/0` is of OTP 25.
    if members.otp.number() >= 25 {
        members.global("a", "disconnect", vec![]);
        members.are_one(&["b", "r", "s"]);
        members.are_alone(&["a"]);
        pause(Duration::from_millis(300));
        members.are_one(&["b", "r", "s"]);
        members.join(&FOUR);
    }
    works(members, &FOUR);
}

/// What belongs to a session that is over, or never was, is said in the middle of one.
fn item_23_stale_tags_change_nothing(members: &Members) {
    for delay in [0, 150, 205] {
        members.part(&FOUR);
        members.connect("r", "a");
        pause(Duration::from_millis(delay));
        members.run(members.node("r"), async move |context| {
            let locker = tuple!(atom "lock_set", context.pid(), true, Term::NIL, 1);
            let server = || Dest::NameAt("global_name_server".into(), "a@localhost".into());
            let own = || atom("r");
            for cast in [
                tuple!(atom "exchange", own(), Term::NIL, Term::NIL, 1),
                tuple!(atom "resolved", own(), Term::NIL, Term::NIL, Term::NIL, Term::NIL, 1),
                locker,
            ] {
                context.cast(server(), cast);
            }
            for info in
                [tuple!(atom "cancel_connect", own(), 1), tuple!(atom "remove_connection", atom("nobody"))]
            {
                context.send(server(), info).await;
            }
        });
        members.are_one(&["r", "a"]);
        works(members, &["r", "a"]);
        members.join(&FOUR);
    }
}

fn item_21_a_lost_connection_leaves_no_overlap(members: &Members) {
    members.part(&FOUR);
    let three = ["a", "b", "r"];
    // Between two stock nodes, by a stock node to ours, and by ours to a stock node.
    for (from, to) in [("a", "b"), ("a", "r"), ("r", "b")] {
        members.join(&three);
        pause(Duration::from_millis(500));
        members.call(from, "erlang", "disconnect_node", vec![atom(to)]);
        members.do_not_overlap(&three, from, to);
        for node in three {
            let info = members.global(node, "info", vec![]);
            let names = |known: &Map| known.iter().filter(|(key, _)| key.as_atom().is_some()).count();
            let known = info.as_tuple().and_then(|state| state.get(2)?.as_map().map(names));
            let nodes = members.call(node, "erlang", "nodes", vec![]);
            assert_eq!(known, nodes.as_list().map(<[Term]>::len), "{node}: {info}");
        }
        // Who has forgotten another is not connected with it either: a ping heals it.
        for other in [from, to] {
            if other != "r" {
                assert!(members.call("r", "net_adm", "ping", vec![atom(other)]).is_atom("pong"));
            }
        }
        members.join(&three);
        works(members, &three);
    }
    // Three of ours with one stock node.
    members.part(&three);
    members.join(&["r", "s", "b"]);
    pause(Duration::from_millis(500));
    members.call("r", "erlang", "disconnect_node", vec![atom("s")]);
    members.do_not_overlap(&["r", "s", "b"], "r", "s");
}

/// A member that takes three seconds for its next step holds the others up no longer.
#[test]
fn item_23_a_member_that_stands_still_for_a_while() {
    each_release(|otp| {
        let members = Members::joined(otp, &["a"], &["r"]);
        for (delay, to) in [(150, "a"), (210, "r"), (240, "a")] {
            let spec = NodeSpec::args(["--connect", &format!("{to}@localhost")]);
            let mut slow = members.cluster.peer_with("slow", &spec);
            pause(Duration::from_millis(delay));
            slow.process().signal("STOP");
            pause(Duration::from_secs(3));
            slow.process().signal("CONT");
            members.are_one(&["a", "r", "slow"]);
            works(&members, &["r", "a"]);
            drop(slow);
            members.are_one(&["a", "r"]);
        }
        members.nothing_is_wrong_but_for(&["slow"]);
    });
}
