%% One Erlang node whose neighbours compute: the peer of drivers/fairness_node.py, which says what the lines mean.
-module(bench_fairness).
-export([main/0]).

-define(TIMER_MS, 5).

main() ->
    io:format("ready~n"),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            Words = string:lexemes(string:trim(Line), " "),
            Me = self(),
            {_, Monitor} = spawn_monitor(fun() -> Me ! {result, run(Words)} end),
            receive
                {result, Result} -> erlang:demonitor(Monitor, [flush]), io:format("~s~n", [Result]);
                {'DOWN', Monitor, process, _, Reason} -> erlang:error(Reason)
            end,
            loop()
    end.

run([Start, Pace, Hog, Seconds]) when Start =:= "echo"; Start =:= "due" ->
    Echo = spawn(fun echo/0),
    start_hog(Hog, Seconds),
    Result = ask(Echo, self(), round(number(Pace)), Start =:= "due", erlang:monotonic_time(nanosecond), []),
    exit(Echo, kill),
    figures(Result);
run(["timers", Hog, Seconds]) ->
    start_hog(Hog, Seconds),
    figures(timers([]));
run(["tcp", Hog, Seconds]) ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, true}, {nodelay, true}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listener),
    io:format("~p~n", [Port]),
    {ok, Socket} = gen_tcp:accept(Listener),
    Server = spawn(fun() -> receive start -> tcp_echo(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! start,
    start_hog(Hog, Seconds),
    receive {done, Units} -> ok end,
    gen_tcp:close(Listener),
    integer_to_list(Units).

number(Text) ->
    try list_to_float(Text) catch error:badarg -> float(list_to_integer(Text)) end.

start_hog(Kind, Seconds) ->
    Me = self(),
    Nanoseconds = round(number(Seconds) * 1.0e9),
    spawn(fun() -> Me ! {done, hog(Kind, Nanoseconds)} end).

hog("none", Nanoseconds) ->
    timer:sleep(Nanoseconds div 1000000),
    0;
hog("python", Nanoseconds) ->
    compute(erlang:monotonic_time(nanosecond) + Nanoseconds, 0).

compute(End, Units) ->
    case erlang:monotonic_time(nanosecond) < End of
        true -> _ = grind(0, 0), compute(End, Units + 1);
        false -> Units
    end.

grind(1000, Total) -> Total;
grind(I, Total) -> grind(I + 1, Total + I * I rem 7).

echo() ->
    receive {From, Message} -> From ! Message, echo() end.

ask(Echo, Me, Pace, FromDue, Due, Taken) ->
    Start = case FromDue of true -> Due; false -> erlang:monotonic_time(nanosecond) end,
    Echo ! {Me, Start},
    receive Start -> ok end,
    Now = erlang:monotonic_time(nanosecond),
    Times = [Now - Start | Taken],
    Pace > 0 andalso timer:sleep(Pace),
    receive
        {done, Units} -> {Times, Units}
    after 0 -> ask(Echo, Me, Pace, FromDue, Now + Pace * 1000000, Times)
    end.

timers(Taken) ->
    Due = erlang:monotonic_time(nanosecond) + ?TIMER_MS * 1000000,
    erlang:send_after(?TIMER_MS, self(), tick),
    receive tick -> ok end,
    Times = [erlang:monotonic_time(nanosecond) - Due | Taken],
    receive
        {done, Units} -> {Times, Units}
    after 0 -> timers(Times)
    end.

tcp_echo(Socket) ->
    receive
        {tcp, Socket, Data} -> ok = gen_tcp:send(Socket, Data), tcp_echo(Socket);
        {tcp_closed, Socket} -> ok
    end.

%% Median, 99th percentile and maximum in milliseconds, how many, and the hog's units of work.
figures({Taken, Units}) ->
    Sorted = lists:sort(Taken),
    Count = length(Sorted),
    Ranks = [Count div 2 + 1, min(Count * 99 div 100 + 1, Count), Count],
    Figures = [io_lib:format("~.6f", [lists:nth(min(Rank, Count), Sorted) / 1.0e6]) || Rank <- Ranks],
    lists:join(" ", Figures ++ [integer_to_list(Count), integer_to_list(Units)]).
