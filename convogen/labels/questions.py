"""The questions that annotators answer about a conversation: the default set or a YAML file.

    guidelines: Read all of the conversation first.
    questions:
      - {name: topic, kind: rating, title: Is it about the topic?, scale: [1, 5]}
      - name: artificial
        kind: choice
        title: Is it artificial or natural?
        options: {"Yes": artificial, "No": natural}
        protocol: unieval
      - {name: comment, kind: text, title: Anything else?}

A rating named after a judge's aspect can be compared with that judge's scores. A choice with a
`protocol` can be compared with verdicts under that protocol. The ratings in the default set use
aspects, wording and the scale from the `geval` judge.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from convogen.errors import SourceError
from convogen.inputs.keys import Keys
from convogen.inputs.validation import validated
from convogen.inputs.yaml12 import dump_yaml, read_mapping
from convogen.judges.geval import GENERATED, GEval
from convogen.judges.verdict_files import PROTOCOLS, Protocol

__all__ = ["Choice", "Comment", "Question", "Questions", "Rating"]

_RESERVED = frozenset(
    "agreement annotation_id annotator conversation created_at dialogue history id lead_time scene "
    "updated_at".split()
)
"""Keys that the labelling tools use alongside the answers."""

_DEFAULT_ASPECTS = ("topic", "situation", "relations", "speech_style", "overall")
_GUIDELINES = (
    "Read the scene and the whole conversation first. Answer each question independently; 1 is the "
    "lowest rating. All text was written for this task, and its links lead nowhere."
)

Shown = Annotated[str, Field(min_length=1, max_length=200)]


def _no_variable(text: str) -> str:
    if "$" in text:
        raise ValueError("must not contain $, which starts a variable in Label Studio")
    return text


class _Question(Keys):
    """Base class of all questions, with the name used in answers and the text that is shown."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)
    title: str = Field(min_length=1, max_length=500)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in _RESERVED:
            names = ", ".join(sorted(_RESERVED))
            raise ValueError(
                f"is reserved by the labelling tools; choose another name (reserved: {names})"
            )
        return name

    @field_validator("title")
    @classmethod
    def _plain(cls, title: str) -> str:
        return _no_variable(title)


class Rating(_Question):
    """A rating on a scale of whole numbers."""

    kind: Literal["rating"] = "rating"
    scale: tuple[int, int] = Field(default=(1, 5), description="the lowest and the highest rating")
    required: bool = True

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= scale[0] < scale[1] <= 10:
            raise ValueError("must be two whole numbers from 0 to 10, with the lower one first")
        return scale

    @property
    def values(self) -> range:
        """All ratings, lowest first."""
        return range(self.scale[0], self.scale[1] + 1)


class Choice(_Question):
    """A choice of one option; `options` maps recorded values to displayed text.

    If `protocol` is set, the recorded values must be choices under that judge protocol.
    """

    kind: Literal["choice"] = "choice"
    options: dict[Shown, Shown] = Field(min_length=2, max_length=50)
    protocol: Protocol | None = None
    required: bool = True

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        shown = list(self.options.values())
        if len(set(shown)) < len(shown):
            raise ValueError("options: two options have the same text; change one of them")
        for value, text in self.options.items():
            _no_variable(value)
            _no_variable(text)
            if text in self.options and text != value:
                raise ValueError(
                    f"options: {text!r} is the recorded value of one option and the text of "
                    "another option; change one of them"
                )
        if self.protocol and not set(self.options) <= set(PROTOCOLS[self.protocol]):
            allowed = ", ".join(PROTOCOLS[self.protocol])
            raise ValueError(
                f"options: with protocol {self.protocol}, the recorded values must be among "
                f"{allowed}"
            )
        return self


class Comment(_Question):
    """A free-text answer."""

    kind: Literal["text"] = "text"
    required: bool = False


def _kind(value: Any) -> str | None:
    """Return the kind of a question.

    A function is needed because pydantic does not allow validators on a discriminator field.
    """
    if isinstance(value, _Question):
        return getattr(value, "kind", None)
    kind: Any = cast("Any", value).get("kind") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


Question = Annotated[
    Annotated[Rating, Tag("rating")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[Comment, Tag("text")],
    Discriminator(
        _kind,
        custom_error_type="no_kind",
        custom_error_message="`kind` must be rating, choice or text",
    ),
]


class Questions(Keys):
    """The questions about each conversation, and the guidelines shown before them."""

    guidelines: str = Field(default=_GUIDELINES, max_length=10_000)
    questions: list[Question] = Field(min_length=1, max_length=50)

    @field_validator("questions")
    @classmethod
    def _unique(cls, questions: list[Question]) -> list[Question]:
        names = [one.name for one in questions]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two questions have the name {twice!r}; rename one of them")
        protocols = [one.protocol for one in questions if isinstance(one, Choice) and one.protocol]
        if len(set(protocols)) < len(protocols):
            raise ValueError("two questions have the same protocol; keep one of them")
        return questions

    def get(self, name: str) -> Question | None:
        """Return the question with this name; None if no question has it."""
        return next((one for one in self.questions if one.name == name), None)

    def to_yaml(self) -> str:
        """Return the questions as YAML that `read` accepts."""
        return dump_yaml(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the questions in a YAML file, or raise `SourceError` if the file is invalid."""
        data: Any = read_mapping(path)
        return validated(cls, data, str(path), raising=SourceError)

    @staticmethod
    @lru_cache(maxsize=1)
    def default() -> Questions:
        """Return the default questions: ratings of `geval` aspects, a choice between artificial and
        natural, and a comment."""
        scale = GEval().scale
        asked: list[Question] = [
            Rating(
                name=aspect,
                title=f"How well is the conversation grounded in {GENERATED[aspect]}?",
                scale=scale,
            )
            for aspect in _DEFAULT_ASPECTS
        ]
        asked.append(
            Choice(
                name="artificial",
                title="Is the conversation artificial or natural?",
                options={"Yes": "artificial", "No": "natural"},
                protocol="unieval",
            )
        )
        asked.append(Comment(name="comment", title="Do you have any other comments?"))
        return Questions(questions=asked)
