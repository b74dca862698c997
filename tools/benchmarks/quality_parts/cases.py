"""Cases: what is measured, and what came out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quality_parts.data import Plane


ANYWHERE = "wrong"
"""The largest regions that are wrongly found."""
APART = "wrong apart"
"""Only those that touch no true object."""
CORRECTIONS = (ANYWHERE, APART)


@dataclass(frozen=True, order=True)
class Case:
    """One scoring of one image.

    Attributes
    ----------
    stain : str
        Which picture of the plane: ``"real"``, a fake's name, or one that is empty.
    placed : str
        How the prompts were placed: ``"clicks"`` or ``"random"``.
    prompts : int
        Object prompts.
    background : int
        Background prompts.
    draw : int
        Which draw of the prompts.
    corrects : str
        Where background prompts go: as drawn if empty, else one of `CORRECTIONS`, in
        the middle of what the object prompts alone find wrongly.
    """

    stain: str
    placed: str
    prompts: int
    background: int
    draw: int
    corrects: str = ""

    @property
    def name(self) -> str:
        """The case in a file of results."""
        count = (
            f"{self.prompts}+{self.background}{self.corrects and ' '}{self.corrects}"
        )
        return f"{self.stain} {self.placed} {count} draw {self.draw}"


@dataclass(frozen=True)
class Outcome:
    """The figures of one case.

    Where nothing should be found the agreement with the truth is NaN.

    Attributes
    ----------
    iou_best, threshold_best, boundary_best : float
        Of the threshold whose mask agrees best with the truth.
    iou_own, threshold_own, boundary_own : float
        Of the mask that the method makes by itself.
    objects, pixels : int
        In the method's own mask.
    above : int
        Pixels of the map above the method's threshold, whatever its mask says.
    seconds : float
        Time of scoring.
    """

    iou_best: float
    threshold_best: float
    boundary_best: float
    iou_own: float
    threshold_own: float
    boundary_own: float
    objects: int
    pixels: int
    above: int
    seconds: float

    def to_json(self) -> dict[str, float | None]:
        """Return the figures by name; JSON has no NaN."""
        found = asdict(self)
        return {
            name: None if math.isnan(value) else value for name, value in found.items()
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Outcome:
        """Read what `to_json` returned."""
        figures: dict[str, Any] = {
            name: math.nan if value is None else value for name, value in found.items()
        }
        return cls(**figures)


@dataclass(frozen=True, eq=False)
class Unit:
    """The cases of one protocol on one plane: what is computed and kept together.

    Attributes
    ----------
    protocol : str
    source : Plane
        Where the prompts lie.
    target : Plane
        What is scored.
    cases : tuple of Case
    """

    protocol: str
    source: Plane
    target: Plane
    cases: tuple[Case, ...]
