"""What a study has found, all parts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.convergence import Convergence
    from napari_dinoprompt.core.studying.influence import Influence
    from napari_dinoprompt.core.studying.resolution import Resolution
    from napari_dinoprompt.core.studying.threshold import ThresholdCurve

__all__ = ["PARTS", "Study"]

PARTS = ("convergence", "influence", "resolution", "threshold")
"""Names of the parts in their order."""

_SIZE = (6.4, 4.0)


class _Part(Protocol):
    def rows(self) -> list[dict[str, object]]:
        """Return its table."""
        ...


@dataclass(frozen=True, eq=False)
class Study:
    """What prompts, resolution and threshold do to a result.

    Attributes
    ----------
    convergence : Convergence or None
        How the mask settles as prompts are added; None if it was not asked for, or
        there is one prompt only.
    influence : Influence or None
        What each prompt does.
    resolution : Resolution or None
        The same prompts at other upscales and with other backbones.
    threshold : ThresholdCurve or None
        What the threshold does.
    light : (H, W) ndarray of float32
        Of the image, for figures.
    settings : mapping of str to object
        What it was made with, for files.
    notes : tuple of str
        What could not be studied, and why.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> points = [(20, 60), (20, 100), (60, 60), (60, 100)]
    >>> found = dp.study(image, points, backbone=backbone, parts=["convergence"])
    >>> list(found.parts)
    ['convergence']
    >>> len(found.sentences)
    1
    """

    convergence: Convergence | None
    influence: Influence | None
    resolution: Resolution | None
    threshold: ThresholdCurve | None
    light: NDArray[np.float32]
    settings: Mapping[str, object]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, _Part]:
        """The parts that there are, by name."""
        return {
            name: getattr(self, name)
            for name in PARTS
            if getattr(self, name) is not None
        }

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answers in words."""
        lines: list[str] = []
        if self.convergence is not None:
            lines.append(self.convergence.sentence)
        if self.influence is not None:
            lines.extend(self.influence.sentences)
        if self.resolution is not None:
            lines.append(self.resolution.sentence)
        if self.threshold is not None:
            lines.append(self.threshold.sentence)
        return (*lines, *self.notes)

    @property
    def figures_in_words(self) -> dict[str, object]:
        """Single figures that are in no table, for files."""
        found: dict[str, object] = {}
        if self.convergence is not None:
            found["enough"] = self.convergence.enough
            found["enough_by_truth"] = self.convergence.enough_by_truth
            found["orders"] = self.convergence.orders
        if self.influence is not None:
            found["outliers"] = [i + 1 for i in self.influence.outliers]
            found["redundant"] = [[i + 1 for i in g] for g in self.influence.redundant]
        if self.threshold is not None:
            found["threshold_in_use"] = self.threshold.used
            found["automatic_threshold"] = self.threshold.automatic
            found["plateau"] = self.threshold.plateau
            found["best_threshold"] = self.threshold.best
            found["most_informative_threshold"] = self.threshold.most_informative
        return found

    def figures(self) -> dict[str, Figure]:
        """Draw the parts that have a plot.

        Returns
        -------
        dict of str to matplotlib.figure.Figure
            By name of the part.
        """
        from matplotlib.figure import Figure

        from napari_dinoprompt.core.studying import figures

        found: dict[str, Figure] = {}
        for name in ("convergence", "influence", "threshold"):
            part = getattr(self, name)
            if part is not None:
                figure = Figure(figsize=_SIZE, layout="constrained")
                getattr(figures, f"draw_{name}")(figure.subplots(), part)
                found[name] = figure
        if self.resolution is not None:
            trials = self.resolution.trials
            width, height = _SIZE
            figure = Figure(
                figsize=(max(width, 2.4 * len(trials)), height + 2.4),
                layout="constrained",
            )
            above, below = figure.subfigures(
                2, 1, squeeze=False, height_ratios=(2.4, height)
            )[:, 0]
            panels = above.subplots(1, len(trials), squeeze=False)[0]
            for axes, trial in zip(panels, trials, strict=True):
                figures.draw_trial(axes, trial, self.light)
            figures.draw_resolution(below.subplots(), self.resolution)
            found["resolution"] = figure
        return found

    def save(self, folder: str | Path) -> list[Path]:
        """Write tables, figures and a summary, each file whole or not at all.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there. Files of the same names are replaced.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        from napari_dinoprompt.core.studying.files import save_study

        return save_study(self, Path(folder))
