//! A node of ours inside the test.

use crabnode::{Context, Names, Node, NodeConfig};
use interop_tests::{Cluster, ErlNode};
use tokio::runtime::Runtime;

/// A node of ours inside the test. It stops with this value.
pub(crate) struct Ours {
    pub(crate) node: Node,
    pub(crate) runtime: Runtime,
}

impl Ours {
    /// Starts `NAME@localhost`.
    pub(crate) fn start(cluster: &Cluster, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let config = NodeConfig {
            names: Names::Short,
            cookie: Some(cluster.cookie().to_owned()),
            epmd_port: Some(cluster.epmd_port()),
            start_epmd: false,
            ..NodeConfig::new(format!("{name}@localhost"))
        };
        let node = runtime.block_on(Node::start(config)).expect("the node starts");
        Self { node, runtime }
    }

    /// Does something as a process of the node, to its end.
    pub(crate) fn run<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.runtime.block_on(self.node.run(body)).expect("nothing ends it")
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

/// What `flush()` shows in the shell of a node, message by message, with pids and references as `<>`.
pub(crate) fn flush(erl: &mut ErlNode) -> Vec<String> {
    let before = erl.process().lines().len();
    // The last line is printed behind all others.
    erl.eval("c:flush(), io:format(\"flushed~n\")");
    let printed = interop_tests::clock::wait_for(crate::peer_support::SOON, || {
        let mut lines = erl.process().lines().split_off(before);
        (lines.pop()? == "flushed").then_some(lines)
    });
    let mut messages: Vec<String> = Vec::new();
    for line in printed.expect("the shell prints") {
        match (line.strip_prefix(' '), messages.last_mut()) {
            // A long message goes on in the next line.
            (Some(rest), Some(message)) => message.push_str(rest.trim_start()),
            _ => messages.push(line),
        }
    }
    messages.iter().map(|message| without_ids(message)).collect()
}

/// `<0.85.0>` and `#Ref<0.1.2.3>` differ from run to run.
fn without_ids(line: &str) -> String {
    let mut out = String::new();
    let mut is_inside = false;
    for char in line.chars() {
        match char {
            '<' => {
                out.push_str("<>");
                is_inside = true;
            }
            '>' if is_inside => is_inside = false,
            _ if is_inside => {}
            char => out.push(char),
        }
    }
    out
}
