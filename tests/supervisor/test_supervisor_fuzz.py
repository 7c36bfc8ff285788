"""Anybody can send anything to a supervisor: it answers every call, and goes on."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beamish.errors import CallTimeout
from beamish.gen_server import GenServer
from beamish.process import receive, send, spawn_link
from beamish.supervisor import ChildSpec, DynamicSupervisor, Supervisor
from beamish.term import atom
from beamish.testing import capture_log, run_virtual
from strategies import terms

REQUESTS = [
    "start_child", "terminate_child", "restart_child", "delete_child", "get_childspec", "which_children", "try_again_restart",
]  # fmt: skip
KEYS = ["id", "start", "restart", "shutdown", "type", "significant", "modules", "start_timeout"]
WORDS = [atom.permanent, atom.temporary, atom.brutal_kill, atom.infinity, atom.worker, atom.supervisor, atom.dynamic]
values = st.one_of(
    terms, st.sampled_from(WORDS),
    st.tuples(terms, terms, st.lists(terms, max_size=2)), st.just((atom.os, atom.getpid, [])),
)  # fmt: skip
maps = st.dictionaries(st.sampled_from(KEYS).map(atom), values, max_size=6)
specs = st.one_of(maps, st.tuples(*[values] * 6), st.tuples(*[values] * 5), terms)
requests = st.one_of(
    st.tuples(st.sampled_from(REQUESTS).map(atom), st.one_of(specs, terms)), terms, st.sampled_from(REQUESTS).map(atom)
)
messages = st.one_of(
    requests, st.tuples(st.just(atom.EXIT), terms, terms), st.tuples(st.just(atom("$gen_restart")), terms),
    st.tuples(st.just(atom("$gen_cast")), requests), st.tuples(st.just(atom.spawn_reply), terms, st.just(atom.ok), terms),
)  # fmt: skip


@given(st.lists(requests, max_size=6), st.lists(messages, max_size=6))
@settings(max_examples=80, deadline=None)
def test_whatever_comes_it_goes_on(calls: list[Any], infos: list[Any]) -> None:
    async def run() -> None:
        child = ChildSpec("a", lambda: spawn_link(receive))
        for supervisor in (await Supervisor.start_link([child]), await DynamicSupervisor.start_link()):
            with capture_log():
                for message in infos:
                    send(supervisor.pid, message)
                for request in calls:
                    try:
                        await GenServer.call(supervisor.pid, request, 5.0)
                    except CallTimeout:
                        raise AssertionError(f"no answer to {request!r}") from None
                assert (await supervisor.count_children()).active in (0, 1)

    run_virtual(run)
