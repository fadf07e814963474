"""Batches that are measured outside this process, without Ray; `test_ray` uses a real cluster."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from convogen.corpora import open_corpus
from convogen.engine.distributed.ray_spread import do_item, versions_here
from convogen.errors import ClusterError
from convogen.metrics import measure

T = TypeVar("T")
R = TypeVar("R")


class Elsewhere:
    """A stand-in for a cluster, which processes each item with pickled data only."""

    def __init__(self) -> None:
        self.items = 0

    def __call__(self, work: Iterator[T], do: Callable[[T], R]) -> Iterator[R]:
        for item in work:
            self.items += 1
            sent = pickle.dumps(((versions_here(), do), item))
            yield pickle.loads(pickle.dumps(do_item(*pickle.loads(sent))))  # noqa: S301 - our own


def corpus(path: Path, n: int) -> Path:
    """Write conversations, one invalid row, and a conversation in a language without spaces."""
    rows = [[f"Hello, number {k}.", f"{k} is not {k + 1}, is it?"] for k in range(n - 1)]
    rows += [["今日はいい天気ですね。", "そうですね。"]]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines[:700], '{"turns": 1}', *lines[700:]]) + "\n")
    return path


def test_statistics_are_those_of_one_process(tmp_path: Path) -> None:
    path = corpus(tmp_path / "corpus.jsonl", 1100)
    elsewhere, here, there = Elsewhere(), open_corpus(path), open_corpus(path)
    found = measure(there, workers=elsewhere, compare=False)
    assert found.as_dict() == measure(here, compare=False).as_dict()
    assert elsewhere.items == 5, "batches of 256 rows"
    assert there.bad_rows == here.bad_rows
    assert there.bad_rows.count == 1


def test_a_small_corpus_is_measured_here(tmp_path: Path) -> None:
    elsewhere = Elsewhere()
    assert measure(corpus(tmp_path / "corpus.jsonl", 20), workers=elsewhere).conversations == 20
    assert not elsewhere.items


def test_a_node_with_other_packages_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"has convogen \S+ instead of 0\.0\.1; install"):
        do_item(({**versions_here(), "convogen": "0.0.1"}, str), 1)
    without = {name: at for name, at in versions_here().items() if name != "numpy"}
    with pytest.raises(ClusterError, match=r"has numpy \S+ instead of none"):
        do_item((without, str), 1)
