"""What the dock shows is what the API and the command compute, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import napari_dinoprompt as dp

if TYPE_CHECKING:
    from pathlib import Path

CLEANINGS = {
    "plain": {},
    "cleaned": {"min_size": 60, "fill_holes": True},
    "split": {"min_size": 20, "split": True},
}


@pytest.mark.parametrize("options", CLEANINGS.values(), ids=CLEANINGS)
@pytest.mark.parametrize(
    ("threshold", "kind"), [(None, "fitted"), (0.5, "plain")], ids=["auto", "set"]
)
def test_dock_api_and_command_agree(
    prompted, scene, tmp_path: Path, options: dict, threshold: float | None, kind: str
) -> None:
    from napari_dinoprompt.cli import main

    # A number, so that all three are at the same.
    prompted.choose_upscale("1")
    prompted.click([scene.bar, scene.empty], "background")
    prompted.work.add_class("dim")
    prompted.click(scene.dim[:2])
    prompted.chip("object").click()
    if threshold is not None:
        for name in ("object", "dim"):
            prompted.chip(name).click()
            prompted.drag_threshold(threshold)
            prompted.settle()
        prompted.chip("object").click()
    widgets = {"fill_holes": "fill"}
    prompted.clean(**{widgets.get(name, name): v for name, v in options.items()})
    prompted.choose_map(kind)
    shown, similarity = prompted.mask, np.array(prompted.similarity_layer.data)
    assert shown.any()

    # The API, from the points that were clicked.
    classes = ["object"] * 2 + ["background"] * 2 + ["dim"] * 2
    points = [*scene.bright[:2], scene.bar, scene.empty, *scene.dim[:2]]
    backbone = dp.load_backbone("filterbank")
    features = dp.extract_features(scene.image, backbone)
    reference = dp.Reference.from_prompts(features, points, classes)
    result = dp.segment(
        scene.image,
        reference,
        backbone,
        dp.SegmentOptions(
            threshold=threshold, cleaning=dp.Cleaning(**options), map=kind
        ),
    )
    mine = result.instances if options.get("split") else result.mask
    np.testing.assert_array_equal(shown, mine)
    np.testing.assert_array_equal(similarity, result.similarity)
    expected = dp.similarity_map(features, reference, fitted=kind == "fitted")
    np.testing.assert_allclose(similarity, expected, atol=1e-6)

    # The command, from the file that napari saves of the prompts.
    iio.imwrite(tmp_path / "scene.png", scene.image)
    frame = prompted.prompts.features.copy()
    frame.insert(0, "axis-1", prompted.prompts.data[:, 1])
    frame.insert(0, "axis-0", prompted.prompts.data[:, 0])
    frame.to_csv(tmp_path / "prompts.csv", index_label="index")
    flags = [f"--map={kind}"]
    if threshold is not None:
        flags.append(f"--threshold={threshold}")
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        flags.append(flag if value is True else f"{flag}={value}")
    image, file = str(tmp_path / "scene.png"), str(tmp_path / "r.reference.safetensors")
    for arguments in (
        [
            "reference",
            image,
            f"--points={tmp_path / 'prompts.csv'}",
            f"--output={file}",
            "--backbone=filterbank",
            "--upscale=1",
        ],
        ["segment", image, f"--reference={file}", f"--output={tmp_path}", *flags],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    written = "instances" if options.get("split") else "mask"
    found = tifffile.imread(tmp_path / f"scene_{written}.tif")
    np.testing.assert_array_equal(shown, found)
    found = tifffile.imread(tmp_path / "scene_similarity.tif")[0]
    np.testing.assert_array_equal(similarity, found)
