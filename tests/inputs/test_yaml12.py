"""All YAML files are read in the same way: with limits, without surprises, and with line
numbers."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment
from convogen.errors import ExperimentError, SourceError, UserError
from convogen.inputs.yaml12 import DEEPEST, dump_yaml, parse_yaml, read_mapping, read_yaml

SCALARS: list[tuple[str, Any]] = [
    ("010", 10),
    ("-007", -7),
    ("0o17", 15),
    ("0x1F", 31),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("1_0", "1_0"),
    ("1_000.5", "1_000.5"),
    ("1e-4", 1e-4),
    ("1E3", 1000.0),
    (".5", 0.5),
    ("yes", "yes"),
    ("off", "off"),
    ("True", True),
    ("~", None),
    ("", None),
    ("2024-10-21", "2024-10-21"),
    ("2024-99-99", "2024-99-99"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("'010'", "010"),
    ("=", "="),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_yaml(f"a: {text}")["a"]
    assert (type(found), found) == (type(value), value)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
LONG = "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 400 + "]\n"
REFUSED: dict[str, tuple[bytes, list[str]]] = {
    "equal keys": (b"n: 1\nseed: 2\nn: 3\n", ["line 3", "'n'", "line 1"]),
    "equal keys below": (b"sampling:\n  agent: {top_p: 1, top_p: 0.5}\n", ["line 2", "'top_p'"]),
    "equal keys in two spellings": (b"n: 1\n'n': 2\n", ["line 2", "'n'"]),
    "a bomb of aliases": (BOMB.encode(), ["aliases", "16 MB"]),
    "a bomb of a long text": (LONG.encode(), ["aliases", "16 MB"]),
    "an alias to itself": (b"a: &a [*a]\n", ["line 1", "*a"]),
    "an alias to nothing": (b"a: *b\n", ["line 1", "*b"]),
    "3,000 brackets": (b"n: " + b"[" * 3000, ["line 1", f"more than {DEEPEST}"]),
    "100,000 brackets": (b"[" * 100_000 + b"]" * 100_000, ["line 1", f"more than {DEEPEST}"]),
    "3,000 indents": (
        b"".join(b" " * n + b"a:\n" for n in range(300)),
        ["line 65", f"more than {DEEPEST}"],
    ),
    "5,000 digits": (b"seed: " + b"9" * 5000, ["line 1", "64 bits"]),
    "65 bits": (b"\nseed: 18446744073709551616", ["line 2", "64 bits"]),
    "infinity": (b"timeout: .inf", ["line 1", ".inf", "finite"]),
    "no number": (b"n: .NaN", ["line 1", "finite"]),
    "a number that overflows": (b"n: 1e999", ["line 1", "finite"]),
    "a NUL": (b'experiences: "a\\0b"', ["line 1", "NUL"]),
    "a control character": (b"n: 1\nname: a\x07b\n", ["line 2", "control characters"]),
    "half a surrogate": (b'name: "\\ud800"', ["line 1"]),
    "a key that is a list": (b"? [a, b]\n: 1", ["line 1", "key"]),
    "a date by its tag": (b"a: !!timestamp 2024-99-99", ["line 1", "timestamp"]),
    "an object of Python": (b"a: !!python/name:os.system", ["line 1", "python/name"]),
    "a wrong tag": (b"a: !!int x", ["line 1", "'x'", "int"]),
    "two documents": (b"n: 1\n---\nn: 2\n", ["line 2", "another document"]),
    "Latin-1": (b"n: 1\nabout: caf\xe9\n", ["line 2", "utf-8"]),
    "a tab": (b"n:\n\t1: 2\n", ["line 2"]),
    "half of UTF-16": (b"\xff\xfen\x00:\x00 \x001", ["utf-16"]),
    "a list": (b"- n", ["mapping of keys", "a list"]),
    "nothing": (b"", ["mapping of keys", "empty"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_line_that_names_the_line(tmp_path: Path, case: str) -> None:
    content, said = REFUSED[case]
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(ExperimentError) as error:
        read_mapping(path, ExperimentError)
    for word in ("my.yaml", *said):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.yaml", tmp_path / ("x" * 300)):
        with pytest.raises(SourceError, match="cannot be read"):
            read_yaml(path)
    with pytest.raises(SourceError, match="null byte"):
        read_yaml(Path("a\0b"))


def test_utf_16_and_a_mark_at_the_beginning_are_read(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    for encoding in ("utf-16", "utf-8-sig", "utf-8"):
        path.write_text("about: café\n", encoding)
        assert read_yaml(path) == {"about": "café"}


def test_merge_keys_are_kept_and_own_keys_win() -> None:
    text = "base: &b {a: 1, c: 3}\nown:\n  <<: *b\n  a: 2\n"
    assert parse_yaml(text)["own"] == {"a": 2, "c": 3}


@given(st.binary(max_size=60) | st.text("[]{}&*!|>'\"%@`,:-?# \n\t0ab<.~\\", max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "my.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        complaint = "read"
        try:
            Experiment.load(path)
        except UserError as refused:
            complaint = str(refused)
    assert len(complaint.splitlines()) == 1


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
LOOKALIKES = st.sampled_from([text for text, _ in SCALARS] + ["<<", "null", "0o7", "08", "1e5"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | LOOKALIKES
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | LOOKALIKES, inner),
    max_leaves=12,
)  # fmt: skip


@given(TREES)
def test_what_is_written_reads_the_same_here_and_elsewhere(tree: Any) -> None:
    text = dump_yaml(tree)
    assert parse_yaml(text) == tree
    assert yaml.safe_load(text) == tree


PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "an experiment": ("my.yaml", ("run", "my.yaml")),
    "an experience": ("my.yaml", ("run", "demo", "--set", "experiences=my.yaml")),
    "a value": ("", ("run", "demo", "--set", "experiences={a: 1, a: 2}")),
    "levels": ("", ("ablate", "demo", "--vary", "style={a: 1, a: 2}")),
    "a prompt": ("agent.md", ("run", "demo", "--set", "prompts.agent=agent.md")),
    "goals": ("my.yaml", ("run", "roleplay-gpt4", "--set", "goals_file=my.yaml")),
    "examples": ("my.yaml", ("run", "diasynth-samsum", "--set", "examples=my.yaml")),
    "settings": ("my.yaml", ("train", "t", "--held-out", "h", "--settings", "my.yaml")),
    "a judge": ("", ("evaluate", "r", "--judge", "geval", "--set", "scale={a: 1, a: 2}")),
}


@pytest.mark.parametrize("case", PLACES)
def test_every_place_that_reads_yaml_refuses_equal_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    name, arguments = PLACES[case]
    if name:
        text = "a: 1\na: 2\n"
        Path(name).write_text(f"---\n{text}---\n[system]\nx" if name.endswith(".md") else text)
    if arguments[0] == "evaluate":
        assert convogen("run", "demo", "--model", "scripted", "--n", 1, "--out", "r").status == 0
    ended = convogen(*arguments, *(() if arguments[0] in ("train", "evaluate") else SCRIPTED))
    assert ended.status == 2
    said = ended.err.splitlines()[-1]
    assert "duplicate key" in said or "--vary" in said
    assert said.startswith("convogen: ")
    assert name in said


SCRIPTED = ("--model", "scripted", "--out", "out")


def test_a_bomb_is_refused_before_anything_is_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(f"{BOMB}name: *a29\n")
    started = time.process_time()
    ended = convogen("run", path, *SCRIPTED)
    assert ended.status == 2
    assert "aliases" in ended.complaint
    assert time.process_time() - started < 20  # without the limit, it would take hours


BOOLEANS: dict[str, tuple[tuple[str, ...], str]] = {
    "n": (("n=true",), "n"),
    "of the method": (("lanes=false",), "lanes"),
    "in a list": (("participants=[true, 3]",), "participants"),
    "of a model": (("models.default.timeout_s=true",), "models.default.timeout_s"),
    "of all models": (("models={name: scripted, patience_s: true}",), "patience_s"),
    "of a price": (
        ("models.default.price={input: true, output: 1}",),
        "models.default.price.input",
    ),
    "of a role": (("sampling.agent.temperature=true",), "sampling.agent.temperature"),
    "of a gate": (("gates=[{gate: min_turns, turns: true}]",), "gates[0]: turns"),
}


@pytest.mark.parametrize("case", BOOLEANS)
def test_true_is_no_number(tmp_path: Path, case: str) -> None:
    settings, key = BOOLEANS[case]
    model = ("--model", "scripted") if "models=" not in settings[0] else ()
    chosen = [part for one in settings for part in ("--set", one)]
    ended = convogen("run", "GPFS-s", *model, *chosen, "--out", tmp_path / "run")
    assert ended.status == 2
    assert f"{key}: must not be true or false" in ended.complaint
    assert not (tmp_path / "run").exists()


def test_true_is_no_age_and_stays_what_it_is_elsewhere(tmp_path: Path) -> None:
    keys = {"iterative": True, "models": "scripted", "sampling": {"agent": {"extra": {"a": True}}}}
    loaded = Experiment.of(keys | {"name": "x"}, {})
    assert loaded.sampling("agent").extra == {"a": True}
    card = {"name": "Ana", "age": True, "gender": "f"}
    path = tmp_path / "seed.yaml"
    path.write_text(json.dumps({"personas": [card, card]}))
    with pytest.raises(SourceError, match="age: must not be true or false"):
        Experiment.load("demo", {"experiences": str(path)}).fingerprint  # noqa: B018
