"""Uses the installed package from Python: prompts, reference, mask, comparison."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import imageio.v3 as iio

import napari_dinoprompt as dp
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.sample_data import sample_files


def main() -> None:
    installed = Path(dp.__file__)
    if "site-packages" not in installed.parts:
        sys.exit(f"not the installed package, but {installed}")
    files = sample_files("early")
    real = iio.imread(files["nuclei_real"])
    fake = iio.imread(files["nuclei_fake_trained"])
    features = dp.extract_features(real, dp.load_backbone("filterbank"))
    points = read_prompts(files["prompts"]).points
    dp.Reference.from_prompts(features, points).save("python.reference.safetensors")
    reference = dp.Reference.load("python.reference.safetensors")
    mask = dp.segment(real, reference).mask
    report = dp.compare(real, [fake], reference)
    print(
        f"napari-dinoprompt {version('napari-dinoprompt')}: "
        f"{(mask > 0).mean():.1%} of the pixels are nuclei; "
        f"the fake agrees with an IoU of {report.table[0]['iou']:.2f}"
    )


if __name__ == "__main__":
    main()
