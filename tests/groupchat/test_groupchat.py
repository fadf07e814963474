"""The group chat on AutoGen, driven by the scripted model."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from autogen_core import SingleThreadedAgentRuntime

from convogen.errors import ModelFault
from convogen.generation.example_experiences import in_languages, load_experiences
from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Message, ModelReply, Request, Sampling, TokenLogprob
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.prompts import load_prompt
from convogen.records import Experience, Turn, Usage

EXPERIENCES = {len(e.personas): e for e in in_languages(load_experiences(), ["en"])}
PROMPTS = ChatPrompts.of(
    {step: load_prompt(f"convogen/{step}") for step in (*ChatPrompts.STEPS, "addressed")}
)


def play(
    script: Callable[[Request], str | ModelReply] = improvise,
    experience: Experience = EXPERIENCES[3],
    **changes: object,
) -> tuple[list[Turn], str]:
    rules: dict[str, object] = {
        "max_turns": 8,
        "speaker_selection": "auto",
        "allow_repeats": False,
        "max_words": 25,
        "reasks": 2,
    }
    model = ScriptedModel(script)
    spec = ModelSpec(name="scripted")
    roles = {name: Role(spec, Sampling()) for name in ("agent", "selector")}
    chat_rules = ChatRules(**(rules | changes))  # type: ignore[arg-type]

    async def played(journal: Journal) -> tuple[list[Turn], str]:
        session = Traffic(roles, 4, RunProgress(), lambda _: model).session(0, 1, journal)
        made = await play_group_chat(
            experience, chat_rules, prompts=PROMPTS, session=session, on_turn=lambda: None
        )
        return made.turns, made.ended

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "00000000.jsonl")
        return asyncio.run(asyncio.wait_for(played(journal), 20))


OVERRIDDEN = {
    "_try_serialize": "(self, message)",
    "_create_otel_attributes": (
        "(self, sender_agent_id, recipient_agent_id, message_context, message)"
    ),
    "_tracer_helper.trace_block": (
        "(operation, destination, parent, extraAttributes, kind, attributes, start_time, "
        "record_exception, set_status_on_exception, end_on_exit)"
    ),
}


@pytest.mark.parametrize("member", OVERRIDDEN)
def test_autogens_runtime_has_the_private_members_that_are_overridden(member: str) -> None:
    """AutoGen may rename them in any release, and its tracing would then silently return."""
    advice = f"AutoGen has another {member}: adapt convogen/groupchat/runtime.py to it"
    found: object = (
        SingleThreadedAgentRuntime if "." not in member else SingleThreadedAgentRuntime()
    )
    for name in member.split("."):
        found = getattr(found, name, None)
    assert callable(found), advice
    names = ", ".join(inspect.signature(found).parameters)
    assert f"({names})" == OVERRIDDEN[member], advice
    assert inspect.iscoroutinefunction(found) == (member == "_create_otel_attributes"), advice


def says(*replies: str) -> Callable[[Request], str]:
    """Return a script in which agents say these texts in turn and then improvise, like the
    selector."""
    left = list(replies)
    return lambda request: left.pop(0) if request.role == "agent" and left else improvise(request)


def test_the_starter_opens_and_the_cap_counts_it() -> None:
    turns, ended = play()
    starter = EXPERIENCES[3].starter
    assert (turns[0].speaker, turns[0].text, turns[0].origin) == (
        starter.speaker,
        starter.text,
        "starter",
    )
    assert (len(turns), ended) == (8, "max_turns")
    assert all(turn.origin == "agent" and turn.request for turn in turns[1:])


@pytest.mark.parametrize("max_turns", [1, 2, 3])
def test_small_caps(max_turns: int) -> None:
    assert len(play(max_turns=max_turns)[0]) == max_turns


def test_nobody_speaks_twice_in_a_row_unless_allowed() -> None:
    for size in (2, 3, 5):
        turns, _ = play(experience=EXPERIENCES[size])
        assert all(a.speaker != b.speaker for a, b in itertools.pairwise(turns))

    def stubborn(request: Request) -> str:
        return request.choices[0] if request.choices else improvise(request)

    turns, _ = play(stubborn, allow_repeats=True)
    assert len({turn.speaker for turn in turns[1:]}) == 1


def test_round_robin_goes_round_and_asks_no_selector() -> None:
    turns, _ = play(speaker_selection="round_robin", max_turns=7)
    speakers = [turn.speaker for turn in turns]
    assert speakers[:3] == speakers[3:6]
    assert len(set(speakers[:3])) == 3
    assert all(turn.selection is None for turn in turns)


def test_the_selectors_choice_is_followed_and_recorded() -> None:
    turns, _ = play()
    for turn in turns[1:]:
        assert turn.selection is not None
        assert turn.selection.repair is None
        assert turn.speaker in turn.selection.candidates


def test_a_selector_that_names_nobody_is_repaired_by_the_longest_silent() -> None:
    turns, _ = play(lambda r: "the weather" if r.choices else improvise(r), max_turns=7)
    speakers = [turn.speaker for turn in turns]
    assert speakers[:3] == speakers[3:6]
    assert len(set(speakers[:3])) == 3
    selections = [turn.selection for turn in turns[1:]]
    assert all(s and s.repair == "longest_silent" and s.reply == "the weather" for s in selections)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "empty_reply"),
        ("I'm sorry, but I can't assist with that request.", "refusal"),
        ("{others}: It was me.", "other_speaker"),
        ("My own words.\n{others}: Not mine.", "other_speaker"),
        ("*shrugs and walks away*", "stage_direction"),
        ('{"speaker": "me", "text": "It was me."}', "json"),
        ("{starter}", "echo"),
        ("word " * 80 + "end.", "loop"),
    ],
)
def test_a_bad_reply_is_asked_for_again_with_the_reason_recorded(bad: str, why: str) -> None:
    starter = EXPERIENCES[2].starter
    bad = bad.replace("{others}", starter.speaker).replace("{starter}", starter.text)
    turns, ended = play(says(bad, "A good answer."), EXPERIENCES[2], max_turns=3)
    assert (turns[1].text, turns[1].reasks, ended) == ("A good answer.", [why], "max_turns")


def test_a_reply_far_longer_than_the_guideline_is_asked_for_again() -> None:
    words = " ".join(f"word{at}" for at in range(60)) + "."
    turns, _ = play(says(words, "Short enough."), EXPERIENCES[2], max_turns=2)
    assert (turns[1].text, turns[1].reasks) == ("Short enough.", ["too_long"])
    turns, _ = play(says(words), EXPERIENCES[2], max_turns=2, max_words=None)
    assert (turns[1].text, turns[1].reasks) == (words, [])
    turns, _ = play(says(words + " Yes.", words, words + " No."), EXPERIENCES[2], max_turns=2)
    assert (turns[1].text, turns[1].lapse) == (words, "too_long")
    assert turns[1].reasks == ["too_long", "too_long"]


def test_a_refusal_that_an_endpoint_reports_as_such_is_asked_for_again() -> None:
    left = [ModelFault("refusal", "the model refused", "no", billed=True)]

    def script(request: Request) -> str:
        if request.role == "agent" and left:
            raise left.pop()
        return improvise(request)

    turns, _ = play(script, EXPERIENCES[2], max_turns=2)
    assert turns[1].reasks == ["refusal"]


def test_a_turn_of_a_length_is_cut_after_whole_sentences_alone() -> None:
    def cut(request: Request) -> ModelReply:
        return ModelReply("We saw it on the hill and then we", Usage(), "length")

    turns, ended = play(cut, EXPERIENCES[2], max_turns=2, turn_words=(9, 8))
    assert (len(turns), ended) == (1, "cut_off")


def test_what_is_certain_is_tidied_and_recorded_without_asking_again() -> None:
    other = next(p for p in EXPERIENCES[2].personas if p.name != EXPERIENCES[2].starter.speaker)
    label = other.name.split()[0]
    said = f'<think>They want an answer.</think>{label}: "I never saw it."<|eot_id|>'
    turns, _ = play(says(said), EXPERIENCES[2], max_turns=2)
    assert (turns[1].text, turns[1].reasks) == ("I never saw it.", [])
    assert {"thinking", "label", "quotes", "template_tokens"} == set(turns[1].tidied)


def test_a_reply_that_is_cut_off_is_asked_for_again_and_in_the_end_taken_whole() -> None:
    def cut(request: Request) -> ModelReply:
        return ModelReply("I saw it. Then the oth", Usage(), "length")

    turns, ended = play(cut, EXPERIENCES[2], max_turns=2)
    assert (turns[1].text, turns[1].tidied, ended) == ("I saw it.", ["cut_off"], "max_turns")
    assert turns[1].reasks == ["cut_off", "cut_off"]


def test_the_complaint_is_shown_to_the_model_in_its_last_message() -> None:
    prompts: list[list[Message]] = []

    def script(request: Request) -> str:
        prompts.append(list(request.messages))
        return "" if len(prompts) == 1 else improvise(request)

    play(script, EXPERIENCES[2], max_turns=2)
    first, again = prompts
    assert again[:-1] == first[:-1]
    assert again[-1].role == "user"
    assert again[-1].content.startswith(first[-1].content)
    assert len(again[-1].content) > len(first[-1].content)


def test_a_chat_that_cannot_go_on_ends_with_the_reason() -> None:
    turns, ended = play(lambda r: "" if r.role == "agent" else improvise(r))
    assert (len(turns), ended) == (1, "empty_reply")


def test_saying_again_what_anyone_said_ends_the_chat_if_asking_again_does_not_help() -> None:
    same = "It is the same old story again."
    turns, ended = play(lambda r: same if r.role == "agent" else improvise(r))
    assert (len(turns), ended) == (2, "echo")


def test_a_farewell_loop_ends_the_chat() -> None:
    turns, ended = play(says("Nice talking.", "Goodbye!", "Bye, all.", "See you tomorrow."))
    assert (ended, len(turns)) == ("farewell", 5)


def test_what_is_said_is_checked_in_the_language_of_the_experience() -> None:
    german = EXPERIENCES[3].model_copy(update={"language": "de-CH"})
    goodbyes = says("Schön war es.", "Auf Wiedersehen!", "Tschüss!", "Bis morgen.")
    assert play(goodbyes, german)[1] == "farewell"
    assert play(goodbyes)[1] != "farewell"
    broken = says(*["Als KI-Sprachmodell kann ich dazu nichts sagen."] * 20)
    assert play(broken, german)[1] == "assistant_offer"


def test_a_speaker_who_goes_on_is_asked_by_the_user() -> None:
    """If repeats are allowed, a speaker may speak twice in a row; the last message is still the
    user's."""
    asked: list[list[Message]] = []

    def stubborn(request: Request) -> str:
        if request.choices:
            return request.choices[0]
        asked.append(list(request.messages))
        return improvise(request)

    play(stubborn, allow_repeats=True, max_turns=4)
    assert all(messages[-1].role == "user" for messages in asked)
    assert [messages[-2].role for messages in asked][1:] == ["assistant", "assistant"]


def fails(role: str, after: int) -> Callable[[Request], str]:
    """Return a script in which the calls of a role fail after a given number."""
    left = [after]

    def script(request: Request) -> str:
        if request.role == role:
            left[0] -= 1
            if left[0] < 0:
                raise ModelFault("content_filter", "cut", "evidence")
        return improvise(request)

    return script


def test_a_fault_of_the_model_comes_out_with_its_type() -> None:
    with pytest.raises(ModelFault) as fault:
        play(fails("agent", 2))
    assert (fault.value.kind, fault.value.evidence) == ("content_filter", "evidence")


def test_a_fault_of_the_model_ends_a_chat_of_which_half_stands() -> None:
    turns, ended = play(fails("agent", 3))
    assert (len(turns), ended) == (4, "content_filter")


def test_a_selector_that_fails_is_repaired_like_one_that_names_nobody() -> None:
    turns, ended = play(fails("selector", 0), max_turns=4)
    assert (len(turns), ended) == (4, "max_turns")
    assert all(turn.selection and turn.selection.repair for turn in turns[1:])


def test_a_selector_that_has_chosen_may_fail_or_fall_silent() -> None:
    def script(request: Request) -> str:
        said = improvise(request)
        if request.role != "selector" or "has not spoken yet" in f"{request.messages}":
            return said
        if len(request.messages[-1].content) % 2:
            raise ModelFault("endpoint_fault", "boom")
        return ""

    turns, ended = play(script, max_turns=8)
    assert (len(turns), ended) == (8, "max_turns")


def test_a_reply_without_fault_is_taken_before_one_that_was_cut_off() -> None:
    whole = "I already told him the rent is due on Friday, and he laughed."
    left: list[str | ModelReply] = [ModelReply("Well. I thi", Usage(), "length"), whole]

    def script(request: Request) -> str | ModelReply:
        return left.pop(0) if request.role == "agent" and left else improvise(request)

    turns, _ = play(script, EXPERIENCES[2], max_turns=2)
    assert (turns[1].text, turns[1].reasks, turns[1].tidied) == (whole, ["cut_off"], [])


def test_an_agents_request_begins_with_all_of_its_last_one() -> None:
    """The prompt cache of an endpoint can then be used for each agent."""
    asked: dict[str, list[str]] = {}

    def script(request: Request) -> str:
        if request.role == "agent":
            text = "\n\n".join(message.content for message in request.messages)
            asked.setdefault(request.messages[0].content, []).append(text)
        return improvise(request)

    play(script, EXPERIENCES[3], max_turns=10)
    assert len(asked) == 3
    for own in asked.values():
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(own))


def test_a_finished_chat_frees_itself_and_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    """No part of a chat waits for the garbage collector, which would halt all other chats."""
    from convogen import Experiment, run
    from convogen.groupchat.agent import PersonaAgent

    wanted = {"n": 2, "models": "scripted", "max_turns": 4}
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        run(Experiment.load("GPFS-s", wanted), tmp_path / "run")
        # Compares types, because isinstance queries objects of other libraries, which may warn.
        assert not [one for one in gc.get_objects() if type(one) is PersonaAgent]
    finally:
        gc.enable()
    assert gc.get_threshold() == before


def offers(*replies: tuple[str, float]) -> Callable[[Request], str | ModelReply]:
    """Return a script whose first replies are these, with the given log-probability per token."""
    left = list(replies)

    def script(request: Request) -> str | ModelReply:
        if request.role != "agent" or not left:
            return improvise(request)
        text, likely = left.pop(0)
        tokens = tuple(TokenLogprob(word, likely) for word in text.split())
        return ModelReply(text, Usage(), "stop", logprobs=tokens)

    return script


def test_of_several_candidates_the_likeliest_without_a_fault_is_taken() -> None:
    starter = EXPERIENCES[2].starter
    script = offers(
        (starter.text, -0.1),
        ("The rent is due on Friday.", -2.0),
        ("My sister has the key to the cellar.", -1.0),
        (f"{starter.speaker}: It was me.", -0.2),
    )
    turns, _ = play(script, EXPERIENCES[2], max_turns=3, candidates=4)
    assert turns[1].text == "My sister has the key to the cellar."
    assert turns[1].candidates == ["echo", "", "", "other_speaker"]
    assert turns[1].reasks == []
    assert turns[2].candidates == ["", "", "", ""]
    assert turns[0].candidates == []


def test_candidates_of_an_endpoint_without_likelihoods_are_taken_as_they_come() -> None:
    turns, _ = play(says("One thing.", "Another thing."), EXPERIENCES[2], max_turns=2, candidates=2)
    assert (turns[1].text, turns[1].candidates) == ("One thing.", ["", ""])


def test_where_all_candidates_are_faulty_all_are_asked_for_again() -> None:
    echo = EXPERIENCES[2].starter.text
    said = says(echo, "*shrugs*", "A good answer.", echo)
    turns, _ = play(said, EXPERIENCES[2], max_turns=2, candidates=2)
    assert (turns[1].text, turns[1].reasks) == ("A good answer.", ["echo"])
    assert turns[1].candidates == ["echo", "stage_direction", "", "echo"]


def test_a_candidate_without_an_answer_costs_none_of_the_others() -> None:
    left: list[str | ModelFault] = [
        ModelFault("content_filter", "boom"),
        EXPERIENCES[2].starter.text,
        "The rent is due on Friday.",
    ]

    def script(request: Request) -> str:
        said = left.pop(0) if request.role == "agent" and left else improvise(request)
        if isinstance(said, ModelFault):
            raise said
        return said

    turns, _ = play(script, EXPERIENCES[2], max_turns=2, candidates=3)
    assert turns[1].text == "The rent is due on Friday."
    assert turns[1].candidates == ["content_filter", "echo", ""]


def test_a_turn_of_which_no_candidate_is_answered_fails_as_a_single_one_does() -> None:
    with pytest.raises(ModelFault) as fault:
        play(fails("agent", 1), candidates=3)
    assert fault.value.kind == "content_filter"


def test_what_is_complained_of_is_a_reply_if_there_is_one() -> None:
    left: list[str | ModelFault] = [
        ModelFault("content_filter", "boom"),
        EXPERIENCES[2].starter.text,
    ]

    def script(request: Request) -> str:
        said = left.pop(0) if request.role == "agent" and left else improvise(request)
        if isinstance(said, ModelFault):
            raise said
        return said

    turns, ended = play(script, EXPERIENCES[2], max_turns=2, candidates=2)
    assert (turns[1].reasks, ended) == (["echo"], "max_turns")


def test_one_candidate_is_asked_for_without_likelihoods_and_leaves_no_trace() -> None:
    asked: list[int | None] = []

    def script(request: Request) -> str:
        if request.role == "agent":
            asked.append(request.top_logprobs)
        return improvise(request)

    turns, _ = play(script, EXPERIENCES[2], max_turns=3)
    assert asked == [None, None]
    assert all("candidates" not in turn.model_dump(exclude_defaults=True) for turn in turns)
    play(script, EXPERIENCES[2], max_turns=2, candidates=2)
    assert asked[2:] == [1, 1]


def test_agents_say_whom_they_address_if_asked() -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        if request.role != "agent":
            return improvise(request)
        asked.append(request)
        assert request.schema is not None
        others = request.schema["properties"]["to"]["enum"]
        replies = {
            1: json.dumps({"to": others[0], "text": "We should leave before noon."}),
            2: json.dumps({"to": "ALL", "text": "It rains all day anyway."}),
            3: json.dumps({"to": "Nobody Here", "text": "My umbrella is at the office."}),
        }
        return replies.get(len(asked), "Then I will walk there alone.")

    turns, _ = play(script, EXPERIENCES[3], max_turns=5, addressees=True)
    first = next(iter(asked[0].schema["properties"]["to"]["enum"]))  # type: ignore[index]
    assert [turn.addressee for turn in turns] == [None, first, "all", None, None]
    assert turns[1].text == "We should leave before noon."
    assert (
        turns[4].text == "Then I will walk there alone."
    )  # a reply without the object is accepted
    assert '"to" is whom' in asked[0].messages[-1].content
    assert first != turns[1].speaker


def test_agents_are_not_asked_whom_they_address_by_default() -> None:
    def script(request: Request) -> str:
        assert request.role != "agent" or request.schema is None
        return improvise(request)

    turns, _ = play(script)
    assert all(turn.addressee is None for turn in turns)
