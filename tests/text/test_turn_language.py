"""Detection of a turn's language, by its script alone or with lingua."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.turn_language import can_tell, turns_in_language

ENGLISH = "I cannot make it today, sorry about that."
BY_SCRIPT = {
    "ja": ["今日はちょっと無理かも、ごめんね。", "鍵は机の上に置いたはずだけど。"],
    "zh": ["我今天可能来不及了，对不起啊。"],
    "zh-Hant": ["我今天可能來不及了，對不起啊，明天再說。"],
    "ko": ["오늘은 시간이 없어서 못 갈 것 같아."],
    "th": ["วันนี้ฉันไปไม่ทันแล้ว ขอโทษนะ"],
    "el": ["Δεν ξέρω αν θα προλάβω σήμερα, συγγνώμη."],
    "he": ["אני לא בטוח שאספיק להגיע היום בזמן."],
    "ta": ["இன்று நேரம் இல்லை என்று நினைக்கிறேன் நண்பா, நாளை வா"],
}
BY_LINGUA = {
    "en": [ENGLISH, "Nah, that was never gonna work, mate"],
    "de-CH": ["Hast du die Schlüssel schon wieder verlegt?", "Ja gut, dann machen wir das so"],
    "es": ["Pues nada, quedamos mañana a las cinco", "¿Y qué te dijo tu madre entonces?"],
    "hr": ["Ne znam hoću li stići danas, oprosti.", "Gdje si opet ostavio ključeve od auta?"],
    "sr-Latn": ["Ne znam da li ću stići danas, izvini."],
    "nb": ["Hvor har du lagt nøklene igjen?", "Det vet jeg ikke noe om, spør søsteren din."],
    "da": ["Hvor har du lagt nøglerne henne igen?", "Det ved jeg ikke noget om, spørg din søster."],
    "id": [
        "Saya tidak punya waktu hari ini, mungkin besok.",
        "Aku nggak tahu, tanya kakakmu saja.",
    ],
    "ms": ["Saya tak ada masa hari ini, mungkin esok.", "Awak letak kunci tu kat mana lagi?"],
    "hi": ["मैं कल शाम को आऊँगा, तुम घर पर रहना।", "क्या तुमने चाबी फिर से खो दी है?"],
    "ru": ["Я не знаю, успею ли я сегодня прийти.", "Где ты опять оставил ключи?"],
    "uk": ["Я не знаю, чи встигну сьогодні прийти."],
    "fa": ["نمی‌دانم امروز می‌رسم یا نه، ببخشید."],
    "ar": ["لا أعرف إن كنت سأصل اليوم في الموعد."],
}
TWINS = ({"hr", "sr-Latn"}, {"id", "ms"})
"""Languages that are accepted for one another."""


@pytest.mark.parametrize("tag", BY_SCRIPT)
def test_a_script_of_its_own_decides(tag: str) -> None:
    texts = BY_SCRIPT[tag]
    assert turns_in_language([*texts, ENGLISH], tag) == [*[True] * len(texts), False]


@pytest.mark.parametrize("tag", BY_LINGUA)
def test_lingua_tells_languages_of_one_script_apart(tag: str) -> None:
    pytest.importorskip("lingua", reason="needs the extra lingua")
    assert can_tell(tag) is None
    own = BY_LINGUA[tag]
    assert turns_in_language(own, tag) == [True] * len(own)
    for other, texts in BY_LINGUA.items():
        if other != tag and {other, tag} not in TWINS:
            assert turns_in_language(texts, tag) == [False] * len(texts), other


def test_kana_tell_japanese_from_chinese() -> None:
    assert turns_in_language(BY_SCRIPT["ja"], "zh") == [False, False]
    assert turns_in_language(BY_SCRIPT["zh"], "ja") == [False]


def test_short_turns_do_not_tell() -> None:
    assert turns_in_language(["うん", "Okay, bye!", "…", "", "１２３ 4 5 6 7"], "ja") == [None] * 5


def test_languages_that_cannot_be_told_are_named_with_those_that_can() -> None:
    pytest.importorskip("lingua", reason="needs the extra lingua")
    said = can_tell("gl")
    assert said is not None
    assert "Galician" in said
    assert "cs, cy, da, de" in said
    assert can_tell("hi-Latn")
    assert can_tell("no tag!")


@given(st.lists(st.text(max_size=60), max_size=6), st.sampled_from(["ja", "th", "zh", "ko"]))
def test_any_texts_are_told_one_by_one(texts: list[str], tag: str) -> None:
    assert len(turns_in_language(texts, tag)) == len(texts)


@pytest.mark.parametrize("tag", ["de-Latf", "ga-Latg", "ru-Cyrs", "zh-Hanb", "en-Zsye", "de-Qaaa"])
def test_a_script_without_letters_of_its_own_is_no_crash(tag: str) -> None:
    assert tag in (can_tell(tag) or "")


SIMPLIFIED, TRADITIONAL = "我今天可能来不及了，对不起啊。", "我今天可能來不及了，對不起啊。"


@pytest.mark.parametrize(
    ("tag", "accepted"),
    [
        ("zh", [True, True]),
        ("yue", [True, True]),
        ("zh-Hans", [True, False]),
        ("zh-CN", [True, False]),
        ("zh-Hant", [False, True]),
        ("zh-TW", [False, True]),
        ("ja", [False, False]),
    ],
)
def test_the_two_chinese_scripts_are_told_apart_if_one_is_named(
    tag: str, accepted: list[bool]
) -> None:
    assert turns_in_language([SIMPLIFIED, TRADITIONAL], tag) == accepted
