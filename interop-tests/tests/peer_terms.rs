//! Terms and messages between a stock `erl` of every release and a `crabnode peer`: what goes out comes back the
//! same, whole and in order.

mod peer_support;
use peer_support::{Pair, each_release};

/// Terms of every kind and at the ends of their ranges.
const TERMS: &str = "[
    0, 1, 255, 256, -1, 16#7fffffff, -16#80000000, 16#80000000, -16#80000001,
    16#7ffffffffffffff, -16#800000000000000, 16#800000000000000, 16#7fffffffffffffff, 16#ffffffffffffffff,
    -16#ffffffffffffffff, 1 bsl 64, -(1 bsl 64), 1 bsl 2039, 1 bsl 2040, -(1 bsl 2040), (1 bsl 80000) - 1,
    0.0, 1.5, -1.5, 1.0e308, 5.0e-324, 0.1, -1.7976931348623157e308, 3.141592653589793,
    a, '', 'A b', 'grüße', 'жук', '日本語', '\\x{1F980}', list_to_atom(lists:duplicate(255, $x)),
    list_to_atom(lists:duplicate(255, 16#1F980)),
    <<>>, <<0>>, <<1, 2, 3>>, <<1:1>>, <<0:7>>, <<5:3>>, <<1, 2, 3, 127:7>>, binary:copy(<<7>>, 70000),
    list_to_bitstring([binary:copy(<<170>>, 300), <<1:2>>]),
    [], [1], [256], [a | b], [1, 2, 3 | 4], [[] | []], \"text\", \"日本\", lists:seq(1, 300),
    lists:duplicate(65535, $x), lists:duplicate(65536, $x), [[[[[[]]]]]],
    {}, {1}, {a, {b, {c}}}, list_to_tuple(lists:seq(1, 300)),
    #{}, #{a => 1}, #{1 => a, 1.0 => b}, #{[] => {}, {} => [], #{} => #{x => #{}}},
    maps:from_list([{I, -I} || I <- lists:seq(1, 40)]),
    maps:from_list([{{I}, <<I>>} || I <- lists:seq(1, 255)]),
    self(), whereis(init), group_leader(), rpc:call(R, erlang, self, []), list_to_pid(\"<0.32767.8191>\"),
    make_ref(), hd(erlang:ports()), lists:last(erlang:ports()),
    fun lists:map/2, fun no:such/0, fun erlang:'+'/255,
    fun ct_peer:flush/0, fun(X) -> {X, R} end, fun(X, Y) -> X + Y end, fun() -> fun() -> self() end end,
    [Deep || Deep <- [lists:foldl(fun(_, Acc) -> [Acc] end, [], lists:seq(1, 900))]],
    lists:foldl(fun(_, Acc) -> {Acc, a} end, end_of_it, lists:seq(1, 900)),
    lists:foldl(fun(I, Acc) -> #{I => Acc} end, #{}, lists:seq(1, 900))
]";

#[test]
fn terms_come_back_identical() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let echo = "Echo = fun(T) -> {echo, R} ! {self(), T}, receive {echo, Back} -> Back after 15000 -> error(late) end end";
        pair.erl.eval(echo);
        pair.erl.eval(&format!("Terms = {TERMS}"));
        // What differs is named by its place.
        pair.says(
            "[I || {I, T} <- lists:zip(lists:seq(1, length(Terms)), Terms), try Echo(T) =/= T catch error:late -> true end]",
            "[]",
        );
        pair.says("Echo(Terms) =:= Terms", "true");
        pair.says("gen_server:call({echo_server, R}, Terms) =:= {echo, Terms}", "true");
        pair.says("rpc:call(R, erlang, apply, [erlang, throw, [Terms]]) =:= Terms", "true");
        // As a reason of an exit, of a DOWN and in the name of a call.
        pair.says(
            "P = rpc:call(R, erlang, whereis, [source]), M = monitor(process, P), P ! {self(), die, Terms},
             receive {'DOWN', M, process, P, Why} -> Why =:= Terms after 15000 -> late end",
            "true",
        );
        // Bytes, not only values: a fun still runs, and a float keeps its sign.
        pair.says("(Echo(fun(X) -> X + 1 end))(41)", "42");
        pair.says("((Echo(fun() -> R end))())", "r@localhost");
        pair.says("<<0:64/float>> =:= <<(Echo(0.0)):64/float>>", "true");
        pair.says("Bits = <<16#8000000000000000:64>>, <<Minus0:64/float>> = Bits, <<(Echo(Minus0)):64/float>> =:= Bits", "true");
        pair.says("[term_to_binary(Echo(T)) =:= term_to_binary(T) || T <- Terms, not is_map(T)] -- lists:duplicate(1000, true)", "[]");
        // Aliases: five words of a reference, and messages to them.
        if otp.number() >= 24 {
            pair.says(
                "A = alias(), A = Echo(A), rpc:call(R, erlang, send, [A, hello]), receive hello -> unalias(A) after 15000 -> late end",
                "true",
            );
        }
        if otp.number() >= 29 {
            pair.erl.eval(
                "Record = records:create(some_module, point, [{x, 1}, {y, [2.5]}], #{is_exported => true})",
            );
            pair.says("Echo(Record) =:= Record", "true");
            pair.says(
                "Local = records:create(m, empty, [], #{is_exported => false}), Echo({Local}) =:= {Local}",
                "true",
            );
        }
        pair.says("ct_peer:flush()", "[]");
    });
}

#[test]
fn large_messages_come_back_whole() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let echo = "Echo = fun(T) -> {echo, R} ! {self(), T}, receive {echo, Back} -> Back after 15000 -> error(late) end end";
        pair.erl.eval(echo);
        pair.says("B = binary:copy(<<\"crab\">>, 5 * 1024 * 1024 div 4), Echo(B) =:= B", "true");
        pair.says("L = lists:seq(1, 500000), Echo(L) =:= L", "true");
        pair.says("T = [{I, <<I:64>>, \"some text\"} || I <- lists:seq(1, 100000)], Echo(T) =:= T", "true");
        pair.says(
            "B = binary:copy(<<7>>, 5 * 1024 * 1024), gen_server:call({echo_server, R}, B, 30000) =:= {echo, B}",
            "true",
        );
        // A small message beside large ones, and the link is what it was.
        pair.says(
            "B = binary:copy(<<9>>, 5 * 1024 * 1024), [{echo, R} ! {self(), {I, B}} || I <- lists:seq(1, 5)],
             [receive {echo, {I, B}} -> I after 30000 -> late end || I <- lists:seq(1, 5)]",
            "[1,2,3,4,5]",
        );
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
    });
}

#[test]
fn ten_thousand_messages_keep_their_order() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        // Out and back.
        pair.says(
            "[{echo, R} ! {self(), I} || I <- lists:seq(1, 10000)],
             [receive Any -> Any after 15000 -> error(late) end || _ <- lists:seq(1, 10000)]
                 =:= [{echo, I} || I <- lists:seq(1, 10000)]",
            "true",
        );
        // Asked for by pid and by name; what `source` says last comes last.
        pair.says(
            "{source, R} ! {self(), {blast, self(), 10000, {tick, <<1, 2, 3>>}}},
             [receive Any -> Any after 15000 -> error(late) end || _ <- lists:seq(1, 10001)]
                 =:= lists:duplicate(10000, {tick, <<1, 2, 3>>}) ++ [{blast_done, 10000}]",
            "true",
        );
        pair.says(
            "register(here, self()), {source, R} ! {self(), {blast, {here, node()}, 10000, tick}},
             [receive Any -> Any after 15000 -> error(late) end || _ <- lists:seq(1, 10001)]
                 =:= lists:duplicate(10000, tick) ++ [{blast_done, 10000}]",
            "true",
        );
        // Numbered at their source: two peers' worth of one order, through the peer's own processes.
        pair.says(
            "[{sink, R} ! I || I <- lists:seq(1, 10000)], {sink, R} ! {self(), sync},
             receive {sink, N} -> N after 15000 -> late end",
            "10000",
        );
        pair.says("{sink, R} ! {self(), sync}, receive {sink, N} -> N after 15000 -> late end", "0");
        // What a process says before its end arrives before the news of its end.
        pair.says(
            "process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [echo]), link(P),
             [P ! {self(), I} || I <- lists:seq(1, 100)], P ! {self(), die, stop}, P ! {self(), never},
             [receive Any -> Any after 15000 -> late end || _ <- lists:seq(1, 101)]
                 =:= [{echo, I} || I <- lists:seq(1, 100)] ++ [{'EXIT', P, stop}]",
            "true",
        );
        pair.says("ct_peer:flush(50)", "[]");
    });
}
