"""Results of a stack that was killed when it had hardly begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.segmentation.stack_results import open_arrays

if TYPE_CHECKING:
    from pathlib import Path


def test_the_beginning_of_a_first_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "zarr.0123456789abcdef.partial").write_text('{"attrib')
    arrays = open_arrays(tmp_path, (2,), (4, 5), 1, plain=False, settings="one")
    assert arrays.finished() == {}
    arrays.notes[1] = 3
    again = open_arrays(tmp_path, (2,), (4, 5), 1, plain=False, settings="one")
    assert again.finished() == {(1,): 3}


def test_files_of_others_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        open_arrays(tmp_path, (2,), (4, 5), 1, plain=False, settings="one")
