"""Real dialogues of a person and a chatbot as seeds of simulated ones.

A seed is a dialogue's first utterance with the central task of the whole (DialogueForge, sections
3.1.1 and 3.2.1). A source is cleaned first by the rules in `RULES`, and the dialogues that each
drops are counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, cast

from convogen.corpora.corpus import open_corpus
from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Run
from convogen.text.identify import identify
from convogen.text.language_tags import ENGLISH, language_name, language_tag, same_language

__all__ = [
    "INQUIRER",
    "RESPONDER",
    "RULES",
    "Seed",
    "Seeds",
    "open_seeds",
    "opening",
    "seed_dialogues",
    "seed_id",
]

INQUIRER, RESPONDER = "user", "assistant"
"""The speakers: the user, real or simulated, and the chatbot."""

RULES = {
    "unreadable": "a row that is not of the source's format",
    "not_english": "the source says it is in another language",
    "other_language": "it is in a language other than the requested one",
    "not_two_parties": "not a person and a chatbot taking turns, the person first",
    "too_short": "fewer utterances than requested",
    "empty_opening": "nothing in the first utterance",
    "long_opening": "a first utterance too long to include in every prompt",
    "not_longest": "another thread of the tree, or other answers to the prompt, are as long",
    "duplicate": "a dialogue or id that occurred before",
}
"""The rules of cleaning, in the order they are applied."""

MAX_SEEDS = 20_000
"""Maximum number of seeds read from a source."""

MAX_OPENING_CHARS = 8_000
MAX_TASK_CHARS = 4_000

_PERSON = {"user", "human", "prompter"}
_CHATBOT = {"assistant", "bot", "gpt", "chatgpt", "model", "chatbot", "system", "ai"}
_UNNAMED = {"user1", "user2"}
"""The speakers of a source that has utterances only."""

_ENGLISH = {"en", "eng", "english"}


@dataclass(frozen=True, slots=True)
class Seed:
    """A real dialogue; `task` is its summary in the second person, None if it is to be inferred.

    The turns alternate between `INQUIRER` and `RESPONDER`. `id` is the dialogue's id: the last
    message's for an OASST1 thread, the question's for Chatbot Arena.
    """

    id: str
    task: str | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of a source in its order; `dropped` has the number of dialogues dropped by rule.

    `licence` is the licence under which the source was published; None if it is unknown.
    """

    name: str
    licence: str | None
    seeds: tuple[Seed, ...]
    dropped: dict[str, int]
    hash: str

    @property
    def about(self) -> str:
        """Return the numbers kept and dropped, in one line."""
        kept = len(self.seeds)
        counts = ", ".join(f"{rule} {n:,}" for rule, n in self.dropped.items()) or "none"
        return (
            f"{kept:,} of {kept + sum(self.dropped.values()):,} dialogues kept; dropped: {counts}"
        )


def open_seeds(
    source: str,
    format: str | None,  # noqa: A002 - the command line's word
    min_utterances: int,
    language: str | None = None,
) -> Seeds:
    """Read and clean a source: a file, a run folder, or `hf:OWNER/NAME[@CONFIG][:SPLIT]`.

    With a `language` (BCP 47), only dialogues in it are kept, by the language that the source
    states or else by their words. Without, dialogues are dropped if the source states another
    language than English.

    Raises `SourceError` if it cannot be read or no dialogue is left.
    """
    corpus = open_corpus(source, format)
    dropped: Counter[str] = Counter()
    seeds = tuple(
        islice(_unique(_longest(corpus, min_utterances, dropped, language), dropped), MAX_SEEDS)
    )
    dropped["unreadable"] = corpus.bad_rows.count
    counts = {rule: dropped[rule] for rule in RULES if dropped[rule]}
    digest = hashlib.blake2b(digest_size=8)
    for seed in seeds:
        digest.update(_content(seed).encode())
    name = source if source.startswith("hf:") else Path(source).name
    kept_seeds = Seeds(name, corpus.format.licence, seeds, counts, digest.hexdigest())
    if not seeds:
        raise SourceError(
            f"{source}: contains no seeds ({kept_seeds.about}); a seed is a dialogue of at least "
            f"{min_utterances} utterances between a person and a chatbot"
            f"{f', in {language_name(language)}' if language else ''}"
        )
    return kept_seeds


def seed_dialogues(run: Run, source: str | None = None) -> dict[str, list[Turn]]:
    """Return the real dialogues of a run's seeds by the id in `Conversation.context["seed"]`.

    `source` is the current location of the seeds, if they have moved since the run read them.
    Raises `SourceError` if the run has no seeds or the seeds differ.
    """
    keys = read_mapping(run.folder / "experiment.yaml")
    if not isinstance(keys.get("seeds"), str):
        raise SourceError(
            f"{run.folder}: its conversations have no seeds to take real dialogues from; give a "
            f"corpus of real dialogues with --real"
        )
    fewest, form = keys.get("min_utterances"), keys.get("seeds_format")
    if not isinstance(fewest, int) or not isinstance(form, str | None):
        raise SourceError(
            f"{run.folder / 'experiment.yaml'}: does not say how the seeds were read: "
            f"min_utterances must be a number and seeds_format a name; restore the file"
        )
    language = keys.get("language")
    wanted = language if isinstance(language, str) else None
    seeds = open_seeds(source or keys["seeds"], form, fewest, wanted)
    known = run.manifest.get("experiment", {}).get("sources", {}).get("seeds")
    if seeds.hash != known:
        raise SourceError(
            f"{source or keys['seeds']}: differs from the seeds that {run.folder} was generated "
            f"from (hash {seeds.hash}, expected {known}); give the original source"
        )
    return {seed.id: list(seed.turns) for seed in seeds.seeds}


def _longest(
    dialogues: Iterable[Conversation],
    min_utterances: int,
    dropped: Counter[str],
    wanted: str | None,
) -> Iterator[Seed]:
    """Yield the longest dialogue of each group that no rule drops; the first if several are."""
    for _, group in groupby(dialogues, _group):
        fit: list[Seed] = []
        for one in group:
            rule, turns = _cleaned(one, min_utterances, wanted)
            if rule is None:
                fit.append(Seed(seed_id(one), _task(one), turns))
            else:
                dropped[rule] += 1
        if fit:
            dropped["not_longest"] += len(fit) - 1
            yield max(fit, key=lambda seed: len(seed.turns))


def _foreign(one: Conversation, wanted: str | None) -> str | None:
    """Return the rule that drops a dialogue for its language; None if none does."""
    stated = one.language or one.context.get("lang") or one.context.get("language")
    if not isinstance(stated, str):
        stated = ""
    if wanted is None:
        return "not_english" if stated and stated.casefold() not in _ENGLISH else None
    found = ENGLISH if stated.casefold() in _ENGLISH else _tag(stated)
    found = found or identify(turn.text for turn in one.turns)
    return None if found and same_language(found, wanted) else "other_language"


def _tag(stated: str) -> str | None:
    """Return a source's language name as a tag; None if it is not one, such as `mixed`."""
    try:
        return language_tag(stated)
    except ValueError:
        return None


def _unique(seeds: Iterable[Seed], dropped: Counter[str]) -> Iterator[Seed]:
    ids: set[str] = set()
    openings: set[str] = set()
    for seed in seeds:
        text = "\n".join(turn.text for turn in seed.turns)
        if seed.id in ids or text in openings:
            dropped["duplicate"] += 1
            continue
        ids.add(seed.id)
        openings.add(text)
        yield seed


def _cleaned(
    conversation: Conversation, min_utterances: int, wanted: str | None
) -> tuple[str | None, tuple[Turn, ...]]:
    """Return the rule that drops a dialogue (None if none does), and the cleaned turns."""
    if (rule := _foreign(conversation, wanted)) is not None:
        return rule, ()
    turns = _two_parties(conversation.turns)
    if turns is None:
        return "not_two_parties", ()
    if len(turns) < min_utterances:
        return "too_short", ()
    if not turns[0].text:
        return "empty_opening", ()
    return ("long_opening" if len(turns[0].text) > MAX_OPENING_CHARS else None), turns


def _two_parties(turns: list[Turn]) -> tuple[Turn, ...] | None:
    """Return the turns under the names of the two parties; None if there are others.

    If there are names, at least one must be typical of users or chatbots: Ada and Bo talking to
    each other are not a user and a chatbot.
    """
    speakers = [turn.speaker for turn in turns]
    person, chatbot = (speakers * 2)[:2]
    pairs = zip(speakers, [person, chatbot] * len(speakers), strict=False)
    swapped = person.casefold() in _CHATBOT or chatbot.casefold() in _PERSON
    known = person.casefold() in _PERSON or chatbot.casefold() in _CHATBOT
    told = known or {person, chatbot} == _UNNAMED
    if not told or person == chatbot or swapped or any(one != other for one, other in pairs):
        return None
    return tuple(
        Turn(speaker=(INQUIRER, RESPONDER)[at % 2], text=turn.text.strip())
        for at, turn in enumerate(turns)
    )


def _group(conversation: Conversation) -> str:
    """Return the group of a dialogue: its tree of threads, or the two sides of its vote."""
    tree = conversation.context.get("message_tree_id")
    return tree if isinstance(tree, str) else seed_id(conversation)


def opening(turns: Sequence[Turn]) -> str:
    """Return a dialogue's first utterance for comparison: in lower case, single-spaced."""
    return " ".join(turns[0].text.casefold().split()) if turns else ""


def seed_id(conversation: Conversation) -> str:
    """Return the seed id of a dialogue: its own, its last message's, or its vote's."""
    messages = conversation.context.get("conversation_id")
    if isinstance(messages, list) and messages and messages[-1]:
        return str(cast("list[Any]", messages)[-1])
    side = conversation.context.get("side")
    return conversation.id.removesuffix(f"-{side}") if side in ("a", "b") else conversation.id


def _task(conversation: Conversation) -> str | None:
    summary = conversation.context.get("task_summary")
    if not isinstance(summary, str) or not 0 < len(summary.strip()) <= MAX_TASK_CHARS:
        return None
    return " ".join(summary.split())


def _content(seed: Seed) -> str:
    parts = [seed.id, seed.task or "", *(f"{turn.speaker}: {turn.text}" for turn in seed.turns)]
    return "\0".join([*parts, ""])
