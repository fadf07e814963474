"""Labels from the `friction` judge, in a run folder or in a separate folder for a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from convogen.errors import RunFolderError
from convogen.judges.reference_dialogues import CorpusFolder
from convogen.metrics.judged_friction import JUDGE, JudgedFriction, judged_friction
from convogen.storage.run_folder import load_run
from convogen.storage.score_store import scores_manifest

__all__ = ["friction_labels"]


def friction_labels(sources: Iterable[str], folders: Sequence[str]) -> dict[str, JudgedFriction]:
    """Return the `friction` judge's labels for each source that has labels.

    Args:
        sources: Runs, and corpora under the names given to `evaluate`.
        folders: Score folders of corpora.

    Raises:
        RunFolderError: A folder has no labels, or its labels do not match any of the sources.
    """
    names = list(sources)
    apart = {_source_of(folder, names): folder for folder in folders}
    found: dict[str, JudgedFriction] = {}
    for name in names:
        if name in apart:
            run = CorpusFolder(name, Path(apart[name]))
        elif not name.startswith("hf:") and (Path(name) / "manifest.json").is_file():
            run = load_run(name)
        else:
            continue
        if (labels := judged_friction(run)) is not None:
            found[name] = labels
    return found


def _source_of(folder: str, names: Sequence[str]) -> str:
    """Return the name of the source that the labels in a folder describe."""
    manifest = scores_manifest(Path(folder) / "scores" / f"{JUDGE}.jsonl")
    if manifest is None:
        raise RunFolderError(
            f"{folder}: contains no labels from the {JUDGE} judge; run `convogen evaluate CORPUS "
            f"--judge {JUDGE} --out FOLDER` and name the subfolder that it creates in FOLDER"
        )
    source = f"{manifest.get('source', folder)}"
    for name in names:
        if name == source or _path(name) == _path(source):
            return name
    raise RunFolderError(
        f"{folder}: the labels are for {source}, which is not among the sources; add this source, "
        "or leave out the labels"
    )


def _path(name: str) -> Path | str:
    return name if name.startswith("hf:") else Path(name).resolve()
