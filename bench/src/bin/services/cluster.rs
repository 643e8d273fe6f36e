//! Many nodes in one process: how long one more takes to join them.

use std::time::{Duration, Instant};

use crabnode::Node;

use crate::{asked, node::config};

/// A join that takes longer is none.
const JOIN_MAX: Duration = Duration::from_secs(60);

/// `join PREFIX COUNT` starts as many nodes, waits until all know all, and answers with the nanoseconds that one more
/// takes, from when it connects to one of them until each node knows it and it knows each.
pub(crate) async fn run() {
    println!("ready");
    while let Some((method, prefix, count)) = asked().await {
        assert_eq!(method, "join", "the only method");
        println!("{}", join(&prefix, usize::try_from(count).expect("few enough")).await.as_nanos());
    }
}

async fn join(prefix: &str, count: usize) -> Duration {
    let mut nodes: Vec<Node> = Vec::new();
    for nth in 0..count {
        let node = start(prefix, nth).await;
        if let Some(first) = nodes.first() {
            node.connect(first.name()).await.expect("it is up");
        }
        nodes.push(node);
        // One after the other, as a cluster grows.
        complete(&nodes).await;
    }
    let last = start(prefix, count).await;
    let began = Instant::now();
    last.connect(nodes[0].name()).await.expect("it is up");
    nodes.push(last);
    complete(&nodes).await;
    let took = began.elapsed();
    for node in &nodes {
        node.stop().await;
    }
    took
}

async fn start(prefix: &str, nth: usize) -> Node {
    Node::start(config(&format!("{prefix}{nth}@localhost"))).await.expect("the node starts")
}

/// Every node has every other in `nodes()` and in its part of `global`.
async fn complete(nodes: &[Node]) {
    let began = Instant::now();
    for node in nodes {
        while node.nodes().len() + 1 < nodes.len() || node.global().known().len() + 1 < nodes.len() {
            assert!(began.elapsed() < JOIN_MAX, "{} does not know all of {}", node.name(), nodes.len());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
