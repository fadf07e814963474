"""The quality of the demo's conversations over seeds: `python -m benchmarks.demo [SEED…]`.

The benchmark runs `demo` with the embedded model once per seed. It prints the share of turns of six
words or more that repeat four consecutive words of an earlier turn, the mean length of a turn, and
the share of first candidates in which the turn checks find a fault. Shares have 95% bootstrap
intervals over conversations. With `--without-adapter`, the base model answers the same requests.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality import repeated_turns
from convogen import Conversation, Experiment, Run, run
from convogen.reports.intervals import ratio_interval

__all__ = ["main"]


def repeating(conversation: Conversation) -> tuple[int, int]:
    """Return how many turns of six words or more repeat an earlier turn, and how many there are."""
    turns = list(repeated_turns([turn.text for turn in conversation.turns]))
    return sum(repeats for _, repeats in turns), sum(long for long, _ in turns)


def interval(pairs: Sequence[tuple[int, int]]) -> str:
    """Return the ratio of two sums as text, with a 95% interval over the summed pairs."""
    found = ratio_interval(*zip(*pairs, strict=True)) if pairs else None
    if found is None:
        return "–"
    if found.low is None or found.high is None or found.low == found.high:
        return f"{found.value:.1%}"
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def measured(runs: Sequence[Run]) -> str:
    """Return the measures over all runs as one line of text."""
    conversations = [one for made in runs for one in made.conversations()]
    turns = [turn for one in conversations for turn in one.turns[1:]]
    words = [(sum(len(t.text.split()) for t in one.turns), len(one.turns)) for one in conversations]
    first = [
        (
            sum(bool((t.candidates or t.reasks or [""])[0]) for t in one.turns[1:]),
            len(one.turns) - 1,
        )
        for one in conversations
    ]
    mean = sum(n for n, _ in words) / max(sum(n for _, n in words), 1)
    return (
        f"{len(conversations)} conversations, {len(turns)} turns after the first; "
        f"repeat four words: {interval([repeating(one) for one in conversations])}; "
        f"{mean:.1f} words per turn; first candidates with a fault: {interval(first)}"
    )


def main() -> None:
    """Run the demo with each seed and print the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--without-adapter", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="convogen-demo-"))
    runs: list[Run] = []
    for seed in given.seeds:
        keys: dict[str, object] = {"seed": seed}
        if given.without_adapter:
            for role in ("agent", "generator"):
                bare = dict(Experiment.load("demo").sampling(role).extra or {})
                bare.pop("adapter", None)
                keys[f"sampling.{role}.extra"] = bare
        began = time.monotonic()
        runs.append(run(Experiment.load("demo", keys), folder / f"seed-{seed}"))
        print(f"seed {seed}: {time.monotonic() - began:.0f} s; {measured(runs[-1:])}", flush=True)
    print(f"all: {measured(runs)}; in {folder}")


if __name__ == "__main__":
    main()
