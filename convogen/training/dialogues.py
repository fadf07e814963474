"""Training and evaluation data: chats as tokens, with the learner's messages as targets.

The learner has the assistant's role in the model's chat template. If a template does not support
system messages, or moves them, the text of the system message is put before the user's first
message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from convogen.errors import ModelConfigError
from convogen.models.base import Message
from convogen.training.lessons import Lesson
from convogen.training.manifest import TokenCounts

__all__ = [
    "IGNORED",
    "Encoded",
    "TokenData",
    "encode",
    "encode_all",
    "encode_lessons",
    "folds_system",
    "rendered",
]

_PROBE = ("system", "user", "assistant", "user", "assistant")

IGNORED = -100
"""The label of a token that is not a target."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chat as tokens, each with a label: the token itself for a target, otherwise `IGNORED`."""

    input_ids: list[int]
    labels: list[int]

    @property
    def targets(self) -> int:
        """The number of targets."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class TokenData:
    """Chats as tokens, with one row (a sample) per chat, and counts of the truncated data.

    `dialogues` counts the dialogues with at least one row. The `truncated` chats lost `cut_tokens`
    tokens, of which `cut_targets` were targets. The `without_target` chats had no targets left, so
    they are not in `rows`. `system_folded` is the result of `folds_system`.
    """

    rows: list[Encoded]
    _: KW_ONLY
    dialogues: int
    truncated: int
    cut_tokens: int
    cut_targets: int
    without_target: int
    system_folded: bool

    def counts(self) -> TokenCounts:
        """Return all counts, for the manifest."""
        return {
            "dialogues": self.dialogues,
            "samples": len(self.rows),
            "tokens": sum(len(row.input_ids) for row in self.rows),
            "targets": sum(row.targets for row in self.rows),
            "truncated": self.truncated,
            "cut_tokens": self.cut_tokens,
            "cut_targets": self.cut_targets,
            "without_target": self.without_target,
        }


def encode(tokenizer: Any, messages: Sequence[Message], *, last_only: bool = False) -> Encoded:
    """Return a chat as tokens, formatted with the tokenizer's chat template.

    The targets are the assistant's words and the token that ends each assistant turn, as in
    generation. With `last_only`, only the last message has targets. Raises `ModelConfigError` if
    the template does not show where the assistant's messages begin and end.
    """
    chat = [{"role": message.role, "content": message.content} for message in messages]
    text = rendered(tokenizer, chat)
    spans: list[tuple[int, int]] = []
    for at, message in enumerate(messages):
        if message.role == "assistant" and (at == len(messages) - 1 or not last_only):
            before = rendered(tokenizer, chat[:at], add_generation_prompt=True)
            after = rendered(tokenizer, chat[: at + 1])
            if not (text.startswith(after) and after.startswith(before)):
                raise ModelConfigError(
                    "this tokenizer's chat template changes earlier turns; use a model whose "
                    "template only appends new turns"
                )
            spans.append((len(before), len(after.rstrip())))
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = list(found["input_ids"])
    labels = [IGNORED] * len(ids)
    for at, (start, end) in enumerate(found["offset_mapping"]):
        if any(first <= start and end <= last for first, last in spans):
            labels[at] = ids[at]
    return Encoded(ids, labels)


def folds_system(tokenizer: Any) -> bool:
    """Return whether the system message must be merged into the user's first message.

    This is necessary if the tokenizer's chat template rejects the system message, drops it, or
    moves it to the user's last message. Raises `ModelConfigError` if the template cannot be used
    with the merged message either.
    """
    chat = [Message(role, f"{role} {at}") for at, role in enumerate(_PROBE)]
    try:
        encode(tokenizer, chat)
    except ModelConfigError:
        pass
    else:
        plain = [{"role": message.role, "content": message.content} for message in chat]
        if chat[0].content in rendered(tokenizer, plain):
            return False
    encode(tokenizer, folded(chat))
    return True


def folded(chat: Sequence[Message]) -> list[Message]:
    """Return a chat in which the system message is merged into the user's first message."""
    return [Message("user", f"{chat[0].content}\n\n{chat[1].content}"), *chat[2:]]


def encode_all(tokenizer: Any, lessons: Sequence[Lesson], block: int) -> TokenData:
    """Return the first `block` tokens of each chat, with all of the learner's words as targets."""

    def first_tokens(chat: Sequence[Message], whole: Encoded) -> Encoded:
        del chat
        return Encoded(whole.input_ids[:block], whole.labels[:block])

    return encode_lessons(tokenizer, lessons, block, first_tokens)


def encode_lessons(
    tokenizer: Any,
    lessons: Sequence[Lesson],
    block: int,
    cut: Callable[[Sequence[Message], Encoded], Encoded],
    *,
    last_only: bool = False,
) -> TokenData:
    """Return the dialogues' chats as tokens, and count the truncated chats, tokens and targets.

    Args:
        tokenizer: The model's tokenizer, with a chat template.
        lessons: The dialogues.
        block: Maximum number of tokens per row.
        cut: Function that shortens a chat with more than `block` tokens.
        last_only: Whether only the last message of a chat has targets.
    """
    rows: list[Encoded] = []
    dialogues = truncated = cut_tokens = cut_targets = without_target = 0
    fold = folds_system(tokenizer)
    for lesson in lessons:
        before = len(rows)
        for messages in lesson.chats:
            chat = folded(messages) if fold else messages
            row = whole = encode(tokenizer, chat, last_only=last_only)
            if len(whole.input_ids) > block:
                row = cut(chat, whole)
                truncated += 1
                cut_tokens += len(whole.input_ids) - len(row.input_ids)
                cut_targets += whole.targets - row.targets
            if row.targets:
                rows.append(row)
            else:
                without_target += 1
        dialogues += len(rows) > before
    return TokenData(
        rows,
        dialogues=dialogues,
        truncated=truncated,
        cut_tokens=cut_tokens,
        cut_targets=cut_targets,
        without_target=without_target,
        system_folded=fold,
    )


def rendered(tokenizer: Any, chat: list[dict[str, str]], **options: Any) -> str:
    """Return a chat as text, formatted with the tokenizer's chat template.

    Raises `ModelConfigError` if the template is missing or cannot format the chat.
    """
    from jinja2.exceptions import TemplateError

    try:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, **options))
    except (TemplateError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelConfigError(
            f"the tokenizer has no usable chat template ({said}); use an instruction-tuned model"
        ) from error
