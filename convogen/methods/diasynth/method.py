"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair of personas."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.methods.base import Method, Play, RunInputs
from convogen.methods.diasynth.examples import Examples, open_examples, shipped_examples
from convogen.methods.diasynth.plan import DialoguePlan
from convogen.models.base import Sampling
from convogen.models.spec import EMBEDDED_NO_LOOPS
from convogen.prompts import Prompt
from convogen.text.language_tags import languages_text

__all__ = ["DiaSynth"]

TOPICS = Path(__file__).with_name("topics.txt")
MAX_TOPIC_CHARS = 200
ROUGE_L = 0.5
"""The ROUGE-L score at or above which the authors' code drops a subtopic or a persona as a copy."""

Turns = Annotated[int, Field(ge=2, le=100)]


def _as_range(value: Any) -> Any:
    return [value, value] if isinstance(value, int) else value


class DiaSynth(Method):
    """Parameters of the DiaSynth method."""

    name: ClassVar[str] = "diasynth"
    process: ClassVar[str] = (
        "For each topic, a model lists subtopics and personas. For each group of personas, it then "
        "decides on the circumstances of their dialogue and writes the dialogue."
    )
    path_fields: ClassVar[tuple[str, ...]] = ("topics", "examples")
    added_later: ClassVar[tuple[str, ...]] = ("addressees",)
    prompt_names: ClassVar[tuple[str, ...]] = (
        "subtopics",
        "personas",
        "dialogue",
        "opening",
        "agent",
        "turn",
        "selector",
        "addressed",
    )
    prompt_owners: ClassVar[dict[str, str]] = dict.fromkeys(
        ("agent", "turn", "selector", "addressed"), "convogen"
    )
    roles: ClassVar[dict[str, Sampling]] = {
        "planner": Sampling(temperature=1.0, max_tokens=3000),
        "writer": Sampling(temperature=1.0, max_tokens=3000),
        "agent": Sampling(temperature=0.9),
        "selector": Sampling(temperature=0.0, max_tokens=40),
    }
    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {
        "planner": Sampling(
            temperature=0.9, max_tokens=1200, extra={**EMBEDDED_NO_LOOPS, "top_k": 30}
        ),
        # A dialogue in a single reply must not repeat even its earliest turns.
        "writer": Sampling(
            temperature=0.9,
            max_tokens=1200,
            extra={**EMBEDDED_NO_LOOPS, "dry_penalty_last_n": 1024, "top_k": 30},
        ),
    }

    topics: str | None = Field(
        default=None,
        description="file with one topic per line; by default, the sixteen topics in the paper",
    )
    n_subtopics: int = Field(
        default=6, ge=1, le=1000, description="number of subtopics per topic (m in the paper)"
    )
    n_personas: int = Field(
        default=6, ge=2, le=100, description="number of personas per subtopic (p in the paper)"
    )
    group_size: int = Field(
        default=2,
        ge=2,
        le=6,
        description="number of personas per dialogue (2 in the paper); one dialogue is planned "
        "for every possible group of this size",
    )
    similarity: str = Field(
        default="token_sort",
        pattern="^(token_sort|token_set|rouge_l|embedding:.+)$",
        description="similarity measure for subtopics and personas: `token_sort` (words in any "
        "order), `token_set` (words in any order, where a text counts as equal to any text that "
        "contains all its words), `rouge_l` (words in order) or `embedding:NAME` (vectors from "
        "the sentence encoder NAME; requires pip install 'convogen[train]')",
    )
    near_copy: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="subtopics and personas whose similarity (0 to 1) to an earlier entry in "
        "their list is at least this value are dropped; with rouge_l, the default is "
        f"{ROUGE_L:g}, as in the authors' code",
    )
    tries: int = Field(
        default=4,
        ge=1,
        le=20,
        description="maximum number of requests that a task makes to complete a list of subtopics "
        "or personas",
    )
    examples: str = Field(
        default="dialogsum",
        description="few-shot examples: dialogsum or samsum (both shipped), a YAML file in the "
        "same format, or a file with conversations",
    )
    shots: int = Field(
        default=4, ge=0, le=8, description="number of example dialogues in the writer's prompt"
    )
    speakers: Literal["names", "roles"] = Field(
        default="names",
        description="speaker labels: `names` (the names of the personas) or `roles` (#Person1# "
        "and #Person2#, as in DialogSum)",
    )
    turns: Annotated[
        tuple[Turns, Turns],
        BeforeValidator(_as_range, json_schema_input_type=Turns | tuple[Turns, Turns]),
    ] = Field(
        default=(6, 16),
        description="number of turns per dialogue, as a number or as [minimum, maximum]",
    )
    reasoning: bool = Field(
        default=True,
        description="whether the model decides on the characteristics of a dialogue before it "
        "writes the turns",
    )
    personas: bool = Field(
        default=True,
        description="whether prompts contain personas; the number of planned dialogues is the "
        "same either way",
    )
    subtopics: bool = Field(
        default=True,
        description="whether dialogues are about subtopics instead of the topic itself; the "
        "number of planned dialogues is the same either way",
    )
    mode: Literal["script", "groupchat"] = Field(
        default="script",
        description="how dialogues are generated: `script` (in a single reply) or `groupchat` "
        "(turn by turn, with one agent per persona)",
    )
    max_words: int = Field(
        default=25,
        ge=3,
        description="with mode: groupchat, the maximum number of words per reply, as stated in "
        "the prompt",
    )
    addressees: bool = Field(
        default=False,
        description="with mode: groupchat, whether agents are asked whom they address; the answer "
        "is recorded as the turn's `addressee`",
    )
    reasks: int = Field(
        default=2,
        ge=0,
        le=10,
        description="maximum number of retries after an unusable reply",
    )

    @model_validator(mode="before")
    @classmethod
    def _copies_by_rouge(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"near_copy": ROUGE_L, **data} if data.get("similarity") == "rouge_l" else data

    @model_validator(mode="after")
    def _possible(self) -> DiaSynth:
        low, high = self.turns
        if low > high:
            raise ValueError(f"turns: the minimum ({low}) exceeds the maximum ({high})")
        if high < self.group_size:
            raise ValueError(
                f"turns: the maximum ({high}) must be at least group_size ({self.group_size}), "
                "since every persona must speak"
            )
        if self.addressees and self.mode != "groupchat":
            raise ValueError(f"addressees: requires mode: groupchat (found {self.mode})")
        if self.group_size > self.n_personas:
            raise ValueError(
                f"group_size: must be at most n_personas ({self.n_personas}), but is "
                f"{self.group_size}"
            )
        return self

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        return field != "examples" or value not in shipped_examples()

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """Return the prompts, with `addressed` only if addressees are requested."""
        prompts = super().prompts(chosen)
        return {k: p for k, p in prompts.items() if self.addressees or k != "addressed"}

    @cached_property
    def topic_list(self) -> list[str]:
        """The topics, read once.

        Raises `SourceError` if there are no topics, or if a topic is too long or listed twice.
        """
        path = Path(self.topics) if self.topics else TOPICS
        lines = read_text(path, f"topics {path}").splitlines()
        told = [" ".join(line.split()) for line in lines]
        topics = [line for line in told if line and line[0] != "#"]
        if not topics:
            raise SourceError(f"topics {path}: contains no topics; write one topic per line")
        for nth, topic in enumerate(topics):
            if len(topic) > MAX_TOPIC_CHARS:
                raise SourceError(
                    f"topics {path}: {topic[:40]!r}… has {len(topic)} characters; at most "
                    f"{MAX_TOPIC_CHARS} are allowed"
                )
            if topic.casefold() in (other.casefold() for other in topics[:nth]):
                raise SourceError(f"topics {path}: {topic!r} is listed twice; remove one of them")
        return topics

    @cached_property
    def example_list(self) -> Examples:
        """The few-shot examples, read once."""
        return open_examples(self.examples)

    def sources(self) -> dict[str, str]:
        """Return the content hashes of topics and examples, which do not depend on paths."""
        text = "\n".join(self.topic_list)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        shown = self.example_list
        if languages := self.languages():
            shown = Examples(shown.in_languages(languages))
        return {"topics": digest, "examples": shown.hash}

    @property
    def writes_roles(self) -> bool:
        """Whether the model itself writes role labels. In a group chat, role labels replace the
        names afterwards."""
        return self.speakers == "roles" and self.mode == "script"

    @property
    def dialogues(self) -> DialoguePlan:
        """The plan, which assigns a dialogue to each task."""
        n_topics = len(self.topic_list)
        return DialoguePlan(n_topics, self.n_subtopics, self.n_personas, self.group_size)

    def most_turns(self) -> int:
        return self.turns[1]

    def task_count(self) -> int:
        return len(self.dialogues)

    def notices(self) -> list[str]:
        """Return a line that describes the plan and, if there are no examples in a requested
        language, a second line that says so."""
        without = [tag for tag in self.languages() if not self.example_list.in_languages([tag])]
        shots = f"no example dialogue is in {languages_text(without)}, so none is shown"
        return [f"plan: {self.plan()}", *([shots] if without and self.shots else [])]

    def plan(self) -> str:
        plan = self.dialogues
        who = "pairs" if plan.group_size == 2 else f"groups of {plan.group_size}"
        return (
            f"{plan.n_topics} topics × {plan.n_subtopics} subtopics × {plan.n_groups} {who} of "
            f"{plan.n_personas} personas = {len(plan)} dialogues"
        )

    def lineages(self) -> int | None:
        """Return the number of topics, since the tasks of a topic share lists; None if no lists are
        requested."""
        return len(self.topic_list) if self.subtopics or self.personas else None

    def lineage(self, task: int) -> int:
        return self.dialogues.place(task).topic

    def start(self, inputs: RunInputs) -> Play:
        from convogen.methods.diasynth.play import DiaSynthPlay

        return DiaSynthPlay(self, inputs)
