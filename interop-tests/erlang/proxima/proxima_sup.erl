%% Keeps the server running.
-module(proxima_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link(?MODULE, []).

init([]) ->
    Server = #{id => proxima_server, start => {proxima_server, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 1, period => 10}, [Server]}}.
