"""A run against a test endpoint whose agents give faulty replies again and again."""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from endpoint_server import Answer, Asked, converse, say, serving

from convogen import Experiment, load_run, run

SHARE = 0.3
MARK = "flumox"
"""A word that occurs in every faulty reply, in the part that must not become a turn."""

GOOD = (
    "I was going to say that about the {a} and the {b}.",
    "The {a} is yours if you carry the {b} home.",
    "Nobody told me there was a {a} behind the {b}!",
    "Then we look for the {a} first, and I ask about the {b} later.",
)
WORDS = "kettle ladder market orchard parcel quarry tunnel basket copper drawer lantern".split()

FAULTS: dict[str, str] = {
    "refusal": f"I'm sorry, but I can't assist with that {MARK} request.",
    "assistant_offer": f"Happy to talk {MARK}! How can I help you today?",
    "other_speaker": f"Let me think.\n{{other}}: The {MARK} was mine.",
    "stage_direction": f"*picks up the {MARK} and leaves the room*",
    "json": f'{{{{"speaker": "{{me}}", "text": "the {MARK}"}}}}',
    "list": f"1. Find the {MARK}\n2. Wash the {MARK}\n3. Leave",
    "note": f"Well, all right. (Note: I kept it under 25 {MARK} words.)",
    "recited": f"Go after what you want here. You may disagree, tease, dodge, interrupt {MARK}.",
    "loop": f"the {MARK} again " * 12,
    "third_person": f"{{first}} looks at the {MARK} and says nothing for a while.",
    "cut_off": f"We could go and take the {MARK} wi",
}
TIDIED: dict[str, str] = {
    "thinking": f"<think>They want the {MARK}.</think>{{good}}",
    "template_tokens": f"{{good}}<|eot_id|><|{MARK}|>",
    "label": f"{{me}} (holding a {MARK}): {{good}}",
    "stage_direction": f"{{good}} *shrugs and drops the {MARK}*",
}


class Faulty:
    """A script that answers a share of the agents' requests with faults, chosen by the request
    alone."""

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._forms = [*FAULTS.items(), *TIDIED.items(), ("echo", "")]

    def __call__(self, asked: Asked) -> Answer:
        system = asked.body["messages"][0]["content"]
        me = re.match(r"You are (.+?), a person", system)
        if me is None:
            return converse(asked)
        rng = random.Random(json.dumps(asked.body, sort_keys=True))
        number = rng.randrange(10**6)
        good = rng.choice(GOOD).format(a=rng.choice(WORDS), b=f"{rng.choice(WORDS)} {number}")
        if rng.random() >= SHARE:
            return say(good)
        kind, form = rng.choice(self._forms)
        with self._lock:
            self.served[kind] += 1
        if kind == "echo":
            return say(asked.body["messages"][-1]["content"].split(": ", 1)[-1])
        others = re.findall(r"^- (.+?)(?::|$)", system.split("talking with:")[1], re.MULTILINE)
        text = form.format(me=me[1], first=me[1].split()[0], other=others[0], good=good)
        return say(text, finish_reason="length" if kind == "cut_off" else "stop")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """Make a run of 25 conversations; return the number of faulty replies of each kind."""
    folder = tmp_path_factory.mktemp("faulty") / "run"
    script = Faulty()
    with serving(script) as server:
        spec = {"name": "test", "base_url": server.base_url}
        settings: dict[str, Any] = {"n": 25, "models.default": spec, "participants": 3}
        run(Experiment.load("GPFS-s", settings), folder)
    return folder, script.served


def test_n_conversations_come_out_and_none_has_a_fault(
    faulty: tuple[Path, Counter[str]],
) -> None:
    folder, served = faulty
    assert min(served.values()) > 2
    conversations = list(load_run(folder).conversations())
    assert len(conversations) == 25
    for conversation in conversations:
        assert 2 * len(conversation.turns) >= 10
        texts = [turn.text for turn in conversation.turns]
        assert len(texts) == len(set(texts))
        assert not any(MARK in text or "<|" in text for text in texts), texts


def test_show_counts_what_was_asked_again_and_tidied_by_kind(
    faulty: tuple[Path, Counter[str]],
) -> None:
    folder, _ = faulty
    shown = json.loads(convogen("show", str(folder), "--json").out)
    assert set(shown["reasks"]) == {*FAULTS, "echo"}
    assert set(shown["tidied"]) == set(TIDIED)
    text = " ".join(convogen("show", str(folder)).out.split())
    for kind in (*FAULTS, "echo"):
        assert f"{kind} {shown['reasks'][kind]}" in text
    assert "per conversation" in text


def test_the_journal_of_a_run_is_played_again_to_the_same_bytes(
    faulty: tuple[Path, Counter[str]],
) -> None:
    """Replies that were retried are retried in the same way."""
    folder, _ = faulty
    assert "identical" in convogen("replay", str(folder)).out
