//! `pg` among Rust nodes (cluster-services.md 4, items 35 to 39).

mod support;

use std::time::Duration;

use crabnode::{
    Message, Node, NodeConfig, Pid, Term,
    pg::{self, Change, Event, Left, PgError},
    tuple,
};
use support::{config, epmd_port, eventually, node, run};

fn sleeper(node: &Node) -> Pid {
    node.spawn(|mut context| async move {
        context.receive().await;
    })
}

fn sorted(mut pids: Vec<Pid>) -> Vec<Pid> {
    pids.sort();
    pids
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_all_nodes_are_seen_until_they_leave_or_end() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let group = tuple!(atom "any", 1);
    let on_a = pg::start(&a, "s").expect("the name is free");
    let (one, two) = (sleeper(&a), sleeper(&b));
    on_a.join(&group, &[one.clone(), one.clone()]).await.expect("it is of this node");
    a.connect(b.name()).await.expect("connects");
    let on_b = pg::start(&b, "s").expect("the name is free");
    on_b.join(&group, std::slice::from_ref(&two)).await.expect("it is of this node");
    let all = sorted(vec![one.clone(), one.clone(), two.clone()]);
    for scope in [&on_a, &on_b] {
        eventually("all are seen", || sorted(scope.get_members(&group)) == all).await;
        assert_eq!(scope.which_groups(), std::slice::from_ref(&group));
    }
    assert_eq!(on_b.get_local_members(&group), std::slice::from_ref(&two));
    assert_eq!(on_a.leave(&group, std::slice::from_ref(&one)).await, Ok(Left::Ok));
    run(&b, move |context| async move { context.send(&two, 1).await }).await;
    eventually("one is left", || on_b.get_members(&group) == std::slice::from_ref(&one)).await;
    assert_eq!(on_b.which_local_groups(), []);
    a.stop().await;
    eventually("the node took it along", || on_b.which_groups().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_nothing_of_it_is_done() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let group = Term::atom("g");
    let scope = pg::start(&a, "s").expect("the name is free");
    let already = PgError::AlreadyStarted { scope: "s".into(), pid: scope.pid().clone() };
    assert_eq!(pg::start(&a, "s").map(|_| ()), Err(already));
    assert_eq!(pg::start(&a, "undefined").map(|_| ()), Err(PgError::BadName { scope: "undefined".into() }));
    let (ours, theirs) = (sleeper(&a), sleeper(&b));
    let refused = scope.join(&group, &[ours.clone(), theirs.clone()]).await;
    assert_eq!(refused, Err(PgError::NoLocal { pid: theirs }));
    assert_eq!(scope.leave(&group, std::slice::from_ref(&ours)).await, Ok(Left::NotJoined));
    assert_eq!(scope.which_groups(), []);
    let handle = scope.clone();
    run(&a, move |mut context| async move { handle.stop(&mut context).await }).await;
    assert_eq!(scope.join(&group, &[ours]).await, Err(PgError::Stopped { scope: "s".into() }));
    assert!(pg::scope(&a, "s").is_none() && scope.get_members(&group).is_empty());
    pg::start(&a, "s").expect("the name is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_hears_what_happens_and_nothing_once_it_has_ended_that() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    a.connect(b.name()).await.expect("connects");
    let (on_a, on_b) = (pg::start(&a, "s").expect("free"), pg::start(&b, "s").expect("free"));
    let pid = sleeper(&b);
    let (group, other) = (Term::atom("g"), Term::atom("h"));
    run(&a, move |mut context| async move {
        let (all, now) = on_a.monitor_scope(&context).await.expect("it runs");
        let (one, members) = on_a.monitor(&context, &group).await.expect("it runs");
        assert_eq!((now, members), (vec![], vec![]));
        let changes = [&group, &other].map(|group| Change {
            group: group.clone(),
            join: vec![pid.clone()],
            leave: Vec::new(),
        });
        assert_eq!(on_b.update(changes.to_vec()).await, Ok(Left::NotJoined));
        let join = |group: &Term| Event::Join { group: group.clone(), pids: vec![pid.clone()] };
        for expected in [&group, &other] {
            assert_eq!(context.receive_match(|message| all.event(message)).await, join(expected));
        }
        assert!(on_a.demonitor(&mut context, all.clone()).await);
        assert!(!on_a.demonitor(&mut context, all.clone()).await);
        assert_eq!(on_b.leave(&group, std::slice::from_ref(&pid)).await, Ok(Left::Ok));
        let events: Vec<Message> = vec![context.receive().await, context.receive().await];
        let left = Event::Leave { group: group.clone(), pids: vec![pid.clone()] };
        let told: Vec<_> = events.iter().map(|message| one.event(message)).collect();
        assert_eq!(told, [Some(join(&group)), Some(left)]);
        assert_eq!(context.receive_timeout(Duration::from_millis(20)).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_scope_starts_with_the_node_and_again() {
    let config = NodeConfig { start_pg: true, ..config("a", epmd_port()) };
    let node = Node::start(config).await.expect("the node starts");
    for _ in 0..2 {
        let scope = pg::scope(&node, pg::DEFAULT_SCOPE).expect("it runs");
        scope.join(&Term::atom("g"), &[sleeper(&node)]).await.expect("it is of this node");
        let old = scope.pid().clone();
        run(&node, move |mut context| async move { scope.stop(&mut context).await }).await;
        let anew = || pg::scope(&node, "pg").is_some_and(|scope| *scope.pid() != old);
        eventually("it is started anew", anew).await;
        assert_eq!(pg::scope(&node, "pg").expect("it runs").which_groups(), []);
    }
}
