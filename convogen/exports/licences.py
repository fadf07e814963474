"""The licences of a data set's sources, and the strictest of their conditions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from convogen.records import Experience
from convogen.text.counting import counted

__all__ = ["Licences"]

GENERATED = "generated"
"""The source that is recorded for a persona that a model invented."""

_PERMISSIVE = re.compile(r"apache-2\.0|mit|bsd-\d-clause|isc|unlicense|cc0(-1\.0)?|public domain")
_CREATIVE = re.compile(r"cc-by(-nc)?(-sa|-nd)?(-\d\.\d)?")
_COPYLEFT = re.compile(r"[al]?gpl-[23]\.[01]")
_HUB_ID = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|isc|unlicense|cc0-1\.0|cc-by[\w.-]*-\d\.\d|[al]?gpl-[23]\.[01]"
)

SHOWN = "source"
SEEDS = "seeds"
"""Prefixes of the manifest keys `<prefix>_name` and `<prefix>_licence`. `SHOWN` is for dialogues
that are shown to models, and `SEEDS` is for dialogues whose openings are used."""

CONDITIONS = {
    "nd": "no derivatives: adaptations may not be shared",
    "nc": "non-commercial use only",
    "sa": "share-alike: adaptations must keep the same licence",
    "by": "attribution",
}
"""The possible conditions in licences, strictest first."""


@dataclass
class Licences:
    """The number of personas for each source and licence (None if the licence is not recorded).

    `dialogues` maps the source and licence of dialogues to a description of how they were used.
    """

    counts: Counter[tuple[str, str | None]] = field(
        default_factory=Counter[tuple[str, "str | None"]]
    )
    dialogues: dict[tuple[str, str | None], str] = field(
        default_factory=dict[tuple[str, "str | None"], str]
    )

    def add(self, experience: Experience) -> None:
        """Count the personas in an experience."""
        for persona in experience.personas:
            self.counts[persona.source, persona.licence] += 1

    def add_dialogues(self, sources: Mapping[str, str], n: int) -> None:
        """Add the dialogues that a manifest's sources name and that `n` conversations use."""
        uses = {SHOWN: "examples for", SEEDS: "the first words of"}
        for key, use in uses.items():
            if name := sources.get(f"{key}_name"):
                licence = sources.get(f"{key}_licence")
                known = None if licence == "not known" else licence
                self.dialogues[name, known] = f"{use} {counted(n, 'conversation')}"

    @property
    def rows(self) -> list[tuple[str, str | None, str]]:
        """Each source with its licence and use, the most frequent persona source first."""
        people = {key: counted(n, "persona") for key, n in self.counts.most_common()}
        keys = dict.fromkeys([*people, *self.dialogues])
        used = {
            key: [uses[key] for uses in (people, self.dialogues) if key in uses] for key in keys
        }
        return [(*key, ", ".join(uses)) for key, uses in used.items()]

    @property
    def given(self) -> list[tuple[str, str | None]]:
        """The sources that are not models, with their licences."""
        return [(source, licence) for source, licence, _ in self.rows if source != GENERATED]

    @property
    def unknown(self) -> list[str]:
        """The sources whose licence is unknown or has unknown conditions."""
        return sorted({source for source, licence in self.given if _conditions(licence) is None})

    @property
    def conditions(self) -> list[str]:
        """The combined conditions of the known licences, strictest first."""
        found = [_conditions(licence) or set[str]() for _, licence in self.given]
        return [text for key, text in CONDITIONS.items() if any(key in one for one in found)]

    @property
    def strictest(self) -> str | None:
        """The licence with the strictest conditions; None if there are no licences or any is
        unknown."""
        known = sorted({licence for _, licence in self.given if licence}, key=_strictness)
        return known[-1] if known and not self.unknown else None

    @property
    def hub_id(self) -> str | None:
        """The licence for the card's front matter; None if all sources are models.

        The value is `unknown` if any licence is unknown or has unknown conditions, and `other` if
        no single licence covers the conditions of all licences, or if the hub has no id for that
        licence.
        """
        if not self.given:
            return None
        if self.unknown or self.strictest is None:
            return "unknown"
        covered = _conditions(self.strictest) or set[str]()
        alike = {one for _, one in self.given if one and "sa" in (_conditions(one) or ())}
        whole = all((_conditions(one) or set[str]()) <= covered for _, one in self.given)
        name = _plain(self.strictest)
        return name if whole and len(alike) <= 1 and _HUB_ID.fullmatch(name) else "other"


def _conditions(licence: str | None) -> set[str] | None:
    """Return the conditions of a licence as keys of `CONDITIONS`; None if they are unknown."""
    name = _plain(licence)
    if _PERMISSIVE.fullmatch(name):
        return set() if name.startswith(("cc0", "public", "unlicense")) else {"by"}
    if _COPYLEFT.fullmatch(name):
        return {"sa", "by"}
    if _CREATIVE.fullmatch(name):
        return set(name.split("-")) & set(CONDITIONS)
    return None


def _plain(licence: str | None) -> str:
    name = " ".join((licence or "").casefold().split())
    return re.sub(r"(?<=gpl-\d\.\d)-(only|or-later)$", "", name)


def _strictness(licence: str) -> tuple[int, ...]:
    found = _conditions(licence) or set[str]()
    return (*(int(key in found) for key in CONDITIONS), len(licence))
