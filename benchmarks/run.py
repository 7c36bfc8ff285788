"""Run the benchmarks beside their peers, print the table, write build/bench.json.

    python benchmarks/run.py [--only TEXT] [--quick] [--output FILE]

Each module named in MODULES has `rows(...)` that returns rows: `harness.Row`, or dictionaries with the same keys.
`rows` may take `quick: bool` (fewer and shorter runs) and `only: str | None` (just the rows whose name contains it).
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import ROOT, BenchError, Row, target_met

MODULES = ["local", "codec", "cluster", "startup", "otp", "fairness"]
OUTPUT = ROOT / "build" / "bench.json"
KEYS = ["name", "unit", "ours", "peer", "peer_name", "ratio", "target", "better", "met", "note"]
HEADINGS = ["", "unit", "ours", "peer", "", "ratio", "target", ""]


def load(name: str) -> ModuleType:
    """The benchmark of that name beside this file, whatever else on the path is called so. Raises ImportError."""
    path = Path(__file__).resolve().with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ImportError(f"there is no {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def main(argv: Sequence[str] | None = None) -> int:
    """0 when everything asked for ran; 1 when a module could not; 2 when `--only` matches nothing."""
    parser = argparse.ArgumentParser(description="Run beamish's benchmarks beside Erlang's.")
    parser.add_argument(
        "--only", metavar="TEXT", help="a module (local, codec, cluster, startup, otp, fairness) or part of a row's name"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs; for a first look, not for claims")
    parser.add_argument("--output", metavar="FILE", type=Path, default=OUTPUT, help="default: build/bench.json")
    options = parser.parse_args(argv)
    module_names = [options.only] if options.only in MODULES else MODULES
    only = None if options.only in MODULES else options.only
    entries: list[dict[str, Any]] = []
    failed = False
    for name in module_names:
        try:
            measured = call_rows(load(name).rows, quick=options.quick, only=only)
        except (BenchError, ImportError) as error:
            failed = True
            print(f"{name}: cannot run: {error}", file=sys.stderr, flush=True)
            continue
        entries += [entry for entry in map(normalise, measured) if only is None or only in entry["name"]]
    if not entries and not failed:
        print(f"--only {only}: no row of {', '.join(module_names)} has that in its name", file=sys.stderr)
        return 2
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(entries, indent=1) + "\n")
    print(table(entries))
    print(f"\nwritten to {options.output}")
    return 1 if failed else 0


def call_rows(rows: Any, quick: bool, only: str | None) -> list[Any]:
    """Call a module's `rows` with those of our two arguments that it takes."""
    offered = {"quick": quick, "only": only}
    taken = inspect.signature(rows).parameters
    return list(rows(**{key: value for key, value in offered.items() if key in taken}))


def normalise(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    """One entry of build/bench.json: all of KEYS, what is missing worked out from the rest."""
    if isinstance(row, Row):
        return row.as_json()
    entry = {key: row.get(key) for key in KEYS}
    if entry["ratio"] is None and entry["ours"] is not None and entry["peer"]:
        entry["ratio"] = entry["ours"] / entry["peer"]
    if entry["better"] is None:
        entry["better"] = "lower" if isinstance(entry["target"], str) else "higher"
    if entry["met"] is None:
        entry["met"] = target_met(entry["target"], entry["ours"], entry["ratio"])
    return entry


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The entries as aligned text, notes below."""
    lines = [HEADINGS, *([*map(str, cells(entry))] for entry in entries)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    right = {2, 3, 5}
    text = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * max(map(len, text)))
    notes = [f"  {entry['name']}: {entry['note']}" for entry in entries if entry["note"]]
    return "\n".join([*text, *(["", "in the same run:", *notes] if notes else [])])


def cells(entry: Mapping[str, Any]) -> list[str]:
    """One entry's cells, in the order of HEADINGS."""
    verdict = {True: "met", False: "NOT MET", None: ""}[entry["met"]]
    target = entry["target"]
    return [
        entry["name"],
        entry["unit"],
        figure(entry["ours"]),
        figure(entry["peer"]),
        entry["peer_name"] or "",
        "-" if entry["ratio"] is None else f"{entry['ratio']:.2f}",
        "" if target is None else target if isinstance(target, str) else f">= {target:g}",
        verdict,
    ]


def figure(value: float | None) -> str:
    """A number with about three telling digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
