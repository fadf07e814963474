"""Creation of a study folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convogen.engine.run_budget import role_prices
from convogen.errors import RunFolderError
from convogen.jsonl import make_folder, write_whole
from convogen.records import Conversation
from convogen.study.candidates import Candidate
from convogen.study.chatbot import ROLE
from convogen.study.codes import CODES_FILE, new_codes, write_codes
from convogen.study.dialogues import Simulated, read_dialogues, read_pairs
from convogen.study.plan import plan_study
from convogen.study.store import STORE_FILE, Store
from convogen.study.study_file import CollectDesign, Design, PairsDesign, RatingsDesign
from convogen.study.study_yaml import DESIGN_FILE, commented
from convogen.study.verdicts import predicted, read_pair_verdicts
from convogen.text.counting import counted

__all__ = ["Made", "new_study"]


@dataclass(frozen=True, slots=True)
class Made:
    """A created study: each participant's code, the file with the codes, and a one-line summary."""

    codes: Mapping[str, str]
    codes_file: Path
    summary: str


def new_study(
    folder: Path,
    design: Design,
    *,
    natural: Sequence[str] = (),
    simulated: Sequence[str] = (),
    dialogues: Sequence[str] = (),
    verdicts: Sequence[Path] = (),
) -> Made:
    """Create a study in a folder that is new or empty.

    All sources are read before the folder is created. If the study cannot be planned, no files
    remain.

    Args:
        folder: The study's folder.
        design: The study's design.
        natural: For pairs: sources of natural dialogues.
        simulated: For pairs: sources of simulated dialogues, in the format of `Simulated.named`.
        dialogues: For ratings: sources of the dialogues to rate.
        verdicts: For pairs: files with a judge's verdicts, for adaptive assignment.

    Raises:
        RunFolderError: The folder is not empty, or cannot be written.
        SourceError: A source cannot be read, or there are too few dialogues.
        ModelConfigError: The budget requires the chatbot's price, which is unknown.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(
            f"{folder}: already exists and is not an empty folder; choose a new or empty folder"
        )
    shown: list[Conversation] = []
    candidates: list[dict[str, Any]] = []
    if isinstance(design, PairsDesign):
        named = [Simulated.named(one) for one in simulated]
        shown, candidates = read_pairs(natural, named, design.seed)
    elif not isinstance(design, CollectDesign):
        shown = read_dialogues(dialogues)
    known = None
    if verdicts:
        pairs = [Candidate(**one) for one in candidates]
        known = predicted(read_pair_verdicts(verdicts, pairs), pairs)
    if isinstance(design, CollectDesign):
        role_prices({ROLE: design.model}, design.budget.limits)  # raises if a price is missing
    # The prefix distinguishes raters from the people whose dialogues they see.
    letter = "p" if isinstance(design, CollectDesign) else "r"
    codes = new_codes(design.participants, letter)
    had_folder = folder.exists()
    make_folder(folder)
    folder.chmod(0o700)
    path = folder / STORE_FILE
    try:
        store = Store.create(path, codes)
        try:
            store.add_dialogues(shown)
            store.set_meta("candidates", candidates)
            store.set_meta("predicted", known)
            plan_study(design, store, folder / DESIGN_FILE)
        finally:
            store.close()
    except Exception:
        for left in folder.glob(f"{STORE_FILE}*"):
            left.unlink()
        if not had_folder:
            folder.rmdir()
        raise
    write_whole(folder / DESIGN_FILE, commented(design))
    write_codes(folder, codes)
    return Made(codes, folder / CODES_FILE, _summary(design, len(shown), len(candidates)))


def _summary(design: Design, dialogues: int, candidates: int) -> str:
    people = counted(design.participants, "participant")
    if isinstance(design, CollectDesign):
        n = len(design.goals)
        total = counted(design.participants * n, "dialogue")
        return f"{people}, {counted(n, 'goal')} each: {total}"
    if isinstance(design, PairsDesign):
        return f"{people}, {counted(design.pairs_each, 'pair')} each, drawn from {candidates}"
    assert isinstance(design, RatingsDesign), "there are three kinds"
    return f"{people}, {counted(design.dialogues_each, 'dialogue')} each, drawn from {dialogues}"
