"""Play tasks of the augment method: plan a task, invent its experience, play the chat and label
it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from convogen.corpora.conversation_shapes import Shape
from convogen.corpora.labelled import Kind, in_roles, script
from convogen.errors import ModelFault
from convogen.generation.example_experiences import in_languages, load_experiences
from convogen.generation.experience_generator import ExperienceGenerator
from convogen.generation.labeller import Labeller, SummaryRules, shuffled
from convogen.methods.base import Play, RunInputs, Task
from convogen.personas import open_hub
from convogen.records import Conversation, Experience, Label, Profile
from convogen.storage.run_folder import Outcome
from convogen.text.budgets import about_words
from convogen.text.identify import language_of
from convogen.text.language_tags import same_language
from convogen.text.utterances import repeats

if TYPE_CHECKING:
    from convogen.methods.augment.method import Augment

__all__ = ["AugmentPlay"]

OPTIONS = 8
"""Maximum number of options offered to the labeller for a topic or intent."""

MOST_EMOTIONS = 40
"""Maximum number of emotions offered to the labeller. The source's most frequent emotions are
offered."""

EXAMPLE_CHARS = 3_000
"""Maximum length, in characters, of a dialogue that is shown to the labeller as an example."""

SCENE_CHARS = 700
"""Maximum number of characters of each source dialogue that are shown to the generator."""

UTTERANCES = 4
"""Maximum number of source utterances shown to the agents as examples of the tone."""

COPY_WORDS = 6
"""Utterances with at least this many words count as copied if a shown dialogue contains them."""

_PLANNED: tuple[Kind, ...] = ("topic", "intent", "emotion")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A task's targets: the planned labels, and the shape and language of the source dialogue with
    the index `base`."""

    base: int
    shape: Shape
    labels: dict[Kind, str]
    language: str | None


class AugmentPlay(Play):
    def __init__(self, method: Augment, inputs: RunInputs) -> None:
        self._method = method
        self._data = method.data
        self._prompts = inputs.prompts
        self._people = open_hub("everyday")
        self._forms = load_experiences()
        self._labeller = Labeller(inputs.prompts, method.reasks)
        self._rules: SummaryRules | None = None
        if "summary" in self._data.columns:
            pairs = (self._summed_up(at) for at in range(len(self._data.dialogues)))
            self._rules = SummaryRules.learn(pairs)

    async def play(self, task: Task) -> Outcome:
        plan = self._plan(task)
        faults: list[str] = []
        outcome = Outcome()
        for attempt in range(self._method.attempts):
            rng = Random(f"{task.seed}/{attempt}")
            outcome = await self._attempt(task, plan, rng, faults)
            if outcome.conversation is not None:
                return outcome
            assert outcome.failure is not None
            faults.append(f"{outcome.failure.stage}: {outcome.failure.message}"[:300])
        return outcome

    def _plan(self, task: Task) -> _Plan:
        """Return a task's plan. The value of the balanced label cycles with the task's number;
        everything else is drawn at random."""
        data, balance = self._data, self._method.balance
        rng = Random(task.seed)
        pool = list(range(len(data.dialogues)))
        labels: dict[Kind, str] = {}
        if balance is not None:
            options = list(data.texts[balance])
            labels[balance] = options[task.number % len(options)]
            pool = data.members(balance, labels[balance])
        base = rng.choice(pool)
        for kind in data.columns:
            if kind in ("topic", "intent"):
                labels.setdefault(kind, data.labels(kind, base)[0])
        return _Plan(base, data.shapes[base], labels, language_of(data.dialogues[base]))

    async def _attempt(self, task: Task, plan: _Plan, rng: Random, faults: list[str]) -> Outcome:
        shots = self._shots(plan, rng)
        experience: Experience | None = None
        stage = "experience"
        try:
            experience = await self._invent(task, plan, shots, rng)
            stage = "conversation"
            conversation = await self._converse(task, plan, experience, shots)
            stage = "labels"
            labelled = await self._label(task, plan, conversation, shots, rng)
        except ModelFault as fault:
            message = "; then ".join([str(fault), *reversed(faults)])[:2000]
            failure = task.failure(stage, fault, message, experience)
            return Outcome(experience, failure=failure)
        context = {**conversation.context, **({"earlier_attempts": faults} if faults else {})}
        update = {"labelled": labelled, "context": context, "usage": task.session.usage}
        return Outcome(experience, conversation.model_copy(update=update))

    def _shots(self, plan: _Plan, rng: Random) -> list[int]:
        """Return the indices of the source dialogues to show, preferably dialogues with the planned
        label."""
        kind = next(iter(plan.labels), None)
        likely = self._data.members(kind, plan.labels[kind]) if kind else ()
        return self._data.examples(rng, self._method.shots, likely, plan.base)

    async def _invent(self, task: Task, plan: _Plan, shots: list[int], rng: Random) -> Experience:
        data = self._data
        forms = in_languages(self._forms, [task.language] if task.language else [])
        form = [rng.choice(forms)] if forms else []
        dialogues = [_excerpt(script(data.dialogues[at]), SCENE_CHARS) for at in shots]
        prompt = self._prompts["scene"].partial(
            dialogues=dialogues, **{kind: plan.labels.get(kind) for kind in _PLANNED}
        )
        generator = ExperienceGenerator(prompt, self._method.reasks)
        people = self._cast(plan.shape.n_speakers, rng)
        experience = await generator.match(task.session, people, form)
        task.count("experiences")
        update: dict[str, Any] = {
            "id": f"e-{task.id}",
            "task": task.number,
            "shots": [*(one.id for one in form), *(data.dialogues[at].id for at in shots)],
        }
        if task.language:
            update["language"] = task.language
        if "topic" in plan.labels:
            update["topic"] = plan.labels["topic"]
        return experience.model_copy(update=update)

    def _cast(self, n: int, rng: Random) -> list[Profile]:
        """Return the personas for a task. Full names are shortened to first names if all speakers
        in the source's first dialogue have one-word names."""
        people = [
            self._people[at][0] for at in rng.sample(range(len(self._people)), len(self._people))
        ]
        short = all(" " not in name for name in self._data.speakers(0))
        chosen: dict[str, Profile] = {}
        for person in people:
            name = person.name or f"Person {len(chosen) + 1}"
            name = name.split()[0] if short else name
            chosen.setdefault(name, person.model_copy(update={"name": name}))
        return list(chosen.values())[:n]

    async def _converse(
        self, task: Task, plan: _Plan, experience: Experience, shots: list[int]
    ) -> Conversation:
        from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat

        words = plan.shape.turn_words
        n_turns = len(words)
        rules = ChatRules(
            max_turns=n_turns,
            speaker_selection="auto",
            allow_repeats=False,
            max_words=max(3, ceil(1.2 * sum(words) / n_turns)),
            reasks=self._method.reasks,
            turn_words=words,
        )
        texts = [turn.text for at in shots for turn in self._data.dialogues[at].turns]
        language = task.language or plan.language
        shown = [" ".join(text.split()) for text in texts if 3 <= about_words(text, language) <= 25]
        if not same_language(task.language, self._method.source_language):
            shown = []  # examples only illustrate the tone, which differs between languages
        values = {kind: plan.labels.get(kind) for kind in ("intent", "emotion")}
        prompts = ChatPrompts.of(self._prompts, utterances=shown[:UTTERANCES], **values)
        played = await play_group_chat(
            experience,
            rules,
            prompts=prompts,
            session=task.session,
            on_turn=lambda: task.count("turns"),
        )
        turns = played.turns
        for turn in turns:
            if about_words(turn.text, language) >= COPY_WORDS and repeats(turn.text, texts):
                raise ModelFault("copied", "an utterance was copied from the source", turn.text)
        self._method.refuse_broken(turns, n_turns, played.ended)
        context: dict[str, Any] = {
            **self._data.roles_of(plan.base, turns),
            **self._data.system_of(plan.base),
        }
        return task.conversation(
            self._method.name,
            experience,
            turns=turns,
            ended=played.ended,
            context=context,
            refused=played.refused,
        )

    async def _label(
        self, task: Task, plan: _Plan, conversation: Conversation, shots: list[int], rng: Random
    ) -> dict[str, Label]:
        heard = in_roles(conversation)
        labelled: dict[str, Label] = {}
        for kind in self._data.columns:
            if kind in ("topic", "intent"):
                labelled[kind] = await self._chosen(task, plan, kind, script(heard), rng)
        if "emotion" in self._data.columns:
            labelled["emotion"] = await self._felt(task, plan, heard, shots)
        if self._rules is not None:
            pairs = [self._summed_up(at) for at in shots]
            examples = [pair for pair in pairs if len(pair[0]) <= EXAMPLE_CHARS]
            rules = self._rules
            if task.language and not same_language(task.language, self._method.source_language):
                rules, examples = rules.translated(task.language), []
            labelled["summary"] = await self._labeller.summarise(
                task.session, script(heard), rules, examples
            )
        return labelled

    async def _chosen(self, task: Task, plan: _Plan, kind: Kind, text: str, rng: Random) -> Label:
        """Return the topic or intent that the labeller chose.

        Raises `ModelFault` if the chosen label differs from the planned label and must not replace
        it.
        """
        planned = plan.labels[kind]
        options = shuffled(planned, list(self._data.texts[kind]), OPTIONS, rng)
        label = await self._labeller.choose(task.session, text, kind, planned, options)
        if label.value != planned and (kind == self._method.balance or not self._method.relabel):
            self._disagree(kind, planned, label.value, text)
        return label

    async def _felt(self, task: Task, plan: _Plan, heard: Conversation, shots: list[int]) -> Label:
        data = self._data
        examples = [
            (script(data.dialogues[at]).split("\n"), data.labels("emotion", at))
            for at in shots
            if len(script(data.dialogues[at])) <= EXAMPLE_CHARS
        ]
        options = list(data.texts["emotion"])[:MOST_EMOTIONS]
        lines = script(heard).split("\n")
        label = await self._labeller.emotions(task.session, lines, options, examples)
        planned = plan.labels.get("emotion")
        if planned is not None and planned not in label.value:
            self._disagree("emotion", planned, "no utterance with it", "\n".join(lines))
        return label.model_copy(update={"planned": planned})

    def _disagree(self, kind: Kind, planned: str, chosen: str, text: str) -> NoReturn:
        message = f"{kind}: planned {planned!r}, but the labeller found {chosen!r}"
        raise ModelFault("label_disagrees", message, text)

    def _summed_up(self, index: int) -> tuple[str, str]:
        """Return the script and the summary of a source dialogue."""
        return script(self._data.dialogues[index]), self._data.labels("summary", index)[0]


def _excerpt(text: str, chars: int) -> str:
    """Return the first whole lines of a script, up to `chars` characters."""
    if len(text) <= chars:
        return text
    return text[:chars].rpartition("\n")[0] or text[:chars]
