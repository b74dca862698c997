"""The keys of the dock: bound to the viewer, told in tooltips and in the docs.

napari hands keys that no widget of a dock takes, such as those not typed into a field,
on to its canvas. So they work in both, and what the active layer binds comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import finalize, ref

from app_model.types import KeyBinding, KeyCode, KeyMod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.components import ViewerModel

_STEP = 0.02


@dataclass(frozen=True)
class Key:
    """A key, as `app_model` codes it, and what it does: in words, to a controller."""

    code: int
    title: str
    action: Callable[[Any], object]

    @property
    def text(self) -> str:
        """How it is written, as *Ctrl+Z*."""
        return str(KeyBinding.from_int(self.code).to_text())


_UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
# No layer of napari binds these letters, nor does the viewer or a menu.
KEYS = {
    "prompts": Key(KeyCode.KeyQ, "clicks place prompts", lambda it: it.add_prompts()),
    "class": Key(KeyCode.KeyW, "next class", lambda it: it.choose_next_class()),
    "undo": Key(_UNDO, "undo prompts", lambda it: it.prompts.undo()),
    "redo": Key(KeyMod.Shift | _UNDO, "redo prompts", lambda it: it.prompts.redo()),
    "lower": Key(KeyCode.KeyJ, "threshold down", lambda it: it.move_threshold(-_STEP)),
    "higher": Key(KeyCode.KeyK, "threshold up", lambda it: it.move_threshold(_STEP)),
    "map": Key(KeyCode.KeyH, "map on or off", lambda it: it.flip("similarity")),
    "mask": Key(KeyCode.KeyG, "mask on or off", lambda it: it.flip("mask")),
}


def with_key(text: str, *names: str) -> str:
    """Add keys to what a tooltip says."""
    return f"{text} ({', '.join(KEYS[name].text for name in names)})"


def bind_keys(viewer: ViewerModel, controller: object) -> finalize[..., object]:
    """Bind the keys to a controller; return what sets them free, at its end at last.

    A key to which the user, in napari's preferences, or somebody else has given another
    meaning in the viewer keeps that.
    """
    taken = {str(one) for one in (*viewer.keymap, *viewer.class_keymap)}
    free = [one for one in KEYS.values() if one.text not in taken]
    for key in free:
        viewer.bind_key(key.code, _pressed(key, ref(controller)))
    unbind = finalize(controller, _unbind, viewer, free)
    unbind.atexit = False
    return unbind


def _pressed(key: Key, held: ref[object]) -> Callable[[object], None]:
    """Make what napari calls, which has to have a name: no partial has."""

    def press(_viewer: object) -> None:
        controller = held()
        if controller is not None:
            key.action(controller)

    return press


def _unbind(viewer: ViewerModel, keys: Iterable[Key]) -> None:
    for key in keys:
        viewer.bind_key(key.code, None)
