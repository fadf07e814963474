"""The limitations of a report's numbers, as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convogen.metrics import Statistics
from convogen.metrics.labels import lines_not_checked, lines_without_words
from convogen.reports.acceptance import Acceptance
from convogen.reports.groundedness import JudgeSummary
from convogen.reports.languages import judging_limit
from convogen.reports.report import Made, ReportedCorpus, ReportedRun
from convogen.text.counting import counted

__all__ = ["limits", "limits_of_run"]

FEW = 100
"""Number of conversations below which intervals are wide and published numbers are hardly
comparable."""

LITTLE_MASS = 0.5

MATCHED = ("max_turns", "match_features", "gates")
"""Parameters that may differ if only one of two runs is matched; among the gates, only `profile`
may differ."""


def limits(
    runs: Mapping[str, ReportedRun], against: Mapping[str, ReportedCorpus], baseline: str | None
) -> list[str]:
    """Return one string per limitation; the limitations of a run begin with the run's name."""
    shared: dict[str, list[str]] = {}
    for name, run in runs.items():
        for line in limits_of_run(
            conversations=run.conversations,
            failures=run.failures,
            accepted=Acceptance(run.rejected, run.acceptance_rate),
            made=run.made,
            text=run.text,
            groundedness=run.groundedness,
            judged=run.judged,
        ):
            shared.setdefault(line, []).append(name)
    said = [f"{', '.join(names)}: {text}" for text, names in shared.items()]
    said += _baseline_limits(runs, baseline)
    for name, corpus in against.items():
        if corpus.bad_rows:
            said.append(
                f"{name}: rows that are left out because they could not be read: {corpus.bad_rows}."
            )
    said.append(
        "The intervals reflect the variation between conversations of one run, not between runs of "
        "the same experiment. They are BCa bootstrap intervals unless a table says otherwise."
    )
    said.append(
        "The published numbers were obtained with other models and prompts; a difference from "
        "them does not show which data is better. In the published numbers and in tables III and V "
        "of this report, speaker labels count as words, except in nW/T."
    )
    said.append(
        "As in the paper, the judge is first asked why a conversation is grounded, which invites "
        "high scores. Published scores lie between 4.17 and 5.00, which leaves little room for "
        "differences."
    )
    return said


def limits_of_run(
    *,
    conversations: int,
    failures: int,
    accepted: Acceptance,
    made: Made,
    text: Statistics,
    groundedness: JudgeSummary | None,
    judged: Mapping[str, JudgeSummary] | None = None,
) -> list[str]:
    """Return the limitations of one run's numbers.

    Args:
        conversations: Number of accepted conversations.
        failures: Number of tasks that failed.
        accepted: Acceptance by the gates.
        made: How the run was made.
        text: Measures of the run.
        groundedness: Scores from geval; None if geval has not judged the run.
        judged: Scores from each judge, possibly including geval.
    """
    said = lines_without_words(text) + lines_not_checked(text.not_checked)
    if conversations < FEW:
        said.append(
            f"only {counted(conversations, 'conversation')}. The intervals are wide but still too "
            "narrow for so small a sample. The paper has about 500 conversations per row."
        )
    if not made.complete:
        said.append("the run is not complete; its numbers will change.")
    kinds = {model.get("kind") for model in (made.models or {}).values()}
    if "embedded" in kinds:
        said.append(
            "written by an embedded model run on this machine. Such models are meant for trials, "
            "and their text is of poor quality."
        )
    if "scripted" in kinds:
        said.append(
            "written by the scripted model, which returns canned words and is not a language model."
        )
    if accepted.rejected and accepted.rate is not None:
        gates = ", ".join(f"{gate} {count}" for gate, count in accepted.rejected.items())
        said.append(
            f"the gates accepted {accepted.rate:.1%} of the finished conversations "
            f"(rejected: {gates}). Measures exclude rejected conversations unless stated otherwise."
        )
    if failures:
        said.append(
            f"tasks that produced no conversation: {failures}. Measures exclude these tasks."
        )
    others = {judge: one for judge, one in (judged or {}).items() if judge != "geval"}
    return said + _of_judges(conversations, text, groundedness, others)


def _of_judges(
    conversations: int,
    text: Statistics,
    groundedness: JudgeSummary | None,
    others: Mapping[str, JudgeSummary],
) -> list[str]:
    if groundedness is not None:
        said = _of_scores(conversations, text, groundedness)
    elif others:
        said = ["groundedness not judged; to judge it, run `convogen evaluate RUN --judge geval`."]
    else:
        said = ["not judged; to add groundedness, run `convogen evaluate RUN --judge geval`."]
    return said + [
        f"{judge}: {line}"
        for judge, one in others.items()
        for line in _of_scores(conversations, text, one)
    ]


def _of_scores(conversations: int, text: Statistics, found: JudgeSummary) -> list[str]:
    said = list(judging_limit(text, found.judge, found.prompts))
    if found.conversations < conversations:
        said.append(f"conversations judged: {found.conversations} of {conversations}.")
    if found.kind in ("embedded", "scripted"):
        said.append(
            f"the judge is the {found.kind} model, whose scores mean little and only show that "
            f"judging works."
        )
    if samples := found.methods.get("samples"):
        said.append(
            f"scores that are means of samples: {samples}. The judge's endpoint returned no "
            "log-probabilities, and these scores are coarser than weighted scores."
        )
    if found.mean_mass is not None and found.mean_mass < LITTLE_MASS:
        said.append(
            f"the judge's score tokens had only {found.mean_mass:.0%} of the probability on "
            "average. The judge was more likely to write something other than a score."
        )
    if found.missing:
        reasons = "; ".join(f"{reason} ({n})" for reason, n in found.missing.items())
        said.append(f"missing scores: {sum(found.missing.values())}; reasons: {reasons}.")
    return said


def _baseline_limits(runs: Mapping[str, ReportedRun], base: str | None) -> list[str]:
    """Return a line for each run that differs from the baseline in more than the matching
    parameters."""
    if base is None:
        return []
    said: list[str] = []
    for name, run in runs.items():
        other = _differences(_essence(runs[base]), _essence(run))
        if name != base and other:
            said.append(
                f"{name}: differs from the baseline {base} in more than the matching "
                f"({', '.join(other)}), so not all changes are due to the matching."
            )
    return said


def _essence(run: ReportedRun) -> Mapping[str, object]:
    """Return everything that determines a run's data, except the matching parameters."""
    own = {key: value for key, value in run.parameters.items() if key not in MATCHED}
    gates: list[dict[str, Any]] = run.parameters.get("gates") or []
    if other := [gate for gate in gates if gate.get("gate") != "profile"]:
        own["gates"] = other
    matched = ("match", "steering")
    sources = {key: value for key, value in run.sources.items() if key not in matched}
    models = {f"model of {role}": spec for role, spec in (run.made.models or {}).items()}
    return own | models | {"prompts": run.prompts, "sources": sources}


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]
