"""The imports for plugin authors, and the folders in which their prompts are searched for."""

from __future__ import annotations

import doctest
import importlib
import sys
from pathlib import Path

import pytest

from convogen import extend
from convogen.errors import SourceError
from convogen.plugins import registry
from convogen.prompts import load_prompt

PROMPT = "---\nvariables: []\n---\n[user]\n{text}"


def test_every_name_is_there_and_so_are_the_bases() -> None:
    assert dir(extend) == sorted(extend.__all__)
    found = [getattr(extend, name) for name in extend.__all__]
    for target in registry.BASES.values():
        module, name = target.split(":")
        assert getattr(importlib.import_module(module), name) in found
        assert f"`{name}`" in (extend.__doc__ or "")
    with pytest.raises(AttributeError, match="nothing"):
        _ = extend.nothing


def test_its_example_is_a_metric() -> None:
    globs = {name: getattr(extend, name) for name in extend.__all__}
    test = doctest.DocTestParser().get_doctest(extend.__doc__ or "", globs, "extend", None, None)
    assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
    assert test.globs["Turns"]().value() == 0


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a package with a class in a subpackage."""
    folder = tmp_path / "acme_prompts" / "deep"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", "utf-8")
    (folder.parent / "__init__.py").write_text("class Base: ...\n", "utf-8")
    (folder / "mine.py").write_text("from acme_prompts import Base\nclass Mine(Base): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "acme_prompts"]:
        monkeypatch.delitem(sys.modules, name)
    return folder.parent


def write(folder: Path, text: str) -> None:
    (folder / "prompts" / "mine").mkdir(parents=True)
    (folder / "prompts" / "mine" / "ask.md").write_text(PROMPT.replace("{text}", text), "utf-8")


def test_a_package_has_the_prompts_of_its_name(package: Path) -> None:
    (package / "mine" / "prompts").mkdir(parents=True)
    text = PROMPT.replace("{text}", "of its name")
    (package / "mine" / "prompts" / "ask.md").write_text(text, "utf-8")
    mine = importlib.import_module("acme_prompts.deep.mine").Mine
    assert load_prompt("mine/ask", owner=mine).render()[0].content == "of its name"


def test_the_nearest_prompt_is_taken(package: Path) -> None:
    mine = importlib.import_module("acme_prompts.deep.mine").Mine
    write(package.parent, "outside of the package")
    with pytest.raises(SourceError, match=r"prompt mine/ask.md of Mine: not found in"):
        load_prompt("mine/ask", owner=mine)
    write(package, "above")
    load_prompt.cache_clear()
    assert load_prompt("mine/ask", owner=mine).render()[0].content == "above"
    write(package / "deep", "beside")
    load_prompt.cache_clear()
    assert load_prompt("mine/ask", owner=mine).render()[0].content == "beside"
    base = sys.modules["acme_prompts"].Base
    assert load_prompt("mine/ask", owner=base).render()[0].content == "above"


def test_a_class_takes_the_prompts_of_a_built_in_one_only_if_it_says_so() -> None:
    judge = registry.load("judges", "geval")
    silent = type("Silent", (judge,), {"name": "silent", "__module__": __name__})
    with pytest.raises(SourceError, match=r"prompt judges/silent-explain\.md of Silent"):
        _ = silent().prompts
    owners = dict.fromkeys(judge.prompt_names, "geval")
    said = {"name": "outspoken", "prompt_owners": owners, "__module__": __name__}
    assert (
        type("Outspoken", (judge,), said)().fingerprint_inputs["prompts"]
        == judge().fingerprint_inputs["prompts"]
    )


@pytest.mark.parametrize(
    ("kind", "name", "keys"), [("judges", "geval", {}), ("gates", "min_turns", {"turns": 2})]
)
def test_a_prompt_of_ones_own_is_for_a_step_that_there_is(
    kind: registry.Kind, name: str, keys: dict[str, object]
) -> None:
    made = registry.load(kind, name)(own_prompts={"explian": "x.md"}, **keys)
    with pytest.raises(SourceError, match=f"{name}: has no prompt 'explian'; allowed: "):
        _ = made.fingerprint_inputs
