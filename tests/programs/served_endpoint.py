"""A test endpoint (not a language model) as a separate server, which may die in operation.

Usage: served_endpoint.py --port N [--host HOST] [--dies GPU=N]. A server that uses this GPU dies at
its Nth call.
"""

from __future__ import annotations

import argparse
import asyncio
import os

from aiohttp import web

from benchmarks.endpoint import Endpoint, Settings


async def serve(host: str, port: int, dies_at: int | None) -> None:
    """Answer until the process ends."""
    endpoint = Endpoint(Settings(latency_s=0.01))

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        answer = await endpoint.handle(request)
        if request.method == "POST" and endpoint.counts["answered"] == dies_at:
            os._exit(1)
        print(request.method, request.path, flush=True)
        return answer

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve according to the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--dies", default="")
    options = parser.parse_args()
    gpu, _, nth = options.dies.partition("=")
    dies = nth and gpu == os.environ.get("CUDA_VISIBLE_DEVICES")
    asyncio.run(serve(options.host, options.port, int(nth) if dies else None))


if __name__ == "__main__":
    main()
