"""Preference pairs: two replies to the same prompt, ranked by one judge.

A conversation and its alternatives (`convogen.exports.alternatives`) have the same experience and
first turn. Each is converted to a chat from the viewpoint of one participant. If two chats,
including their system messages, are equal up to an assistant message in each, these two messages
are replies to the same prompt. The value of a reply is the judge's mean score, over all aspects,
for the conversations that contain the reply. The value of `chosen` is at least `margin` above the
value of `rejected`.

A judge scores conversations, not turns, so a reply's value also depends on everything after it.
Replies are not compared if different participants speak next, or if anything before the replies
differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Any, ClassVar

from pydantic import Field

from convogen.exports.base import Column, Container, Item
from convogen.exports.chat import Chat
from convogen.exports.viewpoints import ASSISTANT, Message, seen_by

__all__ = ["DPO"]

_ROUNDING = 1e-9


@dataclass(slots=True)
class _Reply:
    """The assistant's reply to a prompt, and the conversations that contain it, with their
    scores."""

    text: str
    conversations: list[str] = field(default_factory=list[str])
    scores: list[float] = field(default_factory=list[float])

    @property
    def score(self) -> float:
        return fmean(self.scores)


class DPO(Chat):
    """`prompt`, `chosen` and `rejected` from judged replays, in TRL's conversational format."""

    name: ClassVar[str] = "dpo"
    container: ClassVar[Container] = "jsonl"
    about_rows: ClassVar[str] = (
        "one row per pair of replies to a prompt, as the `perspective` sees the prompt; the "
        "conversation that continues from `chosen` was scored higher"
    )

    judge: str = Field(
        pattern=r"^[\w-]+$",
        description="judge whose scores rank the replies, such as geval",
    )
    margin: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="minimum difference between the scores of `chosen` and `rejected`",
    )
    aspect: str | None = Field(
        default=None,
        min_length=1,
        description="aspect whose scores are compared; by default, the mean over all aspects",
    )

    @property
    def judged_by(self) -> str | None:
        return self.judge

    def columns(self) -> dict[str, Column]:
        messages: Column = [{"role": "string", "content": "string"}]
        return {
            **dict.fromkeys(("id", "experience", "perspective"), "string"),
            **dict.fromkeys(("prompt", "chosen", "rejected"), messages),
            **dict.fromkeys(("score_chosen", "score_rejected"), "float64"),
            **dict.fromkeys(("chosen_from", "rejected_from"), "string"),
        }

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        if not item.alternatives:
            return
        known = self._scored([item, *item.alternatives])
        counts["conversations_without_scores"] += 1 + len(item.alternatives) - len(known)
        if len(known) < 2 or known[0][0] is not item:
            return
        compared = False
        for viewer in self.viewpoints(item.conversation):
            for prompt, replies in self._prompts(viewer, known):
                compared = True
                for pair in combinations(replies, 2):
                    better, worse = sorted(pair, key=lambda one: one.score, reverse=True)
                    if better.score - worse.score < self.margin - _ROUNDING:
                        counts["pairs_below_margin"] += 1
                        continue
                    yield self._row(item, viewer, prompt, better, worse)
        counts["conversations_not_comparable"] += not compared

    def why_empty(self, counts: Mapping[str, int]) -> str:
        if close := counts.get("pairs_below_margin"):
            return (
                f"the scores from {self.judge} differ by less than {self.margin:g} in all pairs of "
                f"replies (number of pairs: {close}); lower --margin"
            )
        if counts.get("conversations_without_scores") and not counts.get(
            "conversations_not_comparable"
        ):
            asked = f" on {self.aspect!r}" if self.aspect else ""
            return (
                f"{self.judge} gave no scores{asked} to conversations that have alternatives; run "
                f"`convogen evaluate FOLDER --judge {self.judge}` for this run and for each "
                f"alternative"
            )
        return (
            "no alternative contains a reply to the same prompt as a conversation in this run; "
            "create an alternative with `convogen replay RUN --conversation ID --from-turn N`"
        )

    def _scored(self, conversations: Sequence[Item]) -> list[tuple[Item, float]]:
        """Return the conversations that are scored on the same aspects as the first conversation,
        with their mean scores."""
        found = [(one, self._scores(one)) for one in conversations]
        wanted = found[0][1].keys()
        return [
            (one, fmean(scores.values()))
            for one, scores in found
            if scores and scores.keys() == wanted
        ]

    def _scores(self, item: Item) -> dict[str, float]:
        """Return a conversation's scores, keyed by aspect; empty if any of the scores is
        missing."""
        given = {
            score.aspect: score.value
            for score in item.scores
            if score.judge == self.judge and self.aspect in (None, score.aspect)
        }
        known = {aspect: value for aspect, value in given.items() if value is not None}
        return known if len(known) == len(given) else {}

    def _prompts(
        self, viewer: str, scored: Sequence[tuple[Item, float]]
    ) -> Iterator[tuple[list[Message], list[_Reply]]]:
        """Yield the prompts that have two or more replies by `viewer`, with these replies."""
        chats = [
            (one.conversation.id, _plain(seen_by(viewer, one, system=self.system)), score)
            for one, score in scored
        ]
        own = chats[0][1]
        for at, message in enumerate(own):
            if at:
                chats = [chat for chat in chats if chat[1][at - 1] == own[at - 1]]
            chats = [chat for chat in chats if len(chat[1]) > at]
            if message.role != ASSISTANT:
                continue
            replies: dict[str, _Reply] = {}
            for name, messages, score in chats:
                text = messages[at].content
                reply = replies.setdefault(text, _Reply(text))
                reply.conversations.append(name)
                reply.scores.append(score)
            if len(replies) > 1:
                yield own[:at], list(replies.values())

    def _row(
        self, item: Item, viewer: str, prompt: Sequence[Message], better: _Reply, worse: _Reply
    ) -> dict[str, Any]:
        return {
            "id": item.conversation.id,
            "experience": item.conversation.experience,
            "perspective": viewer,
            "prompt": [{"role": one.role, "content": one.content} for one in prompt],
            "chosen": [{"role": ASSISTANT, "content": better.text}],
            "rejected": [{"role": ASSISTANT, "content": worse.text}],
            "score_chosen": better.score,
            "score_rejected": worse.score,
            "chosen_from": better.conversations[0],
            "rejected_from": worse.conversations[0],
        }


def _plain(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with only their role and content, for comparison."""
    return [Message(one.role, one.content) for one in messages]
