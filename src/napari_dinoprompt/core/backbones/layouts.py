"""Weights of vision transformers as people have them, by the names of timm or Meta.

Names decide, so that tensors without values (on the ``meta`` device) are brought there
as well. What Meta and others call differently timm converts itself, for its models.
"""

from __future__ import annotations

import re

import torch

Weights = dict[str, torch.Tensor]

# The layer that every network has once, after whatever it was wrapped in.
_PATCHES = re.compile(
    r"(|.+\.)(patch_embed\.proj|embeddings\.patch_embeddings(\.projection)?)\.weight"
)
# Averages over the steps of training are what is published, and what generalises.
_AVERAGED = re.compile(r"teacher|ema")
_RENAMED = {
    # Training in parts numbers blocks twice.
    r"^blocks\.\d+\.(\d+)\.": r"blocks.\1.",
    r"\.mlp\.w12\.": ".mlp.fc1.",
    r"\.mlp\.w3\.": ".mlp.fc2.",
}
# ViT, DINOv2 and DINOv3, as files and as newer versions of the library have them.
_RENAMED_BY_HUGGING_FACE = {
    r"^embeddings\.patch_embeddings\.(projection\.)?": "patch_embed.proj.",
    r"^embeddings\.position_embeddings$": "pos_embed",
    r"^embeddings\.": "",
    r"^(model\.)?(encoder\.)?layers?\.": "blocks.",
    r"\.attention\.(attention\.)?(q|k|v)(uery|ey|alue|_proj)\.": r".attn.\2.",
    r"\.attention\.(output\.dense|o_proj)\.": ".attn.proj.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
    r"\.layer_scale(\d)\.lambda1$": r".ls\1.gamma",
    r"\.(intermediate\.dense|mlp\.(weights_in|up_proj))\.": ".mlp.fc1.",
    r"\.(output\.dense|mlp\.(weights_out|down_proj))\.": ".mlp.fc2.",
    r"^layernorm\.": "norm.",
    # Of no use for patches.
    r"^pooler\..*": "",
}


def unify_layout(tensors: Weights) -> Weights:
    """Give the weights of one vision transformer the names of timm or Meta."""
    weights = _unwrap(tensors)
    if any(name.startswith("embeddings.") for name in weights):
        weights = _join_attention(_rename(weights, _RENAMED_BY_HUGGING_FACE))
        if "pos_embed" not in weights and "register_tokens" in weights:
            weights["storage_tokens"] = weights.pop("register_tokens")
    weights = _rename(weights, _RENAMED)
    if "storage_tokens" in weights:
        # DINOv3. timm splits biases too, and prints what it cannot do.
        for name in [one for one in weights if one.endswith(".qkv.bias")]:
            layer, (query, _, value) = name[: -len("qkv.bias")], weights[name].chunk(3)
            weights |= {f"{layer}q_bias": query, f"{layer}v_bias": value}
            del weights[name]
    return weights


def _unwrap(tensors: Weights) -> Weights:
    """Take what stands beside the layer that cuts patches, without its prefix."""
    found = [match[1] for name in tensors if (match := _PATCHES.fullmatch(name))]
    if len(found) > 1:
        found = [prefix for prefix in found if _AVERAGED.search(prefix)] or found
    if len(found) > 1:
        msg = f"Of its networks ({', '.join(found)}) save the one that is meant alone."
        raise ValueError(msg)
    prefix = found[0] if found else ""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _rename(weights: Weights, patterns: dict[str, str]) -> Weights:
    renamed = {}
    for name, value in weights.items():
        for pattern, other in patterns.items():
            name = re.sub(pattern, other, name)
        renamed[name] = value
    renamed.pop("", None)
    return renamed


def _join_attention(weights: Weights) -> Weights:
    """Join the products that give queries, keys and values."""
    joined = dict(weights)
    for one in (name for name in weights if name.endswith(".attn.q.weight")):
        layer = one[: -len("q.weight")]
        for kind in ("weight", "bias"):
            parts = {part: joined.pop(f"{layer}{part}.{kind}", None) for part in "qkv"}
            there = {part: one for part, one in parts.items() if one is not None}
            if len(there) == len(parts):
                joined[f"{layer}qkv.{kind}"] = torch.cat(list(there.values()))
            else:
                # DINOv3 has no bias of keys.
                joined |= {f"{layer}{part}_bias": one for part, one in there.items()}
    return joined
