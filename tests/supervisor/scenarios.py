"""Scenarios for supervisors, and their play on ours; `scenario.exs` plays the same on Elixir's.

A scenario is a term: options, children and steps. A child's `script` says what each of its starts does in turn: ok, error,
ignore, or deaf (it comes up, but hangs when it is told to shut down). Steps: ``[exit, Id, Reason]``, ``[terminate_child, Id]``,
``[restart_child, Id]``, ``[delete_child, Id]``, ``[get_childspec, Id]``, ``[start_child, Child]``, ``[wait, Ms]``, ``[shutdown]``,
``[stop, Reason]``. Each step gives ``[Answer, [Events, State]]``; the first record is that of the start.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

from beamish.errors import ReceiveTimeout, StartError, StartIgnored
from beamish.gen_server import CallFailed, GenServer, Stop
from beamish.process import Process, monitor, receive, send, trap_exit
from beamish.process import self as own_pid
from beamish.supervisor import DynamicSupervisor, Supervisor, child_spec
from beamish.term import Atom, Pid, atom
from beamish.testing import run_virtual

Term = Any
REASONS = (atom.normal, atom.shutdown, (atom.shutdown, atom.x), atom.boom, atom.kill)
RESTARTS = (atom.permanent, atom.transient, atom.temporary)
STRATEGIES = (atom.one_for_one, atom.one_for_all, atom.rest_for_one)


def child(id: str, restart: Term = atom.permanent, *script: str, **keys: Term) -> dict[Atom, Term]:
    """A child; its time to stop is long, for Elixir's takes real time."""
    made = {atom.id: atom(id), atom.restart: restart, atom.shutdown: 10_000, atom.significant: False, atom.type: atom.worker}
    made |= {atom(key): value for key, value in keys.items()}
    return {**made, atom.script: [atom(each) for each in script or ("ok",)]}


def scenario(strategy: Term, children: list[Term], *steps: list[Term], **options: Term) -> dict[Atom, Term]:
    """A scenario."""
    flags = {"max_restarts": 3, "max_seconds": 5, "auto_shutdown": atom.never, "strategy": strategy} | options
    return {
        atom.options: {atom(key): value for key, value in flags.items()},
        atom.children: children,
        atom.steps: [[atom(step[0]), *step[1:]] for step in steps],
    }


def exits(id: str, reason: Term) -> list[Term]:
    """The step in which a child ends."""
    return ["exit", atom(id), reason]


def one(what: str, id: str) -> list[Term]:
    """A request that concerns one child."""
    return [what, atom(id)]


# ---- which scenarios

def each_end() -> dict[str, Term]:
    """Every strategy, restart type and reason, for a child in the middle of others of every type."""
    found = {}
    for strategy, restart, reason in itertools.product(STRATEGIES, RESTARTS, REASONS):
        children = [child("a"), child("t", atom.temporary), child("b", restart), child("c", atom.transient),
                    child("d", atom.temporary), child("e", shutdown=atom.brutal_kill)]  # fmt: skip
        name = f"{strategy}-{restart}-{'-'.join(map(str, reason)) if isinstance(reason, tuple) else reason}"
        found[name] = scenario(strategy, children, exits("b", reason), exits("b", atom.boom), ["shutdown"])
    return found


def each_place() -> dict[str, Term]:
    """The first and the last child, and one after the other."""
    found = {}
    for strategy, place in itertools.product(STRATEGIES, "abc"):
        children = [child(each) for each in "abc"]
        steps = [exits(place, atom.boom), exits("b", atom.kill), ["stop", atom.normal]]
        found[f"{strategy}-at-{place}"] = scenario(strategy, children, *steps)
    return found


def significant() -> dict[str, Term]:
    """Children whose own end is the end of the supervisor, or is not."""
    found = {}
    kinds = itertools.product((atom.any_significant, atom.all_significant), (atom.transient, atom.temporary), REASONS, STRATEGIES)
    for auto, restart, reason, strategy in kinds:
        children = [child("a"), child("s", restart, significant=True), child("z", atom.transient, significant=True)]
        name = f"{auto}-{restart}-{'-'.join(map(str, reason)) if isinstance(reason, tuple) else reason}-{strategy}"
        steps = [exits("s", reason), exits("z", atom.normal), exits("a", atom.boom)]
        found[name] = scenario(strategy, children, *steps, auto_shutdown=auto)
    stop = [one("terminate_child", "s"), exits("z", atom.normal)]
    both = [child("a"), child("s", atom.transient, significant=True), child("z", atom.transient, significant=True)]
    found["a-significant-child-is-terminated"] = scenario(atom.one_for_one, both, *stop, auto_shutdown=atom.all_significant)
    found["significant-without-auto-shutdown"] = scenario(atom.one_for_one, both)
    permanent = [child("s", atom.permanent, significant=True)]
    found["significant-and-permanent"] = scenario(atom.one_for_one, permanent, auto_shutdown=atom.any_significant)
    added = ["start_child", child("n", atom.transient, significant=True)]
    found["a-significant-child-is-added"] = scenario(
        atom.one_for_one, [child("a")], added, exits("n", atom.normal), auto_shutdown=atom.any_significant
    )
    found["a-significant-child-is-refused"] = scenario(atom.one_for_one, [child("a")], added)
    return found


def intensity() -> dict[str, Term]:
    """Too many restarts, and just not too many."""
    found = {}
    for strategy, limit in itertools.product(STRATEGIES, (0, 1, 2)):
        steps = [exits("b", atom.boom)] * 3
        found[f"intensity-{limit}-{strategy}"] = scenario(strategy, [child(each) for each in "abc"], *steps, max_restarts=limit)
    for limit in (1, 2):
        steps = [exits("a", atom.boom), ["wait", 2500], *[exits("b", atom.boom)] * 2, ["wait", 2500], exits("a", atom.boom)]
        children = [child("a"), child("b")]
        found[f"intensity-{limit}-and-time"] = scenario(atom.one_for_one, children, *steps, max_restarts=limit, max_seconds=1)
    orderly = [exits("b", reason) for reason in REASONS[:3]] * 2
    for restart in RESTARTS[1:]:
        steps = [step for each in orderly for step in (each, one("restart_child", "b"))]
        found[f"orderly-ends-do-not-count-{restart}"] = scenario(
            atom.one_for_one, [child("a"), child("b", restart)], *steps, max_restarts=0
        )
    return found


def starts() -> dict[str, Term]:
    """Children that fail to start, or choose not to."""
    found = {}
    for strategy, restart in itertools.product(STRATEGIES, RESTARTS):
        for script in ("error", "ignore", "ok ignore", "ok error", "ok error ok", "ok error error ok"):
            children = [child("a"), child("b", restart, *script.split()), child("c"), child("t", atom.temporary)]
            name = f"{strategy}-{restart}-starts-{script.replace(' ', '-')}"
            boom = exits("b", atom.boom)
            found[name] = scenario(strategy, children, boom, boom, exits("c", atom.kill), ["shutdown"])
    for strategy in STRATEGIES:  # the child that does not start again is not the one that ended
        children = [child("a"), child("b"), child("c", atom.permanent, "ok", "error", "ok"), child("d")]
        steps = [exits("b", atom.boom), exits("a", atom.boom), ["shutdown"]]
        found[f"{strategy}-a-sibling-fails"] = scenario(strategy, children, *steps)
        children = [child("a"), child("b"), child("c", atom.permanent, "ok", "error"), child("d")]
        found[f"{strategy}-a-sibling-fails-for-ever"] = scenario(strategy, children, *steps[:2])
    twice = [child("a"), child("a")]
    found["one-id-twice"] = scenario(atom.one_for_one, twice)
    for key, value in (("restart", atom.sometimes), ("shutdown", -1), ("type", atom.manager), ("significant", atom.maybe)):
        found[f"bad-{key}"] = scenario(atom.one_for_one, [child("a", **{key: value})])
    found["bad-strategy"] = scenario(atom.two_for_one, [])
    found["bad-intensity"] = scenario(atom.one_for_one, [], max_restarts=-1)
    found["bad-period"] = scenario(atom.one_for_one, [], max_seconds=0)
    return found


def requests() -> dict[str, Term]:
    """What clients ask."""
    found = {}
    every = ("terminate_child", "restart_child", "delete_child", "get_childspec")
    for strategy, restart in itertools.product(STRATEGIES, RESTARTS):
        children = [child("a"), child("b", restart), child("c")]
        steps = [one(f"{what}_child", "b") for what in ("restart", "delete", "terminate", "terminate", "restart")]
        steps += [one("terminate_child", "b"), exits("a", atom.boom), one("delete_child", "b"), one("restart_child", "b")]
        steps += [["start_child", child("b", restart)], ["start_child", child("b", restart)], exits("a", atom.boom), ["shutdown"]]
        found[f"{strategy}-{restart}-requests"] = scenario(strategy, children, *steps)
    found["nobody"] = scenario(atom.one_for_one, [child("a")], *[one(what, "x") for what in every])
    found["specs"] = scenario(atom.one_for_one, [
        child("a", atom.transient, shutdown=atom.brutal_kill), child("b", type=atom.supervisor, shutdown=atom.infinity), child("c"),
    ], *[one("get_childspec", each) for each in "abc"], ["shutdown"])  # fmt: skip
    for script in ("error", "ignore"):
        for restart in RESTARTS:
            added = ["start_child", child("n", restart, script, "ok")]
            found[f"add-{restart}-{script}"] = scenario(
                atom.one_for_one, [child("a")], added, one("restart_child", "n"), added, one("delete_child", "n"), ["shutdown"]
            )
    found["a-stopped-child-that-cannot-start"] = scenario(
        atom.one_for_one, [child("a", atom.permanent, "ok", "error", "ignore", "ok")],
        *[one("terminate_child", "a"), *[one("restart_child", "a")] * 4],
    )  # fmt: skip
    found["deaf-children-are-killed"] = scenario(
        atom.one_for_all,
        [child("a"), child("b", atom.permanent, "deaf", shutdown=400), child("c", atom.permanent, "deaf", shutdown=300)],
        exits("a", atom.boom), one("terminate_child", "b"), ["shutdown"],
    )  # fmt: skip
    for reason in (atom.normal, atom.shutdown, (atom.shutdown, 1), atom.boom):
        stop = ["stop", reason]
        found[f"stop-{reason}"] = scenario(atom.one_for_one, [child("a"), child("b", atom.temporary)], stop, stop)
    return found


def at_random(count: int, seed: int = 25) -> dict[str, Term]:
    """Mixtures that nobody thought of."""
    found = {}
    for number in range(count):
        dice = random.Random(f"{seed}-{number}")
        auto = dice.choice([atom.never, atom.never, atom.any_significant, atom.all_significant])
        names = "abcdef"[: dice.randint(1, 6)]

        def any_child(id: str, dice: random.Random = dice, auto: Term = auto) -> Term:
            restart = dice.choice(RESTARTS)
            script = [dice.choice(["ok", "ok", "ok", "ok", "error", "ignore"]) for _ in range(dice.randint(1, 4))]
            important = auto is not atom.never and restart is not atom.permanent and dice.random() < 0.5
            stop = dice.choice([10_000, 10_000, atom.infinity, atom.brutal_kill])
            return child(id, restart, "ok", *script, significant=important, shutdown=stop)

        steps: list[list[Term]] = []
        for _ in range(dice.randint(2, 8)):
            id = dice.choice(names + "x")
            kind = dice.random()
            if kind < 0.6:
                steps.append(exits(id, dice.choice(REASONS)))
            elif kind < 0.7:
                steps.append(["start_child", any_child(id)])
            else:
                steps.append(one(dice.choice(["terminate_child", "restart_child", "delete_child", "get_childspec"]), id))
        steps.append(["shutdown"])
        found[f"random-{number}"] = scenario(
            dice.choice(STRATEGIES), [any_child(id) for id in names], *steps, max_restarts=dice.choice([0, 1, 3, 5]),
            auto_shutdown=auto,
        )
    return found


def dynamic(count: int, seed: int = 14) -> dict[str, Term]:
    """Dynamic supervisors: each end of each type of child, too many children, and mixtures."""
    found = {}
    for restart, reason in itertools.product(RESTARTS, REASONS):
        children = [child("a"), child("b", restart), child("c", shutdown=atom.brutal_kill)]
        steps = [["start_child", each] for each in children]
        name = f"dynamic-{restart}-{'-'.join(map(str, reason)) if isinstance(reason, tuple) else reason}"
        found[name] = scenario(
            atom.one_for_one, [], *steps, exits("b", reason), exits("b", atom.boom), one("terminate_child", "a"), ["shutdown"],
            kind=atom.dynamic,
        )  # fmt: skip
    for script in ("error", "ignore", "ok ignore", "ok error", "ok error ok", "ok error error error"):
        steps = [["start_child", child("a")], ["start_child", child("b", atom.permanent, *script.split())]]
        steps += [exits("b", atom.boom), one("terminate_child", "b"), ["stop", atom.normal]]
        found[f"dynamic-starts-{script}"] = scenario(atom.one_for_one, [], *steps, kind=atom.dynamic)
    steps = [["start_child", child(each, atom.temporary)] for each in "abc"]
    steps += [exits("a", atom.normal), *steps[2:], ["shutdown"]]
    found["dynamic-max-children"] = scenario(atom.one_for_one, [], *steps, kind=atom.dynamic, max_children=2)
    for number in range(count):
        dice = random.Random(f"{seed}-{number}")
        steps = []
        for _ in range(dice.randint(3, 12)):
            id = dice.choice("abcd")
            kind = dice.random()
            if kind < 0.5:
                script = ["ok"] + [dice.choice(["ok", "ok", "ok", "error", "ignore"]) for _ in range(3)]
                stop = dice.choice([10_000, atom.infinity, atom.brutal_kill])
                type = dice.choice([atom.worker, atom.supervisor])
                steps.append(["start_child", child(id, dice.choice(RESTARTS), *script, shutdown=stop, type=type)])
            else:
                steps.append(exits(id, dice.choice(REASONS)) if kind < 0.9 else one("terminate_child", id))
        limit = dice.choice([0, 1, 3])
        found[f"dynamic-random-{number}"] = scenario(
            atom.one_for_one, [], *steps, ["shutdown"], kind=atom.dynamic, max_restarts=limit
        )
    return found


SCENARIOS: dict[str, Term] = {
    **dynamic(40), **each_end(), **each_place(), **significant(), **intensity(), **starts(), **requests(), **at_random(150),
}  # fmt: skip


# ---- playing them here

class Player(GenServer):
    """A child that tells of all that happens to it."""

    def init(self, recorder: Pid, id: Atom, deaf: bool) -> None:
        self.recorder, self.id, self.deaf = recorder, id, deaf
        trap_exit(True)
        send(recorder, (atom.started, id, self.pid))

    def handle_cast(self, request: Any) -> Stop:
        return Stop(request[1])

    def handle_info(self, message: Any) -> None:
        pass

    async def terminate(self, reason: Any) -> None:
        send(self.recorder, (atom.record, [atom.stopped, self.id, reason]))
        if self.deaf and reason is atom.shutdown:
            await Process.sleep(10**6)


async def start_player(recorder: Pid, id: Atom, script: list[Atom], count: itertools.count[int]) -> Any:
    """The start function: what the script says."""
    turn = next(count)
    match script[turn] if turn < len(script) else script[-1]:
        case atom.ignore:
            send(recorder, (atom.record, [atom.ignored, id]))
            raise StartIgnored("as the script says")
        case atom.error:
            send(recorder, (atom.record, [atom.failed, id]))
            return (atom.error, atom.no_start)
        case how:
            return await Player.start_link(recorder, id, how is atom.deaf)


class Play:
    """One scenario on one of our supervisors."""

    def __init__(self, term: Term) -> None:
        self.options = term[atom.options]
        self.children = term[atom.children]
        self.steps = term[atom.steps]
        self.pids: dict[Atom, Pid] = {}
        self.reason: Any = None

    def spec(self, given: Term) -> Term:
        """A child in the map that Erlang would send, but with a function of ours."""
        keys = {key.text: value for key, value in given.items() if key is not atom.script}
        if isinstance(keys["shutdown"], int) and keys["shutdown"] > 0:
            keys["shutdown"] = keys["shutdown"] / 1000
        return {**keys, "start": (start_player, (self.me, given[atom.id], given[atom.script], itertools.count()))}

    async def play(self) -> list[Term]:
        """The record of each step."""
        trap_exit(True)
        self.me = own_pid()
        if self.options.get(atom.kind) is atom.dynamic:
            return await self.play_dynamic()
        try:
            self.supervisor = (await Supervisor.start_link([self.spec(each) for each in self.children], **{
                key.text: value for key, value in self.options.items()
            })).pid  # fmt: skip
        except StartError as error:
            return [[[atom.boot, short((atom.error, error.reason))[1]], await self.collect(alive=False)]]
        record: list[Term] = [[[atom.boot, atom.ok], await self.collect()]]
        for step in self.steps:
            answer, dead = await self.step(step[0].text, step[1:])
            record.append([[answer], await self.collect(dead)])
        return record

    async def play_dynamic(self) -> list[Term]:
        """The record of each step; nothing is said of the order of children."""
        left_out = (atom.kind, atom.strategy, atom.auto_shutdown)
        options = {key.text: value for key, value in self.options.items() if key not in left_out}
        self.supervisor = (await DynamicSupervisor.start_link(**options)).pid
        record: list[Term] = [[[atom.boot, atom.ok], unordered(await self.collect())]]
        for what, *args in self.steps:
            dead = None
            if what is atom.start_child:
                answer = await self.ask((what, child_spec(self.spec(args[0]))))
            elif what is atom.terminate_child:
                answer = await self.ask((what, self.pids.get(args[0], self.me)))
            else:
                answer, dead = await self.step(what.text, args)
            record.append([[answer], unordered(await self.collect(dead))])
        return record

    async def step(self, what: str, args: list[Term]) -> tuple[Term, Pid | None]:
        match what, args:
            case "wait", [ms]:
                await asyncio.sleep(ms / 1000)
                return atom.waited, None
            case "exit", [id, reason]:
                pid = self.pids.get(id)
                if pid is None:
                    return atom.nobody, None
                ref = monitor(pid)
                if reason is atom.kill:
                    Process.exit(pid, reason)
                else:
                    GenServer.cast(pid, (atom.end, reason))
                await receive((atom.DOWN, ref, ..., ..., ...))
                return atom.ended, pid
            case "stop", [reason]:
                try:
                    await Supervisor.stop(self.supervisor, reason)
                except CallFailed as error:
                    return error.reason, None
                return atom.ok, None
            case "shutdown", []:
                ref = monitor(self.supervisor)
                Process.exit(self.supervisor, atom.shutdown)
                await receive((atom.DOWN, ref, ..., ..., ...))
                return atom.ok, None
            case "start_child", [given]:
                return await self.ask((atom.start_child, self.spec(given))), None
            case _:
                return await self.ask((atom(what), args[0])), None

    async def ask(self, request: Term) -> Term:
        try:
            return short(await GenServer.call(self.supervisor, request, 20.0))
        except CallFailed:
            return atom.noproc

    async def collect(self, dead: Pid | None = None, alive: bool = True) -> Term:
        state = await self.settle(dead) if alive else atom.none
        found = []
        while True:
            try:
                message = await receive(lambda each: each[0] in (atom.started, atom.record), timeout=0)
            except ReceiveTimeout:
                return [found, state]
            if message[0] is atom.started:
                self.pids[message[1]] = message[2]
                found.append([atom.started, message[1]])
            else:
                found.append(message[1])

    async def settle(self, dead: Pid | None) -> Term:
        try:
            while True:
                children = await Supervisor.which_children(self.supervisor)
                if all(each.pid is not atom.restarting and self.lives(each.pid, dead) for each in children):
                    listed = [[id, isinstance(pid, Pid), kind] for id, pid, kind, _ in children]
                    counts = await GenServer.call(self.supervisor, atom.count_children)
                    return [listed, sorted(counts, key=lambda pair: str(pair[0]))]
        except CallFailed:
            try:
                self.reason = (await receive((atom.EXIT, self.supervisor, ...), timeout=0))[2]
            except ReceiveTimeout:
                pass
            return (atom.dead, self.reason)

    @staticmethod
    def lives(pid: Any, dead: Pid | None) -> bool:
        return not isinstance(pid, Pid) or (pid != dead and Process.alive(pid))


def short(answer: Term) -> Term:
    """An answer without pids and without what only one of the two languages has."""
    match answer:
        case (atom.ok, Pid()):
            return atom.started
        case (atom.error, (atom.already_started, _)):
            return (atom.error, atom.already_started)
        case (atom.error, (reason, (atom.child, *_))):
            return (atom.error, reason)
        case (atom.ok, dict() as found):
            return {key: value for key, value in found.items() if key not in (atom.start, atom.modules)}
    return answer


def unordered(record: Term) -> Term:
    """A record with everything sorted in it that has no order."""
    events, state = record
    events = sorted(events, key=sort_key)
    return [events, state if isinstance(state, tuple) else [sorted(state[0], key=sort_key), state[1]]]


def sort_key(term: Term) -> Term:
    """Erlang's order, for the terms of records."""
    if isinstance(term, list | tuple):
        return (1, len(term) if isinstance(term, tuple) else 99, [sort_key(each) for each in term])
    return (0, 0, [str(term).lower() if isinstance(term, bool) else str(term)])


def play(term: Term) -> list[Term]:
    """The record of a scenario on our supervisor, on the virtual clock."""
    record: list[Term] = run_virtual(lambda: Play(term).play())
    return record
