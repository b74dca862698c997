"""What a batch reads of its files, the objects that are given, and what they end in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.labels import as_objects
from napari_dinoprompt.core.io.atomic import open_atomically
from napari_dinoprompt.core.io.pick import EVERYTHING, Pick
from napari_dinoprompt.core.io.read import read_labels
from napari_dinoprompt.core.objects.export import ENDINGS, ExportKind, export_objects
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.segmentation.select import iter_select
from napari_dinoprompt.core.segmentation.similarities import maps_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from napari_dinoprompt.core.images.lazy_plane import LazyPlane
    from napari_dinoprompt.core.segmentation.large import LargeSegmentation
    from napari_dinoprompt.core.segmentation.segment import Segmentation
    from napari_dinoprompt.core.segmentation.stack import Stack
    from napari_dinoprompt.core.segmentation.stack_results import StackSegmentation

Planar = TypeVar("Planar", bound="Segmentation | LargeSegmentation")

# Name of the table of the objects of all images.
OBJECTS = "objects.csv"


@dataclass(frozen=True)
class BatchFiles:
    """What is read of the files of a batch, and which it writes beside the masks.

    Attributes
    ----------
    exports : tuple of {"geojson", "roi", "csv"}
        Files beside the masks.
    pick : Pick
        What is read of each image file.
    given : Path or None
        A label image of the one image of the batch, or a folder of them that are called
        like the images; of these objects those like the prompts are kept.
    """

    exports: tuple[ExportKind, ...] = ()
    given: Path | None = None
    pick: Pick = EVERYTHING

    def labels_of(self, image: Path) -> NDArray[np.int32] | None:
        """Read the objects that are given for an image; None if none are."""
        if self.given is None:
            return None
        path = self.given
        if path.is_dir():
            found = sorted(path.glob(f"{image.stem}.*"))
            if len(found) != 1:
                raise InputError(
                    f"{path} holds {len(found)} files called {image.stem}; one is "
                    "needed, with the objects of that image."
                )
            path = found[0]
        return as_objects(read_labels(path))

    def choose(
        self, result: Planar, labels: NDArray[np.int32] | None, threshold: float | None
    ) -> Planar:
        """Put the objects that were given and are like the prompts into a result."""
        if labels is None:
            return result
        user = None if threshold is None else dict.fromkeys(result.names, threshold)
        steps = iter_select(labels, maps_of(result.scores), result.thresholds, user)
        chosen = run_to_end(steps)
        return replace(
            result,
            mask=chosen.mask[...],
            instances=chosen.instances[...],
            thresholds=chosen.thresholds,
        )

    def export(
        self,
        folder: Path,
        name: str,
        result: Segmentation | LargeSegmentation,
        image: LazyPlane,
        pixel_size: tuple[float, float] | None,
    ) -> None:
        """Write the objects of a plane; its own light is measured."""
        if self.exports:
            table = result.objects_table({"image": image.array}, pixel_size)
            self._write(folder, name, result.instances, table)

    def export_stack(
        self,
        folder: Path,
        name: str,
        found: StackSegmentation,
        stack: Stack,
        spacing: tuple[float, float, float] | None,
    ) -> None:
        """Write the objects of a stack; its own light is measured."""
        if self.exports:
            instances = found.instances
            if len(instances.shape) > 3 and self.exports != ("csv",):
                raise InputError(
                    "Objects of stacks with more than one axis before the plane are "
                    "exported as csv only."
                )
            table = found.objects_table({"image": stack.array()}, spacing)
            self._write(folder, name, instances, table)

    def _write(
        self, folder: Path, name: str, instances: object, table: pd.DataFrame
    ) -> None:
        for path in self.paths(folder, name):
            export_objects(path, instances, table)

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Name the files of an image's objects."""
        return [folder / f"{name}{ENDINGS[kind]}" for kind in self.exports]

    def join(self, folder: Path, names: Iterable[str]) -> None:
        """Write one table of the objects of all images that are finished."""
        if "csv" not in self.exports:
            return
        import pandas as pd

        tables = []
        for name in names:
            path = folder / f"{name}{ENDINGS['csv']}"
            if path.exists():
                table = pd.read_csv(path)
                table.insert(0, "results", name)
                tables.append(table)
        if tables:
            whole = pd.concat(tables, ignore_index=True)
            with open_atomically(folder / OBJECTS) as file:
                file.write(whole.to_csv(index=False, lineterminator="\n").encode())


# No objects are given, and no files are wanted but masks and maps.
MASKS_ONLY = BatchFiles()
