"""The language that a conversation is written in."""

from __future__ import annotations

import pytest

from convogen.text.identify import identify


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
