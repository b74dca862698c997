"""Draw one field of a fly-embryo-like tissue with exact truth.

A field has two channels of the same place: membranes and nuclei. The nuclei are
drawn with a random stream of their own, so that the membranes tell where cells are
but not which of them are empty, out of focus or have two nuclei. The same style and
seed give the same field, bit for bit, with the same versions of numpy and scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from draw_cells import draw_cells, draw_membranes
from draw_nuclei import draw_haze_and_debris, draw_nuclei
from microscope import Camera, photograph

if TYPE_CHECKING:
    from draw_nuclei import Nucleus
    from numpy.typing import NDArray


FIELD_PX = 512
MARGIN_PX = 64

MEMBRANE_CAMERA = Camera(
    psf_px=1.0,
    photons=35,
    background=0.05,
    gain=125,
    offset=6,
    read_noise=2.5,
    shading=0.30,
)
NUCLEI_CAMERA = Camera(
    psf_px=1.2,
    photons=40,
    background=0.04,
    gain=105,
    offset=6,
    read_noise=3.0,
    shading=0.35,
)


@dataclass(frozen=True)
class FieldStyle:
    """What distinguishes one kind of field from another.

    Attributes
    ----------
    pitch_px : float
        Mean distance between cells in pixels.
    membrane_px : float
        Standard deviation of a membrane's profile in pixels, before the microscope.
    debris : int
        Number of bright specks on the canvas (the field and its margin).
    """

    pitch_px: float
    membrane_px: float
    debris: int


EARLY = FieldStyle(pitch_px=58, membrane_px=1.5, debris=26)
LATE = FieldStyle(pitch_px=30, membrane_px=1.1, debris=22)


@dataclass(frozen=True)
class CellRecord:
    """One cell that is in the field, at least in part.

    Attributes
    ----------
    label : int
        Label of the cell in `TissueField.cells`.
    area : int
        Pixels of the cell in the field.
    inside : bool
        True if no pixel of the cell lies on the border of the field.
    nuclei : tuple of int
        Labels in `TissueField.truth` of its nuclei that reach into the field.
    """

    label: int
    area: int
    inside: bool
    nuclei: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TissueField:
    """One drawn field.

    Attributes
    ----------
    membrane : ndarray of uint8, shape (512, 512)
        The membranes as recorded.
    nuclei : ndarray of uint8, shape (512, 512)
        The nuclei as recorded: the real stain.
    truth : ndarray of uint16, shape (512, 512)
        Nuclei as drawn, before any blur, labels 1 to n; 0 elsewhere. All drawn
        nuclei count, those out of focus too; haze and debris do not.
    cells : ndarray of uint16, shape (512, 512)
        Cells as drawn; 0 outside the embryo.
    records : tuple of CellRecord
        The cells of the field, by label.
    drawn : tuple of Nucleus
        The nuclei of the truth: label ``i`` is ``drawn[i - 1]``. Centres are in
        pixels of the field.
    """

    membrane: NDArray[np.uint8]
    nuclei: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    records: tuple[CellRecord, ...]
    drawn: tuple[Nucleus, ...]


def _records(
    cells: NDArray[np.uint16], drawn: tuple[Nucleus, ...]
) -> tuple[CellRecord, ...]:
    """Describe each cell that has a pixel in the field."""
    border = set(np.concatenate([cells[[0, -1]].ravel(), cells[:, [0, -1]].ravel()]))
    owners = np.array([nucleus.cell for nucleus in drawn])
    labels, areas = np.unique(cells[cells > 0], return_counts=True)
    return tuple(
        CellRecord(
            label=int(label),
            area=int(area),
            inside=label not in border,
            nuclei=tuple((np.flatnonzero(owners == label) + 1).tolist()),
        )
        for label, area in zip(labels, areas, strict=True)
    )


def draw_field(style: FieldStyle, seed: int) -> TissueField:
    """Draw one field.

    Parameters
    ----------
    style : FieldStyle
        `EARLY`, `LATE` or another kind.
    seed : int
        Seed of all random streams, not negative.

    Returns
    -------
    TissueField
        Both channels, the truth and a record of each cell and nucleus.

    Raises
    ------
    ValueError
        If `seed` is negative.
    """
    streams = np.random.default_rng(seed).spawn(4)
    cell_rng, membrane_rng, nuclei_rng, camera_rng = streams
    side = FIELD_PX + 2 * MARGIN_PX
    shape = (side, side)
    sheet = draw_cells(shape, FIELD_PX, style.pitch_px, cell_rng)
    walls = draw_membranes(sheet, style.membrane_px, membrane_rng)
    layer = draw_nuclei(sheet, style.pitch_px, nuclei_rng)
    stray = draw_haze_and_debris(sheet, style.pitch_px, style.debris, nuclei_rng)

    field = (slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    kept, truth = np.unique(layer.labels[field], return_inverse=True)
    drawn = tuple(layer.nuclei[label - 1].moved(-MARGIN_PX) for label in kept[1:])
    cells = sheet.labels[field].astype(np.uint16)
    return TissueField(
        membrane=photograph(walls, MEMBRANE_CAMERA, camera_rng)[field],
        nuclei=photograph(layer.light + stray, NUCLEI_CAMERA, camera_rng)[field],
        truth=truth.reshape(FIELD_PX, FIELD_PX).astype(np.uint16),
        cells=cells,
        records=_records(cells, drawn),
        drawn=drawn,
    )
