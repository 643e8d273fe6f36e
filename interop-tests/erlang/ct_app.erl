%% Applications with nothing in them, under any name: `load(Name)` and then `application:start(Name)`.
-module(ct_app).
-behaviour(application).

-export([load/1, start/2, stop/1, init/0]).

%% Loads an application of this name that starts one process.
load(Name) ->
    application:load({application, Name,
                      [{description, "one process"}, {vsn, "1"}, {modules, [?MODULE]}, {registered, []},
                       {applications, [kernel, stdlib]}, {mod, {?MODULE, []}}]}).

start(_Type, []) ->
    {ok, spawn_link(?MODULE, init, [])}.

stop(_State) ->
    ok.

init() ->
    process_flag(trap_exit, true),
    receive {'EXIT', _, Reason} -> exit(Reason) end.
