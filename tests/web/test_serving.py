"""The pages if the extra `web` is not installed."""

from __future__ import annotations

import pytest
from command_line import python_process

PROGRAM = """
import sys
for name in ("starlette", "uvicorn"):
    sys.modules[name] = None  # as if it were not installed
from convogen.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", [("view", "a-run"), ("study", "serve", "a-study")])
def test_what_is_missing_is_one_line(command: tuple[str, ...]) -> None:
    ended = python_process("-c", PROGRAM, *command)
    assert ended.status == 2
    assert "pip install 'convogen[web]'" in ended.complaint
