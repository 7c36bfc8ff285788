%% Answers batches of encoded terms; see erlang_echo.py. A batch is a packet: operation:8, then length:32 and bytes for
%% each entry. Answers have the same form without the operation.
-module(echo).
-export([main/0]).

main() ->
    Port = open_port({fd, 0, 1}, [binary, {packet, 4}]),
    loop(Port, #{}).

loop(Port, Kept) ->
    receive
        {Port, {data, <<Operation, Rest/binary>>}} ->
            {Answers, Kept1} = answer(Operation, entries(Rest), Kept),
            port_command(Port, [[<<(byte_size(A)):32>>, A] || A <- Answers]),
            loop(Port, Kept1);
        {'EXIT', Port, _} -> halt(0)
    end.

entries(<<Size:32, Entry:Size/binary, Rest/binary>>) -> [Entry | entries(Rest)];
entries(<<>>) -> [].

%% echo: decode and encode again; an empty answer is a refusal
answer($e, Entries, Kept) ->
    {[try term_to_binary(binary_to_term(E), [{minor_version, 2}]) catch _:_ -> <<>> end || E <- Entries], Kept};
%% make: <<Seed:32, Count:32>> random terms, kept for 'compare'
answer($m, [<<Seed:32, Count:32>>], _) ->
    rand:seed(exsss, Seed),
    Terms = [term(3) || _ <- lists:seq(1, Count)],
    {[term_to_binary(T, options(I)) || {I, T} <- with_index(Terms)], maps:from_list(with_index(Terms))};
%% compare each entry with the kept term of its number
answer($c, Entries, Kept) ->
    {[compare(E, maps:get(I, Kept)) || {I, E} <- with_index(Entries)], Kept};
%% same: entries in pairs
answer($s, Entries, Kept) -> {pairs(Entries), Kept};
%% expressions: source text in, encoded values out
answer($x, Entries, Kept) ->
    {[term_to_binary(value(binary_to_list(E)), [{minor_version, 2}]) || E <- Entries], Kept}.

with_index(Terms) -> lists:zip(lists:seq(1, length(Terms)), Terms).

compare(Encoded, Term) ->
    try binary_to_term(Encoded) of
        Term -> <<1>>;
        _ -> <<0>>
    catch _:_ -> <<2>> end.

pairs([A, B | Rest]) -> [compare(A, binary_to_term(B)) | pairs(Rest)];
pairs([]) -> [].

value(Source) ->
    {ok, Tokens, _} = erl_scan:string(Source),
    {ok, Forms} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Forms, []),
    Value.

options(I) when I rem 3 =:= 0 -> [{minor_version, 1}];      % Latin-1 atoms
options(I) when I rem 7 =:= 0 -> [compressed];
options(_) -> [{minor_version, 2}].

term(0) -> leaf(rand:uniform(13));
term(Depth) ->
    case rand:uniform(12) of
        1 -> list_to_tuple(terms(Depth, 6));
        2 -> terms(Depth, 6);
        3 -> terms(Depth, 4) ++ improper_tail();
        4 -> maps:from_list([{term(Depth - 1), term(Depth - 1)} || _ <- lists:seq(1, rand:uniform(6))]);
        5 -> maps:from_list([{leaf(rand:uniform(3)), term(Depth - 1)} || _ <- lists:seq(1, rand:uniform(40))]);
        6 -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(30))];
        7 -> [rand:uniform(400) - 1 || _ <- lists:seq(1, rand:uniform(30))];
        8 -> Captured = terms(Depth, 3), fun(X) -> {X, Captured} end;
        9 -> list_to_tuple(lists:duplicate(250 + rand:uniform(10), leaf(rand:uniform(3))));
        10 -> struct(rand:uniform(6));
        _ -> leaf(rand:uniform(13))
    end.

terms(Depth, Most) -> [term(Depth - 1) || _ <- lists:seq(1, rand:uniform(Most))].

improper_tail() ->
    case leaf(rand:uniform(13)) of
        [] -> tail;
        Tail when is_list(Tail) -> tail;
        Tail -> Tail
    end.

sign() -> rand:uniform(2) * 2 - 3.

leaf(1) -> list_to_atom([$a + rand:uniform(20) || _ <- lists:seq(1, rand:uniform(10))]);
leaf(2) -> sign() * (rand:uniform(1 bsl (rand:uniform(70))));
leaf(3) -> rand:bytes(rand:uniform(20));
leaf(4) -> sign() * rand:uniform() * math:pow(10, rand:uniform(600) - 300);
leaf(5) -> self();
leaf(6) -> make_ref();
leaf(7) -> hd(erlang:ports());
leaf(8) -> Bits = rand:uniform(100), <<(rand:uniform(1 bsl Bits) - 1):Bits>>;
leaf(9) -> fun lists:map/2;
leaf(10) -> sign() * (rand:uniform(1 bsl 64) bsl rand:uniform(3000));
leaf(11) -> lists:nth(rand:uniform(5), [true, false, nil, undefined, '']);
leaf(12) -> [16#65E5 + rand:uniform(100), $a, $b];
leaf(13) -> lists:nth(rand:uniform(4), [[], {}, #{}, <<>>]).

struct(1) ->
    #{'__struct__' => 'Elixir.DateTime', calendar => 'Elixir.Calendar.ISO', year => 1960 + rand:uniform(99),
      month => rand:uniform(13), day => rand:uniform(29), hour => rand:uniform(24), minute => 7, second => rand:uniform(60),
      microsecond => microsecond(), time_zone => <<"Etc/UTC">>, zone_abbr => <<"UTC">>, utc_offset => 0,
      std_offset => 3600 * (rand:uniform(3) div 3)};
struct(2) ->
    #{'__struct__' => 'Elixir.NaiveDateTime', calendar => 'Elixir.Calendar.ISO', year => 10100 - rand:uniform(9999),
      month => 2, day => rand:uniform(31), hour => rand:uniform(24), minute => 7, second => 9,
      microsecond => microsecond()};
struct(3) -> #{'__struct__' => 'Elixir.Date', calendar => 'Elixir.Calendar.ISO', year => rand:uniform(3000), month => 3, day => 4};
struct(4) ->
    #{'__struct__' => 'Elixir.Decimal', sign => sign(), exp => sign() * rand:uniform(500),
      coef => lists:nth(rand:uniform(4), [rand:uniform(1 bsl 90), 'NaN', inf, 0])};
struct(5) ->
    Set = #{'__struct__' => 'Elixir.MapSet', map => maps:from_list([{term(1), []} || _ <- lists:seq(1, rand:uniform(4))])},
    case rand:uniform(2) of 1 -> Set; 2 -> Set#{version => 2} end;
struct(6) ->
    #{'__struct__' => 'Elixir.Range', first => rand:uniform(9), last => rand:uniform(9), step => rand:uniform(5) - 3}.

microsecond() ->
    case rand:uniform(3) of
        1 -> {0, 0};
        2 -> {rand:uniform(1000000) - 1, 6};
        3 -> {rand:uniform(9) * 100000, rand:uniform(8) - 1}
    end.
