"""Small artificial data and runs for the commands in README.md and docs/."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convogen import Experiment, load_run, run

__all__ = ["write"]

EXAMPLES = Path(__file__).parents[1] / "experiences"
PLACES = "garden kitchen harbour library station market workshop orchard".split()
THINGS = "kettle ladder lantern notebook saddle mirror candle basket engine feather".split()
TOPICS = ["gardening", "travel", "cooking"]


def write(folder: Path) -> None:
    """Write the data files, and the runs in runs/, with the scripted model."""
    _lines(folder / "people.jsonl", (_chat(i) for i in range(40)))
    _lines(folder / "labelled.jsonl", (_labelled(i) for i in range(12)))
    _lines(folder / "held-out.jsonl", (_labelled(i) for i in range(20, 26)))
    _lines(folder / "seeds.jsonl", (_seed(i) for i in range(8)))
    _lines(folder / "my-hub.jsonl", ({"persona": _persona(i)} for i in range(12)))
    (folder / "topics.txt").write_text("Chess\nTea\n", "utf-8")
    (folder / "my-words.txt").write_text("# one entry a line\nforbidden\n", "utf-8")
    (folder / "people.csv").write_text(
        "age,race,gender,education,native_english\n"
        "25-34,Black or African American,Female,Bachelor's degree,Yes\n",
        "utf-8",
    )
    agent = "---\nvariables: [name]\n---\n[system]\nYou are {{ name }}."
    (folder / "my-agent.md").write_text(agent, "utf-8")
    (folder / "rules.py").write_text("def no_lists(conversation):\n    return None\n", "utf-8")
    shutil.copytree(EXAMPLES, folder / "experiences")
    shutil.copytree(EXAMPLES.parent / "examples" / "data", folder / "examples" / "data")
    for name in ("GPIS-s", "GPFS-s"):
        _run(folder, name)
    seeds = str(folder / "seeds.jsonl")
    for out, utterances in (("base", 6), ("tuned", 8)):
        _run(folder, "dialogueforge-oasst1", out, seeds=seeds, utterances=utterances)
    judged = load_run(folder / "runs/GPIS-s").conversations()
    ratings = [
        {"conversation": one.id, "aspect": "overall", "value": 3 + i % 2}
        for i, one in enumerate(judged)
    ]
    _lines(folder / "ratings.jsonl", ratings)
    labels = [{"conversation": f"seed-{i}", "choice": ("No", "Yes")[i % 2]} for i in range(8)]
    _lines(folder / "labels.jsonl", labels)


def _run(folder: Path, name: str, out: str = "", **keys: Any) -> None:
    experiment = Experiment.load(name, overrides={"n": 3, "models": "scripted", **keys})
    run(experiment, out=folder / "runs" / (out or name))


def _chat(i: int) -> dict[str, Any]:
    turns = [
        {
            "speaker": ("Ann", "Bob")[t % 2],
            "text": f"i left the {THINGS[(i + t) % 10]} in the {PLACES[(i * 3 + t) % 8]}"
            + ("?" if (i + t) % 3 == 0 else "."),
        }
        for t in range(8 + i % 3)
    ]
    return {"id": f"people-{i}", "turns": turns}


def _labelled(i: int) -> dict[str, Any]:
    thing, place = THINGS[i % 10], PLACES[i % 8]
    dialogue = "\n".join(
        f"#Person{t % 2 + 1}#: {('Where is the', 'I saw the')[t % 2]} {thing} near the {place} {t}."
        for t in range(6)
    )
    return {
        "fname": f"labelled_{i}",
        "dialogue": dialogue,
        "summary": f"#Person1# looks for the {thing} near the {place}.",
        "topic": TOPICS[i % 3],
    }


def _seed(i: int) -> dict[str, Any]:
    messages = [
        {
            "role": ("user", "assistant")[t % 2],
            "content": f"{('how do i mend a', 'First look at the')[t % 2]} {THINGS[(i + t) % 10]} "
            f"in the {PLACES[(i + t) % 8]} ({t})",
        }
        for t in range(8)
    ]
    return {"id": f"seed-{i}", "messages": messages, "task_summary": f"Mending a {THINGS[i]}."}


def _persona(i: int) -> str:
    return f"A person from the {PLACES[i % 8]} who repairs a {THINGS[i % 10]} every week."


def _lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
