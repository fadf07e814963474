"""Readers that convert conversation data from any source to `convogen.records.Conversation`.

>>> corpus = open_corpus("valid.json")
>>> sum(len(conversation.turns) for conversation in corpus)
15586
>>> corpus.bad_rows.count
0

A source is a file (plain, or compressed with gzip, bzip2, xz or Zstandard), a run folder, or
`hf:OWNER/NAME[@CONFIG][:SPLIT]` for a data set on the Hugging Face hub. Sources are streamed.
Memory use grows by only 8 bytes per conversation, which are needed to detect repeated ids. Input is
never evaluated as code, and the sizes of rows and conversations are limited.
"""

from __future__ import annotations

from convogen.corpora.base import KeyedReader, Reader
from convogen.corpora.corpus import BadRow, BadRows, Batch, Corpus, open_corpus

__all__ = ["BadRow", "BadRows", "Batch", "Corpus", "KeyedReader", "Reader", "open_corpus"]
