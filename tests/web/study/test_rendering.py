"""Texts as the pages display them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.web.study.rendering import blocks


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One.\n\nTwo\nlines.", [("One.", False), ("Two\nlines.", False)]),
        ("a\n```python\nx = 1\n```\nb", [("a", False), ("x = 1", True), ("b", False)]),
        ("```\n  indented\n\n  more\n```", [("  indented\n\n  more", True)]),
        ("cut off ```\nwhile", [("cut off", False), ("while", True)]),
        ("inline ```x = 1``` code", [("inline", False), ("x = 1", True), ("code", False)]),
        ("", []),
        ("``` ```", []),
    ],
)
def test_code_is_what_stands_between_fences(text: str, parts: list[tuple[str, bool]]) -> None:
    assert [(block.text, block.code) for block in blocks(text)] == parts


@given(st.lists(st.sampled_from(["```", "``", "\n", "word ", "x", "  ", "\n\n"])))
def test_no_word_but_a_language_is_lost(pieces: list[str]) -> None:
    text = "".join(pieces)
    shown = "".join(block.text for block in blocks(text))
    languages = re.findall(r"```[ \t]*x*word", text)
    assert shown.count("word") >= text.count("word") - len(languages)


def test_many_fences_take_no_time_to_speak_of() -> None:
    assert len(blocks("```\n" * 40_000)) <= 40_000
