"""`dinoprompt demo`: five prompts on a real stain, then on virtual stains."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.sample_data import FIELDS, sample_files

from .console import progress_bar, results_console, say, side_console, tell
from .options import choose_backbone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dinoprompt.core.backbones.base import Backbone

    from .demo_figure import FieldStory


# Role of each sample image that the reference is applied to, and what it shows.
_STAINS = {
    "nuclei_real": "real stain",
    "nuclei_fake_undertrained": "undertrained fake",
    "nuclei_fake_trained": "trained fake",
}
# A nucleus is about 20 to 40 pixels wide: with DINOv2's cells of 14 it needs enlarging.
_DINOV2_UPSCALE = 2.0
_MIN_SIZE = 30
# Of the prompts: few, for the story is to be told in half a minute.
_DRAWS = 3
_WINDOWLESS = ("offscreen", "minimal", "vnc", "linuxfb")
_ASK_QT = """
try:
    from qtpy.QtGui import QGuiApplication
except Exception:
    raise SystemExit(0)
QGuiApplication([])
"""
# Seconds; a display over a line that is dead does not answer at all.
_PATIENCE = 20
# By the packages of Debian and Ubuntu; tests/run.sh installs the same.
_LIBRARIES = {
    "libgl1": "libGL.so.1",
    "libegl1": "libEGL.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libfontconfig1": "libfontconfig.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-shape0": "libxcb-shape.so.0",
}


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write into this folder and open no viewer. (default without a "
            "display: dinoprompt-demo)",
        ),
    ] = None,
    no_viewer: Annotated[
        bool, typer.Option("--no-viewer", help="Write files even with a display.")
    ] = False,
) -> None:
    """Show the whole story on the sample images.

    Five prompts on a real stain make a reference; it is applied to that stain and to
    two virtual ones of the same field, one from a network that was trained and one
    from a network that was not trained enough. In a viewer where there is a display,
    else as files: similarity maps, masks, references, a figure and a table, and per
    field the virtual stains compared with the real one.
    """
    if output is None and not no_viewer and has_display(os.environ, sys.platform):
        missing = missing_packages()
        if missing:
            say(
                "no window can be opened without some libraries of the system; on "
                f"Debian or Ubuntu: sudo apt-get install {' '.join(missing)}. Writing "
                "files instead."
            )
        elif not can_open_windows():
            say("the display cannot be reached. Writing files instead.")
        else:
            open_viewer()
            return
    folder = output or Path("dinoprompt-demo")
    write_demo(folder, choose_backbone().load())
    tell(f"Written to {folder.resolve()}")
    tell(f"Look at {folder / 'demo.png'} first,")
    tell(f"then at comparison.png in {folder / 'comparison'}.")


def has_display(environ: Mapping[str, str], platform: str) -> bool:
    """Tell whether this looks like a desktop, by `os.environ` and `sys.platform`."""
    if environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in _WINDOWLESS:
        return False
    if platform in ("darwin", "win32"):
        return not any(
            environ.get(name) for name in ("CI", "SSH_CONNECTION", "SSH_TTY")
        )
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def can_open_windows() -> bool:
    """Ask Qt whether it can open the display; where it cannot, it ends its process.

    True without any Qt: what is to be installed is said when a window is opened.
    """
    import subprocess

    ask = [sys.executable, "-c", _ASK_QT]
    try:
        asked = subprocess.run(ask, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def missing_packages(libraries: dict[str, str] = _LIBRARIES) -> tuple[str, ...]:
    """Name the packages whose libraries cannot be loaded.

    None where Qt brings its libraries along: anywhere but on Linux, and in
    environments of conda.
    """
    if sys.platform != "linux" or Path(sys.prefix, "conda-meta").is_dir():
        return ()
    return tuple(
        package for package, library in libraries.items() if not _loads(library)
    )


def _loads(library: str) -> bool:
    import ctypes

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def open_viewer() -> None:
    """Open napari with the sample, prompts and results; wait until it closes."""
    try:
        from napari_dinoprompt._qt.dock import open_demo
    except ImportError as error:
        raise InputError(
            f"napari cannot open a window ({error}). Install one of its Qt bindings, "
            'for example: pip install "napari[pyqt6]"; or run: dinoprompt demo '
            "--no-viewer"
        ) from error
    open_demo()


def write_demo(folder: Path, backbone: Backbone) -> None:
    """Compute both fields, write all that is shown of them, and print the figures."""
    from napari_dinoprompt.core.batch.records import write_segmentation, write_table
    from napari_dinoprompt.core.io.atomic import check_place

    from .demo_figure import demo_rows, demo_table, draw_demo

    check_place(folder)
    stories = []
    with progress_bar(side_console()) as bar:
        task = bar.add_task("", total=len(FIELDS) + 1)
        for name in FIELDS:
            bar.update(task, description=f"field {name}")
            story = tell_field(name, backbone)
            story.reference.save(folder / name)
            for stain in story.stains:
                write_segmentation(folder, stain.path.stem, stain.result)
            _compare(story, backbone, folder / "comparison" / name)
            stories.append(story)
            bar.advance(task)
        bar.update(task, description="figure")
        write_table(folder / "demo.csv", demo_rows(stories))
        draw_demo(folder / "demo.png", stories)
        bar.advance(task)
    results_console().print(demo_table(stories))


def tell_field(name: str, backbone: Backbone) -> FieldStory:
    """Make a reference on the real stain of a field and apply it to all its stains."""
    import numpy as np

    from napari_dinoprompt.core.comparison.metrics import (
        measure_agreement,
        measure_extent,
    )
    from napari_dinoprompt.core.features.extraction import extract_features
    from napari_dinoprompt.core.io.points import read_prompts
    from napari_dinoprompt.core.io.read import read_image
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment

    from .demo_figure import FieldStory, StainResult

    files = sample_files(name)
    truth = read_image(files["nuclei_truth"]).astype(np.int32)
    prompts = read_prompts(files["prompts"])
    upscale = 1.0 if backbone.info.name == "filterbank" else _DINOV2_UPSCALE
    features = extract_features(
        read_image(files["nuclei_real"]), backbone, upscale=upscale
    )
    reference = Reference.from_prompts(
        features, prompts.points, prompts.classes, source=files["nuclei_real"].name
    )
    options = SegmentOptions(
        cleaning=Cleaning(min_size=_MIN_SIZE, fill_holes=True, split=True)
    )
    stains = []
    for role, title in _STAINS.items():
        image = read_image(files[role])
        result = segment(image, reference, backbone, options)
        stains.append(
            StainResult(
                title=title,
                path=files[role],
                image=image,
                result=result,
                extent=measure_extent(result.mask, result.instances, 1),
                agreement=measure_agreement(result.mask, truth),
            )
        )
    return FieldStory(
        name=name,
        reference=reference,
        options=options,
        truth=truth,
        truth_extent=measure_extent((truth != 0).astype(np.uint8), truth, 1),
        stains=tuple(stains),
    )


def _compare(story: FieldStory, backbone: Backbone, folder: Path) -> None:
    """Compare the fakes of a field with the real stain and with the truth."""
    from napari_dinoprompt.core.comparison.compare import compare
    from napari_dinoprompt.core.io.read import read_image

    real, *fakes = story.stains
    found = compare(
        real.image,
        [fake.image for fake in fakes],
        story.reference,
        backbone=backbone,
        truth=story.truth,
        options=story.options,
        names=[fake.title for fake in fakes],
        draws=_DRAWS,
    )
    found.save(folder, read_image(sample_files(story.name)["membrane"]))
