"""The layers of a comparison: maps over the real, and images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_dinoprompt import layers
from napari_dinoprompt.result_arrays import empty_result, put_plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.comparing.request import CompareRequest
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.prompts import PlaneIndex

__all__ = ["AGREEMENT", "CompareLayers"]

AGREEMENT = {
    1: ("in both", "#009E73"),
    2: ("only in real", "#56B4E9"),
    3: ("only in fake", "#D55E00"),
}
"""Word and colour of each value of an agreement map."""

# Image, similarity, and mask or agreement.
_LAYERS_PER_CELL = 3
_MOST_IN_A_ROW = 3
_SHOWN_AS = {
    "SSIM": ("viridis", (0.0, 1.0)),
    "squared error": ("magma", (0.0, 0.25)),
    "feature distance": ("magma", (0.0, 1.0)),
    "similarity": ("inferno", (0.0, 1.0)),
    "grey": ("gray", (0.0, 1.0)),
}


class CompareLayers:
    """Makes, arranges and removes the layers of one comparison.

    All lie on the grid of the real. The user's layers are hidden while images are side
    by side, and shown again afterwards; nothing else of them changes.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._made: dict[tuple[str, str], Layer] = {}
        self._hidden: list[Layer] | None = None

    @property
    def side_by_side(self) -> bool:
        """Whether the images are in a grid."""
        return self._hidden is not None

    def show_maps(
        self, request: CompareRequest, plane: PlaneIndex, comparison: Comparison
    ) -> None:
        """Show agreement, SSIM, squared error and feature distance of each fake."""
        for report in comparison.reports:
            maps = report.measures.maps
            floats = {
                "feature distance": maps.feature_distance,
                "squared error": maps.squared_error,
                "SSIM": maps.ssim,
            }
            for kind, values in floats.items():
                if values is not None:
                    self._image(request.real, plane, report.name, kind, values)
            self._agreement(request.real, plane, report.name, maps.agreement)

    def begin_side_by_side(
        self, request: CompareRequest, plane: PlaneIndex, comparison: Comparison
    ) -> None:
        """Put real and fakes into a grid: one camera, the same contrast limits."""
        self.end_side_by_side()
        real = request.real
        number = comparison.real.similarities.names.index(comparison.class_name) + 1
        cells = [
            self._cell(
                real,
                plane,
                real.name,
                comparison.real_grey,
                comparison.real.similarities.of(comparison.class_name),
                self._labels(real, plane, real.name, comparison.real.mask == number),
            )
        ]
        for report in comparison.reports:
            agreement = report.measures.maps.agreement
            found = report.segmentation.similarities.of(comparison.class_name)
            over = self._agreement(real, plane, report.name, agreement)
            cells.append(self._cell(real, plane, report.name, report.grey, found, over))
        for kind in (0, 1):
            alike = [cell[kind] for cell in cells]
            self._viewer.layers.link_layers(alike, ("contrast_limits",))
        shown = [layer for cell in cells for layer in cell]
        if request.input_image is not None:
            shown.append(request.input_image)
        self._arrange(shown, len(cells) + (request.input_image is not None))

    def end_side_by_side(self) -> None:
        """Show the layers as they were before."""
        if self._hidden is None:
            return
        hidden, self._hidden = self._hidden, None
        self._viewer.canvas.grid.enabled = False
        for key in list(self._made):
            if key[1] in ("grey", "similarity", "mask"):
                self._remove(key)
        for layer in hidden:
            layer.visible = True

    def follow(self, real: Image) -> None:
        """Put all layers where the real was moved to."""
        for layer in self._made.values():
            for name, value in layers.spatial_metadata(real).items():
                setattr(layer, name, value)

    def clear(self) -> None:
        """Remove all layers of the comparison."""
        self.end_side_by_side()
        for key in list(self._made):
            self._remove(key)

    def _arrange(self, shown: list[Any], cells: int) -> None:
        stack = self._viewer.layers
        self._hidden = [
            layer
            for layer in stack
            if layer.visible and not any(layer is one for one in shown)
        ]
        for layer in self._hidden:
            layer.visible = False
        # The grid takes layers in the order of the list, so many for each cell.
        for place, layer in enumerate(shown):
            stack.move(stack.index(layer), place)
        for layer in shown:
            layer.visible = self._kind_of(layer) != "similarity"
        grid = self._viewer.canvas.grid
        grid.stride = _LAYERS_PER_CELL
        grid.shape = (1, cells) if cells <= _MOST_IN_A_ROW else (-1, -1)
        grid.enabled = True
        self._viewer.reset_view()

    def _kind_of(self, layer: Layer) -> str:
        kinds = (key[1] for key, one in self._made.items() if one is layer)
        return next(kinds, "")

    def _cell(
        self,
        real: Image,
        plane: PlaneIndex,
        name: str,
        grey: NDArray[np.float32],
        similarity: NDArray[np.float32],
        over: Labels,
    ) -> tuple[Image, Image, Labels]:
        return (
            self._image(real, plane, name, "grey", grey),
            self._image(real, plane, name, "similarity", similarity),
            over,
        )

    def _image(
        self,
        real: Image,
        plane: PlaneIndex,
        name: str,
        kind: str,
        values: NDArray[np.float32],
    ) -> Image:
        colormap, limits = _SHOWN_AS[kind]
        options = {
            "colormap": colormap,
            "contrast_limits": limits,
            "visible": False,
        }
        return self._put(Image, real, plane, name, kind, values, options)

    def _agreement(
        self, real: Image, plane: PlaneIndex, name: str, values: NDArray[np.uint8]
    ) -> Labels:
        colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
        colours.update((value, colour) for value, (_, colour) in AGREEMENT.items())
        words = [word for word, _ in AGREEMENT.values()]
        options = {
            "colormap": DirectLabelColormap(color_dict=colours),
            # napari says the word where the mouse is.
            "features": {"index": list(AGREEMENT), "agreement": words},
            "opacity": 0.6,
        }
        return self._put(Labels, real, plane, name, "agreement", values, options)

    def _labels(
        self, real: Image, plane: PlaneIndex, name: str, values: NDArray[np.bool_]
    ) -> Labels:
        colours = {None: "transparent", 0: "transparent", 1: AGREEMENT[1][1]}
        options = {
            "colormap": DirectLabelColormap(color_dict=colours),
            "opacity": 0.6,
        }
        return self._put(
            Labels, real, plane, name, "mask", values.astype(np.uint8), options
        )

    def _put(
        self,
        layer_type: Any,
        real: Image,
        plane: PlaneIndex,
        name: str,
        kind: str,
        values: NDArray[Any],
        options: dict[str, Any],
    ) -> Any:
        made = self._made.get((name, kind))
        if made is not None and made in self._viewer.layers:
            return made
        layer = layer_type(
            empty_result(real, values.dtype),
            name=f"{name} {'as compared' if kind == 'grey' else kind}",
            metadata=layers.owned(real, f"comparison {kind}"),
            **layers.spatial_metadata(real),
            **options,
        )
        put_plane(layer, plane, values)
        self._made[name, kind] = layer
        stack = self._viewer.layers
        selected = set(stack.selection)
        stack.append(layer)
        stack.selection = selected
        return layer

    def _remove(self, key: tuple[str, str]) -> None:
        layer = self._made.pop(key)
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
