"""A run whose gates reject most of its conversations, for tests that kill it.

Usage: gated_run.py FOLDER N CONCURRENCY ASKED [KILL_AFTER]; see scripted_run.py.
"""

from __future__ import annotations

import random
import sys

from scripted_run import SlowModel

from convogen import Experiment, run
from convogen.models.backends.scripted import improvise
from convogen.models.base import Request

STARTS = ("The bridge is closed again", "Somebody fed the neighbour's parrot chilli")


def script(request: Request) -> str:
    """Return a reply; some replies are unsafe, lack a verdict, or copy another conversation."""
    rng = random.Random(request.hash)
    if request.role == "guard":
        return rng.choice(["safe"] * 18 + ["unsafe\nS1", "hm"])
    if request.role == "agent" and rng.random() < 0.3:
        return rng.choice(STARTS) + ", as it was on Monday and on every other day of that week."
    return improvise(request)


def main() -> None:
    folder, n, concurrency, asked, *rest = sys.argv[1:]
    overrides = {
        "n": int(n),
        "models": "scripted",
        "concurrency": int(concurrency),
        "lanes": 4,
        "participants": 2,
        "max_turns": 2,
        "gates": [
            {"gate": "rule", "rule": "gate_rules:most"},
            {"gate": "near_duplicate", "threshold": 0.85},
            "guard",
        ],
    }
    model = SlowModel(asked, int(rest[0]) if rest else -1, script)
    run(Experiment.load("GPIS-s", overrides), folder, open_model=lambda _: model)


if __name__ == "__main__":
    main()
