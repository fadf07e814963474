"""A participant's request, and the step that it concerns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.responses import HTMLResponse

from convogen.study.tables import Participant
from convogen.web.study.site import Site

__all__ = ["Refused", "Visit"]


@dataclass(frozen=True)
class Refused:
    """A refused answer: the error for each faulty field, and the given values."""

    errors: Mapping[str, str]
    given: Mapping[str, str]
    status: int = 422


@dataclass(frozen=True)
class Visit:
    """A participant's request; `step` is None if all steps are answered."""

    site: Site
    participant: Participant
    step: str | None
    items: list[dict[str, Any]]

    @cached_property
    def position(self) -> int | None:
        """The index of this step's item, counted from 0; None if the step has no item."""
        name, sign, number = (self.step or "").partition(":")
        return int(number) if sign and name == "item" else None

    @property
    def item(self) -> dict[str, Any] | None:
        """The item of this step; None if the step has no item."""
        return None if self.position is None else self.items[self.position]

    def page(
        self, name: str, refused: Refused | None, part: object = "", **values: Any
    ) -> HTMLResponse:
        """Return this step's page, with the errors and given values if an answer was refused."""
        empty: Mapping[str, str] = {}
        return self.site.page(
            name,
            refused.status if refused else 200,
            token=self.page_token(part),
            errors=refused.errors if refused else empty,
            given=refused.given if refused else empty,
            done=self.position,
            of=len(self.items),
            **values,
        )

    def page_token(self, part: object = "") -> str:
        """Return the token for this step's page, or for one part of the step."""
        return self.site.token(self.participant.id, f"{self.step}/{part}")

    def is_from_its_page(self, form: Mapping[str, str], part: object = "") -> bool:
        """Return whether a form came from this step's page."""
        return self.site.is_token(form.get("page", ""), self.participant.id, f"{self.step}/{part}")

    def answer(self, body: Mapping[str, Any]) -> None:
        """Record the answer to this step; a second answer changes nothing."""
        self.site.store.answer(self.participant.id, self.step or "", body)
