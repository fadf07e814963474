"""Personas supplied to an experience: sampled from a hub, or reused from a data set.

Source: ConvoGen, section II-C-1, second method, and table I. A hub is read once and indexed by
offset. The task number determines which personas a task gets.
"""

from __future__ import annotations

from convogen.personas.casting import Casting, Match, ReusedGroups, SampledGroups
from convogen.personas.persona_hub import PersonaHub, is_named, open_hub, shipped_hubs

__all__ = [
    "Casting",
    "Match",
    "PersonaHub",
    "ReusedGroups",
    "SampledGroups",
    "is_named",
    "open_hub",
    "shipped_hubs",
]
