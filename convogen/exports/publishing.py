"""Upload of an export to the Hugging Face hub, through `datasets`.

The token is taken from `HF_TOKEN` or the `hf auth login` cache; convogen never asks for a token.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from convogen.errors import SourceError
from convogen.exports.containers import quiet
from convogen.exports.folder import DESCRIPTION
from convogen.inputs.yaml12 import parse_yaml
from convogen.redaction import masked

__all__ = ["check_name", "push"]


def check_name(name: str) -> None:
    """Raise `SourceError` if a name is not a valid OWNER/NAME on the hub."""
    validators: Any = import_module("huggingface_hub.utils")
    try:
        validators.validate_repo_id(name)
        if name.count("/") != 1:
            raise ValueError("it must be OWNER/NAME")
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"push to hub: {name!r} is not a data set name: {reason}") from None


def push(folder: Path, name: str, private: bool) -> str:
    """Upload the export in a folder to a hub data set, starting with the card; return the data
    set's URL.

    `name` is OWNER/NAME. On the hub, the data is stored as Parquet, regardless of the export's
    format. Raises `SourceError` if the hub refuses the upload or cannot be reached; the export
    remains unchanged.
    """
    datasets: Any = import_module("datasets")
    hub: Any = import_module("huggingface_hub")
    try:
        with quiet(datasets), tempfile.TemporaryDirectory() as scratch:
            data = _load(datasets, folder, scratch)
            made = hub.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
            hub.upload_file(
                path_or_fileobj=_card(folder).encode(),
                path_in_repo="README.md",
                repo_id=name,
                repo_type="dataset",
            )
            data.push_to_hub(name, private=private)
            return str(made)
    except (OSError, ValueError, RuntimeError, *_http_errors()) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = masked((lines or [type(error).__name__])[0])
        raise SourceError(
            f"push to hub: {name}: {reason}; the export in {folder} is complete and can be pushed "
            f"again; if authentication failed, set HF_TOKEN or run `hf auth login`"
        ) from None


def _http_errors() -> list[type[Exception]]:
    """Return the exceptions raised by the hub's HTTP client, which may use one of several
    libraries."""
    found = [name for name in ("httpx", "httpx2") if find_spec(name)]
    return [import_module(name).HTTPError for name in found]


def _load(datasets: Any, folder: Path, scratch: str) -> Any:
    if (folder / "dataset_dict.json").exists():
        return datasets.load_from_disk(str(folder))
    assert (folder / DESCRIPTION).exists(), "only an export can be pushed"
    return datasets.load_dataset(str(folder), cache_dir=scratch)


def _card(folder: Path) -> str:
    """Return the card without the entries about files, which `datasets` writes itself."""
    _, matter, body = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    entries: dict[str, Any] = parse_yaml(matter, f"{folder}/README.md")
    kept = {key: value for key, value in entries.items() if key not in ("configs", "dataset_info")}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n{body}".replace("load_from_disk", "load_dataset")
