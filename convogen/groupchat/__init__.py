"""Group chats, played turn by turn by AutoGen. Only this package imports AutoGen.

AutoGen runs the chat: it broadcasts each message to all agents, and its manager asks the selector
who speaks next and stops at the maximum number of turns. convogen adds the following:

- Every model call goes through the task's `Session`.
- Each agent has its own persona and is the assistant in its own chat.
- A selector's reply is resolved to one candidate. If the reply names no candidate, a fallback
applies and is recorded.
- A faulty utterance is retried up to a maximum number of times.
- No exception passes through AutoGen, which would lose the exception's type (see `Chat.failed`).

Source: ConvoGen, section II-C-2.
"""

from __future__ import annotations

from convogen.groupchat.chat import ChatPrompts, ChatRules, Played, play_group_chat

__all__ = ["ChatPrompts", "ChatRules", "Played", "play_group_chat"]
