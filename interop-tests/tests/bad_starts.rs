//! Boots that a configuration makes impossible: one clear line, and the exit status that says whose fault it was.
//! What flags alone make impossible is in `peer_starts.rs`.

use std::time::Duration;

use interop_tests::{Cluster, NodeSpec, Otp, RustNode};

/// Longer than any of these takes, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(40);

/// The node ends with this status, having printed one line on why, with all of these words.
fn ends_with(mut node: RustNode, status: i32, words: &[&str]) {
    let ended = node.process().wait_for_exit(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    let output = node.output();
    assert_eq!(ended.code(), Some(status), "{output}");
    let said = output.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    assert_eq!(said, 1, "one line with {words:?} in: {output}");
}

fn with_config(cluster: &Cluster, text: &str) -> NodeSpec {
    NodeSpec { config: Some(cluster.write("bad.config", text)), ..NodeSpec::default() }
}

#[test]
fn a_config_that_cannot_be_read() {
    let cluster = Cluster::new(&Otp::newest());
    let missing = NodeSpec { config: Some(cluster.home().join("missing")), ..NodeSpec::default() };
    ends_with(cluster.spawn_example("m8ball", "a", &missing), 1, &["missing.config"]);
}

#[test]
fn a_config_with_a_mistake_is_reported_with_line_and_column() {
    let cluster = Cluster::new(&Otp::newest());
    let spec = with_config(&cluster, "[{kernel,\n  [{sync_nodes_timeout, }]}].\n");
    ends_with(cluster.spawn_example("m8ball", "a", &spec), 1, &["bad.config", "line 2, column 25"]);
}

#[test]
fn a_bad_timeout() {
    let cluster = Cluster::new(&Otp::newest());
    let spec = with_config(&cluster, "[{kernel, [{sync_nodes_timeout, 0}]}].\n");
    ends_with(cluster.spawn_example("m8ball", "a", &spec), 1, &["{badopt,{sync_nodes_timeout,0}}"]);
}

#[test]
fn a_mandatory_node_that_does_not_come() {
    let cluster = Cluster::new(&Otp::newest());
    let text = "[{kernel, [{sync_nodes_mandatory, [b@localhost]}, {sync_nodes_timeout, 1000}]}].\n";
    let spec = with_config(&cluster, text);
    ends_with(cluster.spawn_example("m8ball", "a", &spec), 1, &["{mandatory_nodes_down,[b@localhost]}"]);
}
