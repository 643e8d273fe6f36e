//! A node that serves and measures.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::{
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crabnode::{
    Context, Dest, Message, Node, NodeConfig, SpawnOptions, Term,
    carrier::{
        Tcp,
        tls::{Tls, TlsOptions},
    },
    erpc, term, tuple,
};

use crate::{COOKIE, asked};

/// What a node has that others have not.
pub(crate) enum With<'a> {
    Nothing,
    /// TLS, by this options file.
    Tls(&'a Path),
    BusyPoll,
}

/// Longer than a round trip takes, whoever is at the other end.
const BUSY_POLL: Duration = Duration::from_millis(1);

pub(crate) async fn run(name: &str, with: With<'_>) {
    let mut config = NodeConfig { cookie: Some(COOKIE.into()), start_epmd: false, ..NodeConfig::new(name) };
    match with {
        With::Nothing => {}
        With::Tls(options) => {
            let options = TlsOptions::read(options).expect("an options file");
            config.carrier = Arc::new(Tls::new(Tcp::default(), &options).expect("certificates"));
        }
        With::BusyPoll => config.busy_poll = BUSY_POLL,
    }
    let node = Node::start(config).await.expect("the node starts");
    let process = |name: &'static str| SpawnOptions { name: Some(name.into()), ..SpawnOptions::default() };
    node.spawn_with(process("echo"), echo).expect("nobody has the name");
    node.spawn_with(process("sink"), sink).expect("nobody has the name");
    println!("port {}", node.port());
    println!("ready");
    while let Some((method, target, count)) = asked().await {
        let measuring = node.clone();
        let took = node
            .run(move |context| async move { measured(context, &measuring, &method, &target, count).await });
        println!("{}", took.await.expect("nothing ends it").as_nanos());
    }
    node.stop().await;
}

async fn echo(mut context: Context) -> Term {
    loop {
        let Message::Term(term) = context.receive().await else { continue };
        if let Some([Term::Pid(from), what]) = term.as_tuple() {
            context.send(from, tuple!(atom "echo", what.clone())).await;
        }
    }
}

async fn sink(mut context: Context) -> Term {
    let mut received = 0_u64;
    loop {
        let Message::Term(term) = context.receive().await else { continue };
        match term.as_tuple() {
            Some([Term::Pid(from), sync]) if sync.is_atom("sync") => {
                context.send(from, tuple!(atom "sink", received)).await;
                received = 0;
            }
            _ => received += 1,
        }
    }
}

async fn measured(mut context: Context, node: &Node, method: &str, target: &str, count: u64) -> Duration {
    if method == "connect" {
        return connect(node, target, count).await;
    }
    node.connect(target).await.expect("the target is up");
    if method == "beside" {
        return beside(context, node, target, count).await;
    }
    let at = |name: &str| Dest::NameAt(name.into(), target.into());
    match method {
        "echo" => {
            let (own, echo) = (context.pid().clone(), at("echo"));
            let start = Instant::now();
            for i in 0..count {
                context.send(echo.clone(), tuple!(own.clone(), i)).await;
                let Message::Term(answer) = context.receive().await else { panic!("an echo") };
                assert_eq!(answer, tuple!(atom "echo", i));
            }
            start.elapsed()
        }
        "rpc" => {
            let wanted = Ok(Term::Atom(target.into()));
            let start = Instant::now();
            for _ in 0..count {
                let answer = erpc::call(&mut context, target, "erlang", "node", vec![], None).await;
                assert_eq!(answer, wanted);
            }
            start.elapsed()
        }
        "small" => send(&mut context, at("sink"), &term!({small, 12345, <<"text">>}), count).await,
        "bin64k" => send(&mut context, at("sink"), &binary(64 << 10), count).await,
        "bin1m" => send(&mut context, at("sink"), &binary(1 << 20), count).await,
        other => panic!("no method {other}"),
    }
}

/// The slowest echo, one each millisecond, while another process sends so many messages of 64 MiB.
async fn beside(mut context: Context, node: &Node, target: &str, count: u64) -> Duration {
    let at = |name: &str| Dest::NameAt(name.into(), target.into());
    let (own, echo, sink) = (context.pid().clone(), at("echo"), at("sink"));
    // Made before, as it takes a while.
    let long = binary(64 << 20);
    let sending = node.run(move |mut context| async move {
        send(&mut context, sink, &long, count).await;
    });
    let mut sending = pin!(sending);
    let mut slowest = Duration::ZERO;
    loop {
        let start = Instant::now();
        context.send(echo.clone(), tuple!(own.clone(), 1)).await;
        let Message::Term(answer) = context.receive().await else { panic!("an echo") };
        assert_eq!(answer, tuple!(atom "echo", 1));
        slowest = slowest.max(start.elapsed());
        tokio::select! {
            sent = &mut sending => {
                sent.expect("nothing ends it");
                return slowest;
            }
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
}

fn binary(len: usize) -> Term {
    tuple!(atom "blob", Term::binary(Bytes::from(vec![7; len])))
}

/// Sends so many, and waits until all have come.
async fn send(context: &mut Context, sink: Dest, message: &Term, count: u64) -> Duration {
    let own = context.pid().clone();
    let start = Instant::now();
    for _ in 0..count {
        context.send_ref(&sink, message).await;
    }
    context.send(sink, tuple!(own, atom "sync")).await;
    let Message::Term(answer) = context.receive().await else { panic!("an answer") };
    let took = start.elapsed();
    assert_eq!(answer, tuple!(atom "sink", count));
    took
}

/// From nothing to a connection; ending it is not measured.
async fn connect(node: &Node, target: &str, count: u64) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..count {
        while node.nodes().iter().chain(&node.nodes_hidden()).any(|node| node == target) {
            node.disconnect(target);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The other side needs a moment to see it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let start = Instant::now();
        node.connect(target).await.expect("the target is up");
        took += start.elapsed();
    }
    took
}
