"""Export of a study's natural dialogues as a run folder, and of an experiment that simulates the
study's participants."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from convogen.engine.task_setup import now
from convogen.errors import ModelFault
from convogen.experiment.fingerprint import fingerprint_of
from convogen.exports.base import Column
from convogen.exports.containers import open_writer
from convogen.inputs.yaml12 import dump_yaml
from convogen.jsonl import write_whole
from convogen.methods.roleplay.people import SPEAKER
from convogen.methods.roleplay.personas import FEATURES, sentence
from convogen.methods.roleplay.play import RESPONDER
from convogen.records import Conversation, Experience, Failure, Persona, Starter, Usage
from convogen.storage.consistency import journal_path
from convogen.storage.run_folder import DATA_FORMAT, Outcome, RunStore
from convogen.study.store import Store
from convogen.study.study_file import CollectDesign
from convogen.study.tables import Participant
from convogen.study.withdrawing import JOURNALS
from convogen.suggested import suggested
from convogen.text.counting import counted
from convogen.version import __version__

__all__ = ["NATURAL", "write_natural"]

NATURAL = "natural"
"""Name of the run folder, within an export folder, with the natural dialogues."""

_RELATIONS = "a person and a chatbot"
_PROMPT = """\
---
about: The chatbot's system message in the study.
variables: []
---
[system]
{{% raw %}}{text}{{% endraw %}}
"""
_COLUMNS: dict[str, Column] = {
    **dict.fromkeys(("id", "participant", "goal", "goal_text"), "string"),
    "task": "int64",
    "features": dict.fromkeys(FEATURES, "string"),
    "turns": [{"speaker": "string", "text": "string", "origin": "string", "model": "string"}],
}


def write_natural(design: CollectDesign, store: Store, folder: Path, target: Path) -> list[str]:
    """Write the natural dialogues from a study, and an experiment that simulates them.

    Args:
        design: The study's design.
        store: The study's answers.
        folder: The study's folder, which contains the journals of calls to the chatbot.
        target: The export folder.

    Returns:
        One line of text about each output.
    """
    simulate = _write_simulation(design, store, target)
    outcomes = list(_outcomes(design, store))
    study: str = store.meta("study")
    content = [one.row[1].model_dump(mode="json") for one in outcomes]
    manifest = _manifest(design, fingerprint_of([study, content]), len(outcomes))
    run = RunStore.open(target / NATURAL, manifest["fingerprint"], simulate, manifest)
    try:
        for task, outcome in enumerate(outcomes):
            path = journal_path(folder / JOURNALS, task)
            if path.exists():
                shutil.copyfile(path, journal_path(target / NATURAL / "journal", task))
            journal = run.journal(task)
            for row in list(journal.calls()):
                with suppress(ModelFault):
                    journal.find(row.get("key", ""))
            run.commit(task, outcome, journal)
    finally:
        run.close()
    kept = [one.conversation for one in outcomes if one.conversation is not None]
    _write_parquet(target, kept)
    return [
        f"{target / NATURAL}: run folder with {counted(len(kept), 'dialogue')}; "
        "also in data/conversations.parquet",
        f"{target / 'simulate.yaml'}: to simulate the same personas and goals, run "
        f"{suggested('run', target / 'simulate.yaml', '--model', 'inquirer=NAME')}",
    ]


def _outcomes(design: CollectDesign, store: Store) -> Iterator[Outcome]:
    """Yield the outcome of each task, one per participant and goal.

    A dialogue without an exchange is recorded as a failure, so that later tasks keep their numbers.
    """
    for participant in store.participants():
        answers = store.answers(participant.id)
        features: dict[str, str] = answers["persona"].body if "persona" in answers else {}
        for goal in range(len(design.goals)):
            finished = f"item:{goal}" in answers
            yield _outcome(design, store, participant, goal, features, finished=finished)


def _outcome(
    design: CollectDesign,
    store: Store,
    participant: Participant,
    goal: int,
    features: dict[str, str],
    *,
    finished: bool,
) -> Outcome:
    task = participant.place * len(design.goals) + goal
    name = f"{participant.id}-{goal + 1}"
    turns = [one.turn for one in store.chat(participant.id, goal)]
    del turns[len(turns) // 2 * 2 :]  # drop a final prompt without a reply
    if not turns:
        kind = "withdrawn" if participant.withdrawn else "not_held"
        said = "the dialogue about this goal has no complete exchange"
        return Outcome(
            failure=Failure(id=f"f-{name}", task=task, stage="chat", kind=kind, message=said)
        )
    wanted = design.goals[goal]
    persona = Persona(
        name=SPEAKER,
        text=sentence(features) if features else None,
        source="study",
        id=participant.id,
        features=features or None,
    )
    experience = Experience(
        id=f"e-{name}",
        task=task,
        personas=[persona],
        relations=_RELATIONS,
        situation=wanted.goal,
        topic=wanted.name,
        starter=Starter(speaker=SPEAKER, text=turns[0].text),
    )
    context: dict[str, Any] = {
        "topic": wanted.name,
        "situation": wanted.goal,
        "goal": wanted.goal,
        "relations": _RELATIONS,
        "domain": wanted.domain,
        "persona_id": participant.id,
        **({"features": features} if features else {}),
        "counts": {
            "inquirer_outputs": len(turns) // 2,
            "responder_outputs": len(turns) // 2,
        },
    }
    conversation = Conversation(
        id=f"c-{name}",
        task=task,
        method="study",
        experience=experience.id,
        participants=[SPEAKER, RESPONDER],
        context=context,
        turns=turns,
        ended="goal" if finished else "unfinished",
        usage=sum((turn.usage for turn in turns if turn.usage), Usage()),
    )
    return Outcome(experience, conversation)


def _manifest(design: CollectDesign, fingerprint: str, n: int) -> dict[str, Any]:
    model = design.model
    described = {"name": model.identity, "kind": model.kind}
    return {
        "name": NATURAL,
        "fingerprint": fingerprint,
        "n": n,
        "complete": True,
        "started_at": now(),
        "packages": {"convogen": __version__},
        "models": {"responder": described},
        "experiment": {
            "format": DATA_FORMAT,
            "method": "roleplay",
            "features": list(design.features),
            "roles": {"inquirer": {"model": "people"}, "responder": {"model": model.identity}},
            "prompts": {},
            "sources": {},
            "seed": design.seed,
        },
    }


def _write_simulation(design: CollectDesign, store: Store, target: Path) -> str:
    """Write the personas, the goals and an experiment that uses them; return its YAML text."""
    rows: list[dict[str, str]] = []
    for one in store.participants():
        answers = store.answers(one.id)
        if "persona" in answers and answers["persona"].body:
            rows.append({"persona_id": one.id, **answers["persona"].body})
    goals = [goal.model_dump(mode="json") for goal in design.goals]
    responder = design.model.public().model_dump(mode="json", exclude_defaults=True)
    experiment: dict[str, Any] = {
        "name": "simulated",
        "method": "roleplay",
        "personas_file": "personas.yaml",
        "goals_file": "goals.yaml",
        "responder_family": design.responder_family,
        "models": {"inquirer": {"name": "embedded"}, "responder": responder},
    }
    if design.sampling is not None:
        own = design.sampling.model_dump(mode="json", exclude_unset=True)
        experiment["sampling"] = {"responder": own}
    if design.system and design.system.strip():
        experiment["prompts"] = {"responder": "responder.md"}
        write_whole(target / "responder.md", _PROMPT.format(text=design.system))
    write_whole(target / "personas.yaml", dump_yaml({"personas": rows}))
    write_whole(target / "goals.yaml", dump_yaml({"goals": goals}, blocks=True))
    text = (
        "# Simulates the personas and goals of a study with people. Choose the inquirer, for "
        "example:\n# convogen run simulate.yaml --model inquirer=gpt-4o\n" + dump_yaml(experiment)
    )
    write_whole(target / "simulate.yaml", text)
    return text


def _write_parquet(target: Path, conversations: list[Conversation]) -> None:
    writer = open_writer("parquet", target, "conversations", _COLUMNS)
    for one in conversations:
        features = one.context.get("features", {})
        writer.write(
            {
                "id": one.id,
                "participant": one.context["persona_id"],
                "goal": one.context["topic"],
                "goal_text": one.context["goal"],
                "task": one.task,
                "features": {name: features.get(name) for name in FEATURES},
                "turns": [
                    {
                        "speaker": turn.speaker,
                        "text": turn.text,
                        "origin": turn.origin,
                        "model": turn.model,
                    }
                    for turn in one.turns
                ],
            }
        )
    writer.close()
