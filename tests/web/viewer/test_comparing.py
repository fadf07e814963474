"""Side-by-side comparison of two runs and two judges, the lineage of experiences, and plots."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

from export_runs import played, spoken, write_run
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from viewed_runs import HOSTILE, opened_at, replayed_run, varied_run

from convogen.records import Conversation, Experience
from convogen.web.viewer.app import viewer
from convogen.web.viewer.drawings import Drawings
from convogen.web.viewer.lineage import HEIGHT, MOST, WIDTH, around, places_of, window


def client_of(*folders: Path) -> TestClient:
    return TestClient(viewer(opened_at(*folders)), "http://localhost")


def text(client: TestClient, path: str, **asked: object) -> str:
    answer = client.get(f"{path}?{urlencode(asked)}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_a_replay_stands_beside_its_original(tmp_path: Path) -> None:
    client = client_of(varied_run(tmp_path / "first"), replayed_run(tmp_path / "again"))
    assert "1 pair on the same experience" in text(client, "/compare")
    asked = {"run": "first", "id": "c-0", "with": "again", "other": "c-again"}
    link = f"/pair?{urlencode(asked)}".replace("&", "&amp;")
    assert link in text(client, "/compare", run="first", **{"with": "again"})
    assert link in text(client, "/conversation", run="first", id="c-0")
    shown = text(client, "/pair", **asked)
    assert "The first 1 turn is the same." in shown
    assert "Replayed from turn 2." in shown
    assert shown.count('class="beside same"') == 1
    assert "How may I help you?" in shown


def seeded(folder: Path, seed: str, task: int) -> Path:
    conversation, experience = played(task, spoken("Ahello"), seed=seed)
    own = experience.model_copy(update={"id": f"e-{folder.name}"})
    mine = conversation.model_copy(update={"experience": own.id})
    return write_run(folder, [(mine, own)])


def test_runs_are_paired_by_experience_else_by_seed_else_by_place(tmp_path: Path) -> None:
    folders = [
        seeded(tmp_path / name, seed, 0) for name, seed in (("a", "s"), ("b", "s"), ("c", "t"))
    ]
    client = client_of(*folders)
    assert "on the same seed" in text(client, "/compare", run="a", **{"with": "b"})
    assert "have no experience" in text(client, "/compare", run="a", **{"with": "c"})
    plain = client_of(*(_renamed(tmp_path / f"plain-{name}") for name in "xy"))
    assert "by plan position" in text(plain, "/compare")
    assert "Open two runs" in text(client_of(folders[0]), "/compare")


def _renamed(folder: Path) -> Path:
    conversation, experience = played(3, spoken("Ahello"))
    own = experience.model_copy(update={"id": f"e-{folder.name}"})
    return write_run(folder, [(conversation.model_copy(update={"experience": own.id}), own)])


def test_a_judge_stands_beside_another(tmp_path: Path) -> None:
    client = client_of(varied_run(tmp_path / "varied"))
    shown = text(client, "/judges")
    assert "<option selected>other/overall</option>" in shown
    assert "1 conversation has both scores" in shown
    assert re.search(r"<td[^>]*>4\.5</td> ?<td>1\.5</td> ?<td>-3\.00</td>", shown)
    assert "not have two sets of scores" in text(
        client_of(write_run(tmp_path / "one", [])), "/judges"
    )


def lineage_run(folder: Path, shots: list[list[int]]) -> Path:
    """Write a run in which experience n was made with the shots of these numbers (-1 for a given
    example)."""
    records = [played(task, spoken("Ahello"), topic=f"topic {task}") for task in range(len(shots))]
    grown: list[tuple[Conversation, Experience]] = []
    for (conversation, experience), own in zip(records, shots, strict=True):
        names = ["corner-shop" if shot < 0 else f"e-{shot}" for shot in own]
        update = {"shots": names, "admitted": True, "topic": conversation.context["topic"]}
        grown.append((conversation, experience.model_copy(update=update)))
    return write_run(folder, grown)


def test_beyond_the_last_page_is_the_last_page(tmp_path: Path) -> None:
    client = client_of(varied_run(tmp_path / "one"), varied_run(tmp_path / "two"))
    for path in ("/compare", "/judges"):
        assert text(client, path, page=99) == text(client, path)


def test_an_experience_stands_to_the_right_of_its_shots(tmp_path: Path) -> None:
    (opened,) = opened_at(lineage_run(tmp_path / "grown", [[-1], [-1, 0], [1], [0], [3, 2]]))
    found = window(opened)
    column = {node.id: node.x for node in found.nodes}
    assert column["corner-shop"] < column["e-0"] < column["e-1"] < column["e-2"] < column["e-4"]
    assert len(found.edges) == 7
    assert {node.id for node in around(opened, "e-3").nodes} == {
        "corner-shop",
        "e-0",
        "e-3",
        "e-4",
    } | {"e-2"}
    assert around(opened, "nothing").nodes == []


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30))
def test_no_two_experiences_of_a_picture_overlap(draws: list[int]) -> None:
    names = [f"e{n}" for n in range(len(draws))]
    parents = {f"e{n}": [f"e{draw % n}" if n else "seed"] for n, draw in enumerate(draws)}
    places = places_of(names, parents)
    boxes = list(places.values())
    for at, (x, y) in enumerate(boxes):
        for other_x, other_y in boxes[at + 1 :]:
            assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT


def test_a_large_lineage_is_shown_in_parts(tmp_path: Path) -> None:
    shots = [[task - 1] for task in range(MOST + 20)]
    client = client_of(lineage_run(tmp_path / "long", shots))
    shown = text(client, "/lineage")
    assert f"1 to {MOST} of {MOST + 20}" in shown
    assert shown.count("<rect") == MOST + 1
    later = text(client, "/lineage", start=MOST)
    assert "topic 99" in later
    assert 'class="node earlier"' in later
    assert text(client, "/lineage", focus="e-50").count("<rect") <= MOST + 2
    assert client.get("/lineage?start=9999999&focus=").status_code == 200


def test_hostile_topics_are_text_in_the_picture(tmp_path: Path) -> None:
    shown = text(client_of(varied_run(tmp_path / "varied")), "/lineage")
    assert "<script>document" not in shown
    assert "&lt;script&gt;" in shown
    assert "style=" not in shown


def test_plots_are_drawn_when_they_are_asked_for(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "varied")
    client = client_of(folder)
    assert "Measure 5 conversations and draw" in text(client, "/plots")
    assert client.get("/plot?name=words").status_code == 404
    refused = client.post("/plots", headers={"sec-fetch-site": "cross-site"})
    assert refused.status_code == 403
    runs = opened_at(folder)
    drawings = Drawings()
    drawings.draw(runs)
    drawing = drawings.of(runs)
    assert drawing is not None
    assert drawing.done
    assert not drawing.fault
    assert drawing.plots["words"].startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in drawing.plots["words"]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "varied")
    (folder / "conversations.jsonl").write_bytes(b"")
    runs = opened_at(folder)
    drawings = Drawings()
    drawings.draw(runs)
    drawing = drawings.of(runs)
    assert drawing is not None
    assert drawing.fault
    assert HOSTILE not in drawing.fault
