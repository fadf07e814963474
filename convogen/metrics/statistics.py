"""The measures of a corpus, including those in ConvoGen's tables III and V, computed from a tally.

Standard deviations divide by n, not n - 1, as in the paper. English texts are split into words at
white space, except for MTLD, TTR and distinct-n, which use lexicalrichness tokens. Words in other
languages are segmented by `convogen.text.segmentation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from convogen.metrics.base import Measurement
from convogen.metrics.diversity import bleu_tokenizer, self_bleu
from convogen.metrics.interaction import InteractionStatistics, interaction_of
from convogen.metrics.languages import StatedLanguage
from convogen.metrics.repetition import Repetition, repetition
from convogen.metrics.rouge import rouge_l_mean, rouge_l_nearest
from convogen.metrics.tally import CorpusTally, Openings, SampledText
from convogen.metrics.turn_checks import CheckCounts
from convogen.text.checks import unchecked
from convogen.text.segmentation import unspaced_language

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["Distance", "Distribution", "Statistics", "distance", "statistics_of"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Mean, standard deviation, range and quartiles of a number over conversations or turns."""

    mean: float
    std: float
    min: float
    q25: float
    median: float
    q75: float
    max: float


@dataclass(frozen=True, slots=True)
class GroupChat:
    """Means per conversation (`balance` 0 to 1, `longest_absence` in turns) and rates.

    `selections` counts the turns with a selector call, and `selector_repair_rate` is the share of
    these turns whose selection was repaired. `addressed` counts the turns that address somebody by
    name, and `answered_next_rate` and `answered_later_rate` are shares of these turns.
    `self_repetition_rate` is a share of all turns. `farewell_loop_rate` is the share of
    conversations with three or more consecutive farewells. `never_spoke` counts participants who
    never spoke.

    A rate is None if its denominator is 0. Addressing and farewells are detected only in languages
    with patterns for them; their counts and rates are None if no conversation is in such a
    language.
    """

    balance: float | None
    longest_absence: float | None
    selections: int
    selector_repair_rate: float | None
    addressed: int | None
    answered_next_rate: float | None
    answered_later_rate: float | None
    self_repetition_rate: float | None
    farewell_loop_rate: float | None
    never_spoke: int


@dataclass(frozen=True, slots=True)
class Distance:
    """Wasserstein distances between the turn lengths (in words) and turn counts of two corpora.

    `turn_length` is in characters if both corpora are measured in characters, and None if only one
    corpus is.
    """

    turn_length: float | None
    turn_count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All measures of a corpus; a measure is None if there was nothing to measure.

    `words_per_conversation` and `turns_per_conversation` (means) and `words_per_turn` (pooled over
    all turns, without labels) are nW, nT and nW/T in ConvoGen's table III; MTLD is in table V.
    `speaker_shares` contains, for each number of speakers, the mean share of turns by speaker rank,
    most talkative speaker first. `distinct_exact` is False if distinct-n is an estimate.

    Self-BLEU and ROUGE-L are means over a random sample of `compared` conversations (the first
    5,000 characters of each). `rouge_l_nearest` is the mean, over the first `nearest_of`
    conversations (at most 200), of the highest ROUGE-L with another of these conversations. The
    texts include the speakers' names, and the words are stemmed, as in table 2 of the DiaSynth
    paper. `repetition` is measured on a sample of at most 10,000 conversations.

    `languages` counts conversations by the primary subtag of their language, `und` if undecided.
    `without_words` counts, per language, the conversations whose words cannot be segmented. These
    conversations are excluded from word measures. If all conversations are excluded, word measures
    are None, and lengths are in characters. `not_checked` lists the unsupported `CHECKS` for each
    language that lacks patterns. `unit` maps each measure to its unit.

    `stated_languages` has an entry for each language tag that the first 2,000 conversations state.
    `metrics` maps the name of each installed metric to its measurement. `interaction` is None
    unless requested. Statistics written by early versions lack `rouge_l_nearest`, `languages`,
    `without_words` and `unit`.
    """

    rendering: str
    conversations: int
    turns: int
    words_per_conversation: float | None
    turns_per_conversation: float | None
    words_per_turn: float | None
    speakers_per_conversation: float | None
    mtld_mean: float | None
    mtld_std: float | None
    ttr_mean: float | None
    ttr_std: float | None
    distinct_1: float | None
    distinct_2: float | None
    distinct_exact: bool
    self_bleu: float | None
    rouge_l: float | None
    compared: int
    rouge_l_nearest: float | None = None
    nearest_of: int = 0
    conversation_length: Distribution | None
    turn_count: Distribution | None
    turn_length: Distribution | None
    turn_length_counts: dict[int, int]
    turn_count_counts: dict[int, int]
    speaker_shares: dict[int, list[float]]
    group_chat: GroupChat
    turn_checks: CheckCounts
    repetition: dict[str, Repetition]
    languages: dict[str, int] = field(default_factory=dict[str, int])
    without_words: dict[str, int] = field(default_factory=dict[str, int])
    not_checked: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    unit: dict[str, str] = field(default_factory=dict[str, str])
    stated_languages: dict[str, StatedLanguage] = field(default_factory=dict[str, StatedLanguage])
    metrics: dict[str, Measurement] = field(default_factory=dict[str, Measurement])
    interaction: InteractionStatistics | None = None

    @property
    def length_unit(self) -> str:
        """The unit of turn and conversation lengths: words or characters."""
        return self.unit.get("turn_length", "words")

    def as_dict(self) -> dict[str, Any]:
        """Return all measures as plain values for JSON; omit `interaction` if it is None."""
        values = asdict(self)
        return values if self.interaction else {k: values[k] for k in values if k != "interaction"}

    def to_pandas(self) -> DataFrame:
        """Return a frame with one row; use `pandas.concat` to compare corpora.

        The columns are the fields. Nested fields are prefixed with the name of the outer field
        (`turn_length_mean`, `group_chat_balance`). All corpora have the same columns; a value is
        missing if there was nothing to measure. The frame includes the shares of `repetition` and
        the sums of `turn_checks`, but neither the counts of lengths nor the speakers' shares.
        """
        from convogen.metrics.frames import statistics_frame

        return statistics_frame(self)


def statistics_of(tally: CorpusTally, rendering: str, compare: bool = True) -> Statistics:
    """Return the measures computed from a tally; `compare=False` omits self-BLEU and ROUGE-L, which
    are slow."""
    texts: list[SampledText] = tally.texts.items if compare else []
    scripts = tally.scripts if compare else []
    tokenizer = bleu_tokenizer(text.language for text in texts)
    in_words = sum(tally.without_words.values()) < max(1, len(tally.turns))
    utterances = tally.utterance_words if in_words else tally.utterance_characters
    conversations = Counter(int(word) for word in tally.words if not isnan(word))
    turn_count = Counter(tally.turns)
    sizes = Counter(tally.speakers)
    mtld = _moments(tally.mtld)
    ttr = _moments(tally.ttr)
    return Statistics(
        rendering=rendering,
        conversations=len(tally.turns),
        turns=sum(tally.turns),
        words_per_conversation=_moments(tally.words)[0],
        turns_per_conversation=_mean(tally.turns),
        words_per_turn=_pooled(tally.utterance_words),
        speakers_per_conversation=_mean(tally.speakers),
        mtld_mean=mtld[0],
        mtld_std=mtld[1],
        ttr_mean=ttr[0],
        ttr_std=ttr[1],
        distinct_1=tally.unigrams.ratio,
        distinct_2=tally.bigrams.ratio,
        distinct_exact=tally.unigrams.exact and tally.bigrams.exact,
        self_bleu=self_bleu([text.text for text in texts], tokenizer),
        rouge_l=rouge_l_mean(*_apart(texts)),
        compared=len(texts),
        rouge_l_nearest=rouge_l_nearest(*_apart(scripts)),
        nearest_of=len(scripts),
        conversation_length=_distribution(conversations if in_words else tally.characters),
        turn_count=_distribution(turn_count),
        turn_length=_distribution(utterances),
        turn_length_counts=dict(sorted(utterances.items())),
        turn_count_counts=dict(sorted(turn_count.items())),
        speaker_shares={
            size: [share / sizes[size] for share in sums]
            for size, sums in sorted(tally.shares.items())
        },
        group_chat=_group_chat(tally),
        turn_checks=tally.checks.counts(),
        stated_languages=tally.stated.by_tag(),
        repetition=_repetitions(tally.openings.items),
        languages=dict(tally.languages.most_common()),
        without_words=dict(tally.without_words.most_common()),
        not_checked={
            language: unchecked(language) for language, n in tally.unchecked.most_common() if n
        },
        unit=_units(tally.languages, in_words, tokenizer),
        interaction=interaction_of(tally.interaction) if tally.interaction else None,
    )


def distance(ours: Statistics, human: Statistics) -> Distance | None:
    """Return the distances between the turn lengths and turn counts of two corpora; None if either
    corpus has no turns."""
    if not (ours.turns and human.turns):
        return None
    alike = ours.length_unit == human.length_unit
    return Distance(
        _wasserstein(ours.turn_length_counts, human.turn_length_counts) if alike else None,
        _wasserstein(ours.turn_count_counts, human.turn_count_counts),
    )


def _wasserstein(ours: dict[int, int], human: dict[int, int]) -> float:
    stats: Any = import_module("scipy.stats")
    return float(
        stats.wasserstein_distance(
            list(ours), list(human), list(ours.values()), list(human.values())
        )
    )


def _apart(texts: Sequence[SampledText]) -> tuple[list[str], list[str | None]]:
    return [text.text for text in texts], [text.language for text in texts]


def _units(languages: Iterable[str], in_words: bool, tokenizer: str) -> dict[str, str]:
    """Return the unit of each measure."""
    lengths = "words" if in_words else "characters"
    unspaced = [unspaced_language(language) is not None for language in languages]
    compared = "words" if not any(unspaced) else "characters"
    if any(unspaced) and not all(unspaced):
        compared = "words, or characters in scripts without spaces"
    return {
        "words_per_conversation": "words",
        "turns_per_conversation": "turns",
        "words_per_turn": "words",
        "speakers_per_conversation": "speakers",
        "mtld": "words",
        "ttr": "different words / words",
        "distinct_1": "different words / words",
        "distinct_2": "different pairs of words / pairs",
        "self_bleu": f"tokens ({tokenizer} of sacrebleu)",
        "rouge_l": compared,
        "rouge_l_nearest": compared,
        "conversation_length": lengths,
        "turn_count": "turns",
        "turn_length": lengths,
    }


def _group_chat(tally: CorpusTally) -> GroupChat:
    counts = tally.chat
    return GroupChat(
        balance=_moments(tally.balance)[0],
        longest_absence=_mean(tally.absence),
        selections=counts["selections"],
        selector_repair_rate=_rate(counts["selector_repairs"], counts["selections"]),
        addressed=counts["addressed"] if counts["addressing_checked"] or not tally.turns else None,
        answered_next_rate=_rate(counts["answered_next"], counts["addressed"]),
        answered_later_rate=_rate(counts["answered_later"], counts["addressed"]),
        self_repetition_rate=_rate(counts["self_repetitions"], sum(tally.turns)),
        farewell_loop_rate=_rate(counts["farewell_loops"], counts["farewells_checked"]),
        never_spoke=counts["never_spoke"],
    )


def _repetitions(openings: Iterable[Openings]) -> dict[str, Repetition]:
    """Return the repetition for each kind of text; an experience with several conversations counts
    once."""
    by_experience = list({opening.id: opening for opening in openings}.values())
    views = {
        "experiences": repetition(opening.experience for opening in by_experience),
        "topics": repetition(opening.topic for opening in by_experience),
        "names": repetition(name for opening in by_experience for name in opening.names),
        "starters": repetition(opening.starter for opening in by_experience),
    }
    return {name: view for name, view in views.items() if view is not None}


def _mean(values: Iterable[int]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


def _moments(values: Iterable[float]) -> tuple[float | None, float | None]:
    """Return the mean and standard deviation (ddof 0) of the values that are not NaN."""
    numbers = np.fromiter(values, float)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return None, None
    return float(numbers.mean()), float(numbers.std())


def _pooled(counts: Counter[int]) -> float | None:
    total = counts.total()
    return sum(value * count for value, count in counts.items()) / total if total else None


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _distribution(counts: Counter[int]) -> Distribution | None:
    if not counts:
        return None
    values = np.array(sorted(counts), float)
    weights = np.array([counts[int(value)] for value in values])
    mean = float(np.average(values, weights=weights))
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    upto = np.cumsum(weights)
    q25, median, q75 = (
        float(values[np.searchsorted(upto, share * upto[-1])]) for share in (0.25, 0.5, 0.75)
    )
    return Distribution(mean, std, float(values[0]), q25, median, q75, float(values[-1]))
