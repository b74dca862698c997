"""Methods: ways from prompts to a map and a mask, by name.

The product's own are in `scorings`. To try another one, write a function with the
decorator `method` in a file of its own and add that file to `_FILES`; results of
other methods stay valid then.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from napari_dinoprompt.core.errors import InputError
from quality_parts.fingerprints import code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.feature_map import FeatureMap


_FILES = ("scorings",)


@dataclass(frozen=True, eq=False)
class Scored:
    """What a method makes of one image.

    Attributes
    ----------
    map : (H, W) ndarray of float32
        Higher is more alike; NaN where the image holds no data.
    threshold : float
        The method's own, on the map.
    mask : (H, W) ndarray of bool
        The method's own, which need not be ``map > threshold``.
    seconds : float
        Time of scoring, without what does not depend on the prompts.
    """

    map: NDArray[np.float32]
    threshold: float
    mask: NDArray[np.bool_]
    seconds: float


class Score(Protocol):
    """The work of a method."""

    def __call__(
        self,
        source: FeatureMap,
        target: FeatureMap,
        image: NDArray[np.generic],
        points: NDArray[np.float64],
        classes: Sequence[str],
    ) -> Scored:
        """Score an image against prompts.

        Parameters
        ----------
        source : FeatureMap
            Of the image that the prompts lie on.
        target : FeatureMap
            Of the image to score, the same or another one.
        image : (H, W) or (H, W, C) ndarray
            The pixels of the target.
        points : (N, 2) ndarray of float64
            y and x of the prompts in pixels of the source.
        classes : sequence of N str
            ``"object"`` or ``"background"``.

        Returns
        -------
        Scored
        """
        ...


@dataclass(frozen=True)
class Method:
    """A method with its name.

    Attributes
    ----------
    name : str
    score : Score
    background : bool
        Whether it makes use of background prompts.
    """

    name: str
    score: Score
    background: bool = True

    @property
    def code(self) -> str:
        """A hash of the file that it is written in."""
        return code_of(self.score)


_METHODS: dict[str, Method] = {}


def method(name: str, *, background: bool = True) -> Callable[[Score], Score]:
    """Register a function as a method, as a decorator.

    Parameters
    ----------
    name : str
        As ``--method`` takes it.
    background : bool
        Whether it makes use of background prompts.
    """

    def register(score: Score) -> Score:
        _METHODS[name] = Method(name, score, background)
        return score

    return register


def method_names() -> list[str]:
    """List all methods, the product's first."""
    for file in _FILES:
        import_module(f"quality_parts.{file}")
    return list(_METHODS)


def find_methods(names: Sequence[str]) -> list[Method]:
    """Look methods up by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = method_names()
    for name in names:
        if name not in known:
            msg = f"Unknown method {name!r}; there are {', '.join(known)}."
            raise InputError(msg)
    return [_METHODS[name] for name in dict.fromkeys(names)]
