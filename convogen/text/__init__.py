"""Text as models write it: what is spoken in a reply, and what is wrong with it.

Pure functions; replies are foreign text, of which a bounded part is read. What depends on the
language is in `languages/`, one file each.

>>> read_utterance('Owen: "Not today." *sighs*', Scene("Owen", ("Ray",))).text
'Not today.'
"""

from __future__ import annotations

from convogen.text.reasoning import without_thinking
from convogen.text.tidying import TIDIED, without_label
from convogen.text.topics import deviates, echoes
from convogen.text.turn_checks import (
    ECHO_WORDS,
    FAULTS,
    Scene,
    Utterance,
    complaint,
    read_answer,
    read_typed,
    read_utterance,
)
from convogen.text.utterances import (
    FAREWELL_TURNS,
    is_farewell,
    is_farewell_loop,
    length_fault,
    nearest_sentences,
    repeats,
    whole_sentences,
    word_runs,
)

__all__ = [
    "ECHO_WORDS",
    "FAREWELL_TURNS",
    "FAULTS",
    "TIDIED",
    "Scene",
    "Utterance",
    "complaint",
    "deviates",
    "echoes",
    "is_farewell",
    "is_farewell_loop",
    "length_fault",
    "nearest_sentences",
    "read_answer",
    "read_typed",
    "read_utterance",
    "repeats",
    "whole_sentences",
    "without_label",
    "without_thinking",
    "word_runs",
]
