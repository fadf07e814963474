"""The distance between generated and human conversations, measured by a classifier two-sample test.

A linear classifier, cross-fitted on features of conversations, predicts which of two corpora a
conversation comes from (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017).
An area under the curve of 0.5 means that the classifier cannot distinguish the corpora by these
features. No language model is called.
"""

from __future__ import annotations

from convogen.realism.comparing import Realism, compare
from convogen.realism.samples import Turns, sample
from convogen.realism.telltales import TellingTurn, TellingWord, Telltale
from convogen.realism.two_sample import Control, Separation

__all__ = [
    "Control",
    "Realism",
    "Separation",
    "TellingTurn",
    "TellingWord",
    "Telltale",
    "Turns",
    "compare",
    "sample",
]
