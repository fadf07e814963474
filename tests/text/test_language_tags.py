"""Language tags: their standard form, their names, and the nearest tag for a typing error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.language_tags import (
    is_right_to_left,
    language_label,
    language_name,
    language_tag,
    same_language,
)


@pytest.mark.parametrize(
    ("given", "tag", "label"),
    [
        ("de", "de", "German (Deutsch)"),
        ("DE_ch", "de-CH", "Swiss Standard German (Schweizer Hochdeutsch)"),
        ("de-AT", "de-AT", "German, as used in Austria (Deutsch)"),
        ("deu", "de", "German (Deutsch)"),
        ("pt-BR", "pt-BR", "Brazilian Portuguese (português do Brasil)"),
        ("zh-Hant", "zh-Hant", "Traditional Chinese (繁體中文)"),
        ("zh-TW", "zh-TW", "Traditional Chinese, as used in Taiwan (繁體中文)"),
        ("sr-Latn", "sr-Latn", "Serbian in Latin script"),
        ("no", "no", "Norwegian (norsk)"),
        ("en", "en", "English"),
        ("iw", "he", "Hebrew (עברית)"),
    ],
)
def test_a_tag_is_named(given: str, tag: str, label: str) -> None:
    assert language_tag(given) == tag
    assert language_label(tag) == label


@pytest.mark.parametrize(
    ("given", "meant"),
    [("german", "de, German"), ("Deutsch", "de,"), ("日本語", "ja,"), ("en us", "en,")],
)
def test_what_is_no_tag_is_told_the_nearest(given: str, meant: str) -> None:
    with pytest.raises(
        ValueError, match=f"is not a known BCP 47 language tag.*did you mean {meant}"
    ):
        language_tag(given)


@pytest.mark.parametrize(
    "given", ["", "xx", "und", "mul", "qaa", "x-foo", "zz-DE", "en-ZZZ", "a" * 999]
)
def test_what_names_no_language_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is not a known BCP 47 language tag") as refused:
        language_tag(given)
    assert len(str(refused.value)) < 200


@given(st.text(max_size=40))
def test_any_text_is_a_tag_with_a_name_or_refused(text: str) -> None:
    try:
        tag = language_tag(text)
    except ValueError:
        return
    assert language_tag(tag) == tag
    assert language_name(tag) != tag


def test_same_language_minds_the_script_and_not_the_region() -> None:
    assert same_language("de", "de-CH")
    assert same_language(None, "en-GB")
    assert same_language("zh-TW", "zh-Hant")
    assert not same_language("zh-Hans", "zh-Hant")
    assert not same_language("sr", "sr-Latn")


def test_what_a_corpus_calls_a_language_need_be_no_tag() -> None:
    assert language_label("no tag at all!") == "no tag at all!"
    assert not is_right_to_left("no tag at all!")
    assert [tag for tag in ("ar", "he", "fa", "ja", "ur") if is_right_to_left(tag)] == [
        "ar",
        "he",
        "fa",
        "ur",
    ]
