"""A sample for each turn of the person: what a model is trained on that learns the inquirer.

A sample is a chat up to one message of the learner, which alone is its target. Of a chat that is
longer than the block the system part stays, and after it the last tokens that fit: what is left out
is the oldest of the dialogue, and no turn loses its place for coming late.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from convogen.models.base import Message
from convogen.training.dialogues import (
    Encoded,
    TokenData,
    encode,
    folded,
    folds_system,
    rendered,
)
from convogen.training.lessons import Lesson

__all__ = ["encode_turns"]


def encode_turns(tokenizer: Any, lessons: Sequence[Lesson], block: int) -> TokenData:
    """Return a sample of at most `block` tokens for each chat; its last message is the target."""
    rows: list[Encoded] = []
    dialogues = truncated = cut_tokens = cut_targets = without_target = 0
    fold = folds_system(tokenizer)
    for lesson in lessons:
        before = len(rows)
        for messages in lesson.chats:
            chat = folded(messages) if fold else messages
            whole = encode(tokenizer, chat, last_only=True)
            row = whole
            if len(whole.input_ids) > block:
                row = _fitting(tokenizer, chat, whole, block)
                truncated += 1
                cut_tokens += len(whole.input_ids) - len(row.input_ids)
                cut_targets += whole.targets - row.targets
            if row.targets:
                rows.append(row)
            else:
                without_target += 1
        dialogues += len(rows) > before
    counts = (truncated, cut_tokens, cut_targets, without_target)
    return TokenData(rows, *counts, fold, dialogues=dialogues)


def _fitting(tokenizer: Any, chat: Sequence[Message], whole: Encoded, block: int) -> Encoded:
    """The system part and the last tokens; of a target that does not fit after it, its beginning.

    The system part is all before the learner's first message.
    """
    first = next(at for at, message in enumerate(chat) if message.role == "assistant")
    head = _shared(tokenizer, chat[:first], whole)
    start = len(whole.input_ids) - (block - head)
    target = next((at for at, label in enumerate(whole.labels) if label >= 0), 0)
    if start > target:
        asked = _shared(tokenizer, chat[:-1], whole)  # then comes what opens the learner's turn
        start = max(head, min(asked, target))
    end = start + max(block - head, 0)
    return Encoded(
        (whole.input_ids[:head] + whole.input_ids[start:end])[:block],
        (whole.labels[:head] + whole.labels[start:end])[:block],
    )


def _shared(tokenizer: Any, chat: Sequence[Message], whole: Encoded) -> int:
    """How many tokens of a sample are those of the chat's beginning."""
    text = rendered(tokenizer, [{"role": one.role, "content": one.content} for one in chat])
    ids: list[int] = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    pairs = zip(ids, whole.input_ids, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
