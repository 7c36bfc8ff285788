"""The process of a `DynamicSupervisor`: a pool of children without order. `start_child` is its fast path.

Source  Elixir 1.14: dynamic_supervisor.ex.
"""

from __future__ import annotations

from typing import Any, Final

from beamish.gen_server.client import From
from beamish.gen_server.loop import serve
from beamish.gen_server.results import Stop
from beamish.gen_server.server import GenServer
from beamish.gen_server.start import enter
from beamish.process import send
from beamish.supervisor import report
from beamish.supervisor.child_spec import BadChildSpec, ChildSpec
from beamish.supervisor.child_spec import child_spec as normal
from beamish.supervisor.child_terms import from_dynamic
from beamish.supervisor.events import Failed, Quit, Report, Started
from beamish.supervisor.instance import Instance
from beamish.supervisor.intensity import BadOption
from beamish.supervisor.pool import Pool, Restarting, Spec
from beamish.supervisor.server import SupervisingServer, intensity_of, options_of
from beamish.supervisor.starting import refusal, start_child
from beamish.supervisor.stopping import stop_all, stop_child
from beamish.term import Pid, atom

OPTIONS: Final = frozenset({"strategy", "max_restarts", "max_seconds", "max_children", "extra_arguments"})
_OK: Final = atom.ok
_ERROR: Final = atom.error
_EXIT: Final = atom.EXIT
_IGNORE: Final = atom.ignore
_START: Final = atom.start_child
_AGAIN: Final = atom("$gen_restart")
_START_LINK: Final = GenServer.start_link.__func__  # type: ignore[attr-defined]
_CHILD_SPEC: Final = GenServer.child_spec.__func__  # type: ignore[attr-defined]


def instance_of(child: Any) -> Instance | None:
    """The instance that ``Class`` or ``(Class, arguments...)`` is, if the class has GenServer's own child_spec."""
    cls, args = child, ()
    if child.__class__ is tuple and child:
        cls, args = child[0], child[1:]
    if not isinstance(cls, type):
        return None
    spec: ChildSpec | None = cls.__dict__.get("_instance_spec")
    if spec is None or spec.restart != cls.restart:  # type: ignore[attr-defined]
        if not issubclass(cls, GenServer) or cls.child_spec.__func__ is not _CHILD_SPEC:  # type: ignore[attr-defined]
            return None
        spec = cls._instance_spec = cls.child_spec()  # type: ignore[attr-defined]
    return Instance(cls, args, spec)


class DynamicServer(SupervisingServer):
    """A supervisor of very many children, which are started on demand."""

    pool: Pool
    extra: tuple[Any, ...]

    def prepare(self, made: Any) -> None:
        """The options, or None."""
        options = options_of(type(self.module), {} if made is None else made, OPTIONS)
        if str(options.pop("strategy", "one_for_one")) != "one_for_one":
            raise BadOption("the strategy of a dynamic supervisor is one_for_one", (atom.invalid_strategy, "other"))
        extra = options.pop("extra_arguments", ())
        if not isinstance(extra, list | tuple):
            raise BadOption(f"extra_arguments must be a list, not {extra!r}", (atom.invalid_extra_arguments, repr(extra)))
        self.extra = tuple(extra)
        fresh = Pool(intensity_of(options), options.get("max_children"))
        old: Pool | None = getattr(self, "pool", None)
        if old is not None:  # new code
            fresh.children, fresh.intensity = old.children, old.intensity.changed(fresh.intensity)
        self.pool = fresh

    # ---- messages

    def handle_call(self, request: Any, from_: From) -> Any:
        """The requests of Elixir's DynamicSupervisor, in its shapes."""
        if request.__class__ is tuple and len(request) == 2:
            what, value = request
            if what is _START:
                kind = value.__class__
                return self.add(value, from_) if kind is Instance or kind is ChildSpec else self.add_term(value, from_)
            if what is atom.terminate_child:
                return self.terminate_child(value)
        elif request is atom.which_children:
            return self.pool.which_children()
        elif request is atom.count_children:
            return [(atom(key), value) for key, value in self.pool.counts().items()]
        return super().handle_call(request, from_)

    async def add(self, spec: Spec, from_: From) -> Any:
        """Start one more child; the answer to start_child."""
        pool = self.pool
        if len(pool.children) >= pool.max_children:
            return (_ERROR, atom.max_children)
        if spec.__class__ is Instance and spec.cls.start_link.__func__ is _START_LINK:
            # What start_child does, without its detours: there may be a hundred thousand of them.
            watch = self.watch
            watch.begin(self, spec)
            try:
                pid = (await enter(serve, spec.cls, (*self.extra, *spec.args), {}, what=spec.cls.__qualname__)).pid
            except BaseException as error:
                outcome = refusal(error, self.process)
            else:
                pool.children[pid] = spec.spec if spec.spec.restart == "temporary" else spec
                return (_OK, pid)
            finally:
                watch.starting.pop(self, None)
        else:
            outcome = await start_child(self, spec, self.extra)
        if outcome.__class__ is Started:
            pool.keep(outcome.pid, spec)
            return (_OK, outcome.pid) if outcome.info is ... else self.visible(from_, (_OK, outcome.pid, outcome.info))
        if isinstance(outcome, Failed):
            return self.visible(from_, (_ERROR, outcome.reason))
        return _IGNORE

    async def add_term(self, value: Any, from_: From) -> Any:
        """The same for a child as Elixir sends it, or a map."""
        try:
            spec = from_dynamic(value) if isinstance(value, tuple) and len(value) == 5 else normal(value)
        except BadChildSpec as error:
            return (_ERROR, error.reason)
        return await self.add(spec, from_)

    async def terminate_child(self, pid: Any) -> Any:
        """Stop one child."""
        entry = self.pool.children.get(pid) if isinstance(pid, Pid) else None
        if entry is None:
            return (_ERROR, atom.not_found)
        if not isinstance(entry, Restarting):
            ending = await stop_child(pid, entry)
            if ending.bad:
                report.write_ending(self.title, ending)
        del self.pool.children[pid]
        return _OK

    async def handle_info(self, message: Any) -> Any:
        """The end of a child, or another attempt to start one."""
        if message.__class__ is tuple:
            if len(message) == 3 and message[0] is _EXIT and message[1].__class__ is Pid:
                what, then = self.pool.ended(message[1], message[2], self.runtime.loop.time())
                if what is not None:
                    self.told(what)
                    if then is not None:
                        return await self.start_again(message[1], what.spec, then)
                return None
            if len(message) == 2 and message[0] is _AGAIN:
                spec = self.pool.waiting(message[1]) if isinstance(message[1], Pid) else None
                if spec is None:
                    return None
                return await self.start_again(message[1], spec, self.pool.again(message[1], spec, self.runtime.loop.time()))
        return super().handle_info(message)

    async def start_again(self, old: Pid, spec: Spec, then: Spec | Quit) -> Any:
        """Start a child in the place of one that ended, or end."""
        if isinstance(then, Quit):
            did = f"that is more than {self.pool.intensity}: the supervisor stops its children and ends with reason shutdown"
            self.told(Report("shutdown", spec, old, atom.reached_max_restart_intensity, did))
            return Stop(then.reason)
        outcome = await start_child(self, spec, self.extra)
        if isinstance(outcome, Failed):
            self.pool.failed(old, spec)
            self.told(Report("start_error", spec, None, outcome.reason, "the supervisor tries again", outcome.text))
            send(self.pid, (_AGAIN, old))
        else:
            self.pool.restarted(old, outcome.pid if isinstance(outcome, Started) else None, spec)
        return None

    async def terminate(self, reason: Any) -> None:
        """Stop all children at once."""
        for ending in await stop_all(self.pool.running()):
            report.write_ending(self.title, ending)

    # ---- for `sys`

    def get_state(self) -> Any:
        """What there is to know, as a map; of the children only how many there are."""
        pool = self.pool
        counts = {atom(key): value for key, value in pool.counts().items()}
        return {
            atom.strategy: atom.one_for_one, atom.intensity: pool.intensity.max_restarts, atom.period: pool.intensity.max_seconds,
            atom.max_children: pool.max_children if isinstance(pool.max_children, int) else atom.infinity,
            atom.restarts: list(pool.intensity.times), atom.children: counts,
        }  # fmt: skip

    def set_state(self, state: Any) -> None:
        """Refused: the children are processes."""
        raise TypeError("the state of a supervisor cannot be replaced; use start_child and terminate_child")


__all__ = ["DynamicServer", "instance_of"]
