//! `pg` between stock nodes and ours (cluster-services.md 4, items 35 to 40).

use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

/// In `erl`: scopes and their members on both sides, as sorted lists. `New` is a process of a node.
const WORDS: &str = "
    R = r@localhost,
    New = fun(Node) -> erlang:spawn(Node, timer, sleep, [infinity]) end,
    Here = fun(S, G) -> lists:sort(pg:get_members(S, G)) end,
    There = fun(S, G) -> lists:sort(rpc:call(R, pg, get_members, [S, G])) end,
    Both = fun(S, G) -> {Here(S, G), There(S, G)} end,
    Wait = fun(Fun) -> ct_peer:wait(Fun, 15000) end,
    Are = fun(S, G, Pids) -> L = lists:sort(Pids), Wait(fun() -> {L, L} =:= Both(S, G) end) end,
    Start = fun(here, S) -> {ok, P} = pg:start(S), P; (there, S) -> {ok, P} = rpc:call(R, pg, start, [S]), P end,
    Join = fun(S, G, P) -> ok = rpc:call(R, pg, join, [S, G, P]) end,
    Leave = fun(S, G, P) -> rpc:call(R, pg, leave, [S, G, P]) end,
    ok";

/// Both connected, without any scope.
fn pair(otp: &Otp) -> Pair {
    let mut pair = Pair::start(otp);
    pair.erl.eval(WORDS);
    pair.says("net_adm:ping(R)", "pong");
    pair
}

/// Both connected, each with the scope `s`.
fn scopes(otp: &Otp) -> Pair {
    let mut pair = pair(otp);
    pair.erl.eval("S = s, Scope = Start(here, S), RScope = Start(there, S), ok");
    pair
}

/// A hidden node that tells the peer what to do while it is not connected with the `erl`.
fn helper(otp: &Otp, cluster: &Cluster) -> ErlNode {
    let mut helper = cluster.erl_with(otp, "h", &NodeSpec::hidden());
    helper.eval(WORDS);
    helper
}

#[test]
fn item_35_scopes_of_either_side_agree_whichever_starts_first() {
    each_release(|otp| {
        let mut pair = pair(otp);
        for (scope, first, second) in
            [("pg", "here", "there"), ("'any name'", "there", "here"), ("'ünï'", "here", "there")]
        {
            // Those that were there before, and those that come.
            pair.says(
                &format!(
                    "S = {scope}, A = New(node()), B = New(R), C = New(node()), D = New(R),
                     Start({first}, S),
                     case {first} of here -> pg:join(S, g, A); there -> Join(S, g, B) end,
                     Start({second}, S),
                     case {first} of here -> Join(S, g, B); there -> pg:join(S, g, A) end,
                     ok = Are(S, g, [A, B]),
                     ok = pg:join(S, {{other, [1.0]}}, C), ok = Join(S, {{other, [1.0]}}, D),
                     ok = Are(S, {{other, [1.0]}}, [C, D]),
                     [B] = rpc:call(R, pg, get_local_members, [S, g]),
                     [A] = pg:get_local_members(S, g),
                     {{lists:sort(pg:which_groups(S)), lists:sort(rpc:call(R, pg, which_groups, [S]))}}"
                ),
                "{[g,{other,[1.0]}],[g,{other,[1.0]}]}",
            );
        }
        // The functions without a scope mean `pg`; one that is missing is nobody, and an error.
        pair.says("length(rpc:call(R, pg, get_members, [g]))", "2");
        pair.says("P = New(R), ok = rpc:call(R, pg, join, [mine, P]), Are(pg, mine, [P])", "ok");
        pair.says("rpc:call(R, pg, get_members, [nowhere, g])", "[]");
        for function in ["{which_groups, [nowhere]}", "{join, [nowhere, g, New(R)]}"] {
            pair.says(
                &format!("{{F, A}} = {function}, {{badrpc, {{'EXIT', _}}}} = rpc:call(R, pg, F, A), ok"),
                "ok",
            );
        }
        pair.says(
            "{error, {already_started, P}} = rpc:call(R, pg, start, [pg]), P =:= rpc:call(R, erlang, whereis, [pg])",
            "true",
        );
        // Each node says who of its own is in a group.
        pair.says(
            "M = self(), {badrpc, {'EXIT', {{nolocal, M}, _}}} = rpc:call(R, pg, join, [pg, g, M]),
             {badrpc, {'EXIT', {{nolocal, M}, _}}} = rpc:call(R, pg, leave, [pg, g, [New(R), M]]),
             {badrpc, {'EXIT', {{nolocal, x}, _}}} = rpc:call(R, pg, join, [pg, g, [x]]), length(There(pg, g))",
            "2",
        );
        pair.says("try pg:join(pg, g, New(R)) catch error:{nolocal, _} -> nolocal end", "nolocal");
    });
}

#[test]
fn item_36_joins_leaves_and_deaths() {
    each_release(|otp| {
        let mut pair = scopes(otp);
        // One, a list, the same one several times, from either side.
        pair.says(
            "[A, B, C] = [New(R), New(R), New(R)], X = New(node()),
             Join(S, g, A), ok = Are(S, g, [A]),
             Join(S, g, [B, C, A]), pg:join(S, g, [X, X]), ok = Are(S, g, [A, A, B, C, X, X]),
             ok = Leave(S, g, A), ok = Are(S, g, [A, B, C, X, X]),
             ok = Leave(S, g, [B, C, C]), ok = Are(S, g, [A, X, X]),
             not_joined = Leave(S, g, B), not_joined = Leave(S, g, [B, C]), not_joined = Leave(S, nobody, A),
             ok = Leave(S, g, [B, A]), ok = Are(S, g, [X, X]),
             pg:leave(S, g, X), ok = Are(S, g, [X]), pg:leave(S, g, X), ok = Are(S, g, []),
             {pg:which_groups(S), rpc:call(R, pg, which_groups, [S])}",
            "{[],[]}",
        );
        // One that ends leaves all its groups, as often as it is in them.
        pair.says(
            "[A, B] = [New(R), New(R)], X = New(node()),
             [Join(S, G, [A, B]) || G <- [g, g, h]], [pg:join(S, G, X) || G <- [g, g, i]],
             ok = Are(S, g, [A, A, B, B, X, X]),
             exit(A, kill), ok = Are(S, g, [B, B, X, X]), ok = Are(S, h, [B]),
             exit(X, kill), ok = Are(S, g, [B, B]), ok = Are(S, i, []),
             exit(B, kill), ok = Are(S, g, []), ok = Are(S, h, []),
             {pg:which_groups(S), rpc:call(R, pg, which_groups, [S])}",
            "{[],[]}",
        );
        // A dead one that joins is out at once; one that leaves as it dies does no harm.
        pair.says(
            "D = New(R), exit(D, kill), Join(S, g, D), ok = Are(S, g, []),
             [begin P = New(R), Join(S, g, P), exit(P, kill), Leave(S, g, P) end || _ <- lists:seq(1, 50)],
             ok = Are(S, g, []), {Scope, RScope} =:= {whereis(S), rpc:call(R, erlang, whereis, [S])}",
            "true",
        );
    });
}

#[test]
fn item_37_scopes_that_are_started_anew_or_missing() {
    each_release(|otp| {
        let config = |cluster: &Cluster| {
            let path = cluster.write("pg.config", "[{kernel, [{start_pg, true}]}].");
            NodeSpec { config: Some(path), ..NodeSpec::default() }
        };
        let cluster = Cluster::new(otp);
        let _peer = cluster.peer_with("r", &config(&cluster));
        let mut erl = cluster.erl_with(otp, "e", &config(&cluster));
        let mut helper = helper(otp, &cluster);
        erl.eval(WORDS);
        // Members before the nodes have met: the default scope, which the configuration has started.
        helper.eval("[A, B] = [New(R), New(R)], Join(pg, g, [A, B])");
        erl.eval("X = New(node()), pg:join(pg, g, X)");
        says(&mut helper, "length(There(pg, g))", "2");
        says(&mut erl, "pong = net_adm:ping(R), Wait(fun() -> length(Here(pg, g)) =:= 3 end)", "ok");
        says(&mut erl, "Are(pg, g, Here(pg, g))", "ok");
        // Ours ends, and is started anew without its members, as a stock one.
        says(
            &mut erl,
            "Old = rpc:call(R, erlang, whereis, [pg]), exit(Old, kill),
             ok = Are(pg, g, [X]),
             ok = Wait(fun() -> P = rpc:call(R, erlang, whereis, [pg]), is_pid(P) andalso P =/= Old end),
             P = New(R), Join(pg, g, P), Are(pg, g, [P, X])",
            "ok",
        );
        // Theirs.
        says(
            &mut erl,
            "There1 = There(pg, g), exit(whereis(pg), kill), Wait(fun() -> There(pg, g) =:= There1 -- [X] end)",
            "ok",
        );
        says(
            &mut erl,
            "ok = Wait(fun() -> is_pid(whereis(pg)) end), ok = pg:join(pg, g, X), Are(pg, g, [X | There(pg, g) -- [X]])",
            "ok",
        );
        // A scope that one side has and the other has not, until it has.
        says(
            &mut erl,
            "Q = New(R), Start(there, t), Join(t, g, Q), [] = pg:get_members(t, g), Leave(t, g, Q), Join(t, h, Q),
             Start(here, t), ok = Are(t, h, [Q]),
             gen_server:stop(t), Leave(t, h, Q), Join(t, i, Q), Start(here, t), ok = Are(t, i, [Q]), Are(t, h, [])",
            "ok",
        );
        // By `gen_server:stop`, as any other server.
        says(&mut erl, "gen_server:stop({t, R}), Are(t, i, [])", "ok");
        says(&mut erl, "Start(there, t), Z = New(R), Join(t, j, Z), Are(t, j, [Z])", "ok");
    });
}

#[test]
fn item_38_a_net_that_splits_and_heals() {
    each_release(|otp| {
        let mut pair = scopes(otp);
        let mut helper = helper(otp, &pair.cluster);
        pair.says(
            "[A, B, X, Y] = [New(R), New(R), New(node()), New(node())],
             Join(S, g, [A, B]), pg:join(S, g, [X, Y]), Are(S, g, [A, B, X, Y])",
            "ok",
        );
        for (connect, connected) in
            [("net_adm:ping(R)", "pong"), ("rpc:call(R, erlang, node, [])", "r@localhost")]
        {
            // The BEAM's `global` connects again where it is cut off as it meets another. It has done so when nobody
            // holds its lock any more.
            pair.says(
                "ok = global:sync(), ok = rpc:call(R, global, sync, []), Lock = {global, self()},
                 {global:set_lock(Lock, [node(), R]), global:del_lock(Lock, [node(), R])}",
                "{true,true}",
            );
            pair.says("erlang:disconnect_node(R), Wait(fun() -> length(Here(S, g)) =:= 2 end)", "ok");
            says(&mut helper, "Wait(fun() -> length(There(s, g)) =:= 2 end)", "ok");
            // Each goes on by itself: one leaves, one comes, and one more group.
            says(
                &mut helper,
                "[A, B] = There(s, g), C = New(R), Join(s, g, C), Leave(s, g, A), Join(s, make_ref(), B)",
                "ok",
            );
            pair.says(
                "[X, Y] = Here(S, g), Z = New(node()), pg:join(S, g, Z), pg:leave(S, g, X), pg:join(S, make_ref(), Y)",
                "ok",
            );
            pair.says("{length(Here(S, g)), nodes()}", "{2,[]}");
            pair.says(connect, connected);
            pair.says(
                "Groups = fun() -> lists:sort(pg:which_groups(S)) end,
                 ok = Wait(fun() -> length(Here(S, g)) =:= 4 andalso Here(S, g) =:= There(S, g) end),
                 Wait(fun() -> Groups() =:= lists:sort(rpc:call(R, pg, which_groups, [S])) end),
                 lists:all(fun(G) -> Here(S, G) =:= There(S, G) end, Groups())",
                "true",
            );
        }
        pair.says("length(pg:which_groups(S))", "5");
        // What is said to be all there is replaces what was known, true or not.
        pair.says(
            "F = New(R), Ours = rpc:call(R, pg, get_local_members, [S, g]), Mine = pg:get_local_members(S, g),
             gen_server:cast(RScope, {sync, Scope, [{forged, [F]}]}),
             ok = Wait(fun() -> There(S, forged) =:= [F] andalso There(S, g) =:= lists:sort(Ours) end),
             gen_server:cast(RScope, {sync, Scope, [{g, Mine}]}), ok = Are(S, g, Ours ++ Mine),
             Scope =:= whereis(S)",
            "true",
        );
    });
}

#[test]
fn item_39_monitors_and_a_storm() {
    each_release(|otp| {
        let mut pair = scopes(otp);
        if otp.number() >= 25 {
            pair.says(
                "Next = fun() -> receive M -> M after 15000 -> nothing end end,
                 {All, #{}} = pg:monitor_scope(S), {One, []} = pg:monitor(S, g),
                 [A, B] = [New(R), New(R)],
                 Join(S, h, A), {All, join, h, [A]} = Next(),
                 Join(S, g, [A, B]), M1 = lists:sort([Next(), Next()]),
                 M1 = lists:sort([{All, join, g, [A, B]}, {One, join, g, [A, B]}]),
                 ok = Leave(S, g, B), M2 = lists:sort([Next(), Next()]),
                 M2 = lists:sort([{All, leave, g, [B]}, {One, leave, g, [B]}]),
                 exit(A, kill), M3 = lists:sort([Next(), Next(), Next()]),
                 M3 = lists:sort([{All, leave, h, [A]}, {All, leave, g, [A]}, {One, leave, g, [A]}]),
                 ok = pg:demonitor(S, All), ok = pg:demonitor(S, One), ct_peer:flush()",
                "[]",
            );
            // The other way round: our scope tells a process of the BEAM, which asks it in its own release's words.
            let (scope, group, end) = match otp.number() {
                29.. => ("{subscribe, scope}", "{subscribe, {group, g}}", "unsubscribe"),
                _ => ("monitor", "{monitor, g}", "demonitor"),
            };
            pair.says(
                &format!(
                    "Next = fun() -> receive M -> M after 15000 -> nothing end end,
                     {{All, #{{}}}} = gen_server:call({{S, R}}, {scope}), {{One, []}} = gen_server:call({{S, R}}, {group}),
                     X = New(node()), pg:join(S, g, X), M1 = lists:sort([Next(), Next()]),
                     M1 = lists:sort([{{All, join, g, [X]}}, {{One, join, g, [X]}}]),
                     ok = gen_server:call({{S, R}}, {{{end}, One}}),
                     exit(X, kill), {{All, leave, g, [X]}} = Next(),
                     ok = gen_server:call({{S, R}}, {{{end}, All}}), ct_peer:flush()"
                ),
                "[]",
            );
        }
        // A thousand members, each alone and all at once, with their deaths.
        pair.says(
            "Ps = [New(R) || _ <- lists:seq(1, 1000)],
             Call = fun(F, A) -> erlang:spawn(R, pg, F, A) end,
             [Call(join, [S, I rem 7, P]) || {I, P} <- lists:enumerate(Ps)],
             Call(join, [S, all, Ps]),
             ok = ct_peer:wait(fun() -> length(Here(S, all)) =:= 1000 andalso length(Here(S, 3)) >= 142 end, 15000),
             [Call(leave, [S, I rem 7, P]) || {I, P} <- lists:enumerate(Ps), I rem 2 =:= 0],
             [exit(P, kill) || {I, P} <- lists:enumerate(Ps), I rem 3 =:= 0],
             Call(leave, [S, all, Ps]),
             [exit(P, kill) || P <- Ps],
             ok = ct_peer:wait(fun() -> pg:which_groups(S) =:= [] andalso rpc:call(R, pg, which_groups, [S]) =:= [] end, 15000),
             {Scope, RScope} =:= {whereis(S), rpc:call(R, erlang, whereis, [S])}"
                .replace("lists:enumerate(Ps)", "lists:zip(lists:seq(1, 1000), Ps)")
                .as_str(),
            "true",
        );
    });
}

/// Releases that can be mixed at all: 23 has no connection with 27, and the greeting of a scope of 29 ends those of 23
/// and 25.
fn mixes() -> Vec<Vec<Otp>> {
    let of = |numbers: &[u32]| {
        let all = Otp::available().into_iter();
        all.filter(|otp| numbers.contains(&otp.number())).collect()
    };
    vec![of(&[23, 25]), of(&[25, 27]), of(&[27, 29])]
}

#[test]
fn item_40_releases_of_both_protocols_beside_ours() {
    for mix in mixes() {
        let Some(newest) = mix.last() else { continue };
        let cluster = Cluster::new(newest);
        let peer = cluster.peer("r");
        let mut nodes: Vec<ErlNode> =
            mix.iter().map(|otp| cluster.erl(otp, &format!("n{}", otp.number()))).collect();
        // A process by the scope's name keeps what ours says to it.
        for erl in &mut nodes {
            erl.eval(WORDS);
            erl.eval("register(eaves, self()), register(s, spawn(fun Loop() -> receive M -> eaves ! M, Loop() end end))");
            erl.eval("pong = net_adm:ping(R)");
        }
        says(&mut nodes[0], "Start(there, s), ok", "ok");
        for erl in &mut nodes {
            says(
                erl,
                "receive {discover, P} when node(P) =:= R -> s ! {self(), x} after 15000 -> nothing end,
                 [M || M <- ct_peer:flush(100), element(1, M) =:= discover, node(element(2, M)) =:= R]",
                "[]",
            );
            says(
                erl,
                "Old = monitor(process, s), exit(whereis(s), kill), receive {'DOWN', Old, _, _, _} -> gone after 15000 -> late end",
                "gone",
            );
            erl.eval("Scope = Start(here, s), P = New(node()), pg:join(s, g, P)");
        }
        let count = nodes.len() + 1;
        says(&mut nodes[0], "Q = New(R), Join(s, g, [Q, Q]), Join(s, h, Q), ok", "ok");
        for erl in &mut nodes {
            erl.eval_until("length(Here(s, g))", &(count + 1).to_string(), SOON);
            erl.eval_until("There(s, g) =:= Here(s, g)", "true", SOON);
        }
        // What ours is to one that speaks both: one of the first protocol.
        if newest.number() >= 29 {
            let last = nodes.last_mut().expect("the newest");
            says(
                last,
                "[V || M <- tuple_to_list(sys:get_state(s)), is_map(M), {P, {_, V, _}} <- maps:to_list(M),
                       is_pid(P), node(P) =:= R]",
                "[0]",
            );
        }
        says(&mut nodes[0], "[exit(P, kill) || P <- Here(s, h)], ok", "ok");
        for erl in &mut nodes {
            erl.eval_until("length(Here(s, g))", &(count - 1).to_string(), SOON);
        }
        for erl in &mut nodes {
            erl.eval("pg:leave(s, g, P)");
        }
        for erl in &mut nodes {
            erl.eval_until("{pg:which_groups(s), rpc:call(R, pg, which_groups, [s])}", "{[],[]}", SOON);
            says(erl, "Scope =:= whereis(s)", "true");
        }
        leave(peer);
    }
}

/// It leaves in order, and had nothing to complain of.
fn leave(mut peer: RustNode) {
    peer.process().signal("TERM");
    let status = peer.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(status.code(), Some(0), "{}", peer.output());
    assert_eq!(peer.output().lines().count(), 1, "only the line `ready`: {}", peer.output());
}
