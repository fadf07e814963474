"""The real embedded model, in this process and behind an ordinary endpoint.

It writes poor prose, so the checks hold whatever it writes. Reading a prompt takes most of the
time, so the people and the example in the prompts have few words.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from command_line import convogen_process
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment, Run, load_run, run
from convogen.errors import EndpointDown, ModelConfigError
from convogen.inputs.yaml12 import dump_yaml
from convogen.models.backends.gguf import (
    EmbeddedModel,
    find_gguf,
    narrowed,
    serve,
    without_cut_texts,
)
from convogen.models.base import Message, ModelReply, Request, Sampling
from convogen.models.spec import EMBEDDED, EMBEDDED_ADAPTER, ModelSpec
from convogen.records import Conversation
from convogen.text.lengths import cut_texts

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def base_url() -> str:
    """Return the address of this process's llama.cpp server, which ends with the process."""
    try:
        path = find_gguf(EMBEDDED)
    except ModelConfigError as error:
        pytest.skip(str(error))
    return serve(path)


NAMES = ("Ann", "Bo", "Cleo", "Dan", "Eva", "Finn")
CARD = {
    "age": 40,
    "gender": "any",
    "qualities": ["kind", "calm"],
    "lifestyle": "nurse",
    "speech_style": "plain",
    "recent_memory": "It rained.",
    "long_term_memory": "It snowed.",
}
EXAMPLE = {
    "personas": [{"name": "Gus", **CARD}, {"name": "Ida", **CARD}],
    "relations": "Old friends.",
    "situation": "They wait for a bus.",
    "topic": "a late bus",
    "acquainted": True,
    "starter": {"speaker": "Gus", "text": "Is it late?"},
}


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the settings for a persona hub and an example with as few words as possible."""
    folder = tmp_path_factory.mktemp("brief")
    people, example = folder / "people.jsonl", folder / "example.yaml"
    people.write_text("".join(json.dumps({"name": name, **CARD}) + "\n" for name in NAMES), "utf-8")
    example.write_text(dump_yaml(EXAMPLE), "utf-8")
    return {"persona_source": str(people), "experiences": str(example)}


DEMO = {"n": 2, "participants": 3, "max_turns": 3, "seed": 1}


@pytest.fixture(scope="module")
def demo(base_url: str, brief: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two conversations between three people, with four calls in flight."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    return run(Experiment.load("demo", {**DEMO, **brief, "concurrency": 4}), folder)


def check(result: Run, conversation: Conversation, people: int, max_turns: int) -> None:
    """Check that every part of a conversation comes from an answered call."""
    experience = next(e for e in result.experiences() if e.id == conversation.experience)
    names = [persona.name for persona in experience.personas]
    assert len(set(names)) == people
    assert conversation.participants == names
    for persona in experience.personas:
        assert persona.card is not None
        assert 1 <= persona.card.age <= 110
        assert 2 <= len(persona.card.qualities) <= 4
    assert experience.starter.speaker in names
    assert experience.usage is not None
    assert experience.usage.completion_tokens > 0
    opening, *replies = conversation.turns
    assert (opening.speaker, opening.text) == (experience.starter.speaker, experience.starter.text)
    assert 1 <= len(replies) <= max_turns - 1
    if conversation.ended == "max_turns":
        assert len(replies) == max_turns - 1
    before = opening.speaker
    for turn in replies:
        assert turn.text.strip()
        assert turn.speaker in names
        assert turn.speaker != before
        assert turn.origin == "agent"
        assert turn.usage is not None
        assert turn.usage.completion_tokens > 0
        before = turn.speaker
    assert not any((result.folder / "journal").iterdir())


def test_embedded_model_invents_selects_and_speaks(demo: Run) -> None:
    conversations = list(demo.conversations())
    assert len(conversations) == 2
    for conversation in conversations:
        check(demo, conversation, people=3, max_turns=3)
    for turn in (turn for conversation in conversations for turn in conversation.turns[1:]):
        selection = turn.selection
        assert selection is not None
        assert len(selection.candidates) == 2  # all but the last speaker
        assert turn.speaker in selection.candidates
        assert selection.repair is None  # a grammar restricts the model to the candidates
        assert selection.reply
        assert turn.model == EMBEDDED
    calls = list(demo.ledger())
    assert {call["role"] for call in calls} == {"generator", "selector", "agent"}
    assert {call["model"] for call in calls} == {EMBEDDED}
    assert {call["cached_tokens"] for call in calls} == {0}  # the number depends on earlier calls


def test_a_run_on_a_llama_cpp_server_as_an_ordinary_endpoint(
    base_url: str, brief: dict[str, str], tmp_path: Path
) -> None:
    """The run knows only a URL, a model name and llama.cpp's settings against loops.

    Without these settings, such a small model fills every text up to its bound, and the text is
    refused.
    """
    loops = "dry_multiplier: 1.2, dry_allowed_length: 2"
    settings = {
        **brief,
        "personas": "sampled",
        "sampling.generator.extra": f"{{{loops}, top_k: 30}}",
        "sampling.agent.extra": f"{{{loops}}}",
        "max_turns": 2,
        "participants": 2,
        "reasks": 2,
        "max_failures": 40,
        "sampling.generator.temperature": 0.7,
        "sampling.generator.max_tokens": 500,
        "sampling.agent.max_tokens": 40,
        "models.default.timeout_s": 600,
    }
    chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    ended = convogen_process(
        *("run", "GPIS-s", "--model", "smollm2", "--base-url", base_url, "--n", "1"),
        *(*chosen, "--concurrency", "4", "--out", tmp_path / "run"),
    )
    assert ended.status == 0, ended.err
    assert "1 of 1 conversation" in " ".join(ended.out.split())
    result = load_run(tmp_path / "run")
    (conversation,) = result.conversations()
    check(result, conversation, people=2, max_turns=2)
    assert {call["model"] for call in result.ledger()} == {"smollm2"}
    models = json.loads((tmp_path / "run" / "manifest.json").read_text())["models"]
    assert models["agent"] == {"name": "smollm2", "kind": "endpoint", "base_url": base_url}


def test_doctor_finds_what_the_llama_cpp_server_can(base_url: str) -> None:
    ended = convogen_process("doctor", "--model", "smollm2", "--base-url", base_url, "--json")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    assert report["reachable"] is True
    assert report["json_schema"] is True
    assert report["log_probabilities"] is True
    assert report["tokens_a_second"] > 0


# The same request, the same reply

FACTS = " ".join(f"Fact {i}: house {i} has {i * 7 % 12} windows." for i in range(5))
ALSO_ASKED = ("Who lives there?", "What is for dinner?")


def asked(*texts: str, adapter: bool = False) -> Request:
    """Return a chat with these texts, with log-probabilities to show differences that words may
    hide."""
    said = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    extra = {"adapter": EMBEDDED_ADAPTER} if adapter else None
    sampling = Sampling(temperature=0.8, max_tokens=8, seed=5, extra=extra)
    messages = (Message("system", FACTS), *said)
    return Request("agent", EMBEDDED, messages, sampling, top_logprobs=2)


def test_a_reply_depends_on_nothing_but_its_request(base_url: str) -> None:
    """It must not depend on earlier, concurrent or cancelled requests, or on what they left in
    the cache."""

    async def replies() -> list[ModelReply]:
        model = EmbeddedModel(ModelSpec(name=EMBEDDED))
        first = asked("How many windows?")
        longer = asked("How many windows?", "There are many.", "And doors?", adapter=False)
        alone = await model.complete(longer)
        said = await model.complete(first)
        grown = asked("How many windows?", said.text, "And doors?")
        after_growth = await model.complete(grown)
        again = await model.complete(longer)
        cut_off = asyncio.create_task(model.complete(grown))
        others = [model.complete(asked(text, adapter=True)) for text in ALSO_ASKED]
        beside = [model.complete(longer), model.complete(grown), model.complete(first)]
        await asyncio.sleep(0)
        cut_off.cancel()
        *_, longer_beside, grown_beside, first_beside = await asyncio.gather(*others, *beside)
        await model.close()
        assert model.reused_tokens > 0
        assert (said, after_growth) == (first_beside, grown_beside)
        return [alone, again, longer_beside]

    alone, again, beside = asyncio.run(replies())
    assert alone.logprobs
    assert alone == again == beside


class StoppedAfter:
    """The embedded model for a number of calls, after which the next call stops the run."""

    def __init__(self, calls: int) -> None:
        self._model = EmbeddedModel(ModelSpec(name=EMBEDDED))
        self._calls = calls

    async def complete(self, request: Request) -> ModelReply:
        if not self._calls:
            raise EndpointDown("stopped")
        self._calls -= 1
        return await self._model.complete(request)

    async def close(self) -> None:
        await self._model.close()


def test_an_interrupted_run_is_resumed_to_the_same_bytes(
    demo: Run, brief: dict[str, str], tmp_path: Path
) -> None:
    """The first conversation is the same with one call in flight or four, and one start or two."""
    parts = Experiment.load("demo", {**DEMO, **brief, "concurrency": 1})
    with pytest.raises(EndpointDown, match="stopped"):
        run(parts, tmp_path, pilot=1, open_model=lambda _: StoppedAfter(3))
    run(parts, tmp_path, pilot=1)
    for name in ("experiences", "conversations", "calls"):
        in_parts = (tmp_path / f"{name}.jsonl").read_bytes()
        whole = (demo.folder / f"{name}.jsonl").read_bytes()
        assert in_parts != b""
        assert whole != in_parts
        assert whole.startswith(in_parts)


# Features that only such a small model needs


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 70},
        "about": {"type": "string", "minLength": 40, "maxLength": 90},
        "texts": {"type": "array", "items": {"type": "string", "maxLength": 300}},
        "maxLength": {"type": "integer"},
        "choice": {"enum": ["a", "b"]},
    },
}


def test_bounds_are_narrowed_for_the_shipped_model() -> None:
    fields = narrowed(SCHEMA)["properties"]
    assert fields["name"]["maxLength"] == 20
    assert fields["about"] == {"type": "string", "minLength": 40, "maxLength": 40}
    assert fields["texts"]["items"]["maxLength"] == 75
    assert (fields["maxLength"], fields["choice"]) == ({"type": "integer"}, {"enum": ["a", "b"]})
    assert narrowed({"maxLength": 30}) == {"maxLength": 20}
    assert narrowed({"maxLength": 8}) == {"maxLength": 8}
    assert SCHEMA["properties"]["name"]["maxLength"] == 70  # type: ignore[index]


def test_what_the_narrow_bounds_cut_off_is_trimmed() -> None:
    schema = narrowed(SCHEMA)
    one = ("He was there. " + "and so on without an end " * 9)[:75]
    none = ("and so on without an end, " * 9)[:75]
    fine = ("x" * 73) + "."
    data = {"name": "Ada Wilhelmina Montg", "about": "short", "texts": [one, none, fine]}
    trimmed = json.loads(without_cut_texts(json.dumps(data), schema))
    assert trimmed["name"] == "Ada Wilhelmina"
    assert trimmed["texts"][0] == "He was there."
    assert trimmed["texts"][1].endswith("end, and so on without an.")
    assert (trimmed["texts"][2], trimmed["about"]) == (fine, "short")


@pytest.mark.parametrize("reply", ['{"name": "Ada', "well", '{"name":  "Ada"}', "[]", "1"])
def test_any_other_reply_is_left_as_it_is(reply: str) -> None:
    assert without_cut_texts(reply, narrowed(SCHEMA)) == reply


@given(st.dictionaries(st.sampled_from(["name", "about"]), st.text(max_size=60)))
def test_nothing_cut_leaves_the_backend(data: dict[str, str]) -> None:
    schema = narrowed(SCHEMA)
    kept = json.loads(without_cut_texts(json.dumps(data), schema))
    assert kept.keys() == data.keys()
    assert cut_texts(kept, schema) == []
