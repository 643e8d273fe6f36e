//! Messages: where they go, and in which order.

use crate::{
    actor::Duo,
    peer_support::{Pair, SOON, each_release},
};

/// To a pid, a name and an alias; to what is not there, or was, it is dropped and nothing else happens.
#[test]
fn item_38_a_message_reaches_its_receiver_or_nobody() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval("register(here, self()), Dead = spawn(fun() -> ok end), net_kernel:monitor_nodes(true)");
        // From us.
        duo.says(
            "Tell({send, self(), to_pid}), Tell({send, {here, node()}, to_name}),
             Tell({send, Dead, x}), Tell({send, {nobody, node()}, x}), Tell({send, self(), last}),
             [] = Told(), ct_peer:flush(50)",
            "[to_pid,to_name,last]",
        );
        if otp.number() >= 24 {
            duo.says(
                "Alias = alias(), Tell({send, Alias, to_alias}), [] = Told(), true = unalias(Alias),
                 Tell({send, Alias, x}), [] = Told(), ct_peer:flush(50)",
                "[to_alias]",
            );
        }
        // To us: what comes for a process of another life of the node has its number and not its creation.
        duo.says(
            "Gone = rpc:call(R, erlang, self, []),
             [To ! x || To <- [Gone, Reborn(A), {nobody, R}]], A ! to_pid, {actor, R} ! to_name, Told()",
            "[to_pid,to_name]",
        );
        duo.says("ct_peer:flush(50)", "[]");
    });
}

/// Long messages go in fragments, short ones and exits do not: still each comes behind what was sent before.
#[test]
fn item_39_messages_and_exits_keep_their_order() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        // Every seventh is longer than what either side sends whole.
        let messages = "Ms = [if N rem 7 =:= 3 -> {N, binary:copy(<<N>>, 2500000)}; true -> {N, short} end
                             || N <- lists:seq(1, 40)], ok";
        duo.erl.eval(messages);
        // From us: messages to a process that is linked, then the exit of the sender.
        duo.erl.eval(
            "Self = self(),
             Collect = fun Collect(All) ->
                 receive {'EXIT', A, Why} -> Self ! {collected, lists:reverse(All), Why};
                         M -> Collect([M | All]) end end,
             C = spawn(fun() -> process_flag(trap_exit, true), link(A), Self ! linked, Collect([]) end),
             receive linked -> ok end, Tell({send_each, C, Ms}), Tell({'end', done})",
        );
        duo.says("receive {collected, All, done} -> All =:= Ms after 15000 -> late end", "true");
        // To us: the same, with the exit of a process that is linked, and an exit/2 behind the messages.
        duo.runtime.block_on(async {
            let name = crabnode::SpawnOptions { name: Some("actor".into()), ..Default::default() };
            duo.node.spawn_with(name, crate::actor::act).expect("the name is free again")
        });
        duo.erl.eval("A2 = rpc:call(R, erlang, whereis, [actor])");
        duo.says(
            "Told2 = fun() -> A2 ! {act, {told, self()}}, receive {told, Them} -> Them after 15000 -> late end end,
             P = spawn(fun() -> link(A2), [A2 ! M || M <- Ms], exit(A2, ordered), A2 ! behind, exit(last) end),
             MRef = monitor(process, P), receive {'DOWN', MRef, _, _, _} -> ok end,
             Told2s = fun Told2s(All) when length(All) >= length(Ms) + 3 -> All;
                          Told2s(All) -> timer:sleep(5), Told2s(All ++ Told2()) end,
             Told2s([]) =:= Ms ++ [{'EXIT', P, ordered}, behind, {'EXIT', P, last}]",
            "true",
        );
    });
}

/// Whose group leader is another node's process has its output there; and a process of ours can be given another.
#[test]
fn item_47_a_group_leader_of_another_node() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says(
            "P = spawn(R, timer, sleep, [infinity]), true = erlang:group_leader(self(), P),
             {group_leader, G} = rpc:call(R, erlang, process_info, [P, group_leader]), exit(P, kill), G =:= self()",
            "true",
        );
        // A process started over there has its parent's, as it came with the request.
        pair.says(
            "P = spawn(R, timer, sleep, [infinity]),
             {group_leader, G} = rpc:call(R, erlang, process_info, [P, group_leader]), exit(P, kill),
             G =:= group_leader()",
            "true",
        );
    });
}

/// `gen_server:call`, `ping` and `global:sync` against a node of ours, each within a second. The first `global:sync` of a
/// connection waits until `global` has met the other node, so that another attempt has another connection.
#[test]
fn item_54_calls_pings_and_global_are_served_in_time() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        for (expressions, wanted) in [
            ("gen_server:call({echo_server, R}, x, 1000)", "{echo,x}"),
            ("net_adm:ping(R)", "pong"),
            ("global:sync()", "ok"),
            ("global:trans({l, self()}, fun() -> held end)", "held"),
        ] {
            let timed = format!(
                "(fun() -> {{Us, {wanted}}} = timer:tc(fun() -> {expressions} end), Us < 1000000 end)()"
            );
            // A machine that is busy may be late with one of them.
            let in_time = (0..5).any(|attempt| {
                if attempt > 0 {
                    pair = Pair::connected(otp);
                }
                match pair.erl.try_eval(&timed, SOON) {
                    Ok(in_time) => in_time == "true",
                    Err(error) => {
                        assert!(error.contains("{timeout,"), "{expressions}: {error}");
                        false
                    }
                }
            });
            assert!(in_time, "OTP {}: {expressions} takes a second and more", otp.number());
        }
    });
}

#[test]
fn item_54_a_gen_server_is_called_in_every_way() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
        pair.says("gen_server:call({echo_server, R}, x, infinity)", "{echo,x}");
        pair.says(
            "P = rpc:call(R, erlang, whereis, [echo_server]), gen_server:call(P, {a, [1.5]})",
            "{echo,{a,[1.5]}}",
        );
        pair.says(
            "gen_server:multi_call([R, node()], echo_server, x)",
            "{[{r@localhost,{echo,x}}],[e@localhost]}",
        );
        pair.says(
            "Q = gen_server:send_request({echo_server, R}, x), gen_server:wait_response(Q, 20000)",
            "{reply,{echo,x}}",
        );
        pair.says("gen_server:cast({echo_server, R}, x)", "ok");
        pair.says("gen_server:abcast([R], echo_server, x)", "abcast");
        pair.says("{echo_server, R} ! anything, gen_server:call({echo_server, R}, y)", "{echo,y}");
        // The caller's monitor is gone with the call: nothing of it is left to come.
        pair.says("ct_peer:flush(50)", "[]");
        pair.says(
            "ok = gen_server:stop({echo_server, R}), rpc:call(R, erlang, whereis, [echo_server])",
            "undefined",
        );
    });
}
