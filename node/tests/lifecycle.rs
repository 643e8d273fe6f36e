//! Beginnings and ends at bad moments: of connections, calls, servers and the node itself.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crabnode::{
    Atom, Context, Exception, Message, Node, NodeConfig, NodeEvent, Pid, Term, erpc,
    gen_server::{self, GenServer, Reply, ServerName},
    tuple,
};
use support::{
    config, epmd_port, eventually, node, run,
    wire::{Wire, hidden},
};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_hears_of_a_node_finds_it_connected() {
    let port = epmd_port();
    let a = node("a", port).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let (begun, mut listening) = tokio::sync::mpsc::channel(50);
    for _ in 0..50 {
        let (sender, begun) = (sender.clone(), begun.clone());
        a.spawn(|mut context| async move {
            context.monitor_nodes(true);
            begun.send(()).await.expect("the test waits");
            loop {
                let (up, node) = match context.receive().await {
                    Message::Node(NodeEvent::Up { node, .. }) => (true, node),
                    Message::Node(NodeEvent::Down { node, .. }) => (false, node),
                    _ => continue,
                };
                let listed = context.node().nodes().contains(&node);
                if sender.send((up, listed)).is_err() {
                    return;
                }
            }
        });
    }
    for _ in 0..50 {
        listening.recv().await.expect("it begins");
    }
    for _ in 0..5 {
        let b = node("b", port).await;
        a.connect(b.name()).await.expect("connects");
        for _ in 0..50 {
            assert_eq!(receiver.recv().await, Some((true, true)), "nodeup, and in nodes()");
        }
        b.stop().await;
        for _ in 0..50 {
            assert_eq!(receiver.recv().await, Some((false, false)), "nodedown, and not in nodes()");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_disconnected_can_be_connected_again_at_once() {
    let port = epmd_port();
    let b = node("b", port).await;
    // Hidden, so that no `global` disconnects anybody.
    let a = Node::start(NodeConfig { hidden: true, ..config("a", port) }).await.expect("starts");
    for _ in 0..50 {
        assert_eq!(a.connect(b.name()).await, Ok(()));
        assert_eq!(a.nodes_hidden(), [b.name().clone()]);
        assert!(a.disconnect(b.name()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_given_up_at_the_limit() {
    let limited = NodeConfig { out_bytes_max: 16 << 20, ..config("a", epmd_port()) };
    let a = Node::start(limited).await.expect("the node starts");
    let wire = Wire::dial(a.port(), a.name(), "deaf@localhost", hidden()).await;
    eventually("connected", || !a.nodes_hidden().is_empty()).await;
    let to = Pid::new(Atom::from("deaf@localhost"), 1, 0, 9);
    run(&a, |context| async move {
        // More than the sockets on the way hold, so that a write waits; then more than the queue may hold.
        for megabytes in [12, 32] {
            for _ in 0..megabytes {
                context.send_now(&to, Term::binary(vec![0; 1 << 20]));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    eventually("given up", || a.nodes_hidden().is_empty()).await;
    drop(wire);
}

/// A name for a peer that listens here, known to EPMD as long as the lease is held.
async fn registered(alive: &str, listener: &TcpListener, epmd_port: u16) -> (String, epmd::Lease) {
    let alive = format!("{alive}{}", std::process::id());
    let port = listener.local_addr().expect("bound").port();
    let registration = epmd::Registration { name: alive.clone(), port, hidden: true };
    let lease = epmd::EpmdClient::new(epmd_port).register(&registration).await.expect("registers");
    (format!("{alive}@localhost"), lease)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_nok_asks_again_if_nobody_comes() {
    let port = epmd_port();
    let a = node("a", port).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let (name, _lease) = registered("z", &listener, port).await;
    let peer = async {
        Wire::nok(&listener, &name).await;
        Wire::nok(&listener, &name).await;
        Wire::accept(&listener, &name, hidden()).await
    };
    let connected = tokio::time::timeout(Duration::from_secs(5), a.connect(&name));
    let (connected, _wire) = tokio::join!(connected, peer);
    assert_eq!(connected, Ok(Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spawn_request_that_waited_for_a_peer_without_spawn_is_answered() {
    let port = epmd_port();
    let a = node("a", port).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let (name, _lease) = registered("old", &listener, port).await;
    let call = run(&a, {
        let name = name.clone();
        |mut context| async move { erpc::call(&mut context, &name, "erlang", "node", vec![], None).await }
    });
    let flags = hidden().without(handshake::DistFlags::SPAWN);
    let (answer, _wire) = tokio::join!(call, Wire::accept(&listener, &name, flags));
    assert_eq!(answer, Err(erpc::ErpcError::Erpc("notsup".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_leaves_nothing_behind() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let deaf = b.spawn(|_| std::future::pending::<()>());
    run(&a, |mut context| async move {
        let soon = Duration::from_millis(5);
        for _ in 0..10 {
            let call = context.call(&deaf, 1, None);
            assert!(tokio::time::timeout(soon, call).await.is_err());
            let forever = vec![Term::atom("infinity")];
            let call = erpc::call(&mut context, b.name(), "timer", "sleep", forever, None);
            assert!(tokio::time::timeout(soon, call).await.is_err());
        }
        // Neither answers that come late nor the end of the node reach anybody.
        context.node().connect(b.name()).await.expect("connects");
        context.monitor_nodes(true);
        tokio::time::sleep(Duration::from_millis(50)).await;
        b.stop().await;
        let message = context.receive().await;
        assert!(matches!(message, Message::Node(NodeEvent::Down { .. })), "{message:?}");
        assert_eq!(context.message_queue_len(), 0);
    })
    .await;
}

struct Unwilling;

impl GenServer for Unwilling {
    type Args = bool;

    async fn init(_: &mut Context, panics: bool) -> Result<Self, Term> {
        assert!(!panics, "on purpose");
        Err(Term::atom("unwilling"))
    }

    async fn handle_call(&mut self, _: &mut Context, _: Term, _: &gen_server::From) -> Reply {
        Reply::NoReply
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_does_not_start_leaves_its_name_free_and_its_parent_alive() {
    let a = node("a", epmd_port()).await;
    let name = || ServerName::Local("server".into());
    run(&a, move |mut context| async move {
        for _ in 0..100 {
            let started = gen_server::start_link::<Unwilling>(&mut context, name(), false).await;
            assert_eq!(started, Err(Term::atom("unwilling")));
            let started = gen_server::start::<Unwilling>(context.node(), name(), false).await;
            assert_eq!(started, Err(Term::atom("unwilling")));
        }
        context.trap_exit(true);
        let started = gen_server::start_link::<Unwilling>(&mut context, name(), true).await;
        assert!(matches!(&started, Err(reason) if reason.to_string().contains("on purpose")), "{started:?}");
        assert_eq!(context.message_queue_len(), 0);
    })
    .await;
}

struct Tidy(Arc<AtomicBool>);

impl GenServer for Tidy {
    type Args = Arc<AtomicBool>;

    async fn init(_: &mut Context, tidied: Self::Args) -> Result<Self, Term> {
        Ok(Self(tidied))
    }

    async fn handle_call(&mut self, _: &mut Context, _: Term, _: &gen_server::From) -> Reply {
        Reply::StopReply(Term::atom("normal"), Term::atom("done"))
    }

    async fn terminate(&mut self, _: &mut Context, _: &Term) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_with_an_answer_answers_when_it_is_done() {
    let a = node("a", epmd_port()).await;
    let tidied = Arc::new(AtomicBool::new(false));
    run(&a, |mut context| async move {
        let server = gen_server::start::<Tidy>(context.node(), ServerName::None, Arc::clone(&tidied)).await;
        let answer = context.call(server.expect("starts"), 1, None).await;
        assert_eq!(answer, Ok(Term::atom("done")));
        assert!(tidied.load(Ordering::SeqCst), "it has tidied up before");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_in_an_apply_in_an_apply_ends_in_an_error() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    run(&a, |mut context| async move {
        let (mut function, mut args) = ("node", Vec::new());
        for _ in 0..1000 {
            args = vec![Term::atom("erlang"), Term::atom(function), Term::list(args)];
            function = "apply";
        }
        let deep = erpc::call(&mut context, b.name(), "erlang", "apply", args, None).await;
        let Err(erpc::ErpcError::Exception(Exception::Error { reason, .. })) = deep else {
            panic!("{deep:?}")
        };
        assert_eq!(reason, Term::atom("system_limit"));
        let args = vec![Term::atom("erlang"), Term::atom("node"), Term::NIL];
        let flat = erpc::call(&mut context, b.name(), "erlang", "apply", args, None).await;
        assert_eq!(flat, Ok(b.name().into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_rex_is_answered_also_if_its_process_is_ended() {
    let a = node("a", epmd_port()).await;
    a.functions().insert("t", "panic", 0, async |_: Context, _| panic!("on purpose"));
    a.functions().insert("t", "die", 0, async |context: Context, _| {
        context.exit(context.pid(), Term::atom("kill"));
        std::future::pending().await
    });
    run(&a, |mut context| async move {
        for (function, says) in [("panic", "on purpose"), ("die", "killed")] {
            let call = tuple!(
                atom "call",
                Term::atom("t"),
                Term::atom(function),
                Term::NIL,
                Term::atom("user")
            );
            context.send("rex", tuple!(context.pid(), call)).await;
            let answer = context.receive().await.into_term().to_string();
            assert!(answer.starts_with("{rex,{badrpc,{'EXIT',") && answer.contains(says), "{answer}");
        }
    })
    .await;
}

struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_drop_is_no_lost_process() {
    let a = node("a", epmd_port()).await;
    let victim = a.spawn(|_| async {
        let _grenade = Grenade;
        std::future::pending::<()>().await;
    });
    run(&a, |mut context| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        context.monitor(&victim);
        context.exit(&victim, Term::atom("boom"));
        let Message::Down { reason, .. } = context.receive().await else { panic!("no DOWN") };
        assert_eq!(reason, Term::atom("boom"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_sends_itself_a_normal_exit_ends() {
    let a = node("a", epmd_port()).await;
    let pid = a.spawn(|context| async move {
        context.exit(context.pid(), Term::atom("normal"));
        std::future::pending::<()>().await;
    });
    eventually("it has ended", || !a.is_process_alive(&pid)).await;
}

#[tokio::test]
async fn a_stop_that_is_dropped_can_be_asked_for_again() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    a.connect(b.name()).await.expect("connects");
    let _ = tokio::time::timeout(Duration::ZERO, a.stop()).await;
    a.stop().await;
    let refused = TcpStream::connect(("127.0.0.1", a.port())).await;
    assert!(refused.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_hangs_however_often_the_connection_is_lost_under_it() {
    let port = epmd_port();
    let hidden = |alive| Node::start(NodeConfig { hidden: true, ..config(alive, port) });
    let (a, b) = (hidden("a").await.expect("starts"), hidden("b").await.expect("starts"));
    let calls = || {
        let name = b.name().clone();
        run(&a, |mut context| async move {
            for _ in 0..300 {
                // Answered, or lost with the connection: either is an end.
                let _ = context.call(("net_kernel", &name), 1, None).await;
                let _ = erpc::call(&mut context, &name, "erlang", "node", vec![], None).await;
            }
            assert_eq!(context.message_queue_len(), 0);
        })
    };
    let cut = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            a.disconnect(b.name());
        }
    };
    tokio::select! {
        () = cut => {}
        _ = async { tokio::join!(calls(), calls(), calls(), calls()) } => {}
    }
}
