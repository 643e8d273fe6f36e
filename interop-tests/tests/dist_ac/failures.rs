//! F. Failures (items 32 to 40).

use std::time::Duration;

use crabnode::{Term, tuple};
use interop_tests::{
    NodeSpec,
    clock::{now, pause, wait_for},
};

use crate::{
    dist_ac_support::{LIMIT, Members, atom, die, node, short, t},
    positions,
};

/// Longer than the restart time of most applications here.
const LONGER: Duration = Duration::from_millis(700);

pub(crate) fn item_32_a_start_that_fails(members: &mut Members) {
    for (app, [a, b, c]) in positions("i32") {
        members.make_fail(a, &app);
        members.call(a, "application", "set_env", vec![atom(&app), atom("slow"), 300.into()]);
        let standbys = [b, c].map(|node| members.begin_start(node, &app));
        for standby in [b, c] {
            members.waits(standby, &app);
        }
        let reason = format!("{{boom,{{ct_diary,start,[normal,{app}]}}}}");
        assert_eq!(members.application(a, "start", vec![atom(&app)]), format!("{{error,{reason}}}"));
        for start in standbys {
            assert_eq!(short(&members.end(start)), format!("{{error,{{{a},{reason}}}}}"), "{app}");
        }
        members.runs_only_at(&app, &[]);
        // And once it does not fail, it starts.
        members.call(a, "application", "unset_env", vec![atom(&app), atom("fail")]);
        let standbys = [b, c].map(|node| members.begin_start(node, &app));
        for standby in [b, c] {
            members.waits(standby, &app);
        }
        members.start_app(&app, &[a]);
        for start in standbys {
            assert_eq!(members.end(start), atom("ok"), "{app}");
        }
        members.settles(&app, a, &[b, c]);
        members.stop_app(&app);
    }
}

pub(crate) fn item_33_a_temporary_one_crashes(members: &mut Members) {
    for (app, [a, b, c]) in positions("i33") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        members.send(a, &app, die("crash"));
        members.runs_only_at(&app, &[]);
        for node in [a, b, c] {
            members.comes_to_id(node, &app, "undefined");
        }
        pause(LONGER);
        members.runs_only_at(&app, &[]);
        let lines = [format!("{a} {{start,normal}}"), format!("{a} prep_stop"), format!("{a} stop")];
        members.diary_is(&app, &lines.each_ref().map(String::as_str));
    }
}

pub(crate) fn item_34_a_permanent_one_crashes(members: &mut Members) {
    // Ours: the program is told to end, for the reason that a stock node prints.
    let permanent = |members: &Members, node: &str, app: &str| {
        let answer = members.application(node, "start", vec![atom(app), atom("permanent")]);
        assert_eq!(answer, "ok", "{app} at {node}");
    };
    permanent(members, "r", "i34_ours");
    members.start_app("i34_ours", &["t"]);
    members.settles("i34_ours", "r", &["t"]);
    let applications = members.ours["r"].applications.clone().expect("it has some");
    let halted = members.runtime.spawn(async move { applications.halted().await });
    members.send("r", "i34_ours", die("crash"));
    let reason = async { tokio::time::timeout(LIMIT, halted).await };
    let reason = members.runtime.block_on(reason).expect("it is told").expect("no panic");
    assert_eq!(reason.to_string(), "{application_terminated,i34_ours,crash}");
    members.comes_to_id("t", "i34_ours", "undefined");
    members.kill("r");
    // Stock: its own words, and nobody starts the application again (L5).
    permanent(members, "s", "i34_stock");
    members.start_app("i34_stock", &["t"]);
    members.settles("i34_stock", "s", &["t"]);
    members.send("s", "i34_stock", die("crash"));
    let output = members.has_ended("s");
    assert!(output.contains("{application_terminated,i34_stock,crash}"), "{output}");
    pause(LONGER);
    members.runs_only_at("i34_stock", &[]);
    members.runs_only_at("i34_ours", &[]);
    // Ours takes the node that follows its application for a death like others.
    members.boot_all(&["s"], &["r"]);
    permanent(members, "s", "i34_b");
    members.start_app("i34_b", &["r", "t"]);
    members.settles("i34_b", "s", &["r", "t"]);
    members.send("s", "i34_b", die("crash"));
    members.has_ended("s");
    members.settles("i34_b", "r", &["t"]);
}

pub(crate) fn item_35_a_takeover_that_fails(members: &mut Members) {
    members.start_app("i35", &["r", "s", "t"]);
    members.settles("i35", "s", &["r", "t"]);
    members.make_fail("r", "i35");
    let answer = members.application("r", "takeover", vec![atom("i35"), atom("temporary")]);
    assert!(answer.starts_with("{error,{boom,{ct_diary,start,[{takeover,s},i35]}}"), "{answer}");
    members.settles("i35", "s", &["r", "t"]);
    members.diary_is("i35", &["s {start,normal}"]);
    // The takeover of one that comes back.
    members.kill("r");
    members.start_app("i35_boot", &["s", "t"]);
    members.boot("r");
    members.make_fail("r", "i35_boot");
    let answer = members.application("r", "start", vec![atom("i35_boot")]);
    assert!(answer.starts_with("{error,{boom,"), "{answer}");
    members.settles("i35_boot", "s", &["t"]);
    members.diary_is("i35_boot", &["s {start,normal}"]);
}

/// Ours on one side, the stock nodes on the other.
pub(crate) fn item_36_a_split_heals(members: &mut Members) {
    for (app, [a, b, c]) in [("i36_a", ["r", "s", "t"]), ("i36_b", ["s", "r", "t"])] {
        members.start_app(app, &[a, b, c]);
        members.settles(app, a, &[b, c]);
        // In this order: where s runs it, t knows of no other than s until it is cut off itself, and where r does, a t that
        // waits for s hears of its start.
        for stock in ["t", "s"] {
            members.cut(stock, "r");
        }
        // A copy on each side.
        members.runs_only_at(app, &["r", "s"]);
        for stock in ["s", "t"] {
            members.heal(stock, "r");
        }
        members.are_introduced();
        members.settles(app, a, &[b, c]);
        // A later failover works, and a takeover.
        members.kill(a);
        members.settles(app, b, &[c]);
        members.boot(a);
        members.start_app(app, &[a]);
        members.settles(app, a, &[b, c]);
        members.stop_app(app);
    }
}

/// A link that is back before the restart time is over.
pub(crate) fn item_37_a_flap(members: &mut Members) {
    for (app, [a, b, c]) in [("i37_a", ["r", "s", "t"]), ("i37_b", ["s", "r", "t"])] {
        members.start_app(app, &[a, b, c]);
        members.settles(app, a, &[b, c]);
        let cut = now();
        for stock in ["t", "s"] {
            members.disconnect(stock, "r");
        }
        for stock in ["s", "t"] {
            members.heal(stock, "r");
        }
        members.are_introduced();
        // Past the timers, which began at most a little after the cut.
        pause((Duration::from_millis(3000) + LONGER).saturating_sub(cut.elapsed()));
        members.settles(app, a, &[b, c]);
        members.are_introduced();
        members.stop_app(app);
    }
}

/// c runs it; a and b are restarted; a takes over; b starts it; a dies (L9).
pub(crate) fn item_38_beliefs_that_are_old(members: &mut Members) {
    for (app, b, c) in [("i38_b", "r", "t"), ("i38_c", "t", "r")] {
        if !members.is_alive("u") {
            members.boot("u");
        }
        members.start_app(app, &["u", b, c]);
        members.takeover(c, app);
        members.settles(app, c, &["u", b]);
        for node in ["u", b] {
            members.kill(node);
        }
        members.boot("u");
        members.boot(b);
        members.start_app(app, &["u"]);
        members.settles(app, "u", &[c]);
        members.start_app(app, &[b]);
        members.settles(app, "u", &[b, c]);
        members.kill("u");
        let mut last = Vec::new();
        let once = wait_for(LIMIT, || {
            last = members.runs_at(app);
            (last == [b] || last == [c]).then_some(())
        });
        assert!(once.is_some(), "{app} runs at {last:?}");
        let other = if last == [b] { c } else { b };
        members.settles(app, &last[0].clone(), &[other]);
        members.stop_app(app);
    }
}

pub(crate) fn item_39_a_killed_program_of_ours(members: &mut Members) {
    let config = members.config("f", &["s".into(), "t".into(), "r".into()]);
    let spec = NodeSpec { config: Some(config), ..NodeSpec::default() };
    let mut program = members.cluster.spawn_example("m8ball", "f", &spec);
    program.wait_until_ready(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    let knows = wait_for(LIMIT, || {
        ["r", "s", "t"].iter().all(|node| members.known(node).contains(&"f".to_owned())).then_some(())
    });
    assert!(knows.is_some(), "{}", program.output());
    members.start_app("m8ball", &["f", "s", "t"]);
    assert_eq!(members.id("s", "m8ball"), "{distributed,f}");
    program.kill9();
    members.settles("m8ball", "s", &["t"]);
    let question = t("[{global, m8ball_server}, question]");
    let question = question.as_list().expect("a list").to_vec();
    // global tells the name a little later.
    let mut answer = Err(String::new());
    let answered = wait_for(LIMIT, || {
        answer = members.outcome("t", "gen_server", "call", question.clone());
        matches!(answer, Ok(Term::Binary(_))).then_some(())
    });
    assert!(answered.is_some(), "{answer:?}");
    members.stop_app("m8ball");
}

pub(crate) fn item_40_locks_do_not_hang(members: &mut Members) {
    for _ in 0..5 {
        members.start_app("i40", &["s", "t", "r"]);
        members.settles("i40", "s", &["t", "r"]);
        members.stop_app("i40");
    }
    let nodes: Term = Term::list(["r", "s", "t"].map(node).to_vec());
    let id = tuple!(atom("dist_ac"), atom("somebody"));
    for by in ["s", "t", "r"] {
        for function in ["set_lock", "del_lock"] {
            let answer = members.call(by, "global", function, vec![id.clone(), nodes.clone()]);
            assert!(answer.is_atom("true"), "{function} by {by}: {answer}");
        }
    }
}

/// Stopped where it runs and nowhere else: those that stand by refuse a start, and a stock node leaves it at that.
pub(crate) fn l22_a_start_at_a_standby_after_a_stop_where_it_ran(members: &mut Members) {
    members.start_app("l22", &["s", "r", "t"]);
    members.settles("l22", "s", &["r", "t"]);
    members.stop_app_at("l22", "s");
    for standby in ["r", "t"] {
        members.comes_to_id(standby, "l22", "undefined");
    }
    let start = |members: &Members, node: &str| {
        assert_eq!(members.application(node, "start", vec![atom("l22")]), "{error,{already_started,l22}}");
    };
    start(members, "t");
    pause(LONGER);
    members.runs_only_at("l22", &[]);
    start(members, "r");
    members.settles("l22", "r", &["t"]);
    members.start_app("l22", &["s"]);
    members.settles("l22", "s", &["r", "t"]);
    members.diary_is(
        "l22",
        &[
            "s {start,normal}",
            "s prep_stop",
            "s stop",
            "r {start,normal}",
            "s {start,{takeover,r}}",
            "r prep_stop",
            "r stop",
        ],
    );
    members.stop_app("l22");
}
