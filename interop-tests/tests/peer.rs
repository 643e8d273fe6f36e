//! A stock `erl` of every release against `crabnode peer`: what Erlang programs do with a node must work with ours.

use std::time::{Duration, Instant};

use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode, clock::now};

const SHORT: Duration = Duration::from_secs(5);

/// A cluster with one `erl`, `a@localhost`, and one peer, `p@localhost`, for each release.
fn each_release(test: impl Fn(&Cluster, &Otp, &mut ErlNode, &mut RustNode)) {
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let mut erl = cluster.erl(&otp, "a");
        let mut peer = cluster.peer("p");
        eprintln!("OTP {}", otp.number());
        test(&cluster, &otp, &mut erl, &mut peer);
    }
}

/// The same with the two connected.
fn each_release_connected(test: impl Fn(&Cluster, &Otp, &mut ErlNode, &mut RustNode)) {
    each_release(|cluster, otp, erl, peer| {
        assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
        test(cluster, otp, erl, peer);
    });
}

#[test]
fn ping_answers_twice_and_the_peer_is_among_the_nodes() {
    each_release(|_, _, erl, _| {
        assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
        assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
        assert_eq!(erl.eval("nodes()"), "[p@localhost]");
        assert_eq!(erl.eval("nodes(hidden)"), "[]");
    });
}

#[test]
fn a_hidden_peer_is_not_among_the_visible_nodes() {
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let mut erl = cluster.erl(&otp, "a");
        let _peer = cluster.peer_with("p", &NodeSpec::hidden());
        assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
        assert_eq!(erl.eval("{nodes(), nodes(hidden)}"), "{[],[p@localhost]}");
    }
}

#[test]
fn global_synchronises_within_five_seconds() {
    each_release_connected(|_, _, erl, _| {
        let started = now();
        assert_eq!(erl.try_eval("global:sync()", SHORT).as_deref(), Ok("ok"));
        assert!(started.elapsed() < SHORT);
    });
}

#[test]
fn a_name_registered_on_the_beam_is_seen_by_the_peer_until_its_process_dies() {
    each_release_connected(|_, _, erl, _| {
        assert_eq!(erl.try_eval("global:sync()", SHORT).as_deref(), Ok("ok"));
        erl.eval("P = spawn(fun() -> receive stop -> ok end end)");
        assert_eq!(erl.eval("global:register_name(mine, P)"), "yes");
        let seen = "rpc:call(p@localhost, global, whereis_name, [mine])";
        assert_eq!(erl.eval(&format!("{seen} =:= P")), "true");
        erl.eval("P ! stop");
        erl.eval_until(seen, "undefined", SHORT);
        assert_eq!(erl.eval("global:whereis_name(mine)"), "undefined");
    });
}

#[test]
fn a_name_registered_on_the_peer_is_seen_by_the_beam_until_its_process_dies() {
    each_release_connected(|_, _, erl, _| {
        assert_eq!(erl.try_eval("global:sync()", SHORT).as_deref(), Ok("ok"));
        erl.eval("E = rpc:call(p@localhost, erlang, whereis, [echo])");
        assert_eq!(erl.eval("node(E)"), "p@localhost");
        assert_eq!(erl.eval("rpc:call(p@localhost, global, register_name, [theirs, E])"), "yes");
        assert_eq!(erl.eval("global:whereis_name(theirs) =:= E"), "true");
        erl.eval("global:send(theirs, {self(), die, bye})");
        erl.eval_until("global:whereis_name(theirs)", "undefined", SHORT);
        erl.eval_until("rpc:call(p@localhost, global, whereis_name, [theirs])", "undefined", SHORT);
    });
}

#[test]
fn calls_are_answered() {
    each_release_connected(|_, _, erl, _| {
        assert_eq!(
            erl.eval("gen_server:call({echo_server, p@localhost}, {x, \"text\", #{a => [1.5, <<1:3>>]}})"),
            "{echo,{x,\"text\",#{a => [1.5,<<1:3>>]}}}"
        );
        assert_eq!(erl.eval("rpc:call(p@localhost, erlang, node, [])"), "p@localhost");
        assert_eq!(erl.eval("erpc:call(p@localhost, erlang, node, [])"), "p@localhost");
        assert_eq!(erl.eval("rpc:call(p@localhost, erlang, node, [], 1000)"), "p@localhost");
        assert_eq!(erl.eval("rpc:block_call(p@localhost, erlang, node, [])"), "p@localhost");
        let unknown = erl.try_eval("erpc:call(p@localhost, no_such, function, [1])", SHORT).unwrap_err();
        assert!(unknown.starts_with("{error,{exception,undef"), "{unknown}");
    });
}

#[test]
fn messages_go_both_ways_in_order() {
    each_release_connected(|_, _, erl, _| {
        assert_eq!(
            erl.eval("{echo, p@localhost} ! {self(), hello}, receive M -> M after 2000 -> none end"),
            "{echo,hello}"
        );
        erl.eval("[{sink, p@localhost} ! N || N <- lists:seq(1, 10000)]");
        assert_eq!(
            erl.eval("{sink, p@localhost} ! {self(), sync}, receive S -> S after 5000 -> none end"),
            "{sink,10000}"
        );
        erl.eval("{source, p@localhost} ! {self(), {blast, self(), 1000, tick}}");
        assert_eq!(
            erl.eval("ct_peer:wait(fun() -> {_, L} = process_info(self(), message_queue_len), L >= 1001 end, 5000), \
                      All = ct_peer:flush(), {length(All), lists:last(All), lists:usort(lists:droplast(All))}"),
            "{1001,{blast_done,1000},[tick]}"
        );
    });
}

#[test]
fn a_monitor_on_what_is_not_there_answers_noproc() {
    each_release_connected(|_, _, erl, _| {
        let down = "receive {'DOWN', R, process, _, Why} -> Why after 3000 -> none end";
        assert_eq!(
            erl.eval(&format!("R = monitor(process, {{no_such_name, p@localhost}}), {down}")),
            "noproc"
        );
    });
}

#[test]
fn a_monitor_on_a_dead_pid_answers_noproc() {
    each_release_connected(|_, _, erl, _| {
        erl.eval("E = rpc:call(p@localhost, erlang, whereis, [echo])");
        erl.eval("M = monitor(process, E), E ! {self(), die, gone}");
        assert_eq!(erl.eval("receive {'DOWN', M, process, E, W1} -> W1 after 3000 -> none end"), "gone");
        assert_eq!(
            erl.eval(
                "N = monitor(process, E), receive {'DOWN', N, process, E, W2} -> W2 after 3000 -> none end"
            ),
            "noproc"
        );
    });
}

#[test]
fn a_linked_process_of_the_peer_takes_its_partner_along() {
    each_release_connected(|_, _, erl, _| {
        erl.eval(
            "process_flag(trap_exit, true), E = rpc:call(p@localhost, erlang, whereis, [echo]), link(E)",
        );
        erl.eval("E ! {self(), die, {bad, \"luck\"}}");
        assert_eq!(erl.eval("receive {'EXIT', E, Why} -> Why after 3000 -> none end"), "{bad,\"luck\"}");
    });
}

#[test]
fn the_death_of_the_peer_is_noticed_once_and_at_once() {
    each_release_connected(|_, _, erl, peer| {
        erl.eval("net_kernel:monitor_nodes(true), monitor(process, {echo, p@localhost})");
        let killed: Instant = peer.kill9();
        assert_eq!(
            erl.eval("receive {'DOWN', _, process, _, Why} -> Why after 3000 -> none end"),
            "noconnection"
        );
        assert!(killed.elapsed() < Duration::from_secs(3));
        assert_eq!(erl.eval("ct_peer:flush(500)"), "[{nodedown,p@localhost}]");
        assert_eq!(erl.eval("nodes()"), "[]");
    });
}

/// Three ticktimes pass without a message on either link; then both still answer.
#[test]
fn idle_links_live_on() {
    const TICKTIME: u64 = 8;
    let mut clusters = Vec::new();
    for otp in Otp::available() {
        let cluster = Cluster::new(&otp);
        let ticktime = TICKTIME.to_string();
        let mut erl = cluster.erl_with(&otp, "a", &NodeSpec::args(["-kernel", "net_ticktime", &ticktime]));
        let visible = cluster.peer_with("p", &NodeSpec::args(["--net-ticktime", &ticktime]));
        let hidden = NodeSpec { hidden: true, ..NodeSpec::args(["--net-ticktime", &ticktime]) };
        let hidden = cluster.peer_with("h", &hidden);
        erl.eval("net_kernel:monitor_nodes(true, [{node_type, all}])");
        for peer in [&visible, &hidden] {
            assert_eq!(erl.eval(&format!("net_adm:ping({})", peer.node())), "pong");
        }
        erl.eval("ct_peer:flush(500)");
        clusters.push((otp, cluster, erl, visible, hidden));
    }
    interop_tests::clock::pause(Duration::from_secs(3 * TICKTIME + 2));
    for (otp, _cluster, erl, _visible, _hidden) in &mut clusters {
        assert_eq!(erl.eval("ct_peer:flush()"), "[]", "OTP {}: {}", otp.number(), erl.output());
        assert_eq!(
            erl.eval("{nodes(), nodes(hidden)}"),
            "{[p@localhost],[h@localhost]}",
            "OTP {}",
            otp.number()
        );
    }
}
