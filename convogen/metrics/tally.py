"""The tally of a corpus: small, picklable and mergeable data that is collected while streaming.

A tally has a few numbers per conversation (for means, deviations, plots and intervals) and bounded
samples of the text. Merging tallies in the order of their batches gives the same result regardless
of the number of processes.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple

from convogen.metrics import groupchat
from convogen.metrics.diversity import Distinct, lexical, lexical_of, word_hashes
from convogen.metrics.interaction import InteractionTally
from convogen.metrics.languages import MEASURED, StatedLanguages
from convogen.metrics.rendering import Rendering, render
from convogen.metrics.turn_checks import TurnChecks
from convogen.records import Conversation
from convogen.text.checks import CHECKS, checked_as
from convogen.text.identify import language_of
from convogen.text.language import load_language
from convogen.text.segmentation import at_white_space, length, words

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["FIRST", "CorpusTally", "Openings", "Sample", "SampledText", "tally_of"]

TEXT_SAMPLE = 60
"""Number of conversations whose texts are kept for self-BLEU and ROUGE-L."""

FIRST = 200
"""Number of conversations whose scripts are kept for `rouge_l_nearest`."""

OPENING_SAMPLE = 10_000
"""Number of conversations whose experience, topic, names and starter are kept to measure
repetition."""

_COUNTERS = (
    "utterance_words",
    "languages",
    "without_words",
    "characters",
    "utterance_characters",
    "unchecked",
    "chat",
)
_CLIP = 1_000
_TEXT_CLIP = 5_000
_SCRIPT_CLIP = 20_000
_ROLE = re.compile(
    r"#?(user|person|speaker|human|bot|assistant|gpt|prompter|agent|model)\W?\d*#?", re.IGNORECASE
)


class Openings(NamedTuple):
    """The opening texts of a conversation, clipped to 1,000 characters each; empty if unknown."""

    id: str
    experience: str
    topic: str
    starter: str
    names: list[str]


class SampledText(NamedTuple):
    """A clipped text and the primary subtag of its language; None if the language is undecided."""

    text: str
    language: str | None


class Sample:
    """A random sample of at most `limit` items: those whose keys have the smallest hashes.

    The same keys give the same sample, regardless of order and batches.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: list[tuple[bytes, Any]] = []

    def add(self, key: str, item: Any) -> None:
        digest = blake2b(key.encode(errors="replace"), digest_size=8).digest()
        self._kept.append((digest, item))
        if len(self._kept) > 1.25 * self.limit:
            self.trim()

    def merge(self, other: Sample) -> None:
        self._kept.extend(other._kept)
        if len(self._kept) > 1.25 * self.limit:
            self.trim()

    def trim(self) -> None:
        self._kept = nsmallest(self.limit, self._kept, key=lambda pair: pair[0])

    @property
    def items(self) -> list[Any]:
        self.trim()
        return [item for _, item in self._kept]


def _floats() -> array[float]:
    return array("d")


def _counts() -> array[int]:
    return array("L")


@dataclass
class CorpusTally:
    """Counts over conversations; arrays have one entry per conversation, in corpus order.

    `words` contains the number of words in the rendering, and `utterance_words` counts turns by
    their number of words, without labels. `scripts` contains the first 200 conversations as text
    with one line per turn, each beginning with the speaker's name. `languages` counts conversations
    by the primary subtag of their language, `und` if undecided. `unchecked` counts conversations in
    languages that do not support all `CHECKS`.

    `without_words` counts conversations in languages whose words cannot be segmented. Their words,
    MTLD and TTR are NaN, and `characters` and `utterance_characters` count their lengths in
    characters. `interaction` is None unless requested, since it takes several times as long as all
    other measures.
    """

    words: array[float] = field(default_factory=_floats)
    turns: array[int] = field(default_factory=_counts)
    speakers: array[int] = field(default_factory=_counts)
    mtld: array[float] = field(default_factory=_floats)
    ttr: array[float] = field(default_factory=_floats)
    balance: array[float] = field(default_factory=_floats)
    absence: array[int] = field(default_factory=_counts)
    utterance_words: Counter[int] = field(default_factory=Counter[int])
    languages: Counter[str] = field(default_factory=Counter[str])
    without_words: Counter[str] = field(default_factory=Counter[str])
    characters: Counter[int] = field(default_factory=Counter[int])
    utterance_characters: Counter[int] = field(default_factory=Counter[int])
    unchecked: Counter[str] = field(default_factory=Counter[str])
    shares: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list[float]))
    chat: Counter[str] = field(default_factory=Counter[str])
    checks: TurnChecks = field(default_factory=TurnChecks)
    stated: StatedLanguages = field(default_factory=StatedLanguages)
    unigrams: Distinct = field(default_factory=lambda: Distinct(1))
    bigrams: Distinct = field(default_factory=lambda: Distinct(2))
    texts: Sample = field(default_factory=lambda: Sample(TEXT_SAMPLE))
    openings: Sample = field(default_factory=lambda: Sample(OPENING_SAMPLE))
    scripts: list[SampledText] = field(default_factory=list[SampledText])
    interaction: InteractionTally | None = None

    def add(self, conversation: Conversation, key: str, rendering: Rendering) -> None:
        """Count a conversation; `key` identifies it in the corpus."""
        speakers = [turn.speaker for turn in conversation.turns]
        utterances = [turn.text for turn in conversation.turns]
        text = render(utterances, rendering)
        language = language_of(conversation)
        self.languages[language or "und"] += 1
        self.turns.append(len(speakers))
        self.speakers.append(len(set(speakers)))
        self._add_shares(speakers)
        self._add_words(utterances, text, rendering, language)
        self._add_chat(conversation, speakers, utterances, checked_as(language, utterances))
        self.checks.add(conversation)
        if self.interaction is not None:
            self.interaction.add(conversation)
        self.texts.add(key, SampledText(text[:_TEXT_CLIP], language))
        self.openings.add(key, _openings(conversation, key))

    def _add_shares(self, speakers: Sequence[str]) -> None:
        """Sum the shares of turns by speaker rank, most talkative speaker first, separately for
        each number of speakers."""
        counts = sorted(Counter(speakers).values(), reverse=True)
        sums = self.shares[len(counts)]
        sums.extend([0.0] * (len(counts) - len(sums)))
        for rank, count in enumerate(counts):
            sums[rank] += count / len(speakers)

    def _add_words(
        self, utterances: Sequence[str], text: str, rendering: Rendering, language: str | None
    ) -> None:
        spoken = at_white_space(text, language)
        cut = [text.split() if spoken else words(text, language) for text in utterances]
        known = [found for found in cut if found is not None]
        if len(known) < len(cut):
            self._add_characters(utterances, language)
            return
        labels = ["user"] if rendering == "paper" else []
        self.words.append(sum(len(labels) + len(found) for found in known))
        self.utterance_words.update(map(len, known))
        found = lexical(text) if spoken else lexical_of([w for u in known for w in (*labels, *u)])
        self.mtld.append(found.mtld)
        self.ttr.append(found.ttr)
        hashes = word_hashes(found.words)
        self.unigrams.add(hashes)
        self.bigrams.add(hashes)

    def _add_characters(self, utterances: Sequence[str], language: str | None) -> None:
        for values in (self.words, self.mtld, self.ttr):
            values.append(float("nan"))
        self.without_words[language or "und"] += 1
        lengths = [length(utterance, language, "characters") for utterance in utterances]
        self.characters[sum(lengths)] += 1
        self.utterance_characters.update(lengths)

    def _add_chat(
        self,
        conversation: Conversation,
        speakers: list[str],
        utterances: list[str],
        language: str,
    ) -> None:
        people = list(dict.fromkeys([*conversation.participants, *speakers]))
        even = groupchat.balance(speakers, people)
        self.balance.append(float("nan") if even is None else even)
        self.absence.append(groupchat.longest_absence(speakers, people))
        chosen = [turn.selection for turn in conversation.turns if turn.selection is not None]
        asked = [choice for choice in chosen if choice.reply is not None or choice.repair]
        checks = load_language(language).checks
        self.unchecked[language] += len(checks) < len(CHECKS)
        called = groupchat.addressing(speakers, utterances, people, language)
        farewell = groupchat.longest_farewell(utterances, language)
        found = {
            "selections": len(asked),
            "selector_repairs": sum(choice.repair is not None for choice in asked),
            "addressing_checked": int("addressing" in checks),
            "addressed": called.addressed,
            "answered_next": called.next_turn,
            "answered_later": called.later,
            "self_repetitions": groupchat.self_repetitions(speakers, utterances),
            "farewells_checked": int("farewell" in checks),
            "farewell_loops": int(farewell >= groupchat.FAREWELL_TURNS),
            "never_spoke": len(people) - len(set(speakers)),
        }
        self.chat.update(found)

    def merge(self, other: CorpusTally) -> None:
        """Add the counts of another tally, whose batch follows the batches of this tally."""
        for name in ("words", "turns", "speakers", "mtld", "ttr", "balance", "absence"):
            getattr(self, name).extend(getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.checks.merge(other.checks)
        self.stated.merge(other.stated)
        for size, sums in other.shares.items():
            mine = self.shares[size]
            mine.extend([0.0] * (size - len(mine)))
            for rank, share in enumerate(sums):
                mine[rank] += share
        self.unigrams.merge(other.unigrams)
        self.bigrams.merge(other.bigrams)
        self.texts.merge(other.texts)
        self.openings.merge(other.openings)
        self.scripts.extend(other.scripts)
        if other.interaction is not None:
            self.interaction = self.interaction or InteractionTally()
            self.interaction.merge(other.interaction)

    def settle(self) -> CorpusTally:
        """Drop data that is no longer needed, before the tally is sent to another process."""
        self.unigrams.settle()
        self.bigrams.settle()
        self.texts.trim()
        self.openings.trim()
        return self

    def to_pandas(self) -> DataFrame:
        """Return a frame with one row per conversation, in corpus order.

        Columns: `words` (in the rendering), `turns`, `speakers`, `mtld`, `ttr`, `balance` (0 to 1)
        and `longest_absence` (turns); missing values are NaN.
        """
        from convogen.metrics.frames import tally_frame

        return tally_frame(self)


def tally_of(
    conversations: Iterable[Conversation],
    rendering: Rendering = "text",
    first: int = 0,
    interaction: bool = False,
) -> CorpusTally:
    """Return the tally of a batch; `first` is the index of its first conversation in the corpus."""
    tally = CorpusTally(interaction=InteractionTally() if interaction else None)
    for number, conversation in enumerate(conversations, first):
        tally.add(conversation, f"{number}", rendering)
        if number < MEASURED:
            tally.stated.add(conversation)
        if number < FIRST:
            lines = (f"{turn.speaker}: {turn.text}" for turn in conversation.turns)
            script = "\n".join(lines)[:_SCRIPT_CLIP]
            tally.scripts.append(SampledText(script, language_of(conversation)))
    return tally.settle()


def _openings(conversation: Conversation, key: str) -> Openings:
    known = conversation.context
    parts = [str(known[name]) for name in ("situation", "relations", "topic") if known.get(name)]
    names = dict.fromkeys([*conversation.participants, *(t.speaker for t in conversation.turns)])
    return Openings(
        conversation.experience or key,
        " ".join(parts)[:_CLIP] if known.get("situation") else "",
        str(known.get("topic") or "")[:_CLIP],
        conversation.turns[0].text[:_CLIP] if conversation.turns else "",
        [name[:80] for name in names if not _ROLE.fullmatch(name)][:20],
    )
