"""A run in a requested language: its requests, shots, gate and resumption."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from convogen import Experiment, load_run, run
from convogen.engine.replay import replay_run
from convogen.errors import ExperimentError, RunStopped
from convogen.methods.base import Method, Play, RunInputs, Task
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request, Sampling
from convogen.models.spec import ModelSpec
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Outcome

JAPANESE = "今日はちょっと間に合わないかもしれない、ごめんね。その{}番目の話はまた明日にしよう。"
ROWS = ("experiences.jsonl", "conversations.jsonl", "rejected.jsonl", "calls.jsonl")


def japanese(request: Request) -> str:
    """Return a model that says something different in Japanese each time."""
    if request.schema is None:
        return JAPANESE.format(int(request.hash[:6], 16))
    draft = json.loads(improvise(request))
    draft["starter"]["text"] = JAPANESE.format(int(request.hash[:6], 16))
    return json.dumps(draft)


def opened(script: Callable[[Request], str], asked: list[Request]) -> Callable[[ModelSpec], Any]:
    def listening(request: Request) -> str:
        asked.append(request)
        return script(request)

    return lambda _: ScriptedModel(listening)


def experiment(**keys: Any) -> Experiment:
    return Experiment({"name": "x", "n": 3, "models": "scripted", "max_turns": 4, **keys})


def test_each_prompt_that_writes_says_the_language_once(tmp_path: Path) -> None:
    asked: list[Request] = []
    keys = {"language": "ja", "participants": 3}
    finished = run(experiment(**keys), tmp_path, open_model=opened(japanese, asked))
    for request in asked:
        prompt = "\n".join(message.content for message in request.messages)
        system = request.messages[0]
        if request.role == "selector":
            assert "Japanese" not in prompt
            continue
        assert system.role == "system"
        assert prompt.count("Japanese (日本語)") == system.content.count("Japanese (日本語)") == 1
        assert ("keys" in system.content.rpartition("Japanese")[2]) == (request.schema is not None)
    assert {request.role for request in asked} == {"generator", "agent", "selector"}
    assert [one.language for one in finished.experiences()] == ["ja"] * 3
    assert [one.language for one in finished.conversations()] == ["ja"] * 3


def test_without_a_language_nothing_is_another_than_it_was(tmp_path: Path) -> None:
    """No request, record or file mentions a language."""
    asked: list[Request] = []
    plain = experiment()
    run(plain, tmp_path, open_model=opened(improvise, asked))
    assert plain.fingerprint == "f372ce406ca0739e"
    assert "language" not in plain.to_yaml()
    assert all("language" not in m.content.casefold() for one in asked for m in one.messages)
    for name in ("experiences.jsonl", "conversations.jsonl"):
        assert b'"language"' not in (tmp_path / name).read_bytes()


def test_shots_are_of_the_language_or_there_are_none(tmp_path: Path) -> None:
    prompts: dict[str, list[str]] = {}
    for tag in ("de-CH", "fi"):
        asked: list[Request] = []
        try:
            keys = {"language": tag, "gates": []}
            run(experiment(**keys), tmp_path / tag, open_model=opened(improvise, asked))
        except RunStopped:
            pass
        prompts[tag] = [r.messages[-1].content for r in asked if r.role == "generator"]
    assert all("Hannelore Brandt" in prompt for prompt in prompts["de-CH"])
    assert all("Example:" not in prompt for prompt in prompts["fi"])
    assert experiment(language="de-CH", gates=[]).method.notices() == []
    [said] = experiment(language=["de", "fi", "ja", "eu"], gates=[]).method.notices()
    assert "no example experience is in Finnish, Basque, so the first experiences are" in said
    [said] = experiment(language="fi", iterative=False, gates=[]).method.notices()
    assert said.endswith("Finnish, so experiences in that language are generated without examples")


def test_what_the_run_invented_is_shown_to_tasks_of_its_language_alone(tmp_path: Path) -> None:
    asked: list[Request] = []
    keys = {"language": ["de", "fi"], "gates": [], "per_round": 1, "shots": 8, "n": 16}
    finished = run(experiment(**keys), tmp_path, open_model=opened(improvise, asked))
    experiences = list(finished.experiences())
    languages = {one.id: one.language for one in experiences}
    shown = 0
    for one in experiences:
        assert all(languages.get(shot, "de") == one.language for shot in one.shots)
        shown += sum(shot in languages for shot in one.shots)
    assert {one.language for one in experiences} == {"de", "fi"}
    assert shown


def test_the_gate_rejects_what_is_in_another_language(tmp_path: Path) -> None:
    def mixed(request: Request) -> str:
        said = japanese(request)
        return improvise(request) if request.role == "agent" and "05" in said else said

    finished = run(experiment(language="ja"), tmp_path, open_model=opened(mixed, []))
    assert len(list(finished.conversations())) == 3
    rejected = list(finished.rejected())
    assert rejected
    for row in rejected:
        assert row.gate == "language"
        assert row.reason.startswith("turn ")
        assert "is not in Japanese" in row.reason
        assert isinstance(row.value, float)
        assert row.value < 0.9


def test_gates_that_are_named_are_all_there_are() -> None:
    assert [gate.name for gate in experiment(language="ja").gates] == ["language"]
    assert experiment(language="ja", gates=[]).gates == []
    assert [g.name for g in experiment(language="ja", gates=["safety"]).gates] == ["safety"]
    for gates in ([], ["safety"]):
        again = experiment(language="ja", gates=gates)
        assert "gates" in again.to_yaml()


def test_a_list_draws_the_same_after_a_stop(tmp_path: Path) -> None:
    keys = {"language": ["ja", "de", "ar"], "gates": [], "n": 9}
    whole = run(experiment(**keys), tmp_path / "whole")
    stopped = tmp_path / "stopped"
    left = iter(range(3))

    def kill(*_: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(experiment(**keys), stopped, on_conversation=kill)
    assert 0 < len(list(load_run(stopped).conversations())) < 9
    run(experiment(**keys), stopped)
    for name in ROWS:
        if (whole.folder / name).exists():
            assert (stopped / name).read_bytes() == (whole.folder / name).read_bytes()
    assert {one.language for one in whole.conversations()} == {"ja", "de", "ar"}
    assert replay_run(stopped).difference is None


def test_the_draw_is_the_tasks_own_whatever_the_concurrency(tmp_path: Path) -> None:
    drawn: list[list[str | None]] = []
    for concurrency in (1, 16):
        keys = {"language": ["ja", "de"], "gates": [], "n": 8, "concurrency": concurrency}
        done = run(experiment(**keys), tmp_path / f"{concurrency}")
        drawn.append([one.language for one in done.conversations()])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("german", "language: 'german' is not a known BCP 47 language tag; did you mean de,"),
        (["de", "de"], "language: de is listed twice"),
        (["de", 3], "language: must be a BCP 47 language tag"),
        ([], "language: must be a BCP 47 language tag"),
        (True, "language: must not be true or false"),
    ],
)
def test_what_is_no_language_is_refused_in_one_line(language: Any, said: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        experiment(language=language)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_file_of_a_run_gives_its_languages_again(tmp_path: Path) -> None:
    for language in ("pt_br", ["de", "ja"], ["ja"]):
        first = experiment(language=language, gates=[])
        (tmp_path / "again.yaml").write_text(first.to_yaml(), "utf-8")
        again = Experiment.load(tmp_path / "again.yaml")
        assert again.fingerprint == first.fingerprint
        assert again.method.languages() == first.method.languages()
    assert experiment(language="ja").fingerprint != experiment(language="ko").fingerprint
    assert experiment(language=["ja"]).fingerprint == experiment(language="ja").fingerprint


def test_the_embedded_model_is_not_asked_for_another_language(tmp_path: Path) -> None:
    with pytest.raises(
        ExperimentError, match=r"the embedded model .* not Japanese; choose another"
    ):
        run(Experiment({"name": "x", "language": "ja"}), tmp_path)
    assert not list(tmp_path.iterdir())


class Monologue(Method):
    """A method as a third-party package may provide it, which ignores languages."""

    name: ClassVar[str] = "monologue"
    prompt_names: ClassVar[tuple[str, ...]] = ()
    roles: ClassVar[dict[str, Sampling]] = {"talker": Sampling(), "referee": Sampling()}
    roles_in_english: ClassVar[frozenset[str]] = frozenset(("referee",))

    def start(self, inputs: RunInputs) -> Play:
        return _Monologue()


class _Monologue(Play):
    async def play(self, task: Task) -> Outcome:
        from convogen.models.base import Message

        turns: list[Turn] = []
        for role in ("talker", "referee"):
            reply = await task.session.ask(role, [Message("user", f"Say a word, {role}.")])
            turns.append(Turn(speaker=role, text=reply.text))
        return Outcome(conversation=Conversation(id=f"c-{task.id}", task=task.number, turns=turns))


def test_a_method_of_ones_own_needs_to_know_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convogen.plugins import registry

    monkeypatch.setitem(registry.BUILT_IN["methods"], "monologue", f"{__name__}:Monologue")
    asked: list[Request] = []
    keys = {"method": "monologue", "language": "eu", "gates": [], "n": 1, "models": "scripted"}
    done = run(Experiment({"name": "x", **keys}), tmp_path, open_model=opened(improvise, asked))
    talker, referee = sorted(asked, key=lambda one: one.role, reverse=True)
    assert talker.messages[0].role == "system"
    assert "Basque (euskara)" in talker.messages[0].content
    assert [message.role for message in referee.messages] == ["user"]
    assert [one.language for one in done.conversations()] == ["eu"]
