"""What holds for supervisors whatever happens to them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tree_driver import Driver, spec

from beamish.supervisor.events import Add, Again, Boot, Delete, Exited, Halt, Quit, Report, Restart, Terminate
from beamish.supervisor.intensity import Intensity
from beamish.supervisor.pool import Pool
from beamish.supervisor.strategy import STRATEGIES, Tree, orderly
from beamish.term import Pid, atom

REASONS = [atom.normal, atom.shutdown, (atom.shutdown, 1), atom.killed, (atom.boom, [])]
RESTARTS = ["permanent", "transient", "temporary"]
IDS = "abcdef"

specs = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(RESTARTS)), unique_by=lambda each: each[0], max_size=6)
events = st.lists(
    st.tuples(
        st.sampled_from(["end", "end", "end", "again", "add", "terminate", "restart", "delete", "wait"]),
        st.sampled_from(IDS), st.sampled_from(REASONS), st.sampled_from(RESTARTS),
    ),
    max_size=40,
)  # fmt: skip
outcomes = st.lists(st.sampled_from(["ok", "ok", "ok", "ok", "error", "ignore"]), min_size=1, max_size=60)


class Life:
    """A tree, a run of events, and what must hold after each."""

    def __init__(self, strategy: str, children: list[tuple[str, str]], starts: list[str], limit: int) -> None:
        self.starts = list(starts)
        self.driver = Driver(Tree([spec(*each) for each in children], strategy, Intensity(limit, 5)), self.start)

    def start(self, id: str) -> str:
        return self.starts.pop(0) if self.starts else "ok"

    def run(self, steps: list[tuple[str, str, Any, str]]) -> None:
        driver = self.driver
        driver.tell(Boot())
        self.check()
        for what, id, reason, restart in steps:
            if driver.quit is not None:
                break
            self.one(what, id, reason, restart)
            self.check()
        alive = [child.spec.id for child in driver.tree.children.values() if child.pid is not None]
        assert driver.tell(Halt()) == [("stop", id) for id in reversed(alive)]
        assert driver.alive == {}, "nobody is left behind"

    def one(self, what: str, id: str, reason: Any, restart: str) -> None:
        driver, key = self.driver, id.encode()
        match what:
            case "end" if id in driver.alive.values():
                pid = driver.pid(id)
                del driver.alive[pid]
                self.order_is_kept(driver.tell(Exited(pid, reason)))
            case "again" if driver.retries:
                self.order_is_kept(driver.tell(Again(driver.retries.pop(0))))
            case "add":
                driver.tell(Add(spec(id, restart)))
            case "terminate":
                driver.tell(Terminate(key))
                child = driver.tree.children.get(key)
                assert child is None or (child.pid is None and not child.restarting)
            case "restart":
                driver.tell(Restart(key))
            case "delete":
                driver.tell(Delete(key))
            case "wait":
                driver.now += 3

    def order_is_kept(self, done: list[tuple[str, Any]]) -> None:
        """Starts follow the children's order, stops the reverse, and no stop follows a start."""
        place = {child.spec.id: number for number, child in enumerate(self.driver.tree.children.values())}
        known = [(what, place[id]) for what, id in done if id in place]
        starts = [number for what, number in known if what != "stop"]
        stops = [number for what, number in known if what == "stop"]
        assert starts == sorted(starts)
        assert stops == sorted(stops, reverse=True)
        assert [what == "stop" for what, _ in done] == sorted([what == "stop" for what, _ in done], reverse=True)

    def check(self) -> None:
        driver, tree = self.driver, self.driver.tree
        children = list(tree.children.values())
        assert max(Counter(driver.alive.values()).values(), default=0) <= 1, "no child runs twice"
        running = {child.pid: child.spec.id for child in children if child.pid is not None}
        assert running == driver.alive, "the tree knows of exactly those that run"
        assert {pid: child.spec.id for pid, child in tree.by_pid.items()} == running
        assert not any(child.restarting and child.pid is not None for child in children)
        waiting = {child.key for child in children if child.restarting}
        assert driver.quit is not None or waiting <= set(driver.retries), "who shall be started again has somebody to see to it"
        temporary = [child for child in children if child.spec.restart == "temporary"]
        assert driver.quit is not None or all(child.pid is not None for child in temporary)
        counts = tree.counts()
        assert counts["active"] == len(driver.alive) <= counts["specs"] == len(children)
        assert len(tree.intensity.times) <= tree.intensity.max_restarts + 1


@given(st.sampled_from(STRATEGIES), specs, outcomes, st.integers(0, 4), events)
@settings(max_examples=400, deadline=None)
def test_whatever_happens_to_a_tree(
    strategy: str, children: list[tuple[str, str]], starts: list[str], limit: int, steps: list[tuple[str, str, Any, str]]
) -> None:
    Life(strategy, children, starts, limit).run(steps)


@given(st.integers(0, 5), st.floats(0.1, 100), st.lists(st.floats(0, 50), max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_window_of_the_intensity(limit: int, period: float, pauses: list[float]) -> None:
    intensity = Intensity(limit, period)
    times: list[float] = []
    now = 0.0
    for pause in pauses:
        now += pause
        times.append(now)
        within = sum(1 for each in times if each >= now - period)
        assert intensity.add(now) is (within <= limit)


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["add", "end", "end", "again"]), st.integers(0, 9), st.sampled_from(RESTARTS),
                       st.sampled_from(REASONS), st.sampled_from(["ok", "ok", "error", "ignore"])), max_size=60),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_whatever_happens_to_a_pool(limit: int, steps: list[tuple[str, int, str, Any, str]]) -> None:
    pool = Pool(Intensity(limit, 5))
    alive: dict[Pid, str] = {}
    retries: list[Pid] = []
    numbers = iter(range(1, 1000))

    def perform(old: Pid, then: Any, how: str) -> bool:
        if isinstance(then, Quit):
            return False
        if how == "error":
            pool.failed(old, then)
            retries.append(old)
        else:
            new = Pid(atom("pool@nohost"), next(numbers), 0, 1) if how == "ok" else None
            pool.restarted(old, new, then)
            if new is not None:
                alive[new] = then.restart
        return True

    for what, number, restart, reason, how in steps:
        if what == "add":
            pid = Pid(atom("pool@nohost"), next(numbers), 0, 1)
            pool.keep(pid, spec(number, restart))
            alive[pid] = restart
        elif what == "end" and alive:
            pid = sorted(alive)[number % len(alive)]
            kind = alive.pop(pid)
            report, then = pool.ended(pid, reason, 0.0)
            again = kind == "permanent" or (kind == "transient" and not orderly(reason))
            assert (then is not None) is again
            assert isinstance(report, Report) is (again or not orderly(reason))
            if again and not perform(pid, then, how):
                break
        elif what == "again" and retries:
            pid = retries.pop(0)
            waiting = pool.waiting(pid)
            assert waiting is not None
            if not perform(pid, pool.again(pid, waiting, 0.0), how):
                break
        assert {pid for pid, _ in pool.running()} == set(alive), "the pool knows of exactly those that run"
        assert {pid for pid in pool.children if pool.waiting(pid)} == set(retries)
        assert pool.counts()["active"] == len(alive)
