"""Every way to write a child, what is refused and in which words, and Erlang's forms of it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish import etf
from beamish.gen_server import GenServer
from beamish.supervisor import BadChildSpec, ChildSpec, DynamicSupervisor, Supervisor, child_spec
from beamish.supervisor.child_spec import key_of
from beamish.supervisor.child_terms import by_name_only, from_dynamic, modules_term, start_term, to_dynamic, to_map, to_record
from beamish.supervisor.pool import MOST_KINDS, Pool
from beamish.term import Atom, Pid, Ref, atom, charlist

HERE = __name__


class Worker(GenServer):
    """A server of the tables."""

    restart = "transient"

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do."""


class Top(Supervisor):
    """A supervisor of the tables."""


def start(*args: Any) -> None:
    """A start function."""


WAYS: list[tuple[Any, dict[str, Any]]] = [
    (Worker, {"id": atom.Worker, "restart": "transient", "shutdown": 5.0, "type": "worker"}),
    ((Worker,), {"id": atom.Worker}),
    ((Worker, 1, 2), {"id": atom.Worker}),
    (Worker.child_spec(1, name="w", id="other", shutdown=1.0), {"id": "other", "restart": "transient", "shutdown": 1.0}),
    (ChildSpec("a", start), {"id": "a", "start": start, "restart": "permanent", "shutdown": 5.0, "type": "worker", "modules": ()}),
    ({"id": "a", "start": start}, {"id": "a", "start": start, "shutdown": 5.0}),
    ({"id": "a", "start": start, "type": "supervisor"}, {"shutdown": math.inf}),
    ({"id": "a", "start": (start, [1])}, {"start": (start, [1])}),
    ({"id": "a", "start": (start, (1,), {"b": 2})}, {"start": (start, (1,), {"b": 2})}),
    ({"id": "a", "start": start, "shutdown": "brutal_kill", "start_timeout": 2}, {"shutdown": "brutal_kill", "start_timeout": 2}),
    ({"id": 1, "start": start, "restart": atom.transient}, {"restart": "transient"}),
    ({"id": 1, "start": start, "shutdown": atom.infinity}, {"shutdown": math.inf}),
    ({atom.id: "a", atom.start: (atom.m, atom.f, [1])}, {"id": "a", "start": (atom.m, atom.f, [1]), "shutdown": 5.0}),
    ({atom.id: 1, atom.start: (atom.m, atom.f, []), atom.shutdown: 250, atom.whatever: 1}, {"id": 1, "shutdown": 0.25}),
    ({atom.id: 1, atom.start: (atom.m, atom.f, []), atom.type: atom.supervisor}, {"type": "supervisor", "shutdown": math.inf}),
    ({atom.id: 1, atom.start: (atom.m, atom.f, []), atom.modules: atom.dynamic}, {"modules": (atom.dynamic,)}),
    ((atom.a, (atom.m, atom.f, []), atom.transient, atom.brutal_kill, atom.worker, [atom.m]),
     {"id": atom.a, "restart": "transient", "shutdown": "brutal_kill", "modules": (atom.m,)}),
    (Top, {"type": "supervisor", "shutdown": math.inf, "modules": (Top,)}),
    ((Supervisor, [Worker]), {"id": atom("beamish.supervisor.supervisor.Supervisor"), "type": "supervisor"}),
    (DynamicSupervisor.child_spec(name="pool"), {"id": atom.pool, "type": "supervisor"}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "wanted"), WAYS)
def test_ways_to_write_a_child(written: Any, wanted: dict[str, Any]) -> None:
    spec = child_spec(written)
    assert {key: getattr(spec, key) for key in wanted} == wanted


def test_single_keys_can_be_changed() -> None:
    assert child_spec(Worker, id="w2", shutdown=1).id == "w2"
    with pytest.raises(BadChildSpec, match="child atom.Worker|child Worker: a child has no key name"):
        child_spec(Worker, name="w")


class Liar:
    """Something whose child_spec is wrong."""

    @staticmethod
    def child_spec(*args: Any) -> Any:
        """No child."""
        return 7


REFUSED: list[tuple[Any, str, Any]] = [
    (7, "7 is not a child", (atom.invalid_child_spec, 7)),
    (start, r"ChildSpec\(id, start\)", None),
    ("worker", "'worker' is not a child", (atom.invalid_child_spec, "worker")),
    ((), r"\(\) is not a child", None),
    (Liar, "child Liar: its child_spec\\(\\) gives 7", None),
    ({"start": start}, "a child without an id", atom.missing_id),
    ({"id": "a"}, "child 'a': the key start is missing", atom.missing_start),
    ({"id": "a", "start": start, "restrat": "temporary"}, "child 'a': a child has no key restrat; its keys are id, start", None),
    ({"id": "a", "start": 3}, "child 'a': start must be a function", (atom.invalid_mfa, 3)),
    ({"id": "a", "start": (start, 3)}, "child 'a': start must be", None),
    ({"id": "a", "start": start, "restart": "sometimes"}, "child 'a': restart must be permanent, transient or temporary, not 'som",
     (atom.invalid_restart_type, "sometimes")),
    ({"id": "a", "start": start, "type": "boss"}, "child 'a': type must be worker or supervisor",
     (atom.invalid_child_type, "boss")),
    ({"id": "a", "start": start, "shutdown": -1}, "child 'a': shutdown must be a number of seconds", (atom.invalid_shutdown, -1)),
    ({"id": "a", "start": start, "shutdown": True}, "shutdown must be a number of seconds", (atom.invalid_shutdown, True)),
    ({"id": "a", "start": start, "shutdown": "soon"}, "shutdown must be", (atom.invalid_shutdown, "soon")),
    ({"id": "a", "start": start, "significant": 1}, "significant must be True or False", (atom.invalid_significant, 1)),
    ({"id": "a", "start": start, "significant": True}, "significant does not go with restart permanent",
     (atom.bad_combination, [(atom.restart, atom.permanent), (atom.significant, True)])),
    ({"id": "a", "start": start, "modules": 3}, "modules must be", (atom.invalid_modules, 3)),
    ({"id": "a", "start": start, "modules": [3]}, "modules must be", (atom.invalid_module, [3])),
    ({"id": "a", "start": start, "start_timeout": 0}, "start_timeout must be a number of seconds above 0", None),
    ({atom.id: "a", atom.start: start}, "start must be", None),
    ({atom.id: "a", atom.start: (atom.m, atom.f, 1)}, "start must be", (atom.invalid_mfa, (atom.m, atom.f, 1))),
    ({atom.id: "a", atom.start: (atom.m, atom.f, []), atom.shutdown: 0.5}, "shutdown must be milliseconds",
     (atom.invalid_shutdown, 0.5)),
]  # fmt: skip


@pytest.mark.parametrize(("written", "words", "reason"), REFUSED)
def test_what_is_refused_and_in_which_words(written: Any, words: str, reason: Any) -> None:
    with pytest.raises(BadChildSpec, match=words) as caught:
        child_spec(written)
    if reason is not None:
        assert caught.value.reason == reason
    etf.encode(caught.value.reason)  # an Erlang caller gets it as {error, Reason}


def test_ids_are_terms_and_compared_as_erlang_does() -> None:
    assert key_of("a") == key_of(b"a") != key_of(atom.a)
    assert key_of(1) != key_of(1.0) != key_of(True)
    assert key_of(charlist("a")) == key_of([97])
    assert key_of([1, {"a": 2}]) == key_of([1, {b"a": 2}])
    assert key_of(Worker) == key_of(atom(f"{HERE}.Worker"))
    with pytest.raises(BadChildSpec, match="its id must be a term"):
        key_of(object())


def test_erlangs_map_of_a_child() -> None:
    spec = child_spec({"id": "a", "start": (start, [1, object]), "shutdown": 1.5, "restart": "transient", "significant": True})
    found = to_map(spec)
    assert found == {
        atom.id: "a", atom.start: (atom(HERE), atom.start, [1, repr(object)]), atom.restart: atom.transient, atom.significant: True,
        atom.shutdown: 1500, atom.type: atom.worker, atom.modules: [atom(HERE)],
    }  # fmt: skip
    etf.encode(found)
    assert to_record(spec)[:4] == (atom.child, atom.undefined, "a", found[atom.start])


STARTS: list[tuple[Any, tuple[str, str, list[Any]]]] = [
    (start, (HERE, "start", [])),
    ((start, (1, 2)), (HERE, "start", [1, 2])),
    ((start, (1,), {"b": 2}), (HERE, "start", [1, {"b": 2}])),
    (partial(start, 1), (HERE, "start", [1])),
    (partial(partial(start, 1), 2), (HERE, "start", [1, 2])),
    (Worker.child_spec(1, name="w").start, (HERE, "Worker.start_link", [1, {"name": "w"}])),
    (Worker.child_spec().start, (HERE, "Worker.start_link", [])),
    (Top.child_spec().start, (HERE, "Top.start_link", [])),
    (Worker.start_link, (HERE, "Worker.start_link", [])),
    ((atom.m, atom.f, [1]), ("m", "f", [1])),
]


@pytest.mark.parametrize(("given_start", "wanted"), STARTS)
def test_start_functions_by_name(given_start: Any, wanted: tuple[str, str, list[Any]]) -> None:
    module, function, args = start_term(child_spec({"id": 1, "start": given_start}))
    assert (str(module), str(function), args) == wanted


@pytest.mark.parametrize(("spec", "wanted"), [
    (Worker.child_spec(), [atom(f"{HERE}.Worker")]),
    (ChildSpec(1, start), [atom(HERE)]),
    (ChildSpec(1, Worker.start_link), [atom(f"{HERE}.Worker")]),
    (ChildSpec(1, (atom.m, atom.f, [])), [atom.m]),
    (ChildSpec(1, start, modules=(atom.dynamic,)), atom.dynamic),
    (ChildSpec(1, start, modules=("a", Worker)), [atom.a, atom(f"{HERE}.Worker")]),
])  # fmt: skip
def test_modules(spec: ChildSpec, wanted: Any) -> None:
    assert modules_term(spec) == wanted


terms = st.one_of(st.integers(), st.sampled_from([atom.a, atom.b]), st.binary(max_size=4), st.text(max_size=4))
mfas = st.tuples(st.sampled_from([atom.m, atom("Elixir.M")]), st.just(atom.f), st.lists(terms, max_size=3))
shutdowns = st.one_of(st.integers(0, 10**7), st.sampled_from([atom.infinity, atom.brutal_kill]))
kinds = st.sampled_from([atom.worker, atom.supervisor])
modules = st.one_of(st.just(atom.dynamic), st.lists(st.sampled_from([atom.m, atom.n]), min_size=1, max_size=2))
restarts = st.sampled_from([atom.permanent, atom.transient, atom.temporary])


@given(terms, mfas, restarts, shutdowns, kinds, modules, st.booleans())
def test_erlangs_maps_come_back_unchanged(
    id: Any, mfa: Any, restart: Atom, shutdown: Any, kind: Atom, mods: Any, significant: bool
) -> None:
    written = {
        atom.id: id, atom.start: mfa, atom.restart: restart, atom.shutdown: shutdown, atom.type: kind, atom.modules: mods,
        atom.significant: significant and restart is not atom.permanent,
    }  # fmt: skip
    assert to_map(child_spec(written)) == written
    short = (mfa, restart, shutdown, kind, mods)
    assert to_dynamic(from_dynamic(short)) == short
    assert child_spec((id, *short)) == child_spec(written | {atom.significant: False})


def test_only_what_has_a_name_travels() -> None:
    assert by_name_only(Worker.child_spec(1)).start == (atom(HERE), atom("Worker.start_link"), [1])
    assert by_name_only(ChildSpec(1, (start, (1,), {"b": 2}))).start == (
        atom.beamish, atom.start_with_keywords, [atom(HERE), atom.start, [1], {"b": 2}],
    )  # fmt: skip
    with pytest.raises(BadChildSpec, match="child 'a': a supervisor on another node finds its start function by name"):
        by_name_only(ChildSpec("a", lambda: None))


def test_temporary_children_of_a_kind_share_what_is_kept_of_them() -> None:
    pool = Pool()
    node = atom("pool@nohost")
    for number in range(100):
        pool.keep(Pid(node, number, 0, 1), Worker.child_spec(number, restart="temporary"))
    assert len({id(entry) for entry in pool.children.values()}) == 1
    functions = [lambda: None for _ in range(200)]
    for number, function in enumerate(functions, 1000):
        pool.keep(Pid(node, number, 0, 1), ChildSpec(number, function, "temporary"))
    assert len(pool._kept) <= MOST_KINDS


def test_an_id_of_any_kind() -> None:
    for id in (Ref(atom("n@h"), 1, (1, 2, 3)), Pid(atom("n@h"), 1, 2, 3), ("a", 1), [1], {"a": 1}, 1.5, None):
        assert child_spec({"id": id, "start": start}).id == id
        key_of(id)
