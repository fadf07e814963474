"""Request a reasoned dialogue in one structured model call, in which the characteristics come
before the turns.

Source: DiaSynth, section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from pydantic import Field, create_model

from convogen.generation.structured_output import StructuredReply, UnusableReply, ask_draft
from convogen.methods.diasynth.examples import Example, shown
from convogen.methods.diasynth.settling import CHARACTERISTICS, Settled, settled_fields
from convogen.methods.diasynth.settling import WORDS as SETTLED_WORDS
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.records import Persona, Starter, Turn
from convogen.text.budgets import about_words
from convogen.text.language_tags import ENGLISH
from convogen.text.lengths import Words
from convogen.text.speakers import person_named
from convogen.text.turn_checks import Scene, Utterance, complaint, read_utterance
from convogen.text.utterances import repeats

__all__ = ["Asked", "Writer", "Written"]

COPY_WORDS = 6
"""Utterances with at least this many words count as copied if an example contains them."""

WORDS = {"turn": Words(30), "speaker": Words(4)}
"""Requested lengths of the strings in a dialogue, in words."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a dialogue: its topic, its participants, and its minimum and maximum number of
    turns."""

    topic: str
    subtopic: str | None
    people: Sequence[Persona]
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Written:
    """A dialogue, or only its opening, together with its settled part.

    `ended` is `complete`, `repetition` (the dialogue was cut before a repetition) or `max_turns`
    (the dialogue was cut because it was too long). `reasks` lists the errors for which replies were
    rejected. `n_turns` is the intended number of turns in the whole dialogue; None unless only the
    opening and this number were requested.
    """

    settled: Settled
    _: KW_ONLY
    turns: list[Turn]
    ended: str
    repairs: list[str]
    answer: SessionReply
    reasks: list[str] = field(default_factory=list[str])
    n_turns: int | None = None

    @property
    def starter(self) -> Starter:
        """The first turn."""
        return Starter(speaker=self.turns[0].speaker, text=self.turns[0].text)


class Writer:
    """Requests dialogues; with `reasoning`, the settled part of each dialogue comes before its
    turns."""

    def __init__(self, prompt: Prompt, *, reasoning: bool, reasks: int) -> None:
        self._prompt = prompt
        self._reasoning = reasoning
        self._reasks = reasks

    async def write(self, session: Session, asked: Asked, examples: Sequence[Example]) -> Written:
        """Return the whole dialogue.

        Raises `ModelFault` of kind `dialogue_invalid` if no reply is usable.
        """
        return await self._ask(session, asked, examples, opening=False)

    async def open(self, session: Session, asked: Asked, examples: Sequence[Example]) -> Written:
        """Return only the settled part and the first turn.

        Raises `ModelFault` under the same conditions as `write`.
        """
        return await self._ask(session, asked, examples, opening=True)

    async def _ask(
        self, session: Session, asked: Asked, examples: Sequence[Example], opening: bool
    ) -> Written:
        names = [person.name for person in asked.people]
        characteristics = CHARACTERISTICS if self._reasoning else {}
        messages = self._prompt.render(
            topic=asked.topic,
            subtopic=asked.subtopic,
            people=[_line(person) for person in asked.people],
            characteristics=list(characteristics.items()),
            examples=[
                shown(example, reasoning=self._reasoning, opening=opening) for example in examples
            ],
            low=asked.low,
            high=asked.high,
            opening=opening,
            words={**WORDS, **SETTLED_WORDS},
        )
        copied = [text for example in examples for _, text in example.turns]

        def parse(draft: StructuredReply, answer: SessionReply) -> Written:
            return _written(draft, answer, asked, copied, session.language or ENGLISH)

        model = _draft_model(names, asked, self._reasoning, opening)
        written, reasks = await ask_draft(
            session,
            "writer",
            messages,
            model=model,
            parse=parse,
            reasks=self._reasks,
            kind="dialogue_invalid",
        )
        return replace(written, reasks=reasks)


def _line(person: Persona) -> str:
    return f"{person.name}: {' '.join(person.text.split())}" if person.text else person.name


class _Line(StructuredReply):
    speaker: str = Field(min_length=1, max_length=80)
    text: str = WORDS["turn"].field(shortest=0)


def _draft_model(
    names: Sequence[str], asked: Asked, reasoning: bool, opening: bool
) -> type[StructuredReply]:
    """Return the pydantic model for the reply: the settled part, followed either by all turns or by
    the number of turns and the first turn."""
    speaker: Any = (str, WORDS["speaker"].field(shortest=1, longest=80, enum=[*names]))
    line = create_model("DraftTurn", __base__=_Line, speaker=speaker)
    fields = settled_fields(names) if reasoning else {}
    if opening and reasoning:
        within: Any = {"minimum": asked.low, "maximum": asked.high}
        fields["n_turns"] = (int, Field(json_schema_extra=within))
    if opening:
        fields["starter"] = (line, Field())
    else:
        bounds: Any = {"minItems": asked.low, "maxItems": asked.high}
        turns = Field(min_length=2, max_length=4 * asked.high, json_schema_extra=bounds)
        fields["turns"] = (list[line], turns)
    return create_model("DraftDialogue", __base__=StructuredReply, **fields)


def _written(
    draft: StructuredReply,
    answer: SessionReply,
    asked: Asked,
    shown: Sequence[str],
    language: str,
) -> Written:
    """Return the dialogue contained in a draft.

    Raises `UnusableReply` if the draft is invalid.
    """
    names = [person.name for person in asked.people]
    data = draft.model_dump(by_alias=True)
    opening = "starter" in data
    lines: list[Mapping[str, str]] = [data["starter"]] if opening else data["turns"]
    turns: list[Turn] = []
    for line in lines:
        speaker, said = _spoken(line, names, [turn.text for turn in turns], language)
        turn = _turn(speaker, said, answer, opening)
        turns += [turn] if turn.text else []
    kept = _until_repetition(turns)
    repairs = [f"cut from {len(turns)} turns: one is said again"] if len(kept) < len(turns) else []
    ended = "repetition" if repairs else "complete"
    if len(kept) > asked.high:
        repairs.append(f"cut from {len(kept)} turns: at most {asked.high} were asked for")
        kept, ended = kept[: asked.high], "max_turns"
    if objection := _objection(kept, names, 1 if opening else asked.low):
        raise UnusableReply(objection)
    if any(about_words(t.text) >= COPY_WORDS and repeats(t.text, shown) for t in kept):
        objection = "turns: one is of an example; write a conversation of your own"
        raise UnusableReply(objection, kind="copied", afresh=True)
    n_turns = min(max(data["n_turns"], asked.low), asked.high) if "n_turns" in data else None
    return Written(
        Settled.of(data), turns=kept, ended=ended, repairs=repairs, answer=answer, n_turns=n_turns
    )


def _spoken(
    line: Mapping[str, str], names: Sequence[str], earlier: Sequence[str], language: str
) -> tuple[str, Utterance]:
    """Return the speaker and the utterance in a line of a draft.

    Raises `UnusableReply` if the speaker is unknown or the utterance unusable. Echoes are accepted
    here, since `_until_repetition` ends the dialogue before them.
    """
    speaker = person_named(line["speaker"], names)
    if speaker is None:
        raise UnusableReply(
            f"speaker: {line['speaker']!r} is nobody here; allowed: {', '.join(names)}"
        )
    others = tuple(name for name in names if name != speaker)
    utterance = read_utterance(line["text"], Scene(speaker, others, earlier), language=language)
    if utterance.fault not in (None, "echo", "empty_reply"):
        objection = f"turns: of {speaker}'s, {line['text'][:80]!r}: {complaint(utterance.fault)}"
        raise UnusableReply(objection.removesuffix("."), kind=utterance.fault)
    return speaker, utterance


def _turn(speaker: str, utterance: Utterance, answer: SessionReply, opening: bool) -> Turn:
    return Turn(
        speaker=speaker,
        text="" if utterance.fault == "empty_reply" else " ".join(utterance.text.split()),
        origin="starter" if opening else "script",
        model=answer.model,
        request=answer.request,
        tidied=list(utterance.tidied),
    )


def _until_repetition(turns: list[Turn]) -> list[Turn]:
    """Return the turns before the first turn of three or more words that repeats an earlier
    turn."""
    earlier: list[str] = []
    for nth, turn in enumerate(turns):
        if about_words(turn.text) > 2 and repeats(turn.text, earlier):
            return turns[:nth]
        earlier.append(turn.text)
    return turns


def _objection(turns: Sequence[Turn], names: Sequence[str], least: int) -> str | None:
    """Return an objection to the turns, worded for the model; None if they are acceptable."""
    if len(turns) < least:
        return f"turns: {len(turns)} before one is empty or said again, {least} at least are needed"
    silent = [name for name in names if all(turn.speaker != name for turn in turns)]
    if silent and least > 1:
        return f"turns: {silent[0]} says nothing"
    return None
