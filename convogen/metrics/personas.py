"""How good a persona hub is: its size, its copies, how long and how varied its texts are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convogen.generation.example_experiences import card_text
from convogen.metrics.diversity import Distinct, lexical, word_hashes
from convogen.metrics.repetition import repetition
from convogen.personas import PersonaHub

__all__ = ["HubStatistics", "measure_hub"]

_MTLD_PERSONAS = 2_000


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """The measures of a hub; lengths are words separated by white space.

    `exact_duplicates` counts the texts that occurred before, letter by letter; `near_copies` those
    that equal another or nearly (`convogen.metrics.repetition`). `mtld` is that of the first 2,000
    texts taken together: a single persona is too short for it.
    """

    personas: int
    named: int
    exact_duplicates: int
    near_copies: int
    near_copies_by: Literal["all pairs", "minhash"]
    words_mean: float
    words_std: float
    words_min: int
    words_median: float
    words_max: int
    distinct_1: float | None
    distinct_2: float | None
    mtld: float


def measure_hub(hub: PersonaHub) -> HubStatistics:
    """Measure a hub of single personas; its texts are held in memory meanwhile."""
    texts: list[str] = []
    named = 0
    unigrams, bigrams = Distinct(1), Distinct(2)
    for at in range(len(hub)):
        profile = hub[at][0]
        texts.append(profile.text or card_text(profile))
        named += profile.name is not None
        hashes = word_hashes(re.findall(r"\w+", texts[-1].casefold()))
        unigrams.add(hashes)
        bigrams.add(hashes)
    words = np.array([len(text.split()) for text in texts])
    copies = repetition(texts)
    return HubStatistics(
        personas=len(texts),
        named=named,
        exact_duplicates=len(texts) - len(set(texts)),
        near_copies=copies.copies if copies else 0,
        near_copies_by=copies.method if copies else "all pairs",
        words_mean=float(words.mean()),
        words_std=float(words.std()),
        words_min=int(words.min()),
        words_median=float(np.median(words)),
        words_max=int(words.max()),
        distinct_1=unigrams.ratio,
        distinct_2=bigrams.ratio,
        mtld=lexical("\n".join(texts[:_MTLD_PERSONAS])).mtld,
    )
