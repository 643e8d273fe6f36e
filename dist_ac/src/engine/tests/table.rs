//! The table of dist_ac.md 2.3: every state of an application by every event, with what is sent and told, and the state
//! after it. The node is `b`, its list `[a,{b,c}]`, its peers `a` and `c`.

use std::fmt::Write;

use super::*;

/// `b` in a state. The awaited or dead node is `a` throughout, so `a` is down where it says `failover`.
fn in_state(state: &str) -> Rig {
    let mut b = Rig::up("b", "[a,{b,c}]", &["a", "c"]);
    let standby = |b: &mut Rig| {
        b.message("{dist_ac_app_started,a,app1,ok}");
        b.start("app1");
    };
    match state {
        "undefined" => {
            standby(&mut b);
            b.message("{dist_ac_app_stopped,app1}");
        }
        "run_waiting" | "local" => {
            standby(&mut b);
            b.message("{dist_ac_new_permission,a,app1,false,true}");
            b.message("{dist_ac_weight,app1,9,c}");
            if state == "local" {
                b.run("app1");
            }
        }
        "distributed" => standby(&mut b),
        "failover" => {
            standby(&mut b);
            b.node_down("a");
        }
        "takeover" => {
            standby(&mut b);
            b.takeover(9);
        }
        _ => panic!("no such state"),
    }
    assert!(b.id().contains(state), "{}", b.id());
    b.take();
    b
}

fn event(b: &mut Rig, event: &str) {
    let app = || atom("app1");
    match event {
        "start request" => b.start("app1"),
        "run ok" => b.run("app1"),
        "run error" => b.run_error("app1"),
        "stopped" => b.controller(FromController::Stopped { app: app() }),
        "M6 ok from c" => b.message("{dist_ac_app_started,c,app1,ok}"),
        "M6 error from c" => b.message("{dist_ac_app_started,c,app1,{error,bad}}"),
        "M7" => b.message("{dist_ac_app_stopped,app1}"),
        "nodedown a" => b.node_down("a"),
        "nodedown c" => b.node_down("c"),
        "timer" => b.wait(1000),
        "M5 from c" => b.message("{dist_ac_weight,app1,3,c}"),
        "takeover" => b.takeover(1),
        "permit(false)" => b.permit(1, false),
        "permit(true)" => b.permit(1, true),
        "M4 c may not and runs it" => b.message("{dist_ac_new_permission,c,app1,false,true}"),
        "M4 c may not" => b.message("{dist_ac_new_permission,c,app1,false,false}"),
        _ => panic!("no such event"),
    }
}

const STATES: [&str; 6] = ["undefined", "run_waiting", "local", "distributed", "failover", "takeover"];

const EVENTS: [&str; 16] = [
    "start request",
    "run ok",
    "run error",
    "stopped",
    "M6 ok from c",
    "M6 error from c",
    "M7",
    "nodedown a",
    "nodedown c",
    "timer",
    "M5 from c",
    "takeover",
    "permit(false)",
    "permit(true)",
    "M4 c may not and runs it",
    "M4 c may not",
];

#[test]
fn every_state_by_every_event() {
    let mut table = String::new();
    for name in EVENTS {
        writeln!(table, "{name}").expect("a string");
        for state in STATES {
            let mut b = in_state(state);
            event(&mut b, name);
            let lines = b.take();
            let outcome = if lines.is_empty() { "-".to_owned() } else { lines.join(" | ") };
            writeln!(table, "  {state}: {outcome} => {}", b.id()).expect("a string");
        }
    }
    let expected = include_str!("table.txt");
    for (line, wanted) in table.lines().zip(expected.lines()) {
        assert_eq!(line, wanted, "\n{table}");
    }
    assert_eq!(table.lines().count(), expected.lines().count(), "\n{table}");
}
