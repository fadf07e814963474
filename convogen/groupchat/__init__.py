"""A group chat played turn by turn by AutoGen; the only package that imports it.

AutoGen runs the chat: it broadcasts each message to all agents, and its manager asks the selector
who speaks next and stops at the turn cap. convogen adds: every call goes through the task's
`Session`; each agent has its own persona and is called as the assistant of its own chat; a
selector's reply is resolved to one candidate, or repaired and recorded; a faulty utterance is
requested again, a bounded number of times; and no exception passes through AutoGen, because AutoGen
would lose its type (see `Chat.failed`). Source: ConvoGen, section II-C-2.
"""

from __future__ import annotations

from convogen.groupchat.chat import ChatPrompts, ChatRules, Played, play_group_chat

__all__ = ["ChatPrompts", "ChatRules", "Played", "play_group_chat"]
