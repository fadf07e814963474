"""Agreement of the friction judge, and of the rules, with manual labels.

`python -m benchmarks.friction_judge MODEL [--base-url URL]` lets the judge label the conversations
in `tests/data/interaction` that were not used to tune the rules, and prints Cohen's kappa for each
behaviour. The manual labels do not include sarcasm and misinterpretation.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from convogen.engine.judge_runner import judge_run
from convogen.inputs.yaml12 import read_yaml
from convogen.interaction.analysis import analyse
from convogen.interaction.patterns import BEHAVIOURS, behaviour_term
from convogen.judges.friction import FrictionJudge
from convogen.judges.reference_dialogues import CorpusFolder
from convogen.metrics.agreement import cohen_kappa
from convogen.models.spec import ModelSpec

DATA = Path(__file__).parents[1] / "tests" / "data" / "interaction"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model name, as for convogen --model")
    parser.add_argument("--base-url", help="base URL of an OpenAI-compatible endpoint")
    parser.add_argument("--labels", choices=["held_out", "tuning"], default="held_out")
    given = parser.parse_args()
    conversations: list[dict[str, Any]] = read_yaml(DATA / f"{given.labels}.yaml")
    spec = ModelSpec(name=given.model, base_url=given.base_url)
    with tempfile.TemporaryDirectory() as folder:
        judged = list(_judged(conversations, Path(folder), spec))
    labels = [set(turn.get("does", [])) for one in conversations for turn in one["turns"]]
    rules = [turn for one in conversations for turn in _by_rules(one)]
    there = [at for at, turn in enumerate(judged) if turn is not None]
    print(f"{len(there)} of {len(labels)} turns labelled by {given.model}")
    print(f"{'behaviour':<28}{'manual':>8}{'rules':>8}{'judge':>8}   kappa with the manual labels")
    pooled: list[list[int]] = [[], [], []]
    for name in BEHAVIOURS:
        held = [[int(name in (of[at] or ())) for at in there] for of in (labels, rules, judged)]
        for whole, part in zip(pooled, held, strict=True):
            whole += part
        _print(behaviour_term(name), held)
    _print("all behaviours", pooled)


def _judged(
    conversations: Sequence[dict[str, Any]], folder: Path, spec: ModelSpec
) -> Iterator[Sequence[str] | None]:
    """Yield the judge's labels of each turn; None for a turn without labels."""
    path = folder / "labelled.jsonl"
    rows = (
        {
            "id": one["id"],
            "turns": [{"speaker": turn["by"], "text": turn["text"]} for turn in one["turns"]],
        }
        for one in conversations
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run = CorpusFolder(str(path), folder)
    judge_run(run, FrictionJudge(), spec)
    for one, score in zip(conversations, run.scores(FrictionJudge.name), strict=True):
        yield from score.turn_labels or [None] * len(one["turns"])


def _by_rules(one: dict[str, Any]) -> Sequence[frozenset[str]]:
    speakers, texts = [turn["by"] for turn in one["turns"]], [turn["text"] for turn in one["turns"]]
    found = analyse(speakers, texts, language="en").behaviours
    assert found is not None
    return found


def _print(name: str, held: Sequence[Sequence[int]]) -> None:
    hand, rules, judge = (np.array(one, int) for one in held)
    kappas = (float(cohen_kappa(hand, other)) for other in (rules, judge))
    shown = "".join(f"{'-' if isnan(one) else f'{one:.2f}':>8}" for one in kappas)
    print(f"{name:<28}{hand.sum():>8}{rules.sum():>8}{judge.sum():>8}   {shown}")


if __name__ == "__main__":
    main()
