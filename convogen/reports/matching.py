"""Deviation of runs from the requested turn lengths, and the corpora that runs are matched to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.storage.run_folder import Run
from convogen.text.budgets import about_words
from convogen.text.identify import language_of
from convogen.text.utterances import length_fault

__all__ = ["Matching", "matched_corpora", "matching"]


def matched_corpora(runs: Iterable[Run]) -> list[str]:
    """Return the corpora that runs were matched to, if they can still be read."""
    found: list[str] = []
    for run in runs:
        try:
            source = read_mapping(run.folder / "experiment.yaml").get("match")
            if isinstance(source, str) and source not in found:
                open_corpus(source)
                found.append(source)
        except SourceError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Matching:
    """Deviation of turns from their requested lengths.

    Attributes:
        turns: Number of turns with a target.
        mean_off: Mean absolute deviation from the target, in words (estimated if a language has no
            segmenter).
        far_off: Share of the turns outside the tolerance, 0 to 1.
        asked_again: Share of the turns with more than one attempt, 0 to 1.
    """

    turns: int
    mean_off: float
    far_off: float
    asked_again: float


def matching(run: Run) -> Matching | None:
    """Return the deviation of turns from requested lengths; None if no lengths were requested."""
    n = off = far = again = 0
    for conversation in run.conversations():
        language = language_of(conversation)
        for turn in conversation.turns:
            if (target := turn.target_words) is None:
                continue
            n += 1
            off += abs(about_words(turn.text, language) - target)
            far += length_fault(turn.text, target, language) is not None
            again += bool(turn.reasks)
    if not n:
        return None
    return Matching(n, off / n, far / n, again / n)
