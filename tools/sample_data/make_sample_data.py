"""Make the sample data anew, or check what is stored.

``python tools/sample_data/make_sample_data.py [--output DIR] [--check]``

Drawn files are the same bit for bit on every run. The fakes are trained: floats are
summed in another order on another machine, so they are the same within
`FAKE_TOLERANCE`. The fields learnt from and the fields shown have other seeds.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import tifffile
from draw_tissue import EARLY, LATE, TissueField, draw_field

from napari_dinoprompt import sample_data
from napari_dinoprompt.sample_data import FIELDS, ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


STYLES = {"early": EARLY, "late": LATE}
# Of a few seeds tried, these have the usual share of empty cells, 8 to 9 %.
SEEDS = {"early": 1, "late": 12}
PROMPT_SEEDS = {"early": 101, "late": 102}
PROMPTS = 5
LEARNING_SEEDS = range(1000, 1004)

FAKE_TOLERANCE = 8.0
"""Largest mean absolute difference, in grey values, of a fake that is made anew.

On one machine it was 0. With torch held to older processor instructions, which
stands for another machine, it was 3.1 to 4.1 for the trained fakes and 6.0 to 6.3 for
the undertrained ones. The two kinds of fake differ from each other by 16 to 22.
"""


def draw_sample_field(field: str) -> TissueField:
    """Draw one of the stored fields.

    Parameters
    ----------
    field : str
        ``"early"`` or ``"late"``.

    Returns
    -------
    TissueField
        The field with its truth.

    Raises
    ------
    KeyError
        If there is no such field.
    """
    return draw_field(STYLES[field], SEEDS[field])


def draw_prompts(truth: NDArray[np.uint16], seed: int) -> NDArray[np.int64]:
    """Choose prompts at random among all pixels of nuclei, none twice.

    Parameters
    ----------
    truth : ndarray of uint16, shape (H, W)
        Instance labels, 0 as background.
    seed : int
        Seed of the choice.

    Returns
    -------
    ndarray of int64, shape (5, 2)
        ``(y, x)`` in pixel indices.

    Raises
    ------
    ValueError
        If the truth has fewer than five pixels.
    """
    pixels = np.argwhere(truth > 0)
    return pixels[np.random.default_rng(seed).choice(len(pixels), PROMPTS, False)]


def write_prompts(points: NDArray[np.int64]) -> str:
    """Write prompts as napari writes points, with a column for the class.

    Parameters
    ----------
    points : ndarray of int64, shape (N, 2)
        ``(y, x)`` in pixel indices.

    Returns
    -------
    str
        Text of the CSV file, all points of the class ``object``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", "axis-0", "axis-1", "class"])
    for index, (y, x) in enumerate(points.tolist()):
        writer.writerow([index, float(y), float(x), "object"])
    return text.getvalue()


def read_image(path: Path) -> NDArray[np.uint8 | np.uint16]:
    """Read a stored picture.

    Parameters
    ----------
    path : pathlib.Path
        A ``.png`` or ``.tif`` file.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W)
        Its pixels.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    read = tifffile.imread if path.suffix == ".tif" else iio.imread
    return np.asarray(read(path))


def _write_image(path: Path, image: NDArray[np.uint8 | np.uint16]) -> None:
    """Write a PNG, or a compressed TIFF."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, image, compression="zlib")
    else:
        iio.imwrite(path, image, compress_level=9)


def _predict_fakes(
    fields: dict[str, TissueField],
) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """Train on other fields and return the fakes of each field by role."""
    # Only here, so that drawing and its tests need no torch.
    from train_fake_stain import (
        TrainingPlan,
        predict_nuclei,
        reproducible_torch,
        train_fake_stain,
    )

    others = [draw_field(s, seed) for seed in LEARNING_SEEDS for s in (EARLY, LATE)]
    # One thread: as fast as two for a net this small, and always in one order.
    with reproducible_torch(threads=1):
        start = time.perf_counter()
        result = train_fake_stain(others, TrainingPlan())
        print(f"trained in {time.perf_counter() - start:.0f} s")
        return {
            name: {
                "nuclei_fake_undertrained": predict_nuclei(
                    result.undertrained, field.membrane
                ),
                "nuclei_fake_trained": predict_nuclei(result.trained, field.membrane),
            }
            for name, field in fields.items()
        }


def files_that_differ(
    folder: Path, field: str, images: dict[str, NDArray[np.uint8 | np.uint16]]
) -> list[str]:
    """Compare stored pictures of one field with pictures made anew.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files are.
    field : str
        ``"early"`` or ``"late"``.
    images : dict of str to ndarray
        Pictures made anew, by role. Those whose role has ``fake`` in it may differ
        by a mean of `FAKE_TOLERANCE` grey values, others not at all.

    Returns
    -------
    list of str
        Names of the files that differ by more than they may.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    """
    different = []
    for role, image in images.items():
        name = f"{field}_{ROLES[role]}"
        stored = read_image(folder / name).astype(np.float64)
        allowed = FAKE_TOLERANCE if "fake" in role else 0.0
        difference = float(np.abs(stored - image).mean())
        print(f"{name}: mean difference {difference:.3f}, allowed {allowed:g}")
        if difference > allowed:
            different.append(name)
    return different


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0, or 1 if ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(description="Make the sample data anew.")
    here = Path(sample_data.__file__).resolve().parent
    parser.add_argument("--output", type=Path, default=here, help="folder of the files")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with the files"
    )
    options = parser.parse_args(arguments)
    folder: Path = options.output

    fields = {name: draw_sample_field(name) for name in FIELDS}
    fakes = _predict_fakes(fields)
    different: list[str] = []
    for name, field in fields.items():
        for role, fake in fakes[name].items():
            pearson = np.corrcoef(fake.ravel(), field.nuclei.ravel())[0, 1]
            print(f"{name} {role}: Pearson correlation with real {pearson:.3f}")
        images: dict[str, NDArray[np.uint8 | np.uint16]] = {
            "membrane": field.membrane,
            "nuclei_real": field.nuclei,
            "nuclei_truth": field.truth,
            **fakes[name],
        }
        prompts = write_prompts(draw_prompts(field.truth, PROMPT_SEEDS[name]))
        prompts_path = folder / f"{name}_{ROLES['prompts']}"
        if options.check:
            different += files_that_differ(folder, name, images)
            if prompts_path.read_text(encoding="utf-8") != prompts:
                different.append(prompts_path.name)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            for role, image in images.items():
                _write_image(folder / f"{name}_{ROLES[role]}", image)
            prompts_path.write_text(prompts, encoding="utf-8", newline="\n")
    if options.check:
        print("different:", ", ".join(different) if different else "none")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
