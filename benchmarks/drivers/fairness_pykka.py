"""pykka, an actor a thread, whose neighbour computes. Speaks the lines of harness.Child.

    echo PACE HOG SECONDS    as drivers/fairness_node.py; HOG: none, python
"""

from __future__ import annotations

import sys
import time
from typing import Any

import pykka
from fairness_work import compute, figures


class Echo(pykka.ThreadingActor):
    """Answers with the question."""

    def on_receive(self, message: Any) -> Any:
        return message


class Hog(pykka.ThreadingActor):
    """Computes."""

    def on_receive(self, message: Any) -> int:
        kind, seconds = message
        if kind == "python":
            return compute(seconds)
        if kind != "none":
            raise ValueError(f"no hog is called {kind}; known: none, python")
        time.sleep(seconds)
        return 0


class Asker(pykka.ThreadingActor):
    """Asks from the moment the hog has been started until it is over."""

    def on_receive(self, message: Any) -> str:
        pace, kind, seconds = message
        echo, hog = Echo.start(), Hog.start()
        over = hog.ask((kind, seconds), block=False)
        taken = []
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            start = time.perf_counter_ns()
            echo.ask(start)
            taken.append(time.perf_counter_ns() - start)
            if pace:
                time.sleep(pace / 1000)
        units = over.get()
        echo.stop()
        hog.stop()
        return figures(taken, units)


def main() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        _, pace, kind, seconds = line.split()
        asker = Asker.start()
        print(asker.ask((float(pace), kind, float(seconds))), flush=True)
        asker.stop()


if __name__ == "__main__":
    main()
