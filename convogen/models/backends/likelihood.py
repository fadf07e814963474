"""Likelihoods of texts under a model: log-probabilities of continuations after a prefix.

A request with `continuations` asks for the likelihood of each one after its single message, instead
of a chat reply. Local models (`transformers:NAME`, GGUF files) are called directly; endpoints
through `/completions`, if they echo the prompt's log-probabilities (vLLM, SGLang). The result is
the reply's text, so it is journalled and recorded like any other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, cast

from convogen.errors import ModelFault
from convogen.models.base import ModelReply, Request
from convogen.records import Usage

__all__ = [
    "Likelihood",
    "Likelihoods",
    "completions_body",
    "read_completions",
    "read_likelihoods",
]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The natural log-probability of a text, summed over its `tokens`."""

    logprob: float
    tokens: int

    def __add__(self, other: Likelihood) -> Likelihood:
        return Likelihood(self.logprob + other.logprob, self.tokens + other.tokens)

    @property
    def per_token(self) -> float:
        """The mean log-probability per token; 0 for an empty text."""
        return self.logprob / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """The likelihoods of a prefix and of each continuation given it.

    The very first token has no likelihood. Of a prefix longer than the context, the end is used.
    """

    prefix: Likelihood
    continuations: list[Likelihood]

    def to_reply(self, prompt_tokens: int) -> ModelReply:
        """Return a reply that encodes them, with log-probabilities rounded to 6 decimals."""
        pairs = [[round(one.logprob, 6), one.tokens] for one in (self.prefix, *self.continuations)]
        return ModelReply(json.dumps(pairs), Usage(prompt_tokens=prompt_tokens), "stop")


def read_likelihoods(text: str, n: int) -> Likelihoods:
    """Return the likelihoods of `n` continuations in a reply's text.

    Raises `ModelFault` of kind `no_likelihoods` if there are none.
    """
    try:
        pairs = cast("list[Any]", json.loads(text))
        likelihoods = [Likelihood(float(logprob), int(tokens)) for logprob, tokens in pairs]
    except (ValueError, TypeError, RecursionError):
        likelihoods = []
    if len(likelihoods) != n + 1 or not all(
        isfinite(likelihood.logprob) for likelihood in likelihoods
    ):
        raise ModelFault("no_likelihoods", "the model gave no likelihoods of given texts", text)
    return Likelihoods(likelihoods[0], likelihoods[1:])


def completions_body(request: Request) -> dict[str, Any]:
    """Return the body of a `/completions` call that echoes all texts with log-probabilities.

    One token, the minimum that all endpoints accept, is generated and discarded.
    """
    prefix = request.messages[0].content
    prompts = [prefix + continuation for continuation in request.continuations]
    return {
        "model": request.model,
        "prompt": prompts,
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "temperature": 0.0,
    }


def read_completions(answer: object, continuations: Sequence[str]) -> ModelReply:
    """Return the likelihoods in the JSON of an endpoint's response.

    The beginning of a continuation is found by matching token strings from the end. Raises
    `ModelFault` of kind `no_likelihoods` for a response without them.
    """
    try:
        body = cast("dict[str, Any]", answer)
        choices = sorted(body["choices"], key=lambda choice: choice["index"])
        read = [_read_choice(choice["logprobs"]) for choice in choices]
        parts = [_split(one, text) for one, text in zip(read, continuations, strict=True)]
        usage = cast("dict[str, Any]", body.get("usage") or {})
        asked = int(usage.get("prompt_tokens") or sum(len(one) for one in read))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = "the endpoint gave no log-probabilities of a given text"
        raise ModelFault("no_likelihoods", said, repr(error)) from error
    return Likelihoods(parts[0][0], [after for _, after in parts]).to_reply(asked)


def _read_choice(logprobs: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the tokens with log-probabilities, without the first, which has none, and the
    generated one."""
    tokens = [str(token) for token in logprobs["tokens"]]
    values = list(logprobs["token_logprobs"])
    if len(tokens) != len(values) or len(tokens) < 3:
        raise ValueError("no echo")
    return [(token, float(value)) for token, value in list(zip(tokens, values, strict=True))[1:-1]]


def _split(tokens: list[tuple[str, float]], ending: str) -> tuple[Likelihood, Likelihood]:
    """Return the likelihood of the text before the ending and that of the ending."""
    start, spelt = len(tokens), ""
    while len(spelt) < len(ending):
        start -= 1
        if start < 0:
            raise ValueError("the echo is shorter than the requested text")
        spelt = tokens[start][0] + spelt
    if not spelt.endswith(ending):
        raise ValueError("the echo is not the requested text")
    return _summed(tokens[:start]), _summed(tokens[start:])


def _summed(tokens: Sequence[tuple[str, float]]) -> Likelihood:
    return Likelihood(sum(value for _, value in tokens), len(tokens))
