"""The tables of `convogen study results`: tables 3 and 10 of LLM Roleplay, shares and contrasts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from convogen.cli._shared.console import styled
from convogen.papers.roleplay.human_study import CONFIDENCES, Condition, Printed, Spread
from convogen.papers.roleplay.published_checks import Check
from convogen.published import Cell, published
from convogen.reports.cells import Bounded, number_text
from convogen.study.results import Model, StudyResults
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.study.contrasts import Mean

__all__ = ["closing", "opening", "tables"]

_OUTCOMES = {
    "detection": "detection, log odds",
    "utterance": "utterance number",
    "seconds": "seconds",
    "log seconds": "log(1 + seconds), convogen's",
}


def opening(results: StudyResults) -> Iterator[str]:
    """Yield notes on the answers, the participants and the weighting."""
    yield (
        f"{counted(results.answers, 'answer')} by "
        f"{counted(results.participants, 'participant')} about "
        f"{counted(results.source_persons, 'source person')}; "
        f"conditions: {', '.join(results.conditions)}"
    )
    if results.attention_checks:
        failed = [f"{one.participant} {one.failed} of {one.checks}" for one in results.inattentive]
        yield f"Attention checks: {results.attention_checks}; failed: {', '.join(failed) or 'none'}"
    if not results.evenly:
        yield (
            "Pairs within a condition were drawn with different probabilities. Shares and their "
            "intervals are weighted accordingly; table 3 and the mixed models are unweighted."
        )


def tables(
    results: StudyResults, conditions: Sequence[Condition], paper: Printed
) -> Iterator[Table]:
    """Yield the tables in the order in which they are printed."""
    yield _table_3(conditions)
    yield _shares(results)
    yield _table_10(results.models, paper)
    if any(model.contrasts for model in results.models):
        yield _contrasts(results.models)


def closing(results: StudyResults, arithmetic: Sequence[Check], paper: Printed) -> Iterator[str]:
    """Yield lines that compare a judge with the participants, and lines that check the paper's
    numbers."""
    if results.judge is not None:
        one = results.judge
        yield (
            f"Pairs judged by both the judge and participants: {one.n}. Detected by the judge: "
            f"{_percent(one.judge_detects)}; detected by participants: "
            f"{_percent(one.people_detect)}. Agreement: {_percent(one.agreement)}, Cohen's kappa "
            f"{_bounded(one.cohen_kappa)}"
        )
    off = [one for one in arithmetic if one.verdict == "off"]
    yield (
        f"Published numbers in table 3 recomputed from one another: {len(arithmetic) - len(off)} "
        f"consistent, {len(off)} inconsistent"
    )
    for one in off:
        yield f"  {one.row}, {one.cell}: published {one.printed:g}, recomputed {one.computed:g}"
    yield (
        "Table 10 recomputed from the counts, means and standard deviations in table 3, without "
        "random effects:"
    )
    for model in paper.recomputed:
        own = paper.tests.get(model.outcome)
        beside = "no published test" if own is None else f"published {own:g}"
        same = (
            "as published" if model.letters == paper.letters[model.outcome] else "not as published"
        )
        yield (
            f"  {model.outcome}: {_test(model)} ({beside}); letters {same}: "
            f"{_joined(model.letters)}; with Holm: {_joined(model.letters_holm)}"
        )


def _table(title: str, caption: str, columns: Sequence[str], names: int = 1) -> Table:
    table = Table(title=styled(title), title_justify="left", caption_justify="left")
    table.caption = styled(caption)
    for at, column in enumerate(columns):
        table.add_column(styled(column), justify="left" if at < names else "right", overflow="fold")
    return table


def _table_3(conditions: Sequence[Condition]) -> Table:
    table = _table(
        "Table 3: undetected pairs, and the confidence, seconds and utterance number of the "
        "answers",
        "Detected and undetected pairs are counted for each level of confidence: very "
        "confident/confident/somewhat confident. Seconds and utterance numbers are means, with "
        "standard deviations in parentheses. A rate of 50% means that participants cannot "
        "distinguish the two dialogues.",
        [
            "",
            "undetected, %",
            "detected",
            "seconds",
            "utterance",
            "undetected",
            "seconds",
        ],
    )
    for one in conditions:
        detected, undetected = one.subsets["detected"], one.subsets["undetected"]
        table.add_row(
            styled(one.name),
            f"{one.undetected_percent:.1f}",
            _counts(detected.confidences.values()),
            _spread(detected.seconds),
            _spread(detected.utterance),
            _counts(undetected.confidences.values()),
            _spread(undetected.seconds),
        )
    table.add_section()
    table.add_row("paper:")
    for name, row in published("roleplay")["3"].rows.items():
        table.add_row(
            name,
            f"{row['undetected_percent']:.1f}",
            _counts(int(row[f"detected_{level}"] or 0) for level in CONFIDENCES),
            _printed(row, "detected_seconds"),
            _printed(row, "detected_utterance"),
            _counts(int(row[f"undetected_{level}"] or 0) for level in CONFIDENCES),
            _printed(row, "undetected_seconds"),
        )
    return table


def _shares(results: StudyResults) -> Table:
    judged = any(one.powered is not None for one in results.rates)
    caption = (
        "The 95% intervals generalise to new participants and source persons. Differences are in "
        "percentage points."
    )
    if judged:
        caption += (
            ' The columns "with judge" are prediction-powered estimates, which combine the '
            "judge's verdicts on all pairs with the participants' answers. The weight of the "
            "verdicts is between 0 and 1."
        )
    beside = ["pairs", "with judge", "95%", "weight"] if judged else []
    table = _table("Undetected pairs, %", caption, ["", "answers", "by answers", "95%", *beside])
    for one in results.rates:
        more = [f"{one.pairs}", *_points(one.powered), number_text(one.weight)] if judged else []
        table.add_row(styled(one.condition), f"{one.answers}", *_points(one.alone), *more)
    table.add_section()
    for one in results.differences:
        more = ["", *_points(one.powered), ""] if judged else []
        table.add_row(styled(f"{one.first} - {one.second}"), "", *_points(one.alone), *more)
    return table


def _table_10(models: Sequence[Model], paper: Printed) -> Table:
    caption = [
        "Means are for an average participant and source person. Conditions that share a letter do "
        "not differ significantly at the 5% level. Conditions with the letter A are the hardest to "
        "detect: they are detected least often, at the latest utterance or after the longest time. "
        "The `letters` column is not adjusted for multiple comparisons, as in the paper; the "
        "`Holm` column is.",
        *(_told(model, paper) for model in models),
    ]
    table = _table(
        "Table 10: mixed models with random intercepts for participants and source persons",
        "\n".join(caption),
        ["outcome", "condition", "mean", "95%", "letters", "Holm"],
        2,
    )
    for model in models:
        table.add_section()
        for one in model.means:
            table.add_row(
                _OUTCOMES[model.outcome],
                styled(one.condition),
                *_mean(model, one),
                model.letters[one.condition],
                model.letters_holm[one.condition],
            )
    return table


def _told(model: Model, paper: Printed) -> str:
    """Return a model's test next to the published test, or the reason why the model was not
    fitted."""
    label = f"{_OUTCOMES[model.outcome]}: "
    if model.refused is not None:
        return f"{label}no model: {model.refused}"
    deviations = ", ".join(f"{name} {value:.2f}" for name, value in model.deviations.items())
    text = f"{label}{_test(model)}; standard deviations: {deviations}"
    if model.outcome not in paper.letters:
        return text
    printed = paper.tests.get(model.outcome)
    beside = "" if printed is None else f"{printed:g}; "
    return f"{text}. Published: {beside}{_joined(paper.letters[model.outcome])}"


def _contrasts(models: Sequence[Model]) -> Table:
    table = _table(
        "Contrasts of the mixed models",
        "Wald tests. The intervals and the `p` column are unadjusted; the `p, Holm` column is "
        "adjusted for all of the outcome's contrasts.",
        ["outcome", "contrast", "difference", "95%", "p", "p, Holm"],
        2,
    )
    for model in models:
        table.add_section()
        for one in model.contrasts:
            table.add_row(
                _OUTCOMES[model.outcome],
                styled(f"{one.first} - {one.second}"),
                f"{one.difference:+.2f}",
                f"{one.low:.2f} to {one.high:.2f}",
                _p(one.p),
                _p(one.p_holm),
            )
    return table


def _mean(model: Model, one: Mean) -> tuple[str, str]:
    if model.outcome != "detection":
        return f"{one.value:.2f}", f"{one.low:.2f} to {one.high:.2f}"
    share, low, high = (1 / (1 + math.exp(-odds)) for odds in (one.value, one.low, one.high))
    return (
        f"{one.value:.2f} ({share:.0%})",
        f"{one.low:.2f} to {one.high:.2f} ({low:.0%} to {high:.0%})",
    )


def _test(model: Model) -> str:
    test = model.test
    if test is None:
        return "no test"
    df = f"{test.df}" if test.denominator is None else f"{test.df}, {test.denominator}"
    symbol = "Wald χ²" if test.kind == "chi-square" else "F"
    return f"{symbol}({df}) = {test.statistic:.2f}, p {_p(test.p, '= ')}"


def _p(value: float, equal: str = "") -> str:
    return f"{equal}{value:.3f}" if value >= 0.001 else "< 0.001"


def _joined(letters: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {letters[name]}" for name in sorted(letters))


def _points(found: Bounded | None) -> tuple[str, str]:
    """Return a share and its interval in percent, as text."""
    if found is None or found.value is None:
        return "–", "–"
    if found.low is None or found.high is None:
        return f"{100 * found.value:.1f}", "–"
    return f"{100 * found.value:.1f}", f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def _percent(found: Bounded | None) -> str:
    value, ends = _points(found)
    return f"{value}% ({ends})"


def _bounded(found: Bounded | None) -> str:
    if found is None or found.value is None:
        return "–"
    ends = "–" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"
    return f"{found.value:.2f} ({ends})"


def _counts(counts: Iterable[int]) -> str:
    return "/".join(map(str, counts))


def _spread(found: Spread) -> str:
    shown = number_text(found.mean)
    return shown if found.std is None else f"{shown} ({number_text(found.std)})"


def _printed(row: Mapping[str, Cell], name: str) -> str:
    """Return a published mean with its standard deviation in parentheses."""
    return f"{row[name]:.2f} ({row[f'{name}_std']:.2f})"
