"""A judge with the scripted model and random delays, for tests that kill it.

Usage: scripted_judge.py FOLDER CONCURRENCY ASKED [KILL_AFTER]; see scripted_run.py.
"""

from __future__ import annotations

import random
import sys
from math import log

from scripted_run import SlowModel

from convogen.engine.judge_runner import judge_run
from convogen.judges.geval import GEval
from convogen.models.backends.scripted import improvise
from convogen.models.base import Request, TokenLogprob
from convogen.models.spec import ModelSpec


def script(request: Request) -> str | list[TokenLogprob]:
    """Return scores with probabilities that depend on the request; some replies have no score."""
    if not request.choices:
        return improvise(request)
    rng = random.Random(request.hash)
    if rng.random() < 0.3:
        return "I would rather not say."
    weights = [rng.random() for _ in range(5)]
    top = tuple((f"{k}", log(w / sum(weights))) for k, w in enumerate(weights, 1))
    return [TokenLogprob(*max(top, key=lambda pair: pair[1]), top)]


def main() -> None:
    folder, concurrency, asked, *rest = sys.argv[1:]
    model = SlowModel(asked, int(rest[0]) if rest else -1, script)
    judge = GEval()
    spec = ModelSpec(name="scripted")
    judge_run(folder, judge, spec, concurrency=int(concurrency), open_model=lambda _: model)


if __name__ == "__main__":
    main()
