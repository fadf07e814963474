"""Lists of subtopics and personas without near-copies, requested from a model until they are
complete.

Source: DiaSynth, sections 3.1 and 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, create_model
from rapidfuzz import fuzz

from convogen.errors import ModelFault
from convogen.generation.structured_output import (
    StructuredReply,
    UnusableReply,
    first_name,
    name_of_a_person,
    parse_draft,
    schema_of,
)
from convogen.models.traffic.context_window import ask_whole
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.records import Persona, Record
from convogen.text.budgets import about_words
from convogen.text.lengths import Words
from convogen.text.rouge import rouge_l

__all__ = ["SIMILARITIES", "Lister", "PlanStep"]

T = TypeVar("T")

SIMILARITIES: dict[str, Callable[[str, str], float]] = {
    "token_sort": fuzz.token_sort_ratio,
    "token_set": fuzz.token_set_ratio,
    "rouge_l": lambda one, other: 100 * rouge_l(one, other),
}
"""Maps the name of each similarity measure to a function that returns a similarity from 0 to
100."""

OF_TOPIC = 80
"""Similarity (0 to 100) at or above which a subtopic counts as the topic itself."""

EMBEDDING = "embedding:"
"""Prefix of a similarity measure that names a sentence encoder."""

WORDS = {"subtopic": Words(10), "name": Words(4), "about": Words(40, least=15)}
"""Requested lengths of the strings in a list, in words."""

MOST_WORDS, MOST_NAMES, LEAST_ABOUT = 12, 4, 4
"""Maximum numbers of words in a subtopic and in a name, and minimum number of words in a
description."""


def _measure(similarity: str) -> Callable[[str, str], float]:
    if not similarity.startswith(EMBEDDING):
        return SIMILARITIES[similarity]
    from convogen.models.backends.sentence_encoder import sentence_similarity

    return sentence_similarity(similarity.removeprefix(EMBEDDING))


class PlanStep(Record):
    """A list of subtopics or personas that one task requested and later tasks share.

    `requests` is the number of requests made, `near_copies` the number of entries dropped because
    they were too similar to another entry, and `unusable` the number of unusable replies and
    entries.
    """

    subtopics: list[str] | None = None
    personas: list[Persona] | None = None
    requests: int
    near_copies: int
    unusable: int


class Lister:
    """Requests lists of subtopics and of personas, each with its own prompt.

    An entry is dropped and replaced if its similarity to an earlier entry or to the topic itself is
    at least `near_copy` (0 to 1). `similarity` names the measure: one of `SIMILARITIES`, or
    `embedding:` followed by the name of an encoder. A list that is still too short after `tries`
    requests is accepted. A subtopic may contain the topic, so the two are always compared by all
    their words in any order (`token_sort`).
    """

    def __init__(
        self, subtopics: Prompt, personas: Prompt, similarity: str, near_copy: float, tries: int
    ) -> None:
        self._subtopics = subtopics
        self._personas = personas
        self._similarity = _measure(similarity)
        self._near_copy = 100 * near_copy
        self._of_topic = self._near_copy
        if similarity == "rouge_l":  # its thresholds are low
            self._of_topic = max(self._near_copy, OF_TOPIC)
        self._tries = tries

    async def subtopics(
        self, session: Session, topic: str, known: Sequence[str], n: int
    ) -> PlanStep:
        """Return up to `n` more subtopics for a topic.

        Raises `ModelFault` if no reply contains a usable subtopic.
        """
        prompt = self._subtopics.partial(topic=topic)
        entries, step = await self._fill(
            session,
            prompt,
            step="subtopics",
            known=known,
            n=n,
            read=_subtopic,
            same=self._alike,
            taken=partial(self._repeats, topic),
        )
        return step.model_copy(update={"subtopics": entries})

    async def personas(
        self, session: Session, topic: str, subtopic: str | None, known: Sequence[Persona], n: int
    ) -> PlanStep:
        """Return up to `n` more personas, with distinct first names, for a subtopic.

        Raises `ModelFault` if no reply contains a usable persona.
        """
        prompt = self._personas.partial(topic=topic, subtopic=subtopic)
        entries, step = await self._fill(
            session,
            prompt,
            step="personas",
            known=known,
            n=n,
            read=_persona,
            same=self._same_person,
        )
        return step.model_copy(update={"personas": entries})

    def _alike(self, text: str, other: str) -> bool:
        return self._similarity(text.casefold(), other.casefold()) >= self._near_copy

    def _repeats(self, topic: str, subtopic: str) -> bool:
        ratio = SIMILARITIES["token_sort"](topic.casefold(), subtopic.casefold())
        return ratio >= self._of_topic

    def _same_person(self, persona: Persona, other: Persona) -> bool:
        names = {first_name(person.name) for person in (persona, other)}
        return len(names) == 1 or self._alike(persona.text or "", other.text or "")

    async def _fill(
        self,
        session: Session,
        prompt: Prompt,
        *,
        step: str,
        known: Sequence[T],
        n: int,
        read: Callable[[Any], T | None],
        same: Callable[[T, T], bool],
        taken: Callable[[T], bool] = lambda _: False,
    ) -> tuple[list[T], PlanStep]:
        """Return the new entries, and a step with the numbers of requests and dropped entries.

        Entries that are `taken`, or that are similar to known entries or to other new entries, are
        dropped. Truncated entries are unusable.
        """
        items: list[T] = []
        requests = copies = unusable = cut = 0
        text, copied = "", False
        while len(items) < n and requests < self._tries:
            missing = n - len(items)
            model = _list_model(step, missing)
            # If the last reply only copied entries from its prompt, the next prompt shows no
            # entries.
            shown = [] if copied else [*known, *items]
            asked = prompt.render(n=missing, known=shown, words=WORDS)
            before, copies_before = len(items), copies
            answer = await ask_whole(session, "planner", asked, schema=schema_of(model))
            text = answer.text
            requests += 1
            entries, n_cut = _entries(answer, model, step)
            cut += n_cut
            for entry in entries or [None]:
                item = None if entry is None else read(entry)
                if len(items) == n:
                    break
                if item is None:
                    unusable += 1
                elif taken(item) or any(same(item, other) for other in [*known, *items]):
                    copies += 1
                else:
                    items.append(item)
            copied = len(items) == before and copies > copies_before
        if not items:
            counts = f"replies: {requests}, near-copies: {copies}, unusable: {unusable}"
            counts += f", truncated: {cut}" if cut else ""
            message = f"no usable {step} ({counts})"
            raise ModelFault(f"{step}_missing", message, text)
        return items, PlanStep(requests=requests, near_copies=copies, unusable=unusable)


def _entries(
    answer: SessionReply, model: type[StructuredReply], step: str
) -> tuple[list[Any], int]:
    """Return the entries in a reply, with None for each truncated entry, and the number of
    truncated entries.

    If the reply cannot be parsed, no entries are returned, and the number is 1 if the reply was
    truncated and 0 otherwise.
    """
    try:
        draft, texts = parse_draft(answer, model)
    except UnusableReply as fault:
        return [], int(fault.kind == "cut_off")
    cut = {text.path[1] for text in texts}
    entries = cast("list[Any]", draft.model_dump()[step])
    return [None if at in cut else entry for at, entry in enumerate(entries)], len(cut)


def _subtopic(entry: str) -> str | None:
    text = re.sub(r"^\d+[.)]\s+", "", " ".join(entry.split())).strip(" .,\"'“”-*•")
    named = any(letter.isalpha() for letter in text) and about_words(text) <= MOST_WORDS
    return text if named else None


def _persona(entry: dict[str, str]) -> Persona | None:
    about = " ".join(entry["about"].split()).rstrip(" ,")
    try:
        name = name_of_a_person(entry["name"])
    except ValueError:
        return None
    told = len(name.split()) <= MOST_NAMES and about_words(about) >= LEAST_ABOUT
    return Persona(name=name, text=about) if told else None


class _Person(StructuredReply):
    name: str = WORDS["name"].field(shortest=1, longest=80)
    about: str = WORDS["about"].field(shortest=10, minLength=40)


@lru_cache(maxsize=64)
def _list_model(step: str, n: int) -> type[StructuredReply]:
    """Return the pydantic model for a reply with `n` subtopics or personas. The schema requires
    exactly `n` entries, but longer and shorter lists are accepted as well."""
    wanted: Any = {"minItems": n, "maxItems": n}
    entry: Any = _Person if step == "personas" else Annotated[str, WORDS["subtopic"].field()]
    entries: Any = (list[entry], Field(min_length=1, max_length=200, json_schema_extra=wanted))
    return create_model("DraftList", __base__=StructuredReply, **{step: entries})
