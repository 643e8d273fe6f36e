%% The BEAM's side of `cargo xtask bench etf`: writes the payloads, then measures what it is asked to.
%%
%% Asked by lines on stdin: `decode.beam PAYLOAD COUNT` or `encode.beam PAYLOAD COUNT` does that COUNT times and
%% answers with the nanoseconds it took.
-module(beam_etf).
-export([main/1]).

main([Dir]) ->
    ok = io:setopts([binary]),
    Payloads = maps:from_list([write(Dir, Name, Term) || {Name, Term} <- payloads()]),
    io:format("ready ~s~n", [erlang:system_info(otp_release)]),
    serve(Payloads).

%% As the BEAM writes it, where the keys of a map come in no order, and as it writes it if that is to be the same
%% each time. Atoms are UTF-8, as from OTP 26 on.
write(Dir, Name, Term) ->
    Bytes = term_to_binary(Term, [{minor_version, 2}]),
    ok = file:write_file(filename:join(Dir, <<Name/binary, ".etf">>), Bytes),
    Deterministic = term_to_binary(Term, [{minor_version, 2}, deterministic]),
    ok = file:write_file(filename:join(Dir, <<Name/binary, ".deterministic.etf">>), Deterministic),
    {Name, Bytes}.

serve(Payloads) ->
    case io:get_line("") of
        eof ->
            halt();
        Line ->
            [Method, Name, Count] = binary:split(string:trim(Line), <<" ">>, [global]),
            Bytes = maps:get(Name, Payloads),
            io:format("~b~n", [measured(Method, Bytes, binary_to_integer(Count))]),
            serve(Payloads)
    end.

%% In a process of its own, so that each round starts with the same empty heap. It has room for most payloads from
%% the start; of the sizes tried this one was the fastest, since more no longer fits the caches.
measured(Method, Bytes, Count) ->
    Options = [monitor, {min_heap_size, 300_000}],
    {_, Monitor} = spawn_opt(fun() -> exit({took, took(Method, Bytes, Count)}) end, Options),
    receive
        {'DOWN', Monitor, process, _, {took, Nanoseconds}} -> Nanoseconds
    end.

took(<<"decode.beam">>, Bytes, Count) ->
    Start = erlang:monotonic_time(nanosecond),
    decode(Bytes, Count),
    erlang:monotonic_time(nanosecond) - Start;
took(<<"encode.beam">>, Bytes, Count) ->
    Term = binary_to_term(Bytes),
    Start = erlang:monotonic_time(nanosecond),
    encode(Term, Count, <<>>),
    erlang:monotonic_time(nanosecond) - Start.

decode(_, 0) -> ok;
decode(Bytes, Count) ->
    _ = binary_to_term(Bytes),
    decode(Bytes, Count - 1).

%% The result is handed on: the compiler leaves out a call whose result is not used.
encode(_, 0, Last) -> Last;
encode(Term, Count, _) ->
    encode(Term, Count - 1, term_to_binary(Term)).

payloads() ->
    [
        {<<"list">>, [[{I, ok, I * 7919} || I <- lists:seq(64 * K, 64 * K + 63)] || K <- lists:seq(1, 100)]},
        {<<"map">>, maps:from_list([{key("key", I), I} || I <- lists:seq(1, 10000)])},
        {<<"bin">>, {blob, binary:copy(<<"0123456789abcdef">>, 65536)}},
        {<<"deep">>, [chain(I, 1000) || I <- lists:seq(1, 20)]},
        {<<"structs">>, [struct(I) || I <- lists:seq(1, 10000)]},
        {<<"call">>, {'$gen_call', {pid(), [alias | reference()]}, {get, <<"user:1001">>, [{timeout, 5000}]}}}
    ].

key(Prefix, I) ->
    iolist_to_binary(io_lib:format("~s_~5..0b", [Prefix, I])).

%% A tree that grows to one side.
chain(_, 0) -> leaf;
chain(I, Depth) -> {node, Depth, {leaf, I}, chain(I, Depth - 1)}.

struct(I) ->
    #{
        '__struct__' => 'Elixir.Shop.Customer',
        id => I,
        name => key("customer", I),
        email => <<(key("customer", I))/binary, "@example.com">>,
        age => 18 + I rem 60,
        score => I / 7,
        active => I rem 3 =/= 0,
        tags => [new, gold],
        address => nil
    }.

%% Those of another node, as a call from there has them.
pid() ->
    binary_to_term(<<131, 88, 119, 12, "shop@example", 4711:32, 0:32, 1700000000:32>>).

reference() ->
    binary_to_term(<<131, 90, 5:16, 119, 12, "shop@example", 1700000000:32, 1:32, 2:32, 3:32, 4711:32, 0:32>>).
