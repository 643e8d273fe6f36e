//! Sessions and partitions: exactly these outputs for these events.

use std::time::Duration;

use etf::{Map, Pid, Term, tuple};

use super::{
    super::api::{
        Address, Answer, CallResult, Input, Output, Removal, Request, ResolveResult, Role, Warning,
    },
    single::{Single, atom, cast, config, exit_method, info, init_connect, pid, warnings},
};

fn lockers(one: Pid, other: Pid) -> Term {
    tuple!(atom "global", vec![Term::from(one), Term::from(other)])
}

fn set_lock(id: &Term) -> Term {
    tuple!(atom "set_lock", id.clone())
}

fn del_lock(id: &Term) -> Term {
    tuple!(atom "del_lock", id.clone())
}

fn our_init_connect(tag: Term, locker: Pid, node: &'static str) -> Term {
    tuple!(
        atom "init_connect",
        tuple!(8, tag),
        atom(node),
        tuple!(atom "locker", atom "no_longer_a_pid", Map::new(), locker)
    )
}

/// A session in which each side has the other's `init_connect`; his tag is 1.
fn opened(own: &'static str, peer: &'static str, vsn: u32) -> Single {
    let mut single = Single::new(own);
    single.up(peer);
    single.feed(init_connect(vsn, 1, peer));
    single
}

#[test]
fn nodeup_makes_us_known() {
    let mut single = Single::new("b@h");
    let outputs = single.up("a@h");
    let message = our_init_connect(single.tag("a@h"), pid("b@h", 11), "b@h");
    assert_eq!(outputs, [cast(Role::NameServer, "a@h", message)]);
    assert_eq!(single.engine.poll_timeout(), None, "there is nobody to negotiate with yet");
}

#[test]
fn without_connect_all_there_are_no_sessions() {
    let mut config = config("b@h");
    config.connect_all = false;
    let mut single = Single::of(config);
    assert_eq!(single.up("a@h"), []);
    assert_eq!(single.feed(init_connect(8, 1, "a@h")), []);
    assert_eq!(single.down("a@h"), []);
}

#[test]
fn init_connect_is_acknowledged_to_those_who_know_that() {
    for (vsn, acknowledged) in [(8, true), (9, true), (7, false), (5, false)] {
        let mut single = Single::new("b@h");
        single.up("a@h");
        assert_eq!(single.feed(init_connect(vsn, 1, "a@h")), [], "what is over soon is not acknowledged");
        let ack = tuple!(atom "init_connect_ack", atom("b@h"), 1, single.tag("a@h"));
        let wanted: Vec<Output> = if acknowledged { vec![info("a@h", ack)] } else { Vec::new() };
        assert_eq!(single.pass(100), wanted, "version {vsn}");
        assert!(single.engine.poll_timeout().is_some(), "the locker begins");
    }
}

#[test]
fn versions_before_five_are_refused() {
    let mut single = Single::new("b@h");
    single.up("a@h");
    let outputs = single.feed(init_connect(4, 1, "a@h"));
    assert_eq!(outputs, [Output::Warn(Warning::IllegalVersion { node: atom("a@h"), vsn: 4 })]);
    assert_eq!(single.engine.poll_timeout(), None);
}

#[test]
fn a_merge_of_two_step_by_step() {
    let mut single = Single::new("b@h");
    let ours = pid("b@h", 50);
    single.call(&pid("b@h", 51), tuple!(atom "register", atom "ours", &ours, exit_method()));
    single.up("a@h");
    single.feed(init_connect(8, 1, "a@h"));
    let tag = single.tag("a@h");

    // This node is its partition's boss, so its own table is locked first, and then the peer.
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let (waited, outputs) = single.fire();
    assert!((200..250).contains(&waited), "{waited}");
    assert!(single.engine.locks.is_global_set());
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
    let lock_set = tuple!(atom "lock_set", pid("b@h", 11), true, Term::NIL, 1);
    assert_eq!(outputs, [cast(Role::Locker, "a@h", lock_set)]);

    let his = tuple!(atom "lock_set", pid("a@h", 11), true, vec![Term::atom("c@h")], tag.clone());
    let names = vec![tuple!(atom "ours", &ours, exit_method())];
    let exchange = tuple!(atom "exchange", atom("b@h"), names, Term::NIL, 1);
    assert_eq!(single.cast(his), [cast(Role::NameServer, "a@h", exchange)]);

    let theirs = pid("c@h", 60);
    let names = vec![tuple!(atom "theirs", &theirs, atom "method")];
    let exchange = tuple!(atom "exchange", atom("a@h"), names, Term::NIL, tag.clone());
    let resolved = tuple!(atom "resolved", atom("b@h"), Term::NIL, Term::NIL, Term::NIL, Term::NIL, 1);
    assert_eq!(single.cast(exchange), [cast(Role::NameServer, "a@h", resolved)]);
    assert_eq!(single.engine.whereis(&Term::atom("theirs")), None, "not before his half is here");

    let his_known = vec![tuple!(atom("c@h"), 8)];
    let resolved = tuple!(atom "resolved", atom("a@h"), Term::NIL, his_known, Term::NIL, Term::NIL, tag);
    let outputs = single.cast(resolved);
    assert_eq!(single.engine.whereis(&Term::atom("theirs")), Some(&theirs));
    assert_eq!(single.known(), ["a@h", "c@h"]);
    let [Output::Monitor { pid: monitored, .. }, Output::MultiCall { nodes, connect: false, .. }, connect] =
        outputs.as_slice()
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((monitored, nodes.as_slice()), (&theirs, [atom("a@h")].as_slice()));
    assert_eq!(connect, &Output::Connect { node: atom("c@h") });
    // The other nodes first, then this one, which is the boss.
    assert!(single.engine.locks.is_global_set());
    assert_eq!(single.answer_true(&outputs, &del_lock(&id), &["a@h"]), []);
    assert!(!single.engine.locks.is_global_set());

    let in_sync = tuple!(atom "in_sync", atom("b@h"), true);
    assert_eq!(single.up("c@h"), [cast(Role::NameServer, "c@h", in_sync)]);
    assert_eq!(single.feed(Input::ConnectResult { node: atom("c@h"), ok: true }), []);
    let synced = |single: &Single| single.engine.synced.iter().cloned().collect::<Vec<_>>();
    assert_eq!(synced(&single), [atom("a@h")]);
    single.cast(tuple!(atom "in_sync", atom("c@h"), true));
    assert_eq!(synced(&single), [atom("a@h"), atom("c@h")]);
}

/// We are b, know d (the boss) and meet a.
fn member_of_two() -> (Single, Term) {
    let mut single = Single::new("b@h");
    single.up("d@h");
    let nodes = vec![tuple!(atom("d@h"), 8)];
    single.cast(tuple!(
        atom "new_nodes", atom("d@h"), Term::NIL, Term::NIL, nodes,
        vec![tuple!(atom "vsn", 8), tuple!(atom "lock", tuple!(atom "global", 1))]
    ));
    single.cast(tuple!(atom "in_sync", atom("d@h"), true));
    assert_eq!(single.known(), ["d@h"]);
    single.up("a@h");
    single.feed(init_connect(8, 1, "a@h"));
    (single, lockers(pid("a@h", 11), pid("b@h", 11)))
}

#[test]
fn the_boss_is_locked_first_and_released_last_after_new_nodes() {
    let (mut single, id) = member_of_two();
    let tag = single.tag("a@h");
    let (waited, outputs) = single.fire();
    assert!((1100..1375).contains(&waited), "{waited}");
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["d@h"]);
    assert!(single.engine.locks.is_global_set(), "this node comes second");
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
    let lock_set = tuple!(atom "lock_set", pid("b@h", 11), true, vec![Term::atom("d@h")], 1);
    assert_eq!(outputs, [cast(Role::Locker, "a@h", lock_set)]);

    single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()));
    let theirs = pid("a@h", 60);
    let name = tuple!(atom "theirs", &theirs, exit_method());
    single.cast(tuple!(atom "exchange", atom("a@h"), vec![name.clone()], Term::NIL, tag.clone()));
    let gone = tuple!(atom "delete", atom "gone");
    let outputs = single.cast(tuple!(
        atom "resolved", atom("a@h"), vec![gone.clone()], Term::NIL, Term::NIL, Term::NIL, tag
    ));
    let new_nodes = tuple!(
        atom "new_nodes",
        atom("b@h"),
        vec![tuple!(atom "insert", name), gone],
        Term::NIL,
        vec![tuple!(atom("a@h"), 8)],
        vec![tuple!(atom "vsn", 8), tuple!(atom "lock", id.clone())]
    );
    let at = outputs.iter().position(|o| *o == cast(Role::Locker, "d@h", new_nodes.clone()));
    let call = outputs.iter().position(|o| matches!(o, Output::MultiCall { .. }));
    assert!(at.is_some() && at < call, "{outputs:?}");
    // a replied `true` too. This node is done at once; d is the last.
    let outputs = single.answer_true(&outputs, &del_lock(&id), &["a@h"]);
    assert!(!single.engine.locks.is_global_set());
    assert_eq!(single.answer_true(&outputs, &del_lock(&id), &["d@h"]), []);
    assert_eq!(single.engine.poll_timeout(), None);
}

#[test]
fn a_refusal_gives_back_what_is_locked() {
    let no = |_: &etf::Atom| CallResult::Reply(false.into());
    // By the boss: nothing to give back.
    let (mut single, id) = member_of_two();
    let outputs = single.fire().1;
    assert_eq!(single.answer(&outputs, &set_lock(&id), &["d@h"], no), []);
    assert!(single.engine.poll_timeout().is_some(), "it tries again");

    // By the peer: this node first, then the boss.
    let (mut single, id) = member_of_two();
    let outputs = single.fire().1;
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["d@h"]);
    assert!(single.engine.locks.is_global_set());
    let outputs = single.answer(&outputs, &set_lock(&id), &["a@h"], no);
    assert!(!single.engine.locks.is_global_set());
    assert_eq!(single.answer_true(&outputs, &del_lock(&id), &["d@h"]), []);
    assert!(single.engine.poll_timeout().is_some());

    // Nonsense is a refusal; a node that is down counts as locked.
    let (mut single, id) = member_of_two();
    let outputs = single.fire().1;
    let outputs = single.answer(&outputs, &set_lock(&id), &["d@h"], |_| CallResult::Down);
    let outputs =
        single.answer(&outputs, &set_lock(&id), &["a@h"], |_| CallResult::Reply(Term::atom("maybe")));
    assert_eq!(outputs, [], "no call to d, which has nothing");
}

#[test]
fn a_peer_that_cannot_lock_makes_us_let_go() {
    let mut single = opened("b@h", "a@h", 8);
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let outputs = single.fire().1;
    single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
    let tag = single.tag("a@h");
    let report = |set: bool, tag: Term| tuple!(atom "lock_set", pid("a@h", 11), set, Term::NIL, tag);
    assert_eq!(single.cast(report(false, Term::Int(99))), [], "a stale tag");
    let outputs = single.cast(report(false, tag));
    assert_eq!(single.answer_true(&outputs, &del_lock(&id), &["a@h"]), []);
    assert!(!single.engine.locks.is_global_set());
    // The peer stays a candidate.
    let (waited, outputs) = single.fire();
    assert!((200..250).contains(&waited));
    single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
}

#[test]
fn a_peer_that_is_first_is_answered() {
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    let outputs = single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()));
    // Only this node has to be locked: he has locked us himself, if he wants to.
    let lock_set = tuple!(atom "lock_set", pid("b@h", 11), true, Term::NIL, 1);
    let exchange = tuple!(atom "exchange", atom("b@h"), Term::NIL, Term::NIL, 1);
    assert_eq!(outputs, [cast(Role::Locker, "a@h", lock_set), cast(Role::NameServer, "a@h", exchange)]);

    // Somebody else holds the lock here: the answer is no.
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    let other = pid("c@h", 5);
    assert_eq!(single.call(&other, set_lock(&tuple!(atom "global", &other))), Some(true.into()));
    let outputs = single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag));
    let lock_set = tuple!(atom "lock_set", pid("b@h", 11), false, Term::NIL, 1);
    assert_eq!(outputs, [cast(Role::Locker, "a@h", lock_set)]);
}

#[test]
fn old_peers_get_old_forms() {
    // 5: straight to the locker. 6 and 7: through the server, without a tag.
    for vsn in [5, 6, 7] {
        let mut single = opened("b@h", "a@h", vsn);
        let outputs =
            single.feed(Input::LockerMessage(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL)));
        let lock_set = tuple!(atom "lock_set", pid("b@h", 11), true, Term::NIL);
        let wanted = if vsn == 5 {
            let to = Address::Pid(pid("a@h", 11));
            Output::Send { from: Role::Locker, to, connect: false, term: lock_set }
        } else {
            cast(Role::Locker, "a@h", lock_set)
        };
        assert_eq!(outputs[0], wanted);
    }
    // Before 7 nodes are told without their versions.
    let (mut single, _) = member_of_two();
    single.engine.known.insert(atom("e@h"), 6);
    single.engine.pending.insert(atom("a@h"), 6);
    let tag = single.tag("a@h");
    let outputs = single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()));
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["e@h"]);
    let outputs = single.answer_true(&outputs, &set_lock(&id), &["d@h"]);
    assert_eq!(outputs.len(), 2, "lock_set and exchange: {outputs:?}");
    let outputs = single.cast(tuple!(atom "exchange", atom("a@h"), Term::NIL, Term::NIL, tag.clone()));
    let plain = vec![Term::atom("d@h"), Term::atom("e@h")];
    let resolved = tuple!(atom "resolved", atom("b@h"), Term::NIL, plain, Term::NIL, Term::NIL, 1);
    assert_eq!(outputs, [cast(Role::NameServer, "a@h", resolved)]);
    let his_known = vec![Term::atom("f@h")];
    let outputs =
        single.cast(tuple!(atom "resolved", atom("a@h"), Term::NIL, his_known, Term::NIL, Term::NIL, tag));
    let told = |nodes: Vec<Term>| {
        tuple!(
            atom "new_nodes", atom("b@h"), Term::NIL, Term::NIL, nodes,
            vec![tuple!(atom "vsn", 8), tuple!(atom "lock", id.clone())]
        )
    };
    let with = told(vec![tuple!(atom("a@h"), 6), tuple!(atom("f@h"), 0)]);
    let without = told(vec![Term::atom("a@h"), Term::atom("f@h")]);
    assert_eq!(outputs[0], cast(Role::Locker, "d@h", with));
    let Output::Send { connect: true, term, .. } = &outputs[1] else { panic!("{outputs:?}") };
    assert_eq!(term, &tuple!(atom "$gen_cast", without), "e is a member that is not connected yet");
}

#[test]
fn a_locker_that_we_do_not_know_is_told_no() {
    let mut single = Single::new("b@h");
    single.up("a@h");
    let no = Output::Send {
        from: Role::Locker,
        to: Address::Pid(pid("a@h", 11)),
        connect: false,
        term: tuple!(atom "lock_set", pid("b@h", 11), false, Term::NIL),
    };
    let message = |set: bool| tuple!(atom "lock_set", pid("a@h", 11), set, Term::NIL);
    assert_eq!(single.cast(message(true)), std::slice::from_ref(&no));
    assert_eq!(single.feed(Input::LockerMessage(message(true))), [no]);
    assert_eq!(single.cast(message(false)), []);
}

/// OTP 27 and later forget the names of a member whose acknowledgement comes too late.
#[test]
fn a_session_that_a_third_has_ended_is_not_acknowledged() {
    let mut single = opened("b@h", "a@h", 8);
    single.cast(tuple!(atom "in_sync", atom("a@h"), true));
    assert_eq!(single.pass(100), []);
    let mut single = opened("b@h", "a@h", 8);
    single.down("a@h");
    single.up("a@h");
    assert_eq!(single.pass(100), []);
}

#[test]
fn an_early_init_connect_waits_for_its_connection() {
    let mut single = Single::new("b@h");
    assert_eq!(single.feed(init_connect(8, 1, "a@h")), []);
    let outputs = single.up("a@h");
    let tag = single.tag("a@h");
    let message = our_init_connect(tag.clone(), pid("b@h", 11), "b@h");
    let ack = tuple!(atom "init_connect_ack", atom("b@h"), 1, tag);
    assert_eq!(outputs, [cast(Role::NameServer, "a@h", message)]);
    assert!(single.engine.pre_connect.is_empty());
    assert_eq!(single.pass(100), [info("a@h", ack)]);
}

#[test]
fn a_surplus_init_connect_of_a_member_is_wiped_by_in_sync() {
    let (mut single, _) = member_of_two();
    assert_eq!(single.feed(init_connect(8, 7, "d@h")), []);
    assert_eq!(single.engine.pre_connect.len(), 1);
    single.cast(tuple!(atom "in_sync", atom("d@h"), true));
    assert!(single.engine.pre_connect.is_empty());
}

#[test]
fn init_connect_in_the_middle_of_a_session_is_that_of_the_next() {
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    for his in [2, 3] {
        assert_eq!(single.feed(init_connect(8, his, "a@h")), []);
    }
    let ack = tuple!(atom "init_connect_ack", atom("b@h"), 3, tag);
    assert_eq!(single.pass(100), [info("a@h", ack)], "of the last one alone");

    let mut single = opened("b@h", "a@h", 7);
    let outputs = single.feed(init_connect(7, 2, "a@h"));
    let warning = Warning::OutOfSync { node: atom("a@h"), vsn: 7 };
    assert_eq!(outputs, [Output::Disconnect { node: atom("a@h") }, Output::Warn(warning)]);
}

#[test]
fn an_acknowledgement_must_fit() {
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    let ack = |yours: Term, mine: i64| tuple!(atom "init_connect_ack", atom("a@h"), yours, mine);
    assert_eq!(single.info(ack(tag.clone(), 1)), []);
    assert_eq!(single.info(ack(Term::Int(77), 1)), [], "of a session before this one");
    let outputs = single.info(ack(tag.clone(), 9));
    let cancel = |tag: i64| info("a@h", tuple!(atom "cancel_connect", atom("b@h"), tag));
    assert_ne!(single.tag("a@h"), tag);
    let message = our_init_connect(single.tag("a@h"), pid("b@h", 11), "b@h");
    assert_eq!(outputs, [cancel(9), cancel(1), cast(Role::NameServer, "a@h", message)]);
}

#[test]
fn a_cancelled_session_lets_go_and_begins_anew() {
    let mut single = opened("b@h", "a@h", 8);
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let outputs = single.fire().1;
    single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
    let tag = single.tag("a@h");
    let cancel = |tag: Term| tuple!(atom "cancel_connect", atom("a@h"), tag);
    assert_eq!(single.info(cancel(Term::Int(99))), [], "a stale tag");
    let outputs = single.info(cancel(tag.clone()));
    assert_ne!(single.tag("a@h"), tag);
    let message = our_init_connect(single.tag("a@h"), pid("b@h", 11), "b@h");
    assert_eq!(outputs[1], cast(Role::NameServer, "a@h", message));
    single.answer_true(&outputs, &del_lock(&id), &["a@h"]);
    assert!(!single.engine.locks.is_global_set());
    assert!(single.engine.pending.is_empty());
}

#[test]
fn stale_tags_change_nothing() {
    let mut single = opened("b@h", "a@h", 8);
    let name = tuple!(atom "n", pid("a@h", 60), exit_method());
    for message in [
        tuple!(atom "exchange", atom("a@h"), vec![name.clone()], Term::NIL, 99),
        tuple!(
            atom "resolved", atom("a@h"), vec![tuple!(atom "insert", name)], Term::NIL, Term::NIL,
            Term::NIL, 99
        ),
        tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, 99),
    ] {
        assert_eq!(single.cast(message), []);
    }
    assert_eq!(single.engine.registered_names().next(), None);
    assert!(single.known().is_empty());
}

#[test]
fn a_session_that_dies_while_locking_is_let_go_in_silence() {
    let mut single = opened("b@h", "a@h", 8);
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let outputs = single.fire().1;
    single.down("a@h");
    let outputs = single.answer(&outputs, &set_lock(&id), &["a@h"], |_| CallResult::Down);
    assert_eq!(outputs, []);
    assert!(!single.engine.locks.is_global_set());
    assert_eq!(single.engine.poll_timeout(), None);
}

/// A session of a (us) and b, both locked, with a name of ours in conflict: what `exchange` makes of it.
fn conflict(method: Term, ours: &Pid) -> (Single, Term, Vec<Output>) {
    let mut single = opened("a@h", "b@h", 8);
    let tag = single.tag("b@h");
    let registrar = pid("a@h", 12);
    single.call(&registrar, tuple!(atom "register", atom "n", ours, method));
    single.cast(tuple!(atom "lock_set", pid("b@h", 11), true, Term::NIL, tag.clone()));
    let names = vec![tuple!(atom "n", pid("b@h", 60), exit_method())];
    let outputs = single.cast(tuple!(atom "exchange", atom("b@h"), names, Term::NIL, tag.clone()));
    (single, tag, outputs)
}

fn our_resolved(ops: Vec<Term>) -> Output {
    let resolved = tuple!(atom "resolved", atom("a@h"), ops, Term::NIL, Term::NIL, Term::NIL, 1);
    cast(Role::NameServer, "b@h", resolved)
}

#[test]
fn the_smaller_node_resolves_with_its_own_function() {
    let ours = pid("a@h", 50);
    let (_, _, outputs) = conflict(exit_method(), &ours);
    let kept = tuple!(atom "insert", tuple!(atom "n", &ours, exit_method()));
    let warning = Warning::Terminating { name: Term::atom("n"), pid: pid("b@h", 60) };
    assert_eq!(outputs, [Output::Warn(warning), Output::Kill(pid("b@h", 60)), our_resolved(vec![kept])]);
}

#[test]
fn the_greater_node_leaves_it_to_the_other() {
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    single.call(&pid("b@h", 12), tuple!(atom "register", atom "n", pid("b@h", 50), exit_method()));
    single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()));
    let names = vec![tuple!(atom "n", pid("a@h", 60), exit_method())];
    let outputs = single.cast(tuple!(atom "exchange", atom("a@h"), names, Term::NIL, tag));
    let resolved = tuple!(atom "resolved", atom("b@h"), Term::NIL, Term::NIL, Term::NIL, Term::NIL, 1);
    assert_eq!(outputs, [cast(Role::NameServer, "a@h", resolved)]);
}

#[test]
fn a_function_elsewhere_is_asked_and_its_answers_decide() {
    let ours = pid("c@h", 50);
    let theirs = pid("b@h", 60);
    let delete = tuple!(atom "delete", atom "n");
    let insert = |pid: &Pid| tuple!(atom "insert", tuple!(atom "n", pid, exit_method()));
    type Case = (ResolveResult, Vec<Term>, Option<Pid>);
    let value = |term: Term| ResolveResult::Value(term);
    let cases: [Case; 5] = [
        (value((&ours).into()), vec![insert(&ours)], Some(ours.clone())),
        (value((&theirs).into()), vec![], Some(theirs.clone())),
        (value(Term::atom("none")), vec![delete.clone()], None),
        (value(tuple!(atom "EXIT", atom "crash")), vec![delete], None),
        (ResolveResult::BadRpc(Term::atom("nodedown")), vec![], Some(theirs.clone())),
    ];
    for (result, resolved, owner) in cases {
        let (mut single, tag, outputs) = conflict(exit_method(), &ours);
        let [Output::RunResolver { id, node, method, name, pid1, pid2 }] = outputs.as_slice() else {
            panic!("{outputs:?}")
        };
        assert_eq!((node, method), (&atom("c@h"), &exit_method()));
        assert_eq!((name, pid1, pid2), (&Term::atom("n"), &theirs, &ours));
        // Users' locks work meanwhile.
        let user = pid("d@h", 1);
        let lock = tuple!(atom "set_lock", tuple!(atom "mine", 1));
        assert_eq!(single.call(&user, lock), Some(true.into()));
        let outputs = single.feed(Input::ResolveResult { id: *id, result: result.clone() });
        assert!(outputs.contains(&our_resolved(resolved)), "{result:?}: {outputs:?}");
        single.cast(tuple!(
            atom "resolved", atom("b@h"), Term::NIL, Term::NIL, Term::NIL, Term::NIL, tag
        ));
        // Ours is inserted on the other side only; here it stands already.
        assert_eq!(single.engine.whereis(&Term::atom("n")), owner.as_ref(), "{result:?}");
        assert_eq!(single.feed(Input::ResolveResult { id: *id, result }), [], "a late answer");
    }
}

#[test]
fn the_halves_may_come_in_either_order() {
    let mut single = opened("b@h", "a@h", 8);
    let tag = single.tag("a@h");
    assert_eq!(single.cast(tuple!(atom "exchange", atom("a@h"), Term::NIL, Term::NIL, tag.clone())), []);
    let resolved =
        tuple!(atom "resolved", atom("a@h"), Term::NIL, Term::NIL, Term::NIL, Term::NIL, tag.clone());
    assert_eq!(single.cast(resolved), []);
    let outputs = single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag));
    let sent: Vec<String> = outputs
        .iter()
        .filter_map(|o| match o {
            Output::Send { term, .. } => Some(term.as_tuple()?[1].as_tuple()?[0].to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, ["lock_set", "exchange", "resolved"]);
    assert_eq!(single.known(), ["a@h"]);
    assert!(!single.engine.locks.is_global_set());
}

#[test]
fn new_nodes_adds_members_and_names_under_the_lock_of_its_sender_alone() {
    let message = |requester: i64| {
        tuple!(
            atom "new_nodes",
            atom("d@h"),
            vec![tuple!(atom "insert", tuple!(atom "n", pid("e@h", 60), exit_method()))],
            vec![tuple!(atom "n", pid("e@h", 60), atom("e@h"))],
            vec![tuple!(atom("e@h"), 8), tuple!(atom("b@h"), 8), Term::atom("f@h")],
            vec![tuple!(atom "vsn", 8), tuple!(atom "lock", tuple!(atom "global", requester))]
        )
    };
    let lock = |requester: i64| tuple!(atom "set_lock", tuple!(atom "global", requester));
    let mut single = Single::new("b@h");
    single.call(&pid("d@h", 11), lock(1));
    let outputs = single.cast(message(1));
    assert_eq!(single.known(), ["e@h", "f@h"], "not ourselves");
    assert_eq!(outputs[1..], [Output::Connect { node: atom("e@h") }, Output::Connect { node: atom("f@h") }]);
    assert_eq!(single.engine.whereis(&Term::atom("n")), Some(&pid("e@h", 60)));
    let ext = vec![tuple!(atom "n", pid("e@h", 60), atom("e@h"))];
    assert_eq!(single.call(&pid("x@h", 1), Term::atom("get_names_ext")), Some(ext.into()));

    let mut single = Single::new("b@h");
    single.call(&pid("d@h", 11), lock(2));
    let outputs = single.cast(message(1));
    let nodes = ["e@h", "b@h", "f@h"].map(atom).to_vec();
    assert_eq!(outputs, [Output::Warn(Warning::LockLost { nodes })]);
    assert_eq!(single.engine.known().next(), None);
    assert_eq!(single.engine.whereis(&Term::atom("n")), None, "somebody else has the lock");
}

#[test]
fn a_member_out_of_reach_is_given_up_after_retries() {
    let (mut single, _) = member_of_two();
    single.cast(tuple!(
        atom "new_nodes", atom("d@h"), Term::NIL, Term::NIL, vec![tuple!(atom("e@h"), 8)],
        vec![tuple!(atom "vsn", 8), tuple!(atom "lock", tuple!(atom "global", 1))]
    ));
    let fail = Input::ConnectResult { node: atom("e@h"), ok: false };
    for _ in 0..5 {
        assert_eq!(single.feed(fail.clone()), [Output::Connect { node: atom("e@h") }]);
    }
    let outputs = single.feed(fail.clone());
    let warning = Warning::ConnectFailed { own: atom("b@h"), node: atom("e@h") };
    assert_eq!(outputs[0], Output::Warn(warning));
    let to = |output: &Output| match output {
        Output::Send { to: Address::NameServer(node), term, .. } => {
            (node.clone(), term.as_tuple().unwrap()[0].clone())
        }
        other => panic!("{other:?}"),
    };
    let lost = Term::atom("lost_connection");
    assert_eq!(
        outputs[1..].iter().map(to).collect::<Vec<_>>(),
        [(atom("d@h"), lost.clone()), (atom("a@h"), lost)],
        "members and those that become members"
    );
    assert_eq!(single.known(), ["d@h"]);
    assert_eq!(single.feed(fail), []);
}

#[test]
fn a_lost_node_is_told_of_once_and_forgotten() {
    let mut single = Single::of(super::super::api::Config { creation_ext: 1 << 40, ..config("b@h") });
    single.up("d@h");
    single.cast(tuple!(
        atom "new_nodes", atom("d@h"), Term::NIL, Term::NIL,
        vec![tuple!(atom("d@h"), 8), tuple!(atom("c@h"), 7), tuple!(atom("old@h"), 6)],
        vec![tuple!(atom "vsn", 8), tuple!(atom "lock", tuple!(atom "global", 1))]
    ));
    let outputs = single.down("d@h");
    let [Output::Send { from: Role::NameServer, to, connect: false, term }] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!(to, &Address::NameServer(atom("c@h")));
    let Some([what, own, Term::Int(x_creation), Term::Int(op_id), lost]) = term.as_tuple() else {
        panic!("{term}")
    };
    assert_eq!((what, own, lost), (&Term::atom("lost_connection"), &Term::atom("b@h"), &Term::atom("d@h")));
    assert_eq!(*x_creation, (1 << 40) + 1);
    assert_eq!(single.known(), ["c@h", "old@h"]);
    // Even one that never was a member is told of, with a greater number.
    single.up("x@h");
    let outputs = single.down("x@h");
    let [Output::Send { term, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert!(term.as_tuple().unwrap()[3].as_int().unwrap() > *op_id);
    // A node that stops tells nobody.
    single.feed(Input::PrepareShutdown);
    single.up("c@h");
    assert_eq!(single.down("c@h"), []);
}

#[test]
fn lost_connection_is_passed_on_once_and_its_node_left_out() {
    let (mut single, _) = member_of_two();
    single.engine.known.insert(atom("c@h"), 8);
    single.up("c@h");
    let lost = |op: i64| tuple!(atom "lost_connection", atom("c@h"), 5, op, atom("d@h"));
    let outputs = single.info(lost(1));
    let warning = Warning::Overlapping { own: atom("b@h"), node: atom("d@h"), done: Removal::Requested };
    assert_eq!(
        outputs,
        [
            info("d@h", lost(1)),
            info("a@h", lost(1)),
            info("d@h", tuple!(atom "remove_connection", atom("b@h"))),
            Output::Warn(warning),
        ]
    );
    assert_eq!(single.known(), ["c@h"]);
    assert_eq!(single.info(lost(1)), [], "seen");
    assert_eq!(single.info(lost(0)), [], "older");
    assert_eq!(single.info(lost(2)), [info("a@h", lost(2))], "news, but d is out already");
    let ours = tuple!(atom "lost_connection", atom("b@h"), 5, 1, atom("c@h"));
    assert_eq!(single.info(ours), [], "our own");
    // Its connection goes without a word.
    assert_eq!(single.down("d@h"), []);
    // After an hour it is news again.
    single.pass(3_600_001);
    assert_ne!(single.info(lost(1)), []);
}

/// As by default: what another has lost waits.
fn patient_member() -> Single {
    let config = super::super::api::Config { loss_grace: Duration::from_millis(100), ..config("b@h") };
    let mut single = Single::of(config);
    for node in ["a@h", "c@h", "d@h"] {
        single.engine.known.insert(atom(node), 8);
        single.up(node);
    }
    single
}

#[test]
fn a_node_that_everybody_loses_is_no_partition() {
    let lost = tuple!(atom "lost_connection", atom("c@h"), 5, 1, atom("d@h"));
    let passed_on = [info("a@h", lost.clone()), info("d@h", lost.clone())];
    // Another was quicker than we: d is not left out before we have noticed ourselves, and then there is no need to.
    let mut single = patient_member();
    assert_eq!(single.info(lost.clone()), passed_on);
    assert_eq!(single.pass(50), []);
    assert_eq!(single.down("d@h").len(), 2, "a and c are told that we lost d too");
    assert_eq!(single.pass(1000), []);
    // It is back before the time is over: this one was not lost.
    let mut single = patient_member();
    assert_eq!(single.info(lost.clone()), passed_on);
    single.down("d@h");
    single.up("d@h");
    assert_eq!(warnings(&single.pass(1000)), Vec::<&Warning>::new());
    // It was lost by another only: it is left out once the time is over.
    let mut single = patient_member();
    assert_eq!(single.info(lost.clone()), passed_on);
    assert_eq!(single.pass(99), []);
    let outputs = single.pass(1);
    assert!(outputs.contains(&info("d@h", tuple!(atom "remove_connection", atom("b@h")))));
    assert_eq!(single.known(), ["a@h", "c@h"]);
    assert_eq!(single.pass(1000), [], "once");
}

/// Nothing else happens: no event but the timers that were asked for.
#[test]
fn a_member_for_one_side_only_is_left_out_and_then_disconnected() {
    let mut single = Single::new("b@h");
    single.engine.known.insert(atom("d@h"), 8);
    single.up("d@h");
    // It has forgotten us, and begins anew.
    single.feed(init_connect(8, 1, "d@h"));
    let (after, outputs) = single.fire();
    assert_eq!(after, 15_000);
    assert!(outputs.contains(&info("d@h", tuple!(atom "remove_connection", atom("b@h")))), "{outputs:?}");
    // A BEAM does not do it for one that it has forgotten.
    assert_eq!(single.fire(), (5000, vec![Output::Disconnect { node: atom("d@h") }]));
}

#[test]
fn whoever_lost_us_is_left_out_by_us() {
    let (mut single, _) = member_of_two();
    let outputs = single.info(tuple!(atom "lost_connection", atom("d@h"), 5, 1, atom("b@h")));
    assert!(outputs.contains(&info("d@h", tuple!(atom "remove_connection", atom("b@h")))));
    assert!(single.known().is_empty());

    let (mut single, _) = member_of_two();
    single.engine.known.insert(atom("d@h"), 6);
    let outputs = single.info(tuple!(atom "lost_connection", atom("c@h"), 5, 1, atom("d@h")));
    let done = Removal::DisconnectedOld;
    let warning = Warning::Overlapping { own: atom("b@h"), node: atom("d@h"), done };
    assert_eq!(outputs[1..], [Output::Disconnect { node: atom("d@h") }, Output::Warn(warning)]);
}

#[test]
fn remove_connection_closes_it() {
    let (mut single, _) = member_of_two();
    let outputs = single.info(tuple!(atom "remove_connection", atom("d@h")));
    let done = Removal::Disconnected;
    let warning = Warning::Overlapping { own: atom("b@h"), node: atom("d@h"), done };
    assert_eq!(
        warning.to_string(),
        "'global' at node b@h disconnected node d@h in order to prevent overlapping partitions"
    );
    assert_eq!(outputs, [Output::Disconnect { node: atom("d@h") }, Output::Warn(warning)]);
    assert!(single.known().is_empty());
    assert_eq!(single.down("d@h"), []);
    assert_eq!(single.info(tuple!(atom "remove_connection", atom("d@h"))), [], "not known");
    // A mark that was left does not silence the next loss.
    single.up("d@h");
    assert_ne!(single.down("d@h"), [], "a is told");
}

#[test]
fn without_prevention_nobody_is_told() {
    let mut config = config("b@h");
    config.prevent_overlapping_partitions = false;
    let mut single = Single::of(config);
    for node in ["a@h", "d@h"] {
        single.engine.known.insert(atom(node), 8);
        single.up(node);
    }
    assert_eq!(single.info(tuple!(atom "lost_connection", atom("a@h"), 5, 1, atom("d@h"))), []);
    assert_eq!(single.down("d@h"), []);
    assert_eq!(single.known(), ["a@h"]);
}

#[test]
fn disconnect_waits_for_all_and_tells_nobody() {
    let (mut single, _) = member_of_two();
    let outputs = single.feed(Input::Request { id: 9, request: Request::Disconnect });
    let disconnect = |node| Output::Disconnect { node: atom(node) };
    let cancel = info("a@h", tuple!(atom "cancel_connect", atom("b@h"), 1));
    assert_eq!(outputs, [cancel, disconnect("a@h"), disconnect("d@h")]);
    assert_eq!(single.down("a@h"), []);
    let nodes = vec![atom("a@h"), atom("d@h")];
    assert_eq!(single.down("d@h"), [Output::Answer { id: 9, answer: Answer::Nodes(nodes) }]);
    let none = Output::Answer { id: 10, answer: Answer::Nodes(Vec::new()) };
    assert_eq!(single.feed(Input::Request { id: 10, request: Request::Disconnect }), [none]);
}

#[test]
fn a_malformed_message_ends_the_session_it_belongs_to() {
    let mut single = opened("b@h", "a@h", 8);
    let id = lockers(pid("a@h", 11), pid("b@h", 11));
    let outputs = single.fire().1;
    single.answer_true(&outputs, &set_lock(&id), &["a@h"]);
    let tag = single.tag("a@h");
    single.cast(tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()));
    let bad = vec![tuple!(atom "name", atom "no_pid", exit_method())];
    let outputs = single.cast(tuple!(atom "exchange", atom("a@h"), bad, Term::NIL, tag));
    let warning = Warning::Malformed { what: "exchange", node: Some(atom("a@h")) };
    assert_eq!(warnings(&outputs), [&warning]);
    assert!(outputs.contains(&info("a@h", tuple!(atom "cancel_connect", atom("b@h"), 1))));
    single.answer_true(&outputs, &del_lock(&id), &["a@h"]);
    assert!(!single.engine.locks.is_global_set());
}
