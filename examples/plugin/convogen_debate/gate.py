"""Gate that asks a model whether a conversation keeps to its motion."""

from __future__ import annotations

from typing import ClassVar

from convogen.extend import Candidate, Gate, ModelFault, Rejection, Sampling, Session

ROLE = "moderator"


class OnMotion(Gate):
    """Parameters of the gate."""

    name: ClassVar[str] = "on_motion"
    roles: ClassVar[dict[str, Sampling]] = {ROLE: Sampling(temperature=0.0, max_tokens=4)}
    prompt_names: ClassVar[tuple[str, ...]] = ("verdict",)

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Reject a conversation if the model finds it off its motion or gives no verdict."""
        conversation = candidate.conversation
        motion = conversation.context.get("topic")
        if not motion:
            return None
        messages = self.prompts["verdict"].render(motion=motion, turns=conversation.turns)
        try:
            answer = await session.ask(ROLE, messages, choices=("on", "off"))
        except ModelFault as fault:
            return Rejection(f"{fault.kind}: {fault}")
        said = answer.text.strip().casefold()
        return None if said == "on" else Rejection(f"off its motion: {said[:80]!r}", said[:80])
