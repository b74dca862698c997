"""Backbones, devices and precisions by name."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.backbones.load import (
    BackboneChoice,
    backbone_names,
    load_backbone,
)
from napari_dinoprompt.core.backbones.vit import import_timm
from napari_dinoprompt.core.errors import (
    CheckpointError,
    InputError,
    WeightsNotFoundError,
)


def test_offered_names() -> None:
    assert backbone_names() == (
        "dinov2-small",
        "dinov2-base",
        "dinov2-large",
        "dinov2-giant",
        "dinov3-small",
        "dinov3-base",
        "dinov3-large",
        "filterbank",
    )


def test_the_filter_bank_needs_nothing() -> None:
    backbone = load_backbone("filterbank", device="cpu")
    assert backbone.info.name == "filterbank"
    assert backbone.device.type == "cpu"


@pytest.mark.parametrize(
    "options", [{"checkpoint": "weights.pth"}, {"block": 3}, {"block": 0}]
)
def test_the_filter_bank_refuses_what_belongs_to_networks(options: dict) -> None:
    with pytest.raises(InputError, match="neither weights nor blocks"):
        load_backbone("filterbank", device="cpu", **options)


@pytest.mark.parametrize(
    "name",
    [
        "dinov2",
        "dinov2-tiny",
        "dinov2-small-reg",
        "dinov2-small-plain-plain",
        "dino",
        "",
        "timm:no_such_model",
        "timm:",
    ],
)
def test_unknown_names_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError) as refused:
        load_backbone(name, device="cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "timm:vit_small_patch14_reg4_dinov2.lvd143m",
            "timm:vit_small_patch14_reg4_dinov2.lvd142m",
        ),
        ("timm:vit_smal_patch16_224", "timm:vit_small_patch16_224"),
        ("timm:vit_small_r26_s32_224", "square patches; choose one such"),
        ("timm:resnet18", "square patches; choose one such"),
        ("timm:vit_small_patch16_224.", "timm:vit_small_patch16_224"),
        ("timm:naflexvit_base_patch16_gap", "choose"),
    ],
)
def test_models_that_timm_has_not_or_that_do_not_fit(name: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_backbone(name, device="cpu")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_timm_has_changed_is_understood(tmp_path: Path) -> None:
    """With the numbers that its images were seen with."""
    old, new = "vit_small_patch16_224_dino", "vit_small_patch16_224.dino"
    with pytest.raises(WeightsNotFoundError, match=new):
        load_backbone(f"timm:{old}", device="cpu")
    model = import_timm().create_model(new, pretrained=False, num_classes=0)
    torch.save(model.state_dict(), tmp_path / "dino.pth")
    one, other = (
        load_backbone(f"timm:{name}", checkpoint=tmp_path, device="cpu")
        for name in (old, new)
    )
    assert one.info == replace(other.info, name=f"timm:{old}")
    assert one.mean.tolist() == other.mean.tolist()
    assert one.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dinov2-small", "dinov2_vits14_reg4_pretrain.pth"),
        ("dinov2-giant-plain", "dinov2_vitg14_pretrain.pth"),
        ("timm:vit_tiny_patch16_224", "timm/vit_tiny_patch16_224"),
    ],
)
def test_missing_weights_say_where_they_were_looked_for(name: str, file: str) -> None:
    with pytest.raises(WeightsNotFoundError, match="filterbank") as missing:
        load_backbone(name, device="cpu")
    assert file in str(missing.value)
    assert "\n" not in str(missing.value)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        load_backbone("dinov2-small", checkpoint=tmp_path / "nowhere.pth", device="cpu")


def test_any_timm_transformer_loads_from_a_file(tmp_path: Path) -> None:
    """With its classifier in the file, as timm publishes it."""
    timm = import_timm()
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    path = tmp_path / "tiny.pth"
    torch.save(model.state_dict(), path)
    backbone = load_backbone(
        "timm:vit_tiny_patch16_224",
        checkpoint=str(path),
        device="cpu",
        precision="fp32",
        block=-2,
    )
    info = backbone.info
    assert (info.patch, info.dimension, info.block) == (16, 192, 10)
    picture = torch.rand(1, 3, 224, 224)
    # This one was trained with mean and deviation 0.5.
    with torch.inference_mode():
        _, (expected,) = model.eval().forward_intermediates(
            (picture - 0.5) / 0.5, indices=[10], norm=True
        )
    torch.testing.assert_close(
        backbone(picture), expected.permute(0, 2, 3, 1), atol=1e-4, rtol=1e-4
    )


def test_a_choice_fits_itself_to_what_a_reference_was_made_with() -> None:
    tiny = BackboneInfo("timm:tiny", 3, 16, 192, "abc")
    bank = BackboneInfo("filterbank", -1, 2, 30, "1")
    chosen = BackboneChoice("timm:tiny", "tiny.pth", "cpu", cache_gigabytes=2.0)
    assert chosen.fitting(tiny) == replace(chosen, block=3)
    # The file is another model's, and filters have no blocks.
    fitted = replace(chosen, name="filterbank", checkpoint=None)
    assert chosen.fitting(bank) == fitted
    assert fitted.load().info.name == "filterbank"
