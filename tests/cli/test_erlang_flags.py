"""Erlang's own flags: what they mean here, what is accepted with a note, and what is refused."""

import pytest

from beamish.cli.erlang_flags import MAX_FILES, ErlangFlags, read_erlang_flags
from beamish.cli.flags import UsageError
from beamish.cli.vm_args import split
from beamish.term import atom


def read(text: str, files: dict[str, str] | None = None) -> ErlangFlags:
    def read_file(path: str) -> str:
        return (files or {})[path]

    return read_erlang_flags(split(text, "vm.args"), "vm.args", read_file=read_file, environ={})


def test_the_articles_own_lines() -> None:
    found = read(
        "-name sg@10.0.0.7 -setcookie 'a&b!c@d-e' -config sys.config\n"
        "-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9155\n"
        "-smp auto -mode embedded -boot releases/1/my_app -user Elixir.IEx.CLI -extra --no-halt +iex"
    )
    assert (found.name, found.long, found.cookie) == ("sg@10.0.0.7", True, "a&b!c@d-e")
    assert found.configs == ["sys.config"]
    assert found.kernel == {"inet_dist_listen_min": 9100, "inet_dist_listen_max": 9155}
    assert found.schedulers == "auto"
    assert found.extra == ["--no-halt", "+iex"]
    assert len(found.notes) == 5
    assert all(note.startswith("vm.args: ") for note in found.notes)


def test_each_flag() -> None:
    assert read("-sname a").name == "a"
    assert read("-hidden").hidden
    assert read("-connect_all false").connect_all is False
    assert read("-connect_all true").connect_all is True
    assert read("").connect_all is None
    assert read("-dist_listen false").listen is False
    assert read("-start_epmd false -erl_epmd_port 4370").epmd_port == 4370
    assert read("-start_epmd false").start_epmd is False
    assert read("-remsh a@b").remsh == "a@b"
    assert read("-proto_dist inet_tls").tls
    assert not read("-proto_dist inet_tcp").notes
    assert read("-setcookie a@b secret").peer_cookies == {"a@b": "secret"}
    assert read("-config a b").configs == ["a", "b"]


def test_kernel_values_are_terms() -> None:
    found = read("-kernel sync_nodes_optional \"['a@b', c@d]\" net_ticktime 8 -kernel logger_level debug")
    assert found.kernel == {
        "sync_nodes_optional": [atom("a@b"), atom("c@d")],
        "net_ticktime": 8,
        "logger_level": atom.debug,
    }


@pytest.mark.parametrize(
    "text",
    ["+K true", "+A64", "+A 64", "+P 1000000", "+sbwt none", "+fnu", "-heart", "-noshell -noinput", "-env X 1 -env Y 2",
     "-pa a b c", "-s mod fun arg", "-eval 'halt().'", "-sasl errlog_type error", "-logger level debug",
     "-ssl_dist_opt server_certfile x", "-S mix phx.server", "-boot_var ROOT /x", "-emu_type jit"],
)  # fmt: skip
def test_beam_only_flags_come_with_a_note(text: str) -> None:
    found = read(text)
    assert found.notes
    assert text.split()[0] in found.notes[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-hiden", r"vm\.args: unknown flag -hiden; did you mean -hidden\?"),
        ("-setcooke x", r"did you mean -setcookie\?"),
        ("-zzz x", "unknown flag -zzz; put an application's own arguments behind -extra"),
        ("-kernel inet_dist_listn_min 9000", r"unknown key inet_dist_listn_min; did you mean inet_dist_listen_min\?"),
        ("-kernel qqq 1", "unknown key qqq$"),
        ("-kernel net_ticktime", "net_ticktime has no value"),
        ("-kernel net_ticktime [8", "expected , or ]"),
        ("-sname", "-sname needs a value: -sname NAME"),
        ("-sname -hidden", "-sname needs a value"),
        ("-sname a -name b@c", "a second name; the first is a"),
        ("-connect_all maybe", "takes true or false, not maybe"),
        ("-setcookie", "takes a cookie, or a node and its cookie"),
        ("-setcookie a b c", "takes a cookie"),
        ("-erl_epmd_port x", "x is not a port"),
        ("-proto_dist inet_udp", "only inet_tcp"),
        ("-epmd_module my_mod", "Erlang modules cannot run here"),
        ("-config", "needs the name of a file"),
        ("+Y x", r"unknown emulator flag \+Y"),
        ("word", "'word' belongs to no flag"),
    ],
)
def test_refusals(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read(text)


def test_files_in_files() -> None:
    files = {
        "more.args": "-hidden\n-kernel net_ticktime 8 # x",
        "bad.args": "-hiden",
        "loop.args": "-args_file loop.args",
    }
    found = read("-sname a -args_file more.args -connect_all false", files)
    assert (found.name, found.hidden, found.connect_all, found.kernel) == ("a", True, False, {"net_ticktime": 8})
    with pytest.raises(UsageError, match=r"^bad\.args: unknown flag"):
        read("-args_file bad.args", files)
    with pytest.raises(UsageError, match="nest too deeply"):
        read("-args_file loop.args", files)
    assert MAX_FILES < 100


def test_what_is_not_a_flag() -> None:
    found = read("-- these are ignored -hidden")
    assert found.hidden
    assert read("-kernel net_ticktime -5").kernel == {"net_ticktime": -5}
