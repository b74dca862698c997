"""Weights of vision transformers as people have them, brought into timm's layout.

Names and shapes decide, so that tensors without values (on the ``meta`` device) are
brought there as well. What is not understood here is left for timm's own conversion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

Weights = dict[str, torch.Tensor]

# The layer that every network has once, after whatever it was wrapped in.
_PATCHES = re.compile(
    r"(|.+\.)(patch_embed\.proj|embeddings\.patch_embeddings(\.projection)?)\.weight"
)
# Averages over the steps of training are what is published, and what generalises.
_AVERAGED = re.compile(r"teacher|ema")
_CHUNK = re.compile(r"^blocks\.\d+\.(\d+)\.")
# From Hugging Face's names of DINOv2, DINOv3 and ViT to Meta's; the first that matches
# a part of a name is taken, then the next.
_HUGGING_FACE = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^embeddings\.patch_embeddings\.(projection\.)?", "patch_embed.proj."),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.", ""),
        (r"^(model\.)?(encoder\.)?layers?\.", "blocks."),
        (r"\.attention\.(attention\.|)(q|k|v)(uery|ey|alue|_proj)\.", r".attn.\2."),
        (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
        (r"\.(intermediate\.dense|mlp\.(weights_in|up_proj))\.", ".mlp.fc1."),
        (r"\.(output\.dense|mlp\.(weights_out|down_proj))\.", ".mlp.fc2."),
        (r"^layernorm\.", "norm."),
    )
)
# Parts of no use for patch tokens; the second stands for numbers that are computed.
_UNUSED = re.compile(
    r"^(pooler|projectors|local_cls_norm)\.|\b(periods|bias_mask|inv_freq)$"
)


def to_timm_layout(tensors: Mapping[str, torch.Tensor]) -> Weights:
    """Bring the weights of one vision transformer into timm's layout."""
    weights = _unwrap(tensors)
    if any(name.startswith("embeddings.") for name in weights):
        weights = _from_hugging_face(weights)
    weights = {
        _CHUNK.sub(r"blocks.\1.", name): value
        for name, value in weights.items()
        if not _UNUSED.search(name)
    }
    return _from_meta(weights)


def _unwrap(tensors: Mapping[str, torch.Tensor]) -> Weights:
    """Take what stands beside the layer that cuts patches, without its prefix."""
    found = [match[1] for name in tensors if (match := _PATCHES.fullmatch(name))]
    if len(found) > 1:
        found = [prefix for prefix in found if _AVERAGED.search(prefix)] or found
    if not found:
        return dict(tensors)
    if len(found) > 1:
        names = ", ".join(prefix.rstrip(".") or "one without name" for prefix in found)
        msg = f"It holds several networks ({names}); save the one that is meant alone."
        raise CheckpointError(msg)
    (prefix,) = found
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _from_hugging_face(weights: Weights) -> Weights:
    renamed = {}
    for name, value in weights.items():
        for pattern, other in _HUGGING_FACE:
            name = pattern.sub(other, name)
        renamed[name] = value
    for one in [one for one in renamed if one.endswith(".attn.q.weight")]:
        layer = one.removesuffix("q.weight")
        for kind in ("weight", "bias"):
            three = {part: f"{layer}{part}.{kind}" for part in "qkv"}
            there = {part: name for part, name in three.items() if name in renamed}
            if len(there) == 3:
                parts = [renamed.pop(name) for name in there.values()]
                renamed[f"{layer}qkv.{kind}"] = torch.cat(parts)
            elif kind == "bias":
                # DINOv3 has no bias of keys.
                for part, name in there.items():
                    renamed[f"{layer}{part}_bias"] = renamed.pop(name)
    return renamed


def _from_meta(weights: Weights) -> Weights:
    """Rename what Meta calls otherwise in DINOv2 and DINOv3."""
    registers = weights.pop("register_tokens", None)
    storage = weights.pop("storage_tokens", registers)
    if storage is None and "blocks.0.ls1.gamma" not in weights:
        return weights
    weights.pop("mask_token", None)
    if storage is not None:
        weights["reg_token"] = storage
        if "pos_embed" not in weights:
            return _from_dinov3(weights)
    if registers is not None:
        # timm adds the position of the class token to the token.
        position = weights["pos_embed"]
        weights["cls_token"] = weights["cls_token"] + position[:, :1]
        weights["pos_embed"] = position[:, 1:]
    packed = any(".mlp.w12." in name for name in weights)
    if not packed:
        return weights
    return {
        name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2."): value
        for name, value in weights.items()
    }


def _from_dinov3(weights: Weights) -> Weights:
    renamed = {}
    for name, value in weights.items():
        if name.endswith(".attn.qkv.bias"):
            layer = name.removesuffix("qkv.bias")
            # That of the keys is masked.
            query, _, values = value.chunk(3)
            renamed[f"{layer}q_bias"], renamed[f"{layer}v_bias"] = query, values
        else:
            renamed[re.sub(r"\.ls(\d)\.gamma$", r".gamma_\1", name)] = value
    return renamed
