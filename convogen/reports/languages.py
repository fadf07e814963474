"""The languages of a data set, as shown in reports and data cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from convogen.errors import UserError
from convogen.metrics import Statistics
from convogen.metrics.languages import StatedLanguage
from convogen.plugins import registry
from convogen.prompts import prompts_of
from convogen.text.counting import counted
from convogen.text.language_tags import ENGLISH, language_name, primary_subtag

__all__ = ["card_languages", "foreign_languages", "judging_limit", "said_languages"]

_UNKNOWN = "und"


def said_languages(text: Statistics) -> str:
    """Return a description of the languages, with the share of turns in each stated language."""
    said = [_stated(tag, found) for tag, found in text.stated_languages.items()]
    if not said:
        said = [f"{_name(tag)} ({counted(n, 'conversation')})" for tag, n in text.languages.items()]
    return "; ".join(said)


def card_languages(text: Statistics) -> list[str]:
    """Return the primary subtags of the detected languages, the most frequent first.

    The stated language of a conversation may differ from the detected language.
    """
    counts: Counter[str] = Counter(text.languages)
    for tag, stated in text.stated_languages.items():
        if _mostly_as_stated(stated):
            continue
        counts[primary_subtag(tag)] -= stated.conversations
        counts.update(stated.found)
    return [tag for tag, n in counts.most_common() if n > 0 and tag != _UNKNOWN]


def foreign_languages(text: Statistics) -> list[str]:
    """Return the names of the detected languages except English."""
    return [language_name(tag) for tag in card_languages(text) if tag != ENGLISH]


def judging_limit(text: Statistics, judge: str, prompts: Mapping[str, str]) -> Iterator[str]:
    """Yield a line about the judge's prompts if conversations are in languages other than English.

    `prompts` contains the hashes of the judge's prompts; a user's own prompts may be in any
    language.
    """
    if not (foreign := foreign_languages(text)):
        return
    if prompts == _shipped_prompts(judge):
        yield f"the judge was asked in English about conversations in {', '.join(foreign)}."
    else:
        yield (
            f"the judge was asked with your own prompts about conversations in "
            f"{', '.join(foreign)}."
        )


def _shipped_prompts(judge: str) -> dict[str, str] | None:
    try:
        loaded = prompts_of(registry.load("judges", judge), "judges/{name}-{step}", {})
    except UserError:  # the plugin is no longer installed
        return None
    return {step: prompt.hash for step, prompt in loaded.items()}


def _mostly_as_stated(found: StatedLanguage) -> bool:
    """Return whether most turns are in the stated language or a closely related language."""
    return found.share is not None and found.share > 0.5


def _stated(tag: str, found: StatedLanguage) -> str:
    share = found.share
    told = "the share of turns in this language cannot be measured"
    if share is not None:
        told = f"{share:.1%} of {found.turns:,} turns of five words or more are in this language"
    others = [f"{n:,} {_name(other)}" for other, n in found.found.items()]
    if not _mostly_as_stated(found) and set(found.found) - {primary_subtag(tag), _UNKNOWN}:
        told += f"; detected: {', '.join(others)}"
    return f"{_name(tag)} ({counted(found.conversations, 'conversation')}; {told})"


def _name(tag: str) -> str:
    return "undecided" if tag == _UNKNOWN else language_name(tag)
