"""What the plugin says of itself, as npe2 understands it.

npe2 drops keys that it does not know, and a contribution under a misspelt key is gone
without a word. So it is not enough that the manifest is valid: what we mean to
contribute is written down here a second time.
"""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest
from npe2.manifest.contributions import ContributionPoints

from napari_dinoprompt.core.backbones.load import backbone_names
from napari_dinoprompt.core.tiling.cache import DEFAULT_GIGABYTES

NAME = "napari-dinoprompt"
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "napari_dinoprompt"

COMMANDS = {
    f"{NAME}.prompt_segmentation": "napari_dinoprompt._qt.dock:PromptSegmentation",
    f"{NAME}.open_early": "napari_dinoprompt.sample_data:open_early_sample",
    f"{NAME}.open_late": "napari_dinoprompt.sample_data:open_late_sample",
    f"{NAME}.open_ihc": "napari_dinoprompt.sample_data:open_ihc_sample",
    f"{NAME}.read_reference": (
        "napari_dinoprompt.session.reference_layers:get_reference_reader"
    ),
    f"{NAME}.write_reference": (
        "napari_dinoprompt.session.reference_layers:write_reference"
    ),
    f"{NAME}.write_objects": "napari_dinoprompt.session.object_layers:write_objects",
    f"{NAME}.read_points": "napari_dinoprompt.session.object_layers:get_points_reader",
}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    """The manifest by the way that napari takes: through the entry point."""
    return PluginManifest.from_distribution(NAME)


def test_no_key_is_dropped() -> None:
    written = yaml.safe_load((PACKAGE / "napari.yaml").read_text(encoding="utf-8"))
    assert set(written) <= set(PluginManifest.model_fields)
    assert set(written["contributions"]) <= set(ContributionPoints.model_fields)


def test_names_and_categories(manifest: PluginManifest) -> None:
    assert manifest.name == NAME
    assert manifest.display_name == "DINO prompt segmentation"
    categories = [str(getattr(c, "value", c)) for c in manifest.categories]
    assert categories == ["Segmentation", "Annotation", "Image Processing"]


def test_commands(manifest: PluginManifest) -> None:
    commands = manifest.contributions.commands or []
    assert {command.id: command.python_name for command in commands} == COMMANDS


@pytest.mark.parametrize("python_name", COMMANDS.values(), ids=COMMANDS)
def test_command_can_be_imported(python_name: str) -> None:
    module, _, attribute = python_name.partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_widget(manifest: PluginManifest) -> None:
    widgets = manifest.contributions.widgets or []
    assert [(widget.command, widget.display_name) for widget in widgets] == [
        (f"{NAME}.prompt_segmentation", "Prompt segmentation")
    ]


def test_menu(manifest: PluginManifest) -> None:
    menus = manifest.contributions.menus or {}
    assert {
        name: [item.command for item in items] for name, items in menus.items()
    } == {"napari/layers/segment": [f"{NAME}.prompt_segmentation"]}


def test_reader(manifest: PluginManifest) -> None:
    readers = manifest.contributions.readers or []
    assert [(one.command, one.filename_patterns) for one in readers] == [
        (f"{NAME}.read_reference", ["*.reference.safetensors"]),
        (f"{NAME}.read_points", ["*.roi", "*.zip", "*.geojson"]),
    ]


def test_writer(manifest: PluginManifest) -> None:
    writers = manifest.contributions.writers or []
    assert [
        (one.command, one.layer_types, one.filename_extensions) for one in writers
    ] == [
        (f"{NAME}.write_reference", ["points"], [".reference.safetensors"]),
        (f"{NAME}.write_objects", ["labels"], [".geojson", ".zip", ".csv"]),
    ]


def test_sample_data(manifest: PluginManifest) -> None:
    samples = manifest.contributions.sample_data or []
    assert {
        sample.key: (sample.command, sample.display_name) for sample in samples
    } == {
        "early": (
            f"{NAME}.open_early",
            "Embryo tissue, early (real and virtual nuclei)",
        ),
        "late": (f"{NAME}.open_late", "Embryo tissue, late (real and virtual nuclei)"),
        "ihc": (f"{NAME}.open_ihc", "Immunohistochemistry (skimage)"),
    }
    # napari names a sample's action like a command, and the later one would win.
    assert not {f"{NAME}.{sample.key}" for sample in samples} & set(COMMANDS)


def test_preferences(manifest: PluginManifest) -> None:
    (features,) = (manifest.contributions.configurations or {}).values()
    offered = {
        key: (one.type, one.default, one.enum)
        for key, one in features.properties.items()
    }
    assert offered == {
        "backbone": ("string", "auto", ["auto", *backbone_names()]),
        "device": ("string", "auto", ["auto", "cuda", "mps", "cpu"]),
        "precision": ("string", "auto", ["auto", "fp32", "bf16", "fp16"]),
        "weights_folder": ("string", "", None),
        "cache_gigabytes": ("number", DEFAULT_GIGABYTES, None),
    }
    space = features.properties["cache_gigabytes"]
    assert (space.minimum, space.maximum) == (0, 100_000)
    assert all(one.title and one.description for one in features.properties.values())


@pytest.mark.skipif(
    sys.platform == "win32" or not (ROOT / ".git").exists(),
    reason="only a checkout with symbolic links has them",
)
@pytest.mark.parametrize("name", ["napari.yaml", "sample_data"])
def test_top_level_link_leads_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve(strict=True) == PACKAGE / name
