"""What a hostile term may cost, and that limits are what they say."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import zlib
from typing import Any

import pytest

from beamish.errors import DecodeError, EncodeError
from beamish.etf import DEFAULT, Limits, decode, encode
from beamish.term import ImproperList, TermMap, atom
from beamish.term._atom import live_atoms

DEPTH = DEFAULT.depth
NESTS = {
    "tuple": (b"h\x01", b""),
    "large tuple": (b"i\0\0\0\x01", b""),
    "list": (b"l\0\0\0\x01", b"j"),
    "improper": (b"l\0\0\0\x01", b"a\x01"),
    "value": (b"t\0\0\0\x01a\x01", b""),
    "key": (b"t\0\0\0\x01", b"a\x01"),
    "tuple key": (b"t\0\0\0\x01h\x01", b"a\x01"),
    "free variable": (
        b"p\0\0\0\0\x01" + bytes(20) + b"\0\0\0\x01w\x01ma\x01a\x01X" + b"w\x01n" + bytes(12),
        b"",
    ),
}


@pytest.mark.parametrize("kind", NESTS)
@pytest.mark.parametrize("levels", [DEPTH + 1, 100_000])
def test_bytes_nested_too_deep_are_refused(kind: str, levels: int) -> None:
    front, back = NESTS[kind]
    with pytest.raises(DecodeError, match="deeper"):
        decode(b"\x83" + front * levels + b"a\x01" + back * levels)


def test_a_list_that_continues_in_its_tail_for_ever_needs_no_depth() -> None:
    assert decode(b"\x83" + b"l\0\0\0\x01a\x01" * 100_000 + b"j") == [1] * 100_000


@pytest.mark.parametrize("kind", ["tuple", "list", "value", "improper"])
def test_the_deepest_term_allowed(kind: str) -> None:
    front, back = NESTS[kind]
    data = b"\x83" + front * DEPTH + b"a\x01" + back * DEPTH
    assert encode(decode(data)) == data.replace(b"i\0\0\0\x01", b"h\x01") or kind == "list"
    with pytest.raises(DecodeError, match="deeper"):
        decode(data, limits=Limits(depth=DEPTH - 1))


def test_the_deepest_key_allowed() -> None:
    data = b"\x83" + b"t\0\0\0\x01" * 200 + b"a\x01" + b"a\x01" * 200
    term = decode(data)
    assert isinstance(term, TermMap)
    assert encode(term) == data


@pytest.mark.parametrize("size", [256 * 1024, 512 * 1024, 1024 * 1024])
def test_depth_is_safe_on_a_small_stack(size: int) -> None:
    """Threads have smaller stacks than the main one on many systems; 512 KiB is macOS's."""
    seen: list[Any] = []

    def work() -> None:
        for front, back in NESTS.values():
            try:
                seen.append(encode(decode(b"\x83" + front * 3000 + b"a\x01" + back * 3000)))
            except DecodeError:
                seen.append(None)
        for kind in ("tuple", "dict", "improper", "mapping"):
            for levels in (100, 100_000):
                try:
                    seen.append(encode(_nested(kind, levels)))
                except EncodeError:
                    seen.append(None)

    old = threading.stack_size(size)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert len(seen) == len(NESTS) + 8
    assert all(seen[len(NESTS) :: 2])
    assert not any(seen[len(NESTS) + 1 :: 2])


def _nested_list(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


def _nested(kind: str, levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        match kind:
            case "tuple":
                made = (made,)
            case "list":
                made = [made]
            case "dict":
                made = {1: made}
            case "improper":
                made = ImproperList([made], 1)
            case "mapping":
                made = TermMap([(1, 1)]) if made == 1 else OddMapping(made)
    return made


class OddMapping(dict[Any, Any]):
    """A dict subclass, encoded on the way for look-alikes."""

    def __init__(self, inner: Any) -> None:
        super().__init__({1: inner})


@pytest.mark.parametrize("kind", ["tuple", "list", "dict", "improper", "mapping"])
def test_values_nested_too_deep_are_refused(kind: str) -> None:
    with pytest.raises(EncodeError, match=f"deeper than {DEPTH} levels"):
        encode(_nested(kind, 100_000))
    assert encode(_nested(kind, DEPTH - 1))
    with pytest.raises(EncodeError, match="deeper than 10 levels"):
        encode(_nested(kind, 11), limits=Limits(depth=10))


def test_values_that_contain_themselves_are_refused() -> None:
    loop: list[Any] = []
    loop += [loop, loop]
    ring: dict[Any, Any] = {}
    ring[1] = (ring,)
    for term in (loop, ring):
        with pytest.raises(EncodeError, match="contains itself"):
            encode(term)
    loop.clear()
    ring.clear()


CLAIMS = [
    b"i\x00\xff\xff\xff",
    b"i\xff\xff\xff\xff",
    b"h\xff",
    b"l\xff\xff\xff\xff",
    b"t\xff\xff\xff\xff",
    b"t\x7f\xff\xff\xff",
    b"m\xff\xff\xff\xff",
    b"M\xff\xff\xff\xff\x08",
    b"o\xff\xff\xff\xff\x00",
    b"n\xff\x00",
    b"k\xff\xff",
    b"w\xff",
    b"v\xff\xff",
    b"p\x00\x00\x00\x20\x01" + bytes(20) + b"\xff\xff\xff\xffw\x01ma\x01a\x01X" + b"w\x01n" + bytes(12),
]


def _peak(data: bytes, limits: Limits = DEFAULT) -> int:
    """Bytes allocated while the data is refused."""
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode(data, limits=limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("claim", CLAIMS, ids=repr)
def test_a_size_larger_than_the_bytes_is_refused_before_anything_is_allocated(claim: bytes) -> None:
    assert _peak(b"\x83" + claim + bytes(10)) < 100_000


@pytest.mark.parametrize("front", [b"i\0\x0f\x42\x40", b"l\0\x0f\x42\x40", b"t\0\x07\xa1\x20"], ids=["tuple", "list", "map"])
def test_nested_claims_do_not_add_up(front: bytes) -> None:
    """Each level claims a million elements and the input has that many bytes: only one of them can be true."""
    assert _peak(b"\x83" + front * 1000 + b"a\x01" * 500_000) < 30_000_000


def test_a_key_inside_a_key_is_read_once() -> None:
    """Maps that turn into TermMaps on the way must not be read again: that would take 2^depth steps."""
    good = b"a\x01"
    for _ in range(60):
        good = b"t\0\0\0\x01" + good + b"a\x02"
    assert encode(decode(b"\x83" + good)) == b"\x83" + good


def test_compressed_bombs() -> None:
    bomb = zlib.compress(b"m" + (100 << 20).to_bytes(4, "big") + bytes(100 << 20), 9)
    honest = b"\x83P" + ((100 << 20) + 5).to_bytes(4, "big") + bomb
    with pytest.raises(DecodeError, match="compressed_size"):
        decode(honest)
    lying = b"\x83P" + (1000).to_bytes(4, "big") + bomb
    assert _peak(lying) < 5_000_000
    small = Limits(compressed_size=100)
    with pytest.raises(DecodeError, match="compressed_size is 100"):
        decode(encode(b"x" * 200, compressed=9), limits=small)
    assert decode(encode([0] * 50, compressed=9), limits=small) == [0] * 50


def test_compressed_inside_compressed_is_refused() -> None:
    inner = encode([1] * 1000, compressed=9)[1:]
    data = b"\x83P" + len(inner).to_bytes(4, "big") + zlib.compress(inner)
    with pytest.raises(DecodeError, match="compressed data inside"):
        decode(data)


def test_compressing_what_does_not_shrink_changes_nothing() -> None:
    assert encode(b"abc", compressed=9) == encode(b"abc")
    with pytest.raises(ValueError, match="level 1 to 9"):
        encode(1, compressed=10)


def test_size() -> None:
    assert encode(b"x" * 95, limits=Limits(size=100)) == encode(b"x" * 95)
    with pytest.raises(EncodeError, match="too large a term"):
        encode(b"x" * 96, limits=Limits(size=100))
    with pytest.raises(EncodeError, match="too large a term"):
        encode([b"x" * 1000] * 1000, limits=Limits(size=100_000))
    with pytest.raises(DecodeError, match=r"Limits\.size"):
        decode(encode(b"x" * 96), limits=Limits(size=100))


def test_arity_and_integer_size() -> None:
    limits = Limits(arity=300, integer_size=300)
    assert decode(encode((1,) * 300, limits=limits), limits=limits) == (1,) * 300
    with pytest.raises(EncodeError, match="tuple"):
        encode((1,) * 301, limits=limits)
    with pytest.raises(DecodeError, match=r"Limits\.arity"):
        decode(encode((1,) * 301), limits=limits)
    big = 2 ** (8 * 300) - 1
    assert decode(encode(-big, limits=limits), limits=limits) == -big
    with pytest.raises(EncodeError, match="integer"):
        encode(big + 1, limits=limits)
    with pytest.raises(DecodeError, match=r"Limits\.integer_size"):
        decode(encode(big + 1), limits=limits)


def test_atoms_from_outside_are_counted_against_those_that_exist() -> None:
    # More than the table of recent atoms holds, so that letting go of those cannot make room for all of these.
    names = [f"a_limited_atom_{number}" for number in range(6000)]
    data = b"\x83l" + len(names).to_bytes(4, "big") + b"".join(encode_name(name) for name in names) + b"j"
    with pytest.raises(DecodeError, match=r"Limits\.atoms"):
        decode(data, limits=Limits(atoms=live_atoms() + 500))
    known = decode(data, limits=Limits(atoms=live_atoms() + 7000))
    assert [name.text for name in known] == names
    assert decode(data, limits=Limits(atoms=1)) == known  # those that exist already cost nothing


def encode_name(name: str) -> bytes:
    return b"w" + bytes([len(name)]) + name.encode()


def test_a_peer_cannot_fill_the_memory_with_atoms() -> None:
    before = live_atoms()
    for turn in range(20):
        decode(b"\x83l" + (1000).to_bytes(4, "big") + b"".join(encode_name(f"n{turn}_{i}") for i in range(1000)) + b"j")
    assert live_atoms() - before < 5000


def test_limits_are_checked() -> None:
    for wrong in ({"depth": 0}, {"depth": 10**6}, {"size": -1}, {"compressed_size": 2**33}, {"arity": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Limits(**wrong)
    limits = Limits()
    with pytest.raises(AttributeError):
        limits.size = 3  # type: ignore[misc]


def test_the_collector_runs_again_after_a_large_decode() -> None:
    data = encode([{atom.a: [i]} for i in range(2000)])
    assert gc.isenabled()
    decode(data)
    assert gc.isenabled()
    with pytest.raises(DecodeError):
        decode(data[:-1])
    assert gc.isenabled()
    gc.disable()
    try:
        decode(data)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_failed_decode_leaks_nothing() -> None:
    data = encode([{atom.a: [1, (2, b"x" * 100)], b"key": {1: 2}}] * 100)
    for warm in (20, 200):
        tracemalloc.start()
        for _ in range(warm):
            with pytest.raises(DecodeError):
                decode(data[:-1])
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert left < 100_000
