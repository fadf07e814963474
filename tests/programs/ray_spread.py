"""Square numbers in the tasks of a Ray cluster, while the process of one task is killed once.

Usage: ray_spread.py ADDRESS MARKER. The program prints the squares, and the maximum number of items
that were taken ahead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from convogen.engine.distributed.ray_connection import RayCluster
from convogen.engine.distributed.ray_spread import RaySpread


def squared(number: int, marker: str) -> int:
    if number == 3 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def main() -> None:
    address, marker = sys.argv[1:]
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        while taken < 12:
            taken += 1
            yield taken

    squares: list[int] = []
    held = 0
    with RayCluster(address, 2) as cluster:
        for square in RaySpread(cluster)(numbers(), partial(squared, marker=marker)):
            squares.append(square)
            held = max(held, taken - len(squares))
    print(json.dumps([squares, held]))


if __name__ == "__main__":
    main()
