"""The prompts in an inquirer's output, and whether it stops (LLM Roleplay, section 2).

Pure functions; the output is foreign text.
"""

from __future__ import annotations

import re

__all__ = ["extract_prompt", "quoted_spans", "quoted_texts", "stops"]

MOST_CHARS = 50_000
"""How much of an output is read."""

DEEPEST = 20
"""Quotations within quotations that are followed."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_TYPOGRAPHIC = {"“": "”", "„": "“”", "«": "»", "»": "«"}
_MARKS = re.compile('["“”„«»]')
_CLOSING = re.compile('["“”]')
_LATER = re.compile(r'[^"\n]*"')
_NESTS_AFTER = "([{=,"
_EDGES = " \t\r\n\"'“”„«»‘’*_`.,!?:;()[]<>"


def extract_prompt(output: str) -> str | None:
    """The first text in double quotes, straight or typographic; None where there is none."""
    return next(iter(quoted_texts(output, most=1)), None)


def quoted_texts(output: str, most: int = 100) -> list[str]:
    """The texts in double quotes, outermost ones only, up to `most`; empty ones do not count.

    What is in code (`…` or a fence) neither opens nor closes a quotation; nor do the quotes of a
    call (`print("x")`) or of a word that is quoted within.
    """
    return [output[begin:end].strip() for begin, end in quoted_spans(output, most)]


def quoted_spans(output: str, most: int = 100) -> list[tuple[int, int]]:
    """Where the texts in double quotes begin and end, the marks left out."""
    output = output[:MOST_CHARS]
    hidden = _CODE.sub(lambda code: "\x00" * len(code[0]), output)
    return _spans(output, hidden, most) or _spans(output, output, most)


def _spans(output: str, shown: str, most: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = 0
    while len(found) < most and (mark := _MARKS.search(shown, at)):
        begin = mark.end()
        straight = mark[0] == '"'
        if mark[0] == "”" or (straight and shown[: mark.start()][-1:].isalnum()):
            at = begin  # it closes, or stands for inches
            continue
        while straight and shown[begin : begin + 1] == '"':
            begin += 1
        end = _end(shown, begin) if straight else _end_of(shown, begin, mark[0])
        if end is None:
            at = begin
            continue
        if output[begin:end].strip():
            found.append((begin, end))
        at = end + 1
        while straight and shown[at : at + 1] == '"':
            at += 1
    return found


def _end(shown: str, begin: int) -> int | None:
    """Where a quotation ends that a straight mark opened before `begin`; None where it does not.

    A typographic mark may close it, one that no such mark within has opened.
    """
    inside, depth = False, 0
    last: int | None = None
    for mark in _CLOSING.finditer(shown, begin):
        at = mark.start()
        if mark[0] == '"':
            last = at
            if inside:
                inside = False
            elif _nests(shown, at) and shown.find('"', at + 1) >= 0:
                inside = True
            elif not _is_inches(shown, at):
                return at
        elif mark[0] == "“" or shown[at - 1].isspace():
            depth += 1
        elif depth:
            depth -= 1
        elif not inside:
            return at
    return last


def _is_inches(shown: str, at: int) -> bool:
    """True where a straight mark stands for inches: the quotation ends later in its line."""
    if not shown[at - 1].isdigit():
        return False
    following = _LATER.match(shown, at + 1)
    return following is not None and not _nests(shown, following.end() - 1)


def _nests(shown: str, at: int) -> bool:
    """True where a straight mark opens a quotation within another."""
    before, after = shown[at - 1 : at], shown[at + 1 : at + 2]
    return before in _NESTS_AFTER or (before.isspace() and bool(after) and not after.isspace())


def _end_of(shown: str, begin: int, opened: str) -> int | None:
    """Where a typographic quotation ends, those of its kind within it passed over."""
    closing, depth = _TYPOGRAPHIC[opened], 0
    for mark in _MARKS.finditer(shown, begin):
        if mark[0] in closing:
            if not depth:
                return mark.start()
            depth -= 1
        elif mark[0] == opened:
            depth += 1
            if depth > DEEPEST:
                return None
    at = shown.find('"', begin)
    return at if at >= 0 else None


def stops(output: str, token: str) -> bool:
    """True where an output begins or ends with the stop token, whatever marks are around it."""
    said = output.strip(_EDGES)
    mark = re.escape(token.strip(_EDGES))
    return re.match(rf"{mark}(?!\w)", said) is not None or (
        re.search(rf"(?<!\w){mark}\Z", said) is not None
    )
