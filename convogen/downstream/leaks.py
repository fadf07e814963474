"""Removal of held-out dialogues that a run has seen, which would bias the evaluation.

A method may see real dialogues as few-shot examples (`examples`), as sources of first utterances
(`seeds`), or as a data set to augment (`source`). If such dialogues are also held out, they are
excluded from the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from convogen.corpora import open_corpus
from convogen.corpora.labelled import script
from convogen.downstream.data import Example, said
from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.methods.diasynth.examples import open_examples
from convogen.storage.run_folder import Run
from convogen.text.counting import counted

__all__ = ["not_shown"]


def not_shown(run: Run, held_out: Sequence[Example], say: Callable[[str], None]) -> list[Example]:
    """Return the held-out dialogues that the run has not seen.

    `say` receives a note about each source that contains held-out dialogues or cannot be read.
    Raises `SourceError` if no dialogue is left.
    """
    left = list(held_out)
    for key, source, dialogues in _shown(run):
        try:
            shown = {said(dialogue) for dialogue in dialogues}
        except SourceError:
            say(
                f"{key} {source}: can no longer be read, so its dialogues were not compared with "
                f"the held-out dialogues; restore it to exclude dialogues that the run has seen"
            )
            continue
        known, left = len(left), [one for one in left if said(one.dialogue) not in shown]
        if not left:
            raise SourceError(
                f"{run.folder}: its {key} {source} contains all held-out dialogues, so none is "
                f"left for the evaluation; choose other dialogues with --held-out"
            )
        if len(left) < known:
            say(
                f"excluded {counted(known - len(left), 'held-out dialogue')} that the run has seen "
                f"in its {key} {source}"
            )
    return left


def _shown(run: Run) -> Iterator[tuple[str, str, Iterator[str]]]:
    """Yield the key, name and scripts of each source of dialogues that the experiment names."""
    keys = read_mapping(run.folder / "experiment.yaml")
    if isinstance(source := keys.get("examples"), str):
        yield "examples", source, _examples(source)
    for key in ("seeds", "source"):
        if isinstance(source := keys.get(key), str):
            yield key, source, _corpus(source, keys.get(f"{key}_format"))


def _examples(source: str) -> Iterator[str]:
    for one in open_examples(source):
        yield "\n".join(f"{speaker}: {text}" for speaker, text in one.turns)


def _corpus(source: str, kind: Any) -> Iterator[str]:
    for one in open_corpus(source, kind):
        yield script(one)
