from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import callables
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.rpc import BadExport, ErlangError, Exports
from beamish.rpc.exports import snake_case, takes
from beamish.rpc.modules import BUILTIN
from beamish.term import atom


def failure(exports: Exports, module: Any, function: Any, arity: int = 0) -> Any:
    with pytest.raises(ErlangError) as raised:
        exports.resolve(atom(module), atom(function), arity)
    return raised.value.reason


def refusal(exports: Exports, module: str, function: str, arity: int = 0) -> str:
    kind, why = failure(exports, module, function, arity)
    assert kind is atom.notsup
    return str(why)


def test_everything_is_exported_by_default() -> None:
    exports = Exports()
    assert exports.resolve(atom.math, atom.sqrt, 1)(9.0) == 3.0
    assert exports.resolve(atom.callables, atom.add, 2) is callables.add


def test_an_empty_list_exports_nothing() -> None:
    assert "not exported" in refusal(Exports([]), "math", "sqrt", 1)


def test_a_refusal_names_the_node_and_the_setting_that_would_allow_it() -> None:
    exports = Exports(["math"])
    exports.node = "barry@vm"
    why = refusal(exports, "os", "getpid")
    assert why == "os is not exported on barry@vm: add 'os' or 'os:getpid' to its setting `exports`"


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("my_app", ["my_app"], ["my_app.jobs", "my_apps", "other"]),
        ("my_app.*", ["my_app.jobs", "my_app.jobs.daily"], ["my_app", "my_apps.jobs", "other"]),
        ("my_app.jobs", ["my_app.jobs"], ["my_app", "my_app.jobs.daily"]),
        ("*", ["my_app", "my_app.jobs", "__main__"], ["_private", "my_app._private"]),
    ],
)
def test_patterns(pattern: str, allowed: list[str], refused: list[str]) -> None:
    exports = Exports([pattern])
    assert [name for name in allowed if not exports.allows(name, "run")] == []
    assert [name for name in refused if exports.allows(name, "run")] == []


def test_one_function_can_be_listed() -> None:
    exports = Exports(["callables:add"])
    assert exports.resolve(atom.callables, atom.add, 2) is callables.add
    assert "callables:fail" in refusal(exports, "callables", "fail", 1)


def test_private_names_must_be_listed_themselves() -> None:
    assert refusal(Exports(), "callables", "_private").startswith("callables:_private is private")
    assert Exports(["callables:_private"]).resolve(atom.callables, atom._private, 0) is callables._private


@pytest.mark.parametrize(
    "bad", ["", "my app", "my_app.", ".my_app", "my_app:", "a:b:c", "**", "my_app.*.x", "a-b", 7, None]
)
def test_a_pattern_that_cannot_be_read_is_refused(bad: Any) -> None:
    with pytest.raises(BadExport, match=r"exports"):
        Exports([bad])


def test_a_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(BadExport, match=r"write \['math'\]"):
        Exports("math")


def test_nothing_is_imported_that_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr("importlib.import_module", imported.append)
    exports = Exports(["math"])
    refusal(exports, "not_yet_imported_module", "run")
    refusal(exports, "os.path", "join", 2)
    assert imported == []


@pytest.mark.parametrize(
    "name", ["no_such_module_at_all", "json.no_such_part", "../etc", "a b", "", "x" * 255, "1a", "a..b"]
)
def test_a_module_that_does_not_exist_is_undef(name: str) -> None:
    assert failure(Exports(), name, "run") is atom.undef


@pytest.mark.parametrize(
    ("function", "arity"),
    [
        ("nothing", 0), ("answer", 0), ("add", 0), ("add", 3), ("only_keyword", 1),
        ("only_keyword", 0), ("Job.nothing", 0), ("Job.limit", 0),
        ("Job.mro", 0), ("sys.exit", 0), ("os.system", 1), ("add.__call__", 1), ("", 0), (".", 0),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_called_so_are_undef(function: str, arity: int) -> None:
    reason = failure(Exports(), "callables", function, arity)
    assert reason is atom.undef or reason[0] is atom.notsup


def test_methods_of_classes_are_found() -> None:
    exports = Exports()
    assert exports.resolve(atom.callables, atom("Job.run"), 1)(4) == 8
    assert exports.resolve(atom.callables, atom("Job.name"), 0)() == "Job"
    refusal(exports, "callables", "_Inner.run")
    refusal(exports, "callables", "Job._hidden", 1)


def test_a_function_from_elsewhere_needs_its_own_module_exported() -> None:
    assert "posix" in refusal(Exports(["callables"]), "callables", "system", 1)
    assert Exports(["callables", "posix"]).resolve(atom.callables, atom.system, 1)
    assert Exports(["callables", "math"]).resolve(atom.callables, atom.root, 1)
    assert Exports(["callables:system"]).resolve(atom.callables, atom.system, 1)
    assert Exports().resolve(atom.callables, atom.system, 1)


def test_a_module_that_breaks_while_it_is_imported_says_how(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_on_import.py").write_text("import a_module_it_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_it_needs"):
        Exports().resolve(atom.broken_on_import, atom.run, 0)


def test_a_reloaded_module_is_called_in_its_new_form(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("changing")
    module.run = lambda: 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "changing", module)
    exports = Exports()
    assert exports.resolve(atom.changing, atom.run, 0)() == 1
    module.run = lambda: 2  # type: ignore[attr-defined]
    assert exports.resolve(atom.changing, atom.run, 0)() == 2
    del module.run  # type: ignore[attr-defined]
    assert failure(exports, "changing", "run") is atom.undef


def test_elixir_names() -> None:
    exports = Exports({"Elixir.My.Jobs": "callables"})
    assert exports.resolve(atom("Elixir.My.Jobs"), atom.add, 2) is callables.add
    assert exports.resolve(atom.callables, atom.add, 2) is callables.add
    refusal(exports, "Elixir.Other", "run")


def test_an_elixir_alias_is_the_module_of_that_name_if_it_is_exported() -> None:
    assert Exports().resolve(atom("Elixir.Callables"), atom.add, 2) is callables.add
    assert "my_app.jobs" in refusal(Exports(["callables"]), "Elixir.MyApp.Jobs", "run")


def test_elixirs_modules_are_not_pythons_of_the_same_name() -> None:
    assert failure(Exports(), "Elixir.String", "capwords", 1) is atom.undef
    assert Exports({"Elixir.String": "string"}).resolve(atom("Elixir.String"), atom.capwords, 1)


def test_erlangs_modules_answer_whatever_is_exported() -> None:
    exports = Exports([])
    exports.builtin = dict(BUILTIN)
    assert callable(exports.resolve(atom.erlang, atom.node, 0))
    assert callable(exports.resolve(atom("Elixir.Node"), atom("alive?"), 0))
    assert failure(exports, "erlang", "no_such_function") is atom.undef
    assert failure(exports, "erlang", "node", 2) is atom.undef
    assert failure(exports, "erlang", "current_runtime") is atom.undef
    assert "httpc" in refusal(exports, "httpc", "request", 1)
    exports.modules.add("httpc")
    assert callable(exports.resolve(atom.httpc, atom.request, 1))


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_listed_function_of_erlangs_modules_exists(name: str) -> None:
    exports = Exports([name])
    exports.builtin = dict(BUILTIN)
    module = __import__(BUILTIN[name], fromlist=["x"])
    assert [listed for listed in module.__all__ if not callable(getattr(module, listed))] == []


def test_names_that_are_no_atoms() -> None:
    for module, function in ((1, atom.x), (atom.math, 2.0), ([], atom.x)):
        with pytest.raises(ErlangError):
            Exports().resolve(module, function, 0)
    assert failure(Exports(), "true", "false") is atom.undef


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 5))
def test_no_name_does_more_than_fail(module: str, function: str, arity: int) -> None:
    exports = Exports(["callables"])
    with pytest.raises(ErlangError):
        exports.resolve(atom(module), atom(function), arity)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("MyApp.Jobs", "my_app.jobs"), ("HTTPServer", "http_server"), ("A", "a"), ("Base64Url", "base64_url")],
)
def test_aliases_become_snake_case(alias: str, name: str) -> None:
    assert snake_case(alias) == name


def test_arities() -> None:
    assert takes(callables.add, 1)
    assert takes(callables.add, 2)
    assert not takes(callables.add, 3)
    assert takes(print, 17)
