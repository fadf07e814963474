"""Prompts are files: `<method>/<step>.md`, rendered with Jinja.

A file starts with a YAML header between two `---` lines: `variables` (what the text may use),
`paper` (the section it follows) and `about`. The body is split into messages by lines that hold
only `[system]`, `[user]` or, for an example of a reply, `[assistant]`. Loading checks that the text
uses only declared variables; its hash goes into the manifest and the fingerprint.

A class that calls a model (a method, a judge, a gate) finds its prompts next to itself: as
`prompts/<method>/<step>.md` or `<method>/prompts/<step>.md` next to its module or in a package
above that, then next to its base classes. convogen's own prompts are stored the same way, and so
are those of a plugin in its package.
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

    `prompt_names` lists its steps. `prompt_owners` maps a step that uses another class's prompt to
    the `name` of that class.
    """

    name: ClassVar[str]
    prompt_names: ClassVar[tuple[str, ...]]
    prompt_owners: ClassVar[dict[str, str]]


class Prompt:
    """A loaded prompt; `hash` identifies its text."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._given: dict[str, Any] = {}
        self.hash = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        match = _HEADER.match(text)
        if match is None:
            raise SourceError(
                f"{path}: no header; a prompt starts with a YAML header between --- lines"
            )
        header = _header(path, match[1])
        self.variables = _names(path, header.get("variables") or [])
        pieces = _ROLE.split(match[2])
        if len(pieces) < 3 or pieces[0].strip():
            raise SourceError(f"{path}: the text must start with a line [system] or [user]")
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
                    f"{self.path}: uses {', '.join(unknown)}; "
                    f"its header allows {', '.join(sorted(self.variables)) or 'none'}"
                )
            return _ENVIRONMENT.from_string(body)
        except jinja2.TemplateSyntaxError as error:
            raise SourceError(f"{self.path} line {error.lineno}: {error.message}") from error

    def partial(self, **values: Any) -> Prompt:
        """Return the same prompt with some of its variables filled in."""
        filled = copy(self)
        filled._given = {**self._given, **values}
        return filled

    def render(self, **values: Any) -> list[Message]:
        """Return the messages; every declared variable needs a value, from here or `partial`."""
        values = {**self._given, **values}
        if missing := sorted(self.variables - values.keys()):
            raise SourceError(f"{self.path}: no value for {', '.join(missing)}")
        wanted = {name: values[name] for name in self.variables}
        try:
            return [Message(role, part.render(wanted).strip()) for role, part in self._parts]
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise SourceError(f"{self.path}: cannot be rendered: {error}") from error


def _header(path: Path, text: str) -> dict[str, Any]:
    header = parse_yaml(text, f"{path}: its header is not valid YAML")
    if not isinstance(header, dict):
        raise SourceError(f"{path}: its header must be a mapping with the key variables")
    return cast("dict[str, Any]", header)


def _names(path: Path, given: Any) -> frozenset[str]:
    names = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(isinstance(name, str) for name in names):
        raise SourceError(f"{path}: variables must be a list of names (found {given!r})")
    return frozenset(cast("list[str]", names))


@lru_cache(maxsize=64)
def load_prompt(name: str, chosen: Path | None = None, owner: type[object] | None = None) -> Prompt:
    """Return a shipped prompt, or the file that replaces it.

    Args:
        name: Path without `.md`; for a method `<method>/<step>`.
        chosen: The user's file that replaces it.
        owner: The class that the prompt belongs to; None for convogen's own.

    Raises `SourceError` if the file is missing, uses variables it does not declare, declares
    variables that the shipped prompt does not, or has the wrong messages for the step.
    """
    shipped = _read(_find(owner, f"{name}.md"))
    if chosen is None:
        return shipped
    own = _read(chosen)
    if len(shipped.roles) == 1 and own.roles != shipped.roles:
        found = " ".join(f"[{role}]" for role in own.roles)
        raise SourceError(f"{chosen}: has {found}; this step is one message, [{shipped.roles[0]}]")
    if own.roles[-1] != shipped.roles[-1]:
        raise SourceError(f"{chosen}: ends with [{own.roles[-1]}], must end with [user]")
    if unknown := sorted(own.variables - shipped.variables):
        allowed = ", ".join(sorted(shipped.variables)) or "none"
        raise SourceError(f"{chosen}: variables: {unknown[0]} is not given; allowed: {allowed}")
    return own


def prompts_of(owner: type[Prompted], file: str, chosen: Mapping[str, str]) -> dict[str, Prompt]:
    """Return the prompts of a class by step; the user's files replace those in `chosen`.

    `file` is the path of a step's prompt below `prompts/`, such as `judges/{name}-{step}`. Raises
    `SourceError` if a file is invalid or its step does not exist.
    """
    if unknown := [step for step in chosen if step not in owner.prompt_names]:
        allowed = ", ".join(owner.prompt_names) or "none, it has no prompts"
        raise SourceError(f"{owner.name}: no prompt {unknown[0]!r}; allowed: {allowed}")
    return {
        step: load_prompt(
            file.format(name=owner.prompt_owners.get(step, owner.name), step=step),
            Path(chosen[step]) if step in chosen else None,
            owner,
        )
        for step in owner.prompt_names
    }


def _find(owner: type[object] | None, name: str) -> Path:
    """Return the first file of this name next to a class or its bases; for None, convogen's."""
    kind, _, file = name.rpartition("/")
    places = _places(owner) if owner else iter((PACKAGE / "methods", PACKAGE))
    folders = [(place / "prompts" / kind, place / kind / "prompts") for place in places]
    for folder in (one for pair in folders for one in pair):
        if (path := folder / file).is_file():
            return path
    searched = ", ".join(dict.fromkeys(str(pair[0].parent) for pair in folders))
    whose = f" of {owner.__name__}" if owner else ""
    raise SourceError(f"prompt {name}{whose}: there is none in {searched}")


def _places(owner: type[object]) -> Iterator[Path]:
    """Yield the folders of the modules of a class and its bases, and the packages above."""
    for cls in owner.__mro__:
        module = sys.modules.get(cls.__module__)
        if file := getattr(module, "__file__", None):
            depth = len((getattr(module, "__package__", None) or "").split("."))
            yield from list(Path(file).parents)[:depth]


def _read(path: Path) -> Prompt:
    return Prompt(path, read_text(path, f"prompt {path}"))
