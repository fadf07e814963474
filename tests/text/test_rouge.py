"""ROUGE-L of two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.rouge import rouge_l

TEXTS = st.text(alphabet="ab cD9.-é", max_size=30)


@given(TEXTS, TEXTS)
def test_it_is_that_of_rouge_score(text: str, reference: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure
    assert rouge_l(text, reference, "en") == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Hello there",
        "😀 👨‍👩‍👧‍👦🎉",
        "Été",
        "Ты идёшь в библиотеку?",
        "你今天去不去图书馆？",
        "明日の会議は何時からですか。",
        "오늘 도서관에 가요?",
        "วันนี้ไปไหนมา",
        "ພາສາລາວ",
        "ខ្ញុំសុខសប្បាយ",
        "မင်္ဂလာပါ",
        "هل تذهب إلى المكتبة؟",
        "שלום לכולם",
        "क्या तुम आज जा रहे हो?",
        "நன்றி",
        "ሰላም ነው",
        "Καλημέρα",
        "გამარჯობა",
    ],
)
def test_a_text_is_like_itself_and_unlike_another_in_every_script(text: str) -> None:
    assert rouge_l(text, text) == 1.0
    assert rouge_l(text, "Ω Ж 山 ข א ა") == 0.0


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("я иду домой", "я иду в школу", 4 / 7),
        ("我想回家", "我想上学", 0.5),
        ("मैं घर जाता हूँ", "मैं घर जाती हूँ", 0.75),
    ],
)
def test_it_counts_words_or_the_characters_of_scripts_without_spaces(
    text: str, other: str, expected: float
) -> None:
    assert rouge_l(text, other) == pytest.approx(expected)
