"""The codec: a small rpc tuple and ten thousand maps, both ways, beside Erlang's, pickle's and erlpack's.

    python benchmarks/codec.py [--quick]

Each rate is the median of runs that alternate with the peer's on the same term.
"""

from __future__ import annotations

import argparse
import pickle
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from harness import BUILD, BenchError, Child, Row, erl, interleaved

from beamish.etf import decode, encode
from beamish.term import Atom, Pid, Ref, atom

MAPS = 10_000


def rpc_tuple() -> tuple[Any, ...]:
    """What GenServer.call sends for an rpc: atoms, integers, binaries, a pid and a reference; about 160 bytes."""
    pid = Pid(atom("platform@localhost"), 121, 0, 1_700_000_000)
    ref = Ref(pid.node, pid.creation, (213_071, 1_234_567_890, 987_654_321))
    return (atom("$gen_call"), (pid, ref), (atom.call, atom.erlang, atom.node, [b"hello world", 1, 2, 300], pid))


def mixed_maps() -> list[dict[Any, Any]]:
    """Ten thousand small maps: atom and binary keys; integers, floats, binaries, booleans and lists."""
    source = random.Random(1)
    return [
        {
            atom.id: number,
            atom.name: b"user-%d" % number,
            b"email": b"user%d@example.com" % number,
            atom.score: source.random() * 100,
            atom.age: source.randrange(100),
            atom.tags: [b"t%d" % (number % 7), b"beta"],
            b"points": [source.randrange(1000) for _ in range(4)],
            atom.active: number % 2 == 0,
            b"total": number * 1_000_003,
        }
        for number in range(MAPS)
    ]


@dataclass(frozen=True)
class Bench:
    """work: called `count` times in one run; each call handles `size` terms. peer: gives the peer's rate for that."""

    name: str
    unit: str
    work: Callable[[Any], Any]
    term: Any
    count: int
    size: int
    peer: Callable[[int], float] | None
    peer_name: str = ""
    target: float | None = None
    note: str = ""


def rate(work: Callable[[Any], Any], term: Any, count: int) -> float:
    """Calls per second."""
    calls = range(count)
    start = time.perf_counter()
    for _ in calls:
        work(term)
    return count / (time.perf_counter() - start)


def erlpack_decoder() -> Callable[[bytes], Any] | None:
    """erlpack's `unpack`, if it is installed."""
    try:
        import erlpack
    except ImportError:
        return None
    return erlpack.unpack  # type: ignore[no-any-return]


def benches(stack: ExitStack) -> list[Bench]:
    """All of them; starts Erlang if it is there."""
    call, maps = rpc_tuple(), mixed_maps()
    call_bytes, maps_bytes, maps_pickle = encode(call), encode(maps), pickle.dumps(maps, 5)
    if decode(call_bytes) != call or decode(maps_bytes) != maps:
        raise BenchError("what was decoded is not what was encoded: run the tests first")
    erlang = start_erlang(stack, {"rpc": call_bytes, "maps": maps_bytes})
    plain = encode([{in_binary(name): value for name, value in one.items()} for one in maps])
    unpack = erlpack_decoder()

    def ask(bench: str, name: str) -> Callable[[int], float] | None:
        return partial(erlang.ask, bench, name) if erlang is not None else None

    def other(work: Callable[[Any], Any], term: Any) -> Callable[[int], float]:
        return lambda count: rate(work, term, count)

    dumps = partial(pickle.dumps, protocol=5)
    encode_maps = partial(Bench, unit="maps/s", work=encode, term=maps, count=8, size=MAPS)
    decode_maps = partial(Bench, unit="maps/s", work=decode, term=maps_bytes, count=5, size=MAPS)
    return [
        Bench(
            "encode a small rpc tuple", "terms/s", encode, call, 100_000, 1, ask("encode", "rpc"), "Erlang", 0.7,
            f"{len(call_bytes)} bytes",
        ),
        Bench(
            "decode a small rpc tuple", "terms/s", decode, call_bytes, 60_000, 1, ask("decode", "rpc"), "Erlang", 0.7
        ),
        encode_maps("encode 10,000 mixed maps", peer=other(dumps, maps), peer_name="pickle protocol 5", target=1.0),
        decode_maps(
            "decode 10,000 mixed maps", peer=other(pickle.loads, maps_pickle), peer_name="pickle protocol 5", target=1.0
        ),
        encode_maps("encode 10,000 mixed maps, beside Erlang", peer=ask("encode", "maps"), peer_name="Erlang"),
        decode_maps("decode 10,000 mixed maps, beside Erlang", peer=ask("decode", "maps"), peer_name="Erlang"),
        replace(
            decode_maps("decode 10,000 maps of binaries", peer=other(unpack, plain) if unpack else None, target=5.0),
            term=plain,
            peer_name="erlpack",
            note="" if unpack else "erlpack is not installed: pip install erlpack",
        ),
    ]  # fmt: skip


def in_binary(name: Any) -> Any:
    """A key as erlpack knows keys."""
    return name.text.encode() if isinstance(name, Atom) else name


def start_erlang(stack: ExitStack, terms: dict[str, bytes]) -> Child | None:
    """An Erlang that has these terms; None where there is no Erlang."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, data in terms.items():
        (BUILD / f"{name}.etf").write_bytes(data)
    try:
        argv = erl("bench_codec", "main")
    except BenchError:
        return None
    return stack.enter_context(Child("Erlang", argv, {"CODEC_TERMS": str(BUILD)}))


def measure(bench: Bench, runs: int) -> Row:
    """One row; without a peer only our side of it."""

    def ours() -> float:
        return rate(bench.work, bench.term, bench.count) * bench.size

    peer = bench.peer
    if peer is None:
        [mine], theirs = interleaved(runs, ours), None
    else:
        mine, theirs = interleaved(runs, ours, lambda: peer(bench.count) * bench.size)
    return Row(bench.name, bench.unit, mine, theirs, bench.peer_name, bench.target, note=bench.note)


def rows(quick: bool = False, only: str | None = None) -> list[Row]:
    """Measure everything whose name contains `only`."""
    with ExitStack() as stack:
        chosen = [bench for bench in benches(stack) if only is None or only in bench.name]
        if quick:
            chosen = [replace(bench, count=max(1, bench.count // 4)) for bench in chosen]
        return [measure(bench, 3 if quick else 11) for bench in chosen]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of this file alone."""
    from run import normalise, table

    parser = argparse.ArgumentParser(description="beamish's codec beside Erlang's, pickle's and erlpack's.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    options = parser.parse_args(argv)
    print(table([normalise(row) for row in rows(options.quick)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
