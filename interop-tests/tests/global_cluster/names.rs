//! Items 8, 9, 18 and 20: names come, move and go, in a cluster of two stock nodes and three of ours.

use std::time::Duration;

use crabnode::{Message, Term, global::Resolver, tuple};
use interop_tests::{
    NodeSpec,
    clock::{now, wait_for},
};

use crate::{
    members::{Members, t},
    peer_support::{SOON, each_release},
};

const ALL: [&str; 5] = ["a", "b", "r", "s", "u"];

#[test]
fn names_in_a_cluster_of_five() {
    each_release(|otp| {
        let mut members = Members::joined(otp, &["a", "b"], &["r", "s", "u"]);
        item_08_names_are_registered_seen_and_taken_back_everywhere(&members);
        item_08_names_of_processes_that_end_go(&members);
        item_09_re_register_name_moves_a_name_on_all_nodes(&members);
        item_18_a_hundred_names_go_with_their_node(&mut members);
        item_18_unregistering_while_a_node_goes_down(&mut members);
        members.nothing_is_wrong_but_for(&["dying", "many"]);
        item_20_external_names(&mut members);
    });
}

fn item_08_names_are_registered_seen_and_taken_back_everywhere(members: &Members) {
    let names = ["plain", "{any, \"term\", [1.0]}", "<<1,2>>", "17", "[]"];
    for (at, name) in names.iter().enumerate() {
        let (by, other, last) = (ALL[at], ALL[(at + 1) % 5], ALL[(at + 2) % 5]);
        let (name, pid) = (t(name), members.sleeper(by));
        assert!(members.register(by, &name, &pid));
        members.all_have(&ALL, &name, Some(&pid));
        for node in ALL {
            assert!(!members.register(node, &name, &members.sleeper(node)), "{name} twice, by {node}");
        }
        assert!(!members.register(other, &t("second"), &pid), "a second name");
        members.all_have(&ALL, &t("second"), None);
        assert!(members.global(last, "unregister_name", vec![name.clone()]).is_atom("ok"));
        members.all_have(&ALL, &name, None);
        // Anybody may register anybody's process.
        assert!(members.register(last, &name, &pid));
        members.all_have(&ALL, &name, Some(&pid));
        let sent = members.global(other, "send", vec![name.clone(), Term::Int(1)]);
        assert_eq!(sent.as_pid(), Some(&pid));
        members.global(by, "unregister_name", vec![name]);
    }
    // A hidden node has no part in it.
    let pid = members.sleeper("a");
    assert!(members.register("r", &t("seen"), &pid));
    assert_eq!(members.asker().global().registered_names(), []);
    for node in ALL {
        assert_eq!(members.global(node, "registered_names", vec![]), t("[seen]"), "{node}");
    }
    members.global("s", "unregister_name", vec![t("seen")]);
}

fn item_08_names_of_processes_that_end_go(members: &Members) {
    for (node, by) in [("a", "r"), ("r", "b"), ("s", "r"), ("u", "u")] {
        for killed in [true, false] {
            let (name, pid) = (t("mortal"), members.sleeper(node));
            assert!(members.register(by, &name, &pid));
            if killed {
                members.kill(&pid);
            } else {
                members.global(by, "send", vec![name.clone(), t("stop")]);
            }
            members.all_get(&ALL, &name, None);
        }
    }
}

fn item_09_re_register_name_moves_a_name_on_all_nodes(members: &Members) {
    let name = t("moving");
    for by in ALL {
        let pid = members.sleeper(by);
        let answer = members.global(by, "re_register_name", vec![name.clone(), (&pid).into()]);
        assert!(answer.is_atom("yes"));
        members.all_have(&ALL, &name, Some(&pid));
    }
    // With our API.
    let (node, pid) = (members.node("r"), members.sleeper("b"));
    assert!(members.runtime.block_on(node.global().re_register_name(&name, &pid, Resolver::NotifyAll)));
    members.all_have(&ALL, &name, Some(&pid));
    members.kill(&pid);
    members.all_get(&ALL, &name, None);
}

fn item_18_a_hundred_names_go_with_their_node(members: &mut Members) {
    members.add_ours("many", |_| {});
    let six = ["a", "b", "r", "s", "u", "many"];
    members.join(&six);
    let many = members.node("many").clone();
    let sleep = |mut context: crabnode::Context| async move {
        context.receive().await;
    };
    let names: Vec<Term> = (0..100).map(|n| tuple!(atom "one of many", n)).collect();
    for name in &names {
        let pid = many.spawn(sleep);
        assert!(members.runtime.block_on(many.global().register_name(name, &pid, Resolver::RandomExit)));
    }
    for node in six {
        assert_eq!(count(members, node), 100, "{node}");
    }
    members.stop("many");
    for node in ALL {
        let gone = wait_for(Duration::from_secs(10), || (count(members, node) == 0).then_some(()));
        assert!(gone.is_some(), "{node} still has {}", count(members, node));
    }
    members.are_one(&ALL);
}

fn count(members: &Members, node: &str) -> usize {
    members.global(node, "registered_names", vec![]).as_list().map_or(0, <[Term]>::len)
}

/// A node dies, and those who unregister and register meanwhile are not held up.
fn item_18_unregistering_while_a_node_goes_down(members: &mut Members) {
    let mut dying = members.cluster.peer_with("dying", &NodeSpec::args(["--connect", "a@localhost"]));
    members.are_one(&["a", "b", "r", "s", "u", "dying"]);
    let (name, echo) = (t("dying"), members.call("dying", "erlang", "whereis", vec![t("echo")]));
    assert!(members.register("b", &name, echo.as_pid().expect("it runs")));
    let kept = members.sleeper("r");
    assert!(members.register("r", &t("kept"), &kept));
    dying.kill9();
    let started = now();
    members.global("r", "unregister_name", vec![t("kept")]);
    members.global("b", "unregister_name", vec![name.clone()]);
    members.all_have(&ALL, &t("kept"), None);
    members.all_get(&ALL, &name, None);
    for by in ["a", "s"] {
        assert!(members.register(by, &name, &members.sleeper(by)));
        members.global("r", "unregister_name", vec![name.clone()]);
    }
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    members.are_one(&ALL);
}

/// Names of a process of a hidden node: they go with it, and with the member that registered them.
fn item_20_external_names(members: &mut Members) {
    let name = t("external");
    let asker = members.asker().clone();
    for by in ["a", "r"] {
        let (sender, ended) = std::sync::mpsc::channel();
        let pid = asker.spawn(move |mut context| async move {
            context.trap_exit(true);
            let message = context.receive().await;
            let _ = sender.send(message);
        });
        let answer = members.global(by, "register_name_external", vec![name.clone(), (&pid).into()]);
        assert!(answer.is_atom("yes"), "{answer}");
        members.all_have(&ALL, &name, Some(&pid));
        let again = members.global("s", "register_name_external", vec![name.clone(), (&pid).into()]);
        assert!(again.is_atom("no"), "{again}");
        let sent = members.global("u", "send", vec![name.clone(), t("hello")]);
        assert_eq!(sent.as_pid(), Some(&pid));
        let message = ended.recv_timeout(Duration::from_secs(10)).expect("it is told");
        assert_eq!(message, Message::Term(t("hello")));
        // It has ended.
        members.all_get(&ALL, &name, None);
        // And given back by hand.
        let pid = asker.spawn(|mut context| async move {
            context.receive().await;
        });
        members.global(by, "register_name_external", vec![name.clone(), (&pid).into()]);
        members.all_have(&ALL, &name, Some(&pid));
        members.global("b", "unregister_name_external", vec![name.clone()]);
        members.all_have(&ALL, &name, None);
    }
    // With the member goes the process that it is linked with, and with that the name.
    for (by, left) in [("u", &ALL[..4]), ("b", &["a", "r", "s"][..])] {
        let pid = asker.spawn(|mut context| async move {
            context.receive().await;
        });
        let answer = members.global(by, "register_name_external", vec![name.clone(), (&pid).into()]);
        assert!(answer.is_atom("yes"), "{answer}");
        members.all_have(left, &name, Some(&pid));
        members.stop(by);
        members.all_get(left, &name, None);
        let gone = wait_for(SOON, || (!asker.is_process_alive(&pid)).then_some(()));
        assert!(gone.is_some(), "its process is there still");
    }
}
