"""Extraction of the spoken words from a model's reply, and detection of faults in them.

Text that is certainly not spoken is removed: thinking, template tokens, the speaker's own name,
quotation marks and stage directions. Only the remaining text is checked. If it has a fault, the
reply is requested again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from convogen.text.forms import form_fault
from convogen.text.labels import calls_oneself, has_other_label
from convogen.text.language import load_language
from convogen.text.names import Cast, cast_of
from convogen.text.narration import is_about
from convogen.text.reasoning import (
    has_template_tokens,
    without_template_tokens,
    without_thinking,
)
from convogen.text.stage_directions import is_acted, is_narrated
from convogen.text.tidying import spoken_part
from convogen.text.topics import echoes
from convogen.text.utterances import (
    copies,
    is_cut_off,
    loops,
    repeats,
    restates,
    runs,
    stutters,
    words_of,
)

__all__ = [
    "ECHO_WORDS",
    "FAULTS",
    "Scene",
    "Utterance",
    "complaint",
    "read_answer",
    "read_typed",
    "read_utterance",
]

COMPLAINTS = {
    "refusal": "There is nothing to refuse here: write only the words that this person says next.",
    "assistant_offer": (
        "Speak as the person you are, not as an assistant that offers help or "
        "talks about being an AI."
    ),
    "other_speaker": (
        "Write only your own next words, with no lines for anyone else and no names in front."
    ),
    "stage_direction": "Say something out loud: actions and gestures are not part of a turn.",
    "json": "Write plain spoken words, with no JSON, markup or fields.",
    "list": "Say it in running speech, with no lists, tables or headings.",
    "note": (
        "Write only the spoken words, with no notes, explanations or placeholders around them."
    ),
    "recited": (
        "Do not quote your instructions or your description; say something in your own words."
    ),
    "echo": "Do not repeat what has already been said; say something new.",
    "loop": "Say each thing once, without repeating the same words over and over.",
    "third_person": "Speak as yourself, in the first person; do not tell what you do or say.",
    "self_address": "That name is yours: speak to the others, and do not call yourself by name.",
    "cut_off": "Keep it shorter, so that it ends with a whole sentence.",
    "empty_reply": "Say something: write the words you speak next.",
    "too_long": "Keep it to about {target} words; the last attempt had {words}.",
    "too_short": "Say more, about {target} words; the last attempt had {words}.",
}
"""Maps each fault for which a reply may be requested again to an instruction for avoiding the
fault. Like all other instructions, these are in English. The last two faults are for callers that
request a length."""

FAULTS = tuple(COMPLAINTS)

MOST_CHARS = 20_000
"""Maximum number of characters that are read in a reply."""

OPENING_TURNS = 2
"""Number of turns at the beginning of a scene in which people may offer help or say their own
names."""

ECHO_WORDS = 5
"""Minimum number of words in a turn that can count as an echo of an earlier turn."""

_LETTERS = re.compile(r"[^\W_]+")
_WORDLESS = re.compile(r"[\s_!-/:-@\[-`{-~¡-¿‐-‧‹›、。「」『』]*(?<![!?])\Z")
_QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]")
_SCRIPT = re.compile(
    r"^[*_\[]{0,2}[A-Z][\w.'’-]{0,20}(?: [A-Z][\w.'’-]{0,20}){0,3}[*_\]]{0,2}[:：]", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Scene:
    """The context in which a turn is checked.

    `earlier` contains the texts of all turns so far, by any speaker. `unsaid` contains runs of
    words that nobody should say, such as runs from the instructions (see `word_runs`).
    """

    speaker: str
    others: tuple[str, ...] = ()
    earlier: Sequence[str] = ()
    unsaid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Utterance:
    """The spoken text of a reply, the kinds of text removed from the reply, and the fault, if
    any."""

    text: str
    tidied: tuple[str, ...] = ()
    fault: str | None = None


def read_utterance(
    reply: str, scene: Scene, *, cut_off: bool = False, language: str = "en"
) -> Utterance:
    """Extract from a reply the utterance of a person in a scene, and check the utterance.

    Args:
        reply: The model's reply; only the first 20,000 characters are read.
        scene: The speaker, the other people, and the earlier turns.
        cut_off: Whether the model stopped because it reached its token limit.
        language: The BCP 47 tag of the spoken language; checks that lack patterns for it are
            skipped.

    Returns:
        The utterance, with one of `FAULTS` if the reply must be requested again.
    """
    cast = cast_of(scene.speaker, scene.others, language)
    spoken = spoken_part(reply[:MOST_CHARS], cast, language)
    if spoken.silent:
        fault = form_fault(spoken.text) or _note_in(spoken.text, language) or "stage_direction"
    elif _WORDLESS.match(spoken.text):
        fault = "cut_off" if cut_off else "empty_reply"
    else:
        fault = _fault(spoken.text, scene, cast, cut_off or len(reply) > MOST_CHARS, language)
    return Utterance(spoken.text, spoken.tidied, fault)


def read_typed(
    reply: str, scene: Scene, *, cut_off: bool = False, language: str = "en"
) -> Utterance:
    """Extract from a reply a person's message to a chatbot, and check the message.

    The message may contain lists, data and actions. `scene.earlier` contains the chatbot's answers;
    a message that copies one of these answers has the fault `echo`. The arguments and the result
    are the same as for `read_utterance`.
    """
    lang = load_language(language)
    cast = cast_of(scene.speaker, scene.others, language)
    text, tidied, _ = spoken_part(reply[:MOST_CHARS], cast, language, directions=False)
    plain = text.lower().replace("’", "'")
    words = frozenset(_LETTERS.findall(plain))
    fault = None
    if _WORDLESS.match(text):
        fault = "cut_off" if cut_off else "empty_reply"
    elif has_template_tokens(text) or has_other_label(text, cast, language, roles=False):
        fault = "other_speaker"
    elif lang.refusal.match(plain, words):
        fault = "refusal"
    elif lang.chatbot.match(plain, words):
        fault = "assistant_offer"
    elif lang.frame.match(plain, words):
        fault = "note"
    elif echoes(text, scene.earlier):
        fault = "echo"
    elif cut_off and is_cut_off(text):
        fault = "cut_off"
    return Utterance(text, tidied, fault)


def read_answer(reply: str) -> Utterance:
    """Return a chatbot's answer without thinking and template tokens, otherwise unchanged."""
    text, thought = without_thinking(reply)
    text, marked = without_template_tokens(text.strip())
    tidied = [*(["thinking"] if thought else []), *(["template_tokens"] if marked else [])]
    return Utterance(text, tuple(tidied), None if text else "empty_reply")


def complaint(fault: str, *, words: int = 0, target: int = 0) -> str:
    """Return one sentence that tells a model how to avoid a fault.

    The sentence is a complete instruction, so the model need not see the rejected reply.

    Args:
        fault: One of `FAULTS`.
        words: Number of words in the rejected reply.
        target: Requested number of words.
    """
    return COMPLAINTS[fault].format(words=words, target=target)


def _fault(text: str, scene: Scene, cast: Cast, cut_off: bool, language: str) -> str | None:
    """Return the first fault in a spoken text, or None if the text has no fault."""
    plain = text.lower().replace("’", "'")
    letters = _LETTERS.findall(plain)
    if _speaks_for_others(text, cast, language):
        return "other_speaker"
    if fault := form_fault(text):
        return fault
    opening = len(scene.earlier) < OPENING_TURNS
    if fault := _said_fault(
        text, plain, words=frozenset(letters), cast=cast, opening=opening, language=language
    ):
        return fault
    if not opening and calls_oneself(text, cast, language):
        return "self_address"
    words = words_of(text)
    if scene.unsaid and not scene.unsaid.isdisjoint(runs(words)):
        return "recited"
    if loops(letters) or stutters(text) or restates(text):
        return "loop"
    if len(text.split()) >= ECHO_WORDS and repeats(text, scene.earlier):
        return "echo"
    if copies(words, scene.earlier):
        return "echo"
    return "cut_off" if cut_off and is_cut_off(text) else None


def _said_fault(
    text: str, plain: str, *, words: frozenset[str], cast: Cast, opening: bool, language: str
) -> str | None:
    """Return the fault of a text that sounds like an assistant or a narrator, otherwise None."""
    lang = load_language(language)
    if lang.frame.match(plain, words) or lang.note.match(plain, words):
        return "note"
    own = _QUOTED.sub(" ", plain)
    if lang.refusal.match(own, words):
        return "refusal"
    if lang.assistant_offer.match(own, words) or (
        not opening and lang.opening_offer.match(own, words)
    ):
        return "assistant_offer"
    if is_acted(plain, language):
        return "stage_direction"
    if is_narrated(plain, language) or (
        not cast.words.isdisjoint(words) and is_about(text, cast, language)
    ):
        return "third_person"
    return None


def _note_in(text: str, language: str) -> str | None:
    """Return `note` if an apparent stage direction is about the task, otherwise None."""
    lang = load_language(language)
    plain = text.lower().replace("’", "'")
    words = frozenset(_LETTERS.findall(plain))
    found = lang.frame.match(plain, words) or lang.note.match(plain, words)
    return "note" if found else None


def _speaks_for_others(text: str, cast: Cast, language: str) -> bool:
    if has_template_tokens(text) or has_other_label(text, cast, language):
        return True
    return "\n" in text and len(_SCRIPT.findall(text)) > 1
