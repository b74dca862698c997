"""Reading checkpoint files without running anything in them, and naming weights."""

from __future__ import annotations

import hashlib
import pickle
import sys
import warnings
import zipfile
from argparse import Namespace
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from napari_dinoprompt.core.errors import CheckpointError, first_line

from .layouts import Weights, unify_layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Name of a dictionary within dictionaries.
_LONGEST = 200
_BIASES = (".attn.q_bias", ".attn.v_bias")
_UNREADABLE = (
    "it is damaged, or holds more than numbers, which is never run. If it is your own, "
    "save its weights alone: torch.save(model.state_dict(), FILE)."
)


def read_checkpoint(path: Path, *, values: bool = True) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors or PyTorch file, whatever its name ends in.

    PyTorch files are read with ``weights_only=True``: they cannot run code. Those of
    one vision transformer get the names of `unify_layout`. Without values they have
    shapes alone, on the ``meta`` device.

    On the CPU.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file {path}.")
    try:
        return unify_layout(_read(path, values=values))
    except CheckpointError:
        raise
    except MemoryError as error:
        # Of a string or list as long as the file says.
        msg = f"The checkpoint {path} is damaged, or there is not enough memory."
        raise CheckpointError(msg) from error
    # Bytes that are no checkpoint can make torch's unpickler raise anything.
    except Exception as error:
        # What torch says of pickles is about its own versions.
        pickled = isinstance(error, pickle.UnpicklingError)
        reason = _UNREADABLE if pickled else first_line(error)
        msg = f"The checkpoint {path} cannot be read: {reason}"
        raise CheckpointError(msg) from error


def _read(path: Path, *, values: bool) -> Weights:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        msg = f"{path} is a pointer of git-lfs, not the weights; run git lfs pull."
        raise CheckpointError(msg)
    # Eight bytes say how long the header of safetensors is, which is JSON.
    if start[8:9] == b"{":
        return load_file(path) if values else _read_shapes(path)
    with (
        path.open("rb") as file,
        warnings.catch_warnings(),
        torch.serialization.safe_globals([Namespace]),
    ):
        # What torch warns of in foreign files ends in the message above.
        warnings.simplefilter("ignore")
        _check_archive(path)
        where = "cpu" if values else "meta"
        # torch itself goes by the name of a file, if it knows one.
        content = torch.load(file, map_location=where, weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = _tensors_of(content)
    if not tensors:
        raise CheckpointError(f"The checkpoint {path} does not hold tensors by name.")
    _check_tensors(tensors, path)
    return tensors


def _tensors_of(content: object) -> Weights:
    """Collect the tensors of dictionaries in dictionaries, by joined names."""
    found: Weights = {}
    seen = set()
    waiting = [("", content)]
    while waiting:
        prefix, one = waiting.pop()
        # A file may say that a dictionary is in itself.
        if not isinstance(one, dict) or id(one) in seen or len(prefix) > _LONGEST:
            continue
        seen.add(id(one))
        for name, value in one.items():
            if isinstance(name, str) and isinstance(value, torch.Tensor):
                found[prefix + name] = value
            elif isinstance(name, str):
                waiting.append((f"{prefix}{name}.", value))
    return found


def _check_archive(path: Path) -> None:
    """Refuse a compressed archive; PyTorch's are none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > path.stat().st_size:
        raise CheckpointError(
            f"The checkpoint {path} is a compressed archive of {unpacked / 1e6:.0f} "
            "MB, which no checkpoint of PyTorch is."
        )


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


def _read_shapes(path: Path) -> Weights:
    """Read the header of a safetensors file: tensors that have shapes and no values."""
    with safe_open(path, framework="pt") as file:
        return {
            key: torch.empty(file.get_slice(key).get_shape(), device="meta")
            for key in file.keys()  # noqa: SIM118 (not a mapping)
        }


def fit_weights(
    weights: Weights, model: torch.nn.Module, classifier: tuple[str, ...]
) -> Weights:
    """Name weights as a model without classifier does, and leave the classifier's.

    Biases of zero, which DINOv3 is published with, are left where a model has none.
    """
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    weights = weights if convert is None else convert(dict(weights), model)
    dropped = tuple(f"{layer}." for layer in classifier)
    own = model.state_dict()
    return {
        name: value
        for name, value in weights.items()
        if not name.startswith(dropped)
        and (name in own or not name.endswith(_BIASES) or _has_values(value))
    }


def _has_values(tensor: torch.Tensor) -> bool:
    return not tensor.is_meta and bool(tensor.any())


def load_weights(
    model: torch.nn.Module, path: Path, *, name: str, classifier: tuple[str, ...]
) -> None:
    """Load a checkpoint into a timm model without classifier, all of it or an error.

    The file may be in any layout that `unify_layout` or timm knows how to convert;
    what it holds of the layers of the classifier is left. For a model on the ``meta``
    device names and shapes are compared and no value is read.

    Raises
    ------
    CheckpointError
        If the file cannot be read or belongs to another model.
    """
    empty = next(model.parameters()).is_meta
    weights = read_checkpoint(path, values=not empty)
    try:
        fitted = fit_weights(weights, model, classifier)
        model.load_state_dict(fitted, strict=True)
    except (RuntimeError, ValueError, LookupError, AttributeError) as error:
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
