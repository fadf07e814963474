"""`--language`: requests, the gate's rejections, and the language of the pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import convogen, forked_process
from endpoint_server import Asked, Bytes, EndpointServer, converse, say

from convogen import load_run

JAPANESE = "それは{}番目の話で、昨日の夜に駅前の店で聞いたんだよ。"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def is_generator(asked: Asked) -> bool:
    return "Invent one experience" in asked.body["messages"][-1]["content"]


def in_japanese(asked: Asked) -> Bytes:
    """Return a model that obeys, except for one conversation that it begins in English."""
    reply = json.loads(converse(asked).content)["choices"][0]["message"]["content"]
    if is_generator(asked):
        draft = json.loads(reply)
        draft["starter"]["text"] = JAPANESE.format(asked.nth)
        return say(json.dumps(draft))
    return say(JAPANESE.format(asked.nth))


def in_english(asked: Asked) -> Bytes:
    return say(json.loads(converse(asked).content)["choices"][0]["message"]["content"])


def run(endpoint: EndpointServer, *more: object) -> object:
    address = ("--base-url", endpoint.base_url, "--model", "m", "--out", "run")
    return convogen("run", "GPIS-s", "--n", 2, "--language", "ja", *address, *more)


def test_a_run_in_japanese(endpoint: EndpointServer) -> None:
    endpoint.script = in_japanese
    done = run(endpoint)
    assert done.status == 0, done.err
    writing = [one for one in endpoint.asked if "who speaks next" not in str(one.body["messages"])]
    for asked in writing:
        system = asked.body["messages"][0]
        assert system["role"] == "system"
        assert system["content"].count("in Japanese (日本語)") == 1
    shown = [one for one in endpoint.asked if is_generator(one)]
    assert all("大森 和子" in one.body["messages"][-1]["content"] for one in shown)
    assert all("Rosa Delgado" not in one.body["messages"][-1]["content"] for one in shown)
    assert "Japanese, 100.0% of turns" in done.out

    stats = json.loads(convogen("stats", "run", "--json").out)
    assert stats["stated_languages"]["ja"]["share"] == 1
    assert convogen("report", "run", "--out", "report").status == 0
    page = Path("report/report.html").read_text("utf-8")
    assert "of turns in Japanese" in page
    assert "Japanese (2 conversations; 100.0% of" in page
    assert 'dir="auto"' in page
    assert "- languages: Japanese" in Path("report/report.md").read_text("utf-8")
    assert convogen("export", "run", "--to", "jsonl", "--out", "data").status == 0
    card = Path("data/README.md").read_text("utf-8")
    assert "\nlanguage:\n- ja\n" in card
    assert "Languages: Japanese" in card


def test_replies_in_english_are_refused_by_the_gate(endpoint: EndpointServer) -> None:
    endpoint.script = in_english
    done = run(endpoint, "--set", "max_rejected=2")
    assert done.status != 0
    rejected = list(load_run("run").rejected())
    assert len(rejected) == 3
    assert {row.gate for row in rejected} == {"language"}
    assert all("is not in Japanese" in row.reason for row in rejected)
    assert not list(load_run("run").conversations())


def test_a_model_that_never_writes_the_language_is_given_up_after_ten(
    endpoint: EndpointServer,
) -> None:
    endpoint.script = in_english
    done = run(endpoint, "--n", "50", "--concurrency", "1")
    assert done.status != 0
    assert "the first 10 tasks all failed in the same way (stage: gate language)" in done.complaint
    assert "is not in Japanese" in done.complaint
    assert len(list(load_run("run").rejected())) == 10


def test_what_is_found_is_said_whatever_was_asked_for(endpoint: EndpointServer) -> None:
    """The model answers in German although Japanese was requested, and there is no gate."""
    german = ["Hast du die Schlüssel schon wieder verlegt?", "Nein, die liegen doch auf dem Tisch."]
    endpoint.script = lambda asked: (
        converse(asked) if is_generator(asked) else say(german[asked.nth % 2])
    )
    done = run(endpoint, "--set", "gates=[]", "--set", "max_turns=3", "--set", "participants=2")
    assert done.status == 0, done.err
    convogen("export", "run", "--to", "jsonl", "--out", "data")
    card = Path("data/README.md").read_text("utf-8")
    assert "\nlanguage:\n- de\n" in card
    assert "detected: 2 German" in card


def test_what_is_no_language_costs_one_line(endpoint: EndpointServer) -> None:
    address = ("--base-url", endpoint.base_url, "--model", "m", "--out", "run")
    wrong = convogen("run", "GPIS-s", "--language", "german", *address)
    assert wrong.status == 2
    assert "did you mean de, German" in wrong.complaint
    wrong = convogen("run", "GPIS-s", "--language", "de,", *address)
    assert wrong.status == 2
    assert "'' is not a known BCP 47 language tag" in wrong.complaint
    assert not endpoint.asked
    assert not Path("run").exists()


def test_without_the_extra_one_line_says_what_to_install() -> None:
    """German is identified by lingua, but Japanese by its script."""
    program = "import sys; sys.modules['lingua'] = None; from convogen.cli.main import main; main()"
    common = ("GPIS-s", "--model", "scripted", "--n", 1, "--out", "run", "--language")
    lacking = forked_process(program, "run", *common, "de")
    assert lacking.status == 2
    assert "recognizing German requires lingua" in lacking.complaint
    assert "pip install 'convogen[lingua]'" in lacking.complaint
    assert "--set 'gates=[]'" in lacking.complaint
    assert not Path("run").exists()
    without = forked_process(program, "run", *common, "de", "--set", "gates=[]")
    assert without.status == 0, without.err
    by_script = forked_process(program, "run", *common, "ja", "--fresh", "--set", "max_rejected=0")
    assert "rejected 1 conversations" in by_script.err


def test_several_languages_are_named_by_commas(endpoint: EndpointServer) -> None:
    endpoint.script = in_japanese
    address = ("--base-url", endpoint.base_url, "--model", "m", "--out", "run")
    done = convogen("run", "GPIS-s", "--n", 6, "--language", "ja,ko", "--set", "gates=[]", *address)
    assert done.status == 0, done.err
    assert {one.language for one in load_run("run").conversations()} == {"ja", "ko"}
    assert "no example experience is in Korean" in done.err
    assert "Korean, 0.0% of turns" in done.out


def test_text_from_right_to_left_reorders_no_label(endpoint: EndpointServer) -> None:
    said = [
        "لا أعرف إن كنت سأصل اليوم في الموعد.",
        "خذ معك المفتاح قبل أن تخرج من البيت.",
        "حسنا، نلتقي بعد الغداء.",
    ]
    endpoint.script = lambda asked: (
        converse(asked) if is_generator(asked) else say(said[asked.nth % len(said)])
    )
    address = ("--base-url", endpoint.base_url, "--model", "m", "--out", "run")
    short = ("--set", "gates=[]", "--set", "max_turns=3", "--set", "participants=2")
    done = convogen("run", "GPIS-s", "--n", 1, "--language", "ar", *short, *address)
    assert done.status == 0, done.err
    shown = convogen("show", "run", "--sample").out
    assert "\u2068" in shown
    assert shown.count("\u2068") == shown.count("\u2069")


def test_list_names_languages(endpoint: EndpointServer) -> None:
    listed = json.loads(convogen("list", "--json").out)
    assert "1 in German" in listed["hubs"]["experiences"]
    assert "language" in listed["gates"]
    assert listed["languages"]["en"] == "English: all turn checks are available"
    assert listed["languages"]["de"].startswith("German (Deutsch): ")
