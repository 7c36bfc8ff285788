"""Who holds a port, from a made-up /proc and from the real one."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from beamish.cli.port_holders import held_ports_note, port_holders

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 x 100 0 0 10 0
   1: 0100007F:238D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1 x 100 0 0 10 0
   2: 0100007F:238E 0100007F:0016 01 00000000:00000000 00:00000000 00000000  1000        0 333 1 x 100 0 0 10 0
"""


def made_up_proc(root: Path) -> Path:
    (root / "net").mkdir()
    (root / "net/tcp").write_text(TABLE)
    (root / "42/fd").mkdir(parents=True)
    (root / "42/comm").write_text("beam.smp\n")
    os.symlink("socket:[111]", root / "42/fd/7")
    os.symlink("/dev/null", root / "42/fd/0")
    (root / "43").mkdir()  # one we may not look into
    return root


def test_a_made_up_machine(tmp_path: Path) -> None:
    proc = made_up_proc(tmp_path)
    assert port_holders(9100, 9105, proc) == {9100: "42 beam.smp", 9101: "another user's process"}
    assert port_holders(9102, 9105, proc) == {}
    assert port_holders(1, 65535, tmp_path / "nothing") == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_this_machine() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert port_holders(port, port)[port].startswith(f"{os.getpid()} ")
        assert held_ports_note(port, port).startswith(f"\nheld: {port} by {os.getpid()} ")
    assert held_ports_note(port, port) == ""
