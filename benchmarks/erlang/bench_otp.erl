%% One Erlang node, alone: the peer of drivers/otp_node.py.
%% Reads lines "bench count" on standard input and answers each with one number.
%% This module is the server, the worker and the supervisor, too: init/1 tells them apart.
-module(bench_otp).
-behaviour(gen_server).
-export([main/0, start_worker/2, init/1, handle_call/3, handle_cast/2]).

main() ->
    io:format("ready~n"),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Bench, Count] = string:lexemes(string:trim(Line), " "),
            io:format("~p~n", [measure(Bench, list_to_integer(Count))]),
            loop()
    end.

%% Each measurement runs in a process of its own with a fresh heap, as each of ours starts a fresh runtime.
measure(Bench, Count) ->
    Me = self(),
    {_, Monitor} = spawn_monitor(fun() -> Me ! {result, run(Bench, Count)} end),
    Result = receive
        {result, Value} -> Value;
        {'DOWN', Monitor, process, _, Reason} -> erlang:error(Reason)
    end,
    erlang:demonitor(Monitor, [flush]),
    erlang:garbage_collect(),
    Result.

%% Calls per second, one after the other.
run("call", N) ->
    {ok, Server} = gen_server:start(?MODULE, {counter, 0}, []),
    Rate = N / seconds(fun() -> calls(Server, N) end),
    N = gen_server:call(Server, value),
    ok = gen_server:stop(Server),
    Rate;
run("call_raw", N) ->
    run("call", N);
%% Casts per second, a thousand at a time, each thousand ended by a call.
run("cast", N) ->
    {ok, Server} = gen_server:start(?MODULE, {counter, 0}, []),
    Rate = N / seconds(fun() -> casts(Server, N) end),
    N = gen_server:call(Server, value),
    ok = gen_server:stop(Server),
    Rate;
%% Bytes of a server that waits, with one integer as its state.
run("idle_bytes", N) ->
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    Servers = [begin {ok, Pid} = gen_server:start(?MODULE, {counter, I}, []), Pid end || I <- lists:seq(1, N)],
    List = erlang_list_bytes(N),
    erlang:garbage_collect(),
    Bytes = (erlang:memory(processes) - Before - List) / N,
    [ok = gen_server:stop(Pid) || Pid <- Servers],
    Bytes;
%% Supervised children started per second, one after the other.
run("start_children", N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {children, 3, 5}),
    Rate = N / seconds(fun() -> start_children(Supervisor, N) end),
    stop(Supervisor),
    Rate;
run("child_bytes", N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {children, 3, 5}),
    start_children(Supervisor, 1),
    erlang:garbage_collect(Supervisor),
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    start_children(Supervisor, N),
    erlang:garbage_collect(Supervisor),
    erlang:garbage_collect(),
    Bytes = (erlang:memory(processes) - Before) / N,
    stop(Supervisor),
    Bytes;
%% Median microseconds from the message that crashes a child until the next one has answered a call.
run("restart", N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {one_child, self(), N + 1}),
    Child = receive {up, Pid} -> Pid end,
    Median = median(restarts(Child, N, [])) / 1000,
    stop(Supervisor),
    Median;
%% The same with logging switched off.
run("restart_silent", N) ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    Median = run("restart", N),
    ok = logger:set_primary_config(level, Level),
    Median.

seconds(Fun) ->
    Start = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

median(Values) ->
    lists:nth((length(Values) + 1) div 2, lists:sort(Values)).

%% The list of the pids is ours, not theirs: a cons cell each.
erlang_list_bytes(N) -> N * 2 * erlang:system_info(wordsize).

calls(_, 0) -> ok;
calls(Server, N) ->
    _ = gen_server:call(Server, {increment, 1}),
    calls(Server, N - 1).

casts(_, N) when N =< 0 -> ok;
casts(Server, N) ->
    thousand(Server, 1000),
    _ = gen_server:call(Server, value),
    casts(Server, N - 1000).

thousand(_, 0) -> ok;
thousand(Server, N) ->
    gen_server:cast(Server, {add, 1}),
    thousand(Server, N - 1).

start_children(_, 0) -> ok;
start_children(Supervisor, N) ->
    {ok, _} = supervisor:start_child(Supervisor, [N]),
    start_children(Supervisor, N - 1).

stop(Supervisor) ->
    unlink(Supervisor),
    Monitor = erlang:monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, process, _, _} -> ok end.

restarts(_, 0, Times) -> Times;
restarts(Child, N, Times) ->
    Start = erlang:monotonic_time(nanosecond),
    gen_server:cast(Child, crash),
    Next = receive {up, Pid} -> Pid end,
    0 = gen_server:call(Next, value),
    restarts(Next, N - 1, [erlang:monotonic_time(nanosecond) - Start | Times]).

start_worker(Kind, Argument) ->
    gen_server:start_link(?MODULE, {Kind, Argument}, []).

init({counter, N}) -> {ok, N};
init({announce, Asker}) -> Asker ! {up, self()}, {ok, 0};
init({children, Intensity, Period}) ->
    Child = #{id => worker, start => {?MODULE, start_worker, [counter]}},
    {ok, {#{strategy => simple_one_for_one, intensity => Intensity, period => Period}, [Child]}};
init({one_child, Asker, Intensity}) ->
    Child = #{id => worker, start => {?MODULE, start_worker, [announce, Asker]}},
    {ok, {#{strategy => one_for_one, intensity => Intensity, period => 5}, [Child]}}.

handle_call({increment, By}, _, N) -> {reply, N + By, N + By};
handle_call(value, _, N) -> {reply, N, N}.

handle_cast({add, By}, N) -> {noreply, N + By};
handle_cast(crash, _) -> erlang:error(crash).
