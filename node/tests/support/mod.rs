//! Nodes for tests: each on its own, all of one test on an EPMD port of their own.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod lossy;
pub(crate) mod wire;

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crabnode::{Context, Node, NodeConfig};

/// An EPMD port that nobody has.
pub(crate) fn epmd_port() -> u16 {
    // Below those that the system hands out: one of these may be somebody's by the time the EPMD listens.
    let random = RandomState::new();
    let mut ports =
        (0..1000_u16).map(|nth| 10_240 + u16::try_from(random.hash_one(nth) % 20_000).expect("less"));
    let free = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

/// What a node of a test is started with.
pub(crate) fn config(alive: &str, epmd_port: u16) -> NodeConfig {
    // A name is used once, so that what one test leaves behind is nothing to the next.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    NodeConfig {
        cookie: Some("test".into()),
        epmd_port: Some(epmd_port),
        ..NodeConfig::new(format!("{alive}{}x{n}@localhost", std::process::id()))
    }
}

pub(crate) async fn node(alive: &str, epmd_port: u16) -> Node {
    Node::start(config(alive, epmd_port)).await.expect("the node starts")
}

/// Runs a body as a process of the node, which must be done within ten seconds.
pub(crate) async fn run<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
    node: &Node,
    body: impl FnOnce(Context) -> Fut + Send + 'static,
) -> T {
    let running = tokio::time::timeout(Duration::from_secs(10), node.run(body));
    running.await.expect("done in ten seconds").expect("the process was not ended")
}

/// Waits until something holds, ten seconds at the most.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten seconds");
}
