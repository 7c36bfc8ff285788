"""How much one term, or one peer, may cost us. Every limit of the codec has its name here."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the codec. Sizes are bytes.

    size: of one encoded term, without compression;
    compressed_size: what a compressed term may grow to when it is unpacked;
    depth: containers inside containers, both ways (each level costs C stack: about 200 bytes);
    atoms: how many atoms may exist in this interpreter when a term from outside asks for a new one
    (the size of BEAM's atom table);
    integer_size: of the magnitude of one integer;
    arity: elements of one tuple (ERTS allows no more).
    """

    size: int = 256 * MIB
    compressed_size: int = 64 * MIB
    depth: int = 2_000
    atoms: int = 1_048_576
    integer_size: int = 1 * MIB
    arity: int = 16_777_215

    def __post_init__(self) -> None:
        for name, highest in (("size", 1 << 40), ("compressed_size", 1 << 32), ("depth", 10_000), ("arity", 1 << 32)):
            value = getattr(self, name)
            if not 1 <= value <= highest:
                raise ValueError(f"Limits.{name} is 1 to {highest}, not {value}")


DEFAULT = Limits()
