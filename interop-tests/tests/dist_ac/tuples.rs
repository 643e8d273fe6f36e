//! C. Tuples (items 20 to 24).

use crabnode::tuple;

use crate::{
    dist_ac_support::{Members, atom, node},
    joining::{heard, trace},
};

pub(crate) fn item_20_and_22_fewer_applications_then_the_smaller_name(members: &mut Members) {
    members.boot("u");
    // A tie: the smaller name, be it ours or not.
    for (app, first, all) in [("i20_tie", "r", ["s", "t", "r"]), ("i20_tie_u", "t", ["s", "u", "t"])] {
        members.start_app(app, &all);
        members.settles(app, first, &["s"]);
        members.stop_app(app);
    }
    // One application more on one of them.
    for (app, busy, first, all) in
        [("i20_fewer", "r", "t", ["s", "t", "r"]), ("i20_fewer_u", "t", "u", ["s", "u", "t"])]
    {
        members.start_app("extra", &[busy]);
        members.start_app(app, &all);
        members.settles(app, first, &["s"]);
        members.stop_app(app);
        members.stop_app("extra");
    }
    // The same when the one before them dies; and where a tuple comes first of which nobody lives (item 22), the round
    // is held all the same, and the next in the list is elected.
    members.start_app("i22", &["s", "u", "r", "t"]);
    members.settles("i22", "s", &["u", "r", "t"]);
    members.start_app("i20_dies", &["s", "r", "t"]);
    members.settles("i20_dies", "s", &["r", "t"]);
    members.kill("u");
    // Two, so that it does not matter which of the two applications is decided upon first.
    for app in ["extra", "extra_too"] {
        members.start_app(app, &["r"]);
    }
    members.kill("s");
    members.settles("i22", "r", &["t"]);
    members.settles("i20_dies", "t", &["r"]);
}

pub(crate) fn item_21_inside_a_tuple_it_stays(members: &mut Members) {
    members.start_app("i21", &["r", "s", "t"]);
    members.settles("i21", "r", &["s", "t"]);
    members.takeover("s", "i21");
    members.settles("i21", "s", &["r", "t"]);
    members.kill("r");
    members.boot("r");
    members.start_app("i21", &["r"]);
    members.settles("i21", "s", &["r", "t"]);
    // Outside of it, it does not.
    members.takeover("t", "i21");
    members.settles("i21", "t", &["r", "s"]);
    members.kill("r");
    members.boot("r");
    members.start_app("i21", &["r"]);
    members.settles("i21", "r", &["s", "t"]);
    let starts = ["s {start,{takeover,r}}", "t {start,{takeover,s}}", "r {start,{takeover,t}}"];
    let diary = members.diary.of("i21");
    let seen: Vec<&str> = diary.iter().map(String::as_str).filter(|line| line.contains("takeover")).collect();
    assert_eq!(seen, starts);
}

/// Two stock nodes alone hang here (L8).
pub(crate) fn item_23_eight_applications_fail_over_at_once(members: &mut Members) {
    members.boot("u");
    let apps: Vec<(String, [&str; 2])> = (1..=8)
        .flat_map(|nth| [(format!("i23_{nth}"), ["r", "t"]), (format!("i23_u{nth}"), ["t", "u"])])
        .collect();
    for (app, tuple) in &apps {
        members.start_app(app, &["s", tuple[0], tuple[1]]);
    }
    for (app, tuple) in &apps {
        members.settles(app, "s", tuple);
    }
    members.kill("s");
    for (app, tuple) in &apps {
        let mut last = Vec::new();
        let there = interop_tests::clock::wait_for(crate::dist_ac_support::LIMIT, || {
            last = members.runs_at(app);
            matches!(last.as_slice(), [one] if tuple.contains(&one.as_str())).then_some(())
        });
        assert!(there.is_some(), "{app} runs at {last:?}, {tuple:?} wait for it");
        let other = tuple.iter().find(|node| **node != last[0]).expect("one of two");
        members.settles(app, &last[0], &[other]);
    }
    // Nobody is blocked.
    members.are_introduced();
}

pub(crate) fn item_24_weights_are_not_answered_without_end(members: &mut Members) {
    members.boot_all(&[], &["u", "v"]);
    members.start_app("i24", &["u", "v", "r", "t"]);
    members.settles("i24", "u", &["v", "r", "t"]);
    trace(members, "t");
    members.kill("v");
    members.kill("u");
    // The first tuple is dead: of the second the smaller name.
    members.settles("i24", "r", &["t"]);
    // A question out of its time, in both directions: two stock nodes would answer each other from now on (L13).
    let weight = |from: &str| tuple!(atom "dist_ac_weight", atom("i24"), 3, node(from));
    members.send("r", "dist_ac", weight("t"));
    members.send("t", "dist_ac", weight("r"));
    let count = heard(members, "t", "dist_ac_weight", 4, "r");
    assert!(count <= 20, "r sent {count} weights");
    members.settles("i24", "r", &["t"]);
}
