%% What an application knows, on its way to the next owner: as crabnode_dist_ac::handover.
-module(handover).

-export([take_name/1, ask/3, pass_on/3]).

%% Gives a global name to the calling process, taking it from the one who has it. Returns that one, or undefined.
take_name(Name) ->
    %% A node that has just booted may not have been told the names of the others: registering now would make two
    %% owners, of which global kills one at random. Not waited for without end: registering is right even then.
    try erpc:call(node(), global, sync, [], 5000)
    catch _:_ -> ok
    end,
    Before = global:whereis_name(Name),
    yes = global:re_register_name(Name, self()),
    case Before of
        Self when Self =:= self() -> undefined;
        _ -> Before
    end.

%% What the old owner knows, or lost. One that is silent is as one that is gone: on a stock node a start that fails
%% would stop the old copy too, and the application would run nowhere.
ask(Server, Request, Limit) ->
    try {ok, gen_server:call(Server, Request, Limit)}
    catch exit:_ -> lost
    end.

%% Passes a call on to the process that has a global name, if that is another, and says whether it has.
pass_on(Name, Request, From) ->
    case global:whereis_name(Name) of
        Owner when is_pid(Owner), Owner =/= self() ->
            Owner ! {'$gen_call', From, Request},
            true;
        _ ->
            false
    end.
