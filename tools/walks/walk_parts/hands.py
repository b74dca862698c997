"""Outside napari: a mouse and a keyboard on a display, and eyes on a state file."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WHEEL_DOWN, _WHEEL_UP = "5", "4"
_PATIENCE_S = 30.0


class StuckError(Exception):
    """Something that a newcomer looks for is not there."""


@dataclass
class Hands:
    """Real input by xdotool, to what the state file says is on the screen."""

    display: str
    state: Path

    def see(self) -> dict[str, Any]:
        """Return the state as it is now."""
        end = time.time() + 4 * _PATIENCE_S
        while True:
            try:
                found: dict[str, Any] = json.loads(self.state.read_text())
            except (OSError, ValueError):
                found = {}
            # Another one than before the last act: the window has had its turn.
            if found.get("time", 0.0) > self._acted:
                return found
            if time.time() > end:
                msg = "The window does not answer."
                raise StuckError(msg)
            time.sleep(0.05)

    _acted: float = 0.0

    def _do(self, *words: str) -> None:
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(["xdotool", *words], check=True, env=environment)
        self._acted = time.time() + 0.05

    def wait(
        self, told: str, until: Callable[[dict[str, Any]], Any], patience: float = 0.0
    ) -> Any:
        """Wait until something is true of the state, and return it."""
        end = time.time() + (patience or _PATIENCE_S)
        while True:
            found = until(self.see())
            if found:
                return found
            if time.time() > end:
                raise StuckError(told)
            time.sleep(0.05)

    def click(self, at: tuple[int, int], button: str = "1") -> None:
        """Move the mouse there as a hand does, and click."""
        self._do("mousemove", str(at[0] - 2), str(at[1] - 1))
        self._do("mousemove", str(at[0]), str(at[1]))
        time.sleep(0.1)
        self._do("click", button)

    def type(self, text: str) -> None:
        """Replace what is in a field by a text, and press Enter."""
        self._do("key", "ctrl+a")
        self._do("type", "--delay", "10", text)
        self._do("key", "Return")

    def press(self, key: str) -> None:
        """Press a key."""
        self._do("key", key)

    def choose(self, *entries: str) -> None:
        """Click through menus; each entry by the beginning of its text."""
        for number, entry in enumerate(entries):
            bar = number == 0
            at = self.wait(
                f"There is no {entry!r} in the menus.",
                lambda seen, entry=entry, bar=bar: next(
                    (
                        one["at"]
                        for one in seen["menus"]
                        if one["text"].startswith(entry) and one["bar"] == bar
                    ),
                    None,
                ),
            )
            self.click(at)

    def find(self, name: str, *, scroll: bool = True) -> dict[str, Any]:
        """Find a widget by its accessible name, its label or its text; scroll to it."""
        for _turn in range(40):
            seen = self.see()
            found = [
                one
                for one in seen["widgets"]
                # The label beside a field has its name for a text.
                if name in (one["name"], one["text"]) and "Label" not in one["kind"]
            ]
            if not found:
                break
            shown = [one for one in found if one["seen"]]
            if shown:
                return shown[0]
            if not scroll:
                break
            self._scroll_to(found[0], seen)
        msg = f"There is no {name!r} on the screen."
        raise StuckError(msg)

    def _scroll_to(self, wanted: dict[str, Any], seen: dict[str, Any]) -> None:
        """Turn the wheel over the part of the dock that is seen."""
        near = [
            one
            for one in seen["widgets"]
            if one["seen"]
            and abs(one["left"] - wanted["left"]) < 250
            # Over a box the wheel would change it.
            and one["kind"] in ("QLabel", "MessageLabel")
        ]
        if not near:
            msg = f"{wanted['name'] or wanted['text']!r} cannot be scrolled to."
            raise StuckError(msg)
        place = min(near, key=lambda one: abs(one["at"][1] - wanted["at"][1]))
        below = wanted["at"][1] > place["at"][1]
        self._do("mousemove", str(place["left"]), str(place["at"][1]))
        self._do("click", _WHEEL_DOWN if below else _WHEEL_UP)
        time.sleep(0.2)

    def picture(self, path: Path) -> None:
        """Keep what is on the screen."""
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(
            ["import", "-window", "root", str(path)], check=True, env=environment
        )
