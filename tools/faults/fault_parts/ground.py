"""What a case works with: a folder of its own, inputs, and a process to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fault_parts.rows import Row

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from fault_parts.commander import Commander
    from fault_parts.inputs import Inputs


@dataclass(frozen=True)
class Ground:
    """For one case.

    Attributes
    ----------
    folder : Path
        Empty, of this case alone.
    inputs : Inputs
    hire : callable returning Commander
    seed : int
    chance : Random
        The same for a seed.
    """

    folder: Path
    inputs: Inputs
    hire: Callable[[], Commander]
    seed: int
    chance: Random

    @property
    def ask(self) -> Commander:
        """The process to ask; it is started when it is needed."""
        return self.hire()

    def room(self, name: str) -> Path:
        """Make a folder."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


Case = Callable[[Ground], list[Row]]
