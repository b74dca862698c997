"""Vision transformers: our tokens are the network's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch

from napari_dinoprompt.core.backbones.vit import (
    VisionTransformer,
    _load_triton,
    import_timm,
    wrap_model,
)
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
CPU = torch.device("cpu")
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def wrapped(
    model: torch.nn.Module,
    block: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> VisionTransformer:
    return wrap_model("toy", model, block=block, device=CPU, dtype=dtype)


def relative_change(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def make_dinov2(registers: bool) -> torch.nn.Module:
    """DINOv2-small as published but for its weights, with all blocks at work."""
    timm = import_timm()
    name = f"vit_small_patch14_{'reg4_' if registers else ''}dinov2"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False, num_classes=0).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(".gamma"):  # LayerScale; timm starts it at 1e-5
                parameter.fill_(1.0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("registers", [True, False], ids=["registers", "plain"])
def test_dinov2_small_at_full_size(registers: bool) -> None:
    """One pass each: as timm, without one block, and in bf16."""
    model = make_dinov2(registers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        picture = torch.rand(1, 3, 518, 518)
    with torch.inference_mode():
        tokens = model.forward_features((picture - MEAN) / STD)
    expected = tokens[:, model.num_prefix_tokens :].reshape(1, 37, 37, 384)
    assert model.num_prefix_tokens == (5 if registers else 1)

    backbone = wrapped(model)
    assert backbone.tile == 37
    assert (backbone.info.patch, backbone.info.dimension) == (14, 384)
    assert backbone.info.block == 11
    found = backbone(picture)
    assert found.shape == expected.shape
    assert relative_change(found, expected) < 1e-4

    kept = model.blocks[5]
    model.blocks[5] = torch.nn.Identity()
    assert relative_change(backbone(picture), expected) > 0.05
    model.blocks[5] = kept

    if registers:  # once is enough: it is slow where it is not built in
        tokens = wrapped(model, dtype=torch.bfloat16)(picture)
        assert tokens.dtype == torch.float32
        assert relative_change(tokens, expected) < 2e-2


@pytest.mark.parametrize("block", [0, 1, 2, -1, -3, None])
def test_a_block_s_tokens_are_those_after_it_and_the_final_norm(
    toy_model: torch.nn.Module, block: int | None
) -> None:
    backbone = wrapped(toy_model, block)
    picture = torch.rand(2, 3, 64, 64)
    index = 2 if block is None else block % 3
    with torch.inference_mode():
        x = toy_model.patch_embed((picture - MEAN) / STD)
        x = toy_model.norm_pre(toy_model.patch_drop(toy_model._pos_embed(x)))
        for layer in toy_model.blocks[: index + 1]:
            x = layer(x)
        x = toy_model.norm(x)[:, toy_model.num_prefix_tokens :]
    assert backbone.info.block == index
    torch.testing.assert_close(
        backbone(picture), x.reshape(2, 8, 8, 32), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("block", [3, -4, 99])
def test_blocks_that_are_not_there_are_refused(
    toy_model: torch.nn.Module, block: int
) -> None:
    with pytest.raises(InputError, match="blocks 0 to 2"):
        wrapped(toy_model, block)


def test_cells_are_in_place(toy_vit: VisionTransformer) -> None:
    """A change in one patch changes that patch's token most."""
    picture = torch.full((1, 3, 64, 64), 0.5)
    changed = picture.clone()
    changed[:, 0, 16:24, 40:48] = 1.0
    change = (toy_vit(changed) - toy_vit(picture)).norm(dim=3)[0]
    assert divmod(int(change.argmax()), 8) == (2, 5)


def test_the_weights_are_left_as_they_are(toy_model: torch.nn.Module) -> None:
    before = {key: value.clone() for key, value in toy_model.state_dict().items()}
    backbone = wrapped(toy_model)
    backbone(torch.rand(1, 3, 64, 64))
    for key, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[key])
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not backbone.model.training


def test_precision_and_block_are_no_part_of_the_weights_hash(
    toy_model: torch.nn.Module,
) -> None:
    full = wrapped(toy_model).info
    half = wrapped(toy_model, 1, torch.bfloat16).info
    assert half.weights_hash == full.weights_hash
    assert half != full


def test_tiles_have_the_size_that_was_trained_and_are_as_few_as_will_do(
    toy_vit: VisionTransformer,
) -> None:
    plan = toy_vit.plan((20, 32))
    assert {(tile.height, tile.width) for tile in plan.tiles} == {(8, 8)}
    assert plan.starts == ([0, 6, 12], [0, 8, 16, 24])
    assert plan.ramp == 2


def test_on_a_cpu_one_tile_at_a_time(toy_vit: VisionTransformer) -> None:
    assert toy_vit.batch_size == 1


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224"])
def test_other_networks_are_refused(name: str) -> None:
    with torch.device("meta"):
        model = import_timm().create_model(name, pretrained=False, num_classes=0)
    with pytest.raises(InputError, match="not a vision transformer"):
        wrapped(model)


@pytest.mark.parametrize(
    ("cell", "cells"), [(14, 1), (16, 1), (8, 1), (7, 1), (4, 2), (3.5, 2), (1, 8)]
)
def test_similarities_follow_the_light_within_a_cell_or_eight_pixels(
    toy_vit: VisionTransformer, cell: float, cells: int
) -> None:
    assert toy_vit.guide_radius(cell) == cells


def test_a_triton_that_cannot_be_imported_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As triton 3.1 is where setuptools is missing; timm works all the same."""
    package = tmp_path / "triton"
    package.mkdir()
    package.joinpath("__init__.py").write_text("import no_such_module_as_setuptools")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    flags = sys.getdlopenflags()
    _load_triton()
    assert "triton" not in sys.modules
    assert sys.getdlopenflags() == flags
