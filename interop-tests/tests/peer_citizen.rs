//! A stock `erl` of every release beside a `crabnode peer`: how they part.

use std::time::Duration;

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

/// What a call gives, the peer beside a stock node that is asked the same: so the expected is what OTP does.
#[test]
fn calls_give_what_a_stock_node_gives() {
    // `N` is the node asked.
    let cases = [
        ("rpc:call(N, erlang, node, []) =:= N", "true"),
        ("erpc:call(N, erlang, node, []) =:= N", "true"),
        ("rpc:block_call(N, erlang, node, []) =:= N", "true"),
        ("rpc:call(N, no_module, f, [1])", "{badrpc,{'EXIT',{undef,[{no_module,f,[1],[]}]}}}"),
        ("rpc:call(N, erlang, no_function, [])", "{badrpc,{'EXIT',{undef,[{erlang,no_function,[],[]}]}}}"),
        ("erpc:call(N, no_module, f, [1])", "{error,{exception,undef,[{no_module,f,[1],[]}]}}"),
        ("rpc:call(N, erlang, throw, [ball])", "ball"),
        ("erpc:call(N, erlang, throw, [ball])", "{throw,ball}"),
        ("rpc:call(N, erlang, throw, [{'EXIT', ball}])", "{badrpc,{'EXIT',ball}}"),
        ("rpc:call(N, erlang, exit, [away])", "{badrpc,{'EXIT',away}}"),
        ("erpc:call(N, erlang, exit, [away])", "{exit,{exception,away}}"),
        ("{badrpc, {'EXIT', {bad, S}}} = rpc:call(N, erlang, error, [bad]), is_list(S)", "true"),
        ("try erpc:call(N, erlang, error, [bad]) catch error:{exception, bad, S} -> is_list(S) end", "true"),
        ("{badrpc, {'EXIT', {badarg, S}}} = rpc:call(N, erlang, whereis, [1]), is_list(S)", "true"),
        ("rpc:call(N, timer, sleep, [infinity], 50)", "{badrpc,timeout}"),
        ("erpc:call(N, timer, sleep, [infinity], 50)", "{error,{erpc,timeout}}"),
        ("erpc:call(N, fun erlang:node/0) =:= N", "true"),
        ("{Good, []} = rpc:multicall([N, node()], erlang, node, []), Good =:= [N, node()]", "true"),
        ("erpc:multicall([N, node()], erlang, node, []) =:= [{ok, N}, {ok, node()}]", "true"),
        ("K = rpc:async_call(N, erlang, node, []), rpc:yield(K) =:= N", "true"),
        (
            "Q = erpc:send_request(N, erlang, node, []), {response, V} = erpc:wait_response(Q, 5000), V =:= N",
            "true",
        ),
        ("rpc:cast(N, erlang, send, [self(), cast]), receive M -> M after 5000 -> nothing end", "cast"),
        ("erpc:cast(N, erlang, send, [self(), cast]), receive M -> M after 5000 -> nothing end", "cast"),
        ("rpc:call(N, erlang, apply, [erlang, is_alive, []])", "true"),
        ("rpc:call(N, net_adm, ping, [node()])", "pong"),
        ("gen_server:call({no_server, N}, x) =:= 1", "{exit,{noproc,{gen_server,call,[{no_server,N},x]}}}"),
        ("spawn(fun() -> exit(erpc:call(N, erlang, self, []), kill) end), ok", "ok"),
        // A call that the caller gives up, or whose process is ended.
        (
            "P = erpc:call(N, erlang, whereis, [rex]), {P =:= rpc:call(N, erlang, whereis, [rex]), node(P) =:= N}",
            "{true,true}",
        ),
    ];
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        let _stock = pair.cluster.erl(otp, "stock");
        for node in ["stock@localhost", "r@localhost"] {
            for (expressions, wanted) in &cases {
                let caught = format!("N = {node}, try {expressions} catch C:E -> {{C, E}} end");
                says(&mut pair.erl, &caught, &wanted.replace(",N}", &format!(",{node}}}")));
            }
        }
    });
}

#[test]
fn a_gen_server_is_called_in_every_way() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
        pair.says("gen_server:call({echo_server, R}, x, infinity)", "{echo,x}");
        pair.says(
            "P = rpc:call(R, erlang, whereis, [echo_server]), gen_server:call(P, {a, [1.5]})",
            "{echo,{a,[1.5]}}",
        );
        pair.says(
            "gen_server:multi_call([R, node()], echo_server, x)",
            "{[{r@localhost,{echo,x}}],[e@localhost]}",
        );
        pair.says(
            "Q = gen_server:send_request({echo_server, R}, x), gen_server:wait_response(Q, 5000)",
            "{reply,{echo,x}}",
        );
        pair.says("gen_server:cast({echo_server, R}, x)", "ok");
        pair.says("gen_server:abcast([R], echo_server, x)", "abcast");
        pair.says("{echo_server, R} ! anything, gen_server:call({echo_server, R}, y)", "{echo,y}");
        // The caller's monitor is gone with the call: nothing of it is left to come.
        pair.says("ct_peer:flush(50)", "[]");
        pair.says(
            "ok = gen_server:stop({echo_server, R}), rpc:call(R, erlang, whereis, [echo_server])",
            "undefined",
        );
    });
}

#[test]
fn monitors_say_what_became_of_a_process() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let down = "receive {'DOWN', M, process, What, Why} -> {What, Why} after 5000 -> nothing end";
        // One that is dead already, and a name that nobody has.
        pair.says(
            &format!(
                "P = rpc:call(R, erlang, self, []), M = monitor(process, P), {{P, Why0}} = {down}, Why0"
            ),
            "noproc",
        );
        pair.says(
            &format!("M = monitor(process, {{no_such_name, R}}), {down}"),
            "{{no_such_name,r@localhost},noproc}",
        );
        // By name, and by pid.
        pair.says(
            &format!("M = monitor(process, {{sink, R}}), {{sink, R}} ! {{self(), die, {{some, \"reason\"}}}}, {down}"),
            "{{sink,r@localhost},{some,\"reason\"}}",
        );
        pair.says(
            &format!(
                "P = rpc:call(R, erlang, whereis, [source]), M = monitor(process, P),
                 P ! {{self(), die, normal}}, {{P, Why0}} = {down}, Why0"
            ),
            "normal",
        );
        // One that was taken back says nothing.
        pair.says("M = monitor(process, {echo, R}), demonitor(M), {echo, R} ! {self(), die, x}, ok", "ok");
        pair.says("rpc:call(R, timer, sleep, [50]), ct_peer:flush(50)", "[]");
        pair.says("rpc:call(R, erlang, whereis, [echo])", "undefined");
        // A process of the peer watches one of ours: gen_server:call run over there, to us.
        pair.says(
            "P = spawn(fun() -> receive {'$gen_call', _, _} -> exit(tired) end end),
             rpc:call(R, gen_server, call, [P, hello])
                 =:= {badrpc, {'EXIT', {tired, {gen_server, call, [P, hello]}}}}",
            "true",
        );
    });
}

#[test]
fn links_take_both_ends_along() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("process_flag(trap_exit, true)");
        // A sleeper of the peer, linked to one of our processes; `Kill` ends ours.
        let pair_of_processes = "Sleeper = spawn(R, timer, sleep, [infinity]), Self = self(),
             Ours = spawn(fun() -> link(Sleeper), Self ! linked, receive {end_with, W} -> exit(W) end end),
             receive linked -> ok end,
             {links, [Ours]} = rpc:call(R, erlang, process_info, [Sleeper, links]),
             M = monitor(process, Sleeper)";
        let down = "receive {'DOWN', M, process, Sleeper, Why} -> Why after 5000 -> nothing end";
        for (reason, wanted) in [("bang", "bang"), ("kill", "kill"), ("{a, [b]}", "{a,[b]}")] {
            pair.says(&format!("{pair_of_processes}, Ours ! {{end_with, {reason}}}, {down}"), wanted);
        }
        // `normal` does no harm.
        pair.says(
            &format!(
                "{pair_of_processes}, Ours ! {{end_with, normal}},
                 receive {{'DOWN', M, process, Sleeper, Why}} -> Why
                 after 100 -> rpc:call(R, erlang, is_process_alive, [Sleeper]) end"
            ),
            "true",
        );
        // After unlink neither takes the other along.
        pair.says(
            "Sleeper = spawn_link(R, timer, sleep, [infinity]), unlink(Sleeper), exit(Sleeper, bang),
             rpc:call(R, timer, sleep, [50]), ct_peer:flush(50)",
            "[]",
        );
        // The other way: a process of the peer ends, and ours hears of it.
        let exit = "receive {'EXIT', P, Why} -> Why after 5000 -> nothing end";
        for (name, reason) in [("echo", "{bad,\"luck\"}"), ("sink", "normal"), ("source", "kill")] {
            pair.says(
                &format!(
                    "P = rpc:call(R, erlang, whereis, [{name}]), link(P), P ! {{self(), die, {reason}}}, {exit}"
                ),
                reason,
            );
        }
        pair.says(&format!("P = rpc:call(R, erlang, self, []), link(P), {exit}"), "noproc");
        // exit/2: an ordinary reason, `kill`, and `normal`, which a process that does not trap exits ignores.
        let target = "P = spawn_link(R, timer, sleep, [infinity])";
        pair.says(&format!("{target}, exit(P, {{go, now}}), {exit}"), "{go,now}");
        pair.says(&format!("{target}, exit(P, kill), {exit}"), "killed");
        pair.says(
            &format!(
                "{target}, exit(P, normal), rpc:call(R, timer, sleep, [50]),
                      Lives = rpc:call(R, erlang, is_process_alive, [P]), exit(P, kill), {exit}, Lives"
            ),
            "true",
        );
        // One of ours dies by the peer's exit/2.
        pair.says(
            "P = spawn_link(fun() -> receive after infinity -> ok end end),
             true = rpc:call(R, erlang, exit, [P, over]),
             receive {'EXIT', P, Why} -> Why after 5000 -> nothing end",
            "over",
        );
        pair.says("ct_peer:flush(50)", "[]");
    });
}

/// Link, unlink and exit of many processes at once leave no link behind on either side.
#[test]
fn a_storm_of_links_ends_in_order() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [echo])");
        pair.says("[begin link(P), unlink(P) end || _ <- lists:seq(1, 2000)], link(P), unlink(P)", "true");
        pair.says("rpc:call(R, erlang, process_info, [P, links])", "{links,[]}");
        pair.says("[begin link(P), unlink(P) end || _ <- lists:seq(1, 2000)], link(P)", "true");
        pair.says("rpc:call(R, erlang, process_info, [P, links]) =:= {links, [self()]}", "true");
        pair.says("P ! {self(), die, x}, receive {'EXIT', P, x} -> ct_peer:flush(50) end", "[]");
    });
}

#[test]
fn processes_are_started_on_the_peer() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("process_flag(trap_exit, true)");
        pair.says("node(spawn(R, erlang, node, []))", "r@localhost");
        pair.says(
            "P = spawn(R, timer, sleep, [infinity]), rpc:call(R, erlang, is_process_alive, [P])",
            "true",
        );
        let undef = "{undef,[{no_module,f,[1],[]}]}";
        for (mfa, reason) in [
            ("erlang, node, []", "normal"),
            ("timer, sleep, [20]", "normal"),
            ("no_module, f, [1]", undef),
            ("erlang, exit, [away]", "away"),
        ] {
            pair.says(
                &format!(
                    "{{P, M}} = spawn_monitor(R, {mfa}),
                     receive {{'DOWN', M, process, P, Why}} -> Why after 5000 -> nothing end"
                ),
                reason,
            );
            pair.says(
                &format!(
                    "P = spawn_link(R, {mfa}), receive {{'EXIT', P, Why}} -> Why after 5000 -> nothing end"
                ),
                reason,
            );
            pair.says(
                &format!(
                    "Q = spawn_request(R, {mfa}, [monitor, link]),
                     P = receive {{spawn_reply, Q, ok, Pid}} -> Pid after 5000 -> error(no_reply) end,
                     receive {{'EXIT', P, Why}} -> receive {{'DOWN', Q, process, P, Why}} -> Why end end"
                ),
                reason,
            );
        }
        // A throw nobody catches is an error of the process.
        pair.says(
            "{P, M} = spawn_monitor(R, erlang, throw, [ball]),
             receive {'DOWN', M, process, P, {{nocatch, ball}, S}} when is_list(S) -> ok after 5000 -> nothing end",
            "ok",
        );
        pair.says(
            "{P, M} = spawn_monitor(R, erlang, error, [bad]),
             receive {'DOWN', M, process, P, {bad, S}} when is_list(S) -> ok after 5000 -> nothing end",
            "ok",
        );
        // Options that tune a BEAM are taken; one that nobody knows is refused.
        pair.says(
            "{P, M} = spawn_opt(R, erlang, node, [], [monitor, {priority, high}, {fullsweep_after, 10}]),
             receive {'DOWN', M, process, P, Why} -> Why after 5000 -> nothing end",
            "normal",
        );
        pair.says(
            "Q = spawn_request(R, erlang, node, [], [no_such_option]),
             receive {spawn_reply, Q, error, Why} -> Why after 5000 -> nothing end",
            "badopt",
        );
        pair.says("ct_peer:flush(50)", "[]");
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
