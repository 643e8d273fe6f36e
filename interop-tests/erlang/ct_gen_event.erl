%% A handler of events for a manager that a Rust process talks to: it keeps them.
-module(ct_gen_event).

-behaviour(gen_event).
-export([start/1, init/1, handle_event/2, handle_call/2, terminate/2]).

start(Name) ->
    gen_event:start({local, Name}).

init({Swapped, Kept}) when is_list(Kept) ->
    {ok, [Swapped | Kept]};
init(no) ->
    {error, refused};
init(Args) ->
    {ok, [Args]}.

handle_event(Event, Kept) ->
    {ok, [Event | Kept]}.

handle_call(kept, Kept) ->
    {ok, lists:reverse(Kept), Kept}.

terminate({swapped, _Handler}, Kept) ->
    Kept;
terminate(Args, _Kept) ->
    {terminated, Args}.
