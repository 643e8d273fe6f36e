//! A stock node and ours as members of one cluster (cluster-services.md 4, items 1 to 7, 44 and 45).

use std::time::Duration;

use crabnode::{Context, Message, MonitorNodes, Term};
use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp,
    clock::{pause, wait_for},
};

#[path = "scenes/ours.rs"]
#[allow(dead_code, reason = "the scenes use more of it")]
mod ours;
mod peer_support;
use ours::Ours;
use peer_support::{Pair, SOON, each_release, says};

#[test]
fn item_01_a_ping_is_answered_twice_and_both_list_each_other() {
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        pair.says("net_adm:ping(R)", "pong");
        pair.says("net_adm:ping(R)", "pong");
        pair.says("timer:sleep(300), nodes()", "[r@localhost]");
        pair.says("rpc:call(R, erlang, nodes, [])", "[e@localhost]");
        // What R knows of the network is what a stock node knows.
        pair.says("lists:sort(element(2, rpc:call(R, net_adm, names, []))) =:= lists:sort(element(2, net_adm:names(localhost)))", "true");
        pair.says("rpc:call(R, net_adm, names, ['no.such.host.example'])", "{error,nxdomain}");
        pair.says("rpc:call(R, net_adm, localhost, []) =:= net_adm:localhost()", "true");
        pair.says("lists:sort(rpc:call(R, net_adm, world_list, [[localhost]]))", "[e@localhost,r@localhost]");
        pair.says("lists:sort(net_adm:world_list([localhost]))", "[e@localhost,r@localhost]");
        pair.says(
            "[gen_server:call({net_kernel, R}, C) || C <- [nodename, allowed, {is_auth, node()}]]",
            "[r@localhost,{ok,[]},yes]",
        );
        pair.says("gen_server:call({net_kernel, R}, {disconnect, x@localhost})", "false");
        pair.says("rpc:call(R, net_kernel, connect_node, [x@localhost])", "false");
    });
}

#[test]
fn item_02_pings_from_both_sides_at_once_make_one_connection() {
    each_release(|otp| {
        // Between hidden nodes, one round after the other; between visible ones `global` of a BEAM may connect again by
        // itself where it is cut off as it meets another, so that is waited for, and what comes after it has some time.
        for (spec, rounds) in [(NodeSpec::hidden(), 95), (NodeSpec::default(), 5)] {
            let cluster = Cluster::new(otp);
            let mut erl = cluster.erl_with(otp, "e", &spec);
            let ours = Ours::start(&cluster, "r");
            let is_alone = || {
                let none = ours.node.nodes().is_empty() && ours.node.nodes_hidden().is_empty();
                none.then_some(())
            };
            assert!(ours.runtime.block_on(ours.node.ping("e@localhost")).is_some());
            assert!(ours.runtime.block_on(ours.node.ping("nobody@localhost")).is_none());
            let has_met = |erl: &mut ErlNode| {
                if !spec.hidden {
                    says(erl, "global:sync()", "ok");
                    pause(Duration::from_millis(500));
                }
            };
            has_met(&mut erl);
            says(&mut erl, "erlang:disconnect_node(r@localhost)", "true");
            wait_for(SOON, is_alone).expect("it is cut off");
            erl.eval("net_kernel:monitor_nodes(true, [{node_type, all}])");
            for round in 0..rounds {
                let node = ours.node.clone();
                let ping = ours.runtime.spawn(async move { node.ping("e@localhost").await });
                says(&mut erl, "net_adm:ping(r@localhost)", "pong");
                let answered = ours.runtime.block_on(ping).expect("it does not panic");
                assert!(answered.is_some(), "round {round}: {}", erl.output());
                has_met(&mut erl);
                // One that comes up, and stays until it is taken down.
                says(
                    &mut erl,
                    "Next = fun() -> receive {M, r@localhost, _} -> M after 15000 -> nothing end end,
                     Up = Next(), Nodes = nodes(connected), More = ct_peer:flush(),
                     true = erlang:disconnect_node(r@localhost), {Up, Nodes, More, Next()}",
                    "{nodeup,[r@localhost],[],nodedown}",
                );
                wait_for(SOON, is_alone).expect("it is cut off");
            }
            assert!(!erl.output().contains("overlapping"), "{}", erl.output());
        }
    });
}

/// What `global` of a node has of another, as `global:info()` says it.
fn known(otp: &Otp, node: &str) -> (String, &'static str) {
    match otp.number() {
        25.. => (format!("maps:get({node}, element(3, global:info()), none)"), "8"),
        _ => (format!("lists:member({node}, element(3, global:info()))"), "true"),
    }
}

#[test]
fn items_03_04_and_07_a_node_that_joins_by_one_member_synchronises_leaves_and_comes_back() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut a, mut b) = (cluster.erl(otp, "a"), cluster.erl(otp, "b"));
        says(&mut a, "net_adm:ping(b@localhost)", "pong");
        let (question, answer) = known(otp, "r@localhost");
        for round in 0..2 {
            let mut peer = cluster.peer_with("r", &NodeSpec::args(["--connect", "a@localhost"]));
            for erl in [&mut a, &mut b] {
                erl.eval_until("lists:member(r@localhost, nodes())", "true", SOON);
                erl.eval_until(&question, answer, SOON);
            }
            for erl in [&mut a, &mut b] {
                assert_eq!(erl.try_eval("global:sync()", SOON).as_deref(), Ok("ok"));
            }
            let sync = a.try_eval("rpc:call(r@localhost, global, sync, [])", SOON);
            assert_eq!(sync.as_deref(), Ok("ok"));
            // Its names go with it, and nobody else.
            let echo = "rpc:call(r@localhost, erlang, whereis, [echo])";
            says(&mut b, &format!("global:register_name({{of_r, {round}}}, {echo})"), "yes");
            says(&mut a, &format!("Old = {echo}, global:whereis_name({{of_r, {round}}}) =:= Old"), "true");
            if round == 0 {
                peer.process().signal("TERM");
                let status = peer.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(status.code(), Some(0), "{}", peer.output());
            } else {
                peer.kill9();
            }
            for (erl, other) in [(&mut a, "b@localhost"), (&mut b, "a@localhost")] {
                erl.eval_until("{nodes(), global:registered_names()}", &format!("{{[{other}],[]}}"), SOON);
                assert_eq!(erl.try_eval("global:sync()", SOON).as_deref(), Ok("ok"));
            }
        }
    });
}

#[test]
fn item_05_a_hidden_node_is_no_member() {
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &NodeSpec::hidden(), &NodeSpec::default());
        pair.says("global:register_name(mine, self()), net_adm:ping(R)", "pong");
        pair.says("{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        pair.says("rpc:call(R, erlang, nodes, [])", "[]");
        pair.says("rpc:call(R, erlang, node, [])", "r@localhost");
        pair.says("rpc:call(R, rpc, call, [node(), erlang, node, []])", "e@localhost");
        pair.says(
            "E = rpc:call(R, erlang, whereis, [echo]), rpc:call(R, global, register_name, [theirs, E])",
            "yes",
        );
        pair.says("timer:sleep(500), gen_server:call({global_name_server, R}, get_known)", "[]");
        pair.says("global:registered_names()", "[mine]");
        pair.says("rpc:call(R, global, registered_names, [])", "[theirs]");
        pair.says("ct_peer:flush()", "[]");
    });
}

#[test]
fn item_06_a_node_without_a_name_is_given_one() {
    each_release(|otp| {
        if otp.number() < 25 {
            // Releases before have no such nodes.
            return;
        }
        let cluster = Cluster::new(otp);
        let _peer = cluster.peer("r");
        let mut erl = cluster.erl(otp, "undefined@localhost");
        says(&mut erl, "net_kernel:connect_node(r@localhost)", "true");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(
            &mut erl,
            "\"@localhost\" = string:find(atom_to_list(node()), \"@\"),
             {node() =:= nonode@nohost, rpc:call(r@localhost, erlang, nodes, [hidden]) =:= [node()], nodes(hidden)}",
            "{false,true,[r@localhost]}",
        );
        says(&mut erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
    });
}

#[test]
fn item_45_each_that_monitors_sees_a_node_come_and_go_once() {
    const OPTIONS: [&str; 6] = [
        "[]",
        "[{node_type, all}]",
        "[{node_type, hidden}]",
        "[nodedown_reason]",
        "#{}",
        "#{node_type => visible, nodedown_reason => true}",
    ];
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let options = if otp.number() >= 25 { &OPTIONS[..] } else { &OPTIONS[..4] };
        for options in options {
            says(&mut erl, &format!("net_kernel:monitor_nodes(true, {options})"), "ok");
        }
        for _ in 0..3 {
            let ours = Ours::start(&cluster, "r");
            let (sender, receiver) = std::sync::mpsc::channel();
            let parsed: Vec<MonitorNodes> = options
                .iter()
                .map(|options| etf::text::parse_term(options).expect("a term"))
                .map(|options| MonitorNodes::from_term(&options).expect("options"))
                .collect();
            let (ready, is_ready) = std::sync::mpsc::channel();
            let watcher = ours.node.spawn(async move |mut context: Context| {
                parsed.iter().for_each(|options| context.monitor_nodes_with(true, *options));
                ready.send(()).expect("the test waits");
                loop {
                    let message = context.receive().await;
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            });
            is_ready.recv_timeout(SOON).expect("it runs");
            says(&mut erl, "net_adm:ping(r@localhost)", "pong");
            says(&mut erl, "monitor_node(r@localhost, true), nodes()", "[r@localhost]");
            // The BEAM's `global` connects again where it is cut off as it meets another.
            says(&mut erl, "global:sync()", "ok");
            pause(Duration::from_millis(500));
            // Ours goes down for the stock node, which is the same as the stock node going down for ours.
            says(&mut erl, "erlang:disconnect_node(r@localhost)", "true");
            wait_for(SOON, || ours.node.nodes().is_empty().then_some(()));
            // As many as are due, and what comes beyond.
            let due = 2 * options.len() - 2;
            let mut theirs: Vec<Message> = (0..due).map_while(|_| receiver.recv_timeout(SOON).ok()).collect();
            theirs.extend(receiver.recv_timeout(Duration::from_millis(50)));
            let theirs: Vec<String> =
                theirs.into_iter().map(|message| message.into_term().to_string()).collect();
            drop((watcher, ours));
            erl.eval_until("nodes()", "[]", SOON);
            pause(Duration::from_millis(100));
            let seen = erl.eval("lists:sort([io_lib:format(\"~0p\", [M]) || M <- ct_peer:flush(100)])");
            let mut seen: Vec<String> = etf::text::parse_term(&seen)
                .expect("a list")
                .as_list()
                .unwrap_or_default()
                .iter()
                .map(|message| text_of(message).replace(' ', ""))
                .collect();
            seen.sort();
            // Who asked for it is told of the node once more, by `monitor_node`.
            let down = "{nodedown,r@localhost}".to_owned();
            let mut expected: Vec<String> = theirs
                .into_iter()
                .map(|message| message.replace("e@localhost", "r@localhost").replace(' ', ""))
                // The one that cuts the connection has another reason for it than the other.
                .map(|message| message.replace("connection_closed", "disconnect"))
                .chain([down])
                .collect();
            expected.sort();
            assert_eq!(seen, expected);
            assert_eq!(seen.len(), due + 1, "hidden nodes there are none: {seen:?}");
        }
    });
}

/// A string, or what `io_lib:format` makes of one.
fn text_of(term: &Term) -> String {
    match term {
        Term::Int(char) => {
            u32::try_from(*char).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
        }
        other => match other.as_list() {
            Some(list) => list.iter().map(text_of).collect(),
            None => other.as_text().unwrap_or_default(),
        },
    }
}

/// What `etop` and `observer` do to look at a node, without their windows: their own calls, in their order, held against
/// what a stock node answers. `etop` measures times by tracing, unless it is told not to, which only a BEAM can.
#[test]
fn item_44_what_etop_and_observer_ask() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says("process_flag(trap_exit, true)", "false");
        // etop.
        pair.says("{ok, V} = rpc:call(R, observer_backend, vsn, []), is_list(V)", "true");
        pair.says(
            "Shape = fun S(T) when is_tuple(T) -> list_to_tuple([S(E) || E <- tuple_to_list(T)]);
                         S(I) when is_integer(I) -> int; S(P) when is_pid(P) -> pid; S(T) -> T end,
             Get = fun(N) -> P = spawn_link(N, observer_backend, etop_collect, [self()]),
                             receive {P, I} -> receive {'EXIT', P, normal} -> I end after 15000 -> nothing end end,
             [{etop_info, T1, N1, _, _, Q1, _, M1, L1}, {etop_info, T2, N2, _, _, Q2, _, M2, L2}] = [Get(node()), Get(R)],
             true = {Shape(T1), Shape(N1), Shape(Q1)} =:= {Shape(T2), Shape(N2), Shape(Q2)},
             true = N2 =:= length(L2),
             true = [K || {K, _} <- M1] =:= [K || {K, B} <- M2, is_integer(B)],
             [] = [E || E <- L2, begin {etop_proc_info, P, Mem, Reds, Name, Time, MFA, Len} = E,
                    not (is_pid(P) andalso node(P) =:= R andalso is_integer(Mem) andalso is_integer(Reds)
                         andalso (is_atom(Name) orelse tuple_size(Name) =:= 3) andalso Time =:= 0
                         andalso tuple_size(MFA) =:= 3 andalso is_integer(Len)) end],
             true = tuple_size(hd(L1)) =:= tuple_size(hd(L2)),
             [element(5, E) || E <- L2, lists:member(element(5, E), [echo, rex, net_kernel])] -- [net_kernel, rex, echo]",
            "[]",
        );
        // observer: the processes.
        pair.says("rpc:call(R, code, ensure_loaded, [observer_backend])", "{module,observer_backend}");
        pair.says("rpc:call(R, erlang, function_exported, [observer_backend, procs_info, 1])", "true");
        pair.says(
            "P = spawn_link(R, observer_backend, procs_info, [self()]),
             {procs_info, P, L} = receive M1 -> M1 after 15000 -> nothing end,
             {'EXIT', P, normal} = receive M2 -> M2 after 15000 -> nothing end,
             lists:all(fun(E) -> element(1, E) =:= etop_proc_info end, L) andalso length(L) > 5",
            "true",
        );
        // The system: what a stock node says, each of it, and numbers where that has numbers.
        pair.says(
            "Stock = observer_backend:sys_info(), Ours = rpc:call(R, observer_backend, sys_info, []),
             {[K || {K, _} <- Stock, not lists:keymember(K, 1, Ours)],
              [K || {K, V} <- Stock, is_integer(V), not is_integer(proplists:get_value(K, Ours))]}",
            "{[],[]}",
        );
        pair.says("[rpc:call(R, observer_backend, F, A) || {F, A} <- [{get_port_list, []}, {get_table_list, [ets, []]}]]", "[[],[]]");
        pair.says("[{_, _, _} | _] = rpc:block_call(R, application, which_applications, []), ok", "ok");
        pair.says("rpc:block_call(R, gen_event, which_handlers, [error_logger])", "[]");
        // One process.
        pair.says(
            "E = rpc:call(R, erlang, whereis, [echo]), Items = [binary, catchlevel, current_function, error_handler,
               garbage_collection, group_leader, heap_size, initial_call, last_calls, links, memory, message_queue_len,
               monitored_by, monitors, priority, reductions, registered_name, sequential_trace_token, stack_size, status,
               suspending, total_heap_size, trace, trap_exit],
             I = rpc:call(R, erlang, process_info, [E, Items]), [K || {K, _} <- I] =:= Items",
            "true",
        );
        pair.says(
            "E = rpc:call(R, erlang, whereis, [echo]),
             [K || K <- [messages, dictionary, current_stacktrace, registered_name],
                   {K2, _} <- [rpc:call(R, erlang, process_info, [E, K])], K =:= K2]",
            "[messages,dictionary,current_stacktrace,registered_name]",
        );
        pair.says(
            "E = rpc:call(R, erlang, whereis, [echo]), rpc:call(R, proc_lib, translate_initial_call, [E])",
            "{proc_lib,init_p,5}",
        );
        pair.says("E = rpc:call(R, erlang, whereis, [echo]), is_list(rpc:pinfo(E))", "true");
        // The load, until it is stopped.
        pair.says(
            "P = spawn_link(R, observer_backend, fetch_stats, [self(), 50]),
             {stats, 1, _, {{input, In}, {output, Out}}, Mem} = receive M -> M after 15000 -> nothing end,
             P ! stop, {'EXIT', P, normal} = (fun W() -> receive {stats, _, _, _, _} -> W(); M3 -> M3 after 15000 -> nothing end end)(),
             is_integer(In + Out + proplists:get_value(total, Mem))",
            "true",
        );
        pair.says("ct_peer:flush()", "[]");
    });
}
