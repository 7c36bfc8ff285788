%% One of two Erlang nodes: the peer of drivers/cluster_node.py.
%% serve/0 registers the other side's server. main/0 reads lines "bench count target-node" on standard input and
%% answers each with one number. Both sides of both languages speak the same messages, so that any pair can be measured.
-module(bench_cluster).
-export([main/0, serve/0]).

serve() ->
    register(bench_echo, spawn(fun echo/0)),
    register(bench_sink, spawn(fun sink/0)),
    io:format("ready~n"),
    _ = io:get_line(""),
    halt(0).

main() ->
    io:format("ready~n"),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Bench, Count, Node] = string:lexemes(string:trim(Line), " "),
            io:format("~p~n", [measure(Bench, list_to_integer(Count), list_to_atom(Node))]),
            loop()
    end.

measure(Bench, Count, Node) ->
    Me = self(),
    {_, Monitor} = spawn_monitor(fun() -> Me ! {result, run(Bench, Count, Node)} end),
    receive
        {result, Value} -> erlang:demonitor(Monitor, [flush]), Value;
        {'DOWN', Monitor, process, _, Reason} -> io:format(standard_error, "~p: ~p~n", [Bench, Reason]), halt(1)
    end.

%% Median round trip in microseconds.
run("ping_pong", N, Node) ->
    Echo = pid_of(bench_echo, Node),
    median(round_trips(Echo, self(), N, [])) / 1000;
%% Small messages per second, counted when the last has arrived.
run("one_way", N, Node) ->
    Sink = pid_of(bench_sink, Node),
    N / seconds(fun() ->
        send_many(Sink, {note, 1, <<"twenty bytes of text">>}, N),
        Sink ! {count, self(), N},
        receive {counted, N} -> ok end
    end);
%% Calls per second, 100 callers; each call is monitor, request, reply, demonitor.
run("calls_100", N, Node) ->
    Echo = pid_of(bench_echo, Node),
    Each = N div 100,
    100 * Each / seconds(fun() ->
        Callers = [spawn_monitor(fun() -> calls(Echo, Each) end) || _ <- lists:seq(1, 100)],
        [receive {'DOWN', M, process, P, normal} -> ok end || {P, M} <- Callers]
    end);
%% GiB per second of 1 MiB binaries, counted when the last has arrived.
run("binaries", N, Node) ->
    Sink = pid_of(bench_sink, Node),
    Binary = binary:copy(<<7>>, 1 bsl 20),
    N / 1024 / seconds(fun() ->
        send_many(Sink, Binary, N),
        Sink ! {count, self(), N},
        receive {counted, N} -> ok end
    end);
%% Calls per second, one after the other.
run("erpc", N, Node) ->
    1.0 = erpc:call(Node, math, sqrt, [1.0]),
    N / seconds(fun() -> erpc_calls(Node, N) end).

pid_of(Name, Node) ->
    {Name, Node} ! {whoami, self()},
    receive {iam, Pid} -> Pid after 10000 -> erlang:error({no_answer_from, Name, Node}) end.

seconds(Fun) ->
    Start = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

median(Values) ->
    lists:nth((length(Values) + 1) div 2, lists:sort(Values)).

round_trips(_, _, 0, Times) -> Times;
round_trips(Echo, Me, N, Times) ->
    Start = erlang:monotonic_time(nanosecond),
    Echo ! {Me, N},
    receive N -> ok end,
    round_trips(Echo, Me, N - 1, [erlang:monotonic_time(nanosecond) - Start | Times]).

send_many(_, _, 0) -> ok;
send_many(To, Message, N) -> To ! Message, send_many(To, Message, N - 1).

calls(_, 0) -> ok;
calls(Echo, N) ->
    Ref = erlang:monitor(process, Echo),
    Echo ! {call, self(), Ref, N},
    receive
        {Ref, N} -> erlang:demonitor(Ref, [flush]), calls(Echo, N - 1);
        {'DOWN', Ref, process, _, Reason} -> exit(Reason)
    end.

erpc_calls(_, 0) -> ok;
erpc_calls(Node, N) -> _ = erpc:call(Node, math, sqrt, [2.0]), erpc_calls(Node, N - 1).

echo() ->
    receive
        {call, From, Tag, Message} -> From ! {Tag, Message};
        {whoami, From} -> From ! {iam, self()};
        {From, Message} -> From ! Message
    end,
    echo().

sink() ->
    receive
        {count, From, N} -> From ! {counted, N};
        {whoami, From} -> From ! {iam, self()};
        _ -> ok
    end,
    sink().
