"""The scripted model, which gives canned replies for tests and trials.

A reply depends on the request alone, so a repeated run produces the same data set. By default, the
model fills a requested JSON schema with words from a list, or writes a sentence with these words.
A caller's `script` may instead return a string, tokens with log-probabilities, or a whole reply.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from convogen.models.base import ModelReply, Request, TokenLogprob
from convogen.records import Usage

__all__ = ["Script", "ScriptedModel", "improvise"]

Script = Callable[[Request], str | Sequence[TokenLogprob] | ModelReply]

WORDS = """
amber bridge candle door engine forest garden harbour island jacket kettle ladder market needle
orchard parcel quarry river signal tunnel umbrella valley window yard zipper anchor basket copper
drawer eagle feather glacier hammer ink jungle kite lantern mirror notebook ocean pencil quilt
ribbon saddle timber uniform violin whistle yoghurt button carpet
""".split()
NAMES = """
Ada Bo Cem Dora Eli Fay Gus Hana Ivo Jun Kaj Lea Mio Nia Ole Pia Quin Rhea Sol Tam
Abel Aiko Alma Amir Anouk Arlo Asha Aylin Bela Bram Cleo Dag Dalia Dario Dewi Edda Efe Elio Emeka
Enzo Esra Faro Femi Finn Gaia Gita Goran Greta Hugo Ida Ilse Imran Ines Isko Jana Jens Joao Jorun
Kemal Kira Kofi Lars Leyla Lina Luca Magda Malik Marek Mei Mira Nadir Nils Noor Nuno Odile Omar Otto
Paz Petra Ravi Remy Rosa Runa Sami Sanna Selma Signe Siri Soraya Suri Tadeo Taro Thea Timo Tove Ugo
Uma Vera Viggo Wanda Wiktor Xenia Yara Yusuf Zeno Zita Zoran
""".split()


class ScriptedModel:
    """A model that answers every request from a script; the default script is `improvise`.

    If log-probabilities are requested, each word of a text is a token with probability 1.
    `logprobs=False` simulates an endpoint without log-probabilities.
    """

    def __init__(self, script: Script | None = None, *, logprobs: bool = True) -> None:
        self._script = script or improvise
        self._logprobs = logprobs

    async def complete(self, request: Request) -> ModelReply:
        """Answer without delay. Each word, as separated by white space, counts as one token."""
        scripted = self._script(request)
        if isinstance(scripted, ModelReply):
            return scripted
        tokens = _certain(scripted) if isinstance(scripted, str) else tuple(scripted)
        text = scripted if isinstance(scripted, str) else "".join(token.token for token in tokens)
        usage = Usage(
            prompt_tokens=sum(len(m.content.split()) for m in request.messages),
            completion_tokens=len(text.split()),
        )
        wanted = self._logprobs and request.top_logprobs is not None
        return ModelReply(text, usage, "stop", logprobs=tokens if wanted else None)

    async def close(self) -> None:
        """Do nothing, because there is nothing to close."""


def _certain(text: str) -> tuple[TokenLogprob, ...]:
    """Return the tokens of a text, each with probability 1."""
    tokens = re.findall(r"\s*\S+|\s+\Z", text)
    return tuple(TokenLogprob(token, 0.0, ((token, 0.0),)) for token in tokens)


def improvise(request: Request) -> str:
    """Return a random reply, with the request's hash as the seed.

    Depending on the request, the reply is an object that satisfies the schema, a list of
    likelihoods, a choice, or a sentence, which is quoted if the prompt asks for double quotes.
    Names in the object do not occur in the prompt.
    """
    rng = random.Random(request.hash)
    if request.schema is not None:
        prompt = "\n".join(message.content for message in request.messages)
        names = [name for name in NAMES if name not in prompt] or NAMES
        return json.dumps(_instance(request.schema, request.schema, rng, names, "reply"))
    if request.continuations:
        return json.dumps([[-rng.uniform(1, 9), 4] for _ in ("", *request.continuations)])
    if request.choices:
        return rng.choice(request.choices)
    words = rng.choices(WORDS, k=rng.randint(5, 14))
    said = " ".join(words).capitalize() + rng.choice(".?!")
    asked = request.messages[-1].content if request.messages else ""
    return f'"{said}"' if "in double quotes" in asked else said


def _instance(
    schema: dict[str, Any], root: dict[str, Any], rng: random.Random, names: Sequence[str], key: str
) -> Any:
    """Return a value that satisfies a JSON Schema of the kind that pydantic generates."""
    if "$ref" in schema:
        return _instance(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, rng, names, key)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], root, rng, names, key)
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {}).items()
        return {name: _instance(field, root, rng, names, name) for name, field in fields}
    if kind == "array":
        low = schema.get("minItems", 1)
        size = rng.randint(low, max(low, schema.get("maxItems", low)))
        return [_instance(schema["items"], root, rng, names, key) for _ in range(size)]
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", 0))
        return rng.randint(low, int(schema.get("maximum", low + 100)))
    if kind == "boolean":
        return rng.random() < 0.5
    if key in ("name", "names", "speaker"):
        return f"{rng.choice(names)} {rng.choice(WORDS).capitalize()}"
    return _words(rng, schema.get("minLength", 1), schema.get("maxLength", 60))


def _words(rng: random.Random, low: int, high: int) -> str:
    words = rng.choices(WORDS, k=rng.randint(3, 9))
    while len(words) > 1 and len(" ".join(words)) > high - 2:
        words.pop()  # A text that ends at its limit would count as truncated.
    return " ".join(words)[:high].ljust(low, "x")
