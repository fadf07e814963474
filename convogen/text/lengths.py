"""Length limits for texts, stated in words, and the bounds for JSON Schemas derived from them.

A prompt asks for a length in words. The `maxLength` in the JSON Schema is a safety net that allows
2.5 times that length. Servers that enforce `maxLength` (llama.cpp, vLLM, SGLang, Ollama) may end a
string in the middle of a word; `cut_texts` finds such strings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

import regex
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "BoundedText",
    "Words",
    "bounded_texts",
    "cut_texts",
    "is_cut",
    "lacks_end",
    "sentence_ends",
    "trimmed",
    "without_shortest",
]

CHARS_PER_WORD = 6.5
"""Generous estimate of the number of characters in an English word and the space after it."""

SLACK = 2.5
"""Ratio of a schema's bound to the requested length."""

Path = tuple[str | int, ...]

_ABBREVIATION = r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bProf)(?<!\b[A-Z])"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_SENTENCE_END = regex.compile(
    rf"(?:[!?…]|{_ABBREVIATION}\.)[.!?…]*[\"'”’»)\]]*(?=\s|\Z|(?<![.])[{_UNSPACED}])"
    r"|[\p{Sentence_Terminal}--[.!?]]+[\p{Sentence_Terminal}…]*[\"'”’」』）»)\]]*"
    r"|(?<=[\p{Thai}\p{Lao}])(?=\s)",
    regex.VERSION1,
)
"""Pattern for the ends of sentences in all scripts. In Thai and Lao, a space ends a sentence."""

_A_WORD_ALONE = regex.compile(rf"[{_UNSPACED}\p{{Hangul}}]")
_OPEN = "LMN"
"""Unicode categories of characters that do not end a phrase: letters, marks and numbers. The next
two constants add dashes, connectors, opening punctuation and single characters."""

_OPEN_PUNCTUATION = ("Pd", "Pc", "Ps", "Pi")
_OPEN_MARKS = frozenset(",，、;；:：/&'’`")


@dataclass(frozen=True, slots=True)
class _AtLeast:
    """Validator that rejects strings with fewer than `chars` characters.

    Scripts in which a single character may be a word are exempt.
    """

    chars: int

    def __call__(self, text: str) -> str:
        if len(text) >= self.chars or _A_WORD_ALONE.search(text):
            return text
        raise PydanticCustomError("string_too_short", "too short", {"min_length": self.chars})


def without_shortest(schema: Any) -> Any:
    """Return a JSON Schema without `minLength`, which assumes words separated by spaces."""
    if isinstance(schema, list):
        return [without_shortest(entry) for entry in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = cast("dict[str, Any]", schema)
    least = {"minLength"} if node.get("type") == "string" else set[str]()
    return {key: without_shortest(value) for key, value in node.items() if key not in least}


@dataclass(frozen=True, slots=True)
class Words:
    """A length limit in words; `str` formats it for a prompt, as in `20 to 45 words`."""

    most: int
    least: int = 0

    def __str__(self) -> str:
        return f"{self.least} to {self.most} words" if self.least else f"at most {self.most} words"

    @property
    def max_chars(self) -> int:
        """The bound for a JSON Schema, rounded up to a multiple of ten characters."""
        return 10 * ceil(self.most * CHARS_PER_WORD * SLACK / 10)

    @classmethod
    def within(cls, max_chars: int) -> Words:
        """Return the length in words from which a schema's `maxLength` was derived."""
        return cls(max(1, int(max_chars / (CHARS_PER_WORD * SLACK))))

    def field(
        self, about: str = "", *, shortest: int = 3, longest: int = 2000, **schema: Any
    ) -> Any:
        """Return a pydantic field that states this length and bounds it in the JSON Schema.

        Args:
            about: Description of the text, to which the length is appended.
            shortest: Minimum number of characters; in scripts without spaces, one character is
                enough.
            longest: Maximum number of characters that validation accepts. It exceeds the schema's
                bound because not every server enforces the bound, and because people also write
                files by hand.
            schema: Further keywords for the field's JSON Schema.
        """
        extra: Any = {"maxLength": self.max_chars, "minLength": shortest, **schema}
        field: Any = Field(
            max_length=max(longest, self.max_chars),
            description=f"{about} ({self})" if about else None,
            json_schema_extra=extra,
        )
        field.metadata.append(AfterValidator(_AtLeast(shortest)))
        return field


@dataclass(frozen=True, slots=True)
class BoundedText:
    """A string in a JSON object, with its path and the maximum length in the schema, if any."""

    path: Path
    text: str
    max_chars: int | None

    def complaint(self) -> str:
        """Return the message that tells a model that its text was cut off."""
        key = ".".join(str(part) for part in self.path)
        if self.max_chars is None:
            return f"{key}: it was cut off; say it in fewer words"
        return (
            f"{key}: it was cut off at {len(self.text)} characters; "
            f"say it in {Words.within(self.max_chars)}"
        )


def bounded_texts(data: object, schema: Mapping[str, Any]) -> Iterator[BoundedText]:
    """Yield the strings that a schema describes in a JSON value, in order, except enumerations."""
    yield from _texts(data, schema, schema, ())


def _texts(
    data: object, node: Mapping[str, Any], root: Mapping[str, Any], path: Path
) -> Iterator[BoundedText]:
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rsplit("/", 1)[1]], **node}
    for option in node.get("anyOf", ()):
        yield from _texts(data, option, root, path)
    kind = node.get("type")
    if isinstance(data, str) and kind == "string" and not node.keys() & {"enum", "const"}:
        yield BoundedText(path, data, node.get("maxLength"))
    elif isinstance(data, list) and kind == "array" and "items" in node:
        for index, item in enumerate(cast("list[object]", data)):
            yield from _texts(item, node["items"], root, (*path, index))
    elif isinstance(data, dict) and kind == "object":
        properties = node.get("properties", {})
        for key, value in cast("dict[str, object]", data).items():
            if key in properties:
                yield from _texts(value, properties[key], root, (*path, key))


def cut_texts(
    data: object, schema: Mapping[str, Any], finish_reason: str = "stop"
) -> list[BoundedText]:
    """Return the strings in a reply that were cut off.

    A string that does not end like a sentence or phrase counts as cut off if it stops at its
    schema's `maxLength`, or if it is the last string in a reply that reached its token limit. Any
    other string may lack a proper end without being cut off.
    """
    texts = list(bounded_texts(data, schema))
    cut = [one for one in texts if one.max_chars and is_cut(one.text, one.max_chars)]
    if finish_reason == "length" and texts and texts[-1] not in cut and lacks_end(texts[-1].text):
        cut.append(texts[-1])
    return cut


def is_cut(text: str, max_chars: int) -> bool:
    """Return whether a text stops at a bound, or one character before it, and lacks an end."""
    return max_chars - 1 <= len(text) <= max_chars and lacks_end(text)


def lacks_end(text: str) -> bool:
    """Return whether a text lacks the end of a sentence or phrase: `.`, `!`, `…`, `)`, `”`, `。`.

    Letters, digits, commas, dashes, and opening quotation marks and brackets do not end a phrase.
    """
    said = text.rstrip().rstrip("\N{VARIATION SELECTOR-16}")
    if not said:
        return bool(text)
    last, before = said[-1], said[-2:-1]
    if last == '"':
        return not before or before.isspace()
    if last in "'’" and before and not before.isalnum() and not before.isspace():
        return False
    category = unicodedata.category(last)
    return category[0] in _OPEN or category in _OPEN_PUNCTUATION or last in _OPEN_MARKS


def sentence_ends(text: str) -> list[int]:
    """Return the index after the end of each sentence in a text.

    Abbreviations such as `Dr.` do not end a sentence.
    """
    return [match.end() for match in _SENTENCE_END.finditer(text)]


def trimmed(text: str, stop: str = ".") -> str:
    """Return a cut-off text, trimmed to its complete sentences.

    A text without a complete sentence is trimmed to its complete words, and `stop` is appended. A
    text without a complete word becomes empty.
    """
    if ends := sentence_ends(text):
        return text[: ends[-1]].strip()
    found = re.match(r"(.*)\s\S*\Z", text, re.DOTALL)
    whole = found[1].strip() if found else ""
    while whole and lacks_end(whole) and unicodedata.category(whole[-1])[0] not in _OPEN:
        whole = whole[:-1].rstrip()
    return whole + stop if whole and lacks_end(whole) else whole
