%% What a test says to a node that it started: Erlang expressions in, their values as text out.
%%
%% The node connects back to the test (`erl ... -s ct_peer start PATH`) rather than reading stdin: the connection says
%% that boot is complete, carries any text, keeps apart from what the node prints, and closes with the test, so that
%% no node is left behind. It goes over a Unix socket, which does not care what becomes of the node's network.
%%
%% Request: the text of expressions, without the final dot. Reply: `o` and the value, or `e` and what went wrong.
%% Bindings and the mailbox of self() stay from one request to the next.
-module(ct_peer).

-export([start/1, flush/0, flush/1, wait/2]).
-export([sleeper/0, mailbox/1, holder/3]).
-export([keep_first/3, keep_second/3, fail/3, junk/3]).

start([Path]) ->
    Address = {local, atom_to_list(Path)},
    spawn(fun() ->
        {ok, Socket} = gen_tcp:connect(Address, 0, [binary, {packet, 4}, {active, false}]),
        serve(Socket, start_evaluator())
    end).

%% The messages the evaluator has received, oldest first.
flush() ->
    flush(0).

%% The same, waiting up to Timeout milliseconds for the next one.
flush(Timeout) ->
    receive Message -> [Message | flush(Timeout)]
    after Timeout -> []
    end.

%% Calls Fun until it returns true, for up to Timeout milliseconds.
wait(Fun, Timeout) ->
    wait_until(Fun, erlang:monotonic_time(millisecond) + Timeout).

wait_until(Fun, Deadline) ->
    case Fun() of
        true -> ok;
        Other ->
            case erlang:monotonic_time(millisecond) > Deadline of
                true -> {timeout, Other};
                false -> timer:sleep(10), wait_until(Fun, Deadline)
            end
    end.

serve(Socket, Evaluator) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Request} ->
            {Reply, Next} = evaluate(unicode:characters_to_list(Request), Evaluator),
            ok = gen_tcp:send(Socket, unicode:characters_to_binary(Reply)),
            serve(Socket, Next);
        {error, _} ->
            %% The test is over: no flush, no orderly stop.
            erlang:halt(0, [{flush, false}])
    end.

start_evaluator() ->
    {Pid, Monitor} = spawn_monitor(fun() -> evaluator(erl_eval:new_bindings()) end),
    {Pid, Monitor}.

evaluate(Text, {Pid, Monitor} = Evaluator) ->
    Ref = make_ref(),
    Pid ! {?MODULE, self(), Ref, Text},
    receive
        {Ref, Reply} -> {Reply, Evaluator};
        {'DOWN', Monitor, process, Pid, Reason} ->
            {print($e, {evaluator_died, Reason}), start_evaluator()}
    end.

evaluator(Bindings) ->
    receive
        {?MODULE, From, Ref, Text} ->
            {Reply, Next} = evaluate_text(Text, Bindings),
            From ! {Ref, Reply},
            evaluator(Next)
    end.

evaluate_text(Text, Bindings) ->
    try
        {ok, Tokens, _} = erl_scan:string(Text ++ "."),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, Next} = erl_eval:exprs(Expressions, Bindings),
        {print($o, Value), Next}
    catch
        Class:Reason -> {print($e, {Class, Reason}), Bindings}
    end.

print(Tag, Term) ->
    [Tag | io_lib:format("~0tp", [Term])].

%% A process that keeps what it is sent in its mailbox.
sleeper() ->
    spawn(fun Sleep() -> receive stop -> ok after 3600000 -> Sleep() end end).

mailbox(Pid) ->
    case process_info(Pid, messages) of
        {messages, Messages} -> Messages;
        undefined -> dead
    end.

%% A process that tries to set a lock and then lives on, and whether it has got it.
holder(Id, Nodes, Retries) ->
    Self = self(),
    Pid = spawn(fun() ->
        Self ! {self(), global:set_lock(Id, Nodes, Retries)},
        receive stop -> ok end
    end),
    receive {Pid, Set} -> {Pid, Set} end.

%% Resolve functions for global.
keep_first(_Name, Pid, _Other) -> Pid.
keep_second(_Name, _Other, Pid) -> Pid.
fail(_Name, _Pid, _Other) -> exit(no_idea).
junk(_Name, _Pid, _Other) -> {no, pid}.
