"""The page for rating a single dialogue."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from convogen.study.questions import Scale
from convogen.study.study_file import RatingsDesign
from convogen.web.study.rendering import Block, Bubble, shown_dialogue
from convogen.web.study.visit import Refused, Visit

__all__ = ["page", "take"]

_LONGEST_COMMENT = 5_000


def _scales(visit: Visit) -> tuple[Scale, ...]:
    assert isinstance(visit.site.design, RatingsDesign), "dialogues are rated"
    return visit.site.design.scales


def _shown(visit: Visit) -> list[Bubble]:
    """Return the utterances to show; an attention check has one more utterance, which states the
    expected answer."""
    item = visit.item or {}
    bubbles = shown_dialogue(visit.site.store.dialogue(item["dialogue"]).turns)
    if (point := item.get("expected")) is None:
        return bubbles
    said = (
        "This text is not part of the dialogue. It checks whether the dialogues are read. Please "
        f"choose {point} on every scale below, whatever you think of the dialogue."
    )
    number = bubbles[-1].number
    check = Bubble(bubbles[-1].machine, number, opens=False, blocks=[Block(said, code=False)])
    return [*bubbles[:-1], check, bubbles[-1]]


def page(visit: Visit, refused: Refused | None) -> Response:
    """Return the page with a dialogue and the scales."""
    return visit.page(
        "rating.html",
        refused,
        dialogue=_shown(visit),
        longest_comment=_LONGEST_COMMENT,
    )


def take(visit: Visit, form: Mapping[str, str]) -> dict[str, object] | Refused:
    """Return the ratings of a dialogue, or a `Refused` with the errors."""
    scales = _scales(visit)
    errors = {
        scale.id: f"Please choose an answer to “{scale.question}”."
        for scale in scales
        if form.get(scale.id, "") not in {f"{point}" for point in range(1, scale.points + 1)}
    }
    comment = form.get("comment", "").strip()
    if len(comment) > _LONGEST_COMMENT:
        errors["comment"] = f"Please use at most {_LONGEST_COMMENT:,} characters."
    if errors:
        return Refused(errors, form)
    ratings = {scale.id: int(form[scale.id]) for scale in scales}
    return {"ratings": ratings, **({"comment": comment} if comment else {})}
