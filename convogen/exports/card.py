"""The data-set card: `README.md` with the front matter that the Hugging Face hub reads.

Text from models and sources is escaped; paths and secrets are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jinja2
import yaml

from convogen.corpora import Batch, Corpus, open_corpus
from convogen.exports.base import LABEL, Column, Item, without_folders
from convogen.exports.containers import arrow_schema
from convogen.exports.licences import GENERATED
from convogen.metrics import Processes, Statistics, measure
from convogen.metrics.labels import GROUP_CHAT, MEASURES, character_lengths, lines_without_words
from convogen.plugins import registry
from convogen.redaction import masked
from convogen.reports.acceptance import acceptance_of
from convogen.reports.cells import number_text
from convogen.reports.groundedness import JudgeSummary, judge_summary
from convogen.reports.languages import card_languages, said_languages
from convogen.reports.limits import limits_of_run
from convogen.reports.markdown import escaped
from convogen.reports.report import Made
from convogen.storage.run_folder import Run
from convogen.storage.waiting import readable
from convogen.version import __version__

if TYPE_CHECKING:
    from convogen.exports.exporting import Exported, ExportPlan

__all__ = ["CardFacts", "card_text"]

_TURNS, _TEXT = 6, 300
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
_LARGEST = "1M<n<10M"

_BASIC = {
    "Conversations": "conversations",
    "Turns": "turns",
    "Turns per conversation": "turns_per_conversation",
    "Words per conversation": "words_per_conversation",
    "Words per turn": "words_per_turn",
    "MTLD, mean": "mtld_mean",
    "MTLD, standard deviation": "mtld_std",
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The information about a run that is shown on the card."""

    manifest: Mapping[str, Any]
    statistics: Statistics
    judged: JudgeSummary | None
    failures: Counter[str]
    limits: list[str]

    @classmethod
    def gather(cls, run: Run, conversations: int, workers: Processes) -> CardFacts:
        """Measure the first `conversations` conversations in a run; collect its scores and
        failures."""
        manifest = run.manifest
        with readable(run) as place:
            corpus = open_corpus(str(place), "convogen", strict=True)
            statistics = measure(_First(corpus, conversations), "text", workers)
        judged = judge_summary(run)
        failures = Counter(f"{failure.stage}: {failure.kind}" for failure in run.failures())
        limits = limits_of_run(
            conversations=conversations,
            failures=failures.total(),
            accepted=acceptance_of(run, conversations),
            made=Made.of(manifest),
            text=statistics,
            groundedness=judged,
        )
        limits = [*lines_without_words(statistics), *limits]
        return cls(manifest, statistics, judged, failures, limits)


@dataclass
class _First:
    """The first conversations in a run. This limit makes the measures for a run in progress match
    the exported conversations."""

    corpus: Corpus
    wanted: int

    def batches(self, size: int = 256) -> Iterator[Batch]:
        left = self.wanted
        for batch in self.corpus.batches(size):
            if left <= 0:
                return
            yield replace(batch, groups=batch.groups[:left])
            left -= len(batch.groups)

    def note(self, findings: Any) -> None:
        self.corpus.note(findings)

    def finish(self) -> None:
        """Do nothing, since only part of the corpus was read."""


@dataclass(frozen=True, slots=True)
class _Role:
    """A role and its model, as shown on the card."""

    role: str
    model: str
    kind: str
    sampling: str


@dataclass(frozen=True, slots=True)
class _Example:
    """A conversation as shown on the card, with truncated texts and without `left_out` turns."""

    situation: str
    turns: list[tuple[str, str]]
    left_out: int


def card_text(facts: CardFacts, plan: ExportPlan, exported: Exported) -> str:
    """Return the card as Markdown, including the front matter."""
    manifest = facts.manifest
    essence: Mapping[str, Any] = manifest.get("experiment", {})
    matter = yaml.safe_dump(
        _front_matter(facts, plan, exported), sort_keys=False, allow_unicode=True
    )
    body = (
        _environment()
        .get_template("card.md.jinja")
        .render(
            name=manifest.get("name", "unnamed"),
            version=__version__,
            manifest=manifest,
            plan=plan,
            exported=exported,
            licences=exported.licences,
            generated=any(source == GENERATED for source, _ in exported.licences.counts),
            roles=_roles(manifest, essence),
            parameters=_parameters(essence),
            prompts=essence.get("prompts", {}),
            sources=essence.get("sources", {}),
            process=_process(essence),
            languages=said_languages(facts.statistics),
            statistics=_statistics(facts.statistics),
            copies=facts.statistics.repetition,
            judged=facts.judged,
            failures=facts.failures,
            limits=facts.limits,
            example=_example(exported.example),
            counts={kind: n for kind, n in sorted(exported.counts.items()) if n},
            labelled=[name for name in exported.columns if name.startswith(LABEL)],
            columns={name: _shown(kind) for name, kind in exported.columns.items()},
        )
    )
    return f"---\n{matter}---\n{body}"


def _front_matter(facts: CardFacts, plan: ExportPlan, exported: Exported) -> dict[str, Any]:
    """Return the front matter for the hub and `load_dataset`."""
    manifest = facts.manifest
    exporter, total = plan.exporter, exported.conversations.total()
    languages = card_languages(facts.statistics)
    matter: dict[str, Any] = {
        "pretty_name": f"{manifest.get('name', 'unnamed')}, made with convogen",
        **({"language": languages} if languages else {}),
        "task_categories": ["text-generation"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "tags": ["synthetic", "conversational", "multi-party", "group-chat", "convogen"],
        "size_categories": [next((name for n, name in _SIZES.items() if total < n), _LARGEST)],
    }
    if licence := exported.licences.hub_id:
        matter["license"] = licence
    from_hub = sorted({source for source, _ in exported.licences.given if source.startswith("hf:")})
    if from_hub:
        names = (re.split(r"[@:]", source.removeprefix("hf:"))[0] for source in from_hub)
        matter["source_datasets"] = list(dict.fromkeys(names))
    if exporter.container != "hf" and not exporter.for_tool:
        files = [
            {"split": split, "path": f"data/{split}.{exporter.container}"}
            for split in plan.splits
            if exported.rows[split]
        ]
        options = {"keep_default_na": False} if exporter.container == "csv" else {}
        matter["configs"] = [{"config_name": "default", "data_files": files, **options}]
        matter |= _features(exported.columns)
    return matter


def _features(columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return `dataset_info` with column types, so that no type is guessed from the values."""
    datasets: Any = import_module("datasets")
    info: Any = import_module("datasets.info")
    hub: Any = import_module("huggingface_hub")
    features = datasets.Features.from_arrow_schema(arrow_schema(columns))
    data: Any = hub.DatasetCardData()
    infos = info.DatasetInfosDict({"default": datasets.DatasetInfo(features=features)})
    infos.to_dataset_card_data(data)
    return {"dataset_info": data.to_dict()["dataset_info"]}


def _roles(manifest: Mapping[str, Any], essence: Mapping[str, Any]) -> list[_Role]:
    models: Mapping[str, Mapping[str, Any]] = manifest.get("models", {})
    drawn: Mapping[str, Mapping[str, Any]] = essence.get("roles", {})
    return [
        _Role(
            role=role,
            model=without_folders(str(spec.get("name"))),
            kind=str(spec.get("kind")),
            sampling=_listed(drawn.get(role, {}).get("sampling", {})),
        )
        for role, spec in models.items()
    ]


def _process(essence: Mapping[str, Any]) -> str:
    """Return a description of how the run's method works; empty if the method is not available."""
    method = essence.get("method")
    return registry.load("methods", method).process if method in registry.names("methods") else ""


def _parameters(essence: Mapping[str, Any]) -> dict[str, str]:
    apart = ("roles", "prompts", "sources", "format")
    return {key: without_folders(f"{v}") for key, v in essence.items() if key not in apart}


def _statistics(found: Statistics) -> dict[str, str]:
    shown = {label: number_text(getattr(found, key)) for label, key in _BASIC.items()}
    shown |= {label: number_text(getattr(found, key), 3) for label, key in MEASURES.items()}
    lengths = character_lengths(found)
    shown |= {label: number_text(value) for label, value in lengths.items()}
    for name, metric in found.metrics.items():
        shown[f"{name}, {metric.unit}" if metric.unit else name] = number_text(metric.value, 3)
    chat = found.group_chat
    return shown | {label: number_text(getattr(chat, key), 3) for label, key in GROUP_CHAT.items()}


def _example(item: Item | None) -> _Example | None:
    if item is None:
        return None
    turns = item.conversation.turns
    return _Example(
        situation=_clipped(str(item.conversation.context.get("situation") or "")),
        turns=[(_clipped(turn.speaker), _clipped(turn.text)) for turn in turns[:_TURNS]],
        left_out=max(0, len(turns) - _TURNS),
    )


def _clipped(text: str) -> str:
    return text[:_TEXT] + "…" * (len(text) > _TEXT)


def _shown(kind: Column) -> str:
    """Return a column's type in words."""
    if isinstance(kind, str):
        return {"string": "text", "int64": "integer", "float64": "number"}.get(kind, kind)
    if isinstance(kind, list):
        return f"list of {_shown(kind[0])}"
    return "{" + ", ".join(f"{name}: {_shown(inner)}" for name, inner in kind.items()) + "}"


def _listed(values: Mapping[str, Any]) -> str:
    shown = ((key, cast("object", value)) for key, value in values.items())
    return ", ".join(f"{key} {without_folders(str(value))}" for key, value in shown)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Markdown: the filter `md` escapes all inserted text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = lambda text: escaped(masked(str(text)))
    environment.filters["listed"] = _listed
    environment.filters["number"] = number_text
    return environment
