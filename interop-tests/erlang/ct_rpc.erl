%% What is called over rpc and erpc in the tests of these: the Rust side has the same functions.
-module(ct_rpc).

-export([value/1, throws/1, exits/1, errors/1, badarith/1, badarg/1, dies/0, dies/1, sleeps/1, sleeps/2, holds/2]).
-export([tells/2, leader/0, out/1, without_places/1, server/2]).

value(X) -> X.

throws(X) -> throw(X), ok.

exits(X) -> exit(X), ok.

errors(X) -> error(X), ok.

badarith(X) -> 1 + X.

badarg(X) -> _ = atom_to_list(X), ok.

%% The process that runs this is ended from outside.
dies() -> dies(kill).

dies(Reason) ->
    exit(self(), Reason),
    receive after infinity -> ok end.

sleeps(Milliseconds) -> sleeps(Milliseconds, slept).

sleeps(Milliseconds, Value) ->
    timer:sleep(Milliseconds),
    Value.

%% Tells a process that it is here, and returns when it is told to go.
holds(To, Value) ->
    To ! {here, Value, self()},
    receive go -> Value end.

%% Tells a process what.
tells(To, What) ->
    To ! {told, node(), What},
    ok.

leader() -> group_leader().

%% What came of a fun, with the places in files left out of stacks.
out(Fun) ->
    try {value, without_places(Fun())}
    catch Class:Reason -> {Class, without_places(Reason)}
    end.

without_places({M, F, A, Info}) when is_atom(M), is_atom(F), is_list(Info), is_integer(A) orelse is_list(A) ->
    {M, F, A, []};
without_places(Tuple) when is_tuple(Tuple) ->
    list_to_tuple(without_places(tuple_to_list(Tuple)));
%% OTP 27 and later show the operator too.
without_places([{erlang, '+', [_, _], _} | Tail]) ->
    without_places(Tail);
without_places([Head | Tail]) ->
    [without_places(Head) | without_places(Tail)];
without_places(Other) ->
    Other.

%% A process of this name that answers `{From, Message}` as rpc:server_call wants it, and tells its parent of the rest.
server(Name, Wrapper) ->
    Parent = self(),
    Pid = spawn(fun() -> register(Name, self()), Parent ! {self(), ready}, serve(Parent, Wrapper) end),
    receive {Pid, ready} -> Pid end.

serve(Parent, Wrapper) ->
    receive
        {From, Message} when is_pid(From) -> From ! {Wrapper, node(), {answer, Message}};
        Other -> Parent ! {got, Other}
    end,
    serve(Parent, Wrapper).
