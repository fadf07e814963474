"""A run that matches people's features, by a model with its own habits, for tests that kill it.

Usage: steered_run.py FOLDER N CONCURRENCY ASKED [KILL_AFTER]; see scripted_run.py.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

from convogen import Experiment, run
from convogen.models.backends.scripted import WORDS, improvise
from convogen.models.base import Request

FEATURES = ("question_turns", "lower_case_starts", "commas")
OBEYS = 0.75
"""Probability that the model follows an instruction about a turn, independently for each
feature."""


def people(path: Path, n: int = 120) -> Path:
    """Write conversations between people, each with different habits."""
    rng = random.Random(5)
    rows: list[dict[str, object]] = []
    for nth in range(n):
        asks, lower, commas = rng.choice((0, 0.2, 0.4)), rng.random() < 0.5, rng.choice((0, 0.3))
        turns = [
            {
                "speaker": "AB"[at % 2],
                "text": _said(
                    rng, rng.random() < asks, lower, rng.random() < commas, rng.randint(6, 9)
                ),
            }
            for at in range(8)
        ]
        rows.append({"id": f"h{nth}", "turns": turns})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def _said(rng: random.Random, asks: bool, lower: bool, comma: bool, words: int) -> str:
    said = rng.choices(WORDS, k=words)
    said[1] += "," if comma else ""
    text = " ".join(said)
    return (text if lower else text.capitalize()) + ("?" if asks else ".")


def script(request: Request) -> str:
    """Ask often, capitalize and use commas; follow instructions with the probability `OBEYS`."""
    if request.role not in ("agent", "generator"):
        return improvise(request)
    rng = random.Random(request.hash)
    asked = request.messages[-1].content
    if request.role == "generator":
        experience = json.loads(improvise(request))
        experience["starter"]["text"] = _told(rng, asked.partition("In the text of")[2])
        return json.dumps(experience)
    return _told(rng, asked)


def _told(rng: random.Random, asked: str) -> str:
    """Return a turn that partly follows the instructions in `asked`."""

    def does(told: str, told_not: str, habit: float) -> bool:
        own = rng.random() < habit
        if rng.random() < OBEYS:
            return (told in asked) or (own and told_not not in asked)
        return own

    words = int(found[-1]) if (found := re.findall(r"about (\d+) word", asked)) else 8
    return _said(
        rng,
        does("end with a question", "do not ask", 0.8),
        does("in lower case", "with a capital", 0.02),
        does("at least one comma", "no commas", 0.9),
        max(3, words),
    )


def experiment(corpus: Path, n: int, **keys: object) -> Experiment:
    """Return the experiment, matched in `FEATURES` unless `keys` specify other features."""
    overrides = {
        "n": n,
        "models": "scripted",
        "iterative": False,
        "near_copy": 1.0,
        "personas": "generated",
        "participants": 2,
        "match": str(corpus),
        "match_features": list(FEATURES),
    }
    return Experiment.load("demo", overrides={**overrides, **keys})


def main() -> None:
    from scripted_run import SlowModel

    folder, n, concurrency, asked, *rest = sys.argv[1:]
    corpus = people(Path(folder).with_name("people.jsonl"))
    model = SlowModel(asked, int(rest[0]) if rest else -1, script)
    matched = experiment(corpus, int(n), concurrency=int(concurrency))
    run(matched, folder, open_model=lambda _: model)


if __name__ == "__main__":
    main()
