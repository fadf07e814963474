"""Likelihoods of texts from a checkpoint or an endpoint's echo, and endpoints without echo."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from endpoint_server import Answer, Asked, Bytes, EndpointServer, refuse, say

from convogen.errors import ModelConfigError, ModelFault
from convogen.models.backends.likelihood import Likelihoods, read_likelihoods
from convogen.models.base import Message, Request, Sampling
from convogen.models.opening import check_likelihoods, open_likelihoods, open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Role, Traffic

DIALOGUE = "Have you seen my keys?\nThey are in the kitchen.\n"


def ask(spec: ModelSpec, prefix: str, *continuations: str) -> Likelihoods:
    async def asking() -> Likelihoods:
        model = open_likelihoods(spec)
        message = (Message("user", prefix),)
        request = Request("judge", "m", message, Sampling(), continuations=continuations)
        reply = await model.complete(request)
        await model.close()
        return read_likelihoods(reply.text, len(continuations))

    return asyncio.run(asking())


def ask_in_turn(spec: ModelSpec, prefix: str, *asked: tuple[str, ...]) -> list[str]:
    """Return the replies of one model to requests with the same prefix."""

    async def asking() -> list[str]:
        model, message = open_likelihoods(spec), (Message("user", prefix),)
        requests = [
            Request("judge", "m", message, Sampling(), continuations=these) for these in asked
        ]
        replies = [(await model.complete(request)).text for request in requests]
        await model.close()
        return replies

    return asyncio.run(asking())


def check(spec: ModelSpec) -> None:
    async def checking() -> None:
        roles = {"judge": Role(spec, Sampling())}
        traffic = Traffic(roles, 1, RunProgress(), open_likelihoods)
        try:
            await check_likelihoods(traffic, "judge")
        finally:
            await traffic.close()

    asyncio.run(checking())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.causal(tmp_path_factory.mktemp("causal"))


class TestCheckpoint:
    def test_the_likelihoods_are_those_of_the_whole_text_read_at_once(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        endings = ("Thank you!", "I do not believe that they are in the kitchen.")
        found = ask(ModelSpec(name=f"transformers:{folder}"), DIALOGUE, *endings)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        before = [tokenizer.eos_token_id, *tokenizer(DIALOGUE).input_ids]
        for ending, likelihood in zip(endings, found.continuations, strict=True):
            after = tokenizer(ending).input_ids
            ids = torch.tensor([before + after])
            with torch.no_grad():
                logprobs = model(ids).logits[0, :-1].log_softmax(-1)
            each = logprobs.gather(-1, ids[0, 1:, None])[:, 0].double()
            assert likelihood.tokens == len(after)
            assert likelihood.logprob == pytest.approx(float(each[-len(after) :].sum()), abs=1e-4)
            assert found.prefix.tokens == len(before) - 1
            total = float(each[: -len(after)].sum())
            assert found.prefix.logprob == pytest.approx(total, abs=1e-4)

    def test_of_a_dialogue_longer_than_the_context_the_end_is_read(self, folder: Path) -> None:
        spec = ModelSpec(name=f"transformers:{folder}")
        long = ask(spec, DIALOGUE * 60, "Thank you!")
        longer = ask(spec, "Good morning.\n" + DIALOGUE * 60, "Thank you!")
        assert long == longer
        assert long.prefix.tokens < 256

    @pytest.mark.parametrize("make", [checkpoints.causal, checkpoints.causal_absolute])
    @pytest.mark.parametrize("times", [1, 60])
    def test_an_answer_does_not_depend_on_an_earlier_one_with_shorter_endings(
        self, make: Callable[[Path], Path], times: int, tmp_path: Path
    ) -> None:
        spec = ModelSpec(name=f"transformers:{make(tmp_path / 'checkpoint')}")
        short, long = ("No.",), ("Thank you!", "I do not believe that they are in the kitchen.")
        (alone,) = ask_in_turn(spec, DIALOGUE * times, long)
        assert ask_in_turn(spec, DIALOGUE * times, short, long, short)[1] == alone

    def test_an_ending_that_fills_the_context_is_the_models_fault(self, tmp_path: Path) -> None:
        spec = ModelSpec(name=f"transformers:{checkpoints.causal_absolute(tmp_path)}")
        with pytest.raises(ModelFault, match="context of 64 tokens"):
            ask(spec, DIALOGUE, "Thank you! " * 60)

    def test_it_answers_no_chat(self, folder: Path) -> None:
        with pytest.raises(ModelConfigError, match="cannot chat"):
            open_model(ModelSpec(name=f"transformers:{folder}"))

    def test_a_folder_without_a_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(ModelConfigError, match="transformers cannot load it"):
            check(ModelSpec(name=f"transformers:{tmp_path}"))

    def test_its_name_in_records_has_no_folder(self, folder: Path) -> None:
        assert ModelSpec(name=f"transformers:{folder}").identity == f"transformers:{folder.name}"
        assert ModelSpec(name="transformers:a/b").identity == "transformers:a/b"


def echo(asked: Asked, bos: bool = False) -> Answer:
    """Answer like vLLM: the tokens of each prompt, the first without a log-probability, and one
    more."""
    choices: list[dict[str, Any]] = []
    for at, prompt in enumerate(asked.body["prompt"]):
        tokens = [*(["<s>"] if bos else []), *re.findall(r"\s*\S+|\s+\Z", prompt), " and"]
        values = [None, *(-float(len(token)) for token in tokens[1:])]
        logprobs = {"tokens": tokens, "token_logprobs": values}
        choices.append({"index": at, "text": "".join(tokens), "logprobs": logprobs})
    return Bytes(json.dumps({"choices": choices[::-1]}).encode())


class TestEndpoint:
    @pytest.mark.parametrize("bos", [False, True])
    def test_an_echo_is_split_where_the_continuation_begins(
        self, bos: bool, endpoint: EndpointServer
    ) -> None:
        endpoint.script = lambda asked: echo(asked, bos)
        spec = ModelSpec(name="m", base_url=endpoint.base_url)
        check(spec)
        found = ask(spec, "One, two, «drei»", " four five", " six")
        assert [(one.logprob, one.tokens) for one in found.continuations] == [(-10.0, 2), (-4.0, 1)]
        assert found.prefix.tokens == (3 if bos else 2)
        assert endpoint.asked[-1].body["echo"] is True

    @pytest.mark.parametrize(
        "answer",
        [
            refuse(404, "no such route"),
            refuse(400, "echo is not supported"),
            say("a chat's answer"),
            Bytes(b'{"choices": [{"index": 0, "text": "and", "logprobs": null}]}'),
            Bytes(b'{"choices": [{"index": 0, "logprobs": {"tokens": [1], "token_logprobs": 3}}]}'),
            Bytes(b"[[[["),
        ],
    )
    def test_one_that_cannot_is_refused_saying_what_would_do(
        self, answer: Answer, endpoint: EndpointServer
    ) -> None:
        endpoint.script = lambda _: answer
        with pytest.raises(ModelConfigError, match=r"transformers:NAME.*vLLM"):
            check(ModelSpec(name="m", base_url=endpoint.base_url))
        assert len(endpoint.asked) == 1


@pytest.mark.parametrize("text", ["well", "[[1, 2]]", "[[1, 2], [NaN, 3]]", '[["a", 2], [1, 2]]'])
def test_replies_that_hold_none(text: str) -> None:
    with pytest.raises(ModelFault):
        read_likelihoods(text, 1)
