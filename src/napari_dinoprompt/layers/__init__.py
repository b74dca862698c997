"""Between napari's layers and the plain arrays and pixels of `core`. No Qt."""

from napari_dinoprompt.layers.drawn import drawn_layers, drawn_prompts
from napari_dinoprompt.layers.ownership import (
    can_correct,
    can_prompt,
    can_segment,
    corrected_layer,
    correction_of,
    find_owned,
    find_prompt_layer,
    find_result_layers,
    give_up,
    hand_over,
    is_ours,
    noted_in,
    owned,
    truth_layers,
    turn_to,
)
from napari_dinoprompt.layers.planes import (
    describe_odd_planes,
    full_shape,
    lay_over,
    look_at,
    open_plane,
    pixel_size,
    plane_in_view,
    plane_shape,
    read_plane,
    reader_of,
    spatial_metadata,
    stack_shape,
)
from napari_dinoprompt.layers.prompts import (
    CLASS_COLUMN,
    make_prompt_layer,
    pixel_points,
    placed_prompts,
    points_from_pixels,
    prompt_classes,
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
    note_kind,
)
