"""Personas that an experience is given: sampled from a hub, or reused from a data set.

Source: ConvoGen, section II-C-1, second method, and table I. A hub is read once into an index of
offsets; which personas a task gets follows from its number alone.
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
