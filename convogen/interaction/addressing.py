"""The addressee of each turn, and the earlier turn to which the turn replies, inferred without a
model.

The following evidence is used, in this order: the author's own statement; people addressed by name;
the presence of only one other person; words for a group ("everyone", "you two"); the speaker of the
turn that is replied to; and, for a question that is not a reply, the next speaker.

A turn is assumed to reply to the earlier turn with the highest score. The score depends on
distance, on whether the earlier turn addressed the current speaker or asked them a question that is
still open, on shared words, and on whether the current turn names the earlier speaker. This is a
heuristic in the tradition of adjacency pairs (Sacks, Schegloff and Jefferson, 1974), not a model.
`tests/interaction/test_agreement.py` measures its accuracy on labelled dialogues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from convogen.interaction.patterns import Patterns
from convogen.interaction.utterances import Utterance, read
from convogen.interaction.vocatives import named_in, names_of

__all__ = ["EVIDENCE_LABELS", "Address", "Evidence", "addresses"]

Evidence = Literal[
    "stated", "named", "only", "group", "answers", "previous", "earlier", "answered", "opening"
]

EVIDENCE_LABELS: dict[Evidence, str] = {
    "stated": "Its author states it",
    "named": "It addresses somebody by name",
    "only": "There is only one other person",
    "group": "Words for a group",
    "answers": "It answers an open question",
    "previous": "It replies to the previous turn",
    "earlier": "It replies to an earlier turn",
    "answered": "The next speaker answers it",
    "opening": "Nothing: it opens a topic",
}
"""Maps each kind of evidence to its label for readers, beginning with the most certain evidence."""

LOOK_BACK = 6
"""Maximum distance, in turns, between a turn and the earlier turn that it replies to."""

NEARNESS = (1.0, 0.55, 0.3, 0.15, 0.08, 0.04)
ADDRESSED, OPEN_QUESTION, OPEN_TO_ALL, OVERLAP, NAMED = 0.4, 0.5, 0.6, 0.6, 1.2
FADING = 0.75
"""Factor by which each intervening turn reduces the weight of an address."""

_LEAST_LETTERS = 4
"""Minimum length of a word that counts as shared by two turns."""


@dataclass(frozen=True, slots=True)
class Address:
    """The addressee of a turn.

    Attributes:
        to: Names of the addressees; if `everyone` is true, the names of all other people.
        everyone: Whether the turn addresses the whole group.
        reply_to: Index of the earlier turn that the turn replies to; None if it opens a topic.
        evidence: The kind of evidence. The addressee is `stated` by the author, is `named`, or is
            the `only` other person; the turn contains words for a `group`, `answers` an open
            question, replies to the `previous` or an `earlier` turn, is `answered` by the next
            speaker, or is an `opening`.
    """

    to: tuple[str, ...]
    everyone: bool
    reply_to: int | None
    evidence: Evidence


def addresses(
    speakers: Sequence[str],
    texts: Sequence[str],
    participants: Sequence[str] = (),
    *,
    stated: Sequence[str | None] = (),
    patterns: Patterns | None = None,
    language: str = "en",
) -> list[Address]:
    """Return the address of each turn.

    Args:
        speakers: The speaker of each turn.
        texts: The text of each turn.
        participants: The participants, including those who never speak.
        stated: The addressee of each turn as stated by its author, or None; empty if no addressees
            are stated.
        patterns: The patterns of the conversation's language; if None, only names, questions and
            order are used.
        language: The BCP 47 tag of the language in which people address each other by name.
    """
    people = tuple(dict.fromkeys([*participants, *speakers]))
    said = [read(text) for text in texts]
    return infer(speakers, said, people, stated=stated, patterns=patterns, language=language)


def infer(
    speakers: Sequence[str],
    said: Sequence[Utterance],
    people: tuple[str, ...],
    *,
    stated: Sequence[str | None] = (),
    patterns: Patterns | None = None,
    language: str = "en",
) -> list[Address]:
    """Return the address of each turn, like `addresses`, for turns that are already parsed."""
    inference = _Inference(speakers, said, people, patterns, language)
    for index in range(len(speakers)):
        told = stated[index] if index < len(stated) else None
        inference.found.append(inference.address(index, told))
    return inference.found


class _Inference:
    """The turns of a conversation, and the results for the turns before the current one."""

    def __init__(
        self,
        speakers: Sequence[str],
        said: Sequence[Utterance],
        people: tuple[str, ...],
        patterns: Patterns | None,
        language: str,
    ) -> None:
        self.speakers = speakers
        self.said = said
        self.people = people
        self.patterns = patterns
        self.found: list[Address] = []
        self.language = language
        self.replied: list[set[str]] = []
        self.content = [
            frozenset(word for word in one.words if len(word) >= _LEAST_LETTERS) for one in said
        ]

    def address(self, index: int, stated: str | None) -> Address:
        speaker = self.speakers[index]
        others = tuple(name for name in self.people if name != speaker)
        named = named_in(self.said[index], names_of(others, self.language))
        reply = self._reply(index, named.called)
        self.replied.append(set())
        if reply is not None:
            self.replied[reply].add(speaker)
        if stated is not None:
            known = tuple(name for name in others if name == stated)
            return Address(known or others, not known, reply, "stated")
        if named.called:
            everyone = len(named.called) == len(others) > 1
            return Address(named.called, everyone, reply, "named")
        if len(others) == 1:
            return Address(others, everyone=False, reply_to=reply, evidence="only")
        return self._grouped(index, others, reply) or self._by_reply(
            index, others, reply, named.mentioned
        )

    def _grouped(self, index: int, others: tuple[str, ...], reply: int | None) -> Address | None:
        if self.patterns is None:
            return None
        said = self.said[index]
        if self.patterns.two.match(said):
            if len(others) == 2:
                return Address(others, everyone=True, reply_to=reply, evidence="group")
            last = dict.fromkeys(name for name in reversed(self.speakers[:index]) if name in others)
            pair = tuple(last)[:2]
            if len(pair) == 2:
                return Address(pair, everyone=False, reply_to=reply, evidence="group")
        if self._is_for_all(said):
            return Address(others, everyone=True, reply_to=reply, evidence="group")
        return None

    def _by_reply(
        self, index: int, others: tuple[str, ...], reply: int | None, mentioned: frozenset[str]
    ) -> Address:
        if reply is None:
            return self._opening(index, others)
        speaker, target = self.speakers[index], self.speakers[reply]
        before = self.found[reply]
        evidence: Evidence = "previous" if reply == index - 1 else "earlier"
        if self.said[reply].asks and speaker in before.to:
            evidence = "answers"
        if target != speaker and target not in mentioned:
            return Address((target,), everyone=False, reply_to=reply, evidence=evidence)
        # The same speaker continues, or speaks about the person that the previous speaker
        # addressed.
        to = tuple(name for name in before.to if name not in mentioned and name != speaker)
        if before.everyone or not to:
            return Address(others, everyone=True, reply_to=reply, evidence=evidence)
        return Address(to, everyone=False, reply_to=reply, evidence=evidence)

    def _opening(self, index: int, others: tuple[str, ...]) -> Address:
        """Return the address of a turn that is not a reply. A question addresses the next
        speaker."""
        if self.said[index].asks:
            following = (name for name in self.speakers[index + 1 :] if name in others)
            if (answering := next(following, None)) is not None:
                return Address((answering,), everyone=False, reply_to=None, evidence="answered")
        return Address(others, everyone=True, reply_to=None, evidence="opening")

    def _is_for_all(self, said: Utterance) -> bool:
        rules = self.patterns
        if rules is None:
            return False
        return any(
            one.match(said)
            for one in (rules.everyone, rules.suggests, rules.friction["topic_change"])
        )

    def _reply(self, index: int, named: tuple[str, ...]) -> int | None:
        said = self.said[index]
        rules = self.patterns
        if index == 0:
            return None
        if not named and rules and rules.friction["topic_change"].match(said):
            return None
        if len(self.people) == 2 and self.speakers[index - 1] != self.speakers[index]:
            return index - 1
        near = range(index - 1, max(-1, index - 1 - LOOK_BACK), -1)
        others = [at for at in near if self.speakers[at] != self.speakers[index]]
        if not others:
            return None
        return max(others, key=lambda at: (self._score(index, at, named), at))

    def _score(self, index: int, earlier: int, named: tuple[str, ...]) -> float:
        speaker, before = self.speakers[index], self.found[earlier]
        score = NEARNESS[index - earlier - 1]
        if speaker in before.to:
            unanswered = speaker not in self.replied[earlier]
            if before.everyone:
                score += OPEN_TO_ALL if self.said[earlier].asks and unanswered else 0.0
            elif unanswered:
                asked = self.said[earlier].asks and not self.replied[earlier]
                fading = FADING ** (index - earlier - 1)
                score += fading * (ADDRESSED + (OPEN_QUESTION if asked else 0.0))
        if content := self.content[index]:
            shared = len(content & self.content[earlier]) / min(3, len(content))
            score += OVERLAP * min(1.0, shared)
        if self.speakers[earlier] in named:
            score += NAMED
        return score
