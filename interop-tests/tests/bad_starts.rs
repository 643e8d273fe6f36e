//! Starts that cannot succeed: one clear line, and the exit status that says whose fault it was.

use std::time::Duration;

use interop_tests::{Cluster, NodeSpec, Otp, RustNode};

const LIMIT: Duration = Duration::from_secs(10);

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
fn a_wrong_cookie_is_said_by_both_sides() {
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let mut erl = cluster.erl(&otp, "a");
        let spec = NodeSpec { cookie: Some("another".into()), ..NodeSpec::default() };
        let mut peer = cluster.peer_with("p", &spec);
        assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pang");
        let line = peer.process().wait_for_line(LIMIT, "say that the cookie is wrong", |line| {
            (line.contains("cookie") && line.contains("a@localhost")).then(|| line.to_owned())
        });
        line.unwrap_or_else(|error| panic!("OTP {}: {error}", otp.number()));

        let spec = NodeSpec { args: vec!["--connect".into(), "a@localhost".into()], ..spec };
        let mut dialler = cluster.spawn_peer("q", &spec);
        let said = dialler.process().wait_for_line(LIMIT, "say that the cookie is wrong", |line| {
            (line.contains("cookie") && line.contains("a@localhost")).then(|| line.to_owned())
        });
        said.unwrap_or_else(|error| panic!("OTP {}: {error}", otp.number()));
        let heard =
            interop_tests::clock::wait_for(LIMIT, || erl.output().contains("q@localhost").then_some(()));
        assert!(heard.is_some(), "OTP {} says nothing of the attempt: {}", otp.number(), erl.output());
    }
}

#[test]
fn a_name_that_is_taken() {
    let otp = Otp::newest();
    let cluster = Cluster::new(&otp);
    let _first = cluster.erl(&otp, "a");
    ends_with(cluster.spawn_peer("a", &NodeSpec::default()), 1, &["a@localhost", "name"]);
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

#[test]
fn an_unknown_flag_is_misuse() {
    let cluster = Cluster::new(&Otp::newest());
    let mut node = cluster.spawn_peer("a", &NodeSpec::args(["--no-such-flag"]));
    let status = node.process().wait_for_exit(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(status.code(), Some(2), "{}", node.output());
}
