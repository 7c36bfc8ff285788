"""Starting and stopping applications: order, dependencies, callbacks, and what is said when one does not start."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import Notes, Till, plain_top

from beamish.application import Application, ApplicationError, UnknownApplication
from beamish.application.node_stop import stop_applications
from beamish.errors import StartError
from beamish.node.runtime import current_runtime
from beamish.process import Process, exit, group_leader, receive, self, send, spawn, spawn_link
from beamish.supervisor import Supervisor
from beamish.term import atom
from beamish.testing import assert_receive, run_virtual
from loops import now, virtual


def shop_of(note: Notes) -> type[Application]:
    class Catalogue(Application):
        async def start(self, start_type: str, args: Any) -> Any:
            note.append("catalogue")
            return plain_top(note, "catalogue")

        def stop(self, state: Any) -> None:
            note.append("catalogue stopped")

    class Shop(Application):
        applications = (Catalogue,)
        description = "sells"
        version = "1.2.3"
        env: ClassVar = {"port": 4000}
        args = ("north",)

        async def start(self, start_type: str, args: Any) -> Any:
            note.append(("shop", start_type, args, Application.get_env("shop", "port")))
            return plain_top(note, "shop"), "open"

        async def prep_stop(self, state: Any) -> Any:
            note.append(("prep_stop", state))
            return "closing"

        async def stop(self, state: Any) -> None:
            note.append(("stop", state))

    return Shop


@virtual
async def test_dependencies_start_first_and_stop_last() -> None:
    note = Notes()
    assert await Application.ensure_all_started(shop_of(note)) == ["catalogue", "shop"]
    assert note.taken() == ["catalogue", ("shop", "normal", ("north",), 4000)]
    assert [each.name for each in Application.started_applications()][:2] == ["shop", "catalogue"]
    assert Application.started_applications()[0] == ("shop", "sells", "1.2.3")
    await Application.stop("shop")
    assert note.taken() == [("prep_stop", "open"), ("shop", "down", atom.shutdown), ("stop", "closing")]
    await Application.stop("catalogue")
    assert note.taken() == [("catalogue", "down", atom.shutdown), "catalogue stopped"]
    assert "shop" not in [each.name for each in Application.started_applications()]
    assert "shop" in [each.name for each in Application.loaded_applications()]


@virtual
async def test_what_runs_is_not_started_again() -> None:
    shop = shop_of(Notes())
    await Application.ensure_all_started(shop)
    assert await Application.ensure_all_started([shop, "shop"]) == []
    await Application.ensure_started("shop")
    with pytest.raises(ApplicationError, match="shop is already started") as caught:
        await Application.start(shop)
    assert caught.value.reason == (atom.already_started, atom.shop)
    assert caught.value.application == "shop"


@virtual
async def test_start_alone_starts_no_dependencies() -> None:
    with pytest.raises(ApplicationError, match="shop needs catalogue, which is not started") as caught:
        await Application.start(shop_of(Notes()))
    assert caught.value.reason == (atom.not_started, atom.catalogue)


@virtual
async def test_two_who_start_the_same_at_once_get_the_same_answer() -> None:
    class Slow(Application):
        async def start(self, start_type: str, args: Any) -> Any:
            await Process.sleep(1.0)
            return plain_top(Notes(), "slow")

    async def starter(to: Any) -> None:
        await Application.start(Slow)
        send(to, "started")

    for _ in range(2):
        spawn_link(starter, self())
    await assert_receive("started", timeout=2.0)
    await assert_receive("started", timeout=0)
    assert now() == pytest.approx(1.0, abs=0.01)


@virtual
async def test_a_list_of_children_runs_under_a_supervisor() -> None:
    note = Notes()

    class Shop(Application):
        strategy = "rest_for_one"

        def start(self, start_type: str, args: Any) -> Any:
            return [Till.child_spec(note, f"till {n}", id=n, name=f"till{n}") for n in range(3)]

    await Application.start(Shop)
    top = Application.top_supervisor("shop")
    assert top is not None
    assert [child.id for child in await Supervisor.at(top).which_children()] != []
    assert await Till.at("till1").application() == "shop"
    await Application.stop(Shop)
    assert note == [("till 2", atom.shutdown), ("till 1", atom.shutdown), ("till 0", atom.shutdown)]
    assert not Process.alive(top)


@virtual
async def test_children_are_given_their_shutdown_times() -> None:
    note = Notes()

    class Shop(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return [
                Till.child_spec(note, "quick", id="quick"),
                Till.child_spec(note, "slow", 3.0, id="slow", shutdown=4.0),
                Till.child_spec(note, "too slow", 30.0, id="too slow", shutdown=2.0),
            ]

    await Application.start(Shop)
    before = now()
    await Application.stop("shop")
    assert note == [("slow", atom.shutdown), ("quick", atom.shutdown)]
    assert now() - before == pytest.approx(5.0, abs=0.01)


@virtual
async def test_start_phases_come_after_start() -> None:
    note = Notes()

    class Phased(Application):
        start_phases = (("listen", 80), ("announce", "all"))

        def start(self, start_type: str, args: Any) -> Any:
            note.append("start")
            return plain_top(note, "phased")

        async def start_phase(self, phase: str, start_type: str, args: Any) -> None:
            note.append((phase, start_type, args))

    await Application.start(Phased)
    assert note == ["start", ("listen", "normal", 80), ("announce", "normal", "all")]


# ---- what goes wrong


class Crashing(Application):
    def start(self, start_type: str, args: Any) -> Any:
        raise LookupError("no port is configured")


class NothingGiven(Application):
    def start(self, start_type: str, args: Any) -> Any:
        pass


class NonsenseGiven(Application):
    def start(self, start_type: str, args: Any) -> Any:
        return {"pid": 7}


class NoStart(Application):
    pass


class Exiting(Application):
    def start(self, start_type: str, args: Any) -> Any:
        exit((atom.no_licence, "expired"))


class BadChild(Application):
    def start(self, start_type: str, args: Any) -> Any:
        return [Till.child_spec(id="till without a name")]


@pytest.mark.parametrize(
    ("app", "said", "reason"),
    [
        (Crashing, "crashing did not start: LookupError: no port is configured", (atom.bad_return, ...)),
        (NothingGiven, "NothingGiven.start must return the top supervisor.*was a `return` forgotten", (atom.bad_return, ...)),
        (NonsenseGiven, "NonsenseGiven.start must return the top supervisor.*not {'pid': 7}", (atom.bad_return, ...)),
        (NoStart, r"NoStart has no start\(self, start_type, args\)", (atom.bad_return, ...)),
        (Exiting, "exiting did not start: its start ended with .*no_licence", (atom.no_licence, "expired")),
        (BadChild, "till without a name.*could not be started", (..., ...)),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_a_start_that_fails_says_why(app: Any, said: str, reason: Any) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(ApplicationError, match=said) as caught:
            await Application.start(app)
        found = caught.value.reason
        assert len(found) == len(reason)
        assert all(wanted is ... or wanted == given for wanted, given in zip(reason, found, strict=True))
        assert app.application_name() not in [each.name for each in Application.started_applications()]
        with pytest.raises(ApplicationError, match="did not start"):
            await Application.start(app)  # it may be tried again

    test()


@virtual
async def test_the_exception_of_a_start_is_the_cause_of_the_error() -> None:
    with pytest.raises(ApplicationError) as caught:
        await Application.start(Crashing)
    assert isinstance(caught.value.__cause__, LookupError)
    assert isinstance(caught.value, StartError)


@virtual
async def test_what_a_failed_start_had_started_is_gone_before_it_is_reported() -> None:
    note = Notes()

    class Half(Application):
        async def start(self, start_type: str, args: Any) -> Any:
            await Supervisor.start_link([Till.child_spec(note, "till", 2.0, name="till")])
            spawn(idle, name="loose")
            raise ValueError("half way")

    async def idle() -> None:
        await receive()

    with pytest.raises(ApplicationError, match="half way"):
        await Application.start(Half)
    assert note == [("till", atom.shutdown)]
    assert not {atom.till, atom.loose} & set(Process.registered())


@virtual
async def test_a_failing_dependency_is_told_with_the_way_to_it_and_the_rest_stops_again() -> None:
    note = Notes()

    class Fine(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return plain_top(note, "fine")

    class Middle(Application):
        applications = (Fine, Crashing)

    class Outer(Application):
        applications = (Middle,)

    with pytest.raises(
        ApplicationError, match="outer needs middle -> crashing: application crashing did not start: LookupError: no port"
    ):
        await Application.ensure_all_started(Outer)
    assert note == [("fine", "down", atom.shutdown)]


@virtual
async def test_a_missing_dependency_is_told_with_the_way_to_it() -> None:
    class Middle(Application):
        applications = ("no_such_application",)

    class Outer(Application):
        applications = (Middle,)

    with pytest.raises(UnknownApplication, match="outer needs middle -> no_such_application: there is no application") as caught:
        await Application.ensure_all_started(Outer)
    assert "beamish.applications" in str(caught.value)
    assert "no_such_application.application" in str(caught.value)


@virtual
async def test_an_optional_dependency_may_be_missing() -> None:
    note = Notes()

    class Fine(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return plain_top(note, "fine")

    class Outer(Application):
        optional_applications = ("no_such_application", Fine)

        def start(self, start_type: str, args: Any) -> Any:
            return plain_top(note, "outer")

    assert await Application.ensure_all_started(Outer) == ["fine", "outer"]


@virtual
async def test_a_circle_names_its_members() -> None:
    class One(Application):
        pass

    class Two(Application):
        applications = (One,)

    class Three(Application):
        applications = (Two,)

    One.applications = (Three,)
    with pytest.raises(ApplicationError, match="in a circle: one -> three -> two -> one") as caught:
        await Application.ensure_all_started(One)
    assert caught.value.reason[0] is atom.circular_dependency


@virtual
async def test_a_start_that_hangs_is_told_and_where(caplog: pytest.LogCaptureFixture) -> None:
    class Hanging(Application):
        async def start(self, start_type: str, args: Any) -> Any:
            await receive(("never",))

    spawn(Application.start, Hanging)
    with caplog.at_level(logging.WARNING, "beamish.application"):
        await Process.sleep(35.0)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2  # after 10 and 20 seconds; then after 40
    assert "hanging has been starting for 10 s" in said[0]
    assert "Hanging.start" in said[0]
    assert "test_application_starting.py" in said[0]


@virtual
async def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="permanent, transient or temporary, not 'forever'"):
        await Application.start(Crashing, "forever")  # type: ignore[arg-type]


@virtual
async def test_stopping_what_does_not_run() -> None:
    with pytest.raises(ApplicationError, match="crashing cannot be stopped: it is not started"):
        await Application.stop(Crashing)
    with pytest.raises(ApplicationError, match="it belongs to the node"):
        await Application.stop("kernel")


@virtual
async def test_callbacks_that_fail_while_stopping_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    note = Notes()

    class Clumsy(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return plain_top(note, "clumsy")

        def prep_stop(self, state: Any) -> Any:
            raise ValueError("not prepared")

        async def stop(self, state: Any) -> None:
            raise ValueError("not stopped")

    await Application.start(Clumsy)
    with caplog.at_level(logging.ERROR, "beamish.application"):
        await Application.stop("clumsy")
    assert note == [("clumsy", "down", atom.shutdown)]
    assert [record.getMessage() for record in caplog.records] == [
        "application clumsy: " + each + " failed" for each in (
            "test_callbacks_that_fail_while_stopping_change_nothing.<locals>.Clumsy.prep_stop",
            "test_callbacks_that_fail_while_stopping_change_nothing.<locals>.Clumsy.stop",
        )
    ]  # fmt: skip


# ---- the master


@virtual
async def test_processes_of_an_application_have_its_master_as_group_leader() -> None:
    leaders: list[Any] = []

    class Led(Application):
        def start(self, start_type: str, args: Any) -> Any:
            leaders.append(group_leader())
            return plain_top(Notes(), "led")

    await Application.start(Led)
    (leader,) = leaders
    top = Application.top_supervisor("led")
    assert leader != group_leader()
    assert Process.info(leader, "group_leader") == leader
    assert Application.get_application(leader) == "led"
    assert top is not None
    assert Application.get_application(top) == "led"
    assert Application.get_application() is None
    assert Application.get_application(Led) == Led.application_name()


@virtual
async def test_processes_that_a_tree_has_lost_go_with_the_application() -> None:
    async def idle() -> None:
        await receive()

    class Losing(Application):
        def start(self, start_type: str, args: Any) -> Any:
            spawn(idle, name="lost")
            return plain_top(Notes(), "losing")

    await Application.start(Losing)
    assert atom.lost in Process.registered()
    await Application.stop("losing")
    assert atom.lost not in Process.registered()


@virtual
async def test_the_master_passes_io_requests_on() -> None:
    lines: list[Any] = []

    async def device() -> None:
        while True:
            lines.append((await receive())[3])

    from beamish.io.requests import io_request, put_chars

    class Talking(Application):
        def start(self, start_type: str, args: Any) -> Any:
            leader = group_leader()
            assert leader is not None
            send(leader, io_request(self_pid(), current_runtime().new_ref(), put_chars("hello")))
            return plain_top(Notes(), "talking")

    def self_pid() -> Any:
        return self()

    runtime = current_runtime()
    runtime.user = spawn(device)
    await Application.start(Talking)
    await Process.sleep(0.1)
    assert lines == [put_chars("hello")]


# ---- the end of a tree


@pytest.mark.parametrize(("reason", "level"), [(atom.normal, "WARNING"), (atom.shutdown, "WARNING"), (atom.oops, "ERROR")])
def test_the_end_of_a_temporary_application_is_reported(reason: Any, level: str, caplog: pytest.LogCaptureFixture) -> None:
    @virtual
    async def test() -> None:
        note = Notes()

        class Brief(Application):
            def start(self, start_type: str, args: Any) -> Any:
                return plain_top(note, "brief")

            def stop(self, state: Any) -> None:
                note.append("stop")

        await Application.start(Brief)
        top = Application.top_supervisor("brief")
        assert top is not None
        send(top, ("end", reason))
        await Process.sleep(0.1)
        assert note == ["stop"]
        assert "brief" not in [each.name for each in Application.started_applications()]
        await Application.start(Brief)

    test()
    (said,) = [record for record in caplog.records if record.levelname == level and record.name == "beamish.application"]
    assert f"application brief (temporary) ended: its top process exited with {reason}" in said.getMessage()


@virtual
async def test_a_killed_master_takes_its_tree_along() -> None:
    note = Notes()

    class Orphan(Application):
        def start(self, start_type: str, args: Any) -> Any:
            return [Till.child_spec(note, "till")]

    await Application.start(Orphan)
    top = Application.top_supervisor("orphan")
    assert top is not None
    master = Process.info(top, "group_leader")
    Process.exit(master, atom.kill)
    await Process.sleep(1.0)
    assert not Process.alive(top)
    assert "orphan" not in [each.name for each in Application.started_applications()]


# ---- in any order


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5)), min_size=6, max_size=6), st.lists(st.integers(0, 5), min_size=1))
def test_whatever_depends_on_what(needs: list[set[int]], asked: list[int]) -> None:
    """Everything starts after what it needs, once, and stops in the reverse order."""
    note = Notes()

    def app_of(number: int) -> type[Application]:
        def start(self: Any, start_type: str, args: Any) -> Any:
            note.append(number)
            return plain_top(note, f"app{number}")

        needed = tuple(apps[other] for other in sorted(needs[number]) if other < number)
        return type(f"App{number}", (Application,), {"name": f"app{number}", "applications": needed, "start": start})

    apps: list[Any] = []
    for number in range(6):
        apps.append(app_of(number))

    async def test() -> None:
        started = await Application.ensure_all_started([apps[number] for number in asked])
        order = note.taken()
        assert started == [f"app{number}" for number in order]
        assert len(set(order)) == len(order)
        for number in order:
            assert {other for other in needs[number] if other < number} <= set(order[: order.index(number)])
        assert set(asked) <= set(order)
        await stop_applications(current_runtime())
        assert note == [(f"app{number}", "down", atom.shutdown) for number in reversed(order)]

    run_virtual(test)
