"""Removal of text that is not part of the answer: thinking, channels and special tokens."""

from __future__ import annotations

import re

__all__ = ["has_template_tokens", "without_template_tokens", "without_thinking"]

_NAMES = (
    r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|analysis"
    r"|(?:inner_|internal_)?monologue|inner_thoughts?)"
)
_TAG = re.compile(
    rf"(?P<open><\|?{_NAMES}\|?>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>)"
    rf"|<\|?/{_NAMES}\|?>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"(?:<\|?channel\|?>\s*|(?:\A|(?<=\|>))\s*(?=(?:analysis|commentary|final)<\|message\|>))"
    r"(?P<name>\w*)[^<\n]{0,80}(?:<\|constrain\|>[^<\n]{0,20})?(?P<message><\|?message\|?>)?",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"<\|?(?:end|return|call|start|channel|message)\|?>")
_LAST_END = re.compile(
    r".*<\|end\|>\s*(?:<\|start\|>\s*assistant)?\s*(?:<\|message\|>)?", re.DOTALL
)
_SPELT_FINAL = re.compile(
    r"\A\s*(?:assistant\s?final"
    r"|[*\[]{0,2}(?:assistant)?(?:analysis|Analysis(?=:)|commentary).*"
    r"(?:assistant\s?final|[\s.!?\"”)\]|*]\s*[*\[|]{0,3}[Ff]inal(?=[*\]|:\n]|[A-Z“\"])[*\]]{0,2}))[\s:|]*",
    re.DOTALL,
)
_MARKER = (
    r"(?:<[|｜][\w▁:/ .-]{1,40}[|｜]>|</?s>|<(?:bos|eos|pad|unk|mask)>|<(?:start|end)_of_turn>"
    r"|\[/?INST\]|<</?SYS>>|<(?:unused|extra_id_)\d{1,3}>|\[(?:BOS|EOS|PAD|UNK)\])"
)
_AFTER_START = (
    r"(?:(?<=<\|im_start\|>)|(?<=<start_of_turn>)|(?<=<\|start_header_id\|>))(?:assistant|model)\b"
)
_ROLE = (
    r"(?:\#{2,3} ?)?(?:(?:ai )?assistant|response)\s?[:：]|\[(?:ai )?assistant\]:?"
    r"|(?:\A|(?<=\n))(?-i:assistant|model|final)[ \t]*\n"
    r"|(?-i:(?:final|assistant)(?=[A-Z“\"])|final:)"
)
_LEADING = re.compile(rf"\A(?:\s*(?:{_MARKER}|{_AFTER_START}|{_ROLE}))+\s*", re.IGNORECASE)
_LEADING_MARKERS = re.compile(rf"\A(?:\s*(?:{_MARKER}|{_AFTER_START}))+\s*", re.IGNORECASE)
_TRAILING = re.compile(rf"(?:\s*(?:{_MARKER}|<\|\w{{0,30}}))+\s*\Z", re.IGNORECASE)
_LONGEST_TOKEN = 60
_ANYWHERE = re.compile(_MARKER, re.IGNORECASE)


def without_thinking(text: str) -> tuple[str, bool]:
    """Return a reply without the model's thinking, and whether the reply contained thinking.

    Thinking is the text in any common kind of tags, or in channels other than the final channel
    (harmony format, with or without its special tokens). If only the closing tag is present,
    everything before the tag is thinking. An unclosed block extends to the end.
    """
    if "<" not in text and "[" not in text and "◁" not in text and "inal" not in text:
        return text, False
    if _CHANNEL.search(text):
        return _final_channel(text), True
    if (spelt := _SPELT_FINAL.match(text)) is not None:
        return text[spelt.end() :].strip(), True
    spoken: list[str] = []
    begin, inside, changed = 0, False, False
    for tag in _TAG.finditer(text):
        changed = True
        if tag["open"]:
            if not inside:
                spoken.append(text[begin : tag.start()])
            inside = True
        else:
            if not inside:
                spoken.clear()
            inside = False
        begin = tag.end()
    if not changed:
        return text, False
    if not inside:
        spoken.append(text[begin:])
    return " ".join(part.strip() for part in spoken if part.strip()), True


def _final_channel(text: str) -> str:
    """Return the text of the last final channel or, without one, the text after all channels."""
    final = [channel for channel in _CHANNEL.finditer(text) if channel["name"].lower() == "final"]
    if not final:
        closed = _LAST_END.match(text)
        rest = text[closed.end() :] if closed is not None else ""
        return "" if _SPECIAL.search(rest) else rest.strip()
    begin = final[-1].end() if final[-1]["message"] else final[-1].end("name")
    end = _SPECIAL.search(text, begin)
    return text[begin : end.start() if end else None].strip()


def without_template_tokens(text: str, *, roles: bool = True) -> tuple[str, bool]:
    """Return a text without chat-template tokens at either end, and whether any were removed.

    Args:
        text: A reply without white space at either end.
        roles: Whether the name of the assistant's role before the reply counts as a token.
    """
    stripped = text
    if stripped[:1] in "<[#aAmf":
        stripped = (_LEADING if roles else _LEADING_MARKERS).sub("", stripped, count=1)
    if stripped[-1:] in ">]" or "<|" in stripped[-40:]:
        stripped = _strip_trailing(stripped)
    return (stripped, True) if stripped != text else (text, False)


def _strip_trailing(text: str) -> str:
    """Remove tokens at the end of a text.

    Each search covers only the last characters, which keeps the running time linear.
    """
    end = len(text)
    while (tokens := _TRAILING.search(text, max(0, end - _LONGEST_TOKEN), end)) is not None:
        end = tokens.start()
        while end and text[end - 1].isspace():
            end -= 1
    return text[:end]


def has_template_tokens(text: str) -> bool:
    """Return whether a text contains chat-template tokens."""
    return ("<" in text or "[" in text) and _ANYWHERE.search(text) is not None
