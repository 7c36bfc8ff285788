%% Messages of every kind through a supervision tree whose workers crash and are killed at random: the peer of
%% drivers/otp_storm.py, which says what the tree is and what must hold.
%% Reads lines "storm messages seed" on standard input and answers each with messages/s, crashes and kills together,
%% and restarts.
-module(bench_storm).
-behaviour(gen_server).
-export([main/0, start/3, start_team/2, init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(CLIENTS, 16).
-define(CRASH_EVERY, 1000).
-define(BURST, 32).
-define(ENDLESS, 1000000000).
-define(TEAMS, [{one_for_one, 8}, {rest_for_one, 8}, {one_for_all, 4}]).
-define(WORKERS, 20).

main() ->
    io:format("ready~n"),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            ["storm", Messages, Seed] = string:lexemes(string:trim(Line), " "),
            Me = self(),
            {_, Monitor} = spawn_monitor(fun() -> Me ! {result, storm(list_to_integer(Messages), list_to_integer(Seed))} end),
            receive
                {result, {Rate, Failures, Restarts}} ->
                    erlang:demonitor(Monitor, [flush]),
                    io:format("~p ~p ~p~n", [Rate, Failures, Restarts]);
                {'DOWN', Monitor, process, _, Reason} ->
                    io:format(standard_error, "BROKEN: ~p~n", [Reason]),
                    halt(1)
            end,
            loop()
    end.

storm(Messages, Seed) ->
    Each = Messages div ?CLIENTS,
    Recorded = list_to_tuple([counters:new(Each, []) || _ <- lists:seq(1, ?CLIENTS)]),
    {ok, Root} = supervisor:start_link(?MODULE, {root, Recorded}),
    Me = self(),
    Start = erlang:monotonic_time(nanosecond),
    Clients = [spawn_link(fun() -> client(Me, I, Each, Seed) end) || I <- lists:seq(1, ?CLIENTS)],
    Ended = [receive {finished, Client, Acknowledged, Kills} -> {Acknowledged, Kills} end || Client <- Clients],
    {Starts, Crashes, []} = gen_server:call(ledger, summary, infinity),
    Seconds = (erlang:monotonic_time(nanosecond) - Start) / 1.0e9,
    lists:foreach(fun({I, {Acknowledged, _}}) ->
        [] = [{lost, I, N} || N <- lists:seq(1, Each),
            counters:get(Acknowledged, N) > 0, counters:get(element(I, Recorded), N) =:= 0]
    end, lists:zip(lists:seq(1, ?CLIENTS), Ended)),
    lists:foreach(fun(I) -> whole(worker(I), 30000) end, lists:seq(1, ?WORKERS)),
    unlink(Root),
    Monitor = erlang:monitor(process, Root),
    exit(Root, shutdown),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    [] = [worker(I) || I <- lists:seq(1, ?WORKERS), whereis(worker(I)) =/= undefined],
    Kills = lists:sum([Killed || {_, Killed} <- Ended]),
    {Each * ?CLIENTS / Seconds, Crashes + Kills, Starts - ?WORKERS}.

whole(Worker, Left) when Left > 0 ->
    try gen_server:call(Worker, sync) of ok -> ok
    catch exit:_ -> timer:sleep(1), whole(Worker, Left - 1)
    end.

worker(1) -> worker_1; worker(2) -> worker_2; worker(3) -> worker_3; worker(4) -> worker_4; worker(5) -> worker_5;
worker(6) -> worker_6; worker(7) -> worker_7; worker(8) -> worker_8; worker(9) -> worker_9; worker(10) -> worker_10;
worker(11) -> worker_11; worker(12) -> worker_12; worker(13) -> worker_13; worker(14) -> worker_14;
worker(15) -> worker_15; worker(16) -> worker_16; worker(17) -> worker_17; worker(18) -> worker_18;
worker(19) -> worker_19; worker(20) -> worker_20.

%% --- a client ---

client(Parent, I, Each, Seed) ->
    rand:seed(exsss, Seed * 1009 + I),
    Acknowledged = counters:new(Each, []),
    Kills = bursts(I, 1, Each, Acknowledged, 0),
    Parent ! {finished, self(), Acknowledged, Kills}.

bursts(_, N, Each, _, Kills) when N > Each -> Kills;
bursts(I, N, Each, Acknowledged, Kills) ->
    Worker = worker(rand:uniform(?WORKERS)),
    {Next, Killed} = burst(I, N, min(N + ?BURST - 1, Each), Worker, Acknowledged, Kills),
    try gen_server:call(Worker, sync) catch exit:_ -> erlang:yield() end,
    drain(Acknowledged),
    bursts(I, Next, Each, Acknowledged, Killed).

%% Ends early when the worker is seen to be gone.
burst(_, N, Last, _, _, Kills) when N > Last -> {N, Kills};
burst(I, N, Last, Worker, Acknowledged, Kills) ->
    Fate = case rand:uniform() * ?CRASH_EVERY < 1 of
        true -> element(rand:uniform(3), {before, 'after', late});
        false -> fine
    end,
    Killed = kill(rand:uniform() * ?CRASH_EVERY < 0.5, Worker),
    Team = element(rand:uniform(length(?TEAMS)), {one_for_one, rest_for_one, one_for_all}),
    Teams = kill(rand:uniform() * ?CRASH_EVERY < 0.025, Team),
    case send_one(rand:uniform(), I, N, Fate, Worker, Acknowledged) of
        gone -> {N + 1, Kills + Killed + Teams};
        _ -> burst(I, N + 1, Last, Worker, Acknowledged, Kills + Killed + Teams)
    end.

send_one(Kind, I, N, Fate, Worker, Acknowledged) when Kind < 0.4 ->
    call(Worker, {record, I, N, Fate}, N, Acknowledged);
send_one(Kind, I, N, Fate, Worker, Acknowledged) when Kind < 0.55 ->
    call(Worker, {record_later, I, N, Fate}, N, Acknowledged);
send_one(Kind, I, N, Fate, Worker, _) when Kind < 0.8 ->
    gen_server:cast(Worker, {record_soon, self(), I, N, Fate});
send_one(_, I, N, Fate, Worker, _) ->
    try Worker ! {note, self(), I, N, Fate} catch error:badarg -> gone end.

call(Worker, Request, N, Acknowledged) ->
    try gen_server:call(Worker, Request) of N -> counters:put(Acknowledged, N, 1)
    catch exit:_ -> gone
    end.

kill(false, _) -> 0;
kill(true, Name) ->
    case whereis(Name) of
        undefined -> 0;
        Pid -> exit(Pid, kill), 1
    end.

drain(Acknowledged) ->
    receive
        {acknowledged, N} -> counters:put(Acknowledged, N, 1), drain(Acknowledged);
        Other -> erlang:error({nobody_owed, Other})
    after 0 -> ok
    end.

%% --- the tree ---

start(Name, Kind, Argument) ->
    gen_server:start_link({local, Name}, ?MODULE, {Kind, Argument}, []).

start_team(Strategy, Workers) ->
    supervisor:start_link({local, Strategy}, ?MODULE, {team, Strategy, Workers}).

init({root, Recorded}) ->
    Ledger = #{id => ledger, start => {?MODULE, start, [ledger, ledger, Recorded]}},
    {Teams, _} = lists:mapfoldl(fun({Strategy, Size}, First) ->
        Workers = lists:seq(First, First + Size - 1),
        {#{id => Strategy, start => {?MODULE, start_team, [Strategy, Workers]}, type => supervisor}, First + Size}
    end, 1, ?TEAMS),
    {ok, {#{strategy => one_for_one, intensity => ?ENDLESS, period => 1}, [Ledger | Teams]}};
init({team, Strategy, Workers}) ->
    Children = [#{id => I, start => {?MODULE, start, [worker(I), worker, I]}} || I <- Workers],
    {ok, {#{strategy => Strategy, intensity => ?ENDLESS, period => 1}, Children}};
init({ledger, Recorded}) ->
    {ok, {ledger, Recorded, #{}, 0, 0, []}};
init({worker, I}) ->
    gen_server:cast(ledger, started),
    {ok, I}.

handle_call(summary, _, {ledger, _, _, Starts, Crashes, Violations} = State) ->
    {reply, {Starts, Crashes, Violations}, State};
handle_call({record, Client, N, Fate}, _, I) ->
    take(Client, N, Fate, I),
    case crashing(Fate) of
        true -> {stop, storm, N, I};
        false -> {reply, N, I}
    end;
handle_call({record_later, Client, N, Fate}, From, I) ->
    Fate =:= before andalso crash(),
    gen_server:cast(ledger, {record_and_reply, Client, N, I, From}),
    Fate =/= fine andalso crash(),
    {noreply, I};
handle_call(sync, _, I) -> {reply, ok, I}.

handle_cast({record, Client, N, Worker}, State) ->
    {noreply, record(Client, N, Worker, State)};
handle_cast({record_and_reply, Client, N, Worker, From}, State) ->
    Next = record(Client, N, Worker, State),
    gen_server:reply(From, N),
    {noreply, Next};
handle_cast(started, {ledger, Recorded, Last, Starts, Crashes, Violations}) ->
    {noreply, {ledger, Recorded, Last, Starts + 1, Crashes, Violations}};
handle_cast(crashing, {ledger, Recorded, Last, Starts, Crashes, Violations}) ->
    {noreply, {ledger, Recorded, Last, Starts, Crashes + 1, Violations}};
handle_cast({record_soon, Sender, Client, N, Fate}, I) ->
    note(Sender, Client, N, Fate, I).

handle_info({note, Sender, Client, N, Fate}, I) ->
    note(Sender, Client, N, Fate, I).

note(Sender, Client, N, Fate, I) ->
    take(Client, N, Fate, I),
    Sender ! {acknowledged, N},
    crashing(Fate) andalso erlang:error(storm),
    {noreply, I}.

take(Client, N, Fate, I) ->
    Fate =:= before andalso crash(),
    gen_server:cast(ledger, {record, Client, N, I}),
    Fate =:= 'after' andalso crash().

crashing(late) -> gen_server:cast(ledger, crashing), true;
crashing(_) -> false.

crash() ->
    gen_server:cast(ledger, crashing),
    erlang:error(storm).

record(Client, N, Worker, {ledger, Recorded, Last, Starts, Crashes, Violations}) ->
    Seen = element(Client, Recorded),
    Found = case counters:get(Seen, N) > 0 orelse N =< maps:get({Client, Worker}, Last, 0) of
        true -> [{twice_or_out_of_order, Client, N, Worker} | Violations];
        false -> Violations
    end,
    counters:put(Seen, N, 1),
    {ledger, Recorded, Last#{{Client, Worker} => N}, Starts, Crashes, Found}.
