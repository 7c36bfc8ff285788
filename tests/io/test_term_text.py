"""Erlang term text: what it means, where it goes wrong, and that it agrees with Erlang's own reader."""

from typing import Any

import pytest
from erl_oracle import ErlangOracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from term_strategies import terms

from beamish.io.measure import Style, write
from beamish.io.term_text import MAX_NESTING, TermSyntaxError, consult, parse_term
from beamish.term import BitString, Charlist, ExportFun, ImproperList, TermMap, atom
from beamish.term.identity import identity

TERMS = [
    ("ok", atom.ok),
    ("a@host", atom("a@host")),
    ("'two words'", atom("two words")),
    ("'it\\'s'", atom("it's")),
    ("true", True),
    ("nil", None),
    ("42", 42),
    ("-42", -42),
    ("+1", 1),
    ("1_000_000", 1_000_000),
    ("16#ff", 255),
    ("36#Zz", 35 * 36 + 35),
    ("-2#101", -5),
    ("1.5", 1.5),
    ("-1.0e-3", -0.001),
    ("$a", 97),
    ("$\\n", 10),
    ("$\\x{1F600}", 0x1F600),
    ("$\\^a", 1),
    ("$ ", 32),
    ('"abc"', Charlist("abc")),
    ('"a" "b"\n"c"', Charlist("abc")),
    ('"\\x41\\101\\s\\e\\d\\"\\\\"', Charlist('AA \x1b\x7f"\\')),
    ('""', Charlist("")),
    ("<<>>", b""),
    ('<<"abc">>', b"abc"),
    ('<<"é">>', b"\xe9"),
    ('<<"é"/utf8>>', "é".encode()),
    ("<<1,2,3>>", b"\1\2\3"),
    ("<<1,5:3>>", BitString(b"\x01\xa0", 3)),
    ("<<300:16>>", b"\x01\x2c"),
    ("<<256>>", b"\0"),
    ("<<-1>>", b"\xff"),
    ('<<1:1,"a">>', BitString(bytes([0b10110000, 0b10000000]), 1)),
    ("[]", []),
    ("[1,[2],3]", [1, [2], 3]),
    ("[a|b]", ImproperList([atom.a], atom.b)),
    ("[a|[b|c]]", ImproperList([atom.a, atom.b], atom.c)),
    ("[a|[b]]", [atom.a, atom.b]),
    ('[a|"b"]', [atom.a, 98]),
    ("{}", ()),
    ("{a,{b}}", (atom.a, (atom.b,))),
    ("#{}", {}),
    ("#{a => 1, b => 2}", {atom.a: 1, atom.b: 2}),
    ("#{a => 1, a => 2}", {atom.a: 2}),
    ("#{1 => a, 1.0 => b}", TermMap([(1, atom.a), (1.0, atom.b)])),
    ("#{[1] => a}", TermMap([([1], atom.a)])),
    ("fun lists:map/2", ExportFun(atom.lists, atom.map, 2)),
    (" % comment\n ok % more", atom.ok),
    ("ok.", atom.ok),
]


@pytest.mark.parametrize(("source", "term"), TERMS, ids=[source for source, _ in TERMS])
def test_meaning(source: str, term: Any) -> None:
    parsed = parse_term(source)
    assert identity(parsed) == identity(term)
    assert type(parsed) is type(term)


@pytest.mark.parametrize(
    ("source", "line", "column", "problem"),
    [
        ("", 1, 1, "end of the text"),
        ("{a,\n b", 2, 3, "expected , or }"),
        ("[1,\n 2}", 2, 3, "expected , or ] (the [ of line 1, column 1), found }"),
        ("{a,}", 1, 4, "found }"),
        ("Foo", 1, 1, "variable"),
        ("a b", 1, 3, "nothing more"),
        ("a. b.", 1, 4, "nothing more"),
        ("'abc", 1, 1, "no end"),
        ('{x, "abc}', 1, 5, "no end"),
        ("16#fg", 1, 1, "not a number in base 16"),
        ("99#1", 1, 1, "base"),
        ("1a", 1, 2, "unexpected 'a'"),
        ("#rec{}", 1, 2, "records"),
        ("#{a = 1}", 1, 5, "unexpected"),
        ("#{a => 1,}", 1, 10, "expected a key"),
        ("<<a>>", 1, 3, "integer or a string"),
        ("<<1:99999999999>>", 1, 5, "bits"),
        ('<<"ж">>', 1, 3, "/utf8"),
        ("fun x", 1, 6, "fun Module"),
        ("fun m:f/300", 1, 9, "0 to 255"),
        ("$", 1, 2, "missing"),
        ('"\\x{110000}"', 1, 2, "no character"),
        ("[1|2,3]", 1, 5, "expected , or ]"),
        ("1.0e999", 1, 1, "too large"),
        ("<0.1.0>", 1, 1, "unexpected character '<'"),
        ("'" + "x" * 256 + "'", 1, 1, "255"),
        ("[" * (MAX_NESTING + 1), 1, MAX_NESTING + 1, "nested deeper"),
    ],
)
def test_errors_say_where(source: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(TermSyntaxError) as caught:
        parse_term(source)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert problem in str(caught.value)


def test_a_file_of_terms() -> None:
    source = "%% -*- erlang -*-\n{a, 1}.\n\n[{kernel, []}].% end\n"
    assert consult(source) == [(atom.a, 1), [(atom.kernel, [])]]
    assert consult("% nothing\n") == []


def test_a_file_names_itself_in_errors() -> None:
    with pytest.raises(TermSyntaxError, match=r"^sys\.config:2:5: expected a full stop"):
        consult("{a,\n 1} {b}.", file="sys.config")


def test_quotes_as_binaries() -> None:
    parsed = parse_term('["é", ~c"é", ~"é", <<"x">>]', quotes_are_binaries=True)
    assert parsed == ["é", Charlist("é"), "é".encode(), b"x"]
    assert type(parsed[1]) is Charlist


@given(terms)
def test_reads_what_it_writes(term: Any) -> None:
    assert identity(parse_term(write(term, style=Style(unicode=True)))) == identity(term)
    assert identity(parse_term(write(term))) == identity(term)


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("{}[]<>,|#=.'\"$\\%a1~ \n", max_size=40))
def test_garbage_is_refused_or_read(source: str) -> None:
    problem = None
    try:
        parse_term(source)
    except TermSyntaxError as error:
        problem = error
    assert problem is None or (problem.line >= 1 and problem.column >= 1)


@pytest.mark.interop
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([source for source, _ in TERMS]) | terms.map(lambda term: write(term, style=Style(unicode=True))))
def test_erlang_reads_the_same(wide_erlang: ErlangOracle, source: str) -> None:
    source = source.rstrip(".") + "."
    answer = wide_erlang.ask(f"{{consult,{write(list(map(ord, source)))}}}")
    if answer == "!badarg":  # Erlang's normaliser does not take repeated keys in every form
        return
    assert write(parse_term(source), style=Style(unicode=True)) == answer
