"""The labeller: assigns labels to a conversation and checks them against its text.

The labeller does not see the planned labels. After an invalid reply, the request is retried up to a
maximum number of times; then `ModelFault` is raised.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import regex

from convogen.errors import ModelFault
from convogen.generation.structured_output import find_json
from convogen.models.base import Message, Sampling, printable
from convogen.models.traffic.context_window import ask_whole
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.records import Label
from convogen.text.budgets import about_words, tokens_of
from convogen.text.identify import identify
from convogen.text.language_tags import primary_subtag
from convogen.text.lengths import lacks_end
from convogen.text.segmentation import unspaced_language, words
from convogen.text.tidying import without_label
from convogen.text.utterances import repeats, whole_sentences

__all__ = ["Labeller", "SummaryRules", "content_share", "shuffled", "unknown_names"]

LEARNED_FROM = 2_000
"""Maximum number of source summaries from which the rules are learned."""

STEM = 5
"""Number of leading letters that two words must share to count as forms of the same word."""

STOPWORDS = frozenset(
    """
    about after again against also because been before being both could does doing down during each
    every from further have having here hers herself himself into itself just more most much must
    once only other ours over same shall should since some such than that their them then there
    these they this those though through under until upon very were what when where which while whom
    whose will with within without would your yours talk talks talking tell tells telling told says
    said asks asked asking thinks wants person
    """.split()
)

_CAPITALISED_NOUNS = ("de", "lb")
_WORD = regex.compile(r"[\p{L}\p{M}]{4,}")
_PLACEHOLDER = re.compile(r"#\w+#")
_NAME = re.compile(r"(?<=[\w,;:’'\"] )[\"“‘'(]?([^\W\d_][\w’'-]+)")


@dataclass(frozen=True, slots=True)
class SummaryRules:
    """Requirements on a summary: its length in words, and the minimum share of its content words
    that occur in the dialogue.

    The requirements are learned from the source's summaries, 98% of which are within the length
    range and 95% of which reach the share. `language` is the primary BCP 47 subtag of the
    summaries' language; None if unknown.
    """

    low: int
    high: int
    grounded: float
    language: str | None = None

    @classmethod
    def learn(cls, pairs: Iterable[tuple[str, str]]) -> SummaryRules:
        """Return the rules learned from pairs of a dialogue and its summary; at least one pair is
        required."""
        known = list(islice(pairs, LEARNED_FROM))
        language = identify(summary for _, summary in known)
        lengths = sorted(about_words(summary, language) for _, summary in known)
        shares = sorted(content_share(summary, dialogue, language) for dialogue, summary in known)
        cut = len(known) // 100
        return cls(lengths[cut], lengths[-1 - cut], shares[len(shares) // 20], language)

    def translated(self, language: str) -> SummaryRules:
        """Return the rules for summaries in another language, for which no minimum share is known.

        `language` is a BCP 47 tag.
        """
        return replace(self, grounded=0.0, language=primary_subtag(language))

    def complaint(self, summary: str, dialogue: str) -> str | None:
        """Return a complaint about a summary, worded for the model; None if it is acceptable."""
        n = about_words(summary, self.language)
        if not self.low <= n <= self.high:
            return f"it has {n} words, {self.low} to {self.high} are wanted"
        if unknown := unknown_names(summary, dialogue, self.language):
            return f"{unknown[0][:60]!r} is not in the conversation"
        share = content_share(summary, dialogue, self.language)
        if share < self.grounded:
            return f"too little of it is in the conversation ({share:.2f} of its words)"
        return None


def content_share(summary: str, dialogue: str, language: str | None = None) -> float:
    """Return the share of a summary's content words that also occur in the dialogue, 0 to 1; 1 if
    there are no content words.

    A content word has at least four letters and is not a function word. Words that share their
    first five letters count as forms of the same word. In scripts without spaces between words,
    content words have at least two characters; without a segmenter, there are no content words.
    """
    stems = {word[:STEM] for word in _words(dialogue, language)}
    mine = [word for word in _words(summary, language) if word not in STOPWORDS]
    return sum(word[:STEM] in stems for word in mine) / len(mine) if mine else 1.0


def unknown_names(summary: str, dialogue: str, language: str | None = None) -> list[str]:
    """Return the names in a summary that do not occur in the dialogue.

    Names are words that are capitalised within a sentence, and placeholders such as `#Name#`. In
    languages that capitalise all nouns, only placeholders count as names.
    """
    there = set(re.findall(r"\w+", dialogue.casefold()))
    unknown = [mark for mark in _PLACEHOLDER.findall(summary) if mark not in dialogue]
    if language in _CAPITALISED_NOUNS:
        return unknown
    for name in _NAME.findall(_PLACEHOLDER.sub("they", summary)):
        parts = re.findall(r"\w+", name.casefold())
        if name[0].isupper() and parts[0] != "i" and parts[0] not in there:
            unknown.append(name)
    return unknown


def _words(text: str, language: str | None) -> list[str]:
    if unspaced_language(language) is None:
        return [word.casefold() for word in _WORD.findall(text)]
    return [word.casefold() for word in words(text, language) or () if len(word) > 1]


class Labeller:
    """Assigns labels, using the `summary`, `choice` and `emotions` prompts and the model for one
    role."""

    def __init__(self, prompts: Mapping[str, Prompt], reasks: int, role: str = "labeller") -> None:
        self._prompts = prompts
        self._reasks = reasks
        self._role = role

    async def summarise(
        self,
        session: Session,
        dialogue: str,
        rules: SummaryRules,
        examples: Sequence[tuple[str, str]],
    ) -> Label:
        """Return a summary that meets the rules and does not copy an example.

        Raises `ModelFault` of kind `summary_refused` if no reply contains such a summary.
        """
        shown = [{"dialogue": script, "summary": summary} for script, summary in examples]
        prompt = self._prompts["summary"].partial(
            examples=shown, dialogue=dialogue, low=rules.low, high=rules.high
        )
        complaints, summary = list[str](), ""
        for _ in range(1 + self._reasks):
            room = Sampling(max_tokens=tokens_of(rules.high, rules.language) + 8)
            asking = _asking(prompt, complaints)
            answer = await ask_whole(session, self._role, asking, sampling=room)
            summary = _summary(answer)
            fault = rules.complaint(summary, dialogue)
            if _is_cut(answer, summary):
                fault = f"it was cut off; say it in at most {rules.high} words"
            if fault is None and repeats(summary, [summary for _, summary in examples]):
                fault = "it is the summary of an example"
            if fault is None:
                share = content_share(summary, dialogue, rules.language)
                check = (
                    f"{rules.low} to {rules.high} words; its names are in the conversation; "
                    f"{share:.2f} of its content words are, at least {rules.grounded:.2f}"
                )
                return _label(summary, check, answer, complaints)
            complaints.append(fault)
        raise ModelFault("summary_refused", complaints[-1], summary)

    async def choose(
        self, session: Session, dialogue: str, what: str, planned: str, options: Sequence[str]
    ) -> Label:
        """Return the option that the model chooses without seeing which option was planned.

        Raises `ModelFault` of kind `label_invalid` if no reply names an option.
        """
        schema = _object({"label": options})
        prompt = self._prompts["choice"].partial(dialogue=dialogue, what=what, options=options)
        complaints, reply = list[str](), ""
        for _ in range(1 + self._reasks):
            answer = await ask_whole(session, self._role, prompt.render(), schema=schema)
            reply = answer.text
            chosen = _option((find_json(reply, ["label"]) or {}).get("label"), options)
            if chosen is not None:
                same = "agrees with" if chosen == planned else "differs from"
                check = f"chosen blindly of {len(options)}; {same} the planned one"
                label = _label(chosen, check, answer, complaints)
                return label.model_copy(update={"planned": planned})
            complaints.append(_CUT_OFF if answer.cut_off else "it is none of the labels")
        raise ModelFault("label_invalid", f"{what}: {complaints[-1]}", reply)

    async def emotions(
        self,
        session: Session,
        lines: Sequence[str],
        options: Sequence[str],
        examples: Sequence[tuple[Sequence[str], Sequence[str]]],
    ) -> Label:
        """Return one of `options` for each line of a script, all from a single reply.

        Raises `ModelFault` of kind `emotions_invalid` if no reply is valid.
        """
        shown = [
            {"lines": said, "answer": json.dumps(_numbered(labels), ensure_ascii=False)}
            for said, labels in examples
        ]
        schema = _object({str(index + 1): options for index in range(len(lines))})
        prompt = self._prompts["emotions"].partial(examples=shown, lines=lines, options=options)
        complaints, reply = list[str](), ""
        for _ in range(1 + self._reasks):
            asking = _asking(prompt, complaints)
            answer = await ask_whole(session, self._role, asking, schema=schema)
            reply = answer.text
            data = find_json(reply, schema["properties"]) or {}
            chosen = [_option(data.get(str(index + 1)), options) for index in range(len(lines))]
            if None not in chosen:
                check = f"each one of {len(options)}, chosen with the whole conversation in view"
                return _label(chosen, check, answer, complaints)
            fault = f"utterance {chosen.index(None) + 1} has none of the emotions"
            complaints.append(_CUT_OFF if answer.cut_off else fault)
        raise ModelFault("emotions_invalid", complaints[-1], reply)


_CUT_OFF = "it was cut off before its end"


def shuffled(planned: str, others: Sequence[str], n: int, rng: random.Random) -> list[str]:
    """Return up to `n` options in random order: the planned label and other labels drawn at
    random."""
    rest = [other for other in others if other != planned]
    options = [planned, *rng.sample(rest, min(n - 1, len(rest)))]
    rng.shuffle(options)
    return options


def _asking(prompt: Prompt, complaints: Sequence[str]) -> list[Message]:
    return prompt.render(complaint=complaints[-1] if complaints else None)


def _summary(answer: SessionReply) -> str:
    """Return the summary in a reply: the first paragraph, without a label such as `Summary:`."""
    text = printable(answer.text).strip()
    text = re.sub(r"\A\W*summary\W*:\s*", "", text, flags=re.IGNORECASE)
    text = " ".join(text.split("\n\n")[0].split())
    text = without_label(text, "Summary")
    return whole_sentences(text) if answer.cut_off else text


def _is_cut(answer: SessionReply, summary: str) -> bool:
    """Return whether a reply was truncated before the first sentence of the summary ended."""
    only_paragraph = "\n\n" not in answer.text.strip()
    return answer.cut_off and only_paragraph and lacks_end(summary)


def _option(reply: Any, options: Sequence[str]) -> str | None:
    """Return the option that a reply names, ignoring white space and case."""
    if not isinstance(reply, str):
        return None
    folded = " ".join(reply.split()).casefold()
    named = [option for option in options if option == reply] or [
        option for option in options if option.casefold() == folded
    ]
    return named[0] if named else None


def _numbered(labels: Sequence[str]) -> dict[str, str]:
    return {str(at): label for at, label in enumerate(labels, 1)}


def _object(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the JSON Schema for an object whose fields are string enumerations."""
    return {
        "type": "object",
        "properties": {
            key: {"type": "string", "enum": list(options)} for key, options in fields.items()
        },
        "required": list(fields),
        "additionalProperties": False,
    }


def _label(value: Any, check: str, answer: SessionReply, reasks: list[str]) -> Label:
    return Label(
        value=value,
        check=check,
        reasks=reasks,
        model=answer.model,
        request=answer.request,
        usage=answer.usage,
    )
