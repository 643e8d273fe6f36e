//! Nodes and EPMDs: items 12 to 14 of wire.md 12. The nodes of every OTP release at ours, and ours at EPMDs that come
//! and go, or without any.

use std::{process::Command, time::Duration};

use interop_tests::{Cluster, EpmdProcess, ErlNode, Otp, clock::now};

#[test]
fn item_12_erl_starts_at_our_epmd_and_lists_itself() {
    let mut cluster = Cluster::with_epmd(EpmdProcess::crabnode());
    let mut nodes: Vec<ErlNode> = Otp::available()
        .iter()
        .map(|otp| {
            let name = format!("otp{}", otp.number());
            let mut node = cluster.erl(otp, &name);
            let mine =
                format!("lists:keymember(\"{name}\", 1, element(2, {{ok, _}} = net_adm:names(localhost)))");
            assert_eq!(node.eval(&mine), "true");
            node
        })
        .collect();
    let mut names: Vec<_> = Otp::available().iter().map(|otp| format!("\"otp{}\"", otp.number())).collect();
    names.sort();
    let all = format!("[{}]", names.join(","));
    for node in &mut nodes {
        assert_eq!(node.eval("lists:sort([N || {N, _} <- element(2, net_adm:names(localhost))])"), all);
    }
    // All find each other's ports, of which the oldest and the newest cannot talk.
    let port = cluster.epmd_port().to_string();
    let listed = Command::new(Otp::newest().epmd()).args(["-port", &port, "-names"]).output();
    let listed = String::from_utf8(listed.expect("OTP has an epmd").stdout).expect("names are UTF-8");
    assert_eq!(listed.lines().count(), 1 + nodes.len(), "{listed}");
    // Lost, they register again. OTP 23 does not.
    cluster.epmd().expect("it was made with one").restart();
    names.retain(|name| name != "\"otp23\"");
    let again = format!("[{}]", names.join(","));
    for node in &mut nodes {
        let listed = "lists:sort([N || {N, _} <- element(2, net_adm:names(localhost))])";
        node.eval_until(listed, &again, Duration::from_secs(10));
    }
}

/// How soon a node is to be found again. OTP tries every two seconds.
const REGISTERED_AGAIN: Duration = Duration::from_millis(2500);

#[test]
fn item_13_our_node_registers_again_with_the_same_creation() {
    for otp in Otp::available() {
        for epmd in [EpmdProcess::stock(&otp), EpmdProcess::crabnode()] {
            let mut cluster = Cluster::with_epmd(epmd);
            let node = cluster.peer("r");
            let creation = |cluster: &Cluster, name: &str| {
                let mut asker = cluster.erl(&otp, name);
                asker.eval_until("net_adm:ping(r@localhost)", "pong", Duration::from_secs(5));
                asker.eval("B = term_to_binary(rpc:call(r@localhost, erlang, whereis, [net_kernel])), binary:decode_unsigned(binary:part(B, {byte_size(B), -4}))")
            };
            let before = creation(&cluster, "a");
            let epmd = cluster.epmd().expect("it was made with one");
            epmd.restart();
            let started = now();
            let name = format!("name r at port {}\n", node.port());
            let program = otp.epmd();
            let port = epmd.port().to_string();
            let found = interop_tests::clock::wait_for(REGISTERED_AGAIN, || {
                let listed = Command::new(&program).args(["-port", &port, "-names"]).output();
                let listed = String::from_utf8(listed.expect("OTP has an epmd").stdout).expect("UTF-8");
                listed.contains(&name).then_some(())
            });
            assert!(found.is_some(), "OTP {}: not after {:?}", otp.number(), now() - started);
            // A node that has never heard of it sees the same life of it.
            assert_eq!(creation(&cluster, "b"), before, "OTP {}", otp.number());
            assert_ne!(before, "0");
        }
    }
}
