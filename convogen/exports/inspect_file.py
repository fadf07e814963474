"""The `.eval` file format of Inspect AI: a ZIP archive of JSON files, with a header and one member
per sample.

`inspect_ai.log.read_eval_log` and Inspect View read the members `samples/<id>_epoch_1.json`,
`summaries.json` (shortened samples), `header.json`, and `_journal/start.json`. The content is
deterministic: times are the run's times, and ids are hashes. The last member, `convogen`, contains
a hash of the other members, so that a log rewritten by Inspect can be detected. The hash is not in
the ZIP comment because Inspect View does not read ZIP files that have a comment.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from convogen.exports.base import Packing, without_folders
from convogen.inputs.text_file import open_file
from convogen.records import Usage
from convogen.redaction import masked

__all__ = ["is_unchanged", "usage_row", "write_log"]

_VERSION = 2
_LONGEST = 1_000
"""Maximum length of a text in a summary, in characters; Inspect also truncates such texts."""

_UNKNOWN_TIME = "1970-01-01T00:00:00+00:00"
_MARK = "convogen"
_APART = ("method", "roles", "prompts", "sources", "format")
"""Parts of the experiment in a manifest that are not parameters of the method."""


def usage_row(usage: Usage) -> dict[str, int]:
    """Return token counts in Inspect's sense: input tokens exclude tokens read from a cache."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
    }


def write_log(packing: Packing, path: Path) -> None:
    """Write the samples in `packing.rows` as a log."""
    summaries = path.with_suffix(".summaries")
    totals = _Totals()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
        with open_file(packing.rows) as rows, summaries.open("w", encoding="utf-8") as beside:
            for line in rows:
                sample = json.loads(line)
                _write(log, f"samples/{sample['id']}_epoch_1.json", line.strip())
                totals.add(sample, line)
                beside.write(("," if totals.samples > 1 else "[") + _json(_summary(sample)))
            beside.write("]")
        with _member(log, "summaries.json") as member, open_file(summaries) as beside:
            while part := beside.read(1 << 20):
                member.write(part)
        summaries.unlink()
        start = {"version": _VERSION, "eval": _spec(packing, totals), "plan": _plan(packing)}
        _write(log, "_journal/start.json", _json(start).encode())
        _write(log, "header.json", _json(_header(packing, totals, start)).encode())
        _write(log, _MARK, _hash_of_members(log))


def is_unchanged(path: Path) -> bool:
    """Return whether a file is an unchanged log written by `write_log`."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as log:
            return log.read(_MARK) == _hash_of_members(log)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return False


@dataclass
class _Totals:
    """The header's totals over all samples."""

    samples: int = 0
    scores: dict[str, list[float]] = field(default_factory=dict[str, "list[float]"])
    scored: dict[str, int] = field(default_factory=dict[str, int])
    usage: dict[str, dict[str, int]] = field(default_factory=dict[str, "dict[str, int]"])
    content: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=11))

    def add(self, sample: Mapping[str, Any], line: bytes) -> None:
        self.samples += 1
        self.content.update(line)
        for key, score in sample["scores"].items():
            self.scored[key] = self.scored.get(key, 0) + 1
            if isinstance(score["value"], int | float):
                count, total = self.scores.get(key, (0, 0.0))
                self.scores[key] = [count + 1, total + score["value"]]
        for model, usage in sample["model_usage"].items():
            known = self.usage.setdefault(model, dict.fromkeys(usage, 0))
            for key, tokens in usage.items():
                known[key] += tokens


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    thin = {
        key: value[:_LONGEST] if isinstance(value, str) else value
        for key, value in sample["metadata"].items()
        if isinstance(value, str | int | float)
    }
    scores = {
        key: {**score, "explanation": (score["explanation"] or "")[:_LONGEST], "metadata": None}
        for key, score in sample["scores"].items()
    }
    return {
        **{key: sample[key] for key in ("id", "epoch", "target", "model_usage")},
        "input": sample["input"][:_LONGEST],
        "metadata": thin,
        "scores": scores,
        "completed": True,
        "message_count": len(sample["messages"]),
    }


def _spec(packing: Packing, totals: _Totals) -> dict[str, Any]:
    """Return the evaluated task: the run, its models, and the content of `export.json`."""
    manifest, name = packing.manifest, str(packing.manifest.get("name") or "unnamed")
    models = {
        role: without_folders(str(spec.get("name")))
        for role, spec in manifest.get("models", {}).items()
    }
    about = {k: v for k, v in packing.description.items() if k not in ("splits", "shares", "seed")}
    return {
        "eval_id": totals.content.hexdigest(),
        "run_id": manifest["fingerprint"],
        "created": _time(manifest.get("started_at")) or _UNKNOWN_TIME,
        "task": name,
        "task_id": hashlib.blake2b(name.encode(), digest_size=11).hexdigest(),
        "task_version": 0,
        "dataset": {"name": name, "samples": totals.samples},
        "model": models.get("agent") or next(iter(models.values()), "none"),
        "model_roles": {role: {"model": model} for role, model in models.items()},
        "config": {},
        "packages": manifest.get("packages", {}),
        "metadata": about,
    }


def _plan(packing: Packing) -> dict[str, Any]:
    essence: Mapping[str, Any] = packing.manifest.get("experiment", {})
    parameters = {
        key: without_folders(masked(str(value)))
        for key, value in essence.items()
        if key not in _APART
    }
    method = str(essence.get("method") or "unknown")
    return {"name": "plan", "steps": [{"solver": method, "params": parameters}], "config": {}}


def _header(packing: Packing, totals: _Totals, start: Mapping[str, Any]) -> dict[str, Any]:
    manifest = packing.manifest
    scores = [
        {
            "name": key,
            "scorer": key.partition(":")[0],
            "scored_samples": n,
            "unscored_samples": totals.samples - n,
            "params": {},
            "metrics": {"mean": _mean(totals.scores[key])} if key in totals.scores else {},
        }
        for key, n in totals.scored.items()
    ]
    return {
        **start,
        "status": "success" if manifest.get("complete") else "cancelled",
        "results": {
            "total_samples": totals.samples,
            "completed_samples": totals.samples,
            "scores": scores,
        },
        "stats": {
            "started_at": _time(manifest.get("started_at")),
            "completed_at": _time(manifest.get("ended_at")),
            "model_usage": totals.usage,
        },
    }


def _mean(count_and_total: list[float]) -> dict[str, Any]:
    count, total = count_and_total
    return {"name": "mean", "value": total / count, "params": {}}


def _time(text: object) -> str:
    """Return an ISO time in UTC, or an empty string if `text` is not a time."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(log: zipfile.ZipFile, name: str, content: bytes) -> None:
    with _member(log, name) as member:
        member.write(content)


@contextmanager
def _member(log: zipfile.ZipFile, name: str) -> Generator[IO[bytes]]:
    """Open a member for writing; its time is the earliest time that ZIP can represent."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    with log.open(info, "w", force_zip64=True) as member:
        yield member


def _hash_of_members(log: zipfile.ZipFile) -> bytes:
    members = "".join(
        f"{one.filename}\n{one.CRC}\n" for one in log.infolist() if one.filename != _MARK
    )
    return hashlib.blake2b(members.encode(), digest_size=16).hexdigest().encode()
