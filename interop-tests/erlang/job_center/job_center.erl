%% A job center as a distributed application: who has work adds it, who wants work is given the oldest, and what a
%% worker has not done when it dies is given to the next.
-module(job_center).
-behaviour(application).

-export([add_job/1, work_wanted/0, job_done/1, statistics/0]).
-export([start/2, stop/1]).

%% The number of the job.
add_job(Job) ->
    call({add_job, Job}).

%% The oldest job that waits, as {Number, Job}, or no. It is the calling process's until it is done.
work_wanted() ->
    call(work_wanted).

job_done(Number) ->
    call({job_done, Number}).

statistics() ->
    call(statistics).

start(Type, []) ->
    io:format("job_center: start ~p on ~p~n", [Type, node()]),
    job_center_sup:start_link(Type).

stop(_State) ->
    io:format("job_center: stopped on ~p~n", [node()]).

call(Request) ->
    gen_server:call({global, job_center_serv}, Request).
