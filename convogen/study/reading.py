"""The reader for a study's exported answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.inputs.validation import validated
from convogen.jsonl import as_row
from convogen.study.answers import PairAnswer

__all__ = ["ANSWERS_FILE", "read_answers"]

ANSWERS_FILE = "answers.jsonl"
"""Name of the file with the answers in an export folder."""


def read_answers(paths: Iterable[Path]) -> list[PairAnswer]:
    """Return the answers in JSONL files or export folders, sorted by participant and pair.

    Raises:
        SourceError: A line is not an answer, a participant answered a pair twice, or there are no
            answers.
    """
    found: dict[tuple[str, str], PairAnswer] = {}
    files: list[Path] = []
    for path in paths:
        file = path / ANSWERS_FILE if path.is_dir() else path
        files.append(file)
        if path.is_dir() and not file.exists():
            raise SourceError(
                f"{path}: has no {ANSWERS_FILE}; export the study with `convogen study export`"
            )
        for number, line in enumerate(read_text(file).splitlines(), 1):
            if not line.strip():
                continue
            where = f"{file} line {number}"
            row = as_row(line.encode("utf-8", "surrogatepass"))
            if row is None:
                raise SourceError(f"{where}: is not a JSON object; each line must be one answer")
            answer: PairAnswer = validated(PairAnswer, row, where, raising=SourceError)
            key = answer.participant, answer.pair
            if key in found:
                raise SourceError(
                    f"{where}: participant {answer.participant!r:.60} answered pair "
                    f"{answer.pair!r:.60} twice; remove one of the answers"
                )
            found[key] = answer
    if not found:
        raise SourceError(f"there are no answers in {', '.join(map(str, files))}")
    return [found[key] for key in sorted(found)]
