%% A gen_statem that a Rust process calls: it counts what it is cast.
-module(ct_gen_statem).

-behaviour(gen_statem).
-export([start/1, init/1, callback_mode/0, handle_event/4]).

start(Name) ->
    gen_statem:start({local, Name}, ?MODULE, [], []).

callback_mode() ->
    handle_event_function.

init([]) ->
    {ok, 0, data}.

handle_event({call, From}, count, Count, _Data) ->
    {keep_state_and_data, [{reply, From, Count}]};
handle_event({call, From}, {later, Time, Term}, _Count, _Data) ->
    {keep_state_and_data, [{{timeout, later}, Time, {From, Term}}]};
handle_event({timeout, later}, {From, Term}, _Count, _Data) ->
    {keep_state_and_data, [{reply, From, Term}]};
handle_event(cast, {add, N}, Count, Data) ->
    {next_state, Count + N, Data}.
