"""The table of objects: one row each, with size, place, shape and intensities."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.progress import Progress, runs_to_end

from .boxes import SIDES, Group, find_boxes, group_boxes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray


# Of the box around objects that are measured on all their pixels.
_LARGEST_WINDOW = 2**25
_CLASSES = 256


@dataclass(frozen=True, eq=False)
class ObjectData:
    """Objects, and what they are measured on.

    Attributes
    ----------
    instances : (H, W) or (Z, H, W) array of integers
        Object numbers; like all others an array, or sliced like one.
    mask : array of uint8, optional
        Class numbers.
    names : sequence of str
        Object classes; class number k + 1 is ``names[k]``.
    similarities : mapping of str to array of float32
        Similarity maps by class.
    channels : mapping of str to array
        Images whose intensities are wanted, by the name that columns get. Those of
        colours, (H, W, 3), give one column for each colour.
    pixel_size : sequence of float, optional
        Distance of pixels along each axis, in micrometres.
    origin : sequence of float, optional
        Where the first pixel is, in micrometres; 0 by default.

    Raises
    ------
    InputError
        If shapes do not fit.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> instances = np.eye(4, dtype=int)
    >>> dp.ObjectData(instances, pixel_size=(0.5, 0.5)).axes
    'yx'
    """

    instances: Any
    mask: Any = None
    names: Sequence[str] = ()
    similarities: Mapping[str, Any] | None = None
    channels: Mapping[str, Any] | None = None
    pixel_size: Sequence[float] | None = None
    origin: Sequence[float] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.instances.shape)
        if len(shape) not in SIDES or np.dtype(self.instances.dtype).kind not in "ui":
            raise InputError(
                "Objects are measured on whole numbers of shape (H, W) or (Z, H, W), "
                f"not {self.instances.dtype} of {shape}."
            )
        others = {
            "mask": self.mask,
            **(self.channels or {}),
            **(self.similarities or {}),
        }
        for name, one in others.items():
            if one is not None and tuple(one.shape[: len(shape)]) != shape:
                msg = f"{name} has shape {one.shape}, but the objects have {shape}."
                raise InputError(msg)
        for given in (self.pixel_size, self.origin):
            if given is not None and len(given) != len(shape):
                msg = f"{len(shape)} lengths are needed, one an axis, not {given}."
                raise InputError(msg)

    @property
    def axes(self) -> str:
        """The letters of the axes."""
        return "zyx"[-len(self.instances.shape) :]


def iter_objects_table(of: ObjectData) -> Generator[Progress, None, pd.DataFrame]:
    """Measure objects.

    Parameters
    ----------
    of : ObjectData
        The objects, and what they are measured on.

    Yields
    ------
    Progress
        After each block.

    Returns
    -------
    pandas.DataFrame
        A row for each object, by rising number, with the columns ``label``; ``class``,
        if there are classes; ``area_px`` (``volume_px`` in 3-D); the centroid ``y_px``
        and ``x_px`` (``z_px``); if the pixel size is known ``area_um2``
        (``volume_um3``), and the centroid ``y_um`` and ``x_um``;
        ``equivalent_diameter_px``, ``eccentricity`` (in 2-D) and ``solidity``;
        ``mean_`` and ``sum_`` of each channel; ``similarity``, the mean of that of the
        object's class.

    Notes
    -----
    Made by `skimage.measure.regionprops_table`, in blocks, so that the whole is never
    in memory. Of an object whose box has more than 2**25 pixels the area is exact; its
    shape and intensities are those of every n-th pixel along each axis.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> instances = np.zeros((20, 20), int)
    >>> instances[3:8, 4:9] = 1
    >>> table = dp.objects_table(dp.ObjectData(instances, pixel_size=(0.5, 0.5)))
    >>> table[["label", "area_px", "area_um2", "y_um"]].values.tolist()
    [[1.0, 25.0, 6.25, 2.5]]
    """
    boxes, areas = yield from find_boxes(of.instances)
    rows: list[dict[str, NDArray[Any]]] = []
    groups = list(group_boxes(boxes, _LARGEST_WINDOW))
    for done, group in enumerate(groups, start=1):
        rows.append(_measure(of, group))
        yield Progress(len(groups) + done, 2 * len(groups))
    return _as_table(of, rows, areas)


objects_table = runs_to_end("objects_table", iter_objects_table)


def _measure(of: ObjectData, group: Group) -> dict[str, NDArray[Any]]:
    from skimage.measure import regionprops_table

    labels, box, step, key = group.labels, group.box, group.step, group.key
    local = group.read(of.instances)
    wanted = ["label", "area", "centroid", "equivalent_diameter_area", "solidity"]
    wanted += ["eccentricity"] if len(box) == 2 else []
    with warnings.catch_warnings():
        # Of objects that are flat in 3-D: they have no hull, and so no solidity.
        warnings.simplefilter("ignore")
        found = regionprops_table(local, properties=wanted)
    row = {"label": labels, "solidity": _finite(found["solidity"])}
    row["equivalent_diameter_px"] = found["equivalent_diameter_area"] * step
    if len(box) == 2:
        row["eccentricity"] = found["eccentricity"]
    for axis, (name, one) in enumerate(zip(of.axes, box, strict=True)):
        row[f"{name}_px"] = found[f"centroid-{axis}"] * step + one.start
    inside = local > 0
    numbers = local[inside]
    counts = np.bincount(numbers, minlength=len(labels) + 1)[1:]

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        sums = np.bincount(
            numbers, values[inside].astype(np.float64), minlength=len(labels) + 1
        )
        return np.asarray(sums[1:] / counts)

    for name, channel in (of.channels or {}).items():
        values = read_part(channel, key)
        for column, plane in _planes(name, values, len(box)):
            row[f"mean_{column}"] = mean(plane)
    if of.mask is not None:
        classes = read_part(of.mask, key)[inside].astype(np.int64)
        votes = np.bincount(
            numbers * _CLASSES + classes, minlength=(len(labels) + 1) * _CLASSES
        ).reshape(-1, _CLASSES)[1:]
        # What was painted onto the background is of no class.
        row["class"] = np.where(
            votes[:, 1:].any(axis=1), votes[:, 1:].argmax(axis=1), -1
        )
    if of.similarities:
        maps = [mean(read_part(one, key)) for one in of.similarities.values()]
        own = np.maximum(row.get("class", np.zeros(len(labels), np.int64)), 0)
        row["similarity"] = np.stack(maps)[own, np.arange(len(labels))]
    return row


def _as_table(
    of: ObjectData, rows: list[dict[str, NDArray[Any]]], areas: Mapping[int, int]
) -> pd.DataFrame:
    """Put the columns of all groups together, in their order."""
    import pandas as pd

    if not rows:
        return pd.DataFrame({"label": np.zeros(0, np.int64)})
    all_of = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    flat = len(of.axes) == 2
    size, unit = ("area", "um2") if flat else ("volume", "um3")
    table = pd.DataFrame({"label": all_of["label"]})
    if "class" in all_of:
        names = np.array([*of.names, ""], dtype=object)
        table["class"] = names[all_of["class"]]
    pixels = np.array([areas[label] for label in table["label"].tolist()])
    table[f"{size}_px"] = pixels
    for axis in of.axes:
        table[f"{axis}_px"] = all_of[f"{axis}_px"]
    if of.pixel_size is not None:
        table[f"{size}_{unit}"] = pixels * math.prod(of.pixel_size)
        origin = of.origin or (0.0,) * len(of.axes)
        for axis, length, first in zip(of.axes, of.pixel_size, origin, strict=True):
            table[f"{axis}_um"] = all_of[f"{axis}_px"] * length + first
    for name in ("equivalent_diameter_px", "eccentricity", "solidity"):
        if name in all_of:
            table[name] = all_of[name]
    for name in (one for one in all_of if one.startswith("mean_")):
        table[name] = all_of[name]
        table[f"sum_{name.removeprefix('mean_')}"] = all_of[name] * pixels
    if "similarity" in all_of:
        table["similarity"] = all_of["similarity"]
    return table.sort_values("label", ignore_index=True)


def _planes(
    name: str, values: NDArray[Any], dimensions: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the plane of a channel, or of each of its colours."""
    if values.ndim == dimensions:
        yield name, values
        return
    for at, colour in enumerate(("red", "green", "blue")[: values.shape[-1]]):
        yield f"{name}_{colour}", values[..., at]


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)
