"""Arguments of `beamish call`, and how results are shown."""

import json
from typing import Any

import pytest

from beamish.cli.call import parse_argument, show
from beamish.cli.flags import UsageError
from beamish.cli.one_shot import as_json, json_text
from beamish.term import Charlist, ImproperList, Pid, TermMap, atom


@pytest.mark.parametrize(
    ("source", "term"),
    [
        ("16", 16),
        ("-5", -5),
        ("1.5", 1.5),
        ("ok", atom.ok),
        ("a@host", atom("a@host")),
        ("true", True),
        ("nil", None),
        ("'two words'", atom("two words")),
        ('"text é"', "text é"),
        ('~c"text"', Charlist("text")),
        ("[1,2,3]", [1, 2, 3]),
        ("{a, [b]}", (atom.a, [atom.b])),
        ('#{a => "x"}', {atom.a: "x"}),
        ('<<"x">>', b"x"),
        ("True", True),
        ("None", None),
        ('{"key": [1, None]}', {"key": [1, None]}),
        ("(1, 'x')", (1, "x")),
        ("b'x'", b"x"),
        ("[True, 'x']", [True, "x"]),
    ],
)
def test_notation(source: str, term: Any) -> None:
    parsed = parse_argument(source, 1)
    assert parsed == term
    assert type(parsed) is type(term)


@pytest.mark.parametrize("source", ["hello world", "[1,2", "{'a', 'b', X}", "a.b", "/tmp/x", "{1: {2}}", "1 # 2", "(", ""])
def test_what_is_no_term(source: str) -> None:
    with pytest.raises(UsageError, match=r"argument 3, .*is not a term.*column"):
        parse_argument(source, 3)


def test_the_error_says_how_to_quote() -> None:
    with pytest.raises(UsageError) as caught:
        parse_argument('say "hi" now', 1)
    advice = str(caught.value)
    assert r"""'"say \"hi\" now"'""" in advice
    assert parse_argument(r'"say \"hi\" now"', 1) == 'say "hi" now'


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        (4.0, "4.0"),
        (atom("a@h"), "a@h"),
        (b"abc", '"abc"'),
        ("é".encode(), '"é"'),
        (b"\xff\x00", "<<255,0>>"),
        (b"\xe9", '<<"é">>'),
        ([97, 98], '~c"ab"'),
        ([1, b"x"], '[1,"x"]'),
        ({atom.a: None}, "#{a => nil}"),
        ("", "<<>>"),
    ],
)
def test_results_are_shown_in_the_notation_of_arguments(term: Any, shown: str) -> None:
    assert show(term) == shown
    if shown not in ('<<"é">>',):
        again = parse_argument(shown, 1)
        assert show(again) == shown


def test_json() -> None:
    term = (atom.ok, [b"x", "é", 1.5, None, True, atom("a b")], {atom.k: b"\xff", 1: ()})
    assert json.loads(json_text(term)) == ["ok", ["x", "é", 1.5, None, True, "a b"], {"k": [255], "1": []}]
    assert as_json(Pid(atom("a@b"), 1, 2, 3)) == "<a@b.1.2>"
    assert as_json(ImproperList([1], 2)) == "[1|2]"
    assert as_json(TermMap([(1, 2), (1.0, 3)])) == {"1": 2, "1.0": 3}
