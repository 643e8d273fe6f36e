%% What a test of terms asks a running OTP: terms in and out as bytes, thousands in one request.
%%
%% The node connects back to the test as for ct_peer. Request: one byte that says what, then items, each with its
%% length in four bytes before it. Reply: items.
-module(ct_terms).

-export([start/1]).

start([Port]) ->
    {ok, Address} = inet:getaddr("localhost", inet),
    Number = list_to_integer(atom_to_list(Port)),
    spawn(fun() ->
        {ok, Socket} = gen_tcp:connect(Address, Number, [binary, {packet, 4}, {active, false}]),
        try serve(Socket)
        catch Class:Reason:Stack ->
            io:format("~p:~P~n~P~n", [Class, Reason, 30, Stack, 60]),
            halt(1)
        end
    end).

serve(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<What, Items/binary>>} ->
            Replies = answer(What, [Item || <<Length:32, Item:Length/binary>> <= Items]),
            ok = gen_tcp:send(Socket, [[<<(iolist_size(Reply)):32>>, Reply] || Reply <- Replies]),
            serve(Socket);
        {error, closed} ->
            halt()
    end.

%% Each term as this release writes it for readers of minor version Minor; nothing where it is refused.
answer($w, [<<Minor>> | Items]) ->
    [try write(binary_to_term(Item), Minor) catch error:badarg -> <<>> end || Item <- Items];
%% Items are pairs A, B: for each whether A =:= B, A == B, A < B.
answer($c, Items) ->
    compare(Items);
%% The places of the terms after lists:sort/1, each in four bytes.
answer($s, Items) ->
    Terms = [binary_to_term(Item) || Item <- Items],
    Placed = lists:keysort(1, lists:zip(Terms, lists:seq(0, length(Terms) - 1))),
    %% The same order, but that lists:sort/1 gives no places.
    true = lists:sort(Terms) == [Term || {Term, _} <- Placed],
    [<<Place:32>> || {_, Place} <- Placed];
%% Count random terms, each written for readers of minor version Minor, the second time compressed.
answer($r, [<<Seed:64, Count:32, Minor>>]) ->
    rand:seed(exsss, {Seed, 0, 0}),
    lists:append([
        [write(Term, Minor), term_to_binary(Term, [compressed, {minor_version, Minor}])]
     || _ <- lists:seq(1, Count), Term <- [term(rand:uniform(4))]
    ]).

compare([A, B | Items]) ->
    {Left, Right} = {binary_to_term(A), binary_to_term(B)},
    [[bit(Left =:= Right), bit(Left == Right), bit(Left < Right)] | compare(Items)];
compare([]) ->
    [].

bit(true) -> 1;
bit(false) -> 0.

write(Term, Minor) ->
    term_to_binary(Term, [{minor_version, Minor} | deterministic()]).

release() ->
    list_to_integer(erlang:system_info(otp_release)).

deterministic() ->
    [deterministic || release() >= 25].

%% A random term, as this release makes them.
term(Depth) ->
    case rand:uniform(12) of
        Kind when Depth =:= 0; Kind =< 5 -> leaf();
        6 -> list_to_tuple(terms(Depth));
        7 -> terms(Depth);
        8 -> terms(Depth) ++ term(Depth - 1);
        9 -> maps:from_list([{term(Depth - 1), term(Depth - 1)} || _ <- times(6)]);
        10 -> maps:from_list([{{I, leaf()}, I} || I <- times(60)]);
        11 -> closure(term(Depth - 1), leaf());
        12 -> record(Depth)
    end.

terms(Depth) ->
    [term(Depth - 1) || _ <- times(5)].

leaf() ->
    leaf(rand:uniform(20)).

leaf(1) -> rand:uniform(300) - 20;
leaf(2) -> rand:uniform(1 bsl 33) - (1 bsl 32);
%% At the ends of what takes one byte more.
leaf(3) -> sign((1 bsl (8 * rand:uniform(9))) - 2 + rand:uniform(3));
leaf(4) -> sign(rand:uniform(1 bsl rand:uniform(3000)));
leaf(5) -> float();
leaf(6) -> (rand:uniform(2000) - 1000) / 8;
leaf(7) -> lists:nth(rand:uniform(6), [ok, '', 'A b', 'grüße', 'жук', '\x{1F980}']);
leaf(8) -> list_to_atom([lists:nth(rand:uniform(3), [$a, 16#e9, 16#1F980]) || _ <- times(255)]);
leaf(9) -> bytes(times(100));
leaf(10) -> Bytes = bytes(times(20)), Bits = rand:uniform(8) - 1, <<Bytes/binary, 5:Bits>>;
leaf(11) -> binary_to_list(bytes(times(300)));
leaf(12) -> [16#1F980 | [rand:uniform(16#d000) || _ <- times(20)]];
leaf(13) -> lists:nth(rand:uniform(4), [[], {}, #{}, <<>>]);
leaf(14) -> lists:nth(rand:uniform(3), [self(), spawn(fun() -> ok end), group_leader()]);
leaf(15) -> lists:nth(rand:uniform(length(erlang:ports())), erlang:ports());
leaf(16) -> make_ref();
leaf(17) -> alias_or_reference();
leaf(18) -> foreign(lists:nth(rand:uniform(3), [pid, port, reference]));
leaf(19) -> lists:nth(rand:uniform(3), [fun lists:map/2, fun no:such/255, fun 'A b':'жук'/0]);
leaf(20) -> bytes(times(3000)).

sign(Integer) ->
    case rand:uniform(2) of 1 -> Integer; 2 -> -Integer end.

float() ->
    case bytes([1, 2, 3, 4, 5, 6, 7, 8]) of
        <<Float/float>> -> Float;
        _not_a_number -> float()
    end.

bytes(Places) ->
    << <<(rand:uniform(256) - 1)>> || _ <- Places >>.

%% For a comprehension that runs up to Most times.
times(Most) ->
    lists:seq(1, rand:uniform(Most + 1) - 1).

alias_or_reference() ->
    case release() >= 24 of
        true -> apply(erlang, alias, []);
        false -> make_ref()
    end.

%% What another node made.
foreign(pid) ->
    binary_to_term(<<131, 88, (node_name())/binary, (small(15)):32, (small(13)):32, (small(32)):32>>);
foreign(port) ->
    binary_to_term(<<131, 89, (node_name())/binary, (small(28)):32, (small(32)):32>>);
foreign(reference) ->
    Words = << <<(small(32)):32>> || _ <- [2, 3] >>,
    binary_to_term(<<131, 90, 3:16, (node_name())/binary, (small(32)):32, (small(18)):32, Words/binary>>).

node_name() ->
    lists:nth(rand:uniform(3), [<<119, 3, "a@b">>, <<119, 3, "c@d">>, <<119, 5, "é@ж"/utf8>>]).

small(Bits) ->
    rand:uniform(1 bsl Bits) - 1.

closure(A, B) ->
    case rand:uniform(4) of
        1 -> fun() -> A end;
        2 -> fun(X) -> {X, A, B} end;
        3 -> fun ?MODULE:start/1;
        4 -> fun(X, Y) -> X + Y end
    end.

record(Depth) ->
    case release() >= 29 of
        true ->
            Fields = [{list_to_atom([$a + Place]), term(Depth - 1)} || Place <- times(5)],
            Name = lists:nth(rand:uniform(2), [point, 'A b']),
            apply(records, create, [some_module, Name, Fields, #{is_exported => rand:uniform(2) =:= 1}]);
        false ->
            list_to_tuple([record | terms(Depth)])
    end.
