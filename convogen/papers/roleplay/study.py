"""Role plays over several seeds: lengths, failures, diversity (LLM Roleplay, tables 1, 2, 4, 7, 9).

Each run has one seed. Means and standard deviations are taken over the runs. The deviations divide
by n, which the counts in table 7 show to be the paper's choice. A rate is a share of the outputs in
one run. Counts cover all tasks of a run, including those that failed or were rejected by a gate;
lengths and diversity cover only the accepted conversations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.methods.roleplay.personas import FEATURES
from convogen.metrics.diversity import Distinct, lexical, word_hashes
from convogen.records import PROPER_ENDS, Conversation
from convogen.storage.run_folder import Run

__all__ = [
    "BESIDE",
    "DIVERSITY",
    "LENGTHS",
    "RATES",
    "Condition",
    "Measure",
    "Overall",
    "Played",
    "conditions",
    "over_inquirers",
    "played",
]

LENGTHS = {
    "turns": "Turns per dialogue",
    "prompt_tokens": "Tokens per prompt",
    "response_tokens": "Tokens per response",
}
DIVERSITY = {"ttr": "TTR", "distinct_1": "distinct-1", "distinct_2": "distinct-2"}
BESIDE = {"mtld": "MTLD", "words": "words"}
"""Measures of the user's text that are not in the paper: MTLD, which hardly depends on the length
of the text, and the length in words."""

RATES = {
    "no_prompt": ("No prompt", "inquirer_outputs"),
    "several_prompts": ("Several prompts", "inquirer_outputs"),
    "incoherent_inquirer": ("Incoherent inquirer", "inquirer_outputs"),
    "self_reply": ("Self-replies", "inquirer_outputs"),
    "stop_missed": ("Stop missed", "inquirer_outputs"),
    "incoherent_responder": ("Incoherent responder", "responder_outputs"),
    "thanking": ("Endless thanks", "dialogues"),
    "broken": ("Ended early, kept", "dialogues"),
    "unsaved": ("Not saved", "dialogues"),
}
"""Maps each failure to its label and to the count by which the number of failures is divided;
`dialogues` counts all dialogues that were started."""


class Measure(NamedTuple):
    """The mean and standard deviation over runs, and the mean over runs of the standard deviation
    within a run (over dialogues or utterances); None if there is nothing to measure."""

    mean: float | None
    std: float | None
    spread: float | None = None


@dataclass(slots=True)
class Played:
    """The counts and measures of one run.

    `lengths` contains the turns per conversation and the tokens per output that the models report
    (no tokens if a chatbot does not report any). `diversity` contains the type-token ratio and
    distinct-n for each conversation, over the words in all its prompts; n-grams never span two
    prompts. `texts` maps each task to its measures in `DIVERSITY` and `BESIDE`.

    `dialogues_with` counts the dialogues with each failure, and `turns_with` counts the turns with
    each failure. A turn is a prompt and its response, or a prompt without a response.
    `turns_with["turns"]` counts all turns; for a failed task, only the failed turn is known.
    """

    run: Run
    setting: Mapping[str, Any]
    seed: int
    told: str
    counts: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])
    lengths: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in LENGTHS})
    diversity: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in DIVERSITY}
    )
    texts: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    dialogues_with: Counter[str] = field(default_factory=Counter[str])
    turns_with: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True, slots=True)
class Condition:
    """Runs that differ only in their seeds."""

    name: str
    told: str
    runs: list[Played]

    def length(self, name: str) -> Measure:
        """Return a length listed in `LENGTHS`."""
        return _measure([one.lengths[name] for one in self.runs])

    def diversity(self, name: str) -> Measure:
        """Return a measure listed in `DIVERSITY`."""
        return _measure([one.diversity[name] for one in self.runs])

    def rate(self, name: str) -> Measure:
        """Return a rate listed in `RATES`, 0 to 1."""
        of = RATES[name][1]
        rates = [one.counts[name] / one.counts[of] for one in self.runs if one.counts[of]]
        return _over(rates)

    def per_dialogue(self, name: str) -> Measure:
        """Return the share of dialogues with a failure listed in `RATES`, 0 to 1."""
        runs = [one for one in self.runs if one.counts["dialogues"]]
        return _over([one.dialogues_with[name] / one.counts["dialogues"] for one in runs])

    def per_turn(self, name: str) -> Measure:
        """Return the share of turns with a failure listed in `RATES`, 0 to 1."""
        runs = [one for one in self.runs if one.turns_with["turns"]]
        return _over([one.turns_with[name] / one.turns_with["turns"] for one in runs])

    def count(self, name: str) -> Measure:
        """Return the count with a given name, for example the number of outputs or dialogues."""
        return _over([one.counts[name] for one in self.runs])


class Overall(NamedTuple):
    """The indices (from 0) of conditions that differ only in their inquirers; `lengths` contains
    the mean and standard deviation of the conditions' means."""

    conditions: tuple[int, ...]
    inquirers: int
    lengths: dict[str, Measure]


def played(run: Run) -> Played:
    """Return the counts of a run; raise `SourceError` if its method is not `roleplay`."""
    setting = dict(run.manifest.get("experiment") or {})
    if setting.get("method") != "roleplay":
        method = setting.get("method", "unknown")
        raise SourceError(
            f"{run.folder}: was generated with the {method} method; specify a run generated with "
            "the roleplay method"
        )
    seed = setting.pop("seed", 0)
    found = Played(run, setting, seed, _told(run, setting.get("features") or []))
    finished = [(one, True) for one in run.conversations()]
    finished += [(one.conversation, False) for one in run.rejected()]
    for conversation, accepted in finished:
        _failures(found, conversation)
        if not accepted:
            continue
        turns = conversation.turns
        found.lengths["turns"].append(len(turns) // 2)
        for name, side in (("prompt_tokens", turns[::2]), ("response_tokens", turns[1::2])):
            tokens = [turn.usage.completion_tokens if turn.usage else 0 for turn in side]
            found.lengths[name] += [count for count in tokens if count]
        text = _diversity([turn.text for turn in turns[::2]])
        for name, values in found.diversity.items():
            values += [text[name]] if name in text else []
        if conversation.task is not None:
            found.texts[conversation.task] = text
    for failure in run.failures():
        found.counts.update(failure.counts or {})
        found.failures[failure.kind] += 1
        found.dialogues_with.update(name for name, n in (failure.counts or {}).items() if n)
        found.turns_with.update(("turns", failure.kind))
    found.counts["unsaved"] = found.failures.total()
    found.counts["dialogues"] = len(finished) + found.failures.total()
    return found


def conditions(runs: Iterable[Run]) -> list[Condition]:
    """Group runs that differ only in their seeds, in the order given.

    Raises `SourceError` if two runs in a group have the same seed.
    """
    together: dict[tuple[str, str], list[Played]] = {}
    for one in map(played, runs):
        others = together.setdefault((one.told, repr(one.setting)), [])
        if same := next((other for other in others if other.seed == one.seed), None):
            raise SourceError(
                f"{one.run.folder} and {same.run.folder} have the same settings and the same seed "
                f"({one.seed}); leave out one of the two runs"
            )
        others.append(one)
    groups = list(together.values())
    differing = _differing([group[0].setting for group in groups])
    return [Condition(_name(group[0], differing), group[0].told, group) for group in groups]


def over_inquirers(found: Sequence[Condition]) -> list[Overall]:
    """Return one row per group of conditions that differ only in the inquirer (table 4)."""
    own = ("roles", "inquirer_family", "prompts")
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(found):
        setting = {key: value for key, value in one.runs[0].setting.items() if key not in own}
        key = repr((one.told, setting, one.runs[0].setting["roles"].get("responder")))
        groups.setdefault(key, []).append(at)
    rows: list[Overall] = []
    for group in groups.values():
        inquirers = {found[at].runs[0].setting["roles"]["inquirer"]["model"] for at in group}
        if len(inquirers) < 2:
            continue
        means = {name: [found[at].length(name).mean for at in group] for name in LENGTHS}
        known = {name: [one for one in means[name] if one is not None] for name in LENGTHS}
        lengths = {name: _over(values) for name, values in known.items()}
        rows.append(Overall(tuple(group), len(inquirers), lengths))
    return rows


def _told(run: Run, features: Sequence[str]) -> str:
    """Return the described part of the personas: `none`, `all`, feature names or a hub's name."""
    if source := read_mapping(run.folder / "experiment.yaml").get("persona_source"):
        return Path(f"{source}").name
    if not features:
        return "none"
    return "all" if set(FEATURES) <= set(features) else "+".join(features)


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the parameters in which conditions differ, apart from models and features."""
    left_out = {"roles", "features", "prompts", "sources", "format"}
    return [
        key
        for key in settings[0]
        if key not in left_out and any(one.get(key) != settings[0][key] for one in settings)
    ]


def _name(one: Played, differing: Sequence[str]) -> str:
    setting = one.setting
    asks, answers = (setting["roles"][role]["model"] for role in ("inquirer", "responder"))
    own = [one.told, *(f"{key}={setting.get(key)}" for key in differing)]
    return f"{asks} → {answers}, {', '.join(own)}"


def _failures(found: Played, conversation: Conversation) -> None:
    """Count a dialogue's failures per output, per turn and per dialogue."""
    counts: dict[str, int] = conversation.context.get("counts", {})
    found.counts.update(counts)
    found.dialogues_with.update(name for name, count in counts.items() if count)
    if conversation.ended not in PROPER_ENDS:
        found.counts["broken"] += 1
        found.dialogues_with["broken"] += 1
    sides = [{*(turn.faults or ()), *turn.reasks} for turn in conversation.turns]
    turns = [{*sides[at], *sides[at + 1]} for at in range(0, len(sides) - 1, 2)]
    if conversation.refused:
        turns.append({*conversation.refused})
    for faults in turns:
        found.turns_with.update(("turns", *faults))


def _diversity(prompts: Sequence[str]) -> dict[str, float]:
    """Return a dialogue's measures in `DIVERSITY` and `BESIDE`; empty if the prompts have no
    words."""
    text = lexical("\n".join(prompts))
    if math.isnan(text.ttr):
        return {}
    values = {"ttr": text.ttr, "mtld": text.mtld, "words": float(len(text.words))}
    words = [word_hashes(lexical(prompt).words) for prompt in prompts]
    for n in (1, 2):
        counted = Distinct(n)
        for hashes in words:
            counted.add(hashes)
        if counted.ratio is not None:
            values[f"distinct_{n}"] = counted.ratio
    return values


def _measure(values: Sequence[Sequence[float]]) -> Measure:
    """Return the `Measure` for values grouped by run."""
    some = [one for one in values if one]
    spread = fmean(map(pstdev, some)) if some else None
    return _over([fmean(one) for one in some])._replace(spread=spread)


def _over(runs: Sequence[float]) -> Measure:
    if not runs:
        return Measure(None, None)
    return Measure(fmean(runs), pstdev(runs) if len(runs) > 1 else None)
