"""What is kept of an image: its prompts, and the settings that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dinoprompt.core.masks import Cleaning

__all__ = ["Coordinates", "ImageRecord", "KeptSettings"]

Coordinates = tuple[tuple[float, ...], ...]
"""Points, each with one number per axis."""


@dataclass(frozen=True)
class KeptSettings:
    """What the dock was set to.

    Attributes
    ----------
    backbone : str
        Its name. A block other than the backbone's own cannot be chosen in the dock.
    own_weights : bool
        Whether the weights came from a file that the user chose. Its path is not
        kept: no path from inside a file is ever opened.
    device, precision : str
    upscale : float
    classes : tuple of str
        All, in their order, with prompts or without.
    selected_class : str
    cleaning : Cleaning
    """

    backbone: str
    own_weights: bool
    device: str
    precision: str
    upscale: float
    classes: tuple[str, ...]
    selected_class: str
    cleaning: Cleaning


@dataclass(frozen=True)
class ImageRecord:
    """The prompts of one image and all that their mask depends on.

    Attributes
    ----------
    key : str
        Which layers of which program these are; a later record of the same key is
        what became of this one.
    fingerprint : str
        Of the image's pixels, as `fingerprint_image`.
    image : str
        Its name when it was kept, for people.
    points : (N, D) tuple of tuples of float
        In pixels of the image: y and x last, before them the plane.
    placed : (N, D) tuple of tuples of float
        The same in the coordinates of their layer; empty if those are pixels.
    classes : tuple of N str
    thresholds : mapping of str to float
        What the user set, by class.
    settings : KeptSettings
    changed : float
        When, in seconds since 1970. Records that differ in this alone are equal.
    """

    key: str
    fingerprint: str
    image: str
    points: Coordinates
    placed: Coordinates
    classes: tuple[str, ...]
    thresholds: Mapping[str, float]
    settings: KeptSettings
    changed: float = field(default=0.0, compare=False)
