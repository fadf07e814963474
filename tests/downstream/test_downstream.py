"""Real fine-tuning and evaluation, with small random models and a few steps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import checkpoints
import downstream_data
import pytest
from command_line import Ended, convogen
from endpoint_server import Answer, Asked, EndpointServer, refuse, say

from convogen import Experiment, run
from convogen.downstream.data import Example
from convogen.downstream.scoring import BertScore
from convogen.downstream.seq2seq import Training, load_seq2seq, summarise_with
from convogen.downstream.summaries import SummaryCounts
from convogen.downstream.summarization import Summarization, summarization
from convogen.engine.item_runner import Asking
from convogen.errors import EndpointDown
from convogen.models.spec import ModelSpec

pytestmark = pytest.mark.usefixtures("training_libraries")

SHARED = Path(__file__).parents[3] / "shared" / "data"
DIALOGSUM = SHARED / "dialogsum" / "dialogsum.dev.jsonl"
SMALL = "steps=3 batch=4 beams=1 dialogue_tokens=64 summary_tokens=8 learning_rate=0.1"
FEW = [part for setting in SMALL.split() for part in ("--set", setting)]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.seq2seq(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    experiment = {"n": 3, "models": "scripted", "max_turns": 4}
    run(Experiment.load("GPFS-s", experiment), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return downstream_data.write(tmp_path / "held-out.jsonl", 5)


@pytest.fixture
def in_domain(tmp_path: Path) -> Path:
    return downstream_data.write(tmp_path / "in-domain.jsonl", 9, first=3)


def helpful(asked: Asked) -> Answer:
    """Reply with a summary in the dialogue's words, a question, or the first words of the text."""
    text = asked.body["messages"][-1]["content"].rpartition("Conversation:")[2]
    if "questions that this conversation answers" in text:
        return say('{"questions": ["What is it about?"]}')
    if text.startswith("Text:"):
        return say(json.dumps({"1": " ".join(text.split()[1:4])}))
    low = int(re.findall(r"In (\d+) to \d+ words", text)[0])
    said = re.findall(r"^[^:\n]+: (.+)$", text, re.MULTILINE)
    return say(" ".join(" ".join(said).split()[:low]))


def summarise(
    folder: Path, held_out: Path, checkpoint: Path, endpoint: EndpointServer, *more: object
) -> Ended:
    model = ("--model", "m", "--base-url", endpoint.base_url)
    files = ("--held-out", held_out, "--checkpoint", checkpoint)
    return convogen("downstream", "summarization", folder, *files, *model, *FEW, *more)


def _line(text: str) -> str:
    return " ".join(text.split())


class TestSummarization:
    def test_end_to_end_and_again(
        self,
        folder: Path,
        held_out: Path,
        in_domain: Path,
        t5: Path,
        bert: Path,
        endpoint: EndpointServer,
    ) -> None:
        endpoint.script = helpful
        options = ("--in-domain", in_domain, "--bertscore", bert, "--questions", "1", "--json")
        ended = summarise(folder, held_out, t5, endpoint, *options)
        assert ended.status == 0, ended.err
        found = json.loads(ended.out)
        assert set(found["arms"]) == {"base", "synthetic", "in_domain", "both"}
        assert found["trained_on"] == {
            "base": [0],
            "synthetic": [3],
            "in_domain": [3],
            "both": [6],
        }
        for row in found["arms"].values():
            assert list(row) == ["QAGS", "BERTScore", "ROUGE-L"]
            assert row["ROUGE-L"]["n"] == 5
        assert set(found["coverage"]) == {"synthetic", "both"}
        assert found["training"]["checkpoint"] == t5.name
        out = folder / "downstream" / f"summarization-{t5.name}.json"
        assert json.loads(out.read_text("utf-8")) == found

        n_asked = len(endpoint.asked)
        predictions = sorted((folder / "downstream").glob("predictions-*/*.jsonl"))
        written = [path.stat().st_mtime_ns for path in predictions]
        assert len(written) == 4
        texts = {path.name.split("-")[0]: path.read_text("utf-8") for path in predictions}
        learned = {text for arm, text in texts.items() if arm != "base"}
        assert texts["base"] not in learned, "fine-tuning must change the summaries"
        assert len(learned) > 1, "the training data must change the summaries"
        assert json.loads(summarise(folder, held_out, t5, endpoint, *options).out) == found
        assert len(endpoint.asked) == n_asked
        assert [path.stat().st_mtime_ns for path in predictions] == written

    def test_qags_as_the_authors_have_it_compares_answers_by_bertscore(
        self, folder: Path, held_out: Path, t5: Path, bert: Path, endpoint: EndpointServer
    ) -> None:
        endpoint.script = helpful
        by = ("--qags-by", "bertscore")
        wrong = summarise(folder, held_out, t5, endpoint, *by, "--questions", "3")
        assert (wrong.status, "requires --bertscore" in wrong.complaint) == (2, True)
        wrong = summarise(folder, held_out, t5, endpoint, *by, "--bertscore", bert)
        assert (wrong.status, "requires --questions 3" in wrong.complaint) == (2, True)
        assert not endpoint.asked
        options = ("--bertscore", bert, "--questions", "1")
        plain = summarise(folder, held_out, t5, endpoint, *options)
        assert "QAGS: word F1 of the answers to 1 question per dialogue" in _line(plain.out)
        n_asked = len(endpoint.asked)
        theirs = summarise(folder, held_out, t5, endpoint, *options, *by)
        assert "QAGS: BERTScore of the answers to 1 question per dialogue" in _line(theirs.out)
        assert "DiaSynth: BERTScore, 3 questions" in _line(theirs.out)
        assert len(endpoint.asked) == n_asked, "the stored answers must be reused"
        f1, bertscore = (one.out.splitlines()[4].split("│")[2] for one in (plain, theirs))
        assert f1 != bertscore

    def test_several_held_out_files_are_one_set(
        self, folder: Path, held_out: Path, t5: Path, endpoint: EndpointServer, tmp_path: Path
    ) -> None:
        endpoint.script = helpful
        other = downstream_data.write(tmp_path / "validation.jsonl", 4, first=7)
        options = ("--held-out", other, "--json")
        found = json.loads(summarise(folder, held_out, t5, endpoint, *options).out)
        assert found["held_out"] == {"source": "held-out.jsonl, validation.jsonl", "dialogues": 9}
        assert found["arms"]["base"]["ROUGE-L"]["n"] == 9
        few = summarise(folder, held_out, t5, endpoint, *options, "--n-held-out", "2")
        assert json.loads(few.out)["held_out"]["dialogues"] == 4

    def test_the_summariser_is_shown_two_in_domain_pairs(
        self, folder: Path, held_out: Path, in_domain: Path, t5: Path, endpoint: EndpointServer
    ) -> None:
        endpoint.script = helpful
        assert summarise(folder, held_out, t5, endpoint).status == 0
        alone = [asked.body["messages"][-1]["content"] for asked in endpoint.asked]
        assert all(text.count("Summary:") == 1 for text in alone)
        ended = summarise(folder, held_out, t5, endpoint, "--in-domain", in_domain)
        assert ended.status == 0, ended.err
        rows = [json.loads(line) for line in in_domain.read_text("utf-8").splitlines()]
        learned = {row["summary"] for row in rows}
        held = {json.loads(line)["summary"] for line in held_out.read_text("utf-8").splitlines()}
        shown = [asked.body["messages"][-1]["content"] for asked in endpoint.asked[len(alone) :]]
        assert len(shown) == len(alone)
        for text in shown:
            pairs = re.findall(r"Summary: (.+)", text)
            assert len(pairs) == 2
            assert {*pairs} <= learned - held

    def test_stopped_and_taken_up_again_no_summary_is_paid_for_twice(
        self, folder: Path, held_out: Path, t5: Path, endpoint: EndpointServer
    ) -> None:
        allowed = [1]

        def script(asked: Asked) -> Answer:
            return helpful(asked) if asked.nth <= allowed[0] else refuse(401, "no such key")

        endpoint.script = script
        task = Summarization(
            run=folder,
            held_out=str(held_out),
            training=Training(checkpoint=str(t5), steps=1, beams=1, summary_tokens=4),
            models={"default": ModelSpec(name="m", base_url=endpoint.base_url)},
        )
        with pytest.raises(EndpointDown):
            summarization(task, Asking(folder / "downstream", 1))
        refused, allowed[0] = len(endpoint.asked) - 1, 1000
        found = summarization(task, Asking(folder / "downstream", 1))
        assert len(endpoint.asked) == 3 + refused
        assert found.summaries == SummaryCounts(3, 0)

    def test_summaries_kept_of_other_dialogues_are_refused(
        self, folder: Path, held_out: Path, t5: Path, endpoint: EndpointServer
    ) -> None:
        endpoint.script = helpful
        assert summarise(folder, held_out, t5, endpoint).status == 0
        path = folder / "conversations.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        rows[2]["id"] = "another"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        wrong = summarise(folder, held_out, t5, endpoint)
        assert wrong.status == 2
        assert "describe other dialogues" in wrong.err.splitlines()[-1]

    def test_what_is_not_held_out_of_a_file_is_in_domain(
        self, folder: Path, t5: Path, endpoint: EndpointServer, tmp_path: Path
    ) -> None:
        endpoint.script = helpful
        split = downstream_data.write(tmp_path / "split.jsonl", 16)
        options = ("--in-domain", split, "--n-held-out", "12")
        ended = summarise(folder, split, t5, endpoint, *options)
        assert ended.status == 0, ended.err
        assert "12 held-out dialogues from split.jsonl" in ended.out
        assert "coverage of in-domain data" in " ".join(ended.out.split())

    @pytest.mark.skipif(not DIALOGSUM.exists(), reason="the folder shared/data is missing")
    def test_on_the_development_split_of_dialogsum(
        self, folder: Path, t5: Path, endpoint: EndpointServer
    ) -> None:
        endpoint.script = helpful
        options = ("--in-domain", DIALOGSUM, "--n-held-out", "12")
        ended = summarise(folder, DIALOGSUM, t5, endpoint, *options)
        assert ended.status == 0, ended.err
        assert "12 held-out dialogues from dialogsum.dev.jsonl" in ended.out
        assert "coverage of in-domain data" in " ".join(ended.out.split())

    def test_what_the_user_can_mend(
        self,
        folder: Path,
        held_out: Path,
        t5: Path,
        bert: Path,
        endpoint: EndpointServer,
        tmp_path: Path,
    ) -> None:
        endpoint.script = helpful
        wrong = summarise(folder, held_out, t5, endpoint, "--column", "gist")
        assert wrong.status == 2
        assert "choose another column (found: summary, topic)" in wrong.complaint
        wrong = summarise(folder, held_out, t5, endpoint, "--in-domain", held_out)
        assert "all its dialogues are also held out" in wrong.complaint
        wrong = summarise(folder, held_out, t5, endpoint, "--set", "warmup=3")
        assert "keys: epochs" in wrong.complaint
        for setting in ("epochs=.inf", "learning_rate=.inf"):
            wrong = summarise(folder, held_out, t5, endpoint, "--set", setting)
            assert (wrong.status, "finite number" in wrong.complaint) == (2, True)
        asked = len(endpoint.asked)
        for checkpoint, encoder, option in ((bert, bert, "checkpoint"), (t5, t5, "bertscore")):
            wrong = summarise(folder, held_out, checkpoint, endpoint, "--bertscore", encoder)
            assert (wrong.status, f"--{option}" in wrong.complaint) == (2, True)
        assert len(endpoint.asked) == asked
        wrong = summarise(folder, held_out, tmp_path, endpoint)
        assert wrong.status == 2
        assert "not a seq2seq checkpoint" in wrong.err.splitlines()[-1]


@pytest.mark.parametrize("make", [checkpoints.seq2seq_bart, checkpoints.seq2seq_led])
def test_other_encoder_decoders_read_dialogues_of_different_lengths(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    short, long = checkpoints.SENTENCES[1], "\n".join(checkpoints.SENTENCES)
    checkpoint = str(make(tmp_path / "checkpoint"))
    training = Training(checkpoint=checkpoint, steps=1, batch=2, beams=1, summary_tokens=4)
    examples = [Example(text, "Anna looks for her keys.") for text in (short, long)]
    for learned in ([], examples):
        assert len(summarise_with(training, learned, [short, long], 0)) == 2


def test_fine_tuning_is_by_default_that_of_the_authors() -> None:
    told = Training(checkpoint="x").model_dump(exclude={"checkpoint", "dialogue_tokens"})
    assert told == {
        "epochs": 2,
        "steps": None,
        "batch": 8,
        "accumulation": 2,
        "learning_rate": 5e-5,
        "warmup_steps": 50,
        "weight_decay": 0.01,
        "summary_tokens": 128,
        "least_tokens": 30,
        "length_penalty": 2.0,
        "beams": 4,
    }


@pytest.mark.parametrize("beams", [1, 2])
def test_a_checkpoints_own_bound_on_the_length_does_not_hold(tmp_path: Path, beams: int) -> None:
    """Without its own minimum length, this checkpoint would end each summary immediately."""
    folder = checkpoints.seq2seq_bart(tmp_path / "checkpoint")
    model, tokenizer = load_seq2seq(str(folder))
    model.final_logits_bias[0, tokenizer.eos_token_id] = 1000.0
    model.generation_config.min_length = 9
    model.save_pretrained(folder)

    def written(least: int) -> str:
        keys = {"beams": beams, "summary_tokens": 12, "least_tokens": least}
        return summarise_with(Training(checkpoint=str(folder), **keys), [], ["Anna: Hi."], 0)[0]

    assert written(0) == ""
    assert written(6) != ""


def test_that_no_model_was_named_is_said(folder: Path, held_out: Path, tmp_path: Path) -> None:
    files = ("--held-out", held_out, "--checkpoint", tmp_path)
    ended = convogen("downstream", "summarization", folder, *files)
    assert "no model given, so convogen uses the embedded" in ended.err


def test_bertscore_of_the_same_text_is_1_and_of_none_is_0(bert: Path) -> None:
    texts = ["They are in the kitchen.", "", "Anna looks for her keys."]
    references = ["They are in the kitchen.", "Something else.", "Ben tells her where."]
    for model in (f"{bert}", f"{bert}@1"):
        same, none, other = BertScore(model).scores(texts, references)
        assert same == pytest.approx(1.0, abs=1e-5)
        assert none == 0.0
        assert 0.0 < other < 1.0


def test_the_bertscore_of_a_pair_does_not_depend_on_the_others(bert: Path) -> None:
    words = " ".join(checkpoints.SENTENCES).split()
    texts = [" ".join(words[at : at + 1 + at * 7 % 12]) for at in range(20)]
    references = [" ".join(words[at : at + 1 + at * 5 % 11]) for at in range(1, 21)]
    scorer = BertScore(str(bert))
    alone = [
        scorer.scores([ours], [theirs])[0] for ours, theirs in zip(texts, references, strict=True)
    ]
    assert scorer.scores(texts, references) == pytest.approx(alone, abs=1e-5)
    assert len({round(one, 4) for one in alone}) > 10


class TestClassification:
    @pytest.fixture
    def topical(self, folder: Path) -> Path:
        """Make the run's conversations, which take turns among the topics of the held-out data."""
        path = folder / "conversations.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for number, row in enumerate(rows):
            row["context"] = {"topic": list(downstream_data.TALKS)[number % 2]}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return folder

    def test_synthetic_in_domain_and_both(
        self, topical: Path, held_out: Path, in_domain: Path
    ) -> None:
        files = ("--held-out", held_out, "--in-domain", in_domain)
        ended = convogen("downstream", "classification", topical, *files, "--json")
        assert ended.status == 0, ended.err
        found = json.loads(ended.out)
        assert found["trained_on"] == {"synthetic": 3, "in_domain": 3, "both": 6}
        for row in found["arms"].values():
            assert list(row) == ["accuracy", "macro-F1"]
        assert found["arms"]["both"]["accuracy"]["value"] >= 0.5
        assert found["unknown"] == {"synthetic": 0.0, "in_domain": 0.0, "both": 0.0}
        shown = convogen("downstream", "classification", topical, *files)
        assert "macro-F1" in shown.out

    @pytest.mark.parametrize("key", ["examples", "seeds", "source"])
    def test_held_out_dialogues_that_the_run_was_shown_are_left_out(
        self, key: str, topical: Path, held_out: Path, tmp_path: Path
    ) -> None:
        shown = downstream_data.write(tmp_path / "shown.jsonl", 2, first=3)
        experiment = topical / "experiment.yaml"
        plain = experiment.read_text("utf-8")
        command = ("downstream", "classification", topical, "--held-out", held_out, "--json")
        experiment.write_text(f"{plain}\n{key}: {shown}\n", "utf-8")
        ended = convogen(*command)
        assert json.loads(ended.out)["held_out"]["dialogues"] == 3
        assert f"excluded 2 held-out dialogues that the run has seen in its {key}" in ended.err
        experiment.write_text(f"{plain}\n{key}: {held_out}\n", "utf-8")
        assert "contains all held-out dialogues" in convogen(*command).complaint
        experiment.write_text(f"{plain}\n{key}: {tmp_path / 'gone.jsonl'}\n", "utf-8")
        assert "can no longer be read" in convogen(*command).err

    def test_a_generated_dialogue_that_is_held_out_is_not_learned_from(
        self, topical: Path, held_out: Path
    ) -> None:
        rows = (topical / "conversations.jsonl").read_text("utf-8").splitlines()
        turns = [(turn["speaker"], turn["text"]) for turn in json.loads(rows[2])["turns"]]
        dialogue = "\n".join(f"#{who}#: {text}" for who, text in turns)
        copy = {"fname": "copy", "dialogue": dialogue, "summary": "None.", "topic": "travel"}
        held_out.write_text(held_out.read_text("utf-8") + json.dumps(copy) + "\n", "utf-8")
        command = ("downstream", "classification", topical, "--held-out", held_out, "--json")
        ended = convogen(*command)
        assert json.loads(ended.out)["trained_on"] == {"synthetic": 2}

    def test_labels_never_seen_are_told_of(self, topical: Path, held_out: Path) -> None:
        rows = [json.loads(line) for line in held_out.read_text("utf-8").splitlines()]
        command = ("downstream", "classification", topical, "--held-out", held_out)
        held_out.write_text(
            "".join(json.dumps(row | {"topic": "law"}) + "\n" for row in rows[:2])
            + "".join(json.dumps(row) + "\n" for row in rows[2:]),
            "utf-8",
        )
        assert "unseen labels" in convogen(*command).out
        assert "40.0%" in convogen(*command).out
        laws = [json.dumps(row | {"topic": "law"}) + "\n" for row in rows]
        held_out.write_text("".join(laws), "utf-8")
        wrong = convogen(*command)
        assert wrong.status == 2
        assert "no value of topic in the held-out data occurs" in wrong.complaint

    def test_one_topic_is_nothing_to_tell_apart(self, folder: Path, held_out: Path) -> None:
        ended = convogen("downstream", "classification", folder, "--held-out", held_out, "--n", "1")
        assert "fewer than two values of topic" in ended.complaint
