"""The statements and commands in README.md and docs/ work as printed.

Each page is processed from top to bottom in a folder with small artificial data. Commands are run
with the scripted model instead of the model that they name, and for at most three conversations.
Python is run, and YAML is read as an experiment. Every command is also parsed as printed.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import documentation_data
import pytest
import yaml
from command_line import convogen as convogen_command
from documentation import ROOT, Block, Page, generator, pages

import convogen
from convogen import Experiment, ExperimentError, extend
from convogen.cli.main import cli
from convogen.cli.run import read_settings
from convogen.errors import __all__ as exceptions
from convogen.experiment.experiment import shipped_experiments
from convogen.plugins import registry

WRITTEN = [page for page in pages().values() if page.blocks]
LANGUAGES = {"json", "markdown", "python", "sh", "text", "toml", "yaml"}
NEEDS = {
    "30 conversations",
    "an endpoint",
    "an object store",
    "answers of people",
    "GPUs",
    "Kubernetes",
    "Slurm",
    "the embedded model",
    "the lingua extra",
    "the network",
    "training",
    "a Ray cluster",
    "a plugin",
    "the web extra",
    "these data sets",
}
PLAYS = {"run", "augment", "ablate", "replay"}
ASKS = {*PLAYS, "evaluate", "arena", "doctor", "demo"}
"""Commands that call a model and are therefore run with the scripted model."""

OTHER_PROGRAMS = {
    *("bash", "cat", "cd", "export", "git", "kubectl", "make", "pip", "python", "sbatch", "serve")
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data and the runs that the pages name."""
    folder = tmp_path_factory.mktemp("documentation")
    documentation_data.write(folder)
    return folder


def test_there_are_blocks_to_check() -> None:
    blocks = [block for page in WRITTEN for block in page.blocks]
    assert sum(len(list(b.commands)) for b in blocks if b.language == "sh") >= 100
    assert {block.language for block in blocks} <= LANGUAGES
    assert {block.needs for block in blocks if block.needs} <= NEEDS
    ran = [b for b in blocks if b.needs is None]
    assert len(ran) > len(blocks) - len(ran)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.path)
def test_the_blocks_of_a_page_work(
    page: Page, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(workspace, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    names: dict[str, Any] = {}
    for block in page.blocks:
        try:
            _walk(block, names)
        except BaseException as error:
            error.add_note(f"in the block at {block.place}")
            raise


def _walk(block: Block, names: dict[str, Any]) -> None:
    """Parse a block, and run it unless it needs more than a test provides."""
    match block.language:
        case "sh":
            for words in block.commands:
                _check_command(words)
                if words[0] == "convogen" and block.needs is None:
                    _rehearse(words[1:])
        case "python":
            code = compile(block.text, block.place, "exec")
            if block.needs is None:
                exec(code, names)  # noqa: S102
        case "yaml":
            if block.needs is None:
                _check_experiment(block.text)
            assert yaml.safe_load(block.text)
        case "json":
            for line in block.text.splitlines() if "\n{" in block.text else [block.text]:
                json.loads(line)
        case "toml":
            tomllib.loads(block.text)
        case _:
            pass


def _check_command(words: list[str]) -> None:
    """Parse a command and its settings without executing it."""
    program, *rest = words
    if program != "convogen":
        assert program in OTHER_PROGRAMS, words
        for extra in re.findall(r"convogen\[([\w,]+)\]|\.\[([\w,]+)\]", " ".join(rest)):
            assert set("".join(extra).split(",")) <= _extras(), words
        return
    if ">" in rest:
        rest = rest[: rest.index(">")]
    _parse(rest)


def _parse(words: list[str]) -> click.Context:
    words = [re.sub("^(s3|gs)://", "", word) for word in words]  # the URL would be read immediately
    command: click.Command = cli
    above = click.Context(cli, **cli.context_settings)
    while words and isinstance(command, click.Group):
        below = command.get_command(above, words[0])
        if below is None:
            break
        command, words = below, words[1:]
    assert command is not cli, words
    context = command.make_context(command.name or "", list(words), parent=above)
    read_settings(context.params.get("settings", ()))
    return context


def _rehearse(words: list[str]) -> None:
    """Run a command with the scripted model for at most three conversations."""
    stdout = None
    words = [_an_id(words) if word == "ID" else word for word in words]
    words = [path for word in words for path in _expanded(word)]
    if ">" in words:
        stdout, words = words[-1], words[: words.index(">")]
    judged = words[0] != "evaluate" or "--judge" in words
    if words[0] in ASKS and judged and (words[0] != "replay" or "--conversation" in words):
        words = [*_without(words, "--model", "--base-url", "--price"), "--model", "scripted"]
        if words[0] in PLAYS and any("dialogueforge" in word for word in words):
            words += ["--model", "responder=scripted"]
    if words[0] in PLAYS - {"replay"}:
        words = [*_without(words, "--n"), "--n", "2" if words[0] == "ablate" else "3"]
    ended = convogen_command(*words)
    assert ended.status == 0, f"{shlex.join(words)}\n{ended.out}\n{ended.err}"
    if stdout:
        Path(stdout).write_text(ended.out, "utf-8")


def _expanded(word: str) -> list[str]:
    """Return the files that a shell would substitute for a pattern."""
    paths = [str(path) for path in sorted(Path().glob(word))] if word.startswith("runs/") else []
    return paths or [word]


def _an_id(words: list[str]) -> str:
    """Return the id of a conversation in the run that a command names."""
    run = next(word for word in words if word.startswith("runs/"))
    return json.loads(Path(run, "conversations.jsonl").read_text("utf-8").splitlines()[0])["id"]


def _without(words: list[str], *options: str) -> list[str]:
    """Return a command without these options and their values."""
    kept = list(words)
    for option in options:
        while option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    return kept


def _check_experiment(text: str) -> None:
    """Validate an experiment, or some keys of an experiment with the method that has them."""
    data = yaml.safe_load(text)
    if "starter" in data:
        return  # an experience, which the run that uses it reads
    required = {"dialogueforge": {"seeds": "seeds.jsonl"}, "augment": {"source": "labelled.jsonl"}}
    methods = [data["method"]] if "method" in data else ["convogen", *registry.names("methods")]
    faults: list[ExperimentError] = []
    for method in methods:
        base: dict[str, Any] = {"name": "fragment", "method": method, **required.get(method, {})}
        try:
            experiment = Experiment({**base, **data})
        except ExperimentError as fault:
            faults.append(fault)
            continue
        assert experiment.fingerprint
        if "name" in data:
            Path(f"{data['name']}.yaml").write_text(text, "utf-8")
        return
    raise faults[0]


def _extras() -> set[str]:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return set(data["project"]["optional-dependencies"])


@pytest.mark.parametrize("page", pages().values(), ids=lambda page: page.path)
def test_commands_and_options_in_the_text_exist(page: Page) -> None:
    if page.path == "docs/reference/changelog.md":
        return
    options, commands = _options_and_commands()
    for code in page.code:
        if code.startswith("convogen "):
            name = code.split()[1]
            if re.fullmatch(r"[a-z]+", name):
                assert name in commands, code
        for option in re.findall(r"(?:^|(?<=\s))--[a-z][\w-]*", code):
            if code.startswith(("convogen ", "--")):
                assert option in options, f"{page.path}: {code}"


def test_the_examples_in_help_texts_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in an example need not exist, but its options and values must."""
    monkeypatch.chdir(tmp_path)
    texts = [c.help or "" for c in _all_commands(cli, click.Context(cli, **cli.context_settings))]
    joined = "\n".join(texts).replace("\\\n", " ")
    examples = re.findall(r"^ +(convogen .+)$", joined, re.MULTILINE)
    assert len(examples) >= 20
    for line in examples:
        try:
            _parse(shlex.split(line)[1:])
        except click.UsageError as error:
            if "does not exist" not in error.message:
                error.add_note(line)
                raise


def _options_and_commands() -> tuple[set[str], set[str]]:
    above = click.Context(cli, **cli.context_settings)
    known = {"--help", "--version"}
    for command in _all_commands(cli, above):
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    return known, set(cli.list_commands(above))


def _all_commands(group: click.Group, above: click.Context) -> Iterator[click.Command]:
    yield group
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from _all_commands(command, above)


@pytest.mark.parametrize("page", pages().values(), ids=lambda page: page.path)
def test_links_lead_somewhere(page: Page) -> None:
    folder = Path(page.path).parent
    for link in page.links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(/[\w./()@:%+~?=&-]*)?", target), (
                link
            )
            continue
        path = (ROOT / folder / target).resolve() if target else ROOT / page.path
        known = pages().get(path.relative_to(ROOT).as_posix())
        assert known is not None or path.exists(), f"{page.path}: {link}"
        if anchor and known is not None:
            assert anchor in known.anchors, f"{page.path}: {link}"


def test_the_example_plugin_is_shown_whole() -> None:
    shown = [block.text.strip() for block in pages()["docs/extending.md"].blocks]
    for path in (ROOT / "examples/plugin/convogen_debate").glob("[a-z]*.py"):
        assert path.read_text("utf-8").strip() in shown, path


def test_the_files_that_are_named_exist() -> None:
    folders = "convogen|experiences|personas|examples|benchmarks|tests|docs"
    for page in pages().values():
        if page.path == "docs/reference/changelog.md":
            continue
        for code in page.code:
            if re.fullmatch(rf"(?:{folders})/[\w./-]*", code):
                assert (ROOT / code).exists(), f"{page.path}: {code}"


def test_the_messages_that_are_explained_exist() -> None:
    page = pages()["docs/reference/errors.md"].text
    quoted = re.findall(r"^\| `([^`]+)` \|", page.split("## Common messages")[1], re.MULTILINE)
    source = "".join(path.read_text("utf-8") for path in (ROOT / "convogen").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    assert len(quoted) > 5
    for message in quoted:
        assert message in joined, message


@pytest.mark.parametrize("module", [convogen, extend], ids=lambda module: module.__name__)
def test_every_public_name_is_on_a_page(module: ModuleType) -> None:
    text = pages()["docs/reference/python.md"].text + pages()["docs/reference/extend.md"].text
    shown = set(re.findall(r"^::: convogen\.(?:extend\.)?(\w+)$", text, re.MULTILINE))
    assert set(module.__all__) - set(exceptions) - {"__version__"} <= shown


def test_every_exception_is_explained() -> None:
    tree = next(b.text for b in pages()["docs/reference/errors.md"].blocks if b.language == "text")
    assert set(re.findall(r"\b[A-Z]\w+(?= {2,}|$)", tree, re.MULTILINE)) == set(exceptions)


def test_the_navigation_has_every_page_once() -> None:
    index = generator().llms_txt(generator().generated_pages())
    listed = re.findall(r"\(([\w./-]+)\.html\): .", index)
    assert sorted(f"docs/{path}.md" for path in listed) == sorted(set(pages()) - {"README.md"})


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {*re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE), *shipped_experiments()}
    for page in pages().values():
        if page.path == "docs/reference/changelog.md":
            continue
        commands = [w for b in page.blocks if b.language == "sh" for w in b.commands]
        lines = [words for words in commands if words[0] == "make"]
        lines += [code.split() for code in page.code if code.startswith("make ")]
        for _, target, *_ in lines:
            assert target in targets, f"{page.path}: make {target}"
