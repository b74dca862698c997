"""Reading checkpoint files without running anything in them, and naming weights."""

from __future__ import annotations

import hashlib
import pickle
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from napari_dinoprompt.core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors or PyTorch file.

    PyTorch files are read with ``weights_only=True``: they cannot run code.

    On the CPU.
    """
    if not path.is_file():
        msg = f"There is no checkpoint file {path}."
        raise CheckpointError(msg)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # What torch warns of in foreign files ends in the message below.
            warnings.simplefilter("ignore")
            _check_archive(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (CheckpointError, MemoryError):
        raise
    # Bytes that are no checkpoint can make torch's unpickler raise anything.
    except Exception as error:
        # What torch says of pickles is about its own versions.
        damaged = "it is damaged, or holds more than numbers, which is never run."
        pickled = isinstance(error, pickle.UnpicklingError)
        reason = damaged if pickled else str(error).partition("\n")[0]
        msg = f"The checkpoint {path} cannot be read: {reason}"
        raise CheckpointError(msg) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor)
        for key, value in content.items()
    ):
        msg = f"The checkpoint {path} does not hold tensors by name."
        raise CheckpointError(msg)
    _check_tensors(content, path)
    return content


def _check_archive(path: Path) -> None:
    """Refuse a compressed archive; PyTorch's are none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > path.stat().st_size:
        msg = (
            f"The checkpoint {path} is a compressed archive of {unpacked / 1e6:.0f} "
            "MB, which no checkpoint of PyTorch is."
        )
        raise CheckpointError(msg)


def _check_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse tensors that say more than the file holds, or in a way of their own."""
    size = path.stat().st_size
    for key, tensor in tensors.items():
        if (
            tensor.layout != torch.strided
            or tensor.is_quantized
            or tensor.is_nested
            or tensor.numel() * tensor.element_size() > size
        ):
            msg = f"The checkpoint {path} does not hold {key[:80]!r} as plain numbers."
            raise CheckpointError(msg)


def _read_shapes(path: Path) -> dict[str, torch.Tensor]:
    """Read the header of a safetensors file: tensors that have shapes and no values."""
    try:
        with safe_open(path, framework="pt") as file:
            return {
                key: torch.empty(file.get_slice(key).get_shape(), device="meta")
                for key in file.keys()  # noqa: SIM118 (not a mapping)
            }
    except (SafetensorError, OSError) as error:
        msg = f"The checkpoint {path} cannot be read: {error}"
        raise CheckpointError(msg) from error


def load_weights(
    model: torch.nn.Module, path: Path, *, name: str, classifier: tuple[str, ...]
) -> None:
    """Load a checkpoint into a timm model without classifier, all of it or an error.

    The file may be in timm's layout, or in one that timm knows how to convert, such as
    Meta's DINOv2 files; what it holds of the layers of the classifier is left. For a
    model on the ``meta`` device names and shapes are compared and no value is read.

    Raises
    ------
    CheckpointError
        If the file cannot be read or belongs to another model.
    """
    empty = next(model.parameters()).is_meta
    tensors = _read_shapes(path) if empty else read_checkpoint(path)
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        if convert is not None:
            tensors = convert(tensors, model)
        dropped = tuple(f"{layer}." for layer in classifier)
        kept = {k: v for k, v in tensors.items() if not k.startswith(dropped)}
        model.load_state_dict(kept, strict=True)
    except (RuntimeError, KeyError, ValueError, AttributeError, IndexError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = (lines[1] if len(lines) > 1 else lines[0])[:160] if lines else ""
        msg = f"The checkpoint {path} does not hold the weights of {name}. {reason}"
        raise CheckpointError(msg) from error


def hash_weights(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash weights over their names, shapes and half-precision values.

    Weights that were stored in half precision, in timm's layout or in Meta's, give
    the same hash. The class token is left out: converting it adds two tensors, which
    rounds differently in half precision.

    SHA-256, 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for key in sorted(tensors):
        if key == "cls_token":
            continue
        tensor = tensors[key].detach().to("cpu", torch.float16).contiguous()
        digest.update(f"{key}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
