//! Where a node listens and how: what a `sys.config` says of it is the same for a BEAM node and one of ours.

use std::{
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use interop_tests::{Cluster, NodeSpec, TestPorts};

mod peer_support;
use peer_support::{SOON, each_release, says};

/// Item 30 of wire.md 12: the first free port of the range, at the interface that is named; and when there is none
/// left, the node does not start.
#[test]
fn item_30_range_and_interface() {
    each_release(|otp| {
        let held = TestPorts::new(3);
        let first = held.first();
        let cluster = Cluster::new(otp);
        let config = cluster.write(
            "sys.config",
            &format!(
                "[{{kernel, [{{inet_dist_listen_min, {first}}}, {{inet_dist_listen_max, {}}},
                             {{inet_dist_use_interface, {{127,0,0,1}}}},
                             {{inet_dist_listen_options, [{{nodelay, false}}, {{keepalive, true}}, {{backlog, 7}}]}},
                             {{inet_dist_connect_options, [{{keepalive, true}}, {{sndbuf, 65536}}]}}]}}].",
                first + 2
            ),
        );
        let spec = NodeSpec { config: Some(config), ..NodeSpec::default() };
        let mut erl = cluster.erl_with(otp, "e", &spec);
        let ours = cluster.peer_with("r", &spec);
        let mut last = cluster.erl_with(otp, "f", &spec);
        let port = |name: &str| format!("element(2, erl_epmd:port_please(\"{name}\", {{127,0,0,1}}))");
        says(&mut erl, &port("e"), &first.to_string());
        says(&mut erl, &port("r"), &(first + 1).to_string());
        says(&mut erl, &port("f"), &(first + 2).to_string());
        assert_eq!(ours.port(), first + 1);
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(&mut last, "net_adm:ping(r@localhost)", "pong");
        for (name, port) in [("the erl", first), ("ours", first + 1)] {
            let reaches =
                |address| TcpStream::connect_timeout(&(address, port).into(), Duration::from_secs(1)).is_ok();
            assert!(reaches(Ipv4Addr::LOCALHOST), "{name} listens at the interface");
            assert!(!reaches(Ipv4Addr::new(127, 0, 0, 2)), "{name} listens nowhere else");
        }
        let mut late = cluster.spawn_peer("late", &spec);
        let status = late.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
        let said = late.output();
        assert_eq!(status.code(), Some(1), "{said}");
        let why = format!("cannot listen at 127.0.0.1 on a port of {first} to {}", first + 2);
        assert!(said.contains(&why), "{said}");
    });
}

/// An option that is unknown, or has a value that it cannot have, stops the start, and is named.
#[test]
fn item_30_a_bad_option_is_named() {
    let otp = interop_tests::Otp::available().first().cloned().expect("an OTP release");
    let cluster = Cluster::new(&otp);
    for (parameter, value) in [
        ("inet_dist_use_interface", "{127,0,0,256}"),
        ("inet_dist_listen_options", "[{nodelay, perhaps}]"),
        ("inet_dist_connect_options", "[{unheard_of, 1}]"),
        ("dist_nodelay", "1"),
    ] {
        let config = cluster.write("bad.config", &format!("[{{kernel, [{{{parameter}, {value}}}]}}]."));
        let spec = NodeSpec { config: Some(config), ..NodeSpec::default() };
        let mut peer = cluster.spawn_peer("r", &spec);
        let status = peer.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(status.code(), Some(1), "{parameter}");
        assert!(peer.output().contains(parameter), "{}", peer.output());
    }
}
