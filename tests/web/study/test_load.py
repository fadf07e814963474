"""Many concurrent participants and a server that is killed: no acknowledged answer is lost."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx2
from command_line import convogen, convogen_server
from studies import made, pairs_data

from convogen.study.store import Store

NO_TLS = ssl.create_default_context()
"""A shared context for all clients, because creating one takes longer than a request."""

ANSWER = {"choice": "left", "confidence": "very", "utterance": "1"}


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[str, BaseProcess]]:
    """Run `convogen study serve` in a separate process, and yield its address and the process."""
    with convogen_server("study", "serve", folder, "--port", 0, *options) as (process, out):
        lines = [out.readline() for _ in "12"]
        found = re.search(r"http://\S+:(\d+)/", lines[0])
        assert found, lines
        assert ("token=" in lines[1]) == ("--host" in options)
        yield f"http://127.0.0.1:{found[1]}", process


def token_of(page: str) -> str:
    found = re.search(r'name="page" value="([^"]+)"', page)
    assert found, page
    return found[1]


def browser(address: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=address, timeout=60, verify=NO_TLS, trust_env=False)


async def begun(client: httpx2.AsyncClient, code: str) -> str:
    """Enter and complete the first pages; return the page with the first pair."""
    await client.post("/enter", data={"code": code})
    for answer in ({"agree": "yes"}, {"experience": "None"}, {}):
        page = (await client.get("/study")).text
        await client.post("/study", data={"page": token_of(page), **answer})
    return (await client.get("/study")).text


def test_fifty_participants_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    keys = {"pairs_each": 2, "participants": 50}
    codes = made(folder, "pairs", keys, **pairs_data(tmp_path, people=50, goals=1))

    async def participant(address: str, code: str) -> None:
        async with browser(address) as client:
            page = await begun(client, code)
            for _ in range(2):
                form = {"page": token_of(page), **ANSWER}
                # a double click sends two concurrent requests, one of which is accepted
                both = await asyncio.gather(*(client.post("/study", data=form) for _ in "12"))
                assert {one.status_code for one in both} == {303}
                page = (await client.get("/study")).text
            assert "Thank you" in page

    async def everybody(address: str) -> None:
        await asyncio.gather(*(participant(address, code) for code in codes.values()))

    with server(folder) as (address, _):
        asyncio.run(everybody(address))
    store = Store(folder / "study.db")
    for name in codes:
        answers = store.answers(name)
        assert {"item:0", "item:1"} < answers.keys()
        assert len(answers) == 3 + 2


def test_a_killed_server_loses_no_acknowledged_answer(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    keys = {"pairs_each": 6, "participants": 8}
    codes = made(folder, "pairs", keys, **pairs_data(tmp_path, people=10, goals=3))
    acknowledged = dict.fromkeys(codes, 0)
    enough = asyncio.Event()

    async def participant(address: str, name: str) -> None:
        async with browser(address) as client:
            page = await begun(client, codes[name])
            for done in range(6):
                form = {"page": token_of(page), **ANSWER}
                answer = await client.post("/study", data=form)
                if answer.status_code == 303:
                    acknowledged[name] = done + 1
                    if sum(acknowledged.values()) >= 12:
                        enough.set()
                page = (await client.get("/study")).text

    async def until_killed(address: str, process: BaseProcess) -> None:
        everybody = asyncio.gather(
            *(participant(address, name) for name in codes), return_exceptions=True
        )
        await enough.wait()
        process.kill()  # SIGKILL, while the others are sending
        await everybody

    with server(folder) as (address, process):
        asyncio.run(until_killed(address, process))
    assert 12 <= sum(acknowledged.values()) < 48
    with server(folder) as (address, _):
        for name, code in codes.items():
            with httpx2.Client(base_url=address, follow_redirects=True, trust_env=False) as client:
                page = client.post("/enter", data={"code": code}).text
            if acknowledged[name]:
                found = re.search(r"Dialogue complete (\d)/6", page)
                done = int(found[1]) if found else 6 * ("Thank you" in page)
                assert done >= acknowledged[name]


def test_others_need_the_token_and_a_study_is_served_once(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made(folder, "pairs", {"pairs_each": 2}, **pairs_data(tmp_path))
    with server(folder, "--host", "0.0.0.0") as (address, _):
        assert httpx2.get(f"{address}/progress", trust_env=False).status_code == 403
        assert "another process" in convogen("study", "serve", folder, "--port", 0).complaint
