//! Nodes and EPMDs: items 12 to 14 of wire.md 12. The nodes of every OTP release at ours, and ours at EPMDs that come
//! and go, or without any.

use std::{net::Ipv4Addr, num::NonZeroU16, process::Command, time::Duration};

use crabnode::{Discovery, Names, Node, NodeConfig, Resolver};
use interop_tests::{Cluster, EpmdProcess, ErlNode, NodeSpec, Otp, TestPorts, clock::wait_for};
use tokio::runtime::Runtime;

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
        node.eval_until(listed, &again, Duration::from_secs(20));
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
                asker.eval_until("net_adm:ping(r@localhost)", "pong", Duration::from_secs(20));
                asker.eval("B = term_to_binary(rpc:call(r@localhost, erlang, whereis, [net_kernel])), binary:decode_unsigned(binary:part(B, {byte_size(B), -4}))")
            };
            let before = creation(&cluster, "a");
            let epmd = cluster.epmd().expect("it was made with one");
            let name = format!("name r at port {}\n", node.port());
            let program = otp.epmd();
            let port = epmd.port().to_string();
            // A machine that is busy may be late with one of them.
            let found = (0..3).any(|_| {
                epmd.restart();
                let found = wait_for(REGISTERED_AGAIN, || {
                    let listed = Command::new(&program).args(["-port", &port, "-names"]).output();
                    let listed = String::from_utf8(listed.expect("OTP has an epmd").stdout).expect("UTF-8");
                    listed.contains(&name).then_some(())
                });
                found.is_some()
            });
            assert!(found, "OTP {}: not within {REGISTERED_AGAIN:?}", otp.number());
            // A node that has never heard of it sees the same life of it.
            assert_eq!(creation(&cluster, "b"), before, "OTP {}", otp.number());
            assert_ne!(before, "0");
        }
    }
}

/// A node in this process. It stops with this value.
struct Ours {
    node: Node,
    runtime: Runtime,
}

impl Ours {
    /// Its EPMD would be the cluster's.
    fn start(cluster: &Cluster, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut config = NodeConfig::new("r@localhost");
        config.cookie = Some(cluster.cookie().to_owned());
        config.epmd_port = Some(cluster.epmd_port());
        config.start_epmd = false;
        change(&mut config);
        let runtime = Runtime::new().expect("a runtime");
        let node = runtime.block_on(Node::start(config)).expect("the node starts");
        Self { node, runtime }
    }

    fn connect(&self, peer: &str) -> Result<(), String> {
        self.runtime.block_on(self.node.connect(peer)).map_err(|error| error.to_string())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

fn epmd_answers(cluster: &Cluster) -> bool {
    std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.epmd_port())).is_ok()
}

#[test]
fn item_14_start_epmd_false_needs_one_that_runs() {
    let without = Cluster::without_epmd();
    let mut node = without.spawn_peer("r", &NodeSpec::args(["--start-epmd", "false"]));
    let status = node.process().wait_for_exit(Duration::from_secs(10)).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", node.output());
    let said = format!("no EPMD at port {}", without.epmd_port());
    assert!(node.output().contains(&said), "{}", node.output());
    assert!(!epmd_answers(&without));

    let otp = Otp::newest();
    let with = Cluster::new(&otp);
    let node = with.peer_with("r", &NodeSpec::args(["--start-epmd", "false"]));
    let mut erl = with.erl_with(&otp, "a", &NodeSpec::args(["-start_epmd", "false"]));
    assert_eq!(erl.eval("net_adm:ping(r@localhost)"), "pong", "{}", node.output());
}

/// All nodes at one port, each with an address of its own, and no EPMD anywhere.
#[test]
fn item_14_erl_epmd_port_both_ways_without_any_epmd() {
    for otp in Otp::available() {
        for we_call in [false, true] {
            let cluster = Cluster::without_epmd();
            let held = TestPorts::new(1);
            let port = held.first();
            let ours = Ours::start(&cluster, |config| {
                config.name = "r@127.0.0.2".into();
                config.names = Names::Long;
                config.listen_address = Ipv4Addr::new(127, 0, 0, 2).into();
                config.discovery = Discovery::Port(NonZeroU16::new(port).expect("a port that was bound"));
            });
            assert_eq!(ours.node.port(), port);
            assert!(ours.node.creation() >= 4);
            let port = port.to_string();
            let arguments = ["-erl_epmd_port", &port, "-start_epmd", "false"];
            let interface = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];
            let spec = NodeSpec {
                args: arguments.into_iter().chain(interface).map(str::to_owned).collect(),
                ..NodeSpec::default()
            };
            let mut erl = cluster.erl_with(&otp, "a@127.0.0.1", &spec);
            if we_call {
                assert_eq!(ours.connect("a@127.0.0.1"), Ok(()));
                erl.eval_until("nodes()", "['r@127.0.0.2']", Duration::from_secs(20));
            } else {
                assert_eq!(erl.eval("net_adm:ping('r@127.0.0.2')"), "pong", "OTP {}", otp.number());
                assert_eq!(ours.node.nodes().len(), 1);
            }
            assert!(!epmd_answers(&cluster));
        }
    }
}

/// A function of ours and a module of theirs, in the place of EPMD.
#[test]
fn item_14_modules_of_ones_own_find_each_other() {
    for otp in Otp::available() {
        for we_call in [false, true] {
            let cluster = Cluster::without_epmd();
            let held = TestPorts::new(1);
            let erl_port = held.first();
            let ours = Ours::start(&cluster, |config| {
                config.discovery = Discovery::Own(Resolver::new(move |node| async move {
                    match node.as_str() {
                        "a@localhost" => Ok(Some((Ipv4Addr::LOCALHOST, erl_port).into())),
                        "lost@localhost" => Err("the directory is down".into()),
                        _ => Ok(None),
                    }
                }));
            });
            assert!(ours.node.creation() >= 4);
            let listen = format!(
                "[{{kernel, [{{inet_dist_listen_min, {erl_port}}}, {{inet_dist_listen_max, {erl_port}}}]}}]."
            );
            let spec = NodeSpec {
                config: Some(cluster.write("port.config", &listen)),
                args: [
                    "-epmd_module",
                    "ct_epmd",
                    "-start_epmd",
                    "false",
                    "-env",
                    "CT_EPMD_NODE",
                    &format!("r@localhost:{}", ours.node.port()),
                ]
                .map(str::to_owned)
                .to_vec(),
                ..NodeSpec::default()
            };
            let mut erl = cluster.erl_with(&otp, "a", &spec);
            if we_call {
                assert_eq!(ours.connect("a@localhost"), Ok(()));
                erl.eval_until("nodes()", "[r@localhost]", Duration::from_secs(20));
            } else {
                assert_eq!(erl.eval("net_adm:ping(r@localhost)"), "pong", "OTP {}", otp.number());
            }
            let error = |peer| ours.connect(peer).expect_err("it is nowhere");
            assert_eq!(error("nobody@localhost"), "nobody@localhost is not running: nothing is known of it");
            assert!(error("lost@localhost").ends_with("the directory is down"));
            assert!(!epmd_answers(&cluster));
        }
    }
}

#[test]
fn item_14_a_node_that_does_not_listen_is_hidden_and_not_registered() {
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let mut erl = cluster.erl(&otp, "a");
        let ours = Ours::start(&cluster, |config| config.dist_listen = false);
        assert_eq!(ours.node.port(), 0);
        assert!(ours.node.creation() >= 4);
        assert_eq!(erl.eval("[N || {N, _} <- element(2, {ok, _} = net_adm:names(localhost))]"), "[\"a\"]");
        assert_eq!(erl.eval("net_adm:ping(r@localhost)"), "pang");
        assert_eq!(ours.connect("a@localhost"), Ok(()));
        erl.eval_until("{nodes(), nodes(hidden)}", "{[],[r@localhost]}", Duration::from_secs(20));
    }
}
