"""Setup of tasks and manifests: ids and seeds, the model for each role, and provenance."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from convogen.experiment.experiment import Experiment
from convogen.methods.base import Method, Play, Task
from convogen.models.backends.account import place_of
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Role
from convogen.models.traffic.writing import WritingLanguage
from convogen.storage.run_folder import Outcome
from convogen.version import __version__, installed_versions

__all__ = ["describe", "name_task", "now", "open_roles", "play_task", "writing_language"]

PACKAGES = (
    "aiohttp",
    "autogen-agentchat",
    "lingua-language-detector",
    "openai",
    "pydantic",
    "xllamacpp",
)


def name_task(fingerprint: str, number: int) -> tuple[str, int]:
    """Return a task's id (16 hexadecimal digits) and seed. Both are derived from the run's
    fingerprint and the task's number."""
    digest = hashlib.blake2b(f"{fingerprint}/{number}".encode(), digest_size=8).digest()
    return digest.hex(), int.from_bytes(digest)


def open_roles(experiment: Experiment) -> dict[str, Role]:
    """Return the model and sampling settings for each role in an experiment."""
    return {
        role: Role(experiment.model(role), experiment.sampling(role)) for role in experiment.roles
    }


def writing_language(method: Method, seed: int) -> WritingLanguage | None:
    """Return the language for the task with the given seed, and the roles that write in the
    language; None if no language is set."""
    tag = method.draw_language(seed)
    if tag is None:
        return None
    return WritingLanguage(tag, frozenset(method.roles) - method.roles_in_english)


async def play_task(play: Play, task: Task) -> Outcome:
    """Play a task and add the requested language, if any, to its records."""
    outcome, stated = await play.play(task), {"language": task.language}
    if task.language is None:
        return outcome
    return replace(
        outcome,
        experience=outcome.experience and outcome.experience.model_copy(update=stated),
        conversation=outcome.conversation and outcome.conversation.model_copy(update=stated),
    )


def describe(experiment: Experiment) -> dict[str, Any]:
    """Return the provenance of a data set for the manifest, without secrets."""
    packages = {"convogen": __version__, "python": platform.python_version()}
    packages |= installed_versions(PACKAGES)
    packages |= experiment.packages
    return {
        "name": experiment.name,
        "fingerprint": experiment.fingerprint,
        "n": experiment.n,
        "complete": False,
        "started_at": now(),
        "packages": packages,
        "models": {role: _described(experiment.model(role)) for role in experiment.roles},
        "experiment": experiment.fingerprint_inputs,
    }


def _described(spec: ModelSpec) -> Mapping[str, Any]:
    described: dict[str, Any] = {"name": spec.identity, "kind": spec.kind}
    if spec.price:
        described["price"] = spec.price.model_dump(exclude_none=True)
    if place := place_of(spec):
        described["base_url"] = place
    return described


def now() -> str:
    """Return the current time in UTC, with milliseconds so that two runs do not share a start
    time."""
    return f"{datetime.now(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
