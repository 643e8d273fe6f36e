//! A stock `erl` of every release beside a `crabnode peer`: pings, calls, spawns, links, monitors, losses.

use std::time::Duration;

use interop_tests::{Cluster, NodeSpec, Process};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

#[test]
fn a_ping_is_answered_twice_and_the_node_is_listed() {
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        pair.says("net_adm:ping(R)", "pong");
        pair.says("net_adm:ping(R)", "pong");
        pair.says("{nodes(), nodes(hidden), nodes(connected)}", "{[r@localhost],[],[r@localhost]}");
        pair.says("rpc:call(R, erlang, nodes, [])", "[e@localhost]");
        pair.says("rpc:call(R, net_adm, ping, [node()])", "pong");
        let names = format!(
            "lists:sort(element(2, net_adm:names(localhost))) =:= [{{\"e\", P}} || {{\"e\", P}} <- element(2, net_adm:names(localhost))] ++ [{{\"r\", {}}}]",
            pair.peer.port()
        );
        pair.says(&names, "true");
    });
}

#[test]
fn a_killed_peer_is_lost_in_the_order_of_erlang_and_once() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval(
            "process_flag(trap_exit, true), L = rpc:call(R, erlang, whereis, [echo]), link(L),
             M = monitor(process, {sink, R}), net_kernel:monitor_nodes(true)",
        );
        pair.erl.eval("Q = spawn(fun() -> exit({call, catch rpc:call(R, timer, sleep, [infinity])}) end), MQ = monitor(process, Q)");
        // The call is under way.
        pair.says("rpc:call(R, timer, sleep, [50])", "ok");
        pair.peer.kill9();
        // Before anything else is asked: what came is all there is, and the nodedown is last.
        let wanted = "[{exit,noconnection},{down,noconnection},{nodedown,r@localhost}]";
        pair.says(
            "receive {'DOWN', MQ, process, Q, End} -> {call, {badrpc, nodedown}} = End after 5000 -> error(late) end,
             [case X of {'EXIT', L, Why} -> {exit, Why};
                        {'DOWN', M, process, {sink, R}, Why} -> {down, Why};
                        Other -> Other end || X <- ct_peer:flush(300)]",
            wanted,
        );
        pair.says("nodes(connected)", "[]");
        pair.says("net_adm:ping(R)", "pang");
        pair.says(
            "try gen_server:call({echo_server, R}, x) catch C:E -> {C, E} end",
            "{exit,{{nodedown,r@localhost},{gen_server,call,[{echo_server,r@localhost},x]}}}",
        );
    });
}

#[test]
fn links_are_cut_from_either_side_and_made_again() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let listed = "rpc:call(R, erlang, nodes, [])";
        for _ in 0..3 {
            pair.says("erlang:disconnect_node(R)", "true");
            pair.says("nodes()", "[]");
            pair.says(listed, "[e@localhost]");
            // The answer may come before the link is cut.
            pair.says(
                "lists:member(rpc:call(R, erlang, disconnect_node, [node()]), [true, {badrpc, nodedown}])",
                "true",
            );
            pair.erl.eval_until("nodes()", "[]", SOON);
            pair.says("net_adm:ping(R)", "pong");
        }
        // The peer's processes lose a link as ours do; and the pids of before are good after.
        pair.erl.eval("process_flag(trap_exit, true), P = spawn_link(R, timer, sleep, [infinity])");
        pair.says("erlang:disconnect_node(R)", "true");
        pair.says("receive {'EXIT', P, Why} -> Why after 5000 -> nothing end", "noconnection");
        pair.erl.eval_until("rpc:call(R, erlang, is_process_alive, [P])", "false", SOON);
        pair.says("rpc:call(R, net_kernel, connect_node, [node()])", "true");
        pair.says("{echo, R} ! {self(), x}, receive M -> M after 5000 -> nothing end", "{echo,x}");
        pair.says("erlang:disconnect_node(no@localhost)", "false");
        pair.says("rpc:call(R, erlang, disconnect_node, [no@localhost])", "false");
    });
}

#[test]
fn a_hidden_peer_and_a_hidden_erl_are_in_nobodys_nodes() {
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &NodeSpec::default(), &NodeSpec::hidden());
        let mut hidden = pair.cluster.erl_with(otp, "h", &NodeSpec::hidden());
        let _visible = pair.cluster.peer("v");
        pair.says("net_adm:ping(R)", "pong");
        pair.says("{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        pair.says("rpc:call(R, erlang, nodes, [])", "[]");
        pair.says("rpc:call(R, erlang, nodes, [hidden])", "[e@localhost]");
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
        says(&mut hidden, "net_adm:ping(v@localhost)", "pong");
        says(&mut hidden, "{nodes(), nodes(hidden)}", "{[],[v@localhost]}");
        says(&mut hidden, "rpc:call(v@localhost, erlang, nodes, [])", "[]");
        says(&mut hidden, "rpc:call(v@localhost, erlang, nodes, [hidden])", "[h@localhost]");
        says(&mut hidden, "gen_server:call({echo_server, v@localhost}, x)", "{echo,x}");
    });
}

/// `erl -sname undefined`, which later releases have: the node that is connected to first gives the name.
#[test]
fn a_node_without_a_name_gets_one() {
    each_release(|otp| {
        if otp.number() < 25 {
            return;
        }
        let cluster = Cluster::new(otp);
        let mut peer = cluster.peer("r");
        let mut erl = cluster.erl(otp, "undefined@localhost");
        says(&mut erl, "node()", "nonode@nohost");
        says(&mut erl, "net_kernel:connect_node(r@localhost)", "true");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(
            &mut erl,
            "[Name, \"localhost\"] = string:lexemes(atom_to_list(node()), \"@\"), length(Name) > 5",
            "true",
        );
        says(&mut erl, "{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        says(&mut erl, "rpc:call(r@localhost, erlang, nodes, [hidden]) =:= [node()]", "true");
        says(&mut erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
        says(
            &mut erl,
            "{echo, r@localhost} ! {self(), self()}, receive {echo, P} -> P =:= self() end",
            "true",
        );
        peer.kill9();
        erl.eval_until("node()", "nonode@nohost", SOON);
    });
}

#[test]
fn nodes_with_long_names() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e@127.0.0.1");
        let _peer = cluster.peer("r@127.0.0.1");
        says(&mut erl, "net_adm:ping('r@127.0.0.1')", "pong");
        says(&mut erl, "nodes()", "['r@127.0.0.1']");
        says(&mut erl, "rpc:call('r@127.0.0.1', erlang, node, [])", "'r@127.0.0.1'");
        says(&mut erl, "gen_server:call({echo_server, 'r@127.0.0.1'}, x)", "{echo,x}");
        says(&mut erl, "rpc:call('r@127.0.0.1', net_adm, ping, ['s@localhost'])", "pang");
    });
}

/// One that comes back under its name is another: its old pids are dead, and its name finds the new one.
#[test]
fn a_peer_that_was_started_again_is_another() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("Old = rpc:call(R, erlang, whereis, [echo])");
        for round in 0..3 {
            // By turns it goes with and without a goodbye, and our node learns of it late.
            if round % 2 == 0 {
                pair.peer.kill9();
            } else {
                pair.peer.process().signal("TERM");
                let status = pair.peer.process().wait_for_exit(SOON).expect("it ends");
                assert_eq!(status.code(), Some(0), "{}", pair.peer.output());
            }
            pair.peer = pair.cluster.peer("r");
            pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
            pair.says("Old =:= rpc:call(R, erlang, whereis, [echo])", "false");
            pair.says("rpc:call(R, erlang, is_process_alive, [Old])", "false");
            pair.says(
                "M = monitor(process, Old), receive {'DOWN', M, process, Old, Why} -> Why after 5000 -> nothing end",
                "noproc",
            );
            pair.says(
                "Old ! {self(), x}, {echo, R} ! {self(), y}, receive M -> M after 5000 -> nothing end",
                "{echo,y}",
            );
        }
    });
}

/// The signals SIGTERM and SIGINT, and `init:stop` over rpc: the peer leaves, and that is all.
#[test]
fn a_peer_that_is_stopped_leaves_with_status_0() {
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        let stops: [&dyn Fn(&mut Pair); 3] = [
            &|pair| pair.peer.process().signal("TERM"),
            &|pair| pair.peer.process().signal("INT"),
            &|pair| pair.says("rpc:call(R, init, stop, [])", "ok"),
        ];
        for stop in stops {
            pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
            stop(&mut pair);
            let status =
                pair.peer.process().wait_for_exit(Duration::from_secs(5)).expect("within five seconds");
            assert_eq!(status.code(), Some(0), "{}", pair.peer.output());
            pair.erl.eval_until("nodes()", "[]", SOON);
            let output = pair.peer.output();
            assert_eq!(output.lines().count(), 1, "only the line `ready`: {output}");
            pair.peer = pair.cluster.peer("r");
        }
    });
}

#[test]
fn crabnode_ping_says_pong_or_pang() {
    each_release(|otp| {
        let pair = Pair::start(otp);
        let ping = |node: &str, cookie: &str| {
            let mut command = std::process::Command::new(interop_tests::crabnode_binary());
            command.args(["ping", node, "--cookie", cookie]);
            command.args(["--epmd-port", &pair.cluster.epmd_port().to_string()]);
            let mut process = Process::start("crabnode ping", &mut command);
            let status = process.wait_for_exit(SOON * 2).expect("it ends");
            (status.code(), process.lines())
        };
        for node in ["e@localhost", "r@localhost"] {
            assert_eq!(ping(node, pair.cluster.cookie()), (Some(0), vec!["pong".into()]));
        }
        for (node, cookie, word) in
            [("nobody@localhost", pair.cluster.cookie(), "not running"), ("e@localhost", "other", "cookie")]
        {
            let (status, lines) = ping(node, cookie);
            assert_eq!(status, Some(1), "{lines:?}");
            assert!(lines.contains(&"pang".to_owned()), "{lines:?}");
            assert!(lines.iter().any(|line| line.contains(word)), "{lines:?}");
        }
    });
}
