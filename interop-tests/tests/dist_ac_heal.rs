//! Healing of stock nodes: two or three of them, and one Rust member with `{crabnode, [{heal, cluster}]}` that runs none
//! of their applications (dist_ac.md 6).

#![expect(clippy::print_stdout, reason = "how long it took is worth to see")]

mod peer_support;

use std::{path::PathBuf, time::Duration};

use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp, RustNode,
    clock::{now, pause, wait_for},
};
use peer_support::{each_release, says};

/// How long the cluster may take for anything, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// An application that is nothing but a supervisor.
const HZ: &str = "-module(hz). -behaviour(application). -export([start/2, stop/1, init/1]).
start(_Type, _Args) -> supervisor:start_link(?MODULE, []).
stop(_State) -> ok.
init([]) -> {ok, {{one_for_one, 1, 1}, []}}.
";

/// Stock nodes that share these applications, which are loaded and started.
fn stock<const N: usize>(
    cluster: &Cluster,
    otp: &Otp,
    names: [&str; N],
    apps: &[String],
    distributed: &str,
) -> [ErlNode; N] {
    let mut loaded = idle(cluster, otp, names, apps, distributed);
    for node in &mut loaded {
        node.eval(&format!("[spawn(fun() -> application:start(A) end) || A <- [{}]]", apps.join(",")));
    }
    loaded
}

/// The same, and nobody starts them.
fn idle<const N: usize>(
    cluster: &Cluster,
    otp: &Otp,
    names: [&str; N],
    apps: &[String],
    distributed: &str,
) -> [ErlNode; N] {
    let members = names.map(|name| format!("{name}@localhost")).join(",");
    let mut started = names.map(|name| spawn(cluster, otp, name, distributed, &members));
    for node in &mut started {
        prepare(node, apps);
    }
    for node in &mut started {
        node.eval_until("Known()", &format!("[{members}]"), LIMIT);
    }
    started
}

/// A stock node that waits for these members before it is up.
fn spawn(cluster: &Cluster, otp: &Otp, name: &str, distributed: &str, members: &str) -> ErlNode {
    cluster.write("hz.erl", HZ);
    let config = config(cluster, &format!("{name}.config"), distributed, members);
    cluster.spawn_erl(otp, name, &NodeSpec { config: Some(config), ..NodeSpec::default() })
}

/// It is up, and these are loaded.
fn prepare(node: &mut ErlNode, apps: &[String]) {
    node.wait_until_booted(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    node.eval(
        "{ok, hz, Code} = compile:file(\"hz.erl\", [binary]), {module, hz} = code:load_binary(hz, \"hz\", Code)",
    );
    node.eval("Runs = fun(App) -> lists:keymember(App, 1, application:which_applications()) end");
    node.eval("Known = fun() -> lists:sort(dist_ac:get_known_nodes()) end");
    node.eval("Id = fun(App) -> element(3, lists:keyfind(App, 2, element(2, dist_ac:info()))) end");
    for app in apps {
        node.eval(&format!(
            "ok = application:load({{application, {app}, [{{vsn, \"1\"}}, {{modules, []}}, {{registered, []}}, \
             {{applications, [kernel, stdlib]}}, {{mod, {{hz, []}}}}]}})"
        ));
    }
}

/// `kernel distributed` of applications that share a priority list, and a restart time in milliseconds.
fn distributed(apps: &[String], restart_time: u32, nodes: &str) -> String {
    apps.iter().map(|app| format!("{{{app},{restart_time},{nodes}}}")).collect::<Vec<_>>().join(",")
}

/// The `sys.config` of all of them: nobody is waited for for long, and links that are lost take no others along.
fn config(cluster: &Cluster, file: &str, distributed: &str, members: &str) -> PathBuf {
    cluster.write(
        file,
        &format!(
            "[{{kernel, [{{distributed, [{distributed}]}}, {{sync_nodes_optional, [{members}]}}, \
             {{sync_nodes_timeout, 30000}}, {{prevent_overlapping_partitions, false}}]}}, \
             {{crabnode, [{{heal, cluster}}]}}]."
        ),
    )
}

/// The Rust member, connected to all of them.
fn healer(cluster: &Cluster, distributed: &str, stock: &mut [&mut ErlNode]) -> RustNode {
    let members: Vec<&str> = stock.iter().map(|node| node.node()).collect();
    let config = config(cluster, "healer.config", distributed, &members.join(","));
    let spec = NodeSpec { config: Some(config), ..NodeSpec::default() };
    let mut healer = cluster.spawn_example("m8ball", "r", &spec);
    healer.wait_until_ready(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    for node in stock {
        node.eval_until("lists:member(r@localhost, nodes())", "true", LIMIT);
    }
    healer
}

/// The healer has reported so many acts with these words. What it did may be seen before its lines are read.
fn says_so(healer: &RustNode, words: &str, times: usize) {
    let said = || healer.output().matches(words).count() >= times;
    assert!(wait_for(LIMIT, || said().then_some(())).is_some(), "{words}: {}", healer.output());
}

fn name(number: usize) -> String {
    format!("hz{number}")
}

/// L1: two stock nodes that lost each other and went on alone. When the link is back one copy stops, both know each
/// other, and takeover and failover work as if nothing had happened.
#[test]
fn l1_two_stock_copies() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps = [name(1)];
        let distributed = distributed(&apps, 1000, "[a@localhost,b@localhost]");
        let [mut a, mut b] = stock(&cluster, otp, ["a", "b"], &apps, &distributed);
        let healer = healer(&cluster, &distributed, &mut [&mut a, &mut b]);
        let all = "[a@localhost,b@localhost,r@localhost]";
        for node in [&mut a, &mut b] {
            node.eval_until("Known()", all, LIMIT);
        }
        a.eval_until("Runs(hz1)", "true", LIMIT);
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);

        part(&mut [&mut a, &mut b]);
        b.eval_until("Runs(hz1)", "true", LIMIT);
        // Two clusters, with the healer in both: each goes on.
        pause(Duration::from_millis(2_500));
        says(&mut a, "{nodes(), Runs(hz1)}", "{[r@localhost],true}");
        says(&mut b, "{nodes(), Runs(hz1)}", "{[r@localhost],true}");

        says(&mut a, "net_kernel:connect_node(b@localhost)", "true");
        let back = now();
        b.eval_until("Runs(hz1)", "false", LIMIT);
        println!("OTP {}: one copy {} ms after the link was back", otp.number(), back.elapsed().as_millis());
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        for node in [&mut a, &mut b] {
            node.eval_until("Known()", all, LIMIT);
            let permitted = "[lists:member({N, true}, element(6, lists:keyfind(hz1, 2, element(2, dist_ac:info())))) || \
                             N <- [a@localhost, b@localhost]]";
            node.eval_until(permitted, "[true,true]", LIMIT);
        }
        says(&mut a, "Runs(hz1)", "true");

        says(&mut b, "application:takeover(hz1, temporary)", "ok");
        a.eval_until("{Runs(hz1), Id(hz1)}", "{false,{distributed,b@localhost}}", LIMIT);
        b.kill9();
        a.eval_until("Runs(hz1)", "true", LIMIT);
        says_so(&healer, "(L1", 1);
    });
}

/// Of two stock copies the `dist_ac` of one keeps the news of others for a start to come: it was stopped and started again
/// while a decision from before went on. It is started once more, and stands by.
#[test]
fn l1_a_copy_that_takes_no_news() {
    started_once_more(DEAFEN);
}

/// L17: the same, and then the stop of somebody who ran it before comes late, so that its `dist_ac` knows of no copy.
#[test]
fn l17_a_copy_that_its_dist_ac_has_forgotten() {
    started_once_more(&format!("dist_ac ! {{dist_ac_app_stopped, hz1}}, {DEAFEN}"));
}

/// Takes an application out of what a `dist_ac` has started.
const DEAFEN: &str = "element(6, sys:replace_state(dist_ac, fun(S) -> setelement(6, S, []) end))";

/// Two copies after a split, where `deafen` has taken that of b out of what its `dist_ac` has started.
fn started_once_more(deafen: &str) {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps = [name(1)];
        let distributed = distributed(&apps, 1000, "[a@localhost,b@localhost]");
        let [mut a, mut b] = stock(&cluster, otp, ["a", "b"], &apps, &distributed);
        a.eval_until("Runs(hz1)", "true", LIMIT);
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        let healer = healer(&cluster, &distributed, &mut [&mut a, &mut b]);
        part(&mut [&mut a, &mut b]);
        b.eval_until("Runs(hz1)", "true", LIMIT);
        says(&mut b, deafen, "[]");
        says(&mut b, "Runs(hz1)", "true");

        says(&mut a, "net_kernel:connect_node(b@localhost)", "true");
        b.eval_until("{Runs(hz1), Id(hz1)}", "{false,{distributed,a@localhost}}", LIMIT);
        says(&mut b, "element(6, dist_ac:info())", "[hz1]");
        says(&mut a, "{Runs(hz1), Id(hz1)}", "{true,local}");
        a.kill9();
        b.eval_until("Runs(hz1)", "true", LIMIT);
        says_so(&healer, "act=Restart", 1);
    });
}

/// L2: the runner is lost and is back before its restart time is over. Stock standbys would start a second copy; one that
/// is told stands by again, and its timer, when it fires, finds nothing to do.
#[test]
fn l2_a_flap_before_the_timer() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps = [name(1)];
        // Longer than any machine takes.
        let distributed = distributed(&apps, 600_000, "[a@localhost,b@localhost]");
        let [mut a, mut b] = stock(&cluster, otp, ["a", "b"], &apps, &distributed);
        let healer = healer(&cluster, &distributed, &mut [&mut a, &mut b]);
        let all = "[a@localhost,b@localhost,r@localhost]";
        for node in [&mut a, &mut b] {
            node.eval_until("Known()", all, LIMIT);
        }
        a.eval_until("Runs(hz1)", "true", LIMIT);
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        part(&mut [&mut a, &mut b]);
        b.eval_until("Id(hz1)", "{failover,a@localhost}", LIMIT);
        says(&mut a, "net_kernel:connect_node(b@localhost)", "true");
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        // What the timer sends, and a call behind it.
        b.eval("dist_ac ! {internal_restart_appl, hz1}");
        b.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        says(&mut b, "Runs(hz1)", "false");
        says(&mut a, "Runs(hz1)", "true");
        for node in [&mut a, &mut b] {
            node.eval_until("Known()", all, LIMIT);
        }
        says(&mut b, "application:takeover(hz1, temporary)", "ok");
        a.eval_until("{Runs(hz1), Id(hz1)}", "{false,{distributed,b@localhost}}", LIMIT);
        says_so(&healer, "(L2)", 1);
    });
}

/// L3: three nodes that have all lost each other, as `global` leaves them when one link of three breaks, with three copies.
#[test]
fn l3_three_singletons() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps = [name(1)];
        let distributed = distributed(&apps, 1000, "[a@localhost,{b@localhost,c@localhost}]");
        let [mut a, mut b, mut c] = stock(&cluster, otp, ["a", "b", "c"], &apps, &distributed);
        let healer = healer(&cluster, &distributed, &mut [&mut a, &mut b, &mut c]);
        let all = "[a@localhost,b@localhost,c@localhost,r@localhost]";
        for node in [&mut a, &mut b, &mut c] {
            node.eval_until("Known()", all, LIMIT);
        }
        a.eval_until("Runs(hz1)", "true", LIMIT);
        for node in [&mut b, &mut c] {
            node.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        }
        part(&mut [&mut a, &mut b, &mut c]);
        for node in [&mut a, &mut b, &mut c] {
            node.eval_until("{nodes(), Runs(hz1)}", "{[r@localhost],true}", LIMIT);
        }
        says(&mut a, "[net_kernel:connect_node(N) || N <- [b@localhost, c@localhost]]", "[true,true]");
        says(&mut b, "net_kernel:connect_node(c@localhost)", "true");
        let back = now();
        for node in [&mut b, &mut c] {
            node.eval_until("{Runs(hz1), Id(hz1)}", "{false,{distributed,a@localhost}}", LIMIT);
        }
        println!(
            "OTP {}: one copy {} ms after the links were back",
            otp.number(),
            back.elapsed().as_millis()
        );
        says(&mut a, "Runs(hz1)", "true");
        for node in [&mut a, &mut b, &mut c] {
            node.eval_until("Known()", all, LIMIT);
        }
        a.kill9();
        b.eval_until("Runs(hz1)", "true", LIMIT);
        c.eval_until("{Runs(hz1), Id(hz1)}", "{false,{distributed,b@localhost}}", LIMIT);
        says_so(&healer, "(L1, L3)", 1);
    });
}

/// These lose each other, and do not connect again by themselves: their `global` may still have something to say.
fn part(nodes: &mut [&mut ErlNode]) {
    for node in &mut *nodes {
        says(node, "application:set_env(kernel, dist_auto_connect, never)", "ok");
    }
    for node in nodes {
        node.eval("[erlang:disconnect_node(N) || N <- nodes(), N =/= r@localhost]");
        node.eval_until("nodes()", "[r@localhost]", LIMIT);
    }
}

/// L7: two stock nodes that start the same applications in different order wait for each other: for the start of the other,
/// where each goes first in one list, and for its weight in a tuple. The healer gets both out of it.
#[test]
fn l7_starts_in_different_order() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps: Vec<String> = (1..=4).map(name).collect();
        let distributed = "{hz1,1000,[a@localhost,b@localhost]},{hz2,1000,[b@localhost,a@localhost]},\
                           {hz3,1000,[{a@localhost,b@localhost}]},{hz4,1000,[{a@localhost,b@localhost}]}";
        let [mut a, mut b] = idle(&cluster, otp, ["a", "b"], &apps, distributed);
        let answers = "try gen_server:call(dist_ac, info, 1000) of _ -> true catch exit:_ -> false end";
        let started = "[A || {A, _} <- proplists:get_value(started, application:info()), \
                       lists:prefix(\"hz\", atom_to_list(A))]";
        let running = "length([A || {A, _, _} <- application:which_applications(), lists:prefix(\"hz\", atom_to_list(A))])";
        let start = |node: &mut ErlNode, order: &str, waits: &str| {
            // It is looked for at once, as the healer may be quick.
            let waits = format!(
                "(fun() ->
                     spawn(fun() -> [ok = application:start(A) || A <- {order}] end),
                     ct_peer:wait(fun() ->
                         process_info(whereis(dist_ac), current_function) =:= {{current_function, {{dist_ac, {waits}}}}}
                     end, {})
                 end)()",
                LIMIT.as_millis()
            );
            assert_eq!(node.try_eval(&waits, 2 * LIMIT).as_deref(), Ok("ok"));
        };
        start(&mut a, "[hz2, hz1]", "wait_dist_start,7");
        start(&mut b, "[hz1, hz2]", "wait_dist_start,7");
        for node in [&mut a, &mut b] {
            node.eval_until(&format!("{{{answers}, {answers}, {started}}}"), "{false,false,[]}", LIMIT);
        }
        let began = now();
        let healer = healer(&cluster, distributed, &mut [&mut a, &mut b]);
        // Until then a call of either would end in a timeout.
        for node in [&mut a, &mut b] {
            node.eval_until(&format!("length({started})"), "2", LIMIT);
            node.eval_until(answers, "true", LIMIT);
        }
        // Each where it belongs.
        a.eval_until("{Runs(hz1), Id(hz2)}", "{true,{distributed,b@localhost}}", LIMIT);
        b.eval_until("{Runs(hz2), Id(hz1)}", "{true,{distributed,a@localhost}}", LIMIT);
        println!(
            "OTP {}: both run {} ms after the healer began to come",
            otp.number(),
            began.elapsed().as_millis()
        );
        for node in [&mut a, &mut b] {
            node.eval_until("Known()", "[a@localhost,b@localhost,r@localhost]", LIMIT);
        }

        start(&mut a, "[hz4, hz3]", "collect_answers,4");
        start(&mut b, "[hz3, hz4]", "collect_answers,4");
        for node in [&mut a, &mut b] {
            node.eval_until(&format!("length({started})"), "4", LIMIT);
            node.eval_until(answers, "true", LIMIT);
        }
        let parse = |text: String| text.parse::<usize>().expect("a number");
        let deadline = now() + LIMIT;
        loop {
            let both = (parse(a.eval(running)), parse(b.eval(running)));
            if both.0 + both.1 == 4 {
                break;
            }
            assert!(now() < deadline, "{both:?}: {}", healer.output());
        }
        says_so(&healer, "(L7)", 2);
    });
}

/// L8: eight applications that fail over together, among two stock nodes. Alone they wait for each other for ever; a
/// member that comes later tells each what the other cannot.
#[test]
fn l8_eight_applications() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps: Vec<String> = (1..=8).map(name).collect();
        let distributed = distributed(&apps, 10_000, "[a@localhost,{b@localhost,c@localhost}]");
        let [mut a, mut b, mut c] = stock(&cluster, otp, ["a", "b", "c"], &apps, &distributed);
        let count = "length([A || {A, _, _} <- application:which_applications(), lists:prefix(\"hz\", atom_to_list(A))])";
        a.eval_until(count, "8", LIMIT);
        let ids = "lists:usort([Id(A) || A <- [hz1,hz2,hz3,hz4,hz5,hz6,hz7,hz8]])";
        for node in [&mut b, &mut c] {
            node.eval_until(ids, "[{distributed,a@localhost}]", LIMIT);
        }
        a.kill9();
        // Neither begins before the timers of both are over: who has nothing to do yet would answer the other.
        for node in [&mut b, &mut c] {
            node.eval_until(ids, "[{failover,a@localhost}]", LIMIT);
            says(node, "sys:suspend(dist_ac)", "ok");
        }
        for node in [&mut b, &mut c] {
            node.eval_until(
                "length([A || {internal_restart_appl, A} <- element(2, process_info(whereis(dist_ac), messages))])",
                "8",
                LIMIT,
            );
        }
        for node in [&mut b, &mut c] {
            says(node, "sys:resume(dist_ac)", "ok");
        }
        let answers = "try gen_server:call(dist_ac, info, 1000) of _ -> true catch exit:_ -> false end";
        for node in [&mut b, &mut c] {
            // Both at once, and for longer than a message takes.
            node.eval_until(&format!("{{{answers}, {answers}, {answers}}}"), "{false,false,false}", LIMIT);
        }
        let running = |b: &mut ErlNode, c: &mut ErlNode| {
            let parse = |text: String| text.parse::<usize>().expect("a number");
            parse(b.eval(count)) + parse(c.eval(count))
        };
        let alone = running(&mut b, &mut c);
        assert!(alone < 8, "stock nodes came through without help: {alone}");

        let began = now();
        let healer = healer(&cluster, &distributed, &mut [&mut b, &mut c]);
        while running(&mut b, &mut c) < 8 {
            assert!(began.elapsed() < LIMIT, "{} of 8; {}", running(&mut b, &mut c), healer.output());
        }
        println!(
            "OTP {}: {alone} of 8 alone, all {} ms after the healer came",
            otp.number(),
            began.elapsed().as_millis()
        );
        for node in [&mut b, &mut c] {
            node.eval_until(answers, "true", LIMIT);
        }
        says_so(&healer, "(L8)", 1);
    });
}

/// L9: a node that was told twice who runs it, before it started it itself, forgets one of the two. When the runner dies it
/// stands by for a node that waits for it: for its start, or for a weight that it was asked for too early.
#[test]
fn l9_nobody_runs_it() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let apps = [name(1)];
        let distributed = distributed(&apps, 1000, "[a@localhost,{b@localhost,c@localhost}]");
        let start = "application:start(hz1)";
        let mut c = spawn(&cluster, otp, "c", &distributed, "");
        prepare(&mut c, &apps);
        says(&mut c, start, "ok");
        let mut b = spawn(&cluster, otp, "b", &distributed, "c@localhost");
        prepare(&mut b, &apps);
        b.eval_until("Known()", "[b@localhost,c@localhost]", LIMIT);
        let mut a = spawn(&cluster, otp, "a", &distributed, "b@localhost,c@localhost");
        prepare(&mut a, &apps);
        let all = "[a@localhost,b@localhost,c@localhost]";
        for node in [&mut a, &mut b, &mut c] {
            node.eval_until("Known()", all, LIMIT);
        }
        says(&mut a, start, "ok");
        c.eval_until("Id(hz1)", "{distributed,a@localhost}", LIMIT);
        b.eval_until("element(4, dist_ac:info())", "[{a@localhost,hz1},{c@localhost,hz1}]", LIMIT);
        says(&mut b, start, "ok");
        a.kill9();
        b.eval_until("Id(hz1)", "{distributed,c@localhost}", LIMIT);
        let answers = "try gen_server:call(dist_ac, info, 1000) of _ -> true catch exit:_ -> false end";
        c.eval_until(&format!("{{{answers}, {answers}}}"), "{false,false}", LIMIT);
        says(&mut c, "Runs(hz1)", "false");

        let healer = healer(&cluster, &distributed, &mut [&mut b, &mut c]);
        b.eval_until("Runs(hz1)", "true", LIMIT);
        c.eval_until(answers, "true", LIMIT);
        c.eval_until("Id(hz1)", "{distributed,b@localhost}", LIMIT);
        says_so(&healer, "(L9", 1);
    });
}
