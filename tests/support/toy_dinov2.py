"""A toy in place of every DINOv2 architecture: small enough to be sent around."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from napari_dinoprompt.core.backbones.vit import import_timm

if TYPE_CHECKING:
    import pytest


Weights = dict[str, torch.Tensor]


def build_toy() -> torch.nn.Module:
    """A vision transformer of 8 x 8 patches of 8 pixels, with registers."""
    return import_timm().models.vision_transformer.VisionTransformer(
        img_size=64,
        patch_size=8,
        embed_dim=32,
        depth=3,
        num_heads=4,
        num_classes=0,
        global_pool="",
        reg_tokens=2,
        init_values=1.0,
    )


def make_toy(seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_toy()
    model.pretrained_cfg = {
        "input_size": (3, 64, 64),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
    }
    return model


def toy_weights() -> bytes:
    """Return its weights as a safetensors file."""
    return save(make_toy().state_dict())


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every DINOv2 name build the toy, also for the check of a file."""
    monkeypatch.setattr(
        "napari_dinoprompt.core.backbones.vit.create_network",
        lambda _, **__: (make_toy(), ()),
    )


def to_meta(weights: Weights) -> Weights:
    """Write a timm model with registers as Meta publishes it.

    Meta keeps a position embedding of the class token, which timm adds to the token.
    """
    meta = dict(weights)
    dimension = weights["cls_token"].shape[-1]
    generator = torch.Generator().manual_seed(7)
    position = torch.randn(1, 1, dimension, generator=generator)
    meta["register_tokens"] = meta.pop("reg_token")
    meta["cls_token"] = weights["cls_token"] - position
    meta["pos_embed"] = torch.cat((position, weights["pos_embed"]), dim=1)
    meta["mask_token"] = torch.zeros(1, dimension)
    return meta
