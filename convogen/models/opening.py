"""Opens the backend of a model spec; heavy dependencies are imported only here."""

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
    "use one that does: --model transformers:NAME (a checkpoint or its folder), --model "
    "embedded, a "
    ".gguf file, or an endpoint that echoes a prompt's on /completions (vLLM, SGLang)"
)


def open_model(spec: ModelSpec) -> ChatModel:
    """Return the model a spec names; raises `ModelConfigError` if it cannot be used."""
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
            f"model {spec.name}: cannot chat, it only scores texts; serve it with vLLM and name "
            f"it with --base-url, or use a .gguf file"
        )
    from convogen.models.backends.openai_compatible import EndpointModel

    return EndpointModel(spec)


def open_likelihoods(spec: ModelSpec) -> ChatModel:
    """Return the model of a spec, for computing likelihoods of texts.

    Raises `ModelConfigError` if it cannot be used.
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
    """Request likelihoods from a role's model once; raises `ModelConfigError` if it gives none.

    The error says which models can.
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
