"""What people say of conversations in labelling tools: the questions, and the answers read back.

`questions` has what is asked, `importing` reads the answers of a tool, `human` is the file that
they become, which `convogen agreement` reads.
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
