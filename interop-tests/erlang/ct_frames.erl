%% Has a stock node say one thing after the other to a node of a test, which writes down the frames (play/3), and says
%% what became of what the test said to it (probe/0, seen/1).
-module(ct_frames).

-export([play/3, probe/0, seen/1, do/1, started/1, told/1]).

%% Says what Name stands for to the process P and to the alias A, which are the test's. The value is a list of what
%% the frames name that the test cannot know, as the hex digits of its external form.
%%
%% What is said is said by a process of its own, which is gone afterwards and has left nothing to the test.
play(Name, P, A) ->
    {Worker, Monitor} = spawn_monitor(fun() -> exit({said, step(Name, P, A)}) end),
    receive
        {'DOWN', Monitor, process, Worker, {said, Values}} -> hex(Values)
    after 10000 ->
        error({nothing_said, process_info(Worker)})
    end.

hex(Term) ->
    lists:append([io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= term_to_binary(Term)]).

step(nothing, _, _) -> [];
step(send, P, _) -> P ! hello, [self()];
step(reg_send, P, _) -> {some_name, node(P)} ! {hi, 1}, [self()];
step(alias_send, _, A) -> A ! via_alias, [self()];
step(link, P, _) -> link(P), unlink(P), [self()];
step(exit, P, _) ->
    {Linked, Monitor} = spawn_monitor(fun() -> link(P), exit(boom) end),
    receive {'DOWN', Monitor, process, Linked, boom} -> [Linked] end;
step(exit2, P, _) -> exit(P, kill), [self()];
step(monitor, P, _) ->
    ByPid = monitor(process, P), demonitor(ByPid),
    ByName = monitor(process, {nm, node(P)}), demonitor(ByName),
    [self(), ByPid, ByName];
step(group_leader, P, _) -> group_leader(self(), P), [self()];
step(spawn_request, P, _) ->
    Options = [monitor, link, {priority, high}, {min_heap_size, 1000}],
    ReqId = spawn_request(node(P), m, f, [1, two], Options),
    [self(), group_leader(), ReqId];
step(traced, P, _) ->
    trace(17),
    P ! traced, {tr_name, node(P)} ! traced_reg,
    ReqId = spawn_request(node(P), m, g, [], []),
    seq_trace:set_token([]),
    [self(), group_leader(), ReqId];
step(traced_label, P, _) ->
    trace({"not", small, 1 bsl 70}), P ! traced, seq_trace:set_token([]), [self()];
step(traced_alias, _, A) ->
    trace(17), A ! traced, seq_trace:set_token([]), [self()];
step(traced_exit, P, _) ->
    {Linked, Monitor} = spawn_monitor(fun() -> link(P), trace(17), exit(boom) end),
    receive {'DOWN', Monitor, process, Linked, boom} -> [Linked] end;
step(priority, P, A) ->
    %% By apply: earlier releases do not have these.
    apply(erlang, send, [P, urgent, [priority]]),
    apply(erlang, send, [{some_name, node(P)}, urgent, [priority]]),
    apply(erlang, send, [A, urgent, [priority]]),
    apply(erlang, exit, [P, urgent, [priority]]),
    apply(erlang, exit, [A, urgent, [priority]]),
    apply(erlang, exit, [A, plain]),
    [self()];
step(fragments, P, _) -> P ! {first, binary:copy(<<7>>, 140000)}, P ! second, [self()];
step(exit2_fragments, P, _) -> exit(P, binary:copy(<<9>>, 70000)), [self()];
step(atoms, P, _) ->
    P ! {first, second}, P ! [second, third, first], P ! {self, first, ''}, [self()];
step(long_atom, P, _) ->
    P ! {short, list_to_atom(lists:duplicate(255, 16#20ac)), list_to_atom(lists:duplicate(255, $x))},
    [self()];
step(values, P, _) ->
    P ! [1, -1, 1 bsl 40, 1.5, <<"binary">>, <<5:3>>, "text", [a | b], #{key => value}, fun lists:map/2, make_ref()],
    [self()];
%% In two steps, between which the test says something.
step(dying, _, _) ->
    stop(whereis(ct_dying)),
    Dying = spawn(fun() -> register(ct_dying, self()), receive Reason -> exit(Reason) end end),
    wait(fun() -> whereis(ct_dying) =:= Dying end),
    [Dying];
step(die_linked, _, _) ->
    wait(fun() -> {links, Links} = process_info(whereis(ct_dying), links), Links =/= [] end),
    die();
step(die_monitored, _, _) ->
    wait(fun() -> {monitored_by, By} = process_info(whereis(ct_dying), monitored_by), By =/= [] end),
    die();
step(started, _, _) ->
    wait(fun() -> whereis(ct_started) =/= undefined end),
    Started = whereis(ct_started),
    unregister(ct_started),
    [Started].

trace(Label) ->
    seq_trace:set_token(label, Label), seq_trace:set_token(send, true).

die() ->
    Monitor = monitor(process, ct_dying),
    ct_dying ! gone,
    receive {'DOWN', Monitor, process, _, gone} -> [] end.

stop(undefined) -> ok;
stop(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, _, _} -> ok end.

wait(Fun) ->
    ok = ct_peer:wait(Fun, 20000).

%% What a test has started: registered, until it is told to end.
started(Name) ->
    register(Name, self()),
    receive stop -> ok end.

%% What a test has started, and that says so.
told(Term) ->
    probe ! {told, Term}.

%% A process, registered as probe, that writes down what comes to it. The value is its pid and, where there are
%% aliases, one of it that also takes messages of priority.
probe() ->
    stop(whereis(probe)),
    Test = self(),
    Pid = spawn(fun() ->
        register(probe, self()), process_flag(trap_exit, true), Test ! {alias, self(), an_alias()}, probe_loop([])
    end),
    receive {alias, Pid, Alias} -> hex([Pid, Alias]) end.

an_alias() ->
    Exported = erlang:function_exported(erlang, alias, 1),
    try apply(erlang, alias, [[explicit_unalias, priority]])
    catch
        _:_ when Exported -> apply(erlang, alias, [[explicit_unalias]]);
        _:_ -> none
    end.

%% Each message is kept with the label it came under, or with none.
probe_loop(Seen) ->
    receive
        {ct_seen, From, Count} when length(Seen) >= Count -> From ! {seen, lists:reverse(Seen)}, probe_loop([]);
        {ct_do, From, Fun} -> From ! {done, Fun()}, probe_loop(Seen);
        Message when not is_tuple(Message); element(1, Message) =/= ct_seen ->
            Label = case seq_trace:get_token(label) of {label, L} -> L; [] -> none end,
            seq_trace:set_token([]),
            probe_loop([{Label, short(Message)} | Seen])
    end.

%% Long binaries as their length and hash.
short(Binary) when is_binary(Binary), byte_size(Binary) > 1000 -> {long, byte_size(Binary), erlang:md5(Binary)};
short(Tuple) when is_tuple(Tuple) -> list_to_tuple([short(Element) || Element <- tuple_to_list(Tuple)]);
short(Other) -> Other.

%% Has the probe do it. The value is what it is, in a list, as hex digits.
do(Fun) ->
    probe ! {ct_do, self(), Fun},
    receive {done, Value} -> hex([Value]) after 10000 -> error(not_done) end.

%% What the probe has seen, once it is so much, as hex digits.
seen(Count) ->
    probe ! {ct_seen, self(), Count},
    receive {seen, Seen} -> hex(Seen)
    after 10000 -> error({not_seen, Count, process_info(whereis(probe), messages)})
    end.
