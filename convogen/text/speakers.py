"""Speakers of a group chat: identifiers for their names, and resolution of a selector's reply."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from anyascii import anyascii

from convogen.text.language import load_language

__all__ = [
    "agent_keys",
    "longest_silent",
    "person_named",
    "resolve_speaker",
    "silence",
    "tidy_name",
    "without_titles",
]


def agent_keys(names: Sequence[str]) -> dict[str, str]:
    """Map ASCII identifiers, which AutoGen requires, to names, in the order of the names."""
    keys: dict[str, str] = {}
    for place, name in enumerate(names, 1):
        key = re.sub(r"\W+", "_", anyascii(name)).strip("_")
        if not key or not key[0].isalpha() or key.casefold() in {"user", "system"}:
            key = f"Person_{place}"
        while key in keys:
            key = f"{key}_{place}"
        keys[key] = name
    return keys


CONTROL = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]+\s*")


def one_line(name: str) -> str:
    """Return a name on one line, for use in a prompt; control characters become spaces."""
    return CONTROL.sub(" ", name).strip() if CONTROL.search(name) else name


def tidy_name(name: str) -> str:
    """Return a name normalized for comparison.

    The result is composed (NFC) and single-spaced, without invisible characters.
    """
    name = unicodedata.normalize("NFC", name)
    return " ".join("".join(c for c in name if unicodedata.category(c) != "Cf").split())


def without_titles(name: str) -> tuple[list[str], list[str]]:
    """Split a name into its leading titles, each in the standard spelling, and its other words."""
    language = load_language("en")
    words = name.split()
    bare = [word.casefold().strip(".,") for word in words]
    n = 0
    while n < len(words) - 1 and bare[n] in language.titles:
        n += 1
    return [language.title_spellings.get(title, title) for title in bare[:n]], words[n:]


def person_named(name: str, names: Sequence[str]) -> str | None:
    """Return the person to whom a name refers, or None if the name fits nobody or several people.

    The name may be a full name, with or without titles, or a first or last name that only one
    person has. Titles are not names: `Dr. Wills` means Ben Wills, even if somebody else is a
    doctor. If none of these forms matches, the first word of the name decides, provided that it is
    the first name of only one person.
    """
    if found := _alone(name, names):
        return found
    first = _words(" ".join(without_titles(tidy_name(name))[1][:1]))
    return _first(_called((*names,), fold, _FIRST).get(_folded(first, fold)) for fold in _FOLDS)


def resolve_speaker(reply: str, candidates: Mapping[str, str]) -> str | None:
    """Return the key of the only candidate that a selector's reply names, or None.

    `candidates` maps keys to names. The following parts of the reply are tried in order: the first
    line, if it is only a name; a value whose key contains `next`, `speaker` or `name`; the last
    line that is only a name; a name in double quotes; the first line, if it mentions exactly one
    candidate; and the last line that mentions exactly one candidate.
    """
    names = list(candidates.values())
    text = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), _read(reply))
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("_", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    ways = (
        (_alone(line, names) for line in lines[:1]),
        (person_named(value, names) or _mentioned(value, names) for value in _values(text)),
        (_alone(line, names) for line in reversed(lines)),
        (_alone(quoted, names) for quoted in re.findall(r'"([^"\n]+)"', text)),
        (_mentioned(line, names) for line in [*lines[:1], *reversed(lines)]),
    )
    found = _first(name for way in ways for name in way)
    return next((key for key, name in candidates.items() if name == found), None)


def _read(reply: str) -> str:
    """Return a reply, reduced to its beginning and end if it is long."""
    if len(reply) <= 2 * MOST_CHARS:
        return reply
    return f"{reply[:MOST_CHARS]}\n{reply[-MOST_CHARS:]}"


def _values(text: str) -> list[str]:
    """Return values that may name the next speaker, in JSON, a Python literal or `key: value`."""
    pairs = [(pair[1].casefold(), "".join(pair.groups("")[1:])) for pair in _PAIR.finditer(text)]
    said = [(key, value.replace("\\", "")) for key, value in pairs if not _PAST.search(key)]
    return [value for part in ("next", "speaker", "name") for key, value in said if part in key]


def _alone(text: str, names: Sequence[str]) -> str | None:
    """Return the name that a text consists of, apart from titles and punctuation, or None."""
    text = tidy_name(text)
    if exact := [name for name in names if tidy_name(name) == text]:
        return exact[0] if len(exact) == 1 else None
    titles, core = without_titles(_words(text))
    for fold in _FOLDS:
        words = _folded(" ".join(core), fold)
        called = _called((*names,), fold)
        if person := called.get((*titles, *words)) or called.get(words):
            return person
    return None


def _mentioned(line: str, names: Sequence[str]) -> str | None:
    """Return the only person whom a line mentions, or None for no person or several people.

    A name within a longer name does not count. A last name may also be somebody else's, so it
    counts only after a title. A title alone counts only if it is written as in the name.
    """
    for fold in _FOLDS:
        text, mentioned = fold(tidy_name(line)), set[str]()
        called = _called((*names,), fold, _EXACTLY if fold is _FOLDS[0] else _AMONG_WORDS)
        for form in sorted(called, key=lambda form: -len("".join(form))):
            name = called[form]
            if not name or not all(word in text or _is_title(word) for word in form):
                continue  # most names do not occur in a line and need no compiled pattern
            remainder, n = _pattern(form).subn("\n", text)
            if n:
                mentioned.add(name)
                text = remainder
        if mentioned:
            return mentioned.pop() if len(mentioned) == 1 else None
    return None


@lru_cache(maxsize=64)
def _called(
    names: tuple[str, ...], fold: _Fold, kinds: tuple[int, ...] = tuple(range(6))
) -> dict[tuple[str, ...], str | None]:
    """Map each form of a name (a tuple of words) to its person, or to None if several share it.

    The kinds of forms, in order of precedence, are the full name; the name without titles; its
    first word; the title (`""` for any title) and the last name; the last name; and the title.
    """
    forms: list[list[tuple[str, tuple[str, ...]]]] = [[] for _ in range(6)]
    for name in names:
        text = _words(tidy_name(name))
        titles, words = without_titles(text)
        core = _folded(" ".join(words), fold)
        title = _folded(" ".join(text.split()[: len(titles)][-1:]), fold)
        last = (titles[-1] if titles else "", *core[-1:])
        for kind, form in enumerate(((*titles, *core), core, core[:1], last, core[-1:], title)):
            if core and form:
                forms[kind].append((name, form))
    called: dict[tuple[str, ...], str | None] = {}
    for kind in kinds:
        n = Counter(form for _, form in forms[kind])
        for name, form in forms[kind]:
            called.setdefault(form, name if n[form] == 1 else None)
    return called


def _is_title(word: str) -> bool:
    """Return whether a word of a form is a title in any spelling, or `""` for any title."""
    language = load_language("en")
    return word == "" or word in language.titles or word in language.title_spellings.values()


@lru_cache(maxsize=4096)
def _pattern(form: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for a form of a name.

    In scripts without spaces, other letters may surround the form.
    """
    spelt = r"\.?\s+".join(_spelt(word) for word in form)
    if len("".join(form)) > 1 and _UNSPACED.search("".join(form)):
        return re.compile(spelt)
    surname = r"(?!\.?\s+[^\W\d_a-z])" if form[0].casefold() in load_language("en").titles else ""
    return re.compile(rf"(?<!\w){spelt}(?!\w){surname if len(form) == 1 else ''}")


@lru_cache(maxsize=1024)
def _spelt(word: str) -> str:
    """Return a pattern for a word, for all spellings of a title, or, given `""`, for any title."""
    language = load_language("en")
    titles = [t for t in language.titles if word in ("", language.title_spellings.get(t, t))]
    return rf"(?i:{'|'.join(sorted(titles, key=len, reverse=True))})" if titles else re.escape(word)


def _words(text: str) -> str:
    """Return a text without surrounding quotation marks, emphasis or list number."""
    return _EDGES.sub("", text.replace("_", " "))


def _folded(text: str, fold: _Fold) -> tuple[str, ...]:
    return tuple(bare for word in fold(text).split() if (bare := _MARKS.sub("", word)))


def _plain(text: str) -> str:
    return " ".join(anyascii(text).casefold().split())


def _first(names: Iterable[str | None]) -> str | None:
    return next((name for name in names if name is not None), None)


_Fold = Callable[[str], str]

_FOLDS: tuple[_Fold, ...] = (str.strip, str.casefold, _plain)
"""Ways to compare a reply with a name: exactly, ignoring case, and in lower-case ASCII."""

_FIRST, _AMONG_WORDS, _EXACTLY = (2,), (0, 1, 2, 3), (0, 1, 2, 3, 5)
"""Kinds of forms in `_called`: first names; forms that are recognized among other words; and these
forms and titles alone, for exact comparison."""

_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]")
"""Characters of scripts without spaces between words or before particles."""

_EDGES = re.compile(r"\A\W*(?:\d+[.)]\s+)?\W*|(?<!\W)\W+\Z")
"""Marks around a name that stands alone: quotation marks, emphasis or a list number."""

_MARKS = re.compile(r"\A\W+|(?<!\W)\W+\Z")

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

_PAIR = re.compile(
    r"""(?:^|[{,])[ \t"'*#>-]{0,8}(\w[\w ]{0,29}?)["'* ]{0,4}[:=][ \t*\[]{0,8}"""
    r"""(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|([^\n,{}\[\]"']*))""",
    re.MULTILINE,
)
"""A key and its value, which may be in double quotes, single quotes or no quotes."""

_PAST = re.compile(r"last|prev|current|reason")
"""Words that occur in keys whose value is not the next speaker."""

MOST_CHARS = 4_000
"""Number of characters that are read at the beginning of a long reply, and again at its end."""


def silence(name: str, spoke: Sequence[str]) -> int | None:
    """Return how many turns ago a person last spoke (0 for the last turn), or None if the person
    has never spoken."""
    return next((ago for ago, other in enumerate(reversed(spoke)) if other == name), None)


def longest_silent(candidates: Sequence[str], spoke: Sequence[str]) -> str:
    """Return the candidate who has been silent longest.

    If several have never spoken, the first of them is returned. `spoke` lists the speakers so far,
    in order.
    """
    last = {speaker: at for at, speaker in enumerate(spoke)}
    return min(candidates, key=lambda name: last.get(name, -1))
