"""How near a run came to the corpus whose shapes it was given, and what to compare it with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.storage.run_folder import Run
from convogen.text.budgets import about_words
from convogen.text.identify import language_of
from convogen.text.utterances import length_fault

__all__ = ["baseline_limits", "matched_corpora", "matching"]

MATCHED = ("max_turns",)
"""Parameters that differ because one run is matched and the other is not."""


def matched_corpora(runs: Iterable[Run]) -> list[str]:
    """The corpora that runs were matched to, where they can still be read."""
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


def matching(run: Run) -> dict[str, Any] | None:
    """How far turns are from the words asked of them; None where nothing was asked.

    Words are estimated in a language that has none here.

    `mean_off` is in words, `far_off` the share of the turns beyond the tolerance, `asked_again`
    that of those with more than one attempt.
    """
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
    return {"turns": n, "mean_off": off / n, "far_off": far / n, "asked_again": again / n}


def baseline_limits(numbers: Mapping[str, Any]) -> list[str]:
    """What keeps the baseline from being the same experiment without the matching."""
    base = numbers["baseline"]
    if base is None:
        return []
    said: list[str] = []
    for name, run in numbers["runs"].items():
        other = _differences(_essence(numbers["runs"][base]), _essence(run))
        if name != base and other:
            said.append(
                f"{name}: differs from the baseline {base} in more than the matching "
                f"({', '.join(other)}); not all of a change is due to it."
            )
    return said


def _essence(run: Mapping[str, Any]) -> dict[str, Any]:
    """What made a run's data, but for what matching changes."""
    own = {key: value for key, value in run["parameters"].items() if key not in MATCHED}
    sources = {key: value for key, value in run["sources"].items() if key != "match"}
    made: dict[str, Any] = run["made"]["models"] or {}
    models = {f"model of {role}": spec for role, spec in made.items()}
    return own | models | {"prompts": run["prompts"], "sources": sources}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]
