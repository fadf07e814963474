"""Export of trained models as GGUF files: the whole model, or only the adapter for llama.cpp.

The file of a whole model is a copy of the base model's file in which the changed weights are
replaced. The metadata, the tokenizer and all other tensors are copied unchanged. Changed weights
are stored in 8 bits (Q8_0), or in 16 bits if their row length is not a multiple of the block size.
The matrices of an adapter are stored in 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from convogen.errors import ModelConfigError
from convogen.jsonl import replacing
from convogen.training.loading import library

__all__ = ["check_exportable", "write_adapter", "write_gguf"]

ARCHITECTURE = "llama"
"""llama.cpp's name for the architecture of Llama, Mistral, SmolLM and similar models, which store
their weights in the same way."""


def check_exportable(base: Path | None) -> None:
    """Raise `ModelConfigError` if `write_gguf` cannot write a model with this base."""
    how = "use --merge, and run llama.cpp's convert_hf_to_gguf.py on the merged/ folder"
    if base is None:
        raise ModelConfigError(f"--gguf: the base is not a GGUF file; {how}")
    try:
        found = _text(library("gguf").GGUFReader(base), "general.architecture")
    except (ValueError, LookupError, OSError, ArithmeticError, MemoryError) as error:
        raise ModelConfigError(
            f"--gguf: {base} is damaged or truncated ({error}); get a new copy of the file"
        ) from error
    if found != ARCHITECTURE:
        raise ModelConfigError(
            f"--gguf: {base.name} has the architecture {found!r}, but only files with the "
            f"architecture {ARCHITECTURE!r} can be written; {how}"
        )


def write_gguf(base: Path, changed: Iterable[tuple[str, Any]], path: Path) -> None:
    """Write a copy of `base` with changed weights to `path`.

    `changed` yields module names as in transformers, such as `model.layers.0.mlp.up_proj`, each
    with its weights as an array of shape (out, in).
    """
    gguf: Any = library("gguf")
    reader = gguf.GGUFReader(base)
    new = dict(_as_stored(gguf, reader, changed))
    with replacing(path) as beside:
        writer = gguf.GGUFWriter(beside, arch=_text(reader, "general.architecture"))
        _copy_metadata(gguf, reader, writer)
        for tensor in reader.tensors:
            data, kind = new.get(tensor.name, (tensor.data, tensor.tensor_type))
            writer.add_tensor(tensor.name, data, raw_dtype=kind)
        _write(writer)


def write_adapter(
    base: Path, matrices: Iterable[tuple[str, Any, Any]], alpha: float, path: Path
) -> None:
    """Write a LoRA adapter for `base` to `path`, in llama.cpp's format (`--lora`).

    `matrices` yields module names as in transformers, each with the matrices A of shape (rank, in)
    and B of shape (out, rank). The adapted weights are W + alpha / rank * B A.
    """
    gguf: Any = library("gguf")
    reader = gguf.GGUFReader(base)
    stored = _Stored(gguf, reader)
    with replacing(path) as beside:
        writer = gguf.GGUFWriter(beside, arch=_text(reader, "general.architecture"))
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", alpha)
        for name, down, up in matrices:
            weight = stored.name(name)
            writer.add_tensor(f"{weight}.lora_a", down.astype("float16"))
            writer.add_tensor(f"{weight}.lora_b", stored.ordered(weight, up).astype("float16"))
        _write(writer)


def _write(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_metadata(gguf: Any, reader: Any, writer: Any) -> None:
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        if name == "general.alignment":
            writer.add_custom_alignment(field.contents())
            continue
        of_items = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, field.contents(), field.types[0], of_items)


def _as_stored(
    gguf: Any, reader: Any, changed: Iterable[tuple[str, Any]]
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the name, data and type of each changed tensor in the file's format."""
    stored = _Stored(gguf, reader)
    for name, weights in changed:
        weight = stored.name(name)
        kinds = gguf.GGMLQuantizationType
        kind = kinds.Q8_0 if weights.shape[-1] % 32 == 0 else kinds.F16
        yield weight, (gguf.quants.quantize(stored.ordered(weight, weights), kind), kind)


class _Stored:
    """The names of weights and the order of rows in the base file."""

    def __init__(self, gguf: Any, reader: Any) -> None:
        blocks = int(reader.fields["llama.block_count"].contents())
        self._names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, blocks)
        self._heads = int(reader.fields["llama.attention.head_count"].contents())
        pairs = reader.fields.get("llama.attention.head_count_kv")
        self._of_keys = int(pairs.contents()) if pairs else self._heads
        self._known = {tensor.name for tensor in reader.tensors}

    def name(self, module: str) -> str:
        """Return the file's name for the weights of a module, such as `model.layers.0.mlp.up_proj`.

        Raises `ModelConfigError` if the file has no such weights.
        """
        weight = f"{self._names.get_name(module)}.weight"
        if weight not in self._known:
            raise ModelConfigError(
                f"--gguf: the base has no weights for the adapted module {module}; leave this "
                "module out of target_modules"
            )
        return weight

    def ordered(self, weight: str, rows: Any) -> Any:
        """Return rows of shape (out, …) in the file's order."""
        if weight.endswith("attn_q.weight"):
            return _interleaved(rows, self._heads)
        return _interleaved(rows, self._of_keys) if weight.endswith("attn_k.weight") else rows


def _interleaved(weights: Any, heads: int) -> Any:
    """Return query or key rows in llama.cpp's order.

    In this order, rows from the two rotary halves of each head alternate.
    """
    rows, width = weights.shape
    halves = weights.reshape(heads, 2, rows // heads // 2, width)
    return halves.swapaxes(1, 2).reshape(rows, width)


def _text(reader: Any, key: str) -> str:
    field = reader.fields.get(key)
    return str(field.contents()) if field else ""
