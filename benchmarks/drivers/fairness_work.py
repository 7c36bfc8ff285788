"""What the drivers of benchmarks/fairness.py share: work in pure Python, and figures of the times taken.

A module of its own, so that a worker process can import the work by its name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence


def grind(units: int) -> int:
    """A fixed amount of work in pure Python, about 50 microseconds a unit."""
    total = 0
    for _ in range(units):
        for i in range(1000):
            total += i * i % 7
    return total


def compute(seconds: float) -> int:
    """Work in pure Python for so long; the units done."""
    end = time.perf_counter() + seconds
    units = 0
    while time.perf_counter() < end:
        grind(1)
        units += 1
    return units


def figures(taken: Sequence[int], units: int) -> str:
    """The line that answers: median, 99th percentile and maximum of the nanoseconds taken, in milliseconds; how many there
    are; and the units of work that the hog did meanwhile."""
    ordered = sorted(taken)
    ranks = (len(ordered) // 2, min(len(ordered) * 99 // 100, len(ordered) - 1), -1)
    return " ".join([*(f"{ordered[rank] / 1e6:.6f}" for rank in ranks), str(len(ordered)), str(units)])
