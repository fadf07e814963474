"""Real dialogues between a person and a chatbot, used as seeds for simulated dialogues.

A seed is a dialogue's first utterance, together with the central task of the whole dialogue
(DialogueForge, sections 3.1.1 and 3.2.1). A source is first cleaned by the rules in `RULES`, and
the dialogues that each rule drops are counted.
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
"""The names of the speakers: the user, real or simulated, and the chatbot."""

RULES = {
    "unreadable": "a row that is not in the source's format",
    "not_english": "a language other than English, according to the source",
    "other_language": "a language other than the requested one",
    "not_two_parties": "turns that do not alternate between a person, who begins, and a chatbot",
    "too_short": "fewer utterances than requested",
    "empty_opening": "an empty first utterance",
    "long_opening": "a first utterance that is too long to include in every prompt",
    "not_longest": "not the longest thread in its tree, or not the longest answer to its prompt",
    "duplicate": "a dialogue or id that occurred earlier in the source",
}
"""The reasons for dropping dialogues, in the order in which they are checked."""

MAX_SEEDS = 20_000
"""Maximum number of seeds read from a source."""

MAX_OPENING_CHARS = 8_000
MAX_TASK_CHARS = 4_000

_PERSON = {"user", "human", "prompter"}
_CHATBOT = {"assistant", "bot", "gpt", "chatgpt", "model", "chatbot", "system", "ai"}
_UNNAMED = {"user1", "user2"}
"""The speakers of a source that does not name its speakers."""

_ENGLISH = {"en", "eng", "english"}


@dataclass(frozen=True, slots=True)
class Seed:
    """A real dialogue; `task` is its summary in the second person, or None without a summary.

    The turns alternate between `INQUIRER` and `RESPONDER`. `id` is the dialogue's id. For an OASST1
    thread, this is the id of the last message; for a Chatbot Arena vote, it is the id of the
    question.
    """

    id: str
    task: str | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds from a source, in order.

    `dropped` maps each rule to the number of dialogues that the rule dropped. `licence` is the
    licence under which the source was published; None if the licence is unknown.
    """

    name: str
    licence: str | None
    seeds: tuple[Seed, ...]
    dropped: dict[str, int]
    hash: str

    @property
    def about(self) -> str:
        """The numbers of dialogues kept and dropped, in one line."""
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

    If `language` (a BCP 47 tag) is given, only dialogues in that language are kept. A dialogue's
    language is taken from the source or, if the source gives no language, detected from the text.
    If `language` is None, dialogues for which the source gives a language other than English are
    dropped.

    Raises `SourceError` if the source cannot be read or no dialogue is left.
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
            f"{source}: contains no seeds ({kept_seeds.about}); a seed is a dialogue with at least "
            f"{min_utterances} utterances between a person and a chatbot"
            f"{f', in {language_name(language)}' if language else ''}"
        )
    return kept_seeds


def seed_dialogues(run: Run, source: str | None = None) -> dict[str, list[Turn]]:
    """Return the real dialogues from which a run's seeds come, keyed by the id in
    `Conversation.context["seed"]`.

    `source` is the current location of the seeds if they have been moved since the run. Raises
    `SourceError` if the run has no seeds, or if the source contains different seeds.
    """
    keys = read_mapping(run.folder / "experiment.yaml")
    if not isinstance(keys.get("seeds"), str):
        raise SourceError(
            f"{run.folder}: the conversations in this run have no seeds, so they have no real "
            f"counterparts; give a corpus of real dialogues with --real"
        )
    fewest, form = keys.get("min_utterances"), keys.get("seeds_format")
    if not isinstance(fewest, int) or not isinstance(form, str | None):
        raise SourceError(
            f"{run.folder / 'experiment.yaml'}: does not state how the seeds were read; "
            f"min_utterances must be a number, and seeds_format a name; restore the file"
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
    """Yield, for each group, the longest dialogue that no rule drops, or the first of several
    equally long ones."""
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
    """Return the rule that drops a dialogue because of its language; None if no rule does."""
    stated = one.language or one.context.get("lang") or one.context.get("language")
    if not isinstance(stated, str):
        stated = ""
    if wanted is None:
        return "not_english" if stated and stated.casefold() not in _ENGLISH else None
    found = ENGLISH if stated.casefold() in _ENGLISH else _tag(stated)
    found = found or identify(turn.text for turn in one.turns)
    return None if found and same_language(found, wanted) else "other_language"


def _tag(stated: str) -> str | None:
    """Return the tag of a language that a source names; None for other names, such as `mixed`."""
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
    """Return the rule that drops a dialogue (None if no rule does), and the cleaned turns."""
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
    """Return the turns with the speakers `INQUIRER` and `RESPONDER`; None if these do not
    alternate.

    If the source names its speakers, at least one name must be typical of users or chatbots: Ada
    and Bo talking to each other are not a user and a chatbot.
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
    """Return the id of a dialogue's group, which is its tree of threads or its vote with two
    sides."""
    tree = conversation.context.get("message_tree_id")
    return tree if isinstance(tree, str) else seed_id(conversation)


def opening(turns: Sequence[Turn]) -> str:
    """Return a dialogue's first utterance for comparison: in lower case, with single spaces."""
    return " ".join(turns[0].text.casefold().split()) if turns else ""


def seed_id(conversation: Conversation) -> str:
    """Return a dialogue's seed id: the id of its last message or its vote, or else its own id."""
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
