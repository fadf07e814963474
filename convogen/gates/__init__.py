"""Gates: checks that a finished conversation must pass to be accepted, one file per gate."""

from __future__ import annotations

from convogen.gates.base import Candidate, Filter, Gate, OrderedGate, Rejection
from convogen.gates.config import gate_class, gates_schema, parameters, place_gate
from convogen.gates.judge import JudgeGate
from convogen.gates.pipeline import GateLine

__all__ = [
    "Candidate",
    "Filter",
    "Gate",
    "GateLine",
    "JudgeGate",
    "OrderedGate",
    "Rejection",
    "gate_class",
    "gates_schema",
    "parameters",
    "place_gate",
]
