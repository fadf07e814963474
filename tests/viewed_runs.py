"""Run folders for tests of the viewer, including one with everything that a page can show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from export_runs import played, spoken, write_run

from convogen.records import (
    Conversation,
    Experience,
    Failure,
    Persona,
    PersonaCard,
    Rejected,
    Score,
    Selection,
    Starter,
    Turn,
    Usage,
)
from convogen.web.viewer.opened import Opened, open_runs

__all__ = [
    "BIDI",
    "HOSTILE",
    "LONG",
    "append",
    "many_rows",
    "opened_at",
    "replayed_run",
    "varied_run",
]

HOSTILE = "<script>document.title='run'</script><img src=x onerror=alert(1)>"
BIDI = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
LONG = "A long story of bread and of butter. " * 560
USAGE = Usage(prompt_tokens=300, completion_tokens=20)


def varied_run(folder: Path, **manifest: Any) -> Path:
    """Write a run of five conversations, a rejected one and a failure, with the tasks 0 to 6."""
    bakers, hostile, pair = _bakers(), _hostile(), _pair()
    cut, _ = played(3, spoken("AI can not go on", "BWhy not?"), topic="a refusal")
    cut = cut.model_copy(update={"ended": "refusal", "refused": ["refusal", "refusal"]})
    japanese, scene = played(4, spoken("Aパンを焼いています。", "Bいい匂いですね。"), topic="パン")
    records = [bakers, hostile, pair, (cut, played(3, spoken("Ax"))[1]), (japanese, scene)]
    geval = {"judge": "geval", "aspect": "overall", "method": "samples"}
    scores = [
        Score(conversation=one.id, value=value, explanation=f"Because of {HOSTILE}", **geval)
        for (one, _), value in zip(records, (4.5, 1.0, 3.0, None, 2.0), strict=True)
    ]
    labels = (("small_talk", HOSTILE), (), None)
    other = [
        Score(
            conversation="c-0",
            judge="other",
            aspect="overall",
            value=1.5,
            reason="all",
            turn_labels=labels,
        )
    ]
    run = write_run(folder, records, scores, n=5, **manifest)
    (run / "scores" / "other.jsonl").write_bytes(other[0].to_line())
    refused, _ = played(5, spoken("AThis is about guns", "BOh"), topic="guns")
    rejected = Rejected(
        id="c-5", task=5, gate="safety", reason=f"has {HOSTILE}", value="guns", conversation=refused
    )
    failure = Failure(
        id="f-6", task=6, stage="experience", kind="no_json", message="no JSON", evidence=HOSTILE
    )
    append(run, "rejected", [rejected])
    append(run, "failures", [failure])
    _write_calls(run)
    return run


def replayed_run(folder: Path, **manifest: Any) -> Path:
    """Write a run with a replay of task 0 of `varied_run` from its second turn on."""
    conversation, experience = played(
        0, spoken("AThe sourdough is ready.", "Aor not", "Bwho knows"), topic="sourdough"
    )
    turns = [one.model_copy(update={"speaker": "Anna Berg"}) for one in conversation.turns]
    again = conversation.model_copy(update={"id": "c-again", "turns": turns})
    origin = {"run": "/elsewhere", "conversation": "c-0", "from_turn": 2}
    return write_run(folder, [(again, experience)], replay_of=origin, **manifest)


def opened_at(*folders: Path) -> list[Opened]:
    """Open runs with up-to-date indexes, which are in a folder next to the first run."""
    runs = open_runs(folders, folders[0].parent / "cache")
    for one in runs:
        one.scanner.catch_up()
    return runs


def append(run: Path, name: str, records: Iterable[Any]) -> None:
    """Append rows to a file of a run, as an unfinished run does."""
    with (run / f"{name}.jsonl").open("ab") as file:
        file.writelines(record.to_line() for record in records)


def many_rows(first: int, n: int) -> list[Conversation]:
    """Return short conversations, starting with the task `first`."""
    made = (
        played(task, spoken("Ahello", f"Bnumber {task}"))[0] for task in range(first, first + n)
    )
    return list(made)


def _scene(task: int, people: Sequence[Persona], turns: Sequence[Turn], **more: Any) -> Experience:
    opening = Starter(speaker=turns[0].speaker, text=turns[0].text)
    known = {"relations": "neighbours", "situation": "the oven is cold", "topic": "sourdough"}
    return Experience(
        id=f"e-{task}", task=task, personas=list(people), starter=opening, **{**known, **more}
    )


def _bakers() -> tuple[Conversation, Experience]:
    card = PersonaCard(
        age=41,
        gender="woman",
        qualities=["patient", "blunt"],
        lifestyle="bakes at night",
        speech_style="short sentences",
        recent_memory="the oven broke",
        long_term_memory="her father's mill",
    )
    names = ("Anna Berg", "Arne Bo", "Zoë Ångström")
    people = [Persona(name=name, card=card) for name in names]
    chosen = Selection(
        candidates=list(names[1:]), reply="Nobody", repair="drawn", request="s1", usage=USAGE
    )
    turns = [
        Turn(speaker="Anna Berg", text="The sourdough is ready.", origin="starter"),
        Turn(
            speaker="Arne Bo",
            text="Is it?\n\n```python\nprint('bread')\n```\nSo it is.",
            origin="agent",
            model="made",
            request="r1",
            usage=USAGE,
            selection=chosen,
            reasks=["assistant_offer"],
            tidied=["label"],
            lapse="echo",
            target_words=12,
        ),
        Turn(speaker="Zoë Ångström", text="Café, anyone?", origin="human"),
    ]
    conversation, _ = played(0, turns, topic="sourdough", situation="the oven is cold")
    conversation = conversation.model_copy(update={"language": "en"})
    return conversation, _scene(0, people, turns)


def _hostile() -> tuple[Conversation, Experience]:
    names = ("<b>Bob</b>", f"{BIDI}", "&lt;i&gt; \x1b[31mred")
    turns = [
        Turn(speaker=names[0], text=HOSTILE),
        Turn(speaker=names[1], text=f"{BIDI} 123 \u202eevil\u202c {HOSTILE}"),
        Turn(speaker=names[2], text="&lt;script&gt;alert(2)&lt;/script&gt; \x1b[31m\x07 {{ 7*7 }}"),
    ]
    people = [Persona(name=name, text=HOSTILE, source=HOSTILE) for name in names]
    conversation, _ = played(1, turns, topic=HOSTILE, **{"<i>key</i>": {"deep": [HOSTILE]}})
    return conversation, _scene(1, people, turns, topic=HOSTILE, shots=["e-0"], admitted=True)


def _pair() -> tuple[Conversation, Experience]:
    turns = [Turn(speaker="Anna Berg", text="Tell me."), Turn(speaker="Arne Bo", text=LONG)]
    conversation, scene = played(2, turns, topic="a long story")
    return conversation, scene.model_copy(update={"shots": ["e-1"], "admitted": False})


def _write_calls(run: Path) -> None:
    """Write the calls of task 0: the selector, a rejected reply and the accepted reply."""
    made: dict[str, Any] = {"task": 0, "model": "made", "finish_reason": "stop"}
    made["usage"] = USAGE.model_dump()
    calls = [
        {**made, "key": "s1.1", "role": "selector", "text": "Nobody"},
        {**made, "key": "r0.1", "role": "agent", "text": f"How may I help you? {HOSTILE}"},
        {**made, "key": "r1.1", "role": "agent", "text": "Is it?"},
    ]
    (run / "calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    paid = {"task": 0, "role": "agent", "model": "made", **USAGE.model_dump(), "seconds": 0.5}
    ledger = [{**paid, "at": 1e9}, {**paid, "at": 1e9 + 20, "task": 1}]
    (run / "ledger.jsonl").write_text("".join(json.dumps(call) + "\n" for call in ledger))
