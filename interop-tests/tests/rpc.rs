//! Items 25 to 34 of cluster-services.md 4: `rpc` and `erpc`, both ways, against every release. What a node of ours
//! does is held against what the release itself does with the same call.

use std::{process::Command, time::Duration};

use crabnode::{
    Atom, Context, Exception, Message, Pid, Term,
    erpc::{self, Collected, ErpcError, RequestIds},
    rpc::{self, BadRpc},
    tuple,
};
use interop_tests::clock::{pause, wait_for};
use tokio::sync::oneshot;

mod peer_support;
use peer_support::{SOON, each_release};
mod rpc_support;
use rpc_support::Duo;

/// More than anything here takes.
const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// All that can come of a function, as Erlang writes the calls.
const OUTCOMES: &str = "[{ct_rpc, value, [x]}, {ct_rpc, value, [{'EXIT', x}]},
     {ct_rpc, throws, [ball]}, {ct_rpc, throws, [{'EXIT', x}]},
     {ct_rpc, exits, [normal]}, {ct_rpc, exits, [away]},
     {ct_rpc, errors, [x]}, {ct_rpc, badarith, [a]},
     {ct_rpc, dies, []}, {ct_rpc, dies, [away]}, {ct_rpc, dies, [{a, 1}]},
     {no_module, f, [1, 2]}, {ct_rpc, no_function, []}, {ct_rpc, value, [1, 2, 3]},
     {erlang, throw, [ball]}, {erlang, exit, [away]}, {erlang, error, [x]}, {erlang, error, [badarith]},
     {erlang, whereis, [1]}, {erlang, process_info, [x]},
     {erlang, apply, [erlang, throw, [ball]]}, {erlang, apply, [fun erlang:is_alive/0, []]}]";

#[test]
fn item_25_values_and_errors_of_a_call() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says(&format!("Differ({OUTCOMES})"), "[]");
        // Said once in full, so that both are not wrong in the same way.
        duo.says("rpc:call(R, ct_rpc, value, [{'EXIT', x}])", "{badrpc,{'EXIT',x}}");
        duo.says("rpc:call(R, no_module, f, [1, 2])", "{badrpc,{'EXIT',{undef,[{no_module,f,[1,2],[]}]}}}");
        duo.says("Out(fun() -> erpc:call(R, ct_rpc, throws, [ball]) end)", "{throw,ball}");
        duo.says(
            "Out(fun() -> erpc:call(R, ct_rpc, errors, [x]) end)",
            "{error,{exception,x,[{ct_rpc,errors,1,[]}]}}",
        );
        duo.says("Out(fun() -> erpc:call(R, ct_rpc, exits, [away]) end)", "{exit,{exception,away}}");
        duo.says("erpc:call(R, fun erlang:node/0)", "r@localhost");
        // A fun with code in it cannot be run by ours.
        duo.says(
            "{exception, {badfun, F}, _} = element(2, Out(fun() -> erpc:call(R, fun() -> 1 end) end)), is_function(F)",
            "true",
        );
        // By rex, as nodes in C and `{block_call, …}` do.
        duo.says(
            &format!(
                "[{{C, X, Y}} || {{M, F, As}} = C <- {OUTCOMES}, F =/= dies, {{V, By}} <- [{{call, gen}}, {{block_call, gen}}, {{call, info}}],
                     [X, Y] <- [[ct_rpc:out(fun() ->
                         case By of
                             gen -> gen_server:call({{rex, N}}, {{V, M, F, As, group_leader()}}, 30000);
                             info -> {{rex, N}} ! {{self(), {{V, M, F, As, group_leader()}}}},
                                     receive {{rex, Result}} -> Result after 15000 -> late end
                         end end) || N <- [A, R]]],
                     X =/= Y]"
            ),
            "[]",
        );
    });
}

#[test]
fn item_26_timeouts_leave_nothing_behind() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        for time in ["0", "20"] {
            duo.says(
                &format!("Out(fun() -> erpc:call(R, ct_rpc, sleeps, [2000], {time}) end)"),
                "{error,{erpc,timeout}}",
            );
            duo.says(&format!("rpc:call(R, ct_rpc, sleeps, [2000], {time})"), "{badrpc,timeout}");
            duo.says(&format!("rpc:block_call(R, ct_rpc, sleeps, [1000], {time})"), "{badrpc,timeout}");
        }
        duo.says("rpc:call(R, ct_rpc, sleeps, [60], infinity)", "slept");
        duo.says(
            "Id = erpc:send_request(R, ct_rpc, sleeps, [2000]), no_response = erpc:wait_response(Id, 10),
             {response, slept} = erpc:wait_response(Id, 15000), ok",
            "ok",
        );
        // Longer than anything that was called.
        duo.says("ct_peer:flush(2500)", "[]");
        duo.run(async |mut context| {
            let timeout = Err(ErpcError::Erpc("timeout".into()));
            for milliseconds in [0, 20] {
                let time = Some(Duration::from_millis(milliseconds));
                let context = &mut context;
                let sleeps = || ("a@localhost", "ct_rpc", "sleeps", vec![Term::from(2000)]);
                let (node, module, function, args) = sleeps();
                assert_eq!(erpc::call(context, node, module, function, args, time).await, timeout);
                let (node, module, function, args) = sleeps();
                let rpc = rpc::call(context, node, module, function, args, time).await;
                assert_eq!(rpc.map_err(BadRpc::into_term), Err(tuple!(atom "badrpc", atom "timeout")));
                // These go one after the other.
                let args = vec![Term::from(1000)];
                let block = rpc::block_call(context, node, module, function, args, time).await;
                assert_eq!(block.map_err(BadRpc::into_term), Err(tuple!(atom "badrpc", atom "timeout")));
            }
            let args = vec![Term::from(60)];
            let slept = erpc::call(&mut context, "a@localhost", "ct_rpc", "sleeps", args, None).await;
            assert_eq!(slept, Ok(Term::atom("slept")));
            nothing_is_left(&mut context).await;
        });
    });
}

/// Nothing has come, nor comes in the time that the functions sleep, and there are no monitors.
async fn nothing_is_left(context: &mut Context) {
    let late = context.receive_timeout(Duration::from_millis(2500)).await;
    assert_eq!(late, None, "no message is left behind");
    assert_eq!(monitors(context).await, Term::NIL, "no monitor is left behind");
}

/// What the process monitors, as its node says.
async fn monitors(context: &mut Context) -> Term {
    let (node, pid) = (context.node().clone(), context.pid().clone());
    let args = vec![pid.into(), Term::atom("monitors")];
    // In another process: the call has a monitor itself.
    let info = node
        .run(async move |mut context| {
            let own = context.node().name().clone();
            erpc::call(&mut context, &own, "erlang", "process_info", args, LIMIT).await
        })
        .await;
    match info.expect("it runs").expect("the process lives").as_tuple() {
        Some([_, monitors]) => monitors.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn item_27_the_process_or_its_node_dies_during_a_call() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says("Out(fun() -> erpc:call(R, ct_rpc, dies, []) end)", "{exit,{signal,killed}}");
        duo.says("rpc:call(R, ct_rpc, dies, [away])", "{badrpc,{'EXIT',away}}");
        let signal = duo.run(async |mut context| {
            erpc::call(&mut context, "a@localhost", "ct_rpc", "dies", vec![], LIMIT).await
        });
        assert_eq!(signal, Err(ErpcError::Signal(Term::atom("killed"))));
        // The caller's node ends. The other one is there before, as nothing may come between the calls and the end.
        let other = duo.runtime.block_on(rpc_support::start_node(&duo.cluster, "s@localhost"));
        duo.erl.eval(
            "Asked = [spawn_monitor(fun() -> exit({is, Call()}) end) || Call <- [
                 fun() -> Out(fun() -> erpc:call(R, ct_rpc, sleeps, [60000]) end) end,
                 fun() -> rpc:call(R, ct_rpc, sleeps, [60000]) end,
                 fun() -> rpc:block_call(R, ct_rpc, sleeps, [60000]) end,
                 fun() -> rpc:multicall([A, R], ct_rpc, sleeps, [3000]) end,
                 fun() -> rpc:server_call(R, rex, x, y) end]]",
        );
        // They are there.
        duo.says("rpc:call(R, ct_rpc, sleeps, [50])", "slept");
        let stopping = std::mem::replace(&mut duo.node, other);
        duo.runtime.block_on(stopping.stop());
        duo.says(
            "[receive {'DOWN', M, process, P, {is, It}} -> It after 15000 -> late end || {P, M} <- Asked]",
            "[{error,{erpc,noconnection}},{badrpc,nodedown},{badrpc,nodedown},{[slept],[r@localhost]},{error,nodedown}]",
        );
        // And the other way round: the BEAM that was called ends.
        duo.says("net_adm:ping(s@localhost)", "pong");
        let node = duo.node.clone();
        let calls = async move |mut context: Context| {
            let a = "a@localhost";
            let sleeps = || vec![Term::from(60_000)];
            let request = erpc::send_request(&context, a, "ct_rpc", "sleeps", sleeps()).expect("good names");
            let nodes = [Atom::from(a), context.node().name().clone()];
            let both = rpc::multicall(&mut context, &nodes, "ct_rpc", "value", vec![1.into()], LIMIT).await;
            assert_eq!(both.bad_nodes, [] as [Atom; 0]);
            context.register("waits").expect("the name is free");
            let ended = erpc::receive_response(&mut context, request, LIMIT).await;
            let both = rpc::multicall(&mut context, &nodes, "ct_rpc", "value", vec![1.into()], LIMIT).await;
            let block = rpc::block_call(&mut context, a, "ct_rpc", "sleeps", sleeps(), LIMIT).await;
            nothing_is_left(&mut context).await;
            (ended, both, block)
        };
        let calls = duo.runtime.spawn(async move { node.run(calls).await });
        duo.erl.eval_until("is_pid(rpc:call(s@localhost, erlang, whereis, [waits]))", "true", SOON);
        duo.erl.kill9();
        let (ended, both, block) =
            duo.runtime.block_on(calls).expect("no panic").expect("the process runs to its end");
        assert_eq!(ended, Err(ErpcError::Erpc("noconnection".into())));
        assert_eq!(both.bad_nodes, ["a@localhost"]);
        assert_eq!(both.results, [Ok(Term::from(1))]);
        assert_eq!(block.map_err(BadRpc::into_term), Err(tuple!(atom "badrpc", atom "nodedown")));
    });
}

#[test]
fn item_28_multicalls() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval("Ns = [R, dead@localhost, A]");
        // By the BEAM, and by ours for it: both give the same.
        for by in ["fun(F, As) -> apply(rpc, F, As) end", "fun(F, As) -> rpc:call(R, rpc, F, As) end"] {
            let says = |duo: &mut Duo, call: &str, wanted: &str| {
                duo.says(&format!("By = {by}, By{call}"), wanted);
            };
            says(
                &mut duo,
                "(multicall, [Ns, erlang, node, []])",
                "{[r@localhost,a@localhost],[dead@localhost]}",
            );
            says(&mut duo, "(multicall, [[A, R], ct_rpc, throws, [x]])", "{[x,x],[]}");
            says(
                &mut duo,
                "(multicall, [[A, R, A], ct_rpc, exits, [x], 30000])",
                "{[{badrpc,{'EXIT',x}},{badrpc,{'EXIT',x}},{badrpc,{'EXIT',x}}],[]}",
            );
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, dies, [], 30000])",
                "{[{badrpc,{'EXIT',killed}},{badrpc,{'EXIT',killed}}],[]}",
            );
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, value, [{'EXIT', x}]])",
                "{[{badrpc,{'EXIT',x}},{badrpc,{'EXIT',x}}],[]}",
            );
            says(
                &mut duo,
                "(multicall, [Ns, ct_rpc, sleeps, [2000], 50])",
                "{[],[r@localhost,dead@localhost,a@localhost]}",
            );
            says(&mut duo, "(multicall, [[], erlang, node, []])", "{[],[]}");
        }
        for by in ["fun(F, As) -> apply(erpc, F, As) end", "fun(F, As) -> erpc:call(R, erpc, F, As) end"] {
            let says = |duo: &mut Duo, call: &str, wanted: &str| {
                duo.says(&format!("By = {by}, ct_rpc:without_places(By{call})"), wanted);
            };
            says(
                &mut duo,
                "(multicall, [Ns, erlang, node, []])",
                "[{ok,r@localhost},{error,{erpc,noconnection}},{ok,a@localhost}]",
            );
            says(&mut duo, "(multicall, [[A, R], ct_rpc, throws, [x]])", "[{throw,x},{throw,x}]");
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, exits, [x], 30000])",
                "[{exit,{exception,x}},{exit,{exception,x}}]",
            );
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, errors, [x], 30000])",
                "[{error,{exception,x,[{ct_rpc,errors,1,[]}]}},{error,{exception,x,[{ct_rpc,errors,1,[]}]}}]",
            );
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, dies, [], 30000])",
                "[{exit,{signal,killed}},{exit,{signal,killed}}]",
            );
            says(
                &mut duo,
                "(multicall, [[A, R], ct_rpc, sleeps, [2000], 50])",
                "[{error,{erpc,timeout}},{error,{erpc,timeout}}]",
            );
        }
        duo.says("ct_peer:flush(2500)", "[]");
        duo.run(async |mut context| {
            let nodes = ["a@localhost", "dead@localhost", "r@localhost"].map(Atom::from);
            let node = erpc::multicall(&mut context, &nodes, "erlang", "node", vec![], LIMIT).await;
            let noconnection = Err(ErpcError::Erpc("noconnection".into()));
            assert_eq!(node, [Ok((&nodes[0]).into()), noconnection, Ok((&nodes[2]).into())]);
            let short = Some(Duration::from_millis(50));
            let late =
                erpc::multicall(&mut context, &nodes, "ct_rpc", "sleeps", vec![2000.into()], short).await;
            assert_eq!(late[0], Err(ErpcError::Erpc("timeout".into())));
            nothing_is_left(&mut context).await;
        });
    });
}

#[test]
fn item_29_calls_that_are_waited_for_later() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says(
            "K = rpc:async_call(R, ct_rpc, sleeps, [2000]), timeout = rpc:nb_yield(K), timeout = rpc:nb_yield(K, 10), {value, slept} = rpc:nb_yield(K, 15000)",
            "{value,slept}",
        );
        duo.says("rpc:yield(rpc:async_call(R, ct_rpc, exits, [x]))", "{badrpc,{'EXIT',x}}");
        duo.says("rpc:yield(rpc:async_call(R, ct_rpc, throws, [x]))", "x");
        duo.says(
            "Ids = [erpc:send_request(R, ct_rpc, sleeps, [N, N]) || N <- [60, 40, 20]], [erpc:receive_response(I, 30000) || I <- Ids]",
            "[60,40,20]",
        );
        duo.says(
            "Id = erpc:send_request(R, ct_rpc, value, [x]), receive M -> {response, x} = erpc:check_response(M, Id) end, ok",
            "ok",
        );
        if otp.number() >= 25 {
            duo.says(
                "Me = self(),
                 Ids = lists:foldl(fun(N, Col) -> erpc:send_request(R, ct_rpc, holds, [Me, N], {n, N}, Col) end,
                     erpc:reqids_new(), [3, 1, 2]),
                 [P1, P2, P3] = [receive {here, N, P} -> P after 15000 -> error(late) end || N <- [1, 2, 3]],
                 P1 ! go, {1, {n, 1}, Ids1} = erpc:receive_response(Ids, 15000, true),
                 P2 ! go, {{response, 2}, {n, 2}, Ids2} = erpc:wait_response(Ids1, 15000, true),
                 no_response = erpc:wait_response(Ids2, 0, true),
                 P3 ! go, {3, {n, 3}, Ids3} = erpc:receive_response(Ids2, 15000, true),
                 {erpc:receive_response(Ids3, 0, true), erpc:reqids_size(Ids3)}",
                "{no_request,0}",
            );
        }
        duo.says("ct_peer:flush(100)", "[]");
        duo.run(later);
    });
}

/// What a process of ours does with calls that it waits for later.
async fn later(mut context: Context) {
    let (context, a) = (&mut context, "a@localhost");
    let sleeps = |n: i64| vec![Term::from(n), Term::from(n)];
    let mut key = rpc::async_call(context, a, "ct_rpc", "sleeps", sleeps(1000)).expect("good names");
    assert_eq!(rpc::nb_yield(context, &mut key, Duration::ZERO).await, None);
    assert_eq!(rpc::nb_yield(context, &mut key, Duration::from_secs(10)).await, Some(Ok(1000.into())));
    let again = erpc::wait_response(context, &mut key, LIMIT).await;
    assert_eq!(again, Some(Err(ErpcError::Erpc("badarg".into()))), "a response is taken once");
    let key = rpc::async_call(context, a, "ct_rpc", "exits", vec![1.into()]).expect("good names");
    let exit = rpc::yield_(context, key).await;
    assert_eq!(exit, Err(BadRpc { reason: tuple!(atom "EXIT", 1) }));
    // One that is given up says nothing.
    drop(rpc::async_call(context, a, "ct_rpc", "sleeps", sleeps(10)));
    // By message.
    let mut request = erpc::send_request(context, a, "ct_rpc", "throws", vec![1.into()]).expect("good names");
    context.send_now(context.pid(), Term::atom("other"));
    let mut response = None;
    while response.is_none() {
        match erpc::check_response(context.receive().await, &mut request) {
            Ok(it) => response = Some(it),
            Err(other) => assert_eq!(other, Message::Term(Term::atom("other"))),
        }
    }
    assert_eq!(response, Some(Err(ErpcError::Exception(Exception::Throw(1.into())))));
    // Many at once.
    let mut requests = RequestIds::new();
    for n in [3, 1, 2] {
        let args = vec![context.pid().into(), n.into()];
        requests.send_request(context, a, ("ct_rpc", "holds"), args, n).expect("good names");
    }
    let nowhere = requests.send_request(context, "no@localhost", ("erlang", "node"), vec![], 0);
    assert_eq!((nowhere, requests.len()), (Ok(()), 4));
    let noconnection = Err(ErpcError::Erpc("noconnection".into()));
    assert_eq!(requests.receive_response(context, LIMIT).await, Ok(Some((noconnection, 0))));
    let [first, second, third] =
        [holder(context, 1).await, holder(context, 2).await, holder(context, 3).await];
    context.send(&first, Term::atom("go")).await;
    assert_eq!(requests.receive_response(context, LIMIT).await, Ok(Some((Ok(1.into()), 1))));
    context.send(&second, Term::atom("go")).await;
    let response = requests.wait_response(context, LIMIT).await;
    assert_eq!(response, Collected::Response(Ok(2.into()), 2));
    assert_eq!(requests.wait_response(context, Some(Duration::ZERO)).await, Collected::NoResponse);
    let timeout = requests.receive_response(context, Some(Duration::from_millis(10))).await;
    assert_eq!(timeout, Err(ErpcError::Erpc("timeout".into())), "the others are given up with it");
    assert_eq!(requests.wait_response(context, LIMIT).await, Collected::NoRequest);
    context.send(&third, Term::atom("go")).await;
    nothing_is_left(context).await;
}

/// The process that runs `ct_rpc:holds/2` with this number, once it is there.
async fn holder(context: &mut Context, number: u64) -> Pid {
    let here = |message: &Message| match message.as_term()?.as_tuple()? {
        [tag, value, pid] if tag.is_atom("here") && value.as_u64() == Some(number) => pid.as_pid().cloned(),
        _ => None,
    };
    context.receive_match_timeout(LIMIT, here).await.expect("it is called")
}

#[test]
fn item_30_casts_and_broadcasts() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        let told = "[receive {told, N, x} -> N after 15000 -> late end || N <- lists:sort([A, R])]";
        // By the BEAM, and by ours for it.
        for (by, nodes) in [("apply(", "[A, R]"), ("rpc:call(R, ", "[A, R]")] {
            duo.says(&format!("{by}rpc, eval_everywhere, [{nodes}, ct_rpc, tells, [self(), x]])"), "abcast");
            duo.says(told, "[a@localhost,r@localhost]");
            duo.says(&format!("{by}erpc, multicast, [{nodes}, ct_rpc, tells, [self(), x]])"), "ok");
            duo.says(told, "[a@localhost,r@localhost]");
            for node in ["A", "R"] {
                duo.says(&format!("{by}rpc, cast, [{node}, ct_rpc, tells, [self(), x]])"), "true");
                duo.says(&format!("receive {{told, N, x}} -> N =:= {node} after 15000 -> late end"), "true");
                duo.says(&format!("{by}erpc, cast, [{node}, ct_rpc, errors, [x]])"), "ok");
            }
            duo.says(&format!("{by}rpc, cast, [dead@localhost, ct_rpc, value, [x]])"), "true");
        }
        duo.says("ct_peer:flush(100)", "[]");
        servers(&mut duo);
        block_calls(&mut duo);
    });
}

/// Messages to processes of one name on both nodes, by either.
fn servers(duo: &mut Duo) {
    let pid = duo.runtime.block_on(async {
        let name = crabnode::SpawnOptions { name: Some("ct_server".into()), ..Default::default() };
        duo.node.spawn_with(name, serve).expect("the name is free")
    });
    duo.erl.eval("P = ct_rpc:server(ct_server, ct_server), Ns = [R, dead@localhost, A]");
    for by in ["apply(", "rpc:call(R, "] {
        duo.says(
            &format!("{by}rpc, sbcast, [Ns, ct_server, hello])"),
            "{[r@localhost,a@localhost],[dead@localhost]}",
        );
        duo.says("receive {got, hello} -> ok after 15000 -> late end", "ok");
        duo.says(&format!("{by}rpc, sbcast, [[A, R], nobody, hello])"), "{[],[a@localhost,r@localhost]}");
        duo.says(&format!("{by}rpc, abcast, [Ns, ct_server, hello])"), "abcast");
        duo.says("receive {got, hello} -> ok after 15000 -> late end", "ok");
        duo.says(
            &format!("{by}rpc, multi_server_call, [Ns, ct_server, q])"),
            "{[{answer,q},{answer,q}],[dead@localhost]}",
        );
        for node in ["A", "R"] {
            duo.says(&format!("{by}rpc, server_call, [{node}, ct_server, ct_server, q])"), "{answer,q}");
            duo.says(&format!("{by}rpc, server_call, [{node}, nobody, ct_server, q])"), "{error,nodedown}");
        }
    }
    let got = duo.run(async move |mut context| context.call(&pid, Term::atom("got"), LIMIT).await);
    // Two broadcasts by each.
    assert_eq!(got, Ok(Term::from(4)));
    duo.says("ct_peer:flush(100)", "[]");
}

/// What `ct_rpc:server/2` is at the other side; it counts what else it is sent.
async fn serve(mut context: Context) {
    let mut got = 0;
    loop {
        let message = context.receive().await.into_term();
        match message.as_tuple() {
            Some([Term::Pid(from), request]) => {
                let answer = tuple!(atom "answer", request.clone());
                context.send(from, tuple!(atom "ct_server", context.node().name(), answer)).await;
            }
            Some([tag, from, _]) if tag.is_atom("$gen_call") => context.reply(from, got),
            _ => got += 1,
        }
    }
}

/// `rex` runs block calls itself: one after the other, and with its own group leader afterwards.
fn block_calls(duo: &mut Duo) {
    duo.says(
        "Me = self(), Began = erlang:monotonic_time(millisecond),
         [spawn(fun() -> rpc:block_call(R, ct_rpc, sleeps, [100]), Me ! {N, erlang:monotonic_time(millisecond)} end) || N <- [1, 2, 3]],
         Times = [receive {_, T} -> T after 15000 -> error(late) end || _ <- [1, 2, 3]],
         lists:max(Times) - Began >= 300",
        "true",
    );
    duo.says("rpc:block_call(R, ct_rpc, leader, []) =:= group_leader()", "true");
    duo.says(
        "{group_leader, G} = rpc:call(R, erlang, process_info, [rpc:call(R, erlang, whereis, [rex]), group_leader]), node(G)",
        "r@localhost",
    );
    let outcome = duo.run(async |mut context| {
        let args = vec![Term::atom("x")];
        rpc::block_call(&mut context, "a@localhost", "ct_rpc", "exits", args, LIMIT).await
    });
    assert_eq!(outcome, Err(BadRpc { reason: tuple!(atom "EXIT", atom "x") }));
}

#[test]
fn item_31_every_outcome_of_calls_by_ours() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        // Ours calls the BEAM for it, and says what the BEAM says when it calls itself.
        duo.says(
            &format!(
                "[{{C, X, Y}} || {{M, F, As}} = C <- {OUTCOMES}, By <- [rpc, erpc],
                     X <- [case ct_rpc:out(fun() -> By:call(A, M, F, As, 30000) end) of
                               {{value, V}} -> {{value, V}};
                               {{Class, Reason}} -> {{Class, Reason}}
                           end],
                     Y <- [case ct_rpc:out(fun() -> erpc:call(R, By, call, [A, M, F, As, 30000]) end) of
                               {{value, V}} -> {{value, V}};
                               {{throw, T}} -> {{throw, T}};
                               {{exit, {{exception, Reason}}}} -> {{exit, Reason}};
                               {{error, {{exception, Reason, _}}}} -> {{error, Reason}}
                           end],
                     X =/= Y]"
            ),
            "[]",
        );
        duo.says("rpc:call(R, rpc, call, [dead@localhost, erlang, node, []])", "{badrpc,nodedown}");
        duo.run(outcomes);
    });
}

async fn outcomes(mut context: Context) {
    let x = || Term::atom("x");
    let mut call = async |module: &str, function: &str, args: Vec<Term>| {
        erpc::call(&mut context, "a@localhost", module, function, args, LIMIT).await
    };
    assert_eq!(call("ct_rpc", "value", vec![x()]).await, Ok(x()));
    let exception = |exception| Err(ErpcError::Exception(exception));
    assert_eq!(call("ct_rpc", "throws", vec![x()]).await, exception(Exception::Throw(x())));
    assert_eq!(call("ct_rpc", "exits", vec![x()]).await, exception(Exception::Exit(x())));
    assert_eq!(call("ct_rpc", "dies", vec![x()]).await, Err(ErpcError::Signal(x())));
    let undef = Exception::undef(&"no".into(), &"f".into(), vec![x()]);
    assert_eq!(call("no", "f", vec![x()]).await, exception(undef));
    let Err(ErpcError::Exception(Exception::Error { reason, stack })) =
        call("ct_rpc", "badarith", vec![x()]).await
    else {
        panic!("an error")
    };
    assert_eq!(reason, Term::atom("badarith"));
    assert!(stack.to_string().contains("ct_rpc"), "{stack}");
    let nowhere = erpc::call(&mut context, "no@localhost", "erlang", "node", vec![], LIMIT).await;
    assert_eq!(nowhere, Err(ErpcError::Erpc("noconnection".into())));
    let long = "x".repeat(256);
    let badarg = erpc::call(&mut context, "a@localhost", &long, "node", vec![], LIMIT).await;
    assert_eq!(badarg, Err(ErpcError::Erpc("badarg".into())));
    nothing_is_left(&mut context).await;
}

#[test]
fn item_32_erl_call() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        // What a call prints comes as messages, and the result after it.
        let streams = |node: &str| {
            format!(
                "{{rex, {node}}} ! {{self(), {{call, io, format, [\"~p~n~ts\", [x, [229]]], send_stdout_to_caller}}}},
                 All = (fun Go() -> receive {{rex_stdout, Text}} -> [Text | Go()]; {{rex, Result}} -> [Result] after 15000 -> [late] end end)(),
                 {{iolist_to_binary(lists:droplast(All)), lists:last(All)}}"
            )
        };
        let streamed = "{<<\"x\\nå\"/utf8>>,ok}";
        duo.says(&streams("R"), streamed);
        // OTP 23 cannot.
        if otp.number() >= 25 {
            duo.says(&streams("A"), streamed);
        }
        let address = format!("localhost:{}", duo.node.port());
        let erl_call = |args: &[&str]| {
            let output = Command::new(otp.erl_call())
                .args(["-c", duo.cluster.cookie(), "-r"])
                .args(args)
                .env("HOME", duo.cluster.home())
                .env("ERL_EPMD_PORT", duo.cluster.epmd_port().to_string())
                .output()
                .expect("erl_call is there");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
            text
        };
        for node in [["-sname", "r@localhost"], ["-address", &address]] {
            let call = |mfa: &str| erl_call(&[node[0], node[1], "-a", mfa]);
            assert_eq!(call("erlang node"), "r@localhost");
            assert_eq!(call("ct_rpc value [{a,[1000,-1]}]"), "{a, [1000, -1]}");
            assert_eq!(call("ct_rpc throws [ball]"), "ball");
            assert_eq!(call("ct_rpc exits [away]"), "{badrpc, {'EXIT', away}}");
            assert_eq!(call("no_module f []"), "{badrpc, {'EXIT', {undef, [{no_module, f, [], []}]}}}");
        }
        if otp.number() >= 25 {
            let says =
                erl_call(&["-address", &address, "-fetch_stdout", "-a", "io format [[104,105,126,110]]"]);
            assert_eq!(says, "hi\nok");
        }
        assert_eq!(erl_call(&["-sname", "r@localhost", "-q"]), "");
        let requested =
            duo.runtime.block_on(async { tokio::time::timeout(SOON, duo.node.stop_requested()).await });
        assert_eq!(requested, Ok(0), "whoever runs the node is asked to stop it");
    });
}

/// How often is called, by how many processes at once.
const CALLS: usize = 10_000;
const CALLERS: usize = 16;

#[test]
fn item_33_many_calls_leave_nothing_behind() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        let (calls, callers) = (CALLS / CALLERS, CALLERS);
        // Each kind of call once, so that what stays for good is there.
        duo.erl.eval(
            "Load = fun(Callers, Calls) ->
                 Ps = [spawn_monitor(fun() ->
                     [begin
                         x = erpc:call(R, ct_rpc, value, [x]),
                         x = rpc:call(R, ct_rpc, throws, [x]),
                         {badrpc, _} = rpc:call(R, no_module, f, []),
                         {badrpc, timeout} = rpc:call(R, ct_rpc, sleeps, [2000], 0)
                      end || _ <- lists:seq(1, Calls div 4)],
                     {monitors, []} = process_info(self(), monitors),
                     {message_queue_len, 0} = process_info(self(), message_queue_len)
                 end) || _ <- lists:seq(1, Callers)],
                 [receive {'DOWN', M, process, P, normal} -> ok; {'DOWN', M, process, P, W} -> error(W) after 150000 -> error(late) end || {P, M} <- Ps], ok
             end,
             Load(2, 8)",
        );
        // What `global` does with a new connection is done before processes are counted.
        duo.says("{global:sync(), rpc:call(R, global, sync, [])}", "{ok,ok}");
        duo.erl.eval(
            "Steady = fun Steady(Count) ->
                 timer:sleep(500),
                 case erlang:system_info(process_count) of Count -> Count; Other -> Steady(Other) end
             end,
             Before = Steady(0)",
        );
        let before = steady_census(&duo);
        let loaded = duo.erl.try_eval(&format!("Load({callers}, {calls})"), Duration::from_secs(200));
        assert_eq!(loaded.as_deref(), Ok("ok"));
        nothing_is_left_behind(&mut duo, &before);
        // By ours.
        let node = duo.node.clone();
        duo.runtime.block_on(async move {
            let ended = (0..CALLERS).map(|_| {
                let (sender, ended) = oneshot::channel();
                node.spawn(async move |context: Context| {
                    load(context).await;
                    let _ = sender.send(());
                });
                ended
            });
            for ended in ended.collect::<Vec<_>>() {
                ended.await.expect("no caller fails");
            }
        });
        nothing_is_left_behind(&mut duo, &before);
    });
}

/// Both sides come to be as they were before.
fn nothing_is_left_behind(duo: &mut Duo, before: &Census) {
    let mut last = census(duo);
    wait_for(SOON, || {
        last = census(duo);
        (last == *before).then_some(())
    });
    assert_eq!(last, *before, "at our side");
    duo.erl.eval_until("erlang:system_info(process_count) - Before", "0", SOON);
    duo.erl.eval_until(
        "[M || P <- processes(), {monitored_by, Ms} <- [process_info(P, monitored_by)], M <- Ms, node(M) =:= R]",
        "[]",
        SOON,
    );
}

async fn load(mut context: Context) {
    let (context, a) = (&mut context, "a@localhost");
    for _ in 0..CALLS / CALLERS / 4 {
        let x = || vec![Term::atom("x")];
        assert_eq!(erpc::call(context, a, "ct_rpc", "value", x(), None).await, Ok(Term::atom("x")));
        assert!(rpc::call(context, a, "ct_rpc", "exits", x(), None).await.is_err());
        assert!(rpc::call(context, a, "no_module", "f", x(), LIMIT).await.is_err());
        let none = Some(Duration::ZERO);
        let late = rpc::call(context, a, "ct_rpc", "sleeps", vec![2000.into()], none).await;
        assert_eq!(late, Err(BadRpc { reason: Term::atom("timeout") }));
    }
    nothing_is_left(context).await;
}

/// Processes, monitors on either side of them, messages: of the whole node.
type Census = Vec<(&'static str, usize)>;

/// One that is the same three seconds later: the functions that nobody waits for sleep on for two.
fn steady_census(duo: &Duo) -> Census {
    let mut last = census(duo);
    let steady = wait_for(SOON, || {
        pause(Duration::from_secs(3));
        let before = std::mem::replace(&mut last, census(duo));
        (last == before).then_some(before)
    });
    steady.unwrap_or_else(|| panic!("our side does not come to rest: {last:?}"))
}

fn census(duo: &Duo) -> Census {
    let processes = duo.node.processes();
    let own = duo.node.name().clone();
    let infos = duo.run(async move |mut context| {
        let me = context.pid().clone();
        let mut infos = Vec::new();
        for pid in processes.into_iter().filter(|pid| *pid != me) {
            let items = ["monitors", "monitored_by", "links", "message_queue_len"].map(Term::atom);
            let args = vec![pid.into(), Term::list(items.to_vec())];
            infos.push(erpc::call(&mut context, &own, "erlang", "process_info", args, LIMIT).await);
        }
        infos
    });
    let mut sums =
        vec![("processes", 0), ("monitors", 0), ("monitored_by", 0), ("links", 0), ("message_queue_len", 0)];
    for info in infos.into_iter().flatten() {
        let Some(items) = info.as_list() else { continue };
        sums[0].1 += 1;
        for item in items {
            let Some([Term::Atom(name), value]) = item.as_tuple() else { panic!("{item}") };
            let sum = sums.iter_mut().find(|(known, _)| *name == **known).expect("it was asked for");
            sum.1 += value
                .as_list()
                .map_or_else(|| usize::try_from(value.as_u64().unwrap_or(0)).expect("few"), <[Term]>::len);
        }
    }
    sums
}

#[test]
fn item_34_processes_that_are_started_on_ours() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval("process_flag(trap_exit, true)");
        // What each kind of start tells, by ours and by the BEAM itself: so many messages, and then no more.
        let tells = |start: &str, count: usize| {
            format!(
                "[X, Y] = [begin {start}, ct_rpc:without_places([case M of
                       {{'DOWN', _, process, _, W}} -> {{down, W}};
                       {{'EXIT', _, W}} -> {{exit, W}};
                       {{spawn_reply, _, error, W}} -> {{refused, W}};
                       {{spawn_reply, _, ok, P}} when node(P) =:= N -> started
                     end || M <- [receive Told -> Told after 15000 -> late end || _ <- lists:seq(1, {count})]
                                 ++ ct_peer:flush(150)]) end || N <- [A, R]], X =:= Y orelse {{X, Y}}"
            )
        };
        for mfa in ["ct_rpc, value, [1]", "ct_rpc, exits, [x]", "no_module, f, [1]", "ct_rpc, errors, [x]"] {
            for (start, count) in [
                (format!("spawn(N, {mfa})"), 0),
                (format!("spawn_link(N, {mfa})"), 1),
                (format!("spawn_monitor(N, {mfa})"), 1),
                (format!("spawn_opt(N, {mfa}, [link, monitor, {{priority, low}}])"), 2),
                (format!("spawn_request(N, {mfa}, [link, monitor])"), 3),
                (format!("spawn_request(N, {mfa}, [monitor, {{reply, error_only}}])"), 1),
            ] {
                duo.says(&tells(&start, count), "true");
            }
        }
        duo.says(&tells("spawn_request(N, ct_rpc, value, [1], [no_such_option])", 1), "true");
        // A link that is made by the start is one both ways.
        duo.says(
            "P = spawn_link(R, ct_rpc, sleeps, [60000]), exit(P, away), receive {'EXIT', P, W} -> W after 15000 -> late end",
            "away",
        );
        // What a process of ours prints appears at the group leader of who started it.
        duo.erl.eval(
            "Leader = fun Loop(To) -> receive {io_request, F, T, Q} ->
                 Text = case Q of {put_chars, unicode, Mo, Fu, As} -> apply(Mo, Fu, As); {put_chars, unicode, Chars} -> Chars end,
                 F ! {io_reply, T, ok}, To ! {printed, unicode:characters_to_list(Text)}, Loop(To) end end",
        );
        for call in [
            "rpc:call(R, io, format, [\"~p is ~s~n\", [{a, 1}, \"b\"]])",
            "spawn(R, io, format, [\"~p is ~s~n\", [{a, 1}, \"b\"]])",
            "rpc:cast(R, io, format, [\"~p is ~s~n\", [{a, 1}, \"b\"]])",
            "rpc:block_call(R, io, format, [\"~p is ~s~n\", [{a, 1}, \"b\"]])",
        ] {
            duo.says(
                &format!(
                    "Me = self(), L = spawn(fun() -> Leader(Me) end),
                     spawn(fun() -> group_leader(L, self()), {call} end),
                     receive {{printed, T}} -> T after 15000 -> late end"
                ),
                "\"{a,1} is b\\n\"",
            );
        }
    });
}
