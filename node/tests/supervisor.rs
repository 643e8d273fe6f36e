//! A one_for_one supervisor (cluster-services.md 2.3).

mod support;

use std::time::Duration;

use crabnode::{
    Context, Message, Pid, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
    supervisor::{self, ChildSpec, SupervisorSpec},
    tuple,
};
use support::{epmd_port, eventually, node, run};

struct Child;

impl GenServer for Child {
    type Args = ();

    async fn init(_: &mut Context, (): ()) -> Result<Self, Term> {
        Ok(Self)
    }

    async fn handle_call(&mut self, context: &mut Context, _: Term, _: &gen_server::From) -> Reply {
        Reply::Reply(context.pid().into())
    }

    async fn handle_cast(&mut self, _: &mut Context, reason: Term) -> Next {
        Next::Stop(reason)
    }
}

fn child(name: &'static str) -> ChildSpec {
    ChildSpec::worker(name, move |context| {
        Box::pin(gen_server::start_link::<Child>(context, ServerName::Local(name.into()), ()))
    })
}

/// Starts a supervisor with two children, whose parent ends when it is sent anything.
async fn start(node: &crabnode::Node) -> (Pid, Pid) {
    let (sender, started) = tokio::sync::oneshot::channel();
    let parent = node.spawn(|mut context| async move {
        let spec = SupervisorSpec::one_for_one(vec![child("one"), child("two")]);
        let supervisor = supervisor::start_link(&mut context, ServerName::None, spec).await;
        let _ = sender.send(supervisor);
        context.trap_exit(true);
        loop {
            match context.receive().await {
                Message::Term(reason) => return reason,
                Message::Exit { reason, .. } => return reason,
                _ => {}
            }
        }
    });
    (parent, started.await.expect("it says").expect("it starts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_is_started_again_alone() {
    let a = node("a", epmd_port()).await;
    let (_parent, supervisor) = start(&a).await;
    let (one, two) = (a.whereis("one").expect("started"), a.whereis("two").expect("started"));
    run(&a, |context| async move { context.cast("one", Term::atom("boom")) }).await;
    eventually("another is there", || a.whereis("one").is_some_and(|pid| pid != one)).await;
    assert_eq!(a.whereis("two"), Some(two), "its sibling stays");
    let counts = run(&a, move |mut context| async move {
        context.call(&supervisor, Term::atom("count_children"), None).await
    });
    let count = |what: &'static str, n: i64| tuple!(Term::atom(what), n);
    assert_eq!(
        counts.await,
        Ok(Term::list(vec![
            count("specs", 2),
            count("active", 2),
            count("supervisors", 0),
            count("workers", 2)
        ]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_restarts_end_the_supervisor_and_its_children() {
    let a = node("a", epmd_port()).await;
    let (_parent, supervisor) = start(&a).await;
    for _ in 0..2 {
        let pid = a.whereis("one").expect("started");
        run(&a, |context| async move { context.cast("one", Term::atom("boom")) }).await;
        eventually("it is gone", || a.whereis("one") != Some(pid.clone())).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually("all is gone", || !a.is_process_alive(&supervisor) && a.whereis("two").is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_ends_with_its_parent_and_takes_its_children_along() {
    let a = node("a", epmd_port()).await;
    let (parent, supervisor) = start(&a).await;
    run(&a, move |context| async move { context.exit(&parent, Term::atom("kill")) }).await;
    eventually("all is gone", || {
        !a.is_process_alive(&supervisor) && a.whereis("one").is_none() && a.whereis("two").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_does_not_start_is_the_reason() {
    let a = node("a", epmd_port()).await;
    let reason = run(&a, |mut context| async move {
        context.trap_exit(true);
        let failing = ChildSpec::worker("bad", |_| Box::pin(async { Err(Term::atom("nope")) }));
        let spec = SupervisorSpec::one_for_one(vec![child("one"), failing]);
        supervisor::start_link(&mut context, ServerName::None, spec).await
    });
    let failed = tuple!(atom "failed_to_start_child", atom "bad", atom "nope");
    assert_eq!(reason.await, Err(tuple!(atom "shutdown", failed)));
    eventually("the child that had started is gone", || a.whereis("one").is_none()).await;
}
