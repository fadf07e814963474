"""The number of connections: the limit that the system allows, not its initial limit."""

from __future__ import annotations

import pytest
from command_line import python_process

resource = pytest.importorskip("resource", reason="Windows has no such limits")

PROGRAM = """
import resource, sys
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from convogen.models.network import most_connections
print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def allowed(soft: int, hard: int) -> tuple[int, int]:
    """Return the connections and the files that a process with these file limits may have."""
    ended = python_process("-W", "error", "-c", PROGRAM, soft, hard)
    assert ended.status == 0, ended.err
    connections, files = map(int, ended.out.split())
    return connections, files


def test_the_usual_limit_is_raised_as_far_as_it_goes() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this system allows too few open files")
    connections, files = allowed(256, 4096)
    assert files == 4096
    assert 3000 < connections < 4096  # the rest is for journals and rows


def test_a_low_limit_leaves_room_for_some() -> None:
    assert allowed(200, 200) == (128, 200)
