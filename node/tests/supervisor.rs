//! Supervisors (cluster-services 2.3).

mod support;

use std::time::Duration;

use crabnode::{
    CallError, Context, Message, Pid, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
    supervisor::{self, ChildInfo, ChildSpec, Counts, Shutdown, SupervisorSpec},
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
    let first = a.whereis("one").expect("started");
    run(&a, |context| async move { context.cast("one", Term::atom("boom")) }).await;
    eventually("another is there", || a.whereis("one").is_some_and(|pid| pid != first)).await;
    run(&a, |context| async move { context.cast("one", Term::atom("boom")) }).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn children_are_started_and_ended_from_rust() {
    let a = node("a", epmd_port()).await;
    let (_parent, sup) = start(&a).await;
    run(&a, move |mut context| async move {
        let (context, id) = (&mut context, || Term::atom("three"));
        let pid = supervisor::start_child(context, &sup, child("three")).await.expect("it is there");
        let pid = pid.expect("it starts").expect("it is not ignored");
        assert_eq!(context.node().whereis("three"), Some(pid.clone()));
        let again = supervisor::start_child(context, &sup, child("three")).await;
        assert_eq!(again, Ok(Err(tuple!(atom "already_started", &pid))));
        let ids = |children: Vec<ChildInfo>| children.into_iter().map(|child| child.id).collect::<Vec<_>>();
        let children = supervisor::which_children(context, &sup).await.expect("it is there");
        assert_eq!(ids(children), ["three", "two", "one"].map(Term::atom));
        assert_eq!(supervisor::terminate_child(context, &sup, id()).await, Ok(Ok(())));
        assert!(!context.node().is_process_alive(&pid), "it is gone by then");
        let restarted = supervisor::restart_child(context, &sup, id()).await.expect("it is there");
        assert!(matches!(restarted, Ok(Some(new)) if new != pid));
        supervisor::terminate_child(context, &sup, id()).await.expect("it is there").expect("it runs");
        assert_eq!(supervisor::delete_child(context, &sup, id()).await, Ok(Ok(())));
        let counts = Counts { specs: 2, active: 2, supervisors: 0, workers: 2 };
        assert_eq!(supervisor::count_children(context, &sup).await, Ok(counts));
        // One that is not needed is no failure.
        let ignored = ChildSpec::worker("none", |_| Box::pin(async { Err(Term::atom("ignore")) }));
        assert_eq!(supervisor::start_child(context, &sup, ignored).await, Ok(Ok(None)));
        // Nobody takes the specification of a child whose supervisor is not there, and it is not kept.
        assert_eq!(supervisor::start_child(context, "nobody", child("x")).await, Err(CallError::NoProc));
    })
    .await;
}

/// A child that takes its time to end, or all the time in the world.
struct Slow(Option<Duration>);

impl GenServer for Slow {
    type Args = Option<Duration>;

    async fn init(context: &mut Context, time: Option<Duration>) -> Result<Self, Term> {
        context.trap_exit(true);
        Ok(Self(time))
    }

    async fn handle_call(&mut self, _: &mut Context, _: Term, _: &gen_server::From) -> Reply {
        Reply::NoReply
    }

    async fn terminate(&mut self, _: &mut Context, _: &Term) {
        match self.0 {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamic_children_end_together_and_those_that_do_not_are_killed() {
    let a = node("a", epmd_port()).await;
    run(&a, |mut context| async move {
        context.trap_exit(true);
        let context = &mut context;
        let slow = ChildSpec::dynamic(|context, args| {
            let time = args[0].as_u64().map(Duration::from_millis);
            Box::pin(async move { gen_server::start_link::<Slow>(context, ServerName::None, time).await })
        });
        let spec =
            SupervisorSpec::simple_one_for_one(slow.shutdown(Shutdown::Timeout(Duration::from_millis(5000))));
        let sup = supervisor::start_link(context, ServerName::None, spec).await.expect("it starts");
        let mut monitors = Vec::new();
        for time in [Term::from(1500), 1500.into(), 1500.into(), Term::atom("never")] {
            let started = supervisor::start_dynamic_child(context, &sup, vec![time]).await;
            let pid = started.expect("it is there").expect("it starts").expect("it is not ignored");
            monitors.push(context.monitor(&pid));
        }
        let began = tokio::time::Instant::now();
        assert_eq!(gen_server::stop(context, &sup, Term::atom("shutdown"), None).await, Ok(()));
        let took = began.elapsed();
        // One after the other it would be three times 1.5 s, and 5 s for the last.
        assert!((Duration::from_millis(5000)..Duration::from_millis(9400)).contains(&took), "{took:?}");
        let mut reasons = Vec::new();
        for monitor in &monitors {
            let down = context.receive_match(|message| match message {
                Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                    Some(reason.clone())
                }
                _ => None,
            });
            reasons.push(down.await);
        }
        assert_eq!(reasons, ["shutdown", "shutdown", "shutdown", "killed"].map(Term::atom));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_function_does_not_receive_stays_with_the_supervisor() {
    let a = node("a", epmd_port()).await;
    // It looks into the supervisor's mailbox, where a call waits by then.
    a.functions().insert("selfish", "start_link", 0, async |mut context: Context, _: crabnode::Args| {
        let _ = context.receive_match_timeout(Some(Duration::from_millis(100)), |_| None::<()>).await;
        let pid = gen_server::start_link::<Child>(&mut context, ServerName::None, ()).await;
        Ok(pid.map_or_else(|error| tuple!(atom "error", error), |pid| tuple!(atom "ok", pid)))
    });
    let (_parent, sup) = start(&a).await;
    run(&a, move |mut context| async move {
        let start = tuple!(atom "selfish", atom "start_link", Term::NIL);
        let spec = crabnode::term!(#{id => selfish, start => (start)});
        let started = context.send_request(&sup, tuple!(atom "start_child", spec));
        let counted = context.send_request(&sup, Term::atom("count_children"));
        let soon = Some(Duration::from_secs(5));
        let started = context.wait_response(started, soon).await.expect("it is answered");
        assert!(matches!(started.as_tuple(), Some([ok, Term::Pid(_)]) if ok.is_atom("ok")), "{started}");
        let counted = context.wait_response(counted, soon).await.expect("it is answered too");
        assert!(counted.to_string().starts_with("[{specs,3},{active,3}"), "{counted}");
    })
    .await;
}
