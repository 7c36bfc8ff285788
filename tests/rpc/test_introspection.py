from __future__ import annotations

from typing import Any

import pytest

import beamish
from beamish.errors import NoRuntime
from beamish.node.runtime import current_runtime
from beamish.process import receive, spawn
from beamish.rpc import Exports, introspection, memory, start_services, system_info
from beamish.term import atom
from loops import virtual

KEYS = ["total", "processes", "system", "atom", "binary", "code", "ets"]


async def rest() -> None:
    await receive()


@virtual
async def test_memory_in_bytes() -> None:
    before = memory()
    assert list(before) == KEYS
    assert before["total"] > 10 << 20
    assert before["system"] == before["total"] - before["processes"]
    pids = [spawn(rest) for _ in range(1000)]
    after = memory()
    assert 200_000 < after["processes"] - before["processes"] < 2_000_000
    assert len(pids) == 1000


@virtual
async def test_memory_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "STATM", "/no/such/file")
    assert memory()["total"] > 10 << 20
    assert memory()["code"] == 0


@virtual
async def test_every_known_key_of_system_info_is_answered() -> None:
    answers: dict[str, Any] = {key: system_info(key) for key in introspection.KNOWN}
    assert all(isinstance(answer, int | float | str) for answer in answers.values())
    runtime = current_runtime()
    assert answers["process_count"] == runtime.process_count
    assert answers["process_limit"] == runtime.process_limit
    assert answers["creation"] == runtime.creation
    assert system_info(atom.process_count) == runtime.process_count
    assert answers["version"] in (beamish.__version__, "0")
    with pytest.raises(ValueError, match="knows no proces_count; it knows process_count"):
        system_info("proces_count")


def test_outside_of_a_node_they_need_to_be_told_which() -> None:
    with pytest.raises(NoRuntime):
        memory()
    with pytest.raises(NoRuntime):
        system_info("process_count")


@virtual
async def test_one_policy_can_serve_several_nodes() -> None:
    policy = Exports(["math"])
    policy.builtin["mine"] = {"seven": lambda: 7}
    made = await start_services(current_runtime(), policy)
    assert made is current_runtime().services["exports"]
    assert made is not policy
    assert (made.node, policy.node) == (str(current_runtime().node), "")
    assert made.resolve(atom.mine, atom.seven, 0)() == 7
    assert "erlang" not in policy.builtin
