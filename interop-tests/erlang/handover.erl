%% What an application knows, on its way to the next owner: as crabnode_dist_ac::handover.
-module(handover).

-export([take_name/1, ask/3, pass_on/3]).

%% Milliseconds from one look at who has a name to the next.
-define(LOOK_AFTER, 300).

%% Gives a global name to the calling process, taking it from the one who has it. Returns that one, or undefined.
%%
%% After the network was divided two processes have the name, of which dist_ac stops one. By default global would kill
%% one of the two, perhaps the other one. Here it takes the name from one of them, who has it back when it is free.
take_name(Name) ->
    %% A node that has just booted may not have been told the names of the others: registering now would make two
    %% owners for a while. Not waited for without end: registering is right even then.
    try erpc:call(node(), global, sync, [], 5000)
    catch _:_ -> ok
    end,
    Self = self(),
    Before = global:whereis_name(Name),
    yes = give_name(Name, Self),
    case Before of
        Self -> undefined;
        _ ->
            spawn(fun() -> keep_name(Name, Self, monitor(process, Self)) end),
            Before
    end.

give_name(Name, Pid) ->
    global:re_register_name(Name, Pid, fun global:random_notify_name/3).

%% Nobody is told that a name is free.
keep_name(Name, Pid, Monitor) ->
    receive
        {'DOWN', Monitor, process, Pid, _} -> ok
    after ?LOOK_AFTER ->
        global:whereis_name(Name) =:= undefined andalso give_name(Name, Pid),
        keep_name(Name, Pid, Monitor)
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
