//! Links on which nothing is said, and nodes that say nothing any more: ticks and `net_ticktime`, with every release.

use std::time::{Duration, Instant};

use interop_tests::{
    NodeSpec,
    clock::{now, pause},
};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

fn erl_with_ticktime(seconds: u64) -> NodeSpec {
    NodeSpec::args(["-kernel", "net_ticktime", &seconds.to_string()])
}

fn peer_with_ticktime(seconds: u64) -> NodeSpec {
    NodeSpec::args(["--net-ticktime", &seconds.to_string()])
}

/// Two ticktimes without a word, on a visible and on a hidden link at once: a link without ticks lives for one and a
/// quarter.
#[test]
fn an_idle_link_lives() {
    const TICKTIME: u64 = 16;
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &erl_with_ticktime(TICKTIME), &peer_with_ticktime(TICKTIME));
        let hidden = NodeSpec { hidden: true, ..peer_with_ticktime(TICKTIME) };
        let mut hidden = pair.cluster.peer_with("h", &hidden);
        pair.says("[net_adm:ping(N) || N <- [R, h@localhost]]", "[pong,pong]");
        pair.says("global:sync()", "ok");
        pair.says("net_kernel:get_net_ticktime()", &TICKTIME.to_string());
        pair.says("rpc:call(R, net_kernel, get_net_ticktime, [])", &TICKTIME.to_string());
        // A process of the peer linked to one of ours notices what nobody reports.
        pair.erl.eval(
            "process_flag(trap_exit, true), net_kernel:monitor_nodes(true, [{node_type, all}]),
             [spawn_link(N, timer, sleep, [infinity]) || N <- [R, h@localhost]]",
        );
        pause(Duration::from_secs(2 * TICKTIME + 1));
        // First what has happened, then whether it is still said: a call would make the link anew.
        pair.says("ct_peer:flush()", "[]");
        pair.says("{nodes(), nodes(hidden)}", "{[r@localhost],[h@localhost]}");
        pair.says(
            "[rpc:call(N, erlang, nodes, [connected]) || N <- [R, h@localhost]]",
            "[[e@localhost],[e@localhost]]",
        );
        pair.says("ct_peer:flush(50)", "[]");
        for peer in [&mut pair.peer, &mut hidden] {
            assert_eq!(peer.output().lines().count(), 1, "only the line `ready`: {}", peer.output());
        }
    });
}

/// With a ticktime of 12 s a node that stops is missed after 9 to 15 s, counted from what it said last; one that stands
/// still for some seconds is not.
const TICKTIME: u64 = 12;

/// How long one waits for what is said of a node that stops, on a machine that is busy with other tests.
const MISSED: Duration = Duration::from_secs(30);

/// The other side was heard after `heard`, and told to stop before `stopped`. A busy machine may be late by some seconds.
fn assert_in_time(heard: Instant, stopped: Instant, missed: Instant) {
    let silent = missed.duration_since(heard);
    assert!(silent >= Duration::from_secs(9), "missed after only {silent:?} of silence");
    let since_stop = missed.duration_since(stopped);
    assert!(since_stop < Duration::from_secs(15 + 6), "missed only {since_stop:?} after it stopped");
}

/// The peer is stopped: the `erl` misses it and says why; when it wakes it has lost the link too and is let in again.
#[test]
fn a_stopped_peer_is_missed_in_time() {
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &erl_with_ticktime(TICKTIME), &peer_with_ticktime(TICKTIME));
        pair.says("net_adm:ping(R)", "pong");
        pair.says("global:sync()", "ok");
        pair.erl.eval(
            "process_flag(trap_exit, true), net_kernel:monitor_nodes(true, [nodedown_reason]), link(rpc:call(R, erlang, whereis, [echo]))",
        );
        let heard = now();
        pair.says("rpc:call(R, erlang, node, [])", "r@localhost");
        pair.peer.process().signal("STOP");
        let stopped = now();
        pair.says("receive {'EXIT', _, Why} -> Why after 30000 -> late end", "noconnection");
        let missed = now();
        pair.says(
            "receive Next -> Next after 30000 -> late end",
            "{nodedown,r@localhost,[{nodedown_reason,net_tick_timeout}]}",
        );
        assert_in_time(heard, stopped, missed);
        pair.peer.process().signal("CONT");
        pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
        pair.says("rpc:call(R, erlang, nodes, [])", "[e@localhost]");
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
    });
}

/// The `erl` is stopped: the peer misses it. Another node, hidden so that only the peer knows both, asks for it.
#[test]
fn a_stopped_erl_is_missed_in_time() {
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &erl_with_ticktime(TICKTIME), &peer_with_ticktime(TICKTIME));
        let hidden = NodeSpec { hidden: true, ..erl_with_ticktime(TICKTIME) };
        let mut witness = pair.cluster.erl_with(otp, "w", &hidden);
        pair.says("net_adm:ping(R)", "pong");
        pair.says("global:sync()", "ok");
        pair.says("process_flag(trap_exit, true), P = spawn_link(R, timer, sleep, [infinity]), rpc:call(R, erlang, is_process_alive, [P])", "true");
        witness.eval("R = r@localhost");
        let nodes = "lists:sort(rpc:call(R, erlang, nodes, [connected]))";
        says(&mut witness, nodes, "[e@localhost,w@localhost]");
        witness.eval("[Linked] = [P || P <- rpc:call(R, erlang, processes, []), {links, [L]} <- [rpc:call(R, erlang, process_info, [P, links])], node(L) =:= e@localhost]");
        let heard = now();
        pair.says("rpc:call(R, erlang, node, [])", "r@localhost");
        pair.erl.process().signal("STOP");
        let stopped = now();
        witness.eval_until(nodes, "[w@localhost]", MISSED);
        let missed = now();
        witness.eval_until("rpc:call(R, erlang, is_process_alive, [Linked])", "false", SOON);
        assert_in_time(heard, stopped, missed);
        pair.erl.process().signal("CONT");
        pair.says("receive {'EXIT', _, Why} -> Why after 30000 -> late end", "noconnection");
        pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
        witness.eval_until(nodes, "[e@localhost,w@localhost]", SOON);
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
    });
}
