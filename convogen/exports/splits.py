"""Assignment of conversations to splits, based only on a hash of their experience.

All conversations of one experience, and all rows of a conversation, are therefore in the same
split. Adding conversations later does not change the split of existing conversations. Experiences
count as equal if they differ only in case, punctuation and word order; other near-copies are not
detected.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

from convogen.errors import SourceError
from convogen.exports.base import Item
from convogen.text.near_duplicates import sorted_words

__all__ = ["WHOLE", "parse_splits", "split_of"]

WHOLE = {"train": 1.0}
_NAME = re.compile(r"\w+(\.\w+)*")
_ALLOWED = "such as train=0.8,validation=0.1,test=0.1"


def parse_splits(text: str) -> dict[str, float]:
    """Return the share for each name in text such as `train=0.8,test=0.2`; raises `SourceError` if
    the shares do not add up to 1, or if a name or share is invalid."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = (piece.strip() for piece in part.partition("="))
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not sign or not _NAME.fullmatch(name) or name in shares or not 0 < share <= 1:
            raise SourceError(
                f"splits: {part.strip()!r} must be NAME=SHARE, with a unique name and a share "
                f"above 0 and at most 1, {_ALLOWED}"
            )
        shares[name] = share
    if not math.isclose(math.fsum(shares.values()), 1, abs_tol=1e-6):
        total = math.fsum(shares.values())
        raise SourceError(
            f"splits: the shares add up to {total:g}, but must add up to 1, {_ALLOWED}"
        )
    return shares


def split_of(item: Item, shares: Mapping[str, float], seed: int) -> str:
    """Return the split of a conversation, which depends only on the experience, shares and seed."""
    digest = hashlib.blake2b(f"{seed}\n{_key(item)}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64
    upto = 0.0
    for name, share in shares.items():
        upto += share
        if place < upto:
            return name
    return list(shares)[-1]


def _key(item: Item) -> str:
    """Return the text that identifies an experience: its words, the opening from a seed, or an
    id."""
    if item.experience is not None:
        known = item.experience
        people = [text for persona in known.personas for text in (persona.name, persona.text or "")]
        cards = [persona.card.model_dump_json() for persona in known.personas if persona.card]
        parts = [*people, *cards, known.relations, known.situation, known.topic, known.starter.text]
        if words := sorted_words(" ".join(parts)):
            return words
    if "seed" in item.conversation.context:
        return sorted_words(item.conversation.turns[0].text)
    return item.conversation.experience or item.conversation.id
