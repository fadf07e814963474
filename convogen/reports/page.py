"""The report page: a self-contained `report.html`, and `report.md` without the plots.

The text of conversations is treated as hostile. It is escaped everywhere and never evaluated, and
control characters are made visible. The page's content security policy forbids scripts and
requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from convogen.costs.ledger_costs import total_usd
from convogen.jsonl import is_json_of, make_folder, refuse_foreign, write_whole
from convogen.metrics import Statistics
from convogen.metrics.labels import character_lengths
from convogen.records import Conversation
from convogen.reports.cells import number_text
from convogen.reports.groundedness import by_method
from convogen.reports.languages import said_languages
from convogen.reports.markdown import escaped
from convogen.reports.plots import plots
from convogen.reports.report import Report, ReportedRun
from convogen.reports.tables import tables
from convogen.storage.run_folder import Run
from convogen.text.language_tags import language_name
from convogen.visible import visible

__all__ = [
    "Sample",
    "SampleTurn",
    "check_target",
    "render_html",
    "render_markdown",
    "samples_of",
    "write_report",
]

_SAMPLES = 3
_TURNS = 30
_TEXT = 600


@dataclass(frozen=True, slots=True)
class SampleTurn:
    """A turn in a sample, with its text clipped."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A clipped conversation as shown on the page; `left_out` is the number of turns not shown."""

    run: str
    id: str
    topic: str
    situation: str
    turns: list[SampleTurn]
    left_out: int


def write_report(report: Report, runs: Mapping[str, Run], out: Path) -> list[Path]:
    """Write report.html, report.md and report.json into a folder; return their paths.

    Raises `RunFolderError` if the folder cannot be written, or if one of these files exists and was
    not written by convogen.
    """
    check_target(out)
    samples = [sample for name, run in runs.items() for sample in samples_of(name, run)]
    make_folder(out)
    texts = {
        "report.html": render_html(report, samples),
        "report.md": render_markdown(report, samples),
        "report.json": json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        write_whole(out / name, text)
    return [out / name for name in texts]


def check_target(out: Path) -> None:
    """Raise `RunFolderError` if a file in a folder is not convogen's and a report would replace
    it."""
    for name in ("report.html", "report.md", "report.json"):
        refuse_foreign(out / name, is_json_of({"convogen", "runs"}) if "json" in name else _is_page)


def _is_page(text: str) -> bool:
    """Return whether a page was written by convogen."""
    return "Made by convogen" in text


def samples_of(name: str, run: Run, wanted: int = _SAMPLES) -> list[Sample]:
    """Return a few clipped conversations, taken at regular intervals from a run."""
    count = sum(1 for _ in run.conversations())
    places = {count * at // wanted for at in range(min(wanted, count))} if count else set[int]()
    chosen = (one for at, one in enumerate(run.conversations()) if at in places)
    return [_sample(name, conversation) for conversation in islice(chosen, wanted)]


def _sample(name: str, conversation: Conversation) -> Sample:
    turns = [
        SampleTurn(turn.speaker, turn.text[:_TEXT] + "…" * (len(turn.text) > _TEXT))
        for turn in conversation.turns[:_TURNS]
    ]
    return Sample(
        run=name,
        id=conversation.id,
        topic=str(conversation.context.get("topic") or "")[:200],
        situation=str(conversation.context.get("situation") or "")[:_TEXT],
        turns=turns,
        left_out=max(0, len(conversation.turns) - _TURNS),
    )


def render_html(report: Report, samples: Iterable[Sample]) -> str:
    """Return the page as HTML; all text from runs and corpora is escaped."""
    drawn = {name: Markup(svg) for name, svg in plots(report).items()}  # noqa: S704 - our own SVG
    return _render("page.html.jinja", report, samples, plots=drawn)


def render_markdown(report: Report, samples: Iterable[Sample]) -> str:
    """Return the page without its plots, as Markdown."""
    return re.sub(r"\n{3,}", "\n\n", _render("page.md.jinja", report, samples))


def _render(name: str, report: Report, samples: Iterable[Sample], **more: Any) -> str:
    windows = {f"{run.course.window}" for run in report.runs.values()}
    text = (
        _environment()
        .get_template(name)
        .render(
            title="Report on " + ", ".join(report.runs),
            report=report,
            tables=tables(report),
            samples=list(samples),
            windows=" and ".join(sorted(windows, key=int)),
            key_figures=_key_figures,
            made=_made,
            **more,
        )
    )
    return visible(text)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(["html", "html.jinja"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = escaped
    return environment


def _key_figures(run: ReportedRun) -> list[tuple[str, str]]:
    """Return the key figures, each with its label."""
    text, judged, mtld = run.text, run.groundedness, run.tables["mtld_mean"]
    figures = [
        (number_text(run.conversations), "conversations"),
        _turn_length(text),
        (number_text(text.turns_per_conversation, 1), "turns per conversation"),
        (number_text(mtld.value if mtld else None, 1), "mean MTLD"),
    ]
    for tag, found in text.stated_languages.items():
        share = "–" if found.share is None else f"{found.share:.0%}"
        figures.append((share, f"of turns in {language_name(tag)}"))
    if copies := text.repetition.get("experiences"):
        figures.append((f"{copies.share:.0%}", "of experiences are copies or near-copies"))
    if judged and judged.scale:
        low, high = judged.scale
        figures.append(
            (
                number_text(judged.average),
                f"groundedness, {low} to {high}, judged by {judged.model}",
            )
        )
    usd = total_usd(run.cost)
    cost = "not known" if usd is None else f"${usd:,.2f}"
    figures.append((cost, "list price of all model calls"))
    return figures


def _turn_length(text: Statistics) -> tuple[str, str]:
    in_characters = character_lengths(text).get("Characters per turn")
    if in_characters is not None:
        return number_text(in_characters, 1), "characters per turn"
    return number_text(text.words_per_turn, 1), "words per turn"


def _made(run: ReportedRun) -> list[tuple[str, str]]:
    """Return how a run was made, as labels and values."""
    made, judged = run.made, run.groundedness
    rows = [
        ("experiment", f"{made.name}, fingerprint {made.fingerprint}"),
        ("started", f"{made.started_at}, {'complete' if made.complete else 'not complete'}"),
        ("languages", said_languages(run.text)),
        ("models", _listed({role: _model(spec) for role, spec in (made.models or {}).items()})),
        ("parameters", _listed(run.parameters)),
        ("prompts", _listed(run.prompts)),
        ("sources", _listed(run.sources)),
        ("personas", _listed(run.persona_sources)),
        ("versions", _listed(made.packages or {})),
    ]
    if judged:
        how = ", ".join(f"{n} scores{by_method(method)}" for method, n in judged.methods.items())
        rows.append(("judge", f"{judged.judge}, {judged.model} ({judged.kind}): {how}"))
        rows.append(("judge's prompts", _listed(judged.prompts)))
        rows.append(("judge's fingerprint", judged.fingerprint))
    return [(label, value) for label, value in rows if value]


def _model(spec: Mapping[str, object]) -> str:
    return f"{spec.get('name')} ({spec.get('kind')})"


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
