"""Model calls under load: processor time, waiting, the prompt cache, and the embedded model.

    python -m benchmarks.traffic [--only processor waiting busy cache embedded] [--json FILE]

Every figure is printed next to its limit or a peer measured in the same run. The client and the
test endpoint run on separate cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.local import cached_prefix, embedded_rate
from benchmarks.processor import processor_time
from benchmarks.waiting import chats_in_time, endpoint_kept_busy

Section = Callable[[int, tuple[int, int]], list[Figure]]
SECTIONS: dict[str, tuple[Section, int]] = {
    "processor": (processor_time, 5),
    "waiting": (chats_in_time, 5),
    "busy": (endpoint_kept_busy, 1),
    "cache": (lambda _, __: cached_prefix(), 1),
    "embedded": (lambda rounds, _: embedded_rate(rounds), 1),
}
"""The sections, with the number of rounds of each; the figures are medians."""


def main() -> None:
    """Measure, print the table, and write JSON if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, help="number of rounds of each section")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    there = sorted(os.sched_getaffinity(0))
    cores = there[0], there[-1]
    figures: list[Figure] = []
    for name in arguments.only:
        section, rounds = SECTIONS[name]
        found = section(arguments.rounds or rounds, cores)
        print(table(found, heading=not figures), flush=True)
        figures += found
    if arguments.json:
        machine = {"python": platform.python_version(), "cores": len(there)}
        rows = [{**asdict(figure), "holds": figure.holds} for figure in figures]
        text = json.dumps({"machine": machine, "figures": rows}, indent=2)
        arguments.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
