%% Keeps the server running, and owns the name {global, m8ball_sup}.
-module(m8ball_sup).
-behaviour(supervisor).

-export([start_link/0, init/1, register_globally/1]).

%% Started without a name. With one the start would fail during a takeover, when the name is still that of the
%% supervisor on the node taken over, which stops only after this one has started.
start_link() ->
    supervisor:start_link(?MODULE, []).

init([]) ->
    register_globally(?MODULE),
    Server = #{id => m8ball_server, start => {m8ball_server, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 1, period => 10}, [Server]}}.

%% Gives a name to the calling process, taking it from the one who has it.
register_globally(Name) ->
    %% A node that has just booted may not have been told the names of the others: registering now would make two
    %% owners, of which global kills one at random. Not waited for without end: registering is right even then.
    try erpc:call(node(), global, sync, [], 5000)
    catch _:_ -> ok
    end,
    yes = global:re_register_name(Name, self()),
    ok.
