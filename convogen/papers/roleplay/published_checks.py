"""Published numbers from LLM Roleplay, recomputed from other published numbers.

Numbers are assumed to be rounded: each number represents an interval that extends half a unit of
the last digit to either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Literal, cast

from convogen.published import PublishedTable, published

__all__ = ["Check", "checks", "numbers_of", "verdict_on"]

Verdict = Literal["rounded", "truncated", "within the spread", "off"]

DIALOGUES = 200
"""Number of dialogues generated with each inquirer: 20 personas times 10 goals (section 3.1)."""

_HALF = 0.005
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Check:
    """A printed number and the same number computed from other printed numbers.

    `verdict` is `rounded` or `truncated` if the printed number is the computed number, rounded or
    truncated to the last printed digit. It is `within the spread` if the two numbers differ by no
    more than the printed standard deviation over the seeds, and otherwise `off`.
    """

    what: str
    row: str
    cell: str
    printed: float
    computed: float
    verdict: Verdict


def checks() -> list[Check]:
    """Return a check for every number that can be computed from other numbers."""
    tables = published("roleplay")
    return [
        *_rates(tables),
        *_utterances(tables),
        *_outputs(tables),
        *_overall(tables),
        *_repeated(tables),
    ]


def _rates(tables: dict[str, PublishedTable]) -> Iterator[Check]:
    """Check table 1's percentages and deviations against table 7's counts and outputs."""
    for row, cells in tables["7"].rows.items():
        counts, percent = numbers_of(cells), numbers_of(tables["1"].rows[row])
        for name in (one for one in percent if one in counts and not one.startswith("prompt_tok")):
            responder = name.startswith("incoherent_responder")
            outputs = counts["responder_outputs" if responder else "inquirer_outputs"]
            low = 100 * (counts[name] - _HALF) / (outputs + _HALF)
            high = 100 * (counts[name] + _HALF) / (outputs - _HALF)
            spread = 0.0 if name.endswith("_std") else percent[f"{name}_std"]
            verdict = verdict_on(percent[name], low, high, spread)
            computed = 100 * counts[name] / outputs
            yield Check("table 1 from table 7", row, name, percent[name], computed, verdict)


def _utterances(tables: dict[str, PublishedTable]) -> Iterator[Check]:
    """Check that there are two utterances per turn, and that tables 1 and 7 agree on the tokens per
    prompt."""
    for row, cells in tables["7"].rows.items():
        counts, means = numbers_of(cells), numbers_of(tables["1"].rows[row])
        for name, of in (("utterances", "turns"), ("utterances_std", "turns_std")):
            low, high = 2 * (means[of] - _HALF), 2 * (means[of] + _HALF)
            verdict = verdict_on(counts[name], low, high)
            yield Check(
                "table 7 from table 1's turns", row, name, counts[name], 2 * means[of], verdict
            )
        for name in ("prompt_tokens", "prompt_tokens_std"):
            verdict = verdict_on(counts[name], means[name], means[name])
            yield Check("table 7 from table 1", row, name, counts[name], means[name], verdict)


def _outputs(tables: dict[str, PublishedTable]) -> Iterator[Check]:
    """Check that table 7 has one response for each turn in 200 dialogues."""
    for row, cells in tables["7"].rows.items():
        outputs = numbers_of(cells)["responder_outputs"]
        turns = numbers_of(tables["1"].rows[row])["turns"]
        low, high = DIALOGUES * (turns - _HALF), DIALOGUES * (turns + _HALF)
        verdict = verdict_on(outputs, low, high)
        about = f"table 7 from {DIALOGUES} dialogues of table 1's turns"
        yield Check(about, row, "responder_outputs", outputs, DIALOGUES * turns, verdict)


def _overall(tables: dict[str, PublishedTable]) -> Iterator[Check]:
    """Check LLM Roleplay's row in table 4 against means and deviations (ddof 0) from table 1."""
    ours = numbers_of(tables["4"].rows["LLM Roleplay"])
    rows = [numbers_of(cells) for cells in tables["1"].rows.values()]
    for name in ("turns", "prompt_tokens", "response_tokens"):
        values = [row[name] for row in rows]
        mean, std = fmean(values), pstdev(values)
        spreads = fmean(row[f"{name}_std"] for row in rows)
        said = "table 4 from table 1's means"
        for cell, computed in ((name, mean), (f"{name}_std", std)):
            verdict = verdict_on(ours[cell], computed - _HALF, computed + _HALF)
            yield Check(said, "LLM Roleplay", cell, ours[cell], computed, verdict)
        cell = f"{name}_std"
        if verdict_on(ours[cell], std - _HALF, std + _HALF) == "off":
            verdict = verdict_on(ours[cell], spreads - _HALF, spreads + _HALF)
            said = "table 4 as the mean of table 1's deviations"
            yield Check(said, "LLM Roleplay", cell, ours[cell], spreads, verdict)


def _repeated(tables: dict[str, PublishedTable]) -> Iterator[Check]:
    """Check that numbers printed in both table 4 and table 9 agree."""
    for row, cells in tables["9"].rows.items():
        other = numbers_of(tables["4"].rows.get(row, {}))
        for name, number in numbers_of(cells).items():
            if name not in other:
                continue
            verdict = verdict_on(other[name], number, number)
            yield Check("table 4 from table 9", row, name, other[name], number, verdict)


def verdict_on(printed: float, low: float, high: float, spread: float = 0.0) -> Verdict:
    """Return how a number printed with two decimals agrees with a value between two bounds."""
    if low - _HALF - _SLACK <= printed <= high + _HALF + _SLACK:
        return "rounded"
    if printed - _SLACK <= high and low <= printed + 2 * _HALF + _SLACK:
        return "truncated"
    near = low - spread <= printed <= high + spread
    return "within the spread" if near and spread else "off"


def numbers_of(cells: object) -> dict[str, float]:
    """Return the cells of a row that are numbers."""
    known = cast("dict[str, float | str | None]", cells)
    return {name: float(cell) for name, cell in known.items() if isinstance(cell, int | float)}
