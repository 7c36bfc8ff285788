"""Erlang's gen_statem and sys work on our machines, and ours on Erlang's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from machines import Door

from beam import COOKIE, ErlNode, RealEpmd, unique_name
from beamish.boot import new_event_loop, start_node
from beamish.gen_state_machine import GenStateMachine, NamedTimeout, Next
from beamish.node import current_runtime
from beamish.process import Process
from beamish.process.gen import CallFailed
from beamish.term import atom

pytestmark = pytest.mark.interop

COUNTER = """
-module(beamish_counter).
-behaviour(gen_statem).
-export([start/0, init/1, callback_mode/0, counting/3]).
start() -> gen_statem:start({local, beamish_counter}, ?MODULE, [], []).
init([]) -> {ok, counting, 0}.
callback_mode() -> state_functions.
counting({call, From}, get, N) -> {keep_state_and_data, [{reply, From, N}]};
counting({call, From}, stop, N) -> {stop_and_reply, {shutdown, N}, [{reply, From, bye}]};
counting(cast, {add, M}, N) -> {keep_state, N + M}.
"""


@pytest.fixture
def on_a_node(real_epmd: RealEpmd) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Runs a body as a process of a node of ours that Erlang can reach."""

    def run(body: Callable[[], Awaitable[None]]) -> None:
        async def session() -> None:
            runtime = await start_node(unique_name("py"), cookie=COOKIE, epmd_port=real_epmd.port)
            try:
                async with asyncio.timeout(30):
                    await runtime.run(body)
            finally:
                await runtime.stop()

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(session())

    return run


def test_erlang_s_clients(on_a_node: Any, erl_node: ErlNode) -> None:
    async def body() -> None:
        door = await Door.start("12", name="door")
        where = f"{{door, '{current_runtime().node}'}}"
        assert await erl_node.aeval(f"gen_statem:call({where}, is_open)") is False
        assert await erl_node.aeval(f"gen_statem:cast({where}, {{press, <<\"1\">>}})") is atom.ok
        assert await erl_node.aeval(f"sys:get_state({where})") == (atom.locked, {atom.code: b"12", atom.typed: b"1"})
        opens = f"gen_statem:cast({where}, {{press, <<\"2\">>}}), gen_statem:call({where}, is_open, 5000)"
        assert await erl_node.aeval(opens) is True
        waits = f"gen_statem:wait_response(gen_statem:send_request({where}, is_open), 5000)"
        assert await erl_node.aeval(waits) == (atom.reply, True)
        assert await door.is_open()
        status = await erl_node.atext(f"element(4, sys:get_status({where}))")
        assert '"Status for state machine door"' in status
        assert '{"Time-outs",{1,[{state_timeout,nil}]}}' in status
        assert '{"State",{open,#{code=>' in status.replace(" ", "")
        assert "callback_failed" in await erl_node.atext(f"catch sys:replace_state({where}, fun(S) -> S end)")
        assert await erl_node.aeval(f"sys:suspend({where}), lists:nth(2, element(4, sys:get_status({where})))") is atom.suspended
        assert await erl_node.aeval(f"sys:resume({where}), gen_statem:call({where}, is_open)") is True
        assert "its calls are is_open" in await erl_node.atext(f"catch gen_statem:call({where}, no_such_thing)")

    on_a_node(body)


def test_erlang_stops_our_machine(on_a_node: Any, erl_node: ErlNode) -> None:
    async def body() -> None:
        door = await Door.start("12", name="door")
        where = f"{{door, '{current_runtime().node}'}}"
        assert await erl_node.aeval(f"gen_statem:stop({where}, shutdown, 5000)") is atom.ok
        assert not Process.alive(door.pid)
        assert (await erl_node.atext(f"catch gen_statem:call({where}, is_open, 5000)")).startswith("{'EXIT',{noproc,")

    on_a_node(body)


def test_status_of_timers_and_postponed_events(on_a_node: Any, erl_node: ErlNode) -> None:
    class Busy(Door):
        def init(self, code: str) -> Any:
            super().init(code)
            return Next("open", NamedTimeout("night", 1000.0, ("lock", 1)))

    async def body() -> None:
        busy = await Busy.start_link("12", name="busy")
        busy.press("1")
        busy.press("2")
        await busy.is_open()
        status = await erl_node.atext(f"element(4, sys:get_status({{busy, '{current_runtime().node}'}}))")
        assert '{"Postponed",[{cast,{press,<<"2">>}},{cast,{press,<<"1">>}}]}' in status
        assert '{{timeout,<<"night">>},{<<"lock">>,1}}' in status

    on_a_node(body)


def test_our_clients_and_erlang_s_machine(on_a_node: Any, erl_node: ErlNode, tmp_path: Path) -> None:
    source = tmp_path / "beamish_counter.erl"
    source.write_text(COUNTER)
    compiled = f'{{ok, M, B}} = compile:file("{source.with_suffix("")}", [binary]), {{module, M}} = code:load_binary(M, "x", B), ok'
    assert erl_node.eval(compiled) is atom.ok
    assert erl_node.eval("element(1, beamish_counter:start())") is atom.ok

    async def body() -> None:
        counter = ("beamish_counter", erl_node.name)
        GenStateMachine.cast(counter, (atom.add, 4))
        GenStateMachine.cast(counter, (atom.add, 5))
        assert await GenStateMachine.call(counter, atom.get) == 9
        assert await GenStateMachine.call(counter, atom.stop) is atom.bye
        with pytest.raises(CallFailed):
            await GenStateMachine.call(counter, atom.get)
        assert await erl_node.aeval("element(1, beamish_counter:start())") is atom.ok
        await GenStateMachine.stop(counter)
        assert await erl_node.aeval("whereis(beamish_counter)") is atom.undefined

    on_a_node(body)
