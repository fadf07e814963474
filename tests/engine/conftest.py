"""The cluster that all tests with Ray workers share, because starting a cluster takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ray_clusters import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Yield a Ray cluster of two nodes with two processors each, since two workers fit on one
    node."""
    with running_cluster(2) as running:
        yield running
