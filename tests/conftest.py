"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from importlib import import_module
from importlib.util import find_spec

import pytest

# The matrices are small and several processes share the cores, so a second thread only waits.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from endpoint_server import EndpointServer, serving
from hypothesis import settings

# Machines are shared, so the running time of an example means nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Disable garbage collection during imports, since imported modules stay in memory."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(7_000, 10, 100)  # a tenth as often as by default, all generations 1/100


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slowest files, so that no worker is left with one of them at the end."""
    long = {
        item.path
        for item in items
        if any(item.get_closest_marker(name) for name in ("embedded", "slow"))
    }
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def training_libraries() -> None:
    """Import the libraries for training, which garbage collection no longer examines afterwards.

    Each fine-tuning collects all garbage several times.
    """
    for library, name in (("transformers", "Seq2SeqTrainer"), ("trl", "SFTTrainer")):
        if find_spec(library):
            getattr(import_module(library), name)  # imported on access
    gc.freeze()


@pytest.fixture
def endpoint() -> Iterator[EndpointServer]:
    """Yield a new test endpoint for each test; its `script` determines the replies."""
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_key_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove keys from the environment, so that no test depends on them or reveals them."""
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AZURE_OPENAI_"))]:
        monkeypatch.delenv(name)
