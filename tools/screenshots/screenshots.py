"""Take the pictures of docs/images, those of napari as a user would get them.

Run it on a display, or under ``xvfb-run -a -s "-screen 0 1920x1200x24"``:
``python tools/screenshots/screenshots.py [FOLDER [SCENE ...]]``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scenes.layer_kinds import all_planes, multiscale, rotated, stack
from scenes.recovering import recovery
from scenes.segmenting import (
    background_prompt,
    instances,
    sample_with_prompts,
    two_classes,
)
from scenes.story import story
from scenes.studying import (
    study_convergence,
    study_influence,
    study_resolution,
    study_threshold,
)
from scenes.tutorial import tutorial

SCENES = (
    story,
    tutorial,
    sample_with_prompts,
    instances,
    background_prompt,
    rotated,
    two_classes,
    multiscale,
    stack,
    all_planes,
    recovery,
    study_convergence,
    study_influence,
    study_resolution,
    study_threshold,
)


def main() -> None:
    """Take all pictures, or those named after the folder."""
    images = Path(__file__).parents[2] / "docs" / "images"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else images
    folder.mkdir(parents=True, exist_ok=True)
    unknown = set(sys.argv[2:]) - {scene.__name__ for scene in SCENES}
    if unknown:
        names = ", ".join(scene.__name__ for scene in SCENES)
        sys.exit(f"There is no scene {', '.join(unknown)}; there are {names}.")
    for scene in SCENES:
        if len(sys.argv) <= 2 or scene.__name__ in sys.argv[2:]:
            with TemporaryDirectory() as home:
                # A scene knows neither the user's references nor another's prompts.
                os.environ["DINOPROMPT_LIBRARY"] = str(Path(home, "library"))
                os.environ["DINOPROMPT_RECOVERY"] = str(Path(home, "recovery"))
                scene(folder)


if __name__ == "__main__":
    main()
