"""The share of a model's group-chat replies that are faulty, by kind, before and after checks.

    python -m benchmarks.quality --model gpt-4o-mini --out new.jsonl
    python -m benchmarks.quality --read old.jsonl new.jsonl

The shipped experiences are played with a fixed order of speakers and fixed seeds. The file has one
row per experience, with every raw reply and its request, and the accepted turns. `--read` counts
the faults in such files again, so that replies collected with another version of the prompts are
counted with the same checks. With two files, it also prints the difference between them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from math import sqrt
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from convogen.experiment.experiment import Experiment
from convogen.generation.example_experiences import load_experiences
from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat
from convogen.groupchat.messages import instructions, sayable
from convogen.models.base import ChatModel, ModelReply, Request
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.records import Experience
from convogen.text.turn_checks import Scene, Utterance, read_utterance
from convogen.text.utterances import word_runs

REPLIES = 12
IN_FLIGHT = 4
REPEATED_WORDS, LEAST_WORDS = 4, 6
"""Number of consecutive words that count as repeated; minimum length of a turn in words."""


class Recorded:
    """A model that records every reply it gives as an agent."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.n_turns = 1
        self.replies: list[dict[str, Any]] = []

    async def complete(self, request: Request) -> ModelReply:
        reply = await self._model.complete(request)
        if request.role == "agent":
            asked = [[message.role, message.content] for message in request.messages]
            said = {"text": reply.text, "finish_reason": reply.finish_reason}
            self.replies.append({"at": self.n_turns, "messages": asked, **said})
        return reply

    async def close(self) -> None:
        """Do nothing: the caller that opened the model closes it."""


async def play(experiment: Experiment, folder: Path | None, replies: int) -> list[dict[str, Any]]:
    """Play the experiences and return one row for each."""
    model = open_model(experiment.model("agent"))
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(experience: Experience) -> dict[str, Any]:
        async with room:
            return await _played(experiment, experience, model, replies)

    try:
        return await asyncio.gather(*(one(each) for each in load_experiences(folder)))
    finally:
        await model.close()


async def _played(
    experiment: Experiment, experience: Experience, model: ChatModel, replies: int
) -> dict[str, Any]:
    recorded = Recorded(model)
    method: Any = experiment.method
    roles = {
        name: Role(experiment.model(name), experiment.sampling(name))
        for name in ("agent", "selector")
    }
    traffic = Traffic(roles, IN_FLIGHT, RunProgress(), lambda _: recorded)
    rules = ChatRules(
        replies + 1,
        speaker_selection="round_robin",
        allow_repeats=False,
        max_words=method.max_words,
        reasks=method.reasks,
    )

    def on_turn() -> None:
        recorded.n_turns += 1

    with tempfile.TemporaryDirectory() as folder:
        session = traffic.session(0, 1, Journal(Path(folder) / "journal.jsonl"))
        prompts = ChatPrompts.of(experiment.prompts)
        played = await play_group_chat(
            experience, rules, prompts=prompts, session=session, on_turn=on_turn
        )
    return {
        "experience": experience.id,
        "participants": [persona.name for persona in experience.personas],
        "turns": [turn.model_dump(exclude_none=True) for turn in played.turns],
        "ended": played.ended,
        "replies": recorded.replies,
    }


@dataclass
class Counts:
    """Faults by kind in raw replies and in accepted turns, and how the conversations ended."""

    replies: int = 0
    faulty: int = 0
    tidied: int = 0
    by_kind: Counter[str] = field(default_factory=Counter[str])
    turns: int = 0
    turn_faults: Counter[str] = field(default_factory=Counter[str])
    long_turns: int = 0
    repeating: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])


def count(rows: list[dict[str, Any]], experiences: dict[str, Experience]) -> Counts:
    """Count the faults in the rows of a file with the current checks."""
    counts = Counts()
    for row in rows:
        counts.ended[row["ended"]] += 1
        experience = experiences[row["experience"]]
        texts = [turn["text"] for turn in row["turns"]]
        for reply in row["replies"]:
            said = _read(reply, row, experience, texts)
            counts.replies += 1
            counts.faulty += said.fault is not None
            counts.tidied += said.fault is None and bool(said.tidied)
            counts.by_kind.update([said.fault] if said.fault else said.tidied)
        for at, text in enumerate(texts[1:], 1):
            last = [reply for reply in row["replies"] if reply["at"] == at][-1]
            said = _read({**last, "text": text, "finish_reason": "stop"}, row, experience, texts)
            counts.turns += 1
            counts.turn_faults.update([said.fault] if said.fault else said.tidied)
        for long, repeats in repeated_turns(texts):
            counts.long_turns += long
            counts.repeating += repeats
    return counts


def _read(
    reply: dict[str, Any], row: dict[str, Any], experience: Experience, texts: list[str]
) -> Utterance:
    """Read a raw reply as the chat did when it received the reply."""
    names, at = row["participants"], reply["at"]
    first = names.index(row["turns"][0]["speaker"])
    persona = experience.personas[(first + at) % len(names)]
    earlier = tuple(texts[:at])
    asked = "\n".join(content for _, content in reply["messages"])
    said = [*sayable(experience, persona), *(" ".join(text.split()) for text in earlier)]
    scene = Scene(
        speaker=persona.name,
        others=tuple(name for name in names if name != persona.name),
        earlier=earlier,
        unsaid=word_runs(instructions(asked, said)),
    )
    return read_utterance(reply["text"], scene, cut_off=reply["finish_reason"] == "length")


def repeated_turns(texts: list[str]) -> Iterator[tuple[bool, bool]]:
    """Yield, for each turn after the first, whether it is long and whether it repeats words."""
    said: set[tuple[str, ...]] = set()
    for at, text in enumerate(texts):
        words = re.findall(r"\w+", text.casefold())
        runs = {
            tuple(words[start : start + REPEATED_WORDS])
            for start in range(len(words) - REPEATED_WORDS + 1)
        }
        if at:
            yield len(words) >= LEAST_WORDS, len(words) >= LEAST_WORDS and bool(runs & said)
        said |= runs


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson, 1927)."""
    stats: Any = import_module("scipy.stats")
    found = stats.binomtest(part, whole).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def newcombe(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float]:
    """Return the difference of two shares with its 95% interval (Newcombe, 1998, method 10)."""
    p, q = one[0] / one[1], other[0] / other[1]
    (p_low, p_high), (q_low, q_high) = wilson(*one), wilson(*other)
    below = sqrt((p - p_low) ** 2 + (q_high - q) ** 2)
    above = sqrt((p_high - p) ** 2 + (q - q_low) ** 2)
    return p - q, p - q - below, p - q + above


def report(counted: dict[str, Counts], console: Console) -> None:
    """Print the counts of each file, and the difference if there are two."""
    table = Table(title="Faulty replies", title_justify="left")
    table.add_column("")
    for name in counted:
        table.add_column(name, justify="right")
    each = list(counted.values())
    table.add_row("raw replies", *(f"{one.replies}" for one in each))
    for label, key in (("requested again", "faulty"), ("tidied", "tidied")):
        table.add_row(label, *(_share(getattr(one, key), one.replies) for one in each))
    kinds = sorted({kind for one in each for kind in one.by_kind})
    for kind in kinds:
        table.add_row(f"  {kind}", *(f"{one.by_kind[kind]}" for one in each))
    table.add_section()
    table.add_row("accepted turns", *(f"{one.turns}" for one in each))
    table.add_row("faulty", *(_share(one.turn_faults.total(), one.turns) for one in each))
    for kind in sorted({kind for one in each for kind in one.turn_faults}):
        table.add_row(f"  {kind}", *(f"{one.turn_faults[kind]}" for one in each))
    label = f"{REPEATED_WORDS} consecutive words of an earlier turn"
    table.add_row(label, *(_share(one.repeating, one.long_turns) for one in each))
    table.add_section()
    for why in sorted({why for one in each for why in one.ended}):
        table.add_row(f"ended: {why}", *(f"{one.ended[why]}" for one in each))
    console.print(table)
    if len(each) == 2:
        first, second = ((one.faulty, one.replies) for one in each)
        change, low, high = (f"{100 * value:+.1f}" for value in newcombe(second, first))
        console.print(f"change in replies requested again: {change} points ({low} to {high})")


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    low, high = wilson(part, whole)
    return f"{part} ({part / whole:.1%}, {low:.1%} to {high:.1%})"


def main() -> None:
    """Play conversations and count their faults, or count faults in existing files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--model", default="embedded", help="name of a model, or a GGUF file")
    parser.add_argument("--base-url", help="base URL of an OpenAI-compatible endpoint")
    parser.add_argument("--experiences", type=Path, help="folder (default: shipped ones)")
    parser.add_argument("--replies", type=int, default=REPLIES, help="replies per experience")
    parser.add_argument("--out", type=Path, help="file for the raw replies and turns")
    parser.add_argument("--read", type=Path, nargs="+", help="count these files instead")
    given = parser.parse_args()
    experiences = {one.id: one for one in load_experiences(given.experiences)}
    files: dict[str, list[dict[str, Any]]] = {}
    if given.read:
        for path in given.read:
            lines = path.read_text("utf-8").splitlines()
            files[path.stem] = [json.loads(line) for line in lines]
    else:
        spec = {"name": given.model, "base_url": given.base_url}
        experiment = Experiment({"name": "quality", "models": {"default": spec}})
        rows = asyncio.run(play(experiment, given.experiences, given.replies))
        if given.out:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            given.out.write_text("".join(lines), encoding="utf-8")
        files[given.model.rpartition("/")[2]] = rows
    report({name: count(rows, experiences) for name, rows in files.items()}, Console(width=100))


if __name__ == "__main__":
    main()
