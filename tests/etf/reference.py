"""A second, slow codec in plain Python, written from the format's description alone, to compare the real one with.

It does not use beamish's types: terms are a model of nested tuples.

    ("int", n) ("float", 8 bytes) ("atom", text) ("bin", bytes) ("str", bytes) ("bits", bytes, n)
    ("tuple", (…)) ("list", (…)) ("improper", (…), tail) ("map", ((key, value), …))
    ("pid", node, id, serial, creation) ("port", node, id, creation) ("ref", node, creation, (…))
    ("export", module, function, arity) ("fun", module, arity, uniq, index, old index, old uniq, pid, (…))
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

from beamish.term import (
    Atom,
    BitString,
    Charlist,
    ExportFun,
    Fun,
    ImproperList,
    Pid,
    Port,
    Ref,
    TermMap,
)
from beamish.term.structs import to_map_of

Model = tuple[Any, ...]


class Malformed(Exception):
    """The reference refuses the bytes."""


class Reader:
    """Reads models out of bytes."""

    def __init__(self, data: bytes, refs: tuple[str, ...] = ()) -> None:
        self.data = data
        self.at = 0
        self.refs = refs

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Malformed("short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def many(self, count: int) -> tuple[Model, ...]:
        if count > len(self.data) - self.at:
            raise Malformed("short")
        return tuple(self.term() for _ in range(count))

    def name(self, size: int, encoding: str) -> Model:
        try:
            text = self.take(size).decode(encoding)
        except UnicodeDecodeError:
            raise Malformed("text") from None
        if len(text) > 255:
            raise Malformed("long atom")
        return ("atom", text)

    def want(self, *kinds: str) -> Model:
        model = self.term()
        if model[0] not in kinds:
            raise Malformed(f"{kinds} expected")
        return model

    def node(self) -> str:
        _, text = self.want("atom")
        if text in ("true", "false", "nil"):
            raise Malformed("node")
        return str(text)

    def term(self) -> Model:
        tag = self.number(1)
        method = getattr(self, f"tag_{tag}", None)
        if method is None:
            raise Malformed(f"tag {tag}")
        return method()  # type: ignore[no-any-return]

    def tag_70(self) -> Model:
        data = self.take(8)
        if not math.isfinite(struct.unpack(">d", data)[0]):
            raise Malformed("float")
        return ("float", data)

    def tag_99(self) -> Model:
        text = self.take(31).split(b"\0")[0]
        if any(byte not in b"0123456789+-.eE" for byte in text):
            raise Malformed("float")
        try:
            value = float(text)
        except ValueError:
            raise Malformed("float") from None
        if not math.isfinite(value):
            raise Malformed("float")
        return ("float", struct.pack(">d", value))

    def tag_77(self) -> Model:
        size, bits = self.number(4), self.number(1)
        if bits > 8 or (bits == 0) != (size == 0):
            raise Malformed("bits")
        data = self.take(size)
        if bits in (0, 8):
            try:
                data.decode()
            except UnicodeDecodeError:
                return ("bin", data)
            return ("str", data)
        return ("bits", data[:-1] + bytes([data[-1] >> (8 - bits) << (8 - bits)]), bits)

    def tag_82(self) -> Model:
        index = self.number(1)
        if index >= len(self.refs):
            raise Malformed("cache")
        return ("atom", self.refs[index])

    def tag_97(self) -> Model:
        return ("int", self.number(1))

    def tag_98(self) -> Model:
        return ("int", int.from_bytes(self.take(4), "big", signed=True))

    def big(self, size: int) -> Model:
        sign = self.number(1)
        value = int.from_bytes(self.take(size), "little")
        return ("int", -value if sign else value)

    def tag_110(self) -> Model:
        return self.big(self.number(1))

    def tag_111(self) -> Model:
        return self.big(self.number(4))

    def tag_100(self) -> Model:
        return self.name(self.number(2), "latin-1")

    def tag_115(self) -> Model:
        return self.name(self.number(1), "latin-1")

    def tag_118(self) -> Model:
        return self.name(self.number(2), "utf-8")

    def tag_119(self) -> Model:
        return self.name(self.number(1), "utf-8")

    def tag_104(self) -> Model:
        return ("tuple", self.many(self.number(1)))

    def tag_105(self) -> Model:
        return ("tuple", self.many(self.number(4)))

    def tag_106(self) -> Model:
        return ("list", ())

    def tag_107(self) -> Model:
        return ("list", tuple(("int", byte) for byte in self.take(self.number(2))))

    def tag_108(self) -> Model:
        elements = self.many(self.number(4))
        tail = self.term()
        if not elements:
            return tail
        if tail[0] == "list":
            return ("list", elements + tail[1])
        if tail[0] == "improper":
            return ("improper", elements + tail[1], tail[2])
        return ("improper", elements, tail)

    def tag_109(self) -> Model:
        return ("bin", self.take(self.number(4)))

    def tag_116(self) -> Model:
        count = self.number(4)
        if 2 * count > len(self.data) - self.at:
            raise Malformed("short")
        pairs = tuple((self.term(), self.term()) for _ in range(count))
        if len({identity(key) for key, _ in pairs}) != count:
            raise Malformed("duplicate")
        return ("map", pairs)

    def tag_88(self) -> Model:
        return ("pid", self.node(), self.number(4), self.number(4), self.number(4))

    def tag_103(self) -> Model:
        return ("pid", self.node(), self.number(4), self.number(4), self.number(1))

    def tag_120(self) -> Model:
        return ("port", self.node(), self.number(8), self.number(4))

    def tag_89(self) -> Model:
        return ("port", self.node(), self.number(4), self.number(4))

    def tag_102(self) -> Model:
        return ("port", self.node(), self.number(4), self.number(1))

    def ref(self, creation_size: int) -> Model:
        count = self.number(2)
        if not 1 <= count <= 5:
            raise Malformed("words")
        node, creation = self.node(), self.number(creation_size)
        return ("ref", node, creation, tuple(self.number(4) for _ in range(count)))

    def tag_90(self) -> Model:
        return self.ref(4)

    def tag_114(self) -> Model:
        return self.ref(1)

    def tag_101(self) -> Model:
        node, word = self.node(), self.number(4)
        return ("ref", node, self.number(1), (word,))

    def tag_113(self) -> Model:
        module, function = self.want("atom")[1], self.want("atom")[1]
        if self.number(1) != 97:
            raise Malformed("arity")
        return ("export", module, function, self.number(1))

    def tag_112(self) -> Model:
        begin = self.at
        size, arity, uniq, index, free = (
            self.number(4),
            self.number(1),
            self.take(16),
            self.number(4),
            self.number(4),
        )
        module = self.want("atom")[1]
        old_index, old_uniq = self.want("int")[1], self.want("int")[1]
        pid = self.want("pid")
        values = self.many(free)
        if self.at - begin != size:
            raise Malformed("fun size")
        return ("fun", module, arity, uniq, index, old_index, old_uniq, pid, values)


def decode(data: bytes) -> Model:
    """The model of one encoded term, version byte included."""
    if data[:1] != b"\x83" or len(data) < 2:
        raise Malformed("version")
    body = data[1:]
    if body[0] == 80:
        engine = zlib.decompressobj()
        try:
            plain = engine.decompress(body[5:], 1 << 20)
        except zlib.error:
            raise Malformed("zlib") from None
        if len(plain) != int.from_bytes(body[1:5], "big") or not engine.eof or engine.unused_data:
            raise Malformed("zlib")
        body = plain
    reader = Reader(body)
    model = reader.term()
    if reader.at != len(body):
        raise Malformed("bytes left")
    return model


def identity(model: Model) -> Any:
    """Equal for the same terms in Erlang: strings are binaries, maps have no order, a fun's maker does not count."""
    kind = model[0]
    if kind == "str":
        return ("bin", model[1])
    if kind in ("tuple", "list"):
        return (kind, tuple(map(identity, model[1])))
    if kind == "improper":
        return (kind, tuple(map(identity, model[1])), identity(model[2]))
    if kind == "map":
        return (kind, frozenset((identity(key), identity(value)) for key, value in model[1]))
    if kind == "fun":
        # The entry that a fun refers to is found by its module, the digest of that and its index; the rest follows from them.
        return (kind, model[1], model[3], model[4], tuple(map(identity, model[8])))
    return model


def strict(model: Model) -> Any:
    """Equal for models that differ in nothing but the order of maps."""
    kind = model[0]
    if kind in ("tuple", "list"):
        return (kind, tuple(map(strict, model[1])))
    if kind == "improper":
        return (kind, tuple(map(strict, model[1])), strict(model[2]))
    if kind == "map":
        return (kind, frozenset((strict(key), strict(value)) for key, value in model[1]))
    if kind == "fun":
        return (*model[:8], tuple(map(strict, model[8])))
    return model


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _name(text: str) -> bytes:
    data = text.encode()
    return b"w" + _u(len(data), 1) + data if len(data) < 256 else b"v" + _u(len(data), 2) + data


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"a" + _u(value, 1)
    if -(2**31) <= value < 2**31:
        return b"b" + value.to_bytes(4, "big", signed=True)
    size = (abs(value).bit_length() + 7) // 8
    head = b"n" + _u(size, 1) if size < 256 else b"o" + _u(size, 4)
    return head + (b"\1" if value < 0 else b"\0") + abs(value).to_bytes(size, "little")


def write(model: Model) -> bytes:
    """The bytes of a model, without the version byte, in the spelling that Erlang itself prefers."""
    match model:
        case ("int", value):
            return _integer(value)
        case ("float", data):
            return b"F" + bytes(data)
        case ("atom", text):
            return _name(text)
        case ("bin", data):
            return b"m" + _u(len(data), 4) + bytes(data)
        case ("str", data):
            return b"M" + _u(len(data), 4) + (b"\x08" if data else b"\0") + bytes(data)
        case ("bits", data, bits):
            return b"M" + _u(len(data), 4) + _u(bits, 1) + bytes(data)
        case ("tuple", items):
            head = b"h" + _u(len(items), 1) if len(items) < 256 else b"i" + _u(len(items), 4)
            return head + b"".join(map(write, items))
        case ("list", ()):
            return b"j"
        case ("list", items):
            if len(items) < 65536 and all(item[0] == "int" and 0 <= item[1] < 256 for item in items):
                return b"k" + _u(len(items), 2) + bytes(item[1] for item in items)
            return b"l" + _u(len(items), 4) + b"".join(map(write, items)) + b"j"
        case ("improper", items, tail):
            return b"l" + _u(len(items), 4) + b"".join(map(write, items)) + write(tail)
        case ("map", pairs):
            return b"t" + _u(len(pairs), 4) + b"".join(write(key) + write(value) for key, value in pairs)
        case ("pid", node, id, serial, creation):
            return b"X" + _name(node) + _u(id, 4) + _u(serial, 4) + _u(creation, 4)
        case ("port", node, id, creation):
            wide = id >= 2**32
            return (b"x" if wide else b"Y") + _name(node) + _u(id, 8 if wide else 4) + _u(creation, 4)
        case ("ref", node, creation, words):
            return b"Z" + _u(len(words), 2) + _name(node) + _u(creation, 4) + b"".join(_u(word, 4) for word in words)
        case ("export", module, function, arity):
            return b"q" + _name(module) + _name(function) + b"a" + _u(arity, 1)
        case ("fun", module, arity, uniq, index, old_index, old_uniq, pid, free):
            body = _u(arity, 1) + bytes(uniq) + _u(index, 4) + _u(len(free), 4) + _name(module)
            body += _integer(old_index) + _integer(old_uniq) + write(pid) + b"".join(map(write, free))
            return b"p" + _u(len(body) + 4, 4) + body
    raise AssertionError(f"no such model: {model!r}")


def encode(model: Model) -> bytes:
    """The bytes of a model, version byte included."""
    return b"\x83" + write(model)


def model_of(term: Any) -> Model:
    """The model of a beamish term."""
    match term:
        case None:
            return ("atom", "nil")
        case bool():
            return ("atom", "true" if term else "false")
        case Atom():
            return ("atom", term.text)
        case int():
            return ("int", int(term))
        case float():
            return ("float", struct.pack(">d", term))
        case bytes():
            return ("bin", term)
        case Charlist():
            return ("list", tuple(("int", ord(character)) for character in term))
        case str():
            return ("str", term.encode())
        case BitString():
            return ("bits", term.data, term.bits)
        case tuple():
            return ("tuple", tuple(map(model_of, term)))
        case list():
            return ("list", tuple(map(model_of, term)))
        case ImproperList():
            return ("improper", tuple(map(model_of, term.elements)), model_of(term.tail))
        case dict() | TermMap():
            return ("map", tuple((model_of(key), model_of(value)) for key, value in term.items()))
        case Pid():
            return ("pid", term.node.text, term.id, term.serial, term.creation)
        case Port():
            return ("port", term.node.text, term.id, term.creation)
        case Ref():
            return ("ref", term.node.text, term.creation, term.words)
        case ExportFun():
            return ("export", model_of(term.module)[1], model_of(term.function)[1], term.arity)
        case Fun():
            pid = model_of(term.pid)
            free = tuple(map(model_of, term.free))
            module = model_of(term.module)[1]
            return ("fun", module, term.arity, term.uniq, term.index, term.old_index, term.old_uniq, pid, free)
    to_map = to_map_of(type(term))
    assert to_map is not None, f"not a term: {term!r}"
    return model_of(to_map(term))
