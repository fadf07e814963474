"""Questions that participants answer by choosing an option or a point on a scale."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from convogen.inputs.keys import Keys

__all__ = ["Line", "Option", "Question", "Scale"]

Line = Annotated[str, Field(min_length=1, max_length=300)]
Option = Annotated[str, Field(min_length=1, max_length=120)]


class Question(Keys):
    """A question that is answered by choosing one of its options."""

    question: Line
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=20)]


class Scale(Keys):
    """A rating scale from 1 to `points`."""

    id: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="name of the question in the data"
    )
    question: Line
    points: int = Field(ge=2, le=11)
    labels: tuple[Option, ...] = Field(
        default=(),
        description="labels for both ends or for every point; if empty, only numbers are shown",
    )

    @model_validator(mode="after")
    def _ends_or_all(self) -> Self:
        if len(self.labels) not in {0, 2, self.points}:
            raise ValueError(
                f"labels: must have 2 entries, one per end, or {self.points}, one per point "
                f"(found {len(self.labels)})"
            )
        return self

    def label(self, point: int) -> str:
        """Return the label of a point, or "" if the point has no label."""
        if len(self.labels) == self.points:
            return self.labels[point - 1]
        ends = dict(zip((1, self.points), self.labels, strict=False))
        return ends.get(point, "")
