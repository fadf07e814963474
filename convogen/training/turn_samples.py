"""Training data for the inquirer, with one sample for each of the person's turns.

A sample is a chat up to one of the learner's messages, and only that message is a target. If a chat
is longer than the block, the system part is kept and the oldest part of the dialogue is dropped, so
that late turns are learned too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from convogen.models.base import Message
from convogen.training.dialogues import Encoded, TokenData, encode_lessons, rendered
from convogen.training.lessons import Lesson

__all__ = ["encode_turns"]


def encode_turns(tokenizer: Any, lessons: Sequence[Lesson], block: int) -> TokenData:
    """Return a sample of at most `block` tokens per chat, with the last message as the target."""
    cut = partial(_fitting, tokenizer, block)
    return encode_lessons(tokenizer, lessons, block, cut, last_only=True)


def _fitting(tokenizer: Any, block: int, chat: Sequence[Message], whole: Encoded) -> Encoded:
    """Return the system part and the last tokens of a chat.

    The system part is everything before the learner's first message. If the target is too long, its
    beginning is kept.
    """
    first = next(at for at, message in enumerate(chat) if message.role == "assistant")
    head = _shared(tokenizer, chat[:first], whole)
    start = len(whole.input_ids) - (block - head)
    target = next((at for at, label in enumerate(whole.labels) if label >= 0), 0)
    if start > target:
        asked = _shared(tokenizer, chat[:-1], whole)  # the opening of the learner's turn follows
        start = max(head, min(asked, target))
    end = start + max(block - head, 0)
    return Encoded(
        (whole.input_ids[:head] + whole.input_ids[start:end])[:block],
        (whole.labels[:head] + whole.labels[start:end])[:block],
    )


def _shared(tokenizer: Any, chat: Sequence[Message], whole: Encoded) -> int:
    """Return the number of tokens at the start of a sample that belong to the messages `chat`."""
    text = rendered(tokenizer, [{"role": one.role, "content": one.content} for one in chat])
    ids: list[int] = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    pairs = zip(ids, whole.input_ids, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
