"""A small timm network whose weights are the same everywhere and for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from napari_dinoprompt.core.backbones.vit import import_timm

if TYPE_CHECKING:
    from pathlib import Path

FIXED_VIT = "timm:test_vit"


def write_fixed_vit(path: Path) -> Path:
    """Write a checkpoint; no random numbers, which may differ between versions."""
    model = import_timm().create_model("test_vit", pretrained=False)
    weights = {
        name: (torch.arange(tensor.numel()) * 37 % 101 - 50).view(tensor.shape) / 256
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, path)
    return path
