"""Elixir's Date, Time, NaiveDateTime and DateTime as Python's.

Elixir keeps microseconds as {value, precision}, where precision counts the digits that are meant. A datetime or time
of the standard library stands for {value, 6}, or {0, 0} if there are none; any other precision comes as a
`PreciseDateTime` or `PreciseTime`, which are datetimes and times that remember it. Other calendars, years outside 1 to
9999, leap seconds and zones other than UTC stay dicts.

Source  Elixir 1.14, Calendar, DateTime.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, SupportsIndex

from beamish.term._atom import atom
from beamish.term.structs import STRUCT, read_struct, register_struct

ISO = atom("Elixir.Calendar.ISO")
CALENDAR, MICROSECOND = atom.calendar, atom.microsecond
DATE_KEYS = (atom.year, atom.month, atom.day)
TIME_KEYS = (atom.hour, atom.minute, atom.second)
UTC_ZONE: dict[Any, Any] = {atom.time_zone: b"Etc/UTC", atom.zone_abbr: b"UTC", atom.utc_offset: 0, atom.std_offset: 0}


class PreciseDateTime(dt.datetime):
    """A datetime that remembers how many digits of its microseconds are meant (0 to 6)."""

    precision: int | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        made = dt.datetime.combine(self.date(), self.timetz())
        return (_precise_datetime, (made, self.precision))


class PreciseTime(dt.time):
    """A time that remembers how many digits of its microseconds are meant (0 to 6)."""

    precision: int | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return (_precise_time, (dt.time(self.hour, self.minute, self.second, self.microsecond), self.precision))


def _precise_datetime(value: dt.datetime, precision: int | None) -> PreciseDateTime:
    made = PreciseDateTime.combine(value.date(), value.timetz())
    made.precision = precision
    return made


def _precise_time(value: dt.time, precision: int | None) -> PreciseTime:
    made = PreciseTime(value.hour, value.minute, value.second, value.microsecond)
    made.precision = precision
    return made


def _microsecond(value: dt.datetime | dt.time) -> tuple[int, int]:
    precision = getattr(value, "precision", None)
    if precision is None:
        precision = 6 if value.microsecond else 0
    return (value.microsecond, precision)


def _numbers(fields: dict[Any, Any], keys: tuple[Any, ...]) -> list[int] | None:
    """The integers under keys; None if one is something else (True counts as something else)."""
    found = [fields[key] for key in keys]
    return found if all(type(number) is int for number in found) else None


def _read_microsecond(fields: dict[Any, Any]) -> tuple[int, int | None] | None:
    """(microseconds, precision), precision None if it is the one that a plain value stands for."""
    pair = fields[MICROSECOND]
    if type(pair) is not tuple or [type(number) for number in pair] != [int, int]:
        return None
    value, precision = pair
    if not 0 <= precision <= 6:
        return None
    return value, None if precision == (6 if value else 0) else precision


def _date_to_map(value: dt.date) -> dict[Any, Any]:
    return {CALENDAR: ISO, atom.year: value.year, atom.month: value.month, atom.day: value.day}


def _date_from_map(fields: dict[Any, Any]) -> dt.date | None:
    numbers = _numbers(fields, DATE_KEYS)
    if len(fields) != 5 or fields[CALENDAR] is not ISO or numbers is None:
        return None
    return dt.date(*numbers)


def _clock(value: dt.datetime | dt.time) -> dict[Any, Any]:
    return {
        atom.hour: value.hour,
        atom.minute: value.minute,
        atom.second: value.second,
        MICROSECOND: _microsecond(value),
    }


def _time_to_map(value: dt.time) -> dict[Any, Any]:
    if value.tzinfo is not None:
        raise ValueError("Elixir's Time has no zone: send a datetime, or a time without tzinfo")
    return {CALENDAR: ISO, **_clock(value)}


def _time_from_map(fields: dict[Any, Any]) -> dt.time | None:
    numbers, micro = _numbers(fields, TIME_KEYS), _read_microsecond(fields)
    if len(fields) != 6 or fields[CALENDAR] is not ISO or numbers is None or micro is None:
        return None
    hour, minute, second = numbers
    made = dt.time(hour, minute, second, micro[0])
    return made if micro[1] is None else _precise_time(made, micro[1])


def _datetime_to_map(value: dt.datetime) -> dict[Any, Any]:
    made = {**_date_to_map(value), **_clock(value)}
    if value.tzinfo is None:
        return {**made, STRUCT: atom("Elixir.NaiveDateTime")}
    if value.utcoffset() or value.tzname() != "UTC":
        raise ValueError(f"a datetime travels in UTC and this one is in {value.tzinfo}: use .astimezone(timezone.utc)")
    return {**made, **UTC_ZONE}


def _read_datetime(fields: dict[Any, Any], size: int, zone: dt.tzinfo | None) -> dt.datetime | None:
    numbers, micro = _numbers(fields, DATE_KEYS + TIME_KEYS), _read_microsecond(fields)
    if len(fields) != size or fields[CALENDAR] is not ISO or numbers is None or micro is None:
        return None
    year, month, day, hour, minute, second = numbers
    made = dt.datetime(year, month, day, hour, minute, second, micro[0], zone)
    return made if micro[1] is None else _precise_datetime(made, micro[1])


def _naive_from_map(fields: dict[Any, Any]) -> dt.datetime | None:
    return _read_datetime(fields, 9, None)


def _datetime_from_map(fields: dict[Any, Any]) -> dt.datetime | None:
    for key, wanted in UTC_ZONE.items():
        if fields[key] != wanted or type(fields[key]) is not type(wanted):
            return None
    return _read_datetime(fields, 13, dt.UTC)


register_struct("Elixir.Date", dt.date, to_map=_date_to_map, from_map=_date_from_map)
register_struct("Elixir.Time", dt.time, to_map=_time_to_map, from_map=_time_from_map)
read_struct("Elixir.NaiveDateTime", _naive_from_map)
register_struct("Elixir.DateTime", dt.datetime, to_map=_datetime_to_map, from_map=_datetime_from_map)
