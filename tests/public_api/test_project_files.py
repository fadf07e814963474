"""Files for contributors, for citations, and for the host of the repository."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from documentation import ROOT

import convogen

YAML_FILES = [".pre-commit-config.yaml", "CITATION.cff", "mkdocs.yml"]
YAML_FILES += [str(path.relative_to(ROOT)) for path in sorted((ROOT / ".github").rglob("*.yml"))]
TEXTS = ["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "ARCHITECTURE.md"]


def _read(path: str) -> Any:
    return yaml.load((ROOT / path).read_text("utf-8"), Loader=yaml.BaseLoader)


@pytest.mark.parametrize("path", YAML_FILES)
def test_it_is_yaml(path: str) -> None:
    assert isinstance(_read(path), dict)


def test_the_citation_names_this_version() -> None:
    citation = _read("CITATION.cff")
    assert citation["version"] == convogen.__version__
    assert citation["license"] == _project()["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in _project()["authors"]
    ]
    assert len(citation["references"]) == len(list((ROOT / "convogen/published").glob("*.yaml")))


def test_the_changelog_begins_with_this_version_or_with_what_comes_after_it() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    dated = f"{convogen.__version__} ({_read('CITATION.cff')['date-released']})"
    assert dated in headings[:2]
    assert _project()["version"] == convogen.__version__


def test_the_workflow_runs_what_the_makefile_has() -> None:
    jobs = _read(".github/workflows/ci.yml")["jobs"]
    matrix = jobs["platforms"]["strategy"]["matrix"]
    assert len(matrix["os"]) == 3
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    oldest = _project()["requires-python"].removeprefix(">=")
    assert oldest == matrix["python"][0]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for step in jobs["check"]["steps"]:
        if (command := step.get("run", "")).startswith("make "):
            assert f"\n{command.split()[1]}:" in makefile


def test_the_hooks_run_installed_tools() -> None:
    for repository in _read(".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["entry"].startswith(".venv/bin/")


@pytest.mark.parametrize("path", TEXTS)
def test_what_a_text_names_exists(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    for code in re.findall(r"`((?:convogen|docs|examples|experiences|tests)/[\w./-]*)`", text):
        if not re.search(r"[A-Z]{4}", code):  # METHOD, PAPER and NAME are placeholders
            assert (ROOT / code).exists(), code


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/images").iterdir())
    assert len(pictures) > 5
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []


def test_every_target_for_developers_is_listed() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("docs", "release-check", "check", "format"):
        assert re.search(rf"^  {target} ", listed, re.MULTILINE)


def _project() -> dict[str, Any]:
    return tomllib.loads(Path(ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_continuous_integration_is_a_script_of_bash() -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def test_no_file_holds_both_sides_of_a_merge() -> None:
    marks = ["-e", "^<<<<<<< ", "-e", "^>>>>>>> "]
    found = subprocess.run(["git", "grep", "-lE", *marks], cwd=ROOT, check=False)
    assert found.returncode == 1  # 1: nothing found; 0: something found; 128: no repository
