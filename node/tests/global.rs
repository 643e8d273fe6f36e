//! `global` among Rust nodes (cluster-services.md 4, items 8 to 20).

mod support;

use std::time::Duration;

use crabnode::{
    Message, Node, Pid, Term,
    global::{self, LockId, Resolver, Retries},
    tuple,
};
use support::{epmd_port, eventually, node, run};

fn sleeper(node: &Node) -> Pid {
    node.spawn(|mut context| async move {
        context.receive().await;
    })
}

/// Nodes that all know each other's names.
async fn cluster<const N: usize>() -> [Node; N] {
    let port = epmd_port();
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(node("g", port).await);
    }
    for node in &nodes[1..] {
        node.connect(nodes[0].name()).await.expect("connects");
    }
    eventually("everyone knows everyone", || {
        nodes.iter().all(|n| n.global().known().len() == N - 1 && n.nodes().len() == N - 1)
    })
    .await;
    nodes.try_into().expect("as many as were made")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_known_everywhere_until_its_process_ends() {
    let [a, b, c] = cluster().await;
    let name = tuple!(atom "any", 1);
    let pid = sleeper(&a);
    assert!(b.global().register_name(&name, &pid, Resolver::RandomExit).await);
    for node in [&a, &b, &c] {
        assert_eq!(node.global().whereis(&name), Some(pid.clone()));
        assert_eq!(node.global().registered_names(), std::slice::from_ref(&name));
    }
    let other = sleeper(&c);
    assert!(!c.global().register_name(&name, &other, Resolver::RandomExit).await, "it is taken");
    let second = Term::atom("second");
    assert!(!c.global().register_name(&second, &pid, Resolver::RandomExit).await, "one name a process");
    assert!(c.global().re_register_name(&name, &other, Resolver::RandomExit).await);
    assert_eq!(a.global().whereis(&name), Some(other.clone()));
    run(&a, move |context| async move { context.send(&other, 1).await }).await;
    eventually("the name is gone", || [&a, &b, &c].iter().all(|n| n.global().whereis(&name).is_none())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_partitions_that_had_a_name_each_agree_on_one() {
    for resolver in [Resolver::RandomExit, Resolver::NotifyAll] {
        let port = epmd_port();
        let (a, b) = (node("a", port).await, node("b", port).await);
        let name = Term::atom("both");
        let told = |node: &Node| {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let pid = node.spawn(|mut context| async move {
                let _ = sender.send(context.receive().await);
                std::future::pending::<()>().await;
            });
            (pid, receiver)
        };
        let ((pid_a, told_a), (pid_b, told_b)) = (told(&a), told(&b));
        assert!(a.global().register_name(&name, &pid_a, resolver.clone()).await);
        assert!(b.global().register_name(&name, &pid_b, resolver.clone()).await);
        a.connect(b.name()).await.expect("connects");
        eventually("they have met", || a.global().known().len() == 1 && b.global().known().len() == 1).await;
        if resolver == Resolver::RandomExit {
            eventually("the process of the smaller node has it", || {
                a.global().whereis(&name) == Some(pid_a.clone())
                    && b.global().whereis(&name) == Some(pid_a.clone())
            })
            .await;
            eventually("the other is killed", || !b.is_process_alive(&pid_b)).await;
        } else {
            let conflict =
                |other: &Pid| Some(Message::Term(tuple!(atom "global_name_conflict", name.clone(), other)));
            assert_eq!((told_a.await.ok(), told_b.await.ok()), (conflict(&pid_b), conflict(&pid_a)));
            eventually("nobody has it", || {
                a.global().whereis(&name).is_none() && b.global().whereis(&name).is_none()
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_one_requesters_and_free_again_when_its_holder_ends() {
    let [a, b] = cluster().await;
    let id = |requester| LockId { resource: Term::atom("r"), requester: Term::atom(requester) };
    let (sender, locked) = tokio::sync::oneshot::channel();
    let holder = a.spawn(move |mut context| async move {
        let got = global::set_lock(&mut context, id("first"), None, Retries::Times(0)).await;
        let _ = sender.send(got);
        context.receive().await;
    });
    assert_eq!(locked.await, Ok(true));
    run(&b, move |mut context| async move {
        assert!(!global::set_lock(&mut context, id("second"), None, Retries::Times(0)).await);
        // The same requester may, from wherever.
        assert!(global::set_lock(&mut context, id("first"), None, Retries::Times(0)).await);
        global::del_lock(&mut context, id("first"), None).await;
        assert!(!global::set_lock(&mut context, id("second"), None, Retries::Times(0)).await);
        context.send(&holder, 1).await;
        let result = global::trans(&mut context, id("second"), None, Retries::Infinity, |context| {
            let pid = context.pid().clone();
            Box::pin(async move { pid })
        });
        assert_eq!(result.await, Some(context.pid().clone()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_leaves_disturbs_nobody_and_its_names_go() {
    let [a, b, c] = cluster().await;
    let name = Term::atom("leaving");
    assert!(c.global().register_name(&name, &sleeper(&c), Resolver::RandomExit).await);
    c.stop().await;
    eventually("its name is gone", || a.global().whereis(&name).is_none()).await;
    let only_each_other = || (a.nodes(), b.nodes()) == (vec![b.name().clone()], vec![a.name().clone()]);
    eventually("both have seen it go", only_each_other).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(only_each_other(), "and stay together");
    assert!(a.global().register_name(&name, &sleeper(&a), Resolver::RandomExit).await, "no lock is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_connection_leaves_no_overlapping_partitions() {
    let [a, b, c] = cluster().await;
    a.disconnect(b.name());
    // Mostly everyone is alone. But if the one that was left hears of it from the third before it has noticed, it
    // only forgets the leaver, and the other two stay together: apart from it, which is all that is asked for.
    eventually("nobody stands between two that have parted", || {
        let sees = |one: &Node, two: &Node| one.nodes().contains(two.name());
        let between = sees(&c, &a) && sees(&c, &b);
        let apart = [sees(&a, &b), sees(&b, &a), between] == [false; 3];
        let mutual = sees(&a, &c) == sees(&c, &a) && sees(&b, &c) == sees(&c, &b);
        apart && mutual && [&a, &b, &c].iter().all(|node| node.nodes() == node.global().known())
    })
    .await;
    // Until the last word about it has been said.
    tokio::time::sleep(Duration::from_secs(2)).await;
    a.connect(b.name()).await.expect("connects");
    a.connect(c.name()).await.expect("connects");
    eventually("they are whole again", || [&a, &b, &c].iter().all(|n| n.global().known().len() == 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_node_is_no_member() {
    let port = epmd_port();
    let a = node("a", port).await;
    let hidden = crabnode::NodeConfig { hidden: true, ..support::config("h", port) };
    let hidden = Node::start(hidden).await.expect("starts");
    hidden.connect(a.name()).await.expect("connects");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(a.global().known().is_empty() && hidden.global().known().is_empty());
    assert!(a.global().register_name(&Term::atom("x"), &sleeper(&a), Resolver::RandomExit).await);
    assert_eq!(hidden.global().whereis(&Term::atom("x")), None);
}

/// On the BEAM it does: the locker's first message to a new member, after 200 ms, makes a connection if there is none.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_disconnected_is_not_connected_again_by_what_global_has_to_say() {
    let port = epmd_port();
    let (a, b) = (node("g", port).await, node("g", port).await);
    for delay in [0, 50, 195, 200, 205, 210, 400] {
        a.connect(b.name()).await.expect("connects");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        assert!(a.disconnect(b.name()));
        eventually("both are alone", || a.nodes().is_empty() && b.nodes().is_empty()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(a.nodes().is_empty() && b.nodes().is_empty(), "connected again after {delay} ms");
    }
}
