"""The disk space that convogen needs in addition to the packages on which it is built.

`python -m benchmarks.install_size` creates two virtual environments with the versions in
constraints.txt, one with the seven packages on which convogen is built and one with convogen, and
prints the size of their files. The exit status is 1 if the difference exceeds the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = ("pyautogen", "openai", "datasets", "lexicalrichness", "pyyaml", "rich", "pandas")
MB = 1_000_000


def installed(folder: Path, *wanted: str) -> dict[str, int]:
    """Install packages into a new environment; return bytes by top-level file or folder."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [*pip, "--disable-pip-version-check", "-c", constraints, *wanted], cwd=ROOT, check=True
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    return {
        entry.name: sum(f.stat().st_size for f in [entry, *entry.rglob("*")] if f.is_file())
        for entry in packages.iterdir()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=66, help="maximum difference in MB")
    limit = parser.parse_args().limit
    with tempfile.TemporaryDirectory() as made:
        named = installed(Path(made) / "named", *NAMED)
        base = installed(Path(made) / "base", ".")
    beyond = (sum(base.values()) - sum(named.values())) / MB
    print(f"the seven named packages  {sum(named.values()) / MB:7.1f} MB")
    print(f"the base install          {sum(base.values()) / MB:7.1f} MB")
    print(f"beyond the named packages {beyond:7.1f} MB (limit {limit:g})")
    for name, size in sorted(base.items(), key=lambda item: -item[1]):
        if name not in named and size > MB / 2:
            print(f"  {name:24}{size / MB:7.1f} MB")
    sys.exit(beyond > limit)


if __name__ == "__main__":
    main()
