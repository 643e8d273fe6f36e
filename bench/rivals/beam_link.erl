%% The BEAM's side of `cargo xtask bench link`: a node with the processes `echo` and `sink`, that measures what it is
%% asked to.
%%
%% Asked by lines on stdin: `METHOD TARGET COUNT` does that COUNT times to that node and answers with the nanoseconds it
%% took.
-module(beam_link).
-export([main/0]).

main() ->
    ok = io:setopts([binary]),
    register(echo, spawn(fun echo/0)),
    register(sink, spawn(fun() -> sink(0) end)),
    io:format("port ~b~n", [port()]),
    io:format("ready ~s~n", [erlang:system_info(otp_release)]),
    serve().

%% Where this node listens.
port() ->
    [Alive, Host] = string:split(atom_to_list(node()), "@"),
    {ok, Names} = erl_epmd:names(Host),
    {Alive, Port} = lists:keyfind(Alive, 1, Names),
    Port.

serve() ->
    case io:get_line("") of
        eof ->
            halt();
        Line ->
            [Method, Target, Count] = binary:split(string:trim(Line), <<" ">>, [global]),
            Node = binary_to_atom(Target, utf8),
            io:format("~b~n", [measured(Method, Node, binary_to_integer(Count))]),
            serve()
    end.

echo() ->
    receive
        {From, What} when is_pid(From) -> From ! {echo, What}
    end,
    echo().

sink(N) ->
    receive
        {From, sync} ->
            From ! {sink, N},
            sink(0);
        _ ->
            sink(N + 1)
    end.

%% In a process of its own.
measured(Method, Node, Count) ->
    {_, Monitor} = spawn_monitor(fun() -> exit({took, took(Method, Node, Count)}) end),
    receive
        {'DOWN', Monitor, process, _, {took, Nanoseconds}} -> Nanoseconds
    end.

took(<<"connect">>, Node, Count) ->
    lists:sum([connect(Node) || _ <- lists:seq(1, Count)]);
took(<<"beside">>, Node, Count) ->
    true = net_kernel:connect_node(Node),
    Self = self(),
    Long = {blob, binary:copy(<<7>>, 64 bsl 20)},
    spawn_link(fun() ->
        sends({sink, Node}, Long, Count, Count),
        Self ! done
    end),
    slowest({echo, Node}, 0);
took(Method, Node, Count) ->
    true = net_kernel:connect_node(Node),
    Work = work(Method, Node, Count),
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    erlang:monotonic_time(nanosecond) - Start.

work(<<"echo">>, Node, Count) ->
    fun() -> echoes({echo, Node}, Count) end;
work(<<"rpc">>, Node, Count) ->
    fun() -> rpcs(Node, Count) end;
work(<<"small">>, Node, Count) ->
    fun() -> sends({sink, Node}, {small, 12345, <<"text">>}, Count, Count) end;
work(<<"bin64k">>, Node, Count) ->
    Term = {blob, binary:copy(<<7>>, 64 bsl 10)},
    fun() -> sends({sink, Node}, Term, Count, Count) end;
work(<<"bin1m">>, Node, Count) ->
    Term = {blob, binary:copy(<<7>>, 1 bsl 20)},
    fun() -> sends({sink, Node}, Term, Count, Count) end.

echoes(_, 0) ->
    ok;
echoes(Echo, Count) ->
    Echo ! {self(), Count},
    receive
        {echo, Count} -> ok
    end,
    echoes(Echo, Count - 1).

%% The nanoseconds of the slowest echo, one each millisecond until the other process is done.
slowest(Echo, Slowest) ->
    Start = erlang:monotonic_time(nanosecond),
    echoes(Echo, 1),
    Took = max(Slowest, erlang:monotonic_time(nanosecond) - Start),
    receive
        done -> Took
    after 1 -> slowest(Echo, Took)
    end.

rpcs(_, 0) ->
    ok;
rpcs(Node, Count) ->
    Node = rpc:call(Node, erlang, node, []),
    rpcs(Node, Count - 1).

sends(Sink, _, 0, All) ->
    Sink ! {self(), sync},
    receive
        {sink, All} -> ok
    end;
sends(Sink, Term, Count, All) ->
    Sink ! Term,
    sends(Sink, Term, Count - 1, All).

%% From nothing to a connection; ending it is not measured.
connect(Node) ->
    _ = erlang:disconnect_node(Node),
    gone(Node),
    timer:sleep(5),
    Start = erlang:monotonic_time(nanosecond),
    true = net_kernel:connect_node(Node),
    erlang:monotonic_time(nanosecond) - Start.

gone(Node) ->
    case lists:member(Node, nodes(connected)) of
        true ->
            timer:sleep(1),
            gone(Node);
        false ->
            ok
    end.
