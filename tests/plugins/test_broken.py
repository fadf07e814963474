"""A broken plugin costs one line, and stops only commands that name it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugins.installing import convogen_with, install

METRIC = """
from convogen.extend import Metric
class Mine(Metric):
    name, about = "mine", "counts"
    def add(self, conversation): pass
    def value(self): return 1
"""
BROKEN = {
    "no_module": ("methods", "nowhere.at_all:Mine", "ModuleNotFoundError: No module named"),
    "bad_import": ("judges", "bad_import:Mine", "ImportError: cannot import name 'gone'"),
    "bad_syntax": ("gates", "bad_syntax:Mine", "SyntaxError: "),
    "exits": ("exporters", "exits:Mine", "SystemExit: 3"),
    "raises": ("metrics", "raises:Mine", "ZeroDivisionError: division by zero"),
    "no_class": ("readers", "fine:Nothing", "AttributeError: module 'fine' has no attribute"),
    "no_target": ("readers", "fine", "the entry point names no class"),
    "lacks": ("readers", "lacks:Mine", "the class must also define about, convert"),
    "a_function": ("gates", "fine:function", "must name a class (found function)"),
    "unrelated": ("metrics", "fine:Unrelated", "not a subclass of Metric; derive it from"),
    "renamed": (
        "metrics",
        "fine:Mine",
        "name = 'mine', which must match the name of the entry point",
    ),
    "abstract": (
        "judges",
        "lacks:Judging",
        "the class must also define prompt_names, sampling, judge",
    ),
    "geval": ("judges", "fine:Mine", "'geval' is built in"),
    "../up": ("judges", "fine:Mine", "a name may contain only letters"),
    "lost": ("metric", "fine:Mine", "unknown group; allowed: convogen.methods, "),
}
MODULES = {
    "bad_import.py": "from convogen.extend import gone\n",
    "bad_syntax.py": "class Mine(:\n",
    "exits.py": "print('hello')\nimport sys\nsys.exit(3)\n",
    "raises.py": "1 / 0\n",
    "lacks.py": """
from convogen.extend import Judge
class Mine:
    name = "lacks"
    def fits(self, value): return False
class Judging(Judge):
    name = "abstract"
    def aspects(self, experience): return ()
""",
    "fine.py": METRIC
    + """
def function(): pass
class Unrelated:
    name, about = "unrelated", "none"
    def add(self, conversation): pass
    def value(self): return 1
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    groups: dict[str, list[str]] = {}
    for name, (kind, target, _) in BROKEN.items():
        groups.setdefault(kind, []).append(f"{name} = {target}")
    groups["metrics"].append("mine = fine:Mine")
    text = "\n".join(f"[convogen.{kind}]\n" + "\n".join(lines) for kind, lines in groups.items())
    install(folder, "acme-chats", text, MODULES)
    return folder


def faults(err: str) -> dict[str, str]:
    lines = [line for line in err.splitlines() if line.startswith("plugin acme-chats 1.0: ")]
    return {line.split("entry point ")[1].split(" = ")[0]: line for line in lines}


@pytest.mark.parametrize(
    "command", [("list",), ("list", "--json"), ("schema",), ("doctor", "--model", "scripted")]
)
def test_each_costs_one_line(site: Path, command: tuple[str, ...]) -> None:
    ended = convogen_with(site, *command)
    assert ended.status == 0, ended.err
    found = faults(ended.err)
    assert set(found) == set(BROKEN)
    for name, (kind, target, reason) in BROKEN.items():
        assert f"entry point {name} = {target} (convogen.{kind}): " in found[name]
        assert reason in found[name]
    assert "Traceback" not in ended.err
    assert "hello" not in ended.out
    if "--json" in command or command == ("schema",):
        json.loads(ended.out)


def test_the_listing_of_plugins_has_their_states(site: Path) -> None:
    rows = json.loads(convogen_with(site, "list", "--plugins", "--json").out)
    states = {row["name"]: row["state"] for row in rows}
    assert states.pop("mine") == "ok"
    assert all(reason in states[name] for name, (_, _, reason) in BROKEN.items())


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("run", "demo", "--set", "method=no_module"), "no_module"),
        (("run", "demo", "--set", "gates=[bad_syntax]"), "bad_syntax"),
        (
            (
                "run",
                "demo",
                "--set",
                "gates=[{gate: judge, judge: bad_import, min_score: 3}]",
            ),
            "bad_import",
        ),
        (("evaluate", "RUN", "--judge", "bad_import"), "bad_import"),
        (("export", "RUN", "--to", "exits", "--out", "OUT"), "exits"),
        (("stats", "RUN", "--format", "lacks"), "lacks"),
    ],
)
def test_what_names_it_is_stopped(
    site: Path, tmp_path: Path, finished: Path, command: tuple[str, ...], name: str
) -> None:
    places = {"RUN": finished, "OUT": tmp_path / "out"}
    ended = convogen_with(site, *(places.get(word, word) for word in command))
    assert ended.status == 2
    complaint = ended.err.splitlines()[-1]
    assert complaint.startswith("convogen: ")
    assert name in complaint
    assert BROKEN[name][2] in complaint
    assert "Traceback" not in ended.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """Make a run that uses none of the broken plugins, although they are installed."""
    out = tmp_path_factory.mktemp("run") / "demo"
    ended = convogen_with(site, "run", "demo", "--n", 2, "--model", "scripted", "--out", out)
    assert ended.status == 0, ended.err
    assert not faults(ended.err)
    return out


def test_a_command_that_needs_none_of_them_goes_on(
    site: Path, finished: Path, tmp_path: Path
) -> None:
    measured = convogen_with(site, "stats", finished, "--json")
    assert measured.status == 0
    metrics = json.loads(measured.out)["metrics"]
    assert metrics["mine"] == {"value": 1, "unit": "", "fault": None}
    assert metrics["raises"]["value"] is None
    assert len(faults(measured.err)) == len(measured.err.splitlines()) == 3
    text = tmp_path / "unknown.jsonl"
    text.write_text('{"what": "is this"}\n', "utf-8")
    refused = convogen_with(site, "stats", text)
    assert refused.status == 2
    assert "the first rows are not in any known format" in refused.complaint


def test_two_of_the_same_name_are_both_refused(tmp_path: Path) -> None:
    point = "[convogen.metrics]\nmine = fine:Mine\n"
    install(tmp_path, "acme", point, {"fine.py": METRIC})
    install(tmp_path, "umbrella", point, version="2.0")
    listed = convogen_with(tmp_path, "list", "--json")
    assert "mine" not in json.loads(listed.out)["metrics"]
    first, second = listed.err.splitlines()
    assert first.startswith("plugin acme 1.0: ")
    assert second.startswith("plugin umbrella 2.0: ")
    for line in (first, second):
        assert "defined by acme 1.0 and umbrella 2.0; uninstall all but one" in line


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def add(self, c): raise KeyError('turns')", "KeyError: 'turns'"),
        ("def value(self): return 'many'", "TypeError: value() must return a number or None"),
        ("def value(self): return float('nan')", "ValueError: value() must return a finite"),
        ("def __init__(self, needed): pass", "TypeError: "),
        ("def value(self): raise SystemExit(9)", "SystemExit: 9"),
    ],
)
def test_a_metric_that_raises_costs_one_line(
    tmp_path: Path, finished: Path, body: str, reason: str
) -> None:
    module = f"{METRIC}class Worse(Mine):\n    name = 'worse'\n    {body}\n"
    points = "[convogen.metrics]\nmine = acme:Mine\nworse = acme:Worse\n"
    install(tmp_path, "acme", points, {"acme.py": module})
    ended = convogen_with(tmp_path, "stats", finished, "--json")
    assert ended.status == 0
    (line,) = ended.err.splitlines()
    assert reason in line
    assert line.startswith("plugin acme 1.0: entry point worse = acme:Worse (convogen.metrics): ")
    metrics = json.loads(ended.out)["metrics"]
    assert metrics["mine"]["value"] == 1
    assert metrics["worse"]["value"] is None


def test_a_method_that_raises_ends_its_run_with_one_line(tmp_path: Path) -> None:
    module = """
from typing import ClassVar
from convogen.extend import Method, Play, Sampling
class Bad(Method):
    name: ClassVar[str] = "bad"
    roles: ClassVar[dict[str, Sampling]] = {"writer": Sampling()}
    prompt_names: ClassVar[tuple[str, ...]] = ()
    def start(self, inputs): return BadPlay()
class BadPlay(Play):
    async def play(self, task):
        return {}["nothing"]
"""
    install(tmp_path, "acme", "[convogen.methods]\nbad = acme:Bad\n", {"acme.py": module})
    (tmp_path / "bad.yaml").write_text("method: bad\n", "utf-8")
    arguments = ("run", tmp_path / "bad.yaml", "--model", "scripted", "--out", tmp_path / "run")
    ended = convogen_with(tmp_path, *arguments)
    assert ended.status == 2
    expected = "plugin acme 1.0: acme.py:11: KeyError: 'nothing'; use --debug to show the traceback"
    assert ended.complaint == f"convogen: {expected}"
    assert "Traceback" in convogen_with(tmp_path, "--debug", *arguments).err


READER = """
from convogen.extend import Conversation, Reader
class Mine(Reader):
    name, about = "mine", "rows of mine"
    def fits(self, value): return isinstance(value, dict) and "mine" in value
    def convert(self, rows, fallback): return None
"""


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("def fits(self, value): return value['gone']", 1),
        ("def share(self, rows): return 'all'", 1),
        ("def __init__(self, needed): pass", 0),
        ("def __init__(self): raise OSError('no disk')", 0),
    ],
)
def test_a_reader_that_raises_stops_no_other_file(tmp_path: Path, body: str, shown: int) -> None:
    module = f"{READER}class Worse(Mine):\n    name = 'worse'\n    {body}\n"
    points = "[convogen.readers]\nmine = acme:Mine\nworse = acme:Worse\n"
    install(tmp_path, "acme", points, {"acme.py": module})
    text = tmp_path / "text.txt"
    text.write_text("1 your persona: i bake\n2 hello you\tgood day\n", "utf-8")
    ended = convogen_with(tmp_path, "stats", text, "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out)["conversations"] == 1
    named = convogen_with(tmp_path, "stats", text, "--format", "worse")
    assert named.status == 2
    assert "entry point worse = acme:Worse (convogen.readers): " in named.complaint
    for err in (ended.err, named.err):
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 1


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ("None", "NoneType"),
        ("'text'", "str"),
        ("[rows]", "a list of other objects"),
        ("iter([])", "list_"),
    ],
)
def test_a_reader_that_makes_no_conversations_is_told(tmp_path: Path, made: str, kind: str) -> None:
    module = READER.replace("return None", f"return {made}")
    install(tmp_path, "acme", "[convogen.readers]\nmine = acme:Mine\n", {"acme.py": module})
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"mine": 1}\n', "utf-8")
    ended = convogen_with(tmp_path, "stats", rows)
    assert ended.status == 2
    assert f"convert() must return a list of conversations (found {kind}" in ended.complaint
    assert "acme 1.0" in ended.complaint


EXPORTER = """
from typing import ClassVar
from convogen.extend import Exporter
class Mine(Exporter):
    name: ClassVar[str] = "mine"
    container: ClassVar[str] = "{container}"
    about_rows: ClassVar[str] = "a row is mine"
    def columns(self): return {columns}
    def rows(self, item, counts): {rows}
"""


@pytest.mark.parametrize(
    ("container", "columns", "rows", "reason"),
    [
        ("parquet", {"a": "string"}, "yield {'a': 1}", "ArrowTypeError: "),
        ("hf", {"a": "int64"}, "yield {'a': 'x'}", "Arrow"),
        ("csv", {"a": "string"}, "yield {'b': 'x'}", "ValueError: "),
        ("jsonl", {"a": "string"}, "yield {'a': {1}}", "TypeError: "),
        ("jsonl", {"a": "string"}, "return None", "TypeError: "),
        ("jsonl", {"a": "words"}, "yield {'a': 'x'}", "AttributeError: "),
    ],
)
def test_rows_that_no_file_holds_are_blamed_on_their_exporter(
    tmp_path: Path, finished: Path, container: str, columns: object, rows: str, reason: str
) -> None:
    module = EXPORTER.format(container=container, columns=columns, rows=rows)
    install(tmp_path, "acme", "[convogen.exporters]\nmine = acme:Mine\n", {"acme.py": module})
    out = tmp_path / "out"
    ended = convogen_with(tmp_path, "export", finished, "--to", "mine", "--out", out)
    assert ended.status == 2
    assert ended.err.splitlines() == [ended.err.rstrip()]
    assert f"mine = acme:Mine (convogen.exporters): {reason}" in ended.complaint
    assert not out.exists()
