//! Monitors, and reasons that are long.

use std::time::Duration;

use crabnode::{Dest, Message, Term, tuple};

use crate::{
    actor::Duo,
    peer_support::{Pair, SOON, each_release},
};

#[test]
fn item_44_monitors_say_what_became_of_a_process() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let down = "receive {'DOWN', M, process, What, Why} -> {What, Why} after 15000 -> nothing end";
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
        pair.erl.eval_until("rpc:call(R, erlang, whereis, [echo])", "undefined", SOON);
        pair.says("ct_peer:flush(50)", "[]");
        // A process of the peer watches one of ours: gen_server:call run over there, to us.
        pair.says(
            "P = spawn(fun() -> receive {'$gen_call', _, _} -> exit(tired) end end),
             rpc:call(R, gen_server, call, [P, hello])
                 =:= {badrpc, {'EXIT', {tired, {gen_server, call, [P, hello]}}}}",
            "true",
        );
    });
}

/// The other way: what ours hear of a stock node's processes, and do not hear any more.
#[test]
fn item_44_monitors_of_ours_and_what_they_are_told() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says(
            "P = spawn(fun() -> ok end), M = monitor(process, P), receive {'DOWN', M, _, _, _} -> ok end,
             Tell({monitor, P}), Tell({monitor, {nobody, node()}}), Tell({monitor, Reborn(P)}),
             All = Tolds(6, []), Node = node(),
             [R1, R2, R3] = [Ref || {monitor, Ref} <- All],
             [What || {'DOWN', Ref, process, What, noproc} <- All, Ref =:= R1] =:= [P]
                 andalso [What || {'DOWN', Ref, process, What, noproc} <- All, Ref =:= R2] =:= [{nobody, Node}]
                 andalso [What || {'DOWN', Ref, process, What, noproc} <- All, Ref =:= R3] =:= [Reborn(P)]",
            "true",
        );
        duo.erl.eval("register(watched, spawn(fun Loop() -> receive stop -> ok; {ping, To} -> To ! pong, Loop() end end))");
        let node = duo.erl.node().to_owned();
        let left = duo.runtime.block_on(duo.node.run(async move |mut context| {
            let watched = || Dest::NameAt("watched".into(), node.as_str().into());
            let (first, second) = (context.monitor(watched()), context.monitor(watched()));
            // What comes in order behind the demonitor says that it was done.
            context.demonitor(&first);
            let me = context.pid().clone();
            context.send(watched(), tuple!(atom "ping", me)).await;
            assert_eq!(context.receive().await, Message::Term(Term::atom("pong")));
            context.send(watched(), Term::atom("stop")).await;
            while context.message_queue_len() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // It is there, and is taken back.
            context.demonitor(&second);
            let after = context.monitor(watched());
            let down = context.receive_timeout(SOON).await;
            let expected = |message: &Message| match message {
                Message::Down { reference, reason, .. } => {
                    *reference == after.reference && reason.is_atom("noproc")
                }
                _ => false,
            };
            assert!(down.as_ref().is_some_and(expected), "{down:?}");
            context.receive_timeout(Duration::from_millis(50)).await
        }));
        assert_eq!(left, Some(None));
    });
}

/// A `DOWN` comes behind what the process sent before, whether it was monitored by pid or by name; and who is
/// monitored and then told to end does not end before.
#[test]
fn item_45_a_down_keeps_its_place() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        // Each process of the peer sends three messages and is gone: by `erlang:send/2`, run over there.
        pair.says(
            "Self = self(),
             Check = fun(N) ->
                 P = spawn(R, timer, sleep, [infinity]), M = monitor(process, P),
                 spawn(fun() -> link(P), exit({gone, N}) end),
                 receive {'DOWN', M, process, P, Why} -> Why after 15000 -> nothing end =:= {gone, N} end,
             lists:all(Check, lists:seq(1, 50))",
            "true",
        );
        // By name: the monitor is there before the message that ends it, so the reason is never noproc.
        pair.says(
            "[P1, P2] = [rpc:call(R, erlang, whereis, [N]) || N <- [sink, source]],
             M1 = monitor(process, {sink, R}), {sink, R} ! one, {sink, R} ! {self(), sync},
             {sink, R} ! {self(), die, named},
             M2 = monitor(process, P2), P2 ! {self(), {blast, self(), 3, x}}, P2 ! {self(), die, by_pid},
             true = is_pid(P1),
             Seven = [receive Came -> Came after 15000 -> late end || _ <- lists:seq(1, 7)],
             [case X of {'DOWN', M1, process, {sink, R}, W} -> {1, W};
                        {'DOWN', M2, process, P2, W} -> {2, W}; _ -> X end || X <- lists:sort(Seven ++ ct_peer:flush(200))]",
            "[x,x,x,{blast_done,3},{sink,1},{1,named},{2,by_pid}]",
        );
    });
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval(
            "Named = fun() -> receive {go, To} -> To ! 1, To ! 2, exit(went) end end,
             Order = fun(_) ->
                 P = spawn(Named), register(named, P),
                 Tell({monitor, P}), Tell({monitor, {named, node()}}), Tell({send, P, {go, A}}),
                 M = monitor(process, P), receive {'DOWN', M, _, _, _} -> ok end,
                 [{monitor, M1}, {monitor, M2} | Rest] = Tolds(6, []),
                 [1, 2 | Downs] = Rest,
                 lists:sort(Downs) =:= lists:sort([{'DOWN', M1, process, P, went},
                                                   {'DOWN', M2, process, {named, node()}, went}])
             end",
        );
        duo.says("lists:all(Order, lists:seq(1, 50))", "true");
    });
}

/// Reasons of three megabytes, over links, by monitors and by exit/2, both ways: they go in fragments.
#[test]
fn item_46_long_reasons() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval("process_flag(trap_exit, true), Big = {big, binary:copy(<<\"reason\">>, 500000)}");
        // To us.
        duo.says(
            "P = spawn(fun() -> link(A), receive go -> exit(Big) end end), Tell({monitor, P}),
             ok = ct_peer:wait(fun() -> {monitored_by, [A]} =:= process_info(P, monitored_by)
                                        andalso {links, [A]} =:= process_info(P, links) end, 15000),
             Q = spawn(fun() -> exit(A, Big), exit(A, small) end), M = monitor(process, Q),
             receive {'DOWN', M, _, _, _} -> ok end, P ! go, M2 = monitor(process, P),
             receive {'DOWN', M2, _, _, _} -> ok end,
             [{monitor, Ref} | Rest] = Tolds(5, []),
             Wanted = [{'EXIT', Q, Big}, {'EXIT', Q, small}, {'EXIT', P, Big}, {'DOWN', Ref, process, P, Big}],
             {[io_lib:format(\"~0P\", [X, 9]) || X <- Rest -- Wanted], Wanted -- Rest}",
            "{[],[]}",
        );
        // From us: exit/2 to a process, then the end of ours.
        duo.says(
            "Tell({exit, self(), Big}), receive {'EXIT', A, Big} -> ok after 15000 -> nothing end",
            "ok",
        );
        duo.says(
            "link(A), M = monitor(process, A), Tell({'end', Big}),
             receive {'EXIT', A, Big} -> receive {'DOWN', M, process, A, Big} -> ct_peer:flush(50) end
             after 15000 -> nothing end",
            "[]",
        );
    });
}
