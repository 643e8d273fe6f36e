//! A stock `erl` of every release beside a `crabnode peer`: how they part.

mod peer_support;
use peer_support::{Pair, SOON, each_release};

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
            "receive {'DOWN', MQ, process, Q, End} -> {call, {badrpc, nodedown}} = End after 15000 -> error(late) end,
             [case X of {'EXIT', L, Why} -> {exit, Why};
                        {'DOWN', M, process, {sink, R}, Why} -> {down, Why};
                        Other -> Other end || X <- [receive Y -> Y after 15000 -> late end || _ <- [1, 2, 3]] ++ ct_peer:flush(300)]",
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
            // The `global` of the BEAM connects again where it is cut off as it meets another: then once more.
            pair.erl.eval_until("(fun() -> erlang:disconnect_node(R), nodes() end)()", "[]", SOON);
            pair.says(listed, "[e@localhost]");
            // The answer may come before the link is cut.
            pair.erl.eval_until(
                "(fun() ->
                     true = lists:member(rpc:call(R, erlang, disconnect_node, [node()]), [true, {badrpc, nodedown}]),
                     ct_peer:wait(fun() -> nodes() =:= [] end, 2000)
                 end)()",
                "ok",
                SOON,
            );
            pair.says("net_adm:ping(R)", "pong");
        }
        // The peer's processes lose a link as ours do; and the pids of before are good after.
        pair.erl.eval("process_flag(trap_exit, true), P = spawn_link(R, timer, sleep, [infinity])");
        pair.says("erlang:disconnect_node(R)", "true");
        pair.says("receive {'EXIT', P, Why} -> Why after 15000 -> nothing end", "noconnection");
        pair.erl.eval_until("rpc:call(R, erlang, is_process_alive, [P])", "false", SOON);
        pair.says("rpc:call(R, net_kernel, connect_node, [node()])", "true");
        pair.says("{echo, R} ! {self(), x}, receive M -> M after 15000 -> nothing end", "{echo,x}");
        pair.says("erlang:disconnect_node(no@localhost)", "false");
        pair.says("rpc:call(R, erlang, disconnect_node, [no@localhost])", "false");
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
            let status = pair.peer.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(status.code(), Some(0), "{}", pair.peer.output());
            pair.erl.eval_until("nodes()", "[]", SOON);
            let output = pair.peer.output();
            assert_eq!(output.lines().count(), 1, "only the line `ready`: {output}");
            pair.peer = pair.cluster.peer("r");
        }
    });
}
