"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import pytest

# The matrices are small, and several processes share the cores: a second thread only waits.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from endpoint_server import EndpointServer, serving
from hypothesis import settings

# Machines are shared: how long an example takes says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import everything without looking for garbage: what is imported stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no worker is left with one at the end."""
    long = {
        item.path
        for item in items
        if any(item.get_closest_marker(name) for name in ("embedded", "slow"))
    }
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def endpoint() -> Iterator[EndpointServer]:
    """A test endpoint of its own for each test; set its `script` to say what it answers."""
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_key_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on, or gives away, what the environment holds."""
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AZURE_OPENAI_"))]:
        monkeypatch.delenv(name)
