"""The table of capability flags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamish.dist.flags import (
    HIDDEN,
    MANDATORY_25,
    MANDATORY_26,
    TABLE,
    VISIBLE,
    Flag,
    announced,
    expand,
    flag_names,
    is_published,
    missing_mandatory,
    negotiate,
)

words = st.integers(0, 2**64 - 1)


def test_sets_are_those_measured_on_otp_25() -> None:
    assert VISIBLE == 0xD07DF7FBD
    assert HIDDEN == 0xD07DF7FBC
    assert MANDATORY_25 == 0x1070F94
    assert MANDATORY_26 == 0x403070F94
    assert announced() == VISIBLE
    assert announced(hidden=True) == HIDDEN


def test_each_flag_has_one_row_and_one_bit_in_order() -> None:
    assert [row.flag for row in TABLE] == list(Flag)
    values = [int(row.flag) for row in TABLE]
    assert values == sorted(values)
    assert all(value.bit_count() == 1 for value in values)


def test_digest_stands_for_the_whole_set() -> None:
    digest = int(Flag.MANDATORY_25_DIGEST)
    assert missing_mandatory(digest) == ()
    assert negotiate(VISIBLE, digest) == MANDATORY_25 | digest


@pytest.mark.parametrize("flag", [row.flag for row in TABLE if row.mandatory_from == 25])
def test_each_mandatory_flag_is_missed(flag: Flag) -> None:
    assert missing_mandatory(MANDATORY_25 & ~flag) == (flag,)


def test_newer_requirements_can_be_asked_for() -> None:
    assert missing_mandatory(MANDATORY_25, MANDATORY_26) == (Flag.UNLINK_ID, Flag.V4_NC)
    assert missing_mandatory(VISIBLE, MANDATORY_26) == ()


def test_visibility_is_the_peers_own_affair() -> None:
    assert is_published(VISIBLE)
    assert not is_published(HIDDEN)
    assert not is_published(negotiate(HIDDEN, VISIBLE))


def test_names_for_messages() -> None:
    assert flag_names(Flag.SPAWN | 1 << 60 | 1) == ["PUBLISHED", "SPAWN", "1<<60"]


@given(words, words)
def test_negotiation_is_what_both_can(ours: int, theirs: int) -> None:
    agreed = negotiate(ours, theirs)
    assert agreed == negotiate(theirs, ours)
    assert agreed & ~expand(ours) == 0
    assert agreed & ~expand(theirs) == 0
    assert agreed & ours & theirs == ours & theirs
    assert type(agreed) is int
