"""Elixir's and Erlang's clients on a server of ours: each script runs against a server of Elixir's own, too, and gives the same."""

from __future__ import annotations

from typing import Any

import pytest
from oracle import Oracle

from beamish.term import atom

SCRIPTS = {
    "call": "s = start.(5); {GenServer.call(s, :value), GenServer.call(s, {:add, 2}), :gen_server.call(s, :value)}",
    "cast": "s = start.(5); {GenServer.cast(s, {:add, 2}), :gen_server.cast(s, {:add, 2}), GenServer.call(s, :value)}",
    "info": "s = start.(5); send(s, {:tell, self()}); Same.receive_one()",
    "terms": """
        s = start.(0)
        terms = [:atom, nil, true, 1.5, -7, 12345678901234567890123, "text", "żółw", 'chars', {}, {1, {2}}, [], [1 | 2],
                 %{:a => 1, "b" => []}, %{1 => :a, 1.0 => :b}, <<5::3>>, self(), make_ref(), &:lists.map/2, {:error, nil},
                 MapSet.new([1]), 1..3, ~D[2026-01-02]]
        for term <- terms, do: GenServer.call(s, {:echo, term}) === term || term
    """,
    "continue": "s = start.({:then, 5}); {GenServer.call(s, :value), GenServer.call(s, :then), GenServer.call(s, :value)}",
    "idle": """
        s = start.(5); GenServer.call(s, :idle); t = start.({:idle, 5}); Process.sleep(80)
        {GenServer.call(s, :value), GenServer.call(t, :value)}
    """,
    "call times out": "s = start.(5); GenServer.call(s, :never, 30)",
    "erlang call times out": "s = start.(5); :gen_server.call(s, :never, 30)",
    "late reply": """
        s = start.(5)
        r = try do GenServer.call(s, {:later, 60}, 20) catch :exit, {:timeout, _} -> :timed_out end
        {r, Same.receive_one(120), GenServer.call(s, :value)}
    """,
    "reply later": "s = start.(5); GenServer.call(s, {:later, 20})",
    "reply of another process": "s = start.(5); GenServer.call(s, :elsewhere)",
    "stop with a reply": "s = start.(5); Process.monitor(s); {GenServer.call(s, {:stop, :normal, :bye}), Same.receive_one()}",
    "stop without": "s = start.(5); GenServer.call(s, {:stop, {:shutdown, 1}})",
    "exit": "s = start.(5); GenServer.call(s, {:exit, :normal})",
    "boom": "s = start.(5); GenServer.call(s, :boom)",
    "boom seen by a monitor": "s = start.(5); Process.monitor(s); GenServer.cast(s, {:stop, :bad}); Same.receive_one()",
    "dead": "s = start.(5); GenServer.stop(s); GenServer.call(s, :value)",
    "dies meanwhile": """
        s = start.(5); me = self()
        spawn(fn -> Process.sleep(20); Process.exit(s, :kill); send(me, :killed) end); GenServer.call(s, :never)
    """,
    "start that fails": "try_start.({:stop, :bad}, [])",
    "start with a taken name": "start_named.(5, :taken); try_start.(5, [name: :taken])",
    "named": """
        start_named.(5, :named); n = node_of.()
        {GenServer.call({:named, n}, :value), GenServer.cast({:named, n}, {:add, 1}), GenServer.call({:named, n}, :value),
         GenServer.stop({:named, n})}
    """,
    "missing name": "GenServer.call({:missing, node_of.()}, :value)",
    "missing name, erlang": ":gen_server.call({:missing, node_of.()}, :value)",
    "missing node": "GenServer.call({:missing, :nope@localhost}, :value)",
    "global": """
        start_global.(5, {:a, 1}); a = GenServer.call({:global, {:a, 1}}, :value)
        w = GenServer.whereis({:global, {:a, 1}}); v = GenServer.call({:via, :global, {:a, 1}}, :value)
        {a, w, v, GenServer.stop({:global, {:a, 1}}), catch_exit.(fn -> GenServer.call({:global, {:a, 1}}, :value) end)}
    """,
    "stop": "s = start.(5); Process.monitor(s); {GenServer.stop(s), Same.receive_one(), Same.receive_one(10)}",
    "stop with a reason": "s = start.(5); {GenServer.stop(s, {:shutdown, :x}), Process.alive?(self())}",
    "stop calls terminate": "s = start.(5); {GenServer.stop(s, {:tell, self()}), Same.receive_one()}",
    "stop that takes too long": "s = start.(5); GenServer.stop(s, {:slow, 200}, 30)",
    "stop of the dead": "s = start.(5); GenServer.stop(s); GenServer.stop(s)",
    "erlang stop": "s = start.(5); :gen_server.stop(s, :normal, 1000)",
    "proc_lib stop": "s = start.(5); :proc_lib.stop(s, :shutdown, 1000)",
    "multi_call": """
        start_named.(5, :several); n = node_of.()
        {GenServer.multi_call([n, :nope@localhost], :several, :value), GenServer.multi_call([n], :absent, :value),
         GenServer.multi_call([n], :several, :never, 30), :gen_server.multi_call([n], :several, {:add, 1})}
    """,
    "abcast": """
        start_named.(5, :heard); n = node_of.()
        {GenServer.abcast([n], :heard, {:add, 1}), GenServer.abcast([n], :absent, 1), GenServer.call({:heard, n}, :value)}
    """,
    "send_request": """
        s = start.(5); r = :gen_server.send_request(s, :value); a = :gen_server.wait_response(r, 1000)
        q = :gen_server.send_request(s, {:later, 30}); w = :gen_server.wait_response(q, 1)
        b = :gen_server.receive_response(q, 1000); c = :gen_server.send_request(s, :value); m = Same.receive_one()
        {a, w, b, :gen_server.check_response(m, c)}
    """,
    "send_request to the dead": """
        s = start.(5); GenServer.stop(s); r = :gen_server.send_request(s, :value); :gen_server.receive_response(r, 1000)
    """,
    "request collections": """
        s = start.(5); ids = :gen_server.reqids_new()
        ids = :gen_server.send_request(s, :value, :first, ids); ids = :gen_server.send_request(s, :never, :second, ids)
        {answer, label, ids} = :gen_server.receive_response(ids, 1000, true)
        {answer, label, :gen_server.reqids_size(ids), :gen_server.receive_response(ids, 20, true)}
    """,
    "linked and shut down": """
        Process.flag(:trap_exit, true); s = start_link.({:trap, 5}); Process.exit(s, {:shutdown, :now}); Same.receive_one()
    """,
    "get_state": "s = start.(5); :sys.get_state(s)",
    "replace_state": "s = start.([1, 2]); {:sys.replace_state(s, &:lists.reverse/1), :sys.get_state(s)}",
    "replace_state that fails": "s = start.(:x); :sys.replace_state(s, &:lists.reverse/1)",
    "get_status": "s = start.(5); status.(:sys.get_status(s))",
    "get_status of a linked one": "Process.flag(:trap_exit, true); s = start_link.(5); status.(:sys.get_status(s))",
    "get_status of a named one": "s = start_named.(5, :status); status.(:sys.get_status(s))",
    "suspend": """
        s = start.(5); a = :sys.suspend(s); GenServer.cast(s, {:add, 1})
        b = try do GenServer.call(s, :value, 30) catch :exit, {why, _} -> why end
        {a, b, :sys.get_state(s), elem(elem(:sys.get_status(s), 3) |> List.to_tuple(), 1), :sys.suspend(s), :sys.resume(s),
         GenServer.call(s, :value), Same.receive_one(10)}
    """,
    "change_code": """
        s = start.(5); a = :sys.change_code(s, Counter, "1", :x); :sys.suspend(s); b = :sys.change_code(s, Counter, "1", :x)
        :sys.resume(s); {a, b, GenServer.call(s, :value)}
    """,
    "statistics": """
        s = start.(5); a = :sys.statistics(s, :get); b = :sys.statistics(s, true)
        GenServer.call(s, :value); GenServer.cast(s, {:add, 1}); send(s, :other)
        c = :sys.statistics(s, :get); {a, b, c, :sys.statistics(s, false), :sys.statistics(s, :get)}
    """,
    "log": """
        s = start.(5); a = :sys.log(s, :get); b = :sys.log(s, {true, 4})
        GenServer.call(s, :value); GenServer.cast(s, {:add, 1}); send(s, :other)
        {a, b, :sys.log(s, :get), status.(:sys.get_status(s)), :sys.log(s, false), :sys.log(s, :get)}
    """,
    "no_debug": "s = start.(5); :sys.log(s, true); {:sys.no_debug(s), :sys.log(s, :get), :sys.trace(s, false)}",
    "sys terminate": "s = start.(5); Process.monitor(s); {:sys.terminate(s, :normal), Same.receive_one()}",
    "sys of the dead": "s = start.(5); GenServer.stop(s); :sys.get_state(s)",
    "sys of a missing name": ":sys.get_state({:missing, node_of.()})",
    "unknown system message": """
        s = start.(5); r = make_ref(); send(s, {:system, {self(), r}, :dance}); send(s, {:system, {self(), r}, {:debug, :dance}})
        {Same.receive_one(), Same.receive_one(), GenServer.call(s, :value)}
    """,
}

@pytest.mark.parametrize("script", SCRIPTS)
def test_a_server_of_ours_answers_as_elixir_s_own(oracle: Oracle, script: str) -> None:
    theirs, ours = oracle.outcomes(SCRIPTS[script])
    assert ours == theirs


TYPED = {
    "a map becomes a dataclass": (
        'GenServer.call(s, {:add, %{name: "brie", price: 5, tags: ["soft", \'old\']}}); GenServer.call(s, {:price, "brie"})',
        5.0,
    ),
    "keys may be strings": ('GenServer.call(s, {:add, %{"name" => "edam", "price" => 2.5, "tags" => []}})', 1),
    "a struct too": (
        """
        defmodule Cheese do
          defstruct [:name, :price, tags: [], count: 2]
        end
        GenServer.call(s, {:add, struct(Cheese, name: "feta", price: 1.5)}); GenServer.call(s, {:price, "feta"})
        """,
        1.5,
    ),
    "defaults are filled in": ('GenServer.call(s, {:price, "nothing", 7})', 7.0),
    "declared exceptions are answers": (
        'GenServer.call(s, {:price, "nothing"})',
        (atom.error, (atom.exception, atom("builtins.LookupError"), b"no nothing")),
    ),
    "text, atoms and booleans": (
        "GenServer.call(s, {:kinds, 'abc', :high, true})",
        (b"str abc", b"Atom high", True),
    ),
    "an absent value is nil": ("GenServer.call(s, :first)", None),
    "casts convert as well": ('GenServer.cast(s, {:rename, "Kwik"}); GenServer.call(s, :named)', b"Kwik"),
}
REFUSED = {
    "a wrong type": ('GenServer.call(s, {:price, 5})', "Shop.price: argument name: 5 is no str"),
    "a missing field": ('GenServer.call(s, {:add, %{name: "x"}})', "Shop.add: argument item"),
    "too many arguments": ("GenServer.call(s, {:named, 1})", "Shop.named takes 0 arguments"),
    "an unknown request": ("GenServer.call(s, :dance)", "its @call methods are add, first, kinds, named, price"),
    "a cast that is a call": ("GenServer.call(s, {:rename, 1})", "Shop.rename is a @cast method"),
}


def shop(oracle: Oracle, code: str) -> Any:
    start = f'{{:ok, s}} = :erpc.call(:"{oracle.here.name}", :beamish, :start, ["servers_for_tests:Shop"]); '
    return oracle.runner.run(oracle.elixir.aeval(start + code, spawn=True))


@pytest.mark.parametrize("name", TYPED)
def test_typed_methods_take_what_elixir_sends(oracle: Oracle, name: str) -> None:
    code, expected = TYPED[name]
    assert shop(oracle, code) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_an_exit_that_says_so(oracle: Oracle, name: str) -> None:
    code, expected = REFUSED[name]
    why = shop(oracle, f"try do {code} catch :exit, {{why, {{GenServer, :call, _}}}} -> Exception.format_exit(why) end").decode()
    assert expected in why
    assert why.startswith("an exception was raised:")
    assert "Traceback (most recent call last):\n" in why


def test_the_kind_of_an_exception_can_be_matched_in_elixir(oracle: Oracle) -> None:
    code = """
        s = start.(5)
        try do GenServer.call(s, :boom) catch :exit, {{%{kind: :"builtins.ValueError", detail: detail}, _}, _} -> detail end
    """
    _, ours = oracle.outcomes(code)
    assert ours == '"no cheese"'
