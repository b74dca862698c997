"""The picture at the top of the README: from an image to a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import napari_dinoprompt as dp
from napari_dinoprompt.sample_data import sample_files
from scenes.sample import CLICKS, read_real

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

# As napari shows them in the dock: both, only real, only fake.
AGREEMENT = ("#009E73", "#56B4E9", "#D55E00")
PROMPT = "#ffd23f"
CLEANING = dp.Cleaning(min_size=20, fill_holes=True, split=True)
THRESHOLD = 0.2


def story(folder: Path) -> None:
    """Image, clicks, similarity, mask, the same on a fake, and both compared."""
    real = read_real("early")
    fake = np.asarray(iio.imread(sample_files("early")["nuclei_fake_trained"]))
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(real, backbone)
    reference = dp.Reference.from_prompts(features, CLICKS)
    reference = reference.with_thresholds({"object": THRESHOLD})
    options = dp.SegmentOptions(cleaning=CLEANING)
    found = dp.compare(real, fake, reference, options=options, draws=0)
    on_real, on_fake = found.real, found.reports[0].segmentation

    figure = Figure(figsize=(12, 8.3), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for panel, title in zip(axes, TITLES, strict=True):
        panel.set(xticks=[], yticks=[])
        panel.set_title(title, fontsize=14, loc="left")
    grey = {"cmap": "gray", "vmin": reference.window.low, "vmax": reference.window.high}
    axes[0].imshow(real, **grey)
    axes[1].imshow(real, **grey)
    y, x = np.transpose(CLICKS)
    axes[1].scatter(x, y, s=110, c=PROMPT, edgecolors="black", linewidths=1.2)
    shown = axes[2].imshow(on_real.similarity, cmap="magma", vmin=-1, vmax=1)
    figure.colorbar(shown, ax=axes[2], shrink=0.6, ticks=[-1, 0, 1])
    axes[3].imshow(real, **grey)
    outline(axes[3], on_real.instances, f"{on_real.objects} objects")
    axes[4].imshow(fake, **grey)
    outline(axes[4], on_fake.instances, f"{on_fake.objects} objects")
    colours = ListedColormap(["#202020", *AGREEMENT])
    axes[5].imshow(found.agreement, cmap=colours, vmin=0, vmax=3, interpolation="none")
    words = ("in both", "only in the real", "only in the virtual")
    handles = [Patch(color=c, label=w) for c, w in zip(AGREEMENT, words, strict=True)]
    axes[5].legend(handles=handles, loc="lower right", fontsize=11)
    path = folder / "story.jpg"
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 88, "optimize": True})
    print(path)


TITLES = (
    "1  A real stain",
    "2  Five clicks",
    "3  How alike everything is",
    "4  What was found",
    "5  Same clicks, virtual stain",
    "6  Real and virtual compared",
)


def outline(panel: Axes, instances: np.ndarray, text: str) -> None:
    """Draw the outline of each object, and say how many there are."""
    from skimage.segmentation import find_boundaries

    edges = np.ma.masked_equal(find_boundaries(instances, mode="thick"), 0)
    panel.imshow(edges, cmap=ListedColormap(["#3ddbd9"]), interpolation="none")
    panel.text(
        0.98,
        0.02,
        text,
        transform=panel.transAxes,
        ha="right",
        va="bottom",
        fontsize=12,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
    )
