%% A gen_statem whose callbacks give what a script says, one result after the other, and that writes down how it was called.
%% See statem_oracle.py.
-module(statem_oracle).
-behaviour(gen_statem).
-export([play/1, init/1, callback_mode/0, handle_event/4]).

%% Scripts: [{EnterCalls, State, InitActions, Results, Steps}], a step being {cast, C}, {info, C} or {wait, Milliseconds}.
%% Gives for each script, after the start and after each step: {Calls, State, Postponed, Timers}, Calls oldest first.
play(Scripts) ->
    [play_one(Script) || Script <- Scripts].

play_one({_, _, _, _, Steps} = Script) ->
    {ok, Pid} = gen_statem:start(?MODULE, Script, []),
    Trace = [look(Pid) | [begin step(Pid, Step), look(Pid) end || Step <- Steps]],
    gen_statem:stop(Pid),
    Trace.

step(Pid, {cast, Content}) -> gen_statem:cast(Pid, Content);
step(Pid, {info, Content}) -> Pid ! Content;
step(_, {wait, Milliseconds}) -> timer:sleep(Milliseconds).

look(Pid) ->
    %% A system message is only taken when no event waits.
    {status, Pid, _, [Dictionary, _, _, _, Items]} = sys:get_status(Pid),
    Calls = proplists:get_value(calls, Dictionary, []),
    {State, _} = sys:get_state(Pid),
    Data = lists:append([D || {data, D} <- Items]),
    {_, Timers} = proplists:get_value("Time-outs", Data),
    sys:replace_state(Pid, fun(S) -> put(calls, []), S end),
    {lists:reverse(Calls), State, proplists:get_value("Postponed", Data), lists:sort(Timers)}.

init({EnterCalls, State, Actions, Results, _}) ->
    put(enter_calls, EnterCalls),
    put(calls, []),
    {ok, State, Results, Actions}.

callback_mode() ->
    case get(enter_calls) of
        true -> [handle_event_function, state_enter];
        false -> handle_event_function
    end.

handle_event(Type, Content, State, Results) ->
    put(calls, [{Type, Content, State} | get(calls)]),
    case Results of
        [] -> keep_state_and_data;
        [{next, Next, Actions} | Rest] when Type =/= enter -> {next_state, Next, Rest, Actions};
        [{next, _, Actions} | Rest] -> {next_state, State, Rest, allowed(Actions)};
        [{Kind, Actions} | Rest] ->
            Given = case Type of enter -> allowed(Actions); _ -> Actions end,
            {case Kind of keep -> keep_state; repeat -> repeat_state end, Rest, Given}
    end.

%% What an enter call may ask for.
allowed(Actions) ->
    [Action || Action <- Actions, Action =/= postpone, element(1, Action) =/= next_event].
