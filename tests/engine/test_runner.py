from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import forked_file
from virtual_time import run_virtually

from convogen import Experiment, Run, run
from convogen.engine.runner import run_async
from convogen.errors import EndpointDown, RunFolderError, TooManyFailures
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ModelReply, Request, Sampling
from convogen.models.progress import RunProgress

ROWS = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")


def experiment(**overrides: object) -> Experiment:
    small = {"n": 6, "models": "scripted", "max_turns": 4, "per_round": 2, "lanes": 2}
    return Experiment.load("GPIS-s", small | overrides)


def rows(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ROWS]


def play(folder: Path, script: Callable[[Request], str] = improvise, **overrides: object) -> Run:
    model = ScriptedModel(script)
    return run(experiment(**overrides), folder, open_model=lambda _: model)


def counting(script: Callable[[Request], str], calls: list[str]) -> Callable[[Request], str]:
    def counted(request: Request) -> str:
        calls.append(request.hash)
        return script(request)

    return counted


def test_a_run_has_what_was_asked_for(tmp_path: Path) -> None:
    result = play(tmp_path)
    conversations = list(result.conversations())
    experiences = {e.id: e for e in result.experiences()}
    assert len(conversations) == 6
    assert len({c.id for c in conversations}) == 6
    for c in conversations:
        e = experiences[c.experience or ""]
        assert c.participants == [p.name for p in e.personas]
        assert {t.speaker for t in c.turns} <= set(c.participants)
        assert 2 <= len(c.participants) <= 4
    assert result.manifest["complete"] is True


def test_the_hub_feeds_on_its_own_output(tmp_path: Path) -> None:
    result = play(tmp_path, n=12, shot_policy="newest")
    ids = {e.id for e in result.experiences()}
    shown = {shot for e in result.experiences() for shot in e.shots}
    assert shown & ids


def test_a_finished_run_asks_nothing_more_and_a_longer_one_only_the_rest(tmp_path: Path) -> None:
    play(tmp_path / "short")
    before = rows(tmp_path / "short")
    calls: list[str] = []
    play(tmp_path / "short", counting(improvise, calls))
    assert calls == []
    assert rows(tmp_path / "short") == before
    play(tmp_path / "short", n=10)
    play(tmp_path / "long", n=10)
    assert rows(tmp_path / "short") == rows(tmp_path / "long")
    assert all(b.startswith(a) for a, b in zip(before, rows(tmp_path / "short"), strict=True))


def test_failed_tasks_are_rows_and_do_not_lessen_the_dataset(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        spoiled = request.role == "generator" and int(request.hash, 16) % 2
        return "no object" if spoiled else improvise(request)

    result = play(tmp_path, script, reasks=0, max_failures=50)
    failures = list(result.failures())
    assert len(list(result.conversations())) == 6
    assert failures
    assert {(f.stage, f.kind, f.evidence) for f in failures} == {
        ("experience", "experience_invalid", "no object")
    }


def test_too_many_failures_stop_the_run_and_a_higher_limit_goes_on(tmp_path: Path) -> None:
    def broken(request: Request) -> str:
        return "no object" if request.role == "generator" else improvise(request)

    with pytest.raises(TooManyFailures, match=r"max_failures is 3.*max_failures=14"):
        play(tmp_path, broken, max_failures=3, reasks=0)
    assert len(list(Run(tmp_path).failures())) == 4
    play(tmp_path, max_failures=14, reasks=0)
    assert len(list(Run(tmp_path).conversations())) == 6


def test_fresh_moves_the_old_run_aside(tmp_path: Path) -> None:
    play(tmp_path / "run")
    old = rows(tmp_path / "run")
    with pytest.raises(RunFolderError, match="seed: 0 there, 5 here"):
        play(tmp_path / "run", seed=5)
    run(experiment(seed=5), tmp_path / "run", fresh=True)
    aside = [path for path in tmp_path.iterdir() if path.name != "run"]
    assert [rows(path) for path in aside] == [old]
    assert rows(tmp_path / "run") != old


def test_what_was_answered_before_an_endpoint_failed_is_not_asked_again(tmp_path: Path) -> None:
    class Failing(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            if len(calls) == 17:
                raise EndpointDown("endpoint gone")
            calls.append(request.hash)
            return await super().complete(request)

    calls: list[str] = []
    model = Failing()
    with pytest.raises(EndpointDown, match="endpoint gone"):
        run(experiment(), tmp_path / "run", open_model=lambda _: model)
    rest: list[str] = []
    play(tmp_path / "run", counting(improvise, rest))
    play(tmp_path / "whole")
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    assert not set(calls) & set(rest)
    assert len(calls) == 17


def test_a_run_that_ends_waits_for_the_answers_in_flight_and_makes_no_more_calls(
    tmp_path: Path,
) -> None:
    """The third call finds the endpoint gone after a second; the others are answered after three,
    and tasks that wait for something else are not waited for."""
    began: list[float] = []

    class Gone(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            began.append(asyncio.get_running_loop().time())
            if len(began) == 3:
                await asyncio.sleep(1)
                raise EndpointDown("gone")
            await asyncio.sleep(3)
            return await super().complete(request)

    async def until_it_ends() -> float:
        with pytest.raises(EndpointDown, match="gone"):
            await run_async(experiment(), tmp_path, open_model=lambda _: Gone())
        return asyncio.get_running_loop().time()

    assert run_virtually(until_it_ends()) == pytest.approx(3, abs=0.1)
    assert max(began) <= 1
    assert len(began) > 3
    assert len(list(Run(tmp_path).ledger())) == len(began) - 1


@pytest.mark.parametrize("iterations", range(8))
def test_a_chat_requests_nothing_again_once_the_run_is_cancelled(
    iterations: int, tmp_path: Path
) -> None:
    """The run is cancelled some iterations of the event loop after faulty replies have arrived."""
    began: list[float] = []

    class Empty(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            began.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)
            return await super().complete(request)

    model = Empty(lambda request: "" if request.role == "agent" else improvise(request))

    async def cancel() -> float:
        play = run_async(
            experiment(iterative=False, reasks=3), tmp_path, open_model=lambda _: model
        )
        running = asyncio.create_task(play)
        await asyncio.sleep(3)
        for _ in range(iterations):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        ended = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        return ended

    assert run_virtually(cancel()) == pytest.approx(3, abs=0.1)
    assert max(began) <= 3.1


def test_the_tally_counts_what_is_done(tmp_path: Path) -> None:
    tally = RunProgress()
    result = run(experiment(), tmp_path, tally=tally)
    turns = sum(len(c.turns) for c in result.conversations())
    assert tally.counts["conversations"] == tally.counts["experiences"] == 6
    assert tally.counts["turns"] == turns
    assert tally.counts["calls"] == len(list(result.ledger()))


@pytest.mark.parametrize(
    ("signal_number", "in_background"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
)
def test_interrupted_it_stops_cleanly_and_says_how_to_go_on(
    tmp_path: Path, signal_number: signal.Signals, in_background: bool
) -> None:
    """The command is interrupted while it waits for an endpoint, and is then run to its end."""
    program = Path(__file__).parents[1] / "programs" / "interrupted_run.py"
    ended = forked_file(
        program,
        tmp_path / "run",
        CONVOGEN_TEST_SIGNAL=str(int(signal_number)),
        CONVOGEN_TEST_IN_BACKGROUND="1" if in_background else "",
    )
    assert ended.status == 130, ended.err
    assert "to resume: convogen run GPIS-s" in ended.err
    assert "Traceback" not in ended.err
    assert "s3cret" not in ended.err
    kept = [row for row in Run(tmp_path / "run").ledger() if "lost_attempts" not in row]
    assert f"answered {len(kept)}" in ended.out
    assert float(ended.out.split("stopped after ")[1].split()[0]) < 2.0

    def same(request: Request) -> str:
        return improvise(replace(request, sampling=Sampling(), choices=()))

    calls: list[str] = []
    play(tmp_path / "run", counting(same, calls))
    play(tmp_path / "whole", same)
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    assert len(calls) + len(kept) == len(list(Run(tmp_path / "whole").ledger()))
