"""A chatbot with an HTTP API, described by `models.http`, which returns one answer per message.

The chatbot receives the last message and the session id, and keeps its own memory. Limits and
budgets apply as for any model. A chatbot reports no token counts, so no tokens are counted.

Within one invocation of a command, no message is sent again if the chatbot may have processed it.
The call fails if the chatbot may have received the message but no answer could be read because of a
time-out, a broken connection or an invalid answer. The call is retried if the chatbot was
unreachable, was busy (429 or 503, even if only the body of a response with status 200 reports so)
or failed (500), because the chatbot should then have discarded the message. If a run is killed, the
next invocation repeats the messages that were in flight.
"""

from __future__ import annotations

import json
from typing import Any

import jinja2

from convogen.errors import ModelConfigError, ModelFault
from convogen.models.backends.faults import Advice, Faults, Refusal
from convogen.models.backends.reported import UNKNOWN, is_page, read_error, reported_error
from convogen.models.backends.transport import Transport
from convogen.models.base import ModelReply, Request, Transient, printable
from convogen.models.http import at_path, fill
from convogen.models.spec import ModelSpec
from convogen.records import Usage
from convogen.redaction import Secrets, public_url, url_secrets

__all__ = ["ChatbotModel"]

MAX_ANSWER_BYTES = 1 << 20


class ChatbotModel:
    """A model that sends its messages to a chatbot. The constructor raises `ModelConfigError` if a
    required environment variable is missing."""

    def __init__(self, spec: ModelSpec) -> None:
        assert spec.http is not None
        self._name, self._http = spec.name, spec.http
        try:
            self._env = spec.http.secrets
        except KeyError as error:
            raise ModelConfigError(
                f"model {spec.name}: set the environment variable {error.args[0]}, which http uses"
            ) from None
        except ValueError as error:
            raise ModelConfigError(f"model {spec.name}: http: {error}") from None
        url = self._filled(spec.http.url, {"session": "x"})
        self._secrets = Secrets([*self._env.values(), *url_secrets(url)])
        headers = {name: self._filled(text, {}) for name, text in spec.http.headers.items()}
        advice = Advice(
            unreached=f"check http.url of model {spec.name}",
            refused=f"check http.headers of model {spec.name} and their environment variables",
            missing=f"check http.url of model {spec.name}",
            late=f"increase timeout_s for model {spec.name}",
        )
        where = self._secrets.mask_error(public_url(url))
        self._faults = Faults(where, spec.timeout_s, self._secrets, advice)
        headers = {"Accept": "application/json", **headers, "Content-Type": "application/json"}
        self._transport = Transport(url, headers, spec.timeout_s, self._faults, MAX_ANSWER_BYTES)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def complete(self, request: Request) -> ModelReply:
        """Send the last message once, in the dialogue's session.

        Raises:
            Transient: If the chatbot cannot have processed the message, so that a retry is safe.
            ModelFault: If the chatbot may have received the message but its answer is lost.
        """
        try:
            return await self._say(request)
        except Transient as fault:
            if fault.billed:
                said = f"model {self._name}: {fault}"
                raise ModelFault("endpoint_fault", said, billed=True) from fault
            raise

    async def _say(self, request: Request) -> ModelReply:
        messages = [message for message in request.messages if message.role != "system"]
        given = {
            "session": request.dialogue,
            "message": messages[-1].content if messages else "",
            "messages": [{"role": each.role, "content": each.content} for each in messages],
        }
        url = self._filled(self._http.url, given)
        body = self._filled(self._http.body, given)
        status, headers, answer = await self._transport.post(body, url)
        if not 200 <= status < 300:
            refusal = Refusal(status, headers, read_error(answer, self._secrets), is_page(answer))
            raise self._faults.refused(refusal)
        data = self._parsed(answer)
        try:
            reply = at_path(data, self._http.answer)
        except LookupError as error:
            reported = reported_error(data, self._secrets)
            if reported is not None and reported.status != UNKNOWN:
                refusal = Refusal(reported.status, headers, reported.detail)
                raise self._faults.refused(refusal) from None
            raise self._unread(error) from None
        text = self._secrets.mask(printable(reply))
        self._faults.answered = True
        return ModelReply(text, Usage(), "stop")

    def _filled(self, value: Any, given: dict[str, Any]) -> Any:
        try:
            return fill(value, {"env": self._env, **given})
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise ModelConfigError(f"model {self._name}: http: {error}") from None

    def _parsed(self, answer: bytes) -> object:
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self._unread(error) from None

    def _unread(self, error: Exception) -> Exception:
        """Return the exception for a response without a string at `http.answer`. If no response has
        ever contained a string there, the path must be wrong."""
        said = self._secrets.mask_error(" ".join(str(error).split()))[:300]
        message = f"http.answer {self._http.answer}: {said}"
        if isinstance(error, LookupError) and not self._faults.answered:
            return ModelConfigError(f"model {self._name}: {message}; correct http.answer")
        return Transient(message, kind="unreadable")
