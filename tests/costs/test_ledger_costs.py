"""The cost of a run, computed from a ledger and a manifest that the tests write."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from convogen.costs.ledger_costs import Prices, spending, total_usd, usage_of
from convogen.errors import RunFolderError
from convogen.models.http import Http
from convogen.models.prices import listed
from convogen.models.spec import ModelSpec, Price
from convogen.records import Usage
from convogen.storage.run_folder import Run

OPENAI = "https://api.openai.com/v1"
OWN = {"name": "tiny", "kind": "endpoint", "price": {"input": 2.0, "output": 8.0, "cached": 0.5}}


def run(folder: Path, models: dict[str, Any], ledger: list[dict[str, Any]] | None = None) -> Run:
    (folder / "manifest.json").write_text(json.dumps({"fingerprint": "f", "models": models}))
    (folder / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ledger or []))
    return Run(folder)


def call(role: str, model: str, prompt: int, reply: int, **more: Any) -> dict[str, Any]:
    tokens = {"prompt_tokens": prompt, "completion_tokens": reply}
    return {"task": 0, "role": role, "model": model, **tokens, "attempts": 1, **more}


def test_calls_of_a_price_of_ones_own_by_hand(tmp_path: Path) -> None:
    """1,000 tokens in (400 of them cached) and 100 out: 600 × 2 + 400 × 0.5 + 100 × 8 = 2,200.

    The second call costs 500 × 2 + 10 × 8 = 1,080, and the lost call 300 × 2 + 50 × 8 = 1,000. All
    prices are in millionths.
    """
    lost = {"lost_attempts": 2, "lost_prompt_tokens": 300, "lost_completion_tokens": 50}
    ledger = [
        call("agent", "tiny", 1000, 100, cached_tokens=400, seconds=1.5),
        call("agent", "tiny", 500, 10, attempts=3, seconds=0.5),
        {"task": 1, "role": "agent", "model": "tiny", **lost},
        call("generator", "unheard-of", 7, 1),
    ]
    first, second = spending(run(tmp_path, {"agent": OWN}, ledger))
    assert asdict(first) == {
        "role": "agent", "model": "tiny", "price": "own", "calls": 2, "attempts": 4,
        "prompt_tokens": 1500, "completion_tokens": 110, "cached_tokens": 400, "seconds": 2.0,
        **lost, "cost_usd": pytest.approx(3280e-6), "lost_usd": pytest.approx(1000e-6),
    }  # fmt: skip
    assert (second.role, second.price, second.cost_usd, second.lost_usd) == (
        *("generator", None, None, None),
    )
    assert total_usd([first]) == pytest.approx(3280e-6)
    assert total_usd([first, first], lost=True) == pytest.approx(2 * 4280e-6)
    assert total_usd([first, second], lost=True) is None
    assert total_usd([]) == 0
    assert usage_of(ledger[2], "lost_") == Usage(prompt_tokens=300, completion_tokens=50)
    assert usage_of(ledger[2]) == Usage()


def test_the_judges_stand_last_and_may_be_told_alone(tmp_path: Path) -> None:
    ledger = [call("selector", "tiny", 1, 1), call("agent", "tiny", 1, 1)]
    made = run(tmp_path, {"agent": OWN, "selector": OWN}, ledger)
    for judge, prompt in (("geval", 10), ("fed", 20)):
        folder = tmp_path / "scores" / judge
        folder.mkdir(parents=True)
        (folder / "ledger.jsonl").write_text(json.dumps(call("judge", judge, prompt, 0)) + "\n")
        price = {"input": 1.0, "output": 1.0} if judge == "fed" else None
        told = {"fingerprint": "g", "kind": "endpoint", "judged_by": {"model": judge}}
        (folder / "manifest.json").write_text(
            json.dumps(told | ({"price": price} if price else {}))
        )
        (tmp_path / "scores" / f"{judge}.jsonl").write_text("")
    rows = spending(made)
    assert [(row.role, row.model) for row in rows] == [
        *(("agent", "tiny"), ("selector", "tiny"), ("judge", "fed"), ("judge", "geval")),
    ]
    [alone] = spending(made, judge="fed")
    assert (alone.model, alone.prompt_tokens, alone.price) == ("fed", 20, "own")
    assert alone.cost_usd == pytest.approx(20e-6)


@pytest.mark.parametrize(
    ("described", "whose", "priced"),
    [
        (OWN, "own", True),
        ({"name": "gpt-4o", "kind": "endpoint", "base_url": OPENAI}, "list", True),
        ({"name": "gpt-4o", "kind": "endpoint"}, "list", True),
        ({"name": "gpt-4o", "kind": "endpoint", "base_url": "http://10.0.0.1/v1"}, "assumed", True),
        ({"name": "gpt-4o", "kind": "http", "base_url": OPENAI}, "list", False),
        ({"name": "unheard-of", "kind": "endpoint", "base_url": OPENAI}, "list", False),
        ({"name": "scripted", "kind": "scripted"}, "local", True),
        ({"name": "smollm2-135m", "kind": "embedded"}, "local", True),
        ({"name": "mine", "kind": "transformers"}, "local", True),
    ],
)
def test_whose_price_a_manifest_gives(
    described: dict[str, Any], whose: str, priced: bool, tmp_path: Path
) -> None:
    price, found = Prices(run(tmp_path, {"agent": described})).of("agent", described["name"])
    assert (found, price is not None) == (whose, priced)
    if price is not None:
        million = Usage(prompt_tokens=10**6)
        known = listed("gpt-4o", None)
        assert known is not None
        expected = {"own": 2.0, "local": 0.0}.get(whose, known.usd(million))
        assert price(million) == expected


def test_the_models_of_the_command_line_go_over_the_manifest_but_not_over_a_price(
    tmp_path: Path,
) -> None:
    made = run(tmp_path, {"agent": OWN, "generator": {"name": "gpt-4o", "kind": "endpoint"}})
    million = Usage(prompt_tokens=10**6)
    models = {
        "agent": ModelSpec(name="tiny", base_url="http://127.0.0.1/v1"),
        "generator": ModelSpec(name="gpt-4o", price=Price(input=7, output=1)),
        "selector": ModelSpec(name="scripted"),
    }
    prices = Prices(made, models)
    found = {role: prices.of(role, spec.identity) for role, spec in models.items()}
    assert {role: whose for role, (_, whose) in found.items()} == {
        "agent": "own",
        "generator": "own",
        "selector": "local",
    }
    assert [price(million) for price, _ in found.values() if price] == [2.0, 7.0, 0.0]
    dearer = {"agent": ModelSpec(name="tiny", price=Price(input=3, output=1))}
    price, whose = Prices(made, dearer).of("agent", "tiny")
    assert price is not None
    assert (price(million), whose) == (3.0, "own")


@pytest.mark.parametrize(
    ("base_url", "whose"), [(OPENAI, "list"), ("http://127.0.0.1/v1", "assumed")]
)
def test_an_endpoint_of_the_command_line_has_its_list_price(
    base_url: str, whose: str, tmp_path: Path
) -> None:
    spec = ModelSpec(name="gpt-4o", base_url=base_url)
    prices = Prices(run(tmp_path, {"agent": {"name": "tiny"}}), {"agent": spec})
    price, found = prices.of("agent", "gpt-4o")
    assert price is not None
    assert (found, price(Usage(prompt_tokens=10)) > 0) == (whose, True)


def test_a_chatbot_of_the_command_line_has_no_list_price(tmp_path: Path) -> None:
    bot = Http(url="http://127.0.0.1/ask", body={"q": "{{ message }}"}, answer="a")
    spec = ModelSpec(name="gpt-4o", http=bot)
    assert Prices(run(tmp_path, {}), {"agent": spec}).of("agent", spec.identity)[0] is None


def test_a_price_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"contains the invalid price \{'input': 'much'"):
        Prices(run(tmp_path, {"agent": OWN | {"price": {"input": "much", "output": 1}}}))
