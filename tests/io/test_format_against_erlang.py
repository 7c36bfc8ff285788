"""Our io_lib:format beside Erlang's, on tables and on random terms."""

from typing import Any

import pytest
from erl_oracle import ErlangOracle
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from term_strategies import terms, terms_without_maps

from beamish.io.format import FormatError, format
from beamish.io.measure import Style
from beamish.term import BitString, Charlist, ExportFun, ImproperList, atom

pytestmark = pytest.mark.interop

NARROW = Style(printable_unicode=False)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ours(pattern: str, arguments: list[Any], style: Style = NARROW) -> str:
    try:
        return format(pattern, arguments, style)
    except FormatError:
        return "!badarg"


TABLE = [
    ("~w ~w ~w ~w", [1.0, -0.0, 123456.0, 1.0e5]),
    ("~s|~s|~ts|~s", [Charlist("abc"), b"abc", [1087, ImproperList([b"\xc3\xa9"], b"x")], atom.abc]),
    ("~s", [[1087]]),
    ("~s", [1]),
    ("~ts", [b"\xe9"]),
    ("~ts", [[b"\xe2\x82", b"\xac"]]),
    ("~s", ["é"]),
    ("~ts", [atom("пр")]),
    ("~s", [atom("пр")]),
    ("~10s|~-10s|~.2s|~10.2s|~3s", [Charlist(text) for text in ("abc", "abc", "abc", "abc", "abcdef")]),
    ("~10..*s", [ord("*"), Charlist("abc")]),
    ("~-10.5._s|~10.5._s", [Charlist("abcdefgh"), Charlist("abc")]),
    ("~5.5.xs|~-5.5.xs|~3.5s", [Charlist("abc"), Charlist("abc"), Charlist("abc")]),
    ("~5.5.xs|~-5.5.xs", [Charlist("abc"), Charlist("abc")]),
    ("~*s|~.*s", [-5, Charlist("abc"), 2, Charlist("abc")]),
    ("~.*s", [-2, Charlist("abc")]),
    ("~c~c~3c|~5.2c|~-5.2c|~tc|~c|", [97, 98, 99, 100, 101, 1087, 1087]),
    ("~2.5c", [97]),
    ("~tc", [-1]),
    ("~b ~B ~.16b ~.16B ~10b|~-10b|~10..0b|~5.2.0b|~2b|~.2b", [17, -17, 255, 255, 17, 17, 17, 5, 12345, 5]),
    ("~.37b", [1]),
    ("~.1b", [1]),
    ("~x ~X ~.16x", [17, Charlist("0x"), 17, Charlist("0x"), 255, Charlist("0x")]),
    ("~.16X ~10.16x|", [255, atom("0x"), -31, []]),
    ("~x", [1, b"0x"]),
    ("~# ~+ ~.16# ~.16+ ~10.16#|~.2#|~.36#", [17, 17, 31, -31, 31, 5, 10**30]),
    ("~e ~f ~g ~.3e ~.2f ~.3g", [1.0, 1.0, 1.0, 12345.678, 12345.678, 12345.678]),
    ("~10.2f|~-10.2f|~10.3e|~15g|~g", [1.5, 1.5, 1.5, 1.5, 1e10]),
    ("~f", [1]),
    ("~.1e", [1.0]),
    ("~.0f", [1.0]),
    ("~5f|~5.1e", [1.0, 2.0]),
    ("~.30f ~.30e", [0.1, 0.1]),
    ("~f ~e ~g", [1e300, 1e300, 1e300]),
    ("~f ~e ~g", [1e-300, 1e-300, 1e-300]),
    ("~f ~e ~g ~f", [0.0, 0.0, 0.0, -0.0]),
    ("~.2f ~.2f ~.1f ~.3e ~e", [0.125, 2.675, 0.25, 9.9996, 9.9999999]),
    ("~.1g ~.1g ~.2g ~.4g ~.5g ~.0g", [0.5, 5.0, 0.05, 1234.0, 12345.0, 1.0]),
    ("~i~w", [1, 2]),
    ("~~ ~3~ ~n ~2n|~0n|", []),
    ("~-2n", []),
    ("~q", [1]),
    ("~", []),
    ("~5", []),
    ("~w", []),
    ("~w", [1, 2]),
    ("~-w", [1]),
    ("~5w|~-5w|~2w|~.2w|~5.2w|~5.3w|~-10.3w|~0w|", [atom.abc] * 8),
    ("~10.5.*w", [ord("x"), atom.abc]),
    ("~P ~W ~P", [[1, 2, 3, 4, 5], 3, [1, 2, 3, 4, 5], 3, (atom.a, (atom.b, (atom.c, (atom.d,)))), 3]),
    ("~P ~P ~W", ["abcdefghijkl", 2, {atom.a: 1, atom.b: 2, atom.c: 3}, 3, {atom.a: 1, atom.b: 2, atom.c: 3}, 3]),
    ("~W ~W", [ImproperList([1, 2], 3), 2, ImproperList([1, 2, 3], 4), 3]),
    ("~P ~P", [b"\1\2\3\4\5", 3, BitString(b"\xa0", 3), 1]),
    ("~P", [1, 0]),
    ("~P", [1, atom.a]),
    ("~lp ~ltp", [Charlist("abc"), Charlist("abc")]),
    ("~0p", [[atom.abc] * 60]),
    ("~p", [list(range(60))]),
    ("some text: ~p", [list(range(60))]),
    ("line~n\t~p", [list(range(60))]),
    ("~30p|~20.5p", [list(range(30)), list(range(30))]),
    ("~-30p", [1]),
    ("~-0p|~*w|~-*w|", [1, -5, 1, -5, 1]),
    ("~p ~w", [ExportFun(atom.lists, atom.map, 2), ExportFun(atom("A b"), atom.map, 2)]),
    ("~p", [bytes(range(100))]),
    ("~p", [(atom.a_tag_that_is_rather_long_for_a_tag_but_legal, list(range(50)), (atom.b, [atom.c] * 30))]),
    ("~p", [[(atom.kernel, [(atom.inet_dist_listen_min, 9100), (atom.sync_nodes, [atom("a@h"), atom("b@h")])])] * 3]),
    ("~p", [{atom(f"key{number}"): list(range(number)) for number in range(25)}]),
    ("~p", [{(atom.key, number): {number: Charlist("x" * 30)} for number in range(5)}]),
    ("~p", [ImproperList([list(range(40)), atom.a], (atom.tail, list(range(40))))]),
    ("~p", [[[[[[[[[[list(range(40))]]]]]]]]]]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "arguments"), TABLE)
def test_table(erlang: ErlangOracle, pattern: str, arguments: list[Any]) -> None:
    assert ours(pattern, arguments) == erlang.format(pattern, arguments)


@quick
@given(term=terms)
@pytest.mark.parametrize("pattern", ["~w", "~p", "~0p", "~40p", "~tp|~p", "~10.60p"])
def test_whole_terms(erlang: ErlangOracle, pattern: str, term: Any) -> None:
    arguments = [term] * pattern.count("~")
    assert ours(pattern, arguments) == erlang.format(pattern, arguments)


@quick
@given(term=terms)
@pytest.mark.parametrize("pattern", ["~tw", "~tp", "~0tp", "~30tp"])
def test_whole_terms_where_unicode_is_printable(wide_erlang: ErlangOracle, pattern: str, term: Any) -> None:
    assert ours(pattern, [term], Style()) == wide_erlang.format(pattern, [term])


@quick
@given(term=terms, depth=st.integers(-1, 9))
@pytest.mark.parametrize("pattern", ["~P", "~tP", "~30P"])
def test_terms_to_a_depth(erlang: ErlangOracle, pattern: str, term: Any, depth: int) -> None:
    assert ours(pattern, [term, depth]) == erlang.format(pattern, [term, depth])


@quick
@given(term=terms_without_maps, depth=st.integers(-1, 9))  # ~W of OTP 25 puts dots into maps where nothing is missing
def test_terms_on_a_line_to_a_depth(erlang: ErlangOracle, term: Any, depth: int) -> None:
    assert ours("~W", [term, depth]) == erlang.format("~W", [term, depth])


@quick
@given(number=st.floats(allow_nan=False, allow_infinity=False), precision=st.integers(0, 25), width=st.integers(0, 30))
@pytest.mark.parametrize("letter", ["e", "f", "g"])
def test_floats(erlang: ErlangOracle, letter: str, number: float, precision: int, width: int) -> None:
    for pattern in (f"~{letter}", f"~.{precision}{letter}", f"~{width}.{precision}{letter}"):
        assert ours(pattern, [number]) == erlang.format(pattern, [number])


@quick
@given(
    flags=st.from_regex(r"-?[0-9]{0,2}(\.[0-9]?(\.[_x0])?)?[tl]{0,2}[wpsbBcxX#+]", fullmatch=True),
    argument=st.one_of(st.integers(-100, 300), st.sampled_from([atom.a, Charlist("abc"), b"xyz", [1, 2], 1.5])),
)
def test_any_flags(erlang: ErlangOracle, flags: str, argument: Any) -> None:
    assume(not (flags[-1] == "c" and "t" in flags and isinstance(argument, int) and argument < 0))  # Erlang makes bytes
    arguments = [argument, Charlist("0x")] if flags[-1] in "xX" else [argument]
    assert ours("~" + flags, arguments) == erlang.format("~" + flags, arguments)
