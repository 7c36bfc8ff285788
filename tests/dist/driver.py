"""Blocking drivers of the pure handshake over a socket, for tests against real nodes."""

from __future__ import annotations

import socket
from collections.abc import Callable

from beamish.dist.handshake import Acceptor, Authenticated, Established, Event, Initiator, NameReceived

Answer = Callable[[Event], None]


def drive(shake: Initiator | Acceptor, sock: socket.socket, answer: Answer, size: int = 65536) -> list[Event]:
    """Shake hands until established or refused; ``answer`` decides on events. Returns all events."""
    events: list[Event] = []
    sock.settimeout(15)
    while True:
        sock.sendall(shake.data_to_send())
        data = sock.recv(size)
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
        if events and isinstance(events[-1], Established):
            return events


def accept_all(shake: Acceptor, established: list[Established]) -> Answer:
    """Answers that let every peer in."""

    def answer(event: Event) -> None:
        if isinstance(event, NameReceived):
            shake.accept()
        elif isinstance(event, Authenticated):
            established.append(shake.acknowledge())

    return answer
