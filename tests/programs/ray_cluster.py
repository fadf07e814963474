"""A Ray cluster of two nodes on this machine, which ends at the end of the program's input.

Usage: ray_cluster.py CPUS, the number of processors per node. The program prints the address, and
leaves no files behind.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from ray.cluster_utils import Cluster

STORE_BYTES = 80 << 20


def main() -> None:
    # The path of a socket may have at most 107 characters.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    # Where Ray writes the address of the newest cluster, in a folder that it expects to exist.
    os.environ["RAY_TMPDIR"] = folder
    (Path(folder) / "ray").mkdir()
    common = {
        "num_cpus": int(sys.argv[1]),
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    head = {**common, "temp_dir": folder, "no_monitor": True}
    try:
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(**common)
        print(cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
