"""Checkpoints loaded into this process with transformers, and the likelihoods they assign to texts.

The first request imports torch and loads the checkpoint, which takes several seconds.
"""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.errors import ModelConfigError, ModelFault
from convogen.models.backends.embedded_files import check_model
from convogen.models.backends.gguf import find_gguf
from convogen.models.backends.likelihood import Likelihood, Likelihoods
from convogen.models.base import ModelReply, Request
from convogen.models.spec import EMBEDDED, TRANSFORMERS, ModelSpec

__all__ = ["LocalLikelihoods", "load_causal", "transformers_class"]

PREFIXES = 4
"""Number of prefixes whose states are cached. A few suffice, because requests with the same prefix
are consecutive."""


def transformers_class(name: str) -> Any:
    """Return a class from transformers; raise `ModelConfigError` if the extra is not installed."""
    try:
        import_module("torch")
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise ModelConfigError(
            "models loaded with transformers need additional packages; "
            "run: pip install 'convogen[train]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return getattr(transformers, name)


def load_causal(name: str) -> tuple[Any, Any]:
    """Return a causal language model in 32-bit precision and evaluation mode, and its tokenizer.

    Args:
        name: Name or folder of a checkpoint (safetensors), `embedded`, or the path of a GGUF file,
            which is dequantised.

    Raises:
        ModelConfigError: If the model cannot be loaded.
    """
    model_class = transformers_class("AutoModelForCausalLM")
    tokenizer_class = transformers_class("AutoTokenizer")
    name = name.removeprefix(TRANSFORMERS)
    place, options = name, dict[str, Any]()
    if name in (EMBEDDED, "embedded") or name.endswith(".gguf"):
        path = find_gguf(EMBEDDED if name == "embedded" else name)
        check_model(path)
        place, options = str(path.parent), {"gguf_file": path.name}
    else:
        options = {"use_safetensors": True}
    torch: Any = import_module("torch")
    try:
        tokenizer = tokenizer_class.from_pretrained(
            place, **{key: value for key, value in options.items() if key == "gguf_file"}
        )
        model = model_class.from_pretrained(place, dtype=torch.float32, **options)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ModelConfigError(
            f"model {Path(place).name if options else place}: transformers cannot load it "
            f"({said}); use a causal language model in safetensors or GGUF format"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), tokenizer


class LocalLikelihoods:
    """A model that computes likelihoods with a local checkpoint.

    The first request raises `ModelConfigError` if the checkpoint cannot be loaded. A request's
    continuations are scored in one batch from the states of the prefix, which are cached for the
    next request. Results do not depend on other requests.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._name = spec.name
        self._loaded: tuple[Any, Any] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._known: OrderedDict[tuple[int, ...], _Prefix] = OrderedDict()

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request; the first request loads the model."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._answer, request)

    async def close(self) -> None:
        """Release the model."""
        self._loaded = None
        self._known.clear()

    def _answer(self, request: Request) -> ModelReply:
        if self._loaded is None:
            self._loaded = load_causal(self._name)
        model, tokenizer = self._loaded
        endings = [
            tokenizer(text, add_special_tokens=False).input_ids for text in request.continuations
        ]
        room = _context(model) - max(map(len, endings))
        prefix = self._prefix(model, tokenizer, request.messages[0].content, room)
        likelihoods = [Likelihood(0.0, 0)] * len(endings)
        spelt = [start for start, ids in enumerate(endings) if ids]
        for start, one in zip(
            spelt, prefix.score(model, [endings[start] for start in spelt]), strict=True
        ):
            likelihoods[start] = one
        tokens = prefix.likelihood.tokens + 1 + sum(map(len, endings))
        return Likelihoods(prefix.likelihood, likelihoods).to_reply(tokens)

    def _prefix(self, model: Any, tokenizer: Any, text: str, room: int) -> _Prefix:
        """Return the states after the last `room` tokens of a text, from the cache if possible."""
        if room < 1:
            raise ModelFault(
                "continuation_too_long",
                f"a continuation fills the model's context of {_context(model)} tokens",
            )
        first = tokenizer.bos_token_id
        begin = tokenizer.eos_token_id if first is None else first
        ids = tokenizer(text, add_special_tokens=False).input_ids
        key = tuple([begin, *ids][-room:])
        if key not in self._known:
            self._known[key] = _Prefix(model, [*key])
            while len(self._known) > PREFIXES:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


class _Prefix:
    """The states, the likelihood and the next-token distribution of a prefix under a model."""

    def __init__(self, model: Any, ids: list[int]) -> None:
        torch: Any = import_module("torch")
        with torch.inference_mode():
            given = torch.tensor([ids], device=model.device)
            out = model(given, use_cache=True)
            self._states = out.past_key_values
            self._next = out.logits[0, -1].log_softmax(-1)
            logprobs = out.logits[0, :-1].log_softmax(-1)
            self.likelihood = Likelihood(
                float(logprobs.gather(-1, given[0, 1:, None]).double().sum()), len(ids) - 1
            )

    def score(self, model: Any, endings: list[list[int]]) -> list[Likelihood]:
        """Return the likelihood of each ending; each ending must have at least one token."""
        if not endings:
            return []
        torch: Any = import_module("torch")
        longest = max(map(len, endings))
        padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in endings])
        with torch.inference_mode():
            states = copy.deepcopy(self._states)
            states.batch_repeat_interleave(len(endings))
            out = model(padded.to(model.device), past_key_values=states, use_cache=True)
            after = out.logits[:, :-1].log_softmax(-1)
            first = self._next.expand(len(endings), 1, -1)
            logprobs = torch.cat([first, after], 1)
            of_tokens = logprobs.gather(-1, padded.to(model.device)[..., None])[..., 0].double()
        return [
            Likelihood(float(row[: len(ids)].sum()), len(ids))
            for row, ids in zip(of_tokens, endings, strict=True)
        ]


def _context(model: Any) -> int:
    """Return the context length of a model in tokens."""
    for name in ("max_position_embeddings", "n_positions"):
        if isinstance(found := getattr(model.config, name, None), int):
            return found
    return 4096
