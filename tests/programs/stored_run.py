"""`scripted_run.py` with a run folder on an S3 server, for tests that kill it.

Usage: stored_run.py ENDPOINT KEY CACHE URL N CONCURRENCY ASKED [KILL_AFTER]
"""

from __future__ import annotations

import os
import sys

import scripted_run

from convogen.storage.remote.mirrors import mirrored


def main() -> None:
    endpoint, key, cache, url, *rest = sys.argv[1:]
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": key,
        "XDG_CACHE_HOME": cache,
    }
    with mirrored(url, "run", every_s=0.05) as folder:
        sys.argv[1:] = [str(folder), *rest]
        scripted_run.main()


if __name__ == "__main__":
    main()
