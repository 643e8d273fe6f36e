%% The queue. It is in the memory of one node: in a takeover the next owner gets it, the death of the node is its end.
-module(job_center_serv).
-behaviour(gen_server).

-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {
    last = 0,
    done = 0,
    waiting = queue:new(),      % of {Number, Job}
    in_progress = #{}           % Number => {Job, Worker, Monitor}
}).

start_link(Type) ->
    gen_server:start_link(?MODULE, Type, []).

init(Type) ->
    Old = handover:take_name(?MODULE),
    {ok, inherit(Type, Old)}.

%% A server that is started again later gets its Type again; the old owner is gone then.
inherit({takeover, Node}, Old) when is_pid(Old), node(Old) =:= Node ->
    case handover:ask(Old, hand_over, 5000) of
        {ok, {Last, Done, Waiting, InProgress}} ->
            Given = [{Number, {Job, Worker, monitor(process, Worker)}} || {Number, Job, Worker} <- InProgress],
            #state{last = Last, done = Done, waiting = queue:from_list(Waiting), in_progress = maps:from_list(Given)};
        lost ->
            #state{}
    end;
inherit(_Type, _Old) ->
    #state{}.

handle_call({add_job, Job}, _From, #state{last = Last, waiting = Waiting} = State) ->
    Number = Last + 1,
    {reply, Number, State#state{last = Number, waiting = queue:in({Number, Job}, Waiting)}};
handle_call(work_wanted, {Worker, _Tag}, #state{waiting = Waiting, in_progress = InProgress} = State) ->
    case queue:out(Waiting) of
        {empty, _} ->
            {reply, no, State};
        {{value, {Number, Job}}, Rest} ->
            Work = {Job, Worker, monitor(process, Worker)},
            {reply, {Number, Job}, State#state{waiting = Rest, in_progress = InProgress#{Number => Work}}}
    end;
handle_call({job_done, Number}, _From, #state{in_progress = InProgress, done = Done} = State) ->
    case maps:take(Number, InProgress) of
        {{_Job, _Worker, Monitor}, Rest} ->
            demonitor(Monitor, [flush]),
            {reply, ok, State#state{in_progress = Rest, done = Done + 1}};
        error ->
            {reply, {error, not_found}, State}
    end;
handle_call(statistics, _From, #state{waiting = Waiting, in_progress = InProgress, done = Done} = State) ->
    {reply, #{waiting => queue:len(Waiting), in_progress => map_size(InProgress), done => Done}, State};
handle_call(hand_over, _From, #state{last = Last, done = Done, waiting = Waiting, in_progress = InProgress} = State) ->
    Given = [{Number, Job, Worker} || {Number, {Job, Worker, _}} <- lists:sort(maps:to_list(InProgress))],
    {reply, {Last, Done, queue:to_list(Waiting), Given}, State};
handle_call(_Other, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(_Message, State) ->
    {noreply, State}.

handle_info({'DOWN', Monitor, process, _, _}, #state{waiting = Waiting, in_progress = InProgress} = State) ->
    case [{Number, Job} || {Number, {Job, _, M}} <- maps:to_list(InProgress), M =:= Monitor] of
        [{Number, _} = Work] ->
            %% It has waited longest.
            {noreply, State#state{waiting = queue:in_r(Work, Waiting), in_progress = maps:remove(Number, InProgress)}};
        [] ->
            {noreply, State}
    end;
handle_info(_Message, State) ->
    {noreply, State}.
