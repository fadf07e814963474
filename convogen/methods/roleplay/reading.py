"""The prompts in an inquirer's output, and whether it stops (LLM Roleplay, section 2).

Pure functions; the output is untrusted.
"""

from __future__ import annotations

import re

__all__ = ["extract_prompt", "quoted_spans", "quoted_texts", "stops"]

MOST_CHARS = 50_000
"""Maximum number of characters of an output that are read."""

DEEPEST = 20
"""Maximum depth of nested quotations that are followed."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_TYPOGRAPHIC = {"“": "”", "„": "“”", "«": "»", "»": "«"}
_MARKS = re.compile('["“”„«»]')
_CLOSING = re.compile('["“”]')
_LATER = re.compile(r'[^"\n]*"')
_NESTS_AFTER = "([{=,"
_EDGES = " \t\r\n\"'“”„«»‘’*_`.,!?:;()[]<>"


def extract_prompt(output: str) -> str | None:
    """Return the first text in double quotes, straight or typographic; None if there is none."""
    return next(iter(quoted_texts(output, most=1)), None)


def quoted_texts(output: str, most: int = 100) -> list[str]:
    """Return the texts in double quotes, up to `most`; neither nested nor empty ones count.

    Quotation marks in code (`…` or a fence) neither open nor close a quotation; nor do those in a
    function call (`print("x")`) or around a word quoted within a quotation.
    """
    return [output[begin:end].strip() for begin, end in quoted_spans(output, most)]


def quoted_spans(output: str, most: int = 100) -> list[tuple[int, int]]:
    """Return where the texts in double quotes begin and end, without the marks."""
    output = output[:MOST_CHARS]
    hidden = _CODE.sub(lambda code: "\x00" * len(code[0]), output)
    return _spans(output, hidden, most) or _spans(output, output, most)


def _spans(output: str, shown: str, most: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    position = 0
    while len(spans) < most and (mark := _MARKS.search(shown, position)):
        begin = mark.end()
        straight = mark[0] == '"'
        if mark[0] == "”" or (straight and shown[: mark.start()][-1:].isalnum()):
            position = begin  # it closes, or stands for inches
            continue
        while straight and shown[begin : begin + 1] == '"':
            begin += 1
        end = _end(shown, begin) if straight else _end_of(shown, begin, mark[0])
        if end is None:
            position = begin
            continue
        if output[begin:end].strip():
            spans.append((begin, end))
        position = end + 1
        while straight and shown[position : position + 1] == '"':
            position += 1
    return spans


def _end(shown: str, begin: int) -> int | None:
    """Return the end of a quotation opened by a straight mark before `begin`; None if it has none.

    A typographic mark may also close it, unless that mark closes a typographic quotation inside it.
    """
    inside, depth = False, 0
    last: int | None = None
    for mark in _CLOSING.finditer(shown, begin):
        index = mark.start()
        if mark[0] == '"':
            last = index
            if inside:
                inside = False
            elif _nests(shown, index) and shown.find('"', index + 1) >= 0:
                inside = True
            elif not _is_inches(shown, index):
                return index
        elif mark[0] == "“" or shown[index - 1].isspace():
            depth += 1
        elif depth:
            depth -= 1
        elif not inside:
            return index
    return last


def _is_inches(shown: str, index: int) -> bool:
    """Return whether a straight mark means inches, since the quotation ends later in the line."""
    if not shown[index - 1].isdigit():
        return False
    following = _LATER.match(shown, index + 1)
    return following is not None and not _nests(shown, following.end() - 1)


def _nests(shown: str, index: int) -> bool:
    """Return whether a straight mark opens a quotation within another."""
    before, after = shown[index - 1 : index], shown[index + 1 : index + 2]
    return before in _NESTS_AFTER or (before.isspace() and bool(after) and not after.isspace())


def _end_of(shown: str, begin: int, opened: str) -> int | None:
    """Return the end of a typographic quotation, after nested ones of its kind; None if it has
    none."""
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
    """Return whether an output begins or ends with the stop token, whatever marks surround it."""
    said = output.strip(_EDGES)
    mark = re.escape(token.strip(_EDGES))
    return re.match(rf"{mark}(?!\w)", said) is not None or (
        re.search(rf"(?<!\w){mark}\Z", said) is not None
    )
