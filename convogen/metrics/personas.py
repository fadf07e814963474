"""Quality measures for a persona hub: size, copies, and the length and diversity of its texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convogen.generation.example_experiences import card_text
from convogen.metrics.diversity import Distinct, lexical, lexical_of, word_hashes
from convogen.metrics.repetition import repetition
from convogen.personas import PersonaHub
from convogen.text.identify import identify
from convogen.text.segmentation import at_white_space, words

__all__ = ["HubStatistics", "measure_hub"]

_MTLD_PERSONAS = 2_000


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """The measures of a hub.

    `language` is the primary BCP 47 subtag of the hub's language. English texts are split into
    words at white space. Word counts, distinct-n and MTLD are None if text in the language
    cannot be split into words.

    `exact_duplicates` counts texts that repeat an earlier text exactly. `near_copies` counts texts
    that are equal or nearly equal to another text (`convogen.metrics.repetition`). `mtld` is the
    MTLD of the first 2,000 texts together, since a single persona is too short.
    """

    personas: int
    named: int
    exact_duplicates: int
    near_copies: int
    near_copies_by: Literal["all pairs", "minhash"]
    language: str | None
    words_mean: float | None
    words_std: float | None
    words_min: int | None
    words_median: float | None
    words_max: int | None
    distinct_1: float | None
    distinct_2: float | None
    mtld: float | None


def measure_hub(hub: PersonaHub) -> HubStatistics:
    """Return the measures of a hub of single personas; the texts are kept in memory."""
    texts: list[str] = []
    named = 0
    unigrams, bigrams = Distinct(1), Distinct(2)
    for at in range(len(hub)):
        profile = hub[at][0]
        texts.append(profile.text or card_text(profile))
        named += profile.name is not None
    language = identify(texts)
    cut = [words(text, language) for text in texts]
    known = [found for found in cut if found is not None]
    measured = len(known) == len(cut)
    for text, found in zip(texts, known, strict=False) if measured else ():
        spoken = at_white_space(text, language)
        tokens = re.findall(r"\w+", text.casefold()) if spoken else map(str.casefold, found)
        hashes = word_hashes([*tokens])
        unigrams.add(hashes)
        bigrams.add(hashes)
    lengths = np.array([len(found) for found in known]) if measured else None
    copies = repetition(texts)
    return HubStatistics(
        personas=len(texts),
        named=named,
        exact_duplicates=len(texts) - len(set(texts)),
        near_copies=copies.copies if copies else 0,
        near_copies_by=copies.method if copies else "all pairs",
        language=language,
        words_mean=None if lengths is None else float(lengths.mean()),
        words_std=None if lengths is None else float(lengths.std()),
        words_min=None if lengths is None else int(lengths.min()),
        words_median=None if lengths is None else float(np.median(lengths)),
        words_max=None if lengths is None else int(lengths.max()),
        distinct_1=unigrams.ratio,
        distinct_2=bigrams.ratio,
        mtld=_mtld(texts[:_MTLD_PERSONAS], known, language) if measured else None,
    )


def _mtld(texts: list[str], cut: list[list[str]], language: str | None) -> float:
    text = "\n".join(texts)
    if at_white_space(text, language):
        return lexical(text).mtld
    return lexical_of([word for found in cut[: len(texts)] for word in found]).mtld
