"""A user-defined rule: a function in an importable module.

The function is called with the conversation and, if it takes two arguments, with the experience. It
returns the reason for rejecting the conversation, or None. The function must be deterministic,
since a resumed run would differ otherwise.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field

from convogen.errors import ExperimentError
from convogen.gates.base import Candidate, Gate, Rejection
from convogen.models.traffic.session import Session

__all__ = ["Rule"]


class Rule(Gate):
    """Parameters of the `rule` gate."""

    name: ClassVar[str] = "rule"

    rule: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="function, written as package.module:function, that is called with a "
        "conversation and, if the function takes two arguments, with the conversation's experience",
    )

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The user's function.

        Raises `ExperimentError` if the function does not exist.
        """
        module, _, name = self.rule.partition(":")
        try:
            value = getattr(import_module(module), name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ExperimentError(
                f"gates: rule {self.rule}: {_described(error)}; the rule must be "
                "package.module:function, with a module from an installed package or from a "
                "folder on PYTHONPATH"
            ) from error
        if not callable(value):
            raise ExperimentError(
                f"gates: rule {self.rule}: is not a function; specify a function that takes a "
                "conversation"
            )
        return value

    @cached_property
    def _arguments(self) -> int:
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            return 1
        places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return min(sum(one.kind in places for one in parameters), 2)

    def sources(self) -> dict[str, str]:
        """Return the hash of the module's source, so that changing the rule changes the
        fingerprint."""
        try:
            text = inspect.getsource(inspect.getmodule(self.function) or self.function)
        except (OSError, TypeError, ValueError, SyntaxError):
            text = self.rule
        return {"source": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        given = (candidate.conversation, candidate.experience)[: self._arguments]
        where = f"gates: rule {self.rule}: conversation {candidate.conversation.id}"
        try:
            reason = self.function(*given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ExperimentError(f"{where}: raised {_described(error)}") from error
        if reason is not None and not isinstance(reason, str):
            kind = type(reason).__name__
            raise ExperimentError(f"{where}: must return a reason (str) or None (found {kind})")
        return None if reason is None else Rejection(reason)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
