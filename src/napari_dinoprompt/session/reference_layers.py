"""References that come from files into the viewer, and prompts that go into files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.core.errors import ReferenceFileError
from napari_dinoprompt.core.images.fingerprint import hash_plane, hash_planes
from napari_dinoprompt.core.images.plane import as_plane
from napari_dinoprompt.core.references.file import SUFFIX
from napari_dinoprompt.core.references.library import Library

from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference


def open_reference(path: Path) -> list[Any]:
    """Put a reference file into the library, and show its prompts if they fit.

    Returns them as layer data where their image is open in the current viewer; else
    nothing. Raises `ReferenceFileError` if the file cannot be used.
    """
    from napari import current_viewer
    from napari.utils.notifications import show_info

    library = Library()
    entry = library.import_file(path)
    viewer = current_viewer()
    found = [] if viewer is None else prompts_for(viewer, library.load(entry))
    shown = " Its prompts are shown on their image." if found else ""
    show_info(f"{entry.name} is in the library of references.{shown}")
    return found


def prompts_for(viewer: ViewerModel, reference: Reference) -> list[Any]:
    """Make the prompts, as layer data, of the sources of a reference that are open.

    An image's own prompts stay; where there are some, the others come as a layer of the
    user's, which can be chosen in the dock.
    """
    images = [layer for layer in viewer.layers if layers.can_segment(layer)]
    found = []
    for number in range(len(reference.sources)):
        image = _find_source(images, reference, number)
        if image is not None:
            found.append(_prompts_on(viewer, image, reference, number))
    return found


def reference_of_layer(data: Any, meta: dict[str, Any]) -> Reference:
    """Return the reference that belongs to the prompts of a layer.

    Given as napari gives it to writers. Raises `ReferenceFileError` if it is no prompt
    layer of ours, or its prompts have not been used yet.
    """
    column = meta.get("features", {}).get(layers.CLASS_COLUMN, ())
    classes = tuple(str(name) for name in column)
    reference = layers.recall_reference(meta.get("metadata", {}), data, classes)
    if reference is None:
        raise ReferenceFileError(
            "These prompts have not been used as they are now: place some on objects, "
            "wait for the mask in the dock Prompt segmentation, and save again."
        )
    return reference


def _find_source(
    images: Iterable[Image], reference: Reference, number: int
) -> Image | None:
    """Find an image by its pixels, else by its name."""
    source = reference.sources[number]
    planes = _planes(reference, number)
    fitting = [
        image
        for image in images
        if layers.plane_shape(image) == source.shape
        and all(_lies_in(plane, layers.stack_shape(image)) for plane in planes)
    ]
    if source.content_hash:
        for image in fitting:
            if _hash(image, planes) == source.content_hash:
                return image
    return next((image for image in fitting if image.name == source.name), None)


def _planes(reference: Reference, number: int) -> list[PlaneIndex]:
    mine = np.flatnonzero(reference.source_of == number)
    return list(dict.fromkeys(reference.planes[i] for i in mine))


def _lies_in(plane: PlaneIndex, stack: tuple[int, ...]) -> bool:
    return len(plane) == len(stack) and all(
        at < length for at, length in zip(plane, stack, strict=True)
    )


def _hash(image: Image, planes: list[PlaneIndex]) -> str:
    return hash_planes(
        {
            plane: hash_plane(as_plane(layers.read_plane(image, plane)))
            for plane in planes
        }
    )


def _prompts_on(
    viewer: ViewerModel, image: Image, reference: Reference, number: int
) -> Any:
    mine = np.flatnonzero(reference.source_of == number)
    classes = [reference.classes[i] for i in mine]
    session = Session()
    for name in classes:
        session.add_class(name)
    points = layers.make_prompt_layer(image, session.colours(), session.classes[0])
    layers.set_prompts(points, _data(reference, mine), classes)
    before = layers.find_prompt_layer(viewer.layers, image)
    if before is not None and len(before.data):
        layers.give_up(points)
        points.name = f"{image.name} prompts of the file"
    elif before is not None:
        viewer.layers.remove(before)
    return points.as_layer_data_tuple()


def _data(reference: Reference, mine: NDArray[np.intp]) -> NDArray[np.float64]:
    planes = np.array([reference.planes[i] for i in mine], dtype=np.float64)
    return np.concatenate(
        [planes.reshape(len(mine), -1), reference.points[mine]], axis=1
    )


def get_reference_reader(path: Any) -> Callable[[Any], list[Any]] | None:
    """Return what reads reference files; None where one of several is none."""
    paths = path if isinstance(path, list) else [path]
    return _read if all(str(one).endswith(SUFFIX) for one in paths) else None


def _read(path: Any) -> list[Any]:
    paths = path if isinstance(path, list) else [path]
    found = [layer for one in paths for layer in open_reference(Path(one))]
    # napari's sign for a file that was read and makes no layer.
    return found or [(None,)]


def write_reference(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save the prompts of a layer that the dock has made, with their vectors.

    Refused with a DinopromptError if it is another layer, or if its prompts have
    changed since they were used.
    """
    return [str(reference_of_layer(data, meta).save(path))]
