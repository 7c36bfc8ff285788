"""What a process of ours asks the evaluator process of a real node to do, in the node's own language."""

from __future__ import annotations

from typing import Any

from cluster import Member

from beamish.process import receive, self, send
from beamish.term import atom

SECONDS = 5.0
"""Within which a message must come."""

VERBS = {
    "erl": {
        "self": "self()",
        "next": "receive M -> M after 5000 -> silent end",
        "monitor": "monitor(process, {})",
        "demonitor": "demonitor({}, [flush])",
        "link": "link({})",
        "unlink": "unlink({})",
        "exit": "exit({}, {})",
        "send": "({}) ! {}",
        "links": "element(2, process_info(self(), links))",
        "monitored_by": "element(2, process_info({}, monitored_by))",
        "register": "register({}, {})",
        "unregister": "unregister({})",
        "alias": "alias()",
        "unalias": "unalias({})",
        "register_global": "global:register_name({}, self())",
        "unregister_global": "global:unregister_name({})",
        "send_global": "global:send({}, {})",
        "mortal_call": "spawn(fun() -> receive _ -> exit(no) end end)",
        "mortal": "spawn(fun() -> receive {{die, R}} -> exit(R) end end)",
        "spawn_link": "begin P = spawn_link({}, erlang, exit, [bye]), "
        "receive {{'EXIT', P, Why}} -> Why after 5000 -> silent end end",
        "crash seen": 'begin P = {}, R = monitor(process, P), P ! {{raise, <<"out of cheese">>}}, '
        "receive {{'DOWN', R, process, P, Why}} -> unicode:characters_to_binary(io_lib:format(\"~tp\", [Why])) end end",
    },
    "elixir": {
        "self": "self()",
        "next": "receive do m -> m after 5000 -> :silent end",
        "monitor": "Process.monitor({})",
        "demonitor": "Process.demonitor({}, [:flush])",
        "link": "Process.link({})",
        "unlink": "Process.unlink({})",
        "exit": "Process.exit({}, {})",
        "send": "send({}, {})",
        "links": "Process.info(self(), :links) |> elem(1)",
        "monitored_by": "Process.info({}, :monitored_by) |> elem(1)",
        "register": "Process.register({1}, {0})",
        "unregister": "Process.unregister({})",
        "alias": ":erlang.alias()",
        "unalias": ":erlang.unalias({})",
        "register_global": ":global.register_name({}, self())",
        "unregister_global": ":global.unregister_name({})",
        "send_global": ":global.send({}, {})",
        "mortal": "spawn(fn -> receive do {{:die, r}} -> exit(r) end end)",
        "spawn_link": "p = Node.spawn_link({}, :erlang, :exit, [:bye]); "
        "receive do {{:EXIT, ^p, why}} -> why after 5000 -> :silent end",
        "crash seen": 'p = {}; r = Process.monitor(p); send(p, {{:raise, "out of cheese"}}); '
        "receive do {{:DOWN, ^r, :process, ^p, why}} -> Exception.format_exit(why) end",
    },
}


async def do(peer: Member, verb: str, *terms: Any) -> Any:
    """One of VERBS in the peer's evaluator."""
    return await peer.eval(VERBS[peer.kind][verb].format(*(peer.literal(term) for term in terms)))


async def mail(count: int) -> list[Any]:
    """The next messages, sorted, for where no order is promised."""
    return sorted([await receive(timeout=SECONDS) for _ in range(count)], key=repr)


async def their_mail(peer: Member, count: int) -> list[Any]:
    """The same of the peer's evaluator."""
    return sorted([await do(peer, "next") for _ in range(count)], key=repr)


async def nothing_came(peer: Member) -> None:
    """Whatever the peer's processes sent has come, and it is no message."""
    await do(peer, "send", self(), atom.last)
    assert await receive(timeout=SECONDS) is atom.last


async def nothing_reached(peer: Member) -> None:
    """Whatever we sent to the peer's evaluator has come, and it is no message."""
    send(await do(peer, "self"), atom.last)
    assert await do(peer, "next") is atom.last
