"""How people interact, as tables: of a report, and of `convogen stats --interaction`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convogen.interaction.accuracy import accuracy_text
from convogen.interaction.addressing import EVIDENCE_LABELS
from convogen.interaction.analysis import MEASURES
from convogen.interaction.patterns import behaviour_term
from convogen.metrics import Estimate, Friction, InteractionStatistics, share_differences
from convogen.metrics.friction import RULES
from convogen.metrics.judged_friction import JudgedFriction
from convogen.reports.cells import Cell, Row, Table, interval_cell, number_cell, share_cell

__all__ = ["SourceInteraction", "interaction_tables"]


@dataclass(frozen=True, slots=True)
class SourceInteraction:
    """How people of a run or a corpus interact.

    Attributes:
        measured: By rules; None if that was not measured.
        judged: What the judge `friction` labelled; None if it labelled nothing.
        human: Whether it is a corpus to compare with.
    """

    measured: InteractionStatistics | None
    judged: JudgedFriction | None = None
    human: bool = False

    @property
    def friction(self) -> Friction | None:
        """The behaviours by the judge if there is one, else by rules."""
        if self.judged is not None:
            return self.judged.friction
        return self.measured.friction if self.measured else None


Sources = Mapping[str, SourceInteraction]


def interaction_tables(sources: Sources) -> Iterator[Table]:
    """Yield the means per conversation, what tells addressees, the shares of turns with each
    behaviour, and how far rules agree with a judge."""
    measured = {
        name: one.measured
        for name, one in sources.items()
        if one.measured and one.measured.conversations
    }
    if measured:
        yield _measures(measured)
        yield _evidence(measured)
    friction = {name: one.friction for name, one in sources.items() if one.friction}
    if friction:
        yield _friction(sources, friction)
    for name, one in sources.items():
        if one.judged is not None and one.judged.agreement:
            yield _agreement(name, one.judged)


def _measures(columns: Mapping[str, InteractionStatistics]) -> Table:
    rows = [
        Row("ours", label, [interval_cell(one.measures.get(key), 3) for one in columns.values()])
        for key, label in MEASURES.items()
        if any(key in one.measures for one in columns.values())
    ]
    note = (
        "Means over conversations with 95% intervals; measures of groups are over conversations of "
        f"three people or more. {accuracy_text()}"
    )
    return Table("Interaction", note, ["Measure", *columns], rows)


def _evidence(columns: Mapping[str, InteractionStatistics]) -> Table:
    turns = {name: sum(one.evidence.values()) for name, one in columns.items()}
    rows = [
        Row(
            "ours",
            label,
            [share_cell(one.evidence.get(key, 0) / turns[name]) for name, one in columns.items()],
        )
        for key, label in EVIDENCE_LABELS.items()
        if any(key in one.evidence for one in columns.values())
    ]
    note = "Share of turns; what stands first is the surest, what stands last hardly tells."
    return Table("What tells whom a turn addresses", note, ["Told by", *columns], rows)


def _friction(sources: Sources, columns: Mapping[str, Friction]) -> Table:
    beside = next((one.friction for one in sources.values() if one.human and one.friction), None)
    apart = {
        name: share_differences(one, beside) if one is not beside else {}
        for name, one in columns.items()
    }
    names = dict.fromkeys(name for one in columns.values() for name in one.shares)
    rows = [
        Row("ours", "Told by", [Cell(_told_by(one)) for one in columns.values()]),
        *(
            Row(
                "ours",
                _label(key),
                [
                    _share(one.shares.get(key), apart[name].get(key))
                    for name, one in columns.items()
                ],
            )
            for key in names
        ),
    ]
    note = "Share of turns with 95% intervals."
    if any(one.protocol == RULES for one in columns.values()):
        note += " Rules are for English."
    if beside:
        note += " *: differs from the human corpus."
        if any(one.protocol != beside.protocol for one in columns.values()):
            note += " What a judge told is not compared with what rules, or another judge, told."
    return Table("Friction", note, ["Behaviour", *columns], rows)


def _told_by(friction: Friction) -> str:
    who = "rules" if friction.protocol == RULES else f"judge {friction.told_by}"
    return f"{who}, {friction.turns:,} turns"


def _share(one: Estimate | None, apart: Estimate | None) -> Cell:
    if one is None:
        return Cell("–")
    differs = apart is not None and (apart.low > 0 or apart.high < 0)
    text = f"{one.value:.1%}{'*' if differs else ''}"
    return Cell(text, f"{one.low:.1%} to {one.high:.1%}", one.value, one.low, one.high)


def _agreement(name: str, judged: JudgedFriction) -> Table:
    pooled = {"all of these": judged.pooled} if judged.pooled else {}
    rows = [
        Row(
            "ours",
            _label(key),
            [
                number_cell(one.rules),
                number_cell(one.judge),
                number_cell(one.both),
                number_cell(one.kappa),
            ],
        )
        for key, one in ({**judged.agreement, **pooled}).items()
    ]
    turns = next(iter(judged.agreement.values())).turns
    note = (
        f"Of {turns:,} turns, those that have a behaviour by rules, by the judge "
        f"({judged.friction.told_by}), by both."
    )
    if judged.without_labels:
        note += f" {judged.without_labels:,} more turns got no labels."
    head = ["Behaviour", "rules", "judge", "both", "Cohen's kappa"]
    return Table(f"Rules beside the judge: {name}", note, head, rows)


def _label(behaviour: str) -> str:
    term = behaviour_term(behaviour)
    return term[:1].upper() + term[1:]
