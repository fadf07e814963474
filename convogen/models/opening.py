"""Functions that open the backend for a model spec. Each backend is imported only when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convogen.errors import ModelConfigError, ModelFault
from convogen.models.backends.likelihood import read_likelihoods
from convogen.models.base import ChatModel, Message, Request, Sampling
from convogen.models.spec import ModelSpec

if TYPE_CHECKING:
    from convogen.models.traffic.router import Traffic

__all__ = ["check_likelihoods", "open_likelihoods", "open_model"]

WHAT_WOULD_DO = (
    "to compute likelihoods, use --model transformers:NAME (the name or folder of a checkpoint), "
    "--model embedded, --model FILE.gguf, or an endpoint that returns the log-probabilities of a "
    "prompt on /completions (vLLM, SGLang)"
)


def open_model(spec: ModelSpec) -> ChatModel:
    """Open the model that a spec describes; raise `ModelConfigError` if the model cannot be
    used."""
    if spec.kind == "scripted":
        from convogen.models.backends.scripted import ScriptedModel

        return ScriptedModel()
    if spec.kind == "embedded":
        from convogen.models.backends.gguf import EmbeddedModel

        return EmbeddedModel(spec)
    if spec.kind == "http":
        from convogen.models.backends.http_chatbot import ChatbotModel

        return ChatbotModel(spec)
    if spec.kind == "transformers":
        raise ModelConfigError(
            f"model {spec.name}: transformers models only compute likelihoods and cannot chat; "
            f"serve the model with vLLM and use --base-url, or use a .gguf file"
        )
    from convogen.models.backends.openai_compatible import EndpointModel

    return EndpointModel(spec)


def open_likelihoods(spec: ModelSpec) -> ChatModel:
    """Open the model that a spec describes, to compute the likelihoods of texts.

    Raises:
        ModelConfigError: If the model cannot be used.
    """
    if spec.kind in ("embedded", "transformers"):
        from convogen.models.backends.transformers_backend import LocalLikelihoods

        return LocalLikelihoods(spec)
    if spec.kind == "scripted":
        from convogen.models.backends.scripted import ScriptedModel

        return ScriptedModel()
    from convogen.models.backends.openai_compatible import EndpointModel

    return EndpointModel(spec)


async def check_likelihoods(traffic: Traffic, role: str) -> None:
    """Request likelihoods from a role's model once, to check that it returns them.

    Raises:
        ModelConfigError: If the model returns no likelihoods. The message lists models that do.
    """
    spec = traffic.role(role).spec
    if spec.kind == "scripted":
        return
    asked = (Message("user", "One, two,"),)
    continuations = (" three", " green")
    probe = Request(role, spec.identity, asked, Sampling(), continuations=continuations)
    try:
        read_likelihoods((await traffic.complete(probe, 0)).reply.text, len(continuations))
    except (ModelFault, ModelConfigError) as error:
        raise ModelConfigError(f"model {spec.name}: {error}; {WHAT_WOULD_DO}") from error
