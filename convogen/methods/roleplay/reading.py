"""Find the prompts and the stop token in an inquirer's output (LLM Roleplay, section 2).

All functions are pure. The output is untrusted.
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
    """Return the first text in double quotes, straight or typographic, or None."""
    return next(iter(quoted_texts(output, most=1)), None)


def quoted_texts(output: str, most: int = 100) -> list[str]:
    """Return up to `most` texts in double quotes, without nested or empty quotations.

    Quotation marks in inline or fenced code, in function calls (`print("x")`), or around a word
    that is quoted within a quotation neither open nor close a quotation.
    """
    return [output[begin:end].strip() for begin, end in quoted_spans(output, most)]


def quoted_spans(output: str, most: int = 100) -> list[tuple[int, int]]:
    """Return the start and end positions of the texts in double quotes, excluding the marks."""
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
            position = begin  # a closing mark or an inch mark
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
    """Return the end of a quotation that a straight mark before `begin` opens; None if the
    quotation is not closed.

    A typographic mark may also close the quotation, unless the mark closes a typographic quotation
    inside it.
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
    """Return whether a straight mark means inches: it follows a digit, and the quotation ends later
    in the line."""
    if not shown[index - 1].isdigit():
        return False
    following = _LATER.match(shown, index + 1)
    return following is not None and not _nests(shown, following.end() - 1)


def _nests(shown: str, index: int) -> bool:
    """Return whether a straight mark opens a quotation within another quotation."""
    before, after = shown[index - 1 : index], shown[index + 1 : index + 2]
    return before in _NESTS_AFTER or (before.isspace() and bool(after) and not after.isspace())


def _end_of(shown: str, begin: int, opened: str) -> int | None:
    """Return the end of a typographic quotation, skipping nested quotations of the same kind; None
    if no end is found."""
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
    """Return whether an output begins or ends with the stop token, ignoring punctuation."""
    said = output.strip(_EDGES)
    mark = re.escape(token.strip(_EDGES))
    return re.match(rf"{mark}(?!\w)", said) is not None or (
        re.search(rf"(?<!\w){mark}\Z", said) is not None
    )
