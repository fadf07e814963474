"""Mistakes on the command line: one clear line, the right exit status, and no loss of data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Ended, convogen

from convogen import load_run
from convogen.cli._shared.options import stopped

SMALL = ("--n", 1, "--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def a_run(*more: object) -> Ended:
    return convogen("run", "demo", *SMALL, "--out", "run", *more)


def a_rule(body: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module with a rule, and return the name of the rule."""
    Path(f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    return f"{name}:accept"


NEAREST = [
    (("exprot",), "did you mean export?"),
    (("Runn", "demo"), "did you mean run?"),
    (("models", "pul"), "did you mean pull?"),
    (("personas", "lst"), "did you mean list?"),
    (("downstream", "summarisation"), "did you mean summarization?"),
    (("run", "GPIS_s"), "did you mean GPIS-s?"),
    (("run", "roleplay-gpt-4"), "did you mean roleplay-gpt4?"),
    (("xyzzy",), "commands: demo, init, run, augment"),
]


@pytest.mark.parametrize(("arguments", "said"), NEAREST)
def test_what_is_not_there_is_answered_with_the_nearest(
    arguments: tuple[str, ...], said: str
) -> None:
    ended = convogen(*arguments)
    assert ended.status == 2
    assert said in ended.complaint


@pytest.mark.parametrize("reader", ["head -1", "true"])
@pytest.mark.parametrize("command", ["", "list", "--help", "schema", "show run", "show run --json"])
def test_a_reader_that_goes_away_ends_a_command_quietly(command: str, reader: str) -> None:
    assert a_run().status == 0
    line = f"{sys.executable} -c 'from convogen.cli.main import main; main()' {command} | {reader}"
    script = f"{line}; echo ${{PIPESTATUS[0]}} >&2"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() in ("0", "141")


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_takes_nothing_keeps_no_run_from_starting(stderr: str) -> None:
    arguments = " ".join(str(one) for one in ("run", "demo", *SMALL, "--out", "run", "-v"))
    line = f"{sys.executable} -c 'from convogen.cli.main import main; main()' {arguments} {stderr}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "1 of 1 conversation" in done.stdout
    assert load_run("run").manifest["complete"]
    wrong = line.replace("demo", "gone")
    assert subprocess.run(["bash", "-c", wrong], check=False, capture_output=True).returncode == 2


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [("list", ""), ("", "1"), ("--help", "1"), ("--version", "1"), ("init y.yaml", "1")],
)
def test_a_stdout_that_is_full_is_said(command: str, unbuffered: str) -> None:
    line = f"{sys.executable} -c 'from convogen.cli.main import main; main()' {command} > /dev/full"
    own = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=own
    )
    assert done.returncode == 2
    assert done.stderr == "convogen: standard output: No space left on device\n"


@pytest.mark.parametrize("columns", ["0", "²", "9" * 30])
def test_a_screen_of_no_width_is_one_of_unknown_width(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert a_run().status == 0
    monkeypatch.setenv("COLUMNS", "80")
    usual = convogen("show", "run")
    with monkeypatch.context() as patch:  # pytest reads COLUMNS as well, after the test
        patch.setenv("COLUMNS", columns)
        assert convogen("show", "run") == usual


def test_an_interrupted_command_promises_no_answers_that_it_does_not_have() -> None:
    assert stopped("0 of 2 conversations in run", {}).startswith(
        "stopped: 0 of 2 conversations in run; to resume: convogen"
    )
    for what in ("calls", "conversations", "scores"):
        assert "in run; all replies received are kept; to" in stopped("0 of 2 in run", {what: 1})


def test_a_narrow_screen_has_lines_instead_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_run().status == 0
    monkeypatch.setenv("COLUMNS", "20")
    shown = convogen("show", "run").out
    words = " ".join(shown.split())
    assert "turns: 2, 2.0 per conversation" in words
    assert "agent, scripted: 1 call, " in words
    assert not set(shown) & set("│┃━─")
    steps = convogen().out.splitlines()
    assert "  convogen demo" in steps
    assert "    generate a few conversations with a small local model" in steps
    monkeypatch.setenv("COLUMNS", "200")
    assert "  convogen demo  " in convogen().out


def test_a_run_in_a_folder_that_looks_like_an_option_is_suggested_as_a_path() -> None:
    first = convogen("demo", "--n", 1, "--model", "scripted", "--out=runs/--x")
    assert "convogen stats runs/--x\n" in first.out
    ended = convogen("demo", "--n", 1, "--model", "scripted", "--out=--x")
    assert "\n  convogen stats ./--x\n" in ended.out
    assert "\n  convogen export ./--x --to sharegpt --out ./--x-sharegpt\n" in ended.out
    again = convogen("run", "--", "--x")
    assert "convogen run ./--x/experiment.yaml --out ./--x" in again.complaint
    verdicts = convogen("verdicts", "--protocol", "gteval", "--", "--x")
    assert "`convogen evaluate ./--x --judge gteval`" in verdicts.complaint


def test_list_has_a_sentence_for_each() -> None:
    listed = json.loads(convogen("list", "--json").out)
    for kind in ("methods", "judges", "gates", "exporters"):
        sentences = list(listed[kind].values())
        assert len(set(sentences)) == len(sentences), kind
    assert "DiaSynth" in listed["judges"]["geval3"]


@pytest.mark.parametrize(
    ("file", "name"), [("my exp.yaml", "my-exp"), ("é (1).yml", "é-1"), ("….yaml", "experiment")]
)
def test_an_experiment_without_a_name_has_its_file_s(file: str, name: str) -> None:
    Path(file).write_text("n: 1\nmax_turns: 2\n")
    ended = convogen("run", file, "--model", "scripted")
    assert ended.status == 0, ended.err
    assert load_run(Path("runs") / name).manifest["name"] == name


def test_a_folder_is_no_experiment_and_a_run_folder_says_how_to_go_on() -> None:
    assert a_run().status == 0
    ended = convogen("run", "run", *SMALL)
    assert ended.status == 2
    assert "convogen run run/experiment.yaml --out run" in ended.complaint
    Path("mine").mkdir()
    Path("mine/one.yaml").write_text("n: 1")
    ended = convogen("run", "mine")
    assert ended.status == 2
    assert "one.yaml" in ended.complaint
    Path("mine/plan.txt").write_text("n: 1")
    ended = convogen("run", "mine/plan.txt")
    assert ended.status == 2
    assert "end in .yaml" in ended.complaint
    assert convogen("run", "x" * 5000).status == 2


WORDS = [
    ("participants=two", "participants: must be a number or [minimum, maximum]"),
    ("participants=[1]", "participants.0: must be at least 2"),
    ("lanes=many", "lanes: must be a whole number"),
    ("lanes=1.5", "lanes: must be a whole number"),
    ("style=long", "style: must be 'short' or 'chatty'"),
    ("sampling=3", "sampling: must be a mapping of keys"),
    ("sampling.agent.temperature=hot", "sampling.agent.temperature: must be a number"),
    ("sampling.agent.stop=x", "sampling.agent.stop: must be a list"),
    ("about=5", "about: must be text"),
    ("gates=[3]", "gates.0: must be a mapping of keys"),
    ("gates=[{gate: min_turns}]", "gates[0]: turns: is missing"),
]


@pytest.mark.parametrize(("setting", "said"), WORDS)
def test_a_wrong_value_is_said_in_our_words(setting: str, said: str) -> None:
    ended = a_run("--set", setting)
    assert ended.status == 2
    assert said in ended.complaint
    assert "Input should" not in ended.complaint


def test_arena_names_the_files_and_not_its_folder() -> None:
    turns = [{"speaker": "a", "text": "hi"}, {"speaker": "b", "text": "ho"}]
    for name in ("one", "two", "other"):
        row = {"id": name if name == "other" else "same", "turns": turns}
        Path(f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    ended = convogen("arena", "one.jsonl", "two.jsonl", "--model", "scripted")
    assert ended.status == 2
    assert "one.jsonl" in ended.complaint
    assert "two.jsonl" in ended.complaint
    assert "runs/arena" not in ended.complaint


RULES = {
    "exits": "import sys\ndef accept(one): sys.exit(0)\n",
    "exits at once": "import sys\nsys.exit(0)\n",
    "raises at once": "raise RuntimeError('no \\x1b[31m luck')\n",
    "no attribute at once": "import os\nos.nothing\n",
    "is cancelled": "import asyncio\ndef accept(one): raise asyncio.CancelledError\n",
    "stops a generator": "def accept(one): raise GeneratorExit\n",
    "is no Python": "def accept(one:\n",
    "is no text": "\\0",
    "returns a number": "def accept(one): return 5\n",
}


@pytest.mark.parametrize("case", RULES)
def test_a_rule_that_fails_or_exits_is_named(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = a_rule(RULES[case], f"rule_{case.replace(' ', '_')}", monkeypatch)
    ended = a_run("--set", f"gates=[{{gate: rule, rule: '{rule}'}}]")
    assert ended.status == 2
    assert rule in ended.complaint
    assert "\x1b" not in ended.complaint


def test_a_rule_s_reason_may_hold_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "said = []\ndef accept(one):\n    said.append(1)\n"
    body += "    return 'a\\x1b[31m \\ud800 [/x]' if len(said) == 1 else None\n"
    rule = a_rule(body, "any_reason", monkeypatch)
    ended = a_run("--set", f"gates=[{{gate: rule, rule: '{rule}'}}]")
    assert ended.status == 0, ended.err
    (rejected,) = load_run("run").rejected()
    assert "[/x]" in rejected.reason
    shown = convogen("show", "run")
    assert shown.status == 0
    assert r"\x1b[31m" in shown.out


GGUFS = {
    "text": (b"just words of a person\n", "it begins with"),
    "web page": (b"\n<!doctype html><html>", "web page"),
    "empty": (b"", "empty"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "incomplete": (b"GGUF\x03\0\0\0", "incomplete"),
    "zip": (b"PK\x03\x04" + b"\0" * 40, r"PK\x03\x04"),
}


@pytest.mark.parametrize("case", GGUFS)
@pytest.mark.parametrize("command", ["run", "evaluate", "doctor"])
def test_a_gguf_file_that_is_none(case: str, command: str) -> None:
    content, said = GGUFS[case]
    Path("my.gguf").write_bytes(content)
    arguments: tuple[object, ...] = ("run", "demo", "--out", "new")
    if command != "run":
        assert a_run().status == 0
        judging = ("evaluate", "run", "--judge", "geval")
        arguments = judging if command == "evaluate" else ("doctor",)
    ended = convogen(*arguments, "--model", "my.gguf")
    assert ended.status == 2
    assert "my.gguf is not a GGUF file" in ended.complaint
    assert said in ended.complaint
    assert not Path("new/manifest.json").exists()


@pytest.mark.parametrize(
    "when", ["99999999999999d", "9" * 5000 + "s", "9999-12-31", "3651d", "87601h", "٣d"]
)
def test_a_deadline_that_is_none_or_too_far(when: str) -> None:
    ended = a_run("--deadline", when)
    assert ended.status == 2
    assert "--deadline" in ended.complaint
    assert len(ended.complaint) < 400
    assert not Path("run").exists()


KEY = "sk-proj-0123456789abcdefGHIJKLMN_opqrst"
KEYS_BY_MISTAKE: list[tuple[object, ...]] = [
    ("run", "demo", "--base-url", KEY),
    ("run", "demo", "--model", "m", "--base-url", f"agent={KEY}"),
    ("doctor", "--base-url", KEY),
    ("doctor", "--base-url", f"OPENAI_API_KEY={KEY}"),
    ("run", "GPFS-s", "--set", f"models={{name: m, base_url: {KEY}}}"),
    ("run", "GPFS-s", "--model", "m", "--set", f"models.agent.base_url={KEY}"),
    ("run", "GPFS-s", "--set", f"models={{name: m, base_url: 'http://h/v1', replicas: [{KEY}]}}"),
    ("run", "GPFS-s", "--set", f"models={{name: m, http: {{url: {KEY}, body: {{}}, answer: a}}}}"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", KEYS_BY_MISTAKE)
def test_a_key_in_the_place_of_a_url_is_not_printed(arguments: tuple[object, ...]) -> None:
    ended = convogen(*arguments)
    assert ended.status == 2
    assert ended.complaint
    assert "0123456789" not in ended.err


def test_a_secret_of_a_header_with_a_line_break_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = {
        "url": "http://127.0.0.1:1/chat",
        "headers": {"X-Api-Key": "{{ env.BOT_KEY }}"},
        "body": {"text": "{{ message }}"},
        "answer": "reply",
    }
    Path("my.yaml").write_text(json.dumps({"models": {"name": "bot", "http": bot}}))
    monkeypatch.setenv("BOT_KEY", "marked-secret\r\nX-Other: 1")
    ended = convogen("run", "my.yaml", "--out", "run")
    assert ended.status == 2
    assert "BOT_KEY" in ended.complaint
    assert "marked" not in ended.err


@pytest.mark.parametrize("name", ["a/b", "../../up", "a\\b", "x" * 300, ".."])
def test_a_conversation_whose_id_is_no_name_of_a_folder_is_replayed(name: str) -> None:
    assert a_run("--set", "max_turns=4").status == 0
    path = Path("run/conversations.jsonl")
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "id": name}) + "\n")
    ended = convogen(
        "replay", "run", "--conversation", name, "--from-turn", 3, "--model", "scripted"
    )
    assert ended.status == 0, ended.err
    (made,) = [one for one in Path().iterdir() if one.name.startswith("run.")]
    assert (made / "manifest.json").is_file()


def test_a_word_list_without_an_entry_is_no_gate() -> None:
    Path("words.txt").write_text("# nothing yet\n")
    ended = a_run("--set", "gates=[{gate: safety, words: words.txt}]")
    assert ended.status == 2
    assert "words.txt: has no entries" in ended.complaint


@pytest.mark.parametrize("name", ["../gone", "a/b/c", "a\x1b/b", "-a/b", "a--b/c", "a/b c"])
def test_what_can_be_no_data_set_is_not_asked_for(name: str) -> None:
    ended = convogen("stats", f"hf:{name}")
    assert ended.status == 2
    assert "is not a data set name" in ended.complaint


def test_scores_that_are_there_twice_are_counted_nowhere() -> None:
    assert a_run().status == 0
    judge = ("evaluate", "run", "--judge", "geval3", "--model", "scripted")
    assert convogen(*judge).status == 0
    scores = Path("run", "scores", "geval3.jsonl")
    lines = scores.read_text("utf-8").splitlines(keepends=True)
    other = lines[1].replace('"judge":"geval3"', '"judge":"another"')
    for rows, said in (
        ([lines[0], *lines], "occurs twice"),
        ([lines[0], other, *lines[2:]], "judge another"),
    ):
        scores.write_text("".join(rows))
        for command in (judge, ("evaluate", "run"), ("report", "run")):
            ended = convogen(*command)
            assert ended.status == 2
            assert said in ended.complaint or "does not belong to" in ended.complaint


def test_a_row_of_the_ledger_is_told_by_its_line() -> None:
    assert a_run().status == 0
    ledger = Path("run", "ledger.jsonl")
    first, second, *rest = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    rows = [first, {**second, "prompt_tokens": -5}, *rest]
    ledger.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = convogen("show", "run")
    assert ended.status == 2
    assert "ledger.jsonl line 2: damaged: prompt_tokens: must be at least 0" in ended.complaint
