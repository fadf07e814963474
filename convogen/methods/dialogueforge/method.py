"""DialogueForge: a user and a chatbot simulated from a real dialogue's opening and its task."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from convogen.corpora.seeds import Seeds, open_seeds
from convogen.errors import SourceError
from convogen.methods.base import Method, Play, RunInputs
from convogen.methods.dialogueforge.lengths import later_turns
from convogen.models.base import Sampling
from convogen.models.spec import EMBEDDED_NO_LOOPS

__all__ = ["DialogueForge"]


class DialogueForge(Method):
    """Parameters of the DialogueForge method.

    Task p continues seed p, so there are as many tasks as seeds.
    """

    name: ClassVar[str] = "dialogueforge"
    process: ClassVar[str] = (
        "Two models, one as the person and one as the chatbot, take turns to continue the opening "
        "of a real dialogue on the same task."
    )
    counts_failed_tasks: ClassVar[bool] = True
    has_experiences: ClassVar[bool] = False
    path_fields: ClassVar[tuple[str, ...]] = ("seeds",)
    prompt_names: ClassVar[tuple[str, ...]] = (
        "inquirer",
        "inquirer_turn",
        "responder",
        "task_summary",
    )
    roles: ClassVar[dict[str, Sampling]] = {
        "inquirer": Sampling(temperature=0.9, max_tokens=300),
        "responder": Sampling(temperature=0.7, max_tokens=800),
        "summarizer": Sampling(temperature=0.3, max_tokens=200),
    }
    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {
        # Otherwise, the model would continue with the chatbot's reply.
        "inquirer": Sampling(
            temperature=0.9,
            top_p=0.9,
            max_tokens=60,
            frequency_penalty=0.5,
            presence_penalty=0.4,
            extra={**EMBEDDED_NO_LOOPS, "grammar": r"root ::= [^:\n]+"},
        ),
        "responder": Sampling(top_p=0.9, extra=EMBEDDED_NO_LOOPS),
        "summarizer": Sampling(
            extra={**EMBEDDED_NO_LOOPS, "grammar": r'root ::= "You want to " [^:\n]+'}
        ),
    }

    seeds: str = Field(
        description="real dialogues between people and chatbots, whose openings are continued: a "
        "file, a run folder, or hf:OWNER/NAME[@CONFIG][:SPLIT]"
    )
    seeds_format: str | None = Field(
        default=None, description="format of the seeds; detected automatically by default"
    )
    seeds_licence: str | None = Field(
        default=None,
        description="licence of the seeds; for OASST1 and Chatbot Arena, the published licence is "
        "the default",
    )
    min_utterances: int = Field(
        default=6,
        ge=1,
        le=1000,
        description="minimum number of utterances in a seed; shorter dialogues are skipped",
    )
    utterances: int = Field(
        default=6,
        ge=3,
        le=200,
        description="maximum number of utterances per dialogue, including those taken from the "
        "seed; 6 or 12 in the paper",
    )
    opening: Literal[1, 2] = Field(
        default=1,
        description="number of utterances taken from the seed: 1 (the user's first message) or 2 "
        "(also the chatbot's reply, as in the paper's data)",
    )
    conclude: bool = Field(
        default=True,
        description="whether the inquirer may end the dialogue; if off, the dialogue continues "
        "until it has the maximum number of utterances",
    )
    match_lengths: bool = Field(
        default=False,
        description="whether the inquirer is asked for messages that are about as long as those "
        "of real users in other seeds, not counting each user's first message",
    )
    reasks: int = Field(
        default=2,
        ge=0,
        le=10,
        description="maximum number of retries after an unusable reply",
    )

    @field_validator("language")
    @classmethod
    def _one_language(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            raise ValueError("must be a single language: the language of the seeds to use")
        return value

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        return not value.startswith("hf:")

    def most_turns(self) -> int:
        return self.utterances

    def task_count(self) -> int:
        return len(self.data.seeds)

    def notices(self) -> list[str]:
        return [f"seeds from {self.data.name}: {self.data.about}"]

    def sources(self) -> dict[str, str]:
        """Return the content hash, name and licence of the cleaned seeds, and a summary of the
        cleaning."""
        return {
            "seeds": self.data.hash,
            "seeds_name": self.data.name,
            "seeds_licence": self.seeds_licence or self.data.licence or "not known",
            "seeds_cleaned": self.data.about,
        }

    @cached_property
    def data(self) -> Seeds:
        """The cleaned seeds, read once.

        Raises `SourceError` if the seeds are unusable or, with `match_lengths`, if fewer than two
        seeds have a second user message.
        """
        language = self.language if isinstance(self.language, str) else None
        seeds = open_seeds(self.seeds, self.seeds_format, self.min_utterances, language)
        if self.match_lengths and sum(bool(later_turns(one)) for one in seeds.seeds) < 2:
            raise SourceError(
                f"{self.seeds}: match_lengths requires at least two seeds in which the user "
                "writes a second message; provide more seeds"
            )
        return seeds

    def sampling(self, role: str) -> Sampling:
        """Return the default sampling settings for a role. With `match_lengths`, each of the
        inquirer's turns sets its own token limit."""
        settings = self.roles[role]
        if role != "inquirer" or not self.match_lengths:
            return settings
        return settings.model_copy(update={"max_tokens": None})

    def lineages(self) -> None:
        """Return None: tasks are independent."""

    def start(self, inputs: RunInputs) -> Play:
        from convogen.methods.dialogueforge.play import DialogueForgePlay

        return DialogueForgePlay(self, inputs)
