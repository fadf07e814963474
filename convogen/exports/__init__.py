"""Exports of runs as data sets for other tools, with one class per format and a data card.

>>> exporter = open_exporter("messages", {"perspective": "each"})
>>> plan = ExportPlan(exporter, {"train": 0.9, "test": 0.1})
>>> export_run(load_run("runs/GPIS-s"), Path("out"), plan).rows
Counter({'train': 1405, 'test': 149})

Exports are streamed, and are written completely or not at all.
"""

from __future__ import annotations

from convogen.exports.base import Column, Exporter, Item
from convogen.exports.exporting import Exported, ExportPlan, export_run, open_exporter
from convogen.exports.joining import JOINS
from convogen.exports.publishing import check_name, push
from convogen.exports.splits import parse_splits

__all__ = [
    "JOINS",
    "Column",
    "ExportPlan",
    "Exported",
    "Exporter",
    "Item",
    "check_name",
    "export_run",
    "open_exporter",
    "parse_splits",
    "push",
]
