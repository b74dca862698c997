"""Rings of the study around prompts, in a layer of our own."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from napari.utils.colormaps import ensure_colormap

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.influence import Influence
    from napari_dinoprompt.session import ImageState

__all__ = ["StudyMarkers"]

_RING = "study influence"
# Of the size of a prompt.
_RING_SIZE = 2.2
_ON_SCREEN = (14, 10_000)
_COLOURS = "plasma"
_UNKNOWN = (0.6, 0.6, 0.6, 1.0)


class StudyMarkers:
    """Makes and removes the marks of one viewer; each is there once or not at all."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._stack = viewer.layers
        self._made: dict[str, tuple[object, Points]] = {}
        # The dock may be closed, and nobody be there to clear up.
        weakref.finalize(self, _remove_all, self._stack, self._made).atexit = False

    def show_influence(
        self, state: ImageState, found: Influence, planes: Sequence[tuple[int, ...]]
    ) -> None:
        """Lay rings around prompts: the brighter, the more the prompt changes.

        Parameters
        ----------
        state : ImageState
        found : Influence
        planes : sequence of plane index
            Of the prompts.
        """
        if self._shown(_RING, found):
            return
        where = np.array(planes, dtype=float).reshape(len(found.points), -1)
        colours = ring_colours(found.left_out)
        words = [
            f"{number}: outlier" if index in found.outliers else f"{number}"
            for index, number in enumerate(found.numbers)
        ]
        self._put(
            _RING,
            found,
            state,
            np.concatenate((where, found.points), axis=1),
            name=f"{state.image.name} influence of prompts",
            size=_RING_SIZE,
            symbol="disc",
            face_color="transparent",
            border_color=colours,
            border_width=0.22,
            features={"prompt": words, "changes": np.round(found.left_out, 4)},
            text={
                "string": "{prompt}",
                "color": "white",
                "size": 10,
                "anchor": "upper_left",
                # Beside the ring, not across it.
                "translation": self._beside(state),
            },
        )

    def hide_influence(self) -> None:
        """Take the rings away."""
        self._remove(_RING)

    def follow(self, image: Image) -> None:
        """Put the marks where their image was moved to."""
        for role, (_, layer) in self._made.items():
            if layers.find_owned((layer,), image, role) is not None:
                for name, value in layers.spatial_metadata(image).items():
                    setattr(layer, name, value)

    def _shown(self, role: str, what: object) -> bool:
        """Tell whether it is there, or was and the user has deleted it."""
        return role in self._made and self._made[role][0] is what

    def _put(
        self,
        role: str,
        what: object,
        state: ImageState,
        where: NDArray[np.float64],
        *,
        size: float,
        **options: Any,
    ) -> None:
        layer = Points(
            where,
            size=size * _prompt_size(state),
            canvas_size_limits=_ON_SCREEN,
            metadata=layers.owned(state.image, role),
            **layers.spatial_metadata(state.image),
            **options,
        )
        # First of all: the viewer tells at once of what follows, and this is asked
        # again.
        _, old = self._made.get(role, (None, None))
        self._made[role] = (what, layer)
        if old is not None and old in self._stack:
            self._stack.remove(old)
        selected, active = set(self._stack.selection), self._stack.selection.active
        self._stack.append(layer)
        self._stack.selection = selected
        self._stack.selection.active = active

    @staticmethod
    def _beside(state: ImageState) -> list[float]:
        radius = _RING_SIZE / 2 * _prompt_size(state)
        return [*(0.0 for _ in state.view), -0.4 * radius, 0.8 * radius]

    def _remove(self, role: str) -> None:
        _, layer = self._made.pop(role, (None, None))
        if layer is not None and layer in self._stack:
            self._stack.remove(layer)


def _prompt_size(state: ImageState) -> float:
    return 10.0 if state.prompts is None else float(state.prompts.current_size)


def ring_colours(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a colour for each value: bright for the largest, grey where unknown.

    Parameters
    ----------
    values : (N,) ndarray of float64

    Returns
    -------
    (N, 4) ndarray of float32
    """
    most = max(float(np.nanmax(values, initial=0.0)), 1e-9)
    share = np.nan_to_num(values / most)
    colours = np.asarray(ensure_colormap(_COLOURS).map(share), dtype=np.float32)
    colours[np.isnan(values)] = _UNKNOWN
    return colours


def _remove_all(stack: Any, made: dict[str, tuple[object, Points]]) -> None:
    # Garbage may be collected in any thread; layers belong to this one.
    if threading.current_thread() is not threading.main_thread():
        return
    for _, layer in made.values():
        if layer in stack:
            stack.remove(layer)
