"""What a study has found, all parts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_dinoprompt.core.io.atomic import (
    as_csv,
    as_json,
    remove_leftovers,
    software_version,
    write_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from .convergence import Convergence
    from .influence import Influence
    from .resolution import Resolution
    from .threshold import ThresholdCurve


# Names of the parts in their order.
PARTS = ("convergence", "influence", "resolution", "threshold")

_SUMMARY = "study.json"


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
        """Draw all parts.

        Returns
        -------
        dict of str to matplotlib.figure.Figure
            By name of the part.
        """
        from .figures import draw_figure

        return {
            name: draw_figure(name, part, self.light)
            for name, part in self.parts.items()
        }

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
        from napari_dinoprompt.core.comparison.figure import render

        folder = Path(folder)
        remove_leftovers(folder)
        tables = {name: part.rows() for name, part in self.parts.items()}
        contents = {f"{name}.csv": as_csv(rows) for name, rows in tables.items()}
        for name, figure in self.figures().items():
            contents[f"{name}.png"] = render(figure, "png")
        summary = {
            "software": f"napari-dinoprompt {software_version()}",
            "settings": dict(self.settings),
            "answers": list(self.sentences),
            "parts": tables,
            **self.figures_in_words,
        }
        contents[_SUMMARY] = as_json(summary)
        return [write_bytes(folder / name, one) for name, one in contents.items()]


def study_paths(folder: Path, parts: Sequence[str]) -> list[Path]:
    """List the files that a study of these parts is saved as."""
    names = [f"{part}.{suffix}" for suffix in ("csv", "png") for part in parts]
    return [folder / name for name in (*names, _SUMMARY)]
