"""Where weights are looked for; nothing is ever downloaded."""

import os
from pathlib import Path

import huggingface_hub.constants
import pytest

from napari_dinoprompt.core.backbones.weights import (
    PUBLISHED,
    find_checkpoint,
    find_published,
    find_weights,
    hub_cache_folder,
    published_weights,
    torch_hub_folder,
)
from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


def put_into_hub(hub: Path, hub_id: str, name: str) -> Path:
    repository = hub / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(SHA)
    file = repository / "snapshots" / SHA / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    return file


@pytest.mark.parametrize(
    ("name", "timm_name", "meta_file"),
    [
        (
            "dinov2-small",
            "vit_small_patch14_reg4_dinov2.lvd142m",
            "dinov2_vits14_reg4_pretrain.pth",
        ),
        (
            "dinov2-base-plain",
            "vit_base_patch14_dinov2.lvd142m",
            "dinov2_vitb14_pretrain.pth",
        ),
        (
            "dinov2-giant",
            "vit_giant_patch14_reg4_dinov2.lvd142m",
            "dinov2_vitg14_reg4_pretrain.pth",
        ),
        (
            "dinov3-base",
            "vit_base_patch16_dinov3.lvd1689m",
            "dinov3_vitb16_pretrain_lvd1689m-73cec8be.pth",
        ),
    ],
)
def test_names_at_the_publishers(name: str, timm_name: str, meta_file: str) -> None:
    weights = published_weights(name)
    assert weights.timm_name == timm_name
    assert weights.hub_id == f"timm/{timm_name}"
    assert weights.meta_file == meta_file


@pytest.mark.parametrize("name", PUBLISHED)
def test_timm_knows_every_architecture(name: str) -> None:
    from napari_dinoprompt.core.backbones.vit import import_timm

    weights = published_weights(name)
    config = import_timm().get_pretrained_cfg(weights.timm_name)
    assert config is not None
    assert config.hf_hub_id == weights.hub_id
    # The tag is the one that timm takes if none is named, so that files without fit.
    base = weights.timm_name.partition(".")[0]
    assert import_timm().get_pretrained_cfg(base).tag == config.tag
    side = 518 if weights.patch == 14 else 256
    assert config.input_size == (3, side, side)
    spoken = weights.licence.partition(" ")[0].lower()
    assert spoken.partition("-")[0] == config.license.partition("-")[0]


@pytest.mark.parametrize(
    "name",
    ["dinov2-", "dinov2-tiny", "dinov2-small-reg", "small", "dinov3-small-plain"],
)
def test_unknown_models_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="dinov2-small"):
        published_weights(name)


def test_missing_weights_name_both_places_and_what_works_now(hub: Path) -> None:
    with pytest.raises(WeightsNotFoundError) as missing:
        find_published("dinov2-small")
    message = str(missing.value)
    assert str(hub) in message
    assert "timm/vit_small_patch14_reg4_dinov2.lvd142m" in message
    assert str(torch_hub_folder() / "dinov2_vits14_reg4_pretrain.pth") in message
    assert "filterbank" in message
    assert "\n" not in message
    assert not hub.exists()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_in_the_hugging_face_cache_is_found(hub: Path, file: str) -> None:
    there = put_into_hub(hub, "timm/vit_small_patch14_reg4_dinov2.lvd142m", file)
    assert find_published("dinov2-small") == there
    with pytest.raises(WeightsNotFoundError):
        find_published("dinov2-small-plain")


def test_meta_s_file_in_torch_s_cache_is_found(hub: Path) -> None:
    file = torch_hub_folder() / "dinov2_vitb14_reg4_pretrain.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert find_published("dinov2-base") == file
    with pytest.raises(WeightsNotFoundError):
        find_published("dinov2-base-plain")


def test_the_hugging_face_cache_comes_first(hub: Path) -> None:
    meta = torch_hub_folder() / "dinov2_vits14_pretrain.pth"
    meta.parent.mkdir(parents=True)
    meta.write_bytes(b"weights")
    name = "timm/vit_small_patch14_dinov2.lvd142m"
    there = put_into_hub(hub, name, "model.safetensors")
    assert find_published("dinov2-small-plain") == there


def find_other(name: str, folder: Path | None = None) -> Path:
    """Find what timm has a tag for, though it was not named."""
    return find_weights(
        f"timm:{name}", "timm/vit_x.tag", (f"{name}.safetensors",), folder
    )


def test_other_timm_models_are_found_by_repository(hub: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"timm/vit_x\.tag.*filterbank"):
        find_other("vit_x")
    there = put_into_hub(hub, "timm/vit_x.tag", "model.safetensors")
    assert find_other("vit_x") == there


SMALL = "vit_small_patch14_reg4_dinov2.lvd142m"
META_SMALL = "dinov2_vits14_reg4_pretrain.pth"


@pytest.mark.parametrize(
    "place",
    [
        f"{SMALL}.safetensors",
        f"{SMALL}/model.safetensors",
        f"{SMALL}/pytorch_model.bin",
        "vit_small_patch14_reg4_dinov2.safetensors",
        META_SMALL,
        "hub cache",
    ],
)
def test_what_is_recognised_in_a_folder(
    hub: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    if place == "hub cache":
        file = put_into_hub(folder, f"timm/{SMALL}", "model.safetensors")
    else:
        file = folder / place
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")
    with pytest.raises(WeightsNotFoundError):
        find_published("dinov2-small")
    assert find_published("dinov2-small", folder) == file
    with pytest.raises(WeightsNotFoundError):
        find_published("dinov2-base", folder)
    monkeypatch.setenv("DINOPROMPT_WEIGHTS", os.pathsep.join(["/nowhere", str(folder)]))
    assert find_published("dinov2-small") == file


def test_a_checkpoint_may_be_a_folder(hub: Path, tmp_path: Path) -> None:
    repository, files = f"timm/{SMALL}", (META_SMALL,)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    put_into_hub(hub, repository, "model.safetensors")
    with pytest.raises(WeightsNotFoundError, match="holds no weights, no vit_small"):
        find_checkpoint(folder, repository, files)
    for name in ("any.ckpt", "pytorch_model.bin", "model.safetensors", META_SMALL):
        file = folder / name
        file.write_bytes(b"weights")
        assert find_checkpoint(folder, repository, files) == file
        assert find_checkpoint(file, repository, files) == file
    # Without a model in mind its file is no better than others.
    assert find_checkpoint(folder) == folder / "model.safetensors"
    missing = tmp_path / "none.pth"
    assert find_checkpoint(missing, repository, files) == missing


def test_a_folder_of_several_files_is_refused(tmp_path: Path) -> None:
    for name in ("a.pth", "b.safetensors"):
        (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(WeightsNotFoundError, match=r"several files.*name the file"):
        find_checkpoint(tmp_path)


def test_the_order_of_places(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_hub(hub, f"timm/{SMALL}", "model.safetensors")
    for name in ("environment", "preferences"):
        (tmp_path / name).mkdir()
        (tmp_path / name / META_SMALL).write_bytes(b"weights")
    preferred = tmp_path / "preferences"
    assert find_published("dinov2-small", preferred).parent == preferred
    monkeypatch.setenv("DINOPROMPT_WEIGHTS", str(tmp_path / "environment"))
    found = find_published("dinov2-small", preferred)
    assert found.parent == tmp_path / "environment"


def test_folders_are_named_where_nothing_is_found(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINOPROMPT_WEIGHTS", os.pathsep.join(["/here", " ", "~/there"]))
    with pytest.raises(WeightsNotFoundError) as missing:
        find_published("dinov2-small", tmp_path / "set")
    message = str(missing.value)
    for word in ("/here", str(Path("~/there").expanduser()), str(tmp_path / "set")):
        assert word in message
    assert "dinoprompt models --get dinov2-small" in message
    assert "88 MB" in message
    assert f"{SMALL}.safetensors" in message


@pytest.mark.parametrize("name", ["vit_x", "vit_x.tag"])
def test_other_timm_models_in_a_folder(hub: Path, tmp_path: Path, name: str) -> None:
    """With timm's tag or without: people do not know of it."""
    file = tmp_path / f"{name}.safetensors"
    file.write_bytes(b"weights")
    assert find_other("vit_x", tmp_path) == file


def test_the_tests_look_nowhere_near_the_user_s_caches() -> None:
    assert "dinoprompt-tests-" in str(hub_cache_folder())
    assert "dinoprompt-tests-" in str(torch_hub_folder())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TORCH_HOME": "/somewhere"}, "/somewhere/hub/checkpoints"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/torch/hub/checkpoints"),
        ({}, "~/.cache/torch/hub/checkpoints"),
    ],
)
def test_torch_s_folder_is_the_one_torch_uses(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert torch_hub_folder() == Path(expected).expanduser()
    assert torch_hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"
