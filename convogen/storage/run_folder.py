"""The run folder: its only writer, and its readers.

    experiment.yaml  manifest.json     the experiment; versions, prompts, models, sources
    experiences.jsonl  conversations.jsonl  rejected.jsonl  failures.jsonl
    ledger.jsonl                       one line per call: role, model, tokens, attempts, seconds
    calls.jsonl                        one line per call, with the answer
    journal/<task>.jsonl               answered calls of tasks not yet committed
    scores/<judge>.jsonl               added by a judge later, see `convogen.storage.score_store`

Tasks are committed in the order of the plan. At any moment, each file is therefore a prefix of its
final content, and a run resumes after the last task that is complete in all files. A row is
appended in one write. When a folder is opened, a torn row at the end is removed; a folder with any
other inconsistency is refused. A task's journal is deleted only after the task's rows are on disk.
The manifest identifies a folder as convogen's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from convogen.errors import RunFolderError, SourceError
from convogen.inputs.keys import first_fault
from convogen.inputs.text_file import open_file, read_text
from convogen.jsonl import as_row, parse_row, rows_of_task, write_whole
from convogen.models.traffic.journal import Journal, check_answer, check_call
from convogen.records import Conversation, Experience, Failure, Record, Rejected, Score
from convogen.storage.consistency import LogState, check_tasks
from convogen.storage.frames import RunTable, columns_of, run_frame
from convogen.storage.remote.address import is_url
from convogen.storage.remote.mirrors import local_copy
from convogen.storage.task_log import TaskLog, claim, journals, lock
from convogen.suggested import shell_path

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = [
    "DATA_FORMAT",
    "Journal",
    "Outcome",
    "Run",
    "RunStore",
    "differences",
    "load_run",
    "load_unchecked",
]

DATA_FORMAT = 3
"""The version of the data format, which increases when the same experiment produces different
records than before. Records only gain optional fields, so folders of earlier formats can be read,
but not continued."""

CHECKED_FROM = 3
"""The first data format in which all files exist from the beginning of a run and agree."""

ROWS = ("experiences", "conversations", "failures", "rejected")
R = TypeVar("R", bound=Record)


class _Described(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str | None = None
    kind: str | None = None
    base_url: str | None = None
    price: dict[str, Any] | None = None


class _Essence(BaseModel):
    model_config = ConfigDict(extra="allow")

    format: int | None = None
    method: str | None = None
    roles: dict[str, Any] = {}
    prompts: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    features: list[str] = []
    gates: list[Any] = []


class _Manifest(BaseModel):
    """The fields of a manifest whose types are checked."""

    model_config = ConfigDict(extra="allow")

    fingerprint: str
    name: str | None = None
    n: int | None = None
    complete: bool = False
    started_at: str | None = None
    packages: dict[str, str] = {}
    models: dict[str, _Described] = {}
    experiment: _Essence | None = None
    replay_of: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a task: an experience with an accepted or rejected conversation, or a failure
    with or without an experience."""

    experience: Experience | None = None
    conversation: Conversation | None = None
    failure: Failure | None = None
    rejected: Rejected | None = None

    @property
    def row(self) -> tuple[str, Record]:
        """The name (without suffix) of the file for the row that commits the task, and the row
        itself."""
        if self.conversation is not None:
            return "conversations", self.conversation
        if self.rejected is not None:
            return "rejected", self.rejected
        assert self.failure is not None, "a task gives a conversation or a failure"
        return "failures", self.failure


class Run:
    """A run folder that is open for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest(self) -> dict[str, Any]:
        """The experiment and its provenance: versions, models, prompts, sources.

        Raises `RunFolderError` if the manifest cannot be read or a key has the wrong type.
        """
        try:
            with open_file(self.folder / "manifest.json") as file:
                manifest = json.load(file)
            _Manifest.model_validate(manifest)
            return cast("dict[str, Any]", manifest)
        except ValidationError as error:
            raise RunFolderError(
                f"{self.folder}: manifest.json was not written by convogen: "
                f"{first_fault(error)}; restore the file"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunFolderError(
                f"{self.folder}: manifest.json cannot be read: {error}; restore the file"
            ) from error

    def check(self) -> LogState:
        """Check that the files of rows agree, task by task, in one pass.

        Raises a `RunFolderError` that names a file and a line if the files do not agree.
        """
        return check_tasks(_log(self.folder).files, **_strictness(self.manifest))

    def experiences(self) -> Iterator[Experience]:
        """Return the committed experiences in the order of the plan."""
        return self._rows("experiences.jsonl", Experience)

    def experience(self, task: int) -> Experience:
        """Return the committed experience of a task; raises `RunFolderError` if it is missing."""
        path = self.folder / "experiences.jsonl"
        row = next(rows_of_task(path, task), None)
        if row is None:
            raise RunFolderError(f"{path}: the row of task {task} is missing; restore the file")
        return _parse(path, json.dumps(row).encode(), Experience)

    def admitted(self) -> Iterator[Experience]:
        """Return the committed experiences that entered the few-shot hub, in the order of the
        plan."""
        return (experience for experience in self.experiences() if experience.admitted)

    def conversations(self) -> Iterator[Conversation]:
        """Return the committed conversations in the order of the plan."""
        return self._rows("conversations.jsonl", Conversation)

    def failures(self) -> Iterator[Failure]:
        """Return the failed tasks in the order of the plan."""
        return self._rows("failures.jsonl", Failure)

    def rejected(self) -> Iterator[Rejected]:
        """Return the finished conversations that a gate rejected, in the order of the plan."""
        return self._rows("rejected.jsonl", Rejected)

    def judges(self) -> list[str]:
        """Return the names of the judges that have scored the run, ignoring scores that were moved
        aside."""
        scores = self.folder / "scores"
        names = {path.name.removesuffix(".jsonl") for path in scores.glob("*.jsonl")}
        names |= {path.name for path in scores.glob("*/")}
        return sorted(name for name in names if "." not in name)  # a dot means moved aside

    def scores(self, judge: str) -> Iterator[Score]:
        """Yield a judge's scores, one per conversation and aspect, in the order of the
        conversations.

        Raises `RunFolderError` if the scores do not follow the order of this run's conversations,
        if a score is a duplicate or from another judge, or if the judge's files do not agree.
        """
        path = self.folder / "scores" / f"{judge}.jsonl"
        log = TaskLog(path.with_suffix(""), [], [path], key=None)
        check_tasks(log.files, complete=False, strict=_strictness(self.manifest)["strict"])
        ids, current = self._ids(), None
        aspects: set[str] = set()
        by: str | None = None
        for score in self._rows(f"scores/{judge}.jsonl", Score):
            if current != score.conversation:
                aspects.clear()
            by = by or score.judge
            if score.aspect in aspects or score.judge != by:
                what = "occurs twice" if score.judge == by else f"is from the judge {score.judge}"
                raise RunFolderError(
                    f"{path}: the score for {score.aspect} in {score.conversation} {what}; restore "
                    f"the file, or use --fresh to move the scores aside and score again"
                )
            aspects.add(score.aspect)
            while current != score.conversation:
                current = next(ids, None)
                if current is None:
                    raise RunFolderError(
                        f"{path}: the score for {score.aspect} in {score.conversation} is out of "
                        f"order, or the conversation is not in this run; use --fresh to move the "
                        f"scores aside and score again"
                    )
            yield score

    def _ids(self) -> Iterator[str]:
        """Return the ids of the committed conversations without parsing the conversations."""
        return (row["id"] for row in _json_rows(self.folder / "conversations.jsonl", "id"))

    def ledger(self, judge: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield one row per model call, first for committed tasks, then for tasks in flight, and
        then for judges.

        If `judge` is given, yield only the rows for this judge's calls.
        """
        for name in [None, *self.judges()] if judge is None else [judge]:
            yield from self._ledger(name)

    def _ledger(self, judge: str | None) -> Iterator[dict[str, Any]]:
        folder = self.folder / "scores" / judge if judge else self.folder
        last = -1
        ledger = folder / "ledger.jsonl"
        for number, row in enumerate(_json_rows(ledger, "task"), 1):
            check_call(f"{ledger} line {number}", row)
            last = row["task"]
            yield row
        for path in journals(folder / "journal"):
            if int(path.stem) <= last:
                continue  # its rows are already in the ledger
            for row in _json_rows(path, "call"):
                check_call(path, row["call"])
                yield {"task": int(path.stem)} | row["call"]

    def calls(self, task: int) -> list[dict[str, Any]]:
        """Return a committed task's answered model calls in the order in which they were made.

        A call has `task`, `key`, `role`, `model`, `text`, either `finish_reason` or `fault`,
        `usage`, and `logprobs` if there are any. Raises `RunFolderError` if the calls cannot be
        read.
        """
        path = self.folder / "calls.jsonl"
        rows = list(rows_of_task(path, task))
        for row in rows:
            check_answer(path, row)
        return rows

    def conversation(self, name: str) -> Conversation:
        """Return the conversation with the id `name`; raises `SourceError` if it is missing."""
        for conversation in self.conversations():
            if conversation.id == name:
                return conversation
        raise SourceError(
            f"{self.folder}: contains no conversation with the id {name!r}; the ids are in "
            f"conversations.jsonl"
        )

    def to_pandas(
        self, table: RunTable = "conversations", columns: Sequence[str] | None = None
    ) -> DataFrame:
        """Return a table of the run as a data frame, with rows in the order of the plan.

        >>> from convogen import load_run
        >>> run = load_run(folder)
        >>> run.to_pandas()[["n_turns", "ended"]]
           n_turns      ended
        0       10  max_turns
        1       10  max_turns
        >>> turns = run.to_pandas("turns")
        >>> turns.groupby("conversation", sort=False)["text"].count().tolist()
        [10, 10]

        Columns are named after the fields of the records (`convogen.records`) and are the same for
        every run; `convogen.storage.frames.COLUMNS` lists them with their dtypes. To join tables,
        match `conversation` in turns and scores with `id` in conversations, and `experience` in
        conversations with `id` in experiences. `turn` is counted from 1. `n_words` is missing for
        languages whose words cannot be segmented.

        For a run in progress, the tables contain the committed rows; the ledger also contains the
        calls of tasks in flight. In the ledger, `judge` is missing for the run's own calls; for a
        judge's calls, `task` is the index of the score in the judge's file of scores. `at` is the
        time of the answer in UTC. `lost_attempts` is missing unless an attempt may have been billed
        without an answer.

        Args:
            table: `conversations`, `turns`, `scores` (from all judges), `ledger` (calls),
                `experiences`, `failures` or `rejected`.
            columns: the columns to return, in this order; other columns are never kept in memory.

        Raises:
            UserError: if there is no such table or column.
            RunFolderError: if a row cannot be read.
        """
        wanted = columns_of(table, columns)
        return run_frame(table, wanted, self._written(table), self.folder)

    def _written(self, table: RunTable) -> Iterator[dict[str, Any]]:
        """Yield the stored rows of the file from which a table is built."""
        if table == "ledger":
            for judge in (None, *self.judges()):
                for row in self._ledger(judge):
                    yield {**row, "judge": judge}
        elif table == "scores":
            for judge in self.judges():
                yield from _json_rows(self.folder / "scores" / f"{judge}.jsonl", "conversation")
        else:
            name = "conversations" if table == "turns" else table
            yield from _json_rows(self.folder / f"{name}.jsonl", "id")

    def _rows(self, name: str, record: type[R]) -> Iterator[R]:
        path = self.folder / name
        if not path.exists():
            return
        with open_file(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n") and as_row(line) is None:
                    return
                yield _parse(f"{path} line {number}", line, record)


def load_run(folder: str | Path) -> Run:
    """Open a run folder for reading, even while another process writes to it.

    Args:
        folder: The run folder, or its URL on an object store; for a URL, a local copy is opened.

    Raises:
        RunFolderError: The folder is not a run folder or has a later data format, its files do not
            agree about each task, or the first record of a file cannot be read. Further records are
            checked when they are read.
    """
    run = load_unchecked(folder)
    for records in (run.experiences(), run.conversations(), run.failures(), run.rejected()):
        next(records, None)
    run.check()
    return run


def load_unchecked(folder: str | Path) -> Run:
    """Open a run folder for reading without checking its rows; only its manifest is read.

    Raises `RunFolderError` if the folder is not a run folder or has a later data format.
    """
    path = local_copy(folder) if isinstance(folder, str) and is_url(folder) else Path(folder)
    if not (path / "manifest.json").is_file():
        raise RunFolderError(
            f"{path}: is not a run folder, because it has no manifest.json; create a run folder "
            f"with `convogen run … --out {shell_path(path)}`"
        )
    written = _data_format(run_manifest(path))
    if written is not None and written > DATA_FORMAT:
        raise RunFolderError(
            f"{path}: was written in data format {written}, but this version reads 1 to "
            f"{DATA_FORMAT}; read the run with the version of convogen that its manifest.json "
            "names, or a later version"
        )
    return Run(path)


def run_manifest(folder: Path) -> dict[str, Any]:
    """Return a run's manifest; raises `RunFolderError` if the file is not such a manifest."""
    manifest = Run(folder).manifest
    if manifest.get("experiment") is None:
        raise RunFolderError(
            f"{folder}: is not a run folder, because its manifest.json does not describe a run; "
            "specify a run folder"
        )
    return manifest


class RunStore(Run):
    """A run folder that is open for writing, by one process at a time."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        super().__init__(folder)
        self.fingerprint = fingerprint
        self._lock = lock(folder)
        self._log = _log(folder)
        self.n_conversations = self.n_failures = self.n_rejected = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        fingerprint: str,
        experiment: str,
        manifest: Mapping[str, Any],
        same: Callable[[Path], bool] | None = None,
    ) -> RunStore:
        """Create or reopen a run folder.

        `experiment` is the text of experiment.yaml. If the folder's experiment.yaml has a different
        text, `same` returns whether that file describes the same experiment; an edited file is left
        unchanged. Raises `RunFolderError` if the folder contains a different experiment, is not a
        run folder, is in use, or cannot be written.
        """
        claim(folder, kept=("experiment.yaml",))
        _examine(folder, fingerprint, experiment, manifest, same)
        store = cls(folder, fingerprint)
        try:
            existing, ours = _examine(folder, fingerprint, experiment, manifest, same)
            if ours:
                write_whole(folder / "experiment.yaml", experiment)
            if existing is None:
                store._log.begin()
            else:
                store._recover(existing)
            first = {key: existing[key] for key in ("started_at",) if existing and key in existing}
            own = {"experiment_file": _digest(experiment)} if ours else {}
            store.note({**manifest, **first, **own})
        except BaseException:
            store.close()
            raise
        return store

    @property
    def committed(self) -> int:
        """The number of committed tasks, which is the position in the plan at which the run
        resumes."""
        return self.n_conversations + self.n_failures + self.n_rejected

    def journal(self, task: int) -> Journal:
        """Return the journal of a task's answered calls."""
        return self._log.journal(task)

    def note(self, entries: Mapping[str, Any]) -> None:
        """Update entries in the manifest; all other entries are kept."""
        path = self.folder / "manifest.json"
        known = self.manifest if path.exists() else {}
        text = json.dumps({**known, **entries}, indent=2, ensure_ascii=False, default=str)
        write_whole(path, text + "\n")

    def commit(self, task: int, outcome: Outcome, journal: Journal) -> None:
        """Append a task's rows: its experience, if any, and the row that commits it.

        Raises `RunFolderError` if the disk is full or the folder was made read-only.
        """
        assert task == self.committed, "tasks are committed in the order of the plan"
        name, row = outcome.row
        rows: list[tuple[Path, bytes]] = []
        if outcome.experience is not None:
            rows.append((self.folder / "experiences.jsonl", outcome.experience.to_line()))
        rows.append((self.folder / f"{name}.jsonl", row.to_line()))
        self._log.commit(task, journal, rows)
        self.n_conversations += name == "conversations"
        self.n_failures += name == "failures"
        self.n_rejected += name == "rejected"

    def close(self) -> None:
        """Flush all rows to disk and release the folder's lock."""
        try:
            self._log.sync()
        finally:
            self._lock.release()

    def _recover(self, manifest: Mapping[str, Any]) -> None:
        state = self._log.recover(**_strictness(manifest))
        self.n_conversations, self.n_failures, self.n_rejected = (
            state.counts[self.folder / f"{name}.jsonl"]
            for name in ("conversations", "failures", "rejected")
        )


def _examine(
    folder: Path,
    fingerprint: str,
    experiment: str,
    manifest: Mapping[str, Any],
    same: Callable[[Path], bool] | None,
) -> tuple[dict[str, Any] | None, bool]:
    """Return a folder's manifest, and whether convogen may write the folder's experiment.yaml.

    Changes nothing; raises `RunFolderError` if the folder contains a different experiment.
    """
    existing = None
    if (folder / "manifest.json").exists():
        existing = run_manifest(folder)
        if existing["fingerprint"] != fingerprint:
            raise RunFolderError(_foreign(folder, existing, fingerprint, manifest))
    path = folder / "experiment.yaml"
    if not path.exists():
        return existing, True
    text = read_text(path, raising=RunFolderError)
    if text == experiment or (existing or {}).get("experiment_file") == _digest(text):
        return existing, True
    if same is not None and not same(path):
        raise RunFolderError(
            f"{path}: describes a different experiment from the one to run; move the file away, or "
            "choose another folder with --out"
        )
    return existing, False


def _foreign(
    folder: Path, existing: Mapping[str, Any], fingerprint: str, manifest: Mapping[str, Any]
) -> str:
    """Return an error message that states how a folder's experiment differs from the experiment to
    be run."""
    there, here = _data_format(existing), _data_format(manifest)
    if there != here and there is not None:
        return (
            f"{folder}: was written in data format {there}, but this version writes {here}, so the "
            "run cannot be continued; choose another folder with --out, or use --fresh to move the "
            "old run aside"
        )
    changed = differences(existing.get("experiment", {}), manifest.get("experiment", {}))
    return (
        f"{folder}: contains a different experiment (fingerprint {existing['fingerprint']} instead "
        f"of {fingerprint}; {changed}); choose another folder with --out, or use --fresh to move "
        "the old run aside"
    )


def _log(folder: Path) -> TaskLog:
    experiences, *rows = [folder / f"{name}.jsonl" for name in ROWS]
    return TaskLog(folder, [experiences], rows)


def _strictness(manifest: Mapping[str, Any]) -> dict[str, bool]:
    """Return the arguments of `check_tasks` for a run with this manifest."""
    strict = (_data_format(manifest) or 0) >= CHECKED_FROM
    return {"strict": strict, "replayed": manifest.get("replay_of") is not None}


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _json_rows(path: Path, key: str) -> Iterator[dict[str, Any]]:
    try:
        lines = open_file(path)
    except FileNotFoundError:
        return  # no rows yet, or the journal's task has just been committed
    with lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n") or as_row(line) is not None:
                yield parse_row(f"{path} line {number}", line, key)


def _parse(where: object, line: bytes, record: type[R]) -> R:
    try:
        return record.model_validate_json(line)
    except ValidationError as error:
        raise RunFolderError(
            f"{where}: is not a valid {error.title} in data formats 1 to {DATA_FORMAT}: "
            f"{first_fault(error)}; restore the row, or read the folder with the version of "
            "convogen that its manifest.json names"
        ) from error


def _data_format(manifest: Mapping[str, Any]) -> int | None:
    """Return the data format given in a manifest; None if the manifest gives none."""
    experiment = manifest.get("experiment")
    keys = cast("dict[str, Any]", experiment) if isinstance(experiment, dict) else {}
    return keys["format"] if isinstance(keys.get("format"), int) else None


def differences(earlier: Any, new: Mapping[str, Any]) -> str:
    """Return a description of the keys in which two experiments differ."""
    old = cast("dict[str, Any]", earlier) if isinstance(earlier, dict) else {}
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    shown = [f"{key}: {old.get(key)!r} there, {new.get(key)!r} here" for key in sorted(keys)]
    return "; ".join(text[:160] for text in shown[:4]) or "its input files have changed"
