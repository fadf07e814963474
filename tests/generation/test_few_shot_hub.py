from __future__ import annotations

import asyncio
import gc
import random
import string
import weakref
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment, Run, run
from convogen.generation.example_experiences import in_languages, load_experiences
from convogen.generation.few_shot_hub import FewShotHub, Policy, similarity
from convogen.records import Experience, Persona, Starter

SEEDS = in_languages(load_experiences(), ())
N = 18

Gives = list[int | None]
"""The result of each task: None for a failure, its own number for a new experience, or the
number of an earlier task for a near-copy."""


def hub(seeds: Sequence[Experience] = SEEDS, **changes: object) -> FewShotHub:
    settings: dict[str, object] = {
        "seed": 7,
        "iterative": True,
        "lanes": 2,
        "per_round": 3,
        "shots": 1,
        "policy": "uniform",
        "near_copy": 0.8,
        "recall": new,
    }
    return FewShotHub(seeds, **(settings | changes))  # type: ignore[arg-type]


def new(task: int, like: int | None = None) -> Experience:
    """Return a unique experience, or one with nearly the same words as an earlier task's
    experience."""
    rng = random.Random(task if like is None else like)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9))) for _ in range(60)]
    if like is not None:
        words[task % 50] = f"copied{task}"
    return Experience(
        id=f"e{task}",
        task=task,
        personas=[Persona(name="Ada", text="knits"), Persona(name="Bo", text="sails")],
        relations=" ".join(words[:20]),
        situation=" ".join(words[20:50]),
        topic=" ".join(words[50:]),
        starter=Starter(speaker="Ada", text="Hello there!"),
    )


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result, or fail if it waits for something that never happens."""
    return asyncio.run(asyncio.wait_for(work, 20))


async def admit_all(h: FewShotHub, experiences: Sequence[Experience]) -> list[Experience]:
    """Admit the tasks one after the other, each with its own shots."""
    return [await h.admit(at, one, await h.shots(at)) for at, one in enumerate(experiences)]


async def play(h: FewShotHub, gives: Gives, order: list[int], first: int = 0) -> list[Any]:
    """Play tasks from `first` on concurrently, with the model's answers in a given order."""
    answered = [asyncio.Event() for _ in gives]

    async def task(number: int) -> Any:
        shots = await h.shots(number)
        await answered[number].wait()
        like = gives[number]
        if like is None:
            return await h.skip(number)
        experience = new(number) if like == number else new(number, like)
        shown = {"shots": [shot.id for shot in shots]}
        return await h.admit(number, experience.model_copy(update=shown), shots)

    under_way = [asyncio.ensure_future(task(number)) for number in range(first, len(gives))]
    for number in order:
        answered[number].set()
        await asyncio.sleep(0)
    return await asyncio.gather(*under_way)


@st.composite
def given_by_tasks(draw: st.DrawFn) -> Gives:
    """Draw new experiences, failures and near-copies of earlier experiences."""
    options = [[None, task, task, *range(task)] for task in range(N)]
    return [draw(st.sampled_from(each)) for each in options]


def test_tasks_go_round_by_round_over_the_lanes() -> None:
    places = [hub().place(task) for task in range(9)]
    assert [(p.lane, p.round, p.index) for p in places] == [
        (0, 0, 0), (0, 0, 1), (0, 0, 2),
        (1, 0, 0), (1, 0, 1), (1, 0, 2),
        (0, 1, 0), (0, 1, 1), (0, 1, 2),
    ]  # fmt: skip


def test_a_round_waits_for_the_round_before_it_in_its_lane_and_no_other() -> None:
    async def scenario() -> list[bool]:
        h = hub()
        waiting = asyncio.ensure_future(h.shots(6))
        done: list[bool] = []
        for task in range(3):  # lane 0, round 0; lane 1 produces nothing
            await asyncio.sleep(0)
            done.append(waiting.done())
            await h.admit(task, new(task), [])
        await waiting
        return done

    assert finished(scenario()) == [False, False, False]


@given(given_by_tasks(), st.permutations(range(N)), st.sampled_from(["uniform", "newest"]))
def test_no_record_depends_on_which_answer_came_first(
    gives: Gives, order: list[int], policy: Policy
) -> None:
    expected = finished(play(hub(policy=policy), gives, list(range(N))))
    assert finished(play(hub(policy=policy), gives, order)) == expected


@given(given_by_tasks(), st.integers(0, N), st.sampled_from(["uniform", "newest"]))
def test_a_resumed_run_admits_and_shows_the_same(
    gives: Gives, committed: int, policy: Policy
) -> None:
    whole = finished(play(hub(policy=policy), gives, list(range(N))))
    rows = {row.task: row for row in whole[:committed] if row}
    h = hub(policy=policy, recall=lambda task: rows[task])
    h.restore(committed, (row for row in rows.values() if row.admitted))
    assert finished(play(h, gives, list(range(N)), committed)) == whole[committed:]


@given(given_by_tasks())
def test_no_two_members_of_a_lane_are_near_copies(gives: Gives) -> None:
    h = hub()
    given_ones = [one for one in finished(play(h, gives, list(range(N)))) if one]
    for lane in range(2):
        own = [one for one in given_ones if h.place(one.task).lane == lane]
        members: list[Experience] = []
        for one in own:
            nearest = max((similarity(one, other) for other in members), default=0.0)
            assert one.admitted == (nearest < 0.8)
            members += [one] * one.admitted
            assert one.similarity == pytest.approx(nearest, abs=1e-4) or nearest < 0.8


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_of_near_copies_in_a_round_the_first_of_the_plan_enters(order: list[int]) -> None:
    records = finished(play(hub(), [0, 0, 2], order))
    assert [record.admitted for record in records] == [True, False, True]
    assert records[1].similarity > 0.9


def test_a_near_copy_of_an_old_member_that_was_no_shot_does_not_enter() -> None:
    async def scenario() -> tuple[list[str], bool]:
        h = hub(lanes=1, policy="newest")
        await admit_all(h, [new(task) for task in range(30)])
        for task in range(30):
            h.committed(task)
        shots = await h.shots(30)
        return [shot.id for shot in shots], (await h.admit(30, new(30, like=4), shots)).admitted

    assert finished(scenario()) == (["e29"], False)


def test_a_near_copy_in_another_lane_enters() -> None:
    records = finished(play(hub(), [0, 1, 2, 0], [0, 1, 2, 3]))
    assert records[3].admitted


def test_a_near_copy_of_a_seed_does_not_enter_whether_it_was_shown_or_not() -> None:
    async def scenario() -> None:
        for seed in SEEDS:
            h = hub()
            copy = seed.model_copy(update={"topic": seed.topic + " again"})
            for shots in ([seed], await h.shots(0)):
                judged = await hub().admit(0, copy, shots)
                assert not judged.admitted
                assert judged.similarity > 0.95

    finished(scenario())


def test_a_run_that_breaks_leaves_nobody_waiting() -> None:
    async def scenario() -> list[bool]:
        h = hub()
        waiting = [h.shots(6), h.admit(2, new(2), []), h.skip(1), h.shots(9)]
        tasks = [asyncio.ensure_future(one) for one in waiting]
        await asyncio.sleep(0)
        h.stop()  # task 0 broke
        tasks.append(asyncio.ensure_future(h.shots(6)))
        await asyncio.wait(tasks)
        return [task.cancelled() for task in tasks]

    assert finished(scenario()) == [True] * 5


def test_only_what_is_not_committed_is_held() -> None:
    async def scenario() -> list[bool]:
        h = hub(lanes=1)
        records = await admit_all(h, [new(task) for task in range(20)])
        held = [weakref.ref(record) for record in records]
        for task in range(17):
            h.committed(task)
        del records
        gc.collect()
        return [ref() is None for ref in held]

    assert finished(scenario()) == [True] * 17 + [False] * 3


def test_newest_takes_what_was_made_last() -> None:
    async def scenario() -> list[str]:
        h = hub(policy="newest", lanes=1, shots=2)
        await admit_all(h, [new(task) for task in range(3)])
        return [shot.id for shot in await h.shots(3)]

    assert finished(scenario()) == ["e1", "e2"]


def told(relations: str, task: int = 0, **changes: Any) -> Experience:
    """Return an experience in which only these words count."""
    return Experience(
        id=f"e{task}",
        task=task,
        personas=[Persona(name="Ada"), Persona(name="Bo")],
        relations=relations,
        situation="",
        topic="",
        starter=Starter(speaker="Ada", text=""),
    ).model_copy(update=changes)


@pytest.mark.parametrize(
    ("near_copy", "admitted"), [(0.79, False), (0.8, False), (0.8001, True), (1.0, True)]
)
def test_a_similarity_of_exactly_the_limit_is_a_near_copy(near_copy: float, admitted: bool) -> None:
    """40 of 50 letters are in the same order as in the shot: 2 × 40 / (50 + 50)."""
    shot, copy = told("a" * 40 + "b" * 10), told("a" * 40 + "c" * 10)
    found = finished(hub(near_copy=near_copy).admit(0, copy, [told("zz"), shot, told("yy")]))
    assert (found.admitted, found.similarity) == (admitted, 0.8)


def test_the_similarity_is_kept_to_four_digits_and_that_of_nothing_is_0() -> None:
    """2 × 2 / (3 + 3) = 0.66667."""
    assert finished(hub().admit(0, told("aac"), [told("aab")])).similarity == 0.6667
    assert similarity(told("ab cd"), told("ce AB")) == 0.8  # 2 × 4 / (5 + 5), including the space
    alone = finished(hub().admit(0, told("qqqq"), []))
    assert (alone.admitted, alone.similarity) == (True, 0)


def test_a_word_for_word_copy_is_no_member_even_at_a_limit_of_1() -> None:
    async def scenario() -> list[Experience]:
        h = hub(lanes=1, near_copy=1.0)
        words = "one two three four five six seven eight nine ten eleven"
        copy = " ".join(reversed(words.upper().split()))
        given_ones = [told(words, 0), told("all of it is new in here", 1), told(copy, 2)]
        return [await h.admit(at, one, []) for at, one in enumerate(given_ones)]

    assert [one.admitted for one in finished(scenario())] == [True, True, False]


def test_names_and_free_text_make_no_experience_another_but_cards_and_openings_do() -> None:
    one = told("old friends at sea")
    people = [Persona(name="Cleo", text="counts stamps"), Persona(name="Dan", text="rows")]
    starter = Starter(speaker="Dan", text="")
    assert similarity(one, told("SEA at old Friends")) == 1
    assert similarity(one, one.model_copy(update={"personas": people, "starter": starter})) == 1
    for changes in (
        {"starter": Starter(speaker="Ada", text="Ahoy!")},
        {"topic": "sails"},
        {"situation": "a storm"},
        {"personas": SEEDS[0].personas},
    ):
        assert similarity(one, one.model_copy(update=changes)) < 1


@pytest.mark.parametrize("lane", [0, 1])
def test_the_draws_of_a_seed_stay_what_they_are(lane: int) -> None:
    """Draws are identified by seed, lane and round. The seeds are shuffled first, then two of
    all members are drawn, and new members come last."""

    async def scenario() -> list[list[Experience]]:
        h = hub(shots=2)
        first = 3 * lane
        shown = [await h.shots(first)]
        given_ones = [new(task) for task in range(6)]
        for at, one in enumerate(given_ones):
            await h.admit(at, one, [])
        return [*shown, await h.shots(first + 6)]

    seeds = random.Random(f"7/seeds/{lane}/0").sample(range(len(SEEDS)), len(SEEDS))
    drawn = random.Random(f"7/hub/{lane}/1").sample(range(len(SEEDS) + 3), 2)
    pool = [seed.id for seed in SEEDS] + [f"e{3 * lane + at}" for at in range(3)]
    ids = [[one.id for one in shots] for shots in finished(scenario())]
    assert ids == [[SEEDS[at].id for at in seeds[:2]], [pool[at] for at in drawn]]


def test_rotation_goes_round_the_shuffled_circle_of_its_lane() -> None:
    async def scenario(lane: int) -> list[str]:
        h = hub(SEEDS[:7], iterative="rotate", shots=2)
        tasks = (3 * lane, 3 * lane + 6, 3 * lane + 12, 3 * lane + 18)
        return [shot.id for task in tasks for shot in await h.shots(task)]

    for lane in (0, 1):
        circle = random.Random(f"7/seeds/{lane}/0").sample(range(7), 7)
        assert finished(scenario(lane)) == [SEEDS[at].id for at in [*circle, circle[0]]]


def test_without_iterative_sampling_all_lanes_and_rounds_have_the_shots_of_the_first() -> None:
    async def scenario() -> list[list[Experience]]:
        h = hub(iterative=False, shots=3)
        return [await h.shots(task) for task in (0, 2, 3, 6, 40)]

    first, *others = finished(scenario())
    assert len(first) == 3
    assert all(shots == first for shots in others)


@pytest.mark.parametrize(
    ("n_seeds", "shots", "admitted", "shown"),
    [
        (4, 2, [True, True, True], ["e1", "e2"]),
        (4, 2, [True, False, True], ["e0", "e2"]),
        (4, 2, [False, True, False], ["seed 3", "e1"]),
        (4, 3, [False, False, False], ["seed 1", "seed 2", "seed 3"]),
        (2, 5, [True, True, True], ["seed 0", "seed 1", "e0", "e1", "e2"]),
        (2, 9, [True, True, True], ["seed 0", "seed 1", "e0", "e1", "e2"]),
    ],
)
def test_the_newest_of_seeds_and_members_in_their_order(
    n_seeds: int, shots: int, admitted: list[bool], shown: list[str]
) -> None:
    async def scenario() -> list[str]:
        h = hub(SEEDS[:n_seeds], policy="newest", lanes=1, shots=shots)
        for task, enters in enumerate(admitted):
            await (h.admit(task, new(task), []) if enters else h.skip(task))
        return [shot.id for shot in await h.shots(3)]

    ids = {f"seed {at}": seed.id for at, seed in enumerate(SEEDS)}
    assert finished(scenario()) == [ids.get(name, name) for name in shown]


def test_a_hub_is_restored_to_the_middle_of_a_round() -> None:
    """Task 1 failed and task 3 gave a near-copy; task 4 is the next task of the only lane."""
    rows = {task: new(task).model_copy(update={"admitted": True}) for task in (0, 2)}

    async def scenario() -> tuple[list[str], list[str], bool | None]:
        h = hub(policy="newest", lanes=1, shots=3, recall=lambda task: rows[task])
        h.restore(4, iter(rows.values()))
        within = [shot.id for shot in await h.shots(4)]
        again = await h.admit(4, new(4, like=2), [])
        await h.skip(5)
        return within, [shot.id for shot in await h.shots(6)], again.admitted

    shown = [SEEDS[-1].id, "e0", "e2"]
    assert finished(scenario()) == (shown, shown, False)


def test_a_round_shows_nothing_of_itself_whenever_it_is_asked() -> None:
    async def scenario() -> list[list[str]]:
        h = hub(policy="newest", lanes=1, shots=2)
        for task in range(5):
            await h.admit(task, new(task), [])
        within = await h.shots(5)
        await h.admit(5, new(5), [])
        return [[shot.id for shot in shots] for shots in (within, await h.shots(6))]

    assert finished(scenario()) == [["e1", "e2"], ["e4", "e5"]]


@given(st.integers(1, len(SEEDS)), st.integers(1, 8), st.integers(0, 99))
def test_rotation_shows_each_seed_equally_often_and_never_the_same_twice_in_turn(
    size: int, shots: int, seed: int
) -> None:
    async def scenario() -> list[list[str]]:
        h = hub(SEEDS[:size], iterative="rotate", lanes=1, shots=shots, seed=seed, per_round=1)
        return [[shot.id for shot in await h.shots(task)] for task in range(4 * size)]

    rounds = finished(scenario())
    for cycle in range(4):
        shown = [one for each in rounds[cycle * size : (cycle + 1) * size] for one in each]
        assert {shown.count(one.id) for one in SEEDS[:size]} == {min(shots, size)}
    for before, after in pairwise(rounds):
        assert len(set(after)) == len(after)
        assert size <= shots or set(before) != set(after)


def test_rotation_is_shuffled_again() -> None:
    async def scenario() -> list[str]:
        h = hub(iterative="rotate", lanes=1, per_round=1)
        return [(await h.shots(task))[0].id for task in range(2 * len(SEEDS))]

    shown = finished(scenario())
    assert shown[: len(SEEDS)] != shown[len(SEEDS) :]


@pytest.mark.parametrize("iterative", [False, "rotate"])
def test_without_iterative_sampling_nothing_enters_and_nobody_waits(iterative: object) -> None:
    async def scenario() -> None:
        h = hub(iterative=iterative)
        for task in (40, 3, 0, 41):  # in any order
            judged = await h.admit(task, new(task), await h.shots(task))
            assert judged.admitted is None
            assert judged.similarity is not None
            await h.skip(task + 50)

    finished(scenario())


@given(st.integers(0, 99), st.integers(1, 4), st.sampled_from(["uniform", "newest"]))
def test_all_ways_of_sampling_begin_with_the_same_shots(
    seed: int, shots: int, policy: Policy
) -> None:
    async def scenario() -> list[list[Experience]]:
        hubs = [
            hub(iterative=iterative, policy=policy, seed=seed, shots=shots)
            for iterative in (False, "rotate", True)
        ]
        return [await h.shots(0) for h in hubs]

    fixed, rotated, iterated = finished(scenario())
    assert fixed == rotated == iterated


def sampled(folder: Path, iterative: object) -> Run:
    settings = {
        "n": 12,
        "models": "scripted",
        "max_turns": 2,
        "per_round": 2,
        "shot_policy": "newest",
    }
    return run(Experiment.load("GPIS-s", settings | {"iterative": iterative}), folder)


def test_of_three_runs_only_the_iterative_one_shows_what_was_generated(tmp_path: Path) -> None:
    first: set[str] = set()
    shown: dict[object, set[str]] = {}
    for iterative in (False, "rotate", True):
        experiences = list(sampled(tmp_path / f"{iterative}", iterative).experiences())
        first.add(experiences[0].shots[0])
        shown[iterative] = {shot for one in experiences for shot in one.shots}
        assert {one.admitted is None for one in experiences} == {iterative is not True}
    seeds = {seed.id for seed in SEEDS}
    assert len(first) == len(shown[False]) == 1
    assert len(shown["rotate"]) == 6
    assert shown["rotate"] < seeds
    assert not shown[True] <= seeds


def test_similarity_is_one_for_itself_and_symmetric() -> None:
    assert similarity(SEEDS[0], SEEDS[0]) == 1
    assert similarity(SEEDS[0], SEEDS[1]) == similarity(SEEDS[1], SEEDS[0]) < 0.7
