"""pykka, an actor a thread, for orientation. Speaks the lines of harness.Child; knows "call COUNT"."""

from __future__ import annotations

import sys
import time

import pykka


class Counter(pykka.ThreadingActor):
    """One integer."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def increment(self, by: int) -> int:
        """Add, and answer the sum."""
        self.count += by
        return self.count


def main() -> None:
    """Answer lines until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        _, count = line.split()
        ref = Counter.start()
        proxy = ref.proxy()
        start = time.perf_counter()
        for _ in range(int(count)):
            proxy.increment(1).get()
        print(int(count) / (time.perf_counter() - start), flush=True)
        ref.stop()


if __name__ == "__main__":
    main()
