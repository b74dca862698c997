"""What a comparison of a real stain with fakes has found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.comparing.columns import Column
    from napari_dinoprompt.core.comparing.measures import Measures
    from napari_dinoprompt.core.segmentation import Segmentation

__all__ = ["Comparison", "Report"]


@dataclass(frozen=True, eq=False)
class Report:
    """One fake against the real, or the real against the truth.

    Attributes
    ----------
    name : str
    segmentation : Segmentation
        The reference applied to the fake, on the grid of the real.
    grey : (H, W) ndarray of float32
        What was compared, windowed to [0, 1].
    own_threshold : float
        Where the fake itself would be cut.
    measures : Measures
        Figures, maps, and objects without a partner.
    intervals : mapping of str to (float, float) or None
        From the 2.5 to the 97.5 percentile of a figure over the draws of the prompts;
        None where it does not depend on them or nothing was drawn.
    """

    name: str
    segmentation: Segmentation
    grey: NDArray[np.float32]
    own_threshold: float
    measures: Measures
    intervals: Mapping[str, tuple[float, float] | None]

    @property
    def record(self) -> dict[str, object]:
        """The figures as one record; an interval that there is not is NaN."""
        found: dict[str, object] = {"name": self.name}
        for key, value in self.measures.figures.items():
            low, high = self.intervals.get(key) or (math.nan, math.nan)
            found |= {key: value, f"{key}_low": low, f"{key}_high": high}
        return found


@dataclass(frozen=True, eq=False)
class Comparison:
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

    class_name: str
    real: Segmentation
    real_grey: NDArray[np.float32]
    truth: NDArray[np.int32] | None
    real_report: Report | None
    reports: tuple[Report, ...]
    noise_floor: dict[str, tuple[float, float]]
    columns: tuple[Column, ...]
    settings: Mapping[str, object]
    note: str

    @property
    def table(self) -> list[dict[str, object]]:
        """One record per fake; with a truth, the real against it comes first.

        Each has ``name`` and, for every column, its key, ``key_low`` and ``key_high``.
        ``pandas.DataFrame(comparison.table)`` takes it.
        """
        return [report.record for report in self.rows]

    @property
    def rows(self) -> tuple[Report, ...]:
        """All reports in the order of the table."""
        first = () if self.real_report is None else (self.real_report,)
        return (*first, *self.reports)

    @property
    def agreement(self) -> NDArray[np.uint8]:
        """The agreement map of the first fake, see `Maps`."""
        return self.reports[0].measures.maps.agreement

    def title(self, column: Column) -> str:
        """Return what a column is called here: with a truth, some can be named.

        Parameters
        ----------
        column : Column
            One of `columns`.

        Returns
        -------
        str
            For example *hallucinated*; without a truth *only in fake*.
        """
        known = self.truth is not None and column.with_truth
        return column.with_truth if known else column.title

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
        from napari_dinoprompt.core.comparing.figure import draw_comparison

        return draw_comparison(self, input_image)

    def save(
        self, folder: str | Path, input_image: ArrayLike | None = None
    ) -> list[Path]:
        """Write tables, maps and the figure, each file whole or not at all.

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
        from napari_dinoprompt.core.comparing.files import save_comparison

        return save_comparison(self, Path(folder), input_image)
