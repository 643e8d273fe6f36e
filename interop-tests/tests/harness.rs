//! What the other tests stand on: every OTP release starts, joins a cluster, and says what it is asked.

use std::time::Duration;

use interop_tests::{Cluster, NodeSpec, Otp};

#[test]
fn every_release_evaluates_and_keeps_bindings_and_mailbox() {
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let mut node = cluster.erl(&otp, "a");
        assert_eq!(node.eval("list_to_integer(erlang:system_info(otp_release))"), otp.number().to_string());
        assert_eq!(node.eval("X = {node(), \"grüße\"}"), "{a@localhost,\"grüße\"}");
        assert_eq!(node.eval("self() ! X, ct_peer:flush()"), "[{a@localhost,\"grüße\"}]");
        let limit = Duration::from_secs(20);
        assert_eq!(node.try_eval("1 = 2", limit).unwrap_err(), "{error,{badmatch,2}}");
        assert_eq!(node.try_eval("exit(self(), kill)", limit).unwrap_err(), "{evaluator_died,killed}");
        assert_eq!(node.eval("1 + 1"), "2");
        // What raises at first is asked again.
        node.eval_until("case put(tried, yes) of undefined -> error(early); yes -> late end", "late", limit);
    }
}

#[test]
fn releases_that_understand_each_other_form_one_cluster() {
    // OTP 26 made flags mandatory that 23 does not have: 25 stands between them.
    let (old, new): (Vec<_>, Vec<_>) = Otp::available().into_iter().partition(|otp| otp.number() < 25);
    let groups = [
        old.clone(),
        new.clone(),
        old.into_iter().chain(new.into_iter().filter(|otp| otp.number() < 26)).collect(),
    ];
    for group in groups.iter().filter(|group| group.len() > 1) {
        let cluster = Cluster::new(&group[0]);
        let mut nodes: Vec<_> =
            group.iter().map(|otp| cluster.erl(otp, &format!("otp{}", otp.number()))).collect();
        let mut names: Vec<_> = nodes.iter().map(|node| node.node().to_owned()).collect();
        names.sort();
        for name in &names {
            assert_eq!(nodes[0].eval(&format!("net_adm:ping('{name}')")), "pong");
        }
        for node in &mut nodes {
            node.eval_until(
                "lists:sort([node() | nodes()])",
                &format!("[{}]", names.join(",")),
                Duration::from_secs(20),
            );
        }
    }
}

#[test]
fn a_node_that_cannot_start_is_reported_with_what_it_printed() {
    let otp = Otp::newest();
    let cluster = Cluster::new(&otp);
    let config = cluster.write("bad.config", "[{kernel, [{sync_nodes_timeout, 0}]}].\n");
    let mut node = cluster.spawn_erl(&otp, "a", &NodeSpec { config: Some(config), ..NodeSpec::default() });
    let error = node.wait_until_booted(Duration::from_secs(20)).unwrap_err();
    assert!(error.contains("sync_nodes_timeout"), "{error}");
    let status = node.process().wait_for_exit(Duration::from_secs(20)).unwrap();
    assert_eq!(status.code(), Some(1));
}
