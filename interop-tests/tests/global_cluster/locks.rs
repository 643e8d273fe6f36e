//! Items 10 and 19: locks and transactions across stock nodes and ours.

use std::time::Duration;

use crabnode::{
    Pid, Term,
    global::{self, Resolver, Retries},
};
use interop_tests::{
    NodeSpec,
    clock::{now, pause, wait_for},
};

use crate::{
    members::{Members, atom, atoms, lock_id, t},
    peer_support::{SOON, each_release},
};

const ALL: [&str; 4] = ["a", "b", "r", "s"];

#[test]
fn locks_in_a_cluster_of_four() {
    each_release(|otp| {
        let mut members = Members::joined(otp, &["a", "b"], &["r", "s"]);
        item_10_a_lock_is_one_requesters(&members);
        item_10_who_waits_gets_it_and_who_dies_frees_it(&members);
        item_10_transactions(&members);
        item_10_names_wait_for_the_lock_of_global(&members);
        item_19_sync_with_nothing_to_do_returns_at_once(&members);
        members.nothing_is_wrong_but_for(&[]);
        item_19_without_connect_all_nodes_do_not_merge(&mut members);
        members.nothing_crashed();
    });
}

/// Tries once, in a process that then ends.
fn set(members: &Members, by: &str, id: &str, nodes: &[&str]) -> bool {
    let args = vec![t(id), atoms(nodes), Term::Int(0)];
    members.global(by, "set_lock", args).as_bool().expect("true or false")
}

/// A process that has the lock and lives.
fn hold(members: &Members, by: &str, id: &str, nodes: &[&str]) -> Pid {
    let answer = members.call(by, "ct_peer", "holder", vec![t(id), atoms(nodes), Term::Int(0)]);
    match answer.as_tuple() {
        Some([Term::Pid(pid), set]) if set.is_atom("true") => pid.clone(),
        _ => panic!("{by} does not get {id}: {answer}"),
    }
}

#[track_caller]
fn comes_free(members: &Members, by: &str, id: &str, nodes: &[&str]) {
    let free = wait_for(SOON, || set(members, by, id, nodes).then_some(()));
    assert!(free.is_some(), "{id} is not free at {nodes:?}");
}

fn item_10_a_lock_is_one_requesters(members: &Members) {
    for by in ALL {
        for resource in ["plain", "{\"any\", [1.5]}", "<<>>"] {
            let resource = format!("{{{resource}, {by}}}");
            let (mine, yours) = (format!("{{{resource}, mine}}"), format!("{{{resource}, yours}}"));
            let holder = hold(members, by, &mine, &ALL);
            for other in ALL {
                assert!(!set(members, other, &yours, &ALL), "{other} while {by} has it");
                assert!(!set(members, other, &yours, &[by]));
                assert!(set(members, other, &mine, &ALL), "the same requester, {other} and {by}");
                // On nodes that nobody has locked it on, it is free.
                assert!(set(members, other, &format!("{{{{other, {resource}}}, yours}}"), &ALL));
            }
            members.kill(&holder);
            comes_free(members, by, &yours, &ALL);
            // It goes again with the process that has tried.
            comes_free(members, by, &mine, &ALL);
        }
    }
}

fn item_10_who_waits_gets_it_and_who_dies_frees_it(members: &Members) {
    for (by, waiter) in [("a", "r"), ("r", "b"), ("r", "s")] {
        let holder = hold(members, by, &format!("{{{{res, {waiter}}}, one}}"), &ALL);
        let asker = members.asker().clone();
        let at = format!("{waiter}@localhost");
        let (sender, got) = std::sync::mpsc::channel();
        asker.spawn(async move |mut context: crabnode::Context| {
            let args = vec![t(&format!("{{{{res, {waiter}}}, two}}")), atoms(&ALL), Term::Int(20)];
            let answer = crabnode::erpc::call(&mut context, &at, "global", "set_lock", args, None).await;
            let _ = sender.send(answer);
        });
        let early = got.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "{early:?}");
        members.kill(&holder);
        let answer = got.recv_timeout(Duration::from_secs(20)).expect("it is free");
        assert_eq!(answer, Ok(true.into()));
        comes_free(members, by, &format!("{{{{res, {waiter}}}, one}}"), &ALL);
    }
    // With our API, as one process, and without the nodes being said.
    let answers = members.run(members.node("r"), async |mut context| {
        let (id, other) = (lock_id(&t("{mine, ours}")), lock_id(&t("{mine, theirs}")));
        let first = global::set_lock(&mut context, id.clone(), None, Retries::Times(0)).await;
        let second = global::set_lock(&mut context, other.clone(), None, Retries::Times(1)).await;
        global::del_lock(&mut context, id, None).await;
        let third = global::set_lock(&mut context, other, None, Retries::Times(1)).await;
        [first, second, third]
    });
    assert_eq!(answers, [true, false, true]);
}

fn item_10_transactions(members: &Members) {
    // Resources of their own: a lock is free only when all have heard of the end of the process that had it.
    for by in ALL {
        let id = format!("{{{{trans, {by}}}, trans}}");
        let node = || vec![t(&id), Term::export("erlang", "node", 0), atoms(&ALL), Term::Int(0)];
        assert_eq!(members.global(by, "trans", node()), atom(by));
        let holder = hold(members, by, &format!("{{{{trans, {by}}}, holder}}"), &ALL);
        for other in ALL {
            assert!(members.global(other, "trans", node()).is_atom("aborted"), "{other} while {by}");
        }
        members.kill(&holder);
        comes_free(members, by, &format!("{{{{trans, {by}}}, x}}"), &ALL);
    }
    // What fails under the lock gives it back.
    for by in ALL {
        let id = format!("{{{{fails, {by}}}, fails}}");
        let args = vec![t(&id), Term::export("ct_peer", "nobody", 0), atoms(&ALL), Term::Int(0)];
        let answer = members.try_call(by, "global", "trans", args);
        assert!(answer.is_err(), "{by}: {answer:?}");
        assert!(set(members, "b", &format!("{{{{fails, {by}}}, x}}"), &ALL), "after a failure at {by}");
    }
    let done = members.run(members.node("r"), async |mut context| {
        let id = lock_id(&t("{res, ours}"));
        global::trans(&mut context, id, None, Retries::Infinity, |context| {
            let pid = context.pid().clone();
            Box::pin(async move { pid })
        })
        .await
    });
    assert!(done.is_some());
}

/// A user's lock keeps no name waiting; one on `global` does.
fn item_10_names_wait_for_the_lock_of_global(members: &Members) {
    let holder = hold(members, "a", "{res, user}", &ALL);
    let pid = members.sleeper("r");
    assert!(members.register("r", &t("beside"), &pid));
    members.kill(&holder);
    members.kill(&pid);
    for (holds, registers) in [("a", "r"), ("r", "b"), ("s", "r")] {
        let holder = hold(members, holds, "{global, user}", &ALL);
        let (pid, at) = (members.sleeper(registers), format!("{registers}@localhost"));
        let (sender, registered) = std::sync::mpsc::channel();
        let args = vec![t("waiting"), Term::from(&pid)];
        members.asker().spawn(async move |mut context: crabnode::Context| {
            let answer = crabnode::erpc::call(&mut context, &at, "global", "register_name", args, None).await;
            let _ = sender.send(answer);
        });
        let early = registered.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "{early:?}");
        // In order: a holder that dies leaves a mark that lets no name in.
        members.call(holds, "erlang", "send", vec![(&holder).into(), t("stop")]);
        let answer = registered.recv_timeout(Duration::from_secs(20)).expect("it is free");
        assert_eq!(answer, Ok(Term::atom("yes")));
        members.all_have(&ALL, &t("waiting"), Some(&pid));
        members.kill(&pid);
        members.all_get(&ALL, &t("waiting"), None);
    }
}

fn item_19_sync_with_nothing_to_do_returns_at_once(members: &Members) {
    // A machine that is busy may be late now and then.
    let times = || {
        let started = now();
        for node in ALL {
            assert!(members.global(node, "sync", vec![]).is_atom("ok"));
        }
        members.runtime.block_on(async {
            let node = members.node("r");
            node.global().sync(node.nodes()).await;
        });
        started.elapsed()
    };
    assert!((0..5).any(|_| times() < Duration::from_secs(1)), "each time it takes a second and more");
}

fn item_19_without_connect_all_nodes_do_not_merge(members: &mut Members) {
    members.part(&ALL);
    members.add_erl("loose", &NodeSpec::args(["-connect_all", "false"]));
    members.add_ours("free", |config| config.connect_all = false);
    for (one, other) in [("r", "loose"), ("a", "free"), ("free", "loose")] {
        let pid = members.sleeper(one);
        assert!(members.register(one, &t("own"), &pid));
        members.connect(one, other);
        let visible = |node: &str| members.call(node, "erlang", "nodes", vec![]);
        assert_eq!(visible(one), atoms(&[other]));
        // Who was dialled lists the other a moment later.
        let lists = wait_for(SOON, || (visible(other) == atoms(&[one])).then_some(()));
        assert!(lists.is_some(), "{one} and {other}: {}", visible(other));
        pause(Duration::from_millis(700));
        for node in [one, other] {
            assert_eq!(members.ask_server(node, "get_known"), Term::NIL, "{node}");
        }
        assert_eq!(members.whereis(other, &t("own")), None);
        // Each reaches the other all the same.
        for (from, to) in [(one, other), (other, one)] {
            let mfa = vec![atom(to), Term::atom("erlang"), Term::atom("node"), Term::NIL];
            assert_eq!(members.call(from, "rpc", "call", mfa), atom(to));
        }
        members.kill(&pid);
        members.call(one, "erlang", "disconnect_node", vec![atom(other)]);
        members.are_alone(&[one, other]);
    }
    let free = members.node("free").clone();
    let pid = members.sleeper("free");
    let name = t("alone");
    assert!(members.runtime.block_on(free.global().register_name(&name, &pid, Resolver::RandomExit)));
    assert_eq!(free.global().whereis(&name), Some(pid));
}
