//! Calls to the name server, and requests of the local API.

use etf::{Term, tuple};

use super::{
    super::{
        api::{Answer, CallResult, Error, Input, Output, Request, Role, Warning},
        wire::LockId,
    },
    single::{Single, atom, config, exit_method, pid},
};

fn request(name: &'static str, pid: &etf::Pid) -> Request {
    Request::Register { name: Term::atom(name), pid: pid.clone(), method: None }
}

#[test]
fn locks_are_given_and_taken_back() {
    let mut single = Single::new("b@h");
    let (one, two) = (pid("a@h", 1), pid("a@h", 2));
    let lock = |what: &'static str, requester: i64| tuple!(Term::atom(what), tuple!(atom "r", requester));
    let yes = Some(Term::from(true));
    assert_eq!(single.call(&one, lock("set_lock", 1)), yes);
    assert_eq!(single.call(&one, lock("set_lock", 1)), yes);
    assert_eq!(single.call(&two, lock("set_lock", 2)), Some(false.into()));
    assert_eq!(single.call(&two, lock("set_lock", 1)), yes);
    let id = LockId { resource: Term::atom("r"), requester: Term::Int(2) };
    assert!(!single.engine.allows(&id));
    assert_eq!(single.call(&two, lock("del_lock", 2)), yes, "always");
    for holder in [&one, &two] {
        assert!(!single.engine.allows(&id));
        assert_eq!(single.call(holder, lock("del_lock", 1)), yes);
    }
    assert!(single.engine.allows(&id));
}

#[test]
fn one_monitor_a_process_while_it_has_anything() {
    let mut single = Single::new("b@h");
    let one = pid("a@h", 1);
    let feed = |single: &mut Single, request: Term| {
        let mut outputs = single.feed(Input::Call { from: one.clone(), tag: Term::Int(1), request });
        outputs.retain(|output| !matches!(output, Output::Reply { .. }));
        outputs
    };
    let lock = |what: &'static str| tuple!(Term::atom(what), tuple!(atom "r", 1));
    let outputs = feed(&mut single, lock("set_lock"));
    let [Output::Monitor { id, pid: monitored }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(monitored, &one);
    assert_eq!(feed(&mut single, tuple!(atom "register", atom "n", &one, exit_method())), []);
    assert_eq!(feed(&mut single, tuple!(atom "register", atom "n", &one, exit_method())), []);
    assert_eq!(feed(&mut single, lock("del_lock")), []);
    let demonitor = Output::Demonitor { id: *id, pid: one.clone() };
    assert_eq!(feed(&mut single, tuple!(atom "unregister", atom "n")), [demonitor]);
    assert_eq!(feed(&mut single, tuple!(atom "unregister", atom "n")), []);
    assert_eq!(single.feed(Input::Down { id: *id }), [], "not monitored any more");
}

#[test]
fn a_death_takes_locks_and_names_along() {
    let mut single = Single::new("b@h");
    let one = pid("a@h", 1);
    single.call(&one, tuple!(atom "set_lock", tuple!(atom "global", 1)));
    single.call(&one, tuple!(atom "register", atom "n", &one, exit_method()));
    assert_eq!(single.engine.whereis(&Term::atom("n")), Some(&one));
    let outputs =
        single.feed(Input::Call { from: one.clone(), tag: Term::Int(1), request: Term::atom("info") });
    assert_eq!(outputs.len(), 1);
    let id = *single.engine.monitors_of(&one).first().unwrap();
    assert_eq!(single.feed(Input::Down { id }), []);
    assert_eq!(single.engine.whereis(&Term::atom("n")), None);
    assert!(single.engine.locks.is_global_lock_down());
    // What it sent before it died comes too late.
    assert_eq!(
        single.call(&one, tuple!(atom "register", atom "n", &one, exit_method())),
        Some(Term::atom("yes"))
    );
    assert_eq!(single.engine.whereis(&Term::atom("n")), None);
}

#[test]
fn only_the_holder_of_the_lock_registers() {
    let mut single = Single::new("b@h");
    let (one, two) = (pid("a@h", 1), pid("a@h", 2));
    single.call(&one, tuple!(atom "set_lock", tuple!(atom "global", 1)));
    let register = tuple!(atom "register", atom "n", &two, exit_method());
    assert_eq!(single.call(&two, register.clone()), Some(Term::atom("yes")));
    assert_eq!(single.engine.whereis(&Term::atom("n")), None);
    single.call(&one, register);
    assert_eq!(single.engine.whereis(&Term::atom("n")), Some(&two));
}

#[test]
fn names_of_hidden_nodes_are_linked_by_their_member() {
    let mut single = Single::new("b@h");
    let hidden = pid("hidden@h", 1);
    let register = |name: &'static str, at: &'static str| tuple!(atom "register_ext", Term::atom(name), &hidden, exit_method(), atom(at));
    let call = |single: &mut Single, request| {
        single.feed(Input::Call { from: pid("a@h", 1), tag: Term::Int(1), request })
    };
    assert!(call(&mut single, register("one", "b@h")).contains(&Output::Link(hidden.clone())));
    assert!(call(&mut single, register("two", "b@h")).contains(&Output::Link(hidden.clone())));
    assert!(!call(&mut single, register("three", "a@h")).contains(&Output::Link(hidden.clone())));
    let unlink = Output::Unlink(hidden.clone());
    let unregister = |name: &'static str| tuple!(atom "unregister", Term::atom(name));
    assert!(!call(&mut single, unregister("one")).contains(&unlink));
    assert!(!call(&mut single, unregister("three")).contains(&unlink));
    assert!(call(&mut single, unregister("two")).contains(&unlink));
}

#[test]
fn the_answers_of_tools_and_tests() {
    let mut single = Single::new("b@h");
    let me = pid("a@h", 1);
    single.engine.known.insert(atom("c@h"), 8);
    single.engine.pending.insert(atom("d@h"), 7);
    single.engine.synced.insert(atom("c@h"));
    let nodes = Some(Term::list(vec![Term::atom("c@h")]));
    assert_eq!(single.call(&me, Term::atom("get_known")), nodes);
    assert_eq!(single.call(&me, Term::atom("get_synced")), nodes);
    assert_eq!(single.call(&me, Term::atom("get_protocol_version")), Some(Term::Int(8)));
    assert_eq!(single.call(&me, Term::atom("get_names_ext")), Some(Term::NIL));
    assert_eq!(single.call(&me, Term::atom("high_level_trace_start")), Some(Term::atom("ok")));
    let info = single.call(&me, Term::atom("info")).unwrap();
    let known = info.as_tuple().unwrap()[2].as_map().unwrap().clone();
    assert_eq!(known.get_atom("c@h"), Some(&Term::Int(8)));
    assert_eq!(known.get(&tuple!(atom "pending", atom("d@h"))), Some(&Term::Int(7)));
    // As OTP: unknown calls are logged and stay without an answer.
    for bad in [Term::atom("stop"), tuple!(atom "set_lock", 1), tuple!(atom "register", 1, 2, 3), Term::NIL] {
        let warning = Warning::UnexpectedCall { from: me.clone(), request: bad.clone() };
        let outputs = single.feed(Input::Call { from: me.clone(), tag: Term::Int(1), request: bad });
        assert_eq!(outputs, [Output::Warn(warning)]);
    }
}

#[test]
fn the_old_whereis_waits_for_the_lock() {
    let mut single = Single::new("b@h");
    let me = pid("a@h", 1);
    let ask = |name: &'static str| tuple!(atom "whereis", Term::atom(name), tuple!(&me, atom "tag"));
    let answer = |term: Term| Output::Reply { to: me.clone(), tag: Term::atom("tag"), term };
    assert_eq!(single.info(ask("n")), [answer(Term::atom("undefined"))]);
    single.call(&me, tuple!(atom "set_lock", tuple!(atom "global", 1)));
    assert_eq!(single.info(ask("n")), []);
    single.call(&me, tuple!(atom "register", atom "n", &me, exit_method()));
    let request = tuple!(atom "del_lock", tuple!(atom "global", 1));
    let outputs = single.feed(Input::Call { from: me.clone(), tag: Term::Int(1), request });
    assert!(outputs.contains(&answer((&me).into())), "{outputs:?}");
}

#[test]
fn alone_a_name_is_registered_at_once() {
    let mut single = Single::new("b@h");
    let (one, two) = (pid("b@h", 50), pid("b@h", 51));
    let ask = |single: &mut Single, id, request| single.feed(Input::Request { id, request });
    let answer = |id, answer| Output::Answer { id, answer };
    let outputs = ask(&mut single, 1, request("n", &one));
    assert_eq!(outputs.last(), Some(&answer(1, Answer::Yes)));
    assert!(!single.engine.locks.is_global_set());

    // A taken name: does its process live?
    for (id, alive, answered) in [(2, true, Answer::No), (3, false, Answer::Yes)] {
        let outputs = ask(&mut single, id, request("n", &two));
        let [Output::CheckAlive { id: asked, pid }] = outputs.as_slice() else { panic!("{outputs:?}") };
        assert_eq!(pid, &one);
        assert_eq!(single.feed(Input::Alive { id: *asked + 1, alive: !alive }), [], "another question's");
        let outputs = single.feed(Input::Alive { id: *asked, alive });
        assert_eq!(outputs.last(), Some(&answer(id, answered)));
    }
    assert_eq!(single.engine.whereis(&Term::atom("n")), Some(&two));

    // A second name for a process.
    let outputs = ask(&mut single, 4, request("m", &two));
    let names = vec![Term::atom("m"), Term::atom("n")];
    let warning = Warning::SeveralNames { pid: two.clone(), names };
    assert_eq!(outputs, [Output::Warn(warning), answer(4, Answer::No)]);
    single.engine.config.multi_name_allow = true;
    let outputs = ask(&mut single, 5, request("m", &two));
    assert_eq!(outputs.last(), Some(&answer(5, Answer::Yes)));

    let outputs = ask(&mut single, 6, Request::Unregister { name: Term::atom("nobody") });
    assert_eq!(outputs, [answer(6, Answer::Ok)]);
    let outputs = ask(&mut single, 7, Request::Unregister { name: Term::atom("m") });
    assert_eq!(outputs.last(), Some(&answer(7, Answer::Ok)));
    let other = pid("b@h", 52);
    let again = Request::ReRegister { name: Term::atom("n"), pid: other.clone(), method: None };
    let outputs = ask(&mut single, 8, again);
    assert_eq!(outputs.last(), Some(&answer(8, Answer::Yes)));
    assert_eq!(single.engine.whereis(&Term::atom("n")), Some(&other));

    let bad = Request::Register { name: Term::Int(1), pid: one, method: Some(Term::Int(3)) };
    let result = single.engine.handle(single.now, Input::Request { id: 9, request: bad });
    assert_eq!(result, Err(Error::BadMethod(Term::Int(3))));
}

/// We are b and know c and d.
fn member() -> Single {
    let mut single = Single::new("b@h");
    for node in ["c@h", "d@h"] {
        single.engine.known.insert(atom(node), 8);
        single.up(node);
    }
    single
}

#[test]
fn the_registrar_locks_the_boss_then_all_and_releases_it_last() {
    let mut single = member();
    let one = pid("b@h", 50);
    let id = tuple!(atom "global", pid("b@h", 12));
    let set = tuple!(atom "set_lock", id.clone());
    let del = tuple!(atom "del_lock", id);
    let outputs = single.feed(Input::Request { id: 1, request: request("n", &one) });
    assert!(matches!(outputs[0], Output::MultiCall { from: Role::Registrar, connect: false, .. }));
    let outputs = single.answer_true(&outputs, &set, &["d@h"]);
    assert!(single.engine.locks.is_global_set());
    single.engine.up.remove(&atom("c@h"));
    let outputs = single.answer(&outputs, &set, &["c@h", "d@h"], |node| {
        if node == &atom("c@h") { CallResult::Down } else { CallResult::Reply(true.into()) }
    });
    let register = tuple!(atom "register", atom "n", &one, exit_method());
    // c is gone: it is not locked, and will learn the name when it comes back.
    let outputs = single.answer(&outputs, &register, &["d@h"], |_| CallResult::Reply(Term::atom("yes")));
    assert!(!single.engine.locks.is_global_set(), "this node is released first");
    let outputs = single.answer_true(&outputs, &del, &["d@h"]);
    assert_eq!(outputs, [Output::Answer { id: 1, answer: Answer::Yes }]);
}

#[test]
fn the_registrar_tries_until_it_has_the_lock() {
    let mut single = member();
    let one = pid("b@h", 50);
    let id = tuple!(atom "global", pid("b@h", 12));
    let set = tuple!(atom "set_lock", id.clone());
    let del = tuple!(atom "del_lock", id);
    let mut outputs = single.feed(Input::Request { id: 1, request: request("n", &one) });
    for most_ms in [125, 250, 500, 1000] {
        assert_eq!(single.answer(&outputs, &set, &["d@h"], |_| CallResult::Reply(false.into())), []);
        let (waited, next) = single.fire();
        assert!((1..=most_ms).contains(&waited), "{waited}");
        outputs = next;
    }
    // One of the rest refuses: what is locked is given back, and the boss is locked again after a wait.
    outputs = single.answer_true(&outputs, &set, &["d@h"]);
    outputs = single
        .answer(&outputs, &set, &["c@h", "d@h"], |node| CallResult::Reply((node == &atom("d@h")).into()));
    outputs = single.answer_true(&outputs, &del, &["d@h"]);
    outputs = single.answer_true(&outputs, &del, &["d@h"]);
    assert_eq!(outputs, []);
    assert!(!single.engine.locks.is_global_set());
    outputs = single.fire().1;
    outputs = single.answer_true(&outputs, &set, &["d@h"]);
    // A member comes in: it is not locked.
    single.engine.known.insert(atom("a@h"), 8);
    outputs = single.answer_true(&outputs, &set, &["c@h", "d@h"]);
    outputs = single.answer_true(&outputs, &del, &["c@h", "d@h"]);
    assert_eq!(outputs, []);
    assert!(!single.engine.locks.is_global_set());
    assert!(single.engine.poll_timeout().is_some());
}

#[test]
fn calls_to_a_member_that_is_still_connecting_wait_for_it() {
    let mut single = Single::new("b@h");
    single.engine.known.insert(atom("c@h"), 8);
    let one = pid("b@h", 50);
    let outputs = single.feed(Input::Request { id: 1, request: request("n", &one) });
    let [Output::MultiCall { nodes, connect: true, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(nodes, &[atom("c@h")]);
}

#[test]
fn sync_answers_when_each_node_is_in_sync_or_gone() {
    let mut single = Single::new("b@h");
    single.up("a@h");
    single.up("c@h");
    let me = pid("a@h", 1);
    let nodes = vec![atom("a@h"), atom("c@h"), atom("nowhere@h"), atom("b@h")];
    assert_eq!(single.feed(Input::Request { id: 1, request: Request::Sync { nodes } }), []);
    let request = tuple!(atom "sync", vec![Term::atom("c@h")]);
    assert_eq!(single.feed(Input::Call { from: me.clone(), tag: Term::Int(5), request }), []);
    let outputs = single.cast(tuple!(atom "in_sync", atom("c@h"), true));
    assert_eq!(outputs, [Output::Reply { to: me, tag: Term::Int(5), term: Term::atom("ok") }]);
    let outputs = single.down("a@h");
    assert!(outputs.contains(&Output::Answer { id: 1, answer: Answer::Ok }));
}

#[test]
fn limits_refuse_and_say_so() {
    let mut single = Single::of(config("b@h"));
    let me = pid("a@h", 1);
    single.call(&me, tuple!(atom "set_lock", tuple!(atom "global", 1)));
    let ask = tuple!(atom "whereis", 1, tuple!(&me, 1));
    for _ in 0..1024 {
        assert_eq!(single.info(ask.clone()), []);
    }
    assert!(matches!(single.info(ask)[..], [Output::Warn(Warning::Full { max: 1024, .. })]));

    single.up("c@h");
    single.feed(super::single::init_connect(8, 1, "c@h"));
    // The locker is busy with c, which has a lot to say.
    let lock_set = tuple!(atom "lock_set", pid("c@h", 11), false, Term::NIL);
    single.call(&me, tuple!(atom "del_lock", tuple!(atom "global", 1)));
    single.fire();
    for _ in 0..16 {
        assert_eq!(single.cast(lock_set.clone()), []);
    }
    assert!(matches!(single.cast(lock_set)[..], [Output::Warn(Warning::Full { max: 16, .. })]));
}
