"""The options of `dinoprompt demo`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


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
    from napari_dinoprompt._cli.display import has_display

    if output is None and not no_viewer and has_display(os.environ, sys.platform):
        from napari_dinoprompt._cli.libraries import missing_packages
        from napari_dinoprompt._cli.messages import say
        from napari_dinoprompt._cli.viewer import open_viewer

        missing = missing_packages()
        if not missing:
            open_viewer()
            return
        say(
            "no window can be opened without some libraries of the system; on Debian "
            f"or Ubuntu: sudo apt-get install {' '.join(missing)}. Writing files "
            "instead."
        )
    from napari_dinoprompt._cli.demo import write_demo
    from napari_dinoprompt._cli.demo_table import show_demo_table
    from napari_dinoprompt._cli.loading import default_backbone
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt.core.backbones import load_backbone

    folder = output or Path("dinoprompt-demo")
    stories = write_demo(folder, load_backbone(default_backbone()))
    console = results_console()
    show_demo_table(stories, console)
    console.print(f"Written to {folder.resolve()}", soft_wrap=True)
    console.print(f"Look at {folder / 'demo.png'} first,", soft_wrap=True)
    console.print(f"then at comparison.png in {folder / 'comparison'}.", soft_wrap=True)
