"""The steps before the tasks: consent, persona form, experience with chatbots, and start page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from convogen.methods.roleplay.personas import Feature
from convogen.study.people_chart import UNSAID
from convogen.study.study_file import CollectDesign, Design, PairsDesign
from convogen.web.study.rendering import blocks
from convogen.web.study.visit import Refused, Visit

__all__ = ["page", "take"]

_LABELS: dict[Feature, str] = {
    "age": "Age range",
    "race": "Race",
    "gender": "Gender",
    "education": "Education",
    "native_english": "Is English your native language?",
}
_SHOWN = {"native": "Yes", "non-native": "No"}
"""Data value -> its text in forms, if the two differ."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A question in a form; each option is a pair of a value and the displayed text."""

    name: str
    label: str
    options: list[tuple[str, str]]


def _fields(design: Design, step: str) -> list[_Field]:
    if step == "persona" and isinstance(design, CollectDesign):
        return [
            _Field(
                name,
                _LABELS[name],
                [*((one, _option(one)) for one in options), ("", UNSAID)],
            )
            for name, options in design.features.items()
        ]
    if step == "experience" and design.experience is not None:
        question = design.experience
        return [_Field("experience", question.question, [(one, one) for one in question.options])]
    return []


def _option(value: str) -> str:
    shown = _SHOWN.get(value, value)
    return shown[:1].upper() + shown[1:]


def page(visit: Visit, refused: Refused | None) -> Response:
    """Return the page for a step."""
    design, step = visit.site.design, visit.step or ""
    if step == "consent":
        return visit.page("consent.html", refused, text=blocks(design.consent))
    if step == "start":
        pairs = isinstance(design, PairsDesign)
        return visit.page("start.html", refused, text=blocks(design.instruction), pairs=pairs)
    title = "Your persona" if step == "persona" else "Before we begin"
    return visit.page("form.html", refused, heading=title, fields=_fields(design, step))


def take(visit: Visit, form: Mapping[str, str]) -> dict[str, object] | Refused:
    """Return the answer to a step, or a `Refused` with the errors."""
    design, step = visit.site.design, visit.step or ""
    if step == "start":
        return {"started": True}
    if step == "consent":
        if form.get("agree") == "yes":
            return {"agreed": True}
        return Refused({"agree": "Please tick the box if you want to take part."}, form)
    fields = _fields(design, step)
    errors = {
        field.name: f"Please choose an answer to “{field.label}”."
        for field in fields
        if form.get(field.name) not in dict(field.options)
    }
    if errors:
        return Refused(errors, form)
    return {field.name: form[field.name] for field in fields if form[field.name]}
