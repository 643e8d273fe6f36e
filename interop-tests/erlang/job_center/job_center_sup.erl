%% Keeps the server running. Without a global name, as m8ball_sup.
-module(job_center_sup).
-behaviour(supervisor).

-export([start_link/1, init/1]).

start_link(Type) ->
    supervisor:start_link(?MODULE, Type).

init(Type) ->
    Server = #{id => job_center_serv, start => {job_center_serv, start_link, [Type]}},
    {ok, {#{strategy => one_for_one, intensity => 1, period => 10}, [Server]}}.
