"""A judge's verdicts on the pairs in a study.

Two file formats are supported. Files from the `gteval` judge, written by `convogen evaluate RUN
--judge gteval --real NATURAL`, name the simulated dialogue in `conversation` and cover one
condition. Files in convogen's own format have one object per line, with the keys `pair`,
`condition`, `undetected` (the judge's probability that the pair is not detected, 0 to 1), and
`source_person` if the person is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.inputs.validation import validated
from convogen.jsonl import as_row
from convogen.judges.verdict_files import load_verdicts
from convogen.reports.verdicts import verdict_file
from convogen.study.answers import PairAnswer
from convogen.study.candidates import Candidate

__all__ = ["PairVerdict", "predicted", "read_pair_verdicts", "verdicts_on"]


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """A judge's verdict on a pair.

    Attributes:
        condition: The pair's condition, which is the simulator of its artificial dialogue.
        undetected: The judge's probability that the pair is not detected, 0 to 1; None if the judge
            gave no verdict.
        pair: The id of the pair; None if the file gives only the simulated dialogue.
        simulated: The id of the simulated dialogue; None if the file gives only the pair.
        source_person: The person whose natural dialogue is shown; None if unknown.
    """

    condition: str
    undetected: float | None
    pair: str | None = None
    simulated: str | None = None
    source_person: str | None = None

    def ids(self) -> list[tuple[str, str]]:
        """Return the ids that identify the pair, each with its kind."""
        named = (("pair", self.pair), ("simulated", self.simulated))
        return [(kind, name) for kind, name in named if name is not None]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pair: Annotated[str, Field(min_length=1)]
    condition: str
    undetected: Annotated[float, Field(ge=0, le=1)] | None = None
    source_person: str | None = None


def read_pair_verdicts(
    paths: Iterable[Path], known: Iterable[PairAnswer] | Iterable[Candidate]
) -> list[PairVerdict]:
    """Return the verdicts in files, or in run folders judged by `gteval`.

    Args:
        paths: The files and folders.
        known: Answers or candidates, which give the condition of each simulated dialogue.

    Raises:
        SourceError: A file has neither format, or there are two verdicts on the same pair.
    """
    of_dialogue = {one.simulated: one for one in known}
    found: dict[tuple[str, str], PairVerdict] = {}
    for path in paths:
        file = verdict_file(path, "gteval")
        own = _ours(file)
        for verdict in _of_gteval(file, of_dialogue) if own is None else own:
            for key in verdict.ids():
                if key in found:
                    raise SourceError(
                        f"{file}: two verdicts on {' '.join(key)!r:.100}; keep only one"
                    )
                found[key] = verdict
    return [*found.values()]


def verdicts_on(
    verdicts: Iterable[PairVerdict], pairs: Iterable[PairAnswer]
) -> list[PairVerdict | None]:
    """Return the verdict on each answered pair, or None for a pair without a verdict."""
    by_id = {key: one for one in verdicts for key in one.ids()}
    return [
        by_id.get(("pair", one.pair)) or by_id.get(("simulated", one.simulated)) for one in pairs
    ]


def predicted(verdicts: Iterable[PairVerdict], candidates: Iterable[Candidate]) -> dict[str, float]:
    """Return, for each candidate with a verdict, the probability that the pair is not detected.

    The keys are candidate ids.
    """
    by_key = {key: one for one in verdicts for key in one.ids()}
    found: dict[str, float] = {}
    for one in candidates:
        verdict = by_key.get(("pair", one.id)) or by_key.get(("simulated", one.simulated))
        if verdict is not None and verdict.undetected is not None:
            found[one.id] = verdict.undetected
    return found


def _ours(file: Path) -> list[PairVerdict] | None:
    """Return the verdicts in a file if it has convogen's own format, otherwise None."""
    found: list[PairVerdict] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        row = as_row(line.encode("utf-8", "surrogatepass"))
        if not found and (row is None or "pair" not in row):
            return None
        read: _Row = validated(_Row, row or {}, f"{file} line {number}", raising=SourceError)
        found.append(
            PairVerdict(
                condition=read.condition,
                undetected=read.undetected,
                pair=read.pair,
                source_person=read.source_person,
            )
        )
    return found or None


def _of_gteval(file: Path, of_dialogue: Mapping[str, PairAnswer | Candidate]) -> list[PairVerdict]:
    """Return the verdicts in a `gteval` file, whose dialogues must all have the same condition."""
    rows = load_verdicts(file, "gteval")
    pairs = [of_dialogue.get(one.conversation or "") for one in rows]
    matched = [one for one in pairs if one is not None]
    conditions = sorted({one.condition for one in matched})
    if len(conditions) != 1:
        of = f"{len(conditions)} conditions" if conditions else "none of the study's pairs"
        raise SourceError(
            f"{file}: has verdicts on {of}; a gteval file must cover simulated dialogues from "
            f"exactly one condition, so use one file per condition"
        )
    return [
        PairVerdict(
            condition=conditions[0],
            undetected=None if one.choice is None else float(one.passed),
            simulated=one.conversation,
            source_person=None if pair is None else pair.source_person,
        )
        for one, pair in zip(rows, pairs, strict=True)
    ]
