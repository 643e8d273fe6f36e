//! A node that serves and measures.

use std::time::{Duration, Instant};

use crabnode::{
    Context, Dest, Message, Node, NodeConfig, Pid, SpawnOptions, Term, erpc,
    gen_server::{self, GenServer, Reply, ServerName},
    global::Resolver,
    term,
};

use crate::{COOKIE, asked};

/// Answers every call with its request.
struct EchoServer;

impl GenServer for EchoServer {
    type Args = ();

    async fn init(_: &mut Context, (): ()) -> Result<Self, Term> {
        Ok(Self)
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _: &gen_server::From) -> Reply {
        Reply::Reply(request)
    }
}

pub(crate) fn config(name: &str) -> NodeConfig {
    NodeConfig { cookie: Some(COOKIE.into()), start_epmd: false, ..NodeConfig::new(name) }
}

pub(crate) async fn run(name: &str) {
    let node = Node::start(config(name)).await.expect("the node starts");
    let echo = ServerName::Local("echo_server".into());
    let echo = gen_server::start::<EchoServer>(&node, echo, ()).await.expect("nobody has the name");
    println!("ready");
    while let Some((method, target, count)) = asked().await {
        let (measuring, echo) = (node.clone(), echo.clone());
        let answer = match method.as_str() {
            // They stay. How many processes there are then.
            "idle" => {
                for _ in 0..count {
                    node.spawn(wait);
                    // They begin to wait as they come, as those of a program do.
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                Duration::from_nanos(node.process_count() as u64)
            }
            "connect" => {
                node.connect(&target).await.expect("it is up");
                Duration::ZERO
            }
            "sync" => {
                node.global().sync(node.nodes()).await;
                Duration::ZERO
            }
            // How many visible nodes there are beside this one.
            "nodes" => Duration::from_nanos(node.nodes().len() as u64),
            _ => {
                let took = node.run(move |context| async move {
                    measured(context, &measuring, &echo, &method, &target, count).await
                });
                took.await.expect("nothing ends it")
            }
        };
        println!("{}", answer.as_nanos());
    }
    node.stop().await;
}

async fn wait(mut context: Context) {
    let _: Message = context.receive().await;
}

/// So many are started before it is waited for their end: a program does not start a million at once.
const BATCH: u64 = 1000;

async fn measured(
    mut context: Context,
    node: &Node,
    echo: &Pid,
    method: &str,
    target: &str,
    count: u64,
) -> Duration {
    if target != "-" {
        node.connect(target).await.expect("the target is up");
    }
    let limit = Some(Duration::from_secs(5));
    match method {
        "spawn" => {
            let (before, start) = (node.process_count(), Instant::now());
            let mut left = count;
            while left > 0 {
                let batch = left.min(BATCH);
                for _ in 0..batch {
                    context.spawn(async |_| ());
                }
                left -= batch;
                while node.process_count() > before {
                    tokio::task::yield_now().await;
                }
            }
            start.elapsed()
        }
        "spawn-monitor" => {
            let start = Instant::now();
            for _ in 0..count {
                let (_, monitor) =
                    context.spawn_monitor(SpawnOptions::default(), async |_| ()).expect("no name");
                let Message::Down { reference, .. } = context.receive().await else { panic!("a DOWN") };
                assert_eq!(reference, monitor.reference);
            }
            start.elapsed()
        }
        "call" => {
            let dest = match target {
                "-" => Dest::Pid(echo.clone()),
                target => Dest::NameAt("echo_server".into(), target.into()),
            };
            let start = Instant::now();
            for i in 0..count {
                let answer = context.call(dest.clone(), i, limit).await;
                assert_eq!(answer, Ok(i.into()));
            }
            start.elapsed()
        }
        "erpc" => {
            let start = Instant::now();
            for _ in 0..count {
                let answer = erpc::call(&mut context, target, "erlang", "node", vec![], limit).await;
                assert_eq!(answer, Ok(Term::Atom(target.into())));
            }
            start.elapsed()
        }
        // Taking the name back is not measured.
        "register" => {
            let (pid, name) = (context.pid().clone(), term!({bench, name}));
            let mut took = Duration::ZERO;
            for _ in 0..count {
                let start = Instant::now();
                assert!(node.global().register_name(&name, &pid, Resolver::RandomExit).await);
                took += start.elapsed();
                node.global().unregister_name(&name).await;
            }
            took
        }
        other => panic!("no method {other}"),
    }
}
