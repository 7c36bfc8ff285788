"""@call and @cast: requests, arguments, conversions, declared exceptions, handles."""

from __future__ import annotations

import asyncio
import enum
import inspect
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from beamish.errors import CallTimeout, NoProcess, NotAProcess
from beamish.gen_server import NO_REPLY, CallFailed, GenServer, Handle, Reply, call, cast
from beamish.gen_server.methods import forget
from beamish.process import Process, demonitor, link, monitor, receive, self, send, spawn, trap_exit, unlink
from beamish.term import atom
from loops import now, on_every_loop, virtual


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Missing(KeyError):
    """More special than what is declared."""


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Typed(GenServer):
    """Something of everything."""

    def init(self, count: int = 0) -> None:
        self.count = count

    @call
    def increment(self, by: int = 1) -> int:
        """Add to the count."""
        self.count += by
        return self.count

    @call
    async def slowly(self, by: int = 1, *, twice: bool = False) -> int:
        await asyncio.sleep(0)
        self.count += by * (1 + twice)
        return self.count

    @call
    def every(self, first: str, *rest: float) -> list[Any]:
        return [first, *rest]

    @call
    def shapes(self, points: list[Point], colours: dict[str, Colour], mode: Literal["fast", "slow"] | None = None) -> Any:
        return (points, colours, mode)

    @call
    def anything(self, value: Any) -> Any:
        return value

    @cast
    def reset(self, to: int = 0) -> None:
        self.count = to

    @cast
    async def reset_slowly(self, to: int = 0) -> None:
        await asyncio.sleep(0)
        self.count = to

    @call(raises=(KeyError, ValueError, Odd), timeout=2)
    def look_up(self, what: str) -> str:
        match what:
            case "value":
                raise ValueError("no such value")
            case "missing":
                raise Missing("special")
            case "odd":
                raise Odd(1, 2)
            case "other":
                raise LookupError("not declared")
        raise KeyError(what)

    @call
    def itself(self) -> Any:
        return self.increment(1)

    @call
    def reset_itself(self) -> Any:
        self.reset(100)
        return self.count

    @call(timeout=2)
    def silent(self) -> Any:
        return NO_REPLY

    @call
    def deferred(self) -> Any:
        spawn(GenServer.reply, self.caller, "later")
        return NO_REPLY

    @call
    def with_reply(self) -> Reply[int]:
        return Reply(self.count)

    @call
    def meet(self, other: Typed) -> Any:
        return other


@on_every_loop
async def test_a_handle_calls_and_casts() -> None:
    counter = await Typed.start_link(10, name="typed")
    assert await counter.increment(5) == 15
    assert await counter.increment() == 16
    assert await counter.increment(by=4) == 20
    assert await counter.slowly(twice=True) == 22
    counter.reset()
    assert await counter.increment() == 1
    counter.reset_slowly(to=7)
    assert await counter.with_reply() == 7
    assert await counter.deferred() == "later"
    assert await counter.every("a", 1.5, 2) == ["a", 1.5, 2.0]
    assert await counter.every("a") == ["a"]


@virtual
async def test_requests_have_the_shapes_that_elixir_sends() -> None:
    counter = await Typed.start_link()
    ask = GenServer.call
    assert await ask(counter, (atom.increment, 5)) == 5
    assert await ask(counter, atom.increment) == 6
    assert await ask(counter, (atom.increment,)) == 7
    assert await ask(counter, (atom.slowly, 1, True)) == 9
    GenServer.cast(counter, (atom.reset, 3))
    assert await ask(counter, atom.increment) == 4
    GenServer.cast(counter, atom.reset)
    assert await ask(counter, atom.increment) == 1


@virtual
async def test_a_handle_binds_defaults_before_it_sends() -> None:
    tester = Typed.at(self())
    tester.reset()
    assert (await receive())[1] == (atom.reset, 0)

    async def caller() -> None:
        await tester.slowly(5)

    spawn(caller)
    assert (await receive())[2] == (atom.slowly, 5, False)
    with pytest.raises(TypeError, match="unexpected keyword"):
        tester.reset(two=2)  # type: ignore[call-arg]


@virtual
async def test_arguments_are_converted_at_the_border() -> None:
    server = await Typed.start_link()
    ask = GenServer.call
    assert await ask(server, (atom.every, b"text", 1)) == ["text", 1.0]
    assert await ask(server, (atom.every, [116, 101])) == ["te"]
    assert await ask(server, (atom.shapes, [{atom.x: 1}, {b"x": 2, "y": 3}], {b"a": atom.red}, atom.fast)) == (
        [Point(1), Point(2, 3.0)], {"a": Colour.RED}, "fast")  # fmt: skip
    assert await ask(server, (atom.anything, b"raw")) == b"raw"
    other = await ask(server, (atom.meet, server.pid))
    assert isinstance(other, Handle)
    assert await other.increment() == 1
    value = [Point(1)]
    assert (await server.shapes(value, {}))[0] is value


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ((atom.increment, b"5"), r"Typed.increment: argument by: b'5' is no int"),
        ((atom.every, 5), "argument first: 5 is no str"),
        ((atom.every, b"a", 1, "x"), "argument 3: 'x' is no float"),
        ((atom.shapes, [{atom.x: 1}, {atom.z: 1}], {}), r"argument points: member 2: Point has no field atom.z"),
        ((atom.shapes, [], {b"a": atom.green}), "argument colours: key b'a': atom.green is no Colour"),
        ((atom.shapes, [], {}, atom.medium), "argument mode: atom.medium is no "),
        ((atom.increment, 1, 2), "Typed.increment takes 0 to 1 arguments"),
        ((atom.reset, 1), "Typed.reset is a @cast method"),
        (atom.nothing, "its @call methods are anything, deferred"),
        ((1, 2), "its @call methods are"),
        ((), "its @call methods are"),
    ],
)
def test_what_does_not_fit_ends_the_server_and_says_why(request_: Any, said: str, crashes: Any) -> None:
    @virtual
    async def body() -> None:
        server = await Typed.start()
        with pytest.raises(CallFailed):
            await GenServer.call(server, request_)
        assert said in crashes.texts[0]

    body()


@virtual
async def test_declared_exceptions_are_answers(crashes: Any) -> None:
    server = await Typed.start()
    with pytest.raises(ValueError, match="^no such value$"):
        await server.look_up("value")
    with pytest.raises(KeyError) as failure:
        await server.look_up("key")
    assert failure.value.args == ("key",)
    with pytest.raises(KeyError) as failure:
        await server.look_up("missing")
    assert type(failure.value) is KeyError
    with pytest.raises(Exception, match="1 and 2"):
        await server.look_up("odd")
    answer = await GenServer.call(server, (atom.look_up, b"value"))
    assert answer == (atom.error, (atom.exception, atom("builtins.ValueError"), "no such value"))
    assert await server.increment() == 1
    assert crashes.texts == []
    with pytest.raises(CallFailed):
        await server.look_up("other")
    assert "not declared" in crashes.texts[0]


@virtual
async def test_a_server_does_not_call_itself(crashes: Any) -> None:
    server = await Typed.start()
    with pytest.raises(CallFailed):
        await server.itself()
    assert "Typed.increment was called by its own server" in crashes.texts[0]
    server = await Typed.start()
    assert await server.reset_itself() == 0
    assert await server.increment() == 101


@virtual
async def test_the_server_s_helpers_may_call_it() -> None:
    class Helped(GenServer):
        @call
        def value(self) -> int:
            return 5

        @call
        def ask_helper(self) -> Any:
            async def helper() -> None:
                send(tester, await self.value())

            spawn(helper)

    tester = self()
    await (await Helped.start_link()).ask_helper()
    assert await receive() == 5


@virtual
async def test_calls_time_out_and_late_replies_never_arrive() -> None:
    server = await Typed.start_link()
    with pytest.raises(CallTimeout, match="no reply from"):
        await server.silent()
    assert now() == pytest.approx(2)
    quick = Typed.at(server, timeout=0.5)
    with pytest.raises(CallTimeout):
        await quick.silent()
    assert now() == pytest.approx(2.5)


@virtual
async def test_a_handle_stands_for_its_target() -> None:
    server = await Typed.start_link(name="typed")
    named, remote = Typed.at("typed"), Typed.at(("typed", "elsewhere@host"))
    assert named.pid == server.pid
    assert Typed.at(server) == server
    assert hash(Typed.at(server.pid)) == hash(server)
    assert repr(named) == "<Typed typed>"
    assert repr(remote) == "<Typed typed on elsewhere@host>"
    with pytest.raises(ValueError, match="only elsewhere@host knows"):
        _ = remote.pid
    with pytest.raises(NoProcess):
        _ = Typed.at("nobody").pid
    with pytest.raises(AttributeError, match="none of them"):
        _ = named.count
    with pytest.raises(TypeError, match="a server is a pid"):
        Typed.at(5)
    with pytest.raises(CallFailed) as failure:
        await Typed.at("nobody").increment()
    assert failure.value.reason is atom.noproc
    Typed.at("nobody").reset()


def test_client_functions_have_the_methods_signatures() -> None:
    method = Typed.at.__func__.__get__(Typed)  # type: ignore[attr-defined]
    assert method is not None
    from beamish.gen_server.handle import handle_class

    made: Any = handle_class(Typed)
    assert made.increment.__doc__ == "Add to the count."
    assert list(inspect.signature(made.slowly).parameters)[1:] == ["by", "twice"]
    assert inspect.signature(made.slowly).parameters["twice"].kind is inspect.Parameter.KEYWORD_ONLY


def test_methods_that_no_request_could_call_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot carry"):

        @call
        def keywords(self: Any, **more: Any) -> None: ...

    with pytest.raises(TypeError, match="no place in the request"):

        @cast
        def both(self: Any, *rest: Any, key: int) -> None: ...

    with pytest.raises(TypeError, match="no name of a request"):

        @call
        def nil(self: Any) -> None: ...

    with pytest.raises(TypeError, match="needs self"):

        @call  # type: ignore[arg-type]
        def nothing() -> None: ...

    with pytest.raises(TypeError, match="exception classes"):
        call(raises=(5,))  # type: ignore[arg-type]


def test_an_override_keeps_its_decorator() -> None:
    with pytest.raises(TypeError, match="mark it with the same decorator"):

        class Sub(Typed):
            def increment(self, by: int = 1) -> int:  # type: ignore[override]
                return by


@virtual
async def test_an_override_reaches_the_code_above() -> None:
    class Doubling(Typed):
        @call
        def increment(self, by: int = 1) -> int:
            return super().increment(by * 2)  # type: ignore[return-value]

    assert await (await Doubling.start_link()).increment(2) == 4


@virtual
async def test_patched_classes_are_looked_at_anew() -> None:
    class Patched(GenServer):
        @call
        def version(self) -> int:
            return 1

    server = await Patched.start_link()
    assert await server.version() == 1

    @call
    def version(self: Any) -> int:
        return 2

    version.__set_name__(Patched, "version")  # type: ignore[attr-defined]
    Patched.version = version  # type: ignore[method-assign, assignment]
    forget(Patched)
    assert await (await Patched.start_link()).version() == 2


@virtual
async def test_a_web_handler_calls_through_a_process_of_its_own() -> None:
    server = await Typed.start_link()
    raw = server.pid

    async def handler() -> None:
        assert await server.increment(5) == 5
        assert await GenServer.call(server, (atom.increment, 1)) == 6
        server.reset()
        assert await server.increment() == 1
        assert await GenServer.call(raw, (atom.increment, 1)) == 2
        with pytest.raises(CallTimeout):
            await server.silent()

    await asyncio.create_task(handler())


@virtual
async def test_calls_may_be_gathered() -> None:
    server = await Typed.start_link()
    calls = [server.increment() for _ in range(10)] + [GenServer.call(server, atom.increment) for _ in range(10)]
    assert sorted(await asyncio.gather(*calls)) == list(range(1, 21))  # type: ignore[type-var]
    async with asyncio.timeout(10):
        assert await server.increment() == 21


@virtual
async def test_a_call_is_awaited_once() -> None:
    server = await Typed.start_link()
    made = server.increment()
    assert await made == 1
    with pytest.raises(RuntimeError, match="awaited once"):
        await made


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@virtual
async def test_a_call_that_nobody_awaits_is_a_warning() -> None:
    server = await Typed.start_link()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server.increment()  # type: ignore[unused-coroutine]
    assert "never awaited" in str(caught[0].message)
    assert await server.increment() == 1


def test_a_call_from_nowhere_says_what_to_do() -> None:
    async def main() -> None:
        with pytest.raises(NotAProcess, match="make it inside a process"):
            await GenServer.call("counter", 1)

    asyncio.run(main())


@virtual
async def test_self_caller_is_for_calls() -> None:
    class Curious(GenServer):
        def handle_info(self, message: Any) -> None:
            with pytest.raises(LookupError):
                _ = self.caller
            send(tester, atom.fine)

    tester = self()
    trap_exit()
    send((await Curious.start_link()).pid, 1)
    assert await receive() is atom.fine


@virtual
async def test_a_handle_is_taken_where_a_pid_is() -> None:
    server = await Typed.start(name="typed")
    for handle in (server, Typed.at("typed")):
        ref = monitor(handle)
        link(handle)
        assert Process.info(handle, "links") == [self()]
        unlink(handle)
        assert Process.alive(handle)
        send(handle, (atom("$gen_cast"), (atom.reset, 5)))
        assert await handle.increment() == 6
        assert demonitor(ref)
    trap_exit()
    ref = monitor(server)
    Process.exit(server, atom.kill)
    assert (await receive())[1:] == (ref, atom.process, server.pid, atom.killed)
    with pytest.raises(TypeError, match="takes a pid, or the handle of a server"):
        link(5)
    with pytest.raises(NoProcess):
        link(Typed.at("typed"))
