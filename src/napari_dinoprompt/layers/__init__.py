"""Between napari's layers and the plain arrays and pixels of `core`. No Qt."""

from napari_dinoprompt.layers.coordinates import (
    CLASS_COLUMN,
    pixel_points,
    placed_prompts,
    points_from_pixels,
    prompt_classes,
)
from napari_dinoprompt.layers.ownership import (
    can_prompt,
    can_segment,
    find_owned,
    find_prompt_layer,
    find_result_layers,
    give_up,
    is_ours,
    own_labels,
    owned,
)
from napari_dinoprompt.layers.planes import (
    open_plane,
    pixel_size,
    plane_in_view,
    plane_shape,
    read_plane,
    spatial_metadata,
    stack_shape,
)
from napari_dinoprompt.layers.prompts import (
    make_prompt_layer,
    recall_reference,
    recall_thresholds,
    remember_reference,
    remember_thresholds,
    set_prompts,
)
from napari_dinoprompt.layers.results import (
    colour_classes,
    colour_instances,
    colour_numbers,
    make_mask_layer,
    make_similarity_layer,
)

__all__ = [
    "CLASS_COLUMN",
    "can_prompt",
    "can_segment",
    "colour_classes",
    "colour_instances",
    "colour_numbers",
    "find_owned",
    "find_prompt_layer",
    "find_result_layers",
    "give_up",
    "is_ours",
    "make_mask_layer",
    "make_prompt_layer",
    "make_similarity_layer",
    "open_plane",
    "own_labels",
    "owned",
    "pixel_points",
    "pixel_size",
    "placed_prompts",
    "plane_in_view",
    "plane_shape",
    "points_from_pixels",
    "prompt_classes",
    "read_plane",
    "recall_reference",
    "recall_thresholds",
    "remember_reference",
    "remember_thresholds",
    "set_prompts",
    "spatial_metadata",
    "stack_shape",
]
