"""`convogen augment`: the output has the columns of the source and can be read again."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, converse, say

from convogen import Experiment, load_run, run
from convogen.corpora import open_corpus
from convogen.errors import ExperimentError, SourceError, TooManyFailures
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Message, Request, Sampling

SOURCE = Path(__file__).parents[1] / "contract" / "dialogues.jsonl"
SAID = "The party cake is ready, candles missing."
SUMMARY = "The party cake is ready, the candles are missing."


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def dialogsum(n: int = 6) -> Path:
    """Write a source of `n` dialogues with summaries, half about parties and half about trains."""
    rows = [
        {
            "fname": f"dev_{at}",
            "dialogue": "#Person1#: Is it ready yet?\n#Person2#: Nearly, wait a moment.\n"
            "#Person1#: Good, I wait.",
            "summary": "#Person1# waits until it is ready" + " or nearly so" * (at % 3) + ".",
            "topic": "party" if at % 2 else 'trains, "late" ones',
        }
        for at in range(n)
    ]
    path = Path("dev.jsonl")
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def obliging(asked: Asked) -> Bytes:
    """Return a model that follows schemas, agrees with the plan and summarises well."""
    text = asked.body["messages"][-1]["content"]
    schema = (asked.body.get("response_format") or {}).get("json_schema", {}).get("schema")
    if text.endswith("Summary:"):
        return say(SUMMARY)
    if schema and "label" in schema["properties"]:
        return say(json.dumps({"label": "party"}))
    if schema:
        messages = tuple(Message(m["role"], m["content"]) for m in asked.body["messages"])
        seeded = Sampling(seed=asked.body["seed"])
        return say(improvise(Request("any", "any", messages, seeded, schema=schema)))
    reply = converse(asked)
    said = json.loads(reply.content)["choices"][0]["message"]["content"]
    return say(f"{SAID} {said}")


def test_a_run_is_written_in_the_columns_of_its_source(endpoint: EndpointServer) -> None:
    endpoint.script = obliging
    source = dialogsum()
    at = ["--model", "m", "--base-url", endpoint.base_url]
    ended = convogen("augment", source, "--n", "3", *at, "--out", "run", "--licence", "MIT")
    assert ended.status == 0, ended.err
    new = list(open_corpus("run/augmented/dev.jsonl", strict=True))
    assert len(new) == 3
    for one in new:
        assert set(one.participants) <= {"#Person1#", "#Person2#"}
        assert one.context == {"summary": SUMMARY, "topic": "party"}
        assert len(one.turns) == 3
    keys = json.loads(Path("run/augmented/dev.jsonl").read_text("utf-8").splitlines()[0]).keys()
    assert list(keys) == ["fname", "dialogue", "summary", "topic"]
    made = load_run("run")
    assert made.manifest["experiment"]["sources"]["source_licence"] == "MIT"
    assert "MIT" in Path("run/augmented/README.md").read_text("utf-8")
    for record in made.conversations():
        assert record.labelled is not None
        assert record.labelled["topic"].value == "party"
        assert "content words" in record.labelled["summary"].check
        names = record.context["speakers"]
        assert names["#Person1#"] == record.turns[0].speaker
    n_asked = len(endpoint.asked)
    assert convogen("augment", source, "--n", "3", *at, "--out", "run", "--licence", "MIT").out
    assert len(endpoint.asked) == n_asked


def test_the_labeller_is_not_told_the_plan(endpoint: EndpointServer) -> None:
    endpoint.script = obliging
    at = ["--model", "m", "--base-url", endpoint.base_url]
    convogen("augment", dialogsum(), "--n", "2", "--label", "topic", *at, "--out", "run")
    blind = [asked for asked in endpoint.asked if "Which of these" in str(asked.body["messages"])]
    told = [asked for asked in endpoint.asked if "topic must be" in str(asked.body["messages"])]
    assert blind
    assert told
    for asked in blind:
        text = asked.body["messages"][-1]["content"]
        assert {"- party", '- trains, "late" ones'} <= set(text.splitlines())


def test_a_balanced_label_is_the_planned_one_or_nothing(endpoint: EndpointServer) -> None:
    """A model that finds `party` everywhere cannot produce the other topic, so those tasks fail."""
    endpoint.script = obliging
    at = ["--model", "m", "--base-url", endpoint.base_url, "--label", "topic"]
    few = ["--set", "attempts=2", "--set", "max_failures=20"]
    ended = convogen(
        "augment", dialogsum(), "--n", "3", *at, *few, "--balance", "topic", "--out", "run"
    )
    assert ended.status == 0, ended.err
    made = load_run("run")
    assert {one.context["topic"] for one in made.conversations()} == {"party"}
    failures = list(made.failures())
    assert {failure.kind for failure in failures} == {"label_disagrees"}
    assert len(failures) in (2, 3)
    assert "; then labels: topic: planned" in failures[0].message
    assert f"0 to 3 conversations each; {len(failures)} tasks failed" in ended.out


def test_intents_are_balanced_by_the_number_of_the_task() -> None:
    """If the labeller always agrees, the frequencies of any two values differ by at most one."""
    options = ["--label", "emotion", "--balance", "emotion", "--set", "attempts=20"]
    ended = convogen("augment", SOURCE, "--n", "8", *options, "--model", "scripted", "--out", "run")
    assert ended.status == 0, ended.err
    made = load_run("run")
    planned = Counter(
        one.labelled["emotion"].planned for one in made.conversations() if one.labelled
    )
    assert set(planned) == {"anger", "joy", "neutral", "sadness", "surprise"}
    if not list(made.failures()):
        assert max(planned.values()) - min(planned.values()) <= 1
    for one in made.conversations():
        assert one.labelled
        assert one.labelled["emotion"].planned in one.labelled["emotion"].value


def test_shapes_are_those_of_the_source() -> None:
    convogen("augment", SOURCE, "--n", "6", "--model", "scripted", "--out", "run")
    there = {(len(c.turns), len(c.participants)) for c in open_corpus(SOURCE)}
    for one in load_run("run").conversations():
        assert (len(one.turns), len(one.participants)) in there
    new = list(open_corpus("run/augmented/dialogues.jsonl", strict=True))
    assert all(len(one.context["emotions"]) == len(one.turns) for one in new)
    assert {one.context["intent"] for one in new} <= {"ask for help", "make a plan", "complain"}


def test_dailydialogs_numbers_are_words_to_the_model_and_numbers_in_the_file(
    endpoint: EndpointServer,
) -> None:
    endpoint.script = obliging
    row = {"dialog": ["Hi", "Hey there", "Bye"], "act": [1, 1, 1], "emotion": [0, 4, 6]}
    Path("daily.jsonl").write_text(2 * f"{json.dumps(row)}\n", "utf-8")
    at = ["--model", "m", "--base-url", endpoint.base_url]
    ended = convogen("augment", "daily.jsonl", "--n", "2", *at, "--out", "run")
    assert ended.status == 0, ended.err
    assert "columns left empty because they cannot be filled: act" in ended.out
    for one in open_corpus("run/augmented/daily.jsonl", strict=True):
        assert set(one.context["emotion"]) <= {0, 4, 6}
    shown = str([asked.body["messages"] for asked in endpoint.asked])
    assert re.search(r"happiness", shown)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--label", "summary"], "no usable summary label in the data; labels in the data: intent"),
        (["--balance", "topic"], "has no topic label to balance; labels found: intent, emotion"),
        (["--label", "intent", "--balance", "emotion"], "balance: emotion is not listed in label"),
        (["--field", "mood=emotions"], "--field mood=emotions: must be LABEL=COLUMN"),
        (["--set", "max_turns=2", "--label", "emotion", "--set", "source=gone"], "no such file"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options: list[str], complaint: str) -> None:
    ended = convogen("augment", SOURCE, *options, "--model", "scripted", "--out", "run")
    assert ended.status == 2
    assert complaint in ended.complaint
    assert not Path("run").exists()


def test_a_source_without_two_usable_dialogues_is_refused() -> None:
    Path("one.jsonl").write_text('{"turns": [{"speaker": "A", "text": "alone"}]}\n', "utf-8")
    made: dict[str, Any] = {"name": "x", "method": "augment", "source": "one.jsonl"}
    with pytest.raises(SourceError, match=r"found: 0\); a usable dialogue has 2 to 30"):
        run(Experiment({**made, "models": "scripted"}), "run")
    with pytest.raises(ExperimentError, match="balance: summaries cannot be balanced"):
        Experiment({**made, "balance": "summary"})


def test_an_utterance_of_a_shown_dialogue_is_no_new_one() -> None:
    said = "There is paper in the cupboard."
    turns = [{"speaker": name, "text": said} for name in ("Ana", "Ben", "Ana")]
    Path("two.jsonl").write_text(2 * f"{json.dumps({'turns': turns})}\n", "utf-8")

    def copying(request: Request) -> str:
        return said if request.role == "agent" else improvise(request)

    keys: dict[str, Any] = {"name": "x", "method": "augment", "source": "two.jsonl", "attempts": 1}
    experiment = Experiment({**keys, "models": "scripted", "n": 1, "max_failures": 0})
    with pytest.raises(TooManyFailures):
        run(experiment, "run", open_model=lambda _: ScriptedModel(copying))
    assert {failure.kind for failure in load_run("run").failures()} == {"copied"}


def test_where_the_source_lies_does_not_change_the_data(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / SOURCE.name
    other.parent.mkdir()
    other.write_bytes(SOURCE.read_bytes())
    made: dict[str, Any] = {"name": "x", "method": "augment", "models": "scripted"}
    prints = {Experiment({**made, "source": str(at)}).fingerprint for at in (SOURCE, other)}
    assert len(prints) == 1


def in_german(n: int = 6, *, stated: bool = False) -> Path:
    """Write a source of `n` German dialogues, which may state their language."""
    said = [
        "Hast du die Schlüssel schon wieder verlegt, oder liegen sie noch im Auto?",
        "Nein, ich habe sie gestern Abend auf den Tisch in der Küche gelegt.",
        "Dann musst du noch einmal nachsehen, denn dort ist nichts mehr zu finden.",
    ]
    rows = [
        {
            "id": f"d{at}",
            **({"language": "de-AT"} if stated else {}),
            "turns": [{"speaker": "AB"[nth % 2], "text": text} for nth, text in enumerate(said)],
            "topic": "Schlüssel" if at % 2 else "Küche",
        }
        for at in range(n)
    ]
    path = Path("deutsch.jsonl")
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def augmenting(source: Path, **keys: Any) -> Experiment:
    given = {"name": "x", "method": "augment", "source": str(source), "label": ["topic"], "n": 2}
    return Experiment({**given, "models": "scripted", **keys})


def asked_by(experiment: Experiment, folder: Path) -> list[Request]:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return improvise(request)

    run(experiment, folder, open_model=lambda _: ScriptedModel(script))
    return asked


def test_the_language_of_the_source_is_kept(tmp_path: Path) -> None:
    plain = augmenting(in_german())
    assert plain.method.languages() == ("de",)
    assert "generating text in German" in plain.method.notices()[0]
    for request in asked_by(plain, tmp_path / "run"):
        prompt = "\n".join(message.content for message in request.messages)
        assert prompt.count("German (Deutsch)") == (request.role != "selector")
        assert "Rosa Delgado" not in prompt
    assert {one.language for one in load_run(tmp_path / "run").conversations()} == {"de"}


def test_the_language_that_is_asked_for_goes_over_the_sources(tmp_path: Path) -> None:
    other = augmenting(in_german(), language="ja", gates=[])
    assert other.method.languages() == ("ja",)
    assert "the source is in German" in other.method.notices()[0]
    requests = asked_by(other, tmp_path / "run")
    assert any("Hannelore" in f"{one.messages}" for one in requests) is False
    said = [one.messages for one in requests if one.role == "agent"]
    assert all("The tone is that of these lines" not in f"{messages}" for messages in said)


def test_nothing_is_said_of_english(tmp_path: Path) -> None:
    english = augmenting(SOURCE, label=["emotion"])
    assert english.method.languages() == ()
    assert "language" not in f"{english.fingerprint_inputs}"


def test_the_embedded_model_is_not_asked_to_keep_german() -> None:
    ended = convogen("augment", in_german(), "--n", "2", "--label", "topic", "--out", "run")
    assert ended.status == 2
    assert "writes only English, not German" in ended.err.splitlines()[-1]
    assert "--set language=en" in ended.err.splitlines()[-1]
