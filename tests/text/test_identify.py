"""Identification of the language in which a conversation is written."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convogen.records import Conversation, Turn
from convogen.text import identify as identify_module
from convogen.text.identify import identify, language_of
from convogen.text.segmentation import unspaced_language

WORDS = Path(identify_module.__file__).with_name("function_words.yaml")
KNOWN = yaml.safe_load(WORDS.read_text("utf-8"))

TEXTS = (
    "Hello there, my friend, how are you doing today?",
    "Guten Morgen! Wie geht es dir, und was machst du heute?",
    "Привет, как дела у тебя сегодня?",
    "هل تذهب إلى المكتبة اليوم؟",
    "क्या तुम आज पुस्तकालय जा रहे हो?",
    "你今天去不去图书馆？",
    "明日の会議は何時からですか。",
    "了解、明日到着予定。",
    "오늘 도서관에 가요?",
    "วันนี้ไปห้องสมุดไหม",
    "ມື້ນີ້ໄປຫໍສະໝຸດບໍ",
    "ថ្ងៃនេះទៅបណ្ណាល័យទេ",
    "xk qo pf",
    "ok",
    "😀 123",
    "",
)


@pytest.mark.parametrize(
    ("turns", "language"),
    [
        (["Hello there, friend", "Good day, how is it going?"], "en"),
        (["Guten Morgen! Wie geht es dir?"], "de"),
        (["Où êtes-vous allés cet été ?", "À Évian, près du lac."], "fr"),
        (["¿Dónde está la estación?", "Está cerca de aquí."], "es"),
        (["Onde você está?", "Estou em casa agora."], "pt"),
        (["Dove sei?", "Sono a casa."], "it"),
        (["Привет, как дела?", "Всё хорошо."], "ru"),
        (["Привіт, як справи?", "Все добре, дякую."], "uk"),
        (["Гэта вельмі добра, але што мы будзем рабіць?"], "be"),
        (["你今天去不去图书馆？"], "zh"),
        (["明日の会議は何時からですか。"], "ja"),
        (["오늘 도서관에 가요?"], "ko"),
        (["วันนี้ไปไหนมา"], "th"),
        (["هل تذهب إلى المكتبة اليوم؟"], "ar"),
        (["سلام، حال شما چطور است؟"], "fa"),
        (["क्या तुम आज पुस्तकालय जा रहे हो?"], "hi"),
        (["Hoe gaat het met je?", "Goed, dank je."], "nl"),
        (["Mae hi wedi mynd gyda nhw, ond roedd hynny yn iawn."], "cy"),
        (["Hún hefur ekki verið hér, það er allt í lagi með mig."], "is"),
        (["Hii ni kazi yake, lakini sasa wewe huwezi kwa sababu hiyo."], "sw"),
        (["Hindi ko alam kung bakit siya ay nasa bahay pa rin."], "tl"),
        (["Nuk është mirë për të, por ata janë këtu edhe sot."], "sq"),
        (["Би энэ талаар бас мэдэхгүй байна, гэж тэр хүн"], "mn"),
        (["😀", "…", "123"], None),
        (["a", "b"], None),
        ([], None),
    ],
)
def test_a_language_is_told_by_its_script_and_its_words(
    turns: list[str], language: str | None
) -> None:
    assert identify(turns) == language


def test_only_the_beginning_is_read() -> None:
    def turns():
        yield "Wir gehen heute nicht mehr aus dem Haus, es ist zu kalt. " * 50
        raise AssertionError("more is read than is needed")

    assert identify(turns()) == "de"


def made_up(n: int, seed: int = 1) -> str:
    """Return words of random letters."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("bcdfghjklmnpqrstvwxz", k=6)) for _ in range(n))


def test_long_texts_without_any_frequent_word_are_in_no_language() -> None:
    assert identify([made_up(400)]) is None


@pytest.mark.skipif(find_spec("lingua") is None, reason="lingua is not installed")
def test_lingua_tells_a_text_of_too_few_words_to_judge_it_by_the_frequent_ones() -> None:
    rare = "Krankenschwester besuchte Großmutter, Nachbarskinder spielten Verstecken"
    assert identify([rare]) == "de"


@pytest.mark.parametrize("language", sorted(KNOWN))
def test_a_text_of_a_language_s_frequent_words_is_in_no_unrelated_language(language: str) -> None:
    relatives = {"bs": "hr", "hr": "bs"}  # the two share a list, so only lingua can decide
    text = " ".join(KNOWN[language].split() * 2)
    assert identify([text]) in (language, relatives.get(language), None)


def test_no_language_lists_a_word_twice() -> None:
    for language, words in KNOWN.items():
        twice = [word for word in set(words.split()) if words.split().count(word) > 1]
        assert not twice, language


def conversation(text: str, language: str | None) -> Conversation:
    return Conversation(id="c", language=language, turns=[Turn(speaker="a", text=text)])


@given(
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map("\n".join),
    st.sampled_from(["en", "de-CH", "ru", "ar", "ja", "zh-Hant", "yue", "th", "lo", "km", "ko"]),
)
def test_a_stated_language_holds_unless_its_words_are_cut_by_another_rule(
    text: str, stated: str
) -> None:
    told, primary = identify([text]), stated.partition("-")[0]
    rules = [
        "none" if code in ("lo", "km") else code
        for code in (unspaced_language(primary), unspaced_language(told))
    ]
    holds = told is None or rules[0] == rules[1] or (primary, told) == ("ja", "zh")
    assert language_of(conversation(text, stated)) == (primary if holds else told)


def test_conversations_of_a_mixed_corpus_are_each_told_apart() -> None:
    english, german = TEXTS[0], TEXTS[1]
    mixed = [english, german, made_up(400), TEXTS[5], english]
    found = [language_of(conversation(text, None)) for text in mixed]
    assert found == ["en", "de", None, "zh", "en"]
