%% One Erlang node, alone: the peer of drivers/local_node.py.
%% Reads lines "bench count" on standard input and answers each with one number.
-module(bench_local).
-export([main/0]).

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

run("ping_pong", N) ->
    Pong = spawn(fun pong/0),
    Seconds = seconds(fun() -> ping(Pong, self(), N) end),
    Pong ! stop,
    N / Seconds;
run("ring", N) ->
    First = self(),
    Next = lists:foldl(fun(_, To) -> spawn(fun() -> member(To) end) end, First, lists:seq(1, 999)),
    Seconds = seconds(fun() -> Next ! N, ring_head(Next) end),
    Next ! stop,
    receive stop -> ok end,
    N / Seconds;
run("one_way", N) ->
    Me = self(),
    N / seconds(fun() ->
        Sink = spawn(fun() -> sink(N), Me ! done end),
        send_many(Sink, N),
        receive done -> ok end
    end);
run("spawn_exit", N) ->
    N / seconds(fun() -> spawn_each(N, self()) end);
run("spawn_exit_batch", N) ->
    N / seconds(fun() -> spawn_batches(N) end);
run("idle_bytes", N) ->
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    Idle = spawn_idle(N, []),
    Bytes = (erlang:memory(processes) - Before) / N,
    lists:foreach(fun(Pid) -> Pid ! stop end, Idle),
    Bytes.

seconds(Fun) ->
    Start = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

pong() ->
    receive
        {From, Message} -> From ! Message, pong();
        stop -> ok
    end.

ping(_, _, 0) -> ok;
ping(Pong, Me, N) ->
    Pong ! {Me, N},
    receive _ -> ping(Pong, Me, N - 1) end.

member(Next) ->
    receive
        stop -> Next ! stop;
        N -> Next ! N - 1, member(Next)
    end.

ring_head(Next) ->
    receive
        N when N > 0 -> Next ! N - 1, ring_head(Next);
        _ -> ok
    end.

sink(0) -> ok;
sink(N) -> receive _ -> sink(N - 1) end.

send_many(_, 0) -> ok;
send_many(To, N) -> To ! N, send_many(To, N - 1).

spawn_each(0, _) -> ok;
spawn_each(N, Me) ->
    spawn(fun() -> Me ! done end),
    receive done -> spawn_each(N - 1, Me) end.

%% A thousand at a time; the last of each thousand reports, so that no more than a thousand are alive.
spawn_batches(N) when N =< 0 -> ok;
spawn_batches(N) ->
    Me = self(),
    spawn_nothing(999),
    spawn(fun() -> Me ! done end),
    receive done -> spawn_batches(N - 1000) end.

spawn_nothing(0) -> ok;
spawn_nothing(N) -> spawn(fun nothing/0), spawn_nothing(N - 1).

nothing() -> ok.

spawn_idle(0, Pids) -> Pids;
spawn_idle(N, Pids) -> spawn_idle(N - 1, [spawn(fun idle/0) | Pids]).

idle() -> receive stop -> ok end.
