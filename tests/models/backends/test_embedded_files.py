"""The files of the embedded model: damage is reported before a single word is generated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import python_process

from convogen import load_run
from convogen.errors import ModelConfigError
from convogen.models.backends.embedded_files import MODEL_FILE, check_adapter, check_model
from convogen.models.backends.gguf import find_gguf, serve
from convogen.models.spec import EMBEDDED
from convogen.resources import FOR_EMBEDDED, shipped

ADAPTER = FOR_EMBEDDED / "people-1.gguf"
DAMAGES = {
    "missing": "is missing",
    "empty": "has 0 bytes instead of",
    "truncated": "bytes instead of",
    "one bit": "is damaged (its SHA-256 is ",
    "longer": "bytes instead of",
}


def damaged(whole: bytes, damage: str) -> bytes | None:
    at = len(whole) // 2
    return {
        "missing": None,
        "empty": b"",
        "truncated": whole[:-1],
        "one bit": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "longer": whole + b"\0",
    }[damage]


def model_file() -> Path:
    try:
        return find_gguf(EMBEDDED)
    except ModelConfigError as error:
        pytest.skip(str(error))


def test_what_is_released_passes() -> None:
    assert check_adapter() == ADAPTER
    check_model(model_file())
    check_model(Path("another.gguf"))


def test_the_adapter_was_trained_on_the_model_that_is_checked_for(tmp_path: Path) -> None:
    base = json.loads(ADAPTER.with_suffix(".json").read_bytes())["training"]["base"]
    assert base["name"] == MODEL_FILE
    (tmp_path / MODEL_FILE).write_bytes(b"")
    with (tmp_path / MODEL_FILE).open("r+b") as file:
        file.truncate(model_file().stat().st_size)  # the right size, all zeros
    with pytest.raises(ModelConfigError, match="is damaged"):
        check_model(tmp_path / MODEL_FILE)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_named(damage: str, tmp_path: Path) -> None:
    content = damaged(ADAPTER.read_bytes(), damage)
    if content is not None:
        (tmp_path / ADAPTER.name).write_bytes(content)
    with pytest.raises(ModelConfigError) as raised:
        check_adapter(tmp_path)
    line = str(raised.value)
    assert line.startswith(f"adapter for the embedded model {tmp_path / ADAPTER.name}: ")
    assert DAMAGES[damage] in line
    assert line.endswith("reinstall convogen")


def test_nothing_is_written_with_a_damaged_adapter(tmp_path: Path) -> None:
    """The damage is in a copy of the package, as in a broken installation."""
    model_file()
    pytest.importorskip("xllamacpp")
    package = tmp_path / "site" / "convogen"
    shutil.copytree(FOR_EMBEDDED.parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("experiences", "personas"):
        shutil.copytree(shipped(folder), package / "_data" / folder)
    adapter = package / "training" / "embedded" / ADAPTER.name
    adapter.write_bytes(damaged(adapter.read_bytes(), "one bit") or b"")
    program = "from convogen.cli.main import main; main()"
    asked = ("run", "demo", "--n", 1, "--out", tmp_path / "run")
    ended = python_process("-P", "-c", program, *asked, PYTHONPATH=str(package.parent))
    assert ended.status == 2
    assert f"convogen: adapter for the embedded model {adapter}: is damaged" in ended.err
    assert MODEL_FILE not in ended.err
    assert not load_run(tmp_path / "run").manifest.get("complete")


@pytest.mark.parametrize("damage", ["empty", "truncated", "one bit"])
def test_a_damaged_model_is_named(damage: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    file = tmp_path / MODEL_FILE
    file.write_bytes(damaged(model_file().read_bytes(), damage) or b"")
    with pytest.raises(ModelConfigError) as raised:
        serve(file)
    line = str(raised.value)
    assert line.startswith(f"model {file}: ")
    assert DAMAGES[damage] in line
    assert "convogen models pull embedded" in line
