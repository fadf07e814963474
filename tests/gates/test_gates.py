"""Rejected conversations are kept and replaced by others, and they never count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, Run, load_run, run
from convogen.costs.forecast import forecast
from convogen.engine.replay import replay_run
from convogen.errors import ExperimentError, TooManyRejected
from convogen.gates import GateLine
from convogen.gates.guard import read_verdict
from convogen.gates.near_duplicate import NearDuplicate
from convogen.gates.safety import Safety
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request, Sampling
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Outcome

MOST = {"gate": "rule", "rule": "programs.gate_rules:most"}


def experiment(*gates: object, **overrides: object) -> Experiment:
    small = {"n": 6, "models": "scripted", "max_turns": 3, "participants": 2}
    return Experiment.load("GPIS-s", {**small, "gates": list(gates), **overrides})


def talk(number: int, *texts: str) -> Conversation:
    turns = [Turn(speaker="A", text=text) for text in texts]
    return Conversation(id=f"c-{number}", task=number, turns=turns)


def test_exactly_n_are_accepted_and_the_others_kept_in_the_order_of_the_plan(
    tmp_path: Path,
) -> None:
    result = run(experiment(MOST, n=20), tmp_path)
    accepted, rejected = list(result.conversations()), list(result.rejected())
    assert len(accepted) == 20
    assert len(rejected) > 10
    assert {(one.gate, one.reason) for one in rejected} == {("rule", "drawn")}
    tasks = sorted([c.task for c in accepted] + [r.task for r in rejected])
    assert tasks == list(range(len(tasks)))
    assert [r.task for r in rejected] == sorted(r.task for r in rejected)
    assert all(one.conversation.turns for one in rejected)
    assert replay_run(tmp_path).difference is None


def test_a_longer_run_begins_with_the_shorter_one(tmp_path: Path) -> None:
    run(experiment(MOST, "near_duplicate"), tmp_path / "grown")
    short = (tmp_path / "grown" / "rejected.jsonl").read_bytes()
    run(experiment(MOST, "near_duplicate", n=9), tmp_path / "grown")
    run(experiment(MOST, "near_duplicate", n=9), tmp_path / "long")
    for name in ("conversations", "rejected", "experiences", "calls"):
        grown, long = (tmp_path / run / f"{name}.jsonl" for run in ("grown", "long"))
        assert grown.read_bytes() == long.read_bytes()
    assert long.read_bytes()
    assert (tmp_path / "long" / "rejected.jsonl").read_bytes().startswith(short)


def test_too_many_rejected_stop_the_run_with_the_rate_and_a_higher_limit_goes_on(
    tmp_path: Path,
) -> None:
    with pytest.raises(TooManyRejected, match=r"3 conv.* is 2; they accepted \d of 6, .*%.*ed=53"):
        run(experiment(MOST, max_rejected=2), tmp_path)
    assert len(list(Run(tmp_path).rejected())) == 3
    assert len(list(run(experiment(MOST, max_rejected=53), tmp_path).conversations())) == 6
    assert experiment(n=5).max_rejected == 50
    assert experiment(n=500).max_rejected == 2000


def test_the_cost_of_what_was_rejected_is_in_the_forecast(tmp_path: Path) -> None:
    result = run(experiment(MOST), tmp_path)
    calls = len(list(result.ledger()))
    assert forecast(result, 6).total["calls"].expected == calls
    assert forecast(result, 12).total["calls"].expected >= 1.9 * calls


def test_show_and_report_say_what_was_rejected_and_the_share_accepted(tmp_path: Path) -> None:
    result = run(experiment(MOST), tmp_path / "run")
    n = len(list(result.rejected()))
    shown = convogen("show", tmp_path / "run")
    assert f"rule {n}; {6 / (6 + n):.1%} of the finished" in " ".join(shown.out.split())
    assert "rejected by rule\n  drawn" in shown.out
    told = json.loads(convogen("show", tmp_path / "run", "--json").out)
    assert (told["conversations"], told["rejected"]) == (6, {"rule": n})
    report = json.loads(convogen("report", tmp_path / "run", "--json").out)
    (numbers,) = report["runs"].values()
    assert numbers["acceptance_rate"] == 6 / (6 + n)
    assert numbers["conversations"] == 6
    assert any(f"rejected: rule {n}" in text for text in report["limits"])


def test_a_near_duplicate_of_an_accepted_conversation_is_rejected_in_any_order_of_words(
    tmp_path: Path,
) -> None:
    words = "the baker left the oven on and nobody in the house had noticed until the cat did"
    first, other = talk(0, words, "Really?"), talk(2, "Snow closed the pass", "for three weeks")
    (tmp_path / "conversations.jsonl").write_bytes(first.to_line() + other.to_line())
    line = GateLine([NearDuplicate()], Run(tmp_path))
    line.restore()
    copy = talk(3, "really", words.upper().replace("CAT", "dog"))
    found = line.decide(Outcome(conversation=copy)).rejected
    assert found is not None
    assert found.reason.endswith("to c-0")
    assert 0.9 <= float(found.value or 0) < 1
    fresh = talk(4, "Who ordered nine hundred lanterns for a village of twelve?")
    assert line.decide(Outcome(conversation=fresh)).conversation == fresh


def test_among_many_the_copy_is_found(tmp_path: Path) -> None:
    requests = [[Request("", f"{n}.{k}", (), Sampling()) for k in range(8)] for n in range(300)]
    many = [talk(n, *map(improvise, own)) for n, own in enumerate(requests)]
    (tmp_path / "conversations.jsonl").write_bytes(b"".join(one.to_line() for one in many))
    line = GateLine([NearDuplicate()], Run(tmp_path))
    line.restore()
    for old in many[::60]:
        copy = old.model_copy(update={"id": "c-x", "task": 300, "turns": old.turns[::-1]})
        found = line.decide(Outcome(conversation=copy)).rejected
        assert found is not None
        assert found.reason == f"similarity 1.000 to {old.id}"


@pytest.mark.parametrize(
    "text",
    [
        "oh shit",
        "SH1T!",
        "well $h!t happens",
        "ѕhіt",
        "ｓｈｉｔ",
        "𝓼𝓱𝓲𝓽",
        "s.h.i.t",
        "s h i t",
        "shiiiit",
        "s\u200bhit",
        "shít",
        "You. Should... DIE",
        "what a fuuuucking day",
    ],
)
def test_the_word_list_knows_disguises(text: str) -> None:
    assert Safety().word_list.find(text) is not None


@pytest.mark.parametrize(
    "text",
    ["Scunthorpe", "we shift at 5", "455 assets, 1st class", "a b c", "die Katze", "Go, diesel!"],
)
def test_the_word_list_leaves_other_words_alone(text: str) -> None:
    assert Safety().word_list.find(text) is None


def test_an_entry_in_a_script_without_spaces_matches_within_a_clause(tmp_path: Path) -> None:
    listed = tmp_path / "words.txt"
    listed.write_text("笨蛋\nばか\nидиот\n", "utf-8")
    words = Safety(words=str(listed), shipped=False).word_list
    assert words.find("你真是个笨蛋，别说了。") == "笨蛋"
    assert words.find("お前はばかだな。") == "ばか"
    assert words.find("Ты идиот!") == "идиот"
    assert words.find("蛋糕很好吃，идиотизм.") is None


def test_a_list_of_ones_own_counts_by_what_is_in_it(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.txt").write_text("# mine\nPine Apple*\n", "utf-8")
        text = "gates: [{gate: safety, words: mine.txt, shipped: false}]\nmodels: scripted\n"
        (tmp_path / place / "x.yaml").write_text(text, "utf-8")
    here, there = (Experiment.load(tmp_path / place / "x.yaml") for place in ("here", "there"))
    assert here.fingerprint == there.fingerprint
    own = here.gates[0]
    assert isinstance(own, Safety)
    assert own.word_list.find("shit") is None
    assert own.word_list.find("pine-apples!") == "Pine Apple*"
    (tmp_path / "there" / "mine.txt").write_text("plum\n", "utf-8")
    assert Experiment.load(tmp_path / "there" / "x.yaml").fingerprint != here.fingerprint
    (tmp_path / "here" / "mine.txt").unlink()
    lost = convogen("run", tmp_path / "here" / "x.yaml")
    assert lost.status == 2
    assert "mine.txt: cannot be read" in lost.err


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("safe", ""),
        ("\n\nSafe.", ""),
        ("unsafe\nS1,S10", "S1,S10"),
        ("UNSAFE\n s2 , S3 ", "S2,S3"),
        ("unsafe", "no category named"),
        ("unsafe\nignore that, it is safe", "no category named"),
        ("It is safe.", None),
        ("", None),
    ],
)
def test_a_guards_reply_is_read(reply: str, verdict: str | None) -> None:
    assert read_verdict(reply) == verdict


def test_what_a_guard_does_not_clear_is_rejected(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(request: Request) -> str:
        if request.role != "guard":
            return improvise(request)
        asked.append(request.messages[0].content)
        return ("unsafe\nS1,S99", "I cannot tell", "safe")[min(len(asked) // 2, 2)]

    model = ScriptedModel(script)
    result = run(experiment("guard", n=1, concurrency=1), tmp_path, open_model=lambda _: model)
    found = [(one.value, one.reason) for one in result.rejected()]
    assert found[0] == ("S1,S99", "unsafe: Violent crimes, S99")
    assert all("<END CONVERSATION>" in text for text in asked)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("programs.gate_rules:nothing", "no attribute 'nothing'"),
        ("no_such_package:rule", "No module named 'no_such_package'"),
        ("programs.gate_rules:broken", r"conversation c-\w+: raised KeyError"),
        ("programs.gate_rules:wrong", r"must return a reason .str. or None .found bool."),
        ("os", "must match the pattern"),
    ],
)
def test_a_rule_that_is_none_is_told(rule: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=message):
        run(experiment({"gate": "rule", "rule": rule}), tmp_path)


def test_a_rule_may_look_at_the_experience(tmp_path: Path) -> None:
    entry = {"gate": "rule", "rule": "programs.gate_rules:all_of_them"}
    with pytest.raises(TooManyRejected):
        run(experiment(entry, n=1, max_rejected=0), tmp_path)
    topics = {one.task: one.topic for one in load_run(tmp_path).experiences()}
    assert {f"about {topics[one.task]}" for one in load_run(tmp_path).rejected()}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["no_such"], "gate: 'no_such' is not known; allowed: near_duplicate, safety"),
        ([{"turns": 3}], "the entry {'turns': 3} has no `gate` key; write"),
        ([{"min_turns": 2}], "`- {gate: min_turns, turns: VALUE}`"),
        ([3], "must be a mapping"),
        (["min_turns"], r"gates\[0\]: turns: is missing"),
        ([{"gate": "judge", "min_score": 3, "judge": "x"}], "must be one of geval"),
        (
            [{"gate": "judge", "min_score": 99}],
            r"gates\[0\]: .*99 exceeds 5, the highest score",
        ),
        ([{"gate": "judge", "min_score": 1.01, "judge": "unieval"}], "aspects: 'overall'"),
        (
            [{"gate": "judge", "min_score": 2, "judge": "unieval", "aspects": ["human_like"]}],
            "exceeds 1, the highest score from unieval",
        ),
        (
            ["safety", {"gate": "min_turns", "turns": 40}],
            r"gates\[1\]: min_turns: turns: 40 turns are required",
        ),
    ],
)
def test_wrong_entries_are_refused(entries: list[object], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        experiment(*entries)


def test_a_judge_asks_under_the_gates_own_role(tmp_path: Path) -> None:
    gates = {"gate": "judge", "min_score": 2, "aspects": ["topic", "overall"]}
    result = run(experiment(gates, n=2), tmp_path)
    roles = {row["role"] for row in result.ledger()}
    assert "gate_judge" in roles
    assert "judge" not in roles
    with pytest.raises(ExperimentError, match="aspects: 'x' is not known; allowed: topic"):
        run(experiment(gates | {"aspects": ["x"]}, n=1), tmp_path / "other")


@pytest.mark.parametrize(
    ("method", "most"),
    [
        ({"method": "roleplay", "max_turns": 3}, 6),
        ({"method": "diasynth", "turns": 8}, 8),
        ({"method": "convogen", "max_turns": 4}, 4),
    ],
)
def test_a_gate_of_more_turns_than_there_can_be_is_refused(
    method: dict[str, object], most: int
) -> None:
    def gated(turns: int) -> Experiment:
        return Experiment({"name": "x", **method, "gates": [{"gate": "min_turns", "turns": turns}]})

    assert gated(most).gates
    with pytest.raises(ExperimentError, match=rf"{most + 1} turns are required, .* at most {most}"):
        gated(most + 1)


def test_a_judge_of_experiences_is_refused_where_there_are_none() -> None:
    with pytest.raises(ExperimentError, match="with their experiences, but this method's"):
        Experiment(
            {"name": "x", "method": "roleplay", "gates": [{"gate": "judge", "min_score": 2}]}
        )
