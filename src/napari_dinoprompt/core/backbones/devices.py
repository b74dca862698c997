"""Which device and number format a backbone computes with."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from napari_dinoprompt.core.errors import InputError

DeviceName = Literal["auto", "cuda", "mps", "cpu"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """Settle the device."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    kind = name.partition(":")[0]
    if kind not in there:
        msg = f"Unknown device {name!r}; choose {', '.join(get_args(DeviceName))}."
        raise InputError(msg)
    if not there[kind]:
        available = ", ".join(kind for kind, found in there.items() if found)
        msg = f"The device {name!r} is not on this machine; there is {available}."
        raise InputError(msg)
    try:
        return torch.device(name)
    except RuntimeError as error:
        msg = f"There is no device {name!r}; give 'cuda:1' for the second card."
        raise InputError(msg) from error


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Settle the number format of a network.

    ``"auto"`` is half precision where the device computes faster with it: bf16 on CUDA
    cards and on processors with AMX, fp16 on older cards, else fp32.
    """
    if name in _DTYPES:
        return _DTYPES[name]
    if name != "auto":
        msg = f"Unknown precision {name!r}; choose {', '.join(get_args(Precision))}."
        raise InputError(msg)
    if device.type == "cpu":
        return torch.bfloat16 if _cpu_has_amx() else torch.float32
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _cpu_has_amx() -> bool:
    """Tell whether the processor multiplies matrices of bf16 in units of their own.

    AVX-512's products of bf16 are slower than those of fp32 (measured: 0.65 s against
    0.45 s for a tile of DINOv2-small). Asked of the processor, not timed: the format is
    part of the cache's keys and must be the same in every run.
    """
    # Older releases of torch do not tell.
    tell = getattr(torch.cpu, "get_capabilities", None)
    found: dict[str, object] = {} if tell is None else tell()
    return bool(found.get("amx_bf16", False))
