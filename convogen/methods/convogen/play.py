"""Play tasks of the ConvoGen method: generate an experience from shots, then play it as a group
chat."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from convogen.corpora.conversation_shapes import Shape
from convogen.errors import ModelFault
from convogen.generation.experience_generator import ExperienceGenerator
from convogen.generation.few_shot_hub import FewShotHub
from convogen.generation.variations import Variation, deal_variation, draw_variation
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.convogen.steering import starter_note, turn_notes
from convogen.records import Conversation, Experience
from convogen.storage.run_folder import Outcome

if TYPE_CHECKING:
    from convogen.methods.convogen.method import ConvoGen

__all__ = ["ConvoGenPlay"]


class ConvoGenPlay(Play):
    """The state of the ConvoGen method in one run."""

    def __init__(self, method: ConvoGen, inputs: RunInputs) -> None:
        from convogen.groupchat import ChatPrompts, ChatRules

        self._method = method
        self._run = inputs.run
        self._seed = inputs.experiment_seed
        self._casting = method.casting(inputs.seed)
        step = "encounter" if self._casting else "experience"
        self._generator = ExperienceGenerator(inputs.prompts[step], method.reasks)
        self._hub = FewShotHub(
            method.seeds,
            seed=inputs.experiment_seed,
            iterative=method.iterative,
            lanes=method.lanes,
            per_round=method.per_round,
            shots=method.shots,
            policy=method.shot_policy,
            near_copy=method.near_copy,
            recall=inputs.run.experience,
            clusters=method.coverage_clusters,
        )
        self._rules = ChatRules(
            max_turns=method.max_turns,
            speaker_selection=method.speaker_selection,
            allow_repeats=method.allow_repeats,
            max_words=None if method.style == "chatty" or method.match else method.max_words,
            reasks=method.reasks,
            candidates=method.candidates,
            addressees=method.addressees,
        )
        self._prompts = ChatPrompts.of(inputs.prompts)

    def restore(self, committed: int) -> None:
        """Restore the hub from the committed experiences."""
        self._hub.restore(committed, self._run.experiences())

    def committed(self, task: int) -> None:
        self._hub.committed(task)

    async def play(self, task: Task) -> Outcome:
        try:
            return await self._play(task)
        except BaseException:  # the run ends; later tasks of the lane must not wait for this one
            self._hub.stop()
            raise

    async def _play(self, task: Task) -> Outcome:
        try:
            shape = self._shape(task)
            experience = await self._invent(task, shape)
        except ModelFault as fault:
            await self._hub.skip(task.number)
            return Outcome(failure=task.failure("experience", fault))
        task.count("experiences")
        try:
            return Outcome(experience, await self._converse(task, experience, shape))
        except ModelFault as fault:
            failure = task.failure("conversation", fault, experience=experience)
            return Outcome(experience, failure=failure)

    def _shape(self, task: Task) -> Shape | None:
        """Return the target shape of the task's conversation; None if there is no corpus to
        match."""
        shapes = self._method.shapes
        return shapes.draw(random.Random(f"{task.seed}/shape")) if shapes else None

    async def _invent(self, task: Task, shape: Shape | None) -> Experience:
        shots = await self._hub.shots(task.number, task.language)
        words = shape.turn_words[0] if shape else None
        note = starter_note(shape, self._method.match_features) if shape else None
        session, variation = task.session, self._variation(task)
        if self._casting is None:
            low, high = self._method.participants
            n = random.Random(task.seed).randint(low, high)
            if shape is not None:
                n = min(max(low, shape.n_speakers), high)
            experience = await self._generator.invent(
                session, n, shots, words, variation, starter_note=note
            )
        else:
            people = self._casting.group(task.number)
            experience = await self._generator.match(
                session, people, shots, words, variation, starter_note=note
            )
        own = {
            "id": f"e-{task.id}",
            "task": task.number,
            "shots": [shot.id for shot in shots],
            "language": task.language,
        }
        return await self._hub.admit(task.number, experience.model_copy(update=own), shots)

    def _variation(self, task: Task) -> Variation:
        """Return the tie, place and mood suggested for a task and, with `shot_policy: coverage`,
        the topic."""
        if self._method.shot_policy != "coverage":
            return draw_variation(random.Random(f"{task.seed}/variation"))
        place, per_round = self._hub.place(task.number), self._method.per_round
        position = place.round * per_round + place.index
        return deal_variation(
            f"{self._seed}/variation/{place.lane}",
            position,
            self._hub.topic(task.number, task.language),
        )

    async def _converse(
        self, task: Task, experience: Experience, shape: Shape | None
    ) -> Conversation:
        from convogen.groupchat import play_group_chat

        before, rules = task.session.usage, self._rules
        if shape is not None:
            cap = min(rules.max_turns, len(shape.turn_words))
            rules = replace(rules, max_turns=cap, turn_words=shape.turn_words)
            if features := self._method.match_features:
                first = experience.starter.speaker
                rest = (one.name for one in experience.personas if one.name != first)
                notes = turn_notes(shape, (first, *rest), features)
                rules = replace(rules, turn_notes=notes)
        played = await play_group_chat(
            experience,
            rules,
            prompts=self._prompts,
            session=task.session,
            on_turn=lambda: task.count("turns"),
        )
        self._method.refuse_broken(played.turns, rules.max_turns, played.ended)
        usage = task.session.usage - before
        return task.conversation(
            self._method.name,
            experience,
            turns=played.turns,
            ended=played.ended,
            usage=usage,
            refused=played.refused,
        )
