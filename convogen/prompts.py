"""Prompt files, such as `<method>/<step>.md`, which are rendered with Jinja.

A file starts with a YAML header between two `---` lines, with the keys `variables` (the variables
that the text may use), `paper` (the section of the paper that the prompt follows) and `about`.
Lines that contain only `[system]`, `[user]` or, for an example of a reply, `[assistant]` divide the
body into messages. Loading checks that the text uses only declared variables. The hash of the file
goes into the manifest and the fingerprint.

The prompts of a method, judge or gate are stored next to the module that defines the class or in a
package above that module, as `prompts/<method>/<step>.md` or `<method>/prompts/<step>.md`. The
modules of the base classes are searched next. This applies to convogen's own prompts and to those
of plugins.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast

import jinja2
import jinja2.meta
import jinja2.sandbox

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.inputs.yaml12 import parse_yaml
from convogen.models.base import Message
from convogen.resources import PACKAGE

__all__ = ["Prompt", "Prompted", "load_prompt", "prompts_of"]

_Speaker = Literal["system", "user", "assistant"]

_ENVIRONMENT = jinja2.sandbox.SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
_HEADER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_ROLE = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


class Prompted(Protocol):
    """A class with prompts: a method, a judge or a gate.

    `prompt_names` lists the steps of the class. `prompt_owners` maps a step that uses the prompt of
    another class to the `name` of that class.
    """

    name: ClassVar[str]
    prompt_names: ClassVar[tuple[str, ...]]
    prompt_owners: ClassVar[dict[str, str]]


class Prompt:
    """A loaded prompt file; `hash` is the hash of its text."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._given: dict[str, Any] = {}
        self.hash = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        match = _HEADER.match(text)
        if match is None:
            raise SourceError(
                f"{path}: the header is missing; a prompt file must start with a YAML header "
                "between --- lines"
            )
        header = _header(path, match[1])
        self.variables = _names(path, header.get("variables") or [])
        pieces = _ROLE.split(match[2])
        if len(pieces) < 3 or pieces[0].strip():
            raise SourceError(
                f"{path}: the text after the header must start with the line [system] or [user]"
            )
        roles, bodies = pieces[1::2], pieces[2::2]
        self._parts: list[tuple[_Speaker, jinja2.Template]] = [
            (cast("_Speaker", role), self._compile(body.strip()))
            for role, body in zip(roles, bodies, strict=True)
        ]

    @property
    def roles(self) -> list[str]:
        """The roles of the messages, in order."""
        return [role for role, _ in self._parts]

    def _compile(self, body: str) -> jinja2.Template:
        try:
            used = jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(body))
            if unknown := sorted(used - self.variables):
                raise SourceError(
                    f"{self.path}: uses undeclared variables: {', '.join(unknown)}; declare them "
                    "under `variables` in the header (declared so far: "
                    f"{', '.join(sorted(self.variables)) or 'none'})"
                )
            return _ENVIRONMENT.from_string(body)
        except jinja2.TemplateSyntaxError as error:
            raise SourceError(f"{self.path} line {error.lineno}: {error.message}") from error

    def partial(self, **values: Any) -> Prompt:
        """Return a copy of the prompt with some of its variables set."""
        filled = copy(self)
        filled._given = {**self._given, **values}
        return filled

    def render(self, **values: Any) -> list[Message]:
        """Return the rendered messages.

        Every declared variable needs a value, given here or with `partial`.
        """
        values = {**self._given, **values}
        if missing := sorted(self.variables - values.keys()):
            raise SourceError(
                f"{self.path}: no value for {', '.join(missing)}; every declared "
                "variable needs a value"
            )
        wanted = {name: values[name] for name in self.variables}
        try:
            return [Message(role, part.render(wanted).strip()) for role, part in self._parts]
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise SourceError(f"{self.path}: cannot be rendered: {error}") from error


def _header(path: Path, text: str) -> dict[str, Any]:
    header = parse_yaml(text, f"{path}: the header is not valid YAML")
    if not isinstance(header, dict):
        raise SourceError(f"{path}: the header must be a mapping with a `variables` key")
    return cast("dict[str, Any]", header)


def _names(path: Path, given: Any) -> frozenset[str]:
    names = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(isinstance(name, str) for name in names):
        raise SourceError(f"{path}: `variables` must be a list of names (found {given!r})")
    return frozenset(cast("list[str]", names))


@lru_cache(maxsize=64)
def load_prompt(name: str, chosen: Path | None = None, owner: type[object] | None = None) -> Prompt:
    """Return a shipped prompt, or the user's file that replaces it.

    Args:
        name: The path of the shipped prompt without `.md`, such as `<method>/<step>`.
        chosen: The path of the user's file; None for the shipped prompt.
        owner: The class that uses the prompt; None to search only convogen's own folders.

    Raises:
        SourceError: The file is missing, uses variables that it does not declare, declares
            variables that the shipped prompt does not, or has the wrong messages for the step.
    """
    shipped = _read(_find(owner, f"{name}.md"))
    if chosen is None:
        return shipped
    own = _read(chosen)
    if len(shipped.roles) == 1 and own.roles != shipped.roles:
        found = " ".join(f"[{role}]" for role in own.roles)
        raise SourceError(
            f"{chosen}: has the messages {found}, but the prompt for this step must have only one, "
            f"[{shipped.roles[0]}]"
        )
    if own.roles[-1] != shipped.roles[-1]:
        raise SourceError(f"{chosen}: ends with [{own.roles[-1]}], but must end with [user]")
    if unknown := sorted(own.variables - shipped.variables):
        allowed = ", ".join(sorted(shipped.variables)) or "none"
        raise SourceError(f"{chosen}: the variable {unknown[0]} is not known; allowed: {allowed}")
    return own


def prompts_of(owner: type[Prompted], file: str, chosen: Mapping[str, str]) -> dict[str, Prompt]:
    """Return a mapping from a class's steps to their prompts.

    Args:
        owner: The class with the prompts.
        file: The pattern for prompt paths below `prompts/`, such as `judges/{name}-{step}`.
        chosen: Maps steps to the paths of the user's own files.

    Raises:
        SourceError: A file is invalid, or its step does not exist.
    """
    if unknown := [step for step in chosen if step not in owner.prompt_names]:
        allowed = ", ".join(owner.prompt_names) or "none"
        raise SourceError(f"{owner.name}: has no prompt {unknown[0]!r}; allowed: {allowed}")
    return {
        step: load_prompt(
            file.format(name=owner.prompt_owners.get(step, owner.name), step=step),
            Path(chosen[step]) if step in chosen else None,
            owner,
        )
        for step in owner.prompt_names
    }


def _find(owner: type[object] | None, name: str) -> Path:
    """Return the first prompt file with this name next to a class or its bases.

    If `owner` is None, convogen's own folders are searched.
    """
    kind, _, file = name.rpartition("/")
    places = _places(owner) if owner else iter((PACKAGE / "methods", PACKAGE))
    folders = [(place / "prompts" / kind, place / kind / "prompts") for place in places]
    for folder in (one for pair in folders for one in pair):
        if (path := folder / file).is_file():
            return path
    searched = ", ".join(dict.fromkeys(str(pair[0].parent) for pair in folders))
    whose = f" of {owner.__name__}" if owner else ""
    raise SourceError(f"prompt {name}{whose}: not found in {searched}")


def _places(owner: type[object]) -> Iterator[Path]:
    """Yield the folders of a class's module and of the packages above it, then the same for its
    bases."""
    for cls in owner.__mro__:
        module = sys.modules.get(cls.__module__)
        if file := getattr(module, "__file__", None):
            depth = len((getattr(module, "__package__", None) or "").split("."))
            yield from list(Path(file).parents)[:depth]


def _read(path: Path) -> Prompt:
    return Prompt(path, read_text(path, f"prompt {path}"))
