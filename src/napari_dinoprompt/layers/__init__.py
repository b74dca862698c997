"""Between napari's layers and the plain arrays and pixels of `core`. No Qt."""

from .drawn import drawn_layers, drawn_prompts
from .ownership import (
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
from .planes import (
    describe_view,
    full_shape,
    lay_over,
    look_at,
    open_plane,
    pixel_lengths,
    pixel_size,
    plane_in_view,
    plane_shape,
    read_plane,
    reader_of,
    spatial_metadata,
    stack_shape,
)
from .prompts import (
    CLASS_COLUMN,
    describe_own_points,
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
    to_world,
)
from .results import colour_mask, make_mask_layer, make_similarity_layer, note_kind
