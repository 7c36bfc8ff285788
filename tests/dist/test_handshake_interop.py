"""The handshake in both roles against a real Erlang node."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Iterator

import pytest

from beam import COOKIE, BeamNode, ErlNode, RealEpmd, ThreadedServer, unique_name
from beamish.dist.flags import HIDDEN, VISIBLE, Flag
from beamish.dist.handshake import (
    Acceptor,
    AliveAnswered,
    Authenticated,
    Established,
    Event,
    Failure,
    HandshakeFailed,
    Initiator,
    NameReceived,
    StatusAlive,
    StatusOk,
)
from beamish.epmd import client
from beamish.node.names import node_atom, split
from beamish.term import Atom, atom
from dist.driver import accept_all, drive

pytestmark = pytest.mark.interop


def port_of(node: BeamNode, epmd: RealEpmd) -> int:
    info = asyncio.run(client.port_please(split(node.name).alive, epmd_port=epmd.port))
    assert info is not None
    assert info.compatible
    return info.port


def initiator(peer: BeamNode, local: Atom, cookie: str = COOKIE, flags: int = HIDDEN, **more: bool) -> Initiator:
    return Initiator(
        local=local,
        peer=node_atom(peer.name),
        flags=flags,
        creation=4711,
        cookie=cookie,
        challenge=random.getrandbits(32),
        **more,
    )


def acceptor(local: Atom, cookie: str = COOKIE, flags: int = HIDDEN) -> Acceptor:
    return Acceptor(
        local=local, flags=flags, creation=4711, cookie_for=lambda _: cookie, challenge=random.getrandbits(32)
    )


@contextlib.contextmanager
def registered(name: Atom, epmd: RealEpmd, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """A listener that Erlang finds through epmd under this name; each connection is given to ``serve`` in a thread."""

    with ThreadedServer(serve) as server, asyncio.Runner() as runner:
        registration = runner.run(_register(name, server.port, epmd))
        try:
            yield
        finally:
            runner.run(registration.wait_closed())


async def _register(name: Atom, port: int, epmd: RealEpmd) -> client.Registration:
    return await client.register(split(name).alive, port, hidden=True, epmd_port=epmd.port)


@pytest.mark.parametrize("size", [1, 65536])
def test_we_connect(erl_node: ErlNode, real_epmd: RealEpmd, size: int) -> None:
    local = node_atom(unique_name("py"))
    shake = initiator(erl_node, local)
    with socket.create_connection(("127.0.0.1", port_of(erl_node, real_epmd))) as sock:
        events = drive(shake, sock, lambda event: None, size)
        assert events[0] == StatusOk(False)
        done = events[-1]
        assert isinstance(done, Established)
        assert done.peer is atom(erl_node.name)
        assert done.creation == int(erl_node.text("erlang:system_info(creation)"))
        assert done.visible
        assert done.flags == HIDDEN
        assert local.text in erl_node.text("nodes(hidden)")


def test_we_connect_with_the_wrong_cookie(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    start = len(erl_node.lines)
    shake = initiator(erl_node, node_atom(unique_name("py")), cookie="wrong")
    with (
        socket.create_connection(("127.0.0.1", port_of(erl_node, real_epmd))) as sock,
        pytest.raises(HandshakeFailed, match="wrong cookie") as caught,
    ):
        drive(shake, sock, lambda event: None)
    assert caught.value.failure is Failure.COOKIE
    erl_node.wait_line("Connection attempt from", start=start)


def test_we_lack_a_capability(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    shake = initiator(
        erl_node, node_atom(unique_name("py")), flags=HIDDEN & ~int(Flag.MAP_TAG | Flag.MANDATORY_25_DIGEST)
    )
    with (
        socket.create_connection(("127.0.0.1", port_of(erl_node, real_epmd))) as sock,
        pytest.raises(HandshakeFailed, match="not_allowed") as caught,
    ):
        drive(shake, sock, lambda event: None)
    assert caught.value.failure is Failure.REFUSED


def test_the_digest_alone_is_enough_for_erlang(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    shake = initiator(erl_node, node_atom(unique_name("py")), flags=int(Flag.MANDATORY_25_DIGEST))
    with socket.create_connection(("127.0.0.1", port_of(erl_node, real_epmd))) as sock:
        assert isinstance(drive(shake, sock, lambda event: None)[-1], Established)


@pytest.mark.parametrize("meant", [True, False])
def test_erlang_asks_whether_we_are_alive(erl_node: ErlNode, real_epmd: RealEpmd, meant: bool) -> None:
    local = node_atom(unique_name("py"))
    port = port_of(erl_node, real_epmd)
    with socket.create_connection(("127.0.0.1", port)) as old, socket.create_connection(("127.0.0.1", port)) as new:
        drive(initiator(erl_node, local), old, lambda event: None)
        shake = initiator(erl_node, local)
        asked: list[Event] = []

        def answer(event: Event) -> None:
            if isinstance(event, StatusAlive):
                asked.append(event)
                shake.answer_alive(meant)

        if meant:
            assert isinstance(drive(shake, new, answer)[-1], Established)
            while old.recv(65536):  # the old connection is taken down by Erlang
                pass
        else:
            with pytest.raises(HandshakeFailed) as caught:
                drive(shake, new, answer)
            assert caught.value.failure is Failure.STALE
            assert local.text in erl_node.text("nodes(hidden)"), "the old connection lives"
        assert asked == [StatusAlive()]


def test_erlang_gives_us_a_name(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    shake = initiator(erl_node, atom("undefined@localhost"), dynamic=True)
    with socket.create_connection(("127.0.0.1", port_of(erl_node, real_epmd))) as sock:
        done = drive(shake, sock, lambda event: None)[-1]
        assert isinstance(done, Established)
        assert done.local.text.endswith("@localhost")
        assert done.local_creation != 4711
        assert done.local.text in erl_node.text("nodes(hidden)").replace("'", "")


def test_erlang_connects(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    local = node_atom(unique_name("py"))
    established: list[Established] = []

    def serve(sock: socket.socket) -> None:
        shake = acceptor(local)
        with contextlib.suppress(HandshakeFailed):
            drive_acceptor(shake, sock, accept_all(shake, established), until=established)

    with registered(local, real_epmd, serve):
        assert erl_node.text(f"net_kernel:connect_node('{local}')") == "true"
    [done] = established
    assert done.peer is atom(erl_node.name)
    assert done.creation == int(erl_node.text("erlang:system_info(creation)"))
    assert (done.visible, done.flags) == (True, HIDDEN)


def drive_acceptor(
    shake: Acceptor, sock: socket.socket, answer: Callable[[Event], None], *, until: list[Established]
) -> list[Event]:
    """Shake hands, then hold the socket until the peer closes it."""
    events: list[Event] = []
    sock.settimeout(15)
    while not until:
        data = sock.recv(1)
        if not data:
            shake.receive_eof()
            return events
        shake.receive_data(data)
        try:
            while (event := shake.next_event()) is not None:
                events.append(event)
                answer(event)
        finally:
            sock.sendall(shake.data_to_send())
    return events


def test_erlang_connects_with_the_wrong_cookie(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    local = node_atom(unique_name("py"))
    failures: list[HandshakeFailed] = []

    def serve(sock: socket.socket) -> None:
        shake = acceptor(local, cookie="ours")
        try:
            drive_acceptor(shake, sock, accept_all(shake, []), until=[])
        except HandshakeFailed as failed:
            failures.append(failed)

    with registered(local, real_epmd, serve):
        assert erl_node.text(f"net_kernel:connect_node('{local}')") == "false"
    [failed] = failures
    assert failed.failure is Failure.COOKIE
    assert erl_node.name in str(failed)


def test_erlang_meant_it_when_we_ask(erl_node: ErlNode, real_epmd: RealEpmd) -> None:
    """A connection that is pending at Erlang's side answers true to alive."""
    local = node_atom(unique_name("py"))
    events: list[Event] = []
    established: list[Established] = []

    def serve(sock: socket.socket) -> None:
        shake = acceptor(local)

        def answer(event: Event) -> None:
            events.append(event)
            if isinstance(event, NameReceived):
                shake.ask_alive()
            elif isinstance(event, Authenticated):
                established.append(shake.acknowledge())

        drive_acceptor(shake, sock, answer, until=established)

    with registered(local, real_epmd, serve):
        assert erl_node.text(f"net_kernel:connect_node('{local}')") == "true"
    assert AliveAnswered(True) in events


def test_erlang_without_a_name_gets_one_from_us(real_epmd: RealEpmd) -> None:
    local = node_atom(unique_name("py"))
    chosen = atom("chosen123@localhost")
    established: list[Established] = []
    flags = VISIBLE
    names: list[str] = []

    def serve(sock: socket.socket) -> None:
        shake = acceptor(local, flags=flags)

        def answer(event: Event) -> None:
            if isinstance(event, NameReceived):
                assert event.peer is None
                assert event.host == "localhost"
                shake.assign_name(chosen, 4712)
            elif isinstance(event, Authenticated):
                established.append(shake.acknowledge())

        drive_acceptor(shake, sock, answer, until=established)
        while sock.recv(65536):
            pass

    with (
        registered(local, real_epmd, serve),
        ErlNode("undefined@localhost", epmd=real_epmd) as nameless,
    ):
        assert nameless.text(f"net_kernel:connect_node('{local}')") == "true"
        names.append(nameless.text("node()"))
    assert names == ["chosen123@localhost"]
    [done] = established
    assert done.peer is chosen
    assert not done.visible
