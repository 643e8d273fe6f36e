//! Views of terms that stock nodes gave. OTP 23, 25, 27 and 29 gave the same, to the letter.

use etf::text::parse_term;

use super::*;
use crate::apps::{
    show,
    told::{self, State},
};

const A: &str = "a@localhost";
const B: &str = "b@localhost";
const C: &str = "c@localhost";

/// A node that was reached: what `dist_ac:info()` and `which_applications()` gave, and whom it is connected to.
fn asked(node: &str, info: &str, runs: &[&str], connected: &[&str]) -> Asked {
    let term = parse_term(info).expect("a term");
    with(node, DistAc::from_info(&term), runs, connected)
}

fn with(node: &str, dist_ac: DistAc, runs: &[&str], connected: &[&str]) -> Asked {
    let atoms = |names: &[&str]| names.iter().map(|name| Atom::from(*name)).collect::<Vec<_>>();
    let told = Told {
        software: Some("OTP 27".to_owned()),
        connected: atoms(connected),
        running: Some(atoms(runs)),
        starting: vec![],
        configured: told::configured(
            &parse_term("{ok,[{app1,1500,[a@localhost,{b@localhost,c@localhost}]}]}").expect("a term"),
        ),
        dist_ac,
    };
    Asked { node: Atom::from(node), told: Ok(told) }
}

/// All run what they should.
fn quiet() -> Vec<Asked> {
    vec![
        asked(
            A,
            "{state,[{appl,app1,local,1500,[a@localhost,{b@localhost,c@localhost}],[{b@localhost,true},{c@localhost,true},\
             {a@localhost,true}]},{appl,app2,{distributed,b@localhost},500,[b@localhost,a@localhost],[{b@localhost,true},\
             {c@localhost,true},{a@localhost,true}]}],[],[],[b@localhost,c@localhost,a@localhost],[app2,app1],[],[],[],[],[]}",
            &["kernel", "stdlib", "app1"],
            &[B, C],
        ),
        asked(
            B,
            "{state,[{appl,app1,{distributed,a@localhost},1500,[a@localhost,{b@localhost,c@localhost}],[{a@localhost,true},\
             {c@localhost,true},{b@localhost,true}]},{appl,app2,local,500,[b@localhost,a@localhost],[{a@localhost,true},\
             {c@localhost,true},{b@localhost,true}]}],[],[],[a@localhost,c@localhost,b@localhost],[app2,app1],[],[],[],[],[]}",
            &["kernel", "stdlib", "app2"],
            &[A, C],
        ),
        asked(
            C,
            "{state,[{appl,app1,{distributed,a@localhost},1500,[a@localhost,{b@localhost,c@localhost}],[{b@localhost,true},\
             {a@localhost,true},{c@localhost,true}]},{appl,app2,{distributed,b@localhost},500,[b@localhost,a@localhost],\
             [{b@localhost,true},{a@localhost,true},{c@localhost,true}]}],[],[],[b@localhost,a@localhost,c@localhost],\
             [app2,app1],[],[],[],[],[]}",
            &["kernel", "stdlib"],
            &[A, B],
        ),
    ]
}

/// `a` was killed, and the restart time of what it ran is not over.
fn after_a_died() -> Vec<Asked> {
    vec![
        Asked { node: Atom::from(A), told: Err("a@localhost is not running".to_owned()) },
        asked(
            B,
            "{state,[{appl,app1,{failover,a@localhost},1500,[a@localhost,{b@localhost,c@localhost}],[{c@localhost,true},\
             {b@localhost,true}]},{appl,app2,local,500,[b@localhost,a@localhost],[{c@localhost,true},{b@localhost,true}]}],[],\
             [],[c@localhost,b@localhost],[app2,app1],[],[],[],[],[]}",
            &["kernel", "stdlib", "app2"],
            &[C],
        ),
        asked(
            C,
            "{state,[{appl,app1,{failover,a@localhost},1500,[a@localhost,{b@localhost,c@localhost}],[{b@localhost,true},\
             {c@localhost,true}]},{appl,app2,{distributed,b@localhost},500,[b@localhost,a@localhost],[{b@localhost,true},\
             {c@localhost,true}]}],[{app1,3,b@localhost}],[],[b@localhost,c@localhost],[app2,app1],[{app1,2}],[],[],[],[]}",
            &["kernel", "stdlib"],
            &[B],
        ),
    ]
}

fn state(asked: &mut Asked) -> &mut State {
    match &mut asked.told.as_mut().expect("it was reached").dist_ac {
        DistAc::State(state) => state,
        other => panic!("{other:?}"),
    }
}

fn told_of(asked: &mut Asked) -> &mut Told {
    asked.told.as_mut().expect("it was reached")
}

fn faults(nodes: Vec<Asked>) -> Vec<String> {
    View::new(nodes).faults.iter().map(|fault| format!("{}: {fault}", fault.kind())).collect()
}

fn roles(view: &View, app: &str) -> Vec<(String, Role)> {
    let app = view.apps.iter().find(|known| known.name == app).expect("it is there");
    app.members.iter().map(|member| (member.node.to_string(), member.role.clone())).collect()
}

#[test]
fn a_quiet_cluster() {
    let view = View::new(quiet());
    let stands_by = |for_whom: &str| Role::StandsBy(Atom::from(for_whom));
    assert_eq!(
        roles(&view, "app1"),
        [(A.into(), Role::Runs), (B.into(), stands_by(A)), (C.into(), stands_by(A))]
    );
    assert_eq!(roles(&view, "app2"), [(B.into(), Role::Runs), (A.into(), stands_by(B))]);
    assert_eq!(
        view.apps[0].members.iter().map(|member| member.place).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(2)]
    );
    assert!(view.apps.iter().flat_map(|app| &app.members).all(|member| member.permitted == Some(true)));
    assert_eq!(view.faults, []);
}

#[test]
fn timers_and_weights_after_a_death() {
    let view = View::new(after_a_died());
    let timer = Role::FailsOver(Atom::from(A));
    assert_eq!(
        roles(&view, "app1"),
        [(A.into(), Role::Absent), (B.into(), timer.clone()), (C.into(), timer)]
    );
    // Its own, and what another has heard of it.
    let weights: Vec<_> = view.apps[0].members.iter().map(|member| member.weight).collect();
    assert_eq!(weights, [None, Some(3), Some(2)]);
    assert_eq!(view.apps[0].members[0].permitted, None);
    assert_eq!(view.faults, []);
    let json = show::to_json(&view);
    assert_eq!(json["applications"][0]["timers"][0]["died"], A);
    assert_eq!(json["nodes"][0]["reached"], false);
}

#[test]
fn two_copies_after_a_split_that_healed() {
    let mut nodes = quiet();
    // Connected again, and neither was introduced anew.
    told_of(&mut nodes[1]).running.as_mut().expect("it answered").push("app1".into());
    state(&mut nodes[1]).appls[0].id = Ok(AppId::Local);
    for (at, other) in [(0, B), (1, A)] {
        let state = state(&mut nodes[at]);
        state.known.retain(|node| *node != other);
        state.appls.iter_mut().for_each(|appl| appl.run.retain(|(node, _)| *node != other));
    }
    assert_eq!(
        faults(nodes),
        [
            "two_copies: app1 runs on a@localhost and b@localhost",
            "not_introduced: a@localhost and b@localhost are connected, and the dist_ac of a@localhost does not know b@localhost",
            "not_introduced: b@localhost and a@localhost are connected, and the dist_ac of b@localhost does not know a@localhost",
        ]
    );
}

#[test]
fn a_split_that_lasts_is_seen_by_who_asks_both_sides() {
    let mut nodes = quiet();
    told_of(&mut nodes[0]).connected.clear();
    told_of(&mut nodes[1]).connected = vec![C.into()];
    told_of(&mut nodes[2]).connected = vec![B.into()];
    assert_eq!(
        faults(nodes),
        [
            "not_connected: a@localhost and b@localhost are not connected",
            "not_connected: a@localhost and c@localhost are not connected",
        ]
    );
}

#[test]
fn one_that_does_not_answer_is_known_by_its_configuration_and_its_applications() {
    let mut nodes = quiet();
    let waits = parse_term("{current_function,{dist_ac,collect_answers,4}}").expect("a term");
    told_of(&mut nodes[1]).dist_ac = DistAc::from_current_function(Some(&waits));
    told_of(&mut nodes[1]).running.as_mut().expect("it answered").push("app1".into());
    let view = View::new(nodes);
    assert_eq!(roles(&view, "app1")[1], (B.into(), Role::Runs));
    let texts: Vec<String> = view.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "app1 runs on a@localhost and b@localhost",
            "the dist_ac of b@localhost does not answer: it waits in dist_ac:collect_answers/4",
        ]
    );
    // All of them: L8.
    let all = [A, B, C].map(|node| with(node, DistAc::Silent { waits_in: None }, &["kernel"], &[A, B, C]));
    let view = View::new(all.into());
    assert_eq!(view.apps.len(), 1);
    assert_eq!(view.apps[0].with_role(|role| *role == Role::Silent).len(), 3);
    // A node that waits for others to come up is not blocked.
    let boots = parse_term("{current_function,{dist_ac,handle_cast,2}}").expect("a term");
    assert_eq!(DistAc::from_current_function(Some(&boots)), DistAc::Boots);
}

#[test]
fn beliefs_that_are_wrong() {
    let mut nodes = quiet();
    // a says nothing of app1 any more: M7 got lost, or came too late.
    told_of(&mut nodes[0]).running.as_mut().expect("it answered").retain(|app| *app != "app1");
    state(&mut nodes[0]).appls[0].id = Ok(AppId::Undefined);
    state(&mut nodes[2]).remote_started = vec![(B.into(), "app1".into()), (A.into(), "app1".into())];
    assert_eq!(
        faults(nodes),
        [
            "nowhere: app1 is started on a@localhost and b@localhost and c@localhost and runs nowhere",
            "wrong_belief: b@localhost stands by for app1 on a@localhost, which does not run it",
            "wrong_belief: c@localhost stands by for app1 on a@localhost, which does not run it",
            "undecided: c@localhost was told that app1 runs on a@localhost and b@localhost",
        ]
    );
}

#[test]
fn configurations_and_permissions_that_differ() {
    let mut nodes = quiet();
    state(&mut nodes[1]).appls[1].restart_time = RestartTime::Millis(7);
    let entry = state(&mut nodes[0]).appls[1].run.iter_mut().find(|(node, _)| *node == A);
    entry.expect("its own").1 = Some(false);
    assert_eq!(
        faults(nodes),
        [
            "lists_differ: a@localhost and b@localhost have different priority lists or restart times of app2",
            "permissions_differ: b@localhost does not know whether a@localhost may run app2",
            "permissions_differ: c@localhost does not know whether a@localhost may run app2",
        ]
    );
}

#[test]
fn what_is_seen_half_done_is_no_fault() {
    let mut nodes = quiet();
    told_of(&mut nodes[1]).running.as_mut().expect("it answered").push("app1".into());
    let first = View::new(nodes);
    assert_eq!(first.faults.len(), 1);
    assert_eq!(View::new(quiet()).confirmed_by(&first.faults).faults, []);
    assert_eq!(first.clone().confirmed_by(&first.faults).faults.len(), 1);
}

#[test]
fn answers_that_are_not_understood_are_shown() {
    let odd = DistAc::from_info(&parse_term("{state,new_form}").expect("a term"));
    assert_eq!(odd, DistAc::Odd("{state,new_form}".to_owned()));
    let nodes = vec![with(A, odd, &["kernel"], &[])];
    let text = show::lines(&View::new(nodes)).join("\n");
    assert!(text.contains("{state,new_form}"), "{text}");
    for (version, says) in [
        ("\"Erlang/OTP 29 [erts-17.1.1] [source] [64-bit]\\n\"", "OTP 29"),
        ("\"crabnode 0.1.0\\n\"", "crabnode 0.1.0"),
    ] {
        let version = parse_term(version).expect("a term");
        assert_eq!(told::software(&version).as_deref(), Some(says));
    }
}

#[test]
fn tables_and_json_say_the_same() {
    let view = View::new(quiet());
    let text = show::lines(&view).join("\n");
    assert_eq!(
        text,
        "APPLICATION  NODE         PLACE  STATE                      PERMITTED  TOLD  RESTART AFTER\n\
         app1         a@localhost  1      runs                       yes        -     1500 ms\n\
         app1         b@localhost  2      stands by for a@localhost  yes        -     1500 ms\n\
         app1         c@localhost  2      stands by for a@localhost  yes        -     1500 ms\n\
         app2         b@localhost  1      runs                       yes        -     500 ms\n\
         app2         a@localhost  2      stands by for b@localhost  yes        -     500 ms\n\
         \n\
         NODE         IS      DIST_AC  WEIGHT  DIST_AC KNOWS\n\
         a@localhost  OTP 27  answers  3       b@localhost c@localhost\n\
         b@localhost  OTP 27  answers  3       a@localhost c@localhost\n\
         c@localhost  OTP 27  answers  2       b@localhost a@localhost"
    );
    let json = show::to_json(&view);
    assert_eq!(
        json["applications"][0],
        serde_json::json!({
            "application": "app1",
            "restart_time": 1500,
            "priority": [A, [B, C]],
            "runs_on": [A],
            "stands_by": [B, C],
            "timers": [],
            "members": [
                {"node": A, "place": 1, "state": "runs", "of": null, "permitted": true, "weight": null},
                {"node": B, "place": 2, "state": "stands_by", "of": A, "permitted": true, "weight": null},
                {"node": C, "place": 2, "state": "stands_by", "of": A, "permitted": true, "weight": null},
            ],
        })
    );
    assert_eq!(json["conflicts"], serde_json::json!([]));
}
