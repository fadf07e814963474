"""Detection of turns that are not in the expected language, by their script and with `lingua`.

If only one language uses a script, the script decides alone. The language of text in Latin,
Cyrillic, Arabic or Devanagari letters is identified by lingua (trigrams, 75 languages), which the
`lingua` extra installs. Given only a few words, lingua confuses closely related languages, so all
turns of a conversation together decide between such languages.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import regex

from convogen.text.extras import optional_module
from convogen.text.language_tags import language_name, primary_subtag, script_of

__all__ = ["LEAST_WORDS", "can_tell", "turns_in_language"]

LEAST_WORDS = 5
"""Minimum number of words in a turn whose language can be identified. Shorter turns are mostly
greetings and names."""

LEAST_CHARS = 10
"""Minimum number of letters in such a turn, for scripts without spaces."""

LEAST_KANA = 0.05
"""Minimum share of kana among the Han and kana characters in a Japanese text."""

LEAST_LEAD = 0.2
"""Minimum lead in lingua's confidence (0 to 1) for which another language is chosen."""

LIKELIEST = 4
"""Number of languages, ranked by trigrams, among which lingua's full models decide."""

_SCRIPTS = {
    "Hans": r"\p{Script=Han}",
    "Hant": r"\p{Script=Han}",
    "Jpan": r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}",
    "Kore": r"\p{Script=Hangul}\p{Script=Han}",
    "Aran": r"\p{Script=Arabic}",
}
"""The letters of scripts that have an ISO 15924 code but are not scripts in Unicode."""

_SHARED = frozenset(("Arab", "Aran", "Cyrl", "Deva", "Latn"))
"""Scripts that many languages share."""

_TWINS = (frozenset(("bs", "hr", "sr")), frozenset(("id", "ms")))
"""Groups of languages that are indistinguishable even in a page of text. Text in any language of a
group is accepted as text in the group's other languages."""

_RELATIVES = (*_TWINS, frozenset(("da", "nb", "nn")), frozenset(("hi", "mr")))
"""Groups of languages that are indistinguishable in a single sentence."""

_NAMES_OF_LINGUA = {"no": "nb", "fil": "tl", "cmn": "zh"}

_KANA = regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}]")
_HAN = regex.compile(r"\p{Script=Han}")
_LETTER = regex.compile(r"\p{L}")
_ONLY = {
    "Hans": frozenset(
        "万业东两个为么乐书买产亲从们会儿关写务动劳医单卖厅双发变听园国图场备头妈孙学实对岁师带帮应"
        "开张当战报时机来样楼欢气汉没灯点热爱爷独现电画疗笔红级纸线练组终经结给绿网职联脑脸药蓝见觉"
        "计认让记讲设识词试话该语说请读课谁谢车边过还这进远迟钥钱铁银锁错镇长门问间队阳阴阶际险随难"
        "须顾预领题颜风饭饿馆马驾验鱼鸟鸡黄"
    ),
    "Hant": frozenset(
        "萬業東兩個為麼樂書買產親從們會兒關寫務動勞醫單賣廳雙發變聽園國圖場備頭媽孫學實對歲師帶幫應"
        "開張當戰報時機來樣樓歡氣漢沒燈點熱愛爺獨現電畫療筆紅級紙線練組終經結給綠網職聯腦臉藥藍見覺"
        "計認讓記講設識詞試話該語說請讀課誰謝車邊過還這進遠遲鑰錢鐵銀鎖錯鎮長門問間隊陽陰階際險隨難"
        "須顧預領題顏風飯餓館馬駕驗魚鳥雞黃"
    ),
}
"""Frequent characters that only one of the two Chinese scripts uses."""

_UNSPACED = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]"
)


@lru_cache(maxsize=64)
def can_tell(tag: str) -> str | None:
    """Return the reason why text in a language cannot be recognized, or None if it can be."""
    if not _has_letters(script_of(tag)):
        return f"the script of {tag[:60]!r} is unknown or has no letters in Unicode"
    if script_of(tag) not in _SHARED:
        return None
    if optional_module("lingua") is None:
        return (
            f"recognizing {language_name(tag)} requires lingua, which is not installed or cannot "
            f"be loaded; run pip install 'convogen[lingua]'"
        )
    known = _known()
    code = _code(tag)
    written_as_usual = script_of(tag) == script_of(code) or code in ("bs", "hr", "sr")
    if code in known and written_as_usual:
        return None
    return (
        f"{language_name(tag)} cannot be recognized; the recognized languages are "
        f"{', '.join(sorted(known))}, and every language that has its own script"
    )


def turns_in_language(texts: Sequence[str], tag: str) -> list[bool | None]:
    """Return, for each turn of a conversation, whether the turn is in a language.

    Args:
        texts: The turns.
        tag: A BCP 47 tag for which `can_tell` returns None.

    Returns:
        One value per turn. It is None if the turn has fewer than `LEAST_WORDS` words or, in a
        script without spaces, fewer than `LEAST_CHARS` letters.
    """
    long_enough = [_tells(text) for text in texts]
    in_script = [
        tells and _share(text, script_of(tag)) > 0.5
        for text, tells in zip(texts, long_enough, strict=True)
    ]
    told = [text for text, fits in zip(texts, in_script, strict=True) if fits]
    accepted = iter(_accepted(told, tag))
    return [
        (next(accepted) if fits else False) if tells else None
        for tells, fits in zip(long_enough, in_script, strict=True)
    ]


def _accepted(texts: list[str], tag: str) -> list[bool]:
    """Return, for each turn, whether the turn is in a language.

    All turns must be in the language's script.
    """
    script = script_of(tag)
    if script in ("Jpan", "Hans", "Hant"):
        together = "\n".join(texts)
        n_kana, n_han = len(_KANA.findall(together)), len(_HAN.findall(together))
        if (n_kana > LEAST_KANA * (n_kana + n_han)) != (script == "Jpan"):
            return [False] * len(texts)
        return [_is_as_spelt(text, tag) for text in texts]
    if script not in _SHARED:
        return [True] * len(texts)
    code = _code(tag)
    relatives = next((group for group in _RELATIVES if code in group), frozenset((code,)))
    if relatives not in _TWINS and len(relatives) > 1 and texts:
        whole: Any = _detector(relatives).compute_language_confidence_values("\n".join(texts))
        if whole[0].value - _likelihood(whole, _codes(tag)) >= LEAST_LEAD:
            return [False] * len(texts)
    return [_is_of(text, relatives) for text in texts]


def _is_as_spelt(text: str, tag: str) -> bool:
    """Return whether a Chinese turn is in the script that a tag names, Simplified or Traditional.

    A tag without a script or region, such as `zh`, accepts both.
    """
    script = script_of(tag)
    if script not in _ONLY or tag.casefold() == primary_subtag(tag):
        return True
    own, other = _ONLY[script], _ONLY["Hans" if script == "Hant" else "Hant"]
    return sum(char in own for char in text) >= sum(char in other for char in text)


def _is_of(text: str, languages: frozenset[str]) -> bool:
    """Return whether a turn is in one of `languages`.

    The result is True unless another language is clearly more likely. If trigrams favour another
    language, lingua's full models decide between `languages` and the likeliest other languages.
    """
    found: Any = _detector().compute_language_confidence_values(text)
    if found[0].value - _likelihood(found, languages) < LEAST_LEAD:
        return True
    likeliest = languages.union(_code_of(one.language) for one in found[:LIKELIEST])
    found = _detector(likeliest).compute_language_confidence_values(text)
    others = max(one.value for one in found if _code_of(one.language) not in languages)
    return others - _likelihood(found, languages) < LEAST_LEAD


def _likelihood(found: Any, languages: Collection[str]) -> float:
    """Return lingua's confidence (0 to 1) that a text is in one of `languages`."""
    return sum(one.value for one in found if _code_of(one.language) in languages)


def _codes(tag: str) -> frozenset[str]:
    """Return lingua's codes for a tag's language: two for `no` (Norwegian), otherwise one."""
    return frozenset(("nb", "nn")) if primary_subtag(tag) == "no" else frozenset((_code(tag),))


def _tells(text: str) -> bool:
    if len(_UNSPACED.findall(text)) >= LEAST_CHARS:
        return True
    return sum(_LETTER.search(word) is not None for word in text.split()) >= LEAST_WORDS


def _share(text: str, script: str) -> float:
    """Return the share of a text's letters that are in a script."""
    return len(_letters(script).findall(text)) / max(1, len(_LETTER.findall(text)))


def _has_letters(script: str) -> bool:
    """Return whether Unicode defines the letters of a script."""
    try:
        return script != "Zyyy" and _letters(script) is not None
    except regex.error:
        return False


@lru_cache(maxsize=32)
def _letters(script: str) -> Any:
    # Only letters: vowel signs and tones are marks, which `_LETTER` does not count either.
    chars = _SCRIPTS.get(script, rf"\p{{Script={script}}}")
    return regex.compile(rf"(?=\p{{L}})[{chars}]")


def _code(tag: str) -> str:
    primary = primary_subtag(tag)
    return _NAMES_OF_LINGUA.get(primary, primary)


def _code_of(language: Any) -> str:
    return str(language.iso_code_639_1.name).lower()


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Return the languages that lingua knows."""
    lingua: Any = optional_module("lingua")
    return frozenset(_code_of(language) for language in lingua.Language.all())


@lru_cache(maxsize=64)
def _detector(of: frozenset[str] = frozenset()) -> Any:
    """Return a detector for some languages with full models, or for all languages with trigrams."""
    lingua: Any = optional_module("lingua")
    if not of:  # full models of all languages take 900 MB and a long time to load
        return lingua.LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()
    wanted = sorted((one for one in lingua.Language.all() if _code_of(one) in of), key=_code_of)
    return lingua.LanguageDetectorBuilder.from_languages(*wanted).build()
