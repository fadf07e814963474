"""Reading and writing of YAML: the core schema of YAML 1.2, bounded in size and depth.

PyYAML by itself implements YAML 1.1, in which `010` is 8, `1:30` is 90 and a date is not text.
PyYAML also keeps only the last value of a duplicate key, and sets no limit on aliases or nesting.
This module returns a tree of bounded size that consists of strings, finite 64-bit numbers,
booleans, null, lists and mappings. Merge keys (`<<`) are supported.

>>> parse_yaml("{a: 010, b: 1:30, c: 2024-10-21, d: 1e-4}")
{'a': 10, 'b': '1:30', 'c': '2024-10-21', 'd': 0.0001}
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, cast

import yaml

from convogen.errors import SourceError, UserError
from convogen.inputs.text_file import LARGEST_BYTES, read_text

__all__ = ["YAML_SUFFIXES", "dump_yaml", "parse_mapping", "parse_yaml", "read_mapping", "read_yaml"]

YAML_SUFFIXES = (".yaml", ".yml")

DEEPEST = 64
"""Maximum nesting depth of lists and mappings."""

LONGEST_NUMBER = 40
"""Maximum length of an integer in characters. Longer integers exceed 64 bits or have leading
zeros."""

_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}
"""Maps each tag to the pattern for its unquoted scalars and the characters they can start with."""

_WIDTH = 80
"""Line width of YAML in characters, PyYAML's default."""

_TAG = "tag:yaml.org,2002:"
_LOOKS = {tag: re.compile(rf"(?:{looks})\Z") for tag, (looks, _) in _CORE.items()}
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times as fast


def read_yaml(path: Path, raising: type[UserError] = SourceError) -> Any:
    """Return the content of a YAML file.

    Errors are raised as `raising`, with a one-line message that names the file and the line.
    """
    return parse_yaml(read_text(path, path, raising), f"{path}: cannot be read", raising)


def read_mapping(path: Path, raising: type[UserError] = SourceError) -> dict[str, Any]:
    """Return the content of a YAML file as a mapping; raises `raising` if it is not a mapping."""
    return parse_mapping(read_text(path, path, raising), path, raising)


def parse_mapping(text: str, path: Path, raising: type[UserError] = SourceError) -> dict[str, Any]:
    """Return the text of a YAML file as a mapping; raises `raising` if it is not a mapping."""
    data = parse_yaml(text, f"{path}: cannot be read", raising)
    if not isinstance(data, dict):
        raise raising(f"{path}: must be a mapping of keys (KEY: VALUE), not {_kind(data)}")
    return cast("dict[str, Any]", data)


def parse_yaml(text: str, where: str = "YAML", raising: type[UserError] = SourceError) -> Any:
    """Return the content of a YAML string.

    Errors are raised as `raising`, with a one-line message that begins with `where`.
    """
    try:
        _check_bounds(text)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise raising(f"{where}: {_complaint(error, text)}") from error
    except UnicodeEncodeError as error:  # an argument with bytes that are not UTF-8
        raise raising(f"{where}: cannot be read: the text is not UTF-8") from error


def dump_yaml(data: Any, *, blocks: bool = False) -> str:
    """Return a tree as YAML that YAML 1.1 and `parse_yaml` read in the same way; keys keep their
    order.

    Args:
        data: The tree of mappings, lists and scalars.
        blocks: Whether long strings are written as block scalars, for files that users edit.
    """
    dumper = _BlockDumper if blocks else _Dumper
    return yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _check_bounds(text: str) -> None:
    """Check nesting and size in the stream of parser events, because composing deeply nested YAML
    crashes the C parser."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in cast("Any", yaml).parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            if (anchor := str(event.anchor)) not in sizes:
                problem = f"the alias *{anchor} comes before its anchor or inside the anchored node"
                raise _fault(problem, event.start_mark)
            total += sizes[anchor]
        elif isinstance(event, yaml.ScalarEvent):
            total += (size := len(event.value) + 1)
            if event.anchor:
                sizes[event.anchor] = size
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1
            if len(opened) > DEEPEST:
                raise _fault(f"more than {DEEPEST} levels of nesting", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchored, before = opened.pop()
            if anchored:
                sizes[anchored] = total - before
        if total > LARGEST_BYTES:
            most = f"{LARGEST_BYTES >> 20} MB"
            problem = f"with its aliases expanded, the document is larger than {most}"
            raise _fault(problem, event.start_mark)


def _kind(data: Any) -> str:
    known = {list: "a list", str: "text", type(None): "an empty file"}
    return known.get(cast("type[Any]", type(data)), "a value")


def _complaint(error: yaml.YAMLError, text: str) -> str:
    """Return the line number and the problem in that line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        problem = str(error.problem)
        if problem.startswith("but "):
            problem = f"{error.context} {problem}"
        elif error.context and error.context_mark:
            problem += f" ({error.context} that begins on line {error.context_mark.line + 1})"
        line = (
            min(error.problem_mark.line, text.count("\n")) + 1
        )  # the mark may be after the last line
        return f"line {line}: {problem}"
    position, reason = getattr(error, "position", None), getattr(error, "reason", error)
    if position is None:
        return " ".join(str(error).split())
    data = text.encode() if hasattr(yaml, "CSafeLoader") else text.encode("utf-32-le")[::4]
    return f"line {data.count(10, 0, position) + 1}: {reason}"


def _fault(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Loader(_Base):
    """A loader that accepts only strings, finite 64-bit numbers, booleans, null, lists and
    mappings."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML requires class attributes
    yaml_constructors: dict[str | None, Any] = {}  # noqa: RUF012

    def text(self, node: Any) -> str:
        value: str = self.construct_scalar(node)
        if "\0" in value:
            raise _fault("text must not contain a NUL character", node.start_mark)
        return value

    def _of(self, tag: str, node: Any) -> str:
        value = self.text(node)
        if not _LOOKS[tag].match(value):
            raise _fault(f"{value[:40]!r} is not a valid {tag}", node.start_mark)
        return value

    def nothing(self, node: Any) -> None:
        self._of("null", node)

    def boolean(self, node: Any) -> bool:
        return self._of("bool", node).casefold() == "true"

    def integer(self, node: Any) -> int:
        value = self._of("int", node)
        base = {"0o": 8, "0x": 16}.get(value[:2], 10)
        number = int(value, base) if len(value) <= LONGEST_NUMBER else None
        if number is None or not -(2**63) <= number < 2**63:
            raise _fault(f"the number {value[:20]}… does not fit in 64 bits", node.start_mark)
        return number

    def number(self, node: Any) -> float:
        value = self._of("float", node).casefold()
        if "n" in value or not math.isfinite(number := float(value)):
            raise _fault(f"{value[:40]} is not a finite number", node.start_mark)
        return number

    def entries(self, node: Any) -> list[Any]:
        return self.construct_sequence(node, deep=True)

    def mapping(self, node: Any) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise _fault("expected a mapping", node.start_mark)
        lines: dict[Any, int] = {}
        for place, _ in node.value:
            key: Any = self.construct_object(place, deep=True)
            if not isinstance(key, Hashable):
                raise _fault("a key must not be a list or a mapping", place.start_mark)
            if key in lines:
                problem = f"duplicate key {key!r:.60}; it first appears on line {lines[key]}"
                raise _fault(problem, place.start_mark)
            lines[key] = place.start_mark.line + 1
        self.flatten_mapping(node)
        build = self.construct_object
        return {build(key, deep=True): build(value, deep=True) for key, value in node.value}

    def unknown(self, node: Any) -> None:
        raise _fault(f"the tag {node.tag} is not supported; remove it", node.start_mark)


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes strings that the core schema would read as another type."""


class _BlockDumper(_Dumper):
    """A dumper that writes long strings as block scalars."""

    def text(self, value: str) -> Any:
        """Represent multi-line strings as literal blocks, and long lines as folded blocks."""
        style = "|" if "\n" in value else ">" if len(value) > _WIDTH else None
        return cast("Any", self).represent_scalar(f"{_TAG}str", value, style=style)


_BlockDumper.add_representer(str, _BlockDumper.text)

for _name, _build in {
    "null": _Loader.nothing,
    "bool": _Loader.boolean,
    "int": _Loader.integer,
    "float": _Loader.number,
    "str": _Loader.text,
    "merge": _Loader.text,
    "seq": _Loader.entries,
    "map": _Loader.mapping,
}.items():
    _Loader.add_constructor(_TAG + _name, _build)
_Loader.add_constructor(None, _Loader.unknown)
for _name, (_, _first) in _CORE.items():
    for _class in (_Loader, _Dumper, _BlockDumper):
        cast("Any", _class).add_implicit_resolver(_TAG + _name, _LOOKS[_name], list(_first))
