"""Run folders with given conversations, for tests of exports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from convogen.records import Conversation, Experience, Persona, Score, Starter, Turn

NAMES = (
    "Ada",
    "user",
    "system",
    "assistant",
    "Dr: Who",
    "=Eve",
    "'-Bo",
    "|Cy| \u2028",
    "Zoë Ångström",
    "李雷",
    "N" * 80,
    "N" * 79 + "o",
    "a.b",
    "a b",
)
"""Names that cause problems in formats and trainers; some give equal identifiers."""

RISKY = (
    "=1+1",
    "'=1",
    "''@x",
    "-2",
    "+3",
    "@a",
    "＝1",
    "\n-x",
    "\tx",
    "\ry",
    "'x",
    "",
    "None",
    "a\r\nb\x85c",
    "¿:",
)

STRICT = """
{%- if messages[0].role == 'system' -%}
  {%- set scene = messages[0].content -%}{%- set chat = messages[1:] -%}
{%- else -%}
  {%- set scene = '' -%}{%- set chat = messages -%}
{%- endif -%}
{{- '<s>' -}}
{%- for message in chat -%}
  {%- if message.role != ('user', 'assistant')[loop.index0 % 2] -%}
    {{- raise_exception('after an optional system message roles must alternate, user first') -}}
  {%- endif -%}
  {%- if message.role == 'user' -%}
    {{- '[INST] ' ~ (scene if loop.first else '') ~ message.content ~ '[/INST]' -}}
  {%- else -%}
    {{- ' ' ~ message.content ~ '</s>' -}}
  {%- endif -%}
{%- endfor -%}
"""
"""A template as strict as Mistral's, which raises unless roles alternate and the user is first."""

texts = st.one_of(
    st.sampled_from(RISKY),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)


@st.composite
def dialogues(draw: st.DrawFn, least: int = 1) -> list[Turn]:
    """Draw turns of one to four people with such names, who may speak twice in a row."""
    people = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    said = st.builds(
        Turn,
        speaker=st.sampled_from(people),
        text=texts,
        lapse=st.sampled_from([None, None, "echo"]),
    )
    return draw(st.lists(said, min_size=least, max_size=9))


def played(task: int, turns: Sequence[Turn], **context: Any) -> tuple[Conversation, Experience]:
    """Return a conversation and the experience from which it was played."""
    people = list(dict.fromkeys(turn.speaker for turn in turns))
    context = {"topic": "bread", "situation": f"place {task}", **context}
    conversation = Conversation(
        id=f"c-{task}",
        task=task,
        method="convogen",
        experience=f"e-{task}",
        participants=people,
        context=context,
        turns=list(turns),
        ended="max_turns",
    )
    return conversation, Experience(
        id=f"e-{task}",
        task=task,
        personas=[Persona(name=name, text=f"{name} bakes.") for name in people],
        relations="friends",
        situation=f"place {task}",
        topic="bread",
        starter=Starter(speaker=people[0], text=turns[0].text),
    )


def spoken(*said: str) -> list[Turn]:
    """Return turns of people with single-letter names: `Ahello` means that A says `hello`."""
    return [Turn(speaker=text[0], text=text[1:]) for text in said]


def write_run(
    folder: Path,
    records: Iterable[tuple[Conversation, Experience]],
    scores: Iterable[Score] = (),
    judge: str = "geval",
    **manifest: Any,
) -> Path:
    """Write a finished run of these conversations, in the order of their tasks."""
    records, scores = list(records), list(scores)
    folder.mkdir(parents=True)
    known = {"name": "made", "fingerprint": "0123456789abcdef", "complete": True, "models": {}}
    known |= {"experiment": {"method": "convogen", "seed": 0}}
    (folder / "manifest.json").write_text(json.dumps(known | manifest))
    conversations, experiences = [one for one, _ in records], [one for _, one in records]
    files: dict[str, Sequence[Any]] = {"conversations": conversations, "experiences": experiences}
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(row.to_line() for row in rows))
    if scores:
        beside = folder / "scores" / judge
        beside.mkdir(parents=True)
        by = {"fingerprint": "judge-1", "judged_by": {"judge": judge, "model": "a-judge"}}
        (beside / "manifest.json").write_text(json.dumps(by))
        lines = b"".join(score.to_line() for score in scores)
        beside.with_suffix(".jsonl").write_bytes(lines)
    return folder


def strict_tokenizer() -> Any:
    """Return a tokenizer with a chat template as strict as Mistral's, without a download."""
    tokenizers: Any = pytest.importorskip("tokenizers")
    transformers: Any = pytest.importorskip("transformers")
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE())
    )
    made.chat_template = STRICT
    return made
