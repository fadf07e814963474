"""Human labels for conversations, collected with labelling tools.

`questions` defines the questions, `importing` reads the answers exported from a tool, and `human`
defines the resulting label file, which `convogen agreement` reads.
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
