"""DailyDialog's labels, which are in files next to the text file, with one line per dialogue.

The labels for `dialogues_text.txt` are in `dialogues_act.txt`, `dialogues_emotion.txt` and
`dialogues_topic.txt`. The labels for the `dialogues_train.txt` split are in
`dialogues_act_train.txt` and `dialogues_emotion_train.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from convogen.corpora.rows import Row
from convogen.corpora.sniff import container_of, read_rows

__all__ = ["label_files", "labelled_rows"]

_TEXT = re.compile(r"dialogues_(text|train|validation|test)\.txt(\.gz)?")


def label_files(path: Path) -> dict[str, Path]:
    """Return the label files next to a DailyDialog text file, keyed by kind of label."""
    match = _TEXT.fullmatch(path.name)
    if match is None:
        return {}
    split = "" if match[1] == "text" else f"_{match[1]}"
    files = {
        kind: path.with_name(f"dialogues_{kind}{split}.txt{match[2] or ''}")
        for kind in ("act", "emotion", "topic")
    }
    return {kind: file for kind, file in files.items() if file.is_file()}


def labelled_rows(path: Path) -> Iterator[Row]:
    """Yield the lines of the text file with their labels, as rows like those of DailyDialog on the
    hub.

    Acts and emotions are lists of numbers, one per utterance; the topic is a single number. Labels
    come from the line with the same number in each label file. Missing labels, and labels that are
    not numbers, are left out. Lines without `__eou__` are yielded unchanged.
    """
    labels = {kind: _by_line(file) for kind, file in label_files(path).items()}
    for line, value, part in read_rows(path, container_of(path)):
        if not isinstance(value, str) or "__eou__" not in value:
            yield Row(line, value, part)
            continue
        texts = [text.strip() for text in value.split("__eou__")]
        row: dict[str, object] = {"dialog": texts if texts[-1] else texts[:-1]}
        for kind, label in labels.items():
            if numbers := label(line):
                row[kind] = numbers[0] if kind == "topic" else numbers
        yield Row(line, row, part)


def _by_line(path: Path) -> Callable[[int], list[int]]:
    """Return a function that maps a line number to the numbers in that line of a file.

    Lines must be requested in order.
    """
    rows = read_rows(path, container_of(path))
    ahead: list[Row] = []

    def numbers(line: int) -> list[int]:
        while not ahead or ahead[0].line < line:
            row = next(rows, None)
            if row is None:
                return []
            ahead[:] = [row]
        return _numbers(ahead[0].value) if ahead[0].line == line else []

    return numbers


def _numbers(value: object) -> list[int]:
    words = value.split() if isinstance(value, str) else []
    return [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 5]
