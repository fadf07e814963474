"""Tables of interaction measures, for reports and for `convogen stats --interaction`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from convogen.interaction.accuracy import accuracy_text
from convogen.interaction.addressing import EVIDENCE_LABELS
from convogen.interaction.analysis import MEASURES
from convogen.interaction.patterns import behaviour_term
from convogen.metrics import Estimate, Friction, InteractionStatistics, share_differences
from convogen.metrics.friction import RULES
from convogen.metrics.judged_friction import JudgedFriction
from convogen.reports.cells import Cell, Row, Table, interval_cell, number_cell, share_cell

__all__ = [
    "FrictionColumn",
    "SourceInteraction",
    "differences",
    "friction_columns",
    "interaction_tables",
]


@dataclass(frozen=True, slots=True)
class SourceInteraction:
    """Interaction in a run or a corpus.

    Attributes:
        measured: Interaction detected by rules; None if not measured.
        judged: Labels from the `friction` judge; None if there are no labels.
        human: Whether the source is a reference corpus.
    """

    measured: InteractionStatistics | None
    judged: JudgedFriction | None = None
    human: bool = False

    @property
    def rules(self) -> Friction | None:
        """The behaviours detected by rules."""
        return self.measured.friction if self.measured else None

    @property
    def friction(self) -> Friction | None:
        """The behaviours labelled by the judge or, without labels, those detected by rules."""
        return self.judged.friction if self.judged else self.rules


Sources = Mapping[str, SourceInteraction]


@dataclass(frozen=True, slots=True)
class FrictionColumn:
    """The behaviours of a source, from one kind of labels.

    Attributes:
        label: The source's name, with the origin of its labels if the origin differs between
            sources.
        source: The source's name.
        human: Whether the source is a reference corpus.
    """

    label: str
    source: str
    human: bool
    friction: Friction


def friction_columns(sources: Sources) -> list[FrictionColumn]:
    """Return the behaviours of all sources, in one column per source if all labels have the same
    origin.

    Otherwise, rules and judges have separate columns, so that a judge's labels for a single source
    do not affect the comparison based on rules.
    """
    tellers = {one.friction.protocol for one in sources.values() if one.friction}
    found: list[FrictionColumn] = []
    for name, one in sources.items():
        if len(tellers) == 1:
            told = [(name, one.friction)]
        else:
            judge = one.judged.friction if one.judged else None
            told = [(f"{name} ({RULES})", one.rules)]
            told.append((f"{name} (judge {judge.told_by})" if judge else name, judge))
        found += [FrictionColumn(label, name, one.human, of) for label, of in told if of]
    return found


def differences(
    ours: SourceInteraction | None, human: SourceInteraction | None
) -> tuple[str, dict[str, Estimate]]:
    """Return the origin of the labels, and the differences in shares between two sources.

    The labels come from the judge if the same judge labelled both sources, and otherwise from the
    rules.
    """
    if ours is None or human is None:
        return RULES, {}
    if ours.friction and (apart := share_differences(ours.friction, human.friction)):
        return ours.friction.told_by, apart
    return RULES, share_differences(ours.rules, human.rules)


def interaction_tables(sources: Sources) -> Iterator[Table]:
    """Yield tables of the means per conversation, the evidence for addressees, the shares of turns
    with each behaviour, and the agreement between the rules and a judge."""
    measured = {
        name: one.measured
        for name, one in sources.items()
        if one.measured and one.measured.conversations
    }
    if measured:
        yield _measures(measured)
        yield _evidence(measured)
    if columns := friction_columns(sources):
        yield _friction(columns)
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
        "Means over conversations, with 95% intervals from the normal approximation. Group "
        "measures cover only conversations with three or more participants. "
        f"{accuracy_text()}"
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
    note = "Shares of turns, from the strongest evidence to the weakest."
    return Table("Evidence for the addressee of a turn", note, ["Evidence", *columns], rows)


def _friction(columns: Sequence[FrictionColumn]) -> Table:
    people: dict[str, Friction] = {}
    for one in columns:
        if one.human:
            people.setdefault(one.friction.protocol, one.friction)
    apart = [
        share_differences(one.friction, None if one.human else people.get(one.friction.protocol))
        for one in columns
    ]
    names = dict.fromkeys(name for one in columns for name in one.friction.shares)
    rows = [Row("ours", "Labelled by", [Cell(_told_by(one.friction)) for one in columns])]
    for name in names:
        shares = zip(columns, apart, strict=True)
        cells = [_share(one.friction.shares.get(name), of.get(name)) for one, of in shares]
        rows.append(Row("ours", _label(name), cells))
    note = (
        "Shares of turns with Wilson's 95% intervals, widened for the variation between "
        "conversations."
    )
    if any(one.friction.protocol == RULES for one in columns):
        note += " The rules apply only to English."
    if any(apart):
        note += (
            " An asterisk marks a difference from the human corpus whose 95% interval excludes 0."
        )
        if len({one.friction.protocol for one in columns}) > 1:
            note += " A judge's labels are compared only with the same judge's labels."
    return Table("Friction", note, ["Behaviour", *(one.label for one in columns)], rows)


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
    pooled = {"all behaviours": judged.pooled} if judged.pooled else {}
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
        f"Number of turns, out of {turns:,}, that have the behaviour according to the rules, the "
        f"judge ({judged.friction.told_by}), and both."
    )
    if judged.without_labels:
        note += f" Turns without labels: {judged.without_labels:,}."
    head = ["Behaviour", "rules", "judge", "both", "Cohen's kappa"]
    return Table(f"Rules and judge compared: {name}", note, head, rows)


def _label(behaviour: str) -> str:
    term = behaviour_term(behaviour)
    return term[:1].upper() + term[1:]
