"""The cluster that the tests of workers on Ray share: starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ray_clusters import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Ray cluster of two nodes with two processors each, as two workers fit on one."""
    with running_cluster(2) as running:
        yield running
