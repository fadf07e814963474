"""Measures by language: they use the language's own words or are missing, and always state the
unit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import convogen, forked_process
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.metrics import distance, measure
from convogen.records import Conversation, Turn
from convogen.text.segmentation import count_words

SEGMENTED = Path(__file__).parents[1] / "data" / "segmented"
FILES = Path(__file__).parents[1] / "data" / "files"

SPOKEN = {
    "en": ("Are you coming to the library today?", "Yes, we meet at three by the door."),
    "de": ("Kommst du heute mit in die Bücherei?", "Ja, wir treffen uns um drei an der Tür."),
    "fr": ("Est-ce que tu viens avec nous ?", "Oui, on se retrouve à l'entrée."),
    "ru": ("Ты идёшь сегодня в библиотеку?", "Да, встретимся у входа в три часа."),
    "el": ("Έρχεσαι σήμερα στη βιβλιοθήκη;", "Ναι, θα τα πούμε στις τρεις."),
    "ar": ("هل تذهب إلى المكتبة اليوم؟", "نعم، نلتقي عند الباب في الثالثة."),
    "he": ("אתה בא היום לספרייה?", "כן, ניפגש בשלוש ליד הדלת."),
    "hi": ("क्या तुम आज पुस्तकालय जा रहे हो?", "हाँ, हम तीन बजे दरवाज़े पर मिलेंगे।"),
    "ta": ("நீ இன்று நூலகத்துக்கு வருகிறாயா?", "ஆமாம், மூன்று மணிக்கு சந்திப்போம்."),
    "ko": ("오늘 도서관에 가요?", "네, 세 시에 문 앞에서 만나요."),
    "zh": ("你今天去不去图书馆？", "去，下午三点我们在门口见面。"),
    "ja": ("明日の会議は何時からですか。", "午後二時からです。"),
    "th": ("วันนี้ไปห้องสมุดไหม", "ไปสิ เจอกันบ่ายสามโมง"),
    "lo": ("ມື້ນີ້ໄປຫໍສະໝຸດບໍ", "ໄປ ພົບກັນຢູ່ປະຕູ"),
    "km": ("ថ្ងៃនេះទៅបណ្ណាល័យទេ", "ទៅ យើងជួបគ្នានៅមាត់ទ្វារ"),
    "my": ("ဒီနေ့ စာကြည့်တိုက် သွားမလား", "သွားမယ်။ တံခါးဝမှာ တွေ့ကြမယ်။"),
    "am": ("ዛሬ ወደ ቤተ መጻሕፍት ትመጣለህ?", "አዎ፣ በር ላይ እንገናኛለን።"),
}
WITHOUT_WORDS = ("lo", "km", "my")
OF_WORDS = (
    "words_per_conversation",
    "words_per_turn",
    "mtld_mean",
    "mtld_std",
    "ttr_mean",
    "distinct_1",
    "distinct_2",
)


def chat(*texts: str, **fields: object) -> Conversation:
    turns = [Turn(speaker="ab"[at % 2], text=text) for at, text in enumerate(texts)]
    return Conversation.model_validate({"id": "c", "turns": turns} | fields)


@pytest.mark.parametrize("language", ["zh", "ja", "th"])
def test_words_per_turn_are_those_of_people_who_segment(language: str) -> None:
    lines = (SEGMENTED / f"{language}.txt").read_text("utf-8").splitlines()
    assert len(lines) == 50
    by_hand = sum(any(char.isalnum() for char in word) for line in lines for word in line.split())
    found = measure([chat(*(line.replace(" ", "") for line in lines), language=language)])
    assert found.words_per_turn == pytest.approx(by_hand / 50, rel=0.1)


@pytest.mark.parametrize("language", SPOKEN)
def test_a_language_is_found_and_has_its_own_numbers_or_none(language: str) -> None:
    found = measure([chat(*SPOKEN[language])] * 2)
    assert found.languages == {language: 2}
    if language in WITHOUT_WORDS:
        assert found.without_words == {language: 2}
        assert {getattr(found, measured) for measured in OF_WORDS} == {None}
        assert found.unit["turn_length"] == found.unit["conversation_length"] == "characters"
    else:
        assert found.without_words == {}
        assert found.words_per_turn is not None
        assert found.words_per_turn > 1.5
        assert found.unit["turn_length"] == "words"
    assert found.turn_length is not None
    assert found.turn_length.mean > 1.5
    assert found.as_dict().keys() >= {"unit"}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SPOKEN)), st.permutations([0, 1]), st.integers(2, 4))
def test_identical_conversations_are_wholly_alike_in_every_script(
    language: str, order: list[int], n: int
) -> None:
    texts = [SPOKEN[language][at] for at in order]
    found = measure([chat(*texts)] * n)
    assert found.self_bleu == pytest.approx(1.0)
    assert found.self_bleu <= 1
    assert found.rouge_l == found.rouge_l_nearest == pytest.approx(1.0)
    assert found.repetition["starters"].copies == n


def test_identical_conversations_of_emoji_are_wholly_alike() -> None:
    for language in (None, "th", "de"):
        found = measure([chat("😀😀🎉", "👨‍👩‍👧‍👦", language=language)] * 2)
        assert found.self_bleu == found.rouge_l == found.rouge_l_nearest == 1.0


@pytest.mark.parametrize("stated", ["zh", "ja", "th", "en", "de"])
def test_a_language_that_is_stated_wrongly_gives_no_words_to_one_without(stated: str) -> None:
    found = measure([chat(*SPOKEN["km"], language=stated)] * 2)
    assert found.languages == {"km": 2}
    assert found.words_per_turn is None
    assert found.mtld_mean is None
    assert found.distinct_1 is None


def test_japanese_without_kana_stays_japanese() -> None:
    assert measure([chat("了解。", "明日到着予定。", language="ja")]).languages == {"ja": 1}
    assert measure([chat(*SPOKEN["ja"], language="zh")]).languages == {"ja": 1}


def test_different_conversations_are_not_alike() -> None:
    for language, (question, answer) in SPOKEN.items():
        found = measure([chat(question), chat(answer)])
        assert found.rouge_l is not None
        assert found.rouge_l < 0.5, language


def test_mtld_is_over_words_not_over_turns() -> None:
    words = "我 喜欢 你 的 书 他 也 买 了 水果".split()
    varied = ["".join(words[at:] + words[:at]) for at in range(10)]
    same = measure([chat(*["我喜欢你的书"] * 10)])
    other = measure([chat(*varied)])
    assert same.mtld_mean is not None
    assert other.mtld_mean is not None
    assert same.mtld_mean < other.mtld_mean
    assert same.distinct_1 == pytest.approx(count_words("我喜欢你的书", "zh") / 50 / 1, rel=0.01)  # type: ignore[operator]


def test_a_corpus_of_several_languages_says_what_is_left_out() -> None:
    found = measure([chat(*SPOKEN["en"]), chat(*SPOKEN["lo"]), chat(*SPOKEN["zh"])])
    assert found.languages == {"en": 1, "lo": 1, "zh": 1}
    assert found.without_words == {"lo": 1}
    assert found.unit["turn_length"] == "words"
    assert sum(found.turn_length_counts.values()) == 4
    lao = measure([chat(*SPOKEN["lo"])])
    apart = distance(found, lao)
    assert apart is not None
    assert apart.turn_length is None
    assert distance(lao, lao).turn_length == 0  # type: ignore[union-attr]


def test_a_stated_language_decides_unless_its_script_differs() -> None:
    assert measure([chat("了解", "承知", language="ja")]).languages == {"ja": 1}
    assert measure([chat("Hola", "Hola", language="es-MX")]).languages == {"es": 1}
    assert measure([chat("你今天去不去图书馆", "好", language="en")]).languages == {"zh": 1}


def test_stats_print_a_dash_and_the_extra_to_install() -> None:
    code = "import sys; sys.modules['rjieba'] = None\nfrom convogen.cli.main import main; main()"
    command = (code, "stats", FILES / "08a-zh.jsonl", "--workers", "1")
    ended = forked_process(*command)
    assert ended.status == 0, ended.err
    assert "convogen[zh]" in ended.out
    assert "language zh" in " ".join(ended.out.split())
    assert "Characters per turn" in ended.out
    told = json.loads(forked_process(*command, "--json").out)
    assert told["words_per_turn"] is told["mtld_mean"] is told["distinct_1"] is None
    assert told["unit"]["turn_length"] == "characters"
    rows = (json.loads(line) for line in (FILES / "08a-zh.jsonl").read_text("utf-8").splitlines())
    lengths = [len(turn["text"]) for row in rows for turn in row["turns"]]
    assert told["turn_length"]["mean"] == pytest.approx(sum(lengths) / len(lengths))
    assert any("convogen[zh]" in line for line in told["warnings"])


def test_stats_name_the_unit_of_every_measure() -> None:
    told = json.loads(convogen("stats", FILES / "08g-ru.jsonl", "--json").out)
    assert told["words_per_turn"] == 5.0
    assert told["unit"]["words_per_turn"] == told["unit"]["mtld"] == "words"
    assert told["unit"]["self_bleu"] == "tokens (intl of sacrebleu)"
    assert told["unit"].keys() >= {"ttr", "distinct_1", "distinct_2", "rouge_l", "turn_count"}
