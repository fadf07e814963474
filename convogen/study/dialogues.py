"""The dialogues in a study: their sources, exchanges and pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.judges.human_likeness import CHATBOTS
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Run
from convogen.study.candidates import StudyDialogue, candidate_pairs

__all__ = ["Exchange", "Simulated", "exchanges", "read_dialogues", "read_pairs", "responder_of"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: the prompts, and the chatbot's replies to them."""

    prompts: tuple[Turn, ...]
    replies: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A source of simulated dialogues, and the name of its simulator."""

    source: str
    condition: str

    @classmethod
    def named(cls, text: str) -> Simulated:
        """Parse `[CONDITION=]SOURCE`.

        By default, the condition is the name of the inquirer's model in the run, or the name of
        the source if the source is not a run.
        """
        name, sign, rest = text.partition("=")
        if sign and name and not Path(text).exists():
            return cls(rest, name)
        return cls(text, _inquirer_of(text) or Path(text).name)


def exchanges(turns: Sequence[Turn]) -> list[Exchange]:
    """Return the exchanges of a dialogue, each beginning with a prompt.

    Speakers with names such as `assistant` or `chatbot` count as the chatbot. If no speaker has
    such a name, every speaker except the first counts as the chatbot.
    """
    named = any(turn.speaker.casefold() in CHATBOTS for turn in turns)
    found: list[tuple[list[Turn], list[Turn]]] = []
    for turn in turns:
        machine = turn.speaker.casefold() in CHATBOTS if named else turn.speaker != turns[0].speaker
        if not found or (not machine and found[-1][1]):
            found.append(([], []))
        found[-1][machine].append(turn)
    return [Exchange(tuple(prompts), tuple(replies)) for prompts, replies in found]


def responder_of(conversation: Conversation) -> str:
    """Return the name of the model that answers in a dialogue, or "" if it is unknown."""
    replies = (turn for one in exchanges(conversation.turns) for turn in one.replies)
    return next((turn.model for turn in replies if turn.model), "")


def read_dialogues(sources: Iterable[str]) -> list[Conversation]:
    """Return the dialogues from several sources, except those without turns.

    Raises:
        SourceError: Two dialogues have the same id, or a source cannot be read.
    """
    found: dict[str, Conversation] = {}
    for source in sources:
        for one in open_corpus(source):
            if one.id in found:
                raise SourceError(
                    f"{source}: another dialogue already has the id {one.id!r:.80}; ids must be "
                    "unique across all sources"
                )
            if one.turns:
                found[one.id] = one
    return list(found.values())


def read_pairs(
    natural: Iterable[str], simulated: Iterable[Simulated], seed: int
) -> tuple[list[Conversation], list[dict[str, Any]]]:
    """Return the dialogues in all pairs that may be shown, and the pairs.

    Both dialogues in a pair have the same person (`persona_id` or `persona` in the context), goal
    (`goal` or `situation` in the context) and responder. If any natural dialogue does not name its
    responder, all dialogues are assumed to have the same responder.

    Raises:
        SourceError: There is no pair, or a source cannot be read.
    """
    people = {one.id: one for one in read_dialogues(natural)}
    models: dict[str, tuple[str, Conversation]] = {}
    for each in simulated:
        for one in read_dialogues([each.source]):
            if one.id in people or one.id in models:
                raise SourceError(
                    f"{each.source}: another dialogue already has the id {one.id!r:.80}; ids must "
                    "be unique across all sources"
                )
            models[one.id] = each.condition, one
    known = all(responder_of(one) for one in people.values())
    names = _goal_names([*people.values(), *(one for _, one in models.values())])
    pairs = candidate_pairs(
        _described(((one, "") for one in people.values()), names, known),
        _described(((one, condition) for condition, one in models.values()), names, known),
        seed,
    )
    used = {name for pair in pairs for name in (pair.natural, pair.simulated)}
    dialogues = [*people.values(), *(one for _, one in models.values())]
    return [one for one in dialogues if one.id in used], [asdict(pair) for pair in pairs]


def _described(
    dialogues: Iterable[tuple[Conversation, str]], names: dict[str, str], known: bool
) -> list[StudyDialogue]:
    found: list[StudyDialogue] = []
    for one, condition in dialogues:
        person, goal = _person(one), _goal(one)
        if person and goal:
            responder = responder_of(one) if known else ""
            found.append(StudyDialogue(one.id, person, names[goal], responder, condition))
    return found


def _person(conversation: Conversation) -> str:
    context = conversation.context
    person = context.get("persona_id", context.get("persona"))
    return f"{person}" if isinstance(person, str | int) and not isinstance(person, bool) else ""


def _goal(conversation: Conversation) -> str:
    """Return a dialogue's goal in lower case with single spaces, or "" if it has no goal."""
    context = conversation.context
    goal = context.get("goal", context.get("situation", ""))
    return " ".join(goal.casefold().split()) if isinstance(goal, str) else ""


def _goal_names(conversations: Iterable[Conversation]) -> dict[str, str]:
    """Map each goal to the topic of its dialogues, or to itself if the dialogues have no topic."""
    names: dict[str, str] = {}
    for one in conversations:
        goal, topic = _goal(one), one.context.get("topic")
        if isinstance(topic, str) and topic.strip():
            names[goal] = topic
        names.setdefault(goal, goal)
    return names


def _inquirer_of(source: str) -> str | None:
    """Return the name of the inquirer's model in a run, or None if the source is not a run."""
    if not (Path(source) / "manifest.json").is_file():
        return None
    models: dict[str, dict[str, Any]] = Run(Path(source)).manifest.get("models") or {}
    return models.get("inquirer", {}).get("name")
