"""Task summaries for real dialogues without one, written before a model is trained.

With these summaries, the inquirer learns from the kind of task that it receives later
(DialogueForge, section 3.1.1). Later training runs with the same summarizer and prompt reuse the
summaries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from convogen.corpora.seeds import INQUIRER, Seed
from convogen.engine.item_runner import Asking
from convogen.errors import ModelFault
from convogen.jsonl import as_row
from convogen.methods.dialogueforge.method import DialogueForge
from convogen.methods.dialogueforge.summary import summarize
from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import EMBEDDED_ROOM, ModelSpec
from convogen.models.traffic.budget import NO_LIMITS, Limits
from convogen.models.traffic.router import Role
from convogen.models.traffic.session import Session
from convogen.prompts import load_prompt

__all__ = ["write_tasks"]

ROLE = "summarizer"
REASKS = 2


def write_tasks(
    seeds: Sequence[Seed],
    spec: ModelSpec,
    folder: Path,
    *,
    tally: RunProgress | None = None,
    opener: Callable[[ModelSpec], ChatModel] = open_model,
    limits: Limits = NO_LIMITS,
) -> dict[str, str]:
    """Return the task for each dialogue id, except for dialogues without a usable summary.

    Args:
        seeds: The real dialogues to summarise.
        spec: The model that writes the summaries.
        folder: Folder in which replies are stored, so that no reply is paid for twice.
        tally: Counter that receives the progress.
        opener: Function that opens the model.
        limits: Limits on the cost of requesting the missing summaries.

    Raises `RunFolderError` if the folder cannot be written. Raises `RunStopped` if the model calls
    end early; calling the function again resumes the calls.
    """
    prompt = load_prompt("dialogueforge/task_summary")
    known = dict(_known(folder, prompt.hash, spec))
    missing = [seed for seed in seeds if _digest(seed) not in known]

    async def ask(number: int, session: Session) -> dict[str, Any]:
        seed = missing[number]
        row = {"dialogue": _digest(seed)}
        try:
            found = await summarize(session, prompt, seed, REASKS)
        except ModelFault as fault:
            return {**row, "fault": fault.kind}
        cut = {"left_out": found.left_out} if found.left_out else {}
        return {**row, "task": found.task, "model": found.model, **cut}

    if missing:
        asking = Asking(folder, 8 if spec.kind == "embedded" else 64, tally, opener, limits)
        essence = {
            "step": "task_summary",
            "prompt": prompt.hash,
            "reasks": REASKS,
            "dialogues": [_digest(seed) for seed in missing],
        }
        rows = asking.rows("tasks", {ROLE: _role(spec)}, essence, len(missing), ask)
        known |= {row["dialogue"]: row.get("task") for row in rows}
    tasks = {seed.id: known.get(_digest(seed)) for seed in seeds}
    return {name: task for name, task in tasks.items() if task}


def _role(spec: ModelSpec) -> Role:
    """Return the summarizer's role with the method's sampling parameters.

    The embedded model has its own sampling parameters.
    """
    sampling = DialogueForge.roles[ROLE]
    if spec.is_shipped:
        room = sampling.model_copy(update={"max_tokens": EMBEDDED_ROOM})
        sampling = DialogueForge.embedded_sampling[ROLE].with_defaults(room)
    return Role(spec, sampling)


def _known(folder: Path, prompt: str, spec: ModelSpec) -> Iterator[tuple[str, str | None]]:
    """Yield the digest and the task of each dialogue from earlier training runs.

    The task is None if the summary was unusable.
    """
    for manifest in sorted(folder.glob("tasks-*/manifest.json")):
        try:
            told: Any = json.loads(manifest.read_text("utf-8"))
            same = told["prompt"] == prompt and told["models"][ROLE][0] == spec.identity
            wanted = len(told["dialogues"])
        except (OSError, ValueError, LookupError, TypeError):
            continue
        rows = list(_rows(manifest.with_name("rows.jsonl"))) if same else []
        if same and len(rows) >= wanted:
            yield from ((row["dialogue"], row.get("task")) for row in rows)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for row in map(as_row, lines):
        if row is not None and isinstance(row.get("dialogue"), str):
            yield row


def _digest(seed: Seed) -> str:
    """Return a hash (16 hexadecimal digits) of the inquirer's turns.

    The hash identifies the dialogue, because dialogue ids are not unique.
    """
    said = [turn.text for turn in seed.turns if turn.speaker == INQUIRER]
    text = json.dumps(said, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
