"""Which model a checkpoint holds: told by shapes, and by names where several fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones import identify
from napari_dinoprompt.core.backbones.identify import check_tag, identify_checkpoint
from napari_dinoprompt.core.backbones.vit import empty_network, import_timm
from napari_dinoprompt.core.backbones.weights import PUBLISHED
from napari_dinoprompt.core.errors import CheckpointError, WeightsNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

Shapes = dict[str, tuple[int, ...]]
TINY = "vit_tiny_patch16_224"
SMALL = "vit_small_patch16_224"
SATELLITE = "sat493m"
LARGE = f"timm:vit_large_patch16_dinov3.{SATELLITE}"
AUGREG = "augreg_in21k_ft_in1k"


def shapes_of(name: str) -> Shapes:
    model, _ = empty_network(name)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def write_zeros(shapes: Shapes, path: Path) -> Path:
    """Write a safetensors file that takes no room: its values are a hole."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


def to_meta(shapes: Shapes) -> Shapes:
    """The shapes of Meta's file of a DINOv2 model."""
    meta = dict(shapes)
    width = meta["cls_token"][2]
    meta["mask_token"] = (1, width)
    if "reg_token" in meta:
        meta["register_tokens"] = meta.pop("reg_token")
        meta["pos_embed"] = (1, meta["pos_embed"][1] + 1, width)
    return meta


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_known_at_full_size(name: str, tmp_path: Path) -> None:
    shapes = shapes_of(name)
    assert identify_checkpoint(write_zeros(shapes, tmp_path / "a.pth")) == name
    if name.startswith("dinov2"):
        meta = to_meta(shapes)
        teacher = {f"teacher.backbone.{key}": shape for key, shape in meta.items()}
        file = write_zeros(teacher, tmp_path / "b.safetensors")
        assert identify_checkpoint(str(file)) == name


@pytest.mark.parametrize(
    "place",
    [
        f"{TINY}.safetensors",
        "vit-tiny-patch16-224/model.safetensors",
        f"models--timm--{TINY}/snapshots/0123/model.safetensors",
    ],
)
def test_where_several_fit_the_file_s_name_decides(tmp_path: Path, place: str) -> None:
    """A classifier is no obstacle."""
    shapes = shapes_of(f"timm:{TINY}") | {"head.weight": (3, 192), "head.bias": (3,)}
    file = write_zeros(shapes, tmp_path / place)
    assert identify_checkpoint(file) == f"timm:{TINY}"
    assert identify_checkpoint(file.parent) == f"timm:{TINY}"


def test_a_tag_in_the_name_is_kept(tmp_path: Path) -> None:
    """Other images, other means: satellites."""
    large = "vit_large_patch16_dinov3"
    shapes = shapes_of("dinov3-large")
    for tag, name in (
        ("sat493m", f"timm:{large}.sat493m"),
        ("lvd1689m", "dinov3-large"),
    ):
        file = write_zeros(shapes, tmp_path / f"{large}.{tag}.safetensors")
        assert identify_checkpoint(file) == name
    assert identify_checkpoint(file.rename(tmp_path / f"{large}.bin")) == "dinov3-large"


@pytest.mark.parametrize(
    ("given", "place", "name"),
    [
        ("dinov3-large", f"dinov3_vitl16_pretrain_{SATELLITE}-eadcf0ff.pth", LARGE),
        ("dinov3-large", "dinov3-vitl16-pretrain-lvd1689m-8aa4cbdd.pth", ""),
        ("dinov3-large", f"{SATELLITE}/model.safetensors", LARGE),
        ("dinov3-large", f"{SATELLITE}/of_lvd1689m.pth", ""),
        (
            "dinov3-large",
            f"models--facebook--dinov3-vitl16-{SATELLITE}/snapshots/0/model.safetensors",
            LARGE,
        ),
        # Parts of words, and tags of others.
        ("dinov3-large", f"{SATELLITE}x_mae.pth", ""),
        ("dinov3-base", f"{SATELLITE}.pth", ""),
        ("dinov2-small", "dino.pth", ""),
        (f"timm:{SMALL}", "dino_deitsmall16_pretrain.pth", f"timm:{SMALL}.dino"),
        (
            f"timm:{SMALL}",
            f"augreg_in21k_ft_in1k/{SMALL}.pth",
            f"timm:{SMALL}.{AUGREG}",
        ),
        (f"timm:{SMALL}", f"{SMALL}.pth", f"timm:{SMALL}"),
    ],
)
def test_a_tag_is_a_word_of_the_name(
    tmp_path: Path, given: str, place: str, name: str
) -> None:
    """Also where the rest is not as timm calls it: Meta's own files."""
    file = write_zeros(shapes_of(given), tmp_path / "x" / place)
    assert identify_checkpoint(file) == (name or given)
    assert identify_checkpoint(file, given) == (name or given)


def test_satellites_have_means_of_their_own() -> None:
    model, _ = empty_network(LARGE)
    config = import_timm().data.resolve_model_data_config(model)
    assert config["mean"] == (0.43, 0.411, 0.296)
    assert config["std"] == (0.213, 0.156, 0.143)


def test_what_is_likely_is_taken_where_it_fits_or_nothing_does(tmp_path: Path) -> None:
    shapes = shapes_of(f"timm:{TINY}")
    file, deit = write_zeros(shapes, tmp_path / "a.pth"), "timm:deit_tiny_patch16_224"
    assert identify_checkpoint(file, deit) == deit
    with pytest.raises(CheckpointError, match="fits timm:vit_tiny"):
        identify_checkpoint(file, "dinov2-small")
    file = write_zeros({**shapes, "extra": (3,)}, tmp_path / "b.pth")
    assert identify_checkpoint(file, deit) == deit


def test_few_networks_are_built_whole(tmp_path: Path, monkeypatch) -> None:
    """A hundred and more have its patch; whole, each takes a tenth of a second."""
    built = []

    def building(name: str, **options: int) -> object:
        built.append(options.get("depth"))
        return empty_network(name, **options)

    monkeypatch.setattr(identify, "empty_network", building)
    odd = {
        key: tuple(200 if side == 192 else side for side in shape)
        for key, shape in shapes_of(f"timm:{TINY}").items()
    }
    with pytest.raises(CheckpointError, match="200 features"):
        identify_checkpoint(write_zeros(odd, tmp_path / "odd.pth"))
    assert built.count(1) > 100
    assert len(built) - built.count(1) < 10


def test_a_network_with_settings_for_each_block_is_known(tmp_path: Path) -> None:
    name = "timm:vit_base_patch16_sapiens2"
    assert identify_checkpoint(write_zeros(shapes_of(name), tmp_path / "a.pth")) == name


def test_a_name_that_does_not_fit_is_not_believed(tmp_path: Path) -> None:
    file = write_zeros(shapes_of("dinov2-small"), tmp_path / f"{TINY}.safetensors")
    assert identify_checkpoint(file) == "dinov2-small"


def test_where_several_fit_all_is_said(tmp_path: Path) -> None:
    file = write_zeros(shapes_of(f"timm:{TINY}"), tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError) as refused:
        identify_checkpoint(file)
    said = str(refused.value)
    assert "192 features, 12 blocks, patch 16" in said
    assert f"fits timm:{TINY} or timm:deit_tiny_patch16_224;" in said
    assert "\n" not in said


def test_another_size_of_image_is_another_model(tmp_path: Path) -> None:
    """timm would resample the positions, and nobody would know."""
    shapes = shapes_of("timm:vit_tiny_patch16_384")
    file = write_zeros(shapes, tmp_path / f"{TINY}.safetensors")
    assert identify_checkpoint(file) == "timm:vit_tiny_patch16_384"


def test_networks_of_another_kind_are_named_by_their_tensors(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.ones(3)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"conv1\.weight.*as backbone"):
        identify_checkpoint(tmp_path / "a.safetensors")
    own = {**shapes_of(f"timm:{TINY}"), "extra": (3,)}
    with pytest.raises(CheckpointError, match=r"12 blocks.*no model that is known"):
        identify_checkpoint(write_zeros(own, tmp_path / "b.safetensors"))


def test_pytorch_files_are_identified_without_their_values(tmp_path: Path) -> None:
    weights = {k: torch.zeros(v).half() for k, v in shapes_of(f"timm:{TINY}").items()}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / f"{TINY}.ckpt")
    assert identify_checkpoint(tmp_path / f"{TINY}.ckpt") == f"timm:{TINY}"


def test_a_folder_without_weights_or_with_several(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="holds no weights"):
        identify_checkpoint(tmp_path)
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsNotFoundError, match="several"):
        identify_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("given", "named", "said"),
    [
        ("dinov2-small-plain", "dinov2-small", "this is dinov2-small-plain."),
        (f"timm:{TINY}", "dinov2-small", f"this is timm:{TINY} or timm:deit_tiny"),
        ("dinov3-small", "timm:vit_small_patch16_224", "this is dinov3-small."),
    ],
)
def test_a_checkpoint_of_another_model_is_named(
    tmp_path: Path, given: str, named: str, said: str
) -> None:
    shapes = shapes_of(given)
    shapes = to_meta(shapes) if given.startswith("dinov2") else shapes
    file = write_zeros(shapes, tmp_path / "model.safetensors")
    for checkpoint in (file, tmp_path):
        with pytest.raises(CheckpointError) as refused:
            dp.load_backbone(named, checkpoint=checkpoint, device="cpu")
        assert f"does not hold the weights of {named}; {said}" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_dinov3_gives_vectors(tmp_path: Path) -> None:
    """The whole of the small one, with random weights, from a file to tokens."""
    from napari_dinoprompt.core.backbones.vit import create_network

    model, _ = create_network("dinov3-small")
    save_file(model.state_dict(), tmp_path / "vit_small_patch16_dinov3.safetensors")
    backbone = dp.load_backbone(
        "dinov3-small", weights_folder=tmp_path, device="cpu", precision="fp32"
    )
    info = backbone.info
    assert (info.patch, info.dimension, info.block) == (16, 384, 11)
    assert (backbone.scoring, backbone.tile) == ("centred", 16)
    picture = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        _, (expected,) = model.eval().forward_intermediates(
            (picture - backbone.mean) / backbone.std, indices=[11], norm=True
        )
    torch.testing.assert_close(backbone(picture), expected.permute(0, 2, 3, 1))
    moved = backbone.on(torch.device("cpu"))
    torch.testing.assert_close(moved(picture), backbone(picture))


@pytest.mark.parametrize("name", ["dinov3-large", "timm:vit_large_patch16_dinov3"])
def test_a_name_that_scales_otherwise_than_the_file_is_refused(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth"
    path.write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=r"_dinov3\.sat493m"):
        dp.load_backbone(name, checkpoint=path)
    # The same scaling under another tag, and the right one, are no matter.
    check_tag("timm:vit_large_patch16_dinov3.sat493m", path)
    other = tmp_path / "vit_tiny_patch16_224.augreg_in21k.safetensors"
    other.write_bytes(b"")
    check_tag("timm:vit_tiny_patch16_224", other)
