"""What the numbers of a report cannot carry, said plainly."""

from __future__ import annotations

from typing import Any

from convogen.metrics.labels import lines_not_checked, lines_without_words
from convogen.reports.languages import judging_limit
from convogen.reports.matching import baseline_limits

__all__ = ["limits", "limits_of_run"]

FEW = 100
"""Conversations under which intervals are wide and the published numbers far from comparable."""

LITTLE_MASS = 0.5


def limits(numbers: dict[str, Any]) -> list[str]:
    """One or two sentences a limit; those of a run begin with its name."""
    shared: dict[str, list[str]] = {}
    for name, run in numbers["runs"].items():
        for text in limits_of_run(run):
            shared.setdefault(text, []).append(name)
    said = [f"{', '.join(names)}: {text}" for text, names in shared.items()]
    said += baseline_limits(numbers)
    for name, corpus in numbers["against"].items():
        if corpus["bad_rows"]:
            said.append(f"{name}: {corpus['bad_rows']} rows could not be read and are left out.")
    said.append(
        "The intervals are BCa bootstraps over the conversations of one run: they say "
        "nothing of how another run of the same experiment would come out."
    )
    said.append(
        "The published numbers were made with other models and prompts; a difference from them is "
        "no verdict on either. They count speaker labels as words, and so do tables III and V here."
    )
    said.append(
        "The judge is first asked why a conversation is grounded, as in the paper; that invites "
        "high scores. Published scores lie between 4.1 and 5, which leaves little to tell apart."
    )
    return said


def limits_of_run(run: dict[str, Any]) -> list[str]:
    """What one run's numbers cannot carry: `conversations`, `text`, `failures`, `made`,
    `groundedness`."""
    n = run["conversations"]
    said = lines_without_words(run["text"].get("without_words", {}), n)
    said += lines_not_checked(run["text"].get("not_checked", {}))
    if n < FEW:
        said.append(
            f"only {n} conversation{'s' if n != 1 else ''}. The intervals are wide and, with so "
            "few, narrower than they ought to be; the paper has about 500 a row."
        )
    if not run["made"]["complete"]:
        said.append("the run is not complete; its numbers will change.")
    models: dict[str, dict[str, str]] = run["made"]["models"] or {}
    kinds = {model.get("kind") for model in models.values()}
    if "embedded" in kinds:
        said.append(
            "written by an embedded model run on this machine, which is there to try things out; "
            "the text is poor."
        )
    if "scripted" in kinds:
        said.append("written by the scripted model: canned words, no language model.")
    if rejected := run["rejected"]:
        gates = ", ".join(f"{gate} {count}" for gate, count in rejected.items())
        said.append(
            f"its gates accepted {run['acceptance_rate']:.1%} of the finished conversations "
            f"(rejected: {gates}); no number here has those they rejected."
        )
    if run["failures"]:
        said.append(f"tasks that gave no conversation: {run['failures']}; no number here has them.")
    return said + _of_judge(run)


def _of_judge(run: dict[str, Any]) -> list[str]:
    found = run["groundedness"]
    said = ["not judged; `convogen evaluate RUN --judge geval` adds groundedness."]
    if found is not None:
        said = _of_scores(run, found)
    others = {judge: one for judge, one in run.get("judged", {}).items() if judge != "geval"}
    if others and found is None:
        said = ["its groundedness is not judged; `convogen evaluate RUN --judge geval` does that."]
    return said + [
        f"{judge}: {line}" for judge, one in others.items() for line in _of_scores(run, one)
    ]


def _of_scores(run: dict[str, Any], found: dict[str, Any]) -> list[str]:
    said: list[str] = list(judging_limit(run["text"], found["judge"], found["prompts"]))
    if found["conversations"] < run["conversations"]:
        said.append(
            f"{found['conversations']} of {run['conversations']} conversations were judged."
        )
    if found["kind"] in ("embedded", "scripted"):
        said.append(
            f"the judge is the {found['kind']} model; its scores mean little and are here to show "
            "that the path works."
        )
    if found["methods"].get("samples"):
        said.append(
            f"{found['methods']['samples']} scores are means of samples, since the judge's "
            "endpoint gave no log-probabilities; they are coarser than weighted ones."
        )
    if found["mean_mass"] is not None and found["mean_mass"] < LITTLE_MASS:
        said.append(
            f"the judge's score tokens had {found['mean_mass']:.0%} of the probability on average: "
            "it mostly wanted to say something other than a score."
        )
    if found["missing"]:
        said.append(f"{sum(found['missing'].values())} scores are missing: {_reasons(found)}.")
    return said


def _reasons(found: dict[str, Any]) -> str:
    return "; ".join(f"{reason} ({n})" for reason, n in found["missing"].items())
