from __future__ import annotations

import asyncio
import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from convogen.experiences import load_experiences
from convogen.hub import FewShotHub, Policy, similarity
from convogen.types import Experience

SEEDS = load_experiences()


def hub(**changes: object) -> FewShotHub:
    settings: dict[str, object] = {
        "seed": 7,
        "iterative": True,
        "lanes": 2,
        "per_round": 3,
        "shots": 1,
        "policy": "uniform",
        "near_copy": 0.8,
        "recall": lambda task: named(f"e{task}"),
    }
    return FewShotHub(SEEDS, **(settings | changes))  # type: ignore[arg-type]


def named(name: str) -> Experience:
    return SEEDS[0].model_copy(update={"id": name})


def test_tasks_go_round_by_round_over_the_lanes() -> None:
    places = [hub().place(task) for task in range(9)]
    assert [(p.lane, p.round, p.index) for p in places] == [
        (0, 0, 0), (0, 0, 1), (0, 0, 2),
        (1, 0, 0), (1, 0, 1), (1, 0, 2),
        (0, 1, 0), (0, 1, 1), (0, 1, 2),
    ]  # fmt: skip


def test_a_round_waits_for_the_round_before_it_in_its_lane_and_no_other() -> None:
    async def scenario() -> tuple[bool, bool]:
        h = hub()
        waiting = asyncio.ensure_future(h.shots(6))
        await asyncio.sleep(0)
        early = waiting.done()
        for task in (2, 0, 1):  # lane 0, round 0, out of order; lane 1 gives nothing
            h.add(task, named(f"e{task}"))
        await asyncio.wait_for(waiting, 5)
        return early, waiting.done()

    assert asyncio.run(scenario()) == (False, True)


@given(st.permutations(range(12)), st.sampled_from(["uniform", "newest"]), st.integers(0, 99))
def test_the_shots_never_depend_on_what_came_back_first(
    order: list[int], policy: Policy, seed: int
) -> None:
    async def drawn(order: list[int]) -> list[list[str]]:
        h = hub(policy=policy, seed=seed, shots=3)
        shots: list[list[str]] = []
        for number in range(3):
            tasks = [task for task in order if task // 6 == number]
            shots += [
                [s.id for s in await h.shots(task)] for task in range(6 * number, 6 * number + 6)
            ]
            for task in tasks:
                h.add(task, named(f"e{task}") if task % 5 else None)
        return shots

    assert asyncio.run(drawn(order)) == asyncio.run(drawn(list(range(12))))


@given(st.integers(0, 12), st.booleans(), st.integers(0, 99))
def test_the_shots_are_the_same_wherever_a_member_is_held(
    committed: int, restored: bool, seed: int
) -> None:
    """Of 12 tasks the first are committed, by this start of the run or by an earlier one."""

    async def drawn(committed: int, restored: bool) -> list[str]:
        h = hub(shots=4, lanes=1, seed=seed)
        for task in range(12):
            if restored and task < committed:
                h.restore(task, task % 5 > 0)
            else:
                h.add(task, named(f"e{task}") if task % 5 else None)
        for task in range(committed):
            h.committed(task)
        return [shot.id for shot in await h.shots(12)]

    assert asyncio.run(drawn(committed, restored)) == asyncio.run(drawn(0, False))


def test_only_what_is_not_committed_is_held() -> None:
    h = hub()
    experiences = [named(f"e{task}") for task in range(20)]
    held = [weakref.ref(experience) for experience in experiences]
    for task, experience in enumerate(experiences):
        h.add(task, experience)
    for task in range(17):
        h.committed(task)
    del experience, experiences
    gc.collect()
    assert [ref() is None for ref in held] == [True] * 17 + [False] * 3


def test_newest_first_takes_what_was_made_last() -> None:
    async def scenario() -> list[str]:
        h = hub(policy="newest", lanes=1, shots=2)
        for task in range(3):
            h.add(task, named(f"e{task}"))
        return [shot.id for shot in await h.shots(3)]

    assert asyncio.run(scenario()) == ["e1", "e2"]


def test_a_fixed_shot_is_the_same_for_every_task_and_nothing_enters() -> None:
    async def scenario() -> set[str]:
        h = hub(iterative=False)
        ids: set[str] = set()
        for task in range(40):
            ids |= {shot.id for shot in await h.shots(task)}
            h.add(task, named(f"e{task}"))
        return ids

    assert len(asyncio.run(scenario())) == 1


def test_a_near_copy_of_a_shot_does_not_enter() -> None:
    shot = SEEDS[0]
    copy = shot.model_copy(update={"topic": shot.topic + " again"})
    assert not hub().judge(copy, [SEEDS[1], shot]).admitted
    assert hub().judge(SEEDS[2], [SEEDS[1], shot]).admitted
    assert hub().judge(copy, [shot]).similarity > 0.95


def test_similarity_is_one_for_itself_and_symmetric() -> None:
    assert similarity(SEEDS[0], SEEDS[0]) == 1
    assert similarity(SEEDS[0], SEEDS[1]) == similarity(SEEDS[1], SEEDS[0]) < 0.7
