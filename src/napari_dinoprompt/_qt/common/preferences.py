"""What the user set in napari's Preferences, for the next dock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from napari_dinoprompt.core.backbones.load import (
    CHOICE,
    FILTERBANK,
    BackboneChoice,
    default_backbone,
)
from napari_dinoprompt.core.backbones.weights import is_here

PLUGIN = "napari-dinoprompt"
_AUTO = "auto"


@dataclass(frozen=True)
class Preferences:
    """With what a dock starts.

    Attributes
    ----------
    backbone : BackboneChoice
        One that works now.
    wanted : str or None
        The network that the user would rather have; its weights may be missing.
    """

    backbone: BackboneChoice
    wanted: str | None


def read_preferences() -> Preferences:
    """Read napari's settings of this plugin; defaults where there are none."""
    settings = _settings()
    if settings is None:
        return Preferences(BackboneChoice(default_backbone()), CHOICE)
    folder = str(settings.weights_folder).strip() or None
    choice = BackboneChoice(
        name=settings.backbone,
        device=settings.device,
        precision=settings.precision,
        weights_folder=folder,
        cache_gigabytes=float(settings.cache_gigabytes),
    )
    if choice.name == FILTERBANK:
        return Preferences(choice, None)
    if choice.name == _AUTO:
        choice = replace(choice, name=default_backbone(folder))
        return Preferences(choice, CHOICE)
    if is_here(choice.name, folder):
        return Preferences(choice, choice.name)
    return Preferences(replace(choice, name=FILTERBANK), choice.name)


def _settings() -> Any:
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN).features
    except (ImportError, KeyError):
        # A napari that has none for plugins, or no plugins discovered in this program.
        return None
