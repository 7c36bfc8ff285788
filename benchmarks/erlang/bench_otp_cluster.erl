%% One of two Erlang nodes with a gen_server: the peer of drivers/otp_cluster_node.py.
%% serve/0 registers the server. main/0 reads lines "bench count target-node" on standard input and answers each with
%% one number.
-module(bench_otp_cluster).
-behaviour(gen_server).
-export([main/0, serve/0, init/1, handle_call/3, handle_cast/2]).

serve() ->
    {ok, _} = gen_server:start({local, bench_counter}, ?MODULE, 0, []),
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

%% Calls per second, one caller.
run("calls_1", N, Node) ->
    N / seconds(fun() -> calls({bench_counter, Node}, N) end);
%% Calls per second, 100 callers at once.
run("calls_100", N, Node) ->
    Each = N div 100,
    100 * Each / seconds(fun() ->
        Callers = [spawn_monitor(fun() -> calls({bench_counter, Node}, Each) end) || _ <- lists:seq(1, 100)],
        [receive {'DOWN', M, process, P, normal} -> ok end || {P, M} <- Callers]
    end).

seconds(Fun) ->
    Start = erlang:monotonic_time(nanosecond),
    Fun(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

calls(_, 0) -> ok;
calls(Server, N) ->
    _ = gen_server:call(Server, {increment, 1}),
    calls(Server, N - 1).

init(N) -> {ok, N}.

handle_call({increment, By}, _, N) -> {reply, N + By, N + By}.

handle_cast(_, N) -> {noreply, N}.
