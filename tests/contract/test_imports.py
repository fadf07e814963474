"""The import graph: no cycles, no upward imports, and few modules outside packages."""

from __future__ import annotations

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
from grimp import ImportGraph

ROOT = Path(__file__).parents[2]
MOST_LOOSE = 12


def graph_of(*, with_types: bool) -> ImportGraph:
    return grimp.build_graph(
        "convogen", exclude_type_checking_imports=not with_types, cache_dir=None
    )


def imports(graph: ImportGraph) -> set[tuple[str, str]]:
    return {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """Return the modules of a cycle, or an empty list if there is none."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in edges:
        sorter.add(importer, imported)
    try:
        sorter.prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_a_circle_is_found() -> None:
    assert circle({("a", "b"), ("b", "c")}) == []
    assert set(circle({("a", "b"), ("b", "a"), ("b", "c")})) == {"a", "b"}


def test_no_files_import_one_another_in_a_circle() -> None:
    """Only imports for type annotations may be circular, and only within a package."""
    run_time = imports(graph_of(with_types=False))
    assert circle(run_time) == []
    types = imports(graph_of(with_types=True)) - run_time
    within = {(a, b) for a, b in types if a.rpartition(".")[0] == b.rpartition(".")[0]}
    assert circle((run_time | types) - within) == []


def test_imports_point_down_only() -> None:
    # In a separate process, because import-linter disables other loggers.
    program = "import sys, importlinter.cli as lint; sys.exit(lint.lint_imports(no_cache=True))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_few_modules_are_loose() -> None:
    loose = sorted(path.name for path in (ROOT / "convogen").glob("*.py"))
    assert len(loose) <= MOST_LOOSE, loose
