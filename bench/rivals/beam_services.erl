%% The BEAM's side of `cargo xtask bench services`: a node with the gen_server `echo_server`, that measures what it is
%% asked to.
%%
%% Asked by lines on stdin: `METHOD TARGET COUNT` does that COUNT times to that node, or without one where it is `-`, and
%% answers with the nanoseconds it took, or another number.
-module(beam_services).
-behaviour(gen_server).
-export([main/0, init/1, handle_call/3, handle_cast/2]).

main() ->
    ok = io:setopts([binary]),
    {ok, _} = gen_server:start({local, echo_server}, ?MODULE, [], []),
    io:format("ready ~s~n", [erlang:system_info(otp_release)]),
    serve().

init([]) -> {ok, none}.
handle_call(Request, _, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.

serve() ->
    case io:get_line("") of
        eof ->
            halt();
        Line ->
            [Method, Target, Count] = binary:split(string:trim(Line), <<" ">>, [global]),
            Node = binary_to_atom(Target, utf8),
            io:format("~b~n", [asked(Method, Node, binary_to_integer(Count))]),
            serve()
    end.

%% They stay. How many processes there are then.
asked(<<"idle">>, _, Count) ->
    [spawn(fun() -> receive _ -> ok end end) || _ <- lists:seq(1, Count)],
    timer:sleep(500),
    erlang:system_info(process_count);
asked(<<"connect">>, Node, _) ->
    true = net_kernel:connect_node(Node),
    0;
asked(<<"sync">>, _, _) ->
    ok = global:sync(),
    0;
%% How many visible nodes there are beside this one.
asked(<<"nodes">>, _, _) ->
    length(nodes());
asked(Method, Node, Count) ->
    measured(Method, Node, Count).

%% In a process of its own.
measured(Method, Node, Count) ->
    {_, Monitor} = spawn_monitor(fun() -> exit({took, took(Method, Node, Count)}) end),
    receive
        {'DOWN', Monitor, process, _, {took, Nanoseconds}} -> Nanoseconds
    end.

took(Method, Node, Count) when Node =/= '-' ->
    true = net_kernel:connect_node(Node),
    timed(Method, Node, Count);
took(Method, Node, Count) ->
    timed(Method, Node, Count).

timed(<<"register">>, _, Count) ->
    lists:sum([register_name() || _ <- lists:seq(1, Count)]);
timed(Method, Node, Count) ->
    Work = work(Method, Node, Count),
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    erlang:monotonic_time(nanosecond) - Start.

work(<<"spawn">>, _, Count) ->
    fun() -> spawns(Count, erlang:system_info(process_count)) end;
work(<<"spawn-monitor">>, _, Count) ->
    fun() -> spawn_monitors(Count) end;
work(<<"call">>, '-', Count) ->
    Server = whereis(echo_server),
    fun() -> calls(Server, Count) end;
work(<<"call">>, Node, Count) ->
    fun() -> calls({echo_server, Node}, Count) end;
work(<<"erpc">>, Node, Count) ->
    fun() -> erpcs(Node, Count) end;
%% By sixteen callers.
work(<<"erpc16">>, Node, Count) ->
    fun() ->
        Callers = [spawn_monitor(fun() -> erpcs(Node, Count div 16) end) || _ <- lists:seq(1, 16)],
        [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Callers]
    end.

%% So many are started before it is waited for their end.
-define(BATCH, 1000).

spawns(0, _) ->
    ok;
spawns(Count, Before) ->
    Batch = min(Count, ?BATCH),
    [spawn(fun() -> ok end) || _ <- lists:seq(1, Batch)],
    gone(Before),
    spawns(Count - Batch, Before).

gone(Before) ->
    case erlang:system_info(process_count) > Before of
        true ->
            erlang:yield(),
            gone(Before);
        false ->
            ok
    end.

spawn_monitors(0) ->
    ok;
spawn_monitors(Count) ->
    {_, Monitor} = spawn_monitor(fun() -> ok end),
    receive
        {'DOWN', Monitor, process, _, normal} -> ok
    end,
    spawn_monitors(Count - 1).

calls(_, 0) ->
    ok;
calls(Server, Count) ->
    Count = gen_server:call(Server, Count),
    calls(Server, Count - 1).

erpcs(_, 0) ->
    ok;
erpcs(Node, Count) ->
    Node = erpc:call(Node, erlang, node, []),
    erpcs(Node, Count - 1).

%% Taking the name back is not measured.
register_name() ->
    Start = erlang:monotonic_time(nanosecond),
    yes = global:register_name({bench, name}, self()),
    Took = erlang:monotonic_time(nanosecond) - Start,
    global:unregister_name({bench, name}),
    Took.
