"""Subtopics and personas: lists a model is asked for, without near-copies, filled up again.

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
"""How alike two texts are, 0 to 100, by name."""

OF_TOPIC = 80
"""Of 100: similarity from which a subtopic is the topic itself."""

EMBEDDING = "embedding:"
"""Before the name of a sentence encoder."""

WORDS = {"subtopic": Words(10), "name": Words(4), "about": Words(40, least=15)}
"""How long the texts of a list should be."""

MOST_WORDS, MOST_NAMES, LEAST_ABOUT = 12, 4, 4
"""Words that a subtopic and a name may have, and that what is said about a persona must have."""


def _measure(similarity: str) -> Callable[[str, str], float]:
    if not similarity.startswith(EMBEDDING):
        return SIMILARITIES[similarity]
    from convogen.models.backends.sentence_encoder import sentence_similarity

    return sentence_similarity(similarity.removeprefix(EMBEDDING))


class PlanStep(Record):
    """A list that a task asked for and later tasks share: subtopics of a topic, or personas.

    `requests` counts the replies it took, `near_copies` the entries that were left out for being
    close to another, `unusable` the replies and entries that could not be read.
    """

    subtopics: list[str] | None = None
    personas: list[Persona] | None = None
    requests: int
    near_copies: int
    unusable: int


class Lister:
    """Asks for lists, each with the prompt of its step.

    What has a `similarity` (a name of `SIMILARITIES`, or `embedding:` and an encoder) of
    `near_copy`, 0 to 1, or more to an entry before it (or to the topic itself) is left out and
    asked for again, in `tries` requests; a list that is shorter then is taken as it is. With the
    topic all words are compared, in any order: a subtopic may well contain it.
    """

    def __init__(
        self, subtopics: Prompt, personas: Prompt, similarity: str, near_copy: float, tries: int
    ) -> None:
        self._subtopics = subtopics
        self._personas = personas
        self._similarity = _measure(similarity)
        self._near_copy = 100 * near_copy
        self._of_topic = self._near_copy
        if similarity == "rouge_l":  # its thresholds are low ones
            self._of_topic = max(self._near_copy, OF_TOPIC)
        self._tries = tries

    async def subtopics(
        self, session: Session, topic: str, known: Sequence[str], n: int
    ) -> PlanStep:
        """Up to `n` more subtopics of a topic. Raises `ModelFault` where there is none."""
        prompt = self._subtopics.partial(topic=topic)
        found, step = await self._fill(
            session,
            prompt,
            "subtopics",
            known,
            n,
            _subtopic,
            self._alike,
            partial(self._repeats, topic),
        )
        return step.model_copy(update={"subtopics": found})

    async def personas(
        self, session: Session, topic: str, subtopic: str | None, known: Sequence[Persona], n: int
    ) -> PlanStep:
        """Up to `n` more personas for a subtopic, no two of one name. Raises as `subtopics`."""
        prompt = self._personas.partial(topic=topic, subtopic=subtopic)
        found, step = await self._fill(
            session, prompt, "personas", known, n, _persona, self._same_person
        )
        return step.model_copy(update={"personas": found})

    def _alike(self, one: str, other: str) -> bool:
        return self._similarity(one.casefold(), other.casefold()) >= self._near_copy

    def _repeats(self, topic: str, subtopic: str) -> bool:
        ratio = SIMILARITIES["token_sort"](topic.casefold(), subtopic.casefold())
        return ratio >= self._of_topic

    def _same_person(self, one: Persona, other: Persona) -> bool:
        names = {first_name(person.name) for person in (one, other)}
        return len(names) == 1 or self._alike(one.text or "", other.text or "")

    async def _fill(
        self,
        session: Session,
        prompt: Prompt,
        step: str,
        known: Sequence[T],
        n: int,
        read: Callable[[Any], T | None],
        same: Callable[[T, T], bool],
        taken: Callable[[T], bool] = lambda _: False,
    ) -> tuple[list[T], PlanStep]:
        """Return what was found, and the counts of how.

        Nothing may be `taken`, or near what is `known`. What was cut off counts as unusable.
        """
        found: list[T] = []
        requests = copies = unusable = cut = 0
        text, copied = "", False
        while len(found) < n and requests < self._tries:
            missing = n - len(found)
            model = _list_model(step, missing)
            # Who gave nothing but copies of what was shown is not shown it again.
            shown = [] if copied else [*known, *found]
            asked = prompt.render(n=missing, known=shown, words=WORDS)
            before, copies_before = len(found), copies
            answer = await session.ask("planner", asked, schema=schema_of(model))
            text = answer.text
            requests += 1
            entries, n_cut = _entries(answer, model, step)
            cut += n_cut
            for entry in entries or [None]:
                one = None if entry is None else read(entry)
                if len(found) == n:
                    break
                if one is None:
                    unusable += 1
                elif taken(one) or any(same(one, other) for other in [*known, *found]):
                    copies += 1
                else:
                    found.append(one)
            copied = len(found) == before and copies > copies_before
        if not found:
            message = f"no {step} in {requests} replies: {copies} near-copies, {unusable} unusable"
            message += f", {cut} of them cut off" if cut else ""
            raise ModelFault(f"{step}_missing", message, text)
        return found, PlanStep(requests=requests, near_copies=copies, unusable=unusable)


def _entries(
    answer: SessionReply, model: type[StructuredReply], step: str
) -> tuple[list[Any], int]:
    """Return the entries of a reply and how many were cut off, which are None.

    There are none if the reply cannot be read.
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
    """The object asked for: `n` subtopics or personas; longer and shorter lists are read."""
    wanted: Any = {"minItems": n, "maxItems": n}
    entry: Any = _Person if step == "personas" else Annotated[str, WORDS["subtopic"].field()]
    entries: Any = (list[entry], Field(min_length=1, max_length=200, json_schema_extra=wanted))
    return create_model("DraftList", __base__=StructuredReply, **{step: entries})
