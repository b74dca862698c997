"""Names for the results of several images, so that none overwrites another's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from napari_dinoprompt._cli.results import result_paths
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["name_results"]

_NAMERS: tuple[Callable[[Path], str], ...] = (
    lambda path: path.stem,
    lambda path: f"{path.parent.name}_{path.stem}",
    lambda path: f"{path.stem}_{path.suffix[1:]}",
    lambda path: f"{path.parent.name}_{path.stem}_{path.suffix[1:]}",
)


def name_results(images: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Give each image a name for its results.

    The stem where it is the only one of its kind. Images of the same stem, as the
    real and the fake stain of one field often are, get their folder's name in front
    or their suffix behind.

    Parameters
    ----------
    images : sequence of Path
        An image that is given twice is taken once.
    folder : Path
        Where the results go.

    Returns
    -------
    dict of Path to str
        In the order given.

    Raises
    ------
    InputError
        If no such names tell the images apart, or if a result would overwrite one
        of the images.
    """
    paths = list({path.resolve(): path for path in images})
    stems = _count(_NAMERS[0](path) for path in paths)
    doubles = [path for path in paths if stems[_fold(path.stem)] > 1]
    singles = {path: path.stem for path in paths if path not in doubles}
    names = singles | _tell_apart(doubles, set(map(_fold, singles.values())))
    given = {path.resolve(): path for path in images}
    for path in paths:
        for result in result_paths(folder.resolve(), names[path]).values():
            if result in given:
                msg = (
                    f"The results of {given[path]} would overwrite {given[result]}: "
                    "choose another folder with --output."
                )
                raise InputError(msg)
    return {given[path]: names[path] for path in paths}
