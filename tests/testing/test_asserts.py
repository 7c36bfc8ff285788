from __future__ import annotations

import pytest

from beamish.process import receive, self, send, send_after
from beamish.term import atom
from beamish.testing import assert_receive, flush, refute_receive
from loops import now, virtual


@virtual
async def test_assert_receive_gives_the_message_and_leaves_others() -> None:
    send(self(), "other")
    send_after(0.9, self(), (atom.ok, 1))
    assert await assert_receive((atom.ok, int)) == (atom.ok, 1)
    assert await flush() == ["other"]


@virtual
async def test_assert_receive_shows_the_mailbox_when_nothing_comes() -> None:
    for number in range(25):
        send(self(), number)
    with pytest.raises(AssertionError, match=r"(?s)no message that fits <class 'str'> within 2 s.*25:\n  0\n.*and 5 more"):
        await assert_receive(str, timeout=2)
    assert now() == 2
    await flush()
    with pytest.raises(AssertionError, match="no message at all within 1 s; the mailbox held nothing"):
        await assert_receive()


@virtual
async def test_refute_receive() -> None:
    send(self(), "other")
    await refute_receive(int)
    assert now() == 0.1
    send_after(0.05, self(), 7)
    with pytest.raises(AssertionError, match="received 7, though no message that fits <class 'int'>"):
        await refute_receive(int)
    assert await receive() == "other"
    await refute_receive(timeout=0)


@virtual
async def test_flush_takes_everything() -> None:
    assert await flush() == []
    for number in range(100):
        send(self(), number)
    assert await flush() == list(range(100))
    assert await flush() == []
