"""LLM Roleplay: a model plays a persona with a goal and talks to a chatbot (Tamoyan et al.)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from convogen.errors import SourceError
from convogen.methods.base import Method, Play, RunInputs
from convogen.methods.roleplay.failures import Family
from convogen.methods.roleplay.people import Goal, content_hash, families, goals_of
from convogen.methods.roleplay.personas import (
    FEATURES,
    Feature,
    drawn,
    file_people,
    hub_people,
    options_of,
    people,
)
from convogen.models.base import Sampling
from convogen.models.spec import EMBEDDED_NO_LOOPS
from convogen.personas import is_named, open_hub
from convogen.prompts import Prompt, load_prompt
from convogen.records import Persona

__all__ = ["Roleplay"]

N_PERSONAS = 20
"""Default number of personas: the number of participants in the paper's study."""

Kind = Literal["gpt", "llama-2", "mixtral", "vicuna", "llama-3", "chatml", "small"]


class Roleplay(Method):
    """Parameters of the LLM Roleplay method.

    The plan pairs every persona with every goal. From the first task on, the tasks are spread over
    both the personas and the goals. Task p has persona p % P of P personas, and after each round of
    P tasks, every persona moves on to its next goal. A pair that fails is recorded as a failure and
    is not replaced.
    """

    name: ClassVar[str] = "roleplay"
    process: ClassVar[str] = (
        "One model plays a person with a persona and a goal, and another model is the chatbot that "
        "the person talks to."
    )
    counts_failed_tasks: ClassVar[bool] = True
    has_experiences: ClassVar[bool] = False
    path_fields: ClassVar[tuple[str, ...]] = ("persona_source", "personas_file", "goals_file")
    prompt_names: ClassVar[tuple[str, ...]] = ("opening", "forward", "responder")
    roles: ClassVar[dict[str, Sampling]] = {
        "inquirer": Sampling(temperature=1.0, max_tokens=1000),
        "responder": Sampling(temperature=1.0, max_tokens=4000),
    }
    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {
        # A question takes one line, and a reply takes a few.
        "inquirer": Sampling(temperature=0.7, max_tokens=60, extra=EMBEDDED_NO_LOOPS),
        "responder": Sampling(temperature=0.6, max_tokens=120, extra=EMBEDDED_NO_LOOPS),
    }

    broken: Literal["keep", "drop"] = Field(
        default="keep",
        description="what happens if a failure ends a dialogue early, after at least one "
        "exchange: `keep` (keep the dialogue and record the failure in `ended`) or `drop` (record "
        "only the failure)",
    )
    personas: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="number of personas; by default 20 or, with personas_file, all personas in "
        "that file",
    )
    persona_seed: int = Field(
        default=0,
        ge=0,
        description="random seed for drawing personas; use the same seed for all runs that you "
        "compare",
    )
    features: tuple[Feature, ...] = Field(
        default=FEATURES,
        description="features that each persona's text mentions; [] means none",
    )
    feature_options: dict[Feature, tuple[str, ...]] = Field(
        default_factory=dict[Feature, tuple[str, ...]],
        description="for each feature, the options to draw from (a single option fixes the "
        "feature); by default, all options in Kumar et al. (2021)",
    )
    vary: Feature | None = Field(
        default=None,
        description="feature to vary; each persona appears once with each option of this feature",
    )
    personas_file: str | None = Field(
        default=None,
        description="YAML, JSON, JSONL or CSV file with your own personas; each row has one or "
        "more of age, race, gender, education and native_english and, optionally, a persona_id",
    )
    persona_source: str | None = Field(
        default=None,
        description="persona hub to use instead of features; one of everyday, a file, or "
        "hf:OWNER/NAME[@CONFIG][:SPLIT]",
    )
    persona_field: str | None = Field(
        default=None,
        description="field of the persona source that contains the persona's text; detected "
        "automatically by default",
    )
    persona_licence: str | None = Field(
        default=None, description="licence of the personas, if their source does not state one"
    )
    goals: int | tuple[str, ...] | None = Field(
        default=None,
        description="goals to use, as a number (that many goals from the start of the list) or as "
        "a list of names; by default, all goals",
    )
    goals_file: str | None = Field(
        default=None,
        description="YAML file with your own goals: a `goals` list in which each entry has a "
        "`name` and a `goal`",
    )
    inquirer_family: Kind = Field(
        default="gpt",
        description="model family of the inquirer, which determines the inquirer's prompts and "
        "the parameters of the failure detectors",
    )
    responder_family: Kind = Field(
        default="gpt",
        description="model family of the responder, which determines whether the responder gets a "
        "system message and which special tokens it uses",
    )
    stop_token: str = Field(
        default="FINISH",
        pattern=r"^\w[\w-]{0,40}$",
        description="word with which the inquirer ends a dialogue",
    )
    max_turns: int = Field(
        default=12,
        ge=1,
        le=200,
        description="maximum number of turns per dialogue; a prompt and its response count as one "
        "turn",
    )
    regenerations: int = Field(
        default=2,
        ge=0,
        le=10,
        description="maximum number of times that an unusable output is regenerated",
    )

    @field_validator("features")
    @classmethod
    def _in_order(cls, value: tuple[Feature, ...]) -> tuple[Feature, ...]:
        """Return the features without duplicates, in the order of `FEATURES`, so that equal sets
        give the same experiment."""
        return tuple(name for name in FEATURES if name in value)

    @field_validator("goals")
    @classmethod
    def _some(cls, value: int | tuple[str, ...] | None) -> int | tuple[str, ...] | None:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be 1 or more")
        if value == ():
            raise ValueError("is empty; leave it out to use all goals")
        return value

    @field_validator("feature_options")
    @classmethod
    def _known_options(
        cls, value: dict[Feature, tuple[str, ...]]
    ) -> dict[Feature, tuple[str, ...]]:
        """Return the options without duplicates, with features in the order of `FEATURES` and the
        options for each feature in the order of `options_of`."""
        for name, given in value.items():
            known = options_of(name)
            if unknown := [option for option in given if option not in known]:
                raise ValueError(
                    f"{name}: {unknown[0]!r:.60} is not an option; allowed: {', '.join(known)}"
                )
            if not given:
                raise ValueError(f"{name}: is empty; leave it out to use all options")
        return {
            name: tuple(option for option in options_of(name) if option in value[name])
            for name in FEATURES
            if name in value
        }

    @model_validator(mode="after")
    def _of_a_source(self) -> Roleplay:
        if self.persona_field and not self.persona_source:
            raise ValueError("persona_field: requires a persona_source")
        if self.persona_licence and not (self.persona_source or self.personas_file):
            raise ValueError("persona_licence: requires a persona_source or personas_file")
        if self.persona_source and self.personas_file:
            raise ValueError("personas_file: cannot be combined with persona_source; leave one out")
        if self.persona_source and (self.vary or self.feature_options):
            raise ValueError(
                "vary, feature_options: cannot be combined with persona_source, since hub personas "
                "have no features"
            )
        if self.personas_file and set(self.feature_options) - {self.vary}:
            raise ValueError(
                "feature_options: with personas_file, may contain only the feature that vary names"
            )
        if self.vary and self.vary not in self.features:
            raise ValueError(f"vary: {self.vary} is not listed in features; add it there")
        return self

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        return field != "persona_source" or not is_named(value)

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """Return the prompts for the inquirer's model family."""
        few_shot = families()[self.inquirer_family].few_shot
        variant = {"opening": "opening-small", "forward": "forward-small"} if few_shot else {}
        return {
            step: load_prompt(
                f"{self.prompt_owners.get(step, self.name)}/{variant.get(step, step)}",
                Path(chosen[step]) if step in chosen else None,
                type(self),
            )
            for step in self.prompt_names
        }

    @property
    def families(self) -> tuple[Family, Family]:
        """The model families of the inquirer and of the responder."""
        known = families()
        return known[self.inquirer_family], known[self.responder_family]

    @cached_property
    def people(self) -> list[Persona]:
        """The personas in order, read once; the variants of one person are adjacent."""
        if self.persona_source is not None:
            hub = open_hub(self.persona_source, self.persona_field, self.persona_licence)
            return hub_people(hub, self.personas or N_PERSONAS, self.persona_seed)
        varied = (self.vary, self._variants) if self.vary else None
        if self.personas_file is not None:
            path = Path(self.personas_file)
            rows = file_people(path, self.personas)
            return people(rows, self.features, varied, path.name, self.persona_licence)
        options = dict(self.feature_options)
        if self.vary:
            options[self.vary] = self._variants[:1]
        rows = drawn(self.personas or N_PERSONAS, options, self.persona_seed)
        return people(rows, self.features, varied)

    @property
    def _variants(self) -> tuple[str, ...]:
        """The options of the varied feature; a single empty option if no feature is varied."""
        if self.vary is None:
            return ("",)
        return self.feature_options.get(self.vary) or options_of(self.vary)

    @cached_property
    def wanted(self) -> list[Goal]:
        """The goals in order, read once.

        Raises `SourceError` if a name is unknown or duplicated, or if there are too few goals.
        """
        known = goals_of(Path(self.goals_file) if self.goals_file else None)
        names = [goal.name for goal in known]
        where = f"in {self.goals_file}" if self.goals_file else "shipped"
        if len(set(names)) < len(names):
            raise SourceError(f"goals: two goals {where} have the same name; rename one of them")
        if isinstance(self.goals, int) and self.goals > len(known):
            raise SourceError(f"goals: {self.goals} requested, but only {len(known)} are {where}")
        if self.goals is None or isinstance(self.goals, int):
            return known[: self.goals]
        if unknown := [name for name in self.goals if name not in names]:
            raise SourceError(f"goals: {unknown[0]!r} is not known; allowed: {', '.join(names)}")
        return [known[names.index(name)] for name in self.goals]

    def sources(self) -> dict[str, str]:
        """Return the content hashes of the personas and the goals."""
        return {"personas": content_hash(self.people), "goals": content_hash(self.wanted)}

    def most_turns(self) -> int:
        return 2 * self.max_turns

    def task_count(self) -> int:
        """Return the number of personas, variants included, times the number of goals."""
        if self.personas is None and self.personas_file is not None:
            return len(self.people) * len(self.wanted)
        return (self.personas or N_PERSONAS) * len(self._variants) * len(self.wanted)

    def pair(self, task: int) -> tuple[Persona, Goal]:
        """Return the persona and the goal of a task.

        Personas that differ only in the varied feature are adjacent and have the same goal.
        """
        n_rounds, person = divmod(task, len(self.people))
        goal = (n_rounds + person // len(self._variants)) % len(self.wanted)
        return self.people[person], self.wanted[goal]

    def lineages(self) -> None:
        """Return None: tasks are independent."""

    def start(self, inputs: RunInputs) -> Play:
        from convogen.methods.roleplay.play import RoleplayPlay

        return RoleplayPlay(self, inputs)
