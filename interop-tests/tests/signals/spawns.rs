//! Processes that one node starts on another, and the calls that rest on them.

use crate::{
    actor::Duo,
    peer_support::{Pair, each_release, says},
};

#[test]
fn item_48_processes_are_started_on_the_peer() {
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
                     receive {{'DOWN', M, process, P, Why}} -> Why after 15000 -> nothing end"
                ),
                reason,
            );
            pair.says(
                &format!(
                    "P = spawn_link(R, {mfa}), receive {{'EXIT', P, Why}} -> Why after 15000 -> nothing end"
                ),
                reason,
            );
            pair.says(
                &format!(
                    "Q = spawn_request(R, {mfa}, [monitor, link]),
                     P = receive {{spawn_reply, Q, ok, Pid}} -> Pid after 15000 -> error(no_reply) end,
                     receive {{'EXIT', P, Why}} -> receive {{'DOWN', Q, process, P, Why}} -> Why end end"
                ),
                reason,
            );
        }
        // A throw nobody catches is an error of the process.
        pair.says(
            "{P, M} = spawn_monitor(R, erlang, throw, [ball]),
             receive {'DOWN', M, process, P, {{nocatch, ball}, S}} when is_list(S) -> ok after 15000 -> nothing end",
            "ok",
        );
        pair.says(
            "{P, M} = spawn_monitor(R, erlang, error, [bad]),
             receive {'DOWN', M, process, P, {bad, S}} when is_list(S) -> ok after 15000 -> nothing end",
            "ok",
        );
        // Options that tune a BEAM are taken; one that nobody knows is refused.
        pair.says(
            "{P, M} = spawn_opt(R, erlang, node, [], [monitor, {priority, high}, {fullsweep_after, 10}]),
             receive {'DOWN', M, process, P, Why} -> Why after 15000 -> nothing end",
            "normal",
        );
        pair.says(
            "Q = spawn_request(R, erlang, node, [], [no_such_option]),
             receive {spawn_reply, Q, error, Why} -> Why after 15000 -> nothing end",
            "badopt",
        );
        pair.says("ct_peer:flush(50)", "[]");
    });
}

/// What a call gives, the peer beside a stock node that is asked the same: so the expected is what OTP does.
#[test]
fn item_49_calls_give_what_a_stock_node_gives() {
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
            "Q = erpc:send_request(N, erlang, node, []), {response, V} = erpc:wait_response(Q, 20000), V =:= N",
            "true",
        ),
        ("rpc:cast(N, erlang, send, [self(), cast]), receive M -> M after 15000 -> nothing end", "cast"),
        ("erpc:cast(N, erlang, send, [self(), cast]), receive M -> M after 15000 -> nothing end", "cast"),
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

/// Asked by ours, with a link and a monitor: the answer comes first, then how the process ends, by both.
#[test]
fn item_48_processes_are_started_by_us() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        for (mfa, reason) in [
            ("erlang, exit, [away]", "away"),
            ("erlang, node, []", "normal"),
            ("no_module, f, [1]", "{undef,[{no_module,f,[1],[]}]}"),
        ] {
            duo.says(
                &format!(
                    "Tell({{spawn, node(), {}}}), [{{request, Q}}, {{spawn_reply, Q, ok, P}} | Ends] = Tolds(4, []),
                     [{{'EXIT', P, Why}}, {{'DOWN', Q, process, P, Why}}] = lists:sort(Ends), true = node(P) =:= node(),
                     Why",
                    mfa
                ),
                reason,
            );
        }
        // One that lives is linked with the one that asked, and goes with it; its arguments may be long.
        duo.says(
            "Tell({spawn, node(), erlang, apply, [timer, sleep, [infinity]]}),
             [{request, Q}, {spawn_reply, Q, ok, P}] = Tolds(2, []), {links, [A]} = process_info(P, links),
             M = monitor(process, P), Tell({'end', gone}), receive {'DOWN', M, process, P, Why} -> Why end",
            "gone",
        );
        // A node that is not there.
        let reply = duo.runtime.block_on(duo.node.run(async |mut context| {
            let options = crabnode::erpc::RemoteSpawnOptions { link: true, monitor: true };
            context.spawn_request("nobody@localhost", "erlang", "node", vec![], options);
            context.receive().await
        }));
        let noconnection = |message| matches!(message, crabnode::Message::SpawnReply { result: Err(why), .. } if why == "noconnection");
        assert!(reply.is_some_and(noconnection));
    });
}
