%% A keeper of keys and values as a distributed application that loses none of them when it moves: in a takeover the
%% new owner asks the old one, and for the case that the old one dies everything is in a file besides.
-module(proxima).
-behaviour(application).

-export([put/2, get_state/0]).
-export([start/2, start_phase/3, stop/1]).

put(Key, Value) ->
    gen_server:call({global, proxima}, {put, Key, Value}).

get_state() ->
    gen_server:call({global, proxima}, get_state).

start(Type, []) ->
    io:format("proxima: start ~p on ~p~n", [Type, node()]),
    proxima_sup:start_link().

start_phase(go, Type, []) ->
    say(go, Type),
    proxima_server:go(Type);
start_phase(Phase, Type, []) ->
    say(Phase, Type).

stop(_State) ->
    io:format("proxima: stopped on ~p~n", [node()]).

say(Phase, Type) ->
    io:format("proxima: phase ~p ~p on ~p~n", [Phase, Type, node()]).
