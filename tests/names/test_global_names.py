"""Names: registered, changed, lost with their processes, and disputed when clusters meet."""

from __future__ import annotations

from typing import Any

import pytest
from global_simulator import Net, SimNode, healthy_mesh

from beamish.names import messages as m
from beamish.names.actions import KillPid, SendPid
from beamish.names.resolve import DELETE_NAME, RANDOM_EXIT_NAME, STANDARD, Methods, standard_outcome
from beamish.term import ExportFun, Fun, Pid, atom, charlist

LOW, HIGH = Pid(atom("a@x"), 9, 0, 1), Pid(atom("b@x"), 1, 0, 1)
CLOSURE = Fun(atom("global"), 3, bytes(16), 4, 4, 99, LOW, ())


def test_a_name_is_known_everywhere() -> None:
    net = Net(1)
    nodes = healthy_mesh(net, ["a@x", "b@x", "c@x"])
    pid = nodes[1].spawn()
    tag = nodes[1].register("db", pid)
    net.run()
    net.check()
    assert nodes[1].replies[tag] is m.YES
    assert [node.core.whereis("db") for node in nodes] == [pid] * 3
    events = [(event.name, event.old, event.new) for event in nodes[2].events]
    assert events == [("db", None, pid)]


def test_a_taken_name_is_refused_until_it_is_free() -> None:
    net = Net(2)
    one, two = healthy_mesh(net, ["a@x", "b@x"])
    pid = one.spawn()
    one.register("db", pid)
    net.run()
    tag = two.register("db")
    net.run()
    assert two.replies[tag] is m.NO
    assert two.core.whereis("db") == pid
    tag = two.unregister("db")
    net.run()
    assert two.replies[tag] is m.OK
    tag = two.register("db")
    net.run()
    assert two.replies[tag] is m.YES


def test_unregistering_what_is_not_there_is_ok_at_once() -> None:
    one = Net(2).start("a@x")
    assert one.replies[one.unregister("nothing")] is m.OK


def test_re_register_takes_a_name_over() -> None:
    net = Net(3)
    one, two = healthy_mesh(net, ["a@x", "b@x"])
    old, new = one.spawn(), two.spawn()
    one.register("db", old)
    net.run()
    tag = two.ask((m.REGISTRAR, (m.RE_REGISTER, "db", new, RANDOM_EXIT_NAME)))
    net.run()
    assert two.replies[tag] is m.YES
    net.check()
    assert one.core.whereis("db") == new
    one.kill(old)  # not the owner any more
    net.run()
    assert one.core.whereis("db") == new


def test_a_process_has_one_name() -> None:
    net = Net(4)
    one = net.start("a@x")
    pid = one.spawn()
    tags = one.register("first", pid), one.register("second", pid)
    net.run()
    assert [one.replies[tag] for tag in tags] == [m.YES, m.NO]
    assert any(log.level == "error" and "several names" in log.text for log in one.logs)


def test_a_name_goes_with_its_process_and_with_its_node() -> None:
    net = Net(5)
    nodes = healthy_mesh(net, ["a@x", "b@x", "c@x"])
    pid = nodes[0].spawn()
    nodes[2].register("on a", pid)
    nodes[1].register("on b")
    net.run()
    nodes[0].kill(pid)
    net.run()
    assert [node.core.registered_names() for node in nodes] == [["on b"]] * 3
    net.crash(nodes[1])
    net.run()
    assert nodes[0].core.registered_names() == []
    net.check()


def test_a_dead_local_process_is_not_given_out() -> None:
    net = Net(6)
    one = net.start("a@x")
    pid = one.spawn()
    one.register("db", pid)
    net.run()
    one.dead.add(pid)  # its DOWN is still under way
    assert one.core.whereis("db") is None
    tag = one.register("db")
    net.run()
    assert one.replies[tag] is m.YES


@pytest.mark.parametrize(
    ("name", "alias"),
    [("db", b"db"), (charlist("db"), [100, 98]), (("t", 1), ("t", 1)), ([1, [2]], [1, [2]]), ({"k": [1]}, {b"k": [1]})],
)
def test_any_term_is_a_name(name: Any, alias: Any) -> None:
    net = Net(7)
    one, two = healthy_mesh(net, ["a@x", "b@x"])
    pid = one.spawn()
    one.register(name, pid)
    net.run()
    assert two.core.whereis(alias) == pid
    assert two.core.whereis(1) is None
    one.unregister(alias)
    net.run()
    assert two.core.whereis(name) is None


def test_one_and_one_point_zero_are_two_names() -> None:
    net = Net(8)
    one = net.start("a@x")
    for name in (1, 1.0, True, atom.one, "1"):
        one.register(name)
    net.run()
    assert len(one.core.registered_names()) == 5


@pytest.mark.parametrize("seed", range(15))
def test_many_callers_at_once_get_one_winner(seed: int) -> None:
    net = Net(seed)
    nodes = healthy_mesh(net, ["a@x", "b@x", "c@x", "d@x"])
    tags = [(node, node.register("leader")) for node in nodes for _ in range(2)]
    net.run()
    net.check()
    answers = [node.replies[tag] for node, tag in tags]
    assert sorted(answer.text for answer in answers) == ["no"] * 7 + ["yes"]


# conflicts


def conflict(seed: int, method: Any, names: tuple[str, str] = ("a@x", "b@x")) -> tuple[Net, list[SimNode], list[Pid]]:
    """Two nodes that gave one name to two processes meet."""
    net = Net(seed)
    nodes = [net.start(name) for name in names]
    pids = [node.spawn() for node in nodes]
    for node, pid in zip(nodes, pids, strict=True):
        node.register("db", pid, method)
    net.run()
    net.connect(nodes[0], nodes[1])
    net.run()
    net.check()
    return net, nodes, pids


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("method", [None, "random_exit_name", CLOSURE])
def test_the_process_on_the_greater_node_is_killed(seed: int, method: Any) -> None:
    _, (one, two), (low, high) = conflict(seed, method)
    assert one.core.whereis("db") == two.core.whereis("db") == low
    assert high in two.dead
    assert low not in one.dead


def test_the_process_on_the_greater_node_is_told() -> None:
    _, (one, two), (low, high) = conflict(1, "random_notify_name")
    assert one.core.whereis("db") == two.core.whereis("db") == low
    assert two.messages == {high: [(atom.global_name_conflict, "db")]}
    assert one.dead == two.dead == set()


def test_both_are_told_and_the_name_deleted() -> None:
    _, (one, two), (low, high) = conflict(1, "notify_all_name")
    assert one.core.whereis("db") is two.core.whereis("db") is None
    assert one.messages == {low: [(atom.global_name_conflict, "db", high)]}
    assert two.messages == {high: [(atom.global_name_conflict, "db", low)]}


def test_the_name_is_deleted_silently() -> None:
    _, (one, two), _ = conflict(1, "none")
    assert one.core.whereis("db") is two.core.whereis("db") is None
    assert one.messages == two.messages == {}
    assert one.dead == two.dead == set()


@pytest.mark.parametrize("winner", ["theirs", "ours", "nobody", "nonsense"])
def test_a_python_function_decides(winner: str) -> None:
    asked: list[tuple[Any, Pid, Pid]] = []

    def choose(name: Any, pid: Pid, pid2: Pid) -> Any:
        asked.append((name, pid, pid2))
        return {"theirs": pid, "ours": pid2, "nobody": None, "nonsense": 42}[winner]

    _, (one, two), (low, high) = conflict(1, choose)
    assert asked == [("db", high, low)], "only the smaller node asks, about his process and ours"
    expected = {"theirs": high, "ours": low}.get(winner)
    assert one.core.whereis("db") == two.core.whereis("db") == expected


def test_the_method_runs_on_the_node_of_our_process() -> None:
    """a holds the name for a process on c; it decides, but c is asked."""
    net = Net(3)
    one, three = healthy_mesh(net, ["a@x", "c@x"])
    pid = three.spawn()
    three.register("db", pid, lambda name, pid, pid2: pid2)
    net.run()
    two = net.start("b@x")
    two.register("db")
    net.run()
    net.connect(one, two)
    net.run()
    net.check()
    assert one.core.whereis("db") == two.core.whereis("db") == pid


def test_if_that_node_is_gone_the_other_process_wins() -> None:
    net = Net(3)
    one, two = net.start("a@x"), net.start("b@x")
    lost = Pid(atom("gone@x"), 1, 0, 1)
    one.core.handle_call((one.core.state.pid, 0), (m.REGISTER, "db", lost, RANDOM_EXIT_NAME), net.now)
    pid = two.spawn()
    two.register("db", pid)
    net.run()
    net.connect(one, two)
    net.run()
    net.check()
    assert one.core.whereis("db") == pid


def test_the_same_process_is_no_conflict() -> None:
    net = Net(4)
    one, two = healthy_mesh(net, ["a@x", "b@x"])
    pid = one.spawn()
    one.register("db", pid)
    net.run()
    net.replace(one, two)
    net.run()
    net.check()
    assert two.core.whereis("db") == pid
    assert not one.dead


@pytest.mark.parametrize("method", [RANDOM_EXIT_NAME, CLOSURE])
def test_random_exit_name_kills_the_greater(method: Any) -> None:
    for pid, pid2 in ((LOW, HIGH), (HIGH, LOW)):
        outcome = standard_outcome(method, "n", pid, pid2)
        assert outcome is not None
        assert outcome[0] == LOW
        assert [action for action in outcome[1] if isinstance(action, KillPid)] == [KillPid(HIGH)]


def test_standard_methods_as_tables() -> None:
    told = SendPid(HIGH, (atom.global_name_conflict, "n"))
    assert standard_outcome(STANDARD["random_notify_name"], "n", HIGH, LOW) == (LOW, [told])
    both = [SendPid(LOW, (atom.global_name_conflict, "n", HIGH)), SendPid(HIGH, (atom.global_name_conflict, "n", LOW))]
    assert standard_outcome(STANDARD["notify_all_name"], "n", LOW, HIGH) == (m.NONE, both)
    assert standard_outcome(DELETE_NAME, "n", LOW, HIGH) == (m.NONE, [])
    assert standard_outcome(ExportFun(atom.lists, atom.max, 3), "n", LOW, HIGH) is None
    assert standard_outcome(atom.none, "n", LOW, HIGH) is None


def test_methods_travel_as_references_and_are_found_again() -> None:
    methods = Methods()
    first, second = (lambda name, pid, pid2: pid), (lambda name, pid, pid2: pid2)
    one, two = methods.term_of(first), methods.term_of(second)
    assert one != two
    assert one == methods.term_of(first)
    assert isinstance(one, ExportFun)
    assert one.arity == 3
    assert (methods.callable_of(one), methods.callable_of(two)) == (first, second)
    assert methods.callable_of(RANDOM_EXIT_NAME) is None
    assert methods.callable_of(CLOSURE) is None


def test_what_may_be_given_as_a_method() -> None:
    methods = Methods()
    assert methods.term_of(None) == RANDOM_EXIT_NAME
    assert methods.term_of((atom("Elixir.Mod"), atom.choose)) == ExportFun(atom("Elixir.Mod"), atom.choose, 3)
    assert methods.term_of(CLOSURE) is CLOSURE
    with pytest.raises(ValueError, match="random_exit_name"):
        methods.term_of("random_exit")
    with pytest.raises(ValueError, match="function of"):
        methods.term_of(42)
