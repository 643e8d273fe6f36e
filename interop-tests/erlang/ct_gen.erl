%% What tests of behaviours talk to: a gen_server and supervisors, which the test has in Rust too.
-module(ct_gen).

-behaviour(gen_server).
-export([start/1, start_link/1, start_sup/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2]).

start(Name) ->
    gen_server:start({local, Name}, ?MODULE, server, []).

start_link(Name) ->
    gen_server:start_link({local, Name}, ?MODULE, server, []).

%% A supervisor without children, or one of dynamic ones, that outlives its caller.
start_sup(Name, Strategy) ->
    {ok, Pid} = supervisor:start_link({local, Name}, ?MODULE, Strategy),
    unlink(Pid),
    {ok, Pid}.

init(server) ->
    {ok, []};
init(simple_one_for_one) ->
    Child = #{id => child, start => {?MODULE, start_link, []}, restart => temporary},
    {ok, {#{strategy => simple_one_for_one}, [Child]}};
%% However slow the machine, the period is longer than a test.
init(Strategy) ->
    {ok, {#{strategy => Strategy, intensity => 3, period => 3600}, []}}.

%% The state is what came by casts and messages, the last first.
handle_call({echo, Term}, _From, Kept) ->
    {reply, {echo, Term}, Kept};
handle_call({later, Time, Term}, From, Kept) ->
    erlang:send_after(Time, self(), {answer, From, Term}),
    {noreply, Kept};
handle_call({continue, Term}, From, Kept) ->
    {noreply, Kept, {continue, {From, Term}}};
handle_call({timeout, Time}, From, Kept) ->
    {noreply, [{waits, From} | Kept], Time};
handle_call({stop, Reason, Reply}, _From, Kept) ->
    {stop, Reason, Reply, Kept};
handle_call({die, Reason}, _From, Kept) ->
    {stop, Reason, Kept};
handle_call(kept, _From, Kept) ->
    {reply, lists:reverse(Kept), []};
handle_call(never, _From, Kept) ->
    {noreply, Kept}.

handle_cast(Message, Kept) ->
    {noreply, [{cast, Message} | Kept]}.

handle_info({answer, From, Term}, Kept) ->
    gen_server:reply(From, Term),
    {noreply, Kept};
handle_info(timeout, [{waits, From} | Kept]) ->
    gen_server:reply(From, timed_out),
    {noreply, Kept};
handle_info(Message, Kept) ->
    {noreply, [{info, Message} | Kept]}.

handle_continue({From, Term}, Kept) ->
    gen_server:reply(From, {continued, Term}),
    {noreply, Kept}.
