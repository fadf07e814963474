"""Personas for role plays: drawn or read as sociodemographic features, or sampled from a hub.

Source: LLM Roleplay, sections 2, 3.1 and 3.2, appendices B and E. Disabled features are omitted
only from a persona's text, so a run that mentions fewer features has the same personas.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import cycle, islice, product
from pathlib import Path
from random import Random
from typing import Any, Literal, cast

from convogen.corpora.rows import RowError, decode
from convogen.corpora.sniff import container_of, read_rows
from convogen.errors import SourceError
from convogen.inputs.names import guess
from convogen.inputs.yaml12 import read_yaml
from convogen.methods.roleplay.people import SPEAKER, shipped
from convogen.personas import PersonaHub
from convogen.records import Persona
from convogen.text.speakers import one_line

__all__ = [
    "FEATURES",
    "Feature",
    "drawn",
    "file_people",
    "hub_people",
    "options_of",
    "people",
    "persona_id",
    "sentence",
]

Feature = Literal["age", "race", "gender", "education", "native_english"]
FEATURES: tuple[Feature, ...] = ("age", "race", "gender", "education", "native_english")

_ID = "persona_id"
_LONGEST = 120
"""Maximum length of a user's own option, in characters."""

_MOST_ROWS = 100_000

Features = Mapping[str, str]


def options_of(feature: Feature) -> tuple[str, ...]:
    """Return the options of a feature in order (Kumar et al., 2021)."""
    return tuple(_known()[feature])


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, str]]:
    return cast("dict[str, dict[str, str]]", shipped()["features"])


def sentence(features: Features, mentioned: Sequence[str] = FEATURES) -> str:
    """Return a persona's text: `a male White person of 25 to 34 with a doctoral degree; …`.

    Args:
        features: The option of each feature; options that are not shipped are used unchanged.
        mentioned: The features to mention, if the persona has them.
    """
    words = {name: _words(name, features[name]) for name in FEATURES if name in features}
    gender, race, *rest = (words.get(name) if name in mentioned else None for name in _ORDER)
    who = [one for one in (gender, race, "person", *rest) if one]
    article = "an" if who[0][0].lower() in "aeiou" else "a"
    own = words.get("native_english") if "native_english" in mentioned else None
    return " ".join([article, *who]) + (f"; {own}" if own else "")


_ORDER = ("gender", "race", "age", "education")
_OWN_WORDS = {"age": "of {}", "education": "whose education is: {}"}


def _words(feature: str, option: str) -> str:
    return _known()[feature].get(option) or _OWN_WORDS.get(feature, "{}").format(option)


def drawn(n: int, options: Mapping[Feature, Sequence[str]], seed: int) -> list[dict[str, str]]:
    """Return the features of the first `n` people for a seed; the options of each feature are about
    equally frequent.

    Each person gets the combination whose options have been least frequent so far; ties are broken
    at random (minimisation; Taves, 1974). No combination is repeated before all combinations have
    been drawn.

    Args:
        n: Number of people.
        options: For each feature, the options to draw from; for features that are not listed, all
            options are used.
        seed: The random seed.
    """
    sides = [tuple(options.get(name) or options_of(name)) for name in FEATURES]
    remaining = list(product(*sides))
    Random(f"{seed}").shuffle(remaining)
    count: Counter[tuple[int, str]] = Counter()
    combinations: list[tuple[str, ...]] = []
    while remaining and len(combinations) < n:
        index = min(
            range(len(remaining)),
            key=lambda index: sum(count[pair] for pair in enumerate(remaining[index])),
        )
        combinations.append(remaining.pop(index))
        count.update(enumerate(combinations[-1]))
    return [dict(zip(FEATURES, one, strict=True)) for one in islice(cycle(combinations), n)]


def people(
    rows: Sequence[Features],
    mentioned: Sequence[str] = FEATURES,
    vary: tuple[Feature, Sequence[str]] | None = None,
    source: str = "features",
    licence: str | None = "Apache-2.0",
) -> list[Persona]:
    """Return personas for people with the given features.

    Args:
        rows: The people's features; a row may have a `persona_id`.
        mentioned: The features that the personas' texts mention.
        vary: A feature to vary and its options. Each person appears once with each option, all else
            being equal (appendix E).
        source: The name of the personas' source.
        licence: The personas' licence.
    """
    feature, options = vary or ("age", (None,))
    twins: list[dict[str, str]] = [
        {**row, **({feature: option} if option else {})} for row in rows for option in options
    ]
    names = _ids(twins, len(options) > 1 and feature)
    return [
        Persona(
            name=SPEAKER,
            text=sentence(row, mentioned),
            source=source,
            licence=licence,
            id=name,
            features={key: row[key] for key in FEATURES if key in row},
        )
        for name, row in zip(names, twins, strict=True)
    ]


def _ids(rows: Sequence[Features], varied: str | bool) -> list[str]:
    """Return one id per row: the given id with the varied option, or else a hash of the features.

    Duplicate ids are made unique by a number.
    """
    seen: Counter[str] = Counter()
    names: list[str] = []
    for row in rows:
        if given := row.get(_ID):
            name = f"{given}/{row[varied]}" if isinstance(varied, str) else given
        else:
            name = _digest({key: row[key] for key in FEATURES if key in row})
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def persona_id(persona: Persona) -> str:
    """Return the id that identifies a persona in records. The id is the same in all runs with that
    persona."""
    return persona.id or _digest(persona.text or persona.name)


def _digest(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def hub_people(hub: PersonaHub, n: int, seed: int) -> list[Persona]:
    """Return `n` distinct personas drawn at random from a hub.

    Raises `SourceError` if the hub has fewer than `n` personas.
    """
    if n > len(hub):
        raise SourceError(
            f"persona_source {hub.source}: {n} personas requested, but the source has only "
            f"{len(hub)}; reduce `personas`"
        )
    chosen = Random(f"{seed}").sample(range(len(hub)), n)
    return [hub[at][0].named(SPEAKER) for at in chosen]


def file_people(path: Path, n: int | None) -> list[dict[str, str]]:
    """Return the first `n` rows of a persona file, with features and ids; all rows if `n` is None.

    The file may be a YAML or JSON file with a list at the top level or under `personas`, a CSV or
    JSONL file, or a configuration file from the authors' experiment. Raises `SourceError` if a row
    is invalid; the message names the file and the row.
    """
    rows: list[dict[str, str]] = []
    for number, given in _given(path):
        try:
            rows.append(_row(given))
        except ValueError as error:
            raise SourceError(f"personas {path}: row {number}: {error}") from None
        if len(rows) > _MOST_ROWS:
            raise SourceError(
                f"personas {path}: has more than {_MOST_ROWS:,} rows; shorten the file"
            )
    if not rows:
        raise SourceError(
            f"personas {path}: contains no personas; provide a `personas` list whose rows have "
            f"{', '.join(FEATURES)}, or a CSV file with these columns"
        )
    if n is not None and n > len(rows):
        raise SourceError(
            f"personas {path}: {n} personas requested, but the file has only {len(rows)}; reduce "
            "`personas`"
        )
    named = Counter(row[_ID] for row in rows if _ID in row)
    if twice := next((name for name, times in named.items() if times > 1), None):
        raise SourceError(
            f"personas {path}: two rows have the persona_id {twice!r:.60}; each persona_id must "
            "be unique"
        )
    return rows[:n]


def _given(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file, numbered from 1 or, in line-based files, by line number."""
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        yield from enumerate(_listed(read_yaml(path)), 1)
        return
    for row in read_rows(path, container_of(path)):
        try:
            yield row.line, decode(row.value)
        except RowError as error:
            raise SourceError(f"personas {path}: line {row.line}: {error}") from None


def _listed(data: Any) -> list[Any]:
    """Return the personas in a file's data: the data itself if it is a list, otherwise the list
    under `personas` or, in the authors' configuration, under `fixed`."""
    if isinstance(data, list):
        return cast("list[Any]", data)
    if not isinstance(data, dict):
        return []
    keys = cast("dict[str, Any]", data)
    for name in ("personas", "fixed"):
        if isinstance(keys.get(name), list):
            return keys[name]
    below = (_listed(keys[name]) for name in ("action_config", "task", "persona") if name in keys)
    empty: list[Any] = []
    return next((found for found in below if found), empty)


def _row(given: Any) -> dict[str, str]:
    """Return the features of a row, with known options in their shipped wording.

    Raises `ValueError` if the row is invalid.
    """
    if not isinstance(given, dict):
        raise ValueError(
            f"{given!r:.60} is not a persona; a persona must be an object with the keys "
            f"{', '.join(FEATURES)}"
        )
    cells = cast("dict[str, Any]", given)
    if isinstance(cells.get("person"), dict):  # in the authors' file
        cells = cells["person"]
    allowed = (*FEATURES, _ID)
    if unknown := next((key for key in cells if key not in allowed), None):
        raise ValueError(
            f"unknown key {unknown!r:.60}; {guess(str(unknown), allowed)}allowed: "
            f"{', '.join(allowed)}"
        )
    row = {name: _option(name, cells[name]) for name in allowed if _is_given(cells.get(name))}
    if not any(name in row for name in FEATURES):
        raise ValueError(f"has no features; give at least one of {', '.join(FEATURES)}")
    return row


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _option(name: str, value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError(f"{name}: must be a string or an integer (found {value!r:.60})")
    text = one_line(str(value)).replace("’", "'")
    if not text or len(text) > _LONGEST:
        raise ValueError(f"{name}: must have 1 to {_LONGEST} characters")
    if name == _ID:
        return text
    bare = text.casefold().removeprefix("a ").removeprefix("an ")
    synonyms: dict[str, str] = shipped()["synonyms"].get(name, {})
    known = {option.casefold(): option for option in _known()[name]} | synonyms
    if bare in known:
        return known[bare]
    if name == "native_english":
        raise ValueError(f"{name}: {text!r} is not an option; allowed: {', '.join(_known()[name])}")
    return text
