%% Answers `question` with one of the answers in the application's environment, and ends on `stop`.
-module(m8ball_server).
-behaviour(gen_server).

-export([start_link/0, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() ->
    gen_server:start_link(?MODULE, [], []).

init([]) ->
    handover:take_name(?MODULE),
    {ok, no_state}.

handle_call(question, _From, State) ->
    %% Read anew each time: application:set_env/3 takes effect on the next question.
    {ok, Answers} = application:get_env(m8ball, answers),
    {reply, pick(Answers), State};
handle_call(stop, _From, State) ->
    {stop, normal, ok, State};
handle_call(_Other, _From, State) ->
    {noreply, State}.

handle_cast(_Message, State) ->
    {noreply, State}.

handle_info(_Message, State) ->
    {noreply, State}.

pick(Answers) when is_tuple(Answers) ->
    element(rand:uniform(tuple_size(Answers)), Answers);
pick(Answers) when is_list(Answers) ->
    lists:nth(rand:uniform(length(Answers)), Answers).
