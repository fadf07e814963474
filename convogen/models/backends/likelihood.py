"""Likelihoods of texts under a model: log-probabilities of continuations after a prefix.

A request with `continuations` asks for the likelihood of each continuation after the single
message, not for a chat reply. Local models (`transformers:NAME`, GGUF files) are called directly.
Endpoints are called through `/completions` and must return the prompt's log-probabilities, as vLLM
and SGLang do. The text of the reply encodes the result, so it is recorded like any other reply.
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
    """The natural log-probability of a text, summed over its tokens, and the number of tokens."""

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
    """The likelihoods of a prefix and of each continuation given the prefix.

    The very first token has no likelihood. If a prefix exceeds the context, only its end is used.
    """

    prefix: Likelihood
    continuations: list[Likelihood]

    def to_reply(self, prompt_tokens: int) -> ModelReply:
        """Return a reply that encodes the log-probabilities, rounded to 6 decimals."""
        pairs = [[round(one.logprob, 6), one.tokens] for one in (self.prefix, *self.continuations)]
        return ModelReply(json.dumps(pairs), Usage(prompt_tokens=prompt_tokens), "stop")


def read_likelihoods(text: str, n: int) -> Likelihoods:
    """Decode the likelihoods of `n` continuations from the text of a reply.

    Raises:
        ModelFault: If the text does not contain these likelihoods; the kind is `no_likelihoods`.
    """
    try:
        pairs = cast("list[Any]", json.loads(text))
        likelihoods = [Likelihood(float(logprob), int(tokens)) for logprob, tokens in pairs]
    except (ValueError, TypeError, RecursionError):
        likelihoods = []
    if len(likelihoods) != n + 1 or not all(
        isfinite(likelihood.logprob) for likelihood in likelihoods
    ):
        raise ModelFault("no_likelihoods", "the model returned no likelihoods of given texts", text)
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
    """Return a reply that encodes the likelihoods in an endpoint's JSON response.

    The beginning of a continuation is found by matching token strings from the end.

    Raises:
        ModelFault: If the response contains no likelihoods; the kind is `no_likelihoods`.
    """
    try:
        body = cast("dict[str, Any]", answer)
        choices = sorted(body["choices"], key=lambda choice: choice["index"])
        read = [_read_choice(choice["logprobs"]) for choice in choices]
        parts = [_split(one, text) for one, text in zip(read, continuations, strict=True)]
        usage = cast("dict[str, Any]", body.get("usage") or {})
        asked = int(usage.get("prompt_tokens") or sum(len(one) for one in read))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = "the endpoint returned no log-probabilities of a given text"
        raise ModelFault("no_likelihoods", said, repr(error)) from error
    return Likelihoods(parts[0][0], [after for _, after in parts]).to_reply(asked)


def _read_choice(logprobs: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the tokens with their log-probabilities, except the first token, which has no
    log-probability, and the generated token."""
    tokens = [str(token) for token in logprobs["tokens"]]
    values = list(logprobs["token_logprobs"])
    if len(tokens) != len(values) or len(tokens) < 3:
        raise ValueError("no echo")
    return [(token, float(value)) for token, value in list(zip(tokens, values, strict=True))[1:-1]]


def _split(tokens: list[tuple[str, float]], ending: str) -> tuple[Likelihood, Likelihood]:
    """Return the likelihood of the text before the ending and the likelihood of the ending."""
    start, spelt = len(tokens), ""
    while len(spelt) < len(ending):
        start -= 1
        if start < 0:
            raise ValueError("the echo is shorter than the requested text")
        spelt = tokens[start][0] + spelt
    if not spelt.endswith(ending):
        raise ValueError("the echo differs from the requested text")
    return _summed(tokens[:start]), _summed(tokens[start:])


def _summed(tokens: Sequence[tuple[str, float]]) -> Likelihood:
    return Likelihood(sum(value for _, value in tokens), len(tokens))
