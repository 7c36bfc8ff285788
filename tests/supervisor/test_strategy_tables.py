"""Every strategy x restart type x reason x place, as tables, without a process."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tree_driver import Driver, spec

from beamish.supervisor.child_spec import BadChildSpec
from beamish.supervisor.events import Add, Again, Boot, Delete, Exited, Halt, Restart, Terminate
from beamish.supervisor.intensity import BadOption, Intensity
from beamish.supervisor.strategy import STRATEGIES, Tree, orderly, stopped_badly
from beamish.term import atom

NORMAL, SHUTDOWN, ALSO_SHUTDOWN = atom.normal, atom.shutdown, (atom.shutdown, atom.maintenance)
CRASH, KILLED = (atom.boom, "at work"), atom.killed
REASONS = [NORMAL, SHUTDOWN, ALSO_SHUTDOWN, CRASH, KILLED]

RESTARTED: dict[tuple[str, Any], bool] = {
    ("permanent", NORMAL): True, ("permanent", SHUTDOWN): True, ("permanent", ALSO_SHUTDOWN): True, ("permanent", CRASH): True,
    ("permanent", KILLED): True,
    ("transient", NORMAL): False, ("transient", SHUTDOWN): False, ("transient", ALSO_SHUTDOWN): False, ("transient", CRASH): True,
    ("transient", KILLED): True,
    ("temporary", NORMAL): False, ("temporary", SHUTDOWN): False, ("temporary", ALSO_SHUTDOWN): False, ("temporary", CRASH): False,
    ("temporary", KILLED): False,
}  # fmt: skip

STOPS_AND_STARTS: dict[tuple[str, str], tuple[str, str]] = {
    # strategy, who ended -> who is stopped, who is started, of a b c d
    ("one_for_one", "a"): ("", "a"), ("one_for_one", "b"): ("", "b"), ("one_for_one", "c"): ("", "c"),
    ("one_for_one", "d"): ("", "d"),
    ("one_for_all", "a"): ("dcb", "abcd"), ("one_for_all", "b"): ("dca", "abcd"), ("one_for_all", "c"): ("dba", "abcd"),
    ("one_for_all", "d"): ("cba", "abcd"),
    ("rest_for_one", "a"): ("dcb", "abcd"), ("rest_for_one", "b"): ("dc", "bcd"), ("rest_for_one", "c"): ("d", "cd"),
    ("rest_for_one", "d"): ("", "d"),
}  # fmt: skip


def names(reason: Any) -> str:
    return str(reason[0] if isinstance(reason, tuple) else reason)


@pytest.mark.parametrize("place", "abcd")
@pytest.mark.parametrize("reason", REASONS, ids=names)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_the_end_of_a_child_means(strategy: str, restart: str, reason: Any, place: str) -> None:
    children = [spec(id, restart if id == place else "permanent") for id in "abcd"]
    driver = Driver(Tree(children, strategy)).boot()
    done = driver.ends(place, reason)
    if RESTARTED[restart, reason]:
        stops, starts = STOPS_AND_STARTS[strategy, place]
        assert done == [*(("stop", id) for id in stops), *(("start", id) for id in starts)]
        assert sorted(driver.alive.values()) == list("abcd")
    else:
        assert done == []
        assert sorted(driver.alive.values()) == [id for id in "abcd" if id != place]
    assert len(driver.reports) == (RESTARTED[restart, reason] or not orderly(reason))
    assert driver.quit is None
    assert (place in driver.tree.children or place.encode() in driver.tree.children) == (restart != "temporary")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_children_start_in_order_and_stop_in_reverse(strategy: str) -> None:
    driver = Driver(Tree([spec(id) for id in "abcd"], strategy))
    assert driver.tell(Boot()) == [("start", id) for id in "abcd"]
    assert driver.tell(Halt()) == [("stop", id) for id in "dcba"]
    assert driver.alive == {}


@pytest.mark.parametrize(("strategy", "stops", "starts"), [("one_for_all", "tcba", "abc"), ("rest_for_one", "tc", "bc")])
def test_temporary_siblings_are_stopped_and_not_started(strategy: str, stops: str, starts: str) -> None:
    driver = Driver(Tree([spec("a"), spec("b"), spec("c"), spec("t", "temporary")], strategy)).boot()
    done = driver.ends("b", CRASH)
    assert done == [*(("stop", id) for id in stops if id != "b"), *(("start", id) for id in starts)]
    assert driver.tree.counts() == {"specs": 3, "active": 3, "supervisors": 0, "workers": 3}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_sibling_that_had_ended_in_order_is_started_as_well(strategy: str) -> None:
    driver = Driver(Tree([spec("a"), spec("b", "transient"), spec("c")], strategy)).boot()
    driver.ends("b", NORMAL)
    assert driver.ends("a", CRASH) == [("stop", "c"), ("start", "a"), ("start", "b"), ("start", "c")]


SIGNIFICANT = [
    # auto_shutdown, restart of s, reason of s, does the supervisor end?
    (auto, restart, reason, auto != "never" and not RESTARTED[restart, reason])
    for auto, restart, reason in itertools.product(("any_significant", "all_significant"), ("transient", "temporary"), REASONS)
]


@pytest.mark.parametrize(("auto", "restart", "reason", "ends"), SIGNIFICANT)
def test_the_end_of_the_only_significant_child(auto: str, restart: str, reason: Any, ends: bool) -> None:
    driver = Driver(Tree([spec("a"), spec("s", restart, significant=True)], auto_shutdown=auto)).boot()
    driver.ends("s", reason)
    assert (driver.quit is SHUTDOWN) is ends
    assert ("stop", "a") in driver.trace if ends else ("stop", "a") not in driver.trace


def test_any_significant_child_is_enough_and_all_means_all() -> None:
    def driver(auto: str) -> Driver:
        children = [spec("a"), spec("s", "transient", significant=True), spec("z", "temporary", significant=True)]
        return Driver(Tree(children, auto_shutdown=auto)).boot()

    one = driver("any_significant")
    one.ends("z", NORMAL)
    assert one.quit is SHUTDOWN
    every = driver("all_significant")
    every.ends("z", NORMAL)
    assert every.quit is None
    every.ends("a", CRASH)
    assert every.quit is None
    every.ends("s", NORMAL)
    assert every.quit is SHUTDOWN


def test_a_significant_child_that_was_terminated_on_request_ends_nobody() -> None:
    children = [spec("s", "transient", significant=True), spec("z", "transient", significant=True)]
    driver = Driver(Tree(children, auto_shutdown="any_significant")).boot()
    driver.tell(Terminate(b"s"))
    assert driver.quit is None


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [0, 1, 3])
def test_one_restart_too_many_ends_the_supervisor(strategy: str, limit: int) -> None:
    driver = Driver(Tree([spec(id) for id in "abc"], strategy, Intensity(limit, 5))).boot()
    for _ in range(limit):
        driver.ends("b", CRASH)
        driver.now += 0.5
        assert driver.quit is None
    driver.ends("b", CRASH)
    assert driver.quit is SHUTDOWN
    assert driver.alive == {}
    assert driver.trace[-2:] == [("stop", "c"), ("stop", "a")]
    assert [report.what for report in driver.reports[-2:]] == ["child_terminated", "shutdown"]
    assert "more than" in driver.reports[-1].did


def test_restarts_that_lie_back_do_not_count() -> None:
    driver = Driver(Tree([spec("a")], intensity=Intensity(1, 5))).boot()
    for _ in range(20):
        driver.ends("a", CRASH)
        driver.now += 5.01
    assert driver.quit is None
    driver.ends("a", CRASH)
    driver.now += 4.99
    driver.ends("a", CRASH)
    assert driver.quit is SHUTDOWN


def scripted(**scripts: str) -> Any:
    """What each start of a child does in turn: o(k), e(rror), i(gnore); the last counts for the rest."""
    left = {id: list(script) for id, script in scripts.items()}

    def start(id: str) -> str:
        script = left.get(id, ["o"])
        how = script.pop(0) if len(script) > 1 else script[0]
        return {"o": "ok", "e": "error", "i": "ignore"}[how]

    return start


FAILING_RESTARTS = [
    # strategy, scripts, who ends -> what is done
    ("one_for_one", {"b": "oeo"}, "b", "fail b, start b"),
    ("one_for_one", {"b": "oeeo"}, "b", "fail b, fail b, start b"),
    ("one_for_one", {"b": "oi"}, "b", "ignore b"),
    ("one_for_all", {"b": "oeo"}, "b", "stop c, stop a, start a, fail b, stop a, start a, start b, start c"),
    ("one_for_all", {"c": "oeo"}, "a", "stop c, stop b, start a, start b, fail c, stop b, stop a, start a, start b, start c"),
    ("rest_for_one", {"b": "oeo"}, "b", "stop c, fail b, start b, start c"),
    ("rest_for_one", {"c": "oeo"}, "b", "stop c, start b, fail c, start c"),
    ("rest_for_one", {"c": "oi"}, "a", "stop c, stop b, start a, start b, ignore c"),
]


@pytest.mark.parametrize(("strategy", "scripts", "who", "wanted"), FAILING_RESTARTS)
def test_a_restart_that_fails_is_tried_again(strategy: str, scripts: dict[str, str], who: str, wanted: str) -> None:
    driver = Driver(Tree([spec(id) for id in "abc"], strategy), scripted(**scripts)).boot()
    assert driver.ends(who, CRASH) == [tuple(step.split()) for step in wanted.split(", ")]


def test_failed_restarts_count_into_the_intensity() -> None:
    driver = Driver(Tree([spec("a"), spec("b")], intensity=Intensity(3, 5)), scripted(b="oe")).boot()
    done = driver.ends("b", CRASH)
    assert done == [("fail", "b")] * 3 + [("stop", "a")]
    assert driver.quit is SHUTDOWN


def test_a_child_that_waits_for_its_next_attempt_shows_as_restarting() -> None:
    driver = Driver(Tree([spec("a"), spec("b")]), scripted(b="oe")).boot()
    pid = driver.pid("b")
    driver.tell(Exited(pid, CRASH))
    assert [each[:2] for each in driver.tree.which_children()] == [("b", atom.restarting), ("a", driver.pid("a"))]
    assert driver.tree.counts()["active"] == 1
    driver.tell(Delete(b"b"))
    driver.tell(Restart(b"b"))
    assert driver.replies == [(atom.error, atom.restarting)] * 2
    driver.tell(Terminate(b"b"))
    assert driver.tell(Again(b"b")) == []           # it was called off


def test_a_tree_that_cannot_start_stops_what_it_had_started() -> None:
    driver = Driver(Tree([spec(id) for id in "abcd"]), scripted(c="e"))
    assert driver.tell(Boot()) == [("start", "a"), ("start", "b"), ("fail", "c")]
    assert driver.quit == (SHUTDOWN, (atom.failed_to_start_child, "c", atom.no_start))
    assert driver.tell(Halt()) == [("stop", "b"), ("stop", "a")]
    assert "stops the 2" in driver.reports[0].did


def test_children_that_do_not_want_to_start() -> None:
    driver = Driver(Tree([spec("a"), spec("p"), spec("t", "temporary")]), scripted(p="i", t="i"))
    driver.tell(Boot())
    assert [(id, pid) for id, pid, _, _ in driver.tree.which_children()] == [("p", atom.undefined), ("a", driver.pid("a"))]


def test_requests() -> None:
    driver = Driver(Tree([spec("a")])).boot()

    def ask(event: Any) -> Any:
        driver.tell(event)
        return driver.replies.pop()

    pid = driver.pid("a")
    assert ask(Add(spec("a"))) == (atom.error, (atom.already_started, pid))
    assert ask(Restart(b"a")) == (atom.error, atom.running)
    assert ask(Delete(b"a")) == (atom.error, atom.running)
    assert ask(Terminate(b"a")) is atom.ok
    assert ask(Terminate(b"a")) is atom.ok
    assert ask(Add(spec("a"))) == (atom.error, atom.already_present)
    assert ask(Restart(b"a")) == (atom.ok, driver.pid("a"))
    assert ask(Terminate(b"a")) is atom.ok
    assert ask(Delete(b"a")) is atom.ok
    for event in (Delete(b"a"), Restart(b"a"), Terminate(b"a")):
        assert ask(event) == (atom.error, atom.not_found)
    assert ask(Add(spec("n"))) == (atom.ok, driver.pid("n"))
    driver.starts = lambda id: "error"
    answer = ask(Add(spec("m")))
    assert answer[1][0] is atom.no_start
    assert answer[1][1][:3] == (atom.child, atom.undefined, "m")
    assert driver.tree.counts()["specs"] == 1


def test_news_of_strangers_change_nothing() -> None:
    driver = Driver(Tree([spec("a")])).boot()
    pid = driver.pid("a")
    assert driver.ends("a", CRASH) == [("start", "a")]
    assert driver.tell(Exited(pid, CRASH)) == []


@pytest.mark.parametrize(("options", "words"), [
    ({"strategy": "one_for_two"}, "one_for_one, one_for_all or rest_for_one"),
    ({"auto_shutdown": "sometimes"}, "never, any_significant or all_significant"),
])  # fmt: skip
def test_options_that_do_not_exist(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        Tree([], **options)


@pytest.mark.parametrize(("restarts", "seconds"), [(-1, 5), (1.5, 5), (True, 5), (3, 0), (3, -1), (3, "5"), (3, float("nan"))])
def test_intensities_that_make_no_sense(restarts: Any, seconds: Any) -> None:
    with pytest.raises(BadOption, match="max_restarts must be|max_seconds must be"):
        Intensity(restarts, seconds)


def test_two_children_with_one_id() -> None:
    with pytest.raises(BadChildSpec, match="two children have the id 'a'"):
        Tree([spec("a"), spec("b"), spec("a")])


ENDINGS = [
    # shutdown, restart, reason, is it to be reported?
    (5.0, "permanent", SHUTDOWN, False), (5.0, "transient", SHUTDOWN, False), (5.0, "permanent", NORMAL, True),
    (5.0, "transient", NORMAL, False), (5.0, "temporary", ALSO_SHUTDOWN, False), (5.0, "permanent", ALSO_SHUTDOWN, True),
    (5.0, "temporary", KILLED, True), (5.0, "transient", CRASH, True), (5.0, "permanent", atom.noproc, True),
    ("brutal_kill", "permanent", KILLED, False), ("brutal_kill", "permanent", SHUTDOWN, True),
    ("brutal_kill", "transient", SHUTDOWN, False), ("brutal_kill", "temporary", NORMAL, False),
    ("brutal_kill", "temporary", CRASH, True),
]  # fmt: skip


@pytest.mark.parametrize(("shutdown", "restart", "reason", "bad"), ENDINGS)
def test_how_a_child_that_was_asked_to_stop_may_end(shutdown: Any, restart: str, reason: Any, bad: bool) -> None:
    assert stopped_badly(spec("a", restart, shutdown=shutdown), reason) is bad
