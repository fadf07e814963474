"""The numbers of a report, as shown on its page, in `report.json` and by `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from convogen.costs.ledger_costs import Spending
from convogen.errors import SourceError
from convogen.inputs.keys import first_fault
from convogen.metrics import Distance, Statistics
from convogen.metrics.judged_friction import JudgedFriction
from convogen.metrics.people import People
from convogen.published import Cell
from convogen.realism import Realism
from convogen.reports.course import Course
from convogen.reports.coverage import CoverageCourse
from convogen.reports.groundedness import JudgeSummary
from convogen.reports.interaction import SourceInteraction
from convogen.reports.intervals import Interval
from convogen.reports.matched_features import MatchedFeatures
from convogen.reports.matching import Matching

__all__ = ["Histogram", "Made", "Published", "Report", "ReportedCorpus", "ReportedRun"]


@dataclass(frozen=True, slots=True)
class Made:
    """How a run was made, from its manifest; None for missing information.

    Attributes:
        n: Number of requested conversations.
        started_at: Start time of the run, ISO 8601.
        packages: Version of each package.
        models: Description of each role's model, with its `name`, its `kind` and other keys.
    """

    name: str | None
    fingerprint: str | None
    n: int | None
    complete: bool | None
    started_at: str | None
    packages: dict[str, str] | None
    models: dict[str, dict[str, Any]] | None

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Made:
        """Return the information from a run's manifest."""
        return cls(**{name: manifest.get(name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCorpus:
    """A measured source, with 95% bootstrap intervals.

    Attributes:
        source: Path or name of the source.
        conversations: Number of conversations.
        bad_rows: Number of rows that could not be read.
        tables: The columns of tables III and V in the paper's rendering: nW and nT (words and turns
            per conversation), nW/T (words per turn), mtld_mean and mtld_std; None if there is
            nothing to measure. Speaker labels count as words, except in nW/T.
        text: Statistics of the unmodified text.
        balance: Participation balance, 0 to 1.
        judged_friction: Labels from the `friction` judge; None if there are no labels.
    """

    source: str
    conversations: int
    bad_rows: int
    tables: dict[str, Interval | None]
    text: Statistics
    balance: Interval | None
    judged_friction: JudgedFriction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun(ReportedCorpus):
    """A measured run.

    Attributes:
        distances: Distances from each reference corpus; None if the run or the corpus has no turns.
        matching: Deviation of turns from requested lengths; None if no lengths were requested.
        features: Distributions of features in the run and in the matched corpus; None if no run in
            the report has matched features, or if an early version wrote the report.
        groundedness: Scores from geval; None if geval has not judged the run.
        judged: Scores from each judge.
        course: Diversity over the course of the run, in plan order.
        failures: Number of tasks that failed.
        rejected: Number of conversations rejected by each gate.
        acceptance_rate: Share of the finished conversations that were accepted, 0 to 1; None if
            no conversation is finished.
        parameters: The experiment's keys and values that enter its fingerprint.
        prompts: Hash of each prompt.
        sources: Hash or name of each source.
        persona_sources: Number of personas for each source and licence.
        people: Distributions of the personas' ages, genders and name origins; None if there are no
            personas, or if an early version wrote the report.
        cost: Cost for each role and model.
    """

    distances: dict[str, Distance | None]
    matching: Matching | None
    groundedness: JudgeSummary | None
    judged: dict[str, JudgeSummary]
    course: Course
    failures: int
    rejected: dict[str, int]
    acceptance_rate: float | None
    made: Made
    parameters: dict[str, Any]
    prompts: dict[str, Any]
    sources: dict[str, Any]
    persona_sources: dict[str, int]
    people: People | None = None
    features: MatchedFeatures | None = None
    cost: list[Spending]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares (0 to 1) of each source's conversations in the bins between `edges`."""

    edges: list[float]
    shares: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Published:
    """Published tables: `tables[table][row][column]`."""

    paper: str
    tables: dict[str, dict[str, dict[str, Cell]]]

    def numbers(self, table: str) -> dict[str, dict[str, float]]:
        """Return a table's numbers for each row and column, without text cells."""
        return {
            row: {name: cell for name, cell in cells.items() if isinstance(cell, int | float)}
            for row, cells in self.tables[table].items()
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All numbers of a report.

    Attributes:
        convogen: The version of convogen that made the report.
        runs: Maps each run's display name to its numbers.
        against: Maps each reference corpus's display name to its numbers.
        baseline: The run whose distances are compared with those of the other runs; None without a
            baseline.
        published: Tables I to VI of the ConvoGen paper.
        mtld_histogram: Distribution of MTLD over conversations, in the paper's rendering.
        limits: Limitations of the numbers, as sentences.
        coverage: How evenly each run covers its topics; empty if not measured.
        realism: How well each run can be distinguished from each human corpus; empty if not
            measured.
    """

    convogen: str
    runs: dict[str, ReportedRun]
    against: dict[str, ReportedCorpus]
    baseline: str | None
    published: Published
    mtld_histogram: Histogram
    limits: list[str]
    coverage: dict[str, CoverageCourse] = field(default_factory=dict[str, CoverageCourse])
    realism: dict[str, dict[str, Realism]] = field(default_factory=dict[str, dict[str, Realism]])

    @property
    def sources(self) -> dict[str, ReportedCorpus]:
        """The runs, followed by the corpora."""
        return {**self.runs, **self.against}

    def interaction(self) -> dict[str, SourceInteraction]:
        """Return the interaction of each source."""
        return {
            name: SourceInteraction(
                one.text.interaction, one.judged_friction, human=name not in self.runs
            )
            for name, one in self.sources.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, in the form of `report.json`."""
        published = {"paper": self.published.paper, **self.published.tables}
        return asdict(self) | {"published": published}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Return a report from the result of `as_dict` or from a parsed `report.json`.

        Raises:
            SourceError: The data is not a report.
        """
        published: Any = data.get("published")
        if isinstance(published, dict):
            tables = dict(cast("dict[str, Any]", published))
            published = {"paper": tables.pop("paper", None), "tables": tables}
        try:
            return _reader().validate_python({**data, "published": published})
        except ValidationError as error:
            raise SourceError(
                f"not a report: {first_fault(error)}; use a report.json written by `convogen "
                "report`"
            ) from error


@cache
def _reader() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
