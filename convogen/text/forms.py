"""Detection of forms that do not occur in speech: data, lists, headings and horizontal rules."""

from __future__ import annotations

import re

__all__ = ["form_fault"]

_DATA = re.compile(
    r"\A\s*(?:json\s*)?(?:\{\s*(?:\\?[\"'{}\[]|[^{}\n]{1,40}:|\Z)|\[\s*(?:[\[{\"']|\]))"
    r"|(?:\"[^\"\n]{1,40}\"|'\w{1,20}')\s{0,4}:\s{0,4}[\"'{\[]"
    r"|</?(?:tool_call|function\w*|tool|response|reply|answer|output|utterance|dialogue|speech"
    r"|text|turn|speaker|say|message|xml|json|div|p|br|b|i|em|strong|span|\w+_\w+)\b[^<>\n]{0,80}>"
    r"|\A<(\w+)[^<>\n]{0,80}>.*</\1>\s*\Z|\A<\?xml|\{\{|\}\}|\{%"
    r"|\A\w{2,20}\(\s*(?:\w+\s*=\s*)?[\"'].*\)\s*;?\s*\Z|\A\(\s*[\"'][^\"'\n]{1,40}[\"'],\s*[\"']"
    r"|\A(?:(?:return|print|echo)\s+|\w{2,20}\s?(?:=|->|=>|:=)\s?)[\"'][^\"\n]*[\"'];?\s*\Z"
    r"|\b\w+=\w+[;,] ?\w+=|\Anull\s*\Z",
    re.DOTALL,
)
_FIELD = re.compile(r"^[ \t]*-?[ \t]*[a-z_]{2,20}:[ \t]", re.MULTILINE)
_ITEM = re.compile(
    r"^[ \t]*(?:[-*•–—‣·▪◦✅✔☑➡→►]|(?:step )?\(?\d{1,2}[.):]|[ivx]{1,4}[.)]"
    r"|\(?[a-z][.)]|[①-⑳])[ \t]+\S",
    re.MULTILINE | re.IGNORECASE,
)
_LIST = re.compile(
    r"^#{1,6}[ \t]+\S|^[ \t]*\|.*\|"
    r"|^[ \t]*\*\*(?:[^*\n]{1,80}(?::\*\*|\*\*:)|\d+[.)])"
    r"|[①-⑳][^①-⑳]{1,300}[①-⑳]|(?:\A|\s)\(?1[.)]\s[^\n]{1,300}?\s\(?2[.)]\s",
    re.MULTILINE,
)
_RULE = re.compile(r"^[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*$|```", re.MULTILINE)
_FRAME = re.compile(
    r"\A[^\n]{0,120}\w+ \w+ [^\n]{0,60}:[*_]{0,2}[ \t]*\n|\A[(\[][^()\[\]\n]{15,}[)\]][ \t]*\n"
    r"|\n[ \t]*[*_]{0,2}[(\[][^()\[\]\n]{15,}[)\]][*_]{0,2}\s*\Z"
)
_MARKS_DATA = re.compile(r"[{}\[<=\"(:]|\Anull")
_MARKS_LIST = re.compile(r"[\n1①]|\A[#|*]")


def form_fault(text: str) -> str | None:
    """Return the fault in a text's form, or None if the text could have been spoken.

    The fault is `json` for data and markup, `list` for lists, headings and tables, and `note` for
    code, horizontal rules, and lines that introduce the speech or comment on the speech.
    """
    if _MARKS_DATA.search(text) and _DATA.search(text):
        return "json"
    if "\n" in text and len(_FIELD.findall(text)) > 1:
        return "json"
    if _MARKS_LIST.search(text) and (_LIST.search(text) or len(_ITEM.findall(text)) > 1):
        return "list"
    framed = "\n" in text and (_RULE.search(text) or _FRAME.search(text))
    return "note" if framed else None
