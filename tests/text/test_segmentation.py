"""Words, sentences and lengths of texts in many scripts."""

from __future__ import annotations

import pytest

from convogen.text.segmentation import (
    can_segment,
    count_words,
    length,
    sentences,
    unit_of,
    words,
)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello , you .", "en", ["Hello", ",", "you", "."]),
        ("Ça coûte l'été, 3.5 € !", "fr", ["Ça", "coûte", "l'été", "3.5"]),
        ("نعم، نلتقي عند الباب.", None, ["نعم", "نلتقي", "عند", "الباب"]),
        ("हाँ, हम दरवाज़े पर मिलेंगे।", "hi", ["हाँ", "हम", "दरवाज़े", "पर", "मिलेंगे"]),
        ("오늘 도서관에 가요?", "ko", ["오늘", "도서관에", "가요"]),
        ("我想借书，好吗？", "zh", ["我", "想", "借书", "好", "吗"]),
        ("駅まで歩きます。", "ja-JP", ["駅", "まで", "歩き", "ます"]),
        ("วันนี้ไปไหนมา", "th", ["วันนี้", "ไป", "ไหน", "มา"]),
        ("你好吗", None, ["你好", "吗"]),
        ("👍🏽 …", "de", []),
    ],
)
def test_words_by_language(text: str, language: str | None, expected: list[str]) -> None:
    assert words(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language"), [("ພາສາລາວ", "lo"), ("ខ្ញុំសុខសប្បាយ", None), ("မင်္ဂလာပါ", "my")]
)
def test_a_script_without_a_rule_has_no_words_but_characters(text: str, language: str) -> None:
    assert count_words(text, language) is None
    assert not can_segment(language or text)
    assert unit_of(language or "km") == "characters"
    assert 0 < length(text, language) <= len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Lee is in. Wait!", ["Dr. Lee is in.", "Wait!"]),
        ("你好。你去吗？好", ["你好。", "你去吗？", "好"]),
        ("क्या? हाँ। ठीक", ["क्या?", "हाँ।", "ठीक"]),
        ("هل تذهب؟ نعم.", ["هل تذهب؟", "نعم."]),
        ("ሰላም። ደህና ነኝ።", ["ሰላም።", "ደህና ነኝ።"]),
        ("သွားမယ်။ လာမယ်။", ["သွားမယ်။", "လာမယ်။"]),
        ("สวัสดีครับ วันนี้ไปไหนมา", ["สวัสดีครับ", "วันนี้ไปไหนมา"]),
    ],
)
def test_sentences_end_in_every_script(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
