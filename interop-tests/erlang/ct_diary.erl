%% The applications of the tests of dist_ac: {mod, {ct_diary, Name}}. Each says what happens to it to the process `diary`
%% of the node diary@localhost, and goes on once that is written: the diary is in the order in which things happened on
%% all nodes.
%%
%% In its environment: {fail, Reason}, the start fails; {slow, Milliseconds}, it takes so long. Its top process has its
%% name and ends for the reason of {die, Reason}.
-module(ct_diary).
-behaviour(application).

-export([start/2, start_phase/3, prep_stop/1, stop/1]).

start(Type, Name) ->
    timer:sleep(application:get_env(Name, slow, 0)),
    case application:get_env(Name, fail) of
        {ok, Reason} -> {error, Reason};
        undefined ->
            note(Name, {start, Type}),
            Self = self(),
            Top = spawn_link(fun() ->
                register(Name, self()),
                Self ! {self(), registered},
                receive {die, Reason} -> exit(Reason) end
            end),
            receive {Top, registered} -> {ok, Top, Name} end
    end.

start_phase(Phase, Type, Name) ->
    note(Name, {Phase, Type}).

prep_stop(Name) ->
    note(Name, prep_stop),
    Name.

stop(Name) ->
    note(Name, stop).

note(Name, What) ->
    gen_server:call({diary, 'diary@localhost'}, {node(), Name, What}, 30000).
