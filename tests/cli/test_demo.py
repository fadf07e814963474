"""`convogen demo`: its output, and the model that it chooses."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import Ended, convogen, python_process

from convogen import Conversation, load_run
from convogen.errors import ConvogenError
from convogen.inputs.yaml12 import dump_yaml, read_yaml
from convogen.models.backends.offers import SHIPPED, read_offers

CONTENT = b"GGUF" + bytes(4000)
REVISION = "0123456789" * 4
ROW = {
    "repository": "someone/small-GGUF",
    "file": "small.gguf",
    "revision": REVISION,
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "size": len(CONTENT),
    "licence": "Apache-2.0",
    "memory": 1000,
    "conversations": 3,
    "enabled": True,
}


@contextmanager
def hub(content: bytes = CONTENT, length: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve the hub's single file; yield the address and the list of requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            self.answer(content)

        def answer(self, body: bytes) -> None:
            if "/resolve/" not in self.path:  # the client's other requests
                self.send_error(404)
                return
            asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.send_header("Content-Length", str(length or len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def look(folder: Path, endpoint: str, *rows: dict[str, object], yes: bool = False) -> Ended:
    """Return the result of `better_model` in a new process, since the address is read only once."""
    offers = folder / "offers.yaml"
    offers.write_text(dump_yaml(list(rows)), "utf-8")
    program = (
        "import sys; from pathlib import Path; from convogen.cli.demo import better_model; "
        f"found = better_model(Path(sys.argv[1]), {yes}); print(found and found[1])"
    )
    place = {"HF_ENDPOINT": endpoint, "CONVOGEN_MODELS": str(folder / "models")}
    ended = python_process("-c", program, offers, **place, NO_PROXY="127.0.0.1")
    assert ended.status == 0, ended.err
    return ended


def test_a_small_model_is_fetched_once_after_its_size_and_licence_are_said(tmp_path: Path) -> None:
    with hub() as (endpoint, asked):
        first = look(tmp_path, endpoint, ROW)
    target = tmp_path / "models" / "small.gguf"
    assert first.out.strip() == str(target)
    assert target.read_bytes() == CONTENT
    assert "someone/small-GGUF small.gguf: 4,004 bytes, licence Apache-2.0" in first.err
    assert f"GET /someone/small-GGUF/resolve/{REVISION}/small.gguf" in asked
    again = look(tmp_path, "http://127.0.0.1:9", ROW)
    assert again.out.strip() == str(target)
    assert again.err == ""


def test_a_file_with_another_hash_is_not_taken(tmp_path: Path) -> None:
    with hub(CONTENT[:-1] + b"x") as (endpoint, _):
        ended = look(tmp_path, endpoint, ROW)
    assert ended.out.strip() == "None"
    assert "using the embedded model" in ended.err.splitlines()[-1]
    assert "SHA-256" in ended.err.splitlines()[-1]
    assert not list((tmp_path / "models").glob("*.gguf"))


def test_a_large_model_is_not_fetched_without_a_terminal_or_a_yes(tmp_path: Path) -> None:
    large = {**ROW, "size": 300_000_000}
    with hub(length=300_000_000) as (endpoint, asked):
        ended = look(tmp_path, endpoint, large)
    assert ended.out.strip() == "None"
    assert "300,000,000 bytes, licence Apache-2.0" in ended.err
    assert "use --yes to download it" in ended.err.splitlines()[-1]
    assert not [one for one in asked if one.startswith("GET")]


def test_a_yes_fetches_a_large_one(tmp_path: Path) -> None:
    content = b"GGUF" + bytes(200_000_000)
    large = {**ROW, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with hub(content) as (endpoint, _):
        assert look(tmp_path, endpoint, large, yes=True).out.strip().endswith("small.gguf")


def test_a_hub_that_is_not_there_costs_one_line(tmp_path: Path) -> None:
    ended = look(tmp_path, "http://127.0.0.1:9", ROW, {**ROW, "file": "other.gguf"})
    assert ended.out.strip() == "None"
    (line,) = ended.err.splitlines()
    assert "cannot be reached" in line


def test_a_hub_that_has_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    with hub(length=5) as (endpoint, asked):
        ended = look(tmp_path, endpoint, ROW)
    assert "5 bytes instead of 4004" in ended.err
    assert not [one for one in asked if one.startswith("GET")]


def test_a_hub_that_never_answers_has_its_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        program = (
            "import json, sys; from convogen.models.backends.offers import Offer, connect; "
            "print(connect(Offer(**json.loads(sys.argv[1])), 0.3))"
        )
        ended = python_process("-c", program, json.dumps(ROW), HF_ENDPOINT=endpoint)
    assert ended.out.strip() in (
        "no response within 0.3 s",
        "The read operation timed out",
        "timed out",
    )


@pytest.mark.parametrize("missing", ["revision", "sha256", "size"])
def test_what_nobody_verified_cannot_be_enabled(tmp_path: Path, missing: str) -> None:
    (tmp_path / "o.yaml").write_text(dump_yaml([{**ROW, missing: None}]), "utf-8")
    with pytest.raises(ConvogenError, match="enabled"):
        read_offers(tmp_path / "o.yaml")


def test_what_needs_more_memory_or_is_not_enabled_is_left_out(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "memory": 2000}, {**ROW, "enabled": False}]
    (tmp_path / "o.yaml").write_text(dump_yaml(rows), "utf-8")
    assert [one.memory for one in read_offers(tmp_path / "o.yaml", 1999)] == [1000]
    assert [one.memory for one in read_offers(tmp_path / "o.yaml", 2000)] == [1000, 2000]


def test_the_offers_that_are_shipped_can_be_read() -> None:
    rows = read_yaml(SHIPPED)
    assert rows
    assert [one.file for one in read_offers()] == [r["file"] for r in rows if r["enabled"]]


def test_conversations_are_printed_as_they_are_finished_and_the_next_steps_after_them(
    tmp_path: Path,
) -> None:
    given = ("demo", "--model", "scripted", "--n", 3, "--out", tmp_path / "run")
    ended = convogen(*given)
    assert ended.status == 0, ended.err
    conversations = list(load_run(tmp_path / "run").conversations())
    places = [ended.out.index(one.id) for one in conversations]
    assert places == sorted(places)
    assert "max_turns" not in ended.out.partition("Try next:")[0].partition("demo in")[0]
    for number, conversation in enumerate(conversations, 1):
        assert f"{number} of 3\ntopic: " in ended.out
        assert f"situation: {conversation.context['situation']}"[:40] in ended.out
        for turn in conversation.turns:
            assert f"{turn.speaker}: {turn.text}"[:60] in ended.out
    summary = ended.out.index("3 of 3 conversations")
    assert places[-1] < summary < ended.out.index("Try next:")
    assert "\x1b" not in ended.out
    again = convogen(*given)
    assert again.out == ended.out
    more = convogen(*given[:4], 4, *given[5:])  # the new one is printed when it is finished
    assert sorted(re.findall("^. of 4$", more.out, re.MULTILINE)) == [
        f"{n} of 4" for n in range(1, 5)
    ]
    assert f"4 of 4\ntopic: {conversation_of(tmp_path / 'run', 3).context['topic']}" in more.out


def conversation_of(folder: Path, number: int) -> Conversation:
    return list(load_run(folder).conversations())[number]


def test_what_is_announced_is_being_made(tmp_path: Path) -> None:
    ended = convogen("demo", "--model", "scripted", "--n", 1, "--out", tmp_path / "run")
    assert f"1 conversation by scripted, written to {tmp_path / 'run'}:\n" in ended.err
    assert "1 of 1 conversation\n" in ended.out
    ended = convogen(
        "demo", "--model", "other", "--base-url", "http://127.0.0.1:9/v1", "--out", tmp_path / "run"
    )
    assert ended.status == 2
    assert "written to" not in ended.err.splitlines()[0]
    assert len(ended.err.splitlines()) == 1, ended.err


def test_the_default_file_of_offers_is_named() -> None:
    assert "convogen/models/backends/offers.yaml" in "".join(convogen("demo", "--help").out.split())
    assert SHIPPED.as_posix().endswith("convogen/models/backends/offers.yaml")
