"""Preferences: what a new dock starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from npe2 import PluginManifest
from pydantic import ValidationError

from napari_dinoprompt._qt.common.preferences import PLUGIN, read_preferences
from napari_dinoprompt.core.backbones.weights import published_weights

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def features(plugin_settings: None, npe2pm: Any) -> Any:
    """The settings of the plugin, as Preferences shows them."""
    from napari.settings import get_plugin_settings

    if PLUGIN not in npe2pm:
        npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    return get_plugin_settings(PLUGIN).features


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files under the names of two models."""
    for name in ("dinov2-small", "dinov2-base"):
        file = tmp_path / f"{published_weights(name).timm_name}.safetensors"
        file.write_bytes(b"weights")
    return tmp_path


def test_without_settings_there_are_defaults(npe2pm: Any, plugin_settings: None):
    found = read_preferences()
    assert (found.backbone.name, found.wanted) == ("filterbank", "dinov2-small")
    assert found.backbone.cache_gigabytes in (None, 10)


def test_defaults(features: Any) -> None:
    found = read_preferences()
    assert found.backbone.name == "filterbank"
    assert found.backbone.device == found.backbone.precision == "auto"
    assert found.backbone.weights_folder is None
    assert found.wanted == "dinov2-small"
    assert found.backbone.cache_gigabytes in (None, 10)


def test_auto_takes_dinov2_from_the_folder(features: Any, folder: Path) -> None:
    features.weights_folder = f" {folder} "
    found = read_preferences().backbone
    assert (found.name, found.weights_folder) == ("dinov2-small", str(folder))


def test_all_of_it_arrives(features: Any, folder: Path) -> None:
    features.backbone = "dinov2-base"
    features.device = "cpu"
    features.precision = "bf16"
    features.weights_folder = str(folder)
    features.cache_gigabytes = 250.5
    found = read_preferences()
    assert found.backbone.cache_gigabytes == 250.5
    assert found.wanted == found.backbone.name == "dinov2-base"
    assert (found.backbone.device, found.backbone.precision) == ("cpu", "bf16")


@pytest.mark.parametrize(
    "backbone", ["auto", "filterbank", "dinov2-small", "dinov2-large"]
)
def test_no_disk_space_whatever_the_backbone(
    features: Any, folder: Path, backbone: str
) -> None:
    features.backbone = backbone
    features.weights_folder = str(folder)
    features.cache_gigabytes = 0
    assert read_preferences().backbone.cache_gigabytes == 0


@pytest.mark.parametrize("space", [-1, "much"])
def test_what_is_no_disk_space_is_refused(features: Any, space: object) -> None:
    with pytest.raises(ValidationError):
        features.cache_gigabytes = space


def test_a_backbone_without_weights_is_offered_and_filterbank_used(
    features: Any, bench: Any
) -> None:
    features.backbone = "dinov2-large"
    bench.open()
    assert bench.backbone_shown == "filterbank"
    assert bench.shows("The weights of dinov2-large are not on this machine")
    assert bench.button("Get dinov2-large (1.2 GB)")


def test_who_prefers_filterbank_is_offered_nothing(features: Any, bench: Any) -> None:
    features.backbone = "filterbank"
    dock = bench.open()
    assert dock.weights.isHidden()


def test_the_panel_keeps_the_folder(features: Any, bench: Any, folder: Path) -> None:
    features.weights_folder = str(folder)
    features.backbone = "filterbank"
    dock = bench.open()
    assert dock.image.request.backbone.weights_folder == str(folder)
    bench.choose_upscale("×2")
    kept = bench.work.session.request.backbone.weights_folder
    assert kept == str(folder)


def test_a_change_is_for_the_next_dock(features: Any, bench: Any) -> None:
    bench.open()
    features.precision = "fp32"
    assert bench.work.session.request.backbone.precision == "auto"
    bench.close()
    bench.open()
    assert bench.work.session.request.backbone.precision == "fp32"
