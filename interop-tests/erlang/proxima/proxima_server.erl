%% Keeps keys and values. Locally registered as proxima from its start, and globally from the start phase go on.
-module(proxima_server).
-behaviour(gen_server).

-export([start_link/0, go/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() ->
    gen_server:start_link({local, proxima}, ?MODULE, [], []).

%% The last start phase. Who calls by the global name waits from here on until the state is there.
go(Type) ->
    gen_server:call(proxima, {go, Type}, infinity).

init([]) ->
    case application:start_type() of
        %% Started again, on a node where the application runs.
        local -> {ok, inherit(normal)};
        _ -> {ok, #{}}
    end.

handle_call(get_state, _From, State) ->
    {reply, State, State};
handle_call({put, Key, Value} = Request, From, State) ->
    case handover:pass_on(proxima, Request, From) of
        true -> {noreply, State};
        false -> put(Key, Value, State)
    end;
handle_call({go, Type}, _From, _State) ->
    {reply, ok, inherit(Type)};
handle_call(_Other, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(_Message, State) ->
    {noreply, State}.

handle_info(_Message, State) ->
    {noreply, State}.

%% What is answered is in the file.
put(Key, Value, State) ->
    Next = State#{Key => Value},
    case write(Next) of
        ok -> {reply, ok, Next};
        {error, Reason} -> {reply, {error, {state_file, Reason}}, State}
    end.

inherit(Type) ->
    handover:take_name(proxima),
    case Type of
        {takeover, Node} ->
            {ok, Limit} = application:get_env(proxima, handover_limit),
            case handover:ask({proxima, Node}, get_state, Limit) of
                {ok, State} -> State;
                lost -> read()
            end;
        _ -> read()
    end.

read() ->
    case application:get_env(proxima, state_file) of
        undefined -> #{};
        {ok, File} ->
            case file:consult(File) of
                {ok, [State]} -> State;
                {error, enoent} -> #{}
            end
    end.

%% Whoever reads it finds it as it was before or as it is now.
write(State) ->
    case application:get_env(proxima, state_file) of
        undefined -> ok;
        {ok, File} ->
            New = File ++ ".new",
            case file:write_file(New, io_lib:format("~w.~n", [State])) of
                ok -> file:rename(New, File);
                Error -> Error
            end
    end.
