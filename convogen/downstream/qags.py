"""QAGS: does a summary give the same answers to questions as its dialogue? (Wang et al., 2020)

As in DiaSynth (section 4.2), the questions come from the source dialogue, not from the summary.
Summaries of different models are therefore compared on the same questions. Only questions that the
dialogue itself answers count. The score of a question is the word F1 of the two answers (as in
SQuAD, ignoring case, articles and punctuation), and the score of a summary is the mean over its
questions. The code of DiaSynth's authors asks three questions per dialogue and uses the BERTScore
of the two answers, even if one of them states that the text has no answer. To reproduce this, pass
a function that returns BERTScores to `qags` as `alike`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import regex

from convogen.engine.item_runner import Asking, role_of
from convogen.errors import ModelFault
from convogen.experiment.fingerprint import fingerprint_of
from convogen.generation.structured_output import UnusableReply, find_json, read_object
from convogen.models.base import Sampling, printable
from convogen.models.spec import ModelSpec
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt, load_prompt
from convogen.text.lengths import Words, cut_texts, trimmed
from convogen.text.rouge import tokens
from convogen.text.segmentation import unspaced_script

__all__ = [
    "ANSWERER",
    "QUESTIONER",
    "Alike",
    "Questions",
    "answer_f1",
    "answers_f1",
    "ask_questions",
    "qags",
]

Alike = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Function that returns the similarity (0 to 1) of each answer from a summary to the corresponding
answer from the dialogue."""

QUESTIONER, ANSWERER = "questioner", "answerer"
UNSAID = "not said"

QUESTION, ANSWER = Words(20), Words(8)
"""Length limits for a question and for an answer."""

_PUNCTUATION = regex.compile(r"[^\p{L}\p{M}\p{N}_\s]")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def _exact(n: int) -> Sampling:
    """Return sampling parameters with enough tokens for `n` questions or answers."""
    return Sampling(temperature=0.0, max_tokens=60 + 40 * n)


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions that a dialogue answers, and the dialogue's answers to them."""

    questions: list[str]
    answers: list[str]


def ask_questions(
    dialogues: Sequence[str], n: int, models: Mapping[str, ModelSpec], asking: Asking
) -> list[Questions]:
    """Return up to `n` questions about each dialogue, or none if no question is usable."""
    question, answer = (load_prompt(f"downstream/{name}") for name in ("questions", "answers"))
    roles = {role: role_of(models[role], _exact(n)) for role in (QUESTIONER, ANSWERER)}

    async def ask(number: int, session: Session) -> dict[str, Any]:
        prompt = question.render(dialogue=dialogues[number], n=n, words=QUESTION)
        try:
            said = await session.ask(QUESTIONER, prompt, schema=_questions_schema(n))
            found = _questions(said, n)
            answers = await _answers(session, answer, dialogues[number], found) if found else []
        except ModelFault as fault:
            return {"questions": [], "answers": [], "fault": fault.kind}
        return {"questions": found, "answers": answers}

    essence = {"dialogues": fingerprint_of(list(dialogues)), "n": n, **_hashes(question, answer)}
    rows = asking.rows("questions", roles, essence, len(dialogues), ask)
    return [_answered(row) for row in rows]


def qags(
    asked: Sequence[Questions],
    summaries: Sequence[str],
    models: Mapping[str, ModelSpec],
    asking: Asking,
    alike: Alike | None = None,
) -> list[float | None]:
    """Return each summary's score (0 to 1).

    The score is None if there are no questions or if the model's reply is unreadable.

    Answers are compared by `alike`, or by `answers_f1` if `alike` is None.
    """
    prompt = load_prompt("downstream/answers")

    async def ask(number: int, session: Session) -> dict[str, Any]:
        questions = asked[number].questions
        if not questions or not summaries[number]:
            return {"answers": [UNSAID] * len(questions)}
        try:
            return {"answers": await _answers(session, prompt, summaries[number], questions)}
        except ModelFault as fault:
            return {"answers": None, "fault": fault.kind}

    known = fingerprint_of([[one.questions, one.answers] for one in asked])
    essence = {"summaries": fingerprint_of(list(summaries)), "questions": known, **_hashes(prompt)}
    most = max((len(one.questions) for one in asked), default=0)
    roles = {ANSWERER: role_of(models[ANSWERER], _exact(most))}
    rows = asking.rows("answers", roles, essence, len(summaries), ask)
    return [
        _score(one, row["answers"], alike or answers_f1)
        for one, row in zip(asked, rows, strict=True)
    ]


def answers_f1(given: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Return the `answer_f1` of each pair of answers; 0 if the answer in `given` is `not said`."""
    pairs = zip(given, wanted, strict=True)
    return [answer_f1(ours, theirs) if _said(ours) else 0.0 for ours, theirs in pairs]


def answer_f1(given: str, wanted: str) -> float:
    """Return the word F1 (0 to 1) of two answers, which is 1 if both are empty.

    In writing systems without spaces between words, characters are compared instead of words.
    """
    ours, theirs = _words(given), _words(wanted)
    if not (ours and theirs):
        return float(ours == theirs)
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total())


async def _answers(
    session: Session, prompt: Prompt, text: str, questions: Sequence[str]
) -> list[str]:
    """Return the answer to each question, or `not said` if the text has none.

    All answers are requested in a single model call. If an answer is cut off, only its complete
    words are kept.

    Raises:
        ModelFault: The reply cannot be parsed.
    """
    fields = [str(at) for at in range(1, len(questions) + 1)]
    asked = prompt.render(text=text, questions=questions, words=ANSWER)
    schema = _answers_schema(fields)
    said = await session.ask(ANSWERER, asked, schema=schema)
    try:
        data = read_object(said, fields)
    except UnusableReply as fault:
        raise ModelFault("answers_unreadable", f"answers: {fault}", said.text) from fault
    for cut in cut_texts(data, schema, said.finish_reason):
        data[str(cut.path[0])] = trimmed(cut.text)
    return [_line(data.get(field)) or UNSAID for field in fields]


def _answered(row: dict[str, Any]) -> Questions:
    """Return the questions that the dialogue answers, with the dialogue's answers."""
    pairs = zip(row["questions"], row["answers"], strict=True)
    kept = [(question, answer) for question, answer in pairs if _said(answer)]
    return Questions([question for question, _ in kept], [answer for _, answer in kept])


def _score(asked: Questions, answers: Sequence[str] | None, alike: Alike) -> float | None:
    if answers is None or not asked.questions:
        return None
    scores = alike(answers, asked.answers)
    return sum(scores) / len(scores)


def _said(answer: str) -> bool:
    return bool(_words(answer)) and _words(answer) != _words(UNSAID)


def _words(text: str) -> Counter[str]:
    plain = _PUNCTUATION.sub(" ", text.casefold())
    if (language := unspaced_script(plain)) is not None:
        return Counter(tokens(plain, language))
    return Counter(_ARTICLE.sub(" ", plain).split())


def _questions(said: SessionReply, n: int) -> list[str]:
    """Return the questions in a reply, except those that are cut off or far too long."""
    data = find_json(said.text, ["questions"]) or {}
    cut = {text.text for text in cut_texts(data, _questions_schema(n), said.finish_reason)}
    found = data.get("questions")
    items = cast("list[Any]", found) if isinstance(found, list) else []
    lines = [_line(item) for item in items if isinstance(item, str) and item not in cut]
    kept = [line for line in lines if 0 < len(line) <= QUESTION.max_chars]
    return list(dict.fromkeys(kept))[:n]


def _line(said: Any) -> str:
    """Return a model's string on one line, or an empty string for any other value."""
    return " ".join(printable(said).split()) if isinstance(said, str) else ""


def _questions_schema(n: int) -> dict[str, Any]:
    text = {"type": "string", "maxLength": QUESTION.max_chars}
    questions = {"type": "array", "items": text, "minItems": 1, "maxItems": n}
    return _object({"questions": questions})


def _answers_schema(fields: Sequence[str]) -> dict[str, Any]:
    return _object({field: {"type": "string", "maxLength": ANSWER.max_chars} for field in fields})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _hashes(*prompts: Prompt) -> dict[str, list[str]]:
    return {"prompts": [prompt.hash for prompt in prompts]}
