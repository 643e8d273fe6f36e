//! Behaviours between stock nodes and ours: items 41 to 43 of cluster-services 4.
//!
//! What a stock node asks ours it asks another stock node too, and hears the same.

use std::time::Duration;

use crabnode::{
    CallError, Dest, Term, gen_event,
    gen_server::{self, Collected, MultiCall, RequestIds},
    gen_statem,
    supervisor::{self, ChildState, Counts},
    sys, tuple,
};

use interop_tests::clock::wait_for;

mod peer_support;
use peer_support::{Pair, SOON as QUICK, each_release, says};

mod gen_support;
use gen_support::Trio;

const SOON: Option<Duration> = Some(Duration::from_secs(20));

#[test]
fn item_41_gen_server_as_server() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        trio.both_say("gen_server:call({twin, N}, {echo, x})", "{echo,x}");
        trio.both_say(
            "gen_server:call(rpc:call(N, erlang, whereis, [twin]), {echo, x}, infinity)",
            "{echo,x}",
        );
        trio.both_say("gen_server:call({twin, N}, {continue, 1})", "{continued,1}");
        trio.both_say("gen_server:call({twin, N}, {timeout, 20})", "timed_out");
        trio.both_say("gen_server:call({twin, N}, {later, 20, x})", "x");
        // Exits as they are.
        trio.both_say(
            "gen_server:call({twin, N}, never, 30)",
            "{exit,{timeout,{gen_server,call,[{twin,n},never,30]}}}",
        );
        trio.both_say("gen_server:call({nobody, N}, x)", "{exit,{noproc,{gen_server,call,[{nobody,n},x]}}}");
        trio.same(
            "{ok, P} = rpc:call(N, ct_gen, start, [temp]), M = monitor(process, P), exit(P, kill),
             receive {'DOWN', M, process, P, killed} -> gen_server:call(P, x) after 15000 -> late end",
        );
        for (request, wanted) in [
            ("{die, boom}", "{exit,{boom,{gen_server,call,[{temp,n},{die,boom}]}}}"),
            ("{die, normal}", "{exit,{normal,{gen_server,call,[{temp,n},{die,normal}]}}}"),
            ("{stop, {shutdown, 1}, bye}", "bye"),
        ] {
            let call = format!(
                "{{ok, P}} = rpc:call(N, ct_gen, start, [temp]), M = monitor(process, P),
                 V = Try(fun() -> gen_server:call({{temp, N}}, {request}) end),
                 receive {{'DOWN', M, process, P, Why}} -> {{V, Why}} after 15000 -> late end"
            );
            assert!(trio.same(&call).starts_with(&format!("{{{wanted},")), "{request}");
        }
        // What comes after the timeout of its call comes to nobody, from OTP 24 on.
        let late = "{'EXIT', {timeout, _}} = (catch gen_server:call({twin, N}, {later, 2000, x}, 20))";
        if otp.number() >= 24 {
            trio.both_say(&format!("{late}, ct_peer:flush(2500)"), "[]");
        } else {
            trio.same(&format!(
                "{late}, receive Late -> [Late | ct_peer:flush(100)] after 15000 -> none end"
            ));
        }
        // Casts and messages, in the order in which they were sent.
        trio.both_say(
            "gen_server:cast({twin, N}, 1), gen_server:abcast([N], twin, 2), {twin, N} ! 3,
             gen_server:call({twin, N}, kept)",
            "[{cast,1},{cast,2},{info,3}]",
        );
        trio.both_say("gen_server:multi_call([N], twin, {echo, x})", "{[{n,{echo,x}}],[]}");
        trio.both_say(
            "gen_server:multi_call([nowhere@localhost, N], twin, {echo, x}, 30000)",
            "{[{n,{echo,x}}],[nowhere@localhost]}",
        );
        trio.both_say("gen_server:multi_call([N], twin, never, 30)", "{[],[n]}");
        trio.both_say("gen_server:multi_call([N], nobody, x)", "{[],[n]}");
        trio.both_say("ct_peer:flush(100)", "[]");
    });
}

#[test]
fn item_41_every_form_of_a_call_tag() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        trio.both_say(
            "Q = gen_server:send_request({twin, N}, {echo, x}), gen_server:wait_response(Q, 30000)",
            "{reply,{echo,x}}",
        );
        trio.both_say(
            "Q = gen_server:send_request({twin, N}, {echo, x}),
             receive M -> gen_server:check_response(M, Q) after 15000 -> late end",
            "{reply,{echo,x}}",
        );
        trio.same("Q = gen_server:send_request({nobody, N}, x), gen_server:wait_response(Q, 30000)");
        trio.same("Q = gen_server:send_request({twin, N}, never), gen_server:wait_response(Q, 30)");
        if otp.number() >= 25 {
            trio.both_say(
                "C0 = gen_server:send_request({twin, N}, {later, 2000, a}, slow, gen_server:reqids_new()),
                 C1 = gen_server:send_request({twin, N}, {echo, b}, quick, C0),
                 {R1, L1, C2} = gen_server:receive_response(C1, 15000, true),
                 {R2, L2, C3} = gen_server:receive_response(C2, 15000, true),
                 {R1, L1, R2, L2, gen_server:receive_response(C3, 15000, true)}",
                "{{reply,{echo,b}},quick,{reply,a},slow,no_request}",
            );
        }
        // By hand, so that none depends on what a release happens to do; where there are no aliases, these two are
        // plain tags, and answered as such.
        let alias = if otp.number() >= 24 { "alias()" } else { "make_ref()" };
        for tag in [
            "make_ref()",
            &format!("[alias | {alias}]"),
            "{make_ref(), N}",
            &format!("[[alias | {alias}] | make_ref()]"),
            "{'$gen_request_id', make_ref()}",
        ] {
            let call = format!(
                "Tag = {tag}, {{twin, N}} ! {{'$gen_call', {{self(), Tag}}, {{echo, x}}}},
                 receive {{Tag, Reply}} -> Reply; Other -> {{other, Other}} after 15000 -> late end"
            );
            trio.both_say(&call, "{echo,x}");
        }
        if otp.number() >= 24 {
            // An alias that is gone takes no answer.
            trio.both_say(
                "A = alias(), unalias(A), {twin, N} ! {'$gen_call', {self(), [alias | A]}, {echo, x}},
                 gen_server:call({twin, N}, {echo, x}), ct_peer:flush(50)",
                "[]",
            );
        }
    });
}

#[test]
fn item_41_gen_server_as_client() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        trio.erl.eval("{ok, _} = ct_gen:start(twin), {ok, _} = ct_gen:start(temp), ok");
        let release = otp.number();
        trio.run(move |mut context| async move {
            let context = &mut context;
            let twin = || Dest::from(("twin", "e@localhost"));
            let echo = || tuple!(atom "echo", atom "x");
            let echoed = || Ok(echo());
            assert_eq!(context.call(twin(), echo(), SOON).await, echoed());
            assert_eq!(context.call(twin(), tuple!(atom "later", 20, 1), None).await, Ok(1.into()));
            let short = Some(Duration::from_millis(30));
            assert_eq!(context.call(twin(), Term::atom("never"), short).await, Err(CallError::Timeout));
            assert_eq!(context.call(("nobody", "e@localhost"), 1, SOON).await, Err(CallError::NoProc));
            let nowhere = context.call(("twin", "nowhere@localhost"), 1, SOON).await;
            assert_eq!(nowhere, Err(CallError::NoConnection { node: "nowhere@localhost".into() }));
            let dies = context.call(("temp", "e@localhost"), tuple!(atom "die", atom "boom"), SOON).await;
            assert_eq!(dies, Err(CallError::Exit { reason: Term::atom("boom") }));

            context.cast(twin(), 1);
            gen_server::abcast(context, Some(vec!["e@localhost".into(), "b@localhost".into()]), "twin", 2);
            context.send(twin(), 3).await;
            let kept = |n: i64, how: &'static str| tuple!(Term::atom(how), n);
            let all = Term::list([kept(1, "cast"), kept(2, "cast"), kept(3, "info")]);
            assert_eq!(context.call(twin(), Term::atom("kept"), SOON).await, Ok(all));

            let nodes = ["e@localhost", "nowhere@localhost", "r@localhost", "b@localhost"];
            let nodes = Some(nodes.map(crabnode::Atom::from).to_vec());
            let replies = ["e@localhost", "r@localhost", "b@localhost"].map(|node| (node.into(), echo()));
            let wanted = MultiCall { replies: replies.to_vec(), bad_nodes: vec!["nowhere@localhost".into()] };
            assert_eq!(gen_server::multi_call(context, nodes, "twin", echo(), SOON).await, wanted);
            let never = gen_server::multi_call(context, None, "twin", Term::atom("never"), short).await;
            assert_eq!((never.replies.len(), never.bad_nodes.len()), (0, 3));

            // A request that is waited for twice, and one whose answer is picked out of the mailbox.
            let request = gen_server::send_request(context, twin(), tuple!(atom "later", 2000, 2));
            assert_eq!(
                gen_server::wait_response(context, &request, Some(Duration::from_millis(5))).await,
                None
            );
            assert_eq!(gen_server::wait_response(context, &request, SOON).await, Some(Ok(2.into())));
            let request = gen_server::send_request(context, twin(), echo());
            let message = context.receive().await;
            assert_eq!(gen_server::check_response(message, &request), Ok(echoed()));
            let over = gen_server::send_request(context, twin(), tuple!(atom "later", 2000, 3));
            let over = gen_server::receive_response(context, over, Some(Duration::from_millis(5))).await;
            assert_eq!(over, Err(CallError::Timeout));

            let mut requests = RequestIds::new();
            requests.add(gen_server::send_request(context, twin(), tuple!(atom "later", 2000, 4)), "slow");
            requests.add(gen_server::send_request(context, ("nobody", "b@localhost"), 1), "nobody");
            let mut responses = Vec::new();
            for _ in 0..3 {
                responses.push(requests.receive_response(context, SOON).await);
            }
            let nobody = Collected::Response(Err(CallError::NoProc), "nobody");
            let slow = Collected::Response(Ok(4.into()), "slow");
            assert_eq!(responses, [nobody, slow, Collected::NoRequest]);

            // The one that was given up comes within this. One of OTP 23 answers the process, whoever waits.
            let limit = if release < 24 { QUICK } else { Duration::from_millis(2500) };
            let late = context.receive_timeout(limit).await;
            assert_eq!(late.is_some(), release < 24, "{late:?}");
        });
    });
}

#[test]
fn item_42_stop_and_sys_as_the_one_that_is_asked() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        trio.both_say("gen_statem:call({twin, N}, {echo, x})", "{echo,x}");
        trio.both_say(
            "gen_statem:call({twin, N}, never, 30)",
            "{exit,{timeout,{gen_statem,call,[{twin,n},never,30]}}}",
        );
        for reason in ["normal", "shutdown", "{shutdown, x}", "because"] {
            trio.both_say(
                &format!(
                    "{{ok, P}} = rpc:call(N, ct_gen, start, [temp]), M = monitor(process, P),
                     ok = gen_server:stop({{temp, N}}, {reason}, 30000),
                     receive {{'DOWN', M, process, P, {reason}}} -> ok after 15000 -> late end"
                ),
                "ok",
            );
        }
        trio.both_say("gen_server:stop({nobody, N})", "{exit,noproc}");

        trio.both_say("gen_server:cast({twin, N}, 1), sys:get_state({twin, N})", "[{cast,1}]");
        trio.both_say("sys:replace_state({twin, N}, fun(Kept) -> [new | Kept] end)", "[new,{cast,1}]");
        trio.both_say("sys:get_state({twin, N})", "[new,{cast,1}]");
        trio.same("sys:replace_state({twin, N}, fun(_) -> error(oops) end)");
        trio.same("sys:replace_state({twin, N}, fun(_) -> throw(oops) end)");
        trio.both_say("gen_server:call({twin, N}, kept)", "[{cast,1},new]");

        let status = "{status, P, {module, M}, [Dict, Word, Parent, Dbg, Misc]} = sys:get_status({twin, N}),
             {P =:= Parent, M, [K || {K, _} <- Dict, lists:member(K, ['$initial_call', '$ancestors'])] --
              ['$initial_call', '$ancestors'], Word, Dbg, Misc}";
        assert!(trio.same(status).starts_with("{true,gen_server,[],running,[],[{header,"));
        // While it is suspended it hears nobody but `sys`, and nothing is lost.
        trio.both_say("sys:suspend({twin, N})", "ok");
        trio.both_say(
            "gen_server:cast({twin, N}, 1), gen_server:call({twin, N}, {echo, x}, 50)",
            "{exit,{timeout,{gen_server,call,[{twin,n},{echo,x},50]}}}",
        );
        assert!(trio.same(status).contains(",suspended,"));
        trio.both_say("sys:get_state({twin, N})", "[]");
        trio.both_say("sys:resume({twin, N})", "ok");
        trio.both_say("gen_server:call({twin, N}, kept)", "[{cast,1}]");

        // The same by a process of that node.
        trio.both_say("gen_server:cast({twin, N}, 1), rpc:call(N, sys, get_state, [twin])", "[{cast,1}]");
        trio.both_say("rpc:call(N, gen_server, call, [twin, kept])", "[{cast,1}]");
        trio.same("rpc:call(N, sys, get_state, [nobody])");
        trio.same("rpc:call(N, gen_server, call, [nobody, x])");
        trio.same("rpc:call(N, gen_server, multi_call, [[N], twin, {echo, x}])");
        trio.both_say("rpc:call(N, sys, suspend, [twin])", "ok");
        trio.both_say("rpc:call(N, sys, resume, [twin])", "ok");

        // Services of the node say who they are.
        for service in ["rex", "net_kernel", "global_name_server"] {
            trio.both_say(
                &format!(
                    "P = rpc:call(N, erlang, whereis, [{service}]),
                     {{status, P, {{module, gen_server}}, [_, running, _, [], [{{header, Header}} | _]]}} =
                         sys:get_status({{{service}, N}}), lists:flatten(Header)"
                ),
                &format!("\"Status for generic server {service}\""),
            );
        }
        says(&mut trio.erl, "sys:get_state({rex, r@localhost})", "rex");
        says(&mut trio.erl, "sys:suspend({rex, r@localhost})", "{error,{unknown_system_msg,suspend}}");
        trio.both_say("rpc:call(N, erlang, node, [])", "n");

        trio.both_say("sys:statistics({twin, N}, get)", "{ok,no_statistics}");
        trio.both_say(
            "ok = sys:statistics({twin, N}, true), gen_server:cast({twin, N}, 1), {twin, N} ! 2,
             gen_server:call({twin, N}, kept), {ok, Rows} = sys:statistics({twin, N}, get),
             {{{_, _, _}, {_, _, _}}, {{_, _, _}, {_, _, _}}} =
                 {proplists:get_value(start_time, Rows), proplists:get_value(current_time, Rows)},
             {[K || {K, _} <- Rows], proplists:get_value(messages_in, Rows),
              proplists:get_value(messages_out, Rows)}",
            "{[start_time,current_time,reductions,messages_in,messages_out],3,1}",
        );
        trio.both_say("sys:statistics({twin, N}, false)", "ok");
        trio.both_say("sys:log({twin, N}, true)", "ok");
        trio.same(
            "gen_server:cast({twin, N}, 1), {twin, N} ! 2, gen_server:call({twin, N}, kept),
             sys:log({twin, N}, get)",
        );
        trio.both_say("sys:log({twin, N}, false), sys:log({twin, N}, get)", "{ok,[]}");
        // What is traced is printed where the one that had the server started has its output.
        trio.both_say(
            "ok = sys:trace({twin, N}, true), gen_server:call({twin, N}, {echo, {traced, N}}),
             sys:no_debug({twin, N})",
            "ok",
        );
        for node in ["r@localhost", "b@localhost"] {
            let line = format!("*DBG* twin got call {{echo,{{traced,{node}}}}} from ");
            let printed = wait_for(QUICK, || trio.erl.output().contains(&line).then_some(()));
            assert!(printed.is_some(), "no line {line}: {}", trio.erl.output());
        }
        trio.both_say(
            "sys:change_code({twin, N}, m, v, e)",
            "{error,{unknown_system_msg,{change_code,m,v,e}}}",
        );
        trio.both_say(
            "{ok, P} = rpc:call(N, ct_gen, start, [temp]), M = monitor(process, P), sys:suspend(P),
             ok = sys:terminate(P, over), receive {'DOWN', M, process, P, over} -> ok after 15000 -> late end",
            "ok",
        );
    });
}

#[test]
fn item_42_statem_event_and_sys_as_the_one_that_asks() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        trio.erl.eval(
            "{ok, _} = ct_gen:start(twin), {ok, _} = ct_gen:start(temp),
             {ok, _} = ct_gen_statem:start(counter), {ok, _} = ct_gen_event:start(manager), ok",
        );
        trio.run(|mut context| async move {
            // An event manager with a supervised handler is linked with whoever added it.
            context.trap_exit(true);
            let context = &mut context;
            let at = |name: &'static str| Dest::from((name, "e@localhost"));
            let ok = || Term::atom("ok");
            gen_statem::cast(context, at("counter"), tuple!(atom "add", 2));
            gen_statem::cast(context, at("counter"), tuple!(atom "add", 3));
            assert_eq!(
                gen_statem::call(context, at("counter"), Term::atom("count"), None).await,
                Ok(5.into())
            );
            let later = gen_statem::send_request(context, at("counter"), tuple!(atom "later", 20, atom "x"));
            assert_eq!(gen_statem::wait_response(context, &later, SOON).await, Some(Ok(Term::atom("x"))));
            assert_eq!(gen_statem::stop(context, at("counter"), Term::atom("normal"), SOON).await, Ok(()));
            assert_eq!(gen_statem::call(context, at("counter"), 1, SOON).await, Err(CallError::NoProc));

            let (manager, handler) = (|| at("manager"), || Term::atom("ct_gen_event"));
            let error = |reason: &'static str| tuple!(atom "error", Term::atom(reason));
            assert_eq!(gen_event::which_handlers(context, manager()).await, Ok(Term::NIL));
            let added = gen_event::add_handler(context, manager(), handler(), Term::atom("a")).await;
            assert_eq!(added, Ok(ok()));
            let refused =
                gen_event::add_handler(context, manager(), tuple!(handler(), 2), Term::atom("no")).await;
            assert_eq!(refused, Ok(error("refused")));
            assert_eq!(gen_event::which_handlers(context, manager()).await, Ok(Term::list([handler()])));
            gen_event::notify(context, manager(), Term::atom("b"));
            assert_eq!(gen_event::sync_notify(context, manager(), Term::atom("c")).await, Ok(()));
            let kept = gen_event::call(context, manager(), handler(), Term::atom("kept"), SOON).await;
            assert_eq!(kept, Ok(Term::list(["a", "b", "c"].map(Term::atom))));
            let bad = gen_event::call(context, manager(), Term::atom("nobody"), 1, SOON).await;
            assert_eq!(bad, Ok(error("bad_module")));
            let swapped = (tuple!(handler(), 2), Term::atom("d"));
            let swap =
                gen_event::swap_handler(context, manager(), (handler(), Term::atom("swap")), swapped).await;
            assert_eq!(swap, Ok(ok()));
            let deleted = gen_event::delete_handler(context, manager(), tuple!(handler(), 2), 1).await;
            assert_eq!(deleted, Ok(tuple!(atom "terminated", 1)));
            let none = gen_event::delete_handler(context, manager(), handler(), 1).await;
            assert_eq!(none, Ok(error("module_not_found")));
            // A handler that is supervised says when it is gone.
            let added = gen_event::add_sup_handler(context, manager(), handler(), Term::atom("e")).await;
            assert_eq!(added, Ok(ok()));
            gen_event::delete_handler(context, manager(), handler(), 1).await.expect("it is there");
            let gone = tuple!(atom "gen_event_EXIT", handler(), atom "normal");
            let told = context.receive_match_timeout(SOON, |message| message.as_term().cloned()).await;
            assert_eq!(told, Some(gone));
            assert_eq!(gen_event::stop(context, manager(), Term::atom("shutdown"), SOON).await, Ok(()));

            let twin = || at("twin");
            context.cast(twin(), 1);
            let state = Term::list([tuple!(atom "cast", 1)]);
            assert_eq!(sys::get_state(context, twin(), SOON).await, Ok(state));
            assert_eq!(sys::suspend(context, twin(), SOON).await, Ok(()));
            let short = Some(Duration::from_millis(30));
            assert_eq!(context.call(twin(), tuple!(atom "echo", 1), short).await, Err(CallError::Timeout));
            let status = sys::get_status(context, twin(), SOON).await.expect("it is there");
            let items = status.as_tuple().and_then(|status| status[3].as_list()).expect("its items");
            assert!(items[1].is_atom("suspended"), "{status}");
            assert_eq!(sys::resume(context, twin(), SOON).await, Ok(()));
            assert_eq!(sys::statistics(context, twin(), true, SOON).await, Ok(ok()));
            let echo = context.call(twin(), tuple!(atom "echo", 1), SOON).await;
            assert_eq!(echo, Ok(tuple!(atom "echo", 1)));
            let statistics =
                sys::statistics(context, twin(), Term::atom("get"), SOON).await.expect("it is there");
            assert!(statistics.to_string().ends_with("{messages_in,1},{messages_out,1}]}"), "{statistics}");
            assert_eq!(sys::log(context, twin(), tuple!(true, 2), SOON).await, Ok(ok()));
            context.cast(twin(), 5);
            let log = sys::log(context, twin(), Term::atom("get"), SOON).await.expect("it is there");
            assert!(log.to_string().contains("{in,{'$gen_cast',5}}"), "{log}");
            assert_eq!(sys::trace(context, twin(), true, SOON).await, Ok(()));
            assert_eq!(sys::no_debug(context, twin(), SOON).await, Ok(()));
            let temp = at("temp");
            assert_eq!(sys::terminate(context, temp.clone(), Term::atom("over"), SOON).await, Ok(()));
            let wrong = gen_server::stop(context, twin(), Term::atom("normal"), SOON).await;
            assert_eq!(wrong, Ok(()));
            let nobody = gen_server::stop(context, temp, Term::atom("normal"), SOON).await;
            assert!(matches!(nobody, Err(CallError::NoProc | CallError::Exit { .. })), "{nobody:?}");
        });
    });
}

#[test]
fn item_43_supervisors_of_ours() {
    each_release(|otp| {
        let mut trio = Trio::start(otp);
        let significant = otp.number() >= 24;
        for strategy in ["one_for_one", "one_for_all", "rest_for_one"] {
            trio.both_say(&format!("element(1, rpc:call(N, ct_gen, start_sup, [sup, {strategy}]))"), "ok");
            trio.both_say("supervisor:which_children({sup, N})", "[]");
            for child in ["a", "b", "c"] {
                trio.both_say(
                    &format!("element(1, supervisor:start_child({{sup, N}}, #{{id => {child}, start => {{ct_gen, start_link, [{child}]}}}}))"),
                    "ok",
                );
            }
            trio.same("supervisor:which_children({sup, N})");
            trio.both_say(
                "supervisor:count_children({sup, N})",
                "[{specs,3},{active,3},{supervisors,0},{workers,3}]",
            );
            // Who has another pid after the death of one.
            let restarted = "Pids = fun() -> [{Id, P} || {Id, P, _, _} <- lists:sort(supervisor:which_children({sup, N}))] end,
                 Before = Pids(), exit(proplists:get_value(b, Before), kill),
                 ok = ct_peer:wait(fun() -> After = Pids(),
                     proplists:get_value(b, After) =/= proplists:get_value(b, Before) andalso
                     lists:all(fun({_, P}) -> is_pid(P) end, After) end, 15000),
                 [Id || {Id, P} <- Pids(), P =/= proplists:get_value(Id, Before)]";
            let wanted = match strategy {
                "one_for_one" => "[b]",
                "one_for_all" => "[a,b,c]",
                _ => "[b,c]",
            };
            trio.both_say(restarted, wanted);
            // In what order they end.
            trio.same(
                "Ms = [{monitor(process, P), Id} || {Id, P, _, _} <- supervisor:which_children({sup, N})],
                 ok = gen_server:stop({sup, N}, shutdown, 30000),
                 [receive {'DOWN', M, process, _, Why} -> {proplists:get_value(M, Ms), Why} after 15000 -> late end
                  || _ <- Ms]",
            );
        }
        trio.both_say("element(1, rpc:call(N, ct_gen, start_sup, [sup, one_for_one]))", "ok");
        for call in [
            "start_child(S, #{id => a, start => {ct_gen, start_link, [a]}, restart => transient})",
            "start_child(S, #{id => a, start => {ct_gen, start_link, [a]}})",
            "start_child(S, {b, {ct_gen, start_link, [b]}, temporary, brutal_kill, worker, dynamic})",
            "start_child(S, #{id => c})",
            "start_child(S, #{start => {ct_gen, start_link, [b]}})",
            "start_child(S, #{id => c, start => {ct_gen, start_link, [c]}, restart => often})",
            "start_child(S, #{id => c, start => {ct_gen, start_link, [c]}, shutdown => never})",
            "start_child(S, not_a_spec)",
            "which_children(S)",
            "restart_child(S, a)",
            "delete_child(S, a)",
            "terminate_child(S, a)",
            "which_children(S)",
            "count_children(S)",
            "start_child(S, #{id => a, start => {ct_gen, start_link, [a]}})",
            "restart_child(S, a)",
            "restart_child(S, x)",
            "delete_child(S, x)",
            "terminate_child(S, x)",
            "get_childspec(S, x)",
            "terminate_child(S, a)",
            "delete_child(S, a)",
            "terminate_child(S, b)",
            "which_children(S)",
        ] {
            trio.same(&format!("S = {{sup, N}}, supervisor:{call}"));
        }
        if otp.number() >= 27 {
            // Older supervisors say more of it.
            trio.same("supervisor:start_child({sup, N}, #{id => a, start => {ct_gen, start_link, [twin]}})");
        }
        if significant {
            trio.same(
                "supervisor:start_child({sup, N}, #{id => a, start => {ct_gen, start_link, [a]}, type => supervisor}),
                 supervisor:get_childspec({sup, N}, a)",
            );
            trio.same("supervisor:start_child({sup, N}, #{id => s, start => {ct_gen, start_link, [s]}, significant => true})");
        }
        // More restarts than its limit, which is three.
        trio.both_say(
            "M = monitor(process, {sup, N}),
             {ok, _} = supervisor:start_child({sup, N}, #{id => z, start => {ct_gen, start_link, [zed]}}),
             [begin ok = ct_peer:wait(fun() -> is_pid(rpc:call(N, erlang, whereis, [zed])) end, 15000),
                    catch gen_server:stop({zed, N}, boom, 30000) end || _ <- lists:seq(1, 4)],
             receive {'DOWN', M, process, _, Why} -> Why after 15000 -> late end",
            "shutdown",
        );

        trio.both_say("element(1, rpc:call(N, ct_gen, start_sup, [dyn, simple_one_for_one]))", "ok");
        for call in [
            "start_child(S, [d1])",
            "start_child(S, [d1])",
            "start_child(S, [d2])",
            "which_children(S)",
            "count_children(S)",
            "restart_child(S, d1)",
            "delete_child(S, d1)",
            "terminate_child(S, d1)",
            "terminate_child(S, rpc:call(N, erlang, whereis, [d1]))",
            "which_children(S)",
            "count_children(S)",
        ] {
            trio.same(&format!("S = {{dyn, N}}, supervisor:{call}"));
        }
    });
}

#[test]
fn item_43_supervisors_of_others() {
    each_release(|otp| {
        let trio = Trio::start(otp);
        trio.run(|mut context| async move {
            let context = &mut context;
            let sup = || Dest::from(("sup", "b@localhost"));
            let args = vec![Term::atom("sup"), Term::atom("one_for_one")];
            let started =
                crabnode::erpc::call(context, "b@localhost", "ct_gen", "start_sup", args, SOON).await;
            assert!(started.is_ok(), "{started:?}");
            assert_eq!(supervisor::which_children(context, sup()).await, Ok(vec![]));
            let start = tuple!(atom "ct_gen", atom "start_link", vec![Term::atom("a")]);
            let spec = etf::term!(#{id => a, start => (start)});
            let answer =
                context.call(sup(), tuple!(atom "start_child", spec), SOON).await.expect("it is there");
            let pid = answer.as_tuple().and_then(|ok| ok[1].as_pid()).expect("it has started").clone();
            let children = supervisor::which_children(context, sup()).await.expect("it is there");
            let [child] = &children[..] else { panic!("one child: {children:?}") };
            assert_eq!((&child.id, &child.child), (&Term::atom("a"), &ChildState::Pid(pid)));
            let one = Counts { specs: 1, active: 1, supervisors: 0, workers: 1 };
            assert_eq!(supervisor::count_children(context, sup()).await, Ok(one));
            let a = || Term::atom("a");
            let running = Ok(Err(Term::atom("running")));
            assert_eq!(supervisor::restart_child(context, sup(), a()).await, running);
            assert_eq!(supervisor::terminate_child(context, sup(), a()).await, Ok(Ok(())));
            let restarted = supervisor::restart_child(context, sup(), a()).await;
            assert!(matches!(restarted, Ok(Ok(Some(_)))), "{restarted:?}");
            supervisor::terminate_child(context, sup(), a()).await.expect("it is there").expect("it runs");
            assert_eq!(supervisor::delete_child(context, sup(), a()).await, Ok(Ok(())));
            let not_found = Ok(Err(Term::atom("not_found")));
            assert_eq!(supervisor::delete_child(context, sup(), a()).await, not_found);
        });
    });
}

#[test]
fn item_43_applications_and_stop() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says(
            "[{App, [_ | _], [_ | _]} | _] = rpc:call(R, application, which_applications, []), App",
            "crabnode",
        );
        pair.says("rpc:call(R, init, stop, [])", "ok");
        let status = pair.peer.process().wait_for_exit(QUICK).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(status.code(), Some(0), "{}", pair.peer.output());
        pair.erl.eval_until("nodes()", "[]", QUICK);
    });
}
