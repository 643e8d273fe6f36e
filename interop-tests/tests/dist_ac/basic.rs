//! B. Basic (items 7 to 19).

use std::time::Duration;

use interop_tests::clock::pause;

use crate::{
    dist_ac_support::{Members, atom, short},
    positions,
};

/// Longer than the restart time of most applications here: what has not happened by then does not happen.
const LONGER: Duration = Duration::from_millis(700);

pub(crate) fn item_07_it_runs_at_the_first_and_all_calls_say_ok(members: &mut Members) {
    for (app, [a, b, c]) in positions("i07") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        for other in [b, c] {
            assert_eq!(members.running(other, &app), format!("{{distributed,{a}}}"), "{app} at {other}");
        }
        members.diary_is(&app, &[&format!("{a} {{start,normal}}")]);
        members.stop_app(&app);
    }
}

pub(crate) fn item_08_the_others_wait_for_the_first(members: &mut Members) {
    for (app, [a, b, c]) in positions("i08") {
        let waiting = [c, b].map(|node| members.begin_start(node, &app));
        pause(Duration::from_millis(200));
        assert!(waiting.iter().all(|start| !start.is_over()), "{app} does not run anywhere");
        if a != "r" {
            // One of ours waits for the application, and not for anything else.
            assert_eq!(members.known("r"), ["r", "s", "t"]);
            members.start_app("extra", &["r"]);
            members.stop_app_at("extra", "r");
        }
        members.start_app(&app, &[a]);
        for start in waiting {
            assert_eq!(short(&members.end(start)), "ok", "{app}");
        }
        members.settles(&app, a, &[b, c]);
        members.stop_app(&app);
    }
}

pub(crate) fn item_09_who_waits_starts_it_when_the_first_dies(members: &mut Members) {
    for (app, [a, b, c]) in [("i09_a", ["r", "s", "t"]), ("i09_b", ["s", "r", "t"])] {
        let waiting = [b, c].map(|node| members.begin_start(node, app));
        pause(Duration::from_millis(200));
        assert!(waiting.iter().all(|start| !start.is_over()), "{app} does not run anywhere");
        members.kill(a);
        for start in waiting {
            assert_eq!(short(&members.end(start)), "ok", "{app}");
        }
        members.settles(app, b, &[c]);
        members.diary_is(app, &[&format!("{b} {{start,normal}}")]);
        members.boot(a);
        members.stop_app(app);
    }
}

pub(crate) fn item_10_a_second_start(members: &mut Members) {
    for (app, nodes) in positions("i10") {
        members.start_app(&app, &nodes);
        for node in nodes {
            let again = members.application(node, "start", vec![atom(&app)]);
            assert_eq!(again, format!("{{error,{{already_started,{app}}}}}"), "{node}");
        }
        members.stop_app(&app);
    }
}

pub(crate) fn item_11_several_callers_on_one_node(members: &mut Members) {
    for (app, [a, b, c]) in [("i11_a", ["r", "s", "t"]), ("i11_b", ["s", "r", "t"])] {
        let starts = [b, b, c, b, c].map(|node| members.begin_start(node, app));
        pause(Duration::from_millis(200));
        assert!(starts.iter().all(|start| !start.is_over()), "{app} does not run anywhere");
        members.start_app(app, &[a]);
        for start in starts {
            assert_eq!(short(&members.end(start)), "ok", "{app}");
        }
        members.settles(app, a, &[b, c]);
        members.stop_app(app);
    }
}

/// Of an application with and one without start phases.
pub(crate) fn item_12_and_15_a_dies_and_comes_back(members: &mut Members) {
    // Those in which the same node dies go together.
    let [first, second, third] = ["i12", "i12n"].map(positions).into_iter().fold(
        [const { Vec::new() }; 3],
        |mut all: [Vec<_>; 3], places| {
            for (place, one) in places.into_iter().enumerate() {
                all[place].push(one);
            }
            all
        },
    );
    a_dies_and_comes_back(members, first);
    a_dies_and_comes_back(members, second.into_iter().chain(third).collect());
}

fn a_dies_and_comes_back(members: &mut Members, apps: Vec<(String, [&'static str; 3])>) {
    for (app, nodes) in &apps {
        members.start_app(app, nodes);
        members.settles(app, nodes[0], &nodes[1..]);
    }
    let a = apps[0].1[0];
    let died = members.kill(a);
    let mut told: Vec<Vec<String>> = Vec::new();
    for (app, [_, b, c]) in &apps {
        members.settles(app, b, &[c]);
        let phases = app.starts_with("i12_");
        let mut lines = vec![format!("{a} {{start,normal}}")];
        if phases {
            lines.extend(["init", "go"].map(|phase| format!("{a} {{{phase},normal}}")));
            lines.extend(["start", "init", "go"].map(|step| format!("{b} {{{step},{{failover,{a}}}}}")));
        } else {
            lines.push(format!("{b} {{start,normal}}"));
        }
        members.diary_is(app, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        let line = &lines[if phases { 3 } else { 1 }];
        let started = members.diary.when(app, line).expect("it is there");
        let after = started.duration_since(died);
        assert!(after >= Duration::from_millis(400), "{app} was started after {after:?}");
        told.push(lines);
    }
    members.boot(a);
    for ((app, [_, b, c]), mut lines) in apps.iter().zip(told) {
        members.start_app(app, &[a]);
        members.settles(app, a, &[b, c]);
        let steps: &[&str] = if app.starts_with("i12_") { &["start", "init", "go"] } else { &["start"] };
        lines.extend(steps.iter().map(|step| format!("{a} {{{step},{{takeover,{b}}}}}")));
        // The old copy goes on until the last phase of the new one is over.
        lines.extend(["prep_stop", "stop"].map(|step| format!("{b} {step}")));
        members.diary_is(app, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        members.stop_app(app);
    }
}

pub(crate) fn item_13_a_comes_back_within_the_restart_time(members: &mut Members) {
    for (app, restart_time) in [("i13_soon", 3000), ("i13_late", 10_000)] {
        let restart_time = Duration::from_millis(restart_time);
        members.start_app(app, &["r", "s", "t"]);
        let died = members.kill("r");
        members.comes_to_id("s", app, "{failover,r}");
        members.boot("r");
        members.start_app(app, &["r"]);
        let back = died.elapsed();
        if back + LONGER > restart_time {
            // On a busy machine there was not the time for it: once more, with more of it.
            members.stop_app(app);
            continue;
        }
        members.settles(app, "r", &["s", "t"]);
        pause(restart_time + LONGER - back);
        // The timers were harmless.
        members.settles(app, "r", &["s", "t"]);
        members.diary_is(app, &["r {start,normal}", "r {start,normal}"]);
        members.stop_app(app);
        return;
    }
    panic!("r was never back in time");
}

pub(crate) fn item_14_infinity_never_moves(members: &mut Members) {
    members.start_app("i14", &["r", "s", "t"]);
    members.kill("r");
    for other in ["s", "t"] {
        members.comes_to_id(other, "i14", "{failover,r}");
    }
    pause(LONGER);
    members.runs_only_at("i14", &[]);
    members.boot("r");
    members.start_app("i14", &["r"]);
    members.settles("i14", "r", &["s", "t"]);
    members.diary_is("i14", &["r {start,normal}", "r {start,normal}"]);
}

pub(crate) fn item_16_takeover(members: &mut Members) {
    for (app, [a, b, c]) in positions("i16") {
        members.start_app(&app, &[a, b, c]);
        let answer = members.application(c, "takeover", vec![atom(&app), atom("permanent")]);
        assert_eq!(answer, "ok", "{app}");
        // At once, for it is said after the start.
        assert_eq!(members.id(c, &app), "local", "{app}");
        members.settles(&app, c, &[a, b]);
        assert_eq!(members.restart_type(c, &app), "permanent", "{app}");
        assert_eq!(members.restart_type(b, &app), "temporary", "{app}");
        for other in [a, b] {
            assert_eq!(members.running(other, &app), format!("{{distributed,{c}}}"), "{app} at {other}");
        }
        let lines = [
            format!("{a} {{start,normal}}"),
            format!("{c} {{start,{{takeover,{a}}}}}"),
            format!("{a} prep_stop"),
            format!("{a} stop"),
        ];
        members.diary_is(&app, &lines.each_ref().map(String::as_str));
        members.stop_app(&app);
    }
}

pub(crate) fn item_17_takeovers_that_cannot_be(members: &mut Members) {
    let takeover = |members: &Members, node, app: &str, restart_type| {
        members.application(node, "takeover", vec![atom(app), atom(restart_type)])
    };
    for (app, [a, b, c]) in [("i17_a", ["r", "s", "t"]), ("i17_b", ["s", "r", "t"])] {
        let not_running = format!("{{error,{{not_running_distributed,{app}}}}}");
        for node in [a, b, c] {
            assert_eq!(takeover(members, node, app, "temporary"), not_running, "{node}");
            assert_eq!(
                takeover(members, node, app, "nonsense"),
                "{error,{invalid_restart_type,nonsense}}",
                "{node}"
            );
        }
        members.start_app(app, &[a, b, c]);
        members.settles(app, a, &[b, c]);
        assert_eq!(
            takeover(members, a, app, "temporary"),
            format!("{{error,{{already_running_locally,{app}}}}}"),
            "{a}"
        );
        members.stop_app(app);
    }
}

pub(crate) fn item_18_stop_where_it_runs(members: &mut Members) {
    for (app, [a, b, c]) in positions("i18") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        members.stop_app_at(&app, a);
        for other in [b, c] {
            members.comes_to_id(other, &app, "undefined");
        }
        pause(LONGER);
        members.runs_only_at(&app, &[]);
        for other in [b, c] {
            members.stop_app_at(&app, other);
        }
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        let started = format!("{a} {{start,normal}}");
        let lines = [&started, &format!("{a} prep_stop"), &format!("{a} stop"), &started];
        members.diary_is(&app, &lines.map(String::as_str));
        members.stop_app(&app);
    }
}

pub(crate) fn item_19_stop_and_start_of_a_standby(members: &mut Members) {
    for (app, [a, b, c]) in positions("i19") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        for standby in [b, c] {
            members.stop_app_at(&app, standby);
            members.start_app(&app, &[standby]);
            members.settles(&app, a, &[b, c]);
        }
        members.diary_is(&app, &[&format!("{a} {{start,normal}}")]);
        members.stop_app(&app);
    }
}
