"""Text from others reaches screens and pages as text, without control characters, tags or emoji."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment, load_run, run
from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.terminal import say, say_json
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.reports.markdown import escaped
from convogen.reports.page import samples_of
from convogen.visible import as_json, visible

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HOSTILE = (
    "a\x1b[31mred\x1b]0;title\x07 \x9b2J \x85 \u202egnp\u202c [/x] [bold]b[/] :heart: \t\r\0\x7f"
)
"""Sequences that move the cursor, set a title, erase the screen or reverse a line, and rich's
tags."""

ANY = st.text(st.characters(), max_size=40)


@given(ANY)
def test_any_text_is_visible_and_what_was_visible_stays(text: str) -> None:
    shown = visible(text)
    assert not CONTROL.search(shown)
    shown.encode()
    assert shown.isascii() or all(c.isascii() or c in text for c in shown)
    if text.isprintable():
        assert shown == text


@given(st.recursive(ANY, lambda one: st.lists(one) | st.dictionaries(ANY, one), max_leaves=6))
def test_json_holds_what_it_held(value: Any) -> None:
    shown = as_json(value, indent=1)
    assert not CONTROL.search(shown)
    assert json.loads(shown) == value


@given(ANY)
def test_no_control_character_is_printed(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        say(text)
        say_json({text: text})
        say(text, err=True)
        console = terminal()
        console.print(text)
        console.print(styled((text, "bold"), text), style="dim")
    assert not CONTROL.search(_without_isolates(out.getvalue()) + err.getvalue())


def _without_isolates(printed: str) -> str:
    """Return printed text without our own isolates, which come in pairs around a single text."""
    return re.sub("\u2068([^\u2066-\u2069]*)\u2069", r"\1", printed)


def test_text_from_right_to_left_is_isolated_and_no_other() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        terminal().print(styled("Anna: ", ("שלום\u2069", "bold"), " (1)"))
    assert out.getvalue() == "Anna: \u2068שלום\\u2069\u2069 (1)\n"


@given(ANY)
def test_no_control_character_is_in_a_line_of_markdown(text: str) -> None:
    line = escaped(text)
    assert not CONTROL.search(line)
    assert "\n" not in line
    assert "<" not in line


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Make a run whose names, texts, endings, failure and model names are hostile."""
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return "no" if len(asked) == 1 else improvise(request)

    keys = {"n": 2, "max_turns": 3, "participants": 2, "models": "scripted", "reasks": 0}
    experiment = Experiment.load("demo", {**keys, "concurrency": 1})
    folder = tmp_path / "run"
    run(experiment, folder, open_model=lambda _: ScriptedModel(script))
    for name in ("conversations", "failures", "experiences", "ledger"):
        path = folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            for key in ("ended", "kind", "message", "evidence", "model"):
                if key in row:
                    row[key] = f"{row[key]} {HOSTILE}"
            row["stage"] = f"[/stage] {HOSTILE}" if "stage" in row else None
            if row["stage"] is None:
                del row["stage"]
            for turn in row.get("turns", []):
                turn["text"] = f"{HOSTILE} {turn['text']}"
            if "context" in row:
                row["context"]["topic"] = HOSTILE
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_commands_show_a_hostile_run_as_text(hostile: Path, tmp_path: Path) -> None:
    assert next(load_run(hostile).failures(), None) is not None
    first = next(load_run(hostile).conversations())
    commands: list[tuple[object, ...]] = [
        ("show", hostile),
        ("show", hostile, "--sample"),
        ("show", hostile, "--conversation", first.id),
        ("show", hostile, "--json"),
        ("show", hostile, "--conversation", first.id, "--json"),
        ("stats", hostile),
        ("stats", hostile, "--json"),
        ("evaluate", hostile),
        ("report", hostile, "--out", tmp_path / "report"),
        ("export", hostile, "--to", "jsonl", "--out", tmp_path / "data"),
    ]
    for command in commands:
        ended = convogen(*command)
        assert ended.status == 0, (command, ended.err)
        assert not CONTROL.search(ended.out + ended.err), command
        if "--json" in command:
            json.loads(ended.out)
    shown = convogen("show", hostile, "--conversation", first.id).out.replace("\n", " ")
    for text in (r"\x1b[31mred", r"\x9b2J", r"\u202egnp", "[/x] [bold]b[/] :heart:", r"\x00"):
        assert text in shown
    failures = convogen("show", hostile).out
    assert "[/stage]" in failures
    for page in ("report/report.html", "report/report.md", "data/README.md"):
        assert not CONTROL.search((tmp_path / page).read_text()), page
    assert samples_of("run", load_run(hostile))[0].turns[0].text != ""


def test_errors_are_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(json.dumps({"colour\x1b[31m\x9b": 1}))
    Path("rows.jsonl").write_text(json.dumps({"x\x1b[31m\x9b\u202e": 1}) + "\n")
    for command in (
        ("run", "my.yaml"),
        ("run", "demo\x1b[31m\x9b"),
        ("run", "demo", "--set", "a\x1b[31m\x9b=1"),
        ("stats", "rows.jsonl"),
        ("show", "gone\x1b[31m\x9b"),
        ("walk\x1b[31m\x9b",),
        ("run", "demo", "--model", "x\x1b[31m\x9b=scripted"),
    ):
        ended = convogen(*command)
        assert ended.status == 2
        assert ended.complaint
        assert not CONTROL.search(ended.err), command
