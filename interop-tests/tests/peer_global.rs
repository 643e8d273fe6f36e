//! `global` between a stock `erl` of every release and a `crabnode peer`: names, locks, and their end.

use std::time::Duration;

use interop_tests::{NodeSpec, Otp, clock::now};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

/// What the bar allows `global:sync()`; it takes about one.
const SYNC: Duration = Duration::from_secs(5);

/// Connected and synchronised.
fn synced(otp: &Otp) -> Pair {
    let mut pair = Pair::connected(otp);
    sync(&mut pair);
    pair
}

fn sync(pair: &mut Pair) {
    sync_took(pair);
}

/// How long it took on the BEAM's side.
fn sync_took(pair: &mut Pair) -> Duration {
    let started = now();
    pair.says("global:sync()", "ok");
    let took = started.elapsed();
    // The peer's side comes a moment later.
    pair.says("rpc:call(R, global, sync, [])", "ok");
    took
}

#[test]
fn sync_is_done_within_five_seconds_whoever_connects() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        // A machine that is busy may be late with one of them.
        let in_time = (0..3).any(|attempt| {
            if attempt > 0 {
                pair = Pair::connected(otp);
            }
            sync_took(&mut pair) < SYNC
        });
        assert!(in_time, "not within {SYNC:?}");
        pair.says("gen_server:call({global_name_server, R}, get_known)", "[e@localhost]");
        pair.says("gen_server:call({global_name_server, R}, get_synced)", "[e@localhost]");
        pair.says("gen_server:call(global_name_server, get_known)", "[r@localhost]");
        // Cut, and made again by either.
        for connect in ["net_kernel:connect_node(R)", "rpc:call(R, erlang, is_alive, [])"] {
            let in_time = (0..3).any(|_| {
                // The `global` of the BEAM connects again where it is cut off as it meets another: then once more.
                pair.erl.eval_until("(fun() -> erlang:disconnect_node(R), nodes() end)()", "[]", SOON);
                pair.says(connect, "true");
                sync_took(&mut pair) < SYNC
            });
            assert!(in_time, "not within {SYNC:?}: {connect}");
        }
        assert!(!pair.erl.output().contains("global"), "{}", pair.erl.output());
        // The peer dials.
        let spec = NodeSpec::args(["--connect", "e@localhost"]);
        let mut dialler = None;
        let in_time = (0..3).any(|_| {
            drop(dialler.take());
            pair.erl.eval_until("nodes()", "[r@localhost]", SOON);
            dialler = Some(pair.cluster.peer_with("s", &spec));
            pair.erl.eval_until("lists:sort(nodes())", "[r@localhost,s@localhost]", SOON);
            sync_took(&mut pair) < SYNC
        });
        assert!(in_time, "not within {SYNC:?} after the peer has dialled");
        pair.erl.eval_until("rpc:call(s@localhost, erlang, nodes, []) -- [R]", "[e@localhost]", SOON);
        pair.erl.eval_until(
            "lists:sort(rpc:call(s@localhost, erlang, nodes, []))",
            "[e@localhost,r@localhost]",
            SOON,
        );
        pair.says("ct_peer:flush()", "[]");
        // Of one that was killed for another try `global` may say that it cuts it off.
        for line in pair.erl.output().lines().filter(|line| line.contains("global")) {
            assert!(line.contains("s@localhost"), "{line}");
        }
    });
}

#[test]
fn a_name_of_the_beam_is_the_peers_too_until_its_process_ends() {
    each_release(|otp| {
        let mut pair = synced(otp);
        pair.erl.eval(
            "Start = fun() -> spawn(fun Loop() -> receive {F, x} -> F ! {self(), got_x}, Loop(); stop -> ok end end) end",
        );
        for name in ["plain", "{any, \"term\", [1.0]}", "'Elixir.Some.Name'", "<<1:1>>", "17", "[]"] {
            pair.says(
                &format!(
                    "N = {name}, P = Start(), yes = global:register_name(N, P),
                     P = rpc:call(R, global, whereis_name, [N]),
                     [N] = rpc:call(R, global, registered_names, []),
                     P = rpc:call(R, global, send, [N, {{self(), x}}]),
                     ok = receive {{P, got_x}} -> ok after 15000 -> late end,
                     no = global:register_name(N, self()),
                     no = rpc:call(R, global, register_name, [N, self()]),
                     P ! stop,
                     ct_peer:wait(fun() -> rpc:call(R, global, whereis_name, [N]) =:= undefined end, 15000)"
                ),
                "ok",
            );
        }
        // Taken back, given again, and taken over from the other side.
        pair.says("yes = global:register_name(n, Start()), global:unregister_name(n)", "ok");
        pair.says("rpc:call(R, global, whereis_name, [n])", "undefined");
        pair.says(
            "P = Start(), Q = Start(), yes = global:register_name(n, P), yes = global:re_register_name(n, Q),
             rpc:call(R, global, whereis_name, [n]) =:= Q",
            "true",
        );
        pair.says("rpc:call(R, global, unregister_name, [n])", "ok");
        pair.says("{global:whereis_name(n), global:registered_names()}", "{undefined,[]}");
        pair.says("ct_peer:flush()", "[]");
    });
}

#[test]
fn a_name_of_the_peer_is_the_beams_too_until_its_process_ends() {
    each_release(|otp| {
        let mut pair = synced(otp);
        pair.erl.eval(
            "E = rpc:call(R, erlang, whereis, [echo]), G = rpc:call(R, erlang, whereis, [echo_server])",
        );
        pair.says("rpc:call(R, global, register_name, [theirs, E])", "yes");
        pair.says("global:whereis_name(theirs) =:= E", "true");
        pair.says("global:registered_names()", "[theirs]");
        pair.says("global:send(theirs, {self(), x}), receive M -> M after 15000 -> late end", "{echo,x}");
        // A process has one name at the most, and a name one process.
        pair.says("rpc:call(R, global, register_name, [another, E])", "no");
        pair.says("rpc:call(R, global, register_name, [theirs, G])", "no");
        pair.says("global:register_name(theirs, self())", "no");
        // The BEAM registers a process of the peer.
        pair.says("global:register_name(server, G)", "yes");
        pair.says("gen_server:call({global, server}, x)", "{echo,x}");
        pair.says("gen_server:call({via, global, server}, x)", "{echo,x}");
        pair.says("rpc:call(R, gen_server, call, [{global, server}, x])", "{echo,x}");
        pair.says("E ! {self(), die, bye}, exit(G, kill)", "true");
        for node in ["node()", "R"] {
            pair.erl.eval_until(&format!("rpc:call({node}, global, registered_names, [])"), "[]", SOON);
        }
        // And again, with the whole node.
        pair.says("rpc:call(R, global, register_name, [sink, rpc:call(R, erlang, whereis, [sink])])", "yes");
        pair.says("global:register_name(ours, self())", "yes");
        pair.peer.kill9();
        pair.erl.eval_until("global:registered_names()", "[ours]", SOON);
        pair.peer = pair.cluster.peer("r");
        pair.says("net_adm:ping(R)", "pong");
        sync(&mut pair);
        pair.says("rpc:call(R, global, whereis_name, [ours]) =:= self()", "true");
        pair.says("rpc:call(R, global, registered_names, [])", "[ours]");
        pair.says("ct_peer:flush()", "[]");
    });
}

/// The same name on both sides before they meet: one process keeps it, by the method that it was registered with.
#[test]
fn names_that_both_have_when_they_meet_are_resolved() {
    each_release(|otp| {
        for (method, sink_lives, told) in [
            // The process of the lesser node name stays; the other is killed, told, or both are told.
            ("", "false", "[]"),
            (", fun global:random_exit_name/3", "false", "[]"),
            (", fun global:random_notify_name/3", "true", "[]"),
            (", fun global:notify_all_name/3", "true", "[{global_name_conflict,both,P2}]"),
        ] {
            let mut pair = Pair::start(otp);
            // A hidden node tells the peer, without bringing the two together.
            let mut helper = pair.cluster.erl_with(otp, "helper", &NodeSpec::hidden());
            let register = format!("rpc:call(r@localhost, global, register_name, [both, S{method}])");
            helper.eval("S = rpc:call(r@localhost, erlang, whereis, [sink])");
            says(&mut helper, &register, "yes");
            pair.says(&format!("global:register_name(both, self(){method})"), "yes");
            pair.says("global:register_name(mine, whereis(init))", "yes");
            helper.eval("T = rpc:call(r@localhost, erlang, whereis, [echo])");
            says(&mut helper, "rpc:call(r@localhost, global, register_name, [theirs, T])", "yes");
            pair.says("net_adm:ping(R)", "pong");
            sync(&mut pair);
            let expected = if told == "[]" { "[both,mine,theirs]" } else { "[mine,theirs]" };
            for node in ["node()", "R"] {
                pair.erl.eval_until(
                    &format!("lists:sort(rpc:call({node}, global, registered_names, []))"),
                    expected,
                    SOON,
                );
            }
            if told == "[]" {
                pair.says("global:whereis_name(both) =:= self()", "true");
                pair.says("rpc:call(R, global, whereis_name, [both]) =:= self()", "true");
                pair.says("ct_peer:flush()", "[]");
            } else {
                pair.says(
                    "P2 = rpc:call(R, erlang, whereis, [sink]), [receive Told -> Told after 15000 -> late end | ct_peer:flush(100)] =:= [{global_name_conflict, both, P2}]",
                    "true",
                );
            }
            helper.eval_until("rpc:call(r@localhost, erlang, is_process_alive, [S])", sink_lives, SOON);
        }
    });
}

#[test]
fn locks_hold_on_both_sides_and_end_with_their_holder() {
    each_release(|otp| {
        let mut pair = synced(otp);
        // Held by one of ours: the peer's are refused, and those of the same requester let in.
        pair.says("global:set_lock({res, self()})", "true");
        pair.says("rpc:call(R, global, set_lock, [{res, other}, [R, node()], 0])", "false");
        pair.says("rpc:call(R, global, set_lock, [{res, other}, [R], 0])", "false");
        pair.says("rpc:call(R, global, set_lock, [{another, other}, [R, node()], 0])", "true");
        pair.says("global:del_lock({res, self()})", "true");
        pair.says("rpc:call(R, global, set_lock, [{res, other}, [R, node()], 0])", "true");
        // Its holder, the process of the call, has ended, so it is free again.
        pair.erl.eval_until("global:set_lock({res, self()}, [node(), R], 0)", "true", SOON);
        pair.says("global:del_lock({res, self()})", "true");
        // A holder of ours that dies.
        pair.says(
            "Self = self(), P = spawn(fun() -> Self ! global:set_lock({res, self()}), receive stop -> ok end end),
             true = receive Set -> Set after 15000 -> late end,
             false = global:set_lock({res, self()}, [R], 0), P ! stop,
             ct_peer:wait(fun() -> global:set_lock({res, Self}, [R], 0) end, 15000)",
            "ok",
        );
        pair.says("global:del_lock({res, self()}, [R])", "true");
        // Waiting for one, and a transaction.
        pair.says(
            "Self = self(), true = global:set_lock({res, self()}),
             spawn(fun() -> Self ! {waited, global:set_lock({res, self()})} end),
             nothing = receive {waited, _} -> early after 200 -> nothing end,
             global:del_lock({res, self()}), receive {waited, Set} -> Set after 15000 -> late end",
            "true",
        );
        pair.erl.eval_until("global:trans({res, self()}, fun() -> done end, [node(), R], 0)", "done", SOON);
        pair.says("global:trans({res, self()}, fun() -> global:register_name(n, self()) end)", "yes");
        pair.says("rpc:call(R, global, whereis_name, [n]) =:= self()", "true");
        pair.says("ct_peer:flush()", "[]");
    });
}

/// Two that know only the peer come to know each other through it, with all names.
#[test]
fn the_peer_brings_others_together() {
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        let mut other = pair.cluster.erl(otp, "f");
        let _second = pair.cluster.peer("s");
        pair.says("global:register_name(of_e, self())", "yes");
        says(&mut other, "global:register_name(of_f, self())", "yes");
        pair.says("net_adm:ping(R)", "pong");
        sync(&mut pair);
        says(&mut other, "net_adm:ping(s@localhost)", "pong");
        says(&mut other, "global:sync()", "ok");
        // Two clusters of two become one of four by one link between the peers.
        pair.says("rpc:call(R, net_adm, ping, [s@localhost])", "pong");
        let all = "[e@localhost,f@localhost,r@localhost,s@localhost]";
        for node in ["e", "f", "r", "s"] {
            let nodes = format!("lists:sort(rpc:call({node}@localhost, erlang, nodes, [[this, visible]]))");
            pair.erl.eval_until(&nodes, all, SOON * 2);
            let names = format!("lists:sort(rpc:call({node}@localhost, global, registered_names, []))");
            pair.erl.eval_until(&names, "[of_e,of_f]", SOON * 2);
        }
        says(&mut other, "global:sync()", "ok");
        says(&mut other, "global:set_lock({x, self()}), global:del_lock({x, self()})", "true");
        for log in [pair.erl.output(), other.output()] {
            assert!(!log.contains("overlapping partitions"), "{log}");
        }
    });
}
