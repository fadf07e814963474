"""Counts of a run's contents, as shown by `convogen show`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from convogen.costs.ledger_costs import Spending, spending
from convogen.metrics.languages import MEASURED, StatedLanguage, StatedLanguages
from convogen.metrics.turn_checks import TurnChecks
from convogen.records import Conversation, Experience
from convogen.reports.acceptance import acceptance_of
from convogen.storage.run_folder import Run
from convogen.storage.waiting import waiting
from convogen.text.identify import language_of
from convogen.text.segmentation import count_words

__all__ = ["PlanCounts", "RunSummary", "summarise"]


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """Counts from the plans of a run's experiences.

    Attributes:
        subtopics: Number of subtopics found.
        personas: Number of personas found.
        requests: Number of requested replies.
        near_copies: Number of subtopics and personas rejected as near-copies.
        unusable: Number of subtopics and personas rejected as unusable.
    """

    subtopics: int
    personas: int
    requests: int
    near_copies: int
    unusable: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Counts of a run's contents; if there are several kinds, the most frequent kind comes first.

    Attributes:
        conversations: Number of accepted conversations.
        rejected: Number of conversations rejected by each gate.
        acceptance_rate: Share of the finished conversations that were accepted, 0 to 1; None if
            no conversation is finished.
        experiences: Number of generated experiences.
        admitted: Number of experiences that entered the few-shot hub.
        near_copies: Number of experiences kept out of the hub as near-copies.
        repaired: Number of repaired experiences.
        experiences_asked_again: Number of the generator's rejected replies for each fault.
        plan: Counts from the experiences' plans; None if the method has no plans.
        turns: Number of turns in the accepted conversations.
        words: Number of words in these turns; None if text in one of the languages cannot be
            split into words.
        stated_languages: Counts for each language tag that is stated by any of the first
            conversations.
        ended: Number of conversations for each way in which they ended.
        reasks: Number of rejected replies for each fault.
        tidied: Number of tidied replies for each fault.
        lapses: For each fault, the number of turns kept despite it.
        broken_off: For each fault, the number of conversations that ended early because of it.
        participants: Number of participants in all conversations.
        silent: Number of participants who never spoke.
        selections: Number of turns whose speaker was selected by the group chat.
        selector_repairs: Number of these selections that used a fallback.
        failures: Number of failed tasks for each stage and kind.
        ledger: Cost for each role and model.
        waiting: Number of finished conversations that wait for an earlier, unfinished task.
    """

    conversations: int
    rejected: dict[str, int]
    acceptance_rate: float | None
    experiences: int
    admitted: int
    near_copies: int
    repaired: int
    experiences_asked_again: dict[str, int]
    plan: PlanCounts | None
    turns: int
    words: int | None
    stated_languages: dict[str, StatedLanguage]
    ended: dict[str, int]
    reasks: dict[str, int]
    tidied: dict[str, int]
    lapses: dict[str, int]
    broken_off: dict[str, int]
    participants: int
    silent: int
    selections: int
    selector_repairs: int
    failures: dict[str, int]
    ledger: list[Spending]
    waiting: int

    def as_dict(self) -> dict[str, Any]:
        """Return all counts as plain values for JSON."""
        return asdict(self) | {"plan": asdict(self.plan) if self.plan else {}}


def summarise(run: Run) -> RunSummary:
    """Return the counts of a run's contents."""
    talk, invented = _Talk(), _Invented()
    for conversation in run.conversations():
        talk.add(conversation)
    for experience in run.experiences():
        invented.add(experience)
    accepted = acceptance_of(run, talk.conversations)
    checks = talk.checks.counts()
    failures = Counter(f"{one.stage}/{one.kind}" for one in run.failures())
    return RunSummary(
        conversations=talk.conversations,
        rejected=accepted.rejected,
        acceptance_rate=accepted.rate,
        experiences=invented.experiences,
        admitted=invented.admitted,
        near_copies=invented.refused,
        repaired=invented.repaired,
        experiences_asked_again=dict(invented.asked_again.most_common()),
        plan=PlanCounts(**invented.plan) if invented.plan else None,
        turns=talk.turns,
        words=talk.words,
        stated_languages=talk.languages.by_tag(),
        ended=dict(talk.ended.most_common()),
        reasks=checks.asked_again,
        tidied=checks.tidied,
        lapses=checks.taken_with,
        broken_off=checks.broken_off,
        participants=talk.participants,
        silent=talk.silent,
        selections=talk.selections,
        selector_repairs=talk.repairs,
        failures=dict(failures.most_common()),
        ledger=spending(run),
        waiting=sum(outcome.conversation is not None for outcome in waiting(run.folder)),
    )


@dataclass(slots=True)
class _Talk:
    """The conversations counted so far."""

    conversations: int = 0
    turns: int = 0
    words: int | None = 0
    languages: StatedLanguages = field(default_factory=StatedLanguages)
    participants: int = 0
    silent: int = 0
    selections: int = 0
    repairs: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])
    checks: TurnChecks = field(default_factory=TurnChecks)

    def add(self, conversation: Conversation) -> None:
        turns, participants = conversation.turns, conversation.participants
        self.conversations += 1
        self.turns += len(turns)
        language = language_of(conversation)
        for turn in turns:
            count = count_words(turn.text, language)
            self.words = None if count is None or self.words is None else self.words + count
        if self.conversations <= MEASURED:
            self.languages.add(conversation)
        self.participants += len(participants)
        self.silent += len({*participants} - {turn.speaker for turn in turns})
        selections = [turn.selection for turn in turns if turn.selection is not None]
        self.selections += len(selections)
        self.repairs += sum(one.repair is not None for one in selections)
        self.ended[conversation.ended or "unknown"] += 1
        self.checks.add(conversation)


@dataclass(slots=True)
class _Invented:
    """The experiences counted so far."""

    experiences: int = 0
    admitted: int = 0
    refused: int = 0
    repaired: int = 0
    asked_again: Counter[str] = field(default_factory=Counter[str])
    plan: Counter[str] = field(default_factory=Counter[str])

    def add(self, experience: Experience) -> None:
        self.experiences += 1
        self.admitted += experience.admitted is True
        self.refused += experience.admitted is False
        self.repaired += bool(experience.repairs)
        self.asked_again.update(experience.reasks)
        for step in experience.plan or ():
            self.plan.update(
                subtopics=len(step.get("subtopics", ())),
                personas=len(step.get("personas", ())),
                requests=step["requests"],
                near_copies=step["near_copies"],
                unusable=step["unusable"],
            )
