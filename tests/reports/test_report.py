"""The report: its numbers equal the JSON's, hostile text stays text, and nothing is fetched."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from math import log
from pathlib import Path

import pytest
from command_line import convogen
from run_rows import first_tasks

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.judges.geval import GEval
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request, TokenLogprob
from convogen.models.spec import ModelSpec
from convogen.reports.tables import report_frame
from convogen.storage.run_folder import load_run

HOSTILE = "<script>alert('x')</script> **bold** | {{ 7 * 7 }} $x^2$ ![i](https://e.test/i.png)"


def verdict(request: Request) -> str | list[TokenLogprob]:
    """Reply with p(4) = 0.6 and p(5) = 0.4 for each score, so that the score is 4.4."""
    if not request.choices:
        return "They keep to it."
    return [TokenLogprob("4", log(0.6), (("4", log(0.6)), ("5", log(0.4))))]


def make(folder: Path, experiment: str, n: int = 6) -> Path:
    overrides = {"n": n, "models": "scripted", "max_turns": 5}
    run(Experiment.load(experiment, overrides), folder)
    model = ScriptedModel(verdict)
    judge_run(folder, GEval(), ModelSpec(name="scripted"), n=4, open_model=lambda _: model)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    fixed, iterative = make(folder / "fixed", "GPFS-s"), make(folder / "iterative", "GPIS-s")
    path = fixed / "conversations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["turns"][0] |= {"speaker": "<b>Eve</b>", "text": HOSTILE}
    rows[0]["context"]["topic"] = "<img src=x onerror=alert(1)>"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [fixed, iterative]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "tea.jsonl"
    rows = [["Tea?", "Yes, please.", f"That is cup number {at}.", "Then no."] for at in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def report(
    runs: list[Path], corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("out") / "report"
    ended = convogen("report", *runs, "--out", out, "--against", corpus, "--json")
    assert ended.status == 0, ended.err
    return out, json.loads(ended.out)


def test_who_the_people_are_is_shown_of_each_run(
    runs: list[Path], report: tuple[Path, dict]
) -> None:
    out, numbers = report
    for name, folder in zip(numbers["runs"], runs, strict=True):
        people = [one for e in load_run(folder).experiences() for one in e.personas]
        found = numbers["runs"][name]["people"]
        assert found["people"] == len(people)
        for kind in ("ages", "genders", "origins"):
            assert sum(found[kind].values()) == len(people)
    for page in ("report.md", "report.html"):
        text = (out / page).read_text("utf-8")
        assert "Ages, genders and origins of names" in text
        assert "Age: 30 to 44" in text


def test_a_report_of_before_has_no_people_and_is_read(report: tuple[Path, dict]) -> None:
    numbers = json.loads((report[0] / "report.json").read_text("utf-8"))
    for one in numbers["runs"].values():
        del one["people"]
        del one["text"]["rouge_l_nearest"]
    assert "people" not in {*report_frame(numbers)["part"]}


class Page(HTMLParser):
    """The tags, the attributes and the visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._inside = tag
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "small") and self.cells:
            self.cells[-1] += f" {data}"


def test_hostile_text_stays_text(report: tuple[Path, dict]) -> None:
    page = (report[0] / "report.html").read_text()
    parsed = Page(page)
    assert parsed.tags.isdisjoint({"script", "img", "iframe", "object", "link", "form"})
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    markdown = (report[0] / "report.md").read_text()
    assert "<script" not in markdown
    assert "![i]" not in markdown
    assert r"\*\*bold\*\*" in markdown


def test_nothing_is_fetched(report: tuple[Path, dict]) -> None:
    page = (report[0] / "report.html").read_text()
    for name, value in Page(page).attributes:
        if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            assert value.startswith(("#", "data:")), (name, value)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    own = page.replace("https://e.test/i.png", "")
    assert not re.findall(r"https?://\S+", own)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_the_numbers_are_those_of_the_json(report: tuple[Path, dict]) -> None:
    out, numbers = report
    assert json.loads((out / "report.json").read_text()) == numbers
    cells = [" ".join(cell.split()) for cell in Page((out / "report.html").read_text()).cells]
    markdown = (out / "report.md").read_text()
    for found in [*numbers["runs"].values(), *numbers["against"].values()]:
        for row in found["tables"].values():
            shown = f"{row['value']:,.2f} {row['low']:,.2f} to {row['high']:,.2f}"
            assert shown in cells
            assert shown.replace(" ", " (", 1) + ")" in markdown
        assert f"{found['text']['distinct_2']:.3f}" in cells
    for run_ in numbers["runs"].values():
        assert f"{run_['distances']['tea.jsonl']['turn_length']:.2f}" in cells
    for row in numbers["published"]["III"].values():
        assert f"{row['nW']:.2f}" in cells


def test_groundedness_stands_beside_the_published_table(report: tuple[Path, dict]) -> None:
    out, numbers = report
    for run_ in numbers["runs"].values():
        judged = run_["groundedness"]
        assert judged["table"] == "IV"
        assert judged["conversations"] == 4
        assert judged["average"] == pytest.approx(4.4)
        assert judged["methods"] == {"logprobs": 36}
        assert judged["cost"]["calls"] == 72
        assert next(iter(judged["aspects"])) == "topic"
        assert judged["aspects"]["topic"]["n"] == 4
    page = (out / "report.html").read_text()
    assert "GPFS-s*" in page
    assert "4.40" in page


def test_limits_are_said(report: tuple[Path, dict]) -> None:
    said = " ".join(report[1]["limits"])
    assert "fixed, iterative: only 6 conversations" in said
    assert "conversations judged: 4 of 6" in said
    assert "the judge is the scripted model" in said


def test_every_plot_is_there_and_labelled(report: tuple[Path, dict]) -> None:
    page = (report[0] / "report.html").read_text()
    assert page.count("<svg") == 7
    for label in ("MTLD of a conversation", "Words in a turn", "% near-copies", "Score, mean"):
        assert label in page


def test_the_same_runs_give_the_same_page(
    report: tuple[Path, dict], runs: list[Path], corpus: Path, tmp_path: Path
) -> None:
    ended = convogen("report", *runs, "--out", tmp_path, "--against", corpus)
    assert ended.out.split() == [str(tmp_path / f"report.{end}") for end in ("html", "md", "json")]
    for name in ("report.html", "report.md"):
        assert (tmp_path / name).read_bytes() == (report[0] / name).read_bytes()


def test_one_conversation_not_judged(runs: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs[1], tmp_path / "_one$x$"))
    shutil.rmtree(folder / "scores")
    first_tasks(folder, 1)
    ended = convogen("report", folder, "--out", tmp_path / "out", "--json")
    assert ended.status == 0, ended.err
    (found,) = json.loads(ended.out)["runs"].values()
    assert found["groundedness"] is None
    assert found["tables"]["nW"]["low"] is None
    page = (tmp_path / "out" / "report.html").read_text()
    assert "No run here was judged." in page
    assert "only 1 conversation." in page
