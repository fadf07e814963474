"""The plan of participants' items, which is made from the design before the study begins and is
kept in the store."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
from typing import Any

from convogen.errors import SourceError
from convogen.study.candidates import Candidate
from convogen.study.pairing import draw_pairs
from convogen.study.store import Store
from convogen.study.study_file import CollectDesign, Design, PairsDesign, RatingsDesign

__all__ = ["draw_ratings", "next_step", "plan_study", "steps"]


def plan_study(design: Design, store: Store, where: object) -> None:
    """Plan a study, or replan it if its design was edited before anybody answered.

    Args:
        design: The design.
        store: The study's store, which already contains the dialogues and participants.
        where: The file with the design, for error messages.

    Raises:
        SourceError: The plan would change after the first answer, or no plan is possible.
    """
    planned = design.planned()
    before = store.meta("planned")
    if before == planned:
        return
    if before is not None and store.any_answer():
        changed = next(key for key in planned if before.get(key) != planned[key])
        raise SourceError(
            f"{where}: {changed}: cannot be changed, since somebody has already answered; "
            f"restore the value {_short(before.get(changed))} or create a new study"
        )
    names = [one.id for one in store.participants()]
    if len(names) != design.participants:
        raise SourceError(
            f"{where}: participants: must be {len(names)}, the number of codes (found "
            f"{design.participants}); to change it, use `convogen study new --participants`"
        )
    store.plan(planned, _items(design, store, names))


def _short(value: Any) -> str:
    text = f"{value}"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _items(design: Design, store: Store, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return each participant's items, in order."""
    if isinstance(design, CollectDesign):
        goals = [{"goal": at} for at in range(len(design.goals))]
        return dict.fromkeys(names, goals)
    if isinstance(design, RatingsDesign):
        return draw_ratings(
            store.dialogue_ids(),
            names,
            design.dialogues_each,
            seed=design.seed,
            attention_checks=design.attention_checks,
        )
    assert isinstance(design, PairsDesign), "there are three kinds"
    pairs = draw_pairs(
        _candidates(store),
        names,
        design.pairs_each,
        seed=design.seed,
        assignment=design.assignment,
        predicted=store.meta("predicted"),
        attention_checks=design.attention_checks,
    )
    items: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for pair in pairs:
        items[pair.participant].append(pair.model_dump(mode="json"))
    return items


def _candidates(store: Store) -> list[Candidate]:
    kept: list[dict[str, Any]] = store.meta("candidates") or []
    return [Candidate(**one) for one in kept]


def draw_ratings(
    dialogues: Sequence[str],
    participants: Sequence[str],
    each: int,
    *,
    seed: int,
    attention_checks: int = 0,
) -> dict[str, list[dict[str, Any]]]:
    """Return the dialogues for each participant; all dialogues are rated about equally often.

    Args:
        dialogues: The ids of the dialogues.
        participants: The names of the participants.
        each: Number of different dialogues that each participant rates.
        seed: Random seed; the same arguments give the same draws.
        attention_checks: Number of additional dialogues per participant that state how to rate
            them. Their key `expected` gives the point to choose on every scale.

    Raises:
        SourceError: There are too few dialogues.
    """
    if each + attention_checks > len(dialogues):
        raise SourceError(
            f"dialogues_each and attention_checks: their sum ({each} + {attention_checks}) must be "
            f"at most the number of dialogues, {len(dialogues)}"
        )
    draw = random.Random(f"ratings {seed}")
    times = dict.fromkeys(dialogues, 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in participants:
        order = draw.sample(dialogues, len(dialogues))
        chosen = sorted(order, key=times.__getitem__)[:each]
        for one in chosen:
            times[one] += 1
        own: list[dict[str, Any]] = [{"dialogue": one} for one in chosen]
        draw.shuffle(own)
        rest = [one for one in order if one not in chosen]
        for one in rest[:attention_checks]:
            check = {"dialogue": one, "expected": draw.choice((1, 2))}
            own.insert(draw.randint(1, len(own)), check)
        found[name] = own
    return found


def next_step(design: Design, items: int, answered: Container[str]) -> str | None:
    """Return the first unanswered step, or None if all steps are answered."""
    return next((step for step in steps(design, items) if step not in answered), None)


def steps(design: Design, items: int) -> list[str]:
    """Return the names of a participant's steps in order; the items are named item:0, item:1, …"""
    before = ["consent"]
    if isinstance(design, CollectDesign) and design.features:
        before.append("persona")
    if design.experience is not None:
        before.append("experience")
    if not isinstance(design, CollectDesign):
        before.append("start")
    return [*before, *(f"item:{at}" for at in range(items))]
