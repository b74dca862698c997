"""The layers of a comparison, and showing images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_dinoprompt import layers
from napari_dinoprompt.core.comparison.columns import (
    AGREEMENT_COLOURS,
    BOTH,
    ONLY_IN_FAKE,
    ONLY_IN_REAL,
)
from napari_dinoprompt.layers.results import empty_result, put_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import LayerList, ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.core.prompts import PlaneIndex


# Word for each value of an agreement map.
AGREEMENT = {
    BOTH: "in both",
    ONLY_IN_REAL: "only in real",
    ONLY_IN_FAKE: "only in fake",
}

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

    All lie on the grid of the real.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._grid = SideBySide(viewer)
        self._made: dict[tuple[str, str], Layer] = {}

    @property
    def side_by_side(self) -> bool:
        """Whether the images are in a grid."""
        return self._grid.shown

    def show_maps(self, real: Image, plane: PlaneIndex, comparison: Comparison) -> None:
        """Show agreement, SSIM, squared error and feature distance of each fake."""
        for report in comparison.reports:
            maps = report.measures.maps
            for kind, values in (
                ("feature distance", maps.feature_distance),
                ("squared error", maps.squared_error),
                ("SSIM", maps.ssim),
                ("agreement", maps.agreement),
            ):
                if values is not None:
                    self._put(real, plane, report.name, kind, values)

    def begin_side_by_side(
        self,
        real: Image,
        plane: PlaneIndex,
        comparison: Comparison,
        input_image: Image | None,
    ) -> None:
        """Put real and fakes into a grid: one camera, the same contrast limits."""
        self.end_side_by_side()
        found, name = comparison.real, comparison.class_name
        mask = found.mask == found.similarities.names.index(name) + 1
        shown = [(real.name, comparison.real_grey, found, "mask", mask.astype("u1"))]
        for report in comparison.reports:
            agreement = report.measures.maps.agreement
            shown.append(
                (report.name, report.grey, report.segmentation, "agreement", agreement)
            )
        cells: list[list[Layer]] = [
            [
                self._put(real, plane, title, "grey", grey),
                self._put(real, plane, title, "similarity", one.similarities.of(name)),
                self._put(real, plane, title, kind, over),
            ]
            for title, grey, one, kind, over in shown
        ]
        for place in (0, 1):
            alike = [cell[place] for cell in cells]
            self._viewer.layers.link_layers(alike, ("contrast_limits",))
        for grey_layer, similarity, over_layer in cells:
            grey_layer.visible = over_layer.visible = True
            similarity.visible = False
        if input_image is not None:
            input_image.visible = True
            cells.append([input_image])
        self._grid.show(cells, most_in_a_row=_MOST_IN_A_ROW)

    def end_side_by_side(self) -> None:
        """Show the layers as they were before."""
        if self._grid.shown:
            self._grid.hide()
            self._remove("grey", "similarity", "mask")

    def follow(self, real: Image) -> None:
        """Put all layers where the real was moved to."""
        layers.lay_over(real, self._made.values())

    def clear(self) -> None:
        """Remove all layers of the comparison."""
        self.end_side_by_side()
        self._remove(*_SHOWN_AS, "agreement")

    def _put(
        self, real: Image, plane: PlaneIndex, name: str, kind: str, values: NDArray[Any]
    ) -> Layer:
        """Return the layer that shows (H, W) values; it is made if it is not there."""
        made = self._made.get((name, kind))
        if made is not None and made in self._viewer.layers:
            return made
        make, options = _look_of(kind)
        layer: Layer = make(
            empty_result(real, values.dtype),
            name=f"{name} {'as compared' if kind == 'grey' else kind}",
            metadata=layers.owned(real, f"comparison {kind}"),
            **layers.spatial_metadata(real),
            **options,
        )
        put_plane(layer, plane, values)
        self._made[name, kind] = layer
        add_quietly(self._viewer.layers, layer)
        return layer

    def _remove(self, *kinds: str) -> None:
        gone = [key for key in self._made if key[1] in kinds]
        remove(self._viewer.layers, [self._made.pop(key) for key in gone])


def _look_of(kind: str) -> tuple[Any, dict[str, Any]]:
    """Return the type of layer that shows a kind of map, and how."""
    if kind in _SHOWN_AS:
        colormap, limits = _SHOWN_AS[kind]
        return Image, {
            "colormap": colormap,
            "contrast_limits": limits,
            "visible": False,
        }
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours.update(AGREEMENT_COLOURS.items())
    look: dict[str, Any] = {
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": 0.6,
    }
    if kind == "agreement":
        # napari says the word where the mouse is.
        words = list(AGREEMENT.values())
        look["features"] = {"index": list(AGREEMENT), "agreement": words}
    return Labels, look


def add_quietly(stack: LayerList, layer: Layer) -> None:
    """Add a layer on top; what was selected stays so."""
    selected, active = set(stack.selection), stack.selection.active
    stack.append(layer)
    stack.selection = selected
    stack.selection.active = active


def remove(stack: LayerList, made: Sequence[Layer]) -> None:
    """Remove layers, but for those that the user has deleted."""
    for layer in made:
        if layer in stack:
            stack.remove(layer)


class SideBySide:
    """A grid of layers; all others are hidden meanwhile, and shown again afterwards."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._hidden: list[Layer] | None = None

    @property
    def shown(self) -> bool:
        """Whether layers are in a grid."""
        return self._hidden is not None

    def show(self, cells: Sequence[Sequence[Layer]], *, most_in_a_row: int) -> None:
        """Show the layers of the list so, each cell with as many as the first."""
        stack = self._viewer.layers
        shown = [layer for cell in cells for layer in cell]
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
        grid = self._viewer.canvas.grid
        grid.stride = len(cells[0])
        grid.shape = (1, len(cells)) if len(cells) <= most_in_a_row else (-1, -1)
        grid.enabled = True
        self._viewer.reset_view()

    def hide(self) -> None:
        """Show the layers as they were before."""
        if self._hidden is None:
            return
        hidden, self._hidden = self._hidden, None
        self._viewer.canvas.grid.enabled = False
        for layer in hidden:
            layer.visible = True
