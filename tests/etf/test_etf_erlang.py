"""Against a real Erlang, thousands of terms at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import strategies
from beamish.etf import decode, encode
from beamish.term import BitString, ImproperList, atom, charlist
from etf import reference
from etf.erlang_echo import Erlang

pytestmark = pytest.mark.interop


def draw_many(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Many different terms at once, to be sent in one batch."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(term: Any) -> None:
        found.append(term)

    collect()
    return found


def as_erlang_sees_it(term: Any) -> Any:
    return reference.identity(reference.model_of(term))


def test_our_terms_echo_through_erlang(erlang: Erlang) -> None:
    terms = draw_many(strategies.terms, 500)
    assert len(terms) > 450
    sent = [encode(term) for term in terms]
    echoes = erlang.echo(sent)
    assert [data.hex() for data, echo in zip(sent, echoes, strict=True) if not echo] == []
    for term, data, echo in zip(terms, sent, echoes, strict=True):
        assert as_erlang_sees_it(decode(echo)) == as_erlang_sees_it(term), data.hex()
    assert all(erlang.same((data, encode(decode(echo))) for data, echo in zip(sent, echoes, strict=True)))


def test_our_structs_echo_through_erlang(erlang: Erlang) -> None:
    terms = draw_many(strategies.structs, 300)
    for term, echo in zip(terms, erlang.echo([encode(term) for term in terms]), strict=True):
        back = decode(echo)
        assert type(back) is type(term)
        assert back == term or str(back) == str(term)


@pytest.mark.parametrize("seed", range(4))
def test_erlangs_terms_echo_through_us(erlang: Erlang, seed: int) -> None:
    made = erlang.make(seed, 1000)
    assert len(made) == 1000
    terms = [decode(data) for data in made]
    again = [encode(term) for term in terms]
    wrong = [data for data, same in zip(made, erlang.same_as_made(again), strict=True) if not same]
    assert wrong == []
    packed = [encode(term, compressed=1) for term in terms]
    assert all(erlang.same_as_made(packed))


def test_erlang_agrees_on_what_is_a_term(erlang: Erlang) -> None:
    """A str is a binary to Erlang, an empty one too; True and friends are atoms; our look-alikes are what we say."""
    cases: list[tuple[Any, str]] = [
        ("", "<<>>"),
        ("é", "<<195,169>>"),
        ({"a": 1}, "#{<<97>> => 1}"),
        (True, "true"),
        (None, "nil"),
        (charlist("abc"), '"abc"'),
        (charlist("日"), "[26085]"),
        ([], '""'),
        (BitString(b"\xff", 3), "<<7:3>>"),
        (ImproperList([1, 2], 3), "[1,2|3]"),
        (-(2**63), "-(1 bsl 63)"),
        (2**64, "1 bsl 64"),
        (atom("日本"), "list_to_atom([26085,26412])"),
    ]
    values = erlang.values([f"{source}." for _, source in cases])
    assert all(erlang.same(zip(values, [encode(term) for term, _ in cases], strict=True)))
    assert not any(erlang.same([(values[0], values[1])]))


def test_what_erlang_refuses_we_refuse(erlang: Erlang) -> None:
    """Where the two differ, we are the stricter one."""
    from etf.test_etf_layout import BAD

    # OTP 25 crashes as a whole on some malformed funs, so those are not sent.
    bad = [b"\x83" + data for data, _ in BAD if data and data[:1] != b"p"]
    stricter = {b"P", b"X", b"Z", b"q"}
    for data, echo in zip(bad, erlang.echo(bad), strict=True):
        assert not echo or data[1:2] in stricter, data


def test_closures_still_run_after_their_journey(erlang: Erlang) -> None:
    # Made and kept in Erlang, so equal funs are the same code with the same captured values.
    [made] = erlang.values(["fun(X) -> [X | captured] end."])
    fun = decode(made)
    assert fun.arity == 1
    assert all(erlang.same([(made, encode(fun))]))
