"""Human labels in comparisons of judges: each annotator in a file counts as a judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from convogen.errors import SourceError
from convogen.judges.verdict_files import Protocol, Verdict, choice_passes
from convogen.labels import HumanLabel, is_label_file, labels_of, read_labels
from convogen.reports.agreement import JudgeVerdicts, names_and_path, read_judgement
from convogen.reports.score_agreement import JudgeScores, read_scores

__all__ = ["in_one_set", "read_all_scores", "read_all_verdicts"]

J = TypeVar("J", JudgeVerdicts, JudgeScores)


def read_all_verdicts(text: str, protocol: Protocol) -> list[JudgeVerdicts]:
    """Read the verdicts for `[JUDGE[,DIALOGUES]=]PATH`, treating each human annotator as a
    separate judge.

    Raises:
        SourceError: The file cannot be read (see `read_judgement`), or the labels contain no
            choices for the protocol.
    """
    told, path = names_and_path(text)
    if not is_label_file(path):
        return [read_judgement(text, protocol)]
    people = _by_annotator(labels_of(read_labels(path), protocol))
    if not people:
        raise SourceError(
            f"{path}: contains no choices for the {protocol} protocol; choose another "
            "--protocol or another label file"
        )
    return [
        JudgeVerdicts(_name(told, code), _dialogues(told), _verdicts(labels, protocol), path)
        for code, labels in people.items()
    ]


def read_all_scores(text: str) -> list[JudgeScores]:
    """Read the scores for `[JUDGE[,DIALOGUES]=]FILE`, with one judge per human annotator.

    Raises:
        SourceError: The file is not valid (see `read_scores`), or the labels contain no ratings.
    """
    told, path = names_and_path(text)
    if not is_label_file(path):
        return [read_scores(text)]
    people = _by_annotator(one for one in read_labels(path) if one.value is not None)
    if not people:
        raise SourceError(f"{path}: contains no ratings; specify a label file with ratings")
    return [
        JudgeScores(_name(told, code), _dialogues(told), _scores(labels), path)
        for code, labels in people.items()
    ]


def in_one_set(judged: Sequence[J]) -> list[J]:
    """Return the judgements, with human labels assigned to the judges' set if there is only one.

    Human labels identify conversations by id and do not name their set of dialogues.
    """
    sets = {one.dialogues for one in judged if not is_label_file(one.path)}
    if len(sets) != 1:
        return list(judged)
    [name] = sets
    return [one if one.dialogues else replace(one, dialogues=name) for one in judged]


def _by_annotator(labels: Iterable[HumanLabel]) -> dict[str, list[HumanLabel]]:
    """Return each annotator's labels; numeric codes come first, in numerical order."""
    found: dict[str, list[HumanLabel]] = {}
    for label in labels:
        found.setdefault(label.annotator, []).append(label)
    order = sorted(found, key=lambda code: (not code.isdigit(), len(code) * code.isdigit(), code))
    return {code: found[code] for code in order}


def _verdicts(labels: Sequence[HumanLabel], protocol: Protocol) -> list[Verdict]:
    """Return an annotator's verdicts, in the order of the file."""
    return [
        Verdict(one.choice, choice_passes(one.choice, protocol), one.conversation)
        for one in labels
        if one.choice is not None
    ]


def _scores(labels: Sequence[HumanLabel]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for label in labels:
        if label.value is not None:
            found.setdefault(label.aspect, {})[label.conversation] = label.value
    return found


def _name(told: Sequence[str], code: str) -> str:
    """Return the name of an annotator: the given name, followed by the annotator's code."""
    return f"{(told and told[0]) or 'annotator'} {code}"


def _dialogues(told: Sequence[str]) -> str:
    return told[1] if len(told) == 2 else ""
