"""The table of formats: a name, how rows group into conversations, and how to tell it by a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from convogen.corpora import chat, human
from convogen.corpora.rows import Row
from convogen.types import Conversation

__all__ = ["FORMATS", "Format", "recognise"]

Convert = Callable[[Sequence[Row], str], list[Conversation]]


@dataclass(frozen=True, slots=True)
class Format:
    """How the rows of a source become conversations.

    `fits` tells by the value of a row whether it is of this format. `breaks(previous, value)`,
    where rows group, says that a conversation begins with `value`. One name may have several
    shapes: the raw release and others.
    """

    name: str
    about: str
    convert: Convert
    fits: Callable[[Any], bool]
    breaks: Callable[[Any, Any], bool] | None = None


def _has(*keys: str, **types: type) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        row = cast("dict[str, Any]", value)
        named = all(isinstance(row.get(key), kind) for key, kind in types.items())
        return named and all(key in row for key in keys)

    return fits


def _changes(key: str) -> Callable[[Any, Any], bool]:
    def breaks(previous: Any, value: Any) -> bool:
        return _field(previous, key) != _field(value, key)

    return breaks


def _field(value: Any, key: str) -> Any:
    return cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None


def _strings(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    items = cast("list[Any]", value)
    return bool(items) and all(isinstance(item, str) for item in items)


def _own(value: Any) -> bool:
    return _has("id", turns=list)(value) and set(value) <= set(Conversation.model_fields)


def _seed(value: Any) -> bool:
    return _has(conversation=list, conversation_id=list)(value)


def _episode(previous: Any, value: Any) -> bool:
    return human.parlai_number(value) <= human.parlai_number(previous)


FORMATS = (
    Format("convogen", "a run folder, or its conversations.jsonl", chat.own_row, _own),
    Format("turns", '{"turns": [{"speaker", "text"}]}', chat.turns_row, _has(turns=list)),
    Format(
        "turns",
        "a turn a row",
        chat.turn_rows,
        _has("id", "turn", "speaker", "text"),
        _changes("id"),
    ),
    Format("messages", "OpenAI chat messages", chat.messages_row, _has(messages=list)),
    Format("sharegpt", "ShareGPT from/value", chat.sharegpt_row, _has(conversations=list)),
    Format(
        "arena",
        "Chatbot Arena: two conversations and a vote a row",
        chat.arena_vote,
        _has(conversation_a=list, conversation_b=list),
    ),
    Format("oasst1", "threads of OASST1", chat.arena_row, _seed),
    Format("arena", "one LMSYS conversation a row", chat.arena_row, _has(conversation=list)),
    Format("oasst1", "the release's trees", chat.oasst_tree, _has("message_tree_id", prompt=dict)),
    Format(
        "oasst1",
        "the release's messages",
        chat.oasst_messages,
        _has("message_tree_id", "message_id", "parent_id", "role", "text"),
        _changes("message_tree_id"),
    ),
    Format("personachat", "PERSONA-CHAT JSON", human.personachat_row, _has(dialogue=list)),
    Format(
        "personachat",
        "PERSONA-CHAT JSON with histories",
        human.personachat_history,
        _has("personality", utterances=list),
    ),
    Format(
        "personachat",
        "PERSONA-CHAT in ParlAI's text",
        human.parlai_rows,
        lambda value: human.parlai_number(value) > 0,
        _episode,
    ),
    Format(
        "dailydialog",
        "DailyDialog text, __eou__ after each utterance",
        human.dailydialog_line,
        lambda value: isinstance(value, str) and "__eou__" in value,
    ),
    Format("dailydialog", "DailyDialog rows", human.dailydialog_row, _has(dialog=list)),
    Format("dailydialog", "DailyDialog rows", human.dailydialog_row, _has("acts", utterances=list)),
    Format(
        "empatheticdialogues",
        "EmpatheticDialogues, an utterance a row",
        human.empathetic_rows,
        _has("conv_id", "utterance"),
        _changes("conv_id"),
    ),
    Format(
        "meld",
        "MELD, an utterance a row",
        human.meld_rows,
        _has("Dialogue_ID", "Utterance", "Speaker"),
        _changes("Dialogue_ID"),
    ),
    Format("dialogsum", "DialogSum", human.script_row, _has("fname", dialogue=str)),
    Format("samsum", "SAMSum", human.script_row, _has(dialogue=str)),
    Format("plain", "lists of strings", chat.plain_row, _strings),
)
"""All formats, the first that fits wins; several shapes may share a name."""


def recognise(values: Sequence[Any], name: str | None = None) -> Format | None:
    """The first format, or shape of the format `name`, that one of these row values is of."""
    shapes = [form for form in FORMATS if name in (None, form.name)]
    for value in values:
        for form in shapes:
            if form.fits(value):
                return form
    return None
