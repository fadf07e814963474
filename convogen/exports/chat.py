"""Chat formats for fine-tuning, in which a row is a conversation as one participant sees it.

`convogen.exports.viewpoints` describes how a group chat becomes the messages of one assistant and
one user. These trainers read a loss mask per message:

- `weight`, 0 or 1, on the assistant's messages: OpenAI's fine-tuning, mistral-finetune;
- `train`, true or false, on every message: Axolotl with `message_field_training: train`.

TRL (`assistant_only_loss`) and LLaMA-Factory (`mask_history`) do not read a mask per message.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from convogen.errors import SourceError
from convogen.exports.base import Column, Container, Exporter, Item
from convogen.exports.viewpoints import ASSISTANT, Message, seen_by
from convogen.records import Conversation

__all__ = ["EACH", "Chat", "Messages", "ShareGPT"]

EACH = "each"
_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


class Chat(Exporter):
    """The base class for exporters whose rows are chats."""

    with_context: ClassVar[bool] = False

    perspective: str | None = Field(
        default=None,
        min_length=1,
        description="speaker who becomes the assistant, or `each` for one row per speaker",
    )
    system: bool = Field(
        default=True, description="add a system message with the assistant's persona and the scene"
    )

    def check(self, speakers: Mapping[str, int]) -> None:
        if self.perspective in (None, EACH) or self.perspective in speakers:
            return
        most = sorted(speakers, key=lambda name: (-speakers[name], name))[:10]
        raise SourceError(
            f"perspective {self.perspective!r}: no speaker in this run has this name; allowed: "
            f"{EACH}, or a speaker such as {', '.join(map(repr, most))}"
        )

    def viewpoints(self, conversation: Conversation) -> list[str]:
        """Return the speakers for whom a conversation has rows, in the order of their first
        turns."""
        speakers = list(dict.fromkeys(turn.speaker for turn in conversation.turns))
        if self.perspective in (None, EACH):
            return speakers
        return [name for name in speakers if name == self.perspective]


class _Tuning(Chat):
    """The base class for supervised fine-tuning formats.

    `column` is the name of the messages column. `keys` are the keys of a message whose values are
    strings.
    """

    container: ClassVar[Container] = "jsonl"
    about_rows: ClassVar[str] = "one row per conversation and `perspective`"
    column: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]

    merge: bool = Field(
        default=True,
        description="merge consecutive turns so that user and assistant alternate",
    )
    loss_mask: Literal["weight", "train"] | None = Field(
        default=None,
        description="add this key to mark the messages to train on, excluding turns kept despite a "
        "fault",
    )

    @abstractmethod
    def message(self, one: Message) -> dict[str, Any]:
        """Return a message in this format."""

    def columns(self) -> dict[str, Column]:
        message: Column = {**dict.fromkeys(self.keys, "string"), **self._mask_column()}
        texts = dict.fromkeys(("id", "experience", "perspective"), "string")
        return {**texts, self.column: [message]}

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        for name, messages in self._chats(item, counts):
            yield {
                "id": item.conversation.id,
                "experience": item.conversation.experience,
                "perspective": name,
                self.column: [{**self.message(one), **self._masked(one)} for one in messages],
            }

    def _chats(self, item: Item, counts: Counter[str]) -> Iterator[tuple[str, list[Message]]]:
        """Yield each viewer of a conversation with the viewer's chat.

        If there is a loss mask, chats without a message to train on are left out.
        """
        for name in self.viewpoints(item.conversation):
            own = Counter[str]()
            messages = seen_by(name, item, own, merge=self.merge, system=self.system)
            learned = sum(message.learn for message in messages)
            if messages and self.loss_mask and not learned:
                own = Counter(perspectives_left_out=1)
                messages = []
            elif self.loss_mask:
                own["messages_masked"] += (
                    sum(message.role == ASSISTANT for message in messages) - learned
                )
            counts.update(own)
            if messages:
                yield name, messages

    def _masked(self, message: Message) -> dict[str, Any]:
        """Return the entry that marks whether to train on a message; empty if the message has
        none."""
        if self.loss_mask == "train":
            return {"train": message.learn}
        if self.loss_mask == "weight" and message.role == ASSISTANT:
            return {"weight": int(message.learn)}
        return {}

    def _mask_column(self) -> dict[str, Column]:
        kinds: dict[str, Column] = {"train": "bool", "weight": "int64"}
        return {self.loss_mask: kinds[self.loss_mask]} if self.loss_mask else {}


class Messages(_Tuning):
    """`messages` with roles, as in the OpenAI API and TRL's conversational data."""

    name: ClassVar[str] = "messages"
    column: ClassVar[str] = "messages"
    keys: ClassVar[tuple[str, ...]] = ("role", "content", "name")

    def message(self, one: Message) -> dict[str, Any]:
        named = {"name": one.name} if one.name else {}
        return {"role": one.role, "content": one.content, **named}


class ShareGPT(_Tuning):
    """`conversations` with `from` (`system`, `human`, `gpt`) and `value`, for LLaMA-Factory."""

    name: ClassVar[str] = "sharegpt"
    column: ClassVar[str] = "conversations"
    keys: ClassVar[tuple[str, ...]] = ("from", "value")

    def message(self, one: Message) -> dict[str, Any]:
        return {"from": _ROLES[one.role], "value": one.content}
