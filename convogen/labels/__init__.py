"""Human labels of conversations from labelling tools: the questions and the answers.

`questions` defines the questions, `importing` reads the answers of a tool, and `human` is the
resulting file, which `convogen agreement` reads.
"""

from __future__ import annotations

from convogen.labels.human import HumanLabel, is_label_file, labels_of, read_labels
from convogen.labels.importing import TOOLS, Imported, import_labels
from convogen.labels.questions import Choice, Comment, Question, Questions, Rating

__all__ = [
    "TOOLS",
    "Choice",
    "Comment",
    "HumanLabel",
    "Imported",
    "Question",
    "Questions",
    "Rating",
    "import_labels",
    "is_label_file",
    "labels_of",
    "read_labels",
]
