%% Keeps the server running, and owns the name {global, m8ball_sup}.
-module(m8ball_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

%% Started without a name. With one the start would fail during a takeover, when the name is still that of the
%% supervisor on the node taken over, which stops only after this one has started.
start_link() ->
    supervisor:start_link(?MODULE, []).

init([]) ->
    handover:take_name(?MODULE),
    Server = #{id => m8ball_server, start => {m8ball_server, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 1, period => 10}, [Server]}}.
