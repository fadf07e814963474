"""Conversation data of any origin, read into one shape: `convogen.types.Conversation`.

>>> corpus = open_corpus("valid.json")
>>> sum(len(conversation.turns) for conversation in corpus)
15586
>>> corpus.bad_rows.count
0

A source is a file (gzip allowed), a run folder, or `hf:OWNER/NAME[@CONFIG][:SPLIT]` for a data set
of the Hugging Face hub. Reading is streamed: memory does not grow with the corpus. What the text
says is never evaluated, and rows, turns and groups are bounded (`convogen.corpora.rows`).
"""

from __future__ import annotations

from convogen.corpora.base import Reader
from convogen.corpora.corpus import BadRow, BadRows, Batch, Corpus, open_corpus

__all__ = ["BadRow", "BadRows", "Batch", "Corpus", "Reader", "open_corpus"]
