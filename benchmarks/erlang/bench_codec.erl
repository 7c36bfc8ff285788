%% Erlang's own codec: the peer of benchmarks/codec.py.
%% Reads lines "bench count" on standard input and answers each with a rate: terms per second.
%% The terms are what codec.py wrote: NAME.etf in the folder that the environment variable CODEC_TERMS names.
-module(bench_codec).
-export([main/0]).

main() ->
    io:format("ready~n"),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Bench, Name, Count] = string:lexemes(string:trim(Line), " "),
            io:format("~p~n", [measure(Bench, Name, list_to_integer(Count))]),
            loop()
    end.

measure(Bench, Name, Count) ->
    {ok, Data} = file:read_file(filename:join(os:getenv("CODEC_TERMS"), Name ++ ".etf")),
    Term = binary_to_term(Data),
    {_, Monitor} = spawn_monitor(fun() -> exit({rate, run(Bench, Term, term_to_binary(Term), Count)}) end),
    receive
        {'DOWN', Monitor, process, _, {rate, Rate}} -> Rate;
        {'DOWN', Monitor, process, _, Reason} -> erlang:error(Reason)
    end.

%% The last result is handed on and returned: a result that nobody uses would not be made at all.
run("encode", Term, Data, Count) -> rate(Count, fun() -> encode(Term, Count, Data) end);
run("decode", Term, Data, Count) -> rate(Count, fun() -> decode(Data, Count, Term) end).

encode(_, 0, Last) -> Last;
encode(Term, Count, _) -> encode(Term, Count - 1, term_to_binary(Term)).

decode(_, 0, Last) -> Last;
decode(Data, Count, _) -> decode(Data, Count - 1, binary_to_term(Data)).

rate(Count, Work) ->
    Start = erlang:monotonic_time(nanosecond),
    Last = Work(),
    Spent = erlang:monotonic_time(nanosecond) - Start,
    put(last, Last),
    Count * 1.0e9 / Spent.
