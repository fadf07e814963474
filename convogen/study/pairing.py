"""Assignment of pairs, each with a natural and a simulated dialogue, to participants.

The rules are those in LLM Roleplay, section 3.4. Both dialogues in a pair have the same person,
goal and responder. Each pair is judged only once, and nobody sees two pairs with the same person
and goal. In addition, each participant sees the same number of pairs from each condition, with the
artificial dialogue equally often on each side.

The assignment is an edge colouring of a bipartite graph. The colours are the participants, and the
edges are the pairs. The nodes on one side are cells (a person and a goal). The nodes on the other
side are blocks of pairs from one condition; a block has one pair per participant. No node has more
edges than there are colours. Each participant therefore gets one pair from every block, and no two
pairs from the same cell.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from convogen.errors import SourceError
from convogen.study.answers import Pair, Side
from convogen.study.assignment import Assignment, chosen_pairs
from convogen.study.candidates import Candidate, opaque_id
from convogen.study.colouring import coloured
from convogen.text.counting import counted

__all__ = ["draw_pairs"]


def draw_pairs(
    candidates: Sequence[Candidate],
    participants: Sequence[str],
    per_participant: int,
    *,
    seed: int,
    assignment: Assignment = "paper",
    predicted: Mapping[str, float] | None = None,
    attention_checks: int = 0,
) -> list[Pair]:
    """Return the pairs for all participants, in the order in which each participant sees them.

    Args:
        candidates: Candidate pairs; see `candidate_pairs`.
        participants: The names of the participants.
        per_participant: Number of pairs per participant, a multiple of the number of conditions.
        seed: Random seed; the same arguments give the same pairs.
        assignment: How pairs are chosen if there are more candidates than needed.
        predicted: For `adaptive`: candidate id -> the judge's probability that people do not detect
            the simulated dialogue, 0 to 1.
        attention_checks: Number of extra pairs per participant that check whether dialogues are
            read. Their combinations of person and goal occur in none of the participant's other
            pairs.

    Raises:
        SourceError: The pairs cannot be assigned under these rules, or an argument is invalid.
    """
    draw = random.Random(f"pairs {seed}")
    by_condition: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_condition[one.condition].append(one)
    _check_sizes(by_condition, participants, per_participant)
    n = len(participants) * per_participant // len(by_condition)
    adaptive = (predicted or {}) if assignment == "adaptive" else None
    chosen = chosen_pairs(by_condition, n, len(participants), draw, adaptive)
    blocks = [
        (block, one)
        for condition, of in enumerate(chosen)
        for block, one in _blocks(of, condition, len(participants), draw)
    ]
    colours = coloured([(one.cell, block) for block, one in blocks], len(participants), draw)
    shown: list[list[Candidate]] = [[] for _ in participants]
    for colour, (_, one) in zip(colours, blocks, strict=True):
        shown[colour].append(one)
    found: list[Pair] = []
    for nth, (participant, own) in enumerate(zip(participants, shown, strict=True)):
        pairs = _with_sides(own, participant, nth, draw)
        draw.shuffle(pairs)
        checks = _checks(candidates, own, participant, attention_checks, draw)
        found += _spread(pairs, checks, draw)
    return found


def _check_sizes(
    by_condition: Mapping[str, Sequence[Candidate]],
    participants: Sequence[str],
    per_participant: int,
) -> None:
    if not participants or per_participant < 1:
        raise SourceError("a study needs at least 1 participant and 1 pair per participant")
    if len(set(participants)) < len(participants):
        raise SourceError("two participants have the same name; use a different name for each")
    conditions = len(by_condition)
    if per_participant % conditions:
        allowed = per_participant - per_participant % conditions or conditions
        raise SourceError(
            f"{counted(per_participant, 'pair')} per participant cannot be split evenly over "
            f"{conditions} conditions; use a multiple of {conditions}, such as {allowed}"
        )
    n = len(participants) * per_participant // conditions
    for condition, of in sorted(by_condition.items()):
        if len(of) < n:
            raise SourceError(
                f"the study needs {counted(n, 'pair')} per condition for "
                f"{counted(len(participants), 'participant')} with {per_participant} each, but "
                f"{condition!r} has only {len(of)}, and each pair is judged only once; use fewer "
                "participants or pairs, or add dialogues"
            )


def _blocks(
    of: Sequence[Candidate], condition: int, size: int, draw: random.Random
) -> Iterable[tuple[tuple[int, int], Candidate]]:
    """Yield the pairs of a condition in random order, each with its block (condition, index)."""
    for nth, one in enumerate(draw.sample(of, len(of))):
        yield (condition, nth // size), one


def _with_sides(
    own: Sequence[Candidate], participant: str, nth: int, draw: random.Random
) -> list[Pair]:
    """Return a participant's pairs; in half of each condition's pairs, the artificial dialogue is
    on the left.

    If a condition has an odd number of pairs, the side of the extra pair alternates across
    conditions and participants.
    """
    by_condition: dict[str, list[Candidate]] = defaultdict(list)
    for one in own:
        by_condition[one.condition].append(one)
    found: list[Pair] = []
    sides: tuple[Side, Side] = ("left", "right")
    for at, condition in enumerate(sorted(by_condition)):
        of = draw.sample(by_condition[condition], len(by_condition[condition]))
        found += [
            _pair(one, participant, sides[(place + at + nth) % 2]) for place, one in enumerate(of)
        ]
    return found


def _checks(
    candidates: Sequence[Candidate],
    own: Sequence[Candidate],
    participant: str,
    n: int,
    draw: random.Random,
) -> list[Pair]:
    seen = {one.cell for one in own}
    free: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for one in candidates:
        if one.cell not in seen:
            free[one.cell].append(one)
    if len(free) < n:
        raise SourceError(
            f"attention_checks: must be at most {len(free)}, the number of person–goal "
            f"combinations that a participant sees in no other pair (found {n})"
        )
    found: list[Pair] = []
    for cell in draw.sample(sorted(free), n):
        one = draw.choice(free[cell])
        one = replace(one, id=opaque_id("check", participant, one.id), probability=1.0)
        side: Side = draw.choice(("left", "right"))
        found.append(_pair(one, participant, side, attention_check=True))
    return found


def _spread(pairs: Sequence[Pair], checks: Sequence[Pair], draw: random.Random) -> list[Pair]:
    """Divide the pairs into equal parts, one per check, and insert each check at random in its
    part."""
    cuts = [len(pairs) * nth // max(len(checks), 1) for nth in range(len(checks) + 1)]
    before: dict[int, list[Pair]] = defaultdict(list)
    for check, low, high in zip(checks, cuts, cuts[1:], strict=False):
        before[draw.randint(low, max(low, high - 1))].append(check)
    rows = ((*before[at], pair) for at, pair in enumerate(pairs))
    return [*chain.from_iterable(rows)]


def _pair(one: Candidate, participant: str, side: Side, *, attention_check: bool = False) -> Pair:
    return Pair(
        pair=one.id,
        participant=participant,
        source_person=one.source_person,
        goal=one.goal,
        condition=one.condition,
        natural=one.natural,
        simulated=one.simulated,
        artificial_side=side,
        probability=one.probability,
        attention_check=attention_check,
    )
