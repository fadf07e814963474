"""The `Experiment` class: a validated, immutable experiment and its fingerprint.

The method's parameters are on the same level as the common keys:

    name: GPIS-s
    method: convogen
    n: 500
    iterative: true
    style: short

The fingerprint covers every key that changes the data. It leaves out:

    n                                   a run can be extended; the existing data stays a prefix
    name                                a label that does not change the data
    base_url, azure, api_key_env,       connection settings (but if a fallback is a different
    headers, timeout_s, json_mode,      model, the fingerprint covers the name of that model)
    replicas, *_per_minute, patience_s,
    price
    concurrency                         the maximum number of calls in flight per endpoint
    max_failures, max_rejected          when a run stops early
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import Field, field_validator

from convogen.errors import ExperimentError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.gates import Gate, JudgeGate, gate_class, parameters, place_gate
from convogen.inputs.keys import Keys
from convogen.inputs.names import guess
from convogen.inputs.validation import refuse_unknown, validated
from convogen.inputs.yaml12 import YAML_SUFFIXES, dump_yaml, read_mapping
from convogen.methods.base import Method
from convogen.models.base import Sampling
from convogen.models.spec import (
    ADAPTED_SAMPLING,
    EMBEDDED_ROOM,
    EMBEDDED_SAMPLING,
    ModelSpec,
)
from convogen.plugins import registry
from convogen.prompts import Prompt
from convogen.resources import EXPERIMENTS, FOR_EMBEDDED
from convogen.storage.run_folder import DATA_FORMAT
from convogen.suggested import suggested
from convogen.text.language_tags import ENGLISH, language_name, same_language

__all__ = ["Common", "Experiment", "shipped_experiments"]

DEFAULT_N = 8


class Common(Keys):
    """The keys that are common to all experiments, whatever their method."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^\w[\w.-]*$")
    about: str = Field(default="", description="one-line description for `convogen list`")
    method: str = "convogen"
    n: int | None = Field(
        default=None,
        ge=1,
        description="number of conversations; by default 8 or, if the method's plan is finite, one "
        "for each task in the plan",
    )
    seed: int = Field(
        default=0, ge=0, description="random seed for all choices that are not made by a model"
    )
    models: dict[str, ModelSpec] = Field(
        default_factory=dict[str, ModelSpec],
        description="model for each role; `default` applies to all roles that are not listed",
    )
    fixed_models: list[str] = Field(
        default_factory=list[str],
        description="roles that keep their model and endpoint even if the command line sets a "
        "model for all roles; --model ROLE=NAME still changes them",
    )
    sampling: dict[str, Sampling] = Field(
        default_factory=dict[str, Sampling],
        description="sampling parameters for each role, which override the method's defaults",
    )
    prompts: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="for each step, the path of your own prompt file, which replaces the shipped "
        "file",
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        description="maximum number of model calls in flight per endpoint; default: 64, or 8 for "
        "the embedded model",
    )
    max_failures: int | None = Field(
        default=None,
        ge=0,
        description="number of failed tasks after which a run stops; default: n, but at least 10",
    )
    gates: list[dict[str, Any]] = Field(
        default_factory=list[dict[str, Any]],
        description="checks that a finished conversation must pass to be accepted, applied in the "
        "order listed, except that `near_duplicate` always comes last; by default, the list "
        "contains the `language` gate if the `language` key is set and the `profile` gate if "
        "`match_features` is set, and is otherwise empty",
    )
    max_rejected: int | None = Field(
        default=None,
        ge=0,
        description="number of rejected conversations after which a run stops; default: 4 times "
        "n, but at least 50",
    )

    @field_validator("gates", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        entries = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [{"gate": entry} if isinstance(entry, str) else entry for entry in entries]

    @field_validator("models", mode="before")
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:
        if isinstance(value, str | ModelSpec):
            return {"default": value}
        entries = cast("dict[str, Any]", value)
        return {"default": entries} if isinstance(value, dict) and "name" in entries else entries


class Experiment:
    """A validated experiment: the common keys (`common`), and the method with its parameters."""

    def __init__(self, data: Mapping[str, Any], origin: str = "experiment") -> None:
        """Validate the keys.

        Raises:
            ExperimentError: A key is invalid. The message names `origin`, the key and the allowed
                values.
        """
        own = {key: value for key, value in data.items() if key in Common.model_fields}
        rest = {key: value for key, value in data.items() if key not in Common.model_fields}
        self.origin = origin
        self.common = validated(Common, own, origin)
        method: type[Method] = registry.load("methods", self.common.method)
        self.method = validated(method, rest, origin, extra=tuple(Common.model_fields))
        self.gates: list[Gate] = [
            validated(gate_class(entry), parameters(entry), f"{origin}: gates[{nth}]")
            for nth, entry in enumerate(self._gate_entries)
        ]
        for nth, gate in enumerate(self.gates):
            bounds = self.method.most_turns(), self.method.has_experiences
            if why := gate.never_passed(bounds[0], experiences=bounds[1]):
                raise ExperimentError(f"{origin}: gates[{nth}]: {gate.name}: {why}")
        if self.method.language is not None:
            self._check_gates()
        for key in ("models", "sampling"):
            allowed = [*self.roles, *(["default"] if key == "models" else [])]
            refuse_unknown(getattr(self.common, key), allowed, f"{origin}: {key}")
        refuse_unknown(self.common.fixed_models, self.roles, f"{origin}: fixed_models")
        refuse_unknown(self.common.prompts, method.prompt_names, f"{origin}: prompts")

    @classmethod
    def load(cls, source: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
        """Return the experiment in a YAML file, or a shipped experiment.

        Args:
            source: The path of a file, or the name of a shipped experiment.
            overrides: Maps keys to values; nested keys are joined with dots. Paths in overrides are
                relative to the current folder. Paths in the file are relative to its folder.

        Raises:
            ExperimentError: The experiment does not exist, or a key is invalid.
        """
        path = _find(source)
        data = read_mapping(path, ExperimentError)
        merged = _beside(path.parent, {"name": _name_of(path), **data})
        return cls.of(merged, overrides or {}, str(source))

    @classmethod
    def of(
        cls, data: Mapping[str, Any], overrides: Mapping[str, Any], origin: str = "experiment"
    ) -> Experiment:
        """Return the experiment with the keys in `data`; `overrides` work as in `load`."""
        merged = {**data}
        for key, value in overrides.items():
            _set(merged, key, value)
        return cls(merged, origin)

    @property
    def _gate_entries(self) -> list[dict[str, Any]]:
        """The configured gates, or the method's implied gates if `gates` is not set."""
        unsaid = "gates" not in self.common.model_fields_set
        return self.method.implied_gates() if unsaid else self.common.gates

    def check_languages(self) -> None:
        """Raise `ExperimentError` if the gates or models do not support the experiment's languages.

        If the method takes its languages from its sources, this opens the sources.
        """
        self._check_gates()
        foreign = [tag for tag in self.method.languages() if not same_language(tag, ENGLISH)]
        writing = [role for role in self.method.roles if role not in self.method.roles_in_english]
        roles = [role for role in writing if self.model(role).is_shipped]
        if foreign and roles:
            raise ExperimentError(
                f"{self.origin}: language: {foreign[0]}: the embedded model ({', '.join(roles)}) "
                f"writes only English, not {language_name(foreign[0])}; choose another model with "
                "--model or --base-url, or use --set language=en to generate English"
            )

    def _check_gates(self) -> None:
        for nth, gate in enumerate(self.gates):
            if why := gate.cannot_check(self.method.languages()):
                raise ExperimentError(f"{self.origin}: gates[{nth}]: {gate.name}: {why}")

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.common.name

    @cached_property
    def n(self) -> int:
        """The number of requested conversations, which is at most the number of tasks in the plan.

        If the method has `counts_failed_tasks`, this is the number of requested tasks.
        """
        given, there = self.common.n, self.method.task_count()
        if there is None:
            return given or DEFAULT_N
        return min(given or there, there)

    def progress(self, conversations: int, others: int) -> int:
        """Return the progress towards `n`: `conversations`, plus failed and rejected tasks
        (`others`) if the method has `counts_failed_tasks`."""
        return conversations + others if self.method.counts_failed_tasks else conversations

    @property
    def max_failures(self) -> int:
        """The number of tasks that may fail before the run stops."""
        given = self.common.max_failures
        return max(10, self.n) if given is None else given

    @property
    def max_rejected(self) -> int:
        """The number of conversations that gates may reject before the run stops."""
        given = self.common.max_rejected
        return max(50, 4 * self.n) if given is None else given

    @property
    def roles(self) -> list[str]:
        """The roles that need a model in a run: the method's roles, then the gates' roles."""
        return list(dict.fromkeys([*self.method.roles, *self._gate_roles]))

    @property
    def _gate_roles(self) -> dict[str, Sampling]:
        return {role: drawn for gate in self.gates for role, drawn in gate.roles.items()}

    @property
    def concurrency(self) -> int:
        """The maximum number of model calls in flight per endpoint."""
        local = all(self.model(role).kind == "embedded" for role in self.roles)
        return self.common.concurrency or (8 if local else 64)

    def model(self, role: str) -> ModelSpec:
        """Return a role's model, or the embedded model if none is set."""
        models = self.common.models
        return models.get(role) or models.get("default") or ModelSpec(name="embedded")

    def sampling(self, role: str) -> Sampling:
        """Return the sampling parameters for a role.

        Parameters tuned for the embedded model override the method's parameters, and the
        experiment's parameters override both.
        """
        own_role = role in self.method.roles
        settings = self.method.sampling(role) if own_role else self._gate_roles[role]
        if self.model(role).is_shipped and (suits := self._suited_sampling(role)):
            if settings.max_tokens:
                room = {"max_tokens": min(settings.max_tokens, EMBEDDED_ROOM)}
                settings = settings.model_copy(update=room)
            settings = suits.with_defaults(settings)
        own = self.common.sampling.get(role)
        return own.with_defaults(settings) if own else settings

    def _suited_sampling(self, role: str) -> Sampling | None:
        """Return the sampling parameters tuned for the embedded model in a role, or None.

        Roles that use a prompt adapted to the embedded model have separate parameters.
        """
        for step, (asked, file) in self.method.embedded_prompts.items():
            prompt = self.prompts.get(step)
            if asked == role and prompt is not None and prompt.path == FOR_EMBEDDED / file:
                return ADAPTED_SAMPLING[role]
        return self.method.embedded_sampling.get(role) or EMBEDDED_SAMPLING.get(role)

    @property
    def packages(self) -> dict[str, str]:
        """The version of each installed package whose plugins are used."""
        judges = [gate.judge for gate in self.gates if isinstance(gate, JudgeGate)]
        gates = [gate.name for gate in self.gates]
        return registry.packages(
            {"methods": [self.common.method], "gates": gates, "judges": judges}
        )

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """A mapping from steps to prompts; raises `SourceError` if a user's prompt file is
        invalid."""
        return self.method.prompts({**self._suited_prompts, **self.common.prompts})

    @property
    def _suited_prompts(self) -> dict[str, str]:
        """The prompts adapted to the embedded model, for the steps whose roles use that model."""
        return {
            step: str(FOR_EMBEDDED / file)
            for step, (role, file) in self.method.embedded_prompts.items()
            if self.model(role).is_shipped
        }

    @cached_property
    def fingerprint_inputs(self) -> dict[str, Any]:
        """Everything that affects the data, as plain values."""
        roles = {
            role: {
                "model": " or ".join(self.model(role).identities),
                "sampling": self.sampling(role).model_dump(exclude_none=True),
            }
            for role in self.roles
        }
        return {
            "format": DATA_FORMAT,
            "method": self.common.method,
            "seed": self.common.seed,
            **self.method.model_dump(mode="json", exclude=self.method.not_fingerprinted()),
            "roles": roles,
            "prompts": {step: prompt.hash for step, prompt in self.prompts.items()},
            "sources": self.method.sources(),
            **({"gates": [gate.fingerprint_inputs for gate in self.gates]} if self.gates else {}),
        }

    @cached_property
    def fingerprint(self) -> str:
        """The identifier of this experiment's data: 16 hexadecimal digits."""
        return fingerprint_of(self.fingerprint_inputs)

    def is_read_from(self, path: Path) -> bool:
        """Return whether the experiment in a file has the same fingerprint as this one.

        Raises:
            ExperimentError: The file does not contain a valid experiment.
        """
        return Experiment.load(path).fingerprint == self.fingerprint

    def to_yaml(self) -> str:
        """Return the experiment as YAML that loads as the same experiment.

        API keys and passwords are left out.
        """
        models = {role: spec.public() for role, spec in self.common.models.items()}
        without_secrets = self.common.model_copy(update={"models": models})
        common = without_secrets.model_dump(mode="json", exclude_defaults=True)
        common["method"] = self.common.method
        if drawn := self.common.sampling:  # an explicit null is a setting too
            common["sampling"] = {
                role: one.model_dump(mode="json", exclude_unset=True) for role, one in drawn.items()
            }
        unsaid = set[str]() if self.method.language else {"language"}
        method = self.method.model_dump(mode="json", exclude=unsaid)
        for key in self.method.path_fields:
            if method[key] and self.method.is_path(key, method[key]):
                method[key] = str(Path(method[key]).resolve())
        if own := self.common.prompts:
            common["prompts"] = {step: str(Path(path).resolve()) for step, path in own.items()}
        if self.common.gates or (self.method.implied_gates() and self._gate_entries == []):
            common["gates"] = [place_gate(entry, Path.cwd()) for entry in self.common.gates]
        return dump_yaml({**common, **method})


def shipped_experiments() -> dict[str, Path]:
    """Return a mapping from the names of the shipped experiments to their paths."""
    paths = sorted(EXPERIMENTS.glob("*/*.yaml"), key=lambda path: path.name)
    return {path.stem: path for path in paths}


def _find(source: str | Path) -> Path:
    shipped = shipped_experiments()
    if str(source) in shipped:
        return shipped[str(source)]
    path = Path(source)
    try:
        there, folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # the name is too long or contains a NUL
        there = folder = False
    if folder:
        raise ExperimentError(_no_folder(path))
    if path.suffix in YAML_SUFFIXES:
        if there:
            return path
        raise ExperimentError(
            f"{path}: no such file; specify an existing file, or a shipped "
            "experiment (see `convogen list`)"
        )
    if there:
        raise ExperimentError(f"{path}: not an experiment file; the name must end in .yaml or .yml")
    raise ExperimentError(
        f"unknown experiment {str(source)!r:.200}; {guess(str(source), shipped)}allowed: "
        f"{', '.join([*shipped, 'or a .yaml file'])}"
    )


def _no_folder(path: Path) -> str:
    if (own := path / "experiment.yaml").is_file():
        return (
            f"{path}: this is a run folder, not an experiment; to resume the run: "
            f"{suggested('run', own, '--out', path)}"
        )
    inside = ", ".join(sorted(one.name for one in path.glob("*.y*ml"))[:5])
    return f"{path}: this is a folder, not an experiment; specify an experiment file" + (
        f", such as one of the files in the folder: {inside}" if inside else ""
    )


def _name_of(path: Path) -> str:
    """Return an experiment's default name: its file name, reduced to the allowed characters."""
    name = re.sub(r"[^\w.-]+", "-", path.stem).strip("-.")
    return name[:80] or "experiment"


def _beside(folder: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment's keys with all paths resolved against `folder`.

    Values of a wrong type are left unchanged.
    """
    method = data.get("method", Common.model_fields["method"].default)
    result = dict(data)
    if isinstance(method, str) and registry.known("methods", method):
        loaded: type[Method] = registry.load("methods", method)
        for key in loaded.path_fields:
            if isinstance(value := data.get(key), str) and loaded.is_path(key, value):
                result[key] = str(folder / value)
    if isinstance(own := data.get("prompts"), dict):
        own = cast("dict[str, Any]", own)
        placed = {k: str(folder / v) if isinstance(v, str) else v for k, v in own.items()}
        result["prompts"] = placed
    if isinstance(entries := data.get("gates"), list):
        result["gates"] = [place_gate(entry, folder) for entry in cast("list[Any]", entries)]
    return result


def _set(data: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        below = data.setdefault(parent, {})
        if not isinstance(below, dict):
            raise ExperimentError(
                f"--set {dotted}: {parent} is set to a single value, so it "
                "cannot have keys below it"
            )
        data = cast("dict[str, Any]", below)
    data[last] = value
