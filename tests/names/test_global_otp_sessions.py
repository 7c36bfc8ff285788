"""Sessions with peers that follow OTP's own rules for tags, when one side forgets a session without a word.

`OtpSessions` begins again, at once, at every confirmation or greeting that does not fit, as OTP does. Two of those
can chase each other for ever; one of them and one of ours must not.
"""

from __future__ import annotations

from typing import Any

import pytest
from global_simulator import Net

from beamish.names import messages as m
from beamish.names.core import GlobalCore
from beamish.names.locker import Candidate
from beamish.names.session import Sessions
from beamish.term import Atom


class OtpSessions(Sessions):
    __slots__ = ()

    def init_connect(self, node: Atom, versions: Any, greeting: Any) -> None:
        if node in self.state.pending:
            self.state.send(node, m.cancel_connect(self.state.node, versions[1]))
            self._begin_anew(node)
        session = self.by_node.get(node)
        if session is None:
            self.parked[node] = (versions, greeting)
            return
        if session.him is not None:
            self._stop(session)
        session.him = Candidate(node, greeting[3], versions[0], session.my_tag, versions[1])
        self.state.pending[node] = versions[0]
        self.to_locker(session.him)
        self.state.send(node, m.init_connect_ack(self.state.node, versions[1], session.my_tag))

    def init_connect_ack(self, node: Atom, my_tag: Any, his_tag: Any) -> None:
        session = self.by_node.get(node)
        if session is None or session.him is None or (session.my_tag, session.him.his_tag) != (my_tag, his_tag):
            self.state.send(node, m.cancel_connect(self.state.node, his_tag))
            self._begin_anew(node)

    def cancel_connect(self, node: Atom, my_tag: Any) -> None:
        session = self.by_node.get(node)
        if session is not None and session.my_tag == my_tag:
            self._begin_anew(node)

    def _begin_anew(self, node: Atom) -> None:
        had_one = node in self.by_node
        self.drop(node, tell=True)
        if had_one:
            self.begin(node)


def otp_core(*args: Any, **options: Any) -> GlobalCore:
    core = GlobalCore(*args, **options)
    core.sessions.__class__ = OtpSessions
    return core


def settles(seed: int, makers: list[Any], *, forget: int, most: int = 3000) -> bool:
    """Whether nodes agree although sessions are forgotten now and then."""
    net = Net(seed)
    nodes = [net.start(f"{'abcd'[index]}@x", make) for index, make in enumerate(makers)]
    for index, node in enumerate(nodes[1:]):
        net.connect(node, nodes[net.rng.randrange(index + 1)])
    for _ in range(forget):
        net.run_for(net.rng.choice([0.001, 0.01, 0.05, 0.1]))
        node = net.rng.choice(nodes)
        sessions = node.core.sessions
        if sessions.by_node:
            peer = net.rng.choice(list(sessions.by_node))
            sessions.drop(peer)
            sessions.begin(peer)
            node.act(node.core.handle_timer(0, net.now))
    for _ in range(most):
        if not net.heap:
            net.check()
            return True
        net.step()
    return False


@pytest.mark.parametrize("forget", [0, 1, 4])
def test_ours_agree_with_ours(forget: int) -> None:
    assert all(settles(seed, [GlobalCore] * 3, forget=forget) for seed in range(40))


@pytest.mark.parametrize("forget", [0, 1, 4])
def test_ours_agree_with_otps(forget: int) -> None:
    assert all(settles(seed, [GlobalCore, otp_core], forget=forget) for seed in range(40))
    assert all(settles(seed, [otp_core, GlobalCore], forget=forget) for seed in range(40))
    assert all(settles(seed, [GlobalCore, otp_core, GlobalCore], forget=forget) for seed in range(40))


def test_two_of_otps_may_never_agree() -> None:
    """Why ours wait before they begin again."""
    assert all(settles(seed, [otp_core, otp_core], forget=0) for seed in range(10))
    assert not all(settles(seed, [otp_core, otp_core], forget=1) for seed in range(10))
