"""Shots by coverage: a generator's favourite theme is held back, with identical results each
time."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, Run, run
from convogen.errors import ExperimentError
from convogen.generation.coverage import FIRST_FIT, Coverage
from convogen.generation.example_experiences import load_experiences
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.records import Experience

THEMES = {
    "market": "market stall fish fruit crate scales bargain harbour".split(),
    "school": "teacher lesson exam classroom homework pupil blackboard timetable".split(),
    "garden": "garden spade roses hedge compost seedlings fence watering".split(),
    "train": "train platform ticket conductor delay luggage carriage station".split(),
    "music": "violin concert rehearsal choir melody drummer stage orchestra".split(),
    "kitchen": "oven recipe dough pepper saucepan baking kitchen apron".split(),
}
FAVOURITE, BIAS, OBEYS = "market", 0.8, 0.8


def theme_of(experience: Experience) -> str:
    words = set(re.findall(r"\w+", f"{experience.topic} {experience.situation}".lower()))
    return max(THEMES, key=lambda name: len(words.intersection(THEMES[name])))


HINT = re.compile(r"the topic is (?:near ([\w, ]+?))?(?: and )?(?:far from ([\w, ]+))?;")


def suggested(hint: re.Match[str], theme: str, draw: random.Random) -> str:
    """Return a theme that the prompt names, or else a theme that it does not tell the model to
    avoid."""

    def named(terms: str | None) -> list[str]:
        words = set((terms or "").split(", "))
        return [name for name in THEMES if words.intersection(THEMES[name])]

    if near := named(hint[1]):
        return draw.choice(near)
    far = named(hint[2])
    return draw.choice([name for name in THEMES if name not in far]) if theme in far else theme


def biased(request: Request) -> str:
    """Write about the favourite theme four times out of five, unless the prompt names another
    theme."""
    reply = improvise(request)
    if request.role != "generator":
        return reply
    draw = random.Random(f"{request.sampling.seed}/{request.messages[-1].content}")
    theme = FAVOURITE if draw.random() < BIAS else draw.choice([*THEMES][1:])
    if (hint := HINT.search(request.messages[-1].content)) and draw.random() < OBEYS:
        theme = suggested(hint, theme, draw)
    said = json.loads(reply)
    words = draw.sample(THEMES[theme], 6)
    said["topic"] = f"The {words[0]} and the {words[1]}"
    said["situation"] = f"By the {words[2]} with a {words[3]} near the {words[4]}, {draw.random()}"
    said["relations"] = f"They know the {words[5]} and {draw.random()}"
    return json.dumps(said)


def experiment(n: int, **keys: object) -> Experiment:
    given = {"models": "scripted", "n": n, "max_turns": 2, "seed": 5, "near_copy": 1, **keys}
    return Experiment.load("GPIS-s", given)


def play(folder: Path, n: int, concurrency: int = 16, **keys: object) -> Run:
    chosen = experiment(n, concurrency=concurrency, **keys)
    return run(chosen, folder, open_model=lambda _: ScriptedModel(biased))


def share(run_: Run) -> float:
    themes = Counter(map(theme_of, run_.experiences()))
    return themes[FAVOURITE] / themes.total()


def rows(folder: Path) -> dict[str, bytes]:
    names = ("experiences.jsonl", "conversations.jsonl")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_favourite_theme_falls_under_30_percent_by_200(tmp_path: Path) -> None:
    assert share(play(tmp_path / "uniform", 200)) > 0.6
    steered = play(tmp_path / "coverage", 200, shot_policy="coverage")
    assert share(steered) < 0.3
    last = Counter(map(theme_of, list(steered.experiences())[100:]))
    assert set(last) == set(THEMES)


@pytest.mark.parametrize("lanes", [1, 3])
def test_the_same_bytes_at_any_concurrency(lanes: int, tmp_path: Path) -> None:
    keys = {"shot_policy": "coverage", "lanes": lanes, "per_round": 4}
    play(tmp_path / "one", 72, 1, **keys)
    play(tmp_path / "many", 72, 64, **keys)
    assert rows(tmp_path / "one") == rows(tmp_path / "many")


def _partial(chosen: Experiment, folder: Path, calls: int) -> Iterator[None]:
    """Play until the model fails at a given call."""
    left = calls

    def breaking(request: Request) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("killed here")
        return biased(request)

    with pytest.raises(RuntimeError, match="killed here"):
        run(chosen, folder, open_model=lambda _: ScriptedModel(breaking))
    yield


def test_a_run_that_was_killed_goes_on_as_it_would_have(tmp_path: Path) -> None:
    chosen = experiment(60, concurrency=8, shot_policy="coverage", lanes=2, per_round=3)
    run(chosen, tmp_path / "whole", open_model=lambda _: ScriptedModel(biased))
    for calls in (1, 61, 100, 140):
        killed = tmp_path / f"killed-{calls}"
        for _ in _partial(chosen, killed, calls):
            pass
        run(chosen, killed, open_model=lambda _: ScriptedModel(biased))
        assert rows(killed) == rows(tmp_path / "whole"), f"killed after {calls} calls"


def test_values_of_a_variation_are_dealt_equally_often(tmp_path: Path) -> None:
    from convogen.generation.variations import deal_variation, variations

    moods = variations()["moods"]
    dealt = Counter(deal_variation("s", at).mood for at in range(3 * len(moods)))
    assert dealt == dict.fromkeys(moods, 3)
    assert [deal_variation("s", at) for at in range(9)] != [
        deal_variation("t", at) for at in range(9)
    ]


def test_the_least_crowded_cluster_comes_first_and_texts_all_alike_have_none() -> None:
    seeds = load_experiences()[:2]

    def about(theme: str, at: int) -> Experience:
        words = random.Random(at).sample(THEMES[theme], 6)
        return seeds[0].model_copy(
            update={"topic": " ".join(words), "situation": theme, "relations": ""}
        )

    coverage = Coverage([], 3, "s")
    assert coverage.target(0, 4) is None
    for at in range(FIRST_FIT):
        coverage.add(at, about("market" if at % 4 else "train", at))
        assert coverage.target(0, 4) is None
    coverage.next_round()
    targets = [coverage.target(at, 4) for at in range(4)]
    first = targets[0]
    assert first is not None
    assert set(first.members) <= {0, 4, 8, 12}
    assert "near" in first.topic
    assert any(word in first.topic.split("far from")[1] for word in THEMES["market"])

    alike = Coverage([], 3, "s")
    for at in range(FIRST_FIT):
        alike.add(at, seeds[0])
    alike.next_round()
    assert alike.target(0, 4) is None


def test_coverage_needs_a_hub_that_grows() -> None:
    with pytest.raises(ExperimentError, match="coverage requires iterative: true"):
        _ = experiment(4, shot_policy="coverage", iterative=False)


def test_the_report_shows_how_evenly_runs_cover_their_topics(tmp_path: Path) -> None:
    from convogen.reports.coverage import coverage_courses

    runs = {
        policy: play(tmp_path / policy, 100, shot_policy=policy)
        for policy in ("uniform", "coverage")
    }
    found = coverage_courses(runs)
    assert found["uniform"].experience_at[-1] == 100
    assert found["coverage"].largest[-1] < found["uniform"].largest[-1] - 0.1
    assert found["coverage"].entropy[-1] > found["uniform"].entropy[-1]
    assert found["uniform"].largest[0] == 1
    assert found["uniform"].entropy[0] == 0
    ended = convogen("report", *(one.folder for one in runs.values()), "--out", tmp_path / "page")
    assert ended.status == 0
    page = next((tmp_path / "page").glob("*.html")).read_text("utf-8")
    assert "The 8 clusters are fitted to the experiences of all runs" in page
