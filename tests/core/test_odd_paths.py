"""Blanks, umlauts, other scripts and signs in every kind of path."""

from __future__ import annotations

import os

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
import zarr
from safetensors.torch import save_file

from napari_dinoprompt import cli
from napari_dinoprompt.core.backbones.checkpoints import read_checkpoint
from napari_dinoprompt.core.backbones.weights import find_published, published_weights
from napari_dinoprompt.core.batch.run import find_images
from napari_dinoprompt.core.io.points import read_prompts, write_prompts
from napari_dinoprompt.core.io.read import open_array, read_image
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.library import Library
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.tiling.cache import open_cache

NAMES = {
    "blanks": " two  blanks, one before",
    "umlauts": "Zellkerne Übergröße ß",
    # As a Mac writes an umlaut: letter and dots apart.
    "decomposed": "u\u0308ber",
    "scripts": "細胞核 ядро خلية",
    "signs": "#1 50% off & more; $HOME 'q' ~",
    "percent": "a%20b%ff",
    "globs": "[a-z]*{1,2}!",
    "dots": "v1.2 .. end...",
    "dash": "-o",
    "long": "ä" * 100,
}


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    if os.name == "nt" and not set(request.param).isdisjoint('*?"<>|'):
        pytest.skip("no file can be called so here")
    return str(request.param)


def test_images_points_and_references(name, tmp_path, blobs, blob_reference) -> None:
    folder = tmp_path / name
    folder.mkdir()
    tifffile.imwrite(folder / f"{name}.tif", blobs.image)
    iio.imwrite(folder / f"{name}.png", blobs.image)
    zarr.save_array(folder / f"{name}.zarr", blobs.image)
    for suffix in (".tif", ".png"):
        np.testing.assert_array_equal(
            read_image(folder / f"{name}{suffix}"), blobs.image
        )
    array, _ = open_array(folder / f"{name}.zarr")
    np.testing.assert_array_equal(np.asarray(array), blobs.image)
    found = [path.name for path in find_images([folder])]
    assert {f"{name}.tif", f"{name}.png"} <= set(found)
    points = folder / f"{name}.csv"
    write_prompts(points, Prompts(blobs.prompts, (name,) * 5))
    assert read_prompts(points).classes == (name.strip(),) * 5
    written = blob_reference.save(folder / name)
    assert written.name == f"{name}.reference.safetensors"
    assert Reference.load(written).classes == blob_reference.classes


def test_library(name, tmp_path, blob_reference) -> None:
    library = Library(tmp_path / name / "library")
    entry = library.add(blob_reference, name)
    assert [one.name for one in library.entries()] == [entry.name]
    assert library.load(entry).classes == blob_reference.classes
    again = library.rename(entry, f"{name} 2")
    saved = (blob_reference + blob_reference).save(tmp_path / name / name)
    other = library.import_file(saved)
    library.remove(again)
    assert [one.name for one in library.entries()] == [other.name]


def test_command_and_its_folders(name, tmp_path, blobs, blob_reference, capsys) -> None:
    """As a shell gives it: a name that begins with a dash needs a folder before it."""
    folder = tmp_path / name
    folder.mkdir()
    image, out = folder / f"{name}.tif", tmp_path / f"out {name}" / name
    tifffile.imwrite(image, blobs.image)
    reference = blob_reference.save(folder / name)
    arguments = ["segment", image, "--reference", reference, "--output", out]
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert ended.value.code in (0, None), capsys.readouterr().err
    mask = read_image(out / f"{name}_mask.tif")
    assert mask.shape == blobs.image.shape
    assert mask.max() == 1
    assert f"{name}.tif" in (out / "segmentation.csv").read_text(encoding="utf-8")


def test_weights_and_cache(name, tmp_path, monkeypatch) -> None:
    folder = tmp_path / name
    folder.mkdir()
    model = f"{published_weights('dinov2-small').timm_name}.safetensors"
    save_file({"one": torch.ones(3)}, folder / model)
    found = find_published("dinov2-small", str(folder))
    assert found == folder / model
    assert read_checkpoint(found)["one"].sum() == 3
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path / f"cache {name}"))
    cache = open_cache(1.0)
    assert cache is not None
    tile = np.ones((2, 2, 4), dtype=np.float16)
    cache.put("ab" * 32, tile)
    np.testing.assert_array_equal(cache.get("ab" * 32), tile)
    assert not cache.problem
