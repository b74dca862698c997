"""The measuring data: planes with a truth and fixed prompts, placed in two ways."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import regionprops

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray


MITO_SETS = ("mito_lucchi", "mito_vnc")
NUCLEI_SETS = ("nuclei_bright", "nuclei_fluo", "nuclei_histo")
STAIN_SETS = ("stain_fly",)
SAMPLE_SETS = ("sample",)
"""The pictures that the package ships."""
SETS = MITO_SETS + NUCLEI_SETS + STAIN_SETS
ALL_SETS = SETS + SAMPLE_SETS

CLICKS = "clicks"
"""Prompts as people place them: in the middles of typical objects."""
RANDOM = "random"
"""Prompts anywhere inside the truth, nearer to edges than anybody clicks."""
PLACED = (CLICKS, RANDOM)

IMAGE = "real"
"""The name of the picture that prompts are placed on."""
FAKES = ("undertrained", "trained250", "trained800")

_ROOT = Path(__file__).resolve().parents[3]
_NUCLEI = "nuclei_dsb2018"
_FILES = {CLICKS: "prompts_human.json", RANDOM: "prompts.json"}
_SAMPLE_DRAWS = 16
_SAMPLE_SEED = 0
_SAMPLE_OBJECTS = 12
_SAMPLE_BACKGROUND = 10
_FAR_PIXELS = 5
_RANDOM_DRAWS = 5
_RANDOM_POINTS = 20


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw of prompts.

    Attributes
    ----------
    objects, background : (n, 2) ndarrays of float64
        y and x in pixels.
    """

    objects: NDArray[np.float64]
    background: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane of a set; its pixels are read when they are asked for.

    Attributes
    ----------
    set_name : str
        One of `ALL_SETS`.
    stem : str
    draws : mapping of str to tuple of Draw
        By how they were placed, of `PLACED`.
    files : mapping of str to Path
        The pictures: `IMAGE`, and the fakes where there are any.
    truth_file : Path
    """

    set_name: str
    stem: str
    draws: Mapping[str, tuple[Draw, ...]] = field(repr=False)
    files: Mapping[str, Path] = field(repr=False)
    truth_file: Path = field(repr=False)

    @property
    def key(self) -> str:
        """The name of the plane among all: ``set/stem``."""
        return f"{self.set_name}/{self.stem}"

    def image(self, stain: str = IMAGE) -> NDArray[np.generic]:
        """Read a picture.

        Parameters
        ----------
        stain : str
            `IMAGE` or one of `FAKES`.

        Returns
        -------
        (H, W) or (H, W, C) ndarray
        """
        return read_image(self.files[stain])

    def prompts(self, placed: str) -> tuple[Draw, ...]:
        """Return the draws of one placing.

        At random they are drawn here for a set that has none, as the sample.

        Parameters
        ----------
        placed : str
            One of `PLACED`.

        Returns
        -------
        tuple of Draw
        """
        if placed in self.draws:
            return self.draws[placed]
        random = np.random.default_rng(_SAMPLE_SEED)
        objects, ground = np.argwhere(self.truth), np.argwhere(~self.truth)
        return tuple(
            Draw(
                random.permutation(objects)[:_RANDOM_POINTS].astype(np.float64),
                random.permutation(ground)[:_RANDOM_POINTS].astype(np.float64),
            )
            for _ in range(_RANDOM_DRAWS)
        )

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Which pixels belong to an object."""
        labels = read_image(self.truth_file)
        if labels.ndim == 3:
            labels = labels.max(axis=2)
        return labels.astype(np.bool_)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all files and prompts."""
        digest = hashlib.sha256()
        for path in (*self.files.values(), self.truth_file):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        for draw in chain.from_iterable(self.draws.values()):
            digest.update(draw.objects.tobytes())
            digest.update(draw.background.tobytes())
        return digest.hexdigest()


def find_data(folder: Path | None = None) -> Path:
    """Find the folder of the measuring data.

    Parameters
    ----------
    folder : Path, optional
        Else the environment's ``DINOPROMPT_DATA`` is asked, else ``shared/data``
        beside the repository.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is no ``prompts.json`` in it.
    """
    if folder is None:
        named = os.environ.get("DINOPROMPT_DATA")
        folder = Path(named) if named else _ROOT.parent / "shared" / "data"
    if not (folder / "prompts.json").is_file():
        msg = (
            f"There is no measuring data in {folder}: prompts.json is missing. Give "
            "the folder with --data or in DINOPROMPT_DATA."
        )
        raise InputError(msg)
    return folder


def find_planes(folder: Path, sets: tuple[str, ...], limit: int | None) -> list[Plane]:
    """List the planes of some sets.

    Parameters
    ----------
    folder : Path
        From `find_data`.
    sets : tuple of str
    limit : int or None
        So many of each set, spread evenly from the first to the last.

    Returns
    -------
    list of Plane
        In the order of `sets` and of the names in them; sets and planes that are not
        in the folder are left out.

    Raises
    ------
    InputError
        If there is none at all.
    """
    prompts = {
        placed: json.loads((folder / file).read_text("utf-8"))
        for placed, file in _FILES.items()
        if (folder / file).is_file()
    }
    planes = [
        plane
        for name in sets
        for plane in _spread(
            list(sample_planes())
            if name in SAMPLE_SETS
            else list(_planes_of(folder, name, prompts)),
            limit,
        )
    ]
    if not planes:
        msg = f"None of the sets {', '.join(sets)} is in {folder}."
        raise InputError(msg)
    return planes


def _spread(planes: list[Plane], limit: int | None) -> list[Plane]:
    if limit is None or len(planes) <= limit:
        return planes
    places = np.linspace(0, len(planes) - 1, limit)
    return [planes[place] for place in np.rint(places).astype(np.int64)]


def _planes_of(
    folder: Path,
    name: str,
    prompts: Mapping[str, Mapping[str, list[dict[str, list[list[int]]]]]],
) -> Iterator[Plane]:
    home = _NUCLEI if name in NUCLEI_SETS else name
    kind = name.removeprefix("nuclei_") + "_" if name in NUCLEI_SETS else ""
    for key in sorted(prompts[RANDOM]):
        place, _, stem = key.partition("/")
        if place != home or not stem.startswith(kind):
            continue
        files, truth = _files_of(folder / home, stem)
        draws = {
            placed: _draws(found[key])
            for placed, found in prompts.items()
            if key in found
        }
        if truth is not None and IMAGE in files:
            yield Plane(name, stem, draws, files, truth)


def sample_planes() -> Iterator[Plane]:
    """List the sample's fields, clicked on centroids of nuclei."""
    for number, field_name in enumerate(FIELDS):
        files = sample_files(field_name)
        labels = read_image(files["nuclei_truth"])
        centroids = np.array([one.centroid for one in regionprops(labels)])
        far = np.argwhere(ndi.distance_transform_edt(labels == 0) > _FAR_PIXELS)
        random = np.random.default_rng((_SAMPLE_SEED, number))
        draws = tuple(
            Draw(
                random.permutation(centroids)[:_SAMPLE_OBJECTS],
                random.choice(far, _SAMPLE_BACKGROUND, replace=False).astype(float),
            )
            for _ in range(_SAMPLE_DRAWS)
        )
        yield Plane(
            "sample",
            field_name,
            {CLICKS: draws},
            {IMAGE: files["nuclei_real"]},
            files["nuclei_truth"],
        )


def _files_of(home: Path, stem: str) -> tuple[dict[str, Path], Path | None]:
    if home.name in STAIN_SETS:
        wanted = {IMAGE: home / f"{stem}_nuclei_real.png"}
        wanted |= {fake: home / f"{stem}_nuclei_fake_{fake}.png" for fake in FAKES}
        files = {stain: path for stain, path in wanted.items() if path.is_file()}
        return files, _only(home, f"{stem}_nuclei_pseudo_truth")
    image = _only(home / "images", stem)
    truth = _only(home / "labels", stem) or _only(home / "masks", stem)
    return {} if image is None else {IMAGE: image}, truth


def _only(folder: Path, stem: str) -> Path | None:
    found = sorted(folder.glob(f"{stem}.*"))
    return found[0] if found else None


def _draws(found: list[dict[str, list[list[int]]]]) -> tuple[Draw, ...]:
    return tuple(
        Draw(
            np.asarray(draw["object"], dtype=np.float64),
            np.asarray(draw["background"], dtype=np.float64),
        )
        for draw in found
    )
