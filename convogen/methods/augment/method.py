"""Augment: extend a labelled data set with labelled group chats of the same shape."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from itertools import islice
from typing import ClassVar

from pydantic import Field, model_validator

from convogen.corpora.labelled import Kind, LabelledSource, open_labelled
from convogen.errors import SourceError
from convogen.methods.base import Method, Play, RunInputs
from convogen.models.base import Sampling
from convogen.personas import open_hub
from convogen.text.identify import identify
from convogen.text.language_tags import ENGLISH, language_name, languages_text, same_language

__all__ = ["Augment"]

IDENTIFIED = 200
"""Maximum number of source dialogues that are used to determine the source's language."""


class Augment(Method):
    """Parameters of the augment method."""

    name: ClassVar[str] = "augment"
    process: ClassVar[str] = (
        "For each conversation, a model writes a scene that suits a labelled data set. The scene "
        "is then played turn by turn, with planned speakers and labels."
    )
    path_fields: ClassVar[tuple[str, ...]] = ("source",)
    prompt_names: ClassVar[tuple[str, ...]] = (
        "scene",
        "opening",
        "agent",
        "turn",
        "selector",
        "summary",
        "choice",
        "emotions",
    )
    prompt_owners: ClassVar[dict[str, str]] = dict.fromkeys(
        ("agent", "turn", "selector"), "convogen"
    )
    roles: ClassVar[dict[str, Sampling]] = {
        "generator": Sampling(temperature=1.0, max_tokens=1000),
        "agent": Sampling(temperature=0.9),
        "selector": Sampling(temperature=0.0, max_tokens=40),
        "labeller": Sampling(temperature=0.3, max_tokens=600),
    }

    source: str = Field(
        description="labelled data set to extend: a file, a run folder, or "
        "hf:OWNER/NAME[@CONFIG][:SPLIT]"
    )
    source_format: str | None = Field(
        default=None, description="format of the source data set; detected automatically by default"
    )
    source_licence: str | None = Field(
        default=None,
        description="licence of the source data set; for DialogSum and MELD, the published "
        "licence is the default",
    )
    label: tuple[Kind, ...] = Field(
        default=(),
        description="labels to generate; by default, all labels found in the source data set",
    )
    fields: dict[Kind, str] = Field(
        default_factory=dict[Kind, str],
        description="for each label, the column of the source data set that contains it; detected "
        "automatically by default",
    )
    balance: Kind | None = Field(
        default=None,
        description="label whose values should be equally frequent; by default, the values of "
        "every label are as frequent as in the source data set",
    )
    shots: int = Field(
        default=2,
        ge=1,
        le=4,
        description="number of source dialogues shown to the models as examples",
    )
    relabel: bool = Field(
        default=True,
        description="whether to keep a conversation, labelled with the labeller's choice, if that "
        "choice differs from the planned topic or intent; if this option is off, or if the "
        "label is the one being balanced, the attempt to generate the conversation fails",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=20,
        description="maximum number of attempts per task; if all of them fail, the task fails",
    )
    max_turns: int = Field(
        default=30,
        ge=2,
        le=200,
        description="maximum number of turns in a source dialogue; longer dialogues are skipped",
    )
    reasks: int = Field(
        default=2,
        ge=0,
        le=10,
        description="maximum number of retries after an unusable reply",
    )

    @model_validator(mode="after")
    def _possible(self) -> Augment:
        if self.balance == "summary":
            raise ValueError(
                "balance: summaries cannot be balanced; allowed: topic, intent, emotion"
            )
        if self.balance and self.label and self.balance not in self.label:
            raise ValueError(
                f"balance: {self.balance} is not listed in label ({', '.join(self.label)}); add "
                "it there"
            )
        return self

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        return not value.startswith("hf:")

    def languages(self) -> tuple[str, ...]:
        """Return the requested languages or, if none is requested, the source's language; empty if
        the latter is unknown or English."""
        own = self.source_language
        kept = () if own is None or same_language(own, ENGLISH) else (own,)
        return super().languages() or kept

    @cached_property
    def source_language(self) -> str | None:
        """The most frequent language of the source's dialogues, whether stated or detected; None if
        unknown."""
        some = islice(self.data.dialogues, IDENTIFIED)
        found = (one.language or identify(turn.text for turn in one.turns) for one in some)
        counts = Counter(tag for tag in found if tag)
        return counts.most_common(1)[0][0] if counts else None

    def notices(self) -> list[str]:
        own, asked = self.source_language, super().languages()
        if not asked and self.languages():
            return [
                f"generating text in {languages_text(self.languages())}, the language of the source"
            ]
        if own and (other := [tag for tag in asked if not same_language(tag, own)]):
            return [
                f"the source is in {language_name(own)}, so its dialogues show the model what to "
                f"write about, but not how people talk in {languages_text(other)}"
            ]
        return []

    def sources(self) -> dict[str, str]:
        """Return the content hash, name, licence and label columns of the source, and the content
        hash of the personas."""
        data, kept = self.data, self.languages() if self.language is None else ()
        columns = ", ".join(f"{kind}: {key}" for kind, key in data.columns.items())
        return {
            "source": data.hash,
            "source_name": data.name,
            "source_licence": data.licence or "not known",
            "source_labels": columns or "none",
            "personas": open_hub("everyday").hash,
            **({"source_language": kept[0]} if kept else {}),
        }

    @cached_property
    def data(self) -> LabelledSource:
        """The labelled source, read once."""
        data = open_labelled(
            self.source,
            format=self.source_format,
            kinds=self.label,
            columns=self.fields,
            max_turns=self.max_turns,
            licence=self.source_licence,
        )
        if self.balance and self.balance not in data.columns:
            raise SourceError(
                f"{self.source}: has no {self.balance} label to balance; labels found: "
                f"{', '.join(data.columns) or 'none'}"
            )
        return data

    def most_turns(self) -> int:
        return self.max_turns

    def lineages(self) -> None:
        """Return None: tasks are independent."""

    def start(self, inputs: RunInputs) -> Play:
        from convogen.methods.augment.play import AugmentPlay

        return AugmentPlay(self, inputs)
