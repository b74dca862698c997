"""Names for the results of several images, so that none overwrites another's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.results import result_paths

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

    In the order given.
    """
    given = {path.resolve(): path for path in images}
    names = _tell_apart(list(given))
    target = folder.resolve()
    for path, name in names.items():
        for result in result_paths(target, name).values():
            if result in given:
                msg = (
                    f"The results of {given[path]} would overwrite {given[result]}; "
                    "choose another folder for them."
                )
                raise InputError(msg)
    return {given[path]: name for path, name in names.items()}


def _tell_apart(paths: Sequence[Path]) -> dict[Path, str]:
    stems = Counter(_fold(path.stem) for path in paths)
    for namer in _NAMERS:
        names = {
            path: path.stem if stems[_fold(path.stem)] == 1 else namer(path)
            for path in paths
        }
        if len(set(map(_fold, names.values()))) == len(paths):
            return names
    double = next(path for path in paths if stems[_fold(path.stem)] > 1)
    msg = (
        f"Several images are called {double.name!r} and so are their folders; "
        "segment them one after the other, each into a folder of its own."
    )
    raise InputError(msg)


def _fold(name: str) -> str:
    """Some file systems do not tell upper case from lower."""
    return name.casefold()
