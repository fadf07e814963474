"""A group chat played turn by turn by AutoGen; the only package that imports it.

AutoGen keeps the chat: it broadcasts each message to all agents, its manager asks the selector
who speaks next and stops at the turn cap. What is ours: every call goes through the task's
`Session`; each agent is its persona and asked as the assistant of its own chat; a selector's reply
is resolved to one candidate, or repaired and recorded; a faulty utterance is asked for again,
boundedly; and no exception passes through AutoGen, which would lose its type (see `Chat.failed`).
Source: ConvoGen, section II-C-2.
"""

from __future__ import annotations

from convogen.groupchat.chat import ChatPrompts, ChatRules, Played, play_group_chat

__all__ = ["ChatPrompts", "ChatRules", "Played", "play_group_chat"]
