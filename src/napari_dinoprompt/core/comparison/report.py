"""What a comparison of a real stain with fakes has found, and as files."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt.core.io.atomic import (
    as_csv,
    as_json,
    explaining_writes,
    remove_leftovers,
    software_version,
    write_bytes,
)
from napari_dinoprompt.core.io.read import write_tiff

from .columns import BOTH, NEITHER, ONLY_IN_FAKE, ONLY_IN_REAL
from .measures import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray


_TABLE, _SETTINGS, _OBJECTS = "comparison.csv", "comparison.json", "objects.csv"
_LONGEST = 180
_MAPS = ("agreement", "ssim", "squared_error", "feature_distance")
_OBJECT_KEYS = (
    *("name", "side", "kind", "label", "y", "x", "area"),
    *("first_row", "first_column", "end_row", "end_column"),
)


@dataclass(frozen=True, eq=False)
class Comparison(Findings):
    """A real stain and fakes of the same field, side by side.

    Attributes
    ----------
    class_name : str
        The object class that is compared.
    real : Segmentation
        The reference applied to the real.
    real_grey : (H, W) ndarray of float32
        Windowed to [0, 1].
    truth : (H, W) ndarray of int32 or None
        Labels; without them the mask of the real stands for the truth, which is
        itself an estimate.
    real_report : Report or None
        The real against the truth.
    reports : tuple of Report
        One per fake.
    noise_floor : dict of str to (float, float)
        By column, what the real makes of itself under pairs of other draws of the
        prompts: the median, and how bad 95 % of the pairs are at most. A difference
        between real and fake below that says nothing. Empty if nothing was drawn.
    columns : tuple of Column
        What the figures mean.
    settings : mapping of str to object
        Of reference and comparison, for files.
    note : str
        Why there are no intervals; empty if there are.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> fakes = [image // 2, image]
    >>> found = dp.compare(image, fakes, reference, names=["dim", "same"], draws=0)
    >>> [report.name for report in found.reports]
    ['dim', 'same']
    >>> [round(row["iou"], 2) for row in found.table][1]
    1.0
    """

    @property
    def table(self) -> list[dict[str, object]]:
        """One record per fake; with a truth, the real against it comes first.

        Each has ``name`` and, for every column, its key, ``key_low`` and ``key_high``.
        ``pandas.DataFrame(comparison.table)`` takes it.
        """
        return [report.record for report in self.rows]

    @property
    def agreement(self) -> NDArray[np.uint8]:
        """The agreement map of the first fake, see `Maps`."""
        return self.reports[0].measures.maps.agreement

    def figure(self, input_image: ArrayLike | None = None) -> Figure:
        """Draw real and fakes, maps and the main figures, ready to be published.

        Parameters
        ----------
        input_image : (H, W) or (H, W, 3 or 4) array_like, optional
            What the fakes were generated from; shown beside the real.

        Returns
        -------
        matplotlib.figure.Figure
            Text and lines stay vectors in a PDF.
        """
        from .figure import draw_comparison

        return draw_comparison(self, input_image)

    def save(
        self, folder: str | Path, input_image: ArrayLike | None = None
    ) -> list[Path]:
        """Write tables, maps and the figure, each file whole or not at all.

        ``comparison.json`` comes last, and that of before goes first: a folder without
        it holds no whole comparison.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there. Files of the same names are replaced.
        input_image : (H, W) or (H, W, 3 or 4) array_like, optional
            As `figure`.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        from .figure import draw_comparison, render

        folder = Path(folder)
        remove_leftovers(folder)
        with explaining_writes(folder):
            (folder / _SETTINGS).unlink(missing_ok=True)
        written = [
            write_bytes(folder / _TABLE, as_csv(self.table)),
            write_bytes(folder / _OBJECTS, as_csv(_list_objects(self), _OBJECT_KEYS)),
        ]
        stems = _stems([report.name for report in self.reports])
        for stem, report in zip(stems, self.reports, strict=True):
            for kind in _MAPS:
                array = getattr(report.measures.maps, kind)
                path = folder / f"{stem}_{kind}.tif"
                if array is not None:
                    write_tiff(path, array)
                    written.append(path)
        figure = draw_comparison(self, input_image)
        for suffix in ("png", "pdf"):
            path = folder / f"comparison.{suffix}"
            written.append(write_bytes(path, render(figure, suffix)))
        settings = as_json(_describe(self))
        return [*written, write_bytes(folder / _SETTINGS, settings)]


def is_unfinished(folder: Path) -> bool:
    """Tell whether a comparison was stopped while it was written to a folder."""
    return (folder / _TABLE).exists() and not (folder / _SETTINGS).exists()


def comparison_paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """List the files that a comparison with fakes of these names is saved as."""
    tables = [_TABLE, _SETTINGS, _OBJECTS, "comparison.png", "comparison.pdf"]
    maps = [f"{stem}_{kind}.tif" for stem in _stems(names) for kind in _MAPS]
    return [folder / name for name in (*tables, *maps)]


def _stems(names: Sequence[str]) -> list[str]:
    """Make file names of the names of fakes, and keep them apart."""
    stems: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "fake"
        # File systems take 255 bytes, and a suffix and a number come behind.
        stem = stem.encode()[:_LONGEST].decode(errors="ignore")
        taken = {one.casefold() for one in stems}
        number = 2
        unique = stem
        while unique.casefold() in taken:
            unique = f"{stem}_{number}"
            number += 1
        stems.append(unique)
    return stems


def _list_objects(comparison: Comparison) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for report in comparison.rows:
        for one in report.measures.unmatched:
            values = (
                *(report.name, one.side, one.kind, one.label, *one.centre),
                *(one.area, *one.bbox),
            )
            rows.append(dict(zip(_OBJECT_KEYS, values, strict=True)))
    return rows


def _describe(comparison: Comparison) -> dict[str, object]:
    floor = {
        key: {"median": median, "95_percent": bound}
        for key, (median, bound) in comparison.noise_floor.items()
    }
    return {
        "software": f"napari-dinoprompt {software_version()}",
        "settings": comparison.settings,
        "note": comparison.note,
        "columns": [
            {**asdict(one), "title": comparison.title(one)}
            for one in comparison.columns
        ],
        "intervals": "KEY_low and KEY_high are the 2.5 and 97.5 percentiles over draws "
        "of the prompts; null: none. Infinity is written as a string.",
        "agreement_values": {
            "neither": NEITHER,
            "both": BOTH,
            "only_in_real": ONLY_IN_REAL,
            "only_in_fake": ONLY_IN_FAKE,
        },
        "own_thresholds": {one.name: one.own_threshold for one in comparison.rows},
        "table": comparison.table,
        "noise_floor": floor,
    }
