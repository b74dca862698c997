"""Whether the automatic threshold's constants hold for sets they were not chosen on.

python tools/benchmarks/quality_choices.py --backbone filterbank --prompts 3,5,10

takes the options of quality.py and tries a small grid of constants on all sets with
a truth. For each set in turn it takes the combination that is best on the others and
tells what that gives on the set left out. Written is choices-<backbone>.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from quality_parts.data import find_data, find_planes
from quality_parts.held_out import compute_cuts, write_choices
from quality_parts.program import open_store, run_of
from quality_parts.settings import read_settings
from rich.console import Console

from napari_dinoprompt._cli.console import progress_bar
from napari_dinoprompt.core.errors import DinopromptError
from napari_dinoprompt.core.io.atomic import open_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quality_parts.settings import Settings


def main(words: Sequence[str] | None = None) -> int:
    """Compute and write the table.

    Parameters
    ----------
    words : sequence of str, optional
        The command line; that of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    console = Console(stderr=True)
    try:
        _run(read_settings(words, str(__doc__)), console)
    except DinopromptError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 2
    return 0


def _run(settings: Settings, console: Console) -> None:
    planes = find_planes(find_data(settings.data), settings.sets, settings.limit)
    store = open_store(settings)
    run = run_of(settings, store)
    with progress_bar(console) as bar:
        task = bar.add_task(run.title, total=len(planes))

        def note(name: str) -> None:
            bar.update(task, description=name, advance=1)

        found = compute_cuts(
            settings.output / "choices",
            planes,
            settings.prompts,
            settings.draws,
            store,
            note,
        )
    path = settings.output / f"choices-{run.folder.name}.md"
    with open_atomically(path) as file:
        file.write(write_choices(found, run.title, store.backbone.scoring).encode())
    console.print(f"The table is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
