"""What all supervisors are for those who use them: started, held, asked and stopped in the same way.

`await Supervisor.start_link(...)` gives a handle, an instance of the class. Its verbs are also functions of the class that take any
target, as in Elixir: ``await handle.which_children()`` is ``await Supervisor.which_children("my_supervisor")``.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from beamish.errors import NoProcess, StartError
from beamish.gen_server import client
from beamish.gen_server.child_spec import ChildSpec, Restart, Shutdown
from beamish.gen_server.loop import serve
from beamish.gen_server.start import enter
from beamish.gen_server.target import pid_of, shown
from beamish.process import Kernel, current_scheduler
from beamish.supervisor import requests
from beamish.supervisor.child_spec import class_name
from beamish.supervisor.report import readable
from beamish.supervisor.requests import ChildInfo, Counts
from beamish.supervisor.server import Plan, SupervisingServer, refusals
from beamish.term import Atom, Pid, atom


class StartLink:
    """The start function of a supervisor as a child; its repr names the call that it makes."""

    __slots__ = ("args", "cls", "kwargs", "name")

    def __init__(self, cls: type[AnySupervisor], args: tuple[Any, ...], kwargs: dict[str, Any], name: Any) -> None:
        self.cls, self.args, self.kwargs, self.name = cls, args, kwargs, name

    async def __call__(self) -> Any:
        return await self.cls.start_link(*self.args, name=self.name, **self.kwargs)

    def __repr__(self) -> str:
        return f"{self.cls.__qualname__}.start_link"


class AnySupervisor:
    """What Supervisor, DynamicSupervisor and PartitionSupervisor have in common.

    An instance is a handle; in the supervisor's own process, where `init` runs, it is the module-based supervisor itself.
    """

    __slots__ = ("__target__", "_home")

    server_class: ClassVar[type[SupervisingServer]]
    restart: ClassVar[str] = "permanent"

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Say what is to be supervised, and how."""
        raise NotImplementedError

    # ---- starting

    @classmethod
    async def start_link(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Self:
        """Start a supervisor linked to the current process, with its children, and wait until they are up.

        name: a local name, ``("global", x)`` or a registered name object. timeout: seconds for all of it. The rest goes to `init`.
        Raises StartError, AlreadyStarted, StartIgnored, StartTimeout, BadChildSpec, BadOption.
        """
        what = cls.__qualname__ if name is None else f"{cls.__qualname__} ({shown(name)})"
        with refusals():
            cls._check(args, kwargs)
        plan = Plan(cls.at(None), args, kwargs, None if name is None else shown(name))
        server = cls._own_server()
        try:
            began = await enter(serve, server, (plan,), {}, link=True, name=name, timeout=timeout, what=what)
        except StartError as error:
            if plan.error is not None:
                raise plan.error from None
            if type(error) is not StartError:
                raise
            raise StartError(f"{what} did not start: {plan.words or readable(error.reason)}", error.reason) from None
        return cls.at(began.pid)

    @classmethod
    def _check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse in the starter's process what can be seen there to be wrong."""

    @classmethod
    def _own_server(cls) -> type[SupervisingServer]:
        """The server class that runs this supervisor: its logs call it by the supervisor's own name."""
        made: type[SupervisingServer] | None = cls.__dict__.get("_server")
        if made is None:
            body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
            made = type(cls.__name__, (cls.server_class,), body)
            cls._server = made  # type: ignore[attr-defined]
        return made

    @classmethod
    def at(cls, target: Any) -> Self:
        """A handle of a supervisor that runs already, on whatever node."""
        made = cls.__new__(cls)
        made.__target__ = getattr(target, "__target__", target)
        made._home = current_scheduler()
        return made

    @classmethod
    def child_spec(
        cls, *args: Any, name: Any = None, id: Any = None, restart: Restart | None = None, shutdown: Shutdown = math.inf,
        significant: bool = False, start_timeout: float | None = None, **kwargs: Any,
    ) -> ChildSpec:  # fmt: skip
        """How another supervisor runs this one: `start_link` with these arguments. id: its name, else the class's."""
        if id is None:
            id = atom(name) if isinstance(name, str | Atom) else class_name(cls) if name is None else repr(name)
        return ChildSpec(
            id=id, start=StartLink(cls, args, kwargs, name), restart=restart or cls.restart,  # type: ignore[arg-type]
            shutdown=shutdown, type="supervisor", significant=significant, modules=(cls,), start_timeout=start_timeout,
        )  # fmt: skip

    # ---- the handle

    __target__: Any
    _home: Kernel | None

    @property
    def pid(self) -> Pid:
        """The supervisor's pid. Raises NoProcess if nobody has the name now."""
        found = pid_of(self.__target__, self._home)
        if found is None:
            raise NoProcess(f"no supervisor is registered as {shown(self.__target__)}")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnySupervisor) and self.__target__ == other.__target__

    def __hash__(self) -> int:
        return hash(self.__target__)

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {shown(self.__target__)}>"

    # ---- verbs of every supervisor; `supervisor` is the handle, or any target

    async def which_children(supervisor: Any) -> list[ChildInfo]:
        """Id, pid, type and modules of each child, the one that was started last first. Raises CallFailed."""
        return await requests.which_children(supervisor)

    async def count_children(supervisor: Any) -> Counts:
        """How many children there are, run, and are supervisors or workers. Raises CallFailed."""
        return await requests.count_children(supervisor)

    async def stop(supervisor: Any, reason: Any = atom.normal, timeout: float | None = None) -> None:
        """Stop the children in reverse order, then the supervisor, and wait for it.

        Raises CallFailed if it is not there or ends for another reason, CallTimeout.
        """
        await client.stop(supervisor, reason, timeout)


__all__ = ["AnySupervisor", "StartLink"]
