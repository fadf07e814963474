"""The base class for human-labelling exports.

The rows become one JSON array. The folder also contains the tool's own settings, and
`questions.yaml`, which `convogen labels import` needs to read the answers. Judges' scores are left
out because they would influence the annotators with whom the judges are compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from convogen.exports.base import Container, Exporter, Packing
from convogen.inputs.text_file import open_file
from convogen.jsonl import write_whole
from convogen.labels import Questions

__all__ = ["Labelling"]


def _read(value: Any) -> Any:
    return Questions.read(Path(value)) if isinstance(value, str) else value


class Labelling(Exporter):
    """The base class for labelling-tool exporters."""

    container: ClassVar[Container] = "jsonl"
    with_context: ClassVar[bool] = False
    data_file: ClassVar[str]
    """The file that contains all rows."""

    questions: Annotated[Questions, BeforeValidator(_read)] = Field(
        default_factory=Questions.default, description="YAML file with your own questions"
    )
    scene: bool = Field(
        default=True,
        description="show annotators the scene of each conversation, including the personas",
    )

    def pack(self, packing: Packing) -> None:
        # The file is ASCII because Argilla opens files with the system's encoding.
        with (
            open_file(packing.rows) as rows,
            (packing.folder / self.data_file).open("w", encoding="utf-8", newline="\n") as data,
        ):
            for number, line in enumerate(rows):
                data.write((",\n" if number else "[\n") + json.dumps(json.loads(line)))
            data.write("\n]\n")
        write_whole(packing.folder / "questions.yaml", self.questions.to_yaml())
        for name, text in self.settings(packing).items():
            path = packing.folder / name
            path.parent.mkdir(exist_ok=True)
            write_whole(path, text)

    def settings(self, packing: Packing) -> dict[str, str]:
        """Return the contents of the files that configure the tool, keyed by file name."""
        raise NotImplementedError
