"""What flags, files and environment come to."""

from typing import Any

import pytest

from beamish.cli.flags import UsageError, read_line
from beamish.cli.node_flags import NODE_FLAGS, NodeOptions, node_options, read_text


def options(*arguments: str, environ: dict[str, str] | None = None, **files: str) -> NodeOptions:
    line = read_line(arguments, NODE_FLAGS, command="beamish shell")

    def read_file(path: str) -> str:
        key = path.replace(".", "_")
        if key not in files:
            raise UsageError(f"{path} cannot be read")
        return files[key]

    return node_options(line, environ=environ or {}, read_file=read_file)


def test_nothing_said() -> None:
    found = options()
    assert found == NodeOptions()
    assert (found.name, found.connect_all, found.port_min, found.net_ticktime) == (None, True, 0, 60)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--sname", "a"], {"name": "a", "long": False}),
        (["--name", "a@b.c"], {"name": "a@b.c", "long": True}),
        (["--sname", "a", "--cookie", "-x&y"], {"cookie": "-x&y"}),
        (["--sname", "a", "--hidden"], {"hidden": True}),
        (["--no-connect-all"], {"connect_all": False}),
        (["--sname", "a", "--dist-port", "9000"], {"port_min": 9000, "port_max": 9000}),
        (["--sname", "a", "--dist-ports", "9100-9155"], {"port_min": 9100, "port_max": 9155}),
        (["--sname", "a", "--dist-ports", "9000"], {"port_min": 9000, "port_max": 9000}),
        (["--tick-time", "8"], {"net_ticktime": 8}),
        (["--epmd-port", "4370"], {"epmd_port": 4370}),
        (["--erl", "-sname a -hidden"], {"name": "a", "hidden": True}),
        (["--erl", "-hidden", "--sname", "a"], {"hidden": True}),
        (["--erl", "-name a@b.c -setcookie x#y"], {"name": "a@b.c", "long": True, "cookie": "x#y"}),
        (["--erl", "-connect_all false"], {"connect_all": False}),
        (["--erl", "-kernel connect_all false"], {"connect_all": False}),
        (["--erl", "-sname a", "--sname", "b"], {"name": "b"}),
        (["--erl", "-setcookie a", "--erl", "-setcookie b"], {"cookie": "b"}),
        (["--erl", "-setcookie a@b c"], {"peer_cookies": {"a@b": "c"}}),
        (["--erl", "-sname a -kernel inet_dist_listen_min 9000 inet_dist_listen_max 9000"], {"port_min": 9000}),
        (["--erl", "-kernel inet_dist_use_interface {127,0,0,1}"], {"listen_address": "127.0.0.1"}),
        (["--erl", "-kernel inet_dist_use_interface {0,0,0,0,0,0,0,1}"], {"listen_address": "0:0:0:0:0:0:0:1"}),
    ],
)
def test_flags(arguments: list[str], expected: dict[str, Any]) -> None:
    found = options(*arguments)
    assert {key: getattr(found, key) for key in expected} == expected


def test_environment() -> None:
    assert options(environ={"ERL_EPMD_PORT": "5000"}).epmd_port == 5000
    assert options("--epmd-port", "5001", environ={"ERL_EPMD_PORT": "5000"}).epmd_port == 5001
    assert options(environ={"BEAMISH_COOKIE": "x", "BEAMISH_HISTORY": "", "HOME": "/"}).cookie is None
    with pytest.raises(UsageError, match=r"unknown environment variable BEAMISH_COKIE; did you mean BEAMISH_COOKIE\?"):
        options(environ={"BEAMISH_COKIE": "x"})
    with pytest.raises(UsageError, match="unknown environment variable BEAMISH_ZZZ; there are BEAMISH_ANNOTATE"):
        options(environ={"BEAMISH_ZZZ": "x"})
    with pytest.raises(UsageError, match="variable ERL_EPMD_PORT: 50x is not a port"):
        options(environ={"ERL_EPMD_PORT": "50x"})


VM_ARGS = """\
## Name of the node
-name ${NODE}@127.0.0.1
-setcookie a&b!c@d-e   # shared
-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9155 net_ticktime 20
-config sys
+K true
"""
SYS_CONFIG = """\
%% -*- erlang -*-
[{kernel, [{net_ticktime, 10}, {inet_dist_use_interface, {127,0,0,1}}]},
 {my_app, [{port, 8080}, {url, "http://example.org"}]},
 "more.config"].
"""


def test_a_release_s_own_files() -> None:
    found = options(
        "--vm-args", "vm.args", environ={"NODE": "uk"},
        vm_args=VM_ARGS, sys_config=SYS_CONFIG, more_config="[{my_app, [{port, 9090}]}, {other, []}].",
    )  # fmt: skip
    assert (found.name, found.long, found.cookie) == ("uk@127.0.0.1", True, "a&b!c@d-e")
    assert (found.port_min, found.port_max) == (9100, 9155)
    assert found.net_ticktime == 20  # the command line wins over the configuration
    assert found.listen_address == "127.0.0.1"
    assert found.applications == {"my_app": {"port": 9090, "url": "http://example.org"}, "other": {}}
    assert any("+K true" in note for note in found.notes)


def test_toml() -> None:
    found = options("--config", "node.toml", node_toml="[kernel]\nnet_ticktime = 7\nconnect_all = false\n[my_app]\nx = 1\n")
    assert (found.net_ticktime, found.connect_all, found.applications) == (7, False, {"my_app": {"x": 1}})


def test_configuration_may_leave_out_its_ending() -> None:
    config = "[{kernel, [{net_ticktime, 9}]}]."
    assert options("--config", "sys", sys_config=config).net_ticktime == 9
    assert options("--config", "sys.config", sys_config=config).net_ticktime == 9


@pytest.mark.parametrize(
    ("arguments", "files", "problem"),
    [
        (["--sname", "a", "--name", "b@c.d"], {}, "cannot both be given"),
        (["--dist-port", "1", "--dist-ports", "1-2"], {}, "cannot both be given"),
        (["--dist-port", "0"], {}, "a port is 1 to 65535"),
        (["--dist-ports", "9-1"], {}, "empty; write 1-9"),
        (["--dist-ports", "x-9"], {}, "written MIN-MAX"),
        (["--tick-time", "0"], {}, "number of seconds"),
        (["--erl", "-kernel inet_dist_listen_min 9000"], {}, "min is set, but inet_dist_listen_max is not"),
        (["--erl", "-kernel inet_dist_listen_min 9 inet_dist_listen_max 8"], {}, "range of ports 9-8 is empty"),
        (["--erl", "-kernel net_ticktime soon"], {}, "number of seconds, not soon"),
        (["--erl", "-kernel inet_dist_use_interface {1,2}"], {}, "is an address"),
        (["--erl", "-proto_dist inet_tls"], {}, "no TLS distribution yet"),
        (["--vm-args", "none"], {}, "--vm-args: none cannot be read"),
        (["--config", "none"], {}, r"--config: none\.config cannot be read"),
        (
            ["--config", "a.config"],
            {"a_config": "[{kernel, [{net_tickime, 1}]}]."},
            r"kernel: unknown key net_tickime; did",
        ),
        (["--config", "a.config"], {"a_config": "[{kernel,\n [{a, 1}}]."}, r"a\.config:2:9: expected"),
        (["--config", "a.config"], {"a_config": "[]. []."}, "one list"),
        (["--config", "a.config"], {"a_config": "[a]."}, "every entry looks like"),
        (["--config", "a.config"], {"a_config": '["a"].'}, "include each other"),
        (["--config", "a.toml"], {"a_toml": "x = 1"}, "outside of a table"),
        (["--config", "a.toml"], {"a_toml": "[kernel]\nnet_tick = 1"}, "unknown key net_tick"),
        (["--config", "a.toml"], {"a_toml": "[kernel"}, r"a\.toml: "),
    ],
)
def test_errors(arguments: list[str], files: dict[str, str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        options(*arguments, **files)


def test_notes() -> None:
    assert "not distributed" in options("--hidden").notes[0]
    found = options("--sname", "a", "--erl", "-kernel sync_nodes_timeout 5000")
    assert found.notes == ["kernel: sync_nodes_timeout is known, but this version does nothing with it yet"]


def test_secrets_are_not_shown() -> None:
    found = options("--cookie", "hush", "--erl", "-setcookie a@b hash")
    assert "hush" not in repr(found)
    assert "hash" not in repr(found)


def test_reading_files(tmp_path: Any) -> None:
    path = tmp_path / "x"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_text(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_text(str(path))
    path.write_text("é")
    assert read_text(str(path)) == "é"
