//! Links: both ends, dead ends, storms, and the acknowledgement of an unlink.

use std::num::NonZeroU64;

use crabnode::{Message, Monitored, SpawnOptions};
use dist::Signal;
use etf::{Atom, Pid, Term, tuple};
use interop_tests::{Cluster, NodeSpec, clock::wait_for};

use crate::{
    actor::{Duo, act},
    peer_support::{Pair, SOON, each_release},
    wire_support::{HIDDEN, Wire},
};

#[test]
fn item_40_links_take_both_ends_along() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("process_flag(trap_exit, true)");
        // A sleeper of the peer, linked to one of our processes; `Kill` ends ours.
        let pair_of_processes = "Sleeper = spawn(R, timer, sleep, [infinity]), Self = self(),
             Ours = spawn(fun() -> link(Sleeper), Self ! linked, receive {end_with, W} -> exit(W) end end),
             receive linked -> ok end,
             {links, [Ours]} = rpc:call(R, erlang, process_info, [Sleeper, links]),
             M = monitor(process, Sleeper)";
        let down = "receive {'DOWN', M, process, Sleeper, Why} -> Why after 15000 -> nothing end";
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
        let exit = "receive {'EXIT', P, Why} -> Why after 15000 -> nothing end";
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
             receive {'EXIT', P, Why} -> Why after 15000 -> nothing end",
            "over",
        );
        pair.says("ct_peer:flush(50)", "[]");
    });
}

/// Signals keep their order: who was killed is dead for all that comes later from the same process, even where it was busy.
#[test]
fn item_41_after_a_kill_there_is_nobody() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        // The sleeper of the stock node is busy as well.
        pair.erl.eval(
            "process_flag(trap_exit, true),
             Reasons = fun(Spawn) ->
                 lists:usort([begin
                     P = Spawn(), [P ! busy || _ <- lists:seq(1, 100)], exit(P, kill),
                     M = monitor(process, P), link(P),
                     [receive {'DOWN', M, process, P, Why} -> {down, Why} after 15000 -> nothing end,
                      receive {'EXIT', P, Because} -> {exit, Because} after 15000 -> nothing end]
                 end || _ <- lists:seq(1, 200)])
             end",
        );
        let gone = "[[{down,noproc},{exit,noproc}]]";
        pair.says("Reasons(fun() -> spawn(fun() -> lists:seq(1, 10000) end) end)", gone);
        pair.says("Reasons(fun() -> spawn(R, timer, sleep, [infinity]) end)", gone);
    });
}

/// A process that ended, and one of a life of the node that is over: both answer `noproc`.
#[test]
fn item_41_a_link_to_the_dead_is_answered() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let exit = "receive {'EXIT', P, Why} -> Why after 15000 -> nothing end";
        pair.erl.eval("process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [echo])");
        pair.says(&format!("link(P), P ! {{self(), die, x}}, {exit}"), "x");
        pair.says(&format!("link(P), {exit}"), "noproc");
        pair.peer.kill9();
        pair.peer = pair.cluster.peer("r");
        pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
        pair.says(&format!("link(P), {exit}"), "noproc");
        pair.says("ct_peer:flush(50)", "[]");
    });
    // The other way.
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says(
            "P = spawn(fun() -> ok end), M = monitor(process, P), receive {'DOWN', M, _, _, _} -> ok end,
             Old = Reborn(P), Tell({link, P}), Tell({link, Old}),
             lists:sort(Tolds(2, [])) =:= lists:sort([{'EXIT', Dead, noproc} || Dead <- [P, Old]])",
            "true",
        );
    });
}

/// As before, and the link is what connects the two.
#[test]
fn item_41_a_link_to_the_dead_on_a_new_node_is_answered() {
    each_release(|otp| {
        // Otherwise its `global` may still send to the one that was there before, and connects by that.
        let alone = NodeSpec::args(["-connect_all", "false"]);
        let mut pair = Pair::start_with(otp, &alone, &NodeSpec::default());
        pair.erl.eval("process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [echo])");
        pair.peer.kill9();
        pair.erl.eval_until("nodes()", "[]", SOON);
        pair.peer = pair.cluster.peer("r");
        pair.says("nodes()", "[]");
        pair.says(
            "link(P), receive {'EXIT', P, Why} -> {Why, nodes()} after 15000 -> nothing end",
            "{noproc,[r@localhost]}",
        );
        pair.says(
            "M = monitor(process, P), receive {'DOWN', M, process, P, Why} -> Why after 15000 -> nothing end",
            "noproc",
        );
    });
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        let creation = duo.node.link("e@localhost").expect("it is connected").creation;
        let dead = Pid::new(Atom::from("e@localhost"), 60, 0, creation);
        duo.erl.kill9();
        assert!(wait_for(SOON, || duo.node.nodes().is_empty().then_some(())).is_some(), "it is gone");
        duo.erl = duo.cluster.erl(otp, "e");
        assert!(duo.node.nodes().is_empty());
        let reasons = duo.runtime.block_on(duo.node.run(async move |mut context| {
            context.trap_exit(true);
            context.link(&dead);
            let exit = context.receive_timeout(SOON).await;
            context.monitor(&dead);
            let down = context.receive_timeout(SOON).await;
            [exit, down].map(|message| match message {
                Some(Message::Exit { from, reason }) if from == dead => reason,
                Some(Message::Down { item: Monitored::Pid(pid), reason, .. }) if pid == dead => reason,
                other => panic!("{other:?}"),
            })
        }));
        assert_eq!(reasons, Some([Term::atom("noproc"), Term::atom("noproc")]));
        assert_eq!(duo.node.nodes(), [Atom::from("e@localhost")]);
    });
}

/// Before the answer comes: an unlink from there, or an end there, would end the connection to a stock node.
#[test]
fn item_41_a_link_to_the_dead_may_be_taken_back_at_once() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.says(
            "net_kernel:monitor_nodes(true, [{node_type, all}]), Old = Reborn(self()),
             [begin Tell({link, Old}), Tell({unlink, Old}) end || _ <- lists:seq(1, 20)],
             Tell({link, Old}), Tell({'end', over}), ct_peer:flush(100)",
            "[]",
        );
        assert_eq!(duo.node.nodes(), [Atom::from("e@localhost")]);
    });
}

/// Link, unlink and exit of many processes at once leave no link behind on either side.
#[test]
fn item_42_a_storm_of_links_from_one_side_ends_in_order() {
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

/// Both ends link and unlink at the same time: what comes of it is the same on both sides.
#[test]
fn item_42_a_storm_of_links_from_both_sides_ends_in_order() {
    each_release(|otp| {
        if otp.number() < 25 {
            return; // Unlinks are not acknowledged: a link that crosses one is on one side alone, among BEAMs too.
        }
        let mut duo = Duo::start(otp);
        duo.erl.eval(
            "process_flag(trap_exit, true), S = self(),
             Mine = fun() -> lists:member(A, element(2, process_info(S, links))) end,
             Theirs = fun() -> lists:member(S, element(2, rpc:call(R, erlang, process_info, [A, links]))) end,
             Round = fun() ->
                 [case rand:uniform(4) of
                      1 -> link(A); 2 -> unlink(A); 3 -> Tell({link, S}); 4 -> Tell({unlink, S})
                  end || _ <- lists:seq(1, 50)],
                 [] = Told(), timer:sleep(5), [] = Told(), {Mine(), Theirs()} end",
        );
        duo.says("lists:usort([Round() || _ <- lists:seq(1, 60)]) -- [{true, true}, {false, false}]", "[]");
        // And it is a link like any other afterwards.
        duo.says("unlink(A), Tell({unlink, S}), [] = Told(), {Mine(), Theirs()}", "{false,false}");
        duo.says(
            "link(A), Tell({'end', over}), receive {'EXIT', A, Why} -> Why after 15000 -> nothing end",
            "over",
        );
        duo.says("ct_peer:flush(50)", "[]");
    });
}

/// Many processes on both sides, of which some end meanwhile.
#[test]
fn item_42_many_that_link_unlink_and_end_agree_in_the_end() {
    each_release(|otp| {
        if otp.number() < 25 {
            return; // As above.
        }
        let mut duo = Duo::start(otp);
        for n in 1..=5 {
            let name = Some(format!("actor{n}").as_str().into());
            duo.node
                .spawn_with(SpawnOptions { name, ..SpawnOptions::default() }, act)
                .expect("the name is free");
        }
        duo.erl.eval(
            "As = [rpc:call(R, erlang, whereis, [Name]) || Name <- [actor1, actor2, actor3, actor4, actor5]],
             Work = fun(N) -> spawn(fun() ->
                 process_flag(trap_exit, true), rand:seed(exrop, {1, 2, N}),
                 [begin
                      Some = lists:nth(rand:uniform(5), As),
                      case rand:uniform(4) of
                          1 -> link(Some); 2 -> unlink(Some);
                          3 -> Some ! {act, {link, self()}}; 4 -> Some ! {act, {unlink, self()}}
                      end
                  end || _ <- lists:seq(1, 200)],
                 if N rem 3 =:= 0 -> exit(over); true -> receive stop -> ok end end end) end,
             Linked = fun(P) -> {links, Ls} = process_info(P, links), Ls end,
             Theirs = fun(P) -> {links, Ls} = rpc:call(R, erlang, process_info, [P, links]), Ls end,
             Settle = fun() -> [begin P ! {act, {told, self()}}, receive {told, _} -> ok end end || P <- As] end, ok",
        );
        for round in 1..=5 {
            duo.says(
                &format!(
                    "Ws = [Work({round} * 100 + N) || N <- lists:seq(1, 30)],
                     ok = ct_peer:wait(fun() -> lists:all(fun(W) ->
                         case process_info(W, current_function) of
                             undefined -> true;
                             {{_, {{erl_eval, receive_clauses, _}}}} -> true;
                             {{_, {{prim_eval, 'receive', 2}}}} -> true;
                             _ -> false
                         end end, Ws) end, 10000),
                     Settle(), timer:sleep(20), Settle(),
                     Live = [W || W <- Ws, is_process_alive(W)],
                     20 = length(Live),
                     Mine = lists:sort([{{W, A1}} || W <- Live, A1 <- Linked(W)]),
                     %% The links of those that ended are broken soon, and not before something.
                     Agree = ct_peer:wait(fun() ->
                         Other = lists:sort([{{W, A1}} || A1 <- As, W <- Theirs(A1)]),
                         Other =:= Mine orelse {{Other -- Mine, Mine -- Other}} end, 15000),
                     [W ! stop || W <- Live],
                     {{Agree, length(Mine) > 20}}"
                ),
                "{ok,true}",
            );
            duo.erl.eval_until("Settle(), lists:append([Theirs(P) || P <- As])", "[]", SOON);
        }
    });
}

/// The acknowledgement goes before anything else to that process, whatever is sent at once; also of a link that is not
/// there, to a process that is not there. A stock node does the same.
#[test]
fn item_43_an_unlink_is_acknowledged_before_any_later_signal() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        unlinks_are_acknowledged(&mut Wire::connect(&cluster, "r@localhost", peer.port(), HIDDEN));
        // OTP 23.3 was the first.
        if otp.number() >= 25 {
            erl.eval(ECHO);
            unlinks_are_acknowledged(&mut Wire::to_erl(&cluster, &mut erl, HIDDEN));
        }
    });
}

/// The process that `crabnode peer` has under that name.
const ECHO: &str = "Loop = fun Loop() -> receive {From, T} -> From ! {echo, T} end, Loop() end,
                    register(echo, spawn(Loop)), ok";

fn unlinks_are_acknowledged(wire: &mut Wire) {
    let from = wire.pid(1);
    // Who is it?
    wire.send_to("echo", &from, tuple!(&from, atom "who"));
    let echo = loop {
        if let Signal::Send { from: Some(echo), message, .. } = wire.recv() {
            assert_eq!(message, tuple!(atom "echo", atom "who"));
            break echo;
        }
    };
    let dead = wire.their_pid(30_000, echo.creation);
    for id in 1..=200 {
        let to = if id % 3 == 0 { &dead } else { &echo };
        if id % 2 == 0 && to == &echo {
            wire.send(&Signal::Link { from: from.clone(), to: to.clone() });
        }
        let number = NonZeroU64::new(id << 30 | id).expect("not zero");
        wire.send(&Signal::Unlink { id: Some(number), from: from.clone(), to: to.clone() });
        let word = Term::from(id);
        wire.send_to("echo", &from, tuple!(&from, word.clone()));
        match wire.recv() {
            Signal::UnlinkAck { id, from: theirs, to: ours } => {
                assert_eq!((id, &theirs, &ours), (number, to, &from));
            }
            other => panic!("before the acknowledgement of {id} comes {other:?}"),
        }
        assert_eq!(wire.recv_message(&from), tuple!(atom "echo", word));
    }
}
