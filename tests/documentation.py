"""Code blocks, links and headings in README.md and docs/.

`public_api/test_documentation.py` runs every block, unless a comment on the line before states what
the block needs, such as `<!-- needs: network -->`. Such a block is only parsed.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Block", "Page", "pages"]

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(
    r"(?:^<!-- needs: (?P<needs>[^>]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
_LINK = re.compile(r"(?<!\\)\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)")


@dataclass(frozen=True)
class Block:
    """A fenced code block and its position."""

    place: str
    language: str
    text: str
    needs: str | None

    @property
    def commands(self) -> Iterator[list[str]]:
        """Yield the words of each command line in a shell block."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


@dataclass(frozen=True)
class Page:
    """A page, identified by its path in the repository."""

    path: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """Return the fenced blocks of the page, in order."""
        return [
            Block(
                f"{self.path}:{self.text.count(chr(10), 0, found.start('language')) + 1}",
                found["language"],
                _included(re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)),
                found["needs"],
            )
            for found in _FENCE.finditer(self.text)
        ]

    @property
    def prose(self) -> str:
        """Return the page's text without fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def code(self) -> list[str]:
        """Return the inline code of the page."""
        return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", self.prose)]

    @property
    def links(self) -> list[str]:
        """Return the targets of links and pictures on the page."""
        return _LINK.findall(re.sub(r"`[^`\n]*`", "", self.prose))

    @property
    def anchors(self) -> set[str]:
        """Return the anchors of the page's headings."""
        return {_slug(h) for h in re.findall(r"^#{1,6} +(.+?) *#*$", self.prose, re.MULTILINE)}


def _included(text: str) -> str:
    """Return a block's text with the contents of the files that it includes."""
    return _SNIPPET.sub(lambda found: (ROOT / found[1]).read_text("utf-8"), text)


def _slug(heading: str) -> str:
    """Return the anchor that Python-Markdown, like GitHub, generates for a heading."""
    own = re.search(r"\{ *#([\w-]+) *\}$", heading)
    plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading))
    return own[1] if own else re.sub(r"[-\s]+", "-", plain.strip().lower())


@cache
def generator() -> Any:
    """Return the module docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> dict[str, Page]:
    """Return every page, written or generated, by its path in the repository."""
    made = {f"docs/{path}": text for path, text in generator().generated_pages().items()}
    written = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in written}
    return {path: Page(path, text) for path, text in (texts | made).items()}
