//! Links, monitors and exits between two nodes (wire.md 12, items 38 to 50).

mod support;

use std::time::Duration;

use crabnode::{
    CallError, Context, Dest, Exception, Message, Monitored, NodeEvent, Pid, Term, erpc,
    gen_server::{self, GenServer, Reply, ServerName},
    tuple,
};
use support::{epmd_port, eventually, node, run};

/// A process that ends with whatever reason it is sent.
fn mortal(node: &crabnode::Node) -> Pid {
    node.spawn(|mut context: Context| async move {
        match context.receive().await {
            Message::Term(reason) => reason,
            other => other.into_term(),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_connects_and_arrives_in_order() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let to = b.spawn(|mut context| async move {
        for _ in 0..1000 {
            sender.send(context.receive().await).expect("the test listens");
        }
    });
    run(&a, |context| async move {
        for n in 0..1000 {
            context.send(&to, n).await;
        }
    })
    .await;
    for n in 0..1000 {
        assert_eq!(receiver.recv().await, Some(Message::Term(n.into())));
    }
    assert_eq!((a.nodes(), b.nodes()), (vec![b.name().clone()], vec![a.name().clone()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_fires_once_with_the_reason_and_noproc_for_what_is_not_there() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    for remote in [&a, &b] {
        let victim = mortal(remote);
        let name = remote.name().clone();
        run(&a, move |mut context| async move {
            let monitor = context.monitor(&victim);
            context.send(&victim, tuple!(atom "the", atom "reason")).await;
            let down = Message::Down {
                reference: monitor.reference,
                item: Monitored::Pid(victim.clone()),
                reason: tuple!(atom "the", atom "reason"),
            };
            assert_eq!(context.receive().await, down);
            for dest in [Dest::Pid(victim), Dest::NameAt("nobody".into(), name)] {
                let monitor = context.monitor(dest.clone());
                let Message::Down { reference, item, reason } = context.receive().await else {
                    panic!("no DOWN")
                };
                assert_eq!((reference, reason), (monitor.reference, Term::atom("noproc")));
                // A monitor by name says so.
                assert_eq!(matches!(dest, Dest::Pid(_)), matches!(item, Monitored::Pid(_)));
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_brings_the_exit_and_an_unlink_takes_it_back() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    for remote in [&a, &b] {
        let (linked, unlinked) = (mortal(remote), mortal(remote));
        run(&a, |mut context| async move {
            context.trap_exit(true);
            context.link(&linked);
            context.link(&unlinked);
            context.unlink(&unlinked);
            context.send(&unlinked, Term::atom("unheard")).await;
            context.send(&linked, Term::atom("heard")).await;
            let exit = Message::Exit { from: linked.clone(), reason: Term::atom("heard") };
            assert_eq!(context.receive().await, exit);
            // To a process that is gone, the answer is an exit too.
            context.link(&linked);
            let exit = Message::Exit { from: linked, reason: Term::atom("noproc") };
            assert_eq!(context.receive().await, exit);
            assert_eq!(context.receive_timeout(Duration::from_millis(50)).await, None);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_ends_a_process_and_kill_cannot_be_trapped() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    for (trap, reason, ends_with) in
        [(false, "boom", "boom"), (false, "kill", "killed"), (true, "kill", "killed")]
    {
        let victim = b.spawn(move |context| async move {
            context.trap_exit(trap);
            std::future::pending::<()>().await;
        });
        run(&a, move |mut context| async move {
            // The victim must have set its flag before.
            tokio::time::sleep(Duration::from_millis(20)).await;
            context.monitor(&victim);
            context.exit(&victim, Term::atom(reason));
            let Message::Down { reason, .. } = context.receive().await else { panic!("no DOWN") };
            assert_eq!(reason, Term::atom(ends_with));
        })
        .await;
    }
}

/// A process that runs just then cannot see that it has to end before its next await. For others it has ended by then, as
/// signals keep their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_after_a_deadly_exit_comes_to_nobody() {
    let a = node("a", epmd_port()).await;
    let (running, is_running) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&received);
    let busy = a.spawn(move |mut context| async move {
        running.send(()).expect("the test waits");
        goes_on.recv().expect("the test says so");
        let message = context.receive().await;
        seen.lock().expect("nobody panics").push(message);
    });
    tokio::task::block_in_place(|| is_running.recv()).expect("it runs");
    let target = busy.clone();
    run(&a, move |mut context| async move {
        let soon = Some(Duration::from_secs(60));
        context.trap_exit(true);
        context.exit(&target, Term::atom("kill"));
        context.send(&target, Term::atom("late")).await;
        context.exit(&target, Term::atom("boom"));
        assert!(!context.node().is_process_alive(&target));
        // All of that is answered while it runs.
        let monitor = context.monitor(&target);
        let down = context.receive().await;
        let item = Monitored::Pid(target.clone());
        assert_eq!(down, Message::Down { reference: monitor.reference, item, reason: Term::atom("noproc") });
        context.link(&target);
        let exit = context.receive().await;
        assert_eq!(exit, Message::Exit { from: target.clone(), reason: Term::atom("noproc") });
        assert_eq!(context.call(&target, 1, soon).await, Err(CallError::NoProc));
    })
    .await;
    go_on.send(()).expect("it waits for that");
    eventually("it has ended", || !a.processes().contains(&busy)).await;
    assert_eq!(*received.lock().expect("nobody panics"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_exit_and_takes_nobody_else_down() {
    let a = node("a", epmd_port()).await;
    let victim = a.spawn(|mut context: Context| async move {
        let message = context.receive().await;
        assert_eq!(message, Message::Node(NodeEvent::Up { node: "x".into(), visible: true }), "on purpose");
    });
    run(&a, |mut context| async move {
        context.monitor(&victim);
        context.send(&victim, 1).await;
        let Message::Down { reason, .. } = context.receive().await else { panic!("no DOWN") };
        let text = reason.to_string();
        assert!(text.contains("panic") && text.contains("on purpose"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_is_noconnection_and_then_one_nodedown() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let (linked, watched) = (mortal(&b), mortal(&b));
    let name = b.name().clone();
    run(&a, |mut context| async move {
        context.trap_exit(true);
        context.monitor_nodes(true);
        context.link(&linked);
        context.monitor(&watched);
        let up = context.receive().await;
        assert_eq!(up, Message::Node(NodeEvent::Up { node: name.clone(), visible: true }));
        // The link must have arrived before its node goes.
        assert_eq!(erpc::call(&mut context, &name, "erlang", "node", vec![], None).await, Ok((&name).into()));
        b.stop().await;
        let Message::Exit { from, reason } = context.receive().await else { panic!("no EXIT first") };
        assert_eq!((from, reason), (linked, Term::atom("noconnection")));
        let Message::Down { reason, .. } = context.receive().await else { panic!("no DOWN second") };
        assert_eq!(reason, Term::atom("noconnection"));
        let down = context.receive().await;
        assert!(matches!(down, Message::Node(NodeEvent::Down { node, .. }) if node == name));
        assert_eq!(context.receive_timeout(Duration::from_millis(50)).await, None);
    })
    .await;
    assert_eq!(a.nodes(), Vec::<crabnode::Atom>::new());
}

struct Echo;

impl GenServer for Echo {
    type Args = ();

    async fn init(_: &mut Context, (): ()) -> Result<Self, Term> {
        Ok(Self)
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &gen_server::From) -> Reply {
        match request.as_atom().map(|atom| atom.as_str()) {
            Some("later") => {
                context.reply(from, Term::atom("later"));
                Reply::NoReply
            }
            Some("never") => Reply::NoReply,
            Some("stop") => Reply::StopReply(Term::atom("stopped"), Term::atom("ok")),
            _ => Reply::Reply(tuple!(atom "echo", request)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_or_fails_as_in_otp() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let name = b.name().clone();
    let server = gen_server::start::<Echo>(&b, ServerName::Local("echo".into()), ()).await.expect("starts");
    let again = gen_server::start::<Echo>(&b, ServerName::Local("echo".into()), ()).await;
    assert_eq!(again, Err(tuple!(atom "already_started", &server)));
    let there = b.clone();
    run(&a, |mut context| async move {
        let soon = Some(Duration::from_secs(5));
        let dest = || Dest::NameAt("echo".into(), name.clone());
        assert_eq!(context.call(dest(), 1, soon).await, Ok(tuple!(atom "echo", 1)));
        assert_eq!(context.call(dest(), Term::atom("later"), soon).await, Ok(Term::atom("later")));
        let never = context.call(dest(), Term::atom("never"), Some(Duration::from_millis(20))).await;
        assert_eq!(never, Err(CallError::Timeout));
        let nobody = context.call(("nobody", &name), 1, soon).await;
        assert_eq!(nobody, Err(CallError::NoProc));
        assert_eq!(context.call(&server, Term::atom("stop"), soon).await, Ok(Term::atom("ok")));
        eventually("it has ended", || !there.is_process_alive(&server)).await;
        let gone = context.call(dest(), 1, soon).await;
        assert_eq!(gone, Err(CallError::NoProc));
        let nowhere = context.call(("echo", "nobody@localhost"), 1, soon).await;
        assert!(matches!(nowhere, Err(CallError::NoConnection { .. })));
        assert_eq!(context.message_queue_len(), 0, "nothing is left behind");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erpc_gives_every_outcome() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    for remote in [&a, &b] {
        let name = remote.name().clone();
        run(&a, |mut context| async move {
            let mut call = async |m: &str, f: &str, args| {
                erpc::call(&mut context, &name, m, f, args, Some(Duration::from_secs(5))).await
            };
            assert_eq!(call("erlang", "node", vec![]).await, Ok((&name).into()));
            let thrown = call("erlang", "throw", vec![1.into()]).await;
            assert_eq!(thrown, Err(erpc::ErpcError::Exception(Exception::Throw(1.into()))));
            let exited = call("erlang", "exit", vec![2.into()]).await;
            assert_eq!(exited, Err(erpc::ErpcError::Exception(Exception::Exit(2.into()))));
            let undef = call("no", "where", vec![3.into()]).await;
            let expected = Exception::undef(&"no".into(), &"where".into(), vec![3.into()]);
            assert_eq!(undef, Err(erpc::ErpcError::Exception(expected)));
        })
        .await;
    }
    run(&a, |mut context| async move {
        let slow = erpc::call(
            &mut context,
            b.name(),
            "timer",
            "sleep",
            vec![Term::atom("infinity")],
            Some(Duration::from_millis(20)),
        );
        assert_eq!(slow.await, Err(erpc::ErpcError::Erpc("timeout".into())));
        let nowhere = erpc::call(&mut context, "nobody@localhost", "erlang", "node", vec![], None).await;
        assert_eq!(nowhere, Err(erpc::ErpcError::Erpc("noconnection".into())));
        assert_eq!(context.message_queue_len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_ends_with_its_process() {
    let a = node("a", epmd_port()).await;
    let pid = run(&a, |context| async move {
        assert!(context.register("undefined").is_err(), "which is nobody");
        context.register("me").expect("free");
        assert!(context.register("me_too").is_err(), "one name a process");
        context.pid().clone()
    })
    .await;
    eventually("the name is free again", || a.whereis("me").is_none() && !a.is_process_alive(&pid)).await;
}
