"""What the viewer shows of the study: rings around prompts, masks side by side."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import DirectLabelColormap, ensure_colormap

from napari_dinoprompt import layers
from napari_dinoprompt._qt.compare.layers import SideBySide, add_quietly, remove
from napari_dinoprompt.layers.ownership import noted_in
from napari_dinoprompt.layers.results import empty_result, put_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import LayerList, ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompt_study.influence import Influence
    from napari_dinoprompt.core.prompt_study.resolution import Resolution
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session.image_state import ImageState


# Of the size of a prompt.
_RING_SIZE = 2.2
_ON_SCREEN = (14, 10_000)
_COLOURS = "plasma"
_UNKNOWN = (0.6, 0.6, 0.6, 1.0)
_MASK_COLOUR = "#2a9d8f"
_MOST_IN_A_ROW = 2


class StudyOverlays:
    """Layers of our own, there while a dock has the part on show that they belong to.

    The prompts are not touched.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._stack = viewer.layers
        self._grid = SideBySide(viewer)
        self._parts: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._masks: list[Layer] = []
        self._rings: list[Layer] = []
        self._ringed: Influence | None = None
        # The dock may be closed, and nobody be there to clear up.
        weakref.finalize(self, _clear, self._stack, self._rings).atexit = False

    @property
    def masks_shown(self) -> bool:
        """Whether masks are side by side."""
        return self._grid.shown

    def look(self, viewpoint: object, part: str) -> None:
        """Note which part a dock has on show; empty if none."""
        self._parts[viewpoint] = part
        if "resolution" not in self._parts.values():
            self.hide_masks()

    def show_rings(
        self,
        state: ImageState | None,
        found: Influence | None,
        planes: Sequence[PlaneIndex],
    ) -> None:
        """Lay rings around prompts: the brighter, the more the prompt changes.

        Without a result, or where nobody looks at it, they go.
        """
        if state is None or found is None or "influence" not in self._parts.values():
            self._put_rings(None, [])
        elif found is not self._ringed:
            # Otherwise they are there, or were and the user has deleted them.
            self._put_rings(found, [_make_rings(state, found, planes)])

    def show_masks(self, image: Image, plane: PlaneIndex, found: Resolution) -> None:
        """Put the image into one cell of a grid for each mask."""
        self.hide_masks()
        cells = [
            (_copy(image, one.name), _mask(image, plane, one.name, one.mask))
            for one in found.trials
        ]
        self._masks = [layer for cell in cells for layer in cell]
        for layer in self._masks:
            add_quietly(self._stack, layer)
        self._grid.show(cells, most_in_a_row=_MOST_IN_A_ROW)

    def hide_masks(self) -> None:
        """Show the layers as they were before."""
        self._grid.hide()
        made, self._masks = self._masks, []
        remove(self._stack, made)

    def follow(self, image: Image) -> None:
        """Put all where their image was moved to."""
        ours = (*self._rings, *self._masks)
        own = str(image.unique_id)
        there = [one for one in ours if noted_in(one.metadata).get("image") == own]
        layers.lay_over(image, there)

    def _put_rings(self, found: Influence | None, rings: list[Layer]) -> None:
        # First of all: the viewer tells at once of what follows, and this is asked
        # again.
        old, self._ringed, self._rings[:] = list(self._rings), found, rings
        remove(self._stack, old)
        for layer in rings:
            add_quietly(self._stack, layer)


def _make_rings(
    state: ImageState, found: Influence, planes: Sequence[PlaneIndex]
) -> Points:
    where = np.array(planes, dtype=float).reshape(len(found.points), -1)
    words = [
        f"{number}: outlier" if index in found.outliers else f"{number}"
        for index, number in enumerate(found.numbers)
    ]
    prompt = 10.0 if state.prompts is None else float(state.prompts.current_size)
    radius = _RING_SIZE / 2 * prompt
    return Points(
        np.concatenate((where, found.points), axis=1),
        name=f"{state.image.name} influence of prompts",
        size=_RING_SIZE * prompt,
        canvas_size_limits=_ON_SCREEN,
        symbol="disc",
        face_color="transparent",
        border_color=_ring_colours(found.left_out),
        border_width=0.22,
        features={"prompt": words, "changes": np.round(found.left_out, 4)},
        text={
            "string": "{prompt}",
            "color": "white",
            "size": 10,
            "anchor": "upper_left",
            # Beside the ring, not across it.
            "translation": [*(0.0 for _ in state.view), -0.4 * radius, 0.8 * radius],
        },
        metadata=layers.owned(state.image, "study influence"),
        **layers.spatial_metadata(state.image),
    )


def _ring_colours(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return an RGBA colour for each value: bright for the largest, grey for NaN."""
    most = max(float(np.nanmax(values, initial=0.0)), 1e-9)
    share = np.nan_to_num(values / most)
    colours = np.asarray(ensure_colormap(_COLOURS).map(share), dtype=np.float32)
    colours[np.isnan(values)] = _UNKNOWN
    return colours


def _copy(image: Image, name: str) -> Image:
    """Show an image once more; the pixels are shared."""
    options: dict[str, Any] = {}
    if not image.rgb:
        options = {"colormap": image.colormap, "contrast_limits": image.contrast_limits}
    return Image(
        image.data,
        name=f"{image.name}, {name}",
        rgb=image.rgb,
        multiscale=image.multiscale,
        metadata=layers.owned(image, "study image"),
        **layers.spatial_metadata(image),
        **options,
    )


def _mask(
    image: Image, plane: PlaneIndex, name: str, mask: NDArray[np.bool_]
) -> Labels:
    colours = {None: "transparent", 0: "transparent", 1: _MASK_COLOUR}
    layer = Labels(
        empty_result(image, np.uint8),
        name=f"{name} mask",
        opacity=0.6,
        colormap=DirectLabelColormap(color_dict=colours),
        metadata=layers.owned(image, "study mask"),
        **layers.spatial_metadata(image),
    )
    put_plane(layer, plane, mask.astype(np.uint8))
    # Which one it is, in its corner.
    layer.name_overlay.visible = True
    return layer


def _clear(stack: LayerList, rings: list[Layer]) -> None:
    # Garbage may be collected in any thread; layers belong to this one.
    if threading.current_thread() is threading.main_thread():
        remove(stack, rings)
