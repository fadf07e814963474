"""Algorithm 1 in practice: what each side sees, how dialogues end, and what is repeated or
fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from convogen import Experiment, Run, run
from convogen.errors import ExperimentError, ModelFault, SourceError
from convogen.experiment.experiment import shipped_experiments
from convogen.methods.roleplay.method import Roleplay
from convogen.methods.roleplay.people import goals_of
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request

Script = Callable[[Request], str]


def experiment(**overrides: object) -> Experiment:
    small = {"personas": 1, "goals": ["unicorn"], "max_turns": 4, "n": 20, "models": "scripted"}
    return Experiment({"name": "t", "method": "roleplay", **small, **overrides})


class Told:
    """A script for one dialogue, with the lines of each role in order, that records its
    requests."""

    def __init__(self, inquirer: Sequence[str], responder: Sequence[str] = ()) -> None:
        self.lines = {"inquirer": list(inquirer), "responder": list(responder)}
        self.asked: dict[str, list[Request]] = {"inquirer": [], "responder": []}

    def __call__(self, request: Request) -> str:
        nth = len(self.asked[request.role])
        self.asked[request.role].append(request)
        said = self.lines[request.role]
        return said[nth] if nth < len(said) else f"Answer {nth + 1}."

    def contents(self, role: str, nth: int) -> list[tuple[str, str]]:
        return [(one.role, one.content) for one in self.asked[role][nth].messages]

    def temperatures(self, role: str) -> list[float | None]:
        return [one.sampling.temperature for one in self.asked[role]]


def play(folder: Path, script: Script, **overrides: object) -> Run:
    model = ScriptedModel(script)
    return run(experiment(**overrides), folder, open_model=lambda _: model)


def test_a_dialogue_is_algorithm_1(tmp_path: Path) -> None:
    told = Told(['Sure: "First?"', '"Second?" as I said', "FINISH"])
    result = play(tmp_path, told)
    (dialogue,) = result.conversations()
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == [
        ("user", "First?"),
        ("assistant", "Answer 1."),
        ("user", "Second?"),
        ("assistant", "Answer 2."),
    ]
    assert dialogue.ended == "goal"
    counts = dialogue.context["counts"]
    assert (counts["inquirer_outputs"], counts["responder_outputs"]) == (3, 2)
    assert (counts["regenerated"], dialogue.context["topic"]) == (0, "unicorn")
    assert dialogue.context["domain"] == "coding"
    (experience,) = result.experiences()
    goal = next(one.goal for one in goals_of(None) if one.name == "unicorn")
    assert (experience.situation, experience.starter.text) == (goal, "First?")

    last = told.contents("inquirer", 2)
    assert [role for role, _ in last] == ["system", "user", *["assistant", "user"] * 2]
    assert (experience.personas[0].text or "no text") in last[0][1]
    assert "FINISH" in last[0][1]
    assert goal in last[1][1]
    assert [text for role, text in last if role == "assistant"] == ['"First?"', '"Second?"']
    assert ["Answer 1." in last[3][1], "Answer 2." in last[5][1]] == [True, True]

    follow_up = last[5][1]
    assert follow_up.index("still open") < follow_up.index("FINISH")
    assert last[0][1].startswith("You are this person: ")
    assert "one part of your goal" in last[0][1]

    memory = told.contents("responder", 1)
    assert memory[1:] == [("user", "First?"), ("assistant", "Answer 1."), ("user", "Second?")]
    assert memory[0][0] == "system"
    assert all(goal not in text and "FINISH" not in text for _, text in memory)


@pytest.mark.parametrize("last", ["FINISH. I know it all", '"Good." FINISH', "**FINISH**"])
def test_the_token_at_the_beginning_or_the_end_stops_it(last: str, tmp_path: Path) -> None:
    (dialogue,) = play(tmp_path, Told(['"One?"', last])).conversations()
    assert (len(dialogue.turns), dialogue.ended) == (2, "goal")


def test_the_token_within_does_not_stop_it_and_a_limit_of_turns_does(tmp_path: Path) -> None:
    told = Told([f'"How do I FINISH part {n}?"' for n in range(9)])
    (dialogue,) = play(tmp_path, told, max_turns=3).conversations()
    assert (len(dialogue.turns), dialogue.ended) == (6, "max_turns")
    assert len(told.asked["inquirer"]) == 3


def test_outputs_are_made_anew_a_bounded_number_of_times_and_counted(tmp_path: Path) -> None:
    told = Told(["no quotes", "FINISH", '"Now?"', "FINISH"], ["so it goes " * 9, "Fine."])
    (dialogue,) = play(tmp_path, told).conversations()
    assert [turn.text for turn in dialogue.turns] == ["Now?", "Fine."]
    assert dialogue.turns[0].reasks == ["no_prompt", "no_prompt"]
    assert dialogue.turns[1].reasks == ["incoherent_responder"]
    counts = dialogue.context["counts"]
    assert counts["inquirer_outputs"] == 4
    assert counts["responder_outputs"] == 2
    assert (counts["no_prompt"], counts["incoherent_responder"]) == (2, 1)
    assert counts["regenerated"] == 3
    assert told.temperatures("inquirer") == [1.0, 0.7, 0.4, 1.0]
    assert told.temperatures("responder") == [1.0, 1.3]


@pytest.mark.parametrize(
    ("inquirer", "responder", "kind"),
    [
        (["no quotes"] * 3, [], "no_prompt"),
        (['"' + "and so on " * 9 + '"'] * 3, [], "incoherent_inquirer"),
        (['"One?"'], ["and so on " * 9] * 3, "incoherent_responder"),
        (['"One?"'], [" "] * 3, "empty_response"),
    ],
)
def test_a_dialogue_without_an_exchange_is_a_failure_on_record(
    inquirer: list[str], responder: list[str], kind: str, tmp_path: Path
) -> None:
    result = play(tmp_path, Told(inquirer, responder))
    assert not list(result.conversations())
    (failure,) = result.failures()
    assert (failure.kind, failure.stage) == (kind, "turn 1")
    assert failure.counts is not None
    assert (failure.counts[kind], failure.counts["regenerated"]) == (3, 2)
    assert failure.message.endswith("(attempts: 3)")
    assert failure.usage is not None
    assert result.manifest["complete"] is True


LATE: list[tuple[list[str], list[str], str, list[str]]] = [
    (["no quotes"] * 3, [], "no_prompt", ["no_prompt"] * 3),
    (["and so on " * 9] * 3, [], "no_prompt", ["no_prompt"] * 3),
    (['"' + "and so on " * 9 + '"'] * 3, [], "incoherent", ["incoherent_inquirer"] * 3),
    (['"Two?"'], ["and so on " * 9] * 3, "incoherent", ["incoherent_responder"] * 3),
    (['"Two?"'], [" "] * 3, "empty_response", ["empty_response"] * 3),
]


@pytest.mark.parametrize(("inquirer", "responder", "ended", "refused"), LATE)
def test_a_dialogue_that_breaks_late_stands_as_far_as_it_came(
    inquirer: list[str], responder: list[str], ended: str, refused: list[str], tmp_path: Path
) -> None:
    """Algorithm 1 ends the loop, and the dialogue D is kept."""
    told = Told(['"One?"', *inquirer], ["Uno.", *responder])
    (dialogue,) = play(tmp_path, told).conversations()
    assert [turn.text for turn in dialogue.turns] == ["One?", "Uno."]
    assert (dialogue.ended, dialogue.refused) == (ended, refused)
    assert dialogue.context["counts"]["regenerated"] == 2


@pytest.mark.parametrize(("inquirer", "responder", "ended", "refused"), LATE)
def test_it_is_a_failure_for_who_wants_whole_dialogues(
    inquirer: list[str], responder: list[str], ended: str, refused: list[str], tmp_path: Path
) -> None:
    told = Told(['"One?"', *inquirer], ["Uno.", *responder])
    (failure,) = play(tmp_path, told, broken="drop").failures()
    assert (failure.kind, failure.stage) == (refused[-1], "turn 2")


def test_without_regenerations_a_late_failure_ends_it_at_once(tmp_path: Path) -> None:
    told = Told(['"One?"', "no quotes"])
    (dialogue,) = play(tmp_path, told, regenerations=0).conversations()
    assert (dialogue.ended, dialogue.refused) == ("no_prompt", ["no_prompt"])
    assert len(told.asked["inquirer"]) == 2


@pytest.mark.parametrize("kind", ["content_filter", "refusal", "bad_request"])
def test_what_an_endpoint_refuses_late_ends_it(kind: str, tmp_path: Path) -> None:
    told = Told(['"One?"', '"Two?"'])

    def script(request: Request) -> str:
        if len(told.asked["responder"]) == 1 and request.role == "responder":
            raise ModelFault(kind, "not this")
        return told(request)

    (dialogue,) = play(tmp_path, script).conversations()
    assert [turn.text for turn in dialogue.turns] == ["One?", "Answer 1."]
    assert (dialogue.ended, dialogue.refused) == (kind, [kind])


TABLE = """| race | speed |
| --- | --- | --- | --- | --- | --- |
| 50 m | 6 |
| --- | --- | --- | --- | --- | --- |"""
CODE = "Here:\n```python\n" + "t.forward(90)\nt.left(90)\n" * 6 + "```\nRun it."


@pytest.mark.parametrize("response", [TABLE, CODE, "Well ... - - - - - - - done."])
def test_code_tables_and_punctuation_are_counted_but_end_nothing(
    response: str, tmp_path: Path
) -> None:
    """The counts follow Algorithm 2 literally, but the dialogue continues."""
    told = Told(['"One?"', '"Two?"', "FINISH"], [response, "Fine."])
    (dialogue,) = play(tmp_path, told, regenerations=0).conversations()
    assert (len(dialogue.turns), dialogue.ended) == (4, "goal")
    assert dialogue.turns[1].text == response
    assert dialogue.turns[1].faults == ["incoherent_responder"]
    assert dialogue.context["counts"]["incoherent_responder"] == 1


def test_an_inquirer_may_send_code_that_repeats_itself(tmp_path: Path) -> None:
    told = Told([f'"Why? {CODE}"', "FINISH"])
    (dialogue,) = play(tmp_path, told, regenerations=0).conversations()
    assert dialogue.turns[0].text == f"Why? {CODE}"
    assert dialogue.turns[0].faults == ["incoherent_inquirer"]


def test_faults_stand_on_the_turn_they_were_taken_from(tmp_path: Path) -> None:
    told = Told(['"One?"', '"How?" or "Why?"', '"Thank you!"', "FINISH"])
    (dialogue,) = play(tmp_path, told).conversations()
    found = [turn.faults for turn in dialogue.turns]
    assert found == [None, None, ["several_prompts"], None, ["stop_missed"], None]


def test_without_regenerations_the_first_failure_ends_it(tmp_path: Path) -> None:
    told = Told(["no quotes"])
    (failure,) = play(tmp_path, told, regenerations=0).failures()
    assert failure.counts == {"inquirer_outputs": 1, "regenerated": 0, "no_prompt": 1}
    assert len(told.asked["inquirer"]) == 1


def test_what_can_be_used_is_used_and_counted(tmp_path: Path) -> None:
    said = ['"How?" or "Why?"', '"When?" [/INST] "Now."', '"Thanks, you\'re a lifesaver!"']
    (dialogue,) = play(
        tmp_path, Told([*said, "FINISH"]), responder_family="llama-2"
    ).conversations()
    prompts = [turn.text for turn in dialogue.turns if turn.speaker == "user"]
    assert prompts == ["How?", "When?", "Thanks, you're a lifesaver!"]
    counts = dialogue.context["counts"]
    found = {name: counts[name] for name in ("several_prompts", "self_reply", "stop_missed")}
    assert found == {"several_prompts": 2, "self_reply": 1, "stop_missed": 1}
    assert counts["regenerated"] == 0


def test_an_answer_of_its_own_does_not_stop_it_and_what_stops_it_is_counted(
    tmp_path: Path,
) -> None:
    told = Told(['"One?"', '"Two?" [/INST] "Two. FINISH"', 'FINISH [/INST] "No" or "yes" FINISH'])
    (dialogue,) = play(tmp_path, told, responder_family="llama-2").conversations()
    assert [turn.text for turn in dialogue.turns[::2]] == ["One?", "Two?"]
    assert dialogue.ended == "goal"
    counts = dialogue.context["counts"]
    assert (counts["inquirer_outputs"], counts["self_reply"]) == (3, 2)
    assert counts["several_prompts"] == 2
    assert not {"no_prompt", "stop_missed"} & set(counts)


@pytest.mark.parametrize("token", ['"FINISH."', '"FINISH!" then', '"*FINISH*"'])
def test_no_chatbot_is_told_the_token_first(token: str, tmp_path: Path) -> None:
    told = Told([token, '"One?"', "FINISH"])
    (dialogue,) = play(tmp_path, told).conversations()
    assert [turn.text for turn in dialogue.turns[::2]] == ["One?"]
    assert dialogue.turns[0].reasks == ["no_prompt"]


def test_thanks_without_end_are_ended(tmp_path: Path) -> None:
    told = Told(['"How?"', *['"Thank you!"'] * 5], ["So.", *["You're welcome!"] * 5])
    (dialogue,) = play(tmp_path, told, max_turns=9).conversations()
    assert (len(dialogue.turns), dialogue.ended) == (6, "thanking")
    assert dialogue.context["counts"]["thanking"] == 1


def test_a_family_without_a_system_message_is_told_in_its_first_message(tmp_path: Path) -> None:
    told = Told(['"One?"', '"Two?"', "FINISH"])
    play(tmp_path, told, inquirer_family="mixtral", responder_family="vicuna")
    asks, answers = told.contents("inquirer", 2), told.contents("responder", 1)
    assert [role for role, _ in asks] == ["user", *["assistant", "user"] * 2]
    assert [role for role, _ in answers] == ["user", "assistant", "user"]
    assert answers[0][1].endswith("\n\nOne?")
    assert answers[2][1] == "Two?"


def test_a_small_model_is_shown_examples(tmp_path: Path) -> None:
    told = Told(['"One?"', "FINISH"])
    play(tmp_path, told, inquirer_family="small")
    assert any(role == "assistant" for role, _ in told.contents("inquirer", 0))


@pytest.mark.parametrize(
    ("inquirer", "responder", "reason"),
    [
        (['"One?"', '"Oh sh1t, two?"', "FINISH"], [], "turn 3, user: 'shit' is on the word list"),
        (['"One?"', "FINISH"], ["$hit happens."], "turn 2, assistant: 'shit' is on the word list"),
        (['"One?"', "FINISH"], ["Yes."], None),
    ],
)
def test_the_guard_reads_both_sides(
    inquirer: list[str], responder: list[str], reason: str | None, tmp_path: Path
) -> None:
    result = play(tmp_path, Told(inquirer, responder), gates=["safety"])
    assert [one.reason for one in result.rejected()] == ([reason] if reason else [])
    assert len(list(result.conversations())) == (0 if reason else 1)
    assert result.manifest["complete"] is True


@pytest.mark.parametrize(("side", "unsafe"), [("user", "One?"), ("assistant", "Answer 1.")])
def test_a_guard_model_is_shown_both_sides(side: str, unsafe: str, tmp_path: Path) -> None:
    told = Told(['"One?"', "FINISH"])

    def script(request: Request) -> str:
        if request.role != "guard":
            return told(request)
        return "unsafe\nS1" if unsafe in request.messages[-1].content else "safe"

    (rejected,) = play(tmp_path, script, gates=["guard"]).rejected()
    assert unsafe in [turn.text for turn in rejected.conversation.turns if turn.speaker == side]


def test_the_plan_is_every_persona_with_every_goal_and_failures_take_no_other_place(
    tmp_path: Path,
) -> None:
    def script(request: Request) -> str:
        if request.role == "responder":
            return "Well."
        poem = any("poem" in one.content for one in request.messages)
        return "none" if poem else '"One?"'

    plan = {"personas": 3, "goals": ["cat-poem", "unicorn"], "n": 50, "max_turns": 1}
    result = play(tmp_path, script, **plan)
    assert [one.task for one in result.conversations()] == [1, 3, 5]
    assert [one.task for one in result.failures()] == [0, 2, 4]
    assert len({one.personas[0].text for one in result.experiences()}) == 3
    assert result.manifest["complete"] is True
    assert experiment(**plan).n == 6


def test_people_may_be_of_a_hub(tmp_path: Path) -> None:
    (tmp_path / "hub.jsonl").write_text('{"persona": "a baker"}\n{"persona": "a pilot"}\n', "utf-8")
    hub = {"persona_source": str(tmp_path / "hub.jsonl"), "personas": 2}
    told = Told(['"One?"', "FINISH"] * 2)
    result = play(tmp_path / "run", told, concurrency=1, max_turns=1, **hub)
    assert {one.personas[0].text for one in result.experiences()} == {"a baker", "a pilot"}
    with pytest.raises(SourceError, match=r"3 personas requested, but the source has only 2"):
        _ = experiment(**{**hub, "personas": 3}).fingerprint


def test_goals_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "goals.yaml"
    own.write_text(
        "goals: [{name: tea, goal: You want tea.}, {name: rum, goal: And rum.}]", "utf-8"
    )
    told = Told(['"One?"', "FINISH"])
    result = play(tmp_path / "run", told, goals_file=str(own), goals=("rum",))
    assert [one.situation for one in result.experiences()] == ["And rum."]


@pytest.mark.parametrize(
    ("text", "goals", "said"),
    [
        (None, ["tea"], "goals: 'tea' is not known; allowed: race-times, run-walk-skip"),
        (None, 11, "goals: 11 requested, but only 10 are shipped"),
        ("goals: [{name: a}]", None, "goal 1: goal: is missing"),
        ("goals: [{name: a, goal: tea}, {name: a, goal: rum}]", None, "have the same name"),
        ("goals: 3", None, "must contain a `goals` list"),
        (
            "goals: [7]",
            None,
            "own.yaml: goal 1: 7 is not a goal; a goal must have a `name` and a `goal`",
        ),
        (
            "goals: [tea, [rum]]",
            None,
            "goal 2: ['rum'] is not a goal; a goal must have a `name` and a `goal`",
        ),
        ("goals: [tea, ru]", None, "goal 2: goal: must have 3 or more characters"),
        ("{", None, "cannot be read"),
    ],
)
def test_goals_that_are_none_are_named(
    text: str | None, goals: object, said: str, tmp_path: Path
) -> None:
    given: dict[str, object] = {"goals": goals}
    if text is not None:
        (tmp_path / "own.yaml").write_text(text, "utf-8")
        given["goals_file"] = str(tmp_path / "own.yaml")
    with pytest.raises(SourceError) as error:
        _ = experiment(**given).fingerprint
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("goals", 0, "must be 1 or more"),
        ("goals", [], "is empty; leave it out"),
        ("features", ["hair"], "'age'"),
        ("inquirer_family", "bard", "'vicuna'"),
        ("persona_field", "text", "requires a persona_source"),
        ("stop_token", "", "stop_token"),
    ],
)
def test_wrong_parameters_are_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ExperimentError) as error:
        experiment(**{key: value})
    assert said in str(error.value)


def test_features_are_a_set() -> None:
    given = experiment(features=["race", "age", "race"])
    assert isinstance(given.method, Roleplay)
    assert given.method.features == ("age", "race")
    assert given.fingerprint == experiment(features=["age", "race"]).fingerprint


def test_the_shipped_goals_are_ten_over_three_domains() -> None:
    goals = Roleplay().wanted
    assert len({one.name for one in goals}) == 10
    assert {one.domain for one in goals} == {"maths", "coding", "general knowledge"}


PAPERS = [f"roleplay-{name}" for name in ("gpt4", "llama-2", "mixtral", "vicuna")]


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_experiments_are_run_as_in_the_paper(name: str) -> None:
    """Appendix B: the models' own defaults, limits of 1k and 4k tokens, and failures that end a
    dialogue."""
    given = Experiment.load(name)
    assert isinstance(given.method, Roleplay)
    assert (given.method.regenerations, given.method.broken) == (0, "keep")
    for role, tokens in (("inquirer", 1000), ("responder", 4000)):
        assert given.sampling(role).model_dump(exclude_none=True) == {"max_tokens": tokens}


@pytest.mark.parametrize("name", PAPERS)
def test_an_experiment_that_sends_no_temperature_is_the_same_once_written(
    name: str, tmp_path: Path
) -> None:
    given = Experiment.load(name)
    (tmp_path / "again.yaml").write_text(given.to_yaml(), "utf-8")
    assert Experiment.load(tmp_path / "again.yaml").fingerprint == given.fingerprint


@pytest.mark.parametrize("name", [n for n in shipped_experiments() if n.startswith("roleplay-")])
def test_the_shipped_role_plays_are_guarded(name: str) -> None:
    """The paper's data are guarded as well."""
    assert [gate.name for gate in Experiment.load(name).gates] == ["safety"]


def test_the_inquirer_is_asked_first_what_is_open_and_told_last_how_to_stop(tmp_path: Path) -> None:
    """The persona is in a system message, and no request begins with the way to stop."""
    asked: list[Request] = []

    def script(request: Request) -> str:
        if request.role == "inquirer":
            asked.append(request)
        return '"how fast was I?"' if request.role == "inquirer" else f"Answer {len(asked)}."

    experiment = Experiment.load("roleplay-gpt4", {"n": 1, "max_turns": 2, "models": "scripted"})
    run(experiment, tmp_path / "run", open_model=lambda _: ScriptedModel(script))
    identity, opening, _, forward = asked[1].messages
    assert (identity.role, opening.role, forward.role) == ("system", "user", "user")
    assert identity.content.startswith("You are this person: ")
    for words in ("at your keyboard", "your own command of English", "one part of your goal"):
        assert words in identity.content
    assert "FINISH" in identity.content.splitlines()[-1]
    assert "FINISH" not in opening.content
    place = forward.content.index
    assert place("still open") < place("in double quotes") < place("FINISH")
    assert "FINISH" in forward.content.splitlines()[-1]
