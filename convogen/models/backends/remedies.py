"""Remedies for the errors that servers report: the setting to change or the action to take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convogen.models.base import Request

__all__ = ["Remedy", "remedy"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """The remedy for an error.

    Attributes:
        kind: Kind of fault to record.
        stops: Whether every other request would also fail and the run should stop.
        advice: Action that resolves the error.
    """

    kind: str
    stops: bool
    advice: str


_CONTEXT = re.compile(
    r"\bcontext\b(?! deadline).{0,80}\b(?:length|exceed\w*|size|window|limit)\b"
    r"|\b(?:length|exceed\w*)\b.{0,80}\bcontext\b(?! deadline)"
    r"|context_length|(?:prompt|input|request) (?:is )?too (?:long|large)|\bnum_ctx\b|\bn_ctx\b"
    r"|\bmaximum model length\b|`inputs`.{0,40} must (?:be <=|have less than)"
    r"|\btoken count\b.{0,40}\bexceeds? the maximum\b",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content_filter|content management policy|content_policy", re.IGNORECASE)

_STOPPING = (
    (
        r"enable_thinking",
        "bad_request",
        "use --set sampling.{role}.extra.enable_thinking=false",
    ),
    (
        r"\bonly supports? (?:the )?stream|\bstream(?:ing)?\b.{0,30} (?:must be|is) (?:set to )?"
        r"(?:true|required|enabled)",
        "bad_request",
        "convogen does not support streaming, but this model requires it; choose another model "
        "with --model",
    ),
    (
        r"\bno models?\b.{0,20}\bloaded\b|\bmodel\b.{0,100}\bnot (?:been |currently )?loaded\b",
        "bad_request",
        "load {model} on the server (in LM Studio with `lms load {model}`), or choose a loaded "
        "model with --model",
    ),
    (
        r"must provide a chat template|no chat[ _]template|chat[ _]template is not set",
        "bad_request",
        "the model is served without a chat template; add one (vLLM: --chat-template), or choose "
        "a chat model with --model",
    ),
    (
        r"\bmodel\b.{0,100}\b(?:does not exist|not found)\b|\bnot a valid model\b"
        r"|\b(?:invalid|unknown|no such) model\b|model_not_found",
        "bad_request",
        "the endpoint does not serve {model}; set --model to a model that the endpoint lists at "
        "/models",
    ),
)
"""Patterns for errors that affect every request, each with the kind of fault and the advice."""

_TOO_MANY = re.compile(
    r"max_(?:completion_|output_|new_)?tokens.{0,80}?"
    r"\b(?:at most|exceeds?|less than|maximum|up to|too large)\b",
    re.IGNORECASE,
)
_MOST = re.compile(
    r"\b(?:at most|less than or equal to|maximum(?: is| of)?|up to)\D{0,30}(\d{1,7})\b",
    re.IGNORECASE,
)


def remedy(detail: str, request: Request | None) -> Remedy | None:
    """Return the remedy for an error response; None if no remedy is known.

    Args:
        detail: The server's error message.
        request: Request whose role and model appear in the advice; None for general advice.
    """
    if _FILTER.search(detail):
        return Remedy("content_filter", False, "only this request is affected")
    if request is None:
        too_long = Remedy("context_length", False, "the text is too long")
        return too_long if _CONTEXT.search(detail) else None
    if _CONTEXT.search(detail):
        advice = (
            f"prompt and reply must fit into the model's context; lower sampling.{request.role}."
            "max_tokens or max_turns, or serve the model with a longer context (vLLM: "
            "--max-model-len, llama.cpp: -c, Ollama: num_ctx)"
        )
        return Remedy("context_length", False, advice)
    for pattern, kind, advice in _STOPPING:
        if re.search(pattern, detail, re.IGNORECASE):
            return Remedy(kind, True, advice.format(role=request.role, model=request.model))
    if _TOO_MANY.search(detail) and request.sampling.max_tokens:
        most = _MOST.search(detail)
        key = f"sampling.{request.role}.max_tokens"
        said = f"lower the limit with --set {key}={most[1] if most else '…'}"
        return Remedy("bad_request", True, said)
    for key in request.sampling.extra or {}:
        if re.search(rf"""['"`\s.]{re.escape(key)}['"`\s:.]""", f" {detail} "):
            own = f"sampling.{request.role}.extra.{key}"
            return Remedy("bad_request", False, f"the message refers to {own}, which you have set")
    return None
