"""Write the pages of the site that are generated from the code: `python docs/generate.py`.

`reference/cli.md` is generated from the commands, `reference/experiment.md` from the JSON Schema
for experiments, `reference/catalogue.md` from `convogen list`, `reference/changelog.md` from
CHANGELOG.md, and `llms.txt` and `llms-full.txt` from all pages in the navigation. The files are
written next to the pages under version control, so that any build with mkdocs.yml finds them.
`make docs` runs this script before it builds the site.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from click.testing import CliRunner

from convogen.cli.main import GROUPS, cli
from convogen.experiment.experiment import Common
from convogen.experiment.json_schema import json_schema

__all__ = ["generated_pages", "llms_full_txt", "llms_txt"]

DOCS = Path(__file__).parent
ROOT = DOCS.parent
KINDS = ("experiments", "methods", "judges", "gates", "exporters", "readers", "languages")
"""The kinds in the output of `convogen list` that do not depend on the machine."""

ACRONYMS = {"Azure": "azure", "Http": "http", "ModelSpec": "models", "Price": "price"}
"""Maps each definition in the schema to the key whose value it describes."""


def generated_pages() -> dict[str, str]:
    """Return the generated pages, which maps each path below docs/ to its Markdown text."""
    return {
        "reference/cli.md": _cli_page(),
        "reference/experiment.md": _experiment_page(json_schema()),
        "reference/catalogue.md": _catalogue(),
        "reference/changelog.md": _changelog(),
    }


def llms_txt(pages: Mapping[str, str]) -> str:
    """Return the index for language models (llmstxt.org) with the first sentence of each page."""
    config = _config()
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    for section in config["nav"]:
        ((heading, entries),) = section.items()
        lines += ["", f"## {heading}", ""]
        for path in _paths(entries):
            text = pages.get(path) or (DOCS / path).read_text("utf-8")
            lines.append(f"- [{_title(text)}]({path.removesuffix('.md')}.html): {_summary(text)}")
    return "\n".join(lines) + "\n"


def llms_full_txt(pages: Mapping[str, str]) -> str:
    """Return all pages and the files that they include as one text, in navigation order."""
    texts = [
        pages.get(path) or (DOCS / path).read_text("utf-8") for path in _paths(_config()["nav"])
    ]
    return re.sub(
        r'^--8<-- "(.+)"$',
        lambda found: (ROOT / found[1]).read_text("utf-8").rstrip(),
        "\n\n".join(texts),
        flags=re.MULTILINE,
    )


def _config() -> Any:
    return yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader=yaml.BaseLoader)


def _paths(entries: Any) -> Iterator[str]:
    """Yield the pages in a part of the navigation, in order."""
    if isinstance(entries, str):
        yield entries
        return
    for entry in entries.values() if isinstance(entries, dict) else entries:
        yield from _paths(entry)


def _title(text: str) -> str:
    return next(line[2:] for line in text.splitlines() if line.startswith("# "))


def _summary(text: str) -> str:
    """Return the first sentence of a page's first paragraph, as plain text."""
    blocks = re.split(r"\n\s*\n", text)
    prose = (b for b in blocks if re.match(r"[A-Z`*\[]", b) and not b.startswith("[!"))
    paragraph = " ".join(next(prose, "").split())
    sentence = re.split(r"(?<=[.:?])\s", paragraph, maxsplit=1)[0].rstrip(":")
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", sentence)


def _catalogue() -> str:
    printed = CliRunner().invoke(cli, ["list", "--json"], catch_exceptions=False)
    listing: dict[str, dict[str, str]] = json.loads(printed.stdout)
    lines = [
        "# Catalogue",
        "",
        "This page lists all names that experiments and commands accept, as `convogen list` does.",
        "",
        "Installed [plugins](../extending.md) add further names to these lists.",
    ]
    for kind in KINDS:
        lines += ["", f"## {kind.capitalize()}", "", "| name | |", "| --- | --- |"]
        lines += [
            f"| `{name}` | {_in_table(_escaped(about))} |" for name, about in listing[kind].items()
        ]
    return "\n".join(lines) + "\n"


def _changelog() -> str:
    heading, rest = (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n", maxsplit=1)
    return f"{heading}\n\nThis page lists the changes in each release, newest first.\n{rest}"


# --- the command line ------------------------------------------------------------------------


def _cli_page() -> str:
    above = click.Context(cli, info_name="convogen", **cli.context_settings)
    lines = [
        "# Command line",
        "",
        "This page lists all commands and their options, as `convogen COMMAND --help` does.",
        "",
        "`convogen --verbose` prints retries, faults and repairs, and `convogen --debug` prints"
        " tracebacks. You can put both options before or after the command. [Errors and exit"
        " statuses](errors.md) lists the exit statuses.",
    ]
    for heading, commands in GROUPS.items():
        lines += ["", f"## {heading}"]
        for name in commands:
            command = cli.get_command(above, name)
            assert command is not None
            lines += _command(command, above, name)
    return "\n".join(lines) + "\n"


def _command(command: click.Command, above: click.Context, name: str) -> Iterator[str]:
    """Yield the lines that describe a command and its subcommands."""
    context = click.Context(command, info_name=name, parent=above)
    level = "###" if above.parent is None else "####"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from ("", f"{level} {context.command_path}", "", "```text", usage, "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield from ("```text", *paragraph[2:].splitlines(), "```", "")
        else:
            yield from (_escaped(" ".join(paragraph.split())), "")
    records = [
        option.get_help_record(context)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    if records:
        yield from ("| option | |", "| --- | --- |")
        for names, text in filter(None, records):
            yield f"| `{_in_table(names)}` | {_in_table(_escaped(text))} |"
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            below = command.get_command(context, sub)
            assert below is not None
            yield from _command(below, context, sub)


# --- the keys of an experiment ---------------------------------------------------------------


def _experiment_page(schema: Mapping[str, Any]) -> str:
    common = set(Common.model_fields)
    alternatives = {a["properties"]["method"]["const"]: a for a in schema["oneOf"]}
    first = next(iter(alternatives.values()))["properties"]
    lines = [
        "# Experiment keys",
        "",
        "This page lists every key of an experiment file. It is generated from the JSON Schema that"
        " `convogen schema` prints.",
        "",
        "If a key is unknown, the error message names the allowed keys."
        " [Write an experiment](../how-to/experiment.md) explains how to use the keys.",
        "",
        "## Keys of every experiment",
        "",
        *_table({k: v for k, v in first.items() if k in common and k != "method"}),
    ]
    for method, alternative in alternatives.items():
        own = {k: v for k, v in alternative["properties"].items() if k not in common}
        lines += ["", f"## method: {method}", "", *_table(own, set(alternative["required"]))]
    lines += ["", "## Models, sampling and prices"]
    for name, definition in schema["$defs"].items():
        key = ACRONYMS.get(name, name.lower())
        lines += ["", f"### {key}", "", definition.get("description", "").split("\n\n")[0], ""]
        lines += _table(definition["properties"], set(definition.get("required", [])))
    lines += [
        "",
        "## Gates",
        "",
        "Each entry in `gates` is either the name of a gate or a mapping with the gate's keys.",
    ]
    for gate in first["gates"]["items"]["anyOf"]:
        if "properties" in gate:
            own = {k: v for k, v in gate["properties"].items() if k != "gate"}
            name = gate["properties"]["gate"]["const"]
            lines += ["", f"### gate: {name}", "", *_table(own, set(gate["required"]))]
    return "\n".join(lines) + "\n"


def _table(
    properties: Mapping[str, Any], required: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    lines = ["| key | values | default | |", "| --- | --- | --- | --- |"]
    for key, value in properties.items():
        default = "required" if key in required else _default(value)
        about = _escaped(" ".join(value.get("description", "").split()))
        lines.append(f"| `{key}` | {_in_table(_type(value))} | {default} | {_in_table(about)} |")
    return lines


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default is None or default in ([], {}, ""):
        return ""
    text = yaml.safe_dump(default, default_flow_style=True, width=1000)
    return f"`{_in_table(text.removesuffix('...' + chr(10)).strip())}`"


def _type(value: Mapping[str, Any]) -> str:
    """Return a short description of the values that a key accepts."""
    if "anyOf" in value:
        kinds = [_type(v) for v in value["anyOf"] if v.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        key = ACRONYMS.get(name, name.lower())
        return f"[{key}](#{key})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(
            f"`{str(v).lower() if v is True or v is False else v}`" for v in value["enum"]
        )
    if value.get("type") == "array":
        items = value.get("items")
        return f"list of {_type(items)}" if items and "anyOf" not in items else "list"
    return _bounded(value)


def _bounded(value: Mapping[str, Any]) -> str:
    kind = {"string": "text", "integer": "integer", "number": "number", "boolean": "true, false"}
    name = kind.get(value.get("type", ""), "mapping")
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {value[key]}" for key, sign in signs.items() if key in value]
    return " ".join([name, ", ".join(bounds)]).strip()


def _escaped(text: str) -> str:
    """Escape the characters of a help text, outside code, that Markdown would read as markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<\[\]])", r"\\\1", p) for p in parts)


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the generated pages into the folder docs/."""
    pages = generated_pages()
    indexes = {"llms.txt": llms_txt(pages), "llms-full.txt": llms_full_txt(pages)}
    for path, text in (pages | indexes).items():
        (DOCS / path).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
