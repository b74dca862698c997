"""Checkpoint files: several layouts, one set of weights; damage is one message."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from toy_dinov2 import Weights, build_toy, to_meta

from napari_dinoprompt.core.backbones.checkpoints import (
    hash_weights,
    load_weights,
    read_checkpoint,
)
from napari_dinoprompt.core.backbones.vit import import_timm, load_vit, wrap_model
from napari_dinoprompt.core.errors import CheckpointError

CPU = torch.device("cpu")


def empty_toy() -> torch.nn.Module:
    """The architecture of the toy model with other weights."""
    return build_toy()


def save_as(weights: Weights, path: Path) -> Path:
    weights = {key: value.clone() for key, value in weights.items()}
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@pytest.mark.parametrize("file", ["a.safetensors", "a.pth", "a.bin"])
def test_checkpoints_load_whole(
    toy_model: torch.nn.Module, tmp_path: Path, file: str
) -> None:
    path = save_as(toy_model.state_dict(), tmp_path / file)
    loaded = empty_toy()
    load_weights(loaded, path, name="toy", classifier=())
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, toy_model.state_dict()[key])


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_wrapping_dictionary_is_opened(tmp_path: Path, key: str) -> None:
    torch.save({key: {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth")["a"].tolist() == [1, 1]


def test_a_classifier_in_the_file_is_left_out(
    toy_model: torch.nn.Module, tmp_path: Path
) -> None:
    weights = toy_model.state_dict() | {"head.weight": torch.ones(5, 32)}
    path = save_as(weights, tmp_path / "a.safetensors")
    load_weights(empty_toy(), path, name="toy", classifier=("head",))
    with pytest.raises(CheckpointError, match="head"):
        load_weights(empty_toy(), path, name="toy", classifier=())


def test_meta_s_layout_gives_the_same_tokens_and_the_same_hash(
    toy_model: torch.nn.Module, tmp_path: Path
) -> None:
    loaded = empty_toy()
    path = save_as(to_meta(toy_model.state_dict()), tmp_path / "meta.pth")
    load_weights(loaded, path, name="toy", classifier=())
    loaded.pretrained_cfg = toy_model.pretrained_cfg
    mine, its = (
        wrap_model("toy", model, block=None, device=CPU, dtype=torch.float32)
        for model in (toy_model, loaded)
    )
    picture = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(its(picture), mine(picture), atol=1e-5, rtol=1e-5)
    assert its.info == mine.info


def test_dinov2_small_loads_from_meta_s_file_as_from_timm_s(tmp_path: Path) -> None:
    """The whole architecture, half precision too; no pass through the network."""
    name = "vit_small_patch14_reg4_dinov2"
    model = import_timm().create_model(name, pretrained=False, num_classes=0)
    weights = model.state_dict()
    half = {key: value.half() for key, value in to_meta(weights).items()}
    hashes = set()
    for file, content in {
        "timm.safetensors": weights,
        "meta.pth": to_meta(weights),
        "half.pth": half,
    }.items():
        path = save_as(content, tmp_path / file)
        backbone = load_vit(
            "dinov2-small", checkpoint=path, block=None, device=CPU, dtype=torch.float32
        )
        found = backbone.model.state_dict()
        for key in ("reg_token", "cls_token", "pos_embed", "blocks.7.ls2.gamma"):
            torch.testing.assert_close(found[key], weights[key], atol=5e-3, rtol=0)
        hashes.add(backbone.info.weights_hash)
        path.unlink()
    assert len(hashes) == 1


def test_a_half_precision_copy_has_the_same_hash(toy_model: torch.nn.Module) -> None:
    weights = toy_model.state_dict()
    expected = hash_weights(weights)
    assert len(expected) == 64
    assert (
        hash_weights({key: value.half() for key, value in weights.items()}) == expected
    )
    assert hash_weights(dict(reversed(weights.items()))) == expected


@pytest.mark.parametrize("key", ["blocks.2.mlp.fc1.bias", "pos_embed", "reg_token"])
def test_a_changed_weight_changes_the_hash(
    toy_model: torch.nn.Module, key: str
) -> None:
    before = hash_weights(toy_model.state_dict())
    with torch.no_grad():
        toy_model.get_parameter(key).view(-1)[0] += 0.01
    assert hash_weights(toy_model.state_dict()) != before


def test_names_and_shapes_are_part_of_the_hash() -> None:
    four = torch.arange(4.0)
    hashes = {
        hash_weights(weights)
        for weights in ({"a": four}, {"b": four}, {"a": four.view(2, 2)}, {})
    }
    assert len(hashes) == 4


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("protocol", [None, 0, 2, 4, 5], ids=str)
def test_a_malicious_file_is_refused_and_never_run(
    tmp_path: Path, protocol: int | None
) -> None:
    """Written by torch, and as a plain pickle of any protocol."""
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"a": torch.ones(2), "b": Attack(marker)}
    if protocol is None:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"b": Attack(marker)}, protocol))
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path)
    assert "\n" not in str(refused.value)
    assert not marker.exists()
    # The attack itself works, so that the check means something.
    if protocol is None:
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert marker.exists()


def test_dictionaries_in_dictionaries_are_read_once(tmp_path: Path) -> None:
    """A file may say that a dictionary is in itself, or is many."""
    content: dict[str, object] = {"a": torch.ones(2), 3: torch.ones(3), "epoch": 3}
    content["self"] = content
    many: dict[str, object] = {"b": torch.ones(1)}
    for _ in range(40):
        many = {"one": many, "two": many}
    content["many"] = many
    torch.save(content, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")
    assert sorted(len(value) for value in found.values()) == [1, 2]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_pointer_of_git_lfs_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    )
    with pytest.raises(CheckpointError, match=r"model.*run git lfs pull"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("inside", "outside"), [("safetensors", "pth"), ("pth", "safetensors")]
)
def test_content_decides_and_not_the_suffix(
    toy_model: torch.nn.Module, tmp_path: Path, inside: str, outside: str
) -> None:
    path = save_as(toy_model.state_dict(), tmp_path / f"a.{inside}")
    path = path.rename(tmp_path / f"a.{outside}")
    loaded = empty_toy()
    load_weights(loaded, path, name="toy", classifier=())
    assert hash_weights(loaded.state_dict()) == hash_weights(toy_model.state_dict())


def refused_in_one_line(path: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        load_weights(empty_toy(), path, name="toy", classifier=())
    message = str(refused.value)
    assert "\n" not in message
    assert path.name in message
    assert len(message) < 1000


@pytest.mark.parametrize("file", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_files_are_refused(
    toy_model: torch.nn.Module, tmp_path: Path, file: str, share: float
) -> None:
    path = save_as(toy_model.state_dict(), tmp_path / file)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused_in_one_line(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"<html>404 Not Found</html>",
        b"PK\x03\x04" + bytes(60),
        "Umlaute äöü und Zeilen\n".encode() * 5,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    ],
    ids=["png", "html", "zip", "text", "lfs"],
)
def test_foreign_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)
    refused_in_one_line(path)


@settings(deadline=None, max_examples=150)
@given(content=st.binary(max_size=60))
def test_any_bytes_at_all_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2, 3],
        {"a": 5},
        {"state_dict": {"a": "text"}},
        {},
        {1: torch.ones(2)},
        torch.ones(3),
    ],
    ids=["list", "number", "text", "empty", "numbered", "tensor"],
)
def test_files_without_weights_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    refused_in_one_line(path)


def change(weights: Weights, how: str) -> Weights:
    weights = dict(weights)
    if how == "missing":
        del weights["blocks.1.attn.qkv.weight"]
    elif how == "extra":
        weights["more"] = torch.ones(2)
    elif how == "shape":
        weights["norm.weight"] = torch.ones(33)
    elif how == "renamed":
        weights = {k.replace("blocks", "stages"): v for k, v in weights.items()}
    return weights


@pytest.mark.parametrize("how", ["missing", "extra", "shape", "renamed"])
def test_another_model_s_weights_are_refused(
    toy_model: torch.nn.Module, tmp_path: Path, how: str
) -> None:
    path = save_as(change(toy_model.state_dict(), how), tmp_path / "b.safetensors")
    refused_in_one_line(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    refused_in_one_line(tmp_path / "none.pth")
    refused_in_one_line(tmp_path)
