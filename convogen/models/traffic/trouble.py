"""A test of whether an unanswered call or its endpoint is at fault.

If a call keeps failing while the endpoint answers other calls, every retry is assumed to fail. If
no other call is answered in the meantime, a short request (a probe) shows which is at fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from convogen.errors import ModelFault
from convogen.models.base import FaultKind, Message, Request, Transient
from convogen.models.traffic.pool import Endpoint

__all__ = ["ATTEMPTS", "Trouble", "probe"]

ATTEMPTS = 20
"""Number of faults of any kind after which a call is given up."""

FAULTS = 12
"""Number of faults, excluding refusals due to overload, after which a call is given up."""

TIME_OUTS = 6
"""Number of time-outs after which a call is given up. Each time-out is slow and may be billed."""

PROBE = "Answer with one word: yes."
PROBE_TOKENS = 16


class Trouble:
    """The faults in one call, which show whether the call fails while other calls succeed.

    Faults that occur while an endpoint answers no calls at all are not counted.
    """

    def __init__(self) -> None:
        self.attempts = 0
        self._faults: Counter[FaultKind] = Counter()
        self._since: dict[Endpoint, tuple[int, int]] = {}

    @property
    def met(self) -> int:
        """Number of counted faults."""
        return self._faults.total()

    def fault(self, request: Request, endpoint: Endpoint, fault: Transient) -> None:
        """Count a fault; raise `ModelFault` if the call keeps failing while other calls succeed.

        If the call keeps failing and no other call is answered, the endpoint is paused and probed.
        """
        answers, outages = self._since.setdefault(endpoint, (endpoint.answers, endpoint.outages))
        if outages != endpoint.outages:
            self._faults.clear()
            answers = endpoint.answers
            self._since[endpoint] = (answers, endpoint.outages)
        self._faults[fault.kind] += 1
        if not self._often():
            return
        if endpoint.answers == answers:
            endpoint.doubt()
            return
        said = f"model {request.model}: {fault}; gave up after {self.attempts} attempts"
        given_up = ModelFault("endpoint_fault", f"{said} while other calls were answered")
        given_up.attempts = self.attempts
        raise given_up from fault

    def _often(self) -> bool:
        faults, total = self._faults, self._faults.total()
        return (
            total >= ATTEMPTS
            or total - faults["throttled"] >= FAULTS
            or faults["time-out"] >= TIME_OUTS
        )


def probe(request: Request) -> Request:
    """Return a short request with the role, model and `extra` keys of a failing request."""
    sampling = request.sampling.model_copy(update={"max_tokens": PROBE_TOKENS, "stop": None})
    return replace(
        request,
        messages=(Message("user", PROBE),),
        sampling=sampling,
        schema=None,
        top_logprobs=None,
        choices=(),
        dialogue="probe",
        continuations=(" yes",) if request.continuations else (),
    )
