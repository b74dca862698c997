"""The command `dinoprompt`: the jobs of the dock without a viewer.

Only options are read here; `_cli` does the work, and `core` computes. Nothing heavy
is imported before a command runs: the help has to be there at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dinoprompt._cli.examples import (
    COMPARE_EXAMPLES,
    EXAMPLES,
    REFERENCE_EXAMPLES,
    SEGMENT_EXAMPLES,
    STUDY_EXAMPLES,
)
from napari_dinoprompt._cli.options import (
    Checkpoint,
    Device,
    FillHoles,
    MinSize,
    Precision,
    ReferenceFile,
    Split,
    Window,
)

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Backbone

__all__ = ["app", "main"]

# Whichever typer: older ones take it from click, newer ones carry their own.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="dinoprompt",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Place a few prompts on an image; everything that looks like them is "
    "segmented, with no training. The prompts become a reference that is used again "
    "on other images, above all on virtually stained ones.",
    epilog=EXAMPLES,
)


def _show_version(asked: bool) -> None:
    if asked:
        from napari_dinoprompt.core.version import software_version

        print(f"dinoprompt {software_version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
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
        from napari_dinoprompt._cli.viewer import open_viewer

        open_viewer()
        return
    from napari_dinoprompt._cli.demo import write_demo
    from napari_dinoprompt._cli.demo_table import show_demo_table
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.options import default_backbone
    from napari_dinoprompt.core.backbones import load_backbone

    folder = output or Path("dinoprompt-demo")
    stories = write_demo(folder, load_backbone(default_backbone()))
    console = results_console()
    show_demo_table(stories, console)
    console.print(f"Written to {folder.resolve()}", soft_wrap=True)
    console.print(f"Look at {folder / 'demo.png'} first,", soft_wrap=True)
    console.print(f"then at comparison.png in {folder / 'comparison'}.", soft_wrap=True)


@app.command()
def models(
    get: Annotated[
        str | None,
        typer.Option(
            help="Download the weights of dinov2-small, -base, -large or -giant into "
            "the Hugging Face cache. Ctrl-C stops; the same command goes on.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """List the backbones, where their weights are, and what runs on this machine.

    Nothing is downloaded without --get.
    """
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.models import get_model, show_models

    if get is not None:
        get_model(get)
        return
    show_models(results_console())


@app.command()
def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all features that are kept.")
    ] = False,
) -> None:
    """Show what is kept on disk of images that were seen before, and how much.

    Features of networks are kept, so that an image opens at once the second time.
    What was not used for longest makes room for what is new.
    """
    from napari_dinoprompt._cli.cache import clear_cache, show_cache
    from napari_dinoprompt._cli.messages import results_console

    if clear:
        clear_cache(results_console())
    else:
        show_cache(results_console())


@app.command(epilog=REFERENCE_EXAMPLES)
def reference(
    image: Annotated[
        Path, typer.Argument(help="The image that the prompts were placed on.")
    ],
    points: Annotated[Path, typer.Option(help="The prompts: a points CSV of napari.")],
    output: Annotated[
        Path,
        typer.Option(
            help="The file to write; .reference.safetensors is added if missing."
        ),
    ],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="dinov2-small, -base, -large, -giant, filterbank or timm:NAME. "
            "(default: dinov2-small if its weights are here, else filterbank)",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    upscale: Annotated[
        float,
        typer.Option(
            help="Enlarge the image before the backbone: small objects need it. "
            "A cell of DINOv2 is 14 pixels / upscale.",
        ),
    ] = 1.0,
    block: Annotated[
        int | None,
        typer.Option(
            help="Transformer block, from 0, or negative from the end. "
            "(default: the last)",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    window: Annotated[
        str,
        typer.Option(
            help="Grey values that become black and white: auto takes percentiles of "
            "the image, LOW,HIGH sets them.",
        ),
    ] = "auto",
) -> None:
    """Make a reference from an image and prompts placed on it."""
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.options import default_backbone, parse_window
    from napari_dinoprompt._cli.reference import (
        ReferenceJob,
        describe_reference,
        write_reference,
    )

    chosen = parse_window(window, ("auto",))
    job = ReferenceJob(
        image=image,
        points=points,
        output=output,
        upscale=upscale,
        window=None if isinstance(chosen, str) else chosen,
    )

    def load() -> Backbone:
        from napari_dinoprompt.core.backbones import load_backbone

        return load_backbone(
            backbone or default_backbone(checkpoint),
            checkpoint=checkpoint,
            device=device,
            precision=precision,
            block=block,
        )

    written = write_reference(job, load)
    results_console().print(describe_reference(written), soft_wrap=True)


@app.command(epilog=SEGMENT_EXAMPLES)
def segment(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Images: TIFF, PNG, JPEG …, of one plane or a stack; or folders "
            "of them."
        ),
    ],
    reference: ReferenceFile,
    output: Annotated[
        Path, typer.Option(help="Folder for the results; made if it is not there.")
    ],
    threshold: Annotated[
        str | None,
        typer.Option(
            help="Similarity from which on a pixel belongs to an object, from -1 to 1, "
            "or auto: from the prompts. (default: what the reference carries, else "
            "auto)",
        ),
    ] = None,
    window: Window = "reference",
    like: Annotated[
        Path | None,
        typer.Option(
            help="The real image that --window histogram matches grey values to.",
            metavar="REAL",
        ),
    ] = None,
    min_size: MinSize = 0,
    fill_holes: FillHoles = False,
    split: Split = False,
    objects_3d: Annotated[
        bool,
        typer.Option(
            "--objects-3d",
            help="In stacks, clean masks and number objects through the planes, not in "
            "each. The smallest object is then in voxels.",
        ),
    ] = False,
    pixel_size: Annotated[
        str | None,
        typer.Option(
            help="Distance of the voxels of a stack, in micrometres, for --objects-3d. "
            "(default: what the file says, else the same along all three)",
            metavar="Z,Y,X",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Compute all images anew, also those that an earlier run has finished "
            "with the same reference and options.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Compute on several processes or machines, with the same results: "
            "local:N starts N processes here; an address such as tcp://host:8786 is "
            "that of a dask scheduler, which must be one that you trust.",
            metavar="ADDRESS|local:N",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Find in images what resembles the prompts of a reference."""
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.options import segment_options
    from napari_dinoprompt._cli.segment import (
        SegmentJob,
        segment_files,
        show_report,
    )
    from napari_dinoprompt.core.backbones import BackboneChoice
    from napari_dinoprompt.core.references.reference import Reference

    options = segment_options(
        threshold,
        window,
        min_size=min_size,
        fill_holes=fill_holes,
        split=split,
        objects_3d=objects_3d,
        pixel_size=pixel_size,
    )
    loaded = Reference.load(reference)
    if threshold == "auto":
        loaded = loaded.with_thresholds({})
    loaded.check_objects()
    weights = None if checkpoint is None else str(checkpoint)
    choice = BackboneChoice(loaded.backbone.name, weights, device, precision)
    job = SegmentJob(tuple(images), output, like, again, scheduler)
    report = segment_files(job, loaded, choice, options)
    show_report(report, output, results_console())
    if report.skipped:
        raise typer.Exit(2)


@app.command(epilog=COMPARE_EXAMPLES)
def compare(
    real: Annotated[Path, typer.Argument(help="The real stain.")],
    fakes: Annotated[
        list[Path],
        typer.Argument(help="Virtual stains of the same field, of any pixel count."),
    ],
    reference: ReferenceFile,
    output: Annotated[
        Path, typer.Option(help="Folder for the results; made if it is not there.")
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the objects that are really there, or a mask of them. "
            "The fakes, and the real too, are then compared with these."
        ),
    ] = None,
    input_image: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="What the fakes were generated from; it is shown in the figure.",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            help="How many times the prompts are drawn anew, for intervals and noise "
            "floor; 0 for none.",
            min=0,
        ),
    ] = 20,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Which class to compare. (default: the reference's first)"
        ),
    ] = None,
    window: Window = "reference",
    min_size: MinSize = 0,
    fill_holes: FillHoles = False,
    split: Split = False,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Compare virtual stains with the real stain of the same field.

    The same reference, with its statistics and its threshold, is applied to all.
    Every figure comes with its interval over other draws of the prompts, and with its
    noise floor: the real against itself under such draws.
    """
    from napari_dinoprompt._cli.compare import (
        CompareJob,
        compare_files,
        show_comparison,
    )
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.options import segment_options
    from napari_dinoprompt._cli.segment import load_backbone_of
    from napari_dinoprompt.core.references.reference import Reference

    options = segment_options(
        None, window, min_size=min_size, fill_holes=fill_holes, split=split
    )
    job = CompareJob(real, tuple(fakes), output, truth, input_image, draws, class_name)
    loaded = Reference.load(reference)
    backbone = load_backbone_of(
        loaded, checkpoint=checkpoint, device=device, precision=precision
    )
    found = compare_files(job, loaded, backbone, options)
    console = results_console()
    show_comparison(found, console)
    console.print(f"Written to {output.resolve()}", soft_wrap=True)


@app.command(epilog=STUDY_EXAMPLES)
def study(
    image: Annotated[
        Path, typer.Argument(help="The image that the prompts were placed on.")
    ],
    points: Annotated[Path, typer.Option(help="The prompts: a points CSV of napari.")],
    output: Annotated[
        Path, typer.Option(help="Folder for the results; made if it is not there.")
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the objects that are really there, or a mask of them. "
            "Without, masks are compared with each other."
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="As of 'reference'. Give it again for others to try as resolutions. "
            "(default: dinov2-small if its weights are here, else filterbank)",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    upscale: Annotated[
        list[float] | None,
        typer.Option(
            help="Enlarge the image before the backbone. Give it again for others to "
            "try. (default: 1, and 2 and 4 are tried)",
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            help="Transformer block of the first backbone, from 0, or negative from "
            "the end. (default: the last)",
        ),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(
            help="The same field with another number of pixels, such as an enlarged "
            "image; it is tried as a resolution. Can be given again.",
        ),
    ] = None,
    orders: Annotated[
        int,
        typer.Option(help="In how many random orders prompts are added.", min=1),
    ] = 200,
    parts: Annotated[
        str,
        typer.Option(
            help="Of convergence, influence, suggestion, resolution and threshold, "
            "separated by commas.",
        ),
    ] = "all",
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Which class to study. (default: the first of the prompts)"
        ),
    ] = None,
    window: Annotated[
        str,
        typer.Option(
            help="Grey values that become black and white: auto takes percentiles of "
            "the image, LOW,HIGH sets them.",
        ),
    ] = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Study why one prompt is better than another.

    How many prompts are enough, what each of them does and which is an outlier, where
    the next one belongs, which resolution to take, and what the threshold does.
    """
    from napari_dinoprompt._cli.messages import results_console
    from napari_dinoprompt._cli.options import default_backbone, parse_window
    from napari_dinoprompt._cli.study import (
        StudyJob,
        show_study,
        split_parts,
        study_files,
    )

    chosen = parse_window(window, ("auto",))
    job = StudyJob(
        image=image,
        points=points,
        output=output,
        truth=truth,
        upscales=tuple(upscale or (1.0,)),
        window=None if isinstance(chosen, str) else chosen,
        others=tuple(other or ()),
        orders=orders,
        parts=split_parts(parts),
        class_name=class_name,
    )

    def load() -> list[Backbone]:
        from napari_dinoprompt.core.backbones import load_backbone

        first, *others = backbone or [default_backbone(checkpoint)]
        used = load_backbone(
            first,
            checkpoint=checkpoint,
            device=device,
            precision=precision,
            block=block,
        )
        tried = [
            load_backbone(name, device=device, precision=precision) for name in others
        ]
        return [used, *tried]

    console = results_console()
    show_study(study_files(job, load), console)
    console.print(f"Written to {output.resolve()}", soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after ``dinoprompt``; from `sys.argv` by default.

    Raises
    ------
    SystemExit
        Always: 0 if all is done, 2 after wrong use or bad input, 130 if the user
        stopped it.
    """
    # What readers have to say about damaged files is in our own message.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        code = app(
            args=None if arguments is None else list(arguments),
            prog_name="dinoprompt",
            standalone_mode=False,
        )
    except Exception as error:
        reason = _explain(error)
        if reason is None:
            raise
        from napari_dinoprompt._cli.messages import say

        say(reason)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> str | None:
    if isinstance(error, _UsageError):
        text = str(error.format_message())  # type: ignore[attr-defined]
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "dinoprompt"
        return f"{text.rstrip('.')}. See '{command} --help'."
    from napari_dinoprompt.core.explaining import explain

    return explain(error)


if __name__ == "__main__":
    main()
