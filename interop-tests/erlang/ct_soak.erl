%% A BEAM node's part in `cargo xtask soak`: the process `soak`, which checks what comes, and workers, each of which
%% does everything that nodes do with each other to one other node, at its own pace. The Rust nodes do the same.
-module(ct_soak).
-behaviour(gen_server).

-export([start/1, work/1, stop/0, report/0, hold/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% Between two rounds of a worker: well under one core for everything together.
-define(PAUSE, 60).
%% Far longer than anything takes, also while `global` waits for the lock of a node that has just died.
-define(LIMIT, 60000).

-record(state, {visitor, seen = #{}, workers = #{}, messages = 0, faults = [], stopping = none}).

%% Visitor is the node that may come and go.
start(Visitor) ->
    {ok, _} = gen_server:start({local, soak}, ?MODULE, Visitor, []),
    ok.

work(Peers) ->
    gen_server:call(soak, {work, Peers}).

%% Returns when each worker has ended its round.
stop() ->
    gen_server:call(soak, stop, ?LIMIT).

%% {Faults, Messages, Channels, Processes}.
report() ->
    gen_server:call(soak, report).

%% What another node starts here: waits to be told to end.
hold() ->
    receive {stop, Reason} -> exit(Reason) after ?LIMIT -> exit(late) end.

init(Visitor) ->
    process_flag(trap_exit, true),
    ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    {ok, #state{visitor = Visitor}}.

handle_call({echo, Term}, _From, State) ->
    {reply, Term, State};
handle_call({seen, Channel}, _From, State = #state{seen = Seen}) ->
    {reply, maps:get(Channel, Seen, 0), State};
handle_call({whereis, Name}, _From, State) ->
    {reply, global:whereis_name(Name), State};
handle_call({work, Peers}, _From, State) ->
    Workers = maps:from_list([{spawn_monitor(fun() -> worker(Peer) end), Peer} || Peer <- Peers]),
    {reply, ok, State#state{workers = Workers}};
handle_call(stop, From, State) ->
    [Pid ! stop || {Pid, _} <- maps:keys(State#state.workers)],
    {noreply, stopped(State#state{stopping = From})};
handle_call(report, _From, State = #state{faults = Faults, messages = Messages, seen = Seen}) ->
    {reply, {Faults, Messages, maps:size(Seen), length(processes())}, State}.

handle_cast(_, State) ->
    {noreply, State}.

handle_info({seq, From, N, Size, Payload}, State = #state{seen = Seen, messages = Messages}) ->
    Last = case Seen of
        #{From := L} -> L;
        #{} -> monitor(process, From), 0
    end,
    Next = State#state{seen = Seen#{From => N}, messages = Messages + 1},
    case N =:= Last + 1 andalso Payload =:= binary:copy(<<N>>, Size) of
        true -> {noreply, Next};
        false -> {noreply, fault({sequence, From, Last, N, Size, byte_size(Payload)}, Next)}
    end;
handle_info({'DOWN', Ref, process, Pid, Reason}, State = #state{workers = Workers, seen = Seen}) ->
    case maps:take({Pid, Ref}, Workers) of
        {_, Rest} when Reason =:= normal -> {noreply, stopped(State#state{workers = Rest})};
        {Peer, Rest} -> {noreply, stopped(fault({worker, Peer, Reason}, State#state{workers = Rest}))};
        error -> {noreply, State#state{seen = maps:remove(Pid, Seen)}}
    end;
handle_info({nodedown, Node, Info}, State = #state{visitor = Visitor}) when Node =/= Visitor ->
    {noreply, fault({nodedown, Node, Info}, State)};
handle_info({nodedown, _, _}, State) ->
    {noreply, State};
handle_info({nodeup, _, _}, State) ->
    {noreply, State};
%% A process of another node that was linked with this one has ended, as it was meant to.
handle_info({'EXIT', _, away}, State) ->
    {noreply, State};
handle_info({'EXIT', Pid, noconnection}, State = #state{visitor = Visitor}) when node(Pid) =:= Visitor ->
    {noreply, State};
handle_info(Other, State) ->
    {noreply, fault({unexpected, Other}, State)}.

stopped(State = #state{stopping = From, workers = Workers}) when From =/= none, map_size(Workers) =:= 0 ->
    gen_server:reply(From, ok),
    State#state{stopping = none};
stopped(State) ->
    State.

%% The first few say enough.
fault(Fault, State = #state{faults = Faults}) when length(Faults) < 10 ->
    State#state{faults = Faults ++ [Fault]};
fault(_, State) ->
    State.

worker(Peer) ->
    process_flag(trap_exit, true),
    rounds(Peer, 1, 0).

rounds(Peer, Round, Sent) ->
    receive
        stop ->
            {message_queue_len, 0} = process_info(self(), message_queue_len),
            ok
    after ?PAUSE ->
        rounds(Peer, Round + 1, round(Peer, Round, Sent))
    end.

round(Peer, Round, Sent0) ->
    Sizes = [case Round of _ when I < 20 -> I; _ when Round rem 40 =:= 0 -> 3 bsl 20; _ when Round rem 4 =:= 0 -> 100 bsl 10; _ -> 20 end
             || I <- lists:seq(1, 20)],
    Sent = lists:foldl(
        fun(Size, N) ->
            {soak, Peer} ! {seq, self(), N + 1, Size, binary:copy(<<(N + 1)>>, Size)},
            N + 1
        end, Sent0, Sizes),
    Sent = call(Peer, {seen, self()}),
    Term = {Round, #{round => [Round, float(Round)]}, [make_ref(), self()], "text", <<Round:3>>},
    Term = call(Peer, {echo, Term}),
    [Peer = rpc:call(Peer, erlang, node, [], ?LIMIT) || Round rem 2 =:= 0],
    [held(Peer, Round) || Round rem 3 =:= 0],
    [linked(Peer) || Round rem 5 =:= 0],
    [named(Peer) || Round rem 40 =:= 0],
    Sent.

call(Peer, Request) ->
    gen_server:call({soak, Peer}, Request, ?LIMIT).

%% A process that is started there, linked and monitored, and told to end.
held(Peer, Round) ->
    Request = spawn_request(Peer, ?MODULE, hold, [], [link, monitor]),
    Pid = receive {spawn_reply, Request, ok, P} -> P after ?LIMIT -> exit(no_spawn_reply) end,
    Pid ! {stop, {done, Round}},
    receive {'EXIT', Pid, {done, Round}} -> ok after ?LIMIT -> exit(no_exit) end,
    receive {'DOWN', Request, process, Pid, {done, Round}} -> ok after ?LIMIT -> exit(no_down) end.

%% Processes of this node that link with the one there: one takes the link back, one ends with it.
linked(Peer) ->
    Soak = rpc:call(Peer, erlang, whereis, [soak], ?LIMIT),
    Unlinks = fun() -> link(Soak), M = monitor(process, Soak), demonitor(M, [flush]), unlink(Soak) end,
    [receive {'DOWN', R, process, _, Reason} -> ok after ?LIMIT -> exit(no_down) end
     || {F, Reason} <- [{Unlinks, normal}, {fun() -> link(Soak), exit(away) end, away}], {_, R} <- [spawn_monitor(F)]].

%% A name of the whole cluster, which the other node sees as long as it is there.
named(Peer) ->
    Name = {soak, node(), Peer},
    Self = self(),
    yes = global:register_name(Name, Self),
    Self = call(Peer, {whereis, Name}),
    _ = global:unregister_name(Name),
    undefined = call(Peer, {whereis, Name}).
