"""Rejects conversations that a guard model such as Llama Guard (Inan et al., 2023) calls unsafe.

The model reads the whole conversation and replies in Llama Guard's format: `safe`, or `unsafe`
followed by the codes of the categories on the next line. If no reply has this format, even after
retries, the conversation is rejected. Only conversations that the model calls safe are accepted.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from convogen.errors import ModelFault
from convogen.gates.base import Candidate, Gate, Rejection
from convogen.models.base import Sampling
from convogen.models.traffic.session import Session
from convogen.prompts import Prompt, prompts_of
from convogen.text.transcript import transcript

__all__ = ["ROLE", "Guard", "read_verdict"]

ROLE = "guard"

CATEGORIES = {
    "S1": "Violent crimes",
    "S2": "Non-violent crimes",
    "S3": "Sex crimes",
    "S4": "Sexual exploitation of children",
    "S5": "Defamation",
    "S6": "Specialised advice without the knowledge it takes",
    "S7": "Invasion of privacy",
    "S8": "Intellectual property",
    "S9": "Weapons of mass destruction",
    "S10": "Hate",
    "S11": "Suicide and self-harm",
    "S12": "Sexual content",
    "S13": "Elections",
}
"""Category codes and their names in Llama Guard 3 (MLCommons taxonomy)."""

_MARK = re.compile(r"<\s*/?\s*(?:BEGIN|END)\b[^>\n]{0,40}>", re.IGNORECASE)
_CODES = re.compile(r"\s*[A-Za-z]{1,4}\d{1,3}(?:\s*,\s*[A-Za-z]{1,4}\d{1,3}){0,40}\s*")


class Guard(Gate):
    """Parameters of the `guard` gate."""

    name: ClassVar[str] = "guard"
    roles: ClassVar[dict[str, Sampling]] = {ROLE: Sampling(temperature=0.0, max_tokens=32)}
    path_fields: ClassVar[tuple[str, ...]] = ("prompt",)
    prompt_names: ClassVar[tuple[str, ...]] = ("verdict",)

    categories: dict[str, str] = Field(
        default=CATEGORIES,
        min_length=1,
        description="unsafe categories: a mapping from each category code to its meaning",
    )
    prompt: str | None = Field(
        default=None,
        description="your own prompt file, which replaces the shipped prompt; short for "
        "own_prompts: {verdict: FILE}",
    )
    reasks: int = Field(
        default=1, ge=0, le=10, description="maximum number of retries after an unusable reply"
    )

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The gate's only prompt."""
        own = {"verdict": self.prompt} if self.prompt else {}
        return prompts_of(type(self), "gates/{name}-{step}", {**own, **self.own_prompts})

    def prompt_hashes(self) -> dict[str, Any]:
        return {"prompt": self.prompts["verdict"].hash}

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        said = _MARK.sub("", transcript(candidate.conversation.turns))
        asked = self.prompts["verdict"].render(transcript=said, categories=self.categories)
        text = ""
        try:
            for _ in range(self.reasks + 1):
                answer = await session.ask(ROLE, asked, choices=("safe", "unsafe"))
                text = answer.text
                if (codes := read_verdict(text)) is not None:
                    return Rejection(f"unsafe: {self._named(codes)}", codes) if codes else None
        except ModelFault as fault:
            return Rejection(f"{fault.kind}: {fault}")
        return Rejection(f"neither safe nor unsafe: {' '.join(text.split())[:200]!r}")

    def _named(self, codes: str) -> str:
        """Return the names of the categories; unknown codes are returned unchanged."""
        return ", ".join(self.categories.get(code, code) for code in codes.split(","))


def read_verdict(reply: str) -> str | None:
    """Return `""` for safe, the codes or `no category named` for unsafe, and None for other
    replies.

    The first non-blank line contains the verdict, and the next non-blank line contains the codes.
    """
    lines = [line.strip() for line in reply[:2000].splitlines() if line.strip()]
    verdict = lines[0].casefold().strip(".!\"'`*") if lines else ""
    if verdict == "safe":
        return ""
    if verdict != "unsafe":
        return None
    codes = lines[1] if len(lines) > 1 and _CODES.fullmatch(lines[1]) else ""
    return (
        ",".join(part.strip().upper() for part in codes.split(","))
        if codes
        else "no category named"
    )
