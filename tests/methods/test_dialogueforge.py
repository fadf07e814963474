"""Dialogues between a simulated person and a chatbot: requests, endings and counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, Run, load_run, run
from convogen.cli.run import load_with, notices
from convogen.corpora.seeds import open_seeds, seed_dialogues
from convogen.engine.replay import replay_run
from convogen.errors import ExperimentError, SourceError
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ModelReply, Request

SEEDS = Path(__file__).parents[1] / "contract" / "seeds.jsonl"
ALL_SCRIPTED = ("--model", "scripted", "--model", "responder=scripted")
ALL = 6
"""The number of seeds in the file; a seventh dialogue is too short to be a seed."""

Script = Callable[[Request], str]


def experiment(**keys: object) -> Experiment:
    given = {"name": "forge", "method": "dialogueforge", "models": "scripted", "seeds": str(SEEDS)}
    return Experiment({**given, **keys})


def play(folder: Path, script: Script | None = None, **keys: object) -> Run:
    return run(experiment(**keys), folder / "run", open_model=lambda _: ScriptedModel(script))


def saying(*inquirer: str) -> Script:
    """Return a script in which the inquirer says these texts in turn and the responder counts."""

    def script(request: Request) -> str:
        at = sum(message.role == "assistant" for message in request.messages)
        if request.role == "summarizer":
            return "You want your sourdough bread less flat."
        return inquirer[at - 1] if request.role == "inquirer" else f"Answer {at}."

    return script


ON = "does the first one work", "and is it dear", "where can I get it", "how often", "who says so"


def test_two_agents_write_in_turn_up_to_the_cap(tmp_path: Path) -> None:
    asked: list[Request] = []

    def listening(request: Request) -> str:
        asked.append(request)
        return saying(*ON)(request)

    [one] = play(tmp_path, listening, n=1).conversations()
    assert [turn.speaker for turn in one.turns] == ["user", "assistant"] * 3 == one.participants * 3
    said = ["How do I keep slugs off lettuce?", "Answer 0.", ON[0], "Answer 1.", ON[1], "Answer 2."]
    assert [turn.text for turn in one.turns] == said
    assert one.ended == "max_turns"
    assert [request.role for request in asked] == ["responder", "inquirer"] * 2 + ["responder"]
    assert [m.content for m in asked[-1].messages if m.role != "system"] == said[:5]
    inquirer = asked[3].messages
    assert [m.role for m in inquirer] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert "without hurting them" in inquirer[0].content
    assert [inquirer[2].content, inquirer[4].content] == [said[0], said[2]]
    assert all(f'"{said[at]}"' in inquirer[at + 2].content for at in (1, 3))
    assert all("hurting" not in m.content for m in asked[0].messages)


def test_a_record_says_where_it_comes_from(tmp_path: Path) -> None:
    done = play(tmp_path, saying(*ON))
    summaries = {seed.id: seed.task for seed in open_seeds(str(SEEDS), None, 6).seeds}
    for one in done.conversations():
        assert one.context["source"] == "seeds.jsonl"
        known = summaries[one.context["seed"]]
        assert one.context["task"] == known or one.context["task_by"] == "scripted"
    assert [one.context["seed"] for one in done.conversations()] == list(summaries)
    sources = done.manifest["experiment"]["sources"]
    assert sources["seeds_cleaned"] == "6 of 7 dialogues kept; dropped: too_short 1"


def test_the_opening_may_take_the_real_answer_too(tmp_path: Path) -> None:
    [one] = play(tmp_path, saying(*ON), n=1, opening=2, utterances=5).conversations()
    assert [turn.origin for turn in one.turns] == ["starter"] * 2 + ["agent"] * 3
    assert one.turns[1].text == "Try copper tape."


@pytest.mark.parametrize(
    ("last", "turns"), [("[END]", 4), ("thanks, that is all [end]", 5), ("user: ok\n[END]", 5)]
)
def test_the_inquirer_concludes(last: str, turns: int, tmp_path: Path) -> None:
    [one] = play(tmp_path, saying(ON[0], last), n=1, utterances=12).conversations()
    assert (one.ended, len(one.turns)) == ("concluded", turns)
    assert "[" not in one.turns[-1].text
    assert not one.turns[-1].text.startswith("user")


class RunsOn(ScriptedModel):
    """A model whose replies always reach their length limit."""

    async def complete(self, request: Request) -> ModelReply:
        return replace(await super().complete(request), finish_reason="length")


def test_what_is_cut_off_after_the_end_takes_nothing_from_the_last_message(tmp_path: Path) -> None:
    said = "Copper it is. thanks, that is all [END] Then the person"
    script = saying("does the first one work?", said)
    forge = experiment(n=1, utterances=12)
    done = run(forge, tmp_path / "run", open_model=lambda _: RunsOn(script))
    [one] = done.conversations()
    assert (one.ended, one.turns[-1].tidied) == ("concluded", [])
    assert one.turns[-1].text == "Copper it is. thanks, that is all"


def test_without_conclude_only_the_cap_ends_it(tmp_path: Path) -> None:
    told: list[str] = []

    def script(request: Request) -> str:
        told.extend(m.content for m in request.messages if m.role == "system")
        return saying(ON[0], "is [END] a token of yours")(request)

    [one] = play(tmp_path, script, n=1, conclude=False).conversations()
    assert (one.ended, len(one.turns)) == ("max_turns", 6)
    assert not any("[END]" in text for text in told)


FAULTS = {
    "refusal": "I'm sorry, but I can't simulate a user.",
    "assistant_offer": "Certainly! Copper keeps slugs away.",
    "echo": "The tape around the bed keeps the slugs away from it",
    "topic_deviation": "Which orchestra recorded Mahler's symphony?",
    "empty_reply": " ",
    "concluded_at_once": "[END]",
}


def stubborn(fault: str, until: int) -> Script:
    """Return a script whose inquirer makes a fault in each attempt until a given number."""
    tried = 0

    def script(request: Request) -> str:
        nonlocal tried
        if request.role == "responder":
            return "The tape around the bed keeps the slugs away."
        tried += 1
        return FAULTS[fault] if tried <= until else ON[tried % 5]

    return script


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_asked_about_again_and_recorded(fault: str, tmp_path: Path) -> None:
    [one] = play(tmp_path, stubborn(fault, 2), n=1, utterances=3, concurrency=1).conversations()
    assert one.turns[2].reasks == [fault, fault]
    assert one.turns[2].text in ON


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_a_failure_or_recorded_with_the_turn(
    fault: str, tmp_path: Path
) -> None:
    done = play(tmp_path, stubborn(fault, 99), n=1, utterances=3)
    if fault in ("echo", "topic_deviation"):
        [one] = done.conversations()
        assert (one.turns[2].text, one.turns[2].lapse) == (FAULTS[fault], fault)
        assert one.turns[2].reasks == [fault, fault]
        return
    [failure] = done.failures()
    assert (failure.stage, failure.kind) == ("conversation", fault)
    assert failure.message.startswith("seed s0: no usable reply from the inquirer")
    assert failure.evidence.strip() == FAULTS[fault].strip()


def test_a_refusal_later_on_ends_the_dialogue(tmp_path: Path) -> None:
    [one] = play(tmp_path, saying(ON[0], FAULTS["refusal"]), n=1).conversations()
    assert (one.ended, len(one.turns)) == ("refusal", 4)


def test_as_many_come_out_as_seeds_go_in(tmp_path: Path) -> None:
    """Some inquirers refuse, and no other dialogues are played in place of theirs."""

    def script(request: Request) -> str:
        refusing = "slugs" in str(request.messages) or "poems" in str(request.messages)
        return (
            FAULTS["refusal"] if refusing and request.role == "inquirer" else saying(*ON)(request)
        )

    done = play(tmp_path, script)
    assert [failure.task for failure in done.failures()] == [0, 1]
    assert [one.task for one in done.conversations()] == [2, 3, 4, 5]
    assert done.manifest["complete"] is True
    assert done.manifest["n"] == ALL
    assert (replay_run(done.folder).n_failures, replay_run(done.folder).difference) == (2, None)


def test_what_gates_reject_is_not_replaced(tmp_path: Path) -> None:
    gate = [{"gate": "rule", "rule": "programs.gate_rules:none_of_them"}]
    done = play(tmp_path, saying(*ON), gates=gate)
    assert len(list(done.rejected())) == ALL
    assert done.manifest["complete"] is True


def test_no_more_are_played_than_there_are() -> None:
    assert experiment().n == ALL
    assert experiment(n=ALL + 1).n == ALL


def test_a_seed_without_summary_has_it_inferred_and_held_to_the_dialogue(tmp_path: Path) -> None:
    replies = iter(["The user asks.", "You like jazz.", "Summary: You want risen\nsourdough."])
    seen: list[str] = []

    def script(request: Request) -> str:
        if request.role == "summarizer":
            seen.append(request.messages[-1].content)
            return next(replies)
        return saying(*ON)(request)

    done = play(tmp_path, script)
    [one] = [found for found in done.conversations() if "task_by" in found.context]
    assert (one.context["seed"], one.context["task"]) == ("s5", "You want risen sourdough.")
    assert "- it is from this morning" in seen[0]
    assert 'Begin with "You".' in seen[1]
    assert "Name what the messages are about." in seen[2]
    assert one.usage is not None
    assert [call["role"] for call in done.calls(4)][:3] == ["summarizer"] * 3


def test_no_summary_is_a_failure_of_that_seed(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return "Jazz." if request.role == "summarizer" else saying(*ON)(request)

    done = play(tmp_path, script)
    [failure] = done.failures()
    assert (failure.task, failure.stage, failure.kind) == (4, "task_summary", "summary_invalid")


def test_the_real_dialogues_are_found_again(tmp_path: Path) -> None:
    done = play(tmp_path, saying(*ON), n=2)
    real = seed_dialogues(load_run(done.folder))
    for one in done.conversations():
        assert real[one.context["seed"]][0].text == one.turns[0].text
        assert [turn.speaker for turn in real[one.context["seed"]]] == ["user", "assistant"] * 3
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(SEEDS.read_bytes())
    assert seed_dialogues(done, str(moved)) == real
    moved.write_text(SEEDS.read_text("utf-8").replace("copper", "silver"), "utf-8")
    with pytest.raises(SourceError, match=r"differs from the seeds that .* was generated from"):
        seed_dialogues(done, str(moved))


def test_a_run_without_seeds_has_no_real_dialogues(tmp_path: Path) -> None:
    small = {"n": 1, "models": "scripted", "max_turns": 2, "participants": 2}
    done = run(Experiment.load("demo", small), tmp_path / "run")
    with pytest.raises(SourceError, match="have no seeds"):
        seed_dialogues(done)


def test_the_command_says_what_was_cleaned_and_plays_a_part_of_the_seeds(tmp_path: Path) -> None:
    words = ["run", "dialogueforge-arena", "--set", f"seeds={SEEDS}", *ALL_SCRIPTED]
    played = convogen(*words, "--n", "2", "--out", tmp_path / "run")
    assert played.status == 0
    assert "seeds from seeds.jsonl: 6 of 7 dialogues kept; dropped: too_short 1" in played.err
    assert "complete, 2 of 2" in " ".join(played.out.split())
    assert "only 2 of the 6 available tasks are requested" in played.err


EXPERIMENTS = [f"dialogueforge-{data}{cap}" for data in ("arena", "oasst1") for cap in ("", "-12")]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_papers_experiments_begin_with_a_real_exchange(name: str, tmp_path: Path) -> None:
    loaded = Experiment.load(name, {"seeds": str(SEEDS)})
    parameters = loaded.method.model_dump()
    assert parameters["utterances"] == (12 if name.endswith("-12") else 6)
    assert (parameters["opening"], parameters["conclude"]) == (2, False)
    assert loaded.model("responder").name == "gpt-4o-mini"
    assert loaded.common.fixed_models == ["responder"]
    here = Experiment.load(name, {"seeds": str(SEEDS), "models": "scripted", "n": 1})
    done = run(here, tmp_path / "run", open_model=lambda _: ScriptedModel(saying(*ON)))
    [one] = done.conversations()
    real = seed_dialogues(done)[one.context["seed"]]
    assert [turn.text for turn in one.turns[:2]] == [turn.text for turn in real[:2]]
    assert [turn.origin for turn in one.turns[:3]] == ["starter", "starter", "agent"]


URL = "http://127.0.0.1:9/v1"
OTHER = "http://127.0.0.1:8/v1"


@pytest.mark.parametrize(
    ("options", "responder", "inquirer"),
    [
        ([], ("gpt-4o-mini", None), ("smollm2-135m", None)),
        (["--model", "m"], ("gpt-4o-mini", None), ("m", None)),
        (["--model", "m", "--base-url", URL], ("gpt-4o-mini", None), ("m", URL)),
        (["--base-url", URL], ("gpt-4o-mini", None), ("default", URL)),
        (["--model", "responder=r", "--base-url", URL], ("r", URL), ("smollm2-135m", None)),
        (["--model", "m", "--model", "responder=r"], ("r", None), ("m", None)),
        (["--model", "m", "--base-url", f"responder={OTHER}"], ("gpt-4o-mini", OTHER), ("m", None)),
        (["--model", "m", "--set", "models.responder=r"], ("r", None), ("m", None)),
    ],
)
def test_a_model_for_all_roles_leaves_the_responder_as_it_is(
    options: list[str], responder: tuple[str, str | None], inquirer: tuple[str, str | None]
) -> None:
    given: dict[str, list[str]] = {"--model": [], "--base-url": [], "--set": []}
    for option, value in zip(options[::2], options[1::2], strict=True):
        given[option].append(value)
    keys = {"seeds": str(SEEDS)} | dict(one.split("=", 1) for one in given["--set"])
    loaded = load_with("dialogueforge-arena", keys, given["--model"], given["--base-url"], ())
    for role, expected in (("responder", responder), ("inquirer", inquirer)):
        spec = loaded.model(role)
        assert (spec.name, spec.base_url) == expected


def test_a_price_for_all_is_not_that_of_a_fixed_model() -> None:
    keys = {"seeds": str(SEEDS)}
    loaded = load_with("dialogueforge-arena", keys, ["m"], [], ["1,2"])
    assert loaded.model("responder").price is None
    assert loaded.model("inquirer").price is not None
    named = load_with("dialogueforge-arena", keys, ["m"], [], ["responder=3,4"])
    assert named.model("responder").price is not None


def test_what_is_fixed_is_said_and_a_role_that_is_none_is_refused() -> None:
    lines = notices(load_with("dialogueforge-arena", {"seeds": str(SEEDS)}, ["m"], [], ()))
    assert any(
        line.startswith("responder: the experiment fixes the model gpt-4o-mini") for line in lines
    )
    alone = notices(load_with("dialogueforge-arena", {"seeds": str(SEEDS)}, [], [], ()))
    assert any(line.startswith("no model given for inquirer, summarizer") for line in alone)
    with pytest.raises(ExperimentError, match="fixed_models: unknown key 'chatbot'"):
        experiment(fixed_models=["chatbot"])


def test_a_grid_over_inquirers_is_one_command_and_gives_the_papers_table(tmp_path: Path) -> None:
    words = ["ablate", "dialogueforge-oasst1", "--n", "2", "--out", tmp_path / "grid", "--json"]
    words += ["--set", f"seeds={SEEDS}", "--model", "responder=scripted"]
    vary = "models.inquirer=scripted,{name: scripted, timeout_s: 9}"
    ended = convogen(*words, "--vary", "utterances=6,12", "--vary", vary)
    assert "the same experiment" in ended.complaint  # a time-out makes no other data
    ended = convogen(*words, "--vary", "models.inquirer=scripted", "--vary", "utterances=6,12")
    assert ended.status == 0, ended.err
    cells = json.loads(ended.out)["cells"]
    assert [cell["means"]["turns"]["value"] for cell in cells.values()] == [6.0, 12.0]
    runs = [cell["run"] for cell in cells.values()]
    judged = convogen("evaluate", *runs, "--judge", "unieval", "--model", "scripted", "--json")
    assert judged.status in (0, 1), judged.err
    for folder in runs:
        scores = [json.loads(line) for line in scored_lines(folder)]
        assert len(scores) == 2
    table = convogen("verdicts", *runs, "--protocol", "unieval", "--table", "--json")
    [change] = json.loads(table.out)["degradation"]
    assert (change["model"], change["from"], change["to"]) == ("scripted", 6, 12)


def scored_lines(folder: str) -> list[str]:
    return (Path(folder) / "scores" / "unieval.jsonl").read_text("utf-8").splitlines()


def test_a_dry_run_counts_the_seeds_that_failed(tmp_path: Path) -> None:
    """Task 4 fails because the scripted model's summary is unusable, so five of six are
    expected."""
    words = ["run", "dialogueforge-arena", "--set", f"seeds={SEEDS}", *ALL_SCRIPTED]
    words += ["--out", str(tmp_path / "run"), "--dry-run", "--pilot", "6", "--json"]
    found = json.loads(convogen(*words).out)
    assert (found["n"], found["seen"]) == (5, 5)
    assert "no model calls are made" in convogen(*words).err


LONG = "Copper tape keeps them away. " * 30


@pytest.mark.parametrize("reply", ["Answer.", LONG])
def test_after_a_long_answer_the_inquirer_is_reminded_of_its_voice(
    reply: str, tmp_path: Path
) -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        if request.role == "inquirer":
            asked.append(request)
            return ON[len(asked)]
        return f"{len(asked)}. {reply}"

    [one] = play(tmp_path, script, n=1, utterances=5).conversations()
    reminded = [m.content for m in asked[-1].messages if "chatbot's length" in m.content]
    assert len(reminded) == (2 if reply == LONG else 0)
    assert all(f'"{one.turns[0].text}"' in text for text in reminded)


def test_the_inquirer_is_told_to_go_on_in_its_own_voice_and_that_it_may_wander(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def script(request: Request) -> str:
        if request.role == "inquirer":
            asked.append(request.messages[0].content)
        return saying(*ON)(request)

    play(tmp_path, script, n=1)
    for words in ("Go on in its voice", "language", "capitals", "slips", "as long", "may wander"):
        assert words in asked[0]


def lengths_of(folder: Path, script: Script, **keys: object) -> list[list[int | None]]:
    done = play(folder, script, match_lengths=True, utterances=8, **keys)
    return [
        [turn.target_words for turn in one.turns if turn.speaker == "user"]
        for one in done.conversations()
    ]


def obedient(request: Request) -> str:
    """Reply as an inquirer that writes exactly the requested number of words; all messages
    differ."""
    at = sum(message.role == "assistant" for message in request.messages)
    if request.role == "summarizer":
        return "You want your sourdough bread less flat."
    found = re.search(r"in about (\d+) words?", request.messages[-1].content)
    if request.role == "responder":
        assert found is None
        return f"Answer {at}."
    assert found is not None
    return " ".join(f"x{at}{word}" for word in range(int(found[1])))


def test_lengths_are_those_of_real_turns_of_other_seeds(tmp_path: Path) -> None:
    """Lengths are taken from one other dialogue, in order, and then from the next, never from
    its own."""
    seeds = open_seeds(str(SEEDS), None, 6).seeds
    runs = [
        [len(turn.text.split()) for turn in seed.turns if turn.speaker == "user"][1:]
        for seed in seeds
    ]
    found = lengths_of(tmp_path, obedient)
    assert found == lengths_of(tmp_path / "again", obedient, concurrency=1)
    assert len(found) == len(seeds)
    for at, (first, *targets) in enumerate(found):
        assert first is None  # the seed's own message
        others = [lengths for other, lengths in enumerate(runs) if other != at]
        assert targets[:2] in others
        assert any(one[:1] == targets[2:] for one in others)
    assert len({tuple(targets) for targets in found}) > 1


def test_a_message_far_from_its_length_is_asked_for_again_and_the_nearest_is_kept(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    replies = iter([14, 11, 12] * 9)

    def script(request: Request) -> str:
        if request.role == "responder":
            return f"Answer {len(told)}."
        told.append(request.messages[-1].content)
        return " ".join(f"slugs{len(told)}x{word}" for word in range(next(replies)))

    [one] = play(tmp_path, script, n=1, utterances=3, match_lengths=True).conversations()
    last = one.turns[2]
    assert len(last.text.split()) == 11
    assert (last.lapse, last.reasks) == ("too_long", ["too_long"] * 2)
    assert last.target_words is not None
    assert str(last.target_words) in told[1].split("(")[-1]


def test_lengths_cannot_be_matched_to_one_seed(tmp_path: Path) -> None:
    alone = tmp_path / "one.jsonl"
    alone.write_text(SEEDS.read_text("utf-8").splitlines()[0], "utf-8")
    with pytest.raises(SourceError, match="provide more seeds"):
        play(tmp_path, seeds=str(alone), match_lengths=True)


def test_exported_it_is_a_chat_and_the_card_says_whose_words_it_begins_with(tmp_path: Path) -> None:
    done = play(tmp_path, saying(*ON), n=1, seeds_licence="CC0-1.0")
    options = ("--to", "messages", "--perspective", "assistant", "--out", tmp_path / "out")
    assert convogen("export", done.folder, *options).status == 0
    [row] = map(
        json.loads, (tmp_path / "out" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    )
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"] * 3
    assert row["messages"][1]["content"] == "Answer 0."
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "an utterance written by a person, taken from seeds.jsonl" in card
    assert "(licence: CC0\\-1.0)" in card
    assert "No person said any of this" not in card
