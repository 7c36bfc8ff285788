"""The converter of typed borders: what each annotation takes, and what it says about what it does not."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.term import Atom, Pid, TermMap, atom
from beamish.term.convert import Mismatch, converter_of, exact_type, hints_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2
    NONE = "nil"


class Flag(enum.Enum):
    ON = atom.on


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Tree:
    value: str
    below: list[Tree] = field(default_factory=list)
    key: str = field(default="", metadata={"key": "the_key"})


class Pair(NamedTuple):
    left: str
    right: float


class Options(TypedDict, total=False):
    name: typing.Required[str]
    size: int


class Hooked:
    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def __from_term__(cls, value: Any) -> Any:
        return cls(value) if isinstance(value, int) else NotImplemented


Name = NewType("Name", str)
PID = Pid(atom("a@b"), 1, 0, 1)  # type: ignore[arg-type]

FITS: list[tuple[Any, Any, Any]] = [
    (str, b"a\xc3\xa9", "aé"),
    (str, [233, [98], b"c"], "ébc"),
    (str, [], ""),
    (int, 5, 5),
    (float, 5, 5.0),
    (bytes, b"x", b"x"),
    (bool, True, True),
    (Atom, atom.x, atom.x),
    (Pid, PID, PID),
    (None, None, None),
    (str | None, None, None),
    (str | None, b"x", "x"),
    (bytes | str, b"x", b"x"),
    (int | str, b"x", "x"),
    (float | str, 5, 5.0),
    (list[str], [b"a", [98]], ["a", "b"]),
    (list[Any], [b"a"], [b"a"]),
    (list[list[float]], [[1], [2.5]], [[1.0], [2.5]]),
    (Sequence[str], [b"a"], ["a"]),
    (Iterable[str], (1,), (1,)),
    (tuple[int, str], (1, b"a"), (1, "a")),
    (tuple[str, ...], (b"a", b"b"), ("a", "b")),
    (dict[str, float], {b"a": 1}, {"a": 1.0}),
    (Mapping[str, Any], {b"a": b"b"}, {"a": b"b"}),
    (set[str], {b"a"}, {"a"}),
    (Literal["fast", 3], atom.fast, "fast"),
    (Literal["fast", 3], b"fast", "fast"),
    (Literal["fast", 3], 3, 3),
    (Colour, atom.red, Colour.RED),
    (Colour, atom.BLUE, Colour.BLUE),
    (Colour, b"red", Colour.RED),
    (Colour, 2, Colour.BLUE),
    (Colour, None, Colour.NONE),
    (Flag, atom.on, Flag.ON),
    (Point, {atom.x: 1, b"y": 2}, Point(1, 2.0)),
    (Point, {"x": 1}, Point(1)),
    (Point, {atom.__struct__: atom("Elixir.Point"), atom.x: 1}, Point(1)),
    (Point, TermMap({atom.x: 1}), Point(1)),
    (Tree, {atom.value: b"a", atom.below: [{atom.value: b"b"}]}, Tree("a", [Tree("b")])),
    (Tree, {atom.value: b"a", atom.the_key: b"k"}, Tree("a", key="k")),
    (list[Point | None], [{atom.x: 1}, None], [Point(1), None]),
    (Pair, (b"l", 1), Pair("l", 1.0)),
    (Options, {atom.name: b"n", b"size": 1}, {"name": "n", "size": 1}),
    (Annotated[str, "note"], b"x", "x"),
    (Name, b"x", "x"),
    (Callable[[], int], 5, 5),
    (Any, b"x", b"x"),
]


@pytest.mark.parametrize(("annotation", "value", "wanted"), FITS, ids=[str(place) for place in range(len(FITS))])
def test_what_fits(annotation: Any, value: Any, wanted: Any) -> None:
    converter = converter_of(annotation)
    made = value if converter is None else converter(value)
    assert made == wanted
    assert type(made) is type(wanted)
    assert made is value or converter is not None
    # What fits already is given back as it is.
    assert converter is None or annotation in (Options,) or converter(made) is made


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (str, 5, "5 is no str"),
        (str, b"\xff", "is no text"),
        (int, b"5", "b'5' is no int"),
        (int, 5.0, "5.0 is no int"),
        (float, True, "True is no float"),
        (float, 10**400, "is no float"),
        (bytes, "x", "'x' is no bytes"),
        (Atom, b"x", "b'x' is no Atom"),
        (None, 5, "5 is no None"),
        (str | None, 5, "5 is no str | None"),
        (list[str], (b"a",), "is no list"),
        (list[str], [b"a", 5], "member 2: 5 is no str"),
        (tuple[int, str], (1,), "is no tuple"),
        (dict[str, int], {b"a": b"b"}, "key b'a': b'b' is no int"),
        (set[int], {"a"}, "'a' is no int"),
        (Literal["a"], atom.b, "is no Literal"),
        (Colour, atom.green, "atom.green is no Colour"),
        (Colour, True, "True is no Colour"),
        (Point, {atom.y: 1}, "Point needs x"),
        (Point, {atom.x: 1, atom.z: 1}, "Point has no field atom.z; its fields are x, y"),
        (Point, {atom.x: b"1"}, "field x: b'1' is no int"),
        (Point, 5, "5 is no Point"),
        (Tree, {atom.value: b"a", atom.below: [{}]}, "field below: member 1: Tree needs value"),
        (Pair, (b"a", b"b"), "member 2: b'b' is no float"),
        (Options, {}, "Options needs name"),
        (Hooked, "x", "'x' is no Hooked"),
        (Pid, 5, "5 is no Pid"),
    ],
)
def test_what_does_not_fit_says_where(annotation: Any, value: Any, said: str) -> None:
    converter = converter_of(annotation)
    assert converter is not None
    with pytest.raises(Mismatch) as failure:
        converter(value)
    assert said in str(failure.value)


def test_a_class_may_convert_itself() -> None:
    converter = converter_of(Hooked)
    assert converter is not None
    assert converter(5).value == 5


def test_a_long_value_is_cut_in_messages() -> None:
    converter = converter_of(int)
    assert converter is not None
    with pytest.raises(Mismatch) as failure:
        converter("x" * 10_000)
    assert len(str(failure.value)) < 300


PLAIN = st.none() | st.integers() | st.text() | st.booleans()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_converter_that_has_nothing_to_do_changes_nothing(value: Any) -> None:
    for annotation in (int | str | None | list[Any] | dict[str, Any], Any, object):
        converter = converter_of(annotation)
        assert converter is None or converter(value) is value


def test_hints_that_cannot_be_read_are_left_out() -> None:
    def function(a: Nowhere, b: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert hints_of(function)["b"] is int
    assert "a" not in hints_of(function)


def test_exact_types() -> None:
    assert exact_type(int) is int
    assert exact_type(float) is float
    assert exact_type(str | None) is None
    assert exact_type(Point) is None
