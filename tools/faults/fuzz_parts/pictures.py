"""Images and stacks of every kind, small, each described by a few words.

What is drawn is the description: it is short in a report, and makes a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage as ndi

DTYPES = (
    *("?", "u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", "<i4", ">i4", "<u8", "<i8"),
    *("<f2", ">f2", "<f4", ">f4", "<f8", ">f8"),
)
_ODD_DTYPES = ("c8", "O", "U3", "M8[ns]", "g", "V4", "S2")
_KINDS = (
    *("spots", "spots", "spots", "noise", "constant", "ramp", "zeros", "extremes"),
    *("few nan", "half nan", "all nan", "few inf", "one pixel", "stripes", "tiny"),
)
_HELD = (
    *("plain", "plain", "plain", "fortran", "strided", "reversed", "read-only"),
    *("masked", "dask", "zarr", "list"),
)


@dataclass(frozen=True)
class Picture:
    """An image as described; `array` makes it, the same each time."""

    kind: str
    shape: tuple[int, ...]
    dtype: str
    seed: int = 0
    held: str = "plain"

    def array(self) -> Any:
        """Make it."""
        values = np.asarray(self._values())
        match self.held:
            case "fortran":
                return np.asfortranarray(values)
            case "strided" if values.ndim:
                return np.repeat(values, 2, axis=0)[::2]
            case "reversed" if values.ndim:
                return values[::-1].copy()[::-1]
            case "read-only":
                values.flags.writeable = False
                return values
            case "masked":
                dark = np.random.default_rng(self.seed).random(values.shape) > 0.9
                return np.ma.masked_array(values, mask=dark if self.seed % 2 else False)
            case "list" if values.size < 2000:
                return values.tolist()
            case "dask" if values.size and values.dtype.kind in "buif":
                import dask.array

                return dask.array.from_array(values, chunks=16)
            case "zarr" if values.size and values.dtype.kind in "buif":
                return _as_zarr(values)
        return values

    def _values(self) -> np.ndarray:
        dtype = np.dtype(self.dtype)
        if dtype.kind in "OUMVS":
            return np.zeros(self.shape, dtype)
        grey = self._grey()
        if dtype.kind in "iu" or dtype.kind == "b":
            grey = np.nan_to_num(grey, nan=0, posinf=1, neginf=0)
        if dtype.kind == "b":
            return grey > 0.5
        if dtype.kind == "c":
            return grey.astype(dtype)
        if dtype.kind == "f":
            scale = {0: 1.0, 1: 255.0, 2: 1e-30, 3: 3e4}[self.seed % 4]
            if self.kind == "extremes":
                scale = float(np.finfo(dtype).max) / 2
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                return (grey * scale).astype(dtype)
        limits = np.iinfo(dtype)
        low, high = (
            (limits.min, limits.max)
            if self.kind == "extremes"
            else (0, min(limits.max, 60000))
        )
        numbers = low + grey.clip(0, 1) * (high - low)
        return numbers.clip(low, float(high) * (1 - 1e-15)).astype(dtype)

    def _grey(self) -> np.ndarray:
        """Values of 0 to 1, and what is none."""
        rng = np.random.default_rng(self.seed)
        grey = np.zeros(self.shape)
        match self.kind:
            case "spots" | "few nan" | "half nan" | "few inf":
                grey = rng.random(self.shape) > 0.97
                sigma = [2.0 if n > 4 else 0.0 for n in self.shape]
                grey = ndi.gaussian_filter(grey.astype(float), sigma, mode="nearest")
                grey = grey / max(grey.max(initial=0), 1e-9)
                grey = grey + rng.normal(0, 0.02, self.shape)
            case "noise":
                grey = rng.random(self.shape)
            case "constant":
                grey = np.full(self.shape, 0.4)
            case "ramp":
                grey = np.arange(grey.size).reshape(self.shape) / max(1, grey.size)
            case "extremes":
                grey = rng.integers(-1, 2, self.shape).astype(float)
            case "one pixel" if grey.size:
                grey.flat[grey.size // 2] = 1
            case "stripes" if grey.ndim:
                grey[::2] = 1
            case "tiny":
                grey = 0.5 + 1e-12 * rng.random(self.shape)
            case "all nan":
                grey = np.full(self.shape, np.nan)
        grey = np.asarray(grey)
        if self.kind in ("few nan", "few inf"):
            bad = rng.random(self.shape) > 0.95
            grey[bad] = np.nan if self.kind == "few nan" else -np.inf
        if self.kind == "half nan" and grey.ndim:
            grey[: grey.shape[0] // 2] = np.nan
        return grey


def _as_zarr(values: np.ndarray) -> Any:
    import zarr

    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    array = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=values.shape,
        chunks=tuple(min(16, n) for n in values.shape),
        dtype=values.dtype,
    )
    array[...] = values
    return array


def is_plane(picture: Picture) -> bool:
    """Tell whether it has shape and type of an image plane with pixels."""
    shape = picture.shape
    return (
        np.dtype(picture.dtype).kind in "buif"
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))
        and 0 not in shape
    )


_SIDES = st.sampled_from([1, 2, 3, 5, 8, 17, 31, 32, 33, 48, 64])
_ODD_SHAPES = st.lists(
    st.sampled_from([0, 1, 2, 3, 4, 5, 9]), min_size=0, max_size=5
).map(tuple)


def _shapes(colours: bool = True) -> st.SearchStrategy[tuple[int, ...]]:
    plane = st.tuples(_SIDES, _SIDES)
    long = st.sampled_from([(1, 400), (400, 1), (3, 300)])
    shapes = plane | plane | plane | long
    if colours:
        shapes |= st.tuples(_SIDES, _SIDES, st.sampled_from([1, 2, 3, 4]))
    return shapes


def pictures(*, odd: bool = True) -> st.SearchStrategy[Picture]:
    """Draw images; with `odd`, some that cannot be one."""
    shapes = _shapes()
    dtypes = st.sampled_from(DTYPES)
    if odd:
        shapes = st.integers(0, 9).flatmap(
            lambda n: _ODD_SHAPES if n == 9 else _shapes()
        )
        dtypes = st.integers(0, 19).flatmap(
            lambda n: st.sampled_from(_ODD_DTYPES if n == 19 else DTYPES)
        )
    return st.builds(
        Picture,
        st.sampled_from(_KINDS),
        shapes,
        dtypes,
        st.integers(0, 999),
        st.sampled_from(_HELD),
    )


def stacks() -> st.SearchStrategy[Picture]:
    """Draw stacks of a few small planes."""
    side = st.sampled_from([1, 3, 9, 16, 24])
    count = st.integers(0, 3)
    shapes = (
        st.tuples(count, side, side)
        | st.tuples(st.integers(1, 2), count, side, side)
        | st.tuples(count, side, side, st.sampled_from([3, 4]))
        | _ODD_SHAPES
    )
    return st.builds(
        Picture,
        st.sampled_from(_KINDS),
        shapes,
        st.sampled_from((*DTYPES, "c8", "O")),
        st.integers(0, 999),
        st.sampled_from(["plain", "fortran", "reversed", "dask", "zarr"]),
    )
