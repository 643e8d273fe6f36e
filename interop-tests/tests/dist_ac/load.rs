//! E. Load (items 30 and 31), `.app` files with included applications, and calls whose answers can be compared.

use std::time::Duration;

use crabnode::Term;
use interop_tests::clock::{pause, wait_for};

use crate::dist_ac_support::{App, LIMIT, Members, atom, short, t, with_hosts};

/// `application:load(App, {App, 400, Nodes})`.
fn load(members: &Members, node: &str, app: &str, nodes: &str) -> String {
    let spec = format!("{{{app}, 400, {}}}", with_hosts(&t(nodes)));
    members.application(node, "load", vec![atom(app), t(&spec)])
}

pub(crate) fn item_30_load_with_a_specification(members: &mut Members) {
    for (app, node, others) in [("i30_s", "s", ["r", "t"]), ("i30_r", "r", ["s", "t"])] {
        assert_eq!(load(members, node, app, "[s,t,r]"), "ok", "{node}");
        // The others have not loaded it; in which order they are named nobody says.
        let answer = members.application(node, "start", vec![atom(app)]);
        let error = |nodes: [&str; 2]| format!("{{error,{{app_not_loaded,{app},[{}]}}}}", nodes.join(","));
        let expected = [error(others), error([others[1], others[0]])];
        assert!(expected.contains(&answer), "{node}: {answer}");
        for other in others {
            assert_eq!(load(members, other, app, "[s,t,r]"), "ok", "{other}");
        }
    }
    for node in ["r", "s", "t"] {
        assert_eq!(load(members, node, "i30_all", "[r,{s,t}]"), "ok", "{node}");
    }
    for app in ["i30_s", "i30_r", "i30_all"] {
        for node in ["r", "s", "t"] {
            for of in ["r", "s", "t"] {
                all_loaded(members, app, node, of);
            }
        }
        members.start_app(app, &["r", "s", "t"]);
    }
    members.settles("i30_s", "s", &["r", "t"]);
    members.settles("i30_r", "s", &["r", "t"]);
    members.settles("i30_all", "r", &["s", "t"]);
    // What is no specification is refused with the same words by all, and leaves the application not loaded.
    for spec in [
        "nonsense",
        "{i30_bad, infinity, [r]}",
        "{i30_bad, -1, [r]}",
        "{i30_bad, soon, [r]}",
        "{another, 400, [r]}",
        "{another, [r]}",
        "{i30_bad, nodes}",
        "{i30_bad, 400, nodes}",
    ] {
        let ask = |node: &str| members.application(node, "load", vec![atom("i30_bad"), t(spec)]);
        let (ours, stock) = (ask("r"), ask("s"));
        assert_eq!(ours, stock, "application:load(i30_bad, {spec})");
        assert!(stock.starts_with("{error,"), "{stock}");
    }
}

pub(crate) fn item_31_mismatch(members: &mut Members) {
    // Ours refuses what contradicts the others, and all live on.
    assert_eq!(load(members, "s", "i31_ours", "[s,t,r]"), "ok");
    assert_eq!(load(members, "t", "i31_ours", "[s,t,r]"), "ok");
    is_told(members, "i31_ours", "r", "s");
    let answer = load(members, "r", "i31_ours", "[r,s,t]");
    assert!(answer.contains("distribution_mismatch"), "{answer}");
    pause(Duration::from_millis(300));
    members.are_introduced();
    for (name, erl) in &mut members.erls {
        assert!(erl.process().status().is_none(), "{name}: {}", erl.output());
    }
    // A stock node dies of it; the other does too where they load it at the same moment.
    assert_eq!(load(members, "s", "i31_stock", "[s,t]"), "ok");
    is_told(members, "i31_stock", "t", "s");
    let mismatch = members.begin("t", "application", "load", vec![atom("i31_stock"), spec("[t,s]")]);
    let output = members.has_ended("t");
    assert!(output.contains("distribution_mismatch"), "{output}");
    drop(mismatch);
    members.are_introduced();
}

fn spec(nodes: &str) -> Term {
    t(&format!("{{i31_stock, 400, {}}}", with_hosts(&t(nodes))))
}

/// The applications of `start_phases_with_included_applications`.
pub(crate) fn with_included() -> Vec<App> {
    ["a", "b"]
        .iter()
        .flat_map(|place| {
            let (top, one, deep, two) = (
                format!("inc_{place}"),
                format!("inc_{place}_1"),
                format!("inc_{place}_1a"),
                format!("inc_{place}_2"),
            );
            let phases = |app: &str, phases: &[&str]| {
                let phases: Vec<String> = phases.iter().map(|phase| format!("{{{phase}, {app}}}")).collect();
                format!("{{start_phases, [{}]}}", phases.join(", "))
            };
            let starter = |app: &str| format!("{{mod, {{application_starter, [ct_diary, {app}]}}}}");
            let nodes = if *place == "a" { "[r,s]" } else { "[s,r]" };
            [
                App::new(&top, "400", nodes).with(&format!(
                    "{}, {}, {{included_applications, [{one}, {two}]}}",
                    starter(&top),
                    phases(&top, &["init", "some", "go"])
                )),
                App::new(&one, "0", "").with(&format!(
                    "{}, {}, {{included_applications, [{deep}]}}",
                    starter(&one),
                    phases(&one, &["init", "go"])
                )),
                App::new(&deep, "0", "").with(&phases(&deep, &["go", "never"])),
                App::new(&two, "0", "").with(&phases(&two, &["some"])),
            ]
        })
        .collect()
}

/// What a stock node does, a node of ours does with the same files: at a start, a takeover and a failover.
pub(crate) fn start_phases_with_included_applications(members: &mut Members) {
    let of = |members: &Members, top: &str, node: &str| -> Vec<String> {
        let entries = members.diary.entries();
        let mine = entries.iter().filter(|entry| entry.app.starts_with(top));
        let mine = mine.filter(|entry| entry.line.starts_with(node));
        let other = if node == "r" { "s" } else { "r" };
        mine.map(|entry| {
            format!("{} {}", &entry.app[top.len()..], &entry.line[2..]).replace(&format!(",{other}}}"), ",X}")
        })
        .collect()
    };
    for (top, [a, b]) in [("inc_a", ["r", "s"]), ("inc_b", ["s", "r"])] {
        members.start_app(top, &[a, b]);
        members.settles(top, a, &[b]);
        members.takeover(b, top);
        members.settles(top, b, &[a]);
        members.stop_app(top);
    }
    for (ours, stock) in [
        (of(members, "inc_a", "r"), of(members, "inc_b", "s")),
        (of(members, "inc_b", "r"), of(members, "inc_a", "s")),
    ] {
        assert_eq!(ours, stock);
        assert_eq!(ours.iter().filter(|line| line.starts_with("_1a {go,")).count(), 1, "{ours:?}");
    }
    for key in ["included_applications", "start_phases", "mod", "applications", "env", "vsn"] {
        let ask = |node: &str| members.application(node, "get_key", vec![atom("inc_a"), atom(key)]);
        assert_eq!(ask("r"), ask("s"), "{key}");
    }
}

/// What is asked in every state: the application is `APP`.
const CALLS: [(&str, &str, &str); 32] = [
    ("application", "load", "[no_such_application]"),
    ("application", "load", "[{application, 1, []}]"),
    ("application", "load", "[{nonsense}]"),
    ("application", "load", "[{application, odd, [{mod, 1}]}]"),
    ("application", "start", "[no_such_application]"),
    ("application", "start", "[APP, forever]"),
    ("application", "ensure_started", "[no_such_application]"),
    ("application", "ensure_all_started", "[no_such_application]"),
    ("application", "stop", "[no_such_application]"),
    ("application", "unload", "[no_such_application]"),
    ("application", "permit", "[APP, maybe]"),
    ("application", "permit", "[no_such_application, true]"),
    ("application", "takeover", "[no_such_application, permanent]"),
    ("application", "takeover", "[APP, nonsense]"),
    ("application", "get_env", "[APP, nothing]"),
    ("application", "get_env", "[APP, nothing, default]"),
    ("application", "set_env", "[APP, key, value]"),
    ("application", "get_env", "[APP, key]"),
    ("application", "get_all_env", "[APP]"),
    ("application", "unset_env", "[APP, key]"),
    ("application", "get_all_env", "[APP]"),
    ("application", "get_all_env", "[no_such_application]"),
    ("application", "get_key", "[APP, vsn]"),
    ("application", "get_key", "[APP, applications]"),
    ("application", "get_key", "[APP, nonsense]"),
    ("application", "get_key", "[no_such_application, vsn]"),
    ("application", "get_all_key", "[APP]"),
    ("application", "get_all_key", "[no_such_application]"),
    ("application", "start_type", "[]"),
    ("dist_ac", "get_known_nodes", "[]"),
    ("application", "unload", "[APP]"),
    ("application", "load", "[APP]"),
];

/// What changes nothing where it runs: `application:start` elsewhere waits.
const STARTED_CALLS: [(&str, &str, &str); 5] = [
    ("application", "start", "[APP]"),
    ("application", "start", "[APP, permanent]"),
    ("application", "ensure_started", "[APP]"),
    ("application", "ensure_all_started", "[APP]"),
    ("application", "load", "[{application, APP, []}]"),
];

/// `application` and `dist_ac` over rpc: every answer is that of a stock node, in whatever state the application is. Of
/// two applications one has `r` before `s` and the other `s` before `r`, so that each of the two is asked for what the
/// other is asked for.
pub(crate) fn the_same_calls_have_the_same_answers(members: &mut Members) {
    let ask = |members: &Members, node: &str, app: &str, calls: &[(&'static str, &'static str, &str)]| {
        let answer = |(module, function, args): &(&'static str, &'static str, &str)| {
            let arguments = t(&args.replace("APP", app)).as_list().expect("a list").to_vec();
            let answer = match members.outcome(node, module, function, arguments) {
                // OTP 23 has no optional applications.
                Ok(term) => sorted(&term).replace(app, "APP").replace("{optional_applications,[]},", ""),
                // Where in its source a stock node was is nobody's business.
                Err(_) => "raised".to_owned(),
            };
            format!("{module}:{function} {args}: {answer}")
        };
        calls.iter().map(answer).collect::<Vec<_>>()
    };
    let compare = |members: &Members, state: &str, (ours, stock): (&str, &str), started: bool| {
        let calls = [&STARTED_CALLS[..if started { 5 } else { 0 }], &CALLS].concat();
        let (ours, stock) = (ask(members, "r", ours, &calls), ask(members, "s", stock, &calls));
        for (ours, stock) in ours.iter().zip(&stock) {
            assert_eq!(ours, stock, "{state}");
        }
    };
    compare(members, "not loaded", ("same_r", "same_s"), false);
    compare(members, "loaded", ("same_r", "same_s"), false);
    for (app, nodes) in [("same_r", ["r", "s"]), ("same_s", ["s", "r"])] {
        members.application(nodes[1], "load", vec![atom(app)]);
        for node in ["r", "s", "t"] {
            for of in ["r", "s"] {
                all_loaded(members, app, node, of);
            }
        }
        members.start_app(app, &nodes);
        members.settles(app, nodes[0], &nodes[1..]);
    }
    compare(members, "running there", ("same_r", "same_s"), true);
    compare(members, "running elsewhere", ("same_s", "same_r"), true);
    for app in ["same_r", "same_s"] {
        members.stop_app(app);
    }
    compare(members, "stopped", ("same_r", "same_s"), false);
}

/// One comes to know that another has loaded the application.
fn all_loaded(members: &Members, app: &str, node: &str, of: &str) {
    let has = || (members.permission(node, app, of).as_deref() == Some("true")).then_some(());
    assert!(wait_for(LIMIT, has).is_some(), "{app}: {node} does not know that {of} has loaded it");
}

/// The same where the one has not loaded it.
fn is_told(members: &Members, app: &str, node: &str, of: &str) {
    let has = || members.dist_loaded(node, app).contains(&of.to_owned()).then_some(());
    assert!(wait_for(LIMIT, has).is_some(), "{app}: {node} is not told that {of} has loaded it");
}

/// A list of which nobody says the order, in some order.
fn sorted(term: &Term) -> String {
    let Some(list) = term.as_list() else { return short(term) };
    let mut list: Vec<String> = list.iter().map(short).collect();
    list.sort();
    list.join(" ")
}
