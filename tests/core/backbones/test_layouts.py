"""Layouts in which weights are passed around: the same hash, whatever the names."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from toy_dinov2 import Weights, make_toy, to_meta

from napari_dinoprompt.core.backbones.checkpoints import hash_weights, load_weights
from napari_dinoprompt.core.backbones.vit import import_timm
from napari_dinoprompt.core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make(kind: str) -> torch.nn.Module:
    """A toy of an architecture, with weights that are all different."""
    if kind == "dinov2":
        return make_toy()
    common = {"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}
    models = import_timm().models
    if kind == "vit":
        cls, options = models.vision_transformer.VisionTransformer, {}
    else:
        cls = models.eva.Eva
        options = {
            "init_values": 1.0,
            "num_reg_tokens": 2,
            "rope_type": "dinov3",
            "use_rot_pos_emb": True,
            "use_abs_pos_emb": False,
            "qkv_bias": False,
        }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return cls(img_size=64, num_classes=0, **common, **options)


def under(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}{name}": value for name, value in weights.items()}


def in_chunks(weights: Weights) -> Weights:
    """As DINOv2 numbers blocks that were trained on several cards."""
    return {re.sub(r"^blocks\.(\d+)", r"blocks.0.\1", k): v for k, v in weights.items()}


HUGGING_FACE = (
    (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^(cls_token|mask_token|register_tokens)$", r"embeddings.\1"),
    (r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),
    (r"^norm\.", "layernorm."),
)
DINOV2_NAMES = (
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.([qkv])\.", r".attention.attention.\1."),
    (r"attention\.q\.", "attention.query."),
    (r"attention\.k\.", "attention.key."),
    (r"attention\.v\.", "attention.value."),
    (r"^blocks\.", "encoder.layer."),
)
VIT_NAMES = (
    *DINOV2_NAMES,
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
NEWER_NAMES = (
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.attn\.([qkv])\.", r".attention.\1_proj."),
)
DINOV3_NAMES = (
    *NEWER_NAMES,
    (r"\.projection\.", "."),
    (r"\.mlp\.fc1\.", ".mlp.up_proj."),
    (r"\.mlp\.fc2\.", ".mlp.down_proj."),
    (r"^layernorm\.", "norm."),
    (r"^blocks\.", "layer."),
)


def to_hugging_face(weights: Weights, names: tuple[tuple[str, str], ...]) -> Weights:
    """Rename Meta's weights; queries, keys and values are apart."""
    apart: Weights = {}
    for name, value in weights.items():
        if ".attn.qkv." in name:
            for part, one in zip("qkv", value.chunk(3), strict=True):
                apart[name.replace("qkv", part)] = one
        else:
            apart[name] = value
    renamed = {}
    for name, value in apart.items():
        other = name
        for pattern, replacement in (*HUGGING_FACE, *names):
            other = re.sub(pattern, replacement, other)
        renamed[other] = value
    return renamed


def to_meta_dinov3(weights: Weights) -> Weights:
    """Rename timm's weights: Meta has biases of zero, masks and periods besides."""
    meta = {re.sub(r"\.gamma_(\d)$", r".ls\1.gamma", k): v for k, v in weights.items()}
    meta["storage_tokens"] = meta.pop("reg_token")
    meta |= {"mask_token": torch.zeros(1, 32), "rope_embed.periods": torch.ones(2)}
    for block in range(3):
        meta[f"blocks.{block}.attn.qkv.bias"] = torch.zeros(96)
        meta[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(96)
    return meta


def to_hugging_face_dinov3(weights: Weights) -> Weights:
    meta = to_meta_dinov3(weights)
    meta["register_tokens"] = meta.pop("storage_tokens")
    kept = {k: v for k, v in meta.items() if not k.endswith(("_mask", "periods"))}
    renamed = to_hugging_face(kept, DINOV3_NAMES)
    return {k: v for k, v in renamed.items() if not k.endswith("k_proj.bias")}


def other(weights: Weights) -> Weights:
    return {name: value + 1 for name, value in weights.items()}


LAYOUTS: dict[str, tuple[str, Callable[[Weights], object]]] = {
    "teacher and student": (
        "dinov2",
        lambda w: {
            "student": under("module.backbone.", other(to_meta(w))),
            "teacher": under("backbone.", to_meta(w)) | {"head.weight": torch.ones(3)},
            "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
            "epoch": 3,
            "args": Namespace(arch="vit_small"),
        },
    ),
    "teacher, flat": ("dinov2", lambda w: under("teacher.backbone.", to_meta(w))),
    "model": ("dinov2", lambda w: under("model.", w)),
    "module": ("vit", lambda w: {"model": under("module.", w), "epoch": 2}),
    "Lightning": (
        "vit",
        lambda w: {
            "state_dict": under("net.encoder.", w),
            "hyper_parameters": {"a": 1},
        },
    ),
    "averaged": (
        "vit",
        lambda w: under("backbone.", other(w)) | under("backbone_ema.", w),
    ),
    "compiled": ("vit", lambda w: under("_orig_mod.", w)),
    "chunks": ("dinov2", lambda w: in_chunks(to_meta(w))),
    "chunks of a teacher": (
        "dinov2",
        lambda w: {"teacher": under("backbone.", in_chunks(to_meta(w)))},
    ),
    "DINOv2 at Hugging Face": (
        "dinov2",
        lambda w: to_hugging_face(to_meta(w), DINOV2_NAMES),
    ),
    "DINOv2 there, classifying": (
        "dinov2",
        lambda w: (
            under("dinov2_with_registers.", to_hugging_face(to_meta(w), DINOV2_NAMES))
            | {"classifier.weight": torch.ones(3)}
        ),
    ),
    "ViT at Hugging Face": (
        "vit",
        lambda w: to_hugging_face(w, VIT_NAMES) | {"pooler.dense.bias": torch.ones(3)},
    ),
    "ViT there, classifying": (
        "vit",
        lambda w: (
            under("vit.", to_hugging_face(w, VIT_NAMES))
            | {"classifier.bias": torch.ones(3)}
        ),
    ),
    "ViT of its newer library": (
        "vit",
        lambda w: to_hugging_face(w, (*NEWER_NAMES, (r"^blocks\.", "layers."))),
    ),
    "DINOv3 of Meta": ("dinov3", to_meta_dinov3),
    "DINOv3 at Hugging Face": ("dinov3", to_hugging_face_dinov3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_gives_the_weights_of_the_plain_file(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, write = LAYOUTS[layout]
    model, loaded = make(kind), make(kind)
    weights = model.state_dict()
    path = tmp_path / "a.pth"
    torch.save(write(weights), path)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    load_weights(loaded, path, name="toy", classifier=("head",))
    assert hash_weights(loaded.state_dict()) == hash_weights(weights)
    torch.testing.assert_close(loaded.state_dict(), weights)
    assert capsys.readouterr().out == ""


def refusal(model: torch.nn.Module, weights: Weights, path: Path) -> str:
    save_file({name: value.clone() for name, value in weights.items()}, path)
    with pytest.raises(CheckpointError) as refused:
        load_weights(model, path, name="toy", classifier=())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_of_several_networks_none_is_taken(tmp_path: Path) -> None:
    model = make("vit")
    both = under("left.", model.state_dict()) | under("right.", model.state_dict())
    said = refusal(model, both, tmp_path / "a.safetensors")
    assert "left., right." in said
    assert "save the one that is meant alone" in said


def test_biases_that_are_not_zero_are_not_dropped(tmp_path: Path) -> None:
    model = make("dinov3")
    meta = to_meta_dinov3(model.state_dict())
    meta["blocks.1.attn.qkv.bias"][5] = 0.1
    said = refusal(model, meta, tmp_path / "a.safetensors")
    assert "blocks.1.attn.q_bias" in said
    # Those of the keys are masked.
    meta["blocks.1.attn.qkv.bias"][5] = 0
    meta["blocks.1.attn.qkv.bias"][40] = 0.1
    save_file(meta, tmp_path / "b.safetensors")
    load_weights(model, tmp_path / "b.safetensors", name="toy", classifier=())


@pytest.mark.parametrize("part", ["query.weight", "query.bias", "dense.weight"])
def test_what_is_missing_in_the_layout_of_hugging_face(
    tmp_path: Path, part: str
) -> None:
    model = make("vit")
    weights = to_hugging_face(model.state_dict(), VIT_NAMES)
    del weights[next(name for name in weights if name.endswith(part))]
    assert "toy" in refusal(model, weights, tmp_path / "a.safetensors")
