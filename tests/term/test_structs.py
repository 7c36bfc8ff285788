"""Elixir structs as Python classes, under one law: nothing is lost."""

from __future__ import annotations

import datetime as dt
import pickle
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from beamish.errors import EncodeError
from beamish.etf import decode, encode
from beamish.term import Atom, TermMap, atom, register_struct, struct, structs
from beamish.term.calendar_structs import PreciseDateTime, PreciseTime
from beamish.term.value_structs import MapSet
from etf import reference

ISO = atom("Elixir.Calendar.ISO")


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for table in ("_readers", "_writers", "_classes"):
        monkeypatch.setattr(structs, table, dict(getattr(structs, table)))


def wire(name: str, **fields: Any) -> dict[Any, Any]:
    return {atom.__struct__: atom(f"Elixir.{name}"), **{atom(key): value for key, value in fields.items()}}


def received(fields: dict[Any, Any]) -> Any:
    """What comes out if a peer sends this map; whatever it is must go back as the same map."""
    data = reference.encode(reference.model_of(fields))
    value = decode(data)
    assert reference.strict(reference.decode(encode(value))) == reference.strict(reference.decode(data))
    return value


DATE = {"calendar": ISO, "year": 2024, "month": 2, "day": 29}
CLOCK = {"calendar": ISO, "hour": 13, "minute": 5, "second": 59}
BOTH = {**DATE, **CLOCK}
UTC = {"time_zone": b"Etc/UTC", "zone_abbr": b"UTC", "utc_offset": 0, "std_offset": 0}

KNOWN: list[tuple[dict[Any, Any], Any]] = [
    (wire("Date", **DATE), dt.date(2024, 2, 29)),
    (wire("Time", **CLOCK, microsecond=(0, 0)), dt.time(13, 5, 59)),
    (wire("Time", **CLOCK, microsecond=(120, 6)), dt.time(13, 5, 59, 120)),
    (wire("NaiveDateTime", **BOTH, microsecond=(0, 0)), dt.datetime(2024, 2, 29, 13, 5, 59)),
    (wire("DateTime", **BOTH, **UTC, microsecond=(7, 6)), dt.datetime(2024, 2, 29, 13, 5, 59, 7, dt.UTC)),
    (wire("Decimal", sign=1, coef=1230, exp=-2), Decimal("12.30")),
    (wire("Decimal", sign=-1, coef=0, exp=3), Decimal("-0E+3")),
    (wire("Decimal", sign=-1, coef=atom.inf, exp=0), Decimal("-Infinity")),
    (wire("MapSet", map={1: [], b"a": []}, version=2), frozenset([1, b"a"])),
    (wire("MapSet", map={}), MapSet()),
    (wire("Range", first=1, last=10, step=3), range(1, 11, 3)),
    (wire("Range", first=3, last=1, step=-1), range(3, 0, -1)),
    (wire("Range", first=1, last=0, step=1), range(1, 1)),
]


@pytest.mark.parametrize(("fields", "value"), KNOWN, ids=lambda value: repr(value)[:60])
def test_built_in_classes(fields: dict[Any, Any], value: Any) -> None:
    got = received(fields)
    assert got == value
    assert type(got) is type(value)
    assert str(got) == str(value) or isinstance(value, frozenset)


PLAIN: list[dict[Any, Any]] = [
    wire("Date", **{**DATE, "calendar": atom("Elixir.Calendar.Holocene")}),
    wire("Date", **{**DATE, "year": -5}),
    wire("Date", **{**DATE, "year": 12024}),
    wire("Date", **{**DATE, "day": 30}),
    wire("Date", **{**DATE, "day": True}),
    wire("Date", **{**DATE, "day": 29.0}),
    wire("Date", **DATE, more=1),
    wire("Date", year=1, month=1),
    wire("Time", **{**CLOCK, "second": 60}, microsecond=(0, 0)),
    wire("Time", **CLOCK, microsecond=[0, 0]),
    wire("Time", **CLOCK, microsecond=(0, 7)),
    wire("Time", **CLOCK, microsecond=(False, 0)),
    wire("Time", **CLOCK),
    wire("DateTime", **BOTH, **{**UTC, "std_offset": 3600}, microsecond=(0, 0)),
    wire("DateTime", **BOTH, **{**UTC, "std_offset": False}, microsecond=(0, 0)),
    wire("DateTime", **BOTH, **{**UTC, "time_zone": b"Europe/Amsterdam"}, microsecond=(0, 0)),
    wire("DateTime", **BOTH, **{**UTC, "time_zone": "Etc/UTC"}, microsecond=(0, 0)),
    wire("Decimal", sign=2, coef=1, exp=0),
    wire("Decimal", sign=True, coef=1, exp=0),
    wire("Decimal", sign=1, coef=-1, exp=0),
    wire("Decimal", sign=1, coef=1.0, exp=0),
    wire("Decimal", sign=1, coef=atom.inf, exp=1),
    wire("Decimal", sign=1, coef=1, exp=10**18),
    wire("Decimal", sign=1, coef=10**5000, exp=0),
    wire("MapSet", map={1: []}, version=1),
    wire("MapSet", map={1: []}, version=2.0),
    wire("MapSet", map={1: True}, version=2),
    wire("MapSet", map=TermMap([(1, []), (1.0, [])]), version=2),
    wire("MapSet", map=[1], version=2),
    wire("Range", first=1, last=2),
    wire("Range", first=1, last=2, step=0),
    wire("Range", first=1, last=2.0, step=1),
    wire("RuntimeError", __exception__=True, message=b"runtime error"),
    wire("Shop.Unknown", id=1),
    {atom.__struct__: 1},
    {atom.__struct__: []},
    {atom.__struct__: None},
    {atom.__struct__: atom("Elixir.Date")},
]


@pytest.mark.parametrize("fields", PLAIN)
def test_what_would_lose_something_stays_a_map(fields: dict[Any, Any]) -> None:
    got = received(fields)
    assert type(got) is dict
    assert got == fields


@given(st.integers(0, 999_999), st.integers(0, 6))
def test_the_precision_of_microseconds_is_kept(micro: int, precision: int) -> None:
    moment = received(wire("DateTime", **BOTH, **UTC, microsecond=(micro, precision)))
    naive = received(wire("NaiveDateTime", **BOTH, microsecond=(micro, precision)))
    clock = received(wire("Time", **CLOCK, microsecond=(micro, precision)))
    plain = precision == (6 if micro else 0)
    assert type(moment) is (dt.datetime if plain else PreciseDateTime)
    assert type(clock) is (dt.time if plain else PreciseTime)
    assert moment == dt.datetime(2024, 2, 29, 13, 5, 59, micro, dt.UTC)
    assert naive == dt.datetime(2024, 2, 29, 13, 5, 59, micro)
    assert clock == dt.time(13, 5, 59, micro)
    for value in (moment, naive, clock):
        copied = pickle.loads(pickle.dumps(value))
        assert encode(copied) == encode(value)
    assert encode(naive + dt.timedelta(0))  # arithmetic forgets the precision and still gives a value to send


@given(strategies.structs)
def test_values_come_back(value: Any) -> None:
    back = decode(encode(value))
    assert type(back) is type(value)
    assert back == value or str(back) == str(value)


def test_classes_of_values_that_travel_as_their_parents_do() -> None:
    class Stamp(dt.datetime):
        pass

    assert decode(encode(Stamp(2024, 1, 1))) == dt.datetime(2024, 1, 1)
    assert decode(encode({1, 2})) == frozenset([1, 2])
    assert type(decode(encode(MapSet([1])))) is MapSet
    assert decode(encode(dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")))) == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), "astimezone"),
        (dt.time(1, tzinfo=dt.UTC), "no zone"),
        (Decimal("sNaN"), "Decimal"),
        ({"a", b"a"}, "same in Erlang"),
        (dt.timedelta(1), "not a term"),
    ],
    ids=repr,
)
def test_values_that_have_no_struct(value: Any, why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        encode([value])


def test_values_as_keys() -> None:
    day, moment = dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    held = {day: 1, moment: 2, frozenset([1]): 3, range(3): 4, Decimal("1.5"): 5}
    assert decode(encode(held)) == held
    # Equal in Python, two keys in Erlang.
    data = encode(TermMap([(Decimal("1.0"), 1), (Decimal("1.00"), 2), (1, 3)]))
    assert decode(data) == TermMap([(Decimal("1.0"), 1), (Decimal("1.00"), 2), (1, 3)])


# --- own classes ---


@dataclass(frozen=True)
class Order:
    id: int
    lines: list[Any]
    paid: bool = field(default=False, metadata={"key": "paid?"})


def test_a_dataclass_stands_for_its_struct() -> None:
    assert struct("Elixir.Shop.Order")(Order) is Order
    order = Order(1, [dt.date(2024, 1, 1)], True)
    assert decode(encode(order)) == order
    assert decode(encode([order, {1: order}])) == [order, {1: order}]
    assert reference.decode(encode(Order(1, [])))[1][0] == (("atom", "__struct__"), ("atom", "Elixir.Shop.Order"))
    fields = {atom.__struct__: atom("Elixir.Shop.Order"), atom.id: 1, atom.lines: [], atom("paid?"): False}
    assert received(fields) == Order(1, [])
    for other in ({**fields, atom.more: 1}, {key: fields[key] for key in fields if key is not atom.lines}):
        assert type(received(other)) is dict


def test_registering_twice() -> None:
    struct("Elixir.Shop.Order")(Order)
    struct("Elixir.Shop.Order")(Order)
    with pytest.raises(ValueError, match="already Order"):

        @struct("Elixir.Shop.Order")
        @dataclass
        class Another:
            id: int


def test_classes_that_cannot_be_read_back_are_refused() -> None:
    class Bare:
        pass

    with pytest.raises(TypeError, match="not a dataclass"):
        register_struct("Elixir.Bare", Bare)

    @dataclass
    class Half:
        id: int
        total: int = field(init=False)

    with pytest.raises(TypeError, match="init=False"):
        register_struct("Elixir.Half", Half)


def test_a_class_with_its_own_functions() -> None:
    class Money:
        def __init__(self, cents: int) -> None:
            if cents < 0:
                raise RuntimeError("no debts")
            self.cents = cents

    register_struct(
        atom("Elixir.Money"),
        Money,
        to_map=lambda money: {atom.cents: money.cents},
        from_map=lambda fields: Money(fields[atom.cents]) if len(fields) == 2 else None,
    )
    assert decode(encode(Money(5))).cents == 5
    # A class that refuses a peer's value does not break the connection: the map stays a map.
    assert received(wire("Money", cents=-1)) == wire("Money", cents=-1)
    assert received(wire("Money", dollars=1)) == wire("Money", dollars=1)


def test_an_unregistered_dataclass_says_how() -> None:
    with pytest.raises(EncodeError, match=r'@struct\("Elixir\.Order"\)'):
        encode(Order(1, []))
    assert isinstance(atom("Elixir.Order"), Atom)
