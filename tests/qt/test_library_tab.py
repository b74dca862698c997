"""The library of references in the dock."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog

import napari_dinoprompt as dp
from napari_dinoprompt.core.references.library import Library


def save(bench, answer, name: str) -> None:
    answer(name)
    bench.turn_to("References")
    bench.press("Save prompts as reference…")


def test_tabs_are_there_and_the_status_line_stays(prompted) -> None:
    titles = [prompted.dock.tabs.tabText(i).replace("&", "") for i in range(4)]
    assert titles == ["Segment", "References", "Compare", "Study"]
    assert prompted.hint.startswith("Refine")
    prompted.turn_to("References")
    assert "Save the prompts" in prompted.hint
    prompted.turn_to("Compare")
    assert "real" in prompted.hint
    prompted.turn_to("Segment")
    assert prompted.hint.startswith("Refine")


def test_dock_fits_a_low_screen(prompted) -> None:
    prompted.dock.show()
    for tab in ("Segment", "References", "Compare"):
        prompted.turn_to(tab)
        hint = prompted.dock.minimumSizeHint()
        assert hint.height() < 500
        assert hint.width() < 420
    prompted.dock.hide()


def test_saved_reference_is_that_of_the_prompts(prompted, answer, library) -> None:
    prompted.drag_threshold(0.42)
    prompted.settle()
    save(prompted, answer, "my nuclei")
    assert prompted.library_lines() == ["current prompts", "my nuclei"]
    assert "my nuclei" in prompted.hint
    (entry,) = Library(library).entries()
    loaded = Library(library).load(entry)
    made = prompted.state.result.reference
    np.testing.assert_array_equal(loaded.vectors, made.vectors)
    assert loaded.thresholds == {"object": pytest.approx(0.42)}
    assert loaded.sources[0].name == "scene"


def test_round_trip_through_another_viewer(
    prompted, bench, answer, other_scene, scene
) -> None:
    """Save, restart, load, apply to the fake: the mask of core, bit for bit."""
    save(prompted, answer, "kept")
    expected = dp.segment(other_scene.image, prompted.state.result.reference)
    bench.close()
    bench.viewer = ViewerModel()
    fake = bench.add_image(other_scene.image, name="fake")
    bench.open()
    bench.settle()
    bench.turn_to("References")
    assert bench.library_lines() == ["kept"]
    bench.select("kept")
    bench.dock.references.apply._images.tick([fake])
    bench.press("Apply")
    np.testing.assert_array_equal(bench.applied(fake, "mask"), expected.mask)
    np.testing.assert_array_equal(
        bench.applied(fake, "similarity"), expected.similarity
    )
    np.testing.assert_array_equal(bench.applied(fake, "instances"), expected.instances)
    assert "fake" in bench.hint
    # No prompts were copied.
    assert len(bench.prompts.data) == 0


def test_add_to_reference(prompted, answer, library, other_scene) -> None:
    save(prompted, answer, "kept")
    other = prompted.add_image(other_scene.image, name="other")
    prompted.turn_to("Segment")
    prompted.choose(other)
    prompted.settle()
    prompted.click(other_scene.bright[:3])
    prompted.turn_to("References")
    prompted.select("kept")
    prompted.press("Add to reference")
    assert "3 prompts" in prompted.hint
    (entry,) = Library(library).entries()
    assert entry.summary.classes == ("object",) * 5
    assert [one.name for one in entry.summary.sources] == ["scene", "other"]


def test_references_of_different_upscale_do_not_join(prompted, answer, library) -> None:
    save(prompted, answer, "kept")
    prompted.turn_to("Segment")
    prompted.choose_upscale("2")
    prompted.settle()
    prompted.turn_to("References")
    prompted.select("kept")
    prompted.press("Add to reference")
    assert "upscale" in prompted.hint
    (entry,) = Library(library).entries()
    assert entry.summary.classes == ("object",) * 2


def test_rename_and_remove(prompted, answer, library) -> None:
    save(prompted, answer, "kept")
    prompted.select("kept")
    answer("better")
    prompted.press("Rename…")
    assert prompted.library_lines() == ["current prompts", "better"]
    prompted.select("better")
    answer(accepted=False)
    prompted.press("Remove…")
    assert len(list(library.glob("*.reference.safetensors"))) == 1
    answer()
    prompted.press("Remove…")
    assert prompted.library_lines() == ["current prompts"]
    assert not list(library.glob("*.reference.safetensors"))


def test_import_and_export(prompted, answer, tmp_path, monkeypatch) -> None:
    save(prompted, answer, "kept")
    target = tmp_path / "elsewhere.reference.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    prompted.select("kept")
    prompted.press("Export…")
    assert target.is_file()
    prompted.press("Remove…")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(target)], ""))
    prompted.press("Import…")
    assert prompted.library_lines() == ["current prompts", "elsewhere"]
    junk = tmp_path / "junk.reference.safetensors"
    junk.write_bytes(b"nothing of the kind")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(junk)], ""))
    prompted.press("Import…")
    assert "junk" in prompted.hint
    assert prompted.library_lines() == ["current prompts", "elsewhere"]


def test_damaged_file_is_shown_as_such(prompted, answer, library) -> None:
    library.mkdir()
    (library / "broken.reference.safetensors").write_bytes(b"\0" * 100)
    prompted.turn_to("References")
    assert prompted.library_lines() == ["current prompts", "broken"]
    prompted.select("broken")
    assert not prompted.button("Apply").isEnabled()
    assert not prompted.button("Add to reference").isEnabled()
    item = prompted.dock.references.library._list.item(1)
    assert "damaged" in item.toolTip()
    answer()
    prompted.press("Remove…")
    assert prompted.library_lines() == ["current prompts"]


def test_file_of_another_program_appears(prompted, answer, library) -> None:
    save(prompted, answer, "kept")
    reference = prompted.state.result.reference
    reference.save(library / "other.reference.safetensors")
    prompted.qtbot.waitUntil(
        lambda: prompted.library_lines() == ["current prompts", "kept", "other"]
    )


def test_two_docks_show_the_same_library(prompted, answer) -> None:
    second = prompted.open()
    second.tabs.setCurrentIndex(1)
    save(prompted, answer, "kept")
    assert second.references.library._list.count() == 2


def test_nothing_can_be_saved_without_prompts(ready) -> None:
    ready.turn_to("References")
    assert not ready.button("Save prompts as reference…").isEnabled()
    assert ready.shows("No references yet")


def test_show_file_opens_the_folder(prompted, answer, library, monkeypatch) -> None:
    save(prompted, answer, "kept")
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile())
    )
    prompted.press("Show file")
    assert opened == [str(library)]


def test_prompts_that_are_not_computed_yet_are_not_saved(ready, scene, gate) -> None:
    """Nor what the prompts of before found, under their name."""
    gate.open()
    ready.add_image(np.stack([scene.image] * 2), name="stack")
    ready.choose(ready.work.images()[-1])
    ready.settle()
    ready.prompts.add((0, 15, 15))
    ready.settle()
    assert ready.work.session.reference() is not None
    gate.opened.clear()
    ready.work.features.shelf._kept = None
    ready.prompts.add((1, 15, 45))
    ready.qtbot.waitUntil(lambda: ready.work.features.running)
    assert ready.work.session.reference() is None
    gate.open()
    ready.settle()
    assert len(ready.work.session.reference().classes) == 2
