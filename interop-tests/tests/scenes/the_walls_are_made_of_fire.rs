//! The walls are made of fire: nodes that listen at the ports that a firewall leaves open, and nowhere else.

use interop_tests::{Cluster, NodeSpec, TestPorts};

use crate::peer_support::{SOON, each_release, says};

#[test]
fn the_walls_are_made_of_fire() {
    each_release(|otp| {
        let open = TestPorts::new(2);
        let (min, max) = (open.first(), open.first() + 1);
        let cluster = Cluster::new(otp);
        let (min_text, max_text) = (min.to_string(), max.to_string());
        let range = ["inet_dist_listen_min", &min_text, "inet_dist_listen_max", &max_text];
        let mut erl = cluster.erl_with(
            otp,
            "left",
            &NodeSpec::args(["-kernel", range[0], range[1], range[2], range[3]]),
        );
        let flags = NodeSpec::args(["--dist-listen-min", &min_text, "--dist-listen-max", &max_text]);
        let ours = cluster.peer_with("right", &flags);
        // The first is taken.
        assert_eq!(ours.port(), max);
        let names = format!("[{{\"left\",{min}}},{{\"right\",{max}}}]");
        says(&mut erl, "lists:sort(element(2, net_adm:names(localhost)))", &names);
        says(&mut erl, "net_adm:ping(right@localhost)", "pong");
        says(&mut erl, "gen_server:call({echo_server, right@localhost}, x)", "{echo,x}");
        says(&mut erl, "lists:sort(element(2, rpc:call(right@localhost, net_adm, names, [])))", &names);
        // Over the wall from the other side. The BEAM's `global` would connect again if it is cut off as it meets another.
        says(&mut erl, "application:set_env(kernel, dist_auto_connect, never)", "ok");
        says(&mut erl, "erlang:disconnect_node(right@localhost)", "true");
        let mut helper = cluster.erl_with(otp, "helper", &NodeSpec::hidden());
        helper.eval_until("rpc:call(right@localhost, erlang, nodes, [])", "[]", SOON);
        says(&mut helper, "rpc:call(right@localhost, net_adm, ping, [left@localhost])", "pong");
        erl.eval_until("nodes()", "[right@localhost]", SOON);
        // There is no third door.
        let mut late = cluster.spawn_peer("late", &flags);
        let status = late.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(status.code(), Some(1), "{}", late.output());
        assert!(late.output().contains(&format!("{min} to {max}")), "{}", late.output());
    });
}
