%% A magic 8-ball as a distributed application: it runs on one node at a time, and whoever asks need not know which.
-module(m8ball).
-behaviour(application).

-export([ask/1, start/2, stop/1]).

%% Asks the 8-ball, wherever it runs.
ask(_Question) ->
    gen_server:call({global, m8ball_server}, question).

%% normal, {failover, Node} and {takeover, Node} start the same: there is no state to bring along.
start(Type, []) ->
    io:format("m8ball: start ~p on ~p~n", [Type, node()]),
    m8ball_sup:start_link().

stop(_State) ->
    io:format("m8ball: stopped on ~p~n", [node()]).
