"""Mutation testing of a package: which small faults in the code do its tests detect?

`python -m benchmarks.mutation reports --sample 40 --seed 1` draws mutants of `convogen/reports`,
runs the tests that reach the changed function of each, and prints the share of detected mutants.
mutmut (the extra `mutation`) generates and runs the mutants in a copy of the checkout, which itself
is never written to. It does not mutate code outside functions, nor functions with a decorator other
than `staticmethod` and `classmethod`, such as properties and pydantic's validators.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

TESTS = {
    "costs": ["tests/costs", "tests/models/test_prices.py"],
    "gates": ["tests/gates", "tests/contract/test_gates.py"],
    "generation": ["tests/generation", "tests/text/test_near_duplicates.py"],
    "metrics": ["tests/metrics", "tests/storage/test_frames.py"],
    "reports": [
        "tests/reports",
        "tests/papers",
        "tests/cli/test_ablate.py",
        "tests/cli/test_evaluate.py",
        "tests/cli/test_judges_compared.py",
    ],
}
"""The tests of each package; mutmut determines which of them reach a function."""

LEFT_OUT = (
    "tests/costs/test_forecast.py"
    "::test_the_interval_holds_the_finished_run_about_as_often_as_it_says",
    "tests/gates/test_kill.py",
    "tests/metrics/test_statistics.py::test_two_processes_give_the_result_of_one",
    "tests/papers/roleplay/test_study.py::test_what_telling_changes_is_tested_on_the_users_text",
)
"""Tests that take seconds; with them, each surviving mutant would take minutes."""

QUICKEST = 0.25
"""Maximum test time per mutant, as a share of the time of all tests of the package."""

CAUGHT = ("killed", "timeout", "segfault")

CONFIG = """\
[mutmut]
source_paths =
  convogen
only_mutate =
  convogen/{package}/*
do_not_mutate_patterns =
  = cast\\(
also_copy =
  {others}
pytest_add_cli_args =
  -m
  not slow and not embedded
  -p
  benchmarks.mutation
  {left_out}
pytest_add_cli_args_test_selection =
  {tests}
process_isolation = forkserver
timeout_multiplier = 8
timeout_constant = 4
"""


def main() -> None:
    """Print how many of the sampled mutants of each package the tests detect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("packages", nargs="+", choices=sorted(TESTS), metavar="package")
    parser.add_argument("--sample", type=int, default=40, help="mutants per package, 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="mutants run in parallel")
    parser.add_argument("--folder", type=Path, help="keep the copies and the survivors here")
    parser.add_argument("--again", type=Path, help="run the survivors in this earlier folder again")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        made = args.folder or stack.enter_context(tempfile.TemporaryDirectory())
        for package in args.packages:
            folder = Path(made).resolve() / package
            copy_checkout(package, folder)
            if args.again:
                names = survivors(args.again / f"{package}.survivors")
            else:
                names = sampled(package, folder, args.sample, args.seed)
            report(package, folder, run(folder, names, args.workers))


def sampled(package: str, folder: Path, n: int, seed: int) -> list[str]:
    """Return the names of `n` mutants of a package, drawn with a seed; all names if `n` is 0."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    names: list[str] = []
    with contextlib.chdir(folder):  # mutmut looks for its configuration here
        for path in sorted(Path("convogen", package).rglob("*.py")):
            mutated = mutate_file_contents(str(path), path.read_text("utf-8"))
            names += [get_mutant_name(path, name) for name in mutated.mutant_names]
    # By hash, so that a change to one function hardly affects the other draws.
    names.sort(key=lambda name: blake2b(f"{seed}/{name}".encode()).digest())
    return names[: n or None]


def survivors(path: Path) -> list[str]:
    """Return the names of the mutants in a file of survivors."""
    return re.findall(r"^# (\S+): ", path.read_text("utf-8"), re.MULTILINE)


def copy_checkout(package: str, folder: Path) -> None:
    """Copy the files of the checkout into a folder and add mutmut's configuration."""
    if folder.exists():
        shutil.rmtree(folder)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for file in filter(None, files.split("\0")):
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)
    others = sorted({path.name for path in folder.iterdir()} - {"convogen"})
    (folder / "mutants").mkdir()  # Python never looks again at a path that was missing at start
    config = CONFIG.format(
        package=package,
        others="\n  ".join(others),
        left_out="\n  ".join(f"--deselect={test}" for test in LEFT_OUT),
        tests="\n  ".join(TESTS[package]),
    )
    (folder / "setup.cfg").write_text(config, encoding="utf-8")


def run(folder: Path, names: list[str], workers: int) -> dict[str, str]:
    """Run mutants in their copy of the checkout; return the outcome of each."""
    print(f"{folder.name}: {len(names)} mutants", file=sys.stderr, flush=True)
    log = folder / "mutmut.log"
    log.write_bytes(_mutmut(folder, "run", "--max-children", str(workers), *names))
    told = _mutmut(folder, "results", "--all", "true").decode()
    outcomes = dict(line.strip().rsplit(": ", 1) for line in told.splitlines())
    return {name: outcomes[name] for name in names}


def _mutmut(folder: Path, *arguments: str) -> bytes:
    """Return the output of mutmut; programs that a test starts also use the mutated package."""
    fixed = {"PYTHONPATH": str(folder / "mutants"), "OPENBLAS_NUM_THREADS": "1"}
    # With CI set, hypothesis tries the same examples each time and stores none.
    environment = {**os.environ, **fixed, "CI": "true"}
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", *arguments]
    ended = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=False
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout.decode()[-3000:]}\nmutmut could not {arguments[0]} in {folder}")
    return ended.stdout


def report(package: str, folder: Path, outcomes: dict[str, str]) -> None:
    """Print a package's score and write its surviving mutants as diffs next to the copy."""
    counts = Counter(outcomes.values())
    caught = sum(counts[outcome] for outcome in CAUGHT)
    parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"| {package} | {caught} of {len(outcomes)} | {parts} |", flush=True)
    text = "\n".join(differences(folder, outcomes))
    folder.with_suffix(".survivors").write_text(text, encoding="utf-8")


def differences(folder: Path, outcomes: dict[str, str]) -> Iterator[str]:
    """Yield the difference that mutmut shows for each mutant that no test detected."""
    for name, outcome in outcomes.items():
        if outcome not in CAUGHT:
            yield _mutmut(folder, "show", name).decode()


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep only the fastest tests that reach a mutant, in order of the times that mutmut measured.

    The tests together may take a quarter of the time of all tests; otherwise, a surviving mutant
    would take minutes. The number of detected mutants is therefore a lower bound.
    """
    if os.environ.get("MUTANT_UNDER_TEST", "").startswith("convogen."):
        took = json.loads(Path("mutmut-stats.json").read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: took.get(item.nodeid, 0.0))
        upto = accumulate(took.get(item.nodeid, 0.0) for item in items)
        most = QUICKEST * sum(took.values())
        del items[max(1, sum(spent <= most for spent in upto)) :]


if __name__ == "__main__":
    main()
