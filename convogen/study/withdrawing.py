"""Deletion of a participant's data."""

from __future__ import annotations

from pathlib import Path

from convogen.errors import SourceError
from convogen.storage.consistency import journal_path
from convogen.study.store import STORE_FILE, Store
from convogen.study.study_file import CollectDesign
from convogen.study.study_yaml import load_design

__all__ = ["JOURNALS", "forget"]

JOURNALS = "journal"
"""Name of the folder, within a study's folder, with the journals of calls to the chatbot."""


def forget(folder: Path, code: str) -> str:
    """Delete all data of a participant, and return the participant's name.

    Args:
        folder: The study's folder; the study may be served at the same time.
        code: The participant's code or name.

    Raises:
        SourceError: No participant has this code or name.
    """
    design, store = load_design(folder), Store(folder / STORE_FILE)
    try:
        name = store.participant_with(code) or code
        found = next((one for one in store.participants() if one.id == name), None)
        if found is None:
            raise SourceError(f"{folder}: no participant has this code or name")
        store.forget(found.id)
        if isinstance(design, CollectDesign):
            n = len(design.goals)
            for task in range(found.place * n, (found.place + 1) * n):
                journal_path(folder / JOURNALS, task).unlink(missing_ok=True)
        return found.id
    finally:
        store.close()
