"""ConvoGen: invent experiences from shots, then play them as group chats (section II-C)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator

from convogen.corpora import open_corpus
from convogen.corpora.conversation_shapes import Shapes
from convogen.errors import SourceError
from convogen.generation.example_experiences import in_languages, load_experiences, shot_text
from convogen.generation.variations import variations_hash
from convogen.inputs.names import not_known
from convogen.methods.base import Method, Play, RunInputs
from convogen.methods.convogen.steering import STEERABLE, wordings_hash
from convogen.models.base import Sampling
from convogen.personas import (
    Casting,
    Match,
    PersonaHub,
    ReusedGroups,
    SampledGroups,
    is_named,
    open_hub,
)
from convogen.prompts import Prompt
from convogen.records import Experience
from convogen.text.language_tags import languages_text, primary_subtag

__all__ = ["ConvoGen"]


MOST_TURNS = 200

People = Annotated[int, Field(ge=2, le=12)]


def _as_range(value: Any) -> Any:
    if not isinstance(value, int | list | tuple):
        raise ValueError("must be a number or [minimum, maximum]")
    return [value, value] if isinstance(value, int) else cast("Any", value)


class ConvoGen(Method):
    """Parameters of the ConvoGen method."""

    name: ClassVar[str] = "convogen"
    process: ClassVar[str] = (
        "A model writes an experience for a group of people: their relations, a situation, a topic "
        "and the first words. The people are invented as well, or come from a persona source. "
        "Each experience is then played turn by turn, and a speaker is selected for every turn."
    )
    path_fields: ClassVar[tuple[str, ...]] = ("experiences", "persona_source", "match")
    added_later: ClassVar[tuple[str, ...]] = (
        "candidates",
        "coverage_clusters",
        "addressees",
        "match_features",
    )
    prompt_names: ClassVar[tuple[str, ...]] = (
        "experience",
        "encounter",
        "opening",
        "agent",
        "turn",
        "selector",
        "addressed",
    )
    roles: ClassVar[dict[str, Sampling]] = {
        "generator": Sampling(temperature=1.0, max_tokens=4000),
        "agent": Sampling(temperature=0.9),
        "selector": Sampling(temperature=0.0, max_tokens=40),
    }
    embedded_prompts: ClassVar[Mapping[str, tuple[str, str]]] = {
        "agent": ("agent", "agent.md"),
        "encounter": ("generator", "encounter.md"),
        "selector": ("selector", "selector.md"),
    }

    personas: Literal["generated", "sampled", "reused"] = Field(
        default="generated",
        description="source of the personas: `generated` (invented by the model), `sampled` "
        "(drawn from a persona hub) or `reused` (the speakers in a data set)",
    )
    persona_source: str | None = Field(
        default=None,
        description="persona hub or data set with personas: everyday, a file, or "
        "hf:OWNER/NAME[@CONFIG][:SPLIT]; for sampled personas, everyday is the default",
    )
    persona_match: Match = Field(
        default="random",
        description="how sampled personas are grouped: `random` (at random) or `similar` (similar "
        "personas together)",
    )
    persona_field: str | None = Field(
        default=None,
        description="field of the persona source that contains the persona's text; detected "
        "automatically by default",
    )
    persona_licence: str | None = Field(
        default=None, description="licence of the persona source, if the source does not state one"
    )
    participants: Annotated[
        tuple[People, People],
        BeforeValidator(_as_range, json_schema_input_type=People | tuple[People, People]),
    ] = Field(
        default=(2, 4),
        description="number of participants per conversation, as a number or as [minimum, "
        "maximum]; ignored for reused personas, since the data set determines the number",
    )
    iterative: Literal[True, False, "rotate"] = Field(
        default=True,
        description="source of the shots: true (a hub to which generated experiences are added), "
        "false (the same shots throughout the run) or rotate (the seeds in turn, with different "
        "shots in each round)",
    )
    lanes: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="number of lanes that run in parallel, each with its own independent hub; 1 "
        "in the paper",
    )
    per_round: int = Field(
        default=8,
        ge=1,
        description="number of experiences per round, all of which are generated from the same "
        "shots; 8 in the paper (section III)",
    )
    shots: int = Field(
        default=1, ge=1, le=8, description="number of example experiences in the generator's prompt"
    )
    shot_policy: Literal["uniform", "newest", "coverage"] = Field(
        default="uniform",
        description="how shots are drawn from the hub: `uniform` (at random), `newest` (the "
        "latest experiences) or `coverage` (from the topic that is rarest in the lane so far, "
        "which the prompt then requests; requires pip install 'convogen[realism]')",
    )
    coverage_clusters: int = Field(
        default=8,
        ge=2,
        le=100,
        description="number of topic clusters; used only with shot_policy: coverage",
    )
    near_copy: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="new experiences whose similarity (0 to 1) to a shot or to an experience in "
        "the hub is at least this value are not added to the hub",
    )
    experiences: str | None = Field(
        default=None,
        description="folder or file with seed experiences; by default, the shipped seeds",
    )
    match: str | None = Field(
        default=None,
        description="corpus to match: a file or hf:OWNER/NAME[@CONFIG][:SPLIT]; each new "
        "conversation takes its numbers of turns and speakers, and the length of each turn, from "
        "a conversation drawn at random from the corpus",
    )
    match_features: tuple[str, ...] = Field(
        default=(),
        description="features of the corpus that agents are instructed to reproduce and whose "
        f"frequencies the `profile` gate preserves; allowed: {', '.join(STEERABLE)}",
    )
    max_turns: int = Field(
        default=10,
        ge=1,
        le=MOST_TURNS,
        description="maximum number of turns per conversation, including the starter; with "
        f"match, the default is {MOST_TURNS}",
    )
    speaker_selection: Literal["auto", "round_robin"] = Field(
        default="auto",
        description="how the next speaker is selected: `auto` (by a model) or `round_robin` (each "
        "participant in turn)",
    )
    allow_repeats: bool = Field(
        default=False, description="whether the same speaker may take consecutive turns"
    )
    style: Literal["short", "chatty"] = Field(
        default="short",
        description="length of replies: `short` (limited by max_words) or `chatty` (unlimited)",
    )
    max_words: int = Field(
        default=25,
        ge=3,
        description="with style: short, the maximum number of words per reply, as stated in the "
        "prompt",
    )
    reasks: int = Field(
        default=2,
        ge=0,
        le=10,
        description="maximum number of retries after an unusable reply",
    )
    candidates: int = Field(
        default=1,
        ge=1,
        le=16,
        description="number of candidate replies per turn, one of which is selected on the basis "
        "of checks and of the model's own likelihood; each candidate costs as much "
        "as a turn",
    )
    addressees: bool = Field(
        default=False,
        description="whether agents are asked whom they address; the answer is recorded as the "
        "turn's `addressee`",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_long_as_the_corpus(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"max_turns": MOST_TURNS, **data} if data.get("match") else data

    @field_validator("match_features")
    @classmethod
    def _steerable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := next((name for name in names if name not in STEERABLE), None):
            raise ValueError(not_known("feature", unknown, STEERABLE))
        if len(set(names)) < len(names):
            raise ValueError("a feature is listed twice; list each feature once")
        return names

    @model_validator(mode="after")
    def _ordered(self) -> ConvoGen:
        low, high = self.participants
        if low > high:
            raise ValueError(f"participants: the minimum ({low}) exceeds the maximum ({high})")
        if self.match_features and not self.match:
            raise ValueError(
                "match_features: requires match; set match to the corpus that has the features"
            )
        for tag in self.languages():
            if unknown := self._feature_without_rules([primary_subtag(tag)]):
                raise ValueError(
                    f"match_features: {unknown} can only be detected in English (language: "
                    f"{tag}); remove it from match_features"
                )
        if self.shot_policy == "coverage" and self.iterative is not True:
            raise ValueError(
                f"shot_policy: coverage requires iterative: true (found {self.iterative}), since "
                f"the hub must grow"
            )
        if self.personas == "generated":
            own = ("persona_source", "persona_field", "persona_licence")
            if given := next((key for key in own if getattr(self, key)), None):
                raise ValueError(f"{given}: requires personas: sampled or reused (found generated)")
        if self.personas != "sampled" and self.persona_match != "random":
            raise ValueError(
                f"persona_match: must be random unless personas is sampled (found {self.personas})"
            )
        if self.personas == "reused" and not self.persona_source:
            raise ValueError("persona_source: must name a data set, since personas is reused")
        return self

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        if field == "match":
            return not value.startswith("hf:")
        return field != "persona_source" or not is_named(value)

    def implied_gates(self) -> list[dict[str, Any]]:
        """Return entries for the `language` gate if a language is set, and for the `profile` gate
        if there are features to match."""
        implied = super().implied_gates()
        if self.match_features:
            features = list(self.match_features)
            implied.append({"gate": "profile", "corpus": self.match, "features": features})
        return implied

    def most_turns(self) -> int:
        return self.max_turns

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """Return the prompts that the run uses. Depending on `personas`, either `experience` or
        `encounter` is used; `addressed` is used only with `addressees`."""
        unused = {"encounter" if self.personas == "generated" else "experience"}
        if not self.addressees:
            unused.add("addressed")
        return {step: p for step, p in super().prompts(chosen).items() if step not in unused}

    def sampling(self, role: str) -> Sampling:
        """Return the default sampling settings for a role.

        The token limit for agents is only a safety net, since it allows more words than a reply
        should have. With `match`, each turn sets its own limit.
        """
        settings = self.roles[role]
        if role != "agent" or self.match:
            return settings
        room = 4 * self.max_words + 40 if self.style == "short" else 800
        room += 40 if self.addressees else 0
        return settings.model_copy(update={"max_tokens": room})

    @cached_property
    def seeds(self) -> list[Experience]:
        """The initial example experiences of the hub, read once.

        Only experiences in the requested languages are used. Raises `SourceError` if no language is
        set and no experience is in English.
        """
        found = load_experiences(Path(self.experiences) if self.experiences else None)
        seeds = in_languages(found, self.languages())
        if not seeds and not self.languages():
            there = sorted({f"{seed.language}" for seed in found})
            raise SourceError(
                f"{self.experiences}: no experience is in English, the default language; "
                f"languages found: {', '.join(there)}; set one, for example with --language "
                f"{there[0]}"
            )
        return seeds

    def notices(self) -> list[str]:
        without = [tag for tag in self.languages() if not in_languages(self.seeds, [tag])]
        if not without:
            return []
        these = "that language" if len(without) == 1 else "these languages"
        which, later = f"experiences in {these}", ""
        if self.iterative is True:
            which, later = "the first experiences", "; later experiences use examples from this run"
        return [
            f"no example experience is in {languages_text(without)}, so {which} are generated "
            f"without examples{later}"
        ]

    def sources(self) -> dict[str, str]:
        """Return the content hashes of seeds, personas and shapes, which do not depend on paths."""
        text = "\n".join(shot_text(seed) for seed in self.seeds)
        hashes = {
            "experiences": hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
            "variations": variations_hash(),
        }
        if self.shapes is not None:
            hashes["match"] = self.shapes.hash
        if self.match_features:
            hashes["steering"] = wordings_hash(self.match_features)
        if (hub := self.hub) is None:
            return hashes
        return {
            **hashes,
            "personas": hub.hash,
            "persona_source": hub.source,
            "persona_licence": hub.licence or "not known",
        }

    @cached_property
    def hub(self) -> PersonaHub | None:
        """The persona hub, read once; None if personas are generated."""
        if self.personas == "generated":
            return None
        source = self.persona_source or "everyday"
        apart = self.personas == "sampled"
        return open_hub(source, self.persona_field, self.persona_licence, apart=apart)

    @cached_property
    def shapes(self) -> Shapes | None:
        """The shapes of the conversations in the corpus to match, read once; None if no corpus is
        matched."""
        if self.match is None:
            return None
        shapes = Shapes.from_corpus(open_corpus(self.match), self.match_features)
        if not len(shapes):
            raise SourceError(f"match {self.match}: contains no conversations; use another corpus")
        if unknown := self._feature_without_rules(shapes.languages):
            raise SourceError(
                f"match_features: {unknown} can only be detected in English, but {self.match} "
                "contains nothing in English; remove it from match_features"
            )
        return shapes

    def _feature_without_rules(self, languages: Iterable[str | None]) -> str | None:
        """Return a requested feature that cannot be detected in any of the languages; None if every
        requested feature can be detected in at least one of them."""
        if not self.match_features:
            return None
        from convogen.realism.features import features_named, without_rules

        return without_rules(features_named(self.match_features), languages)

    def casting(self, seed: int) -> Casting | None:
        """Return the assignment of personas to tasks; None if personas are generated."""
        if self.hub is None:
            return None
        if self.personas == "reused":
            return ReusedGroups(self.hub)
        return SampledGroups(self.hub, seed, self.participants, self.persona_match)

    def lineages(self) -> int | None:
        """Return the number of lanes if the hub grows; otherwise None, since tasks are then
        independent."""
        return self.lanes if self.iterative is True else None

    def lineage(self, task: int) -> int:
        from convogen.generation.few_shot_hub import round_slot

        return round_slot(task, self.lanes, self.per_round).lane

    def start(self, inputs: RunInputs) -> Play:
        from convogen.methods.convogen.play import ConvoGenPlay

        return ConvoGenPlay(self, inputs)
