//! One scope: this state, this event, exactly these outputs.

use etf::{Atom, Pid, Reference, Term, tuple};

use super::super::{
    engine::{Answer, Engine, Input, Output, Request},
    wire::Change,
};

fn pid(node: &str, id: u32) -> Pid {
    Pid::new(Atom::from(node), id, 0, 1)
}

fn own() -> Pid {
    pid("a@h", 1)
}

fn peer() -> Pid {
    pid("b@h", 1)
}

fn group() -> Term {
    Term::atom("g")
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

fn send(to: Pid, term: Term) -> Output {
    Output::Send { to, term }
}

fn join(engine: &mut Engine, pids: Vec<Pid>) -> Answer {
    engine.request(Request::Update(vec![Change { group: group(), join: pids, leave: Vec::new() }]))
}

fn leave(engine: &mut Engine, pids: Vec<Pid>) -> Answer {
    engine.request(Request::Update(vec![Change { group: group(), join: Vec::new(), leave: pids }]))
}

fn message(engine: &mut Engine, term: Term) {
    engine.handle(Input::Message(term));
}

fn sync(peer: &Pid, groups: Vec<Term>) -> Input {
    Input::Cast(tuple!(atom "sync", peer, groups))
}

/// A scope that has met its peer, and said so.
fn met() -> Engine {
    let mut engine = Engine::new(own());
    message(&mut engine, tuple!(atom "discover", peer()));
    outputs(&mut engine);
    engine
}

#[test]
fn a_scope_that_starts_asks_who_is_there_in_the_words_that_every_release_knows() {
    let mut engine = Engine::new(own());
    engine.handle(Input::Started { nodes: vec!["b@h".into(), "c@h".into()] });
    engine.handle(Input::NodeUp { node: "d@h".into() });
    let discover = |node: &str| Output::Discover { node: node.into(), term: tuple!(atom "discover", own()) };
    assert_eq!(outputs(&mut engine), [discover("b@h"), discover("c@h"), discover("d@h")]);
}

#[test]
fn who_asks_is_told_all_and_asked_back_once() {
    let member = pid("a@h", 9);
    for discover in [tuple!(atom "discover", peer()), tuple!(atom "discover", peer(), 1)] {
        let mut engine = Engine::new(own());
        join(&mut engine, vec![member.clone(), member.clone()]);
        outputs(&mut engine);
        let all = vec![tuple!(group(), vec![Term::from(&member), Term::from(&member)])];
        let told = send(peer(), tuple!(atom "$gen_cast", tuple!(atom "sync", own(), all)));
        message(&mut engine, discover.clone());
        let asked_back = send(peer(), tuple!(atom "discover", own()));
        assert_eq!(outputs(&mut engine), [Output::Monitor { id: 2, pid: peer() }, told.clone(), asked_back]);
        message(&mut engine, discover);
        assert_eq!(outputs(&mut engine), [told]);
    }
}

#[test]
fn nothing_is_said_of_members_to_a_peer_that_was_not_told_all() {
    let mut engine = Engine::new(own());
    engine.handle(sync(&peer(), vec![tuple!(group(), vec![Term::from(pid("b@h", 5))])]));
    assert_eq!(outputs(&mut engine), [Output::Monitor { id: 1, pid: peer() }]);
    let member = pid("a@h", 9);
    join(&mut engine, vec![member.clone()]);
    assert_eq!(outputs(&mut engine), [Output::Monitor { id: 2, pid: member.clone() }]);
    leave(&mut engine, vec![member]);
    assert_eq!(outputs(&mut engine), [Output::Demonitor(2)]);
}

#[test]
fn joins_and_leaves_are_told_as_plain_messages_and_only_what_was() {
    let mut engine = met();
    let (one, two, never) = (pid("a@h", 8), pid("a@h", 9), pid("a@h", 10));
    assert_eq!(join(&mut engine, vec![one.clone(), two.clone()]), Answer::Updated { left: false });
    let both = vec![Term::from(&one), Term::from(&two)];
    assert_eq!(
        outputs(&mut engine),
        [
            Output::Monitor { id: 2, pid: one.clone() },
            Output::Monitor { id: 3, pid: two.clone() },
            send(peer(), tuple!(atom "join", own(), group(), both)),
        ]
    );
    assert_eq!(leave(&mut engine, vec![never.clone()]), Answer::Updated { left: false });
    assert_eq!(outputs(&mut engine), []);
    assert_eq!(leave(&mut engine, vec![never, one.clone()]), Answer::Updated { left: true });
    let left = tuple!(atom "leave", own(), &one, vec![group()]);
    assert_eq!(outputs(&mut engine), [Output::Demonitor(2), send(peer(), left)]);
    assert_eq!(engine.members(&group()), [two]);
}

#[test]
fn a_member_that_ends_leaves_each_group_as_often_as_it_joined() {
    let mut engine = met();
    let member = pid("a@h", 9);
    join(&mut engine, vec![member.clone(), member.clone()]);
    let other = Change { group: Term::atom("h"), join: vec![member.clone()], leave: Vec::new() };
    engine.request(Request::Update(vec![other]));
    outputs(&mut engine);
    engine.handle(Input::Down(2));
    let groups = vec![group(), group(), Term::atom("h")];
    assert_eq!(outputs(&mut engine), [send(peer(), tuple!(atom "leave", own(), &member, groups))]);
    assert_eq!(engine.groups().count(), 0);
    engine.handle(Input::Down(2));
    assert_eq!(outputs(&mut engine), []);
}

#[test]
fn a_process_of_another_node_cannot_be_joined_here_and_nothing_of_it_is_done() {
    let mut engine = met();
    let theirs = pid("b@h", 9);
    assert_eq!(join(&mut engine, vec![pid("a@h", 9), theirs.clone()]), Answer::NoLocal(theirs));
    assert_eq!((outputs(&mut engine), engine.groups().count()), (vec![], 0));
}

#[test]
fn what_a_peer_says_counts_until_it_says_otherwise_or_is_lost() {
    let mut engine = met();
    let (one, two) = (pid("b@h", 8), pid("b@h", 9));
    message(&mut engine, tuple!(atom "join", peer(), group(), &one));
    message(&mut engine, tuple!(atom "join", peer(), group(), vec![Term::from(&one), Term::from(&two)]));
    assert_eq!(engine.members(&group()), [one.clone(), one.clone(), two.clone()]);
    assert_eq!(engine.local_members(&group()), []);
    message(&mut engine, tuple!(atom "leave", peer(), &one, vec![group(), Term::atom("unheard_of")]));
    assert_eq!(engine.members(&group()), [one.clone(), two.clone()]);
    // The whole of it anew.
    engine.handle(sync(&peer(), vec![tuple!(Term::atom("h"), vec![Term::from(&two)])]));
    assert_eq!(engine.groups().collect::<Vec<_>>(), [&Term::atom("h")]);
    // The words of the second protocol.
    let mut all = etf::Map::new();
    all.insert(group(), Term::list(vec![Term::from(&one)]));
    engine.handle(Input::Cast(tuple!(atom "local_data", peer(), 1, Term::Map(all))));
    assert_eq!((engine.members(&group()), engine.groups().count()), (vec![one.clone()], 1));
    let change = tuple!(group(), vec![Term::from(&two)], vec![Term::from(&one)]);
    message(&mut engine, tuple!(atom "update", peer(), vec![change]));
    assert_eq!(engine.members(&group()), [two]);
    engine.handle(Input::Down(1));
    assert_eq!(engine.groups().count(), 0);
    // What comes late of it, before it is met again.
    message(&mut engine, tuple!(atom "join", peer(), group(), &one));
    assert_eq!(engine.groups().count(), 0);
}

#[test]
fn subscribers_hear_of_their_group_or_of_all() {
    let mut engine = met();
    let reference = |n| Reference::new(Atom::from("a@h"), 1, &[n]).expect("a word");
    let (of_group, of_all) = (pid("a@h", 20), pid("a@h", 21));
    for (n, pid, group) in [(1, &of_group, Some(group())), (2, &of_all, None)] {
        engine.request(Request::Subscribe { reference: reference(n), pid: pid.clone(), group });
    }
    outputs(&mut engine);
    let member = Term::from(pid("b@h", 9));
    message(&mut engine, tuple!(atom "join", peer(), group(), member.clone()));
    message(&mut engine, tuple!(atom "join", peer(), atom "h", member.clone()));
    let event = |n, action: &'static str, group: Term| {
        tuple!(reference(n), Term::atom(action), group, vec![member.clone()])
    };
    assert_eq!(
        outputs(&mut engine),
        [
            send(of_all.clone(), event(2, "join", group())),
            send(of_group, event(1, "join", group())),
            send(of_all.clone(), event(2, "join", Term::atom("h"))),
        ]
    );
    assert_eq!(engine.request(Request::Unsubscribe(reference(1))), Answer::Unsubscribed(true));
    assert_eq!(engine.request(Request::Unsubscribe(reference(1))), Answer::Unsubscribed(false));
    outputs(&mut engine);
    // The same all over again says only what is new.
    engine.handle(sync(&peer(), vec![tuple!(group(), vec![member.clone()])]));
    assert_eq!(outputs(&mut engine), [send(of_all, event(2, "leave", Term::atom("h")))]);
}

#[test]
fn what_is_no_message_of_pg_changes_nothing() {
    let mut engine = met();
    message(&mut engine, tuple!(atom "join", peer(), group(), pid("b@h", 9)));
    for junk in [
        Term::NIL,
        tuple!(atom "join", 1, group(), pid("b@h", 9)),
        tuple!(atom "join", peer(), group(), vec![Term::from(1)]),
        tuple!(atom "leave", peer(), pid("b@h", 9), atom "g"),
        tuple!(atom "discover", atom "b@h"),
        tuple!(atom "sync", peer(), Term::NIL),
        tuple!(atom "update", peer(), vec![group()]),
    ] {
        message(&mut engine, junk);
    }
    engine.handle(Input::Cast(tuple!(atom "sync", peer(), vec![group()])));
    engine.handle(Input::Cast(tuple!(atom "local_data", peer(), 1, Term::NIL)));
    assert_eq!((outputs(&mut engine), engine.members(&group())), (vec![], vec![pid("b@h", 9)]));
}

#[test]
fn a_node_has_a_few_scopes_at_the_most() {
    let mut engine = Engine::new(own());
    for id in 1..100 {
        message(&mut engine, tuple!(atom "discover", pid("b@h", id)));
    }
    let monitors = outputs(&mut engine).into_iter().filter(|o| matches!(o, Output::Monitor { .. }));
    assert_eq!(monitors.count(), 4);
}
